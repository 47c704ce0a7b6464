use std::time::Duration;

use crate::call::{Heard, Rung, RungUntil, timer};
use crate::diagnosis::early_end::{CancelSays, EarlyEnd, cancel_says};
use crate::diagnosis::rule::rule;
use crate::diagnosis::words::{a_code, alerts, length, shows};
use crate::diagnosis::{Case, Confidence, Finding, Role};
use crate::sip::StatusCode;

rule! {
    /// Nobody answered, and a timer on the way ended the ringing.
    ///
    /// ## What it says
    /// The callee's side rang, and a system between caller and callee stopped waiting. Neither caller nor callee ended
    /// the call.
    ///
    /// ## Why it happens
    /// Every proxy and exchange has a no-answer timer; voice mail or forwarding often hangs on it.
    ///
    /// ## Evidence
    /// After a 180 or 183: a CANCEL only behind the system that rings, while the caller sent none; or a 408 to the
    /// INVITE; or an end after more than three minutes, which is timer C; or three calls and more that the same system
    /// cancelled after the same round time, or ended with 487 without a CANCEL (two that a device refused), which
    /// people do not do; or a 487 just when the time was over that the INVITE allows in Expires.
    ///
    /// ## How to fix
    /// If the time is too short, raise the no-answer timer of that system, or let it forward to voice mail.
    ///
    /// ## When it would be wrong
    /// If the caller cancelled and the capture does not hold that hop. A CANCEL because another device answered is
    /// `answered-elsewhere`.
    ///
    /// ## References
    /// RFC 3261 §16.6, §16.8, §13.3.1.1
    "C18" "ring-timeout" needs [PROVISIONAL], check
}

/// Calls that one system cancelled after the same time.
const ENOUGH_CANCELS: usize = 3;
/// Calls that one device refused after the same round time.
const ENOUGH_REFUSALS: usize = 2;
/// What is near in time, in milliseconds.
const NEAR_MILLIS: u32 = 5_000;

fn check(case: &Case<'_>) -> Option<Finding> {
    if was_answered(case) {
        return None;
    }
    match case.early_end() {
        Some(EarlyEnd::InnerCancel) => {
            // What was begun after a CANCEL went on without it, and ended the call in its own way.
            let (invite, cancel, before) = case.last_cancelled(case.deciding()?)?;
            let ring = case.alerting_or_progress(invite.id).filter(|ring| ring.place < cancel.place)?;
            let rang = cancel.place.time.since(ring.place.time);
            let outer = case.outer_failure().map(|outer| outer.status.get());
            if outer.is_some_and(|code| !matches!(code, 408 | 480 | 486 | 487 | 500..)) {
                return None; // Something else that was tried failed: a timer gives no such code.
            }
            // Who says that it failed itself did not wait for a timer, unless it ends after a time as timers have it.
            let says_it_failed = matches!(outer, Some(500..=503 | 505..=599));
            let millis = u32::try_from(rang.as_millis()).unwrap_or(u32::MAX);
            if says_it_failed && !is_round(millis, RungUntil::Cancel) {
                return None;
            }
            let finding = tell(case, ring, cancel, rang, before).claim_method(cancel, "this hop cancels");
            let place = case.deciding().and_then(|deciding| case.call.request_of(deciding))?.place;
            Some(finding.claim_absent(place, "a CANCEL of the caller's side", "the caller did not give up"))
        }
        Some(EarlyEnd::Cancel(cancel)) => by_plateau(case).or_else(|| by_timer_c(case, cancel)),
        Some(EarlyEnd::Bye(_)) => None,
        Some(EarlyEnd::Unknown(_)) => by_expiry(case).or_else(|| by_code(case)).or_else(|| by_plateau(case)),
        None => by_code(case).or_else(|| by_plateau(case)),
    }
}

/// True if somebody answered before the caller was told the end, on whatever hop, and whether or not the caller heard
/// of it.
fn was_answered(case: &Case<'_>) -> bool {
    let end = case.outer_failure().map(|failure| case.response(failure).place);
    case.answers().any(|(_, success)| end.is_none_or(|end| success.place < end))
}

