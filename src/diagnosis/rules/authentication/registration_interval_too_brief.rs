use crate::call::{Heard, Kind, NormalStep};
use crate::diagnosis::diagnose::NEXT_TRY;
use crate::diagnosis::rule::rule;
use crate::diagnosis::{Case, Confidence, Finding, Role, Severity};
use crate::sip::Method;

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
    let minimum = response.message.header("Min-Expires").map(|value| value.into_owned());
    let asked = asked(request);
    let what = match request.message.method() {
        Some(Method::Register) => "register",
        Some(Method::Publish) => "publish",
        _ => "subscribe",
    };
    let all = every_interval(case);
    let times = all.len();
    let again = match all.split_last() {
        Some((last, before)) if before.iter().any(|other| other != last) => {
            format!(", after {} s", before.join(" s and "))
        }
        Some(_) if times > 1 => format!(", {times} times without a change"),
        _ => String::new(),
    };
    let (client, server) = (request.path.source, response.path.source);
    let server_role = if case.call.kind == Kind::Registration { Role::Registrar } else { Role::Uas };
    let lacks_minimum = minimum.is_none() && !response.message.is_cut();
    let is_unread = asked.is_none() && request.message.has_cut_head();
    // Where the capture ends, the client may still ask for more: then it is a step and no failure.
    let is_over = case.tail(response.place) >= NEXT_TRY || times > 1 || lacks_minimum;
    let finding = match is_over {
        // Of messages whose beginning alone is there, a later try may not have been told for one.
        true if response.message.is_cut() => {
            Finding::of(&RULE, Confidence::Possible).explains(response.message.status())
        }
        true if is_unread => Finding::of(&RULE, Confidence::Likely).explains(response.message.status()),
        true => Finding::of(&RULE, Confidence::Proven).explains(response.message.status()),
        false => Finding::of(&RULE, Confidence::Unseen)
            .severity(Severity::Info)
            .titled("The interval is too brief; the capture ends before the client can raise it"),
    };
    let asked_words = match &asked {
        Some((_, seconds)) => format!("{seconds} s"),
        None if is_unread => "an interval that is behind the cut".to_owned(),
        None => "no interval".to_owned(),
    };
    let number = |text: &str| text.parse::<u64>().ok();
    let is_enough = match (&minimum, &asked) {
        (Some(minimum), Some((_, seconds))) => number(seconds) >= number(minimum) && number(minimum).is_some(),
        _ => false,
    };
    let moves = moved_minimum(case);
    let asks_for_the_end = asked.as_ref().is_some_and(|(_, seconds)| number(seconds) == Some(0));
    let finding = match case.call.kind {
        Kind::Registration => finding,
        _ if !is_over => finding,
        _ => finding.titled("The client asked for a shorter time than the server allows"),
    };
    let finding = match &minimum {
        _ if asks_for_the_end => finding
            .titled("The server refuses a request for the end as too brief an interval")
            .sender(server_role, response)
            .because(format!(
                "{client} asked to {what} for 0 s, which asks for the end, and {server} answered 423: no interval is \
                 too brief for that, for the minimum is only for what is more than 0."
            ))
            .fix(format!(
                "Have {server} mended: it must take a request for 0 s (RFC 3261 §10.3, RFC 6665 §4.2.1, RFC 3903 §6)."
            ))
            .fix("Until then what was granted ends by itself when its time is over.")
            .claim_header(response, "Min-Expires", "the shortest interval that the server names"),
        Some(minimum) if is_enough => finding
            .sender(server_role, response)
            .because(format!(
                "{server} demands at least {minimum} s (Min-Expires) and answers 423 although {client} asks to {what} \
                 for {asked_words}."
            ))
            .fix(format!("Let {server} accept an interval that is equal to its own minimum of {minimum} s."))
            .fix(format!("Until then set an interval on the client that is longer than {minimum} s."))
            .claim_header(response, "Min-Expires", "the shortest interval that the server says it accepts"),
        Some(minimum) if let Some((told, before)) = moves => finding
            .titled("The server raises its shortest interval each time that it is asked for")
            .sender(server_role, response)
            .because(format!(
                "{server} demanded at least {before} s (Min-Expires), {client} asked to {what} for as long, and then \
                 {server} demanded {minimum} s: the client did as it was told, and the server moves its minimum."
            ))
            .fix(format!("Look at {server} for how it sets Min-Expires: it must take the interval that it has named."))
            .fix(format!("Until then set an interval on the client that is longer than {minimum} s."))
            .claim_header(told, "Min-Expires", "the shortest interval that the server named before")
            .claim_header(response, "Min-Expires", "what it demands when it is asked for that"),
        Some(minimum) => finding
            .sender(Role::Uac, request)
            .because(format!(
                "{client} asked to {what} for {asked_words}{again}; {server} accepts no less than {minimum} s, and {}.",
                match is_over {
                    _ if is_unread => "calls what was asked for too short",
                    true => "the client did not ask for that",
                    false => "the capture ends before the client can ask for that",
                }
            ))
            .fix(format!("Set the interval on the client to {minimum} s or more."))
            .fix(format!(
                "If the short interval is there for NAT, send keep-alives instead, or lower the minimum of {server}."
            ))
            .claim_header(response, "Min-Expires", "the shortest interval that the server accepts"),
        None if !lacks_minimum => finding
            .sender(Role::Uac, request)
            .because(format!(
                "{client} asked to {what} for {asked_words}{again}; {server} calls that too short. What it accepts is \
                 not in the capture, which holds only the beginning of its 423."
            ))
            .fix("Set the interval on the client to what Min-Expires in the 423 says, or more."),
        None => finding
            .sender(server_role, response)
            .because(format!(
                "{client} asked to {what} for {asked_words}{again}; {server} calls that too short and does not say \
                 what it accepts: its 423 carries no Min-Expires, so the client cannot ask for enough."
            ))
            .fix("Let the registrar send Min-Expires in its 423: RFC 3261 §21.4.17 demands it.")
            .fix("Until then set a longer interval on the client, such as 3600 s."),
    };
    let finding = finding.claim_status(response, "the interval is refused");
    Some(claim_asked(finding, request, asked))
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
    let of_contact = request
        .message
        .contact()
        .and_then(|contact| contact.parameters.get("expires").map(|value| ("expires", value.trim().to_owned())));
    of_contact.or_else(|| Some(("Expires", request.message.header("Expires")?.trim().to_owned())))
}

fn claim_asked(finding: Finding, request: &Heard, asked: Option<(&'static str, String)>) -> Finding {
    const SAYS: &str = "what the client asks for";
    match asked {
        Some(("Expires", _)) => finding.claim_header(request, "Expires", SAYS),
        Some(_) => finding.claim_header(request, "Contact", SAYS),
        None => finding,
    }
}
