use std::net::SocketAddr;
use std::time::Duration;

use crate::call::{Asked, Heard};
use crate::diagnosis::rule::rule;
use crate::diagnosis::rules::dialog::bye_unanswered::silent_bye;
use crate::diagnosis::rules::reachability::next_hop_silent::unanswered;
use crate::diagnosis::words::{capture_at, length};
use crate::diagnosis::{Case, Confidence, Finding, Role};
use crate::sip::Method;

rule! {
    /// The NAT has forgotten the way to the device.
    ///
    /// ## What it says
    /// A request went to the address and port from which the device had registered, and nothing came back. Later the
    /// device registered from another port: the NAT had closed the old one in between.
    ///
    /// ## Why it happens
    /// The device, or its registrar, sends keep-alives less often than the NAT forgets. Over UDP many forget after 30
    /// to 120 seconds.
    ///
    /// ## Evidence
    /// A request, or the BYE of a call, without any answer to a registered address; nothing from the device for longer
    /// than 30 s before it; and its next REGISTER from another port.
    ///
    /// ## How to fix
    /// Send keep-alives every 25 s (CRLF, STUN or OPTIONS, from either side), shorten the registration, or register
    /// over TCP.
    ///
    /// ## When it would be wrong
    /// If the device was switched off or changed its network in between; then its address usually changes too.
    ///
    /// ## References
    /// RFC 4787 §4.3; RFC 5626 §4.4
    "B13" "nat-binding-expired" needs [UNANSWERED REPEATED], check
}

/// A NAT keeps a binding of UDP for longer than this (RFC 5626 §4.4.2 sends keep-alives as often).
const KEPT: Duration = Duration::from_secs(30);

fn check(case: &Case<'_>) -> Option<Finding> {
    let first = unanswered(case);
    let request = first.or_else(|| unanswered_bye(case))?;
    let target = request.path.destination;
    if request.path.transport.is_reliable() || !case.surroundings.registrations().came_from(target) {
        return None;
    }
    let moved = case.surroundings.registrations().in_any_order().filter_map(|(address, known)| {
        let before = known.asked.iter().rev().find(|asked| asked.source == target && asked.place < request.place)?;
        let after = known
            .asked
            .iter()
            .find(|asked| asked.place > request.place && asked.source != target && is_same_device(asked, before))?;
        Some((address, before, after))
    });
    let (address, before, after) = moved.min_by_key(|(address, ..)| *address)?;
    // What it sent in this call kept the port open after that.
    let is_of_device = |heard: &&Heard| heard.path.source == target && heard.place < request.place;
    let heard = case.call.messages.iter().filter(is_of_device).map(Heard::last_place).max();
    let heard = heard.filter(|heard| *heard > before.place);
    let quiet = request.place.time.since(heard.unwrap_or(before.place).time);
    let since = crate::capture::Timestamp(request.place.time.0.saturating_sub(KEPT.as_nanos() as i64));
    // What comes from an address that several share may be of any of them.
    let hop =
        case.surroundings.hop(target.ip(), request.path.source.ip()).filter(|_| !is_shared(case, target, address));
    let was_heard = hop.is_some_and(|seen| seen.within(since, request.place.time));
    if quiet < KEPT || was_heard || was_unregistered(case, before, request.place) {
        return None;
    }
    let finding = Finding::of(&RULE, Confidence::Likely);
    let finding = match first {
        Some(_) => finding.explains(case.outer_failure().map(|failure| failure.status)),
        None => finding.explains(case.call.final_status).drops_the_call(),
    };
    let quiet = length(quiet);
    let silent = match heard {
        Some(_) => format!("The device at {target} was heard for the last time {quiet} before."),
        None => format!("The device had registered from {target} {quiet} before, and was not heard since."),
    };
    Some(told(finding, &silent, request, [before, after]))
}

/// The finding with what shows that the NAT has closed the port between two REGISTERs.
fn told(finding: Finding, silent: &str, request: &Heard, [before, after]: [&Asked; 2]) -> Finding {
    let target = request.path.destination;
    let what = if request.message.method() == Some(&Method::Bye) { "BYE" } else { "request" };
    finding
        .party(Role::Network, Some(target))
        .because(format!(
            "{silent} The {what} to {target} got no answer ({} copies), and then the device registered from {}: the \
             NAT had closed the old port.",
            request.repeated + 1,
            after.source
        ))
        .fix("Let the device send keep-alives every 25 s (CRLF, STUN), or the server OPTIONS to it.")
        .fix("Or shorten the registration, or let the device register over TCP.")
        .claim_at(before.place, "udp.srcport", target.port().to_string(), "the port from which the device registered")
        .claim_method(request, "the request to that port")
        .claim_absent(request.place, format!("any response from {target}"), "nothing came back")
        .claim_at(
            after.place,
            "udp.srcport",
            after.source.port().to_string(),
            "the next REGISTER comes from another port",
        )
        .refuted("next-hop-silent", "the device is alive: it registered again, from another port")
        .refuted("destination-unreachable", "no ICMP error quotes the request")
        .next_capture(capture_at(target.ip(), request.path))
}

/// The BYE to a device that got no answer, however long it waited.
fn unanswered_bye<'a>(case: &Case<'a>) -> Option<&'a Heard> {
    let bye = silent_bye(case)?.request;
    let is_told = case.call.icmp.iter().any(|icmp| icmp.message == bye.id);
    (!is_told && case.absence_of_answer(bye) != Confidence::Unseen).then_some(bye)
}

fn is_same_device(one: &Asked, other: &Asked) -> bool {
    one.device == other.device || one.source.ip() == other.source.ip()
}

/// True if others register from the address of a device, behind the same NAT.
fn is_shared(case: &Case<'_>, device: SocketAddr, address_of_record: &str) -> bool {
    let is_beside = |asked: &Asked| asked.source.ip() == device.ip() && asked.source != device;
    let mut others = case.surroundings.registrations().in_any_order().filter(|(other, _)| *other != address_of_record);
    others.any(|(_, known)| known.asked.iter().any(is_beside))
}

/// True if the device took its registration back itself before the request.
fn was_unregistered(case: &Case<'_>, before: &Asked, request: crate::capture::Place) -> bool {
    case.surroundings.registrations().in_any_order().any(|(_, known)| {
        known.asked.iter().any(|asked| asked.place == before.place)
            && known
                .granted
                .iter()
                .rfind(|granted| granted.place < request && granted.place > before.place)
                .is_some_and(|granted| granted.bindings.is_empty())
    })
}
