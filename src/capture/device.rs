//! The interfaces of this machine, and how they are opened.

use std::net::IpAddr;
use std::time::Duration;

/// An interface that can be captured on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Device {
    /// Its name, as `-i` wants it.
    pub name: String,
    /// What the system says of it.
    pub description: Option<String>,
    /// Its addresses.
    pub addresses: Vec<IpAddr>,
    /// Whether it can carry packets now.
    pub state: DeviceState,
}

/// Whether an interface can carry packets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeviceState {
    /// It is up.
    Up,
    /// It is down.
    Down,
}

/// How interfaces are opened, and for how long they may be away.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Opening {
    /// A BPF filter; `None` for every packet. SIP is found by content, so that nothing is lost behind a VLAN tag, in a
    /// fragment or in a tunnel.
    pub filter: Option<String>,
    /// Whether frames for others are wanted.
    pub promiscuous: Promiscuous,
    /// Bytes of the kernel's ring, for what arrives while we look away.
    pub buffer: usize,
    /// How long an interface that is away is waited for.
    pub patience: Duration,
}

/// Whether frames that are addressed to others are captured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Promiscuous {
    /// They are.
    Yes,
    /// They are not.
    No,
}

impl Default for Opening {
    /// Everything, with room for 25 ms at 10 Gbit/s.
    fn default() -> Opening {
        Opening { filter: None, promiscuous: Promiscuous::Yes, buffer: 32 << 20, patience: Duration::from_secs(60) }
    }
}

/// What became of an interface while it was captured on, for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Notice {
    /// It is down or away, and is waited for.
    Away {
        /// Which.
        name: String,
        /// What the system said.
        why: String,
    },
    /// It is there again.
    Back {
        /// Which.
        name: String,
        /// After how long.
        after: Duration,
    },
    /// It is no longer waited for.
    GivenUp {
        /// Which.
        name: String,
        /// What the system said last.
        why: String,
    },
    /// The clock of this machine was set.
    ClockSet {
        /// By how many nanoseconds: negative if it was put back.
        nanoseconds: i64,
    },
    /// The clock was set of an agent that sends copies, or what comes now is a replay of another time.
    AgentsClockSet {
        /// By how many nanoseconds: negative if it was put back.
        nanoseconds: i64,
    },
    /// What waits could not be written to a temporary file: it waits in memory as far as there is room.
    NotPutAside {
        /// What the system said.
        why: String,
    },
    /// Packets that waited in a temporary file could not be read back.
    NotReadBack {
        /// How many.
        packets: u64,
        /// What the system said.
        why: String,
    },
}
