use std::net::IpAddr;

use crate::call::{Heard, IcmpSeen};
use crate::diagnosis::rule::rule;
use crate::diagnosis::targets::{CONTACT, FirstHop, RECORD_ROUTE, Unheard, address, has_passed_proxy};
use crate::diagnosis::words::{destination_field, is_private, source_field};
use crate::diagnosis::{Case, Confidence, Finding, Role};

rule! {
    /// The answer names an address that cannot be reached.
    ///
    /// ## What it says
    /// The caller's side sent its ACK where the Contact of the 2xx says, or the Record-Route of the proxy next to it,
    /// and nothing got there. The 2xx itself came from another address.
    ///
    /// ## Why it happens
    /// A proxy that must stay in the path did not add Record-Route, so the ACK passes it by. Or the answering side
    /// writes an address of its own network, or of another interface, into Contact; or a proxy does so with
    /// Record-Route.
    ///
    /// ## Evidence
    /// An ACK to the Contact of the 2xx, another address in Contact than the one the 2xx came from, and an ICMP error
    /// or a 2xx that is repeated on and on. The same of the Record-Route that is the first hop, where nothing in the
    /// call comes from that address. Where the hop behind a proxy is seen and the 2xx came from another address
    /// there too, it is the Contact that is wrong, and not a Record-Route that is missing.
    ///
    /// ## How to fix
    /// If the 2xx came from a proxy, let it add Record-Route, with an address that the caller's side reaches. Else set
    /// the external address on the answering side, or let the SBC before it rewrite Contact.
    ///
    /// ## When it would be wrong
    /// The way to that address may exist and be broken elsewhere.
    ///
    /// ## References
    /// RFC 3261 §12.1.1, §12.1.2, §16.6, §20.10, §13.2.2.4
    "B16" "contact-unreachable" needs [ANSWERED REPEATED], check
}

fn check(case: &Case<'_>) -> Option<Finding> {
    let lost = Lost::of(case)?;
    let (ack, named) = (lost.unheard.ack, lost.address);
    let sure = if lost.icmp.is_some() { Confidence::Proven } else { Confidence::Likely };
    let mut finding = lost.claim_named(lost.told(case.of_unheard_ack(&RULE, sure, lost.unheard.success))).claim(
        ack,
        destination_field(named),
        named.to_string(),
        "the ACK goes there",
    );
    if let Some(icmp) = lost.icmp {
        finding = finding.claim_icmp(icmp.place, icmp.what, "it cannot be reached", "why");
    }
    Some(
        lost.unheard
            .claim_repeats(finding)
            .refuted("ack-missing", "an ACK was sent")
            .refuted("in-dialog-request-misrouted", format!("the ACK follows the {} of the 2xx", lost.hop.header)),
    )
}

const NAMED: &str = "the address that the answering side names";

/// An ACK that went to the first hop that its 2xx names, and did not arrive.
struct Lost<'a> {
    unheard: Unheard<'a>,
    hop: FirstHop,
    /// The address that it names.
    address: IpAddr,
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
        let hop = FirstHop::named_in(success)?;
        let address = address(&hop.uri)?;
        let follows = hop.is_followed_by(ack) && ack.path.destination.ip() == address;
        let icmp = case.call.icmp.iter().find(|icmp| icmp.message == ack.id);
        // A proxy that is there may have lost the ACK behind it.
        let is_there = || icmp.is_none() && case.call.messages.iter().any(|heard| heard.path.source.ip() == address);
        if !follows || address == success.path.source.ip() || hop.is_of_proxy() && is_there() {
            return None;
        }
        let written = case.as_first_seen(success);
        let is_of_proxy = has_passed_proxy(success, written, address);
        Some(Lost { unheard, hop, address, icmp, written, is_of_proxy })
    }

    fn claim_named(&self, finding: Finding) -> Finding {
        let success = self.unheard.success;
        match (self.hop.is_of_proxy(), self.is_of_proxy) {
            (true, _) => finding.claim_header_with(success, RECORD_ROUTE, &self.hop.text, "the first hop it names"),
            (false, true) => finding.claim_header(success, CONTACT, NAMED),
            (false, false) => finding.claim_header(self.written, CONTACT, NAMED),
        }
    }

    /// The finding with what happened, whose fault that is, and what to do.
    fn told(&self, finding: Finding) -> Finding {
        match self.is_of_proxy {
            _ if self.hop.is_of_proxy() => self.recorded(finding),
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

    /// The address, as a sentence names it.
    fn named(&self) -> String {
        let kind = if is_private(self.address) { "the private address" } else { "the address" };
        format!("{kind} {} {}", self.address, if self.hop.is_of_proxy() { "in Record-Route" } else { "as Contact" })
    }

    /// A proxy named it as the way.
    fn recorded(&self, finding: Finding) -> Finding {
        let (source, client) = (self.unheard.success.path.source, self.unheard.ack.path.source);
        finding
            .party(Role::Proxy, Some(source))
            .because(format!(
                "The 2xx came from {source} and names {}, as the first hop. The ACK went there, as it must, and did \
                 not arrive: {}.",
                self.named(),
                self.proof()
            ))
            .fix(format!(
                "Let {source} write an address into Record-Route that {client} can reach (its external address)."
            ))
            .fix(format!(
                "If {} is another proxy behind {source}, let {source} add a Record-Route of its own, so that the ACK \
                 passes it too.",
                self.address
            ))
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
            .fix(format!("Or see to it that {client} can reach {} itself.", self.address))
    }

    /// It was named so before the 2xx was passed on.
    fn written_before(&self, finding: Finding) -> Finding {
        let (source, written, contact) = (self.unheard.success.path.source, self.written, self.address);
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
