//! Follows a run for the program: gathers the report, prints events as they happen, shows progress, ends on interrupt.

use std::io::{self, IsTerminal, Write};
use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::analysis::MessageRead;
use crate::call::{Call, GoodCall};
use crate::capture::{Error as CaptureError, Input, InputFacts, Notice, Progress, Source};
use crate::cli::select::Selection;
use crate::cli::service::Service;
use crate::diagnosis::Diagnosis;
use crate::error::Error;
use crate::report::{Ending, Events, Follower, Gatherer, Scene, Selected, Standing};

/// Work that is done sooner shows no progress.
const PATIENCE: Duration = Duration::from_millis(700);
/// The exit status of a program that a signal ended is this and the signal's number, as shells tell it.
const ENDED_BY_SIGNAL: i32 = 128;

/// What is printed while the run goes on.
pub(crate) enum Running {
    /// Nothing.
    Nothing,
    /// An event in JSON for each.
    Events(Events<Box<dyn Write>>),
}

/// Follows a run.
pub(crate) struct Follow {
    pub(crate) gatherer: Gatherer,
    pub(crate) selection: Selection,
    pub(crate) running: Running,
    pub(crate) bar: Bar,
    pub(crate) service: Service,
    interrupted: Arc<AtomicBool>,
}

impl Follow {
    pub(crate) fn new(
        gatherer: Gatherer,
        selection: Selection,
        running: Running,
        bar: Bar,
        service: Service,
    ) -> Follow {
        Follow { gatherer, selection, running, bar, service, interrupted: interrupts() }
    }

    /// True if the user wanted it to end.
    pub(crate) fn was_interrupted(&self) -> bool {
        self.interrupted.load(Ordering::Relaxed)
    }

    /// True if everything may be read once more: what was told already cannot be told anew.
    pub(crate) fn can_begin_anew(&self) -> bool {
        matches!(self.running, Running::Nothing) && !self.was_interrupted() && !self.service.tells_anything()
    }
}

impl Follower for Follow {
    type Error = Error;

    fn message(&mut self, scene: &Scene, message: &MessageRead) -> Result<(), Error> {
        self.service.message(message);
        // Which call a message belongs to is not known when it is read: it cannot be selected.
        if let Running::Events(events) = &mut self.running
            && self.selection.is_everything()
        {
            events.message(scene, message)?;
        }
        Ok(())
    }

    fn reads_words(&self, call: &Call, verdict: &Diagnosis) -> bool {
        let selected = self.selection.takes(call, verdict.outcome);
        let prints = selected == Selected::Yes && matches!(self.running, Running::Events(_));
        prints || self.service.reads_words() || self.gatherer.reads_words(call, verdict, selected)
    }

    fn call(&mut self, scene: &Scene, call: &Call, diagnosis: &Diagnosis) -> Result<(), Error> {
        let selected = self.selection.takes(call, diagnosis.outcome);
        self.gatherer.add(scene, call, diagnosis, selected)?;
        self.service.call(scene, call, diagnosis, selected);
        if selected == Selected::No {
            return Ok(());
        }
        match &mut self.running {
            Running::Nothing => {}
            Running::Events(events) => events.call(scene, call, diagnosis)?,
        }
        Ok(())
    }

    fn good(&mut self, good: GoodCall) {
        self.service.good(good);
        self.gatherer.add_good(good);
    }

    fn look(&mut self, standing: &Standing<'_>) -> Result<(), Error> {
        self.service.so_far(standing.inputs, standing.analysis);
        Ok(())
    }

    fn go_on(&mut self, progress: Progress) -> Result<ControlFlow<Ending>, Error> {
        self.bar.show(progress);
        if let Running::Events(events) = &mut self.running {
            events.flush()?;
        }
        if self.interrupted.load(Ordering::Relaxed) {
            Ok(ControlFlow::Break(Ending::Now))
        } else {
            Ok(ControlFlow::Continue(()))
        }
    }
}

/// A flag that the first interrupt sets, so that the run ends with its summary; the second one ends the program.
pub(crate) fn interrupts() -> Arc<AtomicBool> {
    let flag = Arc::new(AtomicBool::new(false));
    for signal in [signal_hook::consts::SIGINT, signal_hook::consts::SIGTERM] {
        // Without these the system's own answer to the signal stays in force.
        let _ = signal_hook::flag::register_conditional_shutdown(signal, ENDED_BY_SIGNAL + signal, Arc::clone(&flag));
        let _ = signal_hook::flag::register(signal, Arc::clone(&flag));
    }
    flag
}

/// A progress bar that appears when the work is long.
pub(crate) struct Bar {
    begun: Instant,
    wanted: bool,
    bar: Option<ProgressBar>,
}

impl Bar {
    /// A bar on standard error, if that is a terminal.
    pub(crate) fn on_stderr() -> Bar {
        Bar { begun: Instant::now(), wanted: io::stderr().is_terminal(), bar: None }
    }

    /// None.
    pub(crate) fn none() -> Bar {
        Bar { begun: Instant::now(), wanted: false, bar: None }
    }

    fn show(&mut self, progress: Progress) {
        if !self.wanted || self.begun.elapsed() < PATIENCE {
            return;
        }
        let bar = self.bar.get_or_insert_with(|| {
            let bar = ProgressBar::with_draw_target(progress.bytes_in_all, ProgressDrawTarget::stderr());
            let template = match progress.bytes_in_all {
                Some(_) => "{bar:30} {bytes} of {total_bytes}, {eta} left",
                None => "{spinner} {bytes} read",
            };
            if let Ok(style) = ProgressStyle::with_template(template) {
                bar.set_style(style);
            }
            bar
        });
        bar.set_position(progress.bytes_read);
    }

    /// Takes it away.
    pub(crate) fn clear(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }

    /// How long it has been there, shown or not.
    pub(crate) fn age(&self) -> Duration {
        self.begun.elapsed()
    }
}

/// The first packets of a source.
pub(crate) struct First {
    source: Box<dyn Source>,
    left: u64,
}

impl First {
    /// So many packets of a source, or all of them.
    pub(crate) fn of(source: Box<dyn Source>, packets: Option<u64>) -> Box<dyn Source> {
        match packets {
            Some(packets) => Box::new(First { source, left: packets }),
            None => source,
        }
    }
}

impl Source for First {
    fn next(&mut self) -> Result<Option<Input<'_>>, CaptureError> {
        if self.left == 0 {
            return Ok(None);
        }
        let input = self.source.next()?;
        if matches!(input, Some(Input::Packet(_))) {
            self.left -= 1;
        }
        Ok(input)
    }

    fn inputs(&self) -> Vec<InputFacts> {
        self.source.inputs()
    }

    fn progress(&self) -> Progress {
        self.source.progress()
    }

    fn notice(&mut self) -> Option<Notice> {
        self.source.notice()
    }

    fn take_failure(&mut self) -> Option<CaptureError> {
        self.source.take_failure()
    }

    fn stop(&mut self) -> bool {
        self.source.stop()
    }

    fn leave(&mut self) {
        self.source.leave();
    }
}
