//! Incidents while they happen: calls that fail in the same way, again and again, are told when it begins, while it
//! goes on, and when it is over.
//!
//! Is given calls that failed, and the time by the capture's clock; gives what is to be told. Bounded: of kinds of
//! trouble that are too many, those that were quiet for longest are forgotten.

use std::collections::{BTreeMap, VecDeque};

use serde::Serialize;

use crate::call::{Call, Kind};
use crate::capture::{SourceId, Timestamp};
use crate::diagnosis::Diagnosis;
use crate::report::incidents::{self, Key, wants_attention};
use crate::report::moment::Moment;
use crate::report::scene::Scene;
use crate::untrusted::Untrusted;

/// So many calls within [`WINDOW`] are an incident.
const OPENS_AT: usize = 5;
/// Nanoseconds within which calls are counted together: five minutes. Without another one for as long, it is over.
const WINDOW: i64 = 300_000_000_000;
/// An incident that goes on is told anew when its calls have doubled, or after ten minutes.
const TOLD_AGAIN: i64 = 600_000_000_000;
/// A minute, for rates.
const MINUTE: i64 = 60_000_000_000;
/// Kinds of trouble that are watched.
const MOST: usize = 2000;

/// What goes wrong now.
#[derive(Debug, Default)]
pub struct Watch {
    known: BTreeMap<Key, Watched>,
    opened: u32,
}

/// What became of an incident.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// It begins.
    Opened,
    /// It goes on.
    Updated,
    /// It is over.
    Closed,
}

/// An incident while it happens.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct LiveIncident {
    /// `incident-1`.
    pub id: String,
    /// Its number.
    #[serde(skip)]
    pub number: u32,
    /// What became of it.
    pub state: State,
    /// The rule that explains its calls; `None` if none does.
    pub rule: Option<String>,
    /// One line.
    pub title: Untrusted,
    /// The responsible party.
    pub peer: Option<String>,
    /// The code.
    pub status: Option<u16>,
    /// What the calls are about.
    pub kind: Kind,
    /// How many there were.
    pub count: u64,
    /// In the last minute.
    pub per_minute: u64,
    /// In the worst minute.
    pub worst_minute: u64,
    /// When the first failed.
    pub first: Moment,
    /// When the last failed.
    pub last: Moment,
    /// What to do.
    pub fix: Vec<Untrusted>,
}

/// How often the same has happened just now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Repeat {
    /// Calls, this one counted.
    pub count: u64,
    /// Nanoseconds since the first of them.
    pub within: i64,
}

/// One kind of trouble.
#[derive(Debug)]
struct Watched {
    incident: LiveIncident,
    /// The last failures, at most [`OPENS_AT`] of them.
    recent: VecDeque<Timestamp>,
    /// Failures since there was none for [`WINDOW`].
    count: u64,
    /// Those of this minute, and when it began.
    minute: (Timestamp, u64),
    /// When it was told, and how many there were; `None` while it is no incident.
    told: Option<(Timestamp, u64)>,
}

impl Watch {
    /// A call has failed. Gives how often the same has happened, and the incident if it is to be told.
    pub fn failed(
        &mut self,
        scene: &Scene,
        call: &Call,
        diagnosis: &Diagnosis,
    ) -> Option<(Repeat, Option<LiveIncident>)> {
        let key = Key::of(call, diagnosis).filter(|_| wants_attention(diagnosis))?;
        let now = call.ended();
        if !self.known.contains_key(&key) {
            self.make_room();
            self.known.insert(key.clone(), Watched::begin(scene, call, diagnosis));
        }
        let source = call.messages.first().map_or(SourceId::default(), |heard| heard.place.source);
        let watched = self.known.get_mut(&key)?;
        let moment = scene.moment_in(source, now);
        let repeat = watched.note(now, moment);
        let told = watched.tell(now, &mut self.opened);
        Some((repeat, told))
    }

    /// Incidents that are over by now.
    pub fn tick(&mut self, now: Timestamp) -> Vec<LiveIncident> {
        let mut over = Vec::new();
        self.known.retain(|_, watched| {
            let is_over = now.0.saturating_sub(watched.incident.last.time.0) >= WINDOW;
            if is_over && watched.told.is_some() {
                watched.incident.state = State::Closed;
                watched.incident.per_minute = 0;
                over.push(watched.incident.clone());
            }
            !is_over
        });
        over.sort_by_key(|incident| incident.number);
        over
    }

    /// The incidents that go on.
    pub fn open(&self) -> impl Iterator<Item = &LiveIncident> {
        self.known.values().filter(|watched| watched.told.is_some()).map(|watched| &watched.incident)
    }

    fn make_room(&mut self) {
        if self.known.len() < MOST {
            return;
        }
        let quietest =
            self.known.iter().min_by_key(|(_, watched)| (watched.told.is_some(), watched.incident.last.time));
        if let Some(key) = quietest.map(|(key, _)| key.clone()) {
            self.known.remove(&key);
        }
    }
}

