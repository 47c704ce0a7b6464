//! Messages from capture agents: HEP, over UDP and TCP.
//!
//! Threads read the sockets into one queue; as a [`Source`] it hands on each packet as it came, with the time that its
//! agent gives where that is credible ([`AgentsClock`]). So the clock of the run is that of the agents: what is
//! replayed from a file is judged by the times of that file. UDP that finds no room is dropped and counted; TCP waits.

use std::collections::VecDeque;
use std::io::Read;
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use crate::capture::{
    Error as CaptureError, Input, InputFacts, LinkType, Notice, Packet, Progress, Source, SourceId, Timestamp,
};
use crate::cli::service::address::{Target, resolved, tcp_listener, udp_socket};
use crate::cli::service::agents_clock::{AgentsClock, Heard, Own};
use crate::cli::service::queue::{Queue, Taken};
use crate::error::Error;
use crate::net::HepHead;
use crate::oddity::{Oddity, OddityLog};

/// Bytes that wait to be analysed.
const QUEUE: usize = 32 << 20;
/// Bytes that the system is asked to keep for us while we look away.
#[cfg(unix)]
const SOCKET: usize = 8 << 20;
/// Connections at a time. Agents keep theirs open.
const MOST_CONNECTIONS: usize = 256;
/// How long a connection may say nothing: before its first packet, and later.
const SILENCE: (Duration, Duration) = (Duration::from_secs(10), Duration::from_secs(3600));
/// How long to wait for a packet before it is said to be quiet.
const PAUSE: Duration = Duration::from_millis(20);
/// Bytes that are read at a time: no datagram is larger.
const BUFFER: usize = 64 << 10;
/// Bytes at the front of a packet of version 3 that tell how long it is.
const HEAD: usize = 6;
/// How long to wait after a read that failed: an ICMP error, of which the next packet may follow at once.
const AFTER_FAULT: Duration = Duration::from_millis(10);
/// How long to wait where no connection could be taken: the system has no room for it, and will not have it at once.
const AFTER_REFUSAL: Duration = Duration::from_millis(100);
/// Packets that are passed over before we look up.
const PATIENCE: u32 = 1000;

/// Sockets that are open and not yet read.
pub(crate) struct HepSockets {
    udp: UdpSocket,
    tcp: TcpListener,
}

impl HepSockets {
    /// Opens both at one address.
    pub(crate) fn open(typed: &str) -> Result<HepSockets, Error> {
        let tcp = tcp_listener("--hep-listen", typed)?;
        let own = tcp.local_addr().map(|address| address.to_string()).unwrap_or_else(|_| typed.to_owned());
        let udp = udp_socket("--hep-listen", &own)?;
        #[cfg(unix)]
        widen(&udp);
        Ok(HepSockets { udp, tcp })
    }

    /// True if what is sent to a target comes back to us.
    pub(crate) fn is_reached_by(&self, target: &str) -> Result<bool, Error> {
        let Ok(own) = self.tcp.local_addr() else { return Ok(false) };
        let targets = resolved("--hep-send", Target::read(target).address())?;
        let is_own = |ip: std::net::IpAddr| ip == own.ip() || own.ip().is_unspecified() && ip.is_loopback();
        Ok(targets.iter().any(|target| target.port() == own.port() && is_own(target.ip())))
    }

    /// Where they listen.
    pub(crate) fn address(&self) -> String {
        self.tcp.local_addr().map(|address| address.to_string()).unwrap_or_default()
    }
}

/// Asks for more room: as root for what we want, else for what everybody may have.
#[cfg(unix)]
fn widen(socket: &UdpSocket) {
    use nix::sys::socket::{setsockopt, sockopt};
    #[cfg(target_os = "linux")]
    if setsockopt(socket, sockopt::RcvBufForce, &SOCKET).is_ok() {
        return;
    }
    let _ = setsockopt(socket, sockopt::RcvBuf, &SOCKET);
}

