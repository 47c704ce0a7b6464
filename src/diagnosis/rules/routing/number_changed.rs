use crate::call::Kind;
use crate::diagnosis::announced::Told;
use crate::diagnosis::rule::rule;
use crate::diagnosis::{Case, Confidence, Finding, Role};
use crate::sip::NameAddr;

rule! {
    /// The number is no longer in use.
    ///
    /// ## What it says
    /// The callee's side says that this address is gone for good.
    ///
    /// ## Why it happens
    /// The number was given up or changed.
    ///
    /// ## Evidence
    /// 410, or the Q.850 cause 22.
    ///
    /// ## How to fix
    /// Use the new number, and take the old one out of directories and speed dials.
    ///
    /// ## When it would be wrong
    /// Some systems send 410 for a device that is only deleted on that server.
    ///
    /// ## References
    /// RFC 3261 §21.4.10; RFC 3398 §7.2.4.1
    "E23" "number-changed" needs [410] [REFUSED REASON], check
}

fn check(case: &Case<'_>) -> Option<Finding> {
    let failure = case.failure()?;
    let response = case.response(failure);
    let told = case.told(response);
    let cause = told.map(|told| told.cause);
    let holds = case.code(failure) == 410 || (cause == Some(22) && failure.status.get() >= 400);
    let names_other = case.telling_cause(response).is_some_and(|cause| !matches!(cause, 1 | 22));
    // A service has no number of its own: `number-not-routable`.
    if case.service_asked_for(failure).is_some() {
        return None;
    }
    if !holds || names_other || case.call.kind == Kind::Options {
        return None;
    }
    let (callee, responder) = (case.callee(failure), response.path.source);
    // A device also writes its own Contact into failures: only another user is a new address.
    let is_new = |contact: &NameAddr, old: &str| {
        let user = contact.parsed().bare_user().to_owned();
        !user.is_empty() && user != old
    };
    let new = response.message.contact().filter(|contact| is_new(contact, &callee)).map(|contact| contact.uri);
    let cause_words = if cause == Some(22) { ", Q.850 cause 22 (number changed)" } else { "" };
    let new_words = match &new {
        Some(uri) => format!("; it names {uri} as the new one"),
        None if response.message.has_cut_head() => "; a new one, if it names one, is behind the cut".to_owned(),
        None => "; it names no new one".to_owned(),
    };
    let because =
        format!("{responder} says that \"{callee}\" is no longer in use: {}{cause_words}{new_words}.", failure.status);
    let sure = told.filter(|_| case.code(failure) != 410).map_or(Confidence::Proven, |told| told.confidence());
    let finding = Finding::of(&RULE, sure).explains(Some(failure.status)).sender(Role::Uas, response).because(because);
    let finding = match &new {
        Some(uri) => finding.fix(format!("Call {uri} instead of \"{callee}\".")),
        None => finding.fix(format!("Ask the callee for the new number of \"{callee}\".")),
    };
    let finding = finding
        .fix(format!("Take \"{callee}\" out of directories, speed dials and diversions."))
        .claim_status(response, "gone for good")
        .claim_own_words(case, response);
    let finding = match told.filter(Told::is_announced) {
        Some(told) => told.claimed(finding, "why the call could not go on"),
        None => finding,
    };
    Some(finding.refuted("number-not-routable", "the number is known: it was in use before"))
}
