use std::net::SocketAddr;

use crate::call::{Failure, Heard, Kind};
use crate::catalogue::Topic;
use crate::diagnosis::account::TWILIO;
use crate::diagnosis::announced::Told;
use crate::diagnosis::lock::lock;
use crate::diagnosis::rule::rule;
use crate::diagnosis::rules::authentication::address_of_record_refused::{OF_NUMBER, OF_TRANSPORT, count_devices};
use crate::diagnosis::rules::authentication::forbidden_after_credentials::{POLICY, accepted, is_behind, refused_try};
use crate::diagnosis::rules::routing::{caller_identity_refused, rejected_by_callee};
use crate::diagnosis::said::OF_CREDENTIALS;
use crate::diagnosis::words::a_code;
use crate::diagnosis::{Case, Confidence, Finding, Platform};
use crate::sip::{StatusCode, auth};

rule! {
    /// The server understood the request and does not allow it.
    ///
    /// ## What it says
    /// A rule of the server, the account or the network forbids this call. It is not a matter of credentials.
    ///
    /// ## Why it happens
    /// The caller's address is not on a list, the destination is barred for this account, the balance is used up, or a
    /// limit of the account is reached.
    ///
    /// ## Evidence
    /// 403 although nothing was challenged and nothing had rung; or 403 after good credentials: it names a policy or
    /// comes from behind the challenger, the call had gone on before it, or the same server had let the same user
    /// register; 402; a Q.850 cause that speaks of barring or of a subscription. Or 403, 404, 408 or 480 whose words
    /// say that who calls is not registered; or 404, 480, 603 or 604 to a call whose words name the state of an account
    /// (possible), where nothing rang and no device of the callee is seen to be registered there.
    ///
    /// ## How to fix
    /// Read what the server says of itself, and look at the permissions of the account there, its dial plan and the
    /// numbers that it may show. Let nobody in who floods the server or tries one user after the other.
    ///
    /// ## When it would be wrong
    /// A 403 of the challenger right after credentials may mean a wrong secret: `forbidden-after-credentials`.
    ///
    /// ## References
    /// RFC 3261 §21.4.4, §21.4.3
    "E1" "refused-by-policy" needs [402 403 404 408 480 603 604] [REFUSED REASON], check
}

/// Q.850 causes that speak of what is allowed.
const CAUSES: &[(u32, &str)] = &[
    (21, "the call was rejected"),
    (50, "the facility is not part of the subscription"),
    (52, "outgoing calls are barred"),
    (53, "outgoing calls are barred in this closed user group"),
    (54, "incoming calls are barred"),
    (55, "incoming calls are barred in this closed user group"),
    (57, "this kind of call is not allowed for the caller"),
    (63, "a service or option is not available"),
    (87, "the callee is not a member of the closed user group"),
];
/// Two of them that are also sent for want of a better one, and by a callee's device: they name no policy by themselves
/// (RFC 3398 §7.2.4.1).
const VAGUE: [u32; 2] = [21, 63];
/// Words of responses that other rules explain.
const OTHERS: &[&str] = &["stale date", "network blocked", "v=analytics"];

fn check(case: &Case<'_>) -> Option<Finding> {
    let failure = case.failure()?;
    let response = case.response(failure);
    let is_barred = || case.told(response).is_some_and(|told| is_barring(told.cause));
    if let Some(finding) = of_unregistered_caller(case, failure) {
        return Some(finding);
    }
    let is_refusal = matches!(case.code(failure), 402 | 403 | 603) || case.is_refused_for_account(failure);
    if !is_refusal && (!is_barred() || failure.status.get() < 400) {
        return None;
    }
    if case.says_any(response, OTHERS) || lock(case).is_some() || case.call.kind == Kind::Options || case.is_scan() {
        return None;
    }
    let ground = ground(case, failure, response)?;
    if caller_identity_refused::speaks_of_caller(case, response) {
        return None;
    }
    let request = case.request(failure)?;
    let finding = Finding::of(&RULE, ground.confidence)
        .explains(Some(failure.status))
        .sender(case.role_of_responder(response), response);
    if !case.wants_words() {
        return Some(finding);
    }
    let callee = who_was_asked_for(case, failure, request);
    let because = format!(
        "{} does not allow the {} to \"{callee}\": {}{}{}{}.",
        response.path.source,
        request.message.method()?.name(),
        failure.status,
        ground.words,
        case.said_beside_code(response),
        if ground.is_of_account { case.told_by_twilio(response) } else { String::new() }
    );
    let mut finding = match case.suspicion(request) {
        Some(suspicion) => of_attack(finding, because, (request, response), &suspicion),
        None => of_peer(case, finding.because(because), &ground, request, response, &callee),
    };
    finding = finding
        .claim_request_uri(request, "what was asked for")
        .claim_status(response, "it is not allowed")
        .claim_own_words(case, response);
    if ground.is_of_account {
        finding = refuting_callee(finding.claim_header(response, TWILIO, "why, as Twilio says"), failure);
    }
    if let Some(told) = case.announced(response) {
        finding = told.claimed(finding, "the ground that the network gives");
    }
    Some(refuting_credentials(case, failure, finding, ground))
}

