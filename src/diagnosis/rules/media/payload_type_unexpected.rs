use std::time::Duration;

use crate::call::{Heard, TypeSeen};
use crate::capture::Timestamp;
use crate::diagnosis::media::{BOTH_ENDS, Ear, Talk, audio, on_the_way};
use crate::diagnosis::rule::rule;
use crate::diagnosis::rules::media::one_way_media::claim_line;
use crate::diagnosis::words::list;
use crate::diagnosis::{Case, Confidence, Finding, Severity};
use crate::sip::sdp::{Media, Sdp};
use crate::sip::{Method, StatusCode};

rule! {
    /// The media have a payload type that was not agreed on.
    ///
    /// ## What it says
    /// One side sends RTP with a payload type that the other side's description does not have. The receiver does not
    /// know how to decode it, and plays nothing.
    ///
    /// ## Why it happens
    /// The sender uses its own numbers for dynamic payload types, goes on with a codec of an older agreement, or
    /// chooses a codec that was not offered.
    ///
    /// ## Evidence
    /// A payload type in the stream that is not in the receiver's description of the offer and answer in force at that
    /// time. Behind a B2BUA that relays the media each leg is looked at, in the order in which the sound comes to them.
    ///
    /// ## How to fix
    /// Let the sender use the payload types that the receiver named; after a re-INVITE, those of the new description.
    ///
    /// ## When it would be wrong
    /// Just after a new offer, packets of the old agreement are still on their way; they are not counted; nor are those that
    /// came before a side had described what it wants. A callee may
    /// describe one thing in a provisional response and another in its 2xx; the types of both are allowed then. Of a
    /// leg that is joined to the call by number and time alone, it is likely only.
    ///
    /// ## References
    /// RFC 3264 §5.1, §6.1, §8.3.2; RFC 3261 §13.2.1; RFC 3551 §6
    "H7" "payload-type-unexpected" needs [ANSWERED BODY MEDIA], check
}

/// Packets that are wanted before it is said.
const ENOUGH: u64 = 10;
/// Packets of the old agreement may come for so long after a new one.
const CHANGE: Duration = Duration::from_secs(2);

fn check(case: &Case<'_>) -> Option<Finding> {
    let talks = case.talks();
    if talks.is_empty() || has_open_offer(case) {
        return None;
    }
    // Either side may send what the other did not ask for: one of each is told, where the sound first comes with it.
    let first_unexpected = |to| {
        on_the_way(&talks, to).into_iter().find_map(|(talk, ear, _)| {
            ear.streams.iter().filter(|stream| !talk.is_keep_alive(stream)).find_map(|stream| {
                let seen = stream.types().into_iter().find(|seen| is_unexpected(case, seen, ear, talk))?;
                Some((talk, ear, stream.path.source, seen))
            })
        })
    };
    let found: Vec<_> = BOTH_ENDS.into_iter().filter_map(first_unexpected).collect();
    let (_, ear, source, _) = found.first()?;
    let sure = if found.iter().any(|(talk, ..)| talk.is_guessed) { Confidence::Likely } else { Confidence::Proven };
    let mut finding = Finding::of(&RULE, sure).severity(Severity::Warning).party(ear.speaker(), Some(*source));
    let mut told = Vec::new();
    for (talk, ear, source, seen) in &found {
        let known = allowed(case, ear, talk, seen).into_iter().map(|kind| kind.to_string()).collect::<Vec<_>>();
        told.push(format!(
            "{source} sends {} packets of RTP with the payload type {}, and {} asked for {} only: it cannot decode \
             them.",
            seen.packets,
            seen.kind,
            ear.name(),
            list(&known)
        ));
        finding = claim_line(finding, ear);
        finding = finding.claim_at(seen.first, "rtp.p_type", seen.kind.to_string(), "the payload type that is sent");
    }
    let who = if found.len() > 1 { "each side".to_owned() } else { source.to_string() };
    let finding = finding.fix(format!("Let {who} use the payload types that the other side names in its description."));
    Some(finding.because(told.join(" ")))
}

/// True if a later offer has no final response in the capture: whether it was accepted is not known.
fn has_open_offer(case: &Case<'_>) -> bool {
    case.call.transactions.iter().any(|known| {
        let may_offer = matches!(known.method, Method::Invite | Method::Update) && known.in_dialog;
        let offers = || case.call.request_of(known).is_none_or(|heard| Sdp::of(&heard.message).is_some());
        may_offer && known.finals.is_empty() && offers()
    })
}

fn is_unexpected(case: &Case<'_>, seen: &TypeSeen, ear: &Ear<'_>, talk: &Talk<'_>) -> bool {
    if seen.packets < ENOUGH || seen.last.time.since(talk.began) < CHANGE && seen.last.time > talk.began {
        return false;
    }
    // What came before a side had said what it asks for is no answer to that: of a call before on the same ports.
    let owner = ear.owner.path.source.ip();
    let described = talk.exchanges.iter().map(|one| match one.offer.path.source.ip() == owner {
        true => one.offer.place.time,
        false => one.answer.place.time,
    });
    if described.min().is_some_and(|described| seen.last.time <= described) {
        return false;
    }
    // Comfort noise may come whether it was named or not (RFC 3389 §4).
    !matches!(seen.kind, 13 | 19) && !allowed(case, ear, talk, seen).contains(&seen.kind)
}

/// The payload types that a side had asked for while packets of this type came: of the agreement in force, and of the
/// one before it just after a change. What a provisional response answered counts too: the caller sends by that before
/// the 2xx, and need not heed another description in it (RFC 3261 §13.2.1).
fn allowed(case: &Case<'_>, ear: &Ear<'_>, talk: &Talk<'_>, seen: &TypeSeen) -> Vec<u8> {
    let owner = ear.owner.path.source.ip();
    let is_early = |heard: &&Heard| {
        let provisional = heard.message.status().is_some_and(StatusCode::is_provisional);
        provisional && heard.path.source.ip() == owner && heard.place.time <= seen.last.time
    };
    let early = case.call.messages.iter().filter(is_early).filter_map(|heard| audio(Sdp::of(&heard.message)?));
    let mut kinds: Vec<u8> = early.flat_map(types_of).collect();
    for (at, one) in talk.exchanges.iter().enumerate() {
        let began = one.offer.place.time;
        let ended = talk.exchanges.get(at + 1).map(|next| next.answer.place.time);
        // What begins behind the change and goes on for long is no remainder of what was agreed on before.
        let is_of_old = |ended: Timestamp| seen.first.time <= ended || seen.last.time <= ended.plus(CHANGE);
        let overlaps = began <= seen.last.time && ended.is_none_or(is_of_old);
        let by_ear = one.offer.path.source.ip() == ear.owner.path.source.ip();
        let sdp: &Sdp = if by_ear { one.offer_sdp } else { one.answer_sdp };
        if let Some(media) = audio(sdp).filter(|_| overlaps || at == 0 && seen.first.time < began) {
            kinds.extend(types_of(media));
        }
    }
    kinds.sort_unstable();
    kinds.dedup();
    kinds
}

fn types_of(media: &Media) -> impl Iterator<Item = u8> {
    media.formats.iter().filter_map(|format| format.parse().ok())
}
