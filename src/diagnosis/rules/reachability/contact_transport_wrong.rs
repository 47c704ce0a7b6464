use std::net::SocketAddr;

use crate::call::Heard;
use crate::diagnosis::case::Case;
use crate::diagnosis::case::ENOUGH_REPEATS;
use crate::diagnosis::rule::rule;
use crate::diagnosis::targets::address;
use crate::diagnosis::words::layer;
use crate::diagnosis::{Confidence, Finding, Role};
use crate::sip::{NameAddr, Uri};

rule! {
    /// The Contact names a port or transport on which the peer does not listen.
    ///
    /// ## What it says
    /// The peer speaks from one port and transport, and its Contact names another one at the same host. The requests of
    /// the dialog go where the Contact says, and nobody hears them there.
    ///
    /// ## Why it happens
    /// The peer writes a default port, the port of another profile, or `transport=tcp` into Contact; or a NAT or ALG
    /// changed the port of the packets and not the one in the message.
    ///
    /// ## Evidence
    /// A Contact with the address of the packet and another port or transport; an ACK or another request of the dialog
    /// that went there; and a 2xx that is repeated on and on, or no answer, an ICMP error, or a refused connection.
    ///
    /// ## How to fix
    /// Let the peer write the port and transport into Contact on which it listens. Behind a NAT, let the server use the
    /// source of the packets instead (`fix_nated_contact`, `rewrite_contact`).
    ///
    /// ## When it would be wrong
    /// A peer may send from one port and listen on another, as with TCP; then its requests are answered.
    ///
    /// ## References
    /// RFC 3261 §12.2.1.1, §20.10, §8.1.1.8
    "B14" "contact-transport-wrong" needs [DIALOG], check
}

const CONTACT: &str = "Contact";

/// A request that followed a wrong Contact, and what shows that it did not arrive.
struct Lost<'a> {
    owner: &'a Heard,
    /// Where the owner names the target, and what stands there.
    header: &'static str,
    uri: Uri,
    request: Option<&'a Heard>,
    target: SocketAddr,
    why: String,
    ends_the_call: Ended,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Ended {
    Yes,
    No,
}

fn check(case: &Case<'_>) -> Option<Finding> {
    let lost = lost_ack(case).or_else(|| lost_connection(case)).or_else(|| lost_request(case))?;
    let owner = lost.owner;
    let source = owner.path.source;
    let sent = match lost.request {
        Some(request) => format!(
            "{} sent its {} there",
            request.path.source,
            request.message.method().map(|method| method.name().to_owned()).unwrap_or_default()
        ),
        None => format!("{} tried to connect there", owner.path.destination),
    };
    let header = lost.header;
    let transport = lost.uri.parameters.get("transport").map(|name| format!(" over {}", name.to_uppercase()));
    let finding = Finding::of(&RULE, Confidence::Proven);
    let finding = match lost.ends_the_call {
        Ended::Yes => finding.explains(case.call.final_status).drops_the_call(),
        Ended::No => finding.explains(case.call.final_status),
    };
    let is_request = owner.message.is_request();
    let mut finding = finding
        .sender(if is_request { Role::Uac } else { Role::Uas }, owner)
        .because(format!(
            "{source} speaks from there over {}, and its {header} names {}{}. {sent}, as it must, and did not get \
             through: {}.",
            owner.path.transport,
            lost.target,
            transport.unwrap_or_default(),
            lost.why
        ))
        .fix(format!("Let {source} write the port and transport into {header} on which it listens."));
    if header == CONTACT {
        finding = finding.fix(
            "If a NAT changed the port, let the server go by the source of the packets (rport, `fix_nated_contact`, \
             `rewrite_contact`).",
        );
    }
    let mut finding = finding.claim_header(owner, header, "where the requests of the dialog have to go").claim(
        owner,
        &format!("{}.srcport", layer(owner)),
        source.port().to_string(),
        "where the peer speaks from",
    );
    if let Some(request) = lost.request {
        finding = finding.claim(
            request,
            &format!("{}.dstport", layer(request)),
            request.path.destination.port().to_string(),
            "the request went where the Contact says",
        );
    }
    Some(
        finding
            .refuted("contact-unreachable", format!("the {header} names the host from which the peer speaks"))
            .refuted("in-dialog-request-misrouted", format!("the request went where the {header} says")),
    )
}

/// The address that a Contact names, if its host is that of the packet and its port or transport is not.
fn wrong_target(owner: &Heard) -> Option<SocketAddr> {
    if owner.message.is_cut() || owner.message.via_count() > 1 || !owner.message.headers("Record-Route").is_empty() {
        return None;
    }
    other_target(owner)
}

/// The same, whatever lies between the two.
fn other_target(owner: &Heard) -> Option<SocketAddr> {
    elsewhere(owner, &contact_of(owner)?)
}

fn contact_of(owner: &Heard) -> Option<Uri> {
    Some(owner.message.contact()?.parsed())
}

/// What the proxy next to the caller wrote into Record-Route: to the caller the last value is the first hop (RFC 3261
/// §12.1.2).
fn recorded_by(owner: &Heard) -> Option<Uri> {
    let last = owner.message.headers("Record-Route").pop()?;
    (!owner.message.is_cut()).then(|| NameAddr::read(&last).parsed())
}

