//! What is not proven: by what a capture does not hold that lacks packets, and by a code whose sender names another
//! ground in words; and what is the same however it is written.

mod told;

use sipwhy::diagnosis::Confidence::{self, Likely, Possible, Proven};
use sipwhy::diagnosis::Role;
use told::told;

/// A story of a rule, how sure the rule is, what it says, and what it must not say.
type Row = (&'static str, &'static str, Confidence, &'static str, &'static str);

/// Calls of which the capture lacks packets, as its system says or as the numbers of the requests show.
const LACKING: &[Row] = &[
    ("challenge-not-answered", "packets-dropped", Possible, "which lacks packets", "never sent"),
    ("challenge-not-answered", "next-try-missed", Possible, "which lacks packets", "never sent"),
    ("registration-interval-too-brief", "packets-dropped", Possible, "which lacks packets", "did not ask"),
    ("session-interval-too-small", "packets-dropped", Possible, "no try with more is known", "followed"),
    ("redirect-not-followed", "packets-dropped", Likely, "there in this capture", "there."),
    ("cancel-crossed-answer", "packets-dropped", Possible, "which lacks packets", "did not end"),
    ("cancel-unanswered", "packets-dropped", Possible, "in this capture, which lacks packets", "forbids"),
    ("dialog-identifiers-wrong", "packets-dropped", Likely, "carries the tag", "nothing"),
    ("subscription-dead", "end-missed", Possible, "one of which may have ended the subscription", "nothing"),
    ("precondition-unmet", "update-missed", Proven, "could not be", "Nothing that"),
    ("in-dialog-request-misrouted", "packets-dropped", Likely, "sent its BYE wrongly", "nothing"),
    ("replaces-unmatched", "unseen-call", Likely, "none with this Call-ID is in the capture", "exchanged"),
];

/// Refusals whose words name another ground than their code stands for.
const SAID_OTHERWISE: &[Row] = &[
    ("special-requirement-refused", "account-suspended", Possible, "Those words name another ground", "But"),
    ("identity-rejected", "account-suspended", Possible, "account suspended\": that names another ground", "Those"),
    ("security-agreement-required", "licence-expired", Possible, "licence expired\": that names", "Those"),
    ("flow-failed", "account-suspended", Possible, "account suspended\": that names another ground", "Those"),
    ("message-too-large", "account-suspended", Possible, "account suspended\": that names another ground", "Those"),
    ("caller-identity-refused", "account-suspended", Possible, "Those words name another ground", "But"),
    ("caller-unwanted", "account-suspended", Possible, "Those words name another ground", "But"),
    ("blocked-by-analytics", "account-suspended", Possible, "account suspended\": that names another", "Those"),
    ("precondition-unmet", "account-suspended", Possible, "account suspended\": that names another", "Those"),
    ("number-not-routable", "account-suspended", Possible, "account suspended\": that names another", "Those"),
    ("trunk-congested", "account-suspended", Possible, "account suspended\": that names another", "Those"),
    ("address-of-record-refused", "database-lost", Possible, "Those words name another ground", "But"),
    ("address-of-record-refused", "no-route", Likely, "No route to destination", "another ground"),
    ("overload-backoff-ignored", "database-lost", Possible, "connection lost\": that names another", "Those"),
    ("server-overloaded", "licence-expired", Possible, "Those words name another ground", "But"),
    ("refused-by-policy", "database-lost", Possible, "Those words name another ground", "But"),
    ("cseq-regressed", "database-lost", Possible, "database connection lost", "another ground"),
    ("media-profile-mismatch", "account-suspended", Possible, "account suspended\": that names another", "Those"),
    ("registration-lapsed", "do-not-disturb", Possible, "Do Not Disturb\": that names another", "Those"),
    ("callee-busy", "everywhere-account-suspended", Possible, "Those words name another ground", "But"),
    ("session-interval-too-small", "account-suspended", Possible, "account suspended\": that names", "Those"),
    ("request-uri-without-user", "database-lost", Possible, "connection lost\": that names another", "Those"),
    ("rejected-by-callee", "no-analytics", Likely, "declined the call with 603", "another ground"),
    ("retry-not-renumbered", "loop-said", Likely, "does not raise CSeq", "another ground"),
];

