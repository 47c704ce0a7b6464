use std::net::SocketAddr;
use std::time::Duration;

use crate::call::Heard;
use crate::diagnosis::dialogs::{have_same_author, to_tag};
use crate::diagnosis::rule::rule;
use crate::diagnosis::words::{capture_at, length, sentence, times};
use crate::diagnosis::{Case, Confidence, Finding, Role};
use crate::sip::{Method, StatusCode};

rule! {
    /// The CANCEL crossed the answer.
    ///
    /// ## What it says
    /// The caller gave up in the moment in which the callee answered. The 2xx stands; the caller's side must confirm it
    /// with ACK and end the call with BYE.
    ///
    /// ## Why it happens
    /// CANCEL and 2xx were under way at the same time. A caller's system that then forgets the call leaves the callee
    /// in a call with nobody.
    ///
    /// ## Evidence
    /// A CANCEL and a 2xx for the same INVITE. It is a fault if no ACK and BYE of the caller's side follow: proven
    /// where that side is seen to answer something after the 2xx, else likely, for it may not have got it.
    ///
    /// ## How to fix
    /// With ACK and BYE nothing has to be done. Without them the caller's system breaks RFC 3261: report it to its
    /// maker.
    ///
    /// ## When it would be wrong
    /// A CANCEL that was refused with 481 before the 2xx crossed nothing: it was without effect, and the caller still
    /// has to end the call. The ACK or BYE may go another way than past the capture. A 2xx that was repeated before
    /// the CANCEL came did not cross it: it never arrived.
    ///
    /// ## References
    /// RFC 3261 §9.1, §15, §13.2.2.4
    "C11" "cancel-crossed-answer" needs [ANSWERED CANCEL], check
}

/// Within this time after the answer a side that cancelled ends the call; a BYE of the other side may come first.
const IN_TIME: Duration = Duration::from_secs(5);

fn check(case: &Case<'_>) -> Option<Finding> {
    let (cancel, success) = crossed(case)?;
    let ack = case.acks_to(success).next();
    let byes =
        || case.asked(&Method::Bye).map(|bye| bye.request).filter(|bye| case.call_id(bye) == case.call_id(success));
    let bye = byes().find(|bye| have_same_author(bye, cancel));
    if bye.is_none() && goes_on(case, success) {
        return None; // Both sides use the dialog: the caller's side kept the call.
    }
    if bye.is_none() && case.call.unseen(&Method::Bye).next().is_some() {
        return None; // One side ended it: its BYE is not in the capture, and the response to it is.
    }
    if ack.is_none() && had_not_come(cancel, success) {
        return None; // They did not cross: the answer was lost before that (`ack-missing`, `return-path-lost`).
    }
    let others = byes().find(|bye| !have_same_author(bye, cancel));
    if let Some(others) = others.filter(|others| bye.is_none() && others.place.time.since(success.place.time) < IN_TIME)
    {
        return ack.is_some().then(|| ended_by_callee(cancel, success, others));
    }
    let refusal = case.call.final_of(case.call.transaction(cancel.transaction));
    let is_refused = refusal
        .is_some_and(|heard| heard.message.status().map(StatusCode::get) == Some(481) && heard.place < success.place);
    let crossing = Crossing { cancel, success, ack, is_refused };
    let finding = match bye {
        Some(bye) => crossing.ended(bye),
        None => crossing.left_standing(case),
    };
    Some(
        finding
            .claim_method(cancel, "the caller's side gives up")
            .claim_status(success, "the callee's side answers")
            .refuted("caller-abandoned", "the INVITE was answered, not terminated"),
    )
}

/// A CANCEL and the 2xx that it crossed.
struct Crossing<'a> {
    cancel: &'a Heard,
    success: &'a Heard,
    /// The ACK to the 2xx.
    ack: Option<&'a Heard>,
    /// True if the CANCEL found nothing to cancel, long before the answer (RFC 3261 §9.2).
    is_refused: bool,
}

