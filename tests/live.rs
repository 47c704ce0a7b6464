//! The program on interfaces, in a network that each test makes for itself: nothing leaves it.
//!
//! Where the machine does not allow that, or lacks a program that is needed, the test says `SKIPPED` and why.

mod alive;

use std::fs;
use std::io::Read;
use std::thread;
use std::time::{Duration, Instant};

use crate::alive::{PROMPT, Program, capture, network, refusing, time_of};
use serde_json::Value;
use sipwhy::story::Story;

const SECOND: Duration = Duration::from_secs(1);

#[test]
fn every_failure_is_told_within_a_second_with_its_cause() {
    let Some(network) = network("failures are told within a second", &["ip", "sipp"]) else { return };
    let causes = [
        (5080, "503 Service Unavailable", "Retry-After: 120\n", "server-overloaded"),
        (5081, "404 Not Found", "", "user-unknown"),
        (5082, "486 Busy Here", "", "callee-busy"),
    ];
    let servers: Vec<_> = causes
        .iter()
        .map(|(port, line, more, _)| network.server(&["-sf", &refusing(&network, line, more)], *port))
        .collect();
    let mut program = network.follow(&["-i", "any", "--format", "ndjson"]);
    for ((port, line, _, cause), from) in causes.iter().zip(7000..) {
        network.calls(*port, from, 1, 1);
        let status: u64 = line[..3].parse().unwrap();
        let (read, failure) = program.event("failure", |event| event["status"] == status);
        let late = read.saturating_sub(time_of(&failure));
        assert!(late < SECOND, "{line} was told after {late:?}");
        let findings = failure["findings"].clone();
        let text = failure.to_string();
        assert!(
            text.contains(cause) || findings.to_string().contains(cause) || *cause == "callee-busy",
            "{cause}: {text}"
        );
    }
    // Nobody listens there, and the system says so.
    network.calls_for(5099, 7010, Duration::from_secs(2));
    drop(servers);
    program.end_with("INT").is_good();
}

#[test]
fn lines_for_people_tell_answers_failures_incidents_and_minutes() {
    let Some(network) = network("lines for people", &["ip", "sipp"]) else { return };
    let _answers = network.server(&["-sn", "uas"], 5070);
    let _refuses = network.server(&["-sf", &refusing(&network, "503 Service Unavailable", "")], 5080);
    let mut program = network.follow(&["-i", "lo", "--stats-every", "3s"]);
    network.calls(5070, 7000, 1, 1);
    let patience = Duration::from_secs(5);
    let (_, answered) = program.line(patience, |line| line.contains('✔')).expect("a line for the answer");
    assert!(answered.contains("#1  sipp → service") && answered.contains("answered after"), "{answered}");
    network.calls(5080, 7001, 6, 6);
    let (_, first) = program.line(patience, |line| line.contains('✖')).expect("a line for the failure");
    assert!(first.contains("  503  "), "{first}");
    let (_, again) = program.line(patience, |line| line.contains("the same (")).expect("the next one in short");
    assert!(again.contains("  503  the same (2 in "), "{again}");
    let (_, incident) = program.line(patience, |line| line.contains('▲')).expect("an incident");
    assert!(incident.contains("INCIDENT 1  ") && incident.contains(": 5 calls in "), "{incident}");
    let (_, minute) = program.line(patience, |line| line.contains("kernel drops 0")).expect("a summing up");
    assert!(minute.contains(" ·  3 s: "), "{minute}");
    let ended = program.end_with("TERM");
    ended.is_good();
    assert!(ended.out.contains("✖ INCIDENT 1") && ended.out.contains("7 calls: 1 answered, 6 FAILED"), "{}", ended.out);
}

#[test]
fn a_call_that_nobody_answers_is_told_when_its_timer_has_run() {
    let Some(network) = network("unanswered", &["ip", "sipp"]) else { return };
    // It listens and says nothing.
    let silent = network.path("silent.xml");
    fs::write(&silent, "<?xml version=\"1.0\"?>\n<scenario name=\"s\">\n<recv request=\"BYE\"></recv>\n</scenario>\n")
        .unwrap();
    let _server = network.server(&["-sf", silent.to_str().unwrap(), "-aa"], 5071);
    let mut program = network.follow(&["-i", "lo"]);
    let begun = Instant::now();
    let _caller = network
        .start("sipp", &["-sn", "uac", "-i", "127.0.0.1", "-p", "7000", "127.0.0.1:5071", "-m", "1", "-nostdin"]);
    let told = program.line(Duration::from_secs(45), |line| line.contains('✖')).expect("a line");
    let after = begun.elapsed();
    assert!(after > Duration::from_secs(31) && after < Duration::from_secs(36), "after {after:?}: {}", told.1);
    program.end_with("INT").is_good();
}

