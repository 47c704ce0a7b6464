//! Compressed WebSocket messages (RFC 7692, `permessage-deflate`), and messages that stand for themselves.
//!
//! Knows that a message may refer to those before it, and how gzip and zlib begin. Is given the compressed messages of
//! one direction in order; gives what they say. Deliberately does not look at what was negotiated: keeping the window
//! where it was agreed not to be kept does no harm.

use std::io::Read;

use flate2::Decompress;
use flate2::FlushDecompress;
use flate2::Status;
use flate2::read::DeflateDecoder;
use flate2::read::GzDecoder;
use flate2::read::ZlibDecoder;

use crate::net::bytes::u16_at;

/// What every message ends with, and what the sender leaves out (RFC 7692 §7.2.1).
const TAIL: [u8; 4] = [0, 0, 0xFF, 0xFF];
/// Room made at once.
const STEP: usize = 4096;

/// The window of one direction.
#[derive(Debug)]
pub(super) struct Inflater {
    window: Decompress,
}

impl Default for Inflater {
    fn default() -> Inflater {
        Inflater { window: Decompress::new(false) }
    }
}

impl Inflater {
    /// Bytes of memory that one takes, near enough: a window of 32 KiB and the tables of a block.
    pub(super) const WEIGHT: usize = 44 << 10;

    /// What a message says; `None` if it is no deflate or says more than `longest` bytes. Every message from the first
    /// one on must have been given: what is missing from the window would be read as zeros.
    pub(super) fn message(&mut self, compressed: &[u8], longest: usize) -> Option<Vec<u8>> {
        let mut message = Vec::new();
        for mut rest in [compressed, &TAIL] {
            loop {
                message.reserve(STEP);
                let (read, written) = (self.window.total_in(), message.len());
                let status = self.window.decompress_vec(rest, &mut message, FlushDecompress::Sync).ok()?;
                let consumed = usize::try_from(self.window.total_in().checked_sub(read)?).ok()?;
                rest = rest.get(consumed..)?;
                if message.len() > longest {
                    return None;
                }
                if status == Status::StreamEnd {
                    self.window.reset(false);
                    return Some(message);
                }
                if rest.is_empty() && message.len() < message.capacity() {
                    break;
                }
                if consumed == 0 && message.len() == written {
                    return None;
                }
            }
        }
        Some(message)
    }
}

/// What stands for itself says, in gzip (RFC 1952), zlib (RFC 1950) or deflate alone; `None` if it is none of them or
/// says more than `longest` bytes.
pub(super) fn packed(bytes: &[u8], longest: usize) -> Option<Vec<u8>> {
    let mut message = Vec::new();
    let most = longest.checked_add(1)? as u64;
    match bytes.first_chunk::<2>()? {
        [0x1F, 0x8B] => GzDecoder::new(bytes).take(most).read_to_end(&mut message),
        [head, _] if head & 0x0F == 8 && u16_at(bytes, 0)? % 31 == 0 => {
            ZlibDecoder::new(bytes).take(most).read_to_end(&mut message)
        }
        _ => DeflateDecoder::new(bytes).take(most).read_to_end(&mut message),
    }
    .ok()?;
    (message.len() <= longest).then_some(message)
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use flate2::Compress;
    use flate2::Compression;
    use flate2::FlushCompress;

    /// Compresses messages as a sender does that keeps its window.
    pub(in crate::net) fn compressed(messages: &[&[u8]]) -> Vec<Vec<u8>> {
        let mut window = Compress::new(Compression::best(), false);
        let compress = |message: &&[u8]| {
            let mut out = Vec::with_capacity(message.len() + 100);
            window.compress_vec(message, &mut out, FlushCompress::Sync).unwrap();
            assert!(out.ends_with(&TAIL));
            out.truncate(out.len() - TAIL.len());
            out
        };
        messages.iter().map(compress).collect()
    }

    #[test]
    fn messages_that_refer_to_each_other() {
        let long = [b"SIP/2.0 200 OK\r\n".repeat(900), b"x".to_vec()].concat();
        let messages: [&[u8]; 3] = [b"BYE sip:a@b SIP/2.0", b"BYE sip:a@b SIP/2.0 again", &long];
        let mut inflater = Inflater::default();
        for (compressed, message) in compressed(&messages).iter().zip(messages) {
            assert_eq!(inflater.message(compressed, 1 << 20).as_deref(), Some(message));
        }
    }

    #[test]
    fn what_is_no_deflate_is_refused() {
        assert_eq!(Inflater::default().message(b"\x07nonsense", 1 << 20), None);
    }

    #[test]
    fn a_bomb_is_refused() {
        let zeros = vec![0; 1 << 20];
        let mut window = Compress::new(Compression::best(), false);
        let mut bomb = Vec::with_capacity(1 << 16);
        window.compress_vec(&zeros, &mut bomb, FlushCompress::Sync).unwrap();
        assert!(bomb.len() < 5_000);
        assert_eq!(Inflater::default().message(&bomb, 256 << 10), None);
    }

    #[test]
    fn what_stands_for_itself_in_each_wrapping() {
        use flate2::read::{DeflateEncoder, GzEncoder, ZlibEncoder};
        let text = b"OPTIONS sip:a@b SIP/2.0\r\n\r\n".repeat(20);
        let read = |mut reader: Box<dyn Read>| {
            let mut bytes = Vec::new();
            reader.read_to_end(&mut bytes).unwrap();
            bytes
        };
        let best = Compression::best();
        for bytes in [
            read(Box::new(GzEncoder::new(std::io::Cursor::new(text.clone()), best))),
            read(Box::new(ZlibEncoder::new(std::io::Cursor::new(text.clone()), best))),
            read(Box::new(DeflateEncoder::new(std::io::Cursor::new(text.clone()), best))),
        ] {
            assert_eq!(packed(&bytes, text.len()).as_deref(), Some(text.as_slice()));
            assert_eq!(packed(&bytes, text.len() - 1), None);
            assert_eq!(packed(&bytes[..bytes.len() / 2], text.len()), None);
        }
        assert_eq!(packed(b"\x07nonsense", 100), None);
    }
}
