use std::time::Duration;

use crate::call::{Heard, Kind, Outcome, Transaction, timer};
use crate::diagnosis::branches::{may_be_of_silence, may_hide_silence};
use crate::diagnosis::rule::rule;
use crate::diagnosis::rules::reachability::response_ignored::stray_response;
use crate::diagnosis::rules::routing::timeout_behind_proxy;
use crate::diagnosis::words::{capture_at, length};
use crate::diagnosis::{Case, Confidence, Finding, Role};
use crate::sip::Method;

rule! {
    /// The next hop gives no answer at all.
    ///
    /// ## What it says
    /// A request was sent again and again as its timers want, and nothing came back: no response, no ICMP error. Or TCP
    /// brought it to the next hop, and the service there said nothing.
    ///
    /// ## Why it happens
    /// The address is dead or wrong, something on the way drops the packets without a word, or the answers do not find
    /// their way back. From one capture these cannot be told apart. Over TCP they can: what TCP does not repeat has
    /// arrived, so the service behind the port hangs, or drops what it reads.
    ///
    /// ## Evidence
    /// Three or more copies of one request, no response and no ICMP error, and a capture that goes on for 64·T1 (32 s)
    /// after the first copy. It is more than possible only if the other direction of the hop is in the capture. Over
    /// TCP, TLS and WebSocket one copy is enough, if that direction is there, be it by nothing but acknowledgements of
    /// TCP, and the connection stands. Where a proxy or B2BUA refused the call while its own request waited in that
    /// silence, the wait until then counts: three copies before it, or as long as those take. Its code and its cause
    /// are then what it made of that; that the callee is busy or declines, from five copies on. Who repeats its INVITE
    /// until it refuses the call had got nothing, wherever the answers would have gone. Where two inputs hold the same
    /// datagrams of this way, and only the one nearer to its sender holds the request, it was lost between the two.
    ///
    /// ## How to fix
    /// Capture at the next hop: if the request arrives there, look at its answer; if not, look at the way and at the
    /// address.
    ///
    /// ## When it would be wrong
    /// In a capture of one direction the answers exist and are not seen (`capture-one-sided`). With an ICMP error it is
    /// `destination-unreachable`; if only large requests are lost, `large-request-lost`. Who refuses a call as soon as
    /// it has sent it on does so for a reason of its own; and that the callee is busy or declines may come from a
    /// device that is not in the capture, unless it comes just when the request was repeated for long.
    ///
    /// ## References
    /// RFC 3261 §17.1.1.2, §17.1.2.2, §18.1.1, §18.2.2
    "B1" "next-hop-silent" needs [UNANSWERED], check
}

/// Copies that are wanted before a silence counts.
const ENOUGH_COPIES: u32 = 3;
/// Copies that are wanted where the refusal might have come from elsewhere.
const MANY_COPIES: u32 = 5;
/// As long as they take over UDP (RFC 3261 §17.1.1.2): a shorter wait is none.
const SHORTEST_WAIT: Duration = Duration::from_millis(1500);

/// The request that got no answer at all on the innermost hop, if it was sent often enough to tell.
pub(in crate::diagnosis::rules) fn unanswered<'a>(case: &Case<'a>) -> Option<&'a Heard> {
    let silent = silent_hop(case)?;
    let request = case.call.request_of(silent)?;
    let told = told(case, request);
    // What is repeated after the call was refused says nothing of what that was for.
    let later = told.map_or(0, |told| request.repeats.iter().filter(|copy| **copy > told.place).count());
    let copies = (request.repeated + 1).saturating_sub(u32::try_from(later).unwrap_or(u32::MAX));
    if copies < ENOUGH_COPIES || request.path.transport.is_reliable() {
        return None;
    }
    // That a callee is busy or declines may come from a device that is not in the capture: who says so only when its
    // own request was sent in vain for long has it from nobody.
    if !is_usual(case) && (copies < MANY_COPIES || !told.is_some_and(|told| gave_up_waiting(request, told))) {
        return None;
    }
    let is_told = case.call.icmp.iter().any(|icmp| icmp.message == request.id);
    let is_answered = case.was_answered_unseen(silent).is_some() || stray_response(case, request).is_some();
    (!is_told && !is_answered).then_some(request)
}

