use std::net::{IpAddr, SocketAddr};

use crate::call::{ClosedPort, Heard};
use crate::diagnosis::media::ENOUGH;
use crate::diagnosis::rule::rule;
use crate::diagnosis::{Case, Confidence, Finding, Role};
use crate::sip::sdp::{Media, Sdp};

rule! {
    /// Nothing listens on the port that was agreed on for the media.
    ///
    /// ## What it says
    /// Media was sent to the address and port that one side named, and that host answered that nothing listens there.
    ///
    /// ## Why it happens
    /// The media part of that system is not running or uses another port, or its local firewall rejects the packets.
    ///
    /// ## Evidence
    /// An ICMP port unreachable that quotes a packet to the media address and port of the call, while the call was up.
    ///
    /// ## How to fix
    /// Look at the media server, and at the local firewall, of the host that reports.
    ///
    /// ## When it would be wrong
    /// An error after the BYE is the normal end: one side had closed its port already. And where media come from that very
    /// port after a first few errors, it was opened a moment late.
    ///
    /// ## References
    /// RFC 792; RFC 4443 §3.1; RFC 3264 §5.1
    "H11" "media-port-closed" needs [ANSWERED BODY], check
}

fn check(case: &Case<'_>) -> Option<Finding> {
    let (invite, success) = case.answer()?;
    let request = case.call.request_of(invite)?;
    let until = case.first_bye().map_or(case.call.until, |bye| bye.request.place.time);
    let (owner, media, port, closed) = [success, request]
        .into_iter()
        .find_map(|owner| closed_port_of(case, owner, success.place.time, until))?;
    let protocol = if closed.version6 { "icmpv6" } else { "icmp" };
    let (kind, code) = if closed.version6 { ("1", "4") } else { ("3", "3") };
    let times = if closed.count > 1 { format!(" ({} times)", closed.count) } else { String::new() };
    Some(
        Finding::of(&RULE, Confidence::Proven)
            .explains(success.message.status())
            .party(if owner.id == success.id { Role::Uas } else { Role::Uac }, Some(port))
            .because(format!(
                "{} named {port} for the {}, and {} answered media to it with ICMP port unreachable{times}: nothing listens \
                 there.",
                owner.path.source, media.kind, closed.reporter
            ))
            .fix(format!("Look at the media part and the local firewall of {}: why is {port} closed?", port.ip()))
            .claim(owner, "sdp.media", media.line, "the port that was named for the media")
            .claim_at(closed.place, &format!("{protocol}.type"), kind, "destination unreachable")
            .claim_at(closed.place, &format!("{protocol}.code"), code, "nothing listens on this port")
            .refuted("one-way-media", "the ICMP error says what happens to the media")
            .refuted("media-address-differs", "the media went to the address that was named"),
    )
}

/// True if media went on coming from that port for long after the errors: it was opened a moment later than the first
/// packets came. A host that keeps it closed sends an error every second or so (RFC 1812 §4.3.2.8).
fn has_opened(case: &Case<'_>, port: SocketAddr, closed: &ClosedPort) -> bool {
    case.surroundings.media().from(port).any(|stream| {
        let after = stream.last.time.since(closed.place.time);
        stream.packets >= ENOUGH && stream.last.time > closed.place.time && closed.count < after.as_secs()
    })
}

/// The first medium of a description whose port was reported closed between two moments.
fn closed_port_of<'a>(
    case: &Case<'a>,
    owner: &'a Heard,
    from: crate::capture::Timestamp,
    until: crate::capture::Timestamp,
) -> Option<(&'a Heard, Media, SocketAddr, ClosedPort)> {
    let sdp = Sdp::of(&owner.message)?;
    sdp.media.iter().filter(|media| media.port != 0).find_map(|media| {
        let address: IpAddr = sdp.address_of(media).parse().ok()?;
        let port = SocketAddr::new(address, media.port);
        let closed = case.surroundings.closed_port(port, from, until)?;
        if has_opened(case, port, closed) {
            return None;
        }
        Some((owner, media.clone(), port, *closed))
    })
}
