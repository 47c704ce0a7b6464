//! Which open call an INVITE with a Call-ID of its own belongs to: it goes on in another leg of it.

use crate::call::link::{Attempt, LinkedBy, Ties};
use crate::call::log::StepId;
use crate::call::model::Arrival;
use crate::call::number::number_or_name;
use crate::call::timer;
use crate::call::tracker::{Link, MOST_LINKS, Tracker};
use crate::call::transaction::Keys;
use crate::net::Path;
use crate::sip::{Message, Method};

impl Tracker {
    /// The open call that this request continues: with credentials, where a redirect sent it, or as another leg, by a
    /// key that both carry, else by number and time. With the step that a leg continues; what answers a challenge or
    /// follows a redirect comes in place of what was refused.
    pub(super) fn linked_call(
        &mut self,
        message: &Message<'_>,
        ties: Option<&Ties<'_>>,
        keys: &Keys<'_>,
        arrival: &Arrival,
    ) -> Option<(u32, LinkedBy, Option<StepId>)> {
        if keys.opens()
            && let Some(index) = self.challenged_call(message, keys, arrival)
        {
            return Some((index, LinkedBy::Challenge, None));
        }
        if !keys.is_request {
            return self.call_of_unseen_request(message, keys, arrival);
        }
        let ties = ties?;
        if let Some((index, upstream)) = self.redirected_call(message, arrival) {
            return Some((index, LinkedBy::Redirect, upstream));
        }
        let sent_on = self.note_followed_callee(ties, arrival);
        for (hash, key) in &ties.keys {
            let Some(Link::Call(index)) = self.links.get(hash) else { continue };
            let Some(open) = self.open_at(*index) else { continue };
            // Nothing goes on as another leg after days.
            if self.watched_until(open.moved) < self.now {
                continue;
            }
            let Some(upstream) = open.log.continued_by(arrival.path) else { continue };
            if key.is_made_by_each() && !self.carries(*index, upstream, *hash) && !self.is_try_of(*index, arrival, ties)
            {
                continue;
            }
            return Some((*index, key.links_by(), Some(upstream)));
        }
        let (index, step) = self.guessed_call(message, ties, sent_on, arrival)?;
        Some((index, LinkedBy::NumberAndTime, Some(step)))
    }

    /// The open call that an INVITE goes on by number and time, and the step that it continues: first at the host that
    /// the last one went to, then elsewhere, then where its callee was seen to be sent on to.
    fn guessed_call(
        &self,
        message: &Message<'_>,
        ties: &Ties<'_>,
        sent_on: Option<(u32, StepId)>,
        arrival: &Arrival,
    ) -> Option<(u32, StepId)> {
        let (path, now) = (arrival.path, arrival.place.time);
        let guessed = |attempt: Attempt| (attempt.index, attempt.step);
        let adjacent = self.guesses.fitting(path, ties, now);
        if let Some((attempt, _)) = only(adjacent.filter(|(attempt, path)| self.still_waits(*attempt, *path))) {
            return Some(guessed(attempt));
        }
        if let Some(tried) = self.goes_on_after(self.guesses.last_try(path, ties), arrival) {
            return Some(tried);
        }
        let elsewhere = self.guesses.fitting_elsewhere(ties, now);
        if let Some((attempt, _)) = only(elsewhere.filter(|(attempt, _)| self.continues(*attempt, path))) {
            return Some(guessed(attempt));
        }
        if sent_on.is_some() {
            return sent_on;
        }
        if let Some(attempt) = self.call_at_a_twin(message, ties, arrival) {
            return Some(guessed(attempt));
        }
        let is_diverted = || message.header("Diversion").or_else(|| message.header("History-Info")).is_some();
        let at_host = self.guesses.fitting_host(path, ties, is_diverted, now);
        match only(at_host.filter(|(attempt, path)| self.still_waits(*attempt, *path))) {
            Some((attempt, _)) => Some(guessed(attempt)),
            None => self.goes_on_after(self.guesses.last_try_for(path, ties), arrival),
        }
    }

    /// The open call that a request continued which was not captured: its response is the first message with its
    /// Call-ID.
    fn call_of_unseen_request(
        &mut self,
        message: &Message<'_>,
        keys: &Keys<'_>,
        arrival: &Arrival,
    ) -> Option<(u32, LinkedBy, Option<StepId>)> {
        if let Some(index) = self.challenged_call_of_response(message, keys, arrival) {
            return Some((index, LinkedBy::Challenge, None));
        }
        if keys.cseq.method != Method::Invite {
            return None;
        }
        if let Some(index) = self.redirected_call_of_response(message, arrival) {
            return Some((index, LinkedBy::Redirect, None));
        }
        let attempt = self.guessed_call_of_response(message, keys, arrival)?;
        Some((attempt.index, LinkedBy::NumberAndTime, Some(attempt.step)))
    }

    /// The INVITE that a system with several addresses goes on with from one at which nothing for this number came in:
    /// the only one for it at an address where the same software was seen.
    fn call_at_a_twin(&self, message: &Message<'_>, ties: &Ties<'_>, arrival: &Arrival) -> Option<Attempt> {
        let (path, now) = (arrival.path, arrival.place.time);
        // Most software is seen at one address, or at very many.
        let mut twins = self.twins_of(message, path.source.ip()).peekable();
        twins.peek()?;
        if self.guesses.fitting(path, ties, now).next().is_some() {
            return None;
        }
        let fitting = twins.flat_map(|twin| self.guesses.fitting_at(twin, path, ties, now));
        let goes_on =
            |(attempt, before): &(Attempt, Path)| self.still_waits(*attempt, *before) && self.continues(*attempt, path);
        only(fitting.filter(goes_on)).map(|(attempt, _)| attempt)
    }

