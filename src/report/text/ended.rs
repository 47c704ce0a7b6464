//! How a call ended, in words: one for a table, a few for its heading, with the time that it took.
//!
//! Is given a record. The time goes from the first request to what decided the call; what came later, copies and ACKs,
//! does not count. Where the capture lacks one of the two, no time is told.

use std::time::Duration;

use crate::call::Outcome;
use crate::catalogue::{Phrases, Word};
use crate::diagnosis::Confidence;
use crate::report::moment::Moment;
use crate::report::record::{CallRecord, Rung, host};
use crate::report::text::lines::value;
use crate::report::text::style::Ink;
use crate::report::text::words::{between, lasting};
use crate::report::value::Told;

/// How a call ended, in a few words, and in which colour.
pub(crate) fn how_it_ended(words: &Phrases, record: &CallRecord) -> (Ink, String) {
    // What failed on the way of a call that went on all the same.
    let failed = record.failures.iter().rev().find(|failure| !failure.normal);
    let told = Told::of(record.outcome, record.cause.as_deref());
    let (ink, word) = match (record.outcome, told) {
        (_, Told::Rejected) => (Ink::Doubtful, Word::Rejected),
        (_, Told::EndedUnseen) => return (Ink::Doubtful, words.word(Word::EndedUnseen).into()),
        (Outcome::Answered, _) if failed.is_some() && is_open(record) => (Ink::Doubtful, Word::AnsweredOpenBut),
        (Outcome::Answered, _) if is_open(record) => return (Ink::Good, words.word(Word::AnsweredOpen).into()),
        (Outcome::Answered, _) if failed.is_some() => (Ink::Doubtful, Word::AnsweredBut),
        (Outcome::Answered, _) => (Ink::Good, Word::Answered),
        (Outcome::Registered, _) => return (Ink::Good, words.word(Word::Registered).into()),
        (Outcome::Accepted, _) => return (Ink::Good, words.word(Word::Accepted).into()),
        (Outcome::Dropped, _) => (Ink::Bad, Word::Dropped),
        (Outcome::Failed, _) => (Ink::Bad, Word::Failed),
        (Outcome::Unanswered, _) => (Ink::Bad, Word::Unanswered),
        (Outcome::Redirected, _) => (Ink::Bad, Word::Redirected),
        (Outcome::Busy, _) => (Ink::Doubtful, Word::Busy),
        (Outcome::Cancelled, _) if is_by_caller(record) => (Ink::Doubtful, Word::Cancelled),
        (Outcome::Cancelled, _) => (Ink::Doubtful, Word::OutcomeCancelled),
        (Outcome::Unfinished, _) if failed.is_some() => (Ink::Doubtful, Word::UnfinishedBut),
        (Outcome::Unfinished, _) => return (Ink::Doubtful, words.word(Word::Unfinished).into()),
    };
    if let Word::Answered | Word::AnsweredBut | Word::AnsweredOpenBut | Word::UnfinishedBut = word {
        let duration = lasting(between(record.started, record.ended));
        let status = failed.map(|failure| failure.status.to_string()).unwrap_or_default();
        let method = failed.map(|failure| value(&failure.method)).unwrap_or_default();
        return (ink, words.fill(word, &[("duration", &duration), ("status", &status), ("method", &method)]));
    }
    let ended = words.word(word);
    match decided_after(record) {
        Some(after) => (ink, words.fill(Word::EndedAfter, &[("ended", &ended), ("duration", &lasting(after))])),
        None => (ink, ended.to_owned()),
    }
}

/// True if the record of an answered call holds nothing that ends it (RFC 3261 §15): how long it was is not known, for
/// media may go on after the last message.
fn is_open(record: &CallRecord) -> bool {
    let rungs = || record.ladder.iter();
    let is_request = |rung: &&Rung| rung.status.is_none() && rung.label.raw() != "ACK";
    let has_bye = rungs().any(|rung| rung.status.is_none() && rung.label.raw() == "BYE")
        || record.failures.iter().any(|failure| failure.method.raw() == "BYE");
    // Where requests are missing, a 2xx may be that of a BYE.
    let accepted = rungs().filter(|rung| matches!(rung.status, Some(200..=299))).count();
    !has_bye && record.messages_not_kept == 0 && accepted <= rungs().filter(is_request).count()
}

/// True if it was the caller who cancelled, as far as the capture tells. A proxy cancels too: when its timer has run
/// out, and when another phone has answered (RFC 3261 §16.7 step 10).
fn is_by_caller(record: &CallRecord) -> bool {
    record.cause_finding().is_some_and(|cause| {
        cause.rule == "caller-abandoned" && matches!(cause.confidence, Confidence::Proven | Confidence::Likely)
    })
}

/// One word for how a call ended.
pub(crate) fn ended_word(words: &Phrases, record: &CallRecord) -> &'static str {
    match Told::of(record.outcome, record.cause.as_deref()) {
        Told::Rejected => words.word(Word::OutcomeRejected),
        Told::EndedUnseen => words.word(Word::OutcomeUnseen),
        Told::ByOutcome => outcome_word(words, record.outcome),
    }
}

/// One word for an outcome.
pub(crate) fn outcome_word(words: &Phrases, outcome: Outcome) -> &'static str {
    words.word(match outcome {
        Outcome::Answered => Word::OutcomeAnswered,
        Outcome::Registered => Word::OutcomeRegistered,
        Outcome::Accepted => Word::OutcomeAccepted,
        Outcome::Dropped => Word::OutcomeDropped,
        Outcome::Failed => Word::OutcomeFailed,
        Outcome::Unanswered => Word::OutcomeUnanswered,
        Outcome::Redirected => Word::OutcomeRedirected,
        Outcome::Busy => Word::OutcomeBusy,
        Outcome::Cancelled => Word::OutcomeCancelled,
        Outcome::Unfinished => Word::OutcomeUnfinished,
    })
}

/// How long after the first request of a call it was decided; `None` where one of the two is not in the capture.
fn decided_after(record: &CallRecord) -> Option<Duration> {
    let first = record.ladder.first().filter(|rung| rung.status.is_none())?;
    Some(between(first.time, decided_at(record, first)?))
}

fn decided_at(record: &CallRecord, first: &Rung) -> Option<Moment> {
    let requests = |method: &'static str| {
        record.ladder.iter().filter(move |rung| rung.status.is_none() && rung.label.raw() == method)
    };
    match record.outcome {
        Outcome::Dropped => Some(requests("BYE").next().map_or(record.ended, |bye| bye.time)),
        Outcome::Cancelled => {
            let by_caller = requests("CANCEL").find(|cancel| cancel.from_addr == first.from_addr);
            by_caller.or(requests("CANCEL").next()).map(|cancel| cancel.time).or(told_caller(record, first))
        }
        Outcome::Unanswered => {
            // The last thing that was tried, or the error that says that it is in vain.
            let errors = record.ladder.iter().filter(|rung| rung.is_icmp()).map(|rung| rung.time);
            errors.chain(record.ladder.iter().filter_map(|rung| rung.repeated_until)).max_by_key(|tried| tried.time)
        }
        _ => told_caller(record, first),
    }
}

/// When the caller got the final response of its last try.
fn told_caller(record: &CallRecord, first: &Rung) -> Option<Moment> {
    let decides = || record.failures.iter().rev().filter(|failure| Some(failure.status) == record.final_status);
    let caller = decides().find(|failure| failure.to_addr == first.from_addr);
    let host_of_caller = || decides().find(|failure| host(&failure.to_addr) == host(&first.from_addr));
    caller.or_else(host_of_caller).or_else(|| decides().next()).map(|failure| failure.time)
}
