use std::time::Duration;

use crate::call::{Heard, MessageId, Outcome, Transaction};
use crate::capture::Timestamp;
use crate::diagnosis::rule::rule;
use crate::diagnosis::words::{capture_at, length};
use crate::diagnosis::{Case, Confidence, Finding, Role};
use crate::sip::StatusCode;

rule! {
    /// The next hop took the call over, and nothing came from behind it.
    ///
    /// ## What it says
    /// A 100 Trying says that the next hop has the INVITE, or another request, and will see to it. After it came
    /// nothing: no ringing, no progress, no answer.
    ///
    /// ## Why it happens
    /// Behind that hop something is silent: the next server, the trunk, the telephone. Or the hop itself is stuck in a
    /// look-up.
    ///
    /// ## Evidence
    /// A 100, then nothing for 10 seconds or more until a CANCEL, a 408 or 504, or the end of the wait; no other
    /// response on any hop of the call. Or until another refusal, where its Reason names 408 or 504.
    ///
    /// ## How to fix
    /// Look behind the hop that sent the 100: capture there, and see where it sent the INVITE.
    ///
    /// ## When it would be wrong
    /// If the leg behind that hop is in the capture, it tells more: `timeout-behind-proxy`, `next-hop-silent`.
    ///
    /// ## References
    /// RFC 3261 §16.2, §16.8, §8.2.6.1
    "B7" "silent-downstream" needs [PROVISIONAL], check
}

/// A silence this long after a 100 is one.
const SILENCE: Duration = Duration::from_secs(10);

fn check(case: &Case<'_>) -> Option<Finding> {
    // Busy may be what was made of a timeout behind.
    use Outcome::{Busy, Cancelled, Failed, Unanswered, Unfinished};
    if !matches!(case.call.outcome, Failed | Unanswered | Cancelled | Unfinished | Busy) {
        return None;
    }
    let deciding = case.deciding().filter(|deciding| !deciding.in_dialog)?;
    let last = last_that_took_it(case, deciding)?;
    let request = case.call.request_of(last)?;
    let trying = case.provisionals(last).find(|heard| is_trying(heard))?;
    let end = end_of_wait(case, request);
    let silence = end.time.since(trying.place.time);
    let is_silent_to_the_end = matches!(end.kind, Kind::EndOfCapture);
    if silence < SILENCE || (is_silent_to_the_end && is_cut_off(case, request, end.time)) || !end.is_of_silence(case) {
        return None;
    }
    let (hop, method) = (trying.path.source, &deciding.method);
    let (it, answers) = match deciding.is_initial_invite() {
        true => ("the call", "180, 183 or a final response"),
        false => ("it", "a final response"),
    };
    let finding = Finding::of(&RULE, end.confidence(case))
        .explains(end.status())
        .sender(Role::Proxy, trying)
        .because(format!(
            "{hop} confirmed the {method} with 100 after {}, and then nothing came from it for {} {}. It took {it} \
             over; what is silent lies behind it, or in its own look-up.",
            length(trying.place.time.since(request.place.time)),
            length(silence),
            end.words(case, last)
        ))
        .fix(format!("Look at {hop}: where did it send this {method}, and what did it get?"))
        .fix("Let that hop give up sooner on a silent target and try the next one.")
        .claim_method(request, "the request")
        .claim_status(trying, "the next hop has it")
        .claim_absent(trying.place, answers, format!("nothing for {}", length(silence)))
        .refuted("next-hop-silent", "the next hop answered with 100")
        .refuted("timeout-behind-proxy", "the leg behind that hop is not in the capture")
        .next_capture(capture_at(hop.ip(), trying.path));
    Some(end.claimed(finding))
}

/// An INVITE that a hop took over and said nothing of until it was cancelled.
pub(super) struct GivenUp<'a> {
    /// The INVITE.
    pub request: &'a Heard,
    /// That hop's 100.
    pub trying: &'a Heard,
    /// When it was cancelled.
    pub end: Timestamp,
    /// By whom, in words: `until …`.
    pub words: String,
}

pub(super) fn given_up<'a>(case: &Case<'a>) -> Option<GivenUp<'a>> {
    let last = last_that_took_it(case, case.deciding().filter(|deciding| deciding.is_initial_invite())?)?;
    let request = case.call.request_of(last)?;
    let trying = case.provisionals(last).find(|heard| is_trying(heard))?;
    let end = end_of_wait(case, request);
    let Kind::Cancel(cancel) = end.kind else { return None };
    let words = until_cancelled(case, last, cancel);
    let is_long = end.time.since(trying.place.time) >= SILENCE;
    is_long.then_some(GivenUp { request, trying, end: end.time, words })
}

