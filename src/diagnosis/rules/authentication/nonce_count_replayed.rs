use crate::capture::Place;
use crate::diagnosis::rule::rule;
use crate::diagnosis::{Case, Confidence, Finding, Role, Try};
use crate::sip::StatusCode;
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
    /// Two different requests of the same user of a client with the same nonce and a nonce count that does not rise;
    /// the first was accepted, the second got 401 or 407 without `stale=true`.
    ///
    /// ## How to fix
    /// Update the client, or let the server give nonces that serve once.
    ///
    /// ## When it would be wrong
    /// A retransmission is the same request. If the next try with a new nonce is accepted, no harm is done. Another
    /// user, or another client, to whom the server gave the same nonce counts its own uses: many servers make nonces of
    /// the time, and give the same one to all that ask within a second.
    ///
    /// ## References
    /// RFC 7616 §3.4
    "A9" "nonce-count-replayed" needs [CREDENTIALS CHALLENGE], check
}

fn check(case: &Case<'_>) -> Option<Finding> {
    let tries = case.tries();
    let (first, second, shown) = tries.iter().rev().find_map(|second| {
        let (first, shown) = replayed(case, &tries, second)?;
        Some((first, second, shown))
    })?;
    let refusal = second.response?;
    let (client, server) = (second.request.path.source, refusal.path.source);
    let count = shown.nonce_count?;
    let decides = case.outer_failure().is_some_and(|failure| failure.response == refusal.id);
    let because = format!(
        "{client} used a nonce of {server} with the count {count:08x}, which {server} had accepted with the count \
         {:08x} before; {server} refused that as a replay{}.",
        first.0,
        if decides { "" } else { ", and accepted the next try" }
    );
    let finding = Finding::of(&RULE, Confidence::Proven);
    let finding = match decides {
        true => finding.explains(second.status()),
        false => finding.about(second.status()?),
    };
    let header = (shown.header, shown.nonce.as_str());
    Some(
        finding
            .sender(Role::Uac, second.request)
            .because(because)
            .fix(format!(
                "Update the software of {client}: it has to raise `nc` with each request that uses the same nonce."
            ))
            .fix(format!("Or let {server} give nonces that serve only once."))
            .claim_at(first.1, "sip.auth.nc", format!("{:08x}", first.0), "the count is used, and accepted")
            .claim_auth(second.request, header, "nc", "the same nonce again, and its count is not higher")
            .claim_status(refusal, "the server refuses it")
            .refuted("credentials-rejected", "the same secret was accepted with this nonce before"),
    )
}

/// The count with which the server had accepted the nonce of these credentials from the same user of this client
/// before, and where, if it was not lower.
fn replayed(case: &Case<'_>, tries: &[Try<'_>], second: &Try<'_>) -> Option<((u32, Place), Credentials)> {
    let is_refused = second.is_challenged() && !second.credentials().is_empty();
    if !is_refused || second.challenges().iter().any(|challenge| challenge.stale) {
        return None;
    }
    let path = second.request.path;
    second.credentials().iter().find_map(|shown| {
        let count = shown.nonce_count?;
        let in_call = || {
            let before = tries.iter().filter(|one| one.request.id < second.request.id);
            let accepted = before.filter(|one| one.status().is_some_and(StatusCode::is_success));
            accepted
                .flat_map(|one| one.credentials().iter().map(move |used| (used, one.request.place)))
                .filter(|(used, _)| is_same_user(used, shown))
                .find_map(|(used, place)| Some((used.nonce_count?, place)))
        };
        let elsewhere = || {
            let used = case.surroundings.accepted().nonce_use(path.destination.ip(), path.source.ip(), shown)?;
            // Another client behind the same address was given the nonce itself, and rightly begins to count.
            let may_be_another = used.port != path.source.port() && case.asked_with_nonce_of(second).is_some();
            (!may_be_another).then_some((used.count, used.place))
        };
        let (used, place) = in_call().or_else(elsewhere)?;
        (used >= count && place < second.request.place).then(|| ((used, place), shown.clone()))
    })
}

/// True if credentials show the same nonce for the same user: its uses are counted for each user alone.
fn is_same_user(used: &Credentials, shown: &Credentials) -> bool {
    (&used.nonce, &used.realm, &used.username) == (&shown.nonce, &shown.realm, &shown.username)
}
