//! SCTP (RFC 9260): the messages in its DATA chunks.
//!
//! Knows chunks. Is given an SCTP packet; gives each message that stands whole in one chunk. Deliberately does not put
//! messages together that were cut into several chunks.

use crate::net::bytes::Rest;
use crate::net::bytes::u8_at;
use crate::net::bytes::u16_at;

/// The ports, then each whole message in order.
pub(super) fn read<'a>(rest: Rest<'a>) -> Option<(u16, u16, Messages<'a>)> {
    let source = u16_at(rest.bytes, 0)?;
    let destination = u16_at(rest.bytes, 2)?;
    Some((source, destination, Messages { rest: rest.skip(12)? }))
}

/// The whole messages of one packet.
#[derive(Debug, Clone, Copy)]
pub(super) struct Messages<'a> {
    rest: Rest<'a>,
}

impl<'a> Iterator for Messages<'a> {
    type Item = Rest<'a>;

    fn next(&mut self) -> Option<Rest<'a>> {
        const DATA: u8 = 0;
        const FIRST_AND_LAST: u8 = 3;
        loop {
            let kind = u8_at(self.rest.bytes, 0)?;
            let flags = u8_at(self.rest.bytes, 1)?;
            let length = usize::from(u16_at(self.rest.bytes, 2)?);
            let chunk = self.rest;
            let padded = length.max(4).checked_next_multiple_of(4)?;
            self.rest = chunk.skip(padded).unwrap_or(Rest::whole(&[]));
            if kind == DATA && flags & FIRST_AND_LAST == FIRST_AND_LAST {
                return chunk.limit(length).skip(16);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chunk(flags: u8, payload: &[u8]) -> Vec<u8> {
        let length = u16::try_from(payload.len() + 16).unwrap().to_be_bytes();
        let mut chunk = [&[0, flags, length[0], length[1]][..], &[0; 12], payload].concat();
        chunk.resize(chunk.len().next_multiple_of(4), 0);
        chunk
    }

    #[test]
    fn each_whole_message_of_a_packet() {
        let head = [0x13, 0xC4, 0x13, 0xCE, 0, 0, 0, 1, 0, 0, 0, 0];
        let sack = [3, 0, 0, 16, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        let packet = [&head[..], &sack, &chunk(3, b"BYE x"), &chunk(2, b"half"), &chunk(3, b"ACK y")].concat();
        let (source, destination, messages) = read(Rest::whole(&packet)).unwrap();
        assert_eq!((source, destination), (5060, 5070));
        let messages: Vec<&[u8]> = messages.map(|message| message.bytes).collect();
        assert_eq!(messages, [&b"BYE x"[..], b"ACK y"]);
    }

    #[test]
    fn a_cut_chunk_says_what_is_missing() {
        let packet = [&[0; 12][..], &chunk(3, b"BYE sip:a@b")].concat();
        let cut = Rest { bytes: &packet[..packet.len() - 4], missing: 4 };
        assert_eq!(read(cut).unwrap().2.next(), Some(Rest { bytes: b"BYE sip:", missing: 3 }));
    }
}
