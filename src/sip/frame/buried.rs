//! A start line behind other bytes of the same line.
//!
//! A body may end without a line feed, and the capture may have missed its message; or the connection began with bytes
//! of a proxy. What quotes a message, as a log does, has a space or a mark before it.

use memchr::{memchr_iter, memrchr};

use crate::sip::Method;
use crate::sip::frame::has_version;

/// What a status line begins with (RFC 3261 §7.2).
const VERSION: &[u8] = b"SIP/2.0";
/// Bytes of a line that is not whole yet which are kept at most, the one before the start line included. In a whole
/// line no longer start line is believed either, or what is found would depend on how the stream was cut.
const LONGEST: usize = 4096;

/// Where a start line begins behind the first byte of a whole line. Its URI holds no space here, or nobody could say
/// which word is the method.
pub(super) fn start_in(line: &[u8]) -> Option<usize> {
    let farthest = line.len().saturating_sub(LONGEST);
    let is_kept = |at: &usize| *at > farthest;
    let line = line.trim_ascii_end();
    if has_version(line) {
        let before_version = line.get(..memrchr(b' ', line)?)?;
        return begins_at(line, memrchr(b' ', before_version)?).filter(is_kept);
    }
    let is_status = |at: &usize| {
        let behind = line.get(at.saturating_add(VERSION.len())..).unwrap_or_default();
        matches!(behind, [b' ', b'1'..=b'6', b'0'..=b'9', b'0'..=b'9', rest @ ..] if matches!(rest, [] | [b' ', ..]))
    };
    memchr_iter(b' ', line).filter_map(|space| begins_at(line, space)).filter(is_kept).find(is_status)
}

/// Bytes at the end of a line that is not whole yet which may begin a start line once more has come, and the byte
/// before them, which says whether they are quoted.
pub(super) fn may_begin(line: &[u8]) -> usize {
    let line = line.get(line.len().saturating_sub(LONGEST)..).unwrap_or_default();
    let begun = memchr_iter(b' ', line).find_map(|space| begins_at(line, space));
    let length = begun.map_or_else(|| begun_word(line), |at| line.len().saturating_sub(at));
    length.saturating_add(1).min(line.len())
}

/// What stands before the first space of a start line (RFC 3261 §7.1, §7.2). Only methods that are known: of others
/// nobody can say where they begin.
fn words() -> impl Iterator<Item = &'static [u8]> {
    Method::NAMES.iter().map(|name| name.as_bytes()).chain([VERSION])
}

/// Where the word before a space begins, if it is one of a start line and not quoted.
fn begins_at(line: &[u8], space: usize) -> Option<usize> {
    let before = line.get(..space)?;
    // The longest: PRACK ends as ACK does.
    let word = words().filter(|word| before.ends_with(word)).max_by_key(|word| word.len())?;
    let at = space.checked_sub(word.len())?;
    let is_quoted = before.get(at.checked_sub(1)?).is_some_and(|byte| is_mark(*byte));
    (!is_quoted).then_some(at)
}

/// Bytes at the end of the line with which such a word begins.
fn begun_word(line: &[u8]) -> usize {
    let longest = |word: &[u8]| {
        (1..=word.len()).rev().find(|length| word.get(..*length).is_some_and(|begun| line.ends_with(begun)))
    };
    words().filter_map(longest).max().unwrap_or(0)
}

/// What a log or a document sets before a message that it quotes.
fn is_mark(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'"' | b'\'' | b':' | b'=' | b'(' | b'[' | b'/')
}
