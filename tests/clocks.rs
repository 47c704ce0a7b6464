//! Captures of two hosts whose clocks differ: they are read as if one clock had stamped them, and it is said. Clocks that
//! agree are left alone, whatever the captures hold.

use std::fs;
use std::net::Ipv4Addr;
use std::path::PathBuf;

use assert_cmd::Command;
use serde_json::Value;
use sipwhy::story::Story;
use tempfile::TempDir;

/// A proxy between two hops, each of which has a capture of its own.
const PROXIED: &str = "\
# The callee's side is out of channels, and the proxy passes it on.
alice 192.0.2.10:5060
proxy 192.0.2.20:5060
gateway 198.51.100.30:5060

0.000  alice -> proxy    INVITE sip:+15550100@example.com
0.005  proxy -> alice    100 Trying
0.020  proxy -> gateway  INVITE sip:+15550100@198.51.100.30
0.030  gateway -> proxy  100 Trying
0.400  gateway -> proxy  503 Service Unavailable
                         Reason: Q.850;cause=34
0.405  proxy -> gateway  ACK
0.420  proxy -> alice    503 Service Unavailable
0.430  alice -> proxy    ACK
end 60.0
";

/// A B2BUA between two legs that share a key.
const TWO_LEGS: &str = "\
# A PBX makes a code of its own of the refusal that it got.
phone 192.0.2.101:5060
pbx 192.0.2.20:5060 agent \"PBX 1.0\"
carrier 198.51.100.10:5060

call first
0.000  phone -> pbx    INVITE sip:0170555123@pbx.example.com
                       KEY
0.010  pbx -> phone    100 Trying
call second
0.050  pbx -> carrier  INVITE sip:+49170555123@198.51.100.10
                       From: <sip:4930555010@192.0.2.20>;tag=p1
                       KEY
0.080  carrier -> pbx  100 Trying
0.450  carrier -> pbx  404 Not Found
                       Reason: Q.850;cause=1
0.460  pbx -> carrier  ACK
0.500  pbx -> phone    [first] 503 Service Unavailable
                       Reason: Q.850;cause=34
0.520  phone -> pbx    [first] ACK
end 60.0
";

const SESSION_ID: &str = "Session-ID: ab30317f1a784dc48ff824d0d3715d86;remote=00000000000000000000000000000000";

/// A hop that is captured at two points, and on which ACKs get lost.
const ACKS_LOST: &str = "\
# The ACKs do not reach the callee.
alice 203.0.113.5:5060
bob 198.51.100.10:5060

0.0    alice -> bob  INVITE sip:bob@example.com
0.1    bob -> alice  100 Trying
0.2    bob -> alice  180 Ringing
3.0    bob -> alice  200 OK
                     again 2xx
3.02   alice -> bob  ACK
                     again +0.5 +1.5 +3.5 +7.5 +11.5 +15.5 +19.5 +23.5 +27.5 +31.5
35.0   bob -> alice  BYE
35.1   alice -> bob  200 OK
40.0   alice -> bob  OPTIONS sip:bob@example.com
40.1   bob -> alice  200 OK
end 60.0
";

/// A frame of a capture.
#[derive(Debug, Clone)]
struct Frame {
    micros: i64,
    bytes: Vec<u8>,
}

impl Frame {
    fn hosts(&self) -> [Ipv4Addr; 2] {
        let address = |at: usize| Ipv4Addr::from(<[u8; 4]>::try_from(&self.bytes[at..at + 4]).unwrap());
        [address(26), address(30)]
    }

    fn begins_with(&self, start: &str) -> bool {
        self.bytes[42..].starts_with(start.as_bytes())
    }
}

/// The frames of a story, each with an IPv4 identification of its own.
fn frames(story: &str) -> Vec<Frame> {
    let capture = Story::parse(story).unwrap().capture();
    let number = |at: usize| u32::from_le_bytes(capture[at..at + 4].try_into().unwrap());
    let (mut at, mut frames) = (24, Vec::new());
    while at < capture.len() {
        let length = number(at + 8) as usize;
        let micros = i64::from(number(at)) * 1_000_000 + i64::from(number(at + 4));
        let mut bytes = capture[at + 16..at + 16 + length].to_vec();
        bytes[18..20].copy_from_slice(&(1000 + frames.len() as u16).to_be_bytes());
        frames.push(Frame { micros, bytes });
        at += 16 + length;
    }
    frames
}

