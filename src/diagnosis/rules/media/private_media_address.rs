use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use crate::call::{Call, Heard, MessageId, Stream};
use crate::capture::{Place, Timestamp};
use crate::catalogue::Topic;
use crate::diagnosis::dialogs::{from_tag, own_tag};
use crate::diagnosis::media::{ENOUGH, Ear, Talk, UNDERWAY};
use crate::diagnosis::rule::rule;
use crate::diagnosis::rules::media::one_way_media::vantage;
use crate::diagnosis::words::{destination_field, length, network_of, source_field};
use crate::diagnosis::{Case, Confidence, Finding, Role, Severity};
use crate::sip::sdp::{Media, Sdp};

rule! {
    /// A private address was offered for the media across a NAT.
    ///
    /// ## What it says
    /// One side asks for its media at a private address, while its signalling comes from another network. Whoever takes
    /// that address at its word sends the media nowhere, and that side hears nothing.
    ///
    /// ## Why it happens
    /// The device is behind a NAT and writes its own address into the session description, and nothing on the way
    /// corrects it.
    ///
    /// ## Evidence
    /// A private address in `c=` (RFC 1918, RFC 6598, link-local, unique local), in a message whose packet comes from a
    /// public address or from another private network. Without media that are missing it is a fact, and no fault; where
    /// that side is sent nothing, and this capture may show what it would be sent, it is the cause.
    ///
    /// ## How to fix
    /// Set the external media address of that device, or let the server relay the media and send them back where they
    /// come from.
    ///
    /// ## When it would be wrong
    /// If a relay sends the media back to where they come from (seen in the capture, it is not said), if ICE finds a
    /// way, or if a tunnel joins the two networks. So it is not said where the description offers ICE candidates, where
    /// the address is rewritten further on (unless a B2BUA behind which it was named sends media there, and none come
    /// back), where the media of that side are on hold, or where another party of the call is in that private network,
    /// or names an address of it and comes from the same public address: both are behind one NAT.
    ///
    /// ## References
    /// RFC 3264 §5.1; RFC 1918; RFC 6598; RFC 8445
    "H1" "private-media-address" needs [ANSWERED BODY], check
}

/// A conversation that lasts longer than this would have sound.
const SHORT: Duration = Duration::from_secs(3);

fn check(case: &Case<'_>) -> Option<Finding> {
    let (invite, success) = case.answer()?;
    let (offer, answer) = (outermost(case.call, invite.request), innermost(case.call, success));
    let opening = [offer, answer].into_iter().flatten().find_map(|owner| read(case, owner));
    let asked = opening.or_else(|| later(case))?;
    let Asked { owner, address, .. } = asked;
    let (source, end) = (owner.path.source, asked.end());
    if is_latched(case, end) {
        return None;
    }
    let role = case.role_of_author(owner);
    let side = if role == Role::Uac { "caller" } else { "callee" };
    let fate = Fate::of(case, end);
    Some(
        fate.finding(success, end)
            .sender(role, owner)
            .because(format!(
                "The {side} asks for its {} at {end}, a private address, and its signalling comes from {source}: \
                 another network. {}",
                asked.media.kind,
                fate.told(side)
            ))
            .fix(format!(
                "Set the external media address of {source}: it should not name {address} outside its own network{}.",
                case.settings(Topic::ExternalAddress, owner)
            ))
            .fix("Or let the server in between relay the media (symmetric RTP, rtpengine, `rtp_symmetric=yes`).")
            .claim(owner, "sdp.connection_info.address", address.to_string(), "the address that is asked for")
            .claim(owner, source_field(source.ip()), source.ip().to_string(), "where the message itself comes from")
            .next_capture(format!("tcpdump -i any -s0 -w next.pcap 'host {} and udp'", owner.path.destination.ip())),
    )
}

/// What became of the media for the side that asks for them at a private address.
enum Fate<'a> {
    /// They went there, and nobody heard them.
    Lost(&'a Stream),
    /// None came to that side, and some did to the other.
    Missing(Deaf),
    /// As far as the capture shows, nothing is missing.
    Unknown,
}

