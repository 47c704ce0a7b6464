//! Twice the input takes twice the time: what a hostile sender may make as long as it likes is measured at one length
//! and at twice that length.
//!
//! `cargo bench --bench scaling` fails where twice as much takes more than [`WORST`] times as long. Rounds of both
//! lengths take turns, so that a busy moment of the machine meets both, and the shortest of each count. With words
//! behind `--`, only what is called so is measured.

mod stopwatch;
mod traffic;

/// The allocator of the program.
#[cfg(feature = "mimalloc")]
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

use std::process::ExitCode;
use std::time::Duration;

use sipwhy::analysis::{Analysis, Limits};
use sipwhy::call::Wanted;
use sipwhy::capture::Place;
use sipwhy::net::{Decoder, Delivery};
use sipwhy::oddity::OddityLog;
use sipwhy::sip::sdp::Sdp;
use sipwhy::sip::{Cut, Framer, Message, NameAddr};

use stopwatch::Rounds;

/// Linear is 2.0; quadratic is 4.0. What lies between is caches and noise.
const WORST: f64 = 2.3;
/// A message is compared with the steps of its call before it, whose number is bounded (`--limits messages`).
const OF_ONE_CALL: f64 = 4.0;
/// Rounds of each length at least, and at most where the ratio looks bad: noise makes a time longer, never shorter.
const ROUNDS: (u32, u32) = (7, 60);

/// One measure: its name, a length, and how to make a piece of work of a length.
struct Axis {
    name: &'static str,
    length: usize,
    /// The greatest ratio that is no fault.
    worst: f64,
    work: fn(usize) -> Box<dyn FnMut()>,
}

const AXES: &[Axis] = &[
    Axis { name: "headers of a message", length: 2_000, worst: WORST, work: headers },
    Axis { name: "folds of a header", length: 4_000, worst: WORST, work: folds },
    Axis { name: "parameters of a header", length: 4_000, worst: WORST, work: parameters },
    Axis { name: "Via headers", length: 1_000, worst: WORST, work: vias },
    Axis { name: "commas in a header", length: 8_000, worst: WORST, work: commas },
    Axis { name: "messages in one segment", length: 500, worst: WORST, work: pipelined },
    Axis { name: "segments of one message", length: 4_000, worst: WORST, work: segments },
    Axis { name: "fragments of a datagram", length: 2_000, worst: WORST, work: fragments },
    Axis { name: "lines of a session description", length: 4_000, worst: WORST, work: sdp_lines },
    Axis { name: "calls", length: 4_000, worst: WORST, work: calls },
    Axis { name: "messages of one call", length: 400, worst: OF_ONE_CALL, work: one_call },
];

