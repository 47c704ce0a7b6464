use std::borrow::Cow;
use std::time::Duration;

use crate::call::Heard;
use crate::call::timer::OVERDUE;
use crate::diagnosis::case::ENOUGH_REPEATS;
use crate::diagnosis::dialogs::{from_tag, to_tag};
use crate::diagnosis::rule::rule;
use crate::diagnosis::words::{length, list, source_field};
use crate::diagnosis::{Case, Confidence, Finding, Role, Severity};
use crate::sip::{HeaderName, Method};

rule! {
    /// Several devices answered, and not all of them were released.
    ///
    /// ## What it says
    /// A forked call was answered more than once. The caller's side must confirm each answer and end those that it does
    /// not want with BYE; one of them was left standing.
    ///
    /// ## Why it happens
    /// Two devices answered in the same moment, and the caller's software knows only the first answer.
    ///
    /// ## Evidence
    /// 2xx responses to one INVITE with different To tags, and one of them without ACK and BYE. The BYE with which its
    /// sender gives up after 64·T1 is no release. Or both have their ACK, the call with the first of them is ended by
    /// BYE in the end, and that with the later one is not, nor is anything heard of it until 64·T1 after that: then it
    /// is possible only.
    ///
    /// ## How to fix
    /// Report it to the maker of the caller's software, or let the proxy end the extra branch.
    ///
    /// ## When it would be wrong
    /// The ACK and BYE may go another way than past the capture. A caller that confirmed both answers may have gone on
    /// with the later one.
    ///
    /// ## References
    /// RFC 3261 §13.2.2.4
    "C16" "fork-not-released" needs [ANSWERED], check
}

fn check(case: &Case<'_>) -> Option<Finding> {
    unconfirmed(case).or_else(|| not_ended(case))
}

/// An answer got neither ACK nor BYE.
fn unconfirmed(case: &Case<'_>) -> Option<Finding> {
    let Left { kept, left } = left_standing(case)?;
    let tags = tags_of(kept, left);
    // One that is not repeated may have got its ACK past the capture, unless those of the other are in it.
    let is_kept = case.acks_to(kept).next().is_some();
    let waits = left.repeated >= ENOUGH_REPEATS || is_kept;
    let finding = Finding::of(&RULE, if waits { Confidence::Likely } else { Confidence::Possible });
    let finding = match (waits, is_kept) {
        // The call goes on with the other device.
        (true, true) => finding.explains(left.message.status()),
        (true, false) => finding.explains(left.message.status()).drops_the_call(),
        (false, _) => finding.severity(Severity::Warning),
    };
    let gave_up = given_up(case, left);
    let fate = match gave_up {
        Some(bye) => {
            let after = length(bye.place.time.since(left.place.time));
            format!("stood in a call with nobody, and gave it up {after} later")
        }
        None => "is left in a call with nobody".to_owned(),
    };
    let caller = left.path.destination;
    let device = case.as_written(left);
    let is_named = device.id != left.id;
    let who =
        if is_named { format!("{} sent it, and {fate}", device.path.source) } else { format!("that device {fate}") };
    let finding = finding
        .party(Role::Uac, Some(caller))
        .because(format!(
            "The INVITE was answered more than once (To tags {}), and the answer with the tag {:?} got neither ACK \
             nor BYE: {who}.",
            list(&tags),
            to_tag(left).unwrap_or_default()
        ))
        .fix(format!("Let {caller} confirm each answer with ACK and end the ones it does not want with BYE."))
        .claim(kept, "sip.to.tag", to_tag(kept).unwrap_or_default(), "one answer")
        .claim(left, "sip.to.tag", to_tag(left).unwrap_or_default(), "another answer")
        .claim_absent(left.place, "ACK, or a BYE of the caller's side, with this tag", "it is not released");
    let finding = match is_named {
        true => {
            let source = device.path.source.ip();
            finding.claim(device, source_field(source), source.to_string(), "the device that sent this answer")
        }
        false => finding,
    };
    Some(match gave_up {
        Some(bye) => finding.claim_method(bye, "that device gives up"),
        None => finding,
    })
}

/// Both answers got their ACK, and only the call with the first one its BYE.
fn not_ended(case: &Case<'_>) -> Option<Finding> {
    let (Left { kept, left }, bye) = confirmed_and_left(case)?;
    let (tags, caller) = (tags_of(kept, left), left.path.destination);
    let (kept_tag, left_tag) = (to_tag(kept)?, to_tag(left)?);
    let device = case.as_written(left);
    Some(
        Finding::of(&RULE, Confidence::Possible)
            .explains(left.message.status())
            .party(Role::Uac, Some(caller))
            .because(format!(
                "The INVITE was answered more than once (To tags {}), and each answer got its ACK. A BYE ended the \
                 call with the tag {kept_tag:?} {} after its answer. That with the tag {left_tag:?} got none in the \
                 {} from then to the end of the capture, and nothing is heard of it: {}, which sent this answer, is \
                 left in a call with nobody, if the caller did not go on with it.",
                list(&tags),
                length(bye.place.time.since(kept.place.time)),
                length(case.tail(bye.place)),
                device.path.source
            ))
            .fix(format!(
                "Let {caller} end each answer that it does not want with BYE, once it has confirmed it with ACK."
            ))
            .claim(kept, "sip.to.tag", &*kept_tag, "one answer")
            .claim(left, "sip.to.tag", &*left_tag, "another answer")
            .claim_method(case.acks_to(left).next()?, "it is confirmed")
            .claim_method(bye, "the call with the first one is ended")
            .claim_absent(bye.place, "a BYE with the tag of the other answer", "it is not released"),
    )
}

