//! A request that failed beside one of the same capture that went well: only the lines in which they differ.

use std::collections::BTreeMap;

use maud::{Markup, html};

use crate::catalogue::Word;
use crate::report::html::call::Whole;
use crate::report::ticket;
use crate::report::transcript::Target;
use crate::report::view::is_well;
use crate::untrusted::Untrusted;

/// Headers that differ between any two requests and so tell nothing.
const ALWAYS_DIFFERENT: [&str; 9] = [
    "via",
    "call-id",
    "cseq",
    "date",
    "content-length",
    "timestamp",
    "session-id",
    "authorization",
    "proxy-authorization",
];
/// Lines that are shown.
const MOST_LINES: usize = 40;

/// The comparison, if a request of the same method to the same host went well.
pub(crate) fn of_call(whole: &Whole<'_>) -> Markup {
    let record = whole.record;
    let texts = whole.transcripts.of(record.id);
    let rung = record.ladder.iter().find(|rung| rung.status.is_none());
    let example = rung.and_then(|rung| whole.transcripts.example(&Target::new(rung.label.raw(), &rung.to_addr)));
    let (Some(own), Some(example)) = (ticket::first_request(record, texts), example) else { return html! {} };
    if is_well(record) || example.call == record.id {
        return html! {};
    }
    let lines = differences(own, &example.text);
    let words = &whole.page.look.words;
    let count = lines.len() as u64;
    html! {
        details {
            summary { (words.count(Word::BesideWell, count, &[("call", &example.call), ("count", &count)])) }
            div class="scroll" {
                table class="differs" {
                    thead {
                        tr {
                            th { (words.word(Word::ColumnLine)) } th { (words.word(Word::ColumnThisOne)) }
                            th { (words.word(Word::ColumnWellOne)) }
                        }
                    }
                    tbody {
                        @for (name, own, other) in lines.iter().take(MOST_LINES) {
                            tr { td { (name) } td { (own) } td { (other) } }
                        }
                    }
                }
            }
            p class="faint" { (words.word(Word::AlwaysDiffer)) }
        }
    }
}

/// The lines in which two requests differ: name, here, there.
fn differences(own: &str, other: &str) -> Vec<(String, String, String)> {
    let (own, other) = (lines(own), lines(other));
    let mut names: Vec<&String> = own.keys().chain(other.keys()).collect();
    names.sort_unstable();
    names.dedup();
    let held = |known: &BTreeMap<String, Vec<String>>, name: &String| match known.get(name) {
        None => "—".to_owned(),
        Some(values) => Untrusted::from(values.join(", ")).for_terminal().into_owned(),
    };
    let pairs = names.into_iter().map(|name| (name.clone(), held(&own, name), held(&other, name)));
    pairs.filter(|(_, own, other)| own != other).collect()
}

/// The lines of a request by name, without what differs always.
fn lines(text: &str) -> BTreeMap<String, Vec<String>> {
    let mut known: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let (head, body) = text.split_once("\n\n").unwrap_or((text, ""));
    for line in head.lines().skip(1) {
        let Some((name, value)) = line.split_once(':') else { continue };
        let name = name.trim();
        if !ALWAYS_DIFFERENT.contains(&name.to_ascii_lowercase().as_str()) {
            let value = without_tag(value.trim());
            known.entry(name.to_owned()).or_default().push(value);
        }
    }
    for line in body.lines() {
        // The origin and the ports differ always.
        let Some((kind, value)) = line.split_once('=').filter(|(kind, _)| !["o", "s", "t"].contains(kind)) else {
            continue;
        };
        let value = if kind == "m" { without_port(value) } else { value.to_owned() };
        known.entry(format!("SDP {kind}=")).or_default().push(value);
    }
    known
}

fn without_tag(value: &str) -> String {
    match value.split_once(";tag=") {
        None => value.to_owned(),
        Some((before, after)) => match after.find(';') {
            Some(end) => format!("{before}{}", after.get(end..).unwrap_or_default()),
            None => before.to_owned(),
        },
    }
}

/// A media line without its port, unless the port is 0, which refuses the stream (RFC 3264 §5.1).
fn without_port(value: &str) -> String {
    let words: Vec<&str> = value.split(' ').collect();
    match words.as_slice() {
        [kind, port, rest @ ..] if *port != "0" => format!("{kind} … {}", rest.join(" ")),
        _ => value.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_differs_and_means_something_is_told() {
        let good = "INVITE sip:b@h SIP/2.0\nCall-ID: 1\nFrom: <sip:a@h>;tag=1\nSupported: timer\n\nv=0\nm=audio 4000 \
                    RTP/AVP 8";
        let bad =
            "INVITE sip:b@h SIP/2.0\nCall-ID: 2\nFrom: <sip:a@h>;tag=2\nRequire: x\n\nv=0\nm=audio 4002 RTP/AVP 0";
        let found = differences(bad, good);
        let names: Vec<&str> = found.iter().map(|(name, _, _)| name.as_str()).collect();
        assert_eq!(names, ["Require", "SDP m=", "Supported"]);
        assert_eq!(found[1].1, "audio … RTP/AVP 0");
    }
}
