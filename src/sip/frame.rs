//! Where messages begin and end: in a datagram by content, on a stream by Content-Length (RFC 3261 §18.3).

mod buried;

use memchr::memchr;

use crate::capture::Place;
use crate::oddity::{Oddity, OddityLog};
use crate::sip::message::Cut;
use crate::sip::swift::{Every, first_of, last_of};

/// True if the bytes start like a SIP message, on whatever port they came: a status line, or a request line with a
/// method token and `SIP/` before its end. A few nanoseconds for what is not SIP.
pub fn looks_like_sip(bytes: &[u8]) -> bool {
    start_of_message(bytes).is_some()
}

/// Bytes before a start line that are looked through in a datagram.
const MOST_BEFORE: usize = 256;
/// Bytes of a start line that are looked through.
pub(super) const LONGEST_START_LINE: usize = 65_536;
/// Letters of the longest method that is believed.
const LONGEST_METHOD: usize = 64;

/// Where the start line begins; `None` if there is none.
pub(crate) fn start_of_message(bytes: &[u8]) -> Option<usize> {
    match bytes.first()? {
        b'\r' | b'\n' | b' ' | b'\t' | 0 => {
            let blank = bytes.iter().take(MOST_BEFORE).take_while(|byte| is_blank(**byte)).count();
            is_start_line(bytes.get(blank..)?).then_some(blank)
        }
        byte if is_token(*byte) => {
            if is_start_line(bytes) {
                Some(0)
            } else {
                start_behind_junk(bytes)
            }
        }
        _ => None,
    }
}

/// A datagram whose first line is not SIP and whose second one is, with a header beneath: something stands before the
/// message. A start line alone may be what any text quotes.
fn start_behind_junk(bytes: &[u8]) -> Option<usize> {
    let window = bytes.get(..bytes.len().min(MOST_BEFORE))?;
    let next = memchr(b'\n', window)?.checked_add(1)?;
    let rest = bytes.get(next..)?;
    let blank = rest.iter().take_while(|byte| is_blank(**byte)).count();
    let start = next.checked_add(blank)?;
    let message = bytes.get(start..)?;
    (is_start_line(message) && has_header(message)).then_some(start)
}

/// True if the second line begins as a header does (RFC 3261 §25.1: token HCOLON).
fn has_header(message: &[u8]) -> bool {
    let window = message.get(..message.len().min(LONGEST_START_LINE)).unwrap_or_default();
    let second = memchr(b'\n', window).and_then(|end| message.get(end.checked_add(1)?..)).unwrap_or_default();
    let name = second.iter().take_while(|byte| is_token(**byte)).count();
    let behind = second.iter().skip(name).find(|byte| !matches!(byte, b' ' | b'\t'));
    name > 0 && behind == Some(&b':')
}

fn is_blank(byte: u8) -> bool {
    matches!(byte, b'\r' | b'\n' | b' ' | b'\t' | 0)
}

/// True if these bytes are keep-alives or padding only (RFC 5626 §3.5.1).
pub(crate) fn is_only_blank(bytes: &[u8]) -> bool {
    bytes.iter().all(|byte| is_blank(*byte))
}

/// The characters of a token (RFC 3261 §25.1), asked for of each first byte of each packet.
pub(super) fn is_token(byte: u8) -> bool {
    TOKEN.get(usize::from(byte)).is_some_and(|is_token| *is_token)
}

#[allow(clippy::indexing_slicing, clippy::arithmetic_side_effects, reason = "worked out by the compiler")]
const TOKEN: [bool; 256] = {
    let mut table = [false; 256];
    let mut byte = 0u8;
    while byte < 128 {
        table[byte as usize] = byte.is_ascii_alphanumeric()
            || matches!(byte, b'-' | b'.' | b'!' | b'%' | b'*' | b'_' | b'+' | b'`' | b'\'' | b'~');
        byte += 1;
    }
    table
};

fn is_start_line(bytes: &[u8]) -> bool {
    let window = bytes.get(..bytes.len().min(LONGEST_START_LINE)).unwrap_or_default();
    is_start_line_up_to(bytes, || first_of::<b'\n'>(window))
}

