//! One capture file from its first byte to its last: what it is, and its packets in the order in which they stand.

use std::io;
use std::path::Path;

use crate::capture::Error;
use crate::capture::InputFacts;
use crate::capture::Packet;
use crate::capture::blocks::Blocks;
use crate::capture::damage;
use crate::capture::files::Reading;
use crate::capture::ledger::Due;
use crate::capture::ledger::Ledger;
use crate::capture::ledger::Record;
use crate::capture::looks_like::looks_like;
use crate::capture::order::Order;
use crate::capture::piped::Pipe;
use crate::capture::place::SourceId;
use crate::capture::records::FILE_HEADER;
use crate::capture::records::Records;
use crate::capture::snoop::Snoop;
use crate::capture::stored::Between;
use crate::capture::stored::Digest;
use crate::capture::stored::Stored;
use crate::capture::unpacked::Packing;
use crate::capture::unpacked::Unpacked;
use crate::capture::window::Window;

/// Bytes that are looked at to say what a file is that is no capture.
const HEAD: usize = 4096;

/// How a file is to be read.
#[derive(Debug, Clone, Copy)]
pub(super) struct Manner {
    pub(super) reading: Reading,
    pub(super) between: Between,
    pub(super) window: usize,
}

impl Manner {
    /// The same, with or without a hash.
    pub(super) fn with(self, digest: Digest) -> Manner {
        Manner { reading: Reading { digest, ..self.reading }, ..self }
    }
}

/// One capture file that is being read.
pub(super) struct CaptureFile {
    name: String,
    window: Window<Unpacked>,
    layout: Layout,
    ledger: Ledger,
    sha256: Option<String>,
}

enum Layout {
    Pcap(Records),
    Pcapng(Blocks),
    Snoop(Snoop),
}

impl CaptureFile {
    /// Opens a file and reads its header.
    pub(super) fn open(path: &Path, manner: Manner) -> Result<CaptureFile, Error> {
        let mut ledger = Ledger::default();
        let (window, layout) = begin(path, stored(path, manner)?, manner, &mut ledger)?;
        Ok(CaptureFile { name: path.to_string_lossy().into_owned(), window, layout, ledger, sha256: None })
    }

    /// Opens a file whose frames are numbered on behind those of other files, and reads its header. Takes what was
    /// written down of these, if it can be opened.
    pub(super) fn open_behind(path: &Path, manner: Manner, before: &mut Ledger) -> Result<CaptureFile, Error> {
        let (window, layout) = begin(path, stored(path, manner)?, manner, before)?;
        let mut ledger = std::mem::take(before);
        ledger.begin_next_file();
        Ok(CaptureFile { name: path.to_string_lossy().into_owned(), window, layout, ledger, sha256: None })
    }

    /// Reads what is written into a pipe. Its header is there.
    pub(super) fn open_piped(pipe: Pipe, manner: Manner) -> Result<CaptureFile, Error> {
        let mut ledger = Ledger::default();
        let path = Path::new("-");
        let (window, layout) = begin(path, Stored::piped(pipe), manner, &mut ledger)?;
        Ok(CaptureFile { name: "-".into(), window, layout, ledger, sha256: None })
    }

    /// True if it is a pipe, behind which nothing follows.
    pub(super) fn is_piped(&self) -> bool {
        self.window.source().stored().is_piped()
    }

    /// True if it is a pipe whose writer is gone, and everything that came was taken.
    pub(super) fn is_left(&self) -> bool {
        self.window.source().stored().is_left()
    }

    /// What was written down of it.
    pub(super) fn into_ledger(self) -> Ledger {
        self.ledger
    }

    /// True if a whole packet is there, so that reading it needs nothing that is still to be written.
    pub(super) fn has_whole_packet(&mut self) -> bool {
        self.window.revive();
        match &self.layout {
            Layout::Pcap(records) => records.has_whole(&mut self.window),
            Layout::Pcapng(blocks) => blocks.has_whole(&mut self.window),
            Layout::Snoop(_) => true,
        }
    }

    /// True if its path still leads to it.
    pub(super) fn is_still_there(&self) -> bool {
        self.window.source().stored().is_still_there()
    }

    /// The next packet, `None` at the end.
    #[inline(always)]
    pub(super) fn advance(&mut self) -> Option<Due> {
        match &mut self.layout {
            Layout::Pcap(records) => records.next(&mut self.window, &mut self.ledger),
            Layout::Pcapng(blocks) => blocks.next(&mut self.window, &mut self.ledger),
            Layout::Snoop(snoop) => snoop.next(&mut self.window, &mut self.ledger),
        }
    }

