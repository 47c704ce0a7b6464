//! The Identity header and the PASSporT in it (RFC 8224, RFC 8225, RFC 8588): read, never verified.

use serde_json::Value;

use crate::sip::message::Message;
use crate::sip::value::Parameters;

/// What an Identity header says. Its signature is not checked.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Passport {
    /// `alg` of the header of the token.
    pub algorithm: String,
    /// `ppt`: the extension, `shaken` or `div` for instance; empty if there is none.
    pub extension: String,
    /// `x5u`, or the `info` parameter: where the certificate is.
    pub certificate: String,
    /// `orig.tn` or `orig.uri`.
    pub origin: String,
    /// `dest.tn` and `dest.uri`.
    pub destinations: Vec<String>,
    /// `iat`: when it was signed, in seconds since 1970.
    pub issued_at: Option<i64>,
    /// `attest`: `A`, `B` or `C`; empty if it is not said.
    pub attestation: String,
}

/// Bytes of a token that are decoded.
const LONGEST: usize = 16 << 10;
/// Destinations that are kept.
const MOST: usize = 16;

impl Passport {
    /// Reads a value of Identity; `None` if there is no token with header and payload, as in the compact form.
    pub fn read(value: &str) -> Option<Passport> {
        let (token, parameters) = value.split_once(';').unwrap_or((value, ""));
        let parameters = Parameters::read(parameters, b';');
        let mut parts = token.trim().trim_matches('"').split('.');
        let header = json(parts.next()?)?;
        let payload = json(parts.next()?)?;
        let text = |value: &Value, name: &str| value.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
        let named = parameters.get("info").unwrap_or_default().trim_matches(['<', '>']);
        let certificate = match text(&header, "x5u") {
            url if url.is_empty() => named.to_owned(),
            url => url,
        };
        let orig = payload.get("orig").cloned().unwrap_or_default();
        let dest = payload.get("dest").cloned().unwrap_or_default();
        Some(Passport {
            algorithm: text(&header, "alg"),
            extension: text(&header, "ppt"),
            certificate,
            origin: texts(&orig).into_iter().next().unwrap_or_default(),
            destinations: texts(&dest),
            issued_at: payload.get("iat").and_then(Value::as_i64),
            attestation: text(&payload, "attest"),
        })
    }
}

/// The values of `tn` and `uri`, each a text or a list of texts.
fn texts(value: &Value) -> Vec<String> {
    ["tn", "uri"]
        .iter()
        .filter_map(|name| value.get(name))
        .flat_map(|found| match found {
            Value::Array(list) => list.iter().filter_map(Value::as_str).map(str::to_owned).collect::<Vec<_>>(),
            Value::String(one) => vec![one.clone()],
            _ => Vec::new(),
        })
        .take(MOST)
        .collect()
}

fn json(part: &str) -> Option<Value> {
    let bytes = part.as_bytes().get(..part.len().min(LONGEST))?;
    serde_json::from_slice(&base64url(bytes)?).ok().filter(Value::is_object)
}

/// Where a service that signs calls, or looks up names, writes what it found; some in a header of their own.
const FOUND: [&str; 3] = ["Identity", "P-Asserted-Identity", "X-Identity"];

/// True if a response carries what such a service found (RFC 8224 §4.1). It redirects to itself, or to whom was asked
/// for anyway: who asked goes on with what it got, wherever its own way leads.
pub(crate) fn brings_identity(response: &Message<'_>) -> bool {
    FOUND.iter().any(|name| response.header(name).is_some())
}

/// Decodes base64url, or base64, without minding the padding (RFC 4648 §5).
pub(crate) fn base64url(text: &[u8]) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut held = 0u32;
    let mut bits = 0u32;
    for letter in text.iter().filter(|letter| **letter != b'=') {
        let six = match letter {
            b'A'..=b'Z' => letter.wrapping_sub(b'A'),
            b'a'..=b'z' => letter.wrapping_sub(b'a').wrapping_add(26),
            b'0'..=b'9' => letter.wrapping_sub(b'0').wrapping_add(52),
            b'-' | b'+' => 62,
            b'_' | b'/' => 63,
            _ => return None,
        };
        held = (held << 6) | u32::from(six);
        bits = bits.wrapping_add(6);
        if bits >= 8 {
            bits = bits.wrapping_sub(8);
            bytes.push((held >> bits) as u8);
            held &= (1u32 << bits).wrapping_sub(1);
        }
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    // {"alg":"ES256","ppt":"shaken","typ":"passport","x5u":"https://cert.example.com/shaken.pem"} and its payload.
    const VALUE: &str = "eyJhbGciOiJFUzI1NiIsInBwdCI6InNoYWtlbiIsInR5cCI6InBhc3Nwb3J0IiwieDV1IjoiaHR0cHM6Ly9jZXJ0LmV4YW1wbGUuY29tL3NoYWtlbi5wZW0ifQ.eyJhdHRlc3QiOiJBIiwiZGVzdCI6eyJ0biI6WyIxMjAyNTU1MDEyMyJdfSwiaWF0IjoxNzcyNDQyMDAwLCJvcmlnIjp7InRuIjoiMTIwMjU1NTAxMDEifSwib3JpZ2lkIjoiMTIzZTQ1NjctZTg5Yi0xMmQzLWE0NTYtNDI2NjU1NDQwMDAwIn0.c2ln;info=<https://cert.example.com/shaken.pem>;alg=ES256;ppt=shaken";

    #[test]
    fn a_token_is_read() {
        let passport = Passport::read(VALUE).unwrap();
        assert_eq!((passport.attestation.as_str(), passport.origin.as_str()), ("A", "12025550101"));
        assert_eq!((passport.destinations, passport.issued_at), (vec!["12025550123".to_owned()], Some(1_772_442_000)));
        assert_eq!(passport.certificate, "https://cert.example.com/shaken.pem");
    }

    #[test]
    fn what_is_no_token_is_none() {
        for text in ["", "..signature", "a.b.c", "e30.e30", "%%%.%%%"] {
            assert!(Passport::read(text).is_none_or(|passport| passport == Passport::default()), "{text}");
        }
    }
}
