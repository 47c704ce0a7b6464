//! The ladders of calls as Mermaid sequence diagrams, for Markdown that draws them.

use std::fmt::{Display, Write as _};
use std::io::{self, Write};

use crate::catalogue::Word;
use crate::report::gatherer::Gathered;
use crate::report::lanes::Lanes;
use crate::report::mark::Mark;
use crate::report::record::CallRecord;
use crate::report::text::ended::how_it_ended;
use crate::report::text::ladder::{Piece, shortened};
use crate::report::text::lines::{fitted, value};
use crate::report::text::words::{between, counted, title};
use crate::report::text::{Scope, Style};
use crate::report::view::{drawn, privacy_words};

/// Calls that one file shows: of more than one diagram in a file only the first is drawn by most programs.
const MOST_CALLS: usize = 1;
/// Columns of a label.
const LABEL: usize = 60;

/// Writes the diagram of the first call that went wrong, or that was asked for.
///
/// # Errors
/// What `out` says, or the temporary file of the records.
pub fn write(out: &mut dyn Write, gathered: &mut Gathered, style: &Style, scope: Scope) -> io::Result<()> {
    let all = drawn(gathered, scope, usize::MAX).len();
    let wanted = drawn(gathered, scope, MOST_CALLS);
    if let Some(words) = privacy_words(&style.words, &gathered.privacy) {
        writeln!(out, "%% {words}")?;
    }
    if wanted.is_empty() {
        return writeln!(out, "sequenceDiagram\n    Note over sipwhy: {}", safe(style.words.word(Word::NoCallToDraw)));
    }
    gathered.spool.each_record(
        |number| wanted.contains(&number),
        |record| {
            if all > 1 {
                // It is the first of those that could be drawn, whatever its number among all calls.
                let values: [(&str, &dyn Display); 2] = [("number", &MOST_CALLS), ("count", &all)];
                writeln!(out, "%% {}", style.words.fill(Word::MermaidOther, &values))?;
            }
            out.write_all(diagram(&record, style).as_bytes())
        },
    )
}

/// The diagram of a call.
pub(crate) fn diagram(record: &CallRecord, style: &Style) -> String {
    let lanes = Lanes::of(record);
    let lane = |address: &str| lanes.position(address).unwrap_or_default();
    let words = &style.words;
    let comma = words.word(Word::Comma);
    let mut text = "sequenceDiagram\n".to_owned();
    for (number, name) in lanes.names().iter().enumerate() {
        let _ = writeln!(text, "    participant p{number} as {}", safe(&style.names.with(name)));
    }
    let over = match lanes.last() {
        0 => "p0".to_owned(),
        last => format!("p0,p{last}"),
    };
    let heading =
        [title(words, record), how_it_ended(words, record).1, style.zone.exact_time(record.started)].join(comma);
    let _ = writeln!(text, "    Note over {over}: {}", safe(&heading));
    for piece in shortened(record, Scope::Trouble) {
        let rung = match piece {
            Piece::Rung(rung) => rung,
            Piece::Skipped(count) => {
                let _ = writeln!(text, "    Note over p0: {}", counted(words, Word::NotDrawn, count as u64));
                continue;
            }
        };
        let arrow = match (Mark::of(record, rung), rung.status) {
            (Mark::Failed, _) => "--x",
            (_, Some(_)) => "-->>",
            _ => "->>",
        };
        let again = if rung.repeats > 0 { format!(" ×{}", rung.repeats + 1) } else { String::new() };
        let after = between(record.started, rung.time).as_secs_f64();
        let at = words.fill(Word::FrameNumber, &[("frame", &rung.frame)]);
        let label = format!("{}{again} +{after:.3} {at}", fitted(&value(&rung.shown_label()), LABEL));
        let _ = writeln!(text, "    p{}{arrow}p{}: {}", lane(&rung.from_addr), lane(&rung.to_addr), safe(&label));
    }
    text
}

/// Text that means nothing to Mermaid, to Markdown around it, nor to HTML: signs of any of them as numbers.
fn safe(text: &str) -> String {
    let text = crate::untrusted::Untrusted::from(text);
    let mut shown = String::new();
    for letter in text.for_terminal().chars() {
        match letter {
            '#' | ';' | '<' | '>' | '&' | '"' | '`' | '%' | '{' | '}' | '[' | ']' | '\\' | '|' | '$' => {
                let _ = write!(shown, "#{};", u32::from(letter));
            }
            _ => shown.push(letter),
        }
    }
    // A line that is only this word ends the diagram.
    if shown.trim() == "end" { "end.".into() } else { shown }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_label_cannot_leave_its_line_or_be_markup() {
        assert_eq!(safe("a;b\n%%{init}"), "a#59;b#92;n#37;#37;#123;init#125;");
        assert_eq!(safe("<img src=x>"), "#60;img src=x#62;");
        assert_eq!(safe("503 Service Unavailable"), "503 Service Unavailable");
    }
}
