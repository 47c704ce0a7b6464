//! Words of SIP, and codes of vendors that stand beside a status code: `early-media`, `teams-560403`.
//!
//! Knows `data/terms.toml`. Gives a [`Term`] and its page, and what the catalogue says of a rule, so that every link is
//! there in both directions.

use std::sync::OnceLock;

use serde::{Deserialize, Serialize};

use super::decision::{Node, decisions};
use super::page::{Block, Item, Page};
use super::{Catalogue, Phrase, reason_protocols, tables, warning_codes};

/// The rule that reads alerts of TLS.
pub(super) const TLS_RULE: &str = "tls-handshake-failed";

/// Sub-codes of Microsoft Teams that begin so hold the final status, which was made by the SBC or behind it.
const TEAMS: (&str, &str) = ("teams-560", "teams-560xxx");

/// A word, or a vendor's code.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Term {
    /// The word for the command line: `early-media`.
    pub key: String,
    /// What it is.
    pub kind: TermKind,
    /// The word as one writes it.
    pub name: String,
    /// What it means.
    pub meaning: String,
    /// What to do; empty for a word.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub fix: String,
    /// Status codes that go with it.
    #[serde(default)]
    pub codes: Vec<u16>,
    /// Rules of the diagnosis that go with it.
    #[serde(default)]
    pub rules: Vec<String>,
    /// Q.850 causes that go with it.
    #[serde(default)]
    pub q850: Vec<u8>,
    /// Where it is defined; may be empty.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub reference: String,
}

/// What a term is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum TermKind {
    /// A word of SIP.
    Term,
    /// A code of one vendor.
    Vendor,
}

/// The term with this key, in small or capital letters. Teams' codes that hold a status code are made of it.
pub fn term(key: &str) -> Option<Term> {
    let key = key.to_lowercase();
    if let Some(term) = terms().iter().find(|term| term.key == key) {
        return Some(term.clone());
    }
    let code: u16 = key.strip_prefix(TEAMS.0).filter(|digits| digits.len() == 3)?.parse().ok()?;
    let general = terms().iter().find(|term| term.key == TEAMS.1)?;
    let name = Catalogue::new().listed(code)?.name.clone();
    Some(Term {
        key,
        name: format!("Microsoft Teams 560{code}"),
        meaning: format!("The final code {code} {name} was made by the SBC or behind it, and not by Teams."),
        codes: vec![code],
        ..general.clone()
    })
}

/// Every term, in the order of its key.
pub fn terms() -> &'static [Term] {
    static TABLE: OnceLock<Vec<Term>> = OnceLock::new();
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct File {
        term: Vec<Term>,
    }
    TABLE.get_or_init(|| tables::read::<File>(include_str!("../../data/terms.toml")).term)
}

/// Terms that go with a status code.
pub(super) fn with_code(code: u16) -> impl Iterator<Item = &'static Term> {
    terms().iter().filter(move |term| term.codes.contains(&code))
}

/// What the catalogue says of a rule: codes, warnings, protocols, terms, and the symptoms that lead to it.
pub fn linked_with_rule(rule: &str) -> Vec<Item> {
    let names = |rules: &[String]| rules.iter().any(|name| name == rule);
    let mut items: Vec<Item> = Vec::new();
    for entry in Catalogue::new().entries(None) {
        if entry.rules().contains(&rule) {
            items.push(Item::new(entry.code.to_string(), entry.name));
        }
    }
    for warning in warning_codes().iter().filter(|warning| names(&warning.rules)) {
        items.push(Item::new(format!("warning-{}", warning.code), &warning.name));
    }
    for protocol in reason_protocols().iter().filter(|protocol| names(&protocol.rules)) {
        items.push(Item::new(format!("reason-{}", protocol.protocol), &protocol.causes));
    }
    if rule == TLS_RULE {
        let alerts = tables::tls_alerts().iter();
        items.extend(alerts.map(|alert| Item::new(format!("tls-{}", alert.number), &alert.name)));
    }
    for term in terms().iter().filter(|term| names(&term.rules)) {
        items.push(Item::new(&term.key, &term.name));
    }
    for start in decisions().starts() {
        let nodes = decisions().beneath(&start.first);
        if nodes.iter().any(|node| matches!(node, Node::Cause(leaf) if names(&leaf.rules))) {
            items.push(Item::new(format!("decide {}", start.key), &start.title));
        }
    }
    items
}

impl Term {
    /// Its page.
    pub(super) fn page(&self, catalogue: &Catalogue) -> Page {
        let phrases = catalogue.phrases();
        let code = |code: &u16| {
            Item::new(code.to_string(), catalogue.entry(*code).map(|entry| entry.name.clone()).unwrap_or_default())
        };
        let cause = |cause: &u8| {
            let name = tables::q850(*cause).map(|row| row.name.clone()).unwrap_or_default();
            Item::new(format!("q850-{cause}"), name)
        };
        let codes = self.codes.iter().map(code).chain(self.q850.iter().map(cause)).collect();
        let rules = self.rules.iter().map(|rule| Item::new(rule, "")).collect();
        Page::new(&self.name, &self.reference)
            .section(phrases.say(Phrase::Description), vec![self.meaning.as_str().into()])
            .section(phrases.say(Phrase::Fix), vec![self.fix.as_str().into()])
            .section(phrases.say(Phrase::StatusCodes), vec![Block::Bullets(codes)])
            .section(phrases.say(Phrase::Rules), vec![Block::Bullets(rules)])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn terms_are_sorted_and_say_what_they_mean() {
        assert!(terms().is_sorted_by(|one, other| one.key < other.key));
        let vendors = terms().iter().filter(|term| term.kind == TermKind::Vendor).count();
        assert!(vendors >= 30 && terms().len() - vendors >= 30, "{vendors} of {}", terms().len());
        let catalogue = Catalogue::new();
        for term in terms() {
            assert!(term.meaning.ends_with('.') && term.meaning.len() > 20, "{}", term.key);
            assert_eq!(term.kind == TermKind::Vendor, term.fix.ends_with('.'), "{}", term.key);
            assert!(term.codes.iter().all(|code| catalogue.listed(*code).is_some()), "{}", term.key);
            assert!(term.q850.iter().all(|cause| tables::q850(*cause).is_some()), "{}", term.key);
            assert!(term.key.parse::<u16>().is_err() && term.key == term.key.to_lowercase(), "{}", term.key);
        }
    }

    #[test]
    fn links_go_both_ways() {
        let catalogue = Catalogue::new();
        for term in terms() {
            for rule in &term.rules {
                assert!(linked_with_rule(rule).iter().any(|item| item.lead == term.key), "{rule} and {}", term.key);
            }
            for code in &term.codes {
                let page = catalogue.subject(&code.to_string()).expect("a code").page(&catalogue);
                assert!(format!("{page:?}").contains(&format!("{:?}", term.key)), "{code} and {}", term.key);
            }
        }
        assert!(linked_with_rule("trunk-congested").iter().any(|item| item.lead == "503"));
        assert!(linked_with_rule("no-common-codec").iter().any(|item| item.lead == "warning-305"));
        assert!(linked_with_rule("one-way-media").iter().any(|item| item.lead == "decide one-way-audio"));
    }

    #[test]
    fn a_code_of_teams_holds_that_of_sip() {
        let term = term("Teams-560403").expect("a code of Teams");
        assert!(term.meaning.contains("403 Forbidden") && term.codes == [403], "{term:?}");
    }
}
