use crate::call::{Heard, IcmpSeen};
use crate::diagnosis::rule::rule;
use crate::diagnosis::rules::reachability::response_ignored::{Ignored, answer_in_vain, ignored};
use crate::diagnosis::words::{destination_field, icmp_name};
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
    /// an ICMP error may say, only shows that it is the wrong place.
    ///
    /// ## How to fix
    /// Switch on rport on both sides (Asterisk: `force_rport`; kamailio: `force_rport()`).
    ///
    /// ## When it would be wrong
    /// Without NAT a response to the port that Via names is right. If the client goes on, it did arrive.
    ///
    /// ## References
    /// RFC 3581 §4; RFC 3261 §18.2.1, §18.2.2
    "B3" "response-misdirected" needs [REPEATED], check
}

fn check(case: &Case<'_>) -> Option<Finding> {
    let astray = astray(case)?;
    let (request, response) = (astray.request, astray.response);
    let via = request.message.vias().into_iter().next()?;
    let (from, to) = (request.path.source, response.path.destination);
    let asks = via.parameters.has("rport");
    let cause = if asks {
        format!("although its Via asks for rport: {} does not honour it", response.path.source)
    } else {
        "and its Via does not ask for rport".to_owned()
    };
    // Without rport the response has to go to the port that Via names (RFC 3261 §18.2.2).
    let ask = format!("Let {from} put rport into its Via (RFC 3581 §3).");
    let answer_there = match asks {
        true => format!(
            "Let {} answer to the address and port that the request came from (RFC 3581 §4).",
            response.path.source
        ),
        false => format!(
            "Or let {} answer to where the request came from although it does not ask for that (force_rport).",
            response.path.source
        ),
    };
    let port = if from.ip() == to.ip() {
        ("udp.dstport", to.port().to_string())
    } else {
        (destination_field(to.ip()), to.ip().to_string())
    };
    let mut errors = case.call.icmp.iter().filter(|icmp| astray.is_quoted(case, icmp));
    let icmp = errors.clone().find(|icmp| icmp.message == response.id).or_else(|| errors.next());
    let went = match icmp {
        Some(icmp) => {
            format!("The response went to {to}, where {} answered with ICMP {},", icmp.reporter, icmp_name(icmp.what))
        }
        None => format!("The response went to {to},"),
    };
    let finding = Finding::of(&RULE, Confidence::Proven).explains(case.call.final_status);
    let finding = if case.call.is_answered() { finding.drops_the_call() } else { finding };
    let mut finding = finding
        .sender(if asks { Role::Uas } else { Role::Uac }, if asks { response } else { request })
        .because(format!(
            "The {} came from {from}, {cause}. {went} and {from} goes on repeating its request: it never gets it.",
            request.message.method()?
        ))
        .fix(if asks { answer_there.clone() } else { ask.clone() })
        .fix(if asks { ask } else { answer_there })
        .claim(request, "udp.srcport", from.port().to_string(), "where the request came from")
        .claim_header(
            request,
            "Via",
            if asks { "rport asks for answers there" } else { "no rport asks for answers there" },
        )
        .claim(response, port.0, port.1, "where the response went");
    if let Some(icmp) = icmp {
        finding = finding.claim_icmp(icmp.place, icmp.what, "it was not delivered", icmp_name(icmp.what));
    }
    if let Some(last) = request.repeats.last() {
        finding = finding.claim_at(
            *last,
            "sip.Method",
            request.message.method()?.name(),
            "the request, repeated after its response",
        );
    }
    Some(
        finding
            .refuted("next-hop-silent", "responses do come back")
            .refuted("return-path-lost", "the response does not leave for where the request came from"),
    )
}

/// A response that leaves for another port or address than its request came from, while the request is repeated on and
/// on.
pub(super) struct Astray<'a> {
    request: &'a Heard,
    response: &'a Heard,
}

impl Astray<'_> {
    /// True if an ICMP error quotes a response that went that way.
    pub(super) fn is_quoted(&self, case: &Case<'_>, icmp: &IcmpSeen) -> bool {
        let quoted = case.call.message(icmp.message);
        quoted.transaction == self.request.transaction
            && !quoted.message.is_request()
            && quoted.path.destination == self.response.path.destination
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
    (is_its_own && request.path.source != response.path.destination).then_some(Astray { request, response })
}
