use crate::call::{Heard, is_same_callee};
use crate::diagnosis::diagnose::NEXT_TRY;
use crate::diagnosis::rule::rule;
use crate::diagnosis::{Case, Confidence, Finding, Role};
use crate::sip::identity::brings_identity;
use crate::sip::{Method, NameAddr, Uri};

rule! {
    /// The redirects lead round in a circle.
    ///
    /// ## What it says
    /// The call was sent elsewhere, and from there back to an address that had been tried before: no address is left at
    /// which it could be taken.
    ///
    /// ## Why it happens
    /// Two people have forwarded their telephones to each other; two servers each hold the other one for the home of
    /// the number; or a server redirects to itself.
    ///
    /// ## Evidence
    /// A 3xx each of whose Contacts was the Request-URI of an earlier request of the call, or the Contact of an earlier
    /// 3xx that its client followed to that user; and no other code that says more.
    ///
    /// ## How to fix
    /// Break the circle at the server whose redirect leads back: it must either take the call or name another address.
    ///
    /// ## When it would be wrong
    /// A redirect to the same user over another transport, on another port or at another host is a new address. So is
    /// one that adds headers to the URI, or what a look-up for ported numbers found (`rn`, `npdi`), or Identity or
    /// P-Asserted-Identity to the response: servers that only sign or look up redirect to the same address.
    ///
    /// ## References
    /// RFC 3261 §8.1.3.4, §21.3
    "E15" "redirect-loop" needs [REFUSED REDIRECT], check
}

/// A redirect, the address to which it leads back, and the request that had gone there.
pub(super) struct Circle<'a> {
    redirect: &'a Heard,
    target: String,
    earlier: &'a Heard,
}

fn check(case: &Case<'_>) -> Option<Finding> {
    let failure = case.failure()?;
    if !(300..400).contains(&failure.status.get()) || failure.normal.is_some() {
        return None;
    }
    let last = case.response(failure);
    // The last redirect leads nowhere new, or else the client could still have gone on.
    closes(case, last)?;
    let Circle { redirect, target, earlier } = redirects(case).find_map(|redirect| closes(case, redirect))?;
    let server = redirect.path.source;
    let outward = redirects(case)
        .find(|before| before.place < redirect.place && before.path.source != server && before.place > earlier.place);
    let sent_on = match outward {
        Some(before) => format!("{} sent the call on, and {server} sent it back to {target}", before.path.source),
        None => format!("{server} sent the call to {target}"),
    };
    // A client that is slow may yet try the same again, in vain.
    let is_seen = case.tail(last.place) >= NEXT_TRY;
    let finding = Finding::of(&RULE, if is_seen { Confidence::Proven } else { Confidence::Likely })
        .explains(case.outer_failure().map(|outer| outer.status))
        .sender(Role::Uas, redirect)
        .because(format!(
            "{sent_on} with {}, where it had been tried before: the redirects lead round, and no address is left to \
             try.",
            redirect.message.status()?
        ))
        .fix(format!("Break the circle at {server}: it must take the call or name another address than {target}."));
    let finding = match outward {
        Some(before) => finding
            .fix(format!(
                "If {server} is right to send it back, correct {}, which sends the call there.",
                before.path.source
            ))
            .claim_header(before, "Contact", "the call is sent on"),
        None => finding,
    };
    Some(
        finding
            .claim_request_uri(earlier, "this address is tried")
            .claim_status(redirect, "the callee is elsewhere")
            .claim_header(redirect, "Contact", "namely where the call was before")
            .refuted("redirect-not-followed", "every address that the redirects name was tried")
            .refuted("redirect-target-failed", "no address refused the call: each sent it on")
            .refuted("routing-loop", "the client went round by itself, and no proxy passed the request on to itself"),
    )
}

/// The 3xx to the requests that opened the call on every hop, in order.
fn redirects<'a>(case: &Case<'a>) -> impl Iterator<Item = &'a Heard> {
    let call = case.call;
    call.messages.iter().filter(move |heard| {
        let is_redirect = heard.message.status().is_some_and(|status| (300..400).contains(&status.get()));
        is_redirect && !call.transaction(heard.transaction).in_dialog
    })
}

