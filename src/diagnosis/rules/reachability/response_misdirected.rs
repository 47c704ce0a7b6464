use std::net::SocketAddr;

use crate::call::{Heard, IcmpSeen};
use crate::diagnosis::rule::rule;
use crate::diagnosis::rules::reachability::response_ignored::{Ignored, answer_in_vain, ignored};
use crate::diagnosis::words::{capture_at, destination_field, icmp_name};
use crate::diagnosis::{Case, Confidence, Finding, Role};

rule! {
    /// The response goes to another port or address than the request came from.
    ///
    /// ## What it says
    /// The responder answers to the address that Via names, or to the standard port, and not to where the request came
    /// from. Behind NAT such a response does not arrive.
    ///
    /// ## Why it happens
    /// The client does not ask for `rport`, or the server does not honour it.
    ///
    /// ## Evidence
    /// A response with the branch of the request that leaves for another port or address than the request came from,
    /// and a client that goes on repeating the request. Where it is a 2xx, no ACK came. That nothing listens there, as
    /// an ICMP error may say, only shows that it is the wrong place. Where the client's host was seen to send SIP from
    /// that port too, in this call or another, it may hear there, and the response is only possibly in the wrong place.
    ///
    /// ## How to fix
    /// Switch on rport on both sides (Asterisk: `force_rport`; kamailio: `force_rport()`).
    ///
    /// ## When it would be wrong
    /// Without NAT a response to the port that Via names is right. If the client goes on, it did arrive. Behind NAT
    /// another device of the same address may be the one that hears at that port.
    ///
    /// ## References
    /// RFC 3581 §4; RFC 3261 §18.2.1, §18.2.2
    "B3" "response-misdirected" needs [REPEATED], check
}

fn check(case: &Case<'_>) -> Option<Finding> {
    let astray = astray(case)?;
    let icmp = astray.error(case);
    let may_hear = astray.may_hear(case, icmp);
    let sure = if may_hear { Confidence::Possible } else { Confidence::Proven };
    let because = astray.explanation(icmp, may_hear)?;
    let finding = Finding::of(&RULE, sure).explains(case.call.final_status).because(because);
    let finding = if case.call.is_answered() { finding.drops_the_call() } else { finding };
    let mut finding = astray.proved(astray.advised(finding));
    if let Some(icmp) = icmp {
        finding = finding.claim_icmp(icmp.place, icmp.what, "it was not delivered", icmp_name(icmp.what));
    }
    if let Some(last) = astray.request.repeats.last() {
        let method = astray.request.message.method()?.name();
        finding = finding.claim_at(*last, "sip.Method", method, "the request, repeated after its response");
    }
    let finding = finding.refuted("next-hop-silent", "responses do come back");
    Some(match may_hear {
        // Then it may get lost behind the capture.
        true => finding.next_capture(capture_at(astray.request.path.source.ip(), astray.response.path)),
        false => finding.refuted("return-path-lost", "the response does not leave for where the request came from"),
    })
}

/// A response that leaves for another port or address than its request came from, while the request is repeated on and
/// on.
pub(super) struct Astray<'a> {
    request: &'a Heard,
    response: &'a Heard,
    /// True if the request asks for its answers at where it came from (RFC 3581).
    asks: bool,
}

impl<'a> Astray<'a> {
    /// True if an ICMP error quotes a response that went that way.
    pub(super) fn is_quoted(&self, case: &Case<'_>, icmp: &IcmpSeen) -> bool {
        let quoted = case.call.message(icmp.message);
        quoted.transaction == self.request.transaction
            && !quoted.message.is_request()
            && quoted.path.destination == self.response.path.destination
    }

