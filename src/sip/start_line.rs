//! The start line of a message (RFC 3261 §7.1, §7.2), read without being refused.

use std::ops::Range;

use memchr::memchr;
use wide::u8x16;

use crate::oddity::Oddity;
use crate::sip::frame::{LONGEST_START_LINE, is_protocol};
use crate::sip::method::Method;
use crate::sip::status_code::StatusCode;
use crate::sip::swift::{between, first_of, first_of_any, first_of_two, is, last_of, next_of, next_within, up_to};

/// The start line: places in the message's bytes (RFC 3261 §7.1, §7.2).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StartLine {
    /// A request line.
    Request {
        /// The method.
        method: Method,
        /// Where the Request-URI stands.
        uri: Range<u32>,
    },
    /// A status line.
    Response {
        /// The code; `None` if it is none from 100 to 699.
        status: Option<StatusCode>,
        /// Where the code stands, as it was sent.
        code: Range<u32>,
        /// Where the reason phrase stands.
        reason_phrase: Range<u32>,
    },
}

/// Reads a start line of the form that nearly all have, and with which the bytes begin: a request line with one space
/// between its parts, a status line with a code of three digits. `None` for any other, which may be one all the same.
/// The line is asked for only where what the bytes begin with may be one.
#[inline]
pub(super) fn read_plain<'a>(bytes: &'a [u8], line: impl FnOnce() -> &'a [u8]) -> Option<StartLine> {
    if bytes.first_chunk() == Some(b"SIP/2.0 ") {
        return plain_status_line(line());
    }
    let block = u8x16::from(*bytes.first_chunk::<16>()?);
    let letters = between::<b'A', b'Z'>(block).to_bitmask().trailing_ones() as usize;
    let is_method = letters > 0 && bytes.get(letters) == Some(&b' ');
    if is_method { plain_request_line(bytes, line().len(), letters) } else { None }
}

#[inline]
fn plain_status_line(line: &[u8]) -> Option<StartLine> {
    const CODE: Range<usize> = 8..11;
    let status = StatusCode::read(line.get(CODE)?)?;
    let phrase = CODE.end.wrapping_add(1)..line.len();
    (line.get(CODE.end) == Some(&b' ')).then(|| StartLine::Response {
        status: Some(status),
        code: shifted(CODE, 0),
        reason_phrase: shifted(phrase, 0),
    })
}

/// The line is the first `length` bytes, and its method is known to end at the first space.
#[inline]
fn plain_request_line(bytes: &[u8], length: usize, method_end: usize) -> Option<StartLine> {
    const VERSION: &[u8; 8] = b" SIP/2.0";
    let line = bytes.get(..length).filter(|line| line.last_chunk() == Some(VERSION))?;
    // Nothing here can wrap: every place is one in the line.
    let uri = method_end.wrapping_add(1)..length.wrapping_sub(VERSION.len());
    let is_plain = uri.start < uri.end && length < LONGEST_START_LINE && is_plain_uri(bytes, uri.clone());
    is_plain.then(|| StartLine::Request {
        method: Method::read(line.get(..method_end).unwrap_or_default()),
        uri: shifted(uri, 0),
    })
}

/// True only if the URI has no odd letters and, after its scheme, no more than one colon, before a port.
#[inline]
fn is_plain_uri(bytes: &[u8], uri: Range<usize>) -> bool {
    const SCHEME: &[u8] = b"sip:";
    let rest = bytes.get(uri.clone()).unwrap_or_default();
    let mut at = if rest.starts_with(SCHEME) { uri.start.wrapping_add(SCHEME.len()) } else { uri.start };
    let is_telling = |block: u8x16| {
        let brackets = is::<b'<'>(block) | is::<b'>'>(block);
        up_to::<b'"'>(block) | brackets | is::<b'?'>(block) | is::<b':'>(block)
    };
    for _ in 0..2 {
        let Some(telling) = next_within(bytes, at, uri.end, is_telling) else { return true };
        if bytes.get(telling) != Some(&b':') {
            return false;
        }
        at = telling.wrapping_add(1);
    }
    false
}

/// Reads the line `text`, which stands at `at` in its message. What is odd about it is added.
pub(super) fn read(text: &[u8], at: usize, oddities: &mut Vec<Oddity>) -> StartLine {
    if text.get(..4).is_some_and(is_protocol) {
        status_line(text, at, oddities)
    } else {
        request_line(text, at, oddities)
    }
}

/// A place in the line as a place in the message; messages are far shorter than 2³².
fn shifted(range: Range<usize>, by: usize) -> Range<u32> {
    let shift = |at: usize| u32::try_from(at.saturating_add(by)).unwrap_or(u32::MAX);
    shift(range.start)..shift(range.end)
}

fn status_line(text: &[u8], at: usize, oddities: &mut Vec<Oddity>) -> StartLine {
    let version = first_of::<b' '>(text).unwrap_or(text.len());
    let version_is_odd = !text.get(..version).is_some_and(|name| name.eq_ignore_ascii_case(b"SIP/2.0"));
    let spaces = text.get(version..).unwrap_or_default().iter().take_while(|byte| **byte == b' ').count();
    let code_start = version.saturating_add(spaces);
    let after = text.get(code_start..).unwrap_or_default();
    let code_length = first_of_two::<b' ', b'\t'>(after).unwrap_or(after.len());
    let code_end = code_start.saturating_add(code_length);
    let status = StatusCode::read(text.get(code_start..code_end).unwrap_or_default());
    let phrase_start = code_end.saturating_add(1).min(text.len());
    if status.is_none() {
        oddities.push(Oddity::BadStatusCode);
    }
    if version_is_odd || spaces > 1 {
        oddities.push(Oddity::BadStartLine);
    }
    StartLine::Response {
        status,
        code: shifted(code_start..code_end, at),
        reason_phrase: shifted(phrase_start..text.len(), at),
    }
}

