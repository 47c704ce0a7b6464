//! What a refusal states as its ground where a rule goes by its code alone.
//!
//! Is given a finding; tells whether the words of the response name another ground than the one that its code stands
//! for: servers map what befell them to whatever code they have, and say in words what it was. Deliberately does not
//! know which of the two is right.

use crate::call::{Failure, Heard};
use crate::diagnosis::case::Case;
use crate::diagnosis::finding::Finding;
use crate::diagnosis::stated::{Ground, Limit};

/// Rules that go by what a code stands for, with the grounds that are of the same kind.
const BY_CODE: &[(&str, &[Ground])] = &[
    ("address-family-mismatch", &[Ground::Media]),
    ("address-of-record-refused", &[Ground::Limit, Ground::Caller]),
    ("bandwidth-insufficient", &[Ground::Media, Ground::Limit]),
    ("blocked-by-analytics", &[Ground::Refused, Ground::Caller]),
    ("body-type-unsupported", &[Ground::Media]),
    ("callee-busy", &[Ground::Busy, Ground::Full, Ground::Limit]),
    ("caller-identity-refused", &[Ground::Caller, Ground::Refused]),
    ("caller-unwanted", &[Ground::Refused, Ground::Caller]),
    ("domain-not-served", &[]),
    ("event-unsupported", &[]),
    ("extension-required", &[]),
    ("flow-failed", &[]),
    ("identity-rejected", &[Ground::Caller]),
    ("media-keying-mismatch", &[Ground::Media]),
    ("media-profile-mismatch", &[Ground::Media]),
    ("message-too-large", &[Ground::Limit]),
    ("method-unsupported", &[]),
    ("no-common-codec", &[Ground::Media]),
    ("number-changed", &[]),
    ("number-not-routable", &[Ground::Caller]),
    ("overload-backoff-ignored", &[Ground::Limit, Ground::Full, Ground::TrunksBusy]),
    ("precondition-unmet", &[Ground::Media]),
    ("refused-by-policy", &[Ground::Limit, Ground::Caller, Ground::Refused]),
    ("registration-lapsed", &[]),
    ("replaces-unmatched", &[Ground::Busy, Ground::Refused]),
    ("request-uri-without-user", &[]),
    ("security-agreement-required", &[]),
    ("server-overloaded", &[Ground::Limit, Ground::Full, Ground::TrunksBusy]),
    ("session-interval-too-small", &[]),
    ("special-requirement-refused", &[]),
    ("syntax-rejected", &[Ground::Caller, Ground::Fault, Ground::Media]),
    ("trunk-congested", &[Ground::TrunksBusy, Ground::TrunkDown, Ground::Limit, Ground::Full, Ground::Busy]),
    ("trunk-out-of-order", &[Ground::TrunksBusy, Ground::TrunkDown, Ground::Fault]),
];

/// The one of these that is about the account of who calls.
const OF_ACCOUNT: &str = "refused-by-policy";

impl<'a> Case<'a> {
    /// The response that a finding goes by, if its words name another ground than its code stands for.
    pub(super) fn says_another_ground(&self, finding: &Finding) -> Option<&'a Heard> {
        let (rule, fitting) = BY_CODE.iter().find(|(rule, _)| *rule == finding.rule)?;
        let is_explained = |failure: &&Failure| finding.status == Some(failure.status) && !self.is_refusal_silent();
        let response = self.response(self.failure().filter(is_explained)?);
        let is_told = |ground: &Ground| match ground {
            // A limit may be one of whatever the code is about.
            Ground::Limit => self.limit_said(response) != Some(Limit::Quota),
            _ => true,
        };
        let said = self.ground_said(response).filter(is_told);
        let is_other = said.is_some_and(|ground| !fitting.contains(&ground));
        (is_other || *rule != OF_ACCOUNT && self.states_account(response)).then_some(response)
    }

    /// Tells in the cause of a call that the words of the refusal speak against it.
    pub(super) fn tell_ground(&self, cause: &mut Finding) {
        let Some(response) = self.says_another_ground(cause) else { return };
        let Some(said) = self.quotation(response) else { return };
        let told = cause.explanation.raw();
        // It may be quoted there in another way.
        let is_quoted = said.rsplit('"').nth(1).is_some_and(|text| told.contains(text));
        let words = if is_quoted { "Those words name".to_owned() } else { format!("But {said}: that names") };
        let told = format!("{told} {words} another ground, which may be the right one.");
        cause.explanation = told.into();
        let is_of_words = |field: &str| matches!(field, "sip.Warning" | "sip.Status-Line" | "sip.Reason");
        if !cause.claims.iter().any(|claim| is_of_words(&claim.field)) {
            let claimed = cause.clone().claim_own_words(self, response);
            *cause = claimed;
        }
    }
}
