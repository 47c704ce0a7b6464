//! Every named imperfection of the input, and the log that counts them.
//!
//! Reading never fails: a function that reads what the network did returns what it understood and notes an [`Oddity`].

mod log;

pub use log::{Noted, OddityLog};

/// One imperfection of the input that we carried on without. It carries the numbers: what was needed, what was there.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Oddity {
    // --- the file ---
    /// The file ends inside a record or block (J10).
    CaptureCut {
        /// Bytes from the start of the (decompressed) file to the record that is not whole.
        offset: u64,
        /// Bytes that were wanted.
        wanted: u64,
        /// Bytes that were there.
        had: u64,
    },
    /// A record or block contradicts itself; what could be read behind it was read (J10).
    CaptureDamaged {
        /// Bytes from the start of the (decompressed) file.
        offset: u64,
        /// What was found there.
        found: String,
    },
    /// Bytes behind the last record that are none (J10).
    TrailingBytes {
        /// Bytes from the start of the (decompressed) file.
        offset: u64,
        /// How many.
        bytes: u64,
    },
    /// The version of the file format is not one we know; it was read as the one we know.
    UnknownVersion {
        /// The major version found.
        major: u16,
        /// The minor version found.
        minor: u16,
    },
    /// The capture kept fewer bytes of the frame than were on the wire (J4).
    CutBySnapLength {
        /// Bytes on the wire.
        wanted: u32,
        /// Bytes kept.
        had: u32,
    },
    /// A record claims more bytes than the frame had on the wire.
    LongerThanOnWire {
        /// Bytes on the wire, as the record says.
        wire: u32,
        /// Bytes kept, as the record says.
        had: u32,
    },
    /// The capturing system reports packets that it dropped (J9).
    Drops {
        /// How many.
        packets: u64,
    },
    /// Packets arrived on an interface and were not looked at: the run was ended before, or they could not be read
    /// back.
    Unread {
        /// How many.
        packets: u64,
    },
    /// The packet carries no time (pcapng Simple Packet Block).
    NoTimestamp,
    /// The packet's time cannot be right (resolution or value out of range).
    TimestampOutOfRange,
    /// The packet is earlier than the one before it in the same file (J6).
    TimeWentBack {
        /// By how many nanoseconds.
        nanoseconds: u64,
    },
    /// The clock of the capturing machine was set while it captured.
    ClockSet {
        /// By how many nanoseconds, negative if it was put back.
        nanoseconds: i64,
    },
    /// The clock by which an input was stamped is not that of the others (J6).
    ClockDiffers {
        /// By how many nanoseconds it is ahead of theirs; `None` if that is not always the same.
        ahead: Option<i64>,
        /// True if the times of the input were put right.
        is_corrected: bool,
    },
    /// A packet refers to an interface that the file does not describe.
    UnknownInterface {
        /// Its number.
        interface: u32,
    },
    /// An option of a pcapng block does not fit into its block; the packet data was used.
    BrokenOption,
    /// A link type that we cannot decode.
    UnsupportedLinkType {
        /// The number of <https://www.tcpdump.org/linktypes.html>.
        link_type: u32,
    },
    /// Decompression stopped at its limit.
    DecompressionLimit {
        /// Bytes after which it stopped.
        bytes: u64,
    },
    // --- the network ---
    /// An IP header that cannot be right; the rest was read if it could be.
    BrokenIpHeader,
    /// More layers of encapsulation than the limit.
    TooDeep {
        /// The limit.
        layers: u8,
    },
    /// An IP datagram of which pieces are missing (J5).
    FragmentsMissing {
        /// Pieces that were there.
        had: u32,
    },
    /// Pieces of an IP datagram that overlap or reach beyond 65 535 bytes.
    FragmentsOverlap,
    /// A UDP header whose length is not that of the datagram.
    BrokenUdpLength {
        /// What the header says.
        said: u16,
        /// What was there.
        had: u32,
    },
    /// A UDP checksum that was left out, or not yet written when the packet was captured (J8).
    Checksum {
        /// What the header holds.
        held: u16,
    },
    /// Bytes are missing from a TCP stream, so a message may be missing too.
    StreamGap {
        /// How many, as far as sequence numbers tell.
        bytes: u32,
    },
    /// Bytes of a stream whose beginning was not captured came behind those that follow them.
    StreamBytesLate {
        /// How many.
        bytes: u32,
    },
    /// A TCP retransmission that carries other bytes than the first copy; the first was kept.
    StreamConflict {
        /// Bytes that differ in place.
        bytes: u32,
    },
    /// The same packet twice: a mirror port or an interface list that sees it two times (J1).
    DuplicatePacket,
    /// A TLS connection whose payload was not read.
    Encrypted {
        /// The server: its name, if the client said it, and its address.
        server: String,
        /// Why.
        why: Unread,
    },
    /// A line of the secrets of TLS in a capture that could not be used.
    BadSecret {
        /// Its number in its block, from 1.
        line: u64,
        /// What is wrong with it: a clause that begins in lower case.
        why: &'static str,
    },
    /// A message that is compressed, on WebSocket (RFC 7692) or as a copy in HEP, and could not be read.
    Compressed,
    /// Something was dropped because a limit was hit.
    LimitHit {
        /// The limit's name in the table of `--limits`.
        limit: &'static str,
        /// Its value.
        value: u64,
    },
    /// Something was dropped because a bound was hit that `--limits` does not set.
    BoundHit {
        /// The bound's name.
        bound: &'static str,
        /// Its value.
        value: u64,
        /// The option that sets it, if one does.
        option: Option<&'static str>,
    },
    /// A packet for our HEP server that was not taken.
    RefusedCopy {
        /// Why: a clause that begins in lower case.
        why: &'static str,
    },
    /// The program itself failed at the packet, or at what it completed, and went on behind it.
    InternalFault,
    // --- the SIP message ---
    /// The message ends before its empty line or its body's end.
    MessageCut {
        /// Bytes missing, 0 when not known.
        bytes: u32,
    },
    /// Lines end in LF alone (RFC 3261 §7 wants CR LF).
    BareLineFeed,
    /// Bytes that are not UTF-8 (RFC 3261 §25.1).
    NotUtf8,
    /// A NUL byte in the headers.
    NulByte,
    /// A header line without a colon.
    NoColon,
    /// A quoted string that does not end.
    UnclosedQuote,
    /// The body is shorter than Content-Length says.
    BodyTooShort {
        /// Content-Length.
        said: u64,
        /// Bytes that were there.
        had: u64,
    },
    /// Bytes behind the body that Content-Length describes.
    BytesAfterBody {
        /// How many.
        bytes: u64,
    },
    /// A Content-Length that is no number, negative or out of range.
    BadContentLength,
    /// A header that may stand once stands several times (RFC 3261 §7.3.1).
    DuplicateHeader {
        /// The header's name.
        header: &'static str,
    },
    /// A header without which a SIP message cannot be matched is missing (RFC 3261 §8.1.1).
    MissingHeader {
        /// The header's name.
        header: &'static str,
    },
    /// A status code outside 100–699 or not of three digits (RFC 3261 §7.2).
    BadStatusCode,
    /// A CSeq that is no number from 0 to 2³¹−1, or without a method (RFC 3261 §8.1.1.5).
    BadCSeq,
    /// The method in CSeq is not that of the request.
    CSeqMethodDiffers,
    /// A start line that breaks the grammar (spaces, brackets, version).
    BadStartLine,
    /// A header whose value breaks the grammar.
    BadHeader {
        /// The header's name.
        header: &'static str,
    },
    /// Text before the start line of a datagram.
    BytesBeforeMessage {
        /// How many.
        bytes: u32,
    },
}

