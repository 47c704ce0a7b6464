//! Who made the response that failed a call, and on what ground that is said.
//!
//! A response is seen where it is passed on as well as where it is made (RFC 3261 §16.7). What tells both apart:
//! requests that went further, a hop limit that was used up (§16.3), a Record-Route that came in behind (§16.6), the
//! software that a hop-by-hop 100 names (§8.2.6.1), who signs a Warning (§20.43), registrations, how long the way there
//! takes, and what had failed just before. Each sign has its weight; where none decides, or two contradict each other,
//! that is said.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use crate::call::{Failure, Heard, Transaction};
use crate::capture::Place;
use crate::diagnosis::case::Case;
use crate::diagnosis::dialogs::to_tag;
use crate::diagnosis::finding::{Confidence, Finding};
use crate::diagnosis::platform::{Platform, own_name};
use crate::diagnosis::targets::address;
use crate::diagnosis::words::{is_private, length, list};
use crate::sip::{StatusCode, auth};
use crate::untrusted::Untrusted;

/// Round trips that are shorter than this say nothing: hosts beside each other are asked as fast.
const SHORTEST: Duration = Duration::from_millis(5);

/// Codes that say what a device or its user wants (RFC 3261 §21.4.24, §21.4.26, §21.6).
const OF_DEVICES: [u16; 6] = [486, 488, 600, 603, 606, 607];

/// Who made a response: the one who sent it, or somebody behind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum MadeBy {
    /// The sender itself.
    Sender,
    /// Somebody behind the sender, whom the capture does not show.
    Behind,
    /// The capture cannot tell.
    Unknown,
}

/// Where the response that failed a call came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    /// The response, where it was seen first.
    pub place: Place,
    /// Its code.
    pub status: StatusCode,
    /// Who sent it there.
    pub sender: SocketAddr,
    /// What it calls itself.
    pub agent: Option<Untrusted>,
    /// Who made it.
    pub made_by: MadeBy,
    /// How sure that is.
    pub confidence: Confidence,
    /// Why that is said.
    pub grounds: Vec<Untrusted>,
    /// What the caller got instead, if it was rewritten on the way.
    pub rewritten: Option<Rewritten>,
}

/// A response that was made out of another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rewritten {
    /// Where it was sent with another code.
    pub place: Place,
    /// That code.
    pub status: StatusCode,
    /// By whom.
    pub by: SocketAddr,
}

/// Where the response came from that failed this call. `None` if none did.
pub(crate) fn origin(case: &Case<'_>, cause: Option<&Finding>) -> Option<Origin> {
    let outer = case.outer_failure()?;
    let arose = decided_by(case, where_challenged(case, case.failure()?));
    let response = case.response(arose);
    let (made_by, confidence, mut grounds) = weighed(case, arose, response, cause);
    let is_told = warning(case, response).is_some_and(|(.., ground)| grounds.contains(&ground));
    if let Some(warning) = case.warnings(response).first().filter(|_| !is_told) {
        grounds.push(format!("its Warning {} is signed by {}", warning.code, warning.agent));
    }
    if let Some(location) = case.reasons(response).iter().find_map(|reason| reason.location.clone()) {
        grounds.push(format!("its Reason says where in the telephone network the call failed: {location} (RFC 8606)"));
    }
    let hunted = case.tried_after(arose);
    if let Some(next) = hunted {
        let (hop, server) = (next.request.path.source, next.request.path.destination);
        grounds.push(format!("after it {hop} tried {server} all the same, and told the caller what came of that"));
    }
    let is_rewritten = outer.status != arose.status && hunted.is_none();
    let rewritten = is_rewritten.then(|| first_rewritten(case, outer, arose)).flatten();
    let agent = case.agent(response);
    Some(Origin {
        place: response.place,
        status: arose.status,
        sender: response.path.source,
        agent: agent.map(Untrusted::from),
        made_by,
        confidence,
        grounds: grounds.into_iter().map(Untrusted::from).collect(),
        rewritten,
    })
}

