use std::net::SocketAddr;
use std::time::Duration;

use crate::call::{CALLED_USER, Failure, Granted, Heard, Kind, Sample};
use crate::capture::Place;
use crate::diagnosis::announced::Told;
use crate::diagnosis::rule::rule;
use crate::diagnosis::rules::authentication::forbidden_after_credentials::POLICY;
use crate::diagnosis::rules::routing::caller_identity_refused::rejects_anonymous;
use crate::diagnosis::said::Full;
use crate::diagnosis::words::{a_code, length};
use crate::diagnosis::{Case, Confidence, Finding, Role};
use crate::sip::Reason;

rule! {
    /// The callee, or the callee's device, rejected the call.
    ///
    /// ## What it says
    /// The call reached the callee and was declined there.
    ///
    /// ## Why it happens
    /// A person pressed reject, the device is set to refuse this caller, or its own timer ended the ringing.
    ///
    /// ## Evidence
    /// 603 after ringing; or 486 after ringing; or 603 without ringing and without a Reason that names somebody else;
    /// or the Q.850 cause 21, with 403 only after ringing or with `location=U`. Only 180 says that a device rings;
    /// after a 183 alone nobody is said to have pressed anything.
    ///
    /// ## How to fix
    /// Nothing is wrong with the signalling: ask the callee.
    ///
    /// ## When it would be wrong
    /// Some devices end a cancelled call so: what comes soon after the CANCEL was accepted is no refusal. A 603 of the
    /// network is not the callee's: `blocked-by-analytics`. Asterisk sends 603 when its dialplan ends. A server may
    /// send it for a callee without a device: so it is told where others were registered there before the call, and the
    /// first registration of the callee that is seen came after it.
    ///
    /// ## References
    /// RFC 3261 §21.4.24, §21.6.2; RFC 3398 §7.2.4.1
    "E5" "rejected-by-callee" needs [603] [486 PROVISIONAL] [REFUSED REASON], check
}

fn check(case: &Case<'_>) -> Option<Finding> {
    let rejected = Rejected::of(case)?;
    let confidence = rejected.confidence()?;
    if rejected.is_of_another() {
        return None;
    }
    let response = rejected.response;
    let finding = Finding::of(&RULE, confidence).explains(Some(rejected.failure.status)).sender(Role::Uas, response);
    let absent = rejected.absent();
    let finding = match &absent {
        Some(_) => finding.titled("The call was declined, and no device of the callee is seen to be registered then"),
        None => finding,
    };
    if !case.wants_words() {
        return Some(finding);
    }
    if let Some(full) = case.what_is_full(response).filter(|_| rejected.ringing.is_none()) {
        return Some(rejected.of_full(finding, full));
    }
    if case.call.kind != Kind::Call {
        return Some(rejected.of_request(finding));
    }
    if let Some(absent) = absent {
        return Some(absent.told(finding, case, response));
    }
    let finding = rejected.proved(rejected.advised(finding.because(rejected.explanation())));
    Some(rejected.refuting_unreachable(rejected.refuting_others(finding)))
}

/// A refusal by the callee, and what came before it.
struct Rejected<'a> {
    case: &'a Case<'a>,
    failure: &'a Failure,
    response: &'a Heard,
    /// The Q.850 cause that counts more than the code.
    cause: Option<u32>,
    ringing: Option<&'a Heard>,
    /// The 180 among what rang.
    alerting: Option<&'a Heard>,
    announced: Option<Told<'a>>,
}

