//! What is kept of a call while it is open: its messages, and just enough of its steps to know what it waits for.
//!
//! Most calls go well, and of most of them nobody asks for more than that. So transactions, legs and dialogs are worked
//! out from the log when a call has ended and something in it needs explaining ([`Log::assemble`]), not before.

mod assembly;
mod entry;
mod follow;
mod fork;
mod linking;
mod occupancy;
mod order;
mod phase;
mod pool;

use std::net::IpAddr;
use std::num::NonZeroU16;
use std::time::Duration;

use crate::call::link::LinkedBy;
use crate::call::log::entry::{Entry, What};
use crate::call::log::fork::Fork;
use crate::call::log::occupancy::private_block;
pub(crate) use crate::call::log::phase::{EarlyWord, Leisure, Phase};
use crate::call::log::pool::Chain;
pub(crate) use crate::call::log::pool::Pool;
use crate::call::model::{Arrival, IcmpSeen, Kind, MessageId};
use crate::call::surroundings::HopId;
use crate::call::transaction::Keys;
use crate::capture::Timestamp;
use crate::keyed::{ByHash, hash_of};
use crate::net::{IcmpError, Path};
use crate::sip::{Cut, Message, Method};

/// An open call. The bytes of its messages stand in the [`Pool`].
#[derive(Debug, Default)]
pub(crate) struct Log {
    pub(crate) number: u32,
    pub(crate) kind: Kind,
    bytes: Chain,
    entries: Vec<Entry>,
    /// Entries that are no copies.
    distinct: u32,
    ways: Vec<Way>,
    steps: Vec<Step>,
    /// The last step of each branch, once there are many.
    by_branch: ByHash<u32>,
    /// The first steps that are settled.
    settled: u32,
    links: Vec<Link>,
    icmp: Vec<(IcmpSeen, EntryId)>,
    not_kept: u32,
    /// True once something happened that a plain good call does not have.
    is_special: bool,
    /// True once a message was cut off inside of its Call-ID.
    pub(crate) has_cut_call_ids: bool,
    /// Messages of the way to the answer that were given up for their room.
    given_up: u32,
    /// The blocks of private addresses that media were asked for at, a bit for each.
    media_blocks: u8,
    /// When an INVITE was answered first.
    answered: Option<Timestamp>,
    /// How many BYE requests came, on whatever hop, but for those that release a fork.
    byes: u32,
    fork: Fork,
    /// The shortest Session-Expires that was agreed on, in seconds (RFC 4028).
    session_expires: Option<u32>,
    /// A REFER was accepted, and no NOTIFY has said yet that this was all.
    is_transferring: bool,
    /// A request came again with other bytes.
    has_altered_requests: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct EntryId(u32);

/// A step: one transaction, in as few words as the phase needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct StepId(pub(crate) u32);

/// A direction of a hop.
#[derive(Debug, Clone, Copy)]
struct Way {
    path: Path,
    hop: HopId,
    /// Messages that were looked at for the name of the sender's software, at most [`LOOKED_AT`].
    looked_at: u8,
    stand: occupancy::Stand,
}

#[derive(Debug, Clone, Copy)]
struct Step {
    branch_hash: u64,
    /// The branch in the second Via: whose forwarding this is. 0 if there is none.
    upstream_hash: u64,
    cseq: u32,
    method: Verb,
    way: u16,
    /// The first final code; 0 before it.
    status: u16,
    in_dialog: bool,
    provisional: bool,
    /// One of these was more than a 100.
    rings: bool,
    acked: bool,
    /// Another step is known to carry it on.
    forwarded: bool,
    request: Option<EntryId>,
    response: Option<EntryId>,
    ack: Option<EntryId>,
    /// The step before it of the same branch, once there are many.
    before: Option<u32>,
}

/// Where a way stands in its log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct WayId(u16);

/// Methods as far as the phase needs them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Verb {
    Invite,
    Cancel,
    Bye,
    Other(u8),
}

/// A Call-ID that continues an earlier one: its first message, and the step that it continues; none where it comes in
/// place of an earlier try.
#[derive(Debug, Clone)]
struct Link {
    entry: EntryId,
    by: LinkedBy,
    upstream: Option<StepId>,
}

/// A message that comes in.
#[derive(Clone, Copy)]
pub(crate) struct Hearing<'a, 'm> {
    pub(crate) message: &'a Message<'m>,
    pub(crate) keys: &'a Keys<'a>,
    pub(crate) cut: Cut,
    pub(crate) arrival: &'a Arrival,
    /// The way that it came.
    pub(crate) way: WayId,
    pub(crate) noting: Noting,
}

