//! Typed readings of single header values, each as tolerant as the message itself.

use std::borrow::Cow;
use std::net::IpAddr;

use memchr::memchr;

use crate::sip::escapes::{self, is_same_user, unescaped};
use crate::sip::method::Method;
use crate::sip::swift::{end_of_parameter, first_of, last_of, next_of, next_of_any, next_of_two};

/// Splits a comma list (RFC 3261 §7.3.1): commas in quotes or angle brackets do not separate. Empty values are left
/// out.
pub fn split_list(line: &str) -> impl Iterator<Item = &str> + Clone {
    split_outside(line, b',').map(str::trim).filter(|value| !value.is_empty())
}

/// Splits at a separator outside of quotes and angle brackets.
fn split_outside(line: &str, separator: u8) -> impl Iterator<Item = &str> + Clone {
    let mut rest = Some(line);
    std::iter::from_fn(move || {
        let text = rest?;
        let end = place_outside(text, separator);
        rest = end.and_then(|end| text.get(end.saturating_add(1)..));
        text.get(..end.unwrap_or(text.len()))
    })
}

/// Where a separator stands first outside of quotes and angle brackets.
fn place_outside(text: &str, separator: u8) -> Option<usize> {
    // Most texts hold one value alone, and most parts no quotes.
    memchr(separator, text.as_bytes())?;
    let is_telling = |byte: u8| byte == separator || matches!(byte, b'"' | b'<' | b'\\');
    let first = text.bytes().position(is_telling)?;
    let (mut quoted, mut bracketed, mut escaped) = (false, false, false);
    let at = text.bytes().skip(first).position(|byte| {
        match byte {
            _ if escaped => escaped = false,
            // Outside of quotes it has no meaning; some software writes \" there all the same.
            b'\\' => escaped = true,
            b'"' => quoted = !quoted,
            b'<' if !quoted => bracketed = true,
            b'>' if !quoted => bracketed = false,
            byte => return byte == separator && !quoted && !bracketed,
        }
        false
    })?;
    Some(first.saturating_add(at))
}

/// Parameters in order: `;name=value` (RFC 3261 §7.3.1). Names keep their spelling; quotes around values are taken off.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Parameters {
    /// Each name with its value behind it, one parameter behind the other: one place in memory, however many there are.
    text: String,
    ends: Vec<Ends>,
}

/// Where a name and its value end in the text; the name begins where the parameter before ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Ends {
    name: u32,
    /// `None` where there is no equals sign.
    value: Option<u32>,
}

impl Parameters {
    /// Reads what follows the first `;`, or a comma-separated list for `,` (RFC 3261 §25.1 auth-param).
    pub(crate) fn read(text: &str, separator: u8) -> Parameters {
        let mut parameters = Parameters { text: String::with_capacity(text.len()), ends: Vec::new() };
        for part in split_outside(text, separator) {
            let part = part.trim();
            if part.is_empty() {
                continue;
            }
            match part.split_once('=') {
                Some((name, value)) => parameters.push(name.trim(), Some(&unquote(value.trim()))),
                None => parameters.push(part, None),
            }
        }
        parameters
    }

    fn push(&mut self, name: &str, value: Option<&str>) {
        // A message is far shorter than what 32 bits count.
        let end = |text: &str| u32::try_from(text.len()).unwrap_or(u32::MAX);
        self.text.push_str(name);
        let name = end(&self.text);
        self.text.push_str(value.unwrap_or_default());
        self.ends.push(Ends { name, value: value.map(|_| end(&self.text)) });
    }

    /// The value of the first parameter of this name, in any case; an empty text if it has none.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value.unwrap_or_default())
    }

    /// True if there is a parameter of this name.
    pub fn has(&self, name: &str) -> bool {
        self.get(name).is_some()
    }

    /// Each parameter in order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, Option<&str>)> {
        let mut start = 0u32;
        self.ends.iter().map(move |ends| {
            let name = self.part(start, ends.name);
            let value = ends.value.map(|end| self.part(ends.name, end));
            start = ends.value.unwrap_or(ends.name);
            (name, value)
        })
    }

    fn part(&self, start: u32, end: u32) -> &str {
        self.text.get(start as usize..end as usize).unwrap_or_default()
    }
}

