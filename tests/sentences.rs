//! What a report says of a call is borne out by its messages: sentences that once said more.

mod followed;

use followed::diagnosed;
use sipwhy::call::Outcome;
use sipwhy::diagnosis::{Diagnosis, Finding, Severity};
use sipwhy::story::Story;

const ACTORS: &str = "\
alice 192.0.2.10:5060
pbx 192.0.2.20:5060 agent \"Asterisk PBX 20.5.0\"
gw 198.51.100.30:5060 agent \"ExampleGateway/7.4\"
";

/// The diagnosis of the first call of a story.
fn of(lines: &str) -> Diagnosis {
    let text = format!("# A call.\n{ACTORS}\n{}\n", lines.trim_matches('\n'));
    let story = Story::parse(&text).unwrap_or_else(|error| panic!("{error}\n{text}"));
    let first = diagnosed(&story).into_iter().min_by_key(|(call, _)| call.number);
    first.expect("a call").1
}

fn finding<'a>(diagnosis: &'a Diagnosis, rule: &str) -> &'a Finding {
    let found = diagnosis.findings.iter().find(|finding| finding.rule == rule);
    found.unwrap_or_else(|| panic!("no {rule} among {:?}", diagnosis.findings))
}

/// All that a finding says, its claims and the rivals that it names too.
fn words(finding: &Finding) -> String {
    let claims = finding.claims.iter().map(|claim| claim.says.raw().to_owned());
    let refuted = finding.refuted.iter().map(|refuted| refuted.why.raw().to_owned());
    let said = [finding.explanation.raw().to_owned()].into_iter().chain(claims).chain(refuted);
    said.collect::<Vec<String>>().join("\n")
}

#[test]
fn a_183_alone_is_not_said_to_ring() {
    let after_a_183 = |end: &str| {
        of(&format!(
            "
0.000   alice -> gw  INVITE sip:+15550100@example.com
0.050   gw -> alice  100 Trying
1.200   gw -> alice  183 Session Progress
{end}
end 300.0"
        ))
    };
    let refused = |code: &str| format!("30.000  gw -> alice  {code}\n30.020  alice -> gw  ACK");
    let cancelled = |at: u32| {
        format!(
            "{at}.0  alice -> gw  CANCEL\n+0.01  gw -> alice  200 OK\n+0.01  gw -> alice  [INVITE] 487 Request Terminated\n+0.01  alice -> gw  ACK"
        )
    };
    let cases = [
        ("caller-abandoned", cancelled(9)),
        ("ring-timeout", cancelled(190)),
        ("ring-timeout", refused("408 Request Timeout")),
        ("callee-did-not-answer", refused("480 Temporarily Unavailable")),
        ("caller-unwanted", refused("607 Unwanted")),
        ("rejected-by-callee", refused("486 Busy Here")),
    ];
    for (rule, end) in cases {
        let diagnosis = after_a_183(&end);
        let said = words(finding(&diagnosis, rule));
        for wrong in [
            "It rang",
            "call rang",
            "device rang for",
            "had rung",
            "side rings",
            "a device rang\n",
            "the device rang first",
        ] {
            assert!(!said.contains(wrong), "{rule} says {wrong:?}:\n{said}");
        }
    }
}

#[test]
fn a_180_behind_a_183_counts_from_when_it_rang() {
    let diagnosis = of("
0.000   alice -> gw  INVITE sip:+15550100@example.com
1.200   gw -> alice  183 Session Progress
5.000   gw -> alice  180 Ringing
25.000  gw -> alice  480 Temporarily Unavailable
25.020  alice -> gw  ACK
end 60.0");
    let said = words(finding(&diagnosis, "callee-did-not-answer"));
    assert!(said.starts_with("The call rang for 20 s and nobody answered"), "{said}");
}

#[test]
fn an_ack_tells_of_the_refusal_that_was_not_captured() {
    let outcome = |answer: &str, last: &str| {
        of(&format!(
            "
0.000   alice -> gw   INVITE sip:+15550100@example.com
0.050   gw ~> alice   {answer}
0.070   alice -> gw   ACK
{last}
end 60.0"
        ))
        .outcome
    };
    assert_eq!(outcome("486 Busy Here", ""), Outcome::Failed);
    assert_eq!(outcome("200 OK", "20.0 alice -> gw BYE\n20.1 gw ~> alice 200 OK"), Outcome::Answered);
}

#[test]
fn a_port_that_was_closed_for_a_moment_lost_no_packet() {
    let diagnosis = of("
0.000   alice -> gw  INVITE sip:+15550100@example.com
0.001   gw icmp port-unreachable alice
0.500   alice -> gw  again INVITE
0.600   gw -> alice  180 Ringing
3.000   gw -> alice  200 OK
3.020   alice -> gw  ACK
30.000  alice -> gw  BYE
30.020  gw -> alice  200 OK
end 70.0");
    assert!(
        !diagnosis.findings.iter().any(|finding| finding.rule == "request-lost-on-path"),
        "{:?}",
        diagnosis.findings
    );
    let said = words(finding(&diagnosis, "destination-unreachable"));
    assert!(said.contains("599 ms later 198.51.100.30:5060 sent SIP itself"), "{said}");
}

#[test]
fn what_failed_in_a_call_that_the_caller_gave_up_is_a_warning() {
    let diagnosis = of("
0.000   alice -> pbx  INVITE sip:+15550100@example.com
0.010   pbx -> alice  100 Trying
0.020   pbx -> gw     [b] INVITE sip:+15550100@198.51.100.30
5.000   alice -> pbx  CANCEL
5.005   gw -> pbx     [b] 503 Service Unavailable
5.010   pbx -> alice  200 OK
5.020   pbx -> alice  [INVITE] 487 Request Terminated
5.030   alice -> pbx  ACK
5.040   pbx -> gw     [b] ACK
end 60.0");
    assert_eq!(diagnosis.cause().map(|cause| &*cause.rule), Some("caller-abandoned"));
    assert_eq!(finding(&diagnosis, "server-fault").severity, Severity::Warning);
}
