//! Nothing that a packet or the name of a file holds reaches an output raw that could move a cursor, hide or turn text,
//! or end a line: not in any format, not in a file, not in a message on standard error. And no number that a capture
//! names is too large to be counted.

use std::fs;
use std::path::Path;

use assert_cmd::Command;
use proptest::prelude::*;

fn sipwhy() -> Command {
    Command::new(env!("CARGO_BIN_EXE_sipwhy"))
}

/// Every format that the program says it has.
fn formats() -> Vec<String> {
    let help = String::from_utf8(sipwhy().arg("--help").output().expect("help").stdout).expect("UTF-8");
    let behind = help.split_once("--format <F>").expect("--format").1;
    let values = behind.split_once("[possible values:").or_else(|| behind.split_once("Possible values:"));
    let values = values.expect("the formats").1;
    let values = values.split_once(']').map_or(values, |(values, _)| values);
    let formats = values.split([',', '\n']).map(|word| word.trim().trim_start_matches("- "));
    let formats = formats.map(|word| word.split(':').next().unwrap_or_default());
    formats.take_while(|word| !word.contains(' ')).filter(|word| !word.is_empty()).map(str::to_owned).collect()
}

/// True for what must not be in any output: controls but line feed and tab, DEL, C1, what turns the direction of text,
/// what has no width, tags.
fn is_forbidden(character: char) -> bool {
    matches!(
        character,
        '\0'..='\u{8}' | '\u{b}'..='\u{1f}' | '\u{7f}'..='\u{9f}'
        | '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}'
        | '\u{e0000}'..='\u{e007f}'
    )
}

fn assert_safe(what: &str, bytes: &[u8]) {
    let text = std::str::from_utf8(bytes).unwrap_or_else(|error| panic!("{what}: {error}"));
    if let Some(found) = text.chars().find(|character| is_forbidden(*character)) {
        panic!("{what} holds {found:?}: {text:?}");
    }
}

/// A call that is refused, with a text wherever a text may stand.
fn messages(text: &str) -> [Vec<u8>; 2] {
    let common = format!(
        "Via: SIP/2.0/UDP 192.0.2.10;branch=z9hG4bK1{text}\r\nFrom: \"{text}\" <sip:{text}@example.com>;tag={text}\r\n\
         To: {text} <sip:b{text}@{text}>\r\nCall-ID: c{text}\r\nCSeq: 1 INVITE\r\nUser-Agent: {text}\r\nServer: {text}\r\n\
         {text}: {text}\r\nSubject: {text}\r\nContact: <sip:{text}@192.0.2.10>\r\n"
    );
    let sdp = format!(
        "v=0\r\no={text} 1 1 IN IP4 192.0.2.10\r\ns={text}\r\nc=IN IP4 {text}\r\nt=0 0\r\nm=audio 4000 RTP/{text} 8 101\r\n\
         a=rtpmap:101 {text}/8000\r\n"
    );
    let request = format!(
        "INVITE sip:{text}@example.com;{text}={text} SIP/2.0\r\n{common}Supported: {text}\r\nRequire: {text}\r\n\
         Authorization: Digest username=\"{text}\", realm=\"{text}\", nonce=\"{text}\"\r\n\
         Content-Type: application/sdp\r\nContent-Length: {}\r\n\r\n{sdp}",
        sdp.len()
    );
    let response = format!(
        "SIP/2.0 503 {text}\r\n{common}Retry-After: 5 ({text})\r\nReason: Q.850;cause=34;text=\"{text}\"\r\n\
         Warning: 399 {text} \"{text}\"\r\nWWW-Authenticate: Digest realm=\"{text}\", nonce=\"{text}\"\r\n\
         Error-Info: <sip:{text}>\r\nContent-Length: 0\r\n\r\n"
    );
    [request.into_bytes(), response.into_bytes()]
}

/// A pcap file of datagrams between two hosts that take turns.
fn capture(messages: &[Vec<u8>]) -> Vec<u8> {
    let words = [0xa1b2_c3d4_u32, 2 | (4 << 16), 0, 0, 262_144, 101];
    let mut file: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
    for (number, message) in (0_u32..).zip(messages) {
        let (from, to) = if number % 2 == 0 { (10, 20) } else { (20, 10) };
        let mut frame = vec![0x45, 0];
        frame.extend((28 + message.len() as u16).to_be_bytes());
        frame.extend([0, 0, 0x40, 0, 64, 17, 0, 0, 192, 0, 2, from, 192, 0, 2, to, 0x13, 0xc4, 0x13, 0xc4]);
        frame.extend((8 + message.len() as u16).to_be_bytes());
        frame.extend([0, 0]);
        frame.extend(message);
        let length = frame.len() as u32;
        file.extend([1_700_000_000 + number, 0, length, length].iter().flat_map(|word| word.to_le_bytes()));
        file.extend(frame);
    }
    file
}

