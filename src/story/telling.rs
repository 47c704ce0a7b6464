//! A story in order of time: what is sent, with its path.
//!
//! Knows actors, connections and copies. Is given a [`Script`]; gives [`Event`]s whose messages are complete.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};

use crate::net::{Path, Transport};
use crate::story::Error;
use crate::story::complete::Completion;
use crate::story::script::{Actor, Answer, Closing, IcmpKind, Script, Step, What};
use crate::story::script_line::{MessageLine, Seen};
use crate::story::wire::{Frame, Wire};

/// Something that happens at one moment.
#[derive(Debug, Clone)]
pub(super) struct Event {
    /// Microseconds since the start.
    pub time: i64,
    pub line: usize,
    pub seen: Seen,
    pub deed: Deed,
}

#[derive(Debug, Clone)]
pub(super) enum Deed {
    /// Messages: one, or over TCP several in the same segment.
    Messages {
        path: Path,
        messages: Vec<Vec<u8>>,
        segment: usize,
        /// Over TCP, how long after the same segments come again, none of which is acknowledged.
        unacknowledged: Option<Vec<i64>>,
    },
    /// A datagram that is not SIP.
    Other {
        path: Path,
        bytes: Vec<u8>,
    },
    Icmp {
        reporter: IpAddr,
        kind: IcmpKind,
        told: IpAddr,
        about: IpAddr,
        mtu: u16,
    },
    Close {
        path: Path,
        with: Closing,
    },
    Knock {
        path: Path,
        answer: Answer,
    },
    /// The clock of the capture steps by so many microseconds.
    Clock(i64),
}

/// Completes every message, and puts everything in order of time.
pub(super) fn tell(script: &Script) -> Result<Vec<Event>, Error> {
    let mut teller = Teller {
        actors: &script.actors,
        completion: Completion::new(&script.actors, &script.title),
        connections: BTreeMap::new(),
        opened: 0,
        events: Vec::new(),
        sent: Vec::new(),
    };
    for step in &script.steps {
        teller.step(step)?;
    }
    let mut events = teller.events;
    events.sort_by_key(|event| event.time);
    Ok(events)
}

/// The frames of these events.
///
/// # Errors
/// An ICMP error that has nothing to quote.
pub(super) fn frames(events: &[Event], actors: &[Actor]) -> Result<Vec<Frame>, Error> {
    let mut wire = Wire::new(actors.iter().map(|actor| (actor.address, actor.checksum)));
    for event in events {
        match &event.deed {
            Deed::Messages { path, messages, segment, unacknowledged } => {
                let payload = messages.concat();
                match (path.transport, event.seen) {
                    (Transport::Udp, Seen::Captured) => wire.datagram(event.time, *path, &payload),
                    (Transport::Udp, Seen::Missed) => {}
                    (_, Seen::Captured) => match unacknowledged {
                        None => wire.stream(event.time, *path, &payload, *segment),
                        Some(again) => wire.unacknowledged_stream(event.time, *path, &payload, *segment, again),
                    },
                    (_, Seen::Missed) => wire.missed_stream(*path, &payload),
                }
            }
            Deed::Other { path, bytes } => wire.datagram(event.time, *path, bytes),
            Deed::Icmp { reporter, kind, told, about, mtu } => {
                if !wire.icmp(event.time, *reporter, *kind, *told, *about, *mtu) {
                    let says = format!("expected a packet from {told} to {about} before this ICMP error");
                    return Err(Error::new(event.line, says));
                }
            }
            Deed::Close { path, with } => wire.close(event.time, *path, *with),
            Deed::Knock { path, answer } => wire.knock(event.time, *path, *answer),
            Deed::Clock(_) => {}
        }
    }
    Ok(wire.into_frames())
}

/// Each has a port of its own from 49152 up.
const MOST_CONNECTIONS: u16 = 8_000;

/// A TCP connection between two actors.
#[derive(Debug, Clone, Copy)]
struct Open {
    client: usize,
    port: u16,
}

