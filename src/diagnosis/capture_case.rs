//! What a rule about the whole capture sees.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::net::IpAddr;
use std::time::Duration;

use crate::call::timer;
use crate::call::{Call, ClockSeen, Heard, Kind, Outcome, Surroundings, Transaction};
use crate::capture::{Place, SourceId, Timestamp};
use crate::diagnosis::meanwhile::RefusedTries;
use crate::diagnosis::scanners::ProbingBySource;
use crate::net::{Path, TlsConnection};
use crate::oddity::{Noted, OddityLog};
use crate::sip::{HeaderName, Method, StatusCode, tag};

/// One input, as far as rules need it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InputSeen {
    /// Which.
    pub source: SourceId,
    /// Packets read.
    pub packets: u64,
    /// Messages found.
    pub sip_messages: u64,
    /// Time of the earliest and of the latest packet.
    pub first_and_last: Option<(Timestamp, Timestamp)>,
    /// What was odd.
    pub oddities: OddityLog,
}

/// A message that shows that another one is not in the capture.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Witness {
    /// Where it stands.
    pub place: Place,
    /// From whom to whom.
    pub path: Path,
    /// True if what is missing went the opposite way, as the answer that an ACK confirms.
    pub of_way_back: bool,
}

/// What was counted over all calls.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tally {
    /// Calls.
    pub calls: u64,
    /// The first message of calls whose beginning is not in the capture: it carries a To tag, or answers a request
    /// that was not captured. At most [`Tally::MOST`] of each of the two.
    pub without_start: Vec<Witness>,
    /// The Call-IDs of those that begin with a response, in the same order: fragments of their request may tell that
    /// it is in the capture all the same. At most [`Tally::MOST`].
    pub(crate) answered_unseen: Vec<Box<[u8]>>,
    /// How many such calls there are.
    pub without_start_count: u64,
    /// How many of them begin with a response, by its way: its request may have passed elsewhere. At most
    /// [`Tally::MOST_HOPS`] ways.
    pub without_request: BTreeMap<(IpAddr, IpAddr), u64>,
    /// The last message of calls whose end is not in the capture. At most [`Tally::MOST`].
    pub without_end: Vec<Place>,
    /// How many such calls there are.
    pub without_end_count: u64,
    /// Messages that prove that something went the opposite way on their hop, and was not captured: a response without
    /// its request, an ACK or BYE without an answer. At most [`Tally::MOST`].
    pub one_way: Vec<Witness>,
    /// Requests whose response has the earlier time: the response, and the request. At most [`Tally::MOST`].
    pub answered_ahead: Vec<(Place, Place)>,
    /// How many such requests there are in the calls that were looked at.
    pub answered_ahead_count: u64,
    /// Requests that were captured on two sides of a NAT: each side. At most [`Tally::MOST`].
    pub both_sides: Vec<(Witness, Witness)>,
    /// How many such requests there are in the calls that were looked at.
    pub both_sides_count: u64,
    /// What each source asked for.
    pub probing: ProbingBySource,
    /// INVITEs that were refused.
    pub(crate) refused: RefusedTries,
    /// The Call-IDs (a hash) of what had begun in the capture and may go on after a long silence. At most
    /// [`Tally::MOST_PARTS`]; beyond, what goes on may be counted as begun before the capture.
    went_on: BTreeSet<u64>,
}

impl Tally {
    /// Places that are kept.
    pub const MOST: usize = 20;
    /// Ways that are kept.
    pub const MOST_HOPS: usize = 4096;
    /// Call-IDs that are kept.
    const MOST_PARTS: usize = 65_536;

    /// Counts a call that has ended.
    pub fn add(&mut self, call: &Call) {
        self.calls += 1;
        let Some(first) = call.messages.first() else { return };
        let opens = match first.message.method() {
            // Its transaction says that of an ACK which tells that there was an INVITE.
            Some(Method::Ack) => tag(first.message.header_bytes(HeaderName::To).unwrap_or_default()).is_empty(),
            Some(_) => !call.transaction(first.transaction).in_dialog,
            None => is_ahead(call, call.transaction(first.transaction)),
        };
        // A dialog that is silent for long is told of in parts, and the later ones begin in it.
        let opens = opens || self.went_on.contains(&key_of(first));
        if opens && (call.kind == Kind::Subscription || has_open_end(call)) && self.went_on.len() < Tally::MOST_PARTS {
            self.went_on.insert(key_of(first));
        }
        if !opens {
            self.note_without_start(first);
        }
        if call.outcome == Outcome::Unfinished || has_open_end(call) || has_open_transaction(call) {
            self.without_end_count += 1;
            if self.without_end.len() < Tally::MOST {
                let last = call.messages.last().unwrap_or(first);
                self.without_end.push(last.place);
            }
        }
        self.note_one_way(call);
        self.note_ahead(call);
        self.note_both_sides(call);
        self.probing.add(call);
        self.refused.add(call);
    }

