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
    let unheard = case.unheard_ack()?;
    let Unheard { success, ack, .. } = unheard;
    let target = case.remote_target(success)?;
    let contact = address(&target.uri)?;
    let source = success.path.source;
    let follows =
        same_target(&Uri::read(&ack.message.request_uri()?), &target.uri) && ack.path.destination.ip() == contact;
    if !follows || contact == source.ip() || !target.route.is_empty() {
        return None;
    }
    let icmp = case.call.icmp.iter().find(|icmp| icmp.message == ack.id);
    let finding =
        case.of_unheard_ack(&RULE, if icmp.is_some() { Confidence::Proven } else { Confidence::Likely }, success);
    let kind = if is_private(contact) { "the private address" } else { "the address" };
    let proof = match icmp {
        Some(icmp) => format!("{} answered with an ICMP error", icmp.reporter),
        None => format!("{source} went on repeating its 2xx ({} times)", success.repeated),
    };
    let client = ack.path.source;
    let written = case.as_first_seen(success);
    let writer = written.path.source;
    let is_of_proxy = has_passed_proxy(success, written, contact);
    let named = if is_of_proxy { success } else { written };
    let finding = match is_of_proxy {
        true => finding
            .party(Role::Proxy, Some(source))
            .because(format!(
                "The 2xx came from {source} without Record-Route and names {kind} {contact} as Contact. The ACK went \
                 there, as it must, past {source}, and did not arrive: {proof}."
            ))
            .fix(format!("If {source} is a proxy, let it add Record-Route to INVITEs, so that the ACK passes it too."))
            .fix(format!("Or see to it that {client} can reach {contact} itself.")),
        false if written.id != success.id => finding
            .sender(Role::Uas, written)
            .because(format!(
                "The 2xx came from {writer} to {} and named {kind} {contact} as Contact there already. The ACK went \
                 there, as it must, and did not arrive: {proof}.",
                written.path.destination
            ))
            .fix(format!(
                "Let {writer} write an address into Contact at which it can be reached: the 2xx came from another."
            ))
            .fix(format!(
                "If {contact} is right, and {writer} is itself a proxy, let {writer} or {source} add Record-Route, so \
                 that the ACK passes it too."
            ))
            .claim(written, source_field(writer.ip()), writer.ip().to_string(), "where the 2xx came from"),
        false => finding
            .sender(Role::Uas, success)
            .because(format!(
                "The 2xx came from {source} and names {kind} {contact} as Contact. The ACK went there, as it must, \
                 and did not arrive: {proof}."
            ))
            .fix(format!("Let {source} write an address into Contact that {client} can reach (its external address)."))
            .fix("Or let a proxy with Record-Route, or an SBC, stand between them."),
    };
    let mut finding = finding.claim_header(named, "Contact", "the address that the answering side names").claim(
        ack,
        destination_field(contact),
        contact.to_string(),
        "the ACK goes there",
    );
    if let Some(icmp) = icmp {
        finding = finding.claim_icmp(icmp.place, icmp.what, "it cannot be reached", "why");
    }
    Some(
        unheard
            .claim_repeats(finding)
            .refuted("ack-missing", "an ACK was sent")
            .refuted("in-dialog-request-misrouted", "the ACK follows the Contact of the 2xx"),
    )
}
