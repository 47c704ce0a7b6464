use crate::diagnosis::rule::rule;
use crate::diagnosis::rules::reachability::response_ignored::{capture_at_client, ignored, span};
use crate::diagnosis::{Case, Confidence, Finding, Role};

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
    /// Two or more copies of a request after its first response, and a response that fits it in every field.
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
    let lost = ignored(case).filter(|ignored| ignored.difference.is_none())?;
    if case.call.is_answered() {
        return None; // A 2xx that does not arrive shows in its own repeats: ack-missing.
    }
    let (request, response) = (lost.request, lost.response);
    let status = response.message.status()?;
    Some(
        Finding::of(&RULE, Confidence::Possible)
            .explains(case.call.final_status)
            .party(Role::Network, Some(request.path.source))
            .because(format!(
                "{} answered the {} with {status}, and {} went on repeating it ({} copies in {}). The response fits, so it \
                 seems not to arrive: either it gets lost between here and {}, or it is dropped there.",
                response.path.source,
                request.message.method()?,
                request.path.source,
                request.repeated + 1,
                span(request),
                request.path.source
            ))
            .fix(format!("Capture at {} (command below): do the responses arrive there?", request.path.source.ip()))
            .fix("If not, look at the firewall or NAT between, and at the route back.")
            .next_capture(capture_at_client(request))
            .claim_method(request, "the request, repeated after its response")
            .claim_status(response, "a response that fits it")
            .refuted("next-hop-silent", "responses do come back as far as this capture")
            .refuted("response-ignored", "branch, sent-by, CSeq and From tag of the response are those of the request"),
    )
}
