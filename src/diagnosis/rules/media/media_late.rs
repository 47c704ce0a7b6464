use std::time::Duration;

use crate::call::Stream;
use crate::diagnosis::media::{BOTH_ENDS, ENOUGH, Ear, Hop, Talk, claim_packet, on_the_way, suppresses_silence};
use crate::diagnosis::rule::rule;
use crate::diagnosis::words::{length, sentence};
use crate::diagnosis::{Case, Confidence, Finding, Role, Severity};

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
    /// Behind a B2BUA that relays the media each leg is looked at: the first one on the way of the sound on which it
    /// began late is told, if it did so on those behind it too.
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
    let talks = case.talks();
    let late = BOTH_ENDS.into_iter().find_map(|to| Late::of(&talks, to))?;
    Some(match together(late.talk, late.first) {
        Some(other) => late.began_together(other),
        None => late.explained(),
    })
}

/// A side that was sent nothing for too long, on the first leg on the way of the sound where that is so.
struct Late<'t, 'a> {
    talk: &'t Talk<'a>,
    ear: &'t Ear<'a>,
    /// The first stream that it was sent.
    first: &'a Stream,
    /// How long after the answer was confirmed.
    by: Duration,
    /// The first stream of the leg before, which began in time: the B2BUA between them had the sound.
    before: Option<&'a Stream>,
}

impl<'t, 'a> Late<'t, 'a> {
    /// Nothing is said where the sound was in time further on: then the capture lacks its beginning here.
    fn of(talks: &'t [Talk<'a>], to: Role) -> Option<Late<'t, 'a>> {
        let way = on_the_way(talks, to);
        way.iter().enumerate().find_map(|(at, (talk, ear, _))| {
            let (first, by) = late_on(talk, ear)?;
            let in_time = |(talk, ear, _): &Hop<'t, 'a>| {
                let first = ear.first()?;
                (first.first.time.since(talk.began) <= LATE).then_some(first)
            };
            let before = at.checked_sub(1).and_then(|before| way.get(before)).and_then(in_time);
            let is_made_up = way.iter().skip(at + 1).any(|hop| in_time(hop).is_some());
            (!is_made_up).then_some(Late { talk, ear, first, by, before })
        })
    }

    fn explained(&self) -> Finding {
        let source = self.first.path.source;
        let had_it = match self.before {
            Some(before) => format!(" What is relayed there came to {} in time.", before.path.destination),
            None => String::new(),
        };
        let finding = Finding::of(&RULE, Confidence::Likely)
            .severity(Severity::Warning)
            .party(self.ear.speaker(), Some(source))
            .because(format!(
                "{} was sent its first RTP {} after the answer was confirmed, from {source}: the first words are cut \
                 off.{had_it}",
                sentence(self.ear.name()),
                length(self.by),
            ))
            .fix(format!(
                "Look at what {source} does between the answer and its first packet: relay, ICE, key exchange."
            ))
            .claim_status(self.talk.success, "the answer");
        let finding = claim_packet(finding, self.first.first, self.first, "the first packet of RTP");
        match self.before {
            Some(before) => claim_packet(finding, before.first, before, "the first packet to the B2BUA before it"),
            None => finding,
        }
    }

    /// Both directions begin at one moment: what lets them through began so late, or the capture did not hold them
    /// before.
    fn began_together(&self, other: &Stream) -> Finding {
        let finding = Finding::of(&RULE, Confidence::Possible)
            .titled("The media of both sides begin late in this capture.")
            .because(format!(
                "The first RTP of both directions comes at the same moment, {} after the answer was confirmed. More \
                 likely the capture does not hold what was sent before; or what both wait for, a relay, ICE or an \
                 exchange of keys, took that long.",
                length(self.by)
            ))
            .fix("Ask whether the first words could be heard: if so, only the capture lacks them.")
            .fix(
                "If not, look at what both sides wait for between the answer and the first packet: relay, ICE, key \
                 exchange.",
            )
            .claim_status(self.talk.success, "the answer");
        let finding = claim_packet(finding, self.first.first, self.first, "the first packet of RTP");
        claim_packet(finding, other.first, other, "the first packet of the other direction")
    }
}

/// The first stream to one side of a leg, and how late it began, if that is too late.
fn late_on<'a>(talk: &Talk<'a>, ear: &Ear<'a>) -> Option<(&'a Stream, Duration)> {
    // Media that moved may have flowed elsewhere before.
    if !talk.is_open() || talk.exchanges.len() > 1 {
        return None;
    }
    // Where a side only seems to be, by what comes from there, its media may be those of another.
    let is_named =
        |stream: &&Stream| ear.ends.iter().chain(&ear.candidates).any(|named| *named == stream.path.destination);
    let is_told = |stream: &&Stream| ear.packets() >= ENOUGH && is_named(stream) && !suppresses_silence(stream);
    let stream = ear.first().filter(is_told)?;
    let late = stream.first.time.since(talk.began);
    (late > LATE).then_some((stream, late))
}

/// Media that begin no further apart than this begin together.
const TOGETHER: Duration = Duration::from_millis(500);

/// The first stream of the other direction, if it begins at the same moment.
fn together<'a>(talk: &Talk<'a>, stream: &Stream) -> Option<&'a Stream> {
    let other = [&talk.caller, &talk.callee].into_iter().find_map(|ear| {
        let own = ear.first()?;
        (own.path != stream.path).then_some(own)
    })?;
    let apart = other.first.time.0.abs_diff(stream.first.time.0);
    (u128::from(apart) <= TOGETHER.as_nanos()).then_some(other)
}