/// The finding with why the callee, or the number, is not the ground.
fn refuting_callee(finding: Finding, failure: &Failure) -> Finding {
    let rival = match failure.status.get() {
        480 => "callee-unreachable",
        603 => "rejected-by-callee",
        _ => "number-not-routable",
    };
    finding.refuted(rival, "its words speak of an account, and not of the callee")
}

/// Whom a request was for: at a registration the user who was to be registered.
fn who_was_asked_for(case: &Case<'_>, failure: &Failure, request: &Heard) -> String {
    match (case.call.kind, request.message.to()) {
        (Kind::Registration, Some(to)) if !to.parsed().user.is_empty() => to.parsed().bare_user().to_owned(),
        _ => case.callee(failure),
    }
}

/// The finding with why it is not the credentials that were refused.
fn refuting_credentials(case: &Case<'_>, failure: &Failure, finding: Finding, ground: Ground<'_>) -> Finding {
    if let Some(asked) = ground.asked {
        return finding
            .claim_status(asked, "credentials were asked for, and shown")
            .refuted("credentials-rejected", "the refusal is no challenge, and its ground is not the credentials")
            .refuted("forbidden-after-credentials", ground.why_not_credentials);
    }
    if shows_credentials(case, failure) {
        return finding.refuted("credentials-rejected", "the refusal is no challenge");
    }
    finding
        .refuted("forbidden-after-credentials", "no challenge came before")
        .refuted("credentials-rejected", "no credentials were asked for")
}

/// The server takes calls only of who is registered, and says that this caller is not: it tells nothing of the callee.
fn of_unregistered_caller(case: &Case<'_>, failure: &Failure) -> Option<Finding> {
    let (request, response) = (case.request(failure)?, case.response(failure));
    let is_call = matches!(case.call.kind, Kind::Call | Kind::Message);
    let is_such = is_call && matches!(failure.status.get(), 403 | 404 | 408 | 480);
    if !is_such || !case.says_caller_unregistered(response) || case.is_scan() {
        return None;
    }
    let finding = Finding::of(&RULE, Confidence::Likely)
        .explains(Some(failure.status))
        .titled(match case.call.kind {
            Kind::Call => "The server takes no calls of a caller that is not registered",
            _ => "The server takes nothing of a sender that is not registered",
        })
        .sender(case.role_of_sender(request), request);
    if !case.wants_words() {
        return Some(finding);
    }
    let (client, server, code) = (request.path.source, response.path.source, failure.status);
    let from = request.message.from().map(|from| from.parsed().bare_user().to_owned()).filter(|user| !user.is_empty());
    let caller = from.map_or_else(|| client.to_string(), |user| format!("\"{user}\""));
    let quotation = case.said_beside_code(response);
    Some(
        finding
            .because(format!(
                "{server} refused the {} of {caller} with {code}, because the caller, or the trunk by which it calls, \
                 is not registered there{quotation}. It says nothing of \"{}\".",
                case.noun(),
                case.callee(failure)
            ))
            .fix(format!(
                "Look whether {client} is registered on {server} as {caller}, and what answer its REGISTER gets."
            ))
            .fix(format!("If it is to call without a registration, let {server} know {} as a peer.", client.ip()))
            .claim_header(request, "From", "who calls")
            .claim_status(response, "it is refused")
            .claim_own_words(case, response)
            .refuted("callee-unreachable", "its words speak of the caller, and not of the callee")
            .refuted("number-not-routable", "its words speak of the caller, and not of the number"),
    )
}

/// Advice about a source that looks like an attack: the refusal is right until somebody knows that source.
fn of_attack(finding: Finding, because: String, (request, response): (&Heard, &Heard), suspicion: &str) -> Finding {
    let (source, server) = (request.path.source.ip(), response.path.source);
    finding
        .because(format!("{because} {source} {suspicion}: if nobody knows it as a peer, the refusal is right."))
        .fix(format!("Drop the traffic of {source} at the edge, unless it is a peer or a test of your own."))
        .fix(format!("Only if it is such a peer, look why {server} does not know its address."))
}

