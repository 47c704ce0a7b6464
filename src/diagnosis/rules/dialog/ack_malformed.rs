use std::borrow::Cow;

use crate::call::{Heard, Transaction};
use crate::diagnosis::case::ENOUGH_REPEATS;
use crate::diagnosis::dialogs::{from_tag, to_tag};
use crate::diagnosis::rule::rule;
use crate::diagnosis::words::length;
use crate::diagnosis::{Case, Confidence, Finding, Role, Severity};
use crate::sip::{Method, StatusCode};

rule! {
    /// The ACK does not fit the INVITE that it is for.
    ///
    /// ## What it says
    /// The caller's side sent an ACK with another CSeq number or other tags than the INVITE and its answer have. The
    /// callee's side cannot match it, repeats its answer, and gives up.
    ///
    /// ## Why it happens
    /// A fault of the caller's software; or something on the way rewrote the ACK and not the INVITE.
    ///
    /// ## Evidence
    /// A 2xx that is repeated twice or more, no ACK that fits, and one of the same Call-ID with another CSeq number or
    /// another tag. Or a failure that is repeated twice or more although ACKs go there, all with another branch than
    /// the INVITE.
    ///
    /// ## How to fix
    /// Report it to the maker of the caller's software: an ACK has the CSeq number of its INVITE (RFC 3261 §13.2.2.4).
    ///
    /// ## When it would be wrong
    /// The odd ACK may belong to a re-INVITE that is not in the capture.
    ///
    /// ## References
    /// RFC 3261 §13.2.2.4, §17.1.1.3
    "C3" "ack-malformed" needs [REPEATED] [ANSWERED BYE STREAM], check
}

fn check(case: &Case<'_>) -> Option<Finding> {
    after_success(case).or_else(|| after_failure(case))
}

/// The ACK to a failure has another branch than its INVITE (RFC 3261 §17.1.1.3), and the failure is repeated.
fn after_failure(case: &Case<'_>) -> Option<Finding> {
    let invites = case.call.transactions.iter().filter(|transaction| transaction.method == Method::Invite);
    let (request, failure, ack) = invites.filter(|invite| !invite.path.transport.is_reliable()).find_map(|invite| {
        let request = case.call.request_of(invite)?;
        let failure = case.finals(invite).find(|heard| {
            heard.repeated >= ENOUGH_REPEATS && heard.message.status().is_some_and(StatusCode::is_failure)
        })?;
        let on_hop = |ack: &&Heard| {
            ack.message.method() == Some(&Method::Ack)
                && ack.path == request.path
                && ack.message.call_id() == request.message.call_id()
                && ack.message.cseq().map(|cseq| cseq.number) == Some(invite.cseq)
        };
        let acks: Vec<&Heard> = case.call.messages.iter().filter(on_hop).collect();
        let is_odd = |ack: &&Heard| branch(ack) != branch(request);
        let odd = acks.iter().copied().find(|ack| is_odd(ack))?;
        let unheard = failure.last_place() > odd.place && acks.iter().all(is_odd);
        unheard.then_some((request, failure, odd))
    })?;
    Some(
        Finding::of(&RULE, Confidence::Proven)
            .about(failure.message.status()?)
            .severity(Severity::Warning)
            .sender(Role::Uac, ack)
            .because(format!(
                "The ACK of {} to the {} has another branch than its INVITE. {} cannot match it, and repeated its \
                 response {} times.",
                ack.path.source,
                failure.message.status()?,
                failure.path.source,
                failure.repeated
            ))
            .fix(format!(
                "Have the software of {} mended: the ACK to a failure has the topmost Via of its INVITE.",
                ack.path.source
            ))
            .claim(request, "sip.Via.branch", branch(request)?, "the branch of the INVITE")
            .claim(ack, "sip.Via.branch", branch(ack)?, "the branch of the ACK")
            .claim_status(failure, "the response that is repeated"),
    )
}

fn branch(heard: &Heard) -> Option<String> {
    Some(heard.message.vias().first()?.branch().to_owned())
}

