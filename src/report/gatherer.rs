//! Gathers what a report needs while calls are diagnosed, within bounds.

use std::cell::LazyCell;
use std::collections::BTreeSet;
use std::io;
use std::ops::ControlFlow;

use crate::analysis::{Analysis, Census};
use crate::call::{Call, GoodCall};
use crate::capture::{InputFacts, Progress, SourceId};
use crate::catalogue::Catalogue;
use crate::diagnosis::rule::Check;
use crate::diagnosis::{CaptureCase, Diagnosis, Engine, Finding, InputSeen, Severity, diagnose_capture, rules};
use crate::error::Error;
use crate::oddity::{Noted, Oddity, OddityLog};
use crate::report::incidents::{self, Group, Groups, MOST_GROUPS};
use crate::report::pump::{Ending, Follower, Standing};
use crate::report::record::FindingRecord;
use crate::report::scene::Scene;
use crate::report::secrets::Privacy;
use crate::report::spool::Spool;
use crate::report::transcript::Transcripts;
use crate::report::value::{Incident, InputRecord, OddityRecord, Summary};

/// Of which calls the records are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Keep {
    /// Of every call.
    All,
    /// Of the first call of each kind of trouble.
    Trouble,
    /// Of none.
    Nothing,
}

/// Calls whose messages are kept though others before them went wrong in the same way, or nothing did.
const MOST_LATER: usize = 30;
/// Numbers of calls that incidents name in a run without end.
const MOST_NUMBERS_FOR_EVER: usize = 20_000;
/// Call-IDs that are kept.
const MOST_CALL_IDS: usize = 1_000_000;

/// Gathers a report.
#[derive(Debug)]
pub struct Gatherer {
    keep: Keep,
    most_kept: usize,
    summary: Summary,
    groups: Groups,
    spool: Spool,
    transcripts: Option<Transcripts>,
    call_ids: Option<BTreeSet<String>>,
    worst: Option<Severity>,
    not_kept: u64,
    selected: u64,
    left_out: u64,
}

/// What was gathered.
#[derive(Debug)]
pub struct Gathered {
    /// The inputs.
    pub inputs: Vec<InputRecord>,
    /// The numbers.
    pub summary: Summary,
    /// Failures of several calls: the worst first, of equal ones those with most calls.
    pub incidents: Vec<Incident>,
    /// The records that were kept.
    pub spool: Spool,
    /// Findings about the whole capture.
    pub notes: Vec<FindingRecord>,
    /// The worst severity of any finding of any call that was asked for, or of the capture.
    pub worst: Option<Severity>,
    /// What else the packets held.
    pub census: Census,
    /// What went wrong in the same way, in the same order.
    pub(crate) groups: Vec<Group>,
    /// Records of trouble that were not kept because there were too many kinds of it.
    pub(crate) not_kept: u64,
    /// Calls and other exchanges that the user asked for.
    pub(crate) selected: u64,
    /// Those that the user did not ask for.
    pub(crate) left_out: u64,
    /// The messages of some calls, if they were asked for.
    pub(crate) transcripts: Transcripts,
    /// The catalogue of the run.
    pub(crate) catalogue: Catalogue,
    /// Whether secrets are shown, and what is replaced.
    pub(crate) privacy: Privacy,
    /// Packets that the user's own filter left out.
    pub(crate) filtered_out: u64,
    call_ids: BTreeSet<String>,
}

impl Gathered {
    /// What may be shown.
    pub fn privacy(&self) -> &Privacy {
        &self.privacy
    }

    /// The Call-IDs of the calls that were asked for, as they stand in the capture.
    pub fn call_ids(&self) -> &BTreeSet<String> {
        &self.call_ids
    }
}

impl Gatherer {
    /// Calls of which a record is kept for their trouble, by default.
    pub const MOST_KEPT: usize = 200;

    /// Keeps the records of so many calls for their trouble.
    pub fn with_room_for(self, calls: usize) -> Gatherer {
        Gatherer { most_kept: calls, ..self }
    }

    /// For a run that may last for months: of the records the last ones are kept, as far as so many bytes hold them,
    /// and of the numbers of calls in incidents a few thousand.
    pub fn for_ever(mut self, bytes: usize) -> Gatherer {
        self.spool = Spool::of_the_last(bytes);
        self.groups = std::mem::take(&mut self.groups).with_numbers(MOST_NUMBERS_FOR_EVER);
        self
    }

    /// A gatherer that keeps these records.
    pub fn new(keep: Keep) -> Gatherer {
        Gatherer {
            keep,
            most_kept: Gatherer::MOST_KEPT,
            summary: Summary::default(),
            groups: Groups::default(),
            spool: Spool::default(),
            transcripts: None,
            call_ids: None,
            worst: None,
            not_kept: 0,
            selected: 0,
            left_out: 0,
        }
    }

