//! Hides what must not leave a capture: digest values, passwords in URIs, media keys.
//!
//! Rules quote what a message says. So the secrets of a call are collected from its messages, and struck out wherever
//! they stand in its record. Bodies are never quoted at all. Where the user wants pseudonyms, who is named is collected
//! in the same way, and replaced.

use std::net::SocketAddr;
use std::ops::Range;
use std::sync::Arc;

use crate::call::Call;
use crate::report::persons::Persons;
use crate::report::pseudonyms::Pseudonyms;
use crate::sip::{HeaderName, Message, unfold};
use crate::untrusted::Untrusted;

/// What stands in the place of a secret.
const HIDDEN: &str = "(hidden)";
/// Secrets shorter than this would strike out ordinary words.
const SHORTEST: usize = 4;
/// Secrets of one call that are known at most.
const MOST: usize = 512;

/// What of a capture may be shown.
#[derive(Debug, Clone, Default)]
pub struct Privacy {
    /// Whether passwords, digest values and keys are shown.
    pub secrets: SecretsAre,
    /// What stands in the place of numbers, addresses and names, if that was asked for.
    pub pseudonyms: Option<Arc<Pseudonyms>>,
}

/// Whether secrets are shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum SecretsAre {
    /// They are struck out.
    #[default]
    Hidden,
    /// They are shown, because the user wants it.
    Shown,
}

/// The secrets of one call, and who is named in it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Secrets {
    are: SecretsAre,
    known: Vec<String>,
    persons: Option<Box<Persons>>,
}

impl Privacy {
    /// What to hide of a call.
    pub(crate) fn of(&self, call: &Call) -> Secrets {
        let mut secrets = self.of_nobody();
        for heard in &call.messages {
            secrets.collect(&heard.message);
        }
        secrets.known.truncate(MOST);
        secrets.finish();
        secrets
    }

    /// What to hide of one message.
    pub(crate) fn of_message(&self, message: &Message<'_>) -> Secrets {
        let mut secrets = self.of_nobody();
        secrets.collect(message);
        secrets.finish();
        secrets
    }

    /// What to hide where no message is known: what is known by its look.
    pub(crate) fn of_nobody(&self) -> Secrets {
        let persons = self.pseudonyms.as_ref().map(|pseudonyms| Box::new(Persons::new(Arc::clone(pseudonyms))));
        Secrets { are: self.secrets, known: Vec::new(), persons }
    }
}

impl Secrets {
    /// The text without secrets.
    pub(crate) fn hide(&self, text: &str) -> String {
        let shown = self.without_secrets(text);
        match &self.persons {
            Some(persons) => persons.replace(&shown),
            None => shown,
        }
    }

    /// The same for a sentence of ours, which quotes the capture.
    pub(crate) fn hide_in_sentence(&self, text: &Untrusted) -> Untrusted {
        let shown = self.without_secrets(text.raw());
        match &self.persons {
            Some(persons) => persons.replace_in_sentence(&shown).into(),
            None => shown.into(),
        }
    }

    fn without_secrets(&self, text: &str) -> String {
        let mut shown = text.to_owned();
        if self.are == SecretsAre::Hidden {
            for secret in &self.known {
                if shown.contains(secret.as_str()) {
                    shown = shown.replace(secret.as_str(), HIDDEN);
                }
            }
            if may_hold_a_password(shown.as_bytes()) {
                shown = hide_passwords(&shown);
            }
        }
        shown
    }

    /// The text with pseudonyms for persons and for secrets, which all keep their lengths: for a message that is to
    /// stay one. Equal secrets stay equal, because causes hang on it.
    pub(crate) fn replace_all(&self, text: &str) -> String {
        let Some(persons) = &self.persons else { return self.hide(text) };
        let mut shown = text.to_owned();
        for secret in &self.known {
            if shown.contains(secret.as_str()) {
                shown = shown.replace(secret.as_str(), &persons.pseudonyms().secret(secret));
            }
        }
        for at in shown.match_indices("sip").map(|(at, _)| at).collect::<Vec<_>>().into_iter().rev() {
            if let Some(place) = password_from(&shown, at) {
                let other = persons.pseudonyms().secret(shown.get(place.clone()).unwrap_or_default());
                shown.replace_range(place, &other);
            }
        }
        persons.replace(&shown)
    }

