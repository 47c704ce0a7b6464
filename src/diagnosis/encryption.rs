//! What a refusal says in words about encrypted media.
//!
//! Is given a response; tells whether it speaks of keys, or of encryption at all, and whether it demands that.
//! Deliberately does not know what was offered.

use crate::call::Heard;
use crate::diagnosis::case::Case;
use crate::diagnosis::stated::waives;

/// Words that speak of the way to the keys, in lower case.
const KEYS: &[&str] = &[
    "crypto",
    "cipher",
    "dtls",
    "sdes",
    "fingerprint",
    "mikey",
    "zrtp",
    "encryption key",
    "srtp key",
    "master key",
    "key exchange",
    "key management",
    "keying",
];
/// Words that speak of encrypted media.
const ENCRYPTION: &[&str] = &["srtp", "savp", "encrypt", "secure rtp", "secure media"];
/// What profiles for media with keys by DTLS begin with.
const OF_PROFILE: &str = "udp/tls/";
/// Words for what somebody wants.
const DEMANDS: &[&str] = &[
    "required",
    "requires",
    "mandatory",
    "must",
    "needed",
    "missing",
    "expected",
    "enforced",
    "srtp only",
    "only srtp",
];
/// Words for what somebody does not have, or not want.
const DENIES: &[&str] = &[
    "not supported",
    "unsupported",
    "not allowed",
    "not accepted",
    "not available",
    "not enabled",
    "not required",
    "disabled",
];

/// What a refusal says of encrypted media.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum OfEncryption {
    /// It speaks of the way to the keys: a crypto suite, DTLS, a fingerprint.
    Keys,
    /// It demands that media are encrypted.
    Demanded,
    /// It speaks of encryption, and does not demand it.
    Named,
}

impl Case<'_> {
    /// What a response says in words of encrypted media; `None` if nothing, or if it speaks of TLS for the signalling.
    pub(crate) fn of_encryption(&self, response: &Heard) -> Option<OfEncryption> {
        let (of_keys, is_named) = (self.says_any(response, KEYS), self.says_any(response, ENCRYPTION));
        let is_waived = || waives(&self.words(response), ENCRYPTION);
        if !of_keys && !is_named || self.speaks_of_signalling(response) || is_waived() {
            return None;
        }
        let is_demanded = self.says_any(response, DEMANDS) && !self.says_any(response, DENIES);
        Some(match () {
            () if of_keys => OfEncryption::Keys,
            () if is_demanded => OfEncryption::Demanded,
            () => OfEncryption::Named,
        })
    }

    fn speaks_of_signalling(&self, response: &Heard) -> bool {
        // The TLS in the name of a profile is that of the media (RFC 5764).
        let words = self.words(response).replace(OF_PROFILE, "");
        let mut words = words.split(|letter: char| !letter.is_ascii_alphanumeric());
        words.any(|word| matches!(word, "tls" | "sips" | "signalling" | "signaling"))
    }
}
