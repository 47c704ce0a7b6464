use std::net::SocketAddr;
use std::time::Duration;

use crate::call::{Heard, timer};
use crate::capture::Timestamp;
use crate::diagnosis::dialogs::{from_tag, is_of_invite};
use crate::diagnosis::rule::rule;
use crate::diagnosis::rules::dialog::glare_unresolved::{glares, is_unresolved};
use crate::diagnosis::rules::dialog::session_timer_expired::{
    Expiry, agreed_before, names_another_ground, read, refresher_tag,
};
use crate::diagnosis::words::length;
use crate::diagnosis::{Case, Confidence, Finding, Role};
use crate::sip::{Method, StatusCode};

rule! {
    /// The refresh of the session timer failed, and the call was ended.
    ///
    /// ## What it says
    /// A re-INVITE or UPDATE that should keep the call alive was refused or never answered, and a BYE followed.
    ///
    /// ## Why it happens
    /// The other side does not take re-INVITE or UPDATE in the middle of a call, its Contact cannot be reached any
    /// more, or a proxy without Record-Route is missing on the way.
    ///
    /// ## Evidence
    /// A call with Session-Expires; a re-INVITE or UPDATE in the later part of the interval with a final response of
    /// 400 or more, or none; and a BYE soon after it or when the interval ends. It comes from the side that has to
    /// refresh, or carries Session-Expires, and changes nothing of the media.
    ///
    /// ## How to fix
    /// Look up the code of the refusal. If re-INVITE is what disturbs, let the refresher use UPDATE, or the reverse. A
    /// 405 or 501 to an UPDATE that the other side never listed in Allow is for the refresher to mend: it has to use
    /// re-INVITE.
    ///
    /// ## When it would be wrong
    /// A 491 is tried again and is no failure: only where it was not, and the call ended with the interval. A 481 says
    /// besides that the dialog is not known: `dialog-state-lost`. What asks for a hold, video or fax is refused for
    /// that, although a 2xx to it would have refreshed the session too: only where the call ends with the interval is
    /// that likely the reason.
    ///
    /// ## References
    /// RFC 4028 §7.2, §7.3, §7.4, §10
    "C6" "session-refresh-failed" needs [ANSWERED BYE], check
}

/// Refusals that are tried again, or that another rule explains better.
const OTHER_MATTERS: [u16; 2] = [401, 407];

/// The refusal that asks for another try (RFC 3261 §14.1).
const PENDING: u16 = 491;

/// A BYE this soon after the refusal of a refresh is its consequence.
const SOON: Duration = Duration::from_secs(5);

/// A BYE this soon after a refresh that is never answered is its consequence: 64·T1, and a little.
const GIVE_UP: Duration = Duration::from_secs(45);

/// True if this request is the refresh whose failure ended the call.
pub(in crate::diagnosis::rules) fn is_failed_refresh(case: &Case<'_>, request: &Heard) -> bool {
    check(case).is_some_and(|finding| finding.claims.iter().any(|claim| claim.place == request.place))
}

fn check(case: &Case<'_>) -> Option<Finding> {
    let refresh = FailedRefresh::of(case)?;
    let FailedRefresh { request, response, bye, .. } = refresh;
    let (role, culprit) = refresh.culprit(case);
    let finding = Finding::of(&RULE, refresh.confidence(case))
        .explains(refresh.status())
        .drops_the_call()
        .party(role, Some(culprit))
        .because(refresh.explanation())
        .fix(refresh.cure())
        .fix(refresh.alternative())
        .claim_header(refresh.success, "Session-Expires", "the agreed interval")
        .claim_method(request, "the refresh");
    let mut finding = match response {
        Some(response) => finding.claim_status(response, "refused"),
        None => finding.claim_absent(request.place, "a final response to it", "no answer"),
    };
    if let Some(allowing) = refresh.unasked.and_then(|unasked| unasked.allowing) {
        finding = finding.claim_header(allowing, "Allow", "what the other side takes: UPDATE is not in it");
    }
    Some(finding.claim_method(bye, "the end of the call").refuted("session-timer-expired", "a refresh was tried"))
}

/// A refresh of the session timer that failed, and the BYE that followed from it.
struct FailedRefresh<'a> {
    /// The 2xx that names the interval, in seconds.
    success: &'a Heard,
    seconds: u32,
    /// When a 2xx had agreed on it for the last time.
    agreed: Timestamp,
    /// The re-INVITE or UPDATE.
    request: &'a Heard,
    /// Whom it is for.
    peer: SocketAddr,
    method: &'a Method,
    /// Its refusal; `None` if it was never answered.
    response: Option<&'a Heard>,
    unasked: Option<Unasked<'a>>,
    /// True if it asks for other media, too.
    changes_media: bool,
    bye: &'a Heard,
}

