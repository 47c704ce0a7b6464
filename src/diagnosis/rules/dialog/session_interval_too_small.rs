use crate::call::{Heard, NormalStep, timer};
use crate::diagnosis::rule::rule;
use crate::diagnosis::{Case, Confidence, Finding, Role, Try};

rule! {
    /// The session timer that was asked for is shorter than the other side allows.
    ///
    /// ## What it says
    /// The INVITE asks for a session interval below the minimum of its receiver, which answers 422 and names the
    /// minimum.
    ///
    /// ## Why it happens
    /// The interval is set very short on the caller's side, or very long as a minimum on the other.
    ///
    /// ## Evidence
    /// A 422 with Min-SE greater than the Session-Expires of the request, and no later try that meets it. It is proven
    /// that none was meant to come where an earlier 422 had named that minimum already, and this try was made after it.
    ///
    /// ## How to fix
    /// Set the session interval of the caller's side to at least Min-SE.
    ///
    /// ## When it would be wrong
    /// If the request comes again with a greater interval and is accepted, that is the normal negotiation. A request
    /// that asks for no session timer must not get 422: then the responder is wrong, or a hop behind it asked for one.
    ///
    /// ## References
    /// RFC 4028 §6, §5, §8.1
    "C7" "session-interval-too-small" needs [422], check
}

fn check(case: &Case<'_>) -> Option<Finding> {
    let failure = case.failure_with(&[422]).filter(|failure| failure.normal != Some(NormalStep::IntervalRaised))?;
    if case.call.is_tried_again_unseen(case.call.transaction(failure.transaction)) {
        return None;
    }
    let refusal = Refusal::of(case.response(failure), first_to_ask(case, case.request(failure)?));
    let Refusal { request, response, .. } = refusal;
    let (role, culprit) = match refusal.minimum {
        Some(_) if refusal.is_enough || refusal.is_unasked => (Role::Uas, response),
        Some(_) => (case.role_of_sender(request), request),
        None => (Role::Uas, response),
    };
    let told_before = refusal.told_before(case);
    let (confidence, then) = match &told_before {
        Some(_) => (Confidence::Proven, "a 422 to an earlier try had already named a minimum above what it asks for"),
        None => refusal.what_followed(case),
    };
    let finding = Finding::of(&RULE, confidence)
        .explains(Some(failure.status))
        .sender(role, culprit)
        .because(format!(
            "The {} {}: {} refused it with 422, and {then}.",
            request.message.method()?,
            refusal.told(),
            response.path.source
        ))
        .fix(refusal.cure())
        .claim_status(response, "refused")
        .claim_header(request, "Session-Expires", "what was asked for")
        .claim_header(response, "Min-SE", "the minimum");
    let finding = match told_before {
        Some(earlier) => finding
            .fix(format!(
                "Look at {} for why it does not take Min-SE of a 422 for its next try (RFC 4028 §7.3).",
                request.path.source
            ))
            .claim_header(earlier.request, "Session-Expires", "what the earlier try asked for, which got a 422 too"),
        None => finding,
    };
    Some(finding.refuted("registration-interval-too-brief", "422 is about the session timer, not about a registration"))
}

/// A request that was refused for its session timer.
struct Refusal<'a> {
    request: &'a Heard,
    response: &'a Heard,
    /// Session-Expires of the request.
    asked: Option<String>,
    /// Min-SE of the response.
    minimum: Option<String>,
    /// True if no less was asked for than that.
    is_enough: bool,
    /// True if no session timer was asked for.
    is_unasked: bool,
}

