//! The lines of a story, as they are written: who there is, and what happens when.
//!
//! Knows the grammar of the notation. Is given its text; gives a [`Script`]. Deliberately does not know what RFC 3261
//! would add.

use std::net::{IpAddr, SocketAddr};

use crate::capture::Timestamp;
use crate::net::Transport;
use crate::story::Error;
use crate::story::script_line::{Change, MessageLine, Seen, continue_message, message};
use crate::story::words::{Words, address, micros, micros_signed};

/// Everything that a story says.
#[derive(Debug)]
pub(super) struct Script {
    pub title: String,
    pub start: Timestamp,
    pub recording: Recording,
    pub actors: Vec<Actor>,
    pub steps: Vec<Step>,
}

/// How the capture was made.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Recording {
    /// Bytes kept of each frame.
    pub snaplen: Option<u32>,
    /// Every frame twice, as a mirror port that copies both directions gives them.
    pub tapped: bool,
    /// What the capturing system says it dropped.
    pub drops: Option<u64>,
}

/// One who speaks.
#[derive(Debug, Clone)]
pub(super) struct Actor {
    pub name: String,
    /// Where its packets come from.
    pub address: SocketAddr,
    /// What it believes its address to be, and writes into its messages.
    pub says: SocketAddr,
    pub transport: Transport,
    pub agent: Option<String>,
    /// `user@host`.
    pub aor: String,
    pub record_route: bool,
    pub checksum: Checksum,
}

/// What an actor's packets hold as UDP checksum.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Checksum {
    #[default]
    Right,
    /// 0.
    LeftOut,
    /// What is left to the network card: the sum of the pseudo-header alone.
    NotYetWritten,
}

impl Actor {
    /// The user part of its address-of-record.
    pub fn user(&self) -> &str {
        self.aor.split_once('@').map_or(self.aor.as_str(), |(user, _)| user)
    }

    /// The host part of its address-of-record.
    pub fn domain(&self) -> &str {
        self.aor.split_once('@').map_or("example.com", |(_, domain)| domain)
    }
}

/// What happens at one moment.
#[derive(Debug)]
pub(super) struct Step {
    pub line: usize,
    /// Microseconds since the start.
    pub time: i64,
    /// Offsets from `time` at which the same is sent again.
    pub copies: Vec<i64>,
    pub what: What,
}

#[derive(Debug)]
pub(super) enum What {
    Message(Box<MessageLine>),
    /// The last message of this hop whose start line begins so, once more.
    Again {
        from: usize,
        to: usize,
        seen: Seen,
        start: String,
    },
    /// A payload that is not SIP, or not well.
    Raw {
        from: usize,
        to: usize,
        seen: Seen,
        bytes: Vec<u8>,
    },
    Icmp {
        reporter: usize,
        kind: IcmpKind,
        told: usize,
        about: usize,
        mtu: u16,
    },
    Rtp {
        from: usize,
        to: usize,
        packets: u32,
        payload_type: u8,
        ports: (u16, u16),
    },
    /// The clock of the capturing system jumps by so many microseconds.
    Clock(i64),
    /// A TCP connection is closed in order, or reset.
    Close {
        from: usize,
        to: usize,
        with: Closing,
    },
    /// A TCP connection is asked for, and there is none.
    Knock {
        from: usize,
        to: usize,
        answer: Answer,
    },
    /// A datagram between strangers: the capture lasted until then.
    End,
}

