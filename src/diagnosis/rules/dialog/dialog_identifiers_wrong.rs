use crate::diagnosis::dialogs::{from_tag, to_tag};
use crate::diagnosis::lost_dialog::Why;
use crate::diagnosis::rule::rule;
use crate::diagnosis::{Case, Confidence, Finding};

rule! {
    /// A request names a dialog that does not exist.
    ///
    /// ## What it says
    /// A request inside the call carries other tags than the dialog that was established, so its receiver cannot find
    /// the dialog and answers 481.
    ///
    /// ## Why it happens
    /// The sender mixed up two dialogs, for instance after a fork; or something on the way rewrote From, To or Call-ID
    /// in one direction and not in the other.
    ///
    /// ## Evidence
    /// A 481, and From and To tags in the request of which at least one is not in the dialog of its Call-ID.
    ///
    /// ## How to fix
    /// Compare the tags with those of the 2xx at the sender itself: if it sent them so, the fault is in its software;
    /// if not, in what lies between.
    ///
    /// ## When it would be wrong
    /// If the fork had another branch that answered and is not in the capture, the tags may be those of that dialog.
    ///
    /// ## References
    /// RFC 3261 §12.2.1.1, §12.2.2
    "C8c" "dialog-identifiers-wrong" needs [CALL IN_DIALOG FAILURE], check
}

fn check(case: &Case<'_>) -> Option<Finding> {
    let (unknown, dialog) = case.unknown_dialogs().into_iter().find_map(|unknown| match unknown.why {
        Why::WrongTags(dialog) => Some((unknown, dialog)),
        _ => None,
    })?;
    let (request, response) = (unknown.request, unknown.response);
    let success = case.call.message(dialog.confirmed?);
    let (from, to) = (from_tag(request)?, to_tag(request)?);
    let belongs = |tag: &str| tag == dialog.caller_tag || tag == dialog.callee_tag;
    let (field, sent) = if belongs(&to) { ("sip.from.tag", from) } else { ("sip.to.tag", to) };
    let method = request.message.method()?;
    let side = case.side(request);
    // A response that was dropped may have made a dialog with that tag; and before the answer there may be early ones
    // of which the capture lacks every response (§12.1).
    let is_unsure = case.capture.drops > 0 || request.place < success.place;
    let sure = if is_unsure { Confidence::Likely } else { Confidence::Proven };
    Some(
        Finding::of(&RULE, sure)
            .explains(response.message.status())
            .drops_the_call()
            .sender(side.role(), request)
            .because(format!(
                "The {method} of {} carries the tag {sent:?}, which is not part of the dialog (its tags are {:?} and \
                 {:?}), so {} answered 481.",
                request.path.source, dialog.caller_tag, dialog.callee_tag, response.path.source
            ))
            .fix(format!("Compare the tags that {} sends with those of the 2xx it got.", request.path.source))
            .fix("If they leave it right, look for what rewrites From or To on the way (an ALG, an SBC).")
            .claim(request, field, sent, "this tag is not of the dialog")
            .claim(success, "sip.to.tag", dialog.callee_tag.clone(), "the callee's tag of the dialog")
            .claim(success, "sip.from.tag", dialog.caller_tag.clone(), "the caller's tag of the dialog")
            .claim_status(response, "no such dialog")
            .refuted("dialog-state-lost", "the request does not name the dialog that was established"),
    )
}
