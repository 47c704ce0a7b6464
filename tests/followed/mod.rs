//! A story, read as the program reads its capture: every call, and what is known around it.

use std::fs;

use sipwhy::analysis::{Analysis, Event, run};
use sipwhy::call::Call;
use sipwhy::capture::{Files, Reading, Source};
use sipwhy::diagnosis::{CaptureSeen, Case, Diagnosis, diagnose};
use sipwhy::story::Story;

/// The calls of a story in the order in which they ended, each with its diagnosis.
pub fn diagnosed(story: &Story) -> Vec<(Call, Diagnosis)> {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join(story.capture_name());
    fs::write(&file, story.capture()).expect("a capture");
    let mut files = Files::open(&[file], Reading::default()).expect("a capture");
    let mut analysis = Analysis::default();
    let mut calls: Vec<Call> = Vec::new();
    let keep = |_: &Analysis, event| {
        if let Event::Call(call) = event {
            calls.push(*call);
        }
    };
    run(&mut files, &mut analysis, keep).expect("a capture that can be read");
    let until = files.inputs().iter().filter_map(|facts| Some(facts.first_and_last?.1)).max().unwrap_or_default();
    let capture = CaptureSeen { drops: 0, until };
    let judged = |call: Call| {
        let diagnosis = diagnose(&Case::new(&call, analysis.surroundings(), capture));
        (call, diagnosis)
    };
    calls.into_iter().map(judged).collect()
}
