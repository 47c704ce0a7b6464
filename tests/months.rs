//! A run that lasts for months: what is known of the surroundings stops growing, and goes on learning.

use sipwhy::analysis::Analysis;
use sipwhy::call::Wanted;
use sipwhy::capture::{Place, SourceId, Timestamp};
use sipwhy::net::{Path, Transport};

/// Phones that register again each minute.
const PHONES: u64 = 30;
/// Phones that register once, each minute others.
const PASSERS_BY: u64 = 20;

/// Phones that register every minute, each from an address of its own.
const MANY_PHONES: u64 = 100;

/// Calls in each second of a flood.
const CALLS_A_SECOND: u64 = 12;

/// Feeds messages, as an interface gives them.
struct Feed {
    analysis: Analysis,
    frame: u64,
    /// Nanoseconds.
    now: i64,
}

impl Feed {
    fn new() -> Feed {
        let analysis = Analysis::new(sipwhy::analysis::Limits::default(), Wanted::Troubled);
        Feed { analysis, frame: 0, now: 1_800_000_000_000_000_000 }
    }

    fn say(&mut self, from: &str, to: &str, text: &str) {
        self.frame += 1;
        self.now += 1_000_000;
        let path = Path { source: from.parse().unwrap(), destination: to.parse().unwrap(), transport: Transport::Udp };
        let place = Place { time: Timestamp(self.now), source: SourceId::default(), frame: self.frame, index: 0 };
        self.analysis.message(text.as_bytes(), path, place);
        while self.analysis.next_event().is_some() {}
    }

    /// A request and its response.
    fn ask(&mut self, client: &str, start: &str, answer: &str, cseq: &str, user: &str, more: &str) {
        let call_id = self.frame;
        let said = |line: &str, tag: &str| {
            format!(
                "{line}\r\nVia: SIP/2.0/UDP {client};branch=z9hG4bK{call_id}\r\nMax-Forwards: 70\r\n\
                 From: <sip:{user}@example.com>;tag=a{call_id}\r\nTo: <sip:{user}@example.com>{tag}\r\n\
                 Call-ID: {call_id}@{client}\r\nCSeq: {cseq}\r\n{more}Content-Length: 0\r\n\r\n"
            )
        };
        self.say(client, "192.0.2.1:5060", &said(start, ""));
        self.say("192.0.2.1:5060", client, &said(answer, ";tag=b"));
    }

    fn register(&mut self, user: &str, client: &str) {
        let nonce = self.frame;
        let more = format!(
            "Contact: <sip:{user}@{client}>;expires=3600\r\nAuthorization: Digest username=\"{user}\", realm=\"r\", \
             nonce=\"{nonce}\", uri=\"sip:example.com\", response=\"0123456789abcdef0123456789abcdef\", nc=00000001\r\n"
        );
        self.ask(client, "REGISTER sip:example.com SIP/2.0", "SIP/2.0 200 OK", "1 REGISTER", user, &more);
    }

    /// One minute: phones register, from other ports than before, and a server asks to be left alone.
    fn minute(&mut self, minute: u64) {
        let begun = self.now;
        for phone in 0..PHONES {
            self.register(&format!("phone{phone}"), &format!("198.51.100.{phone}:{}", 1024 + minute % 60_000));
        }
        for one in 0..PASSERS_BY {
            self.register(&passer_by(minute, one), &format!("203.0.113.{one}:{}", 1024 + minute % 60_000));
        }
        let more = "Retry-After: 30\r\n";
        let refused = "SIP/2.0 503 Service Unavailable";
        self.ask("198.51.100.1:5060", "INVITE sip:bob@example.com SIP/2.0", refused, "1 INVITE", "bob", more);
        self.now = begun + 60_000_000_000;
        self.analysis.advance(Timestamp(self.now));
    }

    /// One minute in which each of many phones registers once more, with a new Call-ID.
    fn minute_of_phones(&mut self) {
        let begun = self.now;
        for phone in 0..MANY_PHONES {
            self.register(&format!("phone{phone}"), &format!("198.51.100.{phone}:5060"));
        }
        self.now = begun + 60_000_000_000;
        self.analysis.advance(Timestamp(self.now));
    }

