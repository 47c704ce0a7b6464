//! What tshark shows, for every capture of `fixtures/` and the recordings with TLS: the messages that are read are
//! those that it finds (frame, method or code, Call-ID, CSeq), and every claim of the JSON report of the program itself
//! (frame, field, value) is what it prints for that frame and field.
//!
//! `SIPWHY_CAPTURES=/folder cargo test --test tshark` does the same for captures elsewhere; secrets of TLS stand beside
//! a capture, in `NAME.keys.txt`. Where both differ for a reason it stands in `docs/differences.md`, with the frames.
//! Without tshark there is nothing to compare with, and the tests say so.

mod analysed;
mod dissected;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

use analysed::fixtures;
use dissected::{Compared, all_wrong, claims, elsewhere, has_tshark, messages, of_folder};

/// What is wrong with one capture; counts the claims that were compared. tshark takes longer to start than to read: it
/// is asked for all fields at once.
fn wrong(capture: &Compared, compared: &AtomicUsize) -> Vec<String> {
    let claimed = claims::of(capture);
    compared.fetch_add(claimed.len(), Ordering::Relaxed);
    let fields: BTreeSet<&str> = messages::FIELDS.into_iter().chain(claims::fields(&claimed)).collect();
    let shown = match capture.shown(&fields) {
        Ok(shown) => shown,
        Err(complaint) => return vec![format!("{}: {complaint}", capture.name)],
    };
    let mut wrong = messages::wrong(capture, &shown);
    wrong.extend(claims::wrong(capture, &claimed, &shown));
    wrong
}

/// Compares the messages of these captures, and all claims of the reports on them.
fn compare(captures: &[Compared], claims_at_least: usize) {
    let compared = AtomicUsize::new(0);
    let wrong = all_wrong(captures, |capture| wrong(capture, &compared));
    let compared = compared.into_inner();
    println!("{compared} claims of {} captures, and their messages: {} of them wrong", captures.len(), wrong.len());
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(compared >= claims_at_least, "only {compared} claims were found");
}

#[test]
fn tshark_shows_what_is_read_and_claimed() {
    if !has_tshark() {
        return;
    }
    let mut captures: Vec<Compared> =
        fixtures().into_iter().map(|fixture| Compared::new(fixture.capture.clone(), &fixture.capture)).collect();
    let tls: Vec<Compared> = of_folder(Path::new("tests/tls"));
    captures.extend(tls.into_iter().filter(|capture| capture.keys.is_some()));
    compare(&captures, 500);
}

/// The sources of the diagnosis, one behind the other.
fn sources(folder: &Path, text: &mut String) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true => sources(&path, text),
            false => text.push_str(&std::fs::read_to_string(path).unwrap()),
        }
    }
}

/// The fields that claims name: by themselves, and by the header that they are of.
fn named_fields() -> BTreeSet<String> {
    const PROTOCOLS: [&str; 8] = ["sip.", "sdp.", "icmp.", "icmpv6.", "ip.", "ipv6.", "udp.", "tcp."];
    let mut text = String::new();
    sources(Path::new("src/diagnosis"), &mut text);
    let is_name = |word: &str| word.chars().all(|letter| letter.is_ascii_alphanumeric() || "._-".contains(letter));
    let literals: Vec<&str> = text.split('"').collect();
    let mut fields = BTreeSet::new();
    for pair in literals.windows(2) {
        let [before, literal] = pair else { continue };
        let is_field = PROTOCOLS.iter().any(|protocol| literal.starts_with(protocol) && literal.len() > protocol.len());
        if is_field && is_name(literal) && !literal.ends_with('.') {
            fields.insert((*literal).to_owned());
        }
        let is_header = before.rsplit_once(".claim_header").is_some_and(|(_, between)| !between.contains([';', ')']));
        if is_header && is_name(literal) && !literal.starts_with("P-Registrar") {
            let name = match *literal {
                "SIP-If-Match" => "If_Match",
                "SIP-ETag" => "ETag",
                header => header,
            };
            fields.insert(format!("sip.{name}"));
        }
    }
    fields
}

#[test]
fn every_field_that_claims_name_is_one_of_wireshark() {
    if !has_tshark() {
        return;
    }
    let list = std::process::Command::new("tshark").args(["-G", "fields"]).output().unwrap().stdout;
    let list = String::from_utf8_lossy(&list);
    let known: BTreeSet<&str> = list.lines().filter_map(|line| line.strip_prefix("F\t")?.split('\t').nth(1)).collect();
    let named = named_fields();
    assert!(named.len() > 30 && named.contains("sip.If_Match"), "{named:?}");
    let unknown: Vec<&String> = named.iter().filter(|field| !known.contains(field.as_str())).collect();
    assert!(unknown.is_empty(), "{unknown:?}");
}

#[test]
fn tshark_shows_what_is_read_and_claimed_of_captures_elsewhere() {
    let Some(captures) = elsewhere().filter(|_| has_tshark()) else { return };
    let is_capture = |path: &PathBuf| !path.to_string_lossy().ends_with(".keys.txt");
    let captures: Vec<Compared> = captures.into_iter().filter(|capture| is_capture(&capture.path)).collect();
    compare(&captures, 1);
}
