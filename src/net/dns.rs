//! DNS messages (RFC 1035 §4), as far as the look-ups before a call need them (RFC 3263 §4).
//!
//! Is given the payload of a datagram; gives the question, how it was answered, and the records that lead to a server:
//! SRV, A and AAAA. Deliberately does not follow what an answer leads to.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use serde::{Deserialize, Serialize};

/// The host behind the service of a name: behind `_sip._udp.` and its like (RFC 2782).
pub(crate) fn without_service(name: &str) -> &str {
    name.rsplit_once("._udp.")
        .or_else(|| name.rsplit_once("._tcp."))
        .map_or(name, |(_, host)| host)
        .trim_start_matches("_udp.")
}

/// A DNS message with one question.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DnsMessage {
    /// Its identifier.
    pub id: u16,
    /// True for a response.
    pub is_response: bool,
    /// The response code (RFC 1035 §4.1.1): 0 no error, 2 server failure, 3 no such name.
    pub code: u8,
    /// The name that is asked for, lower case, without the last dot.
    pub name: String,
    /// The same as it was sent: some resolvers mix cases (draft-vixie-dnsext-dns0x20).
    pub spelled: String,
    /// The type that is asked for: 1 A, 28 AAAA, 33 SRV, 35 NAPTR.
    pub kind: u16,
    /// How many records the answer has.
    pub answers: u16,
    /// Those of all its sections that lead to a server, at most [`DnsMessage::MOST_RECORDS`].
    pub records: Vec<DnsRecord>,
}

/// A record that leads to a server. Names are as they were sent, without the last dot.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum DnsRecord {
    /// A or AAAA (RFC 1035 §3.4.1, RFC 3596 §2.2).
    Address {
        /// Of which host.
        host: String,
        /// Its address.
        address: IpAddr,
    },
    /// SRV (RFC 2782).
    Service {
        /// Of which service: `_sip._udp.example.com`.
        service: String,
        /// Lower is asked first.
        priority: u16,
        /// Its share among those of one priority.
        weight: u16,
        /// The port.
        port: u16,
        /// The host.
        target: String,
    },
}

/// The port of DNS.
pub const PORT: u16 = 53;
/// Labels that a name has at most, and pointers in it.
const MOST_LABELS: usize = 64;

impl DnsMessage {
    /// Records that are kept.
    pub const MOST_RECORDS: usize = 32;

    /// Reads a message; `None` if it is none, or has other than one question.
    pub fn read(bytes: &[u8]) -> Option<DnsMessage> {
        let (header, _) = bytes.split_first_chunk::<12>()?;
        let [i0, i1, f0, f1, q0, q1, a0, a1, n0, n1, r0, r1] = *header;
        if u16::from_be_bytes([q0, q1]) != 1 || f0 & 0x78 != 0 {
            return None;
        }
        let (spelled, at) = name_at(bytes, 12)?;
        let (kind, _) = bytes.get(at..)?.split_first_chunk::<2>()?;
        let answers = u16::from_be_bytes([a0, a1]);
        let all = [answers, u16::from_be_bytes([n0, n1]), u16::from_be_bytes([r0, r1])];
        let count = all.into_iter().fold(0_usize, |sum, one| sum.saturating_add(usize::from(one)));
        Some(DnsMessage {
            id: u16::from_be_bytes([i0, i1]),
            is_response: f0 & 0x80 != 0,
            code: f1 & 0x0F,
            name: spelled.to_ascii_lowercase(),
            spelled,
            kind: u16::from_be_bytes(*kind),
            answers,
            records: records(bytes, at.saturating_add(4), count),
        })
    }
}

/// The records from an offset on, as far as they can be read.
fn records(bytes: &[u8], mut at: usize, count: usize) -> Vec<DnsRecord> {
    let mut records = Vec::new();
    for _ in 0..count.min(MOST_LABELS) {
        let Some((record, next)) = record_at(bytes, at) else { break };
        at = next;
        records.extend(record);
        if records.len() >= DnsMessage::MOST_RECORDS {
            break;
        }
    }
    records
}

