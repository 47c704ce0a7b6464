//! The branches that a request was sent on as, and what a proxy that gave up had got from each (RFC 3261 §16.7, §16.8).

use std::time::Duration;

use crate::call::{Failure, Heard, Transaction, TransactionId, timer};
use crate::capture::Place;
use crate::diagnosis::case::Case;
use crate::diagnosis::finding::{Confidence, Finding};
use crate::diagnosis::words::{length, list, times};
use crate::net::Undelivered;
use crate::sip::{Method, NameAddr, StatusCode};

/// Codes of a proxy that waited in vain.
pub(crate) const TIMEOUTS: [u16; 2] = [408, 504];

/// Codes that are the word of a callee, whose device another leg may have reached unseen.
const WORDS_OF_A_CALLEE: [u16; 3] = [486, 600, 603];

/// Codes that proxies and B2BUAs usually make of a next hop that they do not reach; 477 is Kamailio's.
pub(crate) const USUAL_OF_SILENCE: [u16; 7] = [408, 477, 480, 500, 502, 503, 504];

/// True of a code that a proxy or B2BUA may make of a next hop that it does not reach: of any but those that ask the
/// client for another try, end what was cancelled, or are the word of a callee, whose device another leg may have
/// reached unseen.
pub(crate) fn may_be_of_silence(status: StatusCode) -> bool {
    may_hide_silence(status) && !WORDS_OF_A_CALLEE.contains(&status.get())
}

/// The same, with the words of a callee: what else is seen has to show that they come from nobody.
pub(crate) fn may_hide_silence(status: StatusCode) -> bool {
    let is_other = matches!(status.get(), 422 | 423 | 487 | 491 | 607 | 608);
    status.get() >= 400 && !status.is_challenge() && !is_other
}

/// A branch without a final response when its proxy gave up.
pub(crate) struct Waited<'a> {
    /// It.
    pub branch: &'a Transaction,
    /// What was sent on.
    pub sent: &'a Heard,
    /// How often, until the proxy gave up.
    pub copies: u32,
    /// How long the proxy waited.
    pub waited: Duration,
    /// The last copy before that, beside the first.
    pub last_copy: Option<Place>,
}

impl Waited<'_> {
    /// True if nothing at all came back.
    pub(crate) fn is_silent(&self) -> bool {
        self.branch.provisionals.is_empty()
    }

    /// What came back.
    pub(crate) fn silence(&self) -> &'static str {
        if self.is_silent() { "nothing came back" } else { "no final response came back" }
    }

    /// What is not in the capture.
    pub(crate) fn missing(&self) -> String {
        let next = self.branch.path.destination;
        match (self.is_silent(), self.branch.finals.is_empty()) {
            (true, true) => format!("response of {next}"),
            (false, true) => format!("final response of {next}"),
            (_, false) => format!("final response of {next} until the proxy gave up"),
        }
    }

    /// True if the capture lacks packets of that hop: over UDP an INVITE without any answer is repeated (RFC 3261
    /// §17.1.1.2).
    pub(crate) fn is_hidden(&self) -> bool {
        let is_single = self.sent.repeated == 0 && !self.sent.path.transport.is_reliable();
        self.is_silent() && is_single && self.waited >= timer::T1 * 4
    }

    /// How the request was sent on and what became of it, as the end of a sentence.
    pub(crate) fn words(&self) -> String {
        format!("{}, {} in {}", times(self.copies), self.silence(), length(self.waited))
    }
}