struct Teller<'a> {
    actors: &'a [Actor],
    completion: Completion<'a>,
    connections: BTreeMap<(usize, usize), Open>,
    opened: u16,
    events: Vec<Event>,
    /// Who sent which bytes to whom, for `again`.
    sent: Vec<(usize, usize, Vec<u8>)>,
}

impl Teller<'_> {
    fn step(&mut self, step: &Step) -> Result<(), Error> {
        match &step.what {
            What::Message(line) => return self.message(step, line),
            What::Again { from, to, seen, start } => {
                let bytes = self.sent_before(step.line, *from, *to, start)?;
                let path = self.path(step.line, *from, *to)?;
                let deed = Deed::Messages { path, messages: vec![bytes], segment: 1460, unacknowledged: None };
                self.push(step, *seen, deed);
            }
            What::Raw { from, to, seen, bytes } => {
                check_size(step.line, bytes)?;
                let path = self.path(step.line, *from, *to)?;
                let deed = Deed::Messages { path, messages: vec![bytes.clone()], segment: 1460, unacknowledged: None };
                self.push(step, *seen, deed);
            }
            What::Icmp { reporter, kind, told, about, mtu } => {
                self.check_family(step.line, *reporter, *told)?;
                self.check_family(step.line, *about, *told)?;
                let ip = |actor: &usize| self.actors[*actor].address.ip();
                let (reporter, told, about) = (ip(reporter), ip(told), ip(about));
                let deed = Deed::Icmp { reporter, kind: *kind, told, about, mtu: *mtu };
                self.push(step, Seen::Captured, deed);
            }
            What::Rtp { from, to, packets, payload_type, ports } => {
                self.rtp(step, (*from, *to), *packets, *payload_type, *ports)?;
            }
            What::Clock(jump) => self.push(step, Seen::Captured, Deed::Clock(*jump)),
            What::Knock { from, to, answer } => {
                let path = self.tcp_path(step.line, *from, *to)?;
                self.connections.remove(&pair(*from, *to));
                self.push(step, Seen::Captured, Deed::Knock { path, answer: *answer });
            }
            What::Close { from, to, with } => {
                let path = self.tcp_path(step.line, *from, *to)?;
                self.connections.remove(&pair(*from, *to));
                self.push(step, Seen::Captured, Deed::Close { path, with: *with });
            }
            What::End => {
                let path = Path {
                    source: SocketAddr::from(([198, 51, 100, 200], 9)),
                    destination: SocketAddr::from(([203, 0, 113, 200], 9)),
                    transport: Transport::Udp,
                };
                self.push(step, Seen::Captured, Deed::Other { path, bytes: b"the end".to_vec() });
            }
        }
        Ok(())
    }

    fn message(&mut self, step: &Step, line: &MessageLine) -> Result<(), Error> {
        let path = self.path(step.line, line.from, line.to)?;
        let bytes = self.completion.message(step.line, line, path.source)?.bytes();
        check_size(step.line, &bytes)?;
        self.sent.push((line.from, line.to, bytes.clone()));
        if !line.glued {
            let segment = line.segment.unwrap_or(1460);
            let unacknowledged = line.unacknowledged.clone();
            self.push(step, line.seen, Deed::Messages { path, messages: vec![bytes], segment, unacknowledged });
            return Ok(());
        }
        match self.events.last_mut() {
            Some(Event { deed: Deed::Messages { path: before, messages, .. }, .. })
                if *before == path && path.transport != Transport::Udp =>
            {
                messages.push(bytes);
                Ok(())
            }
            _ => Err(Error::new(step.line, "expected a message over TCP on the same way in the line before `&`")),
        }
    }

    fn sent_before(&self, line: usize, from: usize, to: usize, start: &str) -> Result<Vec<u8>, Error> {
        let begins = |bytes: &[u8]| {
            let text = String::from_utf8_lossy(bytes);
            text.strip_prefix("SIP/2.0 ").unwrap_or(&text).starts_with(start)
        };
        let found = self.sent.iter().rev().find(|(one, other, bytes)| (*one, *other) == (from, to) && begins(bytes));
        found.map(|(.., bytes)| bytes.clone()).ok_or_else(|| {
            let (from, to) = (&self.actors[from].name, &self.actors[to].name);
            Error::new(line, format!("expected a message from {from} to {to} before that begins with `{start}`"))
        })
    }

    fn rtp(
        &mut self,
        step: &Step,
        (from, to): (usize, usize),
        packets: u32,
        payload_type: u8,
        ports: (u16, u16),
    ) -> Result<(), Error> {
        let hop = self.path(step.line, from, to)?;
        let path = Path {
            source: SocketAddr::new(hop.source.ip(), ports.0),
            destination: SocketAddr::new(hop.destination.ip(), ports.1),
            transport: Transport::Udp,
        };
        let source = u32::from(ports.0) << 16 | u32::from(ports.1);
        for packet in 0..packets {
            let mut bytes = vec![0x80, payload_type & 0x7f];
            bytes.extend_from_slice(&(packet % 65_536).to_be_bytes()[2..]);
            bytes.extend_from_slice(&packet.wrapping_mul(160).to_be_bytes());
            bytes.extend_from_slice(&source.to_be_bytes());
            bytes.extend(std::iter::repeat_n(if payload_type == 8 { 0xd5 } else { 0xff }, 160));
            let time = step.time + i64::from(packet) * 20_000;
            let deed = Deed::Other { path, bytes };
            self.events.push(Event { time, line: step.line, seen: Seen::Captured, deed });
        }
        Ok(())
    }

    /// Over TCP the one who speaks first opens the connection from a port of its own, and both use it from then on.
    fn path(&mut self, line: usize, from: usize, to: usize) -> Result<Path, Error> {
        self.check_family(line, from, to)?;
        let (source, destination) = (&self.actors[from], &self.actors[to]);
        let mut path = Path { source: source.address, destination: destination.address, transport: Transport::Udp };
        if source.transport == Transport::Udp && destination.transport == Transport::Udp {
            return Ok(path);
        }
        path.transport = Transport::Tcp;
        if self.opened >= MOST_CONNECTIONS {
            return Err(Error::new(line, format!("expected at most {MOST_CONNECTIONS} connections")));
        }
        let opened = &mut self.opened;
        let open = *self.connections.entry(pair(from, to)).or_insert_with(|| {
            *opened += 1;
            Open { client: from, port: 49_150 + *opened * 2 }
        });
        if open.client == from {
            path.source.set_port(open.port);
        } else {
            path.destination.set_port(open.port);
        }
        Ok(path)
    }

    fn tcp_path(&mut self, line: usize, from: usize, to: usize) -> Result<Path, Error> {
        let path = self.path(line, from, to)?;
        if path.transport == Transport::Udp {
            return Err(Error::new(line, "expected actors that speak TCP: UDP has no connections"));
        }
        Ok(path)
    }

    fn check_family(&self, line: usize, one: usize, other: usize) -> Result<(), Error> {
        let (one, other) = (&self.actors[one], &self.actors[other]);
        if one.address.is_ipv4() == other.address.is_ipv4() {
            return Ok(());
        }
        let says = format!("expected two addresses of one family, found {} and {}", one.address, other.address);
        Err(Error::new(line, says))
    }

    /// An event and its copies.
    fn push(&mut self, step: &Step, seen: Seen, deed: Deed) {
        self.events.push(Event { time: step.time, line: step.line, seen, deed: deed.clone() });
        for copy in &step.copies {
            self.events.push(Event { time: step.time + copy, line: step.line, seen, deed: deed.clone() });
        }
    }
}

/// What fits into one datagram.
fn check_size(line: usize, bytes: &[u8]) -> Result<(), Error> {
    if bytes.len() > 65_000 {
        return Err(Error::new(line, format!("expected at most 65000 bytes, found {}", bytes.len())));
    }
    Ok(())
}

fn pair(one: usize, other: usize) -> (usize, usize) {
    (one.min(other), one.max(other))
}
