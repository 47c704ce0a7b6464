use std::time::Duration;

use crate::call::{AnsweredBefore, Heard, Transaction};
use crate::catalogue::q850;
use crate::diagnosis::early_end::{CancelSays, EarlyEnd, cancel_says, says_only_cancelled};
use crate::diagnosis::rule::rule;
use crate::diagnosis::words::{a_code, alerts, capture_at, length, shows, times};
use crate::diagnosis::{Case, Confidence, Finding, Role};
use crate::sip::Reason;

rule! {
    /// The caller's side gave up before an answer.
    ///
    /// ## What it says
    /// The side that placed the call cancelled it. The 487 that follows is the normal end, and no fault.
    ///
    /// ## Why it happens
    /// Nobody answered in the time that the caller, or its own timer, was willing to wait.
    ///
    /// ## Evidence
    /// A CANCEL on the caller's own hop, without a Reason, with one that means normal clearing (Q.850 16 or 31), with
    /// one of an IMS device that says that its user ended the call (`RELEASE_CAUSE;cause=1`), or with one that only
    /// repeats that the caller cancels (`SIP;cause=487;text="ORIGINATOR_CANCEL"` of FreeSWITCH). If the sender of a
    /// CANCEL without a Reason had answered somebody who dialled a feature code (`*8`) at most half a second before, it
    /// is likely only: the call may have been picked up. If the INVITE came with several Vias, its sender is a proxy,
    /// and without a Reason it is no more than possible: the no-answer timer of a proxy cancels just so
    /// (`ring-timeout`), and so does a proxy that got an answer elsewhere. The same where the capture cut the CANCEL
    /// off within its headers: a Reason may stand behind the cut. If a provisional response carries a Q.850 cause of
    /// the number, the callee or the trunk (RFC 6432), the network had given up before.
    ///
    /// ## How to fix
    /// Nothing has to be done. If many calls end so after the same time, look for a timer on the caller's side.
    ///
    /// ## When it would be wrong
    /// A CANCEL with another Reason (`cancelled-with-reason`, `answered-elsewhere`); a CANCEL that exists only behind a
    /// proxy (`ring-timeout`). It does not tell whether a person or a timer gave up.
    ///
    /// ## References
    /// RFC 3261 §9.1; RFC 3326 §2
    "C10a" "caller-abandoned" needs [CANCEL], check
}

/// After so long without ringing it is the silence that needs explaining: `silent-downstream`.
const SILENCE: Duration = Duration::from_secs(10);

/// A provisional response whose Reason has a Q.850 cause of the number, the callee or the trunk: the network has given
/// up, and goes on only to say so in an announcement (RFC 6432 §1).
fn announced<'a>(case: &Case<'a>, invite: &'a Transaction) -> Option<(&'a Heard, u8)> {
    case.provisionals(invite).find_map(|heard| Some((heard, u8::try_from(case.telling_cause(heard)?).ok()?)))
}

fn check(case: &Case<'_>) -> Option<Finding> {
    let seen = GivenUp::of(case)?;
    let source = seen.cancel.path.source;
    let (confidence, role) = seen.confidence_and_role();
    let finding = Finding::of(&RULE, confidence).party(role, Some(source));
    let finding = match seen.is_silent() {
        true => finding.about_end(case),
        false => finding.explains_calmly(case.call.final_status),
    };
    if !case.wants_words() {
        return Some(finding);
    }
    let announced = announced(case, seen.invite);
    let finding = finding.because(seen.explanation(case, announced));
    let finding = match announced {
        Some((heard, cause)) => finding.fix(look_behind(heard, cause)).claim_header_with(
            heard,
            "Reason",
            "850",
            "why the call could not go on (RFC 6432)",
        ),
        None => match seen.in_vain {
            Some(request) => told_in_vain(finding, request, seen.cancel),
            None => finding.fix("Nothing has to be done, if the caller meant to give up."),
        },
    };
    let finding = seen.prove(case, finding);
    Some(match seen.by_proxy {
        true => finding.next_capture(capture_at(source.ip(), seen.cancel.path)),
        false if seen.is_cut => finding,
        false => refute(finding, seen.before),
    })
}

/// A CANCEL of the caller's side that gives no other reason than that it gave up, and what was seen before it.
struct GivenUp<'a> {
    cancel: &'a Heard,
    reasons: &'a [Reason],
    /// What its sender had answered just before.
    before: Option<AnsweredBefore>,
    /// The INVITE that it ends.
    invite: &'a Transaction,
    /// How long that had waited.
    waited: Duration,
    /// What tells how long the call was under way.
    ring: Option<&'a Heard>,
    /// The request that had been sent on behind it again and again without an answer.
    in_vain: Option<&'a Heard>,
    /// True if more than 100 came back.
    progress: bool,
    /// True if a proxy may have cancelled.
    by_proxy: bool,
    /// True if a Reason that says more may stand behind the cut.
    is_cut: bool,
    /// True if what came back there is not in the capture at all, so that nobody knows whether it rang.
    is_one_way: bool,
}

