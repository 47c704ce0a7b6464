//! Digest challenges and credentials (RFC 7616, RFC 3261 §22).

use std::borrow::Cow;

use crate::sip::header::HeaderName;
use crate::sip::message::Message;
use crate::sip::value::Parameters;

/// A challenge: one WWW-Authenticate or Proxy-Authenticate (RFC 7616 §3.3).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Challenge {
    /// The header it stands in, long form.
    pub header: &'static str,
    /// The scheme, as sent: `Digest`.
    pub scheme: String,
    /// The realm.
    pub realm: String,
    /// The nonce.
    pub nonce: String,
    /// The algorithm; `MD5` where none is named.
    pub algorithm: String,
    /// The qualities of protection offered.
    pub qop: Vec<String>,
    /// True if `stale=true`: the nonce was too old, nothing is said of the secret.
    pub stale: bool,
}

/// Credentials: one Authorization or Proxy-Authorization (RFC 7616 §3.4).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Credentials {
    /// The header they stand in, long form.
    pub header: &'static str,
    /// The scheme, as sent.
    pub scheme: String,
    /// The user name.
    pub username: String,
    /// The realm.
    pub realm: String,
    /// The nonce.
    pub nonce: String,
    /// The digest URI.
    pub uri: String,
    /// The algorithm; `MD5` where none is named.
    pub algorithm: String,
    /// The nonce count.
    pub nonce_count: Option<u32>,
    /// The quality of protection chosen; empty if none.
    pub qop: String,
    /// True if `auts` stands there: the card says that the sequence number of an AKA challenge is out of step, and the
    /// digest proves nothing of its key (RFC 3310 §3.4).
    pub asks_for_step: bool,
}

impl Credentials {
    /// True if the secret is the key on a subscriber's card, which nobody enters (3GPP TS 33.203 §6.1; RFC 3310).
    pub fn is_aka(&self) -> bool {
        self.algorithm.get(..4).is_some_and(|start| start.eq_ignore_ascii_case("AKAv"))
    }
}

/// Every challenge of a response. Read once, however often it is asked for.
pub fn challenges<'a>(message: &'a Message<'_>) -> &'a [Challenge] {
    let read = || every(message, ["WWW-Authenticate", "Proxy-Authenticate"], read_challenge);
    message.answers().challenges.get_or_init(read)
}

/// True if a request shows credentials, whatever they are.
pub(crate) fn shows_credentials(message: &Message<'_>) -> bool {
    message.has_key(HeaderName::Authorization) || message.has_key(HeaderName::ProxyAuthorization)
}

/// Every set of credentials of a request. Read once, however often it is asked for.
pub fn credentials<'a>(message: &'a Message<'_>) -> &'a [Credentials] {
    if !shows_credentials(message) {
        return &[];
    }
    let read = || every(message, ["Authorization", "Proxy-Authorization"], read_credentials);
    message.answers().credentials.get_or_init(read)
}

