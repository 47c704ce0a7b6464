//! The languages: headings and class names of pages, the fixed words of reports, texts of entries.
//!
//! Knows `data/languages/`: one file for each language. English is the source; what a language lacks is said in
//! English, one by one. Codes, header names, rule names and reason phrases are never translated.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::OnceLock;

use serde::{Deserialize, Serialize};

use super::entry::{Class, Entry, Kind, Registered, Retry};
use super::word::Word;
use super::wording::Text;

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
    /// Heading of a column: status codes.
    Code = "code",
    /// Heading of a column: their registered names.
    Name = "name",
    /// Heading of a column: where they are defined.
    Reference = "reference",
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
    /// When it is a step of a healthy exchange; empty if it never is, or not translated.
    #[serde(default)]
    pub normal: String,
    /// On sending the request again; empty if there is nothing to say, or not translated.
    #[serde(default)]
    pub retry: String,
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
    /// Keys whose text is that of English on purpose.
    #[serde(default)]
    same: Vec<String>,
    phrases: BTreeMap<String, String>,
    #[serde(default)]
    words: BTreeMap<String, Text>,
    classes: BTreeMap<String, String>,
    /// Who sends a code, by the word of the entries.
    #[serde(default)]
    senders: BTreeMap<String, String>,
    #[serde(default)]
    status: BTreeMap<String, Translation>,
    /// The texts of which comparisons are composed.
    #[serde(default)]
    gist: BTreeMap<String, GistWords>,
    /// The text of each word, English where there is no own one: reports ask for them thousands of times.
    #[serde(skip)]
    texts: OnceLock<Box<[&'static Text]>>,
}

/// The texts of `data/gists.toml` in another language.
#[derive(Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct GistWords {
    pub says: String,
    pub asks: String,
    pub decided_by: String,
    pub shown_by: String,
    #[serde(default)]
    pub used_where: String,
    #[serde(default)]
    pub never: String,
}

