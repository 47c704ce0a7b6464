use crate::call::{ClockSeen, Shown};
use crate::capture::Place;
use crate::diagnosis::rule::rule;
use crate::diagnosis::words::{counted, length, times};
use crate::diagnosis::{CaptureCase, Confidence, Finding, InputSeen, Role};
use crate::oddity::{Noted, Oddity};

use std::time::Duration;

rule! {
    /// The clock of the capture is not steady.
    ///
    /// ## What it says
    /// A packet carries an earlier time than the one before it in the same file; or the time leaps by a day or more in
    /// the middle of a call. Times and intervals near it are not reliable. Or the clocks that stamped several files differ:
    /// then the times of those that differ from most are put right, and it is said by how much.
    ///
    /// ## Why it happens
    /// The system's clock was set while the capture ran, several processors or interfaces stamp packets each for
    /// themselves, or files were put together without sorting.
    ///
    /// ## Evidence
    /// A negative interval between two neighbouring frames of a millisecond or more. Less is the usual disorder between
    /// the queues of a network card. Or a response that carries an earlier time than its request, by a millisecond or
    /// more (likely). Or a step of a day or more, and behind it a message that goes on with an exchange that cannot
    /// have waited so long.
    ///
    /// Between files: the same datagrams in two of them, which lie between what one and the other direction say; or, in
    /// one direction alone, more than a second apart and always by as much. Or a request that a host received in one file
    /// and sent on in another (its branch in the Via beneath, or the same Session-ID, icid or header for such references)
    /// that leaves before it comes, or is answered after what waited for that. If no order is violated, no difference is
    /// said.
    ///
    /// ## How to fix
    /// Keep the clock with NTP or PTP while capturing; sort a file that was put together: `reordercap CAPTURE NEW`. Where
    /// the files cannot be read a second time (a pipe), shift the times of one: `editcap -t SECONDS CAPTURE NEW`.
    ///
    /// ## When it would be wrong
    /// If only the order of the records is mixed and their times are right, sorting mends it, as this program does.
    ///
    /// ## References
    /// RFC 5905
    "J6" "clock-unsteady", each of capture check
}

/// Steps back that are shorter are the usual disorder between the queues of a network card.
const HARMLESS: Duration = Duration::from_millis(1);

fn check(case: &CaptureCase<'_>) -> Vec<Finding> {
    backward(case).or_else(|| ahead(case)).into_iter().chain(forward(case)).chain(apart(case)).collect()
}

/// The clocks that stamped several inputs differ: each difference once, for the inputs that have it.
fn apart(case: &CaptureCase<'_>) -> Vec<Finding> {
    let mut told: Vec<(Option<i64>, bool)> = Vec::new();
    let mut found = Vec::new();
    for clock in case.clocks {
        let difference = (clock.ahead, clock.is_corrected);
        if !told.contains(&difference) {
            told.push(difference);
            let count = case.clocks.iter().filter(|other| (other.ahead, other.is_corrected) == difference).count();
            found.push(of_clock(clock, count));
        }
    }
    found
}

fn of_clock(clock: &ClockSeen, inputs: usize) -> Finding {
    let (own, other) = clock.frames;
    let apart = Duration::from_nanos(own.time.0.abs_diff(other.time.0));
    let shown = match clock.shown {
        Shown::SameDatagram if own.time > other.time => {
            format!("the same datagram is stamped {} later in it than in another one", length(apart))
        }
        Shown::SameDatagram => {
            format!("the same datagram is stamped {} earlier in it than in another one", length(apart))
        }
        Shown::Request => format!("what a request was sent on as is stamped {} before that request", length(apart)),
        Shown::Response => {
            format!("a response is stamped {} before the one that was passed on as it", length(apart))
        }
    };
    let clock_of = match inputs {
        1 => "The clock that stamped one of the inputs".to_owned(),
        inputs => format!("The clock that stamped {inputs} of the inputs"),
    };
    let sure = if clock.shown == Shown::SameDatagram { Confidence::Proven } else { Confidence::Likely };
    let finding = Finding::of(&RULE, sure)
        .titled("The clocks of the inputs differ")
        .party(Role::Capture, None)
        .fix("Keep the clocks of all systems that capture with NTP or PTP.");
    let finding = match clock.ahead {
        None => finding.because(format!(
            "{clock_of} is not that of the others, and not always as far from it: {shown}. Times are told as the inputs \
             hold them: what happened first, and how long after, cannot be said between these inputs."
        )),
        Some(ahead) => of_steady(finding, clock, ahead, &format!("{clock_of} is {{}} that of the others{}: {shown}.", within(clock.error))),
    };
    finding.claim_at(own, "frame.number", own.frame.to_string(), "stamped by the clock that differs").claim_at(
        other,
        "frame.number",
        other.frame.to_string(),
        "stamped by the clock of another input",
    )
}

/// How sure the difference is.
fn within(error: u64) -> String {
    match Duration::from_nanos(error) {
        error if error < HARMLESS => String::new(),
        error => format!(", to within {}", length(error)),
    }
}