/// The failure that somebody decided: a 487 that answers a CANCEL which nobody before asked for decides nothing. The
/// one who sent that CANCEL did, and told the side before it another code (RFC 3261 §9.1, §16.8).
fn decided_by<'a>(case: &Case<'a>, arose: &'a Failure) -> &'a Failure {
    let transaction = case.call.transaction(arose.transaction);
    let before = transaction.upstream.filter(|_| case.is_own_cancel(transaction));
    let told = before.and_then(|before| case.call.failures.iter().find(|failure| failure.transaction == before));
    told.filter(|told| told.status != arose.status).unwrap_or(arose)
}

/// A challenge on the hop on which its nonce is seen first: a proxy passes it on.
fn where_challenged<'a>(case: &Case<'a>, arose: &'a Failure) -> &'a Failure {
    let response = case.response(arose);
    let challenge = auth::challenges(&response.message).first().filter(|_| arose.status.is_challenge());
    let made = challenge.map(|challenge| case.challenger(response, challenge).id);
    let inner = made.and_then(|made| case.call.failures.iter().find(|failure| failure.response == made));
    inner.unwrap_or(arose)
}

/// What one sign says of who made a response, how sure, and why.
type Sign = (MadeBy, Confidence, String);

/// Weighs every sign: the surest one decides, and those that agree are told with it.
fn weighed(
    case: &Case<'_>,
    arose: &Failure,
    response: &Heard,
    cause: Option<&Finding>,
) -> (MadeBy, Confidence, Vec<String>) {
    let signs = [
        sent_on(case, arose, cause),
        hop_limit(case, arose),
        record_route(case, arose, response),
        warning(case, response),
        failed_behind(arose, cause),
        registered(case, arose, response),
        names(case, arose, response),
        at_once(case, arose, response),
    ];
    let mut signs: Vec<Sign> = signs.into_iter().flatten().collect();
    // Where two signs of one weight contradict each other, nothing is known.
    signs.sort_by_key(|(_, confidence, _)| *confidence);
    let decides = |sign: &&Sign| sign.1 <= Confidence::Likely;
    let Some((made_by, confidence)) = signs.first().filter(decides).map(|sign| (sign.0, sign.1)) else {
        let grounds = unknown(case, arose, response);
        let hints = signs.into_iter().map(|(.., ground)| ground);
        return (MadeBy::Unknown, Confidence::Possible, grounds.into_iter().chain(hints).collect());
    };
    let contradicts = |sign: &Sign| sign.0 != made_by && sign.1 == confidence;
    if signs.iter().any(contradicts) {
        let mut grounds: Vec<String> = signs.into_iter().map(|(.., ground)| ground).collect();
        grounds.push("which do not agree".into());
        return (MadeBy::Unknown, Confidence::Possible, grounds);
    }
    let grounds = signs.into_iter().filter(|sign| sign.0 == made_by).map(|(.., ground)| ground).collect();
    (made_by, confidence, grounds)
}

/// What is said where no sign decides.
fn unknown(case: &Case<'_>, arose: &Failure, response: &Heard) -> Vec<String> {
    let mut grounds = vec!["nothing is seen to go on from it".to_owned()];
    let transaction = case.call.transaction(arose.transaction);
    let rings = case.provisionals(transaction).find(|heard| heard.message.status().is_some_and(|s| s.get() > 100));
    if let Some((rings, (tag, own))) = rings.and_then(|rings| Some((rings, to_tag(rings).zip(to_tag(response))?))) {
        let status = rings.message.status().map_or(0, StatusCode::get);
        let words = match tag == own {
            true => "the same To tag, so the same party made both",
            false => "another To tag, so somebody else made it",
        };
        grounds.push(format!("its {status} has {words}"));
    }
    grounds
}

