//! What a gateway's Q.850 cause, a description or a code says, and what it does not: sentences that once said more.

mod followed;

use followed::diagnosed;
use sipwhy::call::Outcome;
use sipwhy::diagnosis::{Confidence, Diagnosis, Finding};
use sipwhy::story::Story;

const ACTORS: &str = "\
alice 192.0.2.10:5060
pbx 192.0.2.20:5060 agent \"Asterisk PBX 20.5.0\"
gw 198.51.100.30:5060 agent \"Sonus GSX\"
";

/// The diagnosis of the first call of a story.
fn of(lines: &str) -> Diagnosis {
    let text = format!("# A call.\n{ACTORS}\n{}\n", lines.trim_matches('\n'));
    let story = Story::parse(&text).unwrap_or_else(|error| panic!("{error}\n{text}"));
    let first = diagnosed(&story).into_iter().min_by_key(|(call, _)| call.number);
    first.expect("a call").1
}

/// A call that a gateway refuses with this status line and these headers.
fn refused(status: &str, headers: &str) -> Diagnosis {
    let headers: String = headers.lines().map(|line| format!("                    {line}\n")).collect();
    of(&format!(
        "
0.000  alice -> gw  INVITE sip:+15550100@198.51.100.30
0.010  gw -> alice  100 Trying
0.900  gw -> alice  {status}
{headers}0.910  alice -> gw  ACK
end 60.0"
    ))
}

/// The session description of an `o=` (name, session, version) at an address, as a story has it beneath a message.
fn described(owner: &str, address: &str, media: &[&str]) -> String {
    let session = [
        "v=0".into(),
        format!("o={owner} IN IP4 {address}"),
        "s=-".into(),
        format!("c=IN IP4 {address}"),
        "t=0 0".into(),
    ];
    let lines = session.into_iter().chain(media.iter().map(|line| (*line).to_owned()));
    let lines: String = lines.map(|line| format!("                    | {line}\n")).collect();
    format!("                    Content-Type: application/sdp\n{lines}")
}

fn finding<'a>(diagnosis: &'a Diagnosis, rule: &str) -> &'a Finding {
    let found = diagnosis.findings.iter().find(|finding| finding.rule == rule);
    found.unwrap_or_else(|| panic!("no {rule} among {:?}", diagnosis.findings))
}

/// All that a finding says: its explanation, its steps, its claims and the rivals that it names.
fn words(finding: &Finding) -> String {
    let claims =
        finding.claims.iter().map(|claim| format!("{}={} {}", claim.field, claim.value.raw(), claim.says.raw()));
    let refuted = finding.refuted.iter().map(|refuted| refuted.why.raw().to_owned());
    let fix = finding.fix.iter().map(|step| step.raw().to_owned());
    let said = [finding.explanation.raw().to_owned()].into_iter().chain(fix).chain(claims).chain(refuted);
    said.collect::<Vec<String>>().join("\n")
}

fn cause(diagnosis: &Diagnosis) -> (&str, Confidence) {
    diagnosis.cause().map(|cause| (&*cause.rule, cause.confidence)).expect("a cause")
}

#[test]
fn the_outcome_is_that_of_the_code_whatever_the_cause_says() {
    let of_cause = |status, cause: u32| refused(status, &format!("Reason: Q.850;cause={cause}")).outcome;
    assert_eq!(of_cause("503 Service Unavailable", 17), Outcome::Failed);
    assert_eq!(of_cause("603 Decline", 17), Outcome::Failed);
    assert_eq!(of_cause("486 Busy Here", 34), Outcome::Busy);
    assert_eq!(of_cause("486 Busy Here", 41), Outcome::Busy);
    assert_eq!(of_cause("486 Busy Here", 17), Outcome::Busy);
    assert_eq!(of_cause("503 Service Unavailable", 34), Outcome::Failed);
}

#[test]
fn a_wait_that_a_server_asks_for_is_not_the_callees() {
    let of_server = refused("503 Service Unavailable", "Reason: Q.850;cause=17\nRetry-After: 30");
    let busy = words(finding(&of_server, "callee-busy"));
    assert!(!busy.contains("Retry-After") && !busy.contains("=503 busy"), "{busy}");
    let of_callee = refused("486 Busy Here", "Retry-After: 30");
    assert!(words(finding(&of_callee, "callee-busy")).contains("Retry-After"));
}

