use crate::diagnosis::rule::rule;
use crate::diagnosis::trunk::{Refusal, refusal};
use crate::diagnosis::{Case, Finding};

rule! {
    /// The trunk has no free channel or resource.
    ///
    /// ## What it says
    /// The network behind the gateway had no circuit, channel or other resource left for the call.
    ///
    /// ## Why it happens
    /// More calls at once than channels were booked or built; a switch that is overloaded; a gateway without free
    /// transcoders.
    ///
    /// ## Evidence
    /// A `Reason` with Q.850 cause 34, 42, 44 or 47 in the failure response; or in a 183 before one without
    /// a `Reason` (likely).
    ///
    /// ## How to fix
    /// Compare the calls in use with the channels booked, use another route meanwhile, and have capacity raised.
    ///
    /// ## When it would be wrong
    /// Some gateways send one cause for everything: if calls fail with it while few are up, look there. A PBX makes
    /// such a cause of a trunk that does not answer at all, too: where its own leg shows that, it is `next-hop-silent`
    /// or `connection-failed`.
    ///
    /// ## References
    /// RFC 3326; RFC 3398 §7.2.4.1; RFC 6432
    "E12" "trunk-congested" needs [REFUSED REASON], check
}

/// Q.850 causes of this rule, and what they say is missing.
const CAUSES: &[(u32, &str)] = &[
    (34, "no circuit or channel is free"),
    (42, "the switch is overloaded"),
    (44, "the channel that was asked for is not available"),
    (47, "a resource is lacking, such as a transcoder or bandwidth"),
];

fn check(case: &Case<'_>) -> Option<Finding> {
    let Refusal { finding, response, responder, told } = refusal(case, &RULE, CAUSES)?;
    let cause = told.cause;
    let finding = finding
        .fix(format!("Compare the calls that were up through {responder} at that moment with the channels it has."))
        .fix("Route further calls over another trunk while this one is full: let the failure lead to the next one.")
        .fix(format!("If few calls were up, ask the operator of {responder} with the Call-ID and the cause {cause}."));
    let finding = finding.claim_status(response, "the gateway refuses");
    Some(
        told.claimed(finding, "and says what is missing")
            .refuted("server-overloaded", format!("Q.850 cause {cause} names the trunk, not the SIP server"))
            .refuted("server-fault", "the cause names capacity, not a fault of the software"),
    )
}
