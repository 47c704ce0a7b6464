//! Standard input that is being written: what has come so far, without waiting for more.
//!
//! A thread of its own waits for the writer. Reads like a file that grows: where nothing more is there yet, it looks
//! like the end. Deliberately does not know what the bytes mean.

use std::io;
use std::io::Read;
use std::sync::mpsc;
use std::sync::mpsc::Receiver;
use std::sync::mpsc::SyncSender;
use std::sync::mpsc::TryRecvError;
use std::thread;

/// Bytes that are taken from the writer at a time.
const PIECE: usize = 64 << 10;

/// Pieces that wait; then the writer stands still.
const MOST_WAITING: usize = 64;

/// A stream of bytes that is read by a thread of its own.
#[derive(Debug)]
pub(super) struct Pipe {
    receiver: Receiver<io::Result<Vec<u8>>>,
    here: Vec<u8>,
    /// How many of those were read.
    read: usize,
    has_ended: bool,
}

impl Pipe {
    /// Standard input.
    pub(super) fn stdin() -> Pipe {
        Pipe::of(io::stdin())
    }

    fn of(source: impl Read + Send + 'static) -> Pipe {
        let (sender, receiver) = mpsc::sync_channel(MOST_WAITING);
        thread::spawn(move || send_all(source, &sender));
        Pipe { receiver, here: Vec::new(), read: 0, has_ended: false }
    }

    /// True if so many bytes are there to be read, or no more will come.
    pub(super) fn has(&mut self, wanted: usize) -> bool {
        while self.here.len().saturating_sub(self.read) < wanted && !self.has_ended {
            match self.receiver.try_recv() {
                Ok(Ok(more)) => {
                    self.here.drain(..self.read);
                    self.read = 0;
                    self.here.extend_from_slice(&more);
                }
                Ok(Err(_)) | Err(TryRecvError::Disconnected) => self.has_ended = true,
                Err(TryRecvError::Empty) => return false,
            }
        }
        true
    }

    /// True if the writer is gone and everything was read.
    pub(super) fn has_ended(&self) -> bool {
        self.has_ended && self.read >= self.here.len()
    }
}

impl Read for Pipe {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.has(1);
        let rest = self.here.get(self.read..).unwrap_or_default();
        let count = rest.len().min(buffer.len());
        for (to, from) in buffer.iter_mut().zip(rest) {
            *to = *from;
        }
        self.read = self.read.saturating_add(count);
        Ok(count)
    }
}

fn send_all(mut source: impl Read, sender: &SyncSender<io::Result<Vec<u8>>>) {
    let mut piece = vec![0; PIECE];
    loop {
        let sent = match source.read(&mut piece) {
            Ok(0) => return,
            Ok(count) => sender.send(Ok(piece.get(..count).unwrap_or_default().to_vec())),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => Ok(()),
            Err(error) => {
                let _ = sender.send(Err(error));
                return;
            }
        };
        // Nobody reads any more.
        if sent.is_err() {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::time::Duration;
    use std::time::Instant;

    use super::*;

    fn wait_for(pipe: &mut Pipe, wanted: usize) {
        let begun = Instant::now();
        while !pipe.has(wanted) {
            assert!(begun.elapsed() < Duration::from_secs(10));
            thread::sleep(Duration::from_millis(1));
        }
    }

    #[test]
    fn what_is_not_there_yet_looks_like_the_end_and_comes_later() {
        let (reader, mut writer) = io::pipe().unwrap();
        let mut pipe = Pipe::of(reader);
        let mut read = [0; 16];
        assert_eq!(pipe.read(&mut read).unwrap(), 0);
        assert!(!pipe.has(1) && !pipe.has_ended());
        writer.write_all(b"a header").unwrap();
        wait_for(&mut pipe, 8);
        assert!(!pipe.has(9));
        assert_eq!((pipe.read(&mut read[..2]).unwrap(), &read[..2]), (2, &b"a "[..]));
        writer.write_all(b" and more").unwrap();
        wait_for(&mut pipe, 15);
        assert_eq!((pipe.read(&mut read).unwrap(), &read[..15]), (15, &b"header and more"[..]));
        drop(writer);
        wait_for(&mut pipe, 1);
        assert!(pipe.has_ended());
        assert_eq!(pipe.read(&mut read).unwrap(), 0);
    }
}
