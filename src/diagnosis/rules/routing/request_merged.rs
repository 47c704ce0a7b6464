use crate::call::{Heard, Transaction};
use crate::diagnosis::rule::rule;
use crate::diagnosis::words::length;
use crate::diagnosis::{Case, Confidence, Finding, Role, Severity};
use crate::sip::{HeaderName, StatusCode};

rule! {
    /// The same request reached a server by two ways.
    ///
    /// ## What it says
    /// A proxy forked the request, and both branches met again at one server, which took the second for a copy.
    ///
    /// ## Why it happens
    /// Two contacts or two DNS records lead to the same device. Or the sender gives each copy of a request a branch of
    /// its own.
    ///
    /// ## Evidence
    /// 482 to a request without To tag, and another request with the same Call-ID, From tag and CSeq and another branch
    /// at the same server. Where its author had sent it twice to the same server, with one Via, the fault is of that one.
    ///
    /// ## How to fix
    /// Remove the double contact or record. If the other branch was answered, no harm is done.
    ///
    /// ## When it would be wrong
    /// If the request came back to a server that had sent it on, it is a loop: `routing-loop`. If it was challenged and
    /// came again with credentials under the same CSeq, it is one request that was tried twice: `retry-not-renumbered`.
    ///
    /// ## References
    /// RFC 3261 §8.1.1.7, §8.2.2.2, §17.1.1.2
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
    let copies = Copies::of(case, twin, request);
    let finding = Finding::of(&RULE, if copies.is_some() { Confidence::Likely } else { Confidence::Proven });
    let finding = match decides {
        true => finding.explains(Some(failure.status)),
        false => finding.about(failure.status).severity(Severity::Info),
    };
    let finding = match copies {
        Some(copies) => copies.told(finding, because),
        None => finding
            .party(Role::Proxy, Some(request.path.source))
            .because(because)
            .fix(format!("Look which two contacts, routes or DNS records lead to {server}, and remove one.")),
    };
    Some(
        finding
            .claim(twin, "sip.Call-ID", call_id(twin), "the request")
            .claim(twin, "sip.Via.branch", branch(twin).unwrap_or_default(), "the branch on which it comes")
            .claim(request, "sip.Call-ID", call_id(request), "the same request by another way")
            .claim(request, "sip.Via.branch", branch(request).unwrap_or_default(), "another branch")
            .claim_status(response, "refused as a copy")
            .refuted("routing-loop", "no server got the request back that it had sent on"),
    )
}

/// A request that its author sent twice to one server, with another branch each time.
struct Copies<'a> {
    first: &'a Heard,
    second: &'a Heard,
}

impl<'a> Copies<'a> {
    /// Those that two requests were carried on from, as far as they were two from the beginning.
    fn of(case: &Case<'a>, twin: &'a Heard, request: &'a Heard) -> Option<Copies<'a>> {
        let before = |heard: &Heard| {
            let upstream = case.call.transaction(heard.transaction).upstream?;
            case.call.request_of(case.call.transaction(upstream))
        };
        let (mut first, mut second) = (twin, request);
        while let (Some(one), Some(other)) = (before(first), before(second)) {
            if one.id == other.id || one.id >= first.id || other.id >= second.id {
                break;
            }
            (first, second) = (one, other);
        }
        // What has one Via was carried on by nobody.
        let is_of_author = |heard: &Heard| heard.message.vias().len() == 1;
        let is_same_way = (first.path.source, first.path.destination) == (second.path.source, second.path.destination);
        (is_same_way && is_of_author(first) && is_of_author(second)).then_some(Copies { first, second })
    }

    fn told(&self, finding: Finding, because: String) -> Finding {
        let (first, second, author) = (self.first, self.second, self.second.path.source);
        finding
            .party(Role::Uac, Some(author))
            .because(format!(
                "{because} {author} itself had sent it to {} twice, {} apart, each time with another branch: with \
                 that even a copy is a request of its own to every server (RFC 3261 §8.1.1.7).",
                second.path.destination,
                length(second.place.time.since(first.place.time))
            ))
            .fix(format!("Let {author} repeat a request as it is, with the branch that it had (RFC 3261 §17.1.1.2)."))
            .claim(first, "sip.Via.branch", branch(first).unwrap_or_default(), "the request as it was sent first")
            .claim(second, "sip.Via.branch", branch(second).unwrap_or_default(), "and once more")
    }
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