    /// Notes the first message of a call whose beginning is not in the capture.
    fn note_without_start(&mut self, first: &Heard) {
        self.without_start_count += 1;
        let of_way_back = !first.message.is_request();
        if self.without_start.iter().filter(|known| known.of_way_back == of_way_back).count() < Tally::MOST {
            self.without_start.push(Witness { place: first.place, path: first.path, of_way_back });
            if of_way_back {
                self.answered_unseen.push(first.message.call_id().into());
            }
        }
        let hop = (first.path.source.ip(), first.path.destination.ip());
        let has_room = self.without_request.len() < Tally::MOST_HOPS || self.without_request.contains_key(&hop);
        if of_way_back && has_room {
            *self.without_request.entry(hop).or_default() += 1;
        }
    }

    /// Notes requests whose response has the earlier time.
    fn note_ahead(&mut self, call: &Call) {
        for transaction in call.transactions.iter().filter(|transaction| is_ahead(call, transaction)) {
            self.answered_ahead_count += 1;
            let pair = first_response(call, transaction).zip(call.request_of(transaction));
            if let Some((response, request)) = pair.filter(|_| self.answered_ahead.len() < Tally::MOST) {
                self.answered_ahead.push((response.place, request.place));
            }
        }
    }

    /// Notes requests that are seen before and behind a NAT: the same branch between other addresses.
    fn note_both_sides(&mut self, call: &Call) {
        let asked = || call.transactions.iter().filter(|known| known.upstream.is_none() && !known.branch.is_empty());
        for (at, one) in asked().enumerate() {
            let other = asked().skip(at + 1).find(|other| {
                (other.cseq, &other.method, &other.branch) == (one.cseq, &one.method, &one.branch)
                    && one.path.may_be_translated_to(other.path)
            });
            let pair = other.and_then(|other| Some((call.request_of(one)?, call.request_of(other)?)));
            let Some((inside, outside)) = pair else { continue };
            let is_same_size = inside.message.via_count() == outside.message.via_count();
            // What is repeated to another server (RFC 3263 §4.3) comes later, and has a branch of its own.
            if !is_same_size || outside.place.time.since(inside.place.time).as_millis() > 100 {
                continue;
            }
            self.both_sides_count += 1;
            if self.both_sides.len() < Tally::MOST {
                let witness = |heard: &Heard| Witness { place: heard.place, path: heard.path, of_way_back: false };
                self.both_sides.push((witness(inside), witness(outside)));
            }
        }
    }

    /// Notes what proves that the other direction of a hop was not captured.
    fn note_one_way(&mut self, call: &Call) {
        for transaction in &call.transactions {
            if self.one_way.len() >= Tally::MOST {
                return;
            }
            let witness = match (transaction.request, first_response(call, transaction)) {
                (None, Some(response)) => Some(response.id),
                (request, None) => {
                    let ack = transaction.acks.first().copied().filter(|_| !has_answer(call, transaction.cseq));
                    ack.or_else(|| request.filter(|_| call.was_challenged_unseen(transaction)))
                }
                _ => None,
            };
            if let Some(witness) = witness.map(|id| call.message(id)) {
                self.one_way.push(Witness { place: witness.place, path: witness.path, of_way_back: true });
            }
        }
    }
}

/// True if a final response to an INVITE with this number was captured on any hop.
fn has_answer(call: &Call, cseq: u32) -> bool {
    call.transactions.iter().any(|transaction| {
        transaction.method == Method::Invite && transaction.cseq == cseq && !transaction.finals.is_empty()
    })
}

/// A response that comes just before its request was stamped by another clock, or stored too late. Where the first copy
/// of the request was not captured, the next one comes a good while after it, and others after that (RFC 3261
/// §17.1.1.2).
const AHEAD: Duration = Duration::from_millis(50);

/// True if the first response has the earlier time than its request.
fn is_ahead(call: &Call, transaction: &Transaction) -> bool {
    let pair = first_response(call, transaction).zip(call.request_of(transaction));
    pair.is_some_and(|(response, request)| {
        let ahead = request.place.time.since(response.place.time);
        request.repeats.is_empty() && request.place.time > response.place.time && ahead <= AHEAD
    })
}