    /// One second of a flood: calls from many addresses to some, each taken or refused, and ended.
    fn second_of_flood(&mut self, second: u64) {
        let begun = self.now;
        for call in 0..CALLS_A_SECOND {
            // A row that comes back only after very long.
            let turn = second * CALLS_A_SECOND + call;
            let caller = turn.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 32;
            let client = format!("198.51.100.{}:{}", caller % 50, 1024 + turn % 60_000);
            let server = format!("203.0.113.{}:5060", (caller >> 8) % 10);
            let number = (caller >> 16) % 10_000;
            let said = |line: &str, branch: &str, tag: &str, cseq: &str| {
                format!(
                    "{line}\r\nVia: SIP/2.0/UDP {client};branch=z9hG4bK{branch}{turn}\r\nMax-Forwards: 70\r\n\
                     From: <sip:{caller}@example.com>;tag=a{turn}\r\nTo: <sip:{number}@example.com>{tag}\r\n\
                     Call-ID: {turn}@{client}\r\nCSeq: {cseq}\r\nContact: <sip:{caller}@{client}>\r\nContent-Length: 0\r\n\r\n"
                )
            };
            let to = |method: &str| format!("{method} sip:{number}@{server} SIP/2.0");
            self.say(&client, &server, &said(&to("INVITE"), "i", "", "1 INVITE"));
            if turn.is_multiple_of(3) {
                self.say(&server, &client, &said("SIP/2.0 486 Busy Here", "i", ";tag=b", "1 INVITE"));
                self.say(&client, &server, &said(&to("ACK"), "i", ";tag=b", "1 ACK"));
            } else {
                self.say(&server, &client, &said("SIP/2.0 200 OK", "i", ";tag=b", "1 INVITE"));
                self.say(&client, &server, &said(&to("ACK"), "k", ";tag=b", "1 ACK"));
                self.say(&client, &server, &said(&to("BYE"), "e", ";tag=b", "2 BYE"));
                self.say(&server, &client, &said("SIP/2.0 200 OK", "e", ";tag=b", "2 BYE"));
            }
        }
        self.now = begun + 1_000_000_000;
        self.analysis.advance(Timestamp(self.now));
    }

    /// Bytes of all that is known of the surroundings, written down.
    fn known(&self) -> usize {
        serde_json::to_vec(self.analysis.surroundings()).unwrap().len()
    }

    /// The same of each table.
    fn parts(&self) -> Vec<(String, usize)> {
        let known = serde_json::to_value(self.analysis.surroundings()).unwrap();
        let mut parts = Vec::new();
        for (name, part) in known.as_object().unwrap() {
            match part.as_object() {
                Some(inner) => {
                    parts.extend(inner.iter().map(|(of, part)| (format!("{name}.{of}"), part.to_string().len())))
                }
                None => parts.push((name.clone(), part.to_string().len())),
            }
        }
        parts.retain(|(_, bytes)| *bytes > 10_000);
        parts
    }

    fn knows(&self, user: &str) -> bool {
        self.analysis.surroundings().registrations().of(user, "example.com").is_some()
    }
}

fn passer_by(minute: u64, one: u64) -> String {
    format!("guest{minute}x{one}")
}

#[test]
fn what_is_known_of_the_surroundings_stops_growing_and_stays_new() {
    let mut feed = Feed::new();
    feed.analysis.run_for_ever();
    let hours = [4, 8, 16];
    let mut sizes = Vec::new();
    for minute in 0..=16 * 60 {
        feed.minute(minute);
        if hours.iter().any(|hour| minute == hour * 60) {
            sizes.push(feed.known());
        }
    }
    let (least, most) = (sizes.iter().min().unwrap(), sizes.iter().max().unwrap());
    assert!(most - least <= least / 50, "it grows: {sizes:?} bytes after {hours:?} hours");
    assert!(feed.knows(&passer_by(16 * 60, 0)), "who registers now is known");
    assert!(!feed.knows(&passer_by(0, 0)), "who was last seen half a day ago is not");
    assert!(feed.knows("phone0"));
}

/// Lives through minutes, each of which tells its bytes and what they are of, and holds that at these they are as many.
fn stays_as_large<P: std::fmt::Debug>(minutes: [u64; 4], mut live_through: impl FnMut(u64) -> (usize, P)) {
    let seen: Vec<(usize, P)> = (0..=minutes[3])
        .map(&mut live_through)
        .enumerate()
        .filter(|(minute, _)| minutes.contains(&(*minute as u64)))
        .map(|(_, seen)| seen)
        .collect();
    let sizes: Vec<usize> = seen.iter().map(|(size, _)| *size).collect();
    let (least, most) = (sizes.iter().min().unwrap(), sizes.iter().max().unwrap());
    assert!(most - least <= least / 20, "it grows: {sizes:?} bytes after {minutes:?} minutes: {seen:#?}");
}

#[test]
fn an_hour_of_flood_takes_no_more_than_ten_minutes_of_it() {
    let mut feed = Feed::new();
    feed.analysis.run_for_ever();
    stays_as_large([10, 20, 40, 60], |minute| {
        (60 * minute..60 * (minute + 1)).for_each(|second| feed.second_of_flood(second));
        (feed.known(), feed.parts())
    });
}

#[test]
fn phones_that_register_for_hours_take_no_more_than_in_the_first_minutes() {
    let mut feed = Feed::new();
    feed.analysis.run_for_ever();
    stays_as_large([20, 40, 80, 120], |_| {
        feed.minute_of_phones();
        (feed.known(), feed.parts())
    });
}

#[test]
fn a_run_with_an_end_forgets_nothing() {
    let mut feed = Feed::new();
    let mut sizes = Vec::new();
    for minute in 0..=8 * 60 {
        feed.minute(minute);
        if minute == 4 * 60 || minute == 8 * 60 {
            sizes.push(feed.known());
        }
    }
    assert!(sizes[1] > sizes[0] * 3 / 2, "{sizes:?}");
    assert!(feed.knows(&passer_by(0, 0)));
}