impl<'a> FailedRefresh<'a> {
    fn of(case: &Case<'a>) -> Option<FailedRefresh<'a>> {
        // Each leg of a B2BUA has a session timer, a refresh and a BYE of its own.
        let (bye, (request, response)) =
            case.asked(&Method::Bye).find_map(|bye| Some((bye.request, last_refresh(case, bye.request)?)))?;
        let (_, first) = case.answers().find(|(_, first)| first.message.call_id() == request.message.call_id())?;
        let agreed = agreed_before(case, request).unwrap_or(first);
        let names_timer = |success: &&Heard| success.message.header("Session-Expires").is_some();
        let success = [agreed, first].into_iter().find(names_timer)?;
        let (seconds, refresher) = read(&success.message.header("Session-Expires")?)?;
        // Who need not refresh and says nothing of the timer asks for something else (RFC 4028 §7.4).
        let by_refresher = refresher.is_none() || from_tag(request) == refresher_tag(success, refresher.as_deref());
        if !by_refresher && request.message.header("Session-Expires").is_none() {
            return None;
        }
        let refresh = FailedRefresh {
            success,
            seconds,
            agreed: agreed.place.time,
            request,
            peer: case.as_arrived(request).path.destination,
            method: request.message.method()?,
            response,
            unasked: Unasked::of(case, request, response),
            changes_media: case.changes_media(request),
            bye,
        };
        // Who names another ground for the end does not end the call for the refresh.
        if names_another_ground(case, bye) {
            return None;
        }
        // Who is told that another change is under way tries again, unless that change refreshed the session too.
        let was_left = || glares(case).any(|glare| glare.1.id == request.id && is_unresolved(case, &glare));
        if refresh.code() == Some(PENDING) && !was_left() {
            return None;
        }
        // A re-INVITE at another time is for hold or media; and who hangs up long after a refusal does it for himself.
        (refresh.is_in_time() && refresh.ended_the_call()).then_some(refresh)
    }

    /// How long after the last agreement it was tried.
    fn since_agreed(&self) -> Duration {
        self.request.place.time.since(self.agreed)
    }

    /// How long after its refusal, or after it, the BYE came.
    fn until_bye(&self) -> Duration {
        self.bye.place.time.since(self.response.unwrap_or(self.request).place.time)
    }

    fn status(&self) -> Option<StatusCode> {
        self.response.and_then(|response| response.message.status())
    }

    fn code(&self) -> Option<u16> {
        self.status().map(StatusCode::get)
    }

    fn is_in_time(&self) -> bool {
        let interval = Duration::from_secs(u64::from(self.seconds));
        let (sooner, later) = match self.code() {
            Some(481) => (interval * 2 / 5, interval * 3 / 5),
            _ => (interval / 3, interval),
        };
        (sooner..=later).contains(&self.since_agreed())
    }

    fn ended_the_call(&self) -> bool {
        let patience = if self.response.is_some() { SOON } else { GIVE_UP };
        let runs_out = Expiry::at(self.bye.place.time.since(self.agreed), self.seconds).is_some();
        let is_soon = !self.changes_media && self.until_bye() <= patience && self.code() != Some(PENDING);
        runs_out || is_soon
    }

    fn confidence(&self, case: &Case<'_>) -> Confidence {
        match self.response {
            Some(_) if self.changes_media || self.code() == Some(PENDING) => Confidence::Likely,
            // It is the one who refreshes that ends the call after a refusal, if anybody does (RFC 4028 §10).
            Some(response) if self.bye.path.source.ip() == response.path.source.ip() => Confidence::Likely,
            Some(_) => Confidence::Proven,
            None => case.absence_of_answer(self.request),
        }
    }

    /// Who gets 422 has to ask again with more, who gets 491 has to ask again later, and who asks what the other side
    /// never allowed has to ask otherwise; everything else is for the other side to look at.
    fn culprit(&self, case: &Case<'_>) -> (Role, SocketAddr) {
        match least(self.response).is_some() || self.unasked.is_some() || self.code() == Some(PENDING) {
            true => (case.role_of_author(self.request), self.request.path.source),
            false => (case.role_of_asked(self.request), self.peer),
        }
    }

    fn explanation(&self) -> String {
        let FailedRefresh { seconds, method, request, bye, .. } = self;
        let got = match self.status() {
            Some(status) if status.get() == PENDING => {
                format!("was refused with {status} and not tried again, as that asks for")
            }
            Some(status) => format!("was refused with {status}"),
            None if request.path.transport.is_reliable() => "got no answer".to_owned(),
            None => format!("got no answer ({} copies)", request.repeated + 1),
        };
        format!(
            "The session timer ({seconds} s) had to be refreshed, and the {method} of {} {} after the answer {got}. \
             {} ended the call {} later.{}",
            request.path.source,
            length(self.since_agreed()),
            bye.path.source,
            length(self.until_bye()),
            self.unasked.as_ref().map(|unasked| unasked.told(self.peer, request, bye)).unwrap_or_default()
        )
    }

    fn cure(&self) -> String {
        let (refresher, peer) = (self.request.path.source, self.peer);
        match least(self.response) {
            Some(least) => format!(
                "Set the session timer of {refresher} to at least {least} s: it must ask again with that after a 422 \
                 (RFC 4028 §7.3)."
            ),
            None if self.unasked.is_some() => format!(
                "Let {refresher} refresh with re-INVITE: UPDATE is for peers whose Allow names it (RFC 4028 §7.4), and \
                 a 405 or 501 is no reason to end the call (§10)."
            ),
            None if self.code() == Some(PENDING) => format!(
                "Let {refresher} try again after 491, at the times of RFC 3261 §14.1: the interval leaves room for it."
            ),
            None => format!("Look at {peer} for why it does not take this {} in a running call.", self.method),
        }
    }

    /// What else helps.
    fn alternative(&self) -> String {
        let (refresher, peer) = (self.request.path.source, self.peer);
        match self.code() {
            // Who does not know the dialog takes neither (RFC 3261 §12.2.2).
            Some(481) => {
                format!("Find out why {peer} has lost this dialog: a restart, another node, or cleared state.")
            }
            Some(422) => format!("Or lower the minimum of {peer}, or switch session timers off for this peer."),
            _ if self.unasked.is_some() => {
                format!("Or let {peer} take UPDATE and name it in Allow (RFC 3311 §4), or switch session timers off.")
            }
            Some(PENDING) => format!(
                "If {refresher} does try again at other times, look at {peer} for the change that it believes to be \
                 under way, such as an INVITE that never got its ACK."
            ),
            _ => "Let the refresher use the other of UPDATE and re-INVITE, or switch session timers off for this peer."
                .to_owned(),
        }
    }
}

/// An UPDATE that the other side refused as a method, and never said to take: its sender has to use re-INVITE instead
/// (RFC 4028 §7.4).
struct Unasked<'a> {
    /// The last message of the other side that says what it takes; `None` if none does.
    allowing: Option<&'a Heard>,
}

