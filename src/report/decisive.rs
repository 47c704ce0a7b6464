//! What decided a call, for whoever has to answer for it: the response, the request that it answers, and what the
//! caller was told.
//!
//! Is given a record; picks from it. Deliberately finds nothing that the record does not hold.

use crate::diagnosis::{Role, Severity};
use crate::report::record::{CallRecord, ClaimRecord, FailureRecord, FindingRecord, Rung, host};
use crate::report::view::telling;

/// The failure that the telling finding is about: the first that it cites; where it cites none but normal steps, as of
/// redirects that lead round, the one that its party sent; else the last with its code. Where no finding tells
/// anything, the last that is no normal step and not found harmless.
pub(crate) fn decisive(record: &CallRecord) -> Option<&FailureRecord> {
    let judged = || record.failures.iter().filter(|failure| !failure.normal);
    let Some(finding) = telling(record) else { return judged().rfind(|failure| harmless(record, failure).is_none()) };
    let cited = || finding.claims.iter().flat_map(|claim| record.failures.iter().filter(|it| it.frame == claim.frame));
    let has_code = |failure: &&FailureRecord| finding.status == Some(failure.status);
    let is_of_party = |failure: &&FailureRecord| finding.party.addr.as_ref() == Some(&failure.from_addr);
    let of_party = || cited().filter(has_code).find(is_of_party);
    cited().find(|failure| !failure.normal).or_else(of_party).or_else(|| judged().rfind(has_code))
}

/// The finding by which a failure did no harm, such as the refusal of a BYE that crossed another: nobody is
/// responsible.
pub(crate) fn harmless<'a>(record: &'a CallRecord, failure: &FailureRecord) -> Option<&'a FindingRecord> {
    record.findings.iter().find(|finding| {
        let is_of_method = |claim: &ClaimRecord| claim.field == "sip.Method" && claim.value == failure.method;
        finding.severity == Severity::Info
            && finding.party.role == Role::Nobody
            && finding.status == Some(failure.status)
            && finding.claims.iter().any(is_of_method)
    })
}

/// The request that a failure answers, as it came to the one who sent the failure.
pub(crate) fn request_of<'a>(record: &'a CallRecord, failure: &FailureRecord) -> Option<&'a Rung> {
    let until = record.ladder.iter().position(|rung| rung.frame == failure.frame)?;
    let asked =
        || record.ladder[..until].iter().rev().filter(|rung| rung.status.is_none() && rung.label == failure.method);
    let came = |rung: &&Rung| rung.from_addr == failure.to_addr && rung.to_addr == failure.from_addr;
    let host_asked = |rung: &&Rung| host(&rung.from_addr) == host(&failure.to_addr);
    asked().find(came).or_else(|| asked().find(host_asked))
}

/// True if a request was sent on after it had come: its receiver is no end of the call.
pub(crate) fn went_on(record: &CallRecord, request: &Rung, failure: &FailureRecord) -> bool {
    let later = record.ladder.iter().skip_while(|rung| rung.frame != request.frame).skip(1);
    later.take_while(|rung| rung.frame != failure.frame).any(|rung| {
        rung.status.is_none()
            && rung.label == request.label
            && host(&rung.from_addr) == host(&request.to_addr)
            && host(&rung.to_addr) != host(&request.from_addr)
    })
}

/// The final response that the first request got, where the capture has it.
pub(crate) fn told_caller(record: &CallRecord) -> Option<&Rung> {
    let first = record.ladder.first().filter(|rung| rung.status.is_none())?;
    let is_final = |rung: &&Rung| rung.status.is_some() && rung.status == record.final_status && rung.answers.is_none();
    let came_back = |rung: &Rung| host(&rung.to_addr) == host(&first.from_addr);
    record.ladder.iter().filter(is_final).find(|rung| came_back(rung))
}

/// True if a request stands within the dialog of a call that was answered before it.
pub(crate) fn is_in_answered_call(record: &CallRecord, request: &Rung) -> bool {
    let before = record.ladder.iter().take_while(|rung| rung.frame != request.frame);
    before.filter(|rung| rung.answers.is_none()).any(|rung| matches!(rung.status, Some(200..=299)))
}
