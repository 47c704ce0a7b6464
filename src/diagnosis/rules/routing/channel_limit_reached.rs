use std::net::IpAddr;

use crate::call::{Failure, Heard, Occupancy, RefusedAt, is_other_ground};
use crate::diagnosis::rule::rule;
use crate::diagnosis::stated::Limit;
use crate::diagnosis::{CaptureCase, Case, Confidence, Finding, Role};
use crate::sip::{HeaderName, StatusCode};

rule! {
    /// The peer takes no more than so many calls at once.
    ///
    /// ## What it says
    /// Whenever so many calls with this peer were up, the next one was refused; with fewer, calls were accepted. That
    /// is the mark of a limit of channels or licences. Or the peer says that such a limit is reached.
    ///
    /// ## Why it happens
    /// The trunk, the account or the licence allows that many calls at once.
    ///
    /// ## Evidence
    /// At least three calls refused with one code (486 too, if they were for different callees), each while at least N
    /// calls were up on this hop; and no call accepted while N were up. Or a refusal whose phrase, Warning or Reason
    /// names a limit of calls at once, and none of calls in a time, to a destination or for money; with 486 only where
    /// it speaks of the trunk.
    ///
    /// ## How to fix
    /// Order more channels or licences, or send the calls beyond N to another trunk.
    ///
    /// ## When it would be wrong
    /// With few samples it may be chance. Calls that are not in the capture count at the peer all the same. A 486 is
    /// that of a busy callee, unless several callees are refused so at two calls or more.
    ///
    /// ## References
    /// RFC 3261 §21.5.4, §21.4.4
    "E21" "channel-limit-reached" needs [403 480 486 488 500 503 504 603 606], check, capture of_capture
}

/// Calls accepted before the first refusal that are claimed.
const MOST_BEFORE: usize = 2;
/// Refusals that show a limit.
const ENOUGH: u64 = 3;
/// Codes with which peers refuse calls beyond a limit.
const OF_LIMIT: [u16; 9] = [403, 480, 486, 488, 500, 503, 504, 603, 606];
/// The code that says first of all that one callee is busy.
const BUSY: u16 = 486;
/// The least limit that refusals with it can show: two busy callees are no limit of the peer.
const LEAST_OF_BUSY: u32 = 2;

/// A word that no limit of a callee has: it is the way there whose limit is reached.
const OF_TRUNK: &[&str] = &["trunk"];

/// True if a refusal names a limit of calls at once.
pub(super) fn names_calls_at_once(case: &Case<'_>, response: &Heard) -> bool {
    case.limit_said(response) == Some(Limit::AtOnce)
}

/// True if a refusal names a limit of calls in a time.
pub(super) fn names_a_rate(case: &Case<'_>, response: &Heard) -> bool {
    case.limit_said(response) == Some(Limit::Rate)
}

fn check(case: &Case<'_>) -> Option<Finding> {
    let failure = case.failure_with(&OF_LIMIT)?;
    let (request, response) = (case.request(failure)?, case.response(failure));
    if !case.call.transaction(failure.transaction).is_initial_invite() {
        return None;
    }
    let names_other = || {
        response.message.has_key(HeaderName::RetryAfter) || is_other_ground(case.told(response).map(|told| told.cause))
    };
    let (client, server) = (request.path.source.ip(), request.path.destination.ip());
    let counted = case.surroundings.neighbours().occupancy(client, server);
    let counted = counted.and_then(|known| Some((known, limit(known, failure.status)?)));
    let Some((known, refused)) = counted.filter(|_| !names_other()) else { return said(case, failure) };
    let finding = found(client, server, known, refused, failure.status);
    let finding = match response.place == refused.first {
        true => finding,
        false => finding.claim_status(response, "refused"),
    };
    Some(
        finding
            .explains(Some(failure.status))
            .sender(Role::Uas, response)
            .claim_own_words(case, response)
            .refuted(
                "server-overloaded",
                "the refusals follow the number of calls that are up, and name no time to wait",
            )
            .refuted("refused-by-policy", "calls of the same peer are accepted while fewer are up"),
    )
}

