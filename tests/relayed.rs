//! Whom a finding names where a B2BUA relays the media: who answered, or should have sent, on the leg where the fault
//! is.

mod told;

use sipwhy::diagnosis::{Confidence, Finding, Role};

/// What the rule of its folder says in a story.
fn told(story: &str) -> Option<Finding> {
    let (rule, name) = story.split_once('/')?;
    told::told(rule, name)
}

#[test]
fn the_leg_where_the_fault_is_names_the_party() {
    let wanted = [
        ("answer-malformed/story-behind-the-sbc.txt", "198.51.100.9:5060", "the answer takes G729"),
        ("answer-malformed/story-passed-on-by-the-sbc.txt", "198.51.100.9:5060", "the answer takes G729"),
        ("answer-unusable/story-behind-the-sbc.txt", "198.51.100.9:5060", "refused every stream"),
        ("answer-unusable/story-said-on-the-first-leg.txt", "192.0.2.20:5060", "192.0.2.20:5060 ended the call"),
        ("one-way-media/story-behind-the-sbc.txt", "198.51.100.9:19002", "none to the caller's side"),
        ("one-way-media/story-not-relayed.txt", "203.0.113.40:18002", "came to 192.0.2.40:17002, and they are not"),
        ("one-way-media/story-not-relayed-back.txt", "192.0.2.40:17002", "came to 203.0.113.40:18002, and they are"),
        ("one-way-media/story-inner-media-elsewhere.txt", "192.0.2.40:17002", "went to the callee within"),
        ("one-way-media/story-early-media-only.txt", "192.0.2.30:5004", "200 packets of early media came there before"),
        ("one-way-media/story-keep-alives-only.txt", "192.0.2.30:5004", "have the payload type 126, which nobody"),
        ("one-way-media/story-sent-to-the-session-address.txt", "192.0.2.10:7078", "in a c= under the m= line"),
        ("private-media-address/story-behind-the-sbc.txt", "198.51.100.9:5060", "10.77.0.9:19000"),
        ("payload-type-unexpected/story-behind-the-sbc.txt", "203.0.113.40:18000", "the payload type 18"),
        ("payload-type-unexpected/story-relayed-by-the-sbc.txt", "198.51.100.9:19000", "the payload type 18"),
        ("media-stopped-early/story-behind-the-sbc.txt", "198.51.100.9:19000", "the caller's side got no RTP"),
        ("media-stopped-early/story-not-relayed-on.txt", "192.0.2.40:17000", "the caller got no RTP"),
        ("media-late/story-behind-the-sbc.txt", "198.51.100.9:19000", "The caller's side was sent its first RTP"),
        ("media-late/story-held-back-by-the-sbc.txt", "192.0.2.40:17000", "came to 203.0.113.40:18000 in time"),
        ("media-address-differs/story-behind-the-sbc.txt", "198.51.100.9:19000", "named 198.51.100.77:19000"),
        ("dtmf-event-malformed/story-behind-the-sbc.txt", "203.0.113.40:18000", "it never has the end bit"),
        ("dtmf-event-malformed/story-by-the-callee.txt", "192.0.2.30:5004", "it never has the end bit"),
        ("reinvite-refused/story-on-the-other-leg.txt", "192.0.2.101:5060", "192.0.2.101:5060 refused a re-INVITE"),
        ("ended-by-failure/story-refused-behind.txt", "198.51.100.10:5060", "198.51.100.10:5060 had refused the leg"),
        ("media-inactivity-teardown/story-between-two-legs.txt", "192.0.2.20:5060", "had got no RTP for 30 s"),
        ("released-by/story-by-the-pbx-itself.txt", "192.0.2.20:5060", "neither party hung up on it"),
        ("released-by/story-by-the-proxy-itself.txt", "192.0.2.20:5060", "neither party hung up on it"),
        ("request-merged/story-branch-of-each-copy.txt", "192.0.2.10:5060", "each time with another branch"),
        ("callee-busy/story-hunted-on.txt", "198.51.100.10:5060", "486"),
        ("number-not-routable/story-hunted-on.txt", "198.51.100.10:5060", "404"),
        ("credentials-rejected/story-proxy-of-a-trunk.txt", "192.0.2.20:5060", "refused the digest of user \"trunk1\""),
        ("media-port-closed/story-closed-after-media.txt", "192.0.2.30:5004", "media came from there for"),
        ("failover-slow/story-of-a-pbx.txt", "192.0.2.20:5060", "198.51.100.10:5060 did not answer"),
        ("registration-interval-too-brief/story-through-a-proxy.txt", "192.0.2.10:5060", "192.0.2.10:5060 asked to"),
        ("challenge-not-answered/story-challenge-taken-out.txt", "192.0.2.20:5060", "192.0.2.20:5060 took it out"),
        ("event-unsupported/story-through-a-proxy.txt", "192.0.2.30:5060", "192.0.2.10:5060 refreshes what it had"),
        ("media-loss/story-behind-the-sbc.txt", "198.51.100.9:19000", "They were lost before this point"),
    ];
    let wrong = wanted.into_iter().filter_map(|(story, address, says)| {
        let Some(finding) = told(story) else { return Some(format!("{story}: nothing")) };
        let named = finding.party.address.map(|address| address.to_string());
        let is_told = named.as_deref() == Some(address) && finding.explanation.raw().contains(says);
        (!is_told).then(|| format!("{story}: {named:?} {}", finding.explanation.raw()))
    });
    assert_eq!(wrong.collect::<Vec<_>>(), [""; 0]);
}