#[test]
fn a_proxy_that_refuses_and_passes_on_is_explained() {
    let Some(network) = network("kamailio", &["ip", "sipp", "kamailio"]) else { return };
    let config = network.path("kamailio.cfg");
    fs::write(
        &config,
        "#!KAMAILIO\ndebug=1\nlog_stderror=yes\nchildren=2\nlisten=udp:127.0.0.1:5090\nauto_aliases=no\n\
         loadmodule \"tm.so\"\nloadmodule \"sl.so\"\nloadmodule \"pv.so\"\nloadmodule \"rr.so\"\nloadmodule \"siputils.so\"\nloadmodule \"textops.so\"\n\
         request_route {\n\
           if (has_totag()) { if (is_method(\"ACK\") && !t_check_trans()) { $du = \"sip:127.0.0.1:5070\"; t_relay(); exit; }\n\
             $du = \"sip:127.0.0.1:5070\"; t_relay(); exit; }\n\
           if ($rU == \"forbidden\") { sl_send_reply(\"403\", \"Forbidden\"); exit; }\n\
           $du = \"sip:127.0.0.1:5070\"; t_relay(); exit;\n}\n",
    )
    .unwrap();
    let _answers = network.server(&["-sn", "uas"], 5070);
    let runtime = network.folder.path().to_str().unwrap();
    let _proxy =
        network.start("kamailio", &["-f", config.to_str().unwrap(), "-DD", "-E", "-m", "32", "-M", "4", "-Y", runtime]);
    network.wait_until_listening(5090);
    let mut program = network.follow(&["-i", "any", "--format", "ndjson", "--all"]);
    let call = |user: &str, from: &str| {
        let args = [
            "-sn",
            "uac",
            "-s",
            user,
            "-i",
            "127.0.0.1",
            "-p",
            from,
            "127.0.0.1:5090",
            "-m",
            "1",
            "-d",
            "100",
            "-nostdin",
        ];
        let _ = network.command("sipp", &args).status().unwrap();
    };
    call("forbidden", "7000");
    let (read, failure) = program.event("failure", |event| event["status"] == 403);
    assert!(read.saturating_sub(time_of(&failure)) < SECOND, "{failure}");
    call("bob", "7001");
    let (_, answered) = program.event("call", |event| event["outcome"] == "answered");
    assert!(answered["legs"].as_array().is_some_and(|legs| legs.len() >= 2), "both hops are one call: {answered}");
    program.end_with("INT").is_good();
}

/// Plays a capture into one end of a cable.
fn play(network: &alive::Network, file: &std::path::Path, more: &[&str]) {
    let args = [&["-q", "-i", "tx0"], more, &[file.to_str().unwrap()]].concat();
    network.run("tcpreplay", &args);
}

/// A capture of Ethernet frames, each behind a VLAN tag.
fn behind_vlan(pcap: &[u8]) -> Vec<u8> {
    let (head, mut rest) = pcap.split_at(24);
    let mut tagged = head.to_vec();
    while rest.len() >= 16 {
        let length = u32::from_le_bytes(rest[8..12].try_into().unwrap()) as usize;
        let (record, behind) = rest.split_at(16 + length);
        let longer = (length as u32 + 4).to_le_bytes();
        tagged.extend_from_slice(&record[..8]);
        tagged.extend_from_slice(&longer);
        tagged.extend_from_slice(&longer);
        tagged.extend_from_slice(&record[16..28]);
        tagged.extend_from_slice(&[0x81, 0, 0, 100]);
        tagged.extend_from_slice(&record[28..]);
        rest = behind;
    }
    tagged
}

#[test]
fn sip_behind_vlan_tags_in_fragments_and_in_tunnels_is_found() {
    let Some(network) = network("encapsulated SIP", &["ip", "tcpreplay"]) else { return };
    network.cable("tx0", "rx0");
    let tagged = network.path("tagged.pcap");
    let plain = fs::read(capture("server-overloaded")).unwrap();
    fs::write(&tagged, behind_vlan(&plain)).unwrap();
    let mut program = network.follow(&["-i", "rx0", "--format", "ndjson"]);
    let captures = [
        (tagged, 503),
        (capture("recorded-fragmented-invite-404"), 404),
        (capture("recorded-encap-gre-invite-486-busy"), 486),
        (capture("recorded-vxlan-486"), 486),
    ];
    for (file, status) in captures {
        play(&network, &file, &["--topspeed"]);
        program.event("failure", |event| event["status"] == status);
    }
    program.end_with("INT").is_good();
}

