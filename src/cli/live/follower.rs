//! Follows a run without end: a line for each event, incidents as they happen, a summing up now and then, reports when
//! they are due.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use crate::analysis::MessageRead;
use crate::call::{Call, GoodCall, Outcome};
use crate::capture::{InputFacts, Notice, Progress, SourceId, Timestamp};
use crate::cli::live::lines::Lines;
use crate::cli::live::reports::Reports;
use crate::cli::live::signals::Signals;
use crate::cli::printer::Printer;
use crate::cli::say;
use crate::cli::select::Selection;
use crate::cli::service::Service;
use crate::diagnosis::{Diagnosis, Severity};
use crate::error::Error;
use crate::report::text::Style;
use crate::report::text::live::{self, While};
use crate::report::{
    Ending, Events, Follower, Gatherer, LiveIncident, Moment, Scene, Selected, Standing, Summary, Watch,
};
use crate::sip::StatusCode;

/// Calls of which it is remembered that they were told before they ended.
const MOST_TOLD: usize = 20_000;

/// Bytes of packets that wait of which the line that sums up tells: a few always do.
const MUCH: u64 = 1 << 20;

/// How long a run that is to end looks at what has arrived: with what is to be done then, it ends in two seconds.
const CATCH_UP: Duration = Duration::from_secs(1);

/// What is told while the run goes on.
pub(crate) enum Telling {
    /// Nothing.
    Nothing,
    /// An event in JSON for each.
    Events(Events<Vec<u8>>),
    /// A line for each.
    Text(Style, Which),
}

/// Of which calls a line is printed when they have ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Which {
    /// Of those that did not go well.
    Trouble,
    /// Of all.
    All,
}

/// What was told of a call before it ended: outcome, rule and code, as a hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Told(u64);

/// Follows a run without end.
pub(crate) struct LiveFollower<'a> {
    pub(crate) parts: Parts<'a>,
    pub(crate) gatherer: Gatherer,
    watch: Watch,
    told: BTreeMap<u32, Told>,
    minutes: Minutes,
    /// Since when the run is to end.
    ending: Option<Instant>,
}

/// When the last summing up was, and what had been counted then.
struct Minutes {
    since: Instant,
    before: Summary,
    /// Of reports that were ended since.
    carried: Summary,
    packets: u64,
    kernel_drops: u64,
    interface_drops: u64,
    lines_dropped: u64,
}

/// What a follower is made of.
pub(crate) struct Parts<'a> {
    pub(crate) lines: Lines,
    pub(crate) telling: Telling,
    pub(crate) reports: Reports,
    pub(crate) printer: Printer<'a>,
    pub(crate) selection: Selection,
    pub(crate) signals: Signals,
    /// Makes a gatherer for the next period.
    pub(crate) anew: Box<dyn Fn() -> Gatherer + 'a>,
    /// How often it is summed up.
    pub(crate) stats_every: Option<Duration>,
    pub(crate) quiet: bool,
    /// What others are told.
    pub(crate) service: Service,
}

