use std::net::SocketAddr;

use crate::call::Heard;
use crate::catalogue::{Q850Cause, q850, says_words};
use crate::diagnosis::account::says_no_money;
use crate::diagnosis::rule::rule;
use crate::diagnosis::stated::states_reached;
use crate::diagnosis::words::length;
use crate::diagnosis::{Case, Confidence, Finding, Role};
use crate::sip::{ASTERISK_CAUSE, Reason, asterisk_cause, q850_cause};

rule! {
    /// Who ended the call says that something failed.
    ///
    /// ## What it says
    /// The BYE of an answered call gives a reason that no person has for hanging up: a fault of the network, no
    /// circuit, a timer that ran out, an error of the protocol. The call was not ended, it was lost.
    ///
    /// ## Why it happens
    /// Something broke at the side that sent the BYE, or behind it: a gateway lost its line, a server its neighbour, a
    /// conference its bridge. Or the network cut the call off: the credit was used up, the call had lasted as long as
    /// it may, or one of higher priority needed its place. What it was stands in the log of that side.
    ///
    /// ## Evidence
    /// The first BYE of an answered call, with a Reason of Q.850 whose cause is one of 27, 34, 38, 41, 42, 44, 47, 102
    /// and 111, or of SIP with one of 402, 403, 408, 481, 500, 502, 503 and 504, or of preemption, or of an IMS device
    /// that missed an ACK or a response (`RELEASE_CAUSE`, 4 or 5); or with a text that names the credit or the longest
    /// duration of a call, whatever the cause; or with such a cause in X-Asterisk-HangupCauseCode.
    ///
    /// ## How to fix
    /// Follow the Call-ID, or number and time, in the log of the side that sent the BYE.
    ///
    /// ## When it would be wrong
    /// Some gateways write the same cause into every BYE: see what it says where a person has hung up. Where the
    /// capture shows what ended the call, that is told in its place (`session-timer-expired`,
    /// `media-inactivity-teardown`, `ack-missing`).
    ///
    /// ## References
    /// RFC 3326 §2; RFC 4411 §5; RFC 3261 §15
    "C23" "ended-by-failure" needs [ANSWERED BYE], check
}

/// Causes of Q.850 that tell of a fault, and not of what a party did.
const FAULTS: [u32; 9] = [27, 34, 38, 41, 42, 44, 47, 102, 111];
/// Status codes that tell of a fault of a server, or of a dialog that is lost.
const FAILED: [u32; 6] = [408, 481, 500, 502, 503, 504];
/// Status codes that tell that a server cut the call off, as when the credit is used up.
const CUT_OFF: [u32; 2] = [402, 403];
/// How a Reason speaks of the longest duration of a call, in lower case.
const TOO_LONG: [&str; 10] = [
    "max duration",
    "maximum duration",
    "call duration",
    "duration limit",
    "duration exceeded",
    "max call time",
    "maximum call time",
    "call time limit",
    "time limit",
    "allotted",
];
/// What the causes of preemption mean (RFC 4411 §5).
const PREEMPTED: [(u32, &str); 5] = [
    (1, "the device of a party took a call of higher priority"),
    (2, "its reserved resources were given to a call of higher priority"),
    (3, "it gave way to a call of higher priority"),
    (4, "it gave way to a call of higher priority outside the IP network"),
    (5, "the network gave its place to a call of higher priority"),
];
/// Causes with which a device of an IMS network says that a SIP message did not come (3GPP TS 24.229 §7.2A.18), and
/// what.
const MISSED: [(u32, &str); 2] = [(4, "no ACK came"), (5, "no SIP response came")];

