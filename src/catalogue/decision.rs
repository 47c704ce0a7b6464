//! From a symptom to its cause: the questions an experienced engineer would ask, in that order.
//!
//! Knows `data/decisions.toml`: symptoms, questions, causes. Is given the name of a symptom and, if there is a capture,
//! [`Known`], what its packets tell of a call; gives questions, the answers that the packets give, and pages.
//! Deliberately does not know how anything was found in the capture, nor who answers the rest.

use std::collections::BTreeSet;
use std::sync::OnceLock;

use serde::{Deserialize, Serialize};

use super::tables;

/// A sign of a call that gives an answer, whatever the rules found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Sign {
    /// A registration was not accepted.
    RegistrationFailed,
    /// A call failed, and nothing had rung.
    FailedUnrung,
    /// A call failed after it had rung or brought early media.
    FailedRinging,
    /// An answered call ended against the parties' will, within a minute of the answer.
    DroppedSoon,
    /// An answered call ended against the parties' will, later.
    DroppedLate,
    /// No response came at all.
    NoResponse,
    /// 100 came and nothing else.
    OnlyTrying,
}

/// A symptom: where a way through the questions begins.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Start {
    /// Its name: `no-registration`.
    pub key: String,
    /// What one sees.
    pub title: String,
    /// The first question.
    pub first: String,
    /// Signs of a call that shows it.
    #[serde(default)]
    pub signs: Vec<Sign>,
}

/// A question.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Question {
    /// Its name.
    pub key: String,
    /// What is asked.
    pub ask: String,
    /// Where in a capture the answer stands.
    pub look: String,
    /// The answers there are.
    #[serde(rename = "answer")]
    pub answers: Vec<Answer>,
}

/// An answer to a question.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Answer {
    /// The answer.
    pub says: String,
    /// The question or the cause that it leads to.
    pub to: String,
    /// Signs that give it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub signs: Vec<Sign>,
    /// Final status codes that give it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub codes: Vec<u16>,
}

/// A cause: where a way ends.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Leaf {
    /// Its name.
    pub key: String,
    /// What is wrong.
    pub says: String,
    /// What to do first.
    pub fix: String,
    /// The rules of the diagnosis that find it in a capture, the commonest first.
    pub rules: Vec<String>,
    /// The status codes that go with it.
    pub codes: Vec<u16>,
}

/// Where a way leads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Node<'a> {
    /// To another question.
    Question(&'a Question),
    /// To a cause.
    Cause(&'a Leaf),
}

/// What the packets tell of one call.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Known {
    /// The rule that explains the outcome.
    pub cause: Option<String>,
    /// The rules that found something else, in order.
    pub rules: Vec<String>,
    /// Its signs.
    pub signs: BTreeSet<Sign>,
    /// The final status, if it is no success.
    pub code: Option<u16>,
}

/// By what an answer was given.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Ground {
    /// A rule has found one of the causes beneath this answer, and of no other.
    Rule(String),
    /// A sign of the call.
    Sign(Sign),
    /// Its final status.
    Code(u16),
}

/// All symptoms, questions and causes.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Decisions {
    start: Vec<Start>,
    question: Vec<Question>,
    cause: Vec<Leaf>,
    beside: Vec<Beside>,
}

/// A rule to which no way leads.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Beside {
    /// Its name.
    pub rule: String,
    /// Why what it finds is no trouble: the end of a sentence.
    pub why: String,
}

/// The tree that is compiled in.
pub fn decisions() -> &'static Decisions {
    static TABLE: OnceLock<Decisions> = OnceLock::new();
    TABLE.get_or_init(|| tables::read(include_str!("../../data/decisions.toml")))
}

impl Decisions {
    /// The symptoms, in the order in which they are offered.
    pub fn starts(&self) -> &[Start] {
        &self.start
    }

    /// Every question, in the order of the file.
    pub fn questions(&self) -> &[Question] {
        &self.question
    }

    /// Every cause, in the order of the file.
    pub fn causes(&self) -> &[Leaf] {
        &self.cause
    }

    /// Changes each symptom.
    pub(super) fn each_start(&mut self, change: impl FnMut(&mut Start)) {
        self.start.iter_mut().for_each(change);
    }

    /// Changes each question.
    pub(super) fn each_question(&mut self, change: impl FnMut(&mut Question)) {
        self.question.iter_mut().for_each(change);
    }

    /// Changes each cause.
    pub(super) fn each_cause(&mut self, change: impl FnMut(&mut Leaf)) {
        self.cause.iter_mut().for_each(change);
    }

    /// The rules to which no way leads.
    pub fn beside(&self) -> &[Beside] {
        &self.beside
    }

    /// The symptom of this name.
    pub fn start(&self, key: &str) -> Option<&Start> {
        self.start.iter().find(|start| start.key == key)
    }

