//! SIP inside TLS: what is read with the secrets, and what is said without them.
//!
//! The captures were made by `scripts/tls-captures` with OpenSSL, and each Call-ID names what it was carried in.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use assert_cmd::Command;
use proptest::prelude::*;
use serde_json::Value;
use sipwhy::capture::{LinkType, Packet, SourceId, Timestamp};
use sipwhy::net::Decoder;
use sipwhy::oddity::OddityLog;

fn kept(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/tls").join(name)
}

/// What the program prints and complains about.
struct Ran {
    out: String,
    err: String,
    status: i32,
}

fn run(capture: &Path, args: &[&str]) -> Ran {
    let mut command = Command::cargo_bin("sipwhy").unwrap();
    let output = command.arg(capture).args(args).env("TZ", "UTC").output().unwrap();
    Ran {
        out: String::from_utf8(output.stdout).unwrap(),
        err: String::from_utf8(output.stderr).unwrap(),
        status: output.status.code().unwrap(),
    }
}

fn with_keys(capture: &str, keys: &str, args: &[&str]) -> Ran {
    let keys = kept(keys);
    run(&kept(capture), &[&["--keylog", keys.to_str().unwrap()], args].concat())
}

/// How many messages were read of each Call-ID, and over what.
fn messages(ran: &Ran) -> BTreeMap<String, (u64, String)> {
    let mut messages = BTreeMap::new();
    for line in ran.out.lines() {
        let event: Value = serde_json::from_str(line).unwrap();
        if event["type"] == "message" {
            let transport = event["transport"].as_str().unwrap().to_owned();
            messages.entry(event["call_id"].as_str().unwrap().to_owned()).or_insert((0, transport)).0 += 1;
        }
    }
    messages
}

fn counts(ran: &Ran) -> Vec<(String, u64)> {
    messages(ran).into_iter().map(|(call_id, (count, _))| (call_id, count)).collect()
}

#[test]
fn every_cipher_up_to_tls_1_2_is_opened() {
    let ran = with_keys("ciphers.pcap", "ciphers.keys.txt", &["--format", "ndjson"]);
    let messages = messages(&ran);
    for (tls, suite) in [
        ("tls12", "ecdhe-rsa-aes128-gcm-sha256"),
        ("tls12", "ecdhe-rsa-aes256-gcm-sha384"),
        ("tls12", "aes128-gcm-sha256"),
        ("tls12", "ecdhe-ecdsa-chacha20-poly1305"),
        ("tls12", "ecdhe-ecdsa-aes128-ccm"),
        ("tls12", "ecdhe-ecdsa-aes256-ccm8"),
        ("tls12", "ecdhe-ecdsa-aes128-sha"),
        ("tls12", "ecdhe-ecdsa-aes256-sha"),
        ("tls12", "ecdhe-ecdsa-aes256-sha-mac-then-encrypt"),
        ("tls12", "ecdhe-ecdsa-aes128-sha-mac-then-encrypt"),
        ("tls12", "ecdhe-ecdsa-aes128-sha256"),
        ("tls12", "ecdhe-ecdsa-aes128-sha256-mac-then-encrypt"),
        ("tls12", "ecdhe-ecdsa-aes256-sha384"),
        ("tls12", "ecdhe-ecdsa-aes256-sha384-mac-then-encrypt"),
        ("tls12", "aes256-sha256"),
        ("tls12", "ecdhe-ecdsa-null-sha"),
        ("tls11", "ecdhe-ecdsa-aes128-sha"),
        ("tls11", "ecdhe-ecdsa-aes256-sha-mac-then-encrypt"),
        ("tls10", "ecdhe-ecdsa-aes256-sha"),
        ("tls10", "ecdhe-ecdsa-aes128-sha-mac-then-encrypt"),
    ] {
        let call_id = format!("{tls}-{suite}");
        assert_eq!(messages.get(&call_id), Some(&(4, "TLS".to_owned())), "{call_id}");
    }
    let report = with_keys("ciphers.pcap", "ciphers.keys.txt", &[]).out.replace("\n      ", " ");
    assert!(report.contains("its cipher suite 0xc072 is not supported"), "{report}");
    assert!(report.contains("its cipher suite 0xc05c is not supported"), "{report}");
}

#[test]
fn tls_1_3_is_opened_with_key_updates_and_retries() {
    let ran = with_keys("tls13.pcap", "tls13.keys.txt", &["--format", "ndjson"]);
    let wanted = [
        ("tls12-renegotiation", 4),
        ("tls13-hello-retry", 4),
        ("tls13-key-update", 6),
        ("tls13-tls_aes_128_ccm_8_sha256", 4),
        ("tls13-tls_aes_128_ccm_sha256", 4),
        ("tls13-tls_aes_128_gcm_sha256", 4),
        ("tls13-tls_aes_256_gcm_sha384", 4),
        ("tls13-tls_chacha20_poly1305_sha256", 4),
    ];
    assert_eq!(counts(&ran), wanted.map(|(call_id, count)| (call_id.to_owned(), count)));
}