/// Who ended the wait: the caller, if it cancelled on its own hop, or else the proxy that sent this CANCEL.
fn until_cancelled(case: &Case<'_>, invite: &Transaction, cancel: &Heard) -> String {
    let is_of_caller = case.with_upstream(invite.id).last().is_some_and(|outer| outer.cancelled_by.is_some());
    match is_of_caller && !case.came_through_proxy() {
        true => "until the caller gave up".to_owned(),
        false => format!("until {} cancelled the INVITE", cancel.path.source),
    }
}

/// The innermost hop of an INVITE that was passed on from one to the next, if nothing but 100 came on any of them.
fn last_that_took_it<'a>(case: &Case<'a>, deciding: &'a Transaction) -> Option<&'a Transaction> {
    let mut here = deciding;
    for _ in 0..32 {
        // An ACK alone tells of a final response that the capture missed.
        let is_told_unseen = here.finals.is_empty() && case.call.is_concluded(here);
        if is_told_unseen || case.provisionals(here).any(|heard| !is_trying(heard)) {
            return None;
        }
        let mut behind = case.call.downstream_of(here.id);
        match (behind.next(), behind.next()) {
            (None, _) => return Some(here),
            (Some(next), None) => here = case.call.transaction(next.id),
            (Some(_), Some(_)) => return None,
        }
    }
    None
}

/// True if the connection on which the INVITE waited was ended from the other end: that hop did not stay silent.
fn is_cut_off(case: &Case<'_>, request: &Heard, until: Timestamp) -> bool {
    let broken = case.surroundings.failed_connections().broken(request.path, request.place.time, until);
    request.path.transport.is_reliable() && broken.is_some()
}

fn is_trying(heard: &Heard) -> bool {
    heard.message.status().map(StatusCode::get) == Some(100)
}

struct End<'a> {
    time: Timestamp,
    kind: Kind<'a>,
}

#[derive(Clone, Copy)]
enum Kind<'a> {
    Cancel(&'a Heard),
    Response(&'a Heard, StatusCode),
    EndOfCapture,
}

impl End<'_> {
    /// True unless a response ended the wait that tells of something else, by its code or its Reason.
    fn is_of_silence(&self, case: &Case<'_>) -> bool {
        let told = |status: StatusCode| match case.failure().filter(|failure| self.is_response(failure.response)) {
            Some(failure) => case.code(failure),
            None => status.get(),
        };
        self.status().is_none_or(|status| matches!(told(status), 408 | 487 | 504))
    }

    fn is_response(&self, id: MessageId) -> bool {
        matches!(self.kind, Kind::Response(response, _) if response.id == id)
    }

    fn status(&self) -> Option<StatusCode> {
        match self.kind {
            Kind::Response(_, status) => Some(status),
            Kind::Cancel(_) | Kind::EndOfCapture => None,
        }
    }

    fn confidence(&self, case: &Case<'_>) -> Confidence {
        match self.kind {
            Kind::EndOfCapture if case.call.outcome == Outcome::Unfinished => Confidence::Unseen,
            _ if case.capture.drops > 0 => Confidence::Possible,
            _ => Confidence::Likely,
        }
    }

    /// Until when the request waited, as the end of a sentence.
    fn words(&self, case: &Case<'_>, last: &Transaction) -> String {
        match self.kind {
            Kind::Cancel(cancel) => until_cancelled(case, last, cancel),
            Kind::Response(_, status) => format!("until the {status}"),
            Kind::EndOfCapture => "until the capture ended".to_owned(),
        }
    }

    fn claimed(&self, finding: Finding) -> Finding {
        match self.kind {
            Kind::Response(response, _) => finding.claim_status(response, "the end of the wait"),
            Kind::Cancel(cancel) => finding.claim_method(cancel, "the end of the wait"),
            Kind::EndOfCapture => finding,
        }
    }
}

/// What ended the wait for an INVITE: the CANCEL, the final response, or the end of the capture.
fn end_of_wait<'a>(case: &Case<'a>, request: &Heard) -> End<'a> {
    let transaction = case.call.transaction(request.transaction);
    let cancel = transaction.cancelled_by.and_then(|id| case.call.request_of(case.call.transaction(id)));
    let response = case.call.final_of(transaction);
    match (cancel, response.and_then(|response| Some((response, response.message.status()?)))) {
        (Some(cancel), Some((response, _))) if cancel.place < response.place => {
            End { time: cancel.place.time, kind: Kind::Cancel(cancel) }
        }
        (_, Some((response, status))) => End { time: response.place.time, kind: Kind::Response(response, status) },
        (Some(cancel), None) => End { time: cancel.place.time, kind: Kind::Cancel(cancel) },
        (None, None) => End { time: case.call.until, kind: Kind::EndOfCapture },
    }
}
