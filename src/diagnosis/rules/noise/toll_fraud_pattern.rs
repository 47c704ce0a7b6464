use std::net::IpAddr;
use std::time::Duration;

use crate::call::Guessing;
use crate::capture::Place;
use crate::diagnosis::rule::rule;
use crate::diagnosis::words::{guessed_account, length, list};
use crate::diagnosis::{CaptureCase, Case, Confidence, Finding, Role, Severity};

rule! {
    /// Many calls abroad follow a guessed password.
    ///
    /// ## What it says
    /// A source that was let in after many refused tries calls international or premium numbers in quick succession:
    /// that is how stolen accounts are turned into money.
    ///
    /// ## Why it happens
    /// The account was compromised, and somebody earns from calls to these numbers.
    ///
    /// ## Evidence
    /// A success after at least ten refused credentials of one source, and at least three calls of it to numbers that
    /// begin with `+`, `00`, `011` or `900` within a minute.
    ///
    /// ## How to fix
    /// Block the account and the source at once; limit international calls for each account (amount, destinations,
    /// hours).
    ///
    /// ## When it would be wrong
    /// Where users call abroad often, a burst of such calls may be honest; it is not known here which country is home.
    ///
    /// ## References
    /// RFC 3261 §26.1.1; RFC 3966 §5.1.4
    "I3" "toll-fraud-pattern" needs [GUESSED], check, capture of_capture
}

/// Calls within [`SOON`] that make a burst.
const BURST: usize = 3;
/// Calls that are shown.
const MOST_SHOWN: usize = 12;
/// The time within which they are counted.
const SOON: Duration = Duration::from_secs(60);

fn check(case: &Case<'_>) -> Option<Finding> {
    let first = case.call.messages.iter().find(|heard| heard.message.is_request())?;
    let source = first.path.source.ip();
    let known = case.surroundings.neighbours().guessing(source)?;
    let burst = burst(known)?;
    burst
        .iter()
        .any(|(place, _)| case.call.messages.iter().any(|heard| heard.place == *place))
        .then(|| found(source, known, &burst))
}

fn of_capture(case: &CaptureCase<'_>) -> Option<Finding> {
    case.surroundings.neighbours().guessers().find_map(|(source, known)| Some(found(*source, known, &burst(known)?)))
}

/// The calls of the first burst of calls abroad after the success, and all that follow.
fn burst(known: &Guessing) -> Option<Vec<(Place, String)>> {
    known.accepted.as_ref()?;
    let abroad: Vec<(Place, String)> = known.called.iter().filter(|(_, number)| is_abroad(number)).cloned().collect();
    let is_burst = |calls: &[(Place, String)]| {
        calls.first().zip(calls.last()).is_some_and(|(first, last)| last.0.time.since(first.0.time) <= SOON)
    };
    let at = abroad.windows(BURST).position(is_burst)?;
    Some(abroad[at..].to_vec())
}

/// True for numbers with an international or premium prefix.
fn is_abroad(number: &str) -> bool {
    let digits = number.chars().filter(char::is_ascii_digit).count();
    let prefixed = ["+", "00", "011", "900", "1900", "0900"].iter().any(|prefix| number.starts_with(prefix));
    prefixed && digits >= 8
}

fn found(source: IpAddr, known: &Guessing, calls: &[(Place, String)]) -> Finding {
    let mut numbers: Vec<&str> = calls.iter().map(|(_, number)| number.as_str()).collect();
    numbers.dedup();
    let span = calls.first().zip(calls.last()).map(|(first, last)| last.0.time.since(first.0.time)).unwrap_or_default();
    let finding = Finding::of(&RULE, Confidence::Possible)
        .severity(Severity::Warning)
        .party(Role::Uac, None)
        .naming(numbers.iter().copied())
        .because(format!(
            "{source}, which was let in after many refused credentials, made {} international or premium calls within \
             {} ({}): that is a pattern of toll fraud.",
            calls.len(),
            length(span),
            list(&numbers)
        ))
        .naming(known.user())
        .fix(format!("Block {source} and {} at once, and end its calls.", guessed_account(source, known)))
        .fix("Limit international calls for each account: destinations, amount, hours.");
    calls.iter().take(MOST_SHOWN).fold(finding, |finding, (place, number)| {
        finding.claim_at(*place, "sip.r-uri.user", number.clone(), "a call abroad")
    })
}
