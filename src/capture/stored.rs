//! The bytes of an input as they are stored: a file, a pipe or standard input.
//!
//! Knows how many were read, and their hash if it was asked for. Deliberately does not know what they mean.

use std::fmt::Write as _;
use std::fs::File;
use std::io;
use std::io::Read;
use std::io::Seek;
use std::io::SeekFrom;
use std::path::Path;
use std::path::PathBuf;

use sha2::Digest as _;
use sha2::Sha256;

use crate::capture::piped::Pipe;

/// Whether a hash of each input is wanted. It costs about as much as reading does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Digest {
    /// No.
    #[default]
    Unasked,
    /// SHA-256 over the bytes as they are stored.
    Sha256,
}

/// Whether a file stays open between two reads. With hundreds of inputs it must not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Between {
    Open,
    Closed,
}

/// A reader of the stored bytes.
#[derive(Debug)]
pub(super) struct Stored {
    path: PathBuf,
    opened: Opened,
    position: u64,
    head: Vec<u8>,
    head_taken: usize,
    hash: Option<Sha256>,
    size: Option<u64>,
}

#[derive(Debug)]
enum Opened {
    File(File),
    /// To be opened for each read; `Identity` tells whether it is still the same file.
    Closed(Identity),
    Stdin(io::Stdin),
    /// What has come of it so far.
    Pipe(Pipe),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Identity {
    device: u64,
    inode: u64,
}

impl Stored {
    /// Opens a path; `-` is standard input.
    pub(super) fn open(path: &Path, digest: Digest, between: Between) -> io::Result<Stored> {
        let mut size = None;
        let opened = if path.as_os_str() == "-" {
            Opened::Stdin(io::stdin())
        } else {
            let file = File::open(path)?;
            let metadata = file.metadata()?;
            if metadata.is_file() {
                size = Some(metadata.len());
            }
            match between {
                Between::Closed if metadata.is_file() => Opened::Closed(identity(&metadata)),
                _ => Opened::File(file),
            }
        };
        let hash = match digest {
            Digest::Unasked => None,
            Digest::Sha256 => Some(Sha256::new()),
        };
        Ok(Stored { path: path.to_owned(), opened, position: 0, head: Vec::new(), head_taken: 0, hash, size })
    }

    /// What is written into a pipe, as far as it has come.
    pub(super) fn piped(pipe: Pipe) -> Stored {
        let (path, opened) = (PathBuf::from("-"), Opened::Pipe(pipe));
        Stored { path, opened, position: 0, head: Vec::new(), head_taken: 0, hash: None, size: None }
    }

    /// True if it is a pipe that is read as far as it has come.
    pub(super) fn is_piped(&self) -> bool {
        matches!(self.opened, Opened::Pipe(_))
    }

    /// True if it is a pipe whose writer is gone, and everything was read.
    pub(super) fn is_left(&self) -> bool {
        matches!(&self.opened, Opened::Pipe(pipe) if pipe.has_ended())
    }

    /// The first bytes, at most `wanted`, which will be read again.
    pub(super) fn head(&mut self, wanted: usize) -> io::Result<&[u8]> {
        let mut piece = vec![0; wanted];
        while self.head.len() < wanted {
            let missing = wanted.saturating_sub(self.head.len());
            let count = match self.read_stored(piece.get_mut(..missing).unwrap_or_default()) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                other => other?,
            };
            if count == 0 {
                break;
            }
            self.head.extend_from_slice(piece.get(..count).unwrap_or_default());
        }
        Ok(&self.head)
    }

    /// Bytes read so far.
    pub(super) fn bytes_read(&self) -> u64 {
        self.position
    }

    /// Bytes there are, if that can be known.
    pub(super) fn size(&self) -> Option<u64> {
        self.size
    }

    /// True if its path still leads to it, and no other file was put in its place.
    pub(super) fn is_still_there(&self) -> bool {
        let opened = match &self.opened {
            Opened::File(file) => file.metadata().map(|metadata| identity(&metadata)).ok(),
            Opened::Closed(known) => Some(*known),
            Opened::Stdin(_) | Opened::Pipe(_) => return true,
        };
        opened.is_some() && std::fs::metadata(&self.path).map(|metadata| identity(&metadata)).ok() == opened
    }

    /// Lower-case hexadecimal hash of all bytes, if it was asked for; reads what was not read.
    pub(super) fn finish_hash(&mut self) -> Option<String> {
        self.hash.as_ref()?;
        let mut piece = vec![0; 1 << 16];
        loop {
            match self.read_stored(&mut piece) {
                Ok(0) => break,
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                // A hash of half a file would claim what is not so.
                Err(_) => return None,
            }
        }
        let hash = self.hash.take()?.finalize();
        let mut text = String::with_capacity(64);
        for byte in hash {
            // Writing to a String cannot fail.
            let _ = write!(text, "{byte:02x}");
        }
        Some(text)
    }

    fn read_stored(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = match &mut self.opened {
            Opened::File(file) => file.read(buffer)?,
            Opened::Stdin(stdin) => stdin.read(buffer)?,
            Opened::Pipe(pipe) => pipe.read(buffer)?,
            Opened::Closed(known) => {
                let mut file = File::open(&self.path)?;
                if identity(&file.metadata()?) != *known {
                    return Err(io::Error::other("the file was replaced while it was read"));
                }
                file.seek(SeekFrom::Start(self.position))?;
                file.read(buffer)?
            }
        };
        if let Some(hash) = &mut self.hash {
            hash.update(buffer.get(..count).unwrap_or_default());
        }
        self.position = self.position.saturating_add(count as u64);
        Ok(count)
    }
}

impl Read for Stored {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let rest = self.head.get(self.head_taken..).unwrap_or_default();
        if rest.is_empty() {
            return self.read_stored(buffer);
        }
        let count = rest.len().min(buffer.len());
        for (to, from) in buffer.iter_mut().zip(rest) {
            *to = *from;
        }
        self.head_taken = self.head_taken.saturating_add(count);
        Ok(count)
    }
}

#[cfg(unix)]
fn identity(metadata: &std::fs::Metadata) -> Identity {
    use std::os::unix::fs::MetadataExt as _;
    Identity { device: metadata.dev(), inode: metadata.ino() }
}

#[cfg(not(unix))]
fn identity(_: &std::fs::Metadata) -> Identity {
    Identity { device: 0, inode: 0 }
}
