//! One status code: what it means, when one sees it, what to do.
//!
//! Knows the form of a `[[status]]` of `data/status-codes/` and of an overlay file. Gives [`Entry`] and the words its
//! fields are made of. Deliberately does not know where entries come from, nor how they are printed.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What a status code means (RFC 3261 §21 and the RFCs that add to it).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    /// The number: 100–699, or a local code above that never stands on the wire.
    pub code: u16,
    /// The registered reason phrase; for a code that is not registered, the phrase its software sends.
    pub name: String,
    /// Whether IANA knows the code.
    pub registered: Registered,
    /// Where it is defined: RFC and section, or the software.
    pub reference: String,
    /// Other documents that give it a meaning.
    #[serde(default)]
    pub also: Vec<String>,
    /// What sort of outcome it is.
    pub kind: Kind,
    /// When it is a step of a healthy exchange; empty if never.
    #[serde(default)]
    pub normal_when: String,
    /// Whether the request is worth sending again.
    pub retry: Retry,
    /// When, or after which change; may be empty.
    #[serde(default)]
    pub retry_note: String,
    /// Who sends it: `UAS`, `registrar`, `proxy`, `SBC`, `gateway` …
    pub sent_by: Vec<String>,
    /// What it means, in one to three sentences.
    pub description: String,
    /// When one sees it in practice.
    pub when: String,
    /// What to do first, then next, and who has to do it.
    pub fix: String,
    /// Q.850 causes that commonly stand beside it in a `Reason` header.
    #[serde(default)]
    pub q850: Vec<u8>,
    /// The headers that matter.
    #[serde(default)]
    pub look_at: Vec<LookAt>,
    /// Concrete causes, commonest first.
    #[serde(default, rename = "cause")]
    pub causes: Vec<Cause>,
    /// The codes it is taken for.
    #[serde(default)]
    pub confused_with: Vec<ConfusedWith>,
    /// For a code that nobody registered: the code as which it is treated (RFC 3261 §8.1.3.2).
    #[serde(default, skip_deserializing, skip_serializing_if = "Option::is_none")]
    pub treated_as: Option<u16>,
}

/// A header that matters.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LookAt {
    /// Its name, or that of a part of the message.
    pub header: String,
    /// What it tells.
    pub why: String,
}

/// A concrete cause.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Cause {
    /// Where it is found: any, pbx, trunk, registrar, sbc, proxy, gateway, webrtc, ims.
    #[serde(rename = "where")]
    pub places: Vec<String>,
    /// What is wrong.
    pub cause: String,
    /// How the capture shows it.
    pub evidence: String,
    /// What to check or to change.
    pub check: String,
    /// The settings in the platforms' own words: `Asterisk: … Kamailio: …`; may be empty.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub platform: String,
    /// The rule of the diagnosis that detects it; empty if there is none.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub rule: String,
}

/// A code that is taken for this one, or the other way round.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ConfusedWith {
    /// The other code.
    pub code: u16,
    /// The decisive difference.
    pub difference: String,
    /// How the capture tells them apart.
    pub capture: String,
}

impl Entry {
    /// The class, which is the first digit (RFC 3261 §7.2).
    pub fn class(&self) -> Class {
        Class::of(self.code)
    }

    /// The rules of the diagnosis that refine the code, each once, in the order of the causes.
    pub fn rules(&self) -> Vec<&str> {
        let mut rules: Vec<&str> = Vec::new();
        for cause in &self.causes {
            if !cause.rule.is_empty() && !rules.contains(&cause.rule.as_str()) {
                rules.push(&cause.rule);
            }
        }
        rules
    }
}

