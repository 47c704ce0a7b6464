//! What a call that has ended teaches about the servers in it.

use crate::call::model::{Call, Transaction};
use crate::call::surroundings::Surroundings;
use crate::sip::auth::credentials;
use crate::sip::{HeaderName, StatusCode, Uri};

impl Surroundings {
    /// Learns which hosts a server serves, and whether it accepts a digest for another URI than the Request-URI.
    pub(crate) fn learn(&mut self, call: &Call) {
        for transaction in call.transactions.iter().filter(|transaction| !transaction.in_dialog) {
            self.learn_of(call, transaction);
        }
    }

    fn learn_of(&mut self, call: &Call, transaction: &Transaction) {
        let Some(request) = call.request_of(transaction) else { return };
        let status = call.final_status_of(transaction);
        let rings = transaction
            .provisionals
            .iter()
            .any(|id| call.message(*id).message.status().is_some_and(|status| status.get() > 100));
        let is_accepted = rings || status.is_some_and(StatusCode::is_success);
        if !is_accepted {
            return;
        }
        let (client, server) = (transaction.path.source.ip(), transaction.path.destination.ip());
        let uri = Uri::read(&request.message.request_uri().unwrap_or_default());
        self.note_served(server, &uri.host.to_ascii_lowercase());
        let has = |name| request.message.header_bytes(name).is_some();
        if !has(HeaderName::Authorization) && !has(HeaderName::ProxyAuthorization) {
            return;
        }
        let is_other = |uri_of_digest: &str| !Uri::read(uri_of_digest).is_same_target(&uri);
        if credentials(&request.message).iter().any(|shown| is_other(&shown.uri)) {
            self.note_other_digest_uri(server, client);
        }
    }
}