impl<'a> LiveFollower<'a> {
    pub(crate) fn new(parts: Parts<'a>) -> LiveFollower<'a> {
        let minutes = Minutes {
            since: Instant::now(),
            before: Summary::default(),
            carried: Summary::default(),
            packets: 0,
            kernel_drops: 0,
            interface_drops: 0,
            lines_dropped: 0,
        };
        LiveFollower {
            gatherer: (parts.anew)(),
            parts,
            watch: Watch::default(),
            told: BTreeMap::new(),
            minutes,
            ending: None,
        }
    }

    /// A line for people, if they follow.
    fn line(&mut self, line: impl FnOnce(&Style) -> String) {
        if let Telling::Text(style, _) = &self.parts.telling {
            let mut line = line(style);
            line.push('\n');
            self.parts.lines.put(line.as_bytes());
        }
    }

    /// Hands on what events were written.
    fn hand_on(&mut self) {
        if let Telling::Events(events) = &mut self.parts.telling {
            let events = events.out();
            if !events.is_empty() {
                self.parts.lines.put(events);
                events.clear();
            }
        }
    }

    /// Tells what became of an incident.
    fn tell_incident(&mut self, incident: &LiveIncident) -> Result<(), Error> {
        self.parts.service.incident(incident);
        let at = incident.last;
        self.line(|style| live::incident(incident, at, style));
        if let Telling::Events(events) = &mut self.parts.telling {
            events.incident(incident)?;
        }
        self.hand_on();
        Ok(())
    }

    /// Sums up what the time since the last summing up brought.
    fn sum_up(&mut self, standing: &Standing<'_>) -> Result<(), Error> {
        let Some(every) = self.parts.stats_every else { return Ok(()) };
        let lasted = self.minutes.since.elapsed();
        if lasted < every {
            return Ok(());
        }
        let now = self.minutes.summary(self.gatherer.summary());
        let drops = |input: &InputFacts| input.drops.saturating_sub(input.drops_of_interface);
        let packets: u64 = standing.inputs.iter().map(|input| input.packets).sum();
        let kernel_drops = standing.inputs.iter().map(drops).fold(0, u64::saturating_add);
        let interface_drops = standing.inputs.iter().map(|input| input.drops_of_interface).fold(0, u64::saturating_add);
        let minutes = &mut self.minutes;
        let of = While {
            lasted,
            packets: packets.saturating_sub(minutes.packets),
            kernel_drops: kernel_drops.saturating_sub(minutes.kernel_drops),
            interface_drops: interface_drops.saturating_sub(minutes.interface_drops),
            waiting: if standing.behind.bytes >= MUCH { standing.behind.packets } else { 0 },
            lines_dropped: std::mem::take(&mut minutes.lines_dropped),
            ..While::between(&minutes.before, &now)
        };
        (minutes.since, minutes.before) = (Instant::now(), now);
        (minutes.packets, minutes.kernel_drops, minutes.interface_drops) = (packets, kernel_drops, interface_drops);
        let at = moment(standing.scene, standing.analysis.now());
        self.line(|style| live::summary(&of, at, style));
        if let Telling::Events(events) = &mut self.parts.telling {
            let inputs = Gatherer::inputs(standing);
            events.stats(&inputs, &now, standing.behind)?;
        }
        self.hand_on();
        Ok(())
    }

    /// Writes reports that are due, and begins the next period.
    fn write_reports(&mut self, standing: &Standing<'_>) {
        let was_asked = self.parts.signals.take_hangup();
        if was_asked && self.parts.reports.are_none() {
            // Who hung up will not come back: the terminal is gone.
            self.parts.signals.end();
            return;
        }
        let is_over = self.parts.reports.is_over(self.gatherer.bytes());
        if !was_asked && !is_over {
            return;
        }
        let Standing { scene, inputs, analysis, engine, .. } = *standing;
        let mut gathered = self.gatherer.so_far(scene, inputs, analysis, engine);
        self.parts.reports.write(&mut gathered, &self.parts.printer);
        self.gatherer.take_back(gathered);
        if self.parts.reports.are_rotated() {
            self.parts.reports.begin();
            self.minutes.carry(self.gatherer.summary());
            self.gatherer = (self.parts.anew)();
        }
    }

    /// Tells how many lines were left out, where there is room to tell it.
    fn tell_dropped(&mut self) -> Result<(), Error> {
        let dropped = self.parts.lines.newly_dropped();
        if dropped == 0 {
            return Ok(());
        }
        self.minutes.lines_dropped += dropped;
        match &mut self.parts.telling {
            Telling::Events(events) => events.lines_dropped(dropped)?,
            _ if !self.parts.quiet => {
                say(&format!("sipwhy: {dropped} lines were left out: the reader of standard output is slow"));
            }
            _ => {}
        }
        self.hand_on();
        Ok(())
    }

    /// True if nothing more than the summary is to be told of a call that ends: the run is over, or it was told before.
    fn was_told(&mut self, call: &Call, diagnosis: &Diagnosis) -> bool {
        self.told.remove(&call.number).is_some_and(|told| told == Told::of(call, diagnosis))
    }
}

impl Follower for LiveFollower<'_> {
    type Error = Error;

    fn message(&mut self, scene: &Scene, message: &MessageRead) -> Result<(), Error> {
        self.parts.service.message(message);
        // Which call a message belongs to is not known when it is read: it cannot be selected.
        if let Telling::Events(events) = &mut self.parts.telling
            && self.parts.selection.is_everything()
        {
            events.message(scene, message)?;
        }
        self.hand_on();
        Ok(())
    }

    fn so_far(&mut self, scene: &Scene, call: &Call, diagnosis: &Diagnosis) -> Result<(), Error> {
        if self.parts.selection.takes(call, diagnosis.outcome) == Selected::No {
            return Ok(());
        }
        if diagnosis.outcome == Outcome::Answered {
            let after = answered_after(call);
            let at = scene.moment_in(source(call), call.ended());
            self.line(|style| live::answered(&scene.record(call, diagnosis), after, at, style));
            return Ok(());
        }
        if self.told.len() >= MOST_TOLD {
            self.told.pop_first();
        }
        let told = Told::of(call, diagnosis);
        if self.told.insert(call.number, told) == Some(told) {
            return Ok(());
        }
        self.tell_failure(scene, call, diagnosis)
    }

