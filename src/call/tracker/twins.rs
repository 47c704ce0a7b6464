//! Addresses at which software names itself alike: often those of one system with several interfaces, as of a B2BUA
//! between two networks.
//!
//! Is given the name that each address shows, once for each; gives the addresses that show the same. Deliberately does
//! not know whether they are of one system: many are sold of each software.

use std::net::IpAddr;

use crate::call::tracker::Tracker;
use crate::keyed::ByHash;
use crate::sip::Message;

/// The addresses of each name, as a hash.
#[derive(Debug, Default)]
pub(super) struct Twins {
    of: ByHash<Vec<IpAddr>>,
}

/// Addresses of one system. A name that more of them show tells none from the others, and they are not kept.
const MOST: usize = 4;
/// Names that are kept.
const MOST_NAMES: usize = 8192;
/// Letters of the shortest name that tells one software from another.
const SHORTEST: usize = 8;

/// True for a name of software with the number of a version: it is shared by fewer than that of a product.
pub(crate) fn names_version(name: &str) -> bool {
    name.len() >= SHORTEST && name.bytes().any(|byte| byte.is_ascii_digit())
}

impl Tracker {
    /// Notes the name that an address shows.
    pub(super) fn note_twin(&mut self, address: IpAddr, name: &str) {
        if !names_version(name) {
            return;
        }
        let key = self.hasher.hash_one(name);
        if self.twins.of.len() >= MOST_NAMES && !self.twins.of.contains_key(&key) {
            return;
        }
        let known = self.twins.of.entry(key).or_default();
        if known.len() <= MOST && !known.contains(&address) {
            known.push(address);
        }
    }

    /// The other addresses at which the software of this request, which its sender made itself, was seen.
    pub(super) fn twins_of(&self, request: &Message<'_>, sender: IpAddr) -> impl Iterator<Item = IpAddr> {
        let is_own = request.second_branch().is_empty();
        let name = request.software().filter(|name| is_own && names_version(name));
        let known = name.and_then(|name| self.twins.of.get(&self.hasher.hash_one(&*name)));
        let few = known.filter(|known| known.len() <= MOST).map(Vec::as_slice).unwrap_or_default();
        few.iter().copied().filter(move |twin| *twin != sender)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_many_addresses_show_tells_none_of_them() {
        let invite = "INVITE sip:a@example.com SIP/2.0\r\nUser-Agent: ExampleSBC/7.4\r\nContent-Length: 0\r\n\r\n";
        let invite = Message::read(invite.as_bytes(), crate::sip::Cut::Whole).unwrap();
        let address = |last| IpAddr::from([192, 0, 2, last]);
        let mut tracker = Tracker::default();
        tracker.note_twin(address(1), "ExampleSBC/7.4");
        tracker.note_twin(address(1), "ExampleSBC/7.4");
        tracker.note_twin(address(9), "ExampleSBC/7.5");
        assert_eq!(tracker.twins_of(&invite, address(2)).collect::<Vec<_>>(), [address(1)]);
        assert_eq!(tracker.twins_of(&invite, address(1)).count(), 0, "that is the sender");
        (2..=4).for_each(|last| tracker.note_twin(address(last), "ExampleSBC/7.4"));
        assert_eq!(tracker.twins_of(&invite, address(2)).count(), 3);
        tracker.note_twin(address(5), "ExampleSBC/7.4");
        assert_eq!(tracker.twins_of(&invite, address(2)).count(), 0, "too many");
        assert!(!names_version("Asterisk PBX") && !names_version("SIP 2") && names_version("Asterisk PBX 20.5.0"));
    }
}
