use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use crate::call::{DeadPort, Heard, Stream};
use crate::capture::Timestamp;
use crate::diagnosis::dialogs::{from_tag, own_tag};
use crate::diagnosis::media::{ENOUGH, UNDERWAY as MOVING, claim_packet};
use crate::diagnosis::rule::rule;
use crate::diagnosis::words::{icmp_name, length};
use crate::diagnosis::{Case, Confidence, Finding, Role};
use crate::net::Undelivered;
use crate::sip::Method;
use crate::sip::sdp::{Media, Sdp};

rule! {
    /// Nothing listens on the port that was agreed on for the media.
    ///
    /// ## What it says
    /// Media was sent to the address and port that one side named, and that host, or a router or filter before it,
    /// answered that it does not arrive there.
    ///
    /// ## Why it happens
    /// The media part of that system is not running or uses another port, or a firewall rejects the packets. Where
    /// media had arrived before, that system went down, or ended the call with a BYE that did not come this way.
    ///
    /// ## Evidence
    /// An ICMP port unreachable, or another code of destination unreachable, that quotes a packet to a media address
    /// and port of the call, on any hop, while the call was up.
    ///
    /// ## How to fix
    /// Look at the media server, and at the firewall, of the host that reports.
    ///
    /// ## When it would be wrong
    /// An error after the BYE, or shortly before it, is the normal end: who hangs up closes its port at once, and the
    /// media go a shorter way than the BYE. So is one to a port that the SDP in force does not ask for media at: its
    /// side has moved them by re-INVITE or UPDATE, or is about to, or takes none for a while. And where media come from
    /// that very port after a first few errors, or go on to it without another, it was opened a moment late; where more
    /// errors come when they have ended, it was closed then, and that is likely.
    ///
    /// ## References
    /// RFC 792; RFC 4443 §3.1; RFC 3264 §5.1, §8.3.1
    "H11" "media-port-closed" needs [ANSWERED BODY CLOSED], check
}

/// Media that arrived for longer than this had found an open port: an error comes back within the round-trip time.
const UNDERWAY: Duration = Duration::from_millis(500);
/// Media, or STUN, that go on for this long without another error find an open port: Linux, which sends the fewest,
/// sends one error a second to each peer (`icmp_ratelimit`).
const TAKEN_IN: Duration = Duration::from_millis(1500);
/// A BYE that follows a closed port within this time is of the same hang-up.
const HANGING_UP: Duration = Duration::from_secs(2);

/// A port of the call at which media do not arrive.
struct Unreachable<'a> {
    /// The message that named it.
    owner: &'a Heard,
    media: &'a Media,
    port: SocketAddr,
    error: DeadPort,
    /// For how long media had arrived there, if they had.
    after: Option<Duration>,
    /// The media that came from that very port after a first error, if others came only when these had ended.
    was_open: Option<&'a Stream>,
}

/// What the code of the error says.
enum Says {
    NothingListens,
    Filtered,
    NoWay,
}

fn check(case: &Case<'_>) -> Option<Finding> {
    let (invite, success) = case.answer()?;
    let request = case.call.request_of(invite)?;
    let elsewhere =
        case.answers().map(|(_, heard)| heard).chain(case.asked(&Method::Invite).map(|asked| asked.request));
    let found =
        [success, request].into_iter().chain(elsewhere).find_map(|owner| of_description(case, owner, success))?;
    let Unreachable { owner, media, port, error, after, was_open } = &found;
    let says = found.says();
    let (role, party) = match says {
        Says::NothingListens => (case.role_of_author(owner), *port),
        Says::Filtered | Says::NoWay => (Role::Network, (error.reporter, 0).into()),
    };
    // Of errors only the first and the last are known, and whether some came in between is not.
    let sure = if was_open.is_some() { Confidence::Likely } else { Confidence::Proven };
    let finding = Finding::of(&RULE, sure)
        .explains(success.message.status())
        .party(role, Some(party))
        .because(found.sentence(&says))
        .fix(found.cure(&says))
        .claim(owner, "sdp.media", media.line.clone(), "the port that was named for the media")
        .claim_icmp(error.place, error.what, "destination unreachable", says.code())
        .refuted("one-way-media", "the ICMP error says what happens to the media")
        .refuted("media-address-differs", "the media went to the address that was named");
    let is_during = after.is_some() || was_open.is_some();
    let finding = match was_open {
        Some(stream) => claim_packet(finding, stream.last, stream, "media from that very port"),
        None => finding,
    };
    Some(match (says, is_during) {
        (Says::NothingListens, false) => finding,
        (Says::NothingListens, true) => finding.titled("The port of the media was closed during the call"),
        (Says::Filtered, _) => finding.titled("A filter rejects the media"),
        (Says::NoWay, _) => finding.titled("The media do not reach the address that was agreed on"),
    })
}

