//! What is true of SIP in general: status codes, causes, warnings, protocols, and the words to say it with.
//!
//! Knows the tables of `data/`, which are compiled in, and an overlay file in which a user adds meanings of its own (a
//! carrier's, for instance). Is given a number or a name; gives an [`Entry`], a [`Comparison`], a row of a table, or
//! the [`Page`] that a person reads. Deliberately does not know any capture, call or finding, nor how a page is
//! printed: it is a side room of [`crate::diagnosis`].
//!
//! Nothing is read before it is asked for, so that `sipwhy 503` reads the entry of 503 and no other.

mod citation;
mod comparison;
mod compose;
mod decision;
mod decision_page;
mod decision_words;
mod entry;
mod entry_words;
mod explain;
mod language;
mod overlay;
mod page;
mod setting;
mod signature;
mod slices;
mod tables;
mod term;
mod word;
mod wording;

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::OnceLock;

use slices::Table;

pub use comparison::{Comparison, Difference, Point};
pub use decision::{Answer, Beside, Decisions, Ground, Known, Leaf, Node, Question, Sign, Start, decisions};
pub use decision_page::{in_words_of, question_items, start_page, starts_page};
pub use decision_words::{decisions_in, language_of_decisions};
pub use entry::{Cause, Class, ConfusedWith, Entry, Kind, LookAt, Registered, Retry};
pub use explain::Subject;
pub use language::{Direction, Missing, Phrase, Phrases, Translation};
pub use overlay::OverlayError;
pub use page::{Block, Fact, Item, Page, Section};
pub use setting::{Setting, Topic};
pub(crate) use signature::Pairs;
pub use signature::{Said, Signature, ToldBy, says_words, signatures};
pub use tables::{
    FreeSwitchCause, Q850Cause, ReasonLocation, ReasonProtocol, RfcSection, TlsAlert, WarningCode, freeswitch_cause,
    freeswitch_causes, q850, q850_causes, reason_location, reason_locations, reason_protocol, reason_protocols,
    rfc_sections, rfc_title, tls_alert, tls_alerts, warning, warning_codes,
};

pub use word::Word;

pub use term::{Term, TermKind, linked_with_rule, term, terms};

/// The status codes in one language, with a user's own meanings where there are any.
#[derive(Debug, Clone, Default)]
pub struct Catalogue {
    overlay: BTreeMap<u16, Entry>,
    phrases: Phrases,
}

impl Catalogue {
    /// The catalogue as it is compiled in, in English.
    pub fn new() -> Catalogue {
        Catalogue::default()
    }

    /// With its texts in this language, and in English where they are not translated.
    pub fn in_language(mut self, phrases: Phrases) -> Catalogue {
        self.phrases = phrases;
        self
    }

    /// With the entries of an overlay file, which add to those compiled in or replace them.
    ///
    /// # Errors
    /// The file cannot be read, or is not of the form of `data/status-codes/`; the error names line and field.
    pub fn with_overlay(mut self, path: &Path) -> Result<Catalogue, OverlayError> {
        for entry in overlay::read(path)? {
            self.overlay.insert(entry.code, entry);
        }
        Ok(self)
    }

    /// The words of this catalogue's language.
    pub fn phrases(&self) -> &Phrases {
        &self.phrases
    }

    /// The entry of a status code, registered or not. An unknown code from 100 to 699 has the meaning that RFC 3261
    /// §8.1.3.2 gives it: that of 183 for a provisional one, else that of x00 of its class; the entry says so. `None`
    /// for a number that is no status code.
    pub fn entry(&self, code: u16) -> Option<Cow<'_, Entry>> {
        self.listed(code).or_else(|| unknown(code, &self.phrases).map(Cow::Owned))
    }

    /// The entry of a status code that the catalogue lists; `None` for any other.
    pub fn listed(&self, code: u16) -> Option<Cow<'_, Entry>> {
        if let Some(entry) = self.overlay.get(&code) {
            return Some(Cow::Borrowed(entry));
        }
        let entry = built_in(code)?;
        match self.phrases.translation(code) {
            None => Some(Cow::Borrowed(entry)),
            Some(_) => Some(Cow::Owned(self.phrases.translate(entry.clone()))),
        }
    }

    /// The codes that the catalogue lists, sorted.
    pub fn codes(&self) -> Vec<u16> {
        let mut codes: Vec<u16> = status_codes().keys().chain(self.overlay.keys().copied()).collect();
        codes.sort_unstable();
        codes.dedup();
        codes
    }

    /// The entries that the catalogue lists, sorted by code: those of one class, or all.
    pub fn entries(&self, class: Option<Class>) -> Vec<Entry> {
        let wanted = self.codes().into_iter().filter(|code| class.is_none_or(|class| Class::of(*code) == class));
        wanted.filter_map(|code| Some(self.listed(code)?.into_owned())).collect()
    }

    /// The comparison of two codes, the lower one first whatever the order; `None` if one of them is no status code or
    /// both are the same.
    pub fn compare(&self, one: u16, other: u16) -> Option<Comparison> {
        if one == other {
            return None;
        }
        let (lower, higher) = (self.entry(one.min(other))?, self.entry(one.max(other))?);
        Some(comparison::compare(&lower, &higher, &self.phrases))
    }

    /// The pairs of codes whose comparison is written by hand, the lower one first.
    pub fn compared_by_hand() -> Vec<(u16, u16)> {
        comparison::pairs().iter().map(|(codes, _)| (codes[0], codes[1])).collect()
    }

    /// Finds what a word of the command line names: `503`, `q850-34`, `warning-304`, `reason-STIR`, `tls-48`,
    /// `freeswitch-806`, a vendor's code (`teams-560403`) or a term (`early-media`). `None` for anything else; the
    /// names of rules are known to the diagnosis.
    pub fn subject(&self, word: &str) -> Option<Subject> {
        explain::subject(self, word)
    }
}