/// The same; where the line ends is asked for only if its beginning may be one.
fn is_start_line_up_to(bytes: &[u8], end: impl FnOnce() -> Option<usize>) -> bool {
    if begins_with_version(bytes) {
        return !names_transport(bytes);
    }
    let method = bytes.iter().take(LONGEST_METHOD).take_while(|byte| is_token(**byte)).count();
    if method == 0 || bytes.get(method) != Some(&b' ') {
        return false;
    }
    let end = end().unwrap_or(bytes.len().min(LONGEST_START_LINE));
    let line = bytes.get(..end).unwrap_or_default();
    has_version(line) || is_cut_request_line(line, bytes.len())
}

/// `SIP/` and a digit in the last word of the line.
fn has_version(line: &[u8]) -> bool {
    let line = line.trim_ascii_end();
    last_of::<b' '>(line).and_then(|at| line.get(at.wrapping_add(1)..)).is_some_and(begins_with_version)
}

/// `SIP/` and a digit. What sends it must write capitals, what reads it must not insist on them (RFC 3261 §7.1).
fn begins_with_version(bytes: &[u8]) -> bool {
    bytes.first_chunk::<5>().is_some_and(|[name @ .., digit]| digit.is_ascii_digit() && is_protocol(name))
}

/// Whether a transport follows the version, as in a Via (RFC 3261 §20.42): where a segment begins within such a header,
/// or its value is folded, the version stands where a status line has it.
fn names_transport(bytes: &[u8]) -> bool {
    const NAME: usize = 4;
    const LONGEST_NUMBER: usize = 16;
    let mut number = bytes.iter().skip(NAME).take(LONGEST_NUMBER);
    number.find(|byte| !byte.is_ascii_digit() && **byte != b'.') == Some(&b'/')
}

/// `SIP/` in capitals or not.
pub(super) fn is_protocol(name: &[u8]) -> bool {
    name.eq_ignore_ascii_case(b"SIP/")
}

/// A request line that the capture cut before its version: a known method and a `sip:` URI.
fn is_cut_request_line(line: &[u8], all: usize) -> bool {
    line.len() == all
        && [&b"INVITE sip"[..], b"ACK sip", b"BYE sip", b"CANCEL sip", b"REGISTER sip", b"OPTIONS sip", b"NOTIFY sip"]
            .iter()
            .any(|start| line.starts_with(start))
}

/// Reads a Content-Length (RFC 3261 §20.14); of a list the first, if all are equal.
pub(crate) fn content_length(value: &[u8]) -> Option<u64> {
    /// Digits of the longest number that is believed.
    const LONGEST: usize = 18;
    let said = value.trim_ascii();
    // Zeros before a number say nothing, however many there are.
    let digits = match said.len() {
        0 => return None,
        1..=LONGEST => said,
        length => said.get(said.iter().take(length.wrapping_sub(1)).take_while(|digit| **digit == b'0').count()..)?,
    };
    if digits.len() > LONGEST {
        return None;
    }
    digits.iter().try_fold(0u64, |number, digit| {
        let digit = digit.is_ascii_digit().then(|| u64::from(digit.wrapping_sub(b'0')))?;
        Some(number.wrapping_mul(10).wrapping_add(digit))
    })
}

/// Where a second message begins in bytes that begin with one and are a part of a stream, by the Content-Length of the
/// first; `None` if they hold no more than that.
pub(crate) fn next_message(bytes: &[u8]) -> Option<usize> {
    if !looks_like_sip(bytes) {
        return None;
    }
    let mut framer = Framer::default();
    let head = framer.end_of_head(bytes)?;
    let Announced::Bytes(body) = framer.read.announced else { return None };
    let end = head.checked_add(usize::try_from(body).ok()?)?;
    looks_like_sip(bytes.get(end..)?).then_some(end)
}

/// Bounds of one message on a stream. Datagrams are bounded by their own length.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of start line and headers; more are passed over.
    pub header_bytes: usize,
    /// Bytes of body that Content-Length may announce; a message that announces more is taken without it.
    pub body_bytes: u64,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits { header_bytes: 256 << 10, body_bytes: 1 << 20 }
    }
}

/// Cuts one direction of a stream into messages.
///
/// Bytes are pushed in order; whole messages are handed on, each once. Keep-alive CRLFs between them are skipped
/// (RFC 5626 §3.5.1). After a gap, or bytes that are no SIP, it looks for the next line that starts a message.
#[derive(Debug, Default)]
pub struct Framer {
    limits: Limits,
    /// What has arrived of the message that is not whole yet.
    kept: Vec<u8>,
    /// How far the message in `kept` was read.
    read: Progress,
    /// Bytes that the message in `kept` needs, once its headers are whole.
    wanted: Option<usize>,
    /// Bytes of a body that still come, of a message that was handed on cut.
    left: usize,
    state: State,
}

