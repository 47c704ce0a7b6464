use crate::call::Outcome;
use crate::catalogue::q850;
use crate::diagnosis::rule::rule;
use crate::diagnosis::words::{length, sentence};
use crate::diagnosis::{Asked, Case, Confidence, Finding, Role};
use crate::sip::{ASTERISK_CAUSE, Method, Reason};

rule! {
    /// Which side ended the call.
    ///
    /// ## What it says
    /// Who sent the first BYE, how long after the answer, and what reason it gives. A fact, and no fault.
    ///
    /// ## Why it happens
    /// Every answered call ends with a BYE from one side.
    ///
    /// ## Evidence
    /// The first BYE of the call, its From tag, and each Reason of it, or its X-Asterisk-HangupCause header if there is
    /// one.
    ///
    /// ## How to fix
    /// Nothing has to be done. If the end was not wanted, look at the side that sent the BYE first.
    ///
    /// ## When it would be wrong
    /// A BYE says which side ended the call, not whether a person or a timer did.
    ///
    /// ## References
    /// RFC 3261 §15; RFC 3326 §2
    "C19" "released-by" needs [BYE], check
}

/// Private headers that say why a call was ended.
const PRIVATE_REASONS: [&str; 2] = ["X-Asterisk-HangupCause", ASTERISK_CAUSE];

fn check(case: &Case<'_>) -> Option<Finding> {
    let Asked { request: bye, .. } = case.first_bye()?;
    let answer = case.answer();
    if case.call.outcome != Outcome::Answered {
        return None; // A BYE before the answer is another matter: ended-before-answer.
    }
    if case.unseen_of_dialog(&Method::Bye, bye).next().is_some() {
        return None; // Another BYE was sent that the capture missed: nothing tells which was the first.
    }
    let finding = Finding::of(&RULE, Confidence::Proven).party(Role::Nobody, Some(bye.path.source));
    if !case.wants_words() {
        return Some(finding);
    }
    let side = case.side(bye);
    let when = match answer {
        Some((_, success)) => format!(" {} after the answer", length(bye.place.time.since(success.place.time))),
        None => String::new(),
    };
    // A BYE may give several, of several protocols (RFC 3326 §2).
    let lines: Vec<_> = bye.message.header_lines("Reason").collect();
    let reason = match lines.as_slice() {
        [] => bye.message.header(PRIVATE_REASONS[0]).map(|value| value.into_owned()),
        [only] => Some(format!("{only}{}", meaning(case.reasons(bye)))),
        several => {
            let read = several.iter().map(|line| format!("{line}{}", meaning(&[Reason::read(line)])));
            Some(read.collect::<Vec<_>>().join(" and "))
        }
    };
    let why = match &reason {
        Some(reason) => format!("with the reason {reason}"),
        None if bye.message.is_cut() => "and its reason, if any, is behind the cut".to_owned(),
        None => "and gives no reason".to_owned(),
    };
    let mut finding = finding
        .because(sentence(&format!("{} sent the first BYE{when}, {why}.", side.named(bye))))
        .claim_method(bye, "the first BYE of the call");
    if reason.is_some() {
        for line in &lines {
            finding = finding.claim_header_with(bye, "Reason", line, "why, as its sender says");
        }
        for header in PRIVATE_REASONS {
            if let Some(line) = bye.message.header_line(header) {
                finding = finding.claim(bye, "sip.msg_hdr", line, "why, as its sender says");
            }
        }
    }
    Some(finding)
}

/// What the Q.850 cause of a BYE means, where its Reason leaves that out.
fn meaning(reasons: &[Reason]) -> String {
    let silent = reasons.iter().find(|reason| reason.text.is_none());
    let cause = silent.and_then(|reason| reason.q850()).and_then(|cause| u8::try_from(cause).ok());
    cause.and_then(q850).map(|known| format!(" ({})", known.name)).unwrap_or_default()
}
