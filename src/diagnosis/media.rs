//! What a rule asks of the media of a call: which streams went to whom, by the descriptions of both sides.
//!
//! A stream belongs to the side whose description names the address it is sent to. Where a side sends from another
//! address than it named (a NAT), what is sent back there is its own too.
//!
//! A B2BUA that relays the media has a talk on each of its legs: what one end hears came to the B2BUA on the other leg.

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use crate::call::{Heard, Stream};
use crate::capture::Timestamp;
use crate::diagnosis::answered_legs::AnsweredLeg;
use crate::diagnosis::case::Case;
use crate::diagnosis::finding::{Finding, Role};
use crate::diagnosis::offers::Exchange;
use crate::sip::Method;
use crate::sip::sdp::{Media, Sdp};

/// Packets that show that media flowed: one second of speech.
pub(crate) const ENOUGH: u64 = 50;

/// Packets further apart than this on average are no speech.
const KEEP_ALIVE: Duration = Duration::from_millis(500);

/// Media may come to their old address, or from it, for so long after they were moved.
pub(crate) const UNDERWAY: Duration = Duration::from_secs(1);

/// The audio of an answered call on one leg.
#[derive(Debug)]
pub(crate) struct Talk<'a> {
    /// The 2xx.
    pub success: &'a Heard,
    /// When both knew of the answer: its ACK, else the 2xx.
    pub began: Timestamp,
    /// The first BYE, or when the capture ended.
    pub until: Timestamp,
    /// The BYE.
    pub bye: Option<&'a Heard>,
    /// Every offer that was answered.
    pub exchanges: Vec<Exchange<'a>>,
    /// The caller's side.
    pub caller: Ear<'a>,
    /// The callee's side.
    pub callee: Ear<'a>,
    /// True if it is on a leg behind a B2BUA.
    pub is_inner: bool,
    /// True if only number and time say that this leg belongs to the call.
    pub is_guessed: bool,
}

/// What one side may hear.
#[derive(Debug)]
pub(crate) struct Ear<'a> {
    /// As what.
    pub role: Role,
    /// True if it stands for that end of the call: no B2BUA in between that relays its media on another leg is known.
    pub is_end: bool,
    /// The first message with its description.
    pub owner: &'a Heard,
    /// Where its descriptions ask for audio.
    pub ends: Vec<SocketAddr>,
    /// Where its ICE candidates are.
    pub candidates: Vec<SocketAddr>,
    /// The streams that were sent to it.
    pub streams: Vec<&'a Stream>,
    /// The streams that were sent from where it is.
    pub sent: Vec<&'a Stream>,
}

/// A move of the audio of one side to another port.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Moved<'a> {
    /// The message that says so.
    pub by: &'a Heard,
    /// Where it asked for audio before.
    pub from: SocketAddr,
    /// Where since then.
    pub to: SocketAddr,
    /// When that was agreed on.
    pub agreed: Timestamp,
}

