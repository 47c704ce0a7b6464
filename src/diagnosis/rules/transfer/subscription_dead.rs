use std::time::Duration;

use crate::call::{Heard, Kind, Lease, timer};
use crate::diagnosis::dialogs::{from_tag, to_tag};
use crate::diagnosis::rule::rule;
use crate::diagnosis::words::length;
use crate::diagnosis::{Asked, Case, Confidence, Finding, Role};
use crate::sip::{Method, StatusCode};

rule! {
    /// The subscription is dead on one side only.
    ///
    /// ## What it says
    /// The subscriber refused a NOTIFY of a subscription that was still running: it does not know it any more. Or the
    /// notifier refused to renew one, for the same reason. Lamps, presence or the message lamp of that device stand
    /// still until it subscribes anew.
    ///
    /// ## Why it happens
    /// One of the two was restarted or lost its state, or the subscriber takes this event no more; the other one still
    /// has the old subscription.
    ///
    /// ## Evidence
    /// A NOTIFY with a To tag whose Subscription-State is active or pending, and 481 or 489 to it; or a SUBSCRIBE with
    /// a To tag that does not ask for the end of the subscription, and 481 to it.
    ///
    /// ## How to fix
    /// Let the notifier drop the subscription on such a response, as RFC 6665 asks; let the subscriber subscribe anew
    /// when it starts, and as soon as a renewal is refused with 481.
    ///
    /// ## When it would be wrong
    /// A NOTIFY without a subscription, as some servers send for waiting messages, may be refused without harm. So may
    /// one that crosses the end of the subscription, or that comes from another branch of a forked SUBSCRIBE than the
    /// one that the subscriber keeps. Who renews a subscription that the notifier had ended, or that had run out, comes
    /// too late. Where the subscriber has subscribed anew already, no harm is done.
    ///
    /// ## References
    /// RFC 6665 §4.2.2; RFC 6665 §4.1.2; RFC 6665 §4.1.2.2; RFC 6665 §5.4.9; RFC 3856 §6.9; RFC 5057 §5.1
    "G4" "subscription-dead" needs [SUBSCRIPTION FAILURE], check
}

fn check(case: &Case<'_>) -> Option<Finding> {
    if case.call.kind != Kind::Subscription {
        return None;
    }
    renewal_refused(case).or_else(|| report_refused(case))
}

/// The notifier does not know the subscription that is to be renewed.
fn renewal_refused(case: &Case<'_>) -> Option<Finding> {
    let (subscribe, refusal) = case.asked(&Method::Subscribe).find_map(|subscribe| {
        let refusal = case.finals(subscribe.transaction).find(|heard| status_of(heard) == Some(481))?;
        let renews = subscribe.transaction.in_dialog && !asks_for_the_end(subscribe.request);
        // A NOTIFY that the capture missed may have ended it.
        let may_be_over = case.call.unseen(&Method::Notify).next().is_some();
        (renews && !may_be_over && !was_terminated(case, subscribe.request)).then_some((subscribe.request, refusal))
    })?;
    let (subscriber, notifier) = (subscribe.path.source, refusal.path.source);
    if let Some(lease) = subscribed_anew(case, refusal) {
        let finding = of_renewed(refusal, lease).because(format!(
            "{notifier} did not know the subscription that {subscriber} wanted to renew, and answered 481. \
             {subscriber} subscribed anew, as it should, and that was granted: the subscription goes on.",
        ));
        return Some(finding.claim_method(subscribe, "the renewal").claim_status(refusal, "the notifier refuses it"));
    }
    let finding = match late(case, subscribe) {
        Some(late) => late.told(subscribe, refusal),
        None => Finding::of(&RULE, renewal_confidence(case, subscribe))
            .titled("The notifier does not know the subscription any more")
            .explains(refusal.message.status())
            .sender(Role::Uas, refusal)
            .because(format!(
                "{subscriber} wanted to renew its subscription, and {notifier} answered 481: it does not know this \
                 subscription any more.{}",
                match case.lacks_requests_before(subscribe) {
                    true => " The capture lacks requests before it, one of which may have ended the subscription.",
                    false => "",
                }
            ))
            .fix(format!("Let {subscriber} subscribe anew with a new dialog as soon as a renewal is refused with 481."))
            .fix(format!(
                "If this recurs, look at {notifier} for restarts, a failover without its subscriptions, or a shorter \
                 time of its own."
            )),
    };
    Some(
        finding
            .claim_method(subscribe, "the renewal")
            .claim_header(subscribe, "To", "its tag names a subscription that was granted before")
            .claim_status(refusal, "the notifier refuses it")
            .refuted("dialog-state-lost", "what was lost is a subscription, and no call"),
    )
}

