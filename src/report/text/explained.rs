//! What stands in a ladder beneath a failure: the cause, its proof, its rivals, the cure, and what the code means.
//!
//! The cause comes before the general meaning of the code, and nothing is told twice of one call.

use std::fmt::Display;
use std::io;

use crate::call::{NormalStep, Outcome};
use crate::catalogue::Word;
use crate::diagnosis::Severity;
use crate::report::record::{CallRecord, FailureRecord, FindingRecord};
use crate::report::text::ladder::FIRST_LANE;
use crate::report::text::lines::{Line, Lines, columns, padded, value};
use crate::report::text::style::Ink;
use crate::report::text::words::{absent, confidence};
use crate::sip::typed::{Because, Strict};
use crate::untrusted::Untrusted;

/// Claims of one finding that are printed.
pub(crate) const MOST_CLAIMS: usize = 6;
/// Steps of a fix that are printed.
const MOST_STEPS: usize = 4;
/// Headers beneath a failure.
const MOST_HEADERS: usize = 6;

/// Labels that stand above each other.
const LABELS: [Word; 8] = [
    Word::LabelHere,
    Word::LabelNot,
    Word::LabelDo,
    Word::LabelNext,
    Word::LabelFrom,
    Word::LabelGood,
    Word::LabelWhen,
    Word::LabelMeans,
];
/// Columns of a label, at least: a code.
const LABEL: usize = 4;

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
    if label.is_empty() {
        return lines.wrapped(bar.clone(), &bar, text);
    }
    let column = LABELS.iter().map(|word| columns(lines.style.words.word(*word))).fold(LABEL, usize::max);
    let first = bar.clone().ink(ink, padded(label, column)).plain(" ");
    lines.wrapped(first, &bar.plain(" ".repeat(column + 1)), text)
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
    let words = lines.style.words;
    let has_cause = role == Role::Explained;
    if has_cause {
        told.awaited = None;
    }
    if failure.normal {
        let step = match failure.normal_step {
            Some(NormalStep::LaterTryAnswered) if failure.method.raw() != "INVITE" => Word::NormalLaterOther,
            step => step.map_or(Word::Normal, of_step),
        };
        // A challenge that the cause cites for calling a nonce stale is part of the fault, and no normal step.
        if !record.cites_as_stale(failure) {
            beside(lines, "", Ink::Faint, &format!("· {}", words.word(step)))?;
        }
        // What ended the call stands beneath the 487 of its CANCEL, which is a normal step all the same.
        return record.cause_finding().filter(|_| has_cause).map_or(Ok(()), |finding| cause(lines, finding, told));
    }
    let is_told_once = told.codes.contains(&failure.status) || told.awaited == Some(failure.status);
    let is_repeated = record.is_passed_on(failure) && is_told_once;
    if is_repeated && !has_cause {
        return beside(lines, "", Ink::Faint, &format!("· {}", words.word(Word::PassedOn)));
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
    strict(lines, Word::StrictResponse, failure.strict.as_ref(), told)?;
    strict(lines, Word::StrictRequest, failure.strict_request.as_ref(), told)
}

/// Why a response that looks like a failure is none.
fn of_step(step: NormalStep) -> Word {
    match step {
        NormalStep::ChallengeAnswered => Word::NormalChallenge,
        NormalStep::CancelledByCaller => Word::NormalCancel,
        NormalStep::IntervalRaised => Word::NormalInterval,
        NormalStep::GlareRetried => Word::NormalGlare,
        NormalStep::RedirectFollowed => Word::NormalRedirect,
        NormalStep::OtherBranchAnswered => Word::NormalBranch,
        NormalStep::LaterTryAnswered => Word::NormalLater,
    }
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
    let says = finding.says();
    let words = lines.style.words;
    let (sure, colon) = (confidence(&words, finding.confidence), words.word(Word::Colon));
    let text = format!("{} ({sure}){colon}{}", finding.rule, says.for_terminal());
    beside(lines, words.word(Word::LabelHere), ink, &text)?;
    for claim in finding.claims.iter().take(MOST_CLAIMS) {
        let (frame, what, says) = (claim.frame, value(&claim.value), claim.says.for_terminal());
        let text = absent(&words, claim).unwrap_or_else(|| {
            let values: [(&str, &dyn Display); 4] =
                [("frame", &frame), ("field", &claim.field), ("value", &what), ("says", &says)];
            words.fill(Word::FrameShows, &values)
        });
        pointed(lines, &text)?;
    }
    for refuted in &finding.refuted {
        let text = format!("{}{colon}{}", refuted.rule, refuted.why.for_terminal());
        beside(lines, words.word(Word::LabelNot), Ink::Faint, &text)?;
    }
    match &told.incident {
        Some(incident) => {
            let text = words.fill(Word::AsToldAt, &[("incident", incident)]);
            beside(lines, words.word(Word::LabelDo), Ink::Good, &text)?;
        }
        None => steps(lines, finding)?,
    }
    if let Some(command) = &finding.next_capture {
        let text = words.fill(Word::ToBeSure, &[("command", &command.for_terminal())]);
        beside(lines, words.word(Word::LabelNext), Ink::Good, &text)?;
    }
    Ok(())
}

