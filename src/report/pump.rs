//! Drives a source through analysis and diagnosis, and hands on each call with its diagnosis.

use std::ops::ControlFlow;
use std::panic::{self, AssertUnwindSafe};

use crate::analysis::{Analysis, Event, MessageRead};
use crate::call::{Call, GoodCall};
use crate::capture::{self, Behind, Input, InputFacts, Notice, Place, Progress, Source};
use crate::diagnosis::{CaptureSeen, Case, Diagnosis, Engine, diagnose};
use crate::report::scene::Scene;

/// Packets between two looks at what the source knows of itself.
const LOOK_EVERY: u32 = 4096;
/// Faults of the program that are carried on from when the input has ended.
const MOST_FAULTS_AT_END: u32 = 1000;

/// Who follows a run.
pub trait Follower {
    /// What may stop it.
    type Error: From<capture::Error>;

    /// A message has been read. Only asked for by [`Analysis::hand_on_messages`].
    ///
    /// # Errors
    /// What makes it useless to go on.
    fn message(&mut self, _scene: &Scene, _message: &MessageRead) -> Result<(), Self::Error> {
        Ok(())
    }

    /// Whether the words of a diagnosis will be read: asked before [`Follower::call`], with all of it that needs no
    /// words.
    fn reads_words(&self, _call: &Call, _verdict: &Diagnosis) -> bool {
        true
    }

    /// A call has been diagnosed; without words, if they are not read.
    ///
    /// # Errors
    /// What makes it useless to go on.
    fn call(&mut self, scene: &Scene, call: &Call, diagnosis: &Diagnosis) -> Result<(), Self::Error>;

    /// A plain good call has ended that nobody wants whole.
    fn good(&mut self, good: GoodCall);

    /// A call was answered, or has failed as it stands now; it has not ended. Only asked for by
    /// [`Analysis::tell_early`].
    ///
    /// # Errors
    /// What makes it useless to go on.
    fn so_far(&mut self, _scene: &Scene, _call: &Call, _diagnosis: &Diagnosis) -> Result<(), Self::Error> {
        Ok(())
    }

    /// Something became of an interface.
    ///
    /// # Errors
    /// What makes it useless to go on.
    fn notice(&mut self, _notice: &Notice) -> Result<(), Self::Error> {
        Ok(())
    }

    /// Asked before [`Follower::go_on`], with all that is known so far.
    ///
    /// # Errors
    /// What makes it useless to go on.
    fn look(&mut self, _standing: &Standing<'_>) -> Result<(), Self::Error> {
        Ok(())
    }

    /// Asked now and then, and whenever an interface is quiet: whether to go on. Who wants to end behind what has
    /// arrived is asked again until then.
    ///
    /// # Errors
    /// What makes it useless to go on.
    fn go_on(&mut self, progress: Progress) -> Result<ControlFlow<Ending>, Self::Error>;
}

/// How a follower wants a run to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// Now: what has arrived and was not looked at is counted.
    Now,
    /// When all was looked at that has arrived until now. A source that waits for nothing ends at once.
    BehindWhatArrived,
}

/// How a run stands while it goes on.
#[derive(Debug, Clone, Copy)]
pub struct Standing<'a> {
    /// How frames and times are written.
    pub scene: &'a Scene,
    /// What is known of the inputs.
    pub inputs: &'a [InputFacts],
    /// The analysis.
    pub analysis: &'a Analysis,
    /// The engine.
    pub engine: &'a Engine,
    /// What has arrived and was not looked at yet.
    pub behind: Behind,
}