/// A request that the capture lacks before the renewal may have ended the subscription (RFC 6665 §4.1.2.3).
fn renewal_confidence(case: &Case<'_>, subscribe: &Heard) -> Confidence {
    if case.lacks_requests_before(subscribe) { Confidence::Possible } else { Confidence::Proven }
}

/// A renewal that came after the time that was granted (RFC 6665 §4.1.2.2).
struct Late {
    lease: Lease,
    by: Duration,
    confidence: Confidence,
}

impl Late {
    fn told(&self, subscribe: &Heard, refusal: &Heard) -> Finding {
        let (subscriber, notifier) = (subscribe.path.source, refusal.path.source);
        let granted = self.lease.seconds;
        Finding::of(&RULE, self.confidence)
            .titled("The renewal came after the subscription had run out")
            .explains(refusal.message.status())
            .sender(Role::Uac, subscribe)
            .because(format!(
                "{notifier} had granted the subscription for {granted} s, and {subscriber} wanted to renew it {} \
                 after that time was over: {notifier} answered 481, for it had run out.",
                length(self.by),
            ))
            .fix(format!("Let {subscriber} renew its subscription before the {granted} s that are granted are over."))
            .fix(format!("Let {subscriber} subscribe anew with a new dialog as soon as a renewal is refused with 481."))
            .claim_at(self.lease.place, "sip.Expires", granted.to_string(), "for so long the subscription was granted")
    }
}

fn late(case: &Case<'_>, subscribe: &Heard) -> Option<Late> {
    let known = case.surroundings.soft_states();
    let (lease, until) = known.subscribed(subscribe.message.call_id(), subscribe.place)?;
    let by = (until < subscribe.place.time).then(|| subscribe.place.time.since(until))?;
    // Where a number is missing between the two, the capture may lack another renewal.
    let is_next = subscribe.message.cseq().is_some_and(|cseq| cseq.number == lease.cseq.saturating_add(1));
    Some(Late { lease, by, confidence: if is_next { Confidence::Proven } else { Confidence::Likely } })
}

/// The lease with which the same watcher has subscribed anew to the same: before the refusal, or soon after.
fn subscribed_anew(case: &Case<'_>, refusal: &Heard) -> Option<Lease> {
    let at = refusal.place.time;
    case.surroundings.soft_states().subscribed_anew(refusal.message.call_id(), at, at.plus(timer::GIVE_UP))
}

/// A subscription that is no more, and whose place another one has taken: no harm is done.
fn of_renewed(refusal: &Heard, lease: Lease) -> Finding {
    Finding::of(&RULE, Confidence::Proven)
        .titled("An old subscription is gone, and a new one has taken its place")
        .explains_calmly(refusal.message.status())
        .fix("Nothing needs to be done for this subscription.")
        .claim_at(lease.place, "sip.CSeq.method", "SUBSCRIBE", "the new subscription is granted")
}

/// A report as its author sent it, and the refusal as its author sent it, where proxies passed both on.
struct Refused<'a> {
    notify: &'a Heard,
    refusal: &'a Heard,
}

fn refused_report<'a>(case: &Case<'a>) -> Option<Refused<'a>> {
    case.asked_first(&Method::Notify).find_map(|notify| {
        let mut refusal = case.finals(notify.transaction).find(|heard| is_refusal(heard))?;
        let passed_on = |refusal: &Heard| {
            let behind = case.call.downstream_of(refusal.transaction).flat_map(|inner| case.finals(inner));
            behind.filter(|heard| status_of(heard) == status_of(refusal)).last()
        };
        for _ in 0..32 {
            match passed_on(refusal) {
                Some(inner) => refusal = inner,
                None => break,
            }
        }
        let runs = notify.transaction.in_dialog && says_it_runs(notify.request);
        let is_unwanted = status_of(refusal) == Some(481) && is_of_another_fork(case, notify.request);
        let stands = runs && !was_ended(case, notify.request) && !is_unwanted;
        stands.then_some(Refused { notify: notify.request, refusal })
    })
}

