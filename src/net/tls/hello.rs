//! The messages of a handshake that can be read by anyone (RFC 8446 §4, RFC 5246 §7.4).
//!
//! Is given the bytes of one message; gives what it says. Deliberately does not know the order of messages.

use crate::net::tls::keylog::Random;
use crate::net::tls::keylog::Resumable;
use crate::net::tls::keylog::resumable;
use crate::net::tls::reader::Reader;
use crate::net::tls::schedule::version;
use crate::net::tls::seen::TlsConnection;

/// Types of messages.
pub(super) mod message {
    pub(in crate::net::tls) const CLIENT_HELLO: u8 = 1;
    pub(in crate::net::tls) const SERVER_HELLO: u8 = 2;
    pub(in crate::net::tls) const NEW_SESSION_TICKET: u8 = 4;
    pub(in crate::net::tls) const CERTIFICATE: u8 = 11;
    pub(in crate::net::tls) const CERTIFICATE_REQUEST: u8 = 13;
    pub(in crate::net::tls) const CLIENT_KEY_EXCHANGE: u8 = 16;
}

/// Numbers of extensions.
mod extension {
    pub const SERVER_NAME: u16 = 0;
    pub const ENCRYPT_THEN_MAC: u16 = 22;
    pub const SESSION_TICKET: u16 = 35;
    pub const EARLY: u16 = 42;
    pub const SUPPORTED_VERSIONS: u16 = 43;
}

/// A server hello with this random asks for another client hello (RFC 8446 §4.1.3).
const RETRY: Random = [
    0xCF, 0x21, 0xAD, 0x74, 0xE5, 0x9A, 0x61, 0x11, 0xBE, 0x1D, 0x8C, 0x02, 0x1E, 0x65, 0xB8, 0x91, 0xC2, 0xA2, 0x11,
    0x16, 0x7A, 0xBB, 0x8C, 0x5E, 0x07, 0x9E, 0x09, 0xE2, 0xC8, 0xA8, 0x33, 0x9C,
];

/// What a client offers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ClientHello {
    pub random: Random,
    pub session: Vec<u8>,
    pub ticket: Option<Resumable>,
    /// The host that it wants, as it says.
    pub server_name: Option<String>,
    /// Versions that it offers.
    pub versions: Vec<u16>,
    /// Cipher suites that it offers.
    pub suites: Vec<u16>,
    /// It may send before it has an answer.
    pub is_early: bool,
}

/// What a server chooses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ServerHello {
    pub random: Random,
    pub session: Vec<u8>,
    pub version: u16,
    pub suite: u16,
    pub is_compressed: bool,
    pub encrypts_then_macs: bool,
    /// It wants another client hello.
    pub is_retry: bool,
}

impl ClientHello {
    /// Reads the body of a message.
    pub(super) fn read(body: &[u8]) -> Option<ClientHello> {
        let mut reader = Reader(body);
        let legacy = reader.u16()?;
        let random = reader.array()?;
        let session = reader.vector8()?.to_vec();
        let mut suites = Reader(reader.vector16()?).all_u16();
        suites.truncate(TlsConnection::MOST_OFFERED);
        suites.shrink_to_fit();
        reader.vector8()?;
        let mut hello = ClientHello {
            random,
            session,
            ticket: None,
            server_name: None,
            versions: Vec::new(),
            suites,
            is_early: false,
        };
        for (number, value) in extensions(reader) {
            match number {
                extension::SERVER_NAME => hello.server_name = server_name(value),
                extension::SESSION_TICKET if !value.is_empty() => hello.ticket = Some(resumable(value)),
                extension::SUPPORTED_VERSIONS => {
                    hello.versions = Reader(value).vector8().map(|list| Reader(list).all_u16()).unwrap_or_default();
                }
                extension::EARLY => hello.is_early = true,
                _ => {}
            }
        }
        if hello.versions.is_empty() {
            hello.versions.push(legacy);
        }
        Some(hello)
    }
}

impl ServerHello {
    /// Reads the body of a message.
    pub(super) fn read(body: &[u8]) -> Option<ServerHello> {
        let mut reader = Reader(body);
        let legacy = reader.u16()?;
        let random: Random = reader.array()?;
        let session = reader.vector8()?.to_vec();
        let suite = reader.u16()?;
        let is_compressed = reader.u8()? != 0;
        let is_retry = random == RETRY;
        let mut hello =
            ServerHello { random, session, version: legacy, suite, is_compressed, encrypts_then_macs: false, is_retry };
        for (number, value) in extensions(reader) {
            match number {
                extension::SUPPORTED_VERSIONS => hello.version = Reader(value).u16().unwrap_or(legacy),
                extension::ENCRYPT_THEN_MAC => hello.encrypts_then_macs = true,
                _ => {}
            }
        }
        Some(hello)
    }
}

/// The bytes of the first certificate of a message: that of the sender.
pub(super) fn certificate(body: &[u8], tls: u16) -> Option<&[u8]> {
    let mut reader = Reader(body);
    if tls >= version::TLS_1_3 {
        reader.vector8()?;
    }
    Reader(reader.vector24()?).vector24()
}

/// The ticket that a server gives up to TLS 1.2 (RFC 5077 §3.3).
pub(super) fn ticket(body: &[u8]) -> Option<Resumable> {
    let mut reader = Reader(body);
    reader.bytes(4)?;
    reader.vector16().filter(|ticket| !ticket.is_empty()).map(resumable)
}

/// Each extension with its number.
fn extensions(mut reader: Reader<'_>) -> impl Iterator<Item = (u16, &[u8])> {
    let mut list = Reader(reader.vector16().unwrap_or_default());
    std::iter::from_fn(move || Some((list.u16()?, list.vector16()?)))
}

/// The name of the host (RFC 6066 §3); characters that no name has are replaced.
fn server_name(value: &[u8]) -> Option<String> {
    let mut list = Reader(Reader(value).vector16()?);
    if list.u8()? != 0 {
        return None;
    }
    let name = list.vector16()?;
    let name = name.get(..name.len().min(255))?;
    let plain = |byte: &u8| if byte.is_ascii_alphanumeric() || b"-._".contains(byte) { char::from(*byte) } else { '?' };
    Some(name.iter().map(plain).collect())
}