/// The address that a URI names, if its host is that of the packet and its port or transport is not.
fn elsewhere(owner: &Heard, uri: &Uri) -> Option<SocketAddr> {
    let host = address(uri)?;
    let is_secure =
        uri.scheme == "sips" || uri.parameters.get("transport").is_some_and(|name| name.eq_ignore_ascii_case("tls"));
    let port = uri.port.unwrap_or(if is_secure { 5061 } else { 5060 });
    let transport = uri.parameters.get("transport").unwrap_or("udp").to_ascii_lowercase();
    let over_stream = owner.path.transport.is_reliable();
    let other_transport = !over_stream && matches!(transport.as_str(), "tcp" | "tls");
    let other_port = !over_stream && port != owner.path.source.port();
    (host == owner.path.source.ip() && (other_transport || other_port)).then_some(SocketAddr::new(host, port))
}

/// An ACK that followed a wrong Contact, and a 2xx that is repeated all the same.
fn lost_ack<'a>(case: &Case<'a>) -> Option<Lost<'a>> {
    let unheard = case.unheard_ack()?;
    let icmp = case.call.icmp.iter().find(|icmp| icmp.message == unheard.ack.id);
    // An error shows that the ACK went there and found nothing, be it sent by the last of several proxies, or past one
    // that did not stay in the path.
    let (owner, target) = match icmp {
        Some(_) => [unheard.success, case.as_written(unheard.success)]
            .into_iter()
            .find_map(|owner| Some((owner, other_target(owner)?)))?,
        None => (unheard.success, wrong_target(unheard.success)?),
    };
    if unheard.ack.path.destination != target {
        return None;
    }
    let why = match icmp {
        Some(icmp) => format!("{} answered with an ICMP error", icmp.reporter),
        None => format!("the 2xx was repeated {} times", unheard.success.repeated),
    };
    let ends_the_call = if case.was_given_up(unheard.success) { Ended::Yes } else { Ended::No };
    let request = Some(unheard.ack);
    Some(Lost { owner, header: CONTACT, uri: contact_of(owner)?, request, target, why, ends_the_call })
}

/// A connection to the first hop or the Contact that a 2xx names which did not come about, so that there is no ACK at
/// all.
fn lost_connection<'a>(case: &Case<'a>) -> Option<Lost<'a>> {
    let waiting = case
        .answers()
        .filter(|(_, success)| success.repeated >= ENOUGH_REPEATS && case.acks_to(success).next().is_none());
    let (success, header, uri, target) = waiting.map(|(_, success)| success).find_map(|success| {
        let by_contact = || Some((CONTACT, contact_of(success)?, wrong_target(success)?));
        let by_route = || {
            let uri = recorded_by(success)?;
            let target = elsewhere(success, &uri)?;
            Some(("Record-Route", uri, target))
        };
        let (header, uri, target) = by_contact().or_else(by_route)?;
        let failed = case.surroundings.failed_connections().of_client(success.path.destination.ip());
        failed.iter().find(|failed| failed.server == target && failed.asked.time >= success.place.time)?;
        Some((success, header, uri, target))
    })?;
    let why = "the connection failed".to_owned();
    let ends_the_call = if case.was_given_up(success) { Ended::Yes } else { Ended::No };
    Some(Lost { owner: success, header, uri, request: None, target, why, ends_the_call })
}

/// Another request of a dialog that followed a wrong Contact and got no answer.
fn lost_request<'a>(case: &Case<'a>) -> Option<Lost<'a>> {
    let silent = case.call.transactions.iter().filter(|known| known.in_dialog && !case.has_response(known));
    silent.filter_map(|known| case.call.request_of(known)).find_map(|request| {
        let is_told = case.call.icmp.iter().find(|icmp| icmp.message == request.id);
        let is_ack = request.message.method() == Some(&crate::sip::Method::Ack);
        let is_lost = is_told.is_some()
            || (request.repeated >= ENOUGH_REPEATS && case.absence_of_answer(request) != Confidence::Unseen);
        if is_ack || !is_lost {
            return None;
        }
        let named = Uri::read(&request.message.request_uri()?);
        let owner = case.call.messages.iter().rev().find(|heard| {
            heard.id < request.id
                && heard.path.source.ip() == request.path.destination.ip()
                && heard.message.contact().is_some_and(|contact: NameAddr| contact.parsed().is_same_target(&named))
        })?;
        let target = wrong_target(owner).filter(|target| *target == request.path.destination)?;
        let why = match is_told {
            Some(icmp) => format!("{} answered with an ICMP error", icmp.reporter),
            None => format!("no answer to {} copies", request.repeated + 1),
        };
        let is_bye = request.message.method() == Some(&crate::sip::Method::Bye);
        let ends_the_call = if is_bye { Ended::Yes } else { Ended::No };
        Some(Lost {
            owner,
            header: CONTACT,
            uri: contact_of(owner)?,
            request: Some(request),
            target,
            why,
            ends_the_call,
        })
    })
}
