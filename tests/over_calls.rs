//! What a report says beyond single findings: what only shows over several calls, the good call beside a bad one, and
//! who made the response that failed it.

mod analysed;

use std::path::PathBuf;

use sipwhy::call::Outcome;
use sipwhy::diagnosis::MadeBy;
use sipwhy::report::{CallRecord, Report};

fn report_of(fixture: &str) -> Report {
    analysed::report(&[PathBuf::from("fixtures").join(fixture).join("capture.pcap")]).expect("a report")
}

fn failed(report: &Report) -> &CallRecord {
    report.calls.iter().find(|call| call.cause.is_some()).expect("a call that failed")
}

#[test]
fn an_incident_tells_since_when() {
    let report = report_of("trunk-congested-from-a-moment-on");
    let incident = &report.incidents[0];
    assert_eq!((incident.calls.len(), incident.of), (4, Some(8)));
    let says: Vec<&str> = incident.says.iter().map(|says| says.raw()).collect();
    let expected =
        "4 of 8 calls that were decided there went this way: none of 4 before the first of them, 4 of 4 from then on";
    assert_eq!(says, [expected]);
}

#[test]
fn answered_calls_without_sound_are_an_incident() {
    let report = report_of("one-way-media-from-a-moment-on");
    let [incident] = report.incidents.as_slice() else { panic!("{:?}", report.incidents) };
    assert_eq!((incident.rule.as_deref(), incident.calls.as_slice()), (Some("one-way-media"), [3, 4].as_slice()));
    assert_eq!((incident.of, incident.says.len()), (None, 0), "accepted calls tell nothing of their sound");
}

#[test]
fn probes_that_are_refused_are_no_incident() {
    let report = report_of("probe-noise-row");
    assert_eq!((report.calls.len(), report.incidents.len()), (3, 0), "{:?}", report.incidents);
}

#[test]
fn an_incident_tells_of_a_ceiling() {
    let report = report_of("channel-limit-reached");
    let says = &report.incidents[0].says;
    assert!(says.iter().any(|says| says.raw().ends_with("a ceiling of 2 calls at once")), "{says:?}");
}

#[test]
fn registrations_are_refused_together() {
    let report = report_of("server-fault-registrations-together");
    let says = &report.incidents[0].says;
    // Each got a response.
    assert!(says.iter().any(|says| says.raw().ends_with("they were refused together")), "{says:?}");
}

#[test]
fn where_another_call_shows_that_answers_are_not_captured_none_is_said_to_be_missing() {
    let report = report_of("capture-one-sided-beside-a-call");
    let outcomes: Vec<Outcome> = report.calls.iter().map(|call| call.outcome).collect();
    // Who repeats its request has got no answer.
    assert_eq!(outcomes, [Outcome::Answered, Outcome::Unfinished, Outcome::Unanswered]);
}

#[test]
fn a_good_call_stands_beside_a_bad_one() {
    let report = report_of("trunk-congested-from-a-moment-on");
    let good = failed(&report).good_call.as_ref().expect("a call that was accepted");
    let differs: Vec<(&str, &str, &str)> =
        good.differences.iter().map(|one| (one.what.as_str(), one.here.raw(), one.there.raw())).collect();
    // It failed for the trunk, so whom it was for comes before what was offered.
    let expected = [
        ("called user", "the one called here", "another"),
        ("called number", "0 and 10 digits", "+ and 11 digits"),
        ("codecs", "PCMA G729", "PCMA PCMU"),
    ];
    assert_eq!(differs, expected);
    assert_eq!(good.differences[2].claims.len(), 2);
    // Nothing to compare with: no call on this way was accepted.
    assert_eq!(failed(&report_of("trunk-congested-behind-proxy")).good_call, None);
}

#[test]
fn what_was_offered_beside_the_audio_is_compared() {
    let report = report_of("no-common-codec-taken-elsewhere");
    let good = failed(&report).good_call.as_ref().expect("a call that was accepted");
    let differs = |what: &str| good.differences.iter().find(|one| one.what == what).expect("a difference");
    let kinds = differs("kinds of media");
    assert_eq!((kinds.here.raw(), kinds.there.raw()), ("audio video", "audio"));
    assert_eq!(differs("telephone events").here.raw(), "not offered");
    assert_eq!(good.differences[0].what, "kinds of media", "the code is about the offer");
}

#[test]
fn a_rewritten_code_is_told() {
    let report = report_of("trunk-congested-behind-proxy");
    let made = failed(&report).generated_by.as_ref().expect("where the response came from");
    assert_eq!((made.status, made.addr.as_str(), made.made_by), (503, "198.51.100.10:5060", MadeBy::Sender));
    let rewritten = made.rewritten.as_ref().expect("what was made out of it");
    assert_eq!((rewritten.status, rewritten.addr.as_str()), (500, "192.0.2.25:5060"));
    let own = report_of("timeout-behind-proxy");
    assert_eq!(failed(&own).generated_by.as_ref().map(|made| made.made_by), Some(MadeBy::Sender));
}