impl<'a> Fate<'a> {
    fn of(case: &Case<'a>, end: SocketAddr) -> Fate<'a> {
        if let Some(stream) = lost_media(case, end) {
            return Fate::Lost(stream);
        }
        hears_nothing(case, end).map_or(Fate::Unknown, Fate::Missing)
    }

    /// How sure that makes, and its proof.
    fn finding(&self, success: &Heard, end: SocketAddr) -> Finding {
        match self {
            Fate::Lost(stream) => Finding::of(&RULE, Confidence::Likely).explains(success.message.status()).claim_at(
                stream.first,
                destination_field(end.ip()),
                end.ip().to_string(),
                "the other side takes the address at its word",
            ),
            // That nothing comes is `one-way-media`; this is the reason for it, as far as the capture would show what
            // comes.
            Fate::Missing(deaf) if deaf.may_be_seen => finding_of_deaf(success, end, deaf),
            Fate::Missing(_) => Finding::of(&RULE, Confidence::Likely).severity(Severity::Warning),
            // Most servers send media back where they come from: as long as nothing is missing, it is a fact.
            Fate::Unknown => Finding::of(&RULE, Confidence::Possible),
        }
    }

    fn told(&self, side: &str) -> String {
        let came = match self {
            Fate::Lost(stream) => {
                return format!(
                    "{} packets of RTP went there, none of them back to where the {side} sends from, and none ever \
                     came from there: as far as this capture shows, the {side} heard nothing.",
                    stream.different()
                );
            }
            Fate::Missing(_) => format!(" The other side was sent RTP, and none came to the {side}."),
            Fate::Unknown => String::new(),
        };
        format!(
            "If the other side takes that address at its word, the {side} hears nothing. A relay that sends media back \
             where they come from would make it good.{came}"
        )
    }
}

/// The leg on which an address is asked for, else that of the caller.
fn talk_with<'a>(case: &Case<'a>, end: SocketAddr) -> Option<Talk<'a>> {
    let mut talks = case.talks();
    let at = talks.iter().position(|talk| talk.ears().iter().any(|(ear, _)| ear.ends.contains(&end))).unwrap_or(0);
    (at < talks.len()).then(|| talks.swap_remove(at))
}

/// RTP to the private address, if nothing came from there and nothing was sent back to where that side sends from.
fn lost_media<'a>(case: &Case<'a>, end: SocketAddr) -> Option<&'a Stream> {
    let talk = talk_with(case, end)?;
    let media = case.surroundings.media();
    let stream = media.to(end).find(|stream| stream.packets >= ENOUGH && stream.last.time > talk.began)?;
    let (ear, other) =
        if talk.caller.ends.contains(&end) { (&talk.caller, &talk.callee) } else { (&talk.callee, &talk.caller) };
    let since = stream.first.time;
    let answers = media.from(end).next().is_some() || back(ear, end, since).next().is_some();
    (!answers && !other.ends.contains(&end)).then_some(stream)
}

/// A side that is sent nothing.
struct Deaf {
    /// The first packet that the other side is sent: where this one sends from.
    heard: (Place, SocketAddr),
    /// How long it lasted.
    length: Duration,
    /// True if this capture may show what it would be sent.
    may_be_seen: bool,
}

/// Told if the side that asked for this address is sent nothing in a conversation in which the other side is.
fn hears_nothing(case: &Case<'_>, end: SocketAddr) -> Option<Deaf> {
    let talk = talk_with(case, end).filter(|talk| talk.is_open() && talk.length() > SHORT)?;
    let is_deaf = |(ear, other): &(&Ear<'_>, &Ear<'_>)| {
        ear.ends.contains(&end) && ear.packets() == 0 && other.packets() >= ENOUGH
    };
    let (ear, other) = talk.ears().into_iter().find(is_deaf)?;
    let stream = other.first()?;
    let may_be_seen =
        !(talk.may_bypass(ear) && talk.may_bypass(other)) && vantage(case, other, stream).0 != Confidence::Unseen;
    Some(Deaf { heard: (stream.first, stream.path.source), length: talk.length(), may_be_seen })
}

/// With what shows that nothing came: neither to the address that was asked for, nor back to where that side sends
/// from.
fn finding_of_deaf(success: &Heard, end: SocketAddr, deaf: &Deaf) -> Finding {
    let (place, from) = deaf.heard;
    let missing = if from == end { format!("any RTP to {end}") } else { format!("any RTP to {end} or to {from}") };
    Finding::of(&RULE, Confidence::Likely)
        .explains(success.message.status())
        .claim_at(place, source_field(from.ip()), from.ip().to_string(), "where that side sends its own media from")
        .claim_absent(success.place, missing, format!("until the end of the call, {}", length(deaf.length)))
}

/// True if media are sent back to where that side sends from, and not to the address that it asked for.
fn is_latched(case: &Case<'_>, end: SocketAddr) -> bool {
    let Some(talk) = talk_with(case, end) else { return false };
    let Some((ear, _)) = talk.ears().into_iter().find(|(ear, _)| ear.ends.contains(&end)) else { return false };
    let since = case.surroundings.media().to(end).map(|stream| stream.first.time).min().unwrap_or(talk.began);
    back(ear, end, since).map(|stream| stream.different()).sum::<u64>() >= ENOUGH
}

/// What is sent to a side elsewhere than to an address that it asked for, and not only before anything went there.
fn back<'a>(ear: &'a Ear<'_>, end: SocketAddr, since: Timestamp) -> impl Iterator<Item = &'a Stream> {
    let streams = ear.streams.iter().copied();
    streams.filter(move |stream| stream.path.destination != end && stream.last.time > since.plus(UNDERWAY))
}

/// A medium that is asked for at a private address.
struct Asked<'a> {
    owner: &'a Heard,
    media: Media,
    address: IpAddr,
}