fn first_response<'a>(call: &'a Call, transaction: &Transaction) -> Option<&'a Heard> {
    transaction
        .provisionals
        .iter()
        .chain(&transaction.finals)
        .map(|id| call.message(*id))
        .min_by_key(|heard| heard.place)
}

/// A hash of the Call-ID of a message.
fn key_of(heard: &Heard) -> u64 {
    let mut hasher = DefaultHasher::new();
    heard.message.call_id().hash(&mut hasher);
    hasher.finish()
}

/// True if a dialog of the call was confirmed and its BYE was not captured. A BYE without a To tag counts: some stacks
/// send it, and are answered.
fn has_open_end(call: &Call) -> bool {
    let ended = call
        .transactions
        .iter()
        .filter(|transaction| transaction.method == Method::Bye)
        .any(|bye| call.final_status_of(bye).is_some_and(StatusCode::is_success));
    !ended && call.dialogs.iter().any(|dialog| dialog.confirmed.is_some() && dialog.bye.is_none())
}

/// True if a request of the caller or callee was still waiting for its final response when the call was last seen, and
/// its time had not run out. What a proxy sent on may stay without an answer when the proxy gives up.
fn has_open_transaction(call: &Call) -> bool {
    call.transactions.iter().filter(|transaction| transaction.finals.is_empty() && transaction.upstream.is_none()).any(
        |transaction| {
            let patience = if call.is_kept_waiting(transaction) { timer::C } else { timer::OVERDUE };
            let undelivered = call.icmp.iter().any(|icmp| Some(icmp.message) == transaction.request);
            !undelivered
                && transaction.acks.is_empty()
                && call.request_of(transaction).is_some_and(|request| call.until.since(request.place.time) < patience)
        },
    )
}

/// The capture as a whole.
#[derive(Debug, Clone, Copy)]
pub struct CaptureCase<'a> {
    /// Its inputs.
    pub inputs: &'a [InputSeen],
    /// What is known of the surroundings.
    pub surroundings: &'a Surroundings,
    /// What was counted over all calls.
    pub tally: &'a Tally,
    /// The TLS connections, read or not.
    pub tls: &'a [TlsConnection],
    /// The clocks of inputs that are not those of the others.
    pub clocks: &'a [ClockSeen],
}

impl<'a> CaptureCase<'a> {
    /// What was noted of one kind of oddity: the inputs that have it.
    pub fn noted(&self, kind: &'a str) -> impl Iterator<Item = (&'a InputSeen, &'a Noted)> {
        self.inputs.iter().filter_map(move |input| Some((input, input.oddities.of(kind)?)))
    }

    /// The input that had one kind of oddity first, and what was noted of it there.
    pub fn earliest(&self, kind: &'a str) -> Option<(&'a InputSeen, &'a Noted)> {
        self.noted(kind).min_by_key(|(input, noted)| (noted.times.first().copied(), input.source))
    }

    /// The first places at which one kind of oddity was noted, in order of time over all inputs.
    pub fn first(&self, kind: &'a str, most: usize) -> Vec<Place> {
        let mut places: Vec<Place> = Vec::new();
        for (input, noted) in self.noted(kind) {
            places.extend(noted.frames_and_times().map(|(frame, time)| Place {
                time: Timestamp(time),
                source: input.source,
                frame,
                index: 0,
            }));
        }
        places.sort_unstable();
        places.truncate(most);
        places
    }

    /// How often one kind of oddity was noted in all inputs.
    pub fn count(&self, kind: &'a str) -> u64 {
        self.noted(kind).map(|(_, noted)| noted.count).fold(0, u64::saturating_add)
    }

    /// The time of the latest packet.
    pub fn until(&self) -> Timestamp {
        self.inputs.iter().filter_map(|input| Some(input.first_and_last?.1)).max().unwrap_or_default()
    }

    /// True if messages went from one address to another, and none of the whole capture went back.
    pub fn is_one_way(&self, from: IpAddr, to: IpAddr) -> bool {
        from != to && self.surroundings.hop(from, to).is_some() && self.surroundings.hop(to, from).is_none()
    }

    /// The place of a frame of an input, for a claim.
    pub fn place(&self, input: &InputSeen, frame: u64) -> Place {
        Place { source: input.source, frame, ..Place::default() }
    }
}
