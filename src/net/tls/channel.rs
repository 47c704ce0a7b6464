//! A TLS connection, both directions of it.
//!
//! Knows when records begin to be protected. Is given the bytes of both directions; hands on what is inside of them,
//! and tells alerts. Where something cannot be read it says why, once for each connection. Deliberately does not know
//! ciphers.

use crate::capture::Place;
use crate::net::Connection;
use crate::net::ConnectionEvent;
use crate::net::Delivery;
use crate::net::Path;
use crate::net::Segment;
use crate::net::Sink;
use crate::net::StreamId;
use crate::net::Transport;
use crate::net::connection::Sender;
use crate::net::tls::agreed::Agreed;
use crate::net::tls::agreed::Role;
use crate::net::tls::certificate;
use crate::net::tls::hello;
use crate::net::tls::hello::message;
use crate::net::tls::keylog::KeyLog;
use crate::net::tls::opener::Opened;
use crate::net::tls::opener::Sealed;
use crate::net::tls::records::Next;
use crate::net::tls::records::Wish;
use crate::net::tls::records::kind;
use crate::net::tls::records::may_begin;
use crate::net::tls::seen::Alert;
use crate::net::tls::seen::Ended;
use crate::net::tls::seen::TlsConnection;
use crate::net::tls::side::Guard;
use crate::net::tls::side::Side;
use crate::net::tls::side::Waiting;
use crate::oddity::Oddity;
use crate::oddity::Unread;

/// Bytes of records that wait for what the other side says.
const MOST_WAITING: usize = 32 << 10;

/// A TLS connection.
#[derive(Debug)]
pub(in crate::net) struct Channel {
    low: Side,
    high: Side,
    shared: Shared,
}

/// What belongs to both directions.
#[derive(Debug)]
struct Shared {
    agreed: Agreed,
    seen: TlsConnection,
    /// The path from the low end to the high one, within TLS.
    inner: Path,
    /// The number of the direction from the low end.
    stream: u64,
    /// A hello may still come: the beginning of the connection was captured.
    may_begin: bool,
}

/// Where a record stands, and where what comes out of it goes.
struct Work<'w, 's> {
    place: Place,
    keys: &'w mut KeyLog,
    sink: &'w mut Sink<'s>,
}

impl Channel {
    /// A connection that begins with this segment.
    pub(in crate::net) fn new(segment: &Segment<'_>) -> Channel {
        let Segment { path, place, stream, midstream, .. } = *segment;
        let (low, to_server) = match Sender::of(stream) {
            Sender::Low => (path, path),
            Sender::High => (path.reversed(), path),
        };
        let to_server =
            if to_server.source.port() < to_server.destination.port() { to_server.reversed() } else { to_server };
        let seen = TlsConnection {
            path: to_server,
            place,
            hello_place: None,
            server_name: None,
            offered_versions: Vec::new(),
            offered_suites: Vec::new(),
            version: None,
            suite: None,
            certificate: None,
            certificate_place: None,
            wants_client_certificate: false,
            client_went_on: false,
            alerts: Vec::new(),
            records: 0,
            unread: None,
            answered_in_clear: None,
            ended: None,
        };
        let inner = Path { transport: Transport::Tls, ..low };
        let shared = Shared { agreed: Agreed::default(), seen, inner, stream: stream.0 & !1, may_begin: !midstream };
        Channel { low: Side::default(), high: Side::default(), shared }
    }

    /// Bytes of memory held.
    pub(in crate::net) fn weight(&self) -> usize {
        self.low.weight().saturating_add(self.high.weight())
    }

