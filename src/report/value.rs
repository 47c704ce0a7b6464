//! The whole report as one value, in the form that `spec` promises to other programs.

use serde::{Deserialize, Serialize};

use crate::call::{Call, Kind, Outcome};
use crate::diagnosis::Diagnosis;
use crate::report::moment::Moment;
use crate::report::record::{CallRecord, FindingRecord, Frame};
use crate::untrusted::Untrusted;

/// The name of this form of report.
pub const SCHEMA: &str = "sipwhy.report/1";

/// A whole report.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Report {
    /// `sipwhy.report/1`.
    pub schema: String,
    /// Which program made it.
    pub tool: Tool,
    /// The language of the texts of the catalogue (BCP 47); missing where it is English. Everything else is in English.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub language: Option<String>,
    /// The inputs.
    pub inputs: Vec<InputRecord>,
    /// The numbers.
    pub summary: Summary,
    /// Failures with one cause: real calls before scanners, the worse first, of equal ones those with most calls.
    pub incidents: Vec<Incident>,
    /// The calls in order of their numbers.
    pub calls: Vec<CallRecord>,
    /// Findings about the whole capture.
    pub notes: Vec<FindingRecord>,
    /// That secrets are shown, or persons hidden; missing where neither is so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub privacy: Option<String>,
}

/// Which program made a report.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Tool {
    /// `sipwhy`.
    pub name: String,
    /// Its version.
    pub version: String,
}

impl Tool {
    /// This program.
    pub fn this() -> Tool {
        Tool { name: env!("CARGO_PKG_NAME").into(), version: env!("CARGO_PKG_VERSION").into() }
    }
}

/// One input.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct InputRecord {
    /// Its path as it was given, `-`, or the interface.
    pub file: Untrusted,
    /// The SHA-256 of its bytes.
    pub sha256: Option<String>,
    /// `pcap`, `pcapng`, `interface` ….
    pub format: String,
    /// Names of its link types.
    pub link_types: Vec<String>,
    /// Packets read.
    pub packets: u64,
    /// Messages found.
    pub sip_messages: u64,
    /// The time of its earliest packet.
    pub first: Option<Moment>,
    /// The time of its latest packet.
    pub last: Option<Moment>,
    /// What was odd about it.
    pub oddities: Vec<OddityRecord>,
    /// Packets that the capturing system says it dropped.
    pub drops: u64,
}

/// One kind of oddity of an input.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct OddityRecord {
    /// Its name.
    pub kind: String,
    /// How often.
    pub count: u64,
    /// The first frames that have it.
    pub frames: Vec<u64>,
    /// One sentence, of the first of its kind.
    pub says: Untrusted,
}

/// The numbers of a report. Calls add up: `answered + dropped + failed + cancelled + busy + unfinished` are `calls`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Summary {
    /// Calls.
    pub calls: u64,
    /// Answered ones.
    pub answered: u64,
    /// Answered ones that ended against the parties' will.
    pub dropped: u64,
    /// Failed ones, with those that were never answered or only redirected.
    pub failed: u64,
    /// Those that the caller gave up.
    pub cancelled: u64,
    /// Those whose callee was busy.
    pub busy: u64,
    /// Those that the capture does not show to the end.
    pub unfinished: u64,
    /// Registrations.
    pub registrations: u64,
    /// Failed ones.
    pub registrations_failed: u64,
    /// Everything else.
    pub other_transactions: u64,
    /// Failed ones of everything else.
    pub other_failed: u64,
    /// Of the failed calls, those that nobody answered.
    pub unanswered: u64,
    /// Of the failed calls, those that were sent elsewhere.
    pub redirected: u64,
    /// Calls, registrations and others that did not go well and that no rule explains.
    pub unexplained: u64,
    /// Of the busy calls, those that the callee rejected: it had a free line.
    pub rejected: u64,
    /// Of the cancelled calls, those of which the capture does not show who ended them.
    pub ended_unseen: u64,
    /// Messages that belong to them.
    pub messages: u64,
}

impl Summary {
    /// Busy calls that people are told of as such: without the rejected ones.
    pub(crate) fn told_busy(&self) -> u64 {
        self.busy.saturating_sub(self.rejected)
    }

    /// Cancelled calls that people are told of as such: without those of which nobody knows who ended them.
    pub(crate) fn told_cancelled(&self) -> u64 {
        self.cancelled.saturating_sub(self.ended_unseen)
    }

    /// Counts one call by how it ended.
    pub fn add(&mut self, call: &Call, diagnosis: &Diagnosis) {
        let copies = call.messages.iter().map(|heard| u64::from(heard.repeated) + u64::from(heard.duplicates) + 1);
        self.count(call.kind, diagnosis.outcome, copies.sum::<u64>() + u64::from(call.not_kept));
        let cause = diagnosis.cause().map(|finding| &*finding.rule);
        match Told::of(diagnosis.outcome, cause) {
            Told::Rejected => self.rejected += 1,
            Told::EndedUnseen => self.ended_unseen += 1,
            Told::ByOutcome => {}
        }
    }

