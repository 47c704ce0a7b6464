//! Finds the call of each message, and gives calls when they have ended.
//!
//! Per-call state is fed in order and bounded in bytes; what is dropped is said. The only clock is the capture's.

mod answers;
mod challenged;
mod compare;
mod cut;
mod early;
mod ending;
mod forget;
mod leap;
mod learn;
mod legs;
mod redirects;
mod refusals;
mod retries;
mod room;
#[cfg(test)]
mod spoken;
mod twins;
mod wait;

use std::collections::VecDeque;
use std::net::{IpAddr, SocketAddr};

use crate::call::agenda::Agenda;
use crate::call::clocks::Clocks;
use crate::call::connections::{CarriesSip, Openings};
use crate::call::judge::Outcome;
use crate::call::link::{Guesses, Ties};
use crate::call::log::{Hearing, Leisure, Log, Phase, Pool, Told, WayId};
use crate::call::model::{Arrival, Call, Kind};
use crate::call::surroundings::{DeadPort, HopId, Surroundings};
pub use crate::call::tracker::answers::AnsweredBefore;
use crate::call::tracker::answers::LastAnswers;
use crate::call::tracker::challenged::Challenges;
use crate::call::tracker::cut::Clues;
use crate::call::tracker::early::{Early, Word};
use crate::call::tracker::forget::Forgets;
pub use crate::call::tracker::leap::{LEAP, Leap};
use crate::call::tracker::learn::{Rush, Sought};
use crate::call::tracker::redirects::Redirects;
use crate::call::tracker::refusals::Refusals;
pub use crate::call::tracker::retries::Retry;
use crate::call::tracker::retries::Tries;
use crate::call::tracker::twins::Twins;
pub(crate) use crate::call::tracker::twins::names_version;
use crate::call::transaction::Keys;
use crate::capture::Timestamp;
use crate::keyed::{ByHash, Keyed, Table};
use crate::net::{Connection, ConnectionEvent, IcmpError, StreamId, Undelivered};
use crate::oddity::{Oddity, OddityLog};
use crate::sip::digest::Secrets;
use crate::sip::{Cut, HeaderName, Message, Method, user_of};

/// Bounds of the tracker. Each is settable by `--limits`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of messages of all open calls together.
    pub call_bytes: usize,
    /// Open calls.
    pub calls: usize,
    /// Messages kept of one call.
    pub messages: usize,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits { call_bytes: 16 << 20, calls: 100_000, messages: 1000 }
    }
}

/// Follows every call of a capture.
#[derive(Debug)]
pub struct Tracker {
    limits: Limits,
    open: Vec<Option<Box<Open>>>,
    free: Vec<u32>,
    /// Calls that have ended, whose room is used again.
    #[expect(clippy::vec_box, reason = "the boxes go back among the open calls as they are")]
    spare: Vec<Box<Open>>,
    /// The bytes of their messages.
    pool: Pool,
    /// The open call of a Call-ID, by a hash that nobody outside can foresee ([`Tracker::key_of`]).
    by_call_id: ByHash<u32>,
    /// Keys that legs share, as hashes that nobody outside can foresee.
    links: ByHash<Link>,
    /// What tells the call where the Call-ID was cut off.
    clues: Clues,
    /// What tells that a call is the next try of another.
    tries: Tries,
    redirects: Redirects,
    challenges: Challenges,
    answers: LastAnswers,
    refusals: Refusals,
    hasher: Keyed,
    guesses: Guesses,
    /// What was last on each path.
    last_on_path: ByHash<LastOnPath>,
    deadlines: Agenda,
    wanted: Wanted,
    closed: VecDeque<Ended>,
    /// Those that end because the input has, the first one last.
    ending: Vec<u32>,
    surroundings: Surroundings,
    /// TCP connections that are being opened.
    openings: Openings,
    /// How many messages of each address were looked at for the name of its software.
    looked_for_software: Table<IpAddr, u8>,
    /// Which addresses show the same software.
    twins: Twins,
    /// Calls that are up on each hop, from client to server.
    occupied: Table<(IpAddr, IpAddr), u32>,
    /// Requests within the last second.
    rush: Rush,
    /// What refused credentials are checked against.
    secrets: Secrets,
    /// How many good calls of each server were learned from.
    learned: Table<IpAddr, u8>,
    bytes: usize,
    /// Bytes at which memory is next taken back.
    full_at: usize,
    /// How long what has ended is kept for what may come late.
    leisure: Leisure,
    numbered: u32,
    now: Timestamp,
    /// When an ICMP error last said of a port, which may be one for media, that it is closed.
    port_died: Option<Timestamp>,
    /// Whether a word is wanted before a call has ended.
    early: Early,
    /// Whether what is old is forgotten.
    forgets: Forgets,
    /// What is gathered about the clocks of several inputs; `None` where there is one.
    clocks: Option<Box<Clocks>>,
}

