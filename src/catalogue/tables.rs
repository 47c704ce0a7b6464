//! The tables that stand beside the status codes: Q.850 causes, Warning codes, Reason protocols, TLS alerts,
//! FreeSWITCH's private causes, and the titles of the RFC sections that the catalogue cites.
//!
//! Gives one lookup for each. A table is read when it is first asked for. Deliberately does not know of any call.

use std::sync::OnceLock;

use serde::{Deserialize, Serialize, de::DeserializeOwned};

use super::slices::Table;

/// A cause of ITU-T Q.850, as in `Reason: Q.850;cause=34` (RFC 3326, RFC 6432).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Q850Cause {
    /// The number, 0–127.
    pub cause: u8,
    /// The name ITU-T gives it.
    pub name: String,
    /// Its class in Q.850: normal event, resource unavailable, …
    pub group: String,
    /// What it means.
    pub meaning: String,
    /// What to do.
    pub fix: String,
    /// The names Asterisk and FreeSWITCH use in their logs.
    pub names: Vec<String>,
    /// The status codes RFC 3398 §7.2.4.1 maps it to; the second depends on location or diagnostic.
    pub rfc3398: Vec<u16>,
    /// What Asterisk (PJSIP) sends.
    #[serde(default)]
    pub asterisk: Vec<u16>,
    /// What FreeSWITCH sends.
    #[serde(default)]
    pub freeswitch: Vec<u16>,
    /// What AudioCodes gateways send.
    #[serde(default)]
    pub audiocodes: Vec<u16>,
    /// What Ribbon SBCs send.
    #[serde(default)]
    pub ribbon: Vec<u16>,
}

/// A code of the Warning header (RFC 3261 §20.43).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WarningCode {
    /// The number, 300–399.
    pub code: u16,
    /// The registered text.
    pub name: String,
    /// Where it is defined.
    pub reference: String,
    /// What it means.
    pub meaning: String,
    /// Which part of the message shows the reason.
    pub look_at: String,
    /// What to do.
    pub fix: String,
    /// The rules of the diagnosis that read it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rules: Vec<String>,
}

/// A protocol of the Reason header (RFC 3326 §2).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReasonProtocol {
    /// The token.
    pub protocol: String,
    /// Where it is defined.
    pub reference: String,
    /// `yes`, or `vendor` for what is in no registry.
    pub registered: String,
    /// What its causes are.
    pub causes: String,
    /// What it tells.
    pub meaning: String,
    /// What to do.
    pub fix: String,
    /// The rules of the diagnosis that read it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rules: Vec<String>,
}

/// Where a Q.850 cause arose: the `location` parameter of RFC 8606.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReasonLocation {
    /// The token.
    pub location: String,
    /// Its name.
    pub name: String,
    /// Who that is.
    pub meaning: String,
    /// Where it is defined.
    pub reference: String,
}

/// An alert of TLS (RFC 8446 §6).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TlsAlert {
    /// The number.
    pub number: u8,
    /// The registered name.
    pub name: String,
    /// Where it is defined.
    pub reference: String,
    /// What it means.
    pub meaning: String,
    /// What to do, for the administrator of a SIP trunk.
    pub fix: String,
}

/// A private cause of FreeSWITCH, which it writes as `Reason: SIP;cause=806` although it is no status code.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FreeSwitchCause {
    /// The number, above 127.
    pub cause: u16,
    /// Its name in the sources and in the `text` parameter.
    pub name: String,
    /// What it means.
    pub meaning: String,
    /// What to do.
    pub fix: String,
    /// The status code that goes with it, where there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sip: Option<u16>,
}

/// A section of an RFC that the catalogue cites.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RfcSection {
    /// `RFC 3261`.
    pub doc: String,
    /// `21.5.4`.
    pub section: String,
    /// Its heading.
    pub title: String,
}

/// The Q.850 cause with this number.
pub fn q850(cause: u8) -> Option<&'static Q850Cause> {
    q850_table().get(cause.into())
}

/// Every Q.850 cause, in the order of its number.
pub fn q850_causes() -> impl Iterator<Item = &'static Q850Cause> {
    q850_table().iter()
}

