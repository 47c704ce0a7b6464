//! Small pieces of sentences that many rules share.

use std::borrow::Cow;
use std::net::IpAddr;
use std::time::Duration;

use crate::call::{Guessing, Heard};
use crate::net::{IcmpCode, Path};
use crate::sip::StatusCode;

/// A length of time as people say it: `240 ms`, `3.9 s`, `32 s`, `4 min 12 s`, `5 h 20 min`, `907 days`.
pub(crate) fn length(duration: Duration) -> String {
    let milliseconds = duration.as_millis();
    match milliseconds {
        0 => format!("{:.1} ms", duration.as_secs_f64() * 1000.0),
        1..=999 => format!("{milliseconds} ms"),
        1000..=9_999 => format!("{:.1} s", duration.as_secs_f64()),
        10_000..=119_999 => format!("{:.0} s", duration.as_secs_f64()),
        172_800_000.. => format!("{} days", (duration.as_secs() + 43_200) / 86_400),
        10_800_000.. => match (duration.as_secs() / 3600, duration.as_secs() / 60 % 60) {
            (hours, 0) => format!("{hours} h"),
            (hours, minutes) => format!("{hours} h {minutes} min"),
        },
        _ => match (duration.as_secs() / 60, duration.as_secs() % 60) {
            (minutes, 0) => format!("{minutes} min"),
            (minutes, seconds) => format!("{minutes} min {seconds} s"),
        },
    }
}

/// The name of the layer that has the ports of a message, as fields of packets begin with it.
pub(crate) fn layer(heard: &Heard) -> &'static str {
    if heard.path.transport.is_reliable() { "tcp" } else { "udp" }
}

/// The field of packets that holds the address they come from.
pub(crate) fn source_field(address: IpAddr) -> &'static str {
    if address.is_ipv4() { "ip.src" } else { "ipv6.src" }
}

/// The field of packets that holds the address they go to.
pub(crate) fn destination_field(address: IpAddr) -> &'static str {
    if address.is_ipv4() { "ip.dst" } else { "ipv6.dst" }
}

/// What an ICMP error says.
pub(crate) fn icmp_name(what: IcmpCode) -> &'static str {
    what.name().unwrap_or("destination unreachable")
}

/// `a`, `a and b`, `a, b and c`; of many the first eight and how many more.
pub(crate) fn list<T: AsRef<str>>(items: &[T]) -> String {
    const MOST: usize = 8;
    let mut words: Vec<&str> = items.iter().take(MOST).map(AsRef::as_ref).collect();
    let more = format!("{} more", items.len().saturating_sub(MOST));
    if items.len() > MOST {
        words.push(&more);
    }
    match words.split_last() {
        None => "none".into(),
        Some((only, [])) => (*only).to_owned(),
        Some((last, before)) => format!("{} and {last}", before.join(", ")),
    }
}

/// `once`, `twice`, `3 times`.
pub(crate) fn times(count: u32) -> String {
    match count {
        1 => "once".into(),
        2 => "twice".into(),
        count => format!("{count} times"),
    }
}

/// The same sentence with a capital letter.
pub(crate) fn sentence(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map(|first| first.to_uppercase().chain(letters).collect()).unwrap_or_default()
}

/// `1 copy`, `3 copies`.
pub(crate) fn counted(count: u64, one: &str, many: &str) -> String {
    if count == 1 { format!("1 {one}") } else { format!("{count} {many}") }
}

/// True if two steps share more than half of the words of the shorter one.
pub(crate) fn says_the_same(one: &str, other: &str) -> bool {
    let (one, other) = (words_of(one), words_of(other));
    let fewer = one.len().min(other.len());
    let shared = || one.iter().filter(|word| other.binary_search(word).is_ok()).count();
    fewer >= 4 && shared() * 2 > fewer
}

/// The words of a text that say something, without addresses and small words, in order.
fn words_of(text: &str) -> Vec<Cow<'_, str>> {
    let words = text.split(|letter: char| !letter.is_alphanumeric() && letter != '-');
    let telling = words.filter(|word| word.len() > 3 && word.chars().any(char::is_alphabetic));
    let lower = |word| match str::chars(word).all(|letter| letter.is_ascii_lowercase() || letter == '-') {
        true => Cow::Borrowed(word),
        false => Cow::Owned(word.to_lowercase()),
    };
    let mut words: Vec<Cow<'_, str>> = telling.map(lower).collect();
    words.sort_unstable();
    words.dedup();
    words
}

