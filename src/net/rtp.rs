//! The headers of RTP and RTCP packets (RFC 3550 §5.1, §6.4) and of STUN messages (RFC 8489 §5).
//!
//! Is given the payload of a datagram; gives what stands in the header. Deliberately does not know which call a packet
//! belongs to: only a description says that a port is one for media.

/// An RTP packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rtp {
    /// The payload type.
    pub kind: u8,
    /// The marker bit.
    pub marked: bool,
    /// The sequence number.
    pub sequence: u16,
    /// The time stamp, in ticks of the codec's clock.
    pub time: u32,
    /// The synchronisation source.
    pub source: u32,
    /// The payload, if it has the size of a telephone event (RFC 4733 §2.3).
    pub event: Option<TelephoneEvent>,
}

/// The payload of a telephone event (RFC 4733 §2.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TelephoneEvent {
    /// Which: 0 to 15 are the keys.
    pub event: u8,
    /// The end bit.
    pub ends: bool,
    /// The power, from 0 to 63.
    pub volume: u8,
    /// The length so far, in ticks.
    pub duration: u16,
}

/// A report block of RTCP (RFC 3550 §6.4.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReportBlock {
    /// Whose packets it is about.
    pub source: u32,
    /// What was lost since the last report, in 256ths.
    pub fraction_lost: u8,
}

/// What a datagram of the media plane is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MediaPacket<'a> {
    /// RTP.
    Rtp(Rtp),
    /// RTCP: all of the packet.
    Rtcp(&'a [u8]),
    /// STUN or TURN.
    Stun(Stun),
    /// A fatal alert of DTLS, in the clear.
    Alert(DtlsAlert),
}

/// An alert that ends a handshake of DTLS before anything is encrypted (RFC 9147 §4, RFC 6347 §4.1; RFC 8446 §6.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DtlsAlert {
    /// Why: 40 is handshake_failure, 42 bad_certificate.
    pub description: u8,
}

/// A STUN message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stun {
    /// The method: 1 Binding, 3 Allocate, 4 Refresh, 8 CreatePermission, 9 ChannelBind.
    pub method: u16,
    /// What it is.
    pub class: StunClass,
    /// What a request and its response have in common (RFC 8489 §5).
    pub transaction: [u8; 12],
    /// True if it carries MESSAGE-INTEGRITY, so its sender has shown credentials (RFC 8489 §14.5, §14.6).
    pub is_signed: bool,
}

impl Stun {
    /// The method of connectivity checks (RFC 8445 §7).
    pub const BINDING: u16 = 1;
}

/// The class of a STUN message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StunClass {
    /// A request.
    Request,
    /// An indication.
    Indication,
    /// A response that says that all went well.
    Success,
    /// A response with an error code (RFC 8489 §14.8); 0 where none was found.
    Error(u16),
}

/// RTCP has packet types from 192 to 223, where RTP has a marker and a payload type (RFC 5761 §4).
const RTCP: std::ops::RangeInclusive<u8> = 192..=223;
/// The content type of an alert (RFC 8446 §5.1), which nothing else on a port of media begins with (RFC 7983 §7).
const ALERT: u8 = 21;
const MAGIC_COOKIE: [u8; 4] = [0x21, 0x12, 0xA4, 0x42];

