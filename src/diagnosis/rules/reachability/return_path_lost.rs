use crate::call::Heard;
use crate::diagnosis::case::ENOUGH_COPIES;
use crate::diagnosis::rule::rule;
use crate::diagnosis::rules::reachability::response_ignored::{Ignored, capture_at_client, ignored, span};
use crate::diagnosis::{Case, Confidence, Finding, Role, Side};

rule! {
    /// The responses get lost on their way back.
    ///
    /// ## What it says
    /// The request arrives and is answered, and its sender goes on repeating it: the responses that pass the capture do not
    /// reach it.
    ///
    /// ## Why it happens
    /// A firewall or NAT between the capture and the sender drops them, a route back is missing, or they go to a port that
    /// is closed.
    ///
    /// ## Evidence
    /// Two or more copies of a request after its first response, and a response that fits it in every field. Of an INVITE
    /// that was answered, two or more copies after the 2xx, and no ACK.
    ///
    /// ## How to fix
    /// Capture at the sender of the request: if the responses do not arrive there, follow the way back.
    ///
    /// ## When it would be wrong
    /// The sender may get them and ignore them for a reason that is not in the fields. So it is possible only.
    ///
    /// ## References
    /// RFC 3261 §17.1.1.2, §18.2.2
    "B9" "return-path-lost" needs [REPEATED], check
}

fn check(case: &Case<'_>) -> Option<Finding> {
    let lost = lost(case)?;
    let (request, response) = (lost.request, lost.response);
    let status = response.message.status()?;
    let finding = Finding::of(&RULE, Confidence::Possible)
        .explains(case.call.final_status)
        .party(Role::Network, Some(request.path.source));
    let answered = case.call.is_answered();
    let finding = if answered { finding.drops_the_call() } else { finding };
    let mut because = format!(
        "{} answered the {} with {status}, and {} went on repeating it ({} copies in {}). The response fits, so it seems not to \
         arrive: either it gets lost between here and {}, or it is dropped there.",
        response.path.source,
        request.message.method()?,
        request.path.source,
        request.repeated + 1,
        span(request),
        request.path.source
    );
    let mut finding = finding
        .fix(format!("Capture at {} (command below): do the responses arrive there?", request.path.source.ip()))
        .fix("If not, look at the firewall or NAT between, and at the route back.")
        .next_capture(capture_at_client(request))
        .claim_method(request, "the request, repeated after its response")
        .claim_status(response, "a response that fits it");
    if answered {
        because.push_str(" So no ACK came either.");
        if let Some(last) = request.repeats.last() {
            finding = finding.claim_at(*last, "sip.Method", "INVITE", "its last copy, after the answer");
        }
        finding = finding.refuted("ack-missing", "who still sends the INVITE has not got its answer, and has nothing to confirm");
    }
    Some(
        finding
            .because(because)
            .refuted("next-hop-silent", "responses do come back as far as this capture")
            .refuted("response-ignored", "branch, sent-by, CSeq and From tag of the response are those of the request"),
    )
}

/// The deciding request and a response that fits it, if it was repeated as if no response had come.
pub(crate) fn lost<'a>(case: &Case<'a>) -> Option<Ignored<'a>> {
    let lost = ignored(case).filter(|ignored| ignored.difference.is_none())?;
    if !case.call.is_answered() {
        return Some(lost);
    }
    let response = answer_in_vain(case, lost.request)?;
    Some(Ignored { response, ..lost })
}

/// The 2xx after which an INVITE was repeated all the same, if nothing shows that the caller's side got it.
fn answer_in_vain<'a>(case: &Case<'a>, invite: &Heard) -> Option<&'a Heard> {
    let (_, success) = case.answer()?;
    let copies = invite.repeats.iter().filter(|copy| **copy > success.place).count();
    let goes_on = case.acks_to(success).next().is_some()
        || case.first_bye().is_some_and(|bye| case.side(bye.request) == Side::Caller);
    (copies >= ENOUGH_COPIES && !goes_on).then_some(success)
}