    /// Takes the next bytes of a direction.
    pub(in crate::net) fn take(&mut self, segment: Segment<'_>, keys: &mut KeyLog, sink: &mut Sink<'_>) {
        let sender = Sender::of(segment.stream);
        let Channel { low, high, shared } = self;
        let side = if sender == Sender::Low { &mut *low } else { &mut *high };
        let mut work = Work { place: segment.place, keys, sink };
        if segment.gap > 0 {
            side.lose(segment.gap);
        }
        // Without the header before it, only the start of a segment can be the start of a record.
        if side.has_lost && side.records.weight() == 0 && segment.gap > 0 && !may_begin(segment.bytes) {
            return;
        }
        let mut bytes = segment.bytes;
        loop {
            let wish = if matches!(side.guard, Guard::Shut) { Wish::Count } else { Wish::Whole };
            match side.records.next(&mut bytes, wish) {
                Next::More => break,
                Next::NoRecord => {
                    side.lose(0);
                    break;
                }
                Next::Counted(header) => shared.count(header.kind),
                Next::Whole(header, body) => {
                    shared.count(header.kind);
                    let record = Sealed { kind: header.kind, version: header.version, body: &body };
                    shared.record(side, sender, record, &mut work);
                }
            }
        }
        shared.go_on(low, high, &mut work);
    }

    /// Forgets what was begun and not finished in a direction.
    pub(in crate::net) fn forget(&mut self, stream: StreamId) {
        let side = if Sender::of(stream) == Sender::Low { &mut self.low } else { &mut self.high };
        side.forget();
    }

    /// Notes SIP in clear from one of the two.
    pub(in crate::net) fn hear_clear(&mut self, path: Path, place: Place) {
        let seen = &mut self.shared.seen;
        if path.source == seen.path.destination {
            seen.answered_in_clear.get_or_insert(place);
        }
    }

    /// Notes who ended the connection first.
    pub(in crate::net) fn hear_end(&mut self, ended: Ended) {
        self.shared.seen.ended.get_or_insert(ended);
    }

    /// The connection has ended, or is forgotten.
    pub(in crate::net) fn end(&mut self, keys: &mut KeyLog, sink: &mut Sink<'_>) {
        let Channel { low, high, shared } = self;
        for side in [low, high] {
            let why = shared.why_not(side);
            if let Some(place) = side.waited {
                shared.shut(side, why, &mut Work { place, keys, sink });
            } else if side.opened_nothing() {
                shared.shut(side, Unread::Damaged, &mut Work { place: shared.seen.place, keys, sink });
            }
            side.content.forget();
        }
        sink.deliver(Delivery::Tls(&shared.seen));
    }
}

impl Shared {
    fn count(&mut self, kind: u8) {
        if kind == kind::APPLICATION {
            self.seen.records = self.seen.records.saturating_add(1);
        }
    }

    /// Takes the records that waited, once they can be told apart.
    fn go_on(&mut self, low: &mut Side, high: &mut Side, work: &mut Work<'_, '_>) {
        let now = work.place;
        // What one direction says may be what the other has waited for, and the other way round.
        for _ in 0..2 {
            for (side, sender) in [(&mut *low, Sender::Low), (&mut *high, Sender::High)] {
                if side.waiting.is_empty() || !self.agreed.is_complete() {
                    continue;
                }
                side.waited = None;
                for Waiting { place, kind, version, body } in std::mem::take(&mut side.waiting) {
                    work.place = place;
                    self.record(side, sender, Sealed { kind, version, body: &body }, work);
                }
            }
        }
        work.place = now;
    }

