use std::borrow::Cow;

use crate::call::{Failure, Heard, Kind};
use crate::diagnosis::announced::Told;
use crate::diagnosis::case::SOON;
use crate::diagnosis::rule::rule;
use crate::diagnosis::rules::routing::caller_identity_refused::rejects_anonymous;
use crate::diagnosis::rules::routing::channel_limit_reached::names_calls_at_once;
use crate::diagnosis::rules::routing::number_not_routable::way_to_service;
use crate::diagnosis::rules::routing::server_overloaded::with_unit;
use crate::diagnosis::stated::{Ground, Limit};
use crate::diagnosis::words::{a_code, length};
use crate::diagnosis::{Case, Confidence, Finding, Role};
use crate::sip::Reason;

rule! {
    /// The callee is busy.
    ///
    /// ## What it says
    /// The callee's device, or the network before it, refused the call because the line is in use.
    ///
    /// ## Why it happens
    /// The callee is on the phone and has no call waiting; or a limit of calls of the account is reached.
    ///
    /// ## Evidence
    /// 486 or 600 and nothing rang before (a 181 or 182 is no ringing; long after one it is possible only); or Q.850
    /// cause 17 (likely, where it stands in a 486 after a 180), or one of these codes in a Reason of protocol SIP.
    /// Where its words name a limit of calls at once, or another ground, it is possible only.
    ///
    /// ## How to fix
    /// Call again later, or allow the callee a second call or a diversion on busy.
    ///
    /// ## When it would be wrong
    /// After ringing a 486 is mostly a person who pressed reject: `rejected-by-callee`. Where its Reason names another
    /// code, or a Q.850 cause that does not go with it, that is what happened.
    ///
    /// ## References
    /// RFC 3261 §20.33, §21.4.24, §21.6.1; RFC 3398 §7.2.4.1
    "E5" "callee-busy" needs [486 600] [REFUSED REASON], check
}

/// What baresip, a telephone, says when it takes no more calls.
const OF_DEVICE: &str = "Max Calls";

fn check(case: &Case<'_>) -> Option<Finding> {
    let busy = Busy::of(case)?;
    let finding =
        Finding::of(&RULE, busy.confidence()).explains(Some(busy.failure.status)).sender(Role::Uas, busy.response);
    if !case.wants_words() {
        return Some(finding);
    }
    if case.call.kind != Kind::Call {
        return Some(busy.of_request(finding));
    }
    let finding = busy.proved(busy.advised(finding.because(busy.explanation())));
    Some(
        finding
            .refuted("rejected-by-callee", busy.why_nobody_rejected())
            .refuted("callee-unreachable", format!("{} comes from a callee that was reached", busy.word())),
    )
}

/// A refusal for a callee who is busy, and what else says so.
struct Busy<'a> {
    case: &'a Case<'a>,
    failure: &'a Failure,
    response: &'a Heard,
    /// The Q.850 cause of the network.
    network: Option<Told<'a>>,
    /// What the callee said behind a server that made another code of it.
    told: Option<&'a Reason>,
    ringing: Option<&'a Heard>,
    /// What came before the refusal and does not say that a device rings.
    progress: Option<&'a Heard>,
    /// True if its words name a limit of calls at once.
    names_limit: bool,
}

