//! What is kept beside the connections: the last bytes of the streams used last, and secrets.
//!
//! Knows which bytes were delivered. Is given them; tells how those that come again differ. Deliberately does not know
//! where they came from.

use crate::keyed::Counted;
use crate::net::StreamId;
use crate::net::pieces::different;
use crate::net::tls::KeyLog;
use crate::recent::Recent;

/// Bytes already delivered that are kept of a stream, to compare repetitions with.
const TAIL_BYTES: usize = 4096;
/// Streams of which delivered bytes are kept.
const TAILS: usize = 256;

/// What is kept beside the connections.
#[derive(Debug)]
pub(super) struct Kept {
    /// What was delivered of the latest streams.
    pub tails: Tails,
    /// Secrets of TLS.
    pub keys: KeyLog,
}

impl Kept {
    /// Nothing yet.
    pub(super) fn new() -> Kept {
        Kept { tails: Tails::new(), keys: KeyLog::default() }
    }
}

/// The last bytes delivered of the streams used last, to compare repetitions with.
#[derive(Debug)]
pub(super) struct Tails {
    tails: Recent<StreamId, Vec<u8>, Counted>,
}

impl Tails {
    /// None yet.
    fn new() -> Tails {
        Tails { tails: Recent::new() }
    }

    /// Bytes were delivered.
    pub(super) fn append(&mut self, stream: StreamId, bytes: &[u8]) {
        let kept = bytes.get(bytes.len().saturating_sub(TAIL_BYTES)..).unwrap_or_default();
        if let Some(tail) = self.tails.get_mut(&stream) {
            if tail.len().saturating_add(kept.len()) > TAIL_BYTES {
                let surplus = tail.len().saturating_add(kept.len()).saturating_sub(TAIL_BYTES / 2);
                tail.drain(..surplus.min(tail.len()));
            }
            tail.extend_from_slice(kept);
            return;
        }
        if self.tails.len() < TAILS {
            self.tails.insert(stream, kept.to_vec());
            return;
        }
        self.tails.replace_oldest(stream, |tail| {
            tail.clear();
            tail.extend_from_slice(kept);
        });
    }

    /// What comes next does not follow what was delivered.
    pub(super) fn forget(&mut self, stream: StreamId) {
        self.tails.remove(&stream);
    }

    /// Bytes of a repetition from `at` on that differ from those delivered before `next`.
    pub(super) fn different(&mut self, stream: StreamId, at: u64, next: u64, bytes: &[u8]) -> u32 {
        let Some(tail) = self.tails.get_mut(&stream) else { return 0 };
        let begin = next.saturating_sub(tail.len() as u64);
        let (skip_old, skip_new) = (at.saturating_sub(begin), begin.saturating_sub(at));
        let old = usize::try_from(skip_old).ok().and_then(|skip| tail.get(skip..));
        let new = usize::try_from(skip_new).ok().and_then(|skip| bytes.get(skip..));
        match (old, new) {
            (Some(old), Some(new)) => different(old, new),
            _ => 0,
        }
    }
}
