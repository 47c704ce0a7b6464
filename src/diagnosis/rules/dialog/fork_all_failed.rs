use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::time::Duration;

use crate::call::{Failure, Heard, Transaction};
use crate::capture::Place;
use crate::diagnosis::case::ENOUGH_REPEATS;
use crate::diagnosis::hunting::{Leg, end_of, status_of};
use crate::diagnosis::rule::rule;
use crate::diagnosis::words::list;
use crate::diagnosis::{Case, Confidence, Finding, Role, Severity};
use crate::sip::StatusCode;

rule! {
    /// All branches of the fork failed, and the caller sees only one of their codes.
    ///
    /// ## What it says
    /// The call was offered to several devices or trunks at once and each failed in its own way. The proxy passed on
    /// one of the codes, and not the one that tells most.
    ///
    /// ## Why it happens
    /// A proxy chooses the "best" response by class and number, not by what it tells.
    ///
    /// ## Evidence
    /// The final responses of all branches, with different codes, and the one that the caller got. A branch that
    /// nothing came from counts as a 408 (RFC 3261 §16.8). Of a B2BUA that tries one leg after the other what came of
    /// each is told, too; where one of them says that the callee was reached, or that nobody has the number, that is
    /// the cause, whatever came of the later ones. So it is told of a proxy that tried one branch after the other.
    ///
    /// ## How to fix
    /// Look at each branch for itself.
    ///
    /// ## When it would be wrong
    /// If a proxy tried the branches one after the other, the code of the last one may tell all. Two branches to one
    /// server with one Request-URI are one target that was reached twice: `request-merged`.
    ///
    /// ## References
    /// RFC 3261 §16.7
    "C20" "fork-all-failed" needs [REFUSED SENT_ON], check
}

/// What silence counts as.
const TIMEOUT: StatusCode = StatusCode::new(408).expect("a code of SIP");

/// How much a code tells of why a branch failed: nothing, that nobody is there, that the call was refused, or what
/// became of it at the callee's own device.
fn telling(status: StatusCode) -> u8 {
    match status.get() {
        408 | 487 | 500 | 504 => 0,
        480 | 503 => 1,
        486 | 600 | 603 => 3,
        _ => 2,
    }
}

fn check(case: &Case<'_>) -> Option<Finding> {
    at_once(case).or_else(|| one_after_the_other(case))
}

/// A proxy tried one branch after the other, or a B2BUA one leg, and the caller got only what came of one.
fn one_after_the_other(case: &Case<'_>) -> Option<Finding> {
    let outer = case.outer_failure()?;
    let legs = case.tried_one_by_one(outer);
    let hop = legs.first()?.request.path.source;
    if legs.iter().all(|leg| status_of(leg) == Some(outer.status)) {
        return None; // The caller was told all that there is to tell.
    }
    let words: Vec<String> = legs.iter().map(end_of).collect();
    let reached = case.reached_before(outer);
    let stop = match reached {
        Some(reached) => format!(
            " The {} came from the callee's own end, and no other way leads to another callee: there was no use in \
             going on.",
            reached.status
        ),
        None => String::new(),
    };
    let finding = Finding::of(&RULE, Confidence::Proven)
        .titled("The call was tried over one way after the other, and all failed")
        .about(outer.status)
        .party(Role::Proxy, Some(hop))
        .because(format!(
            "{hop} tried {} ways one after the other, and all failed: {}. The caller got only {}.{stop}",
            legs.len(),
            list(&words),
            outer.status
        ));
    let finding = match reached {
        Some(reached) => finding.fix(format!("Let {hop} try no other way after a {} of this kind.", reached.status)),
        None => finding.fix("Look at each way for itself."),
    };
    // That somebody waited for a way that was silent is worth a look, whatever came of the next one.
    let is_silent = |leg: &Leg<'_>| leg.failure.is_none();
    let severity = if legs.iter().any(is_silent) { Severity::Warning } else { Severity::Info };
    let finding = finding.severity(severity);
    let finding = legs.iter().fold(finding, |finding, leg| match (leg.failure, leg.cancel) {
        (Some(failure), _) => finding.claim_status(case.response(failure), "the end of one try"),
        (None, Some(cancel)) => finding.claim_method(cancel, "one try is given up"),
        (None, None) => finding.claim_absent(
            leg.request.place,
            format!("any response from {}", leg.request.path.destination),
            format!("{} copies of the INVITE went there", leg.request.repeated + 1),
        ),
    });
    Some(finding.claim_status(case.response(outer), "what the caller got"))
}

/// Branches that were under way at once all failed.
fn at_once(case: &Case<'_>) -> Option<Finding> {
    let outer = case.outer_failure()?;
    let branches = branches(case, case.call.transaction(outer.transaction));
    let targets: BTreeSet<_> = branches.iter().filter_map(|branch| branch.target(case)).collect();
    if targets.len() < 2 {
        return None; // One target that was reached by two ways is no fork.
    }
    let is_passed_on = |branch: &Branch<'_>| branch.status() == outer.status || is_made_of(outer, branch.status());
    let passed_on = branches.iter().any(is_passed_on);
    let hidden = branches.iter().map(Branch::status).filter(|status| *status != outer.status);
    let most = hidden.map(telling).max().filter(|most| *most > 0 && passed_on)?;
    // A code that tells most is the cause, and what the other branches said is only told beside it.
    let tells = telling(outer.status) >= most;
    let mut told: Vec<&Branch<'_>> = branches.iter().collect();
    told.sort_by_key(|branch| (std::cmp::Reverse(telling(branch.status())), branch.end()));
    let words: Vec<String> = told.iter().map(|branch| branch.says()).collect();
    let response = case.response(outer);
    let finding = Finding::of(&RULE, branches.iter().map(|branch| branch.confidence(case, outer.status)).max()?);
    let finding = if tells { finding.about(outer.status) } else { finding.explains(Some(outer.status)) };
    let mut finding = finding
        .sender(Role::Proxy, response)
        .because(format!(
            "{} offered the call to {} targets, and all failed: {}. The caller got only {}.{}",
            response.path.source,
            targets.len(),
            list(&words),
            outer.status,
            first_class(case, outer, &branches).unwrap_or_default()
        ))
        .fix("Look at each branch for itself, the most telling code first.")
        .claim_status(response, "what the caller got");
    for branch in told {
        finding = match branch {
            Branch::Failed(heard, _) => finding.claim_status(heard, "the end of one branch"),
            Branch::Silent(request) => finding.claim_absent(
                request.place,
                format!("any response from {}", request.path.destination),
                format!("{} copies of the INVITE went there", request.repeated + 1),
            ),
        };
    }
    Some(finding)
}

