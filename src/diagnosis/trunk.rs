//! What a trunk says by the Q.850 cause of its refusal (RFC 3326, RFC 3398 §7.2.4.1): shared by the rules about trunks.

use std::net::SocketAddr;

use crate::call::{Failure, Heard, Kind};
use crate::catalogue::q850;
use crate::diagnosis::announced::Told;
use crate::diagnosis::case::{Case, SOON};
use crate::diagnosis::finding::{Confidence, Finding};
use crate::diagnosis::rule::Rule;
use crate::diagnosis::stated::{Ground, states_any, states_of};
use crate::diagnosis::words::length;
use crate::sip::Reason;

/// Codes that gateways give to a call for which they have no trunk.
const OF_TRUNKS: [u16; 7] = [404, 480, 486, 500, 502, 503, 504];
/// What a server says that failed, or could not reach what it needs.
const FAILED: &[&str] = &[
    "out of order",
    "lost",
    "fail",
    "fault",
    "error",
    "unreachable",
    "not reachable",
    "no route",
    "not found",
    "timed out",
    "timeout",
    "disconnected",
    "suspended",
    "disabled",
    "no response",
    "not responding",
];

/// True if a refusal says, in words, that a trunk or line behind its sender does not work.
pub(crate) fn says_trunk_is_down(case: &Case<'_>, response: &Heard) -> bool {
    case.ground_said(response) == Some(Ground::TrunkDown)
}

/// The refusal of a call that states this ground in words, and gives no cause of Q.850 that would say more.
pub(crate) fn refusal_in_words<'a>(case: &Case<'a>, ground: Ground) -> Option<(&'a Failure, &'a Heard)> {
    let failure = case.failure_with(&OF_TRUNKS).filter(|_| case.call.kind == Kind::Call)?;
    let response = case.response(failure);
    (case.told(response).is_none() && case.ground_said(response) == Some(ground)).then_some((failure, response))
}

/// True if a refusal says, in words, that something failed or is not there: not that its sender has too much to do.
pub(crate) fn says_failed(case: &Case<'_>, response: &Heard) -> bool {
    let said = case.words(response);
    !said.is_empty() && (states_any(&said, FAILED) || states_of(&said, &["down"], &["down"]))
}

/// A call that was refused with one of a rule's causes.
pub(crate) struct Refusal<'a> {
    /// The finding so far: what it explains, who said it, and the sentence.
    pub(crate) finding: Finding,
    /// The response.
    pub(crate) response: &'a Heard,
    /// Who sent it.
    pub(crate) responder: SocketAddr,
    /// The Q.850 cause, and where it stands.
    pub(crate) told: Told<'a>,
}

/// The refusal of a call with one of these causes, each with its meaning.
pub(crate) fn refusal<'a>(case: &Case<'a>, rule: &Rule, causes: &[(u32, &str)]) -> Option<Refusal<'a>> {
    let failure = case.failure()?;
    let response = case.response(failure);
    let told = case.told(response)?;
    let (_, meaning) = causes.iter().find(|(known, _)| *known == told.cause)?;
    let responder = response.path.source;
    let doubt = doubt(case, failure, told);
    let because = format!(
        "{responder} refused the call to \"{}\" with {}: {meaning}.{}",
        case.callee(failure),
        told.beside(failure.status),
        doubt.as_deref().unwrap_or_default()
    );
    let confidence = if doubt.is_some() { Confidence::Likely } else { told.confidence() };
    let finding = Finding::of(rule, confidence)
        .explains(Some(failure.status))
        .sender(case.role_of_responder(response), response)
        .because(because);
    Some(Refusal { finding, response, responder, told })
}

/// What speaks against it that the trunk lacked something, as a sentence: the call had got through it and rang, or the
/// text of the Reason is the name of another cause.
fn doubt(case: &Case<'_>, failure: &Failure, told: Told<'_>) -> Option<String> {
    let response = case.response(failure);
    let alerting = case.alerting(failure.transaction);
    // A gateway may ring while it dials.
    let rang = alerting.filter(|rang| response.place.time.since(rang.place.time) > SOON);
    if let Some(rang) = rang {
        let rung = length(response.place.time.since(rang.place.time));
        return Some(format!(" The call had got through before, and rang for {rung}: it was lost while it rang."));
    }
    let is_told = |reason: &&Reason| reason.q850() == Some(told.cause);
    let text = case.reasons(told.bearer).iter().find(is_told)?.text.as_deref()?;
    let is_name = |cause: &u8| q850(*cause).is_some_and(|known| known.name.eq_ignore_ascii_case(text.trim()));
    let other = (1..=127).find(is_name).filter(|other| u32::from(*other) != told.cause)?;
    Some(format!(" The text of its Reason is {text:?}, the name of cause {other}: one of the two is not meant."))
}
