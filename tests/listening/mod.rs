//! A program that listens to capture agents until it has enough, or until the test has.

#![allow(dead_code, reason = "each test uses its own part")]

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, Stdio};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use serde_json::Value;

/// The program, untouched by the surroundings of the test.
pub fn sipwhy() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sipwhy"));
    for name in ["NO_COLOR", "CLICOLOR", "LC_ALL", "LC_MESSAGES", "LANG", "SIPWHY_HEP_KEY", "SUDO_UID", "SUDO_GID"] {
        command.env_remove(name);
    }
    for name in ["http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"] {
        command.env_remove(name);
    }
    // No configuration of whoever runs the tests.
    command.env("SIPWHY_CONFIG", "");
    command
}

/// A program that listens.
pub struct Listening {
    child: Option<Child>,
    /// Where it listens for HEP.
    pub address: String,
    /// Where its figures are.
    pub metrics: Option<String>,
    /// What else it says.
    said: Option<JoinHandle<Vec<u8>>>,
}

impl Listening {
    /// Starts it, and waits until it says where it listens.
    pub fn start(options: &[&str], env: &[(&str, &str)]) -> Listening {
        let mut command = sipwhy();
        command.args(options).envs(env.iter().copied());
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the program");
        let mut lines = BufReader::new(child.stderr.take().expect("a pipe"));
        let (mut address, mut metrics, mut said) = (None, None, String::new());
        let wants_metrics = options.contains(&"--metrics");
        while address.is_none() || wants_metrics && metrics.is_none() {
            let mut line = String::new();
            let length = lines.read_line(&mut line).expect("a line");
            assert!(length > 0, "it ended: {said}");
            let word_behind = |mark: &str| line.split_once(mark)?.1.split_whitespace().next().map(str::to_owned);
            address = address.or_else(|| word_behind("HEP at "));
            metrics = metrics.or_else(|| word_behind("http://").map(|url| url.trim_end_matches("/metrics").to_owned()));
            said.push_str(&line);
        }
        // What it says later must not fill the pipe.
        let said = std::thread::spawn(move || {
            let mut said = Vec::new();
            let _ = lines.read_to_end(&mut said);
            said
        });
        Listening { child: Some(child), address: address.unwrap_or_default(), metrics, said: Some(said) }
    }

    /// Its number among the processes.
    pub fn id(&self) -> u32 {
        self.child.as_ref().map_or(0, Child::id)
    }

    /// Its exit status, when it has ended, and what it said.
    pub fn ended(mut self) -> (Option<i32>, String) {
        let (status, _) = self.wait();
        let said = self.said.take().map(|said| said.join().expect("no panic")).unwrap_or_default();
        (status, String::from_utf8_lossy(&said).into_owned())
    }

    /// Its report in JSON, when it has enough.
    pub fn report(mut self) -> Value {
        let (_, bytes) = self.wait();
        serde_json::from_slice(&bytes).expect("a report")
    }

    /// Waits for its end; gives its exit status and its output.
    fn wait(&mut self) -> (Option<i32>, Vec<u8>) {
        let mut child = self.child.take().expect("a child that runs");
        let mut out = child.stdout.take().expect("a pipe");
        let reading = std::thread::spawn(move || {
            let mut bytes = Vec::new();
            out.read_to_end(&mut bytes).map(|_| bytes)
        });
        let until = Instant::now() + Duration::from_secs(20);
        let status = loop {
            if let Some(status) = child.try_wait().expect("a child") {
                break status;
            }
            if Instant::now() >= until {
                let _ = child.kill();
                panic!("it waits for more than it was sent");
            }
            std::thread::sleep(Duration::from_millis(10));
        };
        (status.code(), reading.join().expect("no panic").expect("its output"))
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}
