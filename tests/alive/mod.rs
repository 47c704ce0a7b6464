//! A network of a test's own, with nobody in it but those whom the test starts, and the program that follows it.
#![allow(dead_code, reason = "each test uses its own part")]

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use serde_json::Value;

/// A network namespace that lives as long as this value.
pub struct Network {
    holder: Child,
    enter: Vec<String>,
    pub folder: tempfile::TempDir,
}

impl Drop for Network {
    fn drop(&mut self) {
        let _ = self.holder.kill();
        let _ = self.holder.wait();
    }
}

/// A network with a loopback interface, if this machine lets tests have one and has these programs; else the reason is
/// said, whatever of a test's output is shown, and the test ends.
pub fn network(test: &str, programs: &[&str]) -> Option<Network> {
    match make(programs) {
        Ok(network) => Some(network),
        Err(why) => {
            let _ = writeln!(std::io::stderr(), "SKIPPED {test}: {why}");
            None
        }
    }
}

fn make(programs: &[&str]) -> Result<Network, String> {
    for program in programs {
        let found = Command::new("sh").args(["-c", &format!("command -v {program}")]).output();
        if !found.is_ok_and(|found| found.status.success()) {
            return Err(format!("{program} is not installed"));
        }
    }
    let is_root = fs::read_to_string("/proc/self/status").is_ok_and(|status| {
        status.lines().any(|line| line.starts_with("Uid:") && line.split_whitespace().nth(2) == Some("0"))
    });
    let user: &[&str] = if is_root { &[] } else { &["--user", "--map-root-user"] };
    let mut holder = Command::new("unshare")
        .args(user)
        .args(["--net", "sh", "-c", "ip link set lo up && echo up && exec sleep 600"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| format!("unshare cannot be run: {error}"))?;
    let mut first = String::new();
    let _ = BufReader::new(holder.stdout.take().unwrap()).read_line(&mut first);
    if first.trim() != "up" {
        let _ = holder.kill();
        let mut why = String::new();
        let _ = holder.stderr.take().unwrap().read_to_string(&mut why);
        let _ = holder.wait();
        return Err(format!("no network namespace can be made: {}", why.trim()));
    }
    let mut enter = vec!["nsenter".to_owned(), format!("--target={}", holder.id()), "--net".into()];
    if !is_root {
        enter.extend(["--user".into(), "--preserve-credentials".into()]);
    }
    let folder = tempfile::tempdir().unwrap();
    // Root becomes nobody before it writes a report.
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o777)).unwrap();
    Ok(Network { holder, enter, folder })
}

impl Network {
    /// A command that runs in the network.
    pub fn command(&self, program: &str, args: &[&str]) -> Command {
        let mut command = Command::new(&self.enter[0]);
        command.args(&self.enter[1..]).arg(program).args(args).current_dir(self.folder.path());
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        command
    }

    /// Runs a command to its end; it must succeed.
    pub fn run(&self, program: &str, args: &[&str]) {
        let done = self.command(program, args).stderr(Stdio::piped()).output().unwrap();
        assert!(done.status.success(), "{program} {args:?}: {}", String::from_utf8_lossy(&done.stderr));
    }

    /// Starts something that is ended with the returned value.
    pub fn start(&self, program: &str, args: &[&str]) -> Running {
        Running(self.command(program, args).spawn().unwrap())
    }

    /// Two ends of a cable, up, with room for what is sent into it. The kernel sends nothing of its own: without a
    /// link-local address it asks for no router, and a test can count packets.
    pub fn cable(&self, one: &str, other: &str) {
        self.run("ip", &["link", "add", one, "type", "veth", "peer", "name", other]);
        for end in [one, other] {
            self.run("ip", &["link", "set", end, "addrgenmode", "none"]);
            self.run("ip", &["link", "set", end, "mtu", "9000", "arp", "off", "txqueuelen", "10000", "up"]);
        }
    }

    /// Starts the program, and waits until it captures.
    pub fn follow(&self, args: &[&str]) -> Program {
        let program = self.follow_somehow(args);
        program.wait_until_open();
        program
    }

