//! Private addresses that somebody behind a NAT gave as a Contact, and to which a request then goes.
//!
//! Is asked for a destination; gives the message that named it. Deliberately does not judge: that a request went there
//! unanswered is what a rule says.

use std::net::{IpAddr, SocketAddr};

use crate::call::Heard;
use crate::capture::Place;
use crate::diagnosis::words::is_private;
use crate::diagnosis::{Case, Finding};
use crate::sip::{NameAddr, UriParts};

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

impl Case<'_> {
    /// The last message before a request that gave its destination as a Contact, if that is a private address and the
    /// message came from a public one. What a registrar or a dialog keeps of it then leads nowhere (RFC 5626 §1, RFC 3581).
    pub(crate) fn private_contact(&self, request: &Heard) -> Option<PrivateContact> {
        let named = request.path.destination;
        if !is_private(named.ip()) {
            return None;
        }
        let registrations = self.surroundings.registrations().iter();
        let registered = registrations
            .flat_map(|(_, known)| &known.asked)
            .map(|asked| (asked.place, asked.source, "REGISTER".to_owned(), asked.contact.clone()));
        let of_call = self.call.messages.iter().filter_map(|heard| {
            let method = heard.message.cseq()?.method.name().to_owned();
            let contact = NameAddr::read(&heard.message.header("Contact")?).uri;
            Some((heard.place, heard.path.source, method, contact))
        });
        let found = registered.chain(of_call).filter(|(place, source, _, contact)| {
            *place < request.place && !is_private(source.ip()) && host_of(contact) == Some(named.ip())
        });
        let (place, source, method, contact) = found.max_by_key(|(place, ..)| *place)?;
        Some(PrivateContact { named, place, source, method, contact })
    }
}

impl PrivateContact {
    /// What it means, as a sentence to be put behind others.
    pub(crate) fn sentence(&self) -> String {
        let PrivateContact { named, source, method, .. } = self;
        format!(
            " {} is a private address that stood in the Contact of a {method} from {source}: outside its own network nobody \
             reaches it.",
            named.ip()
        )
    }

    /// The finding with its cure and its proof.
    pub(crate) fn added_to(&self, finding: Finding, user: SocketAddr) -> Finding {
        let field = if self.source.is_ipv6() { "ipv6.src" } else { "ip.src" };
        finding
            .fix(format!(
                "Let {user} keep where the {} came from in place of its Contact, and send there (`rport` and `received`, RFC \
                 3581; Kamailio: `fix_nated_register`, `fix_nated_contact`; Asterisk: `rewrite_contact`).",
                self.method
            ))
            .fix(format!("Or let {} give its public address in Contact.", self.source))
            .claim_at(self.place, "sip.contact.uri", self.contact.clone(), "the private address")
            .claim_at(self.place, field, self.source.ip().to_string(), "where the message with that Contact came from")
    }
}

fn host_of(contact: &str) -> Option<IpAddr> {
    UriParts::read(contact).host.parse().ok()
}
