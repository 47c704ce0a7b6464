use std::time::Duration;

use crate::call::{Failure, Heard, Kind, timer};
use crate::catalogue::Topic;
use crate::diagnosis::rule::rule;
use crate::diagnosis::rules::reachability::connection_failed::tried_to_follow;
use crate::diagnosis::rules::routing::redirect_loop::{closes, followed_by, goes_to};
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
    /// 3xx with Contact, and no request of its client for that Contact, nor for the same user or number at another
    /// host. If proxies passed the 3xx on, its client is the last one to get it.
    ///
    /// ## How to fix
    /// Let the caller follow redirects, or let the server forward the call itself.
    ///
    /// ## When it would be wrong
    /// If the capture was made at the server that redirects: there the next request does not pass. So it is proven only
    /// where the client is seen to talk to others too, or is sent to the same server again. If the new try has another
    /// Call-ID and comes more than five seconds later: then it stands as a call of its own.
    ///
    /// ## References
    /// RFC 3261 §8.1.3.4, §21.3
    "E15" "redirect-not-followed" needs [REFUSED REDIRECT], check
}

fn check(case: &Case<'_>) -> Option<Finding> {
    let redirect = Redirect::of(case)?;
    let finding = Finding::of(&RULE, redirect.confidence())
        .explains(Some(redirect.failure.status))
        .because(redirect.explanation());
    let finding = match case.call.kind {
        Kind::Call => finding,
        _ => finding.titled("The client was sent elsewhere and did not go there"),
    };
    let finding = match &redirect.target {
        _ if redirect.is_other_service() => redirect.to_other_service(finding),
        Some(target) => redirect.to_target(finding, target),
        None => redirect.to_nowhere(finding),
    };
    Some(finding.refuted("redirect-target-failed", "nothing was sent to the target"))
}

/// A redirect that its client did not follow.
struct Redirect<'a> {
    case: &'a Case<'a>,
    failure: &'a Failure,
    /// The redirect as its maker sent it.
    first: &'a Heard,
    /// The request of the client that had to follow it.
    request: &'a Heard,
    /// The redirect as that client got it.
    response: &'a Heard,
    target: Option<String>,
}

