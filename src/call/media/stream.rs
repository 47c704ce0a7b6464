//! One RTP stream: what is counted of it while its packets pass (RFC 3550 §6.4, Appendix A).

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::capture::Place;
use crate::net::{Path, Rtp, TelephoneEvent};

/// RTP of one source on one path. What each packet touches comes first, so that it lies together in memory.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[repr(C)]
pub struct Stream {
    /// From whom to whom.
    pub path: Path,
    /// The synchronisation source (SSRC).
    pub source: u32,
    /// The time stamp of the last packet that was not late.
    time: u32,
    /// The first sequence number since the last jump, and the highest, counted on over their end.
    base: u32,
    highest: u32,
    /// Nanoseconds of a tick of the time stamp; 0 as long as it is not known.
    tick: u32,
    /// The payload type of the last packet, and its place among `types`.
    kind: u8,
    current: u8,
    /// Packets of this type that are not yet counted in `types`.
    run: u64,
    /// Packets, copies included.
    pub packets: u64,
    /// The jitter, in nanoseconds, times sixteen (RFC 3550 §A.8).
    jitter: u64,
    /// When the last packet came that was not late, in nanoseconds.
    arrived: i64,
    /// The last packet.
    pub last: Place,
    /// Sequence numbers that were expected before the last jump.
    expected_before: u64,
    /// Packets that came twice.
    copies: u64,
    /// The first packet.
    pub first: Place,
    /// The payload types that were seen, in order, at most [`Stream::MOST_TYPES`], without the run at hand.
    types: Vec<TypeSeen>,
    /// The largest gap in the sequence numbers.
    pub gap: Option<Gap>,
    /// The longest silence, and the packet that ended it.
    pub silence: Option<(Duration, Place)>,
    /// What has the size of telephone events, at most [`Stream::MOST_KEYS`].
    pub keys: Vec<Keypress>,
}

/// A payload type in a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct TypeSeen {
    /// The payload type.
    pub kind: u8,
    /// Its packets.
    pub packets: u64,
    /// The first packet of it.
    pub first: Place,
    /// The last packet of it.
    pub last: Place,
}

/// A gap in the sequence numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gap {
    /// The number before it.
    pub before: u16,
    /// The number behind it.
    pub after: u16,
    /// The packet before it.
    pub from: Place,
    /// The packet behind it.
    pub place: Place,
    /// Packets that are missing.
    pub missing: u32,
}

/// What may be a telephone event (RFC 4733): the packets with one time stamp.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Keypress {
    /// The payload type.
    pub kind: u8,
    /// Its time stamp.
    pub time: u32,
    /// Which event.
    pub event: u8,
    /// Its packets.
    pub packets: u32,
    /// Packets with the end bit.
    pub ends: u32,
    /// The duration in its last packet, in ticks.
    pub duration: u16,
    /// True if the duration never went back.
    pub rises: bool,
    /// The first packet.
    pub first: Place,
    /// The last packet.
    pub last: Place,
}

/// A jump of sequence numbers this large is a new beginning (RFC 3550 §A.1). What is less far behind is late, or was
/// captured a second time by a clock that is behind.
const JUMP: u16 = 3000;
/// What is a silence, in nanoseconds.
const SILENCE: i64 = 1_000_000_000;
/// What differs by more from when it should have come is a pause, or a step of a clock, and no jitter; in nanoseconds.
const NO_JITTER: u64 = 1_000_000_000;
/// Clocks of codecs, in Hz.
const CLOCKS: [u32; 6] = [8000, 16_000, 32_000, 44_100, 48_000, 90_000];

impl Stream {
    /// Payload types that are told apart.
    pub const MOST_TYPES: usize = 8;
    /// Events that are kept.
    pub const MOST_KEYS: usize = 32;
    /// Packets that make a stream: anything may look like one packet of RTP.
    const ENOUGH: u64 = 3;

