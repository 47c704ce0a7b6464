//! A source that is read by a thread of its own, so that what arrives does not wait until all before it is understood.
//!
//! Is given a source; gives what that gives, in the same order. What waits is bounded: when there is no more room the
//! thread waits too, and the kernel's ring fills, or the writer of a pipe stands still. Deliberately does not know what is
//! read.

use std::collections::VecDeque;
use std::ops::Range;
use std::panic;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::Duration;

use crate::capture::Error;
use crate::capture::Input;
use crate::capture::InputFacts;
use crate::capture::LinkType;
use crate::capture::Notice;
use crate::capture::Packet;
use crate::capture::Progress;
use crate::capture::Source;
use crate::capture::place::SourceId;
use crate::capture::place::Timestamp;

/// How long either side looks away when there is nothing to do for it.
const PAUSE: Duration = Duration::from_millis(5);

/// Bytes of packets that are handed over at once.
const BATCH: usize = 256 << 10;

/// What a packet takes beside its bytes.
const OVERHEAD: usize = size_of::<Item>();

/// Batches that are kept for those that come, when there is a pause.
const SPARE: usize = 4;

/// Packets after which it is said what is known of the inputs, though the source was not quiet.
const SAY_EVERY: u32 = 4096;

/// A source that is read by a thread of its own.
pub struct Aside {
    shared: Arc<Shared>,
    /// What is being handed on, and how far that has come.
    batch: Batch,
    at: usize,
    known: Known,
    /// Of each input the packets that were handed on since, and the time of the first and last of them.
    since: Vec<Option<(u64, Timestamp, Timestamp)>>,
    notices: VecDeque<Notice>,
    failure: Option<Error>,
    has_ended: bool,
}

/// What both sides have.
struct Shared {
    waiting: Mutex<Waiting>,
    /// Nobody wants more.
    is_left: AtomicBool,
    /// Nothing more comes.
    is_over: AtomicBool,
    room: usize,
}

#[derive(Default)]
struct Waiting {
    batches: VecDeque<Batch>,
    bytes: usize,
    spare: Vec<Batch>,
}

/// Some of what the source gave.
#[derive(Default)]
struct Batch {
    bytes: Vec<u8>,
    items: Vec<Item>,
}

/// What the source gave; bytes stand in its batch.
enum Item {
    Packet { time: Timestamp, source: SourceId, number: u64, link: LinkType, original_len: u32, bytes: Range<usize> },
    Quiet(Timestamp),
    ClockSet(i64),
    Secrets(SourceId, Range<usize>),
    Known(Box<Known>),
    Notice(Box<Notice>),
    Failed(Option<Box<Error>>),
    Ended(Option<Box<Error>>),
}

/// What the source knew of its inputs when it had given all that stands before.
#[derive(Default)]
struct Known {
    inputs: Vec<InputFacts>,
    progress: Progress,
}

impl Aside {
    /// Reads a source in a thread of its own, ahead of its reader by at most so many bytes. It must not wait for long
    /// without a word: an interface says when nothing arrives.
    pub fn new(source: Box<dyn Source + Send>, room: usize) -> Aside {
        let known = Known::of(source.as_ref());
        let (waiting, is_left, is_over) = (Mutex::default(), AtomicBool::new(false), AtomicBool::new(false));
        let shared = Arc::new(Shared { waiting, is_left, is_over, room });
        let of_thread = Arc::clone(&shared);
        thread::spawn(move || {
            let reading = AssertUnwindSafe(|| read_all(source, &of_thread));
            // What a panic says was printed; whoever waits must learn that nothing more comes.
            let _ = panic::catch_unwind(reading);
            of_thread.is_over.store(true, Ordering::Release);
        });
        Aside {
            shared,
            batch: Batch::default(),
            at: 0,
            known,
            since: Vec::new(),
            notices: VecDeque::new(),
            failure: None,
            has_ended: false,
        }
    }

    /// Takes the next batch; false if none is there.
    fn turn(&mut self) -> bool {
        // Asked first: what was put before it was said is found then.
        let is_over = self.shared.is_over.load(Ordering::Acquire);
        let mut waiting = self.shared.lock();
        let Some(next) = waiting.batches.pop_front() else {
            self.has_ended |= is_over;
            return false;
        };
        waiting.bytes = waiting.bytes.saturating_sub(next.cost());
        let mut read = std::mem::replace(&mut self.batch, next);
        read.clear();
        waiting.spare.push(read);
        self.at = 0;
        true
    }

