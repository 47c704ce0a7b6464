//! Every folder of `fixtures/` is a story and what must come of it.
//!
//! `UPDATE_FIXTURES=1 cargo test --test fixtures` rewrites what is expected; the difference is to be read before it is
//! committed.

use std::fs;
use std::path::{Path, PathBuf};

use sipwhy::story::Story;

/// A file of a folder, and the bytes that it must hold.
struct Expectation {
    file: String,
    bytes: Vec<u8>,
}

/// All that one story must give. What else a story is to give belongs here.
fn expectations(story: &Story) -> Vec<Expectation> {
    vec![Expectation { file: story.capture_name().to_owned(), bytes: story.capture() }]
}

fn folders() -> Vec<PathBuf> {
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures");
    let mut folders: Vec<PathBuf> = fs::read_dir(&fixtures)
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

/// Compares, or rewrites if that was asked for. Gives what is wrong.
fn check(folder: &Path, expectation: &Expectation) -> Option<String> {
    let path = folder.join(&expectation.file);
    let found = fs::read(&path).unwrap_or_default();
    if found == expectation.bytes {
        return None;
    }
    if std::env::var_os("UPDATE_FIXTURES").is_some() {
        return fs::write(&path, &expectation.bytes).err().map(|error| format!("{}: {error}", path.display()));
    }
    Some(format!("{} is not what its story gives; UPDATE_FIXTURES=1 rewrites it", path.display()))
}

#[test]
fn every_story_gives_what_is_expected() {
    let mut wrong = Vec::new();
    for folder in folders() {
        match story_of(&folder) {
            Ok(story) => wrong.extend(expectations(&story).iter().filter_map(|expected| check(&folder, expected))),
            Err(error) => wrong.push(error),
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_title_is_a_sentence_of_its_own() {
    let mut titles: Vec<(String, PathBuf)> = Vec::new();
    for folder in folders() {
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
