//! A source that is read by a thread of its own, so that what arrives does not wait until all before it is understood.
//!
//! Is given a source; gives what that gives, in the same order. What waits is bounded: when there is no more room the
//! thread waits too, and the kernel's ring fills, or the writer of a pipe stands still. Deliberately does not know what
//! is read, nor where it waits.

use std::collections::VecDeque;
use std::panic;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::Duration;
use std::time::Instant;

use crate::capture::Error;
use crate::capture::Input;
use crate::capture::InputFacts;
use crate::capture::Notice;
use crate::capture::Packet;
use crate::capture::Progress;
use crate::capture::Source;
use crate::capture::backlog::Backlog;
use crate::capture::backlog::Room;
use crate::capture::batch::Batch;
use crate::capture::batch::End;
use crate::capture::batch::Known;
use crate::capture::place::Timestamp;
use crate::oddity::Oddity;

/// How long to look away when nothing waits.
const PAUSE: Duration = Duration::from_millis(5);

/// How long the thread has to say what was left when nobody asks for more.
const LAST_WORD: Duration = Duration::from_millis(300);

/// A source that is read by a thread of its own.
pub struct Aside {
    shared: Arc<Shared>,
    /// What is being handed on, and how far that has come.
    batch: Batch,
    at: usize,
    known: Known,
    /// What was handed on, of each input.
    given: Vec<Given>,
    notices: VecDeque<Notice>,
    failure: Option<Error>,
    has_ended: bool,
}

/// What both sides have.
struct Shared {
    backlog: Backlog,
    /// What arrives from now on is not wanted.
    is_stopped: AtomicBool,
    /// Nobody wants anything.
    is_left: AtomicBool,
    /// Nothing more comes.
    is_over: AtomicBool,
}

/// Packets of an input that were handed on, the times of the first and last of them, and packets that never will be.
#[derive(Clone, Copy, Default)]
struct Given {
    packets: u64,
    first_and_last: Option<(Timestamp, Timestamp)>,
    unread: u64,
}

impl Aside {
    /// Reads a source in a thread of its own, ahead of its reader as far as there is room. It must not wait for long
    /// without a word: an interface says when nothing arrives.
    pub fn new(source: Box<dyn Source + Send>, room: Room) -> Aside {
        let known = Known::of(source.as_ref());
        let (is_stopped, is_left, is_over) = Default::default();
        let shared = Arc::new(Shared { backlog: Backlog::new(room), is_stopped, is_left, is_over });
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
            given: Vec::new(),
            notices: VecDeque::new(),
            failure: None,
            has_ended: false,
        }
    }

    /// Takes the next batch; false if none is there.
    fn turn(&mut self) -> bool {
        // Asked first: what was put before it was said is found then.
        let is_over = self.shared.is_over.load(Ordering::Acquire);
        if !self.shared.backlog.take(&mut self.batch) {
            self.has_ended |= is_over;
            return false;
        }
        self.at = 0;
        self.notices.extend(self.batch.notices.drain(..));
        if let Some(known) = self.batch.known.take() {
            self.known = *known;
        }
        if self.batch.packets > 0 && self.batch.bytes.is_empty() {
            // It could not be read back.
            self.count_unread();
        }
        true
    }

    /// Counts as unread whatever the source has given and was not handed on.
    fn count_unread(&mut self) {
        self.given.resize_with(self.given.len().max(self.known.inputs.len()), Given::default);
        for (facts, given) in self.known.inputs.iter().zip(&mut self.given) {
            given.unread = given.unread.max(facts.packets.saturating_sub(given.packets));
        }
    }
}

/// Counts a packet that is handed on.
fn count(given: &mut Vec<Given>, packet: &Packet<'_>) {
    let (index, time) = (packet.source.0 as usize, packet.time);
    if given.len() <= index {
        given.resize_with(index.saturating_add(1), Given::default);
    }
    let Some(given) = given.get_mut(index) else { return };
    given.packets = given.packets.saturating_add(1);
    let (first, last) = given.first_and_last.unwrap_or((time, time));
    given.first_and_last = Some((first.min(time), last.max(time)));
}

