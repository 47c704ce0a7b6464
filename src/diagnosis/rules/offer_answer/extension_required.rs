use crate::diagnosis::rule::rule;
use crate::diagnosis::words::list;
use crate::diagnosis::{Case, Confidence, Finding, Role};

rule! {
    /// The receiver demands an extension that the request does not offer.
    ///
    /// ## What it says
    /// The receiver can process the request only with an extension, such as timer, 100rel or sec-agree, and the
    /// caller's side did not say that it supports it.
    ///
    /// ## Why it happens
    /// A policy of the receiver; or the extension is switched off on the caller's side.
    ///
    /// ## Evidence
    /// A 421 with Require, and a request whose Supported does not hold that option tag.
    ///
    /// ## How to fix
    /// Enable the extension on the caller's side, or lift the demand for this peer.
    ///
    /// ## When it would be wrong
    /// If Supported does hold the tag, the responder misread it, or a proxy removed it behind this hop.
    ///
    /// ## References
    /// RFC 3261 §21.4.16, §20.32, §20.37
    "D14" "extension-required" needs [421], check
}

fn check(case: &Case<'_>) -> Option<Finding> {
    let failure = case.failure_with(&[421])?;
    let response = case.response(failure);
    let request = case.request(failure)?;
    let required = response.message.headers("Require");
    let supported = request.message.headers("Supported");
    let missing: Vec<String> =
        required.iter().filter(|tag| !supported.iter().any(|known| known.eq_ignore_ascii_case(tag))).cloned().collect();
    if missing.iter().any(|tag| tag.eq_ignore_ascii_case("sec-agree")) {
        return None; // security-agreement-required tells more.
    }
    let is_unread = request.message.has_cut_head() && request.message.header("Supported").is_none();
    let confidence = if missing.is_empty() || is_unread { Confidence::Likely } else { Confidence::Proven };
    let server = response.path.source;
    let (method, client) = (request.message.method()?, request.path.source);
    let (words, step) = match (required.is_empty(), missing.is_empty()) {
        (true, _) if response.message.has_cut_head() => (
            "it wants an extension, whose name is behind the cut".to_owned(),
            format!("Read in the Require of the response what {server} wants, and enable that on {client}."),
        ),
        (true, _) => (
            format!("it wants an extension that it does not name: there is no Require in the response to the {method}"),
            format!("Let {server} name in Require what it wants (RFC 3261 §21.4.16)."),
        ),
        (false, true) => {
            let tags = list(&required);
            (
                format!(
                    "it wants {tags}, and the {method} as captured here does name that in Supported: {server} refuses \
                     what is offered"
                ),
                format!(
                    "Look at {server}, and at what stands behind it: does it read Supported, or does something there \
                     take {tags} out?"
                ),
            )
        }
        (false, false) if is_unread => {
            let tags = list(&missing);
            (
                format!("it wants {tags}; what the {method} names in Supported is behind the cut"),
                format!("Enable {tags} on {client}, or lift the demand on {server}."),
            )
        }
        (false, false) => {
            let tags = list(&missing);
            (
                format!("it wants {tags}, and the {method} does not name it in Supported"),
                format!("Enable {tags} on {client}, or lift the demand on {server}."),
            )
        }
    };
    Some(
        Finding::of(&RULE, confidence)
            .explains(Some(failure.status))
            .sender(Role::Uas, response)
            .because(format!("{server} answered 421: {words}."))
            .fix(step)
            .claim_status(response, "refused")
            .claim_header(response, "Require", "what the receiver demands")
            .claim_header(request, "Supported", "what the caller's side supports")
            .refuted("extension-unsupported", "421 says that too little is supported, 420 that too much is demanded"),
    )
}
