//! What an open call waits for, and whether it is plainly good.

use std::time::Duration;

use crate::call::judge::Outcome;
use crate::call::log::{Log, Step, Verb, What};
use crate::call::model::Kind;
use crate::capture::Timestamp;
use crate::net::Path;

/// What a call waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub(crate) enum Phase {
    /// Nothing: everything in it has its end.
    Settled,
    /// An answer, an ACK, or a retry.
    #[default]
    Waiting,
    /// A callee who rings.
    Ringing,
    /// The end of a conversation.
    Talking,
}

/// For late copies, and for a new try under another Call-ID.
const SETTLED: Duration = Duration::from_secs(5);
/// For the first late copy: who misses the ACK to its response, or the response to its request, sends it again after T1,
/// 500 ms (RFC 3261 §17.1.2.1, §17.2.1), or a little more where the round trip takes longer.
const FIRST_COPY: Duration = Duration::from_millis(1500);
/// For a request of a party that did not hear of the end of its dialog: at the latest its session timer has run by then
/// (1800 s if nobody wants less, RFC 4028 §4.2).
const LATE: Duration = Duration::from_secs(2000);
/// For the NOTIFY that tells how a transfer ended (RFC 3515 §2.4.4): its target may ring.
const TRANSFERRED: Duration = Duration::from_secs(180);
/// Timers B and F, and a little more.
const WAITING: Duration = Duration::from_secs(40);
/// A client may ask its user for the secret.
const CHALLENGED: Duration = Duration::from_secs(180);
/// Well beyond timer C.
const RINGING: Duration = Duration::from_secs(420);

/// An ACK comes this soon (T1, RFC 3261 §17.1.1.1), and so does the next try of a client that needs to ask nobody.
const NEXT_STEP: Duration = Duration::from_millis(500);

/// Whether there is time and room to wait for what may come late.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub(crate) enum Leisure {
    /// For all that may come of an ended call.
    #[default]
    Ample,
    /// For what usually comes.
    Some,
    /// For what comes at once: many calls want their room.
    None,
}

/// What can be said of a call before it has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum EarlyWord {
    /// Nothing.
    None,
    /// It was answered.
    Answered,
    /// It has failed, if nothing else comes within this time.
    Failed(Duration),
    /// Nobody has answered anything so far.
    Silent,
}

/// A call that lasts no longer than this after its answer is looked at.
const AT_ONCE: Duration = Duration::from_secs(3);

impl Log {
    /// What it waits for.
    pub(crate) fn phase(&self) -> Phase {
        if self.is_talking() {
            return Phase::Talking;
        }
        let settled = self.settled as usize;
        let mut phase = if self.steps.is_empty() { Phase::Waiting } else { Phase::Settled };
        for (index, step) in (settled..).zip(self.steps.get(settled..).unwrap_or_default()) {
            phase = phase.max(self.phase_of(index, step));
        }
        match phase {
            Phase::Settled if self.has_standing_leg() => Phase::Waiting,
            phase => phase,
        }
    }

    /// True if it was answered, and nobody has hung up: the same as that its phase is [`Phase::Talking`].
    pub(super) fn is_talking(&self) -> bool {
        self.byes == 0 && self.answered.is_some()
    }

    /// True if a party hung up, and on the way of another Call-ID of the call there is no BYE: the system between them
    /// may have forgotten that leg.
    fn has_standing_leg(&self) -> bool {
        if self.links.is_empty() || self.byes == 0 {
            return false;
        }
        let hosts = |step: &Step| self.path(step.way).map(|path| (path.source.ip(), path.destination.ip()));
        let is_ended = |(one, other)| {
            let mut ended = self.steps.iter().filter(|step| step.method == Verb::Bye).filter_map(hosts);
            ended.any(|ends| ends == (one, other) || ends == (other, one))
        };
        let mut answered = self.steps.iter().filter(|step| step.is_attempt() && step.is_good()).filter_map(hosts);
        answered.any(|ends| !is_ended(ends))
    }

