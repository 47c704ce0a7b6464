use crate::diagnosis::lost_dialog::Why;
use crate::diagnosis::rule::rule;
use crate::diagnosis::words::length;
use crate::diagnosis::{Case, Confidence, Finding, Role};

rule! {
    /// Both sides hung up at once.
    ///
    /// ## What it says
    /// Two BYEs were under way at the same time, so one of them met a dialog that had just ended. The 481 is harmless.
    ///
    /// ## Why it happens
    /// Both sides ended the call within one round trip.
    ///
    /// ## Evidence
    /// A BYE that got 481, and a BYE of the other side that left before its answer came.
    ///
    /// ## How to fix
    /// Nothing has to be done.
    ///
    /// ## When it would be wrong
    /// A BYE long after the end of the dialog is `request-after-dialog-end`.
    ///
    /// ## References
    /// RFC 3261 §15.1.2
    "C8a" "bye-crossed" needs [CALL IN_DIALOG FAILURE], check
}

fn check(case: &Case<'_>) -> Option<Finding> {
    let (unknown, other) = case.unknown_dialogs().into_iter().find_map(|unknown| match unknown.why {
        Why::Crossed(other) => Some((unknown, other)),
        _ => None,
    })?;
    let (first, second) =
        if unknown.request.place < other.place { (unknown.request, other) } else { (other, unknown.request) };
    Some(
        Finding::of(&RULE, Confidence::Proven)
            .about(unknown.response.message.status()?)
            .party(Role::Nobody, None)
            .because(format!(
                "{} and {} both sent BYE within {}, so the 481 to one of them is harmless: the dialog was over.",
                first.path.source,
                second.path.source,
                length(second.place.time.since(first.place.time))
            ))
            .claim_method(first, "the first BYE")
            .claim_method(second, "the BYE of the other side, before the first was answered")
            .claim_status(unknown.response, "the dialog had just ended")
            .refuted("dialog-state-lost", "the other side had ended the dialog itself"),
    )
}
