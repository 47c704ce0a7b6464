//! Figures of a capture: the metrics of RFC 6076, delays, and what failed, by peer, code and cause.
//!
//! Is given calls one after the other; gives a value, its text and its picture. The names and the definitions are those
//! of RFC 6076; what a capture cannot show counts in none of them.

mod shown;

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use serde::Serialize;

use crate::call::{Call, Heard, Kind, LEAP, Leap, Outcome, Transaction};
use crate::capture::Timestamp;
use crate::diagnosis::Diagnosis;
use crate::report::gatherer::Selected;
use crate::report::scene::Scene;
use crate::sip::{Method, StatusCode};

/// Delays of one kind that are kept for percentiles; beyond, one of each few is.
const MOST_SAMPLES: usize = 100_000;
/// Of so many further ones one is kept. It has no factor in common with the number of samples, so that each of these
/// can be the one that goes.
const ONE_IN: u64 = 7;
/// Peers, codes and causes that are counted apart.
const MOST_ROWS: usize = 10_000;

/// The figures of a run.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Stats {
    /// `sipwhy.stats/1`.
    pub schema: &'static str,
    /// Registrations.
    pub registrations: Registrations,
    /// Calls.
    pub sessions: Sessions,
    /// Delays, in seconds.
    pub delays: Delays,
    /// Calls by the host that was asked first, or to which the caller was redirected from there.
    pub peers: BTreeMap<String, Row>,
    /// Calls by what the caller got in the end.
    pub codes: BTreeMap<u16, u64>,
    /// Calls and other exchanges by their cause.
    pub causes: BTreeMap<String, u64>,
    /// Peers and causes that were not counted apart.
    pub left_out: u64,
    /// Delays that are not counted, because the clock of the capture leaps within them.
    pub delays_across_leaps: u64,
    #[serde(skip)]
    doubtful: Vec<Doubtful>,
}

/// A delay of a day or more, of which only the end of the capture can say whether it is one.
#[derive(Debug, Clone, Copy)]
struct Doubtful {
    of: Which,
    first: Timestamp,
    last: Timestamp,
}

/// One kind of delay among all.
type Which = fn(&mut Delays) -> &mut Delay;

/// Registrations (RFC 6076 §4.1, §4.2).
#[derive(Debug, Clone, Copy, Default, Serialize)]
pub struct Registrations {
    /// Attempts whose end was seen.
    pub attempts: u64,
    /// Those that failed: with anything but a 2xx, a challenge or a redirection.
    pub ineffective: u64,
}

/// Calls (RFC 6076 §4.6 to §4.9).
#[derive(Debug, Clone, Copy, Default, Serialize)]
pub struct Sessions {
    /// Attempts whose end was seen.
    pub attempts: u64,
    /// Answered with 200.
    pub established: u64,
    /// Redirected and not tried elsewhere.
    pub redirected: u64,
    /// Refused by the user's state: 480, 486, 600 or 603.
    pub refused: u64,
    /// Failed in a server or on the way: 408, 500, 503 or 504.
    pub ineffective: u64,
    /// Answered, and ended in order by a BYE that was answered.
    pub completed: u64,
    /// Not seen to the end, and counted in nothing else.
    pub unfinished: u64,
    /// Answered, and no BYE was seen: established, and not seen to the end either.
    #[serde(skip)]
    pub open: u64,
}

/// Delays by the names of RFC 6076.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Delays {
    /// RRD (§4.1): from REGISTER to its 200.
    pub registration_request: Delay,
    /// SRD, successful (§4.3.1): from INVITE to the first sign that the callee is being alerted. The post-dial delay.
    pub successful_session_request: Delay,
    /// SRD, failed (§4.3.2): from INVITE to the failure.
    pub failed_session_request: Delay,
    /// SDD (§4.4): from BYE to its answer.
    pub session_disconnect: Delay,
    /// SDT, successful (§4.5.1): from the 200 of INVITE to BYE.
    pub session_duration: Delay,
}

/// One kind of delay.
#[derive(Debug, Clone, Default)]
pub struct Delay {
    samples: Vec<f64>,
    count: u64,
    sum: f64,
}

