//! Finds the call of each message, and gives calls when they have ended.
//!
//! Per-call state is fed in order and bounded in bytes; what is dropped is said. The only clock is the capture's.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap, VecDeque};
use std::hash::{BuildHasher, RandomState};
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use crate::call::ended::Phase;
use crate::call::judge::Outcome;
use crate::call::link::{self, Attempt, Guesses, LinkedBy};
use crate::call::model::{Arrival, Call, Heard, IcmpSeen, Kind, MessageId, TransactionId};
use crate::call::surroundings::{BackOff, HopId, Registering, Surroundings};
use crate::call::transaction::{Keys, Told};
use crate::capture::Timestamp;
use crate::net::{IcmpError, Path};
use crate::oddity::{Oddity, OddityLog};
use crate::sip::{Cut, Message};

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
        Limits { call_bytes: 32 << 20, calls: 100_000, messages: 1000 }
    }
}

/// Follows every call of a capture.
#[derive(Debug)]
pub struct Tracker {
    limits: Limits,
    open: Vec<Option<Open>>,
    free: Vec<u32>,
    /// The open call of a Call-ID, by a hash that nobody outside can foresee.
    by_call_id: HashMap<u64, u32>,
    /// Keys that legs share, as hashes that nobody outside can foresee.
    links: HashMap<u64, Link>,
    hasher: RandomState,
    guesses: Guesses,
    /// The call that last sent a request on a path, for ICMP errors that quote no more than ports.
    last_on_path: HashMap<(SocketAddr, SocketAddr), u32>,
    deadlines: BinaryHeap<Reverse<(Timestamp, u32, u32)>>,
    closed: VecDeque<Call>,
    surroundings: Surroundings,
    /// How many messages of each address were looked at for the name of its software.
    looked_for_software: HashMap<IpAddr, u8>,
    bytes: usize,
    numbered: u32,
    now: Timestamp,
}

#[derive(Debug)]
struct Open {
    call: Call,
    bytes: usize,
    /// What it waits for.
    phase: Phase,
    /// When it last moved.
    moved: Timestamp,
    /// When it is closed if nothing more comes; `None` while a conversation lasts.
    deadline: Option<Timestamp>,
    /// The earliest time at which the queue of deadlines looks at it again.
    queued: Option<Timestamp>,
    keys: Vec<u64>,
}

/// Where a key was seen: the call, and the path on which; a key seen for two calls on one path proves nothing.
#[derive(Debug, Clone, Copy)]
enum Link {
    Call(u32),
    Ambiguous,
}

/// An ICMP error comes this soon after the packet it quotes.
const ICMP_WINDOW: Duration = Duration::from_secs(5);
/// ICMP errors kept of one call.
const MOST_ICMP: usize = 64;
/// Addresses whose software is looked for.
const MOST_ADDRESSES: usize = 65_536;
/// Messages of an address that are looked at for the name of its software.
const SOFTWARE_TRIES: u8 = 20;
/// Keys that are kept.
const MOST_LINKS: usize = 200_000;
/// Paths on which the last sender is kept.
const MOST_PATHS: usize = 65_536;
/// Messages after which a record that is no call begins anew once it is settled.
const LONG_RECORD: usize = 64;

impl Default for Tracker {
    fn default() -> Tracker {
        Tracker::new(Limits::default())
    }
}

impl Tracker {
    /// A tracker with these bounds.
    pub fn new(limits: Limits) -> Tracker {
        Tracker {
            limits,
            open: Vec::new(),
            free: Vec::new(),
            by_call_id: HashMap::new(),
            links: HashMap::new(),
            hasher: RandomState::new(),
            guesses: Guesses::default(),
            last_on_path: HashMap::new(),
            deadlines: BinaryHeap::new(),
            closed: VecDeque::new(),
            surroundings: Surroundings::default(),
            looked_for_software: HashMap::new(),
            bytes: 0,
            numbered: 0,
            now: Timestamp(i64::MIN),
        }
    }

