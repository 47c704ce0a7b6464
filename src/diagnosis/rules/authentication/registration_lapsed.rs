use std::net::SocketAddr;
use std::time::Duration;

use crate::call::{Asked, Denied, Failure, Granted, Heard, Kind, Registered};
use crate::capture::{Place, Timestamp};
use crate::diagnosis::rule::rule;
use crate::diagnosis::words::length;
use crate::diagnosis::{Case, Confidence, Finding, Role};
use crate::sip::Uri;

rule! {
    /// The callee's registration had run out when the call came.
    ///
    /// ## What it says
    /// The callee's device was registered, did not renew it in time, and was not reachable meanwhile.
    ///
    /// ## Why it happens
    /// The device was off or without a network, its REGISTER was lost or refused, or it renews later than it may.
    ///
    /// ## Evidence
    /// A 2xx to REGISTER that grants a time; no other one before that time was over; and a call after it that got 404,
    /// 408 or 480. A number may be registered without the "+" with which it is called, or with one; a 404 is possible
    /// only then.
    ///
    /// ## How to fix
    /// Look why the device did not renew its registration.
    ///
    /// ## When it would be wrong
    /// If the device unregistered on purpose, or other devices of the callee are registered by another way.
    ///
    /// ## References
    /// RFC 3261 §10.2.4, §10.3
    "A12" "registration-lapsed" needs [404 408 480], check
}

fn check(case: &Case<'_>) -> Option<Finding> {
    let lapsed = Lapsed::of(case)?;
    let finding =
        Finding::of(&RULE, lapsed.confidence()).explains(Some(lapsed.failure.status)).because(lapsed.explanation());
    let finding = match case.call.kind {
        Kind::Call => finding,
        _ => finding.titled("The recipient's registration had run out when the message came"),
    };
    let finding = lapsed.proved(lapsed.advised(finding));
    Some(finding.refuted("callee-unreachable", "the capture shows why no device was registered"))
}

/// A registration that had run out when its user was called.
struct Lapsed<'a> {
    case: &'a Case<'a>,
    failure: &'a Failure,
    /// The request to that user.
    asked: &'a Heard,
    /// When the copy of it was sent that was answered.
    at: Timestamp,
    known: &'a Registered,
    /// The last registration before the request.
    last: &'a Granted,
    /// The next one after it.
    next: Option<&'a Granted>,
    /// The number as it is registered, if that is with a "+" and was called without, or the reverse.
    other: Option<String>,
    tried: Option<Renewal<'a>>,
}

