use crate::call::{Failure, Heard, Kind};
use crate::diagnosis::rule::rule;
use crate::diagnosis::{Case, Confidence, Finding, Role};
use crate::sip::Method;

rule! {
    /// The server does not support this method.
    ///
    /// ## What it says
    /// The request was understood, and its method is not one that is allowed there.
    ///
    /// ## Why it happens
    /// A device without that feature, a feature that is switched off, or a request to a server that only passes on.
    ///
    /// ## Evidence
    /// 405 with its `Allow`, or 501.
    ///
    /// ## How to fix
    /// Switch the feature on at the server, or keep the client from using it.
    ///
    /// ## When it would be wrong
    /// Where the `Allow` of a 405 names the method, it is refused for the address that is asked for (possible). An
    /// OPTIONS or NOTIFY that only keeps a connection open does its work whatever the answer is. A gateway also makes
    /// 501 of a Q.850 cause (RFC 3398 §7.2.4.1): then the telephone network lacks a facility or service, and the method
    /// is not meant (`server-fault`).
    ///
    /// ## References
    /// RFC 3261 §21.4.6, §21.5.2, §20.5
    "E14" "method-unsupported" needs [405 501] [ANSWERED IN_DIALOG FAILURE], check
}

fn check(case: &Case<'_>) -> Option<Finding> {
    let decides = case.failure_with(&[405, 501]);
    let failure = decides.or_else(|| within_dialog(case))?;
    let (request, response) = (case.request(failure)?, case.response(failure));
    if is_of_network(case, request, response) {
        return None; // server-fault says what the network lacks.
    }
    let method = request.message.method()?.name().to_owned();
    let server = response.path.source;
    let is_probe = case.call.kind == Kind::Options || method == "NOTIFY";
    // A list may stand on several lines (RFC 3261 §7.3.1).
    let allowed = response.message.headers("Allow");
    let allows = if allowed.is_empty() { String::new() } else { format!("; it allows {}", allowed.join(", ")) };
    let names = |one: &String| one.trim().eq_ignore_ascii_case(&method);
    let is_allowed = failure.status.get() == 405 && allowed.iter().any(names);
    let because = match is_allowed {
        true => format!(
            "{server} answered {} to {method}, and its Allow names {method} among what it supports: it refuses it for \
             this address or caller, and not for the method.",
            failure.status
        ),
        false => format!("{server} does not support {method}: it answered {}{allows}.", failure.status),
    };
    let finding = match is_allowed {
        true => Finding::of(&RULE, Confidence::Possible).titled("The method was refused, although it is supported"),
        false => Finding::of(&RULE, Confidence::Proven),
    };
    let finding = match is_probe || decides.is_none() {
        true => finding.about(failure.status),
        false => finding.explains(Some(failure.status)),
    };
    let finding = finding
        .sender(Role::Uas, response)
        .because(because)
        .fix(match is_allowed {
            true => format!("Look on {server} what it takes {method} for: which addresses, and from whom."),
            false => format!(
                "Switch on what {method} is for at {server}, or keep {} from sending it there.",
                request.path.source
            ),
        })
        .claim_method(request, "the method")
        .claim_status(response, "it is not supported");
    let finding = match is_allowed {
        true => finding.claim_header_with(response, "Allow", &method, "it is among them"),
        false => finding.claim_header(response, "Allow", "what is supported instead"),
    };
    Some(finding.refuted("server-fault", format!("{} speaks of the method, not of a fault", failure.status)))
}

/// True if a 501 to INVITE is a gateway's translation of a Q.850 cause: who calls the network with it supports INVITE
/// (RFC 3398 §7.2.4.1).
pub(super) fn is_of_network(case: &Case<'_>, request: &Heard, response: &Heard) -> bool {
    let is_invite = request.message.method() == Some(&Method::Invite);
    let is_501 = response.message.status().is_some_and(|status| status.get() == 501);
    is_invite && is_501 && case.q850(response).is_some_and(|cause| cause != 0)
}

/// A request within an answered call that was refused for its method: the call itself goes on.
fn within_dialog<'a>(case: &Case<'a>) -> Option<&'a Failure> {
    let call = case.call;
    call.failures.iter().filter(|_| call.is_answered()).find(|failure| {
        let transaction = call.transaction(failure.transaction);
        let is_refused = matches!(failure.status.get(), 405 | 501);
        is_refused && transaction.in_dialog && !matches!(transaction.method, Method::Invite | Method::Bye)
    })
}