/// What is counted of one peer.
#[derive(Debug, Clone, Copy, Default, Serialize)]
pub struct Row {
    /// Attempts whose end was seen.
    pub attempts: u64,
    /// Answered ones.
    pub established: u64,
    /// Failed ones, those that nobody answered included.
    pub failed: u64,
}

impl Stats {
    /// No figures yet.
    pub fn new() -> Stats {
        Stats { schema: "sipwhy.stats/1", ..Stats::default() }
    }

    /// Takes in a call.
    pub fn add(&mut self, scene: &Scene, call: &Call, diagnosis: &Diagnosis, selected: Selected) {
        if selected == Selected::No {
            return;
        }
        match call.kind {
            Kind::Registration => self.registration(call, diagnosis.outcome),
            Kind::Call => self.session(scene, call, diagnosis.outcome),
            _ => {}
        }
        if let Some(cause) = diagnosis.cause() {
            count(&mut self.causes, cause.rule.to_string(), &mut self.left_out);
        }
    }

    /// The capture has ended, and its clock leapt so. Nothing of SIP waits for a day; only calls last as long.
    pub fn finish(&mut self, leaps: &[Leap]) {
        for Doubtful { of, first, last } in std::mem::take(&mut self.doubtful) {
            match leaps.iter().any(|leap| first <= leap.before && leap.after <= last) {
                true => self.delays_across_leaps += 1,
                false => of(&mut self.delays).add(last.since(first)),
            }
        }
    }

    fn delay(&mut self, of: Which, between: Option<(&Heard, &Heard)>) {
        let Some((first, last)) = between.map(|(first, last)| (first.place.time, last.place.time)) else { return };
        if last.since(first) < LEAP || self.doubtful.len() >= MOST_ROWS {
            return of(&mut self.delays).add(last.since(first));
        }
        self.doubtful.push(Doubtful { of, first, last });
    }

    fn registration(&mut self, call: &Call, outcome: Outcome) {
        let last = call.transactions.iter().rev().find(|transaction| transaction.method == Method::Register);
        let Some(status) = last.and_then(|transaction| call.final_status_of(transaction)) else {
            // Without an answer it failed, if the capture goes on for long enough to tell.
            let is_silent = outcome == Outcome::Unanswered;
            self.registrations.attempts += u64::from(is_silent);
            self.registrations.ineffective += u64::from(is_silent);
            return;
        };
        self.registrations.attempts += 1;
        let is_step = matches!(status.get(), 300..=399 | 401 | 402 | 407);
        self.registrations.ineffective += u64::from(!status.is_success() && !is_step);
        if let Some(transaction) = last.filter(|_| status.is_success()) {
            self.delay(|delays| &mut delays.registration_request, answered(call, transaction));
        }
    }

    fn session(&mut self, scene: &Scene, call: &Call, outcome: Outcome) {
        let sessions = &mut self.sessions;
        if outcome == Outcome::Unfinished {
            sessions.unfinished += 1;
            return;
        }
        sessions.attempts += 1;
        let status = call.final_status.map_or(0, StatusCode::get);
        let is_established = call.is_answered();
        sessions.established += u64::from(is_established);
        match status {
            _ if is_established => {}
            300..=399 => sessions.redirected += 1,
            480 | 486 | 600 | 603 => sessions.refused += 1,
            408 | 500 | 503 | 504 => sessions.ineffective += 1,
            _ => {}
        }
        if status > 0 {
            *self.codes.entry(status).or_default() += 1;
        }
        let bye = call.transactions.iter().find(|transaction| transaction.method == Method::Bye);
        let is_ended = bye.and_then(|bye| call.final_status_of(bye)).is_some_and(StatusCode::is_success);
        sessions.open += u64::from(is_established && bye.is_none());
        sessions.completed += u64::from(is_established && is_ended);
        self.delays_of(call, bye);
        if let Some(host) = decided_by(call) {
            let row =
                Row { attempts: 1, established: u64::from(is_established), failed: u64::from(outcome.is_failed()) };
            self.peer(scene, host, row);
        }
    }