#[derive(Debug, Default)]
struct Open {
    log: Log,
    bytes: usize,
    /// What it waits for.
    phase: Phase,
    /// When it last moved.
    moved: Timestamp,
    /// When it is closed if nothing more comes; `None` while a conversation lasts.
    deadline: Option<Timestamp>,
    /// The earliest time at which the queue of deadlines looks at it again.
    queued: Option<Timestamp>,
    /// What is said of it before it has ended.
    word: Word,
    keys: Vec<u64>,
}

/// Which calls are wanted whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Wanted {
    /// All of them.
    #[default]
    EveryCall,
    /// Those in which something may need explaining; plain good ones are only counted.
    Troubled,
}

/// A call that has ended.
#[derive(Debug)]
pub enum Ended {
    /// The call, worked out and judged.
    Call(Box<Call>),
    /// A plain good call that nobody wants whole.
    Good(GoodCall),
    /// A call that has not ended: it was answered, or has failed as it stands now. Only where that was asked for
    /// ([`Tracker::tell_early`]).
    SoFar(Box<Call>),
}

/// What is counted of a plain good call that nobody wants whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GoodCall {
    /// What it was about.
    pub kind: Kind,
    /// How it ended.
    pub outcome: Outcome,
    /// Its messages.
    pub messages: u64,
}

/// Where a key was seen.
#[derive(Debug, Clone, Copy)]
enum Link {
    /// In this call.
    Call(u32),
    /// In several, the last time at this moment.
    Ambiguous(Timestamp),
}

/// What was last on a path.
#[derive(Debug, Clone, Copy)]
struct LastOnPath {
    /// The call, for ICMP errors that quote no more than ports.
    index: u32,
    /// The hop, which need not be looked up by its addresses then.
    hop: HopId,
}

/// Addresses whose software is looked for.
const MOST_ADDRESSES: usize = 65_536;
/// Keys that are kept.
const MOST_LINKS: usize = 200_000;
/// Paths of which the last call is kept: as many as fit into a table that stays in the processor's second cache.
/// Beyond, all are forgotten: what matters is of calls that have just begun to use them.
const MOST_PATHS: usize = 28_672;
/// Messages after which a record that is no call begins anew once it is settled.
const LONG_RECORD: u32 = 64;

impl Open {
    /// Bytes of memory that it takes.
    fn footprint(&self) -> usize {
        size_of::<Open>() + self.log.footprint() + self.keys.capacity() * size_of::<u64>()
    }

    /// True if it would have been closed by now, but for leisure.
    fn is_over_by(&self, now: Timestamp) -> bool {
        let patience = self.log.patience(self.phase, Leisure::Some);
        patience.is_some_and(|patience| self.moved.plus(patience) <= now)
    }

    /// Begins another call in the room of one that has ended.
    fn renew(&mut self, number: u32, kind: Kind, now: Timestamp) {
        let Open { log, bytes, phase, moved, deadline, queued, word, keys } = self;
        log.renew(number, kind);
        (*bytes, *phase, *moved, *word) = (0, Phase::default(), now, Word::default());
        (*deadline, *queued) = (None, None);
        keys.clear();
    }
}

impl Default for Tracker {
    fn default() -> Tracker {
        Tracker::new(Limits::default(), Wanted::default())
    }
}

