//! One direction of a TCP connection, put in order.
//!
//! Knows sequence numbers (RFC 9293 §3.4). Is given segments as they were captured; gives their bytes in order, each
//! byte once and the first copy of it, and says where bytes are missing. Deliberately does not know what they mean.

use std::num::NonZeroU64;
use std::time::Duration;

use crate::capture::Place;
use crate::capture::Timestamp;
use crate::net::Connection;
use crate::net::ConnectionEvent;
use crate::net::Datagram;
use crate::net::Delivery;
use crate::net::Mirror;
use crate::net::Path;
use crate::net::Segment;
use crate::net::Sink;
use crate::net::StreamId;
use crate::net::bytes::Rest;
use crate::net::bytes::to_u32;
use crate::net::content::Content;
use crate::net::content::Marks;
use crate::net::content::begins_nothing;
use crate::net::kept::Kept;
use crate::net::pieces::Pieces;
use crate::net::start_line;
use crate::oddity::Oddity;

/// Bytes behind a hole after which it is taken for a loss of the capture.
const HOLD_BYTES: usize = 256 << 10;
/// Pieces behind a hole after which it is taken for a loss of the capture.
const HOLD_PIECES: usize = 1024;
/// How long a hole may stay when nothing is known of the receiver.
const PATIENCE: Duration = Duration::from_secs(3);
/// How long it may stay when the receiver waits for it too: TCP repeats until it gives up, about a minute later.
const PATIENCE_WITH_RECEIVER: Duration = Duration::from_secs(60);
/// Bytes that are held of a stream whose beginning was not seen, until one of them begins something.
const HOLD_BEGINNING: usize = 64 << 10;
/// How long a hole stays although its receiver has what is missing: packets that two queues or two taps captured stand
/// a little out of order.
const OUT_OF_ORDER: Duration = Duration::from_millis(10);
/// Farther from what is expected than this, a sequence number belongs to another connection. No window is larger in
/// practice.
const WINDOW: u64 = 1 << 24;
/// Added to sequence numbers, so that positions before the first one are none below zero.
const BASE: u64 = 1 << 32;
/// A segment that comes again so soon is a second copy in the capture, unless another IP packet brings it.
const COPY: Duration = Duration::from_millis(10);

/// One direction of a connection. There may be tens of thousands, most of them with little to remember: what is seldom
/// there stands elsewhere.
#[derive(Debug)]
pub(super) struct Stream {
    /// Its number.
    pub id: StreamId,
    /// True once its FIN was told.
    pub finished: Told,
    /// The sequence number of its SYN, if that was seen.
    first: Option<u32>,
    /// Position of the next byte to deliver.
    next: Option<NonZeroU64>,
    /// Position up to which the receiver has everything.
    acknowledged: Option<NonZeroU64>,
    held: Option<Box<Pieces>>,
    gap: u32,
    begun: Begun,
    /// Where the first bytes stood that were handed on, if the beginning was not seen.
    origin: Option<NonZeroU64>,
    content: Content,
    newest: Option<Newest>,
    /// Where bytes begin that were repeated and are not acknowledged.
    repeated: Option<NonZeroU64>,
    /// A FIN that came before bytes that stand before it.
    fin: Option<Box<Fin>>,
}

/// The end of what a side sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Fin {
    at: u64,
    place: Place,
}

/// The last segment with new bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Newest {
    at: NonZeroU64,
    length: u32,
    time: Timestamp,
    ip_id: Option<u16>,
}

/// Whether something was told already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Told {
    /// No.
    NotYet,
    /// Yes.
    Already,
}

/// How the next segment begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Begun {
    /// With the connection, or where the last one ended.
    InOrder,
    /// In mid-stream.
    Midstream,
    /// In mid-stream, with bytes that begin nothing: those before them may follow.
    Unsettled,
}

/// What a stream works with while it looks at one frame.
pub(super) struct Line<'l, 's> {
    /// From whom to whom.
    pub path: Path,
    /// The frame.
    pub place: Place,
    /// Its IPv4 identification, if it is not 0.
    pub ip_id: Option<u16>,
    /// What is kept beside the connections.
    pub kept: &'l mut Kept,
    /// What is known of the connection.
    pub marks: &'l mut Marks,
    /// Where everything goes.
    pub sink: &'l mut Sink<'s>,
}