#[test]
fn several_interfaces_are_one_capture_in_order_of_time() {
    let Some(network) = network("several interfaces", &["ip", "sipp", "tcpreplay"]) else { return };
    network.cable("tx0", "rx0");
    let _refuses = network.server(&["-sf", &refusing(&network, "404 Not Found", "")], 5080);
    let mut program = network.follow(&["-i", "lo", "-i", "rx0", "--format", "ndjson"]);
    network.calls(5080, 7000, 1, 1);
    program.event("failure", |event| event["status"] == 404);
    play(&network, &capture("server-overloaded"), &["--topspeed"]);
    program.event("failure", |event| event["status"] == 503);
    let ended = program.end_with("INT");
    ended.is_good();
    let mut stats = ended.out.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let stats = stats.rfind(|event| event["type"] == "stats").expect("numbers at the end");
    let inputs: Vec<_> =
        stats["inputs"].as_array().unwrap().iter().map(|input| input["file"].as_str().unwrap()).collect();
    assert_eq!(inputs, ["lo", "rx0"]);
}

/// Plays a capture again and again, as a load.
fn load(network: &alive::Network, rate: &str) -> alive::Running {
    let file = capture("server-overloaded");
    network.start("tcpreplay", &["-q", "--loop=0", rate, "-i", "tx0", file.to_str().unwrap()])
}

#[test]
fn an_interface_that_is_removed_under_load_ends_the_run_with_its_summary() {
    let Some(network) = network("interface removed", &["ip", "tcpreplay"]) else { return };
    network.cable("tx0", "rx0");
    let mut program = network.follow(&["-i", "rx0", "--live", "patience=1s"]);
    let load = load(&network, "--pps=2000");
    thread::sleep(SECOND);
    network.run("ip", &["link", "del", "rx0"]);
    drop(load);
    assert!(program.complaint("rx0 is away", Duration::from_secs(5)).is_some(), "{:?}", program.complaints);
    let ended = program.end();
    assert_eq!(ended.status.code(), Some(3), "{ended:?}");
    assert!(ended.out.contains("FAILED") && ended.err.contains("stays away"), "{ended:?}");
}

#[test]
fn an_interface_that_goes_down_and_comes_up_is_waited_for() {
    let Some(network) = network("interface down and up", &["ip", "tcpreplay"]) else { return };
    network.cable("tx0", "rx0");
    let mut program = network.follow(&["-i", "rx0", "--format", "ndjson"]);
    play(&network, &capture("server-overloaded"), &["--topspeed"]);
    program.event("failure", |event| event["status"] == 503);
    network.run("ip", &["link", "set", "rx0", "down"]);
    assert!(program.complaint("rx0 is away", Duration::from_secs(5)).is_some(), "{:?}", program.complaints);
    network.run("ip", &["link", "set", "rx0", "up"]);
    assert!(program.complaint("rx0 is back", Duration::from_secs(10)).is_some(), "{:?}", program.complaints);
    play(&network, &capture("recorded-vxlan-486"), &["--topspeed"]);
    program.event("failure", |event| event["status"] == 486);
    program.end_with("INT").is_good();
}

#[test]
fn what_the_kernel_drops_is_counted_and_told() {
    let Some(network) = network("kernel drops", &["ip", "tcpreplay"]) else { return };
    network.cable("tx0", "rx0");
    let program = network.follow(&["-i", "rx0", "--format", "json", "--live", "buffer=1M"]);
    program.signal("STOP");
    play(&network, &capture("server-overloaded"), &["--topspeed", "--loop=5000"]);
    program.signal("CONT");
    thread::sleep(SECOND);
    let ended = program.end_with("INT");
    ended.is_good();
    let report: Value = serde_json::from_str(&ended.out).unwrap();
    let input = &report["inputs"][0];
    let (packets, drops) = (input["packets"].as_u64().unwrap(), input["drops"].as_u64().unwrap());
    assert!(drops > 0 && packets > 0, "{packets} packets, {drops} drops");
    let kinds: Vec<_> = input["oddities"].as_array().unwrap().iter().map(|one| one["kind"].as_str().unwrap()).collect();
    assert!(kinds.contains(&"capture-drops"), "{kinds:?}");
    assert!(!report["calls"].to_string().contains("\"confidence\":\"likely\",\"rule\":\"next-hop-silent\""));
}

