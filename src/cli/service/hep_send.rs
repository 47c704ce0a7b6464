//! Forwards SIP messages to a HEP server, and our findings as log records that it shows beside them.
//!
//! A thread of its own sends, so that a server that is slow or away never holds up the capture. From files it is waited
//! for; from an interface what finds no room in the queue is dropped and counted.

use std::io::Write;
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crate::analysis::MessageRead;
use crate::call::Call;
use crate::capture::Timestamp;
use crate::catalogue::Phrases;
use crate::cli::service::address::{Target, resolved};
use crate::cli::service::queue::{Queue, Taken};
use crate::diagnosis::{Diagnosis, Severity};
use crate::error::Error;
use crate::net::{HepRecord, Mirror, Path, RecordOf};
use crate::report::text::words::absent;
use crate::report::{FindingRecord, Scene};

/// Bytes that wait to be sent.
const QUEUE: usize = 16 << 20;
/// How long a connection may take, and a packet on it.
const PATIENCE: Duration = Duration::from_secs(3);
/// How long after a failure the next connection is tried: first, and at most.
const BACK_OFF: (Duration, Duration) = (Duration::from_millis(200), Duration::from_secs(15));
/// How often that time is doubled: by then it is longer than the longest.
const MOST_DOUBLINGS: u32 = 10;
/// How long the end of a capture on an interface waits for the server.
const LAST_WAIT: Duration = Duration::from_millis(600);
/// How often it is looked whether the last one has been sent.
const GLANCE: Duration = Duration::from_millis(5);
/// Call-IDs of one call with which a finding is told.
const MOST_LEGS: usize = 8;
/// Attempts after which a server is given up for files.
const MOST_ATTEMPTS: u32 = 5;

/// What happens when the server is slower than we are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Pace {
    /// We wait: the input is a file, and does not run away.
    Waits,
    /// What finds no room is dropped: the input is an interface.
    Drops,
}

/// Sends to one server.
pub(crate) struct HepSender {
    queue: Arc<Queue<Vec<u8>>>,
    counts: Arc<Counts>,
    thread: Option<JoinHandle<()>>,
    pace: Pace,
    key: Option<Vec<u8>>,
    target: String,
}

/// What became of packets.
#[derive(Debug, Default)]
struct Counts {
    sent: AtomicU64,
    failed: AtomicU64,
}

/// What became of packets, for the user.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Sent {
    /// Handed to the network.
    pub(crate) sent: u64,
    /// Neither.
    pub(crate) dropped: u64,
}

impl HepSender {
    /// Begins to send. The address is looked up now, so that a wrong one is told at once.
    pub(crate) fn start(typed: &str, key: Option<Vec<u8>>, pace: Pace) -> Result<HepSender, Error> {
        let target = Target::read(typed);
        let addresses = resolved("--hep-send", target.address())?;
        let (queue, counts) = (Arc::new(Queue::new(QUEUE)), Arc::new(Counts::default()));
        let mut link = Link::new(&target, addresses, pace)
            .map_err(|error| Error::Unusable { file: format!("--hep-send {typed}"), why: error.to_string() })?;
        let thread = {
            let (queue, counts) = (Arc::clone(&queue), Arc::clone(&counts));
            thread::spawn(move || send_all(&queue, &counts, &mut link))
        };
        Ok(HepSender { queue, counts, thread: Some(thread), pace, key, target: typed.to_owned() })
    }

    /// Forwards a message. One that came out of HEP on the wire is not: it may be our own.
    pub(crate) fn message(&self, read: &MessageRead) {
        if read.mirrored == Mirror::Wire {
            self.put(HepRecord {
                of: RecordOf::Sip,
                path: read.path,
                time: read.place.time,
                correlation: None,
                key: self.key.as_deref(),
                payload: &read.bytes,
            });
        }
    }

    /// Forwards the messages of a call that was chosen.
    pub(crate) fn messages_of(&self, call: &Call) {
        for heard in &call.messages {
            self.put(HepRecord {
                of: RecordOf::Sip,
                path: heard.path,
                time: heard.place.time,
                correlation: None,
                key: self.key.as_deref(),
                payload: heard.message.bytes(),
            });
        }
    }

