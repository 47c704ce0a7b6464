use crate::call::Heard;
use crate::diagnosis::rule::rule;
use crate::diagnosis::rules::reachability::next_hop_silent::{left_on_stream, unanswered};
use crate::diagnosis::words::length;
use crate::diagnosis::{Case, Finding, Role};
use crate::oddity::Oddity;

rule! {
    /// A broken request is dropped without an answer.
    ///
    /// ## What it says
    /// The peer is there and answers others, but this request got no answer, and it breaks the grammar of SIP. Many
    /// stacks drop what they cannot read without a word.
    ///
    /// ## Why it happens
    /// A fault of the sender, or a box on the way that rewrites messages.
    ///
    /// ## Evidence
    /// Copies of one request without any answer; a place in it that breaks RFC 3261; and other messages of the same
    /// peer.
    ///
    /// ## How to fix
    /// Correct the place that is named, at the sender or at the box that rewrote it.
    ///
    /// ## When it would be wrong
    /// Some stacks forgive such a fault, and the request was lost for another reason: capture at the peer.
    ///
    /// ## References
    /// RFC 3261 §18.3, §8.2, §8.1.1, §25.1
    "E25" "malformed-request-ignored" needs [UNANSWERED REPEATED] [UNANSWERED STREAM], check
}

fn check(case: &Case<'_>) -> Option<Finding> {
    let request = unanswered(case).or_else(|| Some(left_on_stream(case)?.0))?;
    let answers = request.path.reversed();
    if !case.is_visible(answers.source.ip(), answers.destination.ip()) {
        return None;
    }
    let fault = fault(request)?;
    let confidence = case.absence_of_answer(request);
    let (client, server) = (request.path.source, request.path.destination);
    let sent = match request.path.transport.is_reliable() {
        true => format!("once over {}", request.path.transport),
        false => format!("{} times", request.repeated + 1),
    };
    let mut finding = Finding::of(&RULE, confidence)
        .explains(case.outer_failure().map(|failure| failure.status))
        .sender(Role::Uac, request)
        .because(format!(
            "{client} sent this request {sent} to {server} and got no answer, although {server} is there. The request \
             breaks RFC 3261: {}.",
            fault.says
        ))
        .fix(format!("Correct what {client} sends: {}.", fault.says))
        .fix("If it did not write it so, look for a box on the way that rewrites SIP (ALG), and switch that off.")
        .claim_method(request, "the request");
    if let Some(line) = fault.line {
        finding = finding.claim(request, "sip.msg_hdr", line, "what breaks the grammar");
    }
    Some(
        finding
            .claim_absent(
                request.place,
                format!("any response from {server}"),
                format!("the capture goes on for {} after the first copy", length(case.tail(request.place))),
            )
            .refuted("next-hop-silent", "the peer is heard, and this request is malformed"),
    )
}

struct Fault {
    says: String,
    /// The header line, where one is at fault.
    line: Option<String>,
}

/// The first place at which a request breaks RFC 3261 badly enough to be dropped.
fn fault(request: &Heard) -> Option<Fault> {
    let message = &request.message;
    let of_oddity = message.oddities().iter().find_map(|oddity| {
        let line = match oddity {
            Oddity::BadContentLength => message.header_line("Content-Length"),
            Oddity::BadCSeq | Oddity::CSeqMethodDiffers => message.header_line("CSeq"),
            Oddity::BadHeader { header } | Oddity::DuplicateHeader { header } => message.header_line(header),
            Oddity::MissingHeader { .. }
            | Oddity::NoColon
            | Oddity::UnclosedQuote
            | Oddity::BadStartLine
            | Oddity::NulByte
            | Oddity::BareLineFeed
            | Oddity::NotUtf8 => None,
            _ => return None,
        };
        // What breaks the RFC is malformed: that need not be said twice.
        Some(Fault { says: oddity.says().trim_end_matches(": malformed").to_owned(), line })
    });
    of_oddity.or_else(|| missing(request))
}

/// A header that RFC 3261 §8.1.1 wants in each request, and the parameters that it cannot do without.
fn missing(request: &Heard) -> Option<Fault> {
    let message = &request.message;
    if message.is_cut() {
        return None;
    }
    if message.header("Max-Forwards").is_none() {
        return Some(Fault { says: "it has no Max-Forwards header (RFC 3261 §8.1.1.6)".into(), line: None });
    }
    if message.from().is_some_and(|from| from.tag().is_none()) {
        let line = message.header_line("From");
        return Some(Fault { says: "From has no tag (RFC 3261 §8.1.1.3)".into(), line });
    }
    if let Some(line) = message.header_line("Via").filter(|line| !names_transport(line)) {
        return Some(Fault {
            says: "Via does not name protocol, version and transport (RFC 3261 §20.42)".into(),
            line: Some(line),
        });
    }
    let branch = message.vias().first().map(|via| via.branch().to_owned()).unwrap_or_default();
    if branch.is_empty() {
        return Some(Fault { says: "Via has no branch (RFC 3261 §8.1.1.7)".into(), line: message.header_line("Via") });
    }
    None
}

/// True if a Via begins as it must: SIP, the version and the transport, each after a slash, blanks allowed.
fn names_transport(line: &str) -> bool {
    let value = line.split_once(':').map_or(line, |(_, value)| value);
    let mut parts = value.splitn(3, '/').map(str::trim);
    let (protocol, version, rest) = (parts.next(), parts.next(), parts.next());
    let has_transport = rest.is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_alphabetic()));
    protocol.is_some_and(|name| name.eq_ignore_ascii_case("SIP")) && version == Some("2.0") && has_transport
}
