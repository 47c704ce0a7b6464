//! From which ports SIP came over UDP: a device that sends from a port hears there as well, in most cases.
//!
//! Is given sockets; gives whether one was seen, in any call. Deliberately does not know who hears there: behind NAT it
//! may be another device of the same address.

use std::net::{IpAddr, SocketAddr};

use serde::{Deserialize, Serialize};

use crate::call::surroundings::Surroundings;
use crate::keyed::{Table, in_order, ordered};
use crate::net::Path;

/// The ports from which SIP came over UDP, by address. Mergeable. A hash table, as each new way is looked up in it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct Senders {
    #[serde(serialize_with = "in_order")]
    of: Table<IpAddr, Ports>,
}

/// The lowest ports of one address, in order; 0 stands behind them where there are few.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
struct Ports([u16; Ports::MOST]);

impl Ports {
    /// Ports that are kept: the lowest are the ones to hear on, and a NAT hands out high ones.
    const MOST: usize = 8;

    /// Puts a port in its place, and moves on those behind it: the last one goes where there is no room.
    fn note(&mut self, port: u16) {
        if self.0.contains(&port) {
            return;
        }
        let mut next = port;
        for place in &mut self.0 {
            if *place == 0 || next < *place {
                std::mem::swap(place, &mut next);
            }
            if next == 0 {
                return;
            }
        }
    }
}

impl Senders {
    /// Addresses that are kept.
    const MOST: usize = 3584;

    fn note(&mut self, socket: SocketAddr) {
        let has_room = self.of.len() < Senders::MOST;
        match self.of.get_mut(&socket.ip()) {
            Some(ports) => ports.note(socket.port()),
            None if has_room => self.of.entry(socket.ip()).or_default().note(socket.port()),
            None => {}
        }
    }

    /// Puts together what two readers have seen.
    pub(super) fn merge(&mut self, other: &Senders) {
        for (host, ports) in ordered(&other.of) {
            let known = ports.0.into_iter().filter(|port| *port != 0);
            known.for_each(|port| self.note(SocketAddr::new(*host, port)));
        }
    }
}

impl Surroundings {
    /// Notes that SIP took a way for the first time. Over a connection a client takes a new port each time, and nobody
    /// else can reach that.
    pub(crate) fn note_sender(&mut self, path: Path) {
        if !path.transport.is_reliable() {
            self.senders.note(path.source);
        }
    }

    /// True if SIP came from this address and port over UDP; of a host with very many ports that may stay unknown.
    pub fn has_sent_from(&self, socket: SocketAddr) -> bool {
        socket.port() != 0 && self.senders.of.get(&socket.ip()).is_some_and(|ports| ports.0.contains(&socket.port()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::Transport;

    fn path(port: u16, transport: Transport) -> Path {
        Path { source: ([192, 0, 2, 1], port).into(), destination: ([192, 0, 2, 2], 5060).into(), transport }
    }

    fn seen(ports: impl IntoIterator<Item = u16>) -> Surroundings {
        let mut surroundings = Surroundings::default();
        ports.into_iter().for_each(|port| surroundings.note_sender(path(port, Transport::Udp)));
        surroundings
    }

    #[test]
    fn ports_of_several_readers_are_put_together_in_any_order() {
        let merged = |one: &Surroundings, other: &Surroundings| {
            let mut one = one.clone();
            one.merge(other);
            one
        };
        let (a, b, c) = (seen([5060, 41_822]), seen([5060, 5080]), seen([]));
        assert_eq!(merged(&a, &b), merged(&b, &a));
        assert_eq!(merged(&merged(&a, &b), &c), merged(&a, &merged(&b, &c)));
        let both = merged(&a, &b);
        assert!([5060, 5080, 41_822].iter().all(|port| both.has_sent_from(([192, 0, 2, 1], *port).into())));
        assert!(!both.has_sent_from(([192, 0, 2, 2], 5060).into()), "it only got something there");
        let text = serde_json::to_string(&both).unwrap();
        assert_eq!(serde_json::from_str::<Surroundings>(&text).unwrap(), both);
    }

    #[test]
    fn ports_of_connections_are_not_kept_and_of_others_the_lowest() {
        let most = Ports::MOST as u16;
        let up = seen(5060..5060 + 100);
        assert_eq!(up, seen((5060..5060 + most).rev()), "the order has no part in it");
        assert!(up.has_sent_from(([192, 0, 2, 1], 5060).into()));
        let mut surroundings = Surroundings::default();
        surroundings.note_sender(path(50_000, Transport::Tcp));
        assert_eq!(surroundings, Surroundings::default());
        let hosts = (0..=Senders::MOST as u32).map(|host| SocketAddr::from((host.to_be_bytes(), 5060)));
        hosts.for_each(|socket| surroundings.senders.note(socket));
        assert_eq!(surroundings.senders.of.len(), Senders::MOST);
    }
}
