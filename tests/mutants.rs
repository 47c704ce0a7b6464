//! Hostile bytes through every door of the library, without a panic.
//!
//! - What was kept of fuzzing, once, at every test: what was found once is never found again.
//! - Each field of a request and a response with each anomaly, in the manner of the PROTOS suite for INVITE: each case is
//!   followed by a call that fails, which must be reported all the same.
//! - Ten million mutants of captures, messages and what was kept of fuzzing (`MUTANTS=1000` for fewer):
//!   `cargo test --release --test mutants -- --ignored --nocapture`

#[path = "../fuzz/src/doors/mod.rs"]
#[allow(dead_code, reason = "the fuzzer uses the rest")]
mod doors;
#[path = "mutants/fields.rs"]
mod fields;

use std::fs;
use std::net::SocketAddr;
use std::panic;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use doors::{DOORS, Door};
use fields::{ANOMALIES, Template};
use sipwhy::analysis::{Analysis, Event};
use sipwhy::capture::{Place, SourceId, Timestamp};
use sipwhy::net;

/// Cases of the PROTOS suite for INVITE, which ours must not fall short of.
const CASES_OF_PROTOS: usize = 4527;

fn door(name: &str) -> Door {
    *DOORS.iter().find(|(known, _)| *known == name).expect("a door")
}

/// Every file beneath a folder of the package, in order.
fn files(folder: &str) -> Vec<PathBuf> {
    fn walk(folder: &Path, found: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() { walk(&path, found) } else { found.push(path) }
        }
    }
    let mut found = Vec::new();
    walk(&Path::new(env!("CARGO_MANIFEST_DIR")).join(folder), &mut found);
    found.sort();
    found
}

/// Pieces to begin with, each with the door that it is for.
fn corpus() -> Vec<(Door, Vec<u8>)> {
    let mut corpus = Vec::new();
    for path in files("fuzz/corpus").into_iter().chain(files("fuzz/regressions")) {
        let folder = path.parent().and_then(Path::file_name).unwrap_or_default().to_string_lossy().into_owned();
        corpus.push((door(&folder), fs::read(&path).expect("a piece")));
    }
    corpus
}

#[test]
fn what_fuzzing_kept_goes_through_its_door() {
    let corpus = corpus();
    for (name, _) in DOORS {
        assert!(corpus.iter().any(|((of, _), _)| of == name), "there is nothing in fuzz/corpus/{name}");
    }
    for ((name, door), bytes) in corpus {
        let ended = panic::catch_unwind(|| door(&bytes));
        assert!(ended.is_ok(), "{name}: {}", bytes.escape_ascii());
    }
}

/// Feeds one hostile message, and behind it a call that is refused; gives the code that the call got.
fn final_code_behind(hostile: &[u8]) -> Option<u16> {
    let [alice, bob] = [10, 20].map(|last| SocketAddr::from(([192, 0, 2, last], 5060)));
    let path = net::Path { source: alice, destination: bob, transport: net::Transport::Udp };
    let canary = |start: &str| {
        format!(
            "{start}\r\nVia: SIP/2.0/UDP 192.0.2.10;branch=z9hG4bKcanary\r\nFrom: <sip:a@example.com>;tag=c\r\n\
             To: <sip:b@example.com>\r\nCall-ID: canary\r\nCSeq: 1 INVITE\r\nContent-Length: 0\r\n\r\n"
        )
    };
    let mut analysis = Analysis::default();
    let messages = [
        (hostile, path),
        (canary("INVITE sip:b@example.com SIP/2.0").as_bytes(), path),
        (canary("SIP/2.0 486 Busy Here").as_bytes(), path.reversed()),
    ]
    .map(|(bytes, path)| (bytes.to_vec(), path));
    for (frame, (bytes, path)) in (1..).zip(&messages) {
        let place = Place { time: Timestamp(frame as i64 * 1_000_000), source: SourceId::default(), frame, index: 0 };
        analysis.message(bytes, *path, place);
    }
    analysis.finish();
    let mut code = None;
    while let Some(event) = analysis.next_event() {
        if let Event::Call(call) = event
            && let Some(status) =
                call.messages.iter().filter(|it| it.message.call_id() == b"canary").find_map(|it| it.message.status())
        {
            code = Some(status.get());
        }
    }
    code
}

#[test]
fn each_field_with_each_anomaly() {
    let mut cases = 0;
    for template in [Template::request(), Template::response()] {
        for field in 0..template.fields() {
            for (name, anomaly) in ANOMALIES.iter() {
                let bytes = template.with(field, &anomaly());
                let ended = panic::catch_unwind(|| {
                    doors::message(&bytes);
                    doors::stream(&[&[97], &bytes[..]].concat());
                    final_code_behind(&bytes)
                });
                let field = template.name(field);
                assert_eq!(ended.ok(), Some(Some(486)), "{field} with {name}: {}", bytes.escape_ascii());
                cases += 1;
            }
        }
    }
    println!("{cases} cases");
    assert!(cases >= CASES_OF_PROTOS, "only {cases} cases");
}