impl Says {
    fn code(&self) -> &'static str {
        match self {
            Says::NothingListens => "nothing listens on this port",
            Says::Filtered => "a filter rejects it",
            Says::NoWay => "no way leads there",
        }
    }
}

impl Unreachable<'_> {
    fn says(&self) -> Says {
        match self.error.what.meaning() {
            Undelivered::PortUnreachable => Says::NothingListens,
            Undelivered::Prohibited => Says::Filtered,
            _ => Says::NoWay,
        }
    }

    fn sentence(&self, says: &Says) -> String {
        let Unreachable { owner, media, port, error, after, was_open } = self;
        let times = if error.count > 1 { format!(" ({} times)", error.count) } else { String::new() };
        let name = icmp_name(error.what);
        let meaning = match says {
            Says::NothingListens if after.is_some() => "nothing listens there any more",
            Says::NothingListens => "nothing listens there",
            Says::Filtered => "a filter rejects the packets",
            Says::NoWay => "it has no way to that address",
        };
        let (named, reporter) = (format!("{} named {port} for the {}", owner.path.source, media.kind), error.reporter);
        if let Some(stream) = was_open {
            return format!(
                "{named}, and media came from there for {}, so it was open. {reporter} answered media to it with ICMP \
                 {name}{times}, the last {} after the last packet from there, and no BYE came with it: nothing listens \
                 there any more.",
                length(stream.last.time.since(stream.first.time)),
                length(error.last.since(stream.last.time))
            );
        }
        match after {
            None => format!("{named}, and {reporter} answered media to it with ICMP {name}{times}: {meaning}."),
            Some(after) => format!(
                "{named}, and media arrived there for {}. Then {reporter} answered with ICMP {name}{times}, and no \
                 BYE came with it: {meaning}.",
                length(*after)
            ),
        }
    }

    fn cure(&self, says: &Says) -> String {
        let (port, reporter) = (self.port, self.error.reporter);
        match (says, self.after.is_some() || self.was_open.is_some()) {
            (Says::NothingListens, false) => {
                format!("Look at the media part and the local firewall of {}: why is {port} closed?", port.ip())
            }
            (Says::NothingListens, true) => format!(
                "Look on {} what happened then: a crash, a restart, or a hang-up whose BYE did not come this way.",
                port.ip()
            ),
            (Says::Filtered, _) => {
                format!(
                    "Let the filter at {reporter} pass UDP to {}, for the whole range of its media ports.",
                    port.ip()
                )
            }
            (Says::NoWay, _) => format!("Check the address {} and the route to it as {reporter} sees it.", port.ip()),
        }
    }
}

/// The first medium of a description whose port was reported closed while the call was up.
fn of_description<'a>(case: &Case<'a>, owner: &'a Heard, success: &Heard) -> Option<Unreachable<'a>> {
    let answered = success.place.time;
    let bye = case.first_bye().map(|bye| bye.request.place.time);
    let sdp = Sdp::of(&owner.message)?;
    sdp.media.iter().filter(|media| media.port != 0).find_map(|media| {
        let address: IpAddr = sdp.address_of(media).parse().ok()?;
        let port = SocketAddr::new(address, media.port);
        let until = bye.unwrap_or(case.call.until);
        let error = *case.surroundings.dead_port(port, answered, until)?;
        let named = answered.max(owner.place.time);
        let first = first_to(case, port, named);
        // Of media that are not RTP, and of a capture without them, nobody knows when they began.
        let is_late = error.place.time.since(first.unwrap_or(named)) > UNDERWAY;
        let after = first.map(|first| error.place.time.since(first)).filter(|after| *after > UNDERWAY);
        // Where the capture ends before a BYE can have come, nobody knows.
        let hangs_up = bye.unwrap_or(case.capture.until).since(error.place.time) <= HANGING_UP;
        // Who gives the call up as soon as it is answered closes its ports, or never opened them.
        let is_given_up = bye.is_some_and(|bye| bye.since(answered) <= HANGING_UP);
        let is_wanted = !has_left(case, owner, port, &error);
        let is_open = has_opened(case, port, &error) || goes_on(case, port, answered, until);
        let was_open = had_opened(case, port, &error);
        let ends_with_it =
            was_open.is_some_and(|stream| bye.unwrap_or(case.capture.until).since(stream.last.time) <= HANGING_UP);
        if is_given_up || !is_wanted || is_open || is_late && hangs_up || ends_with_it {
            return None;
        }
        // What a proxy passed on with the same body is not its own.
        let owner = if owner.message.is_request() { owner } else { case.as_written(owner) };
        Some(Unreachable { owner, media, port, error, after, was_open })
    })
}

