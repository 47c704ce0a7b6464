//! What `decide` prints: ways of calls as a page, and everything as JSON.

use std::fmt::Display;

use serde::Serialize;

use crate::catalogue::{
    Block, Catalogue, Decisions, Fact, Ground, Item, Leaf, Node, Page, Phrases, Question, Sign, Start, Word,
};
use crate::catalogue::{in_words_of, question_items};
use crate::cli::decide::walk::{Because, Walk};
use crate::diagnosis::rules;
use crate::report::Frame;
use crate::report::text::words::confidence;

/// What becomes of questions that the packets do not answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum OpenQuestions {
    /// They stand on the page.
    Printed,
    /// A person is asked them behind the page, so they do not stand on it.
    Asked,
}

/// What was looked through.
#[derive(Debug, Clone, Copy, Serialize)]
pub(crate) struct Seen {
    /// Calls, registrations and others.
    pub calls: u64,
    /// Those in trouble that show no symptom.
    pub without_symptom: u64,
}

/// Symptoms with all that stands beneath them.
#[derive(Serialize)]
pub(crate) struct Whole<'a> {
    starts: &'a [Start],
    questions: Vec<&'a Question>,
    causes: Vec<&'a Leaf>,
}

/// Symptoms with all questions and causes beneath them, each once.
pub(crate) fn whole<'a>(tree: &'a Decisions, starts: &'a [Start]) -> Whole<'a> {
    let mut whole = Whole { starts, questions: Vec::new(), causes: Vec::new() };
    for node in starts.iter().flat_map(|start| tree.beneath(&start.first)) {
        match node {
            Node::Question(question) if !whole.questions.contains(&question) => whole.questions.push(question),
            Node::Cause(leaf) if !whole.causes.contains(&leaf) => whole.causes.push(leaf),
            _ => {}
        }
    }
    whole
}

/// The ways of a capture.
#[derive(Serialize)]
pub(crate) struct WalksOf<'a> {
    #[serde(flatten)]
    seen: &'a Seen,
    walks: &'a [Walk],
}

/// The ways of a capture, for programs.
pub(crate) fn walks<'a>(seen: &'a Seen, walks: &'a [Walk]) -> WalksOf<'a> {
    WalksOf { seen, walks }
}

/// The ways of a capture, for people.
pub(crate) fn page(tree: &Decisions, seen: &Seen, walks: &[Walk], open: OpenQuestions, catalogue: &Catalogue) -> Page {
    let words = catalogue.phrases();
    let looked_through = words.count(Word::DecideExchanges, seen.calls, &[("count", &seen.calls)]);
    let mut page = Page::new(words.word(Word::DecideTitle), looked_through);
    if walks.is_empty() {
        page = page.section("", vec![words.word(Word::DecideNone).into()]);
    }
    for walk in walks {
        let start = tree.start(&walk.start).map_or(walk.start.as_str(), |start| &start.title);
        let calls = which_calls(walk, words);
        let heading = if is_shown(tree, walk) { format!("{calls}{}{start}", words.word(Word::Colon)) } else { calls };
        page = page.section(heading, blocks(tree, walk, open, catalogue));
    }
    if seen.without_symptom > 0 {
        let others = seen.without_symptom;
        let text = words.count(Word::DecideOthersText, others, &[("count", &others)]);
        page = page.section(words.word(Word::DecideOthers), vec![text.into()]);
    }
    in_words_of(page, words)
}

/// `Calls 3, 5 and 2 others`.
pub(crate) fn which_calls(walk: &Walk, words: &Phrases) -> String {
    if walk.calls == 0 {
        return words.word(Word::NavCapture).to_owned();
    }
    let named: Vec<String> = walk.numbers.iter().map(u32::to_string).collect();
    let others = walk.calls.saturating_sub(named.len() as u64);
    let mut calls = named.join(", ");
    if others > 0 {
        calls = words.count(Word::DecideMoreCalls, others, &[("calls", &calls), ("count", &others)]);
    }
    words.count(Word::DecideCalls, walk.calls, &[("calls", &calls)])
}

/// True if the symptom may stand over a way as that of its calls. What a rule alone led to is another one than the
/// packets show, if their signs would tell it: such as a failed SUBSCRIBE beneath those of calls.
fn is_shown(tree: &Decisions, walk: &Walk) -> bool {
    let is_by_rule = matches!(&walk.because, Some(Because { ground: Ground::Rule(_), .. }));
    !is_by_rule || tree.start(&walk.start).is_none_or(|start| start.signs.is_empty())
}

