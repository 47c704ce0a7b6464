//! The rivals of a cause: which other rules could explain the same code, and the fact for which each does not hold.
//!
//! Rules name the rivals that they weigh themselves. Here stand those that a reader would think of besides, by code,
//! and only where a fact of this very call speaks against them. A rival against which nothing speaks is not named.

use crate::call::{Failure, Heard};
use crate::diagnosis::case::Case;
use crate::diagnosis::finding::{Finding, Refuted};
use crate::diagnosis::offers::audio;
use crate::diagnosis::rules::offer_answer::media_profile_mismatch;
use crate::sip::sdp::Sdp;
use crate::sip::{Method, StatusCode};

/// Rivals that a cause names at most, its own included.
const MOST: usize = 6;

/// Words of a refusal that name a block by the network, in lower case.
const OF_ANALYTICS: &[&str] = &["analytics", "network blocked", "blocked", "spam"];

/// Rules that could explain a code, those that are thought of first at the front.
fn rivals_of(code: u16) -> &'static [&'static str] {
    match code {
        401 | 407 => {
            &["credentials-rejected", "challenge-not-answered", "nonce-never-accepted", "retry-not-renumbered"]
        }
        403 => &["forbidden-after-credentials", "identity-rejected", "caller-identity-refused"],
        404 | 410 | 484 | 604 => {
            &["number-not-routable", "user-unknown", "domain-not-served", "request-uri-without-user", "number-changed"]
        }
        408 => &["ring-timeout", "next-hop-silent", "timeout-behind-proxy", "fork-all-failed"],
        480 => &["callee-did-not-answer", "callee-unreachable", "ring-timeout", "blocked-by-analytics"],
        481 => &["bye-crossed", "replaces-unmatched", "subscription-dead"],
        482 | 483 => &["routing-loop", "hop-limit-too-low", "request-merged"],
        486 | 600 | 603 => &[
            "callee-busy",
            "rejected-by-callee",
            "fork-ended-by-global-failure",
            "blocked-by-analytics",
            "ring-timeout",
        ],
        487 => &[
            "answered-elsewhere",
            "cancelled-with-reason",
            "ended-before-answer",
            "cancel-crossed-answer",
            "ring-timeout",
        ],
        488 | 606 => &[
            "media-profile-mismatch",
            "late-offer-unsupported",
            "address-family-mismatch",
            "bandwidth-insufficient",
            "reinvite-refused",
            "fax-switch-failed",
        ],
        491 | 500 => &["cseq-regressed", "prack-missing", "trunk-congested", "server-overloaded"],
        503 => &["server-overloaded", "trunk-congested", "server-in-maintenance", "destination-unreachable"],
        _ => &[],
    }
}

/// Names, at the finding that explains a failure, the rivals against which a fact speaks.
pub(crate) fn add(case: &Case<'_>, findings: &mut [Finding]) {
    let Some(failure) = case.failure() else { return };
    let found: Vec<String> = findings.iter().map(|finding| finding.rule.to_string()).collect();
    let Some(cause) = findings.first_mut().filter(|first| first.explains) else { return };
    if cause.status != Some(failure.status) {
        return;
    }
    let is_cut = case.call.messages.iter().any(|heard| heard.message.is_cut());
    for rival in rivals_of(failure.status.get()) {
        let is_known = found.iter().any(|rule| rule == rival) || cause.refuted.iter().any(|one| one.rule == *rival);
        if is_known || cause.refuted.len() >= MOST {
            continue;
        }
        let lacked = || against_by_absence(case, failure, rival).filter(|_| !is_cut);
        if let Some(why) = against(case, failure, rival).or_else(lacked) {
            cause.refuted.push(Refuted { rule: (*rival).to_owned(), why: why.into() });
        }
    }
}

