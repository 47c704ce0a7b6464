use std::time::Duration;

use crate::diagnosis::rule::rule;
use crate::diagnosis::rules::routing::failover_slow::{failure, told};
use crate::diagnosis::words::length;
use crate::diagnosis::{Case, Confidence, Finding, Role};

rule! {
    /// A server failed, and the next one took the call.
    ///
    /// ## What it says
    /// The request was sent to another server after the first had failed, and went on from there.
    ///
    /// ## Why it happens
    /// One server of several was down or overloaded, and the client knows the others.
    ///
    /// ## Evidence
    /// 408, 430 or 5xx of one server, or its silence; then the same request to another address, and its success.
    ///
    /// ## How to fix
    /// The call is not harmed. Look after the server that failed.
    ///
    /// ## When it would be wrong
    /// If both were tried at once it is a fork, no failover.
    ///
    /// ## References
    /// RFC 3263 §4.3; RFC 3261 §16.7
    "E11" "failover-worked", check
}

/// From this delay on the failover is one that callers notice.
pub(super) const SLOW: Duration = Duration::from_secs(4);

fn check(case: &Case<'_>) -> Option<Finding> {
    let failover = case.failover().filter(|failover| failover.delay() < SLOW)?;
    let because = format!(
        "{} {}; {} went on to {} after {}, which took the request.",
        failover.first.path.destination,
        failure(&failover),
        failover.first.path.source,
        failover.next.path.destination,
        length(failover.delay())
    );
    let finding = told(Finding::of(&RULE, Confidence::Proven), &failover);
    Some(finding.party(Role::Nobody, None).because(because))
}