/// Those between two hosts.
fn between(frames: &[Frame], one: [u8; 4], other: [u8; 4]) -> Vec<Frame> {
    let hosts = [Ipv4Addr::from(one), Ipv4Addr::from(other)];
    frames.iter().filter(|frame| frame.hosts().iter().all(|host| hosts.contains(host))).cloned().collect()
}

/// The same, stamped by another clock.
fn stamped(frames: &[Frame], ahead_millis: i64) -> Vec<Frame> {
    frames.iter().map(|frame| Frame { micros: frame.micros + ahead_millis * 1000, ..frame.clone() }).collect()
}

/// The same at a point that lies further on for what this host sends, and before it for the rest: so many milliseconds
/// and routers.
fn further_on(frames: &[Frame], sender: [u8; 4], millis: i64, routers: u8) -> Vec<Frame> {
    let moved = |frame: &Frame| {
        let mut moved = frame.clone();
        let is_on = frame.hosts()[0] == Ipv4Addr::from(sender);
        moved.micros += if is_on { millis * 1000 } else { -millis * 1000 };
        moved.bytes[22] = if is_on { moved.bytes[22] - routers } else { moved.bytes[22] + routers };
        moved
    };
    frames.iter().map(moved).collect()
}

/// Without the identification in the IPv4 header, as systems send what may not be cut.
fn unnumbered(frames: &[Frame]) -> Vec<Frame> {
    let mut frames = frames.to_vec();
    frames.iter_mut().for_each(|frame| frame.bytes[18..20].copy_from_slice(&[0, 0]));
    frames
}

fn pcap(mut frames: Vec<Frame>) -> Vec<u8> {
    frames.sort_by_key(|frame| frame.micros);
    let mut file = Vec::new();
    for number in [0xa1b2_c3d4, 0x0004_0002, 0, 0, 65_535, 1] {
        file.extend_from_slice(&u32::to_le_bytes(number));
    }
    for Frame { micros, bytes } in frames {
        let length = bytes.len() as u32;
        for number in [(micros / 1_000_000) as u32, (micros % 1_000_000) as u32, length, length] {
            file.extend_from_slice(&number.to_le_bytes());
        }
        file.extend_from_slice(&bytes);
    }
    file
}

/// The report on captures of these names.
struct Told {
    report: Value,
    names: Vec<String>,
}

fn told(captures: &[(&str, &[Frame])]) -> Told {
    let mut tolds: Vec<Value> = Vec::new();
    let folder = TempDir::new().unwrap();
    let mut paths: Vec<PathBuf> = Vec::new();
    for (name, frames) in captures {
        paths.push(folder.path().join(name));
        fs::write(paths.last().unwrap(), pcap(frames.to_vec())).unwrap();
    }
    for _ in 0..2 {
        let mut command = Command::cargo_bin("sipwhy").unwrap();
        let output = command.args(&paths).args(["--format", "json", "--quiet"]).output().unwrap();
        tolds.push(serde_json::from_slice(&output.stdout).unwrap());
        paths.reverse();
    }
    assert_eq!(tolds[0], tolds[1], "the order of naming has a part in it");
    let report = tolds.remove(0);
    let name =
        |input: &Value| PathBuf::from(input["file"].as_str().unwrap()).file_name().unwrap().to_string_lossy().into();
    let names = report["inputs"].as_array().unwrap().iter().map(name).collect();
    Told { report, names }
}

impl Told {
    /// What is said of the clock of each input that differs.
    fn differing(&self) -> Vec<(&str, &str)> {
        let inputs = self.names.iter().zip(self.report["inputs"].as_array().unwrap());
        inputs
            .flat_map(|(name, input)| input["oddities"].as_array().unwrap().iter().map(move |oddity| (name, oddity)))
            .filter(|(_, oddity)| oddity["kind"] == "clock-differs")
            .map(|(name, oddity)| (name.as_str(), oddity["says"].as_str().unwrap()))
            .collect()
    }

    fn assert_clocks_agree(&self) {
        assert_eq!(self.differing(), []);
        assert!(self.note("clock-unsteady").is_none());
    }

