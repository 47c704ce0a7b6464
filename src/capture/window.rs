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
    /// Bytes of the buffer as long as nothing larger is wanted.
    size: usize,
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
        Window { source, buffer: vec![0; size], size, start: 0, end: 0, offset: 0, ended: None }
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

    /// Says that more may have come behind the end, as in a file that is being written.
    pub(super) fn revive(&mut self) {
        if matches!(self.ended, Some(Ended::Whole)) {
            self.ended = None;
        }
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
        self.make_room(wanted);
        match self.source.read(self.buffer.get_mut(self.end..).unwrap_or_default()) {
            Ok(0) => self.ended = Some(Ended::Whole),
            Ok(count) => self.end = self.end.saturating_add(count).min(self.buffer.len()),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => self.ended = Some(Ended::Failed(error)),
        }
    }

    /// Moves bytes to the front only when no more are moved than were consumed since the last time, and gives back
    /// what a search needed: neither time nor memory depends on how often a file is damaged.
    fn make_room(&mut self, wanted: usize) {
        let here = self.end.saturating_sub(self.start);
        if here <= self.start || self.end >= self.buffer.len() {
            self.buffer.copy_within(self.start..self.end, 0);
            (self.start, self.end) = (0, here);
            if self.buffer.len() > self.size && here.max(wanted) < self.size {
                self.buffer.truncate(self.size);
                self.buffer.shrink_to_fit();
            }
        }
        if self.buffer.len().saturating_sub(self.start) < wanted {
            let size = wanted.saturating_mul(2);
            self.buffer.resize(size.checked_next_power_of_two().unwrap_or(size), 0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_the_same_however_they_are_asked_for() {
        let stream: Vec<u8> = (0..100_000_u32).flat_map(u32::to_le_bytes).collect();
        let mut window = Window::new(&stream[..], 64);
        let (mut place, mut step) = (0, 1);
        while window.fill(step) > 0 {
            let here = window.bytes().len();
            assert!(here >= step || place + here == stream.len());
            assert_eq!(window.bytes(), &stream[place..place + here]);
            assert_eq!(window.offset(), place as u64);
            let consumed = here.min(step / 2 + 1);
            window.consume(consumed);
            place += consumed;
            step = (step * 7 + 3) % 9_001 + 1;
        }
        assert_eq!(place, stream.len());
    }

    #[test]
    fn a_large_wish_is_forgotten_when_it_is_over() {
        let stream = vec![7; 100_000];
        let mut window = Window::new(&stream[..], 64);
        window.fill(10_000);
        window.consume(20_000);
        while window.fill(16) > 0 {
            window.consume(16);
        }
        assert_eq!(window.buffer.len(), 64);
    }

    #[test]
    fn what_ended_a_stream_is_told_once() {
        struct Broken;
        impl Read for Broken {
            fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
                Err(io::Error::other("broken"))
            }
        }
        let mut window = Window::new((&b"abc"[..]).chain(Broken), 64);
        assert_eq!(window.fill(10), 3);
        assert!(window.take_failure().is_some_and(|error| error.to_string() == "broken"));
        assert!(window.take_failure().is_none() && window.has_ended());
    }
}
