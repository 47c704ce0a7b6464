//! A server that refuses a client for good, or locks it or its account out, because its credentials were wrong.
//!
//! Is given a case; gives what shows that a 403 comes of that. Deliberately does not judge who is to mend it, nor how:
//! `credentials-rejected` does, and the other rules of a 403 are silent.

use std::time::Duration;

use crate::call::{Denied, Kind};
use crate::capture::Place;
use crate::diagnosis::rules::authentication::forbidden_after_credentials::accepted;
use crate::diagnosis::said::OF_CREDENTIALS;
use crate::diagnosis::{Case, Rejection, Try};
use crate::sip::{StatusCode, auth};

/// A lock lasts at least about so long.
const LOCKED_FOR: Duration = Duration::from_secs(300);
/// Refusals of a registration after which a 403 is no matter of one typing error.
const MANY: usize = 2;
/// Within this time a client tries again by itself: nobody has mended its secret meanwhile.
const BY_ITSELF: Duration = Duration::from_secs(5);
/// How a server says that credentials were wrong too often.
const TOO_OFTEN: &[&str] = &[
    "too many failed",
    "too many authentication",
    "too many auth ",
    "too many login",
    "too many wrong",
    "too many incorrect",
    "too many invalid",
    "too many bad",
    "failed login",
    "failed attempt",
    "failed authentications",
    "login attempts",
    "authentication attempts",
    "authentication failures",
    "registration attempts",
    "brute force",
];
/// How it says that it has locked somebody, whatever for.
pub(in crate::diagnosis) const LOCKED: &[&str] = &["locked", "lockout", "too many attempts", "temporarily banned"];

/// A 403 that comes of credentials that were wrong before.
pub(in crate::diagnosis) struct Lock<'a> {
    /// The refusals of credentials before it that the capture holds, of the same request.
    pub rejections: Vec<Rejection<'a>>,
    /// What shows it.
    pub sign: Sign,
}

/// What shows that a 403 comes of credentials that were wrong before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::diagnosis) enum Sign {
    /// Its words speak of that they were wrong too often.
    Said,
    /// It comes in silence where a challenge was due.
    Unasked,
    /// It refuses the user for whose credentials it had asked again before, and names nothing else.
    Again,
    /// It comes soon after the client's REGISTER got the same, because the credentials in that were wrong.
    Before(Registering),
}

/// A registration that was refused for good after its credentials had been refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::diagnosis) struct Registering {
    /// How often its credentials were refused.
    pub count: u32,
    /// The last challenge that refused them.
    pub refused: Place,
    /// Its code.
    pub with: StatusCode,
    /// The 403 after that.
    pub forbidden: Place,
}

/// The lock that a 403 to a call tells of in silence: the same server had just refused the registration of the same
/// user from there, and asked for no credentials any more.
fn locked_before<'a>(case: &Case<'a>) -> Option<Lock<'a>> {
    let failure = case.failure_with(&[403]).filter(|_| matches!(case.call.kind, Kind::Call | Kind::Message))?;
    let (request, response) = (case.request(failure)?, case.response(failure));
    let is_silent = case.own_phrase(response).is_none() && case.quotation(response).is_none();
    if !is_silent || case.q850(response).is_some() || !auth::credentials(&request.message).is_empty() {
        return None;
    }
    let from = request.message.from()?.parsed();
    let known = case.surroundings.registrations().of(from.bare_user(), &from.host)?;
    let (client, server, at) = (request.path.source.ip(), response.path.source.ip(), request.place.time);
    let refused = known.refused_digests(server, at).filter(|(asked, _)| asked.source.ip() == client);
    let refused: Vec<&Denied> = refused.map(|(_, denied)| denied).collect();
    let last = refused.last().filter(|_| refused.len() >= MANY)?;
    let is_lock =
        |denied: &&Denied| denied.status.get() == 403 && denied.source.ip() == server && last.place < denied.place;
    let forbidden = known.denied.iter().filter(is_lock).rfind(|denied| denied.place.time < at)?.place;
    let count = u32::try_from(refused.len()).unwrap_or(u32::MAX);
    let registering = Registering { count, refused: last.place, with: last.status, forbidden };
    let is_soon = at.since(forbidden.time) <= LOCKED_FOR;
    is_soon.then_some(Lock { rejections: Vec::new(), sign: Sign::Before(registering) })
}

/// The lock that a 403 tells of: by its words, because it comes without a challenge after such refusals, or because it
/// refuses the same user's credentials once more.
pub(in crate::diagnosis) fn lock<'a>(case: &Case<'a>) -> Option<Lock<'a>> {
    let failure = case.failure_with(&[403])?;
    let (request, response) = (case.request(failure)?, case.response(failure));
    let mut rejections = case.rejections();
    // Who was let in since had mended them.
    let is_let_in = |one: &Try<'_>| one.status().is_some_and(StatusCode::is_success);
    let let_in = case.tries().iter().rfind(|one| is_let_in(one)).and_then(|one| one.response).map(|heard| heard.place);
    let is_since = |place: Place| let_in.is_none_or(|let_in| let_in < place) && place < response.place;
    rejections.retain(|one| is_since(one.refusal.place) && !one.is_of_the_nonce());
    let was_refused = !rejections.is_empty();
    let is_registration = case.call.kind == Kind::Registration;
    let is_said = case.states_any(response, TOO_OFTEN) || was_refused && case.states_any(response, LOCKED);
    if !was_refused && !is_said {
        return locked_before(case); // Nothing was wrong before in this call, as far as is known.
    }
    let is_silent = case.own_phrase(response).is_none() && case.quotation(response).is_none();
    let shown = auth::credentials(&request.message);
    let is_bare = shown.is_empty() && !request.message.is_cut();
    let sign = match () {
        () if case.is_scan() => return None,
        () if is_said => Sign::Said,
        // Where it names another ground, the 403 has rules of its own.
        () if was_refused && is_silent && is_bare && is_registration => Sign::Unasked,
        () if is_silent || case.blames_any(response, OF_CREDENTIALS) => Sign::Again,
        () => return None,
    };
    if sign == Sign::Again {
        let server = response.path.source.ip();
        let is_same = |one: &Rejection<'_>| {
            let (user, realm) = (&one.credentials.username, &one.credentials.realm);
            shown.iter().any(|shown| (&shown.username, &shown.realm) == (user, realm))
                && case.challenger(one.refusal, &one.again).path.source.ip() == server
        };
        rejections.retain(|one| is_same(one) && case.is_of_the_secret(one));
        let last = rejections.last()?.refusal;
        // A call may be refused for what the account may do, also after its credentials were mended.
        let is_mended = || request.place.time.since(last.place.time) > BY_ITSELF || accepted(case, failure).is_some();
        let is_vague = is_silent && !is_registration;
        if case.q850(response).is_some() || is_vague && is_mended() {
            return None;
        }
    }
    Some(Lock { rejections, sign })
}