    fn note(&self, rule: &str) -> Option<&Value> {
        self.report["notes"].as_array().unwrap().iter().find(|note| note["rule"] == rule)
    }

    /// Outcome, cause and number of legs of each call.
    fn calls(&self) -> Vec<(String, String, usize)> {
        let told = |call: &Value| {
            let word = |name: &str| call[name].as_str().unwrap_or_default().to_owned();
            (word("outcome"), word("cause"), call["legs"].as_array().unwrap().len())
        };
        self.report["calls"].as_array().unwrap().iter().map(told).collect()
    }

    /// The finding that is the cause of the first call.
    fn cause(&self) -> &Value {
        let call = &self.report["calls"][0];
        call["findings"].as_array().unwrap().iter().find(|finding| finding["rule"] == call["cause"]).unwrap()
    }
}

const ALICE: [u8; 4] = [203, 0, 113, 5];
const PROXY: [u8; 4] = [192, 0, 2, 20];

/// What stands before and behind a system.
fn before_and_behind(story: &str, client: [u8; 4], server: [u8; 4]) -> (Vec<Frame>, Vec<Frame>) {
    let frames = frames(story);
    (between(&frames, client, PROXY), between(&frames, PROXY, server))
}

#[test]
fn what_a_proxy_sent_on_tells_how_far_apart_two_clocks_are() {
    let (front, behind) = before_and_behind(PROXIED, [192, 0, 2, 10], [198, 51, 100, 30]);
    let agreed = told(&[("front.pcap", &front), ("behind.pcap", &behind)]);
    agreed.assert_clocks_agree();
    for (ahead, name, says) in [
        (-200, "front.pcap", "0.200 s ahead of"),
        (200, "behind.pcap", "0.200 s ahead of"),
        (-90_000, "front.pcap", "90.000 s ahead of"),
        (90_000, "behind.pcap", "90.000 s ahead of"),
    ] {
        let apart = told(&[("front.pcap", &front), ("behind.pcap", &stamped(&behind, ahead))]);
        let [(input, said)] = apart.differing()[..] else { panic!("{ahead}: {:?}", apart.differing()) };
        assert_eq!((input, said.contains(says)), (name, true), "{ahead}: {said}");
        assert_eq!(apart.calls(), agreed.calls(), "{ahead}");
        let note = apart.note("clock-unsteady").expect("a note");
        assert_eq!((note["confidence"].as_str(), note["claims"].as_array().unwrap().len()), (Some("likely"), 2));
    }
    // A few milliseconds are as long as a proxy takes: no order is violated.
    told(&[("front.pcap", &front), ("behind.pcap", &stamped(&behind, -15))]).assert_clocks_agree();
    told(&[("front.pcap", &front), ("behind.pcap", &stamped(&behind, 15))]).assert_clocks_agree();
}

#[test]
fn an_exact_key_tells_it_of_a_b2bua() {
    let story = TWO_LEGS.replace("KEY", SESSION_ID);
    let (front, behind) = before_and_behind(&story, [192, 0, 2, 101], [198, 51, 100, 10]);
    let agreed = told(&[("a.pcap", &front), ("b.pcap", &behind)]);
    agreed.assert_clocks_agree();
    assert_eq!(agreed.calls(), [("failed".to_owned(), "number-not-routable".to_owned(), 2)]);
    for ahead in [-200, -7300, 7300] {
        let apart = told(&[("a.pcap", &front), ("b.pcap", &stamped(&behind, ahead))]);
        assert_eq!(apart.differing().len(), 1, "{ahead}");
        assert_eq!(apart.calls(), agreed.calls(), "{ahead}");
    }
}

#[test]
fn a_private_header_tells_nothing_alone() {
    // Somebody sends the same value with each call: what one call was sent on as is another one here.
    let story = TWO_LEGS.replace("KEY", "X-Call-ID: 1234567890");
    let (front, behind) = before_and_behind(&story, [192, 0, 2, 101], [198, 51, 100, 10]);
    told(&[("a.pcap", &front), ("b.pcap", &stamped(&behind, -60_000))]).assert_clocks_agree();
    // Two values that say the same are enough.
    let other = story.replace("1234567890", "0987654321").replace("# A PBX", "# Once more a PBX");
    let (again, on) = before_and_behind(&other, [192, 0, 2, 101], [198, 51, 100, 10]);
    let front = [front, stamped(&again, 20_000)].concat();
    let behind = [behind, stamped(&on, 20_000)].concat();
    let apart = told(&[("a.pcap", &front), ("b.pcap", &stamped(&behind, -60_000))]);
    assert_eq!(apart.differing().len(), 1);
    assert_eq!(apart.calls().iter().map(|(_, _, legs)| *legs).collect::<Vec<_>>(), [2, 2]);
}

