use std::borrow::Cow;
use std::net::SocketAddr;
use std::time::Duration;

use crate::call::Heard;
use crate::catalogue::q850;
use crate::diagnosis::dialogs::{from_tag, to_tag};
use crate::diagnosis::options::knows_option;
use crate::diagnosis::rule::rule;
use crate::diagnosis::rules::dialog::ended_by_failure::{is_cut_off, is_fault, words_of};
use crate::diagnosis::rules::dialog::media_inactivity_teardown::speaks_of_media;
use crate::diagnosis::words::length;
use crate::diagnosis::{Case, Confidence, Finding, Role, Side};
use crate::sip::{Method, Parameters, Reason, StatusCode};

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
    /// Session-Expires in the 2xx with interval S; no successful re-INVITE or UPDATE after it; and a BYE at the end of
    /// the interval, or the smaller of 32 s and S/3 before it, give or take 2 s.
    ///
    /// ## How to fix
    /// Look at the refresher that Session-Expires names: enable session timers there or switch them off on both sides.
    ///
    /// ## When it would be wrong
    /// A person may hang up at that moment by chance; if it happens again at the same time, it is no chance. Where the
    /// Reason of the BYE names another ground, that one counts.
    ///
    /// ## References
    /// RFC 4028 §7.2, §9, §10
    "C5" "session-timer-expired" needs [BYE], check
}

/// How exactly a BYE must hit the moment.
const TOLERANCE: f64 = 2.0;
/// Causes of Q.850 with which a session timer may end a call too: a fault that passes, a timer, the protocol.
const OF_TIMERS: [u32; 3] = [41, 102, 111];
/// What a Reason says, in lower case, that names no ground, or the timer.
const SAYS_LITTLE: [&str; 14] = [
    "normal",
    "clear",
    "releas",
    "terminat",
    "disconnect",
    "hangup",
    "hung up",
    "call ended",
    "unspecified",
    "interworking",
    "timer",
    "timeout",
    "expir",
    "refresh",
];

fn check(case: &Case<'_>) -> Option<Finding> {
    let lapse = Lapse::of(case)?;
    let (agreed, bye) = (lapse.agreed, lapse.bye);
    let (role, address) = lapse.culprit(case);
    let finding = Finding::of(&RULE, Confidence::Likely)
        .explains(agreed.message.status())
        .drops_the_call()
        .party(role, Some(address))
        .because(lapse.explanation(case));
    let finding = match lapse.forced {
        Some(request) => finding
            .fix(format!(
                "Let {address} refresh the session itself where the request names no timer in Supported \
                 (refresher=uas)."
            ))
            .fix(format!("Or enable session timers on {}.", request.path.source)),
        None => finding
            .fix(format!(
                "Look at {address}, which had to refresh: does it support session timers, and does it send re-INVITE \
                 or UPDATE?"
            ))
            .fix("If it does not, switch session timers off on both sides, or let the other side be the refresher."),
    };
    let mut finding = finding
        .claim_header(agreed, "Session-Expires", "the agreed interval and who refreshes")
        .claim_absent(agreed.place, "a re-INVITE or UPDATE with a 2xx", "no refresh before the BYE")
        .claim_method(bye, "the end of the call");
    if lapse.is_stated {
        finding = finding.claim_header(bye, "Reason", "the timer, as the sender says");
    }
    Some(finding.refuted("session-refresh-failed", "no refresh was tried").refuted(
        "media-inactivity-teardown",
        "the BYE comes at the time of the session timer, and no Reason names media",
    ))
}

/// A session timer that ran out, and the BYE that followed.
struct Lapse<'a> {
    bye: &'a Heard,
    /// The 2xx that agreed on it for the last time.
    agreed: &'a Heard,
    /// The request that this one answers.
    request: Option<&'a Heard>,
    /// The interval in seconds, and who has to refresh.
    seconds: u32,
    refresher: Option<String>,
    moment: Expiry,
    by_refresher: bool,
    /// True if the BYE names the timer.
    is_stated: bool,
    /// The request, if its sender was made the refresher and does not say that it can be.
    forced: Option<&'a Heard>,
}

