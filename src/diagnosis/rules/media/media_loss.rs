use std::time::Duration;

use crate::call::Stream;
use crate::diagnosis::media::{BOTH_ENDS, Talk, on_the_way};
use crate::diagnosis::rule::rule;
use crate::diagnosis::words::length;
use crate::diagnosis::{Case, Confidence, Finding, Role, Severity};

rule! {
    /// Media packets got lost, or came very unevenly.
    ///
    /// ## What it says
    /// The sequence numbers of a stream have holes, a receiver reports loss, or the packets came so unevenly that a
    /// telephone cannot play them in time. People hear gaps.
    ///
    /// ## Why it happens
    /// A link is overloaded, a wireless network is weak, or media have no priority on the way.
    ///
    /// ## Evidence
    /// One percent or more of the packets missing in the capture; or a report of RTCP with five percent or more; or a
    /// jitter above 60 ms. Where all streams have their hole at the same moment, the capture lost the packets. Behind a
    /// B2BUA that relays the media each leg is looked at, in the order in which the sound comes to them.
    ///
    /// ## How to fix
    /// Loss that is in the capture arose before this point; loss that only RTCP reports arose behind it. Look there for
    /// overload and priorities (DSCP EF).
    ///
    /// ## When it would be wrong
    /// A pause is not loss: the numbers go on. A capturing system that drops packets loses media too.
    ///
    /// ## References
    /// RFC 3550 §6.4.1, §6.4.4; RFC 3611 §4.1
    "H6" "media-loss" needs [ANSWERED BODY MEDIA], check
}

/// Packets and the share of them that are too many.
const MANY: u64 = 5;
const PERCENT: u64 = 1;
/// Five percent in 256ths.
const REPORTED: u8 = 13;
/// A jitter that ordinary buffers cannot hide.
const UNEVEN: Duration = Duration::from_millis(60);
/// Holes of several streams within this are one hole of the capture.
const AT_ONCE: Duration = Duration::from_millis(200);

fn check(case: &Case<'_>) -> Option<Finding> {
    let talks = case.talks();
    // What is lost on one leg may be missing on those behind it too: there it was not lost.
    let first_lossy = |to| {
        on_the_way(&talks, to).into_iter().find_map(|(talk, ear, _)| {
            let lossy = ear.streams.iter().filter(|stream| is_lossy(stream));
            Some((talk, *lossy.max_by_key(|stream| stream.lost())?))
        })
    };
    if let Some((talk, stream)) = BOTH_ENDS.into_iter().filter_map(first_lossy).max_by_key(|(_, stream)| stream.lost())
    {
        return lossy(case, stream, &of_leg(talk));
    }
    let streams = of_leg(talks.first()?);
    reported(case, &streams).or_else(|| uneven(&streams))
}

/// A receiver reports loss. Where a B2BUA leaves the source of a stream as it is, nobody knows on which leg it is that
/// its receiver lost something.
fn reported(case: &Case<'_>, streams: &[&Stream]) -> Option<Finding> {
    let media = case.surroundings.media();
    let (stream, report) = streams.iter().find_map(|stream| {
        let report = media.report_on(stream.source).filter(|report| report.fraction_lost >= REPORTED)?;
        Some((*stream, report))
    })?;
    let percent = f64::from(report.fraction_lost) * 100.0 / 256.0;
    Some(
        found(stream)
            .because(format!(
                "The receiver of the RTP from {} reports that it lost {percent:.1} % between two reports. In this \
                 capture the stream is whole: the loss arose behind this point.",
                stream.path.source
            ))
            .fix(format!(
                "Look at the way from this capture to {}: overload, wireless, priorities.",
                stream.path.destination
            ))
            .claim_at(
                report.place,
                "rtcp.ssrc.fraction",
                report.fraction_lost.to_string(),
                "the share lost, in 256ths",
            ),
    )
}

/// The packets of a stream came very unevenly.
fn uneven(streams: &[&Stream]) -> Option<Finding> {
    let is_uneven = |stream: &&&Stream| {
        let has_clock = stream.types().iter().all(|seen| seen.kind < FIXED_CLOCK);
        stream.packets > 100 && has_clock && stream.jitter() > UNEVEN
    };
    let stream = streams.iter().find(is_uneven)?;
    Some(
        found(stream)
            .because(format!(
                "The RTP from {} came very unevenly: its jitter is {} at its end. Telephones drop what comes too late.",
                stream.path.source,
                length(stream.jitter())
            ))
            .fix(format!(
                "Look at the way from {} to this capture: overload, wireless, priorities.",
                stream.path.source
            ))
            .claim_at(
                stream.last,
                "udp.srcport",
                stream.path.source.port().to_string(),
                "the last packet of the stream",
            ),
    )
}

/// The streams of both directions of a leg.
fn of_leg<'a>(talk: &Talk<'a>) -> Vec<&'a Stream> {
    [&talk.caller, &talk.callee].into_iter().flat_map(|ear| ear.streams.iter().copied()).collect()
}

/// What is missing at once and is more than a hole: the media went elsewhere for a while, or were numbered anew.
const ELSEWHERE: u32 = 100;

fn is_lossy(stream: &Stream) -> bool {
    let elsewhere = stream.gap.map_or(0, |gap| if gap.missing >= ELSEWHERE { u64::from(gap.missing) } else { 0 });
    let lost = stream.lost().saturating_sub(elsewhere);
    elsewhere == 0 && lost >= MANY && lost * 100 >= stream.expected() * PERCENT
}

/// Payload types whose clock RFC 3551 §6 fixes: of others the jitter is only a guess.
const FIXED_CLOCK: u8 = 35;

fn found(stream: &Stream) -> Finding {
    Finding::of(&RULE, Confidence::Likely).severity(Severity::Warning).party(Role::Network, Some(stream.path.source))
}

fn lossy(case: &Case<'_>, stream: &Stream, streams: &[&Stream]) -> Option<Finding> {
    let gap = stream.gap?;
    let is_at_once = |other: &&&Stream| {
        other.gap.is_some_and(|theirs| {
            theirs.place.time.since(gap.place.time) <= AT_ONCE && gap.place.time.since(theirs.place.time) <= AT_ONCE
        })
    };
    let all_at_once = streams.len() > 1 && streams.iter().filter(is_at_once).count() == streams.len();
    let of_capture = all_at_once || case.capture.drops > 0;
    let percent = stream.lost() as f64 * 100.0 / stream.expected().max(1) as f64;
    let where_ = match of_capture {
        true if all_at_once => {
            "All streams of the call have their hole at the same moment, so it may be the capture that lost them."
        }
        true => "The capturing system dropped packets, so it may be the capture that lost them.",
        false => "They were lost before this point.",
    };
    let finding = found(stream);
    let finding = match of_capture {
        true => Finding { confidence: Confidence::Possible, ..finding }.severity(Severity::Info),
        false => finding,
    };
    Some(
        finding
            .because(format!(
                "Of {} packets of RTP from {} to {}, {} are missing in the capture ({percent:.1} %), {} of them at \
                 once. {where_}",
                stream.expected(),
                stream.path.source,
                stream.path.destination,
                stream.lost(),
                gap.missing
            ))
            .fix(format!(
                "Look at the way from {} to this capture: overload, wireless, priorities (DSCP EF).",
                stream.path.source
            ))
            .claim_at(gap.from, "rtp.seq", gap.before.to_string(), "the packet before the largest hole")
            .claim_at(gap.place, "rtp.seq", gap.after.to_string(), "the packet behind it"),
    )
}
