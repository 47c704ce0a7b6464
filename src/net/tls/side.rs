//! One direction of a TLS connection.
//!
//! Knows how its records are protected at the moment. Is given records; gives what is inside of them. Deliberately does
//! not know what the bytes mean.

use crate::capture::Place;
use crate::net::content::Content;
use crate::net::content::Marks;
use crate::net::tls::agreed::Agreed;
use crate::net::tls::agreed::Stage;
use crate::net::tls::keylog::KeyLog;
use crate::net::tls::keylog::Secret;
use crate::net::tls::opener::Opened;
use crate::net::tls::opener::Opener;
use crate::net::tls::opener::Sealed;
use crate::net::tls::records::Records;
use crate::net::tls::schedule::expand_label;
use crate::oddity::Unread;

/// Records of which one is sought behind a gap: so many may be missing.
const MOST_SKIPPED: u64 = 64;
/// Records that are passed over while the secret of one stage is not known and that of a later one is.
const MOST_UNOPENED: u32 = 64;
/// Records in a row that may fail to open where others did not: one that is repeated, or was damaged, is no end.
const MOST_DAMAGED: u32 = 8;
/// Bytes of one message of a handshake. Long chains of certificates fit.
const LONGEST_HANDSHAKE: usize = 128 << 10;

/// One direction.
#[derive(Debug, Default)]
pub(super) struct Side {
    pub records: Records,
    /// Messages of the handshake that are not whole yet.
    pub handshake: Vec<u8>,
    pub guard: Guard,
    /// Records that wait for what the other side says.
    pub waiting: Vec<Waiting>,
    /// The first of them, until it was taken.
    pub waited: Option<Place>,
    /// What the records hold.
    pub content: Content,
    pub marks: Marks,
    /// Bytes missing before what comes next.
    pub gap: u32,
    /// True since bytes were missing, until a record was opened again.
    pub has_lost: bool,
    unopened: u32,
}

/// How records are protected.
#[derive(Debug, Default)]
pub(super) enum Guard {
    /// Not yet.
    #[default]
    Clear,
    /// By keys that hold until the next handshake (up to TLS 1.2).
    Keyed(Box<Opener>),
    /// By the keys of a stage (TLS 1.3), once the first record was opened.
    Staged(Option<Box<Staged>>),
    /// It cannot be read any more.
    Shut,
}

/// The stage at which a direction of TLS 1.3 is.
#[derive(Debug)]
pub(super) struct Staged {
    stage: Stage,
    secret: Secret,
    opener: Opener,
}

/// A record that waits.
#[derive(Debug)]
pub(super) struct Waiting {
    pub place: Place,
    pub kind: u8,
    pub version: u16,
    pub body: Vec<u8>,
}

impl Side {
    /// Bytes of memory held.
    pub(super) fn weight(&self) -> usize {
        let waiting = self.waiting.iter().map(|record| record.body.len()).fold(0, usize::saturating_add);
        let own = self.records.weight().saturating_add(self.handshake.len());
        own.saturating_add(waiting).saturating_add(self.content.weight())
    }

    /// True where records of TLS 1.3 came, secrets were known, and none of them fitted.
    pub(super) fn opened_nothing(&self) -> bool {
        matches!(self.guard, Guard::Staged(None)) && self.unopened > 0
    }

    /// Forgets what was begun and not finished.
    pub(super) fn forget(&mut self) {
        self.content.forget();
        if self.records.weight() > 0 || !self.handshake.is_empty() {
            self.lose(0);
        }
        if !self.waiting.is_empty() {
            (self.waiting, self.guard) = (Vec::new(), Guard::Shut);
        }
    }

    /// Bytes are missing.
    pub(super) fn lose(&mut self, bytes: u32) {
        self.records.lose();
        self.handshake = Vec::new();
        self.gap = self.gap.saturating_add(bytes);
        self.has_lost = true;
    }

