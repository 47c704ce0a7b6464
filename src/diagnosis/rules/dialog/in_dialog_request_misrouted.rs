use crate::diagnosis::rule::rule;
use crate::diagnosis::targets::{Target, Unheard, address, same_target};
use crate::diagnosis::{Case, Confidence, Finding, Role};
use crate::sip::{NameAddr, Uri};

rule! {
    /// The ACK was sent to the wrong place.
    ///
    /// ## What it says
    /// The caller's side confirmed the answer, and its ACK did not go where the 2xx asks for: the Contact, by way of the
    /// Record-Routes. The callee's side never got it and gave the call up.
    ///
    /// ## Why it happens
    /// The caller's software keeps the address of the INVITE, changes the route set, or something on the way rewrote the
    /// Contact in one direction only.
    ///
    /// ## Evidence
    /// A 2xx that is repeated twice or more after the ACK, and an ACK whose Request-URI is not the Contact, whose Route is
    /// not the reversed Record-Route, or that was sent to another address than both name.
    ///
    /// ## How to fix
    /// Let the caller's side send in-dialog requests to the Contact of the 2xx, through the Record-Routes.
    ///
    /// ## When it would be wrong
    /// A strict router (a Record-Route without `lr`) rewrites the Request-URI, as it should. If the ACK arrived, the
    /// difference did no harm.
    ///
    /// ## References
    /// RFC 3261 §12.2.1.1, §13.2.2.4, §16.12.1.1
    "C2" "in-dialog-request-misrouted", check
}

fn check(case: &Case<'_>) -> Option<Finding> {
    let unheard = case.unheard_ack()?;
    let Unheard { success, ack, .. } = unheard;
    let target = case.remote_target(success)?;
    let strict = target.route.iter().any(|hop| !Uri::read(hop).parameters.has("lr"));
    let fault = if strict { None } else { fault(&target, &unheard) }?;
    let (expected, sent) = (&fault.expected, &fault.sent);
    let given_up = case.was_given_up(success);
    let finding = Finding::of(&RULE, Confidence::Proven);
    let finding = if given_up { finding.explains(success.message.status()).drops_the_call() } else { finding };
    let mut finding = finding
        .sender(Role::Uac, ack)
        .because(format!(
            "{} sent its ACK wrongly: {} {sent:?} where the 2xx asks for {expected:?}. {} went on repeating its 2xx ({} times) \
             and never got the ACK.",
            ack.path.source, fault.what, success.path.source, success.repeated
        ))
        .fix(format!("Let {} send ACK and BYE to the Contact of the 2xx, through its Record-Routes.", ack.path.source))
        .fix("If it does, look for what rewrites Contact or Record-Route on the way to it (an ALG, an SBC).")
        .claim(ack, fault.field, sent.clone(), "what was sent")
        .claim_header(success, "Contact", "where the ACK has to go");
    if !target.route.is_empty() {
        finding = finding.claim_header(success, "Record-Route", "and by which way");
    }
    Some(
        unheard
            .claim_repeats(finding)
            .refuted("ack-missing", "an ACK was sent")
            .refuted("ack-malformed", "its CSeq and tags are those of the dialog"),
    )
}

struct Fault {
    what: &'static str,
    field: &'static str,
    expected: String,
    sent: String,
}

fn fault(target: &Target, unheard: &Unheard<'_>) -> Option<Fault> {
    let ack = unheard.ack;
    let sent = ack.message.request_uri()?.into_owned();
    if !same_target(&Uri::read(&sent), &target.uri) {
        let expected = NameAddr::read(&target.contact).uri;
        return Some(Fault { what: "the Request-URI is", field: "sip.r-uri", expected, sent });
    }
    let routes: Vec<String> = ack.message.headers("Route").iter().map(|value| NameAddr::read(value).uri).collect();
    if !routes.is_empty() && routes != target.route {
        let sent = ack.message.header("Route")?.into_owned();
        let expected = target.route.join(", ");
        return Some(Fault { what: "the Route is", field: "sip.Route", expected, sent });
    }
    let next = routes.first().map_or_else(|| target.uri.clone(), |hop| Uri::read(hop));
    let wanted = address(&next)?;
    let went = ack.path.destination.ip();
    (wanted != went && routes.len() == target.route.len()).then(|| Fault {
        what: "it went to",
        field: if went.is_ipv4() { "ip.dst" } else { "ipv6.dst" },
        expected: wanted.to_string(),
        sent: went.to_string(),
    })
}