    /// The packet that [`CaptureFile::advance`] found last.
    #[inline]
    pub(super) fn packet(&self, source: SourceId) -> Option<Packet<'_>> {
        let Record { time, number, link, bytes, original_len } = self.ledger.record()?.clone();
        Some(Packet { time, source, number, link, bytes: self.window.at(bytes), original_len })
    }

    /// True if secrets of TLS were found that were not handed on.
    #[inline]
    pub(super) fn has_secrets(&self) -> bool {
        self.ledger.has_secrets()
    }

    /// The text of the key logs that were found since it was last asked for.
    pub(super) fn take_secrets(&mut self) -> Vec<u8> {
        self.ledger.take_secrets()
    }

    /// Stored bytes read so far.
    pub(super) fn bytes_read(&self) -> u64 {
        self.window.source().stored().bytes_read()
    }

    /// Stored bytes there are, if that can be known.
    pub(super) fn size(&self) -> Option<u64> {
        self.window.source().stored().size()
    }

    /// Notes what can only be told when the last packet was read.
    pub(super) fn close(&mut self) {
        damage::note_failure(&mut self.window, &mut self.ledger);
        self.sha256 = self.window.source_mut().stored_mut().finish_hash();
    }

    /// What is known of the file so far.
    pub(super) fn facts(&self) -> InputFacts {
        let layout = match &self.layout {
            Layout::Pcap(_) => "pcap",
            Layout::Pcapng(_) => "pcapng",
            Layout::Snoop(_) => "snoop",
        };
        let format = match self.window.source().packing() {
            Packing::Plain => layout.to_owned(),
            packing => format!("{layout}+{}", packing.name()),
        };
        self.ledger.facts(self.name.clone(), format, self.sha256.clone())
    }
}

fn stored(path: &Path, manner: Manner) -> Result<Stored, Error> {
    let stored = Stored::open(path, manner.reading.digest, manner.between);
    stored.map_err(|source| Error::Open { path: path.to_owned(), source })
}

/// Finds out what a file is.
fn begin(
    path: &Path,
    stored: Stored,
    manner: Manner,
    ledger: &mut Ledger,
) -> Result<(Window<Unpacked>, Layout), Error> {
    let cannot = |source: io::Error| Error::Open { path: path.to_owned(), source };
    let unpacked = Unpacked::new(stored, manner.reading).map_err(cannot)?;
    let packing = unpacked.packing();
    let mut window = Window::new(unpacked, manner.window);
    window.fill(FILE_HEADER);
    if let Some(mut layout) = Layout::find(&mut window, ledger) {
        // What is still being written into a pipe is not waited for.
        if let Layout::Pcap(records) = &mut layout
            && window.source().stored().size().is_some()
        {
            records.look_ahead(&mut window);
        }
        return Ok((window, layout));
    }
    window.fill(HEAD);
    let failure = window.take_failure();
    Err(match failure {
        Some(error) if packing == Packing::Plain => cannot(error),
        failure => not_a_capture(path, packing, window.bytes(), failure),
    })
}

impl Layout {
    fn find(window: &mut Window<Unpacked>, ledger: &mut Ledger) -> Option<Layout> {
        let head = window.bytes();
        if Records::recognises(head) {
            return Records::open(window, ledger).map(Layout::Pcap);
        }
        if Blocks::recognises(head) {
            return has_whole_section_header(window).then(|| Layout::Pcapng(Blocks::new()));
        }
        if Snoop::recognises(head) {
            return Snoop::open(window, ledger).map(Layout::Snoop);
        }
        None
    }
}

/// True if at least the fixed part of the first section header is there.
fn has_whole_section_header(window: &mut Window<Unpacked>) -> bool {
    window.fill(28) >= 28
}

fn not_a_capture(path: &Path, packing: Packing, head: &[u8], failure: Option<io::Error>) -> Error {
    let mut looks_like = looks_like(head);
    if packing != Packing::Plain {
        looks_like = format!("{looks_like}, inside a {} file", packing.name());
    }
    if let Some(error) = failure {
        looks_like = format!("{looks_like} ({error})");
    }
    Error::NotACapture { path: path.to_owned(), looks_like }
}

/// True if the head of a file is that of a capture that lost its end, and so cannot be told from others by more.
pub(super) fn is_cut_header(head: &[u8]) -> bool {
    let begins = Records::recognises(head) || Order::Little.u32(head, 0) == Some(0x0a0d_0d0a);
    begins && head.len() < 28
}
