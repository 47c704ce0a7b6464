//! Cutting a capture into pieces and giving them in any order changes nothing but the names of the inputs; cutting its
//! end off never proves anything else. A response that stands in the file before its request is told by its time.

mod analysed;
mod packets;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use analysed::{fixtures, report, root};
use packets::{Capture, Packet, Resolution, as_pcap, first_difference, told};
use proptest::prelude::*;
use serde_json::Value;
use sipwhy::diagnosis::{Confidence, Severity};
use sipwhy::oddity::Oddity;
use sipwhy::report::{CallRecord, FindingRecord, Report};

/// A capture that can be cut: all its packets have times of their own that rise.
struct Cuttable {
    capture: Capture,
    whole: Value,
}

/// Captures that can be cut.
fn captures() -> Vec<Cuttable> {
    packets::captures().into_iter().filter_map(cuttable).collect()
}

fn cuttable(capture: Capture) -> Option<Cuttable> {
    let rises = capture.packets.windows(2).all(|pair| pair[0].time < pair[1].time);
    let whole = serde_json::to_value(report(std::slice::from_ref(&capture.path)).ok()?).ok()?;
    rises.then_some(Cuttable { capture, whole })
}

impl Cuttable {
    /// Writes the pieces that hold any packet; gives their paths and, for each, the packets' numbers.
    fn cut(&self, folder: &Path, piece_of: impl Fn(usize) -> usize) -> Vec<(PathBuf, Vec<u64>)> {
        let Capture { link, nanoseconds, packets, .. } = &self.capture;
        let resolution = if *nanoseconds { Resolution::Nanoseconds } else { Resolution::Microseconds };
        let mut pieces: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
        for at in 0..packets.len() {
            pieces.entry(piece_of(at)).or_default().push(at);
        }
        let write = |(number, places): (usize, Vec<usize>)| {
            let path = folder.join(format!("piece-{number:02}.pcap"));
            fs::write(&path, as_pcap(*link, resolution, places.iter().map(|at| &packets[*at]))).expect("a piece");
            (path, places.iter().map(|at| *at as u64 + 1).collect())
        };
        pieces.into_iter().map(write).collect()
    }
}

/// Frames as they are numbered in the whole capture, and no inputs.
fn normalised(mut report: Value, pieces: &[(PathBuf, Vec<u64>)]) -> Value {
    let inputs = report["inputs"].take();
    let number = |file: &Value, frame: &Value| -> Value {
        let name = inputs[file.as_u64().unwrap_or_default() as usize]["file"].as_str().expect("an input");
        let (_, numbers) = pieces.iter().find(|(path, _)| path.to_string_lossy() == name).expect("a piece");
        numbers[frame.as_u64().expect("a frame") as usize - 1].into()
    };
    if pieces.len() > 1 {
        number_anew(&mut report, &number);
    }
    report
}

fn number_anew(value: &mut Value, number: &impl Fn(&Value, &Value) -> Value) {
    match value {
        Value::Object(object) if object.len() == 2 && object.contains_key("file") && object.contains_key("frame") => {
            *value = number(&object["file"], &object["frame"]);
        }
        Value::Object(object) => {
            object.values_mut().for_each(|value| number_anew(value, number));
            if object.get("field").is_some_and(|field| field == "frame.number") {
                object["value"] = object["frame"].to_string().into();
            }
        }
        Value::Array(array) => array.iter_mut().for_each(|value| number_anew(value, number)),
        _ => {}
    }
}

/// How a capture is cut.
#[derive(Debug, Clone)]
enum Cut {
    /// The packets before each of these parts of it, in thousandths.
    InTime(Vec<u16>),
    /// The piece of each packet, over and over.
    Interleaved(Vec<u8>),
}

impl Cut {
    fn piece_of(&self, at: usize, packets: usize) -> usize {
        match self {
            Cut::InTime(cuts) => cuts.iter().filter(|cut| usize::from(**cut) * packets <= at * 1000).count(),
            Cut::Interleaved(pieces) => usize::from(pieces[at % pieces.len()]),
        }
    }
}

fn cut() -> impl Strategy<Value = Cut> {
    prop_oneof![
        prop::collection::vec(0u16..1000, 0..16).prop_map(Cut::InTime),
        prop::collection::vec(0u8..16, 1..40).prop_map(Cut::Interleaved),
    ]
}

#[test]
fn pieces_in_any_order_make_the_same_report() {
    let captures = captures();
    assert!(captures.len() > 100, "only {} captures can be cut", captures.len());
    let config = ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(96) };
    proptest!(config, |(which in any::<prop::sample::Index>(), cut in cut(), turn in any::<prop::sample::Index>())| {
        let capture = which.get(&captures);
        let folder = tempfile::tempdir().expect("a folder");
        let pieces = capture.cut(folder.path(), |at| cut.piece_of(at, capture.capture.packets.len()));
        let mut paths: Vec<PathBuf> = pieces.iter().map(|(path, _)| path.clone()).collect();
        let turned = turn.index(paths.len());
        paths.rotate_left(turned);
        paths.swap(0, turned / 2);
        let whole = normalised(capture.whole.clone(), &pieces[..1]);
        let of_pieces = serde_json::to_value(report(&paths).expect("a report")).expect("JSON");
        let of_pieces = normalised(of_pieces, &pieces);
        let difference = first_difference(&whole, &of_pieces, "");
        prop_assert!(difference.is_none(), "{} in {} pieces: {difference:?}", capture.capture.name, pieces.len());
    });
}