    /// Goes on to the next item that is to be given, and says where it stands; `None` if none is there now.
    fn advance(&mut self) -> Option<usize> {
        loop {
            if self.at >= self.batch.items.len() && !self.turn() {
                return None;
            }
            let at = self.at;
            self.at = at.saturating_add(1);
            match self.batch.items.get_mut(at)? {
                Item::Known(known) => {
                    self.known = std::mem::take(known);
                    self.since.clear();
                }
                Item::Notice(notice) => self.notices.push_back(Notice::clone(notice)),
                Item::Ended(failure) => {
                    self.failure = failure.take().map(|failure| *failure);
                    self.has_ended = true;
                    return None;
                }
                _ => return Some(at),
            }
        }
    }

    /// Counts a packet that is handed on.
    fn count(&mut self, source: SourceId, time: Timestamp) {
        let index = source.0 as usize;
        if self.since.len() <= index {
            self.since.resize(index.saturating_add(1), None);
        }
        if let Some(since) = self.since.get_mut(index) {
            let (packets, first, last) = since.unwrap_or((0, time, time));
            *since = Some((packets.saturating_add(1), first.min(time), last.max(time)));
        }
    }
}

impl Drop for Aside {
    fn drop(&mut self) {
        self.shared.is_left.store(true, Ordering::Relaxed);
    }
}

impl Source for Aside {
    fn next(&mut self) -> Result<Option<Input<'_>>, Error> {
        let at = loop {
            if self.has_ended {
                return Ok(None);
            }
            match self.advance() {
                Some(at) => break at,
                None if self.has_ended => return Ok(None),
                None => thread::sleep(PAUSE),
            }
        };
        if let Some(Item::Packet { time, source, .. }) = self.batch.items.get(at) {
            let (time, source) = (*time, *source);
            self.count(source, time);
        }
        let Batch { bytes, items } = &mut self.batch;
        let bytes_at = |range: &Range<usize>| bytes.get(range.clone()).unwrap_or_default();
        Ok(match items.get_mut(at) {
            Some(Item::Packet { time, source, number, link, original_len, bytes }) => {
                let (time, source, number, link) = (*time, *source, *number, *link);
                let packet = Packet { time, source, number, link, bytes: bytes_at(bytes), original_len: *original_len };
                Some(Input::Packet(packet))
            }
            Some(Item::Secrets(source, text)) => Some(Input::Secrets(*source, bytes_at(text))),
            Some(Item::Quiet(now)) => Some(Input::Quiet(*now)),
            Some(Item::ClockSet(by)) => Some(Input::ClockSet(*by)),
            Some(Item::Failed(error)) => match error.take() {
                Some(error) => return Err(*error),
                None => None,
            },
            Some(Item::Known(_) | Item::Notice(_) | Item::Ended(_)) | None => None,
        })
    }

    fn inputs(&self) -> Vec<InputFacts> {
        let mut inputs = self.known.inputs.clone();
        for (facts, since) in inputs.iter_mut().zip(&self.since) {
            let Some((packets, first, last)) = *since else { continue };
            facts.packets = facts.packets.saturating_add(packets);
            let (earliest, latest) = facts.first_and_last.unwrap_or((first, last));
            facts.first_and_last = Some((earliest.min(first), latest.max(last)));
        }
        inputs
    }

    fn progress(&self) -> Progress {
        self.known.progress
    }

    fn notice(&mut self) -> Option<Notice> {
        self.notices.pop_front()
    }

    fn take_failure(&mut self) -> Option<Error> {
        self.failure.take()
    }
}

