//! Any number of capture files, read as one capture in order of time.
//!
//! Is given paths of files, folders and `-`; gives packets. Which of two inputs comes first when times are equal is
//! decided by what they hold and how they are called, never by the order in which they were given: any permutation
//! gives the same packets in the same order, and so do the pieces of one capture that was cut. Who knows that the clock of
//! an input is ahead can have that taken off its times.

use std::cmp::Reverse;
use std::collections::BTreeSet;
use std::collections::BinaryHeap;
use std::collections::VecDeque;
use std::path::Path;
use std::path::PathBuf;

use crate::capture::Error;
use crate::capture::Input;
use crate::capture::InputFacts;
use crate::capture::Progress;
use crate::capture::Source;
use crate::capture::file::CaptureFile;
use crate::capture::file::Manner;
use crate::capture::folder;
use crate::capture::folder::Named;
use crate::capture::folder::Wanted;
use crate::capture::folder::order_of_names;
use crate::capture::ledger::Due;
use crate::capture::place::SourceId;
use crate::capture::place::Timestamp;
use crate::capture::stored::Between;
use crate::capture::stored::Digest;
use crate::oddity::Oddity;
use crate::oddity::OddityLog;

/// Inputs that may all stay open, with large windows. Beyond, a file is opened for each read and windows are small.
const OPEN_LIMIT: usize = 32;

/// Bytes read at a time: so few that they stay in the processor's second cache.
const WINDOW: usize = 256 << 10;

/// The same with many inputs.
const SMALL_WINDOW: usize = 64 << 10;

/// Packets of a file that are looked at to see whether all have the same time.
const LOOKED_AHEAD: usize = 64;

/// How captures are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reading {
    /// Whether a hash of each input is wanted.
    pub digest: Digest,
    /// Bytes that a compressed file may unpack to; reading it stops there.
    pub unpacked_limit: u64,
    /// Bytes that one stored byte may unpack to, once a file has unpacked to more than does harm.
    pub unpacked_ratio: u64,
}

impl Default for Reading {
    /// No hash; a compressed file may unpack to a tebibyte, if it is large enough to hold as much.
    fn default() -> Reading {
        Reading { digest: Digest::Unasked, unpacked_limit: 1 << 40, unpacked_ratio: 250 }
    }
}

/// A file of a folder that is not read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Skipped {
    /// Which.
    pub path: PathBuf,
    /// Why: a clause that begins in lower case.
    pub why: String,
}

/// Capture files as one source of packets.
pub struct Files {
    inputs: Vec<FileInput>,
    skipped: Vec<Skipped>,
    /// The inputs that have a packet to give: time by which they are merged, and rank; the earliest on top.
    waiting: BinaryHeap<Reverse<(Timestamp, usize)>>,
    /// The input that gave the last packet, which lives until the next one is asked for.
    gave: Option<usize>,
    /// The input that gives the next packet, if secrets go before it.
    next: Option<usize>,
    /// Secrets that are to be handed on, and by which input they were found.
    secrets: VecDeque<(usize, Vec<u8>)>,
    /// The secrets that were handed on last.
    told: Vec<u8>,
    manner: Manner,
}

struct FileInput {
    path: PathBuf,
    size: Option<u64>,
    state: State,
    /// What is taken off its times, in nanoseconds.
    ahead: i64,
}

enum State {
    /// It was looked at, and will be opened when its first packet is due.
    Unopened(InputFacts),
    Open(Box<CaptureFile>, Option<Due>),
    Done(InputFacts, u64),
}

/// Whether an input that was looked at stays open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Keep {
    Open,
    /// It is closed, and opened again when its first packet is due.
    UntilDue,
}

/// By which inputs are ranked: time of the first packet; pieces that hold no other time first.
type Rank = (Option<Timestamp>, Times);

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Times {
    AllTheSame,
    Several,
}

impl Files {
    /// Opens files, folders and standard input (`-`), and looks at the first packets of each.
    ///
    /// # Errors
    /// A path that cannot be opened, a file that was named and is no capture, a folder that holds none.
    pub fn open(paths: &[PathBuf], reading: Reading) -> Result<Files, Error> {
        let mut skipped = Vec::new();
        let wanted = without_repetition(folder::files(paths)?, &mut skipped);
        let manner = manner_for(wanted.len(), reading);
        let keep = if wanted.len() == 1 { Keep::Open } else { Keep::UntilDue };
        let mut ranked = Vec::new();
        for Wanted { path, named } in wanted {
            match look_at(&path, manner, keep) {
                Ok((first, input)) => ranked.push(((first, Times::Several), input)),
                Err(error) if named == Named::ByFolder => skipped.push(Skipped { path, why: why(&error) }),
                Err(error) => return Err(error),
            }
        }
        if ranked.is_empty() {
            return Err(nothing_to_read(paths, &skipped));
        }
        break_ties(&mut ranked, manner);
        ranked.sort_by(|(a, x), (b, y)| a.cmp(b).then_with(|| order_of_names(&x.path, &y.path)));
        let waiting = ranked.iter().enumerate();
        let waiting = waiting.filter_map(|(rank, ((first, _), _))| Some(Reverse(((*first)?, rank)))).collect();
        let inputs = ranked.into_iter().map(|(_, input)| input).collect();
        let (secrets, told) = (VecDeque::new(), Vec::new());
        let mut files = Files { inputs, skipped, waiting, gave: None, next: None, secrets, told, manner };
        for (rank, input) in files.inputs.iter_mut().enumerate() {
            if let State::Open(file, _) = &mut input.state {
                take_secrets(rank, file, &mut files.secrets);
            }
        }
        files.close_empty_ones();
        Ok(files)
    }

