//! Composes what tells two status codes apart from what is known of each.
//!
//! Knows `data/gists.toml`, where each code has a few words for every place in a sentence, and where a language file
//! has the same. Is given two entries; gives whole sentences. Deliberately never repeats a description: the page shows
//! the two entries themselves.

use std::fmt::Display;
use std::sync::OnceLock;

use serde::Deserialize;

use super::comparison::{Comparison, Difference, Point};
use super::entry::{Class, ConfusedWith, Entry, Kind, Registered, Retry};
use super::language::{GistWords, Phrases};
use super::slices::Table;
use super::word::Word;
use super::{is_built_in, lower_first};

/// A few words for each place in a sentence; `data/gists.toml` says which.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct Gist {
    #[cfg_attr(not(test), expect(dead_code, reason = "the table knows it; tests ask for it"))]
    code: u16,
    says: String,
    asks: String,
    decided_by: String,
    shown_by: String,
    #[serde(default)]
    used_where: String,
    #[serde(default)]
    never: String,
}

/// The texts of a code in the language of a comparison.
#[derive(Debug, Clone, Copy)]
struct Texts {
    code: u16,
    says: &'static str,
    asks: &'static str,
    decided_by: &'static str,
    shown_by: &'static str,
    used_where: &'static str,
    never: &'static str,
}

/// The fewest differences that a page has.
const FEWEST: usize = 3;

/// The fewest characters of a text that is a sentence and not a note.
const SHORTEST_SENTENCE: usize = 40;

/// What tells `a` and `b` apart, `a` having the lower code, in a language that has all that it takes.
pub(super) fn compose(a: &Entry, b: &Entry, words: &Phrases) -> Comparison {
    let (of_a, of_b) = (texts_of(a, words), texts_of(b, words));
    if let (Some(meaning), Some(same)) = (of_a, of_b)
        && meaning.code == same.code
    {
        return alike(a, b, meaning, words);
    }
    if a.treated_as.is_some() || b.treated_as.is_some() {
        return beside_unknown(a, b, words);
    }
    let pair = Pair { a, b, words, texts: of_a.zip(of_b) };
    let confusion = pair.confusion();
    let mut differences: Vec<Difference> = [
        (Point::Decisive, confusion.map(|confusion| sentence(&confusion.difference))),
        (Point::Asked, pair.asked()),
        (Point::Decided, pair.decided()),
        (Point::Sender, pair.sender()),
        (Point::Fault, pair.fault()),
        (Point::Scope, pair.scope()),
        (Point::Action, pair.action()),
        (Point::Capture, pair.capture(confusion)),
        (Point::Standing, pair.standing()),
    ]
    .into_iter()
    .filter_map(|(point, says)| Some(Difference { point, says: says? }))
    .collect();
    if differences.len() < FEWEST {
        let says = pair.codes(Word::CompareDefined, &a.reference, &b.reference);
        differences.push(Difference { point: Point::Defined, says });
    }
    Comparison {
        language: words.other_tag().map(str::to_owned),
        summary: pair.summary(),
        differences,
        which_when: [which_when(a, of_a, words), which_when(b, of_b, words)],
        entries: [a.clone(), b.clone()],
    }
}

/// Two codes of which at least one is unknown and has the meaning of the other, or of the same third one.
fn alike(a: &Entry, b: &Entry, meaning: Texts, words: &Phrases) -> Comparison {
    let same = meaning.code;
    let unknown: Vec<String> =
        [a, b].iter().filter(|entry| entry.treated_as.is_some()).map(|entry| entry.code.to_string()).collect();
    let summary = match unknown.as_slice() {
        [only] => words.fill(Word::CompareAlikeOne, &[("code", only), ("as", &same)]),
        _ => words.fill(Word::CompareAlikeBoth, &[("a", &a.code), ("b", &b.code), ("as", &same)]),
    };
    let capture = words.fill(Word::CompareAlikeCapture, &[("codes", &list(words, &unknown))]);
    let which_when = [a, b].map(|entry| match entry.treated_as {
        Some(_) => words.fill(Word::CompareAlikeNowhere, &[("code", &titled(entry, words)), ("as", &same)]),
        None => which_when(entry, Some(meaning), words),
    });
    let mut differences = vec![Difference { point: Point::Capture, says: capture }];
    let pair = Pair { a, b, words, texts: None };
    differences.extend(pair.standing().map(|says| Difference { point: Point::Standing, says }));
    let language = words.other_tag().map(str::to_owned);
    Comparison { language, entries: [a.clone(), b.clone()], summary, differences, which_when }
}

