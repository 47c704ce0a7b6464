use crate::call::{Failure, Heard, Kind};
use crate::catalogue::Topic;
use crate::diagnosis::rule::rule;
use crate::diagnosis::rules::authentication::address_of_record_refused::names_too_many;
use crate::diagnosis::rules::routing::channel_limit_reached::names_a_rate;
use crate::diagnosis::rules::routing::server_in_maintenance;
use crate::diagnosis::trunk::says_failed;
use crate::diagnosis::{Case, Confidence, Finding};
use crate::sip::Via;

rule! {
    /// The server refuses new work for now.
    ///
    /// ## What it says
    /// The server refused new work and named the time at which to come back, or said that it is overloaded.
    ///
    /// ## Why it happens
    /// More calls arrive than it may or can carry, or it is being taken out of service.
    ///
    /// ## Evidence
    /// A 503 that carries `Retry-After`, or whose phrase or Warning speaks of overload or a limit, and no Q.850 cause
    /// that names something else; or one whose first Via tells the client to send less (`oc`). Or a 480 or 486 whose
    /// phrase, Warning or Reason names a limit of calls per second: those codes speak of the callee, and the words of
    /// the way to it.
    ///
    /// ## How to fix
    /// Let the caller wait that long, or send it to the next server. If it recurs, look at the server's limits.
    ///
    /// ## When it would be wrong
    /// A gateway that has lost its trunk may answer the same with a fixed `Retry-After`; then `Reason` or `Warning`
    /// tells: where its words say that something failed, it is that. Within the time that an earlier 503 asked for, the
    /// fault is the caller's: `overload-backoff-ignored`.
    ///
    /// ## References
    /// RFC 3261 §20.33, §21.5.4; RFC 3263 §4.3; RFC 7339 §4
    "E10" "server-overloaded" needs [503] [480 486 WORDS], check
}

/// Words of a phrase or Warning that speak of a limit that was reached.
pub(super) const OVERLOAD: &[&str] =
    &["overload", "over load", "too many", "maximum calls", "capacity", "system busy", "congest", "limit", "throttl"];

fn check(case: &Case<'_>) -> Option<Finding> {
    let overloaded = Overloaded::of(case)?;
    let response = overloaded.response;
    let finding = Finding::of(&RULE, overloaded.confidence())
        .explains(Some(overloaded.failure.status))
        .sender(case.role_of_responder(response), response);
    if !case.wants_words() {
        return Some(finding);
    }
    let finding = overloaded.proved(overloaded.advised(finding.because(overloaded.explanation())));
    let finding = match response.message.has_cut_head() {
        true => finding,
        false => finding.refuted("trunk-congested", "no Reason header names a Q.850 cause"),
    };
    Some(finding.refuted("overload-backoff-ignored", "no earlier 503 of this server was in force for this client"))
}

/// False of a Retry-After of zero seconds, whatever comment or parameter stands behind them (RFC 3261 §20.33).
pub(super) fn asks_for_pause(retry_after: &str) -> bool {
    let seconds = retry_after.split(['(', ';']).next().unwrap_or_default();
    !seconds.trim().trim_start_matches('0').is_empty()
}

/// A refusal by a server that has too much to do.
struct Overloaded<'a> {
    case: &'a Case<'a>,
    failure: &'a Failure,
    response: &'a Heard,
    retry_after: Option<String>,
    control: Option<Control>,
    /// True if it names maintenance as its ground.
    is_named: bool,
}

