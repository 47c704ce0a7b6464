use std::borrow::Cow;
use std::net::SocketAddr;

use crate::call::{Failure, Heard, Kind, Sample, form, sure_end};
use crate::catalogue::{Topic, q850};
use crate::diagnosis::announced::Told;
use crate::diagnosis::bound::{bound, tells_of_a_dial_plan};
use crate::diagnosis::case::SOON;
use crate::diagnosis::rule::rule;
use crate::diagnosis::rules::routing::domain_not_served;
use crate::diagnosis::signed_off::signed_off;
use crate::diagnosis::silent_peers::SilentPeer;
use crate::diagnosis::{Case, Confidence, Finding};
use crate::sip::{Method, Uri};

rule! {
    /// The number cannot be routed.
    ///
    /// ## What it says
    /// The network or the server has no way to this number as it was dialled.
    ///
    /// ## Why it happens
    /// The number is not assigned, is incomplete, or is in another format than the next hop expects: with or without
    /// `+`, country code, or a prefix.
    ///
    /// ## Evidence
    /// 404, 484, 485 or 604 to a request for a number, or 410 too to one for a service (`urn:service:sos`), which has
    /// neither user nor device; or the Q.850 cause 1, 2, 3 or 28, in the refusal, or in a 183 before one without a
    /// `Reason` (likely).
    ///
    /// ## How to fix
    /// Compare the number digit by digit with the format that the next hop wants, then with its routes.
    ///
    /// ## When it would be wrong
    /// Networks also hide blocks and faults behind 404. A user that is a name is `user-unknown`, and so is a number
    /// under which a device had registered, unless it is a PBX that refuses it: that looks into its dial plan. Of a
    /// SUBSCRIBE nobody dialled the number: there it is the mailbox or the hint that is missing.
    ///
    /// ## References
    /// RFC 3261 §21.4.5, §21.4.21, §21.4.22; RFC 3966; RFC 5031 §4.2; RFC 3398 §7.2.4.1
    "E2" "number-not-routable" needs [404 410 484 485 604] [REFUSED REASON], check
}

/// Q.850 causes that speak of the number, and what they say.
const CAUSES: &[(u32, &str)] = &[
    (1, "the number is not assigned to anybody"),
    (2, "there is no route to the transit network that was chosen"),
    (3, "there is no route to the destination"),
    (28, "the number is incomplete or in the wrong format"),
];

fn check(case: &Case<'_>) -> Option<Finding> {
    let failure = case.failure()?;
    let response = case.response(failure);
    let target = case.asked_for(failure)?;
    if target.is_service() {
        return of_service(case, failure, &target);
    }
    let unrouted = Unrouted::of(case, failure, target)?;
    let finding = Finding::of(&RULE, unrouted.confidence())
        .explains(Some(failure.status))
        .sender(case.role_of_responder(response), response);
    if !case.wants_words() {
        return Some(finding);
    }
    let (request, number) = (case.request(failure), unrouted.target.bare_user());
    if case.call.transaction(failure.transaction).method == Method::Subscribe && unrouted.meaning.is_none() {
        return Some(of_subscription(case, finding, request?, response, number));
    }
    let has_user = match request {
        Some(_) => "the Request-URI has a user part",
        None => "To has a user part",
    };
    Some(
        unrouted
            .proved(unrouted.advised(finding.because(unrouted.explanation())))
            .refuted("user-unknown", format!("{number} is a number, not a name"))
            .refuted("request-uri-without-user", has_user),
    )
}

/// A number to which a server has no way.
struct Unrouted<'a> {
    case: &'a Case<'a>,
    failure: &'a Failure,
    response: &'a Heard,
    target: Cow<'a, Uri>,
    told: Option<Told<'a>>,
    /// What its cause says of the number.
    meaning: Option<&'static str>,
}

