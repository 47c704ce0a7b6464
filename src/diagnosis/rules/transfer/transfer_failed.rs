use std::net::SocketAddr;

use crate::call::Heard;
use crate::diagnosis::rule::rule;
use crate::diagnosis::{Case, Confidence, Finding, Role, Severity};
use crate::sip::{Message, Method, Parameters, StatusCode};

rule! {
    /// The transfer failed: the target did not take the call, or the other side would not call it.
    ///
    /// ## What it says
    /// The one who was asked to call the transfer target did so, and reports how that ended: with a refusal. Or it
    /// refused the REFER itself, and nothing was called.
    ///
    /// ## Why it happens
    /// The target is busy, declined, unknown or cannot be reached. The code is the target's, not that of the transfer.
    ///
    /// ## Evidence
    /// REFER, accepted; then NOTIFYs of its subscription, the last of which holds a final code of 300 or more in its body
    /// (message/sipfrag). Or a final code of 300 or more to the REFER, other than a challenge, 481 or 491.
    ///
    /// ## How to fix
    /// Look at the call to the target for the reason of its code.
    ///
    /// ## When it would be wrong
    /// Some systems report 603 or 487 although the transferor itself took the call back.
    ///
    /// ## References
    /// RFC 3515 §2.4.5; RFC 3420; RFC 7647
    "G1" "transfer-failed" needs [REFER], check
}

fn check(case: &Case<'_>) -> Option<Finding> {
    let Some((refer, accepted)) = accepted_refer(case) else { return refused(case) };
    let (notify, status, line) = report(case, refer)?;
    let target = refer.message.header("Refer-To")?.into_owned();
    let reporter = notify.path.source;
    let (from, to) = (refer.path.source, bare(&target));
    // A REFER outside of a call asks for a new one.
    let is_transfer = case.answer().is_some() || case.call.transaction(refer.transaction).in_dialog;
    let (asked, what) = match is_transfer {
        true => (format!("{from} transferred the call to {to}."), "transfer"),
        false => (format!("{from} asked {reporter} by REFER, outside of any call, to call {to}."), "attempt"),
    };
    let mut finding = Finding::of(&RULE, Confidence::Proven)
        .about(status)
        .severity(Severity::Warning)
        .party(Role::Uas, None)
        .because(format!("{asked} {reporter} {}.", told(status, reporter, &line, what)))
        .fix(format!("Look at the call of {reporter} to the target for the reason of the {status}."))
        .claim_method(refer, if is_transfer { "the transfer" } else { "a call is asked for" })
        .claim_header(refer, "Refer-To", "its target")
        .claim_status(accepted, "it is tried");
    finding = match is_fragment(notify) {
        true => finding.claim(notify, "sipfrag.line", line.as_str(), "the report"),
        false => finding.claim_method(notify, "the report"),
    };
    finding = match is_transfer {
        true => finding.fix("Let the transferor take the call back when a transfer fails."),
        false => finding.titled("The call that was asked for by REFER failed: the target did not take it"),
    };
    if notify.message.header("Subscription-State").is_some() {
        finding = finding.claim_header(notify, "Subscription-State", "the last report");
    }
    Some(
        finding
            .refuted("transfer-unreported", "the outcome was reported")
            .refuted("replaces-unmatched", "the report names the answer of the target"),
    )
}

/// What a report says of the target. Where none answers, who calls makes a code of its own (RFC 3261 §8.1.3.1), and who
/// cancels gets 487 for it (§9.2).
fn told(status: StatusCode, reporter: SocketAddr, line: &str, what: &str) -> String {
    match status.get() {
        408 | 503 => format!(
            "reports {line:?}: the {what} failed with {status}, which the target answered, or which {reporter} made \
             itself of a target that it did not reach"
        ),
        487 => format!("reports {line:?}: the {what} failed because {reporter} gave the call to the target up"),
        _ => format!("called there and reports {line:?}: the {what} failed because the target answered {status}"),
    }
}

/// True if the body is named as what it is (RFC 3420): else Wireshark does not read it.
fn is_fragment(notify: &Heard) -> bool {
    let named = notify.message.header("Content-Type").unwrap_or_default().to_ascii_lowercase();
    named.starts_with("message/sipfrag")
}