fn tags_of(kept: &Heard, left: &Heard) -> Vec<String> {
    [kept, left].iter().filter_map(|heard| to_tag(heard)).map(Cow::into_owned).collect()
}

/// Two answers that were both confirmed, the first of which was ended by a BYE that is no release at once, and the
/// later one not; with that BYE.
fn confirmed_and_left<'a>(case: &Case<'a>) -> Option<(Left<'a>, &'a Heard)> {
    /// Who ends an answer sooner than this releases it, and talks with the other one.
    const TALKED: Duration = Duration::from_secs(5);
    case.call.attempts().find_map(|attempt| {
        let mut answers: Vec<&Heard> = case
            .finals(attempt)
            .filter(|heard| heard.message.status().is_some_and(|status| status.is_success()))
            .collect();
        answers.dedup_by_key(|heard| to_tag(heard));
        let [kept, left] = answers.as_slice() else { return None };
        let bye = case.asked_first(&Method::Bye).map(|bye| bye.request).find(|bye| is_of(bye, kept))?;
        let is_confirmed = |answer: &'a Heard| case.acks_to(answer).next().is_some();
        let talked = bye.place.time.since(kept.place.time) >= TALKED;
        // Whatever is heard of it after that shows that somebody still knows it, or that it was ended.
        let is_heard = case.call.messages.iter().any(|heard| {
            let is_end = heard.message.method() == Some(&Method::Bye);
            is_of(heard, left) && (is_end || heard.place > bye.place && heard.message.method().is_some())
        });
        // Of a BYE that was cut before its tags, nobody can tell which of them it ends.
        let is_lost =
            |bye: &Heard| [HeaderName::From, HeaderName::To].iter().any(|name| bye.message.ends_before_end_of(*name));
        let is_heard = is_heard || case.asked(&Method::Bye).any(|bye| is_lost(bye.request));
        let is_ended = is_heard || case.unseen_of_dialog(&Method::Bye, left).next().is_some();
        let is_left = talked && [*kept, *left].into_iter().all(is_confirmed) && !is_ended;
        (is_left && case.tail(bye.place) >= OVERDUE).then_some((Left { kept, left }, bye))
    })
}

/// True if a request is of the dialog of this answer.
fn is_of(request: &Heard, answer: &Heard) -> bool {
    let tags = [from_tag(request), to_tag(request)];
    request.message.call_id() == answer.message.call_id()
        && tags.contains(&from_tag(answer))
        && tags.contains(&to_tag(answer))
}

/// Two answers to one INVITE.
pub(in crate::diagnosis::rules) struct Left<'a> {
    /// One of another device.
    pub kept: &'a Heard,
    /// The one that got neither ACK nor BYE.
    pub left: &'a Heard,
}

/// The answer that was left standing beside another one, if the time for its ACK is over.
pub(in crate::diagnosis::rules) fn left_standing<'a>(case: &Case<'a>) -> Option<Left<'a>> {
    let found = case.call.attempts().find_map(|attempt| {
        let mut answers: Vec<&Heard> = case
            .finals(attempt)
            .filter(|heard| heard.message.status().is_some_and(|status| status.is_success()))
            .collect();
        if answers.len() < 2 {
            return None;
        }
        answers.dedup_by_key(|heard| to_tag(heard));
        let left = answers.iter().copied().find(|heard| !is_released(case, heard))?;
        let kept = answers.iter().copied().find(|heard| to_tag(heard) != to_tag(left))?;
        Some(Left { kept, left })
    });
    found.filter(|found| case.tail(found.left.place) >= OVERDUE)
}

fn is_released(case: &Case<'_>, answer: &Heard) -> bool {
    let tag = to_tag(answer);
    let acked = case.acks_to(answer).next().is_some();
    let mut byes = case.asked(&Method::Bye).map(|bye| bye.request);
    // Who waited for its ACK in vain ends its call by itself: that is no release.
    let ended = byes.any(|bye| to_tag(bye) == tag || from_tag(bye) == tag && !case.gives_up(answer, bye));
    acked || ended || case.unseen_of_dialog(&Method::Bye, answer).next().is_some()
}

/// The BYE with which a device that nobody confirmed gave its call up.
fn given_up<'a>(case: &Case<'a>, answer: &Heard) -> Option<&'a Heard> {
    let mut byes = case.asked_first(&Method::Bye).map(|bye| bye.request);
    byes.find(|bye| from_tag(bye) == to_tag(answer) && case.gives_up(answer, bye))
}
