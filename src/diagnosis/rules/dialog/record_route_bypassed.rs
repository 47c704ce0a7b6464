use crate::diagnosis::rule::rule;
use crate::diagnosis::{Case, Confidence, Finding, Role};

rule! {
    /// The ACK passed by a proxy that wanted to stay in the path.
    ///
    /// ## What it says
    /// A proxy added Record-Route, so that requests inside the dialog pass it. The caller's side sent its ACK without
    /// Route, and it did not arrive.
    ///
    /// ## Why it happens
    /// The caller's software ignores Record-Route, or something removed it.
    ///
    /// ## Evidence
    /// Record-Route in the 2xx, no Route in the ACK, and a 2xx that is repeated twice or more after the ACK.
    ///
    /// ## How to fix
    /// Let the caller's side build its route set from Record-Route (RFC 3261 §12.1.2).
    ///
    /// ## When it would be wrong
    /// If the ACK arrived, nothing is lost but what the proxy wanted to see.
    ///
    /// ## References
    /// RFC 3261 §12.1.2, §12.2.1.1, §16.6
    "C14" "record-route-bypassed", check
}

fn check(case: &Case<'_>) -> Option<Finding> {
    let unheard = case.unheard_ack()?;
    let (success, ack) = (unheard.success, unheard.ack);
    let target = case.remote_target(success)?;
    if target.route.is_empty() || ack.message.is_cut() || ack.message.header("Route").is_some() {
        return None;
    }
    let finding = Finding::of(&RULE, Confidence::Proven);
    let finding = match case.was_given_up(success) {
        true => finding.explains(success.message.status()).drops_the_call(),
        false => finding,
    };
    Some(
        finding
            .sender(Role::Uac, ack)
            .because(format!(
                "The 2xx wants requests inside the dialog to pass {}, and the ACK of {} carries no Route. It did not arrive: \
                 the 2xx was repeated {} times.",
                target.route.join(", "),
                ack.path.source,
                success.repeated
            ))
            .fix(format!("Let {} build its route set from Record-Route.", ack.path.source))
            .claim_header(success, "Record-Route", "the proxies that want to stay in the path")
            .claim_absent(ack.place, "a Route header in this ACK", "it passes by the proxies")
            .refuted("ack-missing", "an ACK was sent"),
    )
}
