//! Who registered where, for how long: for telling why a callee could not be reached (RFC 3261 §10).

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroU64;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use memchr::memmem::Finder;
use memchr::{memchr, memchr2, memchr3};
use serde::{Deserialize, Serialize};

use crate::call::key::call_key;
use crate::call::model::Arrival;
use crate::call::timer;
use crate::capture::{Place, Timestamp};
use crate::keyed::{Table, in_order, ordered};
use crate::net::Path;
use crate::sip::{HeaderName, Message, Method, NameAddr, StatusCode, UriParts, split_list, text, unescaped, uri_of};
use crate::sparing::make_room;

/// A REGISTER as it was asked.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Asked {
    /// The request.
    pub place: Place,
    /// Where it came from.
    pub source: SocketAddr,
    /// The Contact that it names, as sent; empty if it only asks. A device sends the same one each time: it is kept
    /// once.
    pub contact: Arc<str>,
    /// Which device asks: [`call_key`] of `+sip.instance`, else of the Call-ID.
    pub device: u64,
    /// True if `+sip.instance` names the device: then another one is another device, whatever else changes.
    pub has_instance: bool,
    /// The number of its CSeq: a copy on another hop has the same.
    pub cseq: u32,
    /// True if it came over UDP, where a change of port is one of a NAT or of the device.
    pub over_udp: bool,
    /// True if it asks for a registration of no time, and so takes one away (RFC 3261 §10.2.2).
    #[serde(default)]
    pub removes: bool,
    /// For how many seconds it asks, if that is read plainly.
    #[serde(default)]
    pub wanted: Option<u32>,
    /// Whose credentials it shows, from where and to whom, as one number; `None` if it shows none.
    pub account: Option<NonZeroU64>,
}

impl Asked {
    /// True if it binds an address over UDP: there a change of port tells something.
    pub fn is_over_udp(&self) -> bool {
        self.over_udp && !self.contact.is_empty() && &*self.contact != "*"
    }
}

/// A 2xx to REGISTER.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Granted {
    /// The response.
    pub place: Place,
    /// Until when the longest of the bindings lasts; the time of the response if there is none any more.
    pub until: Timestamp,
    /// The URIs of the bindings, as sent, at most [`Registrations::MOST_BINDINGS`].
    pub bindings: Vec<Arc<str>>,
    /// Whose credentials the REGISTER showed, as in [`Asked::account`].
    account: Option<NonZeroU64>,
    /// The port that the REGISTER came from.
    port: u16,
    /// Where it stands for how long the longest of them lasts.
    said_in: SaidIn,
}

/// Where a 2xx to REGISTER says how long a binding lasts (RFC 3261 §10.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize)]
enum SaidIn {
    /// In no form that is known.
    #[default]
    Nowhere,
    /// `expires` of the Contact.
    Contact,
    /// Expires.
    Header,
}

impl Granted {
    /// The field that shows for how long the longest of the bindings lasts, and its value; `None` where no field does.
    pub fn length_shown(&self) -> Option<(&'static str, String)> {
        let seconds = self.until.since(self.place.time).as_secs();
        match self.said_in {
            SaidIn::Nowhere => None,
            SaidIn::Contact => Some(("sip.contact.parameter", format!("expires={seconds}"))),
            SaidIn::Header => Some(("sip.Expires", seconds.to_string())),
        }
    }
}

/// A final response to REGISTER that granted nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Denied {
    /// The response.
    pub place: Place,
    /// Its code.
    pub status: StatusCode,
    /// Who sent it.
    pub source: SocketAddr,
    /// The number of its CSeq.
    pub cseq: u32,
}

/// What is known of one address-of-record.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Registered {
    /// What was asked, in order.
    pub asked: Vec<Asked>,
    /// What was granted, in order.
    pub granted: Vec<Granted>,
    /// What was not granted, in order: of challenges those that nobody answered.
    pub denied: Vec<Denied>,
    /// Where its REGISTERs go; of several the greatest address.
    pub registrar: Option<SocketAddr>,
}

