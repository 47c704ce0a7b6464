use std::time::Duration;

use crate::call::Kind;
use crate::diagnosis::rule::rule;
use crate::diagnosis::rules::routing::number_not_routable::way_to_service;
use crate::diagnosis::words::length;
use crate::diagnosis::{Case, Confidence, Finding};

rule! {
    /// A server answered with a timeout of its own.
    ///
    /// ## What it says
    /// The 408 came from this server, and what it waited for is not in the capture.
    ///
    /// ## Why it happens
    /// Something behind the server did not answer in time: a device whose registration is stale, a database, another
    /// server. Or a gateway translated the Q.850 cause 18 or 102.
    ///
    /// ## Evidence
    /// 408 on the wire, nothing rang, and no hop behind the server was captured.
    ///
    /// ## How to fix
    /// Look behind the server: at its log, or with a capture there.
    ///
    /// ## When it would be wrong
    /// If the hop behind the server is visible and silent: `timeout-behind-proxy`. If 100 came and then nothing for
    /// long: `silent-downstream`.
    ///
    /// ## References
    /// RFC 3261 §21.4.9, §16.7; RFC 4320
    "E6" "timeout-at-responder" needs [408], check
}

/// From this wait after a 100 on, the silence is what counts.
const SILENCE: Duration = Duration::from_secs(10);

fn check(case: &Case<'_>) -> Option<Finding> {
    let failure = case.failure_with(&[408])?;
    let response = case.response(failure);
    if case.alerting_or_progress(failure.transaction).is_some()
        || !case.arose_here(failure)
        || case.call.kind == Kind::Options
    {
        return None;
    }
    let transaction = case.call.transaction(failure.transaction);
    let request = case.request(failure)?;
    let waited = response.place.time.since(request.place.time);
    if !transaction.provisionals.is_empty() && waited >= SILENCE {
        return None;
    }
    if case.telling_cause(response).is_some() || case.says_caller_unregistered(response) {
        return None;
    }
    let server = response.path.source;
    let service = case.service_asked_for(failure);
    let quotation = case.said_beside_code(response);
    let because = format!(
        "{server} answered the {} with 408 after {}{quotation}: it gave up waiting for something behind it, which \
         this capture does not hold.",
        transaction.method.name(),
        length(waited)
    );
    Some(
        Finding::of(&RULE, Confidence::Likely)
            .explains(Some(failure.status))
            .sender(case.role_of_responder(response), response)
            .because(because)
            .fix(format!("Look in the log of {server} for the Call-ID: which host or device did not answer?"))
            .fix(match (service, case.call.kind) {
                (Some(name), _) => way_to_service(server, &name),
                (None, Kind::Registration) => format!(
                    "Look at the registrar, or the database of users, that {server} asks: is it there, and fast?"
                ),
                (None, _) => format!(
                    "If the callee is a device that registers, look whether its registration on {server} is stale \
                     (device off, address changed)."
                ),
            })
            .fix(format!("Capture on {server} towards what is behind it, and call again."))
            .claim_method(request, "the request")
            .claim_status(response, "the server gives up")
            .claim_own_words(case, response)
            .refuted("timeout-behind-proxy", "no hop behind this server was captured")
            .refuted("ring-timeout", "nothing rang")
            .next_capture(format!(
                "tcpdump -n -s 0 -w behind.pcap 'udp port 5060 or tcp port 5060 or icmp'   # on {}",
                server.ip()
            )),
    )
}
