//! What may not matter to a report, over every fixture: how TCP cut a stream, what else was captured at the same time,
//! when it was captured, and that a tap shows each packet twice. And that neither a snap length nor a packet that the
//! capture missed proves a fault.
//!
//! That a capture may come in pieces, and may be cut off anywhere, is in `tests/order.rs`.

mod analysed;
mod packets;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use packets::{Capture, Packet, first_difference};
use proptest::prelude::*;
use serde_json::Value;
use sipwhy::analysis::{Analysis, Event, MessageRead};
use sipwhy::call::Outcome;
use sipwhy::capture::{LinkType, SourceId, Timestamp};
use sipwhy::diagnosis::{Confidence, Severity};
use sipwhy::net::{Decoder, Delivery};
use sipwhy::oddity::OddityLog;
use sipwhy::report::{CallRecord, FindingRecord};
use sipwhy::sip::looks_like_sip;

// ----- streams ---------------------------------------------------------------------------------------------------

/// The SIP messages that a capture holds in datagrams, for each pair of addresses.
fn messages_by_path(capture: &Capture) -> Vec<Vec<Vec<u8>>> {
    let (mut decoder, mut oddities, mut paths) = (Decoder::default(), OddityLog::default(), BTreeMap::new());
    for (number, packet) in (1..).zip(&capture.packets) {
        decoder.feed(&packet.as_captured(number, capture.link), &mut oddities, |delivery| {
            if let Delivery::Datagram(datagram) = delivery
                && datagram.cut == 0
                && looks_like_sip(datagram.bytes)
            {
                let messages: &mut Vec<Vec<u8>> = paths.entry(datagram.path).or_default();
                messages.push(datagram.bytes.to_vec());
            }
        });
    }
    paths.into_values().collect()
}

/// A piece of a stream: where it begins, and its bytes.
type Piece<'a> = (usize, &'a [u8]);

/// One direction of a TCP connection in raw IPv4.
fn segment(stream: usize, sequence: u32, flags: u8, payload: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0x45, 0];
    bytes.extend((40 + payload.len() as u16).to_be_bytes());
    bytes.extend([0, 0, 0x40, 0, 64, 6, 0, 0, 192, 0, 2, 10, 192, 0, 2, 20]);
    bytes.extend((40_000 + stream as u16).to_be_bytes());
    bytes.extend(5060_u16.to_be_bytes());
    bytes.extend(sequence.to_be_bytes());
    bytes.extend([0, 0, 0, 0, 0x50, flags, 0xff, 0xff, 0, 0, 0, 0]);
    bytes.extend(payload);
    bytes
}

/// What is read of streams that are captured in these pieces.
fn read(streams: &[Vec<Piece<'_>>]) -> Vec<Vec<MessageRead>> {
    const FIRST: u32 = 0xffff_ff00;
    let mut analysis = Analysis::default();
    analysis.hand_on_messages();
    let mut number = 0;
    let mut feed = |analysis: &mut Analysis, bytes: &[u8]| {
        number += 1;
        let time = 1_700_000_000_000_000_000 + number as i64 * 1_000_000;
        analysis.feed(&sipwhy::capture::Packet {
            time: Timestamp(time),
            source: SourceId::default(),
            number,
            link: LinkType(101),
            bytes,
            original_len: bytes.len() as u32,
        });
    };
    for (stream, pieces) in streams.iter().enumerate() {
        feed(&mut analysis, &segment(stream, FIRST.wrapping_sub(1), 2, &[]));
        for (at, bytes) in pieces {
            feed(&mut analysis, &segment(stream, FIRST.wrapping_add(*at as u32), 0x18, bytes));
        }
    }
    analysis.finish();
    let mut found = vec![Vec::new(); streams.len()];
    while let Some(event) = analysis.next_event() {
        if let Event::Message(mut message) = event {
            message.place = sipwhy::capture::Place::default();
            found[usize::from(message.path.source.port() - 40_000)].push(*message);
        }
    }
    found
}

/// How a stream is cut: for each piece its length, by how much it begins too early, how many places it comes later, and
/// whether it comes twice.
type Cuts = Vec<(usize, usize, usize, bool)>;

fn pieces<'a>(stream: &'a [u8], cuts: &Cuts) -> Vec<Piece<'a>> {
    let (mut pieces, mut at) = (Vec::new(), 0);
    for (number, (length, overlap, later, twice)) in cuts.iter().cycle().enumerate() {
        if at == stream.len() {
            break;
        }
        let end = (at + length).min(stream.len());
        let start = at.saturating_sub(*overlap);
        let piece = (start, &stream[start..end]);
        pieces.push((number + later, piece));
        if *twice {
            pieces.push((number + later + 1, piece));
        }
        at = end;
    }
    pieces.sort_by_key(|(turn, _)| *turn);
    pieces.into_iter().map(|(_, piece)| piece).collect()
}

