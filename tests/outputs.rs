//! Reports as files: every format, what must never be in one, captures that are written anew.

mod analysed;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use analysed::{Fixture, fixtures, report, root};
use sipwhy::capture::{Files, Input, Reading, Source};
use sipwhy::report::Report;
use sipwhy::story::Story;
use tempfile::TempDir;

/// Two calls at once, one of which fails, with names, numbers, credentials and markup where only text should be.
const HOSTILE: &str = "\
# A call with markup in it and one without.
alice 192.0.2.10:5060
carol 192.0.2.11:5060
proxy 198.51.100.20:5060

0.000  alice -> proxy  INVITE sip:+12025550123@198.51.100.20
                       From: \"<img src=x onerror=alert(1)>\" <sip:+12025550101@192.0.2.10>;tag=a
                       Authorization: Digest username=\"alice\", realm=\"secret.example\", nonce=\"n0nce5ecret\", uri=\"sip:x\", response=\"5ecretresponse\"
                       User-Agent: =HYPERLINK(\"http://evil.example\")
0.020  proxy -> alice  403 [click](http://evil.example) </script><script>alert(1)</script>
0.021  alice -> proxy  ACK
call other
1.000  carol -> proxy  INVITE sip:+12025550199@198.51.100.20
1.100  proxy -> carol  180 Ringing
2.000  proxy -> carol  200 OK
2.100  carol -> proxy  ACK
9.000  carol -> proxy  BYE
9.100  proxy -> carol  200 OK
end 60.0
";

/// Every format, by the ending of its file.
const ENDINGS: [&str; 9] = ["txt", "md", "html", "json", "ndjson", "csv", "svg", "mmd", "junit.xml"];

fn program() -> Command {
    let mut program = Command::new(env!("CARGO_BIN_EXE_sipwhy"));
    program.env("SIPWHY_CONFIG", "").current_dir(root());
    program
}

/// Runs the program, which must end well; gives what it printed.
fn run(arguments: &[&str]) -> String {
    let output = program().args(arguments).output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{arguments:?}: {errors}");
    String::from_utf8(output.stdout).unwrap()
}

struct Place {
    folder: TempDir,
    capture: PathBuf,
}

impl Place {
    fn of(story: &str) -> Place {
        let folder = TempDir::new().unwrap();
        let capture = folder.path().join("call.pcap");
        fs::write(&capture, Story::parse(story).unwrap().capture()).unwrap();
        Place { folder, capture }
    }

    fn path(&self, name: &str) -> String {
        self.folder.path().join(name).to_str().unwrap().to_owned()
    }

    /// Writes the capture in the format of this ending.
    fn written(&self, ending: &str, arguments: &[&str]) -> Vec<u8> {
        let out = self.path(&format!("out.{ending}"));
        let capture = self.capture.to_str().unwrap();
        run(&[&[capture, "-q", "-o", &out], arguments].concat());
        fs::read(out).unwrap()
    }

    fn text(&self, ending: &str, arguments: &[&str]) -> String {
        String::from_utf8(self.written(ending, arguments)).unwrap()
    }
}

#[test]
fn every_format_is_the_same_twice_and_nobody_elses() {
    let place = Place::of(HOSTILE);
    for ending in ENDINGS.into_iter().chain(["pcapng"]) {
        for arguments in [&["--all"][..], &["--redact"], &["--ticket"]] {
            let first = place.written(ending, arguments);
            assert!(!first.is_empty(), "{ending}");
            assert_eq!(first, place.written(ending, arguments), "{ending} {arguments:?}");
        }
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            let mode = fs::metadata(place.path(&format!("out.{ending}"))).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600, "{ending}");
        }
    }
}

#[test]
fn no_report_shows_secrets_unless_asked_for_and_then_says_so() {
    let place = Place::of(HOSTILE);
    for ending in ENDINGS {
        for arguments in [&["--all"][..], &["--ticket", "--all"]] {
            let text = place.text(ending, arguments);
            for secret in ["n0nce5ecret", "5ecretresponse"] {
                assert!(!text.contains(secret), "{secret} in {ending}");
            }
        }
    }
    let shown = place.text("html", &["--all", "--show-secrets"]);
    assert!(shown.contains("5ecretresponse") && shown.contains("CONFIDENTIAL"));
    for ending in ["txt", "md", "json"] {
        assert!(place.text(ending, &["--show-secrets"]).contains("CONFIDENTIAL"), "{ending}");
    }
}

