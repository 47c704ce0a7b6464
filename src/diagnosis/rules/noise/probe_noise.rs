use crate::call::{Failure, Kind};
use crate::diagnosis::rule::rule;
use crate::diagnosis::{Case, Confidence, Finding};
use crate::sip::{Method, auth};

rule! {
    /// A probe was refused, and that is no failure of a call.
    ///
    /// ## What it says
    /// OPTIONS, or a NOTIFY that only keeps a way open, was answered with a failure code. Any final response shows that
    /// the peer is alive; nobody wanted to call.
    ///
    /// ## Why it happens
    /// The probe names no user, or a method or event that the peer does not know; or the peer asks for credentials,
    /// which probes do not carry. That is usual.
    ///
    /// ## Evidence
    /// A final response of 300 or more to OPTIONS outside of a dialog, or to a NOTIFY without a subscription.
    ///
    /// ## How to fix
    /// Nothing needs to be done. Whoever wants quiet logs lets the peer answer such probes with 200.
    ///
    /// ## When it would be wrong
    /// If the prober takes the peer out of service because of the code. So it is silent of a 503 to OPTIONS: the peer
    /// says that it would refuse an INVITE as well.
    ///
    /// ## References
    /// RFC 3261 §11.2; RFC 6665 §4.2.2
    "I5" "probe-noise" needs [REFUSED PROBE] [REFUSED SUBSCRIPTION], check
}

fn check(case: &Case<'_>) -> Option<Finding> {
    let failure = case.failure()?;
    let (request, response) = (case.request(failure)?, case.response(failure));
    if failure.status.get() == 503 && case.call.kind == Kind::Options {
        return None; // The code is that which an INVITE would get (RFC 3261 §11.2).
    }
    // Who shows credentials means to be let in.
    if failure.status.is_challenge() && !auth::credentials(&request.message).is_empty() {
        return None;
    }
    // What makes it more than a probe may stand behind the cut.
    if request.message.is_cut() || !is_probe(case, failure) || failure.normal.is_some() {
        return None;
    }
    let method = request.message.method()?.name().to_owned();
    let (client, server) = (request.path.source, response.path.source);
    Some(
        Finding::of(&RULE, Confidence::Proven)
            .explains_calmly(Some(failure.status))
            .because(format!(
                "{server} answered a probe ({method}) of {client} with {}. It is no call, and the answer shows that \
                 {server} is alive.",
                failure.status
            ))
            .fix("Nothing needs to be done; leave such answers out of failure statistics.")
            .claim_method(request, "a probe")
            .claim_status(response, "any final response shows that the peer is alive")
            .refuted("peer-probe-failed", "the probe was answered"),
    )
}

/// True for OPTIONS outside of a dialog, and for a NOTIFY that belongs to no subscription.
pub(in crate::diagnosis::rules) fn is_probe(case: &Case<'_>, failure: &Failure) -> bool {
    let transaction = case.call.transaction(failure.transaction);
    let subscribed = case.asked(&Method::Subscribe).next().is_some() || case.asked(&Method::Refer).next().is_some();
    match case.call.kind {
        Kind::Options => true,
        Kind::Subscription => transaction.method == Method::Notify && !transaction.in_dialog && !subscribed,
        _ => false,
    }
}
