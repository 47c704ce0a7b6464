use crate::diagnosis::rule::rule;
use crate::diagnosis::{Case, Confidence, Finding, Role};

rule! {
    /// The digest was made for another URI than that of the request.
    ///
    /// ## What it says
    /// The `uri` in the credentials is not the Request-URI with which the request arrived, and the server refused it.
    ///
    /// ## Why it happens
    /// Something between client and server rewrote the Request-URI after the digest was made, as an application-level
    /// gateway or a session border controller does; or the client signs the name of its outbound proxy.
    ///
    /// ## Evidence
    /// The `uri` of the credentials and the Request-URI of the same request name different users or hosts, and the
    /// answer is a challenge again.
    ///
    /// ## How to fix
    /// Make the client sign the URI that it sends, and keep boxes on the path from rewriting it. Compare the secret
    /// too: servers differ in whether they mind the URI.
    ///
    /// ## When it would be wrong
    /// If the server accepts such digests of this client elsewhere; if they differ only in port, parameters or case.
    ///
    /// ## References
    /// RFC 7616 §3.4.2; RFC 3261 §22.4
    "A8" "digest-uri-mismatch" needs [REFUSED CHALLENGE CREDENTIALS], check
}

fn check(case: &Case<'_>) -> Option<Finding> {
    let rejection = case.rejection()?;
    let shown = &rejection.credentials;
    let fits = shown.realm == rejection.again.realm && !rejection.again.stale && rejection.has_newest_nonce();
    if !fits || shown.uri.is_empty() || !rejection.is_for_other_uri() || case.accepts_other_digest_uri(&rejection) {
        return None;
    }
    let request_uri = rejection.request.message.request_uri()?.into_owned();
    let (client, server) = (rejection.request.path.source, rejection.refusal.path.source);
    let because = format!(
        "{client} made its digest for {}, and the request that carries it is for {request_uri}; {server} refused it. \
         A server that compares the two refuses it whatever the secret is; one that does not has refused the secret \
         of user \"{}\".",
        shown.uri, shown.username
    );
    let header = (shown.header, shown.nonce.as_str());
    Some(
        Finding::of(&RULE, Confidence::Possible)
            .explains(rejection.refusal.message.status())
            .sender(Role::Uac, rejection.request)
            .because(because)
            .fix(format!(
                "Let {client} sign the URI that it sends ({request_uri}): look at its settings for outbound proxy, \
                 domain and realm."
            ))
            .fix(format!(
                "If {client} sent another Request-URI than this capture shows, switch off the SIP gateway (ALG) of \
                 the router between, or the rewriting in the session border controller."
            ))
            .fix(format!(
                "If {server} does not compare the two, compare the secret of \"{}\" on both sides.",
                shown.username
            ))
            .claim_auth(rejection.request, header, "uri", "the URI that was signed")
            .claim_request_uri(rejection.request, "the URI that was sent")
            .claim_status(rejection.refusal, "the server refuses the digest")
            .refuted("realm-mismatch", format!("challenge and credentials both say \"{}\"", shown.realm))
            .refuted("nonce-never-accepted", "the refusing response does not say stale=true"),
    )
}
