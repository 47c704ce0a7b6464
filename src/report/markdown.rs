//! The report as Markdown for tickets: GitHub, GitLab and, where it converts Markdown, Jira.
//!
//! Captured text stands in code spans and fences where it can, and is escaped elsewhere, so that no reason phrase
//! becomes a link, a heading or a picture. Each call has its ladder as text, which renders anywhere, and as Mermaid.

use std::io::{self, Write};

use crate::catalogue::{Phrases, Word};
use crate::diagnosis::Severity;
use crate::report::decisive::decisive;
use crate::report::gatherer::Gathered;
use crate::report::incidents::Group;
use crate::report::mermaid;
use crate::report::pages::for_markdown;
use crate::report::record::{CallRecord, FindingRecord};
use crate::report::text::ended::how_it_ended;
use crate::report::text::words::{absent, confidence, counted, frames, grouped, title};
use crate::report::text::{Scope, Style, ladder_alone};
use crate::report::value::Tool;
use crate::report::view::{Provenance, drawn, else_found, in_english, privacy_words, telling};
use crate::untrusted::Untrusted;

/// Calls that are told in full.
const MOST_CALLS: usize = 50;
/// Incidents that are told.
const MOST_INCIDENTS: usize = 50;
/// Inputs that the heading names.
const MOST_INPUTS: usize = 20;
/// Numbers of calls of one incident that are told.
const MOST_NUMBERS: usize = 30;
/// Claims of a finding that its table has.
const MOST_CLAIMS: usize = 20;
/// Frames that a line cites.
const MOST_FRAMES: usize = 12;

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
    let style = &style.clone().for_files(style.width());
    let names: Vec<String> = gathered.inputs.iter().take(MOST_INPUTS).map(|input| plain(&input.file)).collect();
    writeln!(out, "# {}\n", names.join(", "))?;
    let words = &style.words;
    if let Some(marked) = privacy_words(words, &gathered.privacy) {
        writeln!(out, "**{}**\n", for_markdown(&marked))?;
    }
    if let Some(text) = in_english(words, gathered) {
        writeln!(out, "*{text}*\n")?;
    }
    summary(out, gathered, style)?;
    incidents(out, gathered, style)?;
    let all = drawn(gathered, scope, usize::MAX).len();
    let wanted = drawn(gathered, scope, MOST_CALLS);
    gathered.spool.each_record(|number| wanted.contains(&number), |record| call(out, &record, style))?;
    if all > wanted.len() {
        writeln!(out, "*{}*\n", counted(words, Word::MoreNotShown, (all - wanted.len()) as u64))?;
    }
    notes(out, words, gathered)?;
    writeln!(out, "## {}\n", words.word(Word::NavProvenance))?;
    let (colon, comma) = (words.word(Word::Colon), words.word(Word::Comma));
    for input in &gathered.inputs {
        let hash = input.sha256.as_deref().unwrap_or(words.word(Word::HashNone));
        let packets = counted(words, Word::Packets, input.packets);
        writeln!(out, "- {}{colon}{packets}{comma}SHA-256 `{hash}`", plain(&input.file))?;
    }
    let tool = Tool::this();
    let made_by = words.fill(Word::MadeBySmall, &[("tool", &format!("{} {}", tool.name, tool.version))]);
    writeln!(out, "- {made_by} {}", code(words, &provenance.command_for(words, &gathered.privacy)))
}

fn summary(out: &mut dyn Write, gathered: &Gathered, style: &Style) -> io::Result<()> {
    let words = &style.words;
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
        return writeln!(out, "{}\n", words.word(Word::NoSipSentence));
    }
    let with_failed = |count: u64, failed: u64| format!("{} ({})", grouped(count), grouped(failed));
    let seldom = |word, count: u64| (count > 0).then(|| (word, grouped(count)));
    let columns = [
        Some((Word::TileCalls, grouped(summary.calls))),
        Some((Word::TileAnswered, grouped(summary.answered))),
        Some((Word::TileFailed, grouped(summary.failed))),
        Some((Word::TileDropped, grouped(summary.dropped))),
        Some((Word::TileBusy, grouped(summary.told_busy()))),
        Some((Word::TileCancelled, grouped(summary.told_cancelled()))),
        seldom(Word::OutcomeRejected, summary.rejected),
        seldom(Word::OutcomeUnseen, summary.ended_unseen),
        Some((Word::TileUnfinished, grouped(summary.unfinished))),
        Some((Word::ColumnRegistrations, with_failed(summary.registrations, summary.registrations_failed))),
        Some((Word::ColumnOthers, with_failed(summary.other_transactions, summary.other_failed))),
    ];
    let (names, counts): (Vec<&str>, Vec<String>) =
        columns.into_iter().flatten().map(|(word, count)| (words.word(word), count)).unzip();
    writeln!(out, "| {} |", names.join(" | "))?;
    writeln!(out, "|{}", "--:|".repeat(names.len()))?;
    writeln!(out, "| {} |\n", counts.join(" | "))
}

