//! Every way in which bytes of strangers enter the library, each as a function of bytes, with what must hold of any.
//!
//! `fuzz/targets/door.rs` feeds them what libFuzzer invents, `tests/mutants.rs` feeds them mutants.
//! None of them may panic, whatever the bytes; most of them also compare what two ways of reading give.

mod frames;
mod messages;
mod pipeline;

use std::cell::RefCell;
use std::fs;
use std::path::{Path, PathBuf};

use sipwhy::analysis::{Analysis, Limits};
use sipwhy::call::Wanted;
use sipwhy::capture::{Files, Input, LinkType, Packet, Reading, Source, SourceId, Timestamp};
use sipwhy::catalogue::Catalogue;
use sipwhy::net::{Decoder, Delivery, HepHead, KeyLog};
use sipwhy::oddity::OddityLog;
use sipwhy::report::pages;
use sipwhy::sip::auth;
use sipwhy::sip::identity::Passport;
use sipwhy::sip::sdp::Sdp;
use sipwhy::sip::{
    CSeq, Cut, HeaderName, Message, Method, NameAddr, Parameters, Reason, StatusCode, Uri, Via, Warning, host_and_port,
    split_list,
};

pub use messages::{message, stream};

/// A door and its name.
pub type Door = (&'static str, fn(&[u8]));

/// Every door.
pub const DOORS: &[Door] = &[
    ("pcap", pcap),
    ("pcapng", pcapng),
    ("packed", packed),
    ("link", link),
    ("fragments", fragments),
    ("tcp", tcp),
    ("stream", stream),
    ("message", message),
    ("header", header),
    ("uri", uri),
    ("sdp", sdp),
    ("multipart", multipart),
    ("digest", digest),
    ("hep", hep),
    ("websocket", websocket),
    ("tls", tls),
    ("decryption", decryption),
    ("keylog", keylog),
    ("overlay", overlay),
    ("story", story),
    ("pipeline", pipeline),
];

/// Packets of one file that are looked at: invented files may claim millions of empty ones.
const MOST_PACKETS: usize = 20_000;
/// Bytes that a packed file may unpack to.
const UNPACKED: u64 = 4 << 20;

/// A pcap file.
pub fn pcap(bytes: &[u8]) {
    read_file(bytes);
}

/// A pcapng file.
pub fn pcapng(bytes: &[u8]) {
    read_file(bytes);
}

/// A file packed with gzip, zstd or lz4; any other is packed here, so that what is found inside is read too.
pub fn packed(bytes: &[u8]) {
    read_file(bytes);
}

/// Reads a file to its end; its packets must stand in order.
fn read_file(bytes: &[u8]) {
    with_file(bytes, |path| {
        let reading = Reading { unpacked_limit: UNPACKED, ..Reading::default() };
        let Ok(mut files) = Files::open(&[path.to_owned()], reading) else { return };
        let (mut number, mut given, mut read) = (0, 0, 0);
        while let Ok(Some(input)) = files.next() {
            let Input::Packet(packet) = input else { continue };
            assert!(packet.number > number, "packet {} follows {number}", packet.number);
            number = packet.number;
            (given, read) = (given + 1, read + packet.bytes.len());
            if given > MOST_PACKETS as u64 {
                return;
            }
        }
        let facts = files.inputs().pop().expect("what is known of the file");
        // Blocks that hold something else than a packet have a number too.
        assert_eq!(facts.packets, given);
        assert!(read as u64 <= UNPACKED.max(bytes.len() as u64), "{read} bytes came out of {}", bytes.len());
    });
}

/// Calls `use_it` with the path of a file that holds the bytes.
pub fn with_file(bytes: &[u8], use_it: impl FnOnce(&Path)) {
    thread_local! {
        static FILE: RefCell<Option<(tempfile::TempDir, PathBuf)>> = const { RefCell::new(None) };
    }
    FILE.with_borrow_mut(|file| {
        let (_, path) = file.get_or_insert_with(|| {
            // A folder in memory where there is one: the disk is not what is examined.
            let memory = Path::new("/dev/shm");
            let folder = if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() };
            let folder = folder.expect("a folder");
            let path = folder.path().join("capture");
            (folder, path)
        });
        fs::write(&*path, bytes).expect("a file");
        use_it(path);
    });
}