    /// Takes in one message. Messages must come in order of [`crate::capture::Place`].
    pub fn message(&mut self, message: &Message<'_>, arrival: &Arrival, oddities: &mut OddityLog) {
        self.advance(arrival.place.time);
        self.note_surroundings(message, arrival);
        let keys = Keys::read(message);
        let index = match self.known_call(message) {
            Some(index) => index,
            None => self.open_call(message, &keys, arrival),
        };
        if keys.is_request {
            self.note_sender(index, arrival.path);
        }
        let Some(open) = self.open.get_mut(index as usize).and_then(Option::as_mut) else { return };
        let told = open.call.hear(message, &keys, arrival, self.limits.messages);
        note_hop(&mut open.call, told, arrival, &mut self.surroundings);
        match told {
            Told::New(id) => {
                let footprint = message.footprint() + size_of::<Heard>();
                open.bytes += footprint;
                self.bytes += footprint;
                if keys.is_attempt() {
                    self.note_attempt(index, id, message);
                }
            }
            Told::NotKept => {
                let limit = Oddity::LimitHit { limit: "messages", value: self.limits.messages as u64 };
                oddities.note(limit, Some(arrival.place.frame));
            }
            Told::Duplicate(_) => oddities.note(Oddity::DuplicatePacket, Some(arrival.place.frame)),
            Told::Again(_) => {}
        }
        self.reschedule(index);
        self.make_room(oddities);
    }

    /// Takes in an ICMP error: it belongs to the call whose packet it quotes.
    pub fn icmp(&mut self, error: &IcmpError<'_>) {
        self.advance(error.place.time);
        let Some(quoted) = error.quoted else { return };
        let by_call_id = Message::read(error.quoted_bytes, Cut::Missing(0))
            .and_then(|message| self.by_call_id.get(&self.hasher.hash_one(message.call_id())).copied());
        let index = by_call_id.or_else(|| self.last_on_path.get(&(quoted.source, quoted.destination)).copied());
        let Some(open) = index.and_then(|index| self.open.get_mut(index as usize)).and_then(Option::as_mut) else {
            return;
        };
        let sent = open.call.messages.iter().rev().find(|heard| {
            heard.path.source == quoted.source
                && heard.path.destination == quoted.destination
                && error.place.time.since(heard.last_place().time) <= ICMP_WINDOW
        });
        let Some(message) = sent.map(|heard| heard.id) else { return };
        if open.call.icmp.len() < MOST_ICMP {
            open.call.icmp.push(IcmpSeen {
                place: error.place,
                reporter: error.reporter,
                version6: error.version6,
                kind: error.kind,
                code: error.code,
                mtu: error.mtu,
                quoted,
                message,
            });
        }
    }

    /// Says what time it is by the capture's clock: calls whose time has run out are closed.
    pub fn advance(&mut self, now: Timestamp) {
        if now <= self.now {
            return;
        }
        self.now = now;
        while let Some(Reverse((deadline, number, index))) = self.deadlines.peek().copied() {
            if deadline > now {
                return;
            }
            self.deadlines.pop();
            let Some(open) = self.open.get_mut(index as usize).and_then(Option::as_mut) else { continue };
            if open.call.number != number {
                continue;
            }
            open.queued = None;
            match open.deadline {
                Some(due) if due <= now => self.close(index),
                _ => self.queue(index),
            }
        }
    }

    /// Says that the input has ended: every open call is closed, in order of its number.
    pub fn finish(&mut self) {
        let mut indexes: Vec<(u32, u32)> = (0u32..)
            .zip(&self.open)
            .filter_map(|(index, open)| open.as_ref().map(|open| (open.call.number, index)))
            .collect();
        indexes.sort_unstable();
        for (_, index) in indexes {
            self.close(index);
        }
    }

    /// True if an open call holds a message of the same bytes. For telling copies of what was on the wire.
    pub fn holds(&self, bytes: &[u8]) -> bool {
        let known = Message::read(bytes, Cut::Whole)
            .and_then(|message| self.by_call_id.get(&self.hasher.hash_one(message.call_id())));
        let open = known.and_then(|index| self.open.get(*index as usize)).and_then(Option::as_ref);
        open.is_some_and(|open| open.call.messages.iter().any(|heard| heard.message.bytes() == bytes))
    }

