//! The causes of an entry, the headers to look at and the codes that it is taken for, in other languages than English.
//!
//! Knows `data/entries/`: a file for each language that has them, with what stands in the entry of a code in its order.
//! Names of headers, rules and settings stay as they are.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::entry::Entry;
use super::language::Phrases;
use super::tables::{self, ByLanguage};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    cause: BTreeMap<String, Vec<CauseText>>,
    /// What each header tells.
    look_at: BTreeMap<String, Vec<String>>,
    confused_with: BTreeMap<String, Vec<ConfusedText>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct CauseText {
    cause: String,
    evidence: String,
    check: String,
    /// What is set in some software, whose own words stay.
    #[serde(default)]
    platform: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ConfusedText {
    difference: String,
    capture: String,
}

const FILES: [(&str, &str); 2] =
    [("fr", include_str!("../../data/entries/fr.toml")), ("ja", include_str!("../../data/entries/ja.toml"))];
static TABLES: ByLanguage<File, 2> = ByLanguage::new(FILES);

/// Puts these parts of an entry that is compiled in into a language, each that it has all of.
pub(super) fn translate(phrases: &Phrases, entry: &mut Entry) {
    let Some(file) = file(phrases) else { return };
    let code = entry.code.to_string();
    for (cause, own) in pairs(&mut entry.causes, file.cause.get(&code)) {
        cause.cause.clone_from(&own.cause);
        cause.evidence.clone_from(&own.evidence);
        cause.check.clone_from(&own.check);
        cause.platform.clone_from(&own.platform);
    }
    for (look_at, own) in pairs(&mut entry.look_at, file.look_at.get(&code)) {
        look_at.why.clone_from(own);
    }
    for (confused, own) in pairs(&mut entry.confused_with, file.confused_with.get(&code)) {
        confused.difference.clone_from(&own.difference);
        confused.capture.clone_from(&own.capture);
    }
}

/// Each part with its text; none unless every one has its own.
fn pairs<'a, T, U>(parts: &'a mut [T], texts: Option<&'a Vec<U>>) -> impl Iterator<Item = (&'a mut T, &'a U)> {
    let fitting = texts.filter(|texts| texts.len() == parts.len());
    parts.iter_mut().zip(fitting.into_iter().flatten())
}

/// True if these parts of the entry of this code are in this language.
pub(super) fn has(phrases: &Phrases, code: u16) -> bool {
    phrases.is_english() || file(phrases).is_some_and(|file| file.cause.contains_key(&code.to_string()))
}

fn file(phrases: &Phrases) -> Option<&'static File> {
    TABLES.of(phrases.tag(), tables::read)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalogue::{Catalogue, status_codes};

    /// What is the same in both languages.
    const SAME: [&str; 3] = ["Normal.", "Maintenance.", "INVITE sips:…, 416."];

    fn texts(entry: &Entry) -> Vec<&str> {
        let causes = entry.causes.iter().flat_map(|one| [&one.cause, &one.evidence, &one.check]);
        let headers = entry.look_at.iter().map(|one| &one.why);
        let confused = entry.confused_with.iter().flat_map(|one| [&one.difference, &one.capture]);
        causes.chain(headers).chain(confused).map(String::as_str).collect()
    }

    #[test]
    fn every_part_of_every_entry_is_translated_and_none_is_english() {
        for (tag, text) in FILES {
            let phrases = Phrases::of(tag).expect("a language that is there");
            let codes: Vec<u16> = status_codes().keys().collect();
            let table: File = tables::read(text);
            let named = table.cause.keys().chain(table.look_at.keys()).chain(table.confused_with.keys());
            assert!(named.clone().all(|code| code.parse().is_ok_and(|code| codes.contains(&code))), "{tag}");
            for english in Catalogue::new().entries(None) {
                let mut own = english.clone();
                translate(&phrases, &mut own);
                assert!(has(&phrases, english.code), "{tag}: {}", english.code);
                for (own, english) in own.causes.iter().zip(&english.causes) {
                    assert_eq!(own.platform.is_empty(), english.platform.is_empty(), "{tag}: {}", own.cause);
                    let count = |text: &str| text.matches("; ").count();
                    assert_eq!(count(&own.platform), count(&english.platform), "{tag}: {}", own.platform);
                }
                for (own, english) in texts(&own).into_iter().zip(texts(&english)) {
                    assert!(own.ends_with(['.', '。', '?']), "{tag}: {own}");
                    assert!(own != english || SAME.contains(&own), "{tag}: {own}");
                }
            }
        }
    }
}
