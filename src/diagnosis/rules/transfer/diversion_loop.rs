use crate::call::Heard;
use crate::diagnosis::rule::rule;
use crate::diagnosis::words::list;
use crate::diagnosis::{Case, Confidence, Finding, Role};
use crate::sip::{Method, NameAddr, Uri};

rule! {
    /// The call was forwarded in a circle.
    ///
    /// ## What it says
    /// The call was diverted from one number to the next, and came back to one where it had been before.
    ///
    /// ## Why it happens
    /// Two users forward their calls to each other, or a forwarding leads back into the same group.
    ///
    /// ## Evidence
    /// A Diversion or History-Info chain that names one target twice (one user at one host), or that already names the
    /// target of the request; and a call that failed. Or more forwardings than an honest call has, by the counters of
    /// Diversion. Or legs with a Diversion or History-Info that lead to one target at one server again.
    ///
    /// ## How to fix
    /// Break the chain: switch one of the forwardings off, or limit the number of diversions at the server.
    ///
    /// ## When it would be wrong
    /// History-Info names each retargeting, so an entry and its copy with a `reason` may be one step. The same user at
    /// another host is no circle: so a mailbox is called. It is one only if this call came to the user at that host
    /// before.
    ///
    /// ## References
    /// RFC 5806 §5; RFC 7044 §5, §10.3
    "G6" "diversion-loop" needs [REFUSED DIVERTED], check
}

/// Codes of a call that ran in circles until something stopped it.
const STOPPED: [u16; 11] = [404, 408, 480, 482, 483, 486, 487, 500, 503, 600, 603];

/// Codes of a call that had no hop, or no forwarding, left.
const TOO_LONG: [u16; 3] = [480, 482, 483];

/// More forwardings than networks allow: ISUP stops after five (ITU-T Q.732.2).
const MANY: u32 = 6;

fn check(case: &Case<'_>) -> Option<Finding> {
    in_circle(case).or_else(|| counted(case)).or_else(|| by_legs(case))
}

/// No target comes twice, but Diversion counts more forwardings than an honest call has (the `counter` of RFC 5806).
fn counted(case: &Case<'_>) -> Option<Finding> {
    let failure = case.failure_with(&TOO_LONG)?;
    let response = case.response(failure);
    let request = case.request(failure)?;
    let values = request.message.headers("Diversion");
    let count = values.iter().map(|value| counter(value)).sum::<u32>();
    if count < MANY {
        return None;
    }
    let finding = Finding::of(&RULE, Confidence::Likely);
    Some(
        claim_lines(finding, request, "Diversion", "the forwardings and their number")
            .explains(Some(failure.status))
            .sender(Role::Proxy, request)
            .because(format!(
                "The call was forwarded {count} times, as Diversion counts, before it ended with {}: more than an \
                 honest chain of forwardings has, so it runs in a circle.",
                failure.status
            ))
            .fix("Look at the forwardings of the targets that Diversion names, and switch off the one that leads back.")
            .fix("Limit the number of diversions at the server that forwards.")
            .claim_status(response, "how it ended"),
    )
}

/// Lines of the chain that are claimed.
const MOST_LINES: usize = 4;

/// With the lines of the chain as claims: each hop adds one of its own, or all stand in one.
fn claim_lines(finding: Finding, request: &Heard, header: &str, says: &str) -> Finding {
    let lines = request.message.header_lines(header).take(MOST_LINES);
    lines.fold(finding, |finding, line| finding.claim_header_with(request, header, &line, says))
}

/// How many forwardings an entry of Diversion stands for: one, if it does not say.
fn counter(value: &str) -> u32 {
    let parameters = value.rsplit_once('>').map_or(value, |(_, parameters)| parameters);
    let said = parameters.split(';').filter_map(|parameter| parameter.split_once('=')).find_map(|(name, number)| {
        name.trim().eq_ignore_ascii_case("counter").then(|| number.trim().trim_matches('"').parse().ok()).flatten()
    });
    said.unwrap_or(1).clamp(1, 999)
}

fn in_circle(case: &Case<'_>) -> Option<Finding> {
    let failure = case.failure_with(&STOPPED)?;
    let response = case.response(failure);
    let (request, header, chain, again) = circle(case)?;
    let finding = Finding::of(&RULE, Confidence::Proven);
    Some(
        claim_lines(finding, request, header, "the way that the call has taken")
            .explains(Some(failure.status))
            .sender(Role::Proxy, request)
            .because(format!(
                "The call was forwarded in a circle: {header} names {} and it comes to {again} again. It ended with \
                 {}.",
                list(&chain),
                failure.status
            ))
            .fix(format!("Look at the forwardings of {}: one of them leads back. Switch it off.", list(&chain)))
            .fix("Limit the number of diversions at the server that forwards.")
            .claim_request_uri(request, "where it goes next")
            .claim_status(response, "how it ended")
            .refuted("hop-limit-too-low", "the same targets come again"),
    )
}

