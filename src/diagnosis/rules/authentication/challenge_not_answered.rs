use crate::call::{Heard, timer};
use crate::catalogue::Topic;
use crate::diagnosis::rule::rule;
use crate::diagnosis::rules::noise::probe_noise::is_probe;
use crate::diagnosis::tries::{passed_over, what_followed};
use crate::diagnosis::words::{length, times};
use crate::diagnosis::{Asked, Case, Confidence, Finding, Role, Try};
use crate::sip::auth::{self, Challenge};
use crate::sip::{Method, StatusCode};

rule! {
    /// The server asked for credentials, and the client never sent any.
    ///
    /// ## What it says
    /// The call ended at the challenge: the request did not come again with credentials.
    ///
    /// ## Why it happens
    /// The client has no credentials for this realm; or it relies on being known by its address, and the server does
    /// not recognise that address.
    ///
    /// ## Evidence
    /// A final 401 or 407, and for 32 s no request of the same Call-ID with credentials for it; requests that begin
    /// anew without any do not begin that time anew. Or the same of a BYE, and no other BYE was accepted.
    ///
    /// ## How to fix
    /// Give the client credentials for the realm; or let the server recognise the client's address.
    ///
    /// ## When it would be wrong
    /// If the client tries again under another Call-ID; if the capture ends too early; if credentials were sent and
    /// refused before, the fault lies there.
    ///
    /// ## References
    /// RFC 3261 §22.2, §22.3, §8.1.3.5
    "A5" "challenge-not-answered" needs [REFUSED CHALLENGE] [BYE CHALLENGE], check
}

fn check(case: &Case<'_>) -> Option<Finding> {
    of_opening(case).or_else(|| of_bye(case))
}

/// The request that opens the call, or the registration, ended at the challenge.
fn of_opening(case: &Case<'_>) -> Option<Finding> {
    let failure = case.challenge()?;
    let rejection = case.rejection();
    if rejection.as_ref().is_some_and(|rejection| rejection.asked.is_some()) || case.is_scan() {
        return None;
    }
    // Whoever only wants to know whether the peer is alive has its answer (`probe-noise`).
    if rejection.is_none() && is_probe(case, failure) {
        return None;
    }
    let response = case.response(failure);
    let tries = case.tries();
    let last = tries.iter().rev().find(|one| one.response.is_some_and(|heard| heard.id == response.id))?.clone();
    let Some(challenge) = last.challenges().first() else { return without_challenge(case, last.request, response) };
    if tried_elsewhere(case, &last, response) || case.call.is_tried_again_unseen(last.transaction) {
        return None;
    }
    let first = first_unanswered(case, passed_over(&tries)).unwrap_or(response);
    let shows_older = rejection.is_some();
    let is_of_realm = |one: &Try<'_>| one.credentials().iter().any(|shown| shown.realm == challenge.realm);
    let answers = if shows_older { None } else { tries.iter().find(|one| is_of_realm(one)).map(|one| one.request) };
    let status = failure.status;
    let unanswered = Unanswered { case, status, tries, last, challenge, response, first, shows_older, answers };
    let finding = Finding::of(&RULE, unanswered.confidence())
        .explains(Some(failure.status))
        .sender(Role::Uac, unanswered.last.request);
    if !case.wants_words() {
        return Some(finding);
    }
    Some(unanswered.proved(unanswered.advised(finding.because(unanswered.explanation()))))
}

/// A challenge at which the matter ended.
struct Unanswered<'a> {
    case: &'a Case<'a>,
    status: StatusCode,
    tries: Vec<Try<'a>>,
    /// The try that got it.
    last: Try<'a>,
    challenge: &'a Challenge,
    response: &'a Heard,
    /// The first challenge that the client passed over.
    first: &'a Heard,
    /// True if the request showed credentials with a nonce whose challenge is not in the capture.
    shows_older: bool,
    /// A try before this one in which the client showed credentials for the realm.
    answers: Option<&'a Heard>,
}

