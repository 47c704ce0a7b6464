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
    let response = case.response(failure);
    let request = case.request(failure)?;
    let server = response.path.source;
    let code = failure.status;
    if code.get() == 406 {
        let (confidence, accepts) = match request.message.header("Accept") {
            Some(accept) => (Confidence::Likely, format!("({accept:?})")),
            None if request.message.has_cut_head() => {
                (Confidence::Possible, "(its Accept, if any, is behind the cut)".to_owned())
            }
            None => (Confidence::Possible, "(it has no Accept header, which stands for application/sdp)".to_owned()),
        };
        return Some(
            Finding::of(&RULE, confidence)
                .explains(Some(code))
                .sender(Role::Uas, response)
                .because(format!(
                    "{server} answered 406: it has no answer of a type that the request accepts {accepts}."
                ))
                .fix("Let the caller's side accept more types, at least application/sdp.")
                .claim_header(request, "Accept", "what the caller's side accepts")
                .claim_status(response, "refused"),
        );
    }
    let sent = request.message.header("Content-Type").filter(|_| !request.message.body().is_empty())?.into_owned();
    let accept = response.message.header("Accept").map(|value| value.into_owned());
    let lists_it = accept.as_deref().is_some_and(|accept| {
        let kind = sent.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        accept.to_ascii_lowercase().contains(&kind)
    });
    let words = match &accept {
        Some(accept) if lists_it => format!(
            "Its Accept header names that very type ({accept:?}), so it dislikes what is in the body, or its \
             Content-Encoding, more than the type"
        ),
        Some(accept) => format!("It accepts {accept:?}"),
        None if response.message.has_cut_head() => "What it accepts may stand behind the cut".to_owned(),
        None => "It does not say what it accepts".to_owned(),
    };
    let confidence = if lists_it { Confidence::Likely } else { Confidence::Proven };
    let mut finding = Finding::of(&RULE, confidence)
        .explains(Some(code))
        .sender(Role::Uas, response)
        .because(format!(
            "{server} answered 415 to the {}, whose body is of type {sent:?}. {words}.",
            request.message.method()?
        ))
        .fix(match &accept {
            Some(accept) if !lists_it => format!("Send a body of a type that {server} accepts: {accept}"),
            _ => format!("Look at {server} which body types it is set up for, and what it logs about this body."),
        })
        .claim_header(request, "Content-Type", "the type of the body that was sent")
        .claim_status(response, "refused");
    if sent.trim_start().to_ascii_lowercase().starts_with("multipart/") {
        finding = finding.fix("Send the session description alone to this peer, without the other parts of the body.");
    }
    if accept.is_some() {
        finding = finding.claim_header(response, "Accept", "what it accepts");
    }
    if request.message.header("Content-Encoding").is_some() {
        finding = finding.claim_header(request, "Content-Encoding", "the encoding of the body that was sent");
    }
    Some(
        finding
            .refuted("no-common-codec", "415 is about the type of the body, not about codecs")
            .refuted("late-offer-unsupported", "the request carries a body"),
    )
}