impl Watched {
    fn begin(scene: &Scene, call: &Call, diagnosis: &Diagnosis) -> Watched {
        let source = call.messages.first().map_or(SourceId::default(), |heard| heard.place.source);
        let of = incidents::begin(scene, call, diagnosis, &scene.privacy().of(call)).incident;
        let moment = scene.moment_in(source, call.ended());
        let incident = LiveIncident {
            id: String::new(),
            number: 0,
            state: State::Opened,
            rule: of.rule,
            title: of.title,
            peer: of.peer,
            status: of.status,
            kind: of.kind,
            count: 0,
            per_minute: 0,
            worst_minute: 0,
            first: moment,
            last: moment,
            fix: of.fix,
        };
        Watched { incident, recent: VecDeque::new(), count: 0, minute: (call.ended(), 0), told: None }
    }

    /// Counts one more.
    fn note(&mut self, now: Timestamp, moment: Moment) -> Repeat {
        let age = |then: Timestamp| now.0.saturating_sub(then.0);
        while self.recent.len() >= OPENS_AT || self.recent.front().is_some_and(|first| age(*first) > WINDOW) {
            self.recent.pop_front();
        }
        self.recent.push_back(now);
        self.count += 1;
        if age(self.minute.0) >= MINUTE {
            self.minute = (now, 0);
        }
        self.minute.1 += 1;
        let incident = &mut self.incident;
        incident.count = self.count;
        incident.last.time = incident.last.time.max(moment.time);
        incident.per_minute = self.minute.1;
        incident.worst_minute = incident.worst_minute.max(self.minute.1);
        Repeat { count: self.count, within: age(incident.first.time) }
    }

    /// The incident if it is to be told now.
    fn tell(&mut self, now: Timestamp, opened: &mut u32) -> Option<LiveIncident> {
        let state = match self.told {
            None if self.recent.len() >= OPENS_AT => State::Opened,
            None => return None,
            Some((at, count)) if self.count >= 2 * count || now.0.saturating_sub(at.0) >= TOLD_AGAIN => State::Updated,
            Some(_) => return None,
        };
        if state == State::Opened {
            *opened += 1;
            self.incident.number = *opened;
            self.incident.id = format!("incident-{opened}");
        }
        self.incident.state = state;
        self.told = Some((now, self.count));
        Some(self.incident.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analysis::{Analysis, run};
    use crate::capture::{Files, InputFacts, Reading};
    use crate::catalogue::Catalogue;
    use crate::diagnosis::{CaptureSeen, Case, diagnose};
    use crate::story::Story;

    /// Twelve calls, two seconds apart, each refused in the same way.
    fn refused() -> Files {
        let mut story = "# One cause.\nalice 192.0.2.10:5060\nproxy 192.0.2.20:5060\n\n".to_owned();
        for number in 0..12 {
            let start = f64::from(number) * 2.0;
            story.push_str(&format!(
                "call c{number}\n{start:.3}  alice -> proxy  INVITE sip:bob{number}@example.com\n{:.3}  proxy -> \
                 alice  503 Service Unavailable\n{:.3}  alice -> proxy  ACK\n",
                start + 0.01,
                start + 0.02
            ));
        }
        story.push_str("end 60.0\n");
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("refused.pcap");
        std::fs::write(&path, Story::parse(&story).unwrap().capture()).unwrap();
        Files::open(&[path], Reading::default()).unwrap()
    }

    #[test]
    fn an_incident_opens_goes_on_and_is_over() {
        let scene = Scene::new(&[] as &[InputFacts], Catalogue::new());
        let (mut watch, mut told, mut repeats) = (Watch::default(), Vec::new(), Vec::new());
        run(&mut refused(), &mut Analysis::default(), |analysis, event| {
            let crate::analysis::Event::Call(call) = event else { return };
            let diagnosis = diagnose(&Case::new(&call, analysis.surroundings(), CaptureSeen::default()));
            let (repeat, incident) = watch.failed(&scene, &call, &diagnosis).expect("it failed");
            repeats.push(repeat.count);
            told.extend(incident.map(|incident| (incident.state, incident.count)));
        })
        .unwrap();
        assert_eq!(repeats, (1..=12).collect::<Vec<_>>());
        assert_eq!(told, [(State::Opened, 5), (State::Updated, 10)]);
        let last = watch.open().next().expect("one goes on").last.time;
        assert!(watch.tick(Timestamp(last.0 + WINDOW - 1)).is_empty());
        let over = watch.tick(Timestamp(last.0 + WINDOW));
        let over: Vec<_> = over.iter().map(|one| (one.state, one.count, one.number)).collect();
        assert_eq!(over, [(State::Closed, 12, 1)]);
        assert!(watch.open().next().is_none());
    }
}
