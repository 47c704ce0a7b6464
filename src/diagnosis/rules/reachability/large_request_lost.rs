use std::time::Duration;

use crate::call::{FailedConnection, Heard, HowFailed, IcmpSeen, Outcome};
use crate::diagnosis::rule::rule;
use crate::diagnosis::words::{capture_at, length};
use crate::diagnosis::{Case, Confidence, Finding, Role};
use crate::net::Undelivered;
use crate::oddity::Oddity;
use crate::sip::Method;

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
pub(in crate::diagnosis::rules) const ONE_PACKET: usize = 1472;
/// Bytes of the header of UDP, which its length counts (RFC 768).
const UDP_HEADER: usize = 8;
/// A client that falls back from TCP to UDP does so within this time.
const JUST_BEFORE: Duration = Duration::from_secs(32);
/// Copies that are wanted before a silence counts.
const ENOUGH_COPIES: u32 = 3;

fn check(case: &Case<'_>) -> Option<Finding> {
    let lost = Lost::of(case)?;
    let to = lost.request.path.destination;
    let finding = Finding::of(&RULE, lost.confidence())
        .explains(None)
        .party(Role::Network, lost.icmp.map(|icmp| (icmp.reporter, 0).into()))
        .because(lost.explanation())
        .next_capture(capture_at(to.ip(), lost.request.path));
    let finding = lost.proved(lost.advised(finding));
    Some(finding.refuted("destination-unreachable", "no ICMP error says that the destination itself cannot be reached"))
}

/// A large request that nothing answered.
struct Lost<'a> {
    case: &'a Case<'a>,
    request: &'a Heard,
    method: &'a Method,
    /// Its bytes.
    size: usize,
    /// The error that says that it does not fit.
    icmp: Option<&'a IcmpSeen>,
}

impl<'a> Lost<'a> {
    fn of(case: &'a Case<'a>) -> Option<Lost<'a>> {
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
        let is_of_size = |icmp: &&IcmpSeen| icmp.message == request.id && icmp.what.meaning() == Undelivered::TooBig;
        let icmp = case.call.icmp.iter().find(is_of_size);
        let enough = request.repeated + 1 >= ENOUGH_COPIES && size > LARGE;
        if icmp.is_none() && !(enough && smaller_are_answered(case, request)) {
            return None;
        }
        Some(Lost { case, request, method: request.message.method()?, size, icmp })
    }

    fn confidence(&self) -> Confidence {
        match self.icmp {
            Some(_) => Confidence::Proven,
            None => self.case.absence_of_answer(self.request),
        }
    }

    /// How long before it the destination was heard for the last time, if that may have gone by now.
    fn silent_since(&self) -> Option<Duration> {
        self.case.silent_since(self.request).filter(|_| self.icmp.is_none())
    }

    fn explanation(&self) -> String {
        let (method, size, to) = (self.method, self.size, self.request.path.destination);
        if let Some(icmp) = self.icmp {
            let next = if icmp.mtu > 0 { format!(" (the next link takes {} bytes)", icmp.mtu) } else { String::new() };
            return format!(
                "The {method} to {to} has {size} bytes and does not fit: {} reports that fragmentation is \
                 needed{next}.",
                icmp.reporter
            );
        }
        let than = match self.is_fragmented() {
            true => "fits into one packet",
            false => "RFC 3261 §18.1.1 allows over UDP",
        };
        format!(
            "The {method} to {to} has {size} bytes, more than {than}, and none of its {} copies was answered. {}.{}",
            self.request.repeated + 1,
            self.others(),
            self.tcp_in_vain().map(tried_before).unwrap_or_default()
        )
    }

    /// The TCP connection to the same server that the client had asked for in vain just before.
    fn tcp_in_vain(&self) -> Option<&'a FailedConnection> {
        let (path, at) = (self.request.path, self.request.place);
        let is_it = |failed: &&FailedConnection| {
            failed.how.is_in_vain()
                && failed.server.ip() == path.destination.ip()
                && failed.asked < at
                && at.time.since(failed.asked.time) <= JUST_BEFORE
        };
        self.case.surroundings.failed_connections().of_client(path.source.ip()).iter().rfind(is_it)
    }

    fn is_fragmented(&self) -> bool {
        self.size > ONE_PACKET
    }

    /// What other messages of the destination say of what became of this one.
    fn others(&self) -> String {
        let to = self.request.path.destination.ip();
        let fate = match (self.is_fragmented(), self.silent_since()) {
            (true, Some(_)) => "Its fragments may be lost on the way",
            (true, None) => "Its fragments are probably lost on the way",
            (false, _) => "It may be too large for a link on the way",
        };
        match self.silent_since() {
            Some(since) => format!(
                "The last message from {to} came {} before, and none came after it. {fate}, or {to} is gone by now",
                length(since)
            ),
            None => format!("Other messages from {to} came meanwhile or later. {fate}"),
        }
    }

    fn advised(&self, finding: Finding) -> Finding {
        let to = self.request.path.destination;
        let finding = match self.silent_since() {
            Some(_) => finding.fix(format!(
                "Send {to} a small request, such as OPTIONS: if that is not answered either, it is not the size."
            )),
            None => finding,
        };
        let tcp = match self.tcp_in_vain() {
            Some(FailedConnection { server, .. }) => format!(
                "Let {server} listen on TCP, and let filters pass it: the client does try TCP, as RFC 3261 §18.1.1 \
                 wants from 1300 bytes on, and cannot."
            ),
            None => format!("Use TCP towards {to} (RFC 3261 §18.1.1 demands it from 1300 bytes on)."),
        };
        finding
            .fix(tcp)
            .fix("Make the request smaller: fewer codecs, no video, no headers that nobody needs.")
            .fix("Let IP fragments pass the firewalls between.")
    }

    fn proved(&self, finding: Finding) -> Finding {
        let (request, size) = (self.request, self.size);
        let mut finding = finding.claim_method(request, "the large request");
        if fills_its_datagram(request) {
            let says = format!("{size} bytes, and the {UDP_HEADER} of the UDP header");
            finding = finding.claim(request, "udp.length", (size + UDP_HEADER).to_string(), says);
        }
        if let Some(failed) = self.tcp_in_vain() {
            let port = failed.server.port().to_string();
            finding = finding.claim_at(failed.asked, "tcp.dstport", port, "TCP was asked for first, in vain");
        }
        match self.icmp {
            Some(icmp) => finding.claim_icmp(icmp.place, icmp.what, "it does not fit", "fragmentation needed"),
            None => {
                let missing = format!("any response from {}", request.path.destination);
                finding.claim_absent(request.place, missing, "none of its copies is answered")
            }
        }
    }
}

/// What became of a TCP connection that was asked for before, as a sentence of its own.
fn tried_before(failed: &FailedConnection) -> String {
    let FailedConnection { client, server, .. } = failed;
    let became = match failed.how {
        HowFailed::Refused => "and it was refused",
        HowFailed::Undelivered { .. } => "and an ICMP error answered it",
        _ => "and nothing answered it",
    };
    format!(" {} had asked {server} for a TCP connection just before, {became}.", client.ip())
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