#[test]
fn software_means_nothing_by_a_code_that_its_cause_contradicts() {
    let full = refused("404 Not Found", "Reason: Q.850;cause=34");
    assert!(!words(finding(&full, "trunk-congested")).contains("PSX"));
    let unknown = refused("404 Not Found", "");
    assert!(words(finding(&unknown, "number-not-routable")).contains("PSX"));
}

#[test]
fn a_cause_that_two_sides_send_proves_no_policy() {
    for cause_sent in [21, 63] {
        let told = refused("403 Forbidden", &format!("Reason: Q.850;cause={cause_sent}"));
        assert_eq!(cause(&told), ("refused-by-policy", Confidence::Likely));
        assert!(!words(&told.findings[0]).contains("names the ground"));
    }
    assert_eq!(cause(&refused("403 Forbidden", "Reason: Q.850;cause=57")), ("refused-by-policy", Confidence::Proven));
    assert_eq!(cause(&refused("603 Decline", "Reason: Q.850;cause=55")), ("refused-by-policy", Confidence::Proven));
}

#[test]
fn a_number_that_was_somebodys_is_not_unassigned_too() {
    let gone = refused("410 Gone", "Reason: Q.850;cause=1");
    assert_eq!(cause(&gone).0, "number-changed");
    assert!(gone.findings.iter().all(|finding| finding.rule != "number-not-routable"), "{:?}", gone.findings);
}

#[test]
fn a_cause_of_the_network_is_no_fault_of_the_software() {
    for (status, cause_sent, says) in [
        ("503 Service Unavailable", 88, "Incompatible destination"),
        ("500 Server Internal Error", 65, "Bearer capability not implemented"),
        ("501 Not Implemented", 79, "Service or option not implemented"),
    ] {
        let told = refused(status, &format!("Reason: Q.850;cause={cause_sent}"));
        assert_eq!(cause(&told), ("server-fault", Confidence::Possible));
        let said = words(&told.findings[0]);
        assert!(said.contains(says) && !said.contains("database") && !said.contains("that failed"), "{said}");
    }
    assert!(words(&refused("500 Server Internal Error", "").findings[0]).contains("database"));
    // Whom nobody responded for is no fault of the server that says so.
    let told = refused("503 Service Unavailable", "Reason: Q.850;cause=18");
    assert_eq!(cause(&told), ("callee-unreachable", Confidence::Likely));
    assert!(words(&told.findings[0]).contains("No user responding"), "{}", words(&told.findings[0]));
}

#[test]
fn who_says_that_a_mobile_is_away_is_no_registrar() {
    let away = refused("480 Temporarily Unavailable", "Reason: Q.850;cause=20");
    let said = words(finding(&away, "callee-unreachable"));
    assert!(said.contains("out of reach") || said.contains("without coverage"), "{said}");
    let unregistered = refused("480 Temporarily Unavailable", "Reason: Q.850;cause=20;text=\"not registered\"");
    assert!(!words(finding(&unregistered, "callee-unreachable")).contains("coverage"));
}