    /// Takes one record.
    fn record(&mut self, side: &mut Side, sender: Sender, record: Sealed<'_>, work: &mut Work<'_, '_>) {
        if self.must_wait(side, record.kind) {
            return self.wait(side, record, work);
        }
        match (&side.guard, record.kind) {
            // Encrypted ones are longer.
            (Guard::Clear | Guard::Staged(_) | Guard::Shut, kind::ALERT) if record.body.len() == 2 => {
                self.alert(sender, record.body, work);
            }
            (Guard::Shut, _) => {}
            (Guard::Staged(_), kind::APPLICATION) => self.open(side, sender, record, work),
            (Guard::Staged(_), _) => {}
            (Guard::Keyed(_), kind::CHANGE_CIPHER_SPEC) => {
                // Only a new handshake within the connection leads here; it is itself encrypted.
                self.open(side, sender, record, work);
            }
            (Guard::Keyed(_), _) => self.open(side, sender, record, work),
            (Guard::Clear, kind::CHANGE_CIPHER_SPEC) => {
                if !self.agreed.is_tls_1_3() {
                    self.arm(side, sender, work);
                }
            }
            (Guard::Clear, kind::APPLICATION) => {
                if self.agreed.is_tls_1_3() {
                    side.guard = Guard::Staged(None);
                } else {
                    self.arm(side, sender, work);
                }
                if !matches!(side.guard, Guard::Shut) {
                    self.open(side, sender, record, work);
                }
            }
            (Guard::Clear, kind::HANDSHAKE) => self.handshake(side, sender, record.body, work.place),
            (Guard::Clear, _) => {}
        }
    }

    /// Whether a record means nothing before the hellos of both sides are known.
    fn must_wait(&self, side: &Side, kind: u8) -> bool {
        if !side.waiting.is_empty() && !self.agreed.is_complete() {
            return true;
        }
        let is_protected = kind == kind::APPLICATION || kind == kind::CHANGE_CIPHER_SPEC && !self.agreed.is_tls_1_3();
        matches!(side.guard, Guard::Clear) && is_protected && !self.agreed.is_complete()
    }

    fn wait(&mut self, side: &mut Side, record: Sealed<'_>, work: &mut Work<'_, '_>) {
        let Sealed { kind, version, body } = record;
        let weight = side.waiting.iter().map(|record| record.body.len()).fold(body.len(), usize::saturating_add);
        if !self.may_begin || weight > MOST_WAITING {
            let why = self.why_not(side);
            return self.shut(side, why, work);
        }
        side.waited.get_or_insert(work.place);
        side.waiting.push(Waiting { place: work.place, kind, version, body: body.to_vec() });
    }

    /// Why the hellos of both sides are not known.
    fn why_not(&self, side: &Side) -> Unread {
        match (self.agreed.is_broken(), side.has_lost) {
            (true, _) => Unread::Handshake,
            (false, true) => Unread::Lost,
            (false, false) => Unread::NotFromStart,
        }
    }

    /// From here on the records of a direction are protected (up to TLS 1.2).
    fn arm(&mut self, side: &mut Side, sender: Sender, work: &mut Work<'_, '_>) {
        let opener = match self.agreed.role(sender) {
            Some(role) => self.agreed.opener(role, work.keys),
            None => Err(self.why_not(side)),
        };
        match opener {
            Ok(opener) => side.guard = Guard::Keyed(Box::new(opener)),
            Err(why) => self.shut(side, why, work),
        }
    }

    fn open(&mut self, side: &mut Side, sender: Sender, record: Sealed<'_>, work: &mut Work<'_, '_>) {
        let stages = self.agreed.role(sender).map_or(&[][..], Role::stages);
        match side.open(record, stages, &self.agreed, work.keys) {
            Ok(Some(opened)) => self.opened(side, sender, &opened, work),
            Ok(None) => {}
            Err(why @ (Unread::Lost | Unread::Damaged)) if side.may_recover() => self.tell(why, work),
            Err(why) => self.shut(side, why, work),
        }
    }

    /// What was inside of a record.
    fn opened(&mut self, side: &mut Side, sender: Sender, opened: &Opened, work: &mut Work<'_, '_>) {
        match opened.kind {
            kind::APPLICATION if !opened.bytes.is_empty() => {
                let segment = Segment {
                    place: work.place,
                    path: self.path(sender),
                    stream: self.stream(sender),
                    gap: std::mem::take(&mut side.gap),
                    midstream: false,
                    bytes: &opened.bytes,
                };
                side.content.take(segment, &mut side.marks, work.keys, work.sink);
            }
            kind::HANDSHAKE => self.handshake(side, sender, &opened.bytes, work.place),
            kind::ALERT => self.alert(sender, &opened.bytes, work),
            kind::CHANGE_CIPHER_SPEC => self.arm(side, sender, work),
            _ => {}
        }
    }