/// A quoted string without its quotes and escapes (RFC 3261 §25.1); anything else as it is.
pub(super) fn unquote(text: &str) -> Cow<'_, str> {
    let Some(inside) = text.strip_prefix('"') else { return Cow::Borrowed(text) };
    let inside = inside.strip_suffix('"').unwrap_or(inside);
    if !inside.contains('\\') {
        return Cow::Borrowed(inside);
    }
    let mut plain = String::with_capacity(inside.len());
    let mut characters = inside.chars();
    while let Some(character) = characters.next() {
        match character {
            '\\' => plain.extend(characters.next()),
            character => plain.push(character),
        }
    }
    Cow::Owned(plain)
}

/// A CSeq (RFC 3261 §20.16).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CSeq {
    /// The number, below 2³¹.
    pub number: u32,
    /// The method.
    pub method: Method,
}

impl CSeq {
    /// Reads a value; `None` if the number or the method is missing, or the number is 2³¹ or more.
    pub fn read(value: &[u8]) -> Option<CSeq> {
        let mut rest = value;
        let mut number = 0u64;
        while let [digit @ b'0'..=b'9', after @ ..] = rest {
            number = number.wrapping_mul(10).wrapping_add(u64::from(digit.wrapping_sub(b'0')));
            rest = after;
            if number >= 1 << 31 {
                return None;
            }
        }
        let number = number as u32;
        let has_digits = rest.len() < value.len();
        let [blank, method @ ..] = rest else { return None };
        // Nearly all send one blank and a method that is known.
        if let Some(method) = Method::known(method).filter(|_| has_digits && *blank == b' ') {
            return Some(CSeq { number, method });
        }
        let method = method.trim_ascii();
        let method = method.split(u8::is_ascii_whitespace).next().unwrap_or_default();
        let is_whole = has_digits && blank.is_ascii_whitespace() && !method.is_empty();
        is_whole.then(|| CSeq { number, method: Method::read(method) })
    }
}

/// A Via (RFC 3261 §20.42).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Via {
    /// The transport: `UDP`, `TCP`, `TLS`, `WSS` …, upper case.
    pub transport: String,
    /// Host of the sent-by, without brackets.
    pub host: String,
    /// Port of the sent-by.
    pub port: Option<u16>,
    /// The parameters.
    pub parameters: Parameters,
}

impl Via {
    /// The beginning of a branch that identifies the transaction alone (RFC 3261 §8.1.1.7).
    pub const COOKIE: &'static str = "z9hG4bK";

    /// Reads a value; what is missing stays empty.
    pub fn read(value: &str) -> Via {
        let (before, parameters) = value.split_once(';').unwrap_or((value, ""));
        // sent-protocol may hold spaces around its slashes (RFC 4475 §3.1.1.1).
        let mut protocol = before.trim().splitn(3, '/');
        let rest = protocol.nth(2).unwrap_or_default().trim();
        let (transport, sent_by) = rest.split_once(|c: char| c.is_ascii_whitespace()).unwrap_or((rest, ""));
        let (host, port) = host_and_port(sent_by.trim());
        Via {
            transport: transport.to_ascii_uppercase(),
            host: host.to_owned(),
            port,
            parameters: Parameters::read(parameters, b';'),
        }
    }

    /// The branch; empty if there is none.
    pub fn branch(&self) -> &str {
        self.parameters.get("branch").unwrap_or_default()
    }
}

/// The host, without brackets, and the port of `host:port`, `[v6]:port`, or either alone.
pub fn host_and_port(text: &str) -> (&str, Option<u16>) {
    let text = text.trim();
    if let Some(inside) = text.strip_prefix('[') {
        let (host, rest) = inside.split_once(']').unwrap_or((inside, ""));
        return (host, rest.trim().strip_prefix(':').and_then(|port| port.trim().parse().ok()));
    }
    match text.rsplit_once(':') {
        // More than one colon without brackets is an IPv6 address and no port.
        Some((host, _)) if host.contains(':') => (text, None),
        Some((host, port)) => (host.trim(), port.trim().parse().ok()),
        None => (text, None),
    }
}

