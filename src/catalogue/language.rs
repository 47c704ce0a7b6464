//! The words of a page in sixteen languages.
//!
//! Knows `data/languages/`: one file for each language, with headings, class names and, where they are translated, the
//! texts of entries. English is the source; what a language lacks is said in English. Codes, header names, rule names
//! and reason phrases are never translated.

use std::collections::BTreeMap;
use std::sync::OnceLock;

use serde::{Deserialize, Serialize};

use super::entry::{Class, Entry, Kind, Registered, Retry};

macro_rules! phrases {
    ($($(#[$comment:meta])* $name:ident = $key:literal,)+) => {
        /// A phrase that pages are made of.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[non_exhaustive]
        pub enum Phrase {
            $($(#[$comment])* $name,)+
        }

        impl Phrase {
            /// Every phrase.
            pub const ALL: &'static [Phrase] = &[$(Phrase::$name,)+];

            /// Its key in a language file.
            pub fn key(self) -> &'static str {
                match self {
                    $(Phrase::$name => $key,)+
                }
            }
        }
    };
}

phrases! {
    /// Heading: what it means.
    Description = "description",
    /// Heading: when one sees it.
    When = "when",
    /// Heading: what to do.
    Fix = "fix",
    /// Heading: the concrete causes.
    Causes = "causes",
    /// Heading: the headers that matter.
    LookAt = "look-at",
    /// Heading: codes it is taken for.
    ConfusedWith = "confused-with",
    /// Heading: rules of the diagnosis.
    Rules = "rules",
    /// Heading: documents.
    LearnMore = "learn-more",
    /// Heading: what tells two codes apart.
    KeyDifferences = "key-differences",
    /// Heading: which code belongs where.
    WhichWhen = "which-when",
    /// Heading: status codes that go with a cause.
    StatusCodes = "status-codes",
    /// Label: is it a fault.
    Fault = "fault",
    /// Label: when it is normal.
    Normal = "normal",
    /// Label: who sends it.
    SentBy = "sent-by",
    /// Label: is it worth sending again.
    Retry = "retry",
    /// Label: Q.850 causes beside it.
    BesideIt = "beside-it",
    /// Label: its standing with IANA.
    Standing = "standing",
    /// Label: how the capture shows it.
    Shown = "shown",
    /// Label: what to check.
    Check = "check",
    /// Label: the rule that detects it.
    Rule = "rule",
    /// Label: in the capture.
    InCapture = "in-capture",
    /// A kind.
    KindProgress = "kind-progress",
    /// A kind.
    KindSuccess = "kind-success",
    /// A kind.
    KindRedirect = "kind-redirect",
    /// A kind.
    KindChallenge = "kind-challenge",
    /// A kind.
    KindNegotiation = "kind-negotiation",
    /// A kind.
    KindCallerCancel = "kind-caller-cancel",
    /// A kind.
    KindCalleeDecline = "kind-callee-decline",
    /// A kind.
    KindPolicyReject = "kind-policy-reject",
    /// A kind.
    KindFailure = "kind-failure",
    /// Retry: unchanged.
    RetryYes = "retry-yes",
    /// Retry: after a change.
    RetryChange = "retry-change",
    /// Retry: at another server.
    RetryElsewhere = "retry-elsewhere",
    /// Retry: at the addresses given.
    RetryFollow = "retry-follow",
    /// Retry: no.
    RetryNo = "retry-no",
    /// Standing with IANA: deprecated.
    StandingDeprecated = "standing-deprecated",
    /// Standing with IANA: obsolete.
    StandingObsolete = "standing-obsolete",
    /// Standing with IANA: a vendor's own.
    StandingVendor = "standing-vendor",
    /// Standing with IANA: local.
    StandingLocal = "standing-local",
    /// Standing with IANA: unknown.
    StandingUnknown = "standing-unknown",
}

/// How a language is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Direction {
    /// Left to right.
    Ltr,
    /// Right to left.
    Rtl,
}

impl Direction {
    /// The value of HTML's `dir`.
    pub fn token(self) -> &'static str {
        match self {
            Direction::Ltr => "ltr",
            Direction::Rtl => "rtl",
        }
    }
}

/// The texts of one entry in another language.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Translation {
    /// What the code means.
    pub description: String,
    /// When one sees it.
    pub when: String,
    /// What to do.
    pub fix: String,
}

/// The words of one language, with English where it lacks some.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Phrases {
    language: &'static Language,
}

#[derive(Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
struct Language {
    tag: String,
    name: String,
    direction: Direction,
    phrases: BTreeMap<String, String>,
    classes: BTreeMap<String, String>,
    #[serde(default)]
    status: BTreeMap<String, Translation>,
}