    /// The same, but that what a ticket holds is kept too: the text of messages, as far as there is room, and the
    /// Call-IDs of the first calls of each incident.
    pub fn with_messages(mut self) -> Gatherer {
        self.transcripts = Some(Transcripts::default());
        self.groups = std::mem::take(&mut self.groups).with_names();
        self
    }

    /// The same, but that the Call-IDs of the calls that were asked for are kept too.
    pub fn with_call_ids(mut self) -> Gatherer {
        self.call_ids = Some(BTreeSet::new());
        self
    }

    /// True if the words of a diagnosis are needed: its record is kept, or an incident begins with it.
    pub fn reads_words(&self, call: &Call, verdict: &Diagnosis, selected: Selected) -> bool {
        self.keep == Keep::All && selected == Selected::Yes || self.groups.is_first(call, verdict)
    }

    /// Counts a call, and keeps its record if it is wanted. The words of its diagnosis may be missing where
    /// [`Gatherer::reads_words`] says so.
    ///
    /// # Errors
    /// The temporary file of the records cannot be written.
    pub fn add(&mut self, scene: &Scene, call: &Call, diagnosis: &Diagnosis, selected: Selected) -> io::Result<()> {
        self.summary.add(call, diagnosis);
        let is_unexplained = diagnosis.cause().is_none() && diagnosis.outcome.wants_a_cause();
        self.summary.unexplained += u64::from(is_unexplained);
        let worst = diagnosis.findings.iter().map(|finding| finding.severity).min();
        let worst = if incidents::wants_attention(diagnosis) { Some(Severity::Error) } else { worst };
        self.note_worst(worst.filter(|_| selected == Selected::Yes));
        let secrets = LazyCell::new(|| scene.privacy().of(call));
        let standing = self.groups.add(scene, call, diagnosis, selected, &secrets);
        self.selected += u64::from(selected == Selected::Yes);
        self.left_out += u64::from(selected == Selected::No);
        if let Some(call_ids) = self.call_ids.as_mut().filter(|known| known.len() < MOST_CALL_IDS)
            && selected == Selected::Yes
        {
            call_ids.extend(call.call_ids().into_iter().map(|call_id| crate::sip::text(call_id).into_owned()));
        }
        let wanted = match self.keep {
            Keep::All => selected == Selected::Yes,
            Keep::Trouble => standing == incidents::Standing::First,
            Keep::Nothing => false,
        };
        if !wanted {
            return Ok(());
        }
        if self.keep == Keep::Trouble && self.spool.len() >= self.most_kept && !self.spool.make_room() {
            self.not_kept += 1;
            return Ok(());
        }
        if let Some(transcripts) = &mut self.transcripts {
            transcripts.put_example(call, diagnosis.outcome, &secrets);
            if standing == incidents::Standing::First || self.left_out > 0 || transcripts.len() < MOST_LATER {
                transcripts.put(call, &secrets);
            }
        }
        self.spool.put(scene.record_without(call, diagnosis, &secrets))
    }

    /// Counts a plain good call that nobody wants whole.
    pub fn add_good(&mut self, good: GoodCall) {
        self.summary.count(good.kind, good.outcome, good.messages);
    }

    /// The input has ended: puts together what was gathered.
    pub fn finish(mut self, scene: &Scene, inputs: &[InputFacts], analysis: &Analysis, engine: &Engine) -> Gathered {
        self.so_far(scene, inputs, analysis, engine)
    }

    /// Puts together what was gathered so far. What it takes out must be given back before more is added
    /// ([`Gatherer::take_back`]).
    pub fn so_far(&mut self, scene: &Scene, inputs: &[InputFacts], analysis: &Analysis, engine: &Engine) -> Gathered {
        let mut seen = seen(inputs, analysis);
        if self.groups.ungrouped > 0
            && let Some(first) = seen.first_mut()
        {
            let hit = Oddity::BoundHit { bound: "incidents", value: MOST_GROUPS as u64, option: None };
            first.oddities.note(hit, None);
        }
        let case = CaptureCase {
            inputs: &seen,
            surroundings: analysis.surroundings(),
            tally: engine.tally(),
            tls: &analysis.census().tls,
            clocks: analysis.clocks(),
        };
        let findings = diagnose_capture(&case);
        // What was found of calls that nobody asked for is no matter of those that were; how the capture is, is.
        let is_wanted = |finding: &&Finding| self.left_out == 0 || is_of_input(finding);
        self.note_worst(findings.iter().filter(is_wanted).map(|finding| finding.severity).min());
        if self.spool.dropped() > 0
            && let Some(first) = seen.first_mut()
            && let Some(most) = self.spool.most()
        {
            let hit = Oddity::BoundHit { bound: "kept-bytes", value: most as u64, option: Some("--live") };
            first.oddities.note(hit, None);
        }
        let groups = self.groups.clone().finish(scene.privacy(), analysis.surroundings());
        let incidents = groups.iter().filter(|group| group.is_incident()).map(|group| group.incident.clone()).collect();
        Gathered {
            inputs: inputs.iter().zip(&seen).map(|(facts, seen)| input_record(scene, facts, seen)).collect(),
            summary: self.summary,
            incidents,
            spool: std::mem::take(&mut self.spool),
            notes: findings.iter().map(|finding| scene.note(finding)).collect(),
            worst: self.worst,
            census: analysis.census().clone(),
            groups,
            not_kept: self.not_kept,
            selected: self.selected,
            left_out: self.left_out,
            transcripts: self.transcripts.as_mut().map(std::mem::take).unwrap_or_default(),
            catalogue: scene.catalogue().clone(),
            privacy: scene.privacy().clone(),
            filtered_out: inputs.iter().map(|input| input.filtered_out).sum(),
            call_ids: self.call_ids.as_mut().map(std::mem::take).unwrap_or_default(),
        }
    }