#[test]
fn redaction_leaves_no_person_in_any_format() {
    let place = Place::of(HOSTILE);
    let persons =
        ["2025550123", "2025550101", "2025550199", "192.0.2.10", "198.51.100.20", "secret.example", "n0nce5ecret"];
    for ending in ENDINGS.into_iter().chain(["pcapng"]) {
        let bytes = place.written(ending, &["--redact", "--all"]);
        let text = String::from_utf8_lossy(&bytes);
        for person in persons {
            assert!(!text.contains(person), "{person} in {ending}");
        }
    }
    let only_numbers = place.text("json", &["--redact=numbers", "--all"]);
    assert!(only_numbers.contains("192.0.2.10") && !only_numbers.contains("2025550123"));
}

/// The addresses and hosts that a report names, of the ranges and domains that are for documents (RFC 5737, RFC 2606).
fn addresses_and_hosts(report: &str) -> BTreeSet<&str> {
    let words = report.split(|letter: char| !letter.is_ascii_alphanumeric() && letter != '.' && letter != '-');
    let words = words.map(|word| word.trim_matches(['.', '-']));
    let is_address = |word: &str| {
        word.parse::<std::net::Ipv4Addr>().is_ok()
            && ["192.0.2.", "198.51.100.", "203.0.113."].iter().any(|net| word.starts_with(net))
    };
    let is_host =
        |word: &str| [".example", ".example.com", ".example.net", ".example.org"].iter().any(|end| word.ends_with(end));
    words.filter(|word| is_address(word) || is_host(word)).collect()
}

/// The numbers that a report names, of the ranges that are for fiction, and the people of the fixtures.
fn numbers_and_people(report: &str) -> BTreeSet<&str> {
    let words = report.split(|letter: char| !letter.is_ascii_alphanumeric());
    let is_number = |word: &str| {
        (10..=15).contains(&word.len()) && word.bytes().all(|byte| byte.is_ascii_digit()) && word.contains("5550")
    };
    let is_person = |word: &str| ["alice", "bob", "carol", "dave", "miller", "nosuchuser"].contains(&word);
    words.filter(|word| is_number(word) || is_person(word)).collect()
}

#[test]
fn redaction_leaves_no_address_no_host_no_number_and_no_person_of_any_fixture() {
    let (mut named, mut left) = (0, Vec::new());
    for together in fixtures().chunks(20) {
        let captures: Vec<&str> = together.iter().map(|fixture| fixture.capture.to_str().unwrap()).collect();
        let report = |more: &[&str]| run(&[&captures, &["-q", "--all", "--format", "json"][..], more].concat());
        let (own, redacted) = (report(&[]), report(&["--redact"]));
        let people = numbers_and_people(&own);
        let shown = numbers_and_people(&redacted);
        left.extend(people.intersection(&shown).map(|word| format!("{captures:?}: {word}")));
        let own = addresses_and_hosts(&own);
        left.extend(own.iter().filter(|word| redacted.contains(**word)).map(|word| format!("{captures:?}: {word}")));
        named += own.len() + people.len();
    }
    assert!(left.is_empty(), "{left:#?}");
    assert!(named > 250, "{named}");
}

#[test]
fn redaction_leaves_no_signed_token_and_the_diagnosis_stays() {
    let folder = TempDir::new().unwrap();
    let out = folder.path().join("out.pcapng");
    let mut tokens = 0;
    for name in
        ["number-changed-after-signing", "attestation-low", "attestation-low-near-miss-full", "healthy-large-invite"]
    {
        let capture = root().join("fixtures").join(name).join("capture.pcap");
        let capture = capture.to_str().unwrap();
        let html = run(&[capture, "-q", "--all", "--redact", "--format", "html"]);
        run(&[capture, "-q", "--redact", "-o", out.to_str().unwrap()]);
        let (own, rewritten) = (fs::read(capture).unwrap(), fs::read(&out).unwrap());
        let (own, rewritten) = (String::from_utf8_lossy(&own), String::from_utf8_lossy(&rewritten));
        let parts = own.split(|letter: char| !letter.is_ascii_alphanumeric() && letter != '-' && letter != '_');
        for part in parts.filter(|part| part.starts_with("eyJ")) {
            tokens += 1;
            let text =
                String::from_utf8(base64::Engine::decode(&base64::prelude::BASE64_URL_SAFE_NO_PAD, part).unwrap());
            if text.unwrap().contains("orig") {
                assert!(!html.contains(part) && !rewritten.contains(part), "{name}: {part}");
            }
        }
        for host in ["cert.example", "certs.example"].iter().filter(|host| own.contains(**host)) {
            assert!(!html.contains(host) && !rewritten.contains(host), "{name}: {host}");
        }
        let (own, redacted) = (report(&[capture.into()]).unwrap(), report(std::slice::from_ref(&out)).unwrap());
        assert_eq!(ends(&own), ends(&redacted), "{name}");
    }
    assert!(tokens >= 4, "{tokens}");
}

