use std::time::Duration;

use crate::call::Heard;
use crate::diagnosis::rule::rule;
use crate::diagnosis::{Case, Confidence, Finding, Role};

rule! {
    /// One device refused for all: the whole fork was ended.
    ///
    /// ## What it says
    /// The call rang at several devices. One of them answered with a code of 600 or more, which speaks for the callee
    /// as a whole, and so the proxy cancelled the others that still rang.
    ///
    /// ## Why it happens
    /// Many telephones send 603 when a person presses "reject", although they can speak for themselves only.
    ///
    /// ## Evidence
    /// A 6xx on one branch, then CANCEL on other branches that had rung.
    ///
    /// ## How to fix
    /// Set the device to answer 486 or 480 instead of 603, or let the proxy turn its 6xx into 4xx.
    ///
    /// ## When it would be wrong
    /// If the callee did mean to refuse at all devices.
    ///
    /// ## References
    /// RFC 3261 §16.7, §21.6
    "C17" "fork-ended-by-global-failure" needs [CANCEL FAILURE SENT_ON], check
}

/// Who gets a 6xx cancels the other branches as soon as it is there (RFC 3261 §16.7 (5)): one that comes later has
/// another ground.
const AT_ONCE: Duration = Duration::from_secs(2);

fn check(case: &Case<'_>) -> Option<Finding> {
    if case.call.is_answered() {
        return None;
    }
    let (global, cancels) = ended_fork(case)?;
    let status = global.message.status()?;
    let others = cancels.len();
    let mut finding = Finding::of(&RULE, Confidence::Proven)
        .explains(Some(status))
        .sender(Role::Uas, global)
        .because(format!(
            "The call rang at several devices. {} answered {status}, which speaks for all of them, so {} cancelled {} \
             that still rang.",
            global.path.source,
            global.path.destination,
            if others == 1 { "the other one".to_owned() } else { format!("the {others} others") }
        ))
        .fix(format!("Let {} answer 486 or 480 instead of {status} when it rejects a call.", global.path.source))
        .fix(format!("Or let {} turn a 6xx of one device into a 4xx.", global.path.destination))
        .claim_status(global, "one device speaks for all");
    for cancel in cancels.iter().take(4) {
        finding = finding.claim_method(cancel, "another device is cancelled because of it");
    }
    Some(
        finding
            .refuted("answered-elsewhere", "no branch was answered")
            .refuted("caller-abandoned", "the caller sent no CANCEL"),
    )
}

/// A 6xx of one branch, and the CANCELs that it caused on ringing ones.
fn ended_fork<'a>(case: &Case<'a>) -> Option<(&'a Heard, Vec<&'a Heard>)> {
    case.call.transactions.iter().filter(|branch| branch.is_initial_invite()).find_map(|branch| {
        let upstream = branch.upstream?;
        let global =
            case.finals(branch).find(|heard| heard.message.status().is_some_and(|status| status.get() >= 600))?;
        let cancels: Vec<&Heard> = case
            .call
            .downstream_of(upstream)
            .filter(|other| other.id != branch.id)
            .filter(|other| {
                case.provisionals(other).any(|heard| heard.message.status().is_some_and(|status| status.get() >= 180))
            })
            .filter_map(|other| case.cancel_of(other))
            .filter(|cancel| cancel.place > global.place && cancel.place.time.since(global.place.time) <= AT_ONCE)
            .collect();
        let by_caller = case.call.transaction(upstream).cancelled_by.is_some();
        (!cancels.is_empty() && !by_caller).then_some((global, cancels))
    })
}
