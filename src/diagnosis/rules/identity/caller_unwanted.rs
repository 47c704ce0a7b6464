use crate::diagnosis::rule::rule;
use crate::diagnosis::words::{a_code, alerts};
use crate::diagnosis::{Case, Confidence, Finding, Role};

rule! {
    /// The callee's side marked the caller as unwanted.
    ///
    /// ## What it says
    /// The callee, or a service that acts for it, rejected the call and reported that calls of this caller are not
    /// wanted. Carriers may use the report to block later calls of that number.
    ///
    /// ## Why it happens
    /// The callee pressed a button such as "block" or "spam", or its list of unwanted callers holds the number.
    ///
    /// ## Evidence
    /// A 607 (RFC 8197).
    ///
    /// ## How to fix
    /// Do not call this number again without its consent; check which number the call showed, and if it is one of
    /// yours.
    ///
    /// ## When it would be wrong
    /// The response does not show whether a person or a service made it. A 608 is made by analytics in the network:
    /// `blocked-by-analytics`.
    ///
    /// ## References
    /// RFC 8197 §4, §5.1
    "F3" "caller-unwanted" needs [607], check
}

fn check(case: &Case<'_>) -> Option<Finding> {
    let failure = case.failure_with(&[607])?;
    let response = case.response(failure);
    let server = response.path.source;
    let said = case.quotation(response).map(|said| format!("; {said}")).unwrap_or_default();
    let rang = match case.alerting_or_progress(failure.transaction) {
        Some(ring) if alerts(ring) => "after it had rung".to_owned(),
        Some(progress) => format!("after {}", a_code(progress)),
        None => "without ringing".to_owned(),
    };
    Some(
        Finding::of(&RULE, Confidence::Proven)
            .explains(Some(failure.status))
            .sender(Role::Uas, response)
            .because(format!(
                "{server} answered 607 for {} {rang}{said}: the callee's side does not want calls of this caller, and \
                 reports it.",
                case.callee(failure)
            ))
            .fix("Do not call this number again without its consent: carriers may block the caller after such reports.")
            .fix(
                "Check the number that the call showed in From and P-Asserted-Identity: it may be one that others \
                 misuse.",
            )
            .claim(response, "sip.Status-Line", response.message.first_line().into_owned(), "unwanted (RFC 8197)")
            .refuted("blocked-by-analytics", "607 is the word of the callee's side; analytics answer 608 or 603")
            .refuted("rejected-by-callee", "607 says more than that the callee declined"),
    )
}