#[test]
fn redaction_leaves_our_own_words() {
    let text = run(&["fixtures/scanner/capture.pcap", "-q", "--redact"]);
    assert!(text.contains("A scanner tries addresses and extensions"), "{text}");
}

#[test]
fn the_page_has_one_script_and_nothing_from_elsewhere() {
    let page = Place::of(HOSTILE).text("html", &["--all"]);
    assert_eq!(page.matches("<script").count(), 1);
    for markup in ["<img", "<iframe", "<link", "<object", "src=\"", "url(", "@import", "style=\"", "javascript:"] {
        assert!(!page.contains(markup), "{markup}");
    }
    assert!(page.contains("default-src 'none'") && !page.contains("unsafe-inline"));
    assert!(page.contains("&lt;img src=x onerror=alert(1)&gt;"));
    assert!(page.contains("<mark>SIP/2.0 403"), "the decisive line is marked");
    assert!(page.contains("Beside a request that went well"), "a good call stands beside the bad one");
    let anchors: Vec<&str> = page.split("href=\"#").skip(1).filter_map(|rest| rest.split('"').next()).collect();
    assert!(anchors.len() > 10);
    for anchor in anchors {
        assert!(page.contains(&format!("id=\"{anchor}\"")), "#{anchor} leads nowhere");
    }
}

#[test]
fn tables_and_texts_hold_no_live_formula_nor_link() {
    let place = Place::of(HOSTILE);
    let csv = place.text("csv", &["--all"]);
    assert!(csv.lines().skip(1).all(|line| !line.contains(",=") && !line.contains("\"=")), "{csv}");
    assert_eq!(csv.lines().count(), 3);
    let markdown = place.text("md", &["--all"]);
    assert!(!markdown.contains("](http") || markdown.contains("\\](http"));
    assert!(!markdown.contains("<script>alert") || markdown.contains("\\<script"));
    let mermaid = place.text("mmd", &[]);
    assert!(mermaid.contains("sequenceDiagram") && !mermaid.contains("<script"));
    let junit = place.text("junit.xml", &["--all"]);
    assert!(junit.contains("tests=\"2\" failures=\"1\"") && !junit.contains("<script"));
}

#[test]
fn pages_tell_where_a_response_came_from_and_of_a_good_call() {
    let capture = "fixtures/trunk-congested-from-a-moment-on/capture.pcap";
    for format in ["text", "md", "html"] {
        let page = run(&[capture, "--format", format]);
        let words = page.split_whitespace().filter(|word| *word != "│").collect::<Vec<_>>().join(" ");
        for says in ["itself most likely made the 503", "that was accepted"] {
            assert!(words.contains(says), "{format}: {says}");
        }
    }
}

#[test]
fn a_page_begins_its_details_with_what_failed() {
    let page = run(&["fixtures/trunk-congested-from-a-moment-on/capture.pcap", "--all", "--format", "html"]);
    let first_good = page.find("class=\"card good\"").expect("a call that went well");
    let last_bad = page.rfind("class=\"card bad\" id=\"call-").expect("a call that failed");
    assert!(last_bad < first_good);
}

#[test]
fn a_page_shows_what_stands_between_backticks_as_code() {
    let page = run(&["fixtures/challenge-not-answered-registration/capture.pcap", "--format", "html"]);
    assert!(page.contains("<code>type=auth</code>") && !page.contains('`'));
}

