//! Which Call-IDs are legs of one call: by exact keys that a B2BUA carries over, or by number and time.

use std::borrow::Cow;
use std::cell::OnceCell;
use std::collections::VecDeque;
use std::hash::{Hash, Hasher};
use std::net::IpAddr;
use std::sync::LazyLock;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::call::log::StepId;
use crate::call::number::{
    is_number, is_whole_number, may_be_one_caller, number_or_name, same_caller, same_number, tail, tells_caller,
};
use crate::capture::Timestamp;
use crate::keyed::{ByHash, Keyed};
use crate::net::Path;
use crate::sip::{HeaderName, Message, uri_of};

/// Why a leg with a Call-ID of its own belongs to a call.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum LinkedBy {
    /// The same Session-ID (RFC 7989).
    SessionId,
    /// The same value in this header.
    Header(String),
    /// The same icid-value in P-Charging-Vector (RFC 7315 §4.6).
    ChargingVector,
    /// The same origin of the session description (RFC 8866 §5.2).
    SdpOrigin,
    /// The same client answered a challenge at once (RFC 3261 §22.2).
    Challenge,
    /// The same caller went at once where a 3xx had sent it (RFC 3261 §8.1.3.4).
    Redirect,
    /// Only by the called number and the time: a guess, and marked as one.
    NumberAndTime,
}

impl LinkedBy {
    /// True if the client itself went on, in place of what was refused: no system between two legs did.
    pub fn is_next_try(&self) -> bool {
        matches!(self, LinkedBy::Challenge | LinkedBy::Redirect)
    }

    /// A few words for the report.
    pub fn words(&self) -> String {
        match self {
            LinkedBy::SessionId => "Session-ID".into(),
            LinkedBy::Header(name) => name.clone(),
            LinkedBy::ChargingVector => "P-Charging-Vector icid".into(),
            LinkedBy::SdpOrigin => "SDP origin".into(),
            LinkedBy::Challenge => "challenge".into(),
            LinkedBy::Redirect => "redirect".into(),
            LinkedBy::NumberAndTime => "number and time (a guess)".into(),
        }
    }
}

/// A key that two legs of one call share: which kind it is, and its value.
#[derive(Debug, Clone, Copy)]
pub(crate) struct LinkKey<'a> {
    kind: KeyKind,
    /// Of the header or the user, as one leg writes it.
    name: &'a [u8],
    value: &'a [u8],
    more: &'a [u8],
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum KeyKind {
    SessionId,
    ChargingVector,
    SdpOrigin,
    Reference,
}

/// What tells of an INVITE which open call it may continue, and of a later one whether it continues this: read once.
#[derive(Debug)]
pub(crate) struct Ties<'a> {
    /// The called number or name.
    pub(crate) called: Cow<'a, str>,
    /// The number or name that calls.
    pub(crate) calling: Cow<'a, str>,
    /// Its keys with their hashes, the surest first.
    pub(crate) keys: Vec<(u64, LinkKey<'a>)>,
    /// Where the [`tail`] of both numbers begins: each is asked for again and again.
    called_tail: usize,
    calling_tail: usize,
    /// What [`Guesses::parties`] gives for it.
    parties: OnceCell<Option<u64>>,
}