impl Stream {
    /// A direction of which nothing was seen.
    pub(super) fn new(id: StreamId) -> Stream {
        Stream {
            id,
            finished: Told::NotYet,
            first: None,
            next: None,
            acknowledged: None,
            held: None,
            gap: 0,
            begun: Begun::InOrder,
            origin: None,
            content: Content::default(),
            newest: None,
            repeated: None,
            fin: None,
        }
    }

    /// Whether a SYN with this sequence number belongs to this stream.
    pub(super) fn may_begin(&self, sequence: u32) -> bool {
        match (self.first, self.next()) {
            (Some(first), _) => first == sequence,
            (None, Some(next)) => sequence_of(next) == sequence.wrapping_add(1),
            (None, None) => true,
        }
    }

    /// Whether bytes with this sequence number can belong to this stream.
    pub(super) fn may_continue(&self, sequence: u32) -> bool {
        match (self.next(), self.position(sequence)) {
            (Some(next), Some(position)) => next.abs_diff(position) < WINDOW,
            _ => true,
        }
    }

    /// A SYN: what follows its sequence number is the first byte.
    pub(super) fn begin(&mut self, sequence: u32) {
        self.first = Some(sequence);
        self.expect(sequence.wrapping_add(1));
    }

    /// The other side waits for this sequence number, so it is the first byte if none was seen before.
    pub(super) fn expect(&mut self, sequence: u32) {
        if self.next.is_none() {
            self.next = NonZeroU64::new(BASE.saturating_add(u64::from(sequence)));
        }
    }

    /// Whether a SYN was seen.
    pub(super) fn has_begun(&self) -> bool {
        self.first.is_some()
    }

    /// Whether bytes were handed on, or passed over.
    pub(super) fn has_carried(&self) -> bool {
        self.next().is_some_and(|next| self.first.is_none_or(|first| sequence_of(next) != first.wrapping_add(1)))
    }

    /// Whether bytes are held.
    pub(super) fn is_holding(&self) -> bool {
        self.held.as_ref().is_some_and(|held| !held.is_empty())
    }

    /// Whether bytes are held, or the end waits for bytes before it.
    pub(super) fn is_waiting(&self) -> bool {
        self.is_holding() || self.fin.is_some()
    }

    /// Bytes of memory held.
    pub(super) fn weight(&self) -> usize {
        let fin = if self.fin.is_some() { size_of::<Fin>() } else { 0 };
        self.held.as_ref().map_or(0, |held| held.weight()).saturating_add(self.content.weight()).saturating_add(fin)
    }

    /// A FIN, behind which nothing comes. It is told when everything before it is there.
    pub(super) fn end(&mut self, sequence: u32, line: &mut Line<'_, '_>) {
        if self.finished == Told::Already || self.fin.is_some() {
            return;
        }
        match (self.next(), self.position(sequence)) {
            (Some(next), Some(at)) if at > next && at.abs_diff(next) < WINDOW && !self.content.is_passed() => {
                self.fin = Some(Box::new(Fin { at, place: line.place }));
            }
            _ => self.tell_end(line.place, line),
        }
    }

    /// Tells a FIN for which nothing is missing any more, or will not come.
    pub(super) fn end_if_all_is_there(&mut self, line: &mut Line<'_, '_>) {
        let Some(fin) = self.fin.as_deref().copied() else { return };
        let up_to = self.next().max(self.acknowledged.map(NonZeroU64::get));
        if up_to >= Some(fin.at) && !self.is_holding() || line.place.time.since(fin.place.time) > PATIENCE_WITH_RECEIVER
        {
            self.tell_end(line.place, line);
        }
    }

    fn tell_end(&mut self, place: Place, line: &mut Line<'_, '_>) {
        self.fin = None;
        self.finished = Told::Already;
        let (path, what) = (line.path, ConnectionEvent::Fin);
        line.sink.deliver(Delivery::Connection(Connection { place, path, stream: self.id, what }));
    }

