use std::sync::Arc;

use crate::call::Kind;
use crate::diagnosis::rule::rule;
use crate::diagnosis::words::times;
use crate::diagnosis::{Case, Confidence, Finding, Role, Severity};
use crate::sip::Uri;

rule! {
    /// A call was also sent to a device that is no longer there.
    ///
    /// ## What it says
    /// Several devices of the callee are registered, and one of them is silent while another answers.
    ///
    /// ## Why it happens
    /// A device was switched off or changed its address, and its old registration has not run out.
    ///
    /// ## Evidence
    /// A 2xx to REGISTER that lists several Contacts; an INVITE to one of them without any response, and another branch
    /// of the same call that got one.
    ///
    /// ## How to fix
    /// Grant shorter registrations, or let a new one remove the old ones of the same device.
    ///
    /// ## When it would be wrong
    /// If the silent device answers other calls: then this request was lost.
    ///
    /// ## References
    /// RFC 3261 §10.3, §16.6; RFC 5626 §6
    "A14" "stale-binding" needs [CALL SEVERAL SENT_ON UNANSWERED REPEATED], check
}

fn check(case: &Case<'_>) -> Option<Finding> {
    if case.call.kind != Kind::Call {
        return None;
    }
    let dialled = case.call.request_of(case.deciding()?)?.message.target()?;
    let known = case.surroundings.registrations().of(dialled.bare_user(), &dialled.host)?;
    let silent = case.call.transactions.iter().find(|known| {
        known.is_initial_invite()
            && known.upstream.is_some()
            && known.provisionals.is_empty()
            && known.finals.is_empty()
            && case.call.request_of(known).is_some_and(|request| request.repeated >= 2)
    })?;
    let answered = case.call.transactions.iter().find(|known| {
        let has_response = !known.provisionals.is_empty() || !known.finals.is_empty();
        known.upstream == silent.upstream && known.id != silent.id && has_response
    })?;
    let request = case.call.request_of(silent)?;
    let target = request.message.target()?;
    let listed = known.granted.iter().rev().find(|granted| {
        let has = |uri: &Arc<str>| Uri::read(uri).is_same_target(target);
        granted.place.time <= request.place.time && granted.bindings.len() > 1 && granted.bindings.iter().any(has)
    })?;
    let answer = answered.provisionals.first().or(answered.finals.first()).map(|id| case.call.message(*id))?;
    let because = format!(
        "The call was forked to {} registered devices of \"{}\"; {} was sent the INVITE {} and stayed silent, while \
         {} answered.",
        listed.bindings.len(),
        dialled.bare_user(),
        silent.path.destination,
        times(request.repeated + 1),
        answered.path.destination
    );
    Some(
        Finding::of(&RULE, Confidence::Likely)
            .severity(Severity::Warning)
            .party(Role::Uas, Some(silent.path.destination))
            .because(because)
            .fix(format!(
                "Remove the binding {} from the registrar, or wait until it runs out.",
                request.message.request_uri()?
            ))
            .fix("Grant shorter registrations, and let a new one of a device replace its old one.")
            .claim_at(listed.place, "sip.CSeq.method", "REGISTER", "the registrar lists several bindings")
            .claim_request_uri(request, "the INVITE to one of them")
            .claim_absent(request.place, format!("response of {}", silent.path.destination), "it is silent")
            .claim_status(answer, "another binding answers"),
    )
}