impl<'a> Ear<'a> {
    /// `the caller` or `the callee`; of a B2BUA in between, `the caller's side` or `the callee's side`.
    pub fn name(&self) -> &'static str {
        match (self.role == Role::Uac, self.is_end) {
            (true, false) => "the caller's side",
            (false, false) => "the callee's side",
            _ => self.listener(),
        }
    }

    /// Who hears in the end what is sent here: `the caller` or `the callee`.
    pub fn listener(&self) -> &'static str {
        if self.role == Role::Uac { "the caller" } else { "the callee" }
    }

    /// The role of the other side, which sends what is heard here.
    pub fn speaker(&self) -> Role {
        if self.role == Role::Uac { Role::Uas } else { Role::Uac }
    }

    /// Packets that were sent to it.
    pub fn packets(&self) -> u64 {
        self.streams.iter().map(|stream| stream.different()).sum()
    }

    /// To which other port of the same host it moved its audio last, and from which, if it is there still.
    pub fn moved(&self, talk: &Talk<'a>) -> Option<Moved<'a>> {
        let host = self.owner.path.source.ip();
        let named = |one: &Exchange<'a>| {
            let (by, sdp) = if one.offer.path.source.ip() == host {
                (one.offer, one.offer_sdp)
            } else {
                (one.answer, one.answer_sdp)
            };
            ends(sdp).first().map(|end| (by, *end, one.answer.place.time))
        };
        let (_, to, _) = named(talk.exchanges.last()?)?;
        let at = talk.exchanges.iter().rposition(|one| named(one).is_some_and(|(_, end, _)| end != to))?;
        let (_, from, _) = named(talk.exchanges.get(at)?)?;
        let (by, _, agreed) = named(talk.exchanges.get(at + 1)?)?;
        (from.ip() == to.ip()).then_some(Moved { by, from, to, agreed })
    }

    /// When it was sent something last.
    pub fn last(&self) -> Option<&'a Stream> {
        self.streams.iter().copied().max_by_key(|stream| stream.last)
    }

    /// When it was sent something first.
    pub fn first(&self) -> Option<&'a Stream> {
        self.streams.iter().copied().min_by_key(|stream| stream.first)
    }

    /// Where it asked for audio first.
    pub fn end(&self) -> Option<SocketAddr> {
        self.ends.first().copied()
    }

    /// The media line of its first description.
    pub fn line(&self) -> Option<String> {
        let sdp = Sdp::of(&self.owner.message)?;
        Some(audio(sdp)?.line.clone())
    }
}

impl Talk<'_> {
    /// How long it lasted.
    pub fn length(&self) -> Duration {
        self.until.since(self.began)
    }

    /// Packets of sound that a side was sent in the talk: neither early media, nor what only keeps a way open.
    pub fn sound_to(&self, ear: &Ear<'_>) -> u64 {
        let sounds = |stream: &&&Stream| stream.last.time > self.began && !self.is_keep_alive(stream);
        ear.streams.iter().filter(sounds).map(|stream| stream.different()).sum()
    }

    /// True if a stream has only few packets, of payload types that nobody asked for: so NATs are kept open, and nobody
    /// plays them (RFC 6263 §4.6).
    pub fn is_keep_alive(&self, stream: &Stream) -> bool {
        let lasted = stream.last.time.since(stream.first.time);
        let is_asked_for = |kind: u8| {
            let sdps = self.exchanges.iter().flat_map(|one| [one.offer_sdp, one.answer_sdp]);
            sdps.filter_map(audio).any(|media| media.formats.iter().any(|format| format.parse() == Ok(kind)))
        };
        u128::from(stream.packets) * KEEP_ALIVE.as_nanos() <= lasted.as_nanos() + KEEP_ALIVE.as_nanos()
            && !stream.types().iter().any(|seen| is_asked_for(seen.kind) || NOISE.contains(&seen.kind))
    }

    /// Both sides, the caller first, each with the other.
    pub fn ears(&self) -> [(&Ear<'_>, &Ear<'_>); 2] {
        [(&self.caller, &self.callee), (&self.callee, &self.caller)]
    }

    /// Since when, without a pause, audio is agreed on in both directions; `None` if it is not at the end. A call that
    /// was on hold or that changed to fax is open again only from the answer that says so.
    pub fn open_since(&self) -> Option<Timestamp> {
        let carries = |sdp: &Sdp| audio(sdp).is_some() && is_open(sdp);
        let open = self.exchanges.iter().rev().take_while(|one| carries(one.offer_sdp) && carries(one.answer_sdp));
        open.last().map(|one| one.answer.place.time)
    }

    /// Since when, without a pause, it is agreed that this side is sent audio (RFC 3264 §5.1, §6.1); `None` if it is
    /// not at the end: on hold, at a fax, or where it only speaks, it gets none.
    pub fn hears_since(&self, ear: &Ear<'_>) -> Option<Timestamp> {
        let host = ear.owner.path.source.ip();
        let flows = |sdp: &Sdp, ways: [&str; 2]| audio(sdp).is_some_and(|media| ways.contains(&sdp.flow_of(media)));
        let is_sent = |one: &&Exchange<'_>| {
            let offers = one.offer.path.source.ip() == host;
            let (own, other) = if offers { (one.offer_sdp, one.answer_sdp) } else { (one.answer_sdp, one.offer_sdp) };
            flows(own, ["sendrecv", "recvonly"]) && flows(other, ["sendrecv", "sendonly"])
        };
        self.exchanges.iter().rev().take_while(is_sent).last().map(|one| one.answer.place.time)
    }

    /// True if a later offer or answer moved the audio to another host and nothing came to this side since: it may take
    /// a way around the capture. Who hears the new host here is on the new way too.
    pub fn may_bypass(&self, ear: &Ear<'_>) -> bool {
        let moved = self.moved().map(|time| time.plus(UNDERWAY));
        moved.is_some_and(|moved| ear.last().is_none_or(|stream| stream.last.time < moved))
    }

    /// Since when the audio is at a host of which the first offer and answer know nothing.
    fn moved(&self) -> Option<Timestamp> {
        let (first, last) = (self.exchanges.first()?.hosts(), self.exchanges.last()?.hosts());
        if last.is_subset(&first) {
            return None;
        }
        let since = self.exchanges.iter().rev().take_while(|one| one.hosts() == last).last()?;
        Some(since.answer.place.time)
    }

    /// True if both sides of another leg ask for audio where those of this one do: a B2BUA between them leaves the
    /// media alone.
    fn has_ends_of(&self, other: &Talk<'_>) -> bool {
        let has = |own: &Ear<'_>, other: &Ear<'_>| other.ends.iter().all(|end| own.ends.contains(end));
        has(&self.caller, &other.caller) && has(&self.callee, &other.callee)
    }

    /// True if audio was agreed on in both directions all the time.
    pub fn is_open(&self) -> bool {
        self.exchanges.iter().all(|one| is_open(one.offer_sdp) && is_open(one.answer_sdp))
    }
}

