//! That a report does not depend on how headers are written (RFC 3261 §7.3.1): by their short names, in any case,
//! folded, with blanks at any place that allows them, and in another order.

mod analysed;
mod packets;

use std::hash::{DefaultHasher, Hash, Hasher};

use packets::{Capture, Packet, told};
use sipwhy::capture::LinkType;
use sipwhy::net::{Decoder, Delivery, Maker};
use sipwhy::oddity::OddityLog;
use sipwhy::sip::looks_like_sip;

const ETHERNET: LinkType = LinkType(1);

/// Long names and their short ones.
const SHORT: [(&str, &str); 13] = [
    ("call-id", "i"),
    ("contact", "m"),
    ("content-length", "l"),
    ("content-type", "c"),
    ("event", "o"),
    ("from", "f"),
    ("refer-to", "r"),
    ("referred-by", "b"),
    ("session-expires", "x"),
    ("subject", "s"),
    ("supported", "k"),
    ("to", "t"),
    ("via", "v"),
];

/// Choices that depend on a message alone: its copies are written alike.
struct Choices(u64);

impl Choices {
    fn of(message: &[u8]) -> Choices {
        let mut hasher = DefaultHasher::new();
        message.hash(&mut hasher);
        Choices(hasher.finish())
    }

    fn next(&mut self, below: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % below
    }

    fn one<'a>(&mut self, of: &[&'a str]) -> &'a str {
        of[self.next(of.len())]
    }
}

/// The same message in other letters. What cannot be taken apart so simply stays.
fn written_otherwise(message: &[u8]) -> Vec<u8> {
    let Some((head, body)) = std::str::from_utf8(message).ok().and_then(|text| text.split_once("\r\n\r\n")) else {
        return message.to_vec();
    };
    let mut lines = head.split("\r\n");
    let start = lines.next().unwrap_or_default();
    let headers: Vec<(&str, &str)> = lines.filter_map(|line| line.split_once(':')).collect();
    if headers.iter().any(|(name, _)| name.starts_with([' ', '\t'])) {
        return message.to_vec();
    }
    let choices = &mut Choices::of(message);
    let mut written: Vec<(String, String)> = headers.iter().map(|(name, value)| header(name, value, choices)).collect();
    shuffle(&mut written, choices);
    let headers: String = written.into_iter().map(|(_, line)| line + "\r\n").collect();
    format!("{start}\r\n{headers}\r\n{body}").into_bytes()
}

/// The long name in small letters, and the line.
fn header(name: &str, value: &str, choices: &mut Choices) -> (String, String) {
    let long = name.trim().to_ascii_lowercase();
    let long = SHORT.iter().find(|(_, short)| *short == long).map_or(long.clone(), |(long, _)| (*long).to_owned());
    let short = SHORT.iter().find(|(known, _)| *known == long).map_or(name, |(_, short)| short);
    let name = match choices.next(4) {
        0 => name.to_owned(),
        1 => long.clone(),
        2 => name.to_ascii_uppercase(),
        _ => short.to_owned(),
    };
    let colon = choices.one(&[":", ": ", " :", "\t: ", ":\r\n ", ": \r\n\t", ":  "]);
    let mut value = value.trim().to_owned();
    if matches!(long.as_str(), "via" | "from" | "to" | "contact") && !value.contains('"') && !value.contains("<sip:;") {
        value = with_blanks(&value, choices.one(&[";", "; ", " ;", " ; "]));
    }
    (long, format!("{name}{colon}{value}"))
}

/// Blanks beside the semicolons between parameters of a header; those of a URI in angle brackets stay.
fn with_blanks(value: &str, separator: &str) -> String {
    let mut inside = false;
    value.chars().fold(String::new(), |mut written, letter| {
        inside = (inside || letter == '<') && letter != '>';
        match letter {
            ';' if !inside => written.push_str(separator),
            _ => written.push(letter),
        }
        written
    })
}

/// Another order, in which lines of one name keep theirs.
fn shuffle(lines: &mut [(String, String)], choices: &mut Choices) {
    let before = lines.to_vec();
    let mut names: Vec<String> = before.iter().map(|(name, _)| name.clone()).collect();
    for last in (1..names.len()).rev() {
        names.swap(last, choices.next(last + 1));
    }
    let mut used = vec![false; before.len()];
    for (line, name) in lines.iter_mut().zip(names) {
        let next = (0..before.len()).find(|at| !used[*at] && before[*at].0 == name).expect("a line of that name");
        used[next] = true;
        *line = before[next].clone();
    }
}

/// The datagrams of a capture in frames made anew, with each SIP message as `write` has it.
fn made_anew(capture: &Capture, write: impl Fn(&[u8]) -> Vec<u8>) -> Vec<Packet> {
    let (mut decoder, mut oddities, mut maker) = (Decoder::default(), OddityLog::default(), Maker::default());
    let mut made = Vec::new();
    for (number, packet) in (1..).zip(&capture.packets) {
        decoder.feed(&packet.as_captured(number, capture.link), &mut oddities, |delivery| {
            if let Delivery::Datagram(datagram) = delivery
                && datagram.cut == 0
            {
                let is_sip = looks_like_sip(datagram.bytes);
                let bytes = if is_sip { write(datagram.bytes) } else { datagram.bytes.to_vec() };
                let frame = maker.frame(datagram.path, &bytes).expect("two addresses of one family");
                made.push(Packet { time: packet.time, original_len: frame.len() as u32, bytes: frame });
            }
        });
    }
    made
}

#[test]
fn however_headers_are_written_the_report_says_the_same() {
    let (mut calls, mut wrong) = (0, Vec::new());
    for capture in packets::captures() {
        let same = told(&packets::parsed(ETHERNET, &made_anew(&capture, <[u8]>::to_vec)));
        let otherwise = told(&packets::parsed(ETHERNET, &made_anew(&capture, written_otherwise)));
        calls += same.len();
        if same != otherwise {
            wrong.push(format!("{}:\n  {}\n  {}", capture.name, same.join("\n  "), otherwise.join("\n  ")));
        }
    }
    assert!(calls > 500, "{calls}");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn a_message_is_written_otherwise_and_its_copy_alike() {
    let message = b"OPTIONS sip:192.0.2.1 SIP/2.0\r\nVia: SIP/2.0/UDP a;branch=z9hG4bK1\r\nVia: SIP/2.0/UDP b\r\nFrom: <sip:a@b;x=1>;tag=1\r\n\
        To: <sip:c@d>\r\nCall-ID: 1\r\nCSeq: 1 OPTIONS\r\nMax-Forwards: 70\r\n\r\nbody";
    let written = written_otherwise(message);
    assert_ne!(written, message);
    assert_eq!(written, written_otherwise(message));
    let text = String::from_utf8(written).expect("text");
    assert!(text.starts_with("OPTIONS sip:192.0.2.1 SIP/2.0\r\n") && text.ends_with("\r\n\r\nbody"), "{text}");
    assert!(text.find("UDP a") < text.find("UDP b") && text.contains("<sip:a@b;x=1>"), "{text}");
}
