use std::borrow::Cow;
use std::net::SocketAddr;

use crate::call::{Call, Heard, IcmpSeen, Kind, Outcome, TransactionId};
use crate::diagnosis::dialogs::from_tag;
use crate::diagnosis::rule::rule;
use crate::diagnosis::rules::reachability::response_misdirected;
use crate::diagnosis::words::{capture_at, icmp_name, length};
use crate::diagnosis::{Case, Confidence, Finding, Role, Severity, Side};
use crate::net::Undelivered;
use crate::sip::{Method, StatusCode};

rule! {
    /// The destination cannot be reached, and an ICMP error says so.
    ///
    /// ## What it says
    /// A host or a router answered a SIP packet with an ICMP error: it was not delivered.
    ///
    /// ## Why it happens
    /// Port unreachable: the host is there, and nothing listens on that port, because the service has stopped or uses
    /// another port. Host or network unreachable: the address is wrong or its network is down. Administratively
    /// prohibited: a filter rejects the packet. Time exceeded: routes lead round in a circle.
    ///
    /// ## Evidence
    /// An ICMP destination unreachable (type 3) or ICMPv6 type 1, or a time exceeded in transit, that quotes the packet
    /// by its addresses and ports; or "fragmentation needed" that quotes a response. It explains the end of an answered
    /// call if what it quotes is a 2xx that nobody confirmed, or a BYE, and no BYE was accepted.
    ///
    /// ## How to fix
    /// Start the service on that port, or correct the address; for a filter, ask whoever runs the host that reports.
    ///
    /// ## When it would be wrong
    /// An error for an older packet of the same ports. For a response that went elsewhere than its request came from,
    /// and that the client waits for: `response-misdirected`. "Fragmentation needed" for a request is no such error:
    /// `large-request-lost`. Where the call was answered at another address, it is a fact.
    ///
    /// ## References
    /// RFC 792; RFC 4443 §3.1, §3.3; RFC 3261 §18.4
    "B2" "destination-unreachable" needs [ICMP], check
}

fn check(case: &Case<'_>) -> Option<Finding> {
    let call = case.call;
    // Where a response went to a place that its request did not come from, nobody need listen (`response-misdirected`).
    let astray = response_misdirected::astray(case);
    let is_astray = |icmp: &IcmpSeen| astray.as_ref().is_some_and(|astray| astray.is_quoted(case, icmp));
    let mut errors =
        call.icmp.iter().filter(|icmp| what_it_says(icmp, call.message(icmp.message)).is_some() && !is_astray(icmp));
    let deciding = errors.clone().find(|icmp| decides(case, icmp));
    let dropping = errors.clone().find(|icmp| drops(case, icmp));
    let icmp = deciding.or(dropping).or_else(|| errors.next())?;
    let quoted = call.message(icmp.message);
    let error = Error { case, icmp, quoted, says: what_it_says(icmp, quoted)? };
    let finding = Finding::of(&RULE, Confidence::Proven);
    let finding = match (deciding, dropping) {
        (Some(_), _) => finding.explains(case.outer_failure().map(|failure| failure.status)),
        (None, Some(_)) => finding.explains(call.final_status).drops_the_call(),
        (None, None) if is_harmless(call, quoted) || went_elsewhere(call, quoted) => finding,
        (None, None) if is_refusal(quoted) && had_come_before(case, quoted, icmp) => finding,
        (None, None) => finding.severity(Severity::Warning),
    };
    Some(prove(error.advised(error.blamed(finding)), icmp, quoted))
}

/// An ICMP error, and the message that it says was not delivered.
struct Error<'a> {
    case: &'a Case<'a>,
    icmp: &'a IcmpSeen,
    quoted: &'a Heard,
    says: Says,
}

