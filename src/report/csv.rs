//! The calls as a table for spreadsheets (RFC 4180), a line for each.
//!
//! A cell that a spreadsheet would take for a formula gets an apostrophe before it: what callers send must not be
//! calculated with. Lines end with a line feed alone.

use std::io::{self, Write};

use crate::catalogue::Phrases;
use crate::report::gatherer::Gathered;
use crate::report::record::CallRecord;
use crate::report::text::ended::outcome_word;
use crate::report::text::words::{between, frames, kind_word, person};
use crate::report::view::telling;
use crate::untrusted::Untrusted;

/// The columns; new ones are added at the end.
const COLUMNS: [&str; 20] = [
    "call",
    "kind",
    "started",
    "ended",
    "seconds",
    "from",
    "to",
    "from_uri",
    "to_uri",
    "outcome",
    "status",
    "cause",
    "confidence",
    "title",
    "peer",
    "agent",
    "frames",
    "source",
    "destination",
    "call_ids",
];

/// Frames that a cell cites.
const MOST_FRAMES: usize = 12;

/// Writes the table.
///
/// # Errors
/// What `out` says, or the temporary file of the records.
pub fn write(out: &mut dyn Write, gathered: &mut Gathered) -> io::Result<()> {
    writeln!(out, "{}", COLUMNS.join(","))?;
    gathered.spool.each_record(
        |_| true,
        |record| {
            let cells: Vec<String> = cells(&record).iter().map(|text| cell(text)).collect();
            writeln!(out, "{}", cells.join(","))
        },
    )
}

fn cells(record: &CallRecord) -> [String; COLUMNS.len()] {
    let finding = telling(record);
    let cited: Vec<_> =
        finding.map(|finding| finding.claims.iter().map(|claim| claim.frame).collect()).unwrap_or_default();
    let raw = |text: Option<&Untrusted>| text.map(|text| text.raw().to_owned()).unwrap_or_default();
    let leg = record.legs.first();
    let mut call_ids: Vec<&str> = record.call_ids.iter().map(Untrusted::raw).collect();
    call_ids.dedup();
    [
        record.id.to_string(),
        kind_word(&Phrases::english(), record.kind).to_lowercase(),
        record.started.time.rfc3339(record.started.digits),
        record.ended.time.rfc3339(record.ended.digits),
        format!("{:.6}", between(record.started, record.ended).as_secs_f64()),
        person(record.from.as_ref()),
        person(record.to.as_ref()),
        raw(record.from.as_ref()),
        raw(record.to.as_ref()),
        outcome_word(&Phrases::english(), record.outcome).to_owned(),
        record.final_status.map(|status| status.to_string()).unwrap_or_default(),
        record.cause.clone().unwrap_or_default(),
        finding.map(|finding| finding.confidence.word().to_owned()).unwrap_or_default(),
        raw(finding.map(|finding| &finding.title)),
        finding.and_then(|finding| finding.party.addr.clone()).unwrap_or_default(),
        raw(finding.and_then(|finding| finding.party.agent.as_ref())),
        if cited.is_empty() { String::new() } else { frames(&Phrases::english(), &cited, MOST_FRAMES) },
        leg.map(|leg| leg.from_addr.clone()).unwrap_or_default(),
        leg.map(|leg| leg.to_addr.clone()).unwrap_or_default(),
        call_ids.join(" "),
    ]
}

/// A cell: safe for a terminal, no formula, quoted where it must be.
fn cell(text: &str) -> String {
    let text = Untrusted::from(text);
    let text = text.for_terminal();
    let is_formula = text.starts_with(['=', '+', '-', '@', '\'']) && !is_number(&text);
    let text = if is_formula { format!("'{text}") } else { text.into_owned() };
    if text.contains([',', '"', '\n']) || text.starts_with(' ') || text.ends_with(' ') {
        return format!("\"{}\"", text.replace('"', "\"\""));
    }
    text
}

/// A telephone number is one: with or without a sign, digits alone.
fn is_number(text: &str) -> bool {
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_cell_is_a_formula() {
        assert_eq!(cell("=HYPERLINK(\"x\")"), "\"'=HYPERLINK(\"\"x\"\")\"");
        assert_eq!(cell("+1-2"), "'+1-2");
        assert_eq!(cell("@x"), "'@x");
        assert_eq!(cell("+12025550123"), "+12025550123");
        assert_eq!(cell("a,b"), "\"a,b\"");
        assert_eq!(cell("a\r\nb"), "a\\r\\nb");
    }
}
