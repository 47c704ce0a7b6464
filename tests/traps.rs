//! Calls in which the first explanation that comes to mind is wrong.

mod followed;

use followed::diagnosed;
use sipwhy::story::Story;

const ACTORS: &str = "\
alice 192.0.2.10:5060
proxy 192.0.2.20:5060 agent \"kamailio (5.6.3 (x86_64/linux))\"
pbx 192.0.2.21:5060 agent \"Asterisk PBX 20.5.0\"
gw 198.51.100.30:5060 agent \"ExampleGateway/7.4\"
bob 198.51.100.40:5060 agent \"ExamplePhone/2.1\"
";

/// The cause of the last call of a story, and the rules of its findings.
fn judge(lines: &str) -> (Option<String>, Vec<String>) {
    let text = format!("# A trap.\n{ACTORS}\n{}\n", lines.trim_matches('\n'));
    let story = Story::parse(&text).unwrap_or_else(|error| panic!("{error}\n{text}"));
    let diagnosed = diagnosed(&story);
    let (_, diagnosis) = diagnosed.iter().max_by_key(|(call, _)| call.number).expect("a call");
    let rules = diagnosis.findings.iter().map(|finding| finding.rule.to_string()).collect();
    (diagnosis.cause().map(|cause| cause.rule.to_string()), rules)
}

/// The cause of the last call of a story.
fn cause(lines: &str) -> Option<String> {
    judge(lines).0
}

#[test]
fn retransmitted_challenges_are_one_challenge() {
    let lines = "
0.000  alice -> proxy  INVITE sip:bob@example.com
0.010  proxy -> alice  407 Proxy Authentication Required
                       again timer-g x4
8.000  alice -> proxy  ACK
end 60.0";
    assert_eq!(cause(lines).as_deref(), Some("challenge-not-answered"));
}

#[test]
fn a_second_challenger_is_no_refusal() {
    let lines = "
0.000  alice -> proxy  INVITE sip:bob@example.com
0.010  proxy -> alice  407 Proxy Authentication Required
0.020  alice -> proxy  ACK
0.030  alice -> proxy  INVITE
                       auth
0.040  proxy -> alice  401 Unauthorized
                       challenge realm pbx.example.net
0.050  alice -> proxy  ACK
end 60.0";
    assert_eq!(cause(lines).as_deref(), Some("challenge-not-answered"));
}

#[test]
fn a_403_from_behind_the_challenger_is_policy() {
    let lines = "
0.000  alice -> proxy  INVITE sip:004930555010@example.com
0.010  proxy -> alice  407 Proxy Authentication Required
0.020  alice -> proxy  ACK
0.030  alice -> proxy  INVITE
                       auth
0.040  proxy -> gw     INVITE
0.050  gw -> proxy     403 Forbidden
0.051  proxy -> gw     ACK
0.052  proxy -> alice  403 Forbidden
0.060  alice -> proxy  ACK
end 60.0";
    assert_eq!(cause(lines).as_deref(), Some("refused-by-policy"));
}

#[test]
fn a_603_of_a_dialplan_is_not_the_callees() {
    let lines = "
0.000  alice -> pbx    INVITE sip:bob@example.com
0.010  pbx -> alice    603 Decline
                       Reason: Q.850;cause=26
0.020  alice -> pbx    ACK
end 60.0";
    assert_eq!(cause(lines).as_deref(), Some("refused-by-policy"));
}

#[test]
fn the_cause_of_the_network_counts_more_than_the_code() {
    let refused = |code: &str, q850: u16| {
        format!(
            "
0.000  alice -> gw     INVITE sip:+4930555010@example.com
0.004  gw -> alice     100 Trying
0.100  gw -> alice     {code}
                       Reason: Q.850;cause={q850}
0.110  alice -> gw     ACK
end 60.0"
        )
    };
    let cases = [
        ("503 Service Unavailable", 17, "callee-busy"),
        ("480 Temporarily Unavailable", 34, "trunk-congested"),
        ("480 Temporarily Unavailable", 1, "number-not-routable"),
        ("480 Temporarily Unavailable", 19, "callee-did-not-answer"),
        ("480 Temporarily Unavailable", 20, "callee-unreachable"),
        ("500 Server Internal Error", 41, "trunk-out-of-order"),
        ("403 Forbidden", 57, "refused-by-policy"),
        ("404 Not Found", 22, "number-changed"),
        ("503 Service Unavailable", 20, "callee-unreachable"),
        ("504 Server Time-out", 102, "server-fault"),
        ("503 Service Unavailable", 63, "server-fault"),
        ("404 Not Found", 63, "number-not-routable"),
        ("480 Temporarily Unavailable", 102, "callee-unreachable"),
        ("408 Request Timeout", 18, "timeout-at-responder"),
        ("603 Decline", 16, "rejected-by-callee"),
        ("480 Temporarily Unavailable", 21, "rejected-by-callee"),
        ("500 Server Internal Error", 52, "refused-by-policy"),
    ];
    for (code, q850, expected) in cases {
        assert_eq!(cause(&refused(code, q850)).as_deref(), Some(expected), "{code} with {q850}");
    }
    for (code, q850) in [("503 Service Unavailable", 17), ("480 Temporarily Unavailable", 1)] {
        assert!(judge(&refused(code, q850)).1.contains(&"cause-disagrees".to_owned()), "{code} with {q850}");
    }
}