/// True unless the call was refused with what is the word of a callee.
fn is_usual(case: &Case<'_>) -> bool {
    case.failure().is_none_or(|arose| may_be_of_silence(arose.status))
}

/// True if the request was repeated until the call was refused. Who has any response to its INVITE does not repeat it
/// (RFC 3261 §17.1.1.2): none had come back, whatever this capture would show of it.
fn gave_up_waiting(request: &Heard, told: &Heard) -> bool {
    let repeats = request.repeats.iter().filter(|copy| **copy < told.place).map(|copy| copy.time);
    let times: Vec<_> = std::iter::once(request.place.time).chain(repeats).collect();
    let [.., before, last] = times[..] else { return false };
    told.place.time.since(last) <= last.since(before).mul_f64(2.2)
}

/// The refusal of the call that came while a request to the next hop waited: what the one who waited made of it.
fn told<'a>(case: &Case<'a>, request: &Heard) -> Option<&'a Heard> {
    let arose = case.failure().filter(|arose| arose.transaction != request.transaction)?;
    Some(case.response(arose))
}

/// How sure it is that nothing came back: until the call was refused, or in the whole time of a transaction.
fn silence(case: &Case<'_>, request: &Heard) -> Confidence {
    let Some(told) = told(case, request).filter(|_| !timeout_behind_proxy::holds(case)) else {
        return case.absence_of_answer(request);
    };
    if request.message.method() == Some(&Method::Invite) && gave_up_waiting(request, told) {
        return Confidence::Likely;
    }
    let waited = told.place.time.since(request.place.time);
    match case.absence(request, waited.min(timer::OVERDUE)) {
        // Who was heard on this hop before, and never since, would be heard here.
        Confidence::Possible if is_readable(case, request) && case.silent_since(request).is_some() => {
            Confidence::Likely
        }
        sure => sure,
    }
}

/// True if nothing is known to be missing in the capture that could be an answer.
fn is_readable(case: &Case<'_>, request: &Heard) -> bool {
    case.capture.drops == 0 && !request.message.is_cut()
}

fn check(case: &Case<'_>) -> Option<Finding> {
    dropped(case).or_else(|| taken(case))
}

/// A request that arrived nowhere, as far as can be seen.
fn dropped(case: &Case<'_>) -> Option<Finding> {
    let request = unanswered(case)?;
    let silent = case.call.transaction(request.transaction);
    let patterned = is_timed(request, &silent.method);
    let confidence = match silence(case, request) {
        Confidence::Likely if !patterned => Confidence::Possible,
        confidence => confidence,
    };
    if confidence == Confidence::Unseen && timeout_behind_proxy::holds(case) {
        return None; // The proxy did not wait for longer either, and says so.
    }
    let finding = Finding::of(&RULE, confidence).explains(case.outer_failure().map(|failure| failure.status));
    let because = match case.wants_words() {
        true => explanation(case, request, &silent.method, confidence) + &what_was_told(case, request),
        false => String::new(),
    };
    let between = case.lost_between(request).filter(|_| confidence != Confidence::Unseen);
    if let Some(between) = between {
        let finding = between.told_in(finding, &format!("this {}", silent.method));
        let because = because + " " + &between.says(&format!("the {}", silent.method));
        return Some(prove(finding.because(because), case, request));
    }
    let finding = match case.private_contact(request) {
        Some(contact) => contact.told_in(finding, &because, (Role::Proxy, request.path.source)),
        None => finding.party(Role::Network, Some(request.path.destination)).because(because).fix(first_step(
            case,
            request,
            &silent.method,
        )),
    };
    if !case.wants_words() {
        return Some(finding);
    }
    let finding = finding
        .fix(format!(
            "Capture at {} (command below): if the {} arrives there, follow its answer; if not, follow the way there.",
            request.path.destination.ip(),
            silent.method
        ))
        .next_capture(capture_at(request.path.destination.ip(), request.path));
    Some(prove(finding, case, request))
}

