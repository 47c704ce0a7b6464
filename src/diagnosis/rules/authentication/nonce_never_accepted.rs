use crate::catalogue::Topic;
use crate::diagnosis::rule::rule;
use crate::diagnosis::{Case, Confidence, Finding, Rejection};

rule! {
    /// The server calls every nonce stale that it gave itself.
    ///
    /// ## What it says
    /// The client always answered with the newest nonce, and the server always said that it was too old. The secret was
    /// not even looked at.
    ///
    /// ## Why it happens
    /// Several nodes answer at one address and do not share their nonces; or nonces live shorter than the way to the
    /// client and back takes; or the server's clock jumped.
    ///
    /// ## Evidence
    /// Three or more 401 or 407 in a row with `stale=true`, and between them requests with exactly the newest nonce.
    ///
    /// ## How to fix
    /// Give all nodes the same secret for nonces, or keep a client at one node. Make nonces live longer.
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

fn check(case: &Case<'_>) -> Option<Finding> {
    case.rejection()?;
    let rejections = case.rejections();
    let is_stale = |one: &&Rejection<'_>| one.again.stale && (one.asked.is_none() || one.has_newest_nonce());
    let stale: Vec<&Rejection<'_>> = rejections.iter().rev().take_while(is_stale).collect();
    let last = stale.first()?;
    if stale.len() < LOOP {
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
        let again = (one.again.header, one.again.nonce.as_str());
        finding = finding.claim_auth(one.refusal, again, "stale", "the newest nonce is called stale");
    }
    let shown = (last.credentials.header, last.credentials.nonce.as_str());
    Some(
        finding
            .claim_auth(last.request, shown, "username", "the client keeps answering as this user")
            .refuted("credentials-rejected", "stale=true says that the nonce was refused, not the secret")
            .refuted("old-nonce-reused", "each request carries the nonce of the challenge before it"),
    )
}
