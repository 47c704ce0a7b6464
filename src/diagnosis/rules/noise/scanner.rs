use crate::call::Heard;
use crate::diagnosis::rule::rule;
use crate::diagnosis::scanners::Probing;
use crate::diagnosis::words::{counted, length};
use crate::diagnosis::{CaptureCase, Case, Confidence, Finding, Role};

rule! {
    /// A scanner tries addresses and extensions.
    ///
    /// ## What it says
    /// These requests come from a tool that looks for SIP servers and guesses extensions. They are no calls of users,
    /// and their refusal is right.
    ///
    /// ## Why it happens
    /// Every SIP server on a public address is scanned all the time.
    ///
    /// ## Evidence
    /// The name of a known tool in User-Agent or From; or ten or more different users of whom one source asks within a
    /// minute, and is refused or does not answer the challenge.
    ///
    /// ## How to fix
    /// Drop such sources at the edge (fail2ban, pike, an access list), and do not answer differently for users that
    /// exist.
    ///
    /// ## When it would be wrong
    /// A test of one's own, or monitoring that uses such a tool.
    ///
    /// ## References
    /// RFC 3261 §26.1.5
    "I1" "scanner", check, capture check_capture
}

fn check(case: &Case<'_>) -> Option<Finding> {
    let first = case.call.messages.iter().find(|heard| heard.message.is_request())?;
    let source = first.path.source;
    let Some((field, value)) = case.scanning_tool() else { return of_many(case, first) };
    Some(
        Finding::of(&RULE, Confidence::Proven)
            .explains_calmly(case.call.final_status)
            .sender(Role::Uac, first)
            .because(format!("{source} is a scanner: its request names the tool {value:?}. It is no call of a user."))
            .fix(format!("Drop the traffic of {} at the edge, unless the test is your own.", source.ip()))
            .claim(first, field, value, "the name of a scanning tool"),
    )
}

/// One of many registrations with which a source tries one user after the other.
fn of_many(case: &Case<'_>, first: &Heard) -> Option<Finding> {
    let probing = case.tried_users()?;
    let source = first.path.source;
    Some(
        Finding::of(&RULE, Confidence::Likely)
            .explains_calmly(case.call.final_status)
            .sender(Role::Uac, first)
            .because(format!(
                "{source} asked for {} within a minute, and none was accepted: it looks like a scanner that tries \
                 which users there are, and not like a telephone.",
                counted(probing.users.len() as u64, "user", "different users")
            ))
            .fix(format!("Drop the traffic of {} at the edge, unless the test is your own.", source.ip()))
            .fix(
                "If it is a gateway of yours that registers for many, look at why the registrar knows none of its \
                 users.",
            )
            .claim_method(first, "one of its requests"),
    )
}

/// How much a source asked for. Only of those that were refused to it the users are counted.
fn asked_for(source: &Probing) -> String {
    let requests = counted(source.requests, "request", "requests");
    let users = counted(source.users.len() as u64, "user", "different users");
    match source.innocent {
        0 => format!("{requests} to {users}"),
        innocent => format!(
            "{requests}, {} of them to {users} who were refused to it,",
            source.requests.saturating_sub(innocent)
        ),
    }
}

fn check_capture(case: &CaptureCase<'_>) -> Option<Finding> {
    let scanners: Vec<_> = case.tally.probing.scanners().collect();
    let (address, first) = scanners.first()?;
    let others = match scanners.len() {
        1 => String::new(),
        count => format!(" {} do the same.", counted(count as u64 - 1, "other source", "other sources")),
    };
    let how = match &first.tool {
        Some((_, value)) => format!("names the tool {value:?}"),
        None => "is refused for most of them".to_owned(),
    };
    let mut finding = Finding::of(&RULE, if first.tool.is_some() { Confidence::Proven } else { Confidence::Likely })
        .party(Role::Uac, None)
        .because(format!(
            "{address} looks like a scanner: it sent {} within {}, and {how}.{others}",
            asked_for(first),
            length(first.until.since(first.place.time))
        ))
        .fix(format!("Drop the traffic of {address} at the edge, unless the test is your own."));
    for (_, probing) in scanners.iter().take(5) {
        finding = match &probing.tool {
            Some((field, value)) => {
                finding.claim_at(probing.place, field, value.clone(), "the name of a scanning tool")
            }
            None => finding.claim_at(
                probing.place,
                "frame.number",
                probing.place.frame.to_string(),
                "the first of its requests",
            ),
        };
    }
    Some(finding)
}
