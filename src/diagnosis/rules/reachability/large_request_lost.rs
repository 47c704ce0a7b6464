use crate::call::{Heard, Outcome};
use crate::diagnosis::rule::rule;
use crate::diagnosis::words::{capture_at, length};
use crate::diagnosis::{Case, Confidence, Finding, Role};
use crate::net::Undelivered;
use crate::oddity::Oddity;

rule! {
    /// A request is too large for the way that it takes.
    ///
    /// ## What it says
    /// A large request over UDP is not answered, while smaller ones on the same way are: its IP fragments get lost, or
    /// it does not fit through a link.
    ///
    /// ## Why it happens
    /// Firewalls and NATs drop fragments; a tunnel has a smaller MTU. Many codecs, video, ICE candidates and signed
    /// identities make INVITEs large.
    ///
    /// ## Evidence
    /// A request of more than 1300 bytes without any answer, and other messages from the same peer at that time; or an
    /// ICMP error "fragmentation needed" that quotes it.
    ///
    /// ## How to fix
    /// Use TCP for this peer (RFC 3261 §18.1.1 demands it from 1300 bytes on), offer fewer codecs, drop headers that
    /// nobody needs; let fragments pass.
    ///
    /// ## When it would be wrong
    /// The size may be chance: without an ICMP error it is not proven.
    ///
    /// ## References
    /// RFC 3261 §18.1.1; RFC 1191; RFC 4443 §3.2
    "B4" "large-request-lost" needs [UNANSWERED], check
}

/// Bytes of a request from which on RFC 3261 §18.1.1 wants TCP.
const LARGE: usize = 1300;
/// Bytes of a UDP payload that fit into one Ethernet frame with IPv4.
const ONE_PACKET: usize = 1472;
/// Bytes of the header of UDP, which its length counts (RFC 768).
const UDP_HEADER: usize = 8;
/// Copies that are wanted before a silence counts.
const ENOUGH_COPIES: u32 = 3;

fn check(case: &Case<'_>) -> Option<Finding> {
    if !matches!(case.call.outcome, Outcome::Unanswered | Outcome::Unfinished | Outcome::Cancelled) {
        return None;
    }
    let deciding = case.deciding().filter(|deciding| !deciding.in_dialog)?;
    let request = case.call.request_of(deciding)?;
    let size = request.message.bytes().len();
    if case.has_response(deciding)
        || request.path.transport.is_reliable()
        || case.was_answered_unseen(deciding).is_some()
    {
        return None;
    }
    let icmp =
        case.call.icmp.iter().find(|icmp| icmp.message == request.id && icmp.what.meaning() == Undelivered::TooBig);
    let enough = request.repeated + 1 >= ENOUGH_COPIES && size > LARGE;
    if icmp.is_none() && !(enough && smaller_are_answered(case, request)) {
        return None;
    }
    let confidence = match icmp {
        Some(_) => Confidence::Proven,
        None => case.absence_of_answer(request),
    };
    let to = request.path.destination;
    let method = request.message.method()?;
    let silent_since = case.silent_since(request).filter(|_| icmp.is_none());
    let because = match icmp {
        Some(icmp) => format!(
            "The {method} to {to} has {size} bytes and does not fit: {} reports that fragmentation is needed{}.",
            icmp.reporter,
            if icmp.mtu > 0 { format!(" (the next link takes {} bytes)", icmp.mtu) } else { String::new() }
        ),
        None => {
            let (than, fate) = if size > ONE_PACKET {
                (
                    "fits into one packet",
                    match silent_since {
                        Some(_) => "Its fragments may be lost on the way",
                        None => "Its fragments are probably lost on the way",
                    },
                )
            } else {
                ("RFC 3261 §18.1.1 allows over UDP", "It may be too large for a link on the way")
            };
            let others = match silent_since {
                Some(since) => format!(
                    "The last message from {} came {} before, and none came after it. {fate}, or {} is gone by now",
                    to.ip(),
                    length(since),
                    to.ip()
                ),
                None => format!("Other messages from {} came meanwhile or later. {fate}", to.ip()),
            };
            format!(
                "The {method} to {to} has {size} bytes, more than {than}, and none of its {} copies was answered. \
                 {others}.",
                request.repeated + 1
            )
        }
    };
    let mut finding = Finding::of(&RULE, confidence)
        .explains(None)
        .party(Role::Network, icmp.map(|icmp| (icmp.reporter, 0).into()))
        .because(because);
    if silent_since.is_some() {
        finding = finding.fix(format!(
            "Send {to} a small request, such as OPTIONS: if that is not answered either, it is not the size."
        ));
    }
    finding = finding
        .fix(format!("Use TCP towards {to} (RFC 3261 §18.1.1 demands it from 1300 bytes on)."))
        .fix("Make the request smaller: fewer codecs, no video, no headers that nobody needs.")
        .fix("Let IP fragments pass the firewalls between.")
        .next_capture(capture_at(to.ip(), request.path))
        .claim_method(request, "the large request");
    if fills_its_datagram(request) {
        let says = format!("{size} bytes, and the {UDP_HEADER} of the UDP header");
        finding = finding.claim(request, "udp.length", (size + UDP_HEADER).to_string(), says);
    }
    if let Some(icmp) = icmp {
        finding = finding.claim_icmp(icmp.place, icmp.what, "it does not fit", "fragmentation needed");
    } else {
        finding =
            finding.claim_absent(request.place, format!("any response from {to}"), "none of its copies is answered");
    }
    Some(finding.refuted("destination-unreachable", "no ICMP error says that the destination itself cannot be reached"))
}

/// True if nothing stands in the datagram beside the request, so that its length is known.
fn fills_its_datagram(request: &Heard) -> bool {
    let is_beside =
        |oddity: &Oddity| matches!(oddity, Oddity::BytesAfterBody { .. } | Oddity::BytesBeforeMessage { .. });
    !request.message.is_cut() && !request.message.oddities().iter().any(is_beside)
}

/// True if the peer sends other messages around the time of this request.
fn smaller_are_answered(case: &Case<'_>, request: &Heard) -> bool {
    let answers = request.path.reversed();
    case.is_visible(answers.source.ip(), answers.destination.ip())
}