/// A name-addr or addr-spec with the parameters of its header (RFC 3261 §20.10, §20.20, §20.39).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct NameAddr {
    /// The display name, without quotes.
    pub display: String,
    /// The URI as it was sent.
    pub uri: String,
    /// The header's parameters (`tag`, `expires`, `q` …).
    pub parameters: Parameters,
}

impl NameAddr {
    /// Reads a value; what is missing stays empty.
    pub fn read(value: &str) -> NameAddr {
        match opening_bracket(value.as_bytes()) {
            Some(opening) => {
                let display = unquote(value.get(..opening).unwrap_or_default().trim()).into_owned();
                let inside = value.get(opening.saturating_add(1)..).unwrap_or_default();
                let (uri, rest) = inside.split_once('>').unwrap_or((inside, ""));
                let parameters = rest.split_once(';').map_or("", |(_, parameters)| parameters);
                NameAddr { display, uri: uri.trim().to_owned(), parameters: Parameters::read(parameters, b';') }
            }
            None => {
                let (uri, parameters) = value.split_once(';').unwrap_or((value, ""));
                NameAddr {
                    display: String::new(),
                    uri: uri.trim().to_owned(),
                    parameters: Parameters::read(parameters, b';'),
                }
            }
        }
    }

    /// The tag; `None` if there is none.
    pub fn tag(&self) -> Option<&str> {
        self.parameters.get("tag").filter(|tag| !tag.is_empty())
    }

    /// The URI, read.
    pub fn parsed(&self) -> Uri {
        Uri::read(&self.uri)
    }
}

/// A URI (RFC 3261 §19.1, RFC 3966), read as far as it goes.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Uri {
    /// The scheme, lower case: `sip`, `sips`, `tel`, `urn`.
    pub scheme: String,
    /// The user part without password, or the number of a `tel` URI; empty if there is none.
    pub user: String,
    /// The host without brackets; empty for `tel` and `urn`.
    pub host: String,
    /// The port.
    pub port: Option<u16>,
    /// The parameters behind the host.
    pub parameters: Parameters,
}

impl Uri {
    /// Reads a URI; what is missing stays empty. A password is left out (RFC 3261 §19.1.1 advises against it).
    pub fn read(text: &str) -> Uri {
        let parts = UriParts::read(text);
        Uri {
            scheme: parts.scheme.to_ascii_lowercase(),
            user: parts.user.to_owned(),
            host: parts.host.to_owned(),
            port: parts.port,
            parameters: Parameters::read(parts.parameters, b';'),
        }
    }

    /// The user part without its own parameters (`+1555;phone-context=…`), escapes as sent.
    pub fn bare_user(&self) -> &str {
        self.user.split_once(';').map_or(self.user.as_str(), |(user, _)| user)
    }

    /// The same without escapes, for what is compared: an address-of-record, a number, the user of credentials (RFC 3261
    /// §10.3).
    pub fn plain_user(&self) -> Cow<'_, str> {
        unescaped(self.bare_user())
    }

    /// True if both name the same user at the same host (RFC 3261 §19.1.4, RFC 5954 §4.2): port, parameters, scheme,
    /// the case of the host, how an IPv6 address is written and letters escaped without need do not count.
    pub fn is_same_target(&self, other: &Uri) -> bool {
        is_same_host(&self.host, &other.host) && is_same_user(&self.user, &other.user)
    }

    /// True if it names the service of emergency, or a kind of it (RFC 5031 §4.2: `urn:service:sos.fire`).
    pub fn calls_for_help(&self) -> bool {
        let kind = self.user.strip_prefix("service:sos").filter(|_| self.scheme == "urn");
        kind.is_some_and(|kind| kind.is_empty() || kind.starts_with('.'))
    }

    /// True if it names a service, which has no user and no device (RFC 5031 §4.2: `urn:service:sos`,
    /// `urn:service:counseling`).
    pub fn is_service(&self) -> bool {
        self.scheme == "urn" && self.user.starts_with("service:")
    }

    /// The URN of a service as it is written: `urn:service:sos.fire`.
    pub fn service_name(&self) -> String {
        format!("urn:{}", self.user)
    }

    /// True if the user part is a telephone number: digits, visual separators, an optional `+`, `*`, `#` (RFC 3966).
    pub fn is_number(&self) -> bool {
        escapes::is_number(&self.plain_user())
    }
}

