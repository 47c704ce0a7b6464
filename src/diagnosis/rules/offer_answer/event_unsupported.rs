use crate::diagnosis::rule::rule;
use crate::diagnosis::{Case, Confidence, Finding, Role};

rule! {
    /// The event package is not supported.
    ///
    /// ## What it says
    /// A SUBSCRIBE, NOTIFY or PUBLISH names an event package (or an Info package) that its receiver does not know.
    ///
    /// ## Why it happens
    /// The telephone is set up for a feature (busy lamps, message waiting, presence) that the server does not have.
    ///
    /// ## Evidence
    /// A 489 with the Event of the request and the receiver's Allow-Events, or a 469 for an Info package.
    ///
    /// ## How to fix
    /// Switch the feature off on the telephone, or add the package to the server.
    ///
    /// ## When it would be wrong
    /// Some servers answer 489 to a subscription that the user is not allowed to make.
    ///
    /// ## References
    /// RFC 6665 §8.3.2; RFC 6086 §4.2.2
    "D14" "event-unsupported", check
}

fn check(case: &Case<'_>) -> Option<Finding> {
    let failure = case.failure_with(&[469, 489])?;
    let response = case.response(failure);
    let request = case.request(failure)?;
    let header = if failure.status.get() == 469 { "Info-Package" } else { "Event" };
    let package = request.message.header(header)?.into_owned();
    let server = response.path.source;
    let allowed = response.message.header("Allow-Events").or_else(|| response.message.header("Recv-Info"));
    let allowed = allowed.map(|allowed| format!(" It supports {allowed:?}.")).unwrap_or_default();
    let line = request.message.header_line(header)?;
    let mut finding = Finding::of(&RULE, Confidence::Proven)
        .explains(Some(failure.status))
        .sender(Role::Uas, response)
        .because(format!("{server} does not know the package {package:?} and answered {}.{allowed}", failure.status))
        .fix(format!("Switch the feature that needs {package:?} off on {}, or add it to {server}.", request.path.source))
        .claim(request, "sip.msg_hdr", line, "the package that was asked for")
        .claim_status(response, "refused");
    if let Some(line) = response.message.header_line("Allow-Events") {
        finding = finding.claim(response, "sip.msg_hdr", line, "the packages that the receiver supports");
    }
    Some(finding)
}