impl Unanswered<'_> {
    fn confidence(&self) -> Confidence {
        match (self.case.tail(self.first.place) >= timer::GIVE_UP, self.shows_older) {
            // Where messages are cut, credentials may stand behind the cut.
            (true, false) if self.last.request.message.is_cut() || self.lacks_next_try() => Confidence::Possible,
            // Who has credentials mostly sends them, and the capture may lack that.
            (true, false) if self.answers.is_some() => Confidence::Likely,
            (true, false) => Confidence::Proven,
            // The secret in credentials that came unasked may be wrong too.
            (true, true) => Confidence::Possible,
            (false, _) => Confidence::Unseen,
        }
    }

    /// True if a request with credentials may have followed that the capture lacks.
    fn lacks_next_try(&self) -> bool {
        self.case.capture.drops > 0 || self.case.lacks_next_try(self.last.request, self.response)
    }

    /// True if credentials may stand behind the cut.
    fn is_unread(&self) -> bool {
        !self.shows_older && self.last.request.message.has_cut_head()
    }

    /// True if it asks for tokens, and offers no digest.
    fn is_of_token(&self) -> bool {
        self.last.challenges().iter().all(|one| one.scheme.eq_ignore_ascii_case("Bearer"))
    }

    fn explanation(&self) -> String {
        let (client, challenger) = (self.last.request.path.source, self.case.challenger(self.response, self.challenge));
        let wanted = match self.is_of_token() {
            true => "an access token (scheme Bearer, RFC 8898), and no digest".to_owned(),
            false => format!("credentials of realm \"{}\"", self.challenge.realm),
        };
        format!(
            "{} answered {} with {} and asked for {wanted}; {client} {}{}.",
            challenger.path.source,
            self.last.transaction.method.name(),
            self.status,
            self.what_client_did(),
            self.how_often_anew()
        )
    }

    fn what_client_did(&self) -> &'static str {
        match self.shows_older {
            false if self.is_unread() => "showed none before the cut",
            false if self.confidence() == Confidence::Unseen => "had sent none when the capture ends",
            false if self.lacks_next_try() => "sent none that is in this capture, which lacks packets",
            false if self.answers.is_some() => "sent none this time, though it had shown some for this realm before",
            false => "never sent any",
            true => {
                "had shown some with another nonce, whose challenge is not in this capture, and did not try again with \
                 the new one: it does not take the new nonce, or gave up because its secret was refused"
            }
        }
    }

    fn how_often_anew(&self) -> String {
        match passed_over(&self.tries).len().saturating_sub(1) {
            0 => String::new(),
            again => format!(
                ", and began anew{} {} within {}",
                if self.is_unread() { "" } else { " without them" },
                times(u32::try_from(again).unwrap_or(u32::MAX)),
                length(self.response.place.time.since(self.first.place.time))
            ),
        }
    }

    fn advised(&self, finding: Finding) -> Finding {
        let (case, request) = (self.case, self.last.request);
        let (client, challenger) = (request.path.source, case.challenger(self.response, self.challenge));
        let server = challenger.path.source;
        if self.answers.is_some() {
            return finding
                .fix(format!(
                    "Look at {client} for why it did not answer this challenge: it has credentials for the realm."
                ))
                .fix("Or capture again: if packets were missed, it may have answered.");
        }
        let finding = match self.is_of_token() {
            true => finding
                .fix(format!(
                    "If {client} is to authenticate, let it get an access token from the authorization server that \
                     the challenge names."
                ))
                .fix(format!("If {client} knows no tokens, let {server} offer a digest as well.")),
            false => finding.fix(format!(
                "If {client} is to authenticate, give it an authentication user and secret for realm \"{}\"{}.",
                self.challenge.realm,
                case.settings(Topic::OutboundCredentials, request)
            )),
        };
        finding.fix(format!(
            "If {client} is to be recognised by its address, {server} does not know this address: enter {} there{}.",
            client.ip(),
            case.settings(Topic::AddressNotKnown, challenger)
        ))
    }

    fn proved(&self, finding: Finding) -> Finding {
        let challenge = self.challenge;
        let finding = of_first_credentials(finding, &self.last, challenge)
            .claim_status(self.response, "the server asks for credentials")
            .claim_auth(self.response, (challenge.header, &challenge.nonce), "realm", "of this realm");
        if self.is_unread() {
            return finding;
        }
        let (method, header) = (self.last.transaction.method.name(), header_that_answers(challenge));
        let absent = format!("{method} with {header} after the challenge");
        let followed = what_followed(passed_over(&self.tries));
        if let Some(before) = self.answers {
            return finding.claim(before, "sip.Method", method, "it carries credentials for this realm").claim_absent(
                self.first.place,
                absent,
                followed,
            );
        }
        let why_not_rejected = match self.shows_older {
            false => "no credentials were sent that the server could have refused",
            true => "the credentials carried an older nonce, so the server need not have looked at the secret",
        };
        finding.claim_absent(self.first.place, absent, followed).refuted("credentials-rejected", why_not_rejected)
    }
}

