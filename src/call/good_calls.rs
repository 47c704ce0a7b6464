//! What INVITEs that were accepted looked like: small digests, for comparing a call that failed with one that did not.
//!
//! Is given INVITEs; gives their traits, a few of them for each hop. Gives no number and no name of a person beyond the
//! Call-ID: of who was called only a hash, which tells one from another. Deliberately does not know which difference
//! matters.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::net::{IpAddr, SocketAddr};
use std::ops::Deref;
use std::sync::OnceLock;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::call::key::call_key;
use crate::call::number::{form, sure_end};
use crate::capture::{Place, Timestamp};
use crate::keyed::{Table, each_in_order, ordered};
use crate::net::Path;
use crate::sip::sdp::{Media, Sdp};
use crate::sip::{Cut, Message, Uri, first_letters};

/// Bytes of a request beyond which UDP may lose it (RFC 3261 §18.1.1).
const LARGE: usize = 1300;
/// Letters of one value that are kept.
const LONGEST: usize = 160;
/// Bytes of an INVITE beyond which its properties take less room than itself.
const LONG: usize = 4096;
/// Headers of which the value is compared, and holds no person.
const BY_VALUE: [&str; 4] = ["Require", "Proxy-Require", "Privacy", "Session-Expires"];
/// Headers of which only the presence is compared.
const BY_PRESENCE: [&str; 7] = [
    "P-Asserted-Identity",
    "P-Preferred-Identity",
    "Remote-Party-ID",
    "Diversion",
    "History-Info",
    "Identity",
    "Route",
];

/// The property that is kept as a hash.
pub const CALLED_USER: &str = "called user";
/// The trait that is how the called number is written.
const CALLED_NUMBER: &str = "called number";

/// Properties of the offer.
const OF_OFFER: [&str; 6] = ["offer", "kinds of media", "codecs", "telephone events", "media profile", "media address"];

/// One property of an INVITE.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Trait {
    /// What it is a property of: `codecs`.
    pub what: Cow<'static, str>,
    /// What the INVITE has: `PCMA PCMU`.
    pub has: String,
    /// The Wireshark field that shows it, and what that holds; `None` where no single field does.
    pub claim: Option<(String, String)>,
}

/// An INVITE that was accepted.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Sample {
    /// Where it is.
    pub place: Place,
    /// Who sent it.
    pub source: SocketAddr,
    /// Its Call-ID.
    pub call_id: String,
    /// What it calls itself (User-Agent).
    pub software: String,
    /// Its properties, in a fixed order.
    pub traits: Traits,
    /// The last digits of the called number, as a hash: the same in each format. 0 where it has few.
    #[serde(default)]
    pub called_end: u64,
    /// What its 2xx took of the offer; `None` if that carries no answer.
    pub taken: Option<Taken>,
}

/// The properties of an INVITE. Those of a good call are read when they are first asked for: nobody asks but where a
/// call on the same hop fails.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(from = "Vec<Trait>", into = "Vec<Trait>")]
pub struct Traits {
    read: OnceLock<Vec<Trait>>,
    /// What they are read from: the INVITE, and from whom to whom it went.
    unread: Option<(Box<[u8]>, Path)>,
}

/// What a server took of an offer.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Taken {
    /// The server: at another port of the same host there may be another one.
    pub server: SocketAddr,
    /// The names of the codecs of the audio, in upper case.
    pub codecs: Vec<String>,
    /// The profile of the audio: `RTP/SAVP`.
    pub profile: String,
    /// What the one who answered calls itself; empty if it does not say.
    pub software: String,
}

/// INVITEs that were accepted, a few for each hop. Mergeable: commutative, and associative as long as none is full.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct GoodCalls {
    /// By server and client.
    #[serde(serialize_with = "each_in_order")]
    samples: Table<IpAddr, Table<IpAddr, Vec<Sample>>>,
    /// How many there are of all hops.
    count: usize,
}

impl GoodCalls {
    /// Servers, and clients of each.
    const MOST_SERVERS: usize = 512;
    const MOST_CLIENTS: usize = 64;
    /// Samples of one hop.
    const MOST: usize = 4;
    /// Samples of all hops, each of some kilobytes; from half of them on one hop has no more than one.
    const MOST_OF_ALL: usize = 2048;
    /// Nearer in time no further one is taken, once there are two.
    const APART: Duration = Duration::from_secs(20);

    /// The samples of a hop, in order.
    pub fn on(&self, client: IpAddr, server: IpAddr) -> &[Sample] {
        self.samples.get(&server).and_then(|clients| clients.get(&client)).map_or(&[], Vec::as_slice)
    }

