use crate::call::Heard;
use crate::diagnosis::rule::rule;
use crate::diagnosis::stated::Ground;
use crate::diagnosis::trunk::{Refusal, refusal, refusal_in_words};
use crate::diagnosis::words::length;
use crate::diagnosis::{Case, Confidence, Finding};

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
    /// A `Reason` with Q.850 cause 34, 42, 44 or 47 in the failure response; or in a 183 before one without a `Reason`
    /// (likely). Or words that say that no trunk or channel is free, without such a cause (likely). After ringing, or
    /// where the text of the `Reason` is the name of another cause, it is likely only.
    ///
    /// ## How to fix
    /// Compare the calls in use with the channels booked, use another route meanwhile, and have capacity raised.
    ///
    /// ## When it would be wrong
    /// Some gateways send one cause for everything: if calls fail with it while few are up, look there. A PBX makes
    /// such a cause of a trunk that does not answer at all, too: where its own leg shows that, it is `next-hop-silent`
    /// or `connection-failed`. Where a leg behind the one who refuses was ringing, and he cancelled it, the trunk had a
    /// channel: what is lacking is lacking at him, if anything is.
    ///
    /// ## References
    /// RFC 3326; RFC 3398 §7.2.4.1; RFC 6432
    "E12" "trunk-congested" needs [REFUSED REASON] [404 480 486 500 502 503 504 WORDS], check
}

/// Q.850 causes of this rule, and what they say is missing.
const CAUSES: &[(u32, &str)] = &[
    (34, "no circuit or channel is free"),
    (42, "the switch is overloaded"),
    (44, "the channel that was asked for is not available"),
    (47, "a resource is lacking, such as a transcoder or bandwidth"),
];

fn check(case: &Case<'_>) -> Option<Finding> {
    of_cause(case).or_else(|| of_words(case))
}

/// A refusal that says in words that no trunk or channel is free.
fn of_words(case: &Case<'_>) -> Option<Finding> {
    let (failure, response) = refusal_in_words(case, Ground::TrunksBusy)?;
    let responder = response.path.source;
    let finding = Finding::of(&RULE, Confidence::Likely)
        .explains(Some(failure.status))
        .sender(case.role_of_responder(response), response)
        .because(format!(
            "{responder} refused the call to \"{}\" with {}{}: no trunk or channel is free, by its own words.",
            case.callee(failure),
            failure.status,
            case.said_beside_code(response)
        ))
        .fix(format!("Compare the calls that were up through {responder} at that moment with the channels it has."))
        .fix("Route further calls over another trunk while this one is full: let the failure lead to the next one.")
        .claim_status(response, "the gateway refuses")
        .claim_own_words(case, response);
    Some(finding.refuted("callee-busy", "its words speak of the way to the callee"))
}

fn of_cause(case: &Case<'_>) -> Option<Finding> {
    let Refusal { finding, response, responder, told } = refusal(case, &RULE, CAUSES)?;
    let cause = told.cause;
    if let Some((rang, cancel)) = given_up_ringing(case) {
        return Some(of_ringing(finding, rang, cancel, (response, cause)));
    }
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

/// The ringing of a leg behind the one who refused, and the CANCEL by which he gave it up himself.
fn given_up_ringing<'a>(case: &Case<'a>) -> Option<(&'a Heard, &'a Heard)> {
    let failure = case.failure()?;
    let told = case.call.transaction(failure.transaction);
    let behind = case.call.downstream_of(told.id).find(|inner| case.is_own_cancel(inner))?;
    let rings = |heard: &&Heard| heard.message.status().is_some_and(|status| (180..190).contains(&status.get()));
    let cancel = case.call.request_of(case.call.transaction(behind.cancelled_by?))?;
    Some((case.provisionals(behind).find(rings)?, cancel))
}

/// A refusal whose sender had got a channel, for the callee's side had been reached by it.
fn of_ringing(finding: Finding, rang: &Heard, cancel: &Heard, (response, cause): (&Heard, u32)) -> Finding {
    let (responder, next) = (response.path.source, rang.path.source);
    let rung = length(cancel.place.time.since(rang.place.time));
    let because = format!(
        "{} But {next} had taken the call and was ringing for {rung} when {responder} cancelled it itself: no channel \
         was missing there, and what {responder} lacked is its own.",
        finding.explanation.raw()
    );
    let finding = Finding { confidence: Confidence::Possible, ..finding };
    finding
        .titled("The call was given up while it rang, for want of a resource")
        .because(because)
        .fix(format!("Follow the call in the log of {responder}: what made it give up a leg that was ringing?"))
        .fix(format!("If nothing was lacking there, look where it takes the cause {cause} from."))
        .claim_status(rang, "the callee's side was reached")
        .claim_method(cancel, "and given up by the one who refuses")
        .claim_status(response, "the refusal")
        .claim_q850(response, "and what it says is missing")
}
