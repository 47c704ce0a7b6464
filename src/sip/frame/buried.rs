//! A start line behind other bytes of the same line.
//!
//! A body may end without a line feed, and the capture may have missed its message; or the connection began with bytes of a
//! proxy. What quotes a message, as a log does, has a space or a mark before it.

use memchr::memchr_iter;

/// What stands before the first space of a start line (RFC 3261 §7.1, §7.2). Only methods that are known: of others nobody
/// can say where they begin.
const WORDS: [&[u8]; 15] = [
    b"SIP/2.0",
    b"INVITE",
    b"PRACK",
    b"ACK",
    b"BYE",
    b"CANCEL",
    b"REGISTER",
    b"OPTIONS",
    b"UPDATE",
    b"INFO",
    b"REFER",
    b"SUBSCRIBE",
    b"NOTIFY",
    b"PUBLISH",
    b"MESSAGE",
];

/// Where something that may be a start line begins, behind the first byte of a line.
pub(super) fn start_in(line: &[u8]) -> Option<usize> {
    memchr_iter(b' ', line).find_map(|space| {
        let (before, behind) = line.split_at_checked(space)?;
        // The longest: PRACK ends as ACK does.
        let word = WORDS.iter().filter(|word| before.ends_with(word)).max_by_key(|word| word.len())?;
        let at = space.checked_sub(word.len())?;
        let is_quoted = before.get(at.checked_sub(1)?).is_some_and(|byte| is_mark(*byte));
        let goes_on = match word.first() {
            Some(b'S') if word.contains(&b'/') => matches!(behind.get(1), Some(b'1'..=b'6')),
            _ => behind.get(1).is_some_and(u8::is_ascii_alphabetic),
        };
        (!is_quoted && goes_on).then_some(at)
    })
}

/// Bytes at the end of a line that is not whole yet, which may begin a start line once more has come, and the byte before
/// them, which says whether they are quoted.
pub(super) fn may_begin(line: &[u8]) -> usize {
    let begins = |word: &[u8], length: usize| {
        let (known, space) = (length.min(word.len()), length > word.len());
        let end = line.len().checked_sub(length).and_then(|at| line.get(at..)).unwrap_or_default();
        end.get(..known) == word.get(..known) && (!space || end.last() == Some(&b' '))
    };
    let longest = |word: &&[u8]| (1..=word.len().saturating_add(1)).rev().find(|length| begins(word, *length));
    let length = WORDS.iter().filter_map(longest).max().unwrap_or(0);
    length.saturating_add(1).min(line.len())
}

/// What a log or a document sets before a message that it quotes.
fn is_mark(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'"' | b'\'' | b':' | b'=' | b'(' | b'[' | b'/')
}