    /// Tells what was found of a call, once for each of its Call-IDs.
    pub(crate) fn findings(&self, scene: &Scene, call: &Call, diagnosis: &Diagnosis) {
        let Some(first) = call.messages.first() else { return };
        let record = scene.record(call, diagnosis);
        let told: Vec<_> = diagnosis
            .findings
            .iter()
            .zip(&record.findings)
            .filter(|(finding, _)| finding.severity != Severity::Info)
            .collect();
        for call_id in call.call_ids().into_iter().take(MOST_LEGS) {
            for (finding, record) in &told {
                let proof = finding.claims.first().map_or(first.place.time, |claim| claim.place.time);
                self.log(first.path, proof, call_id, &words(record));
            }
            if record.unexplained {
                let status = record.final_status.map(|status| format!("{status}, ")).unwrap_or_default();
                let words = format!("sipwhy: {status}unexplained: no rule explains how this call ended");
                self.log(first.path, call.ended(), call_id, &words);
            }
        }
    }

    /// What became of the packets so far.
    pub(crate) fn sent(&self) -> Sent {
        let failed = self.counts.failed.load(Ordering::Relaxed);
        Sent { sent: self.counts.sent.load(Ordering::Relaxed), dropped: self.queue.dropped() + failed }
    }

    /// The server, as it was typed.
    pub(crate) fn target(&self) -> &str {
        &self.target
    }

    /// Sends what waits, and ends.
    pub(crate) fn finish(&mut self) -> Sent {
        self.queue.close();
        let Some(thread) = self.thread.take() else { return self.sent() };
        if self.pace == Pace::Drops {
            let until = Instant::now() + LAST_WAIT;
            while !thread.is_finished() && Instant::now() < until {
                thread::sleep(GLANCE);
            }
            self.queue.give_up();
            if !thread.is_finished() {
                // It waits for a server that is away, and ends with the program.
                return self.sent();
            }
        }
        let _ = thread.join();
        self.sent()
    }

    fn log(&self, path: Path, time: Timestamp, call_id: &[u8], words: &str) {
        let payload = words.as_bytes();
        let correlation = Some(call_id);
        self.put(HepRecord { of: RecordOf::Log, path, time, correlation, key: self.key.as_deref(), payload });
    }

    fn put(&self, record: HepRecord<'_>) {
        let Some(bytes) = record.bytes() else {
            self.counts.failed.fetch_add(1, Ordering::Relaxed);
            return;
        };
        let length = bytes.len();
        match self.pace {
            Pace::Waits => self.queue.put_when_there_is_room(bytes, length),
            Pace::Drops => self.queue.put(bytes, length),
        }
    }
}

/// A finding as the text of a log record.
fn words(finding: &FindingRecord) -> String {
    let severity = if finding.severity == Severity::Error { "error" } else { "warning" };
    let confidence = finding.confidence.word();
    let mut text = format!("sipwhy: {} ({severity}, {confidence})\n{}", finding.title.for_terminal(), finding.rule);
    text.push_str(&format!(": {}", finding.explanation.for_terminal()));
    for claim in &finding.claims {
        let (at, value, says) = (claim.frame, claim.value.for_terminal(), claim.says.for_terminal());
        let proof = absent(&Phrases::english(), claim)
            .unwrap_or_else(|| format!("frame {at}: {} = {value}: {says}", claim.field));
        text.push_str(&format!("\nproof: {proof}"));
    }
    for (number, fix) in (1..).zip(&finding.fix) {
        text.push_str(&format!("\nfix {number}: {}", fix.for_terminal()));
    }
    for rival in &finding.refuted {
        text.push_str(&format!("\nnot {}: {}", rival.rule, rival.why.for_terminal()));
    }
    text
}

fn send_all(queue: &Queue<Vec<u8>>, counts: &Counts, link: &mut Link) {
    loop {
        match queue.take(Duration::from_secs(1)) {
            Taken::Nothing => {}
            Taken::Closed => return link.end(),
            Taken::Entry(packet) => {
                let count = if link.send(&packet) { &counts.sent } else { &counts.failed };
                count.fetch_add(1, Ordering::Relaxed);
                if link.is_given_up() {
                    queue.give_up();
                }
            }
        }
    }
}

