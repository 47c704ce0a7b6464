//! What stands in a ladder beneath a failure: the cause, its proof, its rivals, the cure, and what the code means.
//!
//! The cause comes before the general meaning of the code, and nothing is told twice of one call.

use std::io;

use crate::diagnosis::Severity;
use crate::report::record::{CallRecord, FailureRecord, FindingRecord};
use crate::report::text::ladder::FIRST_LANE;
use crate::report::text::lines::{Line, Lines, value};
use crate::report::text::style::Ink;
use crate::report::text::words::frame;
use crate::sip::typed::{Because, Strict};
use crate::untrusted::Untrusted;

/// Claims of one finding that are printed.
pub(crate) const MOST_CLAIMS: usize = 6;
/// Steps of a fix that are printed.
const MOST_STEPS: usize = 4;
/// Headers beneath a failure.
const MOST_HEADERS: usize = 6;

/// What was told of a call already, or elsewhere, so that it is told once.
#[derive(Debug)]
pub(crate) struct Told {
    detail: Detail,
    /// The incident at which the cure stands.
    incident: Option<String>,
    /// The code of the failure beneath which the cause will be told.
    awaited: Option<u16>,
    /// Codes whose entry was printed.
    codes: Vec<u16>,
    /// What the strict parser refused.
    refusals: Vec<Untrusted>,
    /// Rules whose findings stand beneath the failure that they are about.
    rules: Vec<String>,
}

impl Told {
    /// True if a finding stands beneath a failure already.
    pub(crate) fn has_told(&self, finding: &FindingRecord) -> bool {
        self.rules.contains(&finding.rule)
    }

    /// Nothing yet, but for what stands at an incident. The cause will be told beneath a failure of the awaited code.
    pub(crate) fn nothing(detail: Detail, incident: Option<String>, awaited: Option<u16>) -> Told {
        Told { detail, incident, awaited, codes: Vec::new(), refusals: Vec::new(), rules: Vec::new() }
    }
}

/// How much of a code's entry is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Detail {
    /// What it means: the cause says the rest.
    Meaning,
    /// Also when it is seen and what to do, where no finding says it.
    Entry,
    /// All of it, whatever the findings say.
    Everything,
}

/// Which failure of the call it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    /// The one beneath which the cause is told.
    Explained,
    /// Another.
    Other,
}

/// The bar of the first lane, and the text beside it.
pub(crate) fn beside(lines: &mut Lines<'_>, label: &str, ink: Ink, text: &str) -> io::Result<()> {
    let bar = Line::new().plain(" ".repeat(FIRST_LANE)).plain("│    ");
    let first = if label.is_empty() { bar.clone() } else { bar.clone().ink(ink, format!("{label:<4}")).plain(" ") };
    let rest = if label.is_empty() { bar } else { bar.plain("     ") };
    lines.wrapped(first, &rest, text)
}

/// A point of a list beside the bar.
fn pointed(lines: &mut Lines<'_>, text: &str) -> io::Result<()> {
    let bar = Line::new().plain(" ".repeat(FIRST_LANE)).plain("│    ");
    lines.wrapped(bar.clone().plain("· "), &bar.plain("  "), text)
}

