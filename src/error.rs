//! What can stop a run. Everything that a run can carry on without is an [`crate::oddity::Oddity`] instead.

use std::path::PathBuf;

use crate::capture;

/// Why a run ended without its report. The text names the thing and says what to do; the cause is in `source()`.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// An input could not be used at all (exit status 3).
    #[error(transparent)]
    Capture(#[from] capture::Error),
    /// The report could not be written (exit status 4).
    #[error("cannot write {}", .path.display())]
    WriteReport {
        /// Where it was to go.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// What was asked for cannot be done (exit status 2).
    #[error("{0}")]
    Usage(String),
}
