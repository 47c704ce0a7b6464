use crate::call::{Heard, Kind, timer};
use crate::catalogue::Topic;
use crate::diagnosis::rule::rule;
use crate::diagnosis::rules::routing::redirect_loop::{closes, goes_to};
use crate::diagnosis::{Case, Confidence, Finding, Role};
use crate::sip::{AlternativeService, NameAddr, Uri};

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
    /// If the capture was made at the server that redirects: there the next request does not pass. So it is proven only where
    /// the client is seen to talk to others too, or is sent to the same server again. If the new try has another Call-ID and comes more than five seconds later: then it stands as a call of its own.
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
    if closes(case, response).is_some() {
        return None; // Where it leads back to, it was sent before.
    }
    let target = best_contact(case, response);
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
    // A capture at the redirecting server holds nothing of what the client sends to others.
    let is_seen_elsewhere = || {
        let mut hops = case.surroundings.hops();
        hops.any(|(from, to, _)| from == client.ip() && to != server.ip())
    };
    let leads_elsewhere = target.as_deref().is_some_and(|target| Uri::read(target).host.parse() != Ok(server.ip()));
    let (confidence, there) = match leads_elsewhere && !is_seen_elsewhere() {
        true => (confidence.max(Confidence::Likely), "there in this capture"),
        false => (confidence, "there"),
    };
    let is_other_service = failure.status.get() == 380;
    // Who is sent to the circuit-switched network is not seen here any more.
    let confidence = if is_other_service { confidence.max(Confidence::Possible) } else { confidence };
    let noun = case.noun();
    let because = match &target {
        _ if is_other_service => format!(
            "{server} answered {}: another service can carry this call, as the body of the response says. {client} did not call again \
             in this capture; over another network it would not be seen here.",
            failure.status
        ),
        Some(target) => format!("{server} sent the {noun} on to {target} with {}, and {client} sent no request \
            {there}.", failure.status),
        None => format!("{server} sent the {noun} elsewhere with {} and named no Contact, so {client} could not \
            follow.", failure.status),
    };
    let finding = Finding::of(&RULE, confidence).explains(Some(failure.status)).because(because);
    let finding = match case.call.kind {
        Kind::Call => finding,
        _ => finding.titled("The client was sent elsewhere and did not go there"),
    };
    let finding = match &target {
        _ if is_other_service => {
            let step = match AlternativeService::of(&response.message) {
                Some(AlternativeService::Emergency) => format!(
                    "Let {client} repeat the call as an emergency call (`urn:service:sos`, or over the circuit-switched network): that \
                     is what the body asks for."
                ),
                _ => format!("Read in the body of the response which service {server} means, and let {client} use that."),
            };
            finding
                .sender(Role::Uac, request)
                .fix(step)
                .fix(format!("If {server} should have carried the call itself, give it a route for this number."))
                .claim_status(response, "another service can carry the call")
                .claim_header(response, "Content-Type", "it describes that service")
                .claim_absent(response.place, "another request for this call", "the caller does not use it")
        }
        Some(target) => finding
            .sender(Role::Uac, request)
            .fix(format!("Let {client} follow redirects{}.", case.settings(Topic::Redirects, request)))
            .fix(format!("Or let {server} forward the {noun} to {target} itself instead of redirecting it."))
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

/// The first address that the client should have tried of those that a redirect names: the one with the greatest q
/// (RFC 3261 §8.1.3.4) of those that were not tried yet.
fn best_contact(case: &Case<'_>, redirect: &Heard) -> Option<String> {
    let contacts = redirect.message.headers("Contact");
    let is_untried = |contact: &&String| !case.call.messages.iter().any(|heard| goes_to(heard, contact));
    // Of equals the last one is taken, and a redirect names the best one first.
    let last_first = contacts.iter().rev().filter(is_untried);
    let untried = last_first.max_by(|one, other| quality(one).total_cmp(&quality(other)));
    untried.or(contacts.first()).map(|contact| NameAddr::read(contact).uri)
}

/// The q of a Contact; 1 if it has none (RFC 3261 §20.10).
fn quality(contact: &str) -> f32 {
    NameAddr::read(contact).parameters.get("q").and_then(|q| q.trim().parse().ok()).unwrap_or(1.0)
}
