use std::net::SocketAddr;

use crate::call::{Failure, Heard, Kind};
use crate::capture::Place;
use crate::catalogue::Topic;
use crate::diagnosis::lock::{LOCKED, lock};
use crate::diagnosis::platform::own_name;
use crate::diagnosis::rule::rule;
use crate::diagnosis::rules::routing::caller_identity_refused::speaks_of_caller;
use crate::diagnosis::said::OF_CREDENTIALS;
use crate::diagnosis::words::{length, sentence, times};
use crate::diagnosis::{Case, Confidence, Finding, Platform, Role, Try};
use crate::sip::StatusCode;
use crate::sip::auth::Credentials;
use crate::sip::digest::DigestFit;

rule! {
    /// The server refused the request after it had seen credentials.
    ///
    /// ## What it says
    /// The challenge was answered, and the challenger itself answered 403. It does not say whether it did so because of
    /// the credentials or because of what the account may do.
    ///
    /// ## Why it happens
    /// Most servers challenge a wrong secret again. So a call that gets 403 is mostly refused for what the account may
    /// do: the number dialled, the number shown, the dial plan. But some servers answer a wrong secret with 403 too,
    /// above all to REGISTER. Others refuse because the account is disabled, the address is not allowed, the user in
    /// From is not that of the credentials, or too many devices are registered.
    ///
    /// ## Evidence
    /// A challenge, the request again with credentials that carry its nonce, and 403 of the same server. It is likely
    /// where the phrase names the password or the account, and only possible where it names nothing.
    ///
    /// ## How to fix
    /// For a call, look at the permissions of the account, the dial plan and the caller's number first; for a
    /// registration, and with servers that are known to answer a wrong secret with 403, compare the secret first.
    ///
    /// ## When it would be wrong
    /// If the 403 names a policy or comes from behind the challenger, if the call had gone on before it, or if the same
    /// server had let the same client register as this user before: then the credentials were good, and
    /// `refused-by-policy` holds. If it speaks of the caller's number, or of another user in From, that is
    /// `caller-identity-refused`. If the server had asked again for the same credentials before, it is
    /// `credentials-rejected`.
    ///
    /// ## References
    /// RFC 3261 §21.4.4, §22.1
    "A7" "forbidden-after-credentials" needs [403 CREDENTIALS], check
}

/// Words that name a policy and not the credentials.
pub(in crate::diagnosis::rules) const POLICY: &[&str] = &[
    "barred",
    "barring",
    "blocked",
    "blacklist",
    "credit",
    "balance",
    "funds",
    "international",
    "destination",
    "premium",
    "limit",
    "exceeded",
    "caller id",
    "caller-id",
    "callerid",
    "roaming",
    "policy",
    "stale date",
    "relay",
    "no permission",
    "not permitted",
    "contacts",
    "too many registrations",
    "maximum registrations",
    "registrations reached",
    "third-party",
    "third party",
    "to watch",
    "ip address",
    "address not allowed",
    "awaiting validation",
];
/// Words that name the account.
const ACCOUNT: &[&str] = &[
    "unknown user",
    "user unknown",
    "no such user",
    "not exist",
    "account",
    "disabled",
    "suspended",
    "not provisioned",
];

/// What the refusal names as its ground.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ground {
    /// The credentials.
    Credentials,
    /// The account.
    Account,
    /// Neither.
    Unsaid,
    /// The device itself: it showed no response to the challenge, and so said that it does not trust it.
    Challenge,
}

/// The try of the failing request that showed credentials for a challenge, and got this refusal; and that challenge, if
/// it was captured. Credentials without a nonce name the user, and answer none (3GPP TS 24.229 §5.1.1.2); nor do those
/// by which a card says that the challenge is out of step (RFC 3310 §3.4).
pub(in crate::diagnosis::rules) fn refused_try<'a>(
    case: &Case<'a>,
    failure: &Failure,
) -> Option<(Try<'a>, Option<&'a Heard>)> {
    let shows = |one: &Try<'_>| one.credentials().iter().any(|shown| !shown.nonce.is_empty() && !shown.asks_for_step);
    let tries = case.tries();
    let refused = tries.iter().rfind(|one| one.status() == Some(failure.status) && shows(one))?.clone();
    let asked = case.asked_with_nonce_of(&refused);
    Some((refused, asked))
}

