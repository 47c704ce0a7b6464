use std::time::Duration;

use crate::call::Retry;
use crate::capture::Place;
use crate::diagnosis::rule::rule;
use crate::diagnosis::rules::routing::failover_slow::{failure, told};
use crate::diagnosis::words::length;
use crate::diagnosis::{Case, Confidence, Finding, Role};

rule! {
    /// A server failed, and the client went on to the next one.
    ///
    /// ## What it says
    /// The request was sent to another server after the first had failed, and went on from there; under the same
    /// Call-ID, or as a call of its own.
    ///
    /// ## Why it happens
    /// One server of several was down or overloaded, and the client knows the others.
    ///
    /// ## Evidence
    /// 408, 430 or 5xx of one server, or its silence; then the same request to another address, and its success. Under
    /// another Call-ID: the same client calls the same user for the same caller at another server, within 5 s of the
    /// refusal, or in place of what got no answer.
    ///
    /// ## How to fix
    /// The call is not harmed. Look after the server that failed.
    ///
    /// ## When it would be wrong
    /// If both were tried at once it is a fork, no failover. A person who dials again within seconds looks the same,
    /// where the second call happens to go to another server.
    ///
    /// ## References
    /// RFC 3263 §4.3; RFC 3261 §16.7
    "E11" "failover-worked" needs [SEVERAL] [RETRIED], check
}

/// From this delay on the failover is one that callers notice.
pub(super) const SLOW: Duration = Duration::from_secs(4);

fn check(case: &Case<'_>) -> Option<Finding> {
    within(case).or_else(|| as_another_call(case))
}

/// The client went on under another Call-ID: told of both calls.
fn as_another_call(case: &Case<'_>) -> Option<Finding> {
    let holds = |place: Place| case.call.messages.iter().find(|heard| heard.place == place);
    let retries = case.surroundings.neighbours().retries();
    let one_of_both = |retry: &&Retry| holds(retry.first).is_some() != holds(retry.next).is_some();
    let retry = retries.iter().find(one_of_both)?;
    let how = match retry.refusal {
        Some((_, code)) => format!("refused the INVITE with {code}"),
        None => "did not answer the INVITE".to_owned(),
    };
    let came = match retry.outcome {
        Some(code) if (200..300).contains(&code) => "which took the call".to_owned(),
        Some(code) => format!("which answered {code}"),
        None => "which gave no final response".to_owned(),
    };
    let after = length(retry.next.time.since(retry.refusal.map_or(retry.first, |(place, _)| place).time));
    let finding = Finding::of(&RULE, Confidence::Likely).party(Role::Nobody, None);
    let finding = match holds(retry.first) {
        Some(first) => finding
            .titled("The call was tried again at another server, with another Call-ID")
            .because(format!(
                "{} {how}; {after} later {} called the same user at {} with another Call-ID, {came}. The two are \
                 tries of one call.",
                retry.first_server,
                first.path.source.ip(),
                retry.next_server
            ))
            .claim_request_uri(first, "the first try")
            .claim_at(retry.next, "sip.Method", "INVITE", "the next try, at another server"),
        None => {
            let next = holds(retry.next)?;
            finding
                .titled("The call is the next try of one that failed at another server")
                .because(format!(
                    "{} had called the same user at {} before, with another Call-ID, and that server {how}; {after} \
                     later it went on to {}, {came}. The two are tries of one call.",
                    next.path.source.ip(),
                    retry.first_server,
                    retry.next_server
                ))
                .claim_at(retry.first, "sip.Method", "INVITE", "the try before it, at another server")
                .claim_request_uri(next, "the next try")
        }
    };
    Some(match retry.refusal {
        Some((place, code)) => finding.claim_at(place, "sip.Status-Code", code.to_string(), "the first server fails"),
        None => finding.claim_absent(retry.first, "any response", "the first server does not answer"),
    })
}

fn within(case: &Case<'_>) -> Option<Finding> {
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
