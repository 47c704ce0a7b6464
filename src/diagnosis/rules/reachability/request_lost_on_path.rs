use crate::diagnosis::rule::rule;
use crate::diagnosis::rules::reachability::first_response_slow::{
    PROMPT, copies_before, is_each_copy_answered, repeated_and_answered,
};
use crate::diagnosis::words::{length, times};
use crate::diagnosis::{Case, Confidence, Finding, Role};
use crate::sip::Method;

rule! {
    /// A request was lost on the way, and its copy arrived.
    ///
    /// ## What it says
    /// A request had to be repeated, and the copy was answered at once. One packet was lost; the call went on.
    ///
    /// ## Why it happens
    /// Packet loss on the way, or its answer was lost.
    ///
    /// ## Evidence
    /// A request that was repeated, and a first response within 200 ms of the latest copy before it.
    ///
    /// ## How to fix
    /// Once is nothing. If it recurs on a hop, look at the loss on that way.
    ///
    /// ## When it would be wrong
    /// A slow responder whose answer happens to come just after a copy looks the same. If each copy is answered, none
    /// was lost: `first-response-slow`.
    ///
    /// ## References
    /// RFC 3261 §17.1.1.2, §17.1.2.2
    "B17" "request-lost-on-path" needs [REPEATED], check
}

fn check(case: &Case<'_>) -> Option<Finding> {
    let (request, response) = repeated_and_answered(case)?;
    let latest = copies_before(request, response).last()?;
    let after = response.place.time.since(latest);
    if after > PROMPT || is_each_copy_answered(case, request, response) {
        return None;
    }
    Some(
        Finding::of(&RULE, Confidence::Likely)
            .party(Role::Network, None)
            .because(format!(
                "The {} from {} to {} was sent {}; the last copy was answered after {}. An earlier one, or its \
                 answer, was lost on the way.{}",
                request.message.method()?,
                request.path.source,
                request.path.destination,
                times(request.repeated.saturating_add(1)),
                length(after),
                if request.message.method()? == &Method::Invite { " The call went on." } else { "" }
            ))
            .claim_method(request, "the first copy of the request")
            .claim_status(response, "answered at once after the last copy")
            .refuted("first-response-slow", "the response comes at once after a copy")
            .refuted("capture-duplicated", "the copies are too far apart for copies made by the capture"),
    )
}
