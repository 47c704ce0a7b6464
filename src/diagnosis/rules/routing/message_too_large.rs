use crate::call::Heard;
use crate::diagnosis::rule::rule;
use crate::diagnosis::{Case, Confidence, Finding};

rule! {
    /// The request, or its URI, is larger than the server takes.
    ///
    /// ## What it says
    /// The server refused the request for its size.
    ///
    /// ## Why it happens
    /// Many codecs, candidates or headers, large bodies, or a low limit of the server.
    ///
    /// ## Evidence
    /// 413, 414 or 513, and the size of the request that it answers.
    ///
    /// ## How to fix
    /// Make the request smaller, or raise the server's limit.
    ///
    /// ## When it would be wrong
    /// Some servers send 513 when a buffer of their own is full.
    ///
    /// ## References
    /// RFC 3261 §21.4.11, §21.4.12, §21.5.7
    "E16" "message-too-large" needs [413 414 513], check
}

fn check(case: &Case<'_>) -> Option<Finding> {
    let failure = case.failure_with(&[413, 414, 513])?;
    let (refused, response) = (case.request(failure)?, case.response(failure));
    let server = response.path.source;
    let bytes = refused.message.bytes().len();
    let is_cut = refused.message.is_cut();
    let body = refused.message.body().len();
    // Proxies add no more than a few lines: what is large was so before them. A B2BUA writes the headers of its leg
    // itself.
    let call_id = |heard: &Heard| &case.call.leg(case.call.transaction(heard.transaction).leg).call_id;
    let request = case.first_with(refused, |before| match failure.status.get() {
        414 => before.message.request_uri() == refused.message.request_uri(),
        _ if body > bytes / 2 => before.message.body() == refused.message.body(),
        _ => before.message.bytes().len() >= bytes / 10 * 9 && call_id(before) == call_id(refused),
    });
    let uri = request.message.request_uri()?.into_owned();
    let because = match failure.status.get() {
        414 if is_cut && !refused.message.bytes().contains(&b'\n') => {
            format!("{server} refused the Request-URI, of which {} bytes were captured, as too long (414).", uri.len())
        }
        414 => format!("{server} refused a Request-URI of {} bytes as too long (414).", uri.len()),
        code if is_cut => format!(
            "{server} refused the request as too large ({code}): it has {} bytes, of which {bytes} were captured.",
            bytes.saturating_add(refused.message.missing().unwrap_or_default() as usize)
        ),
        code => format!(
            "{server} refused the request as too large ({code}): it has {bytes} bytes, {body} of them in its body."
        ),
    };
    let mut finding = Finding::of(&RULE, Confidence::Proven)
        .explains(Some(failure.status))
        .sender(case.role_of_sender(request), request)
        .because(because);
    finding = match failure.status.get() {
        414 => finding.fix(format!(
            "Look what makes the Request-URI so long on {}: parameters that pile up, or headers in the URI.",
            request.path.source
        )),
        _ if is_cut => finding.fix(format!(
            "Look what makes the requests of {} so large: a body with many codecs and candidates, or headers such as \
             Record-Route, History-Info and private ones.",
            request.path.source
        )),
        _ if body > bytes / 2 => finding.fix(format!(
            "Let {} offer fewer codecs and candidates: the body makes up most of the request.",
            request.path.source
        )),
        _ => finding.fix(format!(
            "Look which headers of {} are large (Record-Route, History-Info, private ones), and drop what is not \
             needed.",
            request.path.source
        )),
    };
    finding =
        finding.fix(format!("Or raise the limit for messages on {server}.")).claim_request_uri(request, "the request");
    if request.message.header("Content-Length").is_some() {
        finding = finding.claim_header(request, "Content-Length", "the size of its body");
    }
    let finding = finding.claim_status(response, "refused for its size").claim_own_words(case, response);
    Some(finding.refuted("large-request-lost", "the request arrived and was answered"))
}
