use crate::diagnosis::lost_dialog::Why;
use crate::diagnosis::rule::rule;
use crate::diagnosis::words::{length, list};
use crate::diagnosis::{Case, Confidence, Finding};
use crate::sip::HeaderName;

rule! {
    /// One side has forgotten the dialog.
    ///
    /// ## What it says
    /// A request of an established dialog was answered 481, although its identifiers are right and the dialog had not
    /// ended: its receiver does not know the call any more.
    ///
    /// ## Why it happens
    /// The device or server was restarted during the call, another node of a cluster got the request and does not share
    /// the state, or the dialog was cleared away after long silence.
    ///
    /// ## Evidence
    /// The 481, tags that are those of the dialog, and no BYE before it. It is likely, and not only possible, if the
    /// 481 comes from another address or another software than the answer did, or after five minutes of silence.
    ///
    /// ## How to fix
    /// Look at the responder's log for a restart or a change of nodes at that time. In a cluster, share the dialogs or
    /// keep a call on its node. Session timers (RFC 4028) show a lost dialog sooner.
    ///
    /// ## When it would be wrong
    /// A BYE of the responder that the capture does not hold would end the dialog in order. Where the caller was told
    /// that the call failed, or confirmed another answer of a fork and never this one, there never was a dialog on its
    /// side.
    ///
    /// ## References
    /// RFC 3261 §12.2.2, §15.1.2; RFC 4028 §1
    "C8b" "dialog-state-lost" needs [CALL IN_DIALOG FAILURE], check
}

fn check(case: &Case<'_>) -> Option<Finding> {
    // Who was told that the call failed has no dialog, whatever the callee's side believes.
    if case.outer_failure().is_some() {
        return None;
    }
    let unknown = case.unknown_dialogs().into_iter().find(|unknown| matches!(unknown.why, Why::StateLost))?;
    let (request, response) = (unknown.request, unknown.response);
    let mut signs = case.signs_of_loss(&unknown);
    let restart = case.restart_of(response.path.source.ip(), request.place.time);
    if let (Some(restart), Some((_, success))) = (restart, case.answer()) {
        signs.push(format!(
            "it registered anew under another Call-ID {} after the answer, as after a restart",
            length(restart.place.time.since(success.place.time))
        ));
    }
    let method = request.message.method()?;
    let known = case.call.dialogs.iter().any(|dialog| dialog.confirmed.is_some());
    // The answer that opened the dialog may not be known for one where the capture cut it.
    let is_cut = || case.answer().is_some_and(|(_, success)| success.message.has_cut_head());
    let is_unread = request.message.ends_before_end_of(HeaderName::To) || !known && is_cut();
    let confidence = if signs.is_empty() || !known || is_unread { Confidence::Possible } else { Confidence::Likely };
    let age = case
        .answer()
        .map(|(_, success)| format!(" {} after the answer", length(request.place.time.since(success.place.time))))
        .unwrap_or_default();
    let signs = match signs.as_slice() {
        [] => "Nothing in the capture shows why: a restart, another node, or cleared state fit alike".to_owned(),
        signs => format!("What points to it: {}", list(signs)),
    };
    let tags = if is_unread {
        "no BYE before it is in the capture; what tells whether its tags are those of the dialog is behind the cut"
    } else if known {
        "its tags are those of the dialog, and no BYE had ended it"
    } else {
        "no BYE before it is in the capture, which begins in the middle of this call"
    };
    let role = case.role_of_asked(request);
    let mut finding = Finding::of(&RULE, confidence)
        .explains(response.message.status())
        .drops_the_call()
        .sender(role, response)
        .because(format!(
            "{} answered the {method}{age} with 481: it does not know the dialog any more, although {tags}. {signs}.",
            response.path.source
        ))
        .fix(format!(
            "Look at {} for a restart, a change of nodes, or cleared dialogs between the answer and this {method}.",
            response.path.source
        ))
        .fix("In a cluster, share dialog state or route in-dialog requests to the node that holds it.")
        .claim_method(request, "a request of the dialog")
        .claim_status(response, "its receiver does not know the dialog");
    if let (Some((_, success)), Some(tag)) =
        (case.answer(), request.message.to().and_then(|to| to.tag().map(str::to_owned)))
    {
        finding = finding.claim_status(success, "the dialog was established");
        finding = finding.claim(request, "sip.to.tag", tag, "the To tag of the request");
    }
    if let Some(restart) = restart {
        finding = finding.claim_at(restart.place, "sip.Method", "REGISTER", "the responder registers anew");
    }
    if let Some((_, success)) = case.answer() {
        finding = finding.claim_absent(success.place, "an earlier BYE", "nothing had ended the dialog");
    }
    Some(
        finding
            .refuted(
                "dialog-identifiers-wrong",
                if known {
                    "the tags are those of the dialog"
                } else {
                    "the capture holds no dialog of this Call-ID with other tags"
                },
            )
            .refuted("bye-crossed", "the other side sent no BYE at the same time")
            .refuted("request-after-dialog-end", "no BYE had ended the dialog"),
    )
}
