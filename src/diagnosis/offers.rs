//! What a rule asks of offers and answers (RFC 3264): descriptions, warnings, the refusals of the opening INVITE.

use crate::call::{Failure, Heard, Transaction};
use crate::diagnosis::case::Case;
use crate::sip::sdp::{Codec, Media, Sdp};
use crate::sip::{Message, Method, StatusCode, Warning};

/// An offer and its answer (RFC 3264), as the one who offered sent and got them.
#[derive(Debug, Clone)]
pub(crate) struct Exchange<'a> {
    /// The message with the offer.
    pub offer: &'a Heard,
    /// The offer.
    pub offer_sdp: &'a Sdp,
    /// The message with the answer.
    pub answer: &'a Heard,
    /// The answer.
    pub answer_sdp: &'a Sdp,
}

/// True if the body of a message holds a word of a description, in whatever letters. Most descriptions that are asked
/// for something rare need not be read for that.
pub(crate) fn body_names(message: &Message<'_>, word: &str) -> bool {
    let word = word.as_bytes();
    let Some(first) = word.first() else { return true };
    let body = message.body();
    let mut places = memchr::memchr2_iter(first.to_ascii_lowercase(), first.to_ascii_uppercase(), body);
    places.any(|at| body.get(at..at + word.len()).is_some_and(|found| found.eq_ignore_ascii_case(word)))
}

impl<'a> Case<'a> {
    /// The failure that decided the outcome, if it refused the INVITE that opens the call with one of these codes.
    pub fn refused_opening(&self, codes: &[u16]) -> Option<&'a Failure> {
        let failure = self.failure_with(codes)?;
        self.call.transaction(failure.transaction).is_initial_invite().then_some(failure)
    }

    /// Every offer of this call that was answered, in order of the answers (RFC 3261 §13.2.1, RFC 3311, RFC 3262 §5).
    pub(crate) fn exchanges(&self) -> Vec<Exchange<'a>> {
        let mut exchanges: Vec<Exchange<'a>> =
            self.that_may_offer().filter_map(|known| self.exchange_of(known)).collect();
        exchanges.sort_by_key(|one| one.answer.place);
        exchanges
    }

    /// Every offer that was answered on the leg with this Call-ID, in order of the answers: on its first hop, also
    /// where a B2BUA passed on there what it was asked on another leg.
    pub(crate) fn exchanges_on(&self, call_id: &[u8]) -> Vec<Exchange<'a>> {
        let is_on_leg = |known: &Transaction| *self.call.leg(known.leg).call_id == *call_id;
        let enters = |known: &Transaction| {
            let before = known.upstream.map(|id| self.call.transaction(id));
            is_on_leg(known) && before.is_none_or(|before| !is_on_leg(before))
        };
        let known = self.call.transactions.iter().filter(|known| may_carry_offer(known) && enters(known));
        let mut exchanges: Vec<Exchange<'a>> = known.filter_map(|known| self.exchange_of(known)).collect();
        exchanges.sort_by_key(|one| one.answer.place);
        exchanges
    }

    /// The transactions whose requests may carry an offer, or the answer to one: each stands for one exchange at most.
    pub(crate) fn that_may_offer(&self) -> impl Iterator<Item = &'a Transaction> {
        self.call.transactions.iter().filter(|known| known.upstream.is_none() && may_carry_offer(known))
    }

    /// The offer and the answer of one transaction, if both were captured.
    pub(crate) fn exchange_of(&self, known: &'a Transaction) -> Option<Exchange<'a>> {
        let request = self.call.request_of(known)?;
        let is_good = |heard: &&Heard| heard.message.status().is_some_and(StatusCode::is_success);
        let success = self.finals(known).find(is_good);
        let Some(offer_sdp) = Sdp::of(&request.message) else {
            // The answer to an offer in the 2xx is in its ACK.
            let offer = success?;
            let answer = self.acks_to(offer).next()?;
            let (offer_sdp, answer_sdp) = (Sdp::of(&offer.message)?, Sdp::of(&answer.message)?);
            return Some(Exchange { offer, offer_sdp, answer, answer_sdp });
        };
        // An early answer holds until the call is answered or not; for a failed re-INVITE the old one stays in force.
        let early = || self.provisionals(known).find(|heard| !known.in_dialog && Sdp::of(&heard.message).is_some());
        let answer = success.filter(|heard| Sdp::of(&heard.message).is_some()).or_else(early)?;
        Some(Exchange { offer: request, offer_sdp, answer, answer_sdp: Sdp::of(&answer.message)? })
    }

    /// True if the offer of a request inside the dialog asks for other media than its sender described last: a stream
    /// of another kind, or another direction. A request without an offer changes nothing.
    pub(crate) fn changes_media(&self, request: &Heard) -> bool {
        let Some(wanted) = Sdp::of(&request.message) else { return false };
        let call_id = request.message.call_id();
        let is_before =
            |one: &Exchange<'_>| one.answer.place < request.place && one.answer.message.call_id() == call_id;
        let in_force = self.exchanges().into_iter().rfind(is_before);
        let is_offerer = in_force.as_ref().is_some_and(|one| one.offer.path.source.ip() == request.path.source.ip());
        let own = in_force.map(|one| if is_offerer { one.offer_sdp } else { one.answer_sdp });
        let active = || wanted.media.iter().filter(|media| media.port != 0);
        active().any(|media| {
            let way = wanted.flow_of(media);
            // Where nothing of it was captured, a second stream may be a new one.
            let Some(own) = own else { return media.kind == "image" || way != "sendrecv" || active().count() > 1 };
            let known = own.media.iter().find(|known| known.port != 0 && known.kind == media.kind);
            // An answer follows the direction of its offer; the next offer may say again what its sender wants itself.
            known.is_none_or(|known| way != own.flow_of(known) && (is_offerer || way != "sendrecv"))
        })
    }

    /// The first of these warning codes that a message carries.
    pub fn warned(&self, heard: &Heard, codes: &[u16]) -> Option<Warning> {
        self.warnings(heard).into_iter().find(|warning| codes.contains(&warning.code))
    }

    /// What the one who refused can do, as far as the call shows: the description in its response, or in any other
    /// message of it in this call.
    pub fn abilities(&self, response: &'a Heard) -> Option<(&'a Heard, &'a Sdp)> {
        let own = Sdp::of(&response.message).map(|sdp| (response, sdp));
        own.or_else(|| {
            let address = response.path.source;
            self.call
                .messages
                .iter()
                .filter(|heard| heard.path.source == address && heard.message.via_count() <= 1)
                .find_map(|heard| Sdp::of(&heard.message).map(|sdp| (heard, sdp)))
        })
    }
}

