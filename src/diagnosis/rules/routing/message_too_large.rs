use std::net::SocketAddr;

use crate::call::{Failure, Heard};
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
    /// Some servers send 513 when a buffer of their own is full: where their words say so, it is likely, and theirs.
    ///
    /// ## References
    /// RFC 3261 §21.4.11, §21.4.12, §21.5.7
    "E16" "message-too-large" needs [413 414 513], check
}

/// A Request-URI of fewer bytes is not long for any server.
const SHORT: usize = 64;

fn check(case: &Case<'_>) -> Option<Finding> {
    let failure = case.failure_with(&[413, 414, 513])?;
    let (refused, response) = (case.request(failure)?, case.response(failure));
    let large = Large { code: case.code(failure), refused };
    let request = large.as_written(case);
    let uri = request.message.request_uri()?.into_owned();
    let server = response.path.source;
    let is_short = large.code == 414 && uri.len() < SHORT && !request.message.is_cut();
    if is_short || case.says_any(response, &["buffer"]) {
        return Some(of_server(case, failure, &large, response));
    }
    let mut finding = Finding::of(&RULE, Confidence::Proven)
        .explains(Some(failure.status))
        .sender(case.role_of_sender(request), request)
        .because(format!("{server} {}", large.explanation(&uri)))
        .fix(large.what_to_look_at(request.path.source))
        .fix(format!("Or raise the limit for messages on {server}."))
        .claim_request_uri(request, "the request");
    if request.message.header("Content-Length").is_some() {
        finding = finding.claim_header(request, "Content-Length", "the size of its body");
    }
    let finding = finding.claim_status(response, "refused for its size").claim_own_words(case, response);
    Some(finding.refuted("large-request-lost", "the request arrived and was answered"))
}

/// The server names a buffer of its own, or takes a short URI for too long: what is short is short there.
fn of_server(case: &Case<'_>, failure: &Failure, large: &Large<'_>, response: &Heard) -> Finding {
    let (server, bytes) = (response.path.source, large.bytes());
    Finding::of(&RULE, Confidence::Likely)
        .titled("The server has no room for a request that is not large")
        .explains(Some(failure.status))
        .sender(case.role_of_responder(response), response)
        .because(format!(
            "{server} refused the request as too large ({}), and it has {bytes} bytes{}: what is short is a buffer \
             or a limit of {server}.",
            large.code,
            case.said_beside_code(response)
        ))
        .fix(format!("Look on {server} for its limit of messages and its buffers (RFC 3261 §18.1.1: 65535 bytes)."))
        .claim_request_uri(large.refused, "the request")
        .claim_status(response, "refused for its size")
        .claim_own_words(case, response)
        .refuted("large-request-lost", "the request arrived and was answered")
}

/// A request that was refused for its size, by this code.
struct Large<'a> {
    code: u16,
    refused: &'a Heard,
}

impl<'a> Large<'a> {
    fn bytes(&self) -> usize {
        self.refused.message.bytes().len()
    }

    fn body(&self) -> usize {
        self.refused.message.body().len()
    }

    /// The request on the hop on which it became so large. Proxies add no more than a few lines: what is large was so
    /// before them. A B2BUA writes the headers of its leg itself.
    fn as_written(&self, case: &Case<'a>) -> &'a Heard {
        let refused = self.refused;
        let call_id = |heard: &Heard| &case.call.leg(case.call.transaction(heard.transaction).leg).call_id;
        case.first_with(refused, |before| match self.code {
            414 => before.message.request_uri() == refused.message.request_uri(),
            _ if self.body() > self.bytes() / 2 => before.message.body() == refused.message.body(),
            _ => before.message.bytes().len() >= self.bytes() / 10 * 9 && call_id(before) == call_id(refused),
        })
    }

    /// What the server did.
    fn explanation(&self, uri: &str) -> String {
        let (message, bytes) = (&self.refused.message, self.bytes());
        match self.code {
            414 if message.is_cut() && !message.bytes().contains(&b'\n') => {
                format!("refused the Request-URI, of which {} bytes were captured, as too long (414).", uri.len())
            }
            414 => format!("refused a Request-URI of {} bytes as too long (414).", uri.len()),
            code if message.is_cut() => format!(
                "refused the request as too large ({code}): it has {} bytes, of which {bytes} were captured.",
                bytes.saturating_add(message.missing().unwrap_or_default() as usize)
            ),
            code => format!(
                "refused the request as too large ({code}): it has {bytes} bytes, {} of them in its body.",
                self.body()
            ),
        }
    }

    /// Where its sender should save bytes.
    fn what_to_look_at(&self, sender: SocketAddr) -> String {
        match self.code {
            414 => format!(
                "Look what makes the Request-URI so long on {sender}: parameters that pile up, or headers in the URI."
            ),
            _ if self.refused.message.is_cut() => format!(
                "Look what makes the requests of {sender} so large: a body with many codecs and candidates, or \
                 headers such as Record-Route, History-Info and private ones."
            ),
            _ if self.body() > self.bytes() / 2 => {
                format!("Let {sender} offer fewer codecs and candidates: the body makes up most of the request.")
            }
            _ => format!(
                "Look which headers of {sender} are large (Record-Route, History-Info, private ones), and drop what \
                 is not needed."
            ),
        }
    }
}