impl<'a> Rejected<'a> {
    fn of(case: &'a Case<'a>) -> Option<Rejected<'a>> {
        let failure = case.failure()?;
        let response = case.response(failure);
        let code = case.code(failure);
        let cause = case.telling_cause(response);
        // A cause of rejection counts with any code but those that name another one who rejects.
        let is_of_other = matches!(code, 402 | 433 | 607 | 608) || code == 403 && !is_of_user(case, failure, response);
        let is_rejection = cause == Some(21) && code >= 400 && !is_of_other;
        if !matches!(code, 486 | 603) && !is_rejection {
            return None;
        }
        let ringing = case.ringing(failure.transaction);
        let alerting = case.alerting(failure.transaction);
        let announced = case.announced(response);
        Some(Rejected { case, failure, response, cause, ringing, alerting, announced })
    }

    fn code(&self) -> u16 {
        self.failure.status.get()
    }

    /// `None` where it is no rejection.
    fn confidence(&self) -> Option<Confidence> {
        Some(match (self.code(), self.cause, self.ringing) {
            // The 183 that gives the cause is no sign that anything rang.
            (_, Some(21), _) if self.announced.is_some() && self.alerting.is_none() => Confidence::Possible,
            (_, Some(21), Some(_)) | (486 | 603, Some(21), None) => Confidence::Likely,
            (_, Some(21), None) => Confidence::Possible,
            _ if self.cause.is_some() => return None,
            (603, ..) if self.alerting.is_some() => Confidence::Likely,
            (603, ..) => Confidence::Possible,
            (486, _, Some(_)) => match self.case.says_any(self.response, &["reject", "declin", "refus"]) {
                true => Confidence::Likely,
                false => Confidence::Possible,
            },
            _ => return None,
        })
    }

    /// True if it is the network that rejects, or the call was refused for its caller, or had been cancelled.
    fn is_of_another(&self) -> bool {
        let Rejected { case, failure, response, .. } = *self;
        case.states_any(response, &["network blocked", "analytics"])
            || case.says_any(response, POLICY)
            || rejects_anonymous(case, failure)
            || case.is_refused_for_account(failure)
            || case.only_tells_of_own_cancel(failure)
    }

    /// That a server declines shows nothing of the callee: a device rang, or the leg to it is in the capture.
    fn is_reached(&self) -> bool {
        self.ringing.is_some() || self.case.call.transaction(self.failure.transaction).upstream.is_some()
    }

    fn absent(&self) -> Option<Absent<'a>> {
        let shows_nothing = self.code() == 603 && self.cause.is_none() && !self.is_reached();
        shows_nothing.then(|| Absent::of(self.case, self.failure)).flatten()
    }

    fn waited_since(&self, heard: &Heard) -> Duration {
        self.response.place.time.since(heard.place.time)
    }

    fn quotation(&self) -> String {
        match &self.announced {
            Some(told) => format!("; {} before it gives Q.850 cause {}", a_code(told.bearer), told.cause),
            None => self.case.said_beside_code(self.response),
        }
    }

    /// There is no room for the call: in a conference, a mailbox or a queue.
    fn of_full(&self, finding: Finding, full: Full) -> Finding {
        let responder = self.response.path.source;
        finding
            .titled("There is no room for the call now")
            .because(format!("{responder} refused the call with {}{}: {}.", self.code(), self.quotation(), full.says()))
            .fix(full.fix(responder))
            .claim_status(self.response, "the call is declined")
            .claim_own_words(self.case, self.response)
            .refuted("callee-unreachable", "its words name what is full")
    }

    /// A MESSAGE, or another request that is no call, was declined.
    fn of_request(&self, finding: Finding) -> Finding {
        let device = self.case.device_behind(self.response);
        let finding = finding
            .titled("The recipient, or its device, declined the request")
            .because(self.explanation())
            .fix(format!(
                "Look on {device}, for senders that are refused, and whether it takes a {} at all.",
                self.case.noun()
            ))
            .claim_status(self.response, "it is declined")
            .claim_own_words(self.case, self.response);
        self.refuting_unreachable(finding)
    }

    fn explanation(&self) -> String {
        let (responder, code, quotation) = (self.response.path.source, self.code(), self.quotation());
        match (self.alerting, self.ringing) {
            (Some(rang), _) if code == 603 => format!(
                "The device rang for {}, and then {responder} declined the call with 603{quotation}.",
                length(self.waited_since(rang))
            ),
            (Some(rang), _) => format!(
                "The device rang for {}, and then {responder} ended it with {code}{quotation}: {}.",
                length(self.waited_since(rang)),
                by_whom(self.waited_since(rang))
            ),
            (None, Some(progress)) => format!(
                "{responder} refused the call with {code}, {} after {} and without a 180{quotation}: {}{}.",
                length(self.waited_since(progress)),
                a_code(progress),
                if self.waited_since(progress) < BY_HAND { "" } else { "if a device rang at all, " },
                by_whom(self.waited_since(progress))
            ),
            (None, None) if self.case.call.kind != Kind::Call => format!(
                "{responder} declined the {} with {code}{quotation}: the device is set to refuse it, or a server does \
                 so for its user.",
                self.case.noun()
            ),
            (None, None) => format!(
                "{responder} declined the call with {code}, and nothing had rung{quotation}: the device is set to \
                 refuse it, or a server does so for the callee."
            ),
        }
    }

    fn advised(&self, finding: Finding) -> Finding {
        let device = self.case.device_behind(self.response);
        let rang = self.alerting.or(self.ringing);
        let finding = match rang.is_some_and(|told| self.waited_since(told) >= BY_HAND) {
            true => finding.fix("Ask the callee whether the call was rejected by hand: the signalling is sound.").fix(
                format!(
                    "If not, look on {device}, for do not disturb, refused callers, or a time after which it rejects."
                ),
            ),
            false => finding.fix(format!(
                "Look on {device}, and on the server that acts for the callee, for do not disturb, refused callers \
                 or a rule that rejects: the signalling is sound, and the capture shows no time in which a person \
                 could have rejected the call by hand."
            )),
        };
        match self.code() {
            603 => finding.fix(
                "If other devices of the callee should go on ringing, let the device send 486 instead of 603, which \
                 ends the call everywhere.",
            ),
            _ => finding,
        }
    }

    fn proved(&self, finding: Finding) -> Finding {
        let finding = match self.alerting.or(self.ringing) {
            Some(told) if self.alerting.is_some() => finding.claim_status(told, "the callee's device rings"),
            Some(told) => finding.claim_status(told, "the call goes on, and it does not say that it rings"),
            None => finding,
        };
        let finding =
            finding.claim_status(self.response, "the call is declined").claim_own_words(self.case, self.response);
        match self.announced {
            Some(told) => told.claimed(finding, "the call is rejected"),
            None => finding,
        }
    }

    fn refuting_others(&self, finding: Finding) -> Finding {
        match self.code() {
            486 if self.alerting.is_none() => finding
                .refuted("callee-busy", "mostly a busy line is told before anything else comes; it is not excluded"),
            486 => finding.refuted(
                "callee-busy",
                "the device rang first, so it had a free line; a second call that came meanwhile is not excluded",
            ),
            _ => finding.refuted("blocked-by-analytics", "neither phrase nor Reason names a network that blocks calls"),
        }
    }

    fn refuting_unreachable(&self, finding: Finding) -> Finding {
        match self.is_reached() {
            true => finding.refuted("callee-unreachable", "the callee's side was reached and declined"),
            false => finding,
        }
    }
}

