use std::time::Duration;

use crate::call::{Keypress, Stream};
use crate::diagnosis::media::{Talk, audio};
use crate::diagnosis::rule::rule;
use crate::diagnosis::{Case, Confidence, Finding, Severity};

rule! {
    /// The keys that were pressed are sent wrongly.
    ///
    /// ## What it says
    /// Telephone events in the RTP do not end, run backwards, or come twice. The other side misses digits, or sees them
    /// double.
    ///
    /// ## Why it happens
    /// A gateway or transcoder makes the events wrongly, or two places on the way both make events of one tone.
    ///
    /// ## Evidence
    /// Packets of the payload type of telephone-event whose event never has the end bit, whose duration falls, or that
    /// is followed at once by the same event under another time stamp.
    ///
    /// ## How to fix
    /// Correct or switch off the conversion of tones at the sender, or at the gateway before it.
    ///
    /// ## When it would be wrong
    /// If the last packets of an event were lost: they are repeated for that reason.
    ///
    /// ## References
    /// RFC 4733 §2.3, §2.5.1.2, §2.5.1.4
    "H9" "dtmf-event-malformed" needs [ANSWERED BODY MEDIA], check
}

/// The same key again within this after its end is one press told twice.
const DOUBLE: Duration = Duration::from_millis(30);

fn check(case: &Case<'_>) -> Option<Finding> {
    let talk = case.talk()?;
    let kinds = event_types(&talk);
    let (stream, key, why) =
        talk.ears().into_iter().flat_map(|(ear, _)| ear.streams.iter().copied()).find_map(|stream| {
            let keys: Vec<&Keypress> = stream.keys.iter().filter(|key| kinds.contains(&key.kind)).collect();
            let (key, why) = fault(&keys)?;
            Some((stream, key, why))
        })?;
    Some(found(stream, &key, why))
}

fn found(stream: &Stream, key: &Keypress, why: &str) -> Finding {
    Finding::of(&RULE, Confidence::Likely)
        .severity(Severity::Warning)
        .party(crate::diagnosis::Role::Uac, Some(stream.path.source))
        .because(format!(
            "{} sent the telephone event {} ({} packets) wrongly: {why}. The other side may miss the digit, or see it \
             twice.",
            stream.path.source, key.event, key.packets
        ))
        .fix(format!(
            "Look at how {} makes telephone events, and whether a gateway before it does so too.",
            stream.path.source
        ))
        .claim_at(key.first, "rtpevent.event_id", key.event.to_string(), "the first packet of the event")
        .claim_at(key.last, "rtpevent.duration", key.duration.to_string(), "its last packet")
}

/// The payload types that the descriptions of the call give to telephone-event.
pub(in crate::diagnosis::rules) fn event_types(talk: &Talk<'_>) -> Vec<u8> {
    let sdps = talk.exchanges.iter().flat_map(|one| [one.offer_sdp, one.answer_sdp]);
    sdps.filter_map(audio).flat_map(events_of).collect()
}

/// The payload types of telephone-event of a medium.
pub(in crate::diagnosis::rules) fn events_of(media: &crate::sip::sdp::Media) -> Vec<u8> {
    media
        .attribute("rtpmap")
        .filter(|value| value.to_ascii_lowercase().contains("telephone-event/"))
        .filter_map(|value| value.split(' ').next()?.parse().ok())
        .collect()
}

fn fault(keys: &[&Keypress]) -> Option<(Keypress, &'static str)> {
    let single = keys.iter().find_map(|key| {
        let why = match key {
            Keypress { rises: false, .. } => "its duration falls",
            Keypress { ends: 0, packets, .. } if *packets > 1 => "it never has the end bit",
            Keypress { duration: 0, packets, .. } if *packets > 1 => "its duration stays 0",
            _ => return None,
        };
        Some((**key, why))
    });
    single.or_else(|| {
        let twice = keys
            .windows(2)
            .find(|pair| pair[0].event == pair[1].event && pair[1].first.time.since(pair[0].last.time) < DOUBLE)?;
        Some((*twice[1], "the same key comes twice without a pause"))
    })
}
