//! Drives a source through analysis and diagnosis, and hands on each call with its diagnosis.

use std::ops::ControlFlow;

use crate::analysis::{Analysis, Event, MessageRead};
use crate::call::{Call, GoodCall};
use crate::capture::{self, Input, InputFacts, Progress, Source};
use crate::diagnosis::{CaptureSeen, Diagnosis, Engine};
use crate::report::scene::Scene;

/// Packets between two looks at what the source knows of itself.
const LOOK_EVERY: u32 = 4096;

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

    /// A call has been diagnosed.
    ///
    /// # Errors
    /// What makes it useless to go on.
    fn call(&mut self, scene: &Scene, call: &Call, diagnosis: &Diagnosis) -> Result<(), Self::Error>;

    /// A plain good call has ended that nobody wants whole.
    fn good(&mut self, good: GoodCall);

    /// Asked now and then, and whenever an interface is quiet: whether to go on.
    ///
    /// # Errors
    /// What makes it useless to go on.
    fn go_on(&mut self, progress: Progress) -> Result<ControlFlow<()>, Self::Error>;
}

/// Feeds everything that `source` gives, until it ends or the follower does not want to go on; then every call ends.
/// Gives what is known of the inputs.
///
/// # Errors
/// What stops the source or the follower.
pub fn follow<F: Follower>(
    source: &mut dyn Source,
    analysis: &mut Analysis,
    engine: &mut Engine,
    scene: &mut Scene,
    follower: &mut F,
) -> Result<Vec<InputFacts>, F::Error> {
    let mut drops = look(source, scene);
    let mut until_look = LOOK_EVERY;
    loop {
        match source.next()? {
            None => break,
            Some(Input::Packet(packet)) => {
                analysis.feed(&packet);
                until_look -= 1;
            }
            Some(Input::Secrets(source, text)) => analysis.secrets(source, text),
            Some(Input::Quiet(now)) => {
                analysis.advance(now);
                until_look = 0;
            }
        }
        take_events(analysis, engine, scene, follower)?;
        let capture = CaptureSeen { drops, until: analysis.now() };
        while let Some((call, diagnosis)) = engine.next(analysis.surroundings(), capture) {
            follower.call(scene, &call, &diagnosis)?;
        }
        if until_look == 0 {
            until_look = LOOK_EVERY;
            drops = look(source, scene);
            if follower.go_on(source.progress())?.is_break() {
                break;
            }
        }
    }
    analysis.finish();
    take_events(analysis, engine, scene, follower)?;
    let inputs = source.inputs();
    scene.update(&inputs);
    let capture = CaptureSeen { drops: dropped(&inputs), until: analysis.now() };
    while let Some((call, diagnosis)) = engine.next_at_end(analysis.surroundings(), capture) {
        follower.call(scene, &call, &diagnosis)?;
    }
    Ok(inputs)
}

/// Gives calls that have ended to the engine, and tells the follower of messages and of calls that nobody wants whole.
fn take_events<F: Follower>(
    analysis: &mut Analysis,
    engine: &mut Engine,
    scene: &Scene,
    follower: &mut F,
) -> Result<(), F::Error> {
    while let Some(event) = analysis.next_event() {
        match event {
            Event::Call(call) => engine.add(*call),
            Event::Good(good) => {
                engine.add_good();
                follower.good(good);
            }
            Event::Message(message) => follower.message(scene, &message)?,
        }
    }
    Ok(())
}

/// Looks at what the source knows of its inputs; gives the packets that were dropped.
fn look(source: &dyn Source, scene: &mut Scene) -> u64 {
    let inputs = source.inputs();
    scene.update(&inputs);
    dropped(&inputs)
}

fn dropped(inputs: &[InputFacts]) -> u64 {
    inputs.iter().map(|input| input.drops).fold(0, u64::saturating_add)
}