impl<'a> Ties<'a> {
    /// Those of an INVITE.
    pub(crate) fn of(message: &'a Message<'_>, hasher: &Keyed) -> Ties<'a> {
        let keys = keys(message).map(|key| (hasher.hash_one(key), key));
        Ties::new(called(message), calling(message), keys.collect())
    }

    fn new(called: Cow<'a, str>, calling: Cow<'a, str>, keys: Vec<(u64, LinkKey<'a>)>) -> Ties<'a> {
        let start_of_tail = |number: &str| number.len() - tail(number).len();
        let (called_tail, calling_tail) = (start_of_tail(&called), start_of_tail(&calling));
        Ties { called, calling, keys, called_tail, calling_tail, parties: OnceCell::new() }
    }

    /// The end of the called number by which guesses are looked up.
    fn called_tail(&self) -> &str {
        self.called.get(self.called_tail..).unwrap_or_default()
    }

    /// The same of the number that calls.
    fn calling_tail(&self) -> &str {
        self.calling.get(self.calling_tail..).unwrap_or_default()
    }
}

/// The keys that an INVITE carries, the surest first.
fn keys<'a>(message: &'a Message<'_>) -> impl Iterator<Item = LinkKey<'a>> {
    let references = message.references().filter_map(|(name, value)| match HeaderName::read(name) {
        HeaderName::SessionId => session_id(value),
        HeaderName::PChargingVector => charging_vector(value),
        _ if is_call_reference(name) => {
            // It may be folded.
            let value = value.trim_ascii();
            (value.len() >= 6).then_some(LinkKey { kind: KeyKind::Reference, name, value, more: &[] })
        }
        _ => None,
    });
    references.chain(sdp_origin(message.body()))
}

impl Hash for LinkKey<'_> {
    /// Names of headers are the same in any case (RFC 3261 §7.3.1).
    fn hash<H: Hasher>(&self, state: &mut H) {
        (self.kind, self.value, self.more).hash(state);
        // Eight letters at once: one by one takes a hash eight times as long.
        for letters in self.name.chunks(8) {
            let mut word = [0; 8];
            word[..letters.len()].copy_from_slice(letters);
            word.make_ascii_lowercase();
            state.write_u64(u64::from_le_bytes(word));
        }
    }
}

impl LinkKey<'_> {
    /// True of what a system makes for itself, and many make anew only with each second: two legs that it opens at once
    /// may share it by chance.
    pub(crate) fn is_made_by_each(&self) -> bool {
        self.kind == KeyKind::SdpOrigin
    }

    /// True of what a standard says to be made for one call and to be carried along (RFC 7989, RFC 7315 §4.6).
    pub(crate) fn is_of_standard(&self) -> bool {
        matches!(self.kind, KeyKind::SessionId | KeyKind::ChargingVector)
    }

    /// Its value.
    pub(crate) fn value(&self) -> &[u8] {
        self.value
    }

    /// Why legs that share it belong together.
    pub(crate) fn links_by(&self) -> LinkedBy {
        match self.kind {
            KeyKind::SessionId => LinkedBy::SessionId,
            KeyKind::ChargingVector => LinkedBy::ChargingVector,
            KeyKind::SdpOrigin => LinkedBy::SdpOrigin,
            KeyKind::Reference => LinkedBy::Header(String::from_utf8_lossy(self.name).into_owned()),
        }
    }
}

fn session_id(value: &[u8]) -> Option<LinkKey<'_>> {
    let uuid = value.split(|byte| *byte == b';').next()?.trim_ascii();
    let known = uuid.len() >= 32 && uuid.iter().any(|byte| *byte != b'0');
    known.then_some(LinkKey { kind: KeyKind::SessionId, name: &[], value: uuid, more: &[] })
}

fn charging_vector(value: &[u8]) -> Option<LinkKey<'_>> {
    let icid = value.split(|byte| *byte == b';').find_map(|part| part.trim_ascii().strip_prefix(b"icid-value="))?;
    let icid = icid.strip_prefix(b"\"").and_then(|icid| icid.strip_suffix(b"\"")).unwrap_or(icid);
    Some(LinkKey { kind: KeyKind::ChargingVector, name: &[], value: icid, more: &[] })
}

/// User name, session identifier and address of `o=`: they stay the same where a description is passed on.
fn sdp_origin(body: &[u8]) -> Option<LinkKey<'_>> {
    static ORIGIN: LazyLock<memchr::memmem::Finder<'static>> = LazyLock::new(|| memchr::memmem::Finder::new("\no="));
    let at = ORIGIN.find(body)?;
    let line = body.get(at.checked_add(3)?..)?;
    let line = line.get(..memchr::memchr2(b'\r', b'\n', line).unwrap_or(line.len()))?;
    let mut words = line.split(|byte| *byte == b' ').filter(|word| !word.is_empty());
    let (user, id) = (words.next()?, words.next()?);
    let address = words.nth(3)?;
    (id.len() > 3).then_some(LinkKey { kind: KeyKind::SdpOrigin, name: user, value: id, more: address })
}

