//! How calls leave the tracker: because they are over, or because there is no room for them.

use crate::call::judge::Outcome;
use crate::call::log::{Log, Phase, Pool};
use crate::call::tracker::{Ended, GoodCall, Link, MOST_ADDRESSES, Open, Tracker, Wanted};
use crate::capture::Timestamp;
use crate::net::Path;
use crate::oddity::{Oddity, OddityLog};

/// Why a call ends here.
#[derive(Debug, Clone, Copy)]
enum Why {
    Over,
    NoRoom,
}

/// Calls that are put in order at once, at least.
const FIRST_OF_ALL: usize = 256;
/// Good calls of a server that are learned from.
const LEARNED_FROM: u8 = 50;
/// Calls that have ended whose room is kept for others.
const MOST_SPARE: usize = 4096;
/// Bytes of a room that is kept: more would lie idle.
const MOST_ROOM: usize = 8192;

/// Calls by their rank. Of most of them nobody asks: those that come first are parted from the others, which need no
/// order among them.
struct Ranked<R> {
    /// The next ones, the last first.
    first: Vec<(R, u32)>,
    /// Those behind them, in no order.
    rest: Vec<(R, u32)>,
}

impl<R: Ord> Iterator for Ranked<R> {
    type Item = u32;

    fn next(&mut self) -> Option<u32> {
        if self.first.is_empty() {
            let parted = self.rest.len().saturating_sub(FIRST_OF_ALL.max(self.rest.len() / 3));
            if parted > 0 {
                self.rest.select_nth_unstable_by(parted, |one, other| other.cmp(one));
            }
            self.first = self.rest.split_off(parted);
            self.first.sort_unstable_by(|one, other| other.cmp(one));
        }
        self.first.pop().map(|(_, index)| index)
    }
}

impl Tracker {
    /// Takes memory back, a quarter of the bound at once, so that the order is not worked out for every message.
    ///
    /// First conversations that have gone well so far are abridged, the longest idle first. If that is not enough, all
    /// but their having been answered is given up; then calls are closed: settled ones first, then those that have not
    /// failed.
    pub(super) fn make_room(&mut self, oddities: &mut OddityLog) {
        if self.bytes <= self.full_at && self.open_calls() <= self.limits.calls {
            return;
        }
        let (bytes, calls) = (self.limits.call_bytes / 4 * 3, self.limits.calls / 4 * 3);
        for index in self.ranked(|open| open.log.can_be_abridged().then_some((open.moved, open.log.number))) {
            if self.bytes <= bytes {
                break;
            }
            self.lessen(index, Log::abridge);
        }
        if self.bytes > self.limits.call_bytes {
            oddities.note(Oddity::LimitHit { limit: "call-bytes", value: self.limits.call_bytes as u64 }, None);
            for index in self.ranked(|open| open.log.can_be_forgotten().then_some((open.moved, open.log.number))) {
                if self.bytes <= bytes {
                    break;
                }
                self.lessen(index, Log::forget);
            }
        }
        if self.bytes <= self.limits.call_bytes && self.open_calls() <= self.limits.calls {
            // Not again before an eighth more has come in: looking through all calls for a few bytes is not worth it.
            self.full_at = self.limits.call_bytes.max(self.bytes + self.limits.call_bytes / 8);
            return;
        }
        self.full_at = self.limits.call_bytes;
        let limit = match self.bytes > self.limits.call_bytes {
            true => Oddity::LimitHit { limit: "call-bytes", value: self.limits.call_bytes as u64 },
            false => Oddity::LimitHit { limit: "calls", value: self.limits.calls as u64 },
        };
        let rank = |open: &Open| {
            let unsettled = open.phase != Phase::Settled;
            Some((unsettled, unsettled && open.log.has_failed(), open.moved, open.log.number))
        };
        for index in self.ranked(rank) {
            if self.bytes <= bytes && self.open_calls() <= calls {
                return;
            }
            if self.phase_of(index).is_some_and(|phase| phase != Phase::Settled) {
                oddities.note(limit.clone(), None);
            }
            self.give_up(index);
        }
    }

