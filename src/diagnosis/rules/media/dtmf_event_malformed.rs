use std::time::Duration;

use crate::call::{Keypress, Stream};
use crate::diagnosis::media::{BOTH_ENDS, Ear, Talk, audio, on_the_way};
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
    /// is followed at once by the same event under another time stamp. Behind a B2BUA that relays the media each leg is
    /// looked at: the first one on the way of the keys is told.
    ///
    /// ## How to fix
    /// Correct or switch off the conversion of tones at the sender, or at the gateway before it.
    ///
    /// ## When it would be wrong
    /// If the last packets of an event were lost: they are repeated for that reason. Of a key that the stream ends with
    /// nothing is said.
    ///
    /// ## References
    /// RFC 4733 §2.3, §2.5.1.2, §2.5.1.4
    "H9" "dtmf-event-malformed" needs [ANSWERED BODY MEDIA], check
}

/// The same key again within this after its end is one press told twice.
const DOUBLE: Duration = Duration::from_millis(30);

fn check(case: &Case<'_>) -> Option<Finding> {
    let talks = case.talks();
    BOTH_ENDS.into_iter().flat_map(|to| on_the_way(&talks, to)).find_map(|(talk, ear, _)| {
        let kinds = event_types(talk);
        let malformed = |stream: &&Stream| fault(stream, &kinds).map(|(key, why)| found(ear, stream, &key, why));
        ear.streams.iter().find_map(malformed)
    })
}

fn found(ear: &Ear<'_>, stream: &Stream, key: &Keypress, why: &str) -> Finding {
    Finding::of(&RULE, Confidence::Likely)
        .severity(Severity::Warning)
        .party(ear.speaker(), Some(stream.path.source))
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

/// The first key of these payload types that is told wrongly, and how.
fn fault(stream: &Stream, kinds: &[u8]) -> Option<(Keypress, &'static str)> {
    let keys: Vec<&Keypress> = stream.keys.iter().filter(|key| kinds.contains(&key.kind)).collect();
    let single = keys.iter().find_map(|key| {
        // Of a key that the stream ends with, the capture or the call may just lack the end.
        let goes_on = key.last < stream.last;
        let why = match key {
            Keypress { rises: false, .. } => "its duration falls",
            Keypress { ends: 0, packets, .. } if *packets > 1 && goes_on => "it never has the end bit",
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
