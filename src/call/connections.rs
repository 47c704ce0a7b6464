//! TCP connections that did not come about, or broke while SIP used them (RFC 9293 §3.5, RFC 3261 §18.4).
//!
//! Is given what happens to connections; gives those that failed, as a value that can be merged. Deliberately does not
//! know which call needed them.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::ops::RangeInclusive;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::call::timer;
use crate::capture::{Place, Timestamp};
use crate::net::{Connection, ConnectionEvent, HandshakeFailure, IcmpCode, IcmpError, Path, StreamId, TlsConnection};

/// How a connection failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum HowFailed {
    /// A RST answered the SYN.
    Refused,
    /// The SYN was repeated, and nothing answered.
    Silent,
    /// An ICMP error says that the SYN was not delivered.
    Undelivered {
        /// Who says so.
        reporter: IpAddr,
        /// What it says.
        what: IcmpCode,
    },
    /// The server reset a connection that carried SIP.
    Reset,
    /// The server closed a connection that carried SIP.
    Closed,
    /// What the client sent was repeated by its TCP again and again, and never acknowledged.
    Unacknowledged,
    /// The connection stood, and the handshake of TLS failed on it: by this fatal alert, or without one.
    Handshake(Option<u8>),
}

impl HowFailed {
    /// True if the connection did not come about at all.
    pub fn is_in_vain(self) -> bool {
        matches!(self, HowFailed::Refused | HowFailed::Silent | HowFailed::Undelivered { .. })
    }
}

/// A connection that failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct FailedConnection {
    /// Who asked for it; where SIP broke off, the other end of the one who ended it.
    pub client: SocketAddr,
    /// Who was asked, or who ended it.
    pub server: SocketAddr,
    /// How.
    pub how: HowFailed,
    /// The first SYN; where SIP broke off, the same as `place`; where nothing was acknowledged, the first repetition;
    /// of TLS, its first record.
    pub asked: Place,
    /// The RST, FIN, alert or ICMP error; where nothing answered, the last SYN or repetition.
    pub place: Place,
    /// Copies of the SYN that were sent, or repetitions of what was not acknowledged.
    pub copies: u32,
    /// Until when an answer was waited for in the capture: the time of `place`, or of the end of the wait.
    pub until: Timestamp,
}

/// The connections of a capture that failed. Mergeable.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct FailedConnections {
    /// By the address of the client, in order.
    of: BTreeMap<IpAddr, Vec<FailedConnection>>,
}

impl FailedConnections {
    /// Clients that are kept.
    const MOST_CLIENTS: usize = 1024;
    /// Failed connections that are kept of one client.
    const MOST_OF_CLIENT: usize = 64;

    /// True if there is none.
    pub fn is_empty(&self) -> bool {
        self.of.is_empty()
    }

    /// Those of a client, in order.
    pub fn of_client(&self, client: IpAddr) -> &[FailedConnection] {
        self.of.get(&client).map_or(&[], Vec::as_slice)
    }

    /// All of them, in order.
    pub fn iter(&self) -> impl Iterator<Item = &FailedConnection> {
        self.of.values().flatten()
    }

    /// The end of the connection on a path by the one to whom it leads, between two moments.
    pub fn broken(&self, path: Path, from: Timestamp, to: Timestamp) -> Option<&FailedConnection> {
        self.of_client(path.source.ip()).iter().find(|failed| {
            (failed.client, failed.server) == (path.source, path.destination)
                && matches!(failed.how, HowFailed::Reset | HowFailed::Closed)
                && from <= failed.place.time
                && failed.place.time <= to
        })
    }

    /// What came to nothing of the bytes sent on a path, from this place on or a little before: one that was sent
    /// before it on the same connection may be what TCP repeats.
    pub fn unacknowledged(&self, path: Path, sent: Place) -> Option<&FailedConnection> {
        self.of_client(path.source.ip()).iter().find(|failed| {
            (failed.client, failed.server, failed.how) == (path.source, path.destination, HowFailed::Unacknowledged)
                && sent < failed.place
                && failed.asked.time <= sent.time.plus(timer::GIVE_UP)
        })
    }

    /// Notes a handshake of TLS, if it failed.
    pub(crate) fn note_tls(&mut self, seen: &TlsConnection) {
        let Some(failure) = seen.failure() else { return };
        let alert = if let HandshakeFailure::Alert(alert) = failure { Some(alert.description) } else { None };
        self.note(FailedConnection {
            client: seen.path.source,
            server: seen.path.destination,
            how: HowFailed::Handshake(alert),
            asked: seen.place,
            place: failure.place(),
            copies: 0,
            until: failure.place().time,
        });
    }