    fn open_calls(&self) -> usize {
        self.open.len() - self.free.len()
    }

    fn phase_of(&self, index: u32) -> Option<Phase> {
        self.open.get(index as usize)?.as_ref().map(|open| open.phase)
    }

    /// Open calls in the order of what `rank` gives, which differs for each; without those for which it gives nothing.
    fn ranked<R: Ord>(&self, rank: impl Fn(&Open) -> Option<R>) -> Ranked<R> {
        let open = (0u32..).zip(&self.open);
        let rest = open.filter_map(|(index, open)| Some((rank(open.as_ref()?)?, index))).collect();
        Ranked { first: Vec::new(), rest }
    }

    fn lessen(&mut self, index: u32, give_up: fn(&mut Log, &mut Pool)) {
        let Some(open) = self.open.get_mut(index as usize).and_then(Option::as_deref_mut) else { return };
        give_up(&mut open.log, &mut self.pool);
        let footprint = open.footprint();
        self.bytes = (self.bytes + footprint).saturating_sub(open.bytes);
        open.bytes = footprint;
    }

    /// Ends a call that is over.
    pub(super) fn close(&mut self, index: u32) {
        self.end(index, Why::Over);
    }

    /// Ends a call for which there is no room.
    fn give_up(&mut self, index: u32) {
        self.end(index, Why::NoRoom);
    }

    fn end(&mut self, index: u32, why: Why) {
        self.release(index);
        let Some(mut open) = self.open.get_mut(index as usize).and_then(Option::take) else { return };
        self.bytes = self.bytes.saturating_sub(open.bytes);
        self.free.push(index);
        for key in &open.keys {
            // A key is a Call-ID, or one that legs share; each is only taken away if it still stands for this call.
            if self.by_call_id.get(key) == Some(&index) {
                self.by_call_id.remove(key);
            } else if !matches!(self.links.get(key), Some(Link::Call(another)) if *another != index) {
                self.links.remove(key);
            }
        }
        let ended = match why {
            Why::Over => self.ended(&open.log, open.moved),
            Why::NoRoom => self.given_up(&open.log, open.moved),
        };
        self.closed.push_back(ended);
        open.log.give_back(&mut self.pool);
        if self.spare.len() < MOST_SPARE && open.footprint() <= MOST_ROOM {
            self.spare.push(open);
        }
    }

    /// What is handed on of a call that was given up: one that has not failed so far is only counted, for a flood of
    /// them is what fills the room, and what would have become of each is not known.
    fn given_up(&mut self, log: &Log, moved: Timestamp) -> Ended {
        match log.unfinished().filter(|_| self.wanted == Wanted::Troubled) {
            Some(outcome) => Ended::Good(GoodCall { kind: log.kind, outcome, messages: log.heard() }),
            None => self.ended(log, moved),
        }
    }

    /// What is handed on of a call that has ended, and that moved last at this moment.
    fn ended(&mut self, log: &Log, moved: Timestamp) -> Ended {
        if log.is_forgotten() {
            return Ended::Good(GoodCall { kind: log.kind, outcome: Outcome::Answered, messages: log.heard() });
        }
        // A port that is closed may be that of its media.
        let is_media_sound = self.port_died.is_none_or(|closed| log.started().is_some_and(|start| closed < start));
        let is_plain = is_media_sound && !self.looked_up_servers(log);
        let good =
            log.plainly_good().filter(|_| is_plain && log.has_sound_media(self.surroundings.media(), &self.pool));
        let counted = good.filter(|_| self.wanted == Wanted::Troubled);
        let counted = counted.map(|outcome| GoodCall { kind: log.kind, outcome, messages: log.heard() });
        if let Some(good) = counted
            && (!self.has_to_learn(log) || self.learn_accepted(log))
        {
            return Ended::Good(good);
        }
        let call = log.assemble(self.watched_until(moved), &self.pool);
        self.surroundings.accepted_mut().learn_call(&call);
        self.surroundings.neighbours_mut().rings_mut().learn_call(&call);
        counted.map_or_else(|| Ended::Call(Box::new(call)), Ended::Good)
    }

