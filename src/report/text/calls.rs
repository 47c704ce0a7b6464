//! Calls, each with its ladder and the failure explained in its place.

use std::collections::BTreeMap;
use std::io;

use unicode_width::UnicodeWidthStr;

use crate::call::Outcome;
use crate::diagnosis::{Confidence, Severity};
use crate::report::gatherer::Gathered;
use crate::report::incidents::Group;
use crate::report::record::{CallRecord, FailureRecord, FindingRecord, Rung};
use crate::report::text::Scope;
use crate::report::text::incidents::{MOST_NUMBERS, numbers};
use crate::report::text::ladder::{self, FIRST_LANE, Lanes, Mark, Piece};
use crate::report::text::lines::{Line, Lines, value};
use crate::report::text::style::Ink;
use crate::report::text::words::{counted, frame, frames, outcome, title};
use crate::sip::typed::{Because, Strict};
use crate::untrusted::Untrusted;

/// Claims of one finding that are printed.
const MOST_CLAIMS: usize = 6;
/// Steps of a fix that are printed.
const MOST_STEPS: usize = 4;
/// Headers beneath a failure.
const MOST_HEADERS: usize = 6;
/// Legs whose Call-IDs are printed.
const MOST_LEGS: usize = 6;

pub(crate) fn write(lines: &mut Lines<'_>, gathered: &mut Gathered, scope: Scope) -> io::Result<()> {
    let Gathered { spool, groups, .. } = gathered;
    let by_kept: BTreeMap<u32, &Group> = groups.iter().map(|group| (group.kept, group)).collect();
    let wanted = |number: u32| scope == Scope::Everything || by_kept.contains_key(&number);
    spool.each_record(wanted, |record| {
        lines.empty()?;
        match is_worth_a_ladder(&record) || scope == Scope::Everything {
            true => whole(lines, &record, scope)?,
            false => brief(lines, &record)?,
        }
        match by_kept.get(&record.id).filter(|_| scope == Scope::Trouble) {
            Some(group) => others(lines, group),
            None => Ok(()),
        }
    })
}

/// Calls that the caller gave up, and those that went well but for a warning, are told in two lines.
fn is_worth_a_ladder(record: &CallRecord) -> bool {
    let calm = matches!(
        record.outcome,
        Outcome::Cancelled | Outcome::Answered | Outcome::Registered | Outcome::Accepted | Outcome::Unfinished
    );
    let is_given_up = record.outcome == Outcome::Cancelled;
    !calm
        || record.findings.iter().any(|finding| finding.severity == Severity::Error)
        || !is_given_up && record.failures.iter().any(|failure| !failure.normal)
}

fn others(lines: &mut Lines<'_>, group: &Group) -> io::Result<()> {
    let more = group.count.saturating_sub(1);
    if more == 0 {
        return Ok(());
    }
    let rest: Vec<u32> = group.incident.calls.iter().copied().filter(|number| *number != group.kept).collect();
    let rest = &rest[..rest.len().min(MOST_NUMBERS)];
    let same = if group.incident.rule.is_some() { "with the same cause" } else { "that ended the same way" };
    let text = format!("{} {same}: {}", counted(more, "more"), numbers(rest, more));
    let text = text.replacen("mores", "more", 1);
    let hint = "(--call N, --all)";
    let line = Line::new().plain(text);
    let column = lines.width().saturating_sub(hint.width());
    if line.width() + 2 <= column {
        return lines.line(line.filled_to(column).ink(Ink::Faint, hint));
    }
    lines.line(line)
}

fn heading(lines: &mut Lines<'_>, record: &CallRecord) -> io::Result<()> {
    let (ink, words) = outcome(record);
    let title = title(record);
    let line = Line::new().ink(Ink::Heading, title);
    if line.width() + words.width() + 5 <= lines.width() {
        return lines.line(line.plain("     ").ink(ink, words));
    }
    lines.line(line)?;
    lines.line(Line::new().plain("  ").ink(ink, words))
}

