//! From the log of a call to the call itself, when it has ended; and the shorter log of a call that goes well.

use std::borrow::Cow;

use crate::call::judge::Outcome;
use crate::call::log::occupancy::Stand;
use crate::call::log::pool::{Chain, Pool};
use crate::call::log::{Entry, EntryId, Link, Log, Step, StepId, Verb, Way, What};
use crate::call::model::{Call, Heard, IcmpSeen, MessageId};
use crate::call::transaction::{Hearing, Keys};
use crate::capture::{Place, Timestamp};
use crate::keyed::ByHash;
use crate::net::Path;
use crate::sip::{Cut, Message};

impl Log {
    /// True if it holds more than a conversation needs that has gone well so far.
    pub(crate) fn can_be_abridged(&self) -> bool {
        // All open calls are asked one after the other: what most are told by stands first, and in one place.
        !self.is_special && self.given_up == 0 && self.is_talking() && self.icmp.is_empty()
    }

    /// Gives up what led to the answer (challenges, provisional responses) and all bodies, and keeps the headers of the
    /// INVITEs that were answered, of their 2xx and of their ACKs. For conversations that have gone well so far, when
    /// memory is short.
    pub(crate) fn abridge(&mut self, pool: &mut Pool) {
        let answered = |step: &&Step| step.method == Verb::Invite && step.is_good();
        let mut kept: Vec<EntryId> = self
            .steps
            .iter()
            .filter(answered)
            .flat_map(|step| [step.request, step.response, step.ack])
            .flatten()
            .collect();
        kept.sort_unstable_by_key(|entry| entry.0);
        let place = |entry: EntryId| kept.iter().position(|known| *known == entry).map(|at| EntryId(at as u32));
        let step_place = |StepId(step): StepId| {
            let (before, from) = self.steps.split_at_checked(step as usize)?;
            from.first().filter(answered).map(|_| StepId(before.iter().filter(answered).count() as u32))
        };
        let links = self.links.iter().filter_map(|link| {
            // A leg began with a try that may have been challenged: its link is taken over by the try that was
            // answered.
            let way = self.entries.get(link.entry.0 as usize)?.way;
            let first = kept.iter().find(|entry| {
                entry.0 >= link.entry.0 && self.entries.get(entry.0 as usize).is_some_and(|entry| entry.way == way)
            })?;
            let upstream = match link.upstream {
                Some(step) => Some(step_place(step)?),
                None => None,
            };
            Some(Link { entry: place(*first)?, by: link.by.clone(), upstream })
        });
        let links: Vec<Link> = links.collect();
        let mut bytes = Chain::default();
        let mut entries = Vec::with_capacity(kept.len());
        for entry in kept.iter().filter_map(|entry| self.entries.get(entry.0 as usize)) {
            let What::Message { spot, length, cut } = entry.what else { continue };
            let body = length.saturating_sub(entry.head);
            let cut = if body == 0 { cut } else { Cut::Missing(body) };
            let (spot, length) = (pool.append_anew(&mut bytes, spot, entry.head as usize), entry.head);
            entries.push(Entry { what: What::Message { spot, length, cut }, shorthand: 0, ..*entry });
        }
        pool.give_back(std::mem::replace(&mut self.bytes, bytes));
        self.given_up = (self.entries.len() - entries.len()) as u32;
        self.distinct = entries.len() as u32;
        self.entries = entries;
        self.steps.retain(|step| answered(&step));
        for step in &mut self.steps {
            for entry in [&mut step.request, &mut step.response, &mut step.ack] {
                *entry = entry.and_then(place);
            }
        }
        // A BYE, and perhaps another offer, are still to come.
        self.steps.shrink_to(4);
        self.settled = 0;
        self.by_branch.clear();
        self.link_branches();
        self.links = links;
    }

    /// True if there is more to give up of a conversation that has gone well so far.
    pub(crate) fn can_be_forgotten(&self) -> bool {
        !self.is_special && self.is_talking() && !self.entries.is_empty() && self.icmp.is_empty()
    }

    /// True if all that was said in it has been given up.
    pub(crate) fn is_forgotten(&self) -> bool {
        self.entries.is_empty() && self.given_up > 0
    }

    /// Gives up all messages and keeps no more than that an INVITE was answered, so that what follows still belongs to
    /// this call. For conversations that have gone well so far, when abridging them is not enough.
    pub(crate) fn forget(&mut self, pool: &mut Pool) {
        pool.give_back(std::mem::take(&mut self.bytes));
        self.given_up = self.given_up.saturating_add(self.entries.len() as u32);
        let first = self.steps.iter().find(|step| step.is_attempt() && step.is_good()).copied();
        // Ways on which it counts as a call that is up are needed when it ends; the others come again with a message.
        let is_needed = |index: usize, way: &Way| {
            way.stand != Stand::Free || first.is_some_and(|step| usize::from(step.way) == index)
        };
        let kept: Vec<usize> = (0..self.ways.len()).filter(|index| is_needed(*index, &self.ways[*index])).collect();
        self.steps = first
            .map(|step| {
                let way = kept.iter().position(|index| *index == usize::from(step.way)).unwrap_or_default() as u16;
                Step { way, request: None, response: None, ack: None, ..step }
            })
            .into_iter()
            .collect();
        self.ways = kept.into_iter().map(|index| self.ways[index]).collect();
        self.entries = Vec::new();
        self.by_branch = ByHash::default();
        self.links = Vec::new();
        self.distinct = 0;
        self.settled = 0;
    }

