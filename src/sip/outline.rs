//! One walk over a message: where its lines end, where the headers stand that every message is matched by, and what is
//! odd about it.
//!
//! Every message of a capture is walked over, so this is the one place in the program where a nanosecond counts. The
//! places of all other headers are found when they are asked for ([`super::places`]).

use std::ops::Range;

use memchr::memchr;

use crate::oddity::Oddity;
use crate::sip::fault;
use crate::sip::frame;
use crate::sip::header::HeaderName;
use crate::sip::lines::Lines;
use crate::sip::message::Cut;
use crate::sip::places;
use crate::sip::start_line::{self, StartLine};
use crate::sip::swift::first_of;
use crate::sip::value::CSeq;

/// Where the headers stand that are needed of every message.
#[derive(Debug, Clone, Default)]
pub(super) struct Outline {
    /// The value of the first header of each name of [`KEY_HEADERS`]; empty at 0 if there is none.
    values: [Place; KEY_HEADERS.len()],
    /// A bit for each of these names that stands there more than once.
    repeated: u32,
    /// The names of all other headers, a bit for each by a hash: most that are asked for are not there.
    others: u64,
    /// The value of the second Via line.
    pub(super) second_via: Place,
    pub(super) cseq: Option<CSeq>,
    pub(super) body: Place,
    /// True if the capture ends inside the last header line, of which only the whole parameters are taken.
    pub(super) ends_in_half_a_line: bool,
    /// The first headers that may tell which call the message belongs to beyond its Call-ID, name and value: `X-…`,
    /// `Session-ID`, `P-Charging-Vector`, `Cisco-Guid`.
    pub(super) references: [(Place, Place); REFERENCES],
}

/// A place in the message's bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Place {
    start: u32,
    end: u32,
}

/// The headers that are needed of every message: for matching, framing, and telling a broken sender.
const KEY_HEADERS: [HeaderName; 19] = [
    HeaderName::Via,
    HeaderName::From,
    HeaderName::To,
    HeaderName::CallId,
    HeaderName::CSeq,
    HeaderName::Contact,
    HeaderName::ContentLength,
    HeaderName::MaxForwards,
    HeaderName::Expires,
    HeaderName::Date,
    HeaderName::Authorization,
    HeaderName::ProxyAuthorization,
    HeaderName::RetryAfter,
    HeaderName::SessionExpires,
    HeaderName::Replaces,
    HeaderName::UserAgent,
    HeaderName::Server,
    HeaderName::Reason,
    HeaderName::Warning,
];

/// Headers that may refer to a call that are remembered of one message.
const REFERENCES: usize = 4;

/// Headers without which a message cannot be matched (RFC 3261 §8.1.1).
const REQUIRED: [HeaderName; 5] =
    [HeaderName::CallId, HeaderName::CSeq, HeaderName::From, HeaderName::To, HeaderName::Via];

impl Place {
    pub(super) fn new(range: Range<usize>) -> Place {
        let narrow = |at: usize| u32::try_from(at).unwrap_or(u32::MAX);
        Place { start: narrow(range.start), end: narrow(range.end) }
    }

    pub(super) fn of(self, bytes: &[u8]) -> &[u8] {
        bytes.get(self.start as usize..self.end as usize).unwrap_or_default()
    }

    pub(super) fn start(self) -> usize {
        self.start as usize
    }

    pub(super) fn is_set(self) -> bool {
        self.start != 0
    }
}

/// Where a key header stands in [`KEY_HEADERS`].
#[inline]
fn slot(name: HeaderName) -> Option<usize> {
    Some(match name {
        HeaderName::Via => 0,
        HeaderName::From => 1,
        HeaderName::To => 2,
        HeaderName::CallId => 3,
        HeaderName::CSeq => 4,
        HeaderName::Contact => 5,
        HeaderName::ContentLength => 6,
        HeaderName::MaxForwards => 7,
        HeaderName::Expires => 8,
        HeaderName::Date => 9,
        HeaderName::Authorization => 10,
        HeaderName::ProxyAuthorization => 11,
        HeaderName::RetryAfter => 12,
        HeaderName::SessionExpires => 13,
        HeaderName::Replaces => 14,
        HeaderName::UserAgent => 15,
        HeaderName::Server => 16,
        HeaderName::Reason => 17,
        HeaderName::Warning => 18,
        _ => return None,
    })
}

impl Outline {
    /// Walks over a message whose start line begins at `start_at`. What is odd about it is added.
    pub(super) fn read(&mut self, bytes: &[u8], start_at: usize, cut: Cut, oddities: &mut Vec<Oddity>) -> StartLine {
        let mut walk = Walk::new(bytes, self, oddities);
        let head = walk.over(start_at, cut);
        walk.remarks(&head, start_at);
        head.start
    }

