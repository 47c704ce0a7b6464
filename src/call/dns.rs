//! Names that were looked up around the calls (RFC 3263 §4).
//!
//! Is given DNS messages; gives the look-ups with how each ended, as a value that can be merged. Deliberately does not
//! know which call needed them.

use std::collections::BTreeMap;
use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use crate::capture::{Place, Timestamp};
use crate::net::{DnsMessage, DnsRecord, Path};

/// The type of SRV records.
const SRV: u16 = 33;

/// A question, and what became of it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Lookup {
    /// The first question.
    pub asked: Place,
    /// Who asked.
    pub client: IpAddr,
    /// Who was asked.
    pub server: IpAddr,
    /// The name, lower case.
    pub name: String,
    /// The name as it was sent first.
    pub spelled: String,
    /// The type: 1 A, 28 AAAA, 33 SRV, 35 NAPTR.
    pub kind: u16,
    /// The identifier of the question.
    id: u16,
    /// How often it was asked.
    pub copies: u32,
    /// The answer: where it stands, its code, and how many records it has.
    pub answer: Option<(Place, u8, u16)>,
    /// The records of the answer that lead to a server.
    pub records: Vec<DnsRecord>,
}

impl Lookup {
    /// The name of the type.
    pub fn kind_name(&self) -> String {
        match self.kind {
            1 => "A".into(),
            28 => "AAAA".into(),
            SRV => "SRV".into(),
            35 => "NAPTR".into(),
            other => format!("TYPE{other}"),
        }
    }

    /// True if it is a question that SIP asks: NAPTR or SRV of SIP, or an address of a host.
    pub fn is_for_sip(&self) -> bool {
        match self.kind {
            SRV => self.name.starts_with("_sip"),
            1 | 28 | 35 => true,
            _ => false,
        }
    }
}

/// The look-ups of a capture, in order. Mergeable. As a value it is the list of them.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(from = "Vec<Lookup>", into = "Vec<Lookup>")]
pub struct Lookups {
    all: Vec<Lookup>,
    /// Where those for the servers of a domain stand, by who asked: few are, and each call that fails asks for them.
    of_servers: BTreeMap<IpAddr, Vec<usize>>,
}

impl From<Vec<Lookup>> for Lookups {
    fn from(mut all: Vec<Lookup>) -> Lookups {
        all.sort_unstable();
        all.dedup();
        all.truncate(Lookups::MOST);
        let mut lookups = Lookups { all, of_servers: BTreeMap::new() };
        for (at, lookup) in lookups.all.iter().enumerate().filter(|(_, one)| one.kind == SRV) {
            lookups.of_servers.entry(lookup.client).or_default().push(at);
        }
        lookups
    }
}

impl From<Lookups> for Vec<Lookup> {
    fn from(lookups: Lookups) -> Vec<Lookup> {
        lookups.all
    }
}

impl Lookups {
    /// Look-ups that are kept.
    const MOST: usize = 2048;

