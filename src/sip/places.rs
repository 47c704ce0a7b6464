//! Where every header of a message stands. Found when a header is asked for that the outline does not know.

use memchr::memrchr;

use crate::sip::frame;
use crate::sip::header::HeaderName;
use crate::sip::lines::{Line, Lines};
use crate::sip::outline::Outline;
use crate::sip::swift::first_of;
use crate::sip::walk::blanks_around;

/// Where a header stands in its message's bytes.
#[derive(Debug, Clone, Copy)]
pub(super) struct HeaderPlace {
    pub(super) name: HeaderName,
    name_start: u32,
    name_end: u32,
    value_start: u32,
    value_end: u32,
}

impl HeaderPlace {
    /// The name as it was sent.
    pub(super) fn sent_name<'a>(&self, bytes: &'a [u8]) -> &'a [u8] {
        bytes.get(self.name_start as usize..self.name_end as usize).unwrap_or_default()
    }

    /// The value, folded as it came.
    pub(super) fn value<'a>(&self, bytes: &'a [u8]) -> &'a [u8] {
        bytes.get(self.value_start as usize..self.value_end as usize).unwrap_or_default()
    }

    /// The whole line, name and value.
    pub(super) fn line<'a>(&self, bytes: &'a [u8]) -> &'a [u8] {
        bytes.get(self.name_start as usize..self.value_end as usize).unwrap_or_default()
    }
}

/// Where every header of a message stands, in order.
#[derive(Debug, Clone)]
pub(super) struct Places {
    all: Vec<HeaderPlace>,
    /// A bit for each name that is there: most questions are for headers that a message does not have.
    names: u64,
}

impl Places {
    /// All of them.
    pub(super) fn all(&self) -> &[HeaderPlace] {
        &self.all
    }

    /// Those among which the headers of this name stand; none if there is none.
    pub(super) fn with(&self, name: HeaderName) -> &[HeaderPlace] {
        if self.names & bit(name) == 0 { &[] } else { &self.all }
    }
}

fn bit(name: HeaderName) -> u64 {
    1u64.wrapping_shl(u32::from(name as u8))
}

/// Finds every header. Of half a line at the end of a message that the capture cut off, the whole parameters are taken.
pub(super) fn find(bytes: &[u8], outline: &Outline) -> Places {
    let whole = match outline.ends_in_half_a_line {
        true => {
            let start = memrchr(b'\n', bytes).map_or(0, |end| end.saturating_add(1));
            let part = whole_part(bytes.get(start..).unwrap_or_default());
            bytes.get(..start.saturating_add(part)).unwrap_or_default()
        }
        false => bytes,
    };
    // Where the message begins may be told by the very line that was cut off.
    let all = walk(whole, frame::start_of_message(bytes).unwrap_or(0));
    let names = all.iter().fold(0, |names, place| names | bit(place.name));
    Places { all, names }
}

/// How much of a header line without its end is whole: up to its last `;` outside of quotes and brackets. Credentials,
/// whose parameters stand between commas, are worth nothing in part, and neither is a Reason without its cause.
pub(super) fn whole_part(line: &[u8]) -> usize {
    let (mut whole, mut is_quoted, mut is_in_brackets, mut in_value) = (0, false, false, false);
    for (at, byte) in line.iter().enumerate() {
        match byte {
            b'"' => is_quoted = !is_quoted,
            b'<' if !is_quoted => is_in_brackets = true,
            b'>' if !is_quoted => is_in_brackets = false,
            b':' => in_value = true,
            b';' if in_value && !is_quoted && !is_in_brackets => whole = at,
            _ => {}
        }
    }
    match line.first() {
        Some(b' ' | b'\t') => 0,
        _ if is_reason(line) => whole_reasons(line, whole),
        _ => whole,
    }
}

fn is_reason(line: &[u8]) -> bool {
    let name = line.split(|byte| *byte == b':').next().unwrap_or_default();
    HeaderName::read(name.trim_ascii_end()) == HeaderName::Reason
}

/// How much of a line of Reasons (RFC 3326) without its end is whole, of which so much is whole as of any header: the
/// values before the last one, and that one if its cause stands there. The protocol alone says nothing.
fn whole_reasons(line: &[u8], whole: usize) -> usize {
    let (mut is_quoted, mut last, mut in_value) = (false, 0, false);
    for (at, byte) in line.iter().enumerate() {
        match byte {
            b'"' => is_quoted = !is_quoted,
            b':' if !in_value => in_value = true,
            b',' if in_value && !is_quoted => last = at,
            _ => {}
        }
    }
    let has_cause = || {
        let value = line.get(last..whole).unwrap_or_default().to_ascii_lowercase();
        value.split(|byte| *byte == b';').any(|part| part.trim_ascii().starts_with(b"cause"))
    };
    if whole > last && has_cause() { whole } else { last }
}

fn walk(bytes: &[u8], start_at: usize) -> Vec<HeaderPlace> {
    let mut places: Vec<HeaderPlace> = Vec::with_capacity(20);
    let mut lines = Lines::new(bytes, start_at);
    // The start line is no header.
    lines.next();
    let mut kept = false;
    loop {
        let Line { at: start, text, .. } = lines.next();
        match text.first() {
            // An empty line, or the end of the bytes.
            None => break,
            Some(b' ' | b'\t') => {
                let end = start.saturating_add(text.trim_ascii_end().len());
                if let Some(last) = places.last_mut().filter(|_| kept && end > start) {
                    last.value_end = narrow(end);
                }
            }
            Some(_) => {
                let place = header(text, start);
                kept = place.is_some();
                places.extend(place);
            }
        }
    }
    places
}

/// The header on a line that begins at `start`; `None` without a colon.
fn header(text: &[u8], start: usize) -> Option<HeaderPlace> {
    let colon = first_of::<b':'>(text)?;
    let name = text.get(..colon)?.trim_ascii_end();
    let (before, behind) = blanks_around(text.get(colon.saturating_add(1)..)?);
    let value_end = start.saturating_add(text.len().saturating_sub(behind));
    let value_start = start.saturating_add(colon).saturating_add(1).saturating_add(before).min(value_end);
    Some(HeaderPlace {
        name: HeaderName::read(name),
        name_start: narrow(start),
        name_end: narrow(start.saturating_add(name.len())),
        value_start: narrow(value_start),
        value_end: narrow(value_end),
    })
}

/// Places are kept in 32 bits: messages are far shorter.
fn narrow(at: usize) -> u32 {
    u32::try_from(at).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_without_its_cause_is_no_reason() {
        let kept = |line: &str| {
            String::from_utf8_lossy(line.as_bytes().get(..whole_part(line.as_bytes())).unwrap()).into_owned()
        };
        for (line, whole) in [
            ("Reason: SIP;cau", ""),
            ("Reason: SIP;cause=20", ""),
            ("Reason: SIP;text=\"a, b\";cau", ""),
            ("Reason: SIP;cause=200;te", "Reason: SIP;cause=200"),
            ("Reason: Q.850;cause=16, SI", "Reason: Q.850;cause=16"),
            ("Reason: Q.850;cause=16, SIP;cau", "Reason: Q.850;cause=16"),
            ("reason : Q.850;cause=16 , SIP ;cause=200;t", "reason : Q.850;cause=16 , SIP ;cause=200"),
            ("Contact: <sip:a@example.com>;exp", "Contact: <sip:a@example.com>"),
        ] {
            assert_eq!(kept(line), whole, "{line}");
        }
    }
}