/// What is kept of a message beside its bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Noting {
    /// Nothing: most calls go well, and are not read again.
    #[default]
    Nothing,
    /// What was found in it, as far as that takes few bytes.
    Shorthand,
}

/// What became of a message that was given to the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Told {
    /// It is new; for an INVITE that opens a call, with its step.
    New(Option<StepId>),
    /// The same bytes on the same way: a retransmission (RFC 3261 §17).
    Again,
    /// The same packet twice (J1).
    Duplicate,
    /// It was counted only: the log holds as many messages as it may.
    NotKept,
}

/// Two copies of one packet within this are one packet seen twice (J1).
const TAP_WINDOW_NS: i64 = 10_000_000;
/// With the same IPv4 identification, within this.
const SAME_ID_WINDOW_NS: i64 = 1_000_000_000;
/// An ICMP error comes this soon after the packet it quotes.
const ICMP_WINDOW: Duration = Duration::from_secs(5);
/// Letters that tell the method of a request, or the code of a response.
const START: usize = "SIP/2.0 200".len();
/// Steps of a call up to which those of one branch are looked for among all.
const FEW_STEPS: usize = 32;
/// ICMP errors kept of one call.
const MOST_ICMP: usize = 64;
/// Messages of one way that are looked at for the name of the sender's software: a 100 may come from the transport
/// alone.
const LOOKED_AT: u8 = 2;
/// Ways kept of one call.
const MOST_WAYS: usize = 256;

impl Log {
    /// Begins another call, in the room of one whose blocks were given back.
    pub(crate) fn renew(&mut self, number: u32, kind: Kind) {
        let Log { entries, ways, steps, links, icmp, by_branch, fork, answered, session_expires, .. } = self;
        entries.clear();
        ways.clear();
        steps.clear();
        links.clear();
        icmp.clear();
        *by_branch = ByHash::default();
        *fork = Fork::default();
        (*answered, *session_expires) = (None, None);
        let Log { distinct, settled, not_kept, given_up, byes, media_blocks, .. } = self;
        (*distinct, *settled, *not_kept, *given_up, *byes, *media_blocks) = (0, 0, 0, 0, 0, 0);
        let Log { is_special, has_cut_call_ids, is_transferring, has_altered_requests, .. } = self;
        (*is_special, *has_cut_call_ids, *is_transferring, *has_altered_requests) = (false, false, false, false);
        (self.number, self.kind, self.bytes) = (number, kind, Chain::default());
    }

    /// Gives the blocks of its messages back.
    pub(crate) fn give_back(&mut self, pool: &mut Pool) {
        pool.give_back(std::mem::take(&mut self.bytes));
    }

    /// Bytes that it holds.
    pub(crate) fn footprint(&self) -> usize {
        self.bytes.footprint()
            + self.entries.capacity() * size_of::<Entry>()
            + self.steps.capacity() * size_of::<Step>()
            + self.by_branch.capacity() * size_of::<(u64, u32)>()
            + self.ways.capacity() * size_of::<Way>()
    }

    /// Messages that it holds, copies left out.
    pub(crate) fn distinct(&self) -> u32 {
        self.distinct
    }

    /// Messages that it heard, whether it holds them or not.
    pub(crate) fn heard(&self) -> u64 {
        self.entries.len() as u64 + u64::from(self.not_kept) + u64::from(self.given_up)
    }

    /// Takes in a message. `most` bounds how many are kept.
    pub(crate) fn hear(&mut self, heard: &Hearing<'_, '_>, most: usize, pool: &mut Pool) -> Told {
        if self.entries.len() >= most {
            self.not_kept = self.not_kept.saturating_add(1);
            self.is_special = true;
            return Told::NotKept;
        }
        let Hearing { message, keys, arrival, .. } = *heard;
        let WayId(way) = heard.way;
        let verb = Verb::of(&keys.cseq.method);
        let entry = EntryId(self.entries.len() as u32);
        let step = self.step_of(keys, verb, way);
        if let Some(original) = step.and_then(|step| self.copy_of(step, heard, way, pool)) {
            return self.note_copy(original, way, arrival);
        }
        let step = match step {
            Some(step) => step,
            None => self.open_step(message, keys, verb, way),
        };
        if message.has_cut_call_id() {
            (self.has_cut_call_ids, self.is_special) = (true, true);
        }
        self.keep(heard, way, pool);
        self.follow(step, entry, heard);
        self.pass_settled();
        Told::New(keys.is_attempt().then_some(StepId(step as u32)))
    }

