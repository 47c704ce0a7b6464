//! Who is named in the messages of a call, and their pseudonyms wherever they stand in a text.
//!
//! Numbers and names are taken from where a message says what they are: URIs, display names, user names, realms, hosts.
//! From then on they are replaced wherever they stand. Addresses are known by their look.

use std::collections::BTreeMap;
use std::net::Ipv6Addr;
use std::sync::Arc;

use crate::net::without_service;
use crate::report::passports::{self, Named, hosts_of_pages};
use crate::report::pseudonyms::{Pseudonyms, Replaced};
use crate::report::spellings::{dotted, in_the_case_of, international, is_number, is_our_word, uris};
use crate::sip::{Message, unescaped};

/// Numbers shorter than this are replaced only where a URI names them: a code or a count may look the same.
const SHORTEST_NUMBER: usize = 4;
/// Numbers from this length on are replaced inside longer words too.
const UNMISTAKABLE: usize = 7;
/// Names shorter than this are replaced only where a URI names them.
const SHORTEST_NAME: usize = 3;
/// Values of one call that are known at most; of a message that has more, every URI is replaced all the same.
const MOST: usize = 512;
/// Names that are taken from one header.
const MOST_NAMES: usize = 8;
/// Words that name a role and nobody in particular.
const NOBODY: [&str; 24] = [
    "anonymous",
    "unknown",
    "unavailable",
    "restricted",
    "asterisk",
    "proxy",
    "server",
    "gateway",
    "invalid",
    "localhost",
    "sip",
    "sips",
    "sipp",
    "pbx",
    "trunk",
    "phone",
    "user",
    "invite",
    "register",
    "options",
    "call",
    "udp",
    "tcp",
    "tls",
];

/// Who wrote a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Written {
    /// A party of the capture.
    ByOthers,
    /// This program, quoting parties of the capture.
    ByUs,
}

impl Written {
    /// By whom the text goes on behind a quotation mark.
    fn other(self) -> Written {
        match self {
            Written::ByOthers => Written::ByUs,
            Written::ByUs => Written::ByOthers,
        }
    }
}

/// Values of a call with their pseudonyms.
#[derive(Debug, Clone)]
pub(crate) struct Persons {
    pseudonyms: Arc<Pseudonyms>,
    /// In lower case.
    known: BTreeMap<String, String>,
    /// By their first byte, the longest first.
    by_first: BTreeMap<u8, Vec<(String, String)>>,
    /// Signed tokens, and what stands for each.
    tokens: BTreeMap<String, String>,
}

impl Persons {
    pub(crate) fn new(pseudonyms: Arc<Pseudonyms>) -> Persons {
        Persons { pseudonyms, known: BTreeMap::new(), by_first: BTreeMap::new(), tokens: BTreeMap::new() }
    }

    pub(crate) fn pseudonyms(&self) -> &Pseudonyms {
        &self.pseudonyms
    }

    /// Learns who is named in a message.
    pub(crate) fn collect(&mut self, message: &Message<'_>) {
        let text = String::from_utf8_lossy(message.bytes());
        for uri in uris(&text) {
            self.know_user(uri.user);
            self.know_host(uri.host);
        }
        hosts_of_pages(&text).for_each(|host| self.know_host(host));
        international(&text).for_each(|number| self.know_user(number));
        for (name, value) in message.all_headers() {
            let lower = name.to_ascii_lowercase();
            match lower.as_str() {
                _ if lower.contains("auth") => self.collect_parameters(&value),
                "p-visited-network-id" => self.know_host(value.trim().trim_matches('"')),
                "p-charging-vector" => self.collect_networks(&value),
                "identity" | "y" => self.collect_token(passports::token(&value)),
                "organization" => self.know_name(&value),
                "warning" => self.know_host(value.split([' ', ':']).nth(1).unwrap_or_default()),
                _ if value.contains('<') => self.know_display_name(&value),
                _ => {}
            }
        }
        // Some leave out the scheme.
        for address in [message.from(), message.to()].into_iter().flatten() {
            if let Some((user, host)) = address.uri.split_once('@').filter(|(user, _)| !user.contains(':')) {
                self.know_user(user);
                self.know_host(host.split([':', ';']).next().unwrap_or_default());
            }
        }
        for via in message.vias() {
            self.know_host(&via.host);
        }
        let call_id = String::from_utf8_lossy(message.call_id());
        if let Some((_, host)) = call_id.rsplit_once('@') {
            self.know_host(host);
        }
        self.collect_description(&String::from_utf8_lossy(message.body()));
    }