    /// The value of a key header; `None` if the message has none of that name, or it is no key header.
    #[inline]
    pub(super) fn value<'a>(&self, name: HeaderName, bytes: &'a [u8]) -> Option<&'a [u8]> {
        let place = self.values.get(slot(name)?).copied()?;
        place.is_set().then(|| place.of(bytes))
    }

    /// The value of the one line with the name of a key header, or that there is none; `None` if there are several, or
    /// the name is of no key header.
    pub(super) fn only<'a>(&self, name: HeaderName, bytes: &'a [u8]) -> Option<Option<&'a [u8]>> {
        let is_repeated = self.repeated >> slot(name)? & 1 == 1;
        (!is_repeated).then(|| self.value(name, bytes))
    }

    /// False if no header of this name stands there, which is of no key header.
    #[inline]
    pub(super) fn may_hold(&self, name: &str) -> bool {
        let name = name.as_bytes();
        // A name may stand there in its compact form, and may be asked for in it.
        name.len() < 2 || self.others & (bit_of_name(name) | COMPACT) != 0
    }

    /// True if the outline knows of every header of this name, so that there is none if it has no place.
    #[inline]
    pub(super) fn covers(name: HeaderName) -> bool {
        slot(name).is_some()
    }
}

struct Walk<'a> {
    bytes: &'a [u8],
    outline: &'a mut Outline,
    oddities: &'a mut Vec<Oddity>,
    /// The header that a folded line would belong to, if it is a key header.
    last: Option<Kept>,
}

/// Where the last key header was put.
#[derive(Clone, Copy)]
enum Kept {
    Slot(usize),
    SecondVia,
}

/// What stands above the body.
struct Head {
    start: StartLine,
    /// Where the body begins.
    end: usize,
    /// True only if no byte of it is zero or beyond ASCII.
    is_plain_text: bool,
}