    /// The next whole message of the handshake: its type and its body.
    pub(super) fn next_message(&mut self) -> Option<(u8, Vec<u8>)> {
        const HEADER: usize = 4;
        let [kind, high, middle, low] = *self.handshake.first_chunk::<HEADER>()?;
        let length = usize::try_from(u32::from_be_bytes([0, high, middle, low])).ok()?;
        if length > LONGEST_HANDSHAKE {
            self.handshake = Vec::new();
            return None;
        }
        let end = length.checked_add(HEADER)?;
        let body = self.handshake.get(HEADER..end)?.to_vec();
        self.handshake.drain(..end);
        // Many connections stand for long after their handshake: its room is given back.
        if self.handshake.is_empty() {
            self.handshake = Vec::new();
        }
        Some((kind, body))
    }

    /// Opens a record of a direction that is protected.
    pub(super) fn open(
        &mut self,
        record: Sealed<'_>,
        stages: &[Stage],
        agreed: &Agreed,
        keys: &KeyLog,
    ) -> Result<Option<Opened>, Unread> {
        let skipped = if self.has_lost { MOST_SKIPPED } else { 0 };
        let opened = match &mut self.guard {
            Guard::Keyed(opener) => open_next(opener, record, skipped),
            Guard::Staged(Some(staged)) => open_next(&mut staged.opener, record, skipped),
            _ => None,
        };
        let opened = match (opened, &self.guard) {
            (None, Guard::Staged(_)) => self.open_later(record, skipped, stages, agreed, keys)?,
            (opened, _) => opened,
        };
        if opened.is_some() {
            (self.has_lost, self.unopened) = (false, 0);
            return Ok(opened);
        }
        let may_come =
            matches!(&self.guard, Guard::Staged(staged) if staged.as_ref().is_none_or(|it| it.stage == Stage::Early));
        if may_come && self.unopened < MOST_UNOPENED {
            self.unopened = self.unopened.saturating_add(1);
            return Ok(None);
        }
        let why = if self.has_lost { Unread::Lost } else { Unread::Damaged };
        (self.has_lost, self.unopened) = (true, self.unopened.saturating_add(1));
        Err(why)
    }

    /// Whether the next record may be opened though the one before could not.
    pub(super) fn may_recover(&self) -> bool {
        self.unopened > 0 && self.unopened <= MOST_DAMAGED
    }

    /// Opens a record with the keys of a later stage, or of the next generation (RFC 8446 §7.2).
    fn open_later(
        &mut self,
        record: Sealed<'_>,
        skipped: u64,
        stages: &[Stage],
        agreed: &Agreed,
        keys: &KeyLog,
    ) -> Result<Option<Opened>, Unread> {
        let suite = agreed.suite()?;
        let Guard::Staged(current) = &mut self.guard else { return Ok(None) };
        let reached = current.as_ref().map(|staged| staged.stage);
        let mut candidates: Vec<(Stage, Secret)> = Vec::new();
        if let Some(Staged { stage: Stage::Traffic(_), secret, .. }) = current.as_deref() {
            let size = u8::try_from(suite.hash.size()).unwrap_or(u8::MAX);
            let next = Secret::new(&expand_label(suite.hash, secret.bytes(), "traffic upd", size));
            candidates.extend(next.zip(stages.last().copied()).map(|(secret, stage)| (stage, secret)));
        }
        let later = stages.iter().filter(|stage| reached.is_none_or(|reached| **stage > reached));
        candidates.extend(later.filter_map(|stage| Some((*stage, agreed.traffic_secret(keys, *stage)?))));
        if candidates.is_empty() {
            return Err(match reached {
                Some(Stage::Traffic(_)) if self.has_lost => Unread::Lost,
                Some(Stage::Traffic(_)) => Unread::Damaged,
                _ => Unread::NoSecret,
            });
        }
        for (stage, secret) in candidates {
            let Some(mut opener) = Opener::of_secret(suite, secret.bytes()) else { continue };
            if let Some(opened) = open_next(&mut opener, record, skipped) {
                *current = Some(Box::new(Staged { stage, secret, opener }));
                return Ok(Some(opened));
            }
        }
        Ok(None)
    }
}

/// Opens the next record, or one of those behind it if some may be missing.
fn open_next(opener: &mut Opener, record: Sealed<'_>, most_skipped: u64) -> Option<Opened> {
    (0..=most_skipped).find_map(|skipped| opener.open(record, skipped))
}