/// What a language lacks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Missing {
    /// Phrases.
    pub phrases: usize,
    /// Class names.
    pub classes: usize,
    /// Entries of the catalogue, of those in `codes`.
    pub entries: usize,
}

const FILES: [(&str, &str); 16] = [
    ("ar", include_str!("../../data/languages/ar.toml")),
    ("de", include_str!("../../data/languages/de.toml")),
    ("en", include_str!("../../data/languages/en.toml")),
    ("es", include_str!("../../data/languages/es.toml")),
    ("fr", include_str!("../../data/languages/fr.toml")),
    ("hi", include_str!("../../data/languages/hi.toml")),
    ("id", include_str!("../../data/languages/id.toml")),
    ("it", include_str!("../../data/languages/it.toml")),
    ("ja", include_str!("../../data/languages/ja.toml")),
    ("ko", include_str!("../../data/languages/ko.toml")),
    ("pt", include_str!("../../data/languages/pt.toml")),
    ("ru", include_str!("../../data/languages/ru.toml")),
    ("th", include_str!("../../data/languages/th.toml")),
    ("tr", include_str!("../../data/languages/tr.toml")),
    ("vi", include_str!("../../data/languages/vi.toml")),
    ("zh-Hans", include_str!("../../data/languages/zh-Hans.toml")),
];

impl Phrases {
    /// English.
    pub fn english() -> Phrases {
        Phrases { language: language(ENGLISH) }
    }

    /// The language of a tag or a locale: `fr`, `fr_CA.UTF-8`, `zh-Hans`, `zh_CN`. `None` for a language that we do
    /// not have.
    pub fn of(tag: &str) -> Option<Phrases> {
        let tag = tag.split(['.', '@']).next().unwrap_or_default().replace('_', "-");
        let primary = tag.split('-').next().unwrap_or_default();
        // Traditional Chinese is another script: better English than the wrong one.
        let traditional = ["hant", "tw", "hk", "mo"];
        if primary.eq_ignore_ascii_case("zh") && tag.split('-').any(|part| traditional.contains(&&*part.to_lowercase()))
        {
            return None;
        }
        let place = FILES.iter().position(|(known, _)| {
            known.eq_ignore_ascii_case(&tag) || known.split('-').next() == Some(primary.to_lowercase().as_str())
        })?;
        Some(Phrases { language: language(place) })
    }

    /// The tags of the languages there are, sorted.
    pub fn tags() -> impl Iterator<Item = &'static str> {
        FILES.iter().map(|(tag, _)| *tag)
    }

    /// The tag of this language (BCP 47).
    pub fn tag(&self) -> &'static str {
        &self.language.tag
    }

    /// The language's name in itself.
    pub fn name(&self) -> &'static str {
        &self.language.name
    }

    /// How it is written.
    pub fn direction(&self) -> Direction {
        self.language.direction
    }

    /// The phrase, in English if this language lacks it.
    pub fn say(&self, phrase: Phrase) -> &'static str {
        let own = self.language.phrases.get(phrase.key());
        own.or_else(|| language(ENGLISH).phrases.get(phrase.key())).map_or(phrase.key(), String::as_str)
    }

    /// The name of a class, in English if this language lacks it.
    pub fn class(&self, class: Class) -> &'static str {
        let own = self.language.classes.get(class.key());
        own.or_else(|| language(ENGLISH).classes.get(class.key())).map_or(class.key(), String::as_str)
    }

    /// Whether a code is a fault, in a sentence.
    pub fn kind(&self, kind: Kind) -> &'static str {
        self.say(match kind {
            Kind::Progress => Phrase::KindProgress,
            Kind::Success => Phrase::KindSuccess,
            Kind::Redirect => Phrase::KindRedirect,
            Kind::Challenge => Phrase::KindChallenge,
            Kind::Negotiation => Phrase::KindNegotiation,
            Kind::CallerCancel => Phrase::KindCallerCancel,
            Kind::CalleeDecline => Phrase::KindCalleeDecline,
            Kind::PolicyReject => Phrase::KindPolicyReject,
            Kind::Failure => Phrase::KindFailure,
        })
    }

    /// Whether a request is worth sending again; `None` where there is nothing to retry.
    pub fn retry(&self, retry: Retry) -> Option<&'static str> {
        Some(self.say(match retry {
            Retry::Yes => Phrase::RetryYes,
            Retry::Change => Phrase::RetryChange,
            Retry::Elsewhere => Phrase::RetryElsewhere,
            Retry::Follow => Phrase::RetryFollow,
            Retry::No => Phrase::RetryNo,
            Retry::NotApplicable => return None,
        }))
    }

    /// A code's standing with IANA; `None` for the ordinary one.
    pub fn standing(&self, registered: Registered) -> Option<&'static str> {
        Some(self.say(match registered {
            Registered::Yes => return None,
            Registered::Deprecated => Phrase::StandingDeprecated,
            Registered::Obsolete => Phrase::StandingObsolete,
            Registered::Vendor => Phrase::StandingVendor,
            Registered::Local => Phrase::StandingLocal,
            Registered::Unknown => Phrase::StandingUnknown,
        }))
    }

    /// The texts of an entry in this language, if it has them.
    pub fn translation(&self, code: u16) -> Option<&'static Translation> {
        self.language.status.get(&code.to_string())
    }

    /// The entry with its texts in this language where they are translated.
    pub fn translate(&self, mut entry: Entry) -> Entry {
        if let Some(translation) = self.translation(entry.code) {
            entry.description.clone_from(&translation.description);
            entry.when.clone_from(&translation.when);
            entry.fix.clone_from(&translation.fix);
        }
        entry
    }

    /// What this language lacks, beside the entries of `codes`.
    pub fn missing(&self, codes: &[u16]) -> Missing {
        let language = self.language;
        let translated = self.tag() == FILES[ENGLISH].0;
        Missing {
            phrases: Phrase::ALL.iter().filter(|phrase| !language.phrases.contains_key(phrase.key())).count(),
            classes: Class::ALL.iter().filter(|class| !language.classes.contains_key(class.key())).count(),
            entries: codes
                .iter()
                .filter(|code| !translated && !language.status.contains_key(&code.to_string()))
                .count(),
        }
    }
}

