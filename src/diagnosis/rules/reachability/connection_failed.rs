use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use crate::call::{FailedConnection, Failure, Heard, HowFailed, Outcome, Transaction, timer};
use crate::diagnosis::branches::{USUAL_OF_SILENCE, may_hide_silence};
use crate::diagnosis::rule::rule;
use crate::diagnosis::rules::reachability::silent_downstream::{self, GivenUp};
use crate::diagnosis::words::{counted, icmp_name, length};
use crate::diagnosis::{CaptureCase, Case, Confidence, Finding, Role, Severity};
use crate::net::{Path, Transport, Undelivered};
use crate::sip::{Method, NameAddr};

rule! {
    /// The connection failed.
    ///
    /// ## What it says
    /// A TCP connection for SIP was refused or not answered, or it ended or went dead while a request waited on it.
    ///
    /// ## Why it happens
    /// Refused: nothing listens on that port over TCP, or a filter rejects the connection. Not answered: the address is
    /// wrong, the host is down, or a filter drops the packets. Reset: the other end was restarted, or something between
    /// the two had forgotten the idle connection. Not acknowledged: the other end is gone without a word.
    ///
    /// ## Evidence
    /// A RST in answer to a SYN, or an ICMP error that quotes it; at least three copies of a SYN and no answer to any;
    /// a RST or FIN of the one who was asked, and a request on that connection without a final response; a request that
    /// TCP itself repeated at least five times, and that was never acknowledged. A proxy or B2BUA that refused the call
    /// right after a connection was refused to it told of that, whatever code and cause it made of it.
    ///
    /// ## How to fix
    /// Let the server listen on TCP, or name the transport that it speaks (`;transport=`, SRV). For connections that
    /// break when idle, send keep-alives.
    ///
    /// ## When it would be wrong
    /// A connection that ends after its last answer is closed in order. A client that falls back to UDP, or sends its
    /// request once more on a new connection, loses nothing.
    ///
    /// ## References
    /// RFC 9293 §3.5; RFC 3261 §18.1.1, §18.4; RFC 5626 §4.4.1
    "B5" "connection-failed" needs [UNANSWERED BROKEN] [REFUSED BROKEN] [PROVISIONAL BROKEN], check, capture check_capture
}

/// True if the one who asked sent the same request once more on another connection, and got an answer there: it lost
/// nothing (RFC 3261 §18.4).
fn went_on(case: &Case<'_>, transaction: &Transaction, request: &Heard) -> bool {
    case.call.transactions.iter().any(|other| {
        let is_again = (&other.method, other.in_dialog) == (&transaction.method, transaction.in_dialog);
        is_again
            && !other.finals.is_empty()
            && case.call.request_of(other).is_some_and(|again| {
                again.place > request.place
                    && again.path != request.path
                    && again.path.source.ip() == request.path.source.ip()
            })
    })
}

/// Who makes its answer of a refused connection does so within this time.
pub(super) const RIGHT_AFTER: Duration = Duration::from_millis(200);
/// Who connects for a call does so within this time after its request came.
const AT_ONCE: Duration = Duration::from_secs(1);
/// So often a SYN is sent before its silence counts.
const ENOUGH_SYNS: u32 = 3;
/// What Kamailio answers when it cannot send to the next hop.
const NOT_SENT: u16 = 477;

fn check(case: &Case<'_>) -> Option<Finding> {
    broke_off(case)
        .or_else(|| half_open(case))
        .or_else(|| unacknowledged(case))
        .or_else(|| did_not_come_about(case))
        .or_else(|| given_up(case))
        .or_else(|| of_redirect(case))
}

