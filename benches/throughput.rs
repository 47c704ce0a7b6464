//! How much each floor carries: messages read, streams cut into messages, packets decoded, captures analysed.
//!
//! `cargo bench --bench throughput`. The numbers are those of the machine at hand: compare two versions on one machine.

mod stopwatch;
mod traffic;

/// The allocator of the program.
#[cfg(feature = "mimalloc")]
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

use std::io::Write;
use std::time::Duration;

use sipwhy::analysis::{Analysis, Event, Limits, run};
use sipwhy::call::Wanted;
use sipwhy::capture::{Files, Place, Reading};
use sipwhy::diagnosis::{CaptureSeen, Engine};
use sipwhy::net::Decoder;
use sipwhy::oddity::OddityLog;
use sipwhy::sip::{Cut, Framer, Message};
use traffic::Frame;

fn main() {
    let scale = if stopwatch::is_measuring() { 10 } else { 1 };
    println!("{:<44} {:>14} {:>10}", "", "per second", "MB/s");
    read_messages();
    cut_streams(100 * scale);
    decode("packets decoded: SIP over UDP", &traffic::calls(200 * scale));
    decode("packets decoded: RTP", &traffic::rtp(50, 40 * scale));
    let sip = traffic::calls(2_000 * scale);
    analyse("packets analysed: SIP, all calls diagnosed", &sip, Wanted::EveryCall);
    analyse("packets analysed: SIP, good calls counted", &sip, Wanted::Troubled);
    let mut mixed = traffic::calls(20 * scale);
    mixed.extend(traffic::rtp(100, 100 * scale));
    mixed.sort_by_key(|frame| frame.micros);
    analyse("packets analysed: 99 % RTP", &mixed, Wanted::Troubled);
}

fn show(what: &str, items: usize, bytes: usize, took: Duration) {
    let seconds = took.as_secs_f64();
    println!("{what:<44} {:>14.0} {:>10.0}", items as f64 / seconds, bytes as f64 / seconds / 1e6);
}

fn read_messages() {
    let invite = traffic::invite(7);
    let took = stopwatch::time(|| Message::read(&invite, Cut::Whole).is_some());
    show("messages read", 1, invite.len(), took);
    let took = stopwatch::time(|| {
        let message = Message::read(&invite, Cut::Whole)?;
        let transaction = message.cseq().is_some() && !message.vias().is_empty();
        let dialog = message.from().is_some() && message.to().is_some();
        Some((message.call_id().len(), transaction, dialog))
    });
    show("messages read, and their identifiers", 1, invite.len(), took);
}

fn cut_streams(messages: u32) {
    let stream: Vec<u8> = (0..messages).flat_map(traffic::invite).collect();
    let took = stopwatch::time(|| {
        let (mut framer, mut oddities, mut found) = (Framer::default(), OddityLog::default(), 0_u32);
        for segment in stream.chunks(1_400) {
            framer.push(segment, Place::default(), &mut oddities, &mut |_| found += 1);
        }
        assert_eq!(found, messages);
    });
    show("messages cut out of a stream", messages as usize, stream.len(), took);
}

fn decode(what: &str, frames: &[Frame]) {
    let bytes = frames.iter().map(|frame| frame.bytes.len()).sum();
    let took = stopwatch::time(|| {
        let (mut decoder, mut oddities, mut given) = (Decoder::default(), OddityLog::default(), 0);
        for (number, frame) in (1..).zip(frames) {
            decoder.feed(&traffic::packet(number, &frame.bytes), &mut oddities, |_| given += 1);
        }
        assert_eq!(given, frames.len());
    });
    show(what, frames.len(), bytes, took);
}

/// From a file to the diagnosis of every call.
fn analyse(what: &str, frames: &[Frame], wanted: Wanted) {
    let capture = traffic::capture(frames);
    let mut file = tempfile::Builder::new().suffix(".pcap").tempfile().expect("a temporary file");
    file.write_all(&capture).expect("room for the capture");
    let paths = [file.path().to_path_buf()];
    let took = stopwatch::time(|| {
        let mut files = Files::open(&paths, Reading::default()).expect("a capture");
        let mut analysis = Analysis::new(Limits::default(), wanted);
        let mut engine = Engine::new(Engine::HELD_BACK);
        let mut findings = 0;
        run(&mut files, &mut analysis, |analysis, event| {
            match event {
                Event::Call(call) => engine.add(*call),
                _ => engine.add_good(),
            }
            let capture = CaptureSeen { drops: 0, until: analysis.now() };
            while let Some((_, diagnosis)) = engine.next(analysis.surroundings(), capture) {
                findings += diagnosis.findings.len();
            }
        })
        .expect("a capture that can be read");
        let capture = CaptureSeen { drops: 0, until: analysis.now() };
        while let Some((_, diagnosis)) = engine.next_at_end(analysis.surroundings(), capture) {
            findings += diagnosis.findings.len();
        }
        assert!(findings > 0, "every eighth call fails");
    });
    show(what, frames.len(), capture.len(), took);
}