impl Error<'_> {
    fn target(&self) -> SocketAddr {
        self.icmp.quoted.destination
    }

    /// What the error says, with the addresses that it is about.
    fn filled_in(&self, text: &str) -> String {
        text.replace("TARGET", &self.target().to_string()).replace("REPORTER", &self.icmp.reporter.to_string())
    }

    fn explanation(&self) -> String {
        let (call, icmp) = (self.case.call, self.icmp);
        let often = match call.icmp.iter().filter(|other| other.quoted == icmp.quoted).count() {
            count if count > 1 => format!(" ({count} times)"),
            _ => String::new(),
        };
        format!(
            "{} answered the {} to {} with ICMP {}{often}: {}.{}",
            icmp.reporter,
            label(self.quoted),
            self.target(),
            icmp_name(icmp.what),
            self.filled_in(self.says.meaning),
            heard_since(call, icmp),
        )
    }

    /// The part that the one plays to whom it did not get, or who reports that.
    fn role(&self) -> Role {
        let (call, quoted) = (self.case.call, self.quoted);
        // What goes to the caller's side: a response to it, or a request of the other side.
        // Where nobody knows who opened the dialog, who asks is taken for the caller.
        let is_for_caller = match quoted.message.is_request() {
            true => self.case.side(quoted) == Side::Callee,
            false => self.case.side(quoted) != Side::Callee,
        };
        match self.says.role {
            Role::Uas if is_for_caller => Role::Uac,
            Role::Uas if call.kind == Kind::Registration && arrives_at_the_end(call, quoted) => Role::Registrar,
            role => role,
        }
    }

    /// The finding with what happened, and whose fault that is.
    fn blamed(&self, finding: Finding) -> Finding {
        let quoted = self.quoted;
        // Who confirms an answer sends to its Contact, and a server to where it knows a device to be.
        let is_of_server = quoted.message.method().is_some_and(|method| *method != Method::Ack);
        if let Some(contact) = self.case.private_contact(quoted).filter(|_| is_of_server) {
            return contact.told_in(finding, &self.explanation(), (Role::Proxy, quoted.path.source));
        }
        let party = match self.says.role {
            Role::Network => (self.icmp.reporter, 0).into(),
            _ => self.target(),
        };
        finding.party(self.role(), Some(party)).because(self.explanation())
    }

    fn advised(&self, finding: Finding) -> Finding {
        let is_closed = self.icmp.what.meaning() == Undelivered::PortUnreachable;
        let finding = match came_from(self.case, self.quoted).filter(|_| is_closed) {
            Some(client) => finding.fix(format!(
                "The request came from {client}: let it put rport into its Via (RFC 3581 §3), or let {} answer there \
                 all the same (force_rport).",
                self.quoted.path.source
            )),
            None => finding,
        };
        finding.fix(self.filled_in(self.says.fix)).next_capture(capture_at(self.target().ip(), self.icmp.quoted))
    }
}

/// Where the request of a response came from, if the response went to another port or address.
fn came_from(case: &Case<'_>, response: &Heard) -> Option<SocketAddr> {
    let request = case.call.request_of(case.call.transaction(response.transaction))?;
    let source = request.path.source;
    (!response.message.is_request() && source != response.path.destination).then_some(source)
}

/// True if nothing shows that a request was to be passed on from where it went.
fn arrives_at_the_end(call: &Call, request: &Heard) -> bool {
    call.downstream_of(request.transaction).next().is_none()
}

/// That the destination sent something after the error: it was not there for a moment only.
fn heard_since(call: &Call, icmp: &IcmpSeen) -> String {
    let target = icmp.quoted.destination;
    // What comes over TCP does not tell that anything listens for UDP.
    let is_of_it = |heard: &&Heard| {
        heard.path.source == target && heard.path.transport.is_reliable() == icmp.quoted.transport.is_reliable()
    };
    let sent = call.messages.iter().find(|heard| is_of_it(heard) && icmp.place < heard.place);
    // What is too large stays so, whoever is there.
    match sent.filter(|_| icmp.what.meaning() != Undelivered::TooBig) {
        Some(heard) => format!(
            " That was so at this moment: {} later {target} sent SIP itself.",
            length(heard.place.time.since(icmp.place.time))
        ),
        None => String::new(),
    }
}

/// The code of "time exceeded" that is about the hops, and not about fragments (RFC 792, RFC 4443 §3.3).
const IN_TRANSIT: u8 = 0;

/// What an ICMP error says of the destination.
struct Says {
    meaning: &'static str,
    fix: &'static str,
    role: Role,
}

fn what_it_says(icmp: &IcmpSeen, quoted: &Heard) -> Option<Says> {
    let nowhere = |meaning| Says {
        meaning,
        fix: "Check the address TARGET and the route to it as REPORTER sees it.",
        role: Role::Network,
    };
    Some(match icmp.what.meaning() {
        Undelivered::PortUnreachable => Says {
            meaning: "that host is there, and nothing listens on this port",
            fix: "Start the SIP service of TARGET, or send to the port on which it listens.",
            role: Role::Uas,
        },
        Undelivered::Prohibited => Says {
            meaning: "a filter at REPORTER rejects the packet",
            fix: "Let the filter at REPORTER pass SIP to TARGET.",
            role: Role::Network,
        },
        Undelivered::NoRoute => nowhere("REPORTER has no route to that address"),
        Undelivered::HostUnreachable => nowhere("the last router before that host does not reach it"),
        Undelivered::ProtocolUnreachable => nowhere("that host does not take this transport protocol"),
        Undelivered::RejectRoute => nowhere("REPORTER has a route that rejects that address"),
        Undelivered::TimeExceeded if icmp.what.code == IN_TRANSIT => Says {
            meaning: "the packet went over so many hops that its hop limit was used up, as where routes lead round in \
                      a circle",
            fix: "Look with traceroute from the sender to TARGET where the way leads round, and mend the routes at \
                  REPORTER.",
            role: Role::Network,
        },
        // Of a request that is too large `large-request-lost` tells.
        Undelivered::TooBig if !quoted.message.is_request() => Says {
            meaning: "it does not fit through the next link, and must not be cut into fragments",
            fix: "Let the sender of this response allow fragments (no \"don't fragment\"), make it smaller, or let \
                  both sides use TCP.",
            role: Role::Network,
        },
        Undelivered::TooBig | Undelivered::TimeExceeded | Undelivered::Other => return None,
    })
}