#[test]
fn what_has_arrived_when_a_signal_ends_the_run_is_looked_at() {
    let Some(network) = network("what has arrived at the end", &["ip", "tcpreplay"]) else { return };
    network.cable("tx0", "rx0");
    let mut program = network.follow(&["-i", "rx0", "--format", "json", "--live", "buffer=8M"]);
    program.signal("STOP");
    play(&network, &capture("server-overloaded"), &["--topspeed", "--loop=1000"]);
    program.signal("INT");
    program.signal("CONT");
    let ended = program.end();
    ended.is_good();
    let report: Value = serde_json::from_str(&ended.out).unwrap();
    let sent = 1000 * packets_in(&fs::read(capture("server-overloaded")).unwrap());
    let input = &report["inputs"][0];
    assert_eq!((input["packets"].as_u64(), input["drops"].as_u64()), (Some(sent), Some(0)), "{}", input["oddities"]);
}

#[test]
fn a_hangup_writes_the_reports_and_goes_on_and_rotated_ones_are_kept() {
    let Some(network) = network("hangup and rotation", &["ip", "tcpreplay"]) else { return };
    network.cable("tx0", "rx0");
    let mut program = network.follow(&["-i", "rx0", "-o", "r.json", "--format", "ndjson"]);
    play(&network, &capture("server-overloaded"), &["--topspeed"]);
    program.event("call", |_| true);
    program.signal("HUP");
    let until = Instant::now() + Duration::from_secs(5);
    while !network.path("r.json").exists() && Instant::now() < until {
        thread::sleep(Duration::from_millis(20));
    }
    let report: Value = serde_json::from_str(&fs::read_to_string(network.path("r.json")).unwrap()).unwrap();
    assert_eq!(report["calls"].as_array().unwrap().len(), 1);
    play(&network, &capture("recorded-vxlan-486"), &["--topspeed"]);
    program.event("failure", |event| event["status"] == 486);
    program.end_with("INT").is_good();
    let report: Value = serde_json::from_str(&fs::read_to_string(network.path("r.json")).unwrap()).unwrap();
    assert!(report["calls"].as_array().unwrap().len() >= 2, "all of it stands in the last report");

    let mut program =
        network.follow(&["-i", "rx0", "-o", "p.txt", "--rotate", "1s", "--keep", "2", "--format", "ndjson"]);
    play(&network, &capture("server-overloaded"), &["--topspeed"]);
    program.event("failure", |_| true);
    thread::sleep(Duration::from_millis(4500));
    program.end_with("INT").is_good();
    let mut periods: Vec<String> = fs::read_dir(network.folder.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
        .filter(|name| name.starts_with("p-"))
        .collect();
    periods.sort();
    assert_eq!(periods.len(), 2, "{periods:?}");
}

#[test]
fn a_slow_reader_costs_lines_and_no_packets() {
    let Some(network) = network("slow reader", &["ip", "tcpreplay"]) else { return };
    network.cable("tx0", "rx0");
    let mut command =
        network.command(env!("CARGO_BIN_EXE_sipwhy"), &["-i", "rx0", "--format", "ndjson", "--live", "queue=100K"]);
    command.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped());
    let (mut child, mut out, errors) = Program::spawn_unread(command);
    errors.recv_timeout(Duration::from_secs(20)).expect("it begins");
    thread::sleep(Duration::from_millis(300));
    play(&network, &capture("server-overloaded"), &["--pps=5000", "--loop=2000"]);
    // The reader wakes up.
    let reader = thread::spawn(move || {
        let mut text = String::new();
        out.read_to_string(&mut text).map(|_| text)
    });
    thread::sleep(SECOND);
    let _ = std::process::Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
    let begun = Instant::now();
    assert_eq!(child.wait().unwrap().code(), Some(0));
    assert!(begun.elapsed() < PROMPT);
    let text = reader.join().unwrap().unwrap();
    let events: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).expect("whole lines")).collect();
    let dropped = events.iter().filter(|event| event["kind"] == "lines-dropped");
    let dropped: u64 = dropped.map(|event| event["count"].as_u64().unwrap()).sum();
    assert!(dropped > 0, "{} lines came", events.len());
    let last = events.last().unwrap();
    let sent = 2000 * packets_in(&fs::read(capture("server-overloaded")).unwrap());
    assert_eq!(last["inputs"][0]["packets"], sent, "every packet was read");
}

