use crate::diagnosis::rule::rule;
use crate::diagnosis::rules::authentication::address_of_record_refused::names_too_many;
use crate::diagnosis::rules::noise::probe_noise::is_probe;
use crate::diagnosis::words::length;
use crate::diagnosis::{Case, Confidence, Finding, Role};

rule! {
    /// The caller did not leave an overloaded server alone.
    ///
    /// ## What it says
    /// The server had asked this caller to wait, and the request came before that time was over.
    ///
    /// ## Why it happens
    /// The caller does not heed `Retry-After`, and has no other server to go to.
    ///
    /// ## Evidence
    /// An earlier 503 with `Retry-After` from this server to this caller, and this request before its time was over,
    /// refused with 503 again.
    ///
    /// ## How to fix
    /// Let the caller heed `Retry-After`, and give it a second server.
    ///
    /// ## When it would be wrong
    /// If another caller was asked to wait: each peer counts for itself, and each phone of a registrar too. Behind one
    /// address (NAT) another port with another caller in From is another client.
    ///
    /// ## References
    /// RFC 3261 §20.33, §21.5.4, §16.7
    "E10" "overload-backoff-ignored" needs [503], check
}

fn check(case: &Case<'_>) -> Option<Finding> {
    // Whoever asks whether the server is back sends it no work.
    let failure = case.failure_with(&[503]).filter(|failure| !is_probe(case, failure))?;
    let response = case.response(failure);
    if case.q850(response).is_some() || names_too_many(response) {
        return None;
    }
    let asked = case.back_off(failure).filter(|asked| asked.place != response.place)?;
    let request = case.request(failure)?;
    let after = request.place.time.since(asked.place.time);
    let pause = asked.until.since(asked.place.time).as_secs();
    let (client, server) = (request.path.source, response.path.source);
    let because = format!(
        "{server} had asked {} to wait {pause} s; this request came {} after that, and was refused with 503 again.",
        client.ip(),
        length(after)
    );
    let mut finding = Finding::of(&RULE, Confidence::Proven)
        .explains(Some(failure.status))
        .sender(Role::Uac, request)
        .because(because)
        .fix(format!("Let {} heed Retry-After: no request to {server} for {pause} s after such a 503.", client.ip()))
        .fix(format!("Give {} a second server for the meantime (DNS SRV, or a list of destinations).", client.ip()))
        .claim_at(asked.place, "sip.Status-Code", "503", "the server asks to be left alone");
    if asked.is_plain {
        finding = finding.claim_at(asked.place, "sip.Retry-After", pause.to_string(), "for this long");
    }
    Some(
        finding
            .claim_method(request, "the next request to it, before that time is over")
            .claim_status(response, "refused again")
            .refuted("server-overloaded", "the server had told this caller before, and the time was not over"),
    )
}