    /// Notes one.
    pub fn note(&mut self, failed: FailedConnection) {
        let client = failed.client.ip();
        if self.of.len() >= FailedConnections::MOST_CLIENTS && !self.of.contains_key(&client) {
            return;
        }
        let known = self.of.entry(client).or_default();
        if known.len() < FailedConnections::MOST_OF_CLIENT && !known.contains(&failed) {
            known.push(failed);
            known.sort_unstable();
        }
    }

    /// Notes one that goes on: what was known of it so far is replaced.
    fn note_again(&mut self, failed: FailedConnection) {
        self.take_back(&failed);
        self.note(failed);
    }

    /// Takes back that a connection failed, as it goes on.
    fn take_back(&mut self, failed: &FailedConnection) {
        if let Some(known) = self.of.get_mut(&failed.client.ip()) {
            let which = |one: &FailedConnection| (one.client, one.server, one.how, one.asked);
            known.retain(|one| which(one) != which(failed));
        }
    }

    /// Forgets those that were over before this moment.
    pub(crate) fn forget(&mut self, before: Timestamp) {
        self.of.retain(|_, known| {
            known.retain(|failed| failed.until >= before);
            !known.is_empty()
        });
    }

    /// Puts together what two readers have seen.
    pub(crate) fn merge(&mut self, other: &FailedConnections) {
        for failed in other.iter() {
            self.note(*failed);
        }
    }
}

/// The connections that are being opened.
#[derive(Debug, Default)]
pub(crate) struct Openings {
    /// By the number of the connection: in order of opening.
    of: BTreeMap<u64, Opening>,
    /// What is repeated and not acknowledged, by the stream.
    repeated: BTreeMap<StreamId, Opening>,
}

#[derive(Debug, Clone, Copy)]
struct Opening {
    path: Path,
    asked: Place,
    last: Place,
    copies: u32,
    /// The first ICMP error that quotes it.
    undelivered: Option<(Place, HowFailed)>,
}

/// The ports on which SIP is waited for over TCP and TLS: those of RFC 3261 §19.1.1, and those around that exchanges
/// take.
const SIP_PORTS: RangeInclusive<u16> = 5060..=5099;
/// Repetitions that show that nobody takes what is sent: TCP waits twice as long before each (RFC 6298 §5.5).
const REPEATED_IN_VAIN: u32 = 5;
/// Copies of a SYN that show that the client waits in vain.
const COPIES_IN_VAIN: u32 = 3;
/// A copy sooner than this is one of the tap: the first interval of TCP is a second (RFC 6298 §2).
const NO_REPEAT: Duration = Duration::from_millis(100);

impl Openings {
    /// Connections that are being opened at once, as far as they are kept.
    const MOST: usize = 4096;

    /// Takes in what happened to a connection. `carries_sip` says if SIP was seen on its ports.
    pub(crate) fn hear(
        &mut self,
        event: &Connection,
        carries_sip: impl FnOnce() -> CarriesSip,
        failed: &mut FailedConnections,
    ) {
        self.settle_until(event.place.time, failed);
        match event.what {
            ConnectionEvent::Syn => self.ask(event, carries_sip, failed),
            ConnectionEvent::SynAck | ConnectionEvent::Forgotten => self.came_about(event.stream),
            ConnectionEvent::Repeated => self.repeat(event, failed),
            ConnectionEvent::Acknowledged => self.acknowledge(event.stream, failed),
            ConnectionEvent::Refused | ConnectionEvent::Reset | ConnectionEvent::Fin => {
                self.end(event, carries_sip, failed);
            }
            ConnectionEvent::Received | ConnectionEvent::Encrypted | ConnectionEvent::TlsAlert { .. } => {}
        }
    }

    /// Says that a connection carries bytes: it came about, even if no SYN-ACK was captured.
    pub(crate) fn came_about(&mut self, stream: StreamId) {
        if !self.of.is_empty() {
            self.of.remove(&number(stream));
        }
    }

    /// Says that the input has ended.
    pub(crate) fn finish(&mut self, now: Timestamp, failed: &mut FailedConnections) {
        while let Some((_, opening)) = self.of.pop_first() {
            opening.settle(now, failed);
        }
    }

    fn ask(&mut self, event: &Connection, carries_sip: impl FnOnce() -> CarriesSip, failed: &mut FailedConnections) {
        if !SIP_PORTS.contains(&event.path.destination.port()) && carries_sip() == CarriesSip::No {
            return;
        }
        let known = self.of.entry(number(event.stream)).or_insert(Opening::at(event));
        if event.place.time.since(known.last.time) >= NO_REPEAT {
            known.last = event.place;
            known.copies = known.copies.saturating_add(1);
        }
        if self.of.len() > Openings::MOST
            && let Some((_, oldest)) = self.of.pop_first()
        {
            oldest.settle(event.place.time, failed);
        }
    }

