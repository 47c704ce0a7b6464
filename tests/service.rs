//! The program beside others: capture agents, a HEP server, Prometheus, Alertmanager, on loopback.

mod listening;

use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::path::PathBuf;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;
use sipwhy::capture::Timestamp;
use sipwhy::net::{HepRecord, Maker, Path, RecordOf, Transport};
use sipwhy::story::Story;
use tempfile::TempDir;

use listening::{Listening, sipwhy};

/// A request of its own Call-ID, from one of our hosts to another, as an agent copies it.
fn options(number: u32, key: Option<&[u8]>) -> Vec<u8> {
    let text = format!(
        "OPTIONS sip:bob@example.com SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.10;branch=z9hG4bK{number}\r\n\
         From: <sip:alice@example.com>;tag=1\r\nTo: <sip:bob@example.com>\r\nCall-ID: copy-{number}@example.com\r\n\
         CSeq: 1 OPTIONS\r\nMax-Forwards: 70\r\nContent-Length: 0\r\n\r\n"
    );
    record(&text, "192.0.2.20:5060", number, key)
}

/// A copy of a message that 192.0.2.10 sent, in the second of its number.
fn record(text: &str, to: &str, number: u32, key: Option<&[u8]>) -> Vec<u8> {
    let path = Path {
        source: "192.0.2.10:5060".parse().unwrap(),
        destination: to.parse().unwrap(),
        transport: Transport::Udp,
    };
    let time = Timestamp::from_parts(1_772_442_000 + i64::from(number), 0);
    let payload = text.as_bytes();
    HepRecord { of: RecordOf::Sip, path, time, correlation: None, key, payload }.bytes().unwrap()
}

/// Versions 1 and 2, which have a fixed header, and their time in the byte order of the agent.
fn old_copies() -> [Vec<u8>; 2] {
    let bytes = |number: u32| {
        let record = options(number, None);
        let at = record.windows(7).position(|window| window == b"OPTIONS").unwrap();
        record[at..].to_vec()
    };
    let head = |length: u8| [length, 2, 17, 0x13, 0xC4, 0x13, 0xC4, 192, 0, 2, 10, 192, 0, 2, 20];
    let time = [&(1_772_442_000_u32 + 9).to_le_bytes()[..], &0_u32.to_le_bytes(), &[1, 0, 0, 0]].concat();
    [[&[1][..], &head(16), &bytes(8)].concat(), [&[2][..], &head(16), &time, &bytes(9)].concat()]
}

fn of_input<'a>(report: &'a Value, key: &str) -> &'a Value {
    &report["inputs"][0][key]
}

fn refused(report: &Value) -> u64 {
    let oddities = of_input(report, "oddities").as_array().unwrap();
    oddities.iter().filter(|it| it["kind"] == "refused-copy").map(|it| it["count"].as_u64().unwrap()).sum()
}

#[test]
fn agents_are_heard_over_udp_and_tcp_in_every_version() {
    let listening = Listening::start(&["--hep-listen", "127.0.0.1:0", "--format", "json", "-c", "7"], &[]);
    let udp = UdpSocket::bind("127.0.0.1:0").unwrap();
    udp.send_to(&options(1, None), &listening.address).unwrap();
    for copy in old_copies() {
        udp.send_to(&copy, &listening.address).unwrap();
    }
    let mut tcp = TcpStream::connect(&listening.address).unwrap();
    let copies: Vec<u8> = (2..6).flat_map(|number| options(number, None)).collect();
    // Cut where no packet ends.
    let (first, second) = copies.split_at(700);
    tcp.write_all(first).unwrap();
    thread::sleep(Duration::from_millis(50));
    tcp.write_all(second).unwrap();
    let report = listening.report();
    assert_eq!(of_input(&report, "sip_messages"), 7);
    assert_eq!(of_input(&report, "format"), "hep");
    let calls = report["calls"].as_array().unwrap();
    let call_ids: Vec<&str> = calls.iter().map(|call| call["call_ids"][0].as_str().unwrap()).collect();
    for number in [1, 2, 3, 4, 5, 8, 9] {
        assert!(call_ids.contains(&format!("copy-{number}@example.com").as_str()), "{number} of {call_ids:?}");
    }
    assert_eq!(calls[0]["legs"][0]["from_addr"], "192.0.2.10:5060");
}