    /// The same for a text of a finding.
    pub(crate) fn hide_in(&self, text: &Untrusted) -> Untrusted {
        self.hide(text.raw()).into()
    }

    /// A Call-ID of a message of which nothing more is known.
    pub(crate) fn call_id(&self, call_id: &str) -> String {
        self.persons.as_ref().map_or_else(|| call_id.to_owned(), |persons| persons.call_id(call_id))
    }

    /// Text of a message of which nothing more is known.
    pub(crate) fn hide_blindly(&self, text: &str) -> String {
        self.persons.as_ref().map_or_else(|| self.hide(text), |persons| persons.replace_blindly(text))
    }

    /// An address with its port.
    pub(crate) fn socket(&self, address: SocketAddr) -> String {
        match &self.persons {
            Some(persons) => persons.pseudonyms().socket(address).to_string(),
            None => plain(address),
        }
    }

    /// The address of who is responsible: without a port where it has none, as who sent an ICMP error.
    pub(crate) fn party(&self, address: SocketAddr) -> String {
        match address.port() {
            0 => self.address(address.ip()),
            _ => self.socket(address),
        }
    }

    /// An address.
    pub(crate) fn address(&self, address: std::net::IpAddr) -> String {
        match &self.persons {
            Some(persons) => persons.pseudonyms().address(address).to_string(),
            None => address.to_string(),
        }
    }

    /// The user of a URI, or how it begins.
    pub(crate) fn user(&self, user: &str) -> String {
        match &self.persons {
            Some(persons) => persons.of_user(user),
            None => user.to_owned(),
        }
    }

    /// The name of a file: where persons are hidden, folders are too, for they may be named after somebody.
    pub(crate) fn file(&self, name: &str) -> String {
        match &self.persons {
            Some(persons) => persons.replace(name.rsplit('/').next().unwrap_or(name)),
            None => name.to_owned(),
        }
    }

    /// These and those of one more message, all of them, however many it has.
    pub(crate) fn with(&self, message: &Message<'_>) -> Secrets {
        let mut own = Secrets { known: Vec::new(), ..self.clone() };
        own.collect(message);
        own.known.extend(self.known.iter().cloned());
        own.finish();
        own
    }

    /// These and those who have these names, numbers, or addresses with a user.
    pub(crate) fn naming(&self, names: &[String]) -> Secrets {
        let mut own = self.clone();
        if let Some(persons) = &mut own.persons {
            persons.know_names(names);
            persons.finish();
        }
        own
    }

    /// True if the user wants to see them.
    pub(crate) fn are_shown(&self) -> bool {
        self.are == SecretsAre::Shown
    }

    fn finish(&mut self) {
        // A secret that holds another one must be struck out before it.
        self.known.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
        self.known.dedup();
        if let Some(persons) = &mut self.persons {
            persons.finish();
        }
    }

    fn collect(&mut self, message: &Message<'_>) {
        if let Some(persons) = &mut self.persons {
            persons.collect(message);
        }
        if self.are == SecretsAre::Shown {
            return;
        }
        let head = message.head();
        if may_hold_a_password(head) || names_a_secret(head) {
            self.collect_headers(message);
        }
        let body = message.body();
        if memchr::memmem::find(body, b"inline:").is_some() {
            self.collect_keys(&String::from_utf8_lossy(body));
        }
    }

    fn collect_headers(&mut self, message: &Message<'_>) {
        for (header, name, value) in message.raw_headers() {
            if self.known.len() >= MOST {
                return;
            }
            match Holds::of(header, name) {
                Holds::Credentials => self.collect_credentials(&unfold(value)),
                Holds::Secret => self.add(unfold(value).trim()),
                Holds::Address if may_hold_a_password(value) => self.collect_password(&unfold(value)),
                Holds::Address => {}
            }
        }
        if let Some(uri) = message.request_uri() {
            self.collect_password(&uri);
        }
    }

