//! What clients showed and servers accepted: for telling what is normal on a hop from what is not.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use crate::call::model::{Call, Transaction};
use crate::call::surroundings::Seen;
use crate::capture::Timestamp;
use crate::sip::auth::credentials;
use crate::sip::{HeaderName, Message, StatusCode, Uri};

/// What clients showed and servers accepted in the whole capture. Mergeable, like the surroundings it is a part of.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Accepted {
    /// When a client showed credentials, by its address and its From URI.
    #[serde(with = "as_pairs")]
    credentials: BTreeMap<(IpAddr, String), Seen>,
    /// Servers that accepted a digest whose URI was not the Request-URI, and the client's address.
    other_digest_uris: BTreeSet<(IpAddr, IpAddr)>,
    /// The hosts of Request-URIs that each server accepted.
    hosts: BTreeMap<IpAddr, BTreeSet<String>>,
}

impl Accepted {
    /// Entries that are kept of each kind.
    const MOST: usize = 20_000;
    /// Hosts that are kept of one server.
    const MOST_HOSTS: usize = 64;
    /// Letters of a URI or host that are kept.
    const LONGEST: usize = 200;

    /// True if a client showed credentials for this From URI in this span, or closer to it than [`Seen::CLOSE`].
    pub fn showed_credentials(&self, client: IpAddr, from: &str, start: Timestamp, end: Timestamp) -> bool {
        let key = (client, from.chars().take(Accepted::LONGEST).collect());
        self.credentials.get(&key).is_some_and(|seen| seen.within(start, end))
    }

    /// True if a server accepted a digest of this client whose URI was not the Request-URI.
    pub fn has_other_digest_uri(&self, server: IpAddr, client: IpAddr) -> bool {
        self.other_digest_uris.contains(&(server, client))
    }

    /// The hosts of Request-URIs that a server accepted, in order, in lower case.
    pub fn hosts(&self, server: IpAddr) -> impl Iterator<Item = &str> {
        self.hosts.get(&server).into_iter().flatten().map(String::as_str)
    }

    /// Notes that a client showed credentials for this From URI.
    pub fn note_credentials(&mut self, client: IpAddr, from: &str, time: Timestamp) {
        let key = (client, from.chars().take(Accepted::LONGEST).collect());
        if let Some(seen) = self.credentials.get_mut(&key) {
            return seen.note(time);
        }
        if self.credentials.len() < Accepted::MOST {
            self.credentials.entry(key).or_default().note(time);
        }
    }

    /// Notes that a server accepted a digest whose URI was not the Request-URI.
    pub fn note_other_digest_uri(&mut self, server: IpAddr, client: IpAddr) {
        if self.other_digest_uris.len() < Accepted::MOST {
            self.other_digest_uris.insert((server, client));
        }
    }

    /// Notes that a server accepted a request to this host.
    pub fn note_host(&mut self, server: IpAddr, host: &str) {
        let is_full = |known: &BTreeSet<String>| known.contains(host) || known.len() >= Accepted::MOST_HOSTS;
        let known = self.hosts.get(&server);
        if known.is_some_and(is_full) || self.hosts.len() >= Accepted::MOST || host.len() > Accepted::LONGEST {
            return;
        }
        self.hosts.entry(server).or_default().insert(host.to_owned());
    }

    /// Learns from a request that carries credentials.
    pub(crate) fn learn_request(&mut self, message: &Message<'_>, client: IpAddr, time: Timestamp) {
        if !message.is_request() || !has_credentials(message) {
            return;
        }
        let from = message.from().map(|from| from.uri).unwrap_or_default();
        self.note_credentials(client, &from, time);
    }

    /// Learns from a call that has ended.
    pub(crate) fn learn_call(&mut self, call: &Call) {
        for transaction in call.transactions.iter().filter(|transaction| !transaction.in_dialog) {
            self.learn_transaction(call, transaction);
        }
    }

    fn learn_transaction(&mut self, call: &Call, transaction: &Transaction) {
        let status = |id| call.message(id).message.status();
        let rings = transaction.provisionals.iter().any(|id| status(*id).is_some_and(|status| status.get() > 100));
        let succeeds = transaction.finals.iter().any(|id| status(*id).is_some_and(StatusCode::is_success));
        if !rings && !succeeds {
            return;
        }
        let Some(request) = call.request_of(transaction) else { return };
        let (client, server) = (transaction.path.source.ip(), transaction.path.destination.ip());
        let uri = Uri::read(&request.message.request_uri().unwrap_or_default());
        self.note_host(server, &uri.host.to_ascii_lowercase());
        if !has_credentials(&request.message) {
            return;
        }
        let is_other = |uri_of_digest: &str| !Uri::read(uri_of_digest).is_same_target(&uri);
        if credentials(&request.message).iter().any(|shown| is_other(&shown.uri)) {
            self.note_other_digest_uri(server, client);
        }
    }

    /// Puts together what two readers have seen.
    pub(crate) fn merge(&mut self, other: &Accepted) {
        for (key, seen) in &other.credentials {
            self.credentials.entry(key.clone()).or_default().merge(seen);
        }
        self.other_digest_uris.extend(&other.other_digest_uris);
        for (server, hosts) in &other.hosts {
            self.hosts.entry(*server).or_default().extend(hosts.iter().cloned());
        }
    }
}

fn has_credentials(message: &Message<'_>) -> bool {
    let has = |name| message.header_bytes(name).is_some();
    has(HeaderName::Authorization) || has(HeaderName::ProxyAuthorization)
}

/// Maps with keys of two parts, as lists: JSON has text keys only.
mod as_pairs {
    use std::collections::BTreeMap;
    use std::net::IpAddr;

    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    use super::Seen;

    type Shown = BTreeMap<(IpAddr, String), Seen>;

    pub(super) fn serialize<S: Serializer>(shown: &Shown, serializer: S) -> Result<S::Ok, S::Error> {
        shown.iter().collect::<Vec<_>>().serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Shown, D::Error> {
        Ok(Vec::<((IpAddr, String), Seen)>::deserialize(deserializer)?.into_iter().collect())
    }
}
