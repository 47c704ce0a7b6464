//! Asks a person, question by question, and prints the cause to which the answers lead.

use std::io::{self, BufRead, Write};
use std::ops::ControlFlow;

use crate::catalogue::{Block, Catalogue, Decisions, Item, Leaf, Node, Page, Question, Start, Word, question_items};
use crate::report::pages;

/// Lines that are no answer after which it asks no more.
const PATIENCE: usize = 20;

/// Asks on one pair of streams.
pub(crate) struct Asker<'a, I, O> {
    input: I,
    out: O,
    width: usize,
    catalogue: &'a Catalogue,
}

/// What a person typed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reply {
    /// The answer with this place, from 0.
    Choice(usize),
    Back,
    End,
}

impl<'a, I: BufRead, O: Write> Asker<'a, I, O> {
    pub(crate) fn new(input: I, out: O, width: usize, catalogue: &'a Catalogue) -> Self {
        Asker { input, out, width, catalogue }
    }

    /// Offers the symptoms, and goes on from the one that is chosen.
    ///
    /// # Errors
    /// What the streams say.
    pub(crate) fn ask_for_symptom(&mut self, tree: &Decisions) -> io::Result<()> {
        let titles = || tree.starts().iter().map(|start| Item::new("", &start.title)).collect();
        loop {
            self.offer(self.catalogue.phrases().word(Word::DecideSee), "", titles())?;
            match self.reply(tree.starts().len())? {
                Reply::Choice(place) => match tree.starts().get(place) {
                    Some(start) if self.ask_from(tree, &start.first)? == Reply::Back => {}
                    _ => return Ok(()),
                },
                Reply::Back | Reply::End => return Ok(()),
            }
        }
    }

    /// Asks the questions beneath a symptom.
    ///
    /// # Errors
    /// What the streams say.
    pub(crate) fn ask_about(&mut self, tree: &Decisions, start: &Start) -> io::Result<()> {
        self.ask_from(tree, &start.first)?;
        Ok(())
    }

    /// Asks what the packets of some calls leave open. `Break` if the person wants no more questions.
    ///
    /// # Errors
    /// What the streams say.
    pub(crate) fn about(&mut self, tree: &Decisions, question: &Question, calls: &str) -> io::Result<ControlFlow<()>> {
        writeln!(self.out, "\n{calls}")?;
        Ok(match self.ask_from(tree, &question.key)? {
            Reply::End => ControlFlow::Break(()),
            _ => ControlFlow::Continue(()),
        })
    }

    /// Asks from a node to a cause. `Back` if the person went back before the first question.
    fn ask_from(&mut self, tree: &Decisions, key: &str) -> io::Result<Reply> {
        let mut way: Vec<&str> = vec![key];
        while let Some(key) = way.last() {
            let question = match tree.node(key) {
                Some(Node::Question(question)) => question,
                Some(Node::Cause(leaf)) => {
                    self.tell(leaf)?;
                    return Ok(Reply::Choice(0));
                }
                None => return Ok(Reply::End),
            };
            self.offer(&question.ask, &question.look, question_items(question))?;
            match self.reply(question.answers.len())? {
                Reply::End => return Ok(Reply::End),
                Reply::Back => {
                    way.pop();
                }
                Reply::Choice(place) => way.extend(question.answers.get(place).map(|answer| answer.to.as_str())),
            }
        }
        Ok(Reply::Back)
    }

    fn offer(&mut self, title: &str, look: &str, items: Vec<Item>) -> io::Result<()> {
        let page = Page::new(title, "").section("", vec![Block::from(look), Block::Numbered(items)]);
        write!(self.out, "\n{}", pages::text(&page, self.width))
    }

    fn tell(&mut self, leaf: &Leaf) -> io::Result<()> {
        let page = Page::new(&leaf.says, "").section("", vec![Block::Facts(leaf.facts(self.catalogue))]);
        write!(self.out, "\n{}", pages::text(&page, self.width))?;
        self.out.flush()
    }

    /// Reads until there is an answer. The end of input ends it.
    fn reply(&mut self, answers: usize) -> io::Result<Reply> {
        for _ in 0..PATIENCE {
            let prompt = self.catalogue.phrases().fill(Word::DecidePrompt, &[("count", &answers)]);
            write!(self.out, "\n{prompt}")?;
            self.out.flush()?;
            let mut line = String::new();
            if self.input.read_line(&mut line)? == 0 {
                return Ok(Reply::End);
            }
            match line.trim() {
                "q" | "Q" => return Ok(Reply::End),
                "b" | "B" => return Ok(Reply::Back),
                text => {
                    if let Some(place) = text.parse::<usize>().ok().filter(|place| (1..=answers).contains(place)) {
                        return Ok(Reply::Choice(place - 1));
                    }
                }
            }
        }
        Ok(Reply::End)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalogue::decisions;

    fn typed(lines: &str) -> String {
        let catalogue = Catalogue::new();
        let mut out = Vec::new();
        Asker::new(lines.as_bytes(), &mut out, 80, &catalogue).ask_for_symptom(decisions()).expect("memory takes it");
        String::from_utf8(out).expect("text")
    }

    #[test]
    fn answers_lead_to_a_cause() {
        let said = typed("7\n2\n1\n");
        assert!(said.contains("Which RTP is there"), "{said}");
        assert!(said.contains("private-media-address"), "{said}");
        assert!(said.contains("Why does one direction not arrive?"), "{said}");
    }

    #[test]
    fn one_can_go_back_and_end_and_err() {
        let back = typed("1\nb\n9\nq\n");
        assert!(back.contains("What answers the REGISTER?") && back.contains("What answers the REFER"), "{back}");
        assert_eq!(typed("x\n0\n99\n").matches("1-11, b goes back").count(), 4);
        assert_eq!(typed("").matches("What do you see?").count(), 1);
    }
}