/// The request is seen to go on from the sender: what came back was another code, or nothing. Where it is proven that
/// the failure is made of that silence, so is who made it.
fn sent_on(case: &Case<'_>, arose: &Failure, cause: Option<&Finding>) -> Option<Sign> {
    let came = |one: &Transaction| match case.call.final_status_of(one) {
        Some(status) if case.is_own_cancel(one) => format!("{status} (which only answers its own CANCEL)"),
        Some(status) => status.to_string(),
        None if one.provisionals.is_empty() => "nothing".into(),
        None => "no final response".into(),
    };
    let codes: Vec<String> = case.call.downstream_of(arose.transaction).map(came).collect();
    let ground = format!("it had sent the request on, and got {} from there", list(&codes));
    // Long after a leg that is joined by a guess has failed, it may have got the code from another that is not joined.
    let is_long_after = case.call.downstream_of(arose.transaction).filter(|one| !case.is_own_cancel(one)).any(|one| {
        let mut failures = case.call.failures.iter().filter(|failure| failure.transaction == one.id);
        failures.any(|inner| !case.may_be_told_as(inner, arose))
    });
    let is_proven = |cause: &Finding| cause.rule == "timeout-behind-proxy" && cause.confidence == Confidence::Proven;
    let sure = match is_long_after {
        true => Confidence::Possible,
        false if cause.is_some_and(is_proven) => Confidence::Proven,
        false => Confidence::Likely,
    };
    (!codes.is_empty()).then_some((MadeBy::Sender, sure, ground))
}

/// A request that may not go on (RFC 3261 §16.3 item 3) was answered where it was.
fn hop_limit(case: &Case<'_>, arose: &Failure) -> Option<Sign> {
    let request = case.request(arose).filter(|_| arose.status.get() == 483)?;
    let is_used_up = request.message.header("Max-Forwards")?.trim() == "0";
    let ground = "the request came to it with Max-Forwards 0 and could not go further".to_owned();
    is_used_up.then_some((MadeBy::Sender, Confidence::Proven, ground))
}

/// A Record-Route that the request did not have yet was put in by a proxy (RFC 3261 §16.6 item 4), and comes back only
/// from behind it: in the response itself, or in a provisional one with the same To tag.
fn record_route(case: &Case<'_>, arose: &Failure, response: &Heard) -> Option<Sign> {
    let request = case.request(arose)?;
    let routes = |heard: &Heard| heard.message.headers("Record-Route").len();
    let known = routes(request);
    let tag = to_tag(response)?;
    let transaction = case.call.transaction(arose.transaction);
    let mut made_by_same = case.provisionals(transaction).filter(|heard| to_tag(heard).as_ref() == Some(&tag));
    let bearer = [response].into_iter().chain(made_by_same.by_ref()).find(|heard| routes(heard) > known)?;
    let status = bearer.message.status()?;
    let ground = match bearer.id == response.id {
        true => "it carries a Record-Route that the request did not have, so it came through a proxy".to_owned(),
        false => format!(
            "the {status} with the same To tag carries a Record-Route that the request did not have, so both came \
             through a proxy"
        ),
    };
    Some((MadeBy::Behind, Confidence::Proven, ground))
}

/// A Warning is signed by the host that made the response (RFC 3261 §20.43).
fn warning(case: &Case<'_>, response: &Heard) -> Option<Sign> {
    let warnings = case.warnings(response);
    let first = warnings.first()?;
    let agent: SocketAddr = match first.agent.parse::<IpAddr>() {
        Ok(address) => SocketAddr::new(address, 0),
        Err(_) => first.agent.parse().ok()?,
    };
    let sender = response.path.source.ip();
    // Behind a NAT the sender does not know the address that is seen here.
    if is_private(agent.ip()) != is_private(sender) {
        return None;
    }
    let is_sender = agent.ip() == sender;
    let made_by = if is_sender { MadeBy::Sender } else { MadeBy::Behind };
    let whose = if is_sender { "its own address" } else { "another address" };
    let ground = format!("its Warning {} is signed by {}, {whose}", first.code, first.agent);
    Some((made_by, Confidence::Likely, ground))
}

/// What explains the failure is that the sender did not reach its own next hop.
fn failed_behind(arose: &Failure, cause: Option<&Finding>) -> Option<Sign> {
    const BEHIND: [&str; 3] = ["connection-failed", "tls-handshake-failed", "dns-failed"];
    // After a redirect the next step is the client's.
    let is_redirect = (300..400).contains(&arose.status.get());
    let is_of_it = |cause: &&Finding| cause.status == Some(arose.status) && BEHIND.contains(&&*cause.rule);
    let cause = cause.filter(|cause| !is_redirect && is_of_it(cause))?;
    let ground = format!("its own next step had just failed ({})", cause.rule);
    Some((MadeBy::Sender, Confidence::Likely, ground))
}

