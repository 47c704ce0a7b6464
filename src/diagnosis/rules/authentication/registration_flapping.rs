use std::collections::BTreeSet;
use std::time::Duration;

use crate::call::{Asked, Granted, Kind, Registered};
use crate::diagnosis::rule::rule;
use crate::diagnosis::words::length;
use crate::diagnosis::{CaptureCase, Case, Confidence, Finding, Role, Severity};

rule! {
    /// A device registers from another address again and again.
    ///
    /// ## What it says
    /// The address of one device changes more often than its registration is renewed, so calls go to old addresses.
    ///
    /// ## Why it happens
    /// A NAT gives it a new port each time, the device restarts or roams, or two devices use one identity.
    ///
    /// ## Evidence
    /// Three or more changes of Contact or of the source address of one device within the time that is granted; or it
    /// is registered and signed off three times and more within that time.
    ///
    /// ## How to fix
    /// Keep the NAT binding open with keep-alives; give each device an account or an instance of its own.
    ///
    /// ## When it would be wrong
    /// Several devices with instances of their own, each at a steady address.
    ///
    /// ## References
    /// RFC 3261 §10.2; RFC 5626 §4
    "A13" "registration-flapping" needs [REGISTRATION], check, capture of_capture
}

/// Changes from which on it is flapping.
const MANY: usize = 3;

fn check(case: &Case<'_>) -> Option<Finding> {
    if case.call.kind != Kind::Registration {
        return None;
    }
    let request = case.call.request_of(case.deciding()?)?;
    let address = request.message.to()?.parsed();
    let known = case.surroundings.registrations().of(address.bare_user(), &address.host)?;
    let device = known.asked.iter().find(|asked| asked.place == request.place)?.device;
    let name = format!("{}@{}", address.bare_user(), address.host);
    flapping(&name, known, device).or_else(|| nameless(&name, known)).or_else(|| cycles(&name, known))
}

/// The same of the whole capture: each registration by itself may be good.
fn of_capture(case: &CaptureCase<'_>) -> Option<Finding> {
    // So many changes are between more REGISTERs than that, and nearly every address has few.
    let has_enough = |known: &Registered| known.asked.len().max(known.granted.len()) > MANY;
    let mut registered = case.surroundings.registrations().iter().filter(|(_, known)| has_enough(known));
    registered.find_map(|(address, known)| {
        let devices: BTreeSet<u64> = known.asked.iter().map(|asked| asked.device).collect();
        devices
            .into_iter()
            .find_map(|device| flapping(address, known, device))
            .or_else(|| nameless(address, known))
            .or_else(|| cycles(address, known))
    })
}

/// An address-of-record that is registered and signed off again and again.
fn cycles(address: &str, known: &Registered) -> Option<Finding> {
    let interval = |granted: &Granted| granted.until.since(granted.place.time);
    let is_off = |granted: &Granted| interval(granted).is_zero();
    let granted = known.granted.iter().map(interval).max()?;
    let ends: Vec<&Granted> =
        known.granted.windows(2).filter(|pair| !is_off(&pair[0]) && is_off(&pair[1])).map(|pair| &pair[1]).collect();
    let span = ends.last()?.place.time.since(known.granted.first()?.place.time);
    if ends.len() < MANY || span > granted {
        return None;
    }
    let source = known.asked.last().map(|asked| asked.source);
    let finding = Finding::of(&RULE, Confidence::Likely)
        .severity(Severity::Warning)
        .party(Role::Uac, source)
        .naming([address])
        .because(format!(
            "{address} was registered and signed off again {} times in {}, while {} are granted: a device that \
             restarts, loses its network, or shares the account with another one.",
            ends.len(),
            length(span),
            length(granted)
        ))
        .fix("Look whether the device restarts or changes networks, and whether another one uses the same account.");
    Some(
        ends.into_iter().take(4).fold(finding, |finding, end| {
            finding.claim_at(end.place, "sip.CSeq.method", "REGISTER", "no binding is left")
        }),
    )
}