/// Numbers that depend on nothing but where they begin (xorshift64*).
struct Dice(u64);

impl Dice {
    fn of(number: u64) -> Dice {
        Dice((number + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    fn below(&mut self, bound: usize) -> usize {
        (self.next() >> 11) as usize % bound.max(1)
    }
}

/// What parsers trip over.
const TOKENS: &[&[u8]] = &[
    b"\r\n",
    b"\r\n\r\n",
    b"\n",
    b"\r",
    b":",
    b";",
    b",",
    b"<",
    b">",
    b"\"",
    b"\\",
    b"=",
    b"sip:",
    b"SIP/2.0",
    b"\0",
    b"\xff",
    b"\xc3\xa9",
    b" ",
    b"\t",
    b"%",
    b"[",
    b"]",
    b"@",
    b"-1",
    b"0",
    b"4294967296",
    b"99999999999999999999",
    b"\x1b[2J",
    b"Content-Length: ",
    b"Via: ",
    b"boundary=",
    b"\xe2\x80\xae",
    b"--",
    b"HEP3",
    b"\r\n ",
    b"m=",
    b"a=",
];
const WORDS: [[u8; 4]; 6] =
    [[0xff; 4], [0; 4], [0x7f, 0xff, 0xff, 0xff], [0xff, 0xff, 0xff, 0x7f], [0, 0, 0, 0x80], [0x80, 0, 0, 0]];

fn mutate(bytes: &mut Vec<u8>, other: &[u8], dice: &mut Dice) {
    for _ in 0..=dice.below(8) {
        let length = bytes.len();
        let at = dice.below(length + 1).min(length);
        let end = (at + 1 + dice.below(40)).min(length);
        match dice.below(9) {
            0 if at < length => bytes[at] = dice.next() as u8,
            1 if at < length => bytes[at] ^= 1 << dice.below(8),
            2 => drop(bytes.drain(at..end)),
            3 => drop(bytes.splice(at..at, TOKENS[dice.below(TOKENS.len())].iter().copied())),
            4 => {
                let piece = bytes[at..end].to_vec();
                let to = dice.below(length + 1);
                bytes.splice(to..to, piece);
            }
            5 if dice.below(4) == 0 => bytes.truncate(at),
            6 => {
                let word = WORDS[dice.below(WORDS.len())];
                bytes.splice(at..(at + 4).min(length), word);
            }
            7 => {
                let byte = dice.next() as u8;
                bytes.splice(at..at, std::iter::repeat_n(byte, dice.below(300)));
            }
            _ => {
                let from = dice.below(other.len());
                let to = (from + dice.below(200)).min(other.len());
                bytes.splice(at..at, other[from..to].iter().copied());
            }
        }
    }
}

/// Pieces to mutate, each with its doors.
fn seeds() -> Vec<(Door, Vec<u8>)> {
    let mut seeds = corpus();
    for path in files("tests/messages").into_iter().filter(|path| path.extension().is_some_and(|it| it == "sip")) {
        let bytes = fs::read(&path).expect("a message");
        for name in ["message", "stream", "header", "sdp", "multipart", "digest", "uri", "hep", "websocket"] {
            seeds.push((door(name), bytes.clone()));
        }
    }
    for path in files("fixtures").into_iter().filter(|path| path.file_stem().is_some_and(|it| it == "capture")) {
        let bytes = fs::read(&path).expect("a capture");
        if bytes.len() < 32 << 10 {
            seeds.push((door("pipeline"), bytes.clone()));
            seeds.push((door("pcap"), bytes));
        }
    }
    seeds
}

#[test]
#[ignore = "ten million mutants take many minutes"]
fn millions_of_mutants() {
    let wanted: u64 = std::env::var("MUTANTS").map_or(10_000_000, |count| count.parse().expect("a number"));
    let seeds = seeds();
    let (next, failed) = (AtomicU64::new(0), AtomicU64::new(0));
    let begun = Instant::now();
    let work = || {
        while failed.load(Ordering::Relaxed) < 10 {
            let number = next.fetch_add(1, Ordering::Relaxed);
            if number >= wanted {
                return;
            }
            let mut dice = Dice::of(number);
            // A whole run costs a hundred times what a message costs, so it has its turn more seldom.
            let pick = |dice: &mut Dice| loop {
                let seed = &seeds[dice.below(seeds.len())];
                if seed.0.0 != "pipeline" || dice.below(8) == 0 {
                    return seed;
                }
            };
            let ((name, door), bytes) = pick(&mut dice);
            let (_, other) = pick(&mut dice);
            let mut bytes = bytes.clone();
            mutate(&mut bytes, other, &mut dice);
            if panic::catch_unwind(|| door(&bytes)).is_err() {
                failed.fetch_add(1, Ordering::Relaxed);
                println!("mutant {number}, door {name}: {}", bytes.escape_ascii());
            }
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(work);
        }
    });
    let (failed, seconds) = (failed.into_inner(), begun.elapsed().as_secs());
    println!("{wanted} mutants of {} pieces in {seconds} s, {failed} failed", seeds.len());
    assert_eq!(failed, 0);
}
