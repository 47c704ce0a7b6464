//! What tells two status codes apart.
//!
//! Knows `data/comparisons.toml`, where the pairs that people confuse are treated by hand. Is given two entries; gives
//! a [`Comparison`]. A point that was not written by hand is composed from the entries (`compose.rs`), so that any
//! pair has an answer.

use std::sync::OnceLock;

use serde::{Deserialize, Serialize};

use super::compose;
use super::entry::Entry;
use super::language::{Phrase, Phrases};
use super::page::{Block, Fact, Item, Page};
use super::word::Word;
use super::{built_in, is_built_in, slices, tables};

/// What tells two status codes apart.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Comparison {
    /// The language of what is said here (BCP 47); missing where it is English.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub language: Option<String>,
    /// The two entries, the lower code first.
    pub entries: [Entry; 2],
    /// One sentence.
    pub summary: String,
    /// What differs: at least three points, unless a code is unknown or redefined by a user.
    pub differences: Vec<Difference>,
    /// Where each code belongs, in the order of `entries`.
    pub which_when: [String; 2],
}

/// One difference.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Difference {
    /// In which respect.
    pub point: Point,
    /// What differs, in whole sentences.
    pub says: String,
}

/// A respect in which codes differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Point {
    /// The decisive difference, in a few words.
    Decisive,
    /// The question that the code answers.
    Asked,
    /// Who or what decides it.
    Decided,
    /// Who sends it.
    Sender,
    /// Whether it is a fault.
    Fault,
    /// How far it reaches: one branch or all, the request or the server.
    Scope,
    /// What to do.
    Action,
    /// How the capture tells them apart.
    Capture,
    /// Standing with IANA.
    Standing,
    /// Where it is defined.
    Defined,
}

impl Point {
    /// The words that lead the difference on a page.
    pub fn label(self, words: &Phrases) -> &'static str {
        words.word(match self {
            Point::Decisive => Word::PointDecisive,
            Point::Asked => Word::PointAsked,
            Point::Decided => Word::PointDecided,
            Point::Sender => Word::PointSender,
            Point::Fault => Word::PointFault,
            Point::Scope => Word::PointScope,
            Point::Action => Word::PointAction,
            Point::Capture => Word::PointCapture,
            Point::Standing => Word::PointStanding,
            Point::Defined => Word::PointDefined,
        })
    }
}

impl Comparison {
    /// The page for a person.
    pub fn page(&self, phrases: &Phrases) -> Page {
        let [lower, higher] = &self.entries;
        let named = |entry: &Entry| format!("{} {}", entry.code, entry.name);
        let title = phrases.fill(Word::Versus, &[("a", &named(lower)), ("b", &named(higher))]);
        let differences =
            self.differences.iter().map(|difference| Item::new(difference.point.label(phrases), &difference.says));
        let is_foreign = self.language.as_deref() != phrases.other_tag();
        let note = is_foreign.then(|| Block::from(phrases.word(Word::EnglishHere)));
        let mut page =
            Page::new(title, "").section("", note.into_iter().chain([self.summary.as_str().into()]).collect());
        page.language = phrases.tag().to_owned();
        page.direction = phrases.direction();
        for entry in &self.entries {
            let facts = vec![
                Fact::new(phrases.say(Phrase::Fault), phrases.kind(entry.kind)),
                Fact::new(phrases.say(Phrase::SentBy), phrases.senders(entry)),
            ];
            let subtitle = format!("{} · {}", phrases.class(entry.class()), entry.reference);
            let heading = format!("{} {} — {subtitle}", entry.code, entry.name);
            page = page.section(heading, vec![entry.description.as_str().into(), Block::Facts(facts)]);
        }
        page.section(phrases.say(Phrase::KeyDifferences), vec![Block::Numbered(differences.collect())]).section(
            phrases.say(Phrase::WhichWhen),
            vec![Block::Bullets(self.which_when.iter().map(|says| Item::new("", says)).collect())],
        )
    }
}

/// A pair treated by hand. A point that is left out is composed.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Pair {
    #[cfg_attr(not(test), expect(dead_code, reason = "the slices know it; tests compare the two"))]
    pub codes: [u16; 2],
    pub summary: String,
    pub asked: Option<String>,
    pub decided: Option<String>,
    pub sender: Option<String>,
    pub fault: Option<String>,
    pub scope: Option<String>,
    pub action: Option<String>,
    pub capture: Option<String>,
    /// Where each code belongs.
    #[serde(rename = "use")]
    pub which_when: [String; 2],
}