    /// `Digest …` has its secret parameters, every other scheme is a secret as a whole.
    fn collect_credentials(&mut self, value: &str) {
        let (scheme, rest) = value.trim().split_once(char::is_whitespace).unwrap_or(("", value));
        let is_list = rest.contains('=') && (rest.contains('"') || rest.contains(','));
        if !is_list && !scheme.is_empty() {
            return self.add(rest.trim());
        }
        for part in value.split(',') {
            let Some((name, secret)) = part.split_once('=') else { continue };
            let name = name.trim().rsplit(char::is_whitespace).next().unwrap_or_default().to_ascii_lowercase();
            if ["nonce", "cnonce", "nextnonce", "response", "rspauth", "opaque", "auts"].contains(&name.as_str()) {
                self.add(secret.trim().trim_matches('"'));
            }
        }
    }

    fn collect_password(&mut self, value: &str) {
        if !may_hold_a_password(value.as_bytes()) {
            return;
        }
        for (at, _) in value.match_indices("sip").chain(value.match_indices("SIP")) {
            if let Some(password) = password_from(value, at).and_then(|place| value.get(place)) {
                self.add(password);
            }
        }
    }

    fn collect_keys(&mut self, body: &str) {
        for (at, word) in body.match_indices("inline:") {
            let rest = body.get(at + word.len()..).unwrap_or_default();
            let key = rest.split(|c: char| c == '|' || c == ';' || c.is_whitespace()).next().unwrap_or_default();
            self.add(key);
        }
    }

    fn add(&mut self, secret: &str) {
        if secret.len() >= SHORTEST && !self.known.iter().any(|known| known == secret) {
            self.known.push(secret.to_owned());
        }
    }
}

/// What of a header is a secret.
enum Holds {
    /// Parameters of credentials (RFC 3261 §20.7).
    Credentials,
    /// All of it.
    Secret,
    /// The passwords of its URIs, if it has any.
    Address,
}

impl Holds {
    fn of(header: HeaderName, name: &[u8]) -> Holds {
        match header {
            HeaderName::Authorization
            | HeaderName::ProxyAuthorization
            | HeaderName::WwwAuthenticate
            | HeaderName::ProxyAuthenticate
            | HeaderName::AuthenticationInfo => return Holds::Credentials,
            HeaderName::Other => {}
            _ => return Holds::Address,
        }
        let letters = letters(name);
        if OF_CREDENTIALS.is_in(name, letters) {
            return Holds::Credentials;
        }
        if OF_SECRETS.iter().any(|part| part.is_in(name, letters)) { Holds::Secret } else { Holds::Address }
    }
}

/// A part of the name of a header, in lower case, with the letters that stand in it.
struct Part {
    word: &'static [u8],
    letters: u32,
}

impl Part {
    const fn new(word: &'static [u8]) -> Part {
        let (mut letters, mut at) = (0, 0);
        while at < word.len() {
            letters |= letter(word[at]);
            at += 1;
        }
        Part { word, letters }
    }

    /// True if a name in which these letters stand holds it.
    #[inline]
    fn is_in(&self, name: &[u8], letters: u32) -> bool {
        let is_here = |part: &[u8]| part.eq_ignore_ascii_case(self.word);
        self.letters & !letters == 0 && name.windows(self.word.len()).any(is_here)
    }
}

/// What the names of headers speak of that hold credentials, and of those that hold a secret as a whole.
const OF_CREDENTIALS: Part = Part::new(b"auth");
const OF_SECRETS: [Part; 5] =
    [Part::new(b"key"), Part::new(b"token"), Part::new(b"password"), Part::new(b"secret"), Part::new(b"cookie")];

/// A bit for a letter, small or capital; other characters share them.
const fn letter(byte: u8) -> u32 {
    1 << (byte & 31)
}

fn letters(name: &[u8]) -> u32 {
    name.iter().fold(0, |letters, byte| letters | letter(*byte))
}

/// An address with its port, as `Display` writes it. Those of IPv4, which stand beside every message, are written
/// without its many steps.
fn plain(address: SocketAddr) -> String {
    let SocketAddr::V4(address) = address else { return address.to_string() };
    let mut text = String::with_capacity("255.255.255.255:65535".len());
    for (octet, end) in address.ip().octets().into_iter().zip(['.', '.', '.', ':']) {
        push_number(&mut text, octet.into());
        text.push(end);
    }
    push_number(&mut text, address.port());
    text
}

