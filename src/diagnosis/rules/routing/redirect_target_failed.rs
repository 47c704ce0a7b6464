use crate::call::{Failure, Heard};
use crate::diagnosis::branches::{TIMEOUTS, Waited};
use crate::diagnosis::rule::rule;
use crate::diagnosis::rules::reachability::next_hop_silent;
use crate::diagnosis::rules::routing::caller_identity_refused::speaks_of_caller;
use crate::diagnosis::words::{is_private, times};
use crate::diagnosis::{Case, Confidence, Finding, Role};

rule! {
    /// The address to which the call was redirected does not work.
    ///
    /// ## What it says
    /// The caller, or a proxy before it, followed the redirect as it should, and the call failed at the new address.
    ///
    /// ## Why it happens
    /// The redirect names an address that is out of date, or a user that is not reachable there.
    ///
    /// ## Evidence
    /// A 3xx, the request to one of its Contacts, and a failure of that request; or, where a proxy followed it, no
    /// final response to it until the proxy answered 408 or 504 itself. Or no answer at all, where a server with a
    /// public address redirected to a private one.
    ///
    /// ## How to fix
    /// Correct the redirect at the server that sent it.
    ///
    /// ## When it would be wrong
    /// If the new address fails for everybody, the fault lies there and not with the redirect. Where the refusal
    /// speaks of the caller, the address may be right: `caller-identity-refused`.
    ///
    /// ## References
    /// RFC 3261 §8.1.3.4, §21.3
    "E15" "redirect-target-failed" needs [REFUSED REDIRECT SEVERAL] [UNANSWERED REDIRECT SEVERAL], check
}

fn check(case: &Case<'_>) -> Option<Finding> {
    by_caller(case).or_else(|| by_proxy(case)).or_else(|| to_nowhere(case))
}

/// What a reachable callee decides is no fault of the redirect.
fn is_of_callee(code: u16) -> bool {
    matches!(code, 300..=399 | 486 | 487 | 488 | 600 | 603 | 606)
}

/// The caller followed the redirect.
fn by_caller(case: &Case<'_>) -> Option<Finding> {
    let failure = case.failure().filter(|failure| !failure.status.is_challenge())?;
    let code = failure.status.get();
    let redirect = case.redirected_by()?;
    if is_of_callee(code)
        || speaks_of_caller(case, case.response(failure))
        || case.alerting_or_progress(failure.transaction).is_some()
    {
        return None;
    }
    refused_there(failure, redirect, case.request(failure)?, case.response(failure), "the caller went there")
}

/// The caller followed the redirect to an address that nobody outside its network reaches, and got no answer.
fn to_nowhere(case: &Case<'_>) -> Option<Finding> {
    let redirect = case.redirected_by()?;
    let request = next_hop_silent::unanswered(case)?;
    let (next, redirector) = (request.path.destination, redirect.path.source);
    let is_last = case.deciding().is_some_and(|deciding| deciding.id == request.transaction);
    if !is_last || !is_private(next.ip()) || is_private(redirector.ip()) {
        return None;
    }
    let (target, copies) = (request.message.request_uri()?, times(request.repeated + 1));
    let finding = Finding::of(&RULE, case.absence_of_answer(request).min(Confidence::Likely)).explains(None);
    let finding = finding.because(format!(
        "{redirector} redirected the call to {target} with {}. The caller went there, sent the INVITE {copies}, and got \
         no answer: {} is a private address, which nobody outside its own network reaches.",
        redirect.message.status()?,
        next.ip()
    ));
    let right = format!("look why {} cannot be reached from {}", next.ip(), request.path.source.ip());
    Some(
        to_correct(finding, redirect, request, right)
            .claim_absent(request.place, format!("any response from {next}"), "the new address does not answer")
            .refuted("destination-unreachable", "no ICMP error came back for it"),
    )
}

/// A proxy followed it itself (RFC 3261 §16.7 step 4).
fn by_proxy(case: &Case<'_>) -> Option<Finding> {
    let failure = case.failure().filter(|failure| !failure.status.is_challenge())?;
    let silent = case.waited_for(failure).find_map(|waited| Some((case.redirected_to(waited.branch)?, waited)));
    match silent {
        Some((redirect, waited)) => to_silence(case, failure, redirect, &waited),
        None => to_refusal(case, failure),
    }
}