/// What comes of asking for a TCP connection in vain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Answer {
    /// A segment with RST.
    Refused,
    /// Nothing.
    Unanswered,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Closing {
    Fin,
    Reset,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum IcmpKind {
    Port,
    Host,
    Net,
    Prohibited,
    FragmentationNeeded,
    HopLimit,
}

/// Reads the lines of a story.
pub(super) fn read(text: &str) -> Result<Script, Error> {
    let mut reader = Reader::default();
    for (index, line) in text.lines().enumerate() {
        reader.line(index + 1, line)?;
    }
    if reader.title.is_empty() {
        return Err(Error::new(1, "expected a comment that says what happens, as `# The callee is busy.`"));
    }
    Ok(Script {
        title: reader.title,
        start: reader.start.unwrap_or(Timestamp(START)),
        recording: reader.recording,
        actors: reader.actors,
        steps: reader.steps,
    })
}

/// 2026-03-02T09:00:00Z, a Monday morning.
const START: i64 = 1_772_442_000_000_000_000;

const RESERVED: [&str; 9] = ["start", "snaplen", "tap", "drops", "end", "call", "rtp", "clock", "icmp"];

#[derive(Default)]
struct Reader {
    title: String,
    start: Option<Timestamp>,
    recording: Recording,
    actors: Vec<Actor>,
    steps: Vec<Step>,
    call: String,
}

impl Reader {
    fn line(&mut self, number: usize, line: &str) -> Result<(), Error> {
        let trimmed = line.trim();
        if trimmed.is_empty() {
            return Ok(());
        }
        if let Some(comment) = trimmed.strip_prefix('#') {
            if self.title.is_empty() {
                self.title = comment.trim().to_owned();
            }
            return Ok(());
        }
        if line.starts_with([' ', '\t']) {
            return self.continuation(number, trimmed);
        }
        if line.starts_with(|first: char| first.is_ascii_digit() || first == '+' || first == '&') {
            return self.step(number, trimmed);
        }
        self.setting(number, trimmed)
    }

    fn setting(&mut self, number: usize, line: &str) -> Result<(), Error> {
        let mut words = Words::new(number, line);
        let first = words.next("a setting or an actor")?;
        match first.as_str() {
            "start" => {
                let text = words.next("a time as 2026-03-02T09:00:00Z")?;
                let time = text.parse::<jiff::Timestamp>().map_err(|_| {
                    Error::new(number, format!("expected a time as 2026-03-02T09:00:00Z, found `{text}`"))
                })?;
                let nanoseconds = i64::try_from(time.as_nanosecond())
                    .map_err(|_| Error::new(number, "expected a time between 1678 and 2261"))?;
                self.start = Some(Timestamp(nanoseconds));
            }
            "snaplen" => self.recording.snaplen = Some(words.number("the bytes kept of each frame")?),
            "tap" => self.recording.tapped = true,
            "drops" => self.recording.drops = Some(words.number("how many packets were dropped")?),
            "call" => self.call = words.next("a name for the call")?,
            "end" => {
                let time = micros(number, &words.next("when the capture ends, in seconds")?)?;
                self.push(number, time, What::End)?;
            }
            _ => return self.actor(number, first, words),
        }
        words.end()
    }

    fn actor(&mut self, number: usize, name: String, mut words: Words) -> Result<(), Error> {
        if RESERVED.contains(&name.as_str()) || self.actors.iter().any(|actor| actor.name == name) {
            return Err(Error::new(number, format!("expected a name that is not taken, found `{name}`")));
        }
        let address = address(number, &words.next("an address and port, as 192.0.2.10:5060")?)?;
        if !is_for_documents(address.ip()) {
            let says = format!("expected an address for documentation or a private one, found {}", address.ip());
            return Err(Error::new(number, says));
        }
        let mut actor = Actor {
            aor: format!("{name}@example.com"),
            name,
            address,
            says: address,
            transport: Transport::Udp,
            agent: None,
            record_route: false,
            checksum: Checksum::Right,
        };
        while let Some(word) = words.maybe() {
            match word.as_str() {
                "transport" => actor.transport = transport(number, &words.next("udp or tcp")?)?,
                "agent" => actor.agent = Some(words.next("the name of its software, in quotes")?),
                "aor" => actor.aor = words.next("its address-of-record, as alice@example.com")?,
                "says" => {
                    let text = words.next("the address that it writes into its messages")?;
                    actor.says = crate::story::words::address(number, &text)?;
                }
                "record-route" => actor.record_route = true,
                "checksum" => actor.checksum = checksum(number, &words.next("`none` or `card`")?)?,
                _ => {
                    let says = "expected `transport`, `agent`, `aor`, `says`, `record-route` or `checksum`";
                    return Err(Error::new(number, format!("{says}, found `{word}`")));
                }
            }
        }
        self.actors.push(actor);
        Ok(())
    }

    fn step(&mut self, number: usize, line: &str) -> Result<(), Error> {
        let mut words = Words::new(number, line);
        let when = words.next("a time")?;
        let before = self.steps.last().map_or(0, |step| step.time);
        let time = match (when.as_str(), when.strip_prefix('+')) {
            ("&", _) => before,
            (_, Some(later)) => before + micros(number, later)?,
            _ => micros(number, &when)?,
        };
        let first = words.next("who sends")?;
        match first.as_str() {
            "rtp" => {
                let what = self.rtp(number, words)?;
                self.push(number, time, what)
            }
            "clock" => {
                let step = micros_signed(number, &words.next("seconds, as -2.0")?)?;
                words.end()?;
                self.push(number, time, What::Clock(step))
            }
            _ => {
                let from = self.find(number, &first)?;
                let mut what = self.deed(number, from, words)?;
                if let What::Message(line) = &mut what {
                    line.glued = when == "&";
                }
                self.push(number, time, what)
            }
        }
    }

    /// What follows the name of an actor.
    fn deed(&self, number: usize, from: usize, mut words: Words) -> Result<What, Error> {
        let verb = words.next("`->`, `~>`, `icmp`, `connect`, `close` or `reset`")?;
        let seen = match verb.as_str() {
            "->" => Seen::Captured,
            "~>" => Seen::Missed,
            "icmp" => return self.icmp(number, from, words),
            "close" | "reset" => {
                let with = if verb == "close" { Closing::Fin } else { Closing::Reset };
                let to = self.find(number, &words.next("to whom")?)?;
                words.end()?;
                return Ok(What::Close { from, to, with });
            }
            "connect" => return self.knock(number, from, words),
            _ => {
                let says = format!("expected `->`, `~>`, `icmp`, `connect`, `close` or `reset`, found `{verb}`");
                return Err(Error::new(number, says));
            }
        };
        let to = self.find(number, &words.next("to whom")?)?;
        let rest = words.rest();
        if let Some(start) = rest.strip_prefix("again") {
            return Ok(What::Again { from, to, seen, start: start.trim().to_owned() });
        }
        if let Some(hex) = rest.strip_prefix("raw") {
            return Ok(What::Raw { from, to, seen, bytes: raw_bytes(number, hex.trim())? });
        }
        let mut line = message(number, rest, |name| self.find(number, name))?;
        line.from = from;
        line.to = to;
        line.seen = seen;
        line.section = self.call.clone();
        Ok(What::Message(Box::new(line)))
    }

    fn knock(&self, number: usize, from: usize, mut words: Words) -> Result<What, Error> {
        let to = self.find(number, &words.next("with whom")?)?;
        let word = words.next("`refused` or `unanswered`")?;
        words.end()?;
        match word.as_str() {
            "refused" => Ok(What::Knock { from, to, answer: Answer::Refused }),
            "unanswered" => Ok(What::Knock { from, to, answer: Answer::Unanswered }),
            _ => Err(Error::new(number, format!("expected `refused` or `unanswered`, found `{word}`"))),
        }
    }

    fn icmp(&self, number: usize, reporter: usize, mut words: Words) -> Result<What, Error> {
        let name = words.next("the kind of ICMP error")?;
        let kind = match name.as_str() {
            "port-unreachable" => IcmpKind::Port,
            "host-unreachable" => IcmpKind::Host,
            "net-unreachable" => IcmpKind::Net,
            "admin-prohibited" => IcmpKind::Prohibited,
            "frag-needed" => IcmpKind::FragmentationNeeded,
            "hop-limit-exceeded" => IcmpKind::HopLimit,
            _ => {
                let says = "expected `port-unreachable`, `host-unreachable`, `net-unreachable`, `admin-prohibited`, \
                            `frag-needed` or `hop-limit-exceeded`";
                return Err(Error::new(number, format!("{says}, found `{name}`")));
            }
        };
        let told = self.find(number, &words.next("who is told")?)?;
        let (mut about, mut mtu) = (reporter, 1400);
        while let Some(word) = words.maybe() {
            match word.as_str() {
                "about" => about = self.find(number, &words.next("whom the packet was for")?)?,
                "mtu" => mtu = words.number("bytes")?,
                _ => return Err(Error::new(number, format!("expected `about` or `mtu`, found `{word}`"))),
            }
        }
        Ok(What::Icmp { reporter, kind, told, about, mtu })
    }

    fn rtp(&self, number: usize, mut words: Words) -> Result<What, Error> {
        let from = self.find(number, &words.next("who sends")?)?;
        words.expect("->")?;
        let to = self.find(number, &words.next("to whom")?)?;
        let packets: u32 = words.number("how many packets")?;
        if packets > MOST_COPIES {
            return Err(Error::new(number, format!("expected at most {MOST_COPIES} packets, found {packets}")));
        }
        words.expect("packets")?;
        words.expect("pt")?;
        let payload_type = words.number("a payload type")?;
        words.expect("port")?;
        let ports = words.next("two ports, as 40000->40002")?;
        let (source, destination) = ports
            .split_once("->")
            .and_then(|(source, destination)| Some((source.parse().ok()?, destination.parse().ok()?)))
            .ok_or_else(|| Error::new(number, format!("expected two ports, as 40000->40002, found `{ports}`")))?;
        words.end()?;
        Ok(What::Rtp { from, to, packets, payload_type, ports: (source, destination) })
    }

    fn continuation(&mut self, number: usize, line: &str) -> Result<(), Error> {
        let Some(step) = self.steps.last_mut() else {
            return Err(Error::new(number, "expected an actor: nothing stands above that this line could continue"));
        };
        if let Some(list) = line.strip_prefix("again ") {
            step.copies = copies(number, list)?;
            return Ok(());
        }
        match &mut step.what {
            What::Message(message) => continue_message(message, number, line),
            What::Raw { bytes, .. } if line.starts_with('|') => {
                let text = line.strip_prefix("| ").or(line.strip_prefix('|')).unwrap_or(line);
                bytes.extend_from_slice(text.as_bytes());
                bytes.extend_from_slice(b"\r\n");
                Ok(())
            }
            _ => Err(Error::new(number, format!("expected `again`, found `{line}`"))),
        }
    }

    fn push(&mut self, line: usize, time: i64, what: What) -> Result<(), Error> {
        if self.steps.last().is_some_and(|step| step.time > time) {
            return Err(Error::new(line, "expected a time that is not before that of the line above"));
        }
        self.steps.push(Step { line, time, copies: Vec::new(), what });
        Ok(())
    }

    fn find(&self, number: usize, name: &str) -> Result<usize, Error> {
        self.actors.iter().position(|actor| actor.name == name).ok_or_else(|| {
            let known: Vec<&str> = self.actors.iter().map(|actor| actor.name.as_str()).collect();
            Error::new(number, format!("expected an actor ({}), found `{name}`", known.join(", ")))
        })
    }
}

fn transport(number: usize, word: &str) -> Result<Transport, Error> {
    match word {
        "udp" => Ok(Transport::Udp),
        "tcp" => Ok(Transport::Tcp),
        _ => Err(Error::new(number, format!("expected `udp` or `tcp`, found `{word}`"))),
    }
}

fn checksum(number: usize, word: &str) -> Result<Checksum, Error> {
    match word {
        "none" => Ok(Checksum::LeftOut),
        "card" => Ok(Checksum::NotYetWritten),
        _ => Err(Error::new(number, format!("expected `none` or `card`, found `{word}`"))),
    }
}

/// Addresses of RFC 5737 and RFC 3849, and private ones, which a story about NAT needs.
fn is_for_documents(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => v4.is_documentation() || v4.is_private(),
        IpAddr::V6(v6) => v6.segments().starts_with(&[0x2001, 0xdb8]) || v6.segments()[0] & 0xfe00 == 0xfc00,
    }
}

