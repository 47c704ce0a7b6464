use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use crate::call::Stream;
use crate::diagnosis::media::{BOTH_ENDS, ENOUGH, Ear, Moved, Talk, UNDERWAY, claim_packet, on_the_way};
use crate::diagnosis::rule::rule;
use crate::diagnosis::words::{is_private, length, sentence};
use crate::diagnosis::{Case, Confidence, Finding, Role};
use crate::sip::sdp::Sdp;

rule! {
    /// The sound goes one way only.
    ///
    /// ## What it says
    /// RTP was sent to one side of the call, and none to the other: that side hears nothing.
    ///
    /// ## Why it happens
    /// The silent sender is behind a firewall or NAT that lets nothing out, sends to a wrong address, or has its
    /// microphone or media process off. Or its packets take another way than past this capture.
    ///
    /// ## Evidence
    /// At least 50 packets one way and none the other, in a conversation of more than three seconds in which both sides
    /// agreed on `sendrecv`. It is likely only if this capture shows RTP both ways between these hosts otherwise. Or a
    /// side that moved its audio to another port of its host, and RTP that goes on to the old port for more than three
    /// seconds, while none comes to the new one and none from the old one. Or RTP to the address of the
    /// session where the audio has one of its own. Behind a B2BUA that relays the media each leg is looked at: the
    /// first one on the way of the sound on which it is missing is told, and who should have sent it there.
    ///
    /// ## How to fix
    /// Look at the side that sends nothing: firewall, NAT, media address. Let the server relay media with symmetric
    /// RTP.
    ///
    /// ## When it would be wrong
    /// Early media are no sound of the talk, and neither is what only keeps a way open. On hold, or where the direction
    /// was agreed on; and where the capture sees only one side of a relay: if it holds no RTP of that direction in any
    /// call between these hosts, it cannot tell. A re-INVITE may move the media past the capture. Where a B2BUA sends
    /// something on that it did not get, the capture may lack what it got, and nothing is said.
    ///
    /// ## References
    /// RFC 3550 §5.1; RFC 4961 §3; RFC 3264 §5.1, §8.3.1; RFC 6263 §4.6; RFC 8866 §5.7
    "H2" "one-way-media" needs [ANSWERED BODY MEDIA], check
}

/// A conversation that lasts longer than this would have sound.
const SHORT: Duration = Duration::from_secs(3);

fn check(case: &Case<'_>) -> Option<Finding> {
    let talks = case.talks();
    talks
        .iter()
        .find_map(|talk| sent_past(case, talk))
        .or_else(|| talks.iter().find_map(|talk| sent_to_session_address(case, talk)))
        .or_else(|| not_sent(case, &talks))
}

/// A description has an address of its own for the audio, and the other side sends to that of the session.
fn sent_to_session_address(case: &Case<'_>, talk: &Talk<'_>) -> Option<Finding> {
    let media = case.surroundings.media();
    talk.ears().into_iter().filter(|(deaf, _)| talk.sound_to(deaf) == 0).find_map(|(deaf, heard)| {
        let sdp = Sdp::of(&deaf.owner.message)?;
        let end = deaf.end().filter(|_| talk.exchanges.len() == 1)?;
        let general = sdp.connection.split_ascii_whitespace().nth(2)?.parse().ok()?;
        let passed = SocketAddr::new(general, end.port());
        let is_sent = |stream: &&Stream| {
            let is_of_other = heard.end().is_some_and(|other| other.ip() == stream.path.source.ip());
            is_of_other && stream.packets >= ENOUGH && stream.last.time > talk.began
        };
        let stream = media.to(passed).find(is_sent).filter(|_| passed.ip() != end.ip())?;
        let (name, source, address) = (deaf.name(), stream.path.source, "sdp.connection_info.address");
        let finding = Finding::of(&RULE, Confidence::Proven)
            .titled("The sound goes to the address of the session, and not to that of the audio")
            .explains(talk.success.message.status())
            .party(deaf.speaker(), Some(source))
            .because(format!(
                "{} asks for its audio at {end}, in a c= under the m= line, which goes before the c= of the session, \
                 {general}. {source} sends to {passed}, {} packets, and {name} hears nothing.",
                sentence(name),
                stream.packets
            ))
            .fix(format!("Let {source} heed the c= under an m= line (RFC 8866 §5.7)."));
        let finding =
            claim_line(finding, deaf).claim(deaf.owner, address, end.ip().to_string(), "where it asks for audio");
        let finding = finding.claim(deaf.owner, address, general.to_string(), "the address of the session");
        Some(
            claim_packet(finding, stream.first, stream, "the first packet to the other address")
                .claim_absent(talk.success.place, format!("any RTP to {end}"), "until the end of the call")
                .refuted("media-missing", format!("RTP is sent to {name}, to another address")),
        )
    })
}