fn blocks(tree: &Decisions, walk: &Walk, open: OpenQuestions, catalogue: &Catalogue) -> Vec<Block> {
    let words = catalogue.phrases();
    let mut items: Vec<Item> = Vec::new();
    if let Some(because) = &walk.because {
        items.push(Item::new(words.word(Word::DecideSymptom), told_by(because, words)));
    }
    let mut told: Option<&Ground> = walk.because.as_ref().map(|because| &because.ground);
    // What is asked of a symptom that it does not show is nothing that its packets could answer.
    let steps = if is_shown(tree, walk) { walk.steps.as_slice() } else { &[] };
    for step in steps {
        // A rule knows its cause, and not the answers on the way there: those are no facts of these calls.
        if let Ground::Rule(_) = &step.because.ground {
            if told != Some(&step.because.ground) {
                items.push(Item::new(words.word(Word::DecideToldBy), told_by(&step.because, words)));
            }
            told = Some(&step.because.ground);
            continue;
        }
        items.push(
            Item::new(step.ask.trim_end_matches(['?', '？']).trim_end(), &step.answer)
                .with(vec![Fact::new(words.word(Word::DecideToldBy), told_by(&step.because, words))]),
        );
    }
    let mut blocks = vec![Block::Bullets(items)];
    if let Some(leaf) = &walk.cause {
        blocks.push(Block::Paragraph(words.fill(Word::DecideCause, &[("cause", &leaf.says)])));
        blocks.push(Block::Facts(leaf.facts(catalogue)));
    }
    if let Some(question) = walk.open.as_ref().filter(|_| open == OpenQuestions::Printed) {
        let values: [(&str, &dyn Display); 2] = [("question", &question.ask), ("look", &question.look)];
        blocks.push(Block::Paragraph(words.fill(Word::DecideOpen, &values)));
        blocks.push(Block::Numbered(question_items(question)));
    }
    blocks
}

fn told_by(because: &Because, words: &Phrases) -> String {
    let told = match &because.ground {
        Ground::Rule(name) => {
            let title = rules::named(name).map(|rule| rule.title()).unwrap_or_default();
            let told = words.fill(Word::DecideRule, &[("rule", name), ("title", &title)]);
            match because.confidence {
                Some(sure) => format!("{told}{}{}", words.word(Word::Comma), confidence(words, sure)),
                None => told,
            }
        }
        Ground::Sign(sign) => words.word(of_sign(*sign)).to_owned(),
        Ground::Code(code) => words.fill(Word::DecideFinal, &[("code", code)]),
    };
    let frames: Vec<String> = because.frames.iter().map(Frame::to_string).collect();
    match frames.len() {
        0 => told,
        count => words.count(Word::DecideFrames, count as u64, &[("words", &told), ("frames", &frames.join(" "))]),
    }
}

/// A sign of a call in words.
fn of_sign(sign: Sign) -> Word {
    match sign {
        Sign::RegistrationFailed => Word::SignRegistrationFailed,
        Sign::FailedUnrung => Word::SignFailedUnrung,
        Sign::FailedRinging => Word::SignFailedRinging,
        Sign::DroppedSoon => Word::SignDroppedSoon,
        Sign::DroppedLate => Word::SignDroppedLate,
        Sign::NoResponse => Word::SignNoResponse,
        Sign::OnlyTrying => Word::SignOnlyTrying,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalogue::decisions;

    #[test]
    fn every_rule_stands_in_a_cause_or_beside_them() {
        let tree = decisions();
        let all = whole(tree, tree.starts());
        for rule in rules::ALL {
            let is_cause = all.causes.iter().any(|leaf| leaf.rules.iter().any(|name| *name == rule.name));
            let is_beside = tree.beside().iter().any(|beside| beside.rule == rule.name);
            assert_ne!(is_cause, is_beside, "{}: in a cause, or in a [[beside]] that says why not", rule.name);
        }
        for beside in tree.beside() {
            assert!(rules::named(&beside.rule).is_some() && beside.why.len() > 20, "{}", beside.rule);
        }
    }

    #[test]
    fn what_is_asked_is_not_printed_too() {
        let tree = decisions();
        let Some(Node::Question(question)) = tree.node("silence") else { panic!("it is a question") };
        let walk = Walk {
            calls: 1,
            numbers: vec![1],
            start: "fails-at-once".to_owned(),
            because: None,
            steps: Vec::new(),
            cause: None,
            open: Some(question.clone()),
        };
        let seen = Seen { calls: 1, without_symptom: 0 };
        let text = |open| format!("{:?}", page(tree, &seen, std::slice::from_ref(&walk), open, &Catalogue::new()));
        assert!(text(OpenQuestions::Printed).contains(&question.ask));
        assert!(!text(OpenQuestions::Asked).contains(&question.ask));
    }

    #[test]
    fn every_cause_names_rules_that_there_are() {
        let tree = decisions();
        let all = whole(tree, tree.starts());
        assert!(all.causes.len() >= 80, "{}", all.causes.len());
        for leaf in all.causes {
            for rule in &leaf.rules {
                assert!(rules::named(rule).is_some(), "{}: there is no rule {rule}", leaf.key);
            }
        }
    }
}