fn push_number(text: &mut String, number: u16) {
    let mut unit = 10_000;
    while unit > number.max(1) {
        unit /= 10;
    }
    while unit > 0 {
        text.push(char::from(b'0' + (number / unit % 10) as u8));
        unit /= 10;
    }
}

/// False if no header of a message holds a secret by its name, as next to none does: to look at how lines begin is
/// cheaper than to tell the headers apart.
fn names_a_secret(head: &[u8]) -> bool {
    memchr::memchr_iter(b'\n', head).filter_map(|end| head.get(end + 1..)).any(|line| {
        let length = line.iter().position(|byte| matches!(byte, b':' | b'\n'));
        let name = length.and_then(|length| line.get(..length)).unwrap_or_default();
        let letters = letters(name);
        OF_CREDENTIALS.is_in(name, letters) || OF_SECRETS.iter().any(|part| part.is_in(name, letters))
    })
}

/// False if no URI in a text has a password, as next to none has: two colons would stand before its `@`, that of the
/// scheme and that of the password, and nothing between that ends a user.
fn may_hold_a_password(text: &[u8]) -> bool {
    let is_of_user = |byte: &&u8| !matches!(byte, b'<' | b'>' | b'"' | b'@' | b' ' | b'\t' | b'\r' | b'\n');
    memchr::memchr_iter(b'@', text).filter_map(|at| text.get(..at)).any(|before| {
        let user = before.iter().rev().take_while(is_of_user);
        user.filter(|byte| **byte == b':').nth(1).is_some()
    })
}

/// Where the password stands of the URI that begins at a place of a text: `sip:user:password@host`.
fn password_from(text: &str, start: usize) -> Option<Range<usize>> {
    let rest = text.get(start..)?.get(3..)?;
    let rest = rest.strip_prefix(['s', 'S']).unwrap_or(rest).strip_prefix(':')?;
    let begins = text.len() - rest.len();
    let end = rest.find(|c: char| c == '>' || c == '<' || c == '"' || c.is_whitespace()).unwrap_or(rest.len());
    let (user, _) = rest.get(..end)?.split_once('@')?;
    let (name, password) = user.split_once(':')?;
    let first = begins + name.len() + 1;
    (!password.is_empty()).then_some(first..first + password.len())
}

/// Passwords of URIs, however short.
fn hide_passwords(text: &str) -> String {
    let mut shown = text.to_owned();
    let starts: Vec<usize> = text.match_indices("sip").map(|(at, _)| at).collect();
    for at in starts.into_iter().rev() {
        if let Some(place) = password_from(&shown, at) {
            shown.replace_range(place, HIDDEN);
        }
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sip::Cut;

    #[test]
    fn digest_values_passwords_and_keys_are_struck_out() {
        let text = "INVITE sip:bob@example.net SIP/2.0\r\nContact: <sip:alice:hunter2000@192.0.2.1>\r\nAuthorization: \
                    Digest username=\"alice\", nonce=\"abcdefgh\", \
                    response=\"0123456789abcdef\"\r\nProxy-Authorization: Basic dXNlcjpw\r\n\r\na=crypto:1 AES \
                    inline:S0VZS0VZ|2^20\r\n";
        let mut secrets = Secrets::default();
        secrets.collect(&Message::read(text.as_bytes(), Cut::Whole).unwrap());
        let shown = secrets.hide(text);
        for secret in ["hunter2000", "abcdefgh", "0123456789abcdef", "dXNlcjpw", "S0VZS0VZ"] {
            assert!(!shown.contains(secret), "{secret} is shown");
        }
        assert!(shown.contains("alice"));
    }

    #[test]
    fn a_short_password_is_struck_out_where_it_stands() {
        assert_eq!(hide_passwords("<sip:a:pw@h> and pw"), "<sip:a:(hidden)@h> and pw");
        assert_eq!(hide_passwords("sip:a@h:5060"), "sip:a@h:5060");
    }
}