impl Tracker {
    /// A tracker with these bounds.
    pub fn new(limits: Limits, wanted: Wanted) -> Tracker {
        Tracker {
            limits,
            wanted,
            open: Vec::new(),
            free: Vec::new(),
            spare: Vec::new(),
            pool: Pool::default(),
            by_call_id: ByHash::default(),
            links: ByHash::default(),
            clues: Clues::default(),
            tries: Tries::default(),
            redirects: Redirects::default(),
            challenges: Challenges::default(),
            answers: LastAnswers::default(),
            refusals: Refusals::default(),
            hasher: Keyed::default(),
            guesses: Guesses::default(),
            last_on_path: ByHash::default(),
            deadlines: Agenda::default(),
            closed: VecDeque::new(),
            ending: Vec::new(),
            surroundings: Surroundings::default(),
            openings: Openings::default(),
            looked_for_software: Table::default(),
            twins: Twins::default(),
            occupied: Table::default(),
            rush: Rush::default(),
            secrets: Secrets::default(),
            learned: Table::default(),
            bytes: 0,
            full_at: limits.call_bytes,
            leisure: Leisure::default(),
            numbered: 0,
            now: Timestamp(i64::MIN),
            port_died: None,
            early: Early::default(),
            forgets: Forgets::default(),
            clocks: None,
        }
    }

    /// Takes in one message. Messages must come in order of [`crate::capture::Place`].
    pub fn message(&mut self, message: &Message<'_>, cut: Cut, arrival: &Arrival, oddities: &mut OddityLog) {
        self.advance(arrival.place.time);
        self.note_back_off(message, arrival);
        let keys = Keys::read(message);
        let ties = keys.is_attempt().then(|| Ties::of(message, &self.hasher));
        if self.clocks.is_some() {
            self.compare(message, &keys, ties.as_ref(), arrival);
        }
        let call_id = self.key_of(message, &keys);
        let clues = self.clues_of(message, &keys, arrival);
        let index = match self.known_call(call_id, &keys).filter(|_| !message.has_cut_call_id()) {
            Some(index) => index,
            None => {
                match self.call_by_clues(message, clues).or_else(|| self.call_before_proxy(message, &keys, arrival)) {
                    Some(index) => self.add_call_id(call_id, index),
                    None => self.open_call(call_id, message, ties.as_ref(), &keys, arrival),
                }
            }
        };
        self.note_clues(index, clues);
        self.note_spanned(index, arrival.place);
        let Some(way) = self.note_hop(index, message, arrival) else { return };
        let Some(open) = self.open.get_mut(index as usize).and_then(Option::as_deref_mut) else { return };
        let heard = Hearing { message, keys: &keys, cut, arrival, way, noting: self.refusals.noting(&keys) };
        let told = open.log.hear(&heard, self.limits.messages, &mut self.pool);
        if matches!(told, Told::New(_)) {
            self.learn((index, call_id), message, &keys, arrival);
        }
        match told {
            Told::New(step) => {
                if let (Some(step), Some(ties)) = (step, &ties) {
                    self.note_attempt(index, step, ties, arrival.path);
                }
            }
            Told::Again => {}
            Told::Duplicate => oddities.note(Oddity::DuplicatePacket, Some(arrival.place.frame)),
            Told::NotKept => {
                let limit = Oddity::LimitHit { limit: "messages", value: self.limits.messages as u64 };
                oddities.note(limit, Some(arrival.place.frame));
            }
        }
        self.reschedule(index);
        self.consider_a_word(index);
        self.make_room(oddities);
    }

    /// Takes in an ICMP error: it belongs to the call whose packet it quotes.
    pub fn icmp(&mut self, error: &IcmpError<'_>) {
        self.advance(error.place.time);
        let Some(quoted) = error.quoted else { return };
        let message = Message::read(error.quoted_bytes, Cut::Missing(0));
        let by_call_id = message
            .as_ref()
            .and_then(|message| self.by_call_id.get(&self.key_of(message, &Keys::read(message))).copied());
        // A whole Call-ID that no open call has: it is of another one, be it on the same ports.
        let is_of_other = message.as_ref().is_some_and(|message| {
            let call_id = message.call_id();
            !call_id.is_empty() && !error.quoted_bytes.ends_with(call_id)
        });
        let on_path = || Some(self.last_on_path.get(&self.ends(quoted.source, quoted.destination))?.index);
        let index = by_call_id.or_else(|| on_path().filter(|_| !is_of_other));
        if let Some(open) = index.and_then(|index| self.open.get_mut(index as usize)).and_then(Option::as_deref_mut) {
            open.log.hear_icmp(error, quoted, &self.pool);
            return index.map_or((), |index| self.consider_a_word(index));
        }
        if quoted.transport.is_reliable() {
            self.openings.undelivered(quoted, error);
        }
        // Not SIP: it may be the media of a call.
        if matches!(
            error.what.meaning(),
            Undelivered::PortUnreachable
                | Undelivered::Prohibited
                | Undelivered::NoRoute
                | Undelivered::HostUnreachable
        ) {
            let IcmpError { place, reporter, what, .. } = *error;
            let closed = DeadPort { place, reporter, what, count: 1, last: place.time };
            self.port_died = Some(error.place.time);
            self.surroundings.note_dead_port(quoted.destination, closed);
        }
    }