/// True of a 500 that a proxy makes of a 503: it does not pass that on (RFC 3261 §16.7 step 6).
fn is_made_of(outer: &Failure, status: StatusCode) -> bool {
    outer.status.get() == 500 && status.get() == 503
}

/// A sentence on the response of a lower class that a proxy should have passed on in place of this one.
fn first_class(case: &Case<'_>, outer: &Failure, branches: &[Branch<'_>]) -> Option<String> {
    let own = &case.call.leg(case.call.transaction(outer.transaction).leg).call_id;
    let class = |status: StatusCode| status.get() / 100;
    let is_lower = |branch: &&Branch<'_>| class(branch.status()) < class(outer.status) && class(outer.status) < 6;
    let lower = branches.iter().filter(is_lower).filter_map(|branch| match branch {
        Branch::Failed(heard, status) => Some((heard, *status)),
        Branch::Silent(_) => None,
    });
    let is_branch = |heard: &Heard| case.call.leg(heard.leg).call_id == *own;
    let (_, status) = lower.max_by_key(|(_, status)| telling(*status)).filter(|(heard, _)| is_branch(heard))?;
    Some(format!(" A proxy chooses of the lowest class first (RFC 3261 §16.7): {status} goes before {}.", outer.status))
}

/// How a branch of the fork ended.
enum Branch<'a> {
    /// By its last final response.
    Failed(&'a Heard, StatusCode),
    /// By no answer to this INVITE.
    Silent(&'a Heard),
}

impl Branch<'_> {
    /// The code that counts: a proxy takes silence for 408 (RFC 3261 §16.8).
    fn status(&self) -> StatusCode {
        match self {
            Branch::Failed(_, status) => *status,
            Branch::Silent(_) => TIMEOUT,
        }
    }

    /// Its last message.
    fn end(&self) -> Place {
        match self {
            Branch::Failed(heard, _) => heard.place,
            Branch::Silent(request) => request.last_place(),
        }
    }

    /// When the proxy confirmed its end.
    fn confirmed(&self, case: &Case<'_>) -> Option<Place> {
        let Branch::Failed(heard, _) = self else { return None };
        case.call.transaction(heard.transaction).acks.first().map(|id| case.call.message(*id).place)
    }

    /// Where it went: the server, and what was asked of it.
    fn target(&self, case: &Case<'_>) -> Option<(SocketAddr, String)> {
        let request = match self {
            Branch::Failed(heard, _) => case.call.request_of(case.call.transaction(heard.transaction))?,
            Branch::Silent(request) => request,
        };
        Some((request.path.destination, request.message.request_uri()?.into_owned()))
    }

    fn says(&self) -> String {
        match self {
            Branch::Failed(heard, status) => format!("{status} from {}", heard.path.source),
            Branch::Silent(request) => {
                format!("nothing from {}, to {} copies of the INVITE", request.path.destination, request.repeated + 1)
            }
        }
    }

    /// How sure this end is, if the caller got this code.
    fn confidence(&self, case: &Case<'_>, got: StatusCode) -> Confidence {
        match self {
            Branch::Failed(..) => Confidence::Proven,
            // The proxy says itself that it waited in vain.
            Branch::Silent(_) if got == TIMEOUT => Confidence::Likely,
            Branch::Silent(request) => case.absence(request, Duration::ZERO),
        }
    }
}

/// The ends of the branches that were under way at the same time. A proxy that tries the next one because of a refusal
/// has confirmed that before (RFC 3261 §17.1.1.2): what is confirmed later only crossed the INVITE of the other branch.
fn branches<'a>(case: &Case<'a>, upstream: &Transaction) -> Vec<Branch<'a>> {
    let all: Vec<&Transaction> = case.call.downstream_of(upstream.id).collect();
    let begun = |branch: &Transaction| case.call.request_of(branch).map(|request| request.place);
    let last_begun = all.iter().filter_map(|branch| begun(branch)).max();
    all.iter()
        .filter_map(|branch| {
            let branch = case.call.transaction(branch.id);
            let Some(last) = case.finals(branch).last() else {
                let request = case.call.request_of(branch)?;
                let is_silent = case.provisionals(branch).next().is_none() && request.repeated >= ENOUGH_REPEATS;
                return is_silent.then_some(Branch::Silent(request));
            };
            let status = last.message.status().filter(|status| status.is_failure() && !status.is_challenge())?;
            Some(Branch::Failed(last, status))
        })
        .filter(|branch| Some(branch.end()) > last_begun || branch.confirmed(case) > last_begun)
        .collect()
}