impl Asked<'_> {
    fn end(&self) -> SocketAddr {
        SocketAddr::new(self.address, self.media.port)
    }
}

/// The request as the caller sent it, if it was captured on its first hop.
fn outermost(call: &Call, request: Option<MessageId>) -> Option<&Heard> {
    request.map(|id| call.message(id)).filter(|heard| heard.message.via_count() <= 1)
}

/// The 2xx as the callee sent it: on the last hop of the INVITE.
fn innermost<'a>(call: &'a Call, success: &'a Heard) -> Option<&'a Heard> {
    let mut here = success;
    for _ in 0..32 {
        let next = call.downstream_of(here.transaction).find_map(|inner| {
            let mut responses = inner.finals.iter().map(|id| call.message(*id));
            responses.find(|heard| heard.message.status() == success.message.status())
        });
        match next {
            Some(inner) => here = inner,
            None => return Some(here),
        }
    }
    None
}

/// A private address that a later offer or answer names, if media went there and nothing came back.
fn later<'a>(case: &Case<'a>) -> Option<Asked<'a>> {
    let exchanges = case.exchanges();
    let mut described = exchanges.iter().skip(1).flat_map(|one| [one.offer, one.answer]);
    described.find_map(|owner| {
        let asked = read(case, owner)?;
        lost_media(case, asked.end()).map(|_| asked)
    })
}

fn read<'a>(case: &Case<'a>, owner: &'a Heard) -> Option<Asked<'a>> {
    let call = case.call;
    let sdp = Sdp::of(&owner.message)?;
    let media = sdp.media.iter().find(|media| media.port != 0 && media.kind != "application")?;
    let address: IpAddr = sdp.address_of(media).parse().ok()?;
    let network = network_of(address)?;
    let has_candidates = |attributes: &[String]| attributes.iter().any(|a| a.starts_with("candidate"));
    let is_heard = matches!(sdp.direction_of(media), "sendrecv" | "recvonly");
    if !is_heard || has_candidates(&media.attributes) || has_candidates(&sdp.attributes) {
        return None;
    }
    let is_inside = |end: SocketAddr| network_of(end.ip()) == Some(network);
    // Within one host nothing is said of the network around it.
    if owner.path.source.ip().is_loopback() || owner.path.destination.ip().is_loopback() {
        return None;
    }
    let someone_inside =
        call.messages.iter().any(|heard| is_inside(heard.path.source) || is_inside(heard.path.destination));
    // Behind a B2BUA that relays the media only its own leg tells whether it takes the address at its word.
    let is_relayed =
        || is_rewritten(call, owner, media, address) && !is_lost_behind(case, SocketAddr::new(address, media.port));
    if someone_inside || shares_nat(call, owner, address) || is_relayed() {
        return None;
    }
    Some(Asked { owner, media: media.clone(), address })
}

/// True if another party whose messages come from the same public address asks for its media in the same private
/// network: the two are behind one NAT, and reach each other.
fn shares_nat(call: &Call, owner: &Heard, address: IpAddr) -> bool {
    let network = network_of(address);
    let is_neighbour = |heard: &&Heard| {
        heard.path.source.ip() == owner.path.source.ip()
            && heard.path.source != owner.path.source
            && own_tag(heard) != own_tag(owner)
    };
    let mut described = call.messages.iter().filter(is_neighbour).filter_map(|heard| Sdp::of(&heard.message));
    described.any(|sdp| {
        let wanted = sdp.media.iter().filter(|media| media.port != 0);
        let mut addresses = wanted.filter_map(|media| sdp.address_of(media).parse().ok());
        addresses.any(|other: IpAddr| other != address && network_of(other) == network)
    })
}

/// True if on a leg behind a B2BUA media are sent to this address and none come back.
fn is_lost_behind(case: &Case<'_>, end: SocketAddr) -> bool {
    talk_with(case, end).is_some_and(|talk| talk.is_inner) && lost_media(case, end).is_some()
}

/// True if another message of the same kind in the call has the medium at another address: something on the way takes
/// the media, or has corrected the address.
fn is_rewritten(call: &Call, owner: &Heard, media: &Media, address: IpAddr) -> bool {
    let is_same_kind = |heard: &&Heard| {
        heard.message.is_request() == owner.message.is_request()
            && heard.message.cseq().map(|cseq| &cseq.method) == owner.message.cseq().map(|cseq| &cseq.method)
            && heard.path.source != owner.path.source
            // What the other side asks for in the same dialog is its own.
            && (call.leg(heard.leg).call_id != call.leg(owner.leg).call_id || from_tag(heard) == from_tag(owner))
    };
    call.messages.iter().filter(is_same_kind).any(|heard| {
        let Some(sdp) = Sdp::of(&heard.message) else { return false };
        let same = sdp.media.iter().find(|other| other.kind == media.kind);
        same.is_some_and(|other| sdp.address_of(other).parse() != Ok(address))
    })
}
