//! Captures that are being written: a growing file, or the files that its writer puts behind it.
//!
//! Is given a file, a template of names or a folder; gives packets as they are written, and says when none were.
//! Frames are numbered on from one file to the next, as if they were one. Deliberately does not know when to stop.

use std::fs;
use std::io;
use std::path::Path;
use std::path::PathBuf;
use std::thread;
use std::time::Duration;
use std::time::Instant;
use std::time::SystemTime;

use crate::capture::Error;
use crate::capture::Input;
use crate::capture::InputFacts;
use crate::capture::Progress;
use crate::capture::Source;
use crate::capture::file::CaptureFile;
use crate::capture::file::Manner;
use crate::capture::files::Reading;
use crate::capture::ledger::Ledger;
use crate::capture::piped::Pipe;
use crate::capture::place::SourceId;
use crate::capture::place::Timestamp;
use crate::capture::ring::Member;
use crate::capture::ring::Ring;
use crate::capture::ring::member;
use crate::capture::stored::Between;

/// How long to look away when nothing was written.
const PAUSE: Duration = Duration::from_millis(25);

/// Pauses between two looks for the next file.
const LOOK_EVERY: u32 = 8;

/// Bytes read at a time.
const WINDOW: usize = 64 << 10;

/// Packets after which `Quiet` is said though there is no pause between them.
const SAY_EVERY: u32 = 4096;

/// Bytes by which a capture is known.
const HEAD: usize = 28;

/// Nothing is said of the last moments: who writes the file may hold packets back for so long.
const LAG: Duration = Duration::from_millis(500);

/// A packet that is earlier than the last one by more than this comes from another clock: a file of another time.
const PUT_BACK: i64 = -1_200_000_000_000;

/// A writer that holds packets back is waited for, but not longer than this.
const LONGEST_LAG: Duration = Duration::from_secs(600);

/// Files that are being written, as one input.
pub struct Following {
    path: PathBuf,
    ring: Ring,
    /// Standard input, until its header is there.
    pipe: Option<Pipe>,
    current: Option<(CaptureFile, Member)>,
    /// What is known of the files before, while none is open.
    ledger: Ledger,
    reading: Reading,
    /// Bytes of the files before.
    before: u64,
    pauses: u32,
    until_quiet: u32,
    /// Another file follows the current one, whose rest is read.
    is_last_look: bool,
    heard: Heard,
    /// A packet was read that comes behind what is told of the clock.
    has_packet: bool,
    /// The secrets that were handed on last.
    told: Vec<u8>,
}

/// What time it is by the capture's clock.
struct Heard {
    /// The time of the latest packet, and when it was read.
    latest: Option<(Timestamp, Instant)>,
    /// Until when it was said that nothing came.
    quiet: Option<Timestamp>,
    /// For how long the writer was seen to hold packets back.
    lag: Duration,
}

enum Found {
    Packet,
    Secrets,
    Nothing,
    /// The writer of the pipe is gone.
    End,
}

impl Following {
    /// Follows a file, a template of names (`call-%H%M.pcap`), a folder, or standard input (`-`), which ends with its
    /// writer.
    ///
    /// # Errors
    /// There is no such file or folder; the file is no capture.
    pub fn open(path: &Path, reading: Reading) -> Result<Following, Error> {
        let is_piped = path.as_os_str() == "-";
        let ring = match is_piped {
            true => Ring::default(),
            false => Ring::of(path).map_err(|source| Error::Open { path: path.to_owned(), source })?,
        };
        let mut following = Following {
            path: path.to_owned(),
            ring,
            pipe: is_piped.then(Pipe::stdin),
            current: None,
            ledger: Ledger::default(),
            reading,
            before: 0,
            pauses: 0,
            until_quiet: SAY_EVERY,
            is_last_look: false,
            heard: Heard { latest: None, quiet: None, lag: LAG },
            has_packet: false,
            told: Vec::new(),
        };
        if path.is_file() && !is_piped {
            following.open_next()?;
        }
        Ok(following)
    }

    /// Opens the next file, if there is one and its header is written.
    fn open_next(&mut self) -> Result<(), Error> {
        let Some(member) = self.ring.next(None) else { return Ok(()) };
        let manner = Manner { reading: self.reading, between: Between::Open, window: WINDOW };
        match CaptureFile::open_behind(&member.path, manner, &mut self.ledger) {
            Ok(file) => {
                self.current = Some((file, member));
                self.is_last_look = false;
                Ok(())
            }
            Err(error) => {
                let is_no_capture = matches!(error, Error::NotACapture { .. }) && !is_begun(&member.path);
                if is_no_capture {
                    self.ring.note_read(&member.path);
                }
                if is_no_capture || matches!(&error, Error::Open { source, .. } if !may_come(source)) {
                    return Err(error);
                }
                Ok(())
            }
        }
    }

    /// Begins to read standard input, once enough is there to say what it is.
    fn open_pipe(&mut self) -> Result<(), Error> {
        let Some(mut pipe) = self.pipe.take() else { return Ok(()) };
        if !pipe.has(HEAD) {
            self.pipe = Some(pipe);
            return Ok(());
        }
        let manner = Manner { reading: self.reading, between: Between::Open, window: WINDOW };
        let member = Member { path: self.path.clone(), written: SystemTime::UNIX_EPOCH, len: 0 };
        self.current = Some((CaptureFile::open_piped(pipe, manner)?, member));
        Ok(())
    }