    /// Takes in what happened to a TCP connection.
    pub fn connection(&mut self, event: &Connection) {
        self.advance(event.place.time);
        let (source, destination) = (event.path.source, event.path.destination);
        if event.what == ConnectionEvent::Received {
            return self.surroundings.note_received(source.ip(), destination.ip(), event.place.time);
        }
        let (hasher, last_on_path) = (&self.hasher, &self.last_on_path);
        // Whoever registered over a connection of its own is looked for at its end of that one.
        let of_device =
            event.what == ConnectionEvent::Syn && self.surroundings.registrations().came_from(event.path.destination);
        let carries_sip = || {
            let known = [(source, destination), (destination, source)];
            match of_device || known.iter().any(|ends| last_on_path.contains_key(&hasher.hash_one(ends))) {
                true => CarriesSip::Yes,
                false => CarriesSip::No,
            }
        };
        self.openings.hear(event, carries_sip, self.surroundings.failed_connections_mut());
    }

    /// Says that bytes came on a stream: its connection came about.
    pub fn stream_carries(&mut self, stream: StreamId) {
        self.openings.came_about(stream);
    }

    /// Says what time it is by the capture's clock: calls whose time has run out are closed.
    pub fn advance(&mut self, now: Timestamp) {
        if now <= self.now {
            return;
        }
        let before = std::mem::replace(&mut self.now, now);
        self.leap_from(before);
        while let Some(passed) = self.deadlines.passed(now) {
            for (_, number, index) in &passed {
                self.look_at(*index, *number);
            }
            self.deadlines.give_back(passed);
        }
        self.forget_what_is_old();
    }

    /// Closes a call whose time has run out; one that has moved since is looked at again.
    fn look_at(&mut self, index: u32, number: u32) {
        let Some(open) = self.open.get_mut(index as usize).and_then(Option::as_deref_mut) else { return };
        if open.log.number != number {
            return;
        }
        open.queued = None;
        match open.deadline {
            Some(due) if due <= self.now => self.close(index),
            _ => {
                self.say_what_is_due(index);
                self.queue(index);
            }
        }
    }

    /// True if an open call holds a message of the same bytes. For telling copies of what was on the wire.
    pub fn holds(&self, bytes: &[u8]) -> bool {
        let known = Message::read(bytes, Cut::Whole)
            .and_then(|message| self.by_call_id.get(&self.key_of(&message, &Keys::read(&message))));
        let open = known.and_then(|index| self.open_at(*index));
        open.is_some_and(|open| open.log.holds(bytes, &self.pool))
    }

    /// What is known of the surroundings.
    pub fn surroundings(&self) -> &Surroundings {
        &self.surroundings
    }

    /// The latest time that was seen.
    pub fn now(&self) -> Timestamp {
        self.now
    }

    /// The call in this room, if one is open there.
    fn open_at(&self, index: u32) -> Option<&Open> {
        self.open.get(index as usize)?.as_deref()
    }

    /// The same, if it is still the call of this number: a room is used again.
    fn still_open(&self, index: u32, call: u32) -> Option<&Open> {
        self.open_at(index).filter(|open| open.log.number == call)
    }

    /// What stands for the call of a message: its Call-ID, and of a registration also whose it is. A client uses one
    /// Call-ID for all that it registers (RFC 3261 §10.2), and what becomes of each account is told of that account.
    fn key_of(&self, message: &Message<'_>, keys: &Keys<'_>) -> u64 {
        if keys.cseq.method != Method::Register {
            return self.hasher.hash_one(keys.call_id);
        }
        self.hasher.hash_one((keys.call_id, message.header_bytes(HeaderName::To).and_then(user_of)))
    }

