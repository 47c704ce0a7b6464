use crate::diagnosis::rule::rule;
use crate::diagnosis::{Case, Confidence, Finding, Role};
use crate::sip::auth;

rule! {
    /// The client answered for another realm than the server asked for.
    ///
    /// ## What it says
    /// The credentials name a realm that this server does not have, so they cannot fit whatever the secret is.
    ///
    /// ## Why it happens
    /// The realm is set by hand on the client, or the server's realm was changed and the client keeps the old one.
    ///
    /// ## Evidence
    /// The realm in the challenge and the realm in the credentials that answer it are different texts.
    ///
    /// ## How to fix
    /// Remove the fixed realm on the client, or set the one that the server asks for.
    ///
    /// ## When it would be wrong
    /// If the response holds several challenges and one of them has the client's realm; or if the realm was asked for
    /// by another challenger before.
    ///
    /// ## References
    /// RFC 3261 §22.1; RFC 7616 §3.4
    "A4" "realm-mismatch" needs [REFUSED CHALLENGE CREDENTIALS], check
}

fn check(case: &Case<'_>) -> Option<Finding> {
    let rejection = case.rejection()?;
    let shown = &rejection.credentials;
    let (asked, challenge) = match &rejection.asked {
        Some((asked, challenge)) => (*asked, challenge.clone()),
        None => (rejection.refusal, rejection.again.clone()),
    };
    let offered = auth::challenges(&asked.message);
    let refused = auth::challenges(&rejection.refusal.message);
    if offered.iter().chain(refused).any(|one| one.realm == shown.realm) {
        return None;
    }
    let because = format!(
        "{} asked for credentials of realm \"{}\", and {} answered for realm \"{}\".",
        case.challenger(asked, &challenge).path.source,
        challenge.realm,
        rejection.request.path.source,
        shown.realm
    );
    Some(
        Finding::of(&RULE, Confidence::Proven)
            .explains(rejection.refusal.message.status())
            .sender(Role::Uac, rejection.request)
            .because(because)
            .fix(format!(
                "Remove the fixed realm \"{}\" on the client, so that it takes the realm of the challenge, or set it \
                 to \"{}\".",
                shown.realm, challenge.realm
            ))
            .fix(format!(
                "If the realm of the server was changed lately, set it back to \"{}\", or renew stored digests: they \
                 are made with the realm.",
                shown.realm
            ))
            .claim_auth(asked, (challenge.header, &challenge.nonce), "realm", "the server asks for this realm")
            .claim_auth(rejection.request, (shown.header, &shown.nonce), "realm", "the client answers for another one")
            .claim_status(rejection.refusal, "the server refuses it")
            .refuted("credentials-rejected", "a digest for another realm is wrong whatever the secret is"),
    )
}
