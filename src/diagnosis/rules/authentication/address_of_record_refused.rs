use crate::call::{Heard, Kind};
use crate::catalogue::Topic;
use crate::diagnosis::lock::lock;
use crate::diagnosis::rule::rule;
use crate::diagnosis::rules::authentication::forbidden_after_credentials::refused_try;
use crate::diagnosis::{Case, Confidence, Finding, Role};
use crate::sip::auth;

rule! {
    /// The registrar does not accept this address-of-record.
    ///
    /// ## What it says
    /// The REGISTER was refused because of the address in To, not because of credentials.
    ///
    /// ## Why it happens
    /// The user or the domain is unknown there, or registering it is not allowed from this address.
    ///
    /// ## Evidence
    /// 404, 604, 483 or 403 to a REGISTER that was not challenged; or 404 after credentials that were accepted.
    ///
    /// ## How to fix
    /// Correct the user or the domain on the client, or create the user on the registrar.
    ///
    /// ## When it would be wrong
    /// A 403 after credentials may also mean a wrong secret: `forbidden-after-credentials`.
    ///
    /// ## References
    /// RFC 3261 §10.3, §21.4.4, §21.4.5
    "A15" "address-of-record-refused" needs [403 404 483 503 604 REGISTRATION], check
}

/// Words of a registrar that takes no more devices of this user.
pub(in crate::diagnosis::rules) const OF_NUMBER: &[&str] =
    &["contacts", "bindings", "registrations", "max_contacts", "devices"];

/// A header of Kamailio and OpenSIPS.
const ERROR: &str = "P-Registrar-Error";

/// True if a registrar says in its own header that a user has too many contacts: it sends 503 for that, as if it were
/// the server that has too much to do.
pub(in crate::diagnosis::rules) fn names_too_many(response: &Heard) -> bool {
    let said = response.message.header(ERROR).map(|said| said.to_lowercase()).unwrap_or_default();
    OF_NUMBER.iter().any(|word| said.contains(word))
}

fn check(case: &Case<'_>) -> Option<Finding> {
    if case.call.kind != Kind::Registration || case.is_scan() {
        return None;
    }
    let failure = case.failure_with(&[403, 404, 483, 503, 604])?;
    let code = failure.status.get();
    let (request, response) = (case.request(failure)?, case.response(failure));
    if code == 503 && !names_too_many(response) {
        return None;
    }
    // There the card refused the challenges: `nonce-never-accepted`.
    if auth::credentials(&request.message).iter().any(|shown| shown.asks_for_step) {
        return None;
    }
    let with_credentials = refused_try(case, failure).is_some();
    if with_credentials && matches!(code, 403 | 483) || lock(case).is_some() {
        return None;
    }
    let address = request.message.to()?;
    let is_unread =
        !with_credentials && request.message.has_cut_head() && auth::credentials(&request.message).is_empty();
    let confidence = match code {
        403 if is_unread => Confidence::Possible, // After credentials it may be for them: `forbidden-after-credentials`.
        403 => Confidence::Likely,
        _ => Confidence::Proven,
    };
    let finding = Finding::of(&RULE, confidence).explains(Some(failure.status)).sender(Role::Registrar, response);
    if !case.wants_words() {
        return Some(finding);
    }
    let uri = address.parsed();
    let (user, domain, registrar) = (uri.bare_user(), uri.host.as_str(), response.path.source);
    let others: Vec<&str> = case
        .surroundings
        .accepted()
        .hosts(registrar.ip())
        .filter(|host| !host.eq_ignore_ascii_case(domain))
        .take(3)
        .collect();
    let quotation = case.quotation(response).map(|words| format!("; {words}")).unwrap_or_default();
    let unasked = match with_credentials {
        true => "after it had seen the credentials",
        false if is_unread => "(whether the REGISTER shows credentials is behind the cut)",
        false => "without asking for credentials",
    };
    let what = match code {
        404 | 604 => format!("it does not know the user \"{user}\" in the domain \"{domain}\""),
        503 => format!("it has as many contacts of \"{user}\" as it allows, and its P-Registrar-Error says so"),
        403 => format!("it does not let {} register this address", request.path.source.ip()),
        _ => "the REGISTER was passed on too often".to_owned(),
    };
    let because = format!("{registrar} refused to register {} with {code} {unasked}: {what}{quotation}.", address.uri);
    let mut finding = finding.because(because);
    if !others.is_empty() {
        finding = finding.fix(format!(
            "Compare the domain: requests to {} are accepted by {registrar}, this one is for \"{domain}\".",
            others.join(", ")
        ));
    }
    finding = match code {
        _ if code == 503 || code == 403 && case.says_any(response, OF_NUMBER) => finding
            .fix(format!(
                "Look on {registrar} how many devices \"{user}\" may have registered, and take out those that are \
                 gone."
            ))
            .fix(
                "Let a new registration of the same device take the place of its old one (Asterisk: \
                 `remove_existing`).",
            ),
        403 => finding
            .fix(format!(
                "Look on {registrar} which addresses may register \"{user}\", and whether {} is among them.",
                request.path.source.ip()
            ))
            .fix(format!(
                "Look whether the account \"{user}\" is enabled, and whether more devices are registered than allowed."
            )),
        483 => finding
            .fix(format!("Look why {registrar} passes the REGISTER on: the domain \"{domain}\" must be its own.")),
        _ => finding
            .fix(format!("Compare user and domain on the client with the account: \"{user}\" at \"{domain}\"."))
            .fix(format!(
                "If they are right, create the user on {registrar}{}.",
                case.settings(Topic::AccountUnknown, response)
            )),
    };
    finding = finding
        .claim_method(request, "a registration is asked for")
        .claim(request, "sip.to.addr", to_address(&address.uri), "of this address-of-record")
        .claim_status(response, "the registrar refuses it");
    finding = finding.claim_own_words(case, response);
    if code == 503 {
        finding = finding
            .claim_header(response, ERROR, "the registrar names the ground")
            .refuted("server-overloaded", "the limit that it names is one of this user, and not of the server");
    }
    let finding = if with_credentials {
        finding.refuted("credentials-rejected", format!("a wrong secret gets 401 or 403, not {code}"))
    } else {
        finding.refuted("challenge-not-answered", "the registrar did not ask for credentials")
    };
    Some(
        finding
            .refuted("refused-by-policy", "the request is a REGISTER, and its answer is about the address-of-record"),
    )
}

/// What Wireshark shows in `sip.to.addr`: the URI without its parameters.
fn to_address(uri: &str) -> String {
    uri.split(';').next().unwrap_or_default().to_owned()
}
