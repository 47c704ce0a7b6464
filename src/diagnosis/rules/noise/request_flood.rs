use std::net::IpAddr;

use crate::call::{Flood, Kind};
use crate::diagnosis::rule::rule;
use crate::diagnosis::{CaptureCase, Case, Confidence, Finding, Role};

rule! {
    /// One source sends very many requests.
    ///
    /// ## What it says
    /// More than fifty requests that open something came from one address within a second.
    ///
    /// ## Why it happens
    /// An attack, a test, a client that repeats a failing request without a pause; or a large trunk on an ordinary day.
    ///
    /// ## Evidence
    /// More than fifty requests outside of dialogs, retransmissions not counted, from one source within one second.
    ///
    /// ## How to fix
    /// Limit requests for each source (`pike`, `ratelimit`, an SBC); exempt trunks whose load is known.
    ///
    /// ## When it would be wrong
    /// A busy trunk sends as many. OPTIONS of one's own SBC are no flood.
    ///
    /// ## References
    /// RFC 3261 §26.1.5; RFC 6357 §4
    "I4" "request-flood" needs [FLOODED], check, capture of_capture
}

fn check(case: &Case<'_>) -> Option<Finding> {
    let first = case.call.messages.iter().find(|heard| heard.message.is_request())?;
    let source = first.path.source.ip();
    let known = case.surroundings.neighbours().flood(source)?;
    let finding = || {
        found(source, known)
            .because(format!("This is one of many requests of {source}: up to {} came within a second.", known.most))
    };
    (case.call.kind != Kind::Options && !case.call.is_answered()).then(finding)
}

fn of_capture(case: &CaptureCase<'_>) -> Option<Finding> {
    let mut floods: Vec<(&IpAddr, &Flood)> = case.surroundings.neighbours().floods().collect();
    floods.sort_by_key(|(source, flood)| (std::cmp::Reverse(flood.most), **source));
    floods.first().map(|(source, flood)| found(**source, flood))
}

fn found(source: IpAddr, known: &Flood) -> Finding {
    Finding::of(&RULE, Confidence::Proven)
        .party(Role::Uac, None)
        .because(format!(
            "{source} sent up to {} requests within a second. If it is no trunk whose load is known, that is a flood.",
            known.most
        ))
        .fix(format!("Limit the requests of {source} at the edge, unless it is a trunk with that load."))
        .claim_at(known.first, "frame.number", known.first.frame.to_string(), "the fifty-first request within a second")
}
