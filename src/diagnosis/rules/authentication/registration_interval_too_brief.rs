use crate::call::{Heard, Kind, NormalStep};
use crate::diagnosis::diagnose::NEXT_TRY;
use crate::diagnosis::rule::rule;
use crate::diagnosis::{Case, Confidence, Finding, Role, Severity};
use crate::sip::{Method, NameAddr};

rule! {
    /// The client asked to be registered for a shorter time than the registrar allows.
    ///
    /// ## What it says
    /// The registrar names the shortest interval that it accepts, and the client does not ask for it.
    ///
    /// ## Why it happens
    /// A short interval is set on the client to keep a NAT binding open, and the registrar protects itself against
    /// many small renewals.
    ///
    /// ## Evidence
    /// 423 with `Min-Expires`, and the interval that the request asked for: `expires` of its Contact, or `Expires`.
    ///
    /// ## How to fix
    /// Ask for at least the interval of `Min-Expires`. Keep NAT bindings open by keep-alives instead.
    ///
    /// ## When it would be wrong
    /// If the next request asks for enough and is accepted, the 423 was only a step. If it asks for what was named and
    /// gets a 423 with a longer minimum, it is the server that moves it. A request for 0 s asks for the end, and no
    /// interval is too brief for that: there the server is at fault.
    ///
    /// ## References
    /// RFC 3261 §10.2.8, §10.3, §20.23, §21.4.17; RFC 6665 §4.2.1; RFC 3903 §6
    "A11" "registration-interval-too-brief" needs [423] [FAILURE SEVERAL], check
}

fn check(case: &Case<'_>) -> Option<Finding> {
    match case.failure_with(&[423]) {
        Some(failure) => refused(case, case.request(failure)?, case.response(failure)),
        None => raised(case),
    }
}

/// The 423 ended the matter.
fn refused(case: &Case<'_>, request: &Heard, response: &Heard) -> Option<Finding> {
    let brief = Brief::of(case, request, response);
    let finding = brief.told(brief.finding()).claim_status(response, "the interval is refused");
    Some(claim_asked(finding, brief.request, brief.asked))
}

/// A request that got 423 in the end.
struct Brief<'a> {
    case: &'a Case<'a>,
    request: &'a Heard,
    response: &'a Heard,
    /// The shortest interval that the server names.
    minimum: Option<String>,
    /// What the request asked for, and where that stands.
    asked: Option<(&'static str, String)>,
    /// What every request asked for that was refused.
    every: Vec<String>,
}

