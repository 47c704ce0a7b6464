//! The program as a person runs it: arguments in, text and files out, exit status.

use std::fs;
use std::path::{Path, PathBuf};

use assert_cmd::Command;
use sipwhy::report::Report;
use sipwhy::story::Story;
use tempfile::TempDir;

/// A server that is overloaded, told in full.
const OVERLOADED: &str = "\
# A proxy that is overloaded says when to come back.
alice 192.0.2.10:5060
proxy 192.0.2.20:5060

0.000  alice -> proxy  INVITE sip:bob@example.com
0.004  proxy -> alice  100 Trying
0.032  proxy -> alice  503 Service Unavailable
                       Retry-After: 120
0.033  alice -> proxy  ACK
end 40.0
";

/// A call that went well.
const ANSWERED: &str = "\
# A call that is answered and ends.
alice 192.0.2.10:5060
bob 192.0.2.30:5060

0.0  alice -> bob  INVITE sip:bob@example.com
0.1  bob -> alice  180 Ringing
1.0  bob -> alice  200 OK
1.1  alice -> bob  ACK
9.0  alice -> bob  BYE
9.1  bob -> alice  200 OK
end 60.0
";

/// A folder with one capture, made from a story.
struct Scene {
    folder: TempDir,
    capture: PathBuf,
}

