use crate::call::Kind;
use crate::catalogue::Topic;
use crate::diagnosis::rule::rule;
use crate::diagnosis::signed_off::signed_off;
use crate::diagnosis::rules::routing::domain_not_served;
use crate::diagnosis::{Case, Confidence, Finding, Role};

rule! {
    /// The server does not know the user that was called.
    ///
    /// ## What it says
    /// The request reached the server for its domain, and there is no such user.
    ///
    /// ## Why it happens
    /// The name is misspelt, the user was never created there, or the server answers 404 for users that are not
    /// registered.
    ///
    /// ## Evidence
    /// 404 or 604 to a request for a user that is a name, not a number. Where its last device had signed off before the call,
    /// a REGISTER that took the binding away and its 2xx show why.
    ///
    /// ## How to fix
    /// Compare the name with the users of that server, and look whether the user is registered.
    ///
    /// ## When it would be wrong
    /// If the server does not serve the domain: `domain-not-served`. If a redirect led here: `redirect-target-failed`.
    ///
    /// ## References
    /// RFC 3261 §21.4.5, §21.6.3
    "E22" "user-unknown" needs [404 604], check
}

fn check(case: &Case<'_>) -> Option<Finding> {
    let failure = case.failure_with(&[404, 604])?;
    let response = case.response(failure);
    let target = case.target(failure)?;
    let is_name = !target.user.is_empty() && !target.is_number();
    let is_other = !is_name || matches!(case.call.kind, Kind::Registration | Kind::Options);
    if is_other || case.telling_cause(response).is_some_and(|cause| cause > 3) {
        return None;
    }
    let in_dialog = case.call.transaction(failure.transaction).in_dialog;
    if in_dialog || case.is_scan() || case.redirected_by().is_some() || domain_not_served::holds(case, failure) {
        return None;
    }
    let request = case.request(failure)?;
    let gone = signed_off(case);
    let finding = Finding::of(&RULE, Confidence::Proven).explains(Some(failure.status));
    let finding = match &gone {
        Some(gone) => finding.party(Role::Uas, Some(gone.asked.source)).titled("The callee's device had signed off"),
        None => finding.sender(case.role_of_responder(response), response),
    };
    if !case.wants_words() {
        return Some(finding);
    }
    let (user, host, server) = (target.bare_user(), &target.host, response.path.source);
    let quotation = case.quotation(response).map(|words| format!("; {words}")).unwrap_or_default();
    let why = match &gone {
        Some(gone) => format!("no device is registered for it; {}", gone.words()),
        None => "there is no such user there or behind it, or no device is registered for it".to_owned(),
    };
    let because = format!("{server} answered {} for \"{user}\" at {host}{quotation}: {why}.", failure.status);
    let finding = finding.because(because);
    let finding = match &gone {
        Some(gone) => gone.prove(finding, user),
        None => finding
            .fix(format!("Compare \"{user}\" letter by letter with the users of {server}."))
            .fix(format!("If the user exists there, look whether a device is registered for it: some servers \
                answer 404 when none is{}.", case.settings(Topic::Users, response)))
            .fix(format!("If it does not, create \"{user}\" on {server}, or correct the caller's dialling.")),
    };
    Some(
        finding
            .claim_request_uri(request, "the user that was called")
            .claim_status(response, "nobody of that name is found")
            .claim_own_words(case, response)
            .refuted("domain-not-served", format!("nothing in this capture shows that {server} serves other \
                domains than {host} only"))
            .refuted("number-not-routable", format!("\"{user}\" is a name, not a number"))
            .refuted("callee-unreachable", "the server did not answer 480"),
    )
}