/// What stands beneath a failure. The cause is told beneath one of them.
pub(crate) fn of_failure(
    lines: &mut Lines<'_>,
    record: &CallRecord,
    failure: &FailureRecord,
    role: Role,
    told: &mut Told,
) -> io::Result<()> {
    let has_cause = role == Role::Explained;
    if failure.normal {
        let words = failure.normal_step.map_or("normal", |step| step.words());
        return beside(lines, "", Ink::Faint, &format!("· {words}"));
    }
    if has_cause {
        told.awaited = None;
    }
    let is_told_once = told.codes.contains(&failure.status) || told.awaited == Some(failure.status);
    let is_repeated = record.is_passed_on(failure) && is_told_once;
    if is_repeated && !has_cause {
        return beside(lines, "", Ink::Faint, "· passed on");
    }
    for header in failure.headers.iter().filter(|header| is_shown(failure, &header.name)).take(MOST_HEADERS) {
        beside(lines, "", Ink::Plain, &format!("{}: {}", header.name, value(&header.value)))?;
    }
    if has_cause {
        match record.cause_finding() {
            Some(finding) => cause(lines, finding, told)?,
            None if record.unexplained => unexplained(lines)?,
            None => {}
        }
        origin(lines, record)?;
        good_call(lines, record)?;
    }
    let about = record.finding_about(failure).filter(|_| !has_cause);
    if let Some(finding) = about.filter(|finding| record.cause.as_deref() != Some(&finding.rule)) {
        told.rules.push(finding.rule.clone());
        cause(lines, finding, told)?;
    }
    // Of the code that the cause explains, the meaning follows the cause.
    let comes_later = !has_cause && told.awaited == Some(failure.status);
    if !comes_later && !told.codes.contains(&failure.status) {
        told.codes.push(failure.status);
        let detail =
            if told.detail == Detail::Entry && record.is_told_of(failure) { Detail::Meaning } else { told.detail };
        meaning(lines, failure, detail)?;
    }
    strict(lines, "response", failure.strict.as_ref(), told)?;
    strict(lines, "request", failure.strict_request.as_ref(), told)
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

fn cause(lines: &mut Lines<'_>, finding: &FindingRecord, told: &Told) -> io::Result<()> {
    let ink = match finding.severity {
        Severity::Error => Ink::Bad,
        Severity::Warning => Ink::Doubtful,
        Severity::Info => Ink::Faint,
    };
    let says = if finding.explanation.is_empty() { &finding.title } else { &finding.explanation };
    let text = format!("{} ({}): {}", finding.rule, finding.confidence.word(), says.for_terminal());
    beside(lines, "here", ink, &text)?;
    for claim in finding.claims.iter().take(MOST_CLAIMS) {
        let (frame, what, says) = (frame(claim.frame), value(&claim.value), claim.says.for_terminal());
        let text = match claim.field.as_str() {
            "absent" => format!("not seen after frame {frame}: {what}: {says}"),
            field => format!("frame {frame} {field} = {what}: {says}"),
        };
        pointed(lines, &text)?;
    }
    for refuted in &finding.refuted {
        beside(lines, "not", Ink::Faint, &format!("{}: {}", refuted.rule, refuted.why.for_terminal()))?;
    }
    match &told.incident {
        Some(incident) => beside(lines, "fix", Ink::Good, &format!("as told at {incident}"))?,
        None => steps(lines, finding)?,
    }
    if let Some(command) = &finding.next_capture {
        beside(lines, "next", Ink::Good, &format!("to be sure: {}", command.for_terminal()))?;
    }
    Ok(())
}

/// Who made the response, and on what ground that is said.
fn origin(lines: &mut Lines<'_>, record: &CallRecord) -> io::Result<()> {
    let Some(origin) = &record.generated_by else { return Ok(()) };
    beside(lines, "from", Ink::Faint, &origin.words())
}

/// The nearest call that was accepted, and what differs: a hint, and no cause.
fn good_call(lines: &mut Lines<'_>, record: &CallRecord) -> io::Result<()> {
    let Some(good) = &record.good_call else { return Ok(()) };
    beside(lines, "good", Ink::Faint, &good.words())
}

fn steps(lines: &mut Lines<'_>, finding: &FindingRecord) -> io::Result<()> {
    for (index, step) in finding.fix.iter().take(MOST_STEPS).enumerate() {
        let label = if index == 0 { "fix" } else { "    " };
        beside(lines, label, Ink::Good, &format!("{}. {}", index + 1, step.for_terminal()))?;
    }
    Ok(())
}

fn unexplained(lines: &mut Lines<'_>) -> io::Result<()> {
    let text = "unexplained: no rule fits what the capture shows. What the code means in general:";
    beside(lines, "here", Ink::Doubtful, text)
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
        Because::ParserGap(gap) => format!("our own check finds no broken rule: {gap}"),
        // A note says so of all messages that are cut.
        Because::CutMessage => return Ok(()),
    };
    let text = format!("strict parser: it refuses this {which} ({}); {because}", value(&refusal.says));
    beside(lines, "", Ink::Faint, &text)
}

/// The cause of a call that ended without a response that fails it.
pub(crate) fn without_failure(lines: &mut Lines<'_>, record: &CallRecord, told: &Told) -> io::Result<()> {
    match record.cause_finding() {
        Some(finding) => cause(lines, finding, told)?,
        None if record.unexplained => {
            let text = "unexplained: there is no final response, and no rule fits what the capture shows";
            beside(lines, "here", Ink::Doubtful, text)?;
        }
        None => {}
    }
    good_call(lines, record)
}
