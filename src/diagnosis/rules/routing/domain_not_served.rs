use crate::call::{Failure, Kind};
use crate::catalogue::Topic;
use crate::diagnosis::rule::rule;
use crate::diagnosis::{Case, Confidence, Finding, Role};

rule! {
    /// The request is for a domain that this server does not serve.
    ///
    /// ## What it says
    /// The host in the Request-URI is not one of the server's, so it looked for no user at all.
    ///
    /// ## Why it happens
    /// The caller writes its own domain, an address of a proxy, or an old name where the server's domain is expected.
    ///
    /// ## Evidence
    /// 404 for a Request-URI with this host, while the same server accepted requests for other hosts in this capture.
    ///
    /// ## How to fix
    /// Put the server's domain into the Request-URI, or add the domain to the server.
    ///
    /// ## When it would be wrong
    /// If the user does not exist in either domain.
    ///
    /// ## References
    /// RFC 3261 §21.4.5, §16.5
    "E3" "domain-not-served" needs [404], check
}

/// The host of a request that was answered 404, and a host that its server accepts, if it accepts others only.
pub(super) fn other_domain(case: &Case<'_>, failure: &Failure) -> Option<(String, String)> {
    let host = case.target(failure)?.host.to_ascii_lowercase();
    let request = case.request(failure)?;
    let server = request.path.destination.ip();
    if host.is_empty() || host == server.to_string() {
        return None;
    }
    let mut accepted = None;
    for served in case.surroundings.accepted().hosts(server) {
        if served == host {
            return None;
        }
        accepted.get_or_insert_with(|| served.to_owned());
    }
    Some((host, accepted?))
}

/// Words of a response that refuse the domain.
const WORDS: &[&str] = &[
    "domain not",
    "domain is not",
    "unknown domain",
    "domain unknown",
    "no such domain",
    "not our domain",
    "wrong domain",
];

/// True if another domain is served there, or the response itself refuses the domain.
pub(super) fn holds(case: &Case<'_>, failure: &Failure) -> bool {
    other_domain(case, failure).is_some() || case.says_any(case.response(failure), WORDS)
}

fn check(case: &Case<'_>) -> Option<Finding> {
    let failure = case.failure_with(&[404])?;
    let response = case.response(failure);
    let in_dialog = case.call.transaction(failure.transaction).in_dialog;
    if in_dialog || matches!(case.call.kind, Kind::Registration | Kind::Options) || case.q850(response).is_some() {
        return None;
    }
    let other = other_domain(case, failure);
    if other.is_none() && !case.says_any(response, WORDS) {
        return None;
    }
    let request = case.request(failure)?;
    let (host, server) = (case.target(failure)?.host.to_ascii_lowercase(), response.path.source);
    let accepted = other.map(|(_, accepted)| accepted);
    let because = match (&accepted, case.quotation(response)) {
        (Some(accepted), _) => format!(
            "{server} answered 404 to a request for the host {host}, and accepted requests for {accepted} in this \
             capture: it does not serve {host}."
        ),
        (None, words) => format!(
            "{server} answered 404 to a request for the host {host}; {}: it does not serve that domain.",
            words.unwrap_or_default()
        ),
    };
    let words = case.settings(Topic::Domains, response);
    Some(
        Finding::of(&RULE, Confidence::Likely)
            .explains(Some(failure.status))
            .sender(Role::Uac, request)
            .because(because)
            .fix(match &accepted {
                Some(accepted) => format!("Let {} send requests to {accepted} instead of {host}.", request.path.source),
                None => format!("Let {} put a domain that {server} serves into the Request-URI.", request.path.source),
            })
            .fix(format!("Or add {host} to the domains of {server}{words}."))
            .claim_request_uri(request, "the host that was asked for")
            .claim_status(response, "the server knows nothing there")
            .claim_own_words(case, response)
            .refuted("user-unknown", "what is refused is the domain, so the user was not looked for in it"),
    )
}