/// A 401 or 407 without the header that it must carry: no client can answer that (RFC 3261 §21.4.1, §21.4.8, §22.1).
fn without_challenge(case: &Case<'_>, request: &Heard, response: &Heard) -> Option<Finding> {
    let status = response.message.status()?;
    let (header, place) = match status.get() {
        407 => ("Proxy-Authenticate", "Proxy-Authorization"),
        _ => ("WWW-Authenticate", "Authorization"),
    };
    if response.message.is_cut() || !response.message.oddities().is_empty() || response.message.header(header).is_some()
    {
        return None;
    }
    let (client, server) = (request.path.source, response.path.source);
    let mut behind = case.call.downstream_of(response.transaction).flat_map(|inner| case.finals(inner));
    let given = behind.find(|heard| heard.message.header(header).is_some());
    let taken_out = match given {
        Some(given) => format!(" That of {} did carry one: {server} took it out.", given.path.source),
        None => String::new(),
    };
    let finding = match given {
        Some(given) => {
            Finding::of(&RULE, Confidence::Proven).claim_header(given, header, "the challenge that was given")
        }
        None => Finding::of(&RULE, Confidence::Proven),
    };
    Some(
        finding
            .titled("The server asks for credentials and gives no challenge to answer")
            .explains(Some(status))
            .sender(case.role_of_responder(response), response)
            .because(format!(
                "{server} answered {} with {status}, and its response carries no {header}: without realm and nonce \
                 {client} cannot make credentials.{taken_out}",
                request.message.method()?.name()
            ))
            .fix(format!(
                "Let {server} send {header} with each {status}, or another code if it wants no credentials (RFC 3261 \
                 §22.1)."
            ))
            .fix(format!("Look whether something between {server} and {client} takes that header out."))
            .claim_method(request, "what was asked")
            .claim_status(
                response,
                format!("the server asks for credentials, and nothing that {place} could answer stands there"),
            ),
    )
}

/// The first challenge that the client passed over, if it did not try elsewhere after any of them.
fn first_unanswered<'a>(case: &Case<'a>, passed: &[Try<'a>]) -> Option<&'a Heard> {
    let elsewhere = |one: &Try<'_>| one.response.is_some_and(|response| tried_elsewhere(case, one, response));
    if passed.iter().any(elsewhere) {
        return None;
    }
    passed.first()?.response
}

/// Each BYE was asked for credentials, and the last one did not come again: to the other side the call is still up
/// (RFC 3261 §15.1.2).
fn of_bye(case: &Case<'_>) -> Option<Finding> {
    let is_challenged =
        |bye: &Asked<'_>| case.call.final_status_of(bye.transaction).is_some_and(StatusCode::is_challenge);
    if !case.asked_first(&Method::Bye).all(|bye| is_challenged(&bye)) || case.call.unseen(&Method::Bye).next().is_some()
    {
        return None;
    }
    let bye = case.asked_first(&Method::Bye).last()?;
    let response = case.call.final_of(bye.transaction)?;
    let challenge = auth::challenges(&response.message).first()?;
    if !auth::credentials(&bye.request.message).is_empty() {
        return None;
    }
    let confidence = match case.tail(response.place) >= timer::GIVE_UP {
        true if case.may_lack_what_followed(bye.request) => Confidence::Possible,
        true => Confidence::Proven,
        false => Confidence::Unseen,
    };
    let (client, server) = (bye.request.path.source, response.path.source);
    let then = match confidence {
        Confidence::Unseen => "had sent none when the capture ends.",
        Confidence::Possible => "sent none that is in this capture, which lacks packets.",
        _ => "never sent any, nor another BYE. To the other side the call may still be up, and billed.",
    };
    Some(
        Finding::of(&RULE, confidence)
            .explains(case.call.final_status)
            .drops_the_call()
            .sender(case.side(bye.request).role(), bye.request)
            .because(format!(
                "{client} hung up, {server} answered its BYE with {} and asked for credentials of realm \"{}\"; \
                 {client} {then}",
                response.message.status()?,
                challenge.realm
            ))
            .fix(format!("Let {client} answer challenges to its BYE as it does those to its INVITE."))
            .fix(format!("Or let {server} ask for no credentials inside a call that it has accepted."))
            .fix("Let session timers (RFC 4028) or media inactivity end calls whose BYE is not accepted.")
            .claim_method(bye.request, "one side hangs up")
            .claim_status(response, "the server asks for credentials")
            .claim_auth(response, (challenge.header, &challenge.nonce), "realm", "of this realm")
            .claim_absent(
                response.place,
                format!("BYE with {} after the challenge", header_that_answers(challenge)),
                format!("the capture goes on for {}", length(case.tail(response.place))),
            )
            .refuted("bye-unanswered", "the BYE was answered, with a challenge"),
    )
}

/// The first request may have carried credentials for another challenger.
fn of_first_credentials(finding: Finding, last: &Try<'_>, challenge: &Challenge) -> Finding {
    match last.credentials().first() {
        Some(shown) if shown.realm != challenge.realm => finding.claim_auth(
            last.request,
            (shown.header, &shown.nonce),
            "realm",
            "the credentials in the request are for another challenger",
        ),
        _ => finding,
    }
}

fn header_that_answers(challenge: &Challenge) -> &'static str {
    if challenge.header == "Proxy-Authenticate" { "Proxy-Authorization" } else { "Authorization" }
}

/// True if the same caller showed credentials from this address soon after: under another Call-ID.
fn tried_elsewhere(case: &Case<'_>, last: &Try<'_>, response: &Heard) -> bool {
    const SOON: std::time::Duration = std::time::Duration::from_secs(5);
    let Some(from) = last.request.message.from() else { return false };
    let (start, end) = (response.place.time, response.place.time.plus(SOON));
    last.credentials().is_empty()
        && case.surroundings.accepted().showed_credentials(last.request.path.source.ip(), &from.uri, start, end)
}
