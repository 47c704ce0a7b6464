//! A piece of a stream in memory, in one buffer that is used again and again.
//!
//! Knows how far into the stream it is. Is given a reader; gives the bytes that come next, at least as many as were
//! asked for if there are so many. Deliberately does not know what they mean.

use std::io;
use std::io::Read;
use std::ops::Range;

/// The bytes of a stream that come next.
#[derive(Debug)]
pub(super) struct Window<R> {
    source: R,
    buffer: Vec<u8>,
    start: usize,
    end: usize,
    offset: u64,
    ended: Option<Ended>,
}

/// Why nothing more comes.
#[derive(Debug)]
pub(super) enum Ended {
    /// The stream is over.
    Whole,
    /// It could not be read further.
    Failed(io::Error),
}

impl<R: Read> Window<R> {
    /// A window that reads `size` bytes at a time.
    pub(super) fn new(source: R, size: usize) -> Window<R> {
        Window { source, buffer: vec![0; size], start: 0, end: 0, offset: 0, ended: None }
    }

    /// The bytes that are here.
    #[inline]
    pub(super) fn bytes(&self) -> &[u8] {
        self.buffer.get(self.start..self.end).unwrap_or_default()
    }

    /// Bytes behind those that were consumed, as long as nothing was filled since.
    #[inline]
    pub(super) fn at(&self, range: Range<usize>) -> &[u8] {
        self.buffer.get(range).unwrap_or_default()
    }

    /// Where in the buffer the next byte stands.
    #[inline]
    pub(super) fn position(&self) -> usize {
        self.start
    }

    /// Where in the stream the next byte stands.
    pub(super) fn offset(&self) -> u64 {
        self.offset
    }

    /// Goes on by `count` bytes, or to the end of what is here.
    #[inline]
    pub(super) fn consume(&mut self, count: usize) {
        let count = count.min(self.end.saturating_sub(self.start));
        self.start = self.start.saturating_add(count);
        self.offset = self.offset.saturating_add(count as u64);
    }

    /// Reads until `wanted` bytes are here or the stream ends; gives how many are here. The caller bounds `wanted`:
    /// the buffer grows to hold as many.
    pub(super) fn fill(&mut self, wanted: usize) -> usize {
        while self.bytes().len() < wanted && self.ended.is_none() {
            self.read_more(wanted);
        }
        self.bytes().len()
    }

    /// Goes on by `count` bytes of any number, keeping none of them; gives how many there were.
    pub(super) fn skip(&mut self, count: u64) -> u64 {
        let mut skipped = 0;
        while skipped < count {
            let here = self.fill(1) as u64;
            if here == 0 {
                break;
            }
            let step = here.min(count.saturating_sub(skipped));
            self.consume(usize::try_from(step).unwrap_or(usize::MAX));
            skipped = skipped.saturating_add(step);
        }
        skipped
    }

    /// True if nothing comes behind the bytes that are here.
    pub(super) fn has_ended(&self) -> bool {
        self.ended.is_some()
    }

    /// What ended the stream before its time; told once.
    pub(super) fn take_failure(&mut self) -> Option<io::Error> {
        match self.ended.replace(Ended::Whole) {
            Some(Ended::Failed(error)) => Some(error),
            Some(Ended::Whole) => None,
            None => {
                self.ended = None;
                None
            }
        }
    }

    /// The reader beneath.
    pub(super) fn source(&self) -> &R {
        &self.source
    }

    /// The reader beneath, to be asked for more than bytes.
    pub(super) fn source_mut(&mut self) -> &mut R {
        &mut self.source
    }

    #[cold]
    fn read_more(&mut self, wanted: usize) {
        self.buffer.copy_within(self.start..self.end, 0);
        self.end = self.end.saturating_sub(self.start);
        self.start = 0;
        if self.buffer.len() < wanted {
            self.buffer.resize(wanted.checked_next_power_of_two().unwrap_or(wanted), 0);
        }
        match self.source.read(self.buffer.get_mut(self.end..).unwrap_or_default()) {
            Ok(0) => self.ended = Some(Ended::Whole),
            Ok(count) => self.end = self.end.saturating_add(count).min(self.buffer.len()),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => self.ended = Some(Ended::Failed(error)),
        }
    }
}