/// Private headers whose name says that they identify the call: X-Call-ID, X-CID, X-Call-Ref, X-Twilio-CallSid ….
fn is_call_reference(name: &[u8]) -> bool {
    if name.eq_ignore_ascii_case(b"Cisco-Guid") {
        return true;
    }
    let [b'x' | b'X', b'-', rest @ ..] = name else { return false };
    // Words are told apart by hyphens in some spellings and not in others: X-Call-ID, X-CallID.
    const ENDS: [&[u8]; 6] = [b"callid", b"callref", b"calluuid", b"callsid", b"correlationid", b"sessionid"];
    const LONGEST: usize = b"correlationid".len();
    let mut last = [0; LONGEST];
    let mut start = LONGEST;
    for letter in rest.iter().rev().filter(|byte| byte.is_ascii_alphanumeric()).take(LONGEST) {
        start -= 1;
        last[start] = letter.to_ascii_lowercase();
    }
    let letters = &last[start..];
    letters == b"cid" || ENDS.iter().any(|end| letters.ends_with(end))
}

/// What a guess by number and time needs of an INVITE that is waiting for its answer.
#[derive(Debug, Clone)]
struct Waiting {
    attempt: Attempt,
    path: Path,
    /// The called number, and behind it the one that calls: one place in memory.
    numbers: Box<str>,
    called_length: u32,
    since: Timestamp,
    /// Those before it to the same host and number, of the same two parties, and to the same host.
    to_number: Thread,
    of_parties: Thread,
    to_host: Thread,
}

/// A thread through the INVITEs that wait: its key in [`Guesses::latest`], and the one before on it.
#[derive(Debug, Clone, Copy)]
struct Thread {
    key: u64,
    before: Option<u64>,
}

/// An INVITE of an open call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Attempt {
    /// The index of the open call.
    pub(crate) index: u32,
    /// The number of the call, for an index may be used again.
    pub(crate) call: u32,
    /// Its step.
    pub(crate) step: StepId,
}

/// The INVITEs of the last seconds, by where they went and the end of the called number, and by both numbers.
#[derive(Debug, Default)]
pub(crate) struct Guesses {
    /// In order of time.
    row: VecDeque<Waiting>,
    /// How many have left the row.
    left: u64,
    /// The latest of each thread: its place in the row, counted from the first that ever stood there.
    latest: ByHash<u64>,
    /// The last INVITE of each system for the same caller, and for the same caller to the same callee.
    last_tries: ByHash<Attempt>,
    /// True once one was noted for the same caller alone.
    has_callers: bool,
    hasher: Keyed,
}

/// Time within which a B2BUA is expected to send its own INVITE.
const GUESS_WINDOW: Duration = Duration::from_secs(4);
/// The same of one that sends it from an address at which nothing was seen to arrive, or to another number.
const ELSEWHERE_WINDOW: Duration = Duration::from_millis(500);
/// What arrives together was sent by two: an exchange first has to read what it sends on.
const ELSEWHERE_LEAST: Duration = Duration::from_millis(1);
/// INVITEs to one number that are kept for guesses: of more, none could be told from the others.
const MOST_ALIKE: usize = 64;
/// INVITEs that are kept for guesses.
const MOST_WAITING: usize = 20_000;
/// Callers and callees of whom the last try is kept: as many as fill a table that stays in the processor's second
/// cache.
const MOST_TRIES: usize = 7168;

impl Guesses {
    /// Notes an INVITE that waits for its answer.
    pub(crate) fn note(&mut self, attempt: Attempt, path: Path, ties: &Ties<'_>, now: Timestamp) {
        self.forget(now);
        self.note_try(self.parties(path, ties), attempt);
        if ties.called.is_empty() || self.row.len() >= MOST_WAITING {
            return;
        }
        let to_number = self.thread(self.hasher.hash_one((path.destination.ip(), ties.called_tail())));
        let of_parties = self.thread(self.hasher.hash_one((ties.calling_tail(), ties.called_tail())));
        let to_host = self.thread(self.hasher.hash_one(path.destination.ip()));
        let mut numbers = String::with_capacity(ties.called.len() + ties.calling.len());
        numbers.extend([&*ties.called, &*ties.calling]);
        let (numbers, called_length) = (numbers.into_boxed_str(), ties.called.len() as u32);
        self.row.push_back(Waiting {
            attempt,
            path,
            numbers,
            called_length,
            since: now,
            to_number,
            of_parties,
            to_host,
        });
    }

