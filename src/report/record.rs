//! What a report says of one call.
//!
//! The order of the fields is the order of the keys in JSON, and their names are a promise to other programs.

use std::borrow::Cow;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::call::{Kind, NormalStep, Outcome};
use crate::diagnosis::{Confidence, MadeBy, Reference, Role, Severity};
use crate::report::decisive::{is_in_answered_call, request_of};
use crate::report::moment::Moment;
use crate::sip::typed::Strict;
use crate::untrusted::Untrusted;

/// A frame: its number where there is one input, else the input too.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(untagged)]
pub enum Frame {
    /// The number that Wireshark shows.
    Number(u64),
    /// The same, of one input among several.
    InFile {
        /// The index of the input.
        file: u32,
        /// The number.
        frame: u64,
    },
}

impl Frame {
    /// The number in its input.
    pub fn number(self) -> u64 {
        match self {
            Frame::Number(number) | Frame::InFile { frame: number, .. } => number,
        }
    }
}

/// As a reader finds it: `118`, with several inputs `2:118`.
impl fmt::Display for Frame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Frame::Number(number) => write!(f, "{number}"),
            Frame::InFile { file, frame } => write!(f, "{}:{frame}", file + 1),
        }
    }
}

/// One call.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct CallRecord {
    /// Its number in the order of first messages, from 1.
    pub id: u32,
    /// What it is about.
    pub kind: Kind,
    /// One for each leg, first seen first.
    pub call_ids: Vec<Untrusted>,
    /// The URI of From.
    pub from: Option<Untrusted>,
    /// The URI of To.
    pub to: Option<Untrusted>,
    /// The Request-URI of the first request.
    pub request_uri: Option<Untrusted>,
    /// Its first message.
    pub started: Moment,
    /// Its last message.
    pub ended: Moment,
    /// How it ended.
    pub outcome: Outcome,
    /// What the caller got in the end.
    pub final_status: Option<u16>,
    /// The rule of the first finding that explains the outcome.
    pub cause: Option<String>,
    /// Its legs.
    pub legs: Vec<LegRecord>,
    /// Its responses of 300 or more.
    pub failures: Vec<FailureRecord>,
    /// What the rules found.
    pub findings: Vec<FindingRecord>,
    /// Its messages in order.
    pub ladder: Vec<Rung>,
    /// True if it did not go well and no rule explains it.
    pub unexplained: bool,
    /// Messages that were counted and not kept because of a limit.
    pub messages_not_kept: u32,
    /// Beside a call that failed: the nearest one that was accepted on the same way.
    pub good_call: Option<GoodCallRecord>,
    /// Where the response came from that failed it.
    pub generated_by: Option<OriginRecord>,
}

/// The host of an address: without its port.
pub(crate) fn host(address: &str) -> &str {
    match address.rsplit_once(':') {
        Some((host, port)) if !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit()) => {
            // A colon of an IPv6 address is none before a port.
            if host.contains(':') && !host.starts_with('[') { address } else { host }
        }
        _ => address,
    }
}

impl CallRecord {
    /// The finding that explains the outcome.
    pub fn cause_finding(&self) -> Option<&FindingRecord> {
        let cause = self.cause.as_deref()?;
        self.findings.iter().find(|finding| finding.rule == cause)
    }

    /// The failure that a rung shows: same frame, code and sender.
    pub(crate) fn failure_at(&self, rung: &Rung) -> Option<&FailureRecord> {
        self.failures.iter().find(|failure| {
            failure.frame == rung.frame && Some(failure.status) == rung.status && failure.from_addr == rung.from_addr
        })
    }

    /// A finding about a failure: it is about its code, and cites its frame.
    pub(crate) fn finding_about(&self, failure: &FailureRecord) -> Option<&FindingRecord> {
        self.findings.iter().find(|finding| {
            finding.status == Some(failure.status) && finding.claims.iter().any(|claim| claim.frame == failure.frame)
        })
    }