/// True if the refusal was made behind the server that asked for credentials.
pub(in crate::diagnosis::rules) fn is_behind(case: &Case<'_>, failure: &Failure) -> bool {
    case.outer_failure().is_some_and(|outer| outer.transaction != failure.transaction)
}

/// Why it is known that the challenger accepted the credentials of a request that it answered with 403 all the same;
/// `None` where that is not known.
pub(in crate::diagnosis) fn accepted(case: &Case<'_>, failure: &Failure) -> Option<String> {
    let (refused, asked) = refused_try(case, failure)?;
    let (asked, response) = (asked?, case.response(failure));
    let shown = refused.credentials().first()?;
    // In words of the account or its credentials the server says what is wrong with them.
    let is_doubted = case.blames_any(response, OF_CREDENTIALS)
        || case.says_any(response, ACCOUNT)
        || matches!(case.digest_fit(refused.request, &shown.username), Some((DigestFit::Differs, _)));
    // A registration is refused for its secret more often than for anything else, and that may change at any time.
    if is_doubted || case.call.kind == Kind::Registration {
        return None;
    }
    let gone_on = case
        .provisionals(refused.transaction)
        .find(|heard| heard.message.status().is_some_and(|status| (180..200).contains(&status.get())));
    if let Some(status) = gone_on.and_then(|heard| heard.message.status()) {
        return Some(format!("the call had gone on with {status} before it was refused"));
    }
    if let (Some(challenger), Some(maker)) = (own_name(asked), own_name(response))
        && challenger != maker
    {
        return Some(format!(
            "the refusal came from behind it: the challenge is from {challenger}, the 403 from {maker}"
        ));
    }
    let path = refused.request.path;
    let from = refused.request.message.from()?.parsed();
    // From of a call may show another user than the one whose credentials these are.
    let accounts = [(from.bare_user(), &from.host), (&shown.username, &from.host), (&shown.username, &shown.realm)];
    let known = accounts.iter().filter_map(|(user, host)| case.surroundings.registrations().of(user, host));
    let mut let_in = known.flat_map(|known| known.let_in(&shown.username, &refused.request.message, path));
    // Who is let in only later may have got another secret meanwhile.
    let was_let_in = let_in.any(|place| place < refused.request.place);
    was_let_in.then(|| format!("it had let \"{}\" register from {} before", shown.username, path.source.ip()))
}

/// True if a device answers a challenge of AKA with no response: so it says that the network's own proof in the
/// challenge is not right (3GPP TS 24.229 §5.1.1.5.3).
fn doubts_the_network(request: &Heard, shown: &Credentials) -> bool {
    shown.is_aka() && request.message.header_lines("Authorization").any(|line| line.contains("response=\"\""))
}

fn check(case: &Case<'_>) -> Option<Finding> {
    let refused = Refused::of(case)?;
    let response = refused.response;
    let finding = Finding::of(&RULE, refused.confidence())
        .explains(Some(refused.failure.status))
        .sender(case.role_of_responder(response), response);
    if !case.wants_words() {
        return Some(finding);
    }
    Some(
        refused
            .proved(refused.advised(finding.because(refused.explanation())))
            .claim_own_words(case, response)
            .refuted(
                "refused-by-policy",
                "neither Reason nor Warning nor phrase names a policy, and the server that asked for credentials \
                 refused itself",
            )
            .refuted("challenge-not-answered", "the request carries credentials"),
    )
}

/// A request that was refused after its credentials had been seen, where nothing says that they were good.
struct Refused<'a> {
    case: &'a Case<'a>,
    failure: &'a Failure,
    request: &'a Heard,
    response: &'a Heard,
    /// The challenge, if it was captured.
    asked: Option<&'a Heard>,
    shown: &'a Credentials,
    /// Whether the digest is that of the secret that was given, and the sentence that says so.
    fit: Option<(DigestFit, String)>,
    ground: Ground,
}

/// Another device whose wrong credentials have locked an account.
struct LockedBy {
    source: SocketAddr,
    count: u32,
    last: Place,
    with: StatusCode,
}

impl LockedBy {
    /// As the end of a sentence.
    fn sentence(&self, user: &str, request: &Heard) -> String {
        let before = length(request.place.time.since(self.last.time));
        let (source, times) = (self.source, times(self.count));
        format!(
            ". It had refused the digest of \"{user}\" in REGISTERs from {source} {times}, the last one {before} \
             before this"
        )
    }

