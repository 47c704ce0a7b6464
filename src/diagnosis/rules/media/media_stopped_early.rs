use std::time::Duration;

use crate::call::{Heard, Stream};
use crate::diagnosis::media::{BOTH_ENDS, ENOUGH, Ear, NOISE, Talk, claim_packet, on_the_way, suppresses_silence};
use crate::diagnosis::rule::rule;
use crate::diagnosis::words::length;
use crate::diagnosis::{Case, Confidence, Finding, Role, Severity};
use crate::sip::sdp::Sdp;

rule! {
    /// The media stopped before the call did.
    ///
    /// ## What it says
    /// RTP flowed, and then one side or both got none any more, seconds before somebody hung up.
    ///
    /// ## Why it happens
    /// A NAT or firewall forgot the way of the media, a device lost its network, or a media process died.
    ///
    /// ## Evidence
    /// The last RTP packet of a direction more than five seconds before the BYE, while the offer and answer in force
    /// let audio through in both directions. Behind a B2BUA that relays the media each leg is looked at: the first one
    /// on the way of the sound on which it stopped is told, if it stopped on those behind it too.
    ///
    /// ## How to fix
    /// Look at the sender of the direction that stopped, and at the NAT and firewall on its way, at that time.
    ///
    /// ## When it would be wrong
    /// Where both directions stop at one moment, nobody knows which side it was, and it is possible only: the capture
    /// may just have lost sight of them. A device that sends nothing while nobody speaks (DTX, comfort noise) stops and
    /// goes on: where it had paused so before, nothing is said. A call that changes to fax (T.38) or is put on hold, on
    /// whatever leg, has no RTP after that, and that is right. Where a re-INVITE moved the media to another host, they
    /// may go on past the capture.
    ///
    /// ## References
    /// RFC 3550 §6.3.5; RFC 3389 §4; RFC 3551 §4.1
    "H5" "media-stopped-early" needs [ANSWERED BODY MEDIA], check
}

/// A silence before the BYE that is too long.
const LONG: Duration = Duration::from_secs(5);

fn check(case: &Case<'_>) -> Option<Finding> {
    let talks = case.talks();
    let bye = talks.first()?.bye.filter(|_| !is_fax(case) && !case.ends_on_hold())?;
    let stopped: Vec<_> = BOTH_ENDS.into_iter().filter_map(|to| first_stopped(case, &talks, to, bye)).collect();
    let (ear, stream, silent) = *stopped.first()?;
    if let [(_, one, _), (_, other, _)] = stopped[..]
        && one.last.time.0.abs_diff(other.last.time.0) <= TOGETHER.as_nanos() as u64
    {
        return Some(ended_together(bye, one, other, silent));
    }
    let who = match stopped.len() {
        2 => "neither side got any RTP".to_owned(),
        _ => format!("{} got no RTP", ear.name()),
    };
    let finding = Finding::of(&RULE, Confidence::Likely)
        .severity(Severity::Warning)
        .party(ear.speaker(), Some(stream.path.source))
        .because(format!(
            "In the last {} before the BYE {who} any more, after {} packets. The last one came from {}.",
            length(silent),
            ear.packets(),
            stream.path.source
        ))
        .fix(format!("Look at {} and at the NAT or firewall on its way at that time.", stream.path.source));
    Some(claim_packet(finding, stream.last, stream, "the last packet of RTP").claim_method(bye, "the end of the call"))
}

/// Media that end no further apart than this end together.
const TOGETHER: Duration = Duration::from_millis(500);

/// Both directions end at one moment: what both pass held them back, or the capture did not hold them any more.
fn ended_together(bye: &Heard, stream: &Stream, other: &Stream, silent: Duration) -> Finding {
    let finding = Finding::of(&RULE, Confidence::Possible)
        .titled("The media of both sides end before the call does, at one moment.")
        .severity(Severity::Warning)
        .because(format!(
            "The last RTP of both directions comes at the same moment, {} before the BYE. Which side stopped cannot be \
             told: what both directions pass (a relay, a router, a firewall) may have held them back, or the capture \
             does not hold what was sent after that.",
            length(silent)
        ))
        .fix("Ask whether the last words could be heard: if so, only the capture lacks them.")
        .fix("If not, look at what both directions pass at that time: relay, router, firewall.");
    let finding = claim_packet(finding, stream.last, stream, "the last packet of RTP");
    claim_packet(finding, other.last, other, "the last packet of the other direction")
        .claim_method(bye, "the end of the call")
}

/// Who got no more sound, the last stream, and for how long.
type Stopped<'t, 'a> = (&'t Ear<'a>, &'a Stream, Duration);

/// The first leg on the way of the sound to one end of the call on which it stopped: who got no more, the last stream,
/// and for how long. If it goes on further on, the capture may lack what came to a B2BUA.
fn first_stopped<'t, 'a>(case: &Case<'_>, talks: &'t [Talk<'a>], to: Role, bye: &Heard) -> Option<Stopped<'t, 'a>> {
    let way = on_the_way(talks, to);
    let goes_on = |ear: &Ear<'_>| ear.last().is_some_and(|stream| bye.place.time.since(stream.last.time) <= LONG);
    way.iter().enumerate().find_map(|(at, (talk, ear, _))| {
        let stream = ear.last().filter(|_| ear.packets() >= ENOUGH)?;
        let silent = bye.place.time.since(stream.last.time.max(talk.open_since()?));
        let is_told = silent > LONG && stream.last.time > talk.began;
        let is_usual = has_noise(case, ear, stream) || has_paused_so(talk, stream, silent);
        let is_made_up = way.iter().skip(at + 1).any(|(_, later, _)| goes_on(later));
        (is_told && !is_usual && !talk.may_bypass(ear) && !is_made_up).then_some((*ear, stream, silent))
    })
}

/// True if comfort noise came: in the last stream, or after it, where a single packet of it tells the rest (RFC 3389
/// §4).
fn has_noise(case: &Case<'_>, ear: &Ear<'_>, last: &Stream) -> bool {
    let media = case.surroundings.media();
    let to_ear = ear.ends.iter().flat_map(|end| media.anything_to(*end));
    let later = to_ear.filter(|stream| stream.last >= last.last);
    later.chain([last]).flat_map(Stream::types).any(|seen| NOISE.contains(&seen.kind))
}

/// True if the stream had paused before, without a loss and without a hold, for so long that its last silence is
/// nothing new: nothing is sent there while nobody speaks (RFC 3551 §4.1).
fn has_paused_so(talk: &Talk<'_>, stream: &Stream, silent: Duration) -> bool {
    let paused = stream.silence.map_or(Duration::ZERO, |(paused, _)| paused);
    talk.exchanges.len() == 1 && suppresses_silence(stream) && paused * 3 >= silent
}

/// True if somebody wanted to change to T.38: a fax goes on without RTP, also by ways that the capture does not show.
fn is_fax(case: &Case<'_>) -> bool {
    let descriptions = case.call.messages.iter().filter_map(|heard| Sdp::of(&heard.message));
    descriptions.flat_map(|sdp| &sdp.media).any(|media| media.kind == "image" && media.port != 0)
}