    /// Takes back what [`Gatherer::so_far`] took out.
    pub fn take_back(&mut self, gathered: Gathered) {
        self.spool = gathered.spool;
        self.transcripts = self.transcripts.is_some().then_some(gathered.transcripts);
        self.call_ids = self.call_ids.is_some().then_some(gathered.call_ids);
    }

    /// Bytes of the records that are kept.
    pub fn bytes(&self) -> u64 {
        self.spool.bytes()
    }

    /// What is known of the inputs so far.
    pub fn inputs(standing: &Standing<'_>) -> Vec<InputRecord> {
        let seen = seen(standing.inputs, standing.analysis);
        standing.inputs.iter().zip(&seen).map(|(facts, seen)| input_record(standing.scene, facts, seen)).collect()
    }

    /// The numbers so far.
    pub fn summary(&self) -> &Summary {
        &self.summary
    }

    fn note_worst(&mut self, severity: Option<Severity>) {
        self.worst = match (self.worst, severity) {
            (Some(known), Some(new)) => Some(known.min(new)),
            (known, new) => known.or(new),
        };
    }
}

/// Every call is wanted, and nothing stops it: for those who want a report and no more.
impl Follower for Gatherer {
    type Error = Error;

    fn reads_words(&self, call: &Call, verdict: &Diagnosis) -> bool {
        Gatherer::reads_words(self, call, verdict, Selected::Yes)
    }

    fn call(&mut self, scene: &Scene, call: &Call, diagnosis: &Diagnosis) -> Result<(), Error> {
        Ok(self.add(scene, call, diagnosis, Selected::Yes)?)
    }

    fn good(&mut self, good: GoodCall) {
        self.add_good(good);
    }

    fn go_on(&mut self, _: Progress) -> Result<ControlFlow<Ending>, Error> {
        Ok(ControlFlow::Continue(()))
    }
}

/// True if a finding is about an input, and not about the calls in it.
fn is_of_input(finding: &Finding) -> bool {
    rules::named(&finding.rule).is_some_and(|rule| matches!(rule.check, Check::Capture(_)))
}

/// Whether the user asked for a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Selected {
    /// It is wanted.
    Yes,
    /// It is not.
    No,
}

/// What rules about the capture see of each input: what the source and the analysis know of it.
fn seen(inputs: &[InputFacts], analysis: &Analysis) -> Vec<InputSeen> {
    let with_number = (0u32..).map(SourceId).zip(inputs);
    with_number
        .map(|(source, facts)| {
            let counts = analysis.counts(source);
            let mut oddities: OddityLog = facts.oddities.clone();
            oddities.merge(&counts.oddities);
            InputSeen {
                source,
                packets: facts.packets,
                sip_messages: counts.sip_messages,
                first_and_last: facts.first_and_last,
                oddities,
            }
        })
        .collect()
}

fn input_record(scene: &Scene, facts: &InputFacts, seen: &InputSeen) -> InputRecord {
    let server_name = |noted: &Noted| match &noted.example {
        Oddity::Encrypted { server, .. } => server.split_once(" (").map(|(name, _)| name.to_owned()),
        _ => None,
    };
    let named: Vec<String> = seen.oddities.iter().filter_map(|(_, noted)| server_name(noted)).collect();
    let secrets = scene.privacy().of_nobody().naming(&named);
    let oddities = seen.oddities.iter().map(|(kind, noted)| OddityRecord {
        kind: kind.to_owned(),
        count: noted.count,
        frames: noted.frames.clone(),
        says: secrets.hide(&noted.says()).into(),
    });
    let moment = |time| scene.moment_in(seen.source, time);
    InputRecord {
        file: secrets.file(&facts.name).into(),
        sha256: facts.sha256.clone(),
        format: facts.format.clone(),
        link_types: facts.link_types.clone(),
        packets: facts.packets,
        sip_messages: seen.sip_messages,
        first: facts.first_and_last.map(|(first, _)| moment(first)),
        last: facts.first_and_last.map(|(_, last)| moment(last)),
        oddities: oddities.collect(),
        drops: facts.drops,
    }
}
