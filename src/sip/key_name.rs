//! Which lines of a message carry the headers that every message is matched by.
//!
//! Every header line of a capture is asked for its name, so a name is told by one look at the sixteen bytes with which
//! its line begins.

use wide::u8x16;

use crate::sip::swift::is;

/// Bytes of a line that are looked at together.
const LANES: usize = 16;

/// The long names of [`super::outline::KEY_HEADERS`] in small letters, in that order.
const NAMES: [&str; 19] = [
    "via",
    "from",
    "to",
    "call-id",
    "cseq",
    "contact",
    "content-length",
    "max-forwards",
    "expires",
    "date",
    "authorization",
    PROXY_AUTHORIZATION,
    "retry-after",
    "session-expires",
    "replaces",
    "user-agent",
    "server",
    "reason",
    "warning",
];

/// The one name that is longer than what is looked at together.
const PROXY_AUTHORIZATION: &str = "proxy-authorization";

/// The slots of a table by the length of a name and its third byte, in which each name has one of its own.
const SLOTS: usize = 64;

/// A name as a line begins with it.
#[derive(Clone, Copy)]
struct Begin {
    /// The name in small letters, and its colon.
    line: [u8; LANES],
    /// What makes capitals small, for each letter of the name: other signs have but one form.
    to_small: [u8; LANES],
    /// Where the name stands in [`NAMES`].
    slot: u8,
}

#[allow(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::panic,
    reason = "worked out by the compiler, which would refuse what is out of range"
)]
static TABLE: [Begin; SLOTS] = {
    let mut table = [Begin { line: [0; LANES], to_small: [0; LANES], slot: 0 }; SLOTS];
    let mut slot = 0;
    while slot < NAMES.len() {
        let name = NAMES[slot].as_bytes();
        if name.len() < LANES {
            let third = if name.len() > 2 { name[2] } else { b':' };
            let begin = &mut table[index(name.len(), third)];
            assert!(begin.line[0] == 0, "two names have the same place");
            let mut at = 0;
            while at < name.len() {
                begin.line[at] = name[at];
                begin.to_small[at] = if name[at].is_ascii_lowercase() { 0x20 } else { 0 };
                at += 1;
            }
            begin.line[at] = b':';
            begin.slot = slot as u8;
        }
        slot += 1;
    }
    table
};

const fn index(length: usize, third: u8) -> usize {
    (length << 4 ^ (third | 0x20) as usize) % SLOTS
}

/// What a line begins with.
#[derive(Clone, Copy)]
pub(super) struct Named {
    /// Where its first colon stands.
    pub(super) length: usize,
    /// The slot of the key header; [`NO_SLOT`] if it is of none.
    pub(super) slot: usize,
}

/// Stands for a header that is none of the key headers.
pub(super) const NO_SLOT: usize = u8::MAX as usize;

/// The name with which a line begins, up to the first colon. `None` if that takes a closer look: a long name, or none
/// at all. What stands behind the line is looked at, too.
#[inline]
pub(super) fn begins(rest: &[u8]) -> Option<Named> {
    let line = rest.first_chunk::<LANES>()?;
    let colons = is::<b':'>(u8x16::from(*line)).to_bitmask();
    if colons == 0 {
        return None;
    }
    let length = colons.trailing_zeros() as usize;
    Some(Named { length, slot: slot_of_line(line, length) })
}

/// The slot of a key header by its name, in any spelling, long or compact; [`NO_SLOT`] if it is of none.
pub(super) fn slot(name: &[u8]) -> usize {
    let mut line = [0; LANES];
    match line.split_at_mut_checked(name.len()) {
        Some((begin, [colon, ..])) => {
            begin.copy_from_slice(name);
            *colon = b':';
            slot_of_line(&line, name.len())
        }
        _ if name.eq_ignore_ascii_case(PROXY_AUTHORIZATION.as_bytes()) => slot_of(PROXY_AUTHORIZATION),
        _ => NO_SLOT,
    }
}

/// The same for a line, by its first bytes and the place of the colon in them.
#[inline]
fn slot_of_line(line: &[u8; LANES], length: usize) -> usize {
    let [first, _, third, ..] = line;
    let Some(begin) = TABLE.get(index(length, *third)) else { return NO_SLOT };
    let small = u8x16::from(*line) | u8x16::from(begin.to_small);
    // The colon is compared, too: what has no name in the table has none there.
    let as_known = small.simd_eq(u8x16::from(begin.line)).to_bitmask();
    match as_known.trailing_ones() as usize > length {
        true => usize::from(begin.slot),
        false if length == 1 => slot_of_compact(*first),
        false => NO_SLOT,
    }
}

/// Compact forms (RFC 3261 §7.3.3, RFC 4028 §4).
#[cold]
fn slot_of_compact(letter: u8) -> usize {
    slot_of(match letter | 0x20 {
        b'v' => "via",
        b'f' => "from",
        b't' => "to",
        b'i' => "call-id",
        b'm' => "contact",
        b'l' => "content-length",
        b'x' => "session-expires",
        _ => return NO_SLOT,
    })
}

fn slot_of(name: &str) -> usize {
    NAMES.iter().position(|known| *known == name).unwrap_or(NO_SLOT)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sip::header::HeaderName;
    use crate::sip::outline::KEY_HEADERS;

    #[test]
    fn each_key_header_is_known_in_any_spelling() {
        for (slot_of_name, known) in KEY_HEADERS.into_iter().enumerate() {
            for name in [known.long().to_owned(), known.long().to_lowercase(), known.long().to_uppercase()] {
                assert_eq!(slot(name.as_bytes()), slot_of_name, "{name}");
                let line = format!("{name}: a value that is long enough");
                let begun = begins(line.as_bytes()).map(|named| (named.length, named.slot));
                assert_eq!(begun, (name.len() < LANES).then_some((name.len(), slot_of_name)), "{name}");
            }
        }
    }

    #[test]
    fn no_other_name_is_taken_for_one() {
        for letter in 0..=u8::MAX {
            let known = HeaderName::read(&[letter]);
            let expected = KEY_HEADERS.iter().position(|key| *key == known).unwrap_or(NO_SLOT);
            assert_eq!(slot(&[letter]), expected, "{letter}");
        }
        for name in
            ["Call\rID", "Call-I", "Content-Type", "Vi", "Via\0", "Proxy-Authenticate", "", "Proxy-Authorizatio"]
        {
            assert_eq!(slot(name.as_bytes()), NO_SLOT, "{name}");
        }
    }
}
