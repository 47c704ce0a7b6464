//! The README's commands are run, and what it shows is what they print.
//!
//! A `console` block holds commands, each after `$ `, and what each prints; `…` alone on the last line stands for what
//! was left out. A command without output must end well, and no more is said of it.
//! `UPDATE_DOCS=1 cargo test --test readme` rewrites the outputs.
#![cfg(unix)]

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use tempfile::TempDir;

const ROOT: &str = env!("CARGO_MANIFEST_DIR");
/// The first command of the README, without the path of the capture.
const RUN: &str = "cargo run --release -- ";
/// Commands that build: `.ci/run` takes them out of the README and runs them.
const BUILDS: [&str; 3] = ["cargo test", "cargo install --path . --locked", "cargo run --example scoreboard"];
/// An interface that no machine has: whoever gets as far as opening it has understood the arguments.
const NO_INTERFACE: &str = "no-such-if";

/// A command of a document, and what the document says that it prints.
#[derive(Debug)]
struct Shown {
    command: String,
    output: Vec<String>,
    /// The lines of the document that hold the output.
    lines: std::ops::Range<usize>,
}

fn readme() -> Vec<String> {
    let text = fs::read_to_string(Path::new(ROOT).join("README.md")).unwrap();
    text.lines().map(str::to_owned).collect()
}

/// Every command of the README.
fn commands(lines: &[String]) -> Vec<Shown> {
    let mut commands: Vec<Shown> = Vec::new();
    let mut is_console = false;
    for (number, line) in lines.iter().enumerate() {
        if let Some(language) = line.strip_prefix("```") {
            is_console = language == "console";
        } else if !is_console {
            continue;
        } else if let Some(command) = line.strip_prefix("$ ") {
            commands.push(Shown { command: command.to_owned(), output: Vec::new(), lines: number + 1..number + 1 });
        } else if let Some(last) = commands.last_mut() {
            last.output.push(line.clone());
            last.lines.end = number + 1;
        }
    }
    commands
}

/// A folder in which the README's commands can be typed: captures, and a stand-in for a distant host.
struct Desk {
    folder: TempDir,
}

impl Desk {
    fn new() -> Desk {
        let folder = TempDir::new().unwrap();
        let root = Path::new(ROOT);
        let here = |name: &str| folder.path().join(name);
        let capture = |story: &str| root.join("fixtures").join(story).join("capture.pcap");
        symlink(root.join("fixtures"), here("fixtures")).unwrap();
        fs::copy(capture("trunk-congested-behind-proxy"), here("call.pcap")).unwrap();
        fs::create_dir(here("captures")).unwrap();
        fs::copy(capture("no-common-codec"), here("captures/monday.pcap")).unwrap();
        fs::copy(capture("credentials-rejected"), here("captures/tuesday.pcap")).unwrap();
        fs::copy(root.join("tests/tls/tls13.keys.txt"), here("keys.txt")).unwrap();
        fs::create_dir(here("bin")).unwrap();
        symlink(env!("CARGO_BIN_EXE_sipwhy"), here("bin/sipwhy")).unwrap();
        let ssh = here("bin/ssh");
        fs::write(&ssh, "#!/bin/sh\nexec cat call.pcap\n").unwrap();
        fs::set_permissions(&ssh, fs::Permissions::from_mode(0o755)).unwrap();
        Desk { folder }
    }

    /// Types a line into a shell.
    fn run(&self, line: &str) -> Output {
        let path = format!("{}:{}", self.folder.path().join("bin").display(), std::env::var("PATH").unwrap());
        let mut shell = Command::new("sh");
        shell.args(["-c", line]).current_dir(self.folder.path()).env("PATH", path);
        for name in ["NO_COLOR", "CLICOLOR", "CLICOLOR_FORCE", "LC_ALL", "LC_MESSAGES", "LANG"] {
            shell.env_remove(name);
        }
        shell.output().unwrap()
    }
}

/// A line as it is typed at the desk, and how it must end.
struct Typed {
    line: String,
    status: i32,
    /// What standard error must say.
    says: &'static str,
    /// True if the program may say that it was built without libpcap instead.
    needs_libpcap: bool,
}

