//! Private addresses that somebody behind a NAT gave as a Contact, or a proxy as Record-Route, and to which a request
//! then goes.
//!
//! Is asked for a destination; gives the message that named it. Deliberately does not judge: that a request went there
//! unanswered is what a rule says.

use std::net::SocketAddr;

use crate::call::Heard;
use crate::capture::Place;
use crate::diagnosis::targets::{CONTACT, DEFAULT_PORT, RECORD_ROUTE};
use crate::diagnosis::words::{is_private, network_of, source_field};
use crate::diagnosis::{Case, Finding, Role};
use crate::sip::{NameAddr, Uri, is_same_user};

/// A Contact or Record-Route with a private address, in a message that came from a public one, or from a private one
/// of another network.
pub(crate) struct PrivateContact {
    /// The header that holds it.
    header: &'static str,
    named: SocketAddr,
    naming: Naming,
}

/// A message that names where requests have to go.
struct Naming {
    /// Where the message stands.
    place: Place,
    /// Where it came from.
    source: SocketAddr,
    /// Its method, or that of the request it answers.
    method: String,
    /// The URI that names it, as sent.
    uri: String,
    /// The line of the header that holds it.
    line: String,
}

impl Case<'_> {
    /// The message that gave the destination of a request as its Contact, or as its Record-Route if the request goes
    /// there by its Route, if that is a private address and the message came from another network: the first of the
    /// call, or the last REGISTER of that very Contact. What a dialog or a registrar keeps of it leads nowhere (RFC 5626
    /// §1, RFC 3581).
    pub(crate) fn private_contact(&self, request: &Heard) -> Option<PrivateContact> {
        let named = request.path.destination;
        if !is_private(named.ip()) {
            return None;
        }
        let is_named =
            |uri: &Uri| uri.host.parse() == Ok(named.ip()) && uri.port.unwrap_or(DEFAULT_PORT) == named.port();
        let leads_there = |naming: &Naming| {
            naming.place < request.place && self.is_elsewhere(named, naming.source) && is_named(&Uri::read(&naming.uri))
        };
        let routes = request.message.headers("Route");
        let by_route = routes.first().is_some_and(|first| is_named(&NameAddr::read(first).parsed()));
        let header = if by_route { RECORD_ROUTE } else { CONTACT };
        // The first to send it is who wrote it; others only pass it on.
        let of_call = || self.call.messages.iter().flat_map(|heard| namings(heard, header)).find(leads_there);
        let naming =
            of_call().or_else(|| if by_route { None } else { self.contact_registered(request, leads_there) })?;
        Some(PrivateContact { header, named, naming })
    }

    /// True if a message came from outside the network of the private address that it names: from a public address, or
    /// from another kind of private ones, where nothing ever came from the address itself.
    fn is_elsewhere(&self, named: SocketAddr, source: SocketAddr) -> bool {
        let is_heard = || self.call.messages.iter().any(|heard| heard.path.source.ip() == named.ip());
        !is_private(source.ip()) || network_of(source.ip()) != network_of(named.ip()) && !is_heard()
    }

    /// The last REGISTER with such a Contact for the user of a request: many phones behind many NATs have the same
    /// private address.
    fn contact_registered(&self, request: &Heard, leads_there: impl Fn(&Naming) -> bool) -> Option<Naming> {
        let user = request.message.target().map(|uri| uri.user.as_str()).unwrap_or_default();
        let registrations = self.surroundings.registrations().in_any_order().flat_map(|(_, known)| &known.asked);
        let registered = registrations.map(|asked| Naming {
            place: asked.place,
            source: asked.source,
            method: "REGISTER".into(),
            uri: asked.contact.to_string(),
            line: String::new(),
        });
        let is_bound = |naming: &Naming| is_same_user(&Uri::read(&naming.uri).user, user);
        registered.filter(|naming| leads_there(naming) && is_bound(naming)).max_by_key(|naming| naming.place)
    }
}

/// What the lines of a header of a message name.
fn namings(heard: &Heard, header: &'static str) -> Vec<Naming> {
    let Some(cseq) = heard.message.cseq() else { return Vec::new() };
    let naming = |value: &String| {
        let uri = NameAddr::read(value).uri;
        let line = heard.message.header_lines(header).find(|line| line.contains(&uri))?.into_owned();
        let (place, source) = (heard.place, heard.path.source);
        Some(Naming { place, source, method: cseq.method.name().to_owned(), uri, line })
    };
    heard.message.headers(header).iter().filter_map(naming).collect()
}

impl PrivateContact {
    /// The finding that `user` sent there in vain, with what that means, its cure and its proof. It is `user` that
    /// should know better, or the proxy that asks for it in Record-Route.
    pub(crate) fn told_in(&self, finding: Finding, because: &str, (role, user): (Role, SocketAddr)) -> Finding {
        let PrivateContact { header, named, naming } = self;
        let Naming { place, source, method, uri, line } = naming;
        let field = source_field(source.ip());
        let finding = finding.because(format!(
            "{because} {} is a private address that stood in the {header} of the {method} from {source}: outside its \
             own network nobody reaches it.",
            named.ip()
        ));
        let finding = match *header {
            RECORD_ROUTE => finding
                .party(Role::Proxy, Some(*source))
                .fix(format!("Let {source} write its public address into Record-Route."))
                .claim_at(*place, "sip.Record-Route", line.clone(), "the private address"),
            _ => finding
                .party(role, Some(user))
                .fix(format!(
                    "Let {user} keep where the {method} came from in place of its Contact, and send there (`rport` and \
                     `received`, RFC 3581; Kamailio: `fix_nated_register`, `fix_nated_contact`; Asterisk: \
                     `rewrite_contact`)."
                ))
                .fix(format!("Or let {source} give its public address in Contact."))
                .claim_at(*place, "sip.contact.uri", uri.clone(), "the private address"),
        };
        finding.claim_at(*place, field, source.ip().to_string(), "where the message with that {header} came from")
    }
}