impl Registered {
    /// The 2xx with which a server let the client of a request in that showed the credentials of this user, in order.
    /// Behind one address may stand several clients: it is the same one by its port, its name for itself, or its
    /// Contact.
    pub fn let_in(&self, user: &str, request: &Message<'_>, path: Path) -> Vec<Place> {
        let (client, server) = (path.source, path.destination.ip());
        let Some(account) = account_key(user.as_bytes(), client.ip(), server) else { return Vec::new() };
        let (contact, instance) = contact_and_instance(request);
        let device = device(request, instance.as_deref());
        let is_same = |granted: &Granted| {
            granted.port == client.port()
                || self
                    .asked_for(granted, client.ip())
                    .is_some_and(|asked| asked.device == device || is_same_host_and_port(&asked.contact, &contact))
        };
        let granted = self.granted.iter().filter(|granted| granted.account == Some(account) && is_same(granted));
        granted.map(|granted| granted.place).collect()
    }

    /// The REGISTER with credentials that a server granted.
    pub fn made_by(&self, granted: &Granted) -> Option<&Asked> {
        let is_of = |asked: &&Asked| {
            granted.account.is_some() && asked.account == granted.account && asked.source.port() == granted.port
        };
        self.asked.iter().rfind(|asked| asked.place < granted.place && is_of(asked))
    }

    /// The REGISTER that a server granted: the last one of its account that came from the port to which the 2xx is.
    fn asked_for(&self, granted: &Granted, client: IpAddr) -> Option<&Asked> {
        let source = SocketAddr::new(client, granted.port);
        let is_of = |asked: &&Asked| asked.account == granted.account && asked.source == source;
        self.asked.iter().rfind(|asked| asked.place < granted.place && is_of(asked))
    }
}

/// True if two Contacts name the same place in a network: that is of one device, also where it is private.
fn is_same_host_and_port(one: &str, other: &str) -> bool {
    let (one, other) = (UriParts::read(one), UriParts::read(other));
    !one.host.is_empty() && one.host.eq_ignore_ascii_case(other.host) && one.port == other.port
}

/// The registrations of a capture, by address-of-record. Mergeable.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Registrations {
    #[serde(serialize_with = "in_order")]
    of: Table<String, Registered>,
    /// Where REGISTERs came from.
    pub(super) sources: BTreeSet<SocketAddr>,
}

impl Registrations {
    /// Addresses-of-record that are kept.
    const MOST: usize = 10_000;
    /// Entries that are kept of one address-of-record.
    const MOST_ENTRIES: usize = 32;
    /// Those of them that stay in a run without end.
    const LAST_ENTRIES: usize = 4;
    /// Bindings that are kept of one response.
    pub const MOST_BINDINGS: usize = 8;

    /// What is known of an address-of-record: user and host of a URI, without scheme, port and parameters.
    pub fn of(&self, user: &str, host: &str) -> Option<&Registered> {
        self.of.get(&key(user, host))
    }

