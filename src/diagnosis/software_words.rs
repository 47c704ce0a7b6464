//! What the software that refused a call is known to mean by its answer, in the words of its settings.
//!
//! Is given the findings of a call; adds to the one that explains the outcome. Only software that the trace shows is
//! spoken of: by its name, or by words that nobody else writes.

use crate::call::Heard;
use crate::catalogue::{FreeSwitchCause, Said, Setting, Signature, ToldBy, Topic, freeswitch_cause, says_words};
use crate::diagnosis::case::Case;
use crate::diagnosis::finding::{Claim, Finding};
use crate::diagnosis::offers::asks_for_nothing;
use crate::diagnosis::platform::own_name;
use crate::diagnosis::precedence::is_of_leg_behind;
use crate::diagnosis::words::says_the_same;
use crate::sip::sdp::Sdp;

/// Headers in whose words software shows itself.
const TELLING: [&str; 6] =
    ["Reason", "Warning", "X-Twilio-Error", "P-Registrar-Error", "ms-diagnostics", "ms-diagnostics-public"];
/// Causes of FreeSWITCH from here on are no status codes.
const FIRST_PRIVATE: u32 = 700;

/// Adds to the cause what the software that sent the response is known to mean by it, and what its client makes of it.
pub(crate) fn add(case: &Case<'_>, findings: &mut [Finding]) {
    let disagrees = findings.iter().any(|finding| finding.rule == "cause-disagrees");
    let Some(cause) = findings.first_mut().filter(|finding| finding.explains) else { return };
    let Some(failure) = case.failure().filter(|failure| cause.status == Some(failure.status)) else { return };
    let response = case.response(failure);
    if let Some(private) = private_cause(case, response) {
        let FreeSwitchCause { cause: number, name, meaning, fix, .. } = private;
        cause.fix.push(format!("FreeSWITCH: its cause {number} ({name}) is no status code. {meaning} {fix}").into());
    }
    // The network says itself that it blocks, or has said before what the code does not.
    let says_more = cause.rule == "blocked-by-analytics" || case.announced(response).is_some();
    let gives_cause = case.q850(response).is_some_and(|cause| cause != 0);
    // What is said of an answer without a Reason is not meant for one that names its cause in another header.
    let names_it_elsewhere = gives_cause && case.reasons(response).is_empty();
    let cause_says_more = disagrees || says_more || names_it_elsewhere || cause.rule == "server-fault" && gives_cause;
    let says = said(response);
    let request = case.request(failure);
    let offer = || request.and_then(|request| Sdp::of(&request.message));
    if cause.rule == "no-common-codec" && offer().is_some_and(asks_for_nothing) {
        return; // What the server's settings allow does not matter then.
    }
    let (server, client) = (name_of(response), request.map(name_of).unwrap_or_default());
    let method = case.call.transaction(failure.transaction).method.name();
    let answer = Said { code: failure.status.get(), method, says: &says, server: &server, client: &client };
    // What software means by a code of its own does not hold where its Q.850 cause says something else.
    let by_code = |signature: &&Signature| signature.told_by == ToldBy::Name && signature.says.is_empty();
    // The sender made the cause in its Reason of what the capture shows behind it, which tells more.
    let of_reason = |signature: &&Signature| signature.says.iter().any(|words| words.starts_with("reason:"));
    let is_told_behind = is_of_leg_behind(&cause.rule);
    let has_called_on = !case.arose_here(failure);
    let stands_back = |signature: &&Signature| {
        cause_says_more && by_code(signature)
            || is_told_behind && of_reason(signature)
            || has_called_on && signature.calls_nobody
    };
    if let Some(signature) = Signature::of_server(answer).filter(|signature| !stands_back(signature)) {
        let Signature { condition, check, .. } = signature;
        let software = signature.software_in(&server);
        // The rule may have given the same advice, and with more of the call in it.
        let (told_as, says) = (format!("{software}: "), format!("{condition}. {check}"));
        let is_told = cause.fix.iter().any(|step| step.raw().starts_with(&told_as) || says_the_same(step.raw(), &says));
        let told = match (signature.told_by, server.is_empty()) {
            (ToldBy::Phrase, true) => {
                format!("The phrase is one of {software}. If that is what answered, {condition}. {check}")
            }
            (ToldBy::Header, _) => format!("A header has words of {software}: {condition}. {check}"),
            _ => format!("{software}: {condition}. {check}"),
        };
        if !is_told {
            cause.fix.push(told.into());
        }
        cite(cause, response, signature, &software);
    }
    if let Some((signature, heard)) = Signature::of_client(answer).zip(request) {
        let Signature { condition, check, .. } = signature;
        let software = signature.software_in(&client);
        cause.fix.push(format!("The client is {software}: {condition}. {check}").into());
        claim_name(cause, heard, "the software that asks");
    }
}