/// A request went into a connection that the other end no longer knew: nothing came back, and a new one did not come
/// about.
fn half_open(case: &Case<'_>) -> Option<Finding> {
    let deciding = case.deciding().filter(|deciding| decides(case, deciding) && !case.has_response(deciding))?;
    let request = case.call.request_of(deciding).filter(|request| request.path.transport.is_reliable())?;
    let (client, server) = (request.path.source, request.path.destination);
    let later = request.place.time.plus(timer::C);
    let failed = case.surroundings.failed_connections().of_client(client.ip()).iter().find(|failed| {
        failed.how.is_in_vain() && failed.server == server && failed.asked > request.place && failed.asked.time <= later
    })?;
    let method = &deciding.method;
    Some(
        prove(Finding::of(&RULE, Confidence::Likely), failed)
            .titled("The connection was dead, and no new one came about")
            .explains(None)
            .party(Role::Uas, Some(server))
            .because(format!(
                "{client} sent its {method} on a TCP connection from which nothing came back. {} later it asked \
                 {server} for a new one, {}: the old one had been forgotten by {server} or by what lies between, or \
                 {server} is down.",
                length(failed.asked.time.since(request.place.time)),
                what_came(failed)
            ))
            .fix(
                "Send keep-alives on such connections (RFC 5626 §4.4.1), so that a dead one is noticed before a call \
                 needs it.",
            )
            .claim_method(request, "the request that waits")
            .claim_absent(request.place, format!("any response to the {method}"), "nothing came back")
            .refuted("next-hop-silent", "it is the connection that is dead, and not this message alone")
            .next_capture(capture_of(server)),
    )
}

/// A request waited on a connection that the other end ended.
fn broke_off(case: &Case<'_>) -> Option<Finding> {
    let call = case.call;
    let mut waiting = call.transactions.iter().filter_map(|transaction| {
        let request = call.request_of(transaction)?;
        if !request.path.transport.is_reliable() || call.is_concluded(transaction) || transaction.method == Method::Ack
        {
            return None;
        }
        let (from, until) = (request.place.time, request.place.time.plus(timer::GIVE_UP));
        let failed = case.surroundings.failed_connections().broken(request.path, from, until)?;
        (!went_on(case, transaction, request)).then_some((transaction, request, failed))
    });
    let deciding = waiting.clone().find(|(transaction, ..)| decides(case, transaction));
    let (transaction, request, failed) = deciding.or_else(|| waiting.next())?;
    let sure = match failed.how {
        HowFailed::Reset => Confidence::Likely,
        _ => case.absence_of_answer(request),
    };
    let finding = Finding::of(&RULE, sure);
    // After the call was refused it is no reason for that.
    let refused = case.outer_failure().map(|outer| case.response(outer).place);
    let finding = match deciding.filter(|_| refused.is_none_or(|refused| failed.place < refused)) {
        Some(_) => finding.explains(None),
        None => finding.severity(Severity::Warning),
    };
    let (method, server) = (&transaction.method, failed.server);
    let (did, field) = ended(failed.how);
    let waited = failed.place.time.since(request.place.time);
    let idle = idle_before(case, request);
    let forgot = match idle.filter(|idle| idle.as_secs() >= 60 && failed.how == HowFailed::Reset) {
        Some(idle) => format!(
            " In this call nothing had gone over it for {} before: what lies between the two may have forgotten it.",
            length(idle)
        ),
        None => String::new(),
    };
    Some(
        finding
            .titled(format!("The connection ended while the {method} waited"))
            .party(case.role_of_asked(request), Some(server))
            .because(format!(
                "{server} {did} the TCP connection {} after the {method}, which got no final response.{forgot}",
                length(waited)
            ))
            .fix(format!("Look in the log of {server} for a restart or a limit of connections at that moment."))
            .fix("If such connections break when idle, send keep-alives on them (RFC 5626 §4.4.1) more often.")
            .claim_method(request, "the request that waits")
            .claim_at(failed.place, field, "1", "the other end ends the connection")
            .claim_absent(request.place, format!("final response to {method}"), "none was captured")
            .refuted("next-hop-silent", "the end of the connection is an answer of its kind")
            .next_capture(capture_of(server)),
    )
}

