use std::time::Duration;

use crate::call::{Failure, Heard, Outcome};
use crate::diagnosis::case::SOON;
use crate::diagnosis::offers::body_names;
use crate::diagnosis::rule::rule;
use crate::diagnosis::words::{alerts, length};
use crate::diagnosis::{Case, Confidence, Finding, Role};
use crate::sip::Method;
use crate::sip::sdp::Sdp;

rule! {
    /// A precondition of the call was never met.
    ///
    /// ## What it says
    /// One side wants a resource (a bearer with quality of service) to be reserved before the callee is alerted, and
    /// that was refused or never confirmed. So the call stood still before it rang.
    ///
    /// ## Why it happens
    /// The network could not reserve the bearer, or the side that reserves never sends the UPDATE that says that it
    /// has.
    ///
    /// ## Evidence
    /// A 580 to the INVITE, or to a later offer before the call was answered, whose sender then gave up; or an offer
    /// with `a=des:qos mandatory` whose current status is none, a provisional answer, no later description that says
    /// `curr:qos … sendrecv`, no ringing, and no answer.
    ///
    /// ## How to fix
    /// Look at the reservation in the access network of the side that has to confirm; or make the precondition
    /// optional.
    ///
    /// ## When it would be wrong
    /// If the UPDATE went another way than the capture shows. Who cancels within ten seconds gives up by himself: a
    /// bearer may take as long.
    ///
    /// ## References
    /// RFC 3312 §5, §7, §8; RFC 4032 §4.1
    "D16" "precondition-unmet" needs [580] [PROVISIONAL BODY], check
}

fn check(case: &Case<'_>) -> Option<Finding> {
    refused(case).or_else(|| refused_later(case)).or_else(|| never_met(case))
}

/// 580 Precondition Failure.
fn refused(case: &Case<'_>) -> Option<Finding> {
    let failure = case.failure_with(&[580])?;
    let (request, response) = (case.request(failure)?, case.response(failure));
    if let Some(finding) = never_confirmed(case, failure, request, response) {
        return Some(finding);
    }
    let failed = line_of(response, "des:qos failure");
    let line = failed.or_else(|| wanted(request)).or_else(|| wanted(response));
    let server = response.path.source;
    let mut finding = Finding::of(&RULE, Confidence::Proven)
        .explains(Some(failure.status))
        .sender(Role::Uas, response)
        .because(format!(
            "{server} answered 580: a resource that must be reserved before the call goes on could not be{}.",
            line.as_ref().map(|line| format!(" ({line})")).unwrap_or_default()
        ))
        .fix(
            "Look for the reservation of the bearer (QoS, dedicated bearer, Rx/N5) that failed on the side of the \
             callee.",
        )
        .fix("Or make the precondition optional (`a=des:qos optional …`).")
        .claim_status(response, "the precondition failed");
    if let Some(asking) = [request, response].into_iter().find(|heard| wanted(heard).is_some()) {
        finding = claim_line(finding, asking, wanted(asking), "its description asks for a precondition");
    }
    Some(finding.refuted("no-common-codec", "the code names the precondition"))
}