impl<'a> Unasked<'a> {
    fn of(case: &Case<'a>, request: &Heard, response: Option<&Heard>) -> Option<Unasked<'a>> {
        let is_refused = matches!(response?.message.status()?.get(), 405 | 501);
        if request.message.method() != Some(&Method::Update) || !is_refused {
            return None;
        }
        let said: Vec<&Heard> = case.of_peer(request).collect();
        let allowing = said.iter().rfind(|heard| heard.message.header("Allow").is_some()).copied();
        let allows = |heard: &Heard| heard.message.headers("Allow").iter().any(|name| *name == Method::Update.name());
        let is_known = said.iter().any(|heard| is_of_invite(heard)) && !said.iter().any(|heard| heard.message.is_cut());
        (is_known && !allowing.is_some_and(allows)).then_some(Unasked { allowing })
    }

    /// Sentences that follow what happened.
    fn told(&self, peer: SocketAddr, request: &Heard, bye: &Heard) -> String {
        let known = match self.allowing {
            Some(_) => format!(" {peer} had not listed UPDATE in its Allow"),
            None => format!(" Nothing that {peer} had sent in this call names UPDATE in Allow"),
        };
        match bye.path.source == request.path.source {
            true => format!("{known}, and {} did not try a re-INVITE.", request.path.source),
            false => format!("{known}."),
        }
    }
}

/// The least interval that the other side takes, if it refused a refresh for that (RFC 4028 §6).
fn least(response: Option<&Heard>) -> Option<String> {
    let refused = response.filter(|response| response.message.status().map(StatusCode::get) == Some(422))?;
    refused.message.header("Min-SE").map(|least| least.into_owned())
}

/// The last re-INVITE or UPDATE before the BYE, if it failed. A 422 to the last one was followed by no other.
fn last_refresh<'a>(case: &Case<'a>, bye: &Heard) -> Option<(&'a Heard, Option<&'a Heard>)> {
    let last = case
        .call
        .transactions
        .iter()
        .filter(|transaction| {
            transaction.in_dialog
                && matches!(transaction.method, Method::Invite | Method::Update)
                && transaction.upstream.is_none()
        })
        .filter_map(|transaction| Some((transaction, case.call.request_of(transaction)?)))
        .filter(|(_, request)| request.place < bye.place && request.message.call_id() == bye.message.call_id())
        .max_by_key(|(_, request)| request.place)?;
    let (transaction, request) = last;
    match case.finals(transaction).last() {
        None => {
            let has_waited = bye.place.time.since(request.place.time) >= timer::OVERDUE;
            let is_left = request.repeated > 1 || has_waited && case.silence_over_stream(request).is_some();
            is_left.then_some((request, None))
        }
        Some(response) => {
            let status: StatusCode = response.message.status()?;
            let refused = status.get() >= 400 && !OTHER_MATTERS.contains(&status.get());
            refused.then_some((request, Some(response)))
        }
    }
}
