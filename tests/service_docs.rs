//! What docs/live.md and the unit for systemd tell an operator to type is understood by the program, and what they name
//! is what it has.
#![cfg(unix)]

mod listening;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use listening::sipwhy;
use tempfile::TempDir;

/// An interface that no machine has: whoever gets as far as opening it has understood the arguments.
const NO_INTERFACE: &str = "no-such-if";
/// An address of the documentation, which is no host's own.
const NO_ADDRESS: &str = "192.0.2.5:9060";

fn text(name: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(name)).expect(name)
}

/// The arguments of a command for an interface, a file or agents that are not there; what it then complains of.
fn arguments(command: &str, capture: &Path) -> (Vec<String>, i32, &'static str) {
    let words: Vec<&str> = command.split_whitespace().skip_while(|word| !word.ends_with("sipwhy")).skip(1).collect();
    let mut arguments: Vec<String> = Vec::new();
    let mut expected = (4, "--hep-send");
    for (at, word) in words.iter().enumerate() {
        let before = at.checked_sub(1).map(|before| words[before]);
        arguments.push(match (before, *word) {
            (Some("-i"), _) => {
                expected = (3, NO_INTERFACE);
                NO_INTERFACE.to_owned()
            }
            (Some("--follow"), _) => {
                expected = (3, "no-such-folder");
                "no-such-folder".to_owned()
            }
            (Some("--hep-listen"), _) => {
                expected = (3, "--hep-listen");
                NO_ADDRESS.to_owned()
            }
            (_, "call.pcap") => capture.display().to_string(),
            (_, word) => word.replace("homer.example.net", "127.0.0.1").replace("%S", "."),
        });
    }
    (arguments, expected.0, expected.1)
}

fn check(command: &str) {
    let folder = TempDir::new().unwrap();
    fs::create_dir(folder.path().join("sipwhy")).unwrap();
    let capture = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("fixtures/trunk-congested/capture.pcap");
    let (arguments, status, says) = arguments(command, &capture);
    let ran = sipwhy().current_dir(folder.path()).args(&arguments).output().unwrap();
    let err = String::from_utf8_lossy(&ran.stderr);
    if err.contains("needs libpcap") {
        return;
    }
    assert_eq!(ran.status.code(), Some(status), "{command}: {err}");
    assert!(err.contains(says), "{command}: {err}");
}

/// The unit, with lines that end in a backslash put together.
fn unit_line<'a>(unit: &'a str, key: &str) -> &'a str {
    unit.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix('=')).unwrap_or_else(|| panic!("no {key}"))
}

#[test]
fn every_command_of_the_document_is_understood() {
    let document = text("docs/live.md");
    let commands: Vec<&str> = document.lines().filter_map(|line| line.strip_prefix("$ ")).collect();
    assert!(commands.len() >= 10, "the commands were not found");
    commands.into_iter().for_each(check);
    let joined = document.replace("\\\n", " ");
    let container = joined.lines().find(|line| line.starts_with("docker run")).expect("a container");
    check(container.split_once("example.net/").expect("an image").1);
    let sidecar = document.lines().find_map(|line| line.trim().strip_prefix("args: [")).expect("a sidecar");
    check(&sidecar.trim_end_matches(']').replace(['"', ','], " "));
}

#[test]
fn the_document_names_every_metric_and_every_option() {
    let document = text("docs/live.md");
    let source = text("src/cli/service/metrics.rs");
    let registered = source.split("registry.register(\"").skip(1).filter_map(|rest| rest.split('"').next());
    for name in registered {
        assert!(document.contains(&format!("| `sipwhy_{name}")), "docs/live.md does not name {name}");
    }
    let help = sipwhy().args(["live", "--help"]).output().unwrap();
    let help = String::from_utf8(help.stdout).unwrap();
    let visible = |help: &str| help.lines().filter(|line| line.trim_start().starts_with('-')).count();
    let whole = sipwhy().arg("--help").output().unwrap();
    // Help and version are options of any program.
    assert!(visible(&String::from_utf8_lossy(&whole.stdout)) <= 40 + 2, "more than 40 options");
    for (name, default) in help.split_whitespace().filter_map(|word| word.split_once('=')) {
        let is_setting = !name.is_empty()
            && name.chars().all(|letter| letter.is_ascii_lowercase() || letter == '-')
            && !default.is_empty();
        let is_limit = text("README.md").contains(&format!("| `{name}` |"));
        assert!(!is_setting || is_limit || document.contains(&format!("| `{name}=")), "docs/live.md has no {name}");
    }
    for line in document.lines().filter(|line| line.starts_with("| `-")) {
        for option in line.split('`').skip(1).step_by(2).filter(|word| word.starts_with('-')) {
            let name = option.split(' ').next().unwrap();
            assert!(help.contains(name), "the program has no {name}");
        }
    }
}

#[test]
fn the_unit_starts_the_program_with_one_capability() {
    let unit = text("dist/sipwhy.service");
    let options = unit_line(&unit, "Environment").split('"').nth(1).expect("options");
    check(&unit_line(&unit, "ExecStart").replace("$SIPWHY_OPTIONS", options));
    for (key, value) in [
        ("DynamicUser", "yes"),
        ("AmbientCapabilities", "CAP_NET_RAW"),
        ("CapabilityBoundingSet", "CAP_NET_RAW"),
        ("NoNewPrivileges", "yes"),
        ("ProtectSystem", "strict"),
    ] {
        assert_eq!(unit_line(&unit, key), value);
    }
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("sipwhy.service");
    fs::write(&path, unit.replace("/usr/bin/sipwhy", env!("CARGO_BIN_EXE_sipwhy"))).unwrap();
    let verified = Command::new("systemd-analyze").arg("verify").arg(&path).output();
    let Ok(verified) = verified else {
        eprintln!("skipped: there is no systemd-analyze");
        return;
    };
    let said = String::from_utf8_lossy(&verified.stderr);
    if said.contains("Failed to") && !said.contains("sipwhy.service") {
        eprintln!("skipped: systemd-analyze cannot run here: {said}");
        return;
    }
    let own: Vec<&str> = said.lines().filter(|line| line.contains("sipwhy")).collect();
    assert!(verified.status.success() && own.is_empty(), "{said}");
}