impl<'a> Lapse<'a> {
    fn of(case: &Case<'a>) -> Option<Lapse<'a>> {
        let bye = case.first_bye()?.request;
        let agreed = as_agreed(case, agreed_before(case, bye)?);
        let (seconds, refresher) = read(&agreed.message.header("Session-Expires")?)?;
        let moment = Expiry::at(bye.place.time.since(agreed.place.time), seconds)?;
        let by_refresher = from_tag(bye) == refresher_tag(agreed, refresher.as_deref());
        let is_stated = is_stated(case, bye);
        if !is_stated && names_another_ground(case, bye) {
            return None;
        }
        if by_refresher && !is_stated && moment == Expiry::Before {
            return None;
        }
        if failed_refresh(case, agreed, bye).is_some() {
            return None; // session-refresh-failed tells more.
        }
        // A refresh may be among what the capture lacks of the one who had to send it.
        if by_refresher && !is_stated && case.lacks_requests_before(bye) {
            return None;
        }
        let request = case.call.request_of(case.call.transaction(agreed.transaction));
        let request = request.map(|request| case.as_sent(request));
        let forced = request.filter(|request| !by_refresher && is_forced(request, refresher.as_deref()));
        Some(Lapse { bye, agreed, request, seconds, refresher, moment, by_refresher, is_stated, forced })
    }

    /// Who had to refresh, or made a side do so that does not say that it can.
    fn culprit(&self, case: &Case<'_>) -> (Role, SocketAddr) {
        let asking = self.request.map_or(Side::Unknown, |request| case.side(request));
        let role = match (self.forced, self.refresher.as_deref(), asking) {
            (Some(request), _, _) => case.role_of_asked(request),
            (None, Some("uas"), Side::Caller) | (None, Some("uac"), Side::Callee) => Role::Uas,
            _ => Role::Uac,
        };
        let address = match () {
            () if self.forced.is_some() => self.agreed.path.source,
            () if self.by_refresher => self.bye.path.source,
            () => case.peer_by(self.agreed, self.bye),
        };
        (role, address)
    }

    fn explanation(&self, case: &Case<'_>) -> String {
        let (agreed, bye) = (self.agreed, self.bye);
        let named = match &self.refresher {
            Some(refresher) => format!(" (refresher={refresher})"),
            None => String::new(),
        };
        let refreshed = match first_agreed(case, agreed) {
            Some(first) => {
                let since = length(agreed.place.time.since(first.place.time));
                format!("was agreed on anew {since} after the answer, and not refreshed any more after that")
            }
            None => "was never refreshed".to_owned(),
        };
        format!(
            "The call had a session timer of {} s{named} that {refreshed}. {} ended it {} after the last agreement, \
             {}.{}",
            self.seconds,
            bye.path.source,
            length(bye.place.time.since(agreed.place.time)),
            self.moment.words(),
            self.forced.map(|request| blames(request, agreed)).unwrap_or_default()
        )
    }
}

/// True if the Reason of a BYE names the timer.
fn is_stated(case: &Case<'_>, bye: &Heard) -> bool {
    let names_timer = |reason: &Reason| reason.sip() == Some(408) || words_of(reason).contains("session");
    case.reasons(bye).iter().any(|reason| names_timer(reason) && !is_cut_off(reason) && !speaks_of_media(reason))
}

/// True if the Reason of a BYE says that the call ended for something else than a timer (RFC 3326 §2): a fault, want
/// of media, the word of a user, or anything in words of its own.
pub(in crate::diagnosis::rules) fn names_another_ground(case: &Case<'_>, bye: &Heard) -> bool {
    let is_of_timer = |reason: &Reason| reason.q850().is_some_and(|cause| OF_TIMERS.contains(&cause));
    let names_it = |reason: &Reason| {
        let is_known = is_fault(reason) && !is_of_timer(reason);
        let is_of_device = reason.release_cause().is_some();
        is_known || is_cut_off(reason) || is_of_device || speaks_of_media(reason) || has_own_words(reason)
    };
    case.reasons(bye).iter().any(names_it)
}

/// True if the text of a Reason is neither the name of its cause, nor one of those that stacks write into every BYE,
/// nor about a timer.
fn has_own_words(reason: &Reason) -> bool {
    let said = words_of(reason);
    let name = reason.q850().and_then(|cause| u8::try_from(cause).ok()).and_then(q850);
    let is_name = said == "ok" || name.is_some_and(|known| known.name.eq_ignore_ascii_case(&said));
    !said.is_empty() && !is_name && !SAYS_LITTLE.iter().any(|known| said.contains(known))
}

/// True if the 2xx to this request makes a side refresh that does not say that it can (RFC 4028 §9, table 2).
fn is_forced(request: &Heard, refresher: Option<&str>) -> bool {
    refresher == Some("uac") && !request.message.is_cut() && !knows_option(request, "timer")
}

/// Says whose fault such a timer is.
fn blames(request: &Heard, agreed: &Heard) -> String {
    format!(
        " {} made {} the refresher, which does not say that it knows session timers: its request names no timer in \
         Supported, and then who answers has to refresh (RFC 4028 §9).",
        agreed.path.source, request.path.source
    )
}

/// The 2xx that opened the dialog, if a later one in it agreed on the timer anew.
fn first_agreed<'a>(case: &Case<'a>, agreed: &Heard) -> Option<&'a Heard> {
    // What a proxy passes on is the same 2xx.
    let is_other = |first: &Heard| first.message.cseq() != agreed.message.cseq() || from_tag(first) != from_tag(agreed);
    let mut successes = case.answers().map(|(_, first)| first);
    successes.find(|first| {
        first.message.call_id() == agreed.message.call_id() && first.place < agreed.place && is_other(first)
    })
}

/// A 2xx as its author sent it, unless a proxy put the timer in (RFC 4028 §8.2).
fn as_agreed<'a>(case: &Case<'a>, agreed: &'a Heard) -> &'a Heard {
    let timer = |heard: &'a Heard| heard.message.header("Session-Expires");
    let made = case.as_made(agreed);
    if timer(made) == timer(agreed) { made } else { agreed }
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

/// The tag of the side that has to refresh: whom the 2xx names as uac is the one who sent the request that it answers
/// (RFC 4028 §4). Where it names nobody, it is that side too.
pub(in crate::diagnosis::rules) fn refresher_tag<'a>(
    agreed: &'a Heard,
    refresher: Option<&str>,
) -> Option<Cow<'a, str>> {
    match refresher {
        Some("uas") => to_tag(agreed),
        _ => from_tag(agreed),
    }
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