/// Feeds frames of a link type to a decoder; every delivery lies within what was fed.
fn decode(frames: &[Vec<u8>], link: LinkType) -> (Vec<Vec<u8>>, OddityLog) {
    let mut decoder = Decoder::default();
    let mut oddities = OddityLog::default();
    let mut payloads = Vec::new();
    let mut take = |delivery: Delivery<'_>| match delivery {
        Delivery::Datagram(datagram) => payloads.push(datagram.bytes.to_vec()),
        Delivery::Segment(segment) => payloads.push(segment.bytes.to_vec()),
        _ => {}
    };
    for (number, frame) in (1..).zip(frames) {
        decoder.feed(&packet(number, link, frame), &mut oddities, &mut take);
    }
    decoder.finish(&mut oddities, &mut take);
    (payloads, oddities)
}

fn packet(number: u64, link: LinkType, bytes: &[u8]) -> Packet<'_> {
    let time = Timestamp(1_700_000_000_000_000_000 + number as i64 * 1_000_000);
    Packet { time, source: SourceId::default(), number, link, bytes, original_len: bytes.len() as u32 }
}

/// A link type in two bytes, and frames of it, each behind its length in two bytes.
pub fn link(bytes: &[u8]) {
    let Some(([high, low], mut rest)) = bytes.split_first_chunk() else { return };
    let mut frames = Vec::new();
    while let Some(([high, low], behind)) = rest.split_first_chunk() {
        let length = usize::from(u16::from_be_bytes([*high, *low])).min(behind.len());
        let (frame, behind) = behind.split_at(length);
        frames.push(frame.to_vec());
        rest = behind;
    }
    let link = LinkType(u32::from(u16::from_be_bytes([*high, *low])));
    decode(&frames, link);
    // The same through the whole staircase.
    let mut analysis = Analysis::new(Limits::default(), Wanted::EveryCall);
    for (number, frame) in (1..).zip(&frames) {
        analysis.feed(&packet(number, link, frame));
    }
    analysis.finish();
    while analysis.next_event().is_some() {}
}

/// Fragments: for each its offset, its flags and length, and bytes.
pub fn fragments(bytes: &[u8]) {
    let frames = frames::fragments(bytes);
    decode(&frames, frames::RAW);
}

/// Segments of a TCP connection: for each its place in the stream, its length, its direction and flags.
pub fn tcp(bytes: &[u8]) {
    let frames = frames::segments(bytes);
    decode(&frames, frames::RAW);
    let mut analysis = Analysis::default();
    for (number, frame) in (1..).zip(&frames) {
        analysis.feed(&packet(number, frames::RAW, frame));
    }
    analysis.finish();
    while analysis.next_event().is_some() {}
}

/// HEP in a datagram, in a stream, and as a server takes it: what is SIP to its first look is SIP to the decoder.
pub fn hep(bytes: &[u8]) {
    decode(&[frames::udp(9060, bytes)], frames::RAW);
    decode(&frames::stream(9060, bytes), frames::RAW);
    let is_sip = HepHead::read(bytes).is_some_and(|head| head.is_sip);
    let (payloads, _) = decode(&[bytes.to_vec()], LinkType::HEP);
    assert_eq!(payloads.len(), usize::from(is_sip));
    assert!(HepHead::length_in_stream(bytes).is_none_or(|length| length >= 6), "a stream that never ends");
}

/// What follows the upgrade to WebSocket, and the same where the upgrade was not captured.
pub fn websocket(bytes: &[u8]) {
    const UPGRADE: &[u8] = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
        Sec-WebSocket-Protocol: sip\r\nSec-WebSocket-Extensions: permessage-deflate\r\n\r\n";
    decode(&frames::stream(80, &[UPGRADE, bytes].concat()), frames::RAW);
    decode(&frames::stream(80, bytes), frames::RAW);
}

/// TLS records.
pub fn tls(bytes: &[u8]) {
    decode(&frames::stream(5061, bytes), frames::RAW);
}

/// Both directions of a TLS connection whose secret is known: for each piece its direction, its length, its bytes.
pub fn decryption(bytes: &[u8]) {
    let mut analysis = Analysis::default();
    let secret = format!("CLIENT_RANDOM {} {}\n", "00".repeat(32), "00".repeat(48));
    assert!(analysis.keys().read(secret.as_bytes()).is_empty());
    for (number, frame) in (1..).zip(&frames::talk(5061, bytes)) {
        analysis.feed(&packet(number, frames::RAW, frame));
    }
    analysis.finish();
    while analysis.next_event().is_some() {}
}

/// A file of TLS secrets.
pub fn keylog(bytes: &[u8]) {
    let mut keys = KeyLog::default();
    let bad = keys.read(bytes);
    assert!(bad.len() <= bytes.split(|byte| *byte == b'\n').count());
    assert!(bad.is_sorted_by_key(|line| line.line));
}

