use crate::call::{Failure, Transaction, timer};
use crate::diagnosis::rule::rule;
use crate::diagnosis::words::{destination_field, length, times};
use crate::diagnosis::{Case, Confidence, Finding, Role};
use crate::net::Undelivered;

rule! {
    /// A proxy gave up because the next hop behind it did not answer.
    ///
    /// ## What it says
    /// The 408 or 504 was made by the proxy: what it sent on got no answer.
    ///
    /// ## Why it happens
    /// The host behind the proxy is down or unreachable, or its answers do not find the way back. Or its address is a private
    /// one that it gave as its Contact from behind a NAT.
    ///
    /// ## Evidence
    /// 408 on the caller's hop, or 504 of a proxy that had waited, and behind it the same request without any response.
    ///
    /// ## How to fix
    /// Look why the next hop is silent, and give the proxy a second destination.
    ///
    /// ## When it would be wrong
    /// After ringing a 408 is a ring timeout, and no fault of the network; unless what rang had ended before the request was
    /// sent on to the one who is silent. A request that UDP carried only once tells that the
    /// capture lacks packets of that hop: then it is possible, and no more.
    ///
    /// ## References
    /// RFC 3261 §16.7, §16.8, §21.4.9, §21.5.5; RFC 4320
    "E6" "timeout-behind-proxy" needs [408 487 504 SENT_ON UNANSWERED], check
}

/// True if a proxy says itself that it waited in vain.
pub(in crate::diagnosis::rules) fn holds(case: &Case<'_>) -> bool {
    check(case).is_some()
}

/// Codes of a proxy that waited in vain.
const CODES: [u16; 2] = [408, 504];

/// The failure as the caller got it, where the last branch to fail before it was one that was cancelled.
fn after_ringing<'a>(case: &Case<'a>) -> Option<&'a Failure> {
    case.failure().filter(|arose| arose.status.get() == 487 && arose.normal.is_some())?;
    case.outer_failure().filter(|outer| CODES.contains(&outer.status.get()))
}

fn check(case: &Case<'_>) -> Option<Finding> {
    let failure = case.failure_with(&CODES).or_else(|| after_ringing(case))?;
    let code = failure.status;
    let (request, response) = (case.request(failure)?, case.response(failure));
    let silent = case.call.downstream_of(failure.transaction).filter(|inner| inner.finals.is_empty()).last()?;
    let sent = case.call.request_of(silent)?;
    // What rang and had ended before the request was sent on, as where a forwarding comes after it, is not what timed out.
    let had_ended = |inner: &Transaction| case.finals(inner).next().is_some_and(|end| end.place < sent.place);
    let rang = case.ringing(failure.transaction).is_some();
    if rang && !case.call.downstream_of(failure.transaction).filter(|inner| inner.id != silent.id).all(had_ended) {
        return None;
    }
    // An ICMP error is an answer: the way there is closed, and no silence (`destination-unreachable`).
    let mut errors = case.call.icmp.iter().filter(|icmp| icmp.message == sent.id).map(|icmp| icmp.what.meaning());
    if errors.any(|error| {
        matches!(
            error,
            Undelivered::PortUnreachable
                | Undelivered::ProtocolUnreachable
                | Undelivered::Prohibited
                | Undelivered::NoRoute
                | Undelivered::RejectRoute
                | Undelivered::HostUnreachable
        )
    }) {
        return None;
    }
    let is_silent = silent.provisionals.is_empty();
    let (proxy, next) = (response.path.source, silent.path.destination);
    // What is sent after the failure was told says nothing of how long the proxy waited.
    let later = sent.repeats.iter().filter(|copy| **copy > response.place).count();
    let copies = (sent.repeated + 1).saturating_sub(u32::try_from(later).unwrap_or(u32::MAX)).max(1);
    let waited = response.place.time.since(sent.place.time);
    // Over UDP an INVITE without any answer is repeated (RFC 3261 §17.1.1.2): a single copy tells that the capture lacks some.
    // A 504 is a proxy's word for the silence behind it (RFC 3261 §21.5.5): a B2BUA makes it of other things too, and who answers
    // it at once did not wait.
    let call_id = |known: &Transaction| &case.call.leg(known.leg).call_id;
    let is_proxied = call_id(silent) == call_id(case.call.transaction(failure.transaction));
    if code.get() == 504 && (!is_proxied || waited < timer::T1 * 2) {
        return None;
    }
    let is_hidden = is_silent && sent.repeated == 0 && !sent.path.transport.is_reliable() && waited >= timer::T1 * 4;
    let silence = if is_silent { "nothing came back" } else { "no final response came back" };
    let sure = if is_hidden { Confidence::Possible } else { Confidence::Proven };
    let because = match is_hidden {
        true => format!(
            "{proxy} sent the {} on to {next}, and the capture shows one copy of it and no answer in {}. Over UDP it would have been \
             repeated if nothing had come back, so the capture lacks packets of that hop. {proxy} made the {code} itself.",
            silent.method.name(),
            length(waited)
        ),
        false => format!(
            "{proxy} sent the {} on to {next}, {}, {silence} in {}, and {proxy} made the {code} itself.",
            silent.method.name(),
            times(copies),
            length(waited)
        ),
    };
    let finding = Finding::of(&RULE, sure).explains(Some(failure.status));
    let finding = match case.private_contact(sent) {
        Some(contact) => contact.told_in(finding, &because, (Role::Proxy, proxy)),
        None => finding
            .party(Role::Uas, Some(next))
            .because(because)
            .fix(format!("Look whether {next} is up and listens, and whether {} can reach it.", proxy.ip()))
            .fix(format!("Give {proxy} a second destination for this {}, and let it notice by OPTIONS that {next} is silent.", case.noun())),
    };
    let mut finding = finding
        .claim_method(request, "the caller's request")
        .claim(sent, destination_field(next.ip()), next.ip().to_string(), "the proxy sends it on to this host");
    if let Some(last) = sent.repeats.iter().rfind(|copy| **copy < response.place) {
        finding = finding.claim_at(*last, "sip.Method", silent.method.name(), format!("the last copy of it before the {code}"));
    }
    Some(
        finding
            .claim_absent(sent.place, match is_silent {
                true => format!("response of {next}"),
                false => format!("final response of {next}"),
            }, "the next hop does not answer")
            .claim_status(response, "the proxy gives up")
            .refuted("timeout-at-responder", "the request was sent on, and the silence is behind the proxy")
            .refuted("ring-timeout", match rang {
                true => "what rang had ended before the request was sent on to the one who is silent",
                false => "nothing rang",
            })
            .refuted("destination-unreachable", "no ICMP error came back for it")
            .next_capture(format!("tcpdump -n -s 0 -w next-hop.pcap host {} and port {}   # on \
                {}", proxy.ip(), next.port(), next.ip())),
    )
}
