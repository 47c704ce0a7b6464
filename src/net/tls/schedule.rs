//! From secrets to keys: the pseudorandom function of TLS 1.0 to 1.2 (RFC 2246 §5, RFC 5246 §5) and the labels of
//! TLS 1.3 (RFC 8446 §7.1).
//!
//! Is given secrets; gives bytes of keys. Deliberately does not know which bytes are for what.

use hkdf::Hkdf;
use hmac::Hmac;
use hmac::KeyInit;
use hmac::Mac;
use md5::Md5;
use sha1::Sha1;
use sha2::Sha256;
use sha2::Sha384;

use crate::net::tls::suite::Hash;

/// Versions of TLS as they are written on the wire.
pub(super) mod version {
    /// TLS 1.0.
    pub(in crate::net) const TLS_1_0: u16 = 0x0301;
    /// TLS 1.2.
    pub(in crate::net) const TLS_1_2: u16 = 0x0303;
    /// TLS 1.3.
    pub(in crate::net) const TLS_1_3: u16 = 0x0304;
}

/// HMAC of several parts (RFC 2104); empty if the key cannot be used, which no key is.
pub(super) fn hmac(hash: Hash, key: &[u8], parts: &[&[u8]]) -> Vec<u8> {
    match hash {
        Hash::Sha1 => mac::<Hmac<Sha1>>(key, parts),
        Hash::Sha256 => mac::<Hmac<Sha256>>(key, parts),
        Hash::Sha384 => mac::<Hmac<Sha384>>(key, parts),
    }
}

fn mac<M: Mac + KeyInit>(key: &[u8], parts: &[&[u8]]) -> Vec<u8> {
    let Ok(mut mac) = <M as KeyInit>::new_from_slice(key) else { return Vec::new() };
    for part in parts {
        mac.update(part);
    }
    mac.finalize().into_bytes().to_vec()
}

/// The key block of TLS 1.0 to 1.2: `PRF(master, "key expansion", server_random + client_random)`.
pub(super) fn key_block(version: u16, hash: Hash, master: &[u8], seed: &[&[u8]; 2], length: usize) -> Vec<u8> {
    let seed = [&b"key expansion"[..], seed[0], seed[1]].concat();
    if version >= self::version::TLS_1_2 {
        return match hash {
            Hash::Sha384 => expand::<Hmac<Sha384>>(master, &seed, length),
            _ => expand::<Hmac<Sha256>>(master, &seed, length),
        };
    }
    // The halves overlap by a byte where the length is odd (RFC 2246 §5).
    let half = master.len().div_ceil(2);
    let first = master.get(..half).unwrap_or_default();
    let second = master.get(master.len().saturating_sub(half)..).unwrap_or_default();
    let of_md5 = expand::<Hmac<Md5>>(first, &seed, length);
    let of_sha1 = expand::<Hmac<Sha1>>(second, &seed, length);
    of_md5.iter().zip(&of_sha1).map(|(one, other)| one ^ other).collect()
}

/// `P_hash` (RFC 5246 §5).
fn expand<M: Mac + KeyInit>(secret: &[u8], seed: &[u8], length: usize) -> Vec<u8> {
    let mut block = Vec::new();
    let mut step = mac::<M>(secret, &[seed]);
    while block.len() < length && !step.is_empty() {
        block.extend(mac::<M>(secret, &[&step, seed]));
        step = mac::<M>(secret, &[&step]);
    }
    block.truncate(length);
    block
}

/// `HKDF-Expand-Label(secret, label, "", length)` (RFC 8446 §7.1); empty if the secret is too short for the hash.
pub(super) fn expand_label(hash: Hash, secret: &[u8], label: &str, length: u8) -> Vec<u8> {
    let named = label.len().saturating_add(6);
    let mut text = vec![0, length, u8::try_from(named).unwrap_or(u8::MAX)];
    text.extend(b"tls13 ");
    text.extend(label.as_bytes());
    text.push(0);
    let mut out = vec![0; usize::from(length)];
    let expanded = match hash {
        Hash::Sha384 => Hkdf::<Sha384>::from_prk(secret).is_ok_and(|prk| prk.expand(&text, &mut out).is_ok()),
        _ => Hkdf::<Sha256>::from_prk(secret).is_ok_and(|prk| prk.expand(&text, &mut out).is_ok()),
    };
    if expanded { out } else { Vec::new() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(hex: &str) -> Vec<u8> {
        (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect()
    }

    /// RFC 8448 §3: the traffic keys of the server's handshake secret.
    #[test]
    fn labels_are_expanded_as_in_rfc_8448() {
        let secret = bytes("b67b7d690cc16c4e75e54213cb2d37b4e9c912bcded9105d42befd59d391ad38");
        assert_eq!(expand_label(Hash::Sha256, &secret, "key", 16), bytes("3fce516009c21727d0f2e4e86ee403bc"));
        assert_eq!(expand_label(Hash::Sha256, &secret, "iv", 12), bytes("5d313eb2671276ee13000b30"));
        assert!(expand_label(Hash::Sha384, &secret, "key", 16).is_empty(), "too short a secret gives no key");
    }
}