/// A request went into a connection whose other end acknowledged nothing any more.
fn unacknowledged(case: &Case<'_>) -> Option<Finding> {
    let call = case.call;
    let mut waiting = call.transactions.iter().filter_map(|transaction| {
        let request = call.request_of(transaction)?;
        let is_alone = transaction.provisionals.is_empty() && transaction.finals.is_empty();
        if !request.path.transport.is_reliable() || !is_alone {
            return None;
        }
        let failed = case.surroundings.failed_connections().unacknowledged(request.path, request.place)?;
        (!went_on(case, transaction, request)).then_some((transaction, request, failed))
    });
    let deciding = waiting.clone().find(|(transaction, ..)| decides(case, transaction));
    let (transaction, request, failed) = deciding.or_else(|| waiting.next())?;
    let finding = Finding::of(&RULE, Confidence::Likely);
    let finding = match deciding {
        Some(_) => finding.explains(None),
        None => finding.severity(Severity::Warning),
    };
    let (method, server) = (&transaction.method, failed.server);
    Some(
        finding
            .titled(format!("The {method} was never acknowledged by TCP"))
            .party(case.role_of_asked(request), Some(server))
            .because(format!(
                "{} sent the {method} over TCP, and TCP repeated it {} times within {}: {server} acknowledged none of \
                 them. {server} is down, or what lies between the two has forgotten the connection.",
                failed.client,
                failed.copies,
                length(failed.place.time.since(request.place.time))
            ))
            .fix(format!(
                "See at {} whether the segments arrive, and look for a firewall or NAT that forgets idle connections.",
                server.ip()
            ))
            .fix(
                "Send keep-alives on such connections (RFC 5626 §4.4.1), so that a dead one is noticed before a call \
                 needs it.",
            )
            .claim_method(request, "the request that waits")
            .claim_at(failed.place, "tcp.dstport", server.port().to_string(), "TCP sends it for the last time")
            .claim_absent(failed.place, format!("acknowledgement of {server}"), "none was captured")
            .refuted("next-hop-silent", "it is the connection that is dead, and not this message alone")
            .next_capture(capture_of(server)),
    )
}

fn ended(how: HowFailed) -> (&'static str, &'static str) {
    match how {
        HowFailed::Closed => ("closed", "tcp.flags.fin"),
        _ => ("reset", "tcp.flags.reset"),
    }
}

/// How long the path of a request had been idle in this call before it.
fn idle_before(case: &Case<'_>, request: &Heard) -> Option<Duration> {
    let same = |path: Path| path == request.path || path == request.path.reversed();
    let before = case.call.messages.iter().rfind(|heard| heard.place < request.place && same(heard.path))?;
    Some(request.place.time.since(before.last_place().time))
}

/// True if this request opened the call, or is what the last try of it was forwarded as, and the call came to nothing.
pub(super) fn decides(case: &Case<'_>, transaction: &Transaction) -> bool {
    if !matches!(case.call.outcome, Outcome::Failed | Outcome::Unanswered | Outcome::Unfinished)
        || transaction.in_dialog
    {
        return false;
    }
    case.deciding().is_some_and(|deciding| transaction.id == deciding.id || transaction.upstream == Some(deciding.id))
}

/// The one who refused the call had just failed to connect to the next hop.
fn did_not_come_about(case: &Case<'_>) -> Option<Finding> {
    let vain = InVain::of(case).filter(InVain::is_told_of)?;
    let (server, response, (role, address)) = (vain.failed.server, vain.response, who(vain.failed));
    let finding =
        vain.others.iter().fold(prove(Finding::of(&RULE, vain.confidence()), vain.failed), |finding, other| {
            let port = other.server.port().to_string();
            finding.claim_at(other.asked, "tcp.dstport", port, "a connection to another server is asked for")
        });
    Some(
        finding
            .titled(title(vain.failed.how))
            .explains(case.outer_failure().map(|outer| outer.status))
            .party(role, Some(address))
            .because(vain.explanation())
            .claim_status(response, "the answer that followed")
            .refuted("server-fault", "the response followed a connection that did not come about")
            .next_capture(capture_of(server)),
    )
}

/// A connection that was asked for in vain while the one who then refused a request had it.
struct InVain<'a> {
    case: &'a Case<'a>,
    failure: &'a Failure,
    response: &'a Heard,
    failed: &'a FailedConnection,
    /// Those to other servers that were tried after it, one by one.
    others: Vec<&'a FailedConnection>,
}

