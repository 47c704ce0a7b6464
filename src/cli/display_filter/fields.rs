//! The fields that a display filter may name, and what they hold in a message.

use std::net::{IpAddr, SocketAddr};

use crate::call::Heard;
use crate::cli::nearest::nearest;
use crate::net::Transport;
use crate::sip::sdp::Sdp;
use crate::sip::{NameAddr, Uri, auth};

/// A field: Wireshark's name, what kind of value it holds, and where it is found.
#[derive(Debug)]
pub(super) struct Field {
    pub(super) name: &'static str,
    pub(super) kind: Kind,
    source: Found,
}

/// What kind of value a field holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Number,
    Text,
    Address,
    /// It is there or not.
    Presence,
}

/// What a field holds in one message.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Held {
    Number(u64),
    Text(String),
    Address(IpAddr),
    Presence,
}

/// Where a field is found.
enum Found {
    By(fn(&Heard) -> Vec<Held>),
    /// In the lines of a header.
    Header(&'static str),
}

impl std::fmt::Debug for Found {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Found::By(_) => f.write_str("By"),
            Found::Header(name) => write!(f, "Header({name})"),
        }
    }
}

impl PartialEq for Field {
    fn eq(&self, other: &Field) -> bool {
        self.name == other.name
    }
}

impl Field {
    /// What the message holds.
    pub(super) fn of(&self, heard: &Heard) -> Vec<Held> {
        match self.source {
            Found::By(read) => read(heard),
            Found::Header(name) => {
                let lines = heard.message.header_lines(name);
                if self.kind == Kind::Number {
                    return lines.filter_map(|line| line.trim().parse().ok().map(Held::Number)).collect();
                }
                lines.map(|line| Held::Text(line.into_owned())).collect()
            }
        }
    }
}

/// The field of this name; else the name that is nearest to it.
pub(super) fn find(name: &str) -> Result<&'static Field, String> {
    if let Some(field) = TABLE.iter().find(|field| field.name == name) {
        return Ok(field);
    }
    Err(match nearest(name, TABLE.iter().map(|field| field.name)) {
        Some(nearest) => format!("there is no field {name}; the nearest is {nearest}"),
        None => format!("there is no field {name}"),
    })
}

const fn by(name: &'static str, kind: Kind, read: fn(&Heard) -> Vec<Held>) -> Field {
    Field { name, kind, source: Found::By(read) }
}

const fn header(name: &'static str, header: &'static str) -> Field {
    Field { name, kind: Kind::Text, source: Found::Header(header) }
}

const fn number(name: &'static str, header: &'static str) -> Field {
    Field { name, kind: Kind::Number, source: Found::Header(header) }
}

