//! Calls whose first signs point elsewhere: whom the finding names, how sure it is, and what it says.

mod told;

use sipwhy::diagnosis::{Confidence, Role};
use told::told;

/// A rule, its story, whom it names, how sure it is, what it says, and what it must not say.
type Row = (&'static str, &'static str, Role, Confidence, &'static str, &'static str);

#[test]
fn a_connection_elsewhere_is_not_why_the_user_is_busy() {
    assert!(told("connection-failed", "story-elsewhere-before-busy.txt").is_none());
}

const ROWS: &[Row] = &[
    (
        "callee-unreachable",
        "story-beginning-missed.txt",
        Role::Uas,
        Confidence::Possible,
        "and the capture lacks what came before",
        "nothing had rung",
    ),
    (
        "registration-interval-too-brief",
        "story-next-try-missed.txt",
        Role::Uac,
        Confidence::Possible,
        "the next REGISTER in this capture is not the next that was sent",
        "did not ask",
    ),
    (
        "routing-loop",
        "story-spiral.txt",
        Role::Uas,
        Confidence::Possible,
        "It had come to 192.0.2.50:5060 twice before, each time for another Request-URI",
        "no server twice",
    ),
    (
        "replaces-unmatched",
        "story-known-no-more.txt",
        Role::Uas,
        Confidence::Likely,
        "both tags are right and stand where they have to, and no BYE of that call had come before",
        "exchanged",
    ),
    (
        "peer-probe-failed",
        "story-takes-calls.txt",
        Role::Uas,
        Confidence::Likely,
        "But it is up: between them it sent other SIP there",
        "was down",
    ),
    (
        "ring-timeout",
        "story-487-without-cancel.txt",
        Role::Uas,
        Confidence::Likely,
        "198.51.100.10:5060 ended it after 30 s. It ended 3 calls of this capture after the same time",
        "cancelled",
    ),
    (
        "bye-unanswered",
        "story-408-of-the-proxy.txt",
        Role::Network,
        Confidence::Likely,
        "32 s after its BYE 192.0.2.20:5060 answered 408",
        "never answered",
    ),
    (
        "cancel-unanswered",
        "story-branch-rings-on.txt",
        Role::Network,
        Confidence::Likely,
        "sent the CANCEL 11 times, and got neither its answer nor the end of the INVITE",
        "forbids",
    ),
    (
        "nat-binding-expired",
        "story-bye.txt",
        Role::Network,
        Confidence::Likely,
        "was heard for the last time 6 min 26 s before. The BYE to 203.0.113.5:41022 got no answer",
        "not heard since",
    ),
    (
        "registration-lapsed",
        "story-renews-by-its-own-time.txt",
        Role::Uas,
        Confidence::Likely,
        "The device had asked for 60 min and came again after 30 min",
        "credentials",
    ),
    (
        "large-request-lost",
        "story-tcp-refused-first.txt",
        Role::Network,
        Confidence::Likely,
        "192.0.2.20 had asked 198.51.100.10:5060 for a TCP connection just before, and it was refused",
        "ICMP",
    ),
    (
        "ack-missing",
        "story-begins-with-copies.txt",
        Role::Uac,
        Confidence::Possible,
        "after the first copy in this capture, which others must have come before,",
        "its first answer",
    ),
    (
        "fork-all-failed",
        "story-proxy-one-by-one.txt",
        Role::Proxy,
        Confidence::Proven,
        "nothing but 100 from 198.51.100.10:5060 within 20 s (then cancelled) and 503 from 198.51.100.20:5060",
        "RFC 3261",
    ),
    (
        "fork-all-failed",
        "story-500-of-the-trunk.txt",
        Role::Proxy,
        Confidence::Proven,
        "A proxy chooses of the lowest class first (RFC 3261 §16.7): 486 goes before 500.",
        "only 486",
    ),
    (
        "trunk-congested",
        "story-given-up-ringing.txt",
        Role::Proxy,
        Confidence::Possible,
        "198.51.100.9:5060 had taken the call and was ringing for 8.0 s when 192.0.2.20:5060 cancelled it itself",
        "while this one is full",
    ),
    (
        "trunk-congested",
        "story-other-number-behind.txt",
        Role::Uas,
        Confidence::Likely,
        "the call to \"+49305550123\"",
        "\"0305550123\"",
    ),
    (
        "credentials-rejected",
        "story-call-after-lockout.txt",
        Role::Uac,
        Confidence::Likely,
        "does not ask for credentials any more",
        "10.0 s",
    ),
    (
        "forbidden-after-credentials",
        "story-locked-by-another-device.txt",
        Role::Uac,
        Confidence::Likely,
        "It had refused the digest of \"101\" in REGISTERs from 192.0.2.199:5060 twice, the last one 25 s before",
        "unknown there",
    ),
    (
        "callee-unreachable",
        "story-removed-by-another-device.txt",
        Role::Uas,
        Confidence::Likely,
        "had removed all registrations of that user (Contact: *), also that of 192.0.2.30:5060, which had 8 min",
        "signed off",
    ),
    (
        "caller-identity-refused",
        "story-other-user-in-from.txt",
        Role::Uac,
        Confidence::Likely,
        "the credentials are those of \"101\"",
        "secret",
    ),
    (
        "credentials-rejected",
        "story-call-refused-for-good.txt",
        Role::Uac,
        Confidence::Likely,
        "twice with a new challenge, and then with 403",
        "does not challenge again",
    ),
    (
        "credentials-rejected",
        "story-call-refused-once.txt",
        Role::Uac,
        Confidence::Possible,
        "once with a new challenge, and then with 403",
        "does not challenge again",
    ),
    (
        "cseq-regressed",
        "story-prack.txt",
        Role::Uac,
        Confidence::Proven,
        "never confirmed, and the call was given up",
        "it takes",
    ),
    (
        "dns-failed",
        "story-of-the-trunk.txt",
        Role::Network,
        Confidence::Likely,
        "192.0.2.20:5060 had the INVITE meanwhile; it is not seen to send it on, and answered 480",
        "no device",
    ),
    (
        "ended-by-failure",
        "story-credit-at-the-timer.txt",
        Role::Uas,
        Confidence::Likely,
        "no credit was left for it",
        "wish of a party",
    ),
    (
        "ended-by-failure",
        "story-longest-duration.txt",
        Role::Uas,
        Confidence::Likely,
        "it had lasted as long as it may",
        "wish of a party",
    ),
    (
        "in-dialog-request-misrouted",
        "story-strict-router.txt",
        Role::Uac,
        Confidence::Likely,
        "it is of a strict router",
        "never got the ACK",
    ),
    (
        "reinvite-refused",
        "story-bye-says-so.txt",
        Role::Uas,
        Confidence::Proven,
        "its BYE names the refusal as the reason",
        "may be the reason",
    ),
    (
        "timeout-behind-proxy",
        "story-device-not-listed.txt",
        Role::Network,
        Confidence::Proven,
        "192.0.2.30:5060 had asked to be registered for that user 60 s before the call, and the 200 does not list",
        "any more",
    ),
    (
        "timeout-behind-proxy",
        "story-device-replaced.txt",
        Role::Network,
        Confidence::Proven,
        "the 200 did not list 192.0.2.30:5060 any more",
        "had asked",
    ),
    (
        "timeout-behind-proxy",
        "story-device-signed-off.txt",
        Role::Network,
        Confidence::Proven,
        "made the 408 itself",
        "192.0.2.30",
    ),
    (
        "bye-unanswered",
        "story-proxy-gives-up.txt",
        Role::Network,
        Confidence::Likely,
        "192.0.2.30:5060 never answered, and 30 s after it 192.0.2.20:5060 told 192.0.2.10:5060 408",
        "capture ends",
    ),
    (
        "dialog-request-unanswered",
        "story-proxy-gives-up.txt",
        Role::Network,
        Confidence::Likely,
        "8.0 s after the first copy 192.0.2.20:5060 gave up and told 192.0.2.10:5060 408",
        "too early",
    ),
    (
        "ack-missing",
        "story-proxy-keeps-the-answer.txt",
        Role::Proxy,
        Confidence::Likely,
        "had sent the INVITE of 10.0.0.10:5060 on",
        "private address",
    ),
    (
        "timeout-behind-proxy",
        "story-private-contact-of-another-network.txt",
        Role::Proxy,
        Confidence::Proven,
        "192.168.50.2 is a private address that stood in the Contact of the REGISTER from 10.0.0.50:5060",
        "up and listens",
    ),
    (
        "timeout-behind-proxy",
        "story-fragments.txt",
        Role::Network,
        Confidence::Proven,
        "which UDP sends in fragments",
        "acknowledged",
    ),
    (
        "timeout-behind-proxy",
        "story-over-tcp-acknowledged.txt",
        Role::Uas,
        Confidence::Proven,
        "TCP of 198.51.100.30:5060 acknowledged the INVITE",
        "fragments",
    ),
    (
        "media-port-closed",
        "story-closed-after-media.txt",
        Role::Uas,
        Confidence::Likely,
        "media came from there for 4.0 s, so it was open",
        "nothing listens there.",
    ),
];

