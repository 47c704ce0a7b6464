//! One walk over a message: where its lines end, where the headers stand that every message is matched by, and what is
//! odd about it.
//!
//! Every message of a capture is walked over, so this is the one place in the program where a nanosecond counts: the
//! form that nearly all messages have is told first and at one look, and only what has another form is looked at
//! closely.

use memchr::memchr;

use crate::oddity::Oddity;
use crate::sip::fault;
use crate::sip::frame;
use crate::sip::header::HeaderName;
use crate::sip::key_name::{self, Named};
use crate::sip::lines::{Line, Lines};
use crate::sip::message::Cut;
use crate::sip::outline::{KEY_HEADERS, Outline, Place, bit_of_name};
use crate::sip::places;
use crate::sip::plain::{self, Address};
use crate::sip::start_line::{self, StartLine};
use crate::sip::swift::first_of;
use crate::sip::value::CSeq;

/// Headers without which a message cannot be matched (RFC 3261 §8.1.1).
const REQUIRED: [HeaderName; 5] =
    [HeaderName::CallId, HeaderName::CSeq, HeaderName::From, HeaderName::To, HeaderName::Via];

/// Walks over a message. What stands in it is entered in its outline, what is odd about it is added, and its start line
/// and its CSeq are given. `None` if the bytes do not start like SIP.
pub(super) fn over(
    bytes: &[u8],
    cut: Cut,
    outline: &mut Outline,
    oddities: &mut Vec<Oddity>,
) -> Option<(StartLine, Option<CSeq>)> {
    let mut walk = Walk { bytes, outline, oddities, last: Kept::Nowhere };
    let (start, start_at, mut lines) = walk.start()?;
    let first_header = lines.at();
    walk.headers(&mut lines, cut);
    let body = lines.at();
    walk.outline.body = Place::new(body..walk.end_of_body(body, cut));
    if start_at > 0 && !frame::is_only_blank(bytes.get(..start_at).unwrap_or_default()) {
        walk.oddities.push(Oddity::BytesBeforeMessage { bytes: u32::try_from(start_at).unwrap_or(u32::MAX) });
    }
    if !lines.saw_plain_text_only() {
        walk.remarks_on_letters(bytes.get(start_at..body).unwrap_or_default());
    }
    let start_line = bytes.get(start_at..first_header).unwrap_or_default();
    if start_line.ends_with(b"\n") && !start_line.ends_with(b"\r\n") {
        walk.oddities.push(Oddity::BareLineFeed);
    }
    walk.remarks_on_presence();
    let cseq = walk.cseq(&start);
    walk.remarks_on_values();
    Some((start, cseq))
}

struct Walk<'a> {
    bytes: &'a [u8],
    outline: &'a mut Outline,
    oddities: &'a mut Vec<Oddity>,
    /// The header that a folded line would belong to.
    last: Kept,
}

/// Where the last header was put.
#[derive(Clone, Copy)]
enum Kept {
    /// It is no key header.
    Nowhere,
    Slot(usize),
    SecondVia,
}

impl<'a> Walk<'a> {
    /// Finds the start line: what it says, where it begins, and the lines behind it.
    #[inline]
    fn start(&mut self) -> Option<(StartLine, usize, Lines<'a>)> {
        let mut lines = Lines::new(self.bytes, 0);
        if let Some(start) = start_line::read_plain(self.bytes, || lines.next().text) {
            return Some((start, 0, lines));
        }
        let start_at = frame::start_of_message(self.bytes)?;
        let mut lines = Lines::new(self.bytes, start_at);
        let line = lines.next();
        Some((start_line::read(line.text, line.at, self.oddities), start_at, lines))
    }

    /// Walks over header lines up to the empty line or the end.
    #[inline]
    fn headers(&mut self, lines: &mut Lines<'_>, cut: Cut) {
        while let Some(line) = lines.next_whole() {
            if self.plain_line(line).is_some() {
                continue;
            }
            match line.text.first() {
                None => return,
                Some(b' ' | b'\t') => self.fold(line.text, line.at),
                Some(_) => self.header_line(line.text, line.at),
            }
        }
        self.last_line(lines, cut);
    }

