//! How often the program is right: over every story of `fixtures/`, and over labelled captures.
//!
//!     cargo run --example scoreboard [TRUTH.json]…
//!
//! A story is labelled by its folder: `RULE…` holds, `RULE-near-miss…` does not, `healthy-…` went well. A TRUTH.json
//! stands beside captures and says of each call by its Call-ID which causes are right (`cause`: a list, `null` for none,
//! `"any"` where no rule is written for it), which rules must be found (`must_find`), which must not be blamed
//! (`must_not`), and that nothing is wrong at all (`quiet`). Secrets of TLS stand beside a capture, in `NAME.keys.txt`.
//!
//! Where tshark or sip-doctor are installed they are asked too. Neither names causes that could be held against the
//! labels; so it is counted in how many captures they say that something is wrong, and for sip-doctor whether it says more
//! than the code that the caller got.

use std::collections::BTreeMap;
use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;
use sipwhy::analysis::{Analysis, Limits};
use sipwhy::call::Wanted;
use sipwhy::capture::{Files, Reading, Source};
use sipwhy::catalogue::Catalogue;
use sipwhy::diagnosis::rules::{ALL, named};
use sipwhy::diagnosis::{Confidence, Engine, Severity};
use sipwhy::report::{CallRecord, FindingRecord, Gatherer, Keep, Report, Scene, follow};
use sipwhy::story::Story;

type Stopped = Box<dyn Error>;

/// The report on a capture, with the secrets beside it.
fn report(capture: &Path) -> Result<Report, Stopped> {
    let mut source = Files::open(&[capture.to_owned()], Reading::default())?;
    let mut analysis = Analysis::new(Limits::default(), Wanted::EveryCall);
    if let Ok(keys) = fs::read(keys_beside(capture)) {
        analysis.keys().read(&keys);
    }
    let mut engine = Engine::new(Engine::HELD_BACK);
    let mut scene = Scene::new(&source.inputs(), Catalogue::new());
    let mut gatherer = Gatherer::new(Keep::All);
    let inputs = follow(&mut source, &mut analysis, &mut engine, &mut scene, &mut gatherer)?;
    Ok(gatherer.finish(&scene, &inputs, &analysis, &engine).report()?)
}

fn keys_beside(capture: &Path) -> PathBuf {
    let name = capture.file_name().unwrap_or_default().to_string_lossy();
    let stem =
        [".pcapng", ".pcap", ".cap"].iter().find_map(|ending| name.split_once(ending)).map_or(&*name, |(s, _)| s);
    capture.with_file_name(format!("{stem}.keys.txt"))
}

/// What was counted.
#[derive(Debug, Default)]
struct Score {
    /// Calls and stories in which something has to be said, and in how many the right thing is said first.
    asked: u32,
    right: u32,
    /// Those in which nothing was said.
    missed: u32,
    /// Those in which something else was said.
    other: u32,
    /// Calls and stories in which something must not be said, and in how many it is.
    calm: u32,
    loud: u32,
    /// Wrong statements that were called proven.
    false_proven: u32,
    wrong: Vec<String>,
}

impl Score {
    fn row(&self, name: &str) -> String {
        let share =
            |part: u32, of: u32| format!("{part} of {of} ({:.1} %)", 100.0 * f64::from(part) / f64::from(of.max(1)));
        let (right, loud) = (share(self.right, self.asked), share(self.loud, self.calm));
        format!("| {name} | {right} | {} | {} | {loud} | {} |", self.missed, self.other, self.false_proven)
    }
}

fn is_loud(finding: &FindingRecord) -> bool {
    finding.severity != Severity::Info
}

// ---- Stories ----

/// What a story is labelled with.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Label {
    Holds(String),
    NearMiss(String),
    Healthy,
}

