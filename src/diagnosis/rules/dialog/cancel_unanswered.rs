use crate::call::{Heard, Transaction, timer};
use crate::diagnosis::case::ENOUGH_REPEATS;
use crate::diagnosis::rule::rule;
use crate::diagnosis::words::{alerts, length, times};
use crate::diagnosis::{Case, Confidence, Finding, Role, Severity};
use crate::sip::Method;

rule! {
    /// A CANCEL was sent too early, or had no effect.
    ///
    /// ## What it says
    /// The caller's side cancelled before anything had come back, which RFC 3261 forbids, or the INVITE never ended
    /// although it was cancelled.
    ///
    /// ## Why it happens
    /// A system that sends CANCEL at once; a peer that ignores it or is not reached any more.
    ///
    /// ## Evidence
    /// A CANCEL without any response to its INVITE before it; or no final response to the INVITE within 64·T1 after it.
    /// Or copies of the CANCEL for one branch of a fork, to which nothing came; or copies of that of the caller, to which
    /// nothing came either while the INVITE went on to another end than 487.
    ///
    /// ## How to fix
    /// Let the caller's side wait for a provisional response. If nothing answers at all, look at why the INVITE is not
    /// answered.
    ///
    /// ## When it would be wrong
    /// In a capture of one direction the responses exist and are not seen; where the INVITE is repeated no more over
    /// UDP, one had come.
    ///
    /// ## References
    /// RFC 3261 §9.1, §9.2
    "C12" "cancel-unanswered" needs [CANCEL], check
}

fn check(case: &Case<'_>) -> Option<Finding> {
    of_caller(case).or_else(|| of_branch(case))
}

/// The CANCEL for a branch of a fork that another one has won: a device that does not get it rings on.
fn of_branch(case: &Case<'_>) -> Option<Finding> {
    let branches = case.call.transactions.iter().filter(|known| known.is_initial_invite() && known.upstream.is_some());
    let (invite, cancel) =
        branches.filter(|known| known.finals.is_empty() && known.acks.is_empty()).find_map(|known| {
            let cancelled = case.call.transaction(known.cancelled_by?);
            let cancel = case.call.request_of(cancelled).filter(|_| cancelled.finals.is_empty())?;
            (cancel.repeated >= ENOUGH_REPEATS).then_some((known, cancel))
        })?;
    let rings = case.provisionals(invite).find(|heard| alerts(heard) && heard.place < cancel.place);
    let (from, to) = (cancel.path.source, cancel.path.destination);
    let confidence = case.absence_of_answer(cancel);
    let then = match rings {
        Some(_) => " It was ringing, and may ring on.",
        None => "",
    };
    let finding = Finding::of(&RULE, confidence)
        .severity(Severity::Warning)
        .titled("The CANCEL for another device was not answered")
        .party(Role::Network, Some(to))
        .because(format!(
            "{from} cancelled the branch to {to}, sent the CANCEL {}, and got neither its answer nor the end of the \
             INVITE.{then}",
            times(cancel.repeated + 1)
        ))
        .fix(format!("See at {} whether the CANCEL arrives, and what becomes of it there.", to.ip()))
        .claim_method(cancel, "a branch is cancelled")
        .claim_absent(
            cancel.place,
            format!("any response of {to} after it"),
            "neither to the CANCEL nor to the INVITE",
        );
    Some(match rings {
        Some(rings) => finding.claim_status(rings, "it was ringing"),
        None => finding,
    })
}

