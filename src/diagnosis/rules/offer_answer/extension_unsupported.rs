use crate::call::Heard;
use crate::diagnosis::options::names_option;
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
    let refusal = Refusal::of(case)?;
    let Refusal { request, response, .. } = refusal;
    let confidence = if refusal.demanding.is_empty() { Confidence::Likely } else { Confidence::Proven };
    let finding = Finding::of(&RULE, confidence).explains(response.message.status()).because(refusal.explanation());
    let finding = match refusal.is_undemanded {
        true => finding.sender(case.role_of_responder(response), response).claim_header(
            request,
            "Supported",
            "what the request only offers",
        ),
        false => finding.sender(case.role_of_sender(request), request),
    };
    Some(
        refusal
            .steps()
            .into_iter()
            .fold(finding, Finding::fix)
            .claim_status(response, "refused")
            .claim_header(response, "Unsupported", "what it does not support")
            .claim_header(request, "Require", "what the request demands")
            .claim_header(request, "Proxy-Require", "what the request demands of proxies")
            .refuted("extension-required", "420 says that too much is demanded, 421 that too little is supported"),
    )
}

/// The headers in which a request demands extensions.
const DEMANDS: [&str; 2] = ["Require", "Proxy-Require"];

/// A request that was refused for the extensions that it demands.
struct Refusal<'a> {
    response: &'a Heard,
    /// The request, as the first to demand them sent it.
    request: &'a Heard,
    /// What Unsupported of the response names.
    unsupported: Vec<String>,
    /// The headers of the request that demand it.
    demanding: Vec<&'static str>,
    /// True if what the response does not support is behind the cut.
    is_unread: bool,
    /// True if the request demands nothing of it: who refuses then breaks RFC 3261 §8.2.2.3, or whoever stands behind
    /// it.
    is_undemanded: bool,
}

impl<'a> Refusal<'a> {
    fn of(case: &Case<'a>) -> Option<Refusal<'a>> {
        let failure = case.failure_with(&[420]).filter(|failure| !is_probe(case, failure))?;
        let response = case.response(failure);
        let unsupported = response.message.headers("Unsupported");
        let demands = |request: &Heard, header: &str| unsupported.iter().any(|tag| names_option(request, header, tag));
        // Proxies add demands of their own, such as `path` (RFC 3327).
        let request =
            case.first_with(case.request(failure)?, |request| DEMANDS.iter().any(|header| demands(request, header)));
        let demanding: Vec<&str> = DEMANDS.into_iter().filter(|header| demands(request, header)).collect();
        let is_unread = unsupported.is_empty() && response.message.has_cut_head();
        let is_undemanded = demanding.is_empty()
            && !request.message.is_cut()
            && !is_unread
            && (!unsupported.is_empty() || demands_nothing(request));
        Some(Refusal { response, request, unsupported, demanding, is_unread, is_undemanded })
    }

    fn explanation(&self) -> String {
        let server = self.response.path.source;
        format!("{server} answered 420: it does not support {}. {}.", self.tags(), self.origin())
    }

    fn tags(&self) -> String {
        match self.unsupported.as_slice() {
            [] if self.is_unread => "an extension".to_owned(),
            [] => "an option tag that it does not name".to_owned(),
            tags => list(tags),
        }
    }

    /// `it` or `them`.
    fn pronoun(&self) -> &'static str {
        if self.unsupported.len() > 1 { "them" } else { "it" }
    }

    /// Where the demand comes from.
    fn origin(&self) -> String {
        let (server, it) = (self.response.path.source, self.pronoun());
        match self.demanding.as_slice() {
            [] if self.is_undemanded && self.is_only_supported() => format!(
                "The request names {it} in Supported alone, which demands nothing: only what Require or Proxy-Require \
                 name may be refused so (RFC 3261 §8.2.2.3), unless a hop behind {server} demanded {it}"
            ),
            [] if self.request.message.has_cut_head() => "What the request demands is behind the cut".to_owned(),
            [] if self.is_unread => "What it does not support is behind the cut".to_owned(),
            [] => format!(
                "The request as captured here does not demand {it}, so {server} is wrong, or a hop further on did"
            ),
            headers => format!("The request demands {it} in {}", headers.join(" and ")),
        }
    }

    /// True if Supported of the request names one of the tags.
    fn is_only_supported(&self) -> bool {
        self.unsupported.iter().any(|tag| names_option(self.request, "Supported", tag))
    }

    /// What to do, most likely first.
    fn steps(&self) -> Vec<String> {
        let (server, client) = (self.response.path.source, self.request.path.source);
        let (tags, it) = (self.tags(), self.pronoun());
        match self.is_undemanded {
            false if self.is_unread => vec![format!(
                "Read in Unsupported of the 420 what it is; then switch that off on {client}, or enable it on \
                 {server}."
            )],
            true => vec![
                format!(
                    "Look at {server}, and at what it passes the request on to: who demands {tags} there, or refuses \
                     it unasked?"
                ),
                format!("Until then, switch {it} off on {client} for this peer."),
            ],
            false => vec![
                format!(
                    "On {client}, set {tags} to \"supported\" instead of \"required\", or switch {it} off for this \
                     peer."
                ),
                format!("Or enable {it} on {server}."),
            ],
        }
    }
}

/// True if a request demands no extension at all.
fn demands_nothing(request: &Heard) -> bool {
    DEMANDS.iter().all(|header| request.message.headers(header).is_empty())
}