    /// Starts the program.
    pub fn follow_somehow(&self, args: &[&str]) -> Program {
        let mut command = self.command(env!("CARGO_BIN_EXE_sipwhy"), args);
        command.env("SIPWHY_CONFIG", "").stdout(Stdio::piped()).stderr(Stdio::piped());
        Program::spawn(command)
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Starts a server of sipp that answers as a scenario says, and waits until it listens.
    pub fn server(&self, scenario: &[&str], port: u16) -> Running {
        let port_word = port.to_string();
        let args = [scenario, &["-i", "127.0.0.1", "-p", &port_word, "-nostdin"]].concat();
        let server = self.start("sipp", &args);
        self.wait_for_port(port);
        server
    }

    /// Lets sipp make calls.
    pub fn calls(&self, to: u16, from: u16, calls: u32, rate: u32) {
        let (to, from) = (format!("127.0.0.1:{to}"), from.to_string());
        let (calls, rate) = (calls.to_string(), rate.to_string());
        let args =
            ["-sn", "uac", "-i", "127.0.0.1", "-p", &from, &to, "-m", &calls, "-r", &rate, "-d", "100", "-nostdin"];
        // Calls that fail make it fail.
        let _ = self.command("sipp", &args).status().unwrap();
    }

    /// Lets sipp make one call that it gives up after a while.
    pub fn calls_for(&self, to: u16, from: u16, patience: Duration) {
        let (to, from) = (format!("127.0.0.1:{to}"), from.to_string());
        let args = ["-sn", "uac", "-i", "127.0.0.1", "-p", &from, &to, "-m", "1", "-nostdin"];
        let caller = self.start("sipp", &args);
        thread::sleep(patience);
        drop(caller);
    }

    /// Waits until somebody listens on a port.
    pub fn wait_until_listening(&self, port: u16) {
        self.wait_for_port(port);
    }

    fn wait_for_port(&self, port: u16) {
        let wanted = format!(":{port:04X} ");
        let until = Instant::now() + Duration::from_secs(10);
        while Instant::now() < until {
            let open = self.command("cat", &["/proc/self/net/udp"]).stdout(Stdio::piped()).output().unwrap();
            if String::from_utf8_lossy(&open.stdout).contains(&wanted) {
                return;
            }
            thread::sleep(Duration::from_millis(20));
        }
        panic!("nobody listens on port {port}");
    }
}

/// A scenario of sipp that answers every INVITE with this response.
pub fn refusing(network: &Network, status_line: &str, more: &str) -> String {
    let path = network.path(&format!("{}.xml", status_line.replace(' ', "-")));
    let text = format!(
        "<?xml version=\"1.0\"?>\n<scenario name=\"refuses\">\n<recv request=\"INVITE\"></recv>\n<send><![CDATA[\nSIP/2.0 \
         {status_line}\n[last_Via:]\n[last_From:]\n[last_To:];tag=[call_number]\n[last_Call-ID:]\n[last_CSeq:]\n{more}\
         Content-Length: 0\n\n]]></send>\n<recv request=\"ACK\"></recv>\n</scenario>\n"
    );
    fs::write(&path, text).unwrap();
    path.to_string_lossy().into_owned()
}

/// A process that is ended with its value.
pub struct Running(pub Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The program while it runs.
pub struct Program {
    child: Child,
    lines: Receiver<(Duration, String)>,
    errors: Receiver<(Duration, String)>,
    /// Lines that were read.
    pub seen: Vec<String>,
    pub complaints: std::cell::RefCell<Vec<String>>,
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn lines_of(stream: impl Read + Send + 'static) -> Receiver<(Duration, String)> {
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        for line in BufReader::new(stream).lines().map_while(Result::ok) {
            let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
            if sender.send((now, line)).is_err() {
                return;
            }
        }
    });
    receiver
}

impl Program {
    pub fn spawn(mut command: Command) -> Program {
        let mut child = command.spawn().unwrap();
        let (lines, errors) = (lines_of(child.stdout.take().unwrap()), lines_of(child.stderr.take().unwrap()));
        Program { child, lines, errors, seen: Vec::new(), complaints: Default::default() }
    }

