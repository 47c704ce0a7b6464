//! What a refusal says in words about the account by which somebody calls.
//!
//! Is given a response; tells whether it names the state of an account as its ground. Deliberately does not know which
//! code would have been right for that.

use std::borrow::Cow;

use crate::call::{Failure, Heard, Kind};
use crate::catalogue::{Pairs, says_words};
use crate::diagnosis::bound::bound;
use crate::diagnosis::case::Case;
use crate::diagnosis::stated::{Limit, limit};

/// What carriers and servers call an account, in lower case.
const ACCOUNTS: &[&str] = &["account", "subscription", "tenant", "customer"];
/// The same by words that may also be about the network.
const SERVICES: &[&str] = &["service", "connection", "trunk"];
/// What may be wrong with either.
const STATES: &[&str] = &["suspended", "disabled", "deactivated", "inactive", "not active", "not activated"];
/// The same of an account alone.
const STATES_OF_ACCOUNT: &[&str] =
    &["blocked", "terminated", "closed", "expired", "locked", "frozen", "on hold", "overdue", "past due"];
/// What is said of an account that has no money left.
const MONEY: &[&str] = &[
    "insufficient funds",
    "insufficient balance",
    "insufficient credit",
    "not enough credit",
    "not enough funds",
    "out of credit",
    "no credit",
    "no funds",
    "no balance",
    "low balance",
    "payment overdue",
    "credit exhausted",
    "credit is exhausted",
    "credit used up",
    "credit limit",
    "balance exhausted",
    "balance too low",
    "no money",
];
/// Words by which it is the callee's account, or not an account.
const OF_OTHERS: &[&str] = &[
    "callee",
    "called",
    "destination",
    "recipient",
    "b-party",
    "by customer",
    "by the customer",
    "by account",
    "unavailable",
    "temporar",
];
/// The header in which Twilio says why it refuses.
pub(crate) const TWILIO: &str = "X-Twilio-Error";

impl Case<'_> {
    /// True if a call was refused for the account by which it came, as far as its words tell: one whose callee has a
    /// device there, or rang, may be that of the callee, and so may one that is asked for by a name.
    pub(crate) fn is_refused_for_account(&self, failure: &Failure) -> bool {
        let code = self.code(failure);
        let is_call = matches!(self.call.kind, Kind::Call | Kind::Message);
        if !is_call || !matches!(code, 404 | 480 | 603 | 604) || !self.names_account(self.response(failure)) {
            return false;
        }
        let is_number = || self.asked_for(failure).is_some_and(|target| target.is_number());
        let is_inside = self.call.transaction(failure.transaction).in_dialog;
        let is_of_callee = is_inside || self.ringing(failure.transaction).is_some() || bound(self).is_some();
        (code == 603 || is_number()) && !is_of_callee
    }

    /// What Twilio says of its refusal, as it follows a clause; nothing if it says nothing.
    pub(crate) fn told_by_twilio(&self, response: &Heard) -> String {
        let told = response.message.header(TWILIO).filter(|told| !told.is_empty());
        told.map(|told| format!("; its {TWILIO} header says \"{told}\"")).unwrap_or_default()
    }

    /// True if a refusal states in words that something is wrong with an account.
    pub(super) fn states_account(&self, response: &Heard) -> bool {
        self.words(response).lines().any(is_of_account)
    }

    /// True if a refusal names the state of an account, and not of one that is called; or a limit of what may be called
    /// in a time, to a destination or for money.
    fn names_account(&self, response: &Heard) -> bool {
        let told = response.message.header(TWILIO).unwrap_or(Cow::Borrowed("")).to_lowercase();
        let said = self.words(response);
        told.lines().any(is_of_account) || said.lines().any(is_of_account) || limit(&said) == Some(Limit::Quota)
    }
}

/// True of words that say that no money is left for a call, in lower case.
pub(crate) fn says_no_money(words: &str) -> bool {
    has_any(words, &Pairs::of(words), MONEY)
}

/// True if a text in lower case, with these pairs of letters, says one of these. Nearly no text of a response speaks of
/// an account: that is told at a glance.
fn has_any(text: &str, pairs: &Pairs, words: &[&str]) -> bool {
    words.iter().any(|word| pairs.may_hold(word) && says_words(text, word))
}

/// True of one sentence, in lower case.
fn is_of_account(sentence: &str) -> bool {
    let pairs = Pairs::of(sentence);
    let has = |words: &[&str]| has_any(sentence, &pairs, words);
    let is_closed = has(ACCOUNTS) && (has(STATES) || has(STATES_OF_ACCOUNT)) || has(SERVICES) && has(STATES);
    (is_closed || has(MONEY)) && !OF_OTHERS.iter().any(|word| sentence.contains(word))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_state_of_an_account_is_known_by_its_words() {
        for said in ["account suspended", "service suspended", "10001 account is not active", "insufficient funds"] {
            assert!(is_of_account(said), "{said}");
        }
        for said in [
            "called account suspended",
            "blocked by customer",
            "service unavailable",
            "account unknown",
            "connection closed",
        ] {
            assert!(!is_of_account(said), "{said}");
        }
    }
}