    /// Files of folders that are not read, and why.
    pub fn skipped(&self) -> &[Skipped] {
        &self.skipped
    }

    /// Takes off the times of each of these inputs by how many nanoseconds its clock is ahead. Which input is which stays
    /// as it is, and so do the numbers of frames. To be said before the first packet is asked for.
    pub fn put_clocks_right(&mut self, ahead: &[(SourceId, i64)]) {
        for (SourceId(rank), ahead) in ahead {
            if let Some(input) = self.inputs.get_mut(*rank as usize) {
                input.ahead = *ahead;
            }
        }
        let right = |Reverse((due, rank)): Reverse<(Timestamp, usize)>| {
            let ahead = self.inputs.get(rank).map_or(0, |input| input.ahead);
            Reverse((due.before(ahead), rank))
        };
        self.waiting = std::mem::take(&mut self.waiting).into_iter().map(right).collect();
    }

    /// Inputs without a packet are never due; what they are is told all the same.
    fn close_empty_ones(&mut self) {
        let due: BTreeSet<usize> = self.waiting.iter().map(|Reverse((_, rank))| *rank).collect();
        for rank in (0..self.inputs.len()).filter(|rank| !due.contains(rank)) {
            self.make_ready(rank);
        }
    }

    /// Opens an input if it is not open, and reads its next packet; gives the time by which it is due.
    fn make_ready(&mut self, rank: usize) -> Option<Timestamp> {
        let input = self.inputs.get_mut(rank)?;
        if let State::Unopened(facts) = &input.state {
            match CaptureFile::open(&input.path, self.manner) {
                Ok(file) => input.state = State::Open(Box::new(file), None),
                Err(error) => {
                    let mut facts = facts.clone();
                    facts.oddities = OddityLog::default();
                    facts.oddities.note(Oddity::CaptureDamaged { offset: 0, found: why(&error) }, None);
                    input.state = State::Done(facts, 0);
                    return None;
                }
            }
        }
        let State::Open(file, head) = &mut input.state else { return None };
        if head.is_none() {
            *head = file.advance();
            take_secrets(rank, file, &mut self.secrets);
        }
        if let Some(Due(time)) = head {
            return Some(time.before(input.ahead));
        }
        file.close();
        input.state = State::Done(file.facts(), file.bytes_read());
        None
    }

    /// Lets go of the packet that was given last, and finds the input whose packet is next.
    #[inline]
    fn advance(&mut self) -> Option<usize> {
        if let Some(rank) = self.gave.take() {
            let key = match self.inputs.get_mut(rank) {
                Some(FileInput { state: State::Open(file, head), ahead, .. }) => {
                    *head = file.advance();
                    if file.has_secrets() {
                        take_secrets(rank, file, &mut self.secrets);
                    }
                    head.map(|Due(time)| time.before(*ahead))
                }
                _ => None,
            };
            let key = key.or_else(|| self.make_ready(rank));
            if let Some(key) = key {
                // Most packets come from the input that gave the one before.
                if self.waiting.peek().is_none_or(|Reverse(first)| (key, rank) < *first) {
                    return Some(rank);
                }
                self.waiting.push(Reverse((key, rank)));
            }
        }
        self.next_waiting()
    }

    /// The input that has waited longest.
    fn next_waiting(&mut self) -> Option<usize> {
        loop {
            let Reverse((due, rank)) = self.waiting.pop()?;
            let Some(input) = self.inputs.get(rank) else { continue };
            if matches!(input.state, State::Open(_, Some(_))) {
                return Some(rank);
            }
            // A file that was looked at before may have changed since; it is due when its first packet is.
            match self.make_ready(rank) {
                Some(key) if key <= due => return Some(rank),
                Some(key) => self.waiting.push(Reverse((key, rank))),
                None => {}
            }
        }
    }
}

