use crate::call::{Heard, Transaction};
use crate::diagnosis::rule::rule;
use crate::diagnosis::{Case, Confidence, Finding, Role, Severity};
use crate::sip::{HeaderName, StatusCode};

rule! {
    /// The same request reached a server by two ways.
    ///
    /// ## What it says
    /// A proxy forked the request, and both branches met again at one server, which took the second for a copy.
    ///
    /// ## Why it happens
    /// Two contacts or two DNS records lead to the same device.
    ///
    /// ## Evidence
    /// 482 to a request without To tag, and another request with the same Call-ID, From tag and CSeq and another branch
    /// at the same server.
    ///
    /// ## How to fix
    /// Remove the double contact or record. If the other branch was answered, no harm is done.
    ///
    /// ## When it would be wrong
    /// If the request came back to a server that had sent it on, it is a loop: `routing-loop`. If it was challenged and
    /// came again with credentials under the same CSeq, it is one request that was tried twice: `retry-not-renumbered`.
    ///
    /// ## References
    /// RFC 3261 §8.2.2.2
    "E8" "request-merged" needs [FAILURE SEVERAL], check
}

fn check(case: &Case<'_>) -> Option<Finding> {
    let mut refused = case.call.failures.iter().filter(|failure| failure.status.get() == 482);
    let (failure, request, twin) = refused.find_map(|failure| {
        let request = case.request(failure)?;
        Some((failure, request, twin(case, request)?))
    })?;
    let response = case.response(failure);
    let server = request.path.destination;
    let decides = case.outer_failure().is_some_and(|outer| outer.status.get() == 482);
    let ways = match twin.path.source == request.path.source {
        true => format!("twice from {}", request.path.source),
        false => format!("from {} and from {}", twin.path.source, request.path.source),
    };
    let because = format!("{server} got the same request {ways}, on two branches, and refused one with 482.");
    let finding = Finding::of(&RULE, Confidence::Proven);
    let finding = match decides {
        true => finding.explains(Some(failure.status)),
        false => finding.about(failure.status).severity(Severity::Info),
    };
    Some(
        finding
            .party(Role::Proxy, Some(request.path.source))
            .because(because)
            .fix(format!("Look which two contacts, routes or DNS records lead to {server}, and remove one."))
            .claim(twin, "sip.Call-ID", call_id(twin), "the request")
            .claim(twin, "sip.Via.branch", branch(twin).unwrap_or_default(), "the branch on which it comes")
            .claim(request, "sip.Call-ID", call_id(request), "the same request by another way")
            .claim(request, "sip.Via.branch", branch(request).unwrap_or_default(), "another branch")
            .claim_status(response, "refused as a copy")
            .refuted("routing-loop", "no server got the request back that it had sent on"),
    )
}

fn call_id(heard: &Heard) -> String {
    String::from_utf8_lossy(heard.message.call_id()).into_owned()
}

/// The branch of the topmost Via.
fn branch(heard: &Heard) -> Option<String> {
    heard.message.vias().first().map(|via| via.branch().to_owned()).filter(|branch| !branch.is_empty())
}

/// True if a request had been refused with a challenge when another one was sent, which is then its next try.
fn was_challenged_before(case: &Case<'_>, known: &Transaction, request: &Heard) -> bool {
    let is_challenge = |heard: &Heard| heard.message.status().is_some_and(StatusCode::is_challenge);
    case.finals(known).any(|heard| is_challenge(heard) && heard.place < request.place)
}

/// The other request with the same Call-ID, From tag and CSeq at the same server, which is not on the way of this one.
fn twin<'a>(case: &Case<'a>, request: &'a Heard) -> Option<&'a Heard> {
    let own = case.call.transaction(request.transaction);
    let tag = |heard: &Heard| heard.message.from().and_then(|from| from.tag().map(str::to_owned));
    let has_to_tag = request.message.to().is_some_and(|to| to.tag().is_some());
    // What names the server among those that passed it on came back to it: a loop, whether or not its hops were
    // captured.
    let server = own.path.destination.ip();
    if request.message.vias().iter().any(|via| via.host.parse() == Ok(server)) {
        return None;
    }
    let mut way = Vec::new();
    let mut next = own.upstream;
    while let Some(id) = next.filter(|id| !way.contains(id)) {
        way.push(id);
        next = case.call.transaction(id).upstream;
    }
    let twin = case.call.transactions.iter().find(|known| {
        known.id != own.id
            && known.method == own.method
            && known.cseq == own.cseq
            && known.branch != own.branch
            && known.path.destination == own.path.destination
            && !way.contains(&known.id)
            && !was_challenged_before(case, known, request)
            && !case.call.downstream_of(own.id).any(|inner| inner.id == known.id)
    })?;
    let heard = case.call.request_of(twin).filter(|heard| heard.id < request.id)?;
    // Where the capture cut off what they have in common, they may be two requests, or one that came back.
    let is_known = |heard: &Heard| {
        [HeaderName::From, HeaderName::CSeq].iter().all(|name| !heard.message.ends_before_end_of(*name))
    };
    let are_known = is_known(heard) && is_known(request);
    (!has_to_tag && are_known && tag(heard) == tag(request)).then_some(heard)
}
