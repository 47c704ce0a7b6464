use crate::call::{Heard, timer};
use crate::catalogue::Topic;
use crate::diagnosis::rule::rule;
use crate::diagnosis::{Case, Confidence, Finding, Role, Try};
use crate::sip::auth::Challenge;

rule! {
    /// The server asked for credentials, and the client never sent any.
    ///
    /// ## What it says
    /// The call ended at the challenge: the request did not come again with credentials.
    ///
    /// ## Why it happens
    /// The client has no credentials for this realm; or it relies on being known by its address, and the server does
    /// not recognise that address.
    ///
    /// ## Evidence
    /// A final 401 or 407, and for 32 s no request of the same Call-ID with credentials for it.
    ///
    /// ## How to fix
    /// Give the client credentials for the realm; or let the server recognise the client's address.
    ///
    /// ## When it would be wrong
    /// If the client tries again under another Call-ID; if the capture ends too early; if credentials were sent and
    /// refused before, the fault lies there.
    ///
    /// ## References
    /// RFC 3261 §22.2, §22.3, §8.1.3.5
    "A5" "challenge-not-answered" needs [REFUSED CHALLENGE], check
}

fn check(case: &Case<'_>) -> Option<Finding> {
    let failure = case.challenge()?;
    let rejection = case.rejection();
    if rejection.as_ref().is_some_and(|rejection| rejection.asked.is_some()) || case.is_scan() {
        return None;
    }
    let response = case.response(failure);
    let tries = case.tries();
    let last = tries.iter().rev().find(|one| one.response.is_some_and(|heard| heard.id == response.id))?;
    let challenge = last.challenges.first()?;
    if tried_elsewhere(case, last, response) {
        return None;
    }
    let request = last.request;
    let confidence = match (case.tail(response.place) >= timer::GIVE_UP, &rejection) {
        // Where messages are cut, credentials may stand behind the cut.
        (true, None) if request.message.is_cut() => Confidence::Possible,
        (true, None) => Confidence::Proven,
        // The secret in credentials that came unasked may be wrong too.
        (true, Some(_)) => Confidence::Possible,
        (false, _) => Confidence::Unseen,
    };
    let finding =
        Finding::of(&RULE, confidence).explains(Some(failure.status)).sender(Role::Uac, request);
    if !case.wants_words() {
        return Some(finding);
    }
    let challenger = case.challenger(response, challenge);
    let (client, server) = (request.path.source, challenger.path.source);
    let method = &last.transaction.method;
    let then = match &rejection {
        None if confidence == Confidence::Unseen => "had sent none when the capture ends",
        None => "never sent any",
        Some(_) => {
            "had shown some with another nonce, whose challenge is not in this capture, and did not try again with the new \
             one: it does not take the new nonce, or gave up because its secret was refused"
        }
    };
    let because = format!(
        "{server} answered {} with {} and asked for credentials of realm \"{}\"; {client} {then}.",
        method.name(),
        failure.status,
        challenge.realm
    );
    let finding = finding
        .because(because)
        .fix(format!(
            "If {client} is to authenticate, give it an authentication user and secret for realm \"{}\"{}.",
            challenge.realm,
            case.settings(Topic::OutboundCredentials, request)
        ))
        .fix(format!(
            "If {client} is to be recognised by its address, {server} does not know this address: enter {} there{}.",
            client.ip(),
            case.settings(Topic::AddressNotKnown, challenger)
        ));
    Some(
        of_first_credentials(finding, last, challenge)
            .claim_status(response, "the server asks for credentials")
            .claim_auth(response, (challenge.header, &challenge.nonce), "realm", "of this realm")
            .claim_absent(
                response.place,
                format!("{} with {} after the challenge", method.name(), header_that_answers(challenge)),
                "the client does not try again",
            )
            .refuted("credentials-rejected", match &rejection {
                None => "no credentials were sent that the server could have refused",
                Some(_) => "the credentials carried an older nonce, so the server need not have looked at the secret",
            }),
    )
}

/// The first request may have carried credentials for another challenger.
fn of_first_credentials(finding: Finding, last: &Try<'_>, challenge: &Challenge) -> Finding {
    match last.credentials.first() {
        Some(shown) if shown.realm != challenge.realm => finding.claim_auth(
            last.request,
            (shown.header, &shown.nonce),
            "realm",
            "the credentials in the request are for another challenger",
        ),
        _ => finding,
    }
}

fn header_that_answers(challenge: &Challenge) -> &'static str {
    if challenge.header == "Proxy-Authenticate" { "Proxy-Authorization" } else { "Authorization" }
}

/// True if the same caller showed credentials from this address soon after: under another Call-ID.
fn tried_elsewhere(case: &Case<'_>, last: &Try<'_>, response: &Heard) -> bool {
    const SOON: std::time::Duration = std::time::Duration::from_secs(5);
    let Some(from) = last.request.message.from() else { return false };
    let (start, end) = (response.place.time, response.place.time.plus(SOON));
    last.credentials.is_empty()
        && case.surroundings.accepted().showed_credentials(last.request.path.source.ip(), &from.uri, start, end)
}
