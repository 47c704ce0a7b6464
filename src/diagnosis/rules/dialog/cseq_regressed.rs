use std::time::Duration;

use crate::call::{Heard, Transaction};
use crate::capture::Place;
use crate::diagnosis::dialogs::from_tag;
use crate::diagnosis::rule::rule;
use crate::diagnosis::rules::offer_answer::prack_missing::is_in_vain;
use crate::diagnosis::{Case, Confidence, Finding};
use crate::sip::{Method, StatusCode};

rule! {
    /// A request in the dialog has a lower CSeq number than the one before it.
    ///
    /// ## What it says
    /// The numbers of requests inside a dialog must rise. This one fell, and its receiver refused it with 500, as RFC
    /// 3261 wants.
    ///
    /// ## Why it happens
    /// A fault of the sender, or two systems that send in one dialog without knowing of each other.
    ///
    /// ## Evidence
    /// A 500 to a request inside the dialog whose CSeq number is lower than that of an earlier request from the same
    /// side. Where that is a PRACK, the provisional response stays without confirmation, and the INVITE fails by it.
    ///
    /// ## How to fix
    /// Report it to the maker of the sender's software.
    ///
    /// ## When it would be wrong
    /// The 500 may have another reason, if the receiver does not mind the numbers.
    ///
    /// ## References
    /// RFC 3261 §12.2.2, §12.2.1.1
    "C15" "cseq-regressed" needs [IN_DIALOG], check
}

/// A BYE this soon after the refusal is its consequence.
const SOON: Duration = Duration::from_secs(5);

/// True if a request of the dialog was refused for its number.
pub(super) fn holds(case: &Case<'_>) -> bool {
    regressed(case).is_some()
}

fn check(case: &Case<'_>) -> Option<Finding> {
    let Regressed { request, response, earlier, before } = regressed(case)?;
    let number = request.message.cseq()?.number;
    let method = request.message.method()?;
    let side = case.side(request);
    // Its words may name another ground for the 500 than the number.
    let sure = if case.ground_said(response).is_some() { Confidence::Possible } else { Confidence::Proven };
    let finding = Finding::of(&RULE, sure);
    let soon = |bye: &Heard| bye.place > response.place && bye.place.time.since(response.place.time) <= SOON;
    let ends = *method == Method::Bye || case.asked(&Method::Bye).any(|bye| soon(bye.request));
    let decides = case.failure().is_some_and(|failure| failure.response == response.id);
    let gives_up = *method == Method::Prack && !case.call.is_answered() && is_in_vain(case, request);
    let finding = match ends {
        _ if gives_up => finding.explains(case.failure().map(|failure| failure.status)),
        true => finding.explains(response.message.status()).drops_the_call(),
        false if decides => finding.explains(response.message.status()),
        false => finding.about(response.message.status()?),
    };
    let after =
        if gives_up { " So the provisional response was never confirmed, and the call was given up." } else { "" };
    Some(
        finding
            .sender(side.role(), request)
            .because(format!(
                "The {method} of {} has the CSeq number {number}, and an earlier request of the same side had \
                 {before}. {} refused it with {}{}.{after}",
                request.path.source,
                response.path.source,
                response.message.status()?,
                case.said_beside_code(response)
            ))
            .fix(format!(
                "Have the software of {} mended: CSeq numbers must rise inside a dialog.",
                request.path.source
            ))
            .claim(request, "sip.CSeq.seq", number.to_string(), "the number of the request that was refused")
            .claim_at(earlier, "sip.CSeq.seq", before.to_string(), "the number of an earlier request of the same side")
            .claim_status(response, "refused")
            .refuted("server-fault", "RFC 3261 §12.2.2 wants this very answer to a number that falls"),
    )
}

/// A request that was refused, and where an earlier one of the same side had a higher number.
struct Regressed<'a> {
    request: &'a Heard,
    response: &'a Heard,
    earlier: Place,
    before: u32,
}

impl<'a> Regressed<'a> {
    /// The request of one transaction, if it was refused for its number.
    fn of(case: &Case<'a>, transaction: &'a Transaction) -> Option<Regressed<'a>> {
        let request = case.call.request_of(transaction)?;
        let response =
            case.finals(transaction).find(|heard| heard.message.status().map(StatusCode::get) == Some(500))?;
        let number = request.message.cseq()?.number;
        let in_call = case.call.messages.iter().find_map(|earlier| {
            let higher = earlier.message.cseq().map(|cseq| cseq.number).filter(|other| *other > number)?;
            let is_earlier = earlier.id < request.id
                && earlier.message.is_request()
                && earlier.message.method() != Some(&Method::Ack)
                && earlier.message.call_id() == request.message.call_id()
                && from_tag(earlier) == from_tag(request);
            is_earlier.then_some((earlier.place, higher))
        });
        // The reports of a subscription come minutes apart, each an exchange of its own.
        let of_report = || {
            let is_report = request.message.method() == Some(&Method::Notify);
            case.surroundings.soft_states().reported_before(&request.message, request.place).filter(|_| is_report)
        };
        let (earlier, before) = in_call.or_else(of_report)?;
        Some(Regressed { request, response, earlier, before })
    }
}

fn regressed<'a>(case: &Case<'a>) -> Option<Regressed<'a>> {
    let mut in_dialogs = case.call.transactions.iter().filter(|transaction| transaction.in_dialog);
    in_dialogs.find_map(|transaction| Regressed::of(case, transaction))
}

/// True if a request was refused because its number is lower than that of an earlier one.
pub(in crate::diagnosis::rules) fn is_refused_for_number<'a>(case: &Case<'a>, asked: &'a Transaction) -> bool {
    Regressed::of(case, asked).is_some()
}