#[test]
fn without_the_key_nothing_is_taken() {
    let key = [("SIPWHY_HEP_KEY", "right")];
    let listening = Listening::start(&["--hep-listen", "127.0.0.1:0", "--format", "json", "-c", "2"], &key);
    let udp = UdpSocket::bind("127.0.0.1:0").unwrap();
    for packet in [options(1, None), options(2, Some(b"wrong")), options(3, Some(b"rightly")), old_copies()[1].clone()]
    {
        udp.send_to(&packet, &listening.address).unwrap();
    }
    let mut tcp = TcpStream::connect(&listening.address).unwrap();
    tcp.write_all(&[options(4, Some(b"righ")), options(5, Some(b"right"))].concat()).unwrap();
    thread::sleep(Duration::from_millis(300));
    udp.send_to(&options(6, Some(b"right")), &listening.address).unwrap();
    let report = listening.report();
    assert_eq!((of_input(&report, "sip_messages").as_u64(), refused(&report)), (Some(2), 5));
    let text = report.to_string();
    assert!(text.contains("copy-5@") && text.contains("copy-6@") && !text.contains("copy-2@"), "{text}");
}

#[test]
fn who_sends_something_else_is_hung_up_on_and_others_are_heard() {
    let listening = Listening::start(&["--hep-listen", "127.0.0.1:0", "--format", "json", "-c", "1"], &[]);
    let mut stranger = TcpStream::connect(&listening.address).unwrap();
    stranger.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    stranger.write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
    // An end, or a reset because what was sent was not read to its end.
    let heard = stranger.read(&mut [0; 16]);
    assert!(!matches!(heard, Ok(1..)), "{heard:?}");
    let udp = UdpSocket::bind("127.0.0.1:0").unwrap();
    udp.send_to(b"no copy", &listening.address).unwrap();
    thread::sleep(Duration::from_millis(100));
    TcpStream::connect(&listening.address).unwrap().write_all(&options(1, None)).unwrap();
    let report = listening.report();
    assert_eq!((of_input(&report, "sip_messages").as_u64(), refused(&report)), (Some(1), 2));
}

#[test]
fn what_is_forwarded_gives_the_same_report_where_it_arrives() {
    for fixture in
        ["trunk-congested", "server-overloaded", "credentials-rejected", "number-not-routable", "callee-busy"]
    {
        let capture = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("fixtures").join(fixture).join("capture.pcap");
        for by in ["tcp:", ""] {
            let (here, there) = forwarded(&capture, by, &[]);
            for part in ["summary", "incidents", "calls", "notes"] {
                assert_eq!(here[part], there[part], "{part} of {fixture} over {by}");
            }
        }
    }
}

/// The reports of who reads a capture and forwards it, and of who gets it, who reads as much ahead as the other does.
fn forwarded(capture: &PathBuf, by: &str, key: &[(&str, &str)]) -> (Value, Value) {
    let counted = sipwhy().arg(capture).args(["--format", "json"]).output().unwrap();
    let here: Value = serde_json::from_slice(&counted.stdout).unwrap();
    let messages = of_input(&here, "sip_messages").to_string();
    let options = ["--hep-listen", "127.0.0.1:0", "--format", "json", "-c", &messages];
    let listening = Listening::start(&options, key);
    let target = format!("{by}{}", listening.address);
    let mut forwarding = sipwhy();
    forwarding.envs(key.iter().copied()).arg(capture).args(["--format", "json", "--hep-send", &target]);
    let sent = forwarding.output().unwrap();
    assert!(sent.status.success(), "{}", String::from_utf8_lossy(&sent.stderr));
    assert_eq!(sent.stdout, counted.stdout, "the report does not depend on whether it is forwarded");
    (here, listening.report())
}

