//! Lines on their way to standard output: whoever reads them may be slow, and the packets do not wait.
//!
//! A thread of its own writes. Lines that find no room are dropped and counted. Deliberately does not know what stands
//! in them.

use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// Bytes that are written at a time.
const PIECE: usize = 64 << 10;
/// A reader that takes nothing for so long when all is over is not waited for: a signal ends the run in two seconds.
const LAST_WAIT: Duration = Duration::from_millis(1200);

/// Lines that wait for their reader.
pub(crate) struct Lines {
    sender: Option<Sender<Vec<u8>>>,
    writer: Option<JoinHandle<()>>,
    shared: Arc<Shared>,
    /// Bytes that may wait.
    room: u64,
    /// Lines that were not handed to the thread: waking it for each would cost more than writing them does.
    gathered: Vec<u8>,
    sent: u64,
    /// Lines that were dropped, and how many of them were told.
    dropped: u64,
    told: u64,
}

#[derive(Debug, Default)]
struct Shared {
    /// Bytes that were taken by the reader.
    written: AtomicU64,
    /// The reader went away.
    is_gone: AtomicBool,
    /// Writing failed for another reason.
    has_failed: AtomicBool,
}

impl Lines {
    /// Lines to this writer, of which so many bytes may wait.
    pub(crate) fn new(out: impl Write + Send + 'static, room: usize) -> Lines {
        let (sender, receiver) = mpsc::channel();
        let shared = Arc::new(Shared::default());
        let of_thread = Arc::clone(&shared);
        let writer = thread::spawn(move || write_all(out, &receiver, &of_thread));
        Lines {
            sender: Some(sender),
            writer: Some(writer),
            shared,
            room: room as u64,
            gathered: Vec::new(),
            sent: 0,
            dropped: 0,
            told: 0,
        }
    }

    /// Puts lines into the queue; they are dropped if there is no room. They are written when [`Lines::hand_over`] says
    /// so, or when there are many.
    pub(crate) fn put(&mut self, lines: &[u8]) {
        if self.waiting() + lines.len() as u64 > self.room {
            self.dropped += memchr::memchr_iter(b'\n', lines).count() as u64;
            return;
        }
        self.gathered.extend_from_slice(lines);
        if self.gathered.len() >= PIECE {
            self.hand_over();
        }
    }

    /// Lets what was put be written now.
    pub(crate) fn hand_over(&mut self) {
        if !self.gathered.is_empty() {
            let gathered = std::mem::take(&mut self.gathered);
            self.send(gathered);
        }
    }

    /// Puts something into the queue that must not be dropped: the report at the end.
    pub(crate) fn put_whole(&mut self, bytes: Vec<u8>) {
        self.hand_over();
        self.send(bytes);
    }

    fn send(&mut self, bytes: Vec<u8>) {
        self.sent += bytes.len() as u64;
        if let Some(sender) = &self.sender {
            // It can only fail when the reader is gone, which is asked for elsewhere.
            let _ = sender.send(bytes);
        }
    }

    /// Bytes that are not written.
    fn waiting(&self) -> u64 {
        let written = self.shared.written.load(Ordering::Relaxed);
        self.sent.saturating_sub(written) + self.gathered.len() as u64
    }

    /// Lines that were dropped since this was last asked.
    pub(crate) fn newly_dropped(&mut self) -> u64 {
        // There is nothing to tell as long as it would be dropped too.
        if self.waiting() * 2 > self.room {
            return 0;
        }
        let newly = self.dropped - self.told;
        self.told = self.dropped;
        newly
    }

    /// True if the reader went away.
    pub(crate) fn is_gone(&self) -> bool {
        self.shared.is_gone.load(Ordering::Relaxed)
    }

    /// Waits until all is written, as long as the reader takes anything.
    ///
    /// # Errors
    /// It cannot be written, or the reader takes nothing.
    pub(crate) fn finish(mut self) -> io::Result<()> {
        self.hand_over();
        self.sender = None;
        let Some(writer) = self.writer.take() else { return Ok(()) };
        let (mut taken, mut since) = (0, Instant::now());
        while !writer.is_finished() {
            let now = self.shared.written.load(Ordering::Relaxed);
            if now != taken {
                (taken, since) = (now, Instant::now());
            }
            if since.elapsed() >= LAST_WAIT {
                return Err(io::Error::new(io::ErrorKind::TimedOut, "the reader of standard output takes nothing"));
            }
            thread::sleep(Duration::from_millis(2));
        }
        match (self.is_gone(), self.shared.has_failed.load(Ordering::Relaxed)) {
            (true, _) => Err(io::ErrorKind::BrokenPipe.into()),
            (false, true) => Err(io::Error::other("standard output cannot be written")),
            (false, false) => Ok(()),
        }
    }
}

/// Writes what comes, and flushes whenever nothing more waits.
fn write_all(mut out: impl Write, receiver: &Receiver<Vec<u8>>, shared: &Shared) {
    while let Ok(mut bytes) = receiver.recv() {
        while bytes.len() < PIECE
            && let Ok(more) = receiver.try_recv()
        {
            bytes.extend_from_slice(&more);
        }
        for piece in bytes.chunks(PIECE) {
            match out.write_all(piece).and_then(|()| out.flush()) {
                Ok(()) => shared.written.fetch_add(piece.len() as u64, Ordering::Relaxed),
                Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {
                    return shared.is_gone.store(true, Ordering::Relaxed);
                }
                Err(_) => return shared.has_failed.store(true, Ordering::Relaxed),
            };
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    /// A reader that takes nothing as long as it is locked.
    #[derive(Clone, Default)]
    struct Slow(Arc<Mutex<Vec<u8>>>);

    impl Write for Slow {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn lines_that_find_no_room_are_dropped_and_counted() {
        let slow = Slow::default();
        let stopped = slow.0.lock().unwrap();
        let mut lines = Lines::new(slow.clone(), 1000);
        for number in 0..300 {
            lines.put(format!("{number:09}\n").as_bytes());
        }
        assert_eq!(lines.newly_dropped(), 0, "there is no room to tell it");
        drop(stopped);
        lines.hand_over();
        while lines.shared.written.load(Ordering::Relaxed) < lines.sent {
            thread::sleep(Duration::from_millis(1));
        }
        assert_eq!((lines.newly_dropped(), lines.newly_dropped()), (200, 0));
        lines.put(b"again\n");
        lines.finish().unwrap();
        let written = String::from_utf8(slow.0.lock().unwrap().clone()).unwrap();
        assert!(written.starts_with("000000000\n") && written.ends_with("000000099\nagain\n"), "{written}");
    }

    #[test]
    fn a_reader_that_takes_nothing_is_not_waited_for() {
        let slow = Slow::default();
        let stopped = slow.0.lock().unwrap();
        let mut lines = Lines::new(slow.clone(), 1000);
        lines.put(b"a line\n");
        let begun = Instant::now();
        assert_eq!(lines.finish().unwrap_err().kind(), io::ErrorKind::TimedOut);
        assert!(begun.elapsed() < Duration::from_millis(1900));
        drop(stopped);
    }
}