/// Why the payload of a TLS connection was not read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Unread {
    /// No secret is known for the random of its client hello.
    NoSecret,
    /// The cipher suite cannot be opened.
    Cipher(u16),
    /// The version cannot be opened.
    Version(u16),
    /// It is compressed (RFC 3749).
    Compression,
    /// Its handshake cannot be read.
    Handshake,
    /// Its handshake is not in the capture.
    NotFromStart,
    /// Bytes are missing from it.
    Lost,
    /// A record cannot be opened with the secret that is known.
    Damaged,
}

impl Unread {
    /// A clause that begins in lower case.
    pub fn says(self) -> String {
        match self {
            Unread::NoSecret => "no secret for its client random is known (--keylog)".into(),
            Unread::Cipher(suite) => format!("its cipher suite 0x{suite:04x} is not supported"),
            Unread::Version(version) => format!("its version 0x{version:04x} is not supported"),
            Unread::Compression => "it is compressed, which is not supported".into(),
            Unread::Handshake => "its handshake is malformed".into(),
            Unread::NotFromStart => "the start of the connection, with its handshake, was not captured".into(),
            Unread::Lost => "bytes of it are missing from the capture".into(),
            Unread::Damaged => "a record does not fit the secret that is known for it".into(),
        }
    }
}

impl Oddity {
    /// The name of a fault of the program itself, for which the exit status is 5.
    pub const INTERNAL_FAULT: &'static str = "internal-fault";

