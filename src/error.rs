//! What can stop a run. Everything that a run can carry on without is an [`crate::oddity::Oddity`] instead.

use std::io;
use std::path::PathBuf;

use crate::capture;

/// Why a run ended without its report. The text names the thing and says what to do; the cause is in `source()`.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// An input could not be used at all (exit status 3).
    #[error(transparent)]
    Capture(#[from] capture::Error),
    /// An input could be read, and nothing in it could be used (exit status 3).
    #[error("{file}: {why}")]
    Unusable {
        /// Which.
        file: String,
        /// Why, and what to do.
        why: String,
    },
    /// A file that an option names could not be read (exit status 3).
    #[error("{option}: cannot read {}", .path.display())]
    Read {
        /// The option.
        option: &'static str,
        /// Which.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Privileges could not be given up, and live capture does not go on with them (exit status 3).
    #[error("privileges: {0}")]
    Privilege(String),
    /// The report could not be written (exit status 4).
    #[error("cannot write {}", .path.display())]
    WriteReport {
        /// Where it was to go.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The report could not be written to standard output, or its records not put aside (exit status 4).
    #[error("cannot write the report")]
    Write(#[from] io::Error),
    /// What was asked for cannot be done (exit status 2).
    #[error("{0}")]
    Usage(String),
}

impl Error {
    /// The exit status of a command line that asks for what cannot be.
    pub(crate) const USAGE: u8 = 2;
    /// The exit status where the input could not be read, or not as it was asked for.
    pub(crate) const INPUT_UNUSABLE: u8 = 3;
    /// The exit status where something could not be sent or written.
    pub(crate) const OUTPUT_FAILED: u8 = 4;

    /// The exit status of the program.
    pub fn exit_status(&self) -> u8 {
        match self {
            Error::Capture(capture::Error::Filter { .. }) | Error::Usage(_) => Error::USAGE,
            Error::Capture(_) | Error::Unusable { .. } | Error::Read { .. } | Error::Privilege(_) => {
                Error::INPUT_UNUSABLE
            }
            Error::WriteReport { .. } | Error::Write(_) => Error::OUTPUT_FAILED,
        }
    }

    /// True if the reader of standard output went away, which is no failure.
    pub fn is_closed_pipe(&self) -> bool {
        matches!(self, Error::Write(error) if error.kind() == io::ErrorKind::BrokenPipe)
    }
}
