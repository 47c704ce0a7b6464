//! The pages of the decision paths: the list of symptoms, and all questions beneath one of them.

use super::Catalogue;
use super::decision::{Decisions, Leaf, Node, Question, Start};
use super::decision_words::language_of_decisions;
use super::language::Phrases;
use super::page::{Block, Fact, Item, Page, Section};
use super::word::Word;

/// The page marked with the language of its words, and with a note if the questions are not in it.
pub fn in_words_of(mut page: Page, words: &Phrases) -> Page {
    let words = words.for_reports();
    page.language = words.tag().to_owned();
    page.direction = words.direction();
    if !words.is_english() && language_of_decisions(&words).is_none() {
        let note = Section { heading: String::new(), blocks: vec![words.word(Word::EnglishHere).into()] };
        page.sections.insert(0, note);
    }
    page
}

/// The page that lists the symptoms.
pub fn starts_page(decisions: &Decisions, words: &Phrases) -> Page {
    let item = |start: &Start| {
        Item::new(format!("decide {}", start.key), words.fill(Word::AdviceAlone, &[("advice", &start.title)]))
    };
    let starts = decisions.starts().iter().map(item).collect();
    let page = Page::new(words.word(Word::DecideSee), words.word(Word::DecideSubtitle))
        .section("", vec![Block::Bullets(starts)])
        .section(words.word(Word::DecideHow), vec![words.word(Word::DecideHowText).into()]);
    in_words_of(page, words)
}

/// The page of a symptom: each question that may be asked, numbered, with where its answers lead.
pub fn start_page(decisions: &Decisions, start: &Start, catalogue: &Catalogue) -> Page {
    let words = catalogue.phrases();
    let nodes = decisions.beneath(&start.first);
    let questions: Vec<&Question> = nodes
        .iter()
        .filter_map(|node| match node {
            Node::Question(question) => Some(*question),
            Node::Cause(_) => None,
        })
        .collect();
    let number = |key: &str| questions.iter().position(|question| question.key == key).map(|place| place + 1);
    let mut page = Page::new(&start.title, format!("decide {}", start.key));
    for (place, question) in questions.iter().enumerate() {
        let items = question.answers.iter().map(|answer| match (decisions.node(&answer.to), number(&answer.to)) {
            (Some(Node::Cause(leaf)), _) => Item::new(&answer.says, &leaf.says).with(leaf.facts(catalogue)),
            (_, Some(number)) => Item::new(&answer.says, words.fill(Word::DecideGoOn, &[("number", &number)])),
            _ => Item::new(&answer.says, ""),
        });
        let blocks = vec![Block::Paragraph(question.look.clone()), Block::Bullets(items.collect())];
        page = page.section(format!("{}. {}", place + 1, question.ask), blocks);
    }
    in_words_of(page, words)
}

/// The answers of a question, as a person chooses among them.
pub fn question_items(question: &Question) -> Vec<Item> {
    question.answers.iter().map(|answer| Item::new("", &answer.says)).collect()
}

impl Leaf {
    /// What to do, and the rules and codes that belong to it.
    pub fn facts(&self, catalogue: &Catalogue) -> Vec<Fact> {
        let code = |code: &u16| match catalogue.entry(*code) {
            Some(entry) => format!("{code} {}", entry.name),
            None => code.to_string(),
        };
        let codes: Vec<String> = self.codes.iter().map(code).collect();
        let words = catalogue.phrases();
        let mut facts = vec![Fact::new(words.word(Word::DecideFix), &self.fix)];
        // A cause may have no code, or no rule.
        for (label, named) in [(Word::DecideRules, &self.rules), (Word::DecideCodes, &codes)] {
            if !named.is_empty() {
                facts.push(Fact::new(words.count(label, named.len() as u64, &[]), named.join(", ")));
            }
        }
        facts
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalogue::decisions;

    #[test]
    fn the_page_of_a_symptom_holds_everything_beneath_it() {
        let tree = decisions();
        for start in tree.starts() {
            let page = start_page(tree, start, &Catalogue::new());
            let text = format!("{page:?}");
            for node in tree.beneath(&start.first) {
                let says = match node {
                    Node::Question(question) => &question.ask,
                    Node::Cause(leaf) => &leaf.says,
                };
                assert!(text.contains(&format!("{says:?}")[1..says.len()]), "{}: {says}", start.key);
            }
            // An answer that leads to a question names its number, and that question is there.
            for number in text.split("go on with ").skip(1).filter_map(|rest| rest.split('.').next()) {
                assert!(number.parse::<usize>().is_ok_and(|number| number <= page.sections.len()), "{number}");
            }
        }
        assert!(format!("{:?}", starts_page(tree, &Phrases::english())).contains("one-way-audio"));
    }
}
