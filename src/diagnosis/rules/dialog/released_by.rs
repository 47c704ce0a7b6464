use crate::call::{Heard, Outcome};
use crate::catalogue::q850;
use crate::diagnosis::rule::rule;
use crate::diagnosis::words::{length, sentence};
use crate::diagnosis::{Asked, Case, Confidence, Finding, Role, Side};
use crate::sip::{ASTERISK_CAUSE, Method, Reason, asterisk_cause};

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
    /// The first BYE of the call, its From tag, and each Reason of it, or its X-Asterisk-HangupCause or
    /// X-Asterisk-HangupCauseCode header if there is one. A B2BUA that sends BYE on both its legs and got none ended
    /// the call by itself; so did a proxy that sends one to each side in the name of the other. What had refused all
    /// legs behind the one who answered is told too.
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
        Some((invite, success)) => {
            let after = length(bye.place.time.since(success.place.time));
            // What a capture begins with may be a copy of an answer that came before it.
            let is_begun = invite.request.is_none() && invite.provisionals.is_empty();
            let which = if is_begun { "the first copy of the answer in this capture" } else { "the answer" };
            format!(" {after} after {which}")
        }
        None => String::new(),
    };
    // A BYE may give several, of several protocols (RFC 3326 §2).
    let lines: Vec<_> = bye.message.header_lines("Reason").collect();
    let reason = match lines.as_slice() {
        [] => private_reason(bye),
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
    let mut finding = Ended::of(case).told(finding, bye, &format!("{when}, {why}"), side);
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

/// What the headers of Asterisk give as the reason of a BYE.
fn private_reason(bye: &Heard) -> Option<String> {
    let by_cause = || {
        let cause = asterisk_cause(&bye.message)?;
        let name = u8::try_from(cause).ok().and_then(q850).map(|known| format!(" ({})", known.name));
        Some(format!("{ASTERISK_CAUSE}: {cause}{}", name.unwrap_or_default()))
    };
    bye.message.header(PRIVATE_REASONS[0]).map(|value| value.into_owned()).or_else(by_cause)
}

/// What the other leg of a B2BUA shows of the end of the call.
struct Ended<'a> {
    /// The other BYE of a B2BUA that ended both its legs by itself.
    also: Option<&'a Heard>,
    /// What had refused the legs behind the one who answered.
    refusal: Option<&'a Heard>,
}

impl<'a> Ended<'a> {
    fn of(case: &Case<'a>) -> Ended<'a> {
        Ended { also: case.ended_between().map(|[_, other]| other), refusal: case.refused_behind_answer() }
    }

    fn told(&self, finding: Finding, bye: &Heard, rest: &str, side: Side) -> Finding {
        let source = bye.path.source;
        let refusal = self.refusal.and_then(|refusal| Some((refusal, refusal.message.status()?)));
        let ended = match self.also {
            Some(also) => format!(
                "{source}, between the two legs of the call, sent the first BYE{rest}. It sent one to {} and one to \
                 {}, and had got none: neither party hung up on it.",
                bye.path.destination, also.path.destination
            ),
            None => sentence(&format!("{} sent the first BYE{rest}.", side.named(bye))),
        };
        let answered = refusal.map(|(refusal, status)| {
            format!(
                " Before the answer {} had refused the leg behind {} with {status}, and the capture shows none behind \
                 it that was answered.",
                refusal.path.source, refusal.path.destination
            )
        });
        let finding = finding
            .because(format!("{ended}{}", answered.unwrap_or_default()))
            .claim_method(bye, "the first BYE of the call");
        let finding = match self.also {
            Some(also) => finding.claim_method(also, "it ends the other leg too").claim_absent(
                bye.place,
                format!("a BYE to {source}"),
                "nobody had hung up",
            ),
            None => finding,
        };
        match refusal {
            Some((refusal, _)) => {
                finding.claim_status(refusal, "the leg behind was refused before the call was answered")
            }
            None => finding,
        }
    }
}

/// What the Q.850 cause of a BYE means, where its Reason leaves that out.
fn meaning(reasons: &[Reason]) -> String {
    let silent = reasons.iter().find(|reason| reason.text.is_none());
    let cause = silent.and_then(|reason| reason.q850()).and_then(|cause| u8::try_from(cause).ok());
    cause.and_then(q850).map(|known| format!(" ({})", known.name)).unwrap_or_default()
}
