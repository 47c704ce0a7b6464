use crate::call::Check;
use crate::diagnosis::media::Talk;
use crate::diagnosis::rule::rule;
use crate::diagnosis::{Case, Confidence, Finding, Role, Severity};
use crate::sip::sdp::Sdp;

rule! {
    /// ICE, STUN or TURN failed.
    ///
    /// ## What it says
    /// The two sides could not find a way for their media, or a TURN server refused to relay them.
    ///
    /// ## Why it happens
    /// Both think that they lead (role conflict), the credentials for TURN are wrong or have run out, an allocation has
    /// lapsed, or no pair of addresses lets packets through.
    ///
    /// ## Evidence
    /// A STUN error response between the media addresses of the call or of their hosts; or connectivity checks without any
    /// response, in a call that has no media both ways.
    ///
    /// ## How to fix
    /// 487: let one side be controlled. 401, 438, 441: renew the credentials. 437: allocate anew. No response: add a TURN
    /// server that both can reach.
    ///
    /// ## When it would be wrong
    /// A first 401 of a TURN server asks for credentials and is normal; so are checks of pairs that cannot work, if another
    /// pair does.
    ///
    /// ## References
    /// RFC 8445 §7.3.1.1; RFC 8489 §14.8; RFC 8656 §5
    "H10" "ice-failed" needs [BODY CHECKS], check
}

/// Checks without an answer that show that a pair does not work.
const ENOUGH: u64 = 3;
/// A challenge, and a nonce to be renewed: normal steps if they succeed afterwards.
const ASKS: [u16; 2] = [401, 438];

fn check(case: &Case<'_>) -> Option<Finding> {
    let of_call: Vec<&Check> = checks(case);
    let refused = of_call.iter().find_map(|check| {
        let (code, method, place) =
            check.errors.iter().find(|(code, ..)| !ASKS.contains(code) || check.successes == 0)?;
        Some((*check, *code, *method, *place))
    });
    if let Some((check, code, method, place)) = refused {
        let meaning = match code {
            487 => "both sides think that they lead (role conflict)",
            401 | 438 | 441 => "the credentials are missing, wrong, or have run out",
            437 => "the allocation does not exist any more",
            486 | 508 => "the server has no room for one more allocation",
            403 => "the server forbids it",
            _ => "the request was refused",
        };
        let kind = if method == 1 { "a connectivity check" } else { "a request to a TURN server" };
        return Some(
            Finding::of(&RULE, Confidence::Proven)
                .severity(Severity::Warning)
                .party(Role::Uac, Some(check.path.source))
                .because(format!(
                    "{} answered {kind} of {} with the STUN error {code}: {meaning}.",
                    check.path.destination, check.path.source
                ))
                .fix(match code {
                    487 => "Let the side that answers change its role, as RFC 8445 asks; look for two that both offer.",
                    401 | 438 | 441 => "Give the client valid credentials for the TURN server, and renew them in time.",
                    _ => "Look at the log of the server for this request.",
                })
                .claim_at(place, "stun.att.error", (code % 100).to_string(), format!("the number of the error {code}")),
        );
    }
    let silent = of_call.iter().find(|check| check.requests >= ENOUGH)?;
    let talk = case.talk();
    let flows = talk.as_ref().is_some_and(|talk: &Talk<'_>| talk.caller.packets() > 0 && talk.callee.packets() > 0);
    let uses_ice = case.call.messages.iter().filter_map(|heard| Sdp::of(&heard.message)).any(|sdp| {
        sdp.media.iter().any(|media| media.attribute("candidate").next().is_some())
    });
    let any_success = of_call.iter().any(|check| check.successes > 0);
    if flows || any_success || !uses_ice {
        return None;
    }
    Some(
        Finding::of(&RULE, Confidence::Likely)
            .severity(Severity::Warning)
            .party(Role::Network, Some(silent.path.destination))
            .because(format!(
                "None of the {} connectivity checks from {} to {} was answered, nor any other of this call: no way was found \
                 for the media.",
                silent.requests, silent.path.source, silent.path.destination
            ))
            .fix("Give both sides a TURN server that they can reach; look at the firewalls between them.")
            .claim_at(silent.first, "stun.type.method", "0x0001", "the first connectivity check")
            .claim_absent(silent.last, "any STUN response", "none of the checks was answered"),
    )
}

/// STUN between the hosts of the call's media, while the call lasted.
fn checks<'a>(case: &Case<'a>) -> Vec<&'a Check> {
    let all = case.surroundings.media().checks();
    if all.is_empty() {
        return Vec::new();
    }
    let mut hosts: Vec<std::net::IpAddr> = Vec::new();
    for sdp in case.call.messages.iter().filter_map(|heard| Sdp::of(&heard.message)) {
        hosts.extend(sdp.media.iter().filter_map(|media| sdp.address_of(media).parse::<std::net::IpAddr>().ok()));
        let candidates = sdp.media.iter().flat_map(|media| media.attribute("candidate"));
        hosts.extend(candidates.filter_map(|value| value.split_ascii_whitespace().nth(4)?.parse::<std::net::IpAddr>().ok()));
    }
    let (from, to) = (case.call.started(), case.call.ended());
    all.iter()
        .filter(|check| hosts.contains(&check.path.source.ip()) && check.first.time <= to && from <= check.last.time)
        .collect()
}