/// Two calls, one of which is refused for a lack of channels.
const TWO_CALLS: &str = "\
# One call is refused, one goes well.
pbx 203.0.113.5:5060
carrier 198.51.100.10:5060

0.000  pbx -> carrier  INVITE sip:+4930555010@example.com
0.040  carrier -> pbx  503 Service Unavailable
                       Reason: Q.850;cause=34;text=\"no circuit available\"
0.042  pbx -> carrier  ACK
call second
1.000  pbx -> carrier  INVITE sip:+4930555011@example.com
1.100  carrier -> pbx  180 Ringing
2.000  carrier -> pbx  200 OK
2.100  pbx -> carrier  ACK
9.000  pbx -> carrier  BYE
9.100  carrier -> pbx  200 OK
end 40.0
";

fn capture_of(story: &str) -> (TempDir, PathBuf) {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("call.pcap");
    fs::write(&path, Story::parse(story).unwrap().capture()).unwrap();
    (folder, path)
}

/// The value of a chunk of a HEP3 packet.
fn chunk(packet: &[u8], wanted: u16) -> Option<&[u8]> {
    let mut rest = &packet[6..];
    while rest.len() >= 6 {
        let number = u16::from_be_bytes([rest[2], rest[3]]);
        let length = usize::from(u16::from_be_bytes([rest[4], rest[5]]));
        if number == wanted {
            return Some(&rest[6..length]);
        }
        rest = &rest[length..];
    }
    None
}

/// What a HEP server gets of a run: each packet.
fn received(capture: &PathBuf, options: &[&str]) -> Vec<Vec<u8>> {
    let server = TcpListener::bind("127.0.0.1:0").unwrap();
    let own = server.local_addr().unwrap();
    let target = format!("tcp:{own}");
    let reading = thread::spawn(move || {
        let mut bytes = Vec::new();
        server.accept().unwrap().0.read_to_end(&mut bytes).unwrap();
        bytes
    });
    let sent = sipwhy().arg(capture).args(options).args(["--hep-send", &target]).output().unwrap();
    assert!(sent.status.success(), "{}", String::from_utf8_lossy(&sent.stderr));
    // Who had nothing to send has not called.
    drop(TcpStream::connect(own));
    let bytes = reading.join().unwrap();
    let (mut packets, mut rest) = (Vec::new(), bytes.as_slice());
    while !rest.is_empty() {
        let length = usize::from(u16::from_be_bytes([rest[4], rest[5]]));
        let (packet, behind) = rest.split_at(length);
        packets.push(packet.to_vec());
        rest = behind;
    }
    packets
}

#[test]
fn a_server_gets_every_message_and_our_findings_with_their_call_id() {
    let (_folder, capture) = capture_of(TWO_CALLS);
    let packets = received(&capture, &[]);
    let of_kind = |kind: u8| packets.iter().filter(move |packet| chunk(packet, 11) == Some(&[kind]));
    assert_eq!(of_kind(1).count(), 9);
    let first = packets.first().unwrap();
    assert!(chunk(first, 15).unwrap().starts_with(b"INVITE sip:+4930555010@example.com"));
    assert_eq!(chunk(first, 3), Some(&[203, 0, 113, 5][..]));
    let call_id = {
        let text = String::from_utf8_lossy(chunk(first, 15).unwrap()).into_owned();
        text.lines().find_map(|line| line.strip_prefix("Call-ID: ").map(str::to_owned)).unwrap()
    };
    let logs: Vec<_> = of_kind(100).collect();
    assert_eq!(logs.len(), 1, "the call that went well has none");
    assert_eq!(chunk(logs[0], 17), Some(call_id.as_bytes()));
    let text = String::from_utf8_lossy(chunk(logs[0], 15).unwrap()).into_owned();
    assert!(text.contains("trunk-congested") && text.contains("proof: frame 2: "), "{text}");
    assert_eq!(chunk(logs[0], 9), chunk(first, 9), "in the second of the message that proves it");
}

