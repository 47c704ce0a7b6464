use std::net::SocketAddr;
use std::time::Duration;

use crate::call::Check;
use crate::capture::Place;
use crate::diagnosis::media::{Ear, Talk, candidates, ends};
use crate::diagnosis::rule::rule;
use crate::diagnosis::{Case, Confidence, Finding, Role, Severity};
use crate::net::Stun;
use crate::sip::sdp::Sdp;

rule! {
    /// ICE, STUN or TURN failed.
    ///
    /// ## What it says
    /// The two sides could not find a way for their media, or a TURN server refused to relay them.
    ///
    /// ## Why it happens
    /// Both think that they lead (role conflict), the credentials for TURN are wrong or have run out, an allocation has
    /// lapsed, or no pair of addresses lets packets through.
    ///
    /// ## Evidence
    /// A STUN error response between the media addresses of the call or of their hosts, after which neither that
    /// request nor the check of another pair succeeds, and no media go on both ways; or connectivity checks without any
    /// response, in a call that has no media both ways and names no relay.
    ///
    /// ## How to fix
    /// 487: let who gets it take the other role and check again. 401 to a check: compare a=ice-pwd of both sides. 401,
    /// 438 or 441 of a TURN server: renew the credentials. 437: allocate anew. No response: add a TURN server that both
    /// can reach.
    ///
    /// ## When it would be wrong
    /// A first 401 of a TURN server asks for credentials and is normal; so are checks of pairs that cannot work, if
    /// another pair does. A 487 is normal too: it is told, as likely, only where the call goes on and no check succeeds
    /// after it.
    ///
    /// ## References
    /// RFC 8445 §7.2.5.1, §7.3.1.1; RFC 8489 §14.8; RFC 8656 §5
    "H10" "ice-failed" needs [BODY CHECKS], check
}

/// Checks without an answer that show that a pair does not work.
const ENOUGH: u64 = 3;
/// Both sides took the same role: who gets it takes the other one and checks again (RFC 8445 §7.2.5.1).
const CONFLICT: u16 = 487;
/// Who checks again does so within this time: checks wait their turn, some 50 ms each.
const TURN: Duration = Duration::from_secs(2);
/// A challenge, and a nonce to be renewed: normal steps if they succeed afterwards.
const ASKS: [u16; 2] = [401, 438];