impl<'a> Refusal<'a> {
    fn of(response: &'a Heard, request: &'a Heard) -> Refusal<'a> {
        let asked = request.message.header("Session-Expires").map(|value| value.into_owned());
        let minimum = response.message.header("Min-SE").map(|value| value.into_owned());
        let is_enough = is_enough(asked.as_deref(), minimum.as_deref());
        let is_unasked = asked.is_none() && !request.message.is_cut();
        Refusal { request, response, asked, minimum, is_enough, is_unasked }
    }

    /// What the request asks for, and what the response says to that.
    fn told(&self) -> String {
        match (&self.asked, &self.minimum) {
            (Some(asked), Some(minimum)) if self.is_enough => format!(
                "asks for a session timer of {} s, which the minimum of {minimum} s in the response allows",
                seconds(asked)
            ),
            (Some(asked), Some(minimum)) => {
                format!("asks for a session timer of {} s, and the minimum is {minimum} s", seconds(asked))
            }
            (None, Some(minimum)) if self.request.message.has_cut_head() => {
                format!("may ask for a session timer behind the cut, and the minimum is {minimum} s")
            }
            (None, Some(minimum)) => {
                format!("as captured here asks for no session timer that could be below the minimum of {minimum} s")
            }
            (_, None) if self.response.message.is_cut() => "names a session timer that is too short, if any".to_owned(),
            (_, None) => "was answered without Min-SE, so the caller's side cannot know the minimum".to_owned(),
        }
    }

    fn cure(&self) -> String {
        let (client, server) = (self.request.path.source, self.response.path.source);
        match &self.minimum {
            Some(minimum) if self.is_enough => format!(
                "Have {server} mended: a request that asks for its minimum of {minimum} s must not get 422 (RFC 4028 \
                 §6)."
            ),
            Some(_) if self.is_unasked => format!(
                "Look at {server}, and at what adds Session-Expires behind it: who asks for no session timer must not \
                 get 422 (RFC 4028 §6)."
            ),
            Some(minimum) => format!("Set the session timer of {client} to at least {minimum} s."),
            None if self.response.message.is_cut() => {
                format!("Set the session timer of {client} to what Min-SE in the 422 says: here it is behind the cut.")
            }
            None => format!("Let {server} send Min-SE with its 422, as RFC 4028 §6 demands."),
        }
    }

    /// An earlier try whose 422 had named a minimum, where this one asked for less all the same: there it is not that
    /// the next try is still to come.
    fn told_before(&self, case: &Case<'a>) -> Option<Try<'a>> {
        let asked = number(self.asked.as_deref())?;
        let is_told = |earlier: &Try<'_>| {
            let refusal = earlier.response.filter(|_| earlier.status() == self.response.message.status());
            let refusal = refusal.filter(|refusal| refusal.place < self.request.place);
            let least = refusal.and_then(|refusal| number(refusal.message.header("Min-SE").as_deref()));
            least.is_some_and(|least| least > asked)
        };
        case.tries().into_iter().find(is_told)
    }

    /// What followed, and how sure that makes. A phone tries again by itself, and at once: only a capture that ends
    /// sooner may have missed it.
    fn what_followed(&self, case: &Case<'_>) -> (Confidence, &'static str) {
        match case.tail(self.response.place) < timer::T2 {
            // The try with more may have been one of those whose beginning alone is there.
            _ if case.may_lack_what_followed(self.response)
                || case.lacks_requests_after(self.request, self.response.place) =>
            {
                (Confidence::Possible, "no try with more is known")
            }
            true if self.is_unasked => (Confidence::Likely, "the capture ends before a try with one could follow"),
            false if self.is_unasked => (Confidence::Likely, "no try with one followed"),
            true => (Confidence::Likely, "the capture ends before a try with more could follow"),
            false => (Confidence::Proven, "no try with more followed"),
        }
    }
}

/// Of a request on its way over several hops the copy that was the first to ask for this interval: a proxy may add one
/// of its own, or change it (RFC 4028 §8.1).
fn first_to_ask<'a>(case: &Case<'a>, refused: &'a Heard) -> &'a Heard {
    let interval = |request: &Heard| request.message.header("Session-Expires").map(|value| seconds(&value).to_owned());
    let wanted = interval(refused);
    case.first_with(refused, |before| interval(before) == wanted)
}

/// The number of seconds in a Session-Expires, without its parameters.
fn seconds(value: &str) -> &str {
    value.split(';').next().unwrap_or(value).trim()
}

/// True if what was asked for is no less than the minimum that the refusal names.
fn is_enough(asked: Option<&str>, minimum: Option<&str>) -> bool {
    number(asked).zip(number(minimum)).is_some_and(|(asked, minimum)| asked >= minimum)
}

fn number(value: Option<&str>) -> Option<u32> {
    seconds(value?).parse().ok()
}
