use crate::diagnosis::rule::rule;
use crate::diagnosis::{Case, Confidence, Finding};

rule! {
    /// The server is overloaded, and says for how long.
    ///
    /// ## What it says
    /// The server refused new work and named the time at which to come back.
    ///
    /// ## Why it happens
    /// More calls arrive than it may or can carry, or it is being taken out of service.
    ///
    /// ## Evidence
    /// A 503 that carries `Retry-After`, and no Q.850 cause that names something else.
    ///
    /// ## How to fix
    /// Let the caller wait that long, or send it to the next server. If it recurs, look at the server's limits.
    ///
    /// ## When it would be wrong
    /// A gateway that has lost its trunk may answer the same with a fixed `Retry-After`; then `Reason` or `Warning`
    /// tells. Within the time that an earlier 503 asked for, the fault is the caller's: `overload-backoff-ignored`.
    ///
    /// ## References
    /// RFC 3261 §20.33, §21.5.4; RFC 3263 §4.3
    "E10" "server-overloaded", check
}

fn check(case: &Case<'_>) -> Option<Finding> {
    let failure = case.failure_with(&[503])?;
    let response = case.response(failure);
    let retry_after = response.message.header("Retry-After")?;
    if case.q850(response).is_some() {
        return None;
    }
    let (server, client) = (response.path.source.ip(), response.path.destination.ip());
    if case.surroundings.back_off_in_force(server, client, case.request(failure)?.place.time).is_some() {
        return None;
    }
    let because = format!("The server refused the request as overloaded and asks to be left alone for {retry_after} s.");
    Some(
        Finding::of(&RULE, Confidence::Proven)
            .explains(Some(failure.status))
            .sender(case.role_of_responder(response), response)
            .because(because)
            .fix(format!("Wait {retry_after} s before the next request to this server, or send it to the next server."))
            .fix("If it recurs, compare the server's limits (calls per second, open calls) with the traffic.")
            .claim_status(response, "the server refuses")
            .claim_header(response, "Retry-After", "the server names the time itself")
            .refuted("trunk-congested", "no Reason header names a Q.850 cause")
            .refuted("overload-backoff-ignored", "no earlier 503 of this server was in force for this client"),
    )
}