/// What the client sends before the handshake (RFC 8446 §2.3), whether the server takes it or waits for it to come
/// again.
#[test]
fn what_is_sent_before_the_handshake_is_opened() {
    let ran = with_keys("early.pcap", "early.keys.txt", &["--format", "ndjson"]);
    let found = messages(&ran);
    for name in ["aes-128-gcm", "aes-256-gcm", "chacha20"] {
        assert_eq!(found.get(&format!("tls13-before-{name}")), Some(&(2, "TLS".to_owned())), "{name}");
        assert_eq!(found.get(&format!("tls13-early-{name}")), Some(&(4, "TLS".to_owned())), "{name}");
    }
    assert_eq!(found.get("tls13-early-refused"), Some(&(5, "TLS".to_owned())), "the request was on the wire twice");
}

/// Not every program writes the secret of early data: what comes after it is read all the same.
#[test]
fn without_the_early_secret_the_rest_is_opened() {
    let folder = tempfile::tempdir().unwrap();
    let keys = folder.path().join("keys.txt");
    let logged = std::fs::read_to_string(kept("early.keys.txt")).unwrap();
    let fewer: Vec<&str> = logged.lines().filter(|line| !line.starts_with("CLIENT_EARLY_TRAFFIC_SECRET")).collect();
    assert_eq!(logged.lines().count() - fewer.len(), 4, "a secret for each connection with early data");
    std::fs::write(&keys, fewer.join("\n")).unwrap();
    let ran = run(&kept("early.pcap"), &["--keylog", keys.to_str().unwrap(), "--format", "ndjson"]);
    let found = messages(&ran);
    for (name, count) in [("aes-128-gcm", 3), ("aes-256-gcm", 3), ("chacha20", 3), ("refused", 4)] {
        assert_eq!(found.get(&format!("tls13-early-{name}")).map(|(count, _)| *count), Some(count), "{name}");
    }
}

/// What an agent sends to its HEP server in TLS: the addresses and times that count are those that it tells.
#[test]
fn hep_within_tls_is_read_with_its_own_addresses_and_times() {
    let ran = with_keys("hep.pcap", "hep.keys.txt", &["--format", "ndjson"]);
    let events: Vec<Value> = ran.out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let events: Vec<&Value> = events.iter().filter(|event| event["type"] == "message").collect();
    let requests = |event: &&&Value| event["method"].is_string();
    assert_eq!((events.len(), events.iter().filter(requests).count()), (8, 4));
    for event in events {
        assert!(["hep-in-tls12", "hep-in-tls13"].contains(&event["call_id"].as_str().unwrap()), "{event}");
        assert_eq!(event["transport"], "UDP", "{event}");
        assert_eq!(event["time"], "2026-03-02T09:59:00.250000Z", "{event}");
        let (alice, bob) = ("198.51.100.10:5060", "198.51.100.20:5060");
        let (from, to) = if event["method"].is_string() { (alice, bob) } else { (bob, alice) };
        assert!(event["from_addr"] == from && event["to_addr"] == to, "{event}");
    }
    let without = run(&kept("hep.pcap"), &["--format", "ndjson"]);
    assert!(messages(&without).is_empty());
}

/// The key log lacks the secrets of the connections that resume others of TLS 1.2.
#[test]
fn resumed_connections_are_opened() {
    let ran = with_keys("resumed.pcap", "resumed.keys.txt", &["--format", "ndjson"]);
    let wanted = ["tls12-session-id", "tls12-ticket", "tls13-psk"];
    let wanted: Vec<(String, u64)> =
        wanted.iter().flat_map(|name| [(format!("{name}-again"), 2), (format!("{name}-first"), 2)]).collect();
    assert_eq!(counts(&ran), wanted);
}

#[test]
fn without_secrets_the_connections_are_named() {
    let ran = run(&kept("resumed.pcap"), &[]);
    assert_eq!(ran.status, 0);
    let text = ran.out.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(text.contains("No SIP found"), "{text}");
    assert!(text.contains("6 TLS connections, with"), "{text}");
    assert!(text.contains("to sip.example.com (192.0.2.20:5061), TLS 1.2"), "{text}");
    assert!(text.contains("no secret for its client random is known"), "{text}");
}

