//! The media plane: RTP counted for each stream, the loss that RTCP reports, and STUN.
//!
//! Is given packets, millions of them; gives streams that can be asked for by address, as a value that can be merged.
//! A stream is one synchronisation source on one path. Deliberately does not know calls: which stream is of which
//! description is worked out when a call is diagnosed. So a packet costs one look-up in a small table, and nothing of
//! it is kept.

mod index;
mod stream;

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::call::media::index::Index;
pub use crate::call::media::stream::{Gap, Keypress, Stream, TypeSeen};
use crate::capture::Place;
use crate::net::{Ends, MediaPacket, Path, Rtp, Stun, StunClass, report_blocks};

/// Every stream of a capture, as far as there is room. Mergeable.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Media {
    streams: Vec<Stream>,
    /// What receivers reported of a source: the worst report.
    reports: BTreeMap<u32, Report>,
    /// STUN on each path, from client to server.
    checks: Vec<Check>,
    /// Alerts that ended a handshake of DTLS.
    #[serde(default)]
    alerts: Vec<FailedDtls>,
    #[serde(skip)]
    index: Index,
}

/// The worst that a receiver reported of a source (RFC 3550 §6.4.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Report {
    /// What was lost since the report before, in 256ths.
    pub fraction_lost: u8,
    /// The report.
    pub place: Place,
}

/// STUN from one address to another (RFC 8489).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Check {
    /// From who asks to who is asked.
    pub path: Path,
    /// The first request, or the first response if none was captured.
    pub first: Place,
    /// The last request.
    pub last: Place,
    /// Requests.
    pub requests: u64,
    /// Responses that say that all went well.
    pub successes: u64,
    /// The last of them.
    #[serde(default)]
    pub last_success: Option<Place>,
    /// Responses that say that it failed, whatever they ask for.
    #[serde(default)]
    pub failures: u64,
    /// The first responses with each error code, and the method. A 401 of a TURN server counts only where the request
    /// had shown credentials: the first request has none, and is asked for them (RFC 8489 §9.2.3.1; RFC 8656 §5).
    pub errors: Vec<(u16, u16, Place)>,
    /// The last request that showed credentials.
    #[serde(default)]
    signed: Option<[u8; 12]>,
}

/// A fatal alert of DTLS in the clear: no keys were agreed on (RFC 5764 §5.1.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct FailedDtls {
    /// The alert.
    pub place: Place,
    /// From who gives up to the other side.
    pub path: Path,
    /// Why.
    pub description: u8,
}

/// What became of a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Counted {
    /// It was counted.
    Yes,
    /// There is no room for its stream.
    NoRoom,
}

impl Media {
    /// Streams that are kept.
    pub const MOST_STREAMS: usize = 16_384;
    /// A stream that was silent for so long makes room for others when there is none.
    const LONG_SILENT: Duration = Duration::from_secs(900);
    /// Paths on which STUN is counted, and sources of which reports are kept.
    const MOST_CHECKS: usize = 1024;

    /// Takes in a packet of RTP, if it is one of the stream that was last heard on its way; false if it is none.
    #[inline]
    pub(crate) fn hear_known(&mut self, rtp: &Rtp, ends: &Ends, place: Place) -> bool {
        let stream = self.index.find_ends(ends).and_then(|at| self.streams.get_mut(at));
        let Some(stream) = stream.filter(|stream| stream.source == rtp.source) else { return false };
        stream.count(rtp, place);
        true
    }

    /// Takes in a packet.
    pub(crate) fn hear(&mut self, packet: &MediaPacket<'_>, path: Path, place: Place) -> Counted {
        match packet {
            MediaPacket::Rtp(rtp) => {
                if let Some(stream) = self.index.find(&path).and_then(|at| self.streams.get_mut(at))
                    && stream.source == rtp.source
                {
                    stream.count(rtp, place);
                    return Counted::Yes;
                }
                self.open(Stream::begin(rtp, path, place))
            }
            MediaPacket::Rtcp(bytes) => {
                for block in report_blocks(bytes) {
                    self.note_report(block.source, Report { fraction_lost: block.fraction_lost, place });
                }
                Counted::Yes
            }
            MediaPacket::Stun(stun) => {
                self.note_stun(*stun, path, place);
                Counted::Yes
            }
            MediaPacket::Alert(alert) => {
                if self.alerts.len() < Media::MOST_CHECKS {
                    self.alerts.push(FailedDtls { place, path, description: alert.description });
                }
                Counted::Yes
            }
        }
    }

    /// True if no RTP was seen.
    pub fn is_empty(&self) -> bool {
        self.streams.is_empty()
    }

    /// The streams that were sent to an address, in order of their beginning.
    pub fn to(&self, destination: SocketAddr) -> impl Iterator<Item = &Stream> {
        self.index.to(destination).filter_map(|at| self.streams.get(at)).filter(|stream| stream.is_sound())
    }

