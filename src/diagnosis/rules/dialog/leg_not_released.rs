use std::time::Duration;

use crate::call::timer::OVERDUE;
use crate::call::{Heard, Leg, LinkedBy, Stream, Transaction};
use crate::diagnosis::media::{claim_packet, ends};
use crate::diagnosis::rule::rule;
use crate::diagnosis::words::{capture_at, length};
use crate::diagnosis::{Asked, Case, Confidence, Finding, Role, Severity};
use crate::sip::sdp::Sdp;
use crate::sip::{HeaderName, Method};

rule! {
    /// One leg of the call ended, and the system between the legs left the other one standing.
    ///
    /// ## What it says
    /// One party hung up. The PBX or SBC that joins the two legs took its BYE and sent none on the other leg: the party
    /// there stays in a call with nobody, which holds a channel and may be billed.
    ///
    /// ## Why it happens
    /// The system lost the bond between its two channels: a fault of its software, a dial plan that goes on after the
    /// hangup, or a failover in the middle of the call.
    ///
    /// ## Evidence
    /// Two legs that carry the same key, each answered and acknowledged; a BYE on one that the system accepted; and on
    /// the other nothing of the system for 64·T1. With media in the capture: nothing is sent to the party any more, and
    /// it goes on sending.
    ///
    /// ## How to fix
    /// End the channel by hand, and look in the log of the system for what it did with it after the BYE. Session timers
    /// or a check of media activity end such legs.
    ///
    /// ## When it would be wrong
    /// The system may have parked the party, or joined it to another call, by means that no message shows. The BYE may
    /// have gone another way than past the capture. Without media the finding is only possible for that.
    ///
    /// ## References
    /// RFC 3261 §15; RFC 4028 §10
    "C22" "leg-not-released" needs [BYE ANSWERED SEVERAL], check
}

/// Media that are underway when a leg ends, or that a system sends a little longer, tell nothing.
const UNDERWAY: Duration = Duration::from_secs(5);

fn check(case: &Case<'_>) -> Option<Finding> {
    let Standing { bye, taken, left, system: role } = standing(case)?;
    let (opening, answer) = (left.request, left.success);
    // Who sent the INVITE and who answered it, each with the message that says where it hears.
    let (client, server) = ((answer.path.destination, opening), (answer.path.source, answer));
    let (leg, (system, of_system), (party, of_party)) = match role {
        Role::Uac => ("callee's", client, server),
        _ => ("caller's", server, client),
    };
    let (to_party, by_party) = (last_to(case, bye, of_party), last_to(case, bye, of_system));
    if to_party.is_some_and(|stream| goes_on_after(bye, stream)) {
        return None; // It hears something still: music, or another party.
    }
    let sends_in_vain = by_party.filter(|stream| goes_on_after(bye, stream));
    if by_party.is_some() && sends_in_vain.is_none() {
        return None; // It stopped as well: somebody told it, past the capture.
    }
    let confidence = match (to_party, sends_in_vain) {
        (Some(_), Some(_)) => Confidence::Likely,
        _ => Confidence::Possible,
    };
    let hung_up = bye.path.source;
    let goes_on = match sends_in_vain {
        Some(stream) => {
            format!(", and it went on sending media for {}", length(stream.last.time.since(bye.place.time)))
        }
        None => String::new(),
    };
    let after = length(case.tail(bye.place));
    let finding = Finding::of(&RULE, confidence)
        .severity(Severity::Warning)
        .party(role, Some(system))
        .because(format!(
            "{hung_up} hung up, and {} took its BYE and sent no request on the {leg} leg in the {after} that follow: \
             for {party} the call is still up{goes_on}.",
            system.ip()
        ))
        .fix(format!(
            "Look at {} whether a channel to {party} is still up, and end it; its log tells why it stayed.",
            system.ip()
        ))
        .fix("Let session timers (RFC 4028) or a check of media activity end legs that were forgotten.")
        .next_capture(capture_at(system.ip(), answer.path))
        .claim_method(bye, "one party hangs up")
        .claim_status(taken, "the system takes that")
        .claim_status(answer, "the other leg was answered")
        .claim_absent(bye.place, "a request of the system on the other leg", format!("the capture goes on for {after}"))
        .refuted("bye-unanswered", "the BYE was answered");
    Some(match sends_in_vain {
        Some(stream) => claim_packet(finding, stream.last, stream, "the party on it still sends"),
        None => finding,
    })
}

/// A leg that is left standing.
struct Standing<'a> {
    /// The BYE on the other leg.
    bye: &'a Heard,
    /// The 2xx with which the system took it.
    taken: &'a Heard,
    left: Answered<'a>,
    /// As what the system between the legs stands on this one.
    system: Role,
}