/// A pcapng with this key log before or behind its packets.
fn pcapng(capture: &str, keys: &str, behind: bool) -> Vec<u8> {
    let pcap = std::fs::read(kept(capture)).unwrap();
    let keys = std::fs::read(kept(keys)).unwrap();
    let block = |kind: u32, body: &[u8]| {
        let body = [body, &vec![0; (4 - body.len() % 4) % 4]].concat();
        let length = (body.len() as u32 + 12).to_le_bytes();
        [&kind.to_le_bytes()[..], &length, &body, &length].concat()
    };
    let secrets = block(10, &[&0x544c_534b_u32.to_le_bytes()[..], &(keys.len() as u32).to_le_bytes(), &keys].concat());
    let mut packets = Vec::new();
    let mut at = 24;
    while at < pcap.len() {
        let number = |at: usize| u32::from_le_bytes(*pcap[at..].first_chunk().unwrap());
        let micros = u64::from(number(at)) * 1_000_000 + u64::from(number(at + 4));
        let length = number(at + 8);
        let time = [((micros >> 32) as u32).to_le_bytes(), (micros as u32).to_le_bytes()].concat();
        let lengths = [length.to_le_bytes(), length.to_le_bytes()].concat();
        let bytes = &pcap[at + 16..at + 16 + length as usize];
        packets.extend(block(6, &[&[0; 4][..], &time, &lengths, bytes].concat()));
        at += 16 + length as usize;
    }
    let head = [&0x1a2b_3c4d_u32.to_le_bytes()[..], &[1, 0, 0, 0], &[0xFF; 8]].concat();
    let (before, after) = if behind { (Vec::new(), secrets) } else { (secrets, Vec::new()) };
    [block(0x0a0d_0d0a, &head), block(1, &[1, 0, 0, 0, 0, 0, 0, 0]), before, packets, after].concat()
}

#[test]
fn secrets_in_the_capture_are_used_wherever_they_stand() {
    let folder = tempfile::tempdir().unwrap();
    let plain = with_keys("tls13.pcap", "tls13.keys.txt", &["--all"]).out;
    for behind in [false, true] {
        let path = folder.path().join("capture.pcapng");
        std::fs::write(&path, pcapng("tls13.pcap", "tls13.keys.txt", behind)).unwrap();
        let ran = run(&path, &["--all"]);
        let without_heading = |text: &str| text.lines().skip(1).collect::<Vec<_>>().join("\n");
        assert_eq!(without_heading(&ran.out), without_heading(&plain), "behind: {behind}");
    }
}

#[test]
fn lines_that_cannot_be_used_are_named_and_secrets_never() {
    let folder = tempfile::tempdir().unwrap();
    let keys = folder.path().join("keys.txt");
    let secret = "5ec2e7".repeat(16);
    std::fs::write(&keys, format!("# a comment\nCLIENT_RANDOM {secret} {secret}\nwhat is this\n")).unwrap();
    let ran = run(&kept("tls13.pcap"), &["--keylog", keys.to_str().unwrap()]);
    assert_eq!(ran.status, 0);
    assert!(
        ran.err.contains("keys.txt: line 2 was not used") && ran.err.contains("line 3 was not used"),
        "{}",
        ran.err
    );
    assert!(!ran.err.contains(&secret[..12]) && !ran.out.contains(&secret[..12]));
    let ran = run(&kept("tls13.pcap"), &["--keylog", folder.path().join("none").to_str().unwrap()]);
    assert_eq!((ran.status, ran.err.lines().count()), (3, 1), "{}", ran.err);
    assert!(ran.err.contains("cannot read") && ran.err.contains("none"), "{}", ran.err);
    let logged = std::fs::read_to_string(kept("tls13.keys.txt")).unwrap();
    for format in ["text", "json", "ndjson"] {
        let ran = with_keys("tls13.pcap", "tls13.keys.txt", &["--all", "--format", format]);
        for secret in logged.lines().filter(|line| !line.starts_with('#')).filter_map(|line| line.split(' ').nth(2)) {
            assert!(!ran.out.contains(&secret[..16]) && !ran.err.contains(&secret[..16]));
        }
    }
}

/// The same connections cut into segments of this many bytes.
fn cut(capture: &str, size: usize) -> Vec<u8> {
    let pcap = std::fs::read(kept(capture)).unwrap();
    let (mut out, mut at) = (pcap[..24].to_vec(), 24);
    while at < pcap.len() {
        let length = u32::from_le_bytes(*pcap[at + 8..].first_chunk().unwrap()) as usize;
        let (times, frame) = (&pcap[at..at + 8], &pcap[at + 16..at + 16 + length]);
        let (head, payload) = frame.split_at(54);
        let sequence = u32::from_be_bytes(*head[38..].first_chunk().unwrap());
        let parts: Vec<&[u8]> = if payload.is_empty() { vec![payload] } else { payload.chunks(size).collect() };
        for (part, number) in parts.into_iter().zip(0_u32..) {
            let mut frame = [head, part].concat();
            frame[16..18].copy_from_slice(&(40 + part.len() as u16).to_be_bytes());
            frame[38..42].copy_from_slice(&(sequence + number * size as u32).to_be_bytes());
            let length = (frame.len() as u32).to_le_bytes();
            out.extend([times, &length, &length, &frame].concat());
        }
        at += 16 + length;
    }
    out
}

