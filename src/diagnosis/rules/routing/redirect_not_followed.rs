use crate::call::timer;
use crate::catalogue::Topic;
use crate::diagnosis::rule::rule;
use crate::diagnosis::{Case, Confidence, Finding, Role};
use crate::sip::{NameAddr, Uri};

rule! {
    /// The caller was sent elsewhere and did not go there.
    ///
    /// ## What it says
    /// A 3xx named where the callee is now, and no request for it followed.
    ///
    /// ## Why it happens
    /// The caller's software does not follow redirects, or is set not to; or the new address is not one that it can
    /// call.
    ///
    /// ## Evidence
    /// 3xx with Contact, and no request for that Contact.
    ///
    /// ## How to fix
    /// Let the caller follow redirects, or let the server forward the call itself.
    ///
    /// ## When it would be wrong
    /// If the new try has another Call-ID and comes more than five seconds later: then it stands as a call of its own.
    ///
    /// ## References
    /// RFC 3261 §8.1.3.4, §21.3
    "E15" "redirect-not-followed" needs [REFUSED REDIRECT], check
}

fn check(case: &Case<'_>) -> Option<Finding> {
    let failure = case.failure()?;
    if !(300..400).contains(&failure.status.get()) || failure.normal.is_some() {
        return None;
    }
    let (request, response) = (case.request(failure)?, case.response(failure));
    let contacts = response.message.headers("Contact");
    let target = contacts.first().map(|contact| NameAddr::read(contact).uri);
    if target.is_none() && response.message.is_cut() {
        return None; // It may stand behind the cut, and have been followed.
    }
    let is_seen = case.tail(response.place) >= std::time::Duration::from_secs(5);
    let confidence = match (is_seen, case.tail(response.place) >= timer::GIVE_UP) {
        (false, _) => Confidence::Unseen,
        (true, true) => Confidence::Proven,
        (true, false) => Confidence::Likely,
    };
    let (client, server) = (request.path.source, response.path.source);
    let is_circle = target.as_deref().is_some_and(|target| was_tried(case, target));
    let because = match &target {
        Some(target) if is_circle => format!(
            "{server} sent the call on to {target} with {}, where it had been sent before: the redirects lead round.",
            failure.status
        ),
        Some(target) => format!("{server} sent the call on to {target} with {}, and {client} sent no request \
            there.", failure.status),
        None => format!("{server} sent the call elsewhere with {} and named no Contact, so {client} could not \
            follow.", failure.status),
    };
    let finding = Finding::of(&RULE, confidence).explains(Some(failure.status)).because(because);
    let finding = match &target {
        Some(target) if is_circle => finding
            .sender(Role::Uas, response)
            .fix(format!("Correct the redirects of {server}: they lead back to {target}, where the call came from."))
            .claim_status(response, "the callee is elsewhere")
            .claim_header(response, "Contact", "namely where the call was before"),
        Some(target) => finding
            .sender(Role::Uac, request)
            .fix(format!("Let {client} follow redirects{}.", case.settings(Topic::Redirects, request)))
            .fix(format!("Or let {server} forward the call to {target} itself instead of redirecting it."))
            .claim_status(response, "the callee is elsewhere")
            .claim_header(response, "Contact", "namely here")
            .claim_absent(response.place, format!("request to {target}"), "the redirect is not followed"),
        None => finding
            .sender(Role::Uas, response)
            .fix(format!("Let {server} name the new address in Contact."))
            .claim_status(response, "the callee is elsewhere"),
    };
    Some(finding.refuted("redirect-target-failed", "nothing was sent to the target"))
}

/// True if the call was sent to this target before.
fn was_tried(case: &Case<'_>, target: &str) -> bool {
    let target = Uri::read(target);
    case.tries().iter().any(|one| {
        one.request.message.request_uri().is_some_and(|uri| Uri::read(&uri).is_same_target(&target))
    })
}