/// What is proven to be wrong with a call. Facts do not count: that somebody cancelled stays true when the answer that
/// crossed the CANCEL comes, and gives way to what the two mean together.
fn proven(call: &CallRecord) -> impl Iterator<Item = &str> {
    let is_proven =
        |finding: &&FindingRecord| finding.confidence == Confidence::Proven && finding.severity != Severity::Info;
    call.findings.iter().filter(is_proven).map(|finding| finding.rule.as_str())
}

/// A cause that is proven in the shorter capture, and that the longer one does not find.
fn proven_otherwise(short: &Report, long: &Report) -> Option<String> {
    for call in &short.calls {
        // What goes on after a pause has a record of its own.
        let is_same = |same: &&CallRecord| call.call_ids.iter().any(|call_id| same.call_ids.contains(call_id));
        let mut same = long.calls.iter().filter(is_same).peekable();
        if same.peek().is_none() {
            continue;
        }
        let known: Vec<&str> = same.flat_map(|same| &same.findings).map(|finding| finding.rule.as_str()).collect();
        if let Some(other) = proven(call).find(|rule| !known.contains(rule)) {
            return Some(format!("{other} is proven, and is not found in the whole: {known:?}"));
        }
    }
    None
}

/// How often each capture is cut.
const PARTS: usize = 8;

#[test]
fn a_file_cut_at_any_byte_is_read_to_the_cut() {
    let folder = tempfile::tempdir().expect("a folder");
    let (mut read, mut all_wrong) = (0, Vec::new());
    for (number, fixture) in fixtures().into_iter().enumerate() {
        let bytes = fs::read(root().join(&fixture.capture)).expect("a capture");
        let long = report(std::slice::from_ref(&fixture.capture)).expect("a report");
        let extension = fixture.capture.extension().unwrap_or_default();
        let path = folder.path().join("cut").with_extension(extension);
        // Other bytes of each capture, so that all together are cut everywhere.
        for part in 0..PARTS {
            let end = (bytes.len() * part / PARTS + number * 37) % bytes.len().max(1);
            fs::write(&path, &bytes[..end]).expect("a cut capture");
            let Ok(short) = report(std::slice::from_ref(&path)) else { continue };
            read += 1;
            let mut oddities = short.inputs.iter().flat_map(|input| &input.oddities);
            assert!(!oddities.any(|it| it.kind == Oddity::INTERNAL_FAULT), "{}, cut at byte {end}", fixture.name);
            if let Some(wrong) = proven_otherwise(&short, &long) {
                all_wrong.push(format!("{}, cut at byte {end}: {wrong}", fixture.name));
            }
        }
    }
    assert!(all_wrong.is_empty(), "{}", all_wrong.join("\n"));
    assert!(read > 1500, "only {read} captures were read");
}

/// Captures in which a call is joined to another, or a registration counted, as the messages come.
const BY_ORDER: [&str; 7] = [
    "capture-truncated",
    "capture-truncated-before-call-id",
    "challenge-not-answered-near-miss-new-call-id",
    "dialog-state-lost",
    "healthy-b2bua",
    "peer-probe-failed-near-miss-single-loss",
    "trunk-congested-behind-two-addresses",
];

#[test]
fn a_response_that_a_card_hands_on_before_its_request_is_told_by_its_time() {
    const LATE: i64 = 50_000_000;
    let is_request = |packet: &Packet| packet.bytes.windows(10).any(|bytes| bytes == b" SIP/2.0\r\n");
    let is_response =
        |packet: &Packet| packet.bytes.windows(8).any(|bytes| bytes == b"SIP/2.0 ") && !is_request(packet);
    let (mut swapped, mut wrong) = (0, Vec::new());
    for capture in packets::captures() {
        let whole = told(&packets::parsed(capture.link, &capture.packets));
        for first in 0..capture.packets.len().saturating_sub(1) {
            let (one, other) = (&capture.packets[first], &capture.packets[first + 1]);
            let is_early = other.time > one.time && other.time - one.time < LATE;
            if !(is_early && is_request(one) && is_response(other)) {
                continue;
            }
            let mut packets = capture.packets.clone();
            packets.swap(first, first + 1);
            let now = told(&packets::parsed(capture.link, &packets));
            swapped += 1;
            if now != whole && !BY_ORDER.contains(&&*capture.name) {
                wrong.push(format!(
                    "{} at {}:\n  {}\n  {}",
                    capture.name,
                    first + 1,
                    whole.join("\n  "),
                    now.join("\n  ")
                ));
            }
        }
    }
    assert!(swapped > 100, "{swapped}");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