/// What is written otherwise, or sent in another way, and is in order all the same.
const IN_ORDER: &[Row] = &[
    ("number-not-routable", "plus-escaped", Likely, "refused the number %2B4930123456", "no such user"),
    ("number-not-routable", "code-escaped", Likely, "refused the number %2A21%2A1002%23", "no such user"),
    ("identity-rejected", "from-escaped", Proven, "the signature does not hold", "The token is"),
    ("registration-lapsed", "registered-escaped", Likely, "had run out 30 s before", "nothing had rung"),
    ("registration-lapsed", "called-escaped", Likely, "had run out 30 s before", "nothing had rung"),
    ("diversion-loop", "escaped", Proven, "names 1001 and 1002 and it comes to 1001 again", "%31"),
    ("redirect-loop", "escaped", Proven, "where it had been tried before", "sent no request"),
    ("callee-busy", "unescaped-by-the-pbx", Likely, "Q.850 cause 17", "the fault lies"),
    ("caller-identity-refused", "from-escaped", Likely, "From shows sip:%61lice", "credentials are those of"),
    ("stale-binding", "called-escaped", Likely, "stayed silent", "nothing"),
    ("body-type-unsupported", "any-of-its-kind", Likely, "takes that very type", "It accepts"),
    ("body-type-unsupported", "second-line", Likely, "takes that very type", "It accepts"),
    ("event-unsupported", "second-line", Possible, "although it lists that package", "does not know"),
    ("method-unsupported", "second-line", Possible, "its Allow names INVITE", "does not support"),
    ("security-agreement-required", "verified", Possible, "repeats in Security-Verify", "offers none"),
    ("registration-interval-too-brief", "two-contacts", Proven, "asked to register for 60 s", "3600"),
    ("registration-interval-too-brief", "parameter", Proven, "although 192.0.2.10:5060 asks to register", "too short"),
    ("no-common-codec", "video-alone", Possible, "does not say what it can do", "They share none"),
    ("cancelled-with-reason", "behind-a-proxy", Proven, "or of a proxy", "The caller's side"),
    ("server-fault", "asks-for-no-pause", Possible, "answered 503", "left alone"),
    ("caller-identity-refused", "privacy-on-two-lines", Proven, "withholds the caller's number", "here From shows"),
    ("hop-limit-too-low", "after-two-hops", Likely, "it began with about 4", "routing"),
    ("routing-loop", "by-the-sbc-twice", Likely, "passed a server twice", "went round"),
    ("session-refresh-failed", "refuser-hangs-up", Likely, "was refused with 500", "no answer"),
    ("transfer-failed", "not-reached", Proven, "made itself of a target that it did not reach", "because the target"),
    ("transfer-failed", "given-up", Proven, "gave the call to the target up", "target answered"),
    ("extension-required", "taken-out", Proven, "the one that 192.0.2.20:5060 sent on does not", "the INVITE does not"),
];

fn wrong(rows: &[Row]) -> Vec<String> {
    let wrong = rows.iter().filter_map(|(rule, story, sure, says, must_not)| {
        let Some(finding) = told(rule, &format!("story-{story}.txt")) else { return Some(format!("{rule} {story}")) };
        let said = finding.explanation.raw();
        let is_right = finding.confidence == *sure && said.contains(says) && !said.contains(must_not);
        (!is_right).then(|| format!("{rule} {story}: {:?} {said}", finding.confidence))
    });
    wrong.collect()
}

#[test]
fn what_a_capture_lacks_is_not_missing_for_certain() {
    assert_eq!(wrong(LACKING), [""; 0]);
}

#[test]
fn a_code_is_a_possible_ground_beside_words_that_name_another() {
    assert_eq!(wrong(SAID_OTHERWISE), [""; 0]);
}

#[test]
fn what_is_written_otherwise_is_in_order() {
    assert_eq!(wrong(IN_ORDER), [""; 0]);
}

#[test]
fn who_takes_out_what_the_caller_supports_is_named() {
    let finding = told("extension-required", "story-taken-out.txt").expect("a finding");
    assert_eq!(finding.party.address.map(|address| address.to_string()).as_deref(), Some("192.0.2.20:5060"));
    assert_eq!(finding.party.role, Role::Proxy);
}