/// Reads until nothing more comes or nobody wants it.
fn read_all(mut source: Box<dyn Source + Send>, shared: &Shared) {
    let mut until_known = SAY_EVERY;
    while !shared.is_left.load(Ordering::Relaxed) {
        match source.next() {
            Ok(Some(Input::Packet(packet))) => {
                let mut waiting = shared.lock();
                waiting.put_packet(&packet);
                let is_full = waiting.bytes >= shared.room;
                drop(waiting);
                if is_full {
                    shared.wait_for_room();
                }
                until_known = until_known.saturating_sub(1);
                if until_known > 0 {
                    continue;
                }
            }
            Ok(Some(Input::Secrets(of, text))) => shared.lock().put_secrets(of, text),
            Ok(Some(Input::Quiet(now))) => {
                let known = Known::of(source.as_ref());
                shared.lock().put_quiet(known, now);
            }
            Ok(Some(Input::ClockSet(by))) => shared.lock().put(Item::ClockSet(by)),
            Ok(None) => {
                let known = Known::of(source.as_ref());
                put_notices(source.as_mut(), shared);
                let mut waiting = shared.lock();
                waiting.put(Item::Known(Box::new(known)));
                return waiting.put(Item::Ended(source.take_failure().map(Box::new)));
            }
            Err(error) => return shared.lock().put(Item::Failed(Some(Box::new(error)))),
        }
        until_known = SAY_EVERY;
        put_notices(source.as_mut(), shared);
    }
}

