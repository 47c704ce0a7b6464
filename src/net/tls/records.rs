//! TLS records (RFC 8446 §5.1).
//!
//! Knows record headers. Is given the bytes of a stream; gives its records, whole or only as far as they are wanted.
//! Deliberately does not know what is in them.

use std::borrow::Cow;

use crate::net::bytes::u16_at;

/// A record's greatest length (RFC 5246 §6.2.3, which allows more than RFC 8446).
const LONGEST: u16 = (1 << 14) + 2048;
/// Bytes of a record header.
const HEADER: usize = 5;

/// Types of records.
pub(super) mod kind {
    pub(in crate::net::tls) const CHANGE_CIPHER_SPEC: u8 = 20;
    pub(in crate::net::tls) const ALERT: u8 = 21;
    pub(in crate::net::tls) const HANDSHAKE: u8 = 22;
    pub(in crate::net::tls) const APPLICATION: u8 = 23;
}

/// The header of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Header {
    /// Its type.
    pub kind: u8,
    /// The version it names.
    pub version: u16,
    /// Bytes behind it.
    pub length: usize,
}

/// What is wanted of the next record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wish {
    /// All of it.
    Whole,
    /// That it was there; and an alert, if it can be in the clear.
    Count,
}

/// What comes next.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Next<'a> {
    /// A record.
    Whole(Header, Cow<'a, [u8]>),
    /// A record that is passed over.
    Counted(Header),
    /// Nothing before there are more bytes.
    More,
    /// No record: the stream is not what it seemed, or bytes are missing unnoticed.
    NoRecord,
}

/// Follows records through a stream.
#[derive(Debug, Default)]
pub(super) struct Records {
    /// The start of the header at hand.
    start: Vec<u8>,
    /// The record at hand.
    header: Option<Header>,
    /// What has come of its body, if it is wanted.
    body: Vec<u8>,
    /// Bytes of a record that is passed over.
    skip: usize,
}

/// True where bytes begin with a record header.
pub(in crate::net) fn may_begin(bytes: &[u8]) -> bool {
    header(bytes).is_some()
}

/// True where bytes that are too short for a record header may become one.
pub(in crate::net) fn may_become(bytes: &[u8]) -> bool {
    let [first, rest @ ..] = bytes else { return false };
    bytes.len() < HEADER
        && matches!(first, 20..=23)
        && rest.first().is_none_or(|major| *major == 3)
        && rest.get(1).is_none_or(|minor| *minor <= 4)
}

fn header(bytes: &[u8]) -> Option<Header> {
    let [kind, major, minor] = *bytes.first_chunk()?;
    let length = u16_at(bytes, 3)?;
    let is_record = matches!(kind, 20..=23) && major == 3 && minor <= 4 && length > 0 && length <= LONGEST;
    is_record.then(|| Header { kind, version: u16::from_be_bytes([major, minor]), length: usize::from(length) })
}

impl Records {
    /// Bytes of memory held.
    pub(super) fn weight(&self) -> usize {
        self.body.len().saturating_add(self.start.len())
    }

    /// Forgets what was begun: bytes are missing.
    pub(super) fn lose(&mut self) {
        *self = Records::default();
    }

