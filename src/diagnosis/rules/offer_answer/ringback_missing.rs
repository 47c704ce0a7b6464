use std::time::Duration;

use crate::call::{Heard, Stream};
use crate::capture::Timestamp;
use crate::diagnosis::offers::audio;
use crate::diagnosis::rule::rule;
use crate::diagnosis::words::length;
use crate::diagnosis::{Case, Confidence, Finding, Role, Severity};
use crate::sip::StatusCode;
use crate::sip::sdp::Sdp;

rule! {
    /// The caller heard no ringback tone.
    ///
    /// ## What it says
    /// Nothing told the caller's telephone to play a tone, or early media were announced and never came: the caller
    /// heard silence until the answer.
    ///
    /// ## Why it happens
    /// A gateway sends 183 without a description and no 180; or it announces early media, and they are not sent or do
    /// not get through.
    ///
    /// ## Evidence
    /// A 18x with a description, no 180, and no RTP to the caller before the answer, although there is some after it;
    /// or a 183 without a description and no 180 beside it. After a 180, with a description or without, a telephone
    /// that gets no media plays a tone of its own. Early media that go on behind a 180 are told as a fact: some
    /// telephones switch to a tone of their own then.
    ///
    /// ## How to fix
    /// Let the callee's side send 180 where it has no early media; open the way of the media from the 18x on.
    ///
    /// ## When it would be wrong
    /// Some telephones play a tone with any 18x; and some play none after a 180 with a description, against RFC 3960.
    ///
    /// ## References
    /// RFC 3960 §3.1, §3.2; RFC 3261 §21.1.5
    "D17" "ringback-missing" needs [PROVISIONAL], check
}

/// Shorter than this nobody misses a tone.
const SHORT: Duration = Duration::from_secs(2);

fn check(case: &Case<'_>) -> Option<Finding> {
    let invite = case.call.attempts().last()?;
    let request = case.call.request_of(invite)?;
    let alerts: Vec<&Heard> = case
        .provisionals(invite)
        .filter(|heard| heard.message.status().is_some_and(|status| status.get() > 100))
        .collect();
    let first = alerts.first().copied()?;
    if alerts.iter().any(|heard| heard.message.is_cut()) {
        return None;
    }
    let end = case.finals(invite).next().map_or(case.call.until, |response| response.place.time);
    let waited = end.since(first.place.time);
    if waited < SHORT {
        return None;
    }
    let with_sdp = alerts.iter().copied().find(|heard| Sdp::of(&heard.message).is_some());
    let code = |heard: &Heard| heard.message.status().map_or(0, StatusCode::get);
    // Whoever gets a 180 and no media plays a tone, whether it has a description or not (RFC 3960 §3.2).
    let rings = alerts.iter().any(|heard| code(heard) == 180);
    let Some(early) = with_sdp else {
        let is_silent = alerts.iter().all(|heard| code(heard) == 183 && heard.message.body().is_empty());
        return is_silent.then(|| without_description(case, first, waited));
    };
    let media = case.surroundings.media();
    let offer = Sdp::of(&request.message)?;
    let wanted = audio(offer)?;
    let address = std::net::SocketAddr::new(offer.address_of(wanted).parse().ok()?, wanted.port);
    let mut streams = media.to(address).filter(|stream| stream.last.time >= first.place.time).peekable();
    streams.peek()?;
    let streams: Vec<&Stream> = streams.collect();
    let (before, after) = (streams.iter().any(|s| s.first.time < end), streams.iter().find(|s| s.first.time >= end));
    if before {
        return switched(&alerts, &streams, end);
    }
    let after = after.filter(|_| !rings)?;
    Some(
        Finding::of(&RULE, Confidence::Likely)
            .severity(Severity::Warning)
            .sender(Role::Uas, early)
            .because(format!(
                "{} announced early media with {}, and no RTP came to the caller in the {} until the answer, though \
                 it did afterwards: the caller heard no ringback tone.",
                early.path.source,
                code(early),
                length(waited)
            ))
            .fix(format!("Let {} send its early media from the {} on, or a 180.", early.path.source, code(early)))
            .claim_status(early, "it has a description: early media")
            .claim_absent(early.place, format!("RTP to {address} before the answer"), "the caller hears nothing")
            .claim_at(after.first, "udp.dstport", address.port().to_string(), "the first RTP to the caller"),
    )
}

/// A 180 without a description came while early media were being sent: most telephones then play a tone of their own.
fn switched(alerts: &[&Heard], streams: &[&Stream], end: Timestamp) -> Option<Finding> {
    let is_180 = |heard: &Heard| heard.message.status().is_some_and(|status| status.get() == 180);
    let early = alerts.iter().copied().find(|heard| !is_180(heard) && Sdp::of(&heard.message).is_some())?;
    let rings = alerts
        .iter()
        .copied()
        .find(|heard| heard.place > early.place && is_180(heard) && Sdp::of(&heard.message).is_none())?;
    // A stream that pauses from the 180 to the answer has made room for the tone.
    let pauses = |stream: &Stream| {
        stream.silence.is_some_and(|(silence, ended)| {
            let began = Timestamp(ended.time.0.saturating_sub(silence.as_nanos() as i64));
            ended.time >= end && began.since(rings.place.time) < SHORT
        })
    };
    let goes_on = |stream: &&&Stream| {
        stream.first.time < rings.place.time && stream.last.time > rings.place.time && !pauses(stream)
    };
    let stream = streams.iter().find(goes_on)?;
    let until = stream.last.time.min(end);
    if until.since(rings.place.time) < SHORT {
        return None;
    }
    Some(
        Finding::of(&RULE, Confidence::Possible)
            .titled("Early media went on behind a 180 that asks for a local tone")
            .sender(Role::Uas, rings)
            .because(format!(
                "{} announced early media with {} and sent them, and then sent 180 without a session description: at \
                 that many telephones switch to a tone of their own. What it sent in the {} after that (a tone, an \
                 announcement) the caller may not have heard.",
                early.path.source,
                early.message.status().map_or(0, StatusCode::get),
                length(until.since(rings.place.time))
            ))
            .fix(format!(
                "Let {} send no 180 after early media have begun, or repeat its description in it.",
                rings.path.source
            ))
            .fix("Or let the caller's telephone go on playing early media that still come (RFC 3960 §3.2).")
            .claim_status(early, "early media begin")
            .claim_status(rings, "the telephone may play a tone of its own")
            .claim_at(
                stream.first,
                "udp.dstport",
                stream.path.destination.port().to_string(),
                "the first of the early media",
            ),
    )
}

fn without_description(case: &Case<'_>, first: &Heard, waited: Duration) -> Finding {
    Finding::of(&RULE, Confidence::Possible)
        .sender(Role::Uas, first)
        .because(format!(
            "{} sent 183 without a session description and no 180: for {} nothing told {} to play a ringback tone, \
             and no early media were agreed on.",
            first.path.source,
            length(waited),
            case.call
                .request_of(case.call.transaction(first.transaction))
                .map_or(first.path.destination, |request| request.path.source)
        ))
        .fix(format!("Let {} send 180 in place of 183 where it has no early media.", first.path.source))
        .claim_status(first, "progress, and no ringing")
        .claim_header(first, "Content-Length", "it has no session description")
}
