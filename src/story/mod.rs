//! A notation for calls, for tests and documents: a [`Story`] becomes a capture.
//!
//! Knows what RFC 3261 makes of a call that is told in a few lines. Is given the text of a `story.txt`; gives its
//! messages, and the bytes of a capture file that holds them. Deliberately does not read captures or SIP: what is
//! written here is checked by programs that do.
//!
//! # A story
//! ```
//! use sipwhy::story::Story;
//!
//! let story = Story::parse("\
//! ## A proxy that is overloaded says when to come back.
//! alice 192.0.2.10:5060
//! proxy 192.0.2.20:5060
//!
//! 0.000  alice -> proxy  INVITE sip:bob@example.com
//! 0.004  proxy -> alice  100 Trying
//! 0.032  proxy -> alice  503 Service Unavailable
//!                        Retry-After: 120
//! 0.033  alice -> proxy  ACK
//! ").unwrap();
//!
//! assert_eq!(story.title(), "A proxy that is overloaded says when to come back.");
//! let messages = story.messages();
//! assert_eq!(messages.len(), 4);
//! let (time, path, bytes) = &messages[2];
//! assert_eq!(time.since(messages[0].0).as_millis(), 32);
//! assert_eq!(path.source.to_string(), "192.0.2.20:5060");
//! let text = String::from_utf8_lossy(bytes);
//! assert!(text.starts_with("SIP/2.0 503 Service Unavailable\r\nVia: SIP/2.0/UDP 192.0.2.10:5060;branch=z9hG4bK"));
//! assert!(text.contains("\r\nRetry-After: 120\r\n"));
//! ```
//! (In a document of Rust a line of an example that begins with one `#` is hidden; there a comment has two.)
//!
//! The same story gives the same bytes: branches, tags, Call-IDs and nonces are made from its title, the names in it
//! and their order.
//!
//! # Settings
//! They stand at the beginning of a line.
//!
//! | line | meaning |
//! |---|---|
//! | `# …` | a comment; the first one is the title, and must be there |
//! | `NAME ADDRESS:PORT …` | an actor; the address is one for documentation (RFC 5737, RFC 3849) or a private one |
//! | … `agent "Asterisk PBX 20.5"` | its software, for User-Agent and Server |
//! | … `aor 1001@example.com` | its address-of-record; `NAME@example.com` if not said |
//! | … `transport tcp` | what it speaks with others that do, or with anyone; `udp` if not said |
//! | … `record-route` | as a proxy, it stays in the path |
//! | … `checksum none` | its UDP checksums are 0; with `card` they are left to its network card, and unfinished |
//! | … `says 10.0.0.5:5060` | the address that it writes into its messages, other than that of its packets |
//! | `start 2026-03-02T09:00:00Z` | time zero |
//! | `call NAME` | the lines below belong to another call, with a Call-ID of its own |
//! | `snaplen 250` | the capture keeps so many bytes of each frame |
//! | `tap` | every frame is captured twice, 9 µs apart |
//! | `drops 1234` | the capturing system says that it dropped so many packets; the capture becomes pcapng |
//! | `end 40.0` | the capture lasts until then: a datagram between strangers; the last line |
//!
//! # What happens
//! A line that begins with a time in seconds: since the start, or since the line above as `+0.02`. Times do not go
//! back.
//!
//! | line | meaning |
//! |---|---|
//! | `0.0 alice -> bob INVITE sip:bob@example.com` | a request; the Request-URI may be left out where it follows |
//! | `0.1 bob -> alice 180 Ringing` | a response, to the newest request that still waits (1xx and 487: to the INVITE) |
//! | `0.1 bob ~> alice 180 Ringing` | the same, but the capture does not hold it |
//! | `&   bob -> alice 200 OK` | in the same TCP segment as the line above |
//! | `3.0 bob -> alice again 200 OK` | the last message of this way whose start line begins so, once more |
//! | `3.0 bob -> alice raw` | a payload as it is: `raw hex 0d0a`, or lines beneath after a bar |
//! | `0.5 bob icmp port-unreachable alice` | an ICMP error to alice that quotes her last packet to bob; also `host-unreachable`, `net-unreachable`, `admin-prohibited`, `frag-needed`, `hop-limit-exceeded`; a router says `about bob`; `mtu 1400` |
//! | `0.5 rtp alice -> bob 50 packets pt 8 port 40000->40002` | RTP, a packet every 20 ms |
//! | `5.0 alice close bob`, `5.0 alice reset bob` | the end of the TCP connection |
//! | `5.0 alice connect bob refused` | a TCP connection that does not come about; or `unanswered`, with `again` beneath |
//! | `5.0 clock -2.0` | the clock of the capture jumps |
//!
//! Marks in brackets stand before the start line: `[b]` names the call, `[INVITE]` the request that is answered,
//! `[@carol]` the other end of the dialog where a fork left several.
//!
//! # Beneath a message
//! Indented lines.
//!
//! | line | meaning |
//! |---|---|
//! | `Retry-After: 120` | a header, in place of the completed one; several lines of one name: several headers |
//! | `+Via: …` | a header beside the completed one |
//! | `-Max-Forwards` | no such header |
//! | `sdp offer PCMA opus port 40000 profile RTP/SAVP sendonly` | a session description; also `answer`, `address 203.0.113.5`, `crypto SUITE`, `name/clock=96` for a codec of another name |
//! | `sdp none` | no session description, where one would be completed |
//! | `\| v=0` | a line of the body |
//! | `auth` | credentials for the last challenges to this actor; with `user`, `realm`, `password` (`secret` if not said), `nonce`, `uri`, `nc`, `algorithm`, `response` otherwise than they would be |
//! | `challenge` | beneath a 401 or 407: the challenge with `realm`, `nonce`, `algorithm`, `qop auth`, `stale` otherwise |
//! | `again +0.5 +1.5` | the same bytes again, so long after; or `again timer-a`, `timer-e`, `timer-g`, `2xx` with `x3` for only three copies and `T1 0.1` for another T1; or `again each 2.0 x5` |
//! | `split 200` | over TCP, segments of so many bytes |
//! | `unacknowledged +0.3 +0.9` | over TCP, the other end does not acknowledge it, and TCP sends the same segments again so long after |
//!
//! In values, `{b.call-id}`, `{b.from-tag}` and `{b.to-tag}` are those of call `b`; the first call is `call`.
//!
//! # What is completed
//! - A request to which nothing leads begins a call or goes on in its dialog: new CSeq, To-tag, remote target, Route.
//!   A second INVITE without a dialog is a new attempt with the same Call-ID and From and the next CSeq; after a 3xx
//!   it goes to the Contact. REGISTER has a Call-ID for each sender, OPTIONS one for each request.
//! - A request that its sender has received from another is forwarded: Via on top, Max-Forwards less one,
//!   Record-Route if the actor is marked, its own Route gone. A response that a next hop gave is passed on, its
//!   topmost Via gone; with another code it is the proxy's own.
//! - ACK for a refusal and CANCEL keep the branch of their INVITE; ACK for a 2xx goes to its Contact.
//! - INVITE carries an offer of PCMA, PCMU and telephone-event, its 2xx an answer that fits. 401 and 407 carry a
//!   challenge. A 2xx to REGISTER confirms the binding.
//!
//! ```
//! use sipwhy::story::Story;
//!
//! let story = Story::parse("\
//! ## The proxy wants to know who calls, and then the callee answers.
//! alice 192.0.2.10:5060
//! proxy 192.0.2.20:5060 record-route
//! bob   198.51.100.30:5060
//! 0.00  alice -> proxy  INVITE sip:bob@example.com
//! 0.01  proxy -> alice  407 Proxy Authentication Required
//! 0.02  alice -> proxy  ACK
//! 0.03  alice -> proxy  INVITE
//!                       auth
//! 0.04  proxy -> bob    INVITE sip:bob@198.51.100.30
//! 0.20  bob -> proxy    200 OK
//! 0.21  proxy -> alice  200 OK
//! 0.22  alice -> proxy  ACK
//! 0.23  proxy -> bob    ACK
//! ").unwrap();
//!
//! let text = |index: usize| String::from_utf8(story.messages()[index].2.clone()).unwrap();
//! assert!(text(3).contains("CSeq: 2 INVITE\r\n"));
//! assert!(text(4).contains("Record-Route: <sip:192.0.2.20:5060;lr>\r\n"));
//! assert_eq!(text(5).matches("\r\nVia: ").count(), 2);
//! assert!(text(7).starts_with("ACK sip:bob@198.51.100.30:5060 SIP/2.0\r\n"));
//! assert!(text(7).contains("\r\nRoute: <sip:192.0.2.20:5060;lr>\r\n"));
//! assert!(!text(8).contains("\r\nRoute: "));
//! ```
//!
//! What is written wrongly is an error that names the line:
//! ```
//! let error = sipwhy::story::Story::parse("# A typing error.\nalice 192.0.2.10:5060\n0 alice -> bop BYE\n").unwrap_err();
//! assert_eq!(error.to_string(), "line 3: expected an actor (alice), found `bop`");
//! ```