    /// Takes in a line without an end, if there is one. Of one that the capture cut off only the whole parameters are
    /// taken: half a value would be taken for another one.
    fn last_line(&mut self, lines: &mut Lines<'_>, cut: Cut) {
        let Line { at, mut text, .. } = lines.next();
        if cut != Cut::Whole && !text.is_empty() {
            self.outline.ends_in_half_a_line = true;
            text = text.get(..places::whole_part(text)).unwrap_or_default();
        }
        match text.first() {
            None => {}
            Some(b' ' | b'\t') => self.fold(text, at),
            Some(_) => self.header_line(text, at),
        }
        // Of what the capture cut off, it is said elsewhere how much.
        if cut == Cut::Whole {
            self.oddities.push(Oddity::MessageCut { bytes: 0 });
        }
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
            Kept::Slot(slot) => self.outline.values.get_mut(slot),
            Kept::SecondVia => Some(&mut self.outline.second_via),
            Kept::Nowhere => None,
        };
        if let Some(known) = known {
            // A value of which nothing stands on the first line begins here.
            *known = if known.start == known.end { more } else { Place { end: more.end, ..*known } };
        }
    }

    /// Takes in a header line of the form that nearly all have. `None` if it has another one, or is none.
    #[inline]
    fn plain_line(&mut self, line: Line<'_>) -> Option<()> {
        let Named { length, slot } = key_name::begins(line.rest)?;
        match self.outline.values.get_mut(slot) {
            Some(known) if !known.is_set() => {
                let value = line.text.get(length..)?.strip_prefix(b": ").filter(|value| is_trimmed(value))?;
                // Nothing here can wrap: every place is one in the bytes.
                let end = line.at.wrapping_add(line.text.len());
                *known = Place::new(end.wrapping_sub(value.len())..end);
                self.last = Kept::Slot(slot);
            }
            Some(_) => return None,
            None => {
                let name = line.text.get(..length).filter(|name| is_trimmed(name) && !may_refer(name))?;
                self.outline.others |= bit_of_name(name);
                self.last = Kept::Nowhere;
            }
        }
        Some(())
    }

    /// Takes in any line that begins, at `at`, with no blank.
    fn header_line(&mut self, line: &[u8], at: usize) {
        self.last = Kept::Nowhere;
        let Some((name, [_, value @ ..])) = first_of::<b':'>(line).and_then(|colon| line.split_at_checked(colon))
        else {
            self.note_once(Oddity::NoColon);
            return;
        };
        let value_at = at.wrapping_add(name.len()).wrapping_add(1);
        let name = name.trim_ascii_end();
        let (before, behind) = blanks_around(value);
        let place = Place::new(value_at.wrapping_add(before)..value_at.wrapping_add(value.len()).wrapping_sub(behind));
        let slot = key_name::slot(name);
        if let Some(known) = self.outline.values.get_mut(slot) {
            if known.is_set() {
                self.keep_another(slot, place);
            } else {
                *known = place;
                self.last = Kept::Slot(slot);
            }
            return;
        }
        self.outline.others |= bit_of_name(name);
        if may_refer(name)
            && let Some(free) = self.outline.references.iter_mut().find(|(_, value)| !value.is_set())
        {
            *free = (Place::new(at..at.wrapping_add(name.len())), place);
        }
    }

    /// Keeps what is needed of a further line of a name.
    fn keep_another(&mut self, slot: usize, place: Place) {
        self.outline.repeated |= 1 << slot;
        match KEY_HEADERS.get(slot) {
            Some(HeaderName::Via) if !self.outline.second_via.is_set() => {
                self.outline.second_via = place;
                self.last = Kept::SecondVia;
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
    fn value_of(&self, name: HeaderName) -> Option<&'a [u8]> {
        self.outline.value(name, self.bytes)
    }

    fn note_once(&mut self, oddity: Oddity) {
        if !self.oddities.contains(&oddity) {
            self.oddities.push(oddity);
        }
    }

    /// Where the body ends: by Content-Length where there is one (RFC 3261 §18.3), else with the datagram.
    #[inline]
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

    /// What is wrong with the letters of a head of which not all are ASCII, or may be none.
    #[cold]
    fn remarks_on_letters(&mut self, head: &[u8]) {
        if std::str::from_utf8(head).is_err() {
            self.oddities.push(Oddity::NotUtf8);
        }
        if memchr(0, head).is_some() {
            self.oddities.push(Oddity::NulByte);
        }
    }

    fn remarks_on_presence(&mut self) {
        let missing = REQUIRED.into_iter().find(|name| self.value_of(*name).is_none());
        let Some(missing) = missing else { return };
        if !self.oddities.iter().any(|oddity| matches!(oddity, Oddity::MessageCut { .. })) {
            self.oddities.push(Oddity::MissingHeader { header: missing.long() });
        }
    }

    #[inline]
    fn cseq(&mut self, start: &StartLine) -> Option<CSeq> {
        let cseq = CSeq::read(self.value_of(HeaderName::CSeq)?);
        match (&cseq, start) {
            (None, _) => self.oddities.push(Oddity::BadCSeq),
            (Some(cseq), StartLine::Request { method, .. }) if cseq.method != *method => {
                self.oddities.push(Oddity::CSeqMethodDiffers);
            }
            _ => {}
        }
        cseq
    }

    #[inline]
    fn remarks_on_values(&mut self) {
        self.outline.from_tag = self.tag_of(HeaderName::From, self.outline.place(HeaderName::From));
        self.outline.to_tag = self.tag_of(HeaderName::To, self.outline.place(HeaderName::To));
        self.tag_of(HeaderName::Contact, self.outline.place(HeaderName::Contact));
        self.remark_on(HeaderName::Date, fault::of_date);
        self.remark_on(HeaderName::MaxForwards, fault::of_max_forwards);
        self.remark_on(HeaderName::Expires, fault::of_seconds);
        let via = self.outline.place(HeaderName::Via);
        match plain::branch(self.bytes, via) {
            Some(branch) => self.outline.branch = branch,
            None => self.remark_on(HeaderName::Via, fault::of_list),
        }
    }

    /// The tag of an address, if it has the plain form. Another form may be a faulty one.
    fn tag_of(&mut self, name: HeaderName, place: Place) -> Place {
        match plain::address(self.bytes, place) {
            Some(Address::Tagged(tag)) => tag,
            Some(Address::WithParameters) => Place::UNSET,
            None if !place.is_set() => Place::UNSET,
            None => self.remark_on_address(name),
        }
    }

    #[cold]
    fn remark_on_address(&mut self, name: HeaderName) -> Place {
        if let Some(fault) = self.value_of(name).and_then(|value| fault::of_address(name, value)) {
            self.note_once(fault);
        }
        Place::UNSET
    }

    #[inline]
    fn remark_on(&mut self, name: HeaderName, is_faulty: impl Fn(&[u8]) -> bool) {
        if self.value_of(name).is_some_and(is_faulty) {
            self.note_once(Oddity::BadHeader { header: name.long() });
        }
    }
}

/// True if it begins and ends with what is no blank.
#[inline]
fn is_trimmed(value: &[u8]) -> bool {
    matches!(value, [first, ..] if *first > b' ') && matches!(value, [.., last] if *last > b' ')
}

/// How many blanks stand before a value and behind it. Of most, one before it.
#[inline]
pub(super) fn blanks_around(value: &[u8]) -> (usize, usize) {
    match value {
        [b' ', value @ ..] if is_trimmed(value) => (1, 0),
        _ => {
            let trimmed = value.trim_ascii_start();
            let behind = trimmed.len().saturating_sub(trimmed.trim_ascii_end().len());
            (value.len().saturating_sub(trimmed.len()), behind)
        }
    }
}

/// True for names of headers that may tell which call a message belongs to.
#[inline]
fn may_refer(name: &[u8]) -> bool {
    match name {
        [b'x' | b'X', behind @ ..] => behind.starts_with(b"-"),
        [first, behind @ ..] => matches!((behind.len(), first | 0x20), (9, b's' | b'c') | (16, b'p')),
        [] => false,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::sip::Message;

    /// Header lines in plain forms and in others.
    const LINES: &[&str] = &[
        "Via: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bKa\r\n",
        "v:a\r\n",
        "VIA: a;b , c\r\n",
        "From: <sip:a@b>;tag=c\r\n",
        "f: x\r\n",
        "To:\t<sip:a@b>\r\n",
        "to: \r\n",
        "Call-ID : a@b\r\n",
        "call-id: a \r\n",
        "CSeq: 1 INVITE\r\n",
        "Contact: <sip:a@b>\n",
        "Contact: *\r\n",
        "Max-Forwards: 70\r\n",
        "Expires:\r\n",
        "Expires: 1\r\n",
        "Warning\r\n",
        "Subject: to: a\r\n",
        "User-Agent: a\r\n",
        "X-To: a\r\n",
        "X-Y: a:b\r\n",
        " fold: ed\r\n",
        "\tfolded\r\n",
        "Proxy-Authorization: a\r\n",
        "P-Asserted-Identity: <sip:a@b>\r\n",
        "ü: a\r\n",
        ": a\r\n",
        "no colon\r\n",
        "\r\r\n",
        "Session-ID: a\r\n",
        "Replaces: a\r\n",
        "Content-Length: 5\r\n",
        "l: 0\r\n",
    ];

    proptest! {
        #[test]
        fn what_it_finds_is_the_first_header_of_its_name(
            lines in proptest::collection::vec(proptest::sample::select(LINES), 0..12),
            body in "(\r\n[a-z:\r\n ]{0,30})?",
        ) {
            let text = format!("INVITE sip:a@b SIP/2.0\r\n{}{body}", lines.concat());
            let message = Message::read(text.as_bytes(), Cut::Whole).unwrap();
            for name in KEY_HEADERS {
                let first = message.raw_headers().find(|(known, _, _)| *known == name).map(|(_, _, value)| value.trim_ascii());
                prop_assert_eq!(message.header_bytes(name), first, "{}", name.long());
            }
        }
    }
}
