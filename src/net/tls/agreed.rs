//! What both sides of a TLS connection have agreed on.
//!
//! Is given the messages of the handshake; gives the suite, the secrets and the keys that follow from them.
//! Deliberately does not know records.

use crate::net::connection::Sender;
use crate::net::tls::hello;
use crate::net::tls::hello::ClientHello;
use crate::net::tls::hello::ServerHello;
use crate::net::tls::hello::message;
use crate::net::tls::keylog::KeyLog;
use crate::net::tls::keylog::Label;
use crate::net::tls::keylog::Resumable;
use crate::net::tls::keylog::Secret;
use crate::net::tls::keylog::resumable;
use crate::net::tls::opener::Keys;
use crate::net::tls::opener::MacOrder;
use crate::net::tls::opener::Opener;
use crate::net::tls::opener::lengths;
use crate::net::tls::reader::Reader;
use crate::net::tls::schedule::key_block;
use crate::net::tls::schedule::version;
use crate::net::tls::suite;
use crate::net::tls::suite::Cipher;
use crate::net::tls::suite::Suite;
use crate::oddity::Unread;

/// At which stage a direction of TLS 1.3 is (RFC 8446 §7.1), in their order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Stage {
    /// The client sends before it has an answer.
    Early,
    /// The handshake.
    Handshake(Role),
    /// Behind the handshake.
    Traffic(Role),
}

/// Which end a direction comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Role {
    /// The client.
    Client,
    /// The server.
    Server,
}

impl Role {
    /// Its stages in their order.
    pub(super) fn stages(self) -> &'static [Stage] {
        match self {
            Role::Client => &[Stage::Early, Stage::Handshake(Role::Client), Stage::Traffic(Role::Client)],
            Role::Server => &[Stage::Handshake(Role::Server), Stage::Traffic(Role::Server)],
        }
    }
}

/// What was agreed on so far.
#[derive(Debug, Default)]
pub(super) struct Agreed {
    /// Who the client is.
    pub client: Option<Sender>,
    /// What it offered.
    pub hello: Option<ClientHello>,
    /// What the server chose.
    pub choice: Option<ServerHello>,
    ticket: Option<Resumable>,
    /// The keys were exchanged anew, and nothing is resumed.
    has_key_exchange: bool,
    /// The server wanted another client hello, as only TLS 1.3 does.
    has_retry: bool,
    /// A hello could not be read.
    is_broken: bool,
}

impl Agreed {
    /// True once both hellos are known.
    pub(super) fn is_complete(&self) -> bool {
        self.hello.is_some() && self.choice.is_some()
    }

    /// True once it is known to be TLS 1.3.
    pub(super) fn is_tls_1_3(&self) -> bool {
        self.has_retry || self.choice.as_ref().is_some_and(|choice| choice.version >= version::TLS_1_3)
    }

    /// The version, as far as it is known.
    pub(super) fn version(&self) -> u16 {
        self.choice.as_ref().map_or(version::TLS_1_2, |choice| choice.version)
    }

    /// Which end a direction comes from, as far as that is known.
    pub(super) fn role(&self, sender: Sender) -> Option<Role> {
        self.client.map(|client| if client == sender { Role::Client } else { Role::Server })
    }

    /// Takes in a message of the handshake.
    pub(super) fn hear(&mut self, sender: Sender, kind: u8, body: &[u8]) {
        match kind {
            message::CLIENT_HELLO => {
                self.client = Some(sender);
                self.hello = ClientHello::read(body);
                self.is_broken |= self.hello.is_none();
            }
            message::SERVER_HELLO => match ServerHello::read(body) {
                Some(choice) if choice.is_retry => self.has_retry = true,
                Some(choice) => {
                    self.client.get_or_insert(sender.other());
                    self.choice = Some(choice);
                }
                None => self.is_broken = true,
            },
            message::NEW_SESSION_TICKET if !self.is_tls_1_3() => self.ticket = hello::ticket(body),
            message::CLIENT_KEY_EXCHANGE => self.has_key_exchange = true,
            _ => {}
        }
    }

