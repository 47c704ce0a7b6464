//! A queue between two threads that is bounded in bytes, and counts what found no room.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Bytes that one entry costs beside its own.
const ENTRY: usize = 64;

/// A queue.
#[derive(Debug)]
pub(crate) struct Queue<T> {
    state: Mutex<State<T>>,
    changed: Condvar,
    most: usize,
}

#[derive(Debug)]
struct State<T> {
    entries: VecDeque<(T, usize)>,
    bytes: usize,
    dropped: u64,
    is_closed: bool,
}

/// What came of taking an entry.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Taken<T> {
    /// The oldest one.
    Entry(T),
    /// There was none for as long as we waited.
    Nothing,
    /// There is none and will be none.
    Closed,
}

impl<T> Queue<T> {
    /// A queue with room for so many bytes.
    pub(crate) fn new(most: usize) -> Queue<T> {
        let state = State { entries: VecDeque::new(), bytes: 0, dropped: 0, is_closed: false };
        Queue { state: Mutex::new(state), changed: Condvar::new(), most }
    }

    /// Puts in an entry of so many bytes, or counts it as dropped.
    pub(crate) fn put(&self, entry: T, bytes: usize) {
        let mut state = self.lock();
        if !self.has_room(&state, bytes) {
            state.dropped += 1;
            return;
        }
        self.push(state, entry, bytes);
    }

    /// Puts in an entry when there is room for it; drops it if the queue is closed.
    pub(crate) fn put_when_there_is_room(&self, entry: T, bytes: usize) {
        let mut state = self.lock();
        while !self.has_room(&state, bytes) && !state.is_closed {
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        if state.is_closed {
            state.dropped += 1;
            return;
        }
        self.push(state, entry, bytes);
    }

    /// Takes the oldest entry, and waits for one for so long.
    pub(crate) fn take(&self, patience: Duration) -> Taken<T> {
        let until = Instant::now() + patience;
        let mut state = self.lock();
        loop {
            if let Some((entry, bytes)) = state.entries.pop_front() {
                state.bytes = state.bytes.saturating_sub(bytes);
                self.changed.notify_all();
                return Taken::Entry(entry);
            }
            let left = until.saturating_duration_since(Instant::now());
            if state.is_closed {
                return Taken::Closed;
            }
            if left.is_zero() {
                return Taken::Nothing;
            }
            state = self.changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Nothing more will be put in; what is in can still be taken.
    pub(crate) fn close(&self) {
        self.lock().is_closed = true;
        self.changed.notify_all();
    }

    /// Gives up what is in it, and counts it as dropped.
    pub(crate) fn give_up(&self) {
        let mut state = self.lock();
        state.dropped += state.entries.len() as u64;
        state.entries.clear();
        state.bytes = 0;
        state.is_closed = true;
        self.changed.notify_all();
    }

    /// Entries for which there was no room.
    pub(crate) fn dropped(&self) -> u64 {
        self.lock().dropped
    }

    fn has_room(&self, state: &State<T>, bytes: usize) -> bool {
        state.entries.is_empty() || state.bytes + bytes + ENTRY <= self.most
    }

    fn push(&self, mut state: MutexGuard<'_, State<T>>, entry: T, bytes: usize) {
        state.bytes += bytes + ENTRY;
        state.entries.push_back((entry, bytes + ENTRY));
        self.changed.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::thread;

    use super::*;

    #[test]
    fn what_finds_no_room_is_counted() {
        let queue = Queue::new(3 * (10 + ENTRY));
        for number in 0..5 {
            queue.put(number, 10);
        }
        assert_eq!(queue.dropped(), 2);
        queue.close();
        let taken: Vec<_> = (0..4).map(|_| queue.take(Duration::ZERO)).collect();
        assert_eq!(taken, [Taken::Entry(0), Taken::Entry(1), Taken::Entry(2), Taken::Closed]);
    }

    #[test]
    fn who_waits_for_room_loses_nothing() {
        let queue = Arc::new(Queue::new(2 * (10 + ENTRY)));
        let writer = {
            let queue = Arc::clone(&queue);
            thread::spawn(move || {
                (0..1000).for_each(|number| queue.put_when_there_is_room(number, 10));
                queue.close();
            })
        };
        let mut taken = Vec::new();
        while let Taken::Entry(number) = queue.take(Duration::from_secs(10)) {
            taken.push(number);
        }
        writer.join().unwrap();
        assert_eq!(taken, (0..1000).collect::<Vec<_>>());
        assert_eq!(queue.dropped(), 0);
    }

    #[test]
    fn an_empty_queue_takes_any_entry_and_a_given_up_one_none() {
        let queue = Queue::new(1);
        queue.put("large", 1000);
        assert_eq!(queue.take(Duration::ZERO), Taken::Entry("large"));
        assert_eq!(queue.take(Duration::from_millis(1)), Taken::Nothing);
        queue.put("lost", 1);
        queue.give_up();
        queue.put_when_there_is_room("late", 1);
        assert_eq!((queue.take(Duration::ZERO), queue.dropped()), (Taken::Closed, 2));
    }
}
