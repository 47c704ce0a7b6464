//! The way of one call through the questions, as far as its packets answer them.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use crate::call::{Call, Kind, Outcome};
use crate::catalogue::{Decisions, Ground, Known, Leaf, Node, Question, Sign, Start};
use crate::diagnosis::{Confidence, Severity};
use crate::report::{CallRecord, FailureRecord, FindingRecord, Frame};
use crate::sip::Method;

/// Seconds after the answer until which a drop counts as soon: 32 s without an ACK, and something for slow clearing.
const SOON: f64 = 60.0;
/// Calls that are named for each way.
const MOST_NAMED: usize = 20;
/// Frames that are named for each step.
const MOST_FRAMES: usize = 6;

/// A way: the same for every call that took it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Walk {
    /// Calls that took it; 0 if it is that of the capture as a whole.
    pub calls: u64,
    /// Their numbers in the report, the first ones.
    pub numbers: Vec<u32>,
    /// The symptom.
    pub start: String,
    /// By what the symptom was told; missing if a person named it.
    pub because: Option<Because>,
    /// The questions that the packets of the first call answer.
    pub steps: Vec<Step>,
    /// The cause; missing if a question is left.
    pub cause: Option<Leaf>,
    /// The question that the packets do not answer.
    pub open: Option<Question>,
}

/// A question and its answer.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Step {
    pub question: String,
    pub ask: String,
    pub answer: String,
    pub because: Because,
}

/// What gave an answer, and the frames that prove it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Because {
    #[serde(flatten)]
    pub ground: Ground,
    /// How sure it is, where a rule gave it: of several calls, as of the one where it is the least sure.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub confidence: Option<Confidence>,
    pub frames: Vec<Frame>,
}

/// Where the frames stand that prove a ground.
#[derive(Debug, Clone, Copy)]
struct Proofs<'a> {
    findings: &'a [FindingRecord],
    failures: &'a [FailureRecord],
}

/// Ways by the names of their nodes.
#[derive(Debug, Default)]
pub(crate) struct Walks {
    by_nodes: BTreeMap<Vec<String>, Walk>,
    /// Calls in trouble of which no symptom could be told.
    pub without_symptom: u64,
}

impl Walks {
    /// Leads a call through the questions: from `start`, else from the symptom that it shows, if it is in trouble.
    pub(crate) fn add(&mut self, tree: &Decisions, start: Option<&Start>, call: &Call, record: &CallRecord) {
        // What a person asks about is looked for among facts too.
        let known = known(call, record, if start.is_some() { Severity::Info } else { Severity::Warning });
        let proofs = Proofs { findings: &record.findings, failures: &record.failures };
        let told = match start {
            Some(start) => (record.kind == Kind::Call || !known.signs.is_empty()).then_some((start, None)),
            None if known.cause.is_none() && known.rules.is_empty() && known.signs.is_empty() => return,
            None => tree.start_of(&known).map(|(start, ground)| (start, Some(because(ground, proofs)))),
        };
        let Some((start, because)) = told else {
            self.without_symptom += u64::from(start.is_none());
            return;
        };
        let mut walk = walk(tree, start, &known, proofs);
        walk.because = because;
        self.put(walk, Some(record.id));
    }

    /// Leads what was found of the capture as a whole through the questions: from `start`, else from the symptom that
    /// it is.
    pub(crate) fn add_capture(&mut self, tree: &Decisions, start: Option<&Start>, notes: &[FindingRecord]) {
        let proofs = Proofs { findings: notes, failures: &[] };
        for note in notes {
            let known = Known { cause: Some(note.rule.clone()), ..Known::default() };
            let Some((found, ground)) = tree.start_of(&known) else { continue };
            if start.is_some_and(|start| start.key != found.key) {
                continue;
            }
            let mut walk = walk(tree, found, &known, proofs);
            walk.because = start.is_none().then(|| because(ground, proofs));
            self.put(walk, None);
        }
    }

    /// Puts a way beside the same of others: that of a call, or of the capture.
    fn put(&mut self, walk: Walk, call: Option<u32>) {
        let mut nodes = vec![walk.start.clone()];
        nodes.extend(walk.steps.iter().flat_map(|step| [step.question.clone(), step.answer.clone()]));
        nodes.extend(walk.cause.iter().map(|leaf| leaf.key.clone()));
        nodes.extend(walk.open.iter().map(|question| question.key.clone()));
        let (begun, steps) = (walk.because.clone(), walk.steps.clone());
        let known = self.by_nodes.entry(nodes).or_insert(walk);
        let of_steps = known.steps.iter_mut().map(|step| &mut step.because).zip(steps.iter().map(|step| &step.because));
        for (kept, other) in known.because.as_mut().zip(begun.as_ref()).into_iter().chain(of_steps) {
            kept.confidence = kept.confidence.zip(other.confidence).map(|(kept, other)| kept.max(other));
        }
        known.calls += u64::from(call.is_some());
        known.numbers.extend(call.filter(|_| known.numbers.len() < MOST_NAMED));
    }

