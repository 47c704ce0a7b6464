use std::time::Duration;

use crate::call::{Failure, Heard, Kind};
use crate::catalogue::{Q850Cause, Topic, q850};
use crate::diagnosis::rule::rule;
use crate::diagnosis::rules::authentication::address_of_record_refused::names_too_many;
use crate::diagnosis::rules::routing::method_unsupported::is_of_network;
use crate::diagnosis::rules::routing::server_overloaded::asks_for_pause;
use crate::diagnosis::silent_peers::SilentPeer;
use crate::diagnosis::stated::Ground;
use crate::diagnosis::trunk::says_failed;
use crate::diagnosis::{Case, Confidence, Finding, Platform};
use crate::sip::AlternativeService;

rule! {
    /// A server failed while it worked on the request.
    ///
    /// ## What it says
    /// The server says that the fault is its own or behind it, and names no other ground.
    ///
    /// ## Why it happens
    /// An error of its script, its database or its software; a server behind it that it could not reach.
    ///
    /// ## Evidence
    /// 500, 502, 504 or 505; or 503 without `Retry-After`, or with words that name a fault beside it. A Q.850 cause
    /// without a rule of its own says what the telephone network behind the server lacks (RFC 3398 §7.2.4.1), and then
    /// 501 to an INVITE and 503 with `Retry-After` count too.
    ///
    /// ## How to fix
    /// Look into the log of that server for the Call-ID. Let the caller try another server meanwhile.
    ///
    /// ## When it would be wrong
    /// A 503 with `Retry-After` alone is overload; with the Q.850 cause of a trunk the trunk failed. A 500 to a request
    /// inside a dialog may mean a CSeq that went back.
    ///
    /// ## References
    /// RFC 3261 §21.5, §16.7
    "E14" "server-fault" needs [473 475 476 477 478 479 500 501 502 503 504 505], check
}

fn check(case: &Case<'_>) -> Option<Finding> {
    let failure = case.failure_with(&[473, 475, 476, 477, 478, 479, 500, 501, 502, 503, 504, 505])?;
    let response = case.response(failure);
    let of_network = cause_of_network(case, response);
    if !is_of_server(case, failure, of_network) {
        return None;
    }
    if let Some(cause) = of_network {
        return Some(of_cause(case, failure, response, cause));
    }
    let fault = Fault { case, failure, response, quotation: case.quotation(response), silent: None };
    let finding = Finding::of(&RULE, fault.confidence())
        .explains(Some(failure.status))
        .sender(case.role_of_responder(response), response);
    if !case.wants_words() {
        return Some(finding);
    }
    let fault = Fault { silent: SilentPeer::of(case, failure), ..fault };
    Some(fault.refuting(fault.proved(fault.advised(finding.because(fault.explanation())))))
}

/// True if the answer is about the server or what lies behind it, and no other rule tells what it says.
fn is_of_server(case: &Case<'_>, failure: &Failure, of_network: Option<&Q850Cause>) -> bool {
    let (response, code) = (case.response(failure), case.code(failure));
    let is_overload = code == 503 && is_wait(response) && of_network.is_none() && !says_failed(case, response);
    // Of the answers to OPTIONS only a 503 speaks of the server itself (`probe-noise`).
    let is_probe = case.call.kind == Kind::Options && code != 503;
    if case.telling_cause(response).is_some() || is_overload || names_too_many(response) || is_probe {
        return false;
    }
    // Else `method-unsupported`.
    code != 501 || case.request(failure).is_some_and(|request| is_of_network(case, request, response))
}

/// An answer by which a server says that it failed, and what else it says.
struct Fault<'a> {
    case: &'a Case<'a>,
    failure: &'a Failure,
    response: &'a Heard,
    quotation: Option<String>,
    /// A peer that answered none of the server's probes then.
    silent: Option<SilentPeer>,
}