#[test]
fn the_same_datagrams_tell_it_of_two_points_of_a_hop() {
    let near = frames(ACKS_LOST);
    let far = further_on(&near, ALICE, 60, 5);
    for (far, what) in [(far.clone(), "numbered"), (unnumbered(&far), "unnumbered")] {
        let near = if what == "numbered" { near.clone() } else { unnumbered(&near) };
        told(&[("near.pcap", &near), ("far.pcap", &far)]).assert_clocks_agree();
        for ahead in [-2_200, 400, 300_000] {
            // What has no number is compared where the inputs hold the same time.
            if ahead > 60_000 && what == "unnumbered" {
                continue;
            }
            let apart = told(&[("near.pcap", &near), ("far.pcap", &stamped(&far, ahead))]);
            let says = format!("{:.3} s ahead of", ahead.unsigned_abs() as f64 / 1000.0);
            let [(_, said)] = apart.differing()[..] else { panic!("{what} {ahead}: {:?}", apart.differing()) };
            assert!(said.contains(&says), "{what} {ahead}: {said}");
            assert!(apart.note("capture-partial").is_none(), "{what} {ahead}");
        }
    }
}

#[test]
fn what_only_the_nearer_point_has_was_lost_between_the_two() {
    let near = frames(ACKS_LOST);
    let mut far = further_on(&near, ALICE, 15, 5);
    far.retain(|frame| !frame.begins_with("ACK "));
    for ahead in [0, 400, -2200] {
        let told = told(&[("near.pcap", &near), ("far.pcap", &stamped(&far, ahead))]);
        let cause = told.cause();
        assert_eq!(cause["rule"], "ack-missing", "{ahead}");
        assert_eq!((&cause["confidence"], &cause["party"]["role"]), (&"likely".into(), &"network".into()), "{ahead}");
        let says = cause["explanation"].as_str().unwrap();
        assert!(says.contains("two points of capture") && says.contains("repeated its 200 10 times"), "{says}");
        assert!(cause["next_capture"].is_null(), "{ahead}");
        let ttl: Vec<&str> = cause["claims"]
            .as_array()
            .unwrap()
            .iter()
            .filter(|claim| claim["field"] == "ip.ttl")
            .map(|claim| claim["value"].as_str().unwrap())
            .collect();
        assert_eq!(ttl, ["64", "59"], "{ahead}");
    }
    // Nothing is said of what lies between if no router does.
    let mut tapped = further_on(&near, ALICE, 1, 0);
    tapped.retain(|frame| !frame.begins_with("ACK "));
    assert_eq!(told(&[("near.pcap", &near), ("far.pcap", &tapped)]).cause()["confidence"], "possible");
    // Nor of what the other point may have missed because it had ended.
    let mut ended = further_on(&near, ALICE, 15, 5);
    ended.retain(|frame| frame.micros < near[0].micros + 3_010_000);
    assert_eq!(told(&[("near.pcap", &near), ("far.pcap", &ended)]).cause()["confidence"], "possible");
}

/// Before and behind what gets lost, the hop is captured at both points.
const AROUND: (&str, &str) = (
    "\
# What happens on a hop that is captured at two points.
alice 203.0.113.5:5060
bob 198.51.100.10:5060

0.0    alice -> bob  OPTIONS sip:bob@example.com
0.1    bob -> alice  200 OK
",
    "\
80.0   bob -> alice  OPTIONS sip:alice@example.com
80.1   alice -> bob  200 OK
end 120.0
",
);

