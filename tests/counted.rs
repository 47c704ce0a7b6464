//! Calls that are only counted because they went well have nothing wrong: neither as they are, nor if one of their
//! messages was sent again.

mod analysed;
mod packets;

use std::fs;
use std::path::PathBuf;

use analysed::fixtures;
use packets::{Packet, captures, written};
use sipwhy::diagnosis::Severity;
use sipwhy::report::Report;
use sipwhy::story::Story;

/// Everything that is wrong with calls, with the number of the call.
fn alarms(report: &Report) -> Vec<(u32, &str)> {
    let with_call = report.calls.iter().flat_map(|call| call.findings.iter().map(move |finding| (call.id, finding)));
    let wrong = with_call.filter(|(_, finding)| finding.severity != Severity::Info);
    wrong.map(|(id, finding)| (id, finding.rule.as_str())).collect()
}

/// A capture looked at in both ways.
struct Compared {
    /// What is wrong with its calls and does not show where good ones are only counted.
    hidden: Vec<String>,
    /// Calls that are worked out there.
    worked_out: usize,
    /// Calls that are only counted there.
    counted: usize,
}

fn compared(capture: PathBuf) -> Compared {
    let paths = [capture];
    let worked_out = analysed::report(&paths).expect("a capture");
    let on_trouble = analysed::report_on_trouble(&paths).expect("a capture");
    let known = alarms(&on_trouble);
    // What only many good calls together show is told once, of the whole capture.
    let is_noted = |rule: &str| on_trouble.notes.iter().any(|note| note.rule == rule);
    let is_hidden = |alarm: &(u32, &str)| !known.contains(alarm) && !is_noted(alarm.1);
    let found = alarms(&worked_out).into_iter().filter(is_hidden);
    Compared {
        hidden: found.map(|(call, rule)| format!("{rule} of call {call}")).collect(),
        worked_out: on_trouble.calls.len(),
        counted: worked_out.calls.len().saturating_sub(on_trouble.calls.len()),
    }
}

#[test]
fn calls_that_are_only_counted_have_nothing_wrong() {
    for fixture in fixtures() {
        assert_eq!(compared(fixture.capture).hidden, [""; 0], "{}", fixture.name);
    }
}

#[test]
fn what_stories_tell_is_not_hidden_where_good_calls_are_counted() {
    let folder = tempfile::tempdir().expect("a folder");
    let capture = folder.path().join("capture.pcap");
    let mut found = Vec::new();
    for story in stories() {
        let text = fs::read_to_string(&story).expect("a story");
        let told = Story::parse(&text).unwrap_or_else(|error| panic!("{}: {error}", story.display()));
        fs::write(&capture, told.capture()).expect("a capture");
        let hidden = compared(capture.clone()).hidden;
        found.extend(hidden.into_iter().map(|what| format!("{}: {what}", story.display())));
    }
    assert!(found.is_empty(), "{}", found.join("\n"));
}

/// The stories that have no capture beside them.
fn stories() -> Vec<PathBuf> {
    let folders = fs::read_dir(analysed::root().join("fixtures")).expect("the fixtures");
    let files = folders.flatten().filter_map(|folder| fs::read_dir(folder.path()).ok()).flatten().flatten();
    let is_story = |path: &PathBuf| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        name.ends_with(".txt") && (name.starts_with("story-") || name.starts_with("near-miss"))
    };
    files.map(|file| file.path()).filter(is_story).collect()
}

#[test]
fn a_copy_of_one_message_hides_nothing() {
    /// Later than a tap shows a packet again, and before or after most responses.
    const LATER: [i64; 2] = [1_100_000_000, 5_000_000_000];
    /// Of captures that strangers made, the beginning.
    const MOST: usize = 40;
    let mut counted_all_the_same = 0;
    for mut capture in captures() {
        capture.packets.truncate(MOST);
        let as_it_is = compared(written(capture.link, &capture.packets));
        if as_it_is.counted == 0 {
            continue; // Where every call is worked out, none can hide anything.
        }
        for (later, (number, packet)) in LATER.iter().cycle().zip((1..).zip(&capture.packets)) {
            let mut packets = capture.packets.clone();
            packets.push(Packet { time: packet.time + later, ..packet.clone() });
            packets.sort_by_key(|packet| packet.time);
            let with_copy = compared(written(capture.link, &packets));
            assert_eq!(with_copy.hidden, [""; 0], "{} with frame {number} again", capture.name);
            counted_all_the_same += usize::from(as_it_is.worked_out == 0 && with_copy.worked_out == 0);
        }
    }
    assert!(counted_all_the_same > 20, "every copy makes a call worth a look: {counted_all_the_same}");
}
