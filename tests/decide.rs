//! The decision paths as a person meets them: printed, in JSON, and walked with a capture.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use assert_cmd::Command;
use serde_json::Value;
use sipwhy::catalogue::{Node, decisions};

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures")
}

fn sipwhy(args: &[&str]) -> (String, i32) {
    let mut command = Command::cargo_bin("sipwhy").unwrap();
    command.env("SIPWHY_CONFIG", "").env("LC_ALL", "C").args(args);
    let output = command.output().unwrap();
    (String::from_utf8(output.stdout).unwrap(), output.status.code().unwrap())
}

/// The ways of one fixture's capture.
fn walked(fixture: &str, start: &[&str]) -> Value {
    let capture = fixtures().join(fixture).join("capture.pcap");
    let mut args = vec!["decide", "--format", "json"];
    args.extend(start);
    args.push(capture.to_str().unwrap());
    let (text, status) = sipwhy(&args);
    assert_eq!(status, 0, "{fixture}");
    serde_json::from_str(&text).unwrap()
}

fn walks(value: &Value) -> &[Value] {
    value["walks"].as_array().unwrap()
}

fn leads_to(value: &Value, rule: &str) -> bool {
    let is_there = |walk: &Value| walk["cause"]["rules"].as_array().is_some_and(|rules| rules.contains(&rule.into()));
    walks(value).iter().any(is_there)
}

#[test]
fn packets_lead_to_the_cause_that_the_rules_find() {
    let tree = decisions();
    let mut rules: BTreeSet<&str> = BTreeSet::new();
    for node in tree.starts().iter().flat_map(|start| tree.beneath(&start.first)) {
        if let Node::Cause(leaf) = node {
            rules.extend(leaf.rules.iter().map(String::as_str));
        }
    }
    let told: Vec<&str> =
        rules.into_iter().filter(|rule| fixtures().join(rule).join("capture.pcap").is_file()).collect();
    let found = told.iter().filter(|rule| leads_to(&walked(rule, &[]), rule)).count();
    // The others are facts of calls that went well, or are outweighed by another cause of the same call.
    assert!(found >= 105 && found * 4 >= told.len() * 3, "{found} of {}", told.len());
}

#[test]
fn a_healthy_call_shows_no_symptom() {
    for fixture in
        ["healthy-plain-call", "healthy-call-with-media", "healthy-transfer", "healthy-registration-refreshed"]
    {
        assert_eq!(walks(&walked(fixture, &[])), &[] as &[Value], "{fixture}");
    }
}

#[test]
fn every_answer_names_what_gave_it() {
    let value = walked("trunk-congested", &[]);
    let [walk] = walks(&value) else { panic!("{value}") };
    assert_eq!((&walk["start"], &walk["calls"]), (&"fails-at-once".into(), &1.into()));
    let steps = walk["steps"].as_array().unwrap();
    assert_eq!(steps[0]["because"], serde_json::json!({"code": 503, "frames": [3]}));
    assert_eq!(
        steps[1]["because"],
        serde_json::json!({"rule": "trunk-congested", "confidence": "proven", "frames": [3]})
    );
    assert_eq!(walk["cause"]["key"], "congestion");
    assert!(walk["open"].is_null());
}

#[test]
fn what_the_packets_leave_open_is_asked() {
    // The user hears nothing; the packets show a plain good call and no media at all.
    let value = walked("healthy-plain-call", &["one-way-audio"]);
    let [walk] = walks(&value) else { panic!("{value}") };
    assert_eq!(walk["open"]["key"], "media-seen");
    assert!(walk["because"].is_null() && walk["cause"].is_null());
}

#[test]
fn a_symptom_is_looked_for_among_facts_too() {
    assert!(!leads_to(&walked("hold-stuck", &[]), "hold-stuck"));
    assert!(leads_to(&walked("hold-stuck", &["one-way-audio"]), "hold-stuck"));
}

#[test]
fn symptoms_are_printed_in_every_format() {
    let (list, status) = sipwhy(&["decide"]);
    assert!(status == 0 && list.contains("no-registration") && list.contains("transfer-fails"), "{list}");
    for start in decisions().starts() {
        let (text, status) = sipwhy(&["decide", &start.key]);
        assert!(status == 0 && text.contains("Fix") && text.contains("1. "), "{text}");
        assert!(text.lines().all(|line| line.chars().count() <= 80), "{text}");
    }
    let (markdown, _) = sipwhy(&["decide", "one-way-audio", "--format", "md"]);
    assert!(markdown.starts_with("# A call stands") && markdown.contains("private-media-address"), "{markdown}");
    let (html, _) = sipwhy(&["decide", "one-way-audio", "--format", "html"]);
    assert!(
        html.starts_with("<!DOCTYPE html>") && html.contains("<article") && html.contains("private-media-address"),
        "{html}"
    );
    let whole: Value = serde_json::from_str(&sipwhy(&["decide", "--format", "json"]).0).unwrap();
    assert_eq!(whole["schema"], "sipwhy.decide/1");
    assert_eq!(whole["starts"].as_array().unwrap().len(), decisions().starts().len());
    assert!(whole["causes"].as_array().unwrap().len() >= 80);
}

#[test]
fn what_is_neither_file_nor_symptom_is_refused() {
    assert_eq!(sipwhy(&["decide", "no-such-thing"]).1, 2);
    assert_eq!(sipwhy(&["decide", "one-way-audio", "no-such-thing"]).1, 3);
    assert_eq!(sipwhy(&["decide", "--format", "csv"]).1, 2);
}

#[test]
fn an_answer_says_how_sure_it_is_and_nothing_that_the_packets_refute() {
    let told = |fixture: &str| {
        let capture = fixtures().join(fixture).join("capture.pcap");
        sipwhy(&["decide", capture.to_str().unwrap()]).0.split_whitespace().collect::<Vec<_>>().join(" ")
    };
    let declined = told("rejected-by-callee-at-once");
    assert!(declined.contains("nothing had rung") && !declined.contains("after it had rung"), "{declined}");
    assert!(declined.contains("likely, frame 3") || declined.contains("possible, frame 3"), "{declined}");
    assert!(told("trunk-congested").contains("proven, frame 3"));
    // A rule leads to its cause, and the answers on the way there are not facts that anybody has read.
    for (fixture, untrue) in [
        ("dns-failed", "No response at all"),
        ("channel-limit-reached", "Q.850 cause 34"),
        ("media-port-closed", "None in either direction"),
        ("ended-before-answer", "names another cause Told"),
        ("event-unsupported", "A call fails"),
        ("event-unsupported", "INVITE"),
    ] {
        let told = told(fixture);
        assert!(!told.contains(untrue), "{fixture}: {told}");
        assert!(told.contains(&format!("rule {fixture} (")) && told.contains("Cause: "), "{fixture}: {told}");
    }
    assert!(told("trunk-congested").contains("final status 503") || told("trunk-congested").contains("503, frame 3"));
    // A cause of the capture has no code.
    let partial = told("cancel-unanswered");
    assert!(partial.contains("Rule capture-partial") && !partial.ends_with("Codes"), "{partial}");
    let json = walked("rejected-by-callee-at-once", &[]);
    assert_eq!(walks(&json)[0]["steps"][1]["because"]["rule"], "rejected-by-callee");
    assert!(walks(&json)[0]["steps"][1]["because"]["confidence"].is_string(), "{json}");
}