/// True if a request may carry an offer, or the answer to one (RFC 3261 §13.2.1, RFC 3311, RFC 3262 §5).
fn may_carry_offer(known: &Transaction) -> bool {
    matches!(known.method, Method::Invite | Method::Update | Method::Prack)
}

/// The audio medium of a description that is not refused, or the first one.
pub(crate) fn audio(sdp: &Sdp) -> Option<&Media> {
    sdp.media.iter().find(|media| media.kind == "audio" && media.port != 0).or(sdp.media.first())
}

/// True if an offer asks for no media: each of its streams has port 0 (RFC 3264 §5.1).
pub(crate) fn asks_for_nothing(offer: &Sdp) -> bool {
    offer.media.iter().all(|media| media.port == 0)
}

/// Codecs as people name them: `PCMA`, `AMR-WB/16000`, `opus/48000/2`.
pub(crate) fn names(codecs: &[Codec]) -> Vec<String> {
    codecs
        .iter()
        .map(|codec| match (codec.clock, codec.channels) {
            (0, _) => format!("format {}", codec.name),
            (8000, 1) => codec.name.clone(),
            (clock, 1) => format!("{}/{clock}", codec.name),
            (clock, channels) => format!("{}/{clock}/{channels}", codec.name),
        })
        .collect()
}

/// True if two descriptions of audio name the same number of the static table: it stands for one codec, whatever name
/// `a=rtpmap` gives it (RFC 3551 §6).
pub(crate) fn share_static(one: &Media, other: &Media) -> bool {
    let is_static = |format: &&String| format.parse::<u8>().is_ok_and(|number| number < 35 && number != COMFORT_NOISE);
    one.kind == other.kind && one.formats.iter().filter(is_static).any(|format| other.formats.contains(format))
}

/// The number of comfort noise in the static table, which is no codec (RFC 3389).
const COMFORT_NOISE: u8 = 13;

/// True if both lists hold a codec in common.
pub(crate) fn intersect(one: &[Codec], other: &[Codec]) -> bool {
    one.iter().any(|codec| other.contains(codec))
}