/// Packets from agents.
pub(crate) struct HepListener {
    name: String,
    queue: Arc<Queue<Vec<u8>>>,
    counts: Arc<Counts>,
    key: Option<Vec<u8>>,
    clock: AgentsClock,
    packet: Vec<u8>,
    /// The time of the packet at hand, if it was not handed on yet.
    waiting: Option<Timestamp>,
    notices: VecDeque<Notice>,
    packets: u64,
    first_and_last: Option<(Timestamp, Timestamp)>,
    oddities: OddityLog,
    /// Packets that hold no SIP.
    others: u64,
}

/// What the threads count.
#[derive(Debug, Default)]
struct Counts {
    connections: AtomicUsize,
    /// Connections that were refused or closed because of what they sent.
    closed: AtomicU64,
}

impl HepListener {
    /// Begins to read.
    pub(crate) fn start(sockets: HepSockets, key: Option<Vec<u8>>) -> HepListener {
        let name = format!("hep:{}", sockets.address());
        let (queue, counts) = (Arc::new(Queue::new(QUEUE)), Arc::new(Counts::default()));
        let HepSockets { udp, tcp } = sockets;
        let of_udp = Arc::clone(&queue);
        thread::spawn(move || read_datagrams(&udp, &of_udp));
        let (of_tcp, of_counts) = (Arc::clone(&queue), Arc::clone(&counts));
        thread::spawn(move || accept(&tcp, &of_tcp, &of_counts));
        HepListener {
            name,
            queue,
            counts,
            key,
            clock: AgentsClock::default(),
            packet: Vec::new(),
            waiting: None,
            notices: VecDeque::new(),
            packets: 0,
            first_and_last: None,
            oddities: OddityLog::default(),
            others: 0,
        }
    }

    /// Takes a packet in if it is one of ours and holds SIP; gives what counts as its time.
    fn admit(&mut self, bytes: Vec<u8>) -> Option<Heard> {
        let Some(head) = HepHead::read(&bytes) else {
            self.oddities.note(Oddity::RefusedCopy { why: "it is no HEP" }, None);
            return None;
        };
        if let Some(key) = &self.key
            && !head.key.is_some_and(|said| is_same(said, key))
        {
            let why = if head.key.is_some() { "its key is wrong" } else { "it has no key" };
            self.oddities.note(Oddity::RefusedCopy { why }, None);
            return None;
        }
        if !head.is_sip {
            self.others += 1;
            return None;
        }
        self.packets += 1;
        let heard = self.clock.time_of(head.time, Own::now());
        if matches!(heard, Heard::Doubted(_)) {
            self.oddities.note(Oddity::TimestampOutOfRange, Some(self.packets));
        }
        let (Heard::At(time) | Heard::Doubted(time) | Heard::Set(time, _)) = heard;
        let (first, last) = self.first_and_last.unwrap_or((time, time));
        self.first_and_last = Some((first.min(time), last.max(time)));
        self.packet = bytes;
        Some(heard)
    }

    /// The packet at hand.
    fn packet(&self, time: Timestamp) -> Input<'_> {
        Input::Packet(Packet {
            time,
            source: SourceId(0),
            number: self.packets,
            link: LinkType::HEP,
            bytes: &self.packet,
            original_len: u32::try_from(self.packet.len()).unwrap_or(u32::MAX),
        })
    }
}