/// A callee of whom no registration is seen before the call, at a server where others register.
struct Absent<'a> {
    /// The 2xx to the registration of another.
    other: Place,
    /// The first registration of the callee that is granted.
    later: &'a Granted,
    /// An INVITE to the callee that was accepted after that.
    accepted: Option<Place>,
}

impl<'a> Absent<'a> {
    fn of(case: &Case<'a>, failure: &Failure) -> Option<Absent<'a>> {
        let request = case.request(failure).filter(|_| case.call.kind == Kind::Call)?;
        let (client, server) = (request.path.source.ip(), request.path.destination.ip());
        let (known, later) = case.registered_only_later()?;
        let is_here = |registrar: Option<SocketAddr>| registrar.is_some_and(|registrar| registrar.ip() == server);
        if !is_here(known.registrar) {
            return None;
        }
        let registrations = case.surroundings.registrations();
        let at = request.place.time;
        let here = registrations.in_any_order().filter(|(_, other)| is_here(other.registrar));
        let granted = here.flat_map(|(_, other)| &other.granted);
        let in_force = granted.filter(|granted| granted.place.time < at && granted.until > at);
        let other = in_force.map(|granted| granted.place).min()?;
        let own = Sample::of(&request.message, request.path, request.place);
        let called =
            |sample: &Sample| sample.traits.iter().find(|one| one.what == CALLED_USER).map(|one| one.has.clone());
        let good = case.surroundings.neighbours().good_calls().on(client, server).iter();
        let same = good.filter(|sample| sample.place > later.place && called(sample) == called(&own));
        let accepted = same.map(|sample| sample.place).min();
        Some(Absent { other, later, accepted })
    }

    /// The finding with what is seen of the callee's registration, and what to do.
    fn told(&self, finding: Finding, case: &Case<'_>, response: &Heard) -> Finding {
        let (server, at) = (response.path.source, response.place.time);
        let callee = case.failure().map(|failure| case.callee(failure)).unwrap_or_default();
        let then = if self.accepted.is_some() { ", and then a call to it is accepted" } else { "" };
        let finding = finding
            .because(format!(
                "{server} declined the call to \"{callee}\" with 603, and nothing had rung. No registration of \
                 \"{callee}\" is seen before the call, while others register there; it registers {} later{then}. It \
                 may be that there was no device to reach.",
                length(self.later.place.time.since(at))
            ))
            .fix(format!(
                "Look on {server} whether \"{callee}\" was registered when the call came, and on its device why it \
                 was not."
            ))
            .fix(format!(
                "Let {server} answer 480 for a user without a device: 603 says that the callee itself declined (RFC \
                 3261 §21.6.2)."
            ))
            .fix("If it was registered, look on the callee's device for do not disturb or refused callers.")
            .claim_at(self.other, "sip.CSeq.method", "REGISTER", "another user is registered there before the call")
            .claim_status(response, "the call is declined")
            .claim_own_words(case, response)
            .claim_at(self.later.place, "sip.CSeq.method", "REGISTER", "the callee's first registration that is seen");
        let finding = match self.accepted {
            Some(accepted) => finding.claim_at(accepted, "sip.Method", "INVITE", "a call to it that is accepted"),
            None => finding,
        };
        finding.refuted("blocked-by-analytics", "neither phrase nor Reason names a network that blocks calls")
    }
}

/// True if it was the called side that rejected the call: something rang before the Q.850 cause 21, or the cause is
/// said to come from the user (RFC 3398 §7.2.4.1; RFC 8606 §4).
pub(super) fn is_of_user(case: &Case<'_>, failure: &Failure, response: &Heard) -> bool {
    let is_rejection = |reason: &&Reason| reason.q850() == Some(21);
    let mut rejections = case.reasons(response).iter().filter(is_rejection).peekable();
    let rang = case.ringing(failure.transaction).is_some();
    rejections.peek().is_some() && (rang || rejections.any(|reason| reason.location.as_deref() == Some("U")))
}

/// Hardly anybody presses a key sooner than this.
const BY_HAND: Duration = Duration::from_millis(500);

/// Who may have refused a call so long after it was announced.
fn by_whom(waited: Duration) -> &'static str {
    match waited < BY_HAND {
        true => "that is hardly a person, so soon; the device, or a server for the callee, refuses the call by itself",
        false => "a person pressed reject, or a timer of the device did it",
    }
}