/// Runs the program over a capture of this name, in every format and into every kind of file.
fn check(folder: &Path, name: &str, bytes: &[u8], formats: &[String]) {
    let path = folder.join(name);
    fs::write(&path, bytes).expect("a capture");
    for format in formats {
        let output = sipwhy().arg(&path).args(["--format", format]).output().expect("a run");
        assert_eq!(output.status.code(), Some(0), "{format}: {}", String::from_utf8_lossy(&output.stderr));
        let mentions = |part: &[u8]| output.stdout.windows(part.len()).any(|window| window == part);
        assert!(mentions(b"503"), "{format} does not tell of the call");
        assert_safe(format, &output.stdout);
        assert_safe("standard error", &output.stderr);
    }
    let [text, json] = ["report.txt", "report.json"].map(|name| folder.join(name));
    let output = sipwhy().arg(&path).arg("--all").arg("-o").arg(&text).arg("-o").arg(&json).output().expect("a run");
    assert_safe("--all", &output.stdout);
    for file in [&text, &json] {
        assert_safe("a file", &fs::read(file).expect("a report"));
    }
    // A file that is no capture is named in the complaint.
    fs::write(&path, "no capture").expect("a file");
    let output = sipwhy().arg(&path).output().expect("a run");
    assert_eq!(output.status.code(), Some(3));
    assert_safe("a complaint", &output.stderr);
    fs::remove_file(&path).expect("a file that was there");
}

/// Texts that do something to a terminal or a reader.
const HOSTILE: [&str; 12] = [
    "\u{1b}[31mred\u{1b}]0;title\u{7}",
    "\u{9b}31m",
    "\u{8}\u{8}\u{8}",
    "a\rb",
    "a\nb",
    "\u{7f}",
    "\u{202e}desrever\u{202c}",
    "\u{2066}\u{2069}",
    "\u{200b}\u{200d}\u{2060}",
    "\u{feff}",
    "\u{e0041}\u{e007f}",
    "\u{85}\u{2028}\u{2029}",
];

#[test]
fn no_text_of_a_stranger_reaches_an_output_raw() {
    let formats = formats();
    assert!(formats.len() >= 3 && formats.contains(&"text".to_owned()), "{formats:?}");
    let folder = tempfile::tempdir().expect("a folder");
    for text in HOSTILE {
        check(folder.path(), &format!("{text}.pcap"), &capture(&messages(text)), &formats);
    }
}

#[test]
fn no_mixture_of_them_does() {
    let formats = formats();
    let folder = tempfile::tempdir().expect("a folder");
    let config = ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(24) };
    let letter = prop_oneof![
        any::<char>(),
        prop::sample::select(HOSTILE.concat().chars().collect::<Vec<_>>()),
        prop::sample::select("<>\"';,:@%\\&=".chars().collect::<Vec<_>>()),
    ];
    let text = prop::collection::vec(letter, 1..12).prop_map(|letters| letters.into_iter().collect::<String>());
    proptest!(config, |(text in text)| {
        let name = text.replace(['/', '\0'], "_");
        check(folder.path(), &format!("x{name}.pcap"), &capture(&messages(&text)), &formats);
    });
}

#[test]
#[cfg(unix)]
fn a_report_is_for_its_owner_alone() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().expect("a folder");
    let [path, out] = ["call.pcap", "report.json"].map(|name| folder.path().join(name));
    fs::write(&path, capture(&messages("x"))).expect("a capture");
    // What was there with other rights is replaced, not written into.
    fs::write(&out, "old").expect("a file");
    fs::set_permissions(&out, fs::Permissions::from_mode(0o666)).expect("rights");
    sipwhy().arg(&path).arg("-o").arg(&out).assert().success();
    assert_eq!(fs::metadata(&out).expect("a report").permissions().mode() & 0o777, 0o600);
}

#[test]
#[cfg(unix)]
fn an_input_is_never_written_to_by_any_name() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("call.txt");
    let bytes = capture(&messages("x"));
    fs::write(&path, &bytes).expect("a capture");
    let [hard, soft] = ["hard.txt", "soft.txt"].map(|name| folder.path().join(name));
    fs::hard_link(&path, &hard).expect("a link");
    std::os::unix::fs::symlink(&path, &soft).expect("a link");
    for out in [&path, &hard, &soft] {
        let output = sipwhy().arg(&path).arg("-o").arg(out).output().expect("a run");
        assert_eq!(output.status.code(), Some(2), "{}", out.display());
        assert!(fs::read(&path).expect("the capture") == bytes);
    }
}

#[test]
#[cfg(target_os = "linux")]
fn a_full_disk_is_told_and_a_closed_pipe_is_not() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("call.pcap");
    fs::write(&path, capture(&messages("x"))).expect("a capture");
    let run = |out: std::process::Stdio| {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_sipwhy"));
        command.arg(&path).args(["--format", "json"]).stdout(out).stderr(std::process::Stdio::piped());
        command.spawn().expect("a run")
    };
    let full = fs::OpenOptions::new().write(true).open("/dev/full").expect("a full disk");
    let output = run(full.into()).wait_with_output().expect("an end");
    assert_eq!(output.status.code(), Some(4));
    assert_eq!(String::from_utf8_lossy(&output.stderr).lines().count(), 1);
    let (reader, writer) = std::io::pipe().expect("a pipe");
    drop(reader);
    let output = run(writer.into()).wait_with_output().expect("an end");
    assert_eq!((output.status.code(), output.stderr.as_slice()), (Some(0), &b""[..]));
}

#[test]
fn what_captures_say_that_they_lost_is_added_up_without_end() {
    let folder = tempfile::tempdir().expect("a folder");
    let story = format!("# All is lost.\nalice 192.0.2.10:5060\ndrops {}\nend 6", u64::MAX);
    let bytes = sipwhy::story::Story::parse(&story).expect("a story").capture();
    let captures = ["one.pcapng", "other.pcapng"].map(|name| folder.path().join(name));
    captures.iter().for_each(|path| fs::write(path, &bytes).expect("a capture"));
    for format in formats() {
        let output = sipwhy().args(["--format", &format]).args(&captures).output().expect("a run");
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!((output.status.code(), said.contains("internal error")), (Some(0), false), "{format}: {said}");
    }
}