fn put_notices(source: &mut dyn Source, shared: &Shared) {
    while let Some(notice) = source.notice() {
        shared.lock().put(Item::Notice(Box::new(notice)));
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait_for_room(&self) {
        while self.lock().bytes >= self.room && !self.is_left.load(Ordering::Relaxed) {
            thread::sleep(PAUSE);
        }
    }
}

impl Waiting {
    /// The batch to which something of so many bytes is added.
    fn last(&mut self, cost: usize) -> Option<&mut Batch> {
        if self.batches.back().is_none_or(|batch| batch.cost() >= BATCH) {
            let batch = self.spare.pop().unwrap_or_else(Batch::with_room);
            self.batches.push_back(batch);
        }
        self.bytes = self.bytes.saturating_add(cost);
        self.batches.back_mut()
    }

    fn put(&mut self, item: Item) {
        if let Some(batch) = self.last(OVERHEAD) {
            batch.items.push(item);
        }
    }

    /// What is known now, and that nothing came until now: in place of the same if nothing stands between.
    fn put_quiet(&mut self, known: Known, now: Timestamp) {
        // Given back by the thread that took it: an allocator that keeps memory for each thread else holds on to it.
        self.spare.truncate(SPARE);
        let items = self.batches.back_mut().map(|batch| batch.items.as_mut_slice());
        if let Some([.., Item::Known(before), Item::Quiet(until)]) = items {
            (**before, *until) = (known, now);
            return;
        }
        self.put(Item::Known(Box::new(known)));
        self.put(Item::Quiet(now));
    }

    fn put_packet(&mut self, packet: &Packet<'_>) {
        let Packet { time, source, number, link, bytes, original_len } = *packet;
        if let Some(batch) = self.last(bytes.len().saturating_add(OVERHEAD)) {
            let bytes = batch.keep(bytes);
            batch.items.push(Item::Packet { time, source, number, link, original_len, bytes });
        }
    }

    fn put_secrets(&mut self, source: SourceId, text: &[u8]) {
        if let Some(batch) = self.last(text.len().saturating_add(OVERHEAD)) {
            let text = batch.keep(text);
            batch.items.push(Item::Secrets(source, text));
        }
    }
}

impl Batch {
    fn with_room() -> Batch {
        Batch { bytes: Vec::with_capacity(BATCH), items: Vec::new() }
    }

    fn keep(&mut self, bytes: &[u8]) -> Range<usize> {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(bytes);
        start..self.bytes.len()
    }

    fn cost(&self) -> usize {
        self.items.len().saturating_mul(OVERHEAD).saturating_add(self.bytes.len())
    }

    /// Empties it; room for more than usual is given back.
    fn clear(&mut self) {
        self.items.clear();
        self.bytes.clear();
        self.bytes.shrink_to(BATCH.saturating_mul(2));
        self.items.shrink_to(BATCH / OVERHEAD);
    }
}

impl Known {
    fn of(source: &dyn Source) -> Known {
        Known { inputs: source.inputs(), progress: source.progress() }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicU64;

    use super::*;

    /// A source of numbered packets, which is quiet after each tenth.
    struct Numbered {
        given: Arc<AtomicU64>,
        number: u64,
        most: u64,
        was_quiet: bool,
        bytes: Vec<u8>,
    }

    impl Source for Numbered {
        fn next(&mut self) -> Result<Option<Input<'_>>, Error> {
            if self.number.is_multiple_of(10) && !std::mem::replace(&mut self.was_quiet, true) {
                return Ok(Some(Input::Quiet(Timestamp(self.number as i64))));
            }
            if self.number == self.most {
                return Ok(None);
            }
            self.was_quiet = false;
            self.number += 1;
            self.given.store(self.number, Ordering::Relaxed);
            self.bytes = vec![self.number as u8; 1000];
            let (time, number) = (Timestamp(self.number as i64), self.number);
            let (source, link) = (SourceId(0), LinkType(1));
            Ok(Some(Input::Packet(Packet { time, source, number, link, bytes: &self.bytes, original_len: 1000 })))
        }

        fn inputs(&self) -> Vec<InputFacts> {
            vec![InputFacts {
                name: "made up".into(),
                sha256: None,
                format: "interface".into(),
                link_types: Vec::new(),
                packets: self.number,
                first_and_last: (self.number > 0).then_some((Timestamp(1), Timestamp(self.number as i64))),
                nanoseconds: true,
                drops: 0,
                drops_of_interface: 0,
                oddities: crate::oddity::OddityLog::default(),
            }]
        }

        fn take_failure(&mut self) -> Option<Error> {
            Some(Error::Interface { name: "made up".into(), why: "it ends".into() })
        }
    }

    fn numbered(most: u64) -> (Box<Numbered>, Arc<AtomicU64>) {
        let given = Arc::new(AtomicU64::new(0));
        let (number, was_quiet, bytes) = (0, false, Vec::new());
        (Box::new(Numbered { given: Arc::clone(&given), number, most, was_quiet, bytes }), given)
    }

    #[test]
    fn everything_comes_once_in_order_and_is_counted_when_it_is_given() {
        let (source, _) = numbered(12_345);
        let mut aside = Aside::new(source, 64 << 20);
        let mut number = 0;
        let mut quiet = 0;
        while let Some(input) = aside.next().unwrap() {
            match input {
                Input::Packet(packet) => {
                    number += 1;
                    assert_eq!((packet.number, packet.bytes), (number, vec![number as u8; 1000].as_slice()));
                    let facts = &aside.inputs()[0];
                    assert_eq!(
                        (facts.packets, facts.first_and_last),
                        (number, Some((Timestamp(1), Timestamp(number as i64))))
                    );
                }
                Input::Quiet(until) => {
                    assert_eq!(until.0 as u64, number);
                    quiet += 1;
                }
                _ => unreachable!(),
            }
        }
        assert_eq!((number, quiet), (12_345, 1235));
        assert!(aside.take_failure().is_some() && aside.take_failure().is_none());
    }

    #[test]
    fn what_waits_is_bounded_and_nothing_of_it_is_lost() {
        let (source, given) = numbered(5000);
        let mut aside = Aside::new(source, 1 << 20);
        let (mut before, mut now) = (0, 1);
        while before != now {
            thread::sleep(Duration::from_millis(50));
            (before, now) = (now, given.load(Ordering::Relaxed));
        }
        assert!((900..1100).contains(&now), "{now} packets of a kilobyte wait in a megabyte");
        let mut packets = 0;
        while let Some(input) = aside.next().unwrap() {
            packets += u64::from(matches!(input, Input::Packet(_)));
        }
        assert_eq!(packets, 5000);
    }

    #[test]
    fn a_source_that_fails_says_why_and_one_that_panics_ends() {
        struct Failing(bool);
        impl Source for Failing {
            fn next(&mut self) -> Result<Option<Input<'_>>, Error> {
                assert!(self.0, "a fault that the test asked for");
                Err(Error::Interface { name: "made up".into(), why: "it broke".into() })
            }

            fn inputs(&self) -> Vec<InputFacts> {
                Vec::new()
            }
        }
        let error = Aside::new(Box::new(Failing(true)), 1000).next().expect_err("an error").to_string();
        assert!(error.contains("it broke"), "{error}");
        assert!(Aside::new(Box::new(Failing(false)), 1000).next().unwrap().is_none());
    }
}