impl Drop for Aside {
    fn drop(&mut self) {
        self.shared.is_left.store(true, Ordering::Relaxed);
        self.shared.backlog.close();
    }
}

impl Source for Aside {
    fn next(&mut self) -> Result<Option<Input<'_>>, Error> {
        while self.at >= self.batch.bytes.len() {
            match self.batch.end.take() {
                Some(End::Failed(error)) => return Err(error),
                Some(End::Ended(failure)) => (self.failure, self.has_ended) = (failure, true),
                None => {}
            }
            if self.has_ended {
                return Ok(None);
            }
            if !self.turn() && !self.has_ended {
                thread::sleep(PAUSE);
            }
        }
        let input = self.batch.read(&mut self.at);
        if let Some(Input::Packet(packet)) = &input {
            count(&mut self.given, packet);
        }
        Ok(input)
    }

    fn inputs(&self) -> Vec<InputFacts> {
        let mut inputs = self.known.inputs.clone();
        for (at, facts) in inputs.iter_mut().enumerate() {
            let Given { packets, first_and_last, unread } = self.given.get(at).copied().unwrap_or_default();
            (facts.packets, facts.first_and_last) = (packets, first_and_last);
            if unread > 0 {
                facts.drops = facts.drops.saturating_add(unread);
                facts.oddities.note(Oddity::Unread { packets: unread }, None);
            }
        }
        inputs
    }

    fn progress(&self) -> Progress {
        Progress { behind: self.shared.backlog.behind(), ..self.known.progress }
    }

    fn notice(&mut self) -> Option<Notice> {
        self.notices.pop_front()
    }

    fn take_failure(&mut self) -> Option<Error> {
        self.failure.take()
    }

    fn stop(&mut self) -> bool {
        self.shared.is_stopped.store(true, Ordering::Relaxed);
        true
    }

    fn leave(&mut self) {
        self.stop();
        self.shared.backlog.close();
        let begun = Instant::now();
        while !self.shared.is_over.load(Ordering::Acquire) && begun.elapsed() < LAST_WORD {
            thread::sleep(PAUSE);
        }
        if let Some(known) = self.shared.backlog.take_last_known() {
            self.known = *known;
        }
        self.count_unread();
        self.has_ended = true;
        self.batch.clear();
    }
}

/// Reads until nothing more comes or nobody wants it.
fn read_all(mut source: Box<dyn Source + Send>, shared: &Shared) {
    let source = source.as_mut();
    let mut batch = Batch::default();
    let mut is_stopped = false;
    while !shared.is_left.load(Ordering::Relaxed) {
        if !is_stopped && shared.is_stopped.load(Ordering::Relaxed) {
            is_stopped = true;
            if !source.stop() {
                batch.end = Some(End::Ended(None));
            }
        }
        if batch.end.is_none() {
            read_next(source, &mut batch);
        }
        let has_ended = batch.end.is_some();
        if has_ended || batch.is_full() || shared.backlog.is_awaited() {
            batch.ask(source);
            batch = shared.backlog.put(batch);
        }
        if has_ended {
            return;
        }
    }
}

