//! Request methods (RFC 3261 §7.1 and the IANA register).

use std::fmt;

use serde::{Deserialize, Serialize};

/// The method of a request. Methods are case-sensitive (RFC 3261 §7.1); an unknown one keeps its text.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(from = "String", into = "String")]
#[allow(missing_docs)] // The names are the methods themselves.
pub enum Method {
    Invite,
    Ack,
    Bye,
    Cancel,
    Register,
    Options,
    Prack,
    Update,
    Info,
    Refer,
    Subscribe,
    Notify,
    Publish,
    Message,
    /// Any other token.
    Other(Box<str>),
}

impl Method {
    /// The tokens of the methods that have a name here.
    pub const NAMES: [&str; 14] = [
        "INVITE",
        "ACK",
        "BYE",
        "CANCEL",
        "REGISTER",
        "OPTIONS",
        "PRACK",
        "UPDATE",
        "INFO",
        "REFER",
        "SUBSCRIBE",
        "NOTIFY",
        "PUBLISH",
        "MESSAGE",
    ];

    /// Reads a method; bytes that are not UTF-8 become U+FFFD.
    pub fn read(token: &[u8]) -> Method {
        Method::known(token).unwrap_or_else(|| Method::Other(String::from_utf8_lossy(token).into()))
    }

    /// The method of a token that has a name here.
    #[inline]
    pub(crate) fn known(token: &[u8]) -> Option<Method> {
        Some(match token {
            b"INVITE" => Method::Invite,
            b"ACK" => Method::Ack,
            b"BYE" => Method::Bye,
            b"CANCEL" => Method::Cancel,
            b"REGISTER" => Method::Register,
            b"OPTIONS" => Method::Options,
            b"PRACK" => Method::Prack,
            b"UPDATE" => Method::Update,
            b"INFO" => Method::Info,
            b"REFER" => Method::Refer,
            b"SUBSCRIBE" => Method::Subscribe,
            b"NOTIFY" => Method::Notify,
            b"PUBLISH" => Method::Publish,
            b"MESSAGE" => Method::Message,
            _ => return None,
        })
    }

    /// The token as it stands in a request line.
    pub fn name(&self) -> &str {
        match self {
            Method::Other(name) => name,
            known => known.known_name().unwrap_or_default(),
        }
    }

    /// The token of a method that has a name here; `None` for [`Method::Other`], whose names a sender makes.
    pub fn known_name(&self) -> Option<&'static str> {
        Some(match self {
            Method::Invite => "INVITE",
            Method::Ack => "ACK",
            Method::Bye => "BYE",
            Method::Cancel => "CANCEL",
            Method::Register => "REGISTER",
            Method::Options => "OPTIONS",
            Method::Prack => "PRACK",
            Method::Update => "UPDATE",
            Method::Info => "INFO",
            Method::Refer => "REFER",
            Method::Subscribe => "SUBSCRIBE",
            Method::Notify => "NOTIFY",
            Method::Publish => "PUBLISH",
            Method::Message => "MESSAGE",
            Method::Other(_) => return None,
        })
    }
}

impl From<String> for Method {
    fn from(name: String) -> Method {
        Method::read(name.as_bytes())
    }
}

impl From<Method> for String {
    fn from(method: Method) -> String {
        method.name().to_owned()
    }
}

impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_is_read_as_its_method() {
        let known = Method::NAMES.map(|name| Method::read(name.as_bytes()).known_name());
        assert_eq!(known, Method::NAMES.map(Some));
    }
}
