//! Asks every rule, and puts what holds in order.

use std::borrow::Cow;
use std::time::Duration;

use crate::call::{Failure, Outcome, timer};
use crate::diagnosis::capture_case::CaptureCase;
use crate::diagnosis::case::Case;
use crate::diagnosis::comparison::{Comparison, compare};
use crate::diagnosis::finding::{Finding, Refuted};
use crate::diagnosis::origin::{Origin, origin};
use crate::diagnosis::precedence::outranks;
use crate::diagnosis::rivals;
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
    pub good_call: Option<Comparison>,
    /// Where the response came from that failed it.
    pub origin: Option<Origin>,
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

/// Diagnoses one call.
pub fn diagnose(case: &Case<'_>) -> Diagnosis {
    let is_measured = !case.spans_a_leap();
    let rules = rules::ALL.iter().filter(|rule| is_measured || !OF_LENGTHS.contains(&rule.name));
    let found = rules.filter_map(|rule| rule.check.of_call()?(case));
    let mut findings = in_order(found.collect());
    rivals::add(case, &mut findings);
    software_words::add(case, &mut findings);
    let dropped = findings.first().is_some_and(|first| first.explains && first.drops_the_call);
    let outcome = match case.call.outcome {
        Outcome::Answered if dropped => Outcome::Dropped,
        Outcome::Failed if waits_for_next_try(case, &findings) => Outcome::Unfinished,
        outcome => outcome,
    };
    let origin = origin(case, findings.first().filter(|first| first.explains));
    Diagnosis { outcome, findings, good_call: compare(case, outcome), origin }
}

/// True if the last thing to be seen is a question to the client (RFC 3261 §22.1, §10.2.8; RFC 4028 §6), and the capture
/// ends before its next try would have to come: that is no failure yet.
fn waits_for_next_try(case: &Case<'_>, findings: &[Finding]) -> bool {
    let asks = |failure: &&Failure| failure.status.is_challenge() || matches!(failure.status.get(), 422 | 423);
    let Some(failure) = case.outer_failure().filter(asks) else { return false };
    let patience = if failure.status.is_challenge() { timer::GIVE_UP } else { NEXT_TRY };
    let ends = case.tail(case.response(failure).place) < patience;
    ends && !findings.iter().any(|finding| finding.explains)
}

/// Findings about the capture as a whole, in the order of the rules.
pub fn diagnose_capture(case: &CaptureCase<'_>) -> Vec<Finding> {
    rules::ALL.iter().flat_map(|rule| rule.check.of_capture(case)).collect()
}

/// Strikes out what a more special cause outranks, and sorts. The order of the rules is the order they come in.
fn in_order(found: Vec<Finding>) -> Vec<Finding> {
    let explaining: Vec<Cow<'static, str>> =
        found.iter().filter(|finding| finding.explains).map(|finding| finding.rule.clone()).collect();
    let mut kept: Vec<Finding> = Vec::with_capacity(found.len());
    let mut outranked: Vec<(Cow<'static, str>, Refuted)> = Vec::new();
    for finding in found {
        let winner = explaining.iter().find(|winner| finding.explains && outranks(winner, &finding.rule));
        match winner {
            Some(winner) => {
                let why = format!("it would fit too, and {winner} says more exactly what happened");
                outranked.push((winner.clone(), Refuted { rule: finding.rule.into_owned(), why: why.into() }));
            }
            None => kept.push(finding),
        }
    }
    for (winner, refuted) in outranked {
        if let Some(finding) = kept.iter_mut().find(|finding| finding.rule == winner)
            && !finding.refuted.iter().any(|known| known.rule == refuted.rule)
        {
            finding.refuted.push(refuted);
        }
    }
    kept.sort_by_key(|finding| (!finding.explains, finding.confidence));
    kept
}
