use crate::call::Failure;
use crate::diagnosis::rule::rule;
use crate::diagnosis::{Case, Confidence, Finding, Severity};
use crate::sip::Reason;

rule! {
    /// The code and the Q.850 cause of a response say different things.
    ///
    /// ## What it says
    /// A gateway translated the cause of the network into a code that means something else. The cause is nearer to the
    /// truth.
    ///
    /// ## Why it happens
    /// The table of the gateway differs from RFC 3398, or a box on the path rewrote the code.
    ///
    /// ## Evidence
    /// A response whose `Reason` holds a Q.850 cause that none of the usual tables translate into its code.
    ///
    /// ## How to fix
    /// Correct the table of the gateway, and read the cause meanwhile.
    ///
    /// ## When it would be wrong
    /// If `Reason` tells of another place than the response (RFC 8606 `location`).
    ///
    /// ## References
    /// RFC 3398 §7.2.4.1; RFC 3326; RFC 8606
    "E13" "cause-disagrees" needs [REFUSED REASON], check
}

/// Q.850 causes with a clear meaning, and the codes that RFC 3398, Asterisk, FreeSWITCH, AudioCodes or Ribbon send for
/// them.
const CODES: &[(u32, &str, &[u16])] = &[
    (1, "unallocated number", &[404, 604, 484, 410]),
    (2, "no route to the transit network", &[404, 604]),
    (3, "no route to the destination", &[404, 604, 500, 503]),
    (17, "user busy", &[486, 600]),
    (18, "no user responding", &[408, 480]),
    (19, "no answer from the user", &[480, 408]),
    (20, "subscriber absent", &[480, 404]),
    (21, "call rejected", &[403, 603, 486, 433, 607, 608]),
    (22, "number changed", &[410, 301, 302, 404]),
    (27, "destination out of order", &[502, 503, 480, 500]),
    (28, "invalid number format", &[484, 404, 400, 416]),
    (34, "no circuit available", &[503, 500, 480]),
    (38, "network out of order", &[503, 500, 502]),
    (41, "temporary failure", &[503, 500, 480, 502, 504]),
    (42, "switching equipment congestion", &[503, 500, 480]),
    (47, "resource unavailable", &[503, 500, 480, 488]),
];

fn check(case: &Case<'_>) -> Option<Finding> {
    let failure = case.failure()?;
    let (response, code) = (case.response(failure), failure.status.get());
    let (cause, meaning, codes) = disagreeing(case, failure)?;
    let responder = response.path.source;
    let because = format!(
        "{responder} sent {code} with Q.850 cause {cause} ({meaning}); that cause is usually sent with {}. The cause \
         is nearer to what happened.",
        words(codes)
    );
    Some(
        Finding::of(&RULE, Confidence::Proven)
            .severity(Severity::Warning)
            .about(failure.status)
            .sender(case.role_of_responder(response), response)
            .because(because)
            .fix(format!(
                "Correct the translation of cause {cause} on {responder}: RFC 3398 §7.2.4.1 wants {}.",
                codes[0]
            ))
            .claim_status(response, "the code")
            .claim_header_with(response, "Reason", "850", "the cause that does not go with it"),
    )
}

/// The Q.850 cause of a refusal that says something else than its code.
pub(in crate::diagnosis) fn disagreeing_cause(case: &Case<'_>, failure: &Failure) -> Option<u32> {
    disagreeing(case, failure).map(|(cause, ..)| *cause)
}

/// The same with what it means and the codes that are sent for it.
fn disagreeing(case: &Case<'_>, failure: &Failure) -> Option<&'static (u32, &'static str, &'static [u16])> {
    let (reasons, code) = (case.reasons(case.response(failure)), failure.status.get());
    // Only a Reason is a translation: what Asterisk adds in a header of its own is the cause itself.
    let cause = reasons.iter().find_map(Reason::q850)?;
    let known = CODES.iter().find(|(known, ..)| *known == cause)?;
    let has_location = reasons.iter().any(|reason| reason.location.is_some());
    // Asterisk sends 603 for every cause that it has no code for.
    let may_stand = known.2.contains(&code) || has_location || code == 603 || code == 487 || code < 400;
    (!may_stand).then_some(known)
}

fn words(codes: &[u16]) -> String {
    codes.iter().take(2).map(u16::to_string).collect::<Vec<_>>().join(" or ")
}