impl<'a> InVain<'a> {
    fn of(case: &'a Case<'a>) -> Option<InVain<'a>> {
        let failure = case.failure().filter(|failure| case.arose_here(failure))?;
        // Who names the user as the ground (Q.850 17, 21) got there.
        let names_user = || matches!(case.q850(case.response(failure)), Some(17 | 21));
        if !may_hide_silence(failure.status) || names_user() {
            return None;
        }
        let (request, response) = (case.request(failure)?, case.response(failure));
        let (proxy, caller) = (response.path.source.ip(), request.path.source.ip());
        let is_meanwhile = |failed: &FailedConnection| request.place < failed.asked && failed.asked < response.place;
        let fits = |failed: &&FailedConnection| {
            failed.how.is_in_vain() && is_meanwhile(failed) && failed.server.ip() != caller
        };
        let known = case.surroundings.failed_connections();
        let mut fitting: Vec<&FailedConnection> = match failure.status.get() {
            // Who says that it could not send may have tried from another of its addresses.
            NOT_SENT => known.iter().filter(fits).collect(),
            _ => known.of_client(proxy).iter().filter(fits).collect(),
        };
        fitting.sort_by_key(|failed| failed.asked);
        let failed = *fitting.first()?;
        // Attempts at several servers at once show that more than this call was at work; one call tries them in turn.
        let is_in_turn = fitting.windows(2).all(|pair| pair[0].place < pair[1].asked);
        let others: Vec<&FailedConnection> =
            fitting.into_iter().filter(|other| other.server != failed.server).collect();
        (others.is_empty() || is_in_turn).then_some(InVain { case, failure, response, failed, others })
    }

    fn confidence(&self) -> Confidence {
        let at_once = self.failed.how == HowFailed::Refused
            && self.failed.place < self.response.place
            && self.waited().as_secs() < 1;
        let is_sure = at_once && self.others.is_empty() || self.gave_up_waiting();
        if is_sure { Confidence::Likely } else { Confidence::Possible }
    }

    /// True if a connection was asked for as soon as the request had come, again and again without an answer, and given
    /// up when the response was made. One that is asked for at other times too is not for this call.
    fn gave_up_waiting(&self) -> bool {
        let (failed, began) = (self.failed, self.case.request(self.failure).map(|request| request.place));
        let known = self.case.surroundings.failed_connections().of_client(failed.client.ip());
        let is_for_others = known.iter().any(|other| other.server == failed.server && other.asked != failed.asked);
        failed.how == HowFailed::Silent
            && failed.copies >= ENOUGH_SYNS
            && began.is_some_and(|began| failed.asked.time.since(began.time) <= AT_ONCE)
            && self.waited() <= 2 * failed.place.time.since(failed.asked.time)
            && self.others.is_empty()
            && !is_for_others
    }

    /// How long after it the response came.
    fn waited(&self) -> Duration {
        self.response.place.time.since(self.failed.place.time)
    }

    /// True if the response tells of that: what else it says goes first, unless it was made right after that.
    fn is_told_of(&self) -> bool {
        let is_usual = USUAL_OF_SILENCE.contains(&self.failure.status.get());
        let message = &self.response.message;
        let says_why = message.header("Reason").is_some() || message.header("Retry-After").is_some();
        let is_made_of_it =
            self.confidence() == Confidence::Likely && self.waited() <= RIGHT_AFTER || self.gave_up_waiting();
        is_usual && !says_why || is_made_of_it
    }

    fn explanation(&self) -> String {
        let (proxy, failed) = (self.response.path.source, self.failed);
        let others = self.others.iter();
        let in_turn: String =
            others.map(|other| format!("; after that it tried {}, {}", other.server, what_came(other))).collect();
        format!(
            "{} tried to reach {} over TCP while {proxy} had the {}, {}{in_turn}; then {proxy} answered {}.",
            failed.client.ip(),
            failed.server,
            self.case.call.transaction(self.failure.transaction).method,
            what_came(failed),
            self.failure.status
        )
    }
}

/// The hop that had taken the call over asked for a connection in vain until the INVITE was cancelled.
fn given_up(case: &Case<'_>) -> Option<Finding> {
    let GivenUp { request, trying, end, words } = silent_downstream::given_up(case)?;
    let (hop, caller) = (trying.path.source, request.path.source.ip());
    let mut fitting = case.surroundings.failed_connections().of_client(hop.ip()).iter().filter(|failed| {
        failed.how.is_in_vain()
            && request.place < failed.asked
            && failed.asked.time < end
            && failed.server.ip() != caller
    });
    let failed = fitting.next()?;
    // Attempts at several servers show that more than this call was at work.
    if fitting.any(|other| other.server != failed.server) {
        return None;
    }
    let (role, address) = who(failed);
    Some(
        prove(Finding::of(&RULE, Confidence::Possible), failed)
            .titled(title(failed.how))
            .explains(case.outer_failure().map(|outer| outer.status))
            .party(role, Some(address))
            .because(format!(
                "{} tried to reach {} over TCP while {hop} had the {}, {}; nothing came from {hop} but 100 {words}.",
                failed.client.ip(),
                failed.server,
                case.call.transaction(request.transaction).method,
                what_came(failed)
            ))
            .claim_status(trying, "the next hop has the request")
            .refuted("caller-abandoned", "the caller had waited in vain for a call that went nowhere")
            .next_capture(capture_of(failed.server)),
    )
}