/// Advice about an account that is not in order.
fn of_account(finding: Finding, request: &Heard, server: SocketAddr) -> Finding {
    finding
        .fix(format!(
            "Look on {server} at the account by which {} calls: whether it is suspended or blocked, and at its balance.",
            request.path.source.ip()
        ))
        .fix(format!(
            "If it is in order, ask the operator of {server} with the Call-ID which account its refusal means: that of \
             the callee is not excluded."
        ))
}

/// Advice about a peer that is refused.
fn of_peer(
    case: &Case<'_>,
    finding: Finding,
    ground: &Ground<'_>,
    request: &Heard,
    response: &Heard,
    callee: &str,
) -> Finding {
    let server = response.path.source;
    if ground.is_of_account {
        return of_account(finding, request, server);
    }
    let first = match response.message.status().map(StatusCode::get) {
        Some(402) => format!("Look at the balance and the state of the account on {server}."),
        // What a cause of barring proves is named; a 603 without one is told by its words, or by whose software it is.
        Some(603) if ground.confidence != Confidence::Proven => of_server_that_declines(case, response),
        _ if ground.is_named => {
            format!("Allow this on {server} for the account, or have its operator do so: it names the ground itself.")
        }
        _ if ground.asked.is_some() && !ground.is_behind => format!(
            "Look on {server} what the account may do: the number dialled (\"{callee}\"), the caller's number that it \
             may show, and its dial plan. The secret is right."
        ),
        _ if ground.asked.is_some() => format!(
            "Look on {server} what it allows to {}: the number dialled (\"{callee}\"), the caller's number, and \
             whether the address is known there as this peer{}. The secret of the caller is right.",
            request.path.source.ip(),
            case.settings(Topic::AddressRefused, response)
        ),
        _ => format!(
            "Look on {server} whether the address {} is known there as this peer{}.",
            request.path.source.ip(),
            case.settings(Topic::AddressRefused, response)
        ),
    };
    if !matches!(case.call.kind, Kind::Call | Kind::Message) {
        let finding = match case.says_any(response, OF_NUMBER) {
            true => finding.fix(count_devices(server, callee)),
            false => finding,
        };
        return finding
            .fix(first)
            .fix(format!("Ask the operator of {server} with the Call-ID: its log names the rule that refused it."));
    }
    finding
        .fix(first)
        .fix(format!(
            "Compare with a call through {server} that succeeds: the number dialled (\"{callee}\"), From, and \
             P-Asserted-Identity."
        ))
        .fix(format!(
            "If nothing differs, ask the operator of {server} with the Call-ID: its log names the rule that refused \
             it."
        ))
}

/// True if the request that was refused carries credentials, or the capture does not hold all of it.
fn shows_credentials(case: &Case<'_>, failure: &Failure) -> bool {
    case.request(failure)
        .is_some_and(|request| request.message.is_cut() || !auth::credentials(&request.message).is_empty())
}

/// Why a refusal is one of policy.
struct Ground<'a> {
    confidence: Confidence,
    /// What follows the code in the explanation.
    words: String,
    /// True if the response names the policy.
    is_named: bool,
    /// The challenge that was answered before.
    asked: Option<&'a Heard>,
    /// True if another server refused than the one that asked for credentials.
    is_behind: bool,
    /// True if it names the state of an account.
    is_of_account: bool,
    why_not_credentials: String,
}

/// What a refusal names.
struct Named<'a> {
    code: u16,
    told: Option<Told<'a>>,
    /// What its cause means.
    meaning: Option<&'static str>,
    names_policy: bool,
    /// True if it names the state of an account.
    is_of_account: bool,
}

impl<'a> Named<'a> {
    /// `None` if it names what other rules tell of.
    fn of(case: &Case<'a>, failure: &Failure, response: &'a Heard) -> Option<Named<'a>> {
        let code = case.code(failure);
        let told = case.told(response);
        let cause = told.map(|told| told.cause);
        let meaning = CAUSES.iter().find(|(known, _)| Some(*known) == cause).map(|(_, meaning)| *meaning);
        if case.telling_cause(response).is_some() && meaning.is_none() && code != 603 {
            return None;
        }
        let is_of_account = case.is_refused_for_account(failure);
        let says_policy = case.says_any(response, POLICY) && !case.blames_any(response, OF_CREDENTIALS);
        let names_policy = says_policy || is_of_account;
        if code == 403 && !names_policy && rejected_by_callee::is_of_user(case, failure, response) {
            return None;
        }
        Some(Named { code, told, meaning, names_policy, is_of_account })
    }

    /// True if it names a policy, by its words, its cause or its code.
    fn is_of_policy(&self) -> bool {
        self.names_policy || self.told.is_some_and(|told| is_barring(told.cause)) || self.code == 402
    }

    /// True if it names a ground at all: whatever that means, it is not the credentials.
    fn has_ground(&self) -> bool {
        self.is_of_policy() || self.meaning.is_some()
    }

    fn confidence(&self) -> Confidence {
        let is_own = self.names_policy || self.code == 402 || self.told.is_some_and(|told| !told.is_announced());
        if self.is_of_policy() && is_own { Confidence::Proven } else { Confidence::Likely }
    }

    /// Its cause, as it follows the code.
    fn cause_words(&self) -> String {
        match (self.told, self.meaning) {
            (Some(told), Some(meaning)) if told.is_announced() => {
                format!(", after {} with Q.850 cause {} ({meaning})", a_code(told.bearer), told.cause)
            }
            (Some(told), Some(meaning)) => format!(" with Q.850 cause {} ({meaning})", told.cause),
            _ => String::new(),
        }
    }

    /// True if its cause bars the call: Asterisk, whose dialplan ended, writes 50 for no ground of the network.
    fn is_barred(&self, case: &Case<'_>, response: &'a Heard) -> bool {
        let is_asterisk = || case.platform(response) == Some(Platform::Asterisk);
        self.told.is_some_and(|told| is_barring(told.cause) && !(told.cause == 50 && is_asterisk()))
    }
}

