use crate::call::{Heard, Kind};
use crate::diagnosis::rule::rule;
use crate::diagnosis::{Case, Confidence, Finding};

rule! {
    /// The request names no user to call.
    ///
    /// ## What it says
    /// The Request-URI holds a host and no user part, so there is nobody to look for.
    ///
    /// ## Why it happens
    /// The number was lost before the request was made: an empty variable, a dial string that was cut, a trunk that
    /// expects the number in To.
    ///
    /// ## Evidence
    /// A Request-URI such as `sip:host`, and 484, 404, 400 or 604 as its answer.
    ///
    /// ## How to fix
    /// Let the caller put the number before the host of the Request-URI.
    ///
    /// ## When it would be wrong
    /// REGISTER and OPTIONS name no user, and must not.
    ///
    /// ## References
    /// RFC 3261 §19.1.1, §21.4.22
    "E24" "request-uri-without-user" needs [400 404 416 484 485 604], check
}

fn check(case: &Case<'_>) -> Option<Finding> {
    let failure = case.failure_with(&[400, 404, 416, 484, 485, 604])?;
    let target = case.target(failure)?;
    if !target.user.is_empty() || target.host.is_empty() || !matches!(case.call.kind, Kind::Call | Kind::Message) {
        return None;
    }
    let response = case.response(failure);
    // Who passed it on so did not lose the user.
    let is_without_user = |before: &Heard| before.message.target().is_some_and(|target| target.user.is_empty());
    let request = case.first_with(case.request(failure)?, is_without_user);
    let target = request.message.target()?;
    let client = request.path.source;
    let to = request.message.to().map(|to| to.parsed().bare_user().to_owned()).filter(|user| !user.is_empty());
    let in_to = match &to {
        Some(user) => format!(" The user stands in To only (\"{user}\")."),
        None => String::new(),
    };
    let because = format!(
        "{client} sent the {} to {}, which names no user, and {} answered {}.{in_to}",
        request.message.method()?.name(),
        request.message.request_uri()?,
        response.path.source,
        failure.status
    );
    let finding = Finding::of(&RULE, Confidence::Proven)
        .explains(Some(failure.status))
        .sender(case.role_of_sender(request), request)
        .because(because)
        .fix(format!(
            "Look on {client} what fills the user part of the Request-URI: an empty variable, or a dial string that \
             was cut."
        ));
    let finding = match to {
        Some(user) => {
            finding.fix(format!("Let {client} put \"{user}\" before the host of the Request-URI, not into To alone."))
        }
        None => {
            finding.fix(format!("Let {client} send the number as the user part, as in sip:NUMBER@{}.", target.host))
        }
    };
    Some(
        finding
            .claim_request_uri(request, "a host and no user")
            .claim_status(response, "the server cannot look for anybody")
            .refuted("number-not-routable", "there is no number that could be routed")
            .refuted("user-unknown", "there is no user that could be known"),
    )
}
