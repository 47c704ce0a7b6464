//! Who was asked to leave a server alone, and until when.
//!
//! Knows what tells one client from another behind the same address. Deliberately does not know who keeps to it.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::call::key::call_key;
use crate::call::model::Arrival;
use crate::call::step::seconds;
use crate::capture::{Place, Timestamp};
use crate::sip::{HeaderName, Message, Method};

/// A server asked to be left alone for a while: a 503 with Retry-After (RFC 3261 §21.5.4).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct BackOff {
    /// The 503.
    pub place: Place,
    /// Until when.
    pub until: Timestamp,
    /// Whom it asked.
    pub asked: IpAddr,
    /// [`call_key`](crate::call::call_key) of the From URI, for a REGISTER: many phones may stand behind one address,
    /// and only the one that was asked has to wait. 0 for other requests, which one peer sends for many callers.
    pub of: u64,
    /// Its port, from which it had asked.
    #[serde(default)]
    pub port: u16,
    /// The [`call_key`](crate::call::call_key) of the From URI of any request.
    #[serde(default)]
    pub caller: u64,
    /// True if Retry-After holds nothing but its number, so that it can be cited by its field.
    pub is_plain: bool,
}

impl BackOff {
    /// What a response asks for; `None` if it is no 503, or names no time.
    pub(in crate::call) fn read(response: &Message<'_>, arrival: &Arrival) -> Option<BackOff> {
        response.status().filter(|status| status.get() == 503)?;
        let seconds = seconds(response, HeaderName::RetryAfter).filter(|seconds| *seconds > 0)?;
        let client = arrival.path.destination;
        Some(BackOff {
            place: arrival.place,
            until: arrival.place.time.plus(Duration::from_secs(u64::from(seconds))),
            asked: client.ip(),
            of: registering_of(response),
            port: client.port(),
            caller: caller_of(response),
            is_plain: response.header("Retry-After").is_some_and(|value| value == seconds.to_string()),
        })
    }

    /// True if it concerns who sends this request from there. Several clients may stand behind one address: another
    /// port with another caller is not the one that was asked.
    pub(super) fn concerns(&self, client: SocketAddr, request: &Message<'_>) -> bool {
        let is_same = || self.port == client.port() || self.caller == caller_of(request);
        self.asked == client.ip() && self.of == registering_of(request) && (self.of != 0 || is_same())
    }
}

/// [`BackOff::caller`] of a request, or of its response.
fn caller_of(message: &Message<'_>) -> u64 {
    call_key(message.from().map(|from| from.uri).unwrap_or_default().as_bytes())
}

/// [`BackOff::of`] of a request, or of its response.
fn registering_of(message: &Message<'_>) -> u64 {
    let is_register = message.cseq().is_some_and(|cseq| cseq.method == Method::Register);
    if is_register { caller_of(message) } else { 0 }
}
