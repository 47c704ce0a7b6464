use std::net::SocketAddr;

use crate::call::{Guessing, Heard};
use crate::catalogue::Topic;
use crate::diagnosis::lock::{Lock, Sign, lock};
use crate::diagnosis::rule::rule;
use crate::diagnosis::tries::names_nonce;
use crate::diagnosis::words::{guessed_account, length, times};
use crate::diagnosis::{Case, Confidence, Finding, Rejection, Role, Severity};
use crate::sip::StatusCode;
use crate::sip::auth;
use crate::sip::digest::DigestFit;

rule! {
    /// The server refused the digest: secret or authentication user are not those it knows.
    ///
    /// ## What it says
    /// The client answered the challenge as it should, and the server asked again.
    ///
    /// ## Why it happens
    /// The secret differs on the two sides, or the client shows the number where an authentication user of another
    /// name is expected.
    ///
    /// ## Evidence
    /// 401 or 407 with a realm and a nonce; the same request again with credentials for that realm and that nonce, an
    /// algorithm that was offered and a URI that fits; again 401 or 407 for the same realm, without `stale=true` and
    /// without a word of the nonce: of the client, or of a proxy that answers the challenges of the next hop itself. Or
    /// a 403 after such refusals: to a REGISTER that shows no credentials any more, or to a request that shows those of
    /// the same user again, where it names nothing else; or to a call without credentials, soon after the REGISTER of
    /// its caller had got the same so. Or a 403 whose words speak of too many of them: the server has locked the client
    /// or its account.
    ///
    /// ## How to fix
    /// Set the same secret on both sides, for the authentication user that the request shows.
    ///
    /// ## When it would be wrong
    /// With `stale=true`, or a phrase that names the nonce, the nonce was too old and the secret was not looked at. A
    /// client that was let in as this user before and after has the right secret; another one behind the same address,
    /// with another port and another Contact, may have a wrong one. Where realm, algorithm, nonce count or URI do not
    /// fit, those come first. A 407 of a proxy and then a 401 of the server behind it are two challengers.
    ///
    /// ## References
    /// RFC 3261 §22.2, §22.3, §22.4, §8.1.3.5; RFC 7616 §3.4
    "A1" "credentials-rejected" needs [CHALLENGE CREDENTIALS] [403], check
}

fn check(case: &Case<'_>) -> Option<Finding> {
    opening(case).or_else(|| locked(case)).or_else(|| inside(case))
}

/// The server refused the client for good, or locked it or its account out, because its credentials were wrong before.
fn locked(case: &Case<'_>) -> Option<Finding> {
    let lock = lock(case)?;
    let failure = case.failure_with(&[403])?;
    let (request, response) = (case.request(failure)?, case.response(failure));
    let count = lock.rejections.len();
    let is_sure = match lock.sign {
        Sign::Said | Sign::Before(_) => true,
        Sign::Unasked => count > 1,
        Sign::Again => count > 1 || case.quotation(response).is_some(),
    };
    let finding = Finding::of(&RULE, if is_sure { Confidence::Likely } else { Confidence::Possible })
        .explains(Some(failure.status))
        .sender(Role::Uac, request);
    if lock.sign == Sign::Again {
        return again(case, finding, &lock.rejections, (request, response));
    }
    let finding = finding.titled("The server locked the client out, because its credentials were refused");
    if !case.wants_words() {
        return Some(finding);
    }
    Some(LockedOut { case, request, response, lock }.told(finding))
}

/// A request of a client that was locked out.
struct LockedOut<'a> {
    case: &'a Case<'a>,
    request: &'a Heard,
    response: &'a Heard,
    lock: Lock<'a>,
}

