//! What a response says of itself beyond its code: its own reason phrase, Warning, the text of Reason.
//!
//! Is given a response; gives quotations for a report. Deliberately does not know what they mean.

use std::borrow::Cow;
use std::net::SocketAddr;

use crate::call::{Heard, Kind};
use crate::catalogue::{Pairs, q850};
use crate::diagnosis::case::Case;
use crate::diagnosis::finding::Finding;
use crate::diagnosis::stated::{Ground, Limit, blames_any, ground, limit, states_any};
use crate::sip::{HeaderName, Reason, Warning, q850_header};

/// Codes by which a callee refuses a call, with the Q.850 causes that stand for them (RFC 3398 §8.2.6.1).
const OF_CALLEE: [(u32, u32); 3] = [(486, 17), (600, 17), (603, 21)];

/// Words of a refusal that name the credentials, in lower case.
pub(crate) const OF_CREDENTIALS: &[&str] =
    &["password", "passwd", "credential", "authentication", "auth id", "auth user", "bad auth", "secret", "digest"];

/// Words for one that is not registered, for the one who calls, and for the one who is called, in lower case.
const UNREGISTERED: &[&str] =
    &["not registered", "not_registered", "unregistered", "no registration", "isn't registered"];
/// What all of these hold.
const OF_REGISTRATION: &str = "regist";
const CALLER: &[&str] = &[
    "caller",
    "calling party",
    "calling user",
    "calling number",
    "calling subscriber",
    "calling device",
    "originating",
    "originator",
    "you are",
    "you're",
    "a-party",
    "a-number",
];
const CALLED: &[&str] = &["callee", "called", "destination", "terminat", "recipient", "b-party"];

/// What may be full, where a server has room for so many.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Full {
    Conference,
    Mailbox,
    Queue,
}

/// The words for it, in lower case.
const FULL: [(&str, Full); 5] = [
    ("conference", Full::Conference),
    ("participants", Full::Conference),
    ("mailbox", Full::Mailbox),
    ("voicemail", Full::Mailbox),
    ("queue", Full::Queue),
];

impl Full {
    /// What the response says, as the end of a sentence.
    pub(crate) fn says(self) -> &'static str {
        match self {
            Full::Conference => "the conference is full, by its own words",
            Full::Mailbox => "the mailbox is full, by its own words",
            Full::Queue => "the queue is full, by its own words",
        }
    }

    /// What to do about it on a server.
    pub(crate) fn fix(self, server: SocketAddr) -> String {
        match self {
            Full::Conference => format!(
                "Call again when somebody has left, or look on {server} how many may take part in that conference."
            ),
            Full::Mailbox => format!("Have messages of that mailbox deleted, or give it more room on {server}."),
            Full::Queue => format!(
                "Call again later; or look on {server} how many calls may wait in that queue, and where the next ones \
                 go."
            ),
        }
    }
}

/// User-Agents of tools that probe servers. What they are refused is no fault of anybody's telephony.
const SCANNERS: &[&str] =
    &["friendly-scanner", "sipvicious", "sipcli", "vaxsipuseragent", "sundayddr", "pplsip", "sipsak"];

impl Finding {
    /// Claims for what a response says in words of its own: its phrase, its Warning, the text of its Reason.
    pub(crate) fn claim_own_words(self, case: &Case<'_>, heard: &Heard) -> Finding {
        self.claim_own_phrase(case, heard).claim_header(heard, "Warning", "a warning that says more").claim_header(
            heard,
            "Reason",
            "the reason that the sender gives",
        )
    }

    /// A claim for its phrase alone, if that is one of its own.
    pub(crate) fn claim_own_phrase(self, case: &Case<'_>, heard: &Heard) -> Finding {
        match case.own_phrase(heard) {
            Some(_) => {
                self.claim(heard, "sip.Status-Line", heard.message.first_line().into_owned(), "in words of its own")
            }
            None => self,
        }
    }
}

