//! A callee whose last device had signed off before the call.
//!
//! Is given a case; gives the REGISTER that took the last binding away (RFC 3261 §10.2.2) and the words for it.
//! Deliberately does not judge what the call then got: several rules do.

use crate::call::{Asked, Granted};
use crate::diagnosis::words::length;
use crate::diagnosis::{Case, Finding};

/// The callee's last device took its registration away before the call.
pub(in crate::diagnosis) struct SignedOff<'a> {
    /// The REGISTER that did.
    pub asked: &'a Asked,
    /// The 2xx to it.
    granted: &'a Granted,
    /// How long before the call.
    before: String,
}

/// Told where nothing was registered any more since, as far as the capture shows.
pub(in crate::diagnosis) fn signed_off<'a>(case: &Case<'a>) -> Option<SignedOff<'a>> {
    let (known, granted, at) = case.registered()?;
    // One that only asks is told, too, that there is no binding.
    let asked = known.asked.iter().rev().find(|asked| asked.place <= granted.place && !asked.contact.is_empty())?;
    let was_there =
        known.granted.iter().any(|earlier| earlier.place < granted.place && earlier.until > granted.place.time);
    let is_gone = granted.until <= granted.place.time && was_there && known.is_whole();
    is_gone.then(|| SignedOff { asked, granted, before: length(at.since(granted.place.time)) })
}

impl SignedOff<'_> {
    /// What happened, as the end of a sentence.
    pub fn words(&self) -> String {
        format!("its device at {} had signed off {} before the call", self.asked.source, self.before)
    }

    /// The finding with what proves it, and what to do.
    pub fn prove(&self, finding: Finding, callee: &str) -> Finding {
        let source = self.asked.source;
        finding
            .fix(format!(
                "Let the device of \"{callee}\" register again; if it should not have signed off, look on {source} \
                 why it did."
            ))
            .fix("If callers should reach a voicemail then, let the server divert calls to a user without a device.")
            .claim_at(self.asked.place, "sip.CSeq.method", "REGISTER", "the device takes its registration away")
            .claim_at(self.granted.place, "sip.Status-Code", "200", "which is granted, and no binding is left")
    }
}