    /// The way with this path, added if it is new.
    fn way(&mut self, path: Path) -> u16 {
        match self.ways.iter().position(|way| way.path == path) {
            Some(known) => known as u16,
            None if self.ways.len() >= MOST_WAYS => 0,
            None => {
                self.ways.push(Way { path, hop: HopId::UNKNOWN, looked_at: 0, stand: occupancy::Stand::Free });
                (self.ways.len() - 1) as u16
            }
        }
    }

    /// The way with this path, and its hop in the surroundings; `None` if that must be looked up.
    pub(crate) fn way_and_hop(&mut self, path: Path) -> (WayId, Option<HopId>) {
        match self.ways.iter().position(|way| way.path == path) {
            Some(known) => (WayId(known as u16), Some(self.ways[known].hop).filter(|hop| *hop != HopId::UNKNOWN)),
            // A way without room stands for others: its hop is not theirs.
            None => (WayId(self.way(path)), None),
        }
    }

    /// Remembers where a way is counted. One that stands for those without room keeps its own.
    pub(crate) fn set_hop(&mut self, WayId(id): WayId, hop: HopId) {
        if let Some(way) = self.ways.get_mut(id as usize).filter(|way| way.hop == HopId::UNKNOWN) {
            way.hop = hop;
        }
    }

    /// Counts that the sender of a message is looked at for the name of its software. False once enough were on this
    /// way.
    pub(crate) fn count_look_at_sender(&mut self, WayId(id): WayId) -> bool {
        let young = self.ways.get_mut(id as usize).filter(|way| way.looked_at < LOOKED_AT);
        young.map(|way| way.looked_at += 1).is_some()
    }

    /// Says that the sender of this way need not be looked at any more.
    pub(crate) fn look_no_more(&mut self, WayId(id): WayId) {
        if let Some(way) = self.ways.get_mut(id as usize) {
            way.looked_at = LOOKED_AT;
        }
    }

    /// True if media were asked for at a private address of a block in which no party of the call was seen.
    fn asks_for_foreign_media(&self) -> bool {
        if self.media_blocks == 0 {
            return false;
        }
        let hosts = self.ways.iter().flat_map(|way| [way.path.source.ip(), way.path.destination.ip()]);
        let seen = hosts.filter_map(|host| match host {
            IpAddr::V4(host) => private_block(host),
            IpAddr::V6(_) => None,
        });
        self.media_blocks & !seen.fold(0u8, |blocks, block| blocks | 1 << block) != 0
    }

    fn path(&self, way: u16) -> Option<Path> {
        self.ways.get(way as usize).map(|way| way.path)
    }

    fn step_of(&self, keys: &Keys<'_>, verb: Verb, way: u16) -> Option<usize> {
        if keys.cseq.method == Method::Ack {
            return self.acked_step(keys, way);
        }
        let is_nameless = keys.is_without_method();
        let fits = |step: &Step| keys.has_cseq(step.cseq) && (step.method == verb || is_nameless);
        if keys.is_request {
            let mut same = self.steps_of_branch(keys.branch_hash).filter(|(_, step)| fits(step) && step.way == way);
            return same.next().map(|(index, _)| index);
        }
        let path = self.path(way)?;
        let mut fallback = None;
        for (index, step) in self.steps_of_branch(keys.branch_hash).filter(|(_, step)| fits(step)) {
            if self.path(step.way).is_some_and(|known| known.reversed() == path) {
                return Some(index);
            }
            fallback = fallback.or(Some(index));
        }
        fallback
    }

    /// The steps of a branch, the last first. Of few steps each is looked at; of many, those of one branch are linked.
    fn steps_of_branch(&self, branch_hash: u64) -> impl Iterator<Item = (usize, &Step)> {
        let is_linked = self.steps.len() > FEW_STEPS;
        let last = if is_linked {
            self.by_branch.get(&branch_hash).copied()
        } else {
            self.steps.len().checked_sub(1).map(|last| last as u32)
        };
        let mut next = last;
        std::iter::from_fn(move || {
            let index = next?;
            let step = self.steps.get(index as usize)?;
            next = if is_linked { step.before } else { index.checked_sub(1) };
            Some((index as usize, step))
        })
        .filter(move |(_, step)| step.branch_hash == branch_hash)
    }