fn incidents(out: &mut dyn Write, gathered: &Gathered, style: &Style) -> io::Result<()> {
    let groups: Vec<&Group> =
        gathered.groups.iter().filter(|group| group.is_incident() && group.selected > 0).collect();
    let words = &style.words;
    let comma = words.word(Word::Comma);
    for group in groups.iter().take(MOST_INCIDENTS) {
        let incident = &group.incident;
        let zone = &style.zone;
        let title = plain(&incident.title);
        writeln!(out, "## {}\n", words.fill(Word::IncidentTitle, &[("number", &group.number), ("title", &title)]))?;
        writeln!(
            out,
            "- {}{comma}{} {} – {} {}",
            counted(words, Word::Times, group.count),
            zone.day(incident.first),
            zone.time(incident.first),
            zone.day(incident.last),
            zone.time(incident.last)
        )?;
        if let Some(peer) = &incident.peer {
            let agent =
                incident.agent.as_ref().map(|agent| format!("{comma}{}", code(words, agent.raw()))).unwrap_or_default();
            writeln!(out, "- {} {}{agent}", words.word(Word::PeerAt), code(words, &style.names.beside(peer)))?;
        }
        for says in &incident.says {
            writeln!(out, "- {}", plain(says))?;
        }
        match (&incident.rule, incident.confidence) {
            (Some(rule), Some(sure)) => {
                let (sure, frames) = (confidence(words, sure), frames(words, &incident.frames, MOST_FRAMES));
                writeln!(out, "- {} `{rule}`{comma}{sure}{comma}{frames}", words.word(Word::RuleSmall))?;
            }
            _ => writeln!(out, "- {}", words.word(Word::NoRule))?,
        }
        let calls: Vec<String> = incident.calls.iter().take(MOST_NUMBERS).map(u32::to_string).collect();
        let more = if group.count > calls.len() as u64 { " …" } else { "" };
        writeln!(out, "- {} {}{more}\n", words.word(Word::CallsSmall), calls.join(", "))?;
        steps(out, &incident.fix)?;
    }
    Ok(())
}

fn call(out: &mut dyn Write, record: &CallRecord, style: &Style) -> io::Result<()> {
    let words = &style.words;
    writeln!(out, "## {}\n", for_markdown(&title(words, record)))?;
    writeln!(out, "**{}**\n", for_markdown(&how_it_ended(words, record).1))?;
    let mut call_ids: Vec<String> =
        record.legs.iter().map(|leg| leg.shown_call_id(|call_id| code(words, call_id.raw()))).collect();
    call_ids.dedup();
    writeln!(out, "Call-ID {}\n", call_ids.join(", "))?;
    match telling(record) {
        Some(finding) => of_finding(out, words, finding)?,
        None if record.unexplained => writeln!(out, "{}\n", words.word(Word::NoRuleSentence))?,
        None => {}
    }
    if let Some(origin) = &record.generated_by {
        writeln!(out, "**{}** {}\n", words.word(Word::LabelFrom), plain(&origin.words().into()))?;
    }
    if let Some(good) = &record.good_call {
        let good = plain(&good.words().into());
        writeln!(out, "{}\n", words.fill(Word::BesideAccepted, &[("words", &good)]))?;
    }
    meaning(out, words, record)?;
    others(out, words, record)?;
    let drawn = ladder_alone(record, style)?;
    writeln!(out, "````text\n{}\n````\n", in_fence(&drawn))?;
    writeln!(out, "```mermaid\n{}```\n", mermaid::diagram(record, style))
}

fn of_finding(out: &mut dyn Write, words: &Phrases, finding: &FindingRecord) -> io::Result<()> {
    let (comma, sure) = (words.word(Word::Comma), confidence(words, finding.confidence));
    writeln!(out, "**{}** (`{}`{comma}{sure})\n", plain(&finding.title), finding.rule)?;
    if !finding.explanation.is_empty() {
        writeln!(out, "{}\n", plain(&finding.explanation))?;
    }
    if !finding.claims.is_empty() {
        let columns = [Word::ColumnFrame, Word::ColumnField, Word::ColumnValue, Word::ColumnSays];
        writeln!(out, "| {} |\n|--:|---|---|---|", columns.map(|column| words.word(column)).join(" | "))?;
        for claim in finding.claims.iter().take(MOST_CLAIMS) {
            if let Some(not_seen) = absent(words, claim) {
                writeln!(out, "| {} | | | {} |", claim.frame, for_markdown(&not_seen))?;
                continue;
            }
            let value = code(words, claim.value.raw()).replace('|', "\\|");
            writeln!(out, "| {} | `{}` | {value} | {} |", claim.frame, claim.field, plain(&claim.says))?;
        }
        writeln!(out)?;
    }
    for refuted in &finding.refuted {
        let (ruled_out, colon) = (words.word(Word::RuledOutSmall), words.word(Word::Colon));
        writeln!(out, "- {ruled_out}{colon}`{}`{comma}{}", refuted.rule, plain(&refuted.why))?;
    }
    if !finding.refuted.is_empty() {
        writeln!(out)?;
    }
    steps(out, &finding.fix)?;
    match &finding.next_capture {
        Some(command) => {
            writeln!(
                out,
                "{}{}{}\n",
                words.word(Word::WhatSettles),
                words.word(Word::Colon),
                code(words, command.raw())
            )
        }
        None => Ok(()),
    }
}

