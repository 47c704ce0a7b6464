//! What a call occupies on its hops, and what is looked up in its messages while it is open.

use std::borrow::Cow;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use crate::call::log::{Entry, Log, Pool, Verb, What};
use crate::call::media::{Media, Stream};
use crate::call::model::Kind;
use crate::call::neighbours::{Made, NamedDialog};
use crate::call::transaction::Keys;
use crate::capture::Place;
use crate::net::Path;
use crate::sip::sdp::Sdp;
use crate::sip::{Cut, Message, Method, NameAddr, StatusCode};

/// Media that begin no later after the answer, end no sooner before the end, and are no more uneven, need no
/// explaining.
const LATE: Duration = Duration::from_millis(500);
const EARLY: Duration = Duration::from_secs(4);
const JITTER: Duration = Duration::from_millis(40);

/// What a call occupies on one way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stand {
    /// Nothing.
    Free,
    /// It was asked for while so many others were up.
    Asked(u32),
    /// It is up.
    Up,
}

impl Log {
    /// An INVITE that opens the call went this way while so many others were up. False if the call occupies it already.
    pub(crate) fn occupy(&mut self, path: Path, others: u32) -> bool {
        match self.ways.iter_mut().find(|way| way.path == path) {
            Some(way) if way.stand == Stand::Free => {
                way.stand = Stand::Asked(others);
                true
            }
            _ => false,
        }
    }

    /// It was accepted on this way: how many others were up when it was asked for. `None` if that was told before.
    pub(crate) fn accepted_ahead(&mut self, path: Path) -> Option<u32> {
        let way = self.ways.iter_mut().find(|way| way.path == path)?;
        let Stand::Asked(others) = way.stand else { return None };
        way.stand = Stand::Up;
        Some(others)
    }

    /// It was refused on this way: how many others were up when it was asked for.
    pub(crate) fn vacate(&mut self, path: Path) -> Option<u32> {
        let way = self.ways.iter_mut().find(|way| way.path == path)?;
        let Stand::Asked(others) = way.stand else { return None };
        way.stand = Stand::Free;
        Some(others)
    }

    /// It has ended: the ways that it occupied, each freed when it is given.
    pub(crate) fn vacate_all(&mut self) -> impl Iterator<Item = Path> {
        let occupied = self.ways.iter_mut().filter(|way| way.stand != Stand::Free);
        occupied.map(|way| {
            way.stand = Stand::Free;
            way.path
        })
    }

