//! What a rule sees: one call, and what is known around it.

use std::borrow::Cow;
use std::net::IpAddr;
use std::time::Duration;

use crate::call::timer;
use crate::call::{
    BackOff, Call, Failure, Granted, Heard, Kind, LinkedBy, Outcome, Registered, Surroundings, Transaction,
    TransactionId,
};
use crate::capture::{Place, Timestamp};
use crate::diagnosis::behind::Behind;
use crate::diagnosis::capture_case::{Tally, Witness};
use crate::diagnosis::finding::{Confidence, Finding, Role};
use crate::diagnosis::meanwhile::RefusedTries;
use crate::diagnosis::scanners::{Probing, ProbingBySource, is_probe, tool_of};
use crate::diagnosis::words::{a_code, alerts, length};
use crate::sip::{NameAddr, StatusCode, Uri, q850_cause};

/// Copies of a request after its response that show that the response did not count.
pub(crate) const ENOUGH_COPIES: usize = 2;
/// Repeats of a message that show that its sender does not hear what should end them: a single one may have crossed it.
pub(crate) const ENOUGH_REPEATS: u32 = 2;

/// Who is busy, or not there, is told to be so within this time.
pub(crate) const SOON: Duration = Duration::from_secs(5);

/// Retry-After counts in whole seconds (RFC 3261 §20.33): who keeps it may come a little early by the clock of a
/// capture.
const WHOLE_SECOND: Duration = Duration::from_secs(1);

/// An exchange that tells its caller what happened behind it does so within this time.
const TOLD_AT_ONCE: Duration = Duration::from_millis(500);

/// What is known of the capture as a whole when a call is diagnosed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct CaptureSeen {
    /// Packets that the capturing system says it dropped (J9).
    pub drops: u64,
    /// Until when the capture was read.
    pub until: Timestamp,
}

/// A call that has ended, and what is known around it.
#[derive(Debug, Clone, Copy)]
pub struct Case<'a> {
    /// The call.
    pub call: &'a Call,
    /// Its surroundings.
    pub surroundings: &'a Surroundings,
    /// The capture.
    pub capture: CaptureSeen,
    /// The failure that decided the outcome, as the caller got it, and where it arose: most rules ask for it.
    failure: Option<(&'a Failure, &'a Failure)>,
    /// True if the response that decided says nothing in words, beyond its code.
    is_refusal_silent: bool,
    /// What its Reason names that happened behind the one who refused.
    behind: Option<Behind>,
    /// What the calls before and beside this one tell.
    tally: Option<&'a Tally>,
    wanted: Wanted,
}

/// What is wanted of the rules that hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wanted {
    /// All that they can say.
    Words,
    /// What they explain, how surely, and who is responsible.
    Verdict,
}