impl<'a> MediaPacket<'a> {
    /// Reads a datagram; `None` if it cannot be one of these.
    #[inline]
    pub fn read(bytes: &'a [u8]) -> Option<MediaPacket<'a>> {
        // Text is told here: a call for each message of SIP would take longer than this.
        if bytes.first()?.is_ascii_graphic() { None } else { MediaPacket::read_binary(bytes) }
    }

    fn read_binary(bytes: &'a [u8]) -> Option<MediaPacket<'a>> {
        match bytes.first()? {
            0x80..=0xBF => match bytes.get(1)? {
                second if RTCP.contains(second) => Some(MediaPacket::Rtcp(bytes)),
                _ => read_rtp(bytes).map(MediaPacket::Rtp),
            },
            0..=3 => stun(bytes).map(MediaPacket::Stun),
            &ALERT => alert(bytes).map(MediaPacket::Alert),
            _ => None,
        }
    }
}

/// A record of nothing but a fatal alert, of the epoch in which nothing is encrypted.
fn alert(bytes: &[u8]) -> Option<DtlsAlert> {
    const FATAL: u8 = 2;
    let [ALERT, 0xFE, 0xFD | 0xFF, 0, 0, _, _, _, _, _, _, 0, 2, FATAL, description] = *bytes else { return None };
    Some(DtlsAlert { description })
}

/// Reads a datagram as RTP (RFC 3550 §5.1); `None` if it cannot be RTP.
#[inline]
pub(super) fn read_rtp(bytes: &[u8]) -> Option<Rtp> {
    let (header, payload) = bytes.split_first_chunk::<12>()?;
    let [first, second, s0, s1, t0, t1, t2, t3, c0, c1, c2, c3] = *header;
    if first >> 6 != 2 || RTCP.contains(&second) {
        return None;
    }
    let event = match payload {
        [event, flags, d0, d1] if first == 0x80 => Some(TelephoneEvent {
            event: *event,
            ends: flags & 0x80 != 0,
            volume: flags & 0x3F,
            duration: u16::from_be_bytes([*d0, *d1]),
        }),
        _ => None,
    };
    Some(Rtp {
        kind: second & 0x7F,
        marked: second & 0x80 != 0,
        sequence: u16::from_be_bytes([s0, s1]),
        time: u32::from_be_bytes([t0, t1, t2, t3]),
        source: u32::from_be_bytes([c0, c1, c2, c3]),
        event,
    })
}

fn stun(bytes: &[u8]) -> Option<Stun> {
    const ERROR_CODE: u16 = 0x0009;
    const MESSAGE_INTEGRITY: [u16; 2] = [0x0008, 0x001C];
    let (header, attributes) = bytes.split_first_chunk::<20>()?;
    let ([t0, t1, _, _, m0, m1, m2, m3], transaction) = (header.first_chunk::<8>()?, header.last_chunk::<12>()?);
    if [*m0, *m1, *m2, *m3] != MAGIC_COOKIE {
        return None;
    }
    let kind = u16::from_be_bytes([*t0, *t1]);
    let method = (kind & 0x000F) | ((kind & 0x00E0) >> 1) | ((kind & 0x3E00) >> 2);
    let class = match (kind & 0x0100 != 0, kind & 0x0010 != 0) {
        (false, false) => StunClass::Request,
        (false, true) => StunClass::Indication,
        (true, false) => StunClass::Success,
        (true, true) => StunClass::Error(attribute(attributes, &[ERROR_CODE]).and_then(error_code).unwrap_or(0)),
    };
    let is_signed = attribute(attributes, &MESSAGE_INTEGRITY).is_some();
    Some(Stun { method, class, transaction: *transaction, is_signed })
}

/// What follows the head of the first attribute of these kinds (RFC 8489 §14).
fn attribute<'a>(mut attributes: &'a [u8], kinds: &[u16]) -> Option<&'a [u8]> {
    for _ in 0..32 {
        let ([k0, k1, l0, l1], rest) = attributes.split_first_chunk::<4>()?;
        let length = usize::from(u16::from_be_bytes([*l0, *l1]));
        if kinds.contains(&u16::from_be_bytes([*k0, *k1])) {
            return Some(rest);
        }
        attributes = rest.get(length.checked_next_multiple_of(4)?..)?;
    }
    None
}

/// The code in ERROR-CODE (RFC 8489 §14.8).
fn error_code(value: &[u8]) -> Option<u16> {
    let [_, _, class, number] = value.first_chunk::<4>()?;
    u16::from(class & 7).checked_mul(100)?.checked_add(u16::from(*number))
}