/// Several calls that the same system ended after the same time.
pub(super) fn by_plateau(case: &Case<'_>) -> Option<Finding> {
    let deciding = case.deciding()?;
    let (end, rung) = Rung::of(case.call, deciding)?;
    let is_given_up = rung.until != RungUntil::Cancel || cancel_says(case.reasons(end)) == CancelSays::GivenUp;
    let millis = [rung.rang_millis, rung.asked_millis].into_iter().find(|millis| is_round(*millis, rung.until))?;
    let known = || case.surroundings.neighbours().rings().of(end.path.source.ip());
    let like = known().filter(|other| other.is_like(&rung)).count();
    let near = known().filter(|other| other.is_near(&rung, NEAR_MILLIS)).count();
    let enough = if rung.until == RungUntil::Refusal { ENOUGH_REFUSALS } else { ENOUGH_CANCELS };
    // People end calls after any time: a timer stands out among what is near it.
    if !is_given_up || like < enough || like * 2 < near {
        return None;
    }
    let ring = case.alerting_or_progress(deciding.id)?;
    let (hop, length) = (end.path.source, length(Duration::from_millis(u64::from(millis))));
    let status = case.call.final_status;
    let finding = Finding::of(&RULE, Confidence::Likely);
    let finding = match rung.until {
        RungUntil::Cancel => finding.explains_calmly(status).claim_method(end, "the end of the ringing"),
        RungUntil::Refusal => finding.explains(status).claim_status(end, "the end of the ringing"),
        RungUntil::Termination => finding.explains_calmly(status).claim_status(end, "the end of the ringing"),
    };
    Some(
        finding
            .sender(if rung.until == RungUntil::Cancel { Role::Uac } else { Role::Uas }, end)
            .because(format!(
                "{} without an answer, and {hop} ended it after {length}. It ended {like} calls of this capture after \
                 the same time, half a second more or less, as a no-answer timer of {hop} or of what stands behind it \
                 does, and people do not.",
                if alerts(ring) { "It rang" } else { "It was on its way" }
            ))
            .fix(format!("If the callee needs longer, raise the no-answer timer at {hop} or behind it."))
            .fix("To catch such calls, forward them to voice mail or to another number when nobody answers.")
            .claim_status(ring, shows(ring))
            .refuted(
                if rung.until == RungUntil::Refusal { "rejected-by-callee" } else { "caller-abandoned" },
                format!("people do not end {like} calls after the same time"),
            )
            .refuted("answered-elsewhere", "no branch was answered"),
    )
}

fn is_round(millis: u32, until: RungUntil) -> bool {
    let off = (millis % 5_000).min(5_000 - millis % 5_000);
    millis >= 9_500 && off <= if until == RungUntil::Cancel { 600 } else { 350 }
}

/// The caller's side cancelled after the time that timer C gives, and says nothing else.
fn by_timer_c(case: &Case<'_>, cancel: &Heard) -> Option<Finding> {
    let ring = case.alerting_or_progress(case.deciding()?.id).filter(|ring| ring.place < cancel.place)?;
    let rang = cancel.place.time.since(ring.place.time);
    if rang < timer::C || cancel_says(case.reasons(cancel)) != CancelSays::GivenUp {
        return None;
    }
    let hop = cancel.path.source;
    Some(
        Finding::of(&RULE, Confidence::Likely)
            .explains_calmly(case.call.final_status)
            .sender(Role::Uac, cancel)
            .because(format!(
                "{} without an answer, and then {hop} cancelled. That is more than the three minutes after which a \
                 proxy stops waiting (timer C): a timer of {hop} or before it, if no person let it ring for so long.",
                went_on(ring, rang)
            ))
            .fix(format!("Give {hop} a shorter no-answer timer, with a forwarding to voice mail or to another number."))
            .claim_status(ring, shows(ring))
            .claim_method(cancel, "the end of the ringing")
            .refuted("answered-elsewhere", "no branch was answered"),
    )
}

/// The time that an INVITE allows for its answer was over when its 487 came: who was asked ends it then by itself
/// (RFC 3261 §13.3.1). The request, the 487, and that time.
pub(super) fn expired<'a>(case: &Case<'a>) -> Option<(&'a Heard, &'a Heard, Duration)> {
    let failure = case.failure_with(&[487])?;
    let (request, response) = (case.request(failure)?, case.response(failure));
    let seconds: u64 = request.message.header("Expires")?.trim().parse().ok()?;
    let (allowed, took) = (Duration::from_secs(seconds), response.place.time.since(request.place.time));
    let is_cancelled = case.call.transaction(failure.transaction).cancelled_by.is_some();
    let is_over = took >= allowed.saturating_sub(ROUGHLY) && took <= allowed.saturating_add(2 * ROUGHLY);
    (is_over && seconds > 0 && !is_cancelled).then_some((request, response, allowed))
}

