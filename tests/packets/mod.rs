//! Captures as packets that can be written anew, the report on them, and where two reports differ.
#![allow(dead_code, reason = "each test uses its own part")]

use std::cell::RefCell;
use std::fs;
use std::path::PathBuf;

use serde_json::Value;
use sipwhy::capture::{Files, Input, LinkType, Reading, Source, SourceId, Timestamp};
use sipwhy::report::{CallRecord, Report};

use crate::analysed::{self, fixtures, root};

/// A packet.
#[derive(Debug, Clone)]
pub struct Packet {
    /// Nanoseconds since 1970.
    pub time: i64,
    pub bytes: Vec<u8>,
    pub original_len: u32,
}

impl Packet {
    /// As a source gives it.
    pub fn as_captured(&self, number: u64, link: LinkType) -> sipwhy::capture::Packet<'_> {
        sipwhy::capture::Packet {
            time: Timestamp(self.time),
            source: SourceId::default(),
            number,
            link,
            bytes: &self.bytes,
            original_len: self.original_len,
        }
    }
}

/// A fixture whose capture says nothing but what its packets say.
pub struct Capture {
    pub name: String,
    pub path: PathBuf,
    pub link: LinkType,
    pub nanoseconds: bool,
    pub packets: Vec<Packet>,
}

/// Every such fixture.
pub fn captures() -> Vec<Capture> {
    fixtures().into_iter().filter_map(|fixture| capture(fixture.name, fixture.capture)).collect()
}

fn capture(name: String, path: PathBuf) -> Option<Capture> {
    // Only a plain file is the same when its packets are written anew: others say more than packets do.
    if path.extension().is_none_or(|extension| extension != "pcap") {
        return None;
    }
    let mut files = Files::open(&[root().join(&path)], Reading::default()).ok()?;
    let (mut packets, mut links) = (Vec::new(), Vec::new());
    while let Some(Input::Packet(packet)) = files.next().expect("a packet") {
        links.push(packet.link);
        packets.push(Packet { time: packet.time.0, bytes: packet.bytes.to_vec(), original_len: packet.original_len });
    }
    let facts = files.inputs().pop()?;
    links.dedup();
    let [link] = links[..] else { return None };
    let is_whole = facts.oddities.iter().all(|(kind, _)| matches!(kind, "capture-truncated" | "clock-unsteady"));
    is_whole.then_some(Capture { name, path, link, nanoseconds: facts.nanoseconds, packets })
}

/// What the times of a file are told in.
#[derive(Debug, Clone, Copy)]
pub enum Resolution {
    Microseconds,
    Nanoseconds,
}

/// A pcap file of these packets.
pub fn as_pcap<'p>(link: LinkType, resolution: Resolution, packets: impl IntoIterator<Item = &'p Packet>) -> Vec<u8> {
    let (magic, unit) = match resolution {
        Resolution::Microseconds => (0xa1b2_c3d4_u32, 1000),
        Resolution::Nanoseconds => (0xa1b2_3c4d, 1),
    };
    let words = [magic, 2 | (4 << 16), 0, 0, 262_144, link.0];
    let mut bytes: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
    for packet in packets {
        let (seconds, rest) = (packet.time.div_euclid(1_000_000_000), packet.time.rem_euclid(1_000_000_000));
        let head = [seconds as u32, (rest / unit) as u32, packet.bytes.len() as u32, packet.original_len];
        bytes.extend(head.iter().flat_map(|word| word.to_le_bytes()));
        bytes.extend(&packet.bytes);
    }
    bytes
}

/// Where two values differ, and how.
pub fn first_difference(one: &Value, other: &Value, at: &str) -> Option<String> {
    match (one, other) {
        (Value::Object(one), Value::Object(other)) if one.len() == other.len() => {
            one.iter().find_map(|(key, value)| {
                first_difference(value, other.get(key).unwrap_or(&Value::Null), &format!("{at}/{key}"))
            })
        }
        (Value::Array(one), Value::Array(other)) if one.len() == other.len() => {
            let mut pairs = one.iter().zip(other).enumerate();
            pairs.find_map(|(index, (one, other))| first_difference(one, other, &format!("{at}/{index}")))
        }
        _ => (one != other).then(|| format!("{at}: {one} or {other}")),
    }
}

/// The report on packets.
pub fn parsed(link: LinkType, packets: &[Packet]) -> Report {
    analysed::report(&[written(link, packets)]).expect("a report")
}

/// What is said of each call, without the words.
pub fn told(report: &Report) -> Vec<String> {
    let of_call = |call: &CallRecord| {
        let mut findings: Vec<_> =
            call.findings.iter().map(|finding| format!("{} {:?}", finding.rule, finding.confidence)).collect();
        findings.sort_unstable();
        format!("{:?} {:?} {findings:?}", call.outcome, call.cause)
    };
    report.calls.iter().map(of_call).collect()
}

/// A file of these packets, until the next one is written.
pub fn written(link: LinkType, packets: &[Packet]) -> PathBuf {
    thread_local! {
        static FOLDER: RefCell<Option<tempfile::TempDir>> = const { RefCell::new(None) };
    }
    let path = FOLDER.with_borrow_mut(|folder| {
        folder.get_or_insert_with(|| tempfile::tempdir().expect("a folder")).path().join("capture.pcap")
    });
    fs::write(&path, as_pcap(link, Resolution::Nanoseconds, packets)).expect("a capture");
    path
}

/// The same as JSON.
pub fn report(link: LinkType, packets: &[Packet]) -> Value {
    serde_json::to_value(parsed(link, packets)).expect("JSON")
}