impl<'a> Walk<'a> {
    fn new(bytes: &'a [u8], outline: &'a mut Outline, oddities: &'a mut Vec<Oddity>) -> Walk<'a> {
        Walk { bytes, outline, oddities, last: None }
    }

    /// Walks over the message whose start line begins at `start_at`.
    fn over(&mut self, start_at: usize, cut: Cut) -> Head {
        let mut lines = Lines::new(self.bytes, start_at);
        let (at, line) = lines.next();
        let start = start_line::read(line, at, self.oddities);
        self.headers(&mut lines, cut);
        let end = lines.at();
        self.outline.body = Place::new(end..self.end_of_body(end, cut));
        Head { start, end, is_plain_text: lines.saw_plain_text_only() }
    }

    /// Walks over header lines up to the empty line or the end. Of a line that the capture cut off only the whole
    /// parameters are taken: half a value would be taken for another one.
    #[inline]
    fn headers(&mut self, lines: &mut Lines<'_>, cut: Cut) {
        loop {
            if lines.at() == self.bytes.len() {
                // Of what the capture cut off, it is said elsewhere how much.
                if cut == Cut::Whole {
                    self.oddities.push(Oddity::MessageCut { bytes: 0 });
                }
                return;
            }
            let (at, line) = lines.next();
            let is_half = matches!(cut, Cut::Missing(_)) && at.saturating_add(line.len()) == self.bytes.len();
            let line = if is_half { self.whole_part(line) } else { line };
            if is_half && line.is_empty() {
                continue;
            }
            match line.first() {
                None => return,
                Some(b' ' | b'\t') => self.fold(line, at),
                Some(first) => self.header_line(line, at, *first),
            }
        }
    }

    /// What is whole of a line that the capture cut off.
    fn whole_part<'l>(&mut self, line: &'l [u8]) -> &'l [u8] {
        self.outline.ends_in_half_a_line = true;
        line.get(..places::whole_part(line)).unwrap_or_default()
    }

    /// A fold belongs to the header before it (RFC 3261 §7.3.1).
    fn fold(&mut self, line: &[u8], at: usize) {
        let text = line.trim_ascii_end();
        if text.is_empty() {
            return;
        }
        let blanks = text.len().saturating_sub(text.trim_ascii_start().len());
        let more = Place::new(at.saturating_add(blanks)..at.saturating_add(text.len()));
        let known = match self.last {
            Some(Kept::Slot(slot)) => self.outline.values.get_mut(slot),
            Some(Kept::SecondVia) => Some(&mut self.outline.second_via),
            None => None,
        };
        if let Some(known) = known {
            // A value of which nothing stands on the first line begins here.
            *known = if known.start == known.end { more } else { Place { end: more.end, ..*known } };
        }
    }

    /// Takes in a line, which begins at `at` with the byte `first`.
    #[inline]
    fn header_line(&mut self, line: &[u8], at: usize, first: u8) {
        self.last = None;
        let Some((name, [_, value @ ..])) = first_of::<b':'>(line).and_then(|colon| line.split_at_checked(colon))
        else {
            self.note_once(Oddity::NoColon);
            return;
        };
        // Nothing here can wrap: every place is one in `bytes`.
        let value_at = at.wrapping_add(name.len()).wrapping_add(1);
        let name = if name.last().is_some_and(u8::is_ascii_whitespace) { name.trim_ascii_end() } else { name };
        let slot = key_slot(name, first);
        if slot.is_none() {
            self.outline.others |= bit_of_name(name);
            if !may_refer(name, first) {
                return;
            }
        }
        let (before, behind) = blanks_around(value);
        let place = Place::new(value_at.wrapping_add(before)..value_at.wrapping_add(value.len()).wrapping_sub(behind));
        match slot {
            Some(slot) => self.keep(slot, place),
            None => {
                let name = Place::new(at..at.wrapping_add(name.len()));
                if let Some(free) = self.outline.references.iter_mut().find(|(_, value)| !value.is_set()) {
                    *free = (name, place);
                }
            }
        }
    }

    fn keep(&mut self, slot: usize, place: Place) {
        let Some(known) = self.outline.values.get_mut(slot) else { return };
        if !known.is_set() {
            *known = place;
            self.last = Some(Kept::Slot(slot));
            return;
        }
        self.outline.repeated |= 1 << slot;
        match KEY_HEADERS.get(slot) {
            Some(HeaderName::Via) if !self.outline.second_via.is_set() => {
                self.outline.second_via = place;
                self.last = Some(Kept::SecondVia);
            }
            Some(
                HeaderName::Via
                | HeaderName::Contact
                | HeaderName::Date
                | HeaderName::Authorization
                | HeaderName::ProxyAuthorization
                | HeaderName::Replaces
                | HeaderName::UserAgent
                | HeaderName::Server
                | HeaderName::Reason
                | HeaderName::Warning,
            )
            | None => {}
            Some(name) => {
                let duplicate = Oddity::DuplicateHeader { header: name.long() };
                if !self.oddities.iter().any(|oddity| matches!(oddity, Oddity::DuplicateHeader { .. })) {
                    self.oddities.push(duplicate);
                }
            }
        }
    }

    #[inline]
    fn value_of(&self, name: HeaderName) -> Option<&[u8]> {
        self.outline.value(name, self.bytes)
    }

    fn note_once(&mut self, oddity: Oddity) {
        if !self.oddities.contains(&oddity) {
            self.oddities.push(oddity);
        }
    }

    /// Where the body ends: by Content-Length where there is one (RFC 3261 §18.3), else with the datagram.
    fn end_of_body(&mut self, start: usize, cut: Cut) -> usize {
        let all = self.bytes.len();
        let had = all.saturating_sub(start);
        if let Cut::Missing(bytes) = cut {
            self.note_once(Oddity::MessageCut { bytes });
            return all;
        }
        let Some(value) = self.value_of(HeaderName::ContentLength) else { return all };
        let Some(said) = frame::content_length(value) else {
            self.oddities.push(Oddity::BadContentLength);
            return all;
        };
        let said_here = usize::try_from(said).unwrap_or(usize::MAX);
        if said_here > had {
            self.oddities.push(Oddity::BodyTooShort { said, had: had as u64 });
            return all;
        }
        let end = start.saturating_add(said_here);
        let rest = self.bytes.get(end..).unwrap_or_default();
        if rest.iter().any(|byte| !matches!(byte, b'\r' | b'\n' | 0)) {
            self.oddities.push(Oddity::BytesAfterBody { bytes: rest.len() as u64 });
        }
        end
    }

    /// Checks that cost little and tell a broken sender.
    fn remarks(&mut self, head: &Head, start_at: usize) {
        let Head { start, end, is_plain_text } = head;
        let head = self.bytes.get(start_at..*end).unwrap_or_default();
        if start_at > 0 && !frame::is_only_blank(self.bytes.get(..start_at).unwrap_or_default()) {
            self.oddities.push(Oddity::BytesBeforeMessage { bytes: u32::try_from(start_at).unwrap_or(u32::MAX) });
        }
        if !is_plain_text {
            if std::str::from_utf8(head).is_err() {
                self.oddities.push(Oddity::NotUtf8);
            }
            if memchr(0, head).is_some() {
                self.oddities.push(Oddity::NulByte);
            }
        }
        if first_of::<b'\n'>(head).is_some_and(|at| at == 0 || head.get(at.wrapping_sub(1)) != Some(&b'\r')) {
            self.oddities.push(Oddity::BareLineFeed);
        }
        self.remarks_on_presence();
        self.remarks_on_cseq(start);
        self.remarks_on_values();
    }

    fn remarks_on_presence(&mut self) {
        let missing = REQUIRED.into_iter().find(|name| self.value_of(*name).is_none());
        let Some(missing) = missing else { return };
        if !self.oddities.iter().any(|oddity| matches!(oddity, Oddity::MessageCut { .. })) {
            self.oddities.push(Oddity::MissingHeader { header: missing.long() });
        }
    }

    fn remarks_on_cseq(&mut self, start: &StartLine) {
        let Some(value) = self.value_of(HeaderName::CSeq) else { return };
        let cseq = CSeq::read(value);
        match (&cseq, start) {
            (None, _) => self.oddities.push(Oddity::BadCSeq),
            (Some(cseq), StartLine::Request { method, .. }) if cseq.method != *method => {
                self.oddities.push(Oddity::CSeqMethodDiffers);
            }
            _ => {}
        }
        self.outline.cseq = cseq;
    }

    fn remarks_on_values(&mut self) {
        for name in [HeaderName::From, HeaderName::To, HeaderName::Contact] {
            let Some(value) = self.value_of(name) else { continue };
            if let Some(fault) = fault::of_address(name, value) {
                self.note_once(fault);
            }
        }
        for (name, fault) in [
            (HeaderName::Date, fault::of_date as fn(&[u8]) -> bool),
            (HeaderName::MaxForwards, fault::of_max_forwards),
            (HeaderName::Expires, fault::of_seconds),
            (HeaderName::Via, fault::of_list),
        ] {
            if self.value_of(name).is_some_and(fault) {
                self.note_once(Oddity::BadHeader { header: name.long() });
            }
        }
    }
}