    /// True if one more sample of a hop would tell something new.
    pub(crate) fn wants(&self, client: IpAddr, server: IpAddr, now: Timestamp) -> bool {
        let has_room = self.count < GoodCalls::MOST_OF_ALL;
        match self.samples.get(&server) {
            None => has_room && self.samples.len() < GoodCalls::MOST_SERVERS,
            Some(clients) => match clients.get(&client) {
                None => has_room && clients.len() < GoodCalls::MOST_CLIENTS,
                Some(known) => {
                    let is_far = known.last().is_none_or(|last| now.since(last.place.time) >= GoodCalls::APART);
                    known.len() < 2 && self.is_roomy() || known.len() >= 2 && is_far
                }
            },
        }
    }

    fn is_roomy(&self) -> bool {
        self.count < GoodCalls::MOST_OF_ALL / 2
    }

    /// Notes an INVITE that was accepted.
    pub fn note(&mut self, client: IpAddr, server: IpAddr, sample: Sample) {
        if self.count >= GoodCalls::MOST_OF_ALL && self.on(client, server).is_empty() {
            return;
        }
        let is_roomy = self.is_roomy();
        let known = self.samples.entry(server).or_default().entry(client).or_default();
        let before = known.len();
        if let Err(at) = known.binary_search(&sample) {
            known.insert(at, sample);
        }
        // The first stays, and the latest do.
        let most = if is_roomy { GoodCalls::MOST } else { before.max(1) };
        while known.len() > most {
            known.remove(1);
        }
        self.count = self.count + known.len() - before;
    }

    /// Puts together what two readers have seen.
    pub(crate) fn merge(&mut self, other: &GoodCalls) {
        for (server, clients) in ordered(&other.samples) {
            for (client, samples) in ordered(clients) {
                samples.iter().for_each(|sample| self.note(*client, *server, sample.clone()));
            }
        }
    }
}

impl Trait {
    /// True if it is a property of the offer, and says nothing of who is called, nor where.
    pub fn is_of_offer(&self) -> bool {
        OF_OFFER.contains(&&*self.what)
    }
}

impl Traits {
    fn read(&self) -> &[Trait] {
        self.read.get_or_init(|| {
            let unread = self.unread.as_ref();
            let read = unread.and_then(|(invite, path)| Some(traits(&Message::read(invite, Cut::Whole)?, *path)));
            read.unwrap_or_default()
        })
    }
}

impl Deref for Traits {
    type Target = [Trait];

    fn deref(&self) -> &[Trait] {
        self.read()
    }
}

impl From<Vec<Trait>> for Traits {
    fn from(mut traits: Vec<Trait>) -> Traits {
        // They are kept for hours, and a third of what they grew to is empty.
        traits.shrink_to_fit();
        Traits { read: traits.into(), unread: None }
    }
}

impl From<Traits> for Vec<Trait> {
    fn from(traits: Traits) -> Vec<Trait> {
        traits.to_vec()
    }
}

impl PartialEq for Traits {
    fn eq(&self, other: &Traits) -> bool {
        self.read() == other.read()
    }
}

impl Eq for Traits {}

impl PartialOrd for Traits {
    fn partial_cmp(&self, other: &Traits) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Traits {
    fn cmp(&self, other: &Traits) -> Ordering {
        self.read().cmp(other.read())
    }
}

impl Sample {
    /// The digest of an INVITE.
    pub fn of(message: &Message<'_>, path: Path, place: Place) -> Sample {
        Sample::with_traits(message, path, place, traits(message, path).into())
    }

    /// The same of an INVITE of which the capture holds all, and of whose properties nobody may ask.
    pub(crate) fn of_whole(message: &Message<'_>, path: Path, place: Place) -> Sample {
        if message.bytes().len() > LONG {
            return Sample::of(message, path, place);
        }
        let unread = Some((message.bytes().into(), path));
        Sample::with_traits(message, path, place, Traits { read: OnceLock::new(), unread })
    }

    fn with_traits(message: &Message<'_>, path: Path, place: Place, traits: Traits) -> Sample {
        let call_id = shortened(&crate::sip::text(message.call_id()));
        let software = message.header("User-Agent").map(|name| shortened(&name)).unwrap_or_default();
        let called_end = message.request_uri().and_then(|uri| sure_end(&uri)).unwrap_or_default();
        Sample { place, source: path.source, call_id, software, traits, called_end, taken: None }
    }

