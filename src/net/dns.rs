//! DNS messages (RFC 1035 §4), as far as the look-ups before a call need them (RFC 3263 §4).
//!
//! Is given the payload of a datagram; gives the question and how it was answered. Deliberately does not read the
//! records of an answer beyond their number.

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
    /// The type that is asked for: 1 A, 28 AAAA, 33 SRV, 35 NAPTR.
    pub kind: u16,
    /// How many records the answer has.
    pub answers: u16,
}

/// The port of DNS.
pub const PORT: u16 = 53;
/// Labels that a name has at most.
const MOST_LABELS: usize = 64;

impl DnsMessage {
    /// Reads a message; `None` if it is none, or has other than one question.
    pub fn read(bytes: &[u8]) -> Option<DnsMessage> {
        let (header, mut rest) = bytes.split_first_chunk::<12>()?;
        let [i0, i1, f0, f1, q0, q1, a0, a1, ..] = *header;
        if u16::from_be_bytes([q0, q1]) != 1 || f0 & 0x78 != 0 {
            return None;
        }
        let mut name = String::new();
        for _ in 0..MOST_LABELS {
            let (length, behind) = rest.split_first()?;
            let length = usize::from(*length);
            if length == 0 {
                let ([t0, t1], _) = behind.split_first_chunk::<2>()?;
                return Some(DnsMessage {
                    id: u16::from_be_bytes([i0, i1]),
                    is_response: f0 & 0x80 != 0,
                    code: f1 & 0x0F,
                    name,
                    kind: u16::from_be_bytes([*t0, *t1]),
                    answers: u16::from_be_bytes([a0, a1]),
                });
            }
            // A question begins the message, so it has no pointer to what came before.
            let (label, behind) = behind.split_at_checked(length).filter(|_| length < 64)?;
            if !name.is_empty() {
                name.push('.');
            }
            name.push_str(&String::from_utf8_lossy(label).to_ascii_lowercase());
            rest = behind;
        }
        None
    }
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
        for length in 0..bytes.len() - 2 {
            assert_eq!(DnsMessage::read(&bytes[..length]), None);
        }
    }
}