/// True if the request that was not delivered is why the call ended as it did: it opened the call or is what the
/// last try was forwarded as, and nothing answered it.
fn decides(case: &Case<'_>, icmp: &IcmpSeen) -> bool {
    let call = case.call;
    if !matches!(call.outcome, Outcome::Failed | Outcome::Unanswered | Outcome::Unfinished | Outcome::Busy) {
        return false;
    }
    let quoted = call.message(icmp.message);
    let transaction = call.transaction(quoted.transaction);
    if !quoted.message.is_request() || transaction.in_dialog || case.has_response(transaction) {
        return false;
    }
    let Some(deciding) = case.deciding() else { return false };
    // What another branch said is no answer to what this one did not deliver.
    let is_on_way = |id: TransactionId| case.with_upstream(transaction.id).any(|known| known.id == id);
    is_on_way(deciding.id) && case.failure().is_none_or(|failure| is_on_way(failure.transaction))
}

/// True if what was not delivered is why an answered call ended against the parties' will, or could not be ended: a 2xx
/// that nobody confirmed, or a BYE, where no BYE of the call was accepted.
fn drops(case: &Case<'_>, icmp: &IcmpSeen) -> bool {
    let quoted = case.call.message(icmp.message);
    if case.call.outcome != Outcome::Answered || is_harmless(case.call, quoted) {
        return false;
    }
    let is_success = |heard: &Heard| heard.message.status().is_some_and(StatusCode::is_success);
    if had_come_before(case, quoted, icmp) {
        return false;
    }
    let is_invite = case.call.transaction(quoted.transaction).is_initial_invite();
    if is_success(quoted) && is_invite {
        return case.acks_to(quoted).next().is_none();
    }
    let accepted = || case.asked(&Method::Bye).any(|bye| case.finals(bye.transaction).any(is_success));
    quoted.message.method() == Some(&Method::Bye) && !accepted()
}

fn is_refusal(heard: &Heard) -> bool {
    heard.message.status().is_some_and(StatusCode::is_failure)
}

/// True if an earlier copy of a final response to an INVITE had been delivered: its receiver sent an ACK for it, be it
/// one that the other side could not use.
fn had_come_before(case: &Case<'_>, quoted: &Heard, icmp: &IcmpSeen) -> bool {
    let number = |heard: &Heard| heard.message.cseq().map(|cseq| cseq.number);
    !quoted.message.is_request()
        && case.call.messages.iter().any(|heard| {
            heard.message.method() == Some(&Method::Ack)
                && heard.path.source.ip() == quoted.path.destination.ip()
                && heard.message.call_id() == quoted.message.call_id()
                && number(heard) == number(quoted)
                && quoted.place < heard.place
                && heard.place < icmp.place
        })
}

/// True if what was not delivered is of no use any more: a copy of what its receiver had, or part of the end of a call
/// that both sides have ended.
fn is_harmless(call: &Call, quoted: &Heard) -> bool {
    let transaction = call.transaction(quoted.transaction);
    let answered = quoted.message.is_request() && !transaction.finals.is_empty();
    // A BYE on its way over several hops is one and the same.
    let number = |heard: &Heard| (heard.message.cseq().cloned(), from_tag(heard).map(Cow::into_owned));
    let over = call
        .dialogs
        .iter()
        .filter_map(|dialog| dialog.bye)
        .map(|bye| call.message(bye))
        .any(|bye| bye.place < quoted.place && !(quoted.message.is_request() && number(bye) == number(quoted)));
    answered || over
}

/// True if what was not delivered is the INVITE of a call that was answered at another address (RFC 3263 §4.3).
fn went_elsewhere(call: &Call, quoted: &Heard) -> bool {
    let transaction = call.transaction(quoted.transaction);
    call.outcome == Outcome::Answered && quoted.message.method() == Some(&Method::Invite) && !transaction.in_dialog
}

fn label(quoted: &Heard) -> String {
    match (quoted.message.method(), quoted.message.status()) {
        (Some(method), _) => method.to_string(),
        (None, Some(status)) => format!("{status} response"),
        _ => "message".into(),
    }
}

fn prove(finding: Finding, icmp: &IcmpSeen, quoted: &Heard) -> Finding {
    let finding = match (quoted.message.is_request(), quoted.message.status().map(StatusCode::get)) {
        (false, Some(_)) => finding.claim_status(quoted, "the response that was not delivered"),
        _ => finding.claim_method(quoted, "the request that was not delivered"),
    };
    let finding = finding
        .claim_icmp(icmp.place, icmp.what, "it was not delivered", icmp_name(icmp.what))
        .refuted("next-hop-silent", "the ICMP error is an answer: the packet was not lost without a word");
    match icmp.what.meaning() {
        Undelivered::TooBig => finding,
        _ => finding.refuted("large-request-lost", "the error is not \"fragmentation needed\""),
    }
}
