use crate::call::Kind;
use crate::diagnosis::rule::rule;
use crate::diagnosis::{Case, Confidence, Finding, Role};

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
    /// An OPTIONS or NOTIFY that only keeps a connection open does its work whatever the answer is.
    ///
    /// ## References
    /// RFC 3261 §21.4.6, §21.5.2, §20.5
    "E14" "method-unsupported", check
}

fn check(case: &Case<'_>) -> Option<Finding> {
    let failure = case.failure_with(&[405, 501])?;
    let (request, response) = (case.request(failure)?, case.response(failure));
    let method = request.message.method()?.name().to_owned();
    let server = response.path.source;
    let is_probe = case.call.kind == Kind::Options || method == "NOTIFY";
    let allow = response.message.header("Allow").map(|value| value.into_owned());
    let allows = allow.as_deref().map(|value| format!("; it allows {value}")).unwrap_or_default();
    let because = format!("{server} does not support {method}: it answered {}{allows}.", failure.status);
    let finding = Finding::of(&RULE, Confidence::Proven);
    let finding = match is_probe {
        true => finding.about(failure.status),
        false => finding.explains(Some(failure.status)),
    };
    let finding = finding
        .sender(Role::Uas, response)
        .because(because)
        .fix(format!("Switch on what {method} is for at {server}, or keep {} from sending it \
            there.", request.path.source))
        .claim_method(request, "the method")
        .claim_status(response, "it is not supported")
        .claim_header(response, "Allow", "what is supported instead");
    Some(finding.refuted("server-fault", format!("{} speaks of the method, not of a fault", failure.status)))
}
