use crate::call::Heard;
use crate::diagnosis::rule::rule;
use crate::diagnosis::rules::noise::probe_noise::is_probe;
use crate::diagnosis::words::list;
use crate::diagnosis::{Case, Confidence, Finding};

rule! {
    /// The request demands an extension that its receiver does not support.
    ///
    /// ## What it says
    /// Require or Proxy-Require name an extension that must be understood, and the receiver does not understand it.
    ///
    /// ## Why it happens
    /// An option such as 100rel, timer or precondition is set to "required" where "supported" would do.
    ///
    /// ## Evidence
    /// A 420 with Unsupported, and the same option tags in Require or Proxy-Require of the request.
    ///
    /// ## How to fix
    /// Set the option to "supported" on the caller's side, or enable it on the receiver.
    ///
    /// ## When it would be wrong
    /// If Unsupported names a tag that the request did not demand, something further on demanded it, or the responder
    /// refuses what is merely supported.
    ///
    /// ## References
    /// RFC 3261 §21.4.15, §8.2.2.3, §20.32
    "D13" "extension-unsupported" needs [420], check
}

fn check(case: &Case<'_>) -> Option<Finding> {
    let failure = case.failure_with(&[420]).filter(|failure| !is_probe(case, failure))?;
    let response = case.response(failure);
    let unsupported = response.message.headers("Unsupported");
    // Proxies add demands of their own, such as `path` (RFC 3327).
    let request = case.first_with(case.request(failure)?, |request| {
        let demanded = ["Require", "Proxy-Require"].map(|header| request.message.headers(header)).concat();
        unsupported.iter().any(|tag| demanded.iter().any(|known| known.eq_ignore_ascii_case(tag)))
    });
    let demands = |header: &&str| {
        let demanded = request.message.headers(header);
        unsupported.iter().any(|tag| demanded.iter().any(|known| known.eq_ignore_ascii_case(tag)))
    };
    let matching: Vec<&str> = ["Require", "Proxy-Require"].into_iter().filter(demands).collect();
    let (server, client) = (response.path.source, request.path.source);
    let is_unread = unsupported.is_empty() && response.message.has_cut_head();
    let tags = if is_unread {
        "an extension".to_owned()
    } else if unsupported.is_empty() {
        "an option tag that it does not name".to_owned()
    } else {
        list(&unsupported)
    };
    // Where the request demands nothing of it, who refuses breaks RFC 3261 §8.2.2.3, or whoever stands behind it.
    let is_undemanded = matching.is_empty()
        && !request.message.is_cut()
        && !is_unread
        && (!unsupported.is_empty() || demands_nothing(request));
    let confidence = if matching.is_empty() { Confidence::Likely } else { Confidence::Proven };
    let it = if unsupported.len() > 1 { "them" } else { "it" };
    let supports = request.message.headers("Supported");
    let is_supported = unsupported.iter().any(|tag| supports.iter().any(|known| known.eq_ignore_ascii_case(tag)));
    let origin = match matching.as_slice() {
        [] if is_undemanded && is_supported => format!(
            "The request names {it} in Supported alone, which demands nothing: only what Require or Proxy-Require \
             name may be refused so (RFC 3261 §8.2.2.3), unless a hop behind {server} demanded {it}"
        ),
        [] if request.message.has_cut_head() => "What the request demands is behind the cut".to_owned(),
        [] if unsupported.is_empty() && response.message.has_cut_head() => {
            "What it does not support is behind the cut".to_owned()
        }
        [] => {
            format!("The request as captured here does not demand {it}, so {server} is wrong, or a hop further on did")
        }
        headers => format!("The request demands {it} in {}", headers.join(" and ")),
    };
    let finding = Finding::of(&RULE, confidence)
        .explains(Some(failure.status))
        .because(format!("{server} answered 420: it does not support {tags}. {origin}."));
    let finding = match is_undemanded {
        false if is_unread => finding.sender(case.role_of_sender(request), request).fix(format!(
            "Read in Unsupported of the 420 what it is; then switch that off on {client}, or enable it on {server}."
        )),
        true => finding
            .sender(case.role_of_responder(response), response)
            .fix(format!(
                "Look at {server}, and at what it passes the request on to: who demands {tags} there, or refuses it \
                 unasked?"
            ))
            .fix(format!("Until then, switch {it} off on {client} for this peer.")),
        false => finding
            .sender(case.role_of_sender(request), request)
            .fix(format!(
                "On {client}, set {tags} to \"supported\" instead of \"required\", or switch {it} off for this peer."
            ))
            .fix(format!("Or enable {it} on {server}.")),
    };
    let finding = match is_undemanded {
        true => finding.claim_header(request, "Supported", "what the request only offers"),
        false => finding,
    };
    Some(
        finding
            .claim_status(response, "refused")
            .claim_header(response, "Unsupported", "what it does not support")
            .claim_header(request, "Require", "what the request demands")
            .claim_header(request, "Proxy-Require", "what the request demands of proxies")
            .refuted("extension-required", "420 says that too much is demanded, 421 that too little is supported"),
    )
}

/// True if a request demands no extension at all.
fn demands_nothing(request: &Heard) -> bool {
    ["Require", "Proxy-Require"].iter().all(|header| request.message.headers(header).is_empty())
}