    /// The request that a response on this path answers: where it stands, and its bytes.
    pub(crate) fn request_of<'p>(&self, keys: &Keys<'_>, path: Path, pool: &'p Pool) -> Option<(Place, Cow<'p, [u8]>)> {
        let entry = self.request_entry(keys, path)?;
        Some((entry.place, entry.bytes(pool)))
    }

    /// Where that request stands.
    pub(crate) fn request_place(&self, keys: &Keys<'_>, path: Path) -> Option<Place> {
        Some(self.request_entry(keys, path)?.place)
    }

    fn request_entry(&self, keys: &Keys<'_>, path: Path) -> Option<&Entry> {
        let verb = Verb::of(&keys.cseq.method);
        let step = self.steps.iter().rev().find(|step| {
            step.branch_hash == keys.branch_hash
                && step.cseq == keys.cseq.number
                && step.method == verb
                && self.path(step.way).is_some_and(|known| known.reversed() == path)
        })?;
        self.entries.get(step.request?.0 as usize)
    }

    /// False if its media, as far as they were captured, may need explaining: if one side was sent none, or late, or
    /// with loss, or not to the end. Without any RTP in the capture they do not.
    pub(crate) fn has_sound_media(&self, media: &Media, pool: &Pool) -> bool {
        let is_told_of = !media.checks().is_empty() || !media.alerts().is_empty();
        if (media.is_empty() && !is_told_of) || self.kind != Kind::Call {
            return true;
        }
        let (Some(answered), Some(last)) = (self.answered, self.entries.last()) else { return true };
        let ends = self.media_ends(pool);
        let is_sound = |(end, kinds): &(SocketAddr, Vec<u8>)| {
            let streams: Vec<&Stream> = media.to(*end).collect();
            let Some(first) = streams.iter().map(|stream| stream.first.time).min() else { return false };
            let end = streams.iter().map(|stream| stream.last.time).max().unwrap_or(first);
            let is_whole = streams.iter().all(|stream| {
                stream.lost() == 0
                    && stream.types().iter().all(|seen| kinds.contains(&seen.kind))
                    && stream.jitter() < JITTER
                    && stream.keys.is_empty()
            });
            let is_timely = first.since(answered) < LATE && last.place.time.since(end) < EARLY;
            is_whole && is_timely && !is_told_of
        };
        ends.len() == 2 && ends.iter().all(is_sound)
    }

    /// Where the descriptions in it ask for audio, each address once with its payload types; none if early media were
    /// announced.
    fn media_ends(&self, pool: &Pool) -> Vec<(SocketAddr, Vec<u8>)> {
        let mut ends: Vec<(SocketAddr, Vec<u8>)> = Vec::new();
        for entry in self.entries.iter().filter(|entry| matches!(entry.what, What::Message { .. })) {
            let bytes = entry.bytes(pool);
            let Some(message) = Message::read(&bytes, Cut::Missing(0)) else { continue };
            let Some(sdp) = Sdp::of(&message) else { continue };
            if message.status().is_some_and(StatusCode::is_provisional) {
                return Vec::new();
            }
            for media in sdp.media.iter().filter(|media| media.kind == "audio" && media.port != 0) {
                let Ok(address) = sdp.address_of(media).parse() else { continue };
                let end = SocketAddr::new(address, media.port);
                if !ends.iter().any(|(known, _)| *known == end) {
                    ends.push((end, media.formats.iter().filter_map(|format| format.parse().ok()).collect()));
                }
            }
        }
        ends
    }

    /// The dialogs that its responses to INVITE make for this Call-ID, and where the first BYE ended each.
    pub(crate) fn dialogs_of(&self, call_id: &[u8], pool: &Pool) -> Vec<NamedDialog> {
        let mut dialogs: Vec<NamedDialog> = Vec::new();
        for entry in self.entries.iter().filter(|entry| matches!(entry.what, What::Message { .. })) {
            let bytes = entry.bytes(pool);
            let Some(message) = Message::read(&bytes, Cut::Missing(0)) else { continue };
            let tag = |name: Option<NameAddr>| name.and_then(|name| name.tag().map(str::to_owned));
            let (Some(from), Some(to)) = (tag(message.from()), tag(message.to())) else { continue };
            if message.call_id() != call_id {
                continue;
            }
            let known = dialogs.iter_mut().find(|known| {
                let tags = (&known.caller_tag, &known.callee_tag);
                tags == (&from, &to) || tags == (&to, &from)
            });
            let is_of_invite = message.cseq().is_some_and(|cseq| cseq.method == Method::Invite);
            let makes_dialog =
                |status: &StatusCode| status.is_success() || status.get() > 100 && status.is_provisional();
            let made_with = message.status().filter(|_| is_of_invite).filter(makes_dialog);
            match (known, made_with) {
                (Some(known), _) if message.method() == Some(&Method::Bye) => {
                    known.ended = known.ended.or(Some(entry.place))
                }
                (Some(known), Some(status)) if known.caller_tag == from => {
                    let made = known.made.zip(self.path(entry.way));
                    known.made = made.map(|(made, path)| made.with(path, status));
                }
                (None, Some(status)) => {
                    let made = self.path(entry.way).map(|path| Made::by(entry.place, path, status));
                    dialogs.push(NamedDialog { caller_tag: from, callee_tag: to, made, ended: None });
                }
                _ => {}
            }
        }
        dialogs
    }
}

/// Which block of private addresses an address is of (RFC 1918, RFC 6598, RFC 3927); `None` for public ones.
pub(super) fn private_block(address: Ipv4Addr) -> Option<u8> {
    match address.octets() {
        [10, ..] => Some(0),
        [172, 16..=31, ..] => Some(1),
        [192, 168, ..] => Some(2),
        [100, 64..=127, ..] => Some(3),
        [169, 254, ..] => Some(4),
        _ => None,
    }
}