    fn peer(&mut self, scene: &Scene, host: IpAddr, more: Row) {
        let name = scene.privacy().of_nobody().address(host);
        if self.peers.len() >= MOST_ROWS && !self.peers.contains_key(&name) {
            self.left_out += 1;
            return;
        }
        let row = self.peers.entry(name).or_default();
        row.attempts += more.attempts;
        row.established += more.established;
        row.failed += more.failed;
    }

    fn delays_of(&mut self, call: &Call, bye: Option<&Transaction>) {
        // With credentials a request is sent anew: the delay is that of the last one (§4.3).
        let Some(attempt) = call.attempts().next_back() else { return };
        let Some(invite) = call.request_of(attempt) else { return };
        let alerting = attempt.provisionals.iter().map(|id| call.message(*id)).find(|heard| is_alerting(heard));
        let last = call.final_of(attempt);
        let status = call.final_status_of(attempt);
        let is_success = status.is_some_and(StatusCode::is_success);
        if is_success {
            let shown = alerting.or(last).map(|heard| (invite, heard));
            self.delay(|delays| &mut delays.successful_session_request, shown);
        } else if status.is_some_and(|status| status.get() >= 400 && !matches!(status.get(), 401 | 402 | 407)) {
            self.delay(|delays| &mut delays.failed_session_request, last.map(|heard| (invite, heard)));
        }
        let Some(bye) = bye else { return };
        self.delay(|delays| &mut delays.session_disconnect, answered(call, bye));
        if let (Some(answer), Some(request), true) = (last, call.request_of(bye), is_success) {
            self.delay(|delays| &mut delays.session_duration, Some((answer, request)));
        }
    }
}

impl Registrations {
    /// IRA (§4.2), in percent; none without an attempt.
    pub fn ineffective_attempts(&self) -> Option<f64> {
        percent(self.ineffective, self.attempts)
    }
}

impl Sessions {
    /// SER (§4.6), in percent: established, of all that were not redirected.
    pub fn establishment_ratio(&self) -> Option<f64> {
        percent(self.established, self.attempts.saturating_sub(self.redirected))
    }

    /// SEER (§4.7), in percent: the same, where the user's state is no fault.
    pub fn establishment_effectiveness_ratio(&self) -> Option<f64> {
        percent(self.established + self.refused, self.attempts.saturating_sub(self.redirected))
    }

    /// ISA (§4.8), in percent.
    pub fn ineffective_attempts(&self) -> Option<f64> {
        percent(self.ineffective, self.attempts)
    }

    /// SCR (§4.9), in percent.
    pub fn completion_ratio(&self) -> Option<f64> {
        percent(self.completed, self.attempts)
    }
}

impl Delay {
    fn add(&mut self, delay: Duration) {
        self.count += 1;
        self.sum += delay.as_secs_f64();
        if self.samples.len() < MOST_SAMPLES {
            self.samples.push(delay.as_secs_f64());
        } else if let Some(place) = usize::try_from(self.count).ok().map(|count| count % MOST_SAMPLES)
            && self.count.is_multiple_of(ONE_IN)
        {
            // No dice: the same capture gives the same figures.
            self.samples[place] = delay.as_secs_f64();
        }
    }

    /// How many there were.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// Their mean, in seconds.
    pub fn mean(&self) -> Option<f64> {
        (self.count > 0).then(|| self.sum / self.count as f64)
    }

    /// The value that so many percent of them do not exceed, in seconds.
    pub fn percentile(&self, percent: usize) -> Option<f64> {
        let mut sorted = self.samples.clone();
        sorted.sort_by(f64::total_cmp);
        let rank = (sorted.len() * percent).div_ceil(100).max(1) - 1;
        sorted.get(rank).copied()
    }
}

impl Serialize for Delay {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Shown {
            count: u64,
            mean: Option<f64>,
            median: Option<f64>,
            p95: Option<f64>,
            max: Option<f64>,
        }
        let rounded = |value: Option<f64>| value.map(|value| (value * 1e6).round() / 1e6);
        let shown = Shown {
            count: self.count,
            mean: rounded(self.mean()),
            median: rounded(self.percentile(50)),
            p95: rounded(self.percentile(95)),
            max: rounded(self.percentile(100)),
        };
        shown.serialize(serializer)
    }
}

