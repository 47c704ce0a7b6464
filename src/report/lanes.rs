//! The lanes of a ladder: who takes part in a call, in the order in which they do.
//!
//! Shared by every picture of a ladder. Deliberately does not know how wide a lane is, nor how it is drawn.

use crate::report::record::{CallRecord, Rung, host};

/// Who takes part in a call, a lane for each.
#[derive(Debug)]
pub(crate) struct Lanes {
    names: Vec<String>,
    each: Each,
}

/// What has a lane of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Each {
    /// A host, whatever the port.
    Host,
    /// A port of a host.
    Port,
}

impl Lanes {
    /// Lanes for hosts; for ports where a host talks to itself.
    pub(crate) fn of(record: &CallRecord) -> Lanes {
        Lanes::for_each(if talks_to_itself(record) { Each::Port } else { Each::Host }, record)
    }

    /// The first `most` lanes. Where ports would need more, there are lanes for hosts, unless all are of one host.
    pub(crate) fn at_most(most: usize, record: &CallRecord) -> Lanes {
        let lanes = Lanes::of(record);
        if lanes.names.len() > most && lanes.each == Each::Port {
            let of_hosts = Lanes::for_each(Each::Host, record);
            if of_hosts.names.len() > 1 {
                return of_hosts.first(most);
            }
        }
        lanes.first(most)
    }

    /// The first of them; what the others send or get is drawn in another way.
    pub(crate) fn first(mut self, most: usize) -> Lanes {
        self.names.truncate(most);
        self
    }

    fn for_each(each: Each, record: &CallRecord) -> Lanes {
        let mut lanes = Lanes { names: Vec::new(), each };
        for address in record.ladder.iter().flat_map(|rung| [&rung.from_addr, &rung.to_addr]) {
            if lanes.position(address).is_none() {
                lanes.names.push(each.name(address).to_owned());
            }
        }
        lanes
    }

    /// What stands above them.
    pub(crate) fn names(&self) -> &[String] {
        &self.names
    }

    /// Which lane an address has.
    pub(crate) fn position(&self, address: &str) -> Option<usize> {
        let name = self.each.name(address);
        self.names.iter().position(|known| known == name)
    }

    /// The last lane.
    pub(crate) fn last(&self) -> usize {
        self.names.len().saturating_sub(1)
    }

    /// Gaps between lanes. There is room for one where there is one lane, for what its host says to itself.
    pub(crate) fn gaps(&self) -> usize {
        self.last().max(1)
    }
}

#[cfg(test)]
impl Lanes {
    /// Lanes for hosts of these names.
    pub(crate) fn named(names: &[&str]) -> Lanes {
        Lanes { names: names.iter().map(|name| (*name).to_owned()).collect(), each: Each::Host }
    }
}

impl Each {
    fn name(self, address: &str) -> &str {
        match self {
            Each::Host => host(address),
            Each::Port => address,
        }
    }
}

fn talks_to_itself(record: &CallRecord) -> bool {
    let to_itself = |rung: &Rung| host(&rung.from_addr) == host(&rung.to_addr);
    record.ladder.iter().any(to_itself)
}