    /// The same, with the codecs that its 2xx took, if that carries the answer.
    pub fn taken_by(self, server: SocketAddr, success: &Message<'_>) -> Sample {
        let medium = Sdp::of(success).and_then(audio).filter(|medium| medium.port != 0);
        let codecs = |medium: &Media| medium.main_codecs().into_iter().map(|codec| shortened(&codec.name)).collect();
        let software = || success.software().map(|name| shortened(&name)).unwrap_or_default();
        let taken = medium.map(|medium| Taken {
            server,
            codecs: codecs(medium),
            profile: shortened(&medium.protocol),
            software: software(),
        });
        Sample { taken, ..self }
    }

    /// How the called number is written: `+ and 11 digits`.
    pub(crate) fn form_of_called(&self) -> Option<&str> {
        self.traits.iter().find(|one| one.what == CALLED_NUMBER).map(|one| one.has.as_str())
    }

    /// The names of the codecs of the audio that it offered, in upper case, and their profile; `None` if it offered
    /// none.
    pub fn offers(&self) -> Option<(Vec<&str>, &str)> {
        let of = |what: &str| self.traits.iter().find(|one| one.what == what).map(|one| one.has.as_str());
        Some((of("codecs")?.split(' ').collect(), of("media profile")?))
    }

    /// The `m=` line of the audio that it offered, as Wireshark shows it; `None` if it offered none, or a very long
    /// one.
    pub fn offered(&self) -> Option<&str> {
        let codecs = self.traits.iter().find(|one| one.what == "codecs")?;
        codecs.claim.as_ref().map(|(_, line)| line.as_str())
    }
}

fn traits(message: &Message<'_>, path: Path) -> Vec<Trait> {
    let mut traits = Vec::new();
    let mut add = |what: &'static str, has: String, claim: Option<(&str, &str)>| {
        let claim = claim.filter(|(_, value)| value.len() <= LONGEST).map(|(f, v)| (f.to_owned(), v.to_owned()));
        traits.push(Trait { what: what.into(), has: shortened(&has), claim });
    };
    let sdp = Sdp::of(message);
    let audio = sdp.as_ref().and_then(|sdp| Some((sdp, audio(sdp)?)));
    let media = audio.map(|(_, media)| ("sdp.media", value_of_line(&media.line)));
    let target = message.request_uri().map(|uri| Uri::read(&uri)).unwrap_or_default();
    add(CALLED_USER, format!("{:016x}", call_key(target.plain_user().as_bytes())), None);
    add("destination port", path.destination.port().to_string(), None);
    add("offer", if sdp.is_some() { "in the INVITE" } else { "not in the INVITE" }.into(), None);
    if let Some(sdp) = &sdp {
        let kinds: Vec<&str> = sdp.media.iter().map(|medium| medium.kind.as_str()).collect();
        add("kinds of media", if kinds.is_empty() { "none".into() } else { kinds.join(" ") }, None);
    }
    if let Some((sdp, medium)) = audio {
        let codecs: Vec<String> = medium.main_codecs().iter().map(|codec| codec.name.clone()).collect();
        add("codecs", codecs.join(" "), media);
        let has_events = medium.codecs().iter().any(|codec| codec.name.eq_ignore_ascii_case("telephone-event"));
        add("telephone events", if has_events { "offered" } else { "not offered" }.into(), media);
        add("media profile", medium.protocol.clone(), media);
        let family = if sdp.address_of(medium).contains(':') { "IPv6" } else { "IPv4" };
        add("media address", family.into(), None);
    }
    add(CALLED_NUMBER, form(&target.plain_user()), None);
    add("dialled host", target.host.to_ascii_lowercase(), None);
    if let Some(from) = message.from().map(|from| from.parsed()) {
        add("calling number", form(&from.plain_user()), None);
        add("caller's domain", from.host.to_ascii_lowercase(), None);
    }
    add("transport", path.transport.name().into(), None);
    for name in BY_VALUE {
        let value = message.header(name).unwrap_or_default();
        let field = format!("sip.{name}");
        // An integer field shows no parameters.
        let is_text = !value.is_empty() && name != "Session-Expires";
        let has = if value.is_empty() { "none".into() } else { value.to_string() };
        add(name, has, is_text.then_some((field.as_str(), &*value)));
    }
    for name in BY_PRESENCE {
        add(name, if message.header(name).is_some() { "present" } else { "none" }.into(), None);
    }
    let shows_credentials = ["Authorization", "Proxy-Authorization"].iter().any(|name| message.header(name).is_some());
    add("credentials", if shows_credentials { "present" } else { "none" }.into(), None);
    let is_large = message.bytes().len() > LARGE;
    add("size", format!("{} {LARGE} bytes", if is_large { "more than" } else { "up to" }), None);
    add("software", message.header("User-Agent").map_or("not named".into(), |name| name.into_owned()), None);
    traits
}

