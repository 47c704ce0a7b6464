//! Other numbers, addresses and names in the place of the true ones: the same for the same value, and never itself.
//!
//! Is given a key. Each letter becomes another one of its kind, chosen by the key and by all letters before it. So two
//! values never become one, values that begin alike still do (an area code stays one, a network stays a network), and
//! every length is kept, which is what lets a capture be rewritten in place. Without the key nothing leads back.
//!
//! What kind an address is of (private, loopback, multicast) stays, because causes hang on it.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Mutex;

use sha2::{Digest, Sha256};

/// Values whose pseudonyms are remembered; others are worked out again.
const MOST_REMEMBERED: usize = 100_000;

/// What is replaced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Replaced {
    /// Telephone numbers and extensions.
    Numbers,
    /// IPv4 and IPv6 addresses.
    Addresses,
    /// Users, display names, hosts and realms.
    Names,
}

/// Gives pseudonyms.
#[derive(Debug)]
pub struct Pseudonyms {
    key: [u8; 32],
    replaced: Vec<Replaced>,
    remembered: Mutex<HashMap<(u8, String), String>>,
}

/// What was hashed of a value so far: the next letter depends on it.
#[derive(Debug, Clone, Copy)]
struct Chain([u8; 32]);

impl Pseudonyms {
    /// Pseudonyms that this key gives, for these kinds of values.
    pub fn new(key: [u8; 32], replaced: &[Replaced]) -> Pseudonyms {
        Pseudonyms { key, replaced: replaced.to_vec(), remembered: Mutex::new(HashMap::new()) }
    }

    /// True if values of a kind are replaced.
    pub fn replaces(&self, kind: Replaced) -> bool {
        self.replaced.contains(&kind)
    }

    /// The pseudonym of a number. Signs that only structure it stay.
    pub fn number(&self, number: &str) -> String {
        if !self.replaces(Replaced::Numbers) {
            return number.to_owned();
        }
        self.remembered(b'#', number, || {
            let mut chain = self.chain(b'#');
            number.chars().map(|letter| other_letter(letter, &mut chain)).collect()
        })
    }

    /// The pseudonym of a name: letter by letter, in the same case.
    pub fn name(&self, name: &str) -> String {
        if !self.replaces(Replaced::Names) {
            return name.to_owned();
        }
        self.remembered(b'n', name, || {
            let mut chain = self.chain(b'n');
            name.chars().map(|letter| other_letter(letter, &mut chain)).collect()
        })
    }

    /// The pseudonym of the name of a host: each label depends on those behind it, so that hosts of one domain stay
    /// together. The last label stays.
    pub fn host(&self, host: &str) -> String {
        if !self.replaces(Replaced::Names) {
            return host.to_owned();
        }
        self.remembered(b'h', host, || {
            let mut chain = self.chain(b'h');
            let mut labels: Vec<String> = Vec::new();
            for (index, label) in host.rsplit('.').enumerate() {
                let lower = label.to_ascii_lowercase();
                if index == 0 && host.contains('.') {
                    labels.push(label.to_owned());
                } else {
                    let mut of_label = chain;
                    labels.push(label.chars().map(|letter| other_letter(letter, &mut of_label)).collect());
                }
                chain.take(lower.as_bytes());
            }
            labels.reverse();
            labels.join(".")
        })
    }

    /// What stands for a secret: hexadecimal digits, as many as it has bytes.
    pub fn secret(&self, secret: &str) -> String {
        let mut chain = self.chain(b's');
        chain.take(secret.as_bytes());
        let mut shown = String::with_capacity(secret.len() + 64);
        while shown.len() < secret.len() {
            for byte in chain.0 {
                shown.push_str(&format!("{byte:02x}"));
            }
            chain.take(b"more");
        }
        shown.truncate(secret.len());
        shown
    }

    /// The pseudonym of an address.
    pub fn address(&self, address: IpAddr) -> IpAddr {
        if !self.replaces(Replaced::Addresses) {
            return address;
        }
        match address {
            IpAddr::V4(address) => IpAddr::V4(self.version4(address)),
            IpAddr::V6(address) => IpAddr::V6(self.version6(address)),
        }
    }

    /// The same with its port, which stays.
    pub fn socket(&self, address: SocketAddr) -> SocketAddr {
        SocketAddr::new(self.address(address.ip()), address.port())
    }

    fn version4(&self, address: Ipv4Addr) -> Ipv4Addr {
        let fixed = fixed_octets(address);
        let mut chain = self.chain(b'4');
        let mut other = address.octets();
        for (index, octet) in other.iter_mut().enumerate() {
            let own = *octet;
            if index >= fixed {
                *octet = other_octet(address, index, own, &chain);
            }
            chain.take(&[own]);
        }
        Ipv4Addr::from(other)
    }