    fn call(&mut self, scene: &Scene, call: &Call, diagnosis: &Diagnosis) -> Result<(), Error> {
        let selected = self.parts.selection.takes(call, diagnosis.outcome);
        self.gatherer.add(scene, call, diagnosis, selected)?;
        self.parts.service.call(scene, call, diagnosis, selected);
        let was_told = self.was_told(call, diagnosis);
        if selected == Selected::No {
            return Ok(());
        }
        match &mut self.parts.telling {
            // Incidents are told all the same.
            Telling::Nothing if !was_told && self.ending.is_none() => return self.tell_failure(scene, call, diagnosis),
            Telling::Nothing => {}
            Telling::Events(_) => {
                if !was_told {
                    self.tell_failure(scene, call, diagnosis)?;
                }
                if let Telling::Events(events) = &mut self.parts.telling {
                    events.call_alone(scene, call, diagnosis)?;
                }
                self.hand_on();
            }
            Telling::Text(_, which) => {
                // At the end every open call ends: the report tells of them.
                let is_wanted = *which == Which::All || is_trouble(call, diagnosis);
                if is_wanted && !was_told && self.ending.is_none() {
                    return self.tell_failure(scene, call, diagnosis);
                }
            }
        }
        Ok(())
    }

    fn good(&mut self, good: GoodCall) {
        self.parts.service.good(good);
        self.gatherer.add_good(good);
    }

    fn notice(&mut self, notice: &Notice) -> Result<(), Error> {
        if !self.parts.quiet {
            say(&format!("sipwhy: {}", live::notice(notice)));
        }
        Ok(())
    }

    fn look(&mut self, standing: &Standing<'_>) -> Result<(), Error> {
        self.parts.service.so_far(standing.inputs, standing.analysis);
        self.parts.service.behind(standing.behind);
        for incident in self.watch.tick(standing.analysis.now()) {
            self.tell_incident(&incident)?;
        }
        self.sum_up(standing)?;
        self.tell_dropped()?;
        self.write_reports(standing);
        self.parts.lines.hand_over();
        Ok(())
    }

    fn go_on(&mut self, _: Progress) -> Result<ControlFlow<Ending>, Error> {
        if !self.parts.signals.is_end() && !self.parts.lines.is_gone() {
            return Ok(ControlFlow::Continue(()));
        }
        let since = *self.ending.get_or_insert_with(Instant::now);
        let is_late = since.elapsed() >= CATCH_UP;
        Ok(ControlFlow::Break(if is_late { Ending::Now } else { Ending::BehindWhatArrived }))
    }
}

impl LiveFollower<'_> {
    /// Tells that a call has failed, or whatever else became of it, and the incident that it makes.
    fn tell_failure(&mut self, scene: &Scene, call: &Call, diagnosis: &Diagnosis) -> Result<(), Error> {
        let watched = self.watch.failed(scene, call, diagnosis);
        let repeat = watched.as_ref().map(|(repeat, _)| *repeat);
        match &mut self.parts.telling {
            Telling::Nothing => {}
            Telling::Events(events) => events.failures(scene, call, diagnosis)?,
            Telling::Text(..) => {
                let at = scene.moment_in(source(call), call.ended());
                let record = scene.record(call, diagnosis);
                self.line(|style| live::ended(&record, repeat, at, style));
            }
        }
        self.hand_on();
        match watched.and_then(|(_, incident)| incident) {
            Some(incident) => self.tell_incident(&incident),
            None => Ok(()),
        }
    }
}

impl Told {
    fn of(call: &Call, diagnosis: &Diagnosis) -> Told {
        let mut hasher = DefaultHasher::new();
        let rule = diagnosis.cause().map(|cause| &*cause.rule);
        (diagnosis.outcome, rule, call.final_status.map(StatusCode::get)).hash(&mut hasher);
        Told(hasher.finish())
    }
}

impl Minutes {
    /// What was counted since the run began, in periods that are over and in this one.
    fn summary(&self, of_period: &Summary) -> Summary {
        self.carried.plus(of_period)
    }

    fn carry(&mut self, of_period: &Summary) {
        self.carried = self.carried.plus(of_period);
    }
}

/// True if a line is worth printing for a call that has ended: it failed, or something was wrong with it all the same.
fn is_trouble(call: &Call, diagnosis: &Diagnosis) -> bool {
    let is_cut = diagnosis.outcome == Outcome::Unfinished;
    let is_refused = !is_cut && call.final_status.is_none_or(|status| status.get() >= 300);
    let is_wrong = diagnosis.findings.iter().any(|finding| finding.severity <= Severity::Warning);
    diagnosis.outcome.went_wrong() || is_refused || is_wrong
}

fn source(call: &Call) -> SourceId {
    call.messages.first().map_or(SourceId::default(), |heard| heard.place.source)
}

/// How long after its INVITE a call was answered.
fn answered_after(call: &Call) -> Duration {
    let answer = call.attempts().flat_map(|attempt| attempt.finals.iter()).map(|id| call.message(*id));
    let answer = answer.filter(|heard| heard.message.status().is_some_and(|status| status.is_success()));
    answer.map(|heard| heard.place.time.since(call.started())).min().unwrap_or_default()
}

/// A moment of the run; before the first packet there is none by its clock, and that of the machine is used.
fn moment(scene: &Scene, time: Timestamp) -> Moment {
    let time = match time {
        Timestamp(i64::MIN) => {
            let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
            Timestamp::default().plus(now)
        }
        known => known,
    };
    scene.moment_in(SourceId(0), time)
}