/// Two codes of which at least one is unknown: how it is treated is known (RFC 3261 §8.1.3.2), and what it means is
/// not.
fn beside_unknown(a: &Entry, b: &Entry, words: &Phrases) -> Comparison {
    let both = [a, b];
    let unknown = both.iter().filter_map(|entry| Some((entry.code, entry.treated_as?)));
    let treated = |(code, same): (u16, u16)| words.fill(Word::CompareAlikeOne, &[("code", &code), ("as", &same)]);
    let named: Vec<String> = unknown.clone().map(|(code, _)| code.to_string()).collect();
    let capture = words.fill(Word::CompareAlikeCapture, &[("codes", &list(words, &named))]);
    let pair = Pair { a, b, words, texts: None };
    let differences =
        [(Point::Scope, pair.scope()), (Point::Capture, Some(capture)), (Point::Standing, pair.standing())];
    let differences = differences.into_iter().filter_map(|(point, says)| Some(Difference { point, says: says? }));
    Comparison {
        language: words.other_tag().map(str::to_owned),
        summary: joined(&unknown.map(treated).collect::<Vec<_>>()),
        differences: differences.collect(),
        which_when: both.map(|entry| which_when(entry, texts_of(entry, words), words)),
        entries: both.map(Entry::clone),
    }
}

/// The words for an entry: those of the code as which it is treated, and none for one that a user has redefined.
fn texts_of(entry: &Entry, words: &Phrases) -> Option<Texts> {
    let code = entry.treated_as.unwrap_or(entry.code);
    if entry.treated_as.is_none() && !is_built_in(entry) {
        return None;
    }
    if words.is_english() {
        let Gist { says, asks, decided_by, shown_by, used_where, never, .. } = gists().get(code)?;
        return Some(Texts { code, says, asks, decided_by, shown_by, used_where, never });
    }
    let GistWords { says, asks, decided_by, shown_by, used_where, never } = words.gist(code)?;
    Some(Texts { code, says, asks, decided_by, shown_by, used_where, never })
}

fn gists() -> &'static Table<Gist> {
    static TABLE: OnceLock<Table<Gist>> = OnceLock::new();
    TABLE.get_or_init(|| Table::cut(&[include_str!("../../data/gists.toml")], "code", "code"))
}

/// Two codes, and the language in which they are compared.
struct Pair<'a> {
    a: &'a Entry,
    b: &'a Entry,
    words: &'a Phrases,
    texts: Option<(Texts, Texts)>,
}