impl<'a> Overloaded<'a> {
    fn of(case: &'a Case<'a>) -> Option<Overloaded<'a>> {
        let failure = case.failure_with(&[480, 486, 503])?;
        let response = case.response(failure);
        let of_callee = case.code(failure) != 503;
        if of_callee && (case.call.kind != Kind::Call || !names_a_rate(case, response)) {
            return None; // It speaks of the callee.
        }
        if names_too_many(response) {
            return None; // The limit is one of the user: `address-of-record-refused`.
        }
        // Zero seconds ask for nothing.
        let retry_after = response.message.header("Retry-After").map(|value| value.trim().to_owned());
        let retry_after = retry_after.filter(|value| asks_for_pause(value));
        let says_overload = case.states_any(response, OVERLOAD);
        let control = control(response).filter(|_| !of_callee);
        let is_told = retry_after.is_some() || says_overload || control.is_some();
        // Of a call that comes too soon `overload-backoff-ignored` tells; whoever asks whether the server is back sends
        // it no work.
        let comes_too_soon = case.back_off(failure).is_some() && case.call.kind != Kind::Options;
        if case.q850(response).is_some() || !is_told || comes_too_soon {
            return None;
        }
        if !says_overload && control.is_none() && says_failed(case, response) {
            return None; // Its words name a fault: `trunk-out-of-order`, `server-fault`.
        }
        let is_named = server_in_maintenance::is_named(case, response);
        if is_named && !server_in_maintenance::is_aside(case, response) {
            return None;
        }
        Some(Overloaded { case, failure, response, retry_after, control, is_named })
    }

    /// True of the codes that else speak of the callee.
    fn is_of_callee(&self) -> bool {
        self.case.code(self.failure) != 503
    }

    /// With 480 and 486 Retry-After is about the callee (RFC 3261 §20.33): there the words count alone.
    fn confidence(&self) -> Confidence {
        match (self.retry_after.is_some() || self.control.is_some()) && !self.is_of_callee() {
            true => Confidence::Proven,
            false => Confidence::Likely,
        }
    }

    fn wait(&self) -> Option<String> {
        self.retry_after.as_deref().map(with_unit)
    }

    fn explanation(&self) -> String {
        let server = self.response.path.source;
        let quotation = self.case.said_beside_code(self.response);
        let refusal = match self.wait() {
            Some(wait) if self.is_of_callee() => format!(
                "{server} takes no more calls in so short a time, and asks to come back after {wait}{quotation}: it \
                 says nothing of the callee."
            ),
            None if self.is_of_callee() => {
                format!("{server} takes no more calls in so short a time{quotation}: it says nothing of the callee.")
            }
            Some(wait) if self.is_named => format!(
                "{server} refuses new requests and asks to be left alone for {wait}{quotation}: that is maintenance, \
                 and nothing shows that it has too much to do."
            ),
            Some(wait) => format!("{server} refuses new requests and asks to be left alone for {wait}{quotation}."),
            None if self.control.is_some() => {
                format!("{server} refuses new requests because it is overloaded{quotation}.")
            }
            None => format!("{server} refuses new requests because it has reached a limit{quotation}."),
        };
        match &self.control {
            Some(control) => format!("{refusal} {}", control.words()),
            None => refusal,
        }
    }

    fn advised(&self, finding: Finding) -> Finding {
        let (client, server) = (self.response.path.destination, self.response.path.source);
        let finding = match self.is_named {
            true => finding.titled("The server refuses new work for now, because of maintenance."),
            false => finding,
        };
        let mut finding = match self.wait() {
            _ if self.is_of_callee() => finding.fix(format!(
                "Let {client} send {server} fewer calls per second: space them, or share them among several."
            )),
            Some(wait) => {
                finding.fix(format!("Send this server nothing for {wait}, and meanwhile use the next server."))
            }
            None if self.control.is_some() => finding,
            None => finding.fix("Send the request to the next server, and fewer requests per second to this one."),
        };
        if self.control.is_some() {
            finding = finding.fix(format!(
                "Let {client} send {server} so much less until its next responses say otherwise, and meanwhile use \
                 the next server."
            ));
        }
        match self.is_named {
            true => finding,
            false => finding.fix(limits(self.case, self.response)),
        }
    }

    fn proved(&self, finding: Finding) -> Finding {
        let response = self.response;
        let mut finding = finding.claim_status(response, "the server refuses").claim_own_words(self.case, response);
        if self.control.is_some() {
            finding = finding.claim_header(response, "Via", "the server tells the client to send less (oc)");
        }
        finding.claim_header(response, "Retry-After", "the server names the time itself")
    }
}

/// What an overloaded server asks of the client before it, in the Via of that client (RFC 7339 §4).
struct Control {
    value: u32,
    /// True if the value is requests per second and not a part of them (RFC 7415).
    is_rate: bool,
}

impl Control {
    fn words(&self) -> String {
        match self.is_rate {
            true => format!("It asks to be sent no more than {} requests a second (oc in Via).", self.value),
            false => format!("It asks to be sent {} % fewer requests (oc in Via).", self.value),
        }
    }
}

/// Told where the control is in force: a validity of 0 ends it, and a loss of 0 asks for nothing.
fn control(response: &Heard) -> Option<Control> {
    let via = Via::read(response.message.headers("Via").first()?);
    let number = |name: &str| via.parameters.get(name).and_then(|value| value.trim().parse::<u32>().ok());
    let value = number("oc")?;
    let algorithm = via.parameters.get("oc-algo").unwrap_or_default().trim_matches('"').to_ascii_lowercase();
    let is_rate = algorithm == "rate";
    let is_in_force = number("oc-validity") != Some(0) && (is_rate || (1..=100).contains(&value));
    is_in_force.then_some(Control { value, is_rate })
}

/// `120 s`, or the value as it is where it is more than a number.
pub(super) fn with_unit(value: &str) -> String {
    match value.bytes().all(|byte| byte.is_ascii_digit()) {
        true => format!("{value} s"),
        false => format!("\"{value}\" (seconds)"),
    }
}

fn limits(case: &Case<'_>, response: &Heard) -> String {
    let server = response.path.source.to_string();
    match case.unsaid_setting(Topic::TrafficLimits, response) {
        Some(step) => step.replace("{server}", &server),
        None => {
            format!("If it recurs, compare the limits of {server} (calls per second, open calls) with the traffic.")
        }
    }
}