#[test]
fn what_is_published_is_no_subscription_and_a_pause_of_no_time_is_none() {
    let place = Place::of(
        "# State that nobody takes.\nwatcher 192.0.2.10:5060\nserver 192.0.2.20:5060\n\n\
         0.000  watcher -> server  PUBLISH sip:watcher@example.com\n\
         0.010  server -> watcher  503 Service Unavailable\n                       Retry-After: 0\nend 60.0\n",
    );
    let text = place.text("txt", &[]);
    assert!(text.contains("PUBLISH 1  ") && !text.contains("SUBSCRIPTION"), "{text}");
    assert!(text.contains("its Retry-After asks for no pause"), "{text}");
}

#[test]
fn a_ticket_says_what_a_carrier_needs() {
    let place = Place::of(HOSTILE);
    let ticket = run(&[place.capture.to_str().unwrap(), "--ticket", "-q"]);
    for label in
        ["Summary", "Call-ID", "Time of INVITE", "From", "Request-URI", "Response", "Sent by", "Question", "SHA-256"]
    {
        assert!(ticket.contains(label), "{label} is missing");
    }
    assert!(ticket.lines().all(|line| line.chars().count() <= 80), "{ticket}");
}

/// Bytes, times and lengths of the packets of a capture.
fn packets(path: &Path) -> Vec<(i64, u32, u32, Vec<u8>)> {
    let mut files = Files::open(&[path.to_owned()], Reading::default()).unwrap();
    let mut packets = Vec::new();
    while let Some(input) = files.next().unwrap() {
        if let Input::Packet(packet) = input {
            packets.push((packet.time.0, packet.link.0, packet.original_len, packet.bytes.to_vec()));
        }
    }
    packets
}

#[test]
fn an_annotated_capture_holds_the_same_packets() {
    let folder = TempDir::new().unwrap();
    let out = folder.path().join("out.pcapng");
    let mut commented = 0;
    for Fixture { capture, .. } in fixtures().iter().step_by(9) {
        run(&[capture.to_str().unwrap(), "-q", "-o", out.to_str().unwrap()]);
        assert_eq!(packets(&root().join(capture)), packets(&out), "{}", capture.display());
        commented += usize::from(fs::read(&out).unwrap().windows(8).any(|bytes| bytes == b"sipwhy ["));
        // Once more, from pcapng.
        let again = folder.path().join("again.pcapng");
        run(&[out.to_str().unwrap(), "-q", "-o", again.to_str().unwrap()]);
        assert_eq!(packets(&out), packets(&again), "{}", capture.display());
    }
    assert!(commented > 10, "only {commented} have comments");
}

#[test]
fn wireshark_finds_the_comments() {
    let place = Place::of(HOSTILE);
    place.written("pcapng", &[]);
    let tshark = Command::new("tshark")
        .args(["-r", &place.path("out.pcapng"), "-Y", "frame.comment contains \"sipwhy\"", "-T", "fields"])
        .args(["-e", "frame.number", "-e", "frame.comment"])
        .output();
    let Ok(tshark) = tshark else { return println!("tshark is not installed: nothing was compared") };
    let text = String::from_utf8_lossy(&tshark.stdout).into_owned();
    assert!(text.starts_with("1\t") && text.contains("\n2\t"), "{text}");
    assert!(text.lines().all(|line| line.contains("sipwhy [refused-by-policy] possible")), "{text}");
}

#[test]
fn a_capture_of_chosen_calls_holds_all_of_them_and_nothing_else() {
    let place = Place::of(HOSTILE);
    for (number, own, other) in [("1", "2025550123", "2025550199"), ("2", "2025550199", "2025550123")] {
        let bytes = place.written("pcapng", &["--call", number]);
        let text = String::from_utf8_lossy(&bytes).into_owned();
        assert!(text.contains(own) && !text.contains(other), "call {number}");
    }
    assert_eq!(packets(Path::new(&place.path("out.pcapng"))).len(), 6);
}