/// The bit of every compact form.
const COMPACT: u64 = 1 << 63;

/// The bit of a name that is of no key header, in whatever letters.
#[inline]
fn bit_of_name(name: &[u8]) -> u64 {
    match name {
        [] => 0,
        [_] => COMPACT,
        [first, ..] => 1u64.wrapping_shl((name.len() as u32).wrapping_mul(5) ^ u32::from(first | 0x20)),
    }
}

/// How many blanks stand before a value and behind it. Of most, one before it.
#[inline]
pub(super) fn blanks_around(value: &[u8]) -> (usize, usize) {
    match value {
        [b' ', first, .., last] if *first > b' ' && *last > b' ' => (1, 0),
        _ => {
            let trimmed = value.trim_ascii_start();
            let behind = trimmed.len().saturating_sub(trimmed.trim_ascii_end().len());
            (value.len().saturating_sub(trimmed.len()), behind)
        }
    }
}

/// True for names of headers that may tell which call a message belongs to.
#[inline]
fn may_refer(name: &[u8], first: u8) -> bool {
    match (name.len(), first | 0x20) {
        (_, b'x') => name.get(1) == Some(&b'-'),
        (10, b's' | b'c') | (17, b'p') => true,
        _ => false,
    }
}

/// The slot of a key header by its name, in any spelling, long or compact.
#[inline]
fn key_slot(name: &[u8], first: u8) -> Option<usize> {
    match (name.len(), first | 0x20) {
        (1, b'v') => Some(0),
        (1, b'f') => Some(1),
        (1, b't') => Some(2),
        (1, b'i') => Some(3),
        (1, b'm') => Some(5),
        (1, b'l') => Some(6),
        (1, b'x') => Some(13),
        (3, b'v') => slot_if(name, b"Via", 0),
        (4, b'f') => slot_if(name, b"From", 1),
        (2, b't') => slot_if(name, b"To", 2),
        (7, b'c') if name.get(4) == Some(&b'-') => slot_if(name, b"Call-ID", 3),
        (4, b'c') => slot_if(name, b"CSeq", 4),
        (7, b'c') => slot_if(name, b"Contact", 5),
        (14, b'c') => slot_if(name, b"Content-Length", 6),
        (12, b'm') => slot_if(name, b"Max-Forwards", 7),
        (7, b'e') => slot_if(name, b"Expires", 8),
        (4, b'd') => slot_if(name, b"Date", 9),
        (13, b'a') => slot_if(name, b"Authorization", 10),
        (19, b'p') => slot_if(name, b"Proxy-Authorization", 11),
        (11, b'r') => slot_if(name, b"Retry-After", 12),
        (15, b's') => slot_if(name, b"Session-Expires", 13),
        (8, b'r') => slot_if(name, b"Replaces", 14),
        (10, b'u') => slot_if(name, b"User-Agent", 15),
        (6, b's') => slot_if(name, b"Server", 16),
        (6, b'r') => slot_if(name, b"Reason", 17),
        (7, b'w') => slot_if(name, b"Warning", 18),
        _ => None,
    }
}

/// The slot, if the name is the one of it. Of a length that is known here, names are compared without a call.
#[inline]
fn slot_if<const N: usize>(name: &[u8], known: &[u8; N], slot: usize) -> Option<usize> {
    (name == known || name.eq_ignore_ascii_case(known)).then_some(slot)
}