/// The command that captures what passes a host, fragments included, on the port that it was asked on; and every ICMP
/// error, for a router on the way sends it in its own name.
pub(crate) fn capture_at(host: IpAddr, path: Path) -> String {
    let port = if path.destination.ip() == host { path.destination.port() } else { path.source.port() };
    let (errors, fragments) = match host {
        IpAddr::V4(_) => ("icmp", "(ip[6:2] & 0x1fff != 0)"),
        IpAddr::V6(_) => ("icmp6", "ip6[6] == 44"),
    };
    let carried = match path.transport.is_reliable() {
        true => format!("tcp port {port}"),
        false => format!("(udp port {port} or {fragments})"),
    };
    format!("tcpdump -i any -s0 -w next.pcap '{errors} or (host {host} and {carried})'")
}

/// The account whose secret may have been guessed, as a fix names it.
pub(crate) fn guessed_account(source: IpAddr, known: &Guessing) -> String {
    match known.user() {
        Some(user) => format!("account \"{user}\""),
        None => format!("the account that {source} got in with"),
    }
}

/// True for addresses that are not routed on the public Internet (RFC 1918, RFC 6598, RFC 3927, RFC 4193, RFC 4291).
pub(crate) fn is_private(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => {
            let [first, second, ..] = address.octets();
            address.is_private() || address.is_link_local() || (first == 100 && (64..128).contains(&second))
        }
        IpAddr::V6(address) => address.is_unique_local() || address.is_unicast_link_local(),
    }
}

/// A range of private addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Network {
    /// 10/8.
    Ten,
    /// 172.16/12.
    Sixteen,
    /// 192.168/16.
    Home,
    /// 100.64/10 (RFC 6598).
    CarrierGrade,
    /// 169.254/16 and fe80::/10.
    LinkLocal,
    /// fc00::/7.
    UniqueLocal,
}

/// The range of a private address: within one of them there may be routes, and nothing is said.
pub(crate) fn network_of(address: IpAddr) -> Option<Network> {
    if !is_private(address) {
        return None;
    }
    Some(match address {
        IpAddr::V4(address) => match address.octets()[0] {
            10 => Network::Ten,
            172 => Network::Sixteen,
            192 => Network::Home,
            100 => Network::CarrierGrade,
            _ => Network::LinkLocal,
        },
        IpAddr::V6(address) if address.is_unique_local() => Network::UniqueLocal,
        IpAddr::V6(_) => Network::LinkLocal,
    })
}

/// True of a 180: of the provisional responses only it says that a device rings (RFC 3261 §21.1.2). A 183 may go with
/// an announcement.
pub(crate) fn alerts(provisional: &Heard) -> bool {
    provisional.message.status().map(StatusCode::get) == Some(180)
}

/// What a provisional response shows, as a claim says it.
pub(crate) fn shows(provisional: &Heard) -> &'static str {
    match alerts(provisional) {
        true => "the callee's side rings",
        false => "the call goes on, and it does not say that it rings",
    }
}

/// Its code with its article: `a 183`, `a 180`.
pub(crate) fn a_code(provisional: &Heard) -> String {
    format!("a {}", provisional.message.status().map_or(0, StatusCode::get))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_read_as_people_say_them() {
        let said = |milliseconds| length(Duration::from_millis(milliseconds));
        assert_eq!(said(600_000), "10 min");
        assert_eq!([said(19_200_000), said(10_800_000), said(78_361_740_000)], ["5 h 20 min", "3 h", "907 days"]);
        assert_eq!([said(240), said(3_870), said(32_000), said(252_000)], ["240 ms", "3.9 s", "32 s", "4 min 12 s"]);
    }

    #[test]
    fn lists_end_with_and() {
        assert_eq!((list(&["a"]), list(&["a", "b", "c"])), ("a".to_owned(), "a, b and c".to_owned()));
    }

    #[test]
    fn carrier_grade_addresses_are_private() {
        let private = |text: &str| is_private(text.parse().unwrap());
        assert_eq!(
            [private("100.64.0.1"), private("100.128.0.1"), private("fd00::1"), private("192.0.2.1")],
            [true, false, true, false]
        );
    }
}
