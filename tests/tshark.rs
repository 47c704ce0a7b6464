//! What the program reads and claims is what tshark shows, for every capture of `fixtures/`.
//!
//! - Every claim of a report (frame, field, value) is one of the values that tshark prints for this field and frame.
//! - The messages that were read are those that tshark finds: frame, method or code, Call-ID, CSeq.
//!
//! `SIPWHY_CAPTURES=/folder cargo test --test tshark` does the same for captures elsewhere. Where both differ for a reason
//! it stands in `docs/differences.md`, with the frames. Without tshark there is nothing to compare with, and the tests
//! say so.

mod analysed;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

use analysed::{fixtures, root};
use sipwhy::analysis::{Analysis, Event, run};
use sipwhy::capture::{Files, Reading};
use sipwhy::report::{ClaimRecord, Report};

/// Captures of which tshark shows something else, and why.
const DIFFERENCES: &str = include_str!("../docs/differences.md");

/// ESP is read as we read it.
const PREFERENCE: &str = "esp.enable_null_encryption_decode_heuristic:TRUE";

/// Where messages are told from each other.
const OF_MESSAGES: [&str; 6] = ["sip.Method", "sip.Status-Code", "sip.Call-ID", "sip.CSeq", "icmp.type", "icmpv6.type"];

const BETWEEN_FIELDS: char = '\x1f';
const BETWEEN_OCCURRENCES: char = '\x1e';

/// Each frame's fields, each with its occurrences.
type Shown = BTreeMap<u64, BTreeMap<String, Vec<String>>>;

fn has_tshark() -> bool {
    let is_there = Command::new("tshark").arg("--version").output().is_ok_and(|output| output.status.success());
    if !is_there {
        println!("tshark is not installed: nothing was compared");
    }
    is_there
}

/// What tshark prints for some fields.
fn shown(capture: &Path, fields: &BTreeSet<&str>) -> Result<Shown, String> {
    let mut command = Command::new("tshark");
    command.arg("-r").arg(capture).args(["-o", PREFERENCE]).current_dir(root());
    command.args(["-T", "fields", "-E", "occurrence=a", "-e", "frame.number"]);
    command.arg("-E").arg(format!("separator={BETWEEN_FIELDS}"));
    command.arg("-E").arg(format!("aggregator={BETWEEN_OCCURRENCES}"));
    for field in fields {
        command.args(["-e", field]);
    }
    let output = command.output().map_err(|error| error.to_string())?;
    let complaints = String::from_utf8_lossy(&output.stderr).into_owned();
    if complaints.contains("fields aren't valid") {
        return Err(complaints);
    }
    let mut shown = Shown::new();
    for line in String::from_utf8_lossy(&output.stdout).split('\n') {
        let mut columns = line.split(BETWEEN_FIELDS);
        let Some(frame) = columns.next().and_then(|number| number.parse().ok()) else { continue };
        let occurrences = |column: &str| column.split(BETWEEN_OCCURRENCES).map(str::to_owned).collect();
        let row = fields.iter().zip(columns).map(|(field, column)| ((*field).to_owned(), occurrences(column)));
        shown.insert(frame, row.collect());
    }
    Ok(shown)
}

fn claims(report: &Report) -> impl Iterator<Item = (&str, &ClaimRecord)> {
    let findings = report.calls.iter().flat_map(|call| &call.findings).chain(&report.notes);
    findings.flat_map(|finding| finding.claims.iter().map(|claim| (finding.rule.as_str(), claim)))
}

/// True if a claim is what tshark shows.
fn is_shown(claim: &ClaimRecord, shown: &Shown) -> bool {
    let Some(row) = shown.get(&claim.frame.number()) else { return false };
    let value = claim.value.raw();
    match claim.field.as_str() {
        "absent" => true,
        "frame.number" => value == claim.frame.number().to_string(),
        // The field holds all headers; a claim cites one of them.
        "sip.msg_hdr" => {
            let headers = row.get("sip.msg_hdr").into_iter().flatten();
            headers.flat_map(|all| all.split("\\r\\n").flat_map(|line| line.split("\\n"))).any(|line| line == value)
        }
        field => row.get(field).is_some_and(|occurrences| occurrences.iter().any(|one| one == value)),
    }
}

/// The messages of a frame: requests, codes, Call-IDs, CSeqs, each in order.
#[derive(Debug, Default, PartialEq, Eq)]
struct Messages {
    methods: Vec<String>,
    codes: Vec<String>,
    call_ids: Vec<String>,
    cseqs: Vec<String>,
}

fn read_by_us(capture: &Path) -> Option<BTreeMap<u64, Messages>> {
    let mut files = Files::open(&[capture.to_owned()], Reading::default()).ok()?;
    let mut analysis = Analysis::default();
    analysis.hand_on_messages();
    let mut frames: BTreeMap<u64, Messages> = BTreeMap::new();
    run(&mut files, &mut analysis, |_, event| {
        let Event::Message(message) = event else { return };
        let messages = frames.entry(message.place.frame).or_default();
        messages.methods.extend(message.method.map(|method| method.to_string()));
        messages.codes.extend(message.status.map(|status| status.get().to_string()));
        messages.call_ids.extend(Some(message.call_id).filter(|call_id| !call_id.is_empty()));
        messages.cseqs.extend(message.cseq.map(|cseq| format!("{} {}", cseq.number, cseq.method)));
    })
    .ok()?;
    Some(frames)
}