/// True if both are the same name or address.
fn is_same_host(one: &str, other: &str) -> bool {
    let address = |host: &str| host.parse::<IpAddr>().ok();
    one.eq_ignore_ascii_case(other) || address(one).is_some_and(|one| Some(one) == address(other))
}

/// The parts of a [`Uri`], where they stand. For look-ups that most messages need.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct UriParts<'a> {
    scheme: &'a str,
    user: &'a str,
    /// The host without brackets.
    pub(crate) host: &'a str,
    pub(crate) port: Option<u16>,
    parameters: &'a str,
}

impl<'a> UriParts<'a> {
    /// Reads a URI; what is missing stays empty.
    pub(crate) fn read(text: &'a str) -> UriParts<'a> {
        let text = text.trim().trim_start_matches('<').trim_end_matches('>');
        let (scheme, rest) = split_at::<b':'>(text).unwrap_or(("", text));
        if !scheme.eq_ignore_ascii_case("sip") && !scheme.eq_ignore_ascii_case("sips") {
            let (user, parameters) = split_at::<b';'>(rest).unwrap_or((rest, ""));
            return UriParts { scheme, user, parameters, ..UriParts::default() };
        }
        let rest = split_at::<b'?'>(rest).map_or(rest, |(before, _)| before);
        let (user, host) = rest.rsplit_once('@').unwrap_or(("", rest));
        let user = split_at::<b':'>(user).map_or(user, |(user, _)| user);
        let (host, parameters) = split_at::<b';'>(host).unwrap_or((host, ""));
        let (host, port) = host_and_port(host);
        UriParts { scheme, user, host, port, parameters }
    }

    /// The user part without its own parameters, as [`Uri::bare_user`] gives it.
    pub(crate) fn bare_user(self) -> &'a str {
        split_at::<b';'>(self.user).map_or(self.user, |(user, _)| user)
    }
}

/// What stands before the first of a separator that is near, and behind it.
fn split_at<const SEPARATOR: u8>(text: &str) -> Option<(&str, &str)> {
    let at = first_of::<SEPARATOR>(text.as_bytes())?;
    Some((text.get(..at)?, text.get(at.saturating_add(1)..)?))
}

/// Bytes as text; what is not UTF-8 becomes U+FFFD. Nearly all of it is, which the first look takes for granted.
pub(crate) fn text(bytes: &[u8]) -> Cow<'_, str> {
    std::str::from_utf8(bytes).map_or_else(|_| String::from_utf8_lossy(bytes), Cow::Borrowed)
}

/// The first letters of a text, at most so many.
pub(crate) fn first_letters(text: &str, most: usize) -> &str {
    // No letter takes less than a byte.
    if text.len() <= most {
        return text;
    }
    let end = text.char_indices().nth(most).map_or(text.len(), |(end, _)| end);
    text.get(..end).unwrap_or_default()
}

/// The branch of the topmost Via as bytes: the cheap way for correlation. Empty if there is none.
pub(crate) fn top_branch(via: &[u8]) -> &[u8] {
    parameter::<b',', 6>(via, 0, b"branch")
}

/// The tag of a From or To as bytes; empty if there is none.
pub(crate) fn tag(value: &[u8]) -> &[u8] {
    only_parameter_as_tag(value).unwrap_or_else(|| tag_among_parameters(value))
}

/// The tag of what nearly all send: `<…>;tag=…` and nothing behind it.
fn only_parameter_as_tag(value: &[u8]) -> Option<&[u8]> {
    let separator = last_of::<b';'>(value)?;
    let (address, parameter) = value.split_at_checked(separator)?;
    let tag = parameter.strip_prefix(b";tag=").filter(|tag| !tag.is_empty())?;
    let is_all = || end_of_parameter(value, separator.saturating_add(b";tag=".len())) == value.len();
    (address.ends_with(b">") && is_all()).then_some(tag)
}