    /// The open call of this Call-ID. A long record that is no call, such as a row of keep-alives, begins anew when
    /// nothing in it is open, so that it does not grow for ever.
    fn known_call(&mut self, call_id: u64, keys: &Keys<'_>) -> Option<u32> {
        let index = *self.by_call_id.get(&call_id)?;
        let open = self.open_at(index)?;
        let is_long = open.log.kind != Kind::Call && open.log.distinct() >= LONG_RECORD && open.phase == Phase::Settled;
        // The agenda comes by a little later than on time.
        let is_over = open.deadline.is_some_and(|due| due <= self.now);
        // An ended call is kept for what is late of it, not for another one with a Call-ID that is used again.
        let is_another = keys.is_attempt() && open.is_over_by(self.now);
        if is_long || is_over || is_another {
            self.close(index);
            return None;
        }
        Some(index)
    }

    /// The two ends of a path, by a hash that nobody outside can foresee.
    fn ends(&self, source: SocketAddr, destination: SocketAddr) -> u64 {
        self.hasher.hash_one((source, destination))
    }

    /// Counts the message on its hop, and gives its way. What needs a look-up is done when a call first uses a path.
    fn note_hop(&mut self, index: u32, message: &Message<'_>, arrival: &Arrival) -> Option<WayId> {
        let open = self.open.get_mut(index as usize).and_then(Option::as_deref_mut)?;
        let (way, hop) = open.log.way_and_hop(arrival.path);
        let looks_at_sender = open.log.count_look_at_sender(way);
        let hop = match hop {
            Some(hop) => hop,
            None => {
                let (from, to) = (arrival.path.source, arrival.path.destination);
                let key = self.hasher.hash_one((from, to));
                let hop = match self.last_on_path.get_mut(&key) {
                    Some(last) => {
                        last.index = index;
                        last.hop
                    }
                    None => {
                        let hop = self.surroundings.hop_id(from.ip(), to.ip());
                        self.surroundings.note_sender(arrival.path);
                        if self.last_on_path.len() >= MOST_PATHS {
                            self.last_on_path.clear();
                        }
                        self.last_on_path.insert(key, LastOnPath { index, hop });
                        hop
                    }
                };
                open.log.set_hop(way, hop);
                hop
            }
        };
        self.surroundings.note_on(hop, arrival.place.time);
        if looks_at_sender
            && self.note_software(message, arrival) == Sought::Found
            && let Some(open) = self.open.get_mut(index as usize).and_then(Option::as_deref_mut)
        {
            open.log.look_no_more(way);
        }
        Some(way)
    }

    /// Opens a call for a new Call-ID, or finds the call whose next leg it is.
    fn open_call(
        &mut self,
        call_id: u64,
        message: &Message<'_>,
        ties: Option<&Ties<'_>>,
        keys: &Keys<'_>,
        arrival: &Arrival,
    ) -> u32 {
        let linked = self.linked_call(message, ties, keys, arrival);
        let index = match linked {
            Some((index, by, upstream)) => {
                if let Some(open) = self.open.get_mut(index as usize).and_then(Option::as_deref_mut) {
                    open.log.link(by, upstream);
                    open.keys.push(call_id);
                }
                index
            }
            None => self.new_call(call_id, keys),
        };
        if keys.is_request && keys.cseq.method == Method::Register {
            self.note_registering(message, arrival);
        }
        self.by_call_id.insert(call_id, index);
        index
    }

    /// One more Call-ID, or part of one, of a call.
    fn add_call_id(&mut self, call_id: u64, index: u32) -> u32 {
        if let Some(open) = self.open.get_mut(index as usize).and_then(Option::as_deref_mut)
            && !open.keys.contains(&call_id)
        {
            open.keys.push(call_id);
        }
        self.by_call_id.insert(call_id, index);
        index
    }

    fn new_call(&mut self, call_id: u64, keys: &Keys<'_>) -> u32 {
        // After four thousand million calls numbers begin anew.
        self.numbered = self.numbered.wrapping_add(1);
        let mut open = self.spare.pop().unwrap_or_default();
        open.renew(self.numbered, Kind::begun_by(keys), self.now);
        open.keys.push(call_id);
        match self.free.pop() {
            Some(index) => {
                self.open[index as usize] = Some(open);
                index
            }
            None => {
                self.open.push(Some(open));
                (self.open.len() - 1) as u32
            }
        }
    }
}
