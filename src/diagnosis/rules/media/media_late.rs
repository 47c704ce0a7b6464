use std::time::Duration;

use crate::call::Stream;
use crate::diagnosis::media::{ENOUGH, claim_packet, suppresses_silence};
use crate::diagnosis::rule::rule;
use crate::diagnosis::words::length;
use crate::diagnosis::{Case, Confidence, Finding, Severity};

rule! {
    /// The media began late.
    ///
    /// ## What it says
    /// The call was answered, and it took more than a second until one side was sent any RTP: the first words are cut off.
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
    /// If the capture began to see the media later than they flowed. A side that sends nothing while nobody speaks there
    /// (it has comfort noise, or pauses without a loss) may only have listened: of it nothing is said.
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
        let is_named = |stream: &&Stream| {
            ear.ends.iter().chain(&ear.candidates).any(|named| *named == stream.path.destination)
        };
        let is_told = |stream: &&Stream| ear.packets() >= ENOUGH && is_named(stream) && !suppresses_silence(stream);
        let stream = ear.first().filter(is_told)?;
        let late = stream.first.time.since(talk.began);
        (late > LATE).then_some((ear, stream, late))
    })?;
    let finding = Finding::of(&RULE, Confidence::Likely)
        .severity(Severity::Warning)
        .party(ear.speaker(), Some(stream.path.source))
        .because(format!(
            "{} was sent its first RTP {} after the answer was confirmed, from {}: the first words are cut off.",
            crate::diagnosis::words::sentence(ear.name()),
            length(late),
            stream.path.source
        ))
        .fix(format!("Look at what {} does between the answer and its first packet: relay, ICE, key exchange.", stream.path.source))
        .claim_status(talk.success, "the answer");
    Some(claim_packet(finding, stream.first, stream, "the first packet of RTP"))
}