/// True if the SUBSCRIBE was forked, and the subscriber keeps the subscription of another notifier: it may refuse this
/// one's reports (RFC 6665 §5.4.9; RFC 3856 §6.9).
fn is_of_another_fork(case: &Case<'_>, notify: &Heard) -> bool {
    let is_accepted = |other: &Asked<'_>| {
        case.finals(other.transaction).any(|heard| heard.message.status().is_some_and(StatusCode::is_success))
    };
    let same_watch = |other: &Asked<'_>| {
        other.request.message.call_id() == notify.message.call_id() && to_tag(other.request) == to_tag(notify)
    };
    let of_watch = || case.asked(&Method::Notify).filter(same_watch).filter(is_accepted);
    let is_of_dialog = |other: &Asked<'_>| from_tag(other.request) == from_tag(notify);
    of_watch().any(|other| !is_of_dialog(&other)) && !of_watch().any(|other| is_of_dialog(&other))
}

fn report_refused(case: &Case<'_>) -> Option<Finding> {
    let Refused { notify, refusal } = refused_report(case)?;
    let (notifier, subscriber) = (notify.path.source, refusal.path.source);
    let status = refusal.message.status()?;
    let event = notify.message.header("Event").map(|event| format!(" for {event:?}")).unwrap_or_default();
    if let Some(lease) = subscribed_anew(case, refusal).filter(|_| status.get() == 481) {
        let finding = of_renewed(refusal, lease).because(format!(
            "{subscriber} answered {status} to a NOTIFY{event} of {notifier}: it has given that subscription up, and \
             has a new one to the same, which was granted.",
        ));
        return Some(finding.claim_method(notify, "the report").claim_status(refusal, "the subscriber refuses it"));
    }
    Some(
        Finding::of(&RULE, Confidence::Proven)
            .explains(Some(status))
            .sender(Role::Uas, refusal)
            .because(format!(
                "{subscriber} answered {status} to a NOTIFY{event} of {notifier}, which takes the subscription for a \
                 running one: {subscriber} does not take part in it any more, and what it shows stands still until it \
                 subscribes anew.",
            ))
            .fix(format!("Let {subscriber} subscribe anew; if this recurs, look there for restarts."))
            .fix(format!("Let {notifier} drop a subscription whose NOTIFY is refused with {status}."))
            .claim_method(notify, "the report")
            .claim_header(notify, "Subscription-State", "the notifier takes the subscription for a running one")
            .claim_status(refusal, "the subscriber refuses it")
            .refuted("dialog-state-lost", "what was lost is a subscription, and no call"),
    )
}

fn is_refusal(heard: &Heard) -> bool {
    status_of(heard).is_some_and(|status| matches!(status, 481 | 489))
}

fn status_of(heard: &Heard) -> Option<u16> {
    heard.message.status().map(StatusCode::get)
}

/// True if a NOTIFY says that its subscription goes on (RFC 6665 §8.2.3).
fn says_it_runs(notify: &Heard) -> bool {
    let state = notify.message.header("Subscription-State").unwrap_or_default().to_ascii_lowercase();
    let mut words = state.split(';').map(str::trim);
    let is_running = words.next().is_some_and(|word| matches!(word, "active" | "pending"));
    is_running && !words.any(|word| word == "expires=0")
}

/// True if the subscriber had asked for the end of the subscription, as far as this record shows.
fn was_ended(case: &Case<'_>, notify: &Heard) -> bool {
    case.asked(&Method::Subscribe).any(|subscribe| {
        subscribe.request.message.call_id() == notify.message.call_id()
            && subscribe.request.place < notify.place
            && asks_for_the_end(subscribe.request)
    })
}

fn asks_for_the_end(subscribe: &Heard) -> bool {
    subscribe.message.header("Expires").is_some_and(|value| value.trim() == "0")
}

/// True if the notifier had said before that the subscription is over, as far as this record shows.
fn was_terminated(case: &Case<'_>, subscribe: &Heard) -> bool {
    case.asked(&Method::Notify).any(|notify| {
        notify.request.message.call_id() == subscribe.message.call_id()
            && notify.request.place < subscribe.place
            && !says_it_runs(notify.request)
    })
}