/// An INVITE that opened a leg and was answered.
#[derive(Clone, Copy)]
struct Answered<'a> {
    leg: &'a Leg,
    invite: &'a Transaction,
    request: &'a Heard,
    success: &'a Heard,
}

/// The leg that is left standing, if one is. Where the call was passed to somebody, or anything else was begun in it,
/// nothing tells what the leg is used for.
fn standing<'a>(case: &Case<'a>) -> Option<Standing<'a>> {
    let call = case.call;
    let is_passed_on = call.messages.iter().any(|heard| heard.message.has_key(HeaderName::Replaces))
        || call.transactions.iter().any(|transaction| transaction.method == Method::Refer);
    if is_passed_on {
        return None;
    }
    let answered: Vec<Answered<'a>> = case
        .answers()
        .filter(|(invite, _)| !invite.in_dialog)
        .filter_map(|(invite, success)| {
            let request = call.request_of(invite)?;
            Some(Answered { leg: call.leg(invite.leg), invite, request, success })
        })
        .collect();
    let inner_legs = answered.iter().filter(|inner| is_joined_by_key(inner.leg));
    let pairs = inner_legs.flat_map(|inner| {
        let outer = answered.iter().filter(|outer| {
            outer.leg.call_id != inner.leg.call_id
                && outer.invite.path.destination.ip() == inner.invite.path.source.ip()
        });
        outer.map(move |outer| (outer, inner))
    });
    pairs
        .flat_map(|(outer, inner)| [(outer, inner, Role::Uac), (inner, outer, Role::Uas)])
        .find_map(|(ended, left, system)| left_standing(case, ended, left, system))
}

fn left_standing<'a>(case: &Case<'a>, ended: &Answered<'a>, left: &Answered<'a>, role: Role) -> Option<Standing<'a>> {
    let system = match role {
        Role::Uac => ended.invite.path.destination.ip(),
        _ => ended.invite.path.source.ip(),
    };
    let to_system = |bye: &Asked<'a>| {
        bye.request.message.call_id() == &*ended.leg.call_id && bye.request.path.destination.ip() == system
    };
    let is_success = |heard: &&Heard| heard.message.status().is_some_and(|status| status.is_success());
    let (bye, taken) = case
        .asked(&Method::Bye)
        .filter(to_system)
        .find_map(|bye| Some((bye.request, case.finals(bye.transaction).find(is_success)?)))?;
    let is_on_leg = |heard: &&Heard| heard.message.call_id() == &*left.leg.call_id;
    let is_unseen_on_leg = |bye: &Transaction| case.call.leg(bye.leg).call_id == left.leg.call_id;
    let was_released = || {
        case.asked(&Method::Bye).map(|bye| bye.request).any(|bye| is_on_leg(&bye))
            || case.call.unseen(&Method::Bye).any(is_unseen_on_leg)
    };
    let was_used = || {
        let later = case.call.messages.iter().filter(|heard| heard.place > bye.place && heard.message.is_request());
        later.filter(is_on_leg).any(|heard| heard.path.source.ip() == system)
    };
    let goes_elsewhere = || {
        let later = case.call.transactions.iter().filter(|transaction| transaction.is_initial_invite());
        later.filter_map(|invite| case.call.request_of(invite)).any(|invite| invite.place > left.success.place)
    };
    // What does not pass the capture cannot be missed in it: the ACK did.
    let is_seen = case.acks_to(left.success).next().is_some();
    let is_left = is_seen && case.tail(bye.place) >= OVERDUE && !was_released() && !was_used() && !goes_elsewhere();
    is_left.then_some(Standing { bye, taken, left: *left, system: role })
}

/// True for a leg that a key of its own messages joins to the call: not for a guess, and not where the caller itself
/// went on.
fn is_joined_by_key(leg: &Leg) -> bool {
    match &leg.linked_by {
        Some(LinkedBy::NumberAndTime | LinkedBy::Challenge | LinkedBy::Redirect) | None => false,
        Some(LinkedBy::SessionId | LinkedBy::Header(_) | LinkedBy::ChargingVector | LinkedBy::SdpOrigin) => true,
    }
}

/// The last stream of this call to where a message asks for audio.
fn last_to<'a>(case: &Case<'a>, bye: &Heard, described: &Heard) -> Option<&'a Stream> {
    let media = case.surroundings.media();
    let ends = Sdp::of(&described.message).map(ends).unwrap_or_default();
    let streams = ends.into_iter().flat_map(|end| media.to(end));
    // Ports are used again: what began later is of another call.
    streams.filter(|stream| stream.first.time <= bye.place.time).max_by_key(|stream| stream.last)
}

fn goes_on_after(bye: &Heard, stream: &Stream) -> bool {
    stream.last.time > bye.place.time.plus(UNDERWAY)
}
