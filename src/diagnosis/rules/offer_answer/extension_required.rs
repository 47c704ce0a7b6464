use std::net::SocketAddr;

use crate::call::Heard;
use crate::diagnosis::options::names_option;
use crate::diagnosis::rule::rule;
use crate::diagnosis::words::list;
use crate::diagnosis::{Case, Confidence, Finding, Role};
use crate::sip::Method;

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
    let missing: Vec<String> =
        required.iter().filter(|tag| !names_option(request, "Supported", tag)).cloned().collect();
    if missing.iter().any(|tag| tag.eq_ignore_ascii_case("sec-agree")) {
        return None; // security-agreement-required tells more.
    }
    let demand = Demand::of(response, request, required, missing);
    let confidence = match demand {
        Demand::Missing(_) => Confidence::Proven,
        _ => Confidence::Likely,
    };
    // Supported is of the user agents: who passes a request on leaves it as it is (RFC 3261 §16.6).
    let is_named_before = |before: &&Heard| match &demand {
        Demand::Missing(tags) => tags.iter().all(|tag| names_option(before, "Supported", tag)),
        _ => false,
    };
    let upstream = case.call.transaction(request.transaction).upstream.map(|id| case.call.transaction(id));
    let named = upstream.and_then(|before| case.call.request_of(before)).filter(is_named_before);
    if let Some(named) = named {
        return Some(taken_out(confidence, request, response, named));
    }
    let (server, client) = (response.path.source, request.path.source);
    Some(
        Finding::of(&RULE, confidence)
            .explains(Some(failure.status))
            .sender(Role::Uas, response)
            .because(format!("{server} answered 421: it wants {}.", demand.told(request.message.method()?, server)))
            .fix(demand.cure(client, server))
            .claim_status(response, "refused")
            .claim_header(response, "Require", "what the receiver demands")
            .claim_header(request, "Supported", "what the caller's side supports")
            .refuted("extension-unsupported", "421 says that too little is supported, 420 that too much is demanded"),
    )
}

/// The finding where the request before it did name what is missing.
fn taken_out(confidence: Confidence, request: &Heard, response: &Heard, named: &Heard) -> Finding {
    let (server, proxy, client) = (response.path.source, request.path.source, named.path.source);
    let required = list(&response.message.headers("Require"));
    Finding::of(&RULE, confidence)
        .explains(response.message.status())
        .titled("What the caller's side supports was not passed on")
        .sender(Role::Proxy, request)
        .because(format!(
            "{server} answered 421: it wants {required}. The request of {client} names that in Supported, and the one \
             that {proxy} sent on does not."
        ))
        .fix(format!("Let {proxy} pass Supported on as it is, or name there what it supports itself."))
        .fix(format!("Or lift the demand on {server}."))
        .claim_status(response, "refused")
        .claim_header(response, "Require", "what the receiver demands")
        .claim_header(named, "Supported", "what the caller's side supports")
        .claim_header(request, "Supported", "what was passed on of it")
        .refuted("extension-unsupported", "421 says that too little is supported, 420 that too much is demanded")
}

/// What the receiver demands, beside what the request says that it supports.
enum Demand {
    /// Its Require, if there is one, is behind the cut.
    BehindCut,
    /// It names nothing.
    Unnamed,
    /// These, all of which the request supports.
    Supported(Vec<String>),
    /// These, and what the request supports is behind the cut.
    Unread(Vec<String>),
    /// These, which the request does not support.
    Missing(Vec<String>),
}

impl Demand {
    fn of(response: &Heard, request: &Heard, required: Vec<String>, missing: Vec<String>) -> Demand {
        let is_unread = request.message.has_cut_head() && request.message.header("Supported").is_none();
        match () {
            () if required.is_empty() && response.message.has_cut_head() => Demand::BehindCut,
            () if required.is_empty() => Demand::Unnamed,
            () if missing.is_empty() => Demand::Supported(required),
            () if is_unread => Demand::Unread(missing),
            () => Demand::Missing(missing),
        }
    }

    /// The end of a sentence that begins with `it wants`.
    fn told(&self, method: &Method, server: SocketAddr) -> String {
        match self {
            Demand::BehindCut => "an extension, whose name is behind the cut".to_owned(),
            Demand::Unnamed => {
                format!("an extension that it does not name: there is no Require in the response to the {method}")
            }
            Demand::Supported(tags) => format!(
                "{}, and the {method} as captured here does name that in Supported: {server} refuses what is offered",
                list(tags)
            ),
            Demand::Unread(tags) => {
                format!("{}; what the {method} names in Supported is behind the cut", list(tags))
            }
            Demand::Missing(tags) => format!("{}, and the {method} does not name it in Supported", list(tags)),
        }
    }

    fn cure(&self, client: SocketAddr, server: SocketAddr) -> String {
        match self {
            Demand::BehindCut => {
                format!("Read in the Require of the response what {server} wants, and enable that on {client}.")
            }
            Demand::Unnamed => format!("Let {server} name in Require what it wants (RFC 3261 §21.4.16)."),
            Demand::Supported(tags) => format!(
                "Look at {server}, and at what stands behind it: does it read Supported, or does something there take \
                 {} out?",
                list(tags)
            ),
            Demand::Unread(tags) | Demand::Missing(tags) => {
                format!("Enable {} on {client}, or lift the demand on {server}.", list(tags))
            }
        }
    }
}