#[test]
fn one_request_is_not_called_others() {
    let told = of("
0.000  alice -> gw  INVITE sip:+15550100@198.51.100.30
0.010  gw -> alice  100 Trying
0.800  gw -> alice  183 Session Progress
9.000  gw -> alice  404 Not Found
                    Reason: Q.850;cause=1
9.010  alice -> gw  ACK
end 60.0");
    let said = words(finding(&told, "number-not-routable"));
    assert!(!said.contains("took other requests"), "{said}");
}

#[test]
fn the_address_for_complaints_has_no_parameters() {
    let blocked = refused("608 Rejected", "Call-Info: <https://block.example.com/jcard>;purpose=jwscard");
    let fix: Vec<&str> = finding(&blocked, "blocked-by-analytics").fix.iter().map(|step| step.raw()).collect();
    assert!(fix.contains(&"Ask for redress at https://block.example.com/jcard"), "{fix:?}");
}

#[test]
fn a_lost_dialog_takes_neither_update_nor_re_invite() {
    let told = |refusal: &str| {
        let lines = format!(
            "
0.000   alice -> gw  INVITE sip:+15550100@198.51.100.30
                     Session-Expires: 1800;refresher=uac
                     Supported: timer
4.000   gw -> alice  200 OK
                     Session-Expires: 1800;refresher=uac
                     Require: timer
4.010   alice -> gw  ACK
904.00  alice -> gw  INVITE
                     Session-Expires: 1800;refresher=uac
904.02  gw -> alice  {refusal}
904.03  alice -> gw  ACK
904.04  alice -> gw  BYE
904.06  gw -> alice  {refusal}
end 960.0"
        );
        words(finding(&of(&lines), "session-refresh-failed")).contains("the other of UPDATE and re-INVITE")
    };
    assert!(!told("481 Call/Transaction Does Not Exist"));
    assert!(told("405 Method Not Allowed"));
}

#[test]
fn a_stream_that_is_added_is_what_was_wanted() {
    let offer = described(
        "alice 1 2",
        "192.0.2.10",
        &["m=audio 7078 RTP/AVP 8", "m=video 9078 RTP/AVP 96", "a=rtpmap:96 H264/90000"],
    );
    let told = of(&format!(
        "
0.000  alice -> gw  INVITE sip:+15550100@198.51.100.30
3.000  gw -> alice  200 OK
3.010  alice -> gw  ACK
10.00  alice -> gw  INVITE
{offer}10.02  gw -> alice  488 Not Acceptable Here
10.03  alice -> gw  ACK
40.00  alice -> gw  BYE
40.01  gw -> alice  200 OK
end 90.0"
    ));
    let said = words(finding(&told, "reinvite-refused"));
    assert!(said.contains("a re-INVITE that adds video"), "{said}");
}

#[test]
fn a_kind_of_media_that_is_not_taken_is_no_codec() {
    let offer = described("alice 1 1", "192.0.2.10", &["m=video 9078 RTP/AVP 96", "a=rtpmap:96 H264/90000"]);
    let told = of(&format!(
        "
0.000  alice -> gw  INVITE sip:+15550100@198.51.100.30
{offer}0.010  gw -> alice  488 Not Acceptable Here
                    Warning: 304 198.51.100.30 \"Media type not available: video\"
0.020  alice -> gw  ACK
end 60.0"
    ));
    let said = words(finding(&told, "no-common-codec"));
    assert!(said.contains("not to take video") && !said.contains("codecs"), "{said}");
}

#[test]
fn a_line_that_is_missing_has_no_number() {
    let told = of("
0.000  alice -> gw  INVITE sip:+15550100@198.51.100.30
                    Content-Type: application/sdp
                    | v=0
                    | o=alice 1 1 IN IP4 192.0.2.10
                    | s=-
                    | t=0 0
                    | m=audio 7078 RTP/AVP 8
0.010  gw -> alice  400 Bad Request
                    Warning: 399 198.51.100.30 \"SDP: no connection information\"
0.020  alice -> gw  ACK
end 60.0");
    let said = words(finding(&told, "sdp-malformed"));
    assert!(said.contains("lacks a line") && !said.contains("line 6"), "{said}");
}

#[test]
fn what_an_answer_lacks_is_claimed_of_the_answer() {
    let told = |answer: &str| {
        let offer = described(
            "- 1 1",
            "192.0.2.10",
            &["m=audio 7078 UDP/TLS/RTP/SAVPF 8", "a=fingerprint:sha-256 4A:4A:4A:4A", "a=setup:actpass"],
        );
        let answer = described("- 2 2", "198.51.100.30", &["m=audio 5004 UDP/TLS/RTP/SAVPF 8", answer]);
        let lines = format!(
            "
0.000  alice -> gw  INVITE sip:+15550100@198.51.100.30
{offer}2.000  gw -> alice  200 OK
{answer}2.010  alice -> gw  ACK
2.050  alice -> gw  BYE
                    Reason: SIP;cause=488
2.060  gw -> alice  200 OK
end 60.0"
        );
        let diagnosis = of(&lines);
        let claims = finding(&diagnosis, "media-keying-mismatch").claims.clone();
        let of_frame = |frame: u64| claims.iter().filter(move |claim| claim.place.frame == frame);
        let fields =
            |frame| of_frame(frame).map(|claim| format!("{}={}", claim.field, claim.value.raw())).collect::<Vec<_>>();
        (fields(1), fields(2))
    };
    let offer = vec!["sdp.media=audio 7078 UDP/TLS/RTP/SAVPF 8".to_owned(), "sdp.media_attr=setup:actpass".to_owned()];
    let none = vec!["sdp.media=audio 5004 UDP/TLS/RTP/SAVPF 8".to_owned(), "absent=a=fingerprint".to_owned()];
    assert_eq!(told("a=setup:active"), (offer.clone(), none));
    let both = "a=fingerprint:sha-256 5A:5A:5A:5A\n                    | a=setup:actpass";
    assert_eq!(told(both), (offer, vec!["sdp.media_attr=setup:actpass".to_owned()]));
}

/// A call that a gateway refuses so after it has announced this cause in a 183.
fn announced(cause: u32, status: &str, between: &str) -> Diagnosis {
    of(&format!(
        "
0.000   alice -> gw  INVITE sip:+15550100@198.51.100.30
0.010   gw -> alice  100 Trying
0.800   gw -> alice  183 Session Progress
                     Reason: Q.850;cause={cause}
{between}13.000  gw -> alice  {status}
13.020  alice -> gw  ACK
end 60.0"
    ))
}

#[test]
fn what_was_announced_counts_where_the_refusal_gives_no_reason() {
    let cases = [
        (1, "480 Temporarily Unavailable", "number-not-routable"),
        (1, "603 Decline", "number-not-routable"),
        (1, "500 Server Internal Error", "number-not-routable"),
        (34, "480 Temporarily Unavailable", "trunk-congested"),
        (27, "503 Service Unavailable", "trunk-out-of-order"),
        (17, "480 Temporarily Unavailable", "callee-busy"),
        (19, "480 Temporarily Unavailable", "callee-did-not-answer"),
        (20, "480 Temporarily Unavailable", "callee-unreachable"),
        (22, "480 Temporarily Unavailable", "number-changed"),
        (57, "403 Forbidden", "refused-by-policy"),
    ];
    for (number, status, rule) in cases {
        let diagnosis = announced(number, status, "");
        assert_eq!(cause(&diagnosis), (rule, Confidence::Likely), "{number} {status}");
        let says = words(finding(&diagnosis, rule));
        assert!(says.contains(&format!("sip.Reason=Q.850;cause={number}")), "{says}");
        assert!(!says.contains("Ribbon:"), "{says}");
    }
    // Who rejected is told by nobody: an announcement is no sign of a person.
    assert_eq!(cause(&announced(21, "603 Decline", "")), ("rejected-by-callee", Confidence::Possible));
    // What comes after it counts more: a device that rings, or a Reason of the refusal itself.
    let rang = announced(1, "480 Temporarily Unavailable", "2.000   gw -> alice  180 Ringing\n");
    assert_eq!(cause(&rang).0, "callee-did-not-answer");
    let own = "480 Temporarily Unavailable\n                     Reason: Q.850;cause=20";
    assert_eq!(cause(&announced(1, own, "")), ("callee-unreachable", Confidence::Likely));
}

#[test]
fn a_limit_that_is_named_is_no_word_of_the_callee() {
    let warned = |text: &str| format!("Warning: 399 example.com \"{text}\"");
    let busy = |text: &str| refused("486 Busy Here", &warned(text));
    let told = busy("Max concurrent sessions exceeded");
    assert_eq!(cause(&told), ("callee-busy", Confidence::Possible));
    assert!(words(finding(&told, "callee-busy")).contains("Max concurrent sessions exceeded"));
    assert_eq!(cause(&busy("Call limit of trunk reached")).0, "channel-limit-reached");
    assert_eq!(cause(&busy("User on the phone")), ("callee-busy", Confidence::Likely));
    assert_eq!(cause(&refused("486 Max Calls", "")), ("callee-busy", Confidence::Likely));
    assert_eq!(
        cause(&refused("486 Busy Here", &warned("Rate limit: 5 cps"))),
        ("server-overloaded", Confidence::Likely)
    );
    assert_eq!(cause(&refused("480 CPS limit exceeded", "Retry-After: 1")), ("server-overloaded", Confidence::Likely));
}

#[test]
fn advice_follows_the_warning() {
    let steps = |diagnosis: &Diagnosis| diagnosis.cause().expect("a cause").fix[0].raw().to_owned();
    let sips = refused("480 Temporarily Unavailable", "Warning: 380 example.com \"SIPS Not Allowed\"");
    assert_eq!(cause(&sips).0, "callee-unreachable");
    assert!(steps(&sips).contains("sip: address"), "{}", steps(&sips));
    let other =
        refused("480 Temporarily Unavailable", "Warning: 399 example.com \"No contact matches Accept-Contact\"");
    assert!(steps(&other).contains("No contact matches"), "{}", steps(&other));
    let away = refused("480 Temporarily Unavailable", "Warning: 399 example.com \"User not registered\"");
    assert!(steps(&away).contains("is registered"), "{}", steps(&away));
}

#[test]
fn each_reason_of_a_bye_is_quoted() {
    let diagnosis = of("
0.000   alice -> gw  INVITE sip:+15550100@198.51.100.30
1.000   gw -> alice  200 OK
1.010   alice -> gw  ACK
46.000  gw -> alice  BYE
                     Reason: SIP;cause=200
                     +Reason: Q.850;cause=16
46.020  alice -> gw  200 OK
end 90.0");
    let says = words(finding(&diagnosis, "released-by"));
    assert!(says.contains("SIP;cause=200 and Q.850;cause=16 (Normal call clearing)"), "{says}");
    assert!(says.contains("sip.Reason=SIP;cause=200 ") && says.contains("sip.Reason=Q.850;cause=16 "), "{says}");
}

#[test]
fn a_ported_number_wants_another_query() {
    let story = |user: &str, headers: &str| {
        of(&format!(
            "
0.000  alice -> gw  INVITE sip:{user}@198.51.100.30
0.220  gw -> alice  404 Not Found
{headers}0.230  alice -> gw  ACK
end 50.0"
        ))
    };
    let first = |diagnosis: &Diagnosis| diagnosis.cause().expect("a cause").fix[0].raw().to_owned();
    let routed = first(&story("+12025550123;npdi;rn=+12025550000", ""));
    assert!(routed.contains("+12025550000 (rn=)"), "{routed}");
    let told = first(&story("+12025550123", "                    Reason: Q.850;cause=14\n"));
    assert!(told.starts_with("Query number portability again"), "{told}");
    assert!(first(&story("+12025550123", "")).starts_with("Check +12025550123 digit by digit"));
}

#[test]
fn who_mends_a_special_requirement_is_who_erred() {
    let of_nothing = refused("417 Unknown Resource-Priority", "");
    assert!(
        words(finding(&of_nothing, "special-requirement-refused")).contains("to a request without Resource-Priority")
    );
    assert_eq!(of_nothing.cause().expect("a cause").party.role, sipwhy::diagnosis::Role::Uas);
}

#[test]
fn an_answer_takes_a_suite_of_the_offer() {
    let diagnosis = of("
0.000  alice -> gw  INVITE sip:+15550100@198.51.100.30
       sdp offer PCMA profile RTP/SAVP crypto AES_CM_128_HMAC_SHA1_80
1.000  gw -> alice  200 OK
       sdp answer PCMA profile RTP/SAVP crypto AES_CM_128_HMAC_SHA1_32
1.020  alice -> gw  ACK
1.030  alice -> gw  BYE
1.050  gw -> alice  200 OK
end 40.0");
    let says = words(finding(&diagnosis, "media-keying-mismatch"));
    assert!(
        says.contains(
            "Let 198.51.100.30:5060 answer with one of the suites that were offered (AES_CM_128_HMAC_SHA1_80)"
        )
    );
}
