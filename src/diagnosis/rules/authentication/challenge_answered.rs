use crate::call::{Heard, NormalStep};
use crate::diagnosis::rule::rule;
use crate::diagnosis::{Case, Confidence, Finding};
use crate::sip::auth::{self, Challenge};

rule! {
    /// A challenge was answered with credentials, as it should be.
    ///
    /// ## What it says
    /// A 401 or 407 asked for credentials, and the request went on with them. This is no failure.
    ///
    /// ## Why it happens
    /// A client sends its first request without credentials: only the challenge tells it realm and nonce. A server may
    /// ask anew when the nonce has become old.
    ///
    /// ## Evidence
    /// 401 or 407; the same request again with credentials that carry its nonce; an answer of the same challenger that
    /// is neither a challenge nor 403.
    ///
    /// ## How to fix
    /// Nothing is to be done.
    ///
    /// ## When it would be wrong
    /// If the answer to the credentials is 401, 407 or 403 they were refused: `credentials-rejected`,
    /// `nonce-never-accepted`, `forbidden-after-credentials`.
    ///
    /// ## References
    /// RFC 3261 §22.1, §22.2, §22.3; RFC 7616 §3.3
    "A2" "challenge-answered" needs [CHALLENGE CREDENTIALS], check
}

fn check(case: &Case<'_>) -> Option<Finding> {
    let mut answered = case
        .call
        .failures
        .iter()
        .filter(|failure| failure.normal == Some(NormalStep::ChallengeAnswered))
        .filter(|failure| case.call.transaction(failure.transaction).upstream.is_none())
        .filter_map(|failure| {
            let asked = case.response(failure);
            let (retry, answer) = answer_to(case, asked)?;
            Some((failure.status, asked, retry, answer))
        });
    let (status, asked, retry, answer) = answered.next()?;
    let more = answered.count();
    // A server may ask once for each algorithm, with a nonce of its own each time (RFC 8760 §2.4).
    let (challenge, shown) = auth::challenges(&asked.message).iter().find_map(|challenge| {
        let shown = auth::credentials(&retry.message).iter().find(|one| one.nonce == challenge.nonce)?;
        Some((challenge, shown))
    })?;
    let finding = Finding::of(&RULE, Confidence::Proven).about(status);
    if !case.wants_words() {
        return Some(finding);
    }
    let kind = if challenge.stale { "only renewed the nonce (stale=true)" } else { "is the normal challenge" };
    let more = match more {
        0 => String::new(),
        1 => " One more challenge was answered in the same way.".to_owned(),
        more => format!(" {more} more challenges were answered in the same way."),
    };
    let because = format!(
        "The {status} of {} {kind}: the request was sent again with credentials and got {}.{more}",
        asked.path.source,
        answer.message.status()?
    );
    Some(
        finding
            .because(because)
            .claim_status(asked, "the server asks for credentials")
            .claim_auth(retry, (shown.header, &shown.nonce), "username", "the client shows them")
            .claim_status(answer, "the server goes on with the request"),
    )
}

/// The request that answers a challenge, and the first answer to it that shows that it was accepted.
fn answer_to<'a>(case: &Case<'a>, asked: &'a Heard) -> Option<(&'a Heard, &'a Heard)> {
    let challenges = auth::challenges(&asked.message);
    let method = &case.call.transaction(asked.transaction).method;
    let retry = case.call.transactions.iter().find_map(|later| {
        let request = case.call.request_of(later).filter(|request| request.id > asked.id)?;
        let carries = later.method == *method
            && auth::credentials(&request.message)
                .iter()
                .any(|shown| challenges.iter().any(|challenge| challenge.nonce == shown.nonce));
        carries.then_some((later, request))
    });
    let (transaction, request) = retry?;
    if let Some(decision) = case.call.final_of(transaction) {
        return is_accepted(decision, challenges).then_some((request, decision));
    }
    let went_on = transaction.provisionals.last().map(|id| case.call.message(*id))?;
    Some((request, went_on))
}

/// True unless this response refuses the credentials that were shown: a challenge for another realm is another
/// challenger, who was reached because the first one was content.
fn is_accepted(response: &Heard, answered: &[Challenge]) -> bool {
    match response.message.status().map(|status| status.get()) {
        Some(401 | 407) => auth::challenges(&response.message)
            .iter()
            .all(|again| answered.iter().all(|known| known.realm != again.realm || known.header != again.header)),
        Some(403) | None => false,
        Some(_) => true,
    }
}
