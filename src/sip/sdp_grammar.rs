//! Where a session description breaks its grammar (RFC 8866 §5, §9).
//!
//! Is given the text of a description; gives the first line that breaks the grammar, and why. Deliberately does not
//! understand what the description says: that is [`crate::sip::sdp`], which forgives.

use std::net::{Ipv4Addr, Ipv6Addr};

/// A line that breaks the grammar.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// Which line, from 1; one behind the last where a line is missing.
    pub line: usize,
    /// The line as it was sent, bytes that are not UTF-8 replaced; empty where one is missing.
    pub text: String,
    /// What is wrong with it.
    pub why: String,
    /// True if it is not there at all.
    pub is_missing: bool,
}

/// Lines that are looked at.
const MOST_LINES: usize = 1000;

/// The first place at which a description breaks the grammar; `None` if it is well formed.
pub fn first_fault(text: &[u8]) -> Option<Fault> {
    let text = String::from_utf8_lossy(text);
    let lines: Vec<&str> =
        text.trim_end_matches(['\r', '\n', '\0']).split('\n').map(|line| line.trim_end_matches('\r')).collect();
    let mut seen = Seen::default();
    for (number, line) in (1..).zip(&lines).take(MOST_LINES) {
        if let Some(why) = fault_of(number, line, &mut seen) {
            return Some(Fault { line: number, text: (*line).to_owned(), why, is_missing: false });
        }
    }
    let why = seen.missing()?;
    Some(Fault { line: lines.len().saturating_add(1), text: String::new(), why: why.to_owned(), is_missing: true })
}

/// What was there so far.
#[derive(Debug, Default)]
struct Seen {
    origin: Found,
    name: Found,
    time: Found,
    connection: Found,
    media: Found,
    /// A medium that is not refused stands without an address.
    without_address: Found,
}

/// Whether a line was there.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Found {
    #[default]
    No,
    Yes,
}

impl Seen {
    /// The line that is missing (RFC 8866 §5).
    fn missing(&self) -> Option<&'static str> {
        match self {
            Seen { origin: Found::No, .. } => Some("there is no o= line"),
            Seen { name: Found::No, .. } => Some("there is no s= line"),
            Seen { time: Found::No, .. } => Some("there is no t= line"),
            Seen { without_address: Found::Yes, .. } => {
                Some("a medium has no c= line, and the session has none either")
            }
            _ => None,
        }
    }
}

fn fault_of(number: usize, line: &str, seen: &mut Seen) -> Option<String> {
    let mut letters = line.chars();
    let (Some(letter), Some('=')) = (letters.next(), letters.next()) else {
        return Some("a line is a letter, an equals sign and a value".into());
    };
    let value = letters.as_str();
    if number == 1 && letter != 'v' {
        return Some("the first line has to be v=0".into());
    }
    match letter {
        'v' => (value.trim() != "0").then(|| "the version has to be 0".into()),
        'o' => {
            seen.origin = Found::Yes;
            origin(value)
        }
        's' => {
            seen.name = Found::Yes;
            None
        }
        't' => {
            seen.time = Found::Yes;
            let words: Vec<&str> = value.split_ascii_whitespace().collect();
            let is_good = words.len() == 2 && words.iter().all(|word| is_number(word));
            (!is_good).then(|| "t= needs two numbers".into())
        }
        'c' => {
            match seen.media {
                Found::No => seen.connection = Found::Yes,
                Found::Yes => seen.without_address = Found::No,
            }
            connection(value)
        }
        'm' => {
            seen.media = Found::Yes;
            let is_refused = value.split_ascii_whitespace().nth(1) == Some("0");
            if seen.connection == Found::No && !is_refused {
                seen.without_address = Found::Yes;
            }
            media(value)
        }
        'b' => (!value.contains(':')).then(|| "b= needs a type, a colon and a number".into()),
        'a' => attribute(value),
        'i' | 'u' | 'e' | 'p' | 'r' | 'z' | 'k' => None,
        other => Some(format!("there is no line of the type {other:?}")),
    }
}