mod answer;
#[cfg(test)]
mod capture_tests;
mod complete;
mod digest;
mod draft;
mod file;
mod ledger;
mod script;
mod script_line;
mod sdp;
mod telling;
#[cfg(test)]
mod tests;
mod wire;
mod words;

use crate::capture::Timestamp;
use crate::net::Path;
use crate::story::script::{Recording, Script};
use crate::story::script_line::Seen;
use crate::story::telling::{Deed, Event};
use crate::story::wire::Frame;

/// A call as it is told, every message complete.
#[derive(Debug)]
pub struct Story {
    title: String,
    start: Timestamp,
    recording: Recording,
    events: Vec<Event>,
    frames: Vec<Frame>,
}

/// What a story says wrongly.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {says}")]
pub struct Error {
    line: usize,
    says: String,
}

impl Error {
    fn new(line: usize, says: impl Into<String>) -> Error {
        Error { line, says: says.into() }
    }

    /// The line, from 1.
    pub fn line(&self) -> usize {
        self.line
    }
}

impl Story {
    /// Reads a story and completes it.
    ///
    /// # Errors
    /// The first line that is not in the notation, or that says what cannot be: a response to no request, an ACK to
    /// nothing.
    pub fn parse(text: &str) -> Result<Story, Error> {
        let script = script::read(text)?;
        let events = telling::tell(&script)?;
        let frames = telling::frames(&events, &script.actors)?;
        let Script { title, start, recording, .. } = script;
        Ok(Story { title, start, recording, events, frames })
    }