/// How far the lines of one message were read, so that each byte is searched once however it comes.
#[derive(Debug, Default, Clone, Copy)]
struct Progress {
    /// Where the line at hand begins. All before it are whole lines, of which the first is a start line.
    line: usize,
    /// Up to where the end of that line was searched for.
    searched: usize,
    /// How the line before it ends.
    before: LineEnd,
    announced: Announced,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum LineEnd {
    #[default]
    Lf,
    CrLf,
}

/// What the first Content-Length says.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Announced {
    /// There is none yet.
    #[default]
    Nothing,
    /// Its value is folded, and stands on a line that follows (RFC 3261 §7.3.1).
    BelowThis,
    /// No number.
    Unreadable,
    /// So many bytes.
    Bytes(u64),
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum State {
    /// A message starts here.
    #[default]
    AtStart,
    /// Something else is passing by, or the start was missed. A line may begin here.
    Searching,
    /// The same, in the midst of a line: where a segment begins says nothing.
    SearchingInLine,
}

/// Whether a message starts where one could.
enum Start {
    Here,
    MoreIsNeeded,
    None,
}

/// A message cut out of a stream.
#[derive(Debug, Clone, Copy)]
pub struct Framed<'a> {
    /// Its bytes.
    pub bytes: &'a [u8],
    /// Whether it is whole.
    pub cut: Cut,
    /// The frame that completed it.
    pub place: Place,
}

impl Framer {
    /// A framer with these bounds.
    pub fn new(limits: Limits) -> Framer {
        Framer { limits, ..Framer::default() }
    }

    /// A framer whose first bytes may stand in the midst of a message.
    pub fn midstream(limits: Limits) -> Framer {
        Framer { limits, state: State::Searching, ..Framer::default() }
    }

    /// Bytes of memory that it holds.
    pub fn held(&self) -> usize {
        self.kept.capacity()
    }

    /// True if nothing that looked like SIP has come yet, or lately.
    pub fn is_searching(&self) -> bool {
        self.state != State::AtStart
    }

