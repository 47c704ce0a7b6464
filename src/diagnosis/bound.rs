//! A callee whose device is registered when the call comes.
//!
//! Is given a case; gives the 2xx to REGISTER that has not run out (RFC 3261 §10.3) and the words for it. Deliberately
//! does not judge what the call then got.

use std::net::IpAddr;

use crate::call::{Granted, Heard, Registered};
use crate::capture::{Place, Timestamp};
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
    /// The server's probes of the device that went unanswered just before the call.
    probed: Option<Probed>,
}

/// Probes of a device in a row without an answer.
struct Probed {
    device: IpAddr,
    count: usize,
    first: Place,
}

/// Probes that are wanted before their silence counts.
const ENOUGH_PROBES: usize = 2;

impl Probed {
    /// Those that the server of a call sent to the device of a registration, after the last answer to one.
    fn of(case: &Case<'_>, known: &Registered, granted: &Granted, at: Timestamp) -> Option<Probed> {
        let server = case.response(case.failure()?).path.source.ip();
        let device = known.asked.iter().rfind(|asked| asked.place < granted.place)?.source.ip();
        let probes = case.surroundings.neighbours().probes(server, device)?;
        let is_answered = |(_, key): &&(Place, u64)| probes.answered.iter().any(|(_, answered)| answered == key);
        let before = || probes.sent.iter().filter(|(place, _)| place.time < at);
        let silent = before().rev().take_while(|probe| !is_answered(probe));
        let (count, first) = silent.fold((0, None), |(count, _), (place, _)| (count + 1, Some(*place)));
        first.filter(|_| count >= ENOUGH_PROBES).map(|first| Probed { device, count, first })
    }
}

/// Told where the last that the capture shows of the address-of-record that was called is a binding in force.
pub(in crate::diagnosis) fn bound<'a>(case: &Case<'a>) -> Option<Bound<'a>> {
    let (known, granted, at) = case.registered()?;
    let (before, left) = (length(at.since(granted.place.time)), length(granted.until.since(at)));
    let probed = Probed::of(case, known, granted, at);
    (granted.until > at).then_some(Bound { granted, before, left, probed })
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
        let Bound { before, left, probed, .. } = self;
        let silent = probed.as_ref().map(|Probed { device, count, .. }| {
            format!("; its last {count} probes (OPTIONS) of {device} before the call got no answer")
        });
        format!(
            "a registration of that user was granted {before} before the call, and had {left} left{}",
            silent.unwrap_or_default()
        )
    }

    /// The finding with what proves it, and what to do.
    pub fn prove(&self, finding: Finding, callee: &str, server: &str) -> Finding {
        let finding = match &self.probed {
            Some(Probed { device, first, .. }) => finding
                .fix(format!(
                    "Look at {device} and the way there: it answers no probe, and a server that probes takes such a \
                     device for gone, whatever its registration says (Asterisk: `qualify`)."
                ))
                .claim_at(*first, "sip.Method", "OPTIONS", "the first of the probes that got no answer"),
            None => finding,
        };
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
