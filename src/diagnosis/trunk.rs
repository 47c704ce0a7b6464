//! What a trunk says by the Q.850 cause of its refusal (RFC 3326, RFC 3398 §7.2.4.1): shared by the rules about trunks.

use std::net::SocketAddr;

use crate::call::Heard;
use crate::diagnosis::announced::Told;
use crate::diagnosis::case::Case;
use crate::diagnosis::finding::Finding;
use crate::diagnosis::rule::Rule;

/// A call that was refused with one of a rule's causes.
pub(crate) struct Refusal<'a> {
    /// The finding so far: what it explains, who said it, and the sentence.
    pub(crate) finding: Finding,
    /// The response.
    pub(crate) response: &'a Heard,
    /// Who sent it.
    pub(crate) responder: SocketAddr,
    /// The Q.850 cause, and where it stands.
    pub(crate) told: Told<'a>,
}

/// The refusal of a call with one of these causes, each with its meaning.
pub(crate) fn refusal<'a>(case: &Case<'a>, rule: &Rule, causes: &[(u32, &str)]) -> Option<Refusal<'a>> {
    let failure = case.failure()?;
    let response = case.response(failure);
    let told = case.told(response)?;
    let (_, meaning) = causes.iter().find(|(known, _)| *known == told.cause)?;
    let responder = response.path.source;
    let because = format!(
        "{responder} refused the call to \"{}\" with {}: {meaning}.",
        case.callee(failure),
        told.beside(failure.status)
    );
    let finding = Finding::of(rule, told.confidence())
        .explains(Some(failure.status))
        .sender(case.role_of_responder(response), response)
        .because(because);
    Some(Refusal { finding, response, responder, told })
}