    /// Says that so many bytes are missing before the next ones: a message that waits for its rest is handed on cut.
    pub fn gap(&mut self, missing: u32, place: Place, give: &mut impl FnMut(Framed<'_>)) {
        let missing = usize::try_from(missing).unwrap_or(usize::MAX);
        let body = self.wanted.map_or(self.left, |wanted| wanted.saturating_sub(self.kept.len()));
        self.flush(place, give);
        // Where the hole is in a body whose end is known, the next message is as sure as without it.
        (self.left, self.state) = match body.checked_sub(missing) {
            Some(left) if body > 0 => (left, State::AtStart),
            _ => (0, State::Searching),
        };
    }

    /// The next bytes of the stream. `place` is their frame; messages completed by it get rising indexes by the caller.
    pub fn push(&mut self, bytes: &[u8], place: Place, oddities: &mut OddityLog, give: &mut impl FnMut(Framed<'_>)) {
        let passed = self.left.min(bytes.len());
        self.left = self.left.saturating_sub(passed);
        let bytes = bytes.get(passed..).unwrap_or_default();
        if self.kept.is_empty() {
            let used = self.take_from(bytes, place, oddities, give);
            self.keep(bytes.get(used..).unwrap_or_default(), place, oddities, give);
            return;
        }
        self.kept.extend_from_slice(bytes);
        if self.wanted.is_some_and(|wanted| self.kept.len() < wanted) {
            return;
        }
        let kept = std::mem::take(&mut self.kept);
        let used = self.take_from(&kept, place, oddities, give);
        self.kept = kept;
        self.kept.drain(..used);
        if self.kept.is_empty() {
            // Thousands of streams are idle most of the time: they hold no room.
            self.kept = Vec::new();
        }
        self.limit(place, oddities, give);
    }

    /// Says that the stream has ended: what waits is handed on as it is.
    pub fn finish(&mut self, place: Place, give: &mut impl FnMut(Framed<'_>)) {
        self.flush(place, give);
    }

    fn keep(&mut self, rest: &[u8], place: Place, oddities: &mut OddityLog, give: &mut impl FnMut(Framed<'_>)) {
        if rest.is_empty() {
            return;
        }
        self.kept.extend_from_slice(rest);
        self.limit(place, oddities, give);
    }

    fn limit(&mut self, place: Place, oddities: &mut OddityLog, give: &mut impl FnMut(Framed<'_>)) {
        if self.wanted.is_none() && self.kept.len() > self.limits.header_bytes {
            let limit = Oddity::LimitHit { limit: "header-bytes", value: self.limits.header_bytes as u64 };
            oddities.note(limit, Some(place.frame));
            let ends = self.kept.ends_with(b"\n");
            self.flush(place, give);
            self.state = if ends { State::Searching } else { State::SearchingInLine };
        }
    }

    /// Takes whole messages from the front; gives how many bytes were used.
    fn take_from(
        &mut self,
        bytes: &[u8],
        place: Place,
        oddities: &mut OddityLog,
        give: &mut impl FnMut(Framed<'_>),
    ) -> usize {
        let mut used = 0usize;
        loop {
            let rest = bytes.get(used..).unwrap_or_default();
            let step = self.step(rest, place, oddities, give);
            if step == 0 {
                return used;
            }
            used = used.saturating_add(step);
            self.read = Progress::default();
            self.wanted = None;
        }
    }

    /// Uses one message, or what is none, from the front of `rest`; 0 if more bytes are needed.
    fn step(
        &mut self,
        rest: &[u8],
        place: Place,
        oddities: &mut OddityLog,
        give: &mut impl FnMut(Framed<'_>),
    ) -> usize {
        if self.state == State::SearchingInLine && !rest.is_empty() {
            return self.skip(rest, place, oddities);
        }
        let blank = rest.iter().take_while(|byte| is_blank(**byte)).count();
        if blank > 0 {
            return blank;
        }
        if rest.is_empty() {
            return 0;
        }
        if self.read.line == 0 {
            match self.start_line(rest) {
                Start::Here => {}
                Start::MoreIsNeeded => return 0,
                Start::None => return self.skip(rest, place, oddities),
            }
        }
        let Some(whole) = self.wanted.or_else(|| self.end_of_message(rest, place, oddities)) else { return 0 };
        if rest.len() < whole {
            self.wanted = Some(whole);
            return 0;
        }
        self.state = State::AtStart;
        give(Framed { bytes: rest.get(..whole).unwrap_or_default(), cut: Cut::Whole, place });
        whole
    }

    /// Passes over a line that starts no message; says so once for each stretch.
    fn skip(&mut self, rest: &[u8], place: Place, oddities: &mut OddityLog) -> usize {
        if self.state == State::AtStart && rest.first().is_some_and(|byte| is_token(*byte)) {
            oddities.note(Oddity::BytesBeforeMessage { bytes: rest.len() as u32 }, Some(place.frame));
        }
        let Some(end) = memchr(b'\n', rest) else {
            self.state = State::SearchingInLine;
            return rest.len().saturating_sub(buried::may_begin(rest));
        };
        self.state = State::Searching;
        rest.get(..end).and_then(buried::start_in).unwrap_or(end.saturating_add(1))
    }

    /// Whether a message starts here.
    fn start_line(&mut self, rest: &[u8]) -> Start {
        let window = rest.get(..rest.len().min(LONGEST_START_LINE)).unwrap_or_default();
        let behind = window.get(self.read.searched..).unwrap_or_default();
        let end = first_of::<b'\n'>(behind).map(|at| at.saturating_add(self.read.searched));
        self.read.searched = end.unwrap_or(window.len());
        match end {
            None if could_start(rest) => Start::MoreIsNeeded,
            _ if is_start_line_up_to(rest, || end) && self.is_credible(rest, end) => Start::Here,
            _ => Start::None,
        }
    }

    /// Behind a hole the end of a line stands where a line could begin, and the end of a request line is a word and the
    /// version: there a request line needs its URI. Or the end of a body stands there, and its last word is no part of
    /// the method.
    fn is_credible(&self, rest: &[u8], end: Option<usize>) -> bool {
        let line = rest.get(..end.unwrap_or(rest.len())).unwrap_or_default().trim_ascii_end();
        let is_whole = || line.iter().filter(|byte| **byte == b' ').count() >= 2 && buried::start_in(line).is_none();
        self.state == State::AtStart || rest.get(..4).is_some_and(is_protocol) || end.is_none() || is_whole()
    }

    /// Where the message ends, once its headers are there.
    fn end_of_message(&mut self, rest: &[u8], place: Place, oddities: &mut OddityLog) -> Option<usize> {
        let head = self.end_of_head(rest)?;
        Some(head.saturating_add(self.announced_body(place, oddities)))
    }

    /// Where the headers end, the empty line included: behind an empty line that ends as the one before it does, or is
    /// nothing but a line feed.
    fn end_of_head(&mut self, rest: &[u8]) -> Option<usize> {
        let read = &mut self.read;
        let mut line_feeds = Every::<b'\n'>::new(rest, read.searched);
        loop {
            let Some(end) = line_feeds.next() else {
                read.searched = rest.len();
                return None;
            };
            let line = rest.get(read.line..end)?;
            read.line = end.saturating_add(1);
            read.searched = read.line;
            if line.is_empty() || line == b"\r" && read.before == LineEnd::CrLf {
                return Some(read.line);
            }
            read.before = if line.ends_with(b"\r") { LineEnd::CrLf } else { LineEnd::Lf };
            match read.announced {
                Announced::Nothing => read.announced = announced_by(line),
                Announced::BelowThis if line.starts_with(b" ") || line.starts_with(b"\t") => {
                    read.announced = announced(line);
                }
                Announced::BelowThis => read.announced = Announced::Unreadable,
                Announced::Unreadable | Announced::Bytes(_) => {}
            }
        }
    }

    /// Bytes of body that the headers announce; none where they say nothing (RFC 3261 §18.3).
    fn announced_body(&self, place: Place, oddities: &mut OddityLog) -> usize {
        match self.read.announced {
            Announced::Bytes(length) if length <= self.limits.body_bytes => usize::try_from(length).unwrap_or(0),
            Announced::Bytes(_) => {
                let limit = Oddity::LimitHit { limit: "body-bytes", value: self.limits.body_bytes };
                oddities.note(limit, Some(place.frame));
                0
            }
            Announced::Nothing | Announced::BelowThis | Announced::Unreadable => 0,
        }
    }

    /// Hands on what waits; that it is cut short is said where it is read.
    fn flush(&mut self, place: Place, give: &mut impl FnMut(Framed<'_>)) {
        let kept = std::mem::take(&mut self.kept);
        let wanted = self.wanted.take();
        let read = std::mem::take(&mut self.read);
        if kept.is_empty() || read.line == 0 && !is_start_line(&kept) {
            return;
        }
        let missing = wanted.map_or(0, |wanted| wanted.saturating_sub(kept.len()));
        let missing = u32::try_from(missing).unwrap_or(u32::MAX);
        give(Framed { bytes: &kept, cut: Cut::Missing(missing), place });
    }
}

/// True if these bytes, which hold no line end yet, may become a start line.
fn could_start(rest: &[u8]) -> bool {
    rest.len() < LONGEST_START_LINE
        && (rest.get(..4).is_some_and(is_protocol) || {
            let method = rest.iter().take(LONGEST_METHOD).take_while(|byte| is_token(**byte)).count();
            method == rest.len() || (method > 0 && rest.get(method) == Some(&b' '))
        })
}

/// What a line announces, if it is a Content-Length.
fn announced_by(line: &[u8]) -> Announced {
    if !matches!(line.first(), Some(b'c' | b'C' | b'l' | b'L')) {
        return Announced::Nothing;
    }
    let Some((name, value)) = first_of::<b':'>(line).and_then(|colon| line.split_at_checked(colon)) else {
        return Announced::Nothing;
    };
    let name = name.trim_ascii_end();
    if !name.eq_ignore_ascii_case(b"content-length") && !name.eq_ignore_ascii_case(b"l") {
        return Announced::Nothing;
    }
    announced(value.get(1..).unwrap_or_default())
}

/// What the value of a Content-Length announces.
fn announced(value: &[u8]) -> Announced {
    if value.trim_ascii().is_empty() {
        return Announced::BelowThis;
    }
    content_length(value).map_or(Announced::Unreadable, Announced::Bytes)
}

#[cfg(test)]
mod tests;