/// What the messages show against a rival, if anything does.
fn against(case: &Case<'_>, failure: &Failure, rival: &str) -> Option<String> {
    let request = case.request(failure);
    let invite = request.filter(|heard| heard.message.method() == Some(&Method::Invite));
    let status = failure.status;
    match rival {
        "challenge-not-answered" => {
            let shown = request.is_some_and(has_credentials);
            shown.then(|| "the request that was refused carries credentials".into())
        }
        "retry-not-renumbered" => renumbered(case).then(|| "each try has a higher CSeq than the one before".into()),
        "number-not-routable" => {
            let uri = case.target(failure)?;
            (!uri.user.is_empty() && !uri.is_number()).then(|| "what was called is a name, no number".into())
        }
        "user-unknown" => case.target(failure)?.is_number().then(|| "what was called is a number, no name".into()),
        "domain-not-served" => serves_host(case, failure),
        "request-uri-without-user" => {
            (!case.target(failure)?.user.is_empty()).then(|| "the Request-URI has a user part".into())
        }
        "ring-timeout" | "callee-did-not-answer" | "rejected-by-callee" => case.no_ringing(failure.transaction),
        "callee-unreachable" => case.ringing(failure.transaction).map(|_| "a 180 to 189 came before it".into()),
        "next-hop-silent" => {
            (!is_silent_behind(case, failure)).then(|| format!("the next hop answered, with {status}"))
        }
        "timeout-behind-proxy" => case.arose_here(failure).then(|| "no leg behind the responder was captured".into()),
        "fork-all-failed" | "fork-ended-by-global-failure" => {
            has_one_branch(case).then(|| "no second branch of the call was seen".into())
        }
        "bye-crossed" => {
            let byes = case.call.transactions.iter().filter(|one| one.method == Method::Bye && one.upstream.is_none());
            (byes.count() < 2).then(|| "there are no two BYEs that could have crossed".into())
        }
        "subscription-dead" => {
            let method = &case.call.transaction(failure.transaction).method;
            let subscribes = matches!(method, Method::Subscribe | Method::Notify);
            (!subscribes).then(|| format!("the request is {}, neither SUBSCRIBE nor NOTIFY", method.name()))
        }
        "hop-limit-too-low" => {
            let hops = request?.message.header("Max-Forwards")?.trim().parse::<u32>().ok()?;
            (hops >= 10).then(|| format!("the request came with Max-Forwards {hops}"))
        }
        "request-merged" => {
            (status.get() != 482).then(|| format!("a merged request is refused with 482, not {status}"))
        }
        "ended-before-answer" => {
            let bye = case.call.transactions.iter().any(|one| one.method == Method::Bye);
            (!bye).then(|| "there is no BYE".into())
        }
        "cancel-crossed-answer" => (!case.call.is_answered()).then(|| "no 2xx came to the INVITE".into()),
        "late-offer-unsupported" => offer(invite?).map(|_| "the INVITE carries its offer".into()),
        "reinvite-refused" => {
            let opens = case.call.transaction(failure.transaction).is_initial_invite();
            opens.then(|| "it is the INVITE that opens the call".into())
        }
        "cseq-regressed" => renumbered(case).then(|| "no CSeq is lower than one before".into()),
        "destination-unreachable" => case.call.icmp.is_empty().then(|| "no ICMP error was seen".into()),
        _ => None,
    }
}

/// What the messages lack and a rival would need. Of messages that the capture cut off nobody can say that.
fn against_by_absence(case: &Case<'_>, failure: &Failure, rival: &str) -> Option<String> {
    let (response, request) = (case.response(failure), case.request(failure));
    let invite = request.filter(|heard| heard.message.method() == Some(&Method::Invite));
    let status = failure.status;
    match rival {
        "credentials-rejected" | "forbidden-after-credentials" => {
            no_credentials(case).then(|| "no request of the call carries credentials".into())
        }
        "nonce-never-accepted" => (!was_told_stale(case)).then(|| "no challenge says that a nonce is stale".into()),
        "identity-rejected" | "number-changed-after-signing" => {
            invite?.message.header("Identity").is_none().then(|| "the INVITE carries no Identity header".into())
        }
        "caller-identity-refused" => {
            shows_number(invite?).then(|| "the caller shows a number, and asks for no privacy".into())
        }
        "number-changed" => {
            let says_so = status.get() == 410 || case.q850(response) == Some(22);
            (!says_so).then(|| "neither the code nor a Q.850 cause says that the number has changed".into())
        }
        "callee-busy" => {
            let says_busy = matches!(status.get(), 486 | 600) || case.telling_cause(response) == Some(17);
            (!says_busy).then(|| format!("{status} does not say busy, and there is no Q.850 cause 17"))
        }
        "blocked-by-analytics" => {
            let told = status.get() == 608 || case.says_any(response, OF_ANALYTICS);
            (!told).then(|| "neither its phrase nor a Reason names a block by the network".into())
        }
        "replaces-unmatched" => {
            let replaces = request.is_some_and(|heard| heard.message.header("Replaces").is_some());
            (!replaces).then(|| "the request has no Replaces header".into())
        }
        "routing-loop" => no_loop(request?).then(|| "no host stands twice in the Vias of the request".into()),
        // A proxy may cancel for it without a word.
        "answered-elsewhere" => (ended_silently(case) && !case.came_through_proxy())
            .then(|| "no Reason says that somebody else answered".into()),
        "cancelled-with-reason" => ended_silently(case).then(|| "nothing that ended the call carries a Reason".into()),
        "media-profile-mismatch" => {
            media_profile_mismatch::ruled_out(case, response, audio(offer(invite?)?)?).map(str::to_owned)
        }
        "address-family-mismatch" => by_ip_version_four(case, response, offer(invite?)?),
        "bandwidth-insufficient" => case.warned(response, &[370]).is_none().then(|| "there is no Warning 370".into()),
        "fax-switch-failed" => (!names_fax(offer(invite?)?)).then(|| "no fax (m=image) is offered".into()),
        "prack-missing" => {
            sends_unreliably(case).then(|| "no provisional response had to be acknowledged (no RSeq)".into())
        }
        "trunk-congested" => names_no_lack(case.q850(response)),
        "server-overloaded" => {
            response.message.header("Retry-After").is_none().then(|| "there is no Retry-After".into())
        }
        "server-in-maintenance" => {
            let told = case.says_any(response, &["maintenance", "upgrade", "restart"]);
            (!told).then(|| "neither its phrase nor a Warning names maintenance".into())
        }
        _ => None,
    }
}

