//! A server that locked a client out, or its account, because its credentials were wrong.
//!
//! Is given a case; gives what shows that a 403 tells of such a lock. Deliberately does not judge who is to mend it, nor how:
//! `credentials-rejected` does, and the other rules of a 403 are silent.

use crate::call::Kind;
use crate::capture::Place;
use crate::diagnosis::{Case, Rejection, Try};
use crate::sip::{StatusCode, auth};

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
const LOCKED: &[&str] = &["locked", "lockout", "too many attempts", "temporarily banned"];

/// A 403 that comes of credentials that were wrong before.
pub(in crate::diagnosis) struct Lock<'a> {
    /// The refusals of credentials before it that the capture holds, of the same request.
    pub rejections: Vec<Rejection<'a>>,
    /// True if its words speak of that.
    pub is_said: bool,
}

/// The lock that a 403 tells of, by its words, or because it comes without a challenge after such refusals.
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
    let is_said = case.says_any(response, TOO_OFTEN) || was_refused && case.says_any(response, LOCKED);
    // Where it names another ground, or has just been shown credentials, the 403 has rules of its own.
    let is_silent = case.own_phrase(response).is_none() && case.quotation(response).is_none();
    let is_bare = auth::credentials(&request.message).is_empty() && !request.message.is_cut();
    let is_locked = is_said || was_refused && is_silent && is_bare && case.call.kind == Kind::Registration;
    (is_locked && !case.is_scan()).then_some(Lock { rejections, is_said })
}
