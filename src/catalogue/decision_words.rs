//! The questions from a symptom to its cause in other languages than English.
//!
//! Knows `data/decisions/`: a file for each language that has them, with the texts of `data/decisions.toml` by the
//! names of that file; an answer goes by the name of what it leads to. Gives the same tree with other texts. What a
//! file lacks is said in English, text by text.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::decision::{Decisions, decisions};
use super::language::Phrases;
use super::tables::{self, ByLanguage};

/// Texts of one language.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct DecisionWords {
    start: BTreeMap<String, String>,
    question: BTreeMap<String, QuestionWords>,
    cause: BTreeMap<String, CauseWords>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct QuestionWords {
    ask: String,
    look: String,
    /// By where they lead.
    answer: BTreeMap<String, String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct CauseWords {
    says: String,
    fix: String,
}

const FILES: [(&str, &str); 2] =
    [("fr", include_str!("../../data/decisions/fr.toml")), ("ja", include_str!("../../data/decisions/ja.toml"))];
static TREES: ByLanguage<Decisions, 2> = ByLanguage::new(FILES);

/// The tree in the words of a language; in English if that has none of them.
pub fn decisions_in(phrases: &Phrases) -> &'static Decisions {
    TREES.of(phrases.tag(), |words| translated(&tables::read(words))).unwrap_or_else(|| decisions())
}

/// The tag of the language in which [`decisions_in`] gives the tree, if that is not English.
pub fn language_of_decisions(phrases: &Phrases) -> Option<&'static str> {
    TREES.file(phrases.tag()).map(|(tag, _)| tag)
}

/// How many symptoms, questions and causes are not in this language.
pub(super) fn missing(phrases: &Phrases) -> usize {
    let tree = decisions();
    let all = tree.starts().len() + tree.questions().len() + tree.causes().len();
    let Some((_, words)) = TREES.file(phrases.tag()) else { return if phrases.is_english() { 0 } else { all } };
    let words: DecisionWords = tables::read(words);
    all - words.start.len() - words.question.len() - words.cause.len()
}

fn translated(words: &DecisionWords) -> Decisions {
    let mut tree = decisions().clone();
    let put = |text: &mut String, own: Option<&String>| {
        if let Some(own) = own {
            text.clone_from(own);
        }
    };
    tree.each_start(|start| put(&mut start.title, words.start.get(&start.key)));
    tree.each_question(|question| {
        let own = words.question.get(&question.key);
        put(&mut question.ask, own.map(|own| &own.ask));
        put(&mut question.look, own.map(|own| &own.look));
        for answer in &mut question.answers {
            put(&mut answer.says, own.and_then(|own| own.answer.get(&answer.to)));
        }
    });
    tree.each_cause(|leaf| {
        let own = words.cause.get(&leaf.key);
        put(&mut leaf.says, own.map(|own| &own.says));
        put(&mut leaf.fix, own.map(|own| &own.fix));
    });
    tree
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_name_is_one_of_the_tree_and_every_answer_is_translated() {
        let tree = decisions();
        for (tag, file) in FILES {
            let words: DecisionWords = tables::read(file);
            assert!(words.start.keys().all(|key| tree.start(key).is_some()), "{tag}: {:?}", words.start.keys());
            let causes: BTreeSet<&str> = tree.causes().iter().map(|leaf| leaf.key.as_str()).collect();
            let unknown: Vec<&String> = words.cause.keys().filter(|key| !causes.contains(key.as_str())).collect();
            assert!(unknown.is_empty(), "{tag}: there is no cause {unknown:?}");
            for (key, own) in &words.question {
                let question = tree.questions().iter().find(|question| question.key == *key);
                let question = question.unwrap_or_else(|| panic!("{tag}: there is no question {key}"));
                let to: BTreeSet<&String> = question.answers.iter().map(|answer| &answer.to).collect();
                assert_eq!(to.len(), question.answers.len(), "{key}: two answers lead to one place");
                assert_eq!(own.answer.keys().collect::<BTreeSet<_>>(), to, "{tag}: answers of {key}");
            }
        }
    }

    #[test]
    fn no_text_is_that_of_english_and_each_ends_as_it_should() {
        for (tag, _) in FILES {
            let phrases = Phrases::of(tag).expect("a language that is there");
            let (own, english) = (decisions_in(&phrases), decisions());
            for (own, english) in own.questions().iter().zip(english.questions()) {
                assert!(own.ask.ends_with(['?', '？']) && own.ask != english.ask, "{tag}: {}", own.key);
                assert!(own.look.ends_with(['.', '?', '。', '？']) && own.look != english.look, "{tag}: {}", own.key);
                for answer in &own.answers {
                    assert!(!answer.says.trim().is_empty() && !answer.says.ends_with(['.', '。']), "{tag}: {answer:?}");
                }
            }
            for (own, english) in own.causes().iter().zip(english.causes()) {
                for (own, english) in [(&own.says, &english.says), (&own.fix, &english.fix)] {
                    assert!(own.ends_with(['.', '。']) && own != english, "{tag}: {own}");
                }
            }
            assert_eq!(missing(&phrases), 0, "{tag}");
            assert_eq!(language_of_decisions(&phrases), Some(tag));
        }
    }

    #[test]
    fn a_language_without_questions_asks_in_english() {
        let german = Phrases::of("de").expect("German is there");
        assert_eq!((decisions_in(&german), language_of_decisions(&german)), (decisions(), None));
        assert!(missing(&german) > 100 && missing(&Phrases::english()) == 0);
    }
}