fn check(case: &Case<'_>) -> Option<Finding> {
    let bye = case.first_bye()?.request;
    let (_, success) = case.answer()?;
    let said = Said::of(case, bye)?;
    let finding = Finding::of(&RULE, Confidence::Likely).explains(success.message.status()).drops_the_call();
    let behind = case.refused_behind_answer().filter(|refusal| said.is_of(refusal));
    let finding = match behind {
        Some(refusal) => finding.sender(Role::Uas, refusal),
        None => finding.sender(case.side(bye).role(), bye),
    };
    if !case.wants_words() {
        return Some(finding);
    }
    let source = bye.path.source;
    let meaning = match behind.and_then(|refusal| Some((refusal.path.source, refusal.message.status()?))) {
        Some((refuser, status)) => format!(
            "{refuser} had refused the leg behind {source} with {status} and that cause, before {source} answered the \
             call itself: the fault is at {refuser} or behind it."
        ),
        None => said.meaning(source),
    };
    let finding = finding.because(format!(
        "{source} ended the call {} after the answer, and its BYE says why: {}{}. {meaning}",
        length(bye.place.time.since(success.place.time)),
        said.what(),
        said.text()
    ));
    let finding = said.advise(finding, behind.map_or(source, |refusal| refusal.path.source));
    let finding = match behind {
        Some(refusal) => finding.claim_status(refusal, "the leg behind was refused before the call was answered"),
        None => finding,
    };
    let finding = finding.claim_status(success, "the call was answered").claim_method(bye, "the end of the call");
    Some(said.claim(finding, bye))
}

/// What a BYE says of the end.
enum Said<'a> {
    Reason(&'a Reason),
    /// A cause of Q.850 in a header of Asterisk.
    Asterisk(u32),
}

impl<'a> Said<'a> {
    /// What it says of a fault, if it does.
    fn of(case: &Case<'_>, bye: &'a Heard) -> Option<Said<'a>> {
        let by_reason = case.reasons(bye).iter().find(|reason| is_fault(reason)).map(Said::Reason);
        by_reason.or_else(|| {
            let cause = asterisk_cause(&bye.message)?;
            FAULTS.contains(&cause).then_some(Said::Asterisk(cause))
        })
    }

    /// True if a refusal says the same cause of Q.850.
    fn is_of(&self, refusal: &Heard) -> bool {
        let own = self.cause().map(|known| u32::from(known.cause));
        own.is_some() && own == q850_cause(&refusal.message)
    }

    fn reason(&self) -> Option<&'a Reason> {
        match self {
            Said::Reason(reason) => Some(reason),
            Said::Asterisk(_) => None,
        }
    }

    /// The same, if somebody on the way cut the call off.
    fn cut_off(&self) -> Option<&'a Reason> {
        self.reason().filter(|reason| is_cut_off(reason))
    }

    /// The cause of Q.850, if it is one that has a name.
    fn cause(&self) -> Option<&'static Q850Cause> {
        let cause = match self {
            Said::Reason(reason) => reason.q850(),
            Said::Asterisk(cause) => Some(*cause),
        };
        cause.and_then(|cause| u8::try_from(cause).ok()).and_then(q850)
    }

    /// Its protocol and cause, as a sentence names them.
    fn what(&self) -> String {
        match (self, self.cause()) {
            (_, Some(known)) => format!("cause {} of Q.850, {}", known.cause, known.name),
            (Said::Asterisk(cause), None) => format!("cause {cause} of Q.850"),
            (Said::Reason(Reason { protocol, cause, .. }), None) => match (cause, self.reason().and_then(missed)) {
                (_, Some(missed)) => format!("{protocol} {}, {missed}", cause.unwrap_or_default()),
                (Some(cause), None) => format!("{protocol} {cause}"),
                (None, None) => protocol.clone(),
            },
        }
    }

    /// Its text in brackets. Many write the name of the cause there, which is told already.
    fn text(&self) -> String {
        let is_told = |text: &&str| self.cause().is_some_and(|known| known.name.eq_ignore_ascii_case(text));
        let text = self.reason().and_then(|reason| reason.text.as_deref());
        let text = text.filter(|text| !text.is_empty() && !is_told(text));
        text.map(|text| format!(" (\"{text}\")")).unwrap_or_default()
    }

    /// The sentence about what that means.
    fn meaning(&self, source: SocketAddr) -> String {
        match self.cut_off() {
            Some(reason) => format!("{source} or a server behind it cut the call off: {}.", cut_off_for(reason)),
            None => format!("That is a fault at {source} or behind it, and no wish of a party."),
        }
    }

    /// With a title of its own where the call was cut off, and what to do.
    fn advise(&self, finding: Finding, source: SocketAddr) -> Finding {
        let finding = match self.cut_off() {
            Some(reason) if is_preemption(reason) => finding
                .titled("The call was cut off for one of higher priority")
                .fix(
                    "If this call should not have given way, look at its priority (Resource-Priority), and who may \
                     have a higher one.",
                )
                .fix(format!("Look in the log of {source}, or of the network behind it, which call took its place.")),
            Some(_) => finding.titled("A server cut the call off").fix(format!(
                "Look at the credit and the limits of the account, and in the log of {source} for the rule that ended \
                 it."
            )),
            None => finding.fix(format!(
                "Follow this Call-ID in the log of {source}: what failed there, or in the network behind it, at that \
                 moment?"
            )),
        };
        match self.cause().filter(|_| self.cut_off().is_none()) {
            Some(known) => finding.fix(known.fix.clone()),
            None => finding,
        }
    }

    fn claim(&self, finding: Finding, bye: &Heard) -> Finding {
        let says = "why, as its sender says";
        match self.reason() {
            Some(reason) => finding.claim_header_with(bye, "Reason", &reason.protocol, says),
            None => match bye.message.header_line(ASTERISK_CAUSE) {
                Some(line) => finding.claim(bye, "sip.msg_hdr", line, says),
                None => finding,
            },
        }
    }
}

