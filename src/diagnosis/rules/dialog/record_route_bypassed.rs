use crate::diagnosis::rule::rule;
use crate::diagnosis::targets::address;
use crate::diagnosis::words::times;
use crate::diagnosis::{Case, Confidence, Finding, Role, Side};
use crate::sip::{Method, Uri};

rule! {
    /// The ACK or BYE passed by a proxy that wanted to stay in the path.
    ///
    /// ## What it says
    /// A proxy added Record-Route, so that requests inside the dialog pass it. The caller's side sent its ACK without
    /// Route, and it did not arrive: it went past the proxy, or the proxy got it and did not send it on.
    ///
    /// ## Why it happens
    /// The caller's software ignores Record-Route, or something removed it.
    ///
    /// ## Evidence
    /// Record-Route in the 2xx, no Route in the ACK, and a 2xx that is repeated twice or more after the ACK. Or no
    /// Route in a BYE that goes elsewhere than the answer came from and is never answered.
    ///
    /// ## How to fix
    /// Let the caller's side build its route set from Record-Route (RFC 3261 §12.1.2).
    ///
    /// ## When it would be wrong
    /// If the ACK arrived, nothing is lost but what the proxy wanted to see. Behind the last of these proxies an ACK
    /// carries no Route any more: each takes out its own.
    ///
    /// ## References
    /// RFC 3261 §12.1.2, §12.2.1.1, §16.6
    "C14" "record-route-bypassed" needs [ANSWERED REPEATED] [BYE UNANSWERED STREAM], check
}

fn check(case: &Case<'_>) -> Option<Finding> {
    of_ack(case).or_else(|| of_bye(case))
}

/// The BYE of the caller's side passes by the proxies, and is never answered.
fn of_bye(case: &Case<'_>) -> Option<Finding> {
    let (_, success) = case.answer()?;
    let request = case.asked(&Method::Bye).last().map(|bye| bye.request)?;
    let fate = match case.silence_over_stream(request) {
        Some(_) => format!("TCP of {} took it, and nothing answers it.", request.path.destination),
        None if request.repeated > 0 => format!("Nothing answers it ({} copies).", request.repeated + 1),
        None => return None,
    };
    let target = case.remote_target(success).filter(|target| !target.route.is_empty())?;
    let astray = case.side(request) == Side::Caller
        && request.message.call_id() == success.message.call_id()
        && request.path.source.ip() == success.path.destination.ip()
        && request.path.destination.ip() != success.path.source.ip()
        && !request.message.is_cut()
        && request.message.header("Route").is_none()
        && !target.has_been_passed(request);
    let answered = case.asked(&Method::Bye).any(|bye| !bye.transaction.finals.is_empty());
    if !astray || answered || case.absence_of_answer(request) == Confidence::Unseen {
        return None;
    }
    Some(
        Finding::of(&RULE, Confidence::Proven)
            .explains(case.call.final_status)
            .drops_the_call()
            .sender(Role::Uac, request)
            .because(format!(
                "The 2xx wants requests inside the dialog to pass {}, and the BYE of {} carries no Route and goes to \
                 {}. {fate}",
                target.route.join(", "),
                request.path.source,
                request.path.destination
            ))
            .fix(format!("Let {} build its route set from Record-Route.", request.path.source))
            .claim_header(success, "Record-Route", "the proxies that want to stay in the path")
            .claim_method(request, "the end of the call")
            .claim_absent(request.place, "a Route header in this BYE", "it passes by the proxies")
            .claim_absent(request.place, "a response to the BYE", "it does not arrive, or its answer does not"),
    )
}

fn of_ack(case: &Case<'_>) -> Option<Finding> {
    let unheard = case.unheard_ack()?;
    let (success, ack) = (unheard.success, unheard.ack);
    let target = case.remote_target(success)?;
    let is_whole = !ack.message.is_cut() && !target.has_been_passed(ack);
    if target.route.is_empty() || !is_whole || ack.message.header("Route").is_some() {
        return None;
    }
    let hop = ack.path.destination;
    let behind = unheard.waits_behind(case);
    // It may reach the very proxy that wants to be passed, and get no further.
    let is_at_proxy = hop.ip() == success.path.source.ip()
        || target.route.iter().any(|proxy| address(&Uri::read(proxy)) == Some(hop.ip()));
    let fate = match behind {
        Some(behind) => format!(
            "It went to {hop}, and none went on from there to {}: the 2xx from there was repeated {}.",
            behind.path.source,
            times(behind.repeated)
        ),
        None if is_at_proxy => {
            format!("It went to {hop}, and the 2xx was repeated {} all the same.", times(success.repeated))
        }
        None => format!(
            "It went to {hop}, past the proxies, and did not arrive: the 2xx was repeated {}.",
            times(success.repeated)
        ),
    };
    let mut finding = case.of_unheard_ack(&RULE, Confidence::Proven, success);
    if is_at_proxy {
        finding = finding.titled("The ACK carries no Route, although a proxy wanted to stay in the path");
    }
    let finding = finding
        .sender(Role::Uac, ack)
        .because(format!(
            "The 2xx wants requests inside the dialog to pass {}, and the ACK of {} carries no Route. {fate}",
            target.route.join(", "),
            ack.path.source
        ))
        .fix(format!("Let {} build its route set from Record-Route.", ack.path.source))
        .claim_header(success, "Record-Route", "the proxies that want to stay in the path")
        .claim_absent(
            ack.place,
            "a Route header in this ACK",
            match is_at_proxy {
                true => "it has no route set",
                false => "it passes by the proxies",
            },
        )
        .refuted("ack-missing", "an ACK was sent");
    Some(match behind {
        Some(behind) => unheard.claim_not_sent_on(finding, behind),
        None => unheard.claim_repeats(finding),
    })
}
