use std::net::IpAddr;

use crate::call::{Heard, Transaction};
use crate::diagnosis::dialogs::from_tag;
use crate::diagnosis::rule::rule;
use crate::diagnosis::words::is_private;
use crate::diagnosis::{Case, Confidence, Finding, Role, Severity};
use crate::oddity::Oddity;

rule! {
    /// Something on the way changed the message.
    ///
    /// ## What it says
    /// The message does not hold together, or it differs before and behind a point that should only pass it on.
    ///
    /// ## Why it happens
    /// A router or firewall with an application layer gateway for SIP rewrites addresses, and forgets Content-Length or
    /// one of the headers.
    ///
    /// ## Evidence
    /// A datagram whose body is shorter or longer than its Content-Length; or one request captured at two points, with
    /// another Contact, Call-ID, From or body. A private address in Via beside a public one in Contact makes it
    /// possible.
    ///
    /// ## How to fix
    /// Switch the SIP gateway (SIP ALG) of the router off; or use TLS, or another port than 5060.
    ///
    /// ## When it would be wrong
    /// A client that uses STUN mixes private and public addresses itself; a B2BUA or SBC changes messages on purpose.
    ///
    /// ## References
    /// RFC 3261 §18.3, §20.14; RFC 3235
    "B12" "message-mangled" needs [ODD] [SEVERAL] [400 488 500 606] [UNDECIDED], check
}

fn check(case: &Case<'_>) -> Option<Finding> {
    wrong_length(case).or_else(|| changed_on_the_way(case)).or_else(|| mixed_addresses(case))
}

/// A failure that a mangled request may have, and no other.
const OF_MANGLED: [u16; 4] = [400, 488, 500, 606];

/// A datagram whose body has another length than its header says.
fn wrong_length(case: &Case<'_>) -> Option<Finding> {
    let (heard, oddity) = case.call.messages.iter().find_map(|heard| {
        if heard.path.transport.is_reliable() || heard.message.is_cut() {
            return None;
        }
        let is_length =
            |oddity: &&Oddity| matches!(oddity, Oddity::BodyTooShort { .. } | Oddity::BytesAfterBody { .. });
        Some((heard, heard.message.oddities().iter().find(is_length)?.clone()))
    })?;
    // Empty lines behind a message do no harm.
    if let Oddity::BytesAfterBody { bytes } = oddity
        && bytes <= 4
    {
        return None;
    }
    let failure = case.outer_failure();
    let is_deciding = case.deciding().is_some_and(|deciding| {
        deciding.request == Some(heard.id)
            || case.call.downstream_of(deciding.id).any(|inner| inner.request == Some(heard.id))
    });
    let is_refused = failure.is_some_and(|failure| OF_MANGLED.contains(&failure.status.get()));
    let is_silent = is_deciding && failure.is_none() && !case.call.is_answered() && heard.repeated >= 2;
    let finding = Finding::of(&RULE, Confidence::Proven);
    let finding = match is_deciding && (is_refused || is_silent) {
        true => finding.explains(failure.map(|failure| failure.status)),
        false => finding.severity(Severity::Warning),
    };
    let line = heard.message.header_line("Content-Length")?;
    Some(
        finding
            .party(Role::Network, Some(heard.path.source))
            .because(format!(
                "The message from {} does not hold together: {}. A box on the way that rewrites SIP does that, or the \
                 sender counts wrongly.",
                heard.path.source,
                oddity.says()
            ))
            .fix("Switch the SIP gateway (SIP ALG) of the routers between off; or use TLS, or another port than 5060.")
            .fix(format!(
                "Capture at {} itself: if the message is the same there, the fault is its own.",
                heard.path.source.ip()
            ))
            .claim(heard, "sip.msg_hdr", line, "what the header says")
            .refuted("capture-truncated", "the capture holds the whole datagram")
            .refuted("syntax-rejected", "what is wrong is the length of the body"),
    )
}

