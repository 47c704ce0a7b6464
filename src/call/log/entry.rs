//! One message in the log of an open call: where its bytes are and how it arrived.

use std::borrow::Cow;
use std::num::NonZeroU16;

use crate::call::log::EntryId;
use crate::call::log::pool::{Pool, Spot};
use crate::call::model::Arrival;
use crate::capture::Place;
use crate::net::Path;
use crate::sip::Cut;

/// One captured message.
#[derive(Debug, Clone, Copy)]
pub(super) struct Entry {
    pub(super) place: Place,
    pub(super) way: u16,
    pub(super) ip_id: Option<NonZeroU16>,
    /// Bytes before the body; 0 for a copy.
    pub(super) head: u32,
    /// Bytes of its shorthand, which stand behind its own; 0 if it has none.
    pub(super) shorthand: u8,
    pub(super) what: What,
}

#[derive(Debug, Clone, Copy)]
pub(super) enum What {
    /// A message: where its bytes are and how much of it the capture holds.
    Message { spot: Spot, length: u32, cut: Cut },
    /// The same bytes again.
    Copy(EntryId),
}

impl Entry {
    /// How it arrived on this path.
    pub(super) fn arrival(&self, path: Path) -> Arrival {
        Arrival { place: self.place, path, ip_id: self.ip_id.map(NonZeroU16::get), hop_limit: 0 }
    }

    /// Its bytes; none for a copy.
    pub(super) fn bytes<'p>(&self, pool: &'p Pool) -> Cow<'p, [u8]> {
        match self.what {
            What::Message { spot, length, .. } => pool.get(spot, length as usize),
            What::Copy(_) => Cow::Borrowed(&[]),
        }
    }

    /// True if it is a message of these bytes.
    pub(super) fn holds(&self, bytes: &[u8], pool: &Pool) -> bool {
        match self.what {
            What::Message { spot, length, .. } => length as usize == bytes.len() && pool.equals(spot, bytes),
            What::Copy(_) => false,
        }
    }
}