#[test]
fn however_a_stream_is_cut_the_same_messages_are_in_it() {
    let mut compared = 0;
    for capture in packets::captures() {
        let by_path = messages_by_path(&capture);
        let streams: Vec<Vec<u8>> = by_path.iter().map(|messages| messages.concat()).collect();
        let in_order = |messages: &'_ Vec<Vec<u8>>| -> Vec<usize> {
            messages.iter().scan(0, |at, message| Some(std::mem::replace(at, *at + message.len()))).collect()
        };
        let whole: Vec<Vec<Piece<'_>>> = by_path
            .iter()
            .map(|messages| in_order(messages).into_iter().zip(messages.iter().map(Vec::as_slice)).collect())
            .collect();
        let expected = read(&whole);
        compared += expected.iter().map(Vec::len).sum::<usize>();
        let config = ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(3) };
        let cuts = prop::collection::vec((1..900usize, 0..60usize, 0..6usize, any::<bool>()), 1..30);
        proptest!(config, |(cuts in cuts)| {
            let cut: Vec<Vec<Piece<'_>>> = streams.iter().map(|stream| pieces(stream, &cuts)).collect();
            prop_assert_eq!(&read(&cut), &expected, "{}", &capture.name);
        });
    }
    assert!(compared > 1000, "only {compared} messages were compared");
}

// ----- reports ---------------------------------------------------------------------------------------------------

/// Changes every number of a frame.
fn number_anew(value: &mut Value, number: &impl Fn(u64) -> u64) {
    match value {
        Value::Object(object) => {
            for (key, value) in object.iter_mut() {
                match value.as_u64() {
                    Some(frame) if key == "frame" => *value = number(frame).into(),
                    _ => number_anew(value, number),
                }
            }
            // What Wireshark counts from the first frame on differs by what that is.
            if object.get("field").and_then(Value::as_str).is_some_and(|field| field.starts_with("frame.")) {
                object["value"] = "".into();
            }
        }
        Value::Array(array) => array.iter_mut().for_each(|value| number_anew(value, number)),
        _ => {}
    }
}

/// The calls of a report by their first Call-ID, with other numbers of frames and none of their own.
fn calls(report: &Value, number: impl Fn(u64) -> u64) -> BTreeMap<String, Value> {
    let mut calls = BTreeMap::new();
    for call in report["calls"].as_array().expect("calls") {
        let mut call = call.clone();
        call["id"] = Value::Null;
        number_anew(&mut call, &number);
        calls.insert(format!("{} {}", call["call_ids"][0], call["started"]), call);
    }
    calls
}

/// Names and addresses for documentation, and others that are as long: so that two captures have nothing in common.
const ELSEWHERE: [(&[u8], &[u8]); 10] = [
    (b"192.0.2.", b"203.0.1."),
    (b"198.51.100.", b"198.18.200."),
    (b"203.0.113.", b"198.19.20."),
    (b"\xc0\x00\x02", b"\xcb\x00\x01"),
    (b"\xc6\x33\x64", b"\xc6\x12\xc8"),
    (b"\xcb\x00\x71", b"\xc6\x13\x14"),
    (b"example.com", b"example.edu"),
    (b"example.net", b"example.gov"),
    (b"2001:db8:", b"2001:db9:"),
    (b"\x20\x01\x0d\xb8", b"\x20\x01\x0d\xb9"),
];

fn elsewhere(bytes: &[u8]) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    let mut at = 0;
    while at < bytes.len() {
        let step = match ELSEWHERE.iter().find(|(here, _)| bytes[at..].starts_with(here)) {
            Some((here, there)) => {
                bytes[at..at + here.len()].copy_from_slice(there);
                here.len()
            }
            None => 1,
        };
        at += step;
    }
    bytes
}

/// A frame that says nothing, so that captures begin and end at the same time.
fn marker(time: i64) -> Packet {
    let mut bytes = vec![0; 60];
    bytes[12..14].copy_from_slice(&[0x90, 0]);
    Packet { time, original_len: 60, bytes }
}

/// The numbers that the packets of one of two captures have where both are interleaved.
fn interleave(one: &[Packet], other: &[Packet]) -> (Vec<Packet>, [Vec<u64>; 2]) {
    let mut all: Vec<(usize, usize, &Packet)> = Vec::new();
    for (which, packets) in [one, other].into_iter().enumerate() {
        all.extend(packets.iter().enumerate().map(|(at, packet)| (which, at, packet)));
    }
    all.sort_by_key(|(_, _, packet)| packet.time);
    let mut numbers = [Vec::new(), Vec::new()];
    for (number, (which, _, _)) in (1..).zip(&all) {
        numbers[*which].push(number);
    }
    (all.into_iter().map(|(_, _, packet)| packet.clone()).collect(), numbers)
}