/// What the code that decided the call means; when it is seen and what to do, where no finding says it.
fn meaning(out: &mut dyn Write, words: &Phrases, record: &CallRecord) -> io::Result<()> {
    let Some(entry) = decisive(record).and_then(|failure| failure.catalogue.as_ref()) else { return Ok(()) };
    let code = format!("{} {}", entry.code, entry.name);
    writeln!(out, "**{}**\n\n{}\n", words.fill(Word::WhatMeans, &[("code", &code)]), for_markdown(&entry.description))?;
    match telling(record) {
        Some(_) => Ok(()),
        None => writeln!(out, "{}\n\n{}\n", for_markdown(&entry.when), for_markdown(&entry.fix)),
    }
}

/// What else was found: problems whole, then facts in a line each.
fn others(out: &mut dyn Write, words: &Phrases, record: &CallRecord) -> io::Result<()> {
    let others = else_found(record);
    if others.is_empty() {
        return Ok(());
    }
    writeln!(out, "### {}\n", words.fill(Word::ElseFound, &[("count", &others.len())]))?;
    let (facts, problems): (Vec<_>, Vec<_>) =
        others.into_iter().partition(|finding| finding.severity == Severity::Info);
    for problem in problems {
        of_finding(out, words, problem)?;
    }
    for fact in &facts {
        let says = fact.says();
        let cited: Vec<_> = fact.claims.iter().map(|claim| claim.frame).collect();
        let cited = if cited.is_empty() { String::new() } else { format!(" ({})", frames(words, &cited, MOST_FRAMES)) };
        let (comma, colon) = (words.word(Word::Comma), words.word(Word::Colon));
        let sure = confidence(words, fact.confidence);
        writeln!(out, "- `{}`{comma}{sure}{colon}{}{cited}", fact.rule, plain(says))?;
    }
    if facts.is_empty() { Ok(()) } else { writeln!(out) }
}

fn steps(out: &mut dyn Write, fix: &[Untrusted]) -> io::Result<()> {
    for (index, step) in fix.iter().enumerate() {
        writeln!(out, "{}. {}", index + 1, plain(step))?;
    }
    if fix.is_empty() { Ok(()) } else { writeln!(out) }
}

fn notes(out: &mut dyn Write, words: &Phrases, gathered: &Gathered) -> io::Result<()> {
    if gathered.notes.is_empty() && gathered.inputs.iter().all(|input| input.oddities.is_empty()) {
        return Ok(());
    }
    writeln!(out, "## {}\n", words.word(Word::TheCapture))?;
    let (comma, colon) = (words.word(Word::Comma), words.word(Word::Colon));
    for note in &gathered.notes {
        let says = note.says();
        writeln!(out, "- `{}`{colon}{}", note.rule, plain(says))?;
    }
    for oddity in gathered.inputs.iter().flat_map(|input| &input.oddities) {
        let times = counted(words, Word::Times, oddity.count);
        writeln!(out, "- `{}`{comma}{times}{colon}{}", oddity.kind, plain(&oddity.says))?;
    }
    writeln!(out)
}

/// Captured text among our own.
fn plain(text: &Untrusted) -> String {
    // Addresses of pages must not become links by themselves.
    for_markdown(&text.for_terminal()).replace("://", ":\\//").replace("www.", "www\\.")
}

/// Captured text as a span of code. A backtick would end it: the span has a longer run of them around it than any
/// within.
fn code(words: &Phrases, text: &str) -> String {
    let text = Untrusted::from(text);
    let shown = without_links(&text.for_terminal());
    if shown.trim().is_empty() {
        return words.word(Word::Empty).into();
    }
    let longest = shown.split(|letter| letter != '`').map(str::len).max().unwrap_or_default();
    let fence = "`".repeat(longest + 1);
    // One that begins or ends the text would join the run; the spaces between are no part of the code.
    let space = if longest == 0 { "" } else { " " };
    format!("{fence}{space}{shown}{space}{fence}")
}

/// Text inside a fence: no run of backticks may end it.
fn in_fence(text: &str) -> String {
    inert(text.trim_end())
}

/// Code that stays code: nothing ends it, and a converter that looks for links inside finds none.
fn inert(text: &str) -> String {
    without_links(&text.replace('`', "'"))
}

fn without_links(text: &str) -> String {
    text.replace("](", "] (").replace("![", "! [")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn captured_text_is_no_markup() {
        assert_eq!(code(&Phrases::english(), "a`b"), "`` a`b ``");
        assert_eq!(code(&Phrases::english(), "`a``"), "``` `a`` ```");
        assert_eq!(code(&Phrases::english(), "ab"), "`ab`");
        assert_eq!(plain(&Untrusted::from("[x](http://evil)")), "\\[x\\](http:\\//evil)");
        assert!(plain(&Untrusted::from("<b>bold</b>")).starts_with("\\<b"));
    }
}