/// What is read of every challenge, or of every set of credentials, in these headers.
pub(super) fn every<T>(
    message: &Message<'_>,
    headers: [&'static str; 2],
    read: impl Fn(&'static str, &str) -> T,
) -> Vec<T> {
    let read = &read;
    let lines = |header| {
        let of_line =
            move |line: Cow<'_, str>| each_of(&line).into_iter().map(|one| read(header, &one)).collect::<Vec<_>>();
        message.header_lines(header).flat_map(of_line)
    };
    headers.into_iter().flat_map(lines).collect()
}

/// The challenges, or the credentials, of one line: RFC 3261 §7.3.1 wants a line for each, and some libraries join them
/// by commas as HTTP does (RFC 7235 §4.1).
fn each_of(line: &str) -> Vec<Cow<'_, str>> {
    let is_space = |c: char| c.is_ascii_whitespace();
    let begins = |part: &str| {
        let scheme_and_name = part.split_once('=').and_then(|(before, _)| before.trim().split_once(is_space));
        scheme_and_name.is_some_and(|(scheme, name)| is_token(scheme) && is_token(name.trim_start()))
    };
    let mut parts = crate::sip::value::split_list(line);
    let first = parts.next().unwrap_or_default();
    if !parts.clone().any(begins) {
        return vec![Cow::Borrowed(line)];
    }
    parts
        .fold(vec![first.to_owned()], |mut each, part| {
            match each.last_mut().filter(|_| !begins(part)) {
                Some(last) => {
                    last.push_str(", ");
                    last.push_str(part);
                }
                None => each.push(part.to_owned()),
            }
            each
        })
        .into_iter()
        .map(Cow::Owned)
        .collect()
}

/// True for the name of a scheme or of a parameter (RFC 3261 §25.1), of the letters that those in use have.
fn is_token(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
}

/// A parameter of a challenge or of credentials as it was sent, quotes included: what Wireshark shows in
/// `sip.auth.realm` and its like. `header` is the long name, `nonce` tells which of several lines is meant.
pub fn as_sent(message: &Message<'_>, header: &str, nonce: &str, name: &str) -> Option<String> {
    message.header_lines(header).find_map(|line| {
        each_of(&line).into_iter().find_map(|one| {
            let (_, parameters) = scheme_and_parameters(&one);
            if parameters.get("nonce").unwrap_or_default() != nonce {
                return None;
            }
            let (_, rest) = one.trim().split_once(|c: char| c.is_ascii_whitespace())?;
            crate::sip::value::split_list(rest).find_map(|part| {
                let (known, value) = part.split_once('=')?;
                known.trim().eq_ignore_ascii_case(name).then(|| value.trim().to_owned())
            })
        })
    })
}

fn scheme_and_parameters(line: &str) -> (String, Parameters) {
    let (scheme, rest) = line.trim().split_once(|c: char| c.is_ascii_whitespace()).unwrap_or((line.trim(), ""));
    (scheme.to_owned(), Parameters::read(rest, b','))
}

fn algorithm(parameters: &Parameters) -> String {
    parameters.get("algorithm").filter(|name| !name.is_empty()).unwrap_or("MD5").to_owned()
}

fn read_challenge(header: &'static str, line: &str) -> Challenge {
    let (scheme, parameters) = scheme_and_parameters(line);
    let text = |name: &str| parameters.get(name).unwrap_or_default().to_owned();
    Challenge {
        header,
        scheme,
        realm: text("realm"),
        nonce: text("nonce"),
        algorithm: algorithm(&parameters),
        qop: text("qop").split(',').map(|word| word.trim().to_owned()).filter(|word| !word.is_empty()).collect(),
        stale: parameters.get("stale").is_some_and(|stale| stale.eq_ignore_ascii_case("true")),
    }
}

fn read_credentials(header: &'static str, line: &str) -> Credentials {
    let (scheme, parameters) = scheme_and_parameters(line);
    let text = |name: &str| parameters.get(name).unwrap_or_default().to_owned();
    Credentials {
        header,
        scheme,
        username: text("username"),
        realm: text("realm"),
        nonce: text("nonce"),
        uri: text("uri"),
        algorithm: algorithm(&parameters),
        nonce_count: parameters.get("nc").and_then(|count| u32::from_str_radix(count, 16).ok()),
        qop: text("qop"),
        asks_for_step: parameters.get("auts").is_some(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sip::message::Cut;

    #[test]
    fn challenges_that_are_joined_by_a_comma_are_several() {
        let line = "Digest realm=\"a, Basic b=\", algorithm=SHA-256, qop=\"auth\", Digest realm=\"a\", algorithm=MD5";
        let each = each_of(line);
        assert_eq!(each, [&line[..line.find(", Digest").unwrap()], "Digest realm=\"a\", algorithm=MD5"]);
        let one = "Digest username=\"x\", uri=\"sip:a b=c\", nc=00000001";
        assert_eq!(each_of(one), [one]);
        let no_parameter = "Digest a, b \u{c} c, d e, f $g=h, i j=k";
        assert_eq!(each_of(no_parameter), ["Digest a, b \u{c} c, d e, f $g=h", "i j=k"]);
    }

    #[test]
    fn challenge_and_credentials_are_read() {
        let response = b"SIP/2.0 401 Unauthorized\r\nWWW-Authenticate: Digest realm=\"a, b\", nonce=\"n=1\", stale=TRUE,\r\n qop=\"auth,auth-int\"\r\n\r\n";
        let message = Message::read(response, Cut::Whole).unwrap();
        let found = challenges(&message);
        assert_eq!(found.len(), 1);
        assert_eq!((found[0].realm.as_str(), found[0].nonce.as_str(), found[0].stale), ("a, b", "n=1", true));
        assert_eq!(found[0].qop, ["auth", "auth-int"]);
        let request = b"REGISTER sip:b SIP/2.0\r\nAuthorization: Digest username=\"u\",realm=\"a, b\",nc=0000000a,uri=\"sip:b\"\r\n\r\n";
        let message = Message::read(request, Cut::Whole).unwrap();
        assert_eq!(as_sent(&message, "Authorization", "", "Realm").as_deref(), Some("\"a, b\""));
        let found = credentials(&message);
        assert_eq!(
            (found[0].username.as_str(), found[0].nonce_count, found[0].algorithm.as_str()),
            ("u", Some(10), "MD5")
        );
    }
}