    pub(super) fn begin(rtp: &Rtp, path: Path, place: Place) -> Stream {
        let seen = TypeSeen { kind: rtp.kind, packets: 0, first: place, last: place };
        let mut stream = Stream {
            path,
            source: rtp.source,
            kind: rtp.kind,
            run: 1,
            packets: 1,
            arrived: place.time.0,
            last: place,
            expected_before: 0,
            base: u32::from(rtp.sequence),
            highest: u32::from(rtp.sequence),
            copies: 0,
            time: rtp.time,
            jitter: 0,
            tick: 0,
            current: 0,
            first: place,
            types: vec![seen],
            gap: None,
            silence: None,
            keys: Vec::new(),
        };
        if let Some(event) = rtp.event {
            stream.note_event(rtp, event, place);
        }
        stream
    }

    /// Counts the next packet. Nearly every one follows the one before, and is of its type.
    #[inline(always)]
    pub(super) fn count(&mut self, rtp: &Rtp, place: Place) {
        let ahead = rtp.sequence.wrapping_sub(self.highest as u16);
        let waited = place.time.0.saturating_sub(self.last.time.0);
        if ahead != 1 || waited > SILENCE || rtp.kind != self.kind || rtp.event.is_some() {
            return self.count_unusual(rtp, place);
        }
        self.packets = self.packets.saturating_add(1);
        self.run = self.run.saturating_add(1);
        self.highest = self.highest.wrapping_add(1);
        self.note_jitter(rtp, place.time.0.saturating_sub(self.arrived));
        self.time = rtp.time;
        self.arrived = place.time.0;
        self.last = place;
    }

    #[inline(never)]
    fn count_unusual(&mut self, rtp: &Rtp, place: Place) {
        self.packets = self.packets.saturating_add(1);
        let waited = place.time.0.saturating_sub(self.last.time.0);
        let ahead = rtp.sequence.wrapping_sub(self.highest as u16);
        let is_late = ahead == 0 || ahead.wrapping_neg() <= JUMP;
        match ahead {
            1 => {
                self.highest = self.highest.wrapping_add(1);
                self.note_jitter(rtp, place.time.0.saturating_sub(self.arrived));
            }
            0 => self.copies = self.copies.saturating_add(1),
            2..=JUMP => self.note_gap(rtp, ahead, place),
            _ if is_late => {}
            _ => self.begin_anew(rtp),
        }
        if waited > SILENCE {
            self.note_silence(waited, place);
        }
        if rtp.kind != self.kind {
            self.change_type(rtp.kind, place);
        }
        self.run = self.run.saturating_add(u64::from(ahead != 0));
        self.last = place;
        if !is_late {
            self.time = rtp.time;
            self.arrived = place.time.0;
        }
        // A copy of the last packet is no further packet of the event.
        if let Some(event) = rtp.event.filter(|_| ahead != 0) {
            self.note_event(rtp, event, place);
        }
    }

    /// True if it is a stream, and not something that looks like a packet of one.
    pub fn is_sound(&self) -> bool {
        self.packets >= Stream::ENOUGH && self.expected() <= self.packets.saturating_mul(20)
    }

    /// Packets without the copies that a tap may add.
    pub fn different(&self) -> u64 {
        self.packets.saturating_sub(self.copies)
    }

    /// Packets that its sequence numbers let expect.
    pub fn expected(&self) -> u64 {
        self.expected_before.saturating_add(u64::from(self.highest.wrapping_sub(self.base)).saturating_add(1))
    }

    /// Packets that are missing in the capture.
    pub fn lost(&self) -> u64 {
        self.expected().saturating_sub(self.different())
    }

    /// The payload types that were seen, in order, at most [`Stream::MOST_TYPES`].
    pub fn types(&self) -> Vec<TypeSeen> {
        let mut types = self.types.clone();
        if let Some(seen) = types.get_mut(usize::from(self.current)) {
            seen.packets = seen.packets.saturating_add(self.run);
            seen.last = self.last;
        }
        types
    }

    /// The jitter (RFC 3550 §6.4.1), as a time.
    pub fn jitter(&self) -> Duration {
        Duration::from_nanos(self.jitter / 16)
    }

    /// How long it lasted.
    pub fn length(&self) -> Duration {
        self.last.time.since(self.first.time)
    }