/// Devices that start together register within moments: what registers from yet another port later on is one that does
/// so again.
const APART: Duration = Duration::from_secs(5);

/// A device that names no instance and begins a new Call-ID each time, as after a restart: from one host each time, and
/// no earlier Call-ID comes again.
fn nameless(address: &str, known: &Registered) -> Option<Finding> {
    let asked: Vec<&Asked> = known.asked.iter().filter(|asked| asked.is_over_udp()).collect();
    let host = asked.first()?.source.ip();
    let mut devices: Vec<u64> = asked.iter().map(|asked| asked.device).collect();
    devices.dedup();
    let distinct: BTreeSet<&u64> = devices.iter().collect();
    let in_turn = distinct.len() == devices.len();
    let changes: Vec<&[&Asked]> = asked
        .windows(2)
        .filter(|pair| pair[0].source != pair[1].source && pair[0].contact != pair[1].contact)
        .collect();
    let apart = changes.iter().all(|pair| pair[1].place.time.since(pair[0].place.time) >= APART);
    let one_host = asked.iter().all(|asked| asked.source.ip() == host && !asked.has_instance);
    if !in_turn || !one_host || !apart {
        return None;
    }
    told(address, known, &changes)
}

/// What is found of one device of an address-of-record.
fn flapping(address: &str, known: &Registered, device: u64) -> Option<Finding> {
    let mut of_device: Vec<&Asked> =
        known.asked.iter().filter(|asked| asked.device == device && asked.is_over_udp()).collect();
    // A proxy passes a REGISTER on, and a NAT rewrites its source: on the hop that was seen first it is the device's.
    let mut numbers = Vec::new();
    of_device.retain(|asked| {
        let is_new = !numbers.contains(&asked.cseq);
        numbers.push(asked.cseq);
        is_new
    });
    let is_change = |pair: &&[&Asked]| pair[0].source != pair[1].source || pair[0].contact != pair[1].contact;
    let changes: Vec<&[&Asked]> = of_device.windows(2).filter(is_change).collect();
    told(address, known, &changes)
}

/// Changes of place that are too many for the time that is granted.
fn told(address: &str, known: &Registered, changes: &[&[&Asked]]) -> Option<Finding> {
    let granted = known.granted.iter().map(|granted| granted.until.since(granted.place.time)).max()?;
    let (first, last) = (changes.first()?[0], changes.last()?[1]);
    let span = last.place.time.since(first.place.time);
    if changes.len() < MANY || span > granted {
        return None;
    }
    let moves = changes.iter().filter(|pair| pair[0].source.ip() != pair[1].source.ip()).count();
    let what = match moves {
        0 => "only a port changes, as with a NAT that forgets its binding, or with a device that restarts",
        _ => "its address changes, as a device that roams, restarts, or shares its identity with another one",
    };
    let because = format!(
        "The device of {address} registered from another place {} times in {}, while {} are granted: {what}.",
        changes.len(),
        length(span),
        length(granted)
    );
    let finding = Finding::of(&RULE, Confidence::Likely)
        .severity(Severity::Warning)
        .party(Role::Uac, Some(last.source))
        .naming([address])
        .because(because);
    let finding = match moves {
        0 => {
            finding.fix("Send keep-alives more often than the NAT forgets (every 25 s over UDP), or register over TCP.")
        }
        _ => finding.fix(
            "Look whether two devices use the same account and the same +sip.instance, or whether the device restarts.",
        ),
    };
    let pairs = changes.iter().take(4).map(|pair| pair[1]);
    Some(pairs.fold(finding, |finding, asked| {
        let says = format!("a REGISTER from {} with the Contact {}", asked.source, asked.contact);
        finding.claim_at(asked.place, "sip.Method", "REGISTER", says)
    }))
}
