//! Whom a finding names, and what it says, where a dialog's requests do not reach the first hop: the proxy that wrote
//! Record-Route, or who wrote Contact.

mod told;

use sipwhy::diagnosis::{Confidence, Finding, Role};

const LIKELY: Confidence = Confidence::Likely;
const PROVEN: Confidence = Confidence::Proven;

/// What a rule says in a story of its own folder, in which it has to hold.
fn finding(rule: &str, name: &str) -> Finding {
    told::told(rule, name).unwrap_or_else(|| panic!("{rule} does not hold in {name}"))
}

#[test]
fn the_proxy_that_wrote_record_route_has_to_mend_it() {
    let rows = [
        ("contact-transport-wrong", "story-record-route.txt", PROVEN),
        ("contact-transport-wrong", "story-record-route-port.txt", PROVEN),
        ("contact-transport-wrong", "story-record-route-silent-port.txt", LIKELY),
        ("contact-transport-wrong", "story-record-route-of-invite.txt", PROVEN),
        ("contact-transport-wrong", "story-record-route-prack.txt", PROVEN),
        ("contact-transport-wrong", "story-record-route-hung-up.txt", LIKELY),
        ("contact-unreachable", "story-record-route.txt", LIKELY),
        ("contact-unreachable", "story-record-route-hung-up.txt", LIKELY),
        ("prack-missing", "story-record-route-private.txt", LIKELY),
        ("ack-missing", "story-private-record-route.txt", LIKELY),
    ];
    for (rule, name, confidence) in rows {
        let finding = finding(rule, name);
        assert_eq!((finding.party.role, finding.confidence), (Role::Proxy, confidence), "{rule}/{name}");
        let told = finding.explanation.raw();
        assert!(told.contains("Record-Route") && !told.contains("Contact"), "{rule}/{name}: {told}");
        let fix = finding.fix.first().map(|fix| fix.raw()).unwrap_or_default();
        assert!(fix.contains("into Record-Route"), "{rule}/{name}: {fix}");
    }
}

#[test]
fn a_private_address_is_told_of_the_header_that_led_there() {
    let finding = finding("bye-unanswered", "story-private-record-route.txt");
    assert_eq!(finding.party.role, Role::Proxy);
    let told = finding.explanation.raw();
    assert!(told.contains("stood in the Record-Route of the INVITE") && !told.contains("Contact"), "{told}");
}

#[test]
fn what_nobody_can_send_to_is_found_in_a_refused_request() {
    let rows = [
        ("story-port-zero.txt", "names port 0, to which nobody can send", "nothing broken"),
        ("story-no-host.txt", "names 0.0.0.0, which is the address of no host", "nothing broken"),
        ("story-without-contact.txt", "there is no Contact header", "nothing broken"),
        ("story-contact-missed.txt", "the request has a Contact header", "there is no Contact"),
    ];
    for (name, says, not) in rows {
        let finding = finding("syntax-rejected", name);
        let told = finding.explanation.raw();
        assert!(told.contains(says) && !told.contains(not), "{name}: {told}");
    }
}
