//! Tests of what is said in other languages than English: that it is whole, and that sentences put together from pieces
//! read as sentences.

use std::collections::BTreeSet;

use super::tests::doubled_word;
use super::{Catalogue, Missing, Phrases, comparison, status_codes};

#[test]
fn every_pair_of_codes_compares_in_french_and_japanese() {
    for tag in ["fr", "ja"] {
        let phrases = Phrases::of(tag).expect("a language that is there");
        let entries = Catalogue::new().in_language(phrases).entries(None);
        let mut faults = Vec::new();
        for (place, lower) in entries.iter().enumerate() {
            for higher in &entries[place + 1..] {
                let comparison = comparison::compare(lower, higher, &phrases);
                let mut texts = vec![comparison.summary.as_str()];
                texts.extend(comparison.differences.iter().map(|difference| difference.says.as_str()));
                texts.extend(comparison.which_when.iter().map(String::as_str));
                let is_cut =
                    |text: &&&str| !text.ends_with(['.', '。']) || text.contains(['{', '}']) || text.contains("  ");
                let cut = texts.iter().find(is_cut);
                let doubled = texts.iter().find_map(|text| doubled_word(text).filter(|_| tag == "fr"));
                let once: BTreeSet<&str> = texts.iter().copied().collect();
                let is_own = comparison.language.as_deref() == Some(tag);
                if comparison.differences.len() < 3 || once.len() < texts.len() || !is_own || cut.is_some() {
                    faults.push(format!("{tag} {} {}: {texts:?}", lower.code, higher.code));
                }
                faults.extend(doubled.map(|word| format!("{tag} {} {}: {word} twice", lower.code, higher.code)));
            }
        }
        assert!(faults.is_empty(), "{} faults: {:#?}", faults.len(), &faults[..faults.len().min(10)]);
    }
}

#[test]
fn french_and_japanese_lack_nothing() {
    let codes: Vec<u16> = status_codes().keys().collect();
    assert_eq!(codes.len(), 94);
    let nothing =
        Missing { phrases: 0, classes: 0, words: 0, senders: 0, gists: 0, entries: 0, decisions: 0, causes: 0 };
    for tag in ["fr", "ja"] {
        assert_eq!(Phrases::of(tag).expect("a language that is there").missing(&codes), nothing, "{tag}");
    }
}

#[test]
fn french_and_japanese_translate_the_notes_of_an_entry_too() {
    for tag in ["fr", "ja"] {
        let phrases = Phrases::of(tag).expect("a language that is there");
        let entries = Catalogue::new().entries(None);
        for english in entries {
            let own = phrases.translate(english.clone());
            for (own, english) in [(&own.normal_when, &english.normal_when), (&own.retry_note, &english.retry_note)] {
                assert_eq!(own.is_empty(), english.is_empty(), "{tag} {own}");
                assert!(english.is_empty() || own != english && own.ends_with(['.', '。']), "{tag}: {own}");
            }
            let translation = phrases.translation(english.code).expect("a translation");
            let has_more = !translation.normal.is_empty() && english.normal_when.is_empty();
            assert!(!has_more, "{tag} {}: {}", english.code, translation.normal);
        }
    }
}

#[test]
fn a_language_without_words_of_its_own_compares_in_english() {
    let phrases = Phrases::of("th").expect("Thai is there");
    let comparison = Catalogue::new().in_language(phrases).compare(404, 503).expect("a comparison");
    assert_eq!(comparison.language, None);
    assert_eq!(comparison.summary, Catalogue::new().compare(404, 503).expect("a comparison").summary);
}