    /// The next call that has ended.
    pub fn next_closed(&mut self) -> Option<Call> {
        self.closed.pop_front()
    }

    /// What is known of the surroundings.
    pub fn surroundings(&self) -> &Surroundings {
        &self.surroundings
    }

    /// The latest time that was seen.
    pub fn now(&self) -> Timestamp {
        self.now
    }

    /// The open call of this Call-ID. A long record that is no call, such as a row of keep-alives, begins anew when
    /// nothing in it is open, so that it does not grow for ever.
    fn known_call(&mut self, message: &Message<'_>) -> Option<u32> {
        let index = *self.by_call_id.get(&self.hasher.hash_one(message.call_id()))?;
        let open = self.open.get(index as usize)?.as_ref()?;
        if open.call.kind != Kind::Call && open.call.messages.len() >= LONG_RECORD && open.phase == Phase::Settled {
            self.close(index);
            return None;
        }
        Some(index)
    }

    fn note_sender(&mut self, index: u32, path: Path) {
        let key = (path.source, path.destination);
        if self.last_on_path.len() < MOST_PATHS || self.last_on_path.contains_key(&key) {
            self.last_on_path.insert(key, index);
        }
    }

    fn note_surroundings(&mut self, message: &Message<'_>, arrival: &Arrival) {
        let (from, to) = (arrival.path.source.ip(), arrival.path.destination.ip());
        if message.status().is_some_and(|status| status.get() == 503)
            && let Some(seconds) = crate::call::step::seconds(message, "Retry-After").filter(|seconds| *seconds > 0)
        {
            let until = arrival.place.time.plus(Duration::from_secs(u64::from(seconds)));
            let of = crate::call::step::back_off_of(message);
            let is_plain = message.header("Retry-After").is_some_and(|value| value == seconds.to_string());
            self.surroundings.note_back_off(from, BackOff { place: arrival.place, until, asked: to, of, is_plain });
        }
        if message.method() == Some(&crate::sip::Method::Register) {
            let address_of_record = message.to().map(|to| to.uri).unwrap_or_default();
            let call_key = crate::call::call_key(message.call_id());
            let row = Registering { address_of_record, call_key, place: arrival.place };
            self.surroundings.note_registering(from, row);
        }
        self.surroundings.accepted_mut().learn_request(message, from, arrival.place.time);
        self.note_software(message, arrival);
    }

    /// Notes the software that the sender names, in one of its first messages. A proxy passes on the name of another:
    /// only a message with one Via tells of the one who sends it.
    fn note_software(&mut self, message: &Message<'_>, arrival: &Arrival) {
        let address = arrival.path.source.ip();
        let full = self.looked_for_software.len() >= MOST_ADDRESSES;
        let tries = match self.looked_for_software.get_mut(&address) {
            Some(tries) if *tries >= SOFTWARE_TRIES => return,
            Some(tries) => tries,
            None if full => return,
            None => self.looked_for_software.entry(address).or_default(),
        };
        *tries += 1;
        if !message.second_branch().is_empty() {
            return;
        }
        let name = if message.is_request() { "User-Agent" } else { "Server" };
        if let Some(name) = message.header(name).or_else(|| message.header("User-Agent")) {
            *tries = SOFTWARE_TRIES;
            self.surroundings.note_software(address, arrival.place, &name);
        }
    }

    /// Opens a call for a new Call-ID, or finds the call whose next leg it is.
    fn open_call(&mut self, message: &Message<'_>, keys: &Keys<'_>, arrival: &Arrival) -> u32 {
        let linked = if keys.is_attempt() { self.linked_call(message, arrival) } else { None };
        let index = match linked {
            Some((index, by, upstream)) => {
                if let Some(open) = self.open.get_mut(index as usize).and_then(Option::as_mut) {
                    open.call.link_leg(message, arrival, by, upstream, keys);
                }
                index
            }
            None => self.new_call(keys),
        };
        self.by_call_id.insert(self.hasher.hash_one(message.call_id()), index);
        index
    }

