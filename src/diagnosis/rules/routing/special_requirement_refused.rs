use crate::call::{Failure, Heard};
use crate::diagnosis::rule::rule;
use crate::diagnosis::{Case, Confidence, Finding};

rule! {
    /// A special requirement of the request was not met.
    ///
    /// ## What it says
    /// The code is one of a special procedure: location, priority, consent, push, breadth of a fork.
    ///
    /// ## Why it happens
    /// One side takes part in that procedure, and the other lacks a header or a right for it.
    ///
    /// ## Evidence
    /// 417, 424, 425, 440, 470 or 555, and the header of the request that it speaks of, or its absence.
    ///
    /// ## How to fix
    /// Correct the header that is named, or keep the request out of that procedure.
    ///
    /// ## When it would be wrong
    /// Old systems use some of these numbers for other things; then the phrase tells, and it is possible only.
    ///
    /// ## References
    /// RFC 6442 §4.2; RFC 4412 §4.7; RFC 5393 §5; RFC 5360 §5.9; RFC 8599 §8.1; RFC 8876 §5.1
    "E19" "special-requirement-refused" needs [417 424 425 440 470 555], check
}

/// A code, the header of the request that it speaks of, the header of the response that says more, and what is wrong.
const CODES: &[(u16, &str, &str, &str)] = &[
    (417, "Resource-Priority", "Accept-Resource-Priority", "it does not grant the priority that was asked for"),
    (424, "Geolocation", "Geolocation-Error", "it cannot use the caller's location"),
    (425, "Call-Info", "AlertMsg-Error", "it cannot use the alert message"),
    (440, "Max-Breadth", "Max-Breadth", "the request would need more branches than it may be forked into"),
    (470, "Trigger-Consent", "Permission-Missing", "the recipients have not consented to get the request"),
    (555, "Contact", "Contact", "it does not support the push service"),
];

/// What the words of such a refusal speak of, each by its code.
const OF_CODES: &[(u16, &[&str])] = &[
    (417, &["priority"]),
    (424, &["location"]),
    (425, &["alert"]),
    (440, &["breadth", "fork", "branch"]),
    (470, &["consent", "permission"]),
    (555, &["push"]),
];

/// True if a refusal has words of its own, and none of what its code is for.
fn names_another(case: &Case<'_>, response: &Heard, code: u16) -> bool {
    let known = OF_CODES.iter().find(|(known, _)| *known == code);
    let says_so = known.is_some_and(|(_, words)| case.says_any(response, words));
    !case.words(response).trim().is_empty() && !says_so
}

/// The words of the refusal name a ground that has nothing to do with its code.
fn of_other_words(case: &Case<'_>, failure: &Failure, response: &Heard, what: &str) -> Finding {
    let (server, code) = (response.path.source, failure.status);
    Finding::of(&RULE, Confidence::Possible)
        .titled("The request was refused with a code that is meant for something else")
        .explains(Some(code))
        .sender(case.role_of_responder(response), response)
        .because(format!(
            "{server} answered {code}{}. By its number that is: {what}. Nothing in the request or the response speaks \
             of that, so its words count.",
            case.said_beside_code(response)
        ))
        .fix(format!("Look on {server} for the rule that its words name."))
        .claim_status(response, "the request is refused")
        .claim_own_words(case, response)
}

fn check(case: &Case<'_>) -> Option<Finding> {
    let failure = case.failure()?;
    let code = failure.status.get();
    let (_, asked, answered, what) = CODES.iter().find(|(known, ..)| *known == code)?;
    let (request, response) = (case.request(failure)?, case.response(failure));
    let carried = request.message.header(asked).map(|value| value.into_owned());
    let is_unread = carried.is_none() && request.message.has_cut_head();
    let request =
        case.first_with(request, |before| is_unread || before.message.header(asked).as_deref() == carried.as_deref());
    let carried = carried.or_else(|| request.message.header(asked).map(|value| value.into_owned()));
    let is_unread = carried.is_none() && request.message.has_cut_head();
    let (client, server) = (request.path.source, response.path.source);
    let quotation = case.said_beside_code(response);
    let with = match &carried {
        Some(value) => format!("the request carries {asked}: {value}"),
        None if is_unread => format!("its {asked}, if it carries one, is behind the cut"),
        None => format!("the request carries no {asked}"),
    };
    if carried.is_none() && response.message.header(answered).is_none() && names_another(case, response, code) {
        return Some(of_other_words(case, failure, response, what));
    }
    let because = format!("{server} answered {code}: {what}; {with}{quotation}.");
    let finding = Finding::of(&RULE, Confidence::Proven).explains(Some(failure.status));
    // 417 is about a value that is not known (RFC 4412 §4.6.2): who sent none cannot mend it.
    let of_nothing = code == 417 && carried.is_none() && !request.message.is_cut();
    let finding = match of_nothing {
        true => finding.sender(case.role_of_responder(response), response),
        false => finding.sender(case.role_of_sender(request), request),
    };
    let error =
        response.message.header(answered).map(|value| value.into_owned()).filter(|_| code == 424).unwrap_or_default();
    let mut finding = finding
        .because(because)
        .fix(match (carried.is_some(), error.bytes().next()) {
            _ if of_nothing => format!(
                "Look on {server} why it answers 417 to a request without {asked}, and between for what adds one: the \
                 code is about a value that is not known there."
            ),
            // RFC 6442 §4.3.
            (true, Some(b'2')) => format!(
                "Let {client} permit what {server} lacks the permission for ({error}): by the usage rules of the \
                 location, or by Geolocation-Routing."
            ),
            (true, _) => format!("Correct {asked} in the requests of {client}, as {server} wants it."),
            (false, _) if is_unread => {
                format!("See what {asked} the requests of {client} carry, and correct it as {server} wants it.")
            }
            (false, _) => format!("Let {client} send {asked}, or keep its requests away from {server}."),
        })
        .claim_method(request, "the request");
    if carried.is_some() {
        finding = finding.claim_header(request, asked, "what it asks for");
    }
    Some(
        finding
            .claim_status(response, "it is refused for that")
            .claim_header(response, answered, "what the server says of it")
            .claim_own_words(case, response),
    )
}
