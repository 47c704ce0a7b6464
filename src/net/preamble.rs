//! What a load balancer sends before the bytes of its client: the PROXY protocol, versions 1 and 2.
//!
//! Is given the first bytes of a stream; tells how many of them are the balancer's, so that what follows is recognised
//! as if it began there. Deliberately does not use the addresses: the packets show between whom they went.

use crate::net::bytes::u8_at;
use crate::net::bytes::u16_at;

/// What version 2 begins with.
const SIGNATURE: &[u8; 12] = b"\r\n\r\n\0\r\nQUIT\n";
/// Bytes of it that are line ends.
const LINE_ENDS: usize = 4;
/// What version 1, a line, begins with.
const WORD: &[u8; 6] = b"PROXY ";
/// The longest line of version 1, its end included.
const LONGEST_LINE: usize = 107;
/// The longest header of version 2 that is believed: addresses of 216 bytes, and some extensions.
const LONGEST_HEADER: usize = 4096;

/// Whether a stream begins with a preamble.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Preamble {
    /// It does, and so many bytes belong to it.
    Whole(usize),
    /// It may: more must come.
    Begun,
    /// It does not.
    None,
}

impl Preamble {
    /// Looks at the first bytes of a stream.
    pub(super) fn of(bytes: &[u8]) -> Preamble {
        match bytes.first() {
            Some(b'P') => line(bytes),
            Some(b'\r') => header(bytes),
            _ => Preamble::None,
        }
    }
}

/// The line ends that version 2 begins with, so many bytes of them.
pub(super) fn line_ends(bytes: usize) -> &'static [u8] {
    SIGNATURE.get(..bytes.min(LINE_ENDS)).unwrap_or_default()
}

/// Whether these bytes are line ends that a preamble may begin with, and nothing else. As keep-alives (RFC 5626 §3.5.1)
/// they wait for nothing.
pub(super) fn may_begin(bytes: &[u8]) -> bool {
    !bytes.is_empty() && bytes.len() <= LINE_ENDS && SIGNATURE.starts_with(bytes)
}

fn line(bytes: &[u8]) -> Preamble {
    if !begin_alike(bytes, WORD) {
        return Preamble::None;
    }
    match bytes.iter().take(LONGEST_LINE).position(|byte| *byte == b'\n') {
        Some(end) => Preamble::Whole(end.saturating_add(1)),
        None if bytes.len() < LONGEST_LINE => Preamble::Begun,
        None => Preamble::None,
    }
}

/// The signature, version and command, family and protocol, and the length of what follows.
fn header(bytes: &[u8]) -> Preamble {
    const FIXED: usize = 16;
    const VERSION: u8 = 0x20;
    let is_other = u8_at(bytes, 12).is_some_and(|version| version & 0xF0 != VERSION);
    if !begin_alike(bytes, SIGNATURE) || bytes.len() <= LINE_ENDS || is_other {
        return Preamble::None;
    }
    match u16_at(bytes, 14).map(|length| usize::from(length).saturating_add(FIXED)) {
        Some(length) if length > LONGEST_HEADER => Preamble::None,
        Some(length) if length <= bytes.len() => Preamble::Whole(length),
        _ => Preamble::Begun,
    }
}

/// True if one begins with the other.
fn begin_alike(bytes: &[u8], mark: &[u8]) -> bool {
    let length = bytes.len().min(mark.len());
    bytes.get(..length) == mark.get(..length)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of_every_length(whole: &[u8]) -> Vec<Preamble> {
        (0..=whole.len()).map(|length| Preamble::of(&whole[..length])).collect()
    }

    #[test]
    fn a_preamble_is_waited_for_and_then_passed_over() {
        let line = b"PROXY TCP4 192.0.2.9 10.0.0.2 5555 5060\r\nINVITE";
        let said = of_every_length(line);
        assert_eq!(said[1..41], [Preamble::Begun; 40]);
        assert_eq!(said[41..], [Preamble::Whole(41); 7]);
        let header = [&SIGNATURE[..], b"\x21\x11\0\x0C", &[9; 12], b"INVITE"].concat();
        let said = of_every_length(&header);
        assert_eq!(said[..5], [Preamble::None; 5], "keep-alives");
        assert_eq!(said[5..28], [Preamble::Begun; 23]);
        assert_eq!(said[28..], [Preamble::Whole(28); 7]);
    }

    #[test]
    fn line_ends_may_be_keep_alives_or_a_beginning() {
        for (bytes, may) in
            [(&b""[..], false), (b"\r", true), (b"\r\n", true), (b"\r\n\r\n", true), (b"\r\n\r\n\0", false)]
        {
            assert_eq!(may_begin(bytes), may, "{bytes:?}");
        }
        assert_eq!(line_ends(2), b"\r\n");
        assert_eq!(line_ends(99), b"\r\n\r\n");
    }

    #[test]
    fn what_only_begins_as_one_is_none() {
        let long = [&b"PROXY "[..], &[b'x'; LONGEST_LINE]].concat();
        let other_version = [&SIGNATURE[..], b"\x11\x11\0\0"].concat();
        let endless = [&SIGNATURE[..], b"\x21\x11\xFF\xFF"].concat();
        for bytes in [&long[..], b"PRACK sip:a@b SIP/2.0", b"PUBLISH", b"\r\n\r\nINVITE", &other_version, &endless] {
            assert_eq!(Preamble::of(bytes), Preamble::None, "{bytes:?}");
        }
    }
}
