use crate::call::timer;
use crate::diagnosis::rule::rule;
use crate::diagnosis::rules::noise::probe_noise::is_probe;
use crate::diagnosis::tries::{passed_over, what_followed};
use crate::diagnosis::{Case, Confidence, Finding, Role};
use crate::sip::auth::{self, Challenge};

rule! {
    /// The server offers only digests that the client does not use.
    ///
    /// ## What it says
    /// No algorithm, or no quality of protection, is common to the challenge and the client.
    ///
    /// ## Why it happens
    /// The server was set to SHA-256 or to `auth-int` alone, and the client knows MD5 with `auth` only.
    ///
    /// ## Evidence
    /// A challenge without MD5, or with `qop="auth-int"` alone; the client answers with MD5, or not at all.
    ///
    /// ## How to fix
    /// Switch the algorithm on in the client, or let the server offer MD5 beside it, as the last challenge.
    ///
    /// ## When it would be wrong
    /// If the response holds several challenges and the client picks one of them.
    ///
    /// ## References
    /// RFC 8760 §2; RFC 7616 §3.3, §3.7
    "A6" "digest-algorithm-unsupported" needs [REFUSED CHALLENGE], check
}

fn check(case: &Case<'_>) -> Option<Finding> {
    let failure = case.challenge()?;
    // Whoever only wants to know whether the peer is alive has its answer (`probe-noise`).
    if case.rejection().is_none() && is_probe(case, failure) {
        return None;
    }
    answered_otherwise(case).or_else(|| not_answered(case))
}

/// The client answers with an algorithm that was not offered.
fn answered_otherwise(case: &Case<'_>) -> Option<Finding> {
    let rejection = case.rejection()?;
    let shown = &rejection.credentials;
    let (asked, challenge) = rejection.asked.as_ref()?;
    let offered: Vec<&Challenge> =
        auth::challenges(&asked.message).iter().filter(|one| one.header == challenge.header).collect();
    let is_offered = offered.iter().any(|one| one.algorithm.eq_ignore_ascii_case(&shown.algorithm));
    let only_auth_int = offered.iter().all(|one| one.qop == ["auth-int"]) && shown.qop != "auth-int";
    if is_offered && !only_auth_int || shown.realm != challenge.realm {
        return None;
    }
    let names = if is_offered { "qop=\"auth-int\"".to_owned() } else { names(&offered) };
    let (parameter, what, answer) = match is_offered {
        true if shown.qop.is_empty() => ("qop", "digests with", "without qop".to_owned()),
        true => ("qop", "digests with", format!("with qop=\"{}\"", shown.qop)),
        false => ("algorithm", "the digest algorithm", format!("with {}", shown.algorithm)),
    };
    let because = format!(
        "{} offers {what} {names} only, and {} answers {answer}.",
        asked.path.source, rejection.request.path.source
    );
    let finding = Finding::of(&RULE, Confidence::Likely)
        .explains(rejection.refusal.message.status())
        .sender(Role::Uac, rejection.request)
        .because(because)
        .fix(format!("Update {}, or switch on {names} in it.", rejection.request.path.source))
        .fix(format!(
            "Or let {} offer MD5 with qop=\"auth\" too, as its last challenge (RFC 8760 §2.4).",
            asked.path.source
        ))
        .claim_auth(asked, (challenge.header, &challenge.nonce), parameter, "what the server offers")
        .claim_auth(rejection.request, (shown.header, &shown.nonce), "username", "the client answers as this user")
        .claim_auth(rejection.request, (shown.header, &shown.nonce), parameter, "and what the client uses")
        .claim_status(rejection.refusal, "the server refuses it");
    Some(finding.refuted(
        "credentials-rejected",
        "a digest that is made otherwise than the server asks is wrong whatever the secret is",
    ))
}

/// The client goes no further, and the challenge asks for what many clients do not know.
fn not_answered(case: &Case<'_>) -> Option<Finding> {
    if case.rejection().is_some() {
        return None;
    }
    let tries = case.tries();
    let last = tries.iter().rev().find(|one| one.is_challenged())?;
    let response = last.response?;
    let digests: Vec<&Challenge> =
        last.challenges().iter().filter(|one| one.scheme.eq_ignore_ascii_case("Digest")).collect();
    // A challenge that was passed over once is not waited for again.
    let passed = passed_over(&tries);
    let first = passed.first().and_then(|one| one.response).unwrap_or(response);
    if digests.is_empty() || !digests.iter().all(|one| is_uncommon(one)) || case.tail(first.place) < timer::GIVE_UP {
        return None;
    }
    let challenge = digests.first()?;
    let only_auth_int = digests.iter().all(|one| one.qop == ["auth-int"]);
    let what = if only_auth_int { "qop=\"auth-int\"".to_owned() } else { format!("algorithm {}", names(&digests)) };
    let (client, server) = (last.request.path.source, response.path.source);
    let because = format!(
        "{server} offers digests with {what} only, and {client} did not answer the challenge: it does not know them, \
         or it has no credentials for realm \"{}\".",
        challenge.realm
    );
    let parameter = if only_auth_int { "qop" } else { "algorithm" };
    Some(
        Finding::of(&RULE, Confidence::Likely)
            .explains(last.status())
            .sender(Role::Uac, last.request)
            .because(because)
            .fix(format!("Update {client}, or switch on what {server} offers ({what})."))
            .fix(format!("Or let {server} offer MD5 with qop=\"auth\" too, as its last challenge (RFC 8760 §2.4)."))
            .fix(format!("Check that {client} has a user and a secret for realm \"{}\" at all.", challenge.realm))
            .claim_status(response, "the server asks for credentials")
            .claim_auth(response, (challenge.header, &challenge.nonce), parameter, "what the server offers")
            .claim_absent(
                first.place,
                format!("{} with credentials after the challenge", last.transaction.method.name()),
                what_followed(passed),
            ),
    )
}

/// True for what clients that know only RFC 2617 cannot answer.
fn is_uncommon(challenge: &Challenge) -> bool {
    let is_sha = challenge.algorithm.to_ascii_uppercase().starts_with("SHA");
    is_sha || challenge.qop == ["auth-int"]
}

fn names(challenges: &[&Challenge]) -> String {
    let mut names: Vec<&str> = challenges.iter().map(|one| one.algorithm.as_str()).collect();
    names.dedup();
    names.join(", ")
}