#[test]
fn a_copy_that_was_itself_captured_is_not_forwarded() {
    // What a capture on the host of an agent shows: the agent's own packets.
    let agent = Path {
        source: "192.0.2.77:40000".parse().unwrap(),
        destination: "192.0.2.5:9060".parse().unwrap(),
        transport: Transport::Udp,
    };
    let mut pcap = [&[0xD4, 0xC3, 0xB2, 0xA1, 2, 0, 4, 0][..], &[0; 8], &[0xFF, 0xFF, 0, 0, 1, 0, 0, 0]].concat();
    for number in 0..3_u32 {
        let frame = Maker::default().frame(agent, &options(number, None)).unwrap();
        let length = u32::try_from(frame.len()).unwrap().to_le_bytes();
        pcap.extend([&(1_772_442_000 + number).to_le_bytes()[..], &[0; 4], &length, &length, &frame].concat());
    }
    let folder = TempDir::new().unwrap();
    let capture = folder.path().join("agent.pcap");
    fs::write(&capture, pcap).unwrap();
    let counted = sipwhy().arg(&capture).args(["--format", "json"]).output().unwrap();
    let report: Value = serde_json::from_slice(&counted.stdout).unwrap();
    assert_eq!(of_input(&report, "sip_messages"), 3, "they are read");
    let packets = received(&capture, &[]);
    assert!(packets.iter().all(|packet| chunk(packet, 11) == Some(&[100])), "and not sent again");
}

#[test]
fn of_chosen_calls_only_their_messages_are_forwarded() {
    let (_folder, capture) = capture_of(TWO_CALLS);
    let packets = received(&capture, &["--number", "555010"]);
    let payloads: Vec<_> = packets.iter().map(|it| String::from_utf8_lossy(chunk(it, 15).unwrap())).collect();
    assert_eq!(packets.iter().filter(|packet| chunk(packet, 11) == Some(&[1])).count(), 3, "{payloads:?}");
    assert!(payloads.iter().all(|payload| !payload.contains("555011")), "{payloads:?}");
}

#[test]
fn a_server_that_is_away_is_a_failure_of_output_with_files() {
    let (_folder, capture) = capture_of(TWO_CALLS);
    let nobody = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let ran = sipwhy().arg(&capture).args(["--hep-send", &format!("tcp:{nobody}")]).output().unwrap();
    let err = String::from_utf8_lossy(&ran.stderr);
    assert_eq!(ran.status.code(), Some(4), "{err}");
    assert!(err.contains("0 sent, 10 dropped"), "{err}");
    assert!(String::from_utf8_lossy(&ran.stdout).contains("503"), "the report is there all the same");
}

#[test]
fn what_cannot_be_is_refused_at_the_start() {
    let refused = |options: &[&str]| {
        let ran = sipwhy().args(options).output().unwrap();
        (ran.status.code(), String::from_utf8_lossy(&ran.stderr).into_owned())
    };
    let (_folder, capture) = capture_of(TWO_CALLS);
    let capture = capture.to_str().unwrap();
    for (options, why) in [
        (&["--hep-listen", "127.0.0.1:0", "-i", "lo"][..], "an input of its own"),
        (&["--hep-listen", "127.0.0.1:0", capture], "no file"),
        (&["--hep-listen", "127.0.0.1:0", "-f", "port 5060"], "no BPF filter"),
        (&["--hep-listen", "127.0.0.1:0", "--follow", capture], "an input of its own"),
        (&["stats", capture, "--metrics", "127.0.0.1:0"], "not for figures"),
        (&["decide", capture, "--hep-send", "127.0.0.1:9"], "not for decisions"),
        (&[capture, "--user", "nobody"], "--user is for"),
        (&[capture, "--allow-root"], "--allow-root is for"),
        (&["--hep-listen", "127.0.0.1"], "HOST:PORT"),
        (&["--hep-listen", "127.0.0.1:39060", "--hep-send", "127.0.0.1:39060"], "for ever"),
        (&[capture, "--hep-send", "127.0.0.1:9060", "--redact"], "--redact"),
        (&[capture, "--hep-send", "nowhere"], "HOST:PORT"),
        (&[capture, "--alert-webhook", "localhost:9093"], "http://"),
    ] {
        let (status, err) = refused(options);
        assert_eq!(status, Some(2), "{options:?}: {err}");
        assert!(err.contains(why), "{options:?}: {err}");
    }
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    for option in ["--hep-listen", "--metrics"] {
        let options = if option == "--metrics" { vec![capture, option, &address] } else { vec![option, &address] };
        let (status, err) = refused(&options);
        assert_eq!(status, Some(3), "{option}: {err}");
        assert!(err.contains(option) && err.contains("in use"), "{err}");
    }
}