impl<'a> Brief<'a> {
    fn of(case: &'a Case<'a>, request: &'a Heard, response: &'a Heard) -> Brief<'a> {
        // Who passes it on asks for nothing itself.
        let request = case.first_with(request, |before| asked(before) == asked(request));
        let minimum = response.message.header("Min-Expires").map(|value| value.into_owned());
        Brief { case, request, response, minimum, asked: asked(request), every: every_interval(case) }
    }

    fn lacks_minimum(&self) -> bool {
        self.minimum.is_none() && !self.response.message.is_cut()
    }

    /// True if the interval may stand behind the cut.
    fn is_unread(&self) -> bool {
        self.asked.is_none() && self.request.message.has_cut_head()
    }

    /// Where the capture ends, the client may still ask for more: then it is a step and no failure.
    fn is_over(&self) -> bool {
        self.case.tail(self.response.place) >= NEXT_TRY || self.every.len() > 1 || self.lacks_minimum()
    }

    /// The seconds that the request asked for.
    fn seconds(&self) -> Option<u64> {
        number(&self.asked.as_ref()?.1)
    }

    fn is_enough(&self, minimum: &str) -> bool {
        number(minimum).is_some_and(|minimum| self.seconds().is_some_and(|seconds| seconds >= minimum))
    }

    fn confidence(&self) -> Confidence {
        match self.is_over() {
            // Of messages whose beginning alone is there, a later try may not have been told for one.
            true if self.response.message.is_cut() || self.case.lacks_next_try(self.request, self.response) => {
                Confidence::Possible
            }
            true if self.is_of_what_followed() && self.case.capture.drops > 0 => Confidence::Possible,
            true if self.is_unread() => Confidence::Likely,
            true => Confidence::Proven,
            false => Confidence::Unseen,
        }
    }

    /// True if the client alone is at fault, by what it did not send after the first refusal.
    fn is_of_what_followed(&self) -> bool {
        self.every.len() <= 1 && self.minimum.as_ref().is_some_and(|minimum| !self.is_enough(minimum))
    }

    /// The finding, without its words.
    fn finding(&self) -> Finding {
        let finding = Finding::of(&RULE, self.confidence());
        match self.case.call.kind {
            _ if !self.is_over() => finding
                .severity(Severity::Info)
                .titled("The interval is too brief; the capture ends before the client can raise it"),
            Kind::Registration => finding.explains(self.response.message.status()),
            _ => finding
                .explains(self.response.message.status())
                .titled("The client asked for a shorter time than the server allows"),
        }
    }

    fn told(&self, finding: Finding) -> Finding {
        match (&self.minimum, moved_minimum(self.case)) {
            _ if self.seconds() == Some(0) => self.of_the_end(finding),
            (Some(minimum), _) if self.is_enough(minimum) => self.of_equal(finding, minimum),
            (Some(minimum), Some(moved)) => self.of_moving(finding, minimum, moved),
            (Some(minimum), None) => self.of_client(finding, minimum),
            (None, _) if self.lacks_minimum() => self.without_minimum(finding),
            (None, _) => self.cut_off(finding),
        }
    }

    fn server_role(&self) -> Role {
        if self.case.call.kind == Kind::Registration { Role::Registrar } else { Role::Uas }
    }

    /// What the request is for, as a verb.
    fn what(&self) -> &'static str {
        match self.request.message.method() {
            Some(Method::Register) => "register",
            Some(Method::Publish) => "publish",
            _ => "subscribe",
        }
    }

    fn interval(&self) -> String {
        match &self.asked {
            Some((_, seconds)) => format!("{seconds} s"),
            None if self.is_unread() => "an interval that is behind the cut".to_owned(),
            None => "no interval".to_owned(),
        }
    }

    /// What the client asked for, and how often: `192.0.2.1:5060 asked to register for 60 s`.
    fn wish(&self) -> String {
        let again = match self.every.split_last() {
            Some((last, before)) if before.iter().any(|other| other != last) => {
                format!(", after {} s", before.join(" s and "))
            }
            Some((_, before)) if !before.is_empty() => format!(", {} times without a change", self.every.len()),
            _ => String::new(),
        };
        format!("{} asked to {} for {}{again}", self.request.path.source, self.what(), self.interval())
    }

    /// No interval is too brief for the end.
    fn of_the_end(&self, finding: Finding) -> Finding {
        let (client, server) = (self.request.path.source, self.response.path.source);
        finding
            .titled("The server refuses a request for the end as too brief an interval")
            .sender(self.server_role(), self.response)
            .because(format!(
                "{client} asked to {} for 0 s, which asks for the end, and {server} answered 423: no interval is too \
                 brief for that, for the minimum is only for what is more than 0.",
                self.what()
            ))
            .fix(format!(
                "Have {server} mended: it must take a request for 0 s (RFC 3261 §10.3, RFC 6665 §4.2.1, RFC 3903 §6)."
            ))
            .fix("Until then what was granted ends by itself when its time is over.")
            .claim_header(self.response, "Min-Expires", "the shortest interval that the server names")
    }

    /// The server refuses what it demands.
    fn of_equal(&self, finding: Finding, minimum: &str) -> Finding {
        let (client, server) = (self.request.path.source, self.response.path.source);
        finding
            .sender(self.server_role(), self.response)
            .because(format!(
                "{server} demands at least {minimum} s (Min-Expires) and answers 423 although {client} asks to {} for \
                 {}.",
                self.what(),
                self.interval()
            ))
            .fix(format!("Let {server} accept an interval that is equal to its own minimum of {minimum} s."))
            .fix(format!("Until then set an interval on the client that is longer than {minimum} s."))
            .claim_header(self.response, "Min-Expires", "the shortest interval that the server says it accepts")
    }

    /// The server demands more each time.
    fn of_moving(&self, finding: Finding, minimum: &str, (told, before): (&Heard, u64)) -> Finding {
        let (client, server) = (self.request.path.source, self.response.path.source);
        finding
            .titled("The server raises its shortest interval each time that it is asked for")
            .sender(self.server_role(), self.response)
            .because(format!(
                "{server} demanded at least {before} s (Min-Expires), {client} asked to {} for as long, and then \
                 {server} demanded {minimum} s: the client did as it was told, and the server moves its minimum.",
                self.what()
            ))
            .fix(format!("Look at {server} for how it sets Min-Expires: it must take the interval that it has named."))
            .fix(format!("Until then set an interval on the client that is longer than {minimum} s."))
            .claim_header(told, "Min-Expires", "the shortest interval that the server named before")
            .claim_header(self.response, "Min-Expires", "what it demands when it is asked for that")
    }

    /// The client does not ask for what the server demands.
    fn of_client(&self, finding: Finding, minimum: &str) -> Finding {
        let server = self.response.path.source;
        let end = match self.is_over() {
            _ if self.is_unread() => "calls what was asked for too short",
            true if self.case.lacks_next_try(self.request, self.response) => {
                "the next REGISTER in this capture is not the next that was sent"
            }
            true if self.case.capture.drops > 0 => "no request for that is in this capture, which lacks packets",
            true => "the client did not ask for that",
            false => "the capture ends before the client can ask for that",
        };
        finding
            .sender(Role::Uac, self.request)
            .because(format!("{}; {server} accepts no less than {minimum} s, and {end}.", self.wish()))
            .fix(format!("Set the interval on the client to {minimum} s or more."))
            .fix(format!(
                "If the short interval is there for NAT, send keep-alives instead, or lower the minimum of {server}."
            ))
            .claim_header(self.response, "Min-Expires", "the shortest interval that the server accepts")
    }

    /// What the server demands may stand behind the cut.
    fn cut_off(&self, finding: Finding) -> Finding {
        finding
            .sender(Role::Uac, self.request)
            .because(format!(
                "{}; {} calls that too short. What it accepts is not in the capture, which holds only the beginning \
                 of its 423.",
                self.wish(),
                self.response.path.source
            ))
            .fix("Set the interval on the client to what Min-Expires in the 423 says, or more.")
    }

    /// The server does not say what it demands.
    fn without_minimum(&self, finding: Finding) -> Finding {
        finding
            .sender(self.server_role(), self.response)
            .because(format!(
                "{}; {} calls that too short and does not say what it accepts: its 423 carries no Min-Expires, so the \
                 client cannot ask for enough.",
                self.wish(),
                self.response.path.source
            ))
            .fix("Let the registrar send Min-Expires in its 423: RFC 3261 §21.4.17 demands it.")
            .fix("Until then set a longer interval on the client, such as 3600 s.")
    }
}