/// A side moved its audio to another port, and the other one goes on sending to the old one.
fn sent_past(case: &Case<'_>, talk: &Talk<'_>) -> Option<Finding> {
    let media = case.surroundings.media();
    let open_since = talk.open_since()?;
    let (ear, moved, stream) = talk.ears().into_iter().find_map(|(ear, _)| {
        let moved = ear.moved(talk)?;
        let from = moved.by.place.time.max(moved.agreed).max(open_since);
        // Who goes on sending from its old port listens there too, whatever its description says (RFC 4961 §3).
        let is_left = media.anything_to(moved.to).next().is_none()
            && media.from(moved.from).all(|stream| stream.last.time < from.plus(UNDERWAY));
        let stream =
            media.to(moved.from).find(|stream| stream.packets >= ENOUGH && stream.last.time > from.plus(SHORT))?;
        is_left.then_some((ear, moved, stream))
    })?;
    let (name, source) = (ear.name(), stream.path.source);
    let Moved { by, from, to, agreed } = moved;
    let finding = Finding::of(&RULE, Confidence::Likely)
        .titled("The sound goes on to a port that is not used any more")
        .explains(talk.success.message.status())
        .party(ear.speaker(), Some(source))
        .because(format!(
            "{} moved its audio from {from} to {to} during the call, and {source} goes on sending to {from}, for {} \
             after the answer to that: nothing comes to {to}, and {name} hears nothing any more.",
            sentence(name),
            length(stream.last.time.since(agreed))
        ))
        .fix(format!(
            "Look at {source}: it should send to the address and port of the newest description (RFC 3264 §8.3.1)."
        ))
        .claim(by, "sdp.media.port", to.port().to_string(), "where the audio is asked for from now on");
    Some(
        claim_packet(finding, stream.last, stream, "the last packet to the port of before")
            .claim_absent(by.place, format!("any RTP to {to}"), "until the end of the call")
            .refuted("media-stopped-early", "the sound goes on, to another port"),
    )
}

/// A leg on which one side is sent sound, and the other none.
struct Missing<'t, 'a> {
    talk: &'t Talk<'a>,
    deaf: &'t Ear<'a>,
    heard: &'t Ear<'a>,
    /// Where the deaf side asks for sound.
    end: SocketAddr,
    /// The last stream of the direction that has sound.
    stream: &'a Stream,
    /// The side that got the missing sound on the leg before, where a B2BUA does not pass it on.
    before: Option<&'t Ear<'a>>,
    confidence: Confidence,
    vantage: &'static str,
}