    fn new_call(&mut self, keys: &Keys<'_>) -> u32 {
        self.numbered += 1;
        let call = Call {
            number: self.numbered,
            kind: Kind::of(&keys.cseq.method),
            messages: Vec::new(),
            transactions: Vec::new(),
            dialogs: Vec::new(),
            legs: Vec::new(),
            icmp: Vec::new(),
            failures: Vec::new(),
            outcome: Outcome::Unfinished,
            final_status: None,
            not_kept: 0,
            until: self.now,
        };
        let open = Open {
            call,
            bytes: 0,
            phase: Phase::Waiting,
            moved: self.now,
            deadline: None,
            queued: None,
            keys: Vec::new(),
        };
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

    /// The open call that this INVITE continues as another leg: by a key that both carry, else by number and time.
    fn linked_call(&self, message: &Message<'_>, arrival: &Arrival) -> Option<(u32, LinkedBy, Option<TransactionId>)> {
        for (key, by) in link::keys(message) {
            let Some(Link::Call(index)) = self.links.get(&self.hasher.hash_one(key)) else { continue };
            let Some(open) = self.open.get(*index as usize).and_then(Option::as_ref) else { continue };
            if let Some(upstream) = continues(&open.call, arrival) {
                return Some((*index, by, Some(upstream)));
            }
        }
        let number = link::called(message);
        let mut fitting = self
            .guesses
            .fitting(arrival.path, &number, arrival.place.time)
            .filter(|(attempt, path)| self.still_waits(*attempt, *path));
        let (attempt, _) = fitting.next()?;
        // A guess that fits two calls is none.
        if fitting.any(|(other, _)| other.call != attempt.call) {
            return None;
        }
        Some((attempt.index, LinkedBy::NumberAndTime, Some(attempt.transaction)))
    }

    fn still_waits(&self, attempt: Attempt, path: Path) -> bool {
        let open = self.open.get(attempt.index as usize).and_then(Option::as_ref);
        open.filter(|open| open.call.number == attempt.call).is_some_and(|open| {
            open.call.transactions.get(attempt.transaction.0 as usize).is_some_and(|transaction| {
                transaction.finals.is_empty()
                    && transaction.path == path
                    && transaction.is_initial_invite()
                    && open.call.downstream_of(transaction.id).next().is_none()
            })
        })
    }

    fn note_link(&mut self, key: u64, index: u32) {
        if let Some(known) = self.links.get_mut(&key) {
            // The same key in two calls that are not linked identifies neither: some stacks send a constant one.
            if !matches!(known, Link::Call(call) if *call == index) {
                *known = Link::Ambiguous;
            }
            return;
        }
        if self.links.len() >= MOST_LINKS {
            return;
        }
        self.links.insert(key, Link::Call(index));
        if let Some(open) = self.open.get_mut(index as usize).and_then(Option::as_mut) {
            open.keys.push(key);
        }
    }

    /// Notes an INVITE that waits, and its keys: they may stand in a later try only, if the first was challenged.
    fn note_attempt(&mut self, index: u32, id: MessageId, message: &Message<'_>) {
        let Some(open) = self.open.get(index as usize).and_then(Option::as_ref) else { return };
        let heard = open.call.message(id);
        let attempt = Attempt { index, call: open.call.number, transaction: heard.transaction };
        self.guesses.note(attempt, heard.path, link::called(message), self.now);
        for (key, _) in link::keys(message) {
            self.note_link(self.hasher.hash_one(key), index);
        }
    }

    /// Sets the time at which the call is closed if nothing more comes.
    fn reschedule(&mut self, index: u32) {
        let now = self.now;
        let Some(open) = self.open.get_mut(index as usize).and_then(Option::as_mut) else { return };
        open.phase = open.call.phase();
        open.moved = now;
        open.deadline = open.call.deadline(open.phase, now);
        self.queue(index);
    }

    /// Puts the call into the queue of deadlines, unless it stands there with an earlier time: then it is looked at
    /// again when that has come.
    fn queue(&mut self, index: u32) {
        let Some(open) = self.open.get_mut(index as usize).and_then(Option::as_mut) else { return };
        let Some(deadline) = open.deadline else { return };
        if open.queued.is_none_or(|queued| deadline < queued) {
            open.queued = Some(deadline);
            self.deadlines.push(Reverse((deadline, open.call.number, index)));
        }
    }

    /// Takes memory back: settled calls first, then those that have not failed, the idlest first. A quarter of the
    /// bound is freed at once, so that the order is not worked out for every message.
    fn make_room(&mut self, oddities: &mut OddityLog) {
        let open_calls = self.open.len() - self.free.len();
        if self.bytes <= self.limits.call_bytes && open_calls <= self.limits.calls {
            return;
        }
        let mut ranked: Vec<(bool, bool, Timestamp, u32, u32)> = (0u32..)
            .zip(&self.open)
            .filter_map(|(index, open)| {
                let open = open.as_ref()?;
                let unsettled = open.phase != Phase::Settled;
                Some((unsettled, unsettled && open.call.has_failed(), open.moved, open.call.number, index))
            })
            .collect();
        ranked.sort_unstable();
        let (bytes, calls) = (self.limits.call_bytes / 4 * 3, self.limits.calls / 4 * 3);
        for (unsettled, _, _, _, index) in ranked {
            if self.bytes <= bytes && self.open.len() - self.free.len() <= calls {
                return;
            }
            if unsettled {
                let limit = Oddity::LimitHit { limit: "call-bytes", value: self.limits.call_bytes as u64 };
                oddities.note(limit, None);
            }
            self.close(index);
        }
    }

    fn close(&mut self, index: u32) {
        let Some(open) = self.open.get_mut(index as usize).and_then(Option::take) else { return };
        let Open { mut call, bytes, keys, .. } = open;
        self.bytes = self.bytes.saturating_sub(bytes);
        self.free.push(index);
        for call_id in call.call_ids() {
            let key = self.hasher.hash_one(call_id);
            if self.by_call_id.get(&key) == Some(&index) {
                self.by_call_id.remove(&key);
            }
        }
        for key in keys {
            self.links.remove(&key);
        }
        call.until = self.now;
        call.judge();
        self.surroundings.accepted_mut().learn_call(&call);
        self.closed.push_back(call);
    }
}

/// Counts the message on its hop, which its leg knows after the first time.
fn note_hop(call: &mut Call, told: Told, arrival: &Arrival, surroundings: &mut Surroundings) {
    let (from, to) = (arrival.path.source.ip(), arrival.path.destination.ip());
    let leg = match told {
        Told::New(id) | Told::Again(id) | Told::Duplicate(id) => call.message(id).leg,
        Told::NotKept => return surroundings.note_message(from, to, arrival.place.time),
    };
    let Some(leg) = call.legs.get_mut(leg.0 as usize) else { return };
    let ways = [(leg.path.source.ip(), leg.path.destination.ip()), (leg.path.destination.ip(), leg.path.source.ip())];
    let Some((way, hop)) = ways.iter().zip(&mut leg.hops).find(|(way, _)| **way == (from, to)) else {
        return surroundings.note_message(from, to, arrival.place.time);
    };
    if *hop == HopId::UNKNOWN {
        *hop = surroundings.hop_id(way.0, way.1);
    }
    surroundings.note_on(*hop, arrival.place.time);
}

/// The INVITE of a call that another one on this path continues: it still waits, and was on another hop.
fn continues(call: &Call, arrival: &Arrival) -> Option<TransactionId> {
    let waits = |path| {
        call.transactions.iter().rev().find(|known| {
            known.is_initial_invite()
                && known.finals.is_empty()
                && known.path != arrival.path
                && hop_fits(known.path, path)
        })
    };
    waits(arrival.path)
        .or_else(|| {
            call.transactions
                .iter()
                .rev()
                .find(|known| known.is_initial_invite() && known.finals.is_empty() && known.path != arrival.path)
        })
        .map(|known| known.id)
}

/// True if a path leaves from where the other arrives.
fn hop_fits(before: crate::net::Path, after: crate::net::Path) -> bool {
    before.destination.ip() == after.source.ip()
}
