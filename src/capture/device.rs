//! The interfaces of this machine.

use std::net::IpAddr;

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