    /// Each address-of-record, `user@host`, with what is known of it, in order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Registered)> {
        ordered(&self.of).into_iter().map(|(address, registered)| (address.as_str(), registered))
    }

    /// The same, in any order: for what does not depend on it.
    pub(crate) fn in_any_order(&self) -> impl Iterator<Item = (&str, &Registered)> {
        self.of.iter().map(|(address, registered)| (address.as_str(), registered))
    }

    /// True if a REGISTER came from this address and port.
    pub fn came_from(&self, source: SocketAddr) -> bool {
        self.sources.contains(&source)
    }

    /// The longest that a client took here from a REGISTER without credentials to the one with them that the server
    /// then granted: the 2xx.
    pub fn latest_answer(&self, client: IpAddr, server: IpAddr) -> Option<(Duration, Place)> {
        let of_server = |known: &&Registered| known.registrar.is_some_and(|registrar| registrar.ip() == server);
        let mut known = self.of.values().filter(of_server);
        known.by_ref().filter_map(|known| known.latest_answer(client)).max()
    }

    /// Learns from a REGISTER or its 2xx.
    pub(crate) fn learn(&mut self, message: &Message<'_>, arrival: &Arrival) {
        let is_told = message.is_request() || message.status().is_some_and(|status| !status.is_provisional());
        if !is_told || message.cseq().is_none_or(|cseq| cseq.method != Method::Register) {
            return;
        }
        let Some(to) = message.header_bytes(HeaderName::To) else { return };
        let key = address_of_record(to);
        let has_room = self.of.len() < Registrations::MOST;
        let known = match self.of.get_mut(&*key) {
            Some(known) => known,
            None if has_room => self.of.entry(key.into_owned()).or_default(),
            None => return,
        };
        // A phone that registers every minute fills its row within the hour: later ones are not even read.
        match message.is_request() {
            true if known.asked.len() < Registrations::MOST_ENTRIES => {
                // A phone keeps its port as long as it can: its last REGISTER tells that this one's source is known.
                if known.asked.last().is_none_or(|last| last.source != arrival.path.source) {
                    self.sources.insert(arrival.path.source);
                }
                let asked = asked(message, arrival, known);
                known.note_asked(asked);
                known.registrar = known.registrar.max(Some(arrival.path.destination));
            }
            false if !message.status().is_some_and(StatusCode::is_success) => {
                let number = message.cseq().map_or(0, |cseq| cseq.number);
                if let Some(status) = message.status() {
                    insert(
                        &mut known.denied,
                        Denied { place: arrival.place, status, source: arrival.path.source, cseq: number },
                    );
                }
            }
            false if known.granted.len() < Registrations::MOST_ENTRIES => {
                let number = message.cseq().map(|cseq| cseq.number);
                let is_asked =
                    |asked: &&Asked| Some(asked.cseq) == number && asked.source.ip() == arrival.path.destination.ip();
                let asked = known.asked.iter().rfind(is_asked);
                let account = asked.and_then(|asked| asked.account);
                let port = asked.map_or(0, |asked| asked.source.port());
                let granted = Granted { account, port, ..granted(message, arrival, known) };
                known.note_granted(granted);
            }
            _ => {}
        }
    }

    /// Forgets addresses-of-record of which nothing was heard and nothing lasts since this moment, and of the others
    /// all but what came last.
    pub(crate) fn forget(&mut self, before: Timestamp) {
        self.of.retain(|_, known| {
            known.forget();
            known.asked.last().is_some_and(|asked| asked.place.time >= before)
                || known.granted.last().is_some_and(|granted| granted.until.max(granted.place.time) >= before)
        });
        self.sources = self.of.values().flat_map(|known| &known.asked).map(|asked| asked.source).collect();
    }

    /// Puts together what two readers have seen.
    pub(crate) fn merge(&mut self, other: &Registrations) {
        self.sources.extend(&other.sources);
        for (key, registered) in &other.of {
            let known = self.of.entry(key.clone()).or_default();
            for asked in &registered.asked {
                known.note_asked(asked.clone());
            }
            for granted in &registered.granted {
                known.note_granted(granted.clone());
            }
            for denied in &registered.denied {
                insert(&mut known.denied, *denied);
            }
            known.forget_answered();
            known.registrar = known.registrar.max(registered.registrar);
        }
    }
}

impl Registered {
    /// The challenges with which a server refused credentials before this moment since it granted any, each with the
    /// REGISTER that showed them.
    pub(crate) fn refused_digests(&self, server: IpAddr, until: Timestamp) -> impl Iterator<Item = (&Asked, &Denied)> {
        let granted = self.granted.iter().rfind(|granted| granted.place.time < until).map(|granted| granted.place);
        let is_since = move |place: Place| place.time < until && granted.is_none_or(|granted| granted < place);
        self.denied.iter().filter_map(move |denied| {
            let is_its_own = |asked: &&Asked| asked.cseq == denied.cseq && asked.place < denied.place;
            let asked = self.asked.iter().rfind(is_its_own).filter(|asked| asked.account.is_some())?;
            let is_refusal = denied.status.is_challenge() && denied.source.ip() == server && is_since(denied.place);
            is_refusal.then_some((asked, denied))
        })
    }

    /// The longest that this client took from a REGISTER without credentials to the next one, with them, that was
    /// granted.
    fn latest_answer(&self, client: IpAddr) -> Option<(Duration, Place)> {
        let waits = self.granted.iter().filter_map(|granted| {
            let account = granted.account?;
            let last =
                self.asked.iter().rfind(|asked| asked.account == Some(account) && asked.place < granted.place)?;
            let is_copy = |asked: &&Asked| {
                asked.cseq == last.cseq && asked.device == last.device && asked.account == last.account
            };
            let shown = self.asked.iter().find(is_copy).filter(|shown| shown.source.ip() == client)?;
            let is_bare = |asked: &&Asked| {
                asked.account.is_none() && asked.device == shown.device && asked.cseq.checked_add(1) == Some(shown.cseq)
            };
            let bare = self.asked.iter().rfind(is_bare).filter(|bare| bare.place < shown.place)?;
            let is_between = |other: &Granted| bare.place < other.place && other.place < shown.place;
            let is_step = !self.granted.iter().any(is_between);
            is_step.then(|| (shown.place.time.since(bare.place.time), granted.place))
        });
        waits.max()
    }

