use crate::call::{Failure, Heard};
use crate::diagnosis::rule::rule;
use crate::diagnosis::rules::identity::number_changed_after_signing::number_of;
use crate::diagnosis::words::length;
use crate::diagnosis::{Case, Confidence, Finding, Role};
use crate::sip::identity::Passport;
use crate::sip::{Reason, Uri};

use std::time::Duration;

rule! {
    /// The signature of the caller's identity was missing or not accepted.
    ///
    /// ## What it says
    /// The network that terminates the call checks who calls (STIR/SHAKEN), and refused the call because the Identity
    /// header is missing, too old, or does not hold.
    ///
    /// ## Why it happens
    /// The call is not signed; the certificate cannot be fetched or is not trusted; numbers were changed after signing;
    /// a clock is wrong.
    ///
    /// ## Evidence
    /// A 428 without an Identity header in the request, a 436, 437 or 438, or a 403 "Stale Date"; or a 403 with one of
    /// these in a Reason of protocol STIR (RFC 9410; likely, for such a Reason may stand beside another ground). The
    /// token is decoded and compared with From, the Request-URI and the time of the frame; its signature is not
    /// verified.
    ///
    /// ## How to fix
    /// Sign the call (428); make the certificate reachable (436) and trusted (437); sign after the last change of
    /// numbers (438); set the clocks (403).
    ///
    /// ## When it would be wrong
    /// The time of the frame is that of the capturing system, whose clock is not known. Something behind the capture
    /// may have removed the header.
    ///
    /// ## References
    /// RFC 8224 §6.2.2, §4; RFC 8225 §5; RFC 8588 §4; RFC 9410 §3
    "F4" "identity-rejected" needs [403 428 436 437 438], check
}

/// How old a signature may be (RFC 8224 §4.1).
const FRESH: Duration = Duration::from_secs(60);

fn check(case: &Case<'_>) -> Option<Finding> {
    let rejected = Rejected::of(case)?;
    let finding = rejected
        .blamed(Finding::of(&RULE, rejected.confidence()))
        .explains(Some(rejected.failure.status))
        .because(rejected.explanation());
    let finding = rejected.proved(rejected.advised(finding));
    let names = match rejected.by_reason {
        Some(_) => "its Reason names the identity",
        None => "the code names the identity",
    };
    Some(finding.refuted("challenge-not-answered", "no credentials were asked for").refuted("refused-by-policy", names))
}

/// A call that was refused for the signature of its caller's identity.
struct Rejected<'a> {
    case: &'a Case<'a>,
    failure: &'a Failure,
    /// The request, as who signed it sent it first; but where it was changed after that, as who changed it did.
    request: &'a Heard,
    response: &'a Heard,
    /// The code with which the verifier would refuse for that alone (RFC 9410 §3).
    by_reason: Option<u32>,
    identity: Option<String>,
    passport: Option<Passport>,
    faults: Vec<String>,
    /// True if an Identity header may stand behind the cut.
    is_unread: bool,
}

