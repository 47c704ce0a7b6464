//! The secrets of TLS that `--keylog` names.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use crate::cli::args::Run;
use crate::cli::say;
use crate::error::Error;
use crate::net::KeyLog;

/// Lines that are complained about; a file that is no key log has more.
const MOST_COMPLAINTS: usize = 10;
/// Bytes of a key log that are read.
const LONGEST: u64 = 256 << 20;

/// Reads every file. A line that cannot be used is named on standard error, without what it holds.
pub(crate) fn read(run: &Run) -> Result<KeyLog, Error> {
    let mut keys = KeyLog::default();
    for path in &run.keylog {
        let text = text(path).map_err(|source| Error::Read { option: "--keylog", path: path.clone(), source })?;
        let bad = keys.read(&text);
        if run.quiet {
            continue;
        }
        for line in bad.iter().take(MOST_COMPLAINTS) {
            say(&format!("sipwhy: {}: line {} was not used: {}", path.display(), line.line, line.why));
        }
        if bad.len() > MOST_COMPLAINTS {
            say(&format!("sipwhy: {}: {} more such lines", path.display(), bad.len() - MOST_COMPLAINTS));
        }
    }
    if keys.left_out() > 0 && !run.quiet {
        say(&format!("sipwhy: {} secrets were left out: there are too many", keys.left_out()));
    }
    if !run.keylog.is_empty() && keys.is_empty() && !run.quiet {
        say(&format!("sipwhy: no secret was found in {}", names(&run.keylog)));
    }
    Ok(keys)
}

fn text(path: &Path) -> std::io::Result<Vec<u8>> {
    let mut text = Vec::new();
    File::open(path)?.take(LONGEST).read_to_end(&mut text)?;
    Ok(text)
}

fn names(paths: &[PathBuf]) -> String {
    paths.iter().map(|path| path.display().to_string()).collect::<Vec<_>>().join(", ")
}