/// The files of the status codes, in order.
const STATUS_CODES: [&str; 7] = [
    include_str!("../../data/status-codes/1xx.toml"),
    include_str!("../../data/status-codes/2xx.toml"),
    include_str!("../../data/status-codes/3xx.toml"),
    include_str!("../../data/status-codes/4xx.toml"),
    include_str!("../../data/status-codes/5xx.toml"),
    include_str!("../../data/status-codes/6xx.toml"),
    include_str!("../../data/status-codes/local.toml"),
];

fn status_codes() -> &'static Table<Entry> {
    static TABLE: OnceLock<Table<Entry>> = OnceLock::new();
    TABLE.get_or_init(|| Table::cut(&STATUS_CODES, "status", "code"))
}

fn built_in(code: u16) -> Option<&'static Entry> {
    status_codes().get(code)
}

/// True unless a user's overlay file has given the code another meaning. A translated entry keeps its name.
fn is_built_in(entry: &Entry) -> bool {
    built_in(entry.code).is_some_and(|own| own.name == entry.name && own.reference == entry.reference)
}

/// The entry of a code that nobody registered, made from that of the code as which it is treated.
fn unknown(code: u16, words: &Phrases) -> Option<Entry> {
    // RFC 3261 §8.1.3.2: an unknown final response counts as x00 of its class, an unknown provisional one as 183.
    let treated_as = match code {
        100..=199 => 183,
        200..=699 => code / 100 * 100,
        _ => return None,
    };
    let base = words.translate(built_in(treated_as)?.clone());
    let meant = format!("{treated_as} {}", base.name);
    let said = |word: Word, code_is: &str, base: &str| {
        // In English the meaning goes on within the sentence.
        let base = if words.is_english() { lower_first(base) } else { base.to_owned() };
        words.fill(word, &[("code", &code), ("as", &code_is), ("base", &base)])
    };
    let bare = treated_as.to_string();
    // How a client treats it is all that is known: that the callee is busy is what 600 says, and not this code.
    let kind = if code >= 400 { Kind::Failure } else { base.kind };
    Some(Entry {
        code,
        kind,
        name: words.word(Word::UnknownName).to_owned(),
        registered: Registered::Unknown,
        reference: "RFC 3261 §8.1.3.2".to_owned(),
        description: said(Word::UnknownDescription, &meant, &base.description),
        when: said(Word::UnknownWhen, &bare, &base.when),
        fix: said(Word::UnknownFix, &bare, &base.fix),
        treated_as: Some(treated_as),
        ..base
    })
}

/// The sentence for the middle of another: its first letter becomes small, unless the first word is a name or an
/// acronym.
fn lower_first(sentence: &str) -> String {
    const NAMES: [&str; 6] = ["Asterisk", "Kamailio", "Twilio", "Microsoft", "Ribbon", "Teams"];
    let first_word = sentence.split(|letter: char| !letter.is_alphanumeric()).next().unwrap_or_default();
    let capitals = first_word.chars().filter(|letter| letter.is_uppercase()).count();
    let mut characters = sentence.chars();
    match characters.next() {
        Some(first) if capitals == 1 && first.is_uppercase() && !NAMES.contains(&first_word) => {
            first.to_lowercase().chain(characters).collect()
        }
        _ => sentence.to_owned(),
    }
}

#[cfg(test)]
mod tests;
#[cfg(test)]
mod translations;
