//! The tries of the request that decided how a call ended: what was asked for, and with which credentials it was tried
//! again (RFC 3261 §22).

use std::time::Duration;

use crate::call::{Heard, Leg, Transaction};
use crate::capture::Place;
use crate::diagnosis::case::Case;
use crate::diagnosis::finding::Role;
use crate::sip::auth::{self, Challenge, Credentials};
use crate::sip::digest::DigestFit;
use crate::sip::{Message, StatusCode, Uri};

/// One try of a request, as its client sent it.
#[derive(Debug, Clone)]
pub struct Try<'a> {
    /// Its transaction.
    pub transaction: &'a Transaction,
    /// The request.
    pub request: &'a Heard,
    /// The first final response, as the client got it.
    pub response: Option<&'a Heard>,
}

/// A challenge, the credentials that came for it, and the challenge that refused them.
#[derive(Debug, Clone)]
pub struct Rejection<'a> {
    /// The response that asked for credentials; `None` if the client sent them unasked, or the challenge was not
    /// captured.
    pub asked: Option<(&'a Heard, Challenge)>,
    /// The request with the credentials.
    pub request: &'a Heard,
    /// The credentials.
    pub credentials: Credentials,
    /// The 401 or 407 that refused them.
    pub refusal: &'a Heard,
    /// The challenge in it.
    pub again: Challenge,
}

impl<'a> Try<'a> {
    /// What the client showed.
    pub fn credentials(&self) -> &'a [Credentials] {
        auth::credentials(&self.request.message)
    }

    /// What its final response asks for; empty unless it is a 401 or 407.
    pub fn challenges(&self) -> &'a [Challenge] {
        let challenge = self.response.filter(|_| self.is_challenged());
        challenge.map(|heard| auth::challenges(&heard.message)).unwrap_or_default()
    }

    /// The code of its final response.
    pub fn status(&self) -> Option<StatusCode> {
        self.response?.message.status()
    }

    /// True if it was refused with a challenge.
    pub fn is_challenged(&self) -> bool {
        self.status().is_some_and(StatusCode::is_challenge)
    }

    /// True if its credentials carry a nonce that an earlier try was given.
    pub fn has_nonce_of(&self, earlier: &Try<'_>) -> bool {
        let is_given = |nonce: &str| earlier.challenges().iter().any(|challenge| challenge.nonce == nonce);
        self.credentials().iter().any(|shown| is_given(&shown.nonce))
    }

    /// The credentials that are for the challenger of this challenge: in the header that belongs to it
    /// (RFC 3261 §22.2, §22.3).
    fn for_challenger(&self, challenge: &Challenge) -> impl Iterator<Item = &Credentials> {
        self.credentials().iter().filter(move |credentials| answers(credentials, challenge))
    }
}

/// True if the header of these credentials is the one that answers this challenge.
fn answers(credentials: &Credentials, challenge: &Challenge) -> bool {
    matches!(
        (challenge.header, credentials.header),
        ("WWW-Authenticate", "Authorization") | ("Proxy-Authenticate", "Proxy-Authorization")
    )
}

/// Of the challenges of a response the one that these credentials answer: a server may make one for each algorithm,
/// each with a nonce of its own, and the client answers one of them (RFC 7616 §3.7; RFC 8760 §2.4).
fn the_one_answered<'c>(
    challenges: impl Iterator<Item = &'c Challenge> + Clone,
    credentials: &Credentials,
) -> Option<&'c Challenge> {
    let mut answered = challenges.filter(|challenge| answers(credentials, challenge));
    let has_nonce = |challenge: &&Challenge| challenge.nonce == credentials.nonce;
    let has_algorithm = |challenge: &&Challenge| challenge.algorithm.eq_ignore_ascii_case(&credentials.algorithm);
    answered.clone().find(has_nonce).or_else(|| answered.clone().find(has_algorithm)).or_else(|| answered.next())
}

