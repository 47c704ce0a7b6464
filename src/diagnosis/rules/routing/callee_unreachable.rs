use std::borrow::Cow;

use crate::call::{Failure, Heard, Kind, Occupancy};
use crate::catalogue::{Topic, warning};
use crate::diagnosis::announced::Told;
use crate::diagnosis::bound::{Bound, bound};
use crate::diagnosis::rule::rule;
use crate::diagnosis::rules::routing::caller_identity_refused::rejects_anonymous;
use crate::diagnosis::rules::routing::number_not_routable::way_to_service;
use crate::diagnosis::said::Full;
use crate::diagnosis::signed_off::{SignedOff, signed_off};
use crate::diagnosis::silent_peers::SilentPeer;
use crate::diagnosis::stated::Ground;
use crate::diagnosis::words::a_code;
use crate::diagnosis::{Case, Confidence, Finding, Role};
use crate::sip::Warning;

rule! {
    /// The callee cannot be reached now: nothing rang.
    ///
    /// ## What it says
    /// The callee is known, and there was no device that could ring.
    ///
    /// ## Why it happens
    /// No device of the callee is registered, or it is set to do not disturb, or the network knows no way to it now.
    ///
    /// ## Evidence
    /// 480 without any ringing response before it, on any hop; a 181 or 182 just before it is none. Or another code,
    /// where its Reason names 480, or the Q.850 cause 18 that does not go with that code. Where the callee's
    /// last device had signed off before the call, or another address had removed its registration, a REGISTER that
    /// took the binding away and its 2xx show why. A Warning that speaks of neither names the ground. Where nothing else
    /// does, and a peer had answered none of the last probes of the server, the way there may be what it lacks.
    ///
    /// ## How to fix
    /// Look whether the callee's device is registered, then at do not disturb on the device.
    ///
    /// ## When it would be wrong
    /// After ringing a 480 means that nobody answered: `callee-did-not-answer`. A Q.850 cause that names busy or
    /// congestion tells more.
    ///
    /// ## References
    /// RFC 3261 §21.4.18; RFC 3398 §7.2.4.1
    "E4" "callee-unreachable" needs [480] [REFUSED REASON], check
}

/// Words that say that the callee wants no calls now.
const UNDISTURBED: &[&str] = &["do not disturb", "donotdisturb", "dnd"];
/// Words that say that no device of the callee is registered.
const ABSENT: &[&str] = &[
    "not registered",
    "endpoints registered",
    "not_registered",
    "subscriber_absent",
    "no registered",
    "unregistered",
    "offline",
    "absent",
];

/// True if a response says, by its cause or in words, that no device of the callee is registered.
pub(super) fn says_absent(case: &Case<'_>, response: &Heard) -> bool {
    case.telling_cause(response) == Some(20) || case.says_any(response, ABSENT)
}

fn check(case: &Case<'_>) -> Option<Finding> {
    let unreachable = Unreachable::of(case)?;
    let finding = Finding::of(&RULE, unreachable.confidence()).explains(Some(unreachable.failure.status));
    let finding = match unreachable.gone().filter(SignedOff::is_from_elsewhere) {
        Some(gone) => finding.party(Role::Uas, Some(gone.asked.source)),
        None => finding.sender(unreachable.role(), unreachable.response),
    };
    if !case.wants_words() {
        return Some(finding);
    }
    let seen = Seen::of(&unreachable);
    let finding = finding.because(unreachable.explanation(&seen));
    let finding = match case.call.kind {
        Kind::Call => finding,
        _ => finding.titled("The recipient cannot be reached now"),
    };
    Some(
        unreachable
            .proved(unreachable.advised(finding, &seen), &seen)
            .refuted("callee-did-not-answer", unreachable.why_nobody_was_asked())
            .refuted("user-unknown", "480 is sent for a callee that is known; an unknown one gets 404"),
    )
}

/// A refusal that says that the callee is not there now, and nothing rang.
struct Unreachable<'a> {
    case: &'a Case<'a>,
    failure: &'a Failure,
    response: &'a Heard,
    told: Option<Told<'a>>,
    /// True if it says that no device is registered. Before that a network may play an announcement (183).
    absent: bool,
    /// True if it says that the callee wants no calls.
    undisturbed: bool,
    /// True if a device says so, and no server.
    is_device: bool,
}