    /// Links a new step to the one before it of the same branch. From the first that makes them many, all are.
    fn link_branches(&mut self) {
        if self.steps.len() <= FEW_STEPS {
            return;
        }
        let from = if self.by_branch.is_empty() { 0 } else { self.steps.len() - 1 };
        for (index, step) in (0u32..).zip(&mut self.steps).skip(from) {
            step.before = self.by_branch.insert(step.branch_hash, index);
        }
    }

    /// The INVITE of an ACK: on the same way, else on a way that shares an end.
    fn acked_step(&self, keys: &Keys<'_>, way: u16) -> Option<usize> {
        let fits = |step: &Step| step.method == Verb::Invite && keys.has_cseq(step.cseq);
        let path = self.path(way)?;
        let shares_end = |step: &Step| {
            self.path(step.way).is_some_and(|known| {
                known.source.ip() == path.source.ip() || known.destination.ip() == path.destination.ip()
            })
        };
        let find = |wanted: &dyn Fn(&Step) -> bool| self.steps.iter().rposition(|step| fits(step) && wanted(step));
        find(&|step| step.branch_hash == keys.branch_hash && step.way == way)
            .or_else(|| find(&|step| step.way == way))
            .or_else(|| find(&|step| shares_end(step)))
    }

    /// The entry that this message repeats byte for byte.
    fn copy_of(&self, step: usize, heard: &Hearing<'_, '_>, way: u16, pool: &Pool) -> Option<EntryId> {
        let step = self.steps.get(step)?;
        let last = if heard.keys.is_request { step.request } else { step.response }?;
        let entry = self.entries.get(last.0 as usize)?;
        let same = |entry: &Entry| entry.way == way && entry.holds(heard.message.bytes(), pool);
        if same(entry) {
            return Some(last);
        }
        // An ACK has its own bytes and no step: look at the last messages for it, if there was one.
        let is_ack = heard.keys.cseq.method == Method::Ack && step.acked;
        let recent = self.entries.iter().enumerate().rev().take(if is_ack { 8 } else { 0 });
        recent.filter(|(_, entry)| same(entry)).map(|(index, _)| EntryId(index as u32)).next()
    }

    fn note_copy(&mut self, original: EntryId, way: u16, arrival: &Arrival) -> Told {
        let before = self.entries.iter().rev().find(|entry| match entry.what {
            What::Copy(of) => of == original,
            What::Message { .. } => false,
        });
        let last = before.or_else(|| self.entries.get(original.0 as usize));
        let seen = |last: &Entry| (last.place.time, last.ip_id.map(NonZeroU16::get));
        let is_duplicate = last.is_some_and(|last| is_same_packet(seen(last), arrival));
        // Where all goes well, one copy was only sent because a packet was late or lost: what proves more takes two.
        let is_harmless = before.is_none() && self.path(way).is_some_and(|path| !path.transport.is_reliable());
        self.is_special |= !is_duplicate && !is_harmless;
        let what = What::Copy(original);
        let ip_id = arrival.ip_id.and_then(NonZeroU16::new);
        self.entries.push(Entry { place: arrival.place, way, ip_id, head: 0, shorthand: 0, what });
        if is_duplicate { Told::Duplicate } else { Told::Again }
    }

    fn open_step(&mut self, message: &Message<'_>, keys: &Keys<'_>, verb: Verb, way: u16) -> usize {
        let second = message.second_branch();
        let upstream_hash = if second.is_empty() { 0 } else { hash_of(second) };
        if upstream_hash != 0 {
            let forwarded: Vec<usize> = self.steps_of_branch(upstream_hash).map(|(index, _)| index).collect();
            for index in forwarded {
                self.steps[index].forwarded = true;
            }
        }
        // Something that answers, acknowledges or goes on with what was not captured is no plain call.
        self.is_special |= !keys.is_request || keys.cseq.method == Method::Ack || keys.branch.is_empty();
        let way_of_request = match self.path(way) {
            Some(path) if !keys.is_request => self.way(path.reversed()),
            _ => way,
        };
        self.steps.push(Step {
            branch_hash: keys.branch_hash,
            upstream_hash,
            cseq: keys.cseq.number,
            method: if keys.cseq.method == Method::Ack { Verb::Invite } else { verb },
            way: way_of_request,
            status: 0,
            in_dialog: !keys.to_tag.is_empty() && keys.is_request,
            provisional: false,
            rings: false,
            acked: false,
            forwarded: false,
            request: None,
            response: None,
            ack: None,
            before: None,
        });
        self.link_branches();
        self.steps.len() - 1
    }