impl LockedOut<'_> {
    /// The user whose credentials were refused, else the one that the request is from, else its address.
    fn user(&self) -> String {
        let of_from = || {
            let from = self.request.message.from()?.parsed();
            Some(from.bare_user().to_owned()).filter(|user| !user.is_empty())
        };
        let refused = self.lock.rejections.last().map(|one| one.credentials.username.clone());
        refused.or_else(of_from).unwrap_or_else(|| self.request.path.source.ip().to_string())
    }

    /// What the capture shows of the refusals before, as a sentence of its own.
    fn seen(&self) -> String {
        let client = self.request.path.source.ip();
        if let Sign::Before(before) = self.lock.sign {
            let since = length(self.request.place.time.since(before.forbidden.time));
            return format!(
                " {since} before, it had refused the digest in the REGISTER of user \"{}\" {} and then answered it \
                 with 403 as well.",
                self.user(),
                times(before.count)
            );
        }
        let known = self.case.surroundings.neighbours().guessing(client).map_or(0, |known| known.rejected);
        match u32::try_from(self.lock.rejections.len()).unwrap_or(u32::MAX) {
            0 if known > 0 => format!(" The capture shows that credentials of {client} were refused."),
            0 => String::new(),
            count => format!(
                " Before it {} had refused the digest of user \"{}\" {}.",
                self.response.path.source,
                self.user(),
                times(count)
            ),
        }
    }

    fn told(&self, finding: Finding) -> Finding {
        let (client, server, user) = (self.request.path.source, self.response.path.source, self.user());
        let what = match self.lock.sign {
            Sign::Said => "by its own words because credentials were wrong too often",
            Sign::Unasked | Sign::Again | Sign::Before(_) => {
                "and does not ask for credentials any more, as one does that locks out whose credentials are wrong"
            }
        };
        let finding = finding
            .because(format!(
                "{server} answers 403 to {client}, {what}{}.{}",
                self.case.said_beside_code(self.response),
                self.seen()
            ))
            .fix(format!(
                "Let {client} wait until {server} lifts the lock: each further try may make it longer. Or lift it \
                 there."
            ))
            .fix(format!(
                "Meanwhile correct the secret and the authentication user of \"{user}\" on the client: compare both \
                 with those on {server}."
            ))
            .fix(format!(
                "If nobody knows of such tries at {client}, look in the log of {server} who makes them as \"{user}\"."
            ));
        self.proved(finding)
            .refuted("refused-by-policy", "what came before it, or its words, speak of credentials")
            .refuted("address-of-record-refused", "what came before it, or its words, speak of credentials")
    }

    fn proved(&self, finding: Finding) -> Finding {
        if let Sign::Before(before) = self.lock.sign {
            let refused = before.with.to_string();
            return finding
                .claim_at(before.refused, "sip.Status-Code", refused, "the server refuses credentials, and asks again")
                .claim_at(before.forbidden, "sip.Status-Code", "403", "then it refuses the REGISTER, and asks no more")
                .claim_status(self.response, "and so it does with the call");
        }
        let finding = match self.lock.rejections.last() {
            Some(last) => finding
                .claim_auth(last.request, shown(last), "username", "the client shows credentials")
                .claim_status(last.refusal, "the server refuses them, and asks again"),
            None => finding,
        };
        finding
            .claim_status(self.response, "then it refuses, and asks no more")
            .claim_own_words(self.case, self.response)
    }
}

/// The credentials that were refused, as a claim finds them.
fn shown<'r>(rejection: &'r Rejection<'_>) -> (&'r str, &'r str) {
    (rejection.credentials.header, rejection.credentials.nonce.as_str())
}

