use std::net::SocketAddr;

use crate::call::{Heard, IcmpSeen, Transaction};
use crate::diagnosis::case::Case;
use crate::diagnosis::case::ENOUGH_REPEATS;
use crate::diagnosis::rule::rule;
use crate::diagnosis::targets::{DEFAULT_PORT, FirstHop, RECORD_ROUTE, Unheard, address};
use crate::diagnosis::words::layer;
use crate::diagnosis::{Confidence, Finding, Role};
use crate::net::Undelivered;
use crate::sip::{Method, NameAddr, Uri};

rule! {
    /// The Contact or Record-Route names a port or transport on which the peer does not listen.
    ///
    /// ## What it says
    /// The peer speaks from one port and transport, and its Contact names another one at the same host. The requests of
    /// the dialog go where the Contact says, and nobody hears them there. Or the peer is a proxy that stays in the path
    /// and names another port of its own in Record-Route.
    ///
    /// ## Why it happens
    /// The peer writes a default port, the port of another profile, or `transport=tcp` into Contact; or a NAT or ALG
    /// changed the port of the packets and not the one in the message. A proxy writes into Record-Route the address
    /// that it is told to advertise, or that of another of its sockets.
    ///
    /// ## Evidence
    /// A Contact with the address of the packet and another port or transport, or a Record-Route with it that is the
    /// first hop; an ACK or another request of the dialog that went there; and a 2xx that is repeated on and on, or no
    /// answer, an ICMP error, or a refused connection. Where a proxy may have lost the request behind that port,
    /// because no error tells, it is likely, and no more; it is not said where something came from that port, or the
    /// proxy sent the request on. Of a Contact that came over TCP or TLS and asks for UDP, because it names no
    /// transport, an ICMP port unreachable tells.
    ///
    /// ## How to fix
    /// Let the peer write the port and transport into Contact or Record-Route on which it listens. Behind a NAT, let
    /// the server use the source of the packets instead (`fix_nated_contact`, `rewrite_contact`).
    ///
    /// ## When it would be wrong
    /// A peer may send from one port and listen on another, as with TCP; then its requests are answered.
    ///
    /// ## References
    /// RFC 3261 §12.2.1.1, §16.6, §18.2.1, §20.10, §8.1.1.8; RFC 3263 §4.1
    "B14" "contact-transport-wrong" needs [DIALOG], check
}

/// A request that followed a wrong Contact or Record-Route, and what shows that it did not arrive.
struct Lost<'a> {
    owner: &'a Heard,
    /// What the owner names.
    hop: FirstHop,
    request: Option<&'a Heard>,
    target: SocketAddr,
    why: String,
    ends_the_call: Ended,
    sure: Confidence,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Ended {
    Yes,
    No,
}

impl Ended {
    fn when(ends: bool) -> Ended {
        if ends { Ended::Yes } else { Ended::No }
    }
}

fn check(case: &Case<'_>) -> Option<Finding> {
    let lost = lost_ack(case).or_else(|| lost_connection(case)).or_else(|| lost_request(case))?;
    let header = lost.hop.header;
    let finding = Finding::of(&RULE, lost.sure).explains(case.call.final_status);
    let finding = match lost.ends_the_call {
        Ended::Yes => finding.drops_the_call(),
        Ended::No => finding,
    };
    let finding = lost.blamed(finding).because(lost.explanation());
    let finding = lost.steps().into_iter().fold(finding, Finding::fix);
    Some(
        lost.prove(finding)
            .refuted("contact-unreachable", format!("the {header} names the host from which the peer speaks"))
            .refuted("in-dialog-request-misrouted", format!("the request went where the {header} says")),
    )
}

