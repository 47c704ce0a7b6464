//! Tests of the framing: messages cut in every way, with holes before, between and within them.

use super::*;
use crate::sip::Message;

fn cut_up(pieces: &[&[u8]]) -> Vec<Vec<u8>> {
    let mut framer = Framer::default();
    let mut log = OddityLog::default();
    let mut messages = Vec::new();
    for piece in pieces {
        framer.push(piece, Place::default(), &mut log, &mut |framed| messages.push(framed.bytes.to_vec()));
    }
    messages
}

const OPTIONS: &[u8] = b"OPTIONS sip:a@example.com SIP/2.0\r\nContent-Length: 3\r\n\r\nabc";

#[test]
fn any_cutting_gives_the_same_messages() {
    let stream = [b"\r\n\r\n", OPTIONS, b"\r\n", OPTIONS].concat();
    for size in 1..stream.len() {
        let pieces: Vec<&[u8]> = stream.chunks(size).collect();
        assert_eq!(cut_up(&pieces), [OPTIONS, OPTIONS], "pieces of {size}");
    }
}

#[test]
fn what_stands_before_a_message_is_passed_over_and_a_quoted_line_is_no_message() {
    assert_eq!(start_of_message(&[b"junk\r\n", OPTIONS].concat()), Some(6));
    assert_eq!(start_of_message(b"junk\nOPTIONS sip:a@b SIP/2.0\nVia \t: x"), Some(5));
    for quoted in
        ["HTTP/1.1 200 OK\r\n\r\nINVITE sip:x SIP/2.0\r\n", "a\nSIP/2.0 200 OK\n\nbye: x", "a\nBYE sip:a@b SIP/2.0"]
    {
        assert_eq!(start_of_message(quoted.as_bytes()), None, "{quoted}");
    }
}

#[test]
fn no_message_begins_in_the_midst_of_a_line() {
    let stream = [b"sip:no method;x=1 SIP/2.0\r\nVia: x\r\n\r\n", OPTIONS].concat();
    for size in 1..stream.len() {
        let pieces: Vec<&[u8]> = stream.chunks(size).collect();
        assert_eq!(cut_up(&pieces), [OPTIONS], "pieces of {size}");
    }
}

#[test]
fn a_start_in_the_middle_is_passed_over() {
    let stream = [b"tail of a message\r\nv=0\r\n", OPTIONS].concat();
    assert_eq!(cut_up(&[&stream]), [OPTIONS]);
}

#[test]
fn what_a_via_says_is_no_status_line() {
    for via in ["SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bK1\r\nTo: a\r\n", "SIP/2.0/TC", "sip/2.0/tls x"] {
        assert!(!looks_like_sip(via.as_bytes()), "{via}");
        let mut framer = Framer::midstream(Limits::default());
        let (mut log, mut given) = (OddityLog::default(), 0);
        framer.push(via.as_bytes(), Place::default(), &mut log, &mut |_| given += 1);
        framer.finish(Place::default(), &mut |_| given += 1);
        assert_eq!(given, 0, "{via}");
    }
    for line in ["SIP/2.0 200 OK\r\n", "SIP/2.0", "SIP/2.", "SIP/2.0 4/5"] {
        assert!(looks_like_sip(line.as_bytes()), "{line}");
    }
}

#[test]
fn that_a_stream_ends_within_a_message_is_said_once() {
    let (mut framer, mut log, mut said) = (Framer::default(), OddityLog::default(), Vec::new());
    let mut give = |framed: Framed<'_>| {
        said.extend(Message::read(framed.bytes, framed.cut).unwrap().oddities().to_vec());
    };
    framer.push(&OPTIONS[..OPTIONS.len() - 2], Place::default(), &mut log, &mut give);
    framer.finish(Place::default(), &mut give);
    said.retain(|oddity| matches!(oddity, Oddity::MessageCut { .. }));
    assert_eq!((said, log.is_empty()), (vec![Oddity::MessageCut { bytes: 2 }], true));
}

#[test]
fn what_is_no_sip_is_none() {
    for bytes in
        [&b"\x80\x08abcdefgh"[..], b"GET / HTTP/1.1\r\n", b"", b"RTSP/1.0 200 OK\r\n", b"OPTIONS rtsp://a RTSP/1.0\r\n"]
    {
        assert!(!looks_like_sip(bytes), "{bytes:?}");
    }
    assert!(looks_like_sip(b"SIP/2.0 200 OK"));
    assert!(looks_like_sip(b"\r\nINVITE sip:a SIP/2.0\r\n"));
}

#[test]
fn a_content_length_may_be_folded_or_full_of_zeros() {
    for length in ["Content-Length:\r\n 3", "l: \r\n\t\r\n 3", "Content-Length: 0000000000000000000003"] {
        let message = format!("OPTIONS sip:a@b SIP/2.0\r\n{length}\r\n\r\nabc").into_bytes();
        let stream = [&message, OPTIONS].concat();
        for size in 1..stream.len() {
            let pieces: Vec<&[u8]> = stream.chunks(size).collect();
            assert_eq!(cut_up(&pieces), [&message, OPTIONS], "pieces of {size}");
        }
    }
    let none = b"OPTIONS sip:a@b SIP/2.0\r\nContent-Length:\r\nTo: x\r\n\r\n";
    assert_eq!(cut_up(&[&[none, OPTIONS].concat()]), [none, OPTIONS]);
}