#[test]
fn fragments_segments_and_errors_of_chosen_calls_are_taken() {
    let folder = TempDir::new().unwrap();
    let out = folder.path().join("out.pcapng");
    let mut compared = 0;
    for Fixture { name, capture } in fixtures() {
        let path = root().join(&capture);
        let whole = report(std::slice::from_ref(&path)).unwrap();
        let [call] = whole.calls.as_slice() else { continue };
        if capture.extension().is_none_or(|ending| ending != "pcap") || call.ladder.is_empty() {
            continue;
        }
        compared += 1;
        run(&[capture.to_str().unwrap(), "-q", "--call", "1", "-o", out.to_str().unwrap()]);
        let chosen = report(std::slice::from_ref(&out)).unwrap();
        let labels = |report: &Report| -> Vec<(String, u32)> {
            let rungs = report.calls.iter().flat_map(|call| &call.ladder);
            rungs.map(|rung| (rung.label.raw().to_owned(), rung.repeats)).collect()
        };
        assert_eq!(labels(&whole), labels(&chosen), "{name}");
    }
    assert!(compared > 50, "only {compared} were compared");
}

#[test]
fn an_encrypted_call_that_was_chosen_can_still_be_decrypted() {
    let folder = TempDir::new().unwrap();
    let out = folder.path().join("out.pcapng");
    let (capture, keys) = ("tests/tls/ciphers.pcap", "tests/tls/ciphers.keys.txt");
    let call_ids = |capture: &str| -> Vec<String> {
        let text = run(&[capture, "-q", "--keylog", keys, "--format", "json"]);
        let report: Report = serde_json::from_str(&text).unwrap();
        report.calls.iter().map(|call| call.call_ids[0].raw().to_owned()).collect()
    };
    let all = call_ids(capture);
    assert!(all.len() > 1);
    run(&[capture, "-q", "--keylog", keys, "--call", &all[1], "-o", out.to_str().unwrap()]);
    assert_eq!(call_ids(out.to_str().unwrap()), [all[1].clone()]);
}

/// How each call ended, and why.
fn ends(report: &Report) -> BTreeMap<u32, (String, Option<String>)> {
    report.calls.iter().map(|call| (call.id, (format!("{:?}", call.outcome), call.cause.clone()))).collect()
}

#[test]
fn a_redacted_capture_is_diagnosed_as_the_true_one() {
    let folder = TempDir::new().unwrap();
    let out = folder.path().join("out.pcapng");
    let (mut compared, mut same) = (0, 0);
    let mut different = Vec::new();
    for Fixture { name, capture } in fixtures().iter().step_by(3) {
        run(&[capture.to_str().unwrap(), "-q", "--redact", "-o", out.to_str().unwrap()]);
        let (own, redacted) = (report(&[root().join(capture)]).unwrap(), report(std::slice::from_ref(&out)).unwrap());
        compared += 1;
        if ends(&own) == ends(&redacted) {
            same += 1;
        } else {
            different.push(name.clone());
        }
    }
    // What hangs on packets that carry no message, on passwords or on bodies that are struck out cannot be the same.
    assert!(same * 100 >= compared * 85, "{same} of {compared}; different: {different:?}");
}

#[test]
fn calls_are_chosen_by_display_filters() {
    let place = Place::of(HOSTILE);
    let capture = place.capture.to_str().unwrap();
    let chosen = |filter: &str| -> Vec<u32> {
        let text = run(&[capture, "-q", "--format", "json", "-Y", filter]);
        let report: Report = serde_json::from_str(&text).unwrap();
        report.calls.iter().map(|call| call.id).collect()
    };
    assert_eq!(chosen("sip.Status-Code == 403 && ip.addr == 198.51.100.20"), [1]);
    assert_eq!(chosen("sip.Method == \"BYE\""), [2]);
    assert_eq!(chosen("sip.Status-Code in {180, 403} and not sip.Method"), [1, 2]);
    assert_eq!(chosen("sip.r-uri.user contains \"0199\" or sip.auth.username == alice"), [1, 2]);
    assert_eq!(chosen("ip.src == 203.0.113.0/24"), [0_u32; 0]);
    let refused = program().args([capture, "-Y", "sip.Status_Code"]).output().unwrap();
    assert_eq!(refused.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&refused.stderr).contains("sip.Status-Code"));
}