#[test]
fn what_misleads_is_looked_through() {
    let wrong = ROWS.iter().chain(REFUSED).filter_map(|(rule, story, role, sure, says, must_not)| {
        let Some(finding) = told(rule, story) else { return Some(format!("{rule}/{story} does not hold")) };
        let said = finding.explanation.raw();
        let is_right = finding.party.role == *role && finding.confidence == *sure;
        let is_told = said.contains(says) && !said.contains(must_not);
        (!is_right || !is_told).then(|| format!("{rule}/{story}: {:?} {:?} {said}", finding.party, finding.confidence))
    });
    assert_eq!(wrong.collect::<Vec<_>>(), [""; 0]);
}

/// Refusals whose words, codes and headers speak of several things, or deny one: what is said of them.
const REFUSED: &[Row] = &[
    (
        "refused-by-policy",
        "story-limit-of-an-hour.txt",
        Role::Uas,
        Confidence::Possible,
        "Max calls per hour exceeded",
        "no device",
    ),
    (
        "refused-by-policy",
        "story-caller-is-in-order.txt",
        Role::Uas,
        Confidence::Proven,
        "does not allow the INVITE",
        "identity",
    ),
    (
        "refused-by-policy",
        "story-registration-without-tls.txt",
        Role::Registrar,
        Confidence::Likely,
        "for the way by which it came",
        "this address",
    ),
    ("trunk-out-of-order", "story-by-its-words.txt", Role::Uas, Confidence::Likely, "by its own words", "left alone"),
    (
        "trunk-out-of-order",
        "story-while-it-rang.txt",
        Role::Uas,
        Confidence::Likely,
        "it was lost while it rang",
        "by its own words",
    ),
    (
        "trunk-congested",
        "story-text-of-another-cause.txt",
        Role::Uas,
        Confidence::Likely,
        "the name of cause 17",
        "rang",
    ),
    (
        "trunk-congested",
        "story-after-ringing.txt",
        Role::Uas,
        Confidence::Likely,
        "rang for 30 s",
        "text of its Reason",
    ),
    (
        "callee-busy",
        "story-cause-after-ringing.txt",
        Role::Uas,
        Confidence::Likely,
        "Q.850 cause 17",
        "before anything rang",
    ),
    (
        "method-unsupported",
        "story-allow-names-it.txt",
        Role::Uas,
        Confidence::Possible,
        "its Allow names INVITE",
        "does not support",
    ),
    (
        "special-requirement-refused",
        "story-other-words.txt",
        Role::Uas,
        Confidence::Possible,
        "Account blocked",
        "carries no",
    ),
    (
        "message-too-large",
        "story-its-own-buffer.txt",
        Role::Uas,
        Confidence::Likely,
        "what is short is a buffer",
        "of them in its body",
    ),
    (
        "blocked-by-analytics",
        "story-while-it-rang.txt",
        Role::Proxy,
        Confidence::Likely,
        "had been ringing for 12 s",
        "did not decline",
    ),
    (
        "late-offer-unsupported",
        "story-codec-is-missing.txt",
        Role::Uas,
        Confidence::Possible,
        "carries no session description",
        "never answered",
    ),
    (
        "address-of-record-refused",
        "story-too-many-contacts.txt",
        Role::Registrar,
        Confidence::Likely,
        "has as many contacts",
        "does not let",
    ),
    (
        "address-family-mismatch",
        "story-no-route-to-it.txt",
        Role::Uas,
        Confidence::Likely,
        "may have no route to it",
        "never answered",
    ),
    (
        "event-unsupported",
        "story-among-those-it-lists.txt",
        Role::Uas,
        Confidence::Possible,
        "lists that package",
        "does not know",
    ),
    (
        "server-overloaded",
        "story-not-in-maintenance.txt",
        Role::Uas,
        Confidence::Likely,
        "no capacity",
        "that is maintenance",
    ),
    (
        "channel-limit-reached",
        "story-to-a-destination.txt",
        Role::Uas,
        Confidence::Proven,
        "only so many calls be up at once",
        "never answered",
    ),
    (
        "trunk-congested",
        "story-all-trunks-busy.txt",
        Role::Uas,
        Confidence::Likely,
        "no trunk or channel is free",
        "the callee is busy",
    ),
    (
        "trunk-congested",
        "story-rings-while-it-dials.txt",
        Role::Uas,
        Confidence::Proven,
        "no circuit or channel is free",
        "rang",
    ),
    ("trunk-out-of-order", "story-not-the-callee.txt", Role::Uas, Confidence::Likely, "by its own words", "registered"),
    (
        "number-not-routable",
        "story-rang-before.txt",
        Role::Uas,
        Confidence::Likely,
        "had been ringing before",
        "no route",
    ),
    (
        "number-not-routable",
        "story-words-of-a-fault.txt",
        Role::Uas,
        Confidence::Possible,
        "Internal database error",
        "ringing",
    ),
    ("message-too-large", "story-short-uri.txt", Role::Uas, Confidence::Likely, "a limit of", "as too long"),
];

