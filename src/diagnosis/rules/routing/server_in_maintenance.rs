use crate::call::Heard;
use crate::diagnosis::rule::rule;
use crate::diagnosis::rules::routing::server_overloaded::with_unit;
use crate::diagnosis::stated::{blames_any, states_any};
use crate::diagnosis::trunk::says_trunk_is_down;
use crate::diagnosis::{Case, Confidence, Finding};

rule! {
    /// The server says that it is in maintenance.
    ///
    /// ## What it says
    /// The server refuses work on purpose, for as long as somebody works on it.
    ///
    /// ## Why it happens
    /// It was paused or drained for maintenance, and requests are still sent to it.
    ///
    /// ## Evidence
    /// A 503 whose reason phrase, Warning, Reason or comment in Retry-After speaks of maintenance.
    ///
    /// ## How to fix
    /// Take the server out of DNS or of the list of destinations while it is in maintenance.
    ///
    /// ## When it would be wrong
    /// A phrase may be left over from an old script, and one that denies maintenance speaks of it too. Where a Q.850
    /// cause says something else, that counts.
    ///
    /// ## References
    /// RFC 3261 §21.5.4, §20.33, §20.43; RFC 3263 §4.3
    "E10" "server-in-maintenance" needs [503], check
}

/// Words of a phrase or Warning that speak of maintenance.
const MAINTENANCE: &[&str] = &["maintenance", "out of service", "paused"];
/// The same of what is done before it, and holds also when that is done.
const BEFORE: &[&str] = &["shutting down", "shutdown", "drain"];

/// True if a 503 names maintenance: by its phrase, a Warning, or the comment of Retry-After (RFC 3261 §20.33).
pub(super) fn is_named(case: &Case<'_>, response: &Heard) -> bool {
    let comment = response.message.header("Retry-After").unwrap_or_default().to_lowercase();
    names(&case.words(response)) || names(&comment)
}

/// True if a text, in lower case, states that there is maintenance.
fn names(text: &str) -> bool {
    states_any(text, MAINTENANCE) || blames_any(text, BEFORE)
}

/// True if maintenance is only a word behind the usual phrase of a 503 that carries Retry-After: then the time that it
/// asks for is what matters, and `server-overloaded` tells of it.
pub(super) fn is_aside(case: &Case<'_>, response: &Heard) -> bool {
    let phrase = response.message.reason_phrase().to_lowercase();
    let words = case.words(response);
    let elsewhere = words.lines().skip(1).any(names);
    let retry_after = response.message.header("Retry-After").unwrap_or_default();
    let is_plain = !retry_after.is_empty() && retry_after.trim().bytes().all(|byte| byte.is_ascii_digit());
    phrase.trim().starts_with("service unavailable") && is_plain && !elsewhere
}

fn check(case: &Case<'_>) -> Option<Finding> {
    let failure = case.failure_with(&[503])?;
    let response = case.response(failure);
    if !is_named(case, response) || case.q850(response).is_some() || says_trunk_is_down(case, response) {
        return None;
    }
    let server = response.path.source;
    let until = response
        .message
        .header("Retry-After")
        .map(|value| format!(", and asks to come back after {}", with_unit(value.trim())));
    let because = format!(
        "{server} refuses requests because it is in maintenance{}{}.",
        case.quotation(response).map(|words| format!(": {words}")).unwrap_or_default(),
        until.unwrap_or_default()
    );
    let finding = Finding::of(&RULE, Confidence::Proven);
    let finding = match is_aside(case, response) {
        true => finding.about(failure.status),
        false => finding
            .explains(Some(failure.status))
            .refuted("server-overloaded", "the words speak of maintenance, not of load"),
    };
    let finding = finding
        .sender(case.role_of_responder(response), response)
        .because(because)
        .fix(format!("Send requests to another server until the maintenance of {server} is over."))
        .fix(format!("Take {server} out of DNS SRV or of the list of destinations whenever it is in maintenance."))
        .claim_status(response, "the server refuses");
    Some(finding.claim_own_words(case, response).claim_header(
        response,
        "Retry-After",
        "the server names the time itself",
    ))
}
