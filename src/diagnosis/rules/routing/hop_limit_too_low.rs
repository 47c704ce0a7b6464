use crate::diagnosis::rule::rule;
use crate::diagnosis::{Case, Confidence, Finding, Role};
use crate::sip::Via;

rule! {
    /// The request was given too few hops to reach the callee.
    ///
    /// ## What it says
    /// Max-Forwards was used up on an honest way, without passing any server twice.
    ///
    /// ## Why it happens
    /// The caller, or a server on the way, sets Max-Forwards to a small number, mostly to find loops early.
    ///
    /// ## Evidence
    /// 483, and a first Max-Forwards below 10; no server was passed twice.
    ///
    /// ## How to fix
    /// Set Max-Forwards to 70.
    ///
    /// ## When it would be wrong
    /// If a server was passed twice: `routing-loop`.
    ///
    /// ## References
    /// RFC 3261 §8.1.1.6, §16.6, §21.4.21
    "E9" "hop-limit-too-low" needs [483], check
}

/// Fewer hops than this do not suffice for common ways.
const FEW: u32 = 10;

fn check(case: &Case<'_>) -> Option<Finding> {
    let failure = case.failure_with(&[483])?;
    let outer = case.deciding().and_then(|deciding| case.call.request_of(deciding))?;
    let hops: u32 = outer.message.header("Max-Forwards")?.trim().parse().ok()?;
    let arrived = case.request(failure)?;
    if hops >= FEW || passes_a_host_twice(&arrived.message.vias()) {
        return None;
    }
    let response = case.response(failure);
    let client = outer.path.source;
    let because = format!(
        "{client} sent the request with Max-Forwards {hops}, and {} ended it with 483 when no hop was left.",
        response.path.source
    );
    Some(
        Finding::of(&RULE, Confidence::Proven)
            .explains(Some(failure.status))
            .sender(Role::Uac, outer)
            .because(because)
            .fix(format!("Let {client} begin with Max-Forwards 70, as RFC 3261 §8.1.1.6 advises."))
            .fix(format!("If a server before {client} set the number, correct it there."))
            .claim_header(outer, "Max-Forwards", "the hops that the request began with")
            .claim_status(response, "they were used up")
            .refuted("routing-loop", "no server was passed twice as far as Via shows"),
    )
}

/// True if two Vias name the same sent-by.
pub(super) fn passes_a_host_twice(vias: &[Via]) -> bool {
    vias.iter().enumerate().any(|(at, via)| {
        vias.iter().skip(at + 1).any(|other| other.host.eq_ignore_ascii_case(&via.host) && other.port == via.port)
    })
}