/// The way to the server.
enum Link {
    Udp(UdpSocket),
    Tcp(Connection),
}

struct Connection {
    addresses: Vec<SocketAddr>,
    stream: Option<TcpStream>,
    pace: Pace,
    failures: u32,
    next_attempt: Instant,
}

impl Link {
    fn new(target: &Target, addresses: Vec<SocketAddr>, pace: Pace) -> std::io::Result<Link> {
        match target {
            Target::Udp(_) => {
                let any: &[SocketAddr] = if addresses[0].is_ipv4() {
                    &[SocketAddr::from(([0, 0, 0, 0], 0))]
                } else {
                    &[SocketAddr::from(([0_u16; 8], 0))]
                };
                let socket = UdpSocket::bind(any)?;
                socket.connect(addresses[0])?;
                Ok(Link::Udp(socket))
            }
            Target::Tcp(_) => {
                let next_attempt = Instant::now();
                Ok(Link::Tcp(Connection { addresses, stream: None, pace, failures: 0, next_attempt }))
            }
        }
    }

    fn send(&mut self, packet: &[u8]) -> bool {
        match self {
            // What is told of an earlier datagram comes as the answer to the next one, which is not sent then.
            Link::Udp(socket) => socket.send(packet).or_else(|_| socket.send(packet)).is_ok(),
            Link::Tcp(connection) => connection.send(packet),
        }
    }

    fn is_given_up(&self) -> bool {
        match self {
            Link::Udp(_) => false,
            Link::Tcp(connection) => connection.pace == Pace::Waits && connection.failures >= MOST_ATTEMPTS,
        }
    }

    fn end(&mut self) {
        if let Link::Tcp(Connection { stream: Some(stream), .. }) = self {
            let _ = stream.shutdown(std::net::Shutdown::Write);
        }
    }
}

impl Connection {
    /// Sends a packet; where the connection broke it is sent once more, whole, on a new one.
    fn send(&mut self, packet: &[u8]) -> bool {
        for _ in 0..2 {
            let Some(stream) = self.connected() else { return false };
            if stream.write_all(packet).is_ok() {
                return true;
            }
            self.stream = None;
        }
        false
    }

    fn connected(&mut self) -> Option<&mut TcpStream> {
        while self.stream.is_none() {
            let until_next = self.next_attempt.saturating_duration_since(Instant::now());
            if !until_next.is_zero() {
                if self.pace == Pace::Drops {
                    return None;
                }
                thread::sleep(until_next);
            }
            let connect = |address: &SocketAddr| TcpStream::connect_timeout(address, PATIENCE).ok();
            if let Some(stream) = self.addresses.iter().find_map(connect) {
                let _ = stream.set_write_timeout(Some(PATIENCE));
                self.failures = 0;
                self.stream = Some(stream);
                break;
            }
            self.failures = self.failures.saturating_add(1);
            self.next_attempt =
                Instant::now() + BACK_OFF.1.min(BACK_OFF.0 * 2_u32.pow(self.failures.min(MOST_DOUBLINGS)));
            if self.pace == Pace::Waits && self.failures >= MOST_ATTEMPTS {
                return None;
            }
        }
        self.stream.as_mut()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_that_is_away_costs_the_capture_no_time() {
        let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let mut sender = HepSender::start(&format!("tcp:{nobody}"), None, Pace::Drops).unwrap();
        let path = Path {
            source: "192.0.2.1:5060".parse().unwrap(),
            destination: "192.0.2.2:5060".parse().unwrap(),
            transport: crate::net::Transport::Udp,
        };
        let begun = Instant::now();
        for _ in 0..100 {
            sender.log(path, Timestamp(0), b"a@b", "lost");
        }
        let sent = sender.finish();
        assert!(begun.elapsed() < Duration::from_secs(2), "{:?}", begun.elapsed());
        assert_eq!(sent, Sent { sent: 0, dropped: 100 });
    }
}