impl<'a> Unrouted<'a> {
    fn of(case: &'a Case<'a>, failure: &'a Failure, target: Cow<'a, Uri>) -> Option<Unrouted<'a>> {
        let (response, code) = (case.response(failure), case.code(failure));
        let told = case.told(response);
        let cause = told.map(|told| told.cause);
        let meaning = CAUSES.iter().find(|(known, _)| Some(*known) == cause).map(|(_, meaning)| *meaning);
        let of_number = matches!(code, 404 | 484 | 485 | 604) && case.telling_cause(response).is_none();
        if !of_number && (meaning.is_none() || code < 400) || case.says_caller_unregistered(response) {
            return None;
        }
        if case.is_refused_for_account(failure) {
            return None; // `refused-by-policy`
        }
        if code == 410 && cause == Some(1) {
            return None; // number-changed: it was somebody's once.
        }
        let is_other = matches!(case.call.kind, Kind::Registration | Kind::Options);
        if !target.is_number() || is_other || case.redirected_by().is_some() {
            return None;
        }
        let in_dialog = case.call.transaction(failure.transaction).in_dialog;
        if in_dialog || case.is_scan() || domain_not_served::holds(case, failure) {
            return None;
        }
        // Who is registered there, or was until it signed off, is no number without a route: `user-unknown`.
        let is_of_user = || bound(case).is_some() || signed_off(case).is_some();
        if matches!(code, 404 | 604) && !tells_of_a_dial_plan(case, response) && is_of_user() {
            return None;
        }
        Some(Unrouted { case, failure, response, target, told, meaning })
    }

    fn confidence(&self) -> Confidence {
        match self.told.filter(|_| self.meaning.is_some()) {
            _ if self.case.code(self.failure) == 484 => Confidence::Proven,
            Some(_) if self.rang().is_some() => Confidence::Likely,
            Some(told) => told.confidence(),
            None if self.case.ground_said(self.response).is_some() || self.silent_peer().is_some() => {
                Confidence::Possible
            }
            None => Confidence::Likely,
        }
    }

    /// A peer that answered no probe of the server when it found no route, where no cause says what it lacks.
    fn silent_peer(&self) -> Option<SilentPeer> {
        let says_nothing = self.meaning.is_none() && self.case.code(self.failure) == 404;
        says_nothing.then(|| SilentPeer::of(self.case, self.failure)).flatten()
    }

    /// A 180 long before the cause: what rang has a number.
    fn rang(&self) -> Option<&'a Heard> {
        let alerting = self.case.alerting(self.failure.transaction);
        alerting.filter(|rang| self.response.place.time.since(rang.place.time) > SOON)
    }

    fn explanation(&self) -> String {
        let code = self.failure.status;
        let said = match (self.told.zip(self.meaning), self.case.code(self.failure)) {
            (Some((told, meaning)), _) => format!("with {}: {meaning}", told.beside(self.failure.status)),
            (None, 484) => format!("with {code}: it takes the number for incomplete"),
            (None, 485) => format!("with {code}: the number fits several destinations"),
            (None, _) => format!("with {code}: it has no route or no subscriber for this number"),
        };
        let phrase = self.case.own_phrase(self.response).map(|phrase| format!(" (\"{phrase}\")")).unwrap_or_default();
        let rang = match self.rang().filter(|_| self.meaning.is_some()) {
            Some(_) => " It had been ringing before, which speaks against that.",
            None => "",
        };
        let silent = self.silent_peer().map(|silent| silent.words()).unwrap_or_default();
        format!(
            "{} refused the number {} {said}{phrase}.{rang}{silent}",
            self.response.path.source,
            self.target.bare_user()
        )
    }

    /// A call that the same server accepted for the same digits in another format.
    fn other_form(&self) -> Option<&'a Sample> {
        let request = self.case.request(self.failure)?;
        let (path, end) = (request.path, sure_end(&request.message.request_uri()?)?);
        let own = form(&self.target.plain_user());
        let samples = self.case.surroundings.neighbours().good_calls().on(path.source.ip(), path.destination.ip());
        samples.iter().find(|sample| sample.called_end == end && sample.form_of_called() != Some(own.as_str()))
    }

    fn advised(&self, finding: Finding) -> Finding {
        let (responder, number) = (self.response.path.source, self.target.bare_user());
        let routes = self.case.settings(Topic::Routes, self.response);
        let is_short = is_short_code(number);
        let finding = match self.silent_peer() {
            Some(silent) => silent.told(finding),
            None => finding,
        };
        let finding = match ported(self.case, &self.target, self.response) {
            Some(step) => finding.fix(step),
            None => finding,
        };
        let finding = finding
            .fix(format!("Check {number} digit by digit: is it the number that was meant, and is it complete?"))
            .fix(match number.starts_with(['*', '#', '%']) {
                true => format!(
                    "It is a service code: look whether {responder} knows it, and whether the exchange before it \
                     should carry it out."
                ),
                false if is_short => format!(
                    "It is a short code, of emergency or of a service, and no number of a subscriber: give it a route \
                     of its own on {responder}{routes}."
                ),
                false => match self.other_form() {
                    Some(sample) => format!(
                        "Write it as it was taken there: in another call {responder} accepted a number that ends in \
                         the same digits and is written with {}; this one is written with {}.",
                        sample.form_of_called().unwrap_or_default(),
                        form(number)
                    ),
                    None => format!("Compare its format with what {responder} expects: {}.", formats(number)),
                },
            });
        match is_short {
            true => finding,
            false => finding.fix(format!(
                "If number and format are right, look for a route or subscriber for it on {responder}{routes}."
            )),
        }
    }

    fn proved(&self, finding: Finding) -> Finding {
        let finding = self
            .case
            .claim_asked_for(finding, self.failure, "the number that was dialled")
            .claim_status(self.response, "it is refused")
            .claim_own_words(self.case, self.response);
        let finding = match self.other_form() {
            Some(sample) => {
                let says = "a call for the same digits in another format, which is accepted";
                finding.claim_at(sample.place, "sip.Method", "INVITE", says)
            }
            None => finding,
        };
        match self.told.filter(Told::is_announced) {
            Some(told) => told.claimed(finding, "why the call could not go on"),
            None => finding,
        }
    }
}