impl Source for Files {
    #[inline]
    fn next(&mut self) -> Result<Option<Input<'_>>, Error> {
        let rank = match self.next.take() {
            None => self.advance(),
            rank => rank,
        };
        if let Some((of, text)) = self.secrets.pop_front() {
            (self.next, self.told) = (rank, text);
            return Ok(Some(Input::Secrets(source_of(of), &self.told)));
        }
        let Some(rank) = rank else { return Ok(None) };
        self.gave = Some(rank);
        let source = source_of(rank);
        let Some(FileInput { state: State::Open(file, Some(_)), ahead, .. }) = self.inputs.get(rank) else {
            return Ok(None);
        };
        let Some(mut packet) = file.packet(source) else { return Ok(None) };
        packet.time = packet.time.before(*ahead);
        Ok(Some(Input::Packet(packet)))
    }

    fn inputs(&self) -> Vec<InputFacts> {
        let facts = |input: &FileInput| {
            let mut facts = match &input.state {
                State::Unopened(facts) | State::Done(facts, _) => facts.clone(),
                State::Open(file, _) => file.facts(),
            };
            facts.first_and_last =
                facts.first_and_last.map(|(first, last)| (first.before(input.ahead), last.before(input.ahead)));
            facts
        };
        self.inputs.iter().map(facts).collect()
    }

    fn progress(&self) -> Progress {
        let bytes_read = |input: &FileInput| match &input.state {
            State::Unopened(_) => 0,
            State::Open(file, _) => file.bytes_read(),
            State::Done(_, bytes) => *bytes,
        };
        Progress {
            bytes_read: self.inputs.iter().map(bytes_read).fold(0, u64::saturating_add),
            bytes_in_all: self.inputs.iter().try_fold(0_u64, |sum, input| Some(sum.saturating_add(input.size?))),
            ..Progress::default()
        }
    }
}

fn source_of(rank: usize) -> SourceId {
    SourceId(u32::try_from(rank).unwrap_or(u32::MAX))
}

/// Puts the secrets that a file has found into the queue.
fn take_secrets(rank: usize, file: &mut CaptureFile, queue: &mut VecDeque<(usize, Vec<u8>)>) {
    if file.has_secrets() {
        queue.push_back((rank, file.take_secrets()));
    }
}

/// The way to read so many files that neither memory nor file descriptors run out.
fn manner_for(files: usize, reading: Reading) -> Manner {
    if files > OPEN_LIMIT {
        return Manner { reading, between: Between::Closed, window: SMALL_WINDOW };
    }
    Manner { reading, between: Between::Open, window: WINDOW }
}

/// Opens an input to see what it is and when it begins.
fn look_at(path: &Path, manner: Manner, keep: Keep) -> Result<(Option<Timestamp>, FileInput), Error> {
    let digest = if keep == Keep::UntilDue { digest_for(path, manner) } else { manner.reading.digest };
    let mut file = CaptureFile::open(path, manner.with(digest))?;
    let size = file.size();
    let head = file.advance();
    let first = head.map(|Due(time)| time);
    // A pipe can be read only once.
    let state = if keep == Keep::Open || size.is_none() {
        State::Open(Box::new(file), head)
    } else {
        let mut facts = file.facts();
        (facts.packets, facts.first_and_last, facts.drops) = (0, None, 0);
        State::Unopened(facts)
    };
    Ok((first, FileInput { path: path.to_owned(), size, state, ahead: 0 }))
}

/// Looks closer at files that begin in the same moment.
fn break_ties(ranked: &mut [(Rank, FileInput)], manner: Manner) {
    let mut seen = BTreeSet::new();
    let firsts = ranked.iter().filter_map(|((first, _), _)| *first);
    let shared: BTreeSet<Timestamp> = firsts.filter(|first| !seen.insert(*first)).collect();
    for ((first, times), input) in ranked {
        if let Some(first) = first
            && shared.contains(first)
            && matches!(input.state, State::Unopened(_))
            && let Ok(mut file) = CaptureFile::open(&input.path, manner.with(Digest::Unasked))
        {
            *times = look_ahead(&mut file, *first);
        }
    }
}

/// A regular file is hashed when it is really read.
fn digest_for(path: &Path, manner: Manner) -> Digest {
    if path.is_file() { Digest::Unasked } else { manner.reading.digest }
}

/// A piece of a capture that ends within one moment comes before the piece that begins in it.
fn look_ahead(file: &mut CaptureFile, first: Timestamp) -> Times {
    for _ in 0..LOOKED_AHEAD {
        match file.advance() {
            Some(Due(time)) if time == first => {}
            Some(_) => return Times::Several,
            None => return Times::AllTheSame,
        }
    }
    Times::Several
}

/// Each file once, however many of the paths lead to it.
fn without_repetition(wanted: Vec<Wanted>, skipped: &mut Vec<Skipped>) -> Vec<Wanted> {
    let mut seen = BTreeSet::new();
    let mut once = Vec::new();
    for one in wanted {
        let real = one.path.canonicalize().unwrap_or_else(|_| one.path.clone());
        if seen.insert(real) {
            once.push(one);
        } else {
            skipped.push(Skipped { path: one.path, why: "the same file was given before".into() });
        }
    }
    once
}

fn nothing_to_read(paths: &[PathBuf], skipped: &[Skipped]) -> Error {
    let path = paths.first().cloned().unwrap_or_default();
    let looks_like = match skipped.len() {
        0 => "a folder without files (folders within it are not looked into); name a capture file".into(),
        count => format!("a folder of {count} files, none of which is a capture"),
    };
    Error::NotACapture { path, looks_like }
}

/// Why a file of a folder is not read.
fn why(error: &Error) -> String {
    match error {
        Error::NotACapture { looks_like, .. } => format!("not a capture: {looks_like}"),
        Error::Open { source, .. } => format!("cannot be opened: {source}"),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests;
