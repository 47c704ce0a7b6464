//! Whom a finding names: the side of the call that has to look, and not the one that suffers.

mod followed;

use std::fs;
use std::path::Path;

use followed::diagnosed;
use sipwhy::call::{Kind, Outcome};
use sipwhy::diagnosis::{Confidence, Finding, Party, Role};
use sipwhy::story::Story;

/// What a rule says in a story of its own folder.
fn finding(story: &str) -> Finding {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures").join(story);
    let text = fs::read_to_string(&path).expect("a story");
    let story = Story::parse(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let folder = path.parent().and_then(Path::file_name).expect("a folder").to_string_lossy();
    let findings = diagnosed(&story).into_iter().flat_map(|(_, diagnosis)| diagnosis.findings);
    let mut of_rule = findings.filter(|finding| folder.starts_with(&*finding.rule));
    of_rule.next().unwrap_or_else(|| panic!("{} does not hold", path.display()))
}

/// Stories, and the side that has to look there.
const SIDES: &[(&str, Role)] = &[
    ("media-late/story.txt", Role::Uas),
    ("media-stopped-early/story.txt", Role::Uas),
    ("payload-type-unexpected/story.txt", Role::Uas),
    ("dtmf-mismatch/story.txt", Role::Uac),
    ("dtmf-mismatch-info-refused/story.txt", Role::Uas),
    ("dtmf-mismatch-info-refused/story-events-agreed.txt", Role::Uac),
    ("one-way-media/story-old-port.txt", Role::Uac),
    ("private-media-address/story-re-invite.txt", Role::Uas),
    ("dns-failed/story-other-port.txt", Role::Uac),
    ("media-port-closed/story.txt", Role::Uas),
    ("media-port-closed-fax/story.txt", Role::Uac),
    ("connection-failed-reset/story.txt", Role::Uas),
    ("hold-stuck/story.txt", Role::Uac),
    ("hold-stuck/story-by-callee.txt", Role::Uas),
    ("hold-stuck/story-answered-on-hold.txt", Role::Uas),
    ("hold-stuck/story-resume-refused.txt", Role::Uas),
    ("subscription-dead/story-renewed-too-late.txt", Role::Uac),
    ("subscription-dead/story-renewal-refused.txt", Role::Uas),
    ("subscription-dead/story-subscribed-anew-at-once.txt", Role::Nobody),
    ("subscription-dead/story-subscribed-anew-before.txt", Role::Nobody),
    ("registration-interval-too-brief/story-to-zero.txt", Role::Registrar),
    ("registration-interval-too-brief/story-raised-too-little.txt", Role::Uac),
    ("registration-interval-too-brief/story-minimum-moves.txt", Role::Registrar),
    ("refused-by-policy/story-caller-not-registered.txt", Role::Uac),
    ("refused-by-policy/story-trunk-not-registered.txt", Role::Uac),
    ("credentials-rejected/story-locked-out.txt", Role::Uac),
    ("credentials-rejected/story-call-locked-out.txt", Role::Uac),
    ("credentials-rejected/story-refused-for-good.txt", Role::Uac),
    ("fork-not-released/story-both-confirmed.txt", Role::Uac),
    ("caller-identity-refused/story-anonymous-603.txt", Role::Uac),
    ("flow-failed/story-first-hop.txt", Role::Proxy),
    ("contact-unreachable/story-wrong-contact.txt", Role::Uas),
    ("contact-unreachable-no-record-route/story.txt", Role::Proxy),
    ("contact-transport-wrong/story-past-a-proxy.txt", Role::Uas),
    ("contact-transport-wrong/story-tcp-contact-without-transport.txt", Role::Uas),
    ("session-refresh-failed/story-pending-not-tried-again.txt", Role::Uac),
    ("ended-by-failure/story-refused-behind.txt", Role::Uas),
    ("ack-missing/story-caller-knows-no-dialog.txt", Role::Network),
    ("response-misdirected/story-port-closed.txt", Role::Uac),
    ("redirect-target-failed/story-proxy-follows.txt", Role::Uas),
    ("syntax-rejected/story-star-without-end.txt", Role::Uac),
    ("destination-unreachable/story-register.txt", Role::Registrar),
    ("destination-unreachable/story-probe.txt", Role::Uas),
    ("extension-unsupported/story-demanded-by-proxy.txt", Role::Proxy),
    ("sdp-malformed/story-broken-by-proxy.txt", Role::Proxy),
    ("sdp-malformed/story-behind-unseen-proxy.txt", Role::Proxy),
    ("sdp-malformed/story-two-via-of-one-host.txt", Role::Uac),
    ("caller-identity-refused/story-withheld-by-proxy.txt", Role::Proxy),
    ("request-uri-without-user/story-lost-by-proxy.txt", Role::Proxy),
    ("redirect-not-followed/story-passed-on.txt", Role::Uac),
    ("no-common-codec/story-nothing-through-proxy.txt", Role::Uac),
    ("dialog-request-unanswered/story-report-to-private-contact.txt", Role::Uac),
    ("challenge-not-answered/story-no-challenge.txt", Role::Registrar),
    ("registration-lapsed/story-renewal-unanswered.txt", Role::Registrar),
    ("registration-lapsed/story-renewal-refused.txt", Role::Registrar),
    ("registration-lapsed/story.txt", Role::Uas),
    ("event-unsupported/story-state-run-out.txt", Role::Uac),
    ("event-unsupported/story-state-lost.txt", Role::Uas),
    ("event-unsupported/story-taken-back.txt", Role::Nobody),
    ("nonce-never-accepted/story-card-out-of-step.txt", Role::Registrar),
    ("cseq-regressed/story-report-later.txt", Role::Uac),
    ("session-refresh-failed/story.txt", Role::Uac),
    ("session-refresh-failed/story-dialog-unknown.txt", Role::Uas),
    ("session-refresh-failed/story-too-small.txt", Role::Uac),
    ("session-refresh-failed/story-update-not-allowed.txt", Role::Uas),
    ("session-refresh-failed/story-over-tcp.txt", Role::Uas),
    ("ack-missing/story-proxy-keeps-the-ack.txt", Role::Proxy),
    ("ack-missing/story-over-tcp-sent-once.txt", Role::Uac),
    ("dialog-request-unanswered/story-over-tcp.txt", Role::Uas),
    ("bye-unanswered/story-over-tcp.txt", Role::Uas),
    ("next-hop-silent/story-over-tcp-acknowledged.txt", Role::Registrar),
    ("session-refresh-failed/story-update-never-named.txt", Role::Uas),
    ("session-refresh-failed/story-update-allowed.txt", Role::Uac),
    ("session-timer-expired/story.txt", Role::Uac),
    ("session-timer-expired/story-forced.txt", Role::Uas),
    ("session-timer-expired/story-refreshed-before.txt", Role::Uas),
    ("session-interval-too-small/story.txt", Role::Uac),
    ("session-interval-too-small/story-none-asked.txt", Role::Uas),
    ("session-interval-too-small/story-of-a-proxy.txt", Role::Proxy),
    ("extension-unsupported/story.txt", Role::Uac),
    ("extension-unsupported/story-only-supported.txt", Role::Uas),
    ("prack-missing/story.txt", Role::Uac),
    ("prack-missing/story-not-offered.txt", Role::Uas),
    ("prack-missing/story-other-number.txt", Role::Uac),
    ("prack-missing/story-prack-gets-lost.txt", Role::Uas),
    ("prack-missing/story-past-the-proxy.txt", Role::Proxy),
    ("prack-missing/story-wrong-contact-behind-proxy.txt", Role::Uas),
    ("prack-missing/story-sent-elsewhere.txt", Role::Uac),
    ("prack-missing/story-refused.txt", Role::Uas),
    ("syntax-rejected/story.txt", Role::Uac),
    ("syntax-rejected/story-sip-scheme.txt", Role::Uas),
    ("precondition-unmet/story.txt", Role::Uac),
    ("precondition-unmet/story-never-confirmed.txt", Role::Uac),
    ("identity-rejected/story-signed-behind.txt", Role::Uas),
    ("identity-rejected/story-signed-here.txt", Role::Network),
    ("message-too-large/story-behind-the-pbx.txt", Role::Proxy),
];

#[test]
fn a_finding_names_the_side_whose_address_it_names() {
    let wrong = SIDES.iter().filter_map(|(story, role)| {
        let party = finding(story).party;
        (party.role != *role).then(|| format!("{story}: {party:?}"))
    });
    assert_eq!(wrong.collect::<Vec<_>>(), [""; 0]);
}

/// How sure the findings of stories are.
fn assert_sure(rows: &[(&str, Confidence)]) {
    let wrong = rows.iter().filter_map(|(story, wanted)| {
        let confidence = finding(story).confidence;
        (confidence != *wanted).then(|| format!("{story}: {confidence:?}"))
    });
    assert_eq!(wrong.collect::<Vec<_>>(), [""; 0]);
}

/// Answers that look wrong, and what the other side did before may have made right.
const RESUMED: &[(&str, Confidence)] = &[
    ("hold-stuck/story-answered-on-hold.txt", Confidence::Likely),
    ("hold-stuck/story-held-twice.txt", Confidence::Possible),
    ("dialog-state-lost/story-moved-before.txt", Confidence::Possible),
];

#[test]
fn who_answers_a_resume_by_its_own_hold_is_right() {
    assert_sure(RESUMED);
}

/// What is missing: from the wire, or perhaps from the capture alone.
const LACKING: &[(&str, Confidence)] = &[
    ("timeout-behind-proxy/story.txt", Confidence::Proven),
    ("timeout-behind-proxy/story-one-copy.txt", Confidence::Possible),
    ("media-late/story.txt", Confidence::Likely),
    ("media-late/story-both-at-once.txt", Confidence::Possible),
];

#[test]
fn what_the_capture_lacks_is_not_proven_to_be_missing() {
    assert_sure(LACKING);
}

/// What one cause fits, and what others fit as well.
const FITTING_OTHERS: &[(&str, Confidence)] = &[
    ("credentials-rejected/story-refused-for-good.txt", Confidence::Likely),
    ("credentials-rejected/story-refused-for-good-in-silence.txt", Confidence::Possible),
    ("credentials-rejected/story-other-client-behind-nat.txt", Confidence::Likely),
    ("forbidden-after-credentials/story-bad-auth.txt", Confidence::Likely),
    ("fork-not-released/story-given-up-during-the-call.txt", Confidence::Likely),
    ("fork-not-released/story-both-confirmed.txt", Confidence::Possible),
    ("response-misdirected/story-port-heard-on.txt", Confidence::Possible),
    ("response-misdirected/story-port-that-only-gets.txt", Confidence::Proven),
];

#[test]
fn what_others_fit_as_well_is_only_possible() {
    assert_sure(FITTING_OTHERS);
}

#[test]
fn who_may_not_have_got_an_answer_is_not_proven_to_ignore_it() {
    assert_eq!(finding("cancel-crossed-answer/story.txt").confidence, Confidence::Likely);
    let answered = finding("cancel-crossed-answer/story-bye-refused.txt");
    assert_eq!(answered.confidence, Confidence::Proven);
    assert!(answered.claims.iter().any(|claim| claim.value.raw() == "481"), "{:?}", answered.claims);
}

#[test]
fn an_answer_that_took_another_way_than_the_challenge_is_not_said_to_be_missing() {
    let outcome = |challenged: &str, copies: &str| {
        let story = format!(
            "# A phone registers.\nalice 192.0.2.10:5060\nproxy 192.0.2.20:5060\n\n\
             0.000  alice -> proxy  REGISTER sip:example.com\n0.010  proxy {challenged} alice  401 Unauthorized\n\
             0.020  alice -> proxy  REGISTER\n                       auth\n{copies}end 60.0\n"
        );
        let story = Story::parse(&story).expect("a story");
        diagnosed(&story).into_iter().map(|(call, _)| call.outcome).next()
    };
    assert_eq!(outcome("~>", ""), Some(Outcome::Unfinished));
    assert_eq!(outcome("->", ""), Some(Outcome::Unanswered));
    assert_eq!(outcome("~>", "                       again timer-e\n"), Some(Outcome::Unanswered));
}

#[test]
fn a_refer_outside_of_a_call_is_none() {
    let judged = |answer: &str| {
        let story = format!(
            "# A telephone is asked to call.\ncti 192.0.2.5:5060\nphone 192.0.2.31:5060\n\n\
             0.000  cti -> phone  REFER sip:201@192.0.2.31\n                     Refer-To: <sip:203@example.com>\n\
             0.030  phone -> cti  {answer}\nend 40.0\n"
        );
        let story = Story::parse(&story).expect("a story");
        diagnosed(&story).into_iter().map(|(call, _)| (call.kind, call.outcome)).next()
    };
    assert_eq!(judged("403 Forbidden"), Some((Kind::Subscription, Outcome::Failed)));
    assert_eq!(judged("202 Accepted"), Some((Kind::Subscription, Outcome::Accepted)));
}

#[test]
fn what_a_signing_service_redirects_goes_on_as_one_call() {
    let path =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/redirect-loop/near-miss-signed-in-another-call.txt");
    let story = Story::parse(&fs::read_to_string(path).expect("a story")).expect("a story");
    let outcomes: Vec<Outcome> = diagnosed(&story).into_iter().map(|(call, _)| call.outcome).collect();
    assert_eq!(outcomes, [Outcome::Answered]);
}

#[test]
fn a_client_that_repeats_its_invite_to_the_end_has_given_up() {
    let outcome = |copies: &str| {
        let story = format!(
            "# A phone rings, and its ringing is heard late or never.\nalice 192.0.2.10:5060\nbob 192.0.2.30:5060\n\n\
             0.000  alice -> bob  INVITE sip:bob@example.com\n                     again timer-a{copies}\n\
             0.010  bob -> alice  180 Ringing\nend 60.0\n"
        );
        let story = Story::parse(&story).expect("a story");
        diagnosed(&story).into_iter().map(|(call, _)| call.outcome).next()
    };
    assert_eq!(outcome(""), Some(Outcome::Unanswered));
    assert_eq!(outcome(" x3"), Some(Outcome::Unfinished));
}

#[test]
fn a_cancelled_call_is_cancelled_whatever_code_ends_it() {
    for story in ["callee-busy/near-miss-cancelled-before.txt", "caller-abandoned/story-ended-with-603.txt"] {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures").join(story);
        let text = fs::read_to_string(&path).expect("a story");
        let calls = diagnosed(&Story::parse(&text).expect("a story"));
        let outcomes: Vec<Outcome> = calls.into_iter().map(|(call, _)| call.outcome).collect();
        assert_eq!(outcomes, [Outcome::Cancelled], "{story}");
    }
}

#[test]
fn who_does_not_ask_for_rport_has_to_mend_that_first() {
    let fix = finding("response-misdirected/story.txt").fix;
    assert!(fix[0].raw().contains("put rport into its Via"), "{fix:?}");
}

#[test]
fn an_answer_is_missing_since_the_first_copy_of_what_asks_for_it() {
    for story in ["bye-unanswered/story.txt", "timeout-behind-proxy/story.txt", "large-request-lost/story.txt"] {
        let finding = finding(story);
        let absent = finding.claims.iter().find(|claim| claim.field == "absent").expect("a claim of absence");
        let asked = finding.claims.iter().rfind(|claim| claim.field != "absent" && claim.place == absent.place);
        assert!(asked.is_some(), "{story}: {:?}", finding.claims);
    }
}

/// Who only seems to break a rule, and who does.
const SEEMING: &[(&str, Confidence)] = &[
    ("session-refresh-failed/story-hold-until-the-end.txt", Confidence::Likely),
    ("session-interval-too-small/story-none-asked.txt", Confidence::Likely),
    ("extension-unsupported/story-only-supported.txt", Confidence::Likely),
    ("extension-required/story-offered.txt", Confidence::Likely),
    ("syntax-rejected/story-sip-scheme.txt", Confidence::Likely),
    ("precondition-unmet/story-never-confirmed.txt", Confidence::Likely),
    ("identity-rejected/story-signed-behind.txt", Confidence::Likely),
    ("identity-rejected/story-signed-here.txt", Confidence::Likely),
    ("connection-failed/story-redirected.txt", Confidence::Likely),
    ("retry-not-renumbered/story.txt", Confidence::Likely),
    ("ice-failed/story.txt", Confidence::Likely),
    ("session-refresh-failed/story.txt", Confidence::Proven),
    ("session-interval-too-small/story.txt", Confidence::Proven),
];

#[test]
fn who_only_seems_to_break_a_rule_is_not_proven_to() {
    assert_sure(SEEMING);
}

/// A story, what is told in it, and what must not be.
type Told = (&'static str, &'static str, &'static str);

/// What the rules tell in stories.
fn assert_told(rows: &[Told], told: impl Fn(&Finding) -> String) {
    let wrong = rows.iter().filter_map(|(story, says, not)| {
        let told = told(&finding(story));
        (!told.contains(says) || told.contains(not)).then(|| format!("{story}: {told}"))
    });
    assert_eq!(wrong.collect::<Vec<_>>(), [""; 0]);
}

/// How failures are explained.
const EXPLAINED: &[Told] = &[
    ("ack-missing/story-proxy-keeps-the-ack.txt", "from there it does not go on", "Record-Route"),
    ("ack-missing/story-over-tcp-sent-once.txt", "TCP of 192.0.2.10:49152 acknowledged the 2xx", "repeated"),
    ("dialog-request-unanswered/story-over-tcp.txt", "32 s after that 192.0.2.10:49152 gave up", "copy"),
    (
        "next-hop-silent/story-over-tcp-acknowledged.txt",
        "TCP of 192.0.2.20:5060 acknowledged the REGISTER",
        "other messages",
    ),
    ("session-refresh-failed/story-update-not-allowed.txt", "had not listed UPDATE in its Allow", "Nothing that"),
    ("session-refresh-failed/story-update-never-named.txt", "did not try a re-INVITE", "had not listed"),
    ("session-refresh-failed/story-update-allowed.txt", "was refused with 405", "re-INVITE"),
    ("fax-switch-failed/story-audio-refused-too.txt", "refused too, with 488", "No G.711 was tried"),
    ("fax-switch-failed/story.txt", "No G.711 was tried", "refused too"),
    ("fax-switch-failed/story-media-until-a-complaint.txt", "ended the call 20 s later", "may have gone"),
    ("fax-switch-failed/near-miss-over-g711.txt", "may have gone", "ended the call"),
    ("glare-unresolved/story-both-hold.txt", "crossed a change", "shows none"),
    ("glare-unresolved/story-over-ipv6.txt", "the capture shows none", "crossed a change"),
    ("extension-required/story-offered.txt", "does name that in Supported", "does not name"),
    ("extension-unsupported/story-only-supported.txt", "in Supported alone", "demands it in"),
    ("precondition-unmet/story.txt", "no UPDATE came to say that it is met", "came met"),
    ("precondition-unmet/story-never-confirmed.txt", "a=conf:qos remote sendrecv", "des:qos"),
    ("precondition-unmet/story-not-reserved.txt", "a=des:qos failure local sendrecv", "Nothing that"),
    ("prack-missing/story-refused.txt", "refused it with 481", "which is not its number"),
    ("prack-missing/story-other-number.txt", "which is not its number", "refused it with"),
    ("session-timer-expired/story-refreshed-before.txt", "agreed on anew 2 min after", "never refreshed"),
    ("session-timer-expired/story-forced.txt", "names no timer in Supported", "agreed on anew"),
    ("identity-rejected/story-signed-behind.txt", "signed behind this point", "not signed"),
    ("identity-rejected/story-signed-here.txt", "although the request as captured here carries", "no Identity"),
    ("caller-abandoned/story-one-sided.txt", "holds nothing of what came back", "before it rang"),
    ("in-dialog-request-misrouted/story.txt", "192.0.2.30:5060 went on repeating", "192.0.2.20:5060 went on"),
    ("record-route-bypassed/story.txt", "none went on from there to 192.0.2.30", "past the proxies"),
    ("record-route-bypassed/story-past-the-proxy.txt", "past the proxies", "went on from there"),
    ("return-path-lost-into-proxy/story.txt", "passed on its 180 and answered its BYE", "lost between here"),
    ("return-path-lost/story-into-proxy.txt", "lost between here", "the way is open"),
    ("cancel-crossed-answer/story.txt", "nothing shows that 192.0.2.10:5060 got the answer", "as it must"),
    ("cancel-crossed-answer/story-bye-refused.txt", "did not end the answered call", "nothing shows"),
    ("replaces-unmatched/story.txt", "the tags are exchanged", "any more"),
    ("replaces-unmatched/story-exchanged-behind-proxy.txt", "the tags are exchanged", "any more"),
    ("replaces-unmatched/story-known-no-more.txt", "does not find it", "exchanged"),
    ("replaces-unmatched/story-still-ringing.txt", "that call only rings at 192.0.2.40", "any more"),
    ("timeout-behind-proxy/story.txt", "4 times, nothing came back in 6.0 s", "5 times"),
    ("timeout-behind-proxy/story-second-gateway-dead.txt", "503 from 192.0.2.20:5060", "out of it"),
    ("timeout-behind-proxy/story-forwarded-on-busy.txt", "to 192.0.2.21:5060, 4 times, nothing came back", "302"),
    ("timeout-behind-proxy/story-first-gateway-dead.txt", "failed too: 503 from 192.0.2.20:5060", "408 from"),
    ("timeout-behind-proxy/story-ended-afterwards.txt", "once, no final response came back in 6.0 s", "487"),
    ("timeout-behind-proxy/story-after-ringing.txt", "no answer from 192.0.2.30:5060, which it cancelled", "487"),
    ("redirect-target-failed/story-proxy-follows.txt", "198.51.100.10:5060 followed that itself", "the caller went"),
    ("redirect-target-failed/story.txt", "the caller went there", "followed that itself"),
    ("fork-all-failed/story-refused-at-once.txt", "480 from 192.0.2.20:5060 and nothing from 192.0.2.21", "503"),
    ("routing-loop/story-to-itself.txt", "went round: 198.51.100.10:5060 → 198.51.100.10:5060.", "203.0.113.5"),
    ("routing-loop/story-only-via.txt", "as its Via says: 192.0.2.20 → 192.0.2.21 → 192.0.2.20.", "192.0.2.10"),
    ("routing-loop/story.txt", "192.0.2.20:5060 → 192.0.2.21:5060 → 192.0.2.22:5060 → 192.0.2.20:5060.", "192.0.2.10"),
    ("response-misdirected/story-port-closed.txt", "203.0.113.5 answered with ICMP port unreachable", "listens"),
    ("response-misdirected/story-port-heard-on.txt", "But SIP came from 203.0.113.50:5060 too", "with ICMP"),
    ("response-misdirected/story-port-that-only-gets.txt", "its request: it never gets it.", "But SIP came"),
    ("callee-unreachable/story-gateway-silent.txt", "had sent 192.0.2.40 its last 3 probes (OPTIONS) in vain", "lasts"),
    ("callee-unreachable/story-gateway-answers-probes.txt", "no way leads there now.", "probe"),
    ("callee-unreachable/story-gateway-turns-probes-away.txt", "in vain (408, 503 or no answer)", "silent"),
    ("callee-unreachable/story-gateway-knows-no-probes.txt", "no way leads there now.", "probe"),
    ("callee-unreachable/story-says-not-registered.txt", "no device of the callee is registered", "probe"),
    ("contact-unreachable/story-wrong-contact.txt", "came from 192.0.2.20:5060 to 198.51.100.10:5060", "Record-Route"),
    ("next-hop-silent/story.txt", "came 10.0 s before, and none came after it", "the way back exists"),
    ("peer-probe-failed/story.txt", "to its next one 3 min passed", "none in the"),
    ("peer-probe-failed/story-for-good.txt", "none in the 3 min after that", "to its next one"),
    ("fork-not-released/story.txt", "192.0.2.40:5060 sent it", "that device"),
    ("fork-not-released/story-both-confirmed.txt", "192.0.2.40:5060, which sent this answer", "neither ACK"),
    ("released-by/story-second-answer-given-up.txt", "The caller's side (192.0.2.10:5060)", "callee's side"),
    ("silent-downstream/story-cancelled-by-proxy.txt", "until 192.0.2.20:5060 cancelled", "caller gave up"),
    ("silent-downstream/story.txt", "until the caller gave up", "cancelled the INVITE"),
    ("caller-abandoned/story-nothing-came-back.txt", "Until then nothing had come back", "100"),
    ("first-response-slow/story-each-copy-answered.txt", "610 ms after the REGISTER", "lost"),
    (
        "rejected-by-callee/story-registered-only-later.txt",
        "it registers 4.0 s later, and then a call to it is accepted",
        "device rang",
    ),
    ("rejected-by-callee/story-registered-only-later-but-a-cause.txt", "nothing had rung", "No registration"),
    ("nonce-never-accepted/story-taken-as-late.txt", "it took another one 17 s after the REGISTER", "too old"),
    ("nonce-never-accepted/story-answered-late.txt", "for too old", "it took another one"),
    ("media-late/story-both-at-once.txt", "comes at the same moment, 7.0 s after", "cut off"),
    ("media-late/story.txt", "the first words are cut off", "same moment"),
    ("server-fault/story-504-at-once.txt", "so soon it has waited for none", "in vain"),
    ("ice-failed/story.txt", "did not check again in the other role", "no check of it succeeded"),
    ("ice-failed/story-checked-again-in-vain.txt", "no check of it succeeded", "did not check again"),
    ("refused-by-policy/story-caller-not-registered.txt", "It says nothing of \"+12025550123\"", "does not allow"),
    ("credentials-rejected/story-locked-out.txt", "try again in 300 s", "any more"),
    ("credentials-rejected/story-locked-silently.txt", "had refused the digest of user \"alice\" twice", "own words"),
    ("credentials-rejected/story-account-locked.txt", "by its own words", "unknown there"),
    ("credentials-rejected/story-refused-for-good.txt", "twice with a new challenge, and then with 403", "locked"),
    ("credentials-rejected/story-refused-for-good-in-silence.txt", "has locked the account meanwhile", "phrase"),
    ("number-not-routable/story-emergency-service.txt", "the service urn:service:sos.mountain", "\"service:sos"),
    ("callee-unreachable/story-emergency-service.txt", "nobody who gives that service", "device"),
    ("callee-unreachable/story-queue-full.txt", "the queue is full", "registered"),
    (
        "callee-unreachable/story-registered.txt",
        "was granted 118 s before the call",
        "no device of the callee is registered",
    ),
    ("callee-unreachable/story-gateway.txt", "no way leads there now", "the device refuses"),
    ("callee-busy/story-forwarded.txt", "after a 181, which does not say", "before anything rang"),
    ("callee-busy/story-conference-full.txt", "the conference is full", "the callee is busy"),
    ("rejected-by-callee/story-conference-full.txt", "the conference is full", "the device"),
    ("ended-by-failure/story-credit.txt", "SIP 403 (\"Credit exhausted\")", "wish of a party"),
    ("ended-by-failure/story-preempted.txt", "a call of higher priority", "wish of a party"),
    ("ended-by-failure/story-of-a-server.txt", "SIP 503 (\"Service Unavailable\")", "cut the call off"),
    ("flow-failed/story-first-hop.txt", "the first proxy on its way, 192.0.2.21:5060,", "gone"),
    ("registration-interval-too-brief/story-minimum-moves.txt", "moves its minimum", "did not ask for that"),
    ("server-overloaded/story-overload-control.txt", "100 % fewer requests", "a limit"),
    ("registration-lapsed/story-called-with-plus.txt", "(as \"12025550123\")", "renewed ("),
    ("precondition-unmet/story-update-refused.txt", "the UPDATE of 192.0.2.10:5060 with 580", "never alerted"),
    ("syntax-rejected/story-star-without-end.txt", "and there is no Expires", "nothing broken"),
    ("payload-type-unexpected/story-both-sides.txt", "and the callee asked for 96 only", "and the callee asked for 8"),
    ("payload-type-unexpected/story-both-sides.txt", "and the caller asked for 96 only", "and the caller asked for 8"),
    ("dtmf-mismatch-info-refused/story-other-form.txt", "It accepts \"application/dtmf\"", "dtmf-relay"),
    ("no-common-codec/story-messages-alone.txt", "only message over TCP/MSRP", "codecs"),
    (
        "next-hop-silent/story-told-as-congestion.txt",
        "6.5 s after that INVITE 192.0.2.20:5060 answered 192.0.2.101:5060 with 503 and Q.850 cause 34.",
        "no circuit",
    ),
];

/// What is to be done.
const ADVISED: &[Told] = &[
    ("number-not-routable/story-emergency-number.txt", "It is a short code", "as an extension is"),
    ("replaces-unmatched-early-only/story-answered-in-capture.txt", "leave out early-only", "know that call"),
    ("callee-busy/story-emergency-service.txt", "centre (PSAP)", "call waiting"),
    ("routing-loop/story-to-itself.txt", "to its own address", "203.0.113.5"),
    ("timeout-behind-proxy/story-second-gateway-dead.txt", "as long as it is", "second destination"),
    ("contact-unreachable/story-wrong-contact.txt", "Let 192.0.2.20:5060 write an address into Contact", "external"),
    ("timeout-at-responder/story-emergency-service.txt", "centre (PSAP)", "that registers"),
    ("timeout-at-responder/story-register.txt", "Look at the registrar", "that registers"),
    ("no-common-codec/story-messages-alone.txt", "at all", "PCMA"),
    ("dtmf-mismatch-info-refused/story-other-form.txt", "as application/dtmf, or in RTP", "wants them"),
    ("prack-missing/story-prack-gets-lost.txt", "into Contact", "Switch 100rel off"),
    ("prack-missing/story-past-the-proxy.txt", "Record-Route", "into Contact"),
    ("prack-missing/story-wrong-contact-behind-proxy.txt", "Let 198.51.100.30:5060 write", "Let 203.0.113.20"),
    ("prack-missing/story-sent-elsewhere.txt", "it must go to the Contact", "Record-Route"),
    ("trunk-congested/story-cause-of-asterisk.txt", "with the channels it has", "task processors"),
];

#[test]
fn what_is_said_fits_the_messages_that_prove_it() {
    assert_told(EXPLAINED, |finding| finding.explanation.raw().to_owned());
    assert_told(ADVISED, |finding| finding.fix.iter().map(|step| step.raw()).collect::<Vec<_>>().join(" "));
    for story in ["hold-stuck/story-resume-refused.txt", "hold-stuck/story-answered-on-hold.txt"] {
        assert_eq!(finding(story).fix.len(), 1, "{story}: {:?}", finding(story).fix);
    }
}

#[test]
fn whom_nothing_shows_to_be_reached_is_not_said_to_be() {
    let is_refuted = |story: &str| finding(story).refuted.iter().any(|rival| rival.rule == "callee-unreachable");
    assert!(is_refuted("rejected-by-callee/story.txt"));
    assert!(!is_refuted("rejected-by-callee-at-once/story.txt"));
}

#[test]
fn what_is_counted_or_long_is_shown_by_its_value() {
    let shown = |story: &str, field: &str| {
        let claims = finding(story).claims;
        claims.iter().filter(|claim| claim.field == field).map(|claim| claim.value.raw().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(shown("registration-lapsed/story.txt", "sip.contact.parameter"), ["expires=60"]);
    assert_eq!(shown("large-request-lost/story.txt", "udp.length"), ["2226"]);
    assert_eq!(shown("transfer-failed/story.txt", "sipfrag.line"), ["SIP/2.0 486 Busy Here"]);
    assert_eq!(shown("precondition-unmet/story.txt", "sdp.media_attr"), ["des:qos mandatory local sendrecv"]);
    assert_eq!(shown("diversion-loop/story.txt", "sip.Diversion").len(), 2);
    assert_eq!(shown("request-merged/story.txt", "sip.Via.branch").len(), 2);
    assert_eq!(shown("response-misdirected/story.txt", "sip.Via").len(), 1);
    assert_eq!(shown("response-misdirected/story-other-address.txt", "ipv6.dst"), ["2001:db8:2::51"]);
    assert_eq!(shown("old-nonce-reused/story.txt", "sip.auth.stale"), ["true", "true"]);
    // Two that were accepted, and one after a BYE.
    assert_eq!(shown("channel-limit-reached/story.txt", "sip.CSeq.method").len(), 3);
    assert_eq!(shown("channel-limit-reached/story.txt", "sip.Status-Code").len(), 1);
}

#[test]
fn who_refused_a_report_is_the_one_behind_the_proxy() {
    let party = finding("subscription-dead/story-behind-proxy.txt").party;
    assert_eq!(party.address.map(|address| address.to_string()).as_deref(), Some("192.0.2.10:5060"));
}

/// Requests that are no part of a call.
const NO_CALLS: &[&str] = &[
    "callee-unreachable/story-message.txt",
    "rejected-by-callee/story-message.txt",
    "callee-busy/story-message.txt",
    "registration-lapsed/story-message.txt",
    "redirect-not-followed/story-register.txt",
    "refused-by-policy/story-too-many-contacts.txt",
];

#[test]
fn what_is_no_call_is_not_spoken_of_as_one() {
    for story in NO_CALLS {
        let finding = finding(story);
        let said = [finding.title.raw(), finding.explanation.raw()].join(" ");
        let steps: Vec<&str> = finding.fix.iter().map(|step| step.raw()).collect();
        let is_told = |text: &str| text.split(|letter: char| !letter.is_alphabetic()).any(|word| word == "call");
        assert!(!is_told(&said) && !is_told(&steps.join(" ").replace("Call-ID", "")), "{story}: {said} {steps:?}");
    }
}

#[test]
fn what_a_client_asked_for_is_told_as_it_changed() {
    let explanation = finding("registration-interval-too-brief/story-raised-too-little.txt").explanation;
    assert!(explanation.raw().contains("240 s, after 60 s and 120 s;"), "{explanation:?}");
    let explanation = finding("registration-interval-too-brief/story-publish.txt").explanation;
    assert!(explanation.raw().contains("asked to publish for 20 s"), "{explanation:?}");
}

#[test]
fn a_cancel_alone_tells_of_no_answer() {
    let story = "# A CANCEL whose INVITE the capture missed.\n\
        alice 192.0.2.10:5060\npbx 192.0.2.20:5060\n\n\
        0.000  alice ~> pbx  INVITE sip:1002@example.com\n\
        5.000  alice -> pbx  CANCEL\n\
        5.020  pbx -> alice  481 Call/Transaction Does Not Exist\nend 60.0\n";
    let story = Story::parse(story).expect("a story");
    let outcomes: Vec<Outcome> = diagnosed(&story).into_iter().map(|(call, _)| call.outcome).collect();
    assert!(!outcomes.is_empty() && !outcomes.contains(&Outcome::Answered), "{outcomes:?}");
}

/// Rules about what somebody wrote; a proxy that passes it on has not.
const OF_THE_AUTHOR: &[&str] = &[
    "caller-identity-refused",
    "media-keying-mismatch",
    "message-too-large",
    "replaces-unmatched",
    "request-uri-without-user",
    "sdp-malformed",
    "security-agreement-required",
    "session-interval-too-small",
    "special-requirement-refused",
    "syntax-rejected",
];

#[test]
fn what_a_proxy_passed_on_is_told_of_its_author() {
    for rule in OF_THE_AUTHOR {
        let Party { role, address, .. } = finding(&format!("{rule}/story-through-proxy.txt")).party;
        let address = address.map(|address| address.to_string());
        assert_eq!((role, address.as_deref()), (Role::Uac, Some("192.0.2.10:5060")), "{rule}");
    }
    for story in ["late-offer-unsupported/story-through-proxy.txt", "redirect-not-followed/story-passed-on.txt"] {
        let finding = finding(story);
        assert!(finding.fix[0].raw().starts_with("Let 192.0.2.10:5060 "), "{story}: {:?}", finding.fix);
    }
}

#[test]
fn the_time_that_the_last_of_several_rang_is_told_as_its_own() {
    let explanation = finding("ring-timeout/story-one-after-another.txt").explanation.raw().to_owned();
    assert!(explanation.contains("had tried 2 other destinations before"), "{explanation}");
}

/// Stories whose deciding message the capture cut off: how sure the finding is, and what it says of the cut.
const CUT: &[(&str, Confidence, &str)] = &[
    ("caller-abandoned/story-cut.txt", Confidence::Possible, "A Reason behind the cut may say otherwise"),
    ("caller-abandoned/story-cut-behind-normal-clearing.txt", Confidence::Likely, "normal clearing as the reason"),
    ("cancel-crossed-answer/story-cut.txt", Confidence::Proven, "confirmed the answer and ended the call with BYE"),
    (
        "registration-interval-too-brief/story-cut-before-expires.txt",
        Confidence::Likely,
        "for an interval that is behind the cut;",
    ),
    ("server-fault/story-cut.txt", Confidence::Possible, "what it is may stand behind the cut"),
    (
        "address-of-record-refused/story-cut.txt",
        Confidence::Possible,
        "(whether the REGISTER shows credentials is behind the cut)",
    ),
    ("message-too-large/story-cut.txt", Confidence::Proven, "it has 635 bytes, of which 208 were captured"),
    (
        "special-requirement-refused/story-cut.txt",
        Confidence::Proven,
        "its Geolocation, if it carries one, is behind the cut",
    ),
    ("challenge-not-answered/story-cut.txt", Confidence::Possible, "showed none before the cut, and began anew once"),
    (
        "session-interval-too-small/story-cut.txt",
        Confidence::Possible,
        "may ask for a session timer behind the cut, and the minimum is 1800 s",
    ),
    (
        "dialog-state-lost/story-cut.txt",
        Confidence::Possible,
        "what tells whether its tags are those of the dialog is behind the cut",
    ),
    ("extension-required/story-cut.txt", Confidence::Likely, "an extension, whose name is behind the cut"),
];

#[test]
fn what_may_stand_behind_a_cut_is_not_said_to_be_lacking() {
    for (story, confidence, words) in CUT {
        let finding = finding(story);
        assert_eq!(finding.confidence, *confidence, "{story}");
        assert!(finding.explanation.raw().contains(words), "{story}: {:?}", finding.explanation);
        assert!(
            finding.refuted.iter().all(|rival| rival.rule != "answered-elsewhere"),
            "{story}: {:?}",
            finding.refuted
        );
    }
}
