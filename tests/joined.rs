//! Which legs are taken for one call where a system goes on from another address than the one at which it was called,
//! and what is said of the end where they cannot be told from others.

mod followed;

use sipwhy::diagnosis::{Confidence, Diagnosis};
use sipwhy::story::Story;

/// An exchange with an address on each side, and another of the same make.
const ACTORS: &str = "\
phone 192.0.2.101:5060 aor 101@pbx.example.com agent \"ExamplePhone/2.1\"
other 192.0.2.102:5060 aor 102@pbx.example.com agent \"ExamplePhone/2.1\"
inside 192.0.2.20:5060 agent \"FPBX-16.0.40(18.20.0)\"
outside 203.0.113.5:5060 aor +12025550100@carrier.example.com agent \"FPBX-16.0.40(18.20.0)\"
beside 203.0.113.6:5060 aor +12025550106@carrier.example.com agent \"FPBX-16.0.40(18.20.0)\"
elsewhere 203.0.113.77:5060 aor +12025550177@carrier.example.com agent \"Asterisk PBX 20.5.0\"
carrier 198.51.100.9:5060 agent \"ExampleSBC/7.4\"
silent 203.0.113.9:41000 transport tcp
stream 198.51.100.8:5060 transport tcp
";

fn calls(lines: &str) -> Vec<Diagnosis> {
    let text = format!("# Two sides.\n{ACTORS}\n{}\n", lines.trim_matches('\n'));
    let story = Story::parse(&text).unwrap_or_else(|error| panic!("{error}\n{text}"));
    let mut calls = followed::diagnosed(&story);
    calls.sort_by_key(|(call, _)| call.number);
    calls.into_iter().map(|(_, diagnosis)| diagnosis).collect()
}

fn causes(lines: &str) -> Vec<Option<(String, Confidence)>> {
    let cause = |call: &Diagnosis| call.cause().map(|cause| (cause.rule.to_string(), cause.confidence));
    calls(lines).iter().map(cause).collect()
}

/// What the phone gets, and what its exchange was told on its other side.
const ECHO: &str = "
0.000  phone -> inside     INVITE sip:0305550123@pbx.example.com
0.010  inside -> phone     100 Trying
call out
0.050  outside -> carrier  INVITE sip:+49305550123@carrier.example.com
0.080  carrier -> outside  100 Trying
0.400  carrier -> outside  404 Not Found
                           Reason: Q.850;cause=1
0.410  outside -> carrier  ACK
call call
0.500  inside -> phone     503 Service Unavailable
                           Reason: Q.850;cause=34
0.510  phone -> inside     ACK
end 60.0";

#[test]
fn the_two_sides_of_an_exchange_are_one_call() {
    assert_eq!(causes(ECHO), [Some(("number-not-routable".into(), Confidence::Likely))]);
}

#[test]
fn what_has_nothing_in_common_but_the_number_stays_apart() {
    let software = ECHO.replace("outside", "elsewhere");
    assert_eq!(causes(&software).len(), 2, "another software");
    let late = ECHO.replace("0.050  out", "0.700  out").replace("0.080  carrier", "0.730  carrier");
    let late = late.replace("0.400  carrier", "0.900  carrier").replace("0.410  out", "0.910  out");
    let late = late.replace("0.500  inside", "1.000  inside").replace("0.510  phone", "1.010  phone");
    assert_eq!(causes(&late).len(), 2, "too late");
    let extension = ECHO.replace("+49305550123", "0123").replace("0305550123", "0123");
    assert_eq!(causes(&extension).len(), 2, "an extension may be called at each exchange");
    let caller = ECHO.replacen(
        "INVITE sip:0305550123@pbx.example.com",
        "INVITE sip:0305550123@pbx.example.com\n                           From: <sip:+12025550155@example.com>;tag=a1",
        1,
    );
    assert_eq!(causes(&caller).len(), 2, "two callers");
}

#[test]
fn of_two_calls_to_one_number_neither_is_taken_for_the_other_and_nothing_is_proven() {
    let lines = "
0.000  phone -> inside     INVITE sip:0305550123@pbx.example.com
0.010  inside -> phone     100 Trying
call second
0.020  other -> inside     INVITE sip:0305550123@pbx.example.com
0.030  inside -> other     100 Trying
call out
0.060  outside -> carrier  INVITE sip:+49305550123@carrier.example.com
0.080  carrier -> outside  100 Trying
0.400  carrier -> outside  404 Not Found
                           Reason: Q.850;cause=1
0.410  outside -> carrier  ACK
call call
0.500  inside -> phone     503 Service Unavailable
                           Reason: Q.850;cause=34
0.510  phone -> inside     ACK
call second
9.000  inside -> other     503 Service Unavailable
                           Reason: Q.850;cause=34
9.010  other -> inside     ACK
end 60.0";
    let told = calls(lines);
    let cause = |at: usize| told.get(at).and_then(Diagnosis::cause).expect("a cause");
    assert_eq!(told.len(), 3);
    assert_eq!((cause(0).rule.as_ref(), cause(0).confidence), ("trunk-congested", Confidence::Likely));
    let says = "203.0.113.5, where the same software runs, got 404 from 198.51.100.9:5060";
    assert!(cause(0).explanation.raw().contains(says), "{}", cause(0).explanation.raw());
    assert_eq!((cause(1).rule.as_ref(), cause(1).confidence), ("trunk-congested", Confidence::Proven), "not meanwhile");
    assert_eq!(cause(2).confidence, Confidence::Proven);
}

