//! Finds citations of RFCs in text: `RFC 3261 §8.1.3.2`, `RFC 5626 §11.5, §5.3.1`.

/// A document and, unless the whole of it is meant, a section.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Citation {
    /// `RFC 3261`.
    pub doc: String,
    /// `8.1.3.2`; empty for the whole document.
    pub section: String,
}

/// Every citation of an RFC in `text`, in order. A range gives both its ends.
pub(super) fn citations(text: &str) -> Vec<Citation> {
    let mut found = Vec::new();
    for (start, _) in text.match_indices("RFC ") {
        let mut rest = &text[start + 4..];
        let Some((number, after)) = leading(rest, |letter| letter.is_ascii_digit()) else { continue };
        let doc = format!("RFC {number}");
        rest = after;
        let first = found.len();
        while let Some(section_sign) = next_section(rest) {
            let Some((section, after)) =
                leading(section_sign, |letter| letter.is_ascii_alphanumeric() || letter == '.')
            else {
                break;
            };
            // A full stop may end the sentence and not the number.
            let section = section.trim_end_matches('.');
            rest = after;
            found.push(Citation { doc: doc.clone(), section: section.to_owned() });
        }
        if found.len() == first {
            found.push(Citation { doc, section: String::new() });
        }
    }
    found
}

/// What follows the next section sign, if nothing but a list stands before it.
fn next_section(text: &str) -> Option<&str> {
    let (between, after) = text.split_once('§')?;
    let listing = [" ", "", ", ", " and ", " or ", "; ", "–", "-", ","].contains(&between);
    listing.then(|| after.trim_start_matches('§'))
}

/// The longest start of `text` that holds nothing but `wanted`, and the rest; `None` if it is empty.
fn leading(text: &str, wanted: impl Fn(char) -> bool) -> Option<(&str, &str)> {
    let end = text.find(|letter| !wanted(letter)).unwrap_or(text.len());
    (end > 0).then(|| text.split_at(end))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::path::{Path, PathBuf};

    use super::*;
    use crate::catalogue::rfc_sections;

    #[test]
    fn citations_are_found_with_their_sections() {
        let found = |text: &str| -> Vec<String> {
            citations(text).iter().map(|citation| format!("{}§{}", citation.doc, citation.section)).collect()
        };
        assert_eq!(found("see RFC 3261 §8.1.3.2."), ["RFC 3261§8.1.3.2"]);
        assert_eq!(
            found("RFC 5626 §11.5, §5.3.1 and §6; RFC 3262"),
            ["RFC 5626§11.5", "RFC 5626§5.3.1", "RFC 5626§6", "RFC 3262§"]
        );
        assert_eq!(found("RFC 3261 §14.1–§14.2"), ["RFC 3261§14.1", "RFC 3261§14.2"]);
        assert_eq!(found("RFC 3326 defines it, and §2 of it says"), ["RFC 3326§"]);
        assert_eq!(found("an RFC, 3GPP TS 24.229 §5.2.10"), Vec::<String>::new());
    }

    /// Every file beneath a folder with this ending.
    fn files_beneath(folder: &Path, ending: &str, found: &mut Vec<PathBuf>) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                files_beneath(&path, ending, found);
            } else if path.extension().is_some_and(|end| end == ending) {
                found.push(path);
            }
        }
    }

    #[test]
    fn every_section_that_a_rule_a_docstring_or_a_table_cites_exists() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let mut files = Vec::new();
        files_beneath(&root.join("src/diagnosis"), "rs", &mut files);
        files_beneath(&root.join("src/catalogue"), "rs", &mut files);
        files_beneath(&root.join("data"), "toml", &mut files);
        let table: BTreeSet<(&str, &str)> =
            rfc_sections().iter().map(|row| (row.doc.as_str(), row.section.as_str())).collect();
        let (mut missing, mut cited) = (BTreeSet::new(), BTreeSet::new());
        for file in files.iter().filter(|file| !file.ends_with("citation.rs") && !file.ends_with("rfc-sections.toml")) {
            // Some tables write the sign by its number.
            let text = std::fs::read_to_string(file).unwrap().replace("\\u00a7", "§");
            // A citation may go on in the next line of a comment.
            let lines = text.lines().map(|line| line.trim().trim_start_matches('/').trim_start_matches('!').trim());
            let text = lines.collect::<Vec<_>>().join(" ");
            for citation in citations(&text).into_iter().filter(|citation| !citation.section.is_empty()) {
                if !table.contains(&(citation.doc.as_str(), citation.section.as_str())) {
                    missing.insert((citation.doc.clone(), citation.section.clone(), file.clone()));
                }
                cited.insert((citation.doc, citation.section));
            }
        }
        assert!(missing.is_empty(), "not in data/rfc-sections.toml: {missing:#?}");
        assert!(cited.len() > 200, "only {} citations were found", cited.len());
    }
}