/// The label that a folder's name and a file's name give.
fn label(folder: &str, file: &str) -> Option<Label> {
    if folder.starts_with("healthy-") {
        return Some(Label::Healthy);
    }
    let ends = folder.match_indices('-').map(|(at, _)| at).chain([folder.len()]).collect::<Vec<_>>();
    let rule = ends.into_iter().rev().map(|end| &folder[..end]).find(|name| named(name).is_some())?;
    let is_near_miss = folder[rule.len()..].starts_with("-near-miss") || file.starts_with("near-miss");
    Some(if is_near_miss { Label::NearMiss(rule.into()) } else { Label::Holds(rule.into()) })
}

/// Every story and recording beneath `fixtures/`: its label, what it is called, its capture.
fn stories(root: &Path, folder: &Path) -> Result<Vec<(Label, String, PathBuf)>, Stopped> {
    let mut stories = Vec::new();
    for entry in fs::read_dir(root)?.collect::<Result<Vec<_>, _>>()? {
        let name = entry.file_name().to_string_lossy().into_owned();
        let Ok(files) = fs::read_dir(entry.path()) else { continue };
        for file in files.collect::<Result<Vec<_>, _>>()? {
            let (file, path) = (file.file_name().to_string_lossy().into_owned(), file.path());
            let Some(label) = label(&name, &file) else { continue };
            let is_story = file.ends_with(".txt") && (file.starts_with("story") || file.starts_with("near-miss"));
            let is_recording = file.starts_with("capture.") && !entry.path().join("story.txt").is_file();
            let capture = if is_story {
                let story =
                    Story::parse(&fs::read_to_string(&path)?).map_err(|error| format!("{name}/{file}: {error}"))?;
                let capture = folder.join(format!("{name}-{file}-{}", story.capture_name()));
                fs::write(&capture, story.capture())?;
                capture
            } else if is_recording {
                path
            } else {
                continue;
            };
            stories.push((label, format!("{name}/{file}"), capture));
        }
    }
    stories.sort_by(|one, other| one.1.cmp(&other.1));
    Ok(stories)
}

fn findings(report: &Report) -> impl Iterator<Item = &FindingRecord> {
    report.calls.iter().flat_map(|call| &call.findings).chain(&report.notes)
}

fn is_cause(report: &Report, rule: &str) -> bool {
    report.calls.iter().any(|call| call.cause.as_deref() == Some(rule))
}

fn score_story(score: &mut Score, label: &Label, name: &str, report: &Report) {
    match label {
        Label::Holds(rule) => {
            score.asked += 1;
            let told: Vec<&FindingRecord> = findings(report).filter(|finding| finding.rule == *rule).collect();
            let must_be_cause = told.iter().any(|finding| finding.severity == Severity::Error);
            let is_note = report.notes.iter().any(|note| note.rule == *rule);
            let is_told = told.iter().any(|finding| finding.confidence != Confidence::Unseen);
            if is_cause(report, rule) || (is_told && (!must_be_cause || is_note)) {
                score.right += 1;
                return;
            }
            let says_other = report.calls.iter().any(|call| call.cause.is_some());
            *(if says_other { &mut score.other } else { &mut score.missed }) += 1;
            score.wrong.push(format!("{name}: {rule} is not told first"));
        }
        Label::NearMiss(rule) => {
            let blamed = |finding: &&FindingRecord| finding.rule == *rule && is_loud(finding);
            let wrong: Vec<&FindingRecord> = findings(report).filter(blamed).collect();
            score_calm(score, name, &wrong, is_cause(report, rule).then_some(rule));
        }
        Label::Healthy => {
            let wrong: Vec<&FindingRecord> =
                report.calls.iter().flat_map(|call| &call.findings).filter(|finding| is_loud(finding)).collect();
            score_calm(score, name, &wrong, None);
        }
    }
}

fn score_calm(score: &mut Score, name: &str, wrong: &[&FindingRecord], cause: Option<&String>) {
    score.calm += 1;
    if wrong.is_empty() && cause.is_none() {
        return;
    }
    score.loud += 1;
    score.false_proven += u32::from(wrong.iter().any(|finding| finding.confidence == Confidence::Proven));
    let names: Vec<&str> = wrong.iter().map(|finding| finding.rule.as_str()).chain(cause.map(String::as_str)).collect();
    score.wrong.push(format!("{name}: {} must not be told", names.join(", ")));
}