    /// Learns names that stand in no message of the call: numbers and users of other calls; hosts, with or without the
    /// service before them (`_sip._udp.`, RFC 2782); of certificates, which may be any words.
    pub(crate) fn know_names(&mut self, names: &[String]) {
        for name in names {
            let name = name.trim_start_matches("sips:").trim_start_matches("sip:");
            let name = match name.split_once('@') {
                Some((user, host)) => {
                    self.know_user(user);
                    host
                }
                None if is_number(name) => {
                    self.know_user(name);
                    continue;
                }
                None => name,
            };
            let host = without_service(name.trim_start_matches("*."));
            match host.contains(char::is_whitespace) {
                true => self.know_name(host),
                false => self.know_host(host),
            }
        }
    }

    /// To be called when all is learned.
    pub(crate) fn finish(&mut self) {
        self.by_first.clear();
        for (own, other) in &self.known {
            let first = own.as_bytes().first().copied().unwrap_or_default();
            self.by_first.entry(first).or_default().push((own.clone(), other.clone()));
        }
        for values in self.by_first.values_mut() {
            values.sort_by_key(|(own, _)| std::cmp::Reverse(own.len()));
        }
        let strike = |part: &str| self.pseudonyms.secret(part);
        let rewritten = |token: &String| passports::rewritten(token, |said| self.replace(said), strike);
        self.tokens = self.tokens.keys().map(|token| (token.clone(), rewritten(token))).collect();
    }

    /// The text with pseudonyms.
    pub(crate) fn replace(&self, text: &str) -> String {
        self.replaced(text, Written::ByOthers)
    }

    /// The same for a sentence of ours: its own words stay, though somebody bears such a name.
    pub(crate) fn replace_in_sentence(&self, text: &str) -> String {
        self.replaced(text, Written::ByUs)
    }

    fn replaced(&self, text: &str, written: Written) -> String {
        let text = self.replace_uris(text);
        let mut by_whom = written;
        let mut shown = String::with_capacity(text.len());
        let mut at = 0;
        while let Some(rest) = text.get(at..).filter(|rest| !rest.is_empty()) {
            let before = text.get(..at).and_then(|before| before.chars().next_back());
            let found =
                self.token(rest).or_else(|| self.address(rest, before)).or_else(|| self.value(rest, before, by_whom));
            match found {
                Some((length, other)) => {
                    shown.push_str(&other);
                    at += length;
                }
                None => {
                    let letter = rest.chars().next().unwrap_or_default();
                    shown.push(letter);
                    at += letter.len_utf8();
                    // What we write in quotation marks is theirs, and what they write is theirs throughout.
                    if letter == '"' && written == Written::ByUs {
                        by_whom = by_whom.other();
                    }
                }
            }
        }
        shown
    }

    /// The same for a Call-ID of which nothing more is known: what stands behind its `@` is a host.
    pub(crate) fn call_id(&self, call_id: &str) -> String {
        match call_id.rsplit_once('@') {
            Some((local, host)) if host.parse::<std::net::IpAddr>().is_err() => {
                format!("{}@{}", self.replace(local), self.pseudonyms.host(host))
            }
            _ => self.replace(call_id),
        }
    }

    /// The same for text of a message of which nothing more is known: numbers are known by their length.
    pub(crate) fn replace_blindly(&self, text: &str) -> String {
        let mut shown = String::with_capacity(text.len());
        let mut rest = text;
        while let Some(start) = rest.find(|letter: char| letter.is_ascii_digit()) {
            let (before, from) = rest.split_at(start);
            let end = from.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(from.len());
            let (digits, behind) = from.split_at(end);
            shown.push_str(before);
            match digits.len() >= UNMISTAKABLE {
                true => shown.push_str(&self.pseudonyms.number(digits)),
                false => shown.push_str(digits),
            }
            rest = behind;
        }
        shown.push_str(rest);
        self.replace(&shown)
    }