fn read_by_tshark(shown: &Shown) -> BTreeMap<u64, Messages> {
    let mut frames = BTreeMap::new();
    for (frame, row) in shown {
        let of = |field: &str| -> Vec<String> {
            row.get(field).into_iter().flatten().filter(|value| !value.is_empty()).cloned().collect()
        };
        // What an ICMP error quotes is no message on the wire.
        if !of("icmp.type").is_empty() || !of("icmpv6.type").is_empty() {
            continue;
        }
        let messages = Messages {
            methods: of("sip.Method"),
            codes: of("sip.Status-Code"),
            call_ids: of("sip.Call-ID"),
            cseqs: of("sip.CSeq"),
        };
        if messages != Messages::default() {
            frames.insert(*frame, messages);
        }
    }
    frames
}

/// A capture: where it is, and what it is called in the list of differences.
#[derive(Debug)]
struct Compared {
    path: PathBuf,
    name: String,
}

/// Frames of which tshark is known to show something else, as rows of the list say: `| name | frames | … |`.
fn differing(name: &str) -> BTreeSet<u64> {
    let cells = |row: &str| row.split('|').map(|cell| cell.trim().to_owned()).collect::<Vec<_>>();
    let rows = DIFFERENCES.lines().map(cells).filter(|cells| cells.get(1) == Some(&format!("`{name}`")));
    let frames = rows.flat_map(|cells| cells[2].split(' ').map(str::to_owned).collect::<Vec<_>>());
    frames.map(|frame| frame.parse().expect("the number of a frame")).collect()
}

/// What is wrong with one capture, and which frames are known to differ and do not.
fn wrong(capture: &Compared) -> Vec<String> {
    let name = &capture.name;
    let known = differing(name);
    let report = analysed::report(std::slice::from_ref(&capture.path)).ok();
    let cited = report.iter().flat_map(claims).map(|(_, claim)| claim.field.as_str());
    let mut fields: BTreeSet<&str> = cited.filter(|field| !matches!(*field, "absent" | "frame.number")).collect();
    fields.extend(OF_MESSAGES);
    let shown = match shown(&capture.path, &fields) {
        Ok(shown) => shown,
        Err(complaint) => return vec![format!("{name}: {complaint}")],
    };
    let mut wrong = Vec::new();
    let claims = report.iter().flat_map(claims).filter(|(_, claim)| !known.contains(&claim.frame.number()));
    for (rule, claim) in claims.filter(|(_, claim)| !is_shown(claim, &shown)) {
        let (frame, field, value) = (claim.frame.number(), &claim.field, claim.value.raw());
        let there = shown.get(&frame).and_then(|row| row.get(field));
        wrong.push(format!("{name}: {rule} claims of frame {frame} that {field} is {value:?}; tshark: {there:?}"));
    }
    let (ours, theirs) = (read_by_us(&capture.path).unwrap_or_default(), read_by_tshark(&shown));
    for frame in ours.keys().chain(theirs.keys()).copied().collect::<BTreeSet<u64>>() {
        let (ours, theirs) = (ours.get(&frame), theirs.get(&frame));
        match (ours == theirs, known.contains(&frame)) {
            (false, false) => wrong.push(format!("{name}: frame {frame} holds {ours:?}; tshark: {theirs:?}")),
            (true, true) => wrong.push(format!("{name}: frame {frame} is listed as differing, and does not")),
            _ => {}
        }
    }
    wrong
}

fn all_wrong(captures: &[Compared]) -> Vec<String> {
    let half = captures.len().div_ceil(2).max(1);
    std::thread::scope(|scope| {
        let threads: Vec<_> =
            captures.chunks(half).map(|part| scope.spawn(|| part.iter().flat_map(wrong).collect::<Vec<_>>())).collect();
        threads.into_iter().flat_map(|thread| thread.join().expect("a comparison")).collect()
    })
}

fn beneath(path: &Path, captures: &mut Vec<PathBuf>) {
    let Ok(entries) = path.read_dir() else { return captures.push(path.to_owned()) };
    let mut paths: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    paths.sort();
    paths.iter().for_each(|path| beneath(path, captures));
}

#[test]
fn tshark_shows_what_is_read_and_claimed() {
    if !has_tshark() {
        return;
    }
    let name = |path: &Path| path.to_string_lossy().replace('\\', "/");
    let captures = fixtures().into_iter().map(|fixture| fixture.capture);
    let captures: Vec<Compared> = captures.map(|path| Compared { name: name(&path), path }).collect();
    let wrong = all_wrong(&captures);
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn tshark_shows_the_same_of_captures_elsewhere() {
    let Some(folder) = std::env::var_os("SIPWHY_CAPTURES").filter(|_| has_tshark()).map(PathBuf::from) else { return };
    let mut paths = Vec::new();
    beneath(&folder, &mut paths);
    let name = |path: &Path| path.strip_prefix(&folder).unwrap_or(path).to_string_lossy().replace('\\', "/");
    let captures: Vec<Compared> = paths.into_iter().map(|path| Compared { name: name(&path), path }).collect();
    assert!(!captures.is_empty(), "there is nothing in {}", folder.display());
    let wrong = all_wrong(&captures);
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