/// A record, if it leads to a server, and where the next one begins.
fn record_at(bytes: &[u8], at: usize) -> Option<(Option<DnsRecord>, usize)> {
    let (owner, at) = name_at(bytes, at)?;
    let ([k0, k1, _, _, _, _, _, _, l0, l1], rest) = bytes.get(at..)?.split_first_chunk::<10>()?;
    let value = rest.get(..usize::from(u16::from_be_bytes([*l0, *l1])))?;
    let begins = at.saturating_add(10);
    let record = match u16::from_be_bytes([*k0, *k1]) {
        1 => value.first_chunk::<4>().map(|octets| IpAddr::V4(Ipv4Addr::from(*octets))),
        28 => value.first_chunk::<16>().map(|octets| IpAddr::V6(Ipv6Addr::from(*octets))),
        33 => return Some((service(bytes, owner, value, begins), begins.saturating_add(value.len()))),
        _ => None,
    };
    let record = record.map(|address| DnsRecord::Address { host: owner, address });
    Some((record, begins.saturating_add(value.len())))
}

fn service(bytes: &[u8], service: String, value: &[u8], begins: usize) -> Option<DnsRecord> {
    let ([p0, p1, w0, w1, n0, n1], _) = value.split_first_chunk::<6>()?;
    let (target, _) = name_at(bytes, begins.saturating_add(6))?;
    let number = |high: &u8, low: &u8| u16::from_be_bytes([*high, *low]);
    Some(DnsRecord::Service { service, priority: number(p0, p1), weight: number(w0, w1), port: number(n0, n1), target })
}

/// The name at an offset, and what follows it (RFC 1035 §4.1.4).
fn name_at(bytes: &[u8], mut at: usize) -> Option<(String, usize)> {
    let mut name = String::new();
    let mut end = None;
    for _ in 0..MOST_LABELS {
        let length = *bytes.get(at)?;
        let behind = at.saturating_add(1);
        match length {
            0 => return Some((name, end.unwrap_or(behind))),
            0xC0.. => {
                let low = *bytes.get(behind)?;
                end.get_or_insert(behind.saturating_add(1));
                at = usize::from(u16::from_be_bytes([length & 0x3F, low]));
            }
            64.. => return None,
            _ => {
                let next = behind.saturating_add(usize::from(length));
                let label = bytes.get(behind..next)?;
                if !name.is_empty() {
                    name.push('.');
                }
                name.push_str(&String::from_utf8_lossy(label));
                at = next;
            }
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_question_and_its_refusal_are_read() {
        let mut bytes = vec![0x12, 0x34, 0x81, 0x83, 0, 1, 0, 0, 0, 0, 0, 0];
        bytes.extend(b"\x04_sip\x04_udp\x07Example\x03com\x00\x00\x21\x00\x01");
        let message = DnsMessage::read(&bytes).unwrap();
        assert_eq!((message.id, message.is_response, message.code, message.kind), (0x1234, true, 3, 33));
        assert_eq!(message.name, "_sip._udp.example.com");
        assert_eq!(message.spelled, "_sip._udp.Example.com");
        for length in 0..bytes.len() - 2 {
            assert_eq!(DnsMessage::read(&bytes[..length]), None);
        }
    }

    #[test]
    fn servers_are_read_with_names_that_point_back() {
        let mut bytes = vec![0, 1, 0x81, 0x80, 0, 1, 0, 1, 0, 0, 0, 1];
        bytes.extend(b"\x04_sip\x04_udp\x07example\x03com\x00\x00\x21\x00\x01");
        bytes.extend(b"\xC0\x0C\x00\x21\x00\x01\x00\x00\x00\x3C\x00\x0A\x00\x0A\x00\x05\x13\xC4\x01a\xC0\x16");
        bytes.extend(b"\x01A\xC0\x16\x00\x01\x00\x01\x00\x00\x00\x3C\x00\x04\xC0\x00\x02\x0A");
        let message = DnsMessage::read(&bytes).unwrap();
        let host = "a.example.com".to_owned();
        let service = DnsRecord::Service {
            service: "_sip._udp.example.com".into(),
            priority: 10,
            weight: 5,
            port: 5060,
            target: host.clone(),
        };
        let address = DnsRecord::Address { host: host.replace("a.", "A."), address: IpAddr::from([192, 0, 2, 10]) };
        assert_eq!(message.records[0], service);
        assert_eq!(message.records[1], address);
        // A name that points at itself ends.
        assert_eq!(name_at(&[0xC0, 0x00], 0), None);
    }
}