fn number(text: &str) -> Option<u64> {
    let text = text.trim();
    // What follows the digits is not of them.
    text.get(..text.bytes().position(|byte| !byte.is_ascii_digit()).unwrap_or(text.len()))?.parse().ok()
}

/// The last 423 whose minimum the client asked for, only to be told a longer one; and that minimum.
fn moved_minimum<'a>(case: &Case<'a>) -> Option<(&'a Heard, u64)> {
    let of_client =
        case.call.failures.iter().filter(|failure| {
            failure.status.get() == 423 && case.call.transaction(failure.transaction).upstream.is_none()
        });
    let minimum = |heard: &Heard| heard.message.header("Min-Expires")?.trim().parse::<u64>().ok();
    let refused: Vec<(u64, &Heard, u64)> = of_client
        .filter_map(|failure| {
            let (_, seconds) = asked(case.request(failure)?)?;
            let response = case.response(failure);
            Some((seconds.parse().ok()?, response, minimum(response)?))
        })
        .collect();
    let [.., (_, told, before), (asked, _, after)] = refused.as_slice() else { return None };
    (asked >= before && asked < after).then_some((*told, *before))
}

/// The 423 was answered with a longer interval.
fn raised(case: &Case<'_>) -> Option<Finding> {
    let failure = case.call.failures.iter().find(|failure| {
        failure.status.get() == 423
            && matches!(failure.normal, Some(NormalStep::IntervalRaised | NormalStep::LaterTryAnswered))
    })?;
    let (request, response) = (case.request(failure)?, case.response(failure));
    let asked = asked(request);
    let (_, seconds) = asked.clone()?;
    let minimum = response.message.header("Min-Expires")?.into_owned();
    let finding = Finding::of(&RULE, Confidence::Proven)
        .severity(Severity::Info)
        .about(failure.status)
        .titled("The interval was raised to what the registrar wants")
        .because(format!(
            "The client asked for {seconds} s, the server wants at least {minimum} s, and the client raised it."
        ))
        .claim_header(response, "Min-Expires", "the shortest interval that the server accepts");
    Some(claim_asked(finding, request, asked))
}

/// What each request asked for that was refused, on the client's own hop, in order.
fn every_interval(case: &Case<'_>) -> Vec<String> {
    let of_client =
        case.call.failures.iter().filter(|failure| {
            failure.status.get() == 423 && case.call.transaction(failure.transaction).upstream.is_none()
        });
    let requests = of_client.filter_map(|failure| case.request(failure));
    requests.filter_map(asked).map(|(_, seconds)| seconds).collect()
}

/// The interval that a request asks for, and where it stands.
fn asked(request: &Heard) -> Option<(&'static str, String)> {
    let of_all = || Some(("Expires", request.message.header("Expires")?.trim().to_owned()));
    let contacts = request.message.headers("Contact");
    let of_each = contacts.iter().filter_map(|contact| {
        let expires = NameAddr::read(contact).parameters.get("expires").map(|value| value.trim().to_owned());
        expires.map(|seconds| ("expires", seconds)).or_else(of_all)
    });
    // Each of several Contacts has an interval of its own, and the shortest one that asks for any is refused (RFC 3261
    // §10.3); 0 asks for the end.
    let shortest = |(_, seconds): &(&str, String)| number(seconds).filter(|seconds| *seconds > 0).unwrap_or(u64::MAX);
    of_each.min_by_key(shortest).or_else(of_all)
}

fn claim_asked(finding: Finding, request: &Heard, asked: Option<(&'static str, String)>) -> Finding {
    const SAYS: &str = "what the client asks for";
    match asked {
        Some(("Expires", _)) => finding.claim_header(request, "Expires", SAYS),
        Some(_) => finding.claim_header(request, "Contact", SAYS),
        None => finding,
    }
}
