use std::time::Duration;

use crate::capture::Place;
use crate::catalogue::Topic;
use crate::diagnosis::rule::rule;
use crate::diagnosis::words::{length, times};
use crate::diagnosis::{Case, Confidence, Finding, Rejection, Role, Try};
use crate::sip::auth;

rule! {
    /// The server calls every nonce stale that it gave itself.
    ///
    /// ## What it says
    /// The client answered with the newest nonce, and the server said each time that it was too old. The secret is not
    /// the reason.
    ///
    /// ## Why it happens
    /// Several nodes answer at one address and do not share their nonces; or nonces live shorter than the client takes
    /// to answer; or the server's clock jumped. With AKA the nonce holds a number that has to rise: where the network
    /// has lost it, the card refuses each nonce.
    ///
    /// ## Evidence
    /// Three or more 401 or 407 in a row with `stale=true`, or with a phrase that names the nonce, and between them
    /// requests with exactly the newest nonce. One is enough where the client took 5 s or longer to answer the
    /// challenge; there the phrase may also be missing if the same client was let in as the same user before and after.
    /// Or credentials with `auts`, by which a card says that the nonce is out of step, twice in a row, or refused with
    /// 403.
    ///
    /// ## How to fix
    /// Give all nodes the same secret for nonces, or keep a client at one node. Make nonces live longer, or the client
    /// answer sooner.
    ///
    /// ## When it would be wrong
    /// If the client goes on using an old nonce, the server is right: `old-nonce-reused`. If the same server takes an
    /// answer of the same client that came about as late, the age is not why, and it is possible only.
    ///
    /// ## References
    /// RFC 7616 §3.3, §5.4; RFC 3310 §3.4
    "A3" "nonce-never-accepted" needs [REFUSED CHALLENGE CREDENTIALS], check
}

/// Refusals in a row from which on it is a loop.
const LOOP: usize = 3;
/// How late an answer to a challenge is late: a client needs milliseconds for it, and servers that keep nonces shortest
/// let them live for a few seconds.
const LATE: Duration = Duration::from_secs(5);

fn check(case: &Case<'_>) -> Option<Finding> {
    out_of_step(case).or_else(|| {
        let last = case.rejection()?;
        looped(case).or_else(|| aged(case, &last))
    })
}

/// Nonce after nonce is refused by the card: in AKA it holds a number that has to rise, and the network does not take
/// the one that the card names instead (RFC 3310 §3.4; 3GPP TS 33.102 §6.3.5).
fn out_of_step(case: &Case<'_>) -> Option<Finding> {
    let failure = case.failure_with(&[401, 403, 407])?;
    let tries = case.tries();
    let answered: Vec<&Try<'_>> = tries.iter().filter(|one| one.response.is_some()).collect();
    let asks = |one: &&&Try<'_>| one.credentials().iter().any(|shown| shown.asks_for_step);
    let asking: Vec<&&Try<'_>> = answered.iter().rev().take_while(asks).collect();
    let last = asking.first()?;
    let (shown, refusal) = (last.credentials().iter().find(|shown| shown.asks_for_step)?, last.response?);
    // A single one is a step: the next challenge would be in step again.
    if asking.len() < 2 && failure.status.is_challenge() {
        return None;
    }
    let user = &shown.username;
    let server = refusal.path.source;
    let then = match failure.status.is_challenge() {
        true => format!("{server} asked anew each time, and no challenge was in step"),
        false => format!("in the end {server} refused the request with {}", failure.status),
    };
    let finding = Finding::of(&RULE, Confidence::Likely)
        .titled("The card and the network are out of step: no challenge is accepted")
        .explains(Some(failure.status))
        .sender(case.role_of_responder(refusal), refusal);
    if !case.wants_words() {
        return Some(finding);
    }
    let because = format!(
        "The card of \"{user}\" said {} with `auts` that the sequence number of the challenge is out of step with its \
         own; {then}. That `auts` is there at all says that the card took the challenge for one of its own network: \
         no secret was refused.",
        times(u32::try_from(asking.len()).unwrap_or(u32::MAX)),
    );
    let mut finding = finding
        .because(because)
        .fix(format!(
            "Look behind {server} whether the `auts` reaches the subscriber database (HSS, AuC) and whether it sets \
             the sequence number of \"{user}\" by it; set it anew by hand if not."
        ))
        .fix(format!("Look whether two databases make challenges for \"{user}\", each with a number of its own."))
        .fix(format!("If neither helps, try another card for \"{user}\"."));
    if let Some((asked, challenge)) = case
        .asked_with_nonce_of(last)
        .and_then(|asked| Some((asked, auth::challenges(&asked.message).iter().find(|one| one.nonce == shown.nonce)?)))
    {
        finding = finding.claim_auth(asked, (challenge.header, &challenge.nonce), "algorithm", "a challenge of AKA");
    }
    Some(
        finding
            .claim_auth(
                last.request,
                (shown.header, &shown.nonce),
                "username",
                "the answer to it, which carries `auts`",
            )
            .claim_status(refusal, "the server refuses it")
            .refuted("credentials-rejected", "the card named a number out of step, and nothing was said of its key")
            .refuted("refused-by-policy", "no credentials had been accepted before"),
    )
}