    /// Its first comment: one sentence that says what happened.
    pub fn title(&self) -> &str {
        &self.title
    }

    /// The bytes of a capture file: pcap with microseconds on Ethernet, or pcapng if packets were dropped.
    pub fn capture(&self) -> Vec<u8> {
        let mut frames = Vec::with_capacity(self.frames.len() * 2);
        for frame in &self.frames {
            frames.push(frame.clone());
            if self.recording.tapped {
                frames.push(Frame { time: frame.time + 9, bytes: frame.bytes.clone() });
            }
        }
        frames.sort_by_key(|frame| frame.time);
        for frame in &mut frames {
            frame.time += self.clock_offset(frame.time);
        }
        file::write(&frames, self.start, &self.recording)
    }

    /// What the file is called: `capture.pcap` or `capture.pcapng`.
    pub fn capture_name(&self) -> &'static str {
        match self.recording.drops {
            None => "capture.pcap",
            Some(_) => "capture.pcapng",
        }
    }

    /// The messages that the capture holds, in its order: what SIP was sent, and raw payloads. A tap's second copies
    /// are not among them, nor is what the capture cuts off.
    pub fn messages(&self) -> Vec<(Timestamp, Path, Vec<u8>)> {
        let captured = self.events.iter().filter(|event| event.seen == Seen::Captured);
        captured.flat_map(|event| self.messages_of(event)).collect()
    }

    fn messages_of(&self, event: &Event) -> Vec<(Timestamp, Path, Vec<u8>)> {
        let Deed::Messages { path, messages, .. } = &event.deed else {
            return Vec::new();
        };
        let micros = event.time + self.clock_offset(event.time);
        let time = Timestamp(self.start.0.saturating_add(micros * 1_000));
        messages.iter().map(|message| (time, *path, message.clone())).collect()
    }

    /// How far the clock of the capture is off at a moment.
    fn clock_offset(&self, time: i64) -> i64 {
        let before = self.events.iter().take_while(|event| event.time <= time);
        before.map(|event| if let Deed::Clock(jump) = event.deed { jump } else { 0 }).sum()
    }
}