    /// Users and hosts of URIs, however short: what stands there can be nothing else.
    fn replace_uris(&self, text: &str) -> String {
        let mut shown = text.to_owned();
        let is_new = |value: &str| !value.is_empty() && !self.known.contains_key(&value.to_ascii_lowercase());
        for uri in uris(text).into_iter().rev() {
            let is_name = uri.host.parse::<std::net::IpAddr>().is_err() && !NOBODY.contains(&uri.host);
            if is_new(uri.host) && is_name {
                shown.replace_range(uri.host_at..uri.host_at + uri.host.len(), &self.pseudonyms.host(uri.host));
            }
            if is_new(uri.user) {
                shown.replace_range(uri.user_at..uri.user_at + uri.user.len(), &self.of_user(uri.user));
            }
        }
        shown
    }

    /// An address that begins here: its length, and what stands for it.
    fn address(&self, rest: &str, before: Option<char>) -> Option<(usize, String)> {
        if !self.pseudonyms.replaces(Replaced::Addresses) {
            return None;
        }
        // Digits before it may be of another number that some clients put in front of it: `4ce4a41192.168.1.2`.
        let digits = rest.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(rest.len());
        if digits > 0 && !before.is_some_and(|letter| letter.is_ascii_digit()) {
            let first = (digits.saturating_sub(3)..digits).find_map(|at| Some((at, dotted(rest.get(at..)?)?)));
            if let Some((at, (length, separator, address))) =
                first.filter(|(at, (_, separator, _))| *at == 0 || *separator == ".")
            {
                let other = self.pseudonyms.address(address.into()).to_string().replace('.', separator);
                return Some((at + length, format!("{}{other}", rest.get(..at)?)));
            }
        }
        if before.is_some_and(|letter| letter.is_alphanumeric() || letter == ':') {
            return None;
        }
        let length = rest.find(|letter: char| !letter.is_ascii_hexdigit() && letter != ':').unwrap_or(rest.len());
        let literal = rest.get(..length)?.trim_end_matches(':');
        if literal.matches(':').count() < 2 {
            return None;
        }
        // What ends with two colons is one too; what ends with one belongs to a sentence.
        let whole = rest.get(..length)?;
        let literal = if whole.ends_with("::") { whole } else { literal };
        let address: Ipv6Addr = literal.parse().ok()?;
        Some((literal.len(), self.pseudonyms.address(address.into()).to_string()))
    }

    /// A signed token that begins here.
    fn token(&self, rest: &str) -> Option<(usize, String)> {
        let (token, other) = self.tokens.iter().find(|(token, _)| rest.starts_with(token.as_str()))?;
        Some((token.len(), other.clone()))
    }

    /// A known value that begins here, in a quotation or among words of ours.
    fn value(&self, rest: &str, before: Option<char>, written: Written) -> Option<(usize, String)> {
        let is_word = |letter: char| letter.is_alphanumeric();
        let first = rest.as_bytes().first()?.to_ascii_lowercase();
        self.by_first.get(&first)?.iter().find_map(|(own, other)| {
            let here = rest.get(..own.len())?;
            if !here.eq_ignore_ascii_case(own) {
                return None;
            }
            let is_digits = own.bytes().all(|byte| byte.is_ascii_digit());
            let after = rest.get(own.len()..).and_then(|after| after.chars().next());
            let is_alone = match is_digits && own.len() >= UNMISTAKABLE {
                true => !before.is_some_and(|letter| letter.is_ascii_digit()),
                false => !before.is_some_and(is_word) && !after.is_some_and(is_word),
            };
            let is_in_an_address = matches!(before, Some('@' | ':' | '=')) || after == Some('@');
            let is_ours = || written == Written::ByUs && !is_in_an_address && is_our_word(own);
            (is_alone && !is_ours()).then(|| (own.len(), in_the_case_of(here, other)))
        })
    }

    /// The pseudonym of a user, or of how a user begins.
    pub(crate) fn of_user(&self, user: &str) -> String {
        if is_number(user) {
            return self.pseudonyms.number(user);
        }
        match user.parse::<std::net::IpAddr>() {
            Ok(address) => self.pseudonyms.address(address).to_string(),
            Err(_) if NOBODY.contains(&user.to_ascii_lowercase().as_str()) => user.to_owned(),
            Err(_) => self.pseudonyms.name(user),
        }
    }