    /// Notes it as the last one that its sender sent for this caller, to whomever.
    pub(crate) fn note_caller(&mut self, attempt: Attempt, path: Path, ties: &Ties<'_>) {
        self.has_callers = true;
        self.note_try(self.caller(path, ties), attempt);
    }

    fn note_try(&mut self, key: Option<u64>, attempt: Attempt) {
        let Some(key) = key else { return };
        if self.last_tries.len() >= MOST_TRIES {
            self.last_tries.clear();
        }
        self.last_tries.insert(key, attempt);
    }

    /// Leads a thread on to the one that is noted next.
    fn thread(&mut self, key: u64) -> Thread {
        let next = self.left + self.row.len() as u64;
        Thread { key, before: self.latest.insert(key, next) }
    }

    /// The INVITEs that one which leaves `path.source` to this number now may continue, the latest first.
    pub(crate) fn fitting(&self, path: Path, ties: &Ties<'_>, now: Timestamp) -> impl Iterator<Item = (Attempt, Path)> {
        let key = self.hasher.hash_one((path.source.ip(), ties.called_tail()));
        self.along(key, |waiting| waiting.to_number)
            .filter(move |waiting| waiting.continues_as(path, &ties.called, now))
            .map(|waiting| (waiting.attempt, waiting.path))
    }

    /// The INVITEs that one may continue whose first response is all that is seen of it, on this path: those for the
    /// same number, at the host that it was sent to.
    pub(crate) fn fitting_number(
        &self,
        path: Path,
        called: &str,
        now: Timestamp,
    ) -> impl Iterator<Item = (Attempt, Path)> {
        let key = self.hasher.hash_one((path.source.ip(), tail(called)));
        self.along(key, |waiting| waiting.to_number)
            .filter(move |waiting| is_whole_number(called) && waiting.continues_as(path, called, now))
            .map(|waiting| (waiting.attempt, waiting.path))
    }

    /// The INVITEs at another address of the system on this path that one may continue for the same number, whatever
    /// the system makes of the caller; but a call from one whole number is none from another.
    pub(crate) fn fitting_at(
        &self,
        twin: IpAddr,
        path: Path,
        ties: &Ties<'_>,
        now: Timestamp,
    ) -> impl Iterator<Item = (Attempt, Path)> {
        let key = self.hasher.hash_one((twin, ties.called_tail()));
        self.along(key, |waiting| waiting.to_number)
            .filter(move |waiting| {
                waiting.came_just_before(now)
                    && is_whole_number(&ties.called)
                    && waiting.continues_as(path, &ties.called, now)
                    && may_be_one_caller(waiting.calling(), &ties.calling)
            })
            .map(|waiting| (waiting.attempt, waiting.path))
    }

    /// The INVITEs of the same two numbers that one may continue which a system sends from another address than the one
    /// at which it was called. Two hosts that call one number at the same time are no reason to take them for one call:
    /// only who is called and who calls, both by number, are.
    pub(crate) fn fitting_elsewhere(&self, ties: &Ties<'_>, now: Timestamp) -> impl Iterator<Item = (Attempt, Path)> {
        let key = self.hasher.hash_one((ties.calling_tail(), ties.called_tail()));
        self.along(key, |waiting| waiting.of_parties)
            .filter(move |waiting| {
                waiting.came_just_before(now) && is_number(&ties.calling) && waiting.is_of(&ties.called, &ties.calling)
            })
            .map(|waiting| (waiting.attempt, waiting.path))
    }