impl<'a> Busy<'a> {
    fn of(case: &'a Case<'a>) -> Option<Busy<'a>> {
        let failure = case.failure()?;
        let response = case.response(failure);
        let code = case.code(failure);
        let ringing = case.ringing(failure.transaction);
        let is_busy = match (code, case.telling_cause(response)) {
            (_, Some(17)) => code >= 400,
            (_, Some(_)) => false,
            (486, None) => ringing.is_none(),
            (600, None) => true,
            _ => false,
        };
        if !is_busy || case.call.kind == Kind::Registration || rejects_anonymous(case, failure) {
            return None;
        }
        let network = case.told(response);
        let told = case.callees_word(response).map(|(_, reason)| reason);
        let is_of_device = case.own_phrase(response).is_some_and(|phrase| phrase.eq_ignore_ascii_case(OF_DEVICE));
        let is_said_busy = network.is_some_and(|network| network.cause == 17) || told.is_some();
        let names_limit = !is_said_busy && !is_of_device && names_calls_at_once(case, response);
        let progress = case.alerting_or_progress(failure.transaction).filter(|_| ringing.is_none());
        Some(Busy { case, failure, response, network, told, ringing, progress, names_limit })
    }

    fn code(&self) -> u16 {
        self.failure.status.get()
    }

    fn cause(&self) -> Option<u32> {
        self.network.map(|told| told.cause)
    }

    /// Long after a 181 or 182 a device may have rung where the call was sent, and was refused there.
    fn is_late(&self) -> bool {
        self.progress.is_some_and(|progress| self.response.place.time.since(progress.place.time) > SOON)
    }

    /// True if it may have rung unseen.
    fn lacks_beginning(&self) -> bool {
        self.failure.status.get() == 486 && self.case.lacks_what_came_before(self.response)
    }

    fn confidence(&self) -> Confidence {
        match self.cause() {
            Some(17) if self.is_after_ringing() => Confidence::Likely,
            Some(17) => self.network.map_or(Confidence::Proven, |told| told.confidence()),
            _ if self.told.is_some() => Confidence::Proven,
            _ if self.names_limit || self.is_late() || self.names_another() => Confidence::Possible,
            _ if self.lacks_beginning() => Confidence::Possible,
            None | Some(0 | 16 | 31) => Confidence::Likely,
            // A cause without a rule of its own that does not speak of a busy user.
            Some(_) => Confidence::Possible,
        }
    }

    /// True if its words name another ground than that somebody is on the phone.
    fn names_another(&self) -> bool {
        let said = self.case.ground_said(self.response);
        let is_quota = || self.case.limit_said(self.response) == Some(Limit::Quota);
        match said {
            None | Some(Ground::Busy | Ground::Full) => false,
            Some(Ground::Limit) => is_quota(),
            Some(_) => true,
        }
    }

    /// True if the cause stands in a 486 after ringing: gateways write it into each 486 (RFC 3398 §8.2.6.1), and a
    /// person who presses reject is told by it too.
    fn is_after_ringing(&self) -> bool {
        self.code() == 486 && self.told.is_none() && self.case.alerting(self.failure.transaction).is_some()
    }

    /// Its phrase and its Warning, in brackets.
    fn quotation(&self) -> String {
        let warning = self.case.warnings(self.response).into_iter().find(|warning| !warning.text.is_empty());
        let warned = warning.map(|warning| format!("Warning {} \"{}\"", warning.code, warning.text));
        let phrase = self.case.own_phrase(self.response).map(|phrase| format!("\"{phrase}\""));
        let said: Vec<String> = phrase.into_iter().chain(warned).collect();
        if said.is_empty() { String::new() } else { format!(" ({})", said.join("; ")) }
    }

    /// A MESSAGE, or another request that is no call, to somebody who is busy.
    fn of_request(&self, finding: Finding) -> Finding {
        let (case, response, code) = (self.case, self.response, self.code());
        let (noun, callee, device) = (case.noun(), case.callee(self.failure), case.device_behind(response));
        finding
            .titled("The recipient is busy")
            .because(format!(
                "{} answered the {noun} to \"{callee}\" with {code}{}: the recipient is busy.",
                response.path.source,
                self.quotation()
            ))
            .fix(format!("Send the {noun} again later: the signalling is sound."))
            .fix(format!("If this recurs, look on {device}, whether it takes a {noun} while somebody is on the phone."))
            .claim_status(response, "busy")
            .claim_header(response, "Retry-After", "for how long")
            .refuted("callee-unreachable", format!("{code} comes from a callee that was reached"))
    }

    fn explanation(&self) -> String {
        format!(
            "{} answered the call to \"{}\" with {}{}{}: {}.",
            self.response.path.source,
            self.case.callee(self.failure),
            self.code(),
            self.quotation(),
            self.proof(),
            self.what()
        )
    }

    /// What shows that it is busy, beside the code.
    fn proof(&self) -> String {
        match (self.cause(), self.told, self.ringing) {
            (Some(17), ..) if self.network.is_some_and(|told| told.is_announced()) => {
                " after a provisional response with Q.850 cause 17 (user busy)".to_owned()
            }
            (Some(17), ..) => " and Q.850 cause 17 (user busy)".to_owned(),
            (_, Some(reason), _) => format!(" and the reason {} {}", reason.protocol, reason.cause.unwrap_or_default()),
            (.., Some(_)) => ", which speaks for all devices of the callee".to_owned(),
            (.., None) => match self.progress {
                Some(progress) => format!(
                    " {} after {}, which does not say that a device rings",
                    length(self.response.place.time.since(progress.place.time)),
                    a_code(progress)
                ),
                None if self.lacks_beginning() => " (the capture lacks what came before)".to_owned(),
                None => " before anything rang".to_owned(),
            },
        }
    }

    /// What is busy.
    fn what(&self) -> &'static str {
        match (self.case.what_is_full(self.response), self.names_limit) {
            (Some(full), _) => full.says(),
            (None, true) => {
                "its words name a limit of calls at once, which may be one of the trunk or the account, or of the \
                 callee's device"
            }
            (None, false) => "the callee is busy",
        }
    }

    fn advised(&self, finding: Finding) -> Finding {
        let (case, responder) = (self.case, self.response.path.source);
        let finding = match self.names_limit {
            true => finding.titled("The callee is busy, or a limit of calls at once is reached").fix(format!(
                "Ask the operator of {responder} whose limit it is: if it is one of the trunk or the account \
                 (channels, licences), raise it, or send the calls beyond it another way."
            )),
            false => finding,
        };
        match (case.what_is_full(self.response), case.service_asked_for(self.failure)) {
            (Some(full), _) => finding.titled("There is no room for the call now").fix(full.fix(responder)),
            (None, Some(name)) => finding
                .fix(way_to_service(responder, &name))
                .fix("Look where calls go that this centre cannot take: another centre should take them at once."),
            (None, None) => self.advised_for_device(finding),
        }
    }

    fn advised_for_device(&self, finding: Finding) -> Finding {
        let (callee, device) = (self.case.dialled(self.failure), self.case.device_behind(self.response));
        let again = match self.free_again() {
            Some(after) => format!(
                "Call \"{callee}\" again after {}: for so long the callee's side expects to be busy (Retry-After).",
                with_unit(after.trim())
            ),
            None => format!("Call \"{callee}\" again later: the signalling is sound."),
        };
        finding
            .fix(again)
            .fix(format!(
                "If it should take more calls, allow call waiting or more lines on {device}, or divert on busy."
            ))
            .fix(format!(
                "If nobody is on the phone there, look on {device}, for calls that hang, and for the limit of calls \
                 of the account."
            ))
    }

    /// RFC 3261 §20.33: when the callee expects to be free again; with other codes how long the service is unavailable.
    fn free_again(&self) -> Option<Cow<'a, str>> {
        matches!(self.code(), 480 | 486 | 600 | 603).then(|| self.response.message.header("Retry-After")).flatten()
    }

    fn proved(&self, finding: Finding) -> Finding {
        let (case, response) = (self.case, self.response);
        let mut finding = match case.what_is_full(response).filter(|_| !self.names_limit) {
            Some(_) => finding.claim_own_phrase(case, response),
            None => finding,
        };
        let says = if matches!(self.code(), 486 | 600) { "busy" } else { "the call is refused" };
        finding = finding.claim_status(response, says).claim_header(response, "Warning", "a warning that says more");
        if self.names_limit {
            finding = finding.claim_own_phrase(case, response);
        }
        if self.free_again().is_some() {
            finding = finding.claim_header(response, "Retry-After", "for how long");
        }
        if let Some(told) = self.network {
            finding = told.claimed(finding, "the network's own cause");
        }
        match self.told {
            Some(reason) => finding.claim_header_with(response, "Reason", &reason.protocol, "what the callee said"),
            None => finding,
        }
    }

    fn why_nobody_rejected(&self) -> &'static str {
        match (self.cause(), self.ringing) {
            (Some(17), _) if self.is_after_ringing() => {
                "Q.850 cause 17 says busy; that somebody pressed reject is not excluded, for it had rung"
            }
            (Some(17), _) => "Q.850 cause 17 says busy",
            _ if self.told.is_some() => "the Reason says busy",
            (_, Some(_)) => "a single device that rejects sends 486 or 603, not 600",
            _ if self.is_late() => "nothing says that a device rang; it is not excluded where the call was sent on to",
            (_, None) => "nothing rang, so nobody could reject the call by hand",
        }
    }

    /// The code by which the callee itself refused the call.
    fn word(&self) -> u32 {
        self.told.and_then(|reason| reason.cause).unwrap_or(self.code().into())
    }
}
