//! The lines of a message.

use crate::sip::swift::Every;

/// The lines of a message, one after the other. Apart from what walks over them, so that the compiler keeps their places
/// in registers.
pub(super) struct Lines<'a> {
    bytes: &'a [u8],
    at: usize,
    /// The line feeds from `at` on.
    line_feeds: Every<'a, b'\n'>,
}

impl<'a> Lines<'a> {
    /// Those from `at` on.
    #[inline]
    pub(super) fn new(bytes: &'a [u8], at: usize) -> Lines<'a> {
        let at = at.min(bytes.len());
        Lines { bytes, at, line_feeds: Every::new(bytes, at) }
    }

    /// Behind the last line that was given; the end of the bytes if there is no other.
    #[inline]
    pub(super) fn at(&self) -> usize {
        self.at
    }

    /// Where the next line begins, and the line without its end; an empty one at the end of the bytes.
    #[inline]
    pub(super) fn next(&mut self) -> (usize, &'a [u8]) {
        let start = self.at;
        let end = self.line_feeds.next();
        // Nothing here can wrap: every place is one in `bytes`.
        self.at = end.map_or(self.bytes.len(), |end| end.wrapping_add(1));
        let line = self.bytes.get(start..end.unwrap_or(self.bytes.len())).unwrap_or_default();
        match line {
            [line @ .., b'\r'] if end.is_some() => (start, line),
            _ => (start, line),
        }
    }

    /// True only if no byte of the lines so far is zero or beyond ASCII. Some bytes around are looked at, too.
    #[inline]
    pub(super) fn saw_plain_text_only(&self) -> bool {
        self.line_feeds.saw_plain_text_only()
    }
}