#[test]
fn two_captures_interleaved_give_what_each_gives() {
    let mut captures = packets::captures();
    captures.retain(|capture| capture.link == LinkType(1) && capture.packets.is_sorted_by_key(|packet| packet.time));
    let mut compared = 0;
    for (at, one) in captures.iter().enumerate() {
        let other = &captures[(at + 41) % captures.len()];
        let (mut ones, mut others) = (one.packets.clone(), other.packets.clone());
        others.iter_mut().for_each(|packet| packet.bytes = elsewhere(&packet.bytes));
        let times = || ones.iter().chain(&others).map(|packet| packet.time);
        let (first, last) = (times().min().expect("a packet") - 1, times().max().expect("a packet") + 1);
        for packets in [&mut ones, &mut others] {
            packets.insert(0, marker(first));
            packets.push(marker(last));
        }
        let (both, numbers) = interleave(&ones, &others);
        let report = |packets: &[Packet]| packets::report(one.link, packets);
        let own = |which: usize| {
            let numbers = numbers[which].clone();
            move |frame: u64| numbers[frame as usize - 1]
        };
        let mut expected = calls(&report(&ones), own(0));
        let of_one = expected.len();
        let of_other = calls(&report(&others), own(1));
        expected.extend(of_other.clone());
        assert_eq!(expected.len(), of_one + of_other.len(), "{} and {} share a call", one.name, other.name);
        let found = calls(&report(&both), |frame| frame);
        let names = |calls: &BTreeMap<String, Value>| calls.keys().cloned().collect::<Vec<_>>();
        assert_eq!(names(&found), names(&expected), "{} and {}", one.name, other.name);
        for (name, call) in &found {
            let difference = first_difference(&expected[name], call, "");
            assert!(difference.is_none(), "{} and {}, {name}: {difference:?}", one.name, other.name);
        }
        compared += found.len();
    }
    assert!(compared > 200, "only {compared} calls were compared");
}

/// Takes a number of seconds from every time in a value.
fn earlier(value: &mut Value, seconds: i64) {
    match value {
        Value::String(text) => {
            if let Ok(time) = text.parse::<jiff::Timestamp>() {
                *text = (time - jiff::SignedDuration::from_secs(seconds)).to_string();
            }
        }
        Value::Object(object) => object.values_mut().for_each(|value| earlier(value, seconds)),
        Value::Array(array) => array.iter_mut().for_each(|value| earlier(value, seconds)),
        _ => {}
    }
}

#[test]
fn another_time_is_the_only_difference_of_another_time() {
    // Whole days, since sentences name the time of day.
    const LATER: i64 = 86_400 * 41;
    // A signature says when it was made, and a certificate when it holds: at another time it is another case (RFC 8225
    // §5.1.1, RFC 5280 §4.1.2.5). The name in a certificate has this type.
    const COMMON_NAME: &[u8] = b"\x06\x03\x55\x04\x03";
    let holds = |packet: &Packet, bytes: &[u8]| memchr::memmem::find(&packet.bytes, bytes).is_some();
    let is_signed = |packet: &Packet| holds(packet, b"\nIdentity:") || holds(packet, COMMON_NAME);
    let unsigned = |capture: &packets::Capture| !capture.packets.iter().any(is_signed);
    for capture in packets::captures().into_iter().filter(unsigned) {
        let mut later = capture.packets.clone();
        later.iter_mut().for_each(|packet| packet.time += LATER * 1_000_000_000);
        let [mut now, mut then] = [&capture.packets, &later].map(|packets| packets::report(capture.link, packets));
        // The inputs have other bytes, so another hash.
        for report in [&mut now, &mut then] {
            report["inputs"][0]["sha256"] = Value::Null;
        }
        earlier(&mut now, 0);
        earlier(&mut then, LATER);
        let difference = first_difference(&now, &then, "");
        assert!(difference.is_none(), "{}: {difference:?}", capture.name);
    }
}

/// What a finding says, but for frames.
fn said(finding: &FindingRecord) -> (String, Confidence, String) {
    (finding.rule.clone(), finding.confidence, finding.explanation.raw().to_owned())
}