/// Feeds everything that `source` gives, until it ends or the follower does not want to go on; then every call ends.
/// Gives what is known of the inputs.
///
/// A panic is caught at the packet's door: it is noted as [`Oddity::InternalFault`](crate::oddity::Oddity) of the
/// packet that was fed last, and the run goes on with the next one.
///
/// # Errors
/// What stops the source or the follower.
///
/// # Panics
/// Where that happens over and over without any progress.
pub fn follow<F: Follower>(
    source: &mut dyn Source,
    analysis: &mut Analysis,
    engine: &mut Engine,
    scene: &mut Scene,
    follower: &mut F,
) -> Result<Vec<InputFacts>, F::Error> {
    let mut fed = Fed::default();
    loop {
        let before = fed.inputs;
        let feeding = AssertUnwindSafe(|| feed_all(source, analysis, engine, scene, follower, &mut fed));
        match panic::catch_unwind(feeding) {
            Ok(fed_all) => break fed_all?,
            // Nothing was fed since: it would go on like this for ever.
            Err(fault) if fed.inputs == before => panic::resume_unwind(fault),
            Err(_) => analysis.note_fault(fed.place),
        }
    }
    let inputs = source.inputs();
    let mut faults = 0;
    loop {
        let ending = AssertUnwindSafe(|| end(analysis, engine, scene, &inputs, follower));
        match panic::catch_unwind(ending) {
            Ok(ended) => break ended?,
            Err(fault) if faults == MOST_FAULTS_AT_END => panic::resume_unwind(fault),
            Err(_) => {
                faults += 1;
                analysis.note_fault(fed.place);
            }
        }
    }
    Ok(inputs)
}

/// How far feeding has come.
#[derive(Default)]
struct Fed {
    /// Packets and moments of quiet.
    inputs: u64,
    /// The packet that was fed last.
    place: Place,
}

/// Feeds everything that `source` gives, until it ends or the follower does not want to go on. After a fault it can be
/// called again, and goes on behind the packet at which it happened: one catch around the loop costs nothing for each
/// packet.
fn feed_all<F: Follower>(
    source: &mut dyn Source,
    analysis: &mut Analysis,
    engine: &mut Engine,
    scene: &mut Scene,
    follower: &mut F,
    fed: &mut Fed,
) -> Result<(), F::Error> {
    let mut drops = InputFacts::dropped(&look(source, scene));
    let mut until_look = LOOK_EVERY;
    loop {
        match source.next()? {
            None => return Ok(()),
            Some(Input::Packet(packet)) => {
                fed.inputs += 1;
                fed.place = Place { time: packet.time, source: packet.source, frame: packet.number, index: 0 };
                analysis.feed(&packet);
                until_look -= 1;
            }
            Some(Input::Secrets(source, text)) => analysis.secrets(source, text),
            Some(Input::Quiet(now)) => {
                fed.inputs += 1;
                analysis.advance(now);
                until_look = 0;
            }
            Some(Input::ClockSet(nanoseconds)) => {
                fed.inputs += 1;
                analysis.clock_set(nanoseconds);
                until_look = 0;
            }
        }
        // Few packets end a call. Where calls are told at once, one may be left of which telling another failed.
        if analysis.has_event() || engine.is_over_bound() {
            let capture = CaptureSeen { drops, until: analysis.now() };
            take_events(analysis, engine, scene, capture, follower)?;
            while engine.is_over_bound() && tell_next(analysis, engine, scene, capture, follower)? {}
        }
        if until_look == 0 {
            until_look = LOOK_EVERY;
            let inputs = look(source, scene);
            drops = InputFacts::dropped(&inputs);
            while let Some(notice) = source.notice() {
                follower.notice(&notice)?;
            }
            let progress = source.progress();
            follower.look(&Standing { scene, inputs: &inputs, analysis, engine, behind: progress.behind })?;
            match follower.go_on(progress)? {
                ControlFlow::Continue(()) => {}
                ControlFlow::Break(Ending::BehindWhatArrived) if source.stop() => {}
                ControlFlow::Break(_) => {
                    source.leave();
                    return Ok(());
                }
            }
        }
    }
}

/// Ends every call and diagnoses it. After a fault it can be called again, and goes on with the next call.
fn end<F: Follower>(
    analysis: &mut Analysis,
    engine: &mut Engine,
    scene: &mut Scene,
    inputs: &[InputFacts],
    follower: &mut F,
) -> Result<(), F::Error> {
    analysis.finish();
    let capture = CaptureSeen { drops: InputFacts::dropped(inputs), until: analysis.now() };
    scene.update(inputs);
    while let Some(event) = analysis.next_event() {
        take(event, analysis, engine, scene, capture, follower)?;
        while engine.is_full_at_end() && tell_next(analysis, engine, scene, capture, follower)? {}
    }
    while tell_next(analysis, engine, scene, capture, follower)? {}
    Ok(())
}