/// A service has no user and no device: a server finds the way to it by the place of the caller (RFC 5031 §4.2, RFC
/// 6881).
fn of_service(case: &Case<'_>, failure: &Failure, service: &Uri) -> Option<Finding> {
    let (request, response) = (case.request(failure)?, case.response(failure));
    let is_call = matches!(case.call.kind, Kind::Call | Kind::Message) && !case.is_scan();
    let says_another = case.telling_cause(response).is_some_and(|cause| cause > 3);
    if !is_call || says_another || !matches!(case.code(failure), 404 | 410 | 484 | 485 | 604) {
        return None;
    }
    let finding = Finding::of(&RULE, Confidence::Likely)
        .explains(Some(failure.status))
        .titled("The server has no way to this service")
        .sender(case.role_of_responder(response), response);
    if !case.wants_words() {
        return Some(finding);
    }
    let (server, code, name) = (response.path.source, failure.status, service.service_name());
    let quotation = case.said_beside_code(response);
    Some(
        finding
            .because(format!(
                "{server} refused the call to the service {name} with {code}: it has no route for that service, or \
                 none for the place that the call came from{quotation}."
            ))
            .fix(way_to_service(server, &name))
            .fix(
                "Look whether the call says where the caller is (Geolocation, P-Access-Network-Info): the way hangs \
                 on that.",
            )
            .claim_request_uri(request, "the service that was asked for")
            .claim_status(response, "it is refused")
            .claim_own_words(case, response)
            .refuted("user-unknown", "a service URN names no user")
            .refuted("request-uri-without-user", "a service URN has no user")
            .refuted("number-changed", "a service URN is no number"),
    )
}

