//! Whom a finding names, and what it says, where a dialog's requests do not reach the first hop: the proxy that wrote
//! Record-Route, or who wrote Contact.

mod followed;

use std::fs;
use std::path::Path;

use followed::diagnosed;
use sipwhy::diagnosis::{Confidence, Finding, Role};
use sipwhy::story::Story;

const LIKELY: Confidence = Confidence::Likely;
const PROVEN: Confidence = Confidence::Proven;

/// What a rule says in a story of its own folder.
fn finding(rule: &str, name: &str) -> Finding {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures").join(rule).join(name);
    let story = Story::parse(&fs::read_to_string(&path).expect("a story")).expect("the notation");
    let mut findings = diagnosed(&story).into_iter().flat_map(|(_, diagnosis)| diagnosis.findings);
    findings.find(|finding| finding.rule == rule).unwrap_or_else(|| panic!("{} does not hold", path.display()))
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
