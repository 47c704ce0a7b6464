//! What clients showed and servers accepted: for telling what is normal on a hop from what is not.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};

use serde::{Deserialize, Serialize};

use crate::call::key::call_key;
use crate::call::model::{Call, Transaction};
use crate::call::neighbours::add;
use crate::call::surroundings::Seen;
use crate::capture::{Place, Timestamp};
use crate::keyed::Table;
use crate::net::Path;
use crate::sip::auth::{Credentials, credentials};
use crate::sip::{HeaderName, Message, StatusCode, Uri, uri_of};

/// What clients showed and servers accepted in the whole capture. Mergeable, like the surroundings it is a part of.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Accepted {
    /// When a client showed credentials, by the [`call_key`](crate::call::call_key) of its From URI and its address:
    /// numbers are compared sooner than addresses.
    #[serde(with = "as_pairs")]
    credentials: Table<(u64, IpAddr), Seen>,
    /// Servers that accepted a digest whose URI was not the Request-URI, and the client's address.
    other_digest_uris: BTreeSet<(IpAddr, IpAddr)>,
    /// The hosts of Request-URIs that each server accepted, in order. Nearly always it is one: a set would take ten
    /// times the room.
    hosts: BTreeMap<IpAddr, Vec<String>>,
    /// The servers that accepted requests of a client to one host, in order: by the client's address and the host.
    #[serde(with = "as_pairs")]
    servers: BTreeMap<(IpAddr, String), Vec<SocketAddr>>,
    /// The highest count with which a server accepted a nonce of a user of a client: by the
    /// [`call_key`](crate::call::call_key) of nonce, realm, user and the client's address, and by the server's.
    #[serde(with = "as_pairs")]
    nonce_counts: BTreeMap<(u64, IpAddr), NonceUse>,
}

/// The use of a nonce with its highest count that a server accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct NonceUse {
    /// The count.
    pub count: u32,
    /// The request.
    pub place: Place,
    /// The port that it came from: behind one address may stand several clients.
    pub port: u16,
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
        let key = (call_key(from.as_bytes()), client);
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

    /// The servers that accepted requests of a client to this host, in order.
    pub fn servers(&self, client: IpAddr, host: &str) -> impl Iterator<Item = SocketAddr> {
        let known = self.servers.get(&(client, host.to_ascii_lowercase()));
        known.into_iter().flatten().copied()
    }

    /// Notes that a server accepted a request of a client to this host.
    pub fn note_server(&mut self, client: IpAddr, host: &str, server: SocketAddr) {
        if host.is_empty() || host.len() > Accepted::LONGEST {
            return;
        }
        let key = (client, host.to_ascii_lowercase());
        if let Some(known) = self.servers.get_mut(&key) {
            add(known, server, Accepted::MOST_HOSTS);
        } else if self.servers.len() < Accepted::MOST {
            self.servers.insert(key, vec![server]);
        }
    }

    /// The use of the nonce of these credentials with the highest count that a server accepted from the same user of a
    /// client. Servers that make nonces of the time give the same one to each client that asks within a second.
    pub fn nonce_use(&self, server: IpAddr, client: IpAddr, shown: &Credentials) -> Option<NonceUse> {
        self.nonce_counts.get(&(nonce_key(client, shown), server)).copied()
    }

    /// Notes that a server accepted the nonce of these credentials from a client, if they count its uses.
    pub fn note_nonce_use(&mut self, path: Path, shown: &Credentials, place: Place) {
        let Some(count) = shown.nonce_count else { return };
        let key = (nonce_key(path.source.ip(), shown), path.destination.ip());
        let used = NonceUse { count, place, port: path.source.port() };
        let has_room = self.nonce_counts.len() < Accepted::MOST;
        match self.nonce_counts.get_mut(&key) {
            Some(known) => *known = higher(*known, used),
            None if has_room => {
                self.nonce_counts.insert(key, used);
            }
            None => {}
        }
    }

    /// Notes that a client showed credentials for this From URI.
    pub fn note_credentials(&mut self, client: IpAddr, from: &[u8], time: Timestamp) {
        let key = (call_key(from), client);
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
        let knows = |known: &Vec<String>| known.binary_search_by(|known| known.as_str().cmp(host)).is_ok();
        let known = self.hosts.get(&server);
        if known.is_some_and(knows) || self.hosts.len() >= Accepted::MOST || host.len() > Accepted::LONGEST {
            return;
        }
        add(self.hosts.entry(server).or_default(), host.to_owned(), Accepted::MOST_HOSTS);
    }

    /// Learns from a request that carries credentials.
    pub(crate) fn learn_request(&mut self, message: &Message<'_>, client: IpAddr, time: Timestamp) {
        if !has_credentials(message) {
            return;
        }
        let from = message.header_bytes(HeaderName::From).map(uri_of).unwrap_or_default();
        self.note_credentials(client, from, time);
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
        self.learn_accepted(&request.message, transaction.path, request.place);
    }

    /// Learns from a request outside of dialogs that rang or succeeded.
    pub(crate) fn learn_accepted(&mut self, request: &Message<'_>, path: Path, place: Place) {
        let (client, server) = (path.source.ip(), path.destination.ip());
        let uri = Uri::read(&request.request_uri().unwrap_or_default());
        self.note_host(server, &uri.host.to_ascii_lowercase());
        self.note_server(client, &uri.host, path.destination);
        if !has_credentials(request) {
            return;
        }
        for shown in credentials(request) {
            if !Uri::read(&shown.uri).is_same_target(&uri) {
                self.note_other_digest_uri(server, client);
            }
            self.note_nonce_use(path, shown, place);
        }
    }

    /// Forgets credentials and nonces that were last seen before this moment. When credentials were seen before `clear`
    /// is kept coarsely.
    pub(crate) fn forget(&mut self, before: Timestamp, clear: Timestamp) {
        self.credentials.retain(|_, seen| {
            seen.forget(before);
            seen.blur(clear);
            seen.first_and_last().is_some_and(|(_, last)| last >= before)
        });
        self.nonce_counts.retain(|_, used| used.place.time >= before);
    }

    /// Puts together what two readers have seen.
    pub(crate) fn merge(&mut self, other: &Accepted) {
        for (key, seen) in &other.credentials {
            self.credentials.entry(*key).or_default().merge(seen);
        }
        self.other_digest_uris.extend(&other.other_digest_uris);
        for (key, servers) in &other.servers {
            let known = self.servers.entry(key.clone()).or_default();
            servers.iter().for_each(|server| add(known, *server, usize::MAX));
        }
        for (key, seen) in &other.nonce_counts {
            let known = self.nonce_counts.entry(*key).or_insert(*seen);
            *known = higher(*known, *seen);
        }
        for (server, hosts) in &other.hosts {
            let known = self.hosts.entry(*server).or_default();
            hosts.iter().for_each(|host| add(known, host.clone(), usize::MAX));
        }
    }
}

