use crate::call::{Heard, Outcome};
use crate::diagnosis::offers::body_names;
use crate::diagnosis::rule::rule;
use crate::diagnosis::words::alerts;
use crate::diagnosis::{Case, Confidence, Finding, Role};
use crate::sip::sdp::Sdp;
use crate::sip::Method;

rule! {
    /// A precondition of the call was never met.
    ///
    /// ## What it says
    /// One side wants a resource (a bearer with quality of service) to be reserved before the callee is alerted, and that
    /// was refused or never confirmed. So the call stood still before it rang.
    ///
    /// ## Why it happens
    /// The network could not reserve the bearer, or the side that reserves never sends the UPDATE that says that it has.
    ///
    /// ## Evidence
    /// A 580; or an offer with `a=des:qos mandatory` whose current status is none, a provisional answer, no later
    /// description that says `curr:qos … sendrecv`, no ringing, and no answer.
    ///
    /// ## How to fix
    /// Look at the reservation in the access network of the side that has to confirm; or make the precondition optional.
    ///
    /// ## When it would be wrong
    /// If the UPDATE went another way than the capture shows.
    ///
    /// ## References
    /// RFC 3312 §5, §8; RFC 4032 §4.1
    "D16" "precondition-unmet" needs [580] [PROVISIONAL BODY], check
}

fn check(case: &Case<'_>) -> Option<Finding> {
    refused(case).or_else(|| never_met(case))
}

/// 580 Precondition Failure.
fn refused(case: &Case<'_>) -> Option<Finding> {
    let failure = case.failure_with(&[580])?;
    let (request, response) = (case.request(failure)?, case.response(failure));
    let line = wanted(request).or_else(|| wanted(response));
    let server = response.path.source;
    let mut finding = Finding::of(&RULE, Confidence::Proven)
        .explains(Some(failure.status))
        .sender(Role::Uas, response)
        .because(format!(
            "{server} answered 580: a resource that must be reserved before the call goes on could not be{}.",
            line.as_ref().map(|line| format!(" ({line})")).unwrap_or_default()
        ))
        .fix("Look for the reservation of the bearer (QoS, dedicated bearer, Rx/N5) that failed on the side of the callee.")
        .fix("Or make the precondition optional (`a=des:qos optional …`).")
        .claim_status(response, "the precondition failed");
    if wanted(request).is_some() {
        finding = finding.claim_method(request, "its description asks for a precondition");
    }
    Some(finding.refuted("no-common-codec", "the code names the precondition"))
}

/// The precondition was asked for, and nobody said that it is met.
fn never_met(case: &Case<'_>) -> Option<Finding> {
    if !matches!(case.call.outcome, Outcome::Failed | Outcome::Unanswered | Outcome::Cancelled) {
        return None;
    }
    let deciding = case.deciding().filter(|deciding| deciding.is_initial_invite())?;
    let request = case.call.request_of(deciding)?;
    let line = wanted(request).filter(|line| line.contains("mandatory"))?;
    let answer = case.provisionals(deciding).find(|heard| Sdp::of(&heard.message).is_some())?;
    let rang = case.provisionals(deciding).any(alerts);
    let is_met = case.call.messages.iter().filter(|heard| heard.id > request.id).any(is_reserved);
    let may_be_met = case.call.unseen(&Method::Update).next().is_some();
    if rang || is_met || may_be_met || is_reserved(request) {
        return None;
    }
    let failure = case.outer_failure().map(|failure| failure.status);
    let updates = case.asked(&Method::Update).count();
    let update = if updates == 0 { "no UPDATE came".to_owned() } else { "no UPDATE says that it is".to_owned() };
    Some(
        Finding::of(&RULE, Confidence::Likely)
            .explains(failure)
            .sender(Role::Uac, request)
            .because(format!(
                "The offer makes the call wait until a resource is reserved ({line}). {} answered with a description, and {update} \
                 met: the callee was never alerted.",
                answer.path.source
            ))
            .fix(format!("Look at {}: was its bearer reserved, and why did it send no UPDATE with `a=curr:qos local sendrecv`?", request.path.source))
            .fix("Or make the precondition optional (`a=des:qos optional …`).")
            .claim_method(request, "its description asks for a precondition")
            .claim_status(answer, "the callee's side answers the description")
            .claim_absent(answer.place, "a description with a=curr:qos local sendrecv", "the precondition was never met")
            .refuted("callee-did-not-answer", "the callee was never alerted"),
    )
}

/// The line in which a description asks for a precondition (RFC 3312 §5).
fn wanted(heard: &Heard) -> Option<String> {
    if !body_names(&heard.message, "des:qos") {
        return None;
    }
    let sdp = Sdp::of(&heard.message)?;
    let lines = sdp.attributes.iter().chain(sdp.media.iter().flat_map(|media| &media.attributes));
    let mut wanted: Vec<&String> = lines.filter(|line| line.starts_with("des:qos")).collect();
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
