//! Opens the records of one direction (RFC 8446 §5.2, RFC 5246 §6.2.3).
//!
//! Is given keys and records; gives what is inside of them, or nothing if they cannot be what the keys were for: each
//! record is authenticated. Deliberately does not know where keys come from.

use std::fmt;

use aes::Aes128;
use aes::Aes256;
use aes_gcm::Aes128Gcm;
use aes_gcm::Aes256Gcm;
use aes_gcm::aead::Aead;
use aes_gcm::aead::Payload;
use aes_gcm::aead::consts::U8;
use aes_gcm::aead::consts::U12;
use aes_gcm::aead::consts::U16;
use cbc::cipher::BlockModeDecrypt;
use cbc::cipher::KeyIvInit;
use cbc::cipher::block_padding::NoPadding;
use ccm::Ccm;
use ccm::KeyInit;
use chacha20poly1305::ChaCha20Poly1305;

use crate::net::tls::reader::Reader;
use crate::net::tls::schedule::expand_label;
use crate::net::tls::schedule::hmac;
use crate::net::tls::schedule::version;
use crate::net::tls::suite::Cipher;
use crate::net::tls::suite::Hash;
use crate::net::tls::suite::Suite;

/// Bytes of a block of AES.
const BLOCK: usize = 16;

/// A record with its header.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sealed<'a> {
    /// Its type.
    pub kind: u8,
    /// The version that its header names.
    pub version: u16,
    /// What is behind its header.
    pub body: &'a [u8],
}

/// What was inside of a record.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Opened {
    /// Its type.
    pub kind: u8,
    /// Its bytes.
    pub bytes: Vec<u8>,
}

/// The keys of one direction, and the number of its next record.
pub(super) struct Opener {
    lock: Lock,
    sequence: u64,
}

enum Lock {
    /// Encrypted and authenticated at once.
    Aead { cipher: Box<dyn AnyAead + Send + Sync>, nonce: Nonce },
    /// Encrypted in blocks, with an HMAC.
    Cbc { key: Vec<u8>, iv: Iv, hash: Hash, mac: Vec<u8>, order: MacOrder },
    /// Not encrypted, with an HMAC that is not verified.
    Null { mac: usize },
}

/// How the nonce of a record is made.
enum Nonce {
    /// The number of the record, over a fixed mask (RFC 8446 §5.3, RFC 7905 §2); and whether the type is hidden inside.
    Counted([u8; 12], Inside),
    /// Four fixed bytes, and eight before each record (RFC 5288 §3); and the bytes of the tag.
    Sent([u8; 4], usize),
}

/// Where the true type of a record stands.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Inside {
    /// In its header (TLS 1.2).
    Bytes,
    /// Behind its bytes (TLS 1.3).
    BytesAndKind,
}

/// Where the initialization vector of a record stands.
enum Iv {
    /// Before each record (RFC 5246 §6.2.3.2).
    Sent,
    /// It is the last block of the record before (RFC 2246 §6.2.3.2).
    Chained([u8; BLOCK]),
}

/// Whether the HMAC is of the bytes or of what they were encrypted to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum MacOrder {
    /// As RFC 5246 has it.
    MacThenEncrypt,
    /// As both sides may agree (RFC 7366).
    EncryptThenMac,
}

/// The keys of one direction of TLS up to 1.2 (RFC 5246 §6.3).
#[derive(Debug, Clone, Copy)]
pub(super) struct Keys<'a> {
    /// For the HMAC.
    pub mac: &'a [u8],
    /// For the cipher.
    pub key: &'a [u8],
    /// The fixed part of initialization vectors or nonces.
    pub iv: &'a [u8],
}

/// Bytes of keys that each direction of TLS up to 1.2 needs: HMAC, cipher, initialization vector.
pub(super) fn lengths(cipher: Cipher, tls: u16) -> [usize; 3] {
    match cipher {
        Cipher::Gcm(key) | Cipher::Ccm(key, _) => [0, key, 4],
        Cipher::ChaCha => [0, 32, 12],
        Cipher::Cbc(key, hash) if tls == version::TLS_1_0 => [hash.size(), key, BLOCK],
        Cipher::Cbc(key, hash) => [hash.size(), key, 0],
        Cipher::Null(mac) => [mac, 0, 0],
    }
}

trait AnyAead {
    fn decrypt(&self, nonce: &[u8; 12], message: &[u8], additional: &[u8]) -> Option<Vec<u8>>;
}