    /// Forgets it for a new handshake on the same connection, up to TLS 1.2.
    pub(super) fn begin_anew(&mut self) {
        *self = Agreed { client: self.client, ..Agreed::default() };
    }

    /// True if a hello could not be read.
    pub(super) fn is_broken(&self) -> bool {
        self.is_broken
    }

    /// The suite.
    pub(super) fn suite(&self) -> Result<Suite, Unread> {
        let choice = self.choice.as_ref().ok_or(Unread::NotFromStart)?;
        suite::of(choice.suite).ok_or(Unread::Cipher(choice.suite))
    }

    /// The secret of a stage of TLS 1.3.
    pub(super) fn traffic_secret(&self, keys: &KeyLog, stage: Stage) -> Option<Secret> {
        let label = match stage {
            Stage::Early => Label::ClientEarly,
            Stage::Handshake(Role::Client) => Label::ClientHandshake,
            Stage::Handshake(Role::Server) => Label::ServerHandshake,
            Stage::Traffic(Role::Client) => Label::ClientTraffic,
            Stage::Traffic(Role::Server) => Label::ServerTraffic,
        };
        keys.secret(&self.hello.as_ref()?.random, label)
    }

    /// What opens the records of a direction up to TLS 1.2.
    pub(super) fn opener(&self, role: Role, keys: &mut KeyLog) -> Result<Opener, Unread> {
        let (Some(hello), Some(choice)) = (&self.hello, &self.choice) else { return Err(Unread::NotFromStart) };
        let suite = self.suite()?;
        if !(version::TLS_1_0..=version::TLS_1_2).contains(&choice.version) {
            return Err(Unread::Version(choice.version));
        }
        if choice.is_compressed {
            return Err(Unread::Compression);
        }
        let order = if choice.encrypts_then_macs { MacOrder::EncryptThenMac } else { MacOrder::MacThenEncrypt };
        if let Cipher::Null(_) = suite.cipher {
            let none = Keys { mac: &[], key: &[], iv: &[] };
            return Opener::of_keys(suite.cipher, none, order).ok_or(Unread::Cipher(choice.suite));
        }
        let master = self.master(keys).ok_or(Unread::NoSecret)?;
        let [mac, key, iv] = lengths(suite.cipher, choice.version);
        let length = mac.saturating_add(key).saturating_add(iv).saturating_mul(2);
        let block = key_block(choice.version, suite.hash, master.bytes(), &[&choice.random, &hello.random], length);
        let mut reader = Reader(&block);
        let mut pair = |length| Some([reader.bytes(length)?, reader.bytes(length)?]);
        let parts = pair(mac).zip(pair(key)).zip(pair(iv));
        let Some((([mac_of_client, mac_of_server], [client, server]), [iv_of_client, iv_of_server])) = parts else {
            return Err(Unread::Damaged);
        };
        let keys = match role {
            Role::Client => Keys { mac: mac_of_client, key: client, iv: iv_of_client },
            Role::Server => Keys { mac: mac_of_server, key: server, iv: iv_of_server },
        };
        Opener::of_keys(suite.cipher, keys, order).ok_or(Unread::Cipher(choice.suite))
    }

    /// The master secret: of this handshake, or of the one that it resumes (RFC 5246 §7.3, RFC 5077).
    fn master(&self, keys: &mut KeyLog) -> Option<Secret> {
        let (hello, choice) = (self.hello.as_ref()?, self.choice.as_ref()?);
        let resumed = || {
            let by_id = (!hello.session.is_empty() && hello.session == choice.session)
                .then(|| keys.resumed(&resumable(&hello.session)));
            by_id.flatten().or_else(|| keys.resumed(&hello.ticket?))
        };
        let own = keys.secret(&hello.random, Label::Master);
        let master = own.or_else(|| if self.has_key_exchange { None } else { resumed() })?;
        if !choice.session.is_empty() {
            keys.remember(resumable(&choice.session), master);
        }
        if let Some(ticket) = self.ticket {
            keys.remember(ticket, master);
        }
        Some(master)
    }
}
