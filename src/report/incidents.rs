//! Puts together what went wrong in the same way: one cause, one peer, one code.

use std::borrow::Cow;
use std::cell::LazyCell;
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use crate::call::{Call, End, Kind, Outcome, Surroundings};
use crate::capture::Timestamp;
use crate::diagnosis::{Diagnosis, Finding, Role, Severity};
use crate::report::gatherer::Selected;
use crate::report::moment::Moment;
use crate::report::over_calls::{self, Over};
use crate::report::record::{FindingRecord, Frame};
use crate::report::scene::Scene;
use crate::report::secrets::{Privacy, Secrets};
use crate::report::value::Incident;
use crate::sip::StatusCode;
use crate::untrusted::Untrusted;

/// What calls of one group have in common.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Key {
    /// Months apart nothing is one incident.
    age: usize,
    kind: Kind,
    outcome: Outcome,
    rule: Option<Cow<'static, str>>,
    peer: Option<IpAddr>,
    status: Option<u16>,
}

impl Key {
    /// That of a call; `None` if it went well.
    pub(crate) fn of(call: &Call, diagnosis: &Diagnosis) -> Option<Key> {
        let finding = telling_finding(diagnosis);
        let has_failure = call.failures.iter().any(|failure| failure.normal.is_none());
        if finding.is_none() && is_well(diagnosis.outcome) && !has_failure {
            return None;
        }
        Some(Key {
            age: 0,
            kind: call.kind,
            outcome: diagnosis.outcome,
            rule: finding.map(|finding| finding.rule.clone()),
            peer: peer(call, finding).map(|address| address.ip()),
            status: status(call, finding).map(StatusCode::get),
        })
    }
}

/// Calls that went wrong, or not quite well, in the same way.
#[derive(Debug, Clone)]
pub(crate) struct Group {
    pub(crate) incident: Incident,
    pub(crate) outcome: Outcome,
    /// The number of its first call, whose record is kept.
    pub(crate) kept: u32,
    /// Which incident it is, from 1; 0 if it is none.
    pub(crate) number: usize,
    /// Calls of it, also those whose numbers are not kept.
    pub(crate) count: u64,
    /// Calls of it that the user asked for.
    pub(crate) selected: u64,
    /// All its calls went to one number; else the incident tells how the numbers begin.
    pub(crate) called_the_same: bool,
    /// The first of them, as far as a ticket names them.
    pub(crate) named: Vec<Named>,
    /// Whose calls they are, and when.
    pub(crate) over: Over,
    /// The rules that found more in its calls than facts.
    rules: BTreeSet<Cow<'static, str>>,
    /// A request within one of its calls failed.
    has_failure: bool,
    /// How much it matters.
    weight: Weight,
}

/// A call of a group, as somebody else finds it in a log.
#[derive(Debug, Clone)]
pub(crate) struct Named {
    pub(crate) number: u32,
    pub(crate) began: Moment,
    pub(crate) call_id: Untrusted,
}

/// How much a group matters, what matters most first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Weight {
    noise: Noise,
    severity: Severity,
}

/// If calls are those of a scanner or a probe, or many at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Noise {
    None,
    /// Of a flood, which may be devices that all begin anew.
    Flood,
    /// Of somebody who looks for a way in.
    Probe,
}

/// Every group of a run.
#[derive(Debug, Clone)]
pub(crate) struct Groups {
    groups: BTreeMap<Key, Group>,
    numbers: usize,
    most_numbers: usize,
    /// Calls of a group that are named.
    most_named: usize,
    /// The first and last call of each stretch of time with no pause longer than [`AGE`].
    ages: Vec<(Timestamp, Timestamp)>,
    /// Calls that stand in no group, because there were too many groups.
    pub(crate) ungrouped: u64,
}

/// Which of its group a call is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Standing {
    /// It went well: it is in no group.
    Well,
    /// The first of its group.
    First,
    /// Others came before it.
    Later,
}

/// Calls that are further apart, in nanoseconds, are no one incident: a month.
const AGE: i64 = 30 * 86_400 * 1_000_000_000;
/// Such stretches of time that are told apart.
const MOST_AGES: usize = 64;
/// Groups that are told apart.
pub(crate) const MOST_GROUPS: usize = 2000;
/// Calls of a group that a ticket names.
const MOST_NAMED: usize = 6;
/// Numbers of calls that are kept, over all groups.
const MOST_NUMBERS: usize = 4_000_000;
/// Frames that an incident names.
const MOST_FRAMES: usize = 8;
/// Letters that all called numbers must begin with to be worth telling.
const SHORTEST_PREFIX: usize = 4;