/// Tells the follower of the next call that has ended; false if there is none.
fn tell_next<F: Follower>(
    analysis: &Analysis,
    engine: &mut Engine,
    scene: &Scene,
    capture: CaptureSeen,
    follower: &mut F,
) -> Result<bool, F::Error> {
    let reads_words = |call: &Call, verdict: &Diagnosis| follower.reads_words(call, verdict);
    let Some((call, diagnosis)) = engine.next_for(reads_words, analysis.surroundings(), capture) else {
        return Ok(false);
    };
    follower.call(scene, &call, &diagnosis)?;
    Ok(true)
}

/// Takes every event that there is.
fn take_events<F: Follower>(
    analysis: &mut Analysis,
    engine: &mut Engine,
    scene: &Scene,
    capture: CaptureSeen,
    follower: &mut F,
) -> Result<(), F::Error> {
    while let Some(event) = analysis.next_event() {
        take(event, analysis, engine, scene, capture, follower)?;
    }
    Ok(())
}

/// Gives a call that has ended to the engine, and tells the follower of a message or a call that nobody wants whole.
fn take<F: Follower>(
    event: Event,
    analysis: &Analysis,
    engine: &mut Engine,
    scene: &Scene,
    capture: CaptureSeen,
    follower: &mut F,
) -> Result<(), F::Error> {
    match event {
        Event::Call(call) => engine.add(call),
        Event::Good(good) => {
            engine.add_good();
            follower.good(good);
        }
        Event::SoFar(call) => {
            let diagnosis = diagnose(&Case::new(&call, analysis.surroundings(), capture));
            follower.so_far(scene, &call, &diagnosis)?;
        }
        Event::Message(message) => follower.message(scene, &message)?,
    }
    Ok(())
}