fn origin(value: &str) -> Option<String> {
    let words: Vec<&str> = value.split_ascii_whitespace().collect();
    let [_, id, version, net, kind, _] = words.as_slice() else {
        return Some(format!("o= needs six words and has {}", words.len()));
    };
    if !is_number(id) || !is_number(version) {
        return Some("the session identifier and version in o= have to be numbers".into());
    }
    network(net, kind)
}

fn network(net: &str, kind: &str) -> Option<String> {
    if net != "IN" {
        return Some(format!("the network type has to be IN, and is {net:?}"));
    }
    (kind != "IP4" && kind != "IP6").then(|| format!("the address type has to be IP4 or IP6, and is {kind:?}"))
}

fn connection(value: &str) -> Option<String> {
    let words: Vec<&str> = value.split_ascii_whitespace().collect();
    let [net, kind, address] = words.as_slice() else {
        return Some(format!("c= needs three words and has {}", words.len()));
    };
    if let Some(why) = network(net, kind) {
        return Some(why);
    }
    let bare = address.split('/').next().unwrap_or_default();
    let looks_numeric = bare.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    let is_wrong = match *kind {
        "IP4" => (looks_numeric || bare.contains(':')) && bare.parse::<Ipv4Addr>().is_err(),
        _ => (looks_numeric || bare.contains(':')) && bare.parse::<Ipv6Addr>().is_err(),
    };
    is_wrong.then(|| format!("{bare:?} is no {kind} address"))
}

fn media(value: &str) -> Option<String> {
    let words: Vec<&str> = value.split_ascii_whitespace().collect();
    let [_, port, protocol, formats @ ..] = words.as_slice() else {
        return Some(format!("m= needs at least four words and has {}", words.len()));
    };
    let port = port.split('/').next().unwrap_or_default();
    if port.parse::<u16>().is_err() {
        return Some(format!("{port:?} is no port"));
    }
    if formats.is_empty() {
        return Some("m= names no format".into());
    }
    let is_rtp = protocol.to_ascii_uppercase().contains("RTP/");
    let foreign = formats.iter().find(|format| format.parse::<u8>().map_or(true, |number| number > 127));
    foreign.filter(|_| is_rtp).map(|format| format!("{format:?} is no payload type"))
}

fn attribute(value: &str) -> Option<String> {
    let mapping = value.strip_prefix("rtpmap:")?;
    let is_good = mapping.split_once(' ').is_some_and(|(number, encoding)| {
        let clock = encoding.trim().split('/').nth(1);
        number.parse::<u8>().is_ok_and(|number| number <= 127) && clock.is_some_and(is_number)
    });
    (!is_good).then(|| "a=rtpmap needs a payload type, a name and a clock rate".into())
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\nm=audio 40000 \
                        RTP/AVP 8 101\r\na=rtpmap:101 telephone-event/8000\r\n";

    fn line_of(text: &str) -> Option<usize> {
        first_fault(text.as_bytes()).map(|fault| fault.line)
    }

    #[test]
    fn a_good_description_has_no_fault() {
        assert_eq!(line_of(GOOD), None);
        assert_eq!(line_of(&GOOD.replace("c=IN IP4 192.0.2.1", "c=IN IP4 media.example.com")), None);
    }

    #[test]
    fn each_fault_is_at_its_line() {
        assert_eq!(line_of(&GOOD.replace("IP4 192.0.2.1\r\ns", "192.0.2.1\r\ns")), Some(2));
        assert_eq!(line_of(&GOOD.replace("c=IN IP4 192.0.2.1", "c=IN IP4 192.0.2.300")), Some(4));
        assert_eq!(line_of(&GOOD.replace("t=0 0", "t=now")), Some(5));
        assert_eq!(line_of(&GOOD.replace("40000", "port")), Some(6));
        assert_eq!(line_of(&GOOD.replace("RTP/AVP 8 101", "RTP/AVP")), Some(6));
        assert_eq!(line_of(&GOOD.replace("telephone-event/8000", "telephone-event")), Some(7));
        assert_eq!(line_of(&GOOD.replace("s=-\r\n", "")), Some(7));
        assert_eq!(line_of("m=audio 1 RTP/AVP 0"), Some(1));
        assert_eq!(line_of(&GOOD.replace("c=IN IP4 192.0.2.1\r\n", "")), Some(7));
    }
}