fn q850_table() -> &'static Table<Q850Cause> {
    static TABLE: OnceLock<Table<Q850Cause>> = OnceLock::new();
    TABLE.get_or_init(|| Table::cut(&[include_str!("../../data/q850-causes.toml")], "cause", "cause"))
}

/// The Warning code with this number.
pub fn warning(code: u16) -> Option<&'static WarningCode> {
    warning_codes().iter().find(|entry| entry.code == code)
}

/// Every Warning code, in the order of its number.
pub fn warning_codes() -> &'static [WarningCode] {
    static TABLE: OnceLock<Vec<WarningCode>> = OnceLock::new();
    #[derive(Deserialize)]
    struct File {
        warning: Vec<WarningCode>,
    }
    TABLE.get_or_init(|| read::<File>(include_str!("../../data/warning-codes.toml")).warning)
}

/// The Reason protocol with this token; upper and lower case are the same, as for every SIP token (RFC 3261 §7.3.1).
pub fn reason_protocol(protocol: &str) -> Option<&'static ReasonProtocol> {
    reason_protocols().iter().find(|entry| entry.protocol.eq_ignore_ascii_case(protocol))
}

/// Every Reason protocol, in the order of its name.
pub fn reason_protocols() -> &'static [ReasonProtocol] {
    &reasons().protocol
}

/// The location of RFC 8606 with this token.
pub fn reason_location(location: &str) -> Option<&'static ReasonLocation> {
    reason_locations().iter().find(|entry| entry.location.eq_ignore_ascii_case(location))
}

/// Every location of RFC 8606, in the order of its token.
pub fn reason_locations() -> &'static [ReasonLocation] {
    &reasons().location
}

/// The TLS alert with this number.
pub fn tls_alert(number: u8) -> Option<&'static TlsAlert> {
    tls_alerts().iter().find(|entry| entry.number == number)
}

/// Every TLS alert, in the order of its number.
pub fn tls_alerts() -> &'static [TlsAlert] {
    static TABLE: OnceLock<Vec<TlsAlert>> = OnceLock::new();
    #[derive(Deserialize)]
    struct File {
        alert: Vec<TlsAlert>,
    }
    TABLE.get_or_init(|| read::<File>(include_str!("../../data/tls-alerts.toml")).alert)
}

/// The private cause of FreeSWITCH with this number.
pub fn freeswitch_cause(cause: u16) -> Option<&'static FreeSwitchCause> {
    freeswitch_causes().iter().find(|entry| entry.cause == cause)
}

/// Every private cause of FreeSWITCH, in the order of its number.
pub fn freeswitch_causes() -> &'static [FreeSwitchCause] {
    static TABLE: OnceLock<Vec<FreeSwitchCause>> = OnceLock::new();
    #[derive(Deserialize)]
    struct File {
        cause: Vec<FreeSwitchCause>,
    }
    TABLE.get_or_init(|| read::<File>(include_str!("../../data/freeswitch-causes.toml")).cause)
}

/// The heading of a section: `rfc_title("RFC 3261", "21.5.4")`.
pub fn rfc_title(doc: &str, section: &str) -> Option<&'static str> {
    let found = rfc_sections().iter().find(|entry| entry.doc == doc && entry.section == section)?;
    Some(&found.title)
}

/// Every section that the catalogue cites, in the order of document and section.
pub fn rfc_sections() -> &'static [RfcSection] {
    static TABLE: OnceLock<Vec<RfcSection>> = OnceLock::new();
    #[derive(Deserialize)]
    struct File {
        section: Vec<RfcSection>,
    }
    TABLE.get_or_init(|| read::<File>(include_str!("../../data/rfc-sections.toml")).section)
}

#[derive(Deserialize)]
struct ReasonFile {
    protocol: Vec<ReasonProtocol>,
    location: Vec<ReasonLocation>,
}

fn reasons() -> &'static ReasonFile {
    static TABLE: OnceLock<ReasonFile> = OnceLock::new();
    TABLE.get_or_init(|| read(include_str!("../../data/reason-protocols.toml")))
}

/// Something for each of some languages, made of the table of the language when it is first asked for.
pub(super) struct ByLanguage<T, const N: usize> {
    files: [(&'static str, &'static str); N],
    made: [OnceLock<T>; N],
}