/// The server had asked again for the credentials of this user, and in the end refuses them with 403.
fn again(
    case: &Case<'_>,
    finding: Finding,
    rejections: &[Rejection<'_>],
    (request, response): (&Heard, &Heard),
) -> Option<Finding> {
    let last = rejections.last()?;
    let (user, realm, server) = (&last.credentials.username, &last.credentials.realm, response.path.source);
    let of_last = shown(last);
    let shown = auth::credentials(&request.message).iter().find(|shown| shown.username == *user)?;
    let (quotation, or) = match case.quotation(response) {
        Some(words) => (format!("; {words}"), ""),
        None => (String::new(), ", or the server has locked the account meanwhile"),
    };
    let because = format!(
        "{server} refused the digest of user \"{user}\" for realm \"{realm}\" {} with a new challenge, and then with \
         403{quotation}. The client had used the nonce it had been given, and realm and algorithm fit, so the secret \
         or the user name is not the one the server knows{or}.",
        times(u32::try_from(rejections.len()).unwrap_or(u32::MAX)),
    );
    let mut finding = finding.because(because).fix(enter_anew(user, "the client", server)).fix(check_user(user));
    if let Some(step) = case.setting(Topic::Password, response) {
        finding = finding.fix(step.replace("{user}", user).replace("{realm}", realm));
    }
    Some(
        finding
            .claim_auth(last.request, of_last, "username", "the client shows credentials")
            .claim_status(last.refusal, "the server refuses them, and asks again")
            .claim_auth(
                request,
                (shown.header, &shown.nonce),
                "username",
                "the client shows credentials of the same user again",
            )
            .claim_status(response, "then it refuses, and asks no more")
            .claim_own_words(case, response)
            .refuted("forbidden-after-credentials", "the server had asked for the same credentials again before")
            .refuted("nonce-never-accepted", "the refusing responses do not say stale=true"),
    )
}

/// Credentials for a request inside a dialog (a change of media, a transfer, the BYE) are refused. The call itself
/// stands.
fn inside(case: &Case<'_>) -> Option<Finding> {
    let own =
        case.call.transactions.iter().filter(|transaction| transaction.in_dialog && transaction.upstream.is_none());
    let (transaction, request, refusal, shown, again) = own.clone().find_map(|transaction| {
        let request = case.call.request_of(transaction)?;
        let refusal =
            case.finals(transaction).find(|heard| heard.message.status().is_some_and(StatusCode::is_challenge))?;
        if names_nonce(&refusal.message) {
            return None;
        }
        // A server may ask once for each algorithm, and the client answers one of them (RFC 8760 §2.4).
        let (again, shown) =
            auth::challenges(&refusal.message).iter().filter(|again| !again.stale).find_map(|again| {
                let fits = |shown: &&auth::Credentials| {
                    shown.realm == again.realm && shown.algorithm.eq_ignore_ascii_case(&again.algorithm)
                };
                Some((again, auth::credentials(&request.message).iter().find(fits)?))
            })?;
        Some((transaction, request, refusal, shown, again))
    })?;
    let is_asked = |heard: &&Heard| {
        heard.place < request.place
            && heard.message.cseq().is_some_and(|cseq| cseq.method == transaction.method)
            && auth::challenges(&heard.message)
                .iter()
                .any(|asked| asked.realm == shown.realm && asked.nonce == shown.nonce)
    };
    let asked = case.call.messages.iter().filter(|heard| heard.message.status().is_some()).find(is_asked)?;
    let accepted = own.filter(|later| later.method == transaction.method && later.id != transaction.id).any(|later| {
        case.finals(later)
            .any(|heard| heard.place > refusal.place && heard.message.status().is_some_and(StatusCode::is_success))
    });
    if accepted {
        return None;
    }
    let status = refusal.message.status()?;
    let (user, realm, method) = (&shown.username, &shown.realm, &transaction.method);
    Some(
        Finding::of(&RULE, Confidence::Likely)
            .about(status)
            .severity(Severity::Warning)
            .sender(Role::Uac, request)
            .because(format!(
                "{} refused the digest of user \"{user}\" for realm \"{realm}\" that the {method} inside the call \
                 carries: the client used the nonce it had been given, and realm and algorithm fit. The {method} had \
                 no effect.",
                refusal.path.source
            ))
            .fix(format!("Compare the secret of \"{user}\" on the client with that on {}.", refusal.path.source))
            .claim_auth(asked, (again.header, &shown.nonce), "realm", "the server asks for credentials of this realm")
            .claim_auth(request, (shown.header, &shown.nonce), "realm", "the client answers for the same realm")
            .claim_status(refusal, "and the server refuses it"),
    )
}

fn opening(case: &Case<'_>) -> Option<Finding> {
    let rejection = case.rejection()?;
    let (asked, challenge) = rejection.asked.as_ref()?;
    if !case.is_of_the_secret(&rejection) {
        return None;
    }
    let fit = case.digest_fit(rejection.request, &rejection.credentials.username);
    let is_proven = matches!(fit, Some((DigestFit::Differs, _)));
    if !is_proven && case.let_in_around(&rejection).is_some() {
        return None;
    }
    let finding = Finding::of(&RULE, if is_proven { Confidence::Proven } else { Confidence::Likely })
        .explains(rejection.refusal.message.status())
        .sender(case.role_of_shower(&rejection), rejection.request);
    if !case.wants_words() {
        return Some(finding);
    }
    let finding = advised(case, finding.because(explanation(case, &rejection, fit)), &rejection);
    let rivals = [of_uri(&rejection), of_nonce(case, asked).to_owned()];
    Some(claimed(finding, asked, challenge, &rejection, rivals))
}

fn explanation(case: &Case<'_>, rejection: &Rejection<'_>, fit: Option<(DigestFit, String)>) -> String {
    let refusals = case.rejections().iter().filter(|one| one.again.realm == rejection.again.realm).count();
    let refusal = format!(
        "{} refused the digest of user \"{}\" for realm \"{}\" {}: the client used the nonce it had been given, and \
         realm and algorithm fit, so the secret or the user name is not the one the server knows.",
        case.challenger(rejection.refusal, &rejection.again).path.source,
        rejection.credentials.username,
        rejection.credentials.realm,
        times(refusals as u32)
    );
    match fit {
        Some((DigestFit::Differs, says)) => format!("{refusal} {says}."),
        Some((DigestFit::Fits, says)) => format!("{refusal} {says}: it is the server that knows another one."),
        None => refusal,
    }
}

fn advised(case: &Case<'_>, finding: Finding, rejection: &Rejection<'_>) -> Finding {
    let guesser = guessing(case, rejection.request);
    let for_operator = guesser.iter().flat_map(|guesser| for_operator(guesser, rejection.request));
    let finding = for_operator.fold(finding, |finding, step| finding.fix(step));
    match guesser.is_some_and(|guesser| guesser.accepted.is_some()) {
        true => finding,
        false => advised_for_client(case, finding, rejection),
    }
}

/// What is for the user of the client that showed the credentials.
fn advised_for_client(case: &Case<'_>, finding: Finding, rejection: &Rejection<'_>) -> Finding {
    let (user, realm) = (&rejection.credentials.username, &rejection.credentials.realm);
    let challenger = case.challenger(rejection.refusal, &rejection.again);
    let server = challenger.path.source;
    if rejection.credentials.is_aka() {
        return finding.fix(format!(
            "Compare the key of the subscriber \"{user}\" on the card (K, OPc) with that in the subscriber database \
             behind {server}: with AKA nobody enters a secret."
        ));
    }
    let from = rejection.request.message.from().map(|from| from.parsed().plain_user().into_owned()).unwrap_or_default();
    let holder = match case.role_of_shower(rejection) {
        Role::Proxy => format!("{}, which answers the challenges itself", rejection.request.path.source),
        _ => "the client".to_owned(),
    };
    let finding = finding.fix(enter_anew(user, &holder, server)).fix(match !from.is_empty() && from != *user {
        true => format!(
            "Check that \"{user}\" is the authentication user: From shows \"{from}\", and the server may expect that \
             name."
        ),
        false => check_user(user),
    });
    match case.setting(Topic::Password, challenger) {
        Some(step) => finding.fix(step.replace("{user}", user).replace("{realm}", realm)),
        None => finding,
    }
}

fn enter_anew(user: &str, holder: &str, server: SocketAddr) -> String {
    format!("Enter the secret of \"{user}\" anew on {holder}, and compare it with that on {server}.")
}

fn check_user(user: &str) -> String {
    format!("Check that \"{user}\" is the name of the authentication user: it may differ from the number or extension.")
}

/// What is known of a source that had credentials refused many times.
fn guessing<'a>(case: &Case<'a>, request: &Heard) -> Option<&'a Guessing> {
    let known = case.surroundings.neighbours().guessing(request.path.source.ip());
    known.filter(|known| known.rejected >= Guessing::MANY)
}

