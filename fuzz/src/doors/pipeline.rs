//! A whole run: from the bytes of a file to what is printed.

use std::ops::ControlFlow;
use std::path::Path;

use sipwhy::analysis::{Analysis, Limits, MessageRead};
use sipwhy::call::{Call, GoodCall, Wanted};
use sipwhy::capture::{Error, Files, Progress, Reading, Source};
use sipwhy::catalogue::Catalogue;
use sipwhy::diagnosis::{Diagnosis, Engine};
use sipwhy::report::text::{self, Glyphs, Scope, Style, Zone};
use sipwhy::report::{
    Ending, Events, Follower, Gathered, Gatherer, Keep, Layout, Report, Scene, Selected, follow, write_json,
};
use sipwhy::untrusted::is_unsafe;

/// Bytes that a packed file may unpack to.
const UNPACKED: u64 = 1 << 20;

struct Follow {
    gatherer: Gatherer,
    events: Events<Vec<u8>>,
    messages: u64,
}

impl Follower for Follow {
    type Error = Box<dyn std::error::Error>;

    fn message(&mut self, scene: &Scene, message: &MessageRead) -> Result<(), Self::Error> {
        self.messages += 1;
        Ok(self.events.message(scene, message)?)
    }

    fn call(&mut self, scene: &Scene, call: &Call, diagnosis: &Diagnosis) -> Result<(), Self::Error> {
        self.events.call(scene, call, diagnosis)?;
        Ok(self.gatherer.add(scene, call, diagnosis, Selected::Yes)?)
    }

    fn good(&mut self, good: GoodCall) {
        self.gatherer.add_good(good);
    }

    fn go_on(&mut self, _: Progress) -> Result<ControlFlow<Ending>, Self::Error> {
        Ok(ControlFlow::Continue(()))
    }
}

/// Reads a file to the reports: valid, safe to print, and with counts that agree.
pub fn whole(path: &Path) {
    let reading = Reading { unpacked_limit: UNPACKED, ..Reading::default() };
    let mut files = match Files::open(&[path.to_owned()], reading) {
        Ok(files) => files,
        Err(error) => return refused(&error),
    };
    let mut analysis = Analysis::new(Limits::default(), Wanted::EveryCall);
    analysis.hand_on_messages();
    let mut engine = Engine::new(Engine::HELD_BACK);
    let mut scene = Scene::new(&files.inputs(), Catalogue::new());
    let events = Events::new(Vec::new());
    let mut follower = Follow { gatherer: Gatherer::new(Keep::All), events, messages: 0 };
    let Ok(inputs) = follow(&mut files, &mut analysis, &mut engine, &mut scene, &mut follower) else { return };
    let Follow { gatherer, mut events, messages } = follower;
    let mut gathered = gatherer.finish(&scene, &inputs, &analysis, &engine);
    events.end(&gathered).expect("events");
    let report = checked_json(&mut gathered);
    let faults = report.inputs.iter().flat_map(|input| &input.oddities).find(|it| it.kind == "internal-fault");
    assert!(faults.is_none(), "a fault was caught: {faults:?}");
    let sum: u64 = report.inputs.iter().map(|input| input.sip_messages).sum();
    assert_eq!(sum, messages, "messages counted, and told of");
    assert!(report.summary.messages <= sum, "{} of {sum} messages are in calls", report.summary.messages);
    let all = report.summary.calls + report.summary.registrations + report.summary.other_transactions;
    assert_eq!(all, report.calls.len() as u64, "calls counted, and told of");
    for scope in [Scope::Trouble, Scope::Everything] {
        let style = Style::new(80, Glyphs::Unicode, Zone::default());
        let mut bytes = Vec::new();
        text::write(&mut anstream::StripStream::new(&mut bytes), &mut gathered, &style, scope).expect("a report");
        assert_safe(&bytes);
    }
}

/// What is refused is refused in words.
fn refused(error: &Error) {
    assert!(!error.to_string().is_empty());
}

/// The report as it is printed for programs, compact and for people: both are the same value.
fn checked_json(gathered: &mut Gathered) -> Report {
    let mut print = |layout| {
        let mut bytes = Vec::new();
        write_json(&mut bytes, gathered, layout).expect("a report");
        assert_safe(&bytes);
        serde_json::from_slice::<Report>(&bytes).expect("valid JSON")
    };
    let (compact, pretty) = (print(Layout::Compact), print(Layout::Pretty));
    assert!(compact == pretty);
    compact
}

/// Text that may go to a terminal: UTF-8 without controls but line feed, without what is invisible.
fn assert_safe(bytes: &[u8]) {
    let text = std::str::from_utf8(bytes).expect("UTF-8");
    let found = text.chars().find(|character| *character != '\n' && is_unsafe(*character));
    assert_eq!(found, None);
}