    fn advised(&self, finding: Finding, user: &str, server: SocketAddr) -> Finding {
        let source = self.source;
        finding
            .party(Role::Uac, Some(source))
            .fix(format!("Look what {source} is: correct the secret of \"{user}\" there, or keep it from trying."))
            .fix(format!("Then unlock the account \"{user}\" on {server}, or wait until it does so itself."))
            .claim_at(self.last, "sip.Status-Code", self.with.to_string(), "another device showed a wrong secret")
    }
}

impl<'a> Refused<'a> {
    fn of(case: &'a Case<'a>) -> Option<Refused<'a>> {
        let failure = case.failure_with(&[403])?;
        let (refused, asked) = refused_try(case, failure)?;
        if asked.is_none() && case.call.kind != Kind::Registration {
            return None; // Calls are refused for what the account may do: `refused-by-policy`.
        }
        let response = case.response(failure);
        let names_credentials = case.blames_any(response, OF_CREDENTIALS);
        let names_account = case.says_any(response, ACCOUNT);
        let names_policy = case.says_any(response, POLICY) && !names_credentials && !names_account;
        if is_behind(case, failure)
            || names_policy
            || speaks_of_caller(case, response)
            || case.says_caller_unregistered(response)
            || case.q850(response).is_some()
        {
            return None;
        }
        if accepted(case, failure).is_some() || lock(case).is_some() {
            return None;
        }
        let (request, shown) = (refused.request, refused.credentials().first()?);
        let fit = case.digest_fit(request, &shown.username);
        let ground = match (names_credentials, names_account) {
            _ if doubts_the_network(request, shown) => Ground::Challenge,
            (true, _) => Ground::Credentials,
            (_, true) => Ground::Account,
            _ => Ground::Unsaid,
        };
        Some(Refused { case, failure, request, response, asked, shown, fit, ground })
    }

    fn confidence(&self) -> Confidence {
        match self.fit {
            Some((DigestFit::Differs, _)) => Confidence::Likely,
            _ if self.ground != Ground::Unsaid => Confidence::Likely,
            Some((DigestFit::Fits, _)) | None => Confidence::Possible,
        }
    }

    /// The user in From, if that is another than the one of the credentials. In an IMS network the private identity in
    /// the credentials is another one by design (3GPP TS 23.228 §4.3.3).
    fn other_user(&self) -> Option<String> {
        let from = self.request.message.from()?.parsed();
        let is_other = !from.user.is_empty() && *from.plain_user() != self.shown.username;
        (is_other && !self.shown.is_aka()).then(|| from.bare_user().to_owned())
    }

    fn explanation(&self) -> String {
        let (server, user) = (self.response.path.source, &self.shown.username);
        let shows = match self.ground {
            Ground::Challenge => "answered with an empty response",
            _ if self.asked.is_none() => "showed credentials",
            _ => "showed them",
        };
        let before = match self.asked {
            Some(_) => format!("{server} asked for credentials, user \"{user}\" {shows}"),
            None => format!("User \"{user}\" {shows} for a challenge that is not in this capture"),
        };
        let quotation = self.case.said_beside_code(self.response);
        let refusal =
            format!("{before}, and {server} answered 403 instead of going on{quotation}: {}.", self.meaning());
        match &self.fit {
            Some((DigestFit::Differs, says)) => format!("{refusal} {says}: the client has another."),
            Some((DigestFit::Fits, says)) => format!(
                "{refusal} {says}: if the server has that secret too, it refuses the account and not the secret."
            ),
            None => refusal,
        }
    }

    /// True if it says that the account is locked.
    fn is_locked(&self) -> bool {
        self.case.states_any(self.response, LOCKED)
    }

    /// The other device whose REGISTERs for the same user this server refused just before, for their credentials.
    fn locked_by(&self) -> Option<LockedBy> {
        let from = self.request.message.from()?.parsed();
        let known = self.case.surroundings.registrations();
        let known = known.of(&self.shown.username, &from.host).or_else(|| known.of(from.bare_user(), &from.host))?;
        let (own, server) = (self.request.path.source.ip(), self.response.path.source.ip());
        let refused = known.refused_digests(server, self.request.place.time);
        let by_other: Vec<_> = refused.filter(|(asked, _)| asked.source.ip() != own).collect();
        let (asked, last) = by_other.last().filter(|_| self.is_locked())?;
        let count = u32::try_from(by_other.len()).unwrap_or(u32::MAX);
        Some(LockedBy { source: asked.source, count, last: last.place, with: last.status })
    }

    /// What the refusal means.
    fn meaning(&self) -> String {
        let user = &self.shown.username;
        match self.ground {
            Ground::Credentials => {
                format!("the secret of \"{user}\" or its domain is wrong, by the server's own words")
            }
            Ground::Challenge => "the device could not tell by its card that the challenge comes from its own \
                                  network: most likely the key on the card and that in the subscriber database differ"
                .to_owned(),
            Ground::Account if self.is_locked() => {
                let by = self.locked_by().map(|by| by.sentence(user, self.request)).unwrap_or_default();
                format!("the account \"{user}\" is locked there, by the server's own words{by}")
            }
            Ground::Account => {
                format!("the account \"{user}\" is unknown there or not in use, by the server's own words")
            }
            Ground::Unsaid if is_of_the_secret_first(self.case, self.response) => {
                "the secret is wrong, or the account is not allowed to do this".to_owned()
            }
            Ground::Unsaid => "the account is not allowed to do this; or, where a server does not challenge again, \
                               the secret is wrong"
                .to_owned(),
        }
    }

    fn advised(&self, finding: Finding) -> Finding {
        let (server, user) = (self.response.path.source, &self.shown.username);
        let mut finding = self.advised_by_ground(finding);
        if let Some(from) = self.other_user() {
            finding = finding.fix(format!(
                "From shows \"{from}\" and the credentials \"{user}\": let both be the same, or allow the difference \
                 on {server}."
            ));
        }
        if self.ground == Ground::Unsaid && self.case.call.kind == Kind::Registration {
            finding = finding.fix(format!("Look whether \"{user}\" has more devices registered than {server} allows."));
        }
        finding
    }

    fn advised_by_ground(&self, finding: Finding) -> Finding {
        let (case, server, source) = (self.case, self.response.path.source, self.request.path.source.ip());
        let Credentials { username: user, realm, .. } = self.shown;
        let settings = case.settings(Topic::PasswordOrAccount, self.response);
        let compare = format!("compare the secret of \"{user}\" for realm \"{realm}\" on both sides{settings}.");
        match self.ground {
            Ground::Challenge => finding.fix(format!(
                "Compare the key of the subscriber \"{user}\" on the card (K, OPc) with that in the subscriber \
                 database behind {server}."
            )),
            Ground::Account if let Some(by) = self.locked_by() => by.advised(finding, user, server),
            Ground::Account if self.is_locked() => finding
                .fix(format!("Unlock the account \"{user}\" on {server}, or wait until it does so itself."))
                .fix(format!(
                    "Look in the log of {server} who tried \"{user}\" with a wrong secret before: another device with \
                     an old one, or somebody who guesses."
                )),
            Ground::Account => finding.fix(format!(
                "Look whether the account \"{user}\" exists on {server} and is enabled, in the domain \"{realm}\"."
            )),
            Ground::Credentials => finding.fix(sentence(&compare)),
            Ground::Unsaid if is_of_the_secret_first(case, self.response) => {
                finding.fix(sentence(&compare)).fix(format!("Look on {server} whether {source} may use this account."))
            }
            Ground::Unsaid => finding
                .fix(format!(
                    "Look on {server} what the account \"{user}\" may do: the number dialled (\"{}\"), the caller's \
                     number it may show, its dial plan, and whether {source} may use it.",
                    case.callee(self.failure)
                ))
                .fix(format!("Only if other requests with these credentials fail too, {compare}")),
        }
    }

    fn proved(&self, finding: Finding) -> Finding {
        let says = match self.ground {
            Ground::Challenge => "the device names itself, and shows no response",
            _ => "the client shows them",
        };
        let finding = match self.asked {
            Some(asked) => finding.claim_status(asked, "the server asks for credentials"),
            None => finding,
        };
        let finding = finding
            .claim_auth(self.request, (self.shown.header, &self.shown.nonce), "username", says)
            .claim_status(self.response, "the server refuses the request");
        match self.other_user() {
            Some(from) => {
                finding.claim(self.request, "sip.from.user", from, "From names another user than the credentials")
            }
            None => finding,
        }
    }
}

/// True if a wrong secret is the first thing to look at: at a registration there is nothing else to be allowed, and
/// some servers are known to answer it with 403.
fn is_of_the_secret_first(case: &Case<'_>, response: &Heard) -> bool {
    let answers_so = matches!(case.platform(response), Some(Platform::FreeSwitch | Platform::Asterisk));
    case.call.kind == Kind::Registration || answers_so
}
