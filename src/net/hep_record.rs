//! Copies of messages, and records that belong to them, as HEP3 packets for a capture server.
//!
//! Knows the chunks that Homer reads. Is given a payload with its path and time; gives the bytes of one packet.
//! Deliberately does not know how they are sent.

use std::net::IpAddr;

use crate::capture::Timestamp;
use crate::net::Path;
use crate::net::Transport;
use crate::net::hep::chunk;
use crate::net::ip::protocol;

/// What a record holds, as HEP3 numbers it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RecordOf {
    /// A SIP message.
    Sip,
    /// A line of a log about it.
    Log,
}

/// What is sent as one packet.
#[derive(Debug, Clone, Copy)]
pub struct HepRecord<'a> {
    /// What the payload is.
    pub of: RecordOf,
    /// From whom to whom the message went, or that to which the record belongs.
    pub path: Path,
    /// When. HEP3 has room for microseconds.
    pub time: Timestamp,
    /// The Call-ID to which a log record belongs.
    pub correlation: Option<&'a [u8]>,
    /// What the server asks for before it takes anything.
    pub key: Option<&'a [u8]>,
    /// The payload.
    pub payload: &'a [u8],
}

/// The number by which we are known among capture agents: HEP leaves it to their owner.
const AGENT: u32 = 5061;

impl HepRecord<'_> {
    /// The packet; `None` if it would be longer than its length field can say, or the two addresses are of different
    /// families.
    pub fn bytes(&self) -> Option<Vec<u8>> {
        const FAMILY_V4: u8 = 2;
        const FAMILY_V6: u8 = 10;
        let mut chunks = Chunks(vec![b'H', b'E', b'P', b'3', 0, 0]);
        match (self.path.source.ip(), self.path.destination.ip()) {
            (IpAddr::V4(source), IpAddr::V4(destination)) => {
                chunks.put(chunk::FAMILY, &[FAMILY_V4])?;
                chunks.put(chunk::SOURCE_V4, &source.octets())?;
                chunks.put(chunk::DESTINATION_V4, &destination.octets())?;
            }
            (IpAddr::V6(source), IpAddr::V6(destination)) => {
                chunks.put(chunk::FAMILY, &[FAMILY_V6])?;
                chunks.put(chunk::SOURCE_V6, &source.octets())?;
                chunks.put(chunk::DESTINATION_V6, &destination.octets())?;
            }
            _ => return None,
        }
        let transport = match self.path.transport {
            Transport::Udp => protocol::UDP,
            Transport::Sctp => protocol::SCTP,
            Transport::Tcp | Transport::Tls | Transport::Ws | Transport::Wss => protocol::TCP,
        };
        let of = match self.of {
            RecordOf::Sip => 1,
            RecordOf::Log => 100,
        };
        let seconds = u32::try_from(self.time.0.div_euclid(1_000_000_000)).unwrap_or(0);
        let microseconds = u32::try_from(self.time.0.rem_euclid(1_000_000_000)).unwrap_or(0) / 1000;
        chunks.put(chunk::PROTOCOL, &[transport])?;
        chunks.put(chunk::SOURCE_PORT, &self.path.source.port().to_be_bytes())?;
        chunks.put(chunk::DESTINATION_PORT, &self.path.destination.port().to_be_bytes())?;
        chunks.put(chunk::SECONDS, &seconds.to_be_bytes())?;
        chunks.put(chunk::MICROSECONDS, &microseconds.to_be_bytes())?;
        chunks.put(chunk::KIND, &[of])?;
        chunks.put(chunk::AGENT, &AGENT.to_be_bytes())?;
        chunks.put(chunk::AGENT_NAME, b"sipwhy")?;
        if let Some(key) = self.key {
            chunks.put(chunk::KEY, key)?;
        }
        if let Some(correlation) = self.correlation {
            chunks.put(chunk::CORRELATION, correlation)?;
        }
        chunks.put(chunk::PAYLOAD, self.payload)?;
        chunks.whole()
    }
}

/// A packet that is being written.
struct Chunks(Vec<u8>);

impl Chunks {
    fn put(&mut self, number: u16, value: &[u8]) -> Option<()> {
        let length = u16::try_from(value.len().checked_add(6)?).ok()?;
        self.0.extend([0, 0]);
        self.0.extend(number.to_be_bytes());
        self.0.extend(length.to_be_bytes());
        self.0.extend(value);
        Some(())
    }

    /// With its length, which stands behind the first four bytes.
    fn whole(mut self) -> Option<Vec<u8>> {
        let length = u16::try_from(self.0.len()).ok()?;
        self.0.get_mut(4..6)?.copy_from_slice(&length.to_be_bytes());
        Some(self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::HepHead;
    use crate::net::bytes::Rest;
    use crate::net::hep::{self, Hep};

    fn path(source: &str, destination: &str, transport: Transport) -> Path {
        Path { source: source.parse().unwrap(), destination: destination.parse().unwrap(), transport }
    }

    #[test]
    fn what_is_written_is_what_is_read() {
        let paths = [
            path("192.0.2.1:5060", "192.0.2.2:5070", Transport::Udp),
            path("[2001:db8::1]:5060", "[2001:db8::2]:5070", Transport::Tcp),
        ];
        for path in paths {
            let payload = b"BYE sip:a@b SIP/2.0\r\n\r\n";
            let time = Timestamp(1_763_626_442_118_345_000);
            let record = HepRecord { of: RecordOf::Sip, path, time, correlation: None, key: Some(b"key"), payload };
            let bytes = record.bytes().unwrap();
            assert_eq!(HepHead::length_in_stream(&bytes), Some(bytes.len()));
            assert_eq!(HepHead::read(&bytes).unwrap().key, Some(&b"key"[..]));
            let Some(Hep::Sip(copied)) = hep::read(Rest::whole(&bytes)) else { panic!("no SIP found") };
            assert_eq!((copied.path, copied.time, copied.rest.bytes), (path, Some(time), &payload[..]));
        }
    }

    #[test]
    fn a_log_record_carries_the_call_id() {
        let path = path("192.0.2.1:5060", "192.0.2.2:5070", Transport::Tls);
        let time = Timestamp(0);
        let record = HepRecord { of: RecordOf::Log, path, time, correlation: Some(b"a@b"), key: None, payload: b"why" };
        let bytes = record.bytes().unwrap();
        assert!(bytes.windows(9).any(|window| window == b"\0\x11\0\x09a@b"));
        assert!(bytes.windows(7).any(|window| window == b"\0\0\0\x0b\0\x07\x64"), "protocol type 100");
        assert_eq!(HepHead::read(&bytes), Some(HepHead { time: None, key: None, is_sip: false }));
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        let path = path("192.0.2.1:5060", "192.0.2.2:5070", Transport::Tcp);
        let payload = vec![b'x'; 65_500];
        let record =
            HepRecord { of: RecordOf::Sip, path, time: Timestamp(0), correlation: None, key: None, payload: &payload };
        assert_eq!(record.bytes(), None);
        let mixed = Path { source: "[2001:db8::1]:5060".parse().unwrap(), ..path };
        assert_eq!(HepRecord { path: mixed, payload: b"x", ..record }.bytes(), None);
    }
}