    /// The question or cause of this name.
    pub fn node(&self, key: &str) -> Option<Node<'_>> {
        let question = self.question.iter().find(|question| question.key == key).map(Node::Question);
        question.or_else(|| self.cause.iter().find(|leaf| leaf.key == key).map(Node::Cause))
    }

    /// The symptom that a call shows: the one beneath which the rule of its outcome stands; else the one whose sign it
    /// has; else, of those that have no sign, the one beneath which another rule stands. A sign that the call has
    /// counts as the ground, whatever led to the symptom.
    pub fn start_of(&self, known: &Known) -> Option<(&Start, Ground)> {
        let outcome = Known { cause: known.cause.clone(), ..Known::default() };
        if let Some(found) = self.by_rule(&self.start, |start| &start.first, &outcome) {
            let (start, ground) = found;
            return Some((start, sign_of(&start.signs, known).map_or(ground, Ground::Sign)));
        }
        for start in &self.start {
            if let Some(sign) = sign_of(&start.signs, known) {
                return Some((start, Ground::Sign(sign)));
            }
        }
        // What failed or dropped calls show is no symptom of one that did neither.
        let left: Vec<&Start> = self.start.iter().filter(|start| start.signs.is_empty()).collect();
        self.by_rule(&left, |start| &start.first, known).map(|(start, ground)| (*start, ground))
    }

    /// The answer that the packets give, and by what: a rule before a sign, a sign before the code. `None` if they give
    /// none, or more than one. Where a rule leads on, the sign or the code is the ground if it gives the same answer:
    /// it is read off the packets. Of the others the rule knows no more than that its cause stands beneath them.
    pub fn answer<'a>(&'a self, question: &'a Question, known: &Known) -> Option<(&'a Answer, Ground)> {
        let by_rule = self.by_rule(&question.answers, |answer| &answer.to, known);
        let sign = |answer: &'a Answer| Some((answer, Ground::Sign(sign_of(&answer.signs, known)?)));
        let code = |answer: &'a Answer| {
            let code = known.code.filter(|code| answer.codes.contains(code))?;
            Some((answer, Ground::Code(code)))
        };
        let read =
            |(answer, ground): (&'a Answer, Ground)| sign(answer).or_else(|| code(answer)).unwrap_or((answer, ground));
        by_rule
            .map(read)
            .or_else(|| only(question.answers.iter().filter_map(sign)))
            .or_else(|| only(question.answers.iter().filter_map(code)))
    }

    /// Everything beneath `key`, itself included: each question and each cause once, in the order in which one meets
    /// them.
    pub fn beneath(&self, key: &str) -> Vec<Node<'_>> {
        let mut found: Vec<Node<'_>> = Vec::new();
        let mut open = vec![key];
        while let Some(key) = open.pop() {
            let Some(node) = self.node(key).filter(|node| !found.contains(node)) else { continue };
            found.push(node);
            if let Node::Question(question) = node {
                open.extend(question.answers.iter().rev().map(|answer| answer.to.as_str()));
            }
        }
        found
    }

    /// The one of several ways beneath which a rule stands: the first that stands beneath any. If it stands beneath
    /// several of them it does not tell between them, and neither does what counts less than it.
    fn by_rule<'w, T>(&self, ways: &'w [T], to: impl Fn(&T) -> &str, known: &Known) -> Option<(&'w T, Ground)> {
        let finds = |way: &&T, rule: &String| {
            let nodes = self.beneath(to(way));
            nodes.iter().any(|node| matches!(node, Node::Cause(leaf) if leaf.rules.contains(rule)))
        };
        for rule in known.cause.iter().chain(&known.rules) {
            let ways: Vec<&T> = ways.iter().filter(|way| finds(way, rule)).collect();
            match ways.as_slice() {
                [] => {}
                [way] => return Some((way, Ground::Rule(rule.clone()))),
                _ => return None,
            }
        }
        None
    }
}

fn sign_of(signs: &[Sign], known: &Known) -> Option<Sign> {
    signs.iter().copied().find(|sign| known.signs.contains(sign))
}

