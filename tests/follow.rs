//! Files that are followed while they are written.

mod alive;

use std::fs::{self, File};
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::alive::{Program, capture};

const PATIENCE: Duration = Duration::from_secs(5);

fn follow(path: &Path, more: &[&str]) -> Program {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sipwhy"));
    command.arg("--follow").arg(path).args(more).env("SIPWHY_CONFIG", "");
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    Program::spawn(command)
}

/// The header of a capture, and its records.
fn parts(fixture: &str) -> (Vec<u8>, Vec<u8>) {
    let bytes = fs::read(capture(fixture)).unwrap();
    (bytes[..24].to_vec(), bytes[24..].to_vec())
}

fn has_status(event: &serde_json::Value, status: u64) -> bool {
    event["status"] == status
}

#[test]
fn a_file_is_followed_while_it_grows_byte_by_byte() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("call.pcap");
    let (head, records) = parts("server-overloaded");
    // The header itself comes late.
    let mut file = File::create(&path).unwrap();
    let mut program = follow(&path, &["--format", "ndjson"]);
    std::thread::sleep(Duration::from_millis(200));
    file.write_all(&head).unwrap();
    for piece in records.chunks(300) {
        file.write_all(piece).unwrap();
        std::thread::sleep(Duration::from_millis(15));
    }
    program.event("failure", |event| has_status(event, 503));
    let ended = program.end_with("INT");
    ended.is_good();
    assert!(!ended.out.contains("\"oddity\""), "nothing is odd about a file that is being written: {}", ended.out);
}

#[test]
fn a_file_is_followed_by_those_that_its_writer_puts_behind_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("call.pcap");
    let (head, records) = parts("server-overloaded");
    let middle = records.len() / 2;
    // The call is cut between two records of the capture: the first of them ends in the first file.
    let first = 16 + u32::from_le_bytes(records[8..12].try_into().unwrap()) as usize;
    assert!(first < middle);
    fs::write(&path, [&head[..], &records[..first]].concat()).unwrap();
    let mut program = follow(&path, &["--format", "ndjson"]);
    program.event("message", |event| event["method"] == "INVITE");
    std::thread::sleep(Duration::from_millis(50));
    fs::write(folder.path().join("call.pcap1"), [&head[..], &records[first..]].concat()).unwrap();
    program.event("failure", |event| has_status(event, 503));
    // The name is used again for another file.
    std::thread::sleep(Duration::from_millis(300));
    let (head, records) = parts("recorded-vxlan-486");
    fs::write(folder.path().join("new"), [&head[..], &records[..]].concat()).unwrap();
    fs::rename(folder.path().join("new"), &path).unwrap();
    let now = std::time::SystemTime::now();
    File::options().write(true).open(&path).unwrap().set_modified(now).unwrap();
    program.event("failure", |event| has_status(event, 486));
    program.end_with("TERM").is_good();
}

#[test]
fn a_file_that_is_written_from_its_start_again_is_read_again() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("call.pcap");
    let long = fs::read(capture("recorded-fragmented-invite-404")).unwrap();
    fs::write(&path, &long).unwrap();
    let mut program = follow(&path, &["--format", "ndjson"]);
    program.event("failure", |event| has_status(event, 404));
    let (head, records) = parts("server-overloaded");
    let short = [&head[..], &records[..]].concat();
    assert!(short.len() < long.len(), "the file must be seen to be shorter");
    fs::write(&path, short).unwrap();
    program.event("failure", |event| has_status(event, 503));
    program.end_with("INT").is_good();
}

#[test]
fn a_folder_that_is_empty_is_waited_for() {
    let folder = tempfile::tempdir().unwrap();
    let mut program = follow(folder.path(), &[]);
    assert!(program.complaint("following", PATIENCE).is_some());
    fs::write(folder.path().join("notes.txt"), "this is no capture, and is passed over\n").unwrap();
    fs::copy(capture("server-overloaded"), folder.path().join("a.pcap")).unwrap();
    let (_, line) = program.line(PATIENCE, |line| line.contains('✖')).expect("a line");
    assert!(line.contains("  503  "), "{line}");
    let ended = program.end_with("HUP");
    ended.is_good();
    assert!(ended.out.contains("FAILED"), "{}", ended.out);
}

#[test]
fn a_pcapng_file_is_followed_by_its_blocks() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("call.pcapng");
    let pcap = fs::read(capture("server-overloaded")).unwrap();
    let mut blocks = vec![section_and_interface()];
    let mut rest = &pcap[24..];
    while rest.len() >= 16 {
        let word = |at: usize| u32::from_le_bytes(rest[at..at + 4].try_into().unwrap());
        let length = word(8) as usize;
        blocks.push(enhanced_packet(u64::from(word(0)) * 1_000_000 + u64::from(word(4)), &rest[16..16 + length]));
        rest = &rest[16 + length..];
    }
    let mut file = File::create(&path).unwrap();
    file.write_all(&blocks[0]).unwrap();
    let mut program = follow(&path, &["--format", "ndjson"]);
    for block in &blocks[1..] {
        let (one, other) = block.split_at(block.len() / 2);
        for half in [one, other] {
            file.write_all(half).unwrap();
            std::thread::sleep(Duration::from_millis(40));
        }
    }
    program.event("failure", |event| has_status(event, 503));
    program.end_with("INT").is_good();
}

/// The records of a capture.
fn records(mut bytes: &[u8]) -> Vec<Vec<u8>> {
    let mut records = Vec::new();
    while bytes.len() >= 16 {
        let length = 16 + u32::from_le_bytes(bytes[8..12].try_into().unwrap()) as usize;
        records.push(bytes[..length].to_vec());
        bytes = &bytes[length..];
    }
    records
}