/// Asks for a page; gives its status line, its head and its text.
fn get(address: &str, path: &str) -> (String, String) {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.write_all(format!("GET {path} HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n").as_bytes()).unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    (head.to_owned(), body.to_owned())
}

/// The value of a series.
fn value(page: &str, series: &str) -> Option<f64> {
    page.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' ')?.parse().ok())
}

/// A call that a peer refuses at once.
fn refusal(number: u32) -> [Vec<u8>; 3] {
    let peer = format!("198.51.{}.{}", 100 + number % 400 / 200, number % 200 + 1);
    let message = |start: &str, tag: &str, cseq: &str| {
        format!(
            "{start}\r\nVia: SIP/2.0/UDP 192.0.2.10;branch=z9hG4bK{number}\r\nFrom: <sip:+4930555010@example.com>;tag=1\r\n\
             To: <sip:+491705550123@example.com>{tag}\r\nCall-ID: secret-{number}@example.com\r\nCSeq: 1 {cseq}\r\n\
             Max-Forwards: 70\r\nContact: <sip:192.0.2.10>\r\nContent-Length: 0\r\n\r\n"
        )
    };
    let to = format!("{peer}:5060");
    let back = Path {
        source: to.parse().unwrap(),
        destination: "192.0.2.10:5060".parse().unwrap(),
        transport: Transport::Udp,
    };
    let response = message("SIP/2.0 404 Not Found", ";tag=2", "INVITE");
    let time = Timestamp::from_parts(1_772_442_000 + i64::from(number % 400), 1_000_000);
    let response =
        HepRecord { of: RecordOf::Sip, path: back, time, correlation: None, key: None, payload: response.as_bytes() };
    let invite = "INVITE sip:+491705550123@example.com SIP/2.0";
    let ack = "ACK sip:+491705550123@example.com SIP/2.0";
    [
        record(&message(invite, "", "INVITE"), &to, number % 400, None),
        response.bytes().unwrap(),
        record(&message(ack, ";tag=2", "ACK"), &to, number % 400, None),
    ]
}

