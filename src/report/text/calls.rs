//! Calls, each with its ladder and the failure explained in its place.

use std::collections::BTreeMap;
use std::io;

use unicode_width::UnicodeWidthStr;

use crate::call::Outcome;
use crate::catalogue::Word;
use crate::diagnosis::{Confidence, Severity};
use crate::report::gatherer::Gathered;
use crate::report::incidents::Group;
use crate::report::record::{CallRecord, FailureRecord, FindingRecord};
use crate::report::text::Scope;
use crate::report::text::ended::how_it_ended;
use crate::report::text::explained::{self, Detail, MOST_CLAIMS, Role, Told};
use crate::report::text::incidents::{MOST_NUMBERS, numbers, printed_as};
use crate::report::text::ladder::{self, Columns, Piece};
use crate::report::text::lines::{Line, Lines, padded, value};
use crate::report::text::style::Ink;
use crate::report::text::words::{confidence, counted, frames, grouped, title};

/// Legs whose Call-IDs are printed.
const MOST_LEGS: usize = 6;

pub(crate) fn write(lines: &mut Lines<'_>, gathered: &mut Gathered, scope: Scope) -> io::Result<()> {
    let days = days(lines, gathered);
    let Gathered { spool, groups, notes, .. } = gathered;
    let told = groups.iter().filter(|group| !group.is_told_by(notes));
    let by_kept: BTreeMap<u32, &Group> = told.map(|group| (group.kept, group)).collect();
    let wanted = |number: u32| scope == Scope::Everything || by_kept.contains_key(&number);
    spool.each_record(wanted, |record| {
        lines.empty()?;
        let group = by_kept.get(&record.id).filter(|_| scope == Scope::Trouble);
        let incident = group.and_then(|group| printed_as(&lines.style.words, group));
        match is_worth_a_ladder(&record) || scope == Scope::Everything {
            true => whole(lines, &record, scope, days, incident)?,
            false => brief(lines, &record)?,
        }
        match group {
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
        || !is_given_up && record.failures.iter().any(|failure| !failure.normal && !record.is_told_of(failure))
}

fn others(lines: &mut Lines<'_>, group: &Group) -> io::Result<()> {
    let more = group.count.saturating_sub(1);
    if more == 0 {
        return Ok(());
    }
    let rest: Vec<u32> = group.incident.calls.iter().copied().filter(|number| *number != group.kept).collect();
    let rest = &rest[..rest.len().min(MOST_NUMBERS)];
    let same = if group.incident.rule.is_some() { Word::MoreSameCause } else { Word::MoreSameEnd };
    let values = (grouped(more), numbers(rest, more));
    let text = lines.style.words.count(same, more, &[("count", &values.0), ("calls", &values.1)]);
    let hint = "(--call N, --all)";
    let line = Line::new().plain(text);
    let column = lines.width().saturating_sub(hint.width());
    if line.width() + 2 <= column {
        return lines.line(line.filled_to(column).ink(Ink::Faint, hint));
    }
    lines.line(line)
}

fn heading(lines: &mut Lines<'_>, record: &CallRecord) -> io::Result<()> {
    let (ink, words) = how_it_ended(&lines.style.words, record);
    let title = title(&lines.style.words, record);
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
        .filter(|finding| {
            let is_about_failure = || {
                let mut judged = record.failures.iter().filter(|failure| !failure.normal);
                judged.any(|failure| record.finding_about(failure).is_some_and(|about| about.rule == finding.rule))
            };
            finding.severity != Severity::Info || record.cause.as_deref() == Some(&finding.rule) || is_about_failure()
        })
        .collect();
    for finding in told {
        let text = sentence(lines, finding, "  ");
        lines.wrapped(Line::new().plain("  "), &Line::new().plain("  "), &text)?;
        if finding.severity != Severity::Info
            && let Some(step) = finding.fix.first()
        {
            let text = format!("→ {}", step.for_terminal());
            lines.wrapped(Line::new().plain("  "), &Line::new().plain("    "), &text)?;
        }
    }
    Ok(())
}

/// `trunk-congested, proven: … (frames 3 4)`.
fn sentence(lines: &Lines<'_>, finding: &FindingRecord, gap: &str) -> String {
    let words = &lines.style.words;
    let cited: Vec<_> = finding.claims.iter().map(|claim| claim.frame).collect();
    let cited = match cited.is_empty() {
        true => String::new(),
        false => format!("{gap}({})", frames(words, &cited, MOST_CLAIMS)),
    };
    let says = finding.says();
    let (comma, colon) = (words.word(Word::Comma), words.word(Word::Colon));
    let sure = confidence(words, finding.confidence);
    format!("{}{comma}{sure}{colon}{}{cited}", finding.rule, says.for_terminal())
}

/// If times alone tell when a call was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Days {
    /// All is of one day.
    One,
    /// The day is to be told.
    Several,
}

fn days(lines: &Lines<'_>, gathered: &Gathered) -> Days {
    let moments = gathered.inputs.iter().flat_map(|input| [input.first, input.last]).flatten();
    let mut days: Vec<String> = moments.map(|moment| lines.style.zone.day(moment)).collect();
    days.dedup();
    if days.len() > 1 { Days::Several } else { Days::One }
}

fn whole(
    lines: &mut Lines<'_>,
    record: &CallRecord,
    scope: Scope,
    days: Days,
    incident: Option<String>,
) -> io::Result<()> {
    heading(lines, record)?;
    legs(lines, record)?;
    lines.empty()?;
    let columns = Columns::of(record, lines.width());
    ladder::heading(lines, &columns)?;
    if days == Days::Several {
        ladder::day(lines, &columns, record.started)?;
    }
    let place = place_of_cause(record);
    let detail = match scope {
        Scope::Trouble if record.cause.is_some() => Detail::Meaning,
        Scope::Trouble => Detail::Entry,
        Scope::Everything => Detail::Everything,
    };
    let explained = record.failures.iter().find(|failure| place == Some(failure.frame));
    let mut told = Told::nothing(detail, incident, explained.map(|failure| failure.status));
    for piece in ladder::shortened(record, scope) {
        let rung = match piece {
            Piece::Rung(rung) => rung,
            Piece::Skipped(count) => {
                ladder::skipped(lines, count)?;
                continue;
            }
        };
        ladder::rung(lines, &columns, record, rung)?;
        if let Some(failure) = record.failure_at(rung) {
            let is_here = place == Some(failure.frame) && is_first_of_frame(record, failure);
            let role = if is_here { Role::Explained } else { Role::Other };
            explained::of_failure(lines, record, failure, role, &mut told)?;
        }
    }
    if place.is_none() {
        explained::without_failure(lines, record, &told)?;
    }
    findings(lines, record, &told)
}

fn is_first_of_frame(record: &CallRecord, failure: &FailureRecord) -> bool {
    let first = record.failures.iter().find(|other| other.frame == failure.frame);
    first.is_some_and(|first| std::ptr::eq(first, failure))
}

fn legs(lines: &mut Lines<'_>, record: &CallRecord) -> io::Result<()> {
    let words = lines.style.words;
    let request = words.word(Word::LabelRequest);
    let label = request.width().max("Call-ID".width()) + 1;
    let rest = Line::new().plain(" ".repeat(label));
    if let Some(uri) = &record.request_uri {
        let text = format!("{} {}", opening_method(record), value(uri));
        lines.wrapped(Line::new().ink(Ink::Faint, padded(request, label)), &rest, &text)?;
    }
    let mut told: Vec<&str> = Vec::new();
    for leg in &record.legs {
        if told.contains(&leg.call_id.raw()) || told.len() >= MOST_LEGS {
            continue;
        }
        told.push(leg.call_id.raw());
        let same_call = |by| format!("  {}", words.fill(Word::SameCallBy, &[("by", &value(by))]));
        let linked = leg.linked_by.as_ref().map(same_call).unwrap_or_default();
        let first = Line::new().ink(Ink::Faint, padded("Call-ID", label));
        lines.wrapped(first, &rest, &format!("{}{linked}", leg.shown_call_id(value)))?;
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
    // What became of a CANCEL decides nothing.
    let arose = || judged().rev().filter(|failure| !record.is_passed_on(failure));
    let decisive = arose().find(|failure| failure.method.raw() != "CANCEL");
    cited.or(decisive).or_else(|| arose().next()).map(|failure| failure.frame)
}

/// What else was found: problems first in full, then facts in a line each.
fn findings(lines: &mut Lines<'_>, record: &CallRecord, told: &Told) -> io::Result<()> {
    let words = lines.style.words;
    let (fact, also) = (words.word(Word::LabelFact), words.word(Word::LabelAlso));
    let column = fact.width().max(also.width());
    let rest = Line::new().plain(" ".repeat(column + 4));
    let others = || record.findings.iter().filter(|finding| record.cause.as_deref() != Some(finding.rule.as_str()));
    for finding in others().filter(|finding| !told.has_told(finding)) {
        let ink = match (finding.severity, finding.confidence) {
            (Severity::Error, _) => Ink::Bad,
            (Severity::Warning, _) => Ink::Doubtful,
            (Severity::Info, Confidence::Unseen) => Ink::Doubtful,
            (Severity::Info, _) => Ink::Faint,
        };
        let label = if finding.severity == Severity::Info { fact } else { also };
        let text = sentence(lines, finding, " ");
        lines.wrapped(Line::new().plain("  ").ink(ink, padded(label, column)).plain("  "), &rest, &text)?;
        if finding.severity != Severity::Info
            && let Some(step) = finding.fix.first()
        {
            let text = format!("→ {}", step.for_terminal());
            lines.wrapped(rest.clone(), &rest, &text)?;
        }
        if let Some(command) = &finding.next_capture {
            let text = words.fill(Word::NextCapture, &[("command", &command.for_terminal())]);
            lines.wrapped(rest.clone(), &rest, &text)?;
        }
    }
    if record.messages_not_kept > 0 {
        let text = counted(&words, Word::NotKept, u64::from(record.messages_not_kept));
        lines.wrapped(Line::new().plain("  "), &Line::new().plain("  "), &text)?;
    }
    Ok(())
}