    /// Counts a call of this kind and number of messages.
    pub fn count(&mut self, kind: Kind, outcome: Outcome, messages: u64) {
        self.messages += messages;
        let failed = u64::from(outcome.is_failed());
        match kind {
            Kind::Call => {
                self.calls += 1;
                self.unanswered += u64::from(outcome == Outcome::Unanswered);
                self.redirected += u64::from(outcome == Outcome::Redirected);
                *self.of_outcome(outcome) += 1;
            }
            Kind::Registration => {
                self.registrations += 1;
                self.registrations_failed += failed;
            }
            _ => {
                self.other_transactions += 1;
                self.other_failed += failed;
            }
        }
    }

    /// The numbers of two runs together.
    pub fn plus(&self, other: &Summary) -> Summary {
        Summary {
            calls: self.calls + other.calls,
            answered: self.answered + other.answered,
            dropped: self.dropped + other.dropped,
            failed: self.failed + other.failed,
            cancelled: self.cancelled + other.cancelled,
            busy: self.busy + other.busy,
            unfinished: self.unfinished + other.unfinished,
            registrations: self.registrations + other.registrations,
            registrations_failed: self.registrations_failed + other.registrations_failed,
            other_transactions: self.other_transactions + other.other_transactions,
            other_failed: self.other_failed + other.other_failed,
            unanswered: self.unanswered + other.unanswered,
            redirected: self.redirected + other.redirected,
            unexplained: self.unexplained + other.unexplained,
            rejected: self.rejected + other.rejected,
            ended_unseen: self.ended_unseen + other.ended_unseen,
            messages: self.messages + other.messages,
        }
    }

    fn of_outcome(&mut self, outcome: Outcome) -> &mut u64 {
        match outcome {
            Outcome::Answered | Outcome::Registered | Outcome::Accepted => &mut self.answered,
            Outcome::Dropped => &mut self.dropped,
            Outcome::Failed | Outcome::Redirected | Outcome::Unanswered => &mut self.failed,
            Outcome::Busy => &mut self.busy,
            Outcome::Cancelled => &mut self.cancelled,
            Outcome::Unfinished => &mut self.unfinished,
        }
    }
}

/// In which words people are told how a call ended: where its cause says otherwise, not in those of its outcome, which
/// goes by the code alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Told {
    /// By its outcome.
    ByOutcome,
    /// Rejected with a code for busy, by somebody who had a free line.
    Rejected,
    /// Ended with 487; the capture does not show by whom.
    EndedUnseen,
}

impl Told {
    /// Of a call with this outcome and the rule of its cause.
    pub(crate) fn of(outcome: Outcome, cause: Option<&str>) -> Told {
        match (outcome, cause) {
            (Outcome::Busy, Some("rejected-by-callee")) => Told::Rejected,
            (Outcome::Cancelled, Some("termination-not-captured")) => Told::EndedUnseen,
            _ => Told::ByOutcome,
        }
    }
}

/// Failures of several calls that have one cause, one peer and one code.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Incident {
    /// `incident-1`.
    pub id: String,
    /// The rule that explains them; `None` if none does.
    pub rule: Option<String>,
    /// One line.
    pub title: Untrusted,
    /// Their numbers.
    pub calls: Vec<u32>,
    /// The responsible party.
    pub peer: Option<String>,
    /// The code.
    pub status: Option<u16>,
    /// When the first of them began.
    pub first: Moment,
    /// When the last of them began.
    pub last: Moment,
    /// What to do.
    pub fix: Vec<Untrusted>,
    /// How sure the first of them is.
    pub confidence: Option<crate::diagnosis::Confidence>,
    /// What they are about.
    pub kind: Kind,
    /// Frames that prove it, of the first of them.
    pub frames: Vec<Frame>,
    /// What all numbers that were called begin with.
    pub called: Option<Untrusted>,
    /// What the peer calls itself.
    pub agent: Option<Untrusted>,
    /// Of how many calls of that peer they are, as far as the capture shows how those were decided.
    pub of: Option<u64>,
    /// What only shows over several calls: since when, up to how many at once, what was lost together.
    pub says: Vec<Untrusted>,
}

/// The JSON Schema of [`Report`].
pub fn schema() -> String {
    let schema = schemars::schema_for!(Report);
    let mut text = serde_json::to_string_pretty(&schema).unwrap_or_default();
    text.push('\n');
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_schema_that_is_kept_is_the_one_in_force() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/schema/report-1.json");
        if std::env::var_os("UPDATE_FIXTURES").is_some() {
            std::fs::write(path, schema()).unwrap();
        }
        assert_eq!(std::fs::read_to_string(path).unwrap(), schema(), "UPDATE_FIXTURES=1 cargo test writes it anew");
    }
}