impl<A: Aead<NonceSize = U12>> AnyAead for A {
    fn decrypt(&self, nonce: &[u8; 12], message: &[u8], additional: &[u8]) -> Option<Vec<u8>> {
        Aead::decrypt(self, &(*nonce).into(), Payload { msg: message, aad: additional }).ok()
    }
}

fn aead(cipher: Cipher, key: &[u8]) -> Option<Box<dyn AnyAead + Send + Sync>> {
    Some(match cipher {
        Cipher::Gcm(16) => Box::new(Aes128Gcm::new_from_slice(key).ok()?),
        Cipher::Gcm(_) => Box::new(Aes256Gcm::new_from_slice(key).ok()?),
        Cipher::Ccm(16, 16) => Box::new(Ccm::<Aes128, U16, U12>::new_from_slice(key).ok()?),
        Cipher::Ccm(_, 16) => Box::new(Ccm::<Aes256, U16, U12>::new_from_slice(key).ok()?),
        Cipher::Ccm(16, _) => Box::new(Ccm::<Aes128, U8, U12>::new_from_slice(key).ok()?),
        Cipher::Ccm(..) => Box::new(Ccm::<Aes256, U8, U12>::new_from_slice(key).ok()?),
        Cipher::ChaCha => Box::new(ChaCha20Poly1305::new_from_slice(key).ok()?),
        Cipher::Cbc(..) | Cipher::Null(_) => return None,
    })
}

impl fmt::Debug for Opener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Opener(at record {})", self.sequence)
    }
}

impl Opener {
    /// Of a direction of TLS 1.3, by its traffic secret (RFC 8446 §7.3).
    pub(super) fn of_secret(suite: Suite, secret: &[u8]) -> Option<Opener> {
        let length = match suite.cipher {
            Cipher::Gcm(key) | Cipher::Ccm(key, _) => u8::try_from(key).ok()?,
            Cipher::ChaCha => 32,
            Cipher::Cbc(..) | Cipher::Null(_) => return None,
        };
        let cipher = aead(suite.cipher, &expand_label(suite.hash, secret, "key", length))?;
        let mask = *expand_label(suite.hash, secret, "iv", 12).first_chunk()?;
        Some(Opener { lock: Lock::Aead { cipher, nonce: Nonce::Counted(mask, Inside::BytesAndKind) }, sequence: 0 })
    }

    /// Of a direction of TLS up to 1.2.
    pub(super) fn of_keys(cipher: Cipher, keys: Keys<'_>, order: MacOrder) -> Option<Opener> {
        let lock = match cipher {
            Cipher::Gcm(_) | Cipher::Ccm(..) => {
                let tag = if let Cipher::Ccm(_, tag) = cipher { tag } else { 16 };
                Lock::Aead { cipher: aead(cipher, keys.key)?, nonce: Nonce::Sent(*keys.iv.first_chunk()?, tag) }
            }
            Cipher::ChaCha => Lock::Aead {
                cipher: aead(cipher, keys.key)?,
                nonce: Nonce::Counted(*keys.iv.first_chunk()?, Inside::Bytes),
            },
            Cipher::Cbc(_, hash) => {
                let iv = keys.iv.first_chunk().map_or(Iv::Sent, |iv| Iv::Chained(*iv));
                Lock::Cbc { key: keys.key.to_vec(), iv, hash, mac: keys.mac.to_vec(), order }
            }
            Cipher::Null(mac) => Lock::Null { mac },
        };
        Some(Opener { lock, sequence: 0 })
    }

    /// Opens the next record; `skipped` records before it may be missing. If it cannot be opened nothing has changed.
    pub(super) fn open(&mut self, record: Sealed<'_>, skipped: u64) -> Option<Opened> {
        let sequence = self.sequence.checked_add(skipped)?;
        let opened = self.lock.open(record, sequence)?;
        self.sequence = sequence.saturating_add(1);
        if let Lock::Cbc { iv: Iv::Chained(iv), order, hash, .. } = &mut self.lock {
            let tag = if *order == MacOrder::EncryptThenMac { hash.size() } else { 0 };
            let encrypted = record.body.get(..record.body.len().saturating_sub(tag))?;
            *iv = *encrypted.last_chunk()?;
        }
        Some(opened)
    }
}

