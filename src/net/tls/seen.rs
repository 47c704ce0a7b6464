//! What was seen of a TLS connection, read or not.

use std::net::SocketAddr;
use std::time::Duration;

use crate::capture::Place;
use crate::net::ConnectionEvent;
use crate::net::Path;
use crate::oddity::Unread;

/// A TLS connection, as far as it could be followed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsConnection {
    /// From the client to the server. Where no hello was captured, the end with the lower port is taken for the server.
    pub path: Path,
    /// Its first record.
    pub place: Place,
    /// Where the client's hello ended, if it was captured.
    pub hello_place: Option<Place>,
    /// The host that the client asked for (RFC 6066 §3). Captured text: letters, digits, `-`, `.`, `_`, and `?` for all
    /// else.
    pub server_name: Option<String>,
    /// Versions that the client offered, as they are written on the wire.
    pub offered_versions: Vec<u16>,
    /// Cipher suites that the client offered, at most [`TlsConnection::MOST_OFFERED`].
    pub offered_suites: Vec<u16>,
    /// The version that the server chose.
    pub version: Option<u16>,
    /// The cipher suite that the server chose.
    pub suite: Option<u16>,
    /// The server's certificate, if it was visible: up to TLS 1.2, or decrypted.
    pub certificate: Option<Certificate>,
    /// Where the message with that certificate ended.
    pub certificate_place: Option<Place>,
    /// The server asked the client for a certificate.
    pub wants_client_certificate: bool,
    /// The client took the server's answer and sent its part of the key, which TLS up to 1.2 shows.
    pub client_went_on: bool,
    /// Alerts that could be read, at most [`TlsConnection::MOST_ALERTS`].
    pub alerts: Vec<Alert>,
    /// Records behind the handshake, of both directions.
    pub records: u64,
    /// Why records were not read, if there were such.
    pub unread: Option<Unread>,
    /// Where the server answered the client's hello with SIP in clear.
    pub answered_in_clear: Option<Place>,
    /// Who ended the TCP connection first, if that was captured.
    pub ended: Option<Ended>,
}

/// How a handshake failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HandshakeFailure {
    /// By a fatal alert.
    Alert(Alert),
    /// The server answered the client's hello with SIP in clear: it speaks no TLS there.
    InClear(Place),
    /// The server did not answer the client's hello with one of its own.
    NoAnswer(Ended),
    /// The client had the server's certificate, and left without an alert.
    Left(Ended),
}

impl HandshakeFailure {
    /// The alert, or the end of the connection.
    pub fn place(self) -> Place {
        match self {
            HandshakeFailure::Alert(alert) => alert.place,
            HandshakeFailure::InClear(place) => place,
            HandshakeFailure::NoAnswer(ended) | HandshakeFailure::Left(ended) => ended.place,
        }
    }
}

/// How a TCP connection came to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ended {
    /// The segment with FIN or RST.
    pub place: Place,
    /// Who sent it.
    pub by: SocketAddr,
    /// [`ConnectionEvent::Fin`] or [`ConnectionEvent::Reset`].
    pub how: ConnectionEvent,
}

impl TlsConnection {
    /// Cipher suites that are kept of an offer.
    pub const MOST_OFFERED: usize = 64;
    /// Alerts that are kept.
    pub const MOST_ALERTS: usize = 8;
    /// Records that are marked as application data while TLS 1.3 still shakes hands.
    const MOST_OF_HANDSHAKE: u64 = 8;
    /// The level of an alert that ends the connection.
    const FATAL: u8 = 2;
    /// A client that waits so long for an answer to its hello waits in vain.
    const IN_VAIN: Duration = Duration::from_secs(3);

    /// The server as a reader knows it: its name, if the client said one, and its address.
    pub fn server(&self) -> String {
        let address = self.path.destination;
        self.server_name.as_ref().map_or_else(|| address.to_string(), |name| format!("{name} ({address})"))
    }

    /// How the handshake failed, if it did and the capture shows it.
    pub fn failure(&self) -> Option<HandshakeFailure> {
        let most = if self.version == Some(0x0304) { TlsConnection::MOST_OF_HANDSHAKE } else { 0 };
        if self.records > most {
            return None;
        }
        let has_hello = !self.offered_suites.is_empty();
        // What the client says of such an answer, by an alert, is not what is wrong.
        if let Some(place) = self.answered_in_clear.filter(|_| has_hello && self.version.is_none()) {
            return Some(HandshakeFailure::InClear(place));
        }
        let is_fatal = |alert: &&Alert| alert.level == TlsConnection::FATAL && alert.description != 0;
        if let Some(alert) = self.alerts.iter().find(is_fatal) {
            return Some(HandshakeFailure::Alert(*alert));
        }
        let ended = self.ended?;
        let by_server = ended.by == self.path.destination;
        match self.version {
            None if has_hello && (by_server || ended.place.time.since(self.place.time) >= TlsConnection::IN_VAIN) => {
                Some(HandshakeFailure::NoAnswer(ended))
            }
            Some(version) if version < 0x0304 && self.certificate.is_some() && !self.client_went_on && !by_server => {
                Some(HandshakeFailure::Left(ended))
            }
            _ => None,
        }
    }
}

/// What a certificate says of itself (RFC 5280). Captured text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Certificate {
    /// The common name of its subject; may be empty.
    pub subject: String,
    /// The name of its issuer.
    pub issuer: String,
    /// Names and addresses of its subject (§4.2.1.6), at most [`Certificate::MOST_NAMES`].
    pub names: Vec<String>,
    /// The first second in which it is valid, since 1970 UTC.
    pub not_before: i64,
    /// The last second in which it is valid, since 1970 UTC.
    pub not_after: i64,
    /// Its issuer has the name of its subject.
    pub is_self_signed: bool,
}

impl Certificate {
    /// Names that are kept.
    pub const MOST_NAMES: usize = 16;
}

/// An alert (RFC 8446 §6).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Alert {
    /// Where it stands.
    pub place: Place,
    /// From whom to whom.
    pub path: Path,
    /// 1 for a warning, 2 for a fatal alert.
    pub level: u8,
    /// What is wrong, as <https://www.iana.org/assignments/tls-parameters> numbers it.
    pub description: u8,
}

/// The name of a version of TLS.
pub fn version_name(version: u16) -> String {
    match version {
        0x0300 => "SSL 3.0".into(),
        0x0301 => "TLS 1.0".into(),
        0x0302 => "TLS 1.1".into(),
        0x0303 => "TLS 1.2".into(),
        0x0304 => "TLS 1.3".into(),
        other => format!("version 0x{other:04x}"),
    }
}