    /// The INVITEs that one may continue which the host they went to sends at once to another number: who was called is
    /// forwarded, is a group, or has an extension behind a public number. The caller is the same, or the INVITE says
    /// itself that it was diverted (RFC 5806, RFC 7044); only that one may go back to where the call came from.
    pub(crate) fn fitting_host(
        &self,
        path: Path,
        ties: &Ties<'_>,
        is_diverted: impl Fn() -> bool,
        now: Timestamp,
    ) -> impl Iterator<Item = (Attempt, Path)> {
        self.along(self.hasher.hash_one(path.source.ip()), |waiting| waiting.to_host)
            .filter(move |waiting| {
                let goes_back = waiting.path.source.ip() == path.destination.ip();
                let is_same = || !goes_back && same_caller(waiting.calling(), &ties.calling);
                waiting.came_just_before(now) && (is_same() || is_diverted())
            })
            .map(|waiting| (waiting.attempt, waiting.path))
    }

    /// The INVITEs that came to this host from another one a moment ago, the latest first: what it sends on at once,
    /// with the Via of that one beneath its own.
    pub(crate) fn come_to(&self, host: IpAddr, from: IpAddr, now: Timestamp) -> impl Iterator<Item = (Attempt, Path)> {
        self.along(self.hasher.hash_one(host), |waiting| waiting.to_host)
            .filter(move |waiting| {
                let is_recent = waiting.since <= now && now.since(waiting.since) <= ELSEWHERE_WINDOW;
                is_recent && waiting.path.source.ip() == from && waiting.path.destination.ip() == host
            })
            .map(|waiting| (waiting.attempt, waiting.path))
    }

    /// The last INVITE that the system on this path sent for the same caller, and its path.
    pub(crate) fn last_try_for(&self, path: Path, ties: &Ties<'_>) -> Option<Attempt> {
        if !self.has_callers {
            return None;
        }
        self.last_tries.get(&self.caller(path, ties)?).copied()
    }

    /// Who sends this and who calls, by number.
    fn caller(&self, path: Path, ties: &Ties<'_>) -> Option<u64> {
        tells_caller(&ties.calling).then(|| self.hasher.hash_one((path.source.ip(), ties.calling_tail())))
    }

    /// The INVITEs of a thread, the latest first.
    fn along(&self, key: u64, thread: fn(&Waiting) -> Thread) -> impl Iterator<Item = &Waiting> {
        let mut next = self.latest.get(&key).copied();
        std::iter::from_fn(move || {
            let waiting = self.row.get(next?.checked_sub(self.left)? as usize)?;
            next = thread(waiting).before;
            Some(waiting)
        })
        .take(MOST_ALIKE)
    }

    /// The last INVITE that the system on this path sent for the same caller to the same callee.
    pub(crate) fn last_try(&self, path: Path, ties: &Ties<'_>) -> Option<Attempt> {
        self.last_tries.get(&self.parties(path, ties)?).copied()
    }

    /// Who sends this, who calls and who is called, by the ends of the numbers: the same for each try of one call.
    fn parties(&self, path: Path, ties: &Ties<'_>) -> Option<u64> {
        let is_known = !ties.called.is_empty() && !ties.calling.is_empty();
        let hash = || self.hasher.hash_one((path.source.ip(), ties.calling_tail(), ties.called_tail()));
        *ties.parties.get_or_init(|| is_known.then(hash))
    }

    fn forget(&mut self, now: Timestamp) {
        while let Some(first) = self.row.front().filter(|first| now.since(first.since) > GUESS_WINDOW) {
            for thread in [first.to_number, first.of_parties, first.to_host] {
                if self.latest.get(&thread.key) == Some(&self.left) {
                    self.latest.remove(&thread.key);
                }
            }
            self.row.pop_front();
            self.left += 1;
        }
    }
}

impl Waiting {
    fn called(&self) -> &str {
        self.numbers.get(..self.called_length as usize).unwrap_or_default()
    }

    fn calling(&self) -> &str {
        self.numbers.get(self.called_length as usize..).unwrap_or_default()
    }

    fn continues_as(&self, path: Path, number: &str, now: Timestamp) -> bool {
        self.since <= now
            && now.since(self.since) <= GUESS_WINDOW
            && self.path.source.ip() != path.destination.ip()
            && path.source.ip() != path.destination.ip()
            && same_number(self.called(), number)
    }

    fn came_just_before(&self, now: Timestamp) -> bool {
        self.since <= now && (ELSEWHERE_LEAST..=ELSEWHERE_WINDOW).contains(&now.since(self.since))
    }