impl<'a> Redirect<'a> {
    fn of(case: &'a Case<'a>) -> Option<Redirect<'a>> {
        let failure = case.failure()?;
        if !(300..400).contains(&failure.status.get()) || failure.normal.is_some() {
            return None;
        }
        let first = case.response(failure);
        if closes(case, first).is_some() {
            return None; // Where it leads back to, it was sent before.
        }
        let (request, response) = last_to_get(case, case.request(failure)?, first);
        let is_unseen = |redirect: &Heard| case.call.is_tried_again_unseen(case.call.transaction(redirect.transaction));
        if [first, response].iter().any(|redirect| is_followed(case, redirect) || is_unseen(redirect)) {
            return None;
        }
        let was_tried = |contact: &String| case.call.messages.iter().any(|heard| goes_to(heard, contact));
        if first.message.is_cut() && first.message.headers("Contact").iter().all(was_tried) {
            return None; // It leads back to where the call was, or to an address behind the cut.
        }
        let target = best_contact(case, response);
        if target.is_none() && response.message.is_cut() {
            return None; // It may stand behind the cut, and have been followed.
        }
        Some(Redirect { case, failure, first, request, response, target })
    }

    fn confidence(&self) -> Confidence {
        let confidence = match self.case.tail(self.response.place) {
            tail if tail < Duration::from_secs(5) => Confidence::Unseen,
            tail if tail >= timer::GIVE_UP => Confidence::Proven,
            _ => Confidence::Likely,
        };
        match (self.is_other_service(), self.may_be_followed_unseen()) {
            // Who is sent to the circuit-switched network is not seen here any more.
            (true, _) => confidence.max(Confidence::Possible),
            (false, true) => confidence.max(Confidence::Likely),
            (false, false) if self.spoke_to_target() => confidence.max(Confidence::Possible),
            (false, false) => confidence,
        }
    }

    fn is_other_service(&self) -> bool {
        self.failure.status.get() == 380
    }

    /// A capture at the redirecting server holds nothing of what the client sends to others.
    fn may_be_followed_unseen(&self) -> bool {
        let (client, server) = (self.request.path.source.ip(), self.first.path.source.ip());
        let case = self.case;
        if case.capture.drops > 0 || case.lacks_requests_after(self.request, self.response.place) {
            return true;
        }
        let leads_elsewhere = self.target.as_deref().is_some_and(|target| Uri::read(target).host.parse() != Ok(server));
        let mut hops = self.case.surroundings.hops();
        leads_elsewhere && !hops.any(|(from, to, _)| from == client && to != self.response.path.source.ip())
    }

    /// True if the client sent something to the host of the target afterwards, in whatever call: the capture may lack
    /// how that began. Not if it had got the redirect from there, for that is acknowledged there.
    fn spoke_to_target(&self) -> bool {
        let (client, server) = (self.request.path.source.ip(), self.response.path.source.ip());
        let target = self.target.as_deref().and_then(|target| Uri::read(target).host.parse().ok());
        let elsewhere = target.filter(|target| *target != server);
        let seen = elsewhere.and_then(|target| self.case.surroundings.hop(client, target)?.first_and_last());
        seen.is_some_and(|(_, last)| last > self.response.place.time)
    }

    /// True if the client got it from the one who made it.
    fn is_direct(&self) -> bool {
        self.first.id == self.response.id
    }

    fn explanation(&self) -> String {
        let (client, server, status) = (self.request.path.source, self.first.path.source, self.failure.status);
        let noun = self.case.noun();
        let there = match self.spoke_to_target() {
            true => "there that is in this capture, though it sent something else there afterwards",
            false if self.may_be_followed_unseen() => "there in this capture",
            false => "there",
        };
        match &self.target {
            _ if self.is_other_service() => format!(
                "{server} answered {status}: another service can carry this call, as the body of the response says. \
                 {client} did not call again in this capture; over another network it would not be seen here."
            ),
            Some(target) if self.is_direct() => {
                format!("{server} sent the {noun} on to {target} with {status}, and {client} sent no request {there}.")
            }
            Some(target) => format!(
                "{server} sent the {noun} on to {target} with {status}, {} passed that on, as a proxy may (RFC 3261 \
                 §16.7), and {client} sent no request {there}.",
                self.response.path.source
            ),
            None => format!(
                "{server} sent the {noun} elsewhere with {status} and named no Contact, so {client} could not follow."
            ),
        }
    }

    fn to_other_service(&self, finding: Finding) -> Finding {
        let (client, server) = (self.request.path.source, self.first.path.source);
        let step = match AlternativeService::of(&self.response.message) {
            Some(AlternativeService::Emergency) => format!(
                "Let {client} repeat the call as an emergency call (`urn:service:sos`, or over the circuit-switched \
                 network): that is what the body asks for."
            ),
            _ => format!("Read in the body of the response which service {server} means, and let {client} use that."),
        };
        finding
            .sender(Role::Uac, self.request)
            .fix(step)
            .fix(format!("If {server} should have carried the call itself, give it a route for this number."))
            .claim_status(self.response, "another service can carry the call")
            .claim_header(self.response, "Content-Type", "it describes that service")
            .claim_absent(self.response.place, "another request for this call", "the caller does not use it")
    }

    fn to_target(&self, finding: Finding, target: &str) -> Finding {
        let Redirect { case, request, response, .. } = *self;
        let says = match self.is_direct() {
            true => "the callee is elsewhere",
            false => "the callee is elsewhere, as the client was told",
        };
        finding
            .sender(case.role_of_sender(request), request)
            .fix(format!("Let {} follow redirects{}.", request.path.source, case.settings(Topic::Redirects, request)))
            .fix(format!(
                "Or let {} forward the {} to {target} itself instead of redirecting it.",
                self.first.path.source,
                case.noun()
            ))
            .claim_status(response, says)
            .claim_header(response, "Contact", "namely here")
            .claim_absent(response.place, format!("request to {target}"), "the redirect is not followed")
    }

    /// It names no Contact.
    fn to_nowhere(&self, finding: Finding) -> Finding {
        finding
            .sender(Role::Uas, self.response)
            .fix(format!("Let {} name the new address in Contact.", self.first.path.source))
            .claim_status(self.response, "the callee is elsewhere")
    }
}

/// A redirect as the last client got it to whom it was passed on, who has to follow it then (RFC 3261 §16.7 step 4):
/// its request, and the response.
fn last_to_get<'a>(case: &Case<'a>, request: &'a Heard, redirect: &'a Heard) -> (&'a Heard, &'a Heard) {
    let contacts = redirect.message.headers("Contact");
    let (mut request, mut response) = (request, redirect);
    let passes_on = |heard: &&Heard| {
        let is_same =
            heard.message.status() == redirect.message.status() && heard.message.headers("Contact") == contacts;
        is_same && heard.place > redirect.place
    };
    for _ in 0..32 {
        let upstream = case.call.transaction(request.transaction).upstream.map(|id| case.call.transaction(id));
        let Some(upstream) = upstream else { break };
        match (case.call.request_of(upstream), case.finals(upstream).find(passes_on)) {
            (Some(before), Some(passed_on)) => (request, response) = (before, passed_on),
            _ => break,
        }
    }
    (request, response)
}

/// True if the client of a redirect went on to a user whom it names, in this call or in one of its own, or tried to.
fn is_followed(case: &Case<'_>, redirect: &Heard) -> bool {
    followed_by(case, redirect).is_some()
        || case.surroundings.neighbours().was_followed(redirect.place)
        || tried_to_follow(case, redirect).is_some()
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