#[test]
fn addresses_have_the_names_that_were_given_and_redaction_hides_these_too() {
    let place = Place::of(HOSTILE);
    let names = place.path("names.toml");
    fs::write(&names, "[peers]\n\"198.51.100.20\" = \"Carrier A\"\n[us]\n\"192.0.2.10\" = \"PBX\"\n").unwrap();
    for ending in ["txt", "md", "html", "svg", "mmd"] {
        let text = place.text(ending, &["--names", &names]);
        assert!(text.contains("Carrier A") && text.contains("PBX"), "{ending}");
        assert!(!place.text(ending, &["--names", &names, "--redact"]).contains("Carrier A"), "{ending}");
    }
    let config = place.path("config.toml");
    fs::write(&config, "tz = \"Europe/Berlin\"\nnames = \"names.toml\"\n").unwrap();
    let output = program().env("SIPWHY_CONFIG", &config).arg(&place.capture).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.contains("Berlin") && text.contains("Carrier A"), "{text}");
}

#[test]
fn figures_are_those_of_the_capture() {
    let place = Place::of(HOSTILE);
    let capture = place.capture.to_str().unwrap();
    let figures: serde_json::Value = serde_json::from_str(&run(&["stats", capture, "--format", "json"])).unwrap();
    assert_eq!(figures["sessions"]["attempts"], 2);
    assert_eq!(figures["sessions"]["established"], 1);
    assert_eq!(figures["delays"]["successful_session_request"]["median"], 0.1);
    assert_eq!(figures["delays"]["session_duration"]["median"], 7.0);
    assert_eq!(figures["peers"]["198.51.100.20"]["failed"], 1);
    assert_eq!(figures["codes"]["403"], 1);
    let text = run(&["stats", capture]);
    assert!(text.contains("SER   session establishment ratio (§4.6)                50.0 %"), "{text}");
    assert!(run(&["stats", capture, "--format", "svg"]).contains("<svg"));
}

#[test]
fn times_of_ladders_are_told_as_asked() {
    let place = Place::of(HOSTILE);
    let capture = place.capture.to_str().unwrap();
    for (times, shown) in [("r", "+0.021"), ("a", ".021   "), ("d", "+0.001"), ("e", ".021   ")] {
        let text = run(&[capture, "-q", "--call", "1", "-t", times]);
        assert!(text.contains(shown), "-t {times}: {text}");
    }
}

#[test]
fn a_browser_opens_the_page_and_nothing_of_the_capture_runs() {
    let place = Place::of(HOSTILE);
    place.written("html", &["--all"]);
    let dumped = Command::new("chromium")
        .args(["--headless=new", "--no-sandbox", "--disable-gpu", "--dump-dom"])
        .arg(format!("--user-data-dir={}", place.path("browser")))
        .arg(format!("file://{}", place.path("out.html")))
        .output();
    let Ok(dumped) = dumped else { return println!("chromium is not installed: nothing was opened") };
    let page = String::from_utf8_lossy(&dumped.stdout).into_owned();
    if page.is_empty() {
        return println!("chromium could not run here: {}", String::from_utf8_lossy(&dumped.stderr));
    }
    assert!(page.contains("2 of 2 shown"), "the script did not run");
    assert!(page.contains("<th><button type=\"button\">cause</button></th>"), "the table cannot be sorted");
    assert!(!page.contains("<img") && page.matches("<script").count() == 1);
}

/// What a page holds after a script of ours has run in it; `None` where there is no browser. The page's own policy
/// would refuse a stranger's script, so it is taken away.
fn after_script(place: &Place, script: &str) -> Option<String> {
    let page = fs::read_to_string(place.path("out.html")).unwrap();
    let page = page.replace("http-equiv=\"Content-Security-Policy\"", "name=\"policy\"");
    let page = page.replace("</body>", &format!("<script>{script}</script></body>"));
    fs::write(place.path("scripted.html"), page).unwrap();
    let dumped = Command::new("chromium")
        .args(["--headless=new", "--no-sandbox", "--disable-gpu", "--dump-dom"])
        .arg(format!("--user-data-dir={}", place.path("browser")))
        .arg(format!("file://{}", place.path("scripted.html")))
        .output();
    let page = String::from_utf8_lossy(&dumped.ok()?.stdout).into_owned();
    (!page.is_empty()).then_some(page)
}

