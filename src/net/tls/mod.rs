//! TLS (RFC 8446, RFC 5246): records, handshakes, and what is inside where the secrets are known.
//!
//! Is given the bytes of both directions of a connection, and secrets that programs have logged; gives the bytes
//! inside, what was seen of the connection, and why something could not be read. Deliberately holds no cipher of its
//! own, and never shows a secret.

mod agreed;
mod certificate;
mod channel;
mod hello;
mod keylog;
mod opener;
mod reader;
mod records;
mod schedule;
mod seen;
mod side;
mod suite;

pub use crate::net::tls::keylog::BadLine;
pub use crate::net::tls::keylog::KeyLog;
pub use crate::net::tls::seen::Alert;
pub use crate::net::tls::seen::Certificate;
pub use crate::net::tls::seen::Ended;
pub use crate::net::tls::seen::HandshakeFailure;
pub use crate::net::tls::seen::TlsConnection;
pub use crate::net::tls::seen::version_name;

pub(super) use crate::net::tls::channel::Channel;
pub(super) use crate::net::tls::records::may_become;
pub(super) use crate::net::tls::records::may_begin;