/// How long a call took to be set up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Setup {
    /// From INVITE to the first sign that the callee is alerted, or to the answer where there was none (RFC 6076
    /// §4.3.1).
    pub alerted: Option<Duration>,
    /// From INVITE to its 2xx.
    pub answered: Option<Duration>,
}

impl Setup {
    /// That of the last INVITE that opens the call: with credentials it is sent anew.
    pub fn of(call: &Call) -> Setup {
        let Some(attempt) = call.attempts().next_back() else { return Setup::default() };
        let Some(invite) = call.request_of(attempt) else { return Setup::default() };
        let alerting = attempt.provisionals.iter().map(|id| call.message(*id)).find(|heard| is_alerting(heard));
        let is_answered = call.final_status_of(attempt).is_some_and(StatusCode::is_success);
        let answer = call.final_of(attempt).filter(|_| is_answered);
        Setup {
            alerted: alerting.or(answer).map(|heard| since(invite, heard)),
            answered: answer.map(|heard| since(invite, heard)),
        }
    }
}

fn percent(part: u64, whole: u64) -> Option<f64> {
    (whole > 0).then(|| part as f64 * 100.0 / whole as f64)
}

fn count(counts: &mut BTreeMap<String, u64>, name: String, left_out: &mut u64) {
    if counts.len() >= MOST_ROWS && !counts.contains_key(&name) {
        *left_out += 1;
        return;
    }
    *counts.entry(name).or_default() += 1;
}

fn since(first: &Heard, last: &Heard) -> Duration {
    last.place.time.since(first.place.time)
}

/// A request and its final answer.
fn answered<'a>(call: &'a Call, transaction: &Transaction) -> Option<(&'a Heard, &'a Heard)> {
    Some((call.request_of(transaction)?, call.final_of(transaction)?))
}

/// The host that decided a call: the one that was asked first, or to which the caller was redirected from there.
fn decided_by(call: &Call) -> Option<IpAddr> {
    let first = call.attempts().next()?;
    let of_caller = call.attempts().filter(|attempt| attempt.path.source.ip() == first.path.source.ip());
    let mut decided = first;
    for attempt in of_caller.skip(1) {
        let is_redirected = call.final_status_of(decided).is_some_and(|status| (300..400).contains(&status.get()));
        let is_elsewhere = attempt.path.destination.ip() != decided.path.destination.ip();
        if is_redirected || !is_elsewhere {
            decided = attempt;
        }
    }
    Some(decided.path.destination.ip())
}

/// A sign that the callee is alerted: anything provisional but 100 (RFC 6076 §4.3.1).
fn is_alerting(heard: &Heard) -> bool {
    heard.message.status().is_some_and(|status| matches!(status.get(), 101..=199))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ratios_are_those_of_the_rfc() {
        let sessions = Sessions {
            attempts: 100,
            established: 60,
            redirected: 20,
            refused: 10,
            ineffective: 5,
            completed: 50,
            unfinished: 3,
            open: 2,
        };
        assert_eq!(sessions.establishment_ratio(), Some(75.0));
        assert_eq!(sessions.establishment_effectiveness_ratio(), Some(87.5));
        assert_eq!(sessions.ineffective_attempts(), Some(5.0));
        assert_eq!(sessions.completion_ratio(), Some(50.0));
        assert_eq!(Sessions::default().establishment_ratio(), None);
        assert_eq!(Registrations { attempts: 8, ineffective: 2 }.ineffective_attempts(), Some(25.0));
    }

    #[test]
    fn percentiles_are_values_that_were_seen() {
        let mut delay = Delay::default();
        for seconds in 1..=100 {
            delay.add(Duration::from_secs(seconds));
        }
        assert_eq!(
            (delay.percentile(50), delay.percentile(95), delay.percentile(100)),
            (Some(50.0), Some(95.0), Some(100.0))
        );
        assert_eq!(delay.mean(), Some(50.5));
        assert_eq!(Delay::default().percentile(50), None);
    }
}