/// The first leg on the way of the sound to one end of the call on which it is missing. If something comes there
/// further on, a B2BUA makes it up, or the capture lacks what it got.
fn first_missing<'t, 'a>(case: &Case<'_>, talks: &'t [Talk<'a>], to: Role) -> Option<Missing<'t, 'a>> {
    let way = on_the_way(talks, to);
    let has_sound = |talk: &Talk<'_>, ear: &Ear<'_>| talk.sound_to(ear) >= ENOUGH;
    let told = way.iter().enumerate().filter(|(at, (talk, deaf, heard))| {
        let is_missing = talk.is_open() && talk.length() > SHORT && talk.sound_to(deaf) == 0 && has_sound(talk, heard);
        let may_bypass = || talk.may_bypass(deaf) && talk.may_bypass(heard);
        is_missing && !may_bypass() && !way.iter().skip(at + 1).any(|(talk, later, _)| has_sound(talk, later))
    });
    let mut found: Vec<Missing<'t, 'a>> = told
        .filter_map(|(at, (talk, deaf, heard))| {
            let (end, stream) = (deaf.end()?, heard.last()?);
            let (confidence, vantage) = vantage(case, heard, stream);
            let before =
                at.checked_sub(1).and_then(|at| way.get(at)).filter(|_| !talks.iter().any(|talk| talk.is_guessed));
            let before = before.filter(|(talk, before, _)| has_sound(talk, before)).map(|(_, before, _)| *before);
            Some(Missing { talk, deaf, heard, end, stream, before, confidence, vantage })
        })
        // Of a leg behind a B2BUA that this capture may not show, nothing is said.
        .filter(|missing| missing.confidence != Confidence::Unseen || !missing.talk.is_inner)
        .collect();
    let surest = found.iter().position(|missing| missing.confidence != Confidence::Unseen).unwrap_or(0);
    (surest < found.len()).then(|| found.swap_remove(surest))
}

/// One side is sent sound, and the other none.
fn not_sent(case: &Case<'_>, talks: &[Talk<'_>]) -> Option<Finding> {
    let missing = BOTH_ENDS.into_iter().find_map(|to| first_missing(case, talks, to))?;
    let Missing { talk, deaf, heard, end, .. } = missing;
    let finding =
        Finding::of(&RULE, missing.confidence).explains(talk.success.message.status()).because(missing.explanation());
    let hidden = hidden_behind(deaf, end);
    let finding = match hidden {
        Some(source) => finding.sender(deaf.role, deaf.owner).fix(format!(
            "Set the external media address of {source}: nobody outside of its own network can send to {}.",
            end.ip()
        )),
        None => finding.party(heard.role, Some(heard.end().unwrap_or(end))),
    };
    let finding = finding
        .fix(missing.cure())
        .fix("Let the server relay the media and send them back where they come from (symmetric RTP).");
    Some(
        missing
            .prove(case, finding)
            .refuted("media-missing", format!("{} is sent RTP", heard.name()))
            .next_capture(format!("tcpdump -i any -s0 -w next.pcap 'host {} and udp'", hidden.unwrap_or(end.ip()))),
    )
}

impl Missing<'_, '_> {
    fn explanation(&self) -> String {
        let Missing { deaf, heard, end, vantage, .. } = self;
        let consequence = match self.confidence {
            Confidence::Unseen => String::new(),
            _ => format!(": {} hears nothing", deaf.listener()),
        };
        let relayed = self.before.and_then(|before| {
            let got = before.end()?;
            Some(format!(
                " On the leg before, {} packets of that sound came to {got}, and they are not passed on.",
                before.packets()
            ))
        });
        let other = self.other_packets();
        let none = if other.is_empty() { "none" } else { "no sound" };
        format!(
            "{} packets of RTP went to {} within {}, and {none} to {}, which asked for them at {end}{consequence}.\
             {other}{} {vantage}",
            heard.packets(),
            heard.name(),
            length(self.lasted()),
            deaf.name(),
            relayed.unwrap_or_default()
        )
    }

    /// How long the direction that has sound was sent: as long as the talk, or beyond its end.
    fn lasted(&self) -> Duration {
        let beyond = self.stream.last.time > self.talk.until.plus(UNDERWAY);
        let first = self.heard.first().filter(|_| beyond);
        first.map_or(self.talk.length(), |first| self.stream.last.time.since(first.first.time))
    }

    /// What came to the deaf side and is no sound of the talk.
    fn other_packets(&self) -> String {
        let (kept, early): (Vec<&Stream>, Vec<&Stream>) =
            self.deaf.streams.iter().copied().partition(|stream| self.talk.is_keep_alive(stream));
        let count = |streams: &[&Stream]| streams.iter().map(|stream| stream.different()).sum::<u64>();
        let mut told = String::new();
        if !early.is_empty() {
            told += &format!(" {} packets of early media came there before the answer was confirmed.", count(&early));
        }
        if let Some(kind) = kept.first().and_then(|stream| stream.types().first().map(|seen| seen.kind)) {
            told += &format!(
                " The {} packets that came there have the payload type {kind}, which nobody asked for: they keep a way \
                 open and carry no sound (RFC 6263 §4.6).",
                count(&kept)
            );
        }
        told
    }