impl<'a> Unreachable<'a> {
    fn of(case: &'a Case<'a>) -> Option<Unreachable<'a>> {
        let failure = case.failure().filter(|failure| failure.status.get() >= 400)?;
        let response = case.response(failure);
        let told = case.told(response);
        let cause = told.map(|told| told.cause);
        // Subscriber absent says it whatever the code is.
        if case.code(failure) != 480 && cause != Some(20) {
            return None;
        }
        let absent = says_absent(case, response);
        // It speaks of the caller: `refused-by-policy`, `caller-identity-refused`.
        let is_of_caller = case.says_caller_unregistered(response) || case.is_refused_for_account(failure);
        if is_of_caller || rejects_anonymous(case, failure) {
            return None;
        }
        let rang = case.rang_or_waited(failure).is_some() && (!absent || case.was_alerting());
        if rang || matches!(case.call.kind, Kind::Registration | Kind::Options) {
            return None;
        }
        if case.telling_cause(response).is_some_and(|cause| cause != 20) {
            return None;
        }
        let is_device = is_device(case, failure) && cause != Some(NOBODY_RESPONDS);
        let undisturbed = !absent && case.states_any(response, UNDISTURBED);
        Some(Unreachable { case, failure, response, told, absent, undisturbed, is_device })
    }

    fn confidence(&self) -> Confidence {
        let said = self.case.ground_said(self.response);
        match self.told.map(|told| told.cause) {
            _ if said.is_some_and(|ground| !matches!(ground, Ground::Refused | Ground::Full)) => Confidence::Possible,
            _ if self.case.lacks_what_came_before(self.response) => Confidence::Possible,
            None | Some(0 | 16 | 18 | 20 | 31) => Confidence::Likely,
            Some(_) => Confidence::Possible,
        }
    }

    /// What took the last registration of the callee away.
    fn gone(&self) -> Option<SignedOff<'a>> {
        signed_off(self.case).filter(|_| !self.undisturbed && !self.is_device)
    }

    fn role(&self) -> Role {
        match self.undisturbed || self.is_device && !self.absent {
            true => Role::Uas,
            false => self.case.role_of_responder(self.response),
        }
    }

    fn explanation(&self, seen: &Seen<'_>) -> String {
        let Unreachable { case, failure, response, .. } = *self;
        let after = case.after(failure);
        let silence = match case.lacks_what_came_before(response) {
            _ if case.call.kind != Kind::Call => "",
            true => ", and the capture lacks what came before",
            false => ", and nothing had rung",
        };
        let quotation = match self.told.filter(Told::is_announced) {
            Some(told) => format!("; {} before it says so with Q.850 cause {}", a_code(told.bearer), told.cause),
            None => case.said_beside_code(response),
        };
        let silent = seen.silent.as_ref().map(SilentPeer::words).unwrap_or_default();
        format!(
            "{} answered the {} to \"{}\" with {}{after}{silence}: {}{quotation}.{silent}",
            response.path.source,
            case.noun(),
            case.callee(failure),
            failure.status,
            self.what(seen)
        )
    }

    /// Why the callee is not there.
    fn what(&self, seen: &Seen<'_>) -> Cow<'static, str> {
        if seen.service.is_some() {
            return "nobody who gives that service could be reached, or no way leads there now".into();
        }
        if let Some(full) = seen.full {
            return full.says().into();
        }
        if seen.warning.is_some() {
            return "the ground is what it warns of".into();
        }
        if let Some(registered) = self.what_is_registered(seen) {
            return registered.into();
        }
        match (self.absent, self.is_device) {
            (true, _) => "no device of the callee is registered",
            _ if self.undisturbed => "the callee was reached, and do not disturb is set",
            (false, true) => "the device refuses calls for now, as with do not disturb",
            (false, false) => {
                "no device of the callee is registered, or do not disturb is set, or no way leads there now"
            }
        }
        .into()
    }

    /// What the capture shows of the callee's registration.
    fn what_is_registered(&self, seen: &Seen<'_>) -> Option<String> {
        match (&seen.gone, &seen.bound) {
            (Some(gone), _) => Some(format!("no device of the callee is registered; {}", gone.words())),
            (None, Some(bound)) if self.absent => {
                Some(format!("it knows of no device of the callee, although {}", bound.words()))
            }
            (None, Some(bound)) => {
                Some(format!("no device of the callee could be reached, or do not disturb is set; {}", bound.words()))
            }
            (None, None) => None,
        }
    }

    fn advised(&self, finding: Finding, seen: &Seen<'_>) -> Finding {
        let (case, failure, responder) = (self.case, self.failure, self.response.path.source);
        let callee = case.callee(failure);
        if let Some(name) = &seen.service {
            let titled = finding.titled("Nobody who gives this service can be reached now");
            return titled.fix(way_to_service(responder, name));
        }
        if let Some(full) = seen.full {
            return finding.titled("There is no room for the call now").fix(full.fix(responder));
        }
        if self.undisturbed {
            return finding
                .fix(format!(
                    "Take do not disturb off: on the device of \"{callee}\", or in its account on {responder}."
                ))
                .fix(TO_VOICEMAIL);
        }
        if let Some(warning) = &seen.warning {
            return of_warning(finding, case, failure, warning, &callee);
        }
        if self.is_device && !self.absent {
            return finding
                .fix(format!(
                    "Look on the device at {responder} for do not disturb, a paused account or all lines in use."
                ))
                .fix(TO_VOICEMAIL);
        }
        match (&seen.gone, &seen.bound) {
            (Some(gone), _) => gone.prove(finding, &callee),
            (None, Some(bound)) => bound
                .prove(finding, &callee, &responder.to_string())
                .fix("If all of that is in order, look for do not disturb, and for a diversion that leads nowhere."),
            (None, None) => {
                let finding = match &seen.silent {
                    Some(silent) => silent.told(finding),
                    None => finding,
                };
                of_registration(finding, case, self.response, &callee)
            }
        }
    }

    fn proved(&self, finding: Finding, seen: &Seen<'_>) -> Finding {
        let Unreachable { case, response, .. } = *self;
        let finding = finding.claim_status(response, "the callee is not available");
        let mut finding = match &seen.warning {
            Some(_) => finding.claim_header(response, "Warning", "the ground that it names"),
            None if seen.full.is_some() => finding.claim_own_words(case, response),
            None => finding,
        };
        if let Some(request) = case.request(self.failure) {
            finding = finding.claim_request_uri(request, "the callee");
        }
        match self.told {
            Some(told) => told.claimed(finding, "the network's own cause"),
            None => finding,
        }
    }

    /// That no device rang. An announcement may have been played all the same.
    fn why_nobody_was_asked(&self) -> String {
        let (code, transaction) = (self.failure.status, self.failure.transaction);
        match (self.case.ringing(transaction), self.case.alerting_or_progress(transaction)) {
            (Some(_), _) => format!("no 180 came before the {code} on any hop"),
            (None, Some(progress)) => {
                format!("{} came before the {code}, and none that says that a device rings", a_code(progress))
            }
            (None, None) => format!("no 180 to 189 came before the {code} on any hop"),
        }
    }
}

