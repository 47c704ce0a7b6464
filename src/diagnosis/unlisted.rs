//! A device of the callee to which no call goes, because its registrar does not list it.
//!
//! Is given a case and the request that went to another device; gives the registration that is not listed (RFC 3261
//! §10.3) and the words for it. Deliberately does not judge what the call then got.

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};

use crate::call::{Asked, Granted, Heard, Registered, Registrations};
use crate::diagnosis::words::length;
use crate::diagnosis::{Case, Finding};
use crate::sip::Uri;

/// A device that was let in as the callee before the call, and is not among the bindings.
pub(in crate::diagnosis) struct Unlisted<'a> {
    /// Its last REGISTER.
    asked: &'a Asked,
    /// The 2xx to that.
    granted: &'a Granted,
    /// How long before the call.
    before: String,
    /// The device at whose REGISTER it was listed no more, and the 2xx to that; `None` if it was never listed.
    replaced: Option<(SocketAddr, &'a Granted)>,
}

/// Told where the last list of bindings that the capture shows leads to the device that was called, and another device
/// has a registration in force by its own REGISTER.
pub(in crate::diagnosis) fn unlisted<'a>(case: &Case<'a>, sent: &Heard) -> Option<Unlisted<'a>> {
    let (known, last, at) = case.registered()?;
    let called = sent.path.destination.ip();
    // Across a NAT the list names other addresses than the packets.
    let leads_there = hosts(last).any(|host| host == called);
    let was_called =
        |source: SocketAddr| case.call.messages.iter().any(|heard| heard.path.destination.ip() == source.ip());
    let is_whole = known.is_whole() && last.bindings.len() < Registrations::MOST_BINDINGS;
    if !leads_there || !is_whole || last.until <= at {
        return None;
    }
    let mut seen = BTreeSet::new();
    let mut newest = known.granted.iter().rev().filter(|granted| granted.place <= last.place).filter_map(|granted| {
        let asked = known.made_by(granted).filter(|asked| !asked.contact.is_empty())?;
        seen.insert(asked.device).then_some((asked, granted))
    });
    newest.find_map(|(asked, granted)| {
        let is_in_force = granted.until > at && granted.bindings.len() <= 1 && !asked.removes;
        if !is_in_force || &*asked.contact == "*" || was_called(asked.source) || lists(last, asked) {
            return None;
        }
        let replaced = match lists(granted, asked) {
            true => Some((replacing(known, last, asked)?, last)),
            false => None,
        };
        Some(Unlisted { asked, granted, before: length(at.since(granted.place.time)), replaced })
    })
}

/// Where the REGISTER came from by whose 2xx a device is listed no more, if that was another device, and nobody asked
/// for it.
fn replacing(known: &Registered, last: &Granted, gone: &Asked) -> Option<SocketAddr> {
    let maker = known.made_by(last)?;
    let is_removal = |asked: &Asked| asked.place > gone.place && asked.place < last.place && &*asked.contact == "*";
    let is_other = maker.device != gone.device && maker.source.ip() != gone.source.ip();
    (is_other && !known.asked.iter().any(is_removal)).then_some(maker.source)
}

/// The addresses that the bindings of a 2xx name.
fn hosts(granted: &Granted) -> impl Iterator<Item = IpAddr> {
    granted.bindings.iter().filter_map(|binding| Uri::read(binding).host.parse().ok())
}

/// True if the bindings of a 2xx may be those of a device: one has its Contact, or the address that it sent from.
fn lists(granted: &Granted, asked: &Asked) -> bool {
    let contact = Uri::read(&asked.contact);
    let is_its = |binding: &Uri| binding.is_same_target(&contact);
    granted.bindings.iter().any(|binding| is_its(&Uri::read(binding)))
        || hosts(granted).any(|host| host == asked.source.ip())
}

impl Unlisted<'_> {
    /// The finding with what happened, what proves it, and what to do.
    pub fn told(&self, finding: Finding, registrar: SocketAddr) -> Finding {
        let (source, before) = (self.asked.source, &self.before);
        let said = finding.explanation.raw().to_owned();
        let finding = finding
            .because(format!("{said} {}", self.words()))
            .claim_at(self.asked.place, "sip.CSeq.method", "REGISTER", "another device of the callee")
            .claim_at(self.granted.place, "sip.Status-Code", "200", "it is let in");
        match self.replaced {
            Some((_, last)) => finding
                .claim_at(last.place, "sip.Status-Code", "200", "the bindings, without that device")
                .fix(format!(
                    "If {source} is to ring too, let {registrar} keep the bindings of several devices for one user; or \
                     give each device an account of its own."
                )),
            None => finding.fix(format!(
                "Look on {registrar} why it answered the REGISTER of {source}, {before} before the call, with 200 and \
                 did not list its Contact: how many devices may that user have?"
            )),
        }
    }

    fn words(&self) -> String {
        let (source, before) = (self.asked.source, &self.before);
        match self.replaced {
            Some((by, _)) => format!(
                "{source} was registered for that user {before} before the call; when {by} registered after that, the \
                 200 did not list {source} any more, and the call was not sent to it."
            ),
            None => format!(
                "{source} had asked to be registered for that user {before} before the call, and the 200 does not list \
                 its Contact (RFC 3261 §10.3): the call was not sent to it."
            ),
        }
    }
}