impl Case<'_> {
    /// True if the call was opened by a tool that probes servers, or by a source that tries one user after the other.
    pub fn is_scan(&self) -> bool {
        let Some(first) = self.call.messages.iter().find(|heard| heard.message.is_request()) else { return false };
        let agent = first.message.header("User-Agent").unwrap_or_default().to_lowercase();
        SCANNERS.iter().any(|known| agent.contains(known)) || self.tried_users().is_some()
    }

    /// The reason phrase, if it says more than the code: other than the usual one.
    pub fn own_phrase<'h>(&self, heard: &'h Heard) -> Option<Cow<'h, str>> {
        if self.is_silent(heard) {
            return None;
        }
        let usual = usual_phrases(heard.message.status()?.get());
        let sent = heard.message.reason_phrase();
        if usual.contains(&&*sent) {
            return None; // As nearly everywhere, letter by letter.
        }
        let phrase = match sent {
            Cow::Borrowed(phrase) => Cow::Borrowed(phrase.trim()),
            Cow::Owned(phrase) => Cow::Owned(phrase.trim().to_owned()),
        };
        let is_usual = phrase.is_empty() || usual.iter().any(|usual| usual.eq_ignore_ascii_case(&phrase));
        (!is_usual).then_some(phrase)
    }

    /// The Q.850 cause of a response, if it is one with a rule of its own: it counts more than the code. A callee's
    /// refusal counts like one, and so does what was announced before a refusal without a Reason.
    pub fn telling_cause(&self, heard: &Heard) -> Option<u32> {
        self.own_telling_cause(heard).or_else(|| self.announced(heard).map(|told| told.cause))
    }

    /// The same of this message alone.
    pub(crate) fn own_telling_cause(&self, heard: &Heard) -> Option<u32> {
        let has_rule = |cause: &u32| {
            let of_number = matches!(cause, 1..=3 | 20 | 22 | 28);
            let of_callee = matches!(cause, 17 | 19 | 21);
            let of_trunk = matches!(cause, 27 | 34 | 38 | 41 | 42 | 44 | 47);
            of_number || of_callee || of_trunk || matches!(cause, 50 | 52..=55 | 57 | 87)
        };
        let by_callee = || self.callees_word(heard).map(|(cause, _)| cause);
        self.q850(heard).filter(has_rule).or_else(by_callee)
    }

    /// What a callee said behind a server that made another code of it, by a Reason of protocol SIP: the Q.850 cause
    /// that stands for it, and the Reason. After a CANCEL it tells what another callee said.
    pub fn callees_word<'h>(&self, heard: &'h Heard) -> Option<(u32, &'h Reason)> {
        let code = u32::from(heard.message.status()?.get());
        let cause_of = |reason: &Reason| OF_CALLEE.iter().find(|(known, _)| Some(*known) == reason.sip());
        let mut of_others = self.reasons(heard).iter().filter(|reason| code != 487 && reason.sip() != Some(code));
        of_others.find_map(|reason| Some((cause_of(reason)?.1, reason)))
    }

    /// The Warnings of a response (RFC 3261 §20.43).
    pub fn warnings(&self, heard: &Heard) -> Vec<Warning> {
        if !heard.message.has_key(HeaderName::Warning) {
            return Vec::new(); // As nearly everywhere.
        }
        heard.message.headers("Warning").iter().filter_map(|value| Warning::read(value)).collect()
    }

    /// False if a response says nothing in words ([`Case::words`]).
    pub(crate) fn says_anything(&self, heard: &Heard) -> bool {
        self.own_phrase(heard).is_some() || !self.reasons(heard).is_empty() || !self.warnings(heard).is_empty()
    }

    /// True if it is the response that decided the failure, and says nothing in words, as most say nothing: many rules
    /// ask it.
    fn is_silent(&self, heard: &Heard) -> bool {
        self.is_refusal_silent() && self.failure().is_some_and(|failure| failure.response == heard.id)
    }

    /// Everything that a response says in words: phrase, texts of Reason and Warning, in lower case. For looking for
    /// words, not for output.
    pub fn words(&self, heard: &Heard) -> String {
        if self.is_silent(heard) {
            return String::new();
        }
        let mut words = self.own_phrase(heard).map(Cow::into_owned).unwrap_or_default();
        for reason in self.reasons(heard) {
            words.push('\n');
            words.push_str(reason.text.as_deref().unwrap_or_default());
        }
        for warning in self.warnings(heard) {
            words.push('\n');
            words.push_str(&warning.text);
        }
        words.to_lowercase()
    }

    /// What a response says beyond its code, as a part of a sentence: `its reason phrase says "…"`. `None` if it says
    /// nothing.
    pub fn quotation(&self, heard: &Heard) -> Option<String> {
        if let Some(reason) = self.reasons(heard).iter().find(|reason| reason.text.is_some()) {
            let Reason { protocol, cause, text, .. } = reason;
            let cause = cause.map(|cause| format!(" {cause}")).unwrap_or_default();
            return Some(format!(
                "its Reason header says {protocol}{cause} \"{}\"",
                text.as_deref().unwrap_or_default()
            ));
        }
        if let Some(warning) = self.warnings(heard).first() {
            return Some(format!("{} warns with {} \"{}\"", warning.agent, warning.code, warning.text));
        }
        if let Some(cause) = self.q850(heard).filter(|cause| *cause != 0) {
            let name = u8::try_from(cause).ok().and_then(q850).map(|known| format!(" ({})", known.name));
            let header = q850_header(&heard.message);
            return Some(format!("its {header} header says Q.850 {cause}{}", name.unwrap_or_default()));
        }
        if let Some((_, Reason { protocol, cause, .. })) = self.callees_word(heard) {
            return Some(format!("its Reason header says {protocol} {}", cause.unwrap_or_default()));
        }
        self.own_phrase(heard).map(|phrase| format!("its reason phrase says \"{phrase}\""))
    }

    /// The same as it follows a clause: `; its reason phrase says "…"`, and nothing if it says nothing.
    pub(crate) fn said_beside_code(&self, heard: &Heard) -> String {
        self.quotation(heard).map(|words| format!("; {words}")).unwrap_or_default()
    }

    /// True if a response says, in one sentence, that who calls is not registered, and not who is called.
    pub(crate) fn says_caller_unregistered(&self, heard: &Heard) -> bool {
        let said = self.words(heard);
        if !said.contains(OF_REGISTRATION) {
            return false;
        }
        let has = |sentence: &str, words: &[&str]| words.iter().any(|word| sentence.contains(word));
        said.lines().any(|sentence| has(sentence, UNREGISTERED) && has(sentence, CALLER) && !has(sentence, CALLED))
    }

    /// What the response to a call says to be full, in its own words.
    pub(crate) fn what_is_full(&self, heard: &Heard) -> Option<Full> {
        let said = self.words(heard);
        let mut words = said.split(|letter: char| !letter.is_alphanumeric());
        let says_full = words.any(|word| word == "full") && states_any(&said, &["full"]);
        let is_full = says_full || said.contains("number of participants");
        let names = |known: &&(&str, Full)| said.contains(known.0);
        FULL.iter().find(names).filter(|_| is_full && self.call.kind == Kind::Call).map(|(_, full)| *full)
    }

    /// True if a response states one of these, given in lower case, and does not deny it: that it is overloaded, or that
    /// a limit is reached.
    pub(crate) fn states_any(&self, heard: &Heard, words: &[&str]) -> bool {
        states_any(&self.words(heard), words)
    }

    /// True if a response finds fault with one of these things, given in lower case, and does not say that it is in
    /// order: a password, the number of the caller.
    pub(crate) fn blames_any(&self, heard: &Heard, words: &[&str]) -> bool {
        blames_any(&self.words(heard), words)
    }

    /// The ground that a response states in so many words.
    pub(crate) fn ground_said(&self, heard: &Heard) -> Option<Ground> {
        ground(&self.words(heard))
    }

    /// The kind of limit that a response says to be reached.
    pub(crate) fn limit_said(&self, heard: &Heard) -> Option<Limit> {
        limit(&self.words(heard))
    }

    /// True if a response speaks of one of these, given in lower case, whatever it says of it.
    pub fn says_any(&self, heard: &Heard, words: &[&str]) -> bool {
        let said = self.words(heard);
        if said.is_empty() {
            return false;
        }
        let pairs = Pairs::of(&said);
        words.iter().any(|word| pairs.may_hold(word) && said.contains(word))
    }
}

