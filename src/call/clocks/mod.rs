//! What messages of several inputs tell of the clocks by which they were stamped.
//!
//! Each input was stamped by the clock of the host that captured it, and two hosts need not agree. Two things tell how
//! far apart they are: the same datagram in two inputs, seen at two points of its way; and a request that a host
//! received in one input and sent on in another, which cannot have left before it came, and cannot have been answered
//! after what waited for that was. Is given messages; gives by how much the clock of an input is ahead of that of
//! others. Deliberately does not know how an input is read again.

mod evidence;
mod fit;
mod sampled;
mod shifts;

use std::net::{IpAddr, SocketAddr};

use crate::call::clocks::evidence::Evidence;
use crate::call::clocks::sampled::{Sampled, hash_of, kept_like};
pub use crate::call::clocks::shifts::{ClockSeen, Shown};
use crate::call::link::Ties;
use crate::call::model::Arrival;
use crate::call::points::AtPoint;
use crate::call::transaction::Keys;
use crate::capture::{InputFacts, Place, SourceId};
use crate::keyed::ByHash;
use crate::sip::{Message, Method, StatusCode, Via};

/// Datagrams that are remembered: of more a part, the same of each input.
const MOST_DATAGRAMS: usize = 4096;
/// Requests that are remembered, to find what was sent on of them.
const MOST_REQUESTS: usize = 4096;
/// Exact keys of calls that are remembered.
const MOST_KEYS: usize = 2048;
/// Call-IDs of their legs, before those are forgotten of which nothing else is remembered.
const MOST_CALL_IDS: usize = 4 * MOST_KEYS;
/// Legs of one request or key that are compared: what has more is no single call.
const MOST_LEGS: usize = 8;
/// Inputs that are remembered to show one datagram.
const MOST_POINTS: usize = 8;

/// What is gathered about the clocks of several inputs.
#[derive(Debug)]
pub(crate) struct Clocks {
    datagrams: Sampled<SameDatagram>,
    /// By the branch of a request: itself, and what it was sent on as.
    forwarded: Sampled<Vec<Exchange>>,
    /// By a key that the legs of a B2BUA share.
    keyed: Sampled<Legs>,
    /// The keys of the legs that are remembered, by their Call-ID.
    by_call_id: ByHash<u64>,
}

/// A datagram as inputs show it.
#[derive(Debug)]
struct SameDatagram {
    from: SocketAddr,
    to: SocketAddr,
    numbering: Numbering,
    /// Where it stands in each input first, and how often.
    seen: Vec<(AtPoint, Times)>,
}

/// Whether the IPv4 header of a datagram tells it from a repetition of the same bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Numbering {
    Numbered,
    None,
}

/// How often an input holds the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Times {
    Once,
    Again,
}

/// Legs that share a key.
#[derive(Debug)]
struct Legs {
    ground: Ground,
    legs: Vec<Exchange>,
}

/// How well a key tells that two legs are of one call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ground {
    /// It is made for one call, by its standard.
    Standard,
    /// It stands in a private header: some stacks send the same value with each call.
    Private,
}

/// A request in one input, with how it was answered there.
#[derive(Debug, Clone, Copy)]
struct Exchange {
    /// A hash of its branch or Call-ID.
    id: u64,
    part: Part,
    source: SourceId,
    client: IpAddr,
    server: IpAddr,
    /// The request, the first time.
    asked: Option<Place>,
    /// The final response that is no challenge, the first time.
    answered: Option<(Place, StatusCode)>,
    /// The first BYE.
    bye: Option<Place>,
    /// It was cancelled: who waited is then answered at once, and not when the answer to what was sent on has come.
    is_cancelled: bool,
}

/// Which of two requests brought the other about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    Cause,
    Effect,
    /// The hosts tell, or how long each of them took.
    Either,
}

impl Default for Clocks {
    fn default() -> Clocks {
        Clocks {
            datagrams: Sampled::new(MOST_DATAGRAMS),
            forwarded: Sampled::new(MOST_REQUESTS),
            keyed: Sampled::new(MOST_KEYS),
            by_call_id: ByHash::default(),
        }
    }
}

impl Clocks {
    /// Notes a message. Gives where another input showed the same datagram before.
    pub(crate) fn note(
        &mut self,
        message: &Message<'_>,
        keys: &Keys<'_>,
        ties: Option<&Ties<'_>>,
        arrival: &Arrival,
    ) -> Option<AtPoint> {
        if !keys.has_cookie() {
            return None;
        }
        let branch = hash_of(keys.branch);
        let before = self.note_datagram(branch, keys, arrival);
        if keys.cseq.method == Method::Ack {
            return before;
        }
        let second = message.second_branch();
        if second.starts_with(Via::COOKIE.as_bytes()) && second != keys.branch {
            self.note_forwarded(hash_of(second), (branch, Part::Effect), keys, arrival);
        }
        self.note_forwarded(branch, (branch, Part::Cause), keys, arrival);
        self.note_leg(keys, ties, arrival);
        before
    }

