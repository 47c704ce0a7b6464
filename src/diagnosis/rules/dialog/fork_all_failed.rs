use crate::call::{Heard, Transaction};
use crate::diagnosis::rule::rule;
use crate::diagnosis::words::list;
use crate::diagnosis::{Case, Confidence, Finding, Role};
use crate::sip::StatusCode;

rule! {
    /// All branches of the fork failed, and the caller sees only one of their codes.
    ///
    /// ## What it says
    /// The call was offered to several devices or trunks at once and each failed in its own way. The proxy passed on one
    /// of the codes, and not the one that tells most.
    ///
    /// ## Why it happens
    /// A proxy chooses the "best" response by class and number, not by what it tells.
    ///
    /// ## Evidence
    /// The final responses of all branches, with different codes, and the one that the caller got.
    ///
    /// ## How to fix
    /// Look at each branch for itself.
    ///
    /// ## When it would be wrong
    /// If the branches were tried one after the other, each is an attempt of its own.
    ///
    /// ## References
    /// RFC 3261 §16.7
    "C20" "fork-all-failed" needs [REFUSED SENT_ON], check
}

/// How much a code tells of why a branch failed: nothing, that nobody is there, that the call was refused, or what became
/// of it at the callee's own device.
fn telling(status: StatusCode) -> u8 {
    match status.get() {
        408 | 487 | 500 | 504 => 0,
        480 | 503 => 1,
        486 | 600 | 603 => 3,
        _ => 2,
    }
}

fn check(case: &Case<'_>) -> Option<Finding> {
    let outer = case.outer_failure()?;
    let branches = branches(case, case.call.transaction(outer.transaction));
    let passed_on = branches.iter().any(|(_, status)| *status == outer.status);
    let hidden = branches.iter().map(|(_, status)| *status).filter(|status| *status != outer.status);
    let most = hidden.map(telling).max().filter(|most| *most > 0 && passed_on)?;
    // A code that tells most is the cause, and what the other branches said is only told beside it.
    let tells = telling(outer.status) >= most;
    let mut told: Vec<&(&Heard, StatusCode)> = branches.iter().collect();
    told.sort_by_key(|(heard, status)| (std::cmp::Reverse(telling(*status)), heard.place));
    let words: Vec<String> = told.iter().map(|(heard, status)| format!("{status} from {}", heard.path.source)).collect();
    let response = case.response(outer);
    let finding = Finding::of(&RULE, Confidence::Proven);
    let finding = if tells { finding.about(outer.status) } else { finding.explains(Some(outer.status)) };
    let mut finding = finding
        .sender(Role::Proxy, response)
        .because(format!(
            "{} offered the call to {} targets, and all failed: {}. The caller got only {}.",
            response.path.source,
            branches.len(),
            list(&words),
            outer.status
        ))
        .fix("Look at each branch for itself, the most telling code first.")
        .claim_status(response, "what the caller got");
    for (heard, _) in told {
        finding = finding.claim_status(heard, "the end of one branch");
    }
    Some(finding)
}

/// The last final responses of the branches that were under way at the same time.
fn branches<'a>(case: &Case<'a>, upstream: &Transaction) -> Vec<(&'a Heard, StatusCode)> {
    let all: Vec<&Transaction> = case.call.downstream_of(upstream.id).collect();
    let begun = |branch: &Transaction| case.call.request_of(branch).map(|request| request.place);
    let last_begun = all.iter().filter_map(|branch| begun(branch)).max();
    all.iter()
        .filter_map(|branch| {
            let last = case.finals(case.call.transaction(branch.id)).last()?;
            let status = last.message.status().filter(|status| status.is_failure() && !status.is_challenge())?;
            (Some(last.place) > last_begun).then_some((last, status))
        })
        .collect()
}