impl<'a> GivenUp<'a> {
    fn of(case: &Case<'a>) -> Option<GivenUp<'a>> {
        let Some(EarlyEnd::Cancel(cancel)) = case.early_end() else { return None };
        let reasons = case.reasons(cancel);
        let before = case.answered_before(cancel);
        if cancel_says(reasons) != CancelSays::GivenUp
            || before.is_some_and(|before| !matches!(before, AnsweredBefore::ToAFeatureCode(_)))
        {
            return None;
        }
        let deciding = case.deciding()?;
        let invite = case.call.request_of(deciding)?;
        let (client, server) = (invite.path.source.ip(), invite.path.destination.ip());
        let progresses = |heard: &Heard| heard.message.status().is_some_and(|status| status.get() > 100);
        let has_progress = case.provisionals(deciding).any(progresses);
        let ring = case.alerting_or_progress(deciding.id);
        Some(GivenUp {
            cancel,
            reasons,
            before,
            invite: deciding,
            waited: cancel.place.time.since(invite.place.time),
            ring,
            in_vain: sent_on_in_vain(case, deciding, cancel).filter(|_| !has_progress && ring.is_none()),
            progress: has_progress,
            by_proxy: case.came_through_proxy() && reasons.is_empty(),
            is_cut: cancel.message.has_cut_head(),
            is_one_way: !case.has_response(deciding) && case.surroundings.hop(server, client).is_none(),
        })
    }

    fn confidence_and_role(&self) -> (Confidence, Role) {
        match self.before {
            _ if self.by_proxy => (Confidence::Possible, Role::Nobody),
            _ if self.is_cut && self.reasons.is_empty() => (Confidence::Possible, Role::Uac),
            _ if self.is_cut => (Confidence::Likely, Role::Uac),
            // Who had just answered to a feature code may be an exchange at which this call was picked up.
            Some(_) => (Confidence::Likely, Role::Uac),
            None => (Confidence::Proven, Role::Uac),
        }
    }

    /// True if the silence before the CANCEL is what needs explaining.
    fn is_silent(&self) -> bool {
        let is_explained = self.progress || self.is_one_way || self.in_vain.is_some();
        self.ring.is_none() && !is_explained && self.waited >= SILENCE
    }

    fn explanation(&self, case: &Case<'_>, announced: Option<(&Heard, u8)>) -> String {
        let source = self.cancel.path.source;
        let sender = if self.by_proxy { source.to_string() } else { format!("The caller's side ({source})") };
        let it = if announced.is_some() { "the CANCEL" } else { "it" };
        let (reason, _) = self.reason();
        let behind_cut = if self.is_cut && self.reasons.is_empty() { BEHIND_CUT } else { "" };
        let behind_proxy = if self.by_proxy { BEHIND_PROXY } else { "" };
        format!(
            "{sender} cancelled the call {} after the INVITE, {}. {}; {it} gives \
             {reason}.{behind_cut}{behind_proxy}{}",
            length(self.waited),
            self.state(),
            self.judgement(case, announced),
            picked_up(self.cancel, self.before)
        )
    }

    /// How far the call had come.
    fn state(&self) -> String {
        let since = |heard: &Heard| length(self.cancel.place.time.since(heard.place.time));
        match self.ring {
            Some(ring) if alerts(ring) => format!("after it had rung for {}", since(ring)),
            Some(progress) => {
                format!("{} after {}, which does not say that a device rings", since(progress), a_code(progress))
            }
            None if self.progress => "before it was answered".to_owned(),
            None if self.is_one_way => "and this capture holds nothing of what came back".to_owned(),
            None => "before it rang".to_owned(),
        }
    }

    /// Whether that is in order, as far as what came back tells.
    fn judgement(&self, case: &Case<'_>, announced: Option<(&Heard, u8)>) -> &'static str {
        match case.finals(self.invite).next() {
            _ if self.is_silent() && self.invite.provisionals.is_empty() => "Until then nothing had come back",
            _ if self.is_silent() => "Until then nothing but 100 had come back",
            Some(_) if announced.is_some() => "Before it, a provisional response had said why the call could not go on",
            Some(_) if self.in_vain.is_some() => "Until then its way on was silent",
            Some(_) => "Nothing is wrong with that",
            None if self.is_one_way => "Nothing is wrong with that",
            None if !self.invite.acks.is_empty() => {
                "Its ACK shows that the INVITE was ended, by a response that was not captured"
            }
            None => "No final response to the INVITE follows",
        }
    }

    /// The reason that the CANCEL gives, and what its Reason says, where it has one.
    fn reason(&self) -> (&'static str, &'static str) {
        match () {
            () if self.reasons.is_empty() && self.is_cut => ("no reason before the cut", "normal clearing"),
            () if self.reasons.is_empty() => ("no reason", "normal clearing"),
            () if self.reasons.iter().any(Reason::says_user_ended) => {
                ("as the reason that the user ended it", "the user ended the call")
            }
            () if self.reasons.iter().any(says_only_cancelled) => {
                ("no other reason than that", "the caller cancels, and no more")
            }
            () => ("normal clearing as the reason", "normal clearing"),
        }
    }

    fn prove(&self, case: &Case<'_>, finding: Finding) -> Finding {
        let (_, says) = self.reason();
        let cancels = if self.by_proxy { "this hop cancels" } else { "the caller's side cancels" };
        let mut finding = finding.claim_method(self.cancel, cancels).claim_header(self.cancel, "Reason", says);
        if let Some(AnsweredBefore::ToAFeatureCode(answer)) = self.before {
            let answers = "the sender of the CANCEL answers who dialled a code";
            finding = finding.claim_at(answer, "sip.Status-Code", "200", answers);
        }
        if let Some(ring) = self.ring {
            finding = finding.claim_status(ring, shows(ring));
        }
        match case.finals(self.invite).last() {
            Some(last) => finding.claim_status(last, "the end of the INVITE that the CANCEL asked for"),
            None => finding,
        }
    }
}

/// Copies of a request that are wanted before its silence counts.
const ENOUGH_COPIES: usize = 3;

/// The request that the callee's side had sent on, in several copies before the CANCEL, without any response to it.
fn sent_on_in_vain<'a>(case: &Case<'a>, invite: &Transaction, cancel: &Heard) -> Option<&'a Heard> {
    let silent = case.call.downstream_of(invite.id).filter(|inner| !case.has_response(inner));
    let sent = silent.filter_map(|inner| case.call.request_of(inner));
    sent.filter(|request| copies_before(request, cancel) >= ENOUGH_COPIES).last()
}