/// True if the side that named a port asked for no media there when the error came, or soon after: what still comes
/// there was on its way (RFC 3264 §8.3.1), or is none of the media agreed on. Descriptions of one offer and answer on
/// several hops are one.
fn has_left(case: &Case<'_>, owner: &Heard, port: SocketAddr, closed: &DeadPort) -> bool {
    let soon = closed.place.time.plus(MOVING);
    let exchanges = case.call.transactions.iter().filter_map(|known| case.exchange_of(known));
    let described = exchanges.flat_map(|one| {
        let offered = (from_tag(one.offer), one.offer.message.cseq().map(|cseq| cseq.number));
        [(one.offer, one.offer_sdp), (one.answer, one.answer_sdp)]
            .map(|(by, sdp)| (one.offer.place, offered.clone(), by, sdp))
    });
    let is_author = |by: &Heard| by.message.call_id() == owner.message.call_id() && own_tag(by) == own_tag(owner);
    let own: Vec<_> = described.filter(|(since, _, by, _)| since.time <= soon && is_author(by)).collect();
    let Some((_, latest, ..)) = own.iter().max_by_key(|(since, ..)| *since) else { return false };
    !own.iter().any(|(_, offered, _, sdp)| offered == latest && takes_media(sdp, port))
}

/// True if a description asks for media at a port (RFC 3264 §5.1).
fn takes_media(sdp: &Sdp, port: SocketAddr) -> bool {
    sdp.media.iter().any(|media| {
        media.port == port.port()
            && sdp.address_of(media).parse() == Ok(port.ip())
            && !matches!(sdp.flow_of(media), "sendonly" | "inactive")
    })
}

/// When media first went to a port since it was named and the call answered, if the capture shows them.
fn first_to(case: &Case<'_>, port: SocketAddr, named: Timestamp) -> Option<Timestamp> {
    let streams = case.surroundings.media().anything_to(port);
    streams.map(|stream| stream.first.time.max(named)).min()
}

/// True if media went on coming from that port for long after the errors: it was opened a moment later than the first
/// packets came. A host that keeps it closed sends an error every second or so (RFC 1812 §4.3.2.8). Of a filter or
/// router on the way there, what comes from behind it tells nothing.
fn has_opened(case: &Case<'_>, port: SocketAddr, closed: &DeadPort) -> bool {
    closed.reporter == port.ip()
        && case.surroundings.media().from(port).any(|stream| {
            let after = stream.last.time.since(closed.place.time);
            stream.packets >= ENOUGH && stream.last.time > closed.place.time && closed.count < after.as_secs()
        })
}

/// The media that came from that port for a while after a first error, where errors came when they had ended: it was
/// opened a moment late, and closed before the other side knew of it.
fn had_opened<'a>(case: &Case<'a>, port: SocketAddr, closed: &DeadPort) -> Option<&'a Stream> {
    let is_own = closed.reporter == port.ip() && closed.what.meaning() == Undelivered::PortUnreachable;
    let streams = case.surroundings.media().from(port).filter(|stream| {
        let goes_on = stream.last.time.since(closed.place.time) >= TAKEN_IN;
        stream.packets >= ENOUGH && goes_on && stream.last.time < closed.last
    });
    streams.max_by_key(|stream| stream.last).filter(|_| is_own)
}

/// True if media or STUN went on to that port for a while after the last error, and drew no other. The port of RTCP
/// beside it takes its share of the errors that a host sends.
fn goes_on(case: &Case<'_>, port: SocketAddr, answered: Timestamp, until: Timestamp) -> bool {
    let beside = SocketAddr::new(port.ip(), port.port().saturating_add(1));
    let errors = [port, beside].into_iter().filter_map(|port| case.surroundings.last_dead(port, answered, until));
    let Some(error) = errors.max() else { return false };
    let media = case.surroundings.media();
    let checks = media.checks().iter().filter(|check| check.path.destination == port).map(|check| check.last.time);
    let streams = media.anything_to(port).map(|stream| stream.last.time);
    checks.chain(streams).map(|last| last.min(until)).any(|last| last > error && last.since(error) >= TAKEN_IN)
}
