//! Who made the response that failed a call: what each sign proves, and that nothing is said where none decides.

mod followed;

use followed::diagnosed;
use sipwhy::diagnosis::{Confidence, MadeBy, Origin};
use sipwhy::story::Story;

const ACTORS: &str = "# Who made it?\nalice 192.0.2.10:5060\nproxy 192.0.2.20:5060\nbob 192.0.2.30:5060\n\n";

/// The origin of the first call that failed.
fn origin(lines: &str) -> Origin {
    let story = Story::parse(&format!("{ACTORS}{lines}end 60.0\n")).expect("a story");
    *diagnosed(&story).into_iter().find_map(|(_, diagnosis)| diagnosis.origin).expect("a failure")
}

fn grounds(origin: &Origin) -> String {
    origin.grounds.iter().map(|ground| ground.raw().to_owned()).collect::<Vec<_>>().join("; ")
}

fn assert_made(origin: &Origin, made_by: MadeBy, confidence: Confidence, ground: &str) {
    let grounds = grounds(origin);
    assert_eq!((origin.made_by, origin.confidence), (made_by, confidence), "{grounds}");
    assert!(grounds.contains(ground), "{grounds}");
}

#[test]
fn without_a_sign_nothing_is_known() {
    let origin = origin(
        "0.000 alice -> proxy INVITE sip:bob@example.com\n\
         0.200 proxy -> alice 404 Not Found\n\
         0.210 alice -> proxy ACK\n",
    );
    assert_made(&origin, MadeBy::Unknown, Confidence::Possible, "nothing is seen to go on");
}

#[test]
fn the_software_of_the_hop_by_hop_100_tells() {
    let with = |server: &str| {
        origin(&format!(
            "0.000 alice -> proxy INVITE sip:bob@example.com\n\
             0.010 proxy -> alice 100 Trying\n      Server: kamailio (5.7.4)\n\
             0.200 proxy -> alice 404 Not Found\n      Server: {server}\n\
             0.210 alice -> proxy ACK\n"
        ))
    };
    assert_made(&with("kamailio (5.7.4)"), MadeBy::Sender, Confidence::Likely, "names the same software");
    assert_made(&with("Asterisk PBX 20.5.0"), MadeBy::Behind, Confidence::Likely, "this response from Asterisk");
}

#[test]
fn a_proxy_has_no_user_who_is_busy() {
    let origin = origin(
        "0.000 alice -> proxy INVITE sip:bob@example.com\n\
         0.010 proxy -> alice 100 Trying\n      Server: kamailio (5.7.4)\n\
         0.200 proxy -> alice 486 Busy Here\n      Server: kamailio (5.7.4)\n\
         0.210 alice -> proxy ACK\n",
    );
    assert_eq!(origin.made_by, MadeBy::Unknown);
}

#[test]
fn a_record_route_of_the_answer_proves_a_proxy() {
    let of = |tag: &str| {
        origin(&format!(
            "0.000 alice -> proxy INVITE sip:bob@example.com\n\
             0.200 proxy -> alice 180 Ringing\n      Record-Route: <sip:192.0.2.20;lr>\n      To: <sip:bob@example.com>;tag=b1\n\
             4.000 proxy -> alice 486 Busy Here\n      To: <sip:bob@example.com>;tag={tag}\n\
             4.010 alice -> proxy ACK\n"
        ))
    };
    assert_made(&of("b1"), MadeBy::Behind, Confidence::Proven, "the 180 with the same To tag carries a Record-Route");
    assert_made(&of("p1"), MadeBy::Unknown, Confidence::Possible, "somebody else made it");
}

#[test]
fn a_request_that_may_not_go_on_was_answered_where_it_was() {
    let of = |hops: u32| {
        origin(&format!(
            "0.000 alice -> proxy INVITE sip:bob@example.com\n      Max-Forwards: {hops}\n\
             0.010 proxy -> alice 483 Too Many Hops\n\
             0.020 alice -> proxy ACK\n"
        ))
    };
    assert_made(&of(0), MadeBy::Sender, Confidence::Proven, "Max-Forwards 0");
    assert_eq!(of(7).made_by, MadeBy::Unknown);
}

#[test]
fn a_warning_is_signed() {
    let of = |agent: &str| {
        origin(&format!(
            "0.000 alice -> proxy INVITE sip:bob@example.com\n\
             0.200 proxy -> alice 488 Not Acceptable Here\n      Warning: 304 {agent} \"Media type not available\"\n\
             0.210 alice -> proxy ACK\n"
        ))
    };
    assert_made(&of("192.0.2.20:5060"), MadeBy::Sender, Confidence::Likely, "its own address");
    assert_made(&of("192.0.2.30"), MadeBy::Behind, Confidence::Likely, "another address");
    assert_made(&of("pbx.example.com"), MadeBy::Unknown, Confidence::Possible, "is signed by pbx.example.com");
    // What a host behind a NAT calls itself is not what is seen of it.
    assert_eq!(of("10.0.0.5:5060").made_by, MadeBy::Unknown);
}

#[test]
fn signs_that_contradict_each_other_decide_nothing() {
    let origin = origin(
        "0.000 alice -> proxy INVITE sip:bob@example.com\n\
         0.010 proxy -> alice 100 Trying\n      Server: kamailio (5.7.4)\n\
         0.200 proxy -> alice 488 Not Acceptable Here\n      Server: Asterisk\n      Warning: 399 192.0.2.20 \"No\"\n\
         0.210 alice -> proxy ACK\n",
    );
    assert_made(&origin, MadeBy::Unknown, Confidence::Possible, "which do not agree");
}

