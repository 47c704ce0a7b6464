//! A user's own entries: a file of the same form as `data/status-codes/`.
//!
//! Is given a path; gives entries, or an error that names the line and the field at fault. Whoever writes such a file
//! is an administrator with an editor, so the message has to say where to look.

use std::fmt;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::entry::Entry;
use super::slices;

/// Why an overlay file cannot be used.
#[derive(Debug)]
pub struct OverlayError {
    path: PathBuf,
    line: usize,
    field: String,
    problem: String,
}

impl OverlayError {
    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The line at fault, from 1; 0 if the file could not be read at all.
    pub fn line(&self) -> usize {
        self.line
    }

    /// The field at fault; empty if no single one is.
    pub fn field(&self) -> &str {
        &self.field
    }
}

impl fmt::Display for OverlayError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cannot use the catalogue file {}", self.path.display())?;
        if self.line > 0 {
            write!(f, ", line {}", self.line)?;
        }
        if !self.field.is_empty() {
            write!(f, ", field {}", self.field)?;
        }
        write!(f, ": {}", self.problem)
    }
}

impl std::error::Error for OverlayError {}

/// The largest overlay file that is read, in bytes: the whole catalogue is a tenth of it.
const LARGEST: u64 = 4 << 20;

/// Reads the file at `path`.
pub(super) fn read(path: &Path) -> Result<Vec<Entry>, OverlayError> {
    let failed = |problem: String| OverlayError { path: path.to_owned(), line: 0, field: String::new(), problem };
    let length = std::fs::metadata(path).map_err(|error| failed(error.to_string()))?.len();
    if length > LARGEST {
        return Err(failed(format!("it has {length} bytes, more than the {LARGEST} that are read")));
    }
    let text = std::fs::read_to_string(path).map_err(|error| failed(error.to_string()))?;
    parse(&text).map_err(|fault| OverlayError {
        path: path.to_owned(),
        line: fault.line,
        field: fault.field,
        problem: fault.problem,
    })
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct OverlayFile {
    status: Vec<Entry>,
}

/// What is wrong, and where.
#[derive(Debug, PartialEq, Eq)]
struct Fault {
    line: usize,
    field: String,
    problem: String,
}

fn parse(text: &str) -> Result<Vec<Entry>, Fault> {
    let pieces = slices::cut(text, "status");
    let file: OverlayFile = toml::from_str(text).map_err(|error| toml_fault(text, &error))?;
    // A `[[status]]` with blanks around its name is legal TOML that the cutting does not see; the line is then that of
    // the file's first entry, and the code says which is meant.
    let mut known: Vec<u16> = Vec::new();
    for (place, entry) in file.status.iter().enumerate() {
        let (line, piece) = pieces.get(place).map_or((1, text), |piece| (piece.line, piece.text));
        if let Some((field, problem)) = fault_of(entry) {
            let line = line + piece.lines().position(|line| names(line, field)).unwrap_or(0);
            return Err(Fault { line, field: field.to_owned(), problem });
        }
        if known.contains(&entry.code) {
            let problem = format!("{} stands in the file twice", entry.code);
            return Err(Fault { line, field: "code".to_owned(), problem });
        }
        known.push(entry.code);
    }
    Ok(file.status)
}

/// The first field of an entry that cannot be right, and why.
fn fault_of(entry: &Entry) -> Option<(&'static str, String)> {
    if !(100..=699).contains(&entry.code) {
        return Some(("code", format!("{} is no status code: they go from 100 to 699", entry.code)));
    }
    let texts = [
        ("name", &entry.name),
        ("reference", &entry.reference),
        ("description", &entry.description),
        ("when", &entry.when),
        ("fix", &entry.fix),
    ];
    for (field, text) in texts {
        if text.trim().is_empty() {
            return Some((field, "it is empty".to_owned()));
        }
    }
    if entry.sent_by.is_empty() {
        return Some(("sent_by", "it is empty: say who sends the code, for instance [\"carrier\"]".to_owned()));
    }
    None
}

/// True for a line that sets `field`.
fn names(line: &str, field: &str) -> bool {
    line.trim_start().strip_prefix(field).is_some_and(|rest| rest.trim_start().starts_with('='))
}

fn toml_fault(text: &str, error: &toml::de::Error) -> Fault {
    let offset = error.span().map_or(0, |span| span.start);
    let before = text.get(..offset).unwrap_or_default();
    let line = before.matches('\n').count() + 1;
    let problem = error.message().to_owned();
    // Serde quotes the field in what it says of missing and unknown ones; otherwise it is the one set on the line.
    let quoted = problem.split('`').nth(1).filter(|_| problem.contains("field `"));
    let set = text.lines().nth(line - 1).and_then(|line| line.split_once('=')).map(|(field, _)| field.trim());
    let field = quoted.or(set).unwrap_or_default().to_owned();
    Fault { line, field, problem }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = r#"# our carrier
[[status]]
code = 503
name = "No channel"
registered = "vendor"
reference = "Carrier manual, page 3"
kind = "failure"
retry = "elsewhere"
sent_by = ["carrier"]
description = "The channels booked with the carrier are in use."
when = "In the busy hour."
fix = "Book more channels."
"#;

    fn fault(text: &str) -> Fault {
        parse(text).expect_err("this file is at fault")
    }

    #[test]
    fn a_good_file_gives_its_entries() {
        let entries = parse(GOOD).expect("a good file");
        assert_eq!(entries.len(), 1);
        assert_eq!((entries[0].code, entries[0].name.as_str()), (503, "No channel"));
    }

    #[test]
    fn a_fault_names_line_and_field() {
        let unknown = fault(&GOOD.replace("fix =", "cure ="));
        assert_eq!((unknown.line, unknown.field.as_str()), (12, "cure"));
        let missing = fault(&GOOD.replace("when = \"In the busy hour.\"\n", ""));
        assert_eq!((missing.line, missing.field.as_str()), (2, "when"));
        let kind = fault(&GOOD.replace("\"failure\"", "\"fault\""));
        assert_eq!((kind.line, kind.field.as_str()), (7, "kind"));
        let number = fault(&GOOD.replace("503", "\"x\""));
        assert_eq!((number.line, number.field.as_str()), (3, "code"));
        let range = fault(&GOOD.replace("503", "703"));
        assert_eq!((range.line, range.field.as_str()), (3, "code"));
        let empty = fault(&GOOD.replace("\"Book more channels.\"", "\" \""));
        assert_eq!((empty.line, empty.field.as_str()), (12, "fix"));
        let twice = fault(&format!("{GOOD}\n{GOOD}"));
        assert_eq!((twice.line, twice.field.as_str()), (15, "code"));
    }

    #[test]
    fn broken_toml_names_its_line() {
        assert_eq!(fault("[[status]]\ncode = 503\nname = \"x\n").line, 3);
        assert_eq!(fault("status = 1\n").line, 1);
    }

    #[test]
    fn a_file_that_is_not_there_is_named() {
        let error = read(Path::new("no/such/overlay.toml")).expect_err("there is no such file");
        assert_eq!(error.line(), 0);
        assert!(error.to_string().starts_with("cannot use the catalogue file no/such/overlay.toml: "), "{error}");
    }
}