/// Looks at what the source knows of its inputs.
fn look(source: &dyn Source, scene: &mut Scene) -> Vec<InputFacts> {
    let inputs = source.inputs();
    scene.update(&inputs);
    inputs
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analysis::faults;
    use crate::capture::{Files, Reading, Timestamp};
    use crate::catalogue::Catalogue;
    use crate::oddity::Oddity;
    use crate::report::gatherer::{Gathered, Gatherer, Keep, Selected};
    use crate::story::Story;

    const TWO_CALLS: &str = "\
# Two calls, one after the other.
alice 192.0.2.10:5060
proxy 192.0.2.20:5060

0.000  alice -> proxy  INVITE sip:bob@example.com
0.010  proxy -> alice  486 Busy Here
0.020  alice -> proxy  ACK
call second
1.000  alice -> proxy  INVITE sip:carol@example.com
1.010  proxy -> alice  404 Not Found
1.020  alice -> proxy  ACK
end 60.0
";

    struct Follow {
        gatherer: Gatherer,
        /// Fails at the call of this number.
        fails_at: u32,
    }

    impl Follower for Follow {
        type Error = Box<dyn std::error::Error>;

        fn call(&mut self, scene: &Scene, call: &Call, diagnosis: &Diagnosis) -> Result<(), Self::Error> {
            assert_ne!(call.number, self.fails_at, "a fault that the test asked for");
            Ok(self.gatherer.add(scene, call, diagnosis, Selected::Yes)?)
        }

        fn good(&mut self, good: GoodCall) {
            self.gatherer.add_good(good);
        }

        fn go_on(&mut self, _: Progress) -> Result<ControlFlow<Ending>, Self::Error> {
            Ok(ControlFlow::Continue(()))
        }
    }

    fn files() -> Files {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("capture.pcap");
        std::fs::write(&path, Story::parse(TWO_CALLS).expect("a story").capture()).expect("a capture");
        Files::open(&[path], Reading::default()).expect("a capture")
    }

    fn run(source: &mut dyn Source, frames: &[u64], fails_at: u32) -> Gathered {
        let mut analysis = Analysis::default();
        let mut engine = Engine::new(Engine::HELD_BACK);
        let mut scene = Scene::new(&source.inputs(), Catalogue::new());
        let mut follower = Follow { gatherer: Gatherer::new(Keep::All), fails_at };
        faults::fail_at(frames);
        let inputs = follow(source, &mut analysis, &mut engine, &mut scene, &mut follower).expect("an end");
        faults::fail_at(&[]);
        follower.gatherer.finish(&scene, &inputs, &analysis, &engine)
    }

    fn faults_of(gathered: &Gathered) -> Vec<u64> {
        let oddities = gathered.inputs.iter().flat_map(|input| &input.oddities);
        let faults = oddities.filter(|oddity| oddity.kind == Oddity::INTERNAL_FAULT);
        faults.flat_map(|fault| fault.frames.clone()).collect()
    }

    #[test]
    fn a_panic_costs_its_packet_and_no_other() {
        let mut gathered = run(&mut files(), &[2, 6], 0);
        assert_eq!(faults_of(&gathered), [2, 6]);
        assert_eq!(gathered.inputs[0].sip_messages, 4);
        let report = gathered.report().expect("a report");
        assert_eq!(report.calls.len(), 2);
        assert_eq!(report.calls[1].cause.as_deref(), Some("user-unknown"));
    }

    #[test]
    fn a_panic_over_one_call_costs_no_other() {
        let mut gathered = run(&mut files(), &[], 1);
        assert_eq!(faults_of(&gathered), [gathered.inputs[0].packets]);
        let report = gathered.report().expect("a report");
        assert_eq!(report.calls.iter().map(|call| call.final_status).collect::<Vec<_>>(), [Some(404)]);
    }

    /// A source that fails before it gives anything.
    struct Broken;

    impl Source for Broken {
        fn next(&mut self) -> Result<Option<Input<'_>>, capture::Error> {
            panic!("a fault that the test asked for")
        }

        fn inputs(&self) -> Vec<InputFacts> {
            Vec::new()
        }
    }

    /// A source at which something arrives for ever, and three moments of quiet wait whenever it is stopped.
    struct Arriving {
        waiting: Option<u32>,
        is_left: bool,
    }

    impl Source for Arriving {
        fn next(&mut self) -> Result<Option<Input<'_>>, capture::Error> {
            if let Some(waiting) = &mut self.waiting {
                let Some(left) = waiting.checked_sub(1) else { return Ok(None) };
                *waiting = left;
            }
            Ok(Some(Input::Quiet(Timestamp(0))))
        }

        fn inputs(&self) -> Vec<InputFacts> {
            Vec::new()
        }

        fn stop(&mut self) -> bool {
            self.waiting.get_or_insert(3);
            true
        }

        fn leave(&mut self) {
            self.is_left = true;
        }
    }

    /// Wants to end now when it was asked so often, and behind what has arrived until then.
    struct Patient(u32);

    impl Follower for Patient {
        type Error = capture::Error;

        fn call(&mut self, _: &Scene, _: &Call, _: &Diagnosis) -> Result<(), Self::Error> {
            Ok(())
        }

        fn good(&mut self, _: GoodCall) {}

        fn go_on(&mut self, _: Progress) -> Result<ControlFlow<Ending>, Self::Error> {
            let patience = self.0.checked_sub(1);
            self.0 = patience.unwrap_or_default();
            Ok(ControlFlow::Break(patience.map_or(Ending::Now, |_| Ending::BehindWhatArrived)))
        }
    }

    /// How much waits when a run ends, and whether the source was told that nobody asks for more.
    fn end_after(patience: u32) -> (Option<u32>, bool) {
        let mut source = Arriving { waiting: None, is_left: false };
        let (mut analysis, mut engine) = (Analysis::default(), Engine::new(Engine::HELD_BACK));
        let mut scene = Scene::new(&[], Catalogue::new());
        follow(&mut source, &mut analysis, &mut engine, &mut scene, &mut Patient(patience)).expect("an end");
        (source.waiting, source.is_left)
    }

    #[test]
    fn a_run_ends_behind_what_has_arrived_or_before_if_that_is_too_long() {
        assert_eq!(end_after(100), (Some(0), false));
        assert_eq!(end_after(2), (Some(1), true));
        assert_eq!(end_after(0), (None, true));
    }

    #[test]
    fn what_fails_without_progress_ends() {
        let ended = panic::catch_unwind(|| run(&mut Broken, &[], 0));
        assert!(ended.is_err());
    }
}