#[test]
fn the_leg_on_which_it_arose_is_named() {
    let origin = origin(
        "0.000 alice -> proxy INVITE sip:bob@example.com\n\
         0.010 proxy -> bob INVITE sip:bob@192.0.2.30\n\
         0.030 bob -> proxy 486 Busy Here\n\
         0.035 proxy -> bob ACK\n\
         0.040 proxy -> alice 486 Busy Here\n\
         0.050 alice -> proxy ACK\n",
    );
    assert_eq!(origin.sender.to_string(), "192.0.2.30:5060");
    assert_eq!(origin.rewritten, None);
}

#[test]
fn a_registered_device_answers_for_itself() {
    let origin = origin(
        "0.000 bob -> proxy REGISTER sip:example.com\n\
         0.010 proxy -> bob 200 OK\n\
         call two\n\
         5.000 proxy -> bob INVITE sip:bob@192.0.2.30\n\
         5.100 bob -> proxy 486 Busy Here\n\
         5.110 proxy -> bob ACK\n",
    );
    assert_made(&origin, MadeBy::Sender, Confidence::Likely, "the callee's device");
}

#[test]
fn the_487_to_its_own_cancel_was_not_made_into_the_408() {
    let origin = origin(
        "0.000 alice -> proxy INVITE sip:bob@example.com\n\
         0.002 proxy -> bob INVITE sip:bob@192.0.2.30\n\
         0.020 bob -> proxy 180 Ringing\n\
         0.021 proxy -> alice 180 Ringing\n\
         30.00 proxy -> bob CANCEL\n\
         30.01 bob -> proxy 200 OK\n\
         30.02 bob -> proxy 487 Request Terminated\n\
         30.03 proxy -> bob ACK\n\
         30.04 proxy -> alice 408 Request Timeout\n\
         30.05 alice -> proxy ACK\n",
    );
    assert_eq!((origin.status.get(), origin.rewritten.is_none()), (408, true));
    assert_eq!(origin.sender.to_string(), "192.0.2.20:5060");
    assert_made(&origin, MadeBy::Sender, Confidence::Likely, "487 (which only answers its own CANCEL)");
}

#[test]
fn a_timeout_was_not_made_out_of_what_another_branch_answered() {
    let beside = |answer: &str, other: &str| {
        let story = format!(
            "# Two targets.\nalice 192.0.2.10:5060\nproxy 192.0.2.20:5060\nbob 192.0.2.30:5060\ncarol 192.0.2.31:5060\n\n\
             0.000 alice -> proxy INVITE sip:bob@example.com\n\
             0.002 proxy -> bob INVITE sip:bob@192.0.2.30\n\
             0.020 bob -> proxy {answer}\n      Contact: <sip:carol@192.0.2.31>\n\
             0.021 proxy -> bob ACK\n\
             0.030 proxy -> carol INVITE sip:carol@192.0.2.31\n{other}\
             8.000 proxy -> alice 408 Request Timeout\n\
             8.010 alice -> proxy ACK\n{}end 60.0\n",
            if other.contains("180") {
                "8.020 proxy -> carol CANCEL\n8.030 carol -> proxy [CANCEL] 200 OK\n8.040 carol -> proxy 487 Request Terminated\n"
            } else {
                ""
            }
        );
        let story = Story::parse(&story).expect("a story");
        *diagnosed(&story).into_iter().find_map(|(_, diagnosis)| diagnosis.origin).expect("a failure")
    };
    let (silent, rings) = ("      again +0.5 +1.5 +3.5\n", "0.100 carol -> proxy 180 Ringing\n");
    let trying = "0.100 carol -> proxy 100 Trying\n";
    let cases = [
        ("302 Moved Temporarily", silent, Confidence::Likely, "got 302 and nothing from there"),
        ("503 Service Unavailable", silent, Confidence::Proven, "got 503 and nothing from there"),
        ("486 Busy Here", rings, Confidence::Likely, "got 486 and 487 (which only answers its own CANCEL) from there"),
        ("486 Busy Here", trying, Confidence::Proven, "got 486 and no final response from there"),
    ];
    for (answer, other, sure, ground) in cases {
        let origin = beside(answer, other);
        assert_eq!((origin.status.get(), origin.rewritten.is_none()), (408, true), "{answer}");
        assert_eq!(origin.sender.to_string(), "192.0.2.20:5060");
        assert_made(&origin, MadeBy::Sender, sure, ground);
    }
}

#[test]
fn a_guessed_leg_that_failed_long_before_does_not_tell() {
    let told_after = |seconds: &str| {
        origin(&format!(
            "0.000 alice -> proxy INVITE sip:+15550100@example.com\n\
             0.010 proxy -> bob [b] INVITE sip:+15550100@192.0.2.30\n      From: <sip:alice@192.0.2.20>;tag=b1\n      sdp none\n\
             0.200 bob -> proxy [b] 403 Forbidden\n\
             0.210 proxy -> bob [b] ACK\n\
             {seconds} proxy -> alice 486 Busy Here\n\
             +0.010 alice -> proxy ACK\n"
        ))
    };
    let late = told_after("1.300");
    assert_made(&late, MadeBy::Unknown, Confidence::Possible, "got 403 from there");
}