/// Who made the response, and on what ground that is said.
fn origin(lines: &mut Lines<'_>, record: &CallRecord) -> io::Result<()> {
    let Some(origin) = &record.generated_by else { return Ok(()) };
    beside(lines, lines.style.words.word(Word::LabelFrom), Ink::Faint, &origin.words())
}

/// The nearest call that was accepted, and what differs: a hint, and no cause.
fn good_call(lines: &mut Lines<'_>, record: &CallRecord) -> io::Result<()> {
    let Some(good) = &record.good_call else { return Ok(()) };
    beside(lines, lines.style.words.word(Word::LabelGood), Ink::Faint, &good.words())
}

fn steps(lines: &mut Lines<'_>, finding: &FindingRecord) -> io::Result<()> {
    for (index, step) in finding.fix.iter().take(MOST_STEPS).enumerate() {
        let label = if index == 0 { lines.style.words.word(Word::LabelDo) } else { " " };
        beside(lines, label, Ink::Good, &format!("{}. {}", index + 1, step.for_terminal()))?;
    }
    Ok(())
}

fn unexplained(lines: &mut Lines<'_>) -> io::Result<()> {
    let words = lines.style.words;
    beside(lines, words.word(Word::LabelHere), Ink::Doubtful, words.word(Word::NoRuleMeaning))
}

/// What the code means in general.
fn meaning(lines: &mut Lines<'_>, failure: &FailureRecord, detail: Detail) -> io::Result<()> {
    let Some(entry) = &failure.catalogue else { return Ok(()) };
    let code = entry.code.to_string();
    let words = lines.style.words;
    let text = format!("{}{}{}", entry.name, words.word(Word::Colon), entry.description);
    beside(lines, &code, Ink::Heading, &text)?;
    if detail == Detail::Meaning {
        return Ok(());
    }
    beside(lines, words.word(Word::LabelWhen), Ink::Faint, &entry.when)?;
    beside(lines, words.word(Word::LabelMeans), Ink::Faint, &entry.fix)
}

fn strict(lines: &mut Lines<'_>, which: Word, read: Option<&Strict>, told: &mut Told) -> io::Result<()> {
    let Some(Strict::Refused(refusal)) = read else { return Ok(()) };
    if told.refusals.contains(&refusal.says) {
        return Ok(());
    }
    told.refusals.push(refusal.says.clone());
    let words = lines.style.words;
    let because = match &refusal.because {
        Because::BrokenMessage(fault) => words.fill(Word::StrictBroken, &[("fault", fault)]),
        Because::ParserGap(gap) => words.fill(Word::StrictGap, &[("gap", gap)]),
        // A note says so of all messages that are cut.
        Because::CutMessage => return Ok(()),
    };
    let text = words.fill(which, &[("says", &value(&refusal.says)), ("because", &because)]);
    beside(lines, "", Ink::Faint, &text)
}

/// The cause of a call that ended without a response that fails it.
pub(crate) fn without_failure(lines: &mut Lines<'_>, record: &CallRecord, told: &Told) -> io::Result<()> {
    match record.cause_finding() {
        Some(finding) => cause(lines, finding, told)?,
        None if record.unexplained => {
            let words = lines.style.words;
            // The ACK of a call that failed shows that its final response came, and was not captured.
            let says = if record.outcome == Outcome::Failed { Word::NoRule } else { Word::NoRuleSilent };
            beside(lines, words.word(Word::LabelHere), Ink::Doubtful, words.word(says))?;
        }
        None => {}
    }
    good_call(lines, record)
}