#[test]
fn a_browser_sorts_and_filters_the_table_of_calls() {
    let place = Place::of(HOSTILE);
    place.written("html", &["--all"]);
    let script = "
        const table = document.getElementById('table-of-calls');
        const said = [];
        const order = () => Array.from(table.tBodies[0].rows).map(row => row.dataset.outcome).join(' ');
        const head = Array.from(table.tHead.rows[0].cells).find(cell => cell.textContent === 'outcome').firstChild;
        head.click(); said.push(order());
        head.click(); said.push(order());
        const text = document.getElementById('filter-text');
        text.value = '99'; text.dispatchEvent(new Event('input'));
        said.push(document.getElementById('filter-shown').textContent);
        document.body.dataset.said = said.join(' / ');";
    let Some(page) = after_script(&place, script) else { return println!("there is no chromium: nothing was clicked") };
    let said = page.split("data-said=\"").nth(1).and_then(|rest| rest.split('"').next()).unwrap_or_default();
    assert_eq!(said, "answered failed / failed answered / 1 of 2 shown");
}

#[test]
fn a_ticket_speaks_of_the_request_that_went_wrong_and_asks_the_one_who_can_tell() {
    let ticket = |fixture: &str| {
        let lines = run(&[&format!("fixtures/{fixture}/capture.pcap"), "--ticket", "-q"]);
        lines.split_whitespace().collect::<Vec<_>>().join(" ")
    };
    for (fixture, says) in [
        // The call was answered; what the caller got is no secret.
        ("one-way-media", "Response 200 OK after 1.870 s, frame 307"),
        ("one-way-media", "Do your own records of 192.0.2.30:5008 show the same"),
        ("stale-binding", "Do your own records of 198.51.100.77:5060 show the same"),
        ("caller-abandoned", "Response 487 Request Terminated after 8.224 s, frame 6"),
        ("caller-abandoned", "Question none:"),
        // Within a call the request counts that was refused, and not the one that opened it.
        ("fax-switch-failed", "Request re-INVITE at 2026-03-02 09:00:10.000 UTC, frame 5"),
        ("fax-switch-failed", "Response 488 Not Acceptable Here after 0.020 s, frame 6"),
        ("fax-switch-failed", "the capture shows no hop behind it"),
        ("reinvite-refused", "(reinvite-refused, proven)"),
        ("redirect-target-failed", "Response 404 Not Found after 0.010 s, frame 5"),
        // Of redirects that lead round, each normal by itself, the one that led back.
        ("redirect-loop", "Why did 198.51.100.30:5060 answer 302 Moved Temporarily to this INVITE"),
        // Of several failures the one that the caller got.
        ("fork-all-failed", "Why did 192.0.2.20:5060 answer 408 Request Timeout to this INVITE"),
        ("scanner", "can this traffic be stopped where it comes from?"),
        ("server-fault-registrations-together", "Time of REGISTER 2026-03-02"),
        ("server-fault-registrations-together", "beside this one: 09:00:04.000 dcb5afeb121bfaca@192.0.2.31"),
        ("capture-truncated", "Capture capture-truncated: The capture kept only the beginning of 4 frames"),
        ("trunk-congested-behind-two-addresses", "same call by number and time (a guess)"),
        ("next-hop-silent", "Did the request with this Call-ID reach"),
        // What did no harm is no question, and neither is what the asker's own side did, nor that somebody is busy.
        ("bye-crossed", "(bye-crossed, proven)"),
        ("bye-crossed", "Question none: as far as the capture shows"),
        ("callee-busy", "Question none: as far as the capture shows"),
        ("cseq-regressed", "Question none: by this cause the fault is with 192.0.2.10:5060, on the side that sent"),
        ("hop-limit-too-low", "Question none: by this cause the fault is with"),
        ("challenge-not-answered", "Question none: by this cause the fault is with"),
        ("address-of-record-refused", "Question Why did"),
        // Which password is the wrong one, the other side may know.
        ("credentials-rejected", "Question Why did"),
    ] {
        let ticket = ticket(fixture);
        assert!(ticket.contains(says), "{fixture}: {says}\n{ticket}");
    }
    // What somebody copies stands on one line, however wide the labels are.
    let lines = run(&["fixtures/address-of-record-refused/capture.pcap", "--ticket", "-q"]);
    assert!(lines.lines().any(|line| line.trim().len() == 64 && line.chars().count() <= 80), "{lines}");
}