    /// Bytes arrive.
    pub(super) fn receive(&mut self, sequence: u32, rest: Rest<'_>, line: &mut Line<'_, '_>) {
        if self.next.is_none() {
            // One byte before everything else is the probe of a connection that is idle, unless a start line may begin
            // with it.
            if rest.on_wire() <= 1 && !rest.bytes.first().is_some_and(u8::is_ascii_uppercase) {
                return;
            }
            self.begun = if begins_nothing(rest.bytes) { Begun::Unsettled } else { Begun::Midstream };
            self.expect(sequence);
        }
        let (Some(next), Some(at)) = (self.next(), self.position(sequence)) else { return };
        let end = at.saturating_add(rest.on_wire() as u64);
        if self.content.is_passed() {
            return self.pass(at, end, rest, line);
        }
        if self.begun == Begun::Unsettled {
            return self.gather(at, rest, line);
        }
        if at < next {
            self.compare(at, next, rest, line);
        }
        if let Some(origin) = self.origin.filter(|origin| at < origin.get()) {
            self.take_earlier(at, origin, rest, line);
        } else if end <= next {
            self.note_copy(at, end, line);
        }
        if end <= next {
            return;
        }
        self.note_newest(at, rest, line);
        let known = usize::try_from(next.saturating_sub(at)).unwrap_or(usize::MAX);
        let new = behind(rest, known);
        if !self.is_holding() && at <= next {
            return self.emit(new, line.place, line);
        }
        self.hold(at.max(next), new, line);
        self.drain(Some(line.place), line);
        self.release(line);
    }

    /// Bytes arrive, and none before them began anything: they wait for the beginning.
    fn gather(&mut self, at: u64, rest: Rest<'_>, line: &mut Line<'_, '_>) {
        self.note_newest(at, rest, line);
        self.hold(at, rest, line);
        self.next = self.next.min(NonZeroU64::new(at));
        if !begins_nothing(rest.bytes) {
            self.drain(Some(line.place), line);
        }
        self.release(line);
    }

    fn hold(&mut self, at: u64, rest: Rest<'_>, line: &mut Line<'_, '_>) {
        let overlap = self.held.get_or_insert_default().insert(at, rest, line.place);
        if overlap.different > 0 && self.content.matters() {
            line.sink.note(Oddity::StreamConflict { bytes: overlap.different }, line.place);
        }
    }

    fn note_newest(&mut self, at: u64, rest: Rest<'_>, line: &Line<'_, '_>) {
        let (length, time, ip_id) = (to_u32(rest.on_wire()), line.place.time, line.ip_id);
        self.newest = NonZeroU64::new(at).map(|at| Newest { at, length, time, ip_id });
    }

    /// Bytes from before the first that the capture shows of a stream. Those after them were handed on, so that they
    /// can only be told for themselves.
    fn take_earlier(&mut self, at: u64, origin: NonZeroU64, rest: Rest<'_>, line: &mut Line<'_, '_>) {
        let length = usize::try_from(origin.get().saturating_sub(at)).unwrap_or(usize::MAX);
        let Rest { bytes, missing: cut } = rest.limit(length);
        self.origin = NonZeroU64::new(at);
        if !self.content.matters() || bytes.is_empty() {
            return;
        }
        if !start_line::begins(bytes) {
            return line.sink.note(Oddity::StreamBytesLate { bytes: to_u32(bytes.len()) }, line.place);
        }
        let (place, path, ip_id) = (line.place, line.path, line.ip_id);
        let mirrored = Mirror::Wire;
        let (hop_limit, checksum) = (0, None);
        let datagram = Datagram { place, path, bytes, cut, ip_id, hop_limit, mirrored, checksum };
        line.sink.deliver(Delivery::Datagram(datagram));
    }

