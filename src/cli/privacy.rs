//! What of a capture may be shown, as the user asked for it.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use sha2::{Digest, Sha256};

use crate::capture;
use crate::cli::args::{Redacted, Run};
use crate::error::Error;
use crate::report::{Privacy, Pseudonyms, Replaced, SecretsAre};

/// Said before what is hashed, so that the key is no hash that a report or anybody else tells.
const PURPOSE: &[u8] = b"sipwhy key of pseudonyms 1\0";
/// Bytes read at a time.
const PIECE: usize = 256 << 10;

/// Reads what was asked for.
///
/// The key of the pseudonyms comes from the whole content of the captures: the same capture gives the same report, and
/// who does not have the capture cannot try numbers until one fits. Where the content is not known beforehand, because
/// it comes from a pipe or an interface, the key is drawn at random.
///
/// # Errors
/// A capture that cannot be read.
pub(crate) fn of(run: &Run, inputs: &[PathBuf]) -> Result<Privacy, Error> {
    let secrets = if run.show_secrets { SecretsAre::Shown } else { SecretsAre::Hidden };
    if run.redact.is_empty() {
        return Ok(Privacy { secrets, pseudonyms: None });
    }
    let replaced: Vec<Replaced> = run
        .redact
        .iter()
        .map(|kind| match kind {
            Redacted::Numbers => Replaced::Numbers,
            Redacted::Ips => Replaced::Addresses,
            Redacted::Names => Replaced::Names,
        })
        .collect();
    let key = match key_of(inputs)? {
        Some(key) => key,
        None => random_key()?,
    };
    Ok(Privacy { secrets, pseudonyms: Some(Arc::new(Pseudonyms::new(key, &replaced))) })
}

/// A key from the content of regular files, in whatever order they are named; `None` if there is anything else.
fn key_of(paths: &[PathBuf]) -> Result<Option<[u8; 32]>, capture::Error> {
    if paths.is_empty() || !paths.iter().all(|path| path.is_file()) {
        return Ok(None);
    }
    let hash = |path: &PathBuf| hash_of(path).map_err(|source| capture::Error::Open { path: path.clone(), source });
    let mut hashes = paths.iter().map(hash).collect::<Result<Vec<_>, _>>()?;
    hashes.sort_unstable();
    let mut all = Sha256::new();
    all.update(PURPOSE);
    for hash in hashes {
        all.update(hash);
    }
    Ok(Some(all.finalize().into()))
}

fn hash_of(path: &Path) -> io::Result<[u8; 32]> {
    let mut hash = Sha256::new();
    // With this before it, it differs from the hash of the file that reports tell.
    hash.update(PURPOSE);
    let mut file = File::open(path)?;
    let mut piece = vec![0; PIECE];
    loop {
        match file.read(&mut piece)? {
            0 => return Ok(hash.finalize().into()),
            count => hash.update(piece.get(..count).unwrap_or_default()),
        }
    }
}

fn random_key() -> io::Result<[u8; 32]> {
    let mut key = [0; 32];
    getrandom::fill(&mut key).map_err(io::Error::other)?;
    Ok(key)
}