impl Lost<'_> {
    /// The finding with who names it. Software is told only of who wrote the message.
    fn blamed(&self, finding: Finding) -> Finding {
        let owner = self.owner;
        match owner.message.is_request() {
            _ if self.hop.is_of_proxy() => finding.party(Role::Proxy, Some(owner.path.source)),
            true => finding.sender(Role::Uac, owner),
            false => finding.sender(Role::Uas, owner),
        }
    }

    fn explanation(&self) -> String {
        let (owner, header) = (self.owner, self.hop.header);
        let sent = match self.request {
            Some(request) => format!(
                "{} sent its {} there",
                request.path.source,
                request.message.method().map(|method| method.name().to_owned()).unwrap_or_default()
            ),
            None => format!("{} tried to connect there", owner.path.destination),
        };
        let named = self.hop.uri.parameters.get("transport").map(|name| format!(" over {}", name.to_uppercase()));
        let is_stream = owner.path.transport.is_reliable();
        let transport = named.or_else(|| is_stream.then(|| " without a transport, which asks for UDP".to_owned()));
        format!(
            "{} speaks from there over {}, and its {header} names {}{}. {sent}, as it must, and did not get through: \
             {}.",
            owner.path.source,
            owner.path.transport,
            self.target,
            transport.unwrap_or_default(),
            self.why
        )
    }

    /// What to do, most likely first.
    fn steps(&self) -> Vec<String> {
        let (source, header) = (self.owner.path.source, self.hop.header);
        let mut steps = vec![format!("Let {source} write the port and transport into {header} on which it listens.")];
        if !self.hop.is_of_proxy() {
            steps.push(
                "If a NAT changed the port, let the server go by the source of the packets (rport, \
                 `fix_nated_contact`, `rewrite_contact`)."
                    .to_owned(),
            );
        }
        if self.sure != Confidence::Proven {
            steps.push(format!(
                "If it does listen at {}, let what filters before it pass SIP to that port, and see there what it \
                 does with the request.",
                self.target
            ));
        }
        steps
    }

    fn prove(&self, finding: Finding) -> Finding {
        let (owner, header, wanted) = (self.owner, self.hop.header, "where the requests of the dialog have to go");
        let finding = match self.hop.is_of_proxy() {
            true => finding.claim_header_with(owner, header, &self.hop.text, wanted),
            false => finding.claim_header(owner, header, wanted),
        };
        let port = owner.path.source.port().to_string();
        let finding = finding.claim(owner, &format!("{}.srcport", layer(owner)), port, "where the peer speaks from");
        match self.request {
            Some(request) => finding.claim(
                request,
                &format!("{}.dstport", layer(request)),
                request.path.destination.port().to_string(),
                format!("the request went where the {header} says"),
            ),
            None => finding,
        }
    }
}

/// The address that a Contact names, if its host is that of the packet and its port or transport is not.
fn wrong_target(owner: &Heard) -> Option<SocketAddr> {
    if owner.message.is_cut() || owner.message.via_count() > 1 || !owner.message.headers(RECORD_ROUTE).is_empty() {
        return None;
    }
    other_target(owner)
}

/// The same, whatever lies between the two.
fn other_target(owner: &Heard) -> Option<SocketAddr> {
    elsewhere(owner, &FirstHop::contact_of(owner)?.uri)
}

/// What the proxy next to the receiver of a message wrote into Record-Route, and the address that it names, if its host
/// is that of the packet and its port or transport is not.
fn wrong_record(owner: &Heard) -> Option<(FirstHop, SocketAddr)> {
    let hop = FirstHop::named_in(owner).filter(FirstHop::is_of_proxy)?;
    let target = elsewhere(owner, &hop.uri)?;
    Some((hop, target))
}

/// The same, if a request went there by its Route, and nothing but an error shows that anybody is there.
fn followed_record(case: &Case<'_>, owner: &Heard, request: &Heard) -> Option<(FirstHop, SocketAddr)> {
    let (hop, target) = wrong_record(owner)?;
    let went_there = hop.is_followed_by(request) && request.path.destination == target;
    let is_open = icmp_of(case, request).is_none() && is_heard_at(case, target, request);
    (went_there && !is_open).then_some((hop, target))
}

/// True if something came from that port, or its host sent the request on.
fn is_heard_at(case: &Case<'_>, target: SocketAddr, request: &Heard) -> bool {
    let is_sent_on = |heard: &Heard| {
        heard.path.source.ip() == target.ip()
            && heard.path.destination.ip() != request.path.source.ip()
            && heard.message.method() == request.message.method()
            && heard.place > request.place
    };
    case.call.messages.iter().any(|heard| heard.path.source == target || is_sent_on(heard))
}

/// True if a request that went to a socket was answered from its host: who sends from one port may take what comes on
/// another.
fn takes_requests_at(case: &Case<'_>, target: SocketAddr) -> bool {
    let has_taken = |known: &&Transaction| {
        let mut answers = case.provisionals(known).chain(case.finals(known));
        known.path.destination == target && answers.any(|answer| answer.path.source.ip() == target.ip())
    };
    case.call.transactions.iter().any(|known| has_taken(&known))
}

