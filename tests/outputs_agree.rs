//! What every output says of the same capture: the same, with the same frames, grades and addresses.

mod analysed;

use std::process::Command;

use analysed::{Fixture, fixtures, gathered};
use sipwhy::report::text::{Glyphs, Scope, Style, Zone};
use sipwhy::report::{Keep, Provenance, Report, write_markdown};
use tempfile::TempDir;

/// The program's standard output, without a configuration of the user's.
fn run(arguments: &[&str]) -> String {
    let mut program = Command::new(env!("CARGO_BIN_EXE_sipwhy"));
    program.current_dir(env!("CARGO_MANIFEST_DIR")).env("SIPWHY_CONFIG", "").env("LC_ALL", "C").args(arguments);
    String::from_utf8(program.output().unwrap().stdout).unwrap()
}

#[test]
fn the_text_is_the_same_whatever_else_is_written() {
    let folder = TempDir::new().unwrap();
    let out = folder.path().join("out.html");
    let mut different = Vec::new();
    for Fixture { name, capture } in fixtures() {
        let capture = capture.to_str().unwrap();
        let alone = run(&[capture, "-q"]);
        if alone != run(&[capture, "-q", "-o", out.to_str().unwrap()]) {
            different.push(name.clone());
        }
    }
    assert!(different.is_empty(), "{different:?}");
}

#[test]
fn a_page_says_of_what_went_well_that_something_is_wrong_with_it() {
    for name in ["one-way-media", "media-loss", "dtmf-mismatch", "toll-fraud-pattern"] {
        let page = run(&[&format!("fixtures/{name}/capture.pcap"), "-q", "--all", "--format", "html"]);
        assert!(!page.contains("nothing failed"), "{name}");
        let card = page.split("<article class=\"card ").find(|card| card.contains(&format!("<code>{name}</code>")));
        assert!(card.is_some_and(|card| !card.starts_with("good")), "{name}");
    }
    assert!(run(&["fixtures/healthy-plain-call/capture.pcap", "-q", "--format", "html"]).contains("nothing failed"));
}

#[test]
fn markdown_says_all_that_was_found_of_a_call() {
    let (mut looked_at, mut lost) = (0, Vec::new());
    for Fixture { name, capture } in fixtures() {
        let mut gathered = gathered(&[capture], Keep::All).unwrap();
        let mut markdown = Vec::new();
        let style = Style::new(80, Glyphs::Unicode, Zone::default());
        write_markdown(&mut markdown, &mut gathered, &style, Scope::Everything, &Provenance::default()).unwrap();
        let markdown = String::from_utf8(markdown).unwrap();
        // Each call that is told whole has a picture of its own, in order.
        let told = markdown.split("```mermaid\n");
        for (call, told) in gathered.report().unwrap().calls.iter().zip(told).take(50) {
            looked_at += call.findings.len();
            let missing = call.findings.iter().filter(|finding| !told.contains(&format!("`{}`", finding.rule)));
            lost.extend(missing.map(|finding| format!("{name} {}: {}", call.id, finding.rule)));
        }
    }
    assert!(looked_at > 0 && lost.is_empty(), "{}", lost.join("\n"));
}

#[test]
fn what_was_not_seen_is_no_field_and_its_command_is_given() {
    let capture = "fixtures/next-hop-silent/capture.pcap";
    for format in ["md", "junit", "html"] {
        let text = run(&[capture, "-q", "--format", format]);
        assert!(
            ["<code>absent<", "`absent`", ": absent = any response from 198.51.100.10:5060 ("]
                .iter()
                .all(|field| !text.contains(field)),
            "{format}: {text}"
        );
        assert!(text.contains("not seen after frame") && text.contains("tcpdump"), "{format}: {text}");
    }
    for name in ["next-hop-silent", "rejected-by-callee"] {
        let junit = run(&[&format!("fixtures/{name}/capture.pcap"), "-q", "--format", "junit"]);
        assert!(["(proven)", "(likely)", "(possible)"].iter().any(|grade| junit.contains(grade)), "{junit}");
    }
}

#[test]
fn frames_are_named_with_their_file_where_there_are_several() {
    let text = run(&[
        "fixtures/trunk-congested-behind-proxy/capture.pcap",
        "fixtures/trunk-congested/capture.pcap",
        "-q",
        "--format",
        "md",
    ]);
    assert!(text.contains("out of it (frame 1:7)") || text.contains("out of it (frame 2:7)"), "{text}");
    assert!(!text.contains("(frame 7)"), "{text}");
}

#[test]
fn who_sent_an_icmp_error_has_no_port() {
    let captures = fixtures().into_iter().filter(|fixture| fixture.name.starts_with("destination-unreachable"));
    let mut parties = 0;
    for Fixture { name, capture } in captures {
        let json = run(&[capture.to_str().unwrap(), "-q", "--format", "json"]);
        let report: Report = serde_json::from_str(&json).unwrap();
        let addresses = report.calls.iter().flat_map(|call| &call.findings).filter_map(|one| one.party.addr.clone());
        for address in addresses.chain(report.incidents.iter().filter_map(|incident| incident.peer.clone())) {
            parties += 1;
            assert!(!address.ends_with(":0"), "{name}: {address}");
        }
    }
    assert!(parties > 0);
}

#[test]
fn figures_leave_out_leaps_of_the_clock_and_blame_no_redirector() {
    let text = run(&["stats", "fixtures/clock-unsteady-leap/capture.pcap"]);
    assert!(!text.contains("999999") && text.contains("1 delay is left out"), "{text}");
    let text = run(&["stats", "fixtures/redirect-target-failed/capture.pcap"]);
    assert!(text.contains("192.0.2.40 (0 answered, 1 failed)") && !text.contains("192.0.2.20 ("), "{text}");
}