/// A side that the sound comes to on its way, with its leg and the other side of that.
pub(crate) type Hop<'t, 'a> = (&'t Talk<'a>, &'t Ear<'a>, &'t Ear<'a>);

/// The sides that the sound to one end of the call comes to, in its order: to the caller from the innermost leg on, to
/// the callee from the outermost on.
pub(crate) fn on_the_way<'t, 'a>(talks: &'t [Talk<'a>], to: Role) -> Vec<Hop<'t, 'a>> {
    match to {
        Role::Uac => talks.iter().rev().map(|talk| (talk, &talk.caller, &talk.callee)).collect(),
        _ => talks.iter().map(|talk| (talk, &talk.callee, &talk.caller)).collect(),
    }
}

/// Both ends of a call.
pub(crate) const BOTH_ENDS: [Role; 2] = [Role::Uac, Role::Uas];

impl Exchange<'_> {
    /// The hosts that audio is asked for at.
    fn hosts(&self) -> BTreeSet<IpAddr> {
        [self.offer_sdp, self.answer_sdp].into_iter().flat_map(ends).map(|end| end.ip()).collect()
    }
}

impl<'a> Case<'a> {
    /// The audio of the call as the caller has it; `None` if it was not answered, or no audio was agreed on.
    pub(crate) fn talk(&self) -> Option<Talk<'a>> {
        self.talks().into_iter().next()
    }

    /// The audio of the call on each of its legs, that of the caller first, as far as offers and answers are known. A
    /// leg behind a B2BUA stands here only if its media are others than those of the leg before, and pass this capture:
    /// where none of its ports is seen, nothing can be said of it.
    pub(crate) fn talks(&self) -> Vec<Talk<'a>> {
        if self.surroundings.media().is_empty() || self.has_cut_description() {
            return Vec::new();
        }
        let legs = self.answered_legs();
        let Some((outer, behind)) = legs.split_first() else { return Vec::new() };
        let exchanges = if behind.is_empty() { self.exchanges() } else { self.exchanges_on(outer.call_id) };
        let Some(talk) = self.talk_on(outer, exchanges) else { return Vec::new() };
        let mut talks = vec![talk];
        for leg in behind {
            // Who transfers a call is sent nothing any more, and need not say so by an offer.
            let is_transferred =
                self.asked(&Method::Refer).any(|refer| *self.call.leg(refer.request.leg).call_id == *leg.call_id);
            let Some(inner) = self.talk_on(leg, self.exchanges_on(leg.call_id)).filter(|_| !is_transferred) else {
                break;
            };
            let is_seen =
                [&inner.caller, &inner.callee].iter().any(|ear| !ear.streams.is_empty() || !ear.sent.is_empty());
            match talks.last_mut().filter(|outer| is_seen && !outer.has_ends_of(&inner)) {
                Some(outer) => outer.callee.is_end = false,
                None => continue,
            }
            talks.push(inner);
        }
        for inner in talks.iter_mut().skip(1) {
            inner.is_inner = true;
            inner.caller.is_end = false;
        }
        talks
    }

    fn talk_on(&self, leg: &AnsweredLeg<'a>, exchanges: Vec<Exchange<'a>>) -> Option<Talk<'a>> {
        let success = leg.success;
        let request = self.call.request_of(leg.invite)?;
        let first = exchanges.first()?;
        let caller_host = request.path.source.ip();
        let (mut caller, mut callee) = (Vec::new(), Vec::new());
        let (mut of_caller, mut of_callee) = (Vec::new(), Vec::new());
        for one in &exchanges {
            let by_caller = one.offer.path.source.ip() == caller_host;
            let (mine, theirs) =
                if by_caller { (one.offer_sdp, one.answer_sdp) } else { (one.answer_sdp, one.offer_sdp) };
            add(&mut caller, ends(mine));
            add(&mut callee, ends(theirs));
            add(&mut of_caller, candidates(mine));
            add(&mut of_callee, candidates(theirs));
        }
        audio(first.answer_sdp).filter(|media| media.port != 0 && media.kind == "audio")?;
        let by_caller = first.offer.path.source.ip() == caller_host;
        let (caller_owner, callee_owner) =
            if by_caller { (first.offer, first.answer) } else { (first.answer, first.offer) };
        let ack = self.acks_to(success).next();
        let bye = self.first_bye().map(|bye| bye.request);
        let until = bye.map_or(self.capture.until, |bye| bye.place.time);
        let span = (self.call.started(), until.plus(Duration::from_secs(2)));
        let mut caller = self.ear(Role::Uac, caller_owner, caller, of_caller, span);
        let mut callee = self.ear(Role::Uas, callee_owner, callee, of_callee, span);
        self.add_latched(&mut caller, &callee, span);
        self.add_latched(&mut callee, &caller, span);
        let began = ack.map_or(success.place.time, |ack| ack.place.time.max(success.place.time));
        Some(Talk {
            success,
            began,
            until,
            bye,
            exchanges,
            caller,
            callee,
            is_inner: false,
            is_guessed: leg.is_guessed,
        })
    }

    /// True if the capture holds only the beginning of a message that may carry an offer or an answer: then nobody
    /// knows what is in force.
    fn has_cut_description(&self) -> bool {
        self.call.messages.iter().any(|heard| {
            let method = heard.message.cseq().map(|cseq| cseq.method.clone());
            let may_describe =
                matches!(method, Some(Method::Invite | Method::Update | Method::Prack | Method::Ack) | None);
            heard.message.is_cut() && may_describe
        })
    }

    fn ear(
        &self,
        role: Role,
        owner: &'a Heard,
        ends: Vec<SocketAddr>,
        candidates: Vec<SocketAddr>,
        span: (Timestamp, Timestamp),
    ) -> Ear<'a> {
        let media = self.surroundings.media();
        let all = || ends.iter().chain(&candidates);
        let mut streams: Vec<&Stream> =
            all().flat_map(|end| media.to(*end)).filter(|stream| is_in(stream, span)).collect();
        let mut sent: Vec<&Stream> =
            all().flat_map(|end| media.from(*end)).filter(|stream| is_in(stream, span)).collect();
        for list in [&mut streams, &mut sent] {
            list.sort_by_key(|stream| stream.first);
            list.dedup();
        }
        Ear { role, is_end: true, owner, ends, candidates, streams, sent }
    }

    /// What is sent back to where a side sends from, if that is not where it asked for media.
    fn add_latched(&self, ear: &mut Ear<'a>, other: &Ear<'a>, span: (Timestamp, Timestamp)) {
        let media = self.surroundings.media();
        let mut sources: Vec<SocketAddr> = other.streams.iter().map(|stream| stream.path.source).collect();
        sources.dedup();
        for source in sources.into_iter().filter(|source| !ear.ends.contains(source) && !other.ends.contains(source)) {
            ear.streams.extend(media.to(source).filter(|stream| is_in(stream, span)));
            ear.sent.extend(media.from(source).filter(|stream| is_in(stream, span)));
        }
    }

    /// True if some leg of the call ends on hold, or at a fax: a B2BUA then has nothing to send on to the others.
    pub(crate) fn ends_on_hold(&self) -> bool {
        let carries = |sdp: &Sdp| audio(sdp).is_some() && is_open(sdp);
        let legs = self.answered_legs();
        let mut last = legs.iter().filter_map(|leg| self.exchanges_on(leg.call_id).pop());
        last.any(|one| !carries(one.offer_sdp) || !carries(one.answer_sdp))
    }

    /// True if any description of the call, on whatever hop, names an address that a stream was sent to.
    pub(crate) fn has_any_media(&self) -> bool {
        let media = self.surroundings.media();
        let span = (self.call.started(), self.call.ended().plus(Duration::from_secs(2)));
        self.call
            .messages
            .iter()
            .filter_map(|heard| Sdp::of(&heard.message))
            .flat_map(|sdp| [ends(sdp), candidates(sdp)].concat())
            .any(|end| media.to(end).chain(media.from(end)).any(|stream| is_in(stream, span)))
    }
}