#[test]
fn an_invite_an_answer_and_a_bye_get_lost_between_two_points_as_well() {
    let invite = "1.0    alice -> bob  INVITE sip:bob@example.com\n                     again timer-a\n";
    let answer = "\
1.0    alice -> bob  INVITE sip:bob@example.com
1.1    bob -> alice  100 Trying
3.0    bob -> alice  200 OK
                     again 2xx
35.0   bob -> alice  BYE
35.1   alice -> bob  481 Call/Transaction Does Not Exist
";
    let bye = "\
1.0    alice -> bob  INVITE sip:bob@example.com
3.0    bob -> alice  200 OK
3.1    alice -> bob  ACK
20.0   alice -> bob  BYE
                     again timer-e
";
    // Who is nearer to what gets lost keeps it.
    let cases = [
        (invite, "INVITE ", 1, "next-hop-silent", "the INVITE passed"),
        (bye, "BYE ", 1, "bye-unanswered", "the BYE passed"),
        (answer, "SIP/2.0 200 OK", 0, "ack-missing", "the 2xx passed"),
    ];
    for (story, start, lacks, rule, says) in cases {
        let near = frames(&format!("{}{story}{}", AROUND.0, AROUND.1));
        let far = further_on(&near, ALICE, 15, 3);
        let mut points = [near, far];
        let begun = points[lacks][0].micros;
        let is_lost =
            |frame: &Frame| frame.begins_with(start) && (1..79).contains(&((frame.micros - begun) / 1_000_000));
        points[lacks].retain(|frame| !is_lost(frame));
        let told = told(&[("near.pcap", &points[0]), ("far.pcap", &points[1])]);
        let calls = told.report["calls"].as_array().unwrap();
        let call = calls.iter().find(|call| call["kind"] == "call").unwrap();
        let finding = call["findings"].as_array().unwrap().iter().find(|finding| finding["rule"] == rule);
        let finding = finding.unwrap_or_else(|| panic!("{rule}: {:?}", call["findings"]));
        let explanation = finding["explanation"].as_str().unwrap();
        assert!(explanation.contains("two points of capture") && explanation.contains(says), "{rule}: {explanation}");
        assert!(explanation.contains("3 routers further on"), "{rule}: {explanation}");
        assert_eq!(
            (&finding["confidence"], &finding["party"]["role"]),
            (&"likely".into(), &"network".into()),
            "{rule}"
        );
        assert!(finding["next_capture"].is_null(), "{rule}");
    }
}

#[test]
fn the_clock_of_most_inputs_is_right_and_pieces_of_one_capture_have_one_clock() {
    let (front, behind) = before_and_behind(PROXIED, [192, 0, 2, 10], [198, 51, 100, 30]);
    let another = |word: &str| {
        let story = PROXIED.replace("# The", word);
        before_and_behind(&story, [192, 0, 2, 10], [198, 51, 100, 30])
    };
    let (front_later, behind_later) = another("# Later the");
    let (last, _) = another("# At last the");
    let later = |frames: &[Frame]| stamped(frames, 600_000);
    // The second piece of what stands behind shows nothing of its own clock.
    let (first, second) = (stamped(&behind, -7300), stamped(&later(&behind_later), -7300));
    let inputs: [(&str, &[Frame]); 3] = [("front.pcap", &front), ("behind.pcap", &first), ("behind.pcap1", &second)];
    let apart = told(&inputs);
    assert_eq!(apart.differing().iter().map(|(name, _)| *name).collect::<Vec<_>>(), ["front.pcap"]);
    let both = [front.clone(), later(&front_later)];
    let (one, other) = (both[0].as_slice(), both[1].as_slice());
    let apart = told(&[
        ("front.pcap0", one),
        ("front.pcap1", other),
        ("front.pcap2", &stamped(&later(&last), 600_000)),
        ("behind.pcap", &first),
        ("behind.pcap1", &second),
    ]);
    let says = apart.differing();
    assert_eq!(says.iter().map(|(name, _)| *name).collect::<Vec<_>>(), ["behind.pcap", "behind.pcap1"]);
    assert!(says.iter().all(|(_, says)| says.contains("7.300 s behind")), "{says:?}");
}