    /// The streams that were sent from an address, in order of their beginning.
    pub fn from(&self, source: SocketAddr) -> impl Iterator<Item = &Stream> {
        self.index.from(source).filter_map(|at| self.streams.get(at)).filter(|stream| stream.is_sound())
    }

    /// Whatever was sent to an address, be it too little to make a stream.
    pub fn anything_to(&self, destination: SocketAddr) -> impl Iterator<Item = &Stream> {
        self.index.to(destination).filter_map(|at| self.streams.get(at))
    }

    /// The streams that went from one host to another, in order of their beginning.
    pub fn between(&self, from: IpAddr, to: IpAddr) -> impl Iterator<Item = &Stream> {
        let is_between = move |path: &Path| path.source.ip() == from && path.destination.ip() == to;
        self.streams.iter().filter(move |stream| is_between(&stream.path) && stream.is_sound())
    }

    /// True if a stream went from one host to another.
    pub fn has_between(&self, from: IpAddr, to: IpAddr) -> bool {
        self.between(from, to).next().is_some()
    }

    /// The worst that a receiver reported of a source.
    pub fn report_on(&self, source: u32) -> Option<&Report> {
        self.reports.get(&source)
    }

    /// STUN on each path, in order.
    pub fn checks(&self) -> &[Check] {
        &self.checks
    }

    /// Alerts that ended a handshake of DTLS, in order.
    pub fn alerts(&self) -> &[FailedDtls] {
        &self.alerts
    }

    fn open(&mut self, stream: Stream) -> Counted {
        if self.streams.len() >= Media::MOST_STREAMS {
            let now = stream.last.time;
            self.streams.retain(|known| now.since(known.last.time) < Media::LONG_SILENT);
            self.index = Index::of(&self.streams);
        }
        // The same source may go on after another one was heard on its path, as with music on hold.
        let known = self.index.to(stream.path.destination).find(|at| {
            self.streams.get(*at).is_some_and(|known| known.source == stream.source && known.path == stream.path)
        });
        if let Some(at) = known {
            self.index.point(&stream.path, at);
            if let Some(known) = self.streams.get_mut(at) {
                known.go_on(&stream);
            }
            return Counted::Yes;
        }
        if self.streams.len() >= Media::MOST_STREAMS {
            return Counted::NoRoom;
        }
        self.index.add(&stream.path, self.streams.len());
        self.streams.push(stream);
        Counted::Yes
    }

    fn note_report(&mut self, source: u32, report: Report) {
        if self.reports.len() >= Media::MOST_CHECKS && !self.reports.contains_key(&source) {
            return;
        }
        let known = self.reports.entry(source).or_insert(report);
        if report.fraction_lost > known.fraction_lost {
            *known = report;
        }
    }

    fn note_stun(&mut self, stun: Stun, path: Path, place: Place) {
        let is_response = matches!(stun.class, StunClass::Success | StunClass::Error(_));
        let path = if is_response { path.reversed() } else { path };
        let check = match self.checks.iter().position(|check| check.path == path) {
            Some(at) => self.checks.get_mut(at),
            None if self.checks.len() >= Media::MOST_CHECKS => return,
            None => {
                let fresh = Check {
                    path,
                    first: place,
                    last: place,
                    requests: 0,
                    successes: 0,
                    last_success: None,
                    failures: 0,
                    errors: Vec::new(),
                    signed: None,
                };
                self.checks.push(fresh);
                self.checks.last_mut()
            }
        };
        let Some(check) = check else { return };
        check.failures = check.failures.saturating_add(u64::from(matches!(stun.class, StunClass::Error(_))));
        match stun.class {
            StunClass::Request => {
                check.requests = check.requests.saturating_add(1);
                check.last = place;
                check.signed = if stun.is_signed { Some(stun.transaction) } else { check.signed };
            }
            StunClass::Success => {
                check.successes = check.successes.saturating_add(1);
                check.last_success = Some(place);
            }
            StunClass::Error(401) if stun.method != Stun::BINDING && check.signed != Some(stun.transaction) => {}
            StunClass::Error(code)
                if !check.errors.iter().any(|(known, ..)| *known == code) && check.errors.len() < 8 =>
            {
                check.errors.push((code, stun.method, place));
            }
            StunClass::Error(_) | StunClass::Indication => {}
        }
    }

    /// Puts together what two readers have seen.
    pub(crate) fn merge(&mut self, other: &Media) {
        self.streams.extend(other.streams.iter().cloned());
        self.streams.sort_by_key(|stream| (stream.first, stream.path, stream.source));
        self.streams.dedup();
        self.streams.truncate(Media::MOST_STREAMS);
        self.index = Index::of(&self.streams);
        other.reports.iter().for_each(|(source, report)| self.note_report(*source, *report));
        self.checks.extend(other.checks.iter().cloned());
        self.checks.sort_unstable();
        self.checks.dedup();
        self.checks.truncate(Media::MOST_CHECKS);
        self.alerts.extend(other.alerts.iter().copied());
        self.alerts.sort_unstable();
        self.alerts.dedup();
        self.alerts.truncate(Media::MOST_CHECKS);
    }
}

