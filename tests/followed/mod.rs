//! A story, read as the program reads its capture: every call, and what is known around it.

use std::fs;

use sipwhy::analysis::{Analysis, Event, run};
use sipwhy::call::Call;
use sipwhy::capture::{Files, Reading, Source};
use sipwhy::diagnosis::{CaptureSeen, Diagnosis, Engine};
use sipwhy::story::Story;

/// The calls of a story in the order in which they ended, each with its diagnosis.
pub fn diagnosed(story: &Story) -> Vec<(Call, Diagnosis)> {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join(story.capture_name());
    fs::write(&file, story.capture()).expect("a capture");
    let mut files = Files::open(&[file], Reading::default()).expect("a capture");
    let (mut analysis, mut engine) = (Analysis::default(), Engine::new(Engine::HELD_BACK));
    let keep = |_: &Analysis, event| {
        if let Event::Call(call) = event {
            engine.add(*call);
        }
    };
    run(&mut files, &mut analysis, keep).expect("a capture that can be read");
    let until = files.inputs().iter().filter_map(|facts| Some(facts.first_and_last?.1)).max().unwrap_or_default();
    let drops = files.inputs().iter().map(|facts| facts.drops).sum();
    let capture = CaptureSeen { drops, until };
    let next = || engine.next_at_end(analysis.surroundings(), capture).map(|(call, diagnosis)| (*call, diagnosis));
    std::iter::from_fn(next).collect()
}