#[test]
fn figures_are_served_and_their_labels_are_few() {
    let listening = Listening::start(&["--hep-listen", "127.0.0.1:0", "--metrics", "127.0.0.1:0"], &[]);
    let metrics = listening.metrics.clone().unwrap();
    let (head, _) = get(&metrics, "/healthz");
    assert!(head.starts_with("HTTP/1.1 200"), "{head}");
    let mut tcp = TcpStream::connect(&listening.address).unwrap();
    const CALLS: u32 = 300;
    for number in 0..CALLS {
        tcp.write_all(&refusal(number).concat()).unwrap();
    }
    // The last of them ends when the clock of the agents says so.
    tcp.write_all(&options(CALLS + 100, None)).unwrap();
    let until = Instant::now() + Duration::from_secs(20);
    let page = loop {
        let (head, page) = get(&metrics, "/metrics");
        assert!(head.starts_with("HTTP/1.1 200") && head.contains("openmetrics-text"), "{head}");
        // What is known of the input is looked at a moment later than what was found.
        let is_counted = value(&page, "sipwhy_packets_total") == Some(f64::from(CALLS * 3 + 1));
        if is_counted && value(&page, "sipwhy_findings_total{rule=\"number-not-routable\"}") == Some(f64::from(CALLS)) {
            break page;
        }
        assert!(Instant::now() < until, "{page}");
        thread::sleep(Duration::from_millis(50));
    };
    let calls: Vec<&str> = page.lines().filter(|line| line.starts_with("sipwhy_calls_total{")).collect();
    assert!((2..=21).contains(&calls.len()), "{} series of calls", calls.len());
    let sum: f64 = calls.iter().map(|line| line.rsplit(' ').next().unwrap().parse::<f64>().unwrap()).sum();
    assert_eq!(sum, f64::from(CALLS), "no call is lost between the labels");
    assert!(calls.iter().any(|line| line.contains("peer=\"other\"") && line.contains("outcome=\"failed\"")));
    assert_eq!(value(&page, "sipwhy_responses_total{code=\"404\"}"), Some(f64::from(CALLS)));
    assert_eq!(value(&page, "sipwhy_requests_total{method=\"INVITE\"}"), Some(f64::from(CALLS)));
    assert_eq!(value(&page, "sipwhy_packets_total"), Some(f64::from(CALLS * 3 + 1)));
    assert_eq!(value(&page, "sipwhy_dropped_packets_total"), Some(0.0));
    assert!(value(&page, "sipwhy_memory_bytes").is_some_and(|bytes| bytes > 1e6), "{page}");
    assert!(page.contains("sipwhy_call_alerted_seconds_bucket{le=\"+Inf\"}") && page.ends_with("# EOF\n"));
    assert!(!page.contains("secret-") && !page.contains("4930555010") && !page.contains("491705550123"));
    let (head, _) = get(&metrics, "/");
    assert!(head.starts_with("HTTP/1.1 404"), "{head}");
}

/// Two calls that fail in the same way, which is an incident.
const INCIDENT: &str = "\
# A trunk has no free channel, twice.
pbx 203.0.113.5:5060
carrier 198.51.100.10:5060

0.000  pbx -> carrier  INVITE sip:+4930555010@example.com
0.040  carrier -> pbx  503 Service Unavailable
                       Reason: Q.850;cause=34;text=\"no circuit available\"
0.042  pbx -> carrier  ACK
call second
5.000  pbx -> carrier  INVITE sip:+4930555011@example.com
5.040  carrier -> pbx  503 Service Unavailable
                       Reason: Q.850;cause=34;text=\"no circuit available\"
5.042  pbx -> carrier  ACK
end 40.0
";

/// The body of one request to a server of ours, which answers with 200.
fn one_request(server: &TcpListener) -> (String, Value) {
    let (mut stream, _) = server.accept().unwrap();
    let (mut bytes, mut buffer) = (Vec::new(), [0; 4096]);
    loop {
        let length = stream.read(&mut buffer).unwrap();
        bytes.extend_from_slice(&buffer[..length]);
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
        let wanted = head.lines().find_map(|line| line.to_lowercase().strip_prefix("content-length: ")?.parse().ok());
        if Some(body.len()) == wanted {
            stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n").unwrap();
            return (head.to_owned(), serde_json::from_str(body).unwrap());
        }
    }
}