/// The circle that a redirect closes: each of its Contacts had been tried before it.
pub(super) fn closes<'a>(case: &Case<'a>, redirect: &'a Heard) -> Option<Circle<'a>> {
    // Who signs or looks up redirects to the same address, with what it found.
    if redirect.message.is_cut() || brings_identity(&redirect.message) {
        return None;
    }
    let contacts = redirect.message.headers("Contact");
    let tried =
        contacts.iter().map(|contact| Some((NameAddr::read(contact).uri, tried_before(case, contact, redirect)?)));
    let tried: Vec<(String, &Heard)> = tried.collect::<Option<_>>()?;
    let (target, earlier) = tried.into_iter().next()?;
    Some(Circle { redirect, target, earlier })
}

/// The request that went to the address of a Contact before a response, on whatever hop: there itself, or after another
/// redirect had sent the same client there.
fn tried_before<'a>(case: &Case<'a>, contact: &str, response: &Heard) -> Option<&'a Heard> {
    let before = |heard: &&Heard| heard.place < response.place;
    let itself = case.call.messages.iter().filter(before).find(|heard| goes_to(heard, contact));
    itself.or_else(|| {
        let is_named = |redirect: &&Heard| {
            let names = |other: &String| NameAddr::read(other).uri == NameAddr::read(contact).uri;
            redirect.path.destination.ip() == response.path.destination.ip()
                && redirect.message.headers("Contact").iter().any(names)
        };
        let redirects = redirects(case).filter(before).filter(is_named);
        redirects.filter_map(|redirect| followed_by(case, redirect)).find(before)
    })
}

/// The INVITE for a user whom a redirect names that its client sent after it, at whatever host: an exchange asks for
/// the user where that one is registered, and for a number at its trunk.
pub(super) fn followed_by<'a>(case: &Case<'a>, redirect: &Heard) -> Option<&'a Heard> {
    let contacts: Vec<String> =
        redirect.message.headers("Contact").iter().map(|contact| NameAddr::read(contact).uri).collect();
    let asked = case
        .call
        .request_of(case.call.transaction(redirect.transaction))
        .and_then(|request| request.message.request_uri());
    case.call.messages.iter().find(|heard| {
        let is_later = heard.place > redirect.place && heard.path.source.ip() == redirect.path.destination.ip();
        is_later
            && heard.message.method() == Some(&Method::Invite)
            && heard.message.request_uri() != asked
            && heard
                .message
                .request_uri()
                .is_some_and(|uri| contacts.iter().any(|contact| is_same_callee(contact, &uri)))
    })
}

/// Parameters by which a redirect tells what it has looked up: the routing number, and the way (RFC 4694, RFC 4904).
const OF_LOOK_UP: &[&str] = &["rn", "npdi", "cic", "tgrp", "trunk-context"];

/// True if a request that opens a call goes to the address of a Contact: the same user, host, port and transport.
pub(super) fn goes_to(request: &Heard, contact: &str) -> bool {
    let contact = NameAddr::read(contact).uri;
    if contact.contains('?') {
        return false; // With other headers it is another request (RFC 3261 §19.1.5).
    }
    let wanted = Uri::read(&contact);
    let Some(tried) = request.message.target() else { return false };
    // What a look-up adds for a number that was ported is what the redirect is for (RFC 4694).
    let adds = |name: &&str| wanted.parameters.has(name) && !tried.parameters.has(name);
    if OF_LOOK_UP.iter().any(adds) {
        return false;
    }
    let port = |uri: &Uri| uri.port.unwrap_or(if uri.scheme == "sips" { 5061 } else { 5060 });
    let transport = |uri: &Uri| uri.parameters.get("transport").map(str::to_ascii_lowercase);
    let sent_by = || request.path.transport.to_string().to_ascii_lowercase();
    let is_same_transport = match (transport(&wanted), transport(tried)) {
        (Some(wanted), Some(tried)) => wanted == tried,
        (Some(wanted), None) => wanted == sent_by(),
        (None, Some(tried)) => tried == "udp",
        (None, None) => true,
    };
    tried.is_same_target(&wanted) && port(tried) == port(&wanted) && tried.scheme == wanted.scheme && is_same_transport
}