impl<'a> Rejected<'a> {
    fn of(case: &'a Case<'a>) -> Option<Rejected<'a>> {
        let failure = case.failure_with(&[403, 428, 436, 437, 438])?;
        let response = case.response(failure);
        let status = case.code(failure);
        let is_stale = response.message.reason_phrase().trim().eq_ignore_ascii_case("Stale Date");
        let by_reason = case.reasons(response).iter().find_map(stir).filter(|_| status == 403 && !is_stale);
        if status == 403 && !is_stale && by_reason.is_none() {
            return None;
        }
        let request = case.request(failure)?;
        let identity = request.message.header_lines("Identity").next().map(|value| value.into_owned());
        let passport = identity.as_deref().and_then(Passport::read);
        let faults_in =
            |request: &Heard| passport.as_ref().map(|passport| faults(passport, request)).unwrap_or_default();
        let faults = faults_in(request);
        let is_unread = identity.is_none() && request.message.has_cut_head();
        let request = case.first_with(request, |before| {
            let signed = before.message.header_lines("Identity").next();
            is_unread
                || signed.is_some()
                    && signed.as_deref() == identity.as_deref()
                    && faults_in(before).len() == faults.len()
        });
        Some(Rejected { case, failure, request, response, by_reason, identity, passport, faults, is_unread })
    }

    /// The code of STIR.
    fn code(&self) -> u32 {
        self.by_reason.unwrap_or(self.case.code(self.failure).into())
    }

    /// What is said of a signature is said of one that was added behind this point.
    fn is_signed_later(&self) -> bool {
        self.code() != 428 && self.identity.is_none() && !self.request.message.is_cut()
    }

    /// Who signed did what the verifier asks for.
    fn is_signed_here(&self) -> bool {
        self.code() == 428 && self.identity.is_some()
    }

    fn confidence(&self) -> Confidence {
        let is_stated = self.by_reason.is_none() && !self.is_signed_later() && !self.is_signed_here();
        if is_stated { Confidence::Proven } else { Confidence::Likely }
    }

    fn blamed(&self, finding: Finding) -> Finding {
        match (self.is_signed_later(), self.is_signed_here()) {
            (true, _) => finding.sender(self.case.role_of_responder(self.response), self.response),
            (_, true) => finding.party(Role::Network, None),
            _ => finding.sender(self.case.role_of_sender(self.request), self.request),
        }
    }

    fn explanation(&self) -> String {
        let (server, status) = (self.response.path.source, self.failure.status);
        let detail = match self.faults.first() {
            Some(fault) => format!(" {fault}."),
            None if self.is_signed_later() => {
                " The request as captured here carries no Identity header: it was signed behind this point.".to_owned()
            }
            None => String::new(),
        };
        match self.by_reason {
            Some(code) => {
                format!("{server} {}; it answered {status}, and its Reason gives {code} of STIR.{detail}", self.what())
            }
            None => format!("{server} {}; it answered {status}.{detail}", self.what()),
        }
    }

    /// What the verifier wants, or found.
    fn what(&self) -> String {
        match (self.code(), &self.identity) {
            (428, None) if self.request.message.has_cut_head() => {
                "wants a signed caller identity; whether the request carries an Identity header is behind the cut"
                    .to_owned()
            }
            (428, None) => "wants a signed caller identity, and the request carries no Identity header".to_owned(),
            (428, Some(_)) => {
                "wants a signed caller identity, although the request as captured here carries an Identity header"
                    .to_owned()
            }
            (436, _) => format!("could not fetch the certificate of the signature{}", named(&self.passport)),
            (437, _) => format!("does not accept the certificate of the signature{}", named(&self.passport)),
            (438, _) => "found that the signature does not hold".to_owned(),
            _ => "found the signature too old".to_owned(),
        }
    }

    fn advised(&self, finding: Finding) -> Finding {
        let server = self.response.path.source;
        let finding = match (self.code(), &self.identity) {
            (428, None) => finding.fix("Sign the call: let the caller's network add an Identity header (STIR/SHAKEN)."),
            (428, Some(_)) => finding.fix(format!(
                "Look for what removes the Identity header between this point and {server}, or why {server} does not \
                 see it."
            )),
            (436, _) => finding.fix("Make the certificate reachable over HTTPS from the terminating network."),
            (437, _) => finding.fix("Use a certificate of an authority that the terminating network trusts."),
            (438, _) => finding.fix(
                "Sign after the last change of From, P-Asserted-Identity and Request-URI, in the form that is sent.",
            ),
            _ => finding.fix("Set the clocks of both networks (NTP), and sign just before sending."),
        };
        match self.is_signed_later() {
            true => finding.fix(format!("Look behind {server} for who signs this call.")),
            false => finding,
        }
    }

    fn proved(&self, finding: Finding) -> Finding {
        let (request, response) = (self.request, self.response);
        let mut finding = finding.claim_status(response, "refused");
        if self.by_reason.is_some() {
            finding = finding.claim_header_with(response, "Reason", "STIR", "what the check of the identity gave");
        }
        if self.identity.is_some() {
            return finding.claim_header(request, "Identity", "the signature that was sent");
        }
        if self.is_unread {
            return finding;
        }
        let says = if self.is_signed_later() { "it was signed behind this point" } else { "the call is not signed" };
        finding.claim_absent(request.place, "an Identity header in this request", says)
    }
}

/// The error of a verification that a Reason of protocol STIR gives.
fn stir(reason: &Reason) -> Option<u32> {
    let is_error = |cause: &u32| matches!(cause, 403 | 428 | 436..=438);
    reason.cause.filter(is_error).filter(|_| reason.protocol.eq_ignore_ascii_case("STIR"))
}

fn named(passport: &Option<Passport>) -> String {
    let url = passport.as_ref().map(|passport| passport.certificate.as_str()).filter(|url| !url.is_empty());
    url.map(|url| format!(" ({url})")).unwrap_or_default()
}

/// Where the token and the request disagree.
fn faults(passport: &Passport, request: &Heard) -> Vec<String> {
    let mut faults = Vec::new();
    if let Some(issued_at) = passport.issued_at {
        let sent = request.place.time.0.div_euclid(1_000_000_000);
        let age = Duration::from_secs(sent.abs_diff(issued_at));
        if age > FRESH {
            let which = if issued_at < sent { "before" } else { "after" };
            faults.push(format!(
                "It was signed {} {which} the time of its frame, and 60 s are allowed (by the clock of the capture)",
                length(age)
            ));
        }
    }
    let called = digits(&Uri::read(&request.message.request_uri().unwrap_or_default()).plain_user());
    let signed: Vec<String> = passport.destinations.iter().filter_map(|to| number_of(to)).collect();
    if !called.is_empty() && !signed.is_empty() && passport.extension != "div" && !signed.contains(&called) {
        faults.push(format!("The token is for the number {}, and the Request-URI has {called}", signed.join(", ")));
    }
    let origin = digits(&passport.origin);
    let from = request.message.from().map(|from| digits(&from.parsed().plain_user())).unwrap_or_default();
    let asserted: Vec<String> = request
        .message
        .headers("P-Asserted-Identity")
        .iter()
        .map(|value| digits(&crate::sip::NameAddr::read(value).parsed().plain_user()))
        .collect();
    if !origin.is_empty() && !from.is_empty() && origin != from && !asserted.contains(&origin) {
        faults.push(format!("The token is of the caller {origin}, and From has {from}"));
    }
    faults
}

fn digits(text: &str) -> String {
    text.chars().filter(char::is_ascii_digit).collect()
}