#[test]
fn a_tap_that_shows_everything_twice_changes_no_finding_but_one() {
    const BETWEEN: i64 = 9_000;
    for capture in packets::captures() {
        let mut twice: Vec<Packet> = Vec::new();
        for packet in &capture.packets {
            twice.extend([packet.clone(), Packet { time: packet.time + BETWEEN, ..packet.clone() }]);
        }
        let [once, twice] = [&capture.packets, &twice].map(|packets| packets::parsed(capture.link, packets));
        let of = |call: &CallRecord| {
            let findings: Vec<_> = call.findings.iter().map(said).collect();
            (call.call_ids.clone(), call.outcome, call.final_status, call.cause.clone(), findings)
        };
        let all = |report: &sipwhy::report::Report| report.calls.iter().map(of).collect::<Vec<_>>();
        assert_eq!(all(&once), all(&twice), "{}", capture.name);
        let notes = |report: &sipwhy::report::Report| -> Vec<String> {
            let notes = report.notes.iter().map(|note| note.rule.clone());
            notes.filter(|rule| rule != "capture-duplicated").collect()
        };
        assert_eq!(notes(&once), notes(&twice), "{}", capture.name);
    }
}

/// Faults of which the start lines, or an ICMP error, alone are the proof: a more special cause may stand behind a cut.
const BY_START_LINES: [&str; 6] = [
    "destination-unreachable",
    "identity-rejected",
    "method-unsupported",
    "reinvite-refused",
    "server-in-maintenance",
    "user-unknown",
];

/// The faults that a report calls proven.
fn proven(report: &sipwhy::report::Report) -> BTreeSet<String> {
    let findings = report.calls.iter().flat_map(|call| &call.findings);
    let proven =
        findings.filter(|finding| finding.confidence == Confidence::Proven && finding.severity != Severity::Info);
    proven.map(|finding| finding.rule.clone()).collect()
}

#[test]
fn a_snap_length_proves_no_fault_that_was_not_there() {
    let (mut faults, mut wrong) = (0, Vec::new());
    for capture in packets::captures() {
        let whole = proven(&packets::parsed(capture.link, &capture.packets));
        for snap in [150, 200, 250, 300, 350, 400, 500, 600] {
            let mut packets = capture.packets.clone();
            packets.iter_mut().for_each(|packet| packet.bytes.truncate(snap));
            let cut = proven(&packets::parsed(capture.link, &packets));
            faults += cut.len();
            let new = cut.difference(&whole).filter(|rule| !BY_START_LINES.contains(&rule.as_str()));
            wrong.extend(new.map(|rule| format!("{} at {snap}: {rule}", capture.name)));
        }
    }
    assert!(faults > 100, "{faults}");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Faults that a single message, or an ICMP error, is the proof of: a more special cause may need another one.
const BY_ONE_MESSAGE: [&str; 6] = [
    "address-of-record-refused",
    "destination-unreachable",
    "fragments-missing",
    "reinvite-refused",
    "trunk-congested",
    "user-unknown",
];

/// Captures in which one message alone tells that a fault was made good, or that it was another one.
const BY_ONE_LOSS: [(&str, &str); 5] = [
    ("answer-unusable", "stream-refused"),
    ("challenge-not-answered-near-miss-new-call-id", "challenge-not-answered"),
    ("healthy-redirect-followed-new-call-id", "redirect-not-followed"),
    ("rejected-by-callee-near-miss-user-busy", "callee-busy"),
    ("retry-not-renumbered", "challenge-not-answered"),
];

#[test]
fn a_packet_that_was_missed_proves_no_fault_that_was_not_there() {
    const MOST: usize = 12;
    let (mut lost, mut wrong) = (0, Vec::new());
    for capture in packets::captures().iter().filter(|capture| capture.packets.len() <= MOST) {
        let all = packets::parsed(capture.link, &capture.packets);
        let whole = proven(&all);
        let with = |report: &sipwhy::report::Report, outcome| {
            report.calls.iter().filter(|call| call.outcome == outcome).count()
        };
        let answered = with(&all, Outcome::Answered);
        for missed in 0..capture.packets.len() {
            let mut packets = capture.packets.clone();
            packets.remove(missed);
            let report = packets::parsed(capture.link, &packets);
            lost += 1;
            let is_told = |rule: &str| BY_ONE_MESSAGE.contains(&rule) || BY_ONE_LOSS.contains(&(&*capture.name, rule));
            let now = proven(&report);
            let new = now.difference(&whole).filter(|rule| !is_told(rule));
            wrong.extend(new.map(|rule| format!("{} without {}: {rule}", capture.name, missed + 1)));
            let may_be = with(&report, Outcome::Answered) + with(&report, Outcome::Unfinished);
            if report.calls.len() == all.calls.len() && may_be < answered {
                wrong.push(format!("{} without {}: not answered", capture.name, missed + 1));
            }
        }
    }
    assert!(lost > 1000, "{lost}");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_captures_are_those_of_the_fixtures() {
    let captures = packets::captures();
    assert!(captures.len() > 200, "only {} captures can be written anew", captures.len());
    assert!(captures.iter().all(|capture| Path::new("fixtures").join(&capture.name).is_dir()));
}