/// 580 to an UPDATE or PRACK before the answer, after which its sender cancelled the call (RFC 3312 §8).
fn refused_later(case: &Case<'_>) -> Option<Finding> {
    let deciding = case.deciding().filter(|deciding| deciding.is_initial_invite())?;
    let cancel = case.cancel_of(deciding).filter(|_| case.call.outcome == Outcome::Cancelled)?;
    let failure = case.call.failures.iter().rfind(|failure| {
        let asked = case.call.transaction(failure.transaction);
        let ends = case.response(failure).place;
        let is_offer = matches!(asked.method, Method::Update | Method::Prack) && asked.upstream.is_none();
        let then = ends < cancel.place && cancel.place.time.since(ends.time) < SOON;
        failure.status.get() == 580 && is_offer && then && asked.path.source.ip() == cancel.path.source.ip()
    })?;
    let (request, response) = (case.request(failure)?, case.response(failure));
    let rang = case.provisionals(deciding).any(alerts);
    if rang || !case.reasons(cancel).iter().all(|reason| reason.text.is_none()) {
        return None; // Then a person may have given up, or the CANCEL says why it came.
    }
    let (client, server) = (cancel.path.source, response.path.source);
    let method = request.message.method()?.name().to_owned();
    let line = line_of(response, "des:qos failure").or_else(|| wanted(request));
    Some(
        Finding::of(&RULE, Confidence::Likely)
            .explains(case.outer_failure().map(|failure| failure.status))
            .sender(Role::Uas, response)
            .because(format!(
                "{server} answered the {method} of {client} with 580: a resource that must be reserved before the \
                 call goes on could not be{}. {client} cancelled the call {} later.",
                line.map(|line| format!(" ({line})")).unwrap_or_default(),
                length(cancel.place.time.since(response.place.time))
            ))
            .fix(
                "Look for the reservation of the bearer (QoS, dedicated bearer, Rx/N5) that failed on the side of the \
                 callee.",
            )
            .fix("Or make the precondition optional (`a=des:qos optional …`).")
            .claim_method(request, "the caller's side offers anew")
            .claim_status(response, "the precondition failed")
            .claim_method(cancel, "and the caller's side gives up")
            .refuted("caller-abandoned", "a refusal came just before the CANCEL, and nothing had rung"),
    )
}

/// 580 after a description of the callee's side that asks to be told when the caller's bearer is there (`a=conf:`,
/// RFC 3312 §7), and nobody told it.
fn never_confirmed(case: &Case<'_>, failure: &Failure, request: &Heard, response: &Heard) -> Option<Finding> {
    let invite = case.call.transaction(failure.transaction);
    let (asking, line) = case.provisionals(invite).find_map(|heard| Some((heard, line_of(heard, "conf:qos")?)))?;
    let client = request.path.source;
    let mut of_caller = case.call.messages.iter().filter(|heard| heard.path.source.ip() == client.ip());
    let may_be_met = || {
        case.call.unseen(&Method::Update).next().is_some() || case.lacks_requests_anywhere_after(request, asking.place)
    };
    if of_caller.clone().any(is_reserved) || may_be_met() {
        return None;
    }
    // `failure` in place of the strength: the bearer could not be reserved (RFC 3312 §8).
    let failed = of_caller.find_map(|heard| Some((heard, line_of(heard, "des:qos failure")?)));
    let (told, step) = match &failed {
        Some((_, failed)) => (
            format!("{client} says that it could not be reserved ({failed})"),
            format!("Look for why the network of {client} did not give it the bearer (QoS, dedicated bearer, Rx/N5)."),
        ),
        None => (
            format!("Nothing that {client} sent says that it is"),
            format!(
                "Look at {client}: was its bearer reserved, and why did it send no UPDATE with `a=curr:qos local \
                 sendrecv`?"
            ),
        ),
    };
    let server = response.path.source;
    let asked = asking.message.status()?;
    let mut finding = Finding::of(&RULE, Confidence::Likely)
        .explains(Some(failure.status))
        .sender(Role::Uac, request)
        .because(format!(
            "{server} answered 580 {} after it had asked, in its {asked}, to be told when the bearer of the caller's \
             side is there ({line}). {told}.",
            length(response.place.time.since(asking.place.time))
        ))
        .fix(step)
        .fix("Or make the precondition optional (`a=des:qos optional …`).")
        .claim_status(asking, "the callee's side answers the description");
    finding = claim_line(finding, asking, Some(line), "and asks for a confirmation");
    finding = match failed {
        Some((heard, failed)) => claim_line(finding, heard, Some(failed), "the reservation failed"),
        None => {
            finding.claim_absent(asking.place, "a description with a=curr:qos local sendrecv", "it is never confirmed")
        }
    };
    Some(
        finding
            .claim_status(response, "the precondition failed")
            .refuted("no-common-codec", "the code names the precondition"),
    )
}

/// A call that is cancelled sooner after the description of the callee's side was not stuck: bearers may take as long.
const PATIENCE: Duration = Duration::from_secs(10);