impl Fault<'_> {
    fn code(&self) -> u16 {
        self.case.code(self.failure)
    }

    fn confidence(&self) -> Confidence {
        let is_told = self.quotation.is_some() || self.hides_503() || self.code() == 504;
        match is_told && !self.response.message.is_cut() {
            true if self.case.ground_said(self.response) == Some(Ground::Busy) => Confidence::Possible,
            true => Confidence::Likely,
            false => Confidence::Possible,
        }
    }

    /// True if the phrase is that of the 503 of another server.
    fn hides_503(&self) -> bool {
        self.code() == 500 && self.response.message.reason_phrase().trim() == "Service Unavailable"
    }

    /// TS 24.229 §5.2.6.3: the P-CSCF finds the S-CSCF gone.
    fn lost_registrar(&self) -> bool {
        AlternativeService::of(&self.response.message) == Some(AlternativeService::Restoration)
    }

    fn explanation(&self) -> String {
        format!(
            "{} answered {}{}: {}{}.{}",
            self.response.path.source,
            self.failure.status,
            self.case.after(self.failure),
            self.what(),
            self.case.said_beside_code(self.response),
            self.silent.as_ref().map(SilentPeer::words).unwrap_or_default()
        )
    }

    fn what(&self) -> &'static str {
        match self.code() {
            _ if self.lost_registrar() => {
                "the server where the caller is registered is gone for it, and it asks the caller to register anew"
            }
            504 if self.case.time_to(self.failure).is_some_and(|time| time < WAIT) => {
                "it says that a server that it needs did not answer in time, and so soon it has waited for none: it \
                 knew that before, or is set to answer so"
            }
            504 => "it waited in vain for a server that it needs",
            502 => "it got no usable answer from the server behind it",
            473..=479 => "it could not send the request to its next hop",
            _ if self.hides_503() => "it hides the 503 of a server behind it, whose phrase it kept",
            _ if self.quotation.is_some() => "the fault lies with it or behind it",
            _ if self.response.message.has_cut_head() => {
                "the fault lies with it or behind it; what it is may stand behind the cut"
            }
            _ => "the fault lies with it or behind it, and it does not say what it is",
        }
    }

    fn advised(&self, finding: Finding) -> Finding {
        let (case, response, server) = (self.case, self.response, self.response.path.source);
        let mut finding = finding;
        if let Some(silent) = &self.silent {
            finding = silent.told(finding);
        }
        if self.hides_503() {
            finding = finding.fix(format!(
                "Capture behind {server}: the 503 that it hides tells more{}.",
                case.settings(Topic::HiddenCode, response)
            ));
        }
        if self.lost_registrar() {
            let client = response.path.destination;
            finding = finding.fix(format!(
                "Let {client} register anew as if it were switched on, and call again: that is what the body asks for."
            ));
        }
        finding
            .fix(format!("Look into the log of {server} for the Call-ID at that moment{}.", log(case, response)))
            .fix(match self.code() {
                505 => format!(
                    "Read the start line of the request as it was sent: SIP/2.0 is the only version, so look at what \
                     {server} reads in its place."
                ),
                502 | 504 | 473..=479 => format!(
                    "Look which next hop {server} uses for this call, and whether it answers and its name resolves."
                ),
                _ => format!(
                    "If many calls fail like this, look at {server} itself: database, memory, script, changes of the \
                     last hours."
                ),
            })
            .fix("Let the caller go on to another server after such a response (RFC 3263 §4.3).")
    }

    fn proved(&self, finding: Finding) -> Finding {
        let mut finding =
            finding.claim_status(self.response, "the server fails").claim_own_words(self.case, self.response);
        if self.lost_registrar() {
            finding = finding.claim_header(self.response, "Content-Type", "its body asks for a new registration");
        }
        finding.claim_header(self.response, "Server", "the software that failed")
    }

    fn refuting(&self, finding: Finding) -> Finding {
        // What may stand behind the cut refutes nothing.
        if self.response.message.is_cut() {
            return finding;
        }
        let finding = match (self.code(), self.response.message.header("Retry-After")) {
            (503, Some(_)) if is_wait(self.response) => {
                finding.refuted("server-overloaded", "beside its Retry-After its words name a fault, and no load")
            }
            (503, Some(_)) => finding
                .refuted("server-overloaded", "its Retry-After asks for no pause, and there is no word of a limit"),
            (503, None) => {
                finding.refuted("server-overloaded", "no Retry-After asks for a pause, and there is no word of a limit")
            }
            _ => finding,
        };
        finding.refuted("trunk-congested", "no Reason header names a Q.850 cause of the trunk")
    }
}

/// Sooner than this nobody has waited for another server: T1 (RFC 3261 §17.1.1.1).
const WAIT: Duration = Duration::from_millis(500);

/// What a gateway tells of the telephone network behind it, by a Q.850 cause that says more than that the call is over.
fn cause_of_network(case: &Case<'_>, response: &Heard) -> Option<&'static Q850Cause> {
    // A timer that ran out is what 504 says too.
    let is_504 = response.message.status().is_some_and(|status| status.get() == 504);
    let says_nothing = |cause: &u32| matches!(cause, 0 | 16 | 31 | 127) || is_504 && *cause == 102;
    let cause = case.q850(response).filter(|cause| !says_nothing(cause))?;
    q850(u8::try_from(cause).ok()?)
}

/// A refusal whose Q.850 cause names the bearer, the service, the called device or the network (RFC 3398 §7.2.4.1): so
/// it is not the software of the server that failed.
fn of_cause(case: &Case<'_>, failure: &Failure, response: &Heard, cause: &Q850Cause) -> Finding {
    let finding = Finding::of(&RULE, Confidence::Possible)
        .titled("The server refused the call with a cause of the telephone network.")
        .explains(Some(failure.status))
        .sender(case.role_of_responder(response), response);
    if !case.wants_words() {
        return finding;
    }
    let (server, code) = (response.path.source, failure.status);
    let after = case.after(failure);
    let Q850Cause { cause: number, name, meaning, fix, .. } = cause;
    let finding = finding
        .because(format!("{server} answered {code}{after} with Q.850 cause {number} ({name}). {meaning}"))
        .fix(fix.clone())
        .fix(format!(
            "If that does not help, look into the log of {server} for the Call-ID: what lies behind it gave the cause \
             {number}."
        ))
        .fix("Let the caller go on to another server or trunk after such a response (RFC 3263 §4.3).")
        .claim_status(response, "the call is refused")
        .claim_q850(response, "the cause that it gives")
        .claim_header(response, "Retry-After", "for how long")
        .claim_header(response, "Server", "the software that answers");
    if failure.status.get() == 501 {
        let why = format!("Q.850 cause {number} names a service or facility, and not the method");
        return finding.refuted("method-unsupported", why);
    }
    finding
        .refuted("server-overloaded", format!("Q.850 cause {number} names another ground"))
        .refuted("trunk-congested", format!("Q.850 cause {number} names no lack of channels"))
}

/// True if a response asks to be left alone for a while: not for zero seconds.
fn is_wait(response: &Heard) -> bool {
    response.message.header("Retry-After").is_some_and(|value| asks_for_pause(&value))
}

/// Where to read what happened. Kamailio and OpenSIPS say it in the phrase, where they made it themselves.
fn log(case: &Case<'_>, response: &Heard) -> String {
    let is_of_proxy = matches!(case.platform(response), Some(Platform::Kamailio | Platform::OpenSips));
    if is_of_proxy && !response.message.reason_phrase().contains('(') {
        return String::new();
    }
    case.settings(Topic::Log, response)
}