    /// Passes over the first steps that are settled: they stay so, and a long call is not looked through for each
    /// message.
    pub(super) fn pass_settled(&mut self) {
        while let Some(step) = self.steps.get(self.settled as usize)
            && self.phase_of(self.settled as usize, step) == Phase::Settled
        {
            self.settled += 1;
        }
    }

    /// How long the phase may last after the last message; `None` while people talk.
    pub(crate) fn patience(&self, phase: Phase, leisure: Leisure) -> Option<Duration> {
        let is_challenged = self.steps.last().is_some_and(|step| matches!(step.status, 401 | 407));
        match phase {
            Phase::Settled if self.is_transferring => Some(TRANSFERRED),
            _ if leisure == Leisure::Ample && self.may_go_on(phase) => Some(LATE),
            Phase::Settled if leisure == Leisure::None && self.is_unrepeated_call() => Some(FIRST_COPY),
            Phase::Settled => Some(SETTLED),
            Phase::Waiting if is_challenged => Some(CHALLENGED),
            Phase::Waiting => Some(WAITING),
            Phase::Ringing => Some(RINGING),
            Phase::Talking => None,
        }
    }

    /// True for a call of which no message was sent again.
    fn is_unrepeated_call(&self) -> bool {
        self.kind == Kind::Call && self.distinct as usize == self.entries.len()
    }

    /// True for a call that one party has ended: the other one may not know it. And for a subscription, whose next
    /// report may come late, and be refused.
    fn may_go_on(&self, phase: Phase) -> bool {
        match self.kind {
            Kind::Call => phase == Phase::Settled || phase == Phase::Waiting && self.byes > 0,
            Kind::Subscription => phase == Phase::Settled,
            _ => false,
        }
    }

    /// When its first message was captured.
    pub(crate) fn started(&self) -> Option<Timestamp> {
        Some(self.entries.first()?.place.time)
    }

    /// The path of its first message.
    pub(crate) fn first_path(&self) -> Option<Path> {
        self.path(self.entries.first()?.way)
    }

    fn phase_of(&self, index: usize, step: &Step) -> Phase {
        match step.status {
            0 if step.method == Verb::Invite && step.provisional => Phase::Ringing,
            0 => Phase::Waiting,
            401 | 407 if !self.has_later(index, step) => Phase::Waiting,
            200..300 if step.upstream_hash != 0 => Phase::Settled,
            _ if step.method == Verb::Invite && !step.acked => Phase::Waiting,
            _ => Phase::Settled,
        }
    }

    fn has_later(&self, index: usize, step: &Step) -> bool {
        self.steps.get(index + 1..).unwrap_or_default().iter().any(|later| later.method == step.method)
    }

    /// The clock was set: what was heard so far is told by the new one, so that it lasts as long as it did.
    pub(crate) fn clock_set(&mut self, nanoseconds: i64) {
        let shift = |time: &mut Timestamp| time.0 = time.0.saturating_add(nanoseconds);
        self.entries.iter_mut().for_each(|entry| shift(&mut entry.place.time));
        self.icmp.iter_mut().for_each(|(icmp, _)| shift(&mut icmp.place.time));
        self.answered.iter_mut().for_each(shift);
        self.fork.clock_set(nanoseconds);
    }

    /// How far it has come: its steps, and those of them that have their end.
    pub(crate) fn progress(&self) -> (u32, u32) {
        let decided = self.steps.iter().filter(|step| step.status != 0).count();
        (self.steps.len() as u32, decided as u32)
    }