/// The target without what is to be put into the request to it (RFC 3261 §19.1.1).
fn bare(target: &str) -> &str {
    let target = target.trim_matches(['<', '>']);
    target.split_once('?').map_or(target, |(target, _)| target)
}

/// A REFER in the dialog that the other side did not take.
fn refused(case: &Case<'_>) -> Option<Finding> {
    let (refer, refusal) =
        case.asked_first(&Method::Refer).filter(|refer| refer.transaction.in_dialog).find_map(|refer| {
            let is_told = |heard: &&Heard| {
                heard.message.status().is_some_and(|status| !matches!(status.get(), ..300 | 401 | 407 | 481 | 491))
            };
            Some((refer.request, case.as_made(case.finals(refer.transaction).find(is_told)?)))
        })?;
    let status = refusal.message.status()?;
    let target = refer.message.header("Refer-To")?.into_owned();
    let (transferor, asked) = (refer.path.source, refusal.path.source);
    Some(
        Finding::of(&RULE, Confidence::Proven)
            .about(status)
            .severity(Severity::Warning)
            .sender(Role::Uas, refusal)
            .because(format!(
                "{transferor} asked {asked} to call {}, and {asked} refused the REFER with {status}: nothing was \
                 called, and the call stayed where it was.",
                bare(&target)
            ))
            .fix(format!(
                "Allow transfers on {asked} for this account, or look there why it refuses: its log has the Call-ID."
            ))
            .fix(format!("Or let {transferor} do the transfer itself, with two calls that it joins."))
            .claim_method(refer, "the transfer")
            .claim_header(refer, "Refer-To", "its target")
            .claim_status(refusal, "it is not tried")
            .refuted("transfer-unreported", "nothing was accepted, so nothing has to be reported"),
    )
}

fn accepted_refer<'a>(case: &Case<'a>) -> Option<(&'a Heard, &'a Heard)> {
    case.asked(&Method::Refer).find_map(|refer| {
        let accepted =
            case.finals(refer.transaction).find(|heard| heard.message.status().is_some_and(StatusCode::is_success))?;
        Some((refer.request, accepted))
    })
}

/// The last report of the subscription that a REFER made, if it is of a final failure: with the code and the line that
/// it quotes. What was reported before tells of steps: a challenge, a redirect, a target after which another was called
/// (RFC 3515 §2.4.5).
fn report<'a>(case: &Case<'a>, refer: &Heard) -> Option<(&'a Heard, StatusCode, String)> {
    let reports = case.asked(&Method::Notify).map(|notify| notify.request).filter(|notify| {
        notify.message.call_id() == refer.message.call_id() && notify.place > refer.place && is_about(notify, refer)
    });
    let mut last = None;
    for (notify, (status, line)) in reports.filter_map(|notify| Some((notify, fragment(&notify.message)?))) {
        last = Some((notify, status, line));
        if ends_subscription(notify) {
            break;
        }
    }
    let goes_on = |notify: &Heard, status: StatusCode| {
        !ends_subscription(notify) && (status.is_challenge() || status.get() < 400)
    };
    last.filter(|(notify, status, _)| status.is_failure() && !goes_on(notify, *status))
}

/// True unless a NOTIFY names another REFER of the dialog, by the number of its CSeq (RFC 3515 §2.4.6).
fn is_about(notify: &Heard, refer: &Heard) -> bool {
    let event = notify.message.header("Event").unwrap_or_default();
    let (_, parameters) = event.split_once(';').unwrap_or((&event, ""));
    let named = Parameters::read(parameters, b';').get("id").and_then(|id| id.trim().parse::<u32>().ok());
    named.is_none_or(|id| refer.message.cseq().is_none_or(|cseq| cseq.number == id))
}

fn ends_subscription(notify: &Heard) -> bool {
    let state = notify.message.header("Subscription-State").unwrap_or_default();
    state.split(';').next().is_some_and(|state| state.trim().eq_ignore_ascii_case("terminated"))
}

/// The status line in the body of a NOTIFY (RFC 3420).
fn fragment(message: &Message<'_>) -> Option<(StatusCode, String)> {
    let body = String::from_utf8_lossy(message.body()).into_owned();
    let line = body.lines().find(|line| line.starts_with("SIP/2.0 "))?.trim().to_owned();
    let code = line.split(' ').nth(1)?;
    Some((StatusCode::read(code.as_bytes())?, line))
}