/// The audio medium that is wanted, or else the first medium.
fn audio(sdp: &Sdp) -> Option<&Media> {
    sdp.media.iter().find(|media| media.kind == "audio" && media.port != 0).or(sdp.media.first())
}

/// A line of a description without its letter.
fn value_of_line(line: &str) -> &str {
    line.strip_prefix("m=").unwrap_or(line)
}

fn shortened(text: &str) -> String {
    first_letters(text, LONGEST).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::Transport;

    #[test]
    fn numbers_are_told_by_their_form() {
        assert_eq!(form("+12025550123"), "+ and 11 digits");
        assert_eq!(form("0012025550123"), "00 and 11 digits");
        assert_eq!(form("02025550123"), "0 and 10 digits");
        assert_eq!(form("1001"), "4 digits");
        assert_eq!(form("alice"), "a name");
        assert_eq!(form(""), "none");
    }

    fn sample(seconds: i64) -> Sample {
        let place = Place { time: Timestamp(seconds * 1_000_000_000), ..Place::default() };
        let (source, call_id) = (SocketAddr::from(([192, 0, 2, 1], 5060)), seconds.to_string());
        let (software, traits) = (String::new(), Traits::default());
        Sample { place, source, call_id, software, traits, called_end: 0, taken: None }
    }

    #[test]
    fn properties_that_are_read_later_are_the_same() {
        let invite = "INVITE sip:+12025550123@example.com SIP/2.0\r\nFrom: <sip:1001@192.0.2.1>\r\nUser-Agent: \
                      x\r\nContent-Type: application/sdp\r\n\r\nm=audio 4000 RTP/AVP 8\r\n";
        let path = Path {
            source: "192.0.2.1:5060".parse().unwrap(),
            destination: "192.0.2.2:5060".parse().unwrap(),
            transport: Transport::Udp,
        };
        let message = Message::read(invite.as_bytes(), Cut::Whole).unwrap();
        let (now, later) =
            (Sample::of(&message, path, Place::default()), Sample::of_whole(&message, path, Place::default()));
        assert!(later.traits.read.get().is_none() && now.traits.len() > 10);
        assert_eq!(now, later);
    }

    #[test]
    fn of_thousands_of_hops_each_has_fewer() {
        let mut calls = GoodCalls::default();
        let hop = |number: u32| {
            (IpAddr::from([192, 0, 2, (number % 50) as u8]), IpAddr::from([198, 51, (number / 50 % 100) as u8, 1]))
        };
        for turn in 0..6 {
            for number in 0..5000 {
                let (client, server) = hop(number);
                if calls.wants(client, server, sample(turn * 60).place.time) {
                    calls.note(client, server, sample(turn * 60));
                }
            }
        }
        let count: usize = (0..5000).map(|number| calls.on(hop(number).0, hop(number).1).len()).sum();
        assert_eq!((count, calls.count), (GoodCalls::MOST_OF_ALL, GoodCalls::MOST_OF_ALL));
        assert_eq!(calls.on(hop(0).0, hop(0).1).len(), 1);
    }

    #[test]
    fn the_first_stays_and_the_latest_do() {
        let (client, server) = (IpAddr::from([192, 0, 2, 1]), IpAddr::from([192, 0, 2, 2]));
        let mut calls = GoodCalls::default();
        assert!(calls.wants(client, server, Timestamp(0)));
        (1..=9).for_each(|at| calls.note(client, server, sample(at * 60)));
        let kept: Vec<&str> = calls.on(client, server).iter().map(|sample| sample.call_id.as_str()).collect();
        assert_eq!(kept, ["60", "420", "480", "540"]);
        assert!(!calls.wants(client, server, Timestamp(545_000_000_000)));
        assert!(calls.wants(client, server, Timestamp(600_000_000_000)));
        let mut other = GoodCalls::default();
        other.note(client, server, sample(700));
        let mut merged = other.clone();
        merged.merge(&calls);
        calls.merge(&other);
        assert_eq!(merged, calls);
        let text = serde_json::to_string(&merged).unwrap();
        assert_eq!(serde_json::from_str::<GoodCalls>(&text).unwrap(), merged);
    }
}