    /// Finds what comes next.
    fn find(&mut self) -> Result<Found, Error> {
        if self.pipe.is_some() {
            self.open_pipe()?;
        }
        Ok(self.find_open())
    }

    fn find_open(&mut self) -> Found {
        let Some((file, _)) = &mut self.current else {
            // A file of a folder that is no capture is none of the ring.
            let _ = self.open_next();
            return Found::Nothing;
        };
        if file.has_secrets() {
            self.told = file.take_secrets();
            return Found::Secrets;
        }
        if file.has_whole_packet() && file.advance().is_some() {
            self.is_last_look = false;
            return Found::Packet;
        }
        if file.is_left() {
            // What is left is no whole packet, and is told.
            return if file.advance().is_some() { Found::Packet } else { Found::End };
        }
        if self.is_last_look {
            self.close();
            let _ = self.open_next();
            return Found::Nothing;
        }
        self.pauses = self.pauses.saturating_add(1);
        if self.pauses.is_multiple_of(LOOK_EVERY) {
            self.is_last_look = self.is_followed();
        }
        Found::Nothing
    }

    /// True if nothing more is written into the current file: another one follows, or stands in its place.
    fn is_followed(&self) -> bool {
        let Some((file, opened)) = &self.current else { return false };
        if file.is_piped() {
            return false;
        }
        match member(&opened.path) {
            Some(now) if now.len < file.bytes_read() => true,
            Some(_) if !file.is_still_there() => true,
            _ => self.ring.next(Some(opened)).is_some(),
        }
    }

    fn close(&mut self) {
        let Some((mut file, opened)) = self.current.take() else { return };
        // What is left is no whole packet, and is told.
        let _ = file.advance();
        if file.is_still_there() && member(&opened.path).is_some_and(|now| now.len >= file.bytes_read()) {
            self.ring.note_read(&opened.path);
        }
        self.before = self.before.saturating_add(file.bytes_read());
        self.ledger = file.into_ledger();
        self.is_last_look = false;
    }

    fn say_quiet(&mut self) -> Option<Input<'static>> {
        self.until_quiet = SAY_EVERY;
        self.heard.quiet().map(Input::Quiet)
    }
}

impl Source for Following {
    fn next(&mut self) -> Result<Option<Input<'_>>, Error> {
        self.until_quiet = self.until_quiet.saturating_sub(1);
        if self.until_quiet == 0
            && let Some(quiet) = self.say_quiet()
        {
            return Ok(Some(quiet));
        }
        if !std::mem::take(&mut self.has_packet) {
            match self.find()? {
                Found::Secrets => return Ok(Some(Input::Secrets(SourceId(0), &self.told))),
                Found::Packet => {}
                Found::End => return Ok(None),
                Found::Nothing => {
                    thread::sleep(PAUSE);
                    let quiet = self.say_quiet();
                    return Ok(Some(quiet.unwrap_or(Input::Quiet(Timestamp(i64::MIN)))));
                }
            }
        }
        let Some(packet) = self.current.as_ref().and_then(|(file, _)| file.packet(SourceId(0))) else {
            return Ok(None);
        };
        if let Some(nanoseconds) = self.heard.goes_back(packet.time) {
            self.has_packet = true;
            return Ok(Some(Input::ClockSet(nanoseconds)));
        }
        self.heard.packet(packet.time);
        Ok(Some(Input::Packet(packet)))
    }

    fn inputs(&self) -> Vec<InputFacts> {
        let name = self.path.to_string_lossy().into_owned();
        let facts = match &self.current {
            Some((file, _)) => InputFacts { name, ..file.facts() },
            None => self.ledger.facts(name, "followed".into(), None),
        };
        vec![facts]
    }

    fn progress(&self) -> Progress {
        let current = self.current.as_ref().map_or(0, |(file, _)| file.bytes_read());
        Progress { bytes_read: self.before.saturating_add(current), bytes_in_all: None, ..Progress::default() }
    }
}

impl Heard {
    /// By how much the capture's clock was put back before a packet, if it was; then it is heard of from anew.
    fn goes_back(&mut self, time: Timestamp) -> Option<i64> {
        let latest = self.latest.map(|(latest, _)| latest.max(self.quiet.unwrap_or(latest)))?;
        let back = time.0.saturating_sub(latest.0);
        if back > PUT_BACK {
            return None;
        }
        (self.latest, self.quiet) = (None, None);
        Some(back)
    }

    fn packet(&mut self, time: Timestamp) {
        if let Some(quiet) = self.quiet
            && time < quiet
        {
            let late = quiet.since(time).saturating_add(LAG);
            self.lag = self.lag.max(late.min(LONGEST_LAG));
        }
        self.latest = Some((time, Instant::now()));
    }

    /// The time of the latest packet, and what has passed since: the writer's clock need not be ours.
    fn quiet(&mut self) -> Option<Timestamp> {
        let (time, read) = self.latest?;
        let now = time.plus(read.elapsed().saturating_sub(self.lag));
        let quiet = self.quiet.map_or(now, |said| said.max(now));
        self.quiet = Some(quiet);
        Some(quiet)
    }
}

/// True if what is there may be the beginning of a capture.
fn is_begun(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|metadata| metadata.len() < 28)
}

/// True for what passes: a file that was there a moment ago.
fn may_come(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::NotFound
}