    /// The same for an INVITE of which only responses are captured: the only one for the number in To at the host that
    /// they go to.
    fn guessed_call_of_response(&self, message: &Message<'_>, keys: &Keys<'_>, arrival: &Arrival) -> Option<Attempt> {
        let is_of_first_invite = keys.status.is_some_and(|status| match status.get() {
            100 => keys.to_tag.is_empty(),
            // An INVITE within a dialog gets these, too.
            408 | 481 | 488 | 491 | 500 => false,
            code => (180..190).contains(&code) || code >= 300,
        });
        let called = message.to().filter(|_| is_of_first_invite)?.uri;
        let (path, called) = (arrival.path.reversed(), number_or_name(&called));
        let fitting = self.guesses.fitting_number(path, &called, arrival.place.time);
        only(fitting.filter(|(attempt, path)| self.still_waits(*attempt, *path))).map(|(attempt, _)| attempt)
    }

    /// True if the INVITE of a step carries a key itself. Otherwise another leg that its receiver opened brought the
    /// key in.
    fn carries(&self, index: u32, step: StepId, key: u64) -> bool {
        let invite = self.open_at(index).and_then(|open| open.log.invite_of(step, &self.pool));
        invite.is_some_and(|invite| Ties::of(&invite, &self.hasher).keys.iter().any(|(hash, _)| *hash == key))
    }

    /// True if the last try of the same parties from the same system belongs to this call.
    fn is_try_of(&self, index: u32, arrival: &Arrival, ties: &Ties<'_>) -> bool {
        let is_it = |attempt: Attempt| attempt.index == index && self.still_open(index, attempt.call).is_some();
        self.guesses.last_try(arrival.path, ties).is_some_and(is_it)
    }

    /// The open call of which a system opens another leg, at once with the one before or after that has just failed:
    /// the try before was for the same caller, and whoever called the system still waits. With the step that the leg
    /// continues.
    fn goes_on_after(&self, try_before: Option<Attempt>, arrival: &Arrival) -> Option<(u32, StepId)> {
        let attempt = try_before?;
        let open = self.still_open(attempt.index, attempt.call)?;
        let upstream = open.log.continued_by(arrival.path).filter(|upstream| *upstream != attempt.step);
        let upstream = upstream.or_else(|| open.log.continued_as(attempt.step))?;
        let is_elsewhere =
            open.log.path_of(attempt.step).is_some_and(|path| path.destination != arrival.path.destination);
        let is_another =
            open.log.was_just_sent(attempt.step, self.now) || open.log.waits_in_vain(attempt.step, self.now);
        let goes_on = open.log.was_just_refused(attempt.step, self.now) || (is_elsewhere && is_another);
        goes_on.then_some((attempt.index, upstream))
    }

    /// True if it is the INVITE of its call that one on this path may continue.
    fn continues(&self, attempt: Attempt, path: Path) -> bool {
        let open = self.still_open(attempt.index, attempt.call);
        open.is_some_and(|open| open.log.continued_by(path) == Some(attempt.step))
    }

    fn still_waits(&self, attempt: Attempt, path: Path) -> bool {
        self.still_open(attempt.index, attempt.call).is_some_and(|open| open.log.waits(attempt.step, path))
    }

    fn note_link(&mut self, key: u64, index: u32) {
        // The same key in two calls that are not linked identifies neither, nor any other as long as INVITEs may wait
        // that carry it: some stacks send a constant one.
        let is_shared = match self.links.get(&key) {
            Some(Link::Call(call)) if *call == index => return,
            Some(Link::Call(call)) => !self.is_kept_for_late(*call),
            Some(Link::Ambiguous(seen)) => self.now.since(*seen) <= timer::GIVE_UP,
            None if self.links.len() >= MOST_LINKS => return,
            None => false,
        };
        if is_shared {
            self.links.insert(key, Link::Ambiguous(self.now));
            return;
        }
        self.links.insert(key, Link::Call(index));
        if let Some(open) = self.open.get_mut(index as usize).and_then(Option::as_deref_mut) {
            open.keys.push(key);
        }
    }

    /// True for a call that has ended, and is only kept for what may be late of it.
    fn is_kept_for_late(&self, index: u32) -> bool {
        let open = self.open_at(index);
        open.is_none_or(|open| open.is_over_by(self.now))
    }

    /// Notes an INVITE that waits, and its keys: they may stand in a later try only, if the first was challenged.
    pub(super) fn note_attempt(&mut self, index: u32, step: StepId, ties: &Ties<'_>, path: Path) {
        let Some(open) = self.open_at(index) else { return };
        let attempt = Attempt { index, call: open.log.number, step };
        // Only who was called may send the next try for the same caller to another number.
        let is_of_legs = open.log.has_legs();
        self.guesses.note(attempt, path, ties, self.now);
        if is_of_legs {
            self.guesses.note_caller(attempt, path, ties);
        }
        for (hash, _) in &ties.keys {
            self.note_link(*hash, index);
        }
    }
}

/// The one that fits; a guess that fits two calls is none.
pub(super) fn only(mut fitting: impl Iterator<Item = (Attempt, Path)>) -> Option<(Attempt, Path)> {
    let (attempt, path) = fitting.next()?;
    (!fitting.any(|(other, _)| other.call != attempt.call)).then_some((attempt, path))
}