/// The report blocks of the first packet of a compound RTCP packet (RFC 3550 §6.4).
pub fn report_blocks(bytes: &[u8]) -> impl Iterator<Item = ReportBlock> {
    const SENDER: u8 = 200;
    const RECEIVER: u8 = 201;
    let count = usize::from(bytes.first().copied().unwrap_or(0) & 0x1F);
    let skip = match bytes.get(1) {
        Some(&SENDER) => 28,
        Some(&RECEIVER) => 8,
        _ => usize::MAX,
    };
    let blocks = bytes.get(skip..).unwrap_or_default().chunks_exact(24).take(count);
    blocks.filter_map(|block| {
        let [s0, s1, s2, s3, fraction_lost] = *block.first_chunk::<5>()?;
        Some(ReportBlock { source: u32::from_be_bytes([s0, s1, s2, s3]), fraction_lost })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rtp_rtcp_and_stun_are_told_apart() {
        let event = [0x80, 0xE5, 0, 7, 0, 0, 0, 160, 1, 2, 3, 4, 5, 0x8A, 3, 0x20];
        let Some(MediaPacket::Rtp(rtp)) = MediaPacket::read(&event) else { panic!("RTP") };
        assert_eq!((rtp.kind, rtp.marked, rtp.sequence, rtp.time, rtp.source), (101, true, 7, 160, 0x0102_0304));
        assert_eq!(rtp.event, Some(TelephoneEvent { event: 5, ends: true, volume: 10, duration: 800 }));
        let mut report = vec![0x81, 201, 0, 7, 0, 0, 0, 1, 9, 9, 9, 9, 64];
        report.resize(32, 0);
        assert!(matches!(MediaPacket::read(&report), Some(MediaPacket::Rtcp(_))));
        assert_eq!(
            report_blocks(&report).collect::<Vec<_>>(),
            [ReportBlock { source: 0x0909_0909, fraction_lost: 64 }]
        );
        let mut conflict = vec![1, 0x11, 0, 8, 0x21, 0x12, 0xA4, 0x42];
        conflict.resize(20, 0);
        conflict.extend([0, 9, 0, 4, 0, 0, 4, 87]);
        let stun = Stun { method: 1, class: StunClass::Error(487), transaction: [0; 12], is_signed: false };
        assert_eq!(MediaPacket::read(&conflict), Some(MediaPacket::Stun(stun)));
        assert_eq!(MediaPacket::read(b"INVITE sip:a SIP/2.0"), None);
    }

    #[test]
    fn a_request_that_shows_credentials_is_told_apart() {
        let mut request = vec![0, 3, 0, 4, 0x21, 0x12, 0xA4, 0x42, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12];
        request.extend([0, 0x19, 0, 4, 17, 0, 0, 0]);
        let stun = Stun {
            method: 3,
            class: StunClass::Request,
            transaction: [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12],
            is_signed: false,
        };
        assert_eq!(MediaPacket::read(&request), Some(MediaPacket::Stun(stun)));
        request.extend([0, 8, 0, 20]);
        request.extend([0; 20]);
        assert_eq!(MediaPacket::read(&request), Some(MediaPacket::Stun(Stun { is_signed: true, ..stun })));
    }

    #[test]
    fn only_a_fatal_alert_in_the_clear_is_one() {
        let alert = [21, 0xFE, 0xFD, 0, 0, 0, 0, 0, 0, 0, 1, 0, 2, 2, 42];
        assert_eq!(MediaPacket::read(&alert), Some(MediaPacket::Alert(DtlsAlert { description: 42 })));
        for (at, other) in [(4, 1), (2, 3), (13, 1)] {
            let mut changed = alert;
            changed[at] = other;
            assert_eq!(MediaPacket::read(&changed), None);
        }
        assert_eq!(MediaPacket::read(&alert[..14]), None);
    }

    #[test]
    fn short_packets_are_none() {
        let event = [0x80, 0xE5, 0, 7, 0, 0, 0, 160, 1, 2, 3, 4];
        for length in 0..event.len() {
            assert_eq!(MediaPacket::read(&event[..length]), None);
        }
    }
}