fn copies_before(request: &Heard, cancel: &Heard) -> usize {
    1 + request.repeats.iter().filter(|copy| **copy < cancel.place).count()
}

/// The finding with what to look at where the way on was silent.
fn told_in_vain(finding: Finding, request: &Heard, cancel: &Heard) -> Finding {
    let (sender, next) = (request.path.source, request.path.destination);
    let copies = u32::try_from(copies_before(request, cancel)).unwrap_or(u32::MAX);
    let seen = format!(
        "{} Behind it {sender} had sent the INVITE {} to {next}, and nothing had come back.",
        finding.explanation.raw(),
        times(copies)
    );
    finding
        .because(seen)
        .fix(format!("Look at {next} and at the way there: why does it not answer {sender}?"))
        .claim_method(request, "the request that was sent on in vain")
}

/// What to do about a cause that was announced.
fn look_behind(heard: &Heard, cause: u8) -> String {
    let sender = heard.path.source;
    let fix = q850(cause).map(|known| known.fix.clone()).unwrap_or_default();
    format!("Look behind {sender}, which gave the Q.850 cause {cause} and may have played an announcement. {fix}")
}

/// Names the rivals that a CANCEL on the caller's own hop rules out.
fn refute(finding: Finding, before: Option<AnsweredBefore>) -> Finding {
    let finding = match before {
        Some(_) => finding,
        None => finding.refuted("answered-elsewhere", "the CANCEL does not say so, and no other branch was answered"),
    };
    finding.refuted("ring-timeout", "the CANCEL is on the caller's own hop, and not only behind a proxy")
}

/// What a CANCEL may still say that the capture cut off.
const BEHIND_CUT: &str =
    " A Reason behind the cut may say otherwise: that the call was answered elsewhere, or that a timer ran out.";

/// Who may have cancelled, where the INVITE came through a proxy and the CANCEL gives no reason.
const BEHIND_PROXY: &str = " The INVITE had passed a proxy before this point (more than one Via), so it was the \
                            caller who gave up, or a proxy whose no-answer timer ran out or that got an answer \
                            elsewhere.";

/// That the call may have been picked up by somebody whom the sender of its CANCEL had just answered.
fn picked_up(cancel: &Heard, before: Option<AnsweredBefore>) -> String {
    let Some(AnsweredBefore::ToAFeatureCode(answer)) = before else { return String::new() };
    format!(
        " But {} before it had answered somebody who had dialled a feature code: if that picked this call up, it was \
         answered elsewhere.",
        length(cancel.place.time.since(answer.time))
    )
}

impl Finding {
    /// It is about the final code of the call without explaining it.
    fn about_end(self, case: &Case<'_>) -> Finding {
        match case.call.final_status {
            Some(status) => self.about(status),
            None => self,
        }
    }
}