/// What advice says, and what it must not say.
const ADVISED: &[(&str, &str, &str, &str)] = &[
    ("next-hop-silent", "story-options-answered.txt", "what drops this INVITE", "right address"),
    ("reinvite-refused", "story-bye-says-so.txt", "Switch the feature off", "PCMU"),
    ("ended-by-failure", "story-credit-at-the-timer.txt", "credit and the limits", "Nothing"),
    ("callee-unreachable", "story-removed-by-another-device.txt", "not send `Contact: *`", "voicemail"),
    ("cseq-regressed", "story-prack.txt", "CSeq numbers must rise", "100rel"),
    ("number-not-routable", "story-other-format-accepted.txt", "written with + and 11 digits; this one", "some want"),
    ("registration-lapsed", "story-renews-by-its-own-time.txt", "by the time in the 2xx (300 s)", "was it off"),
    ("large-request-lost", "story-tcp-refused-first.txt", "listen on TCP", "Use TCP"),
    ("trunk-congested", "story-given-up-ringing.txt", "what made it give up", "channels it has"),
    ("forbidden-after-credentials", "story-locked-by-another-device.txt", "Look what 192.0.2.199:5060 is", "unknown"),
];

#[test]
fn what_misleads_is_not_advised_on() {
    let wrong = ADVISED.iter().filter_map(|(rule, story, says, must_not)| {
        let finding = told(rule, story)?;
        let steps = finding.fix.iter().map(|step| step.raw()).collect::<Vec<_>>().join(" ");
        (!steps.contains(says) || steps.contains(must_not)).then(|| format!("{rule}/{story}: {steps}"))
    });
    assert_eq!(wrong.collect::<Vec<_>>(), [""; 0]);
}