    fn is_of(&self, called: &str, calling: &str) -> bool {
        same_number(self.called(), called) && same_number(self.calling(), calling)
    }
}

/// The called number or name of a Request-URI, digits alone where it is a number.
fn called<'a>(message: &'a Message<'_>) -> Cow<'a, str> {
    match message.request_uri() {
        Some(Cow::Borrowed(uri)) => number_or_name(uri),
        Some(Cow::Owned(uri)) => Cow::Owned(number_or_name(&uri).into_owned()),
        None => Cow::Borrowed(""),
    }
}

/// The number or name of From.
fn calling<'a>(message: &'a Message<'_>) -> Cow<'a, str> {
    let from = message.header_bytes(HeaderName::From).and_then(|from| std::str::from_utf8(uri_of(from)).ok());
    number_or_name(from.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_address_continues_only_a_call_of_the_same_two_numbers_and_soon() {
        let ties = |calling| Ties::new("12025550123".into(), Cow::Borrowed(calling), Vec::new());
        let [source, destination] = ["10.9.0.11:5060", "10.9.0.2:5060"].map(|address| address.parse().unwrap());
        let path = Path { source, destination, transport: crate::net::Transport::Udp };
        let at = |milliseconds: i64| Timestamp(milliseconds * 1_000_000);
        let mut guesses = Guesses::default();
        for (call, calling) in [(1, "13035550147"), (2, "anonymous")] {
            guesses.note(Attempt { index: call, call, step: StepId(0) }, path, &ties(calling), at(0));
        }
        let found = |calling, now| -> Vec<u32> {
            guesses.fitting_elsewhere(&ties(calling), at(now)).map(|(attempt, _)| attempt.call).collect()
        };
        assert_eq!(found("13035550147", 40), [1]);
        assert_eq!(found("03035550147", 40), [1], "in another format");
        assert!(found("13035550148", 40).is_empty(), "another caller");
        assert!(found("anonymous", 40).is_empty(), "nobody is known by that");
        assert!(found("13035550147", 600).is_empty(), "too late");
        assert!(found("13035550147", 0).is_empty(), "at once");
    }

    #[test]
    fn a_host_goes_on_to_another_number_only_for_the_same_caller_or_if_it_says_so() {
        let [caller, pbx, phone] = ["10.9.0.11:5060", "10.9.0.2:5060", "10.9.0.3:5060"].map(|it| it.parse().unwrap());
        let path = |source, destination| Path { source, destination, transport: crate::net::Transport::Udp };
        let ties = |calling, called| Ties::new(Cow::Borrowed(called), Cow::Borrowed(calling), Vec::new());
        let at = |milliseconds: i64| Timestamp(milliseconds * 1_000_000);
        let mut guesses = Guesses::default();
        let attempt = Attempt { index: 1, call: 1, step: StepId(0) };
        guesses.note(attempt, path(caller, pbx), &ties("100", "500"), at(0));
        let fits = |to, calling, is_diverted, now| {
            guesses.fitting_host(path(pbx, to), &ties(calling, "201"), || is_diverted, at(now)).next().is_some()
        };
        assert!(fits(phone, "100", false, 20), "a device of a group");
        assert!(fits(phone, "4930555100", false, 20), "the extension became a whole number");
        assert!(!fits(phone, "101", false, 20), "another caller");
        assert!(!fits(phone, "", false, 20), "nobody");
        assert!(!fits(caller, "100", false, 20), "back to the caller");
        assert!(fits(caller, "4930555000", true, 20), "diverted, as it says");
        assert!(!fits(phone, "100", false, 600), "too late");
    }

    #[test]
    fn private_call_references_are_known_by_their_name() {
        for name in ["X-Call-ID", "x-cid", "X-Call-Ref", "X-Twilio-CallSid", "X-FS-Call-UUID"] {
            assert!(is_call_reference(name.as_bytes()), "{name}");
        }
        for name in ["X-Asterisk-HangupCause", "X-Acid", "X-Tag"] {
            assert!(!is_call_reference(name.as_bytes()), "{name}");
        }
    }
}