    /// The requests outside of dialogs that rang or succeeded, each with its path and place; `None` where only the
    /// transactions tell which these are.
    pub(crate) fn accepted_requests(
        &self,
        pool: &Pool,
    ) -> Option<impl Iterator<Item = (Message<'static>, Path, Place)>> {
        let accepted = self.steps.iter().filter(|step| !step.in_dialog && (step.rings || step.is_good()));
        let requests = accepted.filter_map(|step| {
            let entry = self.entries.get(step.request?.0 as usize)?;
            let What::Message { cut, .. } = entry.what else { return None };
            Some((Message::read_stored(entry.bytes(pool), cut)?, self.path(step.way)?, entry.place))
        });
        (!self.has_altered_requests).then_some(requests)
    }

    /// Works out transactions, legs and dialogs, and judges the call.
    pub(crate) fn assemble(&self, until: Timestamp, pool: &Pool) -> Call {
        let mut call = Call {
            number: self.number,
            kind: self.kind,
            messages: Vec::with_capacity(self.entries.len()),
            transactions: Vec::with_capacity(self.steps.len()),
            dialogs: Vec::new(),
            legs: Vec::with_capacity(1),
            icmp: Vec::new(),
            failures: Vec::new(),
            outcome: Outcome::Unfinished,
            final_status: None,
            not_kept: self.not_kept.saturating_add(self.given_up),
            until,
        };
        let whole = self.whole_call_ids(pool);
        // Of most calls no message is asked for by its entry.
        let is_asked = self.distinct < self.entries.len() as u32 || !self.links.is_empty() || !self.icmp.is_empty();
        let mut ids: Vec<Option<MessageId>> = if is_asked { vec![None; self.entries.len()] } else { Vec::new() };
        let by_time = self.order_by_time(pool);
        for at in 0..self.entries.len() {
            let index = by_time.as_ref().map_or(at, |order| order[at].0 as usize);
            let entry = &self.entries[index];
            let Some(path) = self.path(entry.way) else { continue };
            let id = self.replay((&mut call, pool), EntryId(index as u32), entry, (path, &whole), &ids);
            if let Some(known) = ids.get_mut(index) {
                *known = id;
            }
        }
        for (seen, entry) in &self.icmp {
            if let Some(message) = ids.get(entry.0 as usize).copied().flatten() {
                call.icmp.push(IcmpSeen { message, ..*seen });
            }
        }
        call.judge();
        if self.given_up > 0 && self.answered.is_some() {
            call.outcome = Outcome::Answered;
        }
        call
    }

    fn replay(
        &self,
        (call, pool): (&mut Call, &Pool),
        id: EntryId,
        entry: &Entry,
        (path, whole): (Path, &[Box<[u8]>]),
        ids: &[Option<MessageId>],
    ) -> Option<MessageId> {
        let arrival = entry.arrival(path);
        let (spot, length, cut) = match entry.what {
            What::Copy(of) => {
                let known = ids.get(of.0 as usize).copied().flatten()?;
                call.note_copy(known, &arrival);
                return Some(known);
            }
            What::Message { spot, length, cut } => (spot, length as usize, cut),
        };
        let kept = pool.get(spot, length + usize::from(entry.shorthand));
        let (bytes, shorthand) = kept.split_at_checked(length)?;
        // A message is large, and each move copies it: it is read where it is heard.
        let mut heard = Heard::first(Message::unread(Cow::Owned(bytes.to_owned())), &arrival);
        if !heard.message.take_over(shorthand) && !heard.message.take_in(cut) {
            return None;
        }
        let message = &heard.message;
        let mut keys = Keys::read(message);
        if let Some(whole) = whole.iter().find(|whole| whole.starts_with(keys.call_id)) {
            keys.call_id = whole;
        }
        if let Some(link) = self.links.iter().find(|link| link.entry == id) {
            let upstream = link.upstream.and_then(|step| self.steps.get(step.0 as usize)?.request);
            let upstream = upstream.and_then(|entry| ids.get(entry.0 as usize).copied().flatten());
            let upstream = upstream.map(|message| call.message(message).transaction);
            call.link_leg(message, &arrival, link.by.clone(), upstream, &keys);
        }
        Some(match call.hear(message, &keys, &arrival) {
            Hearing::Again(known) => known,
            Hearing::New(transaction) => call.keep(heard, transaction),
        })
    }

    /// Where Call-IDs were cut off: the longest of those of which others are a part. Else none.
    fn whole_call_ids(&self, pool: &Pool) -> Vec<Box<[u8]>> {
        let mut whole: Vec<Box<[u8]>> = Vec::new();
        if !self.has_cut_call_ids {
            return whole;
        }
        for entry in &self.entries {
            let bytes = entry.bytes(pool);
            let Some(message) = Message::read(&bytes, Cut::Whole) else { continue };
            let call_id = message.call_id();
            if whole.iter().any(|known| known.starts_with(call_id)) {
                continue;
            }
            whole.retain(|known| !call_id.starts_with(known));
            whole.push(call_id.into());
        }
        whole
    }

    /// True if the Call-ID of a message may be one of its own, of which either may be cut off.
    pub(crate) fn fits_call_id(&self, message: &Message<'_>, pool: &Pool) -> bool {
        let call_id = message.call_id();
        let first = self.entries.first().map(|entry| entry.bytes(pool));
        let first = first.as_ref().and_then(|bytes| Message::read(bytes, Cut::Whole));
        first.is_none_or(|first| first.call_id().starts_with(call_id) || call_id.starts_with(first.call_id()))
    }
}