    fn note_asked(&mut self, asked: Asked) {
        insert(&mut self.asked, asked);
    }

    fn note_granted(&mut self, granted: Granted) {
        insert(&mut self.granted, granted);
        self.forget_answered();
    }

    /// Forgets the challenges of exchanges that ended well: next to every registration has one, and they tell nothing.
    fn forget_answered(&mut self) {
        let granted = &self.granted;
        let is_answered = |denied: &Denied| {
            let follows = |granted: &Granted| {
                denied.place < granted.place && granted.place.time.since(denied.place.time) <= timer::GIVE_UP
            };
            denied.status.is_challenge() && granted.iter().any(follows)
        };
        self.denied.retain(|denied| !is_answered(denied));
        if self.denied.is_empty() {
            self.denied = Vec::new(); // Its room is not kept, for there are many addresses-of-record.
        }
    }

    /// Keeps the last ones. A row that is full may lack the very last ones and begins anew.
    fn forget(&mut self) {
        if !self.is_whole() {
            *self = Registered::default();
        }
        keep_last(&mut self.asked);
        keep_last(&mut self.granted);
        keep_last(&mut self.denied);
    }

    /// A Contact, in the one copy of it that is kept if it is one of the last.
    fn kept_once(&self, contact: &str) -> Arc<str> {
        let asked = self.asked.last().map(|asked| &asked.contact);
        let granted = self.granted.last().into_iter().flat_map(|granted| &granted.bindings);
        let known = asked.into_iter().chain(granted).find(|known| &***known == contact);
        known.cloned().unwrap_or_else(|| contact.into())
    }

    /// True if everything was kept, so that what is missing was not there.
    pub fn is_whole(&self) -> bool {
        self.denied.len() < Registrations::MOST_ENTRIES
            && self.asked.len() < Registrations::MOST_ENTRIES
            && self.granted.len() < Registrations::MOST_ENTRIES
    }
}

/// Puts an entry in its order, once, while there is room.
fn insert<T: Ord>(row: &mut Vec<T>, entry: T) {
    if let (true, Err(at)) = (row.len() < Registrations::MOST_ENTRIES, row.binary_search(&entry)) {
        make_room(row);
        row.insert(at, entry);
    }
}

fn keep_last<T>(row: &mut Vec<T>) {
    let old = row.len().saturating_sub(Registrations::LAST_ENTRIES);
    if old > 0 {
        row.drain(..old);
        row.shrink_to_fit();
    }
}

/// The host in small letters, the user without escapes (RFC 3261 §10.3).
fn key(user: &str, host: &str) -> String {
    let user = unescaped(user);
    let mut key = String::with_capacity(user.len() + 1 + host.len());
    key.extend([&*user, "@", host]);
    key[user.len()..].make_ascii_lowercase();
    key
}

/// The key of the address-of-record that a To names.
fn address_of_record(to: &[u8]) -> Cow<'_, str> {
    if let Some(plain) = plain_address(to) {
        return Cow::Borrowed(plain);
    }
    let address = text(uri_of(to));
    let address = UriParts::read(&address);
    Cow::Owned(key(address.bare_user(), address.host))
}

/// The same of what most phones write, where it stands there as it is: `<sip:user@host>`, the host in small letters.
fn plain_address(to: &[u8]) -> Option<&str> {
    let inside = to.strip_prefix(b"<sip:")?;
    let is_of_user = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'_' | b'.');
    let at = inside.iter().position(|byte| !is_of_user(byte))?;
    let host = inside.get(at..)?.strip_prefix(b"@")?;
    let is_of_host = |byte: &u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'-' | b'.');
    let end = host.iter().position(|byte| !is_of_host(byte)).filter(|end| host.get(*end) == Some(&b'>'))?;
    std::str::from_utf8(inside.get(..at + 1 + end)?).ok()
}

fn asked(message: &Message<'_>, arrival: &Arrival, known: &Registered) -> Asked {
    let ((contact, instance), wanted) = (contact_and_instance(message), wanted(message));
    Asked {
        place: arrival.place,
        source: arrival.path.source,
        contact: known.kept_once(&contact),
        has_instance: instance.is_some(),
        device: device(message, instance.as_deref()),
        cseq: message.cseq().map_or(0, |cseq| cseq.number),
        over_udp: !arrival.path.transport.is_reliable(),
        removes: wanted == Some(0),
        wanted,
        account: shown_user(message)
            .and_then(|user| account_key(user, arrival.path.source.ip(), arrival.path.destination.ip())),
    }
}