fn tag_among_parameters(value: &[u8]) -> &[u8] {
    let bracketed = match value {
        // A quoted name may hold brackets, too.
        [b'"', ..] => match next_of_two::<b'"', b'\\'>(value, 1) {
            Some(at) if value.get(at) == Some(&b'"') => at,
            _ => memchr::memrchr(b'>', value).unwrap_or(0),
        },
        _ => 0,
    };
    let after = next_of::<b'>'>(value, bracketed).map_or(bracketed, |at| at.saturating_add(1));
    parameter::<b';', 3>(value, after, b"tag")
}

/// The same where a quoted name without escapes stands before it, and nothing else that is quoted.
fn bracket_behind_plain_name(value: &[u8]) -> Option<usize> {
    let closing = next_of_two::<b'"', b'\\'>(value, 1).filter(|at| value.get(*at) == Some(&b'"'))?;
    let next = next_of_any(value, closing.saturating_add(1), b"<\"\\")?;
    (value.get(next) == Some(&b'<')).then_some(next)
}

/// Where the bracket before a URI stands: the first outside of a quoted name, in which quotes may be escaped.
fn opening_bracket(value: &[u8]) -> Option<usize> {
    let plain = match value {
        [b'<', ..] => Some(0),
        [b'"', ..] => bracket_behind_plain_name(value),
        _ => None,
    };
    plain.or_else(|| bracket_outside_of_quotes(value))
}

fn bracket_outside_of_quotes(value: &[u8]) -> Option<usize> {
    let (mut quoted, mut escaped) = (false, false);
    value.iter().position(|byte| {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => quoted = !quoted,
            b'<' => return !quoted,
            _ => {}
        }
        false
    })
}

/// The URI of a From, To or Contact as bytes, as [`NameAddr::read`] finds it. For look-ups that most messages need.
pub(crate) fn uri_of(value: &[u8]) -> &[u8] {
    let uri = match opening_bracket(value) {
        Some(opening) => {
            let inside = value.get(opening.saturating_add(1)..).unwrap_or_default();
            inside.get(..memchr(b'>', inside).unwrap_or(inside.len()))
        }
        None => value.get(..memchr(b';', value).unwrap_or(value.len())),
    };
    uri.unwrap_or_default().trim_ascii()
}

/// The user part of the URI in a From or To as bytes; `None` where nobody is named. For what most messages are matched
/// by.
pub(crate) fn user_of(value: &[u8]) -> Option<&[u8]> {
    let uri = next_of::<b'<'>(value, 0).map_or(0, |at| at.saturating_add(1));
    let user = next_of::<b':'>(value, uri)?.saturating_add(1);
    let user = value.get(user..next_of_two::<b'@', b'>'>(value, user)?)?;
    (!user.is_empty()).then_some(user)
}

