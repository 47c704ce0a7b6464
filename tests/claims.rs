//! Every claim of a JSON report (frame, field, value) is what tshark prints for that frame and field.
//!
//! The program itself is run on every capture of `fixtures/` and on the recordings with TLS, and what it prints is
//! compared. `SIPWHY_CAPTURES=/folder cargo test --test claims` does the same for captures elsewhere; secrets of TLS stand
//! beside a capture, in `NAME.keys.txt`. Where tshark shows something else for a reason, it stands in
//! `docs/differences.md`, with the frames. Without tshark there is nothing to compare with, and the tests say so.

mod analysed;
mod dissected;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};

use analysed::{fixtures, root};
use dissected::{Compared, Shown, all_wrong, elsewhere, has_tshark, of_folder};
use serde_json::Value;

/// What a report claims.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Claim {
    frame: u64,
    field: String,
    value: String,
    /// Where in the report.
    by: String,
}

/// What the program prints; `None` where it finds no capture.
fn report(capture: &Compared) -> Option<Value> {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sipwhy"));
    command.current_dir(root()).args(["-q", "--all", "--format", "json"]).arg(&capture.path);
    if let Some(keys) = &capture.keys {
        command.arg("--keylog").arg(keys);
    }
    let output = command.output().expect("the program runs");
    let has_report = output.status.success() || !output.stdout.is_empty();
    has_report.then(|| serde_json::from_slice(&output.stdout).expect("a report"))
}

/// Everything in a report that has a frame, a field and a value, wherever it stands.
fn claims(value: &Value, by: &str, found: &mut BTreeSet<Claim>) {
    match value {
        Value::Array(list) => list.iter().for_each(|one| claims(one, by, found)),
        Value::Object(object) => {
            let text = |key: &str| object.get(key).and_then(Value::as_str).map(str::to_owned);
            let frame = object.get("frame").and_then(Value::as_u64);
            if let (Some(frame), Some(field), Some(value)) = (frame, text("field"), text("value")) {
                found.insert(Claim { frame, field, value, by: by.to_owned() });
            }
            let rule = text("rule").unwrap_or_else(|| by.to_owned());
            object.values().for_each(|one| claims(one, &rule, found));
        }
        _ => {}
    }
}

fn has_field(claim: &Claim) -> bool {
    !matches!(claim.field.as_str(), "absent" | "frame.number")
}

/// True if a claim is what tshark shows.
fn is_shown(claim: &Claim, shown: &Shown) -> bool {
    let Some(row) = shown.get(&claim.frame) else { return false };
    match claim.field.as_str() {
        "absent" => true,
        "frame.number" => claim.value == claim.frame.to_string(),
        // The field holds all headers; a claim cites one of them.
        "sip.msg_hdr" => {
            let headers = row.get("sip.msg_hdr").into_iter().flatten();
            headers
                .flat_map(|all| all.split("\\r\\n").flat_map(|line| line.split("\\n")))
                .any(|line| line == claim.value)
        }
        field => row.get(field).is_some_and(|occurrences| occurrences.contains(&claim.value)),
    }
}

/// What one capture's report claims and tshark does not show; counts what was compared.
fn wrong(capture: &Compared, compared: &AtomicUsize) -> Vec<String> {
    let name = &capture.name;
    let mut found = BTreeSet::new();
    if let Some(report) = report(capture) {
        claims(&report, "report", &mut found);
    }
    let known = capture.differing();
    found.retain(|claim| !known.contains(&claim.frame));
    if found.is_empty() {
        return Vec::new();
    }
    compared.fetch_add(found.len(), Ordering::Relaxed);
    let fields = found.iter().filter(|claim| has_field(claim)).map(|claim| claim.field.as_str()).collect();
    let shown = match capture.shown(&fields) {
        Ok(shown) => shown,
        Err(complaint) => return vec![format!("{name}: {complaint}")],
    };
    let told = |claim: &Claim| {
        let Claim { frame, field, value, by } = claim;
        let there = shown.get(frame).and_then(|row| row.get(field));
        format!("{name}: {by} claims of frame {frame} that {field} is {value:?}; tshark: {there:?}")
    };
    found.iter().filter(|claim| !is_shown(claim, &shown)).map(told).collect()
}

/// Compares all claims of the reports on these captures.
fn compare(captures: &[Compared], at_least: usize) {
    let compared = AtomicUsize::new(0);
    let wrong = all_wrong(captures, |capture| wrong(capture, &compared));
    let compared = compared.into_inner();
    println!("{compared} claims of {} captures, {} of them wrong", captures.len(), wrong.len());
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(compared >= at_least, "only {compared} claims were found");
}

#[test]
fn every_claim_is_what_tshark_prints() {
    if !has_tshark() {
        return;
    }
    let mut captures: Vec<Compared> =
        fixtures().into_iter().map(|fixture| Compared::new(fixture.capture.clone(), &fixture.capture)).collect();
    let tls: Vec<Compared> = of_folder(Path::new("tests/tls"));
    captures.extend(tls.into_iter().filter(|capture| capture.keys.is_some()));
    compare(&captures, 500);
}

#[test]
fn every_claim_on_captures_elsewhere_is_what_tshark_prints() {
    let Some(captures) = elsewhere().filter(|_| has_tshark()) else { return };
    let is_capture = |path: &PathBuf| !path.to_string_lossy().ends_with(".keys.txt");
    let captures: Vec<Compared> = captures.into_iter().filter(|capture| is_capture(&capture.path)).collect();
    compare(&captures, 1);
}