/// Comfort noise (RFC 3389, and its old number).
pub(crate) const NOISE: [u8; 2] = [13, 19];

/// True if a stream pauses while nobody speaks: it has comfort noise, or it was silent for a while and none of its
/// numbers was missing after that (RFC 3389 §4; RFC 3551 §4.1).
pub(crate) fn suppresses_silence(stream: &Stream) -> bool {
    let is_lost = |place| stream.gap.is_some_and(|gap| gap.place == place);
    stream.silence.is_some_and(|(_, place)| !is_lost(place))
        || stream.types().iter().any(|seen| NOISE.contains(&seen.kind))
}

/// A claim about a packet of a stream: the port that it was sent to.
pub(crate) fn claim_packet(finding: Finding, place: crate::capture::Place, stream: &Stream, says: &str) -> Finding {
    finding.claim_at(place, "udp.dstport", stream.path.destination.port().to_string(), says)
}

/// True if a stream was heard in a span of time.
fn is_in(stream: &Stream, (from, to): (Timestamp, Timestamp)) -> bool {
    stream.first.time <= to && from <= stream.last.time
}

fn add(list: &mut Vec<SocketAddr>, more: Vec<SocketAddr>) {
    for one in more {
        if !list.contains(&one) {
            list.push(one);
        }
    }
}