    fn keep(&mut self, heard: &Hearing<'_, '_>, way: u16, pool: &mut Pool) {
        let Hearing { message, cut, arrival, noting, .. } = *heard;
        let spot = pool.append(&mut self.bytes, message.bytes());
        let shorthand = if noting == Noting::Shorthand { message.shorthand() } else { None };
        let shorthand = shorthand.map_or(0, |shorthand| {
            pool.append(&mut self.bytes, shorthand.bytes());
            shorthand.bytes().len() as u8
        });
        let what = What::Message { spot, length: message.bytes().len() as u32, cut };
        self.distinct += 1;
        let head = message.head_length() as u32;
        let ip_id = arrival.ip_id.and_then(NonZeroU16::new);
        self.entries.push(Entry { place: arrival.place, way, ip_id, head, shorthand, what });
    }

    /// Takes in an ICMP error that quotes one of its messages.
    pub(crate) fn hear_icmp(&mut self, error: &IcmpError<'_>, quoted: Path, pool: &Pool) {
        let sent = || {
            self.entries.iter().enumerate().rev().filter(|(_, entry)| {
                self.path(entry.way)
                    .is_some_and(|path| path.source == quoted.source && path.destination == quoted.destination)
                    && error.place.time.since(entry.place.time) <= ICMP_WINDOW
            })
        };
        // What is quoted of the packet tells which it was, be it changed a little on its way; a router need not quote
        // any of it (RFC 792).
        let is_quoted = |entry: &Entry, most: usize| {
            let original = match entry.what {
                What::Copy(of) => self.entries.get(of.0 as usize),
                What::Message { .. } => Some(entry),
            };
            let bytes = original.map(|original| original.bytes(pool)).unwrap_or_default();
            bytes.iter().zip(error.quoted_bytes).take(most).all(|(one, other)| one == other)
        };
        let is_other = Message::read(error.quoted_bytes, Cut::Missing(0)).is_some();
        let found = sent()
            .find(|(_, entry)| is_quoted(entry, usize::MAX))
            .or_else(|| sent().find(|(_, entry)| is_quoted(entry, START)))
            .or_else(|| sent().next().filter(|_| !is_other));
        let Some((index, entry)) = found else { return };
        let original = match entry.what {
            What::Copy(of) => of,
            What::Message { .. } => EntryId(index as u32),
        };
        self.is_special = true;
        if self.icmp.len() < MOST_ICMP {
            let seen = IcmpSeen {
                place: error.place,
                reporter: error.reporter,
                what: error.what,
                mtu: error.mtu,
                quoted,
                message: MessageId(0),
            };
            self.icmp.push((seen, original));
        }
    }

    /// True if it holds a message of these bytes.
    pub(crate) fn holds(&self, bytes: &[u8], pool: &Pool) -> bool {
        self.entries.iter().any(|entry| entry.holds(bytes, pool))
    }
}

/// True if a message is the same packet as its copy that was captured before, at this time and with this identification
/// in its IPv4 header: one packet seen at two points, and no retransmission. A stack that sends a message twice within
/// a few milliseconds numbers both.
pub(crate) fn is_same_packet((time, ip_id): (Timestamp, Option<u16>), arrival: &Arrival) -> bool {
    let age = arrival.place.time.0.saturating_sub(time.0);
    let window = match (ip_id, arrival.ip_id) {
        (Some(one), Some(other)) if one == other => SAME_ID_WINDOW_NS,
        (Some(_), Some(_)) => return false,
        _ => TAP_WINDOW_NS,
    };
    !arrival.path.transport.is_reliable() && (0..=window).contains(&age)
}

impl Step {
    fn is_attempt(&self) -> bool {
        self.method == Verb::Invite && !self.in_dialog
    }

    fn is_good(&self) -> bool {
        (200..300).contains(&self.status)
    }
}

impl Verb {
    fn of(method: &Method) -> Verb {
        match method {
            Method::Invite | Method::Ack => Verb::Invite,
            Method::Cancel => Verb::Cancel,
            Method::Bye => Verb::Bye,
            Method::Register => Verb::Other(0),
            Method::Options => Verb::Other(1),
            Method::Prack => Verb::Other(2),
            Method::Update => Verb::Other(3),
            Method::Info => Verb::Other(4),
            Method::Refer => Verb::Other(5),
            Method::Subscribe => Verb::Other(6),
            Method::Notify => Verb::Other(7),
            Method::Publish => Verb::Other(8),
            Method::Message => Verb::Other(9),
            Method::Other(_) => Verb::Other(u8::MAX),
        }
    }
}
