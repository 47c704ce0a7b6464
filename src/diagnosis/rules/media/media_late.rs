use std::time::Duration;

use crate::call::Stream;
use crate::diagnosis::media::{ENOUGH, Talk, claim_packet, suppresses_silence};
use crate::diagnosis::rule::rule;
use crate::diagnosis::words::{length, sentence};
use crate::diagnosis::{Case, Confidence, Finding, Severity};

rule! {
    /// The media began late.
    ///
    /// ## What it says
    /// The call was answered, and it took more than a second until one side was sent any RTP: the first words are cut
    /// off.
    ///
    /// ## Why it happens
    /// A media relay or gateway starts slowly, ICE or DTLS take their time, or the ACK with the answer came late.
    ///
    /// ## Evidence
    /// The first RTP packet to the address and port that a side named, more than one second after the 2xx and its ACK.
    ///
    /// ## How to fix
    /// Look at what the late side does between the answer and its first packet: relay, ICE, key exchange.
    ///
    /// ## When it would be wrong
    /// If the capture began to see the media later than they flowed: where both directions begin at one moment that is
    /// more likely, and it is possible only. A side that sends nothing while nobody speaks there (it has comfort noise,
    /// or pauses without a loss) may only have listened: of it nothing is said.
    ///
    /// ## References
    /// RFC 3550 §5.1; RFC 3264 §5.1; RFC 3389 §4
    "H8" "media-late" needs [ANSWERED BODY MEDIA], check
}

/// A beginning later than this cuts words off.
const LATE: Duration = Duration::from_secs(1);

fn check(case: &Case<'_>) -> Option<Finding> {
    let talk = case.talk()?;
    // Media that moved may have flowed elsewhere before.
    if !talk.is_open() || talk.exchanges.len() > 1 {
        return None;
    }
    let (ear, stream, late) = talk.ears().into_iter().find_map(|(ear, _)| {
        // Where a side only seems to be, by what comes from there, its media may be those of another.
        let is_named =
            |stream: &&Stream| ear.ends.iter().chain(&ear.candidates).any(|named| *named == stream.path.destination);
        let is_told = |stream: &&Stream| ear.packets() >= ENOUGH && is_named(stream) && !suppresses_silence(stream);
        let stream = ear.first().filter(is_told)?;
        let late = stream.first.time.since(talk.began);
        (late > LATE).then_some((ear, stream, late))
    })?;
    if let Some(other) = together(&talk, stream) {
        return Some(began_together(&talk, stream, other, late));
    }
    let finding = Finding::of(&RULE, Confidence::Likely)
        .severity(Severity::Warning)
        .party(ear.speaker(), Some(stream.path.source))
        .because(format!(
            "{} was sent its first RTP {} after the answer was confirmed, from {}: the first words are cut off.",
            sentence(ear.name()),
            length(late),
            stream.path.source
        ))
        .fix(format!(
            "Look at what {} does between the answer and its first packet: relay, ICE, key exchange.",
            stream.path.source
        ))
        .claim_status(talk.success, "the answer");
    Some(claim_packet(finding, stream.first, stream, "the first packet of RTP"))
}

/// Media that begin no further apart than this begin together.
const TOGETHER: Duration = Duration::from_millis(500);

/// The first stream of the other direction, if it begins at the same moment.
fn together<'a>(talk: &Talk<'a>, stream: &Stream) -> Option<&'a Stream> {
    let other = [&talk.caller, &talk.callee].into_iter().find_map(|ear| {
        let own = ear.streams.iter().copied().min_by_key(|known| known.first)?;
        (own.path != stream.path).then_some(own)
    })?;
    let apart = other.first.time.0.abs_diff(stream.first.time.0);
    (u128::from(apart) <= TOGETHER.as_nanos()).then_some(other)
}

/// Both directions begin at one moment: what lets them through began so late, or the capture did not hold them before.
fn began_together(talk: &Talk<'_>, stream: &Stream, other: &Stream, late: Duration) -> Finding {
    let finding = Finding::of(&RULE, Confidence::Possible)
        .titled("The media of both sides begin late in this capture.")
        .because(format!(
            "The first RTP of both directions comes at the same moment, {} after the answer was confirmed. More \
             likely the capture does not hold what was sent before; or what both wait for, a relay, ICE or an \
             exchange of keys, took that long.",
            length(late)
        ))
        .fix("Ask whether the first words could be heard: if so, only the capture lacks them.")
        .fix(
            "If not, look at what both sides wait for between the answer and the first packet: relay, ICE, key \
             exchange.",
        )
        .claim_status(talk.success, "the answer");
    let finding = claim_packet(finding, stream.first, stream, "the first packet of RTP");
    claim_packet(finding, other.first, other, "the first packet of the other direction")
}