#[test]
fn a_proxy_that_carries_a_dialog_is_no_user_agent() {
    let wanted = [
        ("ack-missing/story-private-proxy-keeps-the-ack.txt", Role::Proxy, "10.0.0.20:5060", "does not go on to 10.0"),
        ("ack-missing/story-past-the-proxy.txt", Role::Network, "10.0.0.31:5060", "10.0.0.31:5060 answered with 200"),
        ("ack-missing/story-after-the-refusal.txt", Role::Proxy, "192.0.2.20:5060", "with it the INVITE was over"),
        ("bye-refused/story-no-record-route.txt", Role::Proxy, "192.0.2.20:5060", "had asked for none"),
        ("bye-refused/story-route-left-out.txt", Role::Uas, "198.51.100.30:5060", "and the BYE has no Route"),
        ("response-ignored/story-behind-the-proxy.txt", Role::Uas, "198.51.100.30:5060", "cannot be matched"),
        ("session-timer-expired/story-through-the-proxy.txt", Role::Uac, "192.0.2.10:5060", "was never refreshed"),
        ("session-refresh-failed/story-through-the-proxy.txt", Role::Uas, "192.0.2.30:5060", "refused with 403"),
        ("prack-missing/story-through-the-proxy.txt", Role::Uac, "192.0.2.10:5060", "it got no PRACK"),
        ("prack-missing/story-proxy-keeps-the-prack.txt", Role::Proxy, "192.0.2.20:5060", "192.0.2.10:5060 did send"),
        ("transfer-failed/story-refused-behind-the-proxy.txt", Role::Uas, "192.0.2.30:5060", "asked 192.0.2.30:5060"),
    ];
    for (story, role, address, says) in wanted {
        let finding = told(story).expect("a finding");
        let named = finding.party.address.map(|address| address.to_string());
        assert_eq!((finding.party.role, named.as_deref()), (role, Some(address)), "{story}");
        assert!(finding.explanation.raw().contains(says), "{story}: {}", finding.explanation.raw());
    }
    let refused = told("reinvite-refused/story-through-the-proxy.txt").expect("a finding");
    assert!(refused.fix.iter().any(|fix| fix.raw().contains("Let 192.0.2.10:5060 offer PCMU again")));
}

#[test]
fn what_the_callee_sends_is_of_its_side() {
    let side = |story| told(story).map(|finding| finding.party.role);
    assert_eq!(side("dtmf-event-malformed/story-by-the-callee.txt"), Some(Role::Uas));
    assert_eq!(side("dtmf-event-malformed/story-behind-the-sbc.txt"), Some(Role::Uac));
}

#[test]
fn a_media_timeout_is_as_sure_as_what_is_said_of_it() {
    let (coded, flowing) = ("story-cause-of-asterisk.txt", "story-media-flow-to-the-end.txt");
    let wanted =
        [(coded, Confidence::Likely, "cause 44"), (flowing, Confidence::Proven, "RTP went to 192.0.2.30:5004")];
    for (story, sure, says) in wanted {
        let finding = told(&format!("media-inactivity-teardown/{story}")).expect("a finding");
        assert_eq!((finding.confidence, finding.explanation.raw().contains(says)), (sure, true), "{story}");
    }
}

#[test]
fn of_media_that_stop_at_one_moment_nobody_is_blamed() {
    let finding = told("media-stopped-early/story-both-at-once.txt").expect("a finding");
    assert_eq!((finding.confidence, finding.party.address), (Confidence::Possible, None));
}

#[test]
fn of_a_leg_that_is_joined_by_a_guess_nothing_is_proven() {
    let sure = |story| told(story).map(|finding| finding.confidence);
    assert_eq!(sure("payload-type-unexpected/story-behind-the-sbc.txt"), Some(Confidence::Proven));
    assert_eq!(sure("payload-type-unexpected/story-joined-by-a-guess.txt"), Some(Confidence::Likely));
}
