use crate::call::Kind;
use crate::capture::Timestamp;
use crate::diagnosis::rule::rule;
use crate::diagnosis::words::length;
use crate::diagnosis::{Case, Confidence, Finding, Role};

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
    /// 408 or 480.
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
    if !matches!(case.call.kind, Kind::Call | Kind::Message) {
        return None;
    }
    let failure = case.failure_with(&[404, 408, 480])?;
    let asked = case.call.request_of(case.deciding()?)?;
    let target = crate::sip::Uri::read(&asked.message.request_uri()?);
    let known = case.surroundings.registrations().of(target.bare_user(), &target.host)?;
    let at = asked.place.time;
    let last = known.granted.iter().rev().find(|granted| granted.place.time <= at)?;
    // A binding that ends with its own response was taken away on purpose.
    let was_removed = last.until <= last.place.time;
    if was_removed || last.until >= at || !known.is_whole() || case.ringing(failure.transaction).is_some() {
        return None;
    }
    let next = known.granted.iter().find(|granted| granted.place.time > at && granted.until > granted.place.time);
    let back = match next {
        Some(next) => format!("and registered again {} later", since(at, next.place.time)),
        None => "and did not register again in this capture".to_owned(),
    };
    let callee = case.callee(failure);
    let because = format!(
        "The registration of \"{callee}\" had run out {} before this call: it was granted for {}, was not \
            renewed, {back}.",
        since(last.until, at),
        since(last.place.time, last.until)
    );
    let response = case.response(failure);
    let mut finding = Finding::of(&RULE, Confidence::Likely)
        .explains(Some(failure.status))
        .party(Role::Uas, known.asked.last().map(|asked| asked.source))
        .because(because)
        .fix(format!("Look why the device of \"{callee}\" did not renew its registration: was it off, or its \
            REGISTER unanswered?"))
        .fix("Let the device renew at half of the time that is granted, so that one lost REGISTER does no harm.")
        .claim_at(last.place, "sip.CSeq.method", "REGISTER", "the last registration before the call is granted")
        .claim_request_uri(asked, "the call to it")
        .claim_status(response, "it is not reachable");
    if let Some(next) = next {
        finding = finding.claim_at(next.place, "sip.CSeq.method", "REGISTER", "it is registered again only \
            after the call");
    }
    Some(finding.refuted("callee-unreachable", "the capture shows why no device was registered"))
}

fn since(from: Timestamp, to: Timestamp) -> String {
    length(to.since(from))
}