/// A redirect sent the client to a server to which no connection came about.
fn of_redirect(case: &Case<'_>) -> Option<Finding> {
    let failure = case.failure().filter(|failure| (300..400).contains(&failure.status.get()))?;
    let of_status = |heard: &&Heard| heard.message.status() == Some(failure.status);
    let mut passed_on = case.call.messages.iter().filter(of_status);
    let (redirect, failed) = passed_on.find_map(|redirect| Some((redirect, tried_to_follow(case, redirect)?)))?;
    let (role, address) = who(failed);
    let finding = Finding::of(&RULE, Confidence::Likely);
    let finding = match failed.how {
        HowFailed::Handshake(alert) => {
            let begun =
                finding.claim_at(failed.asked, "tcp.dstport", failed.server.port().to_string(), "TLS is begun there");
            let ended = match alert {
                Some(alert) => {
                    begun.claim_at(failed.place, "tls.alert_message.desc", alert.to_string(), "and ends with an alert")
                }
                None => begun,
            };
            ended.fix(format!(
                "Let {} and {} agree on TLS: version, ciphers and certificates.",
                failed.client.ip(),
                failed.server
            ))
        }
        _ => prove(finding, failed),
    };
    Some(
        finding
            .titled("The call was redirected to a server to which no connection came about")
            .explains(Some(failure.status))
            .party(role, Some(address))
            .because(format!(
                "{} sent the call on with {}. {} followed and asked {} for a connection, {}.",
                redirect.path.source,
                failure.status,
                redirect.path.destination.ip(),
                failed.server,
                what_came(failed)
            ))
            .claim_status(redirect, "the callee is elsewhere")
            .claim_header(redirect, "Contact", "namely here")
            .refuted("redirect-not-followed", "the client asked for a connection to go there")
            .next_capture(capture_of(failed.server)),
    )
}

/// The connection in vain with which a client wanted to go where a redirect had sent it. What is looked up by a name
/// may be any server.
pub(crate) fn tried_to_follow<'a>(case: &Case<'a>, redirect: &Heard) -> Option<&'a FailedConnection> {
    let contacts = redirect.message.headers("Contact");
    let until = redirect.place.time.plus(timer::GIVE_UP);
    case.surroundings.failed_connections().of_client(redirect.path.destination.ip()).iter().find(|failed| {
        let leads_there = |contact: &String| {
            let host = NameAddr::read(contact).parsed().host;
            host.parse()
                .map_or(failed.server.ip() != redirect.path.source.ip(), |host: IpAddr| host == failed.server.ip())
        };
        let is_in_vain = failed.how.is_in_vain() || matches!(failed.how, HowFailed::Handshake(_));
        is_in_vain && redirect.place < failed.asked && failed.asked.time <= until && contacts.iter().any(leads_there)
    })
}

fn title(how: HowFailed) -> &'static str {
    match how {
        HowFailed::Refused => "The TCP connection was refused",
        HowFailed::Undelivered { .. } => "The TCP connection could not be opened: an ICMP error answered it",
        _ => "Nothing answered the TCP connection",
    }
}

fn what_came(failed: &FailedConnection) -> String {
    match failed.how {
        HowFailed::Refused => "and the connection was refused".into(),
        HowFailed::Undelivered { reporter, what } => {
            format!("and {reporter} answered its SYN with ICMP {}", icmp_name(what))
        }
        HowFailed::Handshake(_) => "and the handshake of TLS failed on it".into(),
        _ => format!("and none of {} copies of its SYN was answered", failed.copies),
    }
}

