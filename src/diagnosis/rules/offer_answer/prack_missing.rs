use crate::call::{Heard, Transaction};
use crate::diagnosis::case::ENOUGH_REPEATS;
use crate::diagnosis::rule::rule;
use crate::diagnosis::words::length;
use crate::diagnosis::{Asked, Case, Confidence, Finding, Role};
use crate::sip::Method;

rule! {
    /// A reliable provisional response was never confirmed with PRACK.
    ///
    /// ## What it says
    /// The callee's side sent a 1xx that must be confirmed, repeated it, got no PRACK, and gave the call up.
    ///
    /// ## Why it happens
    /// The caller's side offers 100rel and does not really support it, or its PRACK goes to an address that does not
    /// arrive.
    ///
    /// ## Evidence
    /// A 1xx with `Require: 100rel` and RSeq, repeated at doubling intervals, no PRACK with that number, and a final
    /// failure or the end after about 32 s.
    ///
    /// ## How to fix
    /// Switch 100rel off on one side, or let the caller's side send PRACK to the Contact of the 1xx.
    ///
    /// ## When it would be wrong
    /// If PRACK goes another way than past the capture.
    ///
    /// ## References
    /// RFC 3262 §3, §4
    "D15" "prack-missing" needs [PROVISIONAL], check
}

fn check(case: &Case<'_>) -> Option<Finding> {
    if case.call.is_answered() {
        return None;
    }
    let (invite, response) = unconfirmed(case)?;
    let request = case.call.request_of(invite)?;
    let end = case.call.final_of(invite);
    let confidence = match end {
        Some(_) if case.is_visible(request.path.source.ip(), request.path.destination.ip()) => Confidence::Likely,
        _ => case.absence_of_answer(response),
    };
    let prack = prack_of(case, response);
    let line = response.message.header("RSeq")?.into_owned();
    let status = response.message.status()?;
    let (server, client) = (response.path.source, response.path.destination);
    let ended = match end.and_then(|end| end.message.status()) {
        Some(status) => format!(" and gave the call up with {status}"),
        None => String::new(),
    };
    let lost = prack.map(|prack| {
        format!(
            " {} did send one to {}, and nothing answers it: it does not reach {server}.",
            prack.request.path.source, prack.request.path.destination
        )
    });
    let other = prack_with_other_number(case, invite, response);
    let none = if other.is_some() { "no PRACK with that number" } else { "no PRACK" };
    let lost = match (lost, other) {
        (Some(lost), _) => lost,
        (None, Some(other)) => format!(
            " {} sent one with RAck {:?}, which is not its number.",
            other.path.source,
            other.message.header("RAck").unwrap_or_default()
        ),
        (None, None) => String::new(),
    };
    let mut finding = Finding::of(&RULE, confidence)
        .explains(end.and_then(|end| end.message.status()))
        .party(Role::Uac, Some(client))
        .because(format!(
            "{server} sent {status} reliably (RSeq {line}) and repeated it {} times within {}; it got {none}{ended}.{lost}",
            response.repeated,
            length(response.last_place().time.since(response.place.time))
        ))
        .fix(format!("Switch 100rel off on {client} (no Supported: 100rel), or on {server}."));
    finding = match other {
        Some(_) => finding.fix(format!("Let {client} put RSeq and CSeq of the {status} into RAck (RFC 3262 §7.2).")),
        None => finding
            .fix(format!("If {client} does send PRACK, look where it goes: it must go to the Contact of the {status}.")),
    };
    finding = finding
        .claim_status(response, "a provisional response that must be confirmed")
        .claim(response, "sip.RSeq", line.clone(), "its number")
        .claim_header(response, "Require", "it must be confirmed");
    if let Some(last) = response.repeats.last() {
        finding = finding.claim_at(*last, "sip.RSeq", line, "its last copy");
    }
    finding = match prack {
        Some(prack) => finding
            .claim_method(prack.request, "a PRACK that does not arrive")
            .claim_absent(prack.request.last_place(), "a response to the PRACK", "the response is repeated all the same"),
        None => finding.claim_absent(response.place, "a PRACK with this number", "it is never confirmed"),
    };
    if let Some(other) = other {
        finding = finding.claim_header(other, "RAck", "a PRACK with another number");
    }
    if let Some(end) = end {
        finding = finding.claim_status(end, "the callee's side gives up");
    }
    Some(finding.refuted("server-fault", "the failure follows the missing PRACK").refuted("ring-timeout", "the provisional response was repeated until the end"))
}

/// The reliable 1xx nearest to its sender that was repeated and got no PRACK.
fn unconfirmed<'a>(case: &Case<'a>) -> Option<(&'a Transaction, &'a Heard)> {
    case.call
        .transactions
        .iter()
        .filter(|transaction| transaction.is_initial_invite())
        .flat_map(|invite| case.provisionals(invite).map(move |response| (invite, response)))
        .filter(|(_, response)| response.repeated >= ENOUGH_REPEATS)
        .filter(|(_, response)| {
            response.message.headers("Require").iter().any(|tag| tag.eq_ignore_ascii_case("100rel")) && !is_confirmed(case, response)
        })
        .last()
}

/// The PRACK with the number of a reliable response.
fn prack_of<'a>(case: &Case<'a>, response: &Heard) -> Option<Asked<'a>> {
    let number = response.message.header("RSeq").map(|value| value.trim().to_owned()).unwrap_or_default();
    case.asked(&Method::Prack).find(|prack| {
        prack.request.message.call_id() == response.message.call_id()
            && prack.request.message.header("RAck").is_some_and(|rack| rack.split_whitespace().next() == Some(&number))
    })
}

/// A PRACK that carries the number of no response to this INVITE.
fn prack_with_other_number<'a>(case: &Case<'a>, invite: &'a Transaction, response: &Heard) -> Option<&'a Heard> {
    let known: Vec<String> =
        case.provisionals(invite).filter_map(|heard| Some(heard.message.header("RSeq")?.trim().to_owned())).collect();
    let of_call = case.asked(&Method::Prack).map(|prack| prack.request).filter(|prack| {
        prack.message.call_id() == response.message.call_id() && prack.place > response.place
    });
    let mut others = of_call.filter(|prack| {
        let rack = prack.message.header("RAck").unwrap_or_default();
        rack.split_whitespace().next().is_some_and(|number| known.iter().all(|known| known != number))
    });
    others.next()
}

/// True if a PRACK came, and was answered or ended the repetition.
fn is_confirmed(case: &Case<'_>, response: &Heard) -> bool {
    prack_of(case, response).is_some_and(|prack| {
        let after = response.repeats.iter().filter(|repeat| **repeat > prack.request.place).count();
        case.has_response(prack.transaction) || after < ENOUGH_REPEATS as usize
    })
}