impl Scene {
    fn of(story: &str) -> Scene {
        let folder = TempDir::new().unwrap();
        let capture = folder.path().join("call.pcap");
        fs::write(&capture, Story::parse(story).unwrap().capture()).unwrap();
        Scene { folder, capture }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Runs with the capture as first argument.
    fn run(&self, args: &[&str]) -> Ran {
        run(&self.capture, args)
    }
}

/// What came of a run.
struct Ran {
    status: i32,
    out: String,
    err: String,
}

fn sipwhy() -> Command {
    let mut command = Command::cargo_bin("sipwhy").unwrap();
    for name in ["NO_COLOR", "CLICOLOR", "CLICOLOR_FORCE", "LC_ALL", "LC_MESSAGES", "LANG"] {
        command.env_remove(name);
    }
    command
}

fn finish(mut command: Command) -> Ran {
    let output = command.output().unwrap();
    Ran {
        status: output.status.code().unwrap(),
        out: String::from_utf8(output.stdout).unwrap(),
        err: String::from_utf8(output.stderr).unwrap(),
    }
}

fn run(capture: &Path, args: &[&str]) -> Ran {
    let mut command = sipwhy();
    command.arg(capture).args(args);
    finish(command)
}

fn page(args: &[&str]) -> Ran {
    let mut command = sipwhy();
    command.args(args);
    finish(command)
}

fn json(ran: &Ran) -> Report {
    serde_json::from_str(&ran.out).unwrap()
}

#[test]
fn a_failed_call_is_a_ladder_with_its_cause_in_place() {
    let ran = Scene::of(OVERLOADED).run(&[]);
    assert_eq!((ran.status, ran.err.as_str()), (0, ""));
    let place = |text: &str| ran.out.find(text).unwrap_or_else(|| panic!("{text} is missing in\n{}", ran.out));
    assert!(place("FAILED after") < place("503 Service Unavailable ═"));
    assert!(place("503 Service Unavailable ═") < place("Retry-After: 120"));
    assert!(place("here server-overloaded (proven)") < place("503  Service Unavailable: "));
    assert!(place("frame 3 sip.Retry-After = 120") < place("not  "));
    assert!(ran.out.lines().all(|line| line.chars().count() <= 80), "{}", ran.out);
    assert!(!ran.out.contains('\u{1b}'));
}

#[test]
fn a_call_that_went_well_is_only_counted_unless_asked_for() {
    let scene = Scene::of(ANSWERED);
    let ran = scene.run(&[]);
    assert!(ran.out.contains("1 call: 1 answered"), "{}", ran.out);
    assert!(!ran.out.contains("CALL 1"));
    let all = scene.run(&["--all"]);
    assert!(all.out.contains("CALL 1  alice → bob") && all.out.contains("BYE"), "{}", all.out);
}

#[test]
fn json_has_the_keys_that_are_promised_in_their_order() {
    let ran = Scene::of(OVERLOADED).run(&["--format", "json"]);
    let keys = ["schema\":", "tool\":", "inputs\":", "summary\":", "incidents\":", "calls\":[{", "notes\":"];
    let places: Vec<usize> = keys.iter().map(|key| ran.out.find(key).unwrap()).collect();
    assert!(places.is_sorted(), "{places:?}");
    let report = json(&ran);
    assert_eq!(serde_json::to_string(&report).unwrap(), ran.out.trim_end());
    let call = &report.calls[0];
    assert_eq!(call.cause.as_deref(), Some("server-overloaded"));
    assert_eq!((call.final_status, call.failures[0].status), (Some(503), 503));
    assert_eq!(call.failures[0].catalogue.as_ref().unwrap().class, "server-failure");
    assert_eq!(report.inputs[0].sip_messages, 4);
    assert_eq!(report.inputs[0].sha256.as_ref().unwrap().len(), 64);
}

#[test]
fn frames_name_their_file_where_there_are_several() {
    let scene = Scene::of(OVERLOADED);
    let other = scene.path("other.pcap");
    let story = ANSWERED.replace("alice 192", "start 2026-03-02T10:00:00Z\nalice 192");
    fs::write(&other, Story::parse(&story).unwrap().capture()).unwrap();
    let ran = scene.run(&[other.to_str().unwrap(), "--format", "json"]);
    let value: serde_json::Value = serde_json::from_str(&ran.out).unwrap();
    assert_eq!(value["inputs"].as_array().unwrap().len(), 2);
    assert_eq!(value["calls"][0]["failures"][0]["frame"], serde_json::json!({"file": 0, "frame": 3}));
}

#[test]
fn events_are_one_object_for_each_line() {
    let ran = Scene::of(OVERLOADED).run(&["--format", "ndjson"]);
    let events: Vec<serde_json::Value> = ran.out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert!(events.iter().all(|event| event["schema"] == "sipwhy.event/1"));
    let kinds: Vec<&str> = events.iter().map(|event| event["type"].as_str().unwrap()).collect();
    let messages = kinds.iter().take_while(|kind| **kind == "message").count();
    assert!(messages > 2, "{kinds:?}");
    assert_eq!((&events[0]["frame"], &events[0]["method"]), (&1.into(), &"INVITE".into()));
    let after = &kinds[messages..];
    assert_eq!((after.first(), after.get(1), after.last()), (Some(&"failure"), Some(&"call"), Some(&"stats")));
    assert_eq!((&events[messages]["call"], &events[messages]["status"]), (&1.into(), &503.into()));
    let good = Scene::of(ANSWERED).run(&["--format", "ndjson"]).out;
    assert!(good.contains("\"type\":\"call\"") && good.contains("\"outcome\":\"answered\""), "{good}");
}

#[test]
fn calls_that_fail_alike_are_an_incident() {
    let mut story = "# Three calls meet the same refusal.\nalice 192.0.2.10:5060\nproxy 192.0.2.20:5060\n".to_owned();
    for call in ["a", "b", "c"] {
        story.push_str(&format!(
            "call {call}\n+1.0  alice -> proxy  INVITE sip:bob@example.com\n+0.1  proxy -> alice  503 Service Unavailable\n                     Retry-After: 120\n+0.1  alice -> proxy  ACK\n"
        ));
    }
    story.push_str("end 90.0\n");
    let scene = Scene::of(&story);
    let report = json(&scene.run(&["--format", "json"]));
    assert_eq!(report.summary.failed, 3);
    let incident = &report.incidents[0];
    assert!(incident.calls.len() >= 2 && incident.status == Some(503), "{incident:?}");
    let text = scene.run(&[]).out;
    assert!(text.contains("✖ INCIDENT 1  ") && text.contains("(--call N, --all)"), "{text}");
}

#[test]
fn calls_are_selected_by_number_party_address_and_time() {
    let scene = Scene::of(OVERLOADED);
    let count = |args: &[&str]| json(&scene.run(&[&["--format", "json"], args].concat())).calls.len();
    for one in [&["--call", "1"], &["--peer", "192.0.2.20"], &["--number", "bob"], &["--since", "09:00"]] {
        assert_eq!(count(one), 1, "{one:?}");
    }
    for none in [&["--call", "2"], &["--peer", "192.0.2.99"], &["--number", "carol"], &["--until", "08:00"]] {
        assert_eq!(count(none), 0, "{none:?}");
    }
    // Through midnight, and not.
    assert_eq!(count(&["--since", "22:00", "--until", "09:30"]), 1);
    assert_eq!(count(&["--since", "22:00", "--until", "08:00"]), 0);
}

#[test]
fn a_choice_that_no_call_can_fit_is_refused() {
    let scene = Scene::of(OVERLOADED);
    for (args, told) in [
        (&["--number", "+"][..], "write digits"),
        (&["--call", " "], "the number of a call"),
        (&["--since", "2026-03-03", "--until", "2026-03-01"], "--until is not after --since"),
        (&["--since", "25:00"], "write 08:14"),
    ] {
        let ran = scene.run(args);
        assert_eq!(ran.status, 2, "{args:?}");
        assert!(ran.err.contains(told), "{args:?}: {}", ran.err);
    }
}

#[test]
fn reports_are_written_to_files_by_their_endings() {
    let scene = Scene::of(OVERLOADED);
    let (text, json) = (scene.path("r.txt"), scene.path("r.json"));
    let ran = scene.run(&["-o", text.to_str().unwrap(), "-o", json.to_str().unwrap()]);
    assert_eq!(ran.status, 0);
    assert_eq!(fs::read_to_string(&text).unwrap(), ran.out);
    let report: Report = serde_json::from_str(&fs::read_to_string(&json).unwrap()).unwrap();
    assert_eq!(report.calls.len(), 1);
    let left: Vec<_> = fs::read_dir(scene.folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left.len(), 3, "{left:?}");
}

#[test]
fn an_output_that_is_an_input_is_refused() {
    let scene = Scene::of(OVERLOADED);
    let before = fs::read(&scene.capture).unwrap();
    let again = scene.path("again.txt");
    fs::hard_link(&scene.capture, &again).unwrap();
    for output in [&scene.capture, &again] {
        let ran = scene.run(&["-o", output.to_str().unwrap()]);
        assert_eq!(ran.status, 2, "{}", ran.err);
        assert_eq!(fs::read(&scene.capture).unwrap(), before);
    }
}

#[test]
fn the_exit_status_says_what_happened() {
    let scene = Scene::of(OVERLOADED);
    assert_eq!(scene.run(&["--fail-on", "error"]).status, 1);
    assert_eq!(Scene::of(ANSWERED).run(&["--fail-on", "error"]).status, 0);
    // Only what was asked for counts: a call that was answered, and none at all, beside three that failed.
    let limited = Path::new("fixtures/channel-limit-reached/capture.pcap");
    for (chosen, status) in [(["--call", "1"], 0), (["--number", "99999"], 0), (["--call", "4"], 1)] {
        let ran = run(limited, &[&chosen[..], &["--fail-on", "error"]].concat());
        assert_eq!(ran.status, status, "{chosen:?}");
    }
    assert_eq!(run(limited, &["--fail-on", "error"]).status, 1);
    assert_eq!(scene.run(&["--no-such-option"]).status, 2);
    assert_eq!(scene.run(&["--limits", "calls=none"]).status, 2);
    assert_eq!(scene.run(&["-o", scene.path("no/such/folder.txt").to_str().unwrap()]).status, 4);
    let missing = run(&scene.path("a\nb\u{1b}.pcap"), &[]);
    assert_eq!((missing.status, missing.err.lines().count()), (3, 1));
    assert!(missing.err.contains("a\\nb\\u{001B}.pcap"), "{}", missing.err);
}

#[test]
fn what_is_wrong_with_the_input_counts_with_strict() {
    let scene = Scene::of(OVERLOADED);
    assert_eq!(scene.run(&["--strict"]).status, 0);
    let whole = fs::read(&scene.capture).unwrap();
    fs::write(&scene.capture, &whole[..whole.len() - 3]).unwrap();
    let ran = scene.run(&[]);
    assert_eq!(ran.status, 0);
    assert!(ran.out.contains("cut short"), "{}", ran.out);
    assert_eq!(scene.run(&["--strict"]).status, 3);
}

#[test]
fn a_capture_without_sip_says_what_it_holds() {
    let scene = Scene::of(
        "# Only speech.\nalice 192.0.2.10:5060\nbob 192.0.2.30:5060\n\n0.5 rtp alice -> bob 50 packets pt 8 port 40000->40002\n",
    );
    let ran = scene.run(&[]);
    assert_eq!(ran.status, 0);
    assert!(ran.out.contains("No SIP found in 50 packets"), "{}", ran.out);
    assert!(ran.out.contains("UDP port 40000: 50"), "{}", ran.out);
}

#[test]
fn ascii_and_colours_are_as_asked_for() {
    let scene = Scene::of(OVERLOADED);
    let ascii = scene.run(&["--ascii"]);
    assert!(ascii.out.is_ascii() && ascii.out.contains("|--- INVITE"), "{}", ascii.out);
    assert!(scene.run(&["--color", "always"]).out.contains("\u{1b}["));
    assert!(scene.run(&["--width", "120"]).out.lines().any(|line| line.chars().count() > 80));
    let local = scene.run(&["--tz", "Asia/Tokyo"]);
    assert!(local.out.contains("Asia/Tokyo") && local.out.contains("18:00:00"), "{}", local.out);
}

#[test]
fn standard_input_is_read() {
    let scene = Scene::of(OVERLOADED);
    let mut command = sipwhy();
    command.arg("-").write_stdin(fs::read(&scene.capture).unwrap());
    assert!(finish(command).out.contains("503 Service Unavailable"));
}

#[test]
fn codes_are_explained_and_compared_without_a_capture() {
    assert!(page(&["503"]).out.starts_with("503 Service Unavailable"));
    assert_eq!(page(&["503"]).out, page(&["explain", "503"]).out);
    let comparison = page(&["486", "202"]).out;
    assert!(comparison.find("202").unwrap() < comparison.find("486").unwrap());
    assert_eq!(comparison, page(&["compare", "202", "486"]).out);
    assert!(page(&["explain", "server-overloaded"]).out.contains("How to fix"));
    assert!(page(&["explain", "q850-34"]).out.contains("34"));
    assert!(page(&["codes", "--class", "4xx"]).out.contains("486"));
    assert_eq!(page(&["explain", "no-such-thing"]).status, 2);
}

#[test]
fn a_file_named_like_a_code_is_a_file() {
    let scene = Scene::of(OVERLOADED);
    fs::rename(&scene.capture, scene.path("503")).unwrap();
    let mut command = sipwhy();
    command.arg("503").current_dir(scene.folder.path());
    assert!(finish(command).out.contains("CALL 1  alice → bob"));
}

#[test]
fn schema_completions_and_manual_are_printed() {
    let kept = concat!(env!("CARGO_MANIFEST_DIR"), "/schema/report-1.json");
    assert_eq!(page(&["schema"]).out, fs::read_to_string(kept).unwrap());
    assert!(page(&["completions", "bash"]).out.contains("sipwhy"));
    assert!(page(&["man"]).out.contains("call\\-bytes"));
}

#[test]
fn secrets_stay_in_the_capture() {
    let story = OVERLOADED.replace(
        "0.004",
        "       Authorization: Digest username=\"alice\", realm=\"example.com\", nonce=\"abcdefnonce\", uri=\"sip:bob@example.com\", response=\"0123456789abcdef0123456789abcdef\"\n       Contact: <sip:alice:hunter2000@192.0.2.10>\n0.004",
    );
    let scene = Scene::of(&story);
    for args in [&[][..], &["--all"], &["--format", "json"], &["--format", "ndjson"]] {
        let out = scene.run(args).out;
        for secret in ["abcdefnonce", "0123456789abcdef", "hunter2000"] {
            assert!(!out.contains(secret), "{args:?} shows {secret}");
        }
    }
}

#[test]
fn the_same_capture_gives_the_same_bytes() {
    let scene = Scene::of(OVERLOADED);
    assert_eq!(scene.run(&["--format", "json"]).out, scene.run(&["--format", "json"]).out);
    assert_eq!(scene.run(&["--all"]).out, scene.run(&["--all"]).out);
}

#[test]
fn a_file_that_an_option_names_and_that_is_not_there_is_told_with_the_option() {
    let scene = Scene::of(ANSWERED);
    for option in ["--names", "--keylog", "--secrets"] {
        let ran = scene.run(&[option, "nosuch"]);
        assert_eq!(ran.status, 3, "{option}: {}", ran.err);
        assert!(ran.err.contains(option) && ran.err.contains("nosuch"), "{}", ran.err);
    }
}

#[test]
fn only_a_name_that_is_near_is_offered() {
    let told = |subject: &str| run(Path::new("explain"), &[subject]).err;
    assert!(!told("q850-999").contains("nearest") && !told("foo").contains("scanner"));
    assert!(told("trunk-congestd").contains("trunk-congested"), "{}", told("trunk-congestd"));
}

#[test]
fn what_the_own_filter_left_out_is_no_missing_sip() {
    let limited = Path::new("fixtures/channel-limit-reached/capture.pcap");
    if run(limited, &["-f", "udp"]).err.contains("libpcap") {
        return; // Without that library there are no capture filters.
    }
    let said = |filter: &str| run(limited, &["-f", filter]).out.split_whitespace().collect::<Vec<_>>().join(" ");
    let nothing = said("udp port 9999");
    assert!(nothing.contains("The filter let 0 of 25 packets through"), "{nothing}");
    assert!(!nothing.contains("did not pass here"), "{nothing}");
    assert!(!said("udp port 5060").contains("The filter let"));
}

#[test]
fn media_belongs_to_a_call_until_it_ends() {
    for (fixture, call, rtp) in
        [("one-way-media", "2", 400), ("healthy-call-with-media", "1", 400), ("media-stopped-early", "1", 1350)]
    {
        let capture = PathBuf::from(format!("fixtures/{fixture}/capture.pcap"));
        let folder = TempDir::new().unwrap();
        let packets = |name: &str, args: &[&str]| {
            let written = folder.path().join(name);
            let ran = run(&capture, &[&["-q", "--call", call, "-o", written.to_str().unwrap()], args].concat());
            assert_eq!(ran.status, 0, "{}", ran.err);
            let again = run(&written, &["--format", "json"]).out;
            serde_json::from_str::<serde_json::Value>(&again).unwrap()["inputs"][0]["packets"].as_u64().unwrap()
        };
        assert_eq!(packets("with.pcapng", &["--with-media"]) - packets("without.pcapng", &[]), rtp, "{fixture}");
    }
}

#[test]
fn an_answered_call_without_its_end_has_no_length() {
    let open = ANSWERED.split("9.0 ").next().unwrap().to_owned() + "end 60.0\n";
    let scene = Scene::of(&open);
    let report = scene.run(&["--all"]).out;
    assert!(report.contains("answered, its end is not in the capture"), "{report}");
    let stats = run(Path::new("stats"), &[scene.capture.to_str().unwrap()]).out;
    assert!(stats.contains("1 session not seen to the end"), "{stats}");
    let ended = Scene::of(ANSWERED);
    assert!(ended.run(&["--all"]).out.contains("answered, 9.1"), "{}", ended.run(&["--all"]).out);
    let stats = run(Path::new("stats"), &[ended.capture.to_str().unwrap()]).out;
    assert!(stats.contains("0 sessions not seen to the end"), "{stats}");
}

#[test]
fn who_refuses_a_request_of_its_neighbour_passes_nothing_on() {
    let all = |fixture: &str| run(Path::new(&format!("fixtures/{fixture}")), &["--all"]).out;
    assert!(!all("bye-crossed/capture.pcap").contains("passed on"));
    assert!(all("recorded-format-gzip-483-loop/capture.pcap.gz").contains("passed on"));
    // A guess that was refused is no harmless step because a later one was right.
    let guessed = all("credential-guessing/capture.pcap");
    assert!(
        !guessed.contains("no harm") && guessed.contains("the request is sent again with credentials"),
        "{guessed}"
    );
}

#[test]
fn what_looks_like_a_code_is_told_how_it_is_asked_for() {
    let several = page(&["202", "503", "480"]);
    assert!(several.status == 2 && several.err.contains("sipwhy compare CODE CODE"), "{}", several.err);
    let vendors = page(&["1408"]);
    assert!(vendors.status == 2 && vendors.err.contains("sipwhy explain 1408"), "{}", vendors.err);
    assert_eq!(page(&["99999999"]).status, 3);
    let none = Scene::of(OVERLOADED).run(&["-c", "0"]);
    assert!(none.status == 2 && none.err.contains("write a number of packets"), "{}", none.err);
    // A 0 forces no colours where there is no terminal.
    let mut command = sipwhy();
    command.env("CLICOLOR_FORCE", "0").arg("fixtures/callee-busy/capture.pcap");
    assert!(!finish(command).out.contains('\u{1b}'));
}

#[test]
fn a_capture_of_chosen_calls_says_whose_frame_numbers_it_names() {
    let folder = TempDir::new().unwrap();
    let written = |name: &str, args: &[&str]| {
        let path = folder.path().join(name);
        let capture = Path::new("fixtures/one-way-media/capture.pcap");
        run(capture, &[&["-q", "-o", path.to_str().unwrap()], args].concat());
        String::from_utf8_lossy(&fs::read(path).unwrap()).into_owned()
    };
    let says = "are counted in the capture they were taken from";
    assert!(written("chosen.pcapng", &["--call", "2"]).contains(says));
    assert!(!written("all.pcapng", &[]).contains(says));
}