impl<'a> Crossing<'a> {
    /// The beginning of a sentence that says so.
    fn told(&self) -> String {
        let Crossing { cancel, success, .. } = self;
        let (first, second) = if cancel.place < success.place { (cancel, success) } else { (success, cancel) };
        let apart = length(second.place.time.since(first.place.time));
        let (caller, callee) = (cancel.path.source, success.path.source);
        if self.is_refused {
            return format!(
                "The CANCEL of {caller} was refused with 481, so it had no effect; {callee} answered {apart} later"
            );
        }
        format!("The CANCEL of {caller} and the answer of {callee} crossed ({apart} apart)")
    }

    /// The caller's side ended the answered call, as it must.
    fn ended(&self, bye: &Heard) -> Finding {
        let finding = Finding::of(&RULE, Confidence::Proven).party(Role::Nobody, Some(self.cancel.path.source));
        let crossed = self.told();
        let finding = match self.ack {
            Some(ack) => finding
                .because(format!(
                    "{crossed}. The caller's side confirmed the answer and ended the call with BYE, as it must."
                ))
                .claim_method(ack, "the answer is confirmed"),
            None => finding.because(format!(
                "{crossed}. The caller's side ended the call with BYE; an ACK of it is not in the capture."
            )),
        };
        finding.claim_method(bye, "the call is ended")
    }

    /// The caller's side did not end the answered call.
    fn left_standing(&self, case: &Case<'a>) -> Finding {
        let caller = self.cancel.path.source;
        let missing = if self.ack.is_none() { "ACK and BYE" } else { "BYE" };
        // Only who is seen to hear the callee's side is known to have had the answer.
        let heard = answer_after(case, self.cancel, self.success);
        let hears = self.ack.is_some() || heard.is_some();
        let unanswered = unanswered_bye(case, caller).filter(|_| !hears);
        let sure = match hears {
            _ if case.capture.drops > 0 => Confidence::Possible,
            true => Confidence::Proven,
            false => Confidence::Likely,
        };
        let end = match case.capture.drops {
            0 => format!("{caller} did not end the answered call: no {missing} followed."),
            _ => format!("no {missing} followed in this capture, which lacks packets. If none did:"),
        };
        let finding = Finding::of(&RULE, sure)
            .explains(self.success.message.status())
            .drops_the_call()
            .party(Role::Uac, Some(caller))
            .because(format!(
                "{}, and {end} The callee's side is left in a call with nobody.{}",
                self.told(),
                if hears { String::new() } else { doubt(caller, unanswered) }
            ));
        let finding = if hears { finding.fix(sentence(&have_mended(caller))) } else { self.ask_for_arrival(finding) };
        let finding =
            finding.claim_absent(self.success.place, missing, "the caller's side does not end the answered call");
        match (unanswered, heard) {
            (Some(bye), _) => finding.claim_method(bye, "the callee's side gives the call up").claim_absent(
                bye.place,
                "a response to this BYE",
                "the caller's side does not answer it either",
            ),
            (None, Some(heard)) => {
                finding.claim_status(heard, "the caller's side is there, and hears the callee's side")
            }
            (None, None) => finding,
        }
    }

    /// What to do where nobody knows whether the 2xx arrived.
    fn ask_for_arrival(&self, finding: Finding) -> Finding {
        let caller = self.cancel.path.source;
        finding
            .fix(format!(
                "Capture at {} (command below): does the 2xx arrive there? If not, see whether {caller} is still on, \
                 and follow the way to it.",
                caller.ip()
            ))
            .fix(format!("If it arrives: {}", have_mended(caller)))
            .next_capture(capture_at(caller.ip(), self.cancel.path))
    }
}

/// What to do about a side that forgets the call.
fn have_mended(caller: SocketAddr) -> String {
    format!("have the software of {caller} mended: a 2xx after CANCEL needs ACK and BYE (RFC 3261 §15).")
}

