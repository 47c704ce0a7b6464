//! What a rule says when it holds: owned, serialisable, and provable claim by claim.

use std::borrow::Cow;
use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::call::Heard;
use crate::capture::Place;
use crate::catalogue::rfc_title;
use crate::diagnosis::rule::Rule;
use crate::net::IcmpCode;
use crate::sip::auth;
use crate::sip::{HeaderName, StatusCode, q850_header, unfold};
use crate::untrusted::Untrusted;

/// Headers whose field is an integer in Wireshark: it shows 0, or another spelling, where more than digits stands.
const INTEGERS: &[&str] = &["Retry-After", "Expires", "Max-Forwards", "Content-Length", "RSeq"];

/// Headers whose field has another name in Wireshark than they have, and its name.
const NAMED_OTHERWISE: [(&str, &str); 2] = [("SIP-If-Match", "If_Match"), ("SIP-ETag", "ETag")];

/// The name that Wireshark's field of a header has behind `sip.`.
fn field_of(header: &str) -> &str {
    NAMED_OTHERWISE.iter().find(|(known, _)| known.eq_ignore_ascii_case(header)).map_or(header, |(_, field)| field)
}

/// The header that a field is of, by what stands behind `sip.` in its name.
fn header_of(field: &str) -> &str {
    NAMED_OTHERWISE.iter().find(|(_, known)| *known == field).map_or(field, |(header, _)| header)
}

/// How sure a finding is (best first).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Confidence {
    /// A packet states it, or arithmetic on two fields that were seen.
    Proven,
    /// One signature, timing that fits, rivals checked.
    Likely,
    /// It fits, and so do others, which are listed.
    Possible,
    /// The capture cannot tell: a statement about the capture, not about the call.
    Unseen,
}

impl Confidence {
    /// The word in the report.
    pub fn word(self) -> &'static str {
        match self {
            Confidence::Proven => "proven",
            Confidence::Likely => "likely",
            Confidence::Possible => "possible",
            Confidence::Unseen => "unseen",
        }
    }
}

/// How much a finding matters (worst first).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Severity {
    /// It explains a failure.
    Error,
    /// Something is wrong that did not decide the outcome.
    Warning,
    /// A fact.
    Info,
}

/// Who is responsible.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// The one who sent the request.
    Uac,
    /// The one who was asked.
    Uas,
    /// One who passes on.
    Proxy,
    /// The registrar.
    Registrar,
    /// What lies between.
    Network,
    /// The capture itself.
    Capture,
    /// Nobody: nothing is wrong.
    Nobody,
}

/// Who is responsible, and where.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Party {
    /// As what.
    pub role: Role,
    /// Its address.
    pub address: Option<SocketAddr>,
    /// What its User-Agent or Server header says.
    pub agent: Option<Untrusted>,
}

impl Party {
    /// The sender of a message; its Server or User-Agent header names it.
    fn sender(role: Role, heard: &Heard) -> Party {
        let named = |name| heard.message.header_bytes(name).map(unfold);
        let agent = named(HeaderName::Server).or_else(|| named(HeaderName::UserAgent));
        Party { role, address: Some(heard.path.source), agent: agent.map(Untrusted::from) }
    }
}

/// One fact with its proof: a frame, a Wireshark display-filter field, and what it holds there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claim {
    /// The frame.
    pub place: Place,
    /// The field: `sip.Status-Code`, `sip.Reason`, `icmp.code`, … or `absent`.
    pub field: String,
    /// What that field holds in that frame; for `absent`, what is missing after it.
    pub value: Untrusted,
    /// What it proves.
    pub says: Untrusted,
}

/// A rival explanation that was checked and does not hold.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refuted {
    /// The rival's rule.
    pub rule: String,
    /// Why it does not hold.
    pub why: Untrusted,
}

/// A place in an RFC.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Reference {
    /// The document: `RFC 3261`.
    pub doc: String,
    /// The section: `21.5.4`; empty for the whole document.
    pub section: String,
}

