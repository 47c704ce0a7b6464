//! What else the packets held: ports and TLS connections.
//!
//! Is given paths and connections; gives counts of them, within bounds. Deliberately does not say what that means for
//! who looks for SIP.

use std::collections::BTreeMap;

use crate::net::{Path, TlsConnection, Transport};

/// What else the packets held, for the reader of a capture in which there is no SIP.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Census {
    /// Payloads that are no SIP, by transport and the lower port of the two, as far as they were counted.
    pub ports: BTreeMap<(Transport, u16), u64>,
    /// Connections that were asked for, and how often, in the same way.
    pub asked: BTreeMap<(Transport, u16), u64>,
    /// Payloads and SYNs looked at.
    pub looked_at: u64,
    /// TLS connections in order of their first record, at most [`Census::MOST_TLS`]: the first that ended.
    pub tls: Vec<TlsConnection>,
    /// How many there were.
    pub tls_connections: u64,
}

impl Census {
    /// TLS connections that are kept.
    pub const MOST_TLS: usize = 1024;

    /// True if it has looked at enough.
    #[inline]
    pub(super) fn is_full(&self) -> bool {
        self.looked_at >= CENSUS
    }

    /// Counts a packet in one of its tables.
    pub(super) fn count(
        &mut self,
        path: Path,
        table: impl FnOnce(&mut Census) -> &mut BTreeMap<(Transport, u16), u64>,
    ) {
        if self.is_full() {
            return;
        }
        self.looked_at += 1;
        let key = (path.transport, path.source.port().min(path.destination.port()));
        let table = table(self);
        if table.len() < CENSUS_PORTS || table.contains_key(&key) {
            *table.entry(key).or_default() += 1;
        }
    }

    pub(super) fn note_tls(&mut self, seen: &TlsConnection) {
        self.tls_connections += 1;
        if self.tls.len() < Census::MOST_TLS {
            let at = self.tls.partition_point(|known| (known.place, known.path) <= (seen.place, seen.path));
            self.tls.insert(at, seen.clone());
        }
    }
}

/// Payloads that the census looks at.
const CENSUS: u64 = 50_000;
/// Ports that the census tells apart.
const CENSUS_PORTS: usize = 4096;
