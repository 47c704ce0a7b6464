use crate::call::Heard;
use crate::diagnosis::rule::rule;
use crate::diagnosis::{Case, Confidence, Finding, Role, Try};
use crate::sip::{HeaderName, StatusCode};

rule! {
    /// The request came again with credentials, but not as a new request.
    ///
    /// ## What it says
    /// The retry has the CSeq of the first try, so the server may take it for a copy; or it has another Call-ID or From
    /// tag, and nothing but its nonce tells that it belongs to the first try.
    ///
    /// ## Why it happens
    /// A fault of the client, or of a box between that renumbers requests.
    ///
    /// ## Evidence
    /// The request with credentials has a CSeq that is not higher than that of the request that was challenged, or a
    /// Call-ID or From tag of its own.
    ///
    /// ## How to fix
    /// Update the client: the retry has to raise CSeq and to keep Call-ID and From tag.
    ///
    /// ## When it would be wrong
    /// That the retry is not renumbered is seen; that it was refused for that is likely, unless the refusal says so,
    /// as 482 does. A retransmission is no retry. If the retry was accepted, no harm is done. Another Call-ID or From
    /// tag alone is a fact and no cause: such a request is no copy of another (RFC 3261 §8.2.2.2).
    ///
    /// ## References
    /// RFC 3261 §22.2, §8.1.3.5, §8.2.2.2
    "A10" "retry-not-renumbered" needs [SEVERAL CHALLENGE CREDENTIALS], check
}

/// The code with which a server refuses a request that it has under the same CSeq already (RFC 3261 §8.2.2.2).
const MERGED: u16 = 482;
/// Words of a refusal that name the number.
const OF_CSEQ: &[&str] = &["cseq", "out of order", "sequence"];

fn check(case: &Case<'_>) -> Option<Finding> {
    let tries = case.tries();
    let pairs = tries.iter().zip(tries.iter().skip(1));
    let (first, second, what) = pairs
        .rev()
        // Most retries are in order, and of those no credentials need be read.
        .find_map(|(first, second)| {
            let fault = fault(first, second).filter(|_| is_retry(first, second))?;
            Some((first, second, fault))
        })?;
    let answer = second.response;
    let decides = what == Fault::SameCount
        && case.outer_failure().zip(answer).is_some_and(|(failure, answer)| failure.response == answer.id);
    let client = second.request.path.source;
    // That the request is not renumbered is seen; that the server refused it for that is so only where it says so.
    let is_merged = |answer: &Heard| {
        answer.message.status().map(StatusCode::get) == Some(MERGED) && case.words(answer).trim().is_empty()
    };
    let is_sure = !decides || answer.is_some_and(|answer| is_merged(answer) || case.says_any(answer, OF_CSEQ));
    let finding = Finding::of(&RULE, if is_sure { Confidence::Proven } else { Confidence::Likely });
    let finding = match answer.and_then(|answer| answer.message.status()) {
        Some(status) if decides => finding.explains(Some(status)),
        Some(status) => finding.about(status),
        None => return None,
    };
    let value = |one: &Try<'_>| match what {
        Fault::SameCount => one.request.message.header("CSeq").map(|value| value.into_owned()),
        Fault::OtherTag => one.request.message.from().and_then(|from| from.tag().map(str::to_owned)),
        Fault::OtherCallId => one.request.message.header("Call-ID").map(|value| value.into_owned()),
    };
    let field = what.field();
    let finding = match what {
        Fault::SameCount => finding,
        Fault::OtherTag | Fault::OtherCallId => {
            finding.titled(format!("The request came again with credentials, and with another {}.", what.name()))
        }
    };
    Some(
        finding
            .sender(Role::Uac, second.request)
            .because(explanation(what, (first, second), answer.filter(|_| decides)))
            .fix(format!(
                "Update the software of {client}: a retry after 401 or 407 raises CSeq by one and keeps Call-ID and \
                 From tag."
            ))
            .fix("If a box between client and server rewrites requests (ALG), switch that off and try again.")
            .claim(first.request, field, value(first).unwrap_or_default(), "the first try")
            .claim(second.request, field, value(second).unwrap_or_default(), "the try with credentials")
            .claim_status(answer?, "the answer to it"),
    )
}

/// What the retry did; `refusal` is the answer to it that ended the request.
fn explanation(what: Fault, (first, second): (&Try<'_>, &Try<'_>), refusal: Option<&Heard>) -> String {
    let (client, server) = (second.request.path.source, first.request.path.destination);
    match what {
        Fault::SameCount => format!(
            "{client} answered the challenge of {server} with a request that does not raise CSeq, so a server may take \
             it for a copy of the first one{}.",
            match refusal {
                Some(_) => ", and this one refused it",
                None => "; it did not decide how the request ended",
            }
        ),
        Fault::OtherTag | Fault::OtherCallId => format!(
            "{client} answered the challenge of {server} with a request that has a new {}. A retry should keep that of \
             the first try; that the server minded it nothing shows.",
            what.name()
        ),
    }
}

/// What is wrong with a retry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    /// CSeq is not higher than that of the first try (RFC 3261 §22.2).
    SameCount,
    /// The From tag is another one (RFC 3261 §8.1.3.5).
    OtherTag,
    /// The Call-ID is another one (RFC 3261 §8.1.3.5).
    OtherCallId,
}

impl Fault {
    /// The field that shows it.
    fn field(self) -> &'static str {
        match self {
            Fault::SameCount => "sip.CSeq",
            Fault::OtherTag => "sip.from.tag",
            Fault::OtherCallId => "sip.Call-ID",
        }
    }

    /// What it is about, for a sentence.
    fn name(self) -> &'static str {
        match self {
            Fault::SameCount => "CSeq",
            Fault::OtherTag => "From tag",
            Fault::OtherCallId => "Call-ID",
        }
    }
}

fn is_retry(first: &Try<'_>, second: &Try<'_>) -> bool {
    first.is_challenged()
        && first.response.is_some_and(|response| response.id < second.request.id)
        && second.has_nonce_of(first)
}

fn fault(first: &Try<'_>, second: &Try<'_>) -> Option<Fault> {
    // CSeq counts within one Call-ID.
    if first.transaction.leg != second.transaction.leg {
        return Some(Fault::OtherCallId);
    }
    if second.transaction.cseq <= first.transaction.cseq {
        return Some(Fault::SameCount);
    }
    let [one, other] = [first, second].map(|one| one.request.message.header_bytes(HeaderName::From));
    if one == other {
        return None;
    }
    let tag = |one: &Try<'_>| one.request.message.from().and_then(|from| from.tag().map(str::to_owned));
    let is_cut = first.request.message.is_cut() || second.request.message.is_cut();
    match (tag(first), tag(second)) {
        (one, other) if one == other => None,
        // Of a message that ends in its tag only the beginning is known.
        (Some(one), Some(other)) if is_cut && (one.starts_with(&other) || other.starts_with(&one)) => None,
        (None, _) | (_, None) if is_cut => None,
        _ => Some(Fault::OtherTag),
    }
}
