//! Challenges and the credentials that answer them (RFC 3261 §22, RFC 7616).

use md5::Md5;
use sha2::{Digest, Sha256};

use crate::story::Error;
use crate::story::words::Words;

/// `challenge …` beneath a 401 or 407: what it changes in the completed challenge.
#[derive(Debug, Clone, Default)]
pub(super) struct ChallengeLine {
    realm: Option<String>,
    nonce: Option<String>,
    algorithm: Option<String>,
    qop: Option<String>,
    stale: bool,
}

impl ChallengeLine {
    /// Reads what follows `challenge`.
    pub fn read(mut words: Words) -> Result<ChallengeLine, Error> {
        let mut line = ChallengeLine::default();
        while let Some(word) = words.maybe() {
            match word.as_str() {
                "realm" => line.realm = Some(words.next("a realm")?),
                "nonce" => line.nonce = Some(words.next("a nonce")?),
                "algorithm" => line.algorithm = Some(words.next("an algorithm, as SHA-256")?),
                "qop" => line.qop = Some(words.next("a quality of protection, as auth")?),
                "stale" => line.stale = true,
                _ => {
                    let says = "expected `realm`, `nonce`, `algorithm`, `qop` or `stale`";
                    return Err(Error::new(words.line, format!("{says}, found `{word}`")));
                }
            }
        }
        Ok(line)
    }

    /// The header's value.
    pub fn value(&self, realm: &str, nonce: &str) -> String {
        let realm = self.realm.as_deref().unwrap_or(realm);
        let nonce = self.nonce.as_deref().unwrap_or(nonce);
        let algorithm = self.algorithm.as_deref().unwrap_or("MD5");
        let mut value = format!("Digest realm=\"{realm}\", nonce=\"{nonce}\", algorithm={algorithm}");
        if let Some(qop) = &self.qop {
            value.push_str(&format!(", qop=\"{qop}\""));
        }
        if self.stale {
            value.push_str(", stale=true");
        }
        value
    }
}

/// A challenge that one actor has received, and how often it has answered with its nonce.
#[derive(Debug, Clone)]
pub(super) struct Challenge {
    realm: String,
    nonce: String,
    algorithm: String,
    opaque: Option<String>,
    qop: bool,
    used: u32,
}

impl Challenge {
    /// Reads the value of a WWW-Authenticate or Proxy-Authenticate header.
    pub fn read(value: &str) -> Challenge {
        let of = |name: &str| parameter(value, name);
        Challenge {
            realm: of("realm").unwrap_or_default(),
            nonce: of("nonce").unwrap_or_default(),
            algorithm: of("algorithm").unwrap_or_else(|| "MD5".to_owned()),
            opaque: of("opaque"),
            qop: of("qop").is_some(),
            used: 0,
        }
    }
}

/// One parameter of a challenge, without its quotes.
fn parameter(value: &str, name: &str) -> Option<String> {
    let parameters = value.split_once(' ')?.1;
    parameters.split(',').find_map(|part| {
        let (found, value) = part.split_once('=')?;
        found.trim().eq_ignore_ascii_case(name).then(|| value.trim().trim_matches('"').to_owned())
    })
}

/// `auth …` beneath a request: what it changes in the credentials that fit the last challenge.
#[derive(Debug, Clone, Default)]
pub(super) struct AuthLine {
    user: Option<String>,
    realm: Option<String>,
    password: Option<String>,
    nonce: Option<String>,
    uri: Option<String>,
    nc: Option<u32>,
    algorithm: Option<String>,
    response: Option<String>,
}