    fn know_user(&mut self, user: &str) {
        if is_number(user) {
            let digits: String = user.chars().filter(char::is_ascii_digit).collect();
            if digits.len() >= SHORTEST_NUMBER {
                let other = self.pseudonyms.number(&digits);
                self.know(&digits, other);
            }
            // As it is written, with its signs.
            let plain = user.trim_start_matches('+');
            if plain != digits && digits.len() >= SHORTEST_NUMBER {
                let other = self.pseudonyms.number(plain);
                self.know(plain, other);
            }
        } else {
            // A registrar keeps it without escapes, and so may it be named.
            if user.contains('%') {
                self.know_name(&unescaped(user));
            }
            self.know_name(user);
        }
    }

    fn know_name(&mut self, name: &str) {
        let name = name.trim().trim_matches('"').trim();
        if name.chars().count() < SHORTEST_NAME || NOBODY.contains(&name.to_ascii_lowercase().as_str()) {
            return;
        }
        if is_number(name) {
            return self.know_user(name);
        }
        if name.parse::<std::net::IpAddr>().is_err() {
            let other = self.pseudonyms.name(name);
            self.know(name, other);
        }
    }

    fn know_host(&mut self, host: &str) {
        let host = host.trim_matches(['[', ']']);
        let is_address = host.parse::<std::net::IpAddr>().is_ok();
        let is_nobody = NOBODY.contains(&host) || host.ends_with(".invalid");
        if !is_address && !is_nobody && host.chars().count() >= SHORTEST_NAME {
            let other = self.pseudonyms.host(host);
            self.know(host, other);
        }
    }

    fn know_display_name(&mut self, value: &str) {
        for before in value.split('<').take(MOST_NAMES) {
            let before = before.trim();
            // A name in quotation marks may hold commas; any other begins behind an earlier address of the list.
            let name = match before.strip_suffix('"') {
                Some(quoted) => quoted.rsplit('"').next().unwrap_or_default(),
                None => before.rsplit([',', '>']).next().unwrap_or_default().trim(),
            };
            if !name.contains('=') && !name.contains(';') {
                self.know_name(name);
            }
        }
    }

    fn collect_parameters(&mut self, value: &str) {
        for part in value.split(',') {
            let Some((name, value)) = part.split_once('=') else { continue };
            let name = name.trim().rsplit(char::is_whitespace).next().unwrap_or_default().to_ascii_lowercase();
            let value = value.trim().trim_matches('"');
            match name.as_str() {
                "username" => {
                    // A private identity of an IMS network names its host, too (3GPP TS 23.003 §13.3).
                    let (user, host) = value.split_once('@').unwrap_or((value, ""));
                    self.know_user(user);
                    self.know_host(host);
                }
                "realm" => self.know_host(value),
                _ => {}
            }
        }
    }

    /// Who is named in a signed token, and the token.
    fn collect_token(&mut self, token: &str) {
        for named in passports::named(token) {
            match named {
                Named::User(user) => self.know_user(&user),
                Named::Name(name) => self.know_name(&name),
                Named::Host(host) => self.know_host(&host),
                Named::Uri(text) => {
                    for uri in uris(&text) {
                        self.know_user(uri.user);
                        self.know_host(uri.host);
                    }
                }
            }
        }
        if !token.is_empty() && self.tokens.len() < MOST {
            self.tokens.insert(token.to_owned(), String::new());
        }
    }

    /// The networks that are named in a P-Charging-Vector (RFC 7315 §4.6).
    fn collect_networks(&mut self, value: &str) {
        for (name, value) in value.split(';').filter_map(|part| part.split_once('=')) {
            if matches!(
                name.trim().to_ascii_lowercase().as_str(),
                "orig-ioi" | "term-ioi" | "transit-ioi" | "icid-generated-at"
            ) {
                self.know_host(value.trim().trim_matches('"'));
            }
        }
    }

    /// Who is named in a session description (RFC 8866 §5.2, §5.3, §5.6).
    fn collect_description(&mut self, body: &str) {
        for line in body.lines() {
            match line.split_once('=') {
                Some(("o", origin)) => {
                    let mut words = origin.split_whitespace();
                    self.know_name(words.next().unwrap_or_default());
                    self.know_host(words.next_back().unwrap_or_default());
                }
                Some(("c", connection)) => self.know_host(connection.split_whitespace().last().unwrap_or_default()),
                Some(("e" | "p" | "i", words)) => self.know_name(words),
                _ => {}
            }
        }
    }

