//! The code that tells what happened: that of a refusal, or the one that its Reason names for what happened behind it.
//!
//! Is given a failure; gives a code. A server that makes another code of what it was told may keep the first one in a
//! Reason of protocol SIP, and a gateway the cause of the telephone network (RFC 3326 §2). Rules ask for that code, and
//! name the one that was sent. Deliberately does not know what a code means.

use crate::call::Failure;
use crate::diagnosis::case::Case;
use crate::diagnosis::finding::Finding;
use crate::diagnosis::rules::routing::cause_disagrees;
use crate::sip::Reason;

/// What a Reason names that happened behind the one who refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Behind {
    /// The code that says the same.
    code: u16,
    /// The protocol of the Reason, and its cause.
    protocol: &'static str,
    cause: u32,
}

/// The Q.850 cause that nobody responded, which has no rule of its own, and the code that stands for it (RFC 3398
/// §8.2.6.1).
const NOBODY_RESPONDS: (u32, u16) = (18, 480);

/// Codes that say nothing by themselves: those of a refusal that was cancelled, of a challenge or of a redirect, and
/// those that leave it to another header, or to the way of the request, what is meant (RFC 3261 §21.4, RFC 4028 §6, RFC
/// 3329 §2.3.1, RFC 6665 §8.3.2).
fn says_little(code: u16) -> bool {
    let of_headers =
        matches!(code, 401 | 405 | 407 | 417 | 420..=425 | 440 | 469 | 470 | 481..=483 | 487 | 489 | 491 | 493 | 494);
    of_headers || !(400..700).contains(&code)
}

/// True if a Reason of protocol SIP gives a cause of FreeSWITCH, by its name: it has numbers of its own there, which
/// are no status codes.
fn is_private(reason: &Reason) -> bool {
    let is_of_name = |letter: char| letter.is_ascii_uppercase() || letter.is_ascii_digit() || letter == '_';
    reason.text.as_deref().is_some_and(|text| text.contains('_') && text.chars().all(is_of_name))
}

impl<'a> Case<'a> {
    /// The code that tells what happened.
    pub(crate) fn code(&self, failure: &Failure) -> u16 {
        self.told_behind(failure).map_or(failure.status.get(), |behind| behind.code)
    }

    /// What a Reason of a refusal names in the place of its code. A Q.850 cause with a rule of its own is left to that
    /// rule, and so is what a callee said.
    pub(super) fn find_behind(&self, failure: &Failure) -> Option<Behind> {
        let (sent, response) = (failure.status, self.response(failure));
        let reasons = self.reasons(response);
        let may_hide = sent.get() >= 400 && !sent.is_challenge() && sent.get() != 487 && !reasons.is_empty();
        if !may_hide || self.own_telling_cause(response).is_some() {
            return None;
        }
        let of_sip = reasons.iter().filter(|reason| !is_private(reason)).find_map(|reason| {
            let cause = reason.sip()?;
            Some(Behind { code: u16::try_from(cause).ok()?, protocol: "SIP", cause })
        });
        let of_network = || {
            let (cause, code) = NOBODY_RESPONDS;
            let is_said = cause_disagrees::disagreeing_cause(self, failure) == Some(cause);
            is_said.then_some(Behind { code, protocol: "Q.850", cause })
        };
        of_sip.or_else(of_network).filter(|behind| behind.code != sent.get() && !says_little(behind.code))
    }

    /// True if a finding explains a refusal whose Reason names what happened in the place of its code.
    pub(super) fn rests_on_what_is_behind(&self, finding: &Finding) -> bool {
        let explained = self.failure().filter(|failure| finding.status == Some(failure.status));
        explained.is_some_and(|failure| self.told_behind(failure).is_some())
    }

    /// Tells in the cause of a call what a Reason names, if that is what it rests on.
    pub(super) fn tell_behind(&self, cause: &mut Finding) {
        let failure = self.failure().filter(|failure| cause.status == Some(failure.status));
        let Some((failure, behind)) = failure.and_then(|failure| Some((failure, self.told_behind(failure)?))) else {
            return;
        };
        let (response, Behind { protocol, cause: number, .. }) = (self.response(failure), behind);
        let (told, sent, responder) = (cause.explanation.raw(), failure.status, response.path.source);
        let explanation = match told.contains(&format!("Reason header says {protocol} {number}")) {
            true => format!("{told} That happened behind {responder}, and tells more than its {sent}."),
            false => format!(
                "{told} Its Reason header says {protocol} {number}: that happened behind {responder}, and tells more \
                 than its {sent}."
            ),
        };
        cause.explanation = explanation.into();
        let is_claimed = cause.claims.iter().any(|claim| claim.field == "sip.Reason");
        if !is_claimed {
            let told = cause.clone().claim_header_with(response, "Reason", protocol, "what happened behind it");
            *cause = told;
        }
    }
}