    fn handshake(&mut self, side: &mut Side, sender: Sender, bytes: &[u8], place: Place) {
        side.handshake.extend_from_slice(bytes);
        while let Some((kind, body)) = side.next_message() {
            if kind == message::CLIENT_HELLO && matches!(side.guard, Guard::Keyed(_)) {
                self.agreed.begin_anew();
            }
            self.agreed.hear(sender, kind, &body);
            self.note(sender, kind, &body, place);
            self.may_begin = true;
        }
    }

    /// Writes down what a message says of the connection.
    fn note(&mut self, sender: Sender, kind: u8, body: &[u8], place: Place) {
        let Shared { agreed, seen, .. } = self;
        match kind {
            message::CLIENT_HELLO => {
                let Some(hello) = &agreed.hello else { return };
                seen.path = match sender {
                    Sender::Low => Path { transport: Transport::Tcp, ..self.inner },
                    Sender::High => Path { transport: Transport::Tcp, ..self.inner }.reversed(),
                };
                seen.hello_place = Some(place);
                seen.server_name.clone_from(&hello.server_name);
                seen.offered_versions = hello.versions.iter().copied().take(TlsConnection::MOST_OFFERED).collect();
                seen.offered_suites = hello.suites.iter().copied().take(TlsConnection::MOST_OFFERED).collect();
            }
            message::SERVER_HELLO => {
                let Some(choice) = &agreed.choice else { return };
                (seen.version, seen.suite) = (Some(choice.version), Some(choice.suite));
            }
            message::CERTIFICATE if agreed.role(sender) == Some(Role::Server) => {
                let found = hello::certificate(body, agreed.version()).and_then(certificate::read);
                if found.is_some() {
                    (seen.certificate, seen.certificate_place) = (found, Some(place));
                }
            }
            message::CLIENT_KEY_EXCHANGE => seen.client_went_on = true,
            message::CERTIFICATE_REQUEST => seen.wants_client_certificate = true,
            _ => {}
        }
    }

    fn alert(&mut self, sender: Sender, bytes: &[u8], work: &mut Work<'_, '_>) {
        let [level, description] = *bytes else { return };
        let path = Path { transport: Transport::Tcp, ..self.path(sender) };
        let place = work.place;
        if self.seen.alerts.len() < TlsConnection::MOST_ALERTS {
            self.seen.alerts.push(Alert { place, path, level, description });
        }
        let what = ConnectionEvent::TlsAlert { level, description };
        work.sink.deliver(Delivery::Connection(Connection { place, path, stream: self.stream(sender), what }));
    }

    /// A direction cannot be read from here on.
    fn shut(&mut self, side: &mut Side, why: Unread, work: &mut Work<'_, '_>) {
        side.guard = Guard::Shut;
        side.waiting = Vec::new();
        side.handshake = Vec::new();
        side.content.forget();
        self.tell(why, work);
    }

    /// Says why something is not read, once for each connection.
    fn tell(&mut self, why: Unread, work: &mut Work<'_, '_>) {
        if let (Unread::NoSecret, Some(hello)) = (why, &self.agreed.hello) {
            work.keys.miss(&hello.random);
        }
        if self.seen.unread.is_none() {
            self.seen.unread = Some(why);
            let server = self.seen.server();
            work.sink.note_at(Oddity::Encrypted { server, why }, work.place);
        }
    }

    fn path(&self, sender: Sender) -> Path {
        match sender {
            Sender::Low => self.inner,
            Sender::High => self.inner.reversed(),
        }
    }

    fn stream(&self, sender: Sender) -> StreamId {
        match sender {
            Sender::Low => StreamId(self.stream),
            Sender::High => StreamId(self.stream | 1),
        }
    }
}
