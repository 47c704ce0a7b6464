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

pub(in crate::diagnosis::rules) fn holds(case: &Case<'_>) -> bool {
    check(case).is_some()
}

fn check(case: &Case<'_>) -> Option<Finding> {
    let failure = case.failure_with(&[483])?;
    let outer = case.deciding().and_then(|deciding| case.call.request_of(deciding))?;
    let hops: u32 = outer.message.header("Max-Forwards")?.trim().parse().ok()?;
    let arrived = case.request(failure)?;
    // Each hop takes one and adds a Via (RFC 3261 §16.6): what it began with is the sum of both.
    let passed = u32::try_from(outer.message.via_count().saturating_sub(1)).ok()?;
    let first = hops.saturating_add(passed);
    if first >= FEW || passes_a_host_twice(&arrived.message.vias()) {
        return None;
    }
    let response = case.response(failure);
    let client = outer.path.source;
    let before = match passed {
        0 => String::new(),
        _ => format!(
            " It had come over {passed} {} before, as its Via says, so it began with about {first}.",
            if passed == 1 { "hop" } else { "hops" }
        ),
    };
    let because = format!(
        "{client} sent the request with Max-Forwards {hops}, and {} ended it with 483 when no hop was left.{before}",
        response.path.source
    );
    let has = match passed {
        0 => "the hops that the request began with",
        _ => "the hops that the request has left here",
    };
    // Who sent it with so few may be somebody before this point.
    let sure = if passed == 0 { Confidence::Proven } else { Confidence::Likely };
    Some(
        Finding::of(&RULE, sure)
            .explains(Some(failure.status))
            .sender(Role::Uac, outer)
            .because(because)
            .fix(format!("Let {client} begin with Max-Forwards 70, as RFC 3261 §8.1.1.6 advises."))
            .fix(format!("If a server before {client} set the number, correct it there."))
            .claim_header(outer, "Max-Forwards", has)
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