/// Rules that have fewer than two stories in which they hold, or fewer than two near misses.
fn thinly_told(labels: &[Label]) -> Vec<String> {
    let count = |wanted: Label| labels.iter().filter(|label| **label == wanted).count();
    let rules = ALL.iter().map(|rule| rule.name.to_owned());
    let counted = rules.map(|rule| (count(Label::Holds(rule.clone())), count(Label::NearMiss(rule.clone())), rule));
    let thin = counted.filter(|(hold, miss, _)| *hold < 2 || *miss < 2);
    thin.map(|(hold, miss, rule)| format!("{rule} {hold}+{miss}")).collect()
}

// ---- Labelled captures ----

fn strings(value: &Value) -> Vec<&str> {
    match value {
        Value::Array(list) => list.iter().flat_map(strings).collect(),
        Value::String(text) => vec![text],
        _ => Vec::new(),
    }
}

/// The records of the call that a label is about: of those with its Call-ID the ones of its method.
fn labelled<'a>(report: &'a Report, truth: &Value) -> Vec<&'a CallRecord> {
    let Some(call_id) = truth["call_id"].as_str() else { return report.calls.iter().collect() };
    let has_call_id = |call: &&CallRecord| call.call_ids.iter().any(|known| known.raw() == call_id);
    let own: Vec<&CallRecord> = report.calls.iter().filter(has_call_id).collect();
    let kind = match truth["method"].as_str().unwrap_or_default() {
        "INVITE" => "call",
        "REGISTER" => "registration",
        "SUBSCRIBE" => "subscription",
        "MESSAGE" => "message",
        "OPTIONS" => "options",
        _ => "",
    };
    let of_kind = |call: &&CallRecord| serde_json::to_value(call.kind).is_ok_and(|own| own == kind);
    let fitting: Vec<&CallRecord> = own.iter().copied().filter(|call| of_kind(call)).collect();
    if fitting.is_empty() { own } else { fitting }
}

fn score_label(score: &mut Score, found: &mut (u32, u32), file: &str, truth: &Value, report: &Report) {
    let calls = labelled(report, truth);
    if calls.is_empty() && truth["visible"] == Value::Bool(false) {
        return;
    }
    let name = format!("{file} {}", truth["call_id"].as_str().unwrap_or("(no Call-ID)"));
    let is_unnamed = truth["call_id"].is_null();
    let notes = report.notes.iter().filter(|_| is_unnamed);
    let mut causes: Vec<&str> = calls.iter().filter_map(|call| call.cause.as_deref()).collect();
    causes.extend(notes.map(|note| note.rule.as_str()));
    let told: Vec<&FindingRecord> = calls.iter().flat_map(|call| &call.findings).chain(&report.notes).collect();
    for wanted in truth["must_find"].as_array().into_iter().flatten() {
        found.1 += 1;
        let wanted = strings(wanted);
        found.0 += u32::from(told.iter().any(|finding| wanted.contains(&finding.rule.as_str())));
    }
    let accepted = &truth["cause"];
    if accepted.is_array() {
        score.asked += 1;
        let may_be_none = accepted.as_array().is_some_and(|list| list.contains(&Value::Null));
        let right = strings(accepted);
        if causes.iter().any(|cause| right.contains(cause)) || (may_be_none && causes.is_empty()) {
            score.right += 1;
        } else {
            *(if causes.is_empty() { &mut score.missed } else { &mut score.other }) += 1;
            score.wrong.push(format!("{name}: {causes:?}, and {right:?} is right"));
        }
    }
    let forbidden = strings(&truth["must_not"]);
    let is_quiet = truth["quiet"] == Value::Bool(true);
    let of_calls = calls.iter().flat_map(|call| &call.findings);
    let is_wrong =
        |finding: &&FindingRecord| is_loud(finding) && (is_quiet || forbidden.contains(&finding.rule.as_str()));
    let wrong: Vec<&FindingRecord> = of_calls.filter(is_wrong).collect();
    let forbidden_cause = causes.iter().find(|cause| !is_unnamed && forbidden.contains(cause));
    let needless = accepted.is_null().then(|| causes.first()).flatten().filter(|_| !is_unnamed);
    let cause = forbidden_cause.or(needless).map(|cause| (*cause).to_owned());
    score_calm(score, &name, &wrong, cause.as_ref());
}

