use std::borrow::Cow;

use crate::call::{Failure, Heard, Kind};
use crate::catalogue::Topic;
use crate::diagnosis::bound::{Bound, bound, tells_of_a_dial_plan};
use crate::diagnosis::rule::rule;
use crate::diagnosis::rules::routing::domain_not_served;
use crate::diagnosis::signed_off::{SignedOff, signed_off};
use crate::diagnosis::{Case, Confidence, Finding, Role};
use crate::sip::Uri;

rule! {
    /// The server does not know the user that was called.
    ///
    /// ## What it says
    /// The request reached the server for its domain, and there is no such user.
    ///
    /// ## Why it happens
    /// The name is misspelt, the user was never created there, or the server answers 404 for users that are not
    /// registered. One whose registration is in force may have been forgotten, or is kept by another node.
    ///
    /// ## Evidence
    /// 404 or 604 to a request for a user that is a name, not a number, or under whose number a device had registered.
    /// Where its last device had signed off before the call, a REGISTER that took the binding away and its 2xx show
    /// why; where its registration had not run out, the 2xx to it shows that the server should know it. Of a PBX such a
    /// registration tells nothing: it looks into its dial plan first.
    ///
    /// ## How to fix
    /// Compare the name with the users of that server, and look whether the user is registered.
    ///
    /// ## When it would be wrong
    /// If the server does not serve the domain: `domain-not-served`. If a redirect led here: `redirect-target-failed`.
    ///
    /// ## References
    /// RFC 3261 §21.4.5, §21.6.3
    "E22" "user-unknown" needs [404 604], check
}

fn check(case: &Case<'_>) -> Option<Finding> {
    let unknown = Unknown::of(case)?;
    let finding = unknown.blamed(Finding::of(&RULE, unknown.confidence()).explains(Some(unknown.failure.status)));
    if !case.wants_words() {
        return Some(finding);
    }
    let finding = unknown.advised(finding.because(unknown.explanation()));
    let finding = case
        .claim_asked_for(finding, unknown.failure, "the user that was called")
        .claim_status(unknown.response, "nobody of that name is found")
        .claim_own_words(case, unknown.response);
    Some(unknown.refuting(finding))
}

/// A user whom a server does not find.
struct Unknown<'a> {
    case: &'a Case<'a>,
    failure: &'a Failure,
    response: &'a Heard,
    target: Cow<'a, Uri>,
    gone: Option<SignedOff<'a>>,
    bound: Option<Bound<'a>>,
}

impl<'a> Unknown<'a> {
    fn of(case: &'a Case<'a>) -> Option<Unknown<'a>> {
        let failure = case.failure_with(&[404, 604])?;
        let response = case.response(failure);
        let target = case.asked_for(failure)?;
        let by_plan = tells_of_a_dial_plan(case, response);
        let gone = signed_off(case).filter(|_| !target.is_number() || !by_plan);
        let bound = bound(case).filter(|_| !by_plan);
        let is_known = gone.is_some() || bound.is_some();
        // A service has no user: `number-not-routable`.
        let is_named = !target.user.is_empty() && !target.is_service() && (!target.is_number() || is_known);
        let is_other = !is_named || matches!(case.call.kind, Kind::Registration | Kind::Options);
        if is_other || case.telling_cause(response).is_some_and(|cause| cause > 3) {
            return None;
        }
        let in_dialog = case.call.transaction(failure.transaction).in_dialog;
        if case.says_caller_unregistered(response) {
            return None; // It speaks of the caller: `refused-by-policy`.
        }
        if in_dialog || case.is_scan() || case.redirected_by().is_some() || domain_not_served::holds(case, failure) {
            return None;
        }
        Some(Unknown { case, failure, response, target, gone, bound })
    }

    /// Without the request it is known only whom it was for at first.
    fn confidence(&self) -> Confidence {
        match self.case.request(self.failure) {
            _ if self.case.ground_said(self.response).is_some() => Confidence::Possible,
            Some(_) => Confidence::Proven,
            None => Confidence::Likely,
        }
    }

    fn blamed(&self, finding: Finding) -> Finding {
        if let Some(gone) = &self.gone {
            return finding.party(Role::Uas, Some(gone.asked.source)).titled(gone.title());
        }
        let finding = finding.sender(self.case.role_of_responder(self.response), self.response);
        match &self.bound {
            Some(_) => finding.titled("The server does not find a user whose registration is in force"),
            None => finding,
        }
    }

    fn explanation(&self) -> String {
        let why = match (&self.gone, &self.bound) {
            (Some(gone), _) => format!("no device is registered for it; {}", gone.words()),
            (None, Some(bound)) => format!("it does not find that user, although {}", bound.words()),
            (None, None) => "there is no such user there or behind it, or no device is registered for it".to_owned(),
        };
        format!(
            "{} answered {} for \"{}\" at {}{}: {why}.",
            self.response.path.source,
            self.failure.status,
            self.target.bare_user(),
            self.target.host,
            self.case.said_beside_code(self.response)
        )
    }

    fn advised(&self, finding: Finding) -> Finding {
        let (user, server) = (self.target.bare_user(), self.response.path.source);
        match (&self.gone, &self.bound) {
            (Some(gone), _) => gone.prove(finding, user),
            (None, Some(bound)) => bound.prove(finding, user, &server.to_string()),
            (None, None) => finding
                .fix(format!("Compare \"{user}\" letter by letter with the users of {server}."))
                .fix(format!(
                    "If the user exists there, look whether a device is registered for it: some servers answer 404 \
                     when none is{}.",
                    self.case.settings(Topic::Users, self.response)
                ))
                .fix(format!("If it does not, create \"{user}\" on {server}, or correct the caller's dialling.")),
        }
    }

    fn refuting(&self, finding: Finding) -> Finding {
        let (user, server) = (self.target.bare_user(), self.response.path.source);
        let is_user = match self.gone.is_some() || self.bound.is_some() {
            true => format!("a device has registered as \"{user}\""),
            false => format!("\"{user}\" is a name, not a number"),
        };
        finding
            .refuted(
                "domain-not-served",
                format!("no other request shows {server} to serve other domains and not {}", self.target.host),
            )
            .refuted("number-not-routable", is_user)
            .refuted("callee-unreachable", "the server did not answer 480")
    }
}