/// What is for whom runs the server, and not for a user: somebody may be guessing.
fn for_operator(known: &Guessing, request: &Heard) -> Vec<String> {
    let source = request.path.source.ip();
    let guess = format!(
        "Credentials of {source} were refused {} times: if it is no client of yours, somebody guesses passwords \
         there. Block {source} at the edge, and limit how often a source may try.",
        known.rejected
    );
    let let_in = known.accepted.as_ref().map(|_| {
        format!(
            "In the end {source} was let in: reset the secret of {}, and look at the calls made with it since.",
            guessed_account(source, known)
        )
    });
    [guess].into_iter().chain(let_in).collect()
}

/// With what proves it, and with the rivals that were checked.
fn claimed(
    finding: Finding,
    asked: &Heard,
    challenge: &auth::Challenge,
    rejection: &Rejection<'_>,
    [of_uri, of_nonce]: [String; 2],
) -> Finding {
    let of = |challenge: &auth::Challenge| (challenge.header, challenge.nonce.clone());
    let (header, nonce) = of(challenge);
    let (again_header, again_nonce) = of(&rejection.again);
    let shown = shown(rejection);
    finding
        .claim_auth(asked, (header, &nonce), "realm", "the server asks for credentials of this realm")
        .claim_auth(rejection.request, shown, "realm", "the client answers for the same realm")
        .claim_auth(rejection.request, shown, "username", "as this user")
        .claim_status(rejection.refusal, "the server asks again")
        .claim_auth(
            rejection.refusal,
            (again_header, &again_nonce),
            "realm",
            "for the same realm, and does not call the nonce stale",
        )
        .refuted("nonce-never-accepted", "the refusing response does not say stale=true")
        .refuted("realm-mismatch", format!("challenge and credentials both say \"{}\"", rejection.credentials.realm))
        .refuted("old-nonce-reused", of_nonce)
        .refuted("digest-uri-mismatch", of_uri)
        .refuted("challenge-not-answered", "the request was sent again with credentials")
}

/// Which nonce the credentials carry. A server that answers each copy of a request may give several.
fn of_nonce(case: &Case<'_>, asked: &Heard) -> &'static str {
    match case.call.transaction(asked.transaction).finals.len() {
        0 | 1 => "the credentials carry the nonce of the newest challenge",
        _ => "the credentials carry a nonce that the server gave for this request",
    }
}

fn of_uri(rejection: &Rejection<'_>) -> String {
    match rejection.is_for_other_uri() {
        true => format!(
            "the digest was made for {}, not for the Request-URI, but this server accepts such digests of this client",
            rejection.credentials.uri
        ),
        false => "the URI of the digest is the Request-URI".to_owned(),
    }
}