impl Default for Groups {
    fn default() -> Groups {
        Groups {
            groups: BTreeMap::new(),
            ages: Vec::new(),
            numbers: 0,
            most_numbers: MOST_NUMBERS,
            most_named: 0,
            ungrouped: 0,
        }
    }
}

impl Groups {
    /// The same, but that so many numbers of calls are kept.
    pub(crate) fn with_numbers(self, most_numbers: usize) -> Groups {
        Groups { most_numbers, ..self }
    }

    /// The same, but that the first calls of each group are named, for a ticket.
    pub(crate) fn with_names(self) -> Groups {
        Groups { most_named: MOST_NAMED, ..self }
    }

    /// True if a call begins a group.
    pub(crate) fn is_first(&self, call: &Call, diagnosis: &Diagnosis) -> bool {
        let Some(key) = Key::of(call, diagnosis) else { return false };
        let Some(age) = self.known_age(call.started()) else { return true };
        self.groups.len() < MOST_GROUPS && !self.groups.contains_key(&Key { age, ..key })
    }

    fn known_age(&self, started: Timestamp) -> Option<usize> {
        let near = |(first, last): &(Timestamp, Timestamp)| {
            first.0.saturating_sub(AGE) <= started.0 && started.0 <= last.0.saturating_add(AGE)
        };
        self.ages.iter().position(near)
    }

    /// The stretch of time that a call belongs to, by its number.
    fn age(&mut self, started: Timestamp) -> usize {
        match self.known_age(started) {
            Some(at) => {
                let (first, last) = self.ages[at];
                self.ages[at] = (first.min(started), last.max(started));
                at
            }
            None if self.ages.len() < MOST_AGES => {
                self.ages.push((started, started));
                self.ages.len() - 1
            }
            None => self.ages.len(),
        }
    }

    /// Takes in a call.
    pub(crate) fn add(
        &mut self,
        scene: &Scene,
        call: &Call,
        diagnosis: &Diagnosis,
        selected: Selected,
        secrets: &LazyCell<Secrets, impl FnOnce() -> Secrets>,
    ) -> Standing {
        let Some(key) = Key::of(call, diagnosis) else { return Standing::Well };
        let key = Key { age: self.age(call.started()), ..key };
        if self.groups.len() >= MOST_GROUPS && !self.groups.contains_key(&key) {
            self.ungrouped += 1;
            return Standing::Later;
        }
        let group = self.groups.entry(key).or_insert_with(|| begin(scene, call, diagnosis, secrets));
        group.count += 1;
        for rule in found(diagnosis) {
            if !group.rules.contains(rule) {
                group.rules.insert(rule.clone());
            }
        }
        group.has_failure |= call.failures.iter().any(|failure| failure.normal.is_none());
        group.weight = group.weight.min(weight(diagnosis));
        let (began, ended) = (call.started(), call.ended());
        group.over.first = group.over.first.min(began);
        group.over.ended = (group.over.ended.0.min(ended), group.over.ended.1.max(ended));
        group.selected += u64::from(selected == Selected::Yes);
        let source = call.messages.first().map(|heard| heard.place.source).unwrap_or_default();
        let started = scene.moment_in(source, call.started());
        if started.time < group.incident.first.time {
            group.incident.first = started;
        }
        if started.time > group.incident.last.time {
            group.incident.last = started;
        }
        if self.numbers < self.most_numbers {
            self.numbers += 1;
            group.incident.calls.push(call.number);
        }
        if group.named.len() < self.most_named
            && let Some(leg) = call.legs.first()
        {
            let call_id = secrets.hide_in(&Untrusted::from_bytes(&leg.call_id));
            group.named.push(Named { number: call.number, began: started, call_id });
        }
        if group.count == 1 {
            return Standing::First;
        }
        if group.incident.called.is_some() {
            let called = called(call);
            group.called_the_same &= group.incident.called.as_ref().map(Untrusted::raw) == called.as_deref();
            keep_common_start(&mut group.incident.called, called);
        }
        Standing::Later
    }