#[test]
fn incidents_of_a_capture_are_told_as_alerts() {
    let (_folder, capture) = capture_of(INCIDENT);
    let server = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/api/v2/alerts", server.local_addr().unwrap());
    let reading = thread::spawn(move || one_request(&server));
    let ran = sipwhy().arg(&capture).args(["--alert-webhook", &url]).output().unwrap();
    assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
    let (head, alerts) = reading.join().unwrap();
    assert!(head.starts_with("POST /api/v2/alerts HTTP/1.1") && head.to_lowercase().contains("application/json"));
    let alert = &alerts.as_array().unwrap()[0];
    assert_eq!(alerts.as_array().unwrap().len(), 1);
    assert_eq!(alert["labels"]["alertname"], "SipwhyIncident");
    assert_eq!(alert["labels"]["rule"], "trunk-congested");
    assert_eq!(alert["labels"]["status"], "503");
    assert_eq!(alert["annotations"]["calls"], "2");
    assert!(alert["startsAt"].as_str().unwrap() < alert["endsAt"].as_str().unwrap());
    assert!(!alert.to_string().contains("4930555010"), "{alert}");
}

#[test]
fn incidents_are_told_while_they_happen_and_not_too_often() {
    let server = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/", server.local_addr().unwrap());
    let options = ["--hep-listen", "127.0.0.1:0", "--metrics", "127.0.0.1:0", "--alert-webhook", &url];
    let listening = Listening::start(&options, &[]);
    let (told, telling) = std::sync::mpsc::channel();
    thread::spawn(move || while told.send((Instant::now(), one_request(&server).1)).is_ok() {});
    let mut tcp = TcpStream::connect(&listening.address).unwrap();
    let mut five_of = |peer: u32| {
        // Every 400 calls the peers begin anew.
        (0..5).for_each(|number| tcp.write_all(&refusal(peer + number * 400).concat()).unwrap());
    };
    five_of(0);
    let (_, first) = telling.recv_timeout(Duration::from_secs(20)).expect("an incident");
    let begun = Instant::now();
    assert_eq!(first.as_array().unwrap().len(), 1, "{first}");
    assert_eq!(first[0]["labels"]["peer"], "198.51.100.1:5060");
    assert!(first[0]["endsAt"].as_str().unwrap() > "2026-11", "it goes on: {first}");
    (1..4).for_each(&mut five_of);
    let (_, second) = telling.recv_timeout(Duration::from_secs(30)).expect("more of them");
    assert!(begun.elapsed() > Duration::from_secs(8), "{:?} lie between two requests", begun.elapsed());
    assert_eq!(second.as_array().unwrap().len(), 3, "all at once: {second}");
    let (_, page) = get(listening.metrics.as_ref().unwrap(), "/metrics");
    assert_eq!(value(&page, "sipwhy_incidents_total"), Some(4.0));
    assert_eq!(value(&page, "sipwhy_incidents_open"), Some(4.0));
}

#[test]
fn who_is_away_does_not_hold_up_the_end() {
    let nobody = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let (target, url) = (format!("tcp:{nobody}"), format!("http://{nobody}/"));
    let options = ["--hep-listen", "127.0.0.1:0", "--hep-send", &target, "--alert-webhook", &url];
    let listening = Listening::start(&options, &[]);
    let mut tcp = TcpStream::connect(&listening.address).unwrap();
    (0..5).for_each(|number| tcp.write_all(&refusal(number * 400).concat()).unwrap());
    thread::sleep(Duration::from_millis(500));
    let begun = Instant::now();
    let kill = Command::new("kill").args(["-INT", &listening.id().to_string()]).status().unwrap();
    assert!(kill.success());
    let (status, err) = listening.ended();
    // It would wait longer for those who do not answer.
    assert!(begun.elapsed() < Duration::from_secs(6), "{:?}", begun.elapsed());
    assert_eq!(status, Some(0), "{err}");
    assert!(err.contains("0 sent, ") && err.contains("1 incidents were not told"), "{err}");
}

#[test]
fn a_webhook_that_refuses_is_told() {
    let (_folder, capture) = capture_of(INCIDENT);
    let nobody = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let ran = sipwhy().arg(&capture).args(["--alert-webhook", &format!("http://{nobody}/")]).output().unwrap();
    let err = String::from_utf8_lossy(&ran.stderr);
    assert_eq!(ran.status.code(), Some(4), "{err}");
    assert!(err.contains("1 incidents were not told"), "{err}");
}