#[test]
fn a_code_rewritten_on_the_way_is_explained_where_it_arose() {
    let lines = "
0.000  alice -> proxy  INVITE sip:+4930555010@example.com
0.010  proxy -> gw     INVITE
0.050  gw -> proxy     503 Service Unavailable
                       Reason: Q.850;cause=34
0.051  proxy -> gw     ACK
0.052  proxy -> alice  500 Service Unavailable
0.060  alice -> proxy  ACK
end 60.0";
    assert_eq!(cause(lines).as_deref(), Some("trunk-congested"));
}

#[test]
fn busy_stays_busy_after_ringing_if_the_network_says_so() {
    let lines = "
0.000  alice -> gw     INVITE sip:+4930555010@example.com
0.100  gw -> alice     180 Ringing
2.000  gw -> alice     486 Busy Here
                       Reason: Q.850;cause=17
2.010  alice -> gw     ACK
end 60.0";
    assert_eq!(cause(lines).as_deref(), Some("callee-busy"));
}

#[test]
fn early_media_is_no_ringing() {
    let lines = "
0.000  alice -> gw     INVITE sip:+4930555010@example.com
0.100  gw -> alice     183 Session Progress
                       sdp answer PCMA
4.000  gw -> alice     404 Not Found
                       Reason: Q.850;cause=1
4.010  alice -> gw     ACK
end 60.0";
    assert_eq!(cause(lines).as_deref(), Some("number-not-routable"));
}

#[test]
fn each_phone_behind_one_address_waits_for_itself() {
    let lines = "
0.000  alice -> proxy  REGISTER sip:example.com
                       From: <sip:u1@example.com>;tag=a
                       To: <sip:u1@example.com>
0.010  proxy -> alice  503 Service Unavailable
                       Retry-After: 30
call second
1.000  alice -> proxy  REGISTER sip:example.com
                       From: <sip:u2@example.com>;tag=b
                       To: <sip:u2@example.com>
1.010  proxy -> alice  503 Service Unavailable
                       Retry-After: 30
end 60.0";
    assert_eq!(cause(lines).as_deref(), Some("server-overloaded"));
}

#[test]
fn an_overload_without_a_time_is_told_by_its_phrase() {
    let lines = "
0.000  alice -> proxy  REGISTER sip:example.com
0.010  proxy -> alice  503 Server Overloaded
end 60.0";
    assert_eq!(cause(lines).as_deref(), Some("server-overloaded"));
}

#[test]
fn a_phone_that_asks_its_user_for_the_secret_is_waited_for() {
    let lines = "
0.000  alice -> proxy  INVITE sip:bob@example.com
0.010  proxy -> alice  407 Proxy Authentication Required
0.020  alice -> proxy  ACK
52.00  alice -> proxy  INVITE
                       auth password wrong
52.01  proxy -> alice  407 Proxy Authentication Required
52.02  alice -> proxy  ACK
end 120.0";
    assert_eq!(cause(lines).as_deref(), Some("credentials-rejected"));
}

#[test]
fn a_register_seen_on_two_hops_is_one_register() {
    let mut lines = String::new();
    for at in [0, 20, 40, 60] {
        lines.push_str(&format!(
            "
{at}.000 alice -> proxy  REGISTER sip:example.com
{at}.001 proxy -> pbx    REGISTER sip:example.com
{at}.002 pbx -> proxy    200 OK
{at}.003 proxy -> alice  200 OK"
        ));
    }
    lines.push_str("\nend 120.0");
    let (cause, rules) = judge(&lines);
    assert_eq!((cause, rules), (None, Vec::new()));
}

#[test]
fn redirects_that_lead_round_are_not_followed_for_ever() {
    let lines = "
0.000  alice -> proxy  INVITE sip:bob@192.0.2.20
0.010  proxy -> alice  302 Moved Temporarily
                       Contact: <sip:bob@192.0.2.21>
0.020  alice -> proxy  ACK
0.030  alice -> pbx    INVITE
0.040  pbx -> alice    302 Moved Temporarily
                       Contact: <sip:bob@192.0.2.20>
0.050  alice -> pbx    ACK
end 60.0";
    assert_eq!(cause(lines).as_deref(), Some("redirect-loop"));
}