    /// True if the cause cites a failure for calling a nonce stale.
    pub(crate) fn cites_as_stale(&self, failure: &FailureRecord) -> bool {
        let is_cited = |claim: &ClaimRecord| claim.frame == failure.frame && claim.field == "sip.auth.stale";
        self.cause_finding().is_some_and(|cause| cause.claims.iter().any(is_cited))
    }

    /// True if any finding is about the code of a failure: beneath it, or on another hop of it.
    pub(crate) fn is_told_of(&self, failure: &FailureRecord) -> bool {
        self.findings.iter().any(|finding| finding.status == Some(failure.status))
    }

    /// True if a failure was got from the one to whom an earlier one was sent: it was passed on. That one had sent its
    /// request on after it had got the request that the failure answers (RFC 3261 §16.6). Of two neighbours who refuse
    /// each other's requests within a dialog neither passes anything on; a request that opens one may run in a circle.
    pub(crate) fn is_passed_on(&self, failure: &FailureRecord) -> bool {
        let asked_at = |failure: &FailureRecord| {
            let request = request_of(self, failure)?;
            self.ladder.iter().position(|rung| std::ptr::eq(rung, request))
        };
        let is_within = || request_of(self, failure).is_none_or(|request| is_in_answered_call(self, request));
        // Where the requests are not in the record, the order of the responses has to do.
        let is_behind = |earlier: &FailureRecord| match (asked_at(failure), asked_at(earlier)) {
            (Some(came), Some(went)) => came < went,
            _ => true,
        };
        self.failures.iter().take_while(|earlier| !std::ptr::eq(*earlier, failure)).any(|earlier| {
            !earlier.normal
                && earlier.method == failure.method
                && host(&earlier.to_addr) == host(&failure.from_addr)
                && !(goes_back(earlier, failure) && is_within())
                && is_behind(earlier)
        })
    }
}

/// True if a response goes to the sender of an earlier one. Several programs may share one host.
fn goes_back(earlier: &FailureRecord, failure: &FailureRecord) -> bool {
    let (sender, receiver) = (host(&earlier.from_addr), host(&failure.to_addr));
    earlier.from_addr == failure.to_addr || sender == receiver && sender != host(&failure.from_addr)
}

/// Where the response came from that failed a call.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct OriginRecord {
    /// The response, where it was seen first.
    pub frame: Frame,
    /// Its code.
    pub status: u16,
    /// Who sent it there.
    pub addr: String,
    /// What it calls itself.
    pub agent: Option<Untrusted>,
    /// Who made it.
    pub made_by: MadeBy,
    /// How sure that is: proven where a packet states it.
    pub confidence: Confidence,
    /// Why that is said.
    pub grounds: Vec<Untrusted>,
    /// What was made out of it on the way to the caller.
    pub rewritten: Option<RewrittenRecord>,
}

/// A response that was made out of another.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct RewrittenRecord {
    /// Its frame.
    pub frame: Frame,
    /// Its code.
    pub status: u16,
    /// Who made it.
    pub addr: String,
}

impl OriginRecord {
    /// In a sentence.
    pub(crate) fn words(&self) -> String {
        let agent = self.agent.as_ref().map(|agent| format!(" ({})", agent.for_terminal())).unwrap_or_default();
        let likely = if self.confidence == Confidence::Proven { "" } else { "most likely " };
        let who = match self.made_by {
            MadeBy::Sender => format!("{}{agent} itself {likely}made the {}", self.addr, self.status),
            MadeBy::Behind => format!("the {} {likely}came from behind {}{agent}", self.status, self.addr),
            MadeBy::Unknown => {
                format!("the {} is from {}{agent}, or from behind it", self.status, self.addr)
            }
        };
        let grounds: Vec<_> = self.grounds.iter().map(|ground| ground.for_terminal()).collect();
        let rewritten = self.rewritten.as_ref().map(|other| match other.status {
            // A timeout says that something else was waited for.
            408 | 504 => format!("; {} told {} instead (frame {})", other.addr, other.status, other.frame),
            _ => format!("; {} made {} out of it (frame {})", other.addr, other.status, other.frame),
        });
        format!("{who}: {}{}", grounds.join(", "), rewritten.unwrap_or_default())
    }
}

