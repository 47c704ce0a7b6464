//! The claims of a JSON report (frame, field, value), and whether they are what tshark prints for that frame and field.

use std::collections::BTreeSet;
use std::process::Command;

use serde_json::Value;

use super::{Compared, Shown, root};

/// What a report claims.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Claim {
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

/// All claims of the report on a capture, but those of frames of which tshark is known to show something else.
pub fn of(capture: &Compared) -> BTreeSet<Claim> {
    let mut found = BTreeSet::new();
    if let Some(report) = report(capture) {
        gather(&report, "report", &mut found);
    }
    let known = capture.differing();
    found.retain(|claim| !known.contains(&claim.frame));
    found
}

/// The fields that tshark has to show for these.
pub fn fields(claims: &BTreeSet<Claim>) -> impl Iterator<Item = &str> {
    claims.iter().map(|claim| claim.field.as_str()).filter(|field| !matches!(*field, "absent" | "frame.number"))
}

/// Everything in a report that has a frame, a field and a value, wherever it stands.
fn gather(value: &Value, by: &str, found: &mut BTreeSet<Claim>) {
    match value {
        Value::Array(list) => list.iter().for_each(|one| gather(one, by, found)),
        Value::Object(object) => {
            let text = |key: &str| object.get(key).and_then(Value::as_str).map(str::to_owned);
            let frame = object.get("frame").and_then(Value::as_u64);
            if let (Some(frame), Some(field), Some(value)) = (frame, text("field"), text("value")) {
                found.insert(Claim { frame, field, value, by: by.to_owned() });
            }
            let rule = text("rule").unwrap_or_else(|| by.to_owned());
            object.values().for_each(|one| gather(one, &rule, found));
        }
        _ => {}
    }
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

/// What is claimed of a capture and not shown.
pub fn wrong(capture: &Compared, claims: &BTreeSet<Claim>, shown: &Shown) -> Vec<String> {
    let name = &capture.name;
    let told = |claim: &Claim| {
        let Claim { frame, field, value, by } = claim;
        let there = shown.get(frame).and_then(|row| row.get(field));
        format!("{name}: {by} claims of frame {frame} that {field} is {value:?}; tshark: {there:?}")
    };
    claims.iter().filter(|claim| !is_shown(claim, shown)).map(told).collect()
}