impl<'a> Lapsed<'a> {
    fn of(case: &'a Case<'a>) -> Option<Lapsed<'a>> {
        if !matches!(case.call.kind, Kind::Call | Kind::Message) {
            return None;
        }
        let failure = case.failure_with(&[404, 408, 480])?;
        let asked = case.call.request_of(case.deciding()?)?;
        let target = Uri::read(&asked.message.request_uri()?);
        let of = |user: &str| case.surroundings.registrations().of(user, &target.host);
        let other = of_other_form(&target);
        // The same number with or without "+", at the server that it is registered on.
        let is_asked_there =
            |known: &&Registered| known.registrar.is_some_and(|one| one.ip() == asked.path.destination.ip());
        let known = of(target.bare_user());
        let other = other.filter(|_| known.is_none());
        let known = known.or_else(|| of(other.as_deref()?).filter(is_asked_there))?;
        let at = case.asked_at()?;
        let last = known.granted.iter().rev().find(|granted| granted.place.time <= at)?;
        // A binding that ends with its own response was taken away on purpose.
        let was_removed = last.until <= last.place.time;
        let is_whole = known.is_whole();
        if was_removed || last.until >= at || !is_whole || case.alerting_or_progress(failure.transaction).is_some() {
            return None;
        }
        let next = known.granted.iter().find(|granted| granted.place.time > at && granted.until > granted.place.time);
        let tried = Renewal::of(known, last.place, asked.place);
        Some(Lapsed { case, failure, asked, at, known, last, next, other, tried })
    }

    /// A 404 may also mean that the server does not take the two for one number.
    fn confidence(&self) -> Confidence {
        match self.other.is_none() || self.failure.status.get() != 404 {
            true => Confidence::Likely,
            false => Confidence::Possible,
        }
    }

    fn what(&self) -> &'static str {
        if self.case.call.kind == Kind::Call { "call" } else { "message" }
    }

    fn explanation(&self) -> String {
        let at = self.at;
        let not_renewed = match &self.tried {
            None => "was not renewed".to_owned(),
            Some(tried) => format!("was not renewed ({})", tried.words(at)),
        };
        let back = match self.next {
            Some(next) => format!("and registered again {} later", since(at, next.place.time)),
            None => "and did not register again in this capture".to_owned(),
        };
        let as_other = self.other.as_ref().map(|other| format!(" (as \"{other}\")")).unwrap_or_default();
        let own_time = self.own_time().map(|(_, sentence)| sentence).unwrap_or_default();
        format!(
            "The registration of \"{}\"{as_other} had run out {} before {}: it was granted for {}, {not_renewed}, \
             {back}.{own_time}",
            self.case.dialled(self.failure),
            since(self.last.until, at),
            match at == self.asked.place.time {
                true => format!("this {}", self.what()),
                false => format!("the copy of this {}'s request that was answered", self.what()),
            },
            since(self.last.place.time, self.last.until)
        )
    }

    /// The time that the device had asked for, and a sentence on it, if it came again as it does who renews by that one
    /// and not by the shorter one that it was granted (RFC 3261 §10.2.4).
    fn own_time(&self) -> Option<(u32, String)> {
        let next = self.next.filter(|_| self.tried.is_none())?;
        let binds = |asked: &&Asked| !matches!(&*asked.contact, "" | "*");
        let before =
            |granted: &Granted| self.known.asked.iter().rfind(|asked| asked.place < granted.place && binds(asked));
        let asked = before(self.last)?;
        let again = before(next).filter(|again| again.device == asked.device)?;
        let wanted = asked.wanted.map(u64::from).map(Duration::from_secs)?;
        let (granted, gap) = (self.last.until.since(self.last.place.time), again.place.time.since(asked.place.time));
        // Half of it, nearly all of it, or what lies between.
        let is_by_own = gap >= wanted.mul_f64(0.45) && gap <= wanted;
        (is_by_own && wanted > 2 * granted).then(|| {
            let (wanted_for, gap) = (length(wanted), length(gap));
            let sentence = format!(
                " The device had asked for {wanted_for} and came again after {gap}: it renews by the time that it asks \
                 for, and not by the one that is granted."
            );
            (asked.wanted.unwrap_or_default(), sentence)
        })
    }

    fn advised(&self, finding: Finding) -> Finding {
        let callee = self.case.dialled(self.failure);
        if let Some(tried) = &self.tried {
            return tried.blamed(finding, &callee, self.known.registrar);
        }
        if let Some((wanted, _)) = self.own_time() {
            let granted = self.last.until.since(self.last.place.time).as_secs();
            return finding
                .party(Role::Uas, self.known.asked.last().map(|asked| asked.source))
                .fix(format!(
                    "Let the device of \"{callee}\" renew by the time in the 2xx ({granted} s) and not by its own \
                     ({wanted} s): RFC 3261 §10.2.4."
                ))
                .fix(format!("Or set its registration time to {granted} s, or let the registrar grant {wanted} s."));
        }
        finding
            .party(Role::Uas, self.known.asked.last().map(|asked| asked.source))
            .fix(format!(
                "Look why the device of \"{callee}\" did not renew its registration: was it off, or its REGISTER \
                 unanswered?"
            ))
            .fix("Let the device renew at half of the time that is granted, so that one lost REGISTER does no harm.")
    }

    fn proved(&self, finding: Finding) -> Finding {
        let (last, what) = (self.last.place, self.what());
        let (field, value, lasts) = match self.last.length_shown() {
            Some((field, value)) => (field, value, ", for so long"),
            None => ("sip.CSeq.method", "REGISTER".to_owned(), ""),
        };
        let mut finding = finding
            .claim_at(last, field, value, format!("the last registration before the {what} is granted{lasts}"))
            .claim_request_uri(self.asked, format!("the {what} to it"))
            .claim_status(self.case.response(self.failure), "it is not reachable");
        if let Some(other) = &self.other {
            finding = finding.claim_at(last, "sip.to.user", other.clone(), "the number as it is registered");
        }
        match self.next {
            Some(next) => {
                let says = format!("it is registered again only after the {what}");
                finding.claim_at(next.place, "sip.CSeq.method", "REGISTER", says)
            }
            None => finding,
        }
    }
}