    /// It is heard again after another source on its path; these packets are no silence of it.
    pub(super) fn go_on(&mut self, next: &Stream) {
        self.expected_before = self.expected();
        self.base = next.base;
        self.highest = next.highest;
        self.packets = self.packets.saturating_add(1);
        if next.kind != self.kind {
            self.change_type(next.kind, next.first);
        }
        self.run = self.run.saturating_add(1);
        self.last = next.last;
        self.time = next.time;
        self.arrived = next.arrived;
    }

    fn begin_anew(&mut self, rtp: &Rtp) {
        self.expected_before = self.expected();
        self.base = u32::from(rtp.sequence);
        self.highest = self.base;
    }

    #[inline]
    fn note_jitter(&mut self, rtp: &Rtp, waited: i64) {
        let ticks = rtp.time.wrapping_sub(self.time);
        if rtp.marked || ticks == 0 || ticks > 100_000 {
            return;
        }
        if self.tick == 0 {
            self.tick = tick(rtp.kind, ticks, waited);
        }
        let wanted = i64::from(ticks).saturating_mul(i64::from(self.tick));
        let difference = waited.saturating_sub(wanted).unsigned_abs();
        if difference > NO_JITTER {
            return;
        }
        self.jitter = self.jitter.saturating_add(difference).saturating_sub(self.jitter / 16);
    }

    fn note_gap(&mut self, rtp: &Rtp, ahead: u16, place: Place) {
        let before = self.highest as u16;
        self.highest = self.highest.wrapping_add(u32::from(ahead));
        let missing = u32::from(ahead).saturating_sub(1);
        if self.gap.is_none_or(|known| known.missing < missing) {
            self.gap = Some(Gap { before, after: rtp.sequence, from: self.last, place, missing });
        }
    }

    fn note_silence(&mut self, waited: i64, place: Place) {
        let waited = Duration::from_nanos(u64::try_from(waited).unwrap_or(0));
        if self.silence.is_none_or(|(longest, _)| longest < waited) {
            self.silence = Some((waited, place));
        }
    }

    /// Packets of another type begin: those before are counted.
    fn change_type(&mut self, kind: u8, place: Place) {
        self.settle();
        self.kind = kind;
        let known = self.types.iter().position(|seen| seen.kind == kind);
        let at = match known {
            Some(at) => at,
            None if self.types.len() >= Stream::MOST_TYPES => {
                self.current = u8::MAX;
                return;
            }
            None => {
                self.types.push(TypeSeen { kind, packets: 0, first: place, last: place });
                self.types.len().saturating_sub(1)
            }
        };
        self.current = u8::try_from(at).unwrap_or(0);
    }

    fn settle(&mut self) {
        if let Some(seen) = self.types.get_mut(usize::from(self.current)) {
            seen.packets = seen.packets.saturating_add(self.run);
            seen.last = self.last;
        }
        self.run = 0;
    }

    fn note_event(&mut self, rtp: &Rtp, event: TelephoneEvent, place: Place) {
        let known = self.keys.iter_mut().rev().find(|key| (key.kind, key.time) == (rtp.kind, rtp.time));
        if let Some(key) = known {
            key.packets = key.packets.saturating_add(1);
            key.ends = key.ends.saturating_add(u32::from(event.ends));
            key.rises &= event.duration >= key.duration;
            key.duration = event.duration;
            key.last = place;
            return;
        }
        if self.keys.len() < Stream::MOST_KEYS {
            self.keys.push(Keypress {
                kind: rtp.kind,
                time: rtp.time,
                event: event.event,
                packets: 1,
                ends: u32::from(event.ends),
                duration: event.duration,
                rises: true,
                first: place,
                last: place,
            });
        }
    }
}

/// Nanoseconds of a tick: of a static payload type by RFC 3551 §6, of others the clock that fits best.
fn tick(kind: u8, ticks: u32, waited: i64) -> u32 {
    const SECOND: u32 = 1_000_000_000;
    match kind {
        0..=23 => SECOND / 8000,
        24..=34 => SECOND / 90_000,
        _ => {
            let off = |clock: &u32| {
                let wanted = i64::from(ticks).saturating_mul(i64::from(SECOND)) / i64::from(*clock);
                wanted.saturating_sub(waited).unsigned_abs()
            };
            SECOND / CLOCKS.into_iter().min_by_key(off).unwrap_or(8000)
        }
    }
}