/// The refusal itself names the limit. A 486 that does may be that of a callee who is busy, unless it speaks of the
/// trunk, and a 503 speaks of the whole server.
fn said(case: &Case<'_>, failure: &Failure) -> Option<Finding> {
    let (request, response) = (case.request(failure)?, case.response(failure));
    let may_be_another = match failure.status.get() {
        BUSY => !case.says_any(response, OF_TRUNK),
        code => code == 503,
    };
    if may_be_another || !names_calls_at_once(case, response) {
        return None;
    }
    let (client, server) = (request.path.source.ip(), response.path.source);
    let quotation = case.said_beside_code(response);
    let finding = Finding::of(&RULE, Confidence::Proven)
        .explains(Some(failure.status))
        .sender(Role::Uas, response)
        .because(format!(
            "{server} lets only so many calls be up at once, and refused this one as one too many{quotation}."
        ))
        .fix(format!(
            "Look for the limit of calls at once (channels, licences, `call-limit`) of {client} at {server}, and \
             raise it."
        ))
        .fix("Or send the calls beyond it to another trunk.")
        .claim_status(response, "refused")
        .claim_own_words(case, response);
    Some(finding.refuted("refused-by-policy", "its ground is the number of calls, and not this one"))
}

/// The same of the whole capture, once.
fn of_capture(case: &CaptureCase<'_>) -> Option<Finding> {
    let mut full = case.surroundings.neighbours().occupancies().filter(|(.., known)| known.accepted > 0);
    full.find_map(|(client, server, known)| {
        let codes = OF_LIMIT.iter().filter_map(|code| StatusCode::new(*code));
        codes.into_iter().find_map(|code| {
            let refused = limit(known, code)?;
            Some(found(client, server, known, refused, code).party(Role::Uas, None))
        })
    })
}

/// The refusals with a code, if they show a limit.
fn limit(known: &Occupancy, status: StatusCode) -> Option<&RefusedAt> {
    let refused = known.refused.get(&status.get())?;
    let is_limit = refused.count >= ENOUGH
        && refused.fewest > 0
        && known.accepted >= u64::from(refused.fewest)
        && known.most_when_accepted < refused.fewest;
    // One who is busy takes calls at other times, too.
    let may_be_callee = match status.get() {
        BUSY => refused.fewest < LEAST_OF_BUSY || !refused.is_of_several(),
        _ => known.is_of_one_callee(refused),
    };
    (is_limit && !may_be_callee).then_some(refused)
}

fn found(client: IpAddr, server: IpAddr, known: &Occupancy, refused: &RefusedAt, status: StatusCode) -> Finding {
    let limit = refused.fewest;
    let finding = Finding::of(&RULE, Confidence::Likely)
        .because(format!(
            "{} calls from {client} to {server} were refused with {status}, each while {limit} or more others were \
             up. With fewer, {} were accepted, and never one beyond {limit}: that is a limit of {limit} calls at once.",
            refused.count, known.accepted
        ))
        .fix(format!(
            "Look for the limit of {limit} calls (channels, licences, `call-limit`) of {client} at {server}, and \
             raise it."
        ))
        .fix("Or send the calls beyond it to another trunk.");
    let before = known.accepted_first.iter().filter(|place| **place < refused.first).take(MOST_BEFORE);
    let finding = before.fold(finding, |finding, place| {
        finding.claim_at(*place, "sip.CSeq.method", "INVITE", "a call is accepted before the first refusal")
    });
    let finding = finding.claim_at(
        refused.first,
        "sip.Status-Code",
        status.to_string(),
        format!("the first refusal, with {limit} calls up or more"),
    );
    match known.accepted_last.filter(|place| *place > refused.first) {
        Some(place) => {
            finding.claim_at(place, "sip.CSeq.method", "INVITE", format!("with fewer than {limit}, one is accepted"))
        }
        None => finding,
    }
}
