use crate::call::Kind;
use crate::diagnosis::case::SOON;
use crate::diagnosis::rule::rule;
use crate::diagnosis::rules::routing::caller_identity_refused::rejects_anonymous;
use crate::diagnosis::rules::routing::channel_limit_reached::names_calls_at_once;
use crate::diagnosis::rules::routing::number_not_routable::way_to_service;
use crate::diagnosis::rules::routing::server_overloaded::with_unit;
use crate::diagnosis::words::{a_code, length};
use crate::diagnosis::{Case, Confidence, Finding, Role};

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
    /// cause 17, or one of these codes in a Reason of protocol SIP. Where its words name a limit of calls at once, it
    /// is possible only.
    ///
    /// ## How to fix
    /// Call again later, or allow the callee a second call or a diversion on busy.
    ///
    /// ## When it would be wrong
    /// After ringing a 486 is mostly a person who pressed reject: `rejected-by-callee`.
    ///
    /// ## References
    /// RFC 3261 §20.33, §21.4.24, §21.6.1; RFC 3398 §7.2.4.1
    "E5" "callee-busy" needs [486 600] [REFUSED REASON], check
}

/// What baresip, a telephone, says when it takes no more calls.
const OF_DEVICE: &str = "Max Calls";

fn check(case: &Case<'_>) -> Option<Finding> {
    let failure = case.failure()?;
    let response = case.response(failure);
    let code = failure.status.get();
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
    let cause = network.map(|told| told.cause);
    let told = case.callees_word(response).map(|(_, reason)| reason);
    let is_of_device = case.own_phrase(response).is_some_and(|phrase| phrase.eq_ignore_ascii_case(OF_DEVICE));
    let names_limit = cause != Some(17) && told.is_none() && !is_of_device && names_calls_at_once(case, response);
    // Long after a 181 or 182 a device may have rung where the call was sent, and was refused there.
    let progress = case.alerting_or_progress(failure.transaction).filter(|_| ringing.is_none());
    let is_late = progress.is_some_and(|progress| response.place.time.since(progress.place.time) > SOON);
    let confidence = match cause {
        Some(17) => network.map_or(Confidence::Proven, |told| told.confidence()),
        _ if told.is_some() => Confidence::Proven,
        _ if names_limit || is_late => Confidence::Possible,
        None | Some(0 | 16 | 31) => Confidence::Likely,
        // A cause without a rule of its own that does not speak of a busy user.
        Some(_) => Confidence::Possible,
    };
    let finding = Finding::of(&RULE, confidence).explains(Some(failure.status)).sender(Role::Uas, response);
    if !case.wants_words() {
        return Some(finding);
    }
    let responder = response.path.source;
    let device = case.device_behind(response);
    let callee = case.callee(failure);
    let warning = case.warnings(response).into_iter().find(|warning| !warning.text.is_empty());
    let warned = warning.map(|warning| format!("Warning {} \"{}\"", warning.code, warning.text));
    let phrase = case.own_phrase(response).map(|phrase| format!("\"{phrase}\""));
    let said: Vec<String> = phrase.into_iter().chain(warned).collect();
    let quotation = if said.is_empty() { String::new() } else { format!(" ({})", said.join("; ")) };
    if case.call.kind != Kind::Call {
        let noun = case.noun();
        return Some(
            finding
                .titled("The recipient is busy")
                .because(format!(
                    "{responder} answered the {noun} to \"{callee}\" with {code}{quotation}: the recipient is busy."
                ))
                .fix(format!("Send the {noun} again later: the signalling is sound."))
                .fix(format!(
                    "If this recurs, look on {device}, whether it takes a {noun} while somebody is on the phone."
                ))
                .claim_status(response, "busy")
                .claim_header(response, "Retry-After", "for how long")
                .refuted("callee-unreachable", format!("{code} comes from a callee that was reached")),
        );
    }
    let proof = match (cause, told, ringing) {
        (Some(17), ..) if network.is_some_and(|told| told.is_announced()) => {
            " after a provisional response with Q.850 cause 17 (user busy)".to_owned()
        }
        (Some(17), ..) => " and Q.850 cause 17 (user busy)".to_owned(),
        (_, Some(reason), _) => format!(" and the reason {} {}", reason.protocol, reason.cause.unwrap_or_default()),
        (.., Some(_)) => ", which speaks for all devices of the callee".to_owned(),
        (.., None) => match progress {
            Some(progress) => format!(
                " {} after {}, which does not say that a device rings",
                length(response.place.time.since(progress.place.time)),
                a_code(progress)
            ),
            None => " before anything rang".to_owned(),
        },
    };
    // RFC 3261 §20.33: when the callee expects to be free again; with other codes how long the service is unavailable.
    let waits = matches!(code, 480 | 486 | 600 | 603).then(|| response.message.header("Retry-After")).flatten();
    let again = match &waits {
        Some(after) => format!(
            "Call \"{callee}\" again after {}: for so long the callee's side expects to be busy (Retry-After).",
            with_unit(after.trim())
        ),
        None => format!("Call \"{callee}\" again later: the signalling is sound."),
    };
    let full = case.what_is_full(response);
    let service = case.service_asked_for(failure);
    let what = match (full, names_limit) {
        (Some(full), _) => full.says(),
        (None, true) => {
            "its words name a limit of calls at once, which may be one of the trunk or the account, or of the callee's \
             device"
        }
        (None, false) => "the callee is busy",
    };
    let because = format!("{responder} answered the call to \"{callee}\" with {code}{quotation}{proof}: {what}.");
    let finding = match names_limit {
        true => finding.titled("The callee is busy, or a limit of calls at once is reached").fix(format!(
            "Ask the operator of {responder} whose limit it is: if it is one of the trunk or the account (channels, \
             licences), raise it, or send the calls beyond it another way."
        )),
        false => finding,
    };
    let finding = match (full, &service) {
        (Some(full), _) => finding.titled("There is no room for the call now").fix(full.fix(responder)),
        (None, Some(name)) => finding
            .fix(way_to_service(responder, name))
            .fix("Look where calls go that this centre cannot take: another centre should take them at once."),
        (None, None) => finding
            .fix(again)
            .fix(format!(
                "If it should take more calls, allow call waiting or more lines on {device}, or divert on busy."
            ))
            .fix(format!(
                "If nobody is on the phone there, look on {device}, for calls that hang, and for the limit of calls \
                 of the account."
            )),
    };
    let finding = match full.filter(|_| case.own_phrase(response).is_some() && !names_limit) {
        Some(_) => finding.claim(
            response,
            "sip.Status-Line",
            response.message.first_line().into_owned(),
            "in words of its own",
        ),
        None => finding,
    };
    let mut finding = finding
        .because(because)
        .claim_status(response, if matches!(code, 486 | 600) { "busy" } else { "the call is refused" })
        .claim_header(response, "Warning", "a warning that says more");
    if names_limit && case.own_phrase(response).is_some() {
        finding = finding.claim(
            response,
            "sip.Status-Line",
            response.message.first_line().into_owned(),
            "in words of its own",
        );
    }
    if waits.is_some() {
        finding = finding.claim_header(response, "Retry-After", "for how long");
    }
    if let Some(told) = network {
        finding = told.claimed(finding, "the network's own cause");
    }
    if let Some(reason) = told {
        finding = finding.claim_header_with(response, "Reason", &reason.protocol, "what the callee said");
    }
    let why = match (cause, ringing) {
        (Some(17), _) => "Q.850 cause 17 says busy",
        _ if told.is_some() => "the Reason says busy",
        (_, Some(_)) => "a single device that rejects sends 486 or 603, not 600",
        _ if is_late => "nothing says that a device rang; it is not excluded where the call was sent on to",
        (_, None) => "nothing rang, so nobody could reject the call by hand",
    };
    let word = told.and_then(|reason| reason.cause).unwrap_or(code.into());
    let reached = format!("{word} comes from a callee that was reached");
    Some(finding.refuted("rejected-by-callee", why).refuted("callee-unreachable", reached))
}
