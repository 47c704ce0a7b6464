use crate::diagnosis::rule::rule;
use crate::diagnosis::rules::reachability::response_ignored::ignored;
use crate::diagnosis::words::destination_field;
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
    /// A response with the branch of the request that leaves for another port or address than the request came from, and a
    /// client that goes on repeating the request.
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
    let ignored = ignored(case)?;
    let (request, response) = (ignored.request, ignored.response);
    let vias = request.message.vias();
    let via = vias.first()?;
    let same_branch = response.message.vias().first().is_some_and(|answered| answered.branch() == via.branch());
    let (from, to) = (request.path.source, response.path.destination);
    if !same_branch || from == to || case.call.is_answered() {
        return None;
    }
    let asks = via.parameters.has("rport");
    let cause = if asks {
        format!("although its Via asks for rport: {} does not honour it", response.path.source)
    } else {
        "and its Via does not ask for rport".to_owned()
    };
    // Without rport the response has to go to the port that Via names (RFC 3261 §18.2.2).
    let ask = format!("Let {from} put rport into its Via (RFC 3581 §3).");
    let answer_there = match asks {
        true => format!("Let {} answer to the address and port that the request came from (RFC 3581 §4).", response.path.source),
        false => format!(
            "Or let {} answer to where the request came from although it does not ask for that (force_rport).",
            response.path.source
        ),
    };
    let port = if from.ip() == to.ip() { ("udp.dstport", to.port().to_string()) } else { (destination_field(to.ip()), to.ip().to_string()) };
    Some(
        Finding::of(&RULE, Confidence::Proven)
            .explains(case.call.final_status)
            .sender(if asks { Role::Uas } else { Role::Uac }, if asks { response } else { request })
            .because(format!(
                "The {} came from {from}, {cause}. The response went to {to}, and {from} goes on repeating its request: it never \
                 gets it.",
                request.message.method()?
            ))
            .fix(if asks { answer_there.clone() } else { ask.clone() })
            .fix(if asks { ask } else { answer_there })
            .claim(request, "udp.srcport", from.port().to_string(), "where the request came from")
            .claim_header(request, "Via", if asks { "rport asks for answers there" } else { "no rport asks for answers there" })
            .claim(response, port.0, port.1, "where the response went")
            .refuted("next-hop-silent", "responses do come back")
            .refuted("return-path-lost", "the response does not leave for where the request came from"),
    )
}
