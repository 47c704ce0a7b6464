//! Several interfaces as one source, for as long as it takes.
//!
//! Is given names of interfaces; gives their packets in order of time, says when nothing arrives, waits for an
//! interface that is away, and notices when the clock is set. Deliberately does not know what is captured, nor who may.

use std::collections::VecDeque;
use std::thread;
use std::time::Duration;
use std::time::Instant;

use crate::capture::Error;
use crate::capture::Input;
use crate::capture::InputFacts;
use crate::capture::Packet;
use crate::capture::Source;
use crate::capture::clock::SteadyClock;
use crate::capture::device::Notice;
use crate::capture::device::Opening;
use crate::capture::ledger::Due;
use crate::capture::ledger::Ledger;
use crate::capture::ledger::Record;
use crate::capture::live;
use crate::capture::live::Live;
use crate::capture::place::SourceId;
use crate::capture::place::Timestamp;

/// How long to look away when nothing has arrived. libpcap cannot be told to wait for a bounded time: on Linux it
/// waits for a block of packets, and an interface without traffic never fills one.
const PAUSE: Duration = Duration::from_millis(10);

/// What is still in the kernel may be so old: `Quiet` must not name a moment of which packets are yet to come, and of
/// two interfaces the one that is silent may still hold an earlier packet.
const LAG: Duration = Duration::from_millis(250);

/// Packets after which the clock is looked at though there is no pause between them, and `Quiet` is said once.
const LOOK_EVERY: u32 = 4096;

/// The first and the longest time between two looks at whether an interface is back.
const FIRST_PAUSE: Duration = Duration::from_millis(250);
const LONGEST_PAUSE: Duration = Duration::from_secs(15);

/// An interface is looked after when it was silent for so long.
const LOOK_AFTER: Duration = Duration::from_secs(2);

/// Interfaces that are being captured on.
pub struct Interfaces {
    inputs: Vec<Interface>,
    opening: Opening,
    notices: VecDeque<Notice>,
    clock: SteadyClock,
    until_look: u32,
    /// Until when it was said that nothing arrived.
    quiet: Timestamp,
    /// When nothing more was wanted.
    stopped: Option<Stopped>,
    failure: Option<Error>,
}

/// When nothing more was wanted, by the clock that stamps packets and by the one that only ever runs.
#[derive(Clone, Copy)]
struct Stopped {
    time: Timestamp,
    at: Instant,
}

/// One of them.
struct Interface {
    name: String,
    state: State,
    ledger: Ledger,
    /// The bytes of the packet that was read last.
    kept: Vec<u8>,
    /// When that is due; `None` if it was given.
    head: Option<Due>,
    /// When it was last looked whether the interface is up: libpcap says nothing when one goes down.
    looked: Instant,
}

enum State {
    Open(Box<Live>),
    /// It is down or away. What was opened is kept: an interface that comes up again goes on with it, where it may not
    /// be opened anew because privileges were given up.
    Away {
        was: Box<Live>,
        why: String,
        since: Instant,
        next_look: Instant,
        pause: Duration,
    },
    /// It is no longer waited for.
    Gone,
}

impl Interfaces {
    /// Opens interfaces.
    ///
    /// # Errors
    /// One is not there or may not be captured on; the filter is none.
    pub fn open(names: &[String], opening: Opening) -> Result<Interfaces, Error> {
        let mut inputs: Vec<Interface> = Vec::new();
        for name in names {
            if inputs.iter().any(|known| known.name == *name) {
                continue;
            }
            let state = State::Open(Box::new(Live::open(name, &opening)?));
            let mut ledger = Ledger::default();
            if live::has_nanoseconds() {
                ledger.has_nanoseconds();
            }
            inputs.push(Interface {
                name: name.clone(),
                state,
                ledger,
                kept: Vec::new(),
                head: None,
                looked: Instant::now(),
            });
        }
        Ok(Interfaces {
            inputs,
            opening,
            notices: VecDeque::new(),
            clock: SteadyClock::new(),
            until_look: LOOK_EVERY,
            quiet: Timestamp::default(),
            stopped: None,
            failure: None,
        })
    }

    /// Reads on where no packet waits; gives the interface whose packet is next.
    fn find(&mut self) -> Option<usize> {
        let stopped = self.stopped.map(|stopped| stopped.time);
        for input in &mut self.inputs {
            if input.head.is_none() && stopped.is_none_or(|stopped| !input.has_passed(stopped)) {
                input.poll(&self.opening, &mut self.notices, &mut self.failure);
            }
        }
        let heads = self.inputs.iter().enumerate();
        let heads = heads.filter_map(|(index, input)| input.head.map(|Due(time)| (time, index)));
        let (time, first) = heads.min()?;
        let may_come_earlier = |input: &Interface| input.head.is_none() && matches!(input.state, State::Open(_));
        let is_due = stopped.is_some() || !self.inputs.iter().any(may_come_earlier) || time <= self.clock.now_less(LAG);
        is_due.then_some(first)
    }

    /// Says until when nothing arrived, which is before every packet that waits.
    fn say_quiet(&mut self) -> Input<'_> {
        self.until_look = LOOK_EVERY;
        if let Some(nanoseconds) = self.clock.was_set() {
            self.notices.push_back(Notice::ClockSet { nanoseconds });
            self.quiet = Timestamp(self.quiet.0.saturating_add(nanoseconds));
            return Input::ClockSet(nanoseconds);
        }
        let waiting = self.inputs.iter().filter_map(|input| input.head.map(|Due(time)| time)).min();
        let now = self.clock.now_less(LAG);
        self.quiet = self.quiet.max(waiting.map_or(now, |waiting| waiting.min(now)));
        Input::Quiet(self.quiet)
    }

    fn are_gone(&self) -> bool {
        self.inputs.iter().all(|input| matches!(input.state, State::Gone) && input.head.is_none())
    }

    /// True if all that had arrived when nothing more was wanted was given: where there is no packet of later, the
    /// kernel may hold on to a block that is not full.
    fn are_through(&self) -> bool {
        let Some(Stopped { time, at }) = self.stopped else { return false };
        at.elapsed() >= live::LAST_BLOCK || self.inputs.iter().all(|input| input.has_passed(time))
    }
}

