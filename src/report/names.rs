//! Names that the user gave to addresses.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};

/// Names by address; an address with a port goes before one without.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Names {
    hosts: BTreeMap<IpAddr, String>,
    sockets: BTreeMap<SocketAddr, String>,
}

impl Names {
    /// Gives an address a name: `198.51.100.10`, `198.51.100.10:5060`, `2001:db8::1`, `[2001:db8::1]:5060`. False if it
    /// is no address.
    #[must_use]
    pub fn give(&mut self, address: &str, name: &str) -> bool {
        if let Ok(host) = address.parse() {
            self.hosts.insert(host, name.to_owned());
        } else if let Ok(socket) = address.parse() {
            self.sockets.insert(socket, name.to_owned());
        } else {
            return false;
        }
        true
    }

    /// True if there is none.
    pub fn is_empty(&self) -> bool {
        self.hosts.is_empty() && self.sockets.is_empty()
    }

    /// The name of an address, with or without a port.
    pub fn of(&self, address: &str) -> Option<&str> {
        let socket: Option<SocketAddr> = address.parse().ok();
        let host = socket.map(|socket| socket.ip()).or_else(|| address.trim_matches(['[', ']']).parse().ok());
        let of_socket = socket.and_then(|socket| self.sockets.get(&socket));
        of_socket.or_else(|| self.hosts.get(&host?)).map(String::as_str)
    }

    /// The name before the address, where there is one: `Carrier A 198.51.100.10`.
    pub(crate) fn with(&self, address: &str) -> String {
        match self.of(address) {
            Some(name) => format!("{name} {address}"),
            None => address.to_owned(),
        }
    }

    /// The same for running text: `Carrier A (198.51.100.10)`.
    pub(crate) fn beside(&self, address: &str) -> String {
        match self.of(address) {
            Some(name) => format!("{name} ({address})"),
            None => address.to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_hosts_and_of_ports() {
        let mut names = Names::default();
        assert!(names.give("198.51.100.10", "Carrier A") && names.give("198.51.100.10:5062", "its backup"));
        assert!(names.give("2001:db8::1", "six") && !names.give("carrier", "x"));
        assert_eq!(names.with("198.51.100.10"), "Carrier A 198.51.100.10");
        assert_eq!(names.of("198.51.100.10:5060"), Some("Carrier A"));
        assert_eq!(names.of("198.51.100.10:5062"), Some("its backup"));
        assert_eq!(names.beside("[2001:db8::1]:5060"), "six ([2001:db8::1]:5060)");
        assert_eq!(names.with("192.0.2.1"), "192.0.2.1");
    }
}