impl Source for HepListener {
    fn next(&mut self) -> Result<Option<Input<'_>>, CaptureError> {
        if let Some(time) = self.waiting.take() {
            return Ok(Some(self.packet(time)));
        }
        for _ in 0..PATIENCE {
            let Taken::Entry(bytes) = self.queue.take(PAUSE) else { break };
            match self.admit(bytes) {
                Some(Heard::At(time) | Heard::Doubted(time)) => return Ok(Some(self.packet(time))),
                Some(Heard::Set(time, nanoseconds)) => {
                    self.waiting = Some(time);
                    self.notices.push_back(Notice::AgentsClockSet { nanoseconds });
                    return Ok(Some(Input::ClockSet(nanoseconds)));
                }
                None => {}
            }
        }
        Ok(Some(Input::Quiet(self.clock.quiet_until())))
    }

    fn inputs(&self) -> Vec<InputFacts> {
        let mut oddities = self.oddities.clone();
        let drops = self.queue.dropped();
        if drops > 0 {
            oddities.note(Oddity::Drops { packets: drops }, None);
        }
        if self.counts.closed.load(Ordering::Relaxed) > 0 {
            oddities.note(Oddity::RefusedCopy { why: "its connection sent something else, or was one too many" }, None);
        }
        vec![InputFacts {
            name: self.name.clone(),
            sha256: None,
            format: "hep".into(),
            link_types: vec![LinkType::HEP.to_string()],
            packets: self.packets,
            first_and_last: self.first_and_last,
            nanoseconds: false,
            drops,
            drops_of_interface: 0,
            filtered_out: 0,
            oddities,
        }]
    }

    fn progress(&self) -> Progress {
        Progress::default()
    }

    fn notice(&mut self) -> Option<Notice> {
        self.notices.pop_front()
    }
}

/// Compares keys in a time that does not tell how much of them is right.
fn is_same(said: &[u8], key: &[u8]) -> bool {
    said.len() == key.len() && said.iter().zip(key).fold(0, |differs, (one, other)| differs | (one ^ other)) == 0
}

fn read_datagrams(socket: &UdpSocket, queue: &Queue<Vec<u8>>) {
    let mut buffer = vec![0; BUFFER];
    loop {
        match socket.recv(&mut buffer) {
            Ok(length) => {
                let packet = buffer.get(..length).unwrap_or_default().to_vec();
                queue.put(packet, length);
            }
            // What an ICMP error told of; a socket that fails for good must not keep a processor busy.
            Err(_) => thread::sleep(AFTER_FAULT),
        }
    }
}

fn accept(listener: &TcpListener, queue: &Arc<Queue<Vec<u8>>>, counts: &Arc<Counts>) {
    loop {
        let Ok((stream, _)) = listener.accept() else {
            thread::sleep(AFTER_REFUSAL);
            continue;
        };
        if counts.connections.fetch_add(1, Ordering::Relaxed) >= MOST_CONNECTIONS {
            counts.connections.fetch_sub(1, Ordering::Relaxed);
            counts.closed.fetch_add(1, Ordering::Relaxed);
            continue;
        }
        let (queue, of_thread) = (Arc::clone(queue), Arc::clone(counts));
        let began = thread::Builder::new().name("hep".into()).spawn(move || {
            if read_stream(stream, &queue).is_err() {
                of_thread.closed.fetch_add(1, Ordering::Relaxed);
            }
            of_thread.connections.fetch_sub(1, Ordering::Relaxed);
        });
        if began.is_err() {
            counts.connections.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

/// Something on a connection that is no HEP, version 3.
struct NoHep;

/// Cuts a connection into packets, until it ends or says something else.
fn read_stream(mut stream: TcpStream, queue: &Queue<Vec<u8>>) -> Result<(), NoHep> {
    let (mut pending, mut buffer) = (Vec::new(), vec![0; BUFFER]);
    let _ = stream.set_read_timeout(Some(SILENCE.0));
    loop {
        let length = match stream.read(&mut buffer) {
            Ok(0) | Err(_) => return Ok(()),
            Ok(length) => length,
        };
        pending.extend_from_slice(buffer.get(..length).unwrap_or_default());
        let mut rest = pending.as_slice();
        while rest.len() >= HEAD {
            let length = HepHead::length_in_stream(rest).ok_or(NoHep)?;
            let Some((packet, behind)) = rest.split_at_checked(length) else { break };
            queue.put_when_there_is_room(packet.to_vec(), length);
            rest = behind;
        }
        if rest.len() < pending.len() {
            let _ = stream.set_read_timeout(Some(SILENCE.1));
        }
        let taken = pending.len() - rest.len();
        pending.drain(..taken);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_the_same_or_not() {
        assert!(is_same(b"key", b"key"));
        assert!(!is_same(b"kez", b"key") && !is_same(b"ke", b"key") && !is_same(b"", b"key"));
    }
}