    /// The groups: what comes of real calls before what comes of scanners, what is worse before what is not, and then
    /// those with most calls first.
    pub(crate) fn finish(self, privacy: &Privacy, surroundings: &Surroundings) -> Vec<Group> {
        let secrets = privacy.of_nobody();
        let mut groups: Vec<Group> = self.groups.into_values().collect();
        for group in &mut groups {
            group.incident.calls.sort_unstable();
            let long_enough =
                group.incident.called.as_ref().is_some_and(|start| start.raw().chars().count() >= SHORTEST_PREFIX);
            let called = group.incident.called.take().filter(|_| long_enough);
            // The pseudonym of a beginning is the beginning of the pseudonym.
            group.incident.called = called.map(|start| secrets.user(start.raw()).into());
        }
        groups.sort_by(|a, b| {
            let key = |group: &Group| {
                let is_fault = group.is_incident();
                let first = group.incident.calls.first().copied();
                (std::cmp::Reverse(is_fault), group.weight, std::cmp::Reverse(group.count), first)
            };
            key(a).cmp(&key(b))
        });
        let says: Vec<_> = groups.iter().map(|group| over_calls::says(group, &groups, surroundings)).collect();
        for (group, says) in groups.iter_mut().zip(says) {
            group.incident.of = over_calls::share(group, surroundings).map(|share| share.of);
            group.incident.says = says.iter().map(|one| secrets.hide(one).into()).collect();
        }
        for (number, group) in (1..).zip(groups.iter_mut().filter(|group| group.is_incident())) {
            group.number = number;
            group.incident.id = format!("incident-{number}");
        }
        groups
    }
}

impl Group {
    /// True if its calls are those of a scanner or a probe.
    pub(crate) fn is_of_probes(&self) -> bool {
        self.weight.noise == Noise::Probe
    }

    /// True if it is more than one call that failed, or that was answered and of no use, such as without sound.
    pub(crate) fn is_incident(&self) -> bool {
        let is_answered = self.outcome == Outcome::Answered;
        let is_fault = self.outcome.went_wrong() || is_answered;
        self.count > 1 && is_fault && self.weight.severity == Severity::Error
    }

    /// True if its calls went well, and all that is to be said of them is said of the capture as a whole. Whether such
    /// calls are looked at one by one hangs on what else is written.
    pub(crate) fn is_told_by(&self, notes: &[FindingRecord]) -> bool {
        let is_noted = |rule: &Cow<'static, str>| notes.iter().any(|note| note.rule == *rule);
        is_well(self.outcome) && !self.has_failure && !self.rules.is_empty() && self.rules.iter().all(is_noted)
    }
}

fn is_well(outcome: Outcome) -> bool {
    matches!(outcome, Outcome::Answered | Outcome::Registered | Outcome::Accepted | Outcome::Unfinished)
}

/// What explains the outcome, else the first thing that is wrong.
pub(crate) fn telling_finding(diagnosis: &Diagnosis) -> Option<&Finding> {
    diagnosis.cause().or_else(|| diagnosis.findings.iter().find(|finding| finding.severity != Severity::Info))
}

/// The rules that found more in a call than facts.
fn found(diagnosis: &Diagnosis) -> impl Iterator<Item = &Cow<'static, str>> {
    let findings = diagnosis.findings.iter().filter(|finding| finding.severity != Severity::Info);
    findings.map(|finding| &finding.rule)
}

/// The group that a call begins, of which this is to be hidden.
pub(crate) fn begin(scene: &Scene, call: &Call, diagnosis: &Diagnosis, secrets: &Secrets) -> Group {
    let finding = telling_finding(diagnosis);
    let record = finding.map(|finding| scene.finding(finding, secrets));
    let source = call.messages.first().map(|heard| heard.place.source).unwrap_or_default();
    let started = scene.moment_in(source, call.started());
    let mut frames: Vec<Frame> = finding
        .map(|finding| finding.claims.iter().map(|claim| scene.frame(claim.place)).collect())
        .unwrap_or_default();
    frames.dedup();
    frames.truncate(MOST_FRAMES);
    let peer = peer(call, finding);
    let status = status(call, finding);
    let title = match &record {
        Some(record) => record.title.clone(),
        None => {
            let host = peer.map(|peer| secrets.address(peer.ip()));
            unexplained_title(call, diagnosis.outcome, status, host.as_deref())
        }
    };
    let incident = Incident {
        id: String::new(),
        rule: record.as_ref().map(|record| record.rule.clone()),
        title,
        calls: Vec::new(),
        peer: peer.map(|peer| secrets.party(peer)),
        status: status.map(StatusCode::get),
        first: started,
        last: started,
        fix: record.as_ref().map(|record| record.fix.clone()).unwrap_or_default(),
        confidence: record.as_ref().map(|record| record.confidence),
        kind: call.kind,
        frames,
        called: called(call).map(Untrusted::from),
        agent: record.and_then(|record| record.party.agent),
        of: None,
        says: Vec::new(),
    };
    let end = match finding.map(|finding| finding.party.role) {
        Some(Role::Uac) => End::Client,
        _ => End::Server,
    };
    let ended = (call.ended(), call.ended());
    let over = Over { peer: peer.map(|peer| peer.ip()), end, first: call.started(), ended };
    Group {
        incident,
        outcome: diagnosis.outcome,
        kept: call.number,
        number: 0,
        count: 0,
        selected: 0,
        called_the_same: true,
        named: Vec::new(),
        over,
        rules: BTreeSet::new(),
        has_failure: false,
        weight: weight(diagnosis),
    }
}

