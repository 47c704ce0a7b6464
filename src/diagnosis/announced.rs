//! The Q.850 cause of a refusal: its own, or the one that a provisional response gave before an announcement.
//!
//! Is given the final response; gives the cause and the message that carries it. A network that cannot complete a call
//! may say why in a 183, play an announcement, and end the call with a code that says nothing more (RFC 6432 §1, RFC
//! 3326 §2). Deliberately does not know what a cause means.

use crate::call::Heard;
use crate::diagnosis::case::Case;
use crate::diagnosis::dialogs::to_tag;
use crate::diagnosis::finding::{Confidence, Finding};
use crate::diagnosis::words::{a_code, alerts};
use crate::sip::StatusCode;

/// Codes that say little of why a call ended. Those that name their own ground are not among them, nor is 487, which
/// only follows a CANCEL.
const SAYS_LITTLE: [u16; 16] = [400, 403, 404, 408, 410, 480, 484, 486, 500, 502, 503, 504, 580, 600, 603, 604];

/// The Q.850 cause of a refusal.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Told<'a> {
    /// The cause.
    pub(crate) cause: u32,
    /// The message whose Reason gives it.
    pub(crate) bearer: &'a Heard,
    is_announced: bool,
}

impl Told<'_> {
    /// What the refusal itself says is proven; that it came for what was announced is likely only.
    pub(crate) fn confidence(&self) -> Confidence {
        if self.is_announced { Confidence::Likely } else { Confidence::Proven }
    }

    /// True if a provisional response gives it, and not the refusal.
    pub(crate) fn is_announced(&self) -> bool {
        self.is_announced
    }

    /// `480 and Q.850 cause 34`; `480, after a 183 with Q.850 cause 34`.
    pub(crate) fn beside(&self, status: StatusCode) -> String {
        match self.is_announced {
            true => format!("{status}, after {} with Q.850 cause {}", a_code(self.bearer), self.cause),
            false => format!("{status} and Q.850 cause {}", self.cause),
        }
    }

    /// The claim that it stands where it stands.
    pub(crate) fn claimed(&self, finding: Finding, says: &str) -> Finding {
        let says = match self.is_announced {
            true => format!("{says}, before an announcement may follow (RFC 6432)"),
            false => says.to_owned(),
        };
        finding.claim_q850(self.bearer, says)
    }
}

impl<'a> Case<'a> {
    /// The Q.850 cause of a response, else the one that was announced before it.
    pub(crate) fn told(&self, response: &'a Heard) -> Option<Told<'a>> {
        let own = self.q850(response).map(|cause| Told { cause, bearer: response, is_announced: false });
        own.or_else(|| self.announced(response))
    }

    /// The cause that the last provisional response to the same request gave, where the refusal gives no Reason. If
    /// another came after it, the call had gone on: it is not what the refusal came for.
    pub(crate) fn announced(&self, response: &Heard) -> Option<Told<'a>> {
        let transaction = self.call.transaction(response.transaction);
        if transaction.provisionals.is_empty() {
            return None; // So it is where a call is refused at once.
        }
        let code = response.message.status()?.get();
        let is_bare = self.reasons(response).is_empty() && !response.message.is_cut();
        if !SAYS_LITTLE.contains(&code) || !is_bare || transaction.cancelled_by.is_some() {
            return None;
        }
        let goes_on = |heard: &&Heard| heard.message.status().is_some_and(|status| status.get() > 100);
        let bearer = self.provisionals(transaction).filter(goes_on).max_by_key(|heard| heard.place)?;
        if alerts(bearer) || to_tag(bearer) != to_tag(response) {
            return None;
        }
        let cause = self.q850(bearer)?;
        let has_rule = self.own_telling_cause(bearer) == Some(cause);
        has_rule.then_some(Told { cause, bearer, is_announced: true })
    }
}