impl Source for Interfaces {
    fn next(&mut self) -> Result<Option<Input<'_>>, Error> {
        self.until_look = self.until_look.saturating_sub(1);
        if self.until_look == 0 {
            return Ok(Some(self.say_quiet()));
        }
        let Some(index) = self.find() else {
            if self.are_gone() || self.are_through() {
                return Ok(None);
            }
            thread::sleep(PAUSE);
            return Ok(Some(self.say_quiet()));
        };
        let source = SourceId(u32::try_from(index).unwrap_or(u32::MAX));
        let Some(Interface { ledger, kept, head, .. }) = self.inputs.get_mut(index) else { return Ok(None) };
        *head = None;
        let Some(Record { time, number, link, original_len, .. }) = ledger.record().cloned() else { return Ok(None) };
        Ok(Some(Input::Packet(Packet { time, source, number, link, bytes: kept, original_len })))
    }

    fn inputs(&self) -> Vec<InputFacts> {
        let facts = |input: &Interface| input.ledger.facts(input.name.clone(), "interface".into(), None);
        self.inputs.iter().map(facts).collect()
    }

    fn notice(&mut self) -> Option<Notice> {
        self.notices.pop_front()
    }

    fn take_failure(&mut self) -> Option<Error> {
        self.failure.take()
    }

    fn stop(&mut self) -> bool {
        if self.stopped.is_some() {
            return true;
        }
        for input in &mut self.inputs {
            if let State::Open(live) = &mut input.state {
                live.ask_for_drops(&mut input.ledger);
            }
        }
        self.stopped = Some(Stopped { time: self.clock.now_less(Duration::ZERO), at: Instant::now() });
        true
    }
}

impl Interface {
    /// True if a packet came that arrived later than this.
    fn has_passed(&self, time: Timestamp) -> bool {
        self.ledger.record().is_some_and(|record| record.time > time)
    }

    /// Reads the next packet if there is one. One that is away is looked for.
    fn poll(&mut self, opening: &Opening, notices: &mut VecDeque<Notice>, failure: &mut Option<Error>) {
        match &mut self.state {
            State::Open(live) => match live.poll(&mut self.ledger, &mut self.kept) {
                Ok(Some(head)) => self.head = Some(head),
                Ok(None) => self.is_up(notices),
                Err(error) => self.is_away(&error, notices),
            },
            State::Away { next_look, .. } if Instant::now() >= *next_look => self.look(opening, notices, failure),
            State::Away { .. } | State::Gone => {}
        }
    }

    /// Looks now and then whether an interface that says nothing is up.
    fn is_up(&mut self, notices: &mut VecDeque<Notice>) {
        if self.looked.elapsed() < LOOK_AFTER {
            return;
        }
        self.looked = Instant::now();
        if !live::is_up(&self.name) {
            let why = "it is down".to_owned();
            self.is_away(&Error::Interface { name: self.name.clone(), why }, notices);
        }
    }

    fn is_away(&mut self, error: &Error, notices: &mut VecDeque<Notice>) {
        let State::Open(mut was) = std::mem::replace(&mut self.state, State::Gone) else { return };
        was.ask_for_drops(&mut self.ledger);
        let why = said(error);
        notices.push_back(Notice::Away { name: self.name.clone(), why: why.clone() });
        let (now, pause) = (Instant::now(), FIRST_PAUSE);
        let next_look = now.checked_add(pause).unwrap_or(now);
        self.state = State::Away { was, why, since: now, next_look, pause };
    }

    /// Looks whether the interface is back, each time after a longer while.
    fn look(&mut self, opening: &Opening, notices: &mut VecDeque<Notice>, failure: &mut Option<Error>) {
        let State::Away { mut was, mut why, since, pause, .. } = std::mem::replace(&mut self.state, State::Gone) else {
            return;
        };
        let is_over = since.elapsed() >= opening.patience;
        if live::is_up(&self.name) {
            match Live::open(&self.name, opening) {
                Ok(live) => return self.is_back(Box::new(live), since, notices),
                // It may not be opened any more, but what was opened may go on.
                Err(error) => match was.poll(&mut self.ledger, &mut self.kept) {
                    Ok(head) => {
                        self.head = head;
                        return self.is_back(was, since, notices);
                    }
                    Err(_) => why = said(&error),
                },
            }
        }
        if is_over {
            notices.push_back(Notice::GivenUp { name: self.name.clone(), why: why.clone() });
            *failure = Some(Error::Interface { name: self.name.clone(), why });
            return;
        }
        let pause = pause.saturating_mul(2).min(LONGEST_PAUSE);
        let left = opening.patience.saturating_sub(since.elapsed());
        let now = Instant::now();
        let next_look = now.checked_add(pause.min(left)).unwrap_or(now);
        self.state = State::Away { was, why, since, next_look, pause };
    }

    fn is_back(&mut self, live: Box<Live>, since: Instant, notices: &mut VecDeque<Notice>) {
        self.state = State::Open(live);
        notices.push_back(Notice::Back { name: self.name.clone(), after: since.elapsed() });
    }
}

/// What the system said, without the name that the notice has already.
fn said(error: &Error) -> String {
    match error {
        Error::Interface { why, .. } => why.clone(),
        other => other.to_string(),
    }
}
