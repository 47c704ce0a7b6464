//! A challenge that is answered under a Call-ID of its own.
//!
//! RFC 3261 §8.1.3.5 and §22.2 want the Call-ID kept when a request is sent again with credentials; some clients take a
//! new one. What tells that both are one attempt: the client, who calls whom, and credentials for a challenge that
//! nobody had answered, a moment after it.

use std::net::IpAddr;
use std::time::Duration;

use crate::call::model::Arrival;
use crate::call::tracker::Tracker;
use crate::call::tracker::retries::who;
use crate::call::transaction::Keys;
use crate::capture::Timestamp;
use crate::keyed::ByHash;
use crate::sip::{HeaderName, Message, Method, StatusCode, auth};

/// A call whose opening request was challenged.
#[derive(Debug, Clone, Copy)]
struct Challenged {
    index: u32,
    /// The number of the call that was at this place then.
    call: u32,
    at: Timestamp,
}

/// The last challenge to each client for each of its parties.
#[derive(Debug, Default)]
pub(super) struct Challenges {
    of: ByHash<Challenged>,
}

/// Challenges that are kept.
const MOST: usize = 4096;
/// A client shows its credentials this soon: nobody is asked for them.
const SOON: Duration = Duration::from_secs(5);

impl Tracker {
    /// A response to a request that opens a call or a registration.
    pub(super) fn note_challenge(&mut self, index: u32, message: &Message<'_>, keys: &Keys<'_>, arrival: &Arrival) {
        if !keys.status.is_some_and(StatusCode::is_challenge) {
            return;
        }
        let Some(call) = self.open_at(index).map(|open| open.log.number) else { return };
        let Some(key) = self.challenge_key(message, keys, arrival.path.destination.ip()) else { return };
        if self.challenges.of.len() >= MOST {
            self.challenges.of.clear();
        }
        self.challenges.of.insert(key, Challenged { index, call, at: arrival.place.time });
    }

    /// The open call that a request with a Call-ID of its own goes on with: it shows the first credentials for a
    /// challenge.
    pub(super) fn challenged_call(&self, message: &Message<'_>, keys: &Keys<'_>, arrival: &Arrival) -> Option<u32> {
        let shows_some = message.has_key(HeaderName::Authorization) || message.has_key(HeaderName::ProxyAuthorization);
        if !shows_some || self.challenges.of.is_empty() {
            return None;
        }
        let challenged = self.last_challenge(message, keys, arrival.path.source.ip(), arrival)?;
        let open = self.still_open(challenged.index, challenged.call)?;
        let shown = auth::credentials(message);
        let is_awaited = shown.iter().any(|shown| open.log.waits_for_credentials(&shown.nonce, &self.pool));
        is_awaited.then_some(challenged.index)
    }

    /// The same of a response with a Call-ID of its own: the request that showed the credentials was not captured.
    pub(super) fn challenged_call_of_response(
        &self,
        message: &Message<'_>,
        keys: &Keys<'_>,
        arrival: &Arrival,
    ) -> Option<u32> {
        if self.challenges.of.is_empty() || !matches!(keys.cseq.method, Method::Invite | Method::Register) {
            return None;
        }
        let challenged = self.last_challenge(message, keys, arrival.path.destination.ip(), arrival)?;
        let open = self.still_open(challenged.index, challenged.call)?;
        open.log.showed_no_credentials(&self.pool).then_some(challenged.index)
    }

    /// The challenge that a client got a moment ago for the same parties.
    fn last_challenge(
        &self,
        message: &Message<'_>,
        keys: &Keys<'_>,
        client: IpAddr,
        arrival: &Arrival,
    ) -> Option<Challenged> {
        let challenged = *self.challenges.of.get(&self.challenge_key(message, keys, client)?)?;
        (arrival.place.time.since(challenged.at) <= SOON).then_some(challenged)
    }

    fn challenge_key(&self, message: &Message<'_>, keys: &Keys<'_>, client: IpAddr) -> Option<u64> {
        Some(self.hasher.hash_one((who(&self.hasher, message, client)?, keys.cseq.method.name())))
    }
}
