//! Who asks for many users: what tells a scanner from a busy peer.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::time::Duration;

use crate::call::{Call, Heard, Kind, Transaction};
use crate::capture::{Place, Timestamp};
use crate::keyed::Table;
use crate::sip::{HeaderName, Message, Method, StatusCode, Uri};

/// Names that known scanning tools give themselves, lower case.
const TOOLS: [&str; 12] = [
    "friendly-scanner",
    "sipvicious",
    "sipcli",
    "vaxsipuseragent",
    "vaxipuseragent",
    "sundayddr",
    "pplsip",
    "sip-scan",
    "sipscan",
    "siparmyknife",
    "friendly-request",
    "iwar",
];

/// The field and the value in which a request names a scanning tool.
pub(crate) fn tool_of(message: &Message<'_>) -> Option<(&'static str, String)> {
    let places = [(HeaderName::UserAgent, "sip.User-Agent"), (HeaderName::From, "sip.From")];
    let (name, field) = places.into_iter().find(|(name, _)| message.header_bytes(*name).is_some_and(names_a_tool))?;
    Some((field, message.header(name.long())?.into_owned()))
}

/// Looks for every name at once: this is asked of every call. It is enough to look at every other pair of letters, for
/// of a name that stands there one of them is its first and second letter, or its second and third.
fn names_a_tool(value: &[u8]) -> bool {
    let (pairs, _) = value.as_chunks::<2>();
    for (pair, letters) in pairs.iter().enumerate() {
        let may_be_near = IN_FRONT[place_of(u32::from(u16::from_le_bytes(*letters)))];
        if may_be_near && (begins_tool(value, 2 * pair) || begins_tool(value, (2 * pair).saturating_sub(1))) {
            return true;
        }
    }
    false
}

/// True if the name of a tool stands there.
fn begins_tool(value: &[u8], at: usize) -> bool {
    let rest = value.get(at..).unwrap_or_default();
    let may_begin = rest.first_chunk().is_some_and(|letters| AT_BEGIN[place_of(u32::from_le_bytes(*letters))]);
    let begins_with =
        |tool: &str| rest.get(..tool.len()).is_some_and(|found| found.eq_ignore_ascii_case(tool.as_bytes()));
    may_begin && TOOLS.iter().any(|tool| begins_with(tool))
}

/// Where the first four letters of the tools fall: next to no other letters fall there.
const AT_BEGIN: [bool; 256] = {
    let mut places = [false; 256];
    let mut tool = 0;
    while tool < TOOLS.len() {
        let [first, second, third, fourth] = front_of(TOOLS[tool]);
        places[place_of(u32::from_le_bytes([first, second, third, fourth]))] = true;
        tool += 1;
    }
    places
};

/// Where their first and second letter fall, and their second and third.
const IN_FRONT: [bool; 256] = {
    let mut places = [false; 256];
    let mut tool = 0;
    while tool < TOOLS.len() {
        let [first, second, third, _] = front_of(TOOLS[tool]);
        places[place_of(u16::from_le_bytes([first, second]) as u32)] = true;
        places[place_of(u16::from_le_bytes([second, third]) as u32)] = true;
        tool += 1;
    }
    places
};

const fn front_of(tool: &str) -> [u8; 4] {
    match tool.as_bytes().first_chunk() {
        Some(front) => *front,
        None => panic!("the name of a tool is too short"),
    }
}

/// A hash of up to four letters, large or small.
const fn place_of(letters: u32) -> usize {
    ((letters | 0x2020_2020).wrapping_mul(0x9e37_79b1) >> 24) as usize
}

/// What one source asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Probing {
    /// Its first request.
    pub place: Place,
    /// Its last request.
    pub until: Timestamp,
    /// Requests that open something.
    pub requests: u64,
    /// Those that were accepted, or refused for reasons that say nothing of the user.
    pub innocent: u64,
    /// The users it asked for within the last minute, as far as they are counted.
    pub users: BTreeSet<String>,
    /// The field and value in which it names a scanning tool.
    pub tool: Option<(&'static str, String)>,
    /// When the users began to be counted.
    since: Timestamp,
    is_scanner: bool,
    /// What was refused to it were MESSAGEs only.
    by_text_only: bool,
    /// A MESSAGE of it was accepted.
    is_text_taken: bool,
}

/// What each source asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ProbingBySource {
    sources: Table<IpAddr, Probing>,
}

/// Different users within [`WINDOW`] that make a scanner.
const MANY_USERS: usize = 10;
/// The time in which they are counted.
const WINDOW: Duration = Duration::from_secs(60);
/// Sources that are kept.
const MOST_SOURCES: usize = 4096;
/// Headers in which a request shows credentials.
const CREDENTIALS: [HeaderName; 2] = [HeaderName::Authorization, HeaderName::ProxyAuthorization];
/// Users that are counted of one source.
const MOST_USERS: usize = 1000;

impl Probing {
    /// True if it asked for many users within a minute, and nothing of it was accepted.
    pub(crate) fn tries_users(&self) -> bool {
        self.is_scanner && self.innocent == 0
    }

    fn note_user(&mut self, user: String, now: Timestamp) {
        if !self.is_scanner && now.since(self.since) > WINDOW {
            self.users.clear();
            self.since = now;
        }
        if self.users.len() < MOST_USERS {
            self.users.insert(user);
        }
        self.is_scanner |= self.users.len() >= MANY_USERS;
    }
}