/// What became of a challenge behind which these tries stand, the challenged one among them.
pub(crate) fn what_followed(passed: &[Try<'_>]) -> &'static str {
    match passed.len() > 1 {
        true => "the client begins anew, and shows none",
        false => "the client does not try again",
    }
}

/// The tries at the end that showed no credentials, from the first one that was challenged: who begins anew without any
/// has passed over that challenge already.
pub(crate) fn passed_over<'t, 'a>(tries: &'t [Try<'a>]) -> &'t [Try<'a>] {
    let is_bare = |one: &Try<'_>| one.credentials().is_empty() && (one.is_challenged() || one.response.is_none());
    let bare = tries.iter().rev().take_while(|one| is_bare(one)).count();
    let bare = tries.get(tries.len() - bare..).unwrap_or_default();
    let first = bare.iter().position(Try::is_challenged).unwrap_or(bare.len());
    bare.get(first..).unwrap_or_default()
}

impl<'a> Case<'a> {
    /// Every try of the request that decided how the call ended, in order: the same method and client, and the same
    /// Call-ID but where a challenge was answered or a redirect followed with a new one.
    pub fn tries(&self) -> Vec<Try<'a>> {
        let challenged = self.challenge().map(|failure| self.call.transaction(failure.transaction));
        let Some(deciding) = challenged.or_else(|| self.deciding()) else { return Vec::new() };
        let goes_on = |leg: &Leg| self.call.are_tries_of_one(leg, self.call.leg(deciding.leg));
        let mut tries: Vec<Try<'a>> = self
            .call
            .transactions
            .iter()
            .filter(|known| known.method == deciding.method && known.in_dialog == deciding.in_dialog)
            .filter(|known| known.upstream.is_none() == deciding.upstream.is_none())
            .filter(|known| known.path.source.ip() == deciding.path.source.ip())
            .filter(|known| goes_on(self.call.leg(known.leg)))
            .filter_map(|transaction| self.read_try(transaction))
            .collect();
        tries.sort_by_key(|one| one.request.id);
        tries
    }

    fn read_try(&self, transaction: &'a Transaction) -> Option<Try<'a>> {
        let request = self.call.request_of(transaction)?;
        Some(Try { transaction, request, response: self.call.final_of(transaction) })
    }

    /// The captured challenge that gave the nonce of these credentials, whether or not its own request was captured.
    pub(crate) fn asked_with_nonce_of(&self, shown: &Try<'_>) -> Option<&'a Heard> {
        let is_given = |nonce: &str| shown.credentials().iter().any(|credentials| credentials.nonce == nonce);
        let before = self.call.messages.iter().rev().filter(|heard| heard.id < shown.request.id);
        let is_challenge = |heard: &&Heard| heard.message.status().is_some_and(StatusCode::is_challenge);
        before
            .filter(is_challenge)
            .find(|heard| auth::challenges(&heard.message).iter().any(|one| is_given(&one.nonce)))
    }

    /// Why a challenge ended the call although credentials were shown: the last credentials that a 401 or 407 refused,
    /// those of the client, or of a proxy that answers challenges itself. `None` if the call did not end by a challenge,
    /// or no credentials were shown to the challenger.
    pub fn rejection(&self) -> Option<Rejection<'a>> {
        self.challenge()?;
        let tries = self.tries();
        let last = |tries: &[Try<'a>]| {
            let last = tries.iter().rposition(|one| {
                one.is_challenged()
                    && one.challenges().iter().any(|challenge| {
                        one.for_challenger(challenge).any(|shown| !was_accepted(tries, one, shown, challenge))
                    })
            })?;
            self.rejection_of(tries, last)
        };
        last(&tries).or_else(|| last(&self.tries_of_proxy(&tries)))
    }

    /// Every refusal of credentials of the deciding request, in order, on the hop of the client and then behind it.
    pub fn rejections(&self) -> Vec<Rejection<'a>> {
        let tries = self.tries();
        let behind = self.tries_of_proxy(&tries);
        let rows = [tries, behind];
        rows.iter().flat_map(|tries| (0..tries.len()).filter_map(|at| self.rejection_of(tries, at))).collect()
    }

    /// The tries on the hop behind, without those whose credentials the proxy only passes on: what is left is challenged
    /// there, and answered by the proxy itself, as one does that speaks for its clients to a trunk (RFC 3261 §22.3).
    fn tries_of_proxy(&self, tries: &[Try<'a>]) -> Vec<Try<'a>> {
        let is_known = |nonce: &str| tries.iter().flat_map(Try::credentials).any(|known| known.nonce == nonce);
        let is_own = |one: &Try<'_>| !one.credentials().iter().any(|shown| is_known(&shown.nonce));
        let behind = tries.iter().flat_map(|one| self.call.downstream_of(one.transaction.id));
        let mut own: Vec<Try<'a>> = behind.filter_map(|known| self.read_try(known)).filter(is_own).collect();
        own.sort_by_key(|one| one.request.id);
        own
    }

    /// Who showed credentials: the client, or a proxy before which they are not seen.
    pub(crate) fn role_of_shower(&self, rejection: &Rejection<'a>) -> Role {
        let nonce = &rejection.credentials.nonce;
        let shows = |heard: &Heard| auth::credentials(&heard.message).iter().any(|shown| shown.nonce == *nonce);
        self.role_of_sender(self.first_with(rejection.request, shows))
    }

    fn rejection_of(&self, tries: &[Try<'a>], at: usize) -> Option<Rejection<'a>> {
        let refused = tries.get(at)?;
        let refusal = refused.response?;
        let (again, credentials) = refused.challenges().iter().find_map(|challenge| {
            let mut shown = refused.for_challenger(challenge);
            // Of several the one for this realm, else the one that nobody accepted before.
            let fits = |shown: &&Credentials| shown.realm == challenge.realm;
            let credentials = refused
                .for_challenger(challenge)
                .find(fits)
                .or_else(|| shown.find(|shown| !was_accepted(tries, refused, shown, challenge)))?;
            Some((challenge, credentials.clone()))
        })?;
        let of_realm = refused.challenges().iter().filter(|one| one.realm == again.realm);
        let again = the_one_answered(of_realm, &credentials).unwrap_or(again).clone();
        let asked = tries.iter().take(at).rev().find_map(|before| {
            let of_realm = before
                .challenges()
                .iter()
                .filter(|asked| asked.realm == credentials.realm || asked.realm == again.realm);
            Some((before.response?, the_one_answered(of_realm, &credentials)?.clone()))
        });
        Some(Rejection { asked, request: refused.request, credentials, refusal, again })
    }

    /// The server that made a challenge: the innermost hop on which its nonce was seen, for a proxy passes it on.
    pub fn challenger(&self, response: &'a Heard, challenge: &Challenge) -> &'a Heard {
        let mut made = response;
        for _ in 0..32 {
            let inner = self.call.downstream_of(made.transaction).flat_map(|inner| &inner.finals).find(|id| {
                let heard = self.call.message(**id);
                auth::challenges(&heard.message).iter().any(|one| one.nonce == challenge.nonce)
            });
            match inner {
                Some(id) => made = self.call.message(*id),
                None => break,
            }
        }
        made
    }

    /// True if this server accepted credentials of this client whose digest URI was not the Request-URI: in this call
    /// or another one.
    pub fn accepts_other_digest_uri(&self, rejection: &Rejection<'_>) -> bool {
        let (client, server) = (rejection.request.path.source.ip(), rejection.request.path.destination.ip());
        self.surroundings.accepted().has_other_digest_uri(server, client)
    }
}

impl Case<'_> {
    /// True if what a server refused was the secret or the user: realm, nonce, algorithm and URI of the credentials
    /// fit.
    pub(crate) fn is_of_the_secret(&self, rejection: &Rejection<'_>) -> bool {
        rejection.again.realm == rejection.credentials.realm
            && !rejection.is_of_the_nonce()
            && rejection.has_newest_nonce()
            && !rejection.credentials.asks_for_step
            && rejection.is_of_offered_algorithm()
            && (!rejection.is_for_other_uri() || self.accepts_other_digest_uri(rejection))
    }

    /// The last REGISTER before refused credentials and the first one after them with which the same server let the
    /// same client in as the same user: their 2xx. Who was let in before and after has the right secret.
    pub(crate) fn let_in_around(&self, rejection: &Rejection<'_>) -> Option<[Place; 2]> {
        let path = rejection.request.path;
        let user = &rejection.credentials.username;
        let address_of_record = rejection.request.message.from()?.parsed();
        let known = self.surroundings.registrations().of(address_of_record.bare_user(), &address_of_record.host)?;
        let let_in = known.let_in(user, &rejection.request.message, path);
        let (before, after) = let_in.split_at(let_in.partition_point(|place| *place < rejection.request.place));
        Some([*before.last()?, *after.first()?])
    }

    /// Whether the digest of a request is the one that a given secret makes, and the sentence that says so, without its
    /// end.
    pub(crate) fn digest_fit(&self, request: &Heard, user: &str) -> Option<(DigestFit, String)> {
        let fit = self.surroundings.neighbours().digest_fit(request.place)?;
        let is = if fit == DigestFit::Fits { "is" } else { "is not" };
        Some((fit, format!("The digest of the client {is} the one that the secret given for \"{user}\" makes")))
    }
}

impl Rejection<'_> {
    /// True if the digest URI is not the Request-URI as the client's own hop shows it. Differences in port, parameters
    /// or case do not count: servers forgive them.
    pub fn is_for_other_uri(&self) -> bool {
        self.request
            .message
            .request_uri()
            .is_some_and(|uri| !Uri::read(&self.credentials.uri).is_same_target(&Uri::read(&uri)))
    }

    /// True if the refusal is about the nonce, and so says nothing of the secret: by `stale=true` (RFC 7616 §3.3), or
    /// in the words of a server that leaves that out ("nonce has changed").
    pub fn is_of_the_nonce(&self) -> bool {
        self.again.stale || names_nonce(&self.refusal.message)
    }

    /// True if the algorithm of the credentials is one that was offered.
    fn is_of_offered_algorithm(&self) -> bool {
        let Some((asked, _)) = &self.asked else { return false };
        let is_own = |challenge: &Challenge| challenge.algorithm.eq_ignore_ascii_case(&self.credentials.algorithm);
        auth::challenges(&asked.message).iter().any(is_own)
    }

    /// How long after the challenge the request with the credentials came.
    pub fn answered_after(&self) -> Option<Duration> {
        let (asked, _) = self.asked.as_ref()?;
        Some(self.request.place.time.since(asked.place.time))
    }

    /// True if the nonce is the newest that the challenger gave.
    pub fn has_newest_nonce(&self) -> bool {
        self.asked.as_ref().is_some_and(|(_, asked)| asked.nonce == self.credentials.nonce)
    }
}

/// True if the reason phrase of a challenge speaks of the nonce.
pub(crate) fn names_nonce(refusal: &Message<'_>) -> bool {
    refusal.reason_phrase().to_ascii_lowercase().contains("nonce")
}

/// True if these credentials are for another challenger, who has let them pass: their realm was asked for before, and
/// the refusal asks for another one.
fn was_accepted(tries: &[Try<'_>], refused: &Try<'_>, shown: &Credentials, challenge: &Challenge) -> bool {
    shown.realm != challenge.realm
        && tries.iter().any(|before| {
            before.request.id < refused.request.id
                && before.challenges().iter().any(|asked| answers(shown, asked) && asked.realm == shown.realm)
        })
}