impl<'a> Case<'a> {
    /// The words that the software which made a message has for a setting, in brackets behind a step; empty if it shows
    /// no name, or the step about its answer says the same.
    pub(crate) fn settings(&self, about: Topic, heard: &'a Heard) -> String {
        self.unsaid_setting(about, heard).map(|words| format!(" ({words})")).unwrap_or_default()
    }

    /// The same as they stand in the table, whatever else is said.
    pub(crate) fn setting(&self, about: Topic, heard: &'a Heard) -> Option<&'static str> {
        Some(&*Setting::of(about, &name_of(heard))?.words)
    }

    /// The same, if the step about the answer does not name the setting.
    pub(crate) fn unsaid_setting(&self, about: Topic, heard: &'a Heard) -> Option<&'static str> {
        let server = name_of(heard);
        let setting = Setting::of(about, &server)?;
        let answer = heard.message.status().zip(heard.message.cseq());
        let is_told = answer.and_then(|(status, cseq)| {
            let (says, method) = (said(heard), cseq.method.name());
            let signature =
                Signature::of_server(Said { code: status.get(), method, says: &says, server: &server, client: "" })?;
            Some(setting.is_named_in(&signature.condition) || setting.is_named_in(&signature.check))
        });
        (is_told != Some(true)).then_some(&*setting.words)
    }
}

/// The private cause that FreeSWITCH gives for a SIP code in its Reason.
fn private_cause(case: &Case<'_>, response: &Heard) -> Option<&'static FreeSwitchCause> {
    let is_freeswitch = name_of(response).contains("freeswitch");
    let mut reasons = case.reasons(response).iter().filter(|reason| reason.protocol.eq_ignore_ascii_case("SIP"));
    let cause = reasons.find_map(|reason| reason.cause.filter(|cause| *cause >= FIRST_PRIVATE))?;
    freeswitch_cause(u16::try_from(cause).ok()?).filter(|_| is_freeswitch)
}

/// The name of the software that made a message, in lower case; empty if the message bears none.
fn name_of(heard: &Heard) -> String {
    own_name(heard).unwrap_or_default().to_lowercase()
}

/// What a response says: the status line, and each header with its name, in lower case.
fn said(response: &Heard) -> String {
    let mut says = response.message.first_line().to_lowercase();
    for header in TELLING {
        for line in response.message.header_lines(header) {
            says.push_str(&format!("\n{}: {}", header.to_lowercase(), line.to_lowercase()));
        }
    }
    says
}

/// Claims what shows the software: its words where they stand, else its name.
fn cite(cause: &mut Finding, response: &Heard, signature: &Signature, software: &str) {
    if signature.told_by == ToldBy::Name {
        claim_name(cause, response, "the software that answers");
    }
    let line = response.message.first_line();
    let lower = line.to_lowercase();
    let says = format!("words of {software}");
    if signature.says.iter().any(|words| says_words(&lower, words)) {
        claim(cause, response, "sip.Status-Line", &line, &says);
    }
    for header in ["Reason", "Warning"] {
        let mut lines = response.message.header_lines(header);
        let is_telling = |line: &str| {
            let line = format!("{}: {}", header.to_lowercase(), line.to_lowercase());
            signature.says.iter().any(|words| says_words(&line, words))
        };
        if let Some(line) = lines.find(|line| is_telling(line)) {
            claim(cause, response, &format!("sip.{header}"), &line, &says);
        }
    }
}

/// Claims the name of the software, if the message itself bears it.
fn claim_name(cause: &mut Finding, heard: &Heard, says: &str) {
    let of_response = heard.message.status().is_some();
    let names = if of_response { &["Server", "User-Agent"][..] } else { &["User-Agent"] };
    if let Some((name, value)) = names.iter().find_map(|name| Some((name, heard.message.header(name)?))) {
        claim(cause, heard, &format!("sip.{name}"), &value, says);
    }
}

/// A claim that is not made yet. Of a message that the capture cut off nothing but its start line is claimed.
fn claim(cause: &mut Finding, heard: &Heard, field: &str, value: &str, says: &str) {
    let place = heard.place;
    let is_new = !cause.claims.iter().any(|claim| claim.place == place && claim.field == field);
    let is_whole = field == "sip.Status-Line" || !heard.message.lacks_its_end();
    if is_new && is_whole {
        cause.claims.push(Claim { place, field: field.to_owned(), value: value.into(), says: says.into() });
    }
}