/// `raw` and nothing more, or `raw hex 0d0a`.
fn raw_bytes(number: usize, text: &str) -> Result<Vec<u8>, Error> {
    if text.is_empty() {
        return Ok(Vec::new());
    }
    let wrong = || Error::new(number, format!("expected `hex` and pairs of digits, found `{text}`"));
    let digits: Vec<u8> = text.strip_prefix("hex ").ok_or_else(wrong)?.bytes().filter(|byte| *byte != b' ').collect();
    digits
        .chunks(2)
        .map(|pair| std::str::from_utf8(pair).ok().and_then(|pair| u8::from_str_radix(pair, 16).ok()))
        .collect::<Option<Vec<u8>>>()
        .filter(|_| digits.len().is_multiple_of(2))
        .ok_or_else(wrong)
}

/// Offsets as `+0.5 +1.5`, or a timer of RFC 3261 with an optional count, `timer-a x3`, and an optional T1.
pub(super) fn copies(number: usize, list: &str) -> Result<Vec<i64>, Error> {
    let mut words = Words::new(number, list);
    let mut copies = Vec::new();
    while let Some(word) = words.maybe() {
        let timer = match word.as_str() {
            "timer-a" => timer_offsets(i64::MAX),
            "timer-e" | "timer-g" | "2xx" => timer_offsets(4_000_000),
            "each" => return every(words),
            _ => {
                let later = word.strip_prefix('+').ok_or_else(|| {
                    let says = "expected `timer-a`, `timer-e`, `timer-g`, `2xx`, `each` or offsets as +0.5";
                    Error::new(number, format!("{says}, found `{word}`"))
                })?;
                copies.push(micros(number, later)?);
                continue;
            }
        };
        return scaled(timer, number, words);
    }
    Ok(copies)
}