#[test]
fn the_version_may_be_in_small_letters() {
    for start in ["OPTIONS sip:a@b sip/2.0", "sip/2.0 200 OK", "Sip/2.0 200 OK"] {
        let message = format!("{start}\r\nl: 0\r\n\r\n").into_bytes();
        assert!(looks_like_sip(&message), "{start}");
        assert_eq!(cut_up(&[&[&message, OPTIONS].concat()]), [&message, OPTIONS], "{start}");
    }
    assert!(!looks_like_sip(b"sip:a@b"));
}

/// What comes of `before`, a hole of so many bytes, and `behind`.
fn with_a_hole(before: &[u8], missing: u32, behind: &[u8]) -> Vec<Vec<u8>> {
    let (mut framer, mut log, mut messages) = (Framer::default(), OddityLog::default(), Vec::new());
    let mut give = |framed: Framed<'_>| messages.push(framed.bytes.to_vec());
    framer.push(before, Place::default(), &mut log, &mut give);
    framer.gap(missing, Place::default(), &mut give);
    for piece in behind.chunks(7) {
        framer.push(piece, Place::default(), &mut log, &mut give);
    }
    messages
}

#[test]
fn behind_a_hole_in_a_body_the_next_message_is_known_to_begin() {
    let head = b"NOTIFY sip:a@b SIP/2.0\r\nContent-Length: 30\r\n\r\n<x>";
    for left in [0, 5, 20] {
        let behind = [&b"INVITE sip:a@b SIP/2.0"[..left], OPTIONS].concat();
        assert_eq!(with_a_hole(head, 27 - left as u32, &behind), [&head[..], OPTIONS], "{left}");
    }
}

#[test]
fn the_end_of_a_request_line_behind_a_hole_is_none() {
    let head = b"OPTIONS sip:a@exam";
    let behind = [b"ple.com SIP/2.0\r\nVia: x\r\n\r\n", OPTIONS].concat();
    assert_eq!(with_a_hole(head, 2, &behind), [head, OPTIONS]);
}

#[test]
fn where_a_second_message_begins() {
    let two = [OPTIONS, b"\r\n", OPTIONS].concat();
    assert_eq!(next_message(&two), Some(OPTIONS.len()));
    let unsaid = b"BYE sip:a@b SIP/2.0\r\n\r\n".repeat(2);
    for bytes in [OPTIONS, &unsaid, b"", &[b"junk\r\n", OPTIONS].concat(), &[OPTIONS, b"junk"].concat()] {
        assert_eq!(next_message(bytes), None, "{bytes:?}");
    }
}

#[test]
fn a_message_behind_a_body_without_line_feed_is_found_however_it_is_cut() {
    let refused = b"SIP/2.0 486 Busy Here\r\nl: 0\r\n\r\n";
    for before in [
        &b"</presence>"[..],
        b"hello",
        b"\x05\x01\0",
        b"\x01\x10 \xFF INFO \x80",
        b"sub INVITE x",
        b"SUBSCRIB",
        b"xBYE y zBYE",
        b"<BYE sip:a SIP/2.0>",
    ] {
        for message in [OPTIONS, refused] {
            let stream = [before, message, OPTIONS].concat();
            for size in 1..stream.len() {
                let (mut framer, mut log, mut messages) =
                    (Framer::midstream(Limits::default()), OddityLog::default(), Vec::new());
                for piece in stream.chunks(size) {
                    framer.push(piece, Place::default(), &mut log, &mut |framed| messages.push(framed.bytes.to_vec()));
                }
                assert_eq!(messages, [message, OPTIONS], "behind {before:?} in pieces of {size}");
            }
        }
    }
}

#[test]
fn a_message_that_a_log_quotes_in_a_line_is_none() {
    for before in ["<134>proxy: ", "msg=\"", "received:", "[", "\x01 "] {
        let stream = [before.as_bytes(), b"INVITE sip:a@b SIP/2.0\r\nVia: x\r\n\r\n", OPTIONS].concat();
        for size in [1, 2, 5, 11, stream.len()] {
            let pieces: Vec<&[u8]> = stream.chunks(size).collect();
            assert_eq!(cut_up(&pieces), [OPTIONS], "behind {before:?} in pieces of {size}");
        }
    }
}

#[test]
fn what_begins_far_before_the_end_of_its_line_is_the_same_however_it_is_cut() {
    for (begin, end) in [("body}BYE sip:", " SIP/2.0\r\n\r\n"), ("body}SIP/2.0 200 ", "\r\n\r\n")] {
        for length in [4000, 4060, 4070, 4075, 4080, 4085, 4090, 4100, 9000] {
            let stream = ["junk:\n", begin, &"a".repeat(length), end].concat();
            let whole = cut_up(&[stream.as_bytes()]);
            assert!(length > 4000 || whole.len() == 1, "{begin} {length}");
            assert!(length < 4096 || whole.is_empty(), "{begin} {length}");
            for size in [1, 3, 242, 1000, 4095, 4096, 4097] {
                let pieces: Vec<&[u8]> = stream.as_bytes().chunks(size).collect();
                assert_eq!(cut_up(&pieces), whole, "{begin} {length}, pieces of {size}");
            }
        }
    }
}