fn read_next(source: &mut dyn Source, batch: &mut Batch) {
    match source.next() {
        Ok(Some(Input::Packet(packet))) => batch.put_packet(&packet),
        Ok(Some(Input::Secrets(of, text))) => batch.put_secrets(of, text),
        Ok(Some(Input::Quiet(now))) => batch.put_quiet(now),
        Ok(Some(Input::ClockSet(by))) => batch.put_clock_set(by),
        Ok(None) => batch.end = Some(End::Ended(source.take_failure())),
        Err(error) => batch.end = Some(End::Failed(error)),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicU64;

    use super::*;
    use crate::capture::LinkType;
    use crate::capture::place::SourceId;

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
                filtered_out: 0,
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

    /// How many packets the source has given when it gives no more.
    fn until_it_stands(given: &AtomicU64) -> u64 {
        let (mut known, mut looks) = (0, 0);
        // More than once: the thread may have to wait for a processor.
        while looks < 5 {
            thread::sleep(Duration::from_millis(50));
            let now = given.load(Ordering::Relaxed);
            looks = if now == known { looks + 1 } else { 0 };
            known = now;
        }
        known
    }

    #[test]
    fn everything_comes_once_in_order_and_is_counted_when_it_is_given() {
        let (source, _) = numbered(12_345);
        let mut aside = Aside::new(source, Room::in_memory(64 << 20));
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
        let mut aside = Aside::new(source, Room::in_memory(1 << 20));
        let now = until_it_stands(&given);
        assert!((900..1100).contains(&now), "{now} packets of a kilobyte wait in a megabyte");
        let mut packets = 0;
        while let Some(input) = aside.next().unwrap() {
            packets += u64::from(matches!(input, Input::Packet(_)));
        }
        assert_eq!(packets, 5000);
    }

    #[test]
    #[cfg(unix)]
    fn what_waits_on_disk_comes_once_in_order_and_is_bounded() {
        let (source, given) = numbered(50_000);
        let mut aside = Aside::new(source, Room::in_memory(1 << 20).and_on_disk(10 << 20).unwrap());
        let mut number = 0;
        for until in [15_000, 30_000] {
            // As long as the disk has room, and not longer.
            let waiting = until_it_stands(&given) - number;
            assert!((8_000..12_000).contains(&waiting), "{waiting} packets of a kilobyte wait in eleven megabytes");
            while number < until {
                let Some(Input::Packet(packet)) = aside.next().unwrap() else { continue };
                number += 1;
                assert_eq!((packet.number, packet.bytes), (number, vec![number as u8; 1000].as_slice()));
            }
        }
        while let Some(input) = aside.next().unwrap() {
            number += u64::from(matches!(input, Input::Packet(_)));
        }
        assert_eq!((number, aside.inputs()[0].drops), (50_000, 0));
    }

    #[test]
    fn what_has_arrived_when_it_is_stopped_is_given_and_then_it_ends() {
        let (source, given) = numbered(5000);
        let mut aside = Aside::new(source, Room::in_memory(1 << 20));
        until_it_stands(&given);
        assert!(aside.stop());
        let mut packets = 0;
        while let Some(input) = aside.next().unwrap() {
            packets += u64::from(matches!(input, Input::Packet(_)));
        }
        let facts = &aside.inputs()[0];
        assert_eq!((packets, packets, 0), (given.load(Ordering::Relaxed), facts.packets, facts.drops));
        assert!(packets < 5000);
    }

    #[test]
    fn what_was_not_looked_at_when_nobody_asks_for_more_is_counted() {
        let (source, given) = numbered(5000);
        let mut aside = Aside::new(source, Room::in_memory(1 << 20));
        let arrived = until_it_stands(&given);
        let mut packets = 0;
        while packets < 10 {
            packets += u64::from(matches!(aside.next().unwrap(), Some(Input::Packet(_))));
        }
        aside.leave();
        assert!(aside.next().unwrap().is_none());
        let facts = &aside.inputs()[0];
        assert_eq!((facts.packets, facts.first_and_last), (10, Some((Timestamp(1), Timestamp(10)))));
        assert!(facts.drops >= arrived - 10);
        assert_eq!(facts.packets + facts.drops, given.load(Ordering::Relaxed));
        assert_eq!(facts.oddities.of("packets-unread").map(|noted| noted.count), Some(facts.drops));
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
        let error =
            Aside::new(Box::new(Failing(true)), Room::in_memory(1000)).next().expect_err("an error").to_string();
        assert!(error.contains("it broke"), "{error}");
        assert!(Aside::new(Box::new(Failing(false)), Room::in_memory(1000)).next().unwrap().is_none());
    }
}
