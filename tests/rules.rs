//! Each rule holds in its story, and does not in the near misses beside it.
//!
//! `fixtures/RULE/story.txt` is a call in which the rule holds; `fixtures/RULE/near-miss*.txt` come as close as they
//! can and are explained otherwise.

mod followed;

use std::fs;
use std::path::{Path, PathBuf};

use followed::diagnosed;
use sipwhy::diagnosis::rules::{ALL, named};
use sipwhy::diagnosis::{Confidence, Diagnosis, Severity};
use sipwhy::story::Story;

/// The families that are checked here: authentication and routing.
const FAMILIES: &[&str] = &["A", "E"];

/// The diagnosis of every call of a story.
fn diagnoses(path: &Path) -> Vec<Diagnosis> {
    let text = fs::read_to_string(path).expect("a story");
    let story = Story::parse(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    diagnosed(&story).into_iter().map(|(_, diagnosis)| diagnosis).collect()
}

/// What a rule says in a story: if it explains a call, and how bad it is.
fn said(path: &Path, rule: &str) -> Option<(bool, Severity)> {
    let diagnoses = diagnoses(path);
    let findings = diagnoses.iter().flat_map(|diagnosis| &diagnosis.findings);
    findings
        .filter(|finding| finding.rule == rule && finding.confidence != Confidence::Unseen)
        .map(|finding| (finding.explains, finding.severity))
        .max_by_key(|(explains, _)| *explains)
}

fn files_of(rule: &Path, prefix: &str) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = fs::read_dir(rule)
        .expect("a folder")
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.extension().is_some_and(|kind| kind == "txt"))
        .filter(|path| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(prefix)))
        .collect();
    files.sort();
    files
}

fn rules() -> Vec<(String, PathBuf)> {
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures");
    let mut rules: Vec<(String, PathBuf)> = fs::read_dir(fixtures)
        .expect("the folder of fixtures")
        .map(|entry| entry.expect("an entry").path())
        .map(|path| (path.file_name().unwrap_or_default().to_string_lossy().into_owned(), path))
        .filter(|(name, _)| named(name).is_some_and(|rule| FAMILIES.contains(&&rule.id[..1])))
        .collect();
    rules.sort();
    rules
}

#[test]
fn every_rule_holds_in_its_story_and_not_in_its_near_misses() {
    let mut wrong = Vec::new();
    for (rule, folder) in rules() {
        let story = folder.join("story.txt");
        let in_story = said(&story, &rule);
        if in_story.is_none() {
            wrong.push(format!("{rule} does not hold in its story"));
        }
        let explains = in_story.is_some_and(|(explains, _)| explains);
        let causes: Vec<String> =
            diagnoses(&story).iter().filter_map(|one| one.cause().map(|cause| cause.rule.to_string())).collect();
        if explains && !causes.contains(&rule) {
            wrong.push(format!("{rule} explains its story, and the cause is {causes:?}"));
        }
        let near_misses = files_of(&folder, "near-miss");
        if near_misses.is_empty() {
            wrong.push(format!("{rule} has no near miss"));
        }
        for near_miss in near_misses {
            // A step that went well may be told as a fact.
            let holds = said(&near_miss, &rule)
                .is_some_and(|(also_explains, severity)| also_explains || !explains || severity != Severity::Info);
            if holds {
                wrong.push(format!("{rule} holds in {}", near_miss.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_rule_has_a_story() {
    let told: Vec<String> = rules().into_iter().map(|(rule, _)| rule).collect();
    let of_families = ALL.iter().filter(|rule| FAMILIES.contains(&&rule.id[..1]));
    let untold: Vec<&str> = of_families.map(|rule| rule.name).filter(|name| !told.iter().any(|t| t == name)).collect();
    assert!(untold.is_empty(), "without a folder in fixtures: {}", untold.join(", "));
}

#[test]
fn no_claim_shows_a_nonce_or_a_digest() {
    for (rule, folder) in rules() {
        for diagnosis in diagnoses(&folder.join("story.txt")) {
            for claim in diagnosis.findings.iter().flat_map(|finding| &finding.claims) {
                let is_secret = ["sip.auth.nonce", "sip.auth.digest.response", "sip.auth.cnonce", "sip.auth"];
                assert!(!is_secret.contains(&claim.field.as_str()), "{rule}: {claim:?}");
            }
        }
    }
}