/// True if a Reason tells of a fault, or that somebody on the way cut the call off.
pub(in crate::diagnosis::rules) fn is_fault(reason: &Reason) -> bool {
    reason.q850().is_some_and(|cause| FAULTS.contains(&cause))
        || reason.sip().is_some_and(|code| FAILED.contains(&code))
        || missed(reason).is_some()
        || is_cut_off(reason)
}

fn is_preemption(reason: &Reason) -> bool {
    reason.protocol.eq_ignore_ascii_case("preemption")
}

/// True if a Reason says that somebody on the way cut the call off.
pub(in crate::diagnosis::rules) fn is_cut_off(reason: &Reason) -> bool {
    let said = words_of(reason);
    let by_words = || says_no_money(&said) || says_too_long(&said);
    is_preemption(reason) || reason.sip().is_some_and(|code| CUT_OFF.contains(&code)) || by_words()
}

/// The text of a Reason, for looking for words in it.
pub(in crate::diagnosis::rules) fn words_of(reason: &Reason) -> String {
    reason.text.as_deref().unwrap_or_default().to_lowercase().replace('_', " ")
}

/// True of words that name the longest duration of a call, in lower case.
fn says_too_long(words: &str) -> bool {
    TOO_LONG.iter().any(|known| says_words(words, known)) && states_reached(words, &TOO_LONG)
}

/// What for, as its Reason says.
fn cut_off_for(reason: &Reason) -> &'static str {
    let known = PREEMPTED.iter().find(|(cause, _)| is_preemption(reason) && reason.cause == Some(*cause));
    match known {
        Some((_, meaning)) => meaning,
        None if is_preemption(reason) => "it gave way to a call of higher priority",
        None if reason.sip() == Some(402) => "it was not paid for any longer",
        None if says_no_money(&words_of(reason)) => "no credit was left for it",
        None if says_too_long(&words_of(reason)) => "it had lasted as long as it may",
        None => "it was not allowed to go on",
    }
}

/// What a device missed, as its Reason says.
fn missed(reason: &Reason) -> Option<&'static str> {
    let cause = reason.release_cause()?;
    MISSED.iter().find(|(known, _)| *known == cause).map(|(_, what)| *what)
}
