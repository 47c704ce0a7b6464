use crate::call::{Failure, Heard, Kind, Occupancy};
use crate::catalogue::{Topic, warning};
use crate::diagnosis::announced::Told;
use crate::diagnosis::bound::bound;
use crate::diagnosis::rule::rule;
use crate::diagnosis::rules::routing::caller_identity_refused::rejects_anonymous;
use crate::diagnosis::rules::routing::number_not_routable::way_to_service;
use crate::diagnosis::signed_off::signed_off;
use crate::diagnosis::words::{a_code, length};
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
    /// 480 without any ringing response before it, on any hop; a 181 or 182 just before it is none. Where the callee's
    /// last device had signed off before the call, a REGISTER that took the binding away and its 2xx show why. A
    /// Warning that speaks of neither names the ground.
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
    let failure = case.failure().filter(|failure| failure.status.get() >= 400)?;
    let response = case.response(failure);
    let told = case.told(response);
    let cause = told.map(|told| told.cause);
    // Subscriber absent says it whatever the code is.
    if failure.status.get() != 480 && cause != Some(20) {
        return None;
    }
    // Before it says that the subscriber is absent, a network may play an announcement (183).
    let absent = says_absent(case, response);
    // It speaks of the caller: `refused-by-policy`, `caller-identity-refused`.
    if case.says_caller_unregistered(response) || rejects_anonymous(case, failure) {
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
    let undisturbed = !absent && case.says_any(response, UNDISTURBED);
    let role = if undisturbed || is_device && !absent { Role::Uas } else { case.role_of_responder(response) };
    let is_plain = matches!(cause, None | Some(0 | 16 | 18 | 20 | 31));
    let confidence = if is_plain { Confidence::Likely } else { Confidence::Possible };
    let finding = Finding::of(&RULE, confidence).explains(Some(failure.status)).sender(role, response);
    if !case.wants_words() {
        return Some(finding);
    }
    let callee = case.callee(failure);
    let (responder, code) = (response.path.source, failure.status);
    let quotation = match told.filter(Told::is_announced) {
        Some(told) => format!("; {} before it says so with Q.850 cause {}", a_code(told.bearer), told.cause),
        None => case.quotation(response).map(|words| format!("; {words}")).unwrap_or_default(),
    };
    let gone = signed_off(case).filter(|_| !undisturbed && !is_device);
    let bound = bound(case).filter(|_| !undisturbed && !is_device && gone.is_none());
    let registered = match (&gone, &bound) {
        (Some(gone), _) => Some(format!("no device of the callee is registered; {}", gone.words())),
        (None, Some(bound)) if absent => {
            Some(format!("it knows of no device of the callee, although {}", bound.words()))
        }
        (None, Some(bound)) => {
            Some(format!("no device of the callee could be reached, or do not disturb is set; {}", bound.words()))
        }
        (None, None) => None,
    };
    // A Warning that says neither that nobody is there nor that nobody wants to be disturbed names another ground.
    let warning = case.warnings(response).into_iter().find(|warning| !warning.text.is_empty());
    let warning =
        warning.filter(|_| !absent && !undisturbed && gone.is_none() && !case.says_any(response, &["regist"]));
    let what = match (absent, is_device) {
        _ if warning.is_some() => "the ground is what it warns of",
        _ if registered.is_some() => registered.as_deref().unwrap_or_default(),
        (true, _) => "no device of the callee is registered",
        _ if undisturbed => "the callee was reached, and do not disturb is set",
        (false, true) => "the device refuses calls for now, as with do not disturb",
        (false, false) => "no device of the callee is registered, or do not disturb is set, or no way leads there now",
    };
    let after = case.time_to(failure).map(|time| format!(" after {}", length(time))).unwrap_or_default();
    let service = case.service_asked_for(failure);
    let full = case.what_is_full(response);
    let what = match (&service, full) {
        (Some(_), _) => "nobody who gives that service could be reached, or no way leads there now",
        (None, Some(full)) => full.says(),
        (None, None) => what,
    };
    let (noun, is_call) = (case.noun(), case.call.kind == Kind::Call);
    let silence = if is_call { ", and nothing had rung" } else { "" };
    let because =
        format!("{responder} answered the {noun} to \"{callee}\" with {code}{after}{silence}: {what}{quotation}.");
    let mut finding = finding.because(because);
    if !is_call {
        finding = finding.titled("The recipient cannot be reached now");
    }
    if let Some(name) = &service {
        finding =
            finding.titled("Nobody who gives this service can be reached now").fix(way_to_service(responder, name));
    } else if let Some(full) = full {
        finding = finding.titled("There is no room for the call now").fix(full.fix(responder));
    } else if undisturbed {
        finding = finding
            .fix(format!("Take do not disturb off: on the device of \"{callee}\", or in its account on {responder}."))
            .fix("If callers should reach a voicemail then, let the server divert 480.");
    } else if let Some(warning) = &warning {
        finding = of_warning(finding, case, failure, warning, &callee);
    } else if is_device && !absent {
        finding = finding
            .fix(format!("Look on the device at {responder} for do not disturb, a paused account or all lines in use."))
            .fix("If callers should reach a voicemail then, let the server divert 480.");
    } else if let Some(gone) = &gone {
        finding = gone.prove(finding, &callee);
    } else if let Some(bound) = &bound {
        finding = bound
            .prove(finding, &callee, &responder.to_string())
            .fix("If all of that is in order, look for do not disturb, and for a diversion that leads nowhere.");
    } else {
        finding = of_registration(finding, case, response, &callee);
    }
    finding = finding.claim_status(response, "the callee is not available");
    if full.is_some() && warning.is_none() {
        finding = finding.claim_own_words(case, response);
    }
    if warning.is_some() {
        finding = finding.claim_header(response, "Warning", "the ground that it names");
    }
    if let Some(request) = case.request(failure) {
        finding = finding.claim_request_uri(request, "the callee");
    }
    if let Some(told) = told {
        finding = told.claimed(finding, "the network's own cause");
    }
    // An announcement may have been played all the same.
    let no_answer = match (case.ringing(failure.transaction), case.alerting_or_progress(failure.transaction)) {
        (Some(_), _) => format!("no 180 came before the {code} on any hop"),
        (None, Some(progress)) => {
            format!("{} came before the {code}, and none that says that a device rings", a_code(progress))
        }
        (None, None) => format!("no 180 to 189 came before the {code} on any hop"),
    };
    Some(
        finding
            .refuted("callee-did-not-answer", no_answer)
            .refuted("user-unknown", "480 is sent for a callee that is known; an unknown one gets 404"),
    )
}

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