/// What to look at first: whether anything is there, where nothing of it is heard meanwhile.
fn first_step(case: &Case<'_>, request: &Heard, method: &Method) -> String {
    let to = request.path.destination;
    let heard = case.surroundings.hop(to.ip(), request.path.source.ip());
    match heard.is_some_and(|seen| seen.surely_within(request.place.time, request.last_place().time)) {
        true => format!(
            "Other SIP of {} comes meanwhile, so look there, and at filters on the way, for what drops this {method}: its \
             size, its body, its caller, its port ({}), or how many requests come in a second.",
            to.ip(),
            to.port()
        ),
        false => format!("Check that {to} is the right address and port, and that its SIP service runs."),
    }
}

/// The request that TCP brought to the innermost hop, which left it without a response on a connection that stood.
pub(in crate::diagnosis::rules) fn left_on_stream<'a>(case: &Case<'a>) -> Option<(&'a Heard, Confidence)> {
    let silent = silent_hop(case).filter(|silent| silent.method != Method::Options && is_usual(case))?;
    let request = case.call.request_of(silent)?;
    let is_at_once = |told: &Heard| told.place.time.since(request.place.time) < SHORTEST_WAIT;
    if told(case, request).is_some_and(is_at_once) {
        return None; // Nobody gives up so soon.
    }
    let confidence = case.silence_over_stream(request)?;
    case.was_answered_unseen(silent).is_none().then_some((request, confidence))
}

/// A request that arrived, and got no response.
fn taken(case: &Case<'_>) -> Option<Finding> {
    let (request, confidence) = left_on_stream(case)?;
    let (client, server, method) = (request.path.source, request.path.destination, request.message.method()?);
    let arrived = match case.was_received(request) {
        true => format!("TCP of {server} acknowledged the {method}"),
        false => format!("Nothing had to be repeated: {server} has the {method}"),
    };
    let is_heard = case.is_visible(server.ip(), client.ip());
    Some(claim_what_was_told(
        Finding::of(&RULE, confidence)
            .titled("The next hop took the request and says nothing")
            .explains(case.outer_failure().map(|failure| failure.status))
            .party(
                if case.call.kind == Kind::Registration { Role::Registrar } else { case.role_of_asked(request) },
                Some(server),
            )
            .because(format!(
                "{client} sent the {method} to {server} over {}, and no response came back. {arrived}, the connection \
                 stands, and the service says nothing to it.{}",
                request.path.transport,
                what_was_told(case, request)
            ))
            .fix(format!(
                "Look in the log of {server} for this Call-ID: the {method} has arrived, and what became of it stands \
                 there."
            ))
            .fix(format!(
                "If it is not there, see whether the service hangs, or whether something before it that ends TCP (a \
                 load balancer, an ALG) kept the {method}."
            ))
            .claim_method(request, "the request")
            .claim_absent(
                request.place,
                format!("any response from {server}"),
                format!("the capture goes on for {} after it", length(case.tail(request.place))),
            )
            .refuted(
                "connection-failed",
                "the connection was neither refused nor ended, and TCP did not repeat the request",
            )
            .refuted(
                "capture-one-sided",
                match is_heard {
                    true => format!("other messages from {} are in the capture", server.ip()),
                    false => format!(
                        "what TCP of {} acknowledges is in the capture, and a response takes the same connection (RFC \
                         3261 §18.2.2)",
                        server.ip()
                    ),
                },
            )
            .next_capture(capture_at(server.ip(), request.path)),
        case,
        request,
    ))
}

/// The innermost hop of the last try at which a request got no response.
fn silent_hop<'a>(case: &Case<'a>) -> Option<&'a Transaction> {
    use Outcome::{Busy, Cancelled, Failed, Unanswered, Unfinished};
    if !matches!(case.call.outcome, Unanswered | Unfinished | Cancelled | Failed | Busy) {
        return None;
    }
    let deciding = case.deciding()?;
    // What the one before the silence told its own client may have been made into another code further on.
    let refused = case.failure().filter(|arose| may_hide_silence(arose.status));
    if deciding.in_dialog || (!deciding.finals.is_empty() && refused.is_none()) {
        return None;
    }
    let mut at = refused.map_or(deciding, |arose| case.call.transaction(arose.transaction));
    for _ in 0..32 {
        if !case.has_response(at) && case.call.downstream_of(at.id).next().is_none() {
            return Some(at);
        }
        at = case.call.downstream_of(at.id).find(|inner| inner.finals.is_empty())?;
    }
    None
}