/// The nearest call that was accepted on the same way as one that failed. What differs is a hint, and no cause.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct GoodCallRecord {
    /// Its INVITE.
    pub frame: Frame,
    /// When that was captured.
    pub time: Moment,
    /// Its Call-ID.
    pub call_id: Untrusted,
    /// Who sent the INVITE that failed; this one came from the same host.
    pub from_addr: String,
    /// To whom.
    pub to_addr: String,
    /// What differs, what decides calls more often first.
    pub differences: Vec<DifferenceRecord>,
}

impl GoodCallRecord {
    /// In a sentence or two.
    pub(crate) fn words(&self) -> String {
        let between = format!(
            "frame {}: a call from {} to {} that was accepted",
            self.frame,
            host(&self.from_addr),
            host(&self.to_addr)
        );
        let differs = |one: &DifferenceRecord| {
            format!("{} ({}; there {})", one.what, one.here.for_terminal(), one.there.for_terminal())
        };
        let differences: Vec<String> = self.differences.iter().map(differs).collect();
        match differences.is_empty() {
            true => format!("{between}; its INVITE is like this one in all that is compared"),
            false => format!("{between}; this INVITE differs in {}", differences.join(", ")),
        }
    }
}

/// A property in which the INVITEs of two calls differ.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct DifferenceRecord {
    /// What it is a property of: `codecs`.
    pub what: String,
    /// What the call that failed has.
    pub here: Untrusted,
    /// What the call that was accepted has.
    pub there: Untrusted,
    /// The proof, where single fields show it.
    pub claims: Vec<ClaimRecord>,
}

/// A leg of a call.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct LegRecord {
    /// Its Call-ID.
    pub call_id: Untrusted,
    /// True if the capture holds only the beginning of that Call-ID.
    #[serde(default, skip_serializing_if = "is_false")]
    pub call_id_is_cut: bool,
    /// Who sent its first request.
    pub from_addr: String,
    /// To whom.
    pub to_addr: String,
    /// By what.
    pub transport: String,
    /// Why it belongs to the call, in a few words, if its Call-ID is another than that of the first leg.
    pub linked_by: Option<Untrusted>,
}

impl LegRecord {
    /// Its Call-ID as it is shown, made fit to be printed by this: with a mark where only its beginning is known.
    pub(crate) fn shown_call_id(&self, fit: impl Fn(&Untrusted) -> String) -> String {
        let mark = if self.call_id_is_cut { "…" } else { "" };
        format!("{}{mark}", fit(&self.call_id))
    }
}

fn is_false(flag: &bool) -> bool {
    !flag
}

/// A response of 300 or more.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct FailureRecord {
    /// Its frame.
    pub frame: Frame,
    /// When it was captured.
    pub time: Moment,
    /// The method of the request.
    pub method: Untrusted,
    /// The code.
    pub status: u16,
    /// The reason phrase as it was sent.
    pub reason_phrase: Untrusted,
    /// Who sent it.
    pub from_addr: String,
    /// To whom.
    pub to_addr: String,
    /// True if it is a step of a healthy exchange.
    pub normal: bool,
    /// What the code means in general.
    pub catalogue: Option<CatalogueRecord>,
    /// Why it is normal.
    pub normal_step: Option<NormalStep>,
    /// Headers of the response that say more than its code.
    pub headers: Vec<HeaderRecord>,
    /// What the strict parser makes of the response.
    pub strict: Option<Strict>,
    /// What the strict parser makes of the request.
    pub strict_request: Option<Strict>,
}

/// A header of a response.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct HeaderRecord {
    /// Its name.
    pub name: String,
    /// Its value.
    pub value: Untrusted,
}

