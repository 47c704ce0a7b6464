//! Packets, from files and from interfaces.
//!
//! Knows files, interfaces, time stamps and link types. Is given paths or the name of an interface; gives
//! [`Packet`]s in order of time, and what it found odd. Deliberately does not know what is in a packet.
//!
//! The doors of the `pcap` and `pcap-parser` crates are in this room and nowhere else.

// The input may be hostile: what could panic is refused, outside tests.
#![cfg_attr(
    not(test),
    deny(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::indexing_slicing,
        clippy::string_slice,
        clippy::panic,
        clippy::arithmetic_side_effects
    )
)]

mod annotated;
mod aside;
mod backlog;
mod batch;
mod blocks;
#[cfg(have_libpcap)]
mod clock;
mod damage;
mod device;
mod file;
mod files;
mod folder;
mod following;
mod interface;
#[cfg(have_libpcap)]
mod interfaces;
mod ledger;
mod link;
#[cfg(have_libpcap)]
mod live;
mod looks_like;
mod order;
mod piped;
mod place;
mod records;
mod ring;
mod snoop;
mod stored;
mod unpacked;
mod window;
#[cfg(not(have_libpcap))]
mod without_libpcap;
#[cfg(test)]
mod written;

use std::path::PathBuf;

use serde::Serialize;

pub use crate::capture::annotated::{Copied, Made, Remarks, annotate};
pub use crate::capture::aside::Aside;
pub use crate::capture::backlog::Room;
pub use crate::capture::device::Device;
pub use crate::capture::device::DeviceState;
pub use crate::capture::device::{Notice, Opening, Promiscuous};
pub use crate::capture::files::Files;
pub use crate::capture::files::Reading;
pub use crate::capture::files::Skipped;
pub use crate::capture::following::Following;
#[cfg(have_libpcap)]
pub use crate::capture::interfaces::Interfaces;
pub use crate::capture::link::LinkType;
#[cfg(have_libpcap)]
pub use crate::capture::live::{Filtered, devices};
pub use crate::capture::place::Digits;
pub use crate::capture::place::{Place, SourceId, Timestamp};
pub use crate::capture::stored::Digest;
#[cfg(not(have_libpcap))]
pub use crate::capture::without_libpcap::{Filtered, Interfaces, devices};

use crate::oddity::OddityLog;

/// One packet as the capture holds it. It borrows from the source and lives until the next one is asked for.
#[derive(Debug, Clone, Copy)]
pub struct Packet<'a> {
    /// When it was captured.
    pub time: Timestamp,
    /// Which input it comes from.
    pub source: SourceId,
    /// Its number in that input, from 1, as Wireshark counts.
    pub number: u64,
    /// What its first bytes are.
    pub link: LinkType,
    /// The bytes that were kept.
    pub bytes: &'a [u8],
    /// Bytes on the wire; more than `bytes.len()` if the capture cut the packet.
    pub original_len: u32,
}