/// The same of a clock that is always as far from the others.
fn of_steady(finding: Finding, clock: &ClockSeen, ahead: i64, told: &str) -> Finding {
    let by = length(Duration::from_nanos(ahead.unsigned_abs()));
    let (way, back) = if ahead > 0 { ("ahead of", "earlier") } else { ("behind", "later") };
    let told = told.replacen("{}", &format!("{by} {way}"), 1);
    if clock.is_corrected {
        return finding.because(format!("{told} Its times are told {by} {back}."));
    }
    finding
        .because(format!(
            "{told} Its times are told as it holds them: what belongs together may stand apart, and intervals between \
             inputs are wrong by that."
        ))
        .fix(format!(
            "Put its times right, and read all of them again: editcap -t {:+.3} CAPTURE NEW",
            -ahead as f64 / 1e9
        ))
}

/// A response carries an earlier time than the request that it answers.
fn ahead(case: &CaptureCase<'_>) -> Option<Finding> {
    let early = |(response, request): &&(Place, Place)| request.time.since(response.time) >= HARMLESS;
    let (response, request) = case
        .tally
        .answered_ahead
        .iter()
        .filter(early)
        .max_by_key(|(response, request)| (request.time.since(response.time), std::cmp::Reverse(response.frame)))?;
    let count = case.tally.answered_ahead_count;
    Some(
        Finding::of(&RULE, Confidence::Likely)
            .titled("A response is stamped before its request")
            .party(Role::Capture, None)
            .because(format!(
                "{} {} an earlier time than the request that it answers, by up to {}: its packets were stamped by \
                 different clocks, of interfaces or processors, or one of them too late. Intervals as short as that \
                 tell nothing.",
                counted(count, "response", "responses"),
                if count == 1 { "carries" } else { "carry" },
                length(request.time.since(response.time))
            ))
            .fix("Capture on one interface, or let one clock stamp all of them (NTP or PTP; time stamps of the host).")
            .claim_at(*response, "frame.number", response.frame.to_string(), "the response")
            .claim_at(
                *request,
                "frame.number",
                request.frame.to_string(),
                "its request, which comes later by its time",
            ),
    )
}

/// The time leaps forward in the middle of a call.
fn forward(case: &CaptureCase<'_>) -> Option<Finding> {
    let leap = case.surroundings.neighbours().leaps().iter().find(|leap| leap.spanned.is_some())?;
    let goes_on = leap.spanned?;
    let days = leap.after.since(leap.before).as_secs() / 86_400;
    Some(
        Finding::of(&RULE, Confidence::Proven)
            .titled("The clock of the capture leaps forward")
            .party(Role::Capture, None)
            .because(format!(
                "The time leaps forward by {} before a message that goes on with what had begun: the clock of the \
                 capturing system was set. What was waiting at that moment is judged as if the capture had ended \
                 there, and lengths across the leap are wrong.",
                counted(days, "day", "days")
            ))
            .fix("Set the clock of the capturing system (NTP or PTP) before the capture begins.")
            .claim_at(
                goes_on,
                "frame.number",
                goes_on.frame.to_string(),
                "it goes on with what had begun before the leap",
            ),
    )
}

/// The time goes back between two neighbouring frames.
fn backward(case: &CaptureCase<'_>) -> Option<Finding> {
    let (input, noted) = case.noted("clock-unsteady").find(|(_, noted)| step(noted) >= HARMLESS)?;
    let count = case.count("clock-unsteady");
    let finding = Finding::of(&RULE, Confidence::Proven)
        .titled("The clock of the capture goes back")
        .party(Role::Capture, None)
        .because(format!(
            "The time goes back {} between neighbouring frames, by up to {}. Frames are put in order of their time; \
             intervals near these frames are not reliable.",
            times(u32::try_from(count).unwrap_or(u32::MAX)),
            length(step(noted))
        ))
        .fix("If the file was put together from several, sort it: reordercap CAPTURE NEW")
        .fix("Keep the clock of the capturing system steady (NTP or PTP) while capturing.");
    Some(cite(finding, case, input, noted))
}

/// The longest step back that was noted.
fn step(noted: &Noted) -> Duration {
    match noted.example {
        Oddity::TimeWentBack { nanoseconds } => Duration::from_nanos(nanoseconds),
        _ => Duration::ZERO,
    }
}

fn cite(finding: Finding, case: &CaptureCase<'_>, input: &InputSeen, noted: &Noted) -> Finding {
    match noted.frames.as_slice() {
        [frame] => {
            let back = format!("-{:.9}", step(noted).as_secs_f64());
            finding.claim_at(case.place(input, *frame), "frame.time_delta", back, "earlier than the frame before it")
        }
        frames => frames.iter().take(5).fold(finding, |finding, frame| {
            let number = frame.to_string();
            finding.claim_at(case.place(input, *frame), "frame.number", number, "earlier than the frame before it")
        }),
    }
}