fn ground<'a>(case: &Case<'a>, failure: &Failure, response: &'a Heard) -> Option<Ground<'a>> {
    let named = Named::of(case, failure, response)?;
    let (code, cause_words, has_ground) = (named.code, named.cause_words(), named.has_ground());
    let asked = refused_try(case, failure).and_then(|(_, asked)| asked);
    let is_behind = is_behind(case, failure);
    let ground = |words: String, why: &str| {
        let (confidence, is_named, why_not_credentials) = (named.confidence(), named.is_of_policy(), why.to_owned());
        let is_of_account = named.is_of_account;
        Some(Ground { confidence, words, is_named, asked, is_behind, is_of_account, why_not_credentials })
    };
    if named.is_of_account || code == 603 && !named.is_barred(case, response) {
        // It is a server's own: it names a policy, or comes of the dialplan.
        let is_own = named.names_policy || is_end_of_dialplan(case, failure, response);
        let why = match asked {
            Some(_) => "the response names another ground than the credentials",
            None => "nothing was challenged",
        };
        let found = ground(cause_words, why);
        return found.filter(|_| is_own).map(|found| Ground { confidence: Confidence::Possible, ..found });
    }
    match asked {
        None if case.call.kind == Kind::Registration => {
            let is_of_way = code == 403 && case.blames_any(response, OF_TRANSPORT);
            ground(format!("{cause_words}, for the way by which it came"), "").filter(|_| is_of_way)
        }
        None if has_ground => ground(cause_words, ""),
        // The challenge lies before the capture, or in an earlier call.
        None if shows_credentials(case, failure) => {
            let what = match case.request(failure).is_some_and(|request| request.message.is_cut()) {
                true => "a request of which only the beginning was captured",
                false => "credentials whose challenge was not captured",
            };
            let words = format!("{cause_words}, to {what}");
            ground(words, "").map(|found| Ground { confidence: Confidence::Possible, ..found })
        }
        None => ground(format!("{cause_words}, without asking for credentials"), ""),
        Some(_) if is_behind => ground(
            format!("{cause_words}, from behind the server that had accepted the credentials"),
            "the server that asked for credentials passed the request on, so it accepted them",
        ),
        Some(_) if has_ground => ground(
            format!("{cause_words}, after credentials had been shown"),
            "the response names another ground than the credentials",
        ),
        Some(_) if code == 403 => accepted(case, failure).and_then(|why| {
            let words = format!("{cause_words}, although the credentials were good: {why}");
            ground(words, &format!("the credentials were accepted: {why}"))
        }),
        Some(_) => None,
    }
}

/// True if a Q.850 cause speaks of what is allowed, whatever the code is.
fn is_barring(cause: u32) -> bool {
    !VAGUE.contains(&cause) && CAUSES.iter().any(|(known, _)| *known == cause)
}

/// True if Asterisk sends a 603 because its dialplan ended.
fn is_end_of_dialplan(case: &Case<'_>, failure: &Failure, response: &Heard) -> bool {
    case.platform(response) == Some(Platform::Asterisk)
        && case.ringing(failure.transaction).is_none()
        && case.q850(response).is_some_and(|cause| matches!(cause, 0 | 16 | 26 | 50))
}

fn of_server_that_declines(case: &Case<'_>, response: &Heard) -> String {
    let server = response.path.source.to_string();
    let own = case.setting(Topic::DeclinedByServer, response);
    own.map_or_else(
        || format!("Look on {server} for the rule that it names."),
        |step| step.replace("{server}", &server),
    )
}
