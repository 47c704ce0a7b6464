//! What one rule says in a story.

#[path = "../followed/mod.rs"]
mod followed;

use std::fs;
use std::path::Path;

use sipwhy::diagnosis::Finding;
use sipwhy::story::Story;

/// What a rule says in a story of its own folder, of the first call in which it holds.
pub fn told(rule: &str, name: &str) -> Option<Finding> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures").join(rule).join(name);
    let text = fs::read_to_string(&path).expect("a story");
    let story = Story::parse(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let mut findings = followed::diagnosed(&story).into_iter().flat_map(|(_, diagnosis)| diagnosis.findings);
    findings.find(|finding| finding.rule == rule)
}