    /// True if there is none.
    pub fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// All of them.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = &Lookup> {
        self.all.iter()
    }

    /// Those that were made between two moments.
    pub fn between(&self, from: Timestamp, to: Timestamp) -> impl Iterator<Item = &Lookup> {
        let first = self.all.partition_point(|one| one.asked.time < from);
        self.all.iter().skip(first).take_while(move |one| one.asked.time <= to)
    }

    /// Those that a client made between two moments.
    pub fn of_client(&self, client: IpAddr, from: Timestamp, to: Timestamp) -> impl Iterator<Item = &Lookup> {
        self.between(from, to).filter(move |one| one.client == client)
    }

    /// Those for the servers of a domain that a client made up to a moment.
    pub fn servers_of_client(&self, client: IpAddr, until: Timestamp) -> impl Iterator<Item = &Lookup> {
        let of_client = self.of_servers.get(&client).into_iter().flatten();
        of_client.filter_map(|at| self.all.get(*at)).take_while(move |one| one.asked.time <= until)
    }

    /// The addresses of a host, as far as a client had learned them at a moment.
    pub fn addresses_of(&self, host: &str, client: IpAddr, until: Timestamp) -> Vec<IpAddr> {
        let known = self
            .all
            .iter()
            .filter(|one| one.client == client && one.answer.is_some_and(|(place, ..)| place.time <= until));
        let mut addresses: Vec<IpAddr> = known
            .flat_map(|one| &one.records)
            .filter_map(|record| match record {
                DnsRecord::Address { host: of, address } if of.eq_ignore_ascii_case(host) => Some(*address),
                _ => None,
            })
            .collect();
        addresses.sort_unstable();
        addresses.dedup();
        addresses
    }

    /// Takes in a message.
    pub(crate) fn hear(&mut self, message: &DnsMessage, path: Path, place: Place) {
        let (client, server) = match message.is_response {
            true => (path.destination.ip(), path.source.ip()),
            false => (path.source.ip(), path.destination.ip()),
        };
        let has_room = self.all.len() < Lookups::MOST;
        let known = self.all.iter_mut().rev().take(256).find(|one| {
            one.id == message.id && one.client == client && one.kind == message.kind && one.name == message.name
        });
        match (known, message.is_response) {
            (Some(known), true) => {
                if known.answer.is_none() {
                    known.answer = Some((place, message.code, message.answers));
                    known.records.clone_from(&message.records);
                }
            }
            (Some(known), false) => known.copies = known.copies.saturating_add(1),
            (None, false) if has_room => {
                let (name, spelled) = (message.name.clone(), message.spelled.clone());
                let (kind, id) = (message.kind, message.id);
                self.add(Lookup {
                    asked: place,
                    client,
                    server,
                    name,
                    spelled,
                    kind,
                    id,
                    copies: 1,
                    answer: None,
                    records: Vec::new(),
                });
            }
            (None, _) => {}
        }
    }

    /// Puts one in its order. Nearly always it is the last one: not where the clock was set back.
    fn add(&mut self, lookup: Lookup) {
        if self.all.last().is_none_or(|last| last.asked <= lookup.asked) {
            if lookup.kind == SRV {
                self.of_servers.entry(lookup.client).or_default().push(self.all.len());
            }
            return self.all.push(lookup);
        }
        self.all.push(lookup);
        *self = std::mem::take(&mut self.all).into();
    }

    /// Forgets questions that were asked before this moment.
    pub(crate) fn forget(&mut self, before: Timestamp) {
        self.all.retain(|one| one.asked.time >= before);
        *self = std::mem::take(&mut self.all).into();
    }

    /// Puts together what two readers have seen.
    pub(crate) fn merge(&mut self, other: &Lookups) {
        self.all.extend(other.all.iter().cloned());
        *self = std::mem::take(&mut self.all).into();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::capture::SourceId;
    use crate::net::Transport;

    /// A client asks in each of these seconds, for a server at even ones and for an address at odd ones.
    fn asked_at(seconds: &[i64]) -> Lookups {
        let path = Path {
            source: "192.0.2.1:40000".parse().unwrap(),
            destination: "192.0.2.53:53".parse().unwrap(),
            transport: Transport::Udp,
        };
        let mut lookups = Lookups::default();
        for (frame, second) in (1u64..).zip(seconds) {
            let place = Place { time: Timestamp(second * 1_000_000_000), source: SourceId::default(), frame, index: 0 };
            let kind = if second % 2 == 0 { SRV } else { 1 };
            let (name, spelled) = (format!("{second}.example.com"), String::new());
            let message = DnsMessage {
                id: *second as u16,
                is_response: false,
                code: 0,
                name,
                spelled,
                kind,
                answers: 0,
                records: Vec::new(),
            };
            lookups.hear(&message, path, place);
        }
        lookups
    }

    fn seconds<'a>(found: impl Iterator<Item = &'a Lookup>) -> Vec<i64> {
        found.map(|one| one.asked.time.0 / 1_000_000_000).collect()
    }

    #[test]
    fn what_was_asked_is_found_by_time_and_type_also_after_the_clock_was_set_back() {
        let client = "192.0.2.1".parse().unwrap();
        let until = |second: i64| Timestamp(second * 1_000_000_000);
        for order in [[1, 2, 3, 4, 5, 6, 7, 8], [5, 6, 7, 8, 1, 2, 3, 4]] {
            let lookups = asked_at(&order);
            assert_eq!(seconds(lookups.of_client(client, until(3), until(6))), [3, 4, 5, 6]);
            assert_eq!(seconds(lookups.servers_of_client(client, until(7))), [2, 4, 6]);
            assert_eq!(seconds(lookups.servers_of_client("192.0.2.2".parse().unwrap(), until(7))), [0i64; 0]);
            let mut late = lookups.clone();
            late.forget(until(5));
            assert_eq!(seconds(late.servers_of_client(client, until(9))), [6, 8]);
            late.merge(&lookups);
            assert_eq!(
                (seconds(late.iter()), seconds(late.servers_of_client(client, until(9)))),
                (seconds(lookups.iter()), vec![2, 4, 6, 8])
            );
        }
    }
}