impl<'a> Case<'a> {
    /// The branches of a request that were still without a final response when its client was told this failure.
    pub(crate) fn waited_for(&self, failure: &Failure) -> impl Iterator<Item = Waited<'a>> {
        let until = self.response(failure).place;
        self.call.downstream_of(failure.transaction).filter_map(move |branch| {
            let sent = self.call.request_of(branch).filter(|sent| sent.place < until)?;
            // Who acknowledges has got a final response, be it missing in the capture (RFC 3261 §17.1.1.3).
            let mut concluded = self.finals(branch).chain(branch.acks.iter().map(|id| self.call.message(*id)));
            if concluded.any(|heard| heard.place < until) {
                return None;
            }
            // What is sent after the failure was told says nothing of how long the proxy waited.
            let later = sent.repeats.iter().filter(|copy| **copy > until).count();
            let copies = (sent.repeated + 1).saturating_sub(u32::try_from(later).unwrap_or(u32::MAX)).max(1);
            let last_copy = sent.repeats.iter().rfind(|copy| **copy < until).copied();
            Some(Waited { branch, sent, copies, waited: until.time.since(sent.place.time), last_copy })
        })
    }

    /// What was sent on of the request whose refusal decided the call, if the capture holds no response to it and no
    /// final one on any other branch by then: who refused may have done so for what came from there, or for silence.
    pub(super) fn sent_on_without_response(&self) -> Option<&'a Heard> {
        let failure = self.failure()?;
        let told = self.response(failure).place;
        let is_final_before = |branch| self.finals(branch).any(|heard| heard.place < told);
        if self.call.downstream_of(failure.transaction).any(is_final_before) {
            return None;
        }
        let silent = self.call.downstream_of(failure.transaction).filter(|branch| !self.has_response(branch));
        let mut sent = silent.filter_map(|branch| self.call.request_of(branch));
        sent.find(|sent| sent.place < told && sent.message.method() == Some(&Method::Invite))
    }

    /// Tells in the cause of a call that its refusal may be made of what is missing on the leg behind.
    pub(super) fn tell_sent_on(&self, cause: &mut Finding) {
        let failure = self.failure().filter(|failure| cause.status == Some(failure.status));
        let Some((failure, sent)) = failure.and_then(|failure| Some((failure, self.sent_on_without_response()?)))
        else {
            return;
        };
        let (responder, next) = (self.response(failure).path.source, sent.path.destination);
        let explanation = format!(
            "{} But {responder} had sent the INVITE on to {next}, and no answer to that is in this capture: it may have \
             made its {} of what came from there, or of silence.",
            cause.explanation.raw(),
            failure.status
        );
        let finding = cause.clone().claim_method(sent, "it is sent on, and no answer to it was captured");
        *cause = finding.because(explanation);
    }

    /// The 408 or 504 that a proxy made of the silence that followed a request which it had carried on: its sender
    /// waits no longer than until then, whatever the capture still shows (RFC 3261 §16.7).
    pub(crate) fn given_up_by_proxy(&self, sent: &Heard) -> Option<&'a Heard> {
        let before = self.call.transaction(self.call.transaction(sent.transaction).upstream?);
        self.finals(before).find(|told| {
            let is_timeout = told.message.status().is_some_and(|status| TIMEOUTS.contains(&status.get()));
            is_timeout && told.place > sent.last_place() && told.path.source.ip() == sent.path.source.ip()
        })
    }

    /// How sure it is that a request got no answer: its sender gave up in this capture, or it goes on long enough.
    pub(crate) fn absence_until_given_up(&self, sent: &Heard) -> Confidence {
        match self.given_up_by_proxy(sent) {
            Some(told) => self.absence(sent, told.place.time.since(sent.place.time)),
            None => self.absence_of_answer(sent),
        }
    }

    /// True if a timeout was not made out of what this branch had answered, but of the silence of another one: a branch
    /// that does not answer in time counts as a 408 (RFC 3261 §16.7, §16.8), and so does one that the proxy cancelled
    /// itself.
    pub(crate) fn timed_out_beside(&self, told: &Failure, answered: &Failure) -> bool {
        let is_timeout = TIMEOUTS.contains(&told.status.get()) && told.status != answered.status;
        let mut cancelled = self.call.downstream_of(told.transaction).filter(|branch| self.is_own_cancel(branch));
        let was_refused = !self.is_own_cancel(self.call.transaction(answered.transaction));
        is_timeout && (self.waited_for(told).next().is_some() || was_refused && cancelled.next().is_some())
    }

    /// True if an INVITE was cancelled by a hop that had not got a CANCEL itself.
    pub(crate) fn is_own_cancel(&self, invite: &Transaction) -> bool {
        let was_asked = |before: TransactionId| self.call.transaction(before).cancelled_by.is_some();
        let is_terminated = self.call.final_status_of(invite).is_some_and(|status| status.get() == 487);
        is_terminated && invite.cancelled_by.is_some() && invite.upstream.is_some_and(|before| !was_asked(before))
    }

    /// What the proxy had got from the other branches when it told this failure, as a sentence of its own, and the
    /// final responses among it.
    pub(crate) fn other_tries(&self, failure: &Failure, waited: &Waited<'_>) -> (String, Vec<&'a Heard>) {
        let until = self.response(failure).place;
        let (mut words, mut shown) = (Vec::new(), Vec::new());
        for branch in self.call.downstream_of(failure.transaction).filter(|branch| branch.id != waited.branch.id) {
            let next = branch.path.destination;
            let end = self.finals(branch).filter(|heard| heard.place < until).last();
            match end.and_then(|end| Some((end, end.message.status()?))) {
                _ if self.is_own_cancel(branch) => words.push(format!("no answer from {next}, which it cancelled")),
                // What was asked of the proxy itself, and answered in the next try, is no failure.
                Some((_, status)) if status.is_challenge() => {}
                Some((end, status)) => {
                    words.push(format!("{status} from {next}"));
                    shown.push(end);
                }
                None => words.push(format!("no final response from {next}")),
            }
        }
        let sentence = match words.is_empty() {
            true => String::new(),
            false => format!(" Its other tries failed too: {}.", list(&words)),
        };
        (sentence, shown)
    }

    /// The redirect that a proxy followed itself with this branch (RFC 3261 §16.7 step 4): a 3xx that came to another
    /// branch before it, one of whose Contacts it is for.
    pub(crate) fn redirected_to(&self, branch: &Transaction) -> Option<&'a Heard> {
        let sent = self.call.request_of(branch)?;
        let target = sent.message.target()?;
        let siblings = self.call.downstream_of(branch.upstream?).filter(|sibling| sibling.id != branch.id);
        siblings.flat_map(|sibling| self.finals(sibling)).find(|response| {
            let is_redirect = response.message.status().is_some_and(|status| (300..400).contains(&status.get()));
            let contacts = response.message.headers("Contact");
            let is_named = contacts.iter().any(|contact| NameAddr::read(contact).parsed().is_same_target(target));
            is_redirect && response.place < sent.place && is_named
        })
    }

    /// A transaction and those that it was forwarded from, the nearest first.
    pub(crate) fn with_upstream(&self, id: TransactionId) -> impl Iterator<Item = &'a Transaction> {
        let call = self.call;
        std::iter::successors(Some(call.transaction(id)), move |at| at.upstream.map(|id| call.transaction(id))).take(32)
    }

    /// True if an ICMP error says that a request was not delivered: that is an answer, and no silence
    /// (`destination-unreachable`).
    pub(crate) fn was_not_delivered(&self, sent: &Heard) -> bool {
        let mut errors = self.call.icmp.iter().filter(|icmp| icmp.message == sent.id).map(|icmp| icmp.what.meaning());
        errors.any(|error| {
            matches!(
                error,
                Undelivered::PortUnreachable
                    | Undelivered::ProtocolUnreachable
                    | Undelivered::Prohibited
                    | Undelivered::NoRoute
                    | Undelivered::RejectRoute
                    | Undelivered::HostUnreachable
            )
        })
    }
}