impl Pair<'_> {
    /// A sentence with both codes, and something of each.
    fn codes(&self, word: Word, x: &dyn Display, y: &dyn Display) -> String {
        self.words.fill(word, &[("a", &self.a.code), ("b", &self.b.code), ("x", x), ("y", y)])
    }

    /// The same with their names.
    fn names(&self, word: Word, x: &dyn Display, y: &dyn Display) -> String {
        let (a, b) = (titled(self.a, self.words), titled(self.b, self.words));
        self.words.fill(word, &[("a", &a), ("b", &b), ("x", x), ("y", y)])
    }

    /// What the entries themselves say of each other, which is in English.
    fn confusion(&self) -> Option<&ConfusedWith> {
        if !self.words.is_english() {
            return None;
        }
        let of_a = self.a.confused_with.iter().find(|confused| confused.code == self.b.code);
        of_a.or_else(|| self.b.confused_with.iter().find(|confused| confused.code == self.a.code))
    }

    fn summary(&self) -> String {
        match self.texts {
            Some((of_a, of_b)) => self.names(Word::CompareSays, &of_a.says, &of_b.says),
            None => self.names(Word::CompareKinds, &self.words.word(kind(self.a)), &self.words.word(kind(self.b))),
        }
    }

    fn asked(&self) -> Option<String> {
        let (of_a, of_b) = self.texts?;
        Some(self.codes(Word::CompareAsks, &of_a.asks, &of_b.asks))
    }

    fn decided(&self) -> Option<String> {
        let (of_a, of_b) = self.texts.filter(|(of_a, of_b)| of_a.decided_by != of_b.decided_by)?;
        Some(self.codes(Word::CompareDecided, &of_a.decided_by, &of_b.decided_by))
    }

    fn sender(&self) -> Option<String> {
        let (mut of_a, mut of_b) = (self.a.sent_by.clone(), self.b.sent_by.clone());
        of_a.sort_unstable();
        of_b.sort_unstable();
        if of_a == of_b || stays_inside(self.a) || stays_inside(self.b) {
            return None;
        }
        Some(self.codes(Word::CompareSenders, &self.senders(self.a), &self.senders(self.b)))
    }

    fn senders(&self, entry: &Entry) -> String {
        let named = entry.sent_by.iter().map(|sender| match self.words.is_english() {
            true => with_article(sender),
            false => self.words.sender(sender).unwrap_or(sender).to_owned(),
        });
        list(self.words, &named.collect::<Vec<_>>())
    }

    fn fault(&self) -> Option<String> {
        let (a, b) = (self.words.word(kind(self.a)), self.words.word(kind(self.b)));
        (self.a.kind != self.b.kind).then(|| self.codes(Word::CompareFaults, &a, &b))
    }

    fn scope(&self) -> Option<String> {
        let word = scope(self.a, self.b)?;
        Some(self.words.fill(word, &[("a", &self.a.code), ("b", &self.b.code)]))
    }

    fn action(&self) -> Option<String> {
        let (a, b, words) = (self.a, self.b, self.words);
        let (of_a, of_b) = (self.note(a), self.note(b));
        if a.retry == b.retry && (a.retry_note == b.retry_note || of_a.is_empty() || of_b.is_empty()) {
            return None;
        }
        if a.retry != b.retry {
            return Some(joined(&[self.retry(a), self.retry(b)]));
        }
        let either = match a.retry {
            Retry::Yes => Word::EitherYes,
            Retry::Change => Word::EitherChange,
            Retry::Elsewhere => Word::EitherElsewhere,
            Retry::Follow => Word::EitherFollow,
            Retry::No => Word::EitherNo,
            Retry::NotApplicable => Word::EitherNothing,
        };
        let values: [(&str, &dyn Display); 5] =
            [("either", &words.word(either)), ("a", &a.code), ("b", &b.code), ("x", &of_a), ("y", &of_b)];
        Some(words.fill(Word::EitherWay, &values))
    }

    /// The note on sending again, for the middle of a sentence; it is in English.
    fn note(&self, entry: &Entry) -> String {
        match self.words.is_english() {
            true => lower_first(entry.retry_note.trim().trim_end_matches('.')),
            false => String::new(),
        }
    }

    fn retry(&self, entry: &Entry) -> String {
        let advice = match entry.retry {
            Retry::Yes => Word::AfterYes,
            Retry::Change => Word::AfterChange,
            Retry::Elsewhere => Word::AfterElsewhere,
            Retry::Follow => Word::AfterFollow,
            Retry::No => Word::AfterNo,
            Retry::NotApplicable => Word::AfterNothing,
        };
        let advice = self.words.fill(advice, &[("code", &entry.code)]);
        match self.note(entry).as_str() {
            "" => self.words.fill(Word::AdviceAlone, &[("advice", &advice)]),
            note => self.words.fill(Word::AdviceWithNote, &[("advice", &advice), ("note", &note)]),
        }
    }

    fn capture(&self, confusion: Option<&ConfusedWith>) -> Option<String> {
        let (a, b) = (self.a, self.b);
        let mut says: Vec<String> = Vec::new();
        if let Some((of_a, of_b)) = self.texts {
            says.push(self.codes(Word::CompareShown, &of_a.shown_by, &of_b.shown_by));
        }
        // On the page of a code a few words suffice beneath the code they belong to; here they would be a cut sentence.
        let whole = |confusion: &&ConfusedWith| confusion.capture.chars().count() >= SHORTEST_SENTENCE;
        says.extend(confusion.filter(whole).map(|confusion| sentence(&confusion.capture)));
        if says.is_empty()
            && let (Some(of_a), Some(of_b)) = (a.look_at.first(), b.look_at.first())
            && of_a.header != of_b.header
        {
            says.push(self.codes(Word::CompareLook, &of_a.header, &of_b.header));
        }
        let disjoint = !a.q850.iter().any(|cause| b.q850.contains(cause));
        let is_told = confusion.is_some();
        if !is_told && disjoint && !a.q850.is_empty() && !b.q850.is_empty() {
            let of = |entry: &Entry| list(self.words, &entry.q850.iter().map(u8::to_string).collect::<Vec<_>>());
            says.push(self.codes(Word::CompareQ850, &of(a), &of(b)));
        }
        (!says.is_empty()).then(|| joined(&says))
    }

    fn standing(&self) -> Option<String> {
        if self.a.registered == self.b.registered {
            return None;
        }
        let of = |entry: &Entry| {
            self.words.word(match entry.registered {
                Registered::Yes => Word::IsRegistered,
                Registered::Deprecated => Word::IsDeprecated,
                Registered::Obsolete => Word::IsObsolete,
                Registered::Vendor => Word::IsVendor,
                Registered::Local => Word::IsLocal,
                Registered::Unknown => Word::IsUnknown,
            })
        };
        Some(self.codes(Word::CompareStanding, &of(self.a), &of(self.b)))
    }
}