    fn version6(&self, address: Ipv6Addr) -> Ipv6Addr {
        if let Some(inner) = address.to_ipv4_mapped() {
            return self.version4(inner).to_ipv6_mapped();
        }
        let first = address.segments()[0];
        if address.is_loopback() || address.is_unspecified() || first >> 8 == 0xff {
            return address;
        }
        let mut chain = self.chain(b'6');
        let mut other = address.segments();
        for (index, segment) in other.iter_mut().enumerate() {
            let own = *segment;
            let kept_digits = match (index, own) {
                (0, 0xfe80..=0xfebf) => 4,
                (0, 0xfc00..=0xfdff) => 2,
                (0, _) => 1,
                _ => 0,
            };
            *segment = other_segment(own, kept_digits, &mut chain);
        }
        Ipv6Addr::from(other)
    }

    fn chain(&self, domain: u8) -> Chain {
        let mut hash = Sha256::new();
        hash.update(self.key);
        hash.update([domain]);
        Chain(hash.finalize().into())
    }

    fn remembered(&self, domain: u8, value: &str, make: impl FnOnce() -> String) -> String {
        let key = (domain, value.to_owned());
        let mut remembered = self.remembered.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if let Some(known) = remembered.get(&key) {
            return known.clone();
        }
        let made = make();
        if remembered.len() < MOST_REMEMBERED {
            remembered.insert(key, made.clone());
        }
        made
    }
}

impl Chain {
    fn take(&mut self, bytes: &[u8]) {
        let mut hash = Sha256::new();
        hash.update(self.0);
        hash.update(bytes);
        self.0 = hash.finalize().into();
    }

    /// Which of `count` things stands for the one at `index`: a permutation of one cycle (Sattolo), so none stays.
    fn other_of(&self, count: usize, index: usize) -> usize {
        let mut order: Vec<usize> = (0..count).collect();
        let mut random = Vec::new();
        let mut block = 0_u32;
        while random.len() < 2 * count {
            let mut hash = Sha256::new();
            hash.update(self.0);
            hash.update(block.to_be_bytes());
            random.extend_from_slice(&hash.finalize());
            block += 1;
        }
        for at in (1..count).rev() {
            let drawn = usize::from(u16::from_be_bytes([random[2 * at], random[2 * at + 1]]));
            order.swap(at, drawn % at);
        }
        order.get(index).copied().unwrap_or(index)
    }
}

/// Another letter of the same kind. Letters beyond ASCII become `x`; signs stay.
fn other_letter(letter: char, chain: &mut Chain) -> char {
    let (first, count) = match letter {
        '0'..='9' => ('0', 10),
        'a'..='z' => ('a', 26),
        'A'..='Z' => ('A', 26),
        _ if letter.is_alphanumeric() => return 'x',
        _ => return letter,
    };
    let index = u32::from(letter) - u32::from(first);
    let other = chain.other_of(count, index as usize);
    let mut lower = [0; 4];
    chain.take(letter.to_ascii_lowercase().encode_utf8(&mut lower).as_bytes());
    char::from_u32(u32::from(first) + other as u32).unwrap_or('x')
}

/// Octets at the beginning that say what kind an address is of, and stay (RFC 6890).
fn fixed_octets(address: Ipv4Addr) -> usize {
    match address.octets() {
        [0 | 127 | 224..=255, ..] => 4,
        [169, 254, ..] | [192, 168, ..] => 2,
        [10, ..] | [100, 64..=127, ..] | [172, 16..=31, ..] => 1,
        _ => 0,
    }
}

/// Another octet with as many digits, such that the address stays of its kind.
fn other_octet(address: Ipv4Addr, index: usize, own: u8, chain: &Chain) -> u8 {
    let [first, ..] = address.octets();
    let is_private = |second: u8| (16..=31).contains(&second);
    let is_shared = |second: u8| (64..=127).contains(&second);
    let fits = |other: &u8| match (index, first) {
        // These begin networks of a kind of their own, so they stand for themselves alone.
        (0, 100 | 169 | 172 | 192) => *other == own,
        (0, _) => !matches!(*other, 0 | 10 | 100 | 127 | 169 | 172 | 192 | 224..=255),
        (1, 172) => is_private(*other) == is_private(own),
        (1, 100) => is_shared(*other) == is_shared(own),
        (1, 169) => *other != 254,
        (1, 192) => *other != 168,
        _ => true,
    };
    let range = match own {
        0..=9 => 0..=9,
        10..=99 => 10..=99,
        100..=255 => 100..=255,
    };
    let class: Vec<u8> = range.filter(fits).collect();
    let Some(position) = class.iter().position(|other| *other == own) else { return own };
    if class.len() < 2 {
        return own;
    }
    class.get(chain.other_of(class.len(), position)).copied().unwrap_or(own)
}