    fn know(&mut self, own: &str, other: String) {
        if self.known.len() < MOST && own != other {
            self.known.insert(own.to_ascii_lowercase(), other.to_ascii_lowercase());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sip::Cut;

    const MESSAGE: &str = "INVITE sip:+15555550123@pbx.example.net SIP/2.0\r\nVia: SIP/2.0/UDP \
                           192.0.2.10:5060;branch=z9hG4bKx\r\nFrom: \"Alice Example\" \
                           <sip:alice@example.net>;tag=1\r\nTo: <tel:+1-555-555-0123>\r\nCall-ID: \
                           77-192-0-2-10@192.0.2.10\r\nCSeq: 1 INVITE\r\nContent-Type: \
                           application/sdp\r\n\r\nv=0\r\no=alice 1 1 IN IP4 192.0.2.10\r\nc=IN IP6 2001:db8::7\r\n";

    fn persons(kinds: &[Replaced]) -> Persons {
        let mut persons = Persons::new(Arc::new(Pseudonyms::new([3; 32], kinds)));
        persons.collect(&Message::read(MESSAGE.as_bytes(), Cut::Whole).unwrap());
        persons.finish();
        persons
    }

    #[test]
    fn nobody_is_left_in_a_message_and_its_length_stays() {
        let persons = persons(&[Replaced::Numbers, Replaced::Addresses, Replaced::Names]);
        let shown = persons.replace(MESSAGE);
        assert_eq!(shown.len(), MESSAGE.len());
        for own in ["5555550123", "555-0123", "192.0.2.10", "192-0-2-10", "2001:db8::7", "lice", "example", "pbx"] {
            assert!(!shown.to_lowercase().contains(own), "{own} is shown in {shown}");
        }
        assert!(shown.starts_with("INVITE sip:+") && shown.contains("SIP/2.0/UDP 192."), "{shown}");
    }

    #[test]
    fn a_value_has_one_pseudonym_wherever_it_stands() {
        let persons = persons(&[Replaced::Numbers, Replaced::Addresses, Replaced::Names]);
        let address = persons.replace("192.0.2.10");
        assert_eq!(persons.replace("(192.0.2.10:5060) sent it"), format!("({address}:5060) sent it"));
        assert_eq!(persons.replace("ip-192-0-2-10"), format!("ip-{}", address.replace('.', "-")));
        let number = persons.replace("15555550123");
        assert_eq!(persons.replace("to \"+15555550123\", frame 118"), format!("to \"+{number}\", frame 118"));
    }

    #[test]
    fn an_address_is_found_among_other_numbers() {
        let persons = persons(&[Replaced::Addresses]);
        for text in [
            "z9hG4bKnp10-44ce4a41192.168.1.2",
            "z9hG4bK.5.192.168.1.2",
            "192.168.1.2.5060 > 192.168.1.2",
            "x192.168.1.2",
        ] {
            let shown = persons.replace(text);
            assert!(!shown.contains("168.1.2") && shown.len() == text.len(), "{shown}");
        }
    }

    #[test]
    fn names_of_the_dns_and_of_certificates_are_replaced() {
        let mut persons = persons(&[Replaced::Names]);
        let names = ["_sip._udp.Voip.carrier.test", "*.carrier.test", "The Carrier Ltd"].map(str::to_owned);
        persons.know_names(&names);
        persons.finish();
        let shown =
            persons.replace("`dig _sip._udp.voip.carrier.test SRV`, issued by The Carrier Ltd for *.carrier.test");
        assert!(!shown.to_lowercase().contains("carrier") && shown.contains("`dig _sip._udp."), "{shown}");
    }

    #[test]
    fn networks_and_addresses_without_a_scheme_are_known() {
        let text = "INVITE carol@carrier.test SIP/2.0\r\nFrom: dave@carrier.test:5060;tag=1\r\nTo: \
                    <carol@carrier.test>\r\nP-Visited-Network-ID: \"ims.visited.test\"\r\nP-Charging-Vector: \
                    icid-value=1;orig-ioi=home.test\r\nWarning: 399 sbc.signer.test:5060 \"no\"\r\nOrganization: Acme \
                    Phones\r\nAuthorization: Digest username=\"erin@private.test\",nonce=\"\"\r\n\r\n";
        let mut persons = Persons::new(Arc::new(Pseudonyms::new([3; 32], &[Replaced::Names])));
        persons.collect(&Message::read(text.as_bytes(), Cut::Whole).unwrap());
        persons.finish();
        let shown = persons.replace(text);
        for own in ["carol", "dave", "carrier", "visited.", "home.", "signer", "Acme", "erin", "private"] {
            assert!(!shown.contains(own), "{own} is shown in {shown}");
        }
    }

    #[test]
    fn only_what_was_asked_for_is_replaced() {
        let shown = persons(&[Replaced::Numbers]).replace(MESSAGE);
        assert!(shown.contains("192.0.2.10") && shown.contains("Alice Example") && !shown.contains("5555550123"));
        let shown = persons(&[Replaced::Addresses]).replace(MESSAGE);
        assert!(!shown.contains("192.0.2.10") && shown.contains("alice@example.net") && shown.contains("5555550123"));
    }

    #[test]
    fn of_an_unknown_message_hosts_and_long_numbers_are_known_by_their_place_and_length() {
        let persons = Persons::new(Arc::new(Pseudonyms::new([3; 32], &[Replaced::Numbers, Replaced::Names])));
        let shown = persons.call_id("77a@pbx.example.net");
        assert!(shown.starts_with("77a@") && shown.ends_with(".net") && !shown.contains("example"), "{shown}");
        let shown = persons.replace_blindly("404 No 15555550123 here");
        assert!(shown.starts_with("404 No ") && shown.ends_with(" here") && !shown.contains("5555550123"), "{shown}");
    }

    #[test]
    fn words_of_ours_stay_in_a_sentence_though_somebody_bears_them_as_a_name() {
        let text = "OPTIONS sip:100@h.test SIP/2.0\r\nFrom: <sip:scanner@h.test>;tag=1\r\n\r\n";
        let mut persons = Persons::new(Arc::new(Pseudonyms::new([3; 32], &[Replaced::Names])));
        persons.collect(&Message::read(text.as_bytes(), Cut::Whole).unwrap());
        persons.know_names(&["alice@h.test".to_owned()]);
        persons.finish();
        let own = "This is a scanner, for all that was seen.";
        assert_eq!(persons.replace_in_sentence(own), own);
        let shown = persons.replace_in_sentence("The scanner \"scanner\" is scanner@h.test, and not alice.");
        assert!(shown.starts_with("The scanner \"") && shown.matches("scanner").count() == 1, "{shown}");
        assert!(!shown.contains("alice") && !persons.replace("a scanner").contains("scanner"), "{shown}");
    }

    #[test]
    fn who_is_named_in_a_signed_token_is_replaced_within_it_and_without() {
        let text = "INVITE sip:b@h.test SIP/2.0\r\nIdentity: eyJhbGciOiJFUzI1NiJ9.\
            eyJvcmlnIjp7InRuIjoiMTU1NTAxMDAyMDAifX0.c2ln;info=<https://cert.carrier.test/a.pem>\r\n\r\n";
        let mut persons = Persons::new(Arc::new(Pseudonyms::new([3; 32], &[Replaced::Numbers, Replaced::Names])));
        persons.collect(&Message::read(text.as_bytes(), Cut::Whole).unwrap());
        persons.finish();
        let shown = persons.replace(text);
        assert_eq!(shown.len(), text.len());
        assert!(!shown.contains("eyJvcmlnIjp7InRuIjoiMTU1NTAxMDAyMDAifX0") && !shown.contains("c2ln"), "{shown}");
        assert!(!shown.contains("carrier"), "{shown}");
        assert!(!persons.replace("signed for 15550100200").contains("15550100200"));
    }

    #[test]
    fn a_name_with_a_comma_is_one_name() {
        let text = "INVITE sip:b@h SIP/2.0\r\nFrom: \"Example, Alice\" <sip:a@h>;tag=1\r\n\r\n";
        let mut persons = Persons::new(Arc::new(Pseudonyms::new([3; 32], &[Replaced::Names])));
        persons.collect(&Message::read(text.as_bytes(), Cut::Whole).unwrap());
        persons.finish();
        let shown = persons.replace(text);
        assert!(!shown.contains("Example") && !shown.contains("Alice"), "{shown}");
    }

    #[test]
    fn times_and_versions_are_no_addresses() {
        let persons = persons(&[Replaced::Numbers, Replaced::Addresses, Replaced::Names]);
        for text in ["at 08:14:02 UTC", "RFC 3261 §21.5.4", "SIP/2.0 503", "2026-11-20-08", "Reason: Q.850;cause=34"] {
            assert_eq!(persons.replace(text), text);
        }
    }
}