/// What a device calls itself, as one number: its instance, else its Call-ID (RFC 3261 §10.2.4).
fn device(message: &Message<'_>, instance: Option<&str>) -> u64 {
    instance.map_or_else(|| call_key(message.call_id()), |instance| call_key(instance.as_bytes()))
}

/// A client that shows the credentials of a user to a server, as one number.
fn account_key(user: &[u8], client: IpAddr, server: IpAddr) -> Option<NonZeroU64> {
    let addresses = [client, server].map(|address| match address {
        IpAddr::V4(address) => address.to_ipv6_mapped().octets(),
        IpAddr::V6(address) => address.octets(),
    });
    NonZeroU64::new(call_key(&[user, addresses.as_flattened()].concat()))
}

/// The user name of the first credentials, without a look at the rest of them: most REGISTERs carry some.
fn shown_user<'a>(message: &'a Message<'_>) -> Option<&'a [u8]> {
    let shown = message.header_bytes(HeaderName::Authorization)?;
    let at = USER_NAME.find(shown)?;
    let rest = shown.get(at + USER_NAME.needle().len()..)?;
    rest.get(..memchr(b'"', rest)?)
}

static USER_NAME: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new("username=\""));

/// The URI of the first Contact, and the device that it names (`+sip.instance`, RFC 5626 §4.1).
fn contact_and_instance<'m>(message: &'m Message<'_>) -> (Cow<'m, str>, Option<String>) {
    let Some(line) = message.header_bytes(HeaderName::Contact) else { return (Cow::Borrowed(""), None) };
    if let Some((uri, _)) = std::str::from_utf8(line).ok().and_then(plain_binding) {
        return (Cow::Borrowed(uri), None);
    }
    if is_one_without_instance(line) {
        return (text(uri_of(line)), None);
    }
    let contact = message.contact().unwrap_or_default();
    let instance = contact.parameters.get("+sip.instance").map(str::to_owned);
    (contact.uri.into(), instance)
}

/// For how many seconds a REGISTER asks: in its first Contact, else for all of them (RFC 3261 §10.2.1.1).
fn wanted(message: &Message<'_>) -> Option<u32> {
    let contact = message.header_bytes(HeaderName::Contact).unwrap_or_default();
    let own = memchr::memmem::find(contact, b"xpires=").and_then(|at| contact.get(at + 7..));
    let time = own.or_else(|| message.header_bytes(HeaderName::Expires)).unwrap_or_default().trim_ascii_start();
    let digits = time.iter().position(|byte| !byte.is_ascii_digit()).unwrap_or(time.len());
    std::str::from_utf8(time.get(..digits)?).ok()?.parse().ok()
}

/// True for the plainest form, which most phones send: of that the URI is all that is needed.
fn is_one_without_instance(line: &[u8]) -> bool {
    let Some(end) = line.iter().position(|byte| *byte == b'>') else { return false };
    let (uri, parameters) = line.split_at(end);
    let is_listed_or_quoted = memchr2(b',', b'"', line).is_some() || memchr2(b'\r', b'\n', line).is_some();
    uri.starts_with(b"<") && !parameters.contains(&b'+') && !is_listed_or_quoted && line.is_ascii()
}

fn granted(message: &Message<'_>, arrival: &Arrival, known: &Registered) -> Granted {
    let seconds = |text: &str| text.trim().parse::<u32>().ok();
    let of_message = message.header("Expires").and_then(|value| seconds(&value));
    // Most phones have one binding: what lasts as long as the capture takes no more room than that.
    let mut bindings = Vec::with_capacity(1);
    let mut longest = None;
    let mut said_in = SaidIn::Nowhere;
    let mut note = |uri: &str, own: Option<u32>, is_plain: &dyn Fn(u32) -> bool| {
        if own.or(of_message) > longest {
            longest = own.or(of_message);
            said_in = match own {
                Some(own) if is_plain(own) => SaidIn::Contact,
                Some(_) => SaidIn::Nowhere,
                None => SaidIn::Header,
            };
        }
        if bindings.len() < Registrations::MOST_BINDINGS {
            bindings.push(known.kept_once(uri));
        }
    };
    for line in message.header_lines("Contact") {
        if let Some((uri, own)) = plain_binding(&line) {
            note(uri, Some(own), &|_| true);
            continue;
        }
        for binding in split_list(&line).map(NameAddr::read) {
            let own = binding.parameters.get("expires").and_then(seconds);
            note(&binding.uri, own, &|own| line.contains(&format!(";expires={own}")));
        }
    }
    let longest = longest.unwrap_or(if bindings.is_empty() { 0 } else { UNTOLD });
    let until = arrival.place.time.plus(Duration::from_secs(u64::from(longest)));
    Granted { place: arrival.place, until, bindings, account: None, port: 0, said_in }
}