    fn cure(&self) -> String {
        let end = self.end;
        match self.before.and_then(Ear::end) {
            Some(got) => format!(
                "Look why what comes to {got} is not sent on to {end}: the relay of the media between the two legs, \
                 its route, its firewall."
            ),
            None => format!(
                "Look at {}: does it send RTP to {end}? Its firewall, its NAT, its media process.",
                self.heard.name()
            ),
        }
    }

    fn prove(&self, case: &Case<'_>, finding: Finding) -> Finding {
        let Missing { talk, stream, end, .. } = self;
        let finding = claim_line(claim_line(finding, self.deaf), self.heard);
        let mut finding =
            claim_packet(finding, stream.first, stream, "the first packet of the direction that has sound");
        if let Some(got) = self.before.and_then(Ear::first) {
            finding = claim_packet(finding, got.first, got, "the first packet of the missing sound, on the leg before");
        }
        let media = case.surroundings.media();
        if let Some(other) = media.between(stream.path.destination.ip(), stream.path.source.ip()).next() {
            finding = claim_packet(finding, other.first, other, "RTP of the other direction, in this capture");
        }
        for stream in &self.deaf.streams {
            finding = claim_packet(
                finding,
                stream.last,
                stream,
                "the last packet to the other side, which is no sound of the talk",
            );
        }
        let what = if self.deaf.streams.is_empty() { "any RTP" } else { "any sound" };
        finding.claim_absent(
            talk.success.place,
            format!("{what} to {end}"),
            format!("until the end of the call, {}", length(talk.length())),
        )
    }
}

/// How sure it is that the other direction would have been seen, and why.
pub(super) fn vantage(case: &Case<'_>, heard: &Ear<'_>, stream: &Stream) -> (Confidence, &'static str) {
    let (one, other) = (stream.path.source.ip(), stream.path.destination.ip());
    let media = case.surroundings.media();
    let saw_both = media.has_between(one, other) && media.has_between(other, one);
    if saw_both && case.capture.drops == 0 {
        let why = "RTP both ways between these hosts is in this capture otherwise, so it would have been seen.";
        return (Confidence::Likely, why);
    }
    // That every call has the same direction only tells of the place of the capture, or of all calls.
    if !saw_both && media.between(one, other).any(|known| !heard.ends.contains(&known.path.destination)) {
        let why = "In no call does this capture hold RTP of that direction between these hosts: it may lie outside of \
                   what is captured.";
        return (Confidence::Unseen, why);
    }
    let could_see = is_seen_both_ways(case, one) && is_seen_both_ways(case, other);
    let confidence = if could_see { Confidence::Possible } else { Confidence::Unseen };
    (confidence, "Whether this capture would show the other direction is not certain.")
}

/// From where the signalling of a side comes that asks for its media at a private address although it is outside.
fn hidden_behind(ear: &Ear<'_>, end: SocketAddr) -> Option<IpAddr> {
    let source = ear.owner.path.source.ip();
    (is_private(end.ip()) && !is_private(source) && !source.is_loopback()).then_some(source)
}

/// True if the call shows SIP from a host and to it: the capture is not one of one direction only.
fn is_seen_both_ways(case: &Case<'_>, host: IpAddr) -> bool {
    let mut all = case.call.messages.iter();
    all.any(|heard| heard.path.source.ip() == host)
        && case.call.messages.iter().any(|heard| heard.path.destination.ip() == host)
}

pub(in crate::diagnosis::rules) fn claim_line(finding: Finding, ear: &Ear<'_>) -> Finding {
    match ear.line() {
        Some(line) => finding.claim(ear.owner, "sdp.media", line, format!("where {} asks for audio", ear.name())),
        None => finding,
    }
}