/// How exactly the end of that time is kept.
const ROUGHLY: Duration = Duration::from_secs(1);

/// The INVITE itself said how long it may ring.
fn by_expiry(case: &Case<'_>) -> Option<Finding> {
    let (request, response, allowed) = expired(case)?;
    let (client, server) = (request.path.source, response.path.source);
    Some(
        Finding::of(&RULE, Confidence::Likely)
            .explains_calmly(case.call.final_status)
            .sender(Role::Uac, request)
            .because(format!(
                "The INVITE of {client} allowed {} for an answer (Expires), and when they were over {server} ended it \
                 with 487, as RFC 3261 §13.3.1 wants. Nobody gave up.",
                length(allowed)
            ))
            .fix(format!("If the callee needs longer, let {client} put a greater Expires into its INVITEs, or none."))
            .claim_header(request, "Expires", "how long the INVITE is good for")
            .claim_status(response, "the end of the ringing")
            .refuted("caller-abandoned", "the caller's side sent neither CANCEL nor BYE")
            .refuted("termination-not-captured", "the time of the INVITE itself was over"),
    )
}

/// Without any CANCEL in the capture: a 408 after ringing, or timer C.
fn by_code(case: &Case<'_>) -> Option<Finding> {
    let failure = case.outer_failure()?;
    let response = case.response(failure);
    let ring = case.alerting_or_progress(failure.transaction).filter(|ring| ring.place < response.place)?;
    let rang = response.place.time.since(ring.place.time);
    let is_timeout = failure.status.get() == 408;
    let is_timer_c = rang >= timer::C && matches!(failure.status.get(), 408 | 480 | 487 | 504);
    if !is_timeout && !is_timer_c {
        return None;
    }
    let arose = case.failure().map_or(response, |arose| case.response(arose));
    Some(tell(case, ring, arose, rang, 0).claim_status(arose, "the end of the ringing"))
}

/// For how long it rang, or was under way where nothing says that it rang.
fn went_on(ring: &Heard, rang: Duration) -> String {
    match alerts(ring) {
        true => format!("It rang for {}", length(rang)),
        false => {
            format!("It went on for {} after {}, which does not say that a device rings,", length(rang), a_code(ring))
        }
    }
}

/// `end` was sent by the system whose timer ran out, which had let `before` others ring before this one.
fn tell(case: &Case<'_>, ring: &Heard, end: &Heard, rang: Duration, before: usize) -> Finding {
    let hop = end.path.source;
    let status = case.call.final_status;
    let told = status.map(|status| format!(" and told the caller {status}")).unwrap_or_default();
    let finding = Finding::of(&RULE, Confidence::Likely);
    let finding = match status.map(StatusCode::get) {
        Some(487) | None => finding.explains_calmly(status),
        Some(_) => finding.explains(status),
    };
    let others = match before {
        0 => String::new(),
        1 => format!("{hop} had tried another destination before, and cancelled it too. At the last one it was so: "),
        many => format!(
            "{hop} had tried {many} other destinations before, and cancelled them too. At the last one it was so: "
        ),
    };
    finding
        .sender(Role::Proxy, end)
        .because(format!(
            "{others}{} without an answer; then {hop} stopped waiting{told}. Neither side gave up: the no-answer \
             timer of {hop} is about {}.",
            went_on(ring, rang),
            length(Duration::from_secs((rang.as_millis() as u64 + 500) / 1000))
        ))
        .fix(format!("If the callee needs longer, raise the no-answer timer of {hop}."))
        .fix("To catch such calls, forward them to voice mail or to another number when nobody answers.")
        .claim_status(ring, shows(ring))
        .refuted("caller-abandoned", "the caller's side sent neither CANCEL nor BYE")
        .refuted("answered-elsewhere", "no branch was answered")
        .refuted(
            "callee-did-not-answer",
            "it was the timer of a system on the way, and not the callee's device, that ended it",
        )
}
