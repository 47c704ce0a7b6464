//! What the system tells a run without end: to end, or to write its reports.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::cli::follower::interrupts;

/// Signals that came.
pub(crate) struct Signals {
    end: Arc<AtomicBool>,
    hangup: Arc<AtomicBool>,
}

impl Signals {
    /// From now on SIGINT and SIGTERM end the run with its summary (the second one ends the program), and SIGHUP asks
    /// for the reports.
    pub(crate) fn new() -> Signals {
        let hangup = Arc::new(AtomicBool::new(false));
        #[cfg(unix)]
        {
            // Without it the system's own answer to the signal stays in force.
            let _ = signal_hook::flag::register(signal_hook::consts::SIGHUP, Arc::clone(&hangup));
        }
        Signals { end: interrupts(), hangup }
    }

    /// True if the run is to end.
    pub(crate) fn is_end(&self) -> bool {
        self.end.load(Ordering::Relaxed)
    }

    /// Ends the run, as an interrupt would.
    pub(crate) fn end(&self) {
        self.end.store(true, Ordering::Relaxed);
    }

    /// True if reports were asked for since this was last asked.
    pub(crate) fn take_hangup(&self) -> bool {
        self.hangup.swap(false, Ordering::Relaxed)
    }
}