impl PartialEq for Media {
    fn eq(&self, other: &Media) -> bool {
        (&self.streams, &self.reports) == (&other.streams, &other.reports)
            && (&self.checks, &self.alerts) == (&other.checks, &other.alerts)
    }
}

impl Eq for Media {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::capture::Timestamp;
    use crate::net::Transport;

    fn path(from: u16, to: u16) -> Path {
        let address = |port| SocketAddr::new(IpAddr::from([192, 0, 2, 1]), port);
        Path { source: address(from), destination: address(to), transport: Transport::Udp }
    }

    fn feed(media: &mut Media, sequence: u16, milliseconds: i64) {
        let rtp = Rtp { kind: 8, marked: false, sequence, time: u32::from(sequence) * 160, source: 7, event: None };
        let place = Place { time: Timestamp(milliseconds * 1_000_000), frame: 1, ..Place::default() };
        media.hear(&MediaPacket::Rtp(rtp), path(4000, 5000), place);
    }

    #[test]
    fn loss_is_counted_by_sequence_numbers_over_their_end() {
        let mut media = Media::default();
        let sequences = [65_533, 65_534, 65_535, 0, 1, 4, 5, 5, 3];
        for (at, sequence) in sequences.into_iter().enumerate() {
            feed(&mut media, sequence, 20 * at as i64);
        }
        let stream = media.to(path(4000, 5000).destination).next().unwrap();
        assert_eq!((stream.packets, stream.expected(), stream.lost()), (9, 9, 1));
        assert_eq!(stream.gap.map(|gap| (gap.before, gap.after)), Some((1, 4)));
    }

    #[test]
    fn a_second_capture_with_a_slow_clock_and_a_step_of_the_clock_are_no_jitter() {
        for behind in [20, 400, 2_000, 30_000] {
            let mut media = Media::default();
            let mut packets: Vec<(i64, u16)> =
                (1..2_000).map(|sequence| (i64::from(sequence) * 20, sequence)).collect();
            packets.extend(packets.clone().into_iter().map(|(at, sequence)| (at + behind, sequence)));
            packets.sort_unstable();
            packets.iter().for_each(|(at, sequence)| feed(&mut media, *sequence, *at));
            let stream = media.to(path(4000, 5000).destination).next().unwrap();
            assert_eq!((stream.expected(), stream.lost(), stream.jitter().as_nanos()), (1_999, 0, 0), "{behind}");
        }
        let mut media = Media::default();
        (1..200).for_each(|sequence| {
            feed(&mut media, sequence, i64::from(sequence) * 20 + i64::from(sequence / 150) * 3_600_000)
        });
        assert!(media.to(path(4000, 5000).destination).all(|stream| stream.jitter().is_zero()));
    }

    #[test]
    fn a_packet_of_a_known_stream_is_counted_at_once_as_any_other() {
        let sequences = [1_u16, 2, 3, 7, 7, 5, 8, 9, 5000, 5001];
        let rtp = |sequence: u16, source| Rtp {
            kind: if sequence == 9 { 101 } else { 8 },
            marked: false,
            sequence,
            time: u32::from(sequence) * 160,
            source,
            event: None,
        };
        let place = |at: usize| Place { time: Timestamp(at as i64 * 20_000_000), frame: 1, ..Place::default() };
        let ends = Ends::of(&path(4000, 5000)).unwrap();
        let [mut at_once, mut slowly] = [Media::default(), Media::default()];
        assert!(!at_once.hear_known(&rtp(0, 7), &ends, place(0)));
        for media in [&mut at_once, &mut slowly] {
            media.hear(&MediaPacket::Rtp(rtp(0, 7)), path(4000, 5000), place(0));
        }
        for (at, sequence) in sequences.into_iter().enumerate() {
            assert!(at_once.hear_known(&rtp(sequence, 7), &ends, place(at)));
            slowly.hear(&MediaPacket::Rtp(rtp(sequence, 7)), path(4000, 5000), place(at));
        }
        assert_eq!(at_once, slowly);
        assert!(!at_once.hear_known(&rtp(10, 8), &ends, place(20)), "another source on the same path");
        assert!(!at_once.hear_known(&rtp(10, 7), &Ends::of(&path(4000, 5001)).unwrap(), place(20)));
    }

    #[test]
    fn a_merged_value_is_found_by_address() {
        let mut media = Media::default();
        (1..10).for_each(|sequence| feed(&mut media, sequence, i64::from(sequence) * 20));
        let mut merged = Media::default();
        merged.merge(&media);
        assert_eq!(merged, media);
        assert_eq!(merged.to(path(1, 5000).destination).count(), 1);
        let text = serde_json::to_string(&media).unwrap();
        assert_eq!(serde_json::from_str::<Media>(&text).unwrap(), media);
    }
}
