use std::net::SocketAddr;

use crate::call::{Failure, Heard, Kind};
use crate::catalogue::Topic;
use crate::diagnosis::lock::lock;
use crate::diagnosis::rule::rule;
use crate::diagnosis::rules::authentication::forbidden_after_credentials::refused_try;
use crate::diagnosis::rules::routing::hop_limit_too_low;
use crate::diagnosis::{Case, Confidence, Finding, Role};
use crate::sip::{NameAddr, auth};

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

/// Words of a registrar that wants the request to come another way.
pub(in crate::diagnosis::rules) const OF_TRANSPORT: &[&str] = &["tls", "transport", "tcp", "udp", "sips", "encrypted"];

/// A header of Kamailio and OpenSIPS.
const ERROR: &str = "P-Registrar-Error";

/// True if a registrar says in its own header that a user has too many contacts: it sends 503 for that, as if it were
/// the server that has too much to do.
pub(in crate::diagnosis::rules) fn names_too_many(response: &Heard) -> bool {
    let said = response.message.header(ERROR).map(|said| said.to_lowercase()).unwrap_or_default();
    OF_NUMBER.iter().any(|word| said.contains(word))
}

fn check(case: &Case<'_>) -> Option<Finding> {
    let refused = Refused::of(case)?;
    let finding = Finding::of(&RULE, refused.confidence())
        .explains(Some(refused.failure.status))
        .sender(Role::Registrar, refused.response);
    if !case.wants_words() {
        return Some(finding);
    }
    let finding = refused.proved(refused.advised(finding.because(refused.explanation())));
    Some(
        refused
            .refuting(finding)
            .refuted("refused-by-policy", "the request is a REGISTER, and its answer is about the address-of-record"),
    )
}

/// A registration that was refused for its address-of-record.
struct Refused<'a> {
    case: &'a Case<'a>,
    failure: &'a Failure,
    request: &'a Heard,
    response: &'a Heard,
    address: NameAddr,
    with_credentials: bool,
}

impl<'a> Refused<'a> {
    fn of(case: &'a Case<'a>) -> Option<Refused<'a>> {
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
        if code == 483 && hop_limit_too_low::holds(case) {
            return None;
        }
        if code == 403 && case.blames_any(response, OF_TRANSPORT) {
            return None; // It speaks of the way, and not of the address: `refused-by-policy`.
        }
        let address = request.message.to()?;
        Some(Refused { case, failure, request, response, address, with_credentials })
    }

    fn code(&self) -> u16 {
        self.failure.status.get()
    }

    /// True if credentials may stand behind the cut.
    fn is_unread(&self) -> bool {
        let message = &self.request.message;
        !self.with_credentials && message.has_cut_head() && auth::credentials(message).is_empty()
    }

    fn confidence(&self) -> Confidence {
        match self.code() {
            // After credentials it may be for them: `forbidden-after-credentials`.
            403 if self.is_unread() => Confidence::Possible,
            403 => Confidence::Likely,
            // Its Reason names something else that was not found, such as a route.
            404 | 604 if self.case.telling_cause(self.response).is_some_and(|cause| cause != 1) => Confidence::Likely,
            _ => Confidence::Proven,
        }
    }

    fn explanation(&self) -> String {
        let unasked = match self.with_credentials {
            true => "after it had seen the credentials",
            false if self.is_unread() => "(whether the REGISTER shows credentials is behind the cut)",
            false => "without asking for credentials",
        };
        format!(
            "{} refused to register {} with {} {unasked}: {}{}.",
            self.response.path.source,
            self.address.uri,
            self.code(),
            self.what(),
            self.case.said_beside_code(self.response)
        )
    }

    fn what(&self) -> String {
        let uri = self.address.parsed();
        let user = uri.bare_user();
        match self.code() {
            404 | 604 => format!("it does not know the user \"{user}\" in the domain \"{}\"", uri.host),
            503 => format!("it has as many contacts of \"{user}\" as it allows, and its P-Registrar-Error says so"),
            403 if self.case.says_any(self.response, OF_NUMBER) => {
                format!("it has as many contacts of \"{user}\" as it allows, by its own words")
            }
            403 => format!("it does not let {} register this address", self.request.path.source.ip()),
            _ => "the REGISTER was passed on too often".to_owned(),
        }
    }

    fn advised(&self, finding: Finding) -> Finding {
        let (case, response) = (self.case, self.response);
        let uri = self.address.parsed();
        let (user, domain, registrar) = (uri.bare_user(), &uri.host, response.path.source);
        let finding = match self.other_domains(domain).as_slice() {
            [] => finding,
            others => finding.fix(format!(
                "Compare the domain: requests to {} are accepted by {registrar}, this one is for \"{domain}\".",
                others.join(", ")
            )),
        };
        match self.code() {
            code if code == 503 || code == 403 && case.says_any(response, OF_NUMBER) => {
                finding.fix(count_devices(registrar, user)).fix(
                    "Let a new registration of the same device take the place of its old one (Asterisk: \
                     `remove_existing`).",
                )
            }
            403 => finding
                .fix(format!(
                    "Look on {registrar} which addresses may register \"{user}\", and whether {} is among them.",
                    self.request.path.source.ip()
                ))
                .fix(format!(
                    "Look whether the account \"{user}\" is enabled, and whether more devices are registered than \
                     allowed."
                )),
            483 => finding
                .fix(format!("Look why {registrar} passes the REGISTER on: the domain \"{domain}\" must be its own.")),
            _ => finding
                .fix(format!("Compare user and domain on the client with the account: \"{user}\" at \"{domain}\"."))
                .fix(format!(
                    "If they are right, create the user on {registrar}{}.",
                    case.settings(Topic::AccountUnknown, response)
                )),
        }
    }

    /// Other domains to which this registrar accepts requests.
    fn other_domains(&self, domain: &str) -> Vec<&'a str> {
        let hosts = self.case.surroundings.accepted().hosts(self.response.path.source.ip());
        hosts.filter(|host| !host.eq_ignore_ascii_case(domain)).take(3).collect()
    }

    fn proved(&self, finding: Finding) -> Finding {
        let (request, response) = (self.request, self.response);
        let finding = finding
            .claim_method(request, "a registration is asked for")
            .claim(request, "sip.to.addr", to_address(&self.address.uri), "of this address-of-record")
            .claim_status(response, "the registrar refuses it")
            .claim_own_words(self.case, response);
        match self.code() {
            503 => finding.claim_header(response, ERROR, "the registrar names the ground"),
            _ => finding,
        }
    }

    fn refuting(&self, finding: Finding) -> Finding {
        let finding = match self.code() {
            503 => finding
                .refuted("server-overloaded", "the limit that it names is one of this user, and not of the server"),
            _ => finding,
        };
        match self.with_credentials {
            true => {
                finding.refuted("credentials-rejected", format!("a wrong secret gets 401 or 403, not {}", self.code()))
            }
            false => finding.refuted("challenge-not-answered", "the registrar did not ask for credentials"),
        }
    }
}

/// What to do where a user has too many devices.
pub(in crate::diagnosis::rules) fn count_devices(registrar: SocketAddr, user: &str) -> String {
    format!("Look on {registrar} how many devices \"{user}\" may have registered, and take out those that are gone.")
}

/// What Wireshark shows in `sip.to.addr`: the URI without its parameters.
fn to_address(uri: &str) -> String {
    uri.split(';').next().unwrap_or_default().to_owned()
}