/// The address that a URI names, if its host is that of the packet and its port or transport is not.
fn elsewhere(owner: &Heard, uri: &Uri) -> Option<SocketAddr> {
    let host = address(uri)?;
    let is_secure =
        uri.scheme == "sips" || uri.parameters.get("transport").is_some_and(|name| name.eq_ignore_ascii_case("tls"));
    let port = uri.port.unwrap_or(if is_secure { 5061 } else { DEFAULT_PORT });
    let transport = uri.parameters.get("transport").unwrap_or("udp").to_ascii_lowercase();
    let over_stream = owner.path.transport.is_reliable();
    let other_transport = !over_stream && matches!(transport.as_str(), "tcp" | "tls");
    let other_port = !over_stream && port != owner.path.source.port();
    (host == owner.path.source.ip() && (other_transport || other_port)).then_some(SocketAddr::new(host, port))
}

/// Where a Contact that came over a stream asks for UDP, as one without a transport does (RFC 3263 §4.1), if an error
/// says that nothing listens there. Without the error nothing tells that one who speaks TCP does not take UDP as well.
fn datagram_target(owner: &Heard, icmp: &IcmpSeen) -> Option<SocketAddr> {
    let uri = FirstHop::contact_of(owner)?.uri;
    let named = uri.parameters.get("transport");
    let is_udp = uri.scheme != "sips" && named.is_none_or(|name| name.eq_ignore_ascii_case("udp"));
    let is_closed = icmp.what.meaning() == Undelivered::PortUnreachable && !icmp.quoted.transport.is_reliable();
    let target = SocketAddr::new(address(&uri)?, uri.port.unwrap_or(DEFAULT_PORT));
    let is_own = target.ip() == owner.path.source.ip() && target == icmp.quoted.destination;
    (owner.path.transport.is_reliable() && is_udp && is_closed && is_own).then_some(target)
}

/// The ICMP error that quotes a request.
fn icmp_of<'a>(case: &Case<'a>, request: &Heard) -> Option<&'a IcmpSeen> {
    case.call.icmp.iter().find(|icmp| icmp.message == request.id)
}

/// An ACK that followed a wrong Contact or Record-Route, and a 2xx that is repeated all the same.
fn lost_ack<'a>(case: &Case<'a>) -> Option<Lost<'a>> {
    let unheard = case.unheard_ack()?;
    let Unheard { success, ack, .. } = unheard;
    let icmp = icmp_of(case, ack);
    let by_record = || followed_record(case, success, ack).map(|(hop, target)| (success, hop, target));
    let (owner, hop, target) = ack_to_contact(case, &unheard, icmp).or_else(by_record)?;
    let why = match icmp {
        Some(icmp) => format!("{} answered with an ICMP error", icmp.reporter),
        None => format!("the 2xx was repeated {} times", success.repeated),
    };
    let ends_the_call = Ended::when(case.was_given_up(success));
    let sure = if hop.is_of_proxy() && icmp.is_none() { Confidence::Likely } else { Confidence::Proven };
    Some(Lost { owner, hop, request: Some(ack), target, why, ends_the_call, sure })
}

/// Whose Contact the ACK followed, and where to.
fn ack_to_contact<'a>(
    case: &Case<'a>,
    unheard: &Unheard<'a>,
    icmp: Option<&IcmpSeen>,
) -> Option<(&'a Heard, FirstHop, SocketAddr)> {
    let success = unheard.success;
    // An error shows that the ACK went there and found nothing, be it sent by the last of several proxies, or past one
    // that did not stay in the path.
    let (owner, target) = match icmp {
        Some(icmp) => {
            let by_error = |owner| other_target(owner).or_else(|| datagram_target(owner, icmp));
            [success, case.as_written(success)].into_iter().find_map(|owner| Some((owner, by_error(owner)?)))?
        }
        None => (success, wrong_target(success).filter(|target| !takes_requests_at(case, *target))?),
    };
    let hop = FirstHop::contact_of(owner)?;
    (unheard.ack.path.destination == target).then_some((owner, hop, target))
}

/// A connection to the first hop or the Contact that a 2xx names which did not come about, so that there is no ACK at
/// all.
fn lost_connection<'a>(case: &Case<'a>) -> Option<Lost<'a>> {
    let waiting = case
        .answers()
        .filter(|(_, success)| success.repeated >= ENOUGH_REPEATS && case.acks_to(success).next().is_none());
    let (owner, hop, target) = waiting.map(|(_, success)| success).find_map(|success| {
        let by_contact = || Some((FirstHop::contact_of(success)?, wrong_target(success)?));
        let (hop, target) = by_contact().or_else(|| wrong_record(success))?;
        let failed = case.surroundings.failed_connections().of_client(success.path.destination.ip());
        failed.iter().find(|failed| failed.server == target && failed.asked.time >= success.place.time)?;
        Some((success, hop, target))
    })?;
    let why = "the connection failed".to_owned();
    let ends_the_call = Ended::when(case.was_given_up(owner));
    Some(Lost { owner, hop, request: None, target, why, ends_the_call, sure: Confidence::Proven })
}

