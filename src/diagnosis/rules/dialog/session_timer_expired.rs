use std::time::Duration;

use crate::call::Heard;
use crate::diagnosis::dialogs::{from_tag, to_tag};
use crate::diagnosis::rule::rule;
use crate::diagnosis::words::length;
use crate::diagnosis::{Case, Confidence, Finding, Role, Side};
use crate::sip::{Method, Parameters, StatusCode};

rule! {
    /// The session timer ran out, because nobody refreshed it.
    ///
    /// ## What it says
    /// Both sides had agreed on a session timer. The side that had to refresh the call did not do so, and the other one
    /// ended it.
    ///
    /// ## Why it happens
    /// The refresher does not really support session timers, or its re-INVITEs and UPDATEs do not get through.
    ///
    /// ## Evidence
    /// Session-Expires in the 2xx with interval S; no successful re-INVITE or UPDATE after it; and a BYE at the end of the
    /// interval, or the smaller of 32 s and S/3 before it, give or take 2 s.
    ///
    /// ## How to fix
    /// Look at the refresher that Session-Expires names: enable session timers there or switch them off on both sides.
    ///
    /// ## When it would be wrong
    /// A person may hang up at that moment by chance; if it happens again at the same time, it is no chance.
    ///
    /// ## References
    /// RFC 4028 §7.2, §10
    "C5" "session-timer-expired" needs [BYE], check
}

/// How exactly a BYE must hit the moment.
const TOLERANCE: f64 = 2.0;

fn check(case: &Case<'_>) -> Option<Finding> {
    let bye = case.first_bye()?.request;
    let agreed = agreed_before(case, bye)?;
    let value = agreed.message.header("Session-Expires")?;
    let (seconds, refresher) = read(&value)?;
    let age = bye.place.time.since(agreed.place.time);
    let moment = Expiry::at(age, seconds)?;
    // Whom the 2xx names as uac is the one who sent the request that it answers.
    let request = case.call.request_of(case.call.transaction(agreed.transaction));
    let refresher_tag = match refresher.as_deref() {
        Some("uas") => to_tag(agreed),
        _ => from_tag(agreed),
    };
    let refresher_is_caller = request.map_or(Side::Unknown, |request| case.side(request));
    let sent_by_refresher = from_tag(bye) == refresher_tag;
    let stated = case.reasons(bye).iter().any(|reason| reason.sip() == Some(408))
        || bye.message.header("Reason").is_some_and(|reason| reason.to_ascii_lowercase().contains("session"));
    if sent_by_refresher && !stated && moment == Expiry::Before {
        return None;
    }
    let failed = failed_refresh(case, agreed, bye);
    if failed.is_some() {
        return None; // session-refresh-failed tells more.
    }
    let role = match (refresher.as_deref(), refresher_is_caller) {
        (Some("uas"), Side::Caller) | (Some("uac"), Side::Callee) => Role::Uas,
        _ => Role::Uac,
    };
    let address = if sent_by_refresher { bye.path.source } else { bye.path.destination };
    let named = refresher.map_or_else(String::new, |refresher| format!(" (refresher={refresher})"));
    let mut finding = Finding::of(&RULE, Confidence::Likely)
        .explains(agreed.message.status())
        .drops_the_call()
        .party(role, Some(address))
        .because(format!(
            "The call had a session timer of {seconds} s{named} that was never refreshed. {} ended it {} after the last \
             agreement, {}.",
            bye.path.source,
            length(age),
            moment.words()
        ))
        .fix(format!("Look at {address}, which had to refresh: does it support session timers, and does it send re-INVITE or UPDATE?"))
        .fix("If it does not, switch session timers off on both sides, or let the other side be the refresher.")
        .claim_header(agreed, "Session-Expires", "the agreed interval and who refreshes")
        .claim_absent(agreed.place, "a re-INVITE or UPDATE with a 2xx", "no refresh before the BYE")
        .claim_method(bye, "the end of the call");
    if stated {
        finding = finding.claim_header(bye, "Reason", "the timer, as the sender says");
    }
    Some(
        finding
            .refuted("session-refresh-failed", "no refresh was tried")
            .refuted("media-inactivity-teardown", "the BYE comes at the time of the session timer, and no Reason names media"),
    )
}

/// The last 2xx to INVITE or UPDATE before a request of the dialog: what it says of the session timer is in force
/// (RFC 4028 §7.2).
pub(in crate::diagnosis::rules) fn agreed_before<'a>(case: &Case<'a>, request: &Heard) -> Option<&'a Heard> {
    case.call
        .transactions
        .iter()
        .filter(|transaction| matches!(transaction.method, Method::Invite | Method::Update))
        .flat_map(|transaction| case.finals(transaction))
        .filter(|heard| heard.message.status().is_some_and(StatusCode::is_success) && heard.place < request.place)
        .filter(|heard| heard.message.call_id() == request.message.call_id())
        .max_by_key(|heard| heard.place)
}

fn failed_refresh<'a>(case: &Case<'a>, agreed: &Heard, bye: &Heard) -> Option<&'a Heard> {
    case.call
        .transactions
        .iter()
        .filter(|transaction| transaction.in_dialog && matches!(transaction.method, Method::Invite | Method::Update))
        .filter_map(|transaction| case.call.request_of(transaction))
        .find(|request| request.place > agreed.place && request.place < bye.place)
}

/// When in a session interval a call was ended (RFC 4028 §10).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Expiry {
    /// When it ran out.
    End,
    /// A third of it, or 32 s, before.
    Before,
}

impl Expiry {
    /// Which of the moments this age of the agreement is; `None` if it is none of them.
    pub(crate) fn at(age: Duration, seconds: u32) -> Option<Expiry> {
        let interval = f64::from(seconds);
        let is_near = |moment: f64| (age.as_secs_f64() - moment).abs() <= TOLERANCE;
        match () {
            () if is_near(interval) => Some(Expiry::End),
            () if is_near(interval - 32.0_f64.min(interval / 3.0)) => Some(Expiry::Before),
            () => None,
        }
    }

    fn words(self) -> &'static str {
        match self {
            Expiry::End => "when the interval ended",
            Expiry::Before => "shortly before the interval ended, as RFC 4028 wants of the side that waits",
        }
    }
}

/// The interval and the refresher of Session-Expires (RFC 4028 §4).
pub(crate) fn read(value: &str) -> Option<(u32, Option<String>)> {
    let (seconds, parameters) = value.split_once(';').unwrap_or((value, ""));
    let parameters = Parameters::read(parameters, b';');
    let refresher = parameters.get("refresher").map(str::to_ascii_lowercase);
    Some((seconds.trim().parse().ok().filter(|seconds| *seconds > 0)?, refresher))
}