#[test]
fn a_leg_of_which_only_responses_are_captured_belongs_to_the_call_for_its_number() {
    let lines = "
0.000  phone -> inside     INVITE sip:0305550123@pbx.example.com
0.010  inside -> phone     100 Trying
call out
0.050  inside ~> carrier   INVITE sip:+49305550123@carrier.example.com
0.080  carrier -> inside   100 Trying
2.400  carrier -> inside   404 Not Found
                           Reason: Q.850;cause=1
call call
2.500  inside -> phone     503 Service Unavailable
                           Reason: Q.850;cause=34
2.510  phone -> inside     ACK
end 60.0";
    assert_eq!(causes(lines), [Some(("number-not-routable".into(), Confidence::Likely))]);
    let another = lines.replace("+49305550123", "+49305550124");
    assert_eq!(causes(&another).len(), 2);
}

#[test]
fn an_exchange_hunts_from_its_other_side() {
    let lines = "
0.000  phone -> inside        INVITE sip:0305550123@pbx.example.com
0.010  inside -> phone        100 Trying
call out
0.050  outside -> carrier     INVITE sip:+49305550123@carrier.example.com
0.080  carrier -> outside     100 Trying
0.400  carrier -> outside     503 Service Unavailable
0.410  outside -> carrier     ACK
call next
0.430  outside -> elsewhere   INVITE sip:+49305550123@carrier.example.com
0.450  elsewhere -> outside   100 Trying
0.900  elsewhere -> outside   486 Busy Here
                              Reason: Q.850;cause=17
0.910  outside -> elsewhere   ACK
call call
0.950  inside -> phone        500 Server Internal Error
0.960  phone -> inside        ACK
end 60.0";
    assert_eq!(causes(lines), [Some(("callee-busy".into(), Confidence::Likely))]);
}

#[test]
fn a_connection_in_vain_of_an_address_without_sip_leaves_nothing_proven() {
    let lines = "
0.000  phone -> inside     INVITE sip:0305550123@pbx.example.com
0.010  inside -> phone     100 Trying
0.040  silent connect stream refused
0.100  inside -> phone     503 Service Unavailable
                           Reason: Q.850;cause=34
0.110  phone -> inside     ACK
end 60.0";
    let told = calls(lines);
    let cause = told.first().and_then(Diagnosis::cause).expect("a cause");
    assert_eq!((cause.rule.as_ref(), cause.confidence), ("trunk-congested", Confidence::Likely));
    assert!(cause.explanation.raw().contains("203.0.113.9 had asked 198.51.100.8:5060 for a TCP connection"));
    let late = lines.replace("0.100  inside", "1.100  inside").replace("0.110  phone", "1.110  phone");
    assert_eq!(causes(&late), [Some(("trunk-congested".into(), Confidence::Proven))]);
}

#[test]
fn an_exchange_that_was_called_itself_goes_on_with_its_own_call() {
    let lines = "
0.000  phone -> inside    INVITE sip:0305550123@pbx.example.com
0.010  inside -> phone    100 Trying
call second
0.020  other -> beside    INVITE sip:0305550123@pbx.example.com
0.030  beside -> other    100 Trying
call out
0.060  beside -> carrier  INVITE sip:+49305550123@carrier.example.com
0.080  carrier -> beside  100 Trying
0.400  carrier -> beside  486 Busy Here
0.410  beside -> carrier  ACK
call again
0.430  beside -> carrier  INVITE sip:+49305550123@carrier.example.com
                          From: <sip:+12025550199@carrier.example.com>;tag=b7
0.600  carrier -> beside  486 Busy Here
0.610  beside -> carrier  ACK
call second
0.620  beside -> other    486 Busy Here
0.630  other -> beside    ACK
call call
9.000  inside -> phone    503 Service Unavailable
                          Reason: Q.850;cause=34
9.010  phone -> inside    ACK
end 60.0";
    let told = causes(lines);
    assert_eq!(told.first(), Some(&Some(("trunk-congested".into(), Confidence::Proven))), "{told:?}");
}