    /// The next record of `bytes`, which lose what was used.
    pub(super) fn next<'a>(&mut self, bytes: &mut &'a [u8], wish: Wish) -> Next<'a> {
        let skipped = self.skip.min(bytes.len());
        self.skip = self.skip.saturating_sub(skipped);
        take(bytes, skipped);
        if bytes.is_empty() {
            return Next::More;
        }
        let header = match self.header {
            Some(header) => header,
            None => match self.header(bytes) {
                Some(header) => header,
                None if self.start.is_empty() => return Next::NoRecord,
                None => return Next::More,
            },
        };
        let is_clear_alert = header.kind == kind::ALERT && header.length == 2;
        if wish == Wish::Count && self.body.is_empty() && !is_clear_alert {
            self.header = None;
            let here = header.length.min(bytes.len());
            take(bytes, here);
            self.skip = header.length.saturating_sub(here);
            return Next::Counted(header);
        }
        if self.body.is_empty()
            && let Some(body) = bytes.get(..header.length)
        {
            take(bytes, header.length);
            self.header = None;
            return Next::Whole(header, Cow::Borrowed(body));
        }
        let wanted = header.length.saturating_sub(self.body.len()).min(bytes.len());
        self.body.extend_from_slice(take(bytes, wanted));
        if self.body.len() < header.length {
            self.header = Some(header);
            return Next::More;
        }
        self.header = None;
        Next::Whole(header, Cow::Owned(std::mem::take(&mut self.body)))
    }

    /// The header that begins in `start` and goes on in `bytes`. If there is none yet, its start is kept; if there
    /// cannot be one, nothing is.
    fn header(&mut self, bytes: &mut &[u8]) -> Option<Header> {
        let wanted = HEADER.saturating_sub(self.start.len()).min(bytes.len());
        self.start.extend_from_slice(take(bytes, wanted));
        if self.start.len() < HEADER {
            return None;
        }
        let header = header(&self.start);
        self.start.clear();
        self.header = header;
        header
    }
}

/// Takes `count` bytes off the front.
fn take<'a>(bytes: &mut &'a [u8], count: usize) -> &'a [u8] {
    let (taken, rest) = bytes.split_at_checked(count).unwrap_or((bytes, &[]));
    *bytes = rest;
    taken
}

#[cfg(test)]
mod tests {
    use super::*;

    const RECORDS: &[u8] = &[22, 3, 1, 0, 4, 1, 2, 3, 4, 20, 3, 3, 0, 1, 1, 21, 3, 3, 0, 2, 2, 40, 23, 3, 3, 0, 1, 9];

    fn kinds(size: usize, wish: Wish) -> Vec<(u8, Option<Vec<u8>>)> {
        let mut records = Records::default();
        let mut kinds = Vec::new();
        for mut part in RECORDS.chunks(size) {
            loop {
                match records.next(&mut part, wish) {
                    Next::Whole(header, body) => kinds.push((header.kind, Some(body.into_owned()))),
                    Next::Counted(header) => kinds.push((header.kind, None)),
                    Next::More => break,
                    Next::NoRecord => panic!("all of them are records"),
                }
            }
        }
        assert_eq!((records.weight(), records.skip, records.header), (0, 0, None), "in parts of {size}");
        kinds
    }

    #[test]
    fn records_are_found_however_the_stream_is_cut() {
        let wanted = [(22, Some(vec![1, 2, 3, 4])), (20, Some(vec![1])), (21, Some(vec![2, 40])), (23, Some(vec![9]))];
        let counted = [(22, None), (20, None), (21, Some(vec![2, 40])), (23, None)];
        for size in 1..RECORDS.len() {
            assert_eq!(kinds(size, Wish::Whole), wanted, "in parts of {size}");
            assert_eq!(kinds(size, Wish::Count), counted, "in parts of {size}");
        }
    }

    #[test]
    fn what_is_no_record_is_said_to_be_none() {
        let mut records = Records::default();
        assert_eq!(records.next(&mut &[22, 3, 1, 0, 1, 7][..], Wish::Whole), {
            let header = Header { kind: 22, version: 0x0301, length: 1 };
            Next::Whole(header, Cow::Borrowed(&[7]))
        });
        assert_eq!(records.next(&mut &b"BYE sip:"[..], Wish::Whole), Next::NoRecord);
    }

    #[test]
    fn sip_is_no_record() {
        assert!(may_begin(&RECORDS[..9]));
        assert!(!may_begin(b"\r\n\r\nINVITE"));
        assert!(!may_begin(b"INVITE sip:"));
        assert!(!may_begin(&[22, 3, 1]));
        assert!(may_become(&[22, 3, 1]) && may_become(&[22]) && !may_become(&[22, 2]) && !may_become(b""));
    }
}
