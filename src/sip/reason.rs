//! What a message says of why: the Reason and Warning headers, and the private header of one vendor.

use crate::sip::value::{Parameters, unquote};
use crate::sip::{HeaderName, Message};

/// A value of the Reason header (RFC 3326).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reason {
    /// The protocol: `Q.850`, `SIP` …, as sent.
    pub protocol: String,
    /// The cause.
    pub cause: Option<u32>,
    /// The text.
    pub text: Option<String>,
    /// Where the cause arose (RFC 8606).
    pub location: Option<String>,
}

impl Reason {
    /// Reads one value.
    pub fn read(value: &str) -> Reason {
        let (protocol, parameters) = value.split_once(';').unwrap_or((value, ""));
        let parameters = Parameters::read(parameters, b';');
        Reason {
            protocol: protocol.trim().to_owned(),
            cause: parameters.get("cause").and_then(|cause| cause.trim().parse().ok()),
            text: parameters.get("text").map(str::to_owned),
            location: parameters.get("location").map(str::to_owned),
        }
    }

    /// The cause, if the protocol is Q.850.
    pub fn q850(&self) -> Option<u32> {
        self.cause.filter(|_| self.protocol.eq_ignore_ascii_case("Q.850"))
    }

    /// The cause, if the protocol is SIP.
    pub fn sip(&self) -> Option<u32> {
        self.cause.filter(|_| self.protocol.eq_ignore_ascii_case("SIP"))
    }

    /// The cause, if a device of an IMS network says why it released the call (3GPP TS 24.229 §7.2A.18).
    pub fn release_cause(&self) -> Option<u32> {
        self.cause.filter(|_| self.protocol.eq_ignore_ascii_case("RELEASE_CAUSE"))
    }

    /// True if a device of an IMS network says that its user ended the call (3GPP TS 24.229 §7.2A.18).
    pub(crate) fn says_user_ended(&self) -> bool {
        self.release_cause() == Some(1)
    }
}

/// The private header in which Asterisk writes a cause of Q.850.
pub(crate) const ASTERISK_CAUSE: &str = "X-Asterisk-HangupCauseCode";

/// The header in which a message gives its cause of Q.850.
pub(crate) fn q850_header(message: &Message<'_>) -> &'static str {
    if message.reasons().iter().any(|reason| reason.q850().is_some()) { "Reason" } else { ASTERISK_CAUSE }
}

/// The cause of Q.850 that a message gives: in its Reason, else in the header of Asterisk, where that says more than
/// that the call ended.
pub(crate) fn q850_cause(message: &Message<'_>) -> Option<u32> {
    if let Some(cause) = message.header_bytes(HeaderName::Reason).and_then(plain_q850_cause) {
        return Some(cause);
    }
    let of_reason = message.reasons().iter().find_map(Reason::q850);
    of_reason.or_else(|| asterisk_cause(message).filter(|cause| !matches!(cause, 0 | 16)))
}

/// The cause of the first value of a Reason that is written as nearly all are, told without a closer look.
fn plain_q850_cause(reason: &[u8]) -> Option<u32> {
    let rest = reason.strip_prefix(b"Q.850;cause=")?;
    let end = rest.iter().position(|byte| !byte.is_ascii_digit()).unwrap_or(rest.len());
    let (cause, behind) = rest.split_at_checked(end)?;
    let is_whole = matches!(behind.first(), None | Some(b';' | b','));
    std::str::from_utf8(cause).ok()?.parse().ok().filter(|_| is_whole)
}

/// The cause of Q.850 that Asterisk names in its private header: in requests that end a call, and in refusals of an
/// INVITE.
pub(crate) fn asterisk_cause(message: &Message<'_>) -> Option<u32> {
    if !message.may_hold(ASTERISK_CAUSE) {
        return None; // Known without a look at the headers.
    }
    message.header(ASTERISK_CAUSE)?.trim().parse().ok()
}

/// A value of the Warning header (RFC 3261 §20.43).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Warning {
    /// The code, 300–399.
    pub code: u16,
    /// Who warns.
    pub agent: String,
    /// The text.
    pub text: String,
}

impl Warning {
    /// Reads one value; `None` if its code is no number.
    pub fn read(value: &str) -> Option<Warning> {
        let mut words = value.trim().splitn(3, ' ');
        let code = words.next()?.parse().ok()?;
        let agent = words.next().unwrap_or_default().to_owned();
        let text = unquote(words.next().unwrap_or_default().trim()).into_owned();
        Some(Warning { code, agent, text })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reason_and_warning() {
        let reason = Reason::read(r#"Q.850 ;cause=34;text="no; circuit""#);
        assert_eq!((reason.q850(), reason.text.as_deref()), (Some(34), Some("no; circuit")));
        assert_eq!(
            Warning::read(r#"370 host "too narrow""#).map(|w| (w.code, w.text)),
            Some((370, "too narrow".into()))
        );
        assert_eq!(Warning::read(""), None);
    }
}
