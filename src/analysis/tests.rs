//! Two ways through the staircase that must lead to the same.

use std::path::PathBuf;

use super::*;
use crate::capture::{Files, Reading};

fn analysed(capture: &PathBuf, looked_at: u64) -> Analysis {
    let mut analysis = Analysis::default();
    analysis.stairs.census.looked_at = looked_at;
    let mut files = Files::open(std::slice::from_ref(capture), Reading::default()).expect("a capture");
    run(&mut files, &mut analysis, |_, _| {}).expect("an end");
    analysis
}

#[test]
fn media_that_is_counted_at_once_is_counted_as_any_other() {
    let fixtures = std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures")).expect("fixtures");
    let captures = fixtures.map(|folder| folder.expect("a folder").path().join("capture.pcap"));
    let mut streams = 0;
    for capture in captures.filter(|capture| capture.exists()) {
        // The census has to be full before anything is counted at once.
        let [slowly, at_once] = [0, u64::MAX].map(|looked_at| analysed(&capture, looked_at));
        assert_eq!(slowly.surroundings(), at_once.surroundings(), "{}", capture.display());
        streams += usize::from(!slowly.surroundings().media().is_empty());
    }
    assert!(streams >= 10, "{streams} captures with media");
}