/// What a code means in general.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct CatalogueRecord {
    /// The code.
    pub code: u16,
    /// Its name.
    pub name: String,
    /// Its class: `server-failure`.
    pub class: String,
    /// What it means.
    pub description: String,
    /// When it is seen.
    pub when: String,
    /// What to do.
    pub fix: String,
    /// Where it is defined.
    pub reference: String,
}

/// What a rule found.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct FindingRecord {
    /// The rule's name.
    pub rule: String,
    /// The rule's place in the specification.
    pub id: String,
    /// One line.
    pub title: Untrusted,
    /// How sure.
    pub confidence: Confidence,
    /// How much it matters.
    pub severity: Severity,
    /// Who is responsible.
    pub party: PartyRecord,
    /// The code that it explains.
    pub status: Option<u16>,
    /// Why this call failed.
    pub explanation: Untrusted,
    /// What to do, most likely first.
    pub fix: Vec<Untrusted>,
    /// The proof.
    pub claims: Vec<ClaimRecord>,
    /// The rivals that were checked.
    pub refuted: Vec<RefutedRecord>,
    /// The command that would settle what cannot be told.
    pub next_capture: Option<Untrusted>,
    /// Where it is written.
    pub rfc: Vec<Reference>,
}

impl FindingRecord {
    /// What it says of this call; of a finding that says nothing of its own, its title.
    pub fn says(&self) -> &Untrusted {
        if self.explanation.is_empty() { &self.title } else { &self.explanation }
    }
}

/// Who is responsible.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct PartyRecord {
    /// As what.
    pub role: Role,
    /// Its address.
    pub addr: Option<String>,
    /// What its User-Agent or Server header says.
    pub agent: Option<Untrusted>,
}

/// A fact with its proof.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct ClaimRecord {
    /// The frame.
    pub frame: Frame,
    /// The Wireshark display-filter field, or `absent`.
    pub field: String,
    /// What it holds there.
    pub value: Untrusted,
    /// What it proves.
    pub says: Untrusted,
}

/// A rival that was checked.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct RefutedRecord {
    /// The rival's rule.
    pub rule: String,
    /// Why it does not hold.
    pub why: Untrusted,
}

/// One message of the ladder, with its repeats.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Rung {
    /// Its frame.
    pub frame: Frame,
    /// When it was captured.
    pub time: Moment,
    /// Who sent it.
    pub from_addr: String,
    /// To whom.
    pub to_addr: String,
    /// The method, or code and reason phrase.
    pub label: Untrusted,
    /// The code of a response.
    pub status: Option<u16>,
    /// How often it was sent again.
    pub repeats: u32,
    /// Rules whose findings cite this frame.
    pub findings: Vec<String>,
    /// When it was sent for the last time, if it was sent again.
    pub repeated_until: Option<Moment>,
    /// The main codecs that its session description names.
    pub codecs: Vec<Untrusted>,
    /// Of a response: the method of its request, where another request on the same hop was waiting too, and it is not
    /// the one that opened the call.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answers: Option<Untrusted>,
}

impl Rung {
    /// What stands on its arrow: the label, and what it answers where that is not plain: `200 OK (CANCEL)`.
    pub(crate) fn shown_label(&self) -> Cow<'_, Untrusted> {
        match &self.answers {
            Some(method) => Cow::Owned(format!("{} ({})", self.label.raw(), method.raw()).into()),
            None => Cow::Borrowed(&self.label),
        }
    }

    /// True for an ICMP error. Its label begins as that of no request does: a method holds no space (RFC 3261 §25.1).
    pub(crate) fn is_icmp(&self) -> bool {
        let version = self.label.raw().split_once(' ').map(|(version, _)| version);
        self.status.is_none() && matches!(version, Some("ICMP" | "ICMPv6"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_of_both_families() {
        assert_eq!(host("192.0.2.1:5060"), "192.0.2.1");
        assert_eq!(host("[2001:db8::1]:5060"), "[2001:db8::1]");
        assert_eq!(host("2001:db8::1"), "2001:db8::1");
        assert_eq!(host("192.0.2.1"), "192.0.2.1");
    }
}
