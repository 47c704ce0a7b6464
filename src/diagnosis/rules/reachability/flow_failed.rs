use crate::diagnosis::rule::rule;
use crate::diagnosis::{Case, Confidence, Finding, Role};

rule! {
    /// The connection over which the device registered is gone, or the way to it does not support outbound.
    ///
    /// ## What it says
    /// A device behind a NAT is reached over the connection that it opened when it registered. That connection is gone
    /// (430), or the first proxy cannot keep one (439).
    ///
    /// ## Why it happens
    /// The device lost its network, a NAT or firewall forgot the connection, the edge proxy was restarted. With 439 the
    /// first hop does not know the outbound extension.
    ///
    /// ## Evidence
    /// The code itself; `reg-id`, `ob` or a Path show that outbound was asked for.
    ///
    /// ## How to fix
    /// Let the device register anew, send keep-alives more often, and keep two registrations (`reg-id` 1 and 2). For 439,
    /// enable outbound at the first proxy, or switch it off at the device.
    ///
    /// ## When it would be wrong
    /// Never for these codes: they name the fault.
    ///
    /// ## References
    /// RFC 5626 §5.3, §11.5, §11.6, §4.4
    "B15" "flow-failed" needs [430 439], check
}

fn check(case: &Case<'_>) -> Option<Finding> {
    let failure = case.failure_with(&[430, 439])?;
    let (request, response) = (case.request(failure)?, case.response(failure));
    let server = response.path.source;
    let is_gone = failure.status.get() == 430;
    let because = match is_gone {
        true => format!(
            "{server} answered 430: the connection over which {} registered is gone, and with it the way to the device.",
            case.callee(failure)
        ),
        false => format!(
            "{server} answered 439: the device asked for a registration that uses its own connection (outbound), and the \
             first proxy on its way does not support that."
        ),
    };
    let finding = Finding::of(&RULE, Confidence::Proven)
        .explains(Some(failure.status))
        .sender(if is_gone { Role::Proxy } else { Role::Uac }, response)
        .because(because);
    let finding = match is_gone {
        true => finding
            .fix("Let the device register anew; shorten its keep-alive interval (CRLF or STUN, RFC 5626 §4.4).")
            .fix("Let it keep two connections, with reg-id 1 and 2, to two edge proxies."),
        false => finding
            .fix("Enable outbound (Path, RFC 5626) at the first proxy, or let the device register without `reg-id`."),
    };
    Some(
        finding
            .claim_request_uri(request, if is_gone { "the binding that was asked for" } else { "the request" })
            .claim_status(response, "the flow has failed")
            .claim_header(request, "Route", "the flow that it was sent to")
            .refuted("callee-unreachable", "the code names the connection, not the callee"),
    )
}
