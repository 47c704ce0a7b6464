//! Capture agents whose clock jumps: the run goes on, says so, stays small, and explains every call.

mod listening;

use std::net::UdpSocket;
use std::thread;
use std::time::{Duration, SystemTime};

use serde_json::Value;
use sipwhy::capture::Timestamp;
use sipwhy::net::{HepRecord, Path, RecordOf, Transport};

use listening::Listening;

const HOUR: i64 = 3_600_000_000_000;
/// A day that is over.
const REPLAYED: Timestamp = Timestamp(1_772_442_000_000_000_000);

/// A call that is refused, as an agent copies it whose clock shows `times` at its INVITE, its 486 and its ACK.
fn refused(number: u32, times: [Timestamp; 3]) -> Vec<Vec<u8>> {
    let there = Path {
        source: "192.0.2.10:5060".parse().unwrap(),
        destination: "192.0.2.20:5060".parse().unwrap(),
        transport: Transport::Udp,
    };
    let says = [
        ("INVITE sip:bob@example.com SIP/2.0", "", "INVITE", there),
        ("SIP/2.0 486 Busy Here", ";tag=2", "INVITE", there.reversed()),
        ("ACK sip:bob@example.com SIP/2.0", ";tag=2", "ACK", there),
    ];
    let copy = |((start, tag, method, path), time): ((&str, &str, &str, Path), Timestamp)| {
        let text = format!(
            "{start}\r\nVia: SIP/2.0/UDP 192.0.2.10;branch=z9hG4bK{number}\r\nFrom: <sip:alice@example.com>;tag=1\r\n\
             To: <sip:bob@example.com>{tag}\r\nCall-ID: call-{number}@example.com\r\nCSeq: 1 {method}\r\n\
             Max-Forwards: 70\r\nContact: <sip:192.0.2.10>\r\nContent-Length: 0\r\n\r\n"
        );
        let record =
            HepRecord { of: RecordOf::Sip, path, time, correlation: None, key: None, payload: text.as_bytes() };
        record.bytes().unwrap()
    };
    says.into_iter().zip(times).map(copy).collect()
}

/// All at one moment.
fn at(time: Timestamp) -> [Timestamp; 3] {
    [0, 10, 12].map(|milliseconds| shifted(time, milliseconds * 1_000_000))
}

fn shifted(time: Timestamp, by: i64) -> Timestamp {
    Timestamp(time.0 + by)
}

fn now() -> Timestamp {
    let since_epoch = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
    Timestamp::from_parts(since_epoch.as_secs().try_into().unwrap(), since_epoch.subsec_nanos().into())
}

/// A run that ends when it has heard these calls.
fn listen(calls: usize) -> (Listening, UdpSocket) {
    let count = (3 * calls).to_string();
    let options = ["--hep-listen", "127.0.0.1:0", "--format", "json", "-c", &count];
    (Listening::start(&options, &[]), UdpSocket::bind("127.0.0.1:0").unwrap())
}

fn send(listening: &Listening, udp: &UdpSocket, copies: &[Vec<u8>]) {
    for copy in copies {
        udp.send_to(copy, &listening.address).unwrap();
        thread::sleep(Duration::from_millis(1));
    }
}

/// How often something odd was noted of the run.
fn noted(report: &Value, kind: &str) -> u64 {
    let oddities = report["inputs"][0]["oddities"].as_array().unwrap();
    oddities.iter().filter(|it| it["kind"] == kind).map(|it| it["count"].as_u64().unwrap()).sum()
}

/// Each call is there once, and its cause is found.
fn explains_each(report: &Value, calls: usize) {
    let told = report["calls"].as_array().unwrap();
    let outcomes: Vec<_> = told.iter().map(|call| (&call["call_ids"][0], &call["outcome"], &call["cause"])).collect();
    assert_eq!(told.len(), calls, "{outcomes:?}");
    for call in told {
        assert_eq!((&call["outcome"], &call["cause"]), (&"busy".into(), &"callee-busy".into()), "{outcomes:?}");
    }
}

#[test]
fn what_is_replayed_from_other_days_is_judged_by_the_times_of_each() {
    let (listening, udp) = listen(4);
    for (number, by) in (0..).zip([0, -5, 3, -20]) {
        send(&listening, &udp, &refused(number, at(shifted(REPLAYED, by * HOUR))));
        thread::sleep(Duration::from_millis(100));
    }
    let report = listening.report();
    explains_each(&report, 4);
    let started: Vec<&str> =
        report["calls"].as_array().unwrap().iter().map(|call| call["started"].as_str().unwrap()).collect();
    let mut hours: Vec<&str> = started.iter().map(|time| &time[..13]).collect();
    hours.sort_unstable();
    assert_eq!(hours, ["2026-03-01T13", "2026-03-02T04", "2026-03-02T09", "2026-03-02T12"]);
    assert_eq!(noted(&report, "clock-set"), 2, "it went back twice; ahead of it nothing happened");
}

#[test]
fn a_clock_that_is_put_back_within_a_call_does_not_end_it() {
    let (listening, udp) = listen(2);
    let back = |milliseconds: i64| shifted(REPLAYED, milliseconds * 1_000_000 - 5 * HOUR);
    let [invite, rest @ ..] = &refused(1, [REPLAYED, back(2000), back(2010)])[..] else { panic!("three") };
    send(&listening, &udp, std::slice::from_ref(invite));
    // What waits is looked at, and must not be found to have waited for hours.
    thread::sleep(Duration::from_millis(300));
    send(&listening, &udp, rest);
    thread::sleep(Duration::from_millis(300));
    send(&listening, &udp, &refused(2, at(back(3000))));
    let report = listening.report();
    explains_each(&report, 2);
    assert_eq!(noted(&report, "clock-set"), 1);
}

#[test]
fn an_agent_whose_clock_jumps_by_hours_does_not_disturb_what_is_live() {
    const CALLS: usize = 300;
    let (listening, udp) = listen(CALLS);
    send(&listening, &udp, &refused(0, at(now())));
    for number in 1..u32::try_from(CALLS).unwrap() - 1 {
        let by = [5, -5, -1, 24, 0][number as usize % 5];
        let told = shifted(now(), by * HOUR);
        // In every third call between its messages.
        let times = if number % 3 == 0 { [now(), told, now()] } else { at(told) };
        send(&listening, &udp, &refused(number, times));
    }
    #[cfg(target_os = "linux")]
    {
        let status = std::fs::read_to_string(format!("/proc/{}/status", listening.id())).unwrap();
        let most = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
        let kilobytes: u64 = most.trim().trim_end_matches(" kB").parse().unwrap();
        assert!(kilobytes < 128 << 10, "{kilobytes} kB");
    }
    let begun = now();
    send(&listening, &udp, &refused(u32::try_from(CALLS).unwrap() - 1, at(begun)));
    let report = listening.report();
    explains_each(&report, CALLS);
    assert_eq!(noted(&report, "clock-set"), 0);
    // Three hours ahead or behind out of five, in each call three copies or one.
    assert!(noted(&report, "timestamp-out-of-range") > 300, "{}", report["inputs"]);
}