impl Reference {
    /// The heading of the section.
    pub fn title(&self) -> Option<&'static str> {
        rfc_title(&self.doc, &self.section)
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.section.as_str() {
            "" => f.write_str(&self.doc),
            section => write!(f, "{} §{section}", self.doc),
        }
    }
}

/// What a rule found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// The rule's name.
    pub rule: Cow<'static, str>,
    /// The rule's place in the specification: family and number.
    pub id: Cow<'static, str>,
    /// One line.
    pub title: Untrusted,
    /// How sure.
    pub confidence: Confidence,
    /// How much it matters.
    pub severity: Severity,
    /// Who is responsible.
    pub party: Party,
    /// The code that it explains.
    pub status: Option<StatusCode>,
    /// Why this call failed, in a sentence or two.
    pub explanation: Untrusted,
    /// What to do, most likely first.
    pub fix: Vec<Untrusted>,
    /// The proof.
    pub claims: Vec<Claim>,
    /// The rivals that were checked.
    pub refuted: Vec<Refuted>,
    /// The command that would settle what cannot be told.
    pub next_capture: Option<Untrusted>,
    /// Names that stand in its texts and come from no SIP message: of the DNS, of certificates. A report that names
    /// nobody needs to know them.
    #[serde(default)]
    pub names: Vec<String>,
    /// Where it is written.
    pub rfc: Arc<[Reference]>,
    /// True if it explains how the call ended.
    pub explains: bool,
    /// True if it ended an answered call against the parties' will.
    pub drops_the_call: bool,
}

/// The fields of a start line.
const OF_START_LINE: [&str; 5] = ["sip.Method", "sip.r-uri", "sip.Request-Line", "sip.Status-Code", "sip.Status-Line"];

impl Finding {
    /// A finding of a rule, a fact to begin with: severity info, nobody responsible, nothing explained.
    #[inline]
    pub fn of(rule: &Rule, confidence: Confidence) -> Finding {
        Finding {
            rule: Cow::Borrowed(rule.name),
            id: Cow::Borrowed(rule.id),
            title: Untrusted::fixed(rule.title()),
            confidence,
            severity: Severity::Info,
            party: Party { role: Role::Nobody, address: None, agent: None },
            status: None,
            explanation: Untrusted::default(),
            fix: Vec::new(),
            claims: Vec::new(),
            names: Vec::new(),
            refuted: Vec::new(),
            next_capture: None,
            rfc: rule.references(),
            explains: false,
            drops_the_call: false,
        }
    }

    /// It explains how the call ended: severity error, unless the finding is `unseen`, which explains nothing.
    #[inline]
    pub fn explains(mut self, status: Option<StatusCode>) -> Finding {
        self.status = status;
        if self.confidence != Confidence::Unseen {
            self.explains = true;
            self.severity = Severity::Error;
        }
        self
    }

    /// It explains how the call ended, and nothing is wrong: severity info.
    #[inline]
    pub fn explains_calmly(mut self, status: Option<StatusCode>) -> Finding {
        self.status = status;
        self.explains = self.confidence != Confidence::Unseen;
        self
    }

    /// It explains the end of the call although the capture does not show the reason (C10f).
    pub fn explains_unseen(mut self, status: Option<StatusCode>) -> Finding {
        self.status = status;
        self.explains = true;
        self
    }

    /// The answered call ended by it, against the parties' will.
    pub fn drops_the_call(mut self) -> Finding {
        self.drops_the_call = self.explains;
        self
    }

    /// The code it is about, without explaining the outcome.
    pub fn about(mut self, status: StatusCode) -> Finding {
        self.status = Some(status);
        self
    }

    /// Another severity; `unseen` findings stay info.
    pub fn severity(mut self, severity: Severity) -> Finding {
        if self.confidence != Confidence::Unseen {
            self.severity = severity;
        }
        self
    }

    /// A title for this very case.
    pub fn titled(mut self, title: impl Into<Untrusted>) -> Finding {
        self.title = title.into();
        self
    }

    /// Why this call failed.
    pub fn because(mut self, explanation: impl Into<Untrusted>) -> Finding {
        self.explanation = explanation.into();
        self
    }

    /// One more thing to do.
    pub fn fix(mut self, step: impl Into<Untrusted>) -> Finding {
        self.fix.push(step.into());
        self
    }

