use std::collections::BTreeSet;

use crate::call::Begun;
use crate::diagnosis::rule::rule;
use crate::diagnosis::words::counted;
use crate::diagnosis::{CaptureCase, Confidence, Finding, Role, Severity};

rule! {
    /// Fragments of IP datagrams are not in the capture.
    ///
    /// ## What it says
    /// Large messages travelled in pieces, and the capture does not hold all of them.
    ///
    /// ## Why it happens
    /// Only the first fragment carries the ports: the filter `port 5060` drops the others. Or the network lost them.
    ///
    /// ## Evidence
    /// Fragments of a datagram of which others are missing. A message whose beginning stands in the first fragment is
    /// named, by its method and Call-ID. Where other datagrams that came in fragments are whole, the filter of the
    /// capture keeps fragments, and hardly explains it.
    ///
    /// ## How to fix
    /// Capture with `udp port 5060 or (ip[6:2] & 0x1fff != 0)`, which keeps the pieces behind the first.
    ///
    /// ## When it would be wrong
    /// If the filter did keep fragments, the network lost the pieces, and the receiver never had the message:
    /// `large-request-lost`.
    ///
    /// ## References
    /// RFC 791 §3.2; RFC 3261 §18.1.1
    "J5" "fragments-missing", capture check
}

/// Frames that are cited.
const CITED: usize = 5;

fn check(case: &CaptureCase<'_>) -> Option<Finding> {
    let count = case.count("fragments-missing");
    if count == 0 {
        return None;
    }
    let datagrams = counted(count, "IP datagram is", "IP datagrams are");
    let cut_short = case.surroundings.cut_short();
    let why = match cut_short.whole() {
        Some(_) => {
            "Other datagrams that came in fragments are whole in this capture, so its filter hardly explains it: the \
             missing fragments were lost on the way to this point, and whoever stands behind it never got the message, \
             or the capture missed them."
        }
        None => "A filter on the port drops every fragment but the first; without one they were lost on the way.",
    };
    let mut finding = Finding::of(&RULE, Confidence::Proven)
        .party(Role::Capture, None)
        .severity(Severity::Warning)
        .because(format!(
            "{datagrams} in the capture in part only: fragments are missing, so the messages in them cannot be \
             read.{} {why}",
            beginnings(cut_short.begun())
        ))
        .fix(match cut_short.whole() {
            Some(_) => {
                "Let IP fragments pass the firewalls on the way, or use TCP for large messages (RFC 3261 §18.1.1)."
            }
            None => "Capture with a filter that keeps fragments: udp port 5060 or (ip[6:2] & 0x1fff != 0)",
        })
        .next_capture("tcpdump -i any -s0 -w next.pcap 'udp port 5060 or (ip[6:2] & 0x1fff != 0)'");
    for place in case.first("fragments-missing", CITED) {
        finding = finding
            .claim_at(place, "frame.number", place.frame.to_string(), "a fragment of a datagram that is not whole")
            .claim_absent(place, "the other fragments of this datagram", "they are not in the capture");
    }
    Some(match cut_short.whole() {
        Some(whole) => finding.claim_at(
            whole,
            "frame.number",
            whole.frame.to_string(),
            "the last fragment of a datagram that is whole",
        ),
        None => finding,
    })
}

/// Which messages begin in the first fragments: a sentence, or nothing. Of the Call-ID the part before its host.
fn beginnings(begun: &[Begun]) -> String {
    let Some(first) = begun.first() else { return String::new() };
    let what = |begun: &Begun| (begun.source, begun.destination, begun.method.clone(), begun.call_id.clone());
    let copies = begun.iter().filter(|other| what(other) == what(first)).count() as u64;
    let others: BTreeSet<_> = begun.iter().map(what).filter(|other| *other != what(first)).collect();
    let method = first.method.as_deref().map_or_else(|| "a response".to_owned(), |method| format!("the {method}"));
    let call_id = match first.call_id.split_once('@') {
        Some((own, _)) => format!("{own}@…"),
        None => first.call_id.clone(),
    };
    let named = if call_id.is_empty() { String::new() } else { format!(" (Call-ID {call_id})") };
    let more = match others.len() as u64 {
        0 => String::new(),
        more => format!(", others with {}", counted(more, "other message", "other messages")),
    };
    format!(
        " {} with {method} of {} to {}{named}{more}.",
        counted(copies, "of them begins", "of them begin"),
        first.source,
        first.destination
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::call::{CutShort, Surroundings};
    use crate::capture::{Place, SourceId};
    use crate::diagnosis::{InputSeen, Tally};
    use crate::oddity::{Oddity, OddityLog};

    /// What is said of three first fragments of one INVITE and one of another.
    fn said(whole: Option<u64>) -> Finding {
        let place = |frame| Place { frame, ..Place::default() };
        let mut known = CutShort::default();
        for (frame, call_id) in
            [(1, "a7@host.example.com"), (2, "a7@host.example.com"), (5, "b9"), (9, "a7@host.example.com")]
        {
            known.note_begun(Begun {
                place: place(frame),
                source: [192, 0, 2, 1].into(),
                destination: [192, 0, 2, 9].into(),
                method: Some("INVITE".to_owned()),
                call_id: call_id.to_owned(),
            });
        }
        whole.into_iter().for_each(|frame| known.note_whole(place(frame)));
        let mut surroundings = Surroundings::default();
        surroundings.cut_short_mut().merge(&known);
        let mut oddities = OddityLog::default();
        [1, 2, 5, 9].into_iter().for_each(|frame| oddities.note(Oddity::FragmentsMissing { had: 1 }, Some(frame)));
        let input =
            InputSeen { source: SourceId::default(), packets: 9, sip_messages: 0, first_and_last: None, oddities };
        let tally = Tally::default();
        check(&CaptureCase { inputs: &[input], surroundings: &surroundings, tally: &tally, tls: &[], clocks: &[] })
            .expect("it holds")
    }

    #[test]
    fn messages_are_named_by_what_their_first_fragments_show() {
        let because = format!("{:?}", said(None));
        let wanted =
            "3 of them begin with the INVITE of 192.0.2.1 to 192.0.2.9 (Call-ID a7@…), others with 1 other message.";
        assert!(because.contains(wanted), "{because}");
        assert!(because.contains("A filter on the port drops"), "{because}");
    }

    #[test]
    fn a_filter_that_kept_other_fragments_is_hardly_the_reason() {
        let finding = said(Some(7));
        let because = format!("{finding:?}");
        assert!(
            because.contains("its filter hardly explains it") && !because.contains("A filter on the port"),
            "{because}"
        );
        assert!(finding.claims.iter().any(|claim| claim.place.frame == 7));
    }
}
