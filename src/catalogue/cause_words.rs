//! The causes of an entry in other languages than English.
//!
//! Knows `data/causes/`: a file for each language that has them, with the causes of a code in the order of its entry. What
//! is set in some software is not translated, and neither are the names of rules.

use std::collections::BTreeMap;
use std::sync::OnceLock;

use serde::Deserialize;

use super::entry::Entry;
use super::language::Phrases;
use super::tables;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    cause: BTreeMap<String, Vec<CauseText>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct CauseText {
    cause: String,
    evidence: String,
    check: String,
}

const FILES: [(&str, &str); 2] =
    [("fr", include_str!("../../data/causes/fr.toml")), ("ja", include_str!("../../data/causes/ja.toml"))];

/// Puts the causes of an entry that is compiled in into a language, if it has all of them.
pub(super) fn translate(phrases: &Phrases, entry: &mut Entry) {
    let Some(texts) = texts(phrases, entry.code).filter(|texts| texts.len() == entry.causes.len()) else { return };
    for (cause, own) in entry.causes.iter_mut().zip(texts) {
        cause.cause.clone_from(&own.cause);
        cause.evidence.clone_from(&own.evidence);
        cause.check.clone_from(&own.check);
    }
}

/// True if the causes of this code are in this language.
pub(super) fn has(phrases: &Phrases, code: u16) -> bool {
    phrases.is_english() || texts(phrases, code).is_some()
}

fn texts(phrases: &Phrases, code: u16) -> Option<&'static Vec<CauseText>> {
    static TABLES: [OnceLock<File>; FILES.len()] = [const { OnceLock::new() }; FILES.len()];
    let place = FILES.iter().position(|(tag, _)| *tag == phrases.tag())?;
    TABLES[place].get_or_init(|| tables::read(FILES[place].1)).cause.get(&code.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalogue::{Catalogue, status_codes};

    #[test]
    fn every_cause_of_every_entry_is_translated_and_none_is_english() {
        for (tag, file) in FILES {
            let phrases = Phrases::of(tag).expect("a language that is there");
            let codes: Vec<u16> = status_codes().keys().collect();
            let table: File = tables::read(file);
            assert!(table.cause.keys().all(|code| code.parse().is_ok_and(|code| codes.contains(&code))), "{tag}");
            for english in Catalogue::new().entries(None).iter().filter(|entry| !entry.causes.is_empty()) {
                let mut own = english.clone();
                translate(&phrases, &mut own);
                assert!(has(&phrases, english.code), "{tag}: {}", english.code);
                for (own, english) in own.causes.iter().zip(&english.causes) {
                    let texts = [
                        (&own.cause, &english.cause),
                        (&own.evidence, &english.evidence),
                        (&own.check, &english.check),
                    ];
                    for (own, english) in texts {
                        assert!(own.ends_with(['.', '。']), "{tag}: {own}");
                        let stays = ["Normal.", "Maintenance.", "INVITE sips:…, 416."].contains(&own.as_str());
                        assert!(own != english || stays, "{tag}: {own}");
                    }
                }
            }
        }
    }
}
