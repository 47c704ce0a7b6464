//! The report as Markdown for tickets: GitHub, GitLab and, where it converts Markdown, Jira.
//!
//! Captured text stands in code spans and fences where it can, and is escaped elsewhere, so that no reason phrase
//! becomes a link, a heading or a picture. Each call has its ladder as text, which renders anywhere, and as Mermaid.

use std::io::{self, Write};

use crate::report::gatherer::Gathered;
use crate::report::incidents::Group;
use crate::report::mermaid;
use crate::report::pages::for_markdown;
use crate::report::record::{CallRecord, FindingRecord};
use crate::report::text::words::{counted, frame, frames, grouped, outcome, title};
use crate::report::text::{Scope, Style, ladder_alone};
use crate::report::value::Tool;
use crate::report::view::{Provenance, drawn, privacy_words, telling};
use crate::untrusted::Untrusted;

/// Calls that are told in full.
const MOST_CALLS: usize = 50;
/// Incidents that are told.
const MOST_INCIDENTS: usize = 50;

/// Writes the report.
///
/// # Errors
/// What `out` says, or the temporary file of the records.
pub fn write(
    out: &mut dyn Write,
    gathered: &mut Gathered,
    style: &Style,
    scope: Scope,
    provenance: &Provenance,
) -> io::Result<()> {
    let names: Vec<String> = gathered.inputs.iter().take(20).map(|input| plain(&input.file)).collect();
    writeln!(out, "# {}\n", names.join(", "))?;
    if let Some(words) = privacy_words(&gathered.privacy) {
        writeln!(out, "**{}**\n", for_markdown(&words))?;
    }
    summary(out, gathered, style)?;
    incidents(out, gathered, style)?;
    let all = drawn(gathered, scope, usize::MAX).len();
    let wanted = drawn(gathered, scope, MOST_CALLS);
    gathered.spool.each_record(|number| wanted.contains(&number), |record| call(out, &record, style))?;
    if all > wanted.len() {
        writeln!(
            out,
            "*{} are not shown here; the JSON report holds them all.*\n",
            counted((all - wanted.len()) as u64, "more call")
        )?;
    }
    notes(out, gathered)?;
    writeln!(out, "## Provenance\n")?;
    for input in &gathered.inputs {
        let hash = input.sha256.as_deref().unwrap_or("not known");
        writeln!(out, "- {}: {}, SHA-256 `{hash}`", plain(&input.file), counted(input.packets, "packet"))?;
    }
    let tool = Tool::this();
    writeln!(out, "- made by {} {} with {}", tool.name, tool.version, code(&provenance.command_for(&gathered.privacy)))
}

fn summary(out: &mut dyn Write, gathered: &Gathered, style: &Style) -> io::Result<()> {
    let summary = &gathered.summary;
    if let (Some(first), Some(last)) = (
        gathered.inputs.iter().filter_map(|input| input.first).min_by_key(|moment| moment.time),
        gathered.inputs.iter().filter_map(|input| input.last).max_by_key(|moment| moment.time),
    ) {
        let zone = &style.zone;
        let (from, until) =
            (format!("{} {}", zone.day(first), zone.time(first)), format!("{} {}", zone.day(last), zone.time(last)));
        writeln!(out, "{from} – {until} {}\n", for_markdown(zone.name()))?;
    }
    let messages = gathered.inputs.iter().map(|input| input.sip_messages).sum::<u64>();
    if messages == 0 {
        return writeln!(out, "No SIP found.\n");
    }
    writeln!(
        out,
        "| calls | answered | failed | dropped | busy | cancelled | unfinished | registrations (failed) | other requests (failed) |"
    )?;
    writeln!(out, "|--:|--:|--:|--:|--:|--:|--:|--:|--:|")?;
    writeln!(
        out,
        "| {} | {} | {} | {} | {} | {} | {} | {} ({}) | {} ({}) |\n",
        grouped(summary.calls),
        grouped(summary.answered),
        grouped(summary.failed),
        grouped(summary.dropped),
        grouped(summary.busy),
        grouped(summary.cancelled),
        grouped(summary.unfinished),
        grouped(summary.registrations),
        grouped(summary.registrations_failed),
        grouped(summary.other_transactions),
        grouped(summary.other_failed)
    )
}

fn incidents(out: &mut dyn Write, gathered: &Gathered, style: &Style) -> io::Result<()> {
    let groups: Vec<&Group> =
        gathered.groups.iter().filter(|group| group.is_incident() && group.selected > 0).collect();
    for group in groups.iter().take(MOST_INCIDENTS) {
        let incident = &group.incident;
        let zone = &style.zone;
        writeln!(out, "## Incident {}: {}\n", group.number, plain(&incident.title))?;
        writeln!(
            out,
            "- {}, {} {} – {} {}",
            counted(group.count, "time"),
            zone.day(incident.first),
            zone.time(incident.first),
            zone.day(incident.last),
            zone.time(incident.last)
        )?;
        if let Some(peer) = &incident.peer {
            let agent = incident.agent.as_ref().map(|agent| format!(", {}", code(agent.raw()))).unwrap_or_default();
            writeln!(out, "- at {}{agent}", code(&style.names.beside(peer)))?;
        }
        for says in &incident.says {
            writeln!(out, "- {}", plain(says))?;
        }
        match (&incident.rule, incident.confidence) {
            (Some(rule), Some(confidence)) => {
                writeln!(out, "- rule `{rule}`, {}, {}", confidence.word(), frames(&incident.frames, 12))?;
            }
            _ => writeln!(out, "- unexplained: no rule fits what the capture shows")?,
        }
        let calls: Vec<String> = incident.calls.iter().take(30).map(u32::to_string).collect();
        let more = if group.count > calls.len() as u64 { " …" } else { "" };
        writeln!(out, "- calls {}{more}\n", calls.join(", "))?;
        steps(out, &incident.fix)?;
    }
    Ok(())
}