#[test]
fn what_is_sent_again_later_is_not_the_same() {
    // The pieces of one capture hold the same call twice, packet for packet: somebody played it back.
    let call = frames(PROXIED);
    let again = stamped(&call, 100_000);
    told(&[("cap.pcap0", &call), ("cap.pcap1", &again)]).assert_clocks_agree();
    told(&[("morning.pcap", &unnumbered(&call)), ("evening.pcap", &unnumbered(&again))]).assert_clocks_agree();
    // A tap shows each packet twice.
    let (front, behind) = before_and_behind(PROXIED, [192, 0, 2, 10], [198, 51, 100, 30]);
    let tapped: Vec<Frame> =
        front.iter().flat_map(|frame| [frame.clone(), Frame { micros: frame.micros + 9, ..frame.clone() }]).collect();
    told(&[("front.pcap", &tapped), ("behind.pcap", &behind)]).assert_clocks_agree();
    told(&[("front.pcap", &tapped), ("copy.pcap", &front)]).assert_clocks_agree();
}

/// A PBX that answers itself, and goes on with the call later.
const MENU: &str = "\
# A menu answers, and three seconds later another server does.
phone 192.0.2.101:5060
pbx 192.0.2.20:5060
conference 198.51.100.10:5060

call first
0.00   phone -> pbx  INVITE sip:500@pbx.example.com
                     KEY
0.10   pbx -> phone  200 OK
0.12   phone -> pbx  ACK
call second
3.10   pbx -> conference  INVITE sip:room@198.51.100.10
                          From: <sip:4930555010@192.0.2.20>;tag=p1
                          KEY
3.15   conference -> pbx  200 OK
3.16   pbx -> conference  ACK
20.00  phone -> pbx  [first] BYE
20.01  pbx -> phone  [first] 200 OK
20.02  pbx -> conference  [second] BYE
20.03  conference -> pbx  [second] 200 OK
end 60.0
";

#[test]
fn who_answers_itself_and_goes_on_later_has_no_late_clock() {
    let story = MENU.replace("KEY", SESSION_ID);
    let (front, behind) = before_and_behind(&story, [192, 0, 2, 101], [198, 51, 100, 10]);
    told(&[("front.pcap", &front), ("behind.pcap", &behind)]).assert_clocks_agree();
    let only_begun = |frames: &[Frame]| frames.iter().take(3).cloned().collect::<Vec<_>>();
    told(&[("front.pcap", &only_begun(&front)), ("behind.pcap", &only_begun(&behind))]).assert_clocks_agree();
}

#[test]
fn a_clock_that_drifts_is_told_and_left() {
    let (mut near, mut far) = (Vec::new(), Vec::new());
    for call in 0..20 {
        let story = PROXIED.replace("# The", &format!("# {call} the"));
        let hop = between(&frames(&story), [192, 0, 2, 10], PROXY);
        let hop: Vec<Frame> = stamped(&hop, call * 60_000);
        far.extend(stamped(&further_on(&hop, [192, 0, 2, 10], 5, 1), 2_000 + call * 200));
        near.extend(hop);
    }
    for (number, frame) in near.iter_mut().enumerate() {
        frame.bytes[18..20].copy_from_slice(&(number as u16 + 1).to_be_bytes());
    }
    for (number, frame) in far.iter_mut().enumerate() {
        frame.bytes[18..20].copy_from_slice(&(number as u16 + 1).to_be_bytes());
    }
    let told = told(&[("near.pcap", &near), ("far.pcap", &far)]);
    let [(_, says)] = told.differing()[..] else { panic!("{:?}", told.differing()) };
    assert!(says.contains("not always as far"), "{says}");
    assert!(told.note("clock-unsteady").unwrap()["explanation"].as_str().unwrap().contains("not always"));
}

#[test]
fn what_can_be_read_only_once_is_told_and_left() {
    let (front, behind) = before_and_behind(PROXIED, [192, 0, 2, 10], [198, 51, 100, 30]);
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("front.pcap");
    fs::write(&path, pcap(front)).unwrap();
    let mut command = Command::cargo_bin("sipwhy").unwrap();
    let command = command.arg(&path).args(["-", "--format", "json", "--quiet"]);
    let output = command.write_stdin(pcap(stamped(&behind, -7300))).output().unwrap();
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    let note = report["notes"].as_array().unwrap().iter().find(|note| note["rule"] == "clock-unsteady").unwrap();
    assert!(note["explanation"].as_str().unwrap().contains("told as it holds them"), "{note}");
    assert!(note["fix"][1].as_str().unwrap().contains("editcap -t -7.300 "), "{note}");
}