impl Lock {
    fn open(&self, record: Sealed<'_>, sequence: u64) -> Option<Opened> {
        let Sealed { kind, version, body } = record;
        match self {
            Lock::Null { mac } => Some(Opened { kind, bytes: body.get(..body.len().checked_sub(*mac)?)?.to_vec() }),
            Lock::Cbc { key, iv, hash, mac, order } => {
                let mut reader = Reader(body);
                let tag = match order {
                    MacOrder::EncryptThenMac => {
                        let (before, tag) = body.split_at_checked(body.len().checked_sub(hash.size())?)?;
                        reader = Reader(before);
                        if hmac(*hash, mac, &[&additional(sequence, kind, version, before.len())?, before]) != tag {
                            return None;
                        }
                        0
                    }
                    MacOrder::MacThenEncrypt => hash.size(),
                };
                let iv = match iv {
                    Iv::Sent => reader.array()?,
                    Iv::Chained(iv) => *iv,
                };
                let mut bytes = without_padding(decrypt_blocks(key, &iv, reader.0)?)?;
                if tag > 0 {
                    let length = bytes.len().checked_sub(tag)?;
                    let head = additional(sequence, kind, version, length)?;
                    let (text, sent) = bytes.split_at_checked(length)?;
                    if hmac(*hash, mac, &[&head, text]) != sent {
                        return None;
                    }
                    bytes.truncate(length);
                }
                Some(Opened { kind, bytes })
            }
            Lock::Aead { cipher, nonce: Nonce::Sent(fixed, tag) } => {
                let mut reader = Reader(body);
                let ([a, b, c, d], [e, f, g, h, i, j, k, l]) = (*fixed, reader.array::<8>()?);
                let head = additional(sequence, kind, version, reader.0.len().checked_sub(*tag)?)?;
                let nonce = [a, b, c, d, e, f, g, h, i, j, k, l];
                Some(Opened { kind, bytes: cipher.decrypt(&nonce, reader.0, &head)? })
            }
            Lock::Aead { cipher, nonce: Nonce::Counted(mask, inside) } => {
                let mut nonce = *mask;
                let count = [0_u8; 4].into_iter().chain(sequence.to_be_bytes());
                nonce.iter_mut().zip(count).for_each(|(byte, count)| *byte ^= count);
                if *inside == Inside::Bytes {
                    let head = additional(sequence, kind, version, body.len().checked_sub(16)?)?;
                    return Some(Opened { kind, bytes: cipher.decrypt(&nonce, body, &head)? });
                }
                let ([v1, v0], [l1, l0]) = (version.to_be_bytes(), u16::try_from(body.len()).ok()?.to_be_bytes());
                let mut bytes = cipher.decrypt(&nonce, body, &[kind, v1, v0, l1, l0])?;
                // Zeros may follow the type (RFC 8446 §5.4).
                let end = bytes.iter().rposition(|byte| *byte != 0)?;
                let kind = *bytes.get(end)?;
                bytes.truncate(end);
                Some(Opened { kind, bytes })
            }
        }
    }
}

/// What is authenticated beside the bytes of a record (RFC 5246 §6.2.3.3).
fn additional(sequence: u64, kind: u8, version: u16, length: usize) -> Option<[u8; 13]> {
    let [a, b, c, d, e, f, g, h] = sequence.to_be_bytes();
    let ([v1, v0], [l1, l0]) = (version.to_be_bytes(), u16::try_from(length).ok()?.to_be_bytes());
    Some([a, b, c, d, e, f, g, h, kind, v1, v0, l1, l0])
}

fn decrypt_blocks(key: &[u8], iv: &[u8; BLOCK], bytes: &[u8]) -> Option<Vec<u8>> {
    let mut bytes = bytes.to_vec();
    match key.len() {
        16 => cbc::Decryptor::<Aes128>::new_from_slices(key, iv).ok()?.decrypt_padded::<NoPadding>(&mut bytes).ok()?,
        _ => cbc::Decryptor::<Aes256>::new_from_slices(key, iv).ok()?.decrypt_padded::<NoPadding>(&mut bytes).ok()?,
    };
    Some(bytes)
}

/// Each byte of the padding is its length; one more says how long it is (RFC 5246 §6.2.3.2).
fn without_padding(mut bytes: Vec<u8>) -> Option<Vec<u8>> {
    let last = *bytes.last()?;
    let length = bytes.len().checked_sub(usize::from(last).saturating_add(1))?;
    if bytes.get(length..)?.iter().any(|byte| *byte != last) {
        return None;
    }
    bytes.truncate(length);
    Some(bytes)
}
