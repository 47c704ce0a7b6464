//! Asks every rule, and puts what holds in order.

use std::borrow::Cow;
use std::time::Duration;

use crate::call::{Failure, Heard, Outcome, timer};
use crate::diagnosis::capture_case::CaptureCase;
use crate::diagnosis::case::Case;
use crate::diagnosis::comparison::{Comparison, compare};
use crate::diagnosis::finding::{Confidence, Finding, Refuted, Severity};
use crate::diagnosis::origin::{Origin, origin};
use crate::diagnosis::precedence::{is_of_leg_behind, is_said_of_it, is_seen_behind, outranks};
use crate::diagnosis::questions::questions;
use crate::diagnosis::rivals;
use crate::diagnosis::rule::Rule;
use crate::diagnosis::rules;
use crate::diagnosis::software_words;

/// What was found of one call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnosis {
    /// How the call ended: the tracker's word, or `Dropped` where a finding says that it ended against the parties'
    /// will.
    pub outcome: Outcome,
    /// The findings: those that explain the outcome first, then by confidence, then in the order of the rules.
    pub findings: Vec<Finding>,
    /// The nearest call that was accepted, beside one that failed.
    pub good_call: Option<Box<Comparison>>,
    /// Where the response came from that failed it.
    pub origin: Option<Box<Origin>>,
}

impl Diagnosis {
    /// The first finding that explains the outcome.
    pub fn cause(&self) -> Option<&Finding> {
        self.findings.first().filter(|finding| finding.explains)
    }
}

/// Rules that measure how long something took: where the clock was set meanwhile, they have no say.
const OF_LENGTHS: [&str; 9] = [
    "setup-slow",
    "first-response-slow",
    "failover-slow",
    "ring-timeout",
    "session-timer-expired",
    "media-inactivity-teardown",
    "media-late",
    "media-stopped-early",
    "silent-downstream",
];

/// A client that needs to ask nobody tries again within this time.
pub(crate) const NEXT_TRY: Duration = Duration::from_secs(5);

/// What holds of a call, as far as it can be said without words: most calls of a flood of failures are only counted,
/// and nobody reads of them more than which rule held, what it explains and who is responsible.
#[derive(Debug)]
pub struct Verdict {
    /// The rules that held, those that others outrank too.
    rules: Vec<&'static Rule>,
    /// Its findings have no words, and no claims where their rules leave those out too.
    diagnosis: Diagnosis,
}

impl Verdict {
    /// The verdict on one call.
    pub fn of(case: &Case<'_>) -> Verdict {
        Verdict::asking(&questions(case), case)
    }

