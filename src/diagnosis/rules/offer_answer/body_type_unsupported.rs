use crate::call::Heard;
use crate::diagnosis::rule::rule;
use crate::diagnosis::{Case, Confidence, Finding, Role};

rule! {
    /// The body of the request is of a type that its receiver cannot read.
    ///
    /// ## What it says
    /// The receiver refused the request because of the type, encoding or language of its body, or because it could give
    /// no answer of a type that the caller accepts.
    ///
    /// ## Why it happens
    /// The body is multipart, compressed, encrypted, or carries something (ISUP, XML, a location) that the receiver
    /// does not know.
    ///
    /// ## Evidence
    /// A 415 with the Content-Type of the request, and the receiver's Accept if there is one; or a 406.
    ///
    /// ## How to fix
    /// Send a body of one of the types that Accept names; take extra parts out of a multipart body for this peer.
    ///
    /// ## When it would be wrong
    /// Some gateways answer 415 where 488 is meant. Then Accept names the very type that was sent.
    ///
    /// ## References
    /// RFC 3261 §21.4.13, §8.2.3; RFC 5621 §8.4
    "D9" "body-type-unsupported" needs [406 415], check
}

fn check(case: &Case<'_>) -> Option<Finding> {
    let failure = case.failure_with(&[406, 415])?;
    let (response, request) = (case.response(failure), case.request(failure)?);
    match case.code(failure) {
        406 => Some(no_answer_accepted(request, response)),
        _ => body_refused(request, response),
    }
}

/// A 406: there is no answer of a type that the caller's side reads.
fn no_answer_accepted(request: &Heard, response: &Heard) -> Finding {
    let (confidence, accepts) = match request.message.header("Accept") {
        Some(accept) => (Confidence::Likely, format!("({accept:?})")),
        None if request.message.has_cut_head() => {
            (Confidence::Possible, "(its Accept, if any, is behind the cut)".to_owned())
        }
        None => (Confidence::Possible, "(it has no Accept header, which stands for application/sdp)".to_owned()),
    };
    Finding::of(&RULE, confidence)
        .explains(response.message.status())
        .sender(Role::Uas, response)
        .because(format!(
            "{} answered 406: it has no answer of a type that the request accepts {accepts}.",
            response.path.source
        ))
        .fix("Let the caller's side accept more types, at least application/sdp.")
        .claim_header(request, "Accept", "what the caller's side accepts")
        .claim_status(response, "refused")
}

/// A 415: the receiver does not read the body.
fn body_refused(request: &Heard, response: &Heard) -> Option<Finding> {
    let server = response.path.source;
    let sent = request.message.header("Content-Type").filter(|_| !request.message.body().is_empty())?.into_owned();
    let accept = Accept::of(response, &sent);
    let confidence = if matches!(accept, Accept::ThatType(_)) { Confidence::Likely } else { Confidence::Proven };
    let mut finding = Finding::of(&RULE, confidence)
        .explains(response.message.status())
        .sender(Role::Uas, response)
        .because(format!(
            "{server} answered 415 to the {}, whose body is of type {sent:?}. {}.",
            request.message.method()?,
            accept.told()
        ))
        .fix(match &accept {
            Accept::Others(accept) => format!("Send a body of a type that {server} accepts: {accept}"),
            _ => format!("Look at {server} which body types it is set up for, and what it logs about this body."),
        })
        .claim_header(request, "Content-Type", "the type of the body that was sent")
        .claim_status(response, "refused");
    if sent.trim_start().to_ascii_lowercase().starts_with("multipart/") {
        finding = finding.fix("Send the session description alone to this peer, without the other parts of the body.");
    }
    Some(
        finding
            .claim_header(response, "Accept", "what it accepts")
            .claim_header(request, "Content-Encoding", "the encoding of the body that was sent")
            .refuted("no-common-codec", "415 is about the type of the body, not about codecs")
            .refuted("late-offer-unsupported", "the request carries a body"),
    )
}

/// What the receiver says that it accepts.
enum Accept {
    /// The type that was sent is among it.
    ThatType(String),
    /// Other types.
    Others(String),
    /// What it says may stand behind the cut.
    BehindCut,
    Unsaid,
}

impl Accept {
    fn of(response: &Heard, sent: &str) -> Accept {
        let kind = sent.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        let accepted = response.message.headers("Accept");
        match Some(accepted.join(", ")).filter(|accept| !accept.is_empty()) {
            Some(accept) if accepted.iter().any(|range| covers(range, &kind)) => Accept::ThatType(accept),
            Some(accept) => Accept::Others(accept),
            None if response.message.has_cut_head() => Accept::BehindCut,
            None => Accept::Unsaid,
        }
    }

    fn told(&self) -> String {
        match self {
            Accept::ThatType(accept) => format!(
                "Its Accept header takes that very type ({accept:?}), so it dislikes what is in the body, or its \
                 Content-Encoding, more than the type"
            ),
            Accept::Others(accept) => format!("It accepts {accept:?}"),
            Accept::BehindCut => "What it accepts may stand behind the cut".to_owned(),
            Accept::Unsaid => "It does not say what it accepts".to_owned(),
        }
    }
}

/// True if a media range of Accept takes a type: `application/*` and `*/*` take many, and none at a quality of 0 (RFC
/// 3261 §20.1).
fn covers(range: &str, kind: &str) -> bool {
    let (range, parameters) = range.split_once(';').unwrap_or((range, ""));
    let range = range.trim().to_ascii_lowercase();
    let is_refused = parameters.split(';').any(|one| {
        let value = one.trim().strip_prefix("q=");
        value.and_then(|value| value.trim().parse::<f32>().ok()) == Some(0.0)
    });
    let is_of_group = || range.strip_suffix('*').is_some_and(|group| kind.starts_with(group) || group == "*/");
    !is_refused && (range == kind || is_of_group())
}