/// A value of any header: the first byte says of which.
pub fn header(bytes: &[u8]) {
    let Some((kind, value)) = bytes.split_first() else { return };
    let text = String::from_utf8_lossy(value);
    NameAddr::read(&text).parsed();
    let via = Via::read(&text);
    assert!(text.is_empty() || via.branch().len() <= text.len());
    if let Some(cseq) = CSeq::read(value) {
        let again = format!("{} {}", cseq.number, cseq.method);
        assert_eq!(CSeq::read(again.as_bytes()), Some(cseq), "{again}");
    }
    let reason = Reason::read(&text);
    let _ = (reason.q850(), reason.sip());
    Warning::read(&text);
    StatusCode::read(value);
    assert_eq!(Method::read(Method::read(value).name().as_bytes()), Method::read(value));
    let pieces: usize = split_list(&text).map(str::len).sum();
    assert!(pieces <= text.len());
    let (host, _) = host_and_port(&text);
    assert!(text.contains(host));
    Passport::read(&text);
    let name = frames::HEADERS[usize::from(*kind) % frames::HEADERS.len()];
    assert_eq!(HeaderName::read(name.as_bytes()).long().to_ascii_lowercase(), name.to_ascii_lowercase());
    let line = [b"INVITE sip:b@example.com SIP/2.0\r\n", name.as_bytes(), b": ", value, b"\r\n\r\n"].concat();
    message(&line);
}

/// A URI.
pub fn uri(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let uri = Uri::read(&text);
    assert!(uri.is_same_target(&uri));
    assert!(uri.bare_user().len() <= text.len());
    uri.is_number();
    let parameters: &Parameters = &uri.parameters;
    assert!(parameters.iter().all(|(name, _)| parameters.has(name)));
}

/// A session description.
pub fn sdp(bytes: &[u8]) {
    let Some(sdp) = Sdp::read(bytes) else { return };
    sdp.origin_key();
    for media in &sdp.media {
        let _ =
            (sdp.address_of(media), sdp.direction_of(media), media.codecs(), media.main_codecs(), media.is_secure());
        assert!(media.attribute("rtpmap").count() <= bytes.len());
    }
}

/// The body of a message in several parts.
pub fn multipart(bytes: &[u8]) {
    let head = "INVITE sip:b@example.com SIP/2.0\r\nCall-ID: m\r\nCSeq: 1 INVITE\r\n\
        Content-Type: multipart/mixed;boundary=b\r\nContent-Length: ";
    let bytes = [head.as_bytes(), bytes.len().to_string().as_bytes(), b"\r\n\r\n", bytes].concat();
    let message = Message::read(&bytes, Cut::Whole).expect("a message");
    Sdp::of(&message);
}

/// A challenge and credentials.
pub fn digest(bytes: &[u8]) {
    let value: Vec<u8> = bytes.iter().map(|byte| if matches!(byte, b'\r' | b'\n') { b' ' } else { *byte }).collect();
    for (start, names) in [
        ("SIP/2.0 401 Unauthorized", ["WWW-Authenticate", "Proxy-Authenticate"]),
        ("REGISTER sip:example.com SIP/2.0", ["Authorization", "Proxy-Authorization"]),
    ] {
        for name in names {
            let bytes = [start.as_bytes(), b"\r\n", name.as_bytes(), b": ", &value, b"\r\n\r\n"].concat();
            let message = Message::read(&bytes, Cut::Whole).expect("a message");
            let nonces = auth::challenges(&message).iter().map(|challenge| challenge.nonce.clone());
            let nonces: Vec<String> =
                nonces.chain(auth::credentials(&message).iter().map(|it| it.nonce.clone())).collect();
            assert!(!nonces.is_empty());
            for nonce in &nonces {
                for parameter in ["realm", "uri", "nc"] {
                    auth::as_sent(&message, name, nonce, parameter);
                }
                assert!(nonce.is_empty() || auth::as_sent(&message, name, nonce, "nonce").is_some());
            }
        }
    }
}

/// A user's own file of the catalogue.
pub fn overlay(bytes: &[u8]) {
    with_file(bytes, |path| match Catalogue::new().with_overlay(path) {
        Ok(catalogue) => {
            for code in catalogue.codes() {
                assert!(catalogue.entry(code).is_some());
            }
            for word in ["503", "486", "699"] {
                if let Some(subject) = catalogue.subject(word) {
                    pages::text(&subject.page(&catalogue), 80);
                }
            }
        }
        Err(error) => assert!(!error.to_string().is_empty()),
    });
}

/// A story: no stranger writes one, but a developer does.
pub fn story(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    if let Ok(story) = sipwhy::story::Story::parse(text) {
        assert!(!story.capture().is_empty());
    }
}

/// A file, from its bytes to the reports in text and JSON.
pub fn pipeline(bytes: &[u8]) {
    with_file(bytes, pipeline::whole);
}