/// Every field.
const TABLE: &[Field] = &[
    by("sip", Kind::Presence, |_| vec![Held::Presence]),
    by("sdp", Kind::Presence, |heard| Sdp::of(&heard.message).map(|_| Held::Presence).into_iter().collect()),
    by("udp", Kind::Presence, |heard| transport(heard, Transport::Udp)),
    by("tcp", Kind::Presence, |heard| transport(heard, Transport::Tcp)),
    by("ip", Kind::Presence, |heard| addresses(heard, Which::V4).first().map(|_| Held::Presence).into_iter().collect()),
    by("ipv6", Kind::Presence, |heard| {
        addresses(heard, Which::V6).first().map(|_| Held::Presence).into_iter().collect()
    }),
    by("frame.number", Kind::Number, |heard| {
        let repeats = heard.repeats.iter().map(|place| place.frame);
        std::iter::once(heard.place.frame).chain(repeats).map(Held::Number).collect()
    }),
    by("ip.addr", Kind::Address, |heard| addresses(heard, Which::V4)),
    by("ip.src", Kind::Address, |heard| one_address(heard.path.source, Which::V4)),
    by("ip.dst", Kind::Address, |heard| one_address(heard.path.destination, Which::V4)),
    by("ipv6.addr", Kind::Address, |heard| addresses(heard, Which::V6)),
    by("ipv6.src", Kind::Address, |heard| one_address(heard.path.source, Which::V6)),
    by("ipv6.dst", Kind::Address, |heard| one_address(heard.path.destination, Which::V6)),
    by("udp.port", Kind::Number, |heard| ports(heard, Transport::Udp, &[heard.path.source, heard.path.destination])),
    by("udp.srcport", Kind::Number, |heard| ports(heard, Transport::Udp, &[heard.path.source])),
    by("udp.dstport", Kind::Number, |heard| ports(heard, Transport::Udp, &[heard.path.destination])),
    by("tcp.port", Kind::Number, |heard| ports(heard, Transport::Tcp, &[heard.path.source, heard.path.destination])),
    by("tcp.srcport", Kind::Number, |heard| ports(heard, Transport::Tcp, &[heard.path.source])),
    by("tcp.dstport", Kind::Number, |heard| ports(heard, Transport::Tcp, &[heard.path.destination])),
    by("sip.Method", Kind::Text, |heard| text(heard.message.method().map(|method| method.name().to_owned()))),
    by("sip.Status-Code", Kind::Number, |heard| {
        heard.message.status().map(|status| Held::Number(status.get().into())).into_iter().collect()
    }),
    by("sip.Status-Line", Kind::Text, |heard| {
        text(heard.message.status().map(|_| heard.message.first_line().into_owned()))
    }),
    by("sip.Request-Line", Kind::Text, |heard| {
        text(heard.message.method().map(|_| heard.message.first_line().into_owned()))
    }),
    by("sip.r-uri", Kind::Text, |heard| text(heard.message.request_uri().map(|uri| uri.into_owned()))),
    by("sip.r-uri.user", Kind::Text, |heard| of_uri(request_uri(heard), |uri| uri.bare_user().to_owned())),
    by("sip.r-uri.host", Kind::Text, |heard| of_uri(request_uri(heard), |uri| uri.host.clone())),
    by("sip.from.addr", Kind::Text, |heard| text(heard.message.from().map(|from| from.uri))),
    by("sip.from.user", Kind::Text, |heard| of_uri(uri_of(heard.message.from()), |uri| uri.bare_user().to_owned())),
    by("sip.from.host", Kind::Text, |heard| of_uri(uri_of(heard.message.from()), |uri| uri.host.clone())),
    by("sip.from.tag", Kind::Text, |heard| text(heard.message.from().and_then(|from| from.tag().map(str::to_owned)))),
    by("sip.to.addr", Kind::Text, |heard| text(heard.message.to().map(|to| to.uri))),
    by("sip.to.user", Kind::Text, |heard| of_uri(uri_of(heard.message.to()), |uri| uri.bare_user().to_owned())),
    by("sip.to.host", Kind::Text, |heard| of_uri(uri_of(heard.message.to()), |uri| uri.host.clone())),
    by("sip.to.tag", Kind::Text, |heard| text(heard.message.to().and_then(|to| to.tag().map(str::to_owned)))),
    by("sip.contact.uri", Kind::Text, |heard| text(heard.message.contact().map(|contact| contact.uri))),
    by("sip.CSeq.seq", Kind::Number, |heard| {
        heard.message.cseq().map(|cseq| Held::Number(cseq.number.into())).into_iter().collect()
    }),
    by("sip.CSeq.method", Kind::Text, |heard| text(heard.message.cseq().map(|cseq| cseq.method.to_string()))),
    by("sip.Via.branch", Kind::Text, |heard| {
        heard.message.vias().iter().map(|via| Held::Text(via.branch().to_owned())).collect()
    }),
    by("sip.auth.realm", Kind::Text, |heard| of_auth(heard, "realm")),
    by("sip.auth.username", Kind::Text, |heard| of_auth(heard, "username")),
    header("sip.From", "From"),
    header("sip.To", "To"),
    header("sip.Contact", "Contact"),
    header("sip.Call-ID", "Call-ID"),
    header("sip.CSeq", "CSeq"),
    header("sip.Via", "Via"),
    header("sip.Route", "Route"),
    header("sip.Record-Route", "Record-Route"),
    header("sip.User-Agent", "User-Agent"),
    header("sip.Server", "Server"),
    header("sip.Reason", "Reason"),
    header("sip.Warning", "Warning"),
    header("sip.Allow", "Allow"),
    header("sip.Supported", "Supported"),
    header("sip.Require", "Require"),
    header("sip.Unsupported", "Unsupported"),
    header("sip.Content-Type", "Content-Type"),
    header("sip.Subject", "Subject"),
    header("sip.Event", "Event"),
    header("sip.Session-ID", "Session-ID"),
    header("sip.Session-Expires", "Session-Expires"),
    header("sip.P-Asserted-Identity", "P-Asserted-Identity"),
    header("sip.Diversion", "Diversion"),
    header("sip.Refer-To", "Refer-To"),
    number("sip.Expires", "Expires"),
    number("sip.Max-Forwards", "Max-Forwards"),
    number("sip.Retry-After", "Retry-After"),
    number("sip.Content-Length", "Content-Length"),
];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Which {
    V4,
    V6,
}

fn transport(heard: &Heard, wanted: Transport) -> Vec<Held> {
    if is_over(heard, wanted) { vec![Held::Presence] } else { Vec::new() }
}

/// TCP carries TLS and WebSocket too.
fn is_over(heard: &Heard, wanted: Transport) -> bool {
    let own = heard.path.transport;
    own == wanted || wanted == Transport::Tcp && matches!(own, Transport::Tls | Transport::Ws | Transport::Wss)
}

fn addresses(heard: &Heard, which: Which) -> Vec<Held> {
    [heard.path.source, heard.path.destination].into_iter().flat_map(|address| one_address(address, which)).collect()
}

fn one_address(address: SocketAddr, which: Which) -> Vec<Held> {
    let fits = address.is_ipv4() == (which == Which::V4);
    fits.then(|| Held::Address(address.ip())).into_iter().collect()
}

fn ports(heard: &Heard, wanted: Transport, of: &[SocketAddr]) -> Vec<Held> {
    if !is_over(heard, wanted) {
        return Vec::new();
    }
    of.iter().map(|address| Held::Number(address.port().into())).collect()
}

fn text(value: Option<String>) -> Vec<Held> {
    value.map(Held::Text).into_iter().collect()
}

fn request_uri(heard: &Heard) -> Option<Uri> {
    heard.message.request_uri().map(|uri| Uri::read(&uri))
}

fn uri_of(address: Option<NameAddr>) -> Option<Uri> {
    address.map(|address| address.parsed())
}

fn of_uri(uri: Option<Uri>, part: impl Fn(&Uri) -> String) -> Vec<Held> {
    text(uri.map(|uri| part(&uri)).filter(|part| !part.is_empty()))
}

fn of_auth(heard: &Heard, parameter: &str) -> Vec<Held> {
    let credentials = auth::credentials(&heard.message);
    if parameter == "username" {
        return credentials.iter().map(|one| Held::Text(one.username.clone())).collect();
    }
    let challenged = auth::challenges(&heard.message).iter().map(|one| one.realm.clone());
    challenged.chain(credentials.iter().map(|one| one.realm.clone())).map(Held::Text).collect()
}
