use crate::call::Heard;
use crate::diagnosis::rule::rule;
use crate::diagnosis::words::length;
use crate::diagnosis::{Case, Confidence, Finding, Role};
use crate::sip::StatusCode;

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
    /// A 489 with the Event of the request and the receiver's Allow-Events, or a 469 for an Info package. A 412 to a
    /// PUBLISH with SIP-If-Match: the state that it refreshes is not known any more.
    ///
    /// ## How to fix
    /// Switch the feature off on the telephone, or add the package to the server.
    ///
    /// ## When it would be wrong
    /// Some servers answer 489 to a subscription that the user is not allowed to make: where they list the package
    /// among those that they support, it is possible only.
    ///
    /// ## References
    /// RFC 6665 §8.3.2; RFC 6086 §4.2.2; RFC 3903 §4.2, §5
    "D14" "event-unsupported" needs [412 469 489], check
}

fn check(case: &Case<'_>) -> Option<Finding> {
    unknown_package(case).or_else(|| unknown_state(case))
}

/// What was published is not known any more: a refresh names state that has run out or was lost (RFC 3903 §4.2, §6).
fn unknown_state(case: &Case<'_>) -> Option<Finding> {
    let failure = case.failure_with(&[412])?;
    let (request, response) = (case.request(failure)?, case.response(failure));
    let tag = request.message.header("SIP-If-Match")?.into_owned();
    let request =
        case.first_with(request, |before| before.message.header("SIP-If-Match").as_deref() == Some(tag.as_str()));
    let (server, client) = (response.path.source, request.path.source);
    let claimed = |finding: Finding| {
        finding
            .claim_header(request, "SIP-If-Match", "the state that is meant")
            .claim_status(response, "it is not known")
    };
    if request.message.header("Expires").is_some_and(|value| value.trim() == "0") {
        let finding = Finding::of(&RULE, Confidence::Proven)
            .titled("What was to be taken back is not there any more")
            .explains_calmly(Some(failure.status))
            .because(format!(
                "{client} takes back what it had published under the entity tag {tag:?}, and {server} knows no such \
                 state any more: 412. It is gone, which is what was asked for."
            ))
            .fix("Nothing needs to be done.")
            .claim_header(request, "Expires", "the state is to be removed");
        return Some(claimed(finding));
    }
    let lease = case.surroundings.soft_states().published(&request.message, server.ip());
    let ran_out = lease.filter(|lease| lease.place < request.place && lease.until() < request.place.time);
    if let Some(lease) = ran_out {
        let granted = lease.seconds;
        let finding = Finding::of(&RULE, Confidence::Proven)
            .titled("The published state had run out before it was refreshed")
            .explains(Some(failure.status))
            .sender(Role::Uac, request)
            .because(format!(
                "{server} keeps for {granted} s what {client} had published under the entity tag {tag:?}, and \
                 {client} refreshes it {} after that time was over: 412.",
                length(request.place.time.since(lease.until()))
            ))
            .fix(format!(
                "Let {client} refresh what it publishes before the {granted} s that are granted are over (RFC 3903 \
                 §4.1)."
            ))
            .fix(format!("Let {client} publish anew, without SIP-If-Match, after a 412 (RFC 3903 §4.2)."))
            .claim_at(lease.place, "sip.Expires", granted.to_string(), "for so long the state is kept");
        return Some(claimed(finding));
    }
    Some(
        Finding::of(&RULE, Confidence::Proven)
            .titled("The published state is not known any more")
            .explains(Some(failure.status))
            .sender(Role::Uas, response)
            .because(format!(
                "{client} refreshes what it had published under the entity tag {tag:?}, and {server} knows no such \
                 state: 412. It ran out, or {server} lost it."
            ))
            .fix(format!("Let {client} publish anew, without SIP-If-Match, after a 412 (RFC 3903 §4.2)."))
            .fix(format!("If this recurs, let {client} refresh earlier, and look at {server} for restarts."))
            .claim_header(request, "SIP-If-Match", "the state that is to be refreshed")
            .claim_status(response, "it is not known"),
    )
}

/// The package is among those that the receiver lists: it refuses this subscription, or its parameters.
fn of_subscriber(code: StatusCode, request: &Heard, response: &Heard, header: &str, value: &str) -> Finding {
    let (client, server) = (request.path.source, response.path.source);
    let package = value.split(';').next().unwrap_or_default().trim();
    let finding = Finding::of(&RULE, Confidence::Possible)
        .titled("The request for a known event package was refused as unknown")
        .explains(Some(code))
        .sender(Role::Uas, response)
        .because(format!(
            "{server} answered {code} to {value:?}, although it lists that package among those that it supports: it \
             does not want it from {client}, for this user, or with these parameters."
        ))
        .fix(format!("Look on {server} whether the user may subscribe to this at all, and to whom."))
        .claim_header(request, header, "the package that was asked for")
        .claim_status(response, "refused")
        .claim_header_with(response, "Allow-Events", package, "and it is among them");
    match value.contains(';') {
        true => finding.fix(format!("Let {client} ask without the parameters behind the package, and compare.")),
        false => finding,
    }
}

fn unknown_package(case: &Case<'_>) -> Option<Finding> {
    let failure = case.failure_with(&[469, 489])?;
    let response = case.response(failure);
    let request = case.request(failure)?;
    let header = if failure.status.get() == 469 { "Info-Package" } else { "Event" };
    let value = request.message.header(header)?.into_owned();
    // What follows it are parameters (RFC 6665 §8.2.1).
    let package = value.split(';').next().unwrap_or_default().trim().to_owned();
    let request = case.first_with(request, |before| before.message.header(header).as_deref() == Some(&*value));
    let server = response.path.source;
    // A list may stand on several lines (RFC 3261 §7.3.1).
    let known = ["Allow-Events", "Recv-Info"].map(|name| response.message.headers(name));
    let listed = known.iter().find(|known| !known.is_empty());
    let is_package = |one: &String| one.trim().eq_ignore_ascii_case(&package);
    let is_listed = listed.is_some_and(|listed| listed.iter().any(is_package));
    let allowed = listed.map(|listed| listed.join(", "));
    if is_listed {
        return Some(of_subscriber(failure.status, request, response, header, &value));
    }
    let allowed = allowed.map(|allowed| format!(" It supports {allowed:?}.")).unwrap_or_default();
    let finding = Finding::of(&RULE, Confidence::Proven)
        .explains(Some(failure.status))
        .sender(Role::Uas, response)
        .because(format!("{server} does not know the package {package:?} and answered {}.{allowed}", failure.status))
        .fix(format!(
            "Switch the feature that needs {package:?} off on {}, or add it to {server}.",
            request.path.source
        ))
        .claim_header(request, header, "the package that was asked for")
        .claim_status(response, "refused");
    Some(finding.claim_header(response, "Allow-Events", "the packages that the receiver supports"))
}