fn brief(lines: &mut Lines<'_>, record: &CallRecord) -> io::Result<()> {
    heading(lines, record)?;
    let told: Vec<&FindingRecord> = record
        .findings
        .iter()
        .filter(|finding| finding.severity != Severity::Info || record.cause.as_deref() == Some(&finding.rule))
        .collect();
    for finding in told {
        let cited: Vec<_> = finding.claims.iter().map(|claim| claim.frame).collect();
        let cited = if cited.is_empty() { String::new() } else { format!("  ({})", frames(&cited, MOST_CLAIMS)) };
        let says = if finding.explanation.is_empty() { &finding.title } else { &finding.explanation };
        let text = format!("{}, {}: {}{cited}", finding.rule, finding.confidence.word(), says.for_terminal());
        lines.wrapped(Line::new().plain("  "), &Line::new().plain("  "), &text)?;
    }
    Ok(())
}

fn whole(lines: &mut Lines<'_>, record: &CallRecord, scope: Scope) -> io::Result<()> {
    heading(lines, record)?;
    legs(lines, record)?;
    lines.empty()?;
    let lanes = Lanes::of(record, lines.width());
    ladder::heading(lines, &lanes)?;
    let place = place_of_cause(record);
    let mut told = Told::default();
    for piece in ladder::shortened(record, scope) {
        let rung = match piece {
            Piece::Rung(rung) => rung,
            Piece::Skipped(count) => {
                let words = format!("┆ … {}", counted(count as u64, "message"));
                lines.line(Line::new().plain(" ".repeat(FIRST_LANE)).ink(Ink::Faint, words))?;
                continue;
            }
        };
        let failure = record.failures.iter().find(|failure| is_of(rung, failure));
        let mark = match failure {
            Some(failure) if failure.normal => Mark::Normal,
            Some(_) => Mark::Failed,
            None => Mark::None,
        };
        ladder::rung(lines, &lanes, record, rung, mark)?;
        if let Some(failure) = failure {
            let here = place == Some(failure.frame) && is_first_of_frame(record, failure);
            let detail = match scope {
                Scope::Trouble if record.cause.is_some() => Detail::Meaning,
                _ => Detail::Entry,
            };
            of_failure(lines, record, failure, here, (detail, &mut told))?;
        }
    }
    if place.is_none() {
        without_failure(lines, record)?;
    }
    findings(lines, record)
}

/// The failure that a rung shows: same frame, code and sender.
fn is_of(rung: &Rung, failure: &FailureRecord) -> bool {
    rung.frame == failure.frame && rung.status == Some(failure.status) && rung.from_addr == failure.from_addr
}

fn is_first_of_frame(record: &CallRecord, failure: &FailureRecord) -> bool {
    let first = record.failures.iter().find(|other| other.frame == failure.frame);
    first.is_some_and(|first| std::ptr::eq(first, failure))
}

fn legs(lines: &mut Lines<'_>, record: &CallRecord) -> io::Result<()> {
    if let Some(uri) = &record.request_uri {
        lines.wrapped(
            Line::new().ink(Ink::Faint, "Request "),
            &Line::new().plain("        "),
            &format!("{} {}", opening_method(record), value(uri)),
        )?;
    }
    let mut told: Vec<&str> = Vec::new();
    for leg in &record.legs {
        if told.contains(&leg.call_id.raw()) || told.len() >= MOST_LEGS {
            continue;
        }
        told.push(leg.call_id.raw());
        let linked = leg.linked_by.as_ref().map(|by| format!("  (same call by {})", value(by))).unwrap_or_default();
        let first = Line::new().ink(Ink::Faint, "Call-ID ");
        lines.wrapped(first, &Line::new().plain("        "), &format!("{}{linked}", value(&leg.call_id)))?;
    }
    Ok(())
}

/// The method of the first request.
fn opening_method(record: &CallRecord) -> String {
    let request = record.ladder.iter().find(|rung| rung.status.is_none());
    request.map(|rung| value(&rung.label)).unwrap_or_default()
}

/// The frame beneath which the cause is told: the failure that its claims cite, else the last one that is no normal
/// step; none if the call did not fail by a response.
fn place_of_cause(record: &CallRecord) -> Option<crate::report::record::Frame> {
    let judged = || record.failures.iter().filter(|failure| !failure.normal || record.outcome == Outcome::Cancelled);
    let cited = record
        .cause_finding()
        .and_then(|finding| judged().find(|failure| finding.claims.iter().any(|claim| claim.frame == failure.frame)));
    if record.outcome == Outcome::Answered {
        return cited.map(|failure| failure.frame);
    }
    let arose = judged().rev().find(|failure| !record.is_passed_on(failure));
    cited.or(arose).map(|failure| failure.frame)
}

