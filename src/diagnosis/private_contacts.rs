//! Private addresses that somebody behind a NAT gave as a Contact, and to which a request then goes.
//!
//! Is asked for a destination; gives the message that named it. Deliberately does not judge: that a request went there
//! unanswered is what a rule says.

use std::net::SocketAddr;

use crate::call::Heard;
use crate::capture::Place;
use crate::diagnosis::words::{is_private, source_field};
use crate::diagnosis::{Case, Finding, Role};
use crate::sip::{NameAddr, Uri};

/// A Contact with a private address, in a message that came from a public one.
pub(crate) struct PrivateContact {
    named: SocketAddr,
    /// Where the message stands.
    place: Place,
    /// Where it came from.
    source: SocketAddr,
    /// Its method, or that of the request it answers.
    method: String,
    /// The URI of its Contact, as sent.
    contact: String,
}

/// The port of a SIP URI that names none (RFC 3261 §19.1.1).
const DEFAULT_PORT: u16 = 5060;

/// Where a message stands, where it came from, its method, and the URI of its Contact.
type Naming = (Place, SocketAddr, String, String);

impl Case<'_> {
    /// The message that gave the destination of a request as its Contact, if that is a private address and the message
    /// came from a public one: the first of the call, or the last REGISTER of that very Contact. What a dialog or a
    /// registrar keeps of it leads nowhere (RFC 5626 §1, RFC 3581).
    pub(crate) fn private_contact(&self, request: &Heard) -> Option<PrivateContact> {
        let named = request.path.destination;
        if !is_private(named.ip()) {
            return None;
        }
        let leads_there = |(place, source, _, contact): &Naming| {
            let contact = Uri::read(contact);
            let port = contact.port.unwrap_or(DEFAULT_PORT);
            *place < request.place
                && !is_private(source.ip())
                && contact.host.parse() == Ok(named.ip())
                && port == named.port()
        };
        // The first to send it is who wrote it; others only pass it on.
        let mut of_call = self.call.messages.iter().filter_map(|heard| {
            let contact = NameAddr::read(&heard.message.header("Contact")?).uri;
            Some((heard.place, heard.path.source, heard.message.cseq()?.method.name().to_owned(), contact))
        });
        // Many phones behind many NATs have the same private address.
        let user = request.message.target().map(|uri| uri.user.as_str()).unwrap_or_default();
        let is_bound = |(.., contact): &Naming| Uri::read(contact).user == user;
        let registrations = self.surroundings.registrations().in_any_order().flat_map(|(_, known)| &known.asked);
        let registered =
            registrations.map(|asked| (asked.place, asked.source, "REGISTER".into(), asked.contact.to_string()));
        let registered = || registered.filter(leads_there).filter(is_bound).max_by_key(|(place, ..)| *place);
        let (place, source, method, contact) = of_call.find(leads_there).or_else(registered)?;
        Some(PrivateContact { named, place, source, method, contact })
    }
}

impl PrivateContact {
    /// The finding that `user` sent there in vain, with what that means, its cure and its proof. It is `user` that
    /// should know better.
    pub(crate) fn told_in(&self, finding: Finding, because: &str, (role, user): (Role, SocketAddr)) -> Finding {
        let PrivateContact { named, source, method, .. } = self;
        let field = source_field(source.ip());
        finding
            .party(role, Some(user))
            .because(format!(
                "{because} {} is a private address that stood in the Contact of the {method} from {source}: outside \
                 its own network nobody reaches it.",
                named.ip()
            ))
            .fix(format!(
                "Let {user} keep where the {method} came from in place of its Contact, and send there (`rport` and \
                 `received`, RFC 3581; Kamailio: `fix_nated_register`, `fix_nated_contact`; Asterisk: \
                 `rewrite_contact`)."
            ))
            .fix(format!("Or let {source} give its public address in Contact."))
            .claim_at(self.place, "sip.contact.uri", self.contact.clone(), "the private address")
            .claim_at(self.place, field, source.ip().to_string(), "where the message with that Contact came from")
    }
}
