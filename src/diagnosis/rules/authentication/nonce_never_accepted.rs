use std::time::Duration;

use crate::catalogue::Topic;
use crate::diagnosis::rule::rule;
use crate::diagnosis::words::length;
use crate::diagnosis::{Case, Confidence, Finding, Rejection, Role};

rule! {
    /// The server calls every nonce stale that it gave itself.
    ///
    /// ## What it says
    /// The client answered with the newest nonce, and the server said each time that it was too old. The secret is not the
    /// reason.
    ///
    /// ## Why it happens
    /// Several nodes answer at one address and do not share their nonces; or nonces live shorter than the
    /// client takes to answer; or the server's clock jumped.
    ///
    /// ## Evidence
    /// Three or more 401 or 407 in a row with `stale=true`, or with a phrase that names the nonce, and between them requests
    /// with exactly the newest nonce. One is enough where the client took 5 s or longer to answer the challenge; there the
    /// phrase may also be missing if the same client was let in as the same user before and after.
    ///
    /// ## How to fix
    /// Give all nodes the same secret for nonces, or keep a client at one node. Make nonces live longer, or the client
    /// answer sooner.
    ///
    /// ## When it would be wrong
    /// If the client goes on using an old nonce, the server is right: `old-nonce-reused`.
    ///
    /// ## References
    /// RFC 7616 §3.3, §5.4
    "A3" "nonce-never-accepted" needs [REFUSED CHALLENGE CREDENTIALS], check
}

/// Refusals in a row from which on it is a loop.
const LOOP: usize = 3;
/// How late an answer to a challenge is late: a client needs milliseconds for it, and servers that keep nonces shortest
/// let them live for a few seconds.
const LATE: Duration = Duration::from_secs(5);

fn check(case: &Case<'_>) -> Option<Finding> {
    let last = case.rejection()?;
    looped(case).or_else(|| aged(case, &last))
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
            stale: \
         the password of user \"{}\" was never evaluated.",
        stale.len(),
        servers.join(" and "),
        last.credentials.username
    );
    let mut finding = Finding::of(&RULE, Confidence::Likely)
        .explains(last.refusal.message.status())
        .sender(case.role_of_responder(last.refusal), last.refusal)
        .because(because)
        .fix(format!("If several nodes answer behind this address, give them one secret for nonces, or keep each client \
            at one node{}.", case.settings(Topic::NonceSecret, last.refusal)))
        .fix(format!("Raise the lifetime of nonces above the time that a request needs{}.", case.settings(Topic::NonceLifetime, last.refusal)))
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
    let let_in = around.map(|_| format!(" {} was let in there as this user before and after.", client.ip())).unwrap_or_default();
    let mut finding = finding
        .titled("The server took the nonce for too old.")
        .because(format!(
            "{server} took the nonce that user \"{user}\" answered with for too old: the request with it came {after} after \
             the challenge{said}. The secret is not the reason.{let_in}"
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
