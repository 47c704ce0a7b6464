//! A program that listens to capture agents until it has enough, or until the test has.

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, Stdio};
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
    child: Child,
    /// Where it listens for HEP.
    pub address: String,
    /// Where its figures are.
    pub metrics: Option<String>,
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
        std::thread::spawn(move || lines.read_to_end(&mut Vec::new()));
        Listening { child, address: address.unwrap_or_default(), metrics }
    }

    /// Its number among the processes.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Its report in JSON, when it has enough.
    pub fn report(mut self) -> Value {
        let mut out = self.child.stdout.take().expect("a pipe");
        let reading = std::thread::spawn(move || {
            let mut bytes = Vec::new();
            out.read_to_end(&mut bytes).map(|_| bytes)
        });
        let until = Instant::now() + Duration::from_secs(20);
        while self.child.try_wait().expect("a child").is_none() {
            assert!(Instant::now() < until, "it waits for more than it was sent");
            std::thread::sleep(Duration::from_millis(10));
        }
        let bytes = reading.join().expect("no panic").expect("its output");
        serde_json::from_slice(&bytes).expect("a report")
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