/// The CANCEL of the caller's side.
fn of_caller(case: &Case<'_>) -> Option<Finding> {
    let attempt = case.call.attempts().find(|attempt| case.cancel_of(attempt).is_some())?;
    let cancel = case.cancel_of(attempt)?;
    let is_first = !case.provisionals(attempt).chain(case.finals(attempt)).any(|heard| heard.place < cancel.place);
    let early = is_first && !stopped_repeating(case, attempt, cancel);
    let ended = !attempt.finals.is_empty();
    if ended && !early {
        return let_ring_on(case, attempt, cancel);
    }
    // The ACK to a refusal that was not captured shows that it came (RFC 3261 §17.1.1.3).
    if !ended && !attempt.acks.is_empty() {
        return None;
    }
    if !ended && case.call.messages.iter().any(|heard| answers_what_was_cut_off(heard, cancel)) {
        return None;
    }
    let (from, to) = (cancel.path.source, cancel.path.destination);
    // Where nothing at all came from there, not even 100 or the answer to the CANCEL, only one direction was captured.
    let heard_of = case.surroundings.hop(to.ip(), from.ip()).is_some() || cancel.repeated > 0;
    let confidence = match () {
        // The response before it may be among what was dropped.
        () if ended && case.capture.drops > 0 => Confidence::Possible,
        () if ended => Confidence::Proven,
        () if heard_of => case.absence_of_answer(cancel),
        () => Confidence::Unseen,
    };
    let because = match (early, ended) {
        (true, true) if confidence == Confidence::Possible => format!(
            "{from} sent CANCEL before any response to its INVITE had come in this capture, which lacks packets: if \
             none had, RFC 3261 §9.1 does not allow it."
        ),
        (true, true) => {
            format!("{from} sent CANCEL before any response to its INVITE had come, which RFC 3261 §9.1 forbids.")
        }
        (early, _) => format!(
            "{from} cancelled the call{}, and in {} no final response to the INVITE came from {to}.",
            if early { " before any response had come" } else { "" },
            length(case.tail(cancel.place))
        ),
    };
    let mut finding = Finding::of(&RULE, confidence)
        .severity(if ended { Severity::Info } else { Severity::Warning })
        .party(if early { Role::Uac } else { Role::Uas }, Some(if early { from } else { to }))
        .because(because)
        .claim_method(cancel, "the caller's side cancels");
    if !ended {
        finding = finding.claim_absent(cancel.place, "a final response to the INVITE", "the INVITE never ends");
    }
    Some(finding.refuted("cancel-crossed-answer", "the INVITE was not answered"))
}

/// The CANCEL was repeated and got no answer, and the INVITE went on until something else ended it.
fn let_ring_on<'a>(case: &Case<'a>, attempt: &'a Transaction, cancel: &'a Heard) -> Option<Finding> {
    let cancelled = attempt.cancelled_by.map(|id| case.call.transaction(id))?;
    let end = case.finals(attempt).next().filter(|end| cancel.last_place() < end.place)?;
    let status = end.message.status().filter(|status| status.get() != 487)?;
    let is_open = cancelled.finals.is_empty() && cancel.repeated >= ENOUGH_REPEATS;
    // One that waits for it in vain shows no other than what the way back would.
    let comes_back = case.provisionals(attempt).any(|heard| heard.place < cancel.place);
    if !is_open || !comes_back || case.call.unseen(&Method::Cancel).next().is_some() {
        return None;
    }
    let (from, to) = (cancel.path.source, cancel.path.destination);
    let sent_on = case.call.downstream_of(cancelled.id).next().is_some();
    let kept = if sent_on { "" } else { ", and was not seen to send it on" };
    let waited = length(end.place.time.since(cancel.place.time));
    Some(
        Finding::of(&RULE, Confidence::Likely)
            .severity(Severity::Warning)
            .titled("The CANCEL was not answered, and the call went on")
            .party(case.role_of_asked(cancel), Some(to))
            .because(format!(
                "{from} gave the call up and sent its CANCEL {} within {}; {to} never answered it{kept}. {waited} \
                 after it the INVITE ended with {status}: until then it went on, and might have been answered.",
                times(cancel.repeated + 1),
                length(cancel.last_place().time.since(cancel.place.time)),
            ))
            .fix(format!(
                "See at {to} what becomes of a CANCEL: it has to be answered, and sent on where the INVITE is."
            ))
            .claim_method(cancel, "the caller's side gives up")
            .claim_absent(cancel.place, "a response to the CANCEL", "none came, to any of its copies")
            .claim_status(end, "what ended the INVITE instead")
            .refuted("cancel-crossed-answer", "the INVITE was not answered"),
    )
}

/// True if the INVITE was repeated no more, although the time for that had come before the CANCEL: a response had come
/// that the capture lacks (RFC 3261 §17.1.1.2).
fn stopped_repeating(case: &Case<'_>, attempt: &Transaction, cancel: &Heard) -> bool {
    let Some(request) = case.call.request_of(attempt).filter(|request| !request.path.transport.is_reliable()) else {
        return false;
    };
    // After n copies the next one is due at (2^(n+1) - 1) T1; as much again is left for clients that count otherwise.
    let due = timer::T1 * 2_u32.saturating_pow(request.repeated.saturating_add(2).min(7));
    cancel.place.time.since(request.place.time) > due
}

/// True for a final response of which the capture cut the CSeq off: whether it answers the CANCEL or its INVITE, which
/// have the same branch (RFC 3261 §9.1), cannot be told.
fn answers_what_was_cut_off(heard: &Heard, cancel: &Heard) -> bool {
    heard.path == cancel.path.reversed()
        && heard.message.status().is_some_and(|status| !status.is_provisional())
        && heard.message.cseq().is_none()
}