    /// That these names stand in its texts, which come from no SIP message.
    pub fn naming(mut self, names: impl IntoIterator<Item = impl Into<String>>) -> Finding {
        self.names.extend(names.into_iter().map(Into::into));
        self
    }

    /// Who is responsible, by address.
    pub fn party(mut self, role: Role, address: Option<SocketAddr>) -> Finding {
        self.party = Party { role, address, agent: None };
        self
    }

    /// The sender of a message is responsible; its Server or User-Agent header names it.
    #[inline]
    pub fn sender(mut self, role: Role, heard: &Heard) -> Finding {
        self.party = Party::sender(role, heard);
        self
    }

    /// A claim about a message: what a Wireshark field holds in its frame.
    /// Of a message that the capture cut off, Wireshark shows the start line only: nothing else is claimed of it.
    pub fn claim(self, heard: &Heard, field: &str, value: impl Into<Untrusted>, says: impl Into<Untrusted>) -> Finding {
        let is_inside = field.starts_with("sip.") || field.starts_with("sdp.");
        if is_inside && !OF_START_LINE.contains(&field) && heard.message.lacks_its_end() {
            return self;
        }
        let value = value.into();
        match shown(heard, field, value.raw()) {
            Shown::ByField => self.claim_at(heard.place, field, value, says),
            Shown::ByLine(line) => self.claim_at(heard.place, "sip.msg_hdr", line, says),
            Shown::Not => self,
        }
    }

    /// A claim about a frame.
    pub fn claim_at(
        mut self,
        place: Place,
        field: &str,
        value: impl Into<Untrusted>,
        says: impl Into<Untrusted>,
    ) -> Finding {
        self.claims.push(Claim { place, field: field.to_owned(), value: value.into(), says: says.into() });
        self
    }

    /// Claims of the type and the code of an ICMP error.
    pub fn claim_icmp(self, place: Place, what: IcmpCode, kind_says: &str, code_says: &str) -> Finding {
        let IcmpCode { kind, code, .. } = what;
        let protocol = what.protocol();
        self.claim_at(place, &format!("{protocol}.type"), kind.to_string(), kind_says).claim_at(
            place,
            &format!("{protocol}.code"),
            code.to_string(),
            code_says,
        )
    }

    /// A claim that a header stands in a message, whole, by the header's own field (`sip.Reason`); by `sip.msg_hdr`
    /// with the header's line where that field cannot hold it. Nothing is claimed if the header does not stand there.
    pub fn claim_header(self, heard: &Heard, header: &str, says: impl Into<Untrusted>) -> Finding {
        let Some(value) = heard.message.header(header).map(|value| value.into_owned()) else { return self };
        self.claim_header_line(heard, header, &value, says)
    }

    /// The same for the first line of that header which holds a text: of several Reason lines the one that counts.
    pub fn claim_header_with(self, heard: &Heard, header: &str, text: &str, says: impl Into<Untrusted>) -> Finding {
        let Some(value) = heard.message.header_lines(header).find(|line| line.contains(text)) else { return self };
        let value = value.into_owned();
        self.claim_header_line(heard, header, &value, says)
    }

    /// The claim that a message gives a cause of Q.850, where it stands: in its Reason, or in a header of Asterisk.
    pub(crate) fn claim_q850(self, heard: &Heard, says: impl Into<Untrusted>) -> Finding {
        match q850_header(&heard.message) {
            "Reason" => self.claim_header_with(heard, "Reason", "850", says),
            private => self.claim_header(heard, private, says),
        }
    }

    fn claim_header_line(self, heard: &Heard, header: &str, value: &str, says: impl Into<Untrusted>) -> Finding {
        let is_integer = INTEGERS.iter().any(|known| known.eq_ignore_ascii_case(header));
        let holds = !is_integer || value.parse::<u32>().is_ok_and(|number| number.to_string() == value);
        // Private headers have no field of their own.
        let is_private = header.starts_with("X-") || header.starts_with("P-Registrar");
        match holds && !is_private {
            true => self.claim(heard, &format!("sip.{}", field_of(header)), value, says),
            false => {
                let line = heard.message.header_line(header).unwrap_or_else(|| format!("{header}: {value}"));
                self.claim(heard, "sip.msg_hdr", line, says)
            }
        }
    }

