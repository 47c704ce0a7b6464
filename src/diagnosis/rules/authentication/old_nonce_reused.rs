use crate::call::Heard;
use crate::diagnosis::rule::rule;
use crate::diagnosis::{Case, Confidence, Finding, Rejection, Role};
use crate::sip::auth::Challenge;

rule! {
    /// The client answers with an old nonce instead of the newest one.
    ///
    /// ## What it says
    /// The server gave a new nonce each time, and the client did not take it.
    ///
    /// ## Why it happens
    /// A fault of the client: it keeps the nonce of an earlier challenge, or mixes up those of several accounts.
    ///
    /// ## Evidence
    /// Each request after a challenge carries another nonce than the newest one of that challenger, and is challenged
    /// again.
    ///
    /// ## How to fix
    /// Update the client, or restart it so that it forgets the old nonce.
    ///
    /// ## When it would be wrong
    /// If several challengers are asked in turn: each has its own nonces.
    ///
    /// ## References
    /// RFC 7616 §3.3, §3.4
    "A17" "old-nonce-reused" needs [REFUSED CHALLENGE CREDENTIALS], check
}

fn check(case: &Case<'_>) -> Option<Finding> {
    let last = case.rejection()?;
    let (old, answered) = old_ones(case, &last)?;
    let (asked, challenge) = last.asked.as_ref()?;
    if challenge.realm != last.credentials.realm {
        return None;
    }
    let (client, server) = (last.request.path.source, asked.path.source);
    let finding = Finding::of(&RULE, Confidence::Proven)
        .explains(last.refusal.message.status())
        .sender(Role::Uac, last.request)
        .because(format!(
            "{server} gave {client} a new nonce, and the next request of user \"{}\" carried another one, {old} of \
             {answered} times.",
            last.credentials.username
        ))
        .fix(format!("Restart {client}, so that it forgets its old nonce."))
        .fix(format!(
            "If it comes back, update the software of {client}: a client has to take the nonce of the newest \
             challenge."
        ));
    Some(
        proved(case, finding, &last, (asked, challenge))
            .refuted("credentials-rejected", "a digest with an old nonce is refused whatever the secret is")
            .refuted("nonce-never-accepted", "the client did not use the newest nonce"),
    )
}

/// How many answers to challenges carried an old nonce, up to the last one, and of how many. From some try on every
/// nonce was an old one: always, or since the client stopped to take new ones.
fn old_ones(case: &Case<'_>, last: &Rejection<'_>) -> Option<(usize, usize)> {
    let rejections = case.rejections();
    let tries = case.tries();
    // Where a try is missing before one whose nonce nothing in the capture gave, so is the challenge that gave it; and
    // what a challenge gave whose own request is missing may be the newest nonce.
    let is_missed = |one: &Rejection<'_>| {
        let Some(shown) = tries.iter().find(|known| known.request.id == one.request.id) else { return false };
        match case.asked_with_nonce_of(shown) {
            Some(given) => one.asked.as_ref().is_some_and(|(asked, _)| asked.id < given.id),
            None => case.lacks_requests_before(one.request),
        }
    };
    let is_answer = |one: &&Rejection<'_>| {
        one.asked.is_some() && one.credentials.realm == last.credentials.realm && !is_missed(one)
    };
    let answers: Vec<&Rejection<'_>> = rejections.iter().filter(is_answer).collect();
    let old = answers.iter().rev().take_while(|one| !one.has_newest_nonce()).count();
    let is_of_client = old > 0 && (old == answers.len() || old >= 2);
    is_of_client.then_some((old, answers.len()))
}

/// The finding with what proves it. The nonces themselves are not shown: they would help to guess the secret.
fn proved(
    case: &Case<'_>,
    finding: Finding,
    last: &Rejection<'_>,
    (asked, challenge): (&Heard, &Challenge),
) -> Finding {
    let shown = (last.credentials.header, last.credentials.nonce.as_str());
    let newest = (challenge.header, challenge.nonce.as_str());
    let parameter = if challenge.stale { "stale" } else { "realm" };
    let tries = case.tries();
    let shown_in = tries.iter().find(|one| one.request.id == last.request.id);
    let given = shown_in.and_then(|one| case.asked_with_nonce_of(one));
    let carries = match given {
        Some(_) => "the credentials for it carry the nonce of an earlier one",
        None => "the credentials for it carry another nonce, which no challenge in this capture gave",
    };
    let mut finding = finding
        .claim_auth(asked, newest, parameter, "the newest challenge of this realm")
        .claim_auth(last.request, shown, "realm", carries)
        .claim_status(last.refusal, "the server asks again");
    if let Some(given) = given {
        finding = finding.claim_status(given, "the challenge that gave that nonce");
    }
    if last.again.stale {
        let again = (last.again.header, last.again.nonce.as_str());
        finding = finding.claim_auth(last.refusal, again, "stale", "the nonce is too old, says the server");
    }
    finding
}
