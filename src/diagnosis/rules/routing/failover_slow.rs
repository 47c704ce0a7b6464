use crate::catalogue::Topic;
use crate::diagnosis::failover::Failover;
use crate::diagnosis::rule::rule;
use crate::diagnosis::rules::routing::failover_worked::SLOW;
use crate::diagnosis::words::length;
use crate::diagnosis::{Case, Confidence, Finding, Role};

rule! {
    /// The next server took the call, but only after a long wait for the first one.
    ///
    /// ## What it says
    /// The failover works, and the caller heard nothing meanwhile.
    ///
    /// ## Why it happens
    /// The client waits for its timer before it gives a silent server up, on every call.
    ///
    /// ## Evidence
    /// The same request to a second address four seconds or more after the first, and its success there.
    ///
    /// ## How to fix
    /// Let the client probe its servers and leave out the one that is silent, or shorten its timer.
    ///
    /// ## When it would be wrong
    /// If the first server answered late because the callee's network needed long.
    ///
    /// ## References
    /// RFC 3263 §4.3; RFC 3261 §16.7, §17.1.1.2
    "E11" "failover-slow" needs [SEVERAL], check
}

fn check(case: &Case<'_>) -> Option<Finding> {
    let failover = case.failover().filter(|failover| failover.delay() >= SLOW)?;
    let (client, first) = (failover.first.path.source, failover.first.path.destination);
    let because = format!(
        "{first} {}; {client} went on to {} only after {}.",
        failure(&failover),
        failover.next.path.destination,
        length(failover.delay())
    );
    Some(
        told(Finding::of(&RULE, Confidence::Proven), &failover)
            .party(Role::Uac, Some(client))
            .because(because)
            .fix(format!(
                "Let {client} probe its servers with OPTIONS, and leave {first} out while it does not answer."
            ))
            .fix(format!(
                "Shorten the time after which {client} gives a server up{}.",
                case.settings(Topic::GiveUpTimer, failover.first)
            )),
    )
}

/// How the first server failed.
pub(super) fn failure(failover: &Failover<'_>) -> String {
    match failover.refusal.and_then(|refusal| refusal.message.status()) {
        Some(status) => format!("answered {status}"),
        None => "did not answer".to_owned(),
    }
}

/// The claims of a failover.
pub(super) fn told(finding: Finding, failover: &Failover<'_>) -> Finding {
    let finding = finding.claim_method(failover.first, "the first server is tried");
    let finding = match failover.refusal {
        Some(refusal) => finding.claim_status(refusal, "it fails"),
        None => finding.claim_absent(failover.first.place, "response of the first server", "it is silent"),
    };
    finding.claim_method(failover.next, "the next server is tried").claim_status(failover.taken, "it takes the request")
}