#[test]
fn what_is_piped_in_is_told_as_it_comes_and_ends_with_its_writer() {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sipwhy"));
    command.args(["--follow", "-", "--format", "ndjson"]).env("SIPWHY_CONFIG", "");
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let (reader, mut writer) = std::io::pipe().unwrap();
    command.stdin(reader);
    let mut program = Program::spawn(command);
    assert!(program.complaint("following standard input", PATIENCE).is_some());
    let (head, all) = parts("server-overloaded");
    let records = records(&all);
    writer.write_all(&head[..10]).unwrap();
    std::thread::sleep(Duration::from_millis(100));
    writer.write_all(&head[10..]).unwrap();
    // Each is told before the next one is written.
    for (record, what) in records.iter().zip(["INVITE", "100", "503", "ACK"]) {
        let (one, other) = record.split_at(record.len() / 2);
        writer.write_all(one).unwrap();
        std::thread::sleep(Duration::from_millis(30));
        writer.write_all(other).unwrap();
        program.event("message", |event| match what.parse::<u64>() {
            Ok(status) => has_status(event, status),
            Err(_) => event["method"] == what,
        });
    }
    program.event("failure", |event| has_status(event, 503));
    writer.write_all(&records[4][..20]).unwrap();
    drop(writer);
    let ended = program.end();
    assert_eq!(ended.status.code(), Some(0), "{ended:?}");
    assert!(
        ended.out.contains("\"truncated-file\"") || ended.out.contains("\"oddity\""),
        "half a packet is told: {}",
        ended.out
    );
}

#[test]
fn what_is_piped_in_and_no_capture_is_refused() {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sipwhy"));
    command.args(["--follow", "-"]).env("SIPWHY_CONFIG", "").stdout(Stdio::piped()).stderr(Stdio::piped());
    let (reader, mut writer) = std::io::pipe().unwrap();
    command.stdin(reader);
    let mut program = Program::spawn(command);
    writer.write_all(b"INVITE sip:bob@example.com SIP/2.0, and no capture\n").unwrap();
    let ended = program.end();
    assert_eq!(ended.status.code(), Some(3), "{ended:?}");
    assert!(ended.err.contains("is not a capture"), "{ended:?}");
}

#[test]
fn a_clock_that_is_put_back_lets_nobody_wait_for_an_hour() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("call.pcap");
    let (head, all) = parts("server-overloaded");
    let mut records = records(&all);
    // From the response on the stamps are an hour earlier.
    for record in &mut records[2..] {
        let seconds = u32::from_le_bytes(record[..4].try_into().unwrap()) - 3600;
        record[..4].copy_from_slice(&seconds.to_le_bytes());
    }
    fs::write(&path, [&head, records[..2].concat().as_slice()].concat()).unwrap();
    let mut program = follow(&path, &["--format", "ndjson"]);
    program.event("message", |event| has_status(event, 100));
    let mut file = File::options().append(true).open(&path).unwrap();
    file.write_all(&records[2..4].concat()).unwrap();
    let (_, failure) = program.event("failure", |_| true);
    assert_eq!((&failure["status"], &failure["outcome"]), (&503.into(), &"failed".into()), "{failure}");
    // Half a minute later by the new clock the call has ended, once.
    file.write_all(&records[4]).unwrap();
    let (_, call) = program.event("call", |_| true);
    assert_eq!(call["final_status"], 503, "{call}");
    let ended = program.end_with("INT");
    ended.is_good();
    assert!(ended.out.contains("\"clock-set\""), "{}", ended.out);
    assert!(!ended.out.contains("\"type\":\"call\""), "{}", ended.out);
}

fn block(kind: u32, body: &[u8]) -> Vec<u8> {
    let padded = body.len().next_multiple_of(4);
    let length = (padded as u32 + 12).to_le_bytes();
    let padding = vec![0; padded - body.len()];
    [&kind.to_le_bytes(), &length, body, &padding, &length].concat()
}

fn section_and_interface() -> Vec<u8> {
    let section = [&0x1a2b_3c4d_u32.to_le_bytes()[..], &[1, 0, 0, 0], &[0xff; 8]].concat();
    [block(0x0a0d_0d0a, &section), block(1, &[1, 0, 0, 0, 0, 0, 4, 0])].concat()
}

fn enhanced_packet(microseconds: u64, bytes: &[u8]) -> Vec<u8> {
    let length = (bytes.len() as u32).to_le_bytes();
    let (high, low) = ((microseconds >> 32) as u32, microseconds as u32);
    block(6, &[&[0; 4], &high.to_le_bytes()[..], &low.to_le_bytes(), &length, &length, bytes].concat())
}

#[test]
fn what_cannot_be_followed_is_said() {
    let folder = tempfile::tempdir().unwrap();
    let run = |args: &[&str]| {
        let done = Command::new(env!("CARGO_BIN_EXE_sipwhy")).args(args).stdin(Stdio::null()).output().unwrap();
        (done.status.code(), String::from_utf8_lossy(&done.stderr).into_owned())
    };
    let missing = folder.path().join("missing.pcap");
    let text = folder.path().join("notes.txt");
    fs::write(&text, "this is no capture, and long enough to be told from the beginning of one\n").unwrap();
    for path in [&missing, &text] {
        let (status, said) = run(&["--follow", path.to_str().unwrap()]);
        assert_eq!((status, said.lines().count()), (Some(3), 1), "{said}");
    }
    for args in
        [&["--rotate", "1h", "x.pcap"][..], &["--follow", "x", "--rotate", "soon"], &["--follow", "x", "--live", "y=1"]]
    {
        assert_eq!(run(args).0, Some(2), "{args:?}");
    }
}