/// `None` for what builds.
fn typed(command: &str) -> Option<Typed> {
    if BUILDS.contains(&command) {
        return None;
    }
    let ends_well = |line: String| Typed { line, status: 0, says: "", needs_libpcap: command == "sipwhy devices" };
    Some(match (command.strip_prefix(RUN), command.strip_prefix("sudo ")) {
        (Some(args), _) => ends_well(format!("sipwhy {args}")),
        (_, Some(live)) => {
            let line = live.replace("-i any", &format!("-i {NO_INTERFACE}"));
            Typed { line, status: 3, says: NO_INTERFACE, needs_libpcap: true }
        }
        _ => ends_well(command.to_owned()),
    })
}

/// What the document shows of what was printed: all, or the same number of lines and `…`.
fn shown_of(printed: &str, shown: &[String]) -> Vec<String> {
    let lines: Vec<String> = printed.trim_end().lines().map(str::to_owned).collect();
    if shown.last().is_none_or(|last| last != "…") {
        return lines;
    }
    lines.into_iter().take(shown.len() - 1).chain(["…".to_owned()]).collect()
}

#[test]
fn every_command_does_what_the_readme_says() {
    let desk = Desk::new();
    let mut lines = readme();
    let commands = commands(&lines);
    assert!(commands.len() > 10, "the README's commands were not found");
    let mut wrong = Vec::new();
    // From the end, so that a rewritten output moves no line that is still to be read.
    for shown in commands.iter().rev() {
        let Some(typed) = typed(&shown.command) else { continue };
        let ran = desk.run(&typed.line);
        let errors = String::from_utf8_lossy(&ran.stderr).into_owned();
        if typed.needs_libpcap && ran.status.code() == Some(3) && errors.contains("needs libpcap") {
            continue;
        }
        if ran.status.code() != Some(typed.status) || !errors.contains(typed.says) {
            wrong.push(format!("{} ended with {:?}: {errors}", shown.command, ran.status.code()));
        }
        let printed = shown_of(&String::from_utf8_lossy(&ran.stdout), &shown.output);
        if shown.output.is_empty() || printed == shown.output {
            continue;
        }
        if std::env::var_os("UPDATE_DOCS").is_some() {
            lines.splice(shown.lines.clone(), printed);
        } else {
            wrong.push(format!("{} prints\n{}", shown.command, printed.join("\n")));
        }
    }
    if std::env::var_os("UPDATE_DOCS").is_some() {
        fs::write(Path::new(ROOT).join("README.md"), lines.join("\n") + "\n").unwrap();
    }
    assert!(wrong.is_empty(), "UPDATE_DOCS=1 cargo test rewrites outputs\n{}", wrong.join("\n\n"));
}

#[test]
fn the_first_screen_is_a_report_and_two_commands() {
    let lines = readme();
    let commands = commands(&lines);
    let first: PathBuf = commands[0].command.strip_prefix(RUN).unwrap().into();
    assert!(Path::new(ROOT).join(&first).is_file(), "{} is not in this package", first.display());
    assert!(commands[0].output.iter().any(|line| line.contains("FAILED")), "the first report shows no failed call");
    assert_eq!(commands[1].command, "cargo test");
    assert!(commands[1].lines.start < 70, "the two commands are not on the first screen");
}

#[test]
fn commands_that_build_are_run_by_the_checks() {
    let checks = fs::read_to_string(Path::new(ROOT).join(".ci/run")).unwrap();
    assert!(checks.contains(r"grep '^\$ cargo ' README.md"), ".ci/run does not take the commands out of the README");
}

#[test]
fn every_option_that_the_readme_names_is_one_of_the_program() {
    let help = Command::new(env!("CARGO_BIN_EXE_sipwhy")).arg("--help").output().unwrap();
    let help = String::from_utf8(help.stdout).unwrap();
    let text = readme().join("\n");
    for word in text.split(['`', ' ', '\n', '|']).filter(|word| word.starts_with("--") && word.len() > 3) {
        let option = word.split(['=', ',', '.', ')']).next().unwrap();
        if option.chars().skip(2).all(|c| c.is_ascii_lowercase() || c == '-') && option.chars().nth(2) != Some('-') {
            let known = help.contains(option)
                || ["--release", "--path", "--locked", "--class", "--site", "--example", "--no-default-features"]
                    .contains(&option);
            assert!(known, "the README names {option}");
        }
    }
}