/// The URI and the seconds of a line that holds what most registrars answer: `<…>;expires=60`.
fn plain_binding(line: &str) -> Option<(&str, u32)> {
    let (uri, parameters) = line.strip_prefix('<')?.split_once('>')?;
    let seconds = parameters.strip_prefix(";expires=")?;
    let is_number = matches!(seconds.as_bytes(), [b'1'..=b'9', rest @ ..] if rest.iter().all(u8::is_ascii_digit));
    let is_one_line = memchr3(b',', b'\r', b'\n', uri.as_bytes()).is_none();
    (is_number && is_one_line).then_some((uri.trim(), seconds.parse().ok()?))
}

/// Seconds for which a binding counts where the registrar does not say: the usual hour (RFC 3261 §10.2.1.1).
const UNTOLD: u32 = 3600;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sip::Cut;

    #[test]
    fn an_address_of_record_is_read_alike_in_its_plain_form_and_in_others() {
        for to in ["<sip:+15550100@example.com>", "<sip:a.b@sip-1.example.com>;tag=1", "<sip:@192.0.2.1>", "<sip:a@>"] {
            let parts = UriParts::read(std::str::from_utf8(uri_of(to.as_bytes())).unwrap());
            assert_eq!(plain_address(to.as_bytes()), Some(&*key(parts.bare_user(), parts.host)), "{to}");
        }
        for to in ["<sip:a@Example.com>", "<sip:a@192.0.2.1:5070>", "<sip:a;b@192.0.2.1>", "sip:a@192.0.2.1", "<sip:a>"]
        {
            assert_eq!(plain_address(to.as_bytes()), None, "{to}");
        }
        assert_eq!(address_of_record(b"<sip:a;b@Example.com:5070;transport=tcp>"), "a@example.com");
    }

    #[test]
    fn a_binding_is_read_alike_in_its_plain_form_and_in_others() {
        let line = "<sip:+15550100@192.0.2.1:5060;ob>;expires=60";
        let binding = NameAddr::read(line);
        let seconds = binding.parameters.get("expires").and_then(|seconds| seconds.parse().ok());
        assert_eq!(plain_binding(line), seconds.map(|seconds| (binding.uri.as_str(), seconds)));
        for other in
            ["<sip:a@b>", "<sip:a@b>;expires=060", "<sip:a@b>;q=1;expires=60", "<sip:a@b>;expires=60, <sip:c@d>"]
        {
            assert_eq!(plain_binding(other), None, "{other}");
        }
    }

    #[test]
    fn a_contact_is_read_alike_in_its_plain_form_and_in_others() {
        let of = |contact: &str| {
            let text = format!("REGISTER sip:example.com SIP/2.0\r\nContact: {contact}\r\nContent-Length: 0\r\n\r\n");
            let message = Message::read(text.as_bytes(), Cut::Whole).unwrap();
            let contact = message.contact().unwrap();
            let instance = contact.parameters.get("+sip.instance").map(str::to_owned);
            assert_eq!(contact_and_instance(&message), (contact.uri.into(), instance), "{text}");
            is_one_without_instance(message.header_bytes(HeaderName::Contact).unwrap())
        };
        assert!(of("<sip:+15550100@192.0.2.1:5060;ob>;expires=60") && of("<sip:a@[2001:db8::1]>;q=0.5"));
        for other in [
            "sip:a@192.0.2.1;expires=60",
            "*",
            "\"A <x>, B\" <sip:a@192.0.2.1>",
            "<sip:a@192.0.2.1>, <sip:b@192.0.2.1>",
            "<sip:a@192.0.2.1>;+sip.instance=\"<urn:uuid:1>\"",
            "<sip:a@192.0.2.1>;+SIP.Instance=<urn:uuid:1>;reg-id=1",
            "<sip:a@192.0.2.1>;\r\n expires=60",
            "<sip:a@192.0.2.1",
        ] {
            assert!(!of(other), "{other}");
        }
    }
}