/// The bar of the first lane, and the text beside it.
fn beside(lines: &mut Lines<'_>, label: &str, ink: Ink, text: &str) -> io::Result<()> {
    let bar = Line::new().plain(" ".repeat(FIRST_LANE)).plain("│    ");
    let first = if label.is_empty() { bar.clone() } else { bar.clone().ink(ink, format!("{label:<4}")).plain(" ") };
    let rest = if label.is_empty() { bar } else { bar.plain("     ") };
    lines.wrapped(first, &rest, text)
}

fn of_failure(
    lines: &mut Lines<'_>,
    record: &CallRecord,
    failure: &FailureRecord,
    has_cause: bool,
    (detail, told): (Detail, &mut Told),
) -> io::Result<()> {
    if failure.normal {
        let words = failure.normal_step.map_or("normal", |step| step.words());
        return beside(lines, "", Ink::Faint, &format!("· {words}"));
    }
    let is_repeated = record.is_passed_on(failure) && told.codes.contains(&failure.status);
    if is_repeated && !has_cause {
        return beside(lines, "", Ink::Faint, "· passed on");
    }
    for header in failure.headers.iter().filter(|header| is_shown(failure, &header.name)).take(MOST_HEADERS) {
        beside(lines, "", Ink::Plain, &format!("{}: {}", header.name, value(&header.value)))?;
    }
    if has_cause {
        match record.cause_finding() {
            Some(finding) => cause(lines, finding)?,
            None if record.unexplained => unexplained(lines)?,
            None => {}
        }
    }
    if !told.codes.contains(&failure.status) {
        told.codes.push(failure.status);
        meaning(lines, failure, detail)?;
    }
    strict(lines, "response", failure.strict.as_ref(), told)?;
    strict(lines, "request", failure.strict_request.as_ref(), told)
}

/// What was told of a call already, so that it is told once.
#[derive(Debug, Default)]
struct Told {
    /// Codes whose entry was printed.
    codes: Vec<u16>,
    /// What the strict parser refused.
    refusals: Vec<Untrusted>,
}

/// Of the telling headers, those that tell something with this code.
fn is_shown(failure: &FailureRecord, name: &str) -> bool {
    match name {
        "Contact" => (300..400).contains(&failure.status) || failure.status == 485,
        "Accept" => matches!(failure.status, 406 | 415 | 488 | 606),
        "Allow" => failure.status == 405,
        "Require" => failure.status == 421,
        "Server" => false,
        _ => true,
    }
}

fn cause(lines: &mut Lines<'_>, finding: &FindingRecord) -> io::Result<()> {
    let ink = match finding.severity {
        Severity::Error => Ink::Bad,
        Severity::Warning => Ink::Doubtful,
        Severity::Info => Ink::Faint,
    };
    let says = if finding.explanation.is_empty() { &finding.title } else { &finding.explanation };
    let text = format!("{} ({}): {}", finding.rule, finding.confidence.word(), says.for_terminal());
    beside(lines, "here", ink, &text)?;
    for claim in finding.claims.iter().take(MOST_CLAIMS) {
        let shown = match claim.field.as_str() {
            "absent" => format!(
                "frame {}: after it, no {}: {}",
                frame(claim.frame),
                value(&claim.value),
                claim.says.for_terminal()
            ),
            field => {
                format!("frame {} {field} = {}: {}", frame(claim.frame), value(&claim.value), claim.says.for_terminal())
            }
        };
        beside(lines, "", Ink::Plain, &format!("· {shown}"))?;
    }
    for refuted in &finding.refuted {
        beside(lines, "not", Ink::Faint, &format!("{}: {}", refuted.rule, refuted.why.for_terminal()))?;
    }
    for (index, step) in finding.fix.iter().take(MOST_STEPS).enumerate() {
        let label = if index == 0 { "fix" } else { "" };
        let text = format!("{}. {}", index + 1, step.for_terminal());
        beside(lines, if label.is_empty() { "    " } else { label }, Ink::Good, &text)?;
    }
    if let Some(command) = &finding.next_capture {
        beside(lines, "next", Ink::Good, &format!("to be sure: {}", command.for_terminal()))?;
    }
    Ok(())
}