/// What a language lacks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Missing {
    /// Phrases of pages.
    pub phrases: usize,
    /// Class names.
    pub classes: usize,
    /// Fixed words of reports, pages and questions.
    pub words: usize,
    /// Names of senders.
    pub senders: usize,
    /// Codes without the texts of which comparisons are composed, of those in `codes`.
    pub gists: usize,
    /// Entries of the catalogue, of those in `codes`.
    pub entries: usize,
    /// Symptoms, questions and causes of the decision paths.
    pub decisions: usize,
    /// Codes without their causes, of those in `codes`.
    pub causes: usize,
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

    /// The same, but for reports: English if this language has none of their words, so that a page has one direction.
    pub fn for_reports(self) -> Phrases {
        if self.language.words.is_empty() { Phrases::english() } else { self }
    }

    /// True for English, the source of the others.
    pub fn is_english(&self) -> bool {
        self.tag() == FILES[ENGLISH].0
    }

    /// The tag of this language unless it is English, for what names no other.
    pub fn other_tag(&self) -> Option<&'static str> {
        (!self.is_english()).then(|| self.tag())
    }

    /// The text of a word, in English if this language lacks it.
    pub(super) fn text(&self, word: Word) -> &'static Text {
        static NOTHING: Text = Text::Any(String::new());
        let language = self.language;
        let own_or_english = |word: &Word| {
            let own = language.words.get(word.key());
            // A test holds English to every word.
            own.or_else(|| self::language(ENGLISH).words.get(word.key())).unwrap_or(&NOTHING)
        };
        let texts = language.texts.get_or_init(|| Word::ALL.iter().map(own_or_english).collect());
        texts.get(word as usize).copied().unwrap_or(&NOTHING)
    }

    /// The tag of the language in which a word is said.
    pub(super) fn tag_of(&self, word: Word) -> &'static str {
        if self.language.words.contains_key(word.key()) { self.tag() } else { FILES[ENGLISH].0 }
    }

    /// True if this language has all that comparisons of these two codes are composed of.
    pub(super) fn composes(&self, codes: [u16; 2]) -> bool {
        let has = |code: u16| self.language.gist.contains_key(&code.to_string());
        self.is_english() || codes.into_iter().all(has) && Word::ALL.iter().all(|word| self.tag_of(*word) == self.tag())
    }

    /// The texts of which comparisons are composed, if they are translated.
    pub(super) fn gist(&self, code: u16) -> Option<&'static GistWords> {
        self.language.gist.get(&code.to_string())
    }

    /// Who sends a code, by the word of its entry; `None` if this language has no other.
    pub(super) fn sender(&self, noun: &str) -> Option<&'static str> {
        self.language.senders.get(noun).map(String::as_str)
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
            let notes = [(&mut entry.normal_when, &translation.normal), (&mut entry.retry_note, &translation.retry)];
            for (note, own) in notes.into_iter().filter(|(_, own)| !own.is_empty()) {
                note.clone_from(own);
            }
            super::entry_words::translate(self, &mut entry);
        }
        entry
    }

    /// Who sends a code, in a line.
    pub(super) fn senders(&self, entry: &Entry) -> String {
        let senders: Vec<&str> = entry.sent_by.iter().map(|noun| self.sender(noun).unwrap_or(noun)).collect();
        senders.join(self.word(Word::Comma))
    }

    /// What this language lacks, beside the entries of `codes` and their senders.
    pub fn missing(&self, codes: &[u16]) -> Missing {
        let language = self.language;
        let translated = self.is_english();
        let lacks =
            |known: &dyn Fn(&str) -> bool| codes.iter().filter(|code| !translated && !known(&code.to_string())).count();
        let entries = codes.iter().filter_map(|code| super::built_in(*code));
        let senders: BTreeSet<&str> = entries.flat_map(|entry| &entry.sent_by).map(String::as_str).collect();
        Missing {
            phrases: Phrase::ALL.iter().filter(|phrase| !language.phrases.contains_key(phrase.key())).count(),
            classes: Class::ALL.iter().filter(|class| !language.classes.contains_key(class.key())).count(),
            words: Word::ALL.iter().filter(|word| !language.words.contains_key(word.key())).count(),
            senders: senders.iter().filter(|noun| !translated && self.sender(noun).is_none()).count(),
            entries: lacks(&|code| language.status.contains_key(code)),
            decisions: super::decision_words::missing(self),
            causes: codes.iter().filter(|code| !super::entry_words::has(self, **code)).count(),
            gists: lacks(&|code| language.gist.contains_key(code)),
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

    /// Every text of a language that English has too, by its key.
    fn beside_english(place: usize) -> Vec<(String, Vec<&'static str>, Vec<&'static str>)> {
        let (own, english) = (language(place), language(ENGLISH));
        let mut texts: Vec<(String, Vec<&str>, Vec<&str>)> = Vec::new();
        for (own, english) in [(&own.phrases, &english.phrases), (&own.classes, &english.classes)] {
            texts.extend(own.iter().map(|(key, text)| (key.clone(), vec![text.as_str()], vec![english[key].as_str()])));
        }
        texts.extend(own.words.iter().map(|(key, text)| (key.clone(), text.all(), english.words[key].all())));
        texts.extend(own.senders.iter().map(|(noun, text)| (noun.clone(), vec![text.as_str()], vec![noun.as_str()])));
        texts
    }

    fn places(text: &str) -> BTreeSet<&str> {
        text.split('{').skip(1).filter_map(|rest| rest.split_once('}')).map(|(name, _)| name).collect()
    }

    #[test]
    fn words_are_known_and_have_the_places_that_english_has() {
        for (place, (tag, _)) in FILES.iter().enumerate() {
            for key in language(place).words.keys() {
                assert!(Word::ALL.iter().any(|word| word.key() == key), "{tag}: unknown word {key}");
            }
            for (key, own, english) in beside_english(place) {
                for text in &own {
                    assert!(!text.trim().is_empty(), "{tag}: {key} is empty");
                    assert_eq!(places(text), places(english[0]), "{tag}: {key}: {text}");
                    assert_eq!(text.matches(['{', '}']).count(), 2 * text.matches('{').count(), "{tag}: {key}: {text}");
                    let is_piece = |text: &str| (text.starts_with(' '), text.ends_with(' '));
                    // In Chinese and Japanese nothing is set apart by spaces.
                    let may_differ = ["ja", "zh-Hans"].contains(tag) || key == "colon";
                    assert!(may_differ || is_piece(text) == is_piece(english[0]), "{tag}: {key}: spaces of {text:?}");
                }
            }
        }
    }

    #[test]
    fn no_text_is_a_copy_of_english_unless_it_is_meant_to_be() {
        for place in (0..FILES.len()).filter(|place| *place != ENGLISH) {
            let tag = FILES[place].0;
            let mut same: BTreeSet<&str> = language(place).same.iter().map(String::as_str).collect();
            for (key, own, english) in beside_english(place) {
                let is_copy = own.iter().all(|text| english.contains(text));
                // What holds no word is the same in any language: `, `.
                let is_word = own.iter().any(|text| text.replace(['{', '}'], "").chars().any(char::is_alphabetic));
                let is_meant = same.remove(key.as_str());
                assert_eq!(is_copy && is_word, is_meant, "{tag}: {key}: {own:?}: `same` names what is as in English");
            }
            assert!(same.is_empty(), "{tag}: `same` names what is not there: {same:?}");
            for (code, own) in &language(place).status {
                let english = code.parse().ok().and_then(super::super::built_in).expect("a code that is listed");
                for (own, english) in
                    [(&own.description, &english.description), (&own.when, &english.when), (&own.fix, &english.fix)]
                {
                    assert!(own != english && !own.trim().is_empty(), "{tag}: {code}: {own}");
                }
            }
        }
    }

    #[test]
    fn senders_and_gists_belong_to_codes() {
        let codes: Vec<u16> = super::super::status_codes().keys().collect();
        let senders: BTreeSet<&str> = codes
            .iter()
            .filter_map(|code| super::super::built_in(*code))
            .flat_map(|entry| &entry.sent_by)
            .map(String::as_str)
            .collect();
        for (place, (tag, _)) in FILES.iter().enumerate() {
            for noun in language(place).senders.keys() {
                assert!(senders.contains(noun.as_str()), "{tag}: nobody is called {noun}");
            }
            for (code, gist) in &language(place).gist {
                assert!(code.parse().is_ok_and(|code| codes.contains(&code)), "{tag}: gist of {code}");
                let texts = [&gist.says, &gist.asks, &gist.decided_by, &gist.shown_by];
                assert!(texts.iter().all(|text| !text.trim().is_empty()), "{tag}: gist of {code}");
                assert_ne!(gist.used_where.is_empty(), gist.never.is_empty(), "{tag}: {code}: used_where or never");
            }
        }
    }

    #[test]
    fn english_lacks_nothing_and_every_language_has_the_headings() {
        let nothing =
            Missing { phrases: 0, classes: 0, words: 0, senders: 0, gists: 0, entries: 0, decisions: 0, causes: 0 };
        assert_eq!(Phrases::english().missing(&[503]), nothing);
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
