//! Advice in the words of the software that refused: only of software that the trace shows, and for the method that failed.

mod followed;

use followed::diagnosed;
use sipwhy::diagnosis::{Claim, Diagnosis, Finding};
use sipwhy::story::Story;

fn diagnosis(lines: &str) -> Diagnosis {
    let text = format!("# Whose words?\nalice 192.0.2.10:5060\npbx 192.0.2.20:5060\n\n{lines}end 60.0\n");
    let story = Story::parse(&text).expect("a story");
    diagnosed(&story).into_iter().map(|(_, diagnosis)| diagnosis).next().expect("a call")
}

/// What is said of a call that is refused with a line and headers.
fn refused(method: &str, answer: &str, headers: &[&str]) -> Diagnosis {
    let headers: String = headers.iter().map(|header| format!("      {header}\n")).collect();
    let ack = if method == "INVITE" { "0.110 alice -> pbx ACK\n" } else { "" };
    let target = if method == "REGISTER" { "sip:example.com" } else { "sip:+12025550123@example.com" };
    diagnosis(&format!("0.000 alice -> pbx {method} {target}\n0.100 pbx -> alice {answer}\n{headers}{ack}"))
}

fn cause(diagnosis: &Diagnosis) -> &Finding {
    diagnosis.cause().expect("a cause")
}

fn steps(diagnosis: &Diagnosis) -> String {
    cause(diagnosis).fix.iter().map(|step| step.raw().to_owned()).collect::<Vec<_>>().join("\n")
}

fn claims<'a>(diagnosis: &'a Diagnosis, field: &str) -> Vec<&'a Claim> {
    cause(diagnosis).claims.iter().filter(|claim| claim.field == field).collect()
}

#[test]
fn a_name_in_the_response_is_what_counts() {
    let of = |headers: &[&str]| steps(&refused("INVITE", "404 Not Found", headers));
    assert!(of(&["Server: Asterisk PBX 20.5.0"]).contains("Asterisk: "));
    for other in [&["Server: kamailio (5.7.4)"][..], &["Server: Grandstream HT801"], &[]] {
        let steps = of(other);
        assert!(!steps.contains("Asterisk") && !steps.contains("FreeSWITCH"), "{other:?}: {steps}");
    }
}

#[test]
fn the_name_of_another_message_does_not_count() {
    let diagnosis = diagnosis(
        "0.000 alice -> pbx OPTIONS sip:example.com\n\
         0.010 pbx -> alice 404 Not Found\n      Server: Asterisk PBX 20.5.0\n\
         call two\n\
         5.000 alice -> pbx INVITE sip:+12025550123@example.com\n\
         5.100 pbx -> alice 404 Not Found\n\
         5.110 alice -> pbx ACK\n",
    );
    let told = diagnosis.cause().map(|cause| cause.fix.iter().any(|step| step.raw().contains("Asterisk")));
    assert_ne!(told, Some(true));
}

#[test]
fn words_that_nobody_else_writes_tell_the_software_and_are_cited() {
    let line = "477 Unfortunately error on sending to next hop occurred (477/TM)";
    let diagnosis = refused("INVITE", line, &[]);
    assert!(
        steps(&diagnosis).contains("The phrase is one of Kamailio. If that is what answered, it could not send"),
        "{}",
        steps(&diagnosis)
    );
    assert_eq!(claims(&diagnosis, "sip.Status-Line").len(), 1);
    assert!(!steps(&refused("INVITE", line, &["Server: OpenSIPS (3.4.2)"])).contains("Kamailio"));
    let named = refused("INVITE", line, &["Server: kamailio (5.7.4)"]);
    assert!(steps(&named).contains("\nKamailio: "), "{}", steps(&named));
}

#[test]
fn a_registration_gets_the_words_for_registrations() {
    for (server, call, registration) in [
        ("Cisco-SIPGateway/IOS-17.3.4", "show sip-ua map", "voice register pool"),
        ("Oracle SBC 9.0", "show sipd invite", "show registration"),
    ] {
        let server = format!("Server: {server}");
        let of = |method| steps(&refused(method, "403 Forbidden", &[&server, "Reason: Q.850;cause=21"]));
        assert!(!of("INVITE").contains(registration), "{}", of("INVITE"));
        assert!(of("REGISTER").contains(registration), "{}", of("REGISTER"));
        assert!(!of("REGISTER").contains(call), "{}", of("REGISTER"));
    }
    let cisco = refused("INVITE", "403 Forbidden", &["Server: Cisco-SIPGateway/IOS-17.3.4", "Reason: Q.850;cause=21"]);
    assert!(steps(&cisco).contains("show sip-ua map"), "{}", steps(&cisco));
}

#[test]
fn what_a_reason_shows_is_not_put_down_to_the_dialplan() {
    let server = "Server: Asterisk PBX 20.5.0";
    let own = steps(&refused("INVITE", "503 Service Unavailable", &[server]));
    assert!(own.contains("core show taskprocessors"), "{own}");
    let passed = steps(&refused("INVITE", "503 Service Unavailable", &[server, "Reason: Q.850;cause=34"]));
    assert!(!passed.contains("core show taskprocessors"), "{passed}");
}

#[test]
fn a_private_cause_of_freeswitch_is_named() {
    let headers = ["Server: FreeSWITCH-mod_sofia/1.10.9", "Reason: SIP;cause=821;text=\"BAD_IDENTITY_INFO\""];
    let told = steps(&refused("INVITE", "480 Temporarily Unavailable", &headers));
    assert!(told.contains("(BAD_IDENTITY_INFO) is no status code"), "{told}");
}

#[test]
fn a_code_of_a_carrier_is_not_found_in_a_longer_one() {
    let of = |code: &str| steps(&refused("INVITE", &format!("403 Forbidden {code}"), &["Server: Telnyx SIP Proxy"]));
    assert!(of("D1").contains("(D1)") && !of("D10").contains("(D1)") && of("D10").contains("(D10)"));
}

#[test]
fn what_the_client_makes_of_it_is_told_of_the_client() {
    let told = diagnosis(
        "0.000 alice -> pbx INVITE sip:+12025550123@example.com\n      User-Agent: Twilio Gateway\n\
         0.100 pbx -> alice 503 Service Unavailable\n\
         0.110 alice -> pbx ACK\n",
    );
    assert!(steps(&told).contains("The client is Twilio: it reports this as 32011"), "{}", steps(&told));
}