/// The first audio of a description.
pub(crate) fn audio(sdp: &Sdp) -> Option<&Media> {
    sdp.media.iter().find(|media| media.kind == "audio" && media.port != 0)
}

/// Where a description asks for audio.
pub(crate) fn ends(sdp: &Sdp) -> Vec<SocketAddr> {
    let wanted = sdp.media.iter().filter(|media| media.kind == "audio" && media.port != 0);
    wanted
        .filter_map(|media| {
            let address: IpAddr = sdp.address_of(media).parse().ok()?;
            (!address.is_unspecified()).then(|| SocketAddr::new(address, media.port))
        })
        .collect()
}

/// Where the ICE candidates of a description are (RFC 8839 §5.1).
pub(crate) fn candidates(sdp: &Sdp) -> Vec<SocketAddr> {
    sdp.media
        .iter()
        .flat_map(|media| media.attribute("candidate"))
        .filter_map(|value| {
            let mut words = value.split_ascii_whitespace().skip(4);
            let address: IpAddr = words.next()?.parse().ok()?;
            Some(SocketAddr::new(address, words.next()?.parse().ok()?))
        })
        .take(64)
        .collect()
}

/// True if a description lets audio through in both directions.
fn is_open(sdp: &Sdp) -> bool {
    audio(sdp).is_none_or(|media| sdp.flow_of(media) == "sendrecv")
}