/// The sender registered the very address that the request is for: it is the callee's device.
fn registered(case: &Case<'_>, arose: &Failure, response: &Heard) -> Option<Sign> {
    let host = address(case.target(arose)?)?;
    let source = response.path.source;
    let is_device = host == source.ip() && case.surroundings.registrations().came_from(source);
    let ground = "it registered with the address that the request is for, so it is the callee's device".to_owned();
    is_device.then_some((MadeBy::Sender, Confidence::Likely, ground))
}

/// A proxy leaves the Server of a response that it passes on; its own 100 bears its own (RFC 3261 §8.2.6.1).
fn names(case: &Case<'_>, arose: &Failure, response: &Heard) -> Option<Sign> {
    let (trying, maker) = (own_name(trying(case, arose)?)?, own_name(response)?);
    let is_proxy = matches!(Platform::read(&maker), Some(Platform::Kamailio | Platform::OpenSips));
    Some(match trying == maker {
        // A proxy that has no device of its own makes none of these unless its script was made to.
        true if is_proxy && OF_DEVICES.contains(&arose.status.get()) => return None,
        true => {
            let ground = "its own 100 names the same software".to_owned();
            (MadeBy::Sender, Confidence::Likely, ground)
        }
        false => {
            let ground = format!("its own 100 is from {trying}, and this response from {maker}");
            (MadeBy::Behind, Confidence::Likely, ground)
        }
    })
}

/// The response took hardly longer than the shortest way to the sender and back. That does not decide: who stands
/// beside the sender is asked in no time.
fn at_once(case: &Case<'_>, arose: &Failure, response: &Heard) -> Option<Sign> {
    let took = case.time_since_last_copy(case.request(arose)?, response);
    let way = case.shortest_round_trip(response)?;
    let is_at_once = way >= SHORTEST && took <= way.saturating_add(way / 5);
    let ground = format!(
        "it came after {}, hardly later than the shortest way there and back takes ({}), so nobody far behind was \
         asked",
        length(took),
        length(way)
    );
    is_at_once.then_some((MadeBy::Sender, Confidence::Possible, ground))
}

/// The hop-by-hop 100 of the transaction.
fn trying<'a>(case: &Case<'a>, arose: &Failure) -> Option<&'a Heard> {
    let transaction = case.call.transaction(arose.transaction);
    case.provisionals(transaction).find(|heard| heard.message.status().is_some_and(|status| status.get() == 100))
}

impl Case<'_> {
    /// How long a response took since the latest copy of its request before it.
    fn time_since_last_copy(&self, request: &Heard, response: &Heard) -> Duration {
        let before = request.repeats.iter().filter(|repeat| **repeat < response.place);
        let latest = before.copied().max().unwrap_or(request.place);
        response.place.time.since(latest.time)
    }

    /// The shortest time that anything made by the sender of a response itself took in this call: a 100, or a
    /// challenge.
    fn shortest_round_trip(&self, response: &Heard) -> Option<Duration> {
        let (sender, receiver) = (response.path.source, response.path.destination);
        let own = self.call.messages.iter().filter(|heard| {
            let is_own = heard.message.status().is_some_and(|status| matches!(status.get(), 100 | 407));
            is_own && heard.id != response.id && (heard.path.source, heard.path.destination) == (sender, receiver)
        });
        own.filter_map(|heard| {
            let request = self.call.request_of(self.call.transaction(heard.transaction))?;
            Some(self.time_since_last_copy(request, heard))
        })
        .min()
    }
}

/// The first response on the way to the caller that has another code.
fn first_rewritten(case: &Case<'_>, outer: &Failure, arose: &Failure) -> Option<Rewritten> {
    let mut at = case.call.transaction(arose.transaction).upstream;
    for _ in 0..32 {
        let id = at?;
        let failure = case.call.failures.iter().find(|failure| failure.transaction == id)?;
        if failure.status != arose.status || failure.response == outer.response {
            let heard = case.response(failure);
            return Some(Rewritten { place: heard.place, status: failure.status, by: heard.path.source });
        }
        at = case.call.transaction(id).upstream;
    }
    None
}