/// Where to look for the way to a service: for help, in an IMS network, in the E-CSCF and its LRF (3GPP TS 23.167).
pub(super) fn way_to_service(server: SocketAddr, name: &str) -> String {
    format!(
        "Look at {server}, and in an IMS network at the E-CSCF and its location retrieval function (LRF), for the \
         route of {name}: which centre (PSAP) or number does it lead to, from where the call came?"
    )
}

/// Nobody dialled the number: what is missing there is what was subscribed to (RFC 6665 §4.2.1).
fn of_subscription(case: &Case<'_>, finding: Finding, request: &Heard, response: &Heard, number: &str) -> Finding {
    let responder = response.path.source;
    let event = request.message.header("Event").unwrap_or_default();
    let package = event.split(';').next().unwrap_or_default().trim();
    let (what, where_to_look) = match package {
        "message-summary" => ("a mailbox".to_owned(), format!("give {number} a mailbox")),
        "presence" | "dialog" => {
            (format!("the state of a line ({package})"), format!("let {responder} keep the state of {number} (a hint)"))
        }
        _ => (format!("the events \"{package}\""), format!("let {responder} offer them for {number}")),
    };
    let code = response.message.status_text().unwrap_or_default();
    let phrase = case.own_phrase(response).map(|phrase| format!(" (\"{phrase}\")")).unwrap_or_default();
    let finding = finding
        .titled("There is nothing to subscribe to under that number")
        .because(format!("{responder} refused the subscription to {what} of {number} with {code}{phrase}."))
        .fix(format!("If the watcher needs it, {where_to_look} on {responder}."))
        .fix(format!("If not, switch the subscription off at {}: calls do not hang on it.", request.path.source))
        .claim_request_uri(request, "whose events were asked for")
        .claim_header(request, "Event", "which events")
        .claim_status(response, "it is refused");
    finding.claim_own_words(case, response).refuted("user-unknown", format!("{number} is a number, not a name"))
}

/// What to do about a number that was ported: it is routed by the routing number (`rn=`, RFC 4694), or the network says
/// that it has gone elsewhere (Q.850 cause 14).
fn ported(case: &Case<'_>, target: &Uri, response: &Heard) -> Option<String> {
    let parameters = target.user.split(';').skip(1);
    let routing = parameters.filter_map(|one| one.strip_prefix("rn=")).next().or_else(|| target.parameters.get("rn"));
    let server = response.path.source;
    match (routing, case.q850(response) == Some(14)) {
        (Some(number), _) => Some(format!(
            "Query number portability again: the call went to {server} by the routing number {number} (rn=), which \
             leads to the wrong network if it is out of date."
        )),
        (None, true) => q850(14).map(|known| known.fix.clone()),
        (None, false) => None,
    }
}

/// What to try instead of the format that was dialled.
fn formats(number: &str) -> String {
    match number {
        _ if number.starts_with('+') => "it begins with \"+\"; some want 00, or no prefix at all".to_owned(),
        _ if number.starts_with("00") => "it begins with 00; many want \"+\" and the country code (E.164)".to_owned(),
        _ if number.starts_with("011") => "it begins with 011; many want \"+\" and the country code (E.164)".to_owned(),
        _ if number.starts_with('0') => {
            "it begins with 0 and has no country code; many want \"+\" and the country code (E.164)".to_owned()
        }
        _ if number.len() <= 6 => "it is short, as an extension is; a trunk wants whole numbers".to_owned(),
        _ => "it has no \"+\" and no prefix; many want \"+\" and the country code (E.164)".to_owned(),
    }
}

/// True of numbers that everybody may dial as they are: of emergency, and of the services of social value of Europe
/// (116000 to 116123, Commission Decision 2007/116/EC).
fn is_short_code(number: &str) -> bool {
    matches!(number, "112" | "911" | "999" | "000" | "110" | "119") || number.len() == 6 && number.starts_with("116")
}