    /// The ways, that of most calls first.
    pub(crate) fn into_sorted(self) -> Vec<Walk> {
        let mut walks: Vec<Walk> = self.by_nodes.into_values().collect();
        for walk in &mut walks {
            walk.numbers.sort_unstable();
        }
        walks.sort_by_key(|walk| (std::cmp::Reverse(walk.calls), walk.numbers.first().copied()));
        walks
    }
}

/// Goes from a symptom as far as the packets lead.
fn walk(tree: &Decisions, start: &Start, known: &Known, proofs: Proofs<'_>) -> Walk {
    let mut walk = Walk {
        calls: 0,
        numbers: Vec::new(),
        start: start.key.clone(),
        because: None,
        steps: Vec::new(),
        cause: None,
        open: None,
    };
    let mut next = start.first.as_str();
    loop {
        match tree.node(next) {
            Some(Node::Question(question)) => {
                let Some((answer, ground)) = tree.answer(question, known) else {
                    walk.open = Some(question.clone());
                    return walk;
                };
                walk.steps.push(Step {
                    question: question.key.clone(),
                    ask: question.ask.clone(),
                    answer: answer.says.clone(),
                    because: because(ground, proofs),
                });
                next = &answer.to;
            }
            Some(Node::Cause(leaf)) => {
                walk.cause = Some(leaf.clone());
                return walk;
            }
            // A tree that is tested has no such way.
            None => return walk,
        }
    }
}

/// The frames that prove a ground.
fn because(ground: Ground, proofs: Proofs<'_>) -> Because {
    let frames: BTreeSet<Frame> = match &ground {
        Ground::Rule(rule) => {
            let findings = proofs.findings.iter().filter(|finding| finding.rule == *rule);
            findings.flat_map(|finding| &finding.claims).map(|claim| claim.frame).collect()
        }
        Ground::Code(code) => {
            let failures = proofs.failures.iter().filter(|failure| failure.status == *code && !failure.normal);
            failures.map(|failure| failure.frame).collect()
        }
        _ => BTreeSet::new(),
    };
    let of_rule = |finding: &&FindingRecord| matches!(&ground, Ground::Rule(rule) if finding.rule == *rule);
    let confidence = proofs.findings.iter().filter(of_rule).map(|finding| finding.confidence).min();
    Because { ground, confidence, frames: frames.into_iter().take(MOST_FRAMES).collect() }
}

/// What the packets of a call tell: findings that matter so much, and its signs.
fn known(call: &Call, record: &CallRecord, least: Severity) -> Known {
    let mut rules: Vec<String> = Vec::new();
    for finding in record.findings.iter().filter(|finding| finding.severity <= least) {
        if !rules.contains(&finding.rule) && record.cause.as_ref() != Some(&finding.rule) {
            rules.push(finding.rule.clone());
        }
    }
    let code = record.final_status.filter(|code| *code >= 300);
    Known { cause: record.cause.clone(), rules, signs: signs(call, record), code }
}

fn signs(call: &Call, record: &CallRecord) -> BTreeSet<Sign> {
    let mut signs = BTreeSet::new();
    let statuses = || call.messages.iter().filter_map(|heard| heard.message.status()).map(|status| status.get());
    let rang = statuses().any(|status| (180..=183).contains(&status));
    match (record.kind, record.outcome) {
        (Kind::Registration, Outcome::Failed | Outcome::Unanswered | Outcome::Redirected) => {
            signs.insert(Sign::RegistrationFailed);
        }
        (
            Kind::Call,
            Outcome::Failed | Outcome::Busy | Outcome::Cancelled | Outcome::Redirected | Outcome::Unanswered,
        ) => {
            signs.insert(if rang { Sign::FailedRinging } else { Sign::FailedUnrung });
        }
        (Kind::Call, Outcome::Dropped) => {
            signs.insert(if is_soon(call) { Sign::DroppedSoon } else { Sign::DroppedLate });
        }
        _ => return signs,
    }
    match statuses().max() {
        None => signs.insert(Sign::NoResponse),
        Some(100) => signs.insert(Sign::OnlyTrying),
        Some(_) => false,
    };
    signs
}

/// True if an answered call ended soon after the answer.
fn is_soon(call: &Call) -> bool {
    let answer = call.messages.iter().find(|heard| {
        let is_of_invite = heard.message.cseq().is_some_and(|cseq| cseq.method == Method::Invite);
        is_of_invite && heard.message.status().is_some_and(|status| (200..300).contains(&status.get()))
    });
    let Some(answer) = answer else { return true };
    let nanoseconds = call.ended().0.saturating_sub(answer.place.time.0);
    nanoseconds as f64 / 1e9 <= SOON
}