/// The phrases that stacks send with a code when they mean nothing beyond it (RFC 3261 §21, and the defaults of
/// sofia-sip, pjsip and Kamailio).
fn usual_phrases(code: u16) -> &'static [&'static str] {
    match code {
        300 => &["Multiple Choices"],
        301 => &["Moved Permanently"],
        302 => &["Moved Temporarily"],
        305 => &["Use Proxy"],
        380 => &["Alternative Service"],
        400 => &["Bad Request"],
        401 => &["Unauthorized"],
        402 => &["Payment Required"],
        403 => &["Forbidden"],
        404 => &["Not Found"],
        405 => &["Method Not Allowed"],
        406 => &["Not Acceptable"],
        407 => &["Proxy Authentication Required"],
        408 => &["Request Timeout", "Request Time-out"],
        410 => &["Gone"],
        413 => &["Request Entity Too Large"],
        414 => &["Request-URI Too Long", "Request-URI Too Large"],
        415 => &["Unsupported Media Type"],
        416 => &["Unsupported URI Scheme"],
        423 => &["Interval Too Brief"],
        433 => &["Anonymity Disallowed"],
        480 => &["Temporarily Unavailable", "Temporarily not available", "Temporarily Not Available"],
        481 => &["Call/Transaction Does Not Exist", "Call Leg/Transaction Does Not Exist"],
        482 => &["Loop Detected"],
        483 => &["Too Many Hops"],
        484 => &["Address Incomplete"],
        485 => &["Ambiguous"],
        486 => &["Busy Here"],
        488 => &["Not Acceptable Here"],
        500 => &["Server Internal Error", "Internal Server Error", "Server Error"],
        501 => &["Not Implemented"],
        502 => &["Bad Gateway"],
        503 => &["Service Unavailable"],
        504 => &["Server Time-out", "Server Timeout", "Gateway Time-out", "Gateway Timeout"],
        513 => &["Message Too Large"],
        600 => &["Busy Everywhere"],
        603 => &["Decline", "Declined"],
        604 => &["Does Not Exist Anywhere"],
        606 => &["Not Acceptable"],
        _ => &[],
    }
}
