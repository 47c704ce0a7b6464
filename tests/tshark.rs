//! The messages that are read are those that tshark finds, for every capture of `fixtures/`: frame, method or code,
//! Call-ID, CSeq.
//!
//! `SIPWHY_CAPTURES=/folder cargo test --test tshark` does the same for captures elsewhere. Where both differ for a reason
//! it stands in `docs/differences.md`, with the frames. Without tshark there is nothing to compare with, and the tests
//! say so. The claims of reports are compared in `tests/claims.rs`.

mod analysed;
mod dissected;

use std::collections::{BTreeMap, BTreeSet};

use analysed::fixtures;
use dissected::{Compared, Shown, all_wrong, elsewhere, has_tshark};
use sipwhy::analysis::{Analysis, Event, run};
use sipwhy::capture::{Files, Reading};

/// Where messages are told from each other.
const OF_MESSAGES: [&str; 6] = ["sip.Method", "sip.Status-Code", "sip.Call-ID", "sip.CSeq", "icmp.type", "icmpv6.type"];

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

/// What is wrong with one capture, and which frames are known to differ and do not.
fn wrong(capture: &Compared) -> Vec<String> {
    let name = &capture.name;
    let known = capture.differing();
    let shown = match capture.shown(&BTreeSet::from(OF_MESSAGES)) {
        Ok(shown) => shown,
        Err(complaint) => return vec![format!("{name}: {complaint}")],
    };
    let mut wrong = Vec::new();
    let (ours, theirs) = (read_by_us(capture).unwrap_or_default(), read_by_tshark(&shown));
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

#[test]
fn tshark_shows_what_is_read() {
    if !has_tshark() {
        return;
    }
    let captures = fixtures().into_iter().map(|fixture| fixture.capture);
    let captures: Vec<Compared> = captures.map(|path| Compared::new(path.clone(), &path)).collect();
    let wrong = all_wrong(&captures, wrong);
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn tshark_shows_what_is_read_of_captures_elsewhere() {
    let Some(captures) = elsewhere().filter(|_| has_tshark()) else { return };
    let wrong = all_wrong(&captures, wrong);
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
