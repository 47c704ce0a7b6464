use std::net::IpAddr;

use crate::call::{Heard, IcmpSeen};
use crate::diagnosis::rule::rule;
use crate::diagnosis::targets::{Unheard, address, has_passed_proxy, same_target};
use crate::diagnosis::words::{destination_field, is_private, source_field};
use crate::diagnosis::{Case, Confidence, Finding, Role};
use crate::sip::Uri;

rule! {
    /// The answer names an address that cannot be reached.
    ///
    /// ## What it says
    /// The caller's side sent its ACK where the Contact of the 2xx says, and nothing got there. The 2xx itself came
    /// from another address.
    ///
    /// ## Why it happens
    /// A proxy that must stay in the path did not add Record-Route, so the ACK passes it by. Or the answering side
    /// writes an address of its own network, or of another interface, into Contact.
    ///
    /// ## Evidence
    /// An ACK to the Contact of the 2xx, another address in Contact than the one the 2xx came from, and an ICMP error
    /// or a 2xx that is repeated on and on. Where the hop behind a proxy is seen and the 2xx came from another address
    /// there too, it is the Contact that is wrong, and not a Record-Route that is missing.
    ///
    /// ## How to fix
    /// If the 2xx came from a proxy, let it add Record-Route. Else set the external address on the answering side, or
    /// let the SBC before it rewrite Contact.
    ///
    /// ## When it would be wrong
    /// The way to that address may exist and be broken elsewhere.
    ///
    /// ## References
    /// RFC 3261 §12.1.1, §20.10, §13.2.2.4
    "B16" "contact-unreachable" needs [ANSWERED REPEATED], check
}

fn check(case: &Case<'_>) -> Option<Finding> {
    let lost = Lost::of(case)?;
    let (ack, contact) = (lost.unheard.ack, lost.contact);
    let sure = if lost.icmp.is_some() { Confidence::Proven } else { Confidence::Likely };
    let named = if lost.is_of_proxy { lost.unheard.success } else { lost.written };
    let mut finding = lost
        .told(case.of_unheard_ack(&RULE, sure, lost.unheard.success))
        .claim_header(named, "Contact", "the address that the answering side names")
        .claim(ack, destination_field(contact), contact.to_string(), "the ACK goes there");
    if let Some(icmp) = lost.icmp {
        finding = finding.claim_icmp(icmp.place, icmp.what, "it cannot be reached", "why");
    }
    Some(
        lost.unheard
            .claim_repeats(finding)
            .refuted("ack-missing", "an ACK was sent")
            .refuted("in-dialog-request-misrouted", "the ACK follows the Contact of the 2xx"),
    )
}

/// An ACK that went to the Contact of its 2xx, and did not arrive.
struct Lost<'a> {
    unheard: Unheard<'a>,
    contact: IpAddr,
    /// The error that says so.
    icmp: Option<&'a IcmpSeen>,
    /// The 2xx where it was seen first.
    written: &'a Heard,
    /// True if the 2xx had passed a proxy that did not put itself into the way of the ACK.
    is_of_proxy: bool,
}

impl<'a> Lost<'a> {
    fn of(case: &Case<'a>) -> Option<Lost<'a>> {
        let unheard = case.unheard_ack()?;
        let Unheard { success, ack, .. } = unheard;
        let target = case.remote_target(success)?;
        let contact = address(&target.uri)?;
        let follows =
            same_target(&Uri::read(&ack.message.request_uri()?), &target.uri) && ack.path.destination.ip() == contact;
        if !follows || contact == success.path.source.ip() || !target.route.is_empty() {
            return None;
        }
        let icmp = case.call.icmp.iter().find(|icmp| icmp.message == ack.id);
        let written = case.as_first_seen(success);
        let is_of_proxy = has_passed_proxy(success, written, contact);
        Some(Lost { unheard, contact, icmp, written, is_of_proxy })
    }

    /// The finding with what happened, whose fault that is, and what to do.
    fn told(&self, finding: Finding) -> Finding {
        match self.is_of_proxy {
            true => self.behind_proxy(finding),
            false if self.written.id != self.unheard.success.id => self.written_before(finding),
            false => self.written_here(finding),
        }
    }

    /// What shows that the ACK did not arrive.
    fn proof(&self) -> String {
        let success = self.unheard.success;
        match self.icmp {
            Some(icmp) => format!("{} answered with an ICMP error", icmp.reporter),
            None => format!("{} went on repeating its 2xx ({} times)", success.path.source, success.repeated),
        }
    }

    /// The Contact, as a sentence names it.
    fn named(&self) -> String {
        let kind = if is_private(self.contact) { "the private address" } else { "the address" };
        format!("{kind} {} as Contact", self.contact)
    }

    fn behind_proxy(&self, finding: Finding) -> Finding {
        let (source, client) = (self.unheard.success.path.source, self.unheard.ack.path.source);
        finding
            .party(Role::Proxy, Some(source))
            .because(format!(
                "The 2xx came from {source} without Record-Route and names {}. The ACK went there, as it must, past \
                 {source}, and did not arrive: {}.",
                self.named(),
                self.proof()
            ))
            .fix(format!("If {source} is a proxy, let it add Record-Route to INVITEs, so that the ACK passes it too."))
            .fix(format!("Or see to it that {client} can reach {} itself.", self.contact))
    }

    /// It was named so before the 2xx was passed on.
    fn written_before(&self, finding: Finding) -> Finding {
        let (source, written, contact) = (self.unheard.success.path.source, self.written, self.contact);
        let writer = written.path.source;
        finding
            .sender(Role::Uas, written)
            .because(format!(
                "The 2xx came from {writer} to {} and named {} there already. The ACK went there, as it must, and did \
                 not arrive: {}.",
                written.path.destination,
                self.named(),
                self.proof()
            ))
            .fix(format!(
                "Let {writer} write an address into Contact at which it can be reached: the 2xx came from another."
            ))
            .fix(format!(
                "If {contact} is right, and {writer} is itself a proxy, let {writer} or {source} add Record-Route, so \
                 that the ACK passes it too."
            ))
            .claim(written, source_field(writer.ip()), writer.ip().to_string(), "where the 2xx came from")
    }

    fn written_here(&self, finding: Finding) -> Finding {
        let (success, client) = (self.unheard.success, self.unheard.ack.path.source);
        let source = success.path.source;
        finding
            .sender(Role::Uas, success)
            .because(format!(
                "The 2xx came from {source} and names {}. The ACK went there, as it must, and did not arrive: {}.",
                self.named(),
                self.proof()
            ))
            .fix(format!("Let {source} write an address into Contact that {client} can reach (its external address)."))
            .fix("Or let a proxy with Record-Route, or an SBC, stand between them.")
    }
}