    /// Bytes once more. The newest segment, within [`COPY`] and in no other IP packet: the capture has it twice. Anything
    /// else that the receiver has not acknowledged: its sender repeats it.
    fn note_copy(&mut self, at: u64, end: u64, line: &mut Line<'_, '_>) {
        if !self.content.matters() {
            return;
        }
        let is_another = |newest: Newest| newest.ip_id.zip(line.ip_id).is_some_and(|(known, own)| known != own);
        let is_newest = |newest: Newest| {
            (newest.at.get(), u64::from(newest.length)) == (at, end.saturating_sub(at))
                && line.place.time.since(newest.time) <= COPY
                && newest.time <= line.place.time
                && !is_another(newest)
        };
        if self.newest.is_some_and(is_newest) {
            return line.sink.note(Oddity::DuplicatePacket, line.place);
        }
        // One byte may be the probe of an idle connection.
        if self.acknowledged.is_none_or(|known| known.get() <= at) && end > at.saturating_add(1) {
            self.repeated = NonZeroU64::new(at);
            self.tell(ConnectionEvent::Repeated, line);
        }
    }

    fn tell(&self, what: ConnectionEvent, line: &mut Line<'_, '_>) {
        let (place, path) = (line.place, line.path);
        line.sink.deliver(Delivery::Connection(Connection { place, path, stream: self.id, what }));
    }

    /// The receiver has everything before this sequence number. A hole before it was lost by the capture alone.
    pub(super) fn acknowledge(&mut self, sequence: u32, line: &mut Line<'_, '_>) {
        let Some(position) = self.position(sequence) else { return };
        if self.next().is_some_and(|next| next.abs_diff(position) < WINDOW) {
            let is_new = NonZeroU64::new(position) > self.acknowledged;
            self.acknowledged = self.acknowledged.max(NonZeroU64::new(position));
            // Before the first bytes it is the SYN that is acknowledged.
            if is_new && self.newest.is_some() && !self.content.is_passed() {
                self.tell(ConnectionEvent::Received, line);
            }
        }
        if self.repeated.is_some_and(|at| at.get() < position) {
            self.repeated = None;
            self.tell(ConnectionEvent::Acknowledged, line);
        }
        self.release(line);
    }

    /// Hands on what waits behind holes that will not be filled any more.
    pub(super) fn release(&mut self, line: &mut Line<'_, '_>) {
        self.release_after(OUT_OF_ORDER, line);
    }

    /// The same before the receiver's next bytes, which may answer what waits.
    pub(super) fn release_before_answer(&mut self, line: &mut Line<'_, '_>) {
        self.release_after(Duration::ZERO, line);
    }

    fn release_after(&mut self, patience: Duration, line: &mut Line<'_, '_>) {
        while self.gives_up(line.place.time, patience) {
            self.skip_hole(line);
        }
        self.end_if_all_is_there(line);
    }

    /// Hands on everything that is held, and forgets what was begun.
    pub(super) fn flush(&mut self, line: &mut Line<'_, '_>) {
        while self.is_holding() {
            self.skip_hole(line);
        }
        if let Some(fin) = self.fin.as_deref().copied() {
            self.tell_end(fin.place, line);
        }
        self.content.forget();
        line.marks.forget(self.id);
    }

    /// Whether what is missing before the first piece that is held will not come any more; `patience` for what its
    /// receiver has.
    fn gives_up(&self, now: Timestamp, patience: Duration) -> bool {
        let Some(held) = &self.held else { return false };
        let Some(first) = held.first() else { return false };
        let most = if self.begun == Begun::Unsettled { HOLD_BEGINNING } else { HOLD_BYTES };
        if held.weight() > most || held.len() > HOLD_PIECES {
            return true;
        }
        let acknowledged = self.acknowledged.map(NonZeroU64::get);
        let waited = now.since(first.place.time);
        if acknowledged >= Some(first.at) {
            return waited >= patience;
        }
        let receiver_waits = acknowledged.is_some() && acknowledged >= self.next();
        waited > if receiver_waits { PATIENCE_WITH_RECEIVER } else { PATIENCE }
    }

    fn skip_hole(&mut self, line: &mut Line<'_, '_>) {
        let first = self.held.as_ref().and_then(|held| held.first());
        let (Some(next), Some(first)) = (self.next(), first) else { return };
        self.gap = self.gap.saturating_add(u32::try_from(first.at.saturating_sub(next)).unwrap_or(u32::MAX));
        self.next = NonZeroU64::new(first.at);
        line.kept.tails.forget(self.id);
        self.drain(None, line);
    }