/// The number without its "+", or with one.
fn of_other_form(target: &Uri) -> Option<String> {
    let number = target.is_number().then(|| target.plain_user())?;
    Some(number.strip_prefix('+').map_or_else(|| format!("+{number}"), str::to_owned))
}

/// A renewal that the device asked for in vain, before the call.
struct Renewal<'a> {
    asked: &'a Asked,
    /// What it got; `None` if it got nothing.
    denied: Option<&'a Denied>,
}

impl<'a> Renewal<'a> {
    fn of(known: &'a Registered, granted: Place, until: Place) -> Option<Renewal<'a>> {
        let is_between = |place: Place| granted < place && place < until;
        let bound = known.asked.iter().rfind(|asked| asked.place < granted)?;
        let is_renewal = |asked: &&Asked| asked.device == bound.device && !matches!(&*asked.contact, "" | "*");
        let asked = known.asked.iter().filter(|asked| is_between(asked.place)).rfind(is_renewal)?;
        let denied = known.denied.iter().rfind(|denied| is_between(denied.place) && denied.cseq == asked.cseq);
        Some(Renewal { asked, denied })
    }

    fn words(&self, at: Timestamp) -> String {
        let before = since(self.asked.place.time, at);
        match self.denied {
            None => format!("the REGISTER that asked for it, {before} before, got no final response"),
            Some(denied) if denied.status.is_challenge() => {
                format!(
                    "its last REGISTER, {before} before, got {}, and none with credentials came after that",
                    denied.status
                )
            }
            Some(denied) => format!("the REGISTER that asked for it, {before} before, got {}", denied.status),
        }
    }

    /// With who kept the registration from being renewed.
    fn blamed(&self, finding: Finding, callee: &str, registrar: Option<SocketAddr>) -> Finding {
        let device = self.asked.source;
        let finding = match self.denied {
            None => {
                let server = registrar.map_or_else(|| "the registrar".to_owned(), |registrar| registrar.to_string());
                finding.party(Role::Registrar, registrar).fix(format!(
                    "Look why {server} did not answer the REGISTER of \"{callee}\" from {device}, or what became of \
                     its answer."
                ))
            }
            Some(denied) if denied.status.is_challenge() => finding
                .party(Role::Uas, Some(device))
                .fix(format!("Look why {device} did not answer the challenge to its REGISTER.")),
            Some(denied) => finding.party(Role::Registrar, Some(denied.source)).fix(format!(
                "Look why {} refused the REGISTER of \"{callee}\" with {}.",
                denied.source, denied.status
            )),
        };
        let finding = finding
            .fix(
                "Let the device renew at half of the time that is granted, and try again soon, so that one vain \
                 REGISTER does no harm.",
            )
            .claim_at(self.asked.place, "sip.CSeq.method", "REGISTER", "the device asks for a renewal");
        match self.denied {
            Some(denied) => {
                finding.claim_at(denied.place, "sip.Status-Code", denied.status.to_string(), "and does not get it")
            }
            None => finding,
        }
    }
}

fn since(from: Timestamp, to: Timestamp) -> String {
    length(to.since(from))
}