    /// An ICMP error quotes a segment on this path. If it is the SYN of a connection that does not come about, that is
    /// why.
    pub(crate) fn undelivered(&mut self, quoted: Path, error: &IcmpError<'_>) {
        if let Some(opening) = self.of.values_mut().find(|opening| opening.path == quoted) {
            let how = HowFailed::Undelivered { reporter: error.reporter, what: error.what };
            opening.undelivered.get_or_insert((error.place, how));
        }
    }

    /// What was sent is sent once more.
    fn repeat(&mut self, event: &Connection, failed: &mut FailedConnections) {
        let known = self.repeated.entry(event.stream).or_insert(Opening::at(event));
        if event.place.time.since(known.last.time) >= NO_REPEAT {
            known.last = event.place;
            known.copies = known.copies.saturating_add(1);
        }
        if known.copies >= REPEATED_IN_VAIN {
            failed.note_again(known.unacknowledged());
        }
        if self.repeated.len() > Openings::MOST {
            self.repeated.pop_first();
        }
    }

    fn acknowledge(&mut self, stream: StreamId, failed: &mut FailedConnections) {
        if let Some(known) = self.repeated.remove(&stream) {
            failed.take_back(&known.unacknowledged());
        }
    }

    fn end(&mut self, event: &Connection, carries_sip: impl FnOnce() -> CarriesSip, failed: &mut FailedConnections) {
        self.repeated.remove(&event.stream);
        let opening = self.of.remove(&number(event.stream));
        let (client, server) = (event.path.destination, event.path.source);
        let of_peer = opening.filter(|opening| opening.path.destination == server);
        if let (Some(opening), ConnectionEvent::Refused) = (of_peer, event.what) {
            failed.note(FailedConnection {
                client,
                server,
                how: HowFailed::Refused,
                asked: opening.asked,
                place: event.place,
                copies: opening.copies,
                until: event.place.time,
            });
            return;
        }
        if opening.is_some() || carries_sip() == CarriesSip::No {
            return;
        }
        let how = if event.what == ConnectionEvent::Fin { HowFailed::Closed } else { HowFailed::Reset };
        let (asked, place, until) = (event.place, event.place, event.place.time);
        failed.note(FailedConnection { client, server, how, asked, place, copies: 0, until });
    }

    /// The oldest openings have waited as long as any request does.
    fn settle_until(&mut self, now: Timestamp, failed: &mut FailedConnections) {
        while let Some(oldest) = self.of.first_entry() {
            if now.since(oldest.get().last.time) < timer::GIVE_UP {
                return;
            }
            oldest.remove().settle(now, failed);
        }
    }
}

impl Opening {
    /// With its first segment.
    fn at(event: &Connection) -> Opening {
        Opening { path: event.path, asked: event.place, last: event.place, copies: 1, undelivered: None }
    }

    fn unacknowledged(self) -> FailedConnection {
        FailedConnection {
            client: self.path.source,
            server: self.path.destination,
            how: HowFailed::Unacknowledged,
            asked: self.asked,
            place: self.last,
            copies: self.copies,
            until: self.last.time,
        }
    }

    fn settle(self, now: Timestamp, failed: &mut FailedConnections) {
        let silent = (self.copies >= COPIES_IN_VAIN).then_some((self.last, HowFailed::Silent));
        let Some((place, how)) = self.undelivered.or(silent) else { return };
        failed.note(FailedConnection {
            client: self.path.source,
            server: self.path.destination,
            how,
            asked: self.asked,
            place,
            copies: self.copies,
            until: now,
        });
    }
}

/// Whether SIP was seen on the ports of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CarriesSip {
    /// It was.
    Yes,
    /// It was not.
    No,
}

/// The number of a connection: its two directions differ in the lowest bit.
fn number(stream: StreamId) -> u64 {
    stream.0 >> 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_that_failed_long_ago_are_forgotten() {
        let mut failed = FailedConnections::default();
        for second in 0..10 {
            let place = Place { time: Timestamp(second * 1_000_000_000), ..Place::default() };
            failed.note(FailedConnection {
                client: ([192, 0, 2, second as u8 / 5], 40_000).into(),
                server: ([192, 0, 2, 9], 5060).into(),
                how: HowFailed::Refused,
                asked: place,
                place,
                copies: 1,
                until: place.time,
            });
        }
        failed.forget(Timestamp(7_000_000_000));
        let left: Vec<i64> = failed.iter().map(|failed| failed.until.0 / 1_000_000_000).collect();
        assert_eq!((left, failed.of.len()), (vec![7, 8, 9], 1));
    }
}
