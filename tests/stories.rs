//! What each folder of `fixtures/` shows: a rule that holds, a near miss in which it does not, or a healthy call.
//!
//! The folder's name says which: `RULE…` holds, `RULE-near-miss-…` does not, `healthy-…` is in order.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use sipwhy::analysis::{Analysis, Event, run};
use sipwhy::call::Outcome;
use sipwhy::capture::{Files, Reading, Source, SourceId};
use sipwhy::diagnosis::rules::ALL;
use sipwhy::diagnosis::{
    CaptureCase, CaptureSeen, Confidence, Diagnosis, Engine, Finding, InputSeen, Severity, diagnose_capture,
};
use sipwhy::story::Story;

/// The families whose rules must have a story and a near miss here.
const FAMILIES: [&str; 7] = ["B", "C", "D", "F", "G", "I", "J"];

/// What came of one capture.
struct Told {
    calls: Vec<Diagnosis>,
    notes: Vec<Finding>,
}

impl Told {
    fn of(file: &Path) -> Told {
        let mut files = Files::open(&[file.to_owned()], Reading::default()).expect("a capture");
        let mut analysis = Analysis::default();
        let mut engine = Engine::new(Engine::HELD_BACK);
        let keep = |_: &Analysis, event| {
            if let Event::Call(call) = event {
                engine.add(*call);
            }
        };
        run(&mut files, &mut analysis, keep).expect("a capture that can be read");
        let facts = files.inputs();
        let seen = CaptureSeen { drops: facts.iter().map(|facts| facts.drops).sum(), until: analysis.now() };
        let mut calls = Vec::new();
        while let Some((_, diagnosis)) = engine.next_at_end(analysis.surroundings(), seen) {
            calls.push(diagnosis);
        }
        let inputs: Vec<InputSeen> = facts
            .iter()
            .map(|facts| {
                let counts = analysis.counts(SourceId::default());
                let mut oddities = facts.oddities.clone();
                oddities.merge(&counts.oddities);
                InputSeen {
                    source: SourceId::default(),
                    packets: facts.packets,
                    sip_messages: counts.sip_messages,
                    first_and_last: facts.first_and_last,
                    oddities,
                }
            })
            .collect();
        let case = CaptureCase {
            inputs: &inputs,
            surroundings: analysis.surroundings(),
            tally: engine.tally(),
            tls: &analysis.census().tls,
            clocks: analysis.clocks(),
        };
        Told { calls, notes: diagnose_capture(&case) }
    }

    fn findings(&self) -> impl Iterator<Item = &Finding> {
        self.calls.iter().flat_map(|call| &call.findings).chain(&self.notes)
    }

    /// How a rule holds: not at all, as a fact, or as something that is wrong or explains the outcome. That the capture
    /// cannot tell is not at all.
    fn holds(&self, rule: &str) -> Holds {
        let says = |finding: &&Finding| finding.confidence != Confidence::Unseen || finding.explains;
        let how = |finding: &Finding| match finding.severity {
            Severity::Info if !finding.explains => Holds::AsFact,
            _ => Holds::AsFault,
        };
        self.findings().filter(|finding| finding.rule == rule).filter(says).map(how).max().unwrap_or(Holds::Not)
    }
}

/// How a rule holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Holds {
    Not,
    AsFact,
    AsFault,
}

fn folders() -> Vec<(String, PathBuf)> {
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures");
    let mut folders: Vec<(String, PathBuf)> = fs::read_dir(fixtures)
        .expect("the folder of fixtures")
        .map(|entry| entry.expect("an entry").path())
        .filter_map(|folder| {
            let capture = ["capture.pcap", "capture.pcapng"]
                .map(|name| folder.join(name))
                .into_iter()
                .find(|file| file.is_file())?;
            Some((folder.file_name()?.to_string_lossy().into_owned(), capture))
        })
        .collect();
    folders.sort();
    folders
}

/// The rule that a folder is about: the longest name that its own begins with.
fn rule_of(folder: &str) -> Option<&'static str> {
    let name = folder.split("-near-miss-").next().unwrap_or(folder);
    ALL.iter()
        .map(|rule| rule.name)
        .filter(|rule| name == *rule || name.strip_prefix(rule).is_some_and(|rest| rest.starts_with('-')))
        .max_by_key(|rule| rule.len())
}