/// Lines of `/proc/PID/status` by their names.
#[cfg(target_os = "linux")]
fn process(listening: &Listening) -> impl Fn(&str) -> Vec<String> {
    let status = fs::read_to_string(format!("/proc/{}/status", listening.id())).unwrap();
    move |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')).unwrap_or_default();
        line.split_whitespace().map(str::to_owned).collect()
    }
}

#[cfg(target_os = "linux")]
fn is_root() -> bool {
    Command::new("id").arg("-u").output().is_ok_and(|id| id.stdout == b"0\n")
}

#[cfg(target_os = "linux")]
#[test]
fn strangers_bytes_are_read_without_privileges() {
    let listening = Listening::start(&["--hep-listen", "127.0.0.1:0", "--metrics", "127.0.0.1:0"], &[]);
    let process = process(&listening);
    for set in ["CapEff", "CapPrm", "CapInh", "CapAmb"] {
        assert_eq!(process(set), ["0000000000000000"], "{set}");
    }
    assert_eq!(process("NoNewPrivs"), ["1"]);
    assert_eq!(process("Seccomp"), ["2"]);
    let threads = fs::read_dir(format!("/proc/{}/task", listening.id())).unwrap();
    let threads: Vec<_> =
        threads.map(|thread| fs::read_to_string(thread.unwrap().path().join("status")).unwrap()).collect();
    assert!(threads.len() >= 3, "the sockets have threads of their own");
    for thread in &threads {
        assert!(thread.contains("Seccomp:\t2") && thread.contains("CapPrm:\t0000000000000000"), "{thread}");
    }
    if !is_root() {
        eprintln!("skipped: only root can become another user");
        return;
    }
    assert!(process("Uid").iter().all(|uid| uid != "0"), "{:?}", process("Uid"));
    let groups = process("Groups");
    assert!(groups.len() == 1 && process("Gid").iter().all(|gid| *gid == groups[0]), "{groups:?}");
    assert_eq!(process("CapBnd"), ["0000000000000000"]);
}

#[cfg(target_os = "linux")]
#[test]
fn root_becomes_whom_it_is_told_to_or_stays_if_told_so() {
    if !is_root() {
        eprintln!("skipped: only root can become another user");
        return;
    }
    let caller = [("SUDO_UID", "1"), ("SUDO_GID", "1")];
    let uid = |options: &[&str], env: &[(&str, &str)]| {
        let options = [&["--hep-listen", "127.0.0.1:0"][..], options].concat();
        process(&Listening::start(&options, env))("Uid").remove(0)
    };
    assert_eq!(uid(&[], &caller), "1", "who called sudo");
    assert_eq!(uid(&["--user", "2"], &caller), "2");
    assert_eq!(uid(&["--live", "user=2"], &caller), "2");
    assert_eq!(uid(&["--allow-root"], &[]), "0");
    assert_ne!(uid(&[], &[("SUDO_UID", "0"), ("SUDO_GID", "0")]), "0", "root called sudo");
    let ran = sipwhy().args(["--hep-listen", "127.0.0.1:0", "--user", "root"]).output().unwrap();
    assert_eq!(ran.status.code(), Some(2));
}

#[cfg(target_os = "linux")]
#[test]
fn a_folder_that_the_user_cannot_write_is_told_at_the_start() {
    if !is_root() {
        eprintln!("skipped: only root can become another user");
        return;
    }
    use std::os::unix::fs::PermissionsExt;
    let folder = TempDir::new().unwrap();
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let report = folder.path().join("report.html");
    let mut command = sipwhy();
    command.args(["--hep-listen", "127.0.0.1:0", "-o"]).arg(&report);
    let ran = command.output().unwrap();
    let err = String::from_utf8_lossy(&ran.stderr);
    assert_eq!(ran.status.code(), Some(3), "{err}");
    assert!(err.contains("cannot write into") && err.contains("--user"), "{err}");
}