/// Of a capture: if something is wrong in it by its labels, if nothing is; `None` where its labels do not say.
fn is_troubled(entry: &Value) -> Option<bool> {
    let calls = entry["calls"].as_array()?;
    if calls.iter().any(|call| !strings(&call["cause"]).is_empty() && call["cause"] != "any") {
        return Some(true);
    }
    calls.iter().all(|call| call["quiet"] == Value::Bool(true)).then_some(false)
}

// ---- Other tools ----

/// What another tool says of captures.
#[derive(Debug, Default)]
struct Others {
    /// Captures with trouble by their labels, and those of which the tool says that something is wrong.
    troubled: u32,
    told: u32,
    /// Those of which it says more than a code.
    more_than_code: u32,
    /// Captures without, and those of which it says so all the same.
    healthy: u32,
    false_alarms: u32,
}

/// What a tool said of one capture.
#[derive(Debug, Default, Clone, Copy)]
struct Said {
    is_wrong: bool,
    is_more_than_code: bool,
}

fn output(program: &str, args: &[&str], capture: &Path) -> Option<String> {
    let output = Command::new(program).args(args).arg(capture).output().ok()?;
    Some(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Expert information of warnings and errors: it is about messages, not about calls.
fn tshark(capture: &Path) -> Option<Said> {
    let text = output("tshark", &["-q", "-z", "expert,warn", "-r"], capture)?;
    Some(Said { is_wrong: text.contains("Warns (") || text.contains("Errors ("), is_more_than_code: false })
}

fn sip_doctor(capture: &Path) -> Option<Said> {
    let report: Value = serde_json::from_str(&output("sip-doctor", &["read", "--all", "--json"], capture)?).ok()?;
    let dialogs = report["dialogs"].as_array()?;
    let findings = dialogs.iter().flat_map(|dialog| dialog["findings"].as_array().into_iter().flatten());
    let wrong: Vec<&Value> = findings.filter(|finding| finding["severity"] != "info").collect();
    let is_code = |finding: &&&Value| finding["topic"].as_str().is_some_and(|topic| topic.starts_with("status-"));
    let more = wrong.iter().any(|finding| !is_code(&finding));
    Some(Said { is_wrong: !wrong.is_empty(), is_more_than_code: more })
}

fn ours(capture: &Path) -> Option<Said> {
    let report = report(capture).ok()?;
    let is_wrong = findings(&report).any(is_loud);
    let has_cause = report.calls.iter().any(|call| call.cause.is_some()) || report.notes.iter().any(is_loud);
    Some(Said { is_wrong, is_more_than_code: has_cause })
}

impl Others {
    fn add(&mut self, is_troubled: bool, said: Said) {
        if is_troubled {
            self.troubled += 1;
            self.told += u32::from(said.is_wrong);
            self.more_than_code += u32::from(said.is_more_than_code);
        } else {
            self.healthy += 1;
            self.false_alarms += u32::from(said.is_wrong);
        }
    }
}

type Tool = (&'static str, fn(&Path) -> Option<Said>);

const TOOLS: [Tool; 3] = [("sipwhy", ours), ("tshark", tshark), ("sip-doctor", sip_doctor)];

fn print_others(captures: &[(bool, PathBuf)]) {
    println!(
        "\n| tool | says that something is wrong where it is | says more than the code | says so where nothing is |"
    );
    println!("|---|---:|---:|---:|");
    for (name, ask) in TOOLS {
        let mut others = Others::default();
        for (is_troubled, capture) in captures {
            if let Some(said) = ask(capture) {
                others.add(*is_troubled, said);
            }
        }
        if others.troubled + others.healthy == 0 {
            println!("| {name} | not installed | | |");
            continue;
        }
        let Others { troubled, told, more_than_code, healthy, false_alarms } = others;
        let more = if name == "tshark" { "-".to_owned() } else { format!("{more_than_code} of {troubled}") };
        println!("| {name} | {told} of {troubled} | {more} | {false_alarms} of {healthy} |");
    }
}

/// Every story, with its captures in a folder, and how often what is said of them is right.
fn of_stories(folder: &Path) -> Result<(Vec<(Label, PathBuf)>, Score), Stopped> {
    let mut score = Score::default();
    let mut told = Vec::new();
    for (label, name, capture) in stories(&Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures"), folder)? {
        score_story(&mut score, &label, &name, &report(&capture)?);
        told.push((label, capture));
    }
    Ok((told, score))
}

/// The row of the stories in the table of the README.
fn row_of_stories(stories: &[(Label, PathBuf)], score: &Score) -> String {
    score.row(&format!("{} stories", stories.len()))
}

fn main() -> Result<(), Stopped> {
    let folder = tempfile::tempdir()?;
    let (stories, score) = of_stories(folder.path())?;
    let healthy = stories.iter().filter(|(label, _)| *label == Label::Healthy);
    let mut captures: Vec<(bool, PathBuf)> = healthy.map(|(_, capture)| (false, capture.clone())).collect();
    println!("| labelled | right first | nothing said | something else said | false | false and `proven` |");
    println!("|---|---:|---:|---:|---:|---:|");
    println!("{}", row_of_stories(&stories, &score));
    let mut wrong = score.wrong;
    for path in std::env::args().skip(1) {
        let truth: BTreeMap<String, Value> = serde_json::from_str(&fs::read_to_string(&path)?)?;
        let folder = Path::new(&path).parent().unwrap_or(Path::new("."));
        let (mut score, mut found, mut calls) = (Score::default(), (0, 0), 0);
        for (file, entry) in &truth {
            let capture = folder.join(file);
            let Ok(report) = report(&capture) else { continue };
            for truth in entry["calls"].as_array().into_iter().flatten() {
                calls += 1;
                score_label(&mut score, &mut found, file, truth, &report);
            }
            captures.extend(is_troubled(entry).map(|is_troubled| (is_troubled, capture)));
        }
        println!("{}", score.row(&format!("{calls} calls of {} captures elsewhere", truth.len())));
        println!("\nOf the rules that must be found there, {} of {} are.", found.0, found.1);
        wrong.extend(score.wrong);
    }
    print_others(&captures);
    let labels: Vec<Label> = stories.into_iter().map(|(label, ..)| label).collect();
    let healthy = labels.iter().filter(|label| **label == Label::Healthy).count();
    let thin = thinly_told(&labels);
    println!(
        "\n{healthy} stories of calls that went well; {} rules with fewer than two stories or near misses",
        thin.len()
    );
    println!("(stories + near misses): {}", thin.join(", "));
    for line in &wrong {
        println!("wrong: {line}");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The figures of the README are those that are counted; `UPDATE_DOCS=1` writes them there.
    #[test]
    fn the_readme_shows_how_often_the_stories_are_told_right() {
        let folder = tempfile::tempdir().expect("a folder");
        let (stories, score) = of_stories(folder.path()).expect("stories");
        let row = row_of_stories(&stories, &score);
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md");
        let readme = fs::read_to_string(&path).expect("the README");
        let shown = readme.lines().find(|line| line.starts_with("| ") && line.contains(" stories | "));
        let shown = shown.expect("the row of the stories");
        if std::env::var_os("UPDATE_DOCS").is_some() {
            fs::write(&path, readme.replace(shown, &row)).expect("the README can be written");
            return;
        }
        assert_eq!(shown, row, "{}", score.wrong.join("\n"));
    }
}