#[test]
fn rules_hold_in_their_stories_and_not_in_their_near_misses() {
    let folders = folders();
    let own = folders.iter().filter_map(|(folder, capture)| {
        Some((folder.clone(), rule_of(folder)?, folder.contains("-near-miss-"), Told::of(capture)))
    });
    let further = further_stories()
        .into_iter()
        .map(|(rule, is_near_miss, file)| (file.display().to_string(), rule, is_near_miss, told_of_story(&file)));
    let mut wrong = Vec::new();
    for (name, rule, is_near_miss, told) in own.chain(further) {
        let holds = told.holds(rule);
        // What is a fault in its story may be told as a fact where it was made good.
        let is_right = match is_near_miss {
            false => holds != Holds::Not,
            true => holds == Holds::Not || (holds == Holds::AsFact && is_fault_in_its_story(&folders, rule)),
        };
        if !is_right {
            let found: Vec<&str> = told.findings().map(|finding| &*finding.rule).collect();
            wrong.push(format!("{name}: {found:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

fn is_fault_in_its_story(folders: &[(String, PathBuf)], rule: &str) -> bool {
    let own = folders.iter().find(|(folder, _)| folder == rule);
    own.is_some_and(|(_, capture)| Told::of(capture).holds(rule) == Holds::AsFault)
}

#[test]
fn healthy_calls_are_called_so() {
    let mut wrong = Vec::new();
    for (folder, capture) in folders().into_iter().filter(|(folder, _)| folder.starts_with("healthy-")) {
        let told = Told::of(&capture);
        let good = told.calls.iter().filter(|call| call.outcome != Outcome::Failed);
        let loud = good.flat_map(|call| &call.findings).filter(|finding| finding.severity != Severity::Info);
        wrong.extend(loud.map(|finding| format!("{folder}: {} ({:?})", finding.rule, finding.severity)));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// The records of a capture in the classic format, header first.
fn records(capture: &[u8]) -> Vec<&[u8]> {
    let (header, mut rest) = capture.split_at(24);
    let mut records = vec![header];
    while let Some(length) = rest.get(8..12) {
        let length = u32::from_le_bytes(length.try_into().expect("four bytes")) as usize;
        let (record, after) = rest.split_at(16 + length);
        records.push(record);
        rest = after;
    }
    records
}

/// What comes of a capture that no story can tell.
fn told_of_bytes(bytes: &[u8]) -> Told {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("capture.pcap");
    fs::write(&file, bytes).expect("a capture");
    Told::of(&file)
}

fn capture_of(folder: &str) -> Vec<u8> {
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures");
    fs::read(fixtures.join(folder).join("capture.pcap")).expect("a capture")
}

#[test]
fn a_file_that_ends_inside_a_record_is_cut() {
    let whole = capture_of("healthy-plain-call");
    assert_eq!(told_of_bytes(&whole).holds("capture-cut"), Holds::Not);
    let cut = &whole[..whole.len() - 10];
    assert_eq!(told_of_bytes(cut).holds("capture-cut"), Holds::AsFault);
}

#[test]
fn fragments_that_a_filter_dropped_are_missing() {
    let whole = capture_of("large-request-lost-near-miss-answered");
    assert_eq!(told_of_bytes(&whole).holds("fragments-missing"), Holds::Not);
    assert_eq!(told_of_bytes(&first_fragments(&whole)).holds("fragments-missing"), Holds::AsFault);
}

/// A capture without the fragments behind the first, as a filter on the port leaves it.
fn first_fragments(whole: &[u8]) -> Vec<u8> {
    // In each record: 16 bytes, Ethernet 14, then IPv4, whose fragment offset is in bytes 6 and 7.
    let is_first = |record: &&&[u8]| record.len() < 40 || (record[36] & 0x1f, record[37]) == (0, 0);
    let filtered: Vec<u8> = records(whole).iter().filter(is_first).flat_map(|record| record.to_vec()).collect();
    assert!(filtered.len() < whole.len());
    filtered
}

#[test]
fn an_answer_that_is_captured_in_part_is_not_said_to_be_missing() {
    let large = "x".repeat(1600);
    let story = Story::parse(&format!(
        "# The large answer never reaches the caller, and the callee gives up.\n\
         alice 192.0.2.10:5060\nbob 192.0.2.30:5060\n\
         0.0 alice -> bob INVITE sip:bob@example.com\n0.1 bob -> alice 180 Ringing\n\
         3.0 bob -> alice 200 OK\n  X-Large: {large}\n  again 2xx\n\
         35.0 bob -> alice BYE\n35.1 alice -> bob 481 Call/Transaction Does Not Exist\nend 70.0\n"
    ))
    .expect("a story");
    let filtered = told_of_bytes(&first_fragments(&story.capture()));
    assert_eq!(filtered.holds("fragments-missing"), Holds::AsFault);
    assert_eq!(filtered.holds("ended-before-answer"), Holds::Not);
    assert_eq!(filtered.holds("dialog-state-lost"), Holds::Not);
}

/// Rules about captures that no story can tell; the tests above make them.
const MADE_BY_HAND: [&str; 2] = ["capture-cut", "fragments-missing"];

#[test]
fn every_rule_has_a_story_and_a_near_miss() {
    let folders = folders();
    let mut missing = Vec::new();
    for rule in ALL
        .iter()
        .filter(|rule| FAMILIES.iter().any(|family| rule.id.starts_with(family)) && !MADE_BY_HAND.contains(&rule.name))
    {
        let own = || folders.iter().filter(|(folder, _)| rule_of(folder) == Some(rule.name));
        if !own().any(|(folder, _)| !folder.contains("-near-miss-")) {
            missing.push(format!("{}: no story", rule.name));
        }
        if !own().any(|(folder, _)| folder.contains("-near-miss-")) {
            missing.push(format!("{}: no near miss", rule.name));
        }
    }
    assert!(missing.is_empty(), "{}", missing.join("\n"));
}

/// Each story beside the first of its folder: its rule, whether it is a near miss, its file.
fn further_stories() -> Vec<(&'static str, bool, PathBuf)> {
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures");
    let mut found = Vec::new();
    for entry in fs::read_dir(fixtures).expect("the folder of fixtures") {
        let folder = entry.expect("an entry").path();
        let name = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let (Some(rule), Ok(files)) = (rule_of(&name), fs::read_dir(&folder)) else { continue };
        for file in files.map(|file| file.expect("a file").path()) {
            let stem = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
            let is_further = stem.ends_with(".txt") && (stem.starts_with("story-") || stem.starts_with("near-miss"));
            if is_further {
                found.push((rule, name.contains("-near-miss-") || stem.starts_with("near-miss"), file));
            }
        }
    }
    found.sort();
    found
}

/// What comes of a story that has no capture beside it.
fn told_of_story(file: &Path) -> Told {
    let text = fs::read_to_string(file).expect("a story");
    let story = Story::parse(&text).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    let folder = tempfile::tempdir().expect("a folder");
    let capture = folder.path().join(story.capture_name());
    fs::write(&capture, story.capture()).expect("a capture");
    Told::of(&capture)
}

#[test]
fn every_rule_has_two_stories_and_two_near_misses() {
    let mut counts: BTreeMap<&str, (u32, u32)> = ALL.iter().map(|rule| (rule.name, (0, 0))).collect();
    let first = folders().into_iter().filter_map(|(name, _)| Some((rule_of(&name)?, name.contains("-near-miss-"))));
    let further = further_stories().into_iter().map(|(rule, is_near_miss, _)| (rule, is_near_miss));
    for (rule, is_near_miss) in first.chain(further) {
        let count = counts.entry(rule).or_default();
        *(if is_near_miss { &mut count.1 } else { &mut count.0 }) += 1;
    }
    let thin = counts.iter().filter(|(rule, (hold, miss))| (*hold < 2 || *miss < 2) && !MADE_BY_HAND.contains(rule));
    let thin: Vec<String> = thin.map(|(rule, (hold, miss))| format!("{rule} {hold}+{miss}")).collect();
    assert!(thin.is_empty(), "stories + near misses: {}", thin.join(", "));
}

#[test]
fn sixty_calls_that_went_well_are_told() {
    let healthy = folders().into_iter().filter(|(folder, _)| folder.starts_with("healthy-")).count();
    assert!(healthy >= 60, "only {healthy}");
}
