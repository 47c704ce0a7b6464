//! Messages that came in fragments of IP, of which the capture holds no more than the beginning.
//!
//! Knows how such messages begin. Is given what became of each datagram that came in fragments; gives the beginnings,
//! and whether other fragmented datagrams are whole, as a value that can be merged. Deliberately does not make messages
//! of them: a reader of packets shows no SIP in a fragment whose rest is missing.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use crate::capture::{Place, Timestamp};
use crate::net::Fragmented;
use crate::sip::{Message, first_letters};

/// The beginning of a message in the first fragment of its datagram.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Begun {
    /// The first fragment.
    pub place: Place,
    /// Who sent it.
    pub source: IpAddr,
    /// To whom.
    pub destination: IpAddr,
    /// The method of a request; `None` for a response.
    pub method: Option<String>,
    /// Its Call-ID, as far as it goes; empty if it is not in the first fragment.
    pub call_id: String,
}

/// What is known of datagrams that came in fragments. Mergeable.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct CutShort {
    /// In order of their places.
    begun: Vec<Begun>,
    /// The first one that is whole.
    whole: Option<Place>,
}

impl Begun {
    /// Letters of a Call-ID or a method that are kept.
    const LONGEST: usize = 200;

    /// What the beginning of a datagram tells of the message in it.
    pub(crate) fn read(message: &Message<'_>, seen: &Fragmented<'_>) -> Begun {
        let call_id = String::from_utf8_lossy(message.call_id());
        Begun {
            place: seen.place,
            source: seen.source,
            destination: seen.destination,
            method: message.method().map(|method| first_letters(method.name(), Begun::LONGEST).to_owned()),
            call_id: first_letters(&call_id, Begun::LONGEST).to_owned(),
        }
    }
}

impl CutShort {
    /// Beginnings that are kept: the earliest.
    const MOST: usize = 64;

    /// How messages begin of which the rest is missing, in order.
    pub fn begun(&self) -> &[Begun] {
        &self.begun
    }

    /// The first datagram that came in fragments and is whole.
    pub fn whole(&self) -> Option<Place> {
        self.whole
    }

    /// Notes a datagram that was put together.
    pub(crate) fn note_whole(&mut self, place: Place) {
        self.whole = Some(self.whole.map_or(place, |known| known.min(place)));
    }

    /// Notes the beginning of a message.
    pub(crate) fn note_begun(&mut self, begun: Begun) {
        if let Err(at) = self.begun.binary_search(&begun) {
            self.begun.insert(at, begun);
            self.begun.truncate(CutShort::MOST);
        }
    }

    /// Forgets what began before this moment.
    pub(crate) fn forget(&mut self, before: Timestamp) {
        self.begun.retain(|begun| begun.place.time >= before);
    }

    /// Puts together what two readers have seen.
    pub(crate) fn merge(&mut self, other: &CutShort) {
        other.begun.iter().for_each(|begun| self.note_begun(begun.clone()));
        if let Some(whole) = other.whole {
            self.note_whole(whole);
        }
    }
}