fn after_success(case: &Case<'_>) -> Option<Finding> {
    let (_, success) =
        case.answers().find(|(_, success)| case.waits_for_ack(success) && case.acks_to(success).next().is_none())?;
    let ack = odd_ack(case, success)?;
    let wanted = success.message.cseq()?.number;
    let sent = ack.message.cseq()?.number;
    let differs = |name: &str, of: fn(&Heard) -> Option<Cow<'_, str>>| {
        let (sent, wanted) = (of(ack).unwrap_or_default(), of(success).unwrap_or_default());
        (format!("the {name} tag {sent:?}, and the answer has {wanted:?}"), sent, wanted)
    };
    let (field, (words, value, expected)) = if sent != wanted {
        let words = format!("the CSeq number {sent}, and the INVITE has {wanted}");
        ("sip.CSeq.seq", (words, sent.to_string().into(), wanted.to_string().into()))
    } else if to_tag(ack) != to_tag(success) {
        ("sip.to.tag", differs("To", to_tag))
    } else {
        ("sip.from.tag", differs("From", from_tag))
    };
    let waited = match case.given_up_over_stream(success) {
        Some(bye) => format!("gave the call up {} after its answer", length(bye.place.time.since(success.place.time))),
        None => format!("repeated its answer {} times", success.repeated),
    };
    let finding = case.of_unheard_ack(&RULE, Confidence::Proven, success);
    Some(
        finding
            .sender(Role::Uac, ack)
            .because(format!(
                "The ACK of {} has {words}. {} cannot match it, and {waited}.",
                ack.path.source, success.path.source
            ))
            .fix(format!(
                "Have the software of {} mended: the ACK must carry the CSeq number and tags of what it confirms.",
                ack.path.source
            ))
            .claim(ack, field, value, "what the ACK carries")
            .claim(success, field, expected, "what it has to carry")
            .claim_absent(success.place, "an ACK that fits", "the answer stays unconfirmed")
            .refuted("ack-missing", "an ACK was sent, and does not fit")
            .refuted("in-dialog-request-misrouted", "the ACK does not fit, wherever it went"),
    )
}

/// An ACK of the same Call-ID and caller after the 2xx that fits no INVITE of the call.
fn odd_ack<'a>(case: &Case<'a>, success: &Heard) -> Option<&'a Heard> {
    case.call.messages.iter().find(|ack| {
        ack.message.method() == Some(&Method::Ack)
            && ack.message.call_id() == success.message.call_id()
            && (from_tag(ack) == from_tag(success) || to_tag(ack) == to_tag(success))
            && ack.last_place() > success.place
            && case.call.messages.iter().filter(|copy| is_copy(ack, copy)).all(|copy| went_to_answerer(case, copy))
            && !fits_any(case, ack)
    })
}

/// True for an ACK as another hop carries it.
fn is_copy(ack: &Heard, copy: &Heard) -> bool {
    copy.message.method() == Some(&Method::Ack)
        && copy.message.call_id() == ack.message.call_id()
        && (from_tag(copy), to_tag(copy)) == (from_tag(ack), to_tag(ack))
}

/// True if an ACK went where a 2xx came from: another one may be for a refusal on its own hop, or for the 2xx of another
/// branch, which the capture missed.
fn went_to_answerer(case: &Case<'_>, ack: &Heard) -> bool {
    case.answers().any(|(_, success)| success.path.source.ip() == ack.path.destination.ip())
}

fn fits_any(case: &Case<'_>, ack: &Heard) -> bool {
    let number = ack.message.cseq().map(|cseq| cseq.number);
    // The ACK to a refusal has the branch of its INVITE (§17.1.1.3): to one that the capture missed, if it holds none.
    let is_of_unseen_refusal =
        |invite: &Transaction| invite.finals.is_empty() && *invite.branch == *ack.message.top_branch();
    case.call.transactions.iter().filter(|transaction| transaction.method == Method::Invite).any(|invite| {
        Some(invite.cseq) == number
            && (invite.request.is_some() || !invite.finals.is_empty())
            && (is_of_unseen_refusal(invite) || invite.finals.iter().any(|id| fits(case.call.message(*id), ack)))
    })
}

fn fits(success: &Heard, ack: &Heard) -> bool {
    to_tag(success) == to_tag(ack) && from_tag(success) == from_tag(ack)
}