/// Another request of a dialog that followed a wrong Contact or Record-Route and got no answer.
fn lost_request<'a>(case: &Case<'a>) -> Option<Lost<'a>> {
    let silent = case.call.transactions.iter().filter(|known| known.in_dialog && !case.has_response(known));
    silent.filter_map(|known| case.call.request_of(known)).find_map(|request| {
        let icmp = icmp_of(case, request);
        let is_ack = request.message.method() == Some(&Method::Ack);
        let is_lost = icmp.is_some()
            || (request.repeated >= ENOUGH_REPEATS && case.absence_of_answer(request) != Confidence::Unseen);
        let is_open = icmp.is_none() && takes_requests_at(case, request.path.destination);
        if is_ack || !is_lost || is_open || !is_why_it_ended(case, request) || was_there(case, request) {
            return None;
        }
        let (owner, hop, target) = to_contact(case, request, icmp).or_else(|| to_record(case, request))?;
        let why = match icmp {
            Some(icmp) => format!("{} answered with an ICMP error", icmp.reporter),
            None => format!("no answer to {} copies", request.repeated + 1),
        };
        let ends_the_call = Ended::when(request.message.method() == Some(&Method::Bye));
        // One before it that the capture lacks may have got through.
        let is_unsure = hop.is_of_proxy() && icmp.is_none() || case.lacks_requests_before(request);
        let sure = if is_unsure { Confidence::Likely } else { Confidence::Proven };
        Some(Lost { owner, hop, request: Some(request), target, why, ends_the_call, sure })
    })
}

/// True if something had come from where a request went: what it followed was right then.
fn was_there(case: &Case<'_>, request: &Heard) -> bool {
    let mut before = case.call.messages.iter().take_while(|heard| heard.id < request.id);
    before.any(|heard| heard.path.source == request.path.destination)
}

/// True if the loss of a request may be why the call ended as it did: of one that was not answered only a PRACK is,
/// where the callee's side gives up for want of it (RFC 3262 §3); a BYE ends what was begun.
fn is_why_it_ended(case: &Case<'_>, request: &Heard) -> bool {
    let gave_up = || case.call.final_status.is_none_or(|status| (500..600).contains(&status.get()));
    match request.message.method() {
        Some(Method::Bye) => true,
        Some(Method::Prack) => case.call.is_answered() || gave_up(),
        _ => case.call.is_answered(),
    }
}

/// The message whose wrong Contact a request followed, and where to.
fn to_contact<'a>(
    case: &Case<'a>,
    request: &Heard,
    icmp: Option<&IcmpSeen>,
) -> Option<(&'a Heard, FirstHop, SocketAddr)> {
    let named = Uri::read(&request.message.request_uri()?);
    let owner = case.call.messages.iter().rev().find(|heard| {
        heard.id < request.id
            && heard.path.source.ip() == request.path.destination.ip()
            && heard.message.contact().is_some_and(|contact: NameAddr| contact.parsed().is_same_target(&named))
    })?;
    let target = wrong_target(owner).or_else(|| datagram_target(owner, icmp?));
    let target = target.filter(|target| *target == request.path.destination)?;
    Some((owner, FirstHop::contact_of(owner)?, target))
}

/// The message whose wrong Record-Route a request followed, and where to. What is sent inside a dialog does not change
/// its route (RFC 3261 §12.2).
fn to_record<'a>(case: &Case<'a>, request: &Heard) -> Option<(&'a Heard, FirstHop, SocketAddr)> {
    let opens_dialog = |heard: &&Heard| {
        heard.id < request.id
            && heard.message.call_id() == request.message.call_id()
            && heard.path.source.ip() == request.path.destination.ip()
            && heard.path.destination.ip() == request.path.source.ip()
            && !case.call.transaction(heard.transaction).in_dialog
    };
    let mut opening = case.call.messages.iter().filter(opens_dialog);
    opening.find_map(|owner| followed_record(case, owner, request).map(|(hop, target)| (owner, hop, target)))
}
