//! The lines of a message.

use crate::sip::swift::Every;

/// The lines of a message, one after the other. Apart from what walks over them, so that the compiler keeps their
/// places in registers.
pub(super) struct Lines<'a> {
    bytes: &'a [u8],
    at: usize,
    /// The line feeds from `at` on.
    line_feeds: Every<'a, b'\n'>,
}

/// One line of a message.
#[derive(Clone, Copy)]
pub(super) struct Line<'a> {
    /// Where it begins.
    pub(super) at: usize,
    /// The line without its end.
    pub(super) text: &'a [u8],
    /// The line and all that stands behind it.
    pub(super) rest: &'a [u8],
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

    /// The next line; what is left where no further line ends, and an empty one at the end of the bytes.
    #[inline]
    pub(super) fn next(&mut self) -> Line<'a> {
        self.next_whole().unwrap_or_else(|| {
            let at = std::mem::replace(&mut self.at, self.bytes.len());
            let rest = self.bytes.get(at..).unwrap_or_default();
            Line { at, text: rest, rest }
        })
    }

    /// The next line that has an end.
    #[inline]
    pub(super) fn next_whole(&mut self) -> Option<Line<'a>> {
        let at = self.at;
        let end = self.line_feeds.next()?;
        // Nothing here can wrap: every place is one in `bytes`.
        self.at = end.wrapping_add(1);
        let rest = self.bytes.get(at..)?;
        let text = rest.get(..end.wrapping_sub(at))?;
        Some(Line { at, text: text.strip_suffix(b"\r").unwrap_or(text), rest })
    }

    /// True only if no byte of the lines so far is zero or beyond ASCII. Some bytes around are looked at, too.
    #[inline]
    pub(super) fn saw_plain_text_only(&self) -> bool {
        self.line_feeds.saw_plain_text_only()
    }
}