    /// The error that came back for this response, or else for another one to the same request.
    fn error(&self, case: &Case<'a>) -> Option<&'a IcmpSeen> {
        let mut errors = case.call.icmp.iter().filter(|icmp| self.is_quoted(case, icmp));
        errors.clone().find(|icmp| icmp.message == self.response.id).or_else(|| errors.next())
    }

    /// True if the client's host sends SIP from the port to which the response went, and no error says that nothing
    /// hears there: whoever sends from a port most often hears there.
    fn may_hear(&self, case: &Case<'_>, icmp: Option<&IcmpSeen>) -> bool {
        let (from, to) = (self.request.path.source, self.response.path.destination);
        icmp.is_none() && from.ip() == to.ip() && case.surroundings.has_sent_from(to)
    }

    fn explanation(&self, icmp: Option<&IcmpSeen>, may_hear: bool) -> Option<String> {
        let (from, to) = (self.request.path.source, self.response.path.destination);
        let cause = match self.asks {
            true => format!("although its Via asks for rport: {} does not honour it", self.response.path.source),
            false => "and its Via does not ask for rport".to_owned(),
        };
        let answered = match icmp {
            Some(icmp) => format!(" where {} answered with ICMP {},", icmp.reporter, icmp_name(icmp.what)),
            None => String::new(),
        };
        let end = match may_hear {
            true => format!(
                "if only another device hears at {to}, it never gets it. But SIP came from {to} too: if it is one \
                 device, the response got lost further on, or it ignores it."
            ),
            false => "it never gets it.".to_owned(),
        };
        Some(format!(
            "The {} came from {from}, {cause}. The response went to {to},{answered} and {from} goes on repeating its \
             request: {end}",
            self.request.message.method()?
        ))
    }

    /// Without rport the response has to go to the port that Via names (RFC 3261 §18.2.2).
    fn advised(&self, finding: Finding) -> Finding {
        let (client, server) = (self.request.path.source, self.response.path.source);
        let ask = format!("Let {client} put rport into its Via (RFC 3581 §3).");
        match self.asks {
            true => finding
                .sender(Role::Uas, self.response)
                .fix(format!("Let {server} answer to the address and port that the request came from (RFC 3581 §4)."))
                .fix(ask),
            false => finding.sender(Role::Uac, self.request).fix(ask).fix(format!(
                "Or let {server} answer to where the request came from although it does not ask for that \
                 (force_rport)."
            )),
        }
    }

    fn proved(&self, finding: Finding) -> Finding {
        let (from, to) = (self.request.path.source, self.response.path.destination);
        let asks = match self.asks {
            true => "rport asks for answers there",
            false => "no rport asks for answers there",
        };
        let finding = finding
            .claim(self.request, "udp.srcport", from.port().to_string(), "where the request came from")
            .claim_header(self.request, "Via", asks);
        let went = "where the response went";
        match from.ip() == to.ip() {
            true => finding.claim(self.response, "udp.dstport", to.port().to_string(), went),
            false => finding.claim(self.response, destination_field(to.ip()), to.ip().to_string(), went),
        }
    }
}

/// The deciding request and its response, if that went astray. A 2xx that nobody confirmed has not arrived either.
pub(super) fn astray<'a>(case: &Case<'a>) -> Option<Astray<'a>> {
    let Ignored { request, mut response, .. } = ignored(case)?;
    if case.call.is_answered() {
        response = answer_in_vain(case, request)?;
    }
    let (vias, answered) = (request.message.vias(), response.message.vias());
    let is_its_own = answered.first()?.branch() == vias.first()?.branch();
    let asks = vias.first()?.parameters.has("rport");
    if hears_at(case, request.path.source, response.path.destination) {
        return None;
    }
    (is_its_own && request.path.source != response.path.destination).then_some(Astray { request, response, asks })
}

/// True if an earlier response to a client went to another socket than its request came from, and the client confirmed
/// it: it sends from one port and takes what comes on another, as it may (RFC 3261 §18.2.2).
fn hears_at(case: &Case<'_>, client: SocketAddr, socket: SocketAddr) -> bool {
    case.call.transactions.iter().any(|known| {
        let went_there = case.finals(known).any(|answer| answer.path.destination == socket);
        known.path.source == client && !known.acks.is_empty() && went_there
    })
}
