//! Every folder of `fixtures/` is a story, or a capture of real traffic, and what must come of it.
//!
//! `story.txt` gives the capture; a capture that was recorded has `ORIGIN.md` instead. `report.txt` and `report.json`
//! are what the program prints for it. `UPDATE_FIXTURES=1 cargo test --test fixtures` rewrites what is expected; the
//! difference is to be read before it is committed.

mod analysed;

use std::fs;
use std::path::{Path, PathBuf};

use analysed::{Fixture, as_json, as_text, fixtures, gathered, root};
use serde_json::Value;
use sipwhy::call::Outcome;
use sipwhy::diagnosis::rules::named;
use sipwhy::diagnosis::{Confidence, Severity};
use sipwhy::report::text::Scope;
use sipwhy::report::{CallRecord, FindingRecord, Keep, Report};
use sipwhy::story::Story;

/// A file of a folder, and the bytes that it must hold.
struct Expectation {
    file: String,
    bytes: Vec<u8>,
}

impl Expectation {
    fn new(file: &str, bytes: Vec<u8>) -> Expectation {
        Expectation { file: file.to_owned(), bytes }
    }
}

fn story_folders() -> Vec<PathBuf> {
    let mut folders: Vec<PathBuf> = fs::read_dir(root().join("fixtures"))
        .expect("the folder of fixtures")
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.join("story.txt").is_file())
        .collect();
    folders.sort();
    folders
}

fn story_of(folder: &Path) -> Result<Story, String> {
    let path = folder.join("story.txt");
    let text = fs::read_to_string(&path).map_err(|error| format!("{}: {error}", path.display()))?;
    Story::parse(&text).map_err(|error| format!("{}: {error}", path.display()))
}

fn is_update() -> bool {
    std::env::var_os("UPDATE_FIXTURES").is_some()
}

/// Compares, or rewrites if that was asked for. Gives what is wrong.
fn check(folder: &Path, expectation: &Expectation) -> Option<String> {
    let path = folder.join(&expectation.file);
    let found = fs::read(&path).unwrap_or_default();
    if found == expectation.bytes {
        return None;
    }
    if is_update() {
        return fs::write(&path, &expectation.bytes).err().map(|error| format!("{}: {error}", path.display()));
    }
    let (found, expected) = (String::from_utf8_lossy(&found), String::from_utf8_lossy(&expectation.bytes));
    let first = found.lines().zip(expected.lines()).position(|(one, other)| one != other);
    let line = first.unwrap_or_else(|| found.lines().count().min(expected.lines().count())) + 1;
    Some(format!("{}, line {line}, is not what comes of it; UPDATE_FIXTURES=1 rewrites it", path.display()))
}

/// What comes of a capture.
fn reports(fixture: &Fixture) -> Vec<Expectation> {
    let paths = [fixture.capture.clone()];
    let mut for_people = gathered(&paths, Keep::Trouble).expect("a capture");
    let mut for_programs = gathered(&paths, Keep::All).expect("a capture");
    vec![
        Expectation::new("report.txt", as_text(&mut for_people)),
        Expectation::new("report.json", as_json(&mut for_programs)),
    ]
}