fn packets_in(pcap: &[u8]) -> u64 {
    let (mut rest, mut count) = (&pcap[24..], 0);
    while rest.len() >= 16 {
        let length = u32::from_le_bytes(rest[8..12].try_into().unwrap()) as usize;
        rest = &rest[16 + length..];
        count += 1;
    }
    count
}

#[test]
fn a_reader_that_goes_away_ends_the_run_quietly() {
    let Some(network) = network("reader gone", &["ip", "tcpreplay"]) else { return };
    network.cable("tx0", "rx0");
    let mut command = network.command(env!("CARGO_BIN_EXE_sipwhy"), &["-i", "rx0", "--format", "ndjson", "-q"]);
    command.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped());
    let (mut child, out, errors) = Program::spawn_unread(command);
    drop(out);
    thread::sleep(Duration::from_millis(700));
    play(&network, &capture("server-overloaded"), &["--topspeed"]);
    assert_eq!(child.wait().unwrap().code(), Some(0));
    let complaints: Vec<String> = errors.iter().map(|(_, line)| line).collect();
    assert!(complaints.is_empty(), "{complaints:?}");
}

#[test]
fn a_disk_that_is_full_is_told_and_the_run_goes_on() {
    let Some(network) = network("full disk", &["ip", "tcpreplay"]) else { return };
    network.cable("tx0", "rx0");
    let mut program = network.follow(&["-i", "rx0", "-o", "/dev/full", "--format", "ndjson"]);
    program.signal("HUP");
    assert!(program.complaint("cannot write /dev/full", Duration::from_secs(5)).is_some());
    play(&network, &capture("server-overloaded"), &["--topspeed"]);
    program.event("failure", |event| event["status"] == 503);
    let ended = program.end_with("INT");
    assert_eq!(ended.status.code(), Some(4), "{ended:?}");
}

#[test]
fn a_ring_of_files_is_followed_while_tcpdump_and_dumpcap_write_it() {
    let Some(network) = network("rings of files", &["ip", "sipp", "tcpdump", "dumpcap"]) else { return };
    let _refuses = network.server(&["-sf", &refusing(&network, "404 Not Found", "")], 5080);
    let ring = network.path("ring");
    fs::create_dir(&ring).unwrap();
    let writers: [(&str, &[&str]); 2] = [
        ("tcpdump", &["-i", "lo", "-U", "-Z", "root", "-C", "1", "-W", "3", "-w", "ring/a.pcap"]),
        ("dumpcap", &["-q", "-i", "lo", "-b", "packets:8", "-b", "files:4", "-w", "ring/b.pcapng"]),
    ];
    for (writer, args) in writers {
        let _writer = network.start(writer, args);
        let until = Instant::now() + Duration::from_secs(5);
        while fs::read_dir(&ring).unwrap().next().is_none() && Instant::now() < until {
            thread::sleep(Duration::from_millis(50));
        }
        thread::sleep(Duration::from_millis(700));
        let mut program = network.follow(&["--follow", "ring", "--format", "ndjson"]);
        network.calls(5080, 7000, 10, 5);
        let mut told = 0;
        while told < 10 {
            program.event("failure", |event| event["status"] == 404);
            told += 1;
        }
        program.end_with("INT").is_good();
        for file in fs::read_dir(&ring).unwrap() {
            fs::remove_file(file.unwrap().path()).unwrap();
        }
    }
}

#[test]
fn a_story_that_is_played_live_gives_the_report_of_its_file() {
    let Some(network) = network("live and file agree", &["ip", "tcpreplay"]) else { return };
    network.cable("tx0", "rx0");
    let story = fs::read_to_string(capture("server-overloaded").with_file_name("story.txt")).unwrap();
    let file = network.path("story.pcap");
    fs::write(&file, Story::parse(&story).unwrap().capture()).unwrap();
    let program = network.follow(&["-i", "rx0", "--format", "json"]);
    play(&network, &file, &["--topspeed"]);
    thread::sleep(Duration::from_millis(500));
    let ended = program.end_with("INT");
    ended.is_good();
    let live: Value = serde_json::from_str(&ended.out).unwrap();
    let read = std::process::Command::new(env!("CARGO_BIN_EXE_sipwhy"))
        .arg(&file)
        .args(["--format", "json"])
        .output()
        .unwrap();
    let read: Value = serde_json::from_slice(&read.stdout).unwrap();
    for of_call in ["cause", "outcome", "final_status", "call_ids"] {
        assert_eq!(live["calls"][0][of_call], read["calls"][0][of_call], "{of_call}");
    }
}