fn request_line(text: &[u8], at: usize, oddities: &mut Vec<Oddity>) -> StartLine {
    let method_end = first_of::<b' '>(text).unwrap_or(text.len());
    let method = Method::read(text.get(..method_end).unwrap_or_default());
    // The version is what follows the last space; the URI is all between, spaces included (RFC 4475 §3.1.2.8).
    let trimmed = text.trim_ascii_end();
    let version_start = last_of::<b' '>(trimmed).filter(|at| *at > method_end);
    let uri_end = version_start.unwrap_or(trimmed.len());
    let mut uri = method_end.min(uri_end)..uri_end;
    while text.get(uri.start) == Some(&b' ') && uri.start < uri.end {
        uri.start = uri.start.saturating_add(1);
    }
    while uri.end > uri.start && text.get(uri.end.wrapping_sub(1)) == Some(&b' ') {
        uri.end = uri.end.saturating_sub(1);
    }
    let sent_uri = text.get(uri.clone()).unwrap_or_default();
    let has_single_spaces =
        uri.start == method_end.saturating_add(1) && version_start == Some(uri.end) && trimmed.len() == text.len();
    let version_is_odd = text.get(uri_end..) != Some(b" SIP/2.0")
        && !text.get(uri_end..).is_some_and(|version| version.trim_ascii().eq_ignore_ascii_case(b"SIP/2.0"));
    let uri_is_odd = sent_uri.is_empty()
        || first_of_any(sent_uri, b" \t\"<>?").is_some_and(|_| has_odd_letters(sent_uri))
        || sent_uri.starts_with(b"sip") && has_bare_ipv6_host(sent_uri);
    if version_is_odd || uri_is_odd || !has_single_spaces {
        oddities.push(Oddity::BadStartLine);
    }
    StartLine::Request { method, uri: shifted(uri, at) }
}

/// Blanks, quotes or brackets, which no URI holds, or headers, which a Request-URI must not have (RFC 3261 §19.1.1).
fn has_odd_letters(uri: &[u8]) -> bool {
    first_of_any(uri, b" \t\"<>").is_some() || uri.starts_with(b"sip") && first_of::<b'?'>(uri).is_some()
}

/// An IPv6 address without its brackets (RFC 5118 §4.2): more than one colon behind the user part.
fn has_bare_ipv6_host(uri: &[u8]) -> bool {
    // The one of the scheme and the one of the port: nearly every URI has no more.
    let colon_from = |at| next_of::<b':'>(uri, at).map(|colon| colon.saturating_add(1));
    if colon_from(0).and_then(colon_from).and_then(colon_from).is_none() {
        return false;
    }
    let after_scheme = memchr(b':', uri).map_or(uri, |at| uri.get(at.saturating_add(1)..).unwrap_or_default());
    let host =
        memchr::memrchr(b'@', after_scheme).map_or(after_scheme, |at| after_scheme.get(at..).unwrap_or_default());
    let host = host.split(|byte| *byte == b';').next().unwrap_or_default();
    !host.contains(&b'[') && host.iter().filter(|byte| **byte == b':').count() > 1
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::sip::frame::start_of_message;

    const PIECES: &[&str] = &[
        "INVITE ",
        "BYE",
        "INVITE sip:anna@example.com SIP/2.0",
        "SIP/2.0 ",
        "SIP/2.0 200 OK",
        "sip/2.0 ",
        "200",
        " ",
        "sip:anna@192.0.2.1:5060",
        "sips:",
        "tel:+15550100",
        "2001:db8::1",
        ";user=phone",
        "?subject=x",
        "\"",
        "<",
        "\t",
        " SIP/2.0",
        "\r",
        "ü",
        "invite ",
        ":",
    ];

    proptest! {
        #[test]
        fn the_plain_form_is_read_as_any_is(
            pieces in proptest::collection::vec(proptest::sample::select(PIECES), 0..6),
            behind in "\r\n[a-zA-Z:@\r\n ]{0,40}",
        ) {
            let line = pieces.concat();
            let bytes = format!("{line}{behind}");
            if let Some(start) = read_plain(bytes.as_bytes(), || line.as_bytes()) {
                let mut oddities = Vec::new();
                prop_assert_eq!(start_of_message(bytes.as_bytes()), Some(0));
                prop_assert_eq!(start, read(line.as_bytes(), 0, &mut oddities));
                prop_assert_eq!(oddities, vec![]);
            }
        }
    }

    #[test]
    fn what_nearly_all_send_is_plain() {
        for line in
            ["INVITE sip:anna@example.com:5060;user=phone SIP/2.0", "ACK tel:+15550100 SIP/2.0", "SIP/2.0 200 OK"]
        {
            assert!(read_plain(line.as_bytes(), || line.as_bytes()).is_some(), "{line}");
        }
    }
}