/// What the redirect named did not answer, until the proxy gave up.
fn to_silence(case: &Case<'_>, failure: &Failure, redirect: &Heard, waited: &Waited<'_>) -> Option<Finding> {
    let is_timeout = TIMEOUTS.contains(&failure.status.get()) && !waited.is_hidden();
    if !is_timeout || case.alerting_or_progress(waited.branch.id).is_some() || case.was_not_delivered(waited.sent) {
        return None;
    }
    let (code, response) = (failure.status, case.response(failure));
    let (proxy, next, target) =
        (response.path.source, waited.branch.path.destination, waited.sent.message.request_uri()?);
    let because = format!(
        "{} redirected the call to {target} with {}. {proxy} followed that itself and sent the {} to {next}, {}, and \
         {proxy} made the {code} itself.",
        redirect.path.source,
        redirect.message.status()?,
        waited.branch.method.name(),
        waited.words(),
    );
    let finding = Finding::of(&RULE, Confidence::Proven).explains(Some(code)).because(because);
    let right = format!("look whether {next} is up and listens, and whether {} can reach it", proxy.ip());
    let mut finding = to_correct(finding, redirect, waited.sent, right);
    if let Some(last) = waited.last_copy {
        finding = finding.claim_at(
            last,
            "sip.Method",
            waited.branch.method.name(),
            format!("the last copy of it before the {code}"),
        );
    }
    Some(
        finding
            .claim_absent(waited.sent.place, waited.missing(), "the address that the redirect names does not answer")
            .claim_status(response, "the proxy gives up")
            .refuted("timeout-at-responder", "the request was sent on, and the silence is behind the proxy")
            .refuted("destination-unreachable", "no ICMP error came back for it"),
    )
}

/// What the redirect named refused the call.
fn to_refusal(case: &Case<'_>, failure: &Failure) -> Option<Finding> {
    let (branch, redirect) =
        case.with_upstream(failure.transaction).find_map(|at| Some((at, case.redirected_to(at)?)))?;
    let (request, response) = (case.call.request_of(branch)?, case.call.final_of(branch)?);
    let code = response.message.status().filter(|status| status.is_failure())?;
    let is_refused = |heard| speaks_of_caller(case, heard);
    if is_refused(response)
        || is_of_callee(code.get())
        || is_of_callee(failure.status.get())
        || case.alerting_or_progress(branch.id).is_some()
    {
        return None;
    }
    let followed = format!("{} followed that itself", request.path.source);
    refused_there(failure, redirect, request, response, &followed)
}

/// The redirect was followed, as `followed` says by whom, and the call was refused where it led.
fn refused_there(
    failure: &Failure,
    redirect: &Heard,
    request: &Heard,
    response: &Heard,
    followed: &str,
) -> Option<Finding> {
    let (target, server, code) = (request.message.request_uri()?, response.path.source, response.message.status()?);
    let because = format!(
        "{} redirected the call to {target} with {}; {followed}, and {server} answered {code}.",
        redirect.path.source,
        redirect.message.status()?,
    );
    let finding = Finding::of(&RULE, Confidence::Proven).explains(Some(failure.status)).because(because);
    Some(
        to_correct(finding, redirect, request, format!("look why {server} answers {code} for it"))
            .claim_status(response, "the call fails there")
            .refuted("user-unknown", "the caller did not choose this address: the redirect did"),
    )
}

/// Whose redirect it is, and what proves where it led; `right` is what to do if it names the right address.
fn to_correct(finding: Finding, redirect: &Heard, request: &Heard, right: String) -> Finding {
    let redirector = redirect.path.source;
    let target = request.message.request_uri().unwrap_or_default().into_owned();
    finding
        .sender(Role::Uas, redirect)
        .fix(format!(
            "Correct the redirect on {redirector}: {target} is not, or no longer, a place where the callee can be \
             reached."
        ))
        .fix(format!("If {target} is right, {right}."))
        .claim_status(redirect, "the call is sent elsewhere")
        .claim_header(redirect, "Contact", "namely here")
        .claim_request_uri(request, "the redirect is followed")
        .refuted("redirect-not-followed", "the request for the new address was sent")
}
