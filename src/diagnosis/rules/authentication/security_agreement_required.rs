use crate::diagnosis::rule::rule;
use crate::diagnosis::{Case, Confidence, Finding};

rule! {
    /// The server demands a security agreement that the client does not make.
    ///
    /// ## What it says
    /// The network lets a device in only over an agreed protection, as IMS does with IPsec.
    ///
    /// ## Why it happens
    /// The device does not know the procedure, or has it switched off, or offers other mechanisms.
    ///
    /// ## Evidence
    /// 494, or 421 with `Require: sec-agree`, and what the server offers in `Security-Server`.
    ///
    /// ## How to fix
    /// Switch on the security agreement (IPsec) in the device, with one of the mechanisms that the server offers.
    ///
    /// ## When it would be wrong
    /// If the client goes on with `Security-Verify` and is let in, the 494 was a step.
    ///
    /// ## References
    /// RFC 3329 §2
    "A16" "security-agreement-required" needs [421 494], check
}

fn check(case: &Case<'_>) -> Option<Finding> {
    let failure = case.failure_with(&[421, 494])?;
    let (request, response) = (case.request(failure)?, case.response(failure));
    let wants = |header: &str| response.message.headers(header).iter().any(|tag| tag.eq_ignore_ascii_case("sec-agree"));
    if failure.status.get() == 421 && !wants("Require") {
        return None;
    }
    let offers = response.message.header("Security-Server").map(|value| value.into_owned());
    let offered = request.message.header("Security-Client").map(|value| value.into_owned());
    // Who passes on what another offers, or does not offer, is not the client of the agreement.
    let request =
        case.first_with(request, |before| before.message.header("Security-Client").as_deref() == offered.as_deref());
    let (client, server) = (request.path.source, response.path.source);
    let of_server = offers.map(|value| format!(" and offers {value}")).unwrap_or_default();
    let of_client = match &offered {
        Some(value) => format!("{client} offers {value}"),
        None if request.message.has_cut_head() => format!("what {client} offers, if anything, is behind the cut"),
        None => format!("{client} offers none: its request has no Security-Client"),
    };
    let because = format!("{server} demands a security agreement ({}){of_server}; {of_client}.", failure.status);
    // Who repeats in Security-Verify what the server offers has made the agreement (RFC 3329 §2.3.1).
    let verified = request.message.headers("Security-Verify");
    let is_made = !verified.is_empty() && verified == response.message.headers("Security-Server");
    let sure = if is_made { Confidence::Possible } else { Confidence::Proven };
    let because = match is_made {
        true => format!("{because} It repeats in Security-Verify what {server} offers, as it has to."),
        false => because,
    };
    let finding = Finding::of(&RULE, sure)
        .explains(Some(failure.status))
        .sender(case.role_of_sender(request), request)
        .because(because)
        .fix(format!("Switch on the security agreement (sec-agree, in IMS with IPsec) on {client}."))
        .fix(format!("If it is on, let {client} offer a mechanism that {server} lists in Security-Server."))
        .claim_method(request, "the request")
        .claim_header(request, "Security-Client", "what the client offers");
    Some(
        finding
            .claim_status(response, "it is refused without an agreement")
            .claim_header(response, "Security-Server", "what the server offers")
            .refuted("challenge-not-answered", "the server does not ask for credentials, but for a protected way"),
    )
}