fn check(case: &Case<'_>) -> Option<Finding> {
    let of_call: Vec<&Check> = checks(case);
    let talk = case.talk();
    let refused = of_call.iter().find_map(|check| {
        let is_left =
            |(code, _, place): &&(u16, u16, Place)| !is_mended(case, &of_call, check, *code, *place, talk.as_ref());
        let (code, method, place) = check.errors.iter().find(is_left)?;
        Some((*check, *code, *method, *place))
    });
    if let Some((check, code, method, place)) = refused {
        if code == CONFLICT && method == Stun::BINDING {
            return of_conflict(case, check, place);
        }
        return Some(of_refusal(check, code, method, place));
    }
    let silent = of_call.iter().find(|check| check.requests >= ENOUGH && check.failures == 0)?;
    let flows = talk.as_ref().is_some_and(|talk: &Talk<'_>| talk.caller.packets() > 0 && talk.callee.packets() > 0);
    let candidates: Vec<&str> =
        descriptions(case).flat_map(|sdp| &sdp.media).flat_map(|media| media.attribute("candidate")).collect();
    // What a relay carries to or from its client is no RTP to an address of the call, and may go over TLS (RFC 8656
    // §3.1).
    let may_be_relayed = candidates.iter().any(|value| value.contains("typ relay"));
    let uses_ice = !candidates.is_empty() && !may_be_relayed;
    let any_success = of_call.iter().any(|check| check.successes > 0);
    if flows || any_success || !uses_ice {
        return None;
    }
    Some(
        Finding::of(&RULE, Confidence::Likely)
            .severity(Severity::Warning)
            .party(Role::Network, Some(silent.path.destination))
            .because(format!(
                "None of the {} connectivity checks from {} to {} was answered, nor any other of this call: no way \
                 was found for the media.",
                silent.requests, silent.path.source, silent.path.destination
            ))
            .fix("Give both sides a TURN server that they can reach; look at the firewalls between them.")
            .claim_at(silent.first, "stun.type.method", "0x0001", "the first connectivity check")
            .claim_absent(silent.last, "any STUN response", "none of the checks was answered"),
    )
}

/// A role conflict that nothing repaired. One 487 alone is a normal step: what failed is the check that had to follow.
fn of_conflict(case: &Case<'_>, check: &Check, place: Place) -> Option<Finding> {
    let (source, destination) = (check.path.source, check.path.destination);
    if case.tail(place) < TURN || case.call.ended().since(place.time) < TURN {
        return None;
    }
    let is_tried = check.last > place;
    let after = match is_tried {
        true => "checked again, and no check of it succeeded",
        false => "did not check again in the other role, as it has to",
    };
    let finding = Finding::of(&RULE, Confidence::Likely)
        .severity(Severity::Warning)
        .party(Role::Uac, Some(source))
        .because(format!(
            "{destination} answered a connectivity check of {source} with the STUN error {CONFLICT}: both sides had \
             taken the same role (role conflict). {source} {after}."
        ))
        .fix(format!(
            "Update the ICE software of {}: after a {CONFLICT} it has to take the other role, controlling or \
             controlled, and check again (RFC 8445 §7.2.5.1).",
            source.ip()
        ))
        .fix(
            "Look for a server between the two that turns offer and answer round: then both take themselves for who \
             offered.",
        )
        .claim_at(place, "stun.att.error", (CONFLICT % 100).to_string(), format!("the number of the error {CONFLICT}"));
    Some(match is_tried {
        true => finding.claim_at(
            check.last,
            "stun.type.method",
            "0x0001",
            "the last check of it, which did not succeed either",
        ),
        false => {
            finding.claim_absent(place, format!("a check from {source} to {destination}"), "until the end of the call")
        }
    })
}

/// A server or the other side refused a request, and nothing made up for it.
fn of_refusal(check: &Check, code: u16, method: u16, place: Place) -> Finding {
    let meaning = match code {
        401 if method == Stun::BINDING => "its password for ICE is not the one that the other side goes by",
        401 | 438 | 441 => "the credentials are wrong, or have run out",
        437 => "the allocation does not exist any more",
        486 => "this user name has as many allocations as it may",
        508 => "the server has no room for one more allocation",
        403 => "the server forbids it",
        _ => "the request was refused",
    };
    let kind = if method == Stun::BINDING { "a connectivity check" } else { "a request to a TURN server" };
    let finding = Finding::of(&RULE, Confidence::Proven).severity(Severity::Warning);
    let finding = match code {
        486 | 508 => finding.party(Role::Network, Some(check.path.destination)),
        _ => finding.party(Role::Uac, Some(check.path.source)),
    };
    finding
        .because(format!(
            "{} answered {kind} of {} with the STUN error {code}: {meaning}.",
            check.path.destination, check.path.source
        ))
        .fix(match code {
            401 if method == Stun::BINDING => {
                "Compare a=ice-ufrag and a=ice-pwd as each side sent them with what the other side got: a box on the \
                 way may change them."
            }
            401 | 438 | 441 => "Give the client valid credentials for the TURN server, and renew them in time.",
            486 => {
                "Raise the number of allocations that the TURN server gives to one user, and look for those that are \
                 not ended."
            }
            508 => "Give the TURN server more ports, or spread its clients over several.",
            _ => "Look at the log of the server for this request.",
        })
        .claim_at(place, "stun.att.error", (code % 100).to_string(), format!("the number of the error {code}"))
}

/// True if an error did no harm: the request succeeded afterwards, as after a change of the role (RFC 8445 §7.2.5.1),
/// another pair worked, or the media went on.
fn is_mended(case: &Case<'_>, all: &[&Check], check: &Check, code: u16, place: Place, talk: Option<&Talk<'_>>) -> bool {
    let asks = ASKS.contains(&code) && check.successes > 0;
    let succeeded = check.last_success.is_some_and(|success| success > place);
    let of_pair = |one: &&Check| is_named(case, one.path.destination);
    let is_pair = of_pair(&check);
    let worked = all
        .iter()
        .filter(|one| of_pair(one))
        .filter_map(|one| one.last_success)
        .any(|success| !is_pair || success > place);
    let goes_on = |ear: &Ear<'_>| ear.last().is_some_and(|stream| stream.last > place);
    asks || succeeded || worked || talk.is_some_and(|talk| goes_on(&talk.caller) && goes_on(&talk.callee))
}

/// True if a description names this address, as its own or as a candidate: then STUN to it checks a pair.
fn is_named(case: &Case<'_>, address: SocketAddr) -> bool {
    descriptions(case).any(|sdp| ends(sdp).contains(&address) || candidates(sdp).contains(&address))
}

fn descriptions<'a>(case: &Case<'a>) -> impl Iterator<Item = &'a Sdp> {
    case.call.messages.iter().filter_map(|heard| Sdp::of(&heard.message))
}

/// STUN between the hosts of the call's media, while the call lasted.
fn checks<'a>(case: &Case<'a>) -> Vec<&'a Check> {
    let all = case.surroundings.media().checks();
    if all.is_empty() {
        return Vec::new();
    }
    let mut hosts: Vec<std::net::IpAddr> = Vec::new();
    for sdp in descriptions(case) {
        hosts.extend(sdp.media.iter().filter_map(|media| sdp.address_of(media).parse::<std::net::IpAddr>().ok()));
        let candidates = sdp.media.iter().flat_map(|media| media.attribute("candidate"));
        hosts.extend(
            candidates.filter_map(|value| value.split_ascii_whitespace().nth(4)?.parse::<std::net::IpAddr>().ok()),
        );
    }
    let (from, to) = (case.call.started(), case.call.ended());
    all.iter()
        .filter(|check| hosts.contains(&check.path.source.ip()) && check.first.time <= to && from <= check.last.time)
        .collect()
}
