use crate::call::{Heard, Kind, Outcome};
use crate::capture::Place;
use crate::diagnosis::rule::rule;
use crate::diagnosis::words::{capture_at, length};
use crate::diagnosis::{Case, Confidence, Finding, Role};

rule! {
    /// The peer does not answer its probes any more.
    ///
    /// ## What it says
    /// OPTIONS that are sent at regular times, to see if the peer is alive, got no final response several times in a row:
    /// the peer, or the way to it, was down.
    ///
    /// ## Why it happens
    /// Its SIP service is down or restarting, its address has changed, or something on the way drops the packets.
    ///
    /// ## Evidence
    /// Two or more OPTIONS in a row from one address to another without a final response, for as long as a request may
    /// wait. Any final response, even 404 or 501, shows that the peer is alive.
    ///
    /// ## How to fix
    /// Look at the peer at the time at which the answers stop. Let calls take another way while it is down.
    ///
    /// ## When it would be wrong
    /// In a capture of one direction; and a single probe may get lost.
    ///
    /// ## References
    /// RFC 3261 §11, §17.1.2.2
    "B11" "peer-probe-failed" needs [PROBE], check
}

/// Probes in a row without an answer.
const ENOUGH: usize = 2;

fn check(case: &Case<'_>) -> Option<Finding> {
    let is_open = matches!(case.call.outcome, Outcome::Unanswered | Outcome::Unfinished);
    if case.call.kind != Kind::Options || !is_open {
        return None;
    }
    let request = case.call.request_of(case.deciding()?)?;
    let (client, server) = (request.path.source.ip(), request.path.destination.ip());
    let probes = case.surroundings.neighbours().probes(client, server)?;
    let row = &probes.sent;
    let is_answered = |(_, key): &(Place, u64)| probes.answered.iter().any(|(_, answered)| answered == key);
    let here = row.iter().position(|(place, _)| *place == request.place)?;
    let first = row[..here].iter().rposition(is_answered).map_or(0, |at| at + 1);
    let end = row[here..].iter().position(is_answered).map_or(row.len(), |at| here + at);
    let silent = &row[first..end];
    if silent.len() < ENOUGH {
        return None;
    }
    let (began, last) = (silent.first()?.0, silent.last()?.0);
    // An answer to a probe that the capture missed: meanwhile the peer was there.
    let is_of_missed = |key: &u64| row.iter().all(|(_, sent)| sent != key);
    let until = row.get(end).map_or(case.capture.until, |(place, _)| place.time);
    if probes.answered.iter().any(|(time, key)| *time >= began.time && *time <= until && is_of_missed(key)) {
        return None;
    }
    let confidence = confidence(case, request, began);
    let before = row.get(..first)?.last().map(|(place, _)| *place);
    let after = row.get(end).map(|(place, _)| *place);
    let period = last.time.since(began.time).checked_div(u32::try_from(silent.len() - 1).unwrap_or(1));
    let end_of_it = match after {
        Some(place) => format!("At {} after that it answered again.", length(place.time.since(last.time))),
        None => "It did not answer again in this capture.".to_owned(),
    };
    let begin_of_it = match before {
        Some(_) => "Before, it had answered",
        None => "No answer of it to a probe is in the capture before",
    };
    let mut finding = Finding::of(&RULE, confidence)
        .explains(None)
        .party(Role::Uas, Some(request.path.destination))
        .because(format!(
            "{server} left {} probes (OPTIONS, about every {}) of {client} in a row without a final response, within {}. \
             {begin_of_it}. {end_of_it}",
            silent.len(),
            period.map(length).unwrap_or_default(),
            length(last.time.since(began.time))
        ))
        .fix(format!("Look at {server} at the time at which its answers stop: its service, its address, the way to it."))
        .fix("Let calls take another way while the peer does not answer its probes.")
        .next_capture(capture_at(server, request.path))
        .claim_at(began, "sip.Method", "OPTIONS", "the first probe without an answer")
        .claim_at(last, "sip.Method", "OPTIONS", "the last of them")
        .claim_absent(last, format!("any final response from {server}"), "nothing came back");
    match before {
        Some(before) => finding = finding.claim_at(before, "sip.Method", "OPTIONS", "the last probe that was answered"),
        None => finding = finding.titled("The peer does not answer its probes"),
    }
    Some(finding.refuted("probe-noise", "there is no final response").refuted("next-hop-silent", "it is a row of probes: the peer itself is down"))
}

/// The absence of answers to the first of them counts: the later ones make it surer.
fn confidence(case: &Case<'_>, request: &Heard, began: Place) -> Confidence {
    // Who gets no answer over UDP asks again (RFC 3261 §17.1.2.2). One who does not, while no packet of the peer is seen at
    // all, or messages are cut, had its answer in what this capture does not show.
    let could_see = case.is_visible(request.path.destination.ip(), request.path.source.ip());
    let would_repeat = !request.path.transport.is_reliable();
    if request.repeated == 0 && ((would_repeat && !could_see) || request.message.is_cut()) {
        return Confidence::Unseen;
    }
    match case.absence_of_answer(request) {
        Confidence::Unseen if case.tail(began) >= crate::call::timer::OVERDUE => Confidence::Possible,
        confidence => confidence,
    }
}