#[test]
fn any_cutting_into_segments_gives_the_same_messages() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("capture.pcap");
    let keys = kept("resumed.keys.txt");
    let args = ["--keylog", keys.to_str().unwrap(), "--format", "ndjson"];
    let wanted = counts(&run(&kept("resumed.pcap"), &args));
    for size in [1, 2, 3, 4, 5, 7, 100] {
        std::fs::write(&path, cut("resumed.pcap", size)).unwrap();
        assert_eq!(counts(&run(&path, &args)), wanted, "segments of {size} bytes");
    }
}

/// Without these frames, each of which carries a message of the first connection, the rest of it is still read.
#[test]
fn behind_a_gap_records_are_found_again() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("capture.pcap");
    let keys = kept("tls13.keys.txt");
    let pcap = std::fs::read(kept("tls13.pcap")).unwrap();
    let (mut out, mut at, mut left_out) = (pcap[..24].to_vec(), 24, false);
    while at < pcap.len() {
        let length = u32::from_le_bytes(*pcap[at + 8..].first_chunk().unwrap()) as usize;
        let frame = &pcap[at + 16..at + 16 + length];
        // The first record that the client sends behind its handshake.
        let is_first_message =
            frame[34..36] == 40_001_u16.to_be_bytes() && frame.len() > 300 && frame.get(54) == Some(&23);
        if left_out || !is_first_message {
            out.extend_from_slice(&pcap[at..at + 16 + length]);
        }
        left_out |= is_first_message;
        at += 16 + length;
    }
    assert!(left_out);
    std::fs::write(&path, out).unwrap();
    let ran = run(&path, &["--keylog", keys.to_str().unwrap(), "--format", "ndjson"]);
    assert_eq!(messages(&ran).get("tls13-tls_aes_128_gcm_sha256").map(|(count, _)| *count), Some(3));
    let text = run(&path, &["--keylog", keys.to_str().unwrap()]).out;
    assert!(text.contains("stream-gap") || text.contains("missing"), "{text}");
}

/// The frames of a capture.
fn frames(capture: &str) -> Vec<Vec<u8>> {
    let pcap = std::fs::read(kept(capture)).unwrap();
    let (mut frames, mut at) = (Vec::new(), 24);
    while at < pcap.len() {
        let length = u32::from_le_bytes(*pcap[at + 8..].first_chunk().unwrap()) as usize;
        frames.push(pcap[at + 16..at + 16 + length].to_vec());
        at += 16 + length;
    }
    frames
}

/// What the decoder hands on of these frames: how many deliveries.
fn decoded(frames: &[Vec<u8>], keys: &[u8]) -> usize {
    let (mut decoder, mut oddities, mut deliveries) = (Decoder::default(), OddityLog::default(), 0);
    decoder.keys().read(keys);
    for (bytes, number) in frames.iter().zip(1_u64..) {
        let packet = Packet {
            time: Timestamp(number as i64 * 1_000_000),
            source: SourceId(0),
            number,
            link: LinkType(1),
            bytes,
            original_len: bytes.len() as u32,
        };
        decoder.feed(&packet, &mut oddities, |_| deliveries += 1);
    }
    decoder.finish(&mut oddities, |_| deliveries += 1);
    deliveries
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]
    /// Handshakes, certificates and records with bytes changed, frames lost or swapped: nothing panics.
    #[test]
    fn damaged_connections_do_no_harm(
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<prop::sample::Index>(), any::<u8>()), 0..40),
        lost in prop::collection::vec(any::<prop::sample::Index>(), 0..4),
        swapped in prop::collection::vec(any::<prop::sample::Index>(), 0..6),
    ) {
        let mut frames = frames("resumed.pcap");
        let keys = std::fs::read(kept("resumed.keys.txt")).unwrap();
        for (frame, at, byte) in changes {
            let frame = frame.get(&frames).len().checked_sub(55).map(|room| (frame.index(frames.len()), room + 1));
            if let Some((frame, room)) = frame {
                frames[frame][54 + at.index(room)] = byte;
            }
        }
        for frame in swapped {
            let frame = frame.index(frames.len() - 1);
            frames.swap(frame, frame + 1);
        }
        for frame in lost {
            let frame = frame.index(frames.len());
            frames.remove(frame);
        }
        prop_assert!(decoded(&frames, &keys) > 0);
    }
}
