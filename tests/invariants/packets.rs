//! Captures as packets that can be written anew, and the report on them.

use std::cell::RefCell;
use std::fs;

use serde_json::Value;
use sipwhy::capture::{Files, Input, LinkType, Reading, Source, SourceId, Timestamp};
use sipwhy::report::Report;

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
    pub link: LinkType,
    pub packets: Vec<Packet>,
}

/// Every such fixture.
pub fn captures() -> Vec<Capture> {
    fixtures().into_iter().filter_map(|fixture| capture(fixture.name, &fixture.capture)).collect()
}

fn capture(name: String, path: &std::path::Path) -> Option<Capture> {
    if path.extension().is_none_or(|extension| extension != "pcap") {
        return None;
    }
    let mut files = Files::open(&[root().join(path)], Reading::default()).ok()?;
    let (mut packets, mut links) = (Vec::new(), Vec::new());
    while let Some(Input::Packet(packet)) = files.next().expect("a packet") {
        links.push(packet.link);
        packets.push(Packet { time: packet.time.0, bytes: packet.bytes.to_vec(), original_len: packet.original_len });
    }
    let facts = files.inputs().pop()?;
    links.dedup();
    let [link] = links[..] else { return None };
    let is_whole = facts.oddities.iter().all(|(kind, _)| matches!(kind, "capture-truncated" | "clock-unsteady"));
    is_whole.then_some(Capture { name, link, packets })
}

/// The report on packets.
pub fn parsed(link: LinkType, packets: &[Packet]) -> Report {
    thread_local! {
        static FOLDER: RefCell<Option<tempfile::TempDir>> = const { RefCell::new(None) };
    }
    let path = FOLDER.with_borrow_mut(|folder| {
        folder.get_or_insert_with(|| tempfile::tempdir().expect("a folder")).path().join("capture.pcap")
    });
    let words = [0xa1b2_3c4d_u32, 2 | (4 << 16), 0, 0, 262_144, link.0];
    let mut bytes: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
    for packet in packets {
        let (seconds, rest) = (packet.time.div_euclid(1_000_000_000), packet.time.rem_euclid(1_000_000_000));
        let head = [seconds as u32, rest as u32, packet.bytes.len() as u32, packet.original_len];
        bytes.extend(head.iter().flat_map(|word| word.to_le_bytes()));
        bytes.extend(&packet.bytes);
    }
    fs::write(&path, bytes).expect("a capture");
    analysed::report(&[path]).expect("a report")
}

/// The same as JSON.
pub fn report(link: LinkType, packets: &[Packet]) -> Value {
    serde_json::to_value(parsed(link, packets)).expect("JSON")
}
