//! A callee whose device is registered when the call comes.
//!
//! Is given a case; gives the 2xx to REGISTER that has not run out (RFC 3261 §10.3) and the words for it. Deliberately
//! does not judge what the call then got.

use crate::call::{Granted, Heard};
use crate::diagnosis::platform::Platform;
use crate::diagnosis::words::length;
use crate::diagnosis::{Case, Finding};

/// A registration of the callee that was in force when the call came.
pub(in crate::diagnosis) struct Bound<'a> {
    /// The 2xx to the REGISTER.
    granted: &'a Granted,
    /// How long before the call.
    before: String,
    /// For how long it would have lasted on.
    left: String,
}

/// Told where the last that the capture shows of the address-of-record that was called is a binding in force.
pub(in crate::diagnosis) fn bound<'a>(case: &Case<'a>) -> Option<Bound<'a>> {
    let (_, granted, at) = case.registered()?;
    let (before, left) = (length(at.since(granted.place.time)), length(granted.until.since(at)));
    (granted.until > at).then_some(Bound { granted, before, left })
}

/// True if a 404 tells of a plan of numbers and not of registrations: a PBX looks into its dial plan first, and refuses
/// a telephone that is registered there where the plan of the caller has no such extension; and a Q.850 cause speaks of
/// routes.
pub(in crate::diagnosis) fn tells_of_a_dial_plan(case: &Case<'_>, response: &Heard) -> bool {
    let platform = case.agent(response).and_then(|agent| Platform::read(&agent));
    matches!(platform, Some(Platform::Asterisk | Platform::FreeSwitch)) || case.q850(response).is_some()
}

impl Bound<'_> {
    /// What is odd about it, as the end of a sentence.
    pub fn words(&self) -> String {
        let Bound { before, left, .. } = self;
        format!("a registration of that user was granted {before} before the call, and had {left} left")
    }

    /// The finding with what proves it, and what to do.
    pub fn prove(&self, finding: Finding, callee: &str, server: &str) -> Finding {
        finding
            .fix(format!(
                "Look at {server} for the registration of \"{callee}\": it was lost by a restart, or is kept by \
                 another node or for another domain than the one that is asked here."
            ))
            .fix(format!(
                "If it is there, look at the routing of {server}: does a rule for this caller lead to \"{callee}\"?"
            ))
            .fix(format!("Let the device of \"{callee}\" register again, and call once more."))
            .claim_at(self.granted.place, "sip.CSeq.method", "REGISTER", "the registration of the callee")
            .claim_at(self.granted.place, "sip.Status-Code", "200", "which is granted, and has not run out")
    }
}