    fn note_datagram(&mut self, branch: u64, keys: &Keys<'_>, arrival: &Arrival) -> Option<AtPoint> {
        let (path, place) = (arrival.path, arrival.place);
        // The bytes of a stream are put in order once, whichever input showed them first.
        if path.transport.is_reliable() || !self.datagrams.takes(branch) {
            return None;
        }
        let what = (keys.cseq.method.name(), keys.status, keys.to_tag);
        let which = (branch, arrival.ip_id, keys.cseq.number, path.source, path.destination);
        let rest = hash_of((what, which));
        let hash = kept_like(branch, rest);
        let made = || SameDatagram {
            from: path.source,
            to: path.destination,
            numbering: if arrival.ip_id.is_some() { Numbering::Numbered } else { Numbering::None },
            seen: Vec::with_capacity(1),
        };
        let SameDatagram { seen, .. } = self.datagrams.entry(hash, made)?;
        if let Some((_, times)) = seen.iter_mut().find(|(known, _)| known.place.source == place.source) {
            *times = Times::Again;
            return None;
        }
        let before = seen.first().map(|(before, _)| *before);
        if seen.len() < MOST_POINTS {
            seen.push((AtPoint { place, hop_limit: arrival.hop_limit }, Times::Once));
        }
        before
    }

    fn note_forwarded(&mut self, branch: u64, (id, part): (u64, Part), keys: &Keys<'_>, arrival: &Arrival) {
        if self.forwarded.takes(branch)
            && let Some(exchanges) = self.forwarded.entry(branch, || Vec::with_capacity(1))
        {
            hear(exchanges, (id, part), keys, arrival);
        }
    }

    /// Notes what belongs to a leg whose INVITE carries a key that other legs share.
    fn note_leg(&mut self, keys: &Keys<'_>, ties: Option<&Ties<'_>>, arrival: &Arrival) {
        if !matches!(keys.cseq.method, Method::Invite | Method::Cancel | Method::Bye) {
            return;
        }
        let key = ties.and_then(exact_key);
        if key.is_none() && self.keyed.is_empty() {
            return;
        }
        let call_id = hash_of(keys.call_id);
        if let Some((hash, ground)) = key
            && self.keyed.entry(hash, || Legs { ground, legs: Vec::with_capacity(1) }).is_some()
        {
            self.by_call_id.insert(call_id, hash);
            if self.by_call_id.len() > MOST_CALL_IDS {
                let keyed = &self.keyed;
                self.by_call_id.retain(|_, key| keyed.holds(*key));
            }
        }
        let Some(key) = self.by_call_id.get(&call_id).copied() else { return };
        if let Some(Legs { legs, .. }) = self.keyed.get_mut(key) {
            hear(legs, (call_id, Part::Either), keys, arrival);
        }
    }

    /// By how much the clocks of the inputs differ, of those that do.
    pub(crate) fn differences(&self, inputs: &[InputFacts]) -> Vec<ClockSeen> {
        let datagrams = self.datagrams.in_order().flat_map(evidence::of_datagram);
        let forwarded = self.forwarded.in_order().flat_map(|exchanges| evidence::of_forwarding(exchanges));
        let keyed = self.keyed.in_order().flat_map(evidence::of_legs);
        let all: Vec<Evidence> = datagrams.chain(forwarded).chain(keyed).collect();
        shifts::differences(&all, inputs)
    }
}

/// The surest key of an INVITE that is made for one call, or for one system's own use.
fn exact_key(ties: &Ties<'_>) -> Option<(u64, Ground)> {
    let (_, key) = ties.keys.iter().find(|(_, key)| !key.is_made_by_each())?;
    let ground = if key.is_of_standard() { Ground::Standard } else { Ground::Private };
    Some((hash_of((key.value(), ground as u64)), ground))
}

/// Takes a message into the exchange that it belongs to, one for each input.
fn hear(exchanges: &mut Vec<Exchange>, (id, part): (u64, Part), keys: &Keys<'_>, arrival: &Arrival) {
    let source = arrival.place.source;
    let is_it = |known: &&mut Exchange| (known.id, known.source, known.part) == (id, source, part);
    if let Some(known) = exchanges.iter_mut().find(is_it) {
        return known.hear(keys, arrival);
    }
    // A response without its request, and a BYE, begin nothing.
    if !keys.is_request || matches!(keys.cseq.method, Method::Cancel) || !keys.to_tag.is_empty() && part == Part::Either
    {
        return;
    }
    if exchanges.len() < MOST_LEGS {
        let (client, server) = (arrival.path.source.ip(), arrival.path.destination.ip());
        exchanges.push(Exchange {
            id,
            part,
            source,
            client,
            server,
            asked: None,
            answered: None,
            bye: None,
            is_cancelled: false,
        });
        if let Some(begun) = exchanges.last_mut() {
            begun.hear(keys, arrival);
        }
    }
}

impl Exchange {
    fn hear(&mut self, keys: &Keys<'_>, arrival: &Arrival) {
        let (place, path) = (arrival.place, arrival.path);
        let is_of_leg = self.part == Part::Either;
        // A proxy sends it on under the same Call-ID; a BYE comes from either side.
        let hosts = (path.source.ip(), path.destination.ip());
        if is_of_leg && hosts != (self.client, self.server) && hosts != (self.server, self.client) {
            return;
        }
        match (&keys.cseq.method, keys.status) {
            (Method::Cancel, _) => self.is_cancelled = true,
            (Method::Bye, None) if is_of_leg => _ = self.bye.get_or_insert(place),
            (Method::Bye, Some(_)) if is_of_leg => {}
            (_, None) if !is_of_leg || keys.to_tag.is_empty() => _ = self.asked.get_or_insert(place),
            (_, Some(status)) if !status.is_provisional() && !matches!(status.get(), 401 | 407) => {
                _ = self.answered.get_or_insert((place, status));
            }
            _ => {}
        }
    }
}
