use crate::diagnosis::rule::rule;
use crate::diagnosis::stated::Ground;
use crate::diagnosis::trunk::{Refusal, refusal, refusal_in_words};
use crate::diagnosis::{Case, Confidence, Finding};

rule! {
    /// The trunk or the network behind it is out of order.
    ///
    /// ## What it says
    /// The gateway could not reach the network or the destination behind it because of a fault there.
    ///
    /// ## Why it happens
    /// A line or interface is down, or the network had a short fault.
    ///
    /// ## Evidence
    /// A `Reason` with Q.850 cause 27, 38 or 41 in the failure response; or in a 183 before one without a `Reason`
    /// (likely). Or a 404, 480, 486, 500, 502, 503 or 504 without a cause whose words say that a trunk is down
    /// (likely). After ringing, or where the text of the `Reason` is the name of another cause, it is likely only.
    ///
    /// ## How to fix
    /// Look at the lines behind the gateway, and use another route meanwhile.
    ///
    /// ## When it would be wrong
    /// Cause 41 is also sent for want of a better one: if it comes for one number only, look at that number. A PBX
    /// makes such a cause of a trunk that does not answer at all, too: where its own leg shows that, it is
    /// `next-hop-silent` or `connection-failed`.
    ///
    /// ## References
    /// RFC 3326; RFC 3398 §7.2.4.1; RFC 6432
    "E12" "trunk-out-of-order" needs [REFUSED REASON] [404 480 486 500 502 503 504 WORDS], check
}

/// Q.850 causes of this rule, and what is out of order.
const CAUSES: &[(u32, &str)] = &[
    (27, "the line or interface to the destination is out of order"),
    (38, "the network behind it is out of order"),
    (41, "the network behind it had a temporary failure"),
];

fn check(case: &Case<'_>) -> Option<Finding> {
    of_cause(case).or_else(|| of_words(case))
}

/// A refusal that says in words that the trunk is down.
fn of_words(case: &Case<'_>) -> Option<Finding> {
    let (failure, response) = refusal_in_words(case, Ground::TrunkDown)?;
    let responder = response.path.source;
    let finding = Finding::of(&RULE, Confidence::Likely)
        .explains(Some(failure.status))
        .sender(case.role_of_responder(response), response)
        .because(format!(
            "{responder} refused the call to \"{}\" with {}{}: a trunk or line behind it does not work, by its own \
             words.",
            case.callee(failure),
            failure.status,
            case.said_beside_code(response)
        ))
        .fix(format!("Look at the state of the lines and links behind {responder}."))
        .fix("Route calls over another trunk until it is repaired: let the failure lead to the next one.")
        .claim_status(response, "the gateway refuses")
        .claim_own_words(case, response)
        .claim_header(response, "Retry-After", "for how long");
    Some(
        finding
            .refuted("server-overloaded", "its words name a trunk that is down, and no load")
            .refuted("trunk-congested", "its words name a fault, not missing capacity"),
    )
}

fn of_cause(case: &Case<'_>) -> Option<Finding> {
    let Refusal { finding, response, responder, told } = refusal(case, &RULE, CAUSES)?;
    let cause = told.cause;
    let finding = finding
        .fix(format!("Look at the state of the lines and links behind {responder}."))
        .fix("Route calls over another trunk until it is repaired: let the failure lead to the next one.")
        .fix(format!(
            "If its lines are up, ask the operator behind {responder} with the Call-ID and the cause {cause}."
        ));
    let finding = finding.claim_status(response, "the gateway refuses");
    Some(
        told.claimed(finding, "and says what is out of order")
            .refuted("server-fault", format!("Q.850 cause {cause} names the network behind the server"))
            .refuted("trunk-congested", format!("cause {cause} names a fault, not missing capacity")),
    )
}