/// What the caller's side answers to something that it was asked after the 2xx: what comes from the callee's side does
/// arrive.
fn answer_after<'a>(case: &Case<'a>, cancel: &Heard, success: &Heard) -> Option<&'a Heard> {
    let caller = cancel.path.source.ip();
    let mut later = case.call.transactions.iter().filter(|known| known.path.destination.ip() == caller);
    later.find_map(|known| {
        case.call.request_of(known).filter(|request| request.place > success.place)?;
        case.provisionals(known).chain(case.finals(known)).min_by_key(|heard| heard.place)
    })
}

/// The first BYE to the caller's side, if no BYE to it is answered and the capture goes on for long enough.
fn unanswered_bye<'a>(case: &Case<'a>, caller: SocketAddr) -> Option<&'a Heard> {
    let mut byes = case.asked(&Method::Bye).filter(|bye| bye.request.path.destination.ip() == caller.ip()).peekable();
    let first = byes.peek()?.request;
    let is_answered = byes.any(|bye| case.has_response(bye.transaction));
    (!is_answered && case.absence_of_answer(first) != Confidence::Unseen).then_some(first)
}

/// That nothing shows that the caller's side got the answer, and what that leaves open.
fn doubt(caller: SocketAddr, bye: Option<&Heard>) -> String {
    let too = match bye {
        Some(bye) => {
            format!(", and the BYE of {} is not answered either (sent {})", bye.path.source, times(bye.repeated + 1))
        }
        None => String::new(),
    };
    format!(
        " But nothing shows that {caller} got the answer{too}: the way to it may be broken, or it may have been \
         switched off."
    )
}

/// The callee's side ends the answered call before the caller's side had to.
fn ended_by_callee(cancel: &Heard, success: &Heard, bye: &Heard) -> Finding {
    Finding::of(&RULE, Confidence::Proven)
        .party(Role::Nobody, Some(cancel.path.source))
        .because(format!(
            "The CANCEL of {} and the answer of {} crossed, the answer was confirmed, and {} ended the call with BYE \
             soon after.",
            cancel.path.source, success.path.source, bye.path.source
        ))
        .claim_method(cancel, "the caller's side gives up")
        .claim_status(success, "the callee's side answers")
        .claim_method(bye, "the callee's side ends the call")
}

/// True if the 2xx had been repeated for want of an ACK before the CANCEL: who cancels then has not got it.
fn had_not_come(cancel: &Heard, success: &Heard) -> bool {
    success.repeats.iter().any(|repeat| *repeat < cancel.place)
}

/// True if requests other than ACK follow in the dialog.
fn goes_on<'a>(case: &Case<'a>, success: &'a Heard) -> bool {
    case.call.messages.iter().any(|heard| {
        heard.place > success.place
            && case.call_id(heard) == case.call_id(success)
            && heard
                .message
                .method()
                .is_some_and(|method| !matches!(method, Method::Ack | Method::Cancel | Method::Bye))
            && to_tag(heard).is_some()
    })
}

/// The CANCEL and the 2xx of one INVITE of the caller. A proxy that cancels a branch which answers is another matter.
fn crossed<'a>(case: &Case<'a>) -> Option<(&'a Heard, &'a Heard)> {
    // Where the INVITE is not in the capture, neither may be the first copy of its answer.
    case.call.attempts().filter(|attempt| attempt.request.is_some()).find_map(|attempt| {
        let cancel = case.cancel_of(attempt)?;
        let success = case.finals(attempt).find(|heard| heard.message.status().is_some_and(StatusCode::is_success))?;
        // Without its CSeq it may be the answer to the CANCEL.
        success.message.cseq()?;
        let absent = case.asked(&Method::Bye).next().is_none();
        // Without a BYE the capture must have gone on for a while to say that there is none.
        let waited = case.tail(success.place) >= crate::call::timer::OVERDUE;
        (!absent || waited).then_some((cancel, success))
    })
}