fn call(out: &mut dyn Write, record: &CallRecord, style: &Style) -> io::Result<()> {
    writeln!(out, "## {}\n", for_markdown(&title(record)))?;
    writeln!(out, "**{}**\n", for_markdown(&outcome(record).1))?;
    let mut call_ids: Vec<String> = record.call_ids.iter().map(|call_id| code(call_id.raw())).collect();
    call_ids.dedup();
    writeln!(out, "Call-ID {}\n", call_ids.join(", "))?;
    match telling(record) {
        Some(finding) => of_finding(out, finding)?,
        None if record.unexplained => writeln!(out, "Unexplained: no rule fits what the capture shows.\n")?,
        None => {}
    }
    if let Some(good) = &record.good_call {
        writeln!(out, "Beside a call that was accepted: {}.\n", plain(&good.words().into()))?;
    }
    let drawn = ladder_alone(record, style)?;
    writeln!(out, "````text\n{}\n````\n", in_fence(&drawn))?;
    writeln!(out, "```mermaid\n{}```\n", mermaid::diagram(record, style))
}

fn of_finding(out: &mut dyn Write, finding: &FindingRecord) -> io::Result<()> {
    writeln!(out, "**{}** (`{}`, {})\n", plain(&finding.title), finding.rule, finding.confidence.word())?;
    if !finding.explanation.is_empty() {
        writeln!(out, "{}\n", plain(&finding.explanation))?;
    }
    if !finding.claims.is_empty() {
        writeln!(out, "| frame | field | value | says |\n|--:|---|---|---|")?;
        for claim in finding.claims.iter().take(20) {
            let value = code(claim.value.raw()).replace('|', "\\|");
            writeln!(out, "| {} | `{}` | {value} | {} |", frame(claim.frame), claim.field, plain(&claim.says))?;
        }
        writeln!(out)?;
    }
    for refuted in &finding.refuted {
        writeln!(out, "- ruled out: `{}`, {}", refuted.rule, plain(&refuted.why))?;
    }
    if !finding.refuted.is_empty() {
        writeln!(out)?;
    }
    steps(out, &finding.fix)
}

fn steps(out: &mut dyn Write, fix: &[Untrusted]) -> io::Result<()> {
    for (index, step) in fix.iter().enumerate() {
        writeln!(out, "{}. {}", index + 1, plain(step))?;
    }
    if fix.is_empty() { Ok(()) } else { writeln!(out) }
}

fn notes(out: &mut dyn Write, gathered: &Gathered) -> io::Result<()> {
    if gathered.notes.is_empty() && gathered.inputs.iter().all(|input| input.oddities.is_empty()) {
        return Ok(());
    }
    writeln!(out, "## The capture\n")?;
    for note in &gathered.notes {
        let says = if note.explanation.is_empty() { &note.title } else { &note.explanation };
        writeln!(out, "- `{}`: {}", note.rule, plain(says))?;
    }
    for oddity in gathered.inputs.iter().flat_map(|input| &input.oddities) {
        writeln!(out, "- `{}`, {}: {}", oddity.kind, counted(oddity.count, "time"), plain(&oddity.says))?;
    }
    writeln!(out)
}

/// Captured text among our own.
fn plain(text: &Untrusted) -> String {
    // Addresses of pages must not become links by themselves.
    for_markdown(&text.for_terminal()).replace("://", ":\\//").replace("www.", "www\\.")
}

/// Captured text as a span of code. A backtick would end it, so it is shown as an apostrophe.
fn code(text: &str) -> String {
    let text = Untrusted::from(text);
    let shown = inert(&text.for_terminal());
    if shown.trim().is_empty() { "(empty)".into() } else { format!("`{shown}`") }
}

/// Text inside a fence: no run of backticks may end it.
fn in_fence(text: &str) -> String {
    inert(text.trim_end())
}

/// Code that stays code: nothing ends it, and a converter that looks for links inside finds none.
fn inert(text: &str) -> String {
    text.replace('`', "'").replace("](", "] (").replace("![", "! [")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn captured_text_is_no_markup() {
        assert_eq!(code("a`b"), "`a'b`");
        assert_eq!(plain(&Untrusted::from("[x](http://evil)")), "\\[x\\](http:\\//evil)");
        assert!(plain(&Untrusted::from("<b>bold</b>")).starts_with("\\<b"));
    }
}
