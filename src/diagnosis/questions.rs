//! Which rules are asked of a call.
//!
//! Is given what a call shows; gives the rules that could find something in it, in order of precedence. Where many
//! calls fail they show the same, so it is worked out once for all that do. Deliberately does not know what the rules
//! answer.

use crate::diagnosis::case::Case;
use crate::diagnosis::facts::Facts;
use crate::diagnosis::rule::Rule;
use crate::diagnosis::rules;
use crate::keyed::Table;

/// The rules that are asked of calls, by what the calls show.
#[derive(Debug, Default)]
pub(crate) struct Questions {
    known: Table<Facts, Vec<&'static Rule>>,
}

impl Questions {
    /// Sets of facts that are remembered; a capture of many kinds of trouble has some hundred.
    const MOST: usize = 1024;

    /// The rules that are asked of a call.
    pub(crate) fn of(&mut self, case: &Case<'_>) -> &[&'static Rule] {
        let facts = shown(case);
        if self.known.len() >= Questions::MOST && !self.known.contains_key(&facts) {
            self.known.clear();
        }
        self.known.entry(facts).or_insert_with(|| rules_for(facts))
    }
}

/// The rules that are asked of a call, for those who ask of few.
pub(crate) fn questions(case: &Case<'_>) -> Vec<&'static Rule> {
    rules_for(shown(case))
}

/// What a call shows. Debug builds hold every rule to what it says that it needs.
fn shown(case: &Case<'_>) -> Facts {
    let facts = Facts::of(case);
    if cfg!(debug_assertions) {
        for rule in rules::ALL.iter().filter(|rule| !facts.meet(rule.needs)) {
            assert!(!rule.holds(case), "{} holds without what it says that it needs", rule.name);
        }
    }
    facts
}

fn rules_for(facts: Facts) -> Vec<&'static Rule> {
    let is_asked = |rule: &&Rule| rule.check.of_call().is_some() && facts.meet(rule.needs);
    rules::ALL.iter().copied().filter(is_asked).collect()
}