fn main() -> ExitCode {
    println!("{:<34} {:>8} {:>14} {:>14} {:>7}", "", "length", "µs", "µs, twice", "ratio");
    let words: Vec<String> = std::env::args().skip(1).filter(|argument| !argument.starts_with('-')).collect();
    let is_asked_for = |axis: &&Axis| words.iter().all(|word| axis.name.contains(word.as_str()));
    let mut is_linear = true;
    for axis in AXES.iter().filter(is_asked_for) {
        let (once, twice) = measure(axis);
        is_linear &= twice / once <= axis.worst;
        println!("{:<34} {:>8} {once:>14.1} {twice:>14.1} {:>7.2}", axis.name, axis.length, twice / once);
    }
    if stopwatch::is_measuring() && !is_linear {
        println!("something is not linear: a ratio is more than {WORST}");
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}

/// Microseconds for the length and for twice the length.
fn measure(axis: &Axis) -> (f64, f64) {
    let mut once = Rounds::of((axis.work)(axis.length));
    let mut twice = Rounds::of((axis.work)(axis.length * 2));
    let micros = |duration: Duration| duration.as_secs_f64() * 1e6;
    let (fewest, most) = ROUNDS;
    for round in 0..most {
        let ratio = micros(twice.shortest) / micros(once.shortest);
        if !stopwatch::is_measuring() || (round >= fewest && ratio <= axis.worst) {
            break;
        }
        once.another();
        twice.another();
    }
    (micros(once.shortest), micros(twice.shortest))
}

/// A message with these headers beside those that every message has.
fn message_with(headers: &str) -> Vec<u8> {
    format!(
        "OPTIONS sip:example.com SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.10;branch=z9hG4bKs\r\nFrom: <sip:a@example.com>;tag=1\
         \r\nTo: <sip:b@example.com>\r\nCall-ID: scaling\r\nCSeq: 1 OPTIONS\r\n{headers}Content-Length: 0\r\n\r\n"
    )
    .into_bytes()
}

/// Reads a message and asks for everything that was made long.
fn reading(bytes: Vec<u8>, name: &'static str) -> Box<dyn FnMut()> {
    Box::new(move || {
        let message = Message::read(&bytes, Cut::Whole).expect("a message");
        assert!(message.header(name).is_some());
        assert!(!message.headers(name).is_empty());
        assert!(message.all_headers().count() > 6);
        assert!(!message.vias().is_empty());
    })
}

fn headers(count: usize) -> Box<dyn FnMut()> {
    let many: String = (0..count).map(|number| format!("X-Header-{number}: value\r\n")).collect();
    reading(message_with(&(many + "Subject: last\r\n")), "Subject")
}

fn folds(count: usize) -> Box<dyn FnMut()> {
    reading(message_with(&format!("Subject: folded{}\r\n", "\r\n again".repeat(count))), "Subject")
}

fn parameters(count: usize) -> Box<dyn FnMut()> {
    let bytes = message_with(&format!("Contact: <sip:a@192.0.2.10>{}\r\n", ";parameter=value".repeat(count)));
    Box::new(move || {
        let message = Message::read(&bytes, Cut::Whole).expect("a message");
        let contact: NameAddr = message.contact().expect("a Contact");
        assert_eq!(contact.parameters.get("last"), None);
    })
}

fn vias(count: usize) -> Box<dyn FnMut()> {
    reading(message_with(&"Via: SIP/2.0/UDP 192.0.2.11;branch=z9hG4bKv\r\n".repeat(count)), "Via")
}

fn commas(count: usize) -> Box<dyn FnMut()> {
    reading(message_with(&format!("Allow: INVITE{}\r\n", ", BYE".repeat(count))), "Allow")
}

/// Feeds a stream in pieces and counts the messages in it.
fn framing(stream: Vec<u8>, piece: usize, messages: usize) -> Box<dyn FnMut()> {
    Box::new(move || {
        let (mut framer, mut oddities, mut found) = (Framer::default(), OddityLog::default(), 0);
        for segment in stream.chunks(piece) {
            framer.push(segment, Place::default(), &mut oddities, &mut |_| found += 1);
        }
        assert_eq!(found, messages);
    })
}

fn pipelined(count: usize) -> Box<dyn FnMut()> {
    let stream: Vec<u8> = (0..count as u32).flat_map(traffic::invite).collect();
    let length = stream.len();
    framing(stream, length, count)
}

fn segments(count: usize) -> Box<dyn FnMut()> {
    const PIECE: usize = 12;
    let headers = "X-Filler: some thirty bytes of it\r\n".repeat(count * PIECE / 35);
    framing(message_with(&headers), PIECE, 1)
}

fn fragments(count: usize) -> Box<dyn FnMut()> {
    let frames = traffic::fragments(&vec![b'x'; count * 8 - 8], 8);
    assert_eq!(frames.len(), count);
    Box::new(move || {
        let (mut decoder, mut oddities, mut whole) = (Decoder::default(), OddityLog::default(), 0);
        for (number, frame) in (1..).zip(&frames) {
            decoder.feed(&traffic::packet(number, frame), &mut oddities, |delivery| {
                whole += usize::from(matches!(delivery, Delivery::Datagram(_)));
            });
        }
        assert_eq!(whole, 1);
    })
}

fn sdp_lines(count: usize) -> Box<dyn FnMut()> {
    let text = traffic::SDP.to_owned() + &"a=candidate:1 1 UDP 1 192.0.2.10 40000 typ host\r\n".repeat(count);
    Box::new(move || {
        let sdp = Sdp::read(text.as_bytes()).expect("a session description");
        assert!(sdp.media.iter().all(|media| !media.codecs().is_empty()));
    })
}

/// Feeds frames to the analysis until every call has ended.
fn analysing(frames: Vec<traffic::Frame>, wanted: Wanted, calls: usize) -> Box<dyn FnMut()> {
    Box::new(move || {
        let mut analysis = Analysis::new(Limits::default(), wanted);
        let mut ended = 0;
        for (number, frame) in (1..).zip(&frames) {
            let packet = traffic::packet(number, &frame.bytes);
            let time = sipwhy::capture::Timestamp((frame.micros * 1_000) as i64);
            analysis.feed(&sipwhy::capture::Packet { time, ..packet });
            while analysis.next_event().is_some() {
                ended += 1;
            }
        }
        analysis.finish();
        while analysis.next_event().is_some() {
            ended += 1;
        }
        assert_eq!(ended, calls);
    })
}

fn calls(count: usize) -> Box<dyn FnMut()> {
    analysing(traffic::calls(count as u32), Wanted::EveryCall, count)
}

fn one_call(count: usize) -> Box<dyn FnMut()> {
    analysing(traffic::registrations(count as u32), Wanted::EveryCall, 1)
}
