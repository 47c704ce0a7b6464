use crate::call::Heard;
use crate::diagnosis::rule::rule;
use crate::diagnosis::words::length;
use crate::diagnosis::{Case, Confidence, Finding, Role};
use crate::sip::NameAddr;

rule! {
    /// The call was blocked by analytics in the network.
    ///
    /// ## What it says
    /// A carrier's call analytics judged the call as unwanted and blocked it. The callee was not asked and did not
    /// decline.
    ///
    /// ## Why it happens
    /// The calling number has a bad reputation, the signature (STIR/SHAKEN) is missing or weak, or the pattern of calls
    /// looks like mass calling.
    ///
    /// ## Evidence
    /// A 603 with the phrase "Network Blocked" or with a Reason whose text begins `v=analytics` (ATIS-1000099), or a
    /// 608; and no ringing before it.
    ///
    /// ## How to fix
    /// Use the redress address that the response names; sign calls with full attestation; register the numbers with the
    /// analytics providers.
    ///
    /// ## When it would be wrong
    /// A 603 without these marks, above all after ringing, is the callee's own (`rejected-by-callee`).
    ///
    /// ## References
    /// RFC 8688 §3; RFC 3326 §2; RFC 3261 §21.6.2
    "F1" "blocked-by-analytics" needs [603 608], check
}

fn check(case: &Case<'_>) -> Option<Finding> {
    let failure = case.failure_with(&[603, 608])?;
    let response = case.response(failure);
    let mark = mark(case, response)?;
    let request = case.request(failure)?;
    let server = response.path.source;
    let redress = redress(case, response);
    let told = match &redress {
        Some(redress) => format!(" It names {redress} for complaints."),
        None => String::new(),
    };
    let rang = case.alerting(failure.transaction);
    let (confidence, callee) = match rang {
        Some(rang) => {
            let rung = length(response.place.time.since(rang.place.time));
            (Confidence::Likely, format!("A device had been ringing for {rung} before."))
        }
        None => (Confidence::Proven, "The callee did not decline it.".to_owned()),
    };
    let mut finding =
        Finding::of(&RULE, confidence).explains(Some(failure.status)).sender(Role::Proxy, response).because(format!(
            "The call was blocked by analytics in the network, {} after the INVITE: {server} answered {} {mark}. \
             {callee}{told}",
            length(response.place.time.since(request.place.time)),
            failure.status
        ));
    if let Some(redress) = redress {
        finding = finding.fix(format!("Ask for redress at {redress}"));
    }
    Some(
        finding
            .fix("Sign the calls with attestation A, and register the calling number with the analytics providers.")
            .claim(response, "sip.Status-Line", response.message.first_line().into_owned(), "the answer of the network")
            .claim_header(response, "Reason", "analytics, as the network says")
            .claim_header(response, "Call-Info", "whom to ask")
            .refuted("rejected-by-callee", "the response says itself that the network made it")
            .refuted("refused-by-policy", "the response names analytics"),
    )
}

/// What marks the response as made by analytics.
pub(super) fn mark(case: &Case<'_>, response: &Heard) -> Option<String> {
    let is_named = || case.reasons(response).iter().any(|reason| reason.sip() == Some(608));
    if response.message.status()?.get() == 608 || is_named() {
        return Some("(rejected by an analytics engine, RFC 8688)".into());
    }
    let by_reason = case.reasons(response).iter().find_map(|reason| {
        reason.text.clone().filter(|text| text.trim_start().to_ascii_lowercase().starts_with("v=analytics"))
    });
    if let Some(text) = by_reason {
        return Some(format!("with the Reason {text:?}"));
    }
    let phrase = response.message.reason_phrase();
    phrase.trim().eq_ignore_ascii_case("Network Blocked").then(|| format!("with the phrase {:?}", phrase.trim()))
}

/// The address for complaints in Reason (`url=`), or the Call-Info of a 608.
fn redress(case: &Case<'_>, response: &Heard) -> Option<String> {
    let by_reason = case.reasons(response).iter().find_map(|reason| {
        let text = reason.text.clone()?;
        let part = text.split(';').find_map(|part| {
            ["url=", "email=", "tel="].iter().find_map(|key| part.trim().strip_prefix(key)).map(str::to_owned)
        });
        part.filter(|part| !part.is_empty())
    });
    // What follows the address says what it is for (RFC 3261 §20.9).
    by_reason.or_else(|| response.message.header("Call-Info").map(|value| NameAddr::read(&value).uri))
}