/// True for a rule of traffic that nobody wants to be accepted.
pub(crate) fn is_unwanted(rule: &str) -> bool {
    noise(rule) != Noise::None
}

fn noise(rule: &str) -> Noise {
    match rule {
        "scanner" | "probe-noise" | "credential-guessing" => Noise::Probe,
        "request-flood" => Noise::Flood,
        _ => Noise::None,
    }
}

/// True if a call failed or was dropped. A probe that is refused shows that the peer is there, and nothing has to be
/// done.
pub(crate) fn wants_attention(diagnosis: &Diagnosis) -> bool {
    let is_refused_probe = diagnosis.cause().is_some_and(|cause| cause.rule == "probe-noise");
    diagnosis.outcome.went_wrong() && !is_refused_probe
}

/// How much a call matters among those that went wrong.
fn weight(diagnosis: &Diagnosis) -> Weight {
    let noise = diagnosis.findings.iter().map(|finding| noise(&finding.rule)).max().unwrap_or(Noise::None);
    let failed = wants_attention(diagnosis);
    let of_findings = telling_finding(diagnosis).map_or(Severity::Info, |finding| finding.severity);
    let severity = if failed { Severity::Error } else { of_findings };
    Weight { noise, severity }
}

fn unexplained_title(call: &Call, outcome: Outcome, status: Option<StatusCode>, peer: Option<&str>) -> Untrusted {
    let what = match status {
        Some(status) => format!("{status} to {}", method_of(call)),
        None if outcome == Outcome::Cancelled => "cancelled".into(),
        None => format!("no final response to {}", method_of(call)),
    };
    let from = peer.map(|peer| format!(" from {peer}")).unwrap_or_default();
    format!("{what}{from}, unexplained").into()
}

fn method_of(call: &Call) -> &str {
    call.transactions.first().map_or("the request", |transaction| transaction.method.name())
}

/// Who is responsible; where nobody is named, who sent the last failure, or did not answer.
fn peer(call: &Call, finding: Option<&Finding>) -> Option<std::net::SocketAddr> {
    if let Some(address) = finding.and_then(|finding| finding.party.address) {
        return Some(address);
    }
    let failure = call.failures.iter().rev().find(|failure| failure.normal.is_none());
    match failure {
        Some(failure) => Some(call.message(failure.response).path.source),
        None => call.legs.first().map(|leg| leg.path.destination),
    }
}

/// The code that is explained, else that of the last failure, else what the caller got.
fn status(call: &Call, finding: Option<&Finding>) -> Option<StatusCode> {
    let judged = call.failures.iter().rev().find(|failure| failure.normal.is_none());
    finding
        .and_then(|finding| finding.status)
        .or(call.final_status.filter(|status| status.is_failure()))
        .or(judged.map(|failure| failure.status))
        .or(call.final_status)
}

/// The number or name that was called.
fn called(call: &Call) -> Option<String> {
    let request = call.messages.iter().find(|heard| heard.message.is_request())?;
    let user = request.message.to()?.parsed().bare_user().to_owned();
    (call.kind == Kind::Call && !user.is_empty()).then_some(user)
}

fn keep_common_start(known: &mut Option<Untrusted>, other: Option<String>) {
    let Some(start) = known else { return };
    let other = other.unwrap_or_default();
    let common: String =
        start.raw().chars().zip(other.chars()).take_while(|(one, other)| one == other).map(|(one, _)| one).collect();
    if common.len() < start.raw().len() {
        *known = (!common.is_empty()).then(|| common.into());
    }
}