    /// The name in the report, in kebab-case. The capture rules J… have the same names.
    pub fn kind(&self) -> &'static str {
        match self {
            Oddity::CaptureCut { .. } | Oddity::CaptureDamaged { .. } | Oddity::TrailingBytes { .. } => "capture-cut",
            Oddity::UnknownVersion { .. } => "unknown-version",
            Oddity::CutBySnapLength { .. } => "capture-truncated",
            Oddity::LongerThanOnWire { .. } => "longer-than-on-wire",
            Oddity::Drops { .. } => "capture-drops",
            Oddity::Unread { .. } => "packets-unread",
            Oddity::NoTimestamp => "no-timestamp",
            Oddity::TimestampOutOfRange => "timestamp-out-of-range",
            Oddity::TimeWentBack { .. } => "clock-unsteady",
            Oddity::ClockSet { .. } => "clock-set",
            Oddity::ClockDiffers { .. } => "clock-differs",
            Oddity::UnknownInterface { .. } => "unknown-interface",
            Oddity::BrokenOption => "broken-option",
            Oddity::UnsupportedLinkType { .. } => "unsupported-link-type",
            Oddity::DecompressionLimit { .. } => "decompression-limit",
            Oddity::BrokenIpHeader => "broken-ip-header",
            Oddity::TooDeep { .. } => "too-deep",
            Oddity::FragmentsMissing { .. } => "fragments-missing",
            Oddity::FragmentsOverlap => "fragments-overlap",
            Oddity::BrokenUdpLength { .. } => "broken-udp-length",
            Oddity::Checksum { .. } => "nat-on-capture-host",
            Oddity::StreamGap { .. } => "stream-gap",
            Oddity::StreamBytesLate { .. } => "stream-bytes-late",
            Oddity::StreamConflict { .. } => "stream-conflict",
            Oddity::DuplicatePacket => "capture-duplicated",
            Oddity::Encrypted { .. } | Oddity::Compressed => "payload-unreadable",
            Oddity::BadSecret { .. } => "bad-secret",
            Oddity::LimitHit { .. } | Oddity::BoundHit { .. } => "limit-hit",
            Oddity::RefusedCopy { .. } => "refused-copy",
            Oddity::InternalFault => Oddity::INTERNAL_FAULT,
            Oddity::MessageCut { .. } => "message-cut",
            Oddity::BareLineFeed => "bare-line-feed",
            Oddity::NotUtf8 => "not-utf8",
            Oddity::NulByte => "nul-byte",
            Oddity::NoColon => "no-colon",
            Oddity::UnclosedQuote => "unclosed-quote",
            Oddity::BodyTooShort { .. } => "body-too-short",
            Oddity::BytesAfterBody { .. } => "bytes-after-body",
            Oddity::BadContentLength => "bad-content-length",
            Oddity::DuplicateHeader { .. } => "duplicate-header",
            Oddity::MissingHeader { .. } => "missing-header",
            Oddity::BadStatusCode => "bad-status-code",
            Oddity::BadCSeq => "bad-cseq",
            Oddity::CSeqMethodDiffers => "cseq-method-differs",
            Oddity::BadStartLine => "bad-start-line",
            Oddity::BadHeader { .. } => "bad-header",
            Oddity::BytesBeforeMessage { .. } => "bytes-before-message",
        }
    }

    /// The name of the limit that was hit; empty where none was.
    pub fn limit(&self) -> &'static str {
        match self {
            Oddity::LimitHit { limit: name, .. } | Oddity::BoundHit { bound: name, .. } => name,
            _ => "",
        }
    }

    /// One sentence for the reader of the report: what was found, what was expected.
    pub fn says(&self) -> String {
        match self {
            Oddity::CaptureCut { offset, wanted, had } => format!(
                "the file is cut short: the record at byte {offset} needs {wanted} bytes and only {had} are there"
            ),
            Oddity::CaptureDamaged { offset, found } => format!("the file is damaged at byte {offset}: {found}"),
            Oddity::TrailingBytes { offset, bytes } => {
                format!("{bytes} bytes from byte {offset} on are no record: corrupt or trailing data")
            }
            Oddity::UnknownVersion { major, minor } => {
                format!("the file claims format version {major}.{minor}, which is unknown; read as the usual one")
            }
            Oddity::CutBySnapLength { wanted, had } => format!(
                "the capture's snap length truncated the frame: {had} of {wanted} bytes kept; capture again with -s 0"
            ),
            Oddity::LongerThanOnWire { wire, had } => {
                format!("the record holds {had} bytes of a frame that had {wire} on the wire; all were used")
            }
            Oddity::Drops { packets } => {
                format!(
                    "the capturing system dropped {packets} packets: what is missing here may have been on the wire"
                )
            }
            Oddity::Unread { packets } => {
                format!("{packets} packets had arrived and were not looked at: what is missing here may be among them")
            }
            Oddity::NoTimestamp => "the packet carries no time; that of the packet before it is used".into(),
            Oddity::TimestampOutOfRange => "the packet's time is malformed or out of range".into(),
            Oddity::TimeWentBack { nanoseconds } => {
                format!("the time is {:.6} s earlier than in the packet before it", *nanoseconds as f64 / 1e9)
            }
            Oddity::ClockSet { nanoseconds } => {
                format!("the clock was set by {:+.3} s during the capture", *nanoseconds as f64 / 1e9)
            }
            Oddity::ClockDiffers { ahead: None, .. } => "the clock that stamped it is not always as far from that of \
                                                         the other inputs: its times are as it holds them"
                .into(),
            Oddity::ClockDiffers { ahead: Some(ahead), is_corrected } => {
                let (apart, is_ahead) = (ahead.unsigned_abs() as f64 / 1e9, *ahead > 0);
                let (way, back) = if is_ahead { ("ahead of", "earlier") } else { ("behind", "later") };
                let what = match is_corrected {
                    true => format!("its times are told {apart:.3} s {back}"),
                    false => "its times are as it holds them".to_owned(),
                };
                format!("the clock that stamped it is {apart:.3} s {way} that of the other inputs: {what}")
            }
            Oddity::UnknownInterface { interface } => {
                format!("the packet names interface {interface}, which the file does not describe")
            }
            Oddity::BrokenOption => "an option of a block does not fit into it: malformed; the packet was used".into(),
            Oddity::UnsupportedLinkType { link_type } => format!(
                "link type {link_type} is not supported: capture on another interface, or convert with tshark or \
                 editcap"
            ),
            Oddity::DecompressionLimit { bytes } => {
                format!("decompression stopped after {bytes} bytes, the limit of --limits decompressed-bytes")
            }
            Oddity::BrokenIpHeader => "the IP header is malformed".into(),
            Oddity::TooDeep { layers } => {
                format!("more than {layers} layers of encapsulation: the inner ones were not read")
            }
            Oddity::FragmentsMissing { had } => {
                format!("an IP datagram is incomplete: {had} fragments seen, others missing")
            }
            Oddity::FragmentsOverlap => "IP fragments overlap or reach beyond 65535 bytes".into(),
            Oddity::BrokenUdpLength { said, had } => {
                format!("the UDP header says {said} bytes, {had} are there: truncated or malformed")
            }
            Oddity::Checksum { held: 0 } => "the UDP checksum was left out by the sender".into(),
            Oddity::Checksum { .. } => {
                "the UDP checksum was not yet written: the packet was captured on the host that sent it".into()
            }
            Oddity::StreamGap { bytes } => {
                format!("{bytes} bytes are missing from a TCP stream: a message may be missing too")
            }
            Oddity::StreamBytesLate { bytes } => format!(
                "{bytes} bytes of a TCP stream stand in the capture behind those that follow them, and were not used: \
                 a message may be missing"
            ),
            Oddity::StreamConflict { bytes } => {
                format!("a TCP retransmission carries {bytes} other bytes than the first copy; the first was kept")
            }
            Oddity::DuplicatePacket => {
                "the same packet is in the capture twice: it was captured at two points, or on two interfaces".into()
            }
            Oddity::Compressed => "a message is compressed (WebSocket's permessage-deflate, or a copy in HEP) and \
                                   could not be read"
                .into(),
            Oddity::Encrypted { server, why } => {
                format!("the payload is encrypted (TLS to {server}) and was not read: {}", why.says())
            }
            Oddity::BadSecret { line, why } => {
                format!("line {line} of the TLS secrets in the capture is malformed and was not used: {why}")
            }
            Oddity::LimitHit { limit, value } => format!("the limit {limit}={value} was reached (--limits)"),
            Oddity::BoundHit { bound, value, option: Some(option) } => {
                format!("the limit {bound}={value} was reached ({option})")
            }
            Oddity::BoundHit { bound, value, option: None } => {
                format!("the limit {bound}={value} was reached, which is fixed")
            }
            Oddity::RefusedCopy { why } => {
                format!("a packet for the HEP server (--hep-listen) was refused: {why}")
            }
            Oddity::InternalFault => "sipwhy itself failed at the packet and went on behind it: please report it, \
                                      with the packet if you may"
                .into(),
            Oddity::MessageCut { bytes: 0 } => "the message is cut short: it ends before its headers do".into(),
            Oddity::MessageCut { bytes } => format!("the message is cut short: {bytes} bytes are missing"),
            Oddity::BareLineFeed => {
                "lines end in LF alone where RFC 3261 wants CR LF: malformed, read all the same".into()
            }
            Oddity::NotUtf8 => "bytes that are not UTF-8: malformed text, shown as U+FFFD".into(),
            Oddity::NulByte => "a NUL byte in the headers: malformed".into(),
            Oddity::NoColon => "a header line without a colon: malformed, skipped".into(),
            Oddity::UnclosedQuote => "a quoted string that does not end: malformed".into(),
            Oddity::BodyTooShort { said, had } => {
                format!(
                    "Content-Length says {said} bytes and the body has {had}: cut short, or malformed by the sender"
                )
            }
            Oddity::BytesAfterBody { bytes } => format!("{bytes} bytes follow the body that Content-Length describes"),
            Oddity::BadContentLength => "Content-Length is malformed: no number that fits".into(),
            Oddity::DuplicateHeader { header } => {
                format!("{header} stands more than once: malformed, the first is used")
            }
            Oddity::MissingHeader { header } => format!("the message has no {header} header: malformed"),
            Oddity::BadStatusCode => {
                "the status code is not a number from 100 to 699: malformed, no entry applies".into()
            }
            Oddity::BadCSeq => "CSeq is malformed: it needs a number below 2147483648 and a method".into(),
            Oddity::CSeqMethodDiffers => "the method in CSeq is not that of the request: malformed".into(),
            Oddity::BadStartLine => "the start line breaks the grammar of RFC 3261 §7: malformed".into(),
            Oddity::BadHeader { header } => format!("the {header} header breaks its grammar: malformed"),
            Oddity::BytesBeforeMessage { bytes } => format!("{bytes} bytes stand before the start line: malformed"),
        }
    }
}
