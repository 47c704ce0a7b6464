use std::net::SocketAddr;

use crate::call::{FailedConnection, Heard, HowFailed};
use crate::catalogue::Topic;
use crate::diagnosis::rule::rule;
use crate::diagnosis::rules::reachability::connection_failed::RIGHT_AFTER;
use crate::diagnosis::targets::DEFAULT_PORT;
use crate::diagnosis::words::length;
use crate::diagnosis::{Case, Confidence, Finding, Role};
use crate::sip::Via;

rule! {
    /// The connection over which the device registered is gone, or the way to it does not support outbound.
    ///
    /// ## What it says
    /// A device behind a NAT is reached over the connection that it opened when it registered. That connection is gone
    /// (430), or the first proxy cannot keep one (439). Or a proxy tries to open one to the device, and is refused.
    ///
    /// ## Why it happens
    /// The device lost its network, a NAT or firewall forgot the connection, the edge proxy was restarted. With 439 the
    /// first hop does not know the outbound extension.
    ///
    /// ## Evidence
    /// The code itself, or a Reason that names it; `reg-id`, `ob` or a Path show that outbound was asked for. Or a TCP
    /// connection that was asked for while a proxy had the request, refused at the very port from which a device had
    /// registered over a connection of its own; and the failure right after that.
    ///
    /// ## How to fix
    /// Let the device register anew, send keep-alives more often, and keep two registrations (`reg-id` 1 and 2). For
    /// 439, enable outbound at the first proxy, or switch it off at the device.
    ///
    /// ## When it would be wrong
    /// Never for these codes: they name the fault. A device that does listen on the port from which it registers, and
    /// is down, looks the same from here.
    ///
    /// ## References
    /// RFC 5626 §5.3, §6, §11.5, §11.6, §4.4, §4.5
    "B15" "flow-failed" needs [430 439] [REFUSED BROKEN], check
}

fn check(case: &Case<'_>) -> Option<Finding> {
    told_by_code(case).or_else(|| told_by_connection(case))
}

/// A device was looked for at its end of a connection that is gone.
fn told_by_connection(case: &Case<'_>) -> Option<Finding> {
    let failure = case.failure().filter(|failure| case.arose_here(failure) && failure.status.get() >= 400)?;
    let (request, response) = (case.request(failure)?, case.response(failure));
    let lost = LostConnection::of(case, request, response)?;
    let finding = Finding::of(&RULE, Confidence::Likely)
        .titled("The connection over which the device registered is gone")
        .explains(Some(failure.status))
        .because(format!("{} Then {} answered {}.", lost.words(), response.path.source, failure.status));
    let finding = lost.told(case, finding, response);
    Some(
        finding
            .claim_status(response, "the answer that followed")
            .refuted("server-fault", "the response followed a connection that did not come about")
            .refuted("callee-unreachable", "the device had registered, and it is its connection that is gone"),
    )
}

/// A connection to a device that was refused, because only the device can open one.
pub(in crate::diagnosis::rules) struct LostConnection<'a> {
    refused: &'a FailedConnection,
    /// The end of the one over which it had registered, if the capture shows that.
    ended: Option<&'a FailedConnection>,
}

impl<'a> LostConnection<'a> {
    /// The one that was asked for while whoever made a response had the request, and refused just before it.
    pub fn of(case: &Case<'a>, request: &Heard, response: &Heard) -> Option<LostConnection<'a>> {
        let known = case.surroundings.failed_connections();
        let is_of_device = |server: SocketAddr| {
            // On such a port it may well listen.
            !(DEFAULT_PORT..=LAST_PORT).contains(&server.port())
                && case.surroundings.registrations().came_from(server)
                && server.ip() != request.path.source.ip()
        };
        let refused = known.of_client(response.path.source.ip()).iter().find(|failed| {
            failed.how == HowFailed::Refused
                && request.place < failed.asked
                && failed.place < response.place
                && response.place.time.since(failed.place.time) <= RIGHT_AFTER
                && is_of_device(failed.server)
        })?;
        let is_end = |one: &&FailedConnection| {
            matches!(one.how, HowFailed::Closed | HowFailed::Reset)
                && one.place < refused.asked
                && [one.client, one.server].contains(&refused.server)
                && [one.client.ip(), one.server.ip()].contains(&refused.client.ip())
        };
        let ended = known.iter().filter(is_end).min_by_key(|one| one.place);
        Some(LostConnection { refused, ended })
    }

    /// What happened, in two sentences.
    pub fn words(&self) -> String {
        let (device, client) = (self.refused.server, self.refused.client.ip());
        let ended = match self.ended {
            Some(end) => format!(
                ", which {} had {} {} before",
                end.server,
                if end.how == HowFailed::Closed { "closed" } else { "reset" },
                length(self.refused.asked.time.since(end.place.time))
            ),
            None => ", which is gone".to_owned(),
        };
        format!(
            "{client} tried to connect to {device}, and was refused. That is the port from which the device had \
             registered over a connection of its own{ended}: only the device can open another one."
        )
    }

    /// The finding with who ended the connection, what to do, and what proves it.
    pub fn told(&self, case: &Case<'a>, finding: Finding, response: &'a Heard) -> Finding {
        let (device, server) = (self.refused.server, response.path.source);
        let by_server = self.ended.is_some_and(|end| end.server != device);
        let finding = match by_server {
            true => finding.party(Role::Proxy, Some(server)).fix(format!(
                "Let {server} keep the connection of a device open for as long as its registration lasts{}.",
                case.settings(Topic::DeviceConnections, response)
            )),
            false => finding.party(Role::Uas, Some(device)).fix(
                "Let the device connect and register anew as soon as its connection is gone, and not only when its \
                 registration runs out (RFC 5626 §4.5).",
            ),
        };
        let finding = finding
            .fix(
                "Let the device send keep-alives on its connection (RFC 5626 §4.4.1), so that it stays, and that its \
                 loss is noticed.",
            )
            .claim_at(self.refused.asked, "tcp.dstport", device.port().to_string(), "a connection is asked for")
            .claim_at(self.refused.place, "tcp.flags.reset", "1", "it is refused");
        match self.ended {
            Some(end) => {
                let field = if end.how == HowFailed::Closed { "tcp.flags.fin" } else { "tcp.flags.reset" };
                finding.claim_at(end.place, field, "1", "the end of the one over which the device had registered")
            }
            None => finding,
        }
    }
}

/// The last of the ports around 5060 on which systems wait for connections.
const LAST_PORT: u16 = 5099;

/// A code that names the fault.
fn told_by_code(case: &Case<'_>) -> Option<Finding> {
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