/// The one there is; `None` of several.
fn only<T>(mut of: impl Iterator<Item = T>) -> Option<T> {
    of.next().filter(|_| of.next().is_none())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalogue::Catalogue;

    fn known(rules: &[&str], signs: &[Sign], code: u16) -> Known {
        let mut rules = rules.iter().map(|rule| (*rule).to_owned());
        let cause = rules.next().filter(|_| !signs.is_empty());
        Known { cause, rules: rules.collect(), signs: signs.iter().copied().collect(), code: Some(code) }
    }

    #[test]
    fn every_node_is_reached_and_every_way_ends() {
        fn walk<'a>(tree: &'a Decisions, key: &'a str, way: &mut Vec<&'a str>, seen: &mut BTreeSet<&'a str>) {
            assert!(!way.contains(&key), "{way:?} leads back to {key}");
            seen.insert(key);
            match tree.node(key).unwrap_or_else(|| panic!("{way:?} leads to {key}, which is not there")) {
                Node::Cause(_) => {}
                Node::Question(question) => {
                    assert!(question.answers.len() >= 2, "{key} leaves no choice");
                    way.push(key);
                    for answer in &question.answers {
                        walk(tree, &answer.to, way, seen);
                    }
                    way.pop();
                }
            }
        }
        let tree = decisions();
        let mut seen = BTreeSet::new();
        for start in tree.starts() {
            walk(tree, &start.first, &mut Vec::new(), &mut seen);
        }
        let all: Vec<&str> =
            tree.question.iter().map(|one| &*one.key).chain(tree.cause.iter().map(|one| &*one.key)).collect();
        assert_eq!(all.iter().copied().collect::<BTreeSet<_>>(), seen, "not reached");
        assert_eq!(all.len(), seen.len(), "a name stands twice");
        assert!(tree.starts().len() >= 7 && tree.question.len() >= 20 && tree.cause.len() >= 80);
    }

    #[test]
    fn every_cause_names_a_rule_a_code_and_what_to_do() {
        let catalogue = Catalogue::new();
        let tree = decisions();
        let of_capture = tree.beneath("capture-look");
        for leaf in &tree.cause {
            let has_code = !leaf.codes.is_empty();
            assert!(!leaf.rules.is_empty(), "{}", leaf.key);
            assert_ne!(has_code, of_capture.contains(&Node::Cause(leaf)), "{}", leaf.key);
            assert!(leaf.codes.is_sorted(), "{}", leaf.key);
            for code in &leaf.codes {
                assert!(catalogue.listed(*code).is_some(), "{}: there is no {code}", leaf.key);
            }
            for text in [&leaf.says, &leaf.fix] {
                assert!(text.ends_with('.') && (20..=280).contains(&text.chars().count()), "{}: {text}", leaf.key);
            }
        }
    }

    #[test]
    fn no_code_gives_two_answers_and_every_question_says_where_to_look() {
        for question in &decisions().question {
            assert!(question.ask.ends_with('?'), "{}", question.key);
            assert!(question.look.ends_with(['.', '?']), "{}: {}", question.key, question.look);
            let codes: Vec<u16> = question.answers.iter().flat_map(|answer| answer.codes.clone()).collect();
            let once: BTreeSet<u16> = codes.iter().copied().collect();
            assert_eq!(once.len(), codes.len(), "{}: a code gives two answers", question.key);
            for answer in &question.answers {
                assert!(!answer.says.ends_with('.'), "{}: {}", question.key, answer.says);
            }
        }
    }

    #[test]
    fn packets_give_answers() {
        let tree = decisions();
        let answer = |key: &str, known: &Known| {
            let Some(Node::Question(question)) = tree.node(key) else { panic!("{key} is no question") };
            tree.answer(question, known).map(|(answer, ground)| (answer.to.as_str(), ground))
        };
        let silent = known(&["next-hop-silent"], &[Sign::FailedUnrung, Sign::NoResponse], 408);
        assert_eq!(tree.start_of(&silent).map(|(start, _)| start.key.as_str()), Some("fails-at-once"));
        assert_eq!(answer("invite-answer", &silent), Some(("silence", Ground::Sign(Sign::NoResponse))));
        // What the rule leads past and nobody has read is no fact: a proxy found no server, and said so with 480.
        let unread = known(&["dns-failed"], &[Sign::FailedUnrung], 480);
        assert_eq!(answer("invite-answer", &unread), Some(("silence", Ground::Rule("dns-failed".into()))));
        assert_eq!(answer("silence", &silent), Some(("hop-silent", Ground::Rule("next-hop-silent".into()))));
        // The code tells where no rule does, and nothing is made up where neither does.
        let plain = known(&[], &[Sign::FailedUnrung], 484);
        assert_eq!(answer("invite-answer", &plain), Some(("number", Ground::Code(484))));
        assert_eq!(answer("number", &plain), Some(("no-route", Ground::Code(484))));
        assert_eq!(answer("silence", &plain), None);
        // A rule beneath two answers leaves it to the code.
        let refused = known(&["address-of-record-refused"], &[Sign::RegistrationFailed], 404);
        assert_eq!(answer("register-answer", &refused), Some(("aor-unknown", Ground::Code(404))));
        // What only goes with failed calls is no symptom of one that went well.
        let good = Known { rules: vec!["attestation-low".to_owned()], ..Known::default() };
        assert_eq!(tree.start_of(&good), None);
        let transfer = known(&["transfer-failed"], &[Sign::FailedUnrung], 486);
        assert_eq!(tree.start_of(&transfer).map(|(start, _)| start.key.as_str()), Some("transfer-fails"));
    }
}