/// The value of `;name=value` in bytes, looked for from `from` on up to the separator `END` of values, or to the end if
/// that is `;`. Asked of every message: most parameters are passed by at their first letter.
fn parameter<'a, const END: u8, const N: usize>(value: &'a [u8], from: usize, name: &[u8; N]) -> &'a [u8] {
    let first = name.first().copied().unwrap_or_default();
    let up_to_its_end = |start: usize| value.get(start..end_of_parameter(value, start)).unwrap_or_default();
    let behind = |rest: &[u8]| value.len().saturating_sub(rest.len());
    let mut at = from;
    while let Some(separator) = next_of_two::<b';', END>(value, at) {
        let Some([b';', rest @ ..]) = value.get(separator..) else { break };
        at = behind(rest);
        // What nearly all send: no blanks, and the name in the letters of the RFC.
        if let Some([b'=', found @ ..]) = rest.strip_prefix(name)
            && found.first().is_some_and(u8::is_ascii_graphic)
        {
            return up_to_its_end(behind(found));
        }
        let rest = rest.trim_ascii_start();
        if rest.first().is_none_or(|byte| byte | 0x20 != first) {
            continue;
        }
        let Some((sent, after)) = rest.split_first_chunk::<N>() else { continue };
        if let (true, Some(found)) = (sent.eq_ignore_ascii_case(name), after.trim_ascii_start().strip_prefix(b"=")) {
            return up_to_its_end(behind(found.trim_ascii_start()));
        }
    }
    &[]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_split_outside_quotes_and_brackets() {
        let line = r#""Bell, A" <sip:a,b@example.com>;q=1, <sip:b@example.com> ,, *"#;
        let values: Vec<&str> = split_list(line).collect();
        assert_eq!(values, [r#""Bell, A" <sip:a,b@example.com>;q=1"#, "<sip:b@example.com>", "*"]);
    }

    #[test]
    fn via_with_spaces_and_ipv6() {
        let via = Via::read("SIP / 2.0 / UDP [2001:db8::1]:5070 ;branch = z9hG4bKa ; rport");
        assert_eq!((via.transport.as_str(), via.host.as_str(), via.port), ("UDP", "2001:db8::1", Some(5070)));
        assert_eq!((via.branch(), via.parameters.has("rport")), ("z9hG4bKa", true));
        assert_eq!(top_branch(b"SIP/2.0/UDP h;rport;branch=z9hG4bKa, SIP/2.0/UDP g;branch=x"), b"z9hG4bKa");
    }

    #[test]
    fn addresses_in_all_forms() {
        let escaped = r#""A <sip:x@y> \" ; c" <sip:a@b;x=y>;tag=1"#;
        assert_eq!((NameAddr::read(escaped).uri.as_str(), NameAddr::read(escaped).tag()), ("sip:a@b;x=y", Some("1")));
        assert_eq!((uri_of(escaped.as_bytes()), tag(escaped.as_bytes())), (&b"sip:a@b;x=y"[..], &b"1"[..]));
        let to = NameAddr::read(r#""Q \"x\" <y" <sip:b:secret@[2001:db8::2]:5062;transport=tcp?x=y>;tag=t1"#);
        assert_eq!((to.display.as_str(), to.tag()), (r#"Q "x" <y"#, Some("t1")));
        let uri = to.parsed();
        assert_eq!((uri.user.as_str(), uri.host.as_str(), uri.port), ("b", "2001:db8::2", Some(5062)));
        assert_eq!(tag(br#""tag=no" <sip:a@b;tag=no>;x=y; tag=yes"#), b"yes");
        assert_eq!(NameAddr::read("sip:a@b;tag=t").tag(), Some("t"));
        assert!(Uri::read("tel:+1-555-0100;phone-context=x").is_number());
        assert!(!Uri::read("sip:bob@example.com").is_number());
    }

    #[test]
    fn the_same_target_may_be_written_in_several_ways() {
        let is_same = |one, other| Uri::read(one).is_same_target(&Uri::read(other));
        assert!(is_same("sip:201@[2001:DB8:1::20]:5061", "sip:201@[2001:db8:1:0::20]"));
        assert!(is_same("sip:%32%30%31@Example.com", "sip:201@example.com"));
        assert!(!is_same("sip:a%40b@example.com", "sip:a@b@example.com"));
        assert!(!is_same("sip:20%@example.com", "sip:20@example.com"));
    }

    #[test]
    fn users_are_read_from_headers_of_all_forms() {
        assert_eq!(user_of(b"\"Alice\" <sip:1001@example.com>;tag=1"), Some(&b"1001"[..]));
        assert_eq!(user_of(b"sip:bob@example.com;tag=2"), Some(&b"bob"[..]));
        assert_eq!(user_of(b"<tel:+15550100>"), Some(&b"+15550100"[..]));
        assert_eq!(user_of(b"<sip:example.com>"), Some(&b"example.com"[..]));
    }

    #[test]
    fn cseq_is_a_number_below_two_to_the_31_and_a_method() {
        assert_eq!(CSeq::read(b"0009  INVITE").map(|c| c.number), Some(9));
        for value in [&b"4294967296 INVITE"[..], b"-1 INVITE", b"INVITE", b"7", b""] {
            assert_eq!(CSeq::read(value), None);
        }
    }
}
