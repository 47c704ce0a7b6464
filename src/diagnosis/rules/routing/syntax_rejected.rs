use crate::call::{Heard, Kind};
use crate::diagnosis::rule::rule;
use crate::diagnosis::{Case, Confidence, Finding};
use crate::oddity::Oddity;
use crate::sip::Method;
use crate::sip::uri_grammar::first_fault;

rule! {
    /// The server found the request malformed.
    ///
    /// ## What it says
    /// The request breaks the grammar, or uses a URI that the server cannot read.
    ///
    /// ## Why it happens
    /// A fault of the sender, or a box on the path that rewrites messages.
    ///
    /// ## Evidence
    /// 400 or 416; what the server says of the place, and what this program finds broken in the same request.
    ///
    /// ## How to fix
    /// Correct the header that is named, at the sender or at the box that rewrote it.
    ///
    /// ## When it would be wrong
    /// Some servers send 400 for requests that they dislike for other reasons; then nothing is broken in the request.
    /// A 416 to a sip: URI is the fault of who sends it, or of a hop behind it that got another URI.
    ///
    /// ## References
    /// RFC 3261 §21.4.1, §21.4.14, §25.1
    "E17" "syntax-rejected" needs [400 416], check
}

fn check(case: &Case<'_>) -> Option<Finding> {
    let failure = case.failure_with(&[400, 416])?;
    let (request, response) = (case.request(failure)?, case.response(failure));
    if matches!(case.call.kind, Kind::Options) {
        return None;
    }
    let is_scheme = failure.status.get() == 416;
    let named = named_fault(case, request, response);
    let found = found(request, named.as_ref());
    // Who passed on what another wrote did not write it.
    let request = case.first_with(request, |before| match (&named, is_scheme) {
        (_, true) => before.message.request_uri() == request.message.request_uri(),
        (Some(fault), _) => before.message.headers(fault.header).contains(&fault.value),
        (None, _) if !found.is_empty() => self::found(before, None) == found,
        // Nothing is found broken: then it is about what the refusal names.
        (None, _) => headers_named(case, response).any(|header| {
            let values = request.message.headers(header);
            !values.is_empty() && before.message.headers(header) == values
        }),
    });
    let (client, server) = (request.path.source, response.path.source);
    let said = case.quotation(response).map(|words| format!("; {words}")).unwrap_or_default();
    let uri = request.message.request_uri()?.into_owned();
    // Every element understands sip: (RFC 3261 §19.1).
    let is_understood = is_scheme && uri.get(..4).is_some_and(|scheme| scheme.eq_ignore_ascii_case("sip:"));
    let because = match (is_scheme, found.is_empty()) {
        (true, _) if is_understood => format!(
            "{server} says that it cannot use the scheme of the Request-URI (416){said}. But that is {uri} here, and \
             everybody has to understand sip: (RFC 3261 §19.1): {server} is wrong, or a hop behind it got another URI."
        ),
        (true, _) => format!("{server} cannot use the scheme of the Request-URI {uri} (416){said}."),
        (false, false) => {
            format!("{server} found the request of {client} malformed (400){said}. In it {}.", found.join("; "))
        }
        (false, true) => format!(
            "{server} found the request of {client} malformed (400){said}. This program finds nothing broken in it."
        ),
    };
    let confidence = match (is_scheme, found.is_empty()) {
        (true, _) if is_understood => Confidence::Likely,
        (true, _) => Confidence::Proven,
        (false, false) => Confidence::Likely,
        (false, true) => Confidence::Possible,
    };
    let mut finding = Finding::of(&RULE, confidence).explains(Some(failure.status)).because(because);
    finding = match is_understood {
        true => finding.sender(case.role_of_responder(response), response),
        false => finding.sender(case.role_of_sender(request), request),
    };
    finding = match is_scheme {
        true if is_understood => finding.fix(format!(
            "Look at {server} for what it makes of the number or name in {uri}, and whom it sends that to."
        )),
        true => finding
            .fix(format!("Let {client} send a sip: URI instead of {uri}, or let a server before {server} rewrite it.")),
        false => finding
            .fix(match found.is_empty() {
                true => format!("Compare the request of {client} with one that {server} accepts, header by header."),
                false => format!("Correct what {client} writes: {}.", found.join("; ")),
            })
            .fix(format!(
                "If {client} did not write it so, look for a box on the path that rewrites SIP (ALG), and switch that \
                 off."
            )),
    };
    finding = finding
        .claim_request_uri(request, "the request")
        .claim_status(response, "refused as malformed")
        .claim_own_words(case, response);
    if let Some(Fault { header, value, .. }) = &named {
        finding = finding.claim_header_with(request, header, value, "what breaks the grammar");
    }
    if of_star(request).is_some() {
        finding = finding.claim_header(request, "Contact", "every registration is to end").claim_header(
            request,
            "Expires",
            "for which it must be 0",
        );
    }
    Some(finding.refuted("server-fault", format!("{} blames the request", failure.status)))
}