    /// The same, but that nobody reads what it writes until that is asked for.
    pub fn spawn_unread(mut command: Command) -> (Child, std::process::ChildStdout, Receiver<(Duration, String)>) {
        let mut child = command.spawn().unwrap();
        let (out, errors) = (child.stdout.take().unwrap(), lines_of(child.stderr.take().unwrap()));
        (child, out, errors)
    }

    fn wait_until_open(&self) {
        assert!(self.complaint("Ctrl-C ends", Duration::from_secs(20)).is_some(), "{:?}", self.complaints);
        // The message stands before the first packet is read, not before the interface is open.
    }

    /// The first line on standard error, from now on, that holds this.
    pub fn complaint(&self, wanted: &str, patience: Duration) -> Option<String> {
        let until = Instant::now() + patience;
        loop {
            let left = until.saturating_duration_since(Instant::now());
            match self.errors.recv_timeout(left) {
                Ok((_, line)) => {
                    self.complaints.borrow_mut().push(line.clone());
                    if line.contains(wanted) {
                        return Some(line);
                    }
                }
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => return None,
            }
        }
    }

    /// The first line, from now on, for which this is so, and when it was read.
    pub fn line(&mut self, patience: Duration, is_wanted: impl Fn(&str) -> bool) -> Option<(Duration, String)> {
        let until = Instant::now() + patience;
        loop {
            let left = until.saturating_duration_since(Instant::now());
            let (at, line) = self.lines.recv_timeout(left).ok()?;
            self.seen.push(line.clone());
            if is_wanted(&line) {
                return Some((at, line));
            }
        }
    }

    /// The first event of a kind, from now on, for which this is so, and when it was read.
    pub fn event(&mut self, kind: &str, is_wanted: impl Fn(&Value) -> bool) -> (Duration, Value) {
        let read = |line: &str| serde_json::from_str::<Value>(line).unwrap_or_else(|error| panic!("{error}: {line}"));
        let found = self.line(Duration::from_secs(10), |line| {
            let event = read(line);
            assert_eq!(event["schema"], "sipwhy.event/1");
            event["type"] == kind && is_wanted(&event)
        });
        let (at, line) = found.unwrap_or_else(|| panic!("no {kind}; seen: {}", self.seen.join("\n")));
        (at, read(&line))
    }

    pub fn signal(&self, name: &str) {
        let done = Command::new("kill").args([&format!("-{name}"), &self.child.id().to_string()]).status().unwrap();
        assert!(done.success());
    }

    /// Sends a signal, and waits for the end: all that was written since, and how long it took.
    pub fn end_with(mut self, signal: &str) -> Ended {
        self.signal(signal);
        self.end()
    }

    /// Waits for the end.
    pub fn end(&mut self) -> Ended {
        let begun = Instant::now();
        let until = begun + Duration::from_secs(20);
        let status = loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                break status;
            }
            assert!(Instant::now() < until, "it does not end; seen: {}", self.seen.join("\n"));
            thread::sleep(Duration::from_millis(5));
        };
        let took = begun.elapsed();
        let out: Vec<String> = self.lines.iter().map(|(_, line)| line).collect();
        let err: Vec<String> = self.errors.iter().map(|(_, line)| line).collect();
        Ended { status, took, out: out.join("\n"), err: err.join("\n") }
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }
}

/// A program that ends at once ends within this on a busy machine too: it does not wait for what it may not wait for.
pub const PROMPT: Duration = Duration::from_secs(8);

/// How the program ended.
#[derive(Debug)]
pub struct Ended {
    pub status: ExitStatus,
    pub took: Duration,
    /// What was written and not read before.
    pub out: String,
    pub err: String,
}

impl Ended {
    /// It ended as a signal should end it.
    pub fn is_good(&self) {
        assert_eq!(self.status.code(), Some(0), "{self:?}");
        assert!(self.took < PROMPT, "{self:?}");
    }
}

/// The time of an event, since 1970.
pub fn time_of(event: &Value) -> Duration {
    let text = event["time"].as_str().unwrap_or_else(|| panic!("no time in {event}"));
    let time: jiff::Timestamp = text.parse().unwrap();
    Duration::from_nanos(u64::try_from(time.as_nanosecond()).unwrap())
}

/// The file of a fixture's capture.
pub fn capture(fixture: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures").join(fixture).join("capture.pcap")
}
