//! The messages of a capture by frame: method or code, Call-ID, CSeq; as they are read, and as tshark shows them.

use std::collections::{BTreeMap, BTreeSet};

use sipwhy::analysis::{Analysis, Event, run};
use sipwhy::capture::{Files, Reading};

use super::{Compared, Shown};

/// Where messages are told from each other.
pub const FIELDS: [&str; 6] = ["sip.Method", "sip.Status-Code", "sip.Call-ID", "sip.CSeq", "icmp.type", "icmpv6.type"];

/// The messages of a frame: requests, codes, Call-IDs, CSeqs, each in order.
#[derive(Debug, Default, PartialEq, Eq)]
struct Messages {
    methods: Vec<String>,
    codes: Vec<String>,
    call_ids: Vec<String>,
    cseqs: Vec<String>,
}

fn read_by_us(capture: &Compared) -> Option<BTreeMap<u64, Messages>> {
    let mut files = Files::open(std::slice::from_ref(&capture.path), Reading::default()).ok()?;
    let mut analysis = Analysis::default();
    if let Some(keys) = &capture.keys {
        analysis.keys().read(&std::fs::read(keys).expect("a key log"));
    }
    analysis.hand_on_messages();
    let mut frames: BTreeMap<u64, Messages> = BTreeMap::new();
    run(&mut files, &mut analysis, |_, event| {
        let Event::Message(message) = event else { return };
        let messages = frames.entry(message.place.frame).or_default();
        messages.methods.extend(message.method.map(|method| method.to_string()));
        messages.codes.extend(message.status.map(|status| status.get().to_string()));
        messages.call_ids.extend(Some(message.call_id).filter(|call_id| !call_id.is_empty()));
        messages.cseqs.extend(message.cseq.map(|cseq| format!("{} {}", cseq.number, cseq.method)));
    })
    .ok()?;
    Some(frames)
}

fn read_by_tshark(shown: &Shown) -> BTreeMap<u64, Messages> {
    let mut frames = BTreeMap::new();
    for (frame, row) in shown {
        let of = |field: &str| -> Vec<String> {
            row.get(field).into_iter().flatten().filter(|value| !value.is_empty()).cloned().collect()
        };
        // What an ICMP error quotes is no message on the wire.
        if !of("icmp.type").is_empty() || !of("icmpv6.type").is_empty() {
            continue;
        }
        let messages = Messages {
            methods: of("sip.Method"),
            codes: of("sip.Status-Code"),
            call_ids: of("sip.Call-ID"),
            cseqs: of("sip.CSeq"),
        };
        if messages != Messages::default() {
            frames.insert(*frame, messages);
        }
    }
    frames
}

/// Which frames differ, and which are known to differ and do not.
pub fn wrong(capture: &Compared, shown: &Shown) -> Vec<String> {
    let name = &capture.name;
    let known = capture.differing();
    let mut wrong = Vec::new();
    let (ours, theirs) = (read_by_us(capture).unwrap_or_default(), read_by_tshark(shown));
    for frame in ours.keys().chain(theirs.keys()).copied().collect::<BTreeSet<u64>>() {
        let (ours, theirs) = (ours.get(&frame), theirs.get(&frame));
        match (ours == theirs, known.contains(&frame)) {
            (false, false) => wrong.push(format!("{name}: frame {frame} holds {ours:?}; tshark: {theirs:?}")),
            (true, true) => wrong.push(format!("{name}: frame {frame} is listed as differing, and does not")),
            _ => {}
        }
    }
    wrong
}