/// The requests of a call that open something, on its first hop: a scanner may send all of them under one Call-ID.
fn opening(call: &Call) -> impl Iterator<Item = &Heard> {
    let of_call = |known: &&Transaction| {
        let goes_with_another = matches!(known.method, Method::Ack | Method::Cancel);
        known.upstream.is_none() && !known.in_dialog && !goes_with_another
    };
    call.transactions.iter().filter(of_call).filter_map(|known| call.request_of(known))
}

impl ProbingBySource {
    /// Counts what a call asked for.
    pub(crate) fn add(&mut self, call: &Call) {
        let Some(first) = call.messages.first().filter(|heard| heard.message.is_request()) else { return };
        let source = first.path.source.ip();
        if self.sources.len() >= MOST_SOURCES && !self.sources.contains_key(&source) {
            return;
        }
        let count = (opening(call).count() as u64).max(1);
        let now = first.place.time;
        let probing = self.sources.entry(source).or_insert_with(|| Probing {
            place: first.place,
            until: now,
            requests: 0,
            innocent: 0,
            users: BTreeSet::new(),
            tool: None,
            since: now,
            is_scanner: false,
            by_text_only: true,
            is_text_taken: false,
        });
        probing.is_text_taken |= call.kind == Kind::Message && call.final_status.is_some_and(StatusCode::is_success);
        probing.requests += count;
        probing.until = opening(call).map(|heard| heard.place.time).fold(probing.until.max(now), Timestamp::max);
        if probing.tool.is_none() {
            probing.tool = tool_of(&first.message);
            if probing.tool.is_some() {
                probing.place = first.place;
            }
        }
        if !is_probe(call) {
            probing.innocent += count;
            return;
        }
        probing.by_text_only &= call.kind == Kind::Message;
        for request in opening(call) {
            probing.note_user(user_of(call, &request.message), request.place.time);
        }
    }

    /// False if the request with which a call begins names no tool: it was looked at when the call was counted.
    pub(crate) fn may_name_a_tool(&self, call: &Call) -> bool {
        let first = call.messages.first().filter(|heard| heard.message.is_request());
        let source = first.and_then(|first| self.of(first.path.source.ip()));
        source.is_none_or(|source| source.tool.is_some())
    }

    /// What one source asked for.
    pub(crate) fn of(&self, source: IpAddr) -> Option<&Probing> {
        self.sources.get(&source)
    }

    /// The sources that are scanners, in order of their addresses.
    pub fn scanners(&self) -> impl Iterator<Item = (&IpAddr, &Probing)> {
        let is_scanner = |probing: &Probing| {
            // Who sends one text to many users, and is let in for some of them, looks for none.
            let sends_a_text = probing.by_text_only && probing.is_text_taken;
            probing.tool.is_some() || (probing.is_scanner && probing.innocent * 2 < probing.requests && !sends_a_text)
        };
        let mut scanners: Vec<_> = self.sources.iter().filter(|(_, probing)| is_scanner(probing)).collect();
        scanners.sort_unstable_by_key(|(source, _)| **source);
        scanners.into_iter()
    }
}

/// True if a request was refused because of its user, or challenged and given up: what a scanner gets.
pub(crate) fn is_probe(call: &Call) -> bool {
    let refused = call.final_status.is_some_and(|status| matches!(status.get(), 401 | 403 | 404 | 407 | 604));
    let shows = |message: &Message<'_>| CREDENTIALS.iter().any(|name| message.header_bytes(*name).is_some());
    refused
        && !call.messages.iter().any(|heard| heard.message.is_request() && shows(&heard.message))
        && !names_access(call)
}

/// Words by which a refusal says that its sender may not come in at all, whoever it asks for.
const ACCESS: [&str; 4] = ["access from", "ip address", "address not allowed", "not permitted from"];

/// True if the 403 of a call says of its own that the source has no access: that is about the source, and not about the
/// user.
fn names_access(call: &Call) -> bool {
    let refusals =
        call.messages.iter().filter(|heard| heard.message.status().is_some_and(|status| status.get() == 403));
    refusals.flat_map(|heard| [Some(heard.message.reason_phrase()), heard.message.header("Warning")]).flatten().any(
        |words| {
            let words = words.to_lowercase();
            ACCESS.iter().any(|word| words.contains(word))
        },
    )
}

fn user_of(call: &Call, message: &Message<'_>) -> String {
    match call.kind {
        Kind::Registration => message.to().map(|to| to.parsed().plain_user().into_owned()).unwrap_or_default(),
        _ => Uri::read(&message.request_uri().unwrap_or_default()).plain_user().into_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sip::Cut;

    #[test]
    fn tools_name_themselves() {
        for tool in TOOLS {
            for before in ["", "x", "x "] {
                assert!(names_a_tool(format!("{before}{}", tool.to_uppercase()).as_bytes()), "{before}{tool}");
            }
        }
        let read = |text: &'static str| tool_of(&Message::read(text.as_bytes(), Cut::Whole).unwrap());
        let scanner = "OPTIONS sip:100@192.0.2.1 SIP/2.0\r\nUser-Agent: Friendly-Scanner\r\n\r\n";
        assert_eq!(read(scanner), Some(("sip.User-Agent", "Friendly-Scanner".to_owned())));
        assert_eq!(read("OPTIONS sip:100@192.0.2.1 SIP/2.0\r\nUser-Agent: Asterisk PBX\r\n\r\n"), None);
    }
}