/// No chain names a target twice, but the legs of the call lead to one again: a server that writes only the last
/// forwarding into Diversion forgets the ones before.
fn by_legs(case: &Case<'_>) -> Option<Finding> {
    let failure = case.failure_with(&STOPPED)?;
    let asked = case.with_upstream(failure.transaction).filter_map(|known| case.call.request_of(known));
    let mut way: Vec<&Heard> = asked.collect();
    way.sort_by_key(|request| request.place);
    let is_diverted =
        |request: &Heard| ["Diversion", "History-Info"].iter().any(|name| request.message.header(name).is_some());
    let comes_back = |before: &Heard, request: &Heard| {
        let targets = before.message.target().zip(request.message.target());
        before.path.destination == request.path.destination && targets.is_some_and(|(one, other)| is_same(one, other))
    };
    let (before, again) = way.iter().enumerate().find_map(|(at, request)| {
        let before = way.iter().take(at).find(|before| comes_back(before, request))?;
        is_diverted(request).then_some((*before, *request))
    })?;
    let target = again.message.target()?;
    let round = way.iter().filter(|one| (before.place..again.place).contains(&one.place));
    let users = once(round.filter_map(|one| one.message.target().map(named)));
    let finding = Finding::of(&RULE, Confidence::Likely);
    Some(
        finding
            .explains(Some(failure.status))
            .sender(Role::Proxy, again)
            .because(format!(
                "The call was forwarded in a circle: it went to {}, and came to {} at {} again. It ended with {}.",
                list(&users),
                named(target),
                again.path.destination,
                failure.status
            ))
            .fix(format!("Look at the forwardings of {}: one of them leads back. Switch it off.", list(&users)))
            .fix("Limit the number of diversions at the server that forwards.")
            .claim_request_uri(before, "where it came first")
            .claim_request_uri(again, "where it comes again")
            .claim_header(again, "Diversion", "it was forwarded")
            .claim_status(case.response(failure), "how it ended")
            .refuted("hop-limit-too-low", "the same targets come again"),
    )
}

/// Each name once, in order.
fn once(names: impl Iterator<Item = String>) -> Vec<String> {
    let mut known: Vec<String> = Vec::new();
    for name in names {
        if !known.contains(&name) {
            known.push(name);
        }
    }
    known
}

/// True if an INVITE names a chain of forwardings that comes to a target again.
pub(in crate::diagnosis::rules) fn is_shown(case: &Case<'_>) -> bool {
    circle(case).is_some() || counted(case).is_some()
}

/// The last INVITE whose chain comes to a target again: with its header, the chain and that target.
fn circle<'a>(case: &Case<'a>) -> Option<(&'a Heard, &'static str, Vec<String>, String)> {
    let invites = case.call.messages.iter().rev().filter(|heard| heard.message.method() == Some(&Method::Invite));
    invites.into_iter().find_map(|request| {
        ["Diversion", "History-Info"].into_iter().find_map(|header| {
            request.message.header(header)?;
            let chain = Some(chain(request, header)).filter(|chain| !chain.is_empty())?;
            let again = repeated(case, &chain, header, request)?;
            Some((request, header, once(chain.iter().map(named)), again))
        })
    })
}

/// The targets of a chain, the first one first.
fn chain(request: &Heard, header: &str) -> Vec<Uri> {
    let mut chain: Vec<Uri> =
        request.message.headers(header).iter().map(|value| NameAddr::read(value).parsed()).collect();
    if header == "Diversion" {
        chain.reverse();
    }
    chain
}

/// A target as it is told: the user, or the host where there is none.
fn named(uri: &Uri) -> String {
    if uri.user.is_empty() { uri.host.clone() } else { uri.plain_user().into_owned() }
}

/// True for one user at one host: the same user at another host is another target, as a mailbox on its server is.
fn is_same(one: &Uri, other: &Uri) -> bool {
    one.plain_user() == other.plain_user() && one.host.eq_ignore_ascii_case(&other.host)
}

/// The target that a chain comes to again.
fn repeated(case: &Case<'_>, chain: &[Uri], header: &str, request: &Heard) -> Option<String> {
    // An entry and its copy with another address stand side by side in History-Info.
    let left_between = |before: usize, at: usize| chain[before..at].iter().any(|step| named(step) != named(&chain[at]));
    let comes_again = |at: usize| (0..at).any(|before| is_same(&chain[before], &chain[at]) && left_between(before, at));
    let twice = (0..chain.len()).find(|at| comes_again(*at)).map(|at| named(&chain[at]));
    let next = request.message.target()?;
    let comes_back =
        || header == "Diversion" && chain.iter().any(|step| is_same(step, next) || was_asked(case, request, step));
    twice.or_else(|| comes_back().then(|| named(next)))
}

/// True if a request is for a user who diverted it, under the address at which this call came to that user first.
fn was_asked(case: &Case<'_>, request: &Heard, diverted_by: &Uri) -> bool {
    let next = request.message.target();
    let is_first = |before: &&Heard| {
        let of_user = |step: &Uri| step.plain_user() == diverted_by.plain_user();
        before.place < request.place
            && before.message.method() == Some(&Method::Invite)
            && !chain(before, "Diversion").iter().any(of_user)
            && before.message.target().zip(next).is_some_and(|(before, next)| of_user(before) && is_same(before, next))
    };
    case.call.messages.iter().any(|before| is_first(&before))
}
