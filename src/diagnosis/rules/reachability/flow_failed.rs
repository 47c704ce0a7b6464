use std::net::SocketAddr;

use crate::call::Heard;
use crate::diagnosis::rule::rule;
use crate::diagnosis::targets::DEFAULT_PORT;
use crate::diagnosis::{Case, Confidence, Finding, Role};
use crate::sip::Via;

rule! {
    /// The connection over which the device registered is gone, or the way to it does not support outbound.
    ///
    /// ## What it says
    /// A device behind a NAT is reached over the connection that it opened when it registered. That connection is gone
    /// (430), or the first proxy cannot keep one (439).
    ///
    /// ## Why it happens
    /// The device lost its network, a NAT or firewall forgot the connection, the edge proxy was restarted. With 439 the
    /// first hop does not know the outbound extension.
    ///
    /// ## Evidence
    /// The code itself, or a Reason that names it; `reg-id`, `ob` or a Path show that outbound was asked for.
    ///
    /// ## How to fix
    /// Let the device register anew, send keep-alives more often, and keep two registrations (`reg-id` 1 and 2). For
    /// 439, enable outbound at the first proxy, or switch it off at the device.
    ///
    /// ## When it would be wrong
    /// Never for these codes: they name the fault.
    ///
    /// ## References
    /// RFC 5626 §5.3, §6, §11.5, §11.6, §4.4
    "B15" "flow-failed" needs [430 439], check
}

fn check(case: &Case<'_>) -> Option<Finding> {
    let failure = case.failure_with(&[430, 439])?;
    let (request, response) = (case.request(failure)?, case.response(failure));
    let server = response.path.source;
    let is_gone = case.code(failure) == 430;
    let (first_hop, passed_on) = first_hop(case, request);
    let which = first_hop.filter(|hop| *hop != server).map(|hop| format!(", {hop},")).unwrap_or_default();
    let because = match is_gone {
        true => format!(
            "{server} answered {}: the connection over which {} registered is gone, and with it the way to the \
             device.",
            failure.status,
            case.callee(failure)
        ),
        false => format!(
            "{server} answered {}: the device asked for a registration that uses its own connection (outbound), and \
             the first proxy on its way{which} does not support that.",
            failure.status
        ),
    };
    let finding = Finding::of(&RULE, Confidence::Proven).explains(Some(failure.status)).because(because);
    let finding = match first_hop {
        hop if !is_gone && hop != Some(server) => finding.party(Role::Proxy, hop),
        _ => finding.sender(Role::Proxy, response),
    };
    let which = if which.is_empty() { ",".to_owned() } else { which };
    let finding = match is_gone {
        true => finding
            .fix("Let the device register anew; shorten its keep-alive interval (CRLF or STUN, RFC 5626 §4.4).")
            .fix("Let it keep two connections, with reg-id 1 and 2, to two edge proxies."),
        false => finding.fix(format!(
            "Enable outbound (Path, RFC 5626) at the first proxy{which} or let the device register without `reg-id`."
        )),
    };
    let finding = match passed_on.filter(|_| !is_gone) {
        Some(sent) => finding.claim_method(sent, "the first proxy passes it on, without a Path that has `ob`"),
        None => finding,
    };
    Some(
        finding
            .claim_request_uri(request, if is_gone { "the binding that was asked for" } else { "the request" })
            .claim_status(response, "the flow has failed")
            .claim_header(request, "Route", "the flow that it was sent to")
            .refuted("callee-unreachable", "the code names the connection, not the callee"),
    )
}

/// The first server on the way of a registration, as far as its Vias tell (RFC 3261 §16.6), and the request as it
/// passed it on without a Path that has `ob` (RFC 5626 §6), where that was captured.
fn first_hop<'a>(case: &Case<'a>, request: &'a Heard) -> (Option<SocketAddr>, Option<&'a Heard>) {
    let outermost = case.first_with(request, |_| true);
    let vias = outermost.message.headers("Via");
    let hop = match vias.len() {
        0 | 1 => Some(outermost.path.destination),
        several => vias
            .get(several - 2)
            .map(|via| Via::read(via))
            .and_then(|via| Some(SocketAddr::new(via.host.parse().ok()?, via.port.unwrap_or(DEFAULT_PORT)))),
    };
    let next = case.call.downstream_of(outermost.transaction).find_map(|inner| case.call.request_of(inner));
    let has_outbound = |heard: &&Heard| heard.message.headers("Path").iter().any(|path| path.contains(";ob"));
    (hop, next.filter(|next| vias.len() <= 1 && !has_outbound(next)))
}
