//! What every message is matched by: where its key headers stand, and the parameters in them. Found by one walk over
//! the message ([`super::walk`]); the places of all other headers are found when they are asked for
//! ([`super::places`]).

use std::ops::Range;

use crate::sip::header::HeaderName;

/// Where the headers stand that are needed of every message.
#[derive(Debug, Clone)]
pub(super) struct Outline {
    /// The value of the first header of each name of [`KEY_HEADERS`]; empty at 0 if there is none.
    pub(super) values: [Place; KEY_HEADERS.len()],
    /// A bit for each of these names that stands there more than once.
    pub(super) repeated: u32,
    /// The names of all other headers, a bit for each by a hash: most that are asked for are not there.
    pub(super) others: u64,
    /// The value of the second Via line.
    pub(super) second_via: Place,
    /// The branch of the topmost Via, and the tags of From and To, which are empty behind the value where there is
    /// none. Not set where the form of the value is not the plain one ([`super::plain`]).
    pub(super) branch: Place,
    pub(super) from_tag: Place,
    pub(super) to_tag: Place,
    pub(super) body: Place,
    /// True if the capture ends inside the last header line, of which only the whole parameters are taken.
    pub(super) ends_in_half_a_line: bool,
    /// The first headers that may tell which call the message belongs to beyond its Call-ID, name and value: `X-…`,
    /// `Session-ID`, `P-Charging-Vector`, `Cisco-Guid`.
    pub(super) references: [(Place, Place); REFERENCES],
}

/// A place in the message's bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) start: u32,
    pub(super) end: u32,
}

/// The headers that are needed of every message: for matching, framing, and telling a broken sender.
pub(super) const KEY_HEADERS: [HeaderName; 19] = [
    HeaderName::Via,
    HeaderName::From,
    HeaderName::To,
    HeaderName::CallId,
    HeaderName::CSeq,
    HeaderName::Contact,
    HeaderName::ContentLength,
    HeaderName::MaxForwards,
    HeaderName::Expires,
    HeaderName::Date,
    HeaderName::Authorization,
    HeaderName::ProxyAuthorization,
    HeaderName::RetryAfter,
    HeaderName::SessionExpires,
    HeaderName::Replaces,
    HeaderName::UserAgent,
    HeaderName::Server,
    HeaderName::Reason,
    HeaderName::Warning,
];

/// Headers that may refer to a call that are remembered of one message.
const REFERENCES: usize = 4;

impl Place {
    pub(super) const UNSET: Place = Place { start: 0, end: 0 };

    /// Places are kept in 32 bits: messages are far shorter.
    #[inline]
    pub(super) fn new(range: Range<usize>) -> Place {
        Place { start: range.start as u32, end: range.end as u32 }
    }

    pub(super) fn of(self, bytes: &[u8]) -> &[u8] {
        bytes.get(self.start as usize..self.end as usize).unwrap_or_default()
    }

    pub(super) fn start(self) -> usize {
        self.start as usize
    }

    pub(super) fn end(self) -> usize {
        self.end as usize
    }

    pub(super) fn is_set(self) -> bool {
        self.start != 0
    }
}

/// Where a key header stands in [`KEY_HEADERS`].
#[inline]
fn slot(name: HeaderName) -> Option<usize> {
    Some(match name {
        HeaderName::Via => 0,
        HeaderName::From => 1,
        HeaderName::To => 2,
        HeaderName::CallId => 3,
        HeaderName::CSeq => 4,
        HeaderName::Contact => 5,
        HeaderName::ContentLength => 6,
        HeaderName::MaxForwards => 7,
        HeaderName::Expires => 8,
        HeaderName::Date => 9,
        HeaderName::Authorization => 10,
        HeaderName::ProxyAuthorization => 11,
        HeaderName::RetryAfter => 12,
        HeaderName::SessionExpires => 13,
        HeaderName::Replaces => 14,
        HeaderName::UserAgent => 15,
        HeaderName::Server => 16,
        HeaderName::Reason => 17,
        HeaderName::Warning => 18,
        _ => return None,
    })
}

impl Outline {
    /// What is known before a byte was read.
    pub(super) const EMPTY: Outline = Outline {
        values: [Place::UNSET; KEY_HEADERS.len()],
        repeated: 0,
        others: 0,
        second_via: Place::UNSET,
        branch: Place::UNSET,
        from_tag: Place::UNSET,
        to_tag: Place::UNSET,
        body: Place::UNSET,
        ends_in_half_a_line: false,
        references: [(Place::UNSET, Place::UNSET); REFERENCES],
    };

    /// Where the value of a key header stands; not set if the message has none of that name, or it is no key header.
    #[inline]
    pub(super) fn place(&self, name: HeaderName) -> Place {
        slot(name).and_then(|slot| self.values.get(slot)).copied().unwrap_or(Place::UNSET)
    }

    /// The value of a key header; `None` if the message has none of that name, or it is no key header.
    #[inline]
    pub(super) fn value<'a>(&self, name: HeaderName, bytes: &'a [u8]) -> Option<&'a [u8]> {
        let place = self.place(name);
        place.is_set().then(|| place.of(bytes))
    }

    /// The value of the one line with the name of a key header, or that there is none; `None` if there are several, or
    /// the name is of no key header.
    pub(super) fn only<'a>(&self, name: HeaderName, bytes: &'a [u8]) -> Option<Option<&'a [u8]>> {
        let is_repeated = self.repeated >> slot(name)? & 1 == 1;
        (!is_repeated).then(|| self.value(name, bytes))
    }

    /// Hands on each place of a key header or in one, always in the same order.
    #[inline]
    pub(super) fn each_place(&self, mut hand_on: impl FnMut(Place)) {
        self.values.iter().for_each(|place| hand_on(*place));
        [self.second_via, self.branch, self.from_tag, self.to_tag].into_iter().for_each(hand_on);
    }

    /// The same, for those who enter them.
    #[inline]
    pub(super) fn each_place_mut(&mut self, mut hand_on: impl FnMut(&mut Place)) {
        self.values.iter_mut().for_each(&mut hand_on);
        [&mut self.second_via, &mut self.branch, &mut self.from_tag, &mut self.to_tag].into_iter().for_each(hand_on);
    }

    /// False if no header of this name stands there, which is of no key header.
    #[inline]
    pub(super) fn may_hold(&self, name: &str) -> bool {
        let name = name.as_bytes();
        // A name may stand there in its compact form, and may be asked for in it.
        name.len() < 2 || self.others & (bit_of_name(name) | COMPACT) != 0
    }

    /// True if the outline knows of every header of this name, so that there is none if it has no place.
    #[inline]
    pub(super) fn covers(name: HeaderName) -> bool {
        slot(name).is_some()
    }
}

/// The bit of every compact form.
const COMPACT: u64 = 1 << 63;

/// The bit of a name that is of no key header, in whatever letters.
#[inline]
pub(super) fn bit_of_name(name: &[u8]) -> u64 {
    match name {
        [] => 0,
        [_] => COMPACT,
        [first, ..] => 1u64.wrapping_shl((name.len() as u32).wrapping_mul(5) ^ u32::from(first | 0x20)),
    }
}