impl<'a> Case<'a> {
    /// The case of a call.
    pub fn new(call: &'a Call, surroundings: &'a Surroundings, capture: CaptureSeen) -> Case<'a> {
        let (tally, wanted) = (None, Wanted::Words);
        let (failure, behind, is_refusal_silent) = (None, None, false);
        let case = Case { call, surroundings, capture, failure, is_refusal_silent, behind, tally, wanted };
        let failure = case.find_outer_failure().map(|outer| (outer, case.find_origin(outer)));
        let is_refusal_silent = failure.is_some_and(|(_, origin)| !case.says_anything(case.response(origin)));
        let case = Case { failure, is_refusal_silent, ..case };
        let behind = failure.filter(|_| !is_refusal_silent).and_then(|(_, origin)| case.find_behind(origin));
        Case { behind, ..case }
    }

    /// The same case, with what was counted over the calls before and beside this one.
    pub(crate) fn beside(self, tally: &'a Tally) -> Case<'a> {
        Case { tally: Some(tally), ..self }
    }

    /// The INVITEs that were refused in those calls.
    pub(super) fn refused_tries(&self) -> Option<&'a RefusedTries> {
        self.tally.map(|tally| &tally.refused)
    }

    /// Who asks for many users, as far as those calls tell.
    fn probing(&self) -> Option<&'a ProbingBySource> {
        self.tally.map(|tally| &tally.probing)
    }

    /// True if other messages show that what came back to the sender of a request is not in this capture.
    pub(crate) fn is_hop_one_way(&self, request: &Heard) -> bool {
        let (from, to) = (request.path.source.ip(), request.path.destination.ip());
        let is_of_hop = |seen: &Witness| seen.path.source.ip() == from && seen.path.destination.ip() == to;
        let is_known = self.tally.is_some_and(|tally| tally.one_way.iter().any(is_of_hop));
        is_known && self.surroundings.hop(to, from).is_none()
    }

    /// The same case, for those who do not read words.
    pub(crate) fn for_verdict(self) -> Case<'a> {
        Case { wanted: Wanted::Verdict, ..self }
    }

    /// True if the words of a rule will be read: else it may stop at what it explains, how surely and who is
    /// responsible.
    pub(crate) fn wants_words(&self) -> bool {
        self.wanted == Wanted::Words
    }

    /// What a failure's Reason names that happened behind the one who refused.
    pub(super) fn told_behind(&self, failure: &Failure) -> Option<Behind> {
        match self.failure {
            Some((_, arose)) if arose.response == failure.response => self.behind,
            _ => self.find_behind(failure),
        }
    }

    /// True if the response that decided the failure says nothing in words, beyond its code, as most.
    pub(crate) fn is_refusal_silent(&self) -> bool {
        self.is_refusal_silent
    }

    /// The field and the value in which the first request of the call names a scanning tool.
    pub(crate) fn scanning_tool(&self) -> Option<(&'static str, String)> {
        if self.probing().is_some_and(|probing| !probing.may_name_a_tool(self.call)) {
            return None;
        }
        let first = self.call.messages.iter().find(|heard| heard.message.is_request())?;
        tool_of(&first.message)
    }

    /// What else the source of a registration asked for, if it tries one user after the other and none was accepted.
    pub(crate) fn tried_users(&self) -> Option<&'a Probing> {
        let probing = self.probing().filter(|_| self.call.kind == Kind::Registration)?;
        let first = self.call.messages.iter().find(|heard| heard.message.is_request())?;
        let source = probing.of(first.path.source.ip()).filter(|source| source.tries_users())?;
        is_probe(self.call).then_some(source)
    }

    /// What speaks for an attack by the source of a request, as the end of a sentence: many requests at once, or many
    /// users none of whom it got. Such a source is not to be let in on the word of a refusal.
    pub(crate) fn suspicion(&self, request: &Heard) -> Option<String> {
        let source = request.path.source.ip();
        if let Some(flood) = self.surroundings.neighbours().flood(source) {
            return Some(format!("sent up to {} requests within a second", flood.most));
        }
        let probing = self.probing()?.of(source).filter(|source| source.tries_users())?;
        Some(format!("asked for {} different users within a minute, and none was accepted", probing.users.len()))
    }

    /// The transaction that decided how the call ended for the caller: the last try of the opening request.
    pub fn deciding(&self) -> Option<&'a Transaction> {
        match self.call.kind {
            Kind::Call => self.call.attempts().last(),
            _ => {
                let opening = &self.call.transactions.first()?.method;
                let own =
                    || self.call.transactions.iter().rev().filter(|t| t.upstream.is_none() && t.method == *opening);
                let last = own().next().filter(|last| !last.finals.is_empty());
                // The last try may still be open while an earlier one was decided.
                let is_decided = |known: &&Transaction| !known.finals.is_empty() && !self.call.is_step(known);
                last.or_else(|| own().find(is_decided)).or_else(|| own().next())
            }
        }
    }

    /// The failure that decided the outcome, as the caller got it. `None` if the call did not fail by a response.
    pub fn outer_failure(&self) -> Option<&'a Failure> {
        self.failure.map(|(outer, _)| outer)
    }

    fn find_outer_failure(&self) -> Option<&'a Failure> {
        let deciding = self.deciding()?;
        let failure = self.call.failures.iter().rev().find(|failure| failure.transaction == deciding.id)?;
        let succeeded = self.call.answer_to(deciding).is_some();
        let says_why = !succeeded && !failure.only_ends_cancelled();
        let is_answered = self.call.is_answered() || self.call.outcome == Outcome::Answered;
        (says_why && !is_answered && !self.is_unheard(deciding)).then_some(failure)
    }

    /// True if the client went on repeating a request after its final response, and never acted on it: the response did
    /// not arrive, and its code is not what ended the call for the client.
    fn is_unheard(&self, transaction: &Transaction) -> bool {
        let Some(request) = self.call.request_of(transaction) else { return false };
        let Some(response) = transaction.finals.first().map(|id| self.call.message(*id)) else { return false };
        let acted = !transaction.acks.is_empty() || transaction.cancelled_by.is_some();
        let after = request.repeats.iter().filter(|repeat| **repeat > response.place).count();
        !transaction.in_dialog && !acted && !request.path.transport.is_reliable() && after >= ENOUGH_COPIES
    }

    /// The failure that decided the outcome, on the hop where it arose: a proxy or B2BUA passes a code on, and may
    /// rewrite it, so the innermost hop tells more.
    pub fn failure(&self) -> Option<&'a Failure> {
        self.failure.map(|(_, arose)| arose)
    }

    fn find_origin(&self, outer: &'a Failure) -> &'a Failure {
        if self.call.transactions.len() == 1 {
            return outer; // There is no hop behind it.
        }
        let mut arose = outer;
        let is_rewritten_challenge = |failure: &&Failure| failure.normal.is_none() && !outer.status.is_challenge();
        for _ in 0..32 {
            let until = self.call.message(arose.response).place;
            let behind = self
                .call
                .downstream_of(arose.transaction)
                .filter_map(|transaction| {
                    self.call.failures.iter().find(|failure| failure.transaction == transaction.id)
                })
                .filter(|failure| !failure.status.is_challenge() || is_rewritten_challenge(failure))
                .filter(|failure| !failure.only_ends_cancelled() && !self.is_given_up_for_want(failure, arose))
                .filter(|failure| self.call.message(failure.response).place <= until)
                .filter(|failure| self.may_be_told_as(failure, arose));
            // Who hunts on after the word of the callee is told something else in the end, and that is why no less.
            if let Some(reached) = self.reached_before(arose) {
                arose = reached;
                continue;
            }
            // The branch whose code was passed on; where the code was rewritten, the last one to fail.
            let mut candidates: Vec<&Failure> = behind.collect();
            candidates
                .sort_by_key(|failure| (failure.status == arose.status, self.call.message(failure.response).place));
            match candidates.last() {
                Some(inner) if !self.timed_out_beside(arose, inner) => arose = inner,
                _ => break,
            }
        }
        arose
    }

    /// True if a 487 only ends what the hop before it cancelled by itself, and that hop names a resource that it lacks.
    fn is_given_up_for_want(&self, inner: &Failure, outer: &Failure) -> bool {
        let names_want = || matches!(self.q850(self.response(outer)), Some(34 | 42 | 44 | 47));
        self.is_own_cancel(self.call.transaction(inner.transaction)) && names_want()
    }

    /// True if a failure may be what the hop before it was told. On a leg that is joined by a guess another code came
    /// from there only where it was told at once, or after an announcement: meanwhile another try may have failed,
    /// unseen or under numbers of its own.
    pub(super) fn may_be_told_as(&self, inner: &Failure, outer: &Failure) -> bool {
        let leg = self.call.leg(self.call.transaction(inner.transaction).leg);
        if inner.status == outer.status || leg.linked_by != Some(LinkedBy::NumberAndTime) {
            return true;
        }
        let (failed, told) = (self.response(inner).place, self.response(outer).place);
        let since = |heard: &&Heard| failed < heard.place;
        let mut between = self.provisionals(self.call.transaction(outer.transaction)).filter(since).peekable();
        let is_announced = between.peek().is_some() && !between.any(alerts);
        told.time.since(failed.time) <= TOLD_AT_ONCE || is_announced
    }

    /// The failure that decided the outcome, if it is a challenge that nobody met: as the caller got it, or on the leg
    /// behind a B2BUA that told its caller another code.
    pub(crate) fn challenge(&self) -> Option<&'a Failure> {
        let (outer, arose) = self.failure?;
        [outer, arose].into_iter().find(|failure| failure.status.is_challenge())
    }

    /// The failure that decided the outcome, if one of these codes tells what happened where it arose.
    pub fn failure_with(&self, codes: &[u16]) -> Option<&'a Failure> {
        self.failure().filter(|failure| codes.contains(&self.code(failure)))
    }

    /// True if the leg on which it arose is joined to the others by a guess.
    pub(super) fn failed_on_a_guessed_leg(&self) -> bool {
        let leg = self.failure().map(|failure| self.call.leg(self.call.transaction(failure.transaction).leg));
        leg.is_some_and(|leg| leg.linked_by == Some(LinkedBy::NumberAndTime))
    }

    /// The response of a failure.
    pub fn response(&self, failure: &Failure) -> &'a Heard {
        self.call.message(failure.response)
    }

    /// The request of a failure; `None` if it was not captured.
    pub fn request(&self, failure: &Failure) -> Option<&'a Heard> {
        self.call.request_of(self.call.transaction(failure.transaction))
    }

    /// True if 180 came on any hop: a device rang, and not only an announcement was played (RFC 3261 §21.1.2, §21.1.5).
    pub fn was_alerting(&self) -> bool {
        self.call.messages.iter().any(alerts)
    }

    /// The first 180 or 183 to 189 before the final response on any hop of this INVITE, inner or outer: the callee's
    /// side was reached. A 181 or 182 says that the call is forwarded, or waits in a queue (RFC 3261 §21.1.3, §21.1.4).
    pub fn ringing(&self, transaction: TransactionId) -> Option<&'a Heard> {
        self.first_provisional(transaction, |status| matches!(status.get(), 180 | 183..190))
    }

    /// The first 180 before the final response on any hop of this INVITE: a device rang. A 183 may be an announcement.
    pub fn alerting(&self, transaction: TransactionId) -> Option<&'a Heard> {
        self.first_provisional(transaction, |status| status.get() == 180)
    }

    /// What tells how long a call was under way before its end: the 180 that says that it rings, else the first of 181
    /// to 189.
    pub fn alerting_or_progress(&self, transaction: TransactionId) -> Option<&'a Heard> {
        self.alerting(transaction)
            .or_else(|| self.first_provisional(transaction, |status| (180..190).contains(&status.get())))
    }

    /// What shows that somebody had time to answer before a failure: a response that says that the callee's side was
    /// reached; or long before it one that the call is forwarded or queued, for there something may have rung.
    pub(crate) fn rang_or_waited(&self, failure: &Failure) -> Option<&'a Heard> {
        let waited = |heard: &&Heard| self.response(failure).place.time.since(heard.place.time) > SOON;
        let reached = self.alerting(failure.transaction).or_else(|| self.ringing(failure.transaction));
        reached.or_else(|| self.alerting_or_progress(failure.transaction).filter(waited))
    }

    /// That nothing before the final response of this INVITE says that the callee's side was reached, as a rival is
    /// refuted; `None` where something does.
    pub(crate) fn no_ringing(&self, transaction: TransactionId) -> Option<String> {
        match (self.ringing(transaction), self.alerting_or_progress(transaction)) {
            (Some(_), _) => None,
            (None, Some(progress)) => {
                Some(format!("only {} was seen before it, which does not say that a device rings", a_code(progress)))
            }
            (None, None) => Some("no 180 to 189 was seen before it".to_owned()),
        }
    }

    fn first_provisional(
        &self,
        transaction: TransactionId,
        is_wanted: impl Fn(StatusCode) -> bool,
    ) -> Option<&'a Heard> {
        let rings = |heard: &Heard| heard.message.status().is_some_and(&is_wanted);
        if !self.call.messages.iter().any(rings) {
            return None; // On no hop at all: so it is where a call is refused at once.
        }
        // What came before a request was sent is not of it: a B2BUA tells its caller of a forwarding before it
        // forwards.
        let asked = self.call.request_of(self.call.transaction(transaction)).map(|request| request.place);
        let mut related = vec![transaction];
        let mut next = self.call.transaction(transaction).upstream;
        // What rang on another branch of a fork did not ring here.
        while let Some(id) = next.filter(|id| !related.contains(id) && self.call.downstream_of(*id).nth(1).is_none()) {
            related.push(id);
            next = self.call.transaction(id).upstream;
        }
        let mut at = 0;
        while let Some(id) = related.get(at).copied() {
            at += 1;
            related.extend(
                self.call
                    .downstream_of(id)
                    .map(|inner| inner.id)
                    .filter(|id| !related.contains(id))
                    .collect::<Vec<_>>(),
            );
        }
        let mut rung: Vec<&Heard> = related
            .iter()
            .flat_map(|id| &self.call.transaction(*id).provisionals)
            .map(|id| self.call.message(*id))
            .filter(|heard| rings(heard) && asked.is_none_or(|asked| asked < heard.place))
            .collect();
        rung.sort_by_key(|heard| heard.place);
        rung.first().copied()
    }

    /// The Request-URI of a failed request, read.
    pub fn target(&self, failure: &Failure) -> Option<&'a Uri> {
        self.request(failure)?.message.target()
    }

    /// Whom a failed request was for: its Request-URI, or To of the response where the capture does not hold it.
    pub fn asked_for(&self, failure: &Failure) -> Option<Cow<'a, Uri>> {
        match self.request(failure) {
            Some(request) => request.message.target().map(Cow::Borrowed),
            None => Some(Cow::Owned(self.response(failure).message.to()?.parsed())),
        }
    }

    /// The claim of whom a failed request was for, where that is read.
    pub(crate) fn claim_asked_for(&self, finding: Finding, failure: &Failure, says: &str) -> Finding {
        match self.request(failure) {
            Some(request) => finding.claim_request_uri(request, says),
            None => finding.claim_header(
                self.response(failure),
                "To",
                "whom the response is about; the request is not in the capture",
            ),
        }
    }

    /// The URN of the service that was asked for, where it was one and no user or number (RFC 5031).
    pub(crate) fn service_asked_for(&self, failure: &Failure) -> Option<String> {
        self.asked_for(failure).filter(|target| target.is_service()).map(|target| target.service_name())
    }

    /// What is known of the address-of-record that was called, the last that its registrar granted before that, and
    /// when it was called (RFC 3261 §10.3).
    pub(in crate::diagnosis) fn registered(&self) -> Option<(&'a Registered, &'a Granted, Timestamp)> {
        let asked = self.call.request_of(self.deciding()?)?;
        let target = Uri::read(&asked.message.request_uri()?);
        let known = self.surroundings.registrations().of(target.bare_user(), &target.host)?;
        let at = self.asked_at()?;
        let granted = known.granted.iter().rev().find(|granted| granted.place.time <= at)?;
        Some((known, granted, at))
    }

    /// When whoever decided the call was asked: by the copy of the request that its answer came right after, where
    /// nothing had come to those before.
    pub(in crate::diagnosis) fn asked_at(&self) -> Option<Timestamp> {
        let deciding = self.deciding()?;
        let asked = self.call.request_of(deciding)?;
        let answer = self.finals(deciding).last().filter(|_| deciding.provisionals.is_empty());
        let copy = answer.and_then(|answer| asked.repeats.iter().rfind(|copy| **copy < answer.place));
        let is_of_copy = |copy: &&Place| answer.is_some_and(|answer| answer.place.time.since(copy.time) < timer::T1);
        Some(copy.filter(is_of_copy).map_or(asked.place.time, |copy| copy.time))
    }

    /// The registration of the address-of-record that was called, where the first that is seen is granted only after
    /// the call.
    pub(in crate::diagnosis) fn registered_only_later(&self) -> Option<(&'a Registered, &'a Granted)> {
        let asked = self.call.request_of(self.deciding()?)?;
        let target = asked.message.target()?;
        let known =
            self.surroundings.registrations().of(target.bare_user(), &target.host).filter(|known| known.is_whole())?;
        let first = known.granted.first().filter(|granted| granted.until > granted.place.time)?;
        let is_seen_before = known.asked.first().is_some_and(|first| first.place < asked.place);
        (!is_seen_before && asked.place < first.place).then_some((known, first))
    }

    /// The callee as whoever refused it was asked for it: a B2BUA may have made another number of what was dialled, and
    /// that one is known behind it. A name in its place may be no more than the contact of a device.
    pub fn callee(&self, failure: &Failure) -> String {
        let leg = self.call.leg(self.call.transaction(failure.transaction).leg);
        let is_of_b2bua = leg.linked_by.as_ref().is_some_and(|by| !by.is_next_try());
        let number = self.asked_for(failure).filter(|target| is_of_b2bua && target.is_number());
        number.map_or_else(|| self.dialled(failure), |target| target.bare_user().to_owned())
    }

    /// The callee as the caller's request, or else the response, names it: the user, or the host where there is none.
    pub fn dialled(&self, failure: &Failure) -> String {
        let of_to = || self.response(failure).message.to().map(|to| to.parsed());
        let dialled = || self.call.request_of(self.deciding()?)?.message.target();
        let named = dialled().or_else(|| self.target(failure)).cloned();
        let Some(target) = named.or_else(of_to) else { return "the callee".to_owned() };
        if target.user.is_empty() { target.host } else { target.bare_user().to_owned() }
    }

    /// How long it took from a failed request to its response.
    pub fn time_to(&self, failure: &Failure) -> Option<Duration> {
        let since = self.request(failure)?.place.time;
        Some(self.response(failure).place.time.since(since))
    }

    /// The same in the middle of a sentence: ` after 32 s`, and nothing where the capture does not hold the request.
    pub(crate) fn after(&self, failure: &Failure) -> String {
        self.time_to(failure).map(|time| format!(" after {}", length(time))).unwrap_or_default()
    }

    /// The redirect that led to the deciding try: a 3xx to an earlier try of the same request, one of whose Contacts
    /// this one is for.
    pub fn redirected_by(&self) -> Option<&'a Heard> {
        let tries = self.tries();
        let last = tries.last()?;
        let target = last.request.message.target()?;
        tries.iter().rev().skip(1).find_map(|before| {
            let response =
                before.response.filter(|_| before.status().is_some_and(|s| (300..400).contains(&s.get())))?;
            let contacts = response.message.headers("Contact");
            contacts.iter().any(|contact| NameAddr::read(contact).parsed().is_same_target(target)).then_some(response)
        })
    }

    /// A 503 with Retry-After that was in force for the client of a failed request when it was sent.
    pub fn back_off(&self, failure: &Failure) -> Option<&'a BackOff> {
        let request = self.request(failure)?;
        let asked = self.surroundings.back_off_in_force(request)?;
        let early = asked.until.since(request.place.time);
        let is_kept = early < WHOLE_SECOND && early * 2 < asked.until.since(asked.place.time);
        (!is_kept).then_some(asked)
    }

    /// Every value of Reason of a message, read (RFC 3326).
    pub fn reasons<'h>(&self, heard: &'h Heard) -> &'h [crate::sip::Reason] {
        heard.message.reasons()
    }

    /// The Q.850 cause of a message, from its Reason; else from the private header of Asterisk, where it says more than
    /// that the call is over.
    pub fn q850(&self, heard: &Heard) -> Option<u32> {
        q850_cause(&heard.message)
    }

    /// What was asked for, as a sentence names it.
    pub(crate) fn noun(&self) -> &'static str {
        match self.call.kind {
            Kind::Call => "call",
            Kind::Message => "message",
            Kind::Registration => "registration",
            _ => "request",
        }
    }

    /// As what the sender of a response stands in this call: the registrar, a proxy if it passed the request on, else
    /// the UAS.
    pub fn role_of_responder(&self, heard: &Heard) -> Role {
        match self.call.downstream_of(heard.transaction).next() {
            Some(_) => Role::Proxy,
            None if self.call.kind == Kind::Registration => Role::Registrar,
            None => Role::Uas,
        }
    }

    /// True if the response of a failure was made by its sender, and not passed on by it: nothing was sent further.
    pub fn arose_here(&self, failure: &Failure) -> bool {
        self.call.downstream_of(failure.transaction).next().is_none()
    }

    /// How long the capture goes on after a place; a leap of its clock ends it, for what lies behind tells nothing of
    /// how long anything waited.
    pub fn tail(&self, place: Place) -> Duration {
        let leap = self.surroundings.neighbours().leap_after(place.time);
        leap.map_or(self.capture.until, |leap| leap.before).since(place.time)
    }

    /// True if the clock of the capture leapt while the call went on.
    pub fn spans_a_leap(&self) -> bool {
        let leap = self.surroundings.neighbours().leap_after(self.call.started());
        leap.is_some_and(|leap| leap.after <= self.call.ended())
    }

    /// True if SIP from one address to another was seen within a minute of the call.
    pub fn is_visible(&self, from: IpAddr, to: IpAddr) -> bool {
        self.surroundings.is_visible(from, to, self.call.started(), self.call.ended())
    }

    /// How long before a request its destination was heard by its sender for the last time, if it was not heard any
    /// more after that, nor in all that was captured since.
    pub(crate) fn silent_since(&self, request: &Heard) -> Option<Duration> {
        let (from, to) = (request.path.destination.ip(), request.path.source.ip());
        let last = self.surroundings.last_before(from, to, request.place.time)?;
        Some(request.place.time.since(last))
    }

    /// How sure the absence of an answer can be: `governing` is the timer that must have run since the first copy of
    /// the message that waits (64·T1 for requests). Too short is `Unseen`; a direction that was never seen, drops, or
    /// messages that are cut make it `Possible`.
    pub fn absence(&self, waiting: &Heard, governing: Duration) -> Confidence {
        if self.tail(waiting.place) < governing {
            return Confidence::Unseen;
        }
        let answers = waiting.path.reversed();
        let visible = self.is_visible(answers.source.ip(), answers.destination.ip()) || self.shows_way_back(waiting);
        // Where the capture cuts messages as short as this one, an answer may be cut so that it names no transaction.
        let could_be_read = self.capture.drops == 0 && !waiting.message.is_cut();
        if visible && could_be_read { Confidence::Likely } else { Confidence::Possible }
    }

    /// [`Case::absence`] with 64·T1, for requests and for the 2xx that waits for its ACK.
    pub fn absence_of_answer(&self, waiting: &Heard) -> Confidence {
        self.absence(waiting, timer::OVERDUE)
    }

    /// What software an address named, from this call or the surroundings.
    pub fn software(&self, address: IpAddr) -> Option<&'a str> {
        self.surroundings.software(address)
    }
}