/// What the one who waited told its own client, as a sentence of its own.
fn what_was_told(case: &Case<'_>, request: &Heard) -> String {
    let Some((told, status)) = told(case, request).and_then(|told| Some((told, told.message.status()?))) else {
        return String::new();
    };
    let code = case.told(told).map_or_else(|| status.to_string(), |cause| cause.beside(status));
    let (waited, method) =
        (told.place.time.since(request.place.time), &case.call.transaction(request.transaction).method);
    let (from, to) = (told.path.source, told.path.destination);
    format!(" {} after that {method} {from} answered {to} with {code}.", length(waited))
}

/// Claims that answer.
fn claim_what_was_told(finding: Finding, case: &Case<'_>, request: &Heard) -> Finding {
    match told(case, request) {
        Some(told) => finding.claim_status(told, "the answer that followed"),
        None => finding,
    }
}

/// True if the copies come at the times of timer A or E, whatever T1 is (RFC 3261 §17.1.1.2, §17.1.2.2).
fn is_timed(request: &Heard, method: &Method) -> bool {
    const T2: Duration = Duration::from_secs(4);
    let mut times = vec![request.place.time];
    times.extend(request.repeats.iter().map(|place| place.time));
    let gaps: Vec<Duration> = times.windows(2).map(|pair| pair[1].since(pair[0])).collect();
    gaps.windows(2).all(|pair| {
        let wanted = if *method == Method::Invite { pair[0] * 2 } else { (pair[0] * 2).min(T2.max(pair[0])) };
        pair[1] >= wanted.mul_f64(0.8) && pair[1] <= wanted.mul_f64(1.2)
    })
}

fn explanation(case: &Case<'_>, request: &Heard, method: &Method, confidence: Confidence) -> String {
    let to = request.path.destination;
    let copies = request.repeated + 1;
    let span = length(request.last_place().time.since(request.place.time));
    if confidence == Confidence::Unseen {
        let tail = length(case.tail(request.place));
        return format!(
            "{to} had not answered the {method} ({copies} copies in {span}) when the capture ended, {tail} after the \
             first copy. That is too early to say that it never did."
        );
    }
    let sent = format!(
        "{} sent the {method} {copies} times within {span} to {to}, and nothing came back",
        request.path.source
    );
    let answers = request.path.reversed();
    if let Some(since) = case.silent_since(request) {
        return format!(
            "{sent}: no response and no ICMP error. The last message from {} came {} before, and none came after it: \
             it may be gone, or the way to it or back is broken; from here these cannot be told apart.",
            answers.source.ip(),
            length(since)
        );
    }
    if case.is_visible(answers.source.ip(), answers.destination.ip()) {
        return format!(
            "{sent}: no response and no ICMP error. Other messages from {} came meanwhile or later, so the way back \
             exists: either this message did not arrive, or it was dropped without a word.",
            answers.source.ip()
        );
    }
    if case.is_hop_one_way(request) {
        return format!(
            "{} sent the {method} {copies} times within {span} to {to}, so it took no answer to it. What comes back on \
             this hop is not in the capture: whether {to} received nothing, or answered, cannot be told from here.",
            request.path.source
        );
    }
    format!(
        "{sent}: no response and no ICMP error. Either {to} received nothing, or its answer never came back; from \
         here the two cannot be told apart."
    )
}

fn prove(finding: Finding, case: &Case<'_>, request: &Heard) -> Finding {
    let tail = length(case.tail(request.place));
    let mut finding = finding.claim_method(request, "the first copy of the request");
    if let Some(last) = request.repeats.last() {
        let cseq = request.message.header("CSeq").unwrap_or_default().into_owned();
        finding = finding.claim_at(*last, "sip.CSeq", cseq, "its last copy");
    }
    claim_what_was_told(finding, case, request)
        .claim_absent(
            request.place,
            format!("any response from {}", request.path.destination),
            format!("the capture goes on for {tail} after the first copy"),
        )
        .refuted("destination-unreachable", "no ICMP error quotes this request")
        .refuted(
            "capture-one-sided",
            match case.is_hop_one_way(request) {
                true => "nothing that came back is captured here, but who is answered does not repeat its request",
                false => "no ACK and no request with a To tag shows that it was answered unseen",
            },
        )
        .refuted("capture-duplicated", "the copies are too far apart for copies made by the capture")
}