    /// True if its client had asked DNS for servers: which it went to can then be compared with what it was told.
    fn looked_up_servers(&self, log: &Log) -> bool {
        let lookups = self.surroundings.neighbours().lookups();
        let asked = |path: Path| lookups.servers_of_client(path.source.ip(), self.now).next().is_some();
        !lookups.is_empty() && log.first_path().is_some_and(asked)
    }

    /// Learns from a good call without assembling it; false where that cannot be done. How long it rang tells nothing,
    /// for it was answered.
    fn learn_accepted(&mut self, log: &Log) -> bool {
        let Some(requests) = log.accepted_requests(&self.pool) else { return false };
        let accepted = self.surroundings.accepted_mut();
        requests.for_each(|(request, path, place)| accepted.learn_accepted(&request, path, place));
        true
    }

    /// True for the first good calls that a server took: what it accepts is learned from them, and not from thousands
    /// of the same kind.
    fn has_to_learn(&mut self, log: &Log) -> bool {
        let Some(server) = log.first_path().map(|path| path.destination.ip()) else { return false };
        let is_full = self.learned.len() >= MOST_ADDRESSES;
        match self.learned.get_mut(&server) {
            Some(count) if *count >= LEARNED_FROM => false,
            Some(count) => {
                *count += 1;
                true
            }
            None if is_full => false,
            None => self.learned.insert(server, 1).is_none(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::call::tracker::Limits;
    use crate::call::tracker::spoken::{Said, hear};

    /// What the caller and the callee of a conversation say, in turn.
    const SAID: [Said; 5] = [
        (true, "INVITE sip:b@192.0.2.2 SIP/2.0", "1 INVITE"),
        (false, "SIP/2.0 200 OK", "1 INVITE"),
        (true, "ACK sip:b@192.0.2.2 SIP/2.0", "1 ACK"),
        (true, "BYE sip:b@192.0.2.2 SIP/2.0", "2 BYE"),
        (false, "SIP/2.0 200 OK", "2 BYE"),
    ];

    /// Lets so many conversations begin, and only then each of them go on: how often a call ended, and what was noted.
    fn conversations(count: u32, limits: Limits) -> (Vec<Outcome>, OddityLog) {
        let mut tracker = Tracker::new(limits, Wanted::Troubled);
        let mut oddities = OddityLog::default();
        let mut at = 0;
        for part in [0..3, 3..5] {
            for call in 0..count {
                for said in &SAID[part.clone()] {
                    at += 10;
                    hear(&mut tracker, call, at, *said, &mut oddities);
                }
            }
        }
        tracker.finish();
        let outcomes = std::iter::from_fn(|| tracker.next_closed()).map(|ended| match ended {
            Ended::Call(call) | Ended::SoFar(call) => call.outcome,
            Ended::Good(call) => call.outcome,
        });
        (outcomes.collect(), oddities)
    }

    #[test]
    fn a_conversation_without_room_for_its_messages_is_still_one_call() {
        let scarce = Limits { call_bytes: 640 << 10, ..Limits::default() };
        let (outcomes, oddities) = conversations(400, scarce);
        assert_eq!((outcomes.len(), outcomes.iter().all(|outcome| *outcome == Outcome::Answered)), (400, true));
        assert!(oddities.of("limit-hit").is_some());
        let (outcomes, oddities) = conversations(40, Limits::default());
        assert_eq!((outcomes.len(), outcomes.iter().all(|outcome| *outcome == Outcome::Answered)), (40, true));
        assert!(oddities.of("limit-hit").is_none());
    }
}
