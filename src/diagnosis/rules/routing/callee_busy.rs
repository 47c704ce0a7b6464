use crate::call::Kind;
use crate::diagnosis::rule::rule;
use crate::diagnosis::rules::routing::server_overloaded::with_unit;
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
    /// 486 or 600 and nothing rang before; or Q.850 cause 17, or one of these codes in a Reason of protocol SIP.
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

fn check(case: &Case<'_>) -> Option<Finding> {
    let failure = case.failure()?;
    let response = case.response(failure);
    let code = failure.status.get();
    let cause = case.q850(response);
    let ringing = case.ringing(failure.transaction);
    let is_busy = match (code, case.telling_cause(response)) {
        (_, Some(17)) => code >= 400,
        (_, Some(_)) => false,
        (486, None) => ringing.is_none(),
        (600, None) => true,
        _ => false,
    };
    if !is_busy || case.call.kind == Kind::Registration {
        return None;
    }
    let told = case.callees_word(response).map(|(_, reason)| reason);
    let confidence = match cause {
        Some(17) => Confidence::Proven,
        _ if told.is_some() => Confidence::Proven,
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
    let quotation = case.own_phrase(response).map(|phrase| format!(" (\"{phrase}\")")).unwrap_or_default();
    if case.call.kind != Kind::Call {
        let noun = case.noun();
        return Some(
            finding
                .titled("The recipient is busy")
                .because(format!("{responder} answered the {noun} to \"{callee}\" with {code}{quotation}: the recipient is busy."))
                .fix(format!("Send the {noun} again later: the signalling is sound."))
                .fix(format!("If this recurs, look on {device} whether it takes a {noun} while somebody is on the phone."))
                .claim_status(response, "busy")
                .claim_header(response, "Retry-After", "for how long")
                .refuted("callee-unreachable", format!("{code} comes from a callee that was reached")),
        );
    }
    let proof = match (cause, told, ringing) {
        (Some(17), ..) => " and Q.850 cause 17 (user busy)".to_owned(),
        (_, Some(reason), _) => format!(" and the reason {} {}", reason.protocol, reason.cause.unwrap_or_default()),
        (.., Some(_)) => ", which speaks for all devices of the callee".to_owned(),
        (.., None) => " before anything rang".to_owned(),
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
    let because =
        format!("{responder} answered the call to \"{callee}\" with {code}{quotation}{proof}: the callee is busy.");
    let mut finding = finding
        .because(because)
        .fix(again)
        .fix(format!("If it should take more calls, allow call waiting or more lines on {device}, or divert \
            on busy."))
        .fix(format!("If nobody is on the phone there, look on {device} for calls that hang, and for the \
            limit of calls of the account."))
        .claim_status(response, if matches!(code, 486 | 600) { "busy" } else { "the call is refused" });
    if waits.is_some() {
        finding = finding.claim_header(response, "Retry-After", "for how long");
    }
    if cause.is_some() {
        finding = finding.claim_header_with(response, "Reason", "850", "the network's own cause");
    }
    if let Some(reason) = told {
        finding = finding.claim_header_with(response, "Reason", &reason.protocol, "what the callee said");
    }
    let why = match (cause, ringing) {
        (Some(17), _) => "Q.850 cause 17 says busy",
        _ if told.is_some() => "the Reason says busy",
        (_, Some(_)) => "a single device that rejects sends 486 or 603, not 600",
        (_, None) => "nothing rang, so nobody could reject the call by hand",
    };
    let word = told.and_then(|reason| reason.cause).unwrap_or(code.into());
    let reached = format!("{word} comes from a callee that was reached");
    Some(finding.refuted("rejected-by-callee", why).refuted("callee-unreachable", reached))
}
