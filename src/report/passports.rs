//! The signed tokens of Identity headers, rewritten with pseudonyms.
//!
//! A token (PASSporT, RFC 8225) names who calls whom in base64url, where no search for a number finds it. Is given a
//! token; gives who is named in it, and another token of the same length that says the same of pseudonyms. What signed
//! the true one is struck out: with it, guesses of the numbers could be checked.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::Value;

use crate::sip::identity::base64url;

/// How deep a token is looked into.
const DEEPEST: usize = 8;

/// Whom a token names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Named {
    /// A number, or the user of a URI.
    User(String),
    /// A URI of SIP.
    Uri(String),
    /// A display name.
    Name(String),
    /// The host of a page.
    Host(String),
}

/// The token in a value of Identity.
pub(crate) fn token(value: &str) -> &str {
    value.split(';').next().unwrap_or_default().trim().trim_matches('"')
}

/// Whom a token names.
pub(crate) fn named(token: &str) -> Vec<Named> {
    let mut named = Vec::new();
    for part in token.split('.').take(2) {
        let read = base64url(part.as_bytes()).and_then(|bytes| serde_json::from_slice::<Value>(&bytes).ok());
        if let Some(value) = read {
            look(&value, "", DEEPEST, &mut named);
        }
    }
    named
}

/// The hosts of the pages that a text names: `https://cert.example.net/a.pem`.
pub(crate) fn hosts_of_pages(text: &str) -> impl Iterator<Item = &str> {
    text.match_indices("://").filter_map(|(at, mark)| {
        let rest = text.get(at + mark.len()..)?;
        let end = rest.find(|letter: char| !letter.is_ascii_alphanumeric() && !"-.".contains(letter));
        rest.get(..end.unwrap_or(rest.len())).filter(|host| !host.is_empty())
    })
}

fn look(value: &Value, key: &str, depth: usize, named: &mut Vec<Named>) {
    let Some(depth) = depth.checked_sub(1) else { return };
    match value {
        Value::String(text) if key == "tn" => named.push(Named::User(text.clone())),
        Value::String(text) if key == "nam" => named.push(Named::Name(text.clone())),
        Value::String(text) => {
            named.extend(hosts_of_pages(text).map(|host| Named::Host(host.to_owned())));
            named.push(Named::Uri(text.clone()));
        }
        Value::Array(list) => list.iter().for_each(|one| look(one, key, depth, named)),
        Value::Object(map) => map.iter().for_each(|(key, one)| look(one, key, depth, named)),
        _ => {}
    }
}

/// The token with its texts replaced, its signature too if anything was. Its length stays.
pub(crate) fn rewritten(token: &str, replace: impl Fn(&str) -> String, strike: impl Fn(&str) -> String) -> String {
    let mut parts = token.split('.').map(str::to_owned).collect::<Vec<_>>();
    let mut is_new = false;
    for part in parts.iter_mut().take(2).filter(|part| !part.is_empty()) {
        let other = match base64url(part.as_bytes()).and_then(|bytes| String::from_utf8(bytes).ok()) {
            Some(said) => same_length(&replace(&said), &said, part).unwrap_or_else(|| strike(part)),
            None => strike(part),
        };
        is_new |= other != *part;
        *part = other;
    }
    for part in parts.iter_mut().skip(2).filter(|_| is_new) {
        *part = strike(part);
    }
    parts.join(".")
}

/// A part that says this, as long as the true one; the true one where nothing is replaced.
fn same_length(other: &str, said: &str, part: &str) -> Option<String> {
    if other == said {
        return Some(part.to_owned());
    }
    let mut encoded = URL_SAFE_NO_PAD.encode(other);
    let padding = part.len().checked_sub(encoded.len())?;
    encoded.extend(std::iter::repeat_n('=', padding));
    (padding <= 2).then_some(encoded)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn signed(header: &str, payload: &str) -> String {
        format!("{}.{}.c2lnbmF0dXJl", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(payload))
    }

    const HEADER: &str = r#"{"alg":"ES256","x5u":"https://cert.carrier.test/a.pem"}"#;
    const PAYLOAD: &str = r#"{"dest":{"tn":["15550100200"]},"orig":{"uri":"sip:alice@h.test"},"rcd":{"nam":"Al"}}"#;

    #[test]
    fn who_is_named_in_a_token_is_found() {
        let named = named(&signed(HEADER, PAYLOAD));
        assert!(named.contains(&Named::User("15550100200".into())), "{named:?}");
        assert!(named.contains(&Named::Uri("sip:alice@h.test".into())), "{named:?}");
        assert!(named.contains(&Named::Name("Al".into())), "{named:?}");
        assert!(named.contains(&Named::Host("cert.carrier.test".into())), "{named:?}");
    }

    #[test]
    fn a_rewritten_token_is_as_long_and_says_the_same_of_others() {
        let token = signed(HEADER, PAYLOAD);
        let strike = |part: &str| "0".repeat(part.len());
        let other = rewritten(&token, |said| said.replace("15550100200", "73991840275"), strike);
        assert_eq!(other.len(), token.len());
        assert!(other.ends_with(".000000000000"), "{other}");
        let payload = base64url(other.split('.').nth(1).unwrap().as_bytes()).unwrap();
        assert_eq!(String::from_utf8(payload).unwrap(), PAYLOAD.replace("15550100200", "73991840275"));
        assert_eq!(rewritten(&token, str::to_owned, strike), token);
        assert_eq!(rewritten("no.token!.here", str::to_owned, strike), "00.000000.0000");
    }
}