#[test]
fn hops_that_are_used_up_behind_a_server_are_a_loop_there() {
    let lines = "
0.000  alice -> proxy  INVITE sip:bob@example.com
0.010  proxy -> alice  483 Too Many Hops
0.020  alice -> proxy  ACK
end 60.0";
    assert_eq!(cause(lines).as_deref(), Some("routing-loop"));
}

#[test]
fn a_changed_call_that_nobody_confirmed_is_given_up_by_the_one_who_answered() {
    let changed_by = |one: &str, other: &str| {
        format!(
            "
0.000   alice -> bob  INVITE sip:bob@example.com
0.100   bob -> alice  180 Ringing
2.000   bob -> alice  200 OK
2.020   alice -> bob  ACK
10.000  {one} -> {other}  INVITE
                          sdp offer PCMA sendonly
10.020  {other} -> {one}  200 OK
                          again 2xx
42.100  alice -> bob  BYE
42.120  bob -> alice  200 OK
end 90.0"
        )
    };
    assert_eq!(cause(&changed_by("bob", "alice")).as_deref(), Some("ack-missing"));
    // Who got the answer may hang up whenever that is.
    assert_eq!(cause(&changed_by("alice", "bob")), None);
}

/// An exchange calls with a Call-ID, a tag and a session description of its own for each leg.
fn leg(id: u32, caller: &str) -> String {
    format!(
        "
                       From: <sip:{caller}@192.0.2.21>;tag=leg{id}
                       Content-Type: application/sdp
                       | v=0
                       | o=- {id} {id} IN IP4 192.0.2.21
                       | s=-
                       | c=IN IP4 192.0.2.21
                       | t=0 0
                       | m=audio 12000 RTP/AVP 8"
    )
}

#[test]
fn of_two_devices_of_one_callee_the_last_one_decides() {
    let (one, other) = (leg(11_111, "alice"), leg(22_222, "alice"));
    let lines = format!(
        "
0.000  alice -> pbx    INVITE sip:20001@example.com
0.010  pbx -> alice    100 Trying
0.020  pbx -> gw       [b] INVITE sip:20001@198.51.100.30{one}
0.021  pbx -> bob      [c] INVITE sip:20001@198.51.100.40{other}
0.100  gw -> pbx       [b] 488 Not Acceptable Here
0.110  pbx -> gw       [b] ACK
0.120  bob -> pbx      [c] 180 Ringing
0.130  pbx -> alice    180 Ringing
8.000  bob -> pbx      [c] 486 Busy Here
8.010  pbx -> bob      [c] ACK
8.020  pbx -> alice    486 Busy Here
8.030  alice -> pbx    ACK
end 60.0"
    );
    assert_eq!(cause(&lines).as_deref(), Some("rejected-by-callee"));
}

#[test]
fn a_leg_that_failed_long_before_is_not_why_another_code_came() {
    let (one, other) = (leg(11_111, "alice"), leg(22_222, "+15559999"));
    let lines = format!(
        "
0.000  alice -> pbx    INVITE sip:+15550100@example.com
0.010  pbx -> alice    100 Trying
0.020  pbx -> gw       [b] INVITE sip:+15550100@198.51.100.30{one}
0.300  gw -> pbx       [b] 403 Forbidden
0.310  pbx -> gw       [b] ACK
0.320  pbx -> gw       [c] INVITE sip:+15550100@198.51.100.30{other}
1.300  gw -> pbx       [c] 486 Busy Here
1.310  pbx -> gw       [c] ACK
1.320  pbx -> alice    486 Busy Here
1.330  alice -> pbx    ACK
end 60.0"
    );
    let text = format!("# A trap.\n{ACTORS}\n{}\n", lines.trim_matches('\n'));
    let causes: Vec<Option<String>> = diagnosed(&Story::parse(&text).expect("a story"))
        .iter()
        .map(|(_, diagnosis)| diagnosis.cause().map(|cause| cause.rule.to_string()))
        .collect();
    assert!(!causes.contains(&Some("refused-by-policy".to_owned())), "{causes:?}");
}

#[test]
fn a_server_that_fails_while_it_rings_has_no_timer() {
    let ended = |at: u32| {
        format!(
            "
0.000  alice -> proxy  INVITE sip:bob@example.com
0.010  proxy -> alice  100 Trying
0.020  proxy -> bob    INVITE sip:bob@198.51.100.40
1.000  bob -> proxy    180 Ringing
1.010  proxy -> alice  180 Ringing
{at}.000  proxy -> alice  503 Service Unavailable
+0.010  alice -> proxy  ACK
+0.010  proxy -> bob    CANCEL
+0.010  bob -> proxy    200 OK
+0.010  bob -> proxy    [INVITE] 487 Request Terminated
+0.010  proxy -> bob    ACK
end 90.0"
        )
    };
    assert_eq!(cause(&ended(8)).as_deref(), Some("server-fault"));
    assert_eq!(cause(&ended(31)).as_deref(), Some("ring-timeout"));
}