#[test]
fn every_folder_gives_what_is_expected() {
    let mut wrong = Vec::new();
    for folder in story_folders() {
        match story_of(&folder) {
            Ok(story) => wrong.extend(check(&folder, &Expectation::new(story.capture_name(), story.capture()))),
            Err(error) => wrong.push(error),
        }
    }
    for fixture in fixtures() {
        let folder = root().join("fixtures").join(&fixture.name);
        wrong.extend(reports(&fixture).iter().filter_map(|expected| check(&folder, expected)));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_folder_says_where_it_comes_from() {
    for fixture in fixtures() {
        let folder = root().join("fixtures").join(&fixture.name);
        let is_told = folder.join("story.txt").is_file() != folder.join("ORIGIN.md").is_file();
        assert!(is_told, "{}: either a story or an origin", fixture.name);
    }
}

#[test]
fn every_title_is_a_sentence_of_its_own() {
    let mut titles: Vec<(String, PathBuf)> = Vec::new();
    for folder in story_folders() {
        let story = story_of(&folder).expect("a story");
        assert!(story.title().ends_with('.'), "{}: the title is no sentence", folder.display());
        titles.push((story.title().to_owned(), folder));
    }
    titles.sort();
    for pair in titles.windows(2) {
        assert_ne!(pair[0].0, pair[1].0, "{} and {}", pair[0].1.display(), pair[1].1.display());
    }
    assert!(!titles.is_empty(), "no stories found");
}

/// The rule of a folder that is named after one, and what follows its name: `-near-miss-stale`.
///
/// The longest name counts, so that `released-by-near-miss-…` is of `released-by`.
fn rule_of(name: &str) -> Option<(&str, &str)> {
    let mut ends = name.match_indices('-').map(|(at, _)| at).chain([name.len()]);
    ends.rfind(|end| named(&name[..*end]).is_some()).map(|end| name.split_at(end))
}

fn findings(report: &Report) -> impl Iterator<Item = &FindingRecord> {
    report.calls.iter().flat_map(|call| &call.findings).chain(&report.notes)
}

/// True if a finding claims that the rule holds, and that it matters.
fn holds(finding: &FindingRecord, rule: &str) -> bool {
    finding.rule == rule && finding.confidence != Confidence::Unseen && finding.severity != Severity::Info
}

/// What a folder's name promises and its report does not keep.
fn broken_promise(name: &str, report: &Report) -> Option<String> {
    if name.starts_with("healthy-") {
        let is_alarm = |finding: &&FindingRecord| finding.severity != Severity::Info;
        if let Some(alarm) = report.calls.iter().flat_map(|call| &call.findings).find(is_alarm) {
            return Some(format!("{name}: {} is found in a call that went well", alarm.rule));
        }
        let explained = |call: &&CallRecord| call.cause.is_some() && call.outcome != Outcome::Cancelled;
        let call = report.calls.iter().find(explained)?;
        return Some(format!("{name}: {:?} explains a call that went well", call.cause));
    }
    let (rule, rest) = rule_of(name)?;
    let is_cause = report.calls.iter().any(|call| call.cause.as_deref() == Some(rule));
    if rest.starts_with("-near-miss") {
        let is_found = is_cause || findings(report).any(|finding| holds(finding, rule));
        return is_found.then(|| format!("{name}: {rule} is found all the same"));
    }
    let is_found = is_cause || findings(report).any(|finding| finding.rule == rule);
    (!is_found).then(|| {
        let found: Vec<&str> = findings(report).map(|finding| finding.rule.as_str()).collect();
        format!("{name}: {rule} is not found, but {}", found.join(", "))
    })
}

#[test]
fn every_folder_keeps_what_its_name_promises() {
    let mut broken = Vec::new();
    let mut without_rule = Vec::new();
    for fixture in fixtures() {
        let is_story = root().join("fixtures").join(&fixture.name).join("story.txt").is_file();
        if is_story && rule_of(&fixture.name).is_none() && !fixture.name.starts_with("healthy-") {
            without_rule.push(fixture.name.clone());
        }
        let report = analysed::report(std::slice::from_ref(&fixture.capture)).expect("a capture");
        broken.extend(broken_promise(&fixture.name, &report));
    }
    println!("stories whose rule is not written yet: {}", without_rule.join(", "));
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

#[test]
fn every_message_belongs_to_a_call_or_is_counted_elsewhere() {
    for fixture in fixtures() {
        let paths = [fixture.capture.clone()];
        let report = analysed::report(&paths).expect("a capture");
        let read: u64 = report.inputs.iter().map(|input| input.sip_messages).sum();
        assert_eq!(read, report.summary.messages, "{}", fixture.name);
        // A good call is only counted where nobody wants it whole.
        let counted = gathered(&paths, Keep::Trouble).expect("a capture").summary;
        assert_eq!(report.summary, counted, "{}", fixture.name);
    }
}

#[test]
fn nothing_is_found_that_is_ruled_out_beside_it() {
    for fixture in fixtures() {
        let report = analysed::report(&[fixture.capture]).expect("a capture");
        for call in &report.calls {
            let refuted = call.findings.iter().flat_map(|finding| &finding.refuted);
            for refuted in refuted {
                let is_found = call.findings.iter().any(|finding| finding.rule == refuted.rule);
                assert!(!is_found, "{}: {} is found, and ruled out: {:?}", fixture.name, refuted.rule, refuted.why);
            }
        }
    }
}

/// The part of a text report that tells of one call, from its heading to the next; `None` if it is not told there.
fn told_of<'t>(text: &'t str, call: &CallRecord) -> Option<&'t str> {
    let numbers = |kind: &str| format!("\n{kind} {}  ", call.id);
    let heading = ["CALL", "REGISTRATION", "SUBSCRIPTION", "MESSAGE", "OPTIONS", "REQUEST"]
        .iter()
        .find_map(|kind| text.find(&numbers(kind)))?;
    let rest = &text[heading + 1..];
    let blank_lines = rest.match_indices("\n\n").map(|(at, _)| at);
    // An empty line stands before the ladder too, which is set in.
    let end = blank_lines.into_iter().find(|at| !rest[at + 2..].starts_with(' ')).unwrap_or(rest.len());
    rest.get(..end)
}

#[test]
fn every_error_and_warning_of_the_json_stands_in_the_text() {
    let mut lost = Vec::new();
    let mut count = 0;
    for fixture in fixtures() {
        let paths = std::slice::from_ref(&fixture.capture);
        for scope in [Scope::Everything, Scope::Trouble] {
            let mut gathered = gathered(paths, Keep::All).expect("a capture");
            let text = analysed::as_text_of(&mut gathered, scope, 80);
            let text = String::from_utf8(text).expect("UTF-8");
            let report = gathered.report().expect("a report");
            let told = |call| (call, told_of(&text, call).or((scope == Scope::Everything).then_some("")));
            for (call, told) in report.calls.iter().map(told) {
                let Some(told) = told else { continue };
                let matters = call.findings.iter().filter(|finding| finding.severity != Severity::Info);
                count += matters.clone().count();
                let missing = matters.filter(|finding| !told.contains(&finding.rule));
                lost.extend(missing.map(|finding| format!("{} {} {scope:?}: {}", fixture.name, call.id, finding.rule)));
            }
            lost.extend(
                report
                    .notes
                    .iter()
                    .filter(|note| note.severity != Severity::Info && !text.contains(&note.rule))
                    .map(|note| format!("{} {scope:?}: {}", fixture.name, note.rule)),
            );
        }
    }
    assert!(count > 0, "nothing was looked at");
    assert!(lost.is_empty(), "{}", lost.join("\n"));
}

#[test]
fn no_sentence_of_an_incident_is_cut_off() {
    let mut count = 0;
    for fixture in fixtures() {
        let mut gathered = gathered(std::slice::from_ref(&fixture.capture), Keep::All).expect("a capture");
        let text = String::from_utf8(analysed::as_text_of(&mut gathered, Scope::Trouble, 200)).expect("UTF-8");
        let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
        for incident in gathered.report().expect("a report").incidents {
            for sentence in incident.fix.iter().take(4).chain(&incident.says).chain([&incident.title]) {
                count += 1;
                assert!(text.contains(&*sentence.for_terminal()), "{}: {sentence:?}", fixture.name);
            }
        }
    }
    assert!(count > 0, "no incident was looked at");
}

/// What of a value is not as the schema says, in so far as the schema uses these words; with the place of it.
fn breach(schema: &Value, root: &Value, value: &Value, at: &str) -> Option<String> {
    if let Some(reference) = schema.get("$ref").and_then(Value::as_str) {
        let target = root.pointer(reference.trim_start_matches('#')).expect("a definition");
        return breach(target, root, value, at);
    }
    let any = ["anyOf", "oneOf"].iter().find_map(|word| schema.get(*word)?.as_array());
    if let Some(any) = any
        && any.iter().all(|one| breach(one, root, value, at).is_some())
    {
        return Some(format!("{at}: {value} is none of what it may be"));
    }
    if schema.get("const").is_some_and(|known| known != value)
        || schema.get("enum").and_then(Value::as_array).is_some_and(|known| !known.contains(value))
        || schema.get("type").is_some_and(|kind| !is_of(kind, value))
    {
        return Some(format!("{at}: {value} is not allowed"));
    }
    let required = schema.get("required").and_then(Value::as_array).into_iter().flatten();
    for name in required.filter_map(Value::as_str) {
        if value.is_object() && value.get(name).is_none() {
            return Some(format!("{at}: {name} is missing"));
        }
    }
    let parts: Vec<(String, &Value, Option<&Value>)> = match value {
        Value::Object(object) => object
            .iter()
            .map(|(name, part)| (name.clone(), part, schema.get("properties").and_then(|known| known.get(name))))
            .collect(),
        Value::Array(array) => {
            array.iter().enumerate().map(|(index, part)| (index.to_string(), part, schema.get("items"))).collect()
        }
        _ => Vec::new(),
    };
    parts.into_iter().find_map(|(name, part, schema)| breach(schema?, root, part, &format!("{at}/{name}")))
}

fn is_of(kind: &Value, value: &Value) -> bool {
    let is = |kind: &str| match kind {
        "null" => value.is_null(),
        "boolean" => value.is_boolean(),
        "integer" => value.is_u64() || value.is_i64(),
        "number" => value.is_number(),
        "string" => value.is_string(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        other => panic!("the schema knows a type {other}"),
    };
    match kind {
        Value::Array(kinds) => kinds.iter().filter_map(Value::as_str).any(is),
        kind => is(kind.as_str().expect("a type")),
    }
}

#[test]
fn every_report_is_as_the_schema_says() {
    let text = fs::read_to_string(root().join("schema/report-1.json")).expect("the schema");
    let schema: Value = serde_json::from_str(&text).expect("a schema");
    let wrong = serde_json::json!({ "schema": "sipwhy.report/1", "calls": [{ "id": "one" }] });
    assert!(breach(&schema, &schema, &wrong, "").is_some(), "the check finds nothing");
    for fixture in fixtures() {
        let report = as_json(&mut gathered(std::slice::from_ref(&fixture.capture), Keep::All).expect("a capture"));
        let report: Value = serde_json::from_slice(&report).expect("JSON");
        assert_eq!(breach(&schema, &schema, &report, ""), None, "{}", fixture.name);
        let known = schema["properties"].as_object().expect("properties");
        let keys = report.as_object().expect("an object").keys();
        assert!(
            keys.clone().all(|key| known.contains_key(key)),
            "{}: a key that the schema does not know",
            fixture.name
        );
    }
}