impl Default for Phrases {
    fn default() -> Phrases {
        Phrases::english()
    }
}

/// The place of English in [`FILES`].
const ENGLISH: usize = 2;

fn language(place: usize) -> &'static Language {
    static LANGUAGES: [OnceLock<Language>; FILES.len()] = [const { OnceLock::new() }; FILES.len()];
    LANGUAGES[place].get_or_init(|| super::tables::read(FILES[place].1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_sorted_and_say_who_they_are() {
        assert!(FILES.windows(2).all(|pair| pair[0].0 < pair[1].0));
        assert_eq!(FILES[ENGLISH].0, "en");
        for (place, (tag, _)) in FILES.iter().enumerate() {
            assert_eq!(language(place).tag, *tag);
            assert!(!language(place).name.is_empty(), "{tag}");
        }
    }

    #[test]
    fn no_language_has_an_unknown_or_an_empty_phrase() {
        for (place, (tag, _)) in FILES.iter().enumerate() {
            for (key, text) in &language(place).phrases {
                assert!(Phrase::ALL.iter().any(|phrase| phrase.key() == key), "{tag}: unknown phrase {key}");
                assert!(!text.trim().is_empty(), "{tag}: {key} is empty");
            }
            for (key, text) in &language(place).classes {
                let known = Class::ALL.iter().chain([&Class::Local]).any(|class| class.key() == key);
                assert!(known && !text.trim().is_empty(), "{tag}: class {key}");
            }
        }
    }

    #[test]
    fn english_lacks_nothing_and_every_language_has_the_headings() {
        assert_eq!(Phrases::english().missing(&[503]), Missing { phrases: 0, classes: 0, entries: 0 });
        for tag in Phrases::tags() {
            let phrases = Phrases::of(tag).unwrap_or_default();
            assert_eq!(phrases.missing(&[]).classes, 0, "{tag}");
            // Headings and labels; what comes behind them are sentences, which may be in English.
            for phrase in Phrase::ALL.iter().take_while(|phrase| **phrase != Phrase::KindProgress) {
                assert!(phrases.language.phrases.contains_key(phrase.key()), "{tag} lacks {}", phrase.key());
            }
        }
    }

    #[test]
    fn a_locale_finds_its_language() {
        for (locale, tag) in
            [("fr_CA.UTF-8", "fr"), ("de", "de"), ("zh_CN", "zh-Hans"), ("zh-hans", "zh-Hans"), ("PT-BR", "pt")]
        {
            assert_eq!(Phrases::of(locale).map(|phrases| phrases.tag()), Some(tag), "{locale}");
        }
        for locale in ["", "C", "POSIX", "zh_TW", "zh-Hant", "xx", "f"] {
            assert_eq!(Phrases::of(locale), None, "{locale}");
        }
    }

    #[test]
    fn arabic_is_written_from_right_to_left() {
        let right_to_left: Vec<&str> = Phrases::tags()
            .filter(|tag| Phrases::of(tag).is_some_and(|phrases| phrases.direction() == Direction::Rtl))
            .collect();
        assert_eq!(right_to_left, ["ar"]);
    }
}
