//! Advice in the words of the software that refused: only of software that the trace shows, and for the method that
//! failed.

mod followed;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use followed::diagnosed;
use serde_json::Value;
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
fn a_cause_made_of_the_silence_behind_is_not_said_to_tell_more() {
    let told = |how: &str| {
        let path = format!("{}/fixtures/next-hop-silent/{how}.txt", env!("CARGO_MANIFEST_DIR"));
        let story = Story::parse(&fs::read_to_string(path).expect("a story")).expect("a story");
        let refused = diagnosed(&story).into_iter().find(|(_, diagnosis)| diagnosis.cause().is_some());
        let (_, diagnosis) = refused.expect("a call that failed");
        (cause(&diagnosis).rule.to_string(), steps(&diagnosis).contains("Trust the cause"))
    };
    assert_eq!(told("story-told-as-congestion"), ("next-hop-silent".to_owned(), false));
    assert_eq!(told("near-miss-refused-at-once"), ("trunk-congested".to_owned(), true));
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
fn a_setting_is_named_once() {
    let of_403 = |server: &str| {
        steps(&diagnosis(&format!(
            "0.000 alice -> pbx REGISTER sip:example.com\n\
             0.010 pbx -> alice 401 Unauthorized\n      Server: {server}\n\
             0.020 alice -> pbx REGISTER\n      auth password wrong\n\
             0.030 pbx -> alice 403 Forbidden\n      Server: {server}\n"
        )))
    };
    for (server, setting) in [("Asterisk PBX 20.5.0", "max_contacts"), ("FreeSWITCH-mod_sofia/1.10.9", "`password`")] {
        let told = of_403(server);
        assert_eq!(told.lines().filter(|step| step.contains(setting)).count(), 1, "{told}");
    }
    let limited = ["Server: FreeSWITCH-mod_sofia/1.10.9", "Retry-After: 30"];
    let told = steps(&refused("INVITE", "503 Maximum Calls In Progress", &limited));
    assert!(told.contains("`fsctl max_sessions`") && !told.contains("`max-sessions`"), "{told}");
}

/// The words of a step that say something: those of four letters and more.
fn words(step: &str) -> BTreeSet<String> {
    let words = step.split(|letter: char| !letter.is_alphanumeric() && letter != '-');
    words.filter(|word| word.len() > 3 && word.chars().any(char::is_alphabetic)).map(str::to_lowercase).collect()
}

/// The pairs of steps of which the shorter one shares more than half of its words with the other one.
fn doubled(steps: &[String]) -> Vec<(&str, &str)> {
    let pairs = steps.iter().enumerate().flat_map(|(at, one)| steps[at + 1..].iter().map(move |other| (one, other)));
    let share_most = |one: &str, other: &str| {
        let (one, other) = (words(one), words(other));
        let fewer = one.len().min(other.len());
        fewer >= 4 && one.intersection(&other).count() * 2 > fewer
    };
    pairs.filter(|(one, other)| share_most(one, other)).map(|(one, other)| (&**one, &**other)).collect()
}

#[test]
fn no_step_says_what_another_one_says() {
    assert_eq!(
        doubled(&["Look at the state of the lines.".into(), "See the state of those lines again.".into()]).len(),
        0
    );
    assert_eq!(
        doubled(&["Look whether those lines stand.".into(), "Look again whether those lines are up.".into()]).len(),
        1
    );
    let (mut findings, mut wrong) = (0, Vec::new());
    for report in files_of_fixtures("report.json") {
        let report: Value = serde_json::from_slice(&fs::read(&report).expect("a report")).expect("JSON");
        let calls = report["calls"].as_array().into_iter().flatten().map(|call| &call["findings"]);
        for finding in calls.chain([&report["notes"]]).filter_map(Value::as_array).flatten() {
            let fix = finding["fix"].as_array().into_iter().flatten().filter_map(Value::as_str);
            let fix: Vec<String> = fix.map(str::to_owned).collect();
            wrong.extend(
                doubled(&fix).into_iter().map(|(one, other)| format!("{}: {one}\n    {other}", finding["rule"])),
            );
            findings += 1;
        }
    }
    for story in files_of_fixtures(".txt") {
        let Ok(story) = Story::parse(&fs::read_to_string(story).expect("a text")) else { continue };
        for finding in diagnosed(&story).iter().flat_map(|(_, diagnosis)| &diagnosis.findings) {
            let fix: Vec<String> = finding.fix.iter().map(|step| step.raw().to_owned()).collect();
            wrong.extend(doubled(&fix).into_iter().map(|(one, other)| format!("{}: {one}\n    {other}", finding.rule)));
            findings += 1;
        }
    }
    wrong.sort();
    wrong.dedup();
    assert!(findings > 1000, "{findings}");
    assert!(wrong.is_empty(), "{} pairs:\n{}", wrong.len(), wrong.join("\n"));
}

/// The files of `fixtures/` whose name ends so.
fn files_of_fixtures(end: &str) -> Vec<PathBuf> {
    let of = |folder: &Path| -> Vec<PathBuf> {
        let entries = fs::read_dir(folder).expect("a folder");
        entries.map(|entry| entry.expect("an entry").path()).collect()
    };
    let folders = of(Path::new("fixtures")).into_iter().filter(|path| path.is_dir());
    let files = folders.flat_map(|folder| of(&folder));
    files.filter(|file| file.to_string_lossy().ends_with(end)).collect()
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

#[test]
fn a_trunk_that_is_not_known_is_named() {
    let says = |words: &str| {
        let warning = format!("Warning: 399 cucm1 \"{words}\"");
        steps(&refused("INVITE", "503 Service Unavailable", &["Server: Cisco-CUCM14.0", &warning]))
    };
    let unknown = says("Unable to find a device handler for the request received on port 5060 from 192.0.2.10");
    assert!(unknown.contains("it knows no trunk and no telephone"), "{unknown}");
    let other = says("Insufficient bandwidth");
    assert!(!other.contains("it knows no trunk"), "{other}");
}

#[test]
fn a_number_that_the_carrier_does_not_call_is_named() {
    let says = |words: &str| steps(&refused("INVITE", "400 Bad Request", &[&format!("X-Twilio-Error: {words}")]));
    let unfit = says("13224 Dial: number not supported or invalid");
    assert!(unfit.contains("Send the number in E.164"), "{unfit}");
    let other = says("32009 user not registered");
    assert!(!other.contains("Send the number in E.164"), "{other}");
}