impl AuthLine {
    /// Reads what follows `auth`.
    pub fn read(mut words: Words) -> Result<AuthLine, Error> {
        let mut line = AuthLine::default();
        while let Some(word) = words.maybe() {
            match word.as_str() {
                "user" => line.user = Some(words.next("a user")?),
                "realm" => line.realm = Some(words.next("a realm")?),
                "password" => line.password = Some(words.next("a password")?),
                "nonce" => line.nonce = Some(words.next("a nonce")?),
                "uri" => line.uri = Some(words.next("a URI")?),
                "nc" => line.nc = Some(words.number("a nonce count")?),
                "algorithm" => line.algorithm = Some(words.next("an algorithm")?),
                "response" => line.response = Some(words.next("the response in hexadecimal digits")?),
                _ => {
                    let says = "expected `user`, `realm`, `password`, `nonce`, `uri`, `nc`, `algorithm` or `response`";
                    return Err(Error::new(words.line, format!("{says}, found `{word}`")));
                }
            }
        }
        Ok(line)
    }

    /// The value of the header that answers `challenge` for a request.
    pub fn value(&self, challenge: &mut Challenge, user: &str, method: &str, uri: &str) -> String {
        challenge.used += 1;
        let user = self.user.as_deref().unwrap_or(user);
        let realm = self.realm.as_deref().unwrap_or(&challenge.realm);
        let nonce = self.nonce.as_deref().unwrap_or(&challenge.nonce);
        let uri = self.uri.as_deref().unwrap_or(uri);
        let algorithm = self.algorithm.as_deref().unwrap_or(&challenge.algorithm);
        let hash = |text: String| if algorithm.starts_with("SHA-256") { sha256(&text) } else { md5(&text) };
        let password = self.password.as_deref().unwrap_or(PASSWORD);
        let secret = hash(format!("{user}:{realm}:{password}"));
        let request = hash(format!("{method}:{uri}"));
        let nc = format!("{:08x}", self.nc.unwrap_or(challenge.used));
        let computed = match challenge.qop {
            true => hash(format!("{secret}:{nonce}:{nc}:{CNONCE}:auth:{request}")),
            false => hash(format!("{secret}:{nonce}:{request}")),
        };
        let response = self.response.as_deref().unwrap_or(&computed);
        let mut value = format!(
            "Digest username=\"{user}\", realm=\"{realm}\", nonce=\"{nonce}\", uri=\"{uri}\", \
             response=\"{response}\", algorithm={algorithm}"
        );
        if challenge.qop {
            value.push_str(&format!(", qop=auth, nc={nc}, cnonce=\"{CNONCE}\""));
        }
        if let Some(opaque) = &challenge.opaque {
            value.push_str(&format!(", opaque=\"{opaque}\""));
        }
        value
    }
}

/// What everyone's password is if the story gives none.
const PASSWORD: &str = "secret";

const CNONCE: &str = "0a4f113b";

fn md5(text: &str) -> String {
    hex(&Md5::digest(text.as_bytes()))
}

fn sha256(text: &str) -> String {
    hex(&Sha256::digest(text.as_bytes()))
}

/// Lower-case hexadecimal digits.
pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Digits that depend on nothing but `seed`: branches, tags, Call-IDs and nonces come from here.
pub(super) fn digits(seed: &str, count: usize) -> String {
    let mut digits = sha256(seed);
    digits.truncate(count);
    digits
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of RFC 2617 §3.5.
    #[test]
    fn the_response_is_that_of_the_rfc() {
        let value = "Digest realm=\"testrealm@host.com\", qop=\"auth\", nonce=\"dcd98b7102dd2f0e8b11d0f600bfb0c093\"";
        let mut challenge = Challenge::read(value);
        let auth = AuthLine { password: Some("Circle Of Life".to_owned()), ..AuthLine::default() };
        let credentials = auth.value(&mut challenge, "Mufasa", "GET", "/dir/index.html");
        assert!(credentials.contains("response=\"6629fae49393a05397450978507c4ef1\""), "{credentials}");
    }

    #[test]
    fn a_nonce_that_is_used_again_counts_up() {
        let mut challenge = Challenge::read("Digest realm=\"a\", nonce=\"b\", qop=\"auth\"");
        let auth = AuthLine::default();
        assert!(auth.value(&mut challenge, "alice", "INVITE", "sip:b@c").contains("nc=00000001"));
        assert!(auth.value(&mut challenge, "alice", "BYE", "sip:b@c").contains("nc=00000002"));
    }
}