/// The class of a status code (RFC 3261 §7.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Class {
    /// 1xx: the request is being worked on.
    Provisional,
    /// 2xx: it was accepted.
    Success,
    /// 3xx: it should go elsewhere.
    Redirection,
    /// 4xx: it cannot be met as it stands, or not here (RFC 3261 §21.4 "Request Failure").
    ClientFailure,
    /// 5xx: the server failed.
    ServerFailure,
    /// 6xx: no server will meet it.
    GlobalFailure,
    /// 700 and above: only in logs and screens, never on the wire.
    Local,
}

impl Class {
    /// Every class that stands on the wire, in order.
    pub const ALL: [Class; 6] = [
        Class::Provisional,
        Class::Success,
        Class::Redirection,
        Class::ClientFailure,
        Class::ServerFailure,
        Class::GlobalFailure,
    ];

    /// The class of a code.
    pub fn of(code: u16) -> Class {
        match code / 100 {
            1 => Class::Provisional,
            2 => Class::Success,
            3 => Class::Redirection,
            4 => Class::ClientFailure,
            5 => Class::ServerFailure,
            6 => Class::GlobalFailure,
            _ => Class::Local,
        }
    }

    /// Reads `4xx`, `4` or `client-failure`.
    pub fn parse(text: &str) -> Option<Class> {
        let text = text.to_ascii_lowercase();
        Class::ALL.into_iter().find(|class| {
            text == class.short() || text == class.key() || text.len() == 1 && class.short().starts_with(&text)
        })
    }

    /// `4xx`.
    pub fn short(self) -> &'static str {
        match self {
            Class::Provisional => "1xx",
            Class::Success => "2xx",
            Class::Redirection => "3xx",
            Class::ClientFailure => "4xx",
            Class::ServerFailure => "5xx",
            Class::GlobalFailure => "6xx",
            Class::Local => "local",
        }
    }

    /// The name in JSON and in language files: `client-failure`.
    pub fn key(self) -> &'static str {
        match self {
            Class::Provisional => "provisional",
            Class::Success => "success",
            Class::Redirection => "redirection",
            Class::ClientFailure => "client-failure",
            Class::ServerFailure => "server-failure",
            Class::GlobalFailure => "global-failure",
            Class::Local => "local",
        }
    }
}

/// Whether IANA knows the code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Registered {
    /// Registered.
    Yes,
    /// Registered, and marked as deprecated.
    Deprecated,
    /// Was in RFC 2543 or in a draft; is in no registry now.
    Obsolete,
    /// One vendor's own.
    Vendor,
    /// Seen in logs and on screens only.
    Local,
    /// Nobody's: neither registered nor known to this catalogue.
    Unknown,
}

/// What sort of outcome a code is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Kind {
    /// The request is being worked on.
    Progress,
    /// It was accepted.
    Success,
    /// It should go elsewhere.
    Redirect,
    /// Credentials or an agreement are asked for first.
    Challenge,
    /// Other terms are asked for.
    Negotiation,
    /// The caller gave up.
    CallerCancel,
    /// The called side said no.
    CalleeDecline,
    /// A policy on the way said no.
    PolicyReject,
    /// It failed.
    Failure,
}

impl Kind {
    /// True for what is a failed call by itself; a challenge or a negotiation becomes one only if it is not completed.
    pub fn is_fault(self) -> bool {
        matches!(self, Kind::Failure | Kind::PolicyReject)
    }
}

/// Whether a request is worth sending again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Retry {
    /// Yes, unchanged.
    Yes,
    /// After a change.
    Change,
    /// At another server or by another way.
    Elsewhere,
    /// To the addresses of the response.
    Follow,
    /// No.
    No,
    /// There is nothing to retry.
    #[serde(rename = "n/a")]
    NotApplicable,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_class_is_read_in_each_of_its_spellings() {
        for text in ["4xx", "4XX", "4", "client-failure"] {
            assert_eq!(Class::parse(text), Some(Class::ClientFailure), "{text}");
        }
        for text in ["", "7xx", "x", "44", "local"] {
            assert_eq!(Class::parse(text), None, "{text}");
        }
    }
}