/// The precondition was asked for, and nobody said that it is met.
fn never_met(case: &Case<'_>) -> Option<Finding> {
    if !matches!(case.call.outcome, Outcome::Failed | Outcome::Unanswered | Outcome::Cancelled) {
        return None;
    }
    let deciding = case.deciding().filter(|deciding| deciding.is_initial_invite())?;
    let request = case.call.request_of(deciding)?;
    let line = wanted(request).filter(|line| line.contains("mandatory"))?;
    let answer = case.provisionals(deciding).find(|heard| Sdp::of(&heard.message).is_some())?;
    let deciding_cancel = case.cancel_of(deciding).filter(|_| case.call.outcome == Outcome::Cancelled);
    if deciding_cancel.is_some_and(|cancel| cancel.place.time.since(answer.place.time) < PATIENCE) {
        return None; // The caller gave up, or whoever else the CANCEL names.
    }
    let rang = case.provisionals(deciding).any(alerts);
    let is_met = case.call.messages.iter().filter(|heard| heard.id > request.id).any(is_reserved);
    let may_be_met = case.call.unseen(&Method::Update).next().is_some();
    if rang || is_met || may_be_met || is_reserved(request) {
        return None;
    }
    let failure = case.outer_failure().map(|failure| failure.status);
    let updates = case.asked(&Method::Update).count();
    let update = if updates == 0 { "no UPDATE came to say that it is" } else { "no UPDATE says that it is" };
    let because = format!(
        "The offer makes the call wait until a resource is reserved ({line}). {} answered with a description, and \
         {update} met: the callee was never alerted.",
        answer.path.source
    );
    let finding = Finding::of(&RULE, Confidence::Likely).explains(failure).sender(Role::Uac, request).because(because);
    Some(
        claim_line(finding, request, Some(line), "its description asks for a precondition")
            .fix(format!(
                "Look at {}: was its bearer reserved, and why did it send no UPDATE with `a=curr:qos local sendrecv`?",
                request.path.source
            ))
            .fix("Or make the precondition optional (`a=des:qos optional …`).")
            .claim_status(answer, "the callee's side answers the description")
            .claim_absent(
                answer.place,
                "a description with a=curr:qos local sendrecv",
                "the precondition was never met",
            )
            .refuted("callee-did-not-answer", "the callee was never alerted"),
    )
}

/// With the line of a description as a claim. Wireshark shows one of the whole session by another field.
fn claim_line(finding: Finding, heard: &Heard, line: Option<String>, says: &str) -> Finding {
    let Some((line, sdp)) = line.zip(Sdp::of(&heard.message)) else { return finding };
    let value = line.strip_prefix("a=").unwrap_or(&line);
    let field = match sdp.attributes.iter().any(|attribute| attribute == value) {
        true => "sdp.session_attr",
        false => "sdp.media_attr",
    };
    finding.claim(heard, field, value, says)
}

/// The line in which a description asks for a precondition (RFC 3312 §5).
fn wanted(heard: &Heard) -> Option<String> {
    line_of(heard, "des:qos")
}

/// The line of a description that begins so: one that makes the call wait, if there is one.
fn line_of(heard: &Heard, start: &str) -> Option<String> {
    if !body_names(&heard.message, start) {
        return None;
    }
    let sdp = Sdp::of(&heard.message)?;
    let lines = sdp.attributes.iter().chain(sdp.media.iter().flat_map(|media| &media.attributes));
    let mut wanted: Vec<&String> = lines.filter(|line| line.starts_with(start)).collect();
    wanted.sort_by_key(|line| !line.contains("mandatory"));
    wanted.first().map(|line| format!("a={line}"))
}

/// True if a description says that resources are reserved.
fn is_reserved(heard: &Heard) -> bool {
    let Some(sdp) = Sdp::of(&heard.message) else { return false };
    sdp.media.iter().flat_map(|media| &media.attributes).any(|line| {
        line.strip_prefix("curr:qos").is_some_and(|rest| rest.contains("local") && rest.contains("sendrecv"))
    })
}