/// What a source gives.
#[derive(Debug, Clone, Copy)]
pub enum Input<'a> {
    /// A packet.
    Packet(Packet<'a>),
    /// Nothing arrived until now. Only an interface says so.
    Quiet(Timestamp),
    /// Secrets of TLS stand here in an input: the text of a key log.
    Secrets(SourceId, &'a [u8]),
    /// The clock by which packets are stamped was set by so many nanoseconds: nobody waited for them. Only an interface
    /// says so.
    ClockSet(i64),
}

/// Where packets come from.
pub trait Source {
    /// The next packet in order of time, `None` at the end.
    ///
    /// # Errors
    /// Only what stops the whole run. Damage of a file is noted in its [`InputFacts`], and the source goes on.
    fn next(&mut self) -> Result<Option<Input<'_>>, Error>;

    /// What is known of each input so far, in the order of [`SourceId`].
    fn inputs(&self) -> Vec<InputFacts>;

    /// How far reading has come, as far as that can be known. Costs a few nanoseconds for each input.
    fn progress(&self) -> Progress {
        Progress::default()
    }

    /// What became of an interface that people should know of, each told once.
    fn notice(&mut self) -> Option<Notice> {
        None
    }

    /// Why the source ended before its time, told once: all that came before is good.
    fn take_failure(&mut self) -> Option<Error> {
        None
    }

    /// Takes in nothing of what arrives from now on. True if what has arrived before is given still, and then the end;
    /// false if the source has nothing of the kind, and goes on as if it had not been asked.
    fn stop(&mut self) -> bool {
        false
    }

    /// Nobody asks for more: what has arrived and was not given is counted ([`InputFacts::drops`]).
    fn leave(&mut self) {}
}

/// How far reading has come, in bytes as they are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Progress {
    /// Bytes read so far.
    pub bytes_read: u64,
    /// Bytes that there are; `None` for a pipe or an interface.
    pub bytes_in_all: Option<u64>,
    /// What has arrived and was not given yet.
    pub behind: Behind,
}

/// What has arrived on interfaces and waits to be understood.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Behind {
    /// Packets.
    pub packets: u64,
    /// The memory and the disk that they take, in bytes.
    pub bytes: u64,
}

/// What is known of one input when it has been read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InputFacts {
    /// Path as it was given, `-` for standard input, or the interface.
    pub name: String,
    /// Lower-case hexadecimal SHA-256 of the file's bytes as they are stored; `None` if it was not asked for.
    pub sha256: Option<String>,
    /// `pcap`, `pcapng`, `interface`; with `+gzip`, `+zstd` or `+lz4`.
    pub format: String,
    /// Names of the link types seen, without `LINKTYPE_`, in order of appearance: `EN10MB` for 1, as libpcap names
    /// them.
    pub link_types: Vec<String>,
    /// Packets read.
    pub packets: u64,
    /// Time of the earliest and of the latest packet.
    pub first_and_last: Option<(Timestamp, Timestamp)>,
    /// True if times have more than microseconds.
    pub nanoseconds: bool,
    /// Packets that the capturing system says it dropped, and those that had arrived and were not looked at.
    pub drops: u64,
    /// Of these, those that the interface dropped before the kernel saw them; 0 where it is not told.
    pub drops_of_interface: u64,
    /// Of the packets read, those that the user's own filter left out.
    pub filtered_out: u64,
    /// What was odd.
    pub oddities: OddityLog,
}

impl InputFacts {
    /// Packets that the systems say they dropped, of all inputs together. What files claim is not to be trusted: the
    /// sum ends at the largest number.
    pub fn dropped(inputs: &[InputFacts]) -> u64 {
        inputs.iter().map(|input| input.drops).fold(0, u64::saturating_add)
    }
}

/// Why an input cannot be used at all.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The file cannot be opened or read.
    #[error("cannot open the capture {}", .path.display())]
    Open {
        /// Which.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The file is not a capture.
    #[error("{} is not a capture: {looks_like}", .path.display())]
    NotACapture {
        /// Which.
        path: PathBuf,
        /// What it looks like, and what to do.
        looks_like: String,
    },
    /// The interface cannot be captured on.
    #[error("cannot capture on {name}: {why}")]
    Interface {
        /// Which.
        name: String,
        /// What the system said, and what to do where that is known.
        why: String,
    },
    /// The capture filter is none.
    #[error("the capture filter {filter:?} cannot be used: {why}")]
    Filter {
        /// What was given.
        filter: String,
        /// What libpcap said.
        why: String,
    },
    /// The program was built without libpcap.
    #[error(
        "{wanted} needs libpcap, and this sipwhy was built without it: install it (Debian and Ubuntu: apt install \
         libpcap-dev; Fedora: dnf install libpcap-devel; macOS has it) and build again with cargo"
    )]
    NoLibpcap {
        /// For what.
        wanted: &'static str,
    },
}