/// `an SBC`, `a UAS`, `a proxy`; a proper name keeps none.
fn with_article(noun: &str) -> String {
    const NAMES: [&str; 9] =
        ["Asterisk", "FreeSWITCH", "Kamailio", "OpenSIPS", "PJSIP", "sofia-sip", "AudioCodes", "3CX", "Microsoft"];
    if NAMES.iter().any(|name| noun.starts_with(name)) {
        return noun.to_owned();
    }
    let first_word = noun.split([' ', '-', '/']).next().unwrap_or_default();
    let spelled_out = first_word.len() > 1 && first_word.chars().all(|letter| letter.is_ascii_uppercase());
    let vowels = if spelled_out { "AEFHILMNORSX" } else { "aeioAEIO" };
    // PBX, UAS, STIR and URI begin with a consonant when they are spoken.
    let an = first_word != "STIR" && noun.starts_with(|letter| vowels.contains(letter));
    format!("{} {noun}", if an { "an" } else { "a" })
}

/// `x`, `x or y`, `x, y or z`.
fn list(words: &Phrases, items: &[String]) -> String {
    match items {
        [] => String::new(),
        [only] => only.clone(),
        [first @ .., end] => format!("{}{}{end}", first.join(words.word(Word::Comma)), words.word(Word::Or)),
    }
}

/// Sentences behind one another; in Japanese and Chinese no space stands between them.
fn joined(sentences: &[String]) -> String {
    let mut text = String::new();
    for sentence in sentences {
        if !text.is_empty() && !text.ends_with('。') {
            text.push(' ');
        }
        text.push_str(sentence);
    }
    text
}

/// What sort of outcome a code is, after its number.
fn kind(entry: &Entry) -> Word {
    match entry.kind {
        Kind::Progress => Word::IsProgress,
        Kind::Success => Word::IsSuccess,
        Kind::Redirect => Word::IsRedirect,
        Kind::Challenge => Word::IsChallenge,
        Kind::Negotiation => Word::IsNegotiation,
        Kind::CallerCancel => Word::IsCallerCancel,
        Kind::CalleeDecline => Word::IsCalleeDecline,
        Kind::PolicyReject => Word::IsPolicyReject,
        Kind::Failure => Word::IsFailure,
    }
}

/// True for a number that a program uses within itself: nobody sends it, and it reaches nobody.
fn stays_inside(entry: &Entry) -> bool {
    entry.registered == Registered::Vendor && entry.retry == Retry::NotApplicable
}