impl<T, const N: usize> ByLanguage<T, N> {
    /// Of these languages: the tag of each, and its table.
    pub(super) const fn new(files: [(&'static str, &'static str); N]) -> ByLanguage<T, N> {
        ByLanguage { files, made: [const { OnceLock::new() }; N] }
    }

    /// The tag and the table of a language; `None` if there is none.
    pub(super) fn file(&self, tag: &str) -> Option<(&'static str, &'static str)> {
        self.files.iter().find(|(known, _)| *known == tag).copied()
    }

    /// What is made of the table of a language; `None` if it has none.
    pub(super) fn of(&self, tag: &str, make: impl FnOnce(&'static str) -> T) -> Option<&T> {
        let place = self.files.iter().position(|(known, _)| *known == tag)?;
        Some(self.made[place].get_or_init(|| make(self.files[place].1)))
    }
}

/// Reads a table that is compiled in. That it can be read is tested, so a failure is a fault of the build.
pub(super) fn read<T: DeserializeOwned>(text: &'static str) -> T {
    match toml::from_str(text) {
        Ok(table) => table,
        Err(error) => panic!("a table of data/ cannot be read: {error}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn assert_sorted<K: Ord + std::fmt::Debug>(keys: impl Iterator<Item = K>) {
        let keys: Vec<K> = keys.collect();
        assert!(keys.windows(2).all(|pair| pair[0] < pair[1]), "not sorted or not unique: {keys:?}");
    }

    #[test]
    fn every_table_is_sorted_and_without_doubles() {
        assert_sorted(q850_causes().map(|entry| entry.cause));
        assert_sorted(warning_codes().iter().map(|entry| entry.code));
        assert_sorted(reason_protocols().iter().map(|entry| &entry.protocol));
        assert_sorted(reason_locations().iter().map(|entry| &entry.location));
        assert_sorted(tls_alerts().iter().map(|entry| entry.number));
        assert_sorted(freeswitch_causes().iter().map(|entry| entry.cause));
    }

    #[test]
    fn every_registered_number_is_there() {
        assert_eq!(q850_causes().count(), 75);
        for cause in [0, 1, 16, 17, 18, 19, 20, 21, 27, 31, 34, 38, 41, 42, 44, 47, 58, 63, 65, 79, 88, 102, 111, 127] {
            assert!(q850(cause).is_some(), "{cause}");
        }
        let warnings: Vec<u16> = warning_codes().iter().map(|entry| entry.code).collect();
        assert_eq!(warnings, [300, 301, 302, 303, 304, 305, 306, 307, 308, 330, 331, 370, 380, 381, 399]);
        let registered = reason_protocols().iter().filter(|entry| entry.registered == "yes").count();
        assert_eq!(registered, 22);
        assert_eq!(reason_locations().len(), 8);
        assert_eq!(freeswitch_causes().len(), 32);
    }

    #[test]
    fn every_text_is_a_sentence() {
        let texts = q850_causes()
            .flat_map(|entry| [&entry.meaning, &entry.fix])
            .chain(warning_codes().iter().flat_map(|entry| [&entry.meaning, &entry.fix]))
            .chain(reason_protocols().iter().flat_map(|entry| [&entry.meaning, &entry.fix]))
            .chain(reason_locations().iter().map(|entry| &entry.meaning))
            .chain(tls_alerts().iter().flat_map(|entry| [&entry.meaning, &entry.fix]))
            .chain(freeswitch_causes().iter().flat_map(|entry| [&entry.meaning, &entry.fix]));
        for text in texts {
            assert!(text.ends_with('.'), "{text}");
            assert!((10..=330).contains(&text.chars().count()), "{text}");
        }
    }

    #[test]
    fn causes_map_to_the_codes_of_rfc_3398() {
        let mapped = |cause| q850(cause).map(|entry| entry.rfc3398.as_slice());
        assert_eq!(mapped(1), Some(&[404][..]));
        assert_eq!(mapped(17), Some(&[486][..]));
        assert_eq!(mapped(18), Some(&[408][..]));
        assert_eq!(mapped(34), Some(&[503][..]));
        assert_eq!(mapped(16), Some(&[][..]));
    }
}