/// What is found broken in a request, at most three things, the one that the refusal names first.
fn found(request: &Heard, named: Option<&Fault>) -> Vec<String> {
    let is_of_sender =
        |oddity: &&Oddity| !matches!(oddity, Oddity::MessageCut { .. } | Oddity::BytesBeforeMessage { .. });
    let odd = request.message.oddities().iter().filter(is_of_sender).map(Oddity::says);
    named.map(Fault::says).into_iter().chain(odd).chain(of_star(request)).take(3).collect()
}

/// What is wrong with `Contact: *`: it asks that every registration ends, and must not stand beside another Contact, or
/// without `Expires: 0` (RFC 3261 §10.2.2); a registrar has to refuse it then (§10.3, step 6).
fn of_star(request: &Heard) -> Option<String> {
    let contacts = request.message.headers("Contact");
    let is_star = |contact: &_| AsRef::<str>::as_ref(contact).trim() == "*";
    if request.message.method() != Some(&Method::Register) || request.message.is_cut() || !contacts.iter().any(is_star)
    {
        return None;
    }
    let expires = request.message.header("Expires").map(|value| value.trim().to_owned());
    match expires {
        _ if contacts.len() > 1 => {
            Some("Contact holds \"*\" beside another address, and may hold it only alone".to_owned())
        }
        None => Some("Contact is \"*\", which needs Expires: 0 beside it, and there is no Expires".to_owned()),
        Some(seconds) if seconds.parse() != Ok(0_u32) => {
            Some(format!("Contact is \"*\", which needs Expires: 0 beside it, and Expires is {seconds}"))
        }
        Some(_) => None,
    }
}

/// Headers that hold addresses.
const OF_ADDRESSES: [&str; 8] =
    ["Contact", "From", "To", "Route", "Record-Route", "Refer-To", "Referred-By", "P-Asserted-Identity"];

/// What is wrong with an address of the request.
struct Fault {
    /// The header that holds it.
    header: &'static str,
    /// The address with its parameters.
    value: String,
    /// What is wrong, in words.
    why: String,
}

impl Fault {
    fn says(&self) -> String {
        format!("the {} header ({:?}) breaks its grammar: {}", self.header, self.value, self.why)
    }
}

/// The headers with addresses that a refusal names.
fn headers_named(case: &Case<'_>, response: &Heard) -> impl Iterator<Item = &'static str> {
    let said = case.words(response).to_owned();
    OF_ADDRESSES.into_iter().filter(move |header| {
        said.split(|c: char| !c.is_ascii_alphanumeric() && c != '-').any(|word| word.eq_ignore_ascii_case(header))
    })
}

/// What is wrong with the header that the refusal names.
fn named_fault(case: &Case<'_>, request: &Heard, response: &Heard) -> Option<Fault> {
    headers_named(case, response).find_map(|header| {
        let values = request.message.headers(header);
        values.into_iter().find_map(|value| Some(Fault { header, why: first_fault(&value)?, value }))
    })
}