/// The use with the higher count; of two equal ones the earlier.
fn higher(one: NonceUse, other: NonceUse) -> NonceUse {
    match one.count.cmp(&other.count) {
        Ordering::Less => other,
        Ordering::Greater => one,
        Ordering::Equal => one.min(other),
    }
}

/// A nonce as one user of a client shows it, as one number: a count is of these alone (RFC 7616 §3.4).
fn nonce_key(client: IpAddr, shown: &Credentials) -> u64 {
    let client = client.to_string();
    call_key([&*shown.nonce, &*shown.realm, &*shown.username, &*client].join("\0").as_bytes())
}

fn has_credentials(message: &Message<'_>) -> bool {
    let has = |name| message.header_bytes(name).is_some();
    has(HeaderName::Authorization) || has(HeaderName::ProxyAuthorization)
}

/// Maps with keys of two parts, as lists in the order of their keys: JSON has text keys only.
mod as_pairs {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    pub(super) fn serialize<'m, K, V, M, S>(map: &'m M, serializer: S) -> Result<S::Ok, S::Error>
    where
        K: Serialize + Ord + 'm,
        V: Serialize + 'm,
        &'m M: IntoIterator<Item = (&'m K, &'m V)>,
        S: Serializer,
    {
        let mut pairs: Vec<(&K, &V)> = map.into_iter().collect();
        pairs.sort_unstable_by_key(|(key, _)| *key);
        pairs.serialize(serializer)
    }

    pub(super) fn deserialize<'de, K, V, M, D>(deserializer: D) -> Result<M, D::Error>
    where
        K: Deserialize<'de>,
        V: Deserialize<'de>,
        M: FromIterator<(K, V)> + IntoIterator<Item = (K, V)>,
        D: Deserializer<'de>,
    {
        Ok(Vec::<(K, V)>::deserialize(deserializer)?.into_iter().collect())
    }
}
