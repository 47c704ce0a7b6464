use crate::call::Heard;
use crate::capture::Place;
use crate::diagnosis::lost_dialog::Why;
use crate::diagnosis::rule::rule;
use crate::diagnosis::words::{length, list};
use crate::diagnosis::{Case, Confidence, Finding};
use crate::sip::{HeaderName, Method};

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
    /// side. Where the answer may be among responses of which only the first fragment was captured, nothing is said.
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
    let lost = Lost::of(case)?;
    let (request, response) = (lost.request, lost.response);
    let finding = Finding::of(&RULE, lost.confidence())
        .explains(response.message.status())
        .drops_the_call()
        .sender(case.role_of_asked(request), response)
        .because(lost.explanation())
        .fix(format!(
            "Look at {} for a restart, a change of nodes, or cleared dialogs between the answer and this {}.",
            response.path.source, lost.method
        ))
        .fix("In a cluster, share dialog state or route in-dialog requests to the node that holds it.");
    let tags = match lost.is_known {
        true => "the tags are those of the dialog",
        false => "the capture holds no dialog of this Call-ID with other tags",
    };
    Some(
        lost.prove(finding)
            .refuted("dialog-identifiers-wrong", tags)
            .refuted("bye-crossed", "the other side sent no BYE at the same time")
            .refuted("request-after-dialog-end", "no BYE had ended the dialog"),
    )
}

/// A request of a dialog that its receiver does not know any more, and what points to the reason.
struct Lost<'a> {
    request: &'a Heard,
    method: &'a Method,
    /// The 481.
    response: &'a Heard,
    /// The answer of the call.
    success: Option<&'a Heard>,
    /// True if the capture shows a dialog that was confirmed.
    is_known: bool,
    /// True if what tells whether the tags are right is behind the cut.
    is_unread: bool,
    signs: Vec<String>,
    /// Where the responder registers anew, as after a restart.
    restart: Option<Place>,
}

impl<'a> Lost<'a> {
    fn of(case: &Case<'a>) -> Option<Lost<'a>> {
        let unknown = case.unknown_dialogs().into_iter().find(|unknown| matches!(unknown.why, Why::StateLost))?;
        let (request, response) = (unknown.request, unknown.response);
        let success = case.answer().map(|(_, success)| success);
        let restart = case.restart_of(response.path.source.ip(), request.place.time).map(|restart| restart.place);
        let mut signs = case.signs_of_loss(&unknown);
        if let (Some(restart), Some(success)) = (restart, success) {
            signs.push(format!(
                "it registered anew under another Call-ID {} after the answer, as after a restart",
                length(restart.time.since(success.place.time))
            ));
        }
        let is_known = case.call.dialogs.iter().any(|dialog| dialog.confirmed.is_some());
        // Of an answer that is in the capture in part only nobody knows whether it arrived: who never got it has lost
        // nothing.
        if !is_known && case.has_response_in_part(request.message.call_id()) {
            return None;
        }
        // The answer that opened the dialog may not be known for one where the capture cut it.
        let is_cut = || success.is_some_and(|success| success.message.has_cut_head());
        let is_unread = request.message.ends_before_end_of(HeaderName::To) || !is_known && is_cut();
        let method = request.message.method()?;
        Some(Lost { request, method, response, success, is_known, is_unread, signs, restart })
    }

    fn confidence(&self) -> Confidence {
        match self.signs.is_empty() || !self.is_known || self.is_unread {
            true => Confidence::Possible,
            false => Confidence::Likely,
        }
    }

    fn explanation(&self) -> String {
        let (server, method) = (self.response.path.source, self.method);
        let age = match self.success {
            Some(success) => {
                format!(" {} after the answer", length(self.request.place.time.since(success.place.time)))
            }
            None => String::new(),
        };
        let signs = match self.signs.as_slice() {
            [] => "Nothing in the capture shows why: a restart, another node, or cleared state fit alike".to_owned(),
            signs => format!("What points to it: {}", list(signs)),
        };
        format!(
            "{server} answered the {method}{age} with 481: it does not know the dialog any more, although {}. {signs}.",
            self.although()
        )
    }

    /// What is known of the dialog.
    fn although(&self) -> &'static str {
        match self.is_known {
            _ if self.is_unread => {
                "no BYE before it is in the capture; what tells whether its tags are those of the dialog is behind the \
                 cut"
            }
            true => "its tags are those of the dialog, and no BYE had ended it",
            false => "no BYE before it is in the capture, which begins in the middle of this call",
        }
    }

    fn prove(&self, finding: Finding) -> Finding {
        let mut finding = finding
            .claim_method(self.request, "a request of the dialog")
            .claim_status(self.response, "its receiver does not know the dialog");
        let tag = self.request.message.to().and_then(|to| to.tag().map(str::to_owned));
        if let (Some(success), Some(tag)) = (self.success, tag) {
            finding = finding.claim_status(success, "the dialog was established").claim(
                self.request,
                "sip.to.tag",
                tag,
                "the To tag of the request",
            );
        }
        if let Some(restart) = self.restart {
            finding = finding.claim_at(restart, "sip.Method", "REGISTER", "the responder registers anew");
        }
        match self.success {
            Some(success) => finding.claim_absent(success.place, "an earlier BYE", "nothing had ended the dialog"),
            None => finding,
        }
    }
}
