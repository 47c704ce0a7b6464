//! In which order the messages of a call are told: as the file has them, or by their times.

use std::collections::BTreeMap;

use crate::call::log::entry::{Entry, What};
use crate::call::log::{EntryId, Log, Pool, Verb};
use crate::call::transaction::Keys;
use crate::capture::Place;
use crate::sip::Message;

/// What tells a transaction within a call: the hash of its branch, its CSeq and its method.
type Exchange = (u64, u32, Verb);

/// Which part of an exchange a message is.
#[derive(Debug, Clone, Copy)]
enum Turn {
    Request(Exchange),
    Response(Exchange),
}

impl Log {
    /// The entries in the order in which they are told; `None` if it is that of the file. It is, unless a response
    /// stands there before its request and the times put it right: a card with several queues, or a capture on several
    /// interfaces, hands on late what was early. Where a clock was set back, the order of the file is right and the
    /// times are not.
    pub(super) fn order_by_time(&self, pool: &Pool) -> Option<Vec<EntryId>> {
        if self.entries.is_sorted_by_key(|entry| entry.place) {
            return None;
        }
        let of_file: Vec<EntryId> = (0..self.entries.len() as u32).map(EntryId).collect();
        let mut by_time = of_file.clone();
        by_time.sort_by_key(|entry| self.told_at(*entry));
        let turns: Vec<Option<Turn>> = self.entries.iter().map(|entry| turn(entry, pool)).collect();
        (ahead_of_request(&by_time, &turns) < ahead_of_request(&of_file, &turns)).then_some(by_time)
    }

    /// A copy is told behind what it is a copy of.
    fn told_at(&self, EntryId(index): EntryId) -> Option<Place> {
        let entry = self.entries.get(index as usize)?;
        let original = match entry.what {
            What::Copy(EntryId(of)) => self.entries.get(of as usize).map(|original| original.place),
            What::Message { .. } => None,
        };
        Some(original.map_or(entry.place, |original| original.max(entry.place)))
    }
}

fn turn(entry: &Entry, pool: &Pool) -> Option<Turn> {
    let What::Message { cut, .. } = entry.what else { return None };
    let bytes = entry.bytes(pool);
    let message = Message::read(&bytes, cut)?;
    let keys = Keys::read(&message);
    let exchange = (keys.branch_hash, keys.cseq.number, Verb::of(&keys.cseq.method));
    Some(if keys.is_request { Turn::Request(exchange) } else { Turn::Response(exchange) })
}

/// How many responses stand before the first request of their exchange, of those that have one.
fn ahead_of_request(order: &[EntryId], turns: &[Option<Turn>]) -> usize {
    /// What was seen of an exchange so far.
    enum Seen {
        Responses(usize),
        Request,
    }
    let mut exchanges: BTreeMap<Exchange, Seen> = BTreeMap::new();
    let mut ahead = 0;
    for turn in order.iter().filter_map(|EntryId(index)| turns.get(*index as usize).copied().flatten()) {
        match turn {
            Turn::Request(exchange) => {
                if let Some(Seen::Responses(waiting)) = exchanges.insert(exchange, Seen::Request) {
                    ahead += waiting;
                }
            }
            Turn::Response(exchange) => {
                if let Seen::Responses(waiting) = exchanges.entry(exchange).or_insert(Seen::Responses(0)) {
                    *waiting += 1;
                }
            }
        }
    }
    ahead
}
