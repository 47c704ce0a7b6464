//! Who made the response that failed a call, and on what ground that is said.
//!
//! A response is seen where it is passed on as well as where it is made (RFC 3261 §16.7). What tells both apart: requests
//! that went further, the To tag (§8.2.6.2), the software that a hop-by-hop 100 names (§8.2.6.1), and Warning and Reason,
//! which may name a host or a place. Where none of it decides, that is said.

use std::net::SocketAddr;

use crate::call::{Failure, Heard};
use crate::capture::Place;
use crate::diagnosis::case::Case;
use crate::diagnosis::dialogs::to_tag;
use crate::sip::StatusCode;
use crate::untrusted::Untrusted;

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
pub(crate) fn origin(case: &Case<'_>) -> Option<Origin> {
    let (outer, arose) = (case.outer_failure()?, case.failure()?);
    let response = case.response(arose);
    let (made_by, mut grounds) = weighed(case, arose, response);
    let host = response.path.source.ip();
    for warning in case.warnings(response).iter().take(2) {
        grounds.push(format!("its Warning {} is signed by {}", warning.code, warning.agent));
    }
    if let Some(location) = case.reasons(response).iter().find_map(|reason| reason.location.clone()) {
        grounds.push(format!("its Reason says where in the telephone network the call failed: {location} (RFC 8606)"));
    }
    let rewritten = (outer.status != arose.status).then(|| first_rewritten(case, outer, arose)).flatten();
    let named = response.message.header("Server").or_else(|| response.message.header("User-Agent"));
    let agent = named.map(|name| name.into_owned()).or_else(|| case.software(host).map(str::to_owned));
    Some(Origin {
        place: response.place,
        status: arose.status,
        sender: response.path.source,
        agent: agent.map(Untrusted::from),
        made_by,
        grounds: grounds.into_iter().map(Untrusted::from).collect(),
        rewritten,
    })
}

fn weighed(case: &Case<'_>, arose: &Failure, response: &Heard) -> (MadeBy, Vec<String>) {
    let transaction = case.call.transaction(arose.transaction);
    let branches: Vec<_> = case.call.downstream_of(arose.transaction).collect();
    if !branches.is_empty() {
        let codes: Vec<String> = branches
            .iter()
            .map(|one| case.call.final_status_of(one).map_or("nothing".into(), |s| s.to_string()))
            .collect();
        let ground =
            format!("it had sent the request on, and got {} from there", crate::diagnosis::words::list(&codes));
        return (MadeBy::Sender, vec![ground]);
    }
    let mut grounds = vec!["nothing is seen to go on from it".to_owned()];
    let own_tag = to_tag(response);
    let rings = case.provisionals(transaction).find(|heard| heard.message.status().is_some_and(|s| s.get() > 100));
    if let (Some(rings), Some(own)) = (rings, &own_tag)
        && let Some(tag) = to_tag(rings)
    {
        let (status, same) = (rings.message.status().map_or(0, StatusCode::get), tag == *own);
        let words =
            if same { "the same: who sent that made this too" } else { "another: it was made by somebody else" };
        grounds.push(format!("the To tag of the {status} before it is {words}"));
    }
    let name = |heard: &Heard| {
        let named = heard.message.header("Server").or_else(|| heard.message.header("User-Agent"));
        named.map(|name| name.into_owned())
    };
    let trying = case.provisionals(transaction).find(|heard| heard.message.status().is_some_and(|s| s.get() == 100));
    let made_by = match (trying.and_then(name), name(response)) {
        (Some(next_hop), Some(maker)) if next_hop != maker => {
            grounds.push(format!("its own 100 is from {next_hop}, and this response from {maker}"));
            MadeBy::Behind
        }
        (Some(_), Some(_)) => {
            grounds.push("its own 100 names the same software".into());
            MadeBy::Unknown
        }
        _ => MadeBy::Unknown,
    };
    (made_by, grounds)
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