/// `each 0.5 x3`: three more, half a second apart.
fn every(mut words: Words) -> Result<Vec<i64>, Error> {
    let interval = micros(words.line, &words.next("seconds between copies")?)?;
    let count = count(words.line, &words.next("how many, as x3")?)?;
    words.end()?;
    Ok((1..=count).map(|nth| interval.saturating_mul(i64::from(nth))).collect())
}

fn scaled(timer: Vec<i64>, number: usize, mut words: Words) -> Result<Vec<i64>, Error> {
    let (mut kept, mut t1) = (timer.len(), 500_000);
    while let Some(word) = words.maybe() {
        if word == "T1" {
            t1 = micros(number, &words.next("seconds")?)?.min(LONGEST_T1);
        } else {
            kept = count(number, &word)? as usize;
        }
    }
    Ok(timer.into_iter().take(kept).map(|offset| offset * t1 / 500_000).collect())
}

/// A story is for people to read; what needs more packets than this is no story.
const MOST_COPIES: u32 = 100_000;

/// More than anybody sets T1 to, in microseconds.
const LONGEST_T1: i64 = 60_000_000;

fn count(number: usize, word: &str) -> Result<u32, Error> {
    word.strip_prefix('x')
        .and_then(|digits| digits.parse().ok())
        .filter(|count| (1..=MOST_COPIES).contains(count))
        .ok_or_else(|| Error::new(number, format!("expected how many, as x3, found `{word}`")))
}

/// When copies go out that start at T1 = 0.5 s and double up to `cap` (RFC 3261 §17.1.1.2, §17.1.2.2), before 32 s.
fn timer_offsets(cap: i64) -> Vec<i64> {
    let (mut offset, mut interval, mut offsets) = (500_000, 500_000, Vec::new());
    while offset < 32_000_000 {
        offsets.push(offset);
        interval = (interval * 2).min(cap);
        offset += interval;
    }
    offsets
}

impl Change {
    /// The header that is changed.
    pub fn name(&self) -> &str {
        match self {
            Change::Write(name, _) | Change::Add(name, _) | Change::Remove(name) => name,
        }
    }
}