    /// Hands on what is held up to the next hole. Its place is the frame that filled the hole before it, if one did.
    fn drain(&mut self, filled: Option<Place>, line: &mut Line<'_, '_>) {
        let mut place = filled.unwrap_or_default();
        while let Some(piece) = self.next().and_then(|next| self.held.as_mut()?.take_first_until(next)) {
            place = place.max(piece.place);
            self.emit(Rest { bytes: &piece.bytes, missing: piece.missing }, place, line);
        }
        if !self.is_holding() {
            self.held = None;
        }
    }

    fn emit(&mut self, rest: Rest<'_>, place: Place, line: &mut Line<'_, '_>) {
        let at = self.next;
        self.next = self.next.map(|next| next.saturating_add(rest.on_wire() as u64));
        if !rest.bytes.is_empty() {
            let midstream = std::mem::replace(&mut self.begun, Begun::InOrder) != Begun::InOrder;
            if midstream {
                self.origin = at;
            }
            let gap = std::mem::take(&mut self.gap);
            let segment = Segment { place, path: line.path, stream: self.id, gap, midstream, bytes: rest.bytes };
            self.content.take(segment, line.marks, &mut line.kept.keys, line.sink);
            if self.content.matters() {
                line.kept.tails.append(self.id, rest.bytes);
            }
        }
        if rest.missing > 0 {
            self.gap = self.gap.saturating_add(rest.missing);
            line.kept.tails.forget(self.id);
            self.end_cut_message(place, line);
        }
    }

    /// What the snap length took from a segment does not come any more: a message that waits for it is handed on now,
    /// before what answers it.
    fn end_cut_message(&mut self, place: Place, line: &mut Line<'_, '_>) {
        if matches!(self.content, Content::Sip(_)) {
            let gap = std::mem::take(&mut self.gap);
            let segment = Segment { place, path: line.path, stream: self.id, gap, midstream: false, bytes: &[] };
            self.content.take(segment, line.marks, &mut line.kept.keys, line.sink);
        }
    }

    /// A stream that carried nothing of ours for long: each segment is looked at for itself, nothing is held.
    fn pass(&mut self, at: u64, end: u64, rest: Rest<'_>, line: &mut Line<'_, '_>) {
        if self.next().is_some_and(|next| at < next) {
            return;
        }
        self.next = NonZeroU64::new(end);
        let segment =
            Segment { place: line.place, path: line.path, stream: self.id, gap: 0, midstream: true, bytes: rest.bytes };
        self.content.take(segment, line.marks, &mut line.kept.keys, line.sink);
        self.gap = rest.missing;
    }

    /// Compares a repetition with what was delivered.
    fn compare(&self, at: u64, next: u64, rest: Rest<'_>, line: &mut Line<'_, '_>) {
        // The byte of a keep-alive probe may be anything (RFC 9293 §3.8.4).
        let is_probe = rest.on_wire() <= 1 && at.saturating_add(1) == next;
        if is_probe || !self.content.matters() {
            return;
        }
        let bytes = line.kept.tails.different(self.id, at, next, rest.bytes);
        if bytes > 0 {
            line.sink.note(Oddity::StreamConflict { bytes }, line.place);
        }
    }

    fn next(&self) -> Option<u64> {
        self.next.map(NonZeroU64::get)
    }

    fn position(&self, sequence: u32) -> Option<u64> {
        let next = self.next()?;
        let distance = sequence.wrapping_sub(sequence_of(next)).cast_signed();
        next.checked_add_signed(i64::from(distance))
    }
}

/// The sequence number at a position.
fn sequence_of(position: u64) -> u32 {
    u32::try_from(position & u64::from(u32::MAX)).unwrap_or(0)
}

/// Without the first `count` bytes, of which some may not have been captured.
fn behind(rest: Rest<'_>, count: usize) -> Rest<'_> {
    match rest.skip(count) {
        Some(rest) => rest,
        None => Rest { bytes: &[], missing: to_u32(rest.on_wire().saturating_sub(count)) },
    }
}