impl Pair {
    fn point(&self, point: Point) -> Option<&String> {
        match point {
            Point::Asked => self.asked.as_ref(),
            Point::Decided => self.decided.as_ref(),
            Point::Sender => self.sender.as_ref(),
            Point::Fault => self.fault.as_ref(),
            Point::Scope => self.scope.as_ref(),
            Point::Action => self.action.as_ref(),
            Point::Capture => self.capture.as_ref(),
            Point::Decisive | Point::Standing | Point::Defined => None,
        }
    }

    /// True if every point that matters was written by hand, so that nothing need be added.
    fn is_whole(&self) -> bool {
        [&self.asked, &self.decided, &self.sender, &self.action, &self.capture].into_iter().all(Option::is_some)
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PairFile {
    pair: Vec<Pair>,
}

/// What tells `lower` and `higher` apart, in the language if it has all that it takes, else in English.
pub(super) fn compare(lower: &Entry, higher: &Entry, phrases: &Phrases) -> Comparison {
    let codes = [lower, higher].map(|entry| entry.treated_as.unwrap_or(entry.code));
    let words = if phrases.composes(codes) { *phrases } else { Phrases::english() };
    let composed = match words.is_english() && !phrases.is_english() {
        true => {
            let entries = [lower.clone(), higher.clone()];
            Comparison { entries, ..compose::compose(&with_english_note(lower), &with_english_note(higher), &words) }
        }
        false => compose::compose(lower, higher, &words),
    };
    // What is written by hand is in English.
    if !words.is_english() || !is_built_in(lower) || !is_built_in(higher) {
        return composed;
    }
    let Some(pair) = by_hand(lower.code, higher.code) else {
        return composed;
    };
    let of_point = |point| composed.differences.iter().find(|difference| difference.point == point).cloned();
    let differences = ORDER
        .into_iter()
        .filter_map(|point| match pair.point(point) {
            Some(says) => Some(Difference { point, says: says.clone() }),
            // The summary has said it already.
            None if point == Point::Decisive || pair.is_whole() => None,
            None => of_point(point),
        })
        .collect();
    Comparison {
        language: None,
        entries: [lower.clone(), higher.clone()],
        summary: pair.summary,
        differences,
        which_when: pair.which_when,
    }
}

/// A translated entry with the note on sending again as it was, for a sentence in English.
fn with_english_note(entry: &Entry) -> Entry {
    match built_in(entry.code).filter(|_| is_built_in(entry)) {
        Some(own) => Entry { retry_note: own.retry_note.clone(), ..entry.clone() },
        None => entry.clone(),
    }
}

/// The order of the points on a page.
pub(super) const ORDER: [Point; 10] = [
    Point::Decisive,
    Point::Asked,
    Point::Decided,
    Point::Sender,
    Point::Fault,
    Point::Scope,
    Point::Action,
    Point::Capture,
    Point::Standing,
    Point::Defined,
];

/// The pair, if it was treated by hand.
pub(super) fn by_hand(lower: u16, higher: u16) -> Option<Pair> {
    let slice = pairs().iter().find(|(codes, _)| *codes == [lower, higher])?;
    Some(tables::read::<PairFile>(slice.1).pair.swap_remove(0))
}

/// The codes of every pair treated by hand, with its text.
pub(super) fn pairs() -> &'static [([u16; 2], &'static str)] {
    static PAIRS: OnceLock<Vec<([u16; 2], &'static str)>> = OnceLock::new();
    PAIRS.get_or_init(|| {
        slices::cut(include_str!("../../data/comparisons.toml"), "pair")
            .into_iter()
            .filter_map(|slice| Some((codes_of(slice.text)?, slice.text)))
            .collect()
    })
}

/// The two numbers of the line `codes = [202, 503]`.
fn codes_of(text: &str) -> Option<[u16; 2]> {
    let line = text.lines().find_map(|line| line.strip_prefix("codes = ["))?;
    let (lower, higher) = line.strip_suffix(']')?.split_once(',')?;
    Some([lower.trim().parse().ok()?, higher.trim().parse().ok()?])
}