/// One request at two points of the way, and what differs.
fn changed_on_the_way(case: &Case<'_>) -> Option<Finding> {
    let (before, behind, header) = copies_at_two_points(&case.call.transactions).find_map(|(one, other)| {
        let (one, other) = (case.call.request_of(one)?, case.call.request_of(other)?);
        // A B2BUA that keeps the branch opens a dialog of its own.
        let header = changed_header(one, other).filter(|_| from_tag(one) == from_tag(other))?;
        Some((one, other, header))
    })?;
    let finding = Finding::of(&RULE, Confidence::Proven)
        .severity(Severity::Warning)
        .party(Role::Network, Some(behind.path.source))
        .because(format!(
            "The same request (same branch) was captured from {} and, rewritten, from {}: its {header} differs. \
             Something between them changes SIP messages.",
            before.path.source, behind.path.source
        ))
        .fix("Switch the SIP gateway (SIP ALG) of the router between these two points off; or use TLS.");
    let is_body = header == "body";
    let field = |finding: Finding, heard: &Heard, says: &str| match is_body {
        true => finding.claim_header(heard, "Content-Length", says),
        false => finding.claim_header(heard, header, says),
    };
    let finding = field(finding, before, "before the change");
    Some(field(finding, behind, "behind the change"))
}

/// Pairs of transactions with one branch on different ways: one request, seen before and behind a NAT.
fn copies_at_two_points(transactions: &[Transaction]) -> impl Iterator<Item = (&Transaction, &Transaction)> {
    let asked = transactions.iter().enumerate().filter(|(_, known)| !known.branch.is_empty());
    asked.flat_map(move |(at, one)| {
        // The number tells most of them apart, and a long call has hundreds.
        let is_same =
            |other: &&Transaction| one.cseq == other.cseq && one.method == other.method && one.branch == other.branch;
        let others = transactions.iter().skip(at + 1).filter(is_same);
        let elsewhere = others.filter(|other| other.upstream.is_none() && one.path.may_be_translated_to(other.path));
        elsewhere.map(move |other| (one, other))
    })
}

fn changed_header(one: &Heard, other: &Heard) -> Option<&'static str> {
    let headers = ["Contact", "From", "Call-ID"];
    let changed = headers.into_iter().find(|header| one.message.header(header) != other.message.header(header));
    let has_whole_bodies = !one.message.is_cut() && !other.message.is_cut();
    changed.or_else(|| (has_whole_bodies && one.message.body() != other.message.body()).then_some("body"))
}

/// A private address in Via beside a public one in Contact, from behind a NAT: possibly the work of a gateway.
fn mixed_addresses(case: &Case<'_>) -> Option<Finding> {
    let failure = case.outer_failure().filter(|failure| OF_MANGLED.contains(&failure.status.get()));
    let silent = case.outer_failure().is_none() && !case.call.is_answered();
    if failure.is_none() && !silent {
        return None;
    }
    let request = case.call.request_of(case.deciding()?)?;
    let source = request.path.source.ip();
    if is_private(source) {
        return None;
    }
    let vias = request.message.vias();
    let [via] = vias.as_slice() else { return None };
    let sent_by: IpAddr = via.host.parse().ok()?;
    let contact: IpAddr = request.message.contact()?.parsed().host.parse().ok()?;
    let is_mixed = is_private(sent_by) && contact == source && sent_by != source;
    if !is_mixed {
        return None;
    }
    Some(
        Finding::of(&RULE, Confidence::Possible)
            .party(Role::Network, Some(request.path.source))
            .because(format!(
                "The request names the private address {sent_by} in Via and the public one {contact} in Contact: the \
                 client knows its public address by STUN, or a box on the way rewrote one header and not the other."
            ))
            .fix("If the client uses no STUN, switch the SIP gateway (SIP ALG) of its router off.")
            .claim(request, "sip.Via.sent-by.address", via.host.clone(), "a private address")
            .claim_header(request, "Contact", "a public one"),
    )
}