    /// What can be said of it before it has ended.
    pub(crate) fn early_word(&self, phase: Phase) -> EarlyWord {
        let Some(first) = self.steps.first().filter(|step| !step.in_dialog) else { return EarlyWord::None };
        let opening = |step: &&Step| step.method == first.method && !step.in_dialog;
        if self.answered.is_some() {
            return if phase == Phase::Talking && self.kind == Kind::Call && self.steps.iter().any(|step| step.acked) {
                EarlyWord::Answered
            } else {
                EarlyWord::None
            };
        }
        let is_silent = |step: &Step| step.status == 0 && !step.provisional;
        if self.steps.iter().filter(opening).all(is_silent) {
            return if self.icmp.is_empty() { EarlyWord::Silent } else { EarlyWord::Failed(NEXT_STEP) };
        }
        // As long as one try is open, the call has not failed.
        if self.steps.iter().filter(opening).any(|step| step.status == 0) {
            return EarlyWord::None;
        }
        let Some(last) = self.steps.iter().rfind(opening) else { return EarlyWord::None };
        match last.status {
            // The first challenge is answered; who is challenged in the same way again showed the wrong secret.
            status @ (401 | 407) => {
                let again = self.steps.iter().filter(opening).filter(|step| step.status == status).count() > 1;
                if again { EarlyWord::Failed(NEXT_STEP) } else { EarlyWord::None }
            }
            300.. if phase == Phase::Settled => EarlyWord::Failed(Duration::ZERO),
            300.. => EarlyWord::Failed(NEXT_STEP),
            _ => EarlyWord::None,
        }
    }

    /// How far it has come, if it waits for something and has not failed.
    pub(crate) fn unfinished(&self) -> Option<Outcome> {
        if self.has_failed() || self.phase() == Phase::Settled || !self.icmp.is_empty() {
            return None;
        }
        Some(if self.answered.is_some() { Outcome::Answered } else { Outcome::Unfinished })
    }

    /// True if it has failed, as far as can be told before it is judged: such calls are dropped last.
    pub(crate) fn has_failed(&self) -> bool {
        self.answered.is_none() && self.steps.iter().any(|step| step.status >= 300 && !matches!(step.status, 401 | 407))
    }

    /// How it ended, if it is a plain good call in which nothing needs explaining: every request answered with success,
    /// challenges answered, INVITEs acknowledged, nothing sent more than twice, nothing left open, no session timer
    /// near.
    pub(crate) fn plainly_good(&self) -> Option<Outcome> {
        if self.is_special || !self.icmp.is_empty() || self.phase() != Phase::Settled {
            return None;
        }
        if self.is_near_session_timer() || self.ended_at_once() || self.asks_for_foreign_media() {
            return None;
        }
        let last_is_good = |verb: Verb| self.steps.iter().rfind(|step| step.method == verb).is_some_and(Step::is_good);
        let first = self.steps.first().filter(|step| !step.in_dialog)?;
        match self.kind {
            Kind::Call => {
                let all_good = |verb| self.steps.iter().filter(|step| step.method == verb).all(Step::is_good);
                let ends_well = self.byes > 0 && all_good(Verb::Bye);
                (first.method == Verb::Invite && last_is_good(Verb::Invite) && ends_well).then_some(Outcome::Answered)
            }
            Kind::Registration => last_is_good(first.method).then_some(Outcome::Registered),
            Kind::Options | Kind::Message => last_is_good(first.method).then_some(Outcome::Accepted),
            Kind::Subscription | Kind::Other => None,
        }
    }

    /// A call that ended right after it was answered may have ended because of its answer.
    fn ended_at_once(&self) -> bool {
        let Some(answered) = self.answered.filter(|_| self.kind == Kind::Call) else { return false };
        self.lasted_since(answered) < AT_ONCE
    }

    /// A call that lasted at least half its session interval may have ended by it (RFC 4028 §10).
    fn is_near_session_timer(&self) -> bool {
        let (Some(answered), Some(seconds)) = (self.answered, self.session_expires) else { return false };
        self.lasted_since(answered) >= Duration::from_secs(u64::from(seconds / 2).saturating_sub(1))
    }

    /// How long after its answer its last message came, copies left out.
    fn lasted_since(&self, answered: Timestamp) -> Duration {
        let last = self.entries.iter().rfind(|entry| matches!(entry.what, What::Message { .. }));
        last.map_or(Duration::ZERO, |last| last.place.time.since(answered))
    }
}
