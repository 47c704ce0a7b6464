//! The cipher suites that can be opened (<https://www.iana.org/assignments/tls-parameters>).
//!
//! Is given the number of a suite; gives its cipher and its hash. Deliberately does not know keys, nor how they were
//! agreed on: whoever has the secret need not know.

/// What protects records.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Cipher {
    /// AES in Galois/Counter Mode (RFC 5288), with a key of so many bytes.
    Gcm(usize),
    /// AES in Counter with CBC-MAC mode (RFC 6655): bytes of the key, bytes of the tag.
    Ccm(usize, usize),
    /// ChaCha20-Poly1305 (RFC 7905).
    ChaCha,
    /// AES in Cipher Block Chaining mode (RFC 5246 §6.2.3.2), with a key of so many bytes and this hash in its HMAC.
    Cbc(usize, Hash),
    /// No encryption (RFC 5246 §6.2.3.1); the HMAC has so many bytes.
    Null(usize),
}

/// A hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Hash {
    /// SHA-1, 20 bytes.
    Sha1,
    /// SHA-256, 32 bytes.
    Sha256,
    /// SHA-384, 48 bytes.
    Sha384,
}

impl Hash {
    /// Bytes of its output.
    pub(super) fn size(self) -> usize {
        match self {
            Hash::Sha1 => 20,
            Hash::Sha256 => 32,
            Hash::Sha384 => 48,
        }
    }
}

/// A cipher suite.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Suite {
    /// What protects records.
    pub cipher: Cipher,
    /// The hash with which keys are derived in TLS 1.2 and 1.3.
    pub hash: Hash,
}

/// The suite with a number; `None` for those that cannot be opened.
pub(super) fn of(number: u16) -> Option<Suite> {
    use Hash::{Sha1, Sha256, Sha384};
    let (cipher, hash) = match number {
        0x1301 => (Cipher::Gcm(16), Sha256),
        0x1302 => (Cipher::Gcm(32), Sha384),
        0x1303 => (Cipher::ChaCha, Sha256),
        0x1304 => (Cipher::Ccm(16, 16), Sha256),
        0x1305 => (Cipher::Ccm(16, 8), Sha256),
        0x009C | 0x009E | 0x00A0 | 0x00A2 | 0x00A4 | 0x00A6 | 0x00A8 | 0x00AA | 0x00AC => (Cipher::Gcm(16), Sha256),
        0xC02B | 0xC02D | 0xC02F | 0xC031 | 0xD001 => (Cipher::Gcm(16), Sha256),
        0x009D | 0x009F | 0x00A1 | 0x00A3 | 0x00A5 | 0x00A7 | 0x00A9 | 0x00AB | 0x00AD => (Cipher::Gcm(32), Sha384),
        0xC02C | 0xC02E | 0xC030 | 0xC032 | 0xD002 => (Cipher::Gcm(32), Sha384),
        0xCCA8..=0xCCAE => (Cipher::ChaCha, Sha256),
        0xC09C | 0xC09E | 0xC0A4 | 0xC0A6 | 0xC0AC | 0xD005 => (Cipher::Ccm(16, 16), Sha256),
        0xC09D | 0xC09F | 0xC0A5 | 0xC0A7 | 0xC0AD => (Cipher::Ccm(32, 16), Sha256),
        0xC0A0 | 0xC0A2 | 0xC0A8 | 0xC0AA | 0xC0AE | 0xD003 => (Cipher::Ccm(16, 8), Sha256),
        0xC0A1 | 0xC0A3 | 0xC0A9 | 0xC0AB | 0xC0AF => (Cipher::Ccm(32, 8), Sha256),
        0x002F..=0x0034 | 0x008C | 0x0090 | 0x0094 => (Cipher::Cbc(16, Sha1), Sha256),
        0xC004 | 0xC009 | 0xC00E | 0xC013 | 0xC018 | 0xC035 => (Cipher::Cbc(16, Sha1), Sha256),
        0x0035..=0x003A | 0x008D | 0x0091 | 0x0095 => (Cipher::Cbc(32, Sha1), Sha256),
        0xC005 | 0xC00A | 0xC00F | 0xC014 | 0xC019 | 0xC036 => (Cipher::Cbc(32, Sha1), Sha256),
        0x003C | 0x003E | 0x003F | 0x0040 | 0x0067 | 0x006C | 0x00AE | 0x00B2 | 0x00B6 => {
            (Cipher::Cbc(16, Sha256), Sha256)
        }
        0xC023 | 0xC025 | 0xC027 | 0xC029 | 0xC037 => (Cipher::Cbc(16, Sha256), Sha256),
        0x003D | 0x0068 | 0x0069 | 0x006A | 0x006B | 0x006D => (Cipher::Cbc(32, Sha256), Sha256),
        0x00AF | 0x00B3 | 0x00B7 | 0xC024 | 0xC026 | 0xC028 | 0xC02A | 0xC038 => (Cipher::Cbc(32, Sha384), Sha384),
        0x0002 | 0x002C..=0x002E | 0xC001 | 0xC006 | 0xC00B | 0xC010 | 0xC015 | 0xC039 => (Cipher::Null(20), Sha256),
        0x003B | 0x00B0 | 0x00B4 | 0x00B8 | 0xC03A => (Cipher::Null(32), Sha256),
        0x00B1 | 0x00B5 | 0x00B9 | 0xC03B => (Cipher::Null(48), Sha384),
        _ => return None,
    };
    Some(Suite { cipher, hash })
}
