use crate::diagnosis::rule::rule;
use crate::diagnosis::{Case, Confidence, Finding, Role};

rule! {
    /// The address to which the call was redirected does not work.
    ///
    /// ## What it says
    /// The caller followed the redirect as it should, and the call failed at the new address.
    ///
    /// ## Why it happens
    /// The redirect names an address that is out of date, or a user that is not reachable there.
    ///
    /// ## Evidence
    /// A 3xx, the request to one of its Contacts, and a failure of that request.
    ///
    /// ## How to fix
    /// Correct the redirect at the server that sent it.
    ///
    /// ## When it would be wrong
    /// If the new address fails for everybody, the fault lies there and not with the redirect.
    ///
    /// ## References
    /// RFC 3261 §8.1.3.4, §21.3
    "E15" "redirect-target-failed" needs [REFUSED REDIRECT SEVERAL], check
}

fn check(case: &Case<'_>) -> Option<Finding> {
    let failure = case.failure().filter(|failure| !failure.status.is_challenge())?;
    let code = failure.status.get();
    let redirect = case.redirected_by()?;
    // What a reachable callee decides is no fault of the redirect.
    if matches!(code, 300..=399 | 486 | 487 | 488 | 600 | 603 | 606) || case.alerting_or_progress(failure.transaction).is_some() {
        return None;
    }
    let (request, response) = (case.request(failure)?, case.response(failure));
    let target = request.message.request_uri()?.into_owned();
    let redirector = redirect.path.source;
    let because = format!(
        "{redirector} redirected the call to {target} with {}; the caller went there, and {} answered {code}.",
        redirect.message.status()?,
        response.path.source
    );
    Some(
        Finding::of(&RULE, Confidence::Proven)
            .explains(Some(failure.status))
            .sender(Role::Uas, redirect)
            .because(because)
            .fix(format!("Correct the redirect on {redirector}: {target} is not, or no longer, a place where \
                the callee can be reached."))
            .fix(format!("If {target} is right, look why {} answers {code} for it.", response.path.source))
            .claim_status(redirect, "the call is sent elsewhere")
            .claim_header(redirect, "Contact", "namely here")
            .claim_request_uri(request, "the caller goes there")
            .claim_status(response, "the call fails there")
            .refuted("redirect-not-followed", "the request for the new address was sent")
            .refuted("user-unknown", "the caller did not choose this address: the redirect did"),
    )
}
