//! One message in the log of an open call: where its bytes are, how it arrived, and what its reading found.

use std::borrow::Cow;

use crate::call::log::EntryId;
use crate::call::log::pool::{Pool, Spot};
use crate::capture::Place;
use crate::sip::Cut;

/// One captured message.
#[derive(Debug, Clone, Copy)]
pub(super) struct Entry {
    pub(super) place: Place,
    pub(super) way: u16,
    pub(super) ip_id: Option<u16>,
    pub(super) reading: Reading,
    /// Bytes before the body; 0 for a copy.
    pub(super) head: u32,
    pub(super) what: What,
}

/// What the first reading of a message found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reading {
    /// It is whole, and nothing in it is odd.
    Sound,
    /// Something is odd, or it was not whole.
    Odd,
}

#[derive(Debug, Clone, Copy)]
pub(super) enum What {
    /// A message: where its bytes are.
    Message { spot: Spot, length: u32, cut: Cut },
    /// The same bytes again.
    Copy(EntryId),
}

impl Entry {
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