/// Nonce after nonce is refused, however soon the client answers.
fn looped(case: &Case<'_>) -> Option<Finding> {
    let rejections = case.rejections();
    let is_stale = |one: &&Rejection<'_>| one.is_of_the_nonce() && (one.asked.is_none() || one.has_newest_nonce());
    let stale: Vec<&Rejection<'_>> = rejections.iter().rev().take_while(is_stale).collect();
    let last = stale.first()?;
    let is_late = |one: &&Rejection<'_>| one.answered_after().is_some_and(|after| after >= LATE);
    if stale.len() < LOOP || stale.iter().all(is_late) {
        return None;
    }
    let mut servers: Vec<String> = stale.iter().map(|one| one.refusal.path.source.to_string()).collect();
    servers.sort();
    servers.dedup();
    let because = format!(
        "The client answered {} challenges in a row with the newest nonce each time, and {} called each of them \
         stale: the password of user \"{}\" was never evaluated.",
        stale.len(),
        servers.join(" and "),
        last.credentials.username
    );
    let mut finding = Finding::of(&RULE, Confidence::Likely)
        .explains(last.refusal.message.status())
        .sender(case.role_of_responder(last.refusal), last.refusal)
        .because(because)
        .fix(format!(
            "If several nodes answer behind this address, give them one secret for nonces, or keep each client at one \
             node{}.",
            case.settings(Topic::NonceSecret, last.refusal)
        ))
        .fix(format!(
            "Raise the lifetime of nonces above the time that a request needs{}.",
            case.settings(Topic::NonceLifetime, last.refusal)
        ))
        .fix("Compare the clocks of the nodes: a clock that jumps makes a fresh nonce look old.");
    for one in stale.iter().rev().take(4) {
        finding = claimed(finding, one);
    }
    let shown = (last.credentials.header, last.credentials.nonce.as_str());
    Some(
        finding
            .claim_auth(last.request, shown, "username", "the client keeps answering as this user")
            .refuted("credentials-rejected", "the server says that it refuses the nonce, and not the secret")
            .refuted("old-nonce-reused", "each request carries the nonce of the challenge before it"),
    )
}

/// The client answers so late that the nonce is too old by then: the server says so, or lets the same client in before
/// and after.
fn aged(case: &Case<'_>, last: &Rejection<'_>) -> Option<Finding> {
    let after = last.answered_after().filter(|after| *after >= LATE && last.has_newest_nonce())?;
    let around = case.let_in_around(last);
    let confidence = match (last.is_of_the_nonce(), around) {
        (true, _) => Confidence::Likely,
        (false, Some(_)) => Confidence::Possible,
        (false, None) => return None,
    };
    if let Some(taken) = taken_as_late(case, last, after) {
        return Some(replaced(case, last, after, taken));
    }
    let finding =
        Finding::of(&RULE, confidence).explains(last.refusal.message.status()).sender(Role::Uac, last.request);
    if !case.wants_words() {
        return Some(finding);
    }
    let (client, server) = (last.request.path.source, last.refusal.path.source);
    let (user, after) = (&last.credentials.username, length(after));
    let said = match case.own_phrase(last.refusal).filter(|_| last.is_of_the_nonce()) {
        Some(phrase) => format!(", and the refusal says \"{phrase}\""),
        None => String::new(),
    };
    let let_in =
        around.map(|_| format!(" {} was let in there as this user before and after.", client.ip())).unwrap_or_default();
    let mut finding = finding
        .titled("The server took the nonce for too old.")
        .because(format!(
            "{server} took the nonce that user \"{user}\" answered with for too old: the request with it came {after} \
             after the challenge{said}. The secret is not the reason.{let_in}"
        ))
        .fix(format!("Look on {client} for why it answers a challenge only after {after}."))
        .fix(format!(
            "Let nonces live longer than that on {server}{}.",
            case.settings(Topic::NonceLifetime, last.refusal)
        ));
    if let Some((asked, challenge)) = &last.asked {
        let nonce = (challenge.header, challenge.nonce.as_str());
        finding = finding.claim_auth(asked, nonce, "realm", "the server gives a nonce");
    }
    let shown = (last.credentials.header, last.credentials.nonce.as_str());
    finding = finding.claim_auth(last.request, shown, "username", format!("the answer to it, {after} later"));
    finding = claimed(finding, last);
    let whens = ["the same client was let in as this user before", "and again later"];
    for (granted, says) in around.into_iter().flatten().zip(whens) {
        finding = finding.claim_at(granted, "sip.CSeq.method", "REGISTER", says);
    }
    let against_secret = match around {
        Some(_) => "the same client was let in before and after",
        None => "the server says that it refuses the nonce, and not the secret",
    };
    Some(
        finding
            .refuted("credentials-rejected", against_secret)
            .refuted("old-nonce-reused", "the credentials carry the nonce of the newest challenge"),
    )
}

