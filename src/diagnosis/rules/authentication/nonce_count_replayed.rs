use crate::diagnosis::rule::rule;
use crate::diagnosis::{Case, Confidence, Finding, Role, Try};
use crate::sip::auth::Credentials;

rule! {
    /// The client used a nonce again without raising its count.
    ///
    /// ## What it says
    /// The server had accepted the nonce with this count before, and takes the second use for a replay.
    ///
    /// ## Why it happens
    /// A fault of the client: it remembers the nonce but starts to count anew.
    ///
    /// ## Evidence
    /// Two different requests with the same nonce and a nonce count that does not rise; the first was accepted, the
    /// second got 401 or 407 without `stale=true`.
    ///
    /// ## How to fix
    /// Update the client, or let the server give nonces that serve once.
    ///
    /// ## When it would be wrong
    /// A retransmission is the same request. If the next try with a new nonce is accepted, no harm is done.
    ///
    /// ## References
    /// RFC 7616 §3.4
    "A9" "nonce-count-replayed", check
}

fn check(case: &Case<'_>) -> Option<Finding> {
    let tries = case.tries();
    let (first, second, shown) = tries.iter().enumerate().rev().find_map(|(at, second)| {
        let before = tries.get(..at)?;
        replayed(before, second).map(|(first, shown)| (first, second, shown))
    })?;
    let refusal = second.response?;
    let (client, server) = (second.request.path.source, refusal.path.source);
    let count = shown.nonce_count?;
    let decides = case.outer_failure().is_some_and(|failure| failure.response == refusal.id);
    let because = format!(
        "{client} used a nonce of {server} a second time with the count {count:08x}, which it had used before; {server} \
         refused that as a replay{}.",
        if decides { "" } else { ", and accepted the next try" }
    );
    let finding = Finding::of(&RULE, Confidence::Proven);
    let finding = match (decides, refusal.message.status()) {
        (true, status) => finding.explains(status),
        (false, Some(status)) => finding.about(status),
        (false, None) => finding,
    };
    let header = (shown.header, shown.nonce.as_str());
    Some(
        finding
            .sender(Role::Uac, second.request)
            .because(because)
            .fix(format!("Update the software of {client}: it has to raise `nc` with each request that uses the same nonce."))
            .fix(format!("Or let {server} give nonces that serve only once."))
            .claim_auth(first.request, header, "nc", "the count is used")
            .claim_auth(second.request, header, "nc", "the count is used again with the same nonce")
            .claim_status(refusal, "the server refuses it")
            .refuted("credentials-rejected", "the same secret was accepted with this nonce before"),
    )
}

/// The earlier, accepted use of the same nonce with a count that is not lower.
fn replayed<'t, 'a>(before: &'t [Try<'a>], second: &'t Try<'a>) -> Option<(&'t Try<'a>, &'t Credentials)> {
    if !second.is_challenged() || second.challenges.iter().any(|challenge| challenge.stale) {
        return None;
    }
    second.credentials.iter().find_map(|shown| {
        let count = shown.nonce_count?;
        let is_use = |one: &&Credentials| one.nonce == shown.nonce && one.nonce_count.is_some_and(|used| used >= count);
        let first = before
            .iter()
            .find(|one| one.credentials.iter().any(|used| is_use(&used)) && one.status().is_some_and(|s| s.is_success()))?;
        Some((first, shown))
    })
}