/// Who did not let the connection come about: the server, or a filter or router before it.
fn who(failed: &FailedConnection) -> (Role, SocketAddr) {
    match failed.how {
        HowFailed::Undelivered { reporter, .. } if reporter != failed.server.ip() => {
            (Role::Network, (reporter, 0).into())
        }
        _ => (Role::Uas, failed.server),
    }
}

fn prove(finding: Finding, failed: &FailedConnection) -> Finding {
    let server = failed.server;
    let finding = finding.claim_at(failed.asked, "tcp.dstport", server.port().to_string(), "a connection is asked for");
    match failed.how {
        HowFailed::Refused => finding
            .claim_at(failed.place, "tcp.flags.reset", "1", "it is refused")
            .fix(format!("Let the SIP service of {server} listen on TCP; check with `ss -ltn` there."))
            .fix("Or send by the transport that it speaks: `;transport=udp`, or the SRV records of its domain.")
            .fix(format!("If it does listen, look for a filter at or before {} that rejects TCP.", server.ip())),
        HowFailed::Undelivered { reporter, what } => finding
            .claim_icmp(failed.place, what, "the SYN was not delivered", icmp_name(what))
            .fix(match what.meaning() {
                Undelivered::Prohibited => format!("Allow TCP to {server} in the filter of {reporter}."),
                _ => format!(
                    "Check the address {server} and the route to it as {reporter} sees it, and that its host is up."
                ),
            })
            .fix(format!("Let the SIP service of {server} listen on TCP; check with `ss -ltn` there.")),
        _ => finding
            .claim_at(failed.place, "tcp.flags.syn", "1", "the SYN is repeated")
            .claim_absent(failed.asked, "SYN-ACK or RST", "none was captured")
            .fix(format!("Check the address {server} and the route to it, and that its host is up."))
            .fix(format!("Look for a filter that drops TCP to port {}.", server.port())),
    }
}

fn capture_of(server: SocketAddr) -> String {
    let path = Path { source: server, destination: server, transport: Transport::Tcp };
    crate::diagnosis::words::capture_at(server.ip(), path)
}

/// Connections in vain between two hosts that have no SIP between them otherwise.
fn check_capture(case: &CaptureCase<'_>) -> Option<Finding> {
    let of_kind = |failed: &&FailedConnection| {
        // On the ports around, something else may be offered.
        failed.how.is_in_vain() && matches!(failed.server.port(), 5060 | 5061)
    };
    let without_sip = |failed: &&FailedConnection| {
        let (client, server) = (failed.client.ip(), failed.server.ip());
        case.surroundings.hop(client, server).is_none() && case.surroundings.hop(server, client).is_none()
    };
    let in_vain = || case.surroundings.failed_connections().iter().filter(of_kind).filter(without_sip);
    let first = in_vain().min_by_key(|failed| failed.place)?;
    let between = |failed: &FailedConnection| (failed.client.ip(), failed.server, failed.how);
    let count = in_vain().filter(|failed| between(failed) == between(first)).count();
    let mut others: Vec<(IpAddr, SocketAddr, HowFailed)> =
        in_vain().map(between).filter(|other| *other != between(first)).collect();
    others.sort_unstable();
    others.dedup();
    let also = match others.len() {
        0 => String::new(),
        more => format!(" The same happened between {} of hosts.", counted(more as u64, "other pair", "other pairs")),
    };
    let sure = if first.how == HowFailed::Silent { Confidence::Possible } else { Confidence::Proven };
    let (client, server) = (first.client.ip(), first.server);
    let connections = counted(count as u64, "TCP connection", "TCP connections");
    let what = match first.how {
        HowFailed::Refused => format!("{server} refused {connections} of {client}"),
        HowFailed::Undelivered { reporter, what } => {
            format!("{client} asked {server} for {connections}, and {reporter} answered with ICMP {}", icmp_name(what))
        }
        _ => format!("{server} did not answer {connections} of {client}"),
    };
    let (role, address) = who(first);
    Some(
        prove(Finding::of(&RULE, sure), first)
            .titled(title(first.how))
            .severity(Severity::Error)
            .party(role, Some(address))
            .because(format!("{what}. No SIP message passed between the two.{also}"))
            .refuted("tls-handshake-failed", "the connection did not come about, so TLS had not begun")
            .next_capture(capture_of(server)),
    )
}