/// Another segment of an IPv6 address with as many digits; the first ones may stay.
fn other_segment(own: u16, kept_digits: usize, chain: &mut Chain) -> u16 {
    let text = format!("{own:x}");
    let mut other = String::new();
    for (index, letter) in text.chars().enumerate() {
        let digit = letter.to_digit(16).unwrap_or(0) as usize;
        let shown = if index < kept_digits || own == 0 {
            digit
        } else if index == 0 {
            1 + chain.other_of(15, digit.saturating_sub(1))
        } else {
            chain.other_of(16, digit)
        };
        chain.take(&[b'0' + digit as u8]);
        other.extend(char::from_digit(shown as u32, 16));
    }
    chain.take(b":");
    u16::from_str_radix(&other, 16).unwrap_or(own)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pseudonyms() -> Pseudonyms {
        Pseudonyms::new([7; 32], &[Replaced::Numbers, Replaced::Addresses, Replaced::Names])
    }

    #[test]
    fn a_number_becomes_another_of_the_same_shape_and_area_codes_stay_together() {
        let pseudonyms = pseudonyms();
        let (one, other) = (pseudonyms.number("+15555550123"), pseudonyms.number("+15555550199"));
        assert_eq!(one.len(), 12);
        assert_eq!(one[..10], other[..10]);
        assert_ne!(one[10..], other[10..]);
        assert_eq!(pseudonyms.number("15555550123"), one[1..]);
        assert_eq!(pseudonyms.number("+1 555 555-0123").replace([' ', '-'], ""), one);
        assert!("+15555550123".chars().zip(one.chars()).skip(1).all(|(own, shown)| own != shown));
    }

    #[test]
    fn no_two_values_become_one() {
        let pseudonyms = pseudonyms();
        let numbers: std::collections::BTreeSet<String> =
            (0..3000).map(|number| pseudonyms.number(&format!("{number:04}"))).collect();
        assert_eq!(numbers.len(), 3000);
        let addresses: std::collections::BTreeSet<IpAddr> =
            (0..=255).map(|octet| pseudonyms.address(Ipv4Addr::new(198, 51, 100, octet).into())).collect();
        assert_eq!(addresses.len(), 256);
    }

    #[test]
    fn addresses_stay_of_their_kind_and_of_their_length() {
        let pseudonyms = pseudonyms();
        for text in ["10.1.2.3", "192.168.1.77", "172.20.0.9", "100.64.1.1", "198.51.100.20", "172.40.1.1", "8.8.8.8"] {
            let own: Ipv4Addr = text.parse().unwrap();
            let other = pseudonyms.version4(own);
            assert_ne!(own, other);
            assert_eq!(own.is_private(), other.is_private(), "{own} {other}");
            assert_eq!(other.to_string().len(), text.len(), "{own} {other}");
        }
        for text in ["127.0.0.1", "0.0.0.0", "239.1.1.1", "255.255.255.255"] {
            assert_eq!(pseudonyms.version4(text.parse().unwrap()).to_string(), text);
        }
        let own: Ipv6Addr = "2001:db8::17".parse().unwrap();
        let other = pseudonyms.version6(own);
        assert_ne!(own, other);
        assert_eq!(other.to_string().len(), own.to_string().len());
        assert!(pseudonyms.version6("fe80::1:2".parse().unwrap()).to_string().starts_with("fe80::"));
    }

    #[test]
    fn hosts_of_one_domain_stay_together() {
        let pseudonyms = pseudonyms();
        let (one, other) = (pseudonyms.host("pbx.example.net"), pseudonyms.host("sbc.example.net"));
        assert_eq!(one.split_once('.').unwrap().1, other.split_once('.').unwrap().1);
        assert!(one.ends_with(".net") && !one.contains("example"));
        assert_eq!(pseudonyms.host("example.net"), one.split_once('.').unwrap().1);
    }

    #[test]
    fn another_key_gives_other_pseudonyms() {
        let other = Pseudonyms::new([8; 32], &[Replaced::Numbers]);
        assert_ne!(pseudonyms().number("4917055512345"), other.number("4917055512345"));
        assert_eq!(other.name("alice"), "alice");
    }
}