    /// A claim about a parameter of a challenge or of credentials, as it was sent (`sip.auth.realm`). The nonce tells
    /// which of several lines is meant; it is not claimed itself, for it would help to guess the secret.
    pub fn claim_auth(
        self,
        heard: &Heard,
        header_and_nonce: (&str, &str),
        parameter: &str,
        says: impl Into<Untrusted>,
    ) -> Finding {
        let (header, nonce) = header_and_nonce;
        match auth::as_sent(&heard.message, header, nonce, parameter) {
            Some(value) => self.claim(heard, &format!("sip.auth.{parameter}"), value, says),
            None => self,
        }
    }

    /// A claim about the Request-URI.
    pub fn claim_request_uri(self, heard: &Heard, says: impl Into<Untrusted>) -> Finding {
        match heard.message.request_uri().map(|uri| uri.into_owned()) {
            Some(uri) => self.claim(heard, "sip.r-uri", uri, says),
            None => self,
        }
    }

    /// A claim that a response has its code.
    pub fn claim_status(self, heard: &Heard, says: impl Into<Untrusted>) -> Finding {
        match heard.message.status() {
            Some(status) => self.claim(heard, "sip.Status-Code", status.to_string(), says),
            None => self,
        }
    }

    /// A claim that a request has its method.
    pub fn claim_method(self, heard: &Heard, says: impl Into<Untrusted>) -> Finding {
        match heard.message.method() {
            Some(method) => self.claim(heard, "sip.Method", method.name(), says),
            None => self,
        }
    }

    /// A claim that something is missing after a frame.
    pub fn claim_absent(self, after: Place, what: impl Into<Untrusted>, says: impl Into<Untrusted>) -> Finding {
        self.claim_at(after, "absent", what, says)
    }

    /// A rival that was checked and does not hold.
    pub fn refuted(mut self, rule: &str, why: impl Into<Untrusted>) -> Finding {
        self.refuted.push(Refuted { rule: rule.to_owned(), why: why.into() });
        self
    }

    /// The command that would settle what cannot be told.
    pub fn next_capture(mut self, command: impl Into<Untrusted>) -> Finding {
        self.next_capture = Some(command.into());
        self
    }
}

/// How Wireshark shows what stands in a header.
enum Shown {
    /// By a field of its own.
    ByField,
    /// Not by its own field, but among the lines of all headers.
    ByLine(String),
    /// Not so that it could be compared.
    Not,
}

/// RFC 3261 §7.3.1 allows blanks before the colon and folded lines. Wireshark has no field for a header with blanks
/// there, and shows the line breaks of a folded one.
fn shown(heard: &Heard, field: &str, value: &str) -> Shown {
    let Some((floor, name)) = field.split_once('.') else { return Shown::ByField };
    let message = &heard.message;
    match floor {
        "sdp" if message.has_blank_before_colon("Content-Type") => return Shown::Not,
        "sip" if !OF_START_LINE.contains(&field) && name != "msg_hdr" => {}
        _ => return Shown::ByField,
    }
    let (head, is_part) = name.split_once('.').map_or((name, false), |(head, _)| (head, true));
    let head = header_of(head);
    let headers: &[&str] = match head {
        "auth" => &["WWW-Authenticate", "Proxy-Authenticate", "Authorization", "Proxy-Authorization"],
        _ => &[head],
    };
    // A report hides the secrets in a line of credentials, so that line cannot be compared either.
    if head == "auth" && headers.iter().any(|header| message.has_blank_before_colon(header)) {
        return Shown::Not;
    }
    let mut spaced = headers.iter().filter(|header| message.has_blank_before_colon(header));
    if let Some(line) = spaced.find_map(|header| message.header_line_with(header, value)) {
        return Shown::ByLine(line);
    }
    match !is_part && message.is_folded(head) {
        true => Shown::Not,
        false => Shown::ByField,
    }
}
