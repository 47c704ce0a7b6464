use crate::diagnosis::lost_dialog::Why;
use crate::diagnosis::rule::rule;
use crate::diagnosis::words::length;
use crate::diagnosis::{Case, Confidence, Finding, Role};

rule! {
    /// A request came after the end of its dialog.
    ///
    /// ## What it says
    /// The dialog had been ended with a BYE and its answer. A later request in it can only get 481, and no call
    /// suffers.
    ///
    /// ## Why it happens
    /// A late NOTIFY of a transfer, a BYE of a system that had not noticed the other one, a slow application.
    ///
    /// ## Evidence
    /// A BYE with its 2xx, then another request with the same tags and its 481.
    ///
    /// ## How to fix
    /// Nothing has to be done for the call. If it happens often, let the sender drop what it has queued when the dialog
    /// ends.
    ///
    /// ## When it would be wrong
    /// Two BYEs that cross are `bye-crossed`.
    ///
    /// ## References
    /// RFC 3261 §12.2.2, §15.1.2
    "C8d" "request-after-dialog-end" needs [CALL IN_DIALOG FAILURE], check
}

fn check(case: &Case<'_>) -> Option<Finding> {
    let (unknown, bye, answer) = case.unknown_dialogs().into_iter().find_map(|unknown| match unknown.why {
        Why::AfterEnd(bye, answer) => Some((unknown, bye, answer)),
        _ => None,
    })?;
    let (request, response) = (unknown.request, unknown.response);
    let method = request.message.method()?;
    Some(
        Finding::of(&RULE, Confidence::Proven)
            .about(response.message.status()?)
            .party(Role::Nobody, Some(request.path.source))
            .because(format!(
                "{} sent a {method} {} after the dialog had been ended with BYE and {}; the 481 to it is right, and \
                 harms nothing.",
                request.path.source,
                length(request.place.time.since(answer.place.time)),
                answer.message.status()?
            ))
            .claim_method(bye, "the end of the dialog")
            .claim_status(answer, "confirmed")
            .claim_method(request, "a request after that")
            .claim_status(response, "the dialog is over")
            .refuted("dialog-state-lost", "the dialog had been ended in order")
            .refuted("bye-crossed", "the BYE had been answered before this request was sent"),
    )
}
