use crate::call::{Heard, Kind};
use crate::diagnosis::rule::rule;
use crate::diagnosis::{Case, Confidence, Finding, Role};
use crate::sip::{Method, StatusCode};

rule! {
    /// The subscription is dead on one side only.
    ///
    /// ## What it says
    /// The subscriber refused a NOTIFY of a subscription that was still running: it does not know it any more. Or the
    /// notifier refused to renew one, for the same reason. Lamps, presence or the message lamp of that device stand still
    /// until it subscribes anew.
    ///
    /// ## Why it happens
    /// One of the two was restarted or lost its state, or the subscriber takes this event no more; the other one still has
    /// the old subscription.
    ///
    /// ## Evidence
    /// A NOTIFY with a To tag whose Subscription-State is active or pending, and 481 or 489 to it; or a SUBSCRIBE with a To
    /// tag that does not ask for the end of the subscription, and 481 to it.
    ///
    /// ## How to fix
    /// Let the notifier drop the subscription on such a response, as RFC 6665 asks; let the subscriber subscribe anew when
    /// it starts, and as soon as a renewal is refused with 481.
    ///
    /// ## When it would be wrong
    /// A NOTIFY without a subscription, as some servers send for waiting messages, may be refused without harm. So may one
    /// that crosses the end of the subscription. Who renews a subscription that the notifier had ended comes too late.
    ///
    /// ## References
    /// RFC 6665 §4.2.2; RFC 6665 §4.1.2; RFC 6665 §4.1.2.2; RFC 5057 §5.1
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
    Some(
        Finding::of(&RULE, Confidence::Proven)
            .titled("The notifier does not know the subscription any more")
            .explains(refusal.message.status())
            .sender(Role::Uas, refusal)
            .because(format!(
                "{subscriber} wanted to renew its subscription, and {notifier} answered 481: it does not know this \
                 subscription any more.",
            ))
            .fix(format!("Let {subscriber} subscribe anew with a new dialog as soon as a renewal is refused with 481."))
            .fix(format!("If this recurs, look at {notifier} for restarts, a failover without its subscriptions, or a shorter time of its own."))
            .claim_method(subscribe, "the renewal")
            .claim_header(subscribe, "To", "its tag names a subscription that was granted before")
            .claim_status(refusal, "the notifier refuses it")
            .refuted("dialog-state-lost", "what was lost is a subscription, and no call"),
    )
}

fn report_refused(case: &Case<'_>) -> Option<Finding> {
    let (notify, refusal) = case.asked_first(&Method::Notify).find_map(|notify| {
        let refusal = case.finals(notify.transaction).find(|heard| is_refusal(heard))?;
        let runs = notify.transaction.in_dialog && says_it_runs(notify.request);
        (runs && !was_ended(case, notify.request)).then_some((notify.request, refusal))
    })?;
    let (notifier, subscriber) = (notify.path.source, refusal.path.source);
    let status = refusal.message.status()?;
    let event = notify.message.header("Event").map(|event| format!(" for {event:?}")).unwrap_or_default();
    Some(
        Finding::of(&RULE, Confidence::Proven)
            .explains(Some(status))
            .sender(Role::Uas, refusal)
            .because(format!(
                "{subscriber} answered {status} to a NOTIFY{event} of {notifier}, which takes the subscription for a running \
                 one: {subscriber} does not take part in it any more, and what it shows stands still until it subscribes \
                 anew.",
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
