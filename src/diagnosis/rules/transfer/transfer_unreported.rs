use crate::call::{Heard, timer};
use crate::diagnosis::dialogs::Asked;
use crate::diagnosis::rule::rule;
use crate::diagnosis::words::{capture_at, length};
use crate::diagnosis::{Case, Confidence, Finding, Role, Severity};
use crate::sip::{Method, StatusCode};

rule! {
    /// The outcome of a transfer was never reported.
    ///
    /// ## What it says
    /// A REFER was accepted, and no NOTIFY followed that says what became of it. The transferor does not learn whether
    /// the transfer went through, and may keep the call on hold or end it too early.
    ///
    /// ## Why it happens
    /// The one who accepted the REFER does not send reports, or its NOTIFY went elsewhere: the Contact of the
    /// transferor cannot be reached from there, or a proxy on the way left the path.
    ///
    /// ## Evidence
    /// A 2xx to REFER, and no NOTIFY with its Call-ID for at least 32 s.
    ///
    /// ## How to fix
    /// Look at the one who accepted the REFER: does it send NOTIFY, and to which address? Compare with the Contact and
    /// Record-Route of the dialog.
    ///
    /// ## When it would be wrong
    /// Both may have agreed on no reports (`Refer-Sub: false`, RFC 4488; `nosub`, RFC 7614); then nothing is said. If
    /// the transferor ended the call at once, the other side may have taken that as the end of the subscription.
    ///
    /// ## References
    /// RFC 3515 §2.4.4; RFC 6665 §4.2.2; RFC 4488 §4
    "G2" "transfer-unreported" needs [REFER], check
}

fn check(case: &Case<'_>) -> Option<Finding> {
    let (refer, accepted) = case.asked_first(&Method::Refer).find_map(|refer| {
        let accepted =
            case.finals(refer.transaction).find(|heard| heard.message.status().is_some_and(StatusCode::is_success))?;
        (!wants_no_report(refer.request, accepted) && !is_reported(case, refer)).then_some((refer.request, accepted))
    })?;
    let sure = case.absence(refer, timer::OVERDUE);
    if sure == Confidence::Unseen {
        return None;
    }
    // The transferor left at once: the other side may have taken that as the end of all.
    let left = case.first_bye().filter(|bye| {
        bye.request.place > accepted.place && bye.request.place.time.since(accepted.place.time) < timer::GIVE_UP
    });
    let sure = if left.is_some() { Confidence::Possible } else { sure };
    let (transferor, server) = (refer.path.source, accepted.path.source);
    let status = accepted.message.status()?;
    let target = refer.message.header("Refer-To")?.into_owned();
    let end = match left {
        Some(bye) => {
            let after = length(bye.request.place.time.since(accepted.place.time));
            format!(" A BYE of {} followed after {after}, which may be why.", bye.request.path.source)
        }
        None => String::new(),
    };
    Some(
        Finding::of(&RULE, sure)
            .about(status)
            .severity(Severity::Warning)
            .sender(Role::Uas, accepted)
            .because(format!(
                "{server} accepted the transfer to {target:?} with {status}, and no NOTIFY followed in {}: \
                 {transferor} was not told what became of it.{end}",
                length(case.tail(accepted.place))
            ))
            .fix(format!("Look in the log of {server}: was NOTIFY sent for the REFER, and to which address?"))
            .fix(format!("Compare that address with the Contact that {transferor} gave in this dialog."))
            .claim_method(refer, "the transfer")
            .claim_header(refer, "Refer-To", "its target")
            .claim_status(accepted, "it is accepted")
            .claim_absent(accepted.place, "NOTIFY of the REFER", "none was captured")
            .refuted("transfer-failed", "no report says that the target refused")
            .next_capture(capture_at(server.ip(), refer.path)),
    )
}

fn wants_no_report(refer: &Heard, accepted: &Heard) -> bool {
    let says_false = |heard: &Heard| {
        heard.message.header("Refer-Sub").is_some_and(|value| value.trim().to_ascii_lowercase().starts_with("false"))
    };
    let requires = refer.message.headers("Require");
    says_false(accepted)
        || says_false(refer)
        || requires.iter().any(|tag| ["norefersub", "nosub"].contains(&tag.trim().to_ascii_lowercase().as_str()))
}

/// True if a NOTIFY with the Call-ID of the REFER followed it, or came just before its answer.
fn is_reported(case: &Case<'_>, refer: Asked<'_>) -> bool {
    case.asked(&Method::Notify).any(|notify| {
        notify.request.message.call_id() == refer.request.message.call_id()
            && notify.request.place > refer.request.place
    })
}