    /// The verdict on one call by these rules.
    pub(crate) fn asking(asked: &[&'static Rule], case: &Case<'_>) -> Verdict {
        let case = case.for_verdict();
        // Of most calls one rule holds.
        let (mut rules, mut found) = (Vec::with_capacity(1), Vec::with_capacity(1));
        for rule in with_a_say(asked, &case) {
            if ask(rule, &case, &mut found) {
                rules.push(rule);
            }
        }
        let (findings, _) = in_order(found);
        let outcome = outcome(&case, &findings);
        Verdict { rules, diagnosis: Diagnosis { outcome, findings, good_call: None, origin: None } }
    }

    /// The diagnosis in so far as it needs no words.
    pub fn diagnosis(&self) -> &Diagnosis {
        &self.diagnosis
    }

    /// The diagnosis if nobody reads its words.
    pub fn untold(self) -> Diagnosis {
        self.diagnosis
    }

    /// The same in words: only the rules that held are asked again.
    pub fn told(self, case: &Case<'_>) -> Diagnosis {
        told(case, self.rules.into_iter())
    }
}

/// Diagnoses one call.
pub fn diagnose(case: &Case<'_>) -> Diagnosis {
    told(case, with_a_say(&questions(case), case))
}

/// Those of the rules that may have a say in a call.
fn with_a_say(asked: &[&'static Rule], case: &Case<'_>) -> impl Iterator<Item = &'static Rule> {
    let measures_wrongly = case.spans_a_leap();
    asked.iter().copied().filter(move |rule| !(measures_wrongly && OF_LENGTHS.contains(&rule.name)))
}

/// Asks a rule and puts what it finds behind the others; false if it finds nothing. Of a leg that is only by its number
/// and time taken for one of the call, nothing is proven of the call, nor by a code that somebody else had sent, nor by
/// one that may be made of such a code. Where its sender names another ground in words, the code is a weak one.
fn ask(rule: &Rule, case: &Case<'_>, found: &mut Vec<Finding>) -> bool {
    let Some(mut finding) = rule.check.of_call().and_then(|check| check(case)) else { return false };
    let is_of_code = || rule.needs.iter().any(|needed| needed.asks_for_codes());
    let is_made_of_another =
        || is_said_of_it(rule.name) && (case.may_be_made_of_another() || case.sent_on_without_response().is_some());
    let is_of_hearsay = || {
        case.failed_on_a_guessed_leg() || is_of_code() && case.rests_on_what_is_behind(&finding) || is_made_of_another()
    };
    if finding.explains && finding.confidence == Confidence::Proven && is_of_hearsay() {
        finding.confidence = Confidence::Likely;
    }
    if finding.explains && finding.confidence <= Confidence::Likely && case.says_another_ground(&finding).is_some() {
        finding.confidence = Confidence::Possible;
    }
    found.push(finding);
    true
}

fn told(case: &Case<'_>, rules: impl Iterator<Item = &'static Rule>) -> Diagnosis {
    let mut found = Vec::new();
    for rule in rules {
        ask(rule, case, &mut found);
    }
    let (mut findings, outranked) = in_order(found);
    for (winner, loser) in outranked {
        refute(&mut findings, &winner, loser);
    }
    calm_beside_the_end(case, &mut findings);
    if let Some(cause) = findings.first_mut().filter(|first| first.explains) {
        case.tell_behind(cause);
        case.tell_ground(cause);
        if is_said_of_it(&cause.rule) {
            case.tell_meanwhile(cause);
            case.tell_sent_on(cause);
        }
    }
    rivals::add(case, &mut findings);
    software_words::add(case, &mut findings);
    let outcome = outcome(case, &findings);
    let origin = origin(case, findings.first().filter(|first| first.explains)).map(Box::new);
    Diagnosis { outcome, findings, good_call: compare(case, outcome).map(Box::new), origin }
}

fn outcome(case: &Case<'_>, findings: &[Finding]) -> Outcome {
    let dropped = findings.first().is_some_and(|first| first.explains && first.drops_the_call);
    match case.call.outcome {
        Outcome::Answered if dropped => Outcome::Dropped,
        // A busy callee that nobody had asked is none.
        Outcome::Busy if findings.first().is_some_and(|first| first.explains && is_of_leg_behind(&first.rule)) => {
            Outcome::Failed
        }
        Outcome::Failed if waits_for_next_try(case, findings) => Outcome::Unfinished,
        Outcome::Unanswered if waits_unseen(case) => Outcome::Unfinished,
        outcome => outcome,
    }
}

/// True if the last thing to be seen is a question to the client (RFC 3261 §22.1, §10.2.8; RFC 4028 §6), and the
/// capture ends before its next try would have to come: that is no failure yet.
fn waits_for_next_try(case: &Case<'_>, findings: &[Finding]) -> bool {
    let asks = |failure: &&Failure| failure.status.is_challenge() || matches!(failure.status.get(), 422 | 423);
    let Some(failure) = case.outer_failure().filter(asks) else { return false };
    let patience = if failure.status.is_challenge() { timer::GIVE_UP } else { NEXT_TRY };
    let ends = case.tail(case.response(failure).place) < patience;
    ends && !findings.iter().any(|finding| finding.explains)
}

/// True if nobody can tell whether the last try was answered: what came back on its hop is not in this capture, and it
/// was not repeated, as it is by who gets no answer (RFC 3261 §17.1.1.2, §17.1.2.2).
fn waits_unseen(case: &Case<'_>) -> bool {
    let request = case.deciding().and_then(|deciding| case.call.request_of(deciding));
    let is_unseen = |request: &Heard| request.repeats.is_empty() && case.is_hop_one_way(request);
    case.call.icmp.is_empty() && request.is_some_and(is_unseen)
}

/// Findings about the capture as a whole, in the order of the rules.
pub fn diagnose_capture(case: &CaptureCase<'_>) -> Vec<Finding> {
    rules::ALL.iter().flat_map(|rule| rule.check.of_capture(case)).collect()
}

/// The name of a rule.
type Name = Cow<'static, str>;

/// Strikes out what a more special cause outranks, and sorts. The order of the rules is the order they come in. Gives
/// what is left, and each winner with the one that it outranks.
fn in_order(found: Vec<Finding>) -> (Vec<Finding>, Vec<(Name, Name)>) {
    if found.len() < 2 {
        return (found, Vec::new());
    }
    let explaining: Vec<(Name, Confidence)> =
        found.iter().filter(|one| one.explains).map(|one| (one.rule.clone(), one.confidence)).collect();
    let mut kept: Vec<Finding> = Vec::with_capacity(found.len());
    let mut outranked: Vec<(Name, Name)> = Vec::new();
    for finding in found {
        let outranks_it = |(winner, sure): &&(Name, Confidence)| {
            let is_behind = *sure <= Confidence::Likely && is_seen_behind(winner, &finding.rule);
            *winner != finding.rule && (is_behind || outranks(winner, &finding.rule))
        };
        match explaining.iter().find(|winner| finding.explains && outranks_it(winner)) {
            Some((winner, _)) => outranked.push((winner.clone(), finding.rule)),
            None => kept.push(finding),
        }
    }
    kept.sort_by_key(|finding| (!finding.explains, finding.confidence));
    (kept, outranked)
}

/// What else went wrong in a call that the caller gave up did not decide how it ended: it is a warning there.
fn calm_beside_the_end(case: &Case<'_>, findings: &mut [Finding]) {
    let Some((first, others)) = findings.split_first_mut() else { return };
    if case.call.outcome != Outcome::Cancelled || !first.explains || first.severity != Severity::Info {
        return;
    }
    for other in others.iter_mut().filter(|other| other.severity == Severity::Error) {
        other.severity = Severity::Warning;
    }
}

/// Names, at the finding that won, the one that it outranks.
fn refute(findings: &mut [Finding], winner: &str, loser: Name) {
    let Some(finding) = findings.iter_mut().find(|finding| finding.rule == winner) else { return };
    if !finding.refuted.iter().any(|known| known.rule == loser) {
        let why = format!("it would fit too, and {winner} says more exactly what happened");
        finding.refuted.push(Refuted { rule: loser.into_owned(), why: why.into() });
    }
}
