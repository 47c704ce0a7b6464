//! What `decide` prints: ways of calls as a page, and everything as JSON.

use serde::Serialize;

use crate::catalogue::question_items;
use crate::catalogue::{Block, Catalogue, Decisions, Fact, Ground, Item, Leaf, Node, Page, Question, Start};
use crate::cli::decide::walk::{Because, Walk};
use crate::diagnosis::rules;
use crate::report::Frame;

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
pub(crate) fn page(tree: &Decisions, seen: &Seen, walks: &[Walk], catalogue: &Catalogue) -> Page {
    let mut page = Page::new("From symptom to cause", looked_through(seen));
    if walks.is_empty() {
        let words = "No call of this capture shows a symptom. If there is one all the same, name it: sipwhy decide \
                     SYMPTOM FILE; sipwhy decide lists the symptoms.";
        page = page.section("", vec![words.into()]);
    }
    for walk in walks {
        let start = tree.start(&walk.start).map_or(walk.start.as_str(), |start| &start.title);
        page = page.section(format!("{}: {start}", which_calls(walk)), blocks(walk, catalogue));
    }
    if seen.without_symptom > 0 {
        let words = format!(
            "{} others did not go well and show none of the symptoms; sipwhy FILE explains them.",
            seen.without_symptom
        );
        page = page.section("Others", vec![words.into()]);
    }
    page
}

/// `Calls 3, 5 and 2 others`.
pub(crate) fn which_calls(walk: &Walk) -> String {
    let named: Vec<String> = walk.numbers.iter().map(u32::to_string).collect();
    let others = walk.calls.saturating_sub(named.len() as u64);
    let word = if walk.calls == 1 { "Call" } else { "Calls" };
    match others {
        0 => format!("{word} {}", named.join(", ")),
        1 => format!("{word} {} and 1 other", named.join(", ")),
        _ => format!("{word} {} and {others} others", named.join(", ")),
    }
}

fn looked_through(seen: &Seen) -> String {
    match seen.calls {
        1 => "1 exchange".to_owned(),
        calls => format!("{calls} exchanges"),
    }
}

fn blocks(walk: &Walk, catalogue: &Catalogue) -> Vec<Block> {
    let mut items: Vec<Item> = Vec::new();
    if let Some(because) = &walk.because {
        items.push(Item::new("Symptom", told_by(because)));
    }
    for step in &walk.steps {
        items.push(
            Item::new(step.ask.trim_end_matches('?'), &step.answer)
                .with(vec![Fact::new("Told by", told_by(&step.because))]),
        );
    }
    let mut blocks = vec![Block::Bullets(items)];
    if let Some(leaf) = &walk.cause {
        blocks.push(Block::Paragraph(format!("Cause: {}", leaf.says)));
        blocks.push(Block::Facts(leaf.facts(catalogue)));
    }
    if let Some(question) = &walk.open {
        blocks.push(Block::Paragraph(format!("The packets do not tell: {} {}", question.ask, question.look)));
        blocks.push(Block::Numbered(question_items(question)));
    }
    blocks
}

fn told_by(because: &Because) -> String {
    let words = match &because.ground {
        Ground::Rule(name) => {
            let title = rules::named(name).map(|rule| rule.title()).unwrap_or_default();
            format!("rule {name} ({title})")
        }
        Ground::Sign(sign) => sign.words().to_owned(),
        Ground::Code(code) => format!("the final status {code}"),
    };
    let frames: Vec<String> = because.frames.iter().copied().map(frame).collect();
    match frames.len() {
        0 => words,
        1 => format!("{words}, frame {}", frames.join(" ")),
        _ => format!("{words}, frames {}", frames.join(" ")),
    }
}

/// A frame's number, with that of its file if there are several.
fn frame(frame: Frame) -> String {
    match frame {
        Frame::Number(number) => number.to_string(),
        Frame::InFile { file, frame } => format!("{file}:{frame}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalogue::decisions;

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