/// An answer of the same client that the same server took although it came about as late: how late, and the 2xx. Where
/// it did, the age of the nonce is not why this one is refused.
fn taken_as_late(case: &Case<'_>, last: &Rejection<'_>, after: Duration) -> Option<(Duration, Place)> {
    let path = last.request.path;
    let taken = case.surroundings.registrations().latest_answer(path.source.ip(), path.destination.ip())?;
    // A lifetime so near to both would be chance.
    (taken.0 * 10 >= after * 9).then_some(taken)
}

/// The server refuses a nonce that it gave, and not for its age: it holds another one by then.
fn replaced(case: &Case<'_>, last: &Rejection<'_>, after: Duration, taken: (Duration, Place)) -> Finding {
    let finding = Finding::of(&RULE, Confidence::Possible)
        .titled("The server refused a nonce that it had given, and not for its age.")
        .explains(last.refusal.message.status())
        .sender(case.role_of_responder(last.refusal), last.refusal);
    if !case.wants_words() {
        return finding;
    }
    let server = last.refusal.path.source;
    let said = match case.own_phrase(last.refusal).filter(|_| last.is_of_the_nonce()) {
        Some(phrase) => format!(" and says \"{phrase}\""),
        None => String::new(),
    };
    let mut finding = finding
        .because(format!(
            "{server} refused the nonce that it had given to user \"{}\"{said}. That the answer came {} after the \
             challenge is {} why: it took another one {} after the REGISTER that was challenged. More likely it holds \
             another nonce by then than the one that it gave, or another node checks it. The secret is not the reason.",
            last.credentials.username,
            length(after),
            if taken.0 >= after { "not" } else { "hardly" },
            length(taken.0)
        ))
        .fix(format!(
            "Look on {server} for what replaces a nonce before it is used: a challenge to the same user or address, a \
             restart."
        ))
        .fix(format!(
            "If several nodes answer behind this address, give them one secret for nonces, or keep each client at one \
             node{}.",
            case.settings(Topic::NonceSecret, last.refusal)
        ));
    if let Some((asked, challenge)) = &last.asked {
        let nonce = (challenge.header, challenge.nonce.as_str());
        finding = finding.claim_auth(asked, nonce, "realm", "the server gives a nonce");
    }
    let shown = (last.credentials.header, last.credentials.nonce.as_str());
    finding = finding.claim_auth(last.request, shown, "username", format!("the answer to it, {} later", length(after)));
    let against_secret = match last.is_of_the_nonce() {
        true => "the server says that it refuses the nonce, and not the secret",
        false => "the same client was let in before and after",
    };
    claimed(finding, last)
        .claim_at(
            taken.1,
            "sip.CSeq.method",
            "REGISTER",
            format!("an answer is taken {} after its first try", length(taken.0)),
        )
        .refuted("credentials-rejected", against_secret)
        .refuted("old-nonce-reused", "the credentials carry the nonce of the newest challenge")
}

/// With what shows that a refusal is of the nonce.
fn claimed(finding: Finding, refused: &Rejection<'_>) -> Finding {
    let again = (refused.again.header, refused.again.nonce.as_str());
    match refused.again.stale {
        true => finding.claim_auth(refused.refusal, again, "stale", "the newest nonce is called stale"),
        false => {
            let line = refused.refusal.message.first_line().into_owned();
            finding.claim(refused.refusal, "sip.Status-Line", line, "the newest nonce is refused")
        }
    }
}