/// That the server which refused a request takes others for the same host, or went on with this one.
fn serves_host(case: &Case<'_>, failure: &Failure) -> Option<String> {
    let host = case.target(failure)?.host.to_ascii_lowercase();
    let server = case.response(failure).path.source.ip();
    let is_served = case.surroundings.accepted().hosts(server).any(|known| known == host);
    let went_on = case.provisionals(case.call.transaction(failure.transaction)).any(goes_on);
    is_served.then(|| match went_on {
        true => format!("the same server went on with this request for {host} at first"),
        false => format!("the same server took other requests for {host}"),
    })
}

/// True if the next hop answered for one that was silent behind it: that is the same thing on another hop.
fn is_silent_behind(case: &Case<'_>, failure: &Failure) -> bool {
    case.call.downstream_of(failure.transaction).any(|inner| inner.finals.is_empty())
}

/// True if no fork is seen.
fn has_one_branch(case: &Case<'_>) -> bool {
    case.call.transactions.iter().filter(|one| one.is_initial_invite() && one.upstream.is_some()).count() < 2
}

/// That neither the offer nor the refusal is about IPv6.
fn by_ip_version_four(case: &Case<'_>, response: &Heard, offer: &Sdp) -> Option<String> {
    let has_six = offer.media.iter().any(|media| offer.address_of(media).contains(':'));
    let warned = case.warned(response, &[300, 301, 330]).is_some();
    (!has_six && !warned).then(|| "media are asked for by IPv4, and no Warning names the network".into())
}

/// True if a description has a stream of fax.
fn names_fax(offer: &Sdp) -> bool {
    offer.media.iter().any(|media| media.kind == "image")
}

/// That a cause of Q.850, or that there is none, says nothing of channels.
fn names_no_lack(cause: Option<u32>) -> Option<String> {
    match cause {
        Some(34 | 42 | 44 | 47) => None,
        Some(cause) => Some(format!("its Q.850 cause {cause} names no lack of channels")),
        None => Some("no Q.850 cause names a lack of channels".into()),
    }
}

/// True if no response of the call is reliable (RFC 3262).
fn sends_unreliably(case: &Case<'_>) -> bool {
    !case.call.messages.iter().any(|heard| heard.message.header("RSeq").is_some())
}

/// True if a provisional response says more than that the request arrived.
fn goes_on(heard: &Heard) -> bool {
    heard.message.status().is_some_and(|status| status.get() > 100)
}

fn has_credentials(heard: &Heard) -> bool {
    ["Authorization", "Proxy-Authorization"].iter().any(|name| heard.message.header(name).is_some())
}

fn no_credentials(case: &Case<'_>) -> bool {
    !case.call.messages.iter().any(has_credentials)
}

/// True if a challenge says that a nonce is stale (RFC 7616 §3.3).
fn was_told_stale(case: &Case<'_>) -> bool {
    case.tries().iter().any(|one| one.challenges().iter().any(|challenge| challenge.stale))
}

/// True if there are several tries and each has a higher number than the one before.
fn renumbered(case: &Case<'_>) -> bool {
    let tries = case.tries();
    let rises = |pair: &[crate::diagnosis::Try<'_>]| pair[0].transaction.cseq < pair[1].transaction.cseq;
    tries.len() > 1 && tries.windows(2).all(rises)
}

/// True if the caller shows who calls and does not ask to hide it.
fn shows_number(invite: &Heard) -> bool {
    let from = invite.message.from().map(|from| from.parsed());
    let hides = invite.message.header("Privacy").is_some();
    from.is_some_and(|from| from.is_number() && !from.host.contains("anonymous")) && !hides
}

fn no_loop(request: &Heard) -> bool {
    let vias = request.message.vias();
    let mut hosts: Vec<(String, Option<u16>)> = vias.into_iter().map(|via| (via.host, via.port)).collect();
    let count = hosts.len();
    hosts.sort();
    hosts.dedup();
    hosts.len() == count
}

/// True if no CANCEL and no BYE says why.
fn ended_silently(case: &Case<'_>) -> bool {
    let ends = |heard: &&Heard| matches!(heard.message.method(), Some(Method::Cancel | Method::Bye));
    let mut ending = case.call.messages.iter().filter(ends).peekable();
    let is_487_silent = |heard: &Heard| heard.message.status().is_none_or(|status: StatusCode| status.get() != 487);
    ending.peek().is_some()
        && ending.all(|heard| heard.message.header("Reason").is_none())
        && case.call.messages.iter().all(|heard| is_487_silent(heard) || heard.message.header("Reason").is_none())
}

fn offer(invite: &Heard) -> Option<&Sdp> {
    Sdp::of(&invite.message)
}