/// How far each of two codes reaches.
fn scope(a: &Entry, b: &Entry) -> Option<Word> {
    use Class::{ClientFailure, GlobalFailure, Local, Provisional, Redirection, ServerFailure, Success};
    let registered = |entry: &Entry| matches!(entry.registered, Registered::Yes | Registered::Deprecated);
    // A challenge, a cancelled call or a vendor's own number says nothing on whose side the fault lies.
    let plain = a.kind == Kind::Failure && b.kind == Kind::Failure && registered(a) && registered(b);
    if stays_inside(a) || stays_inside(b) {
        return None;
    }
    let refusal = matches!(a.kind, Kind::Failure | Kind::CalleeDecline | Kind::PolicyReject);
    Some(match (a.class(), b.class()) {
        (Local, Local) | (Provisional, Provisional) => return None,
        (_, Local) => Word::ScopeLocal,
        (Provisional, _) => Word::ScopeProvisional,
        (Success, Redirection) => Word::ScopeSuccessRedirection,
        (Success, GlobalFailure) => Word::ScopeSuccessGlobal,
        (Redirection, GlobalFailure) => Word::ScopeRedirectionGlobal,
        (Redirection, ClientFailure | ServerFailure) => Word::ScopeRedirectionFailure,
        (ClientFailure, ServerFailure) if plain => Word::ScopeClientServer,
        (ClientFailure | ServerFailure, GlobalFailure) if refusal => Word::ScopeGlobal,
        _ => return None,
    })
}

fn which_when(entry: &Entry, texts: Option<Texts>, words: &Phrases) -> String {
    let title = titled(entry, words);
    match texts {
        _ if entry.treated_as.is_some() => words.fill(Word::BelongsNowhere, &[("code", &entry.code)]),
        Some(texts) if texts.used_where.is_empty() => {
            words.fill(Word::NeverChosen, &[("code", &title), ("why", &texts.never)])
        }
        Some(texts) => words.fill(Word::BelongsWhere, &[("code", &title), ("where", &texts.used_where)]),
        None => words.fill(Word::ForSee, &[("code", &title), ("reference", &entry.reference)]),
    }
}

fn titled(entry: &Entry, words: &Phrases) -> String {
    match entry.treated_as {
        Some(code) => words.fill(Word::TitledUnknown, &[("code", &entry.code), ("as", &code)]),
        None => format!("{} {}", entry.code, entry.name),
    }
}

/// The text as a sentence: a capital first and a full stop last.
fn sentence(text: &str) -> String {
    let text = text.trim();
    let mut characters = text.chars();
    let capital: String = match characters.next() {
        Some(first) if !text.starts_with("sip:") => first.to_uppercase().chain(characters).collect(),
        _ => text.to_owned(),
    };
    if capital.ends_with(['.', '?', '!']) { capital } else { format!("{capital}.") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalogue::Catalogue;

    #[test]
    fn an_article_follows_how_a_word_is_spoken() {
        for (noun, phrase) in [
            ("UAS", "a UAS"),
            ("SBC", "an SBC"),
            ("proxy", "a proxy"),
            ("edge proxy", "an edge proxy"),
            ("PBX", "a PBX"),
            ("AS", "an AS"),
            ("MGCF", "an MGCF"),
            ("IMS core", "an IMS core"),
            ("STIR verifier", "a STIR verifier"),
            ("Kamailio", "Kamailio"),
            ("user agent", "a user agent"),
        ] {
            assert_eq!(with_article(noun), phrase);
        }
    }

    #[test]
    fn every_gist_completes_its_sentences() {
        for gist in gists().iter() {
            let code = gist.code;
            assert!(gist.asks.ends_with('?') && gist.asks.starts_with(char::is_uppercase), "{code}: {}", gist.asks);
            assert_ne!(gist.used_where.is_empty(), gist.never.is_empty(), "{code}: one of used_where and never");
            for text in [&gist.says, &gist.decided_by, &gist.shown_by, &gist.used_where, &gist.never] {
                assert!(!text.ends_with('.') && !text.contains("  "), "{code}: {text}");
            }
        }
        assert_eq!(gists().keys().count(), 94);
    }

    #[test]
    fn what_nobody_sends_or_knows_is_not_said_of_a_code() {
        let catalogue = Catalogue::new();
        let busy = catalogue.compare(416, 605).expect("two status codes");
        assert!(!format!("{} {:?}", busy.summary, busy.differences).contains("busy"), "{busy:?}");
        assert_eq!(busy.entries[1].kind, Kind::Failure);
        // A number that never leaves its program ends no search, and nobody sends it.
        let inner = catalogue.compare(409, 687).expect("two status codes");
        assert!(inner.differences.iter().all(|one| !matches!(one.point, Point::Scope | Point::Sender)), "{inner:?}");
    }
}