fn unexplained(lines: &mut Lines<'_>) -> io::Result<()> {
    let text = "unexplained: no rule fits what the capture shows. What the code means in general:";
    beside(lines, "here", Ink::Doubtful, text)
}

/// How much of a code's entry is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Detail {
    /// What it means: the cause says the rest.
    Meaning,
    /// Also when it is seen and what to do.
    Entry,
}

/// What the code means in general.
fn meaning(lines: &mut Lines<'_>, failure: &FailureRecord, detail: Detail) -> io::Result<()> {
    let Some(entry) = &failure.catalogue else { return Ok(()) };
    let code = entry.code.to_string();
    beside(lines, &code, Ink::Heading, &format!("{}: {}", entry.name, entry.description))?;
    if detail == Detail::Meaning {
        return Ok(());
    }
    beside(lines, "when", Ink::Faint, &entry.when)?;
    beside(lines, "do", Ink::Faint, &entry.fix)
}

fn strict(lines: &mut Lines<'_>, which: &str, read: Option<&Strict>, told: &mut Told) -> io::Result<()> {
    let Some(Strict::Refused(refusal)) = read else { return Ok(()) };
    if told.refusals.contains(&refusal.says) {
        return Ok(());
    }
    told.refusals.push(refusal.says.clone());
    let because = match &refusal.because {
        Because::BrokenMessage(fault) => format!("the message breaks RFC 3261: {fault}"),
        Because::ParserGap(gap) => format!("no fault of the sender: {gap}"),
        Because::CutMessage => "the capture does not hold the whole message".into(),
    };
    let text = format!("strict parser: it refuses this {which} ({}); {because}", value(&refusal.says));
    beside(lines, "", Ink::Faint, &text)
}

/// The cause of a call that ended without a response that fails it.
fn without_failure(lines: &mut Lines<'_>, record: &CallRecord) -> io::Result<()> {
    match record.cause_finding() {
        Some(finding) => cause(lines, finding),
        None if record.unexplained => {
            let text = "unexplained: there is no final response, and no rule fits what the capture shows";
            beside(lines, "here", Ink::Doubtful, text)
        }
        None => Ok(()),
    }
}

/// What else was found: problems first in full, then facts in a line each.
fn findings(lines: &mut Lines<'_>, record: &CallRecord) -> io::Result<()> {
    let others = || record.findings.iter().filter(|finding| record.cause.as_deref() != Some(finding.rule.as_str()));
    for finding in others() {
        let ink = match (finding.severity, finding.confidence) {
            (Severity::Error, _) => Ink::Bad,
            (Severity::Warning, _) => Ink::Doubtful,
            (Severity::Info, Confidence::Unseen) => Ink::Doubtful,
            (Severity::Info, _) => Ink::Faint,
        };
        let label = if finding.severity == Severity::Info { "fact" } else { "also" };
        let cited: Vec<_> = finding.claims.iter().map(|claim| claim.frame).collect();
        let cited = if cited.is_empty() { String::new() } else { format!(" ({})", frames(&cited, MOST_CLAIMS)) };
        let says = if finding.explanation.is_empty() { &finding.title } else { &finding.explanation };
        let text = format!("{}, {}: {}{cited}", finding.rule, finding.confidence.word(), says.for_terminal());
        lines.wrapped(Line::new().plain("  ").ink(ink, label).plain("  "), &Line::new().plain("        "), &text)?;
        if finding.severity != Severity::Info
            && let Some(step) = finding.fix.first()
        {
            let text = format!("→ {}", step.for_terminal());
            lines.wrapped(Line::new().plain("        "), &Line::new().plain("        "), &text)?;
        }
        if let Some(command) = &finding.next_capture {
            let text = format!("next: {}", command.for_terminal());
            lines.wrapped(Line::new().plain("        "), &Line::new().plain("        "), &text)?;
        }
    }
    if record.messages_not_kept > 0 {
        let text = format!(
            "{} of this call were counted and not kept",
            counted(u64::from(record.messages_not_kept), "message")
        );
        lines.wrapped(Line::new().plain("  "), &Line::new().plain("  "), &text)?;
    }
    Ok(())
}
