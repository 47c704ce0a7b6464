//! A callee whose last device had signed off before the call.
//!
//! Is given a case; gives the REGISTER that took the last binding away (RFC 3261 §10.2.2) and the words for it.
//! Deliberately does not judge what the call then got: several rules do.

use std::net::SocketAddr;

use crate::call::{Asked, Granted, Registered};
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
    /// Whose registration it was, if it came from elsewhere.
    holder: Option<Holder<'a>>,
}

/// A registration that was taken away by a REGISTER from another address.
struct Holder<'a> {
    /// Where it was made from.
    source: SocketAddr,
    /// The 2xx to it.
    granted: &'a Granted,
    /// How long it would have lasted on.
    left: String,
}

/// Told where nothing was registered any more since, as far as the capture shows.
pub(in crate::diagnosis) fn signed_off<'a>(case: &Case<'a>) -> Option<SignedOff<'a>> {
    let (known, granted, at) = case.registered()?;
    // One that only asks is told, too, that there is no binding.
    let asked = known.asked.iter().rev().find(|asked| asked.place <= granted.place && !asked.contact.is_empty())?;
    let was_there =
        known.granted.iter().any(|earlier| earlier.place < granted.place && earlier.until > granted.place.time);
    let is_gone = granted.until <= granted.place.time && was_there && known.is_whole();
    is_gone.then(|| {
        let holder = holder(known, asked, granted);
        SignedOff { asked, granted, before: length(at.since(granted.place.time)), holder }
    })
}

/// Whose registration a REGISTER took away, if that one came from another host and another device than it.
fn holder<'a>(known: &'a Registered, asked: &Asked, granted: &Granted) -> Option<Holder<'a>> {
    let is_earlier = |earlier: &&Granted| earlier.place < asked.place && earlier.until > granted.place.time;
    let of_before = known.granted.iter().rfind(is_earlier)?;
    let binds = |before: &&Asked| before.place < of_before.place && !matches!(&*before.contact, "" | "*");
    let maker = known.asked.iter().rfind(binds)?;
    let is_other = maker.source.ip() != asked.source.ip() && maker.device != asked.device;
    is_other.then(|| Holder {
        source: maker.source,
        granted: of_before,
        left: length(of_before.until.since(granted.place.time)),
    })
}

impl SignedOff<'_> {
    /// What happened, as the end of a sentence.
    pub fn words(&self) -> String {
        let (source, before) = (self.asked.source, &self.before);
        match &self.holder {
            None => format!("its device at {source} had signed off {before} before the call"),
            Some(Holder { source: of, left, .. }) if self.is_of_all() => format!(
                "{before} before the call {source} had removed all registrations of that user (Contact: *), also that \
                 of {of}, which had {left} left"
            ),
            Some(Holder { source: of, left, .. }) => {
                format!("{before} before the call {source} had removed the registration of {of}, which had {left} left")
            }
        }
    }

    /// True if the registration was taken away from another address than it was made from.
    pub fn is_from_elsewhere(&self) -> bool {
        self.holder.is_some()
    }

    /// What happened, as a title.
    pub fn title(&self) -> &'static str {
        match self.holder {
            None => "The callee's device had signed off",
            Some(_) => "The callee's registration was removed from another address",
        }
    }

    /// True if it removed every binding (RFC 3261 §10.2.2).
    fn is_of_all(&self) -> bool {
        &*self.asked.contact == "*"
    }

    /// The finding with what proves it, and what to do.
    pub fn prove(&self, finding: Finding, callee: &str) -> Finding {
        let source = self.asked.source;
        if let Some(holder) = &self.holder {
            return self.prove_from_elsewhere(finding, holder, callee);
        }
        finding
            .fix(format!(
                "Let the device of \"{callee}\" register again; if it should not have signed off, look on {source} \
                 why it did."
            ))
            .fix("If callers should reach a voicemail then, let the server divert calls to a user without a device.")
            .claim_at(self.asked.place, "sip.CSeq.method", "REGISTER", "the device takes its registration away")
            .claim_at(self.granted.place, "sip.Status-Code", "200", "which is granted, and no binding is left")
    }

    fn prove_from_elsewhere(&self, finding: Finding, holder: &Holder<'_>, callee: &str) -> Finding {
        let (source, of) = (self.asked.source, holder.source);
        let finding = match self.is_of_all() {
            true => finding.fix(format!(
                "Let {source} not send `Contact: *`: it removes the registrations of all devices of \"{callee}\". Let \
                 it remove its own Contact alone, or give each device an account of its own."
            )),
            false => finding.fix(format!("Look on {source} why it removes the Contact of {of}.")),
        };
        finding
            .fix(format!("Let {of} register again; until then no call reaches it."))
            .claim_at(holder.granted.place, "sip.CSeq.method", "REGISTER", "the registration of the callee's device")
            .claim_at(self.asked.place, "sip.Contact", self.asked.contact.to_string(), "what another address removes")
            .claim_at(self.granted.place, "sip.Status-Code", "200", "which is granted, and no binding is left")
    }
}