/// What else is seen of a callee that is not there.
struct Seen<'a> {
    /// The service that was asked for, where nobody was called by name.
    service: Option<String>,
    full: Option<Full>,
    /// A Warning that says neither that nobody is there nor that nobody wants to be disturbed names another ground.
    warning: Option<Warning>,
    gone: Option<SignedOff<'a>>,
    bound: Option<Bound<'a>>,
    /// A peer that answered none of the server's probes then, where nothing else tells what is lacking.
    silent: Option<SilentPeer>,
}

impl<'a> Seen<'a> {
    fn of(unreachable: &Unreachable<'a>) -> Seen<'a> {
        let Unreachable { case, failure, response, absent, undisturbed, is_device, .. } = *unreachable;
        let gone = unreachable.gone();
        let bound = bound(case).filter(|_| !undisturbed && !is_device && gone.is_none());
        let is_other = !absent && !undisturbed && gone.is_none() && !case.says_any(response, &["regist"]);
        let warning = case.warnings(response).into_iter().find(|warning| !warning.text.is_empty());
        let warning = warning.filter(|_| is_other);
        let (service, full) = (case.service_asked_for(failure), case.what_is_full(response));
        let is_told = absent || undisturbed || is_device || gone.is_some() || bound.is_some();
        let is_told = is_told || service.is_some() || full.is_some() || warning.is_some();
        let silent = (!is_told).then(|| SilentPeer::of(case, failure)).flatten();
        Seen { service, full, warning, gone, bound, silent }
    }
}

const TO_VOICEMAIL: &str = "If callers should reach a voicemail then, let the server divert 480.";

/// What to do where a Warning names the ground (RFC 3261 §20.43; RFC 5630 §5).
fn of_warning(finding: Finding, case: &Case<'_>, failure: &Failure, warned: &Warning, callee: &str) -> Finding {
    let responder = case.response(failure).path.source;
    let finding = match warning(warned.code).filter(|known| OF_SIPS.contains(&known.code)) {
        Some(known) => finding.fix(known.fix.clone()),
        None => finding.fix(format!("Look on {responder} for what its Warning says: \"{}\".", warned.text)),
    };
    let asked = case.request(failure).filter(|request| request.message.header("Accept-Contact").is_some());
    let finding = match asked {
        // RFC 3841: a feature that is required and lacking takes a contact off the list.
        Some(request) => finding
            .fix(
                "Compare Accept-Contact with what the callee's devices registered: with `require` those that do not \
                 fit are not asked.",
            )
            .claim_header(request, "Accept-Contact", "the devices that may be asked"),
        None => finding,
    };
    finding.fix(format!("If that does not help, look whether \"{callee}\" is registered on {responder}."))
}

/// Warnings about the scheme of the Request-URI.
const OF_SIPS: [u16; 2] = [380, 381];

/// What to do where nobody knows whether a device is there.
fn of_registration(finding: Finding, case: &Case<'_>, response: &Heard, callee: &str) -> Finding {
    let (responder, devices) = (response.path.source, case.settings(Topic::RegisteredDevices, response));
    // Which of the two a server is that says no more than the cause of the telephone network cannot be told.
    let says_so = case.says_any(response, &["regist"]);
    let is_gateway = case.telling_cause(response) == Some(20) && devices.is_empty() && !says_so;
    if is_gateway {
        return finding
            .fix(format!(
                "Find out where \"{callee}\" should be: registered on {responder}, or attached to the network behind \
                 it; a mobile phone may be off or without coverage."
            ))
            .fix(format!("If it should be there, ask the operator of {responder} with the Call-ID and the cause 20."))
            .fix("If callers should reach a voicemail then, divert while the callee is away.");
    }
    finding
        .fix(format!("Look whether \"{callee}\" is registered on {responder}{devices}."))
        .fix(format!(
            "If it is not, look at the device of \"{callee}\": is it on, and what answer does its REGISTER get?"
        ))
        .fix(match case.call.kind {
            Kind::Call => "If it is, look for do not disturb, and for a diversion that leads nowhere.",
            _ => {
                "If it is, look whether its device takes such requests (Allow in its REGISTER), and for do not disturb."
            }
        })
}

/// The cause of Q.850 that nobody responded to the call: a device that refuses it does.
const NOBODY_RESPONDS: u32 = 18;

/// True if the 480 was made by the last hop that was captured, and another hop was before it: a device, not the server
/// that looks the callee up, nor a gateway, which is asked for several.
fn is_device(case: &Case<'_>, failure: &Failure) -> bool {
    let path = case.response(failure).path.reversed();
    let asked = case.surroundings.neighbours().occupancy(path.source.ip(), path.destination.ip());
    let is_for_several = asked.is_some_and(Occupancy::is_for_several);
    case.arose_here(failure) && case.call.transaction(failure.transaction).upstream.is_some() && !is_for_several
}
