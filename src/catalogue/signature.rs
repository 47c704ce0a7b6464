//! What the words of a response tell where the software that sent it is known.

use std::sync::OnceLock;

use serde::Deserialize;

/// A row of the table of signatures.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Signature {
    /// The software.
    pub software: String,
    /// The codes for which it holds; any if empty.
    pub codes: Vec<u16>,
    /// Words of which the response says one, lower case; any if empty.
    pub says: Vec<String>,
    /// Words of which Server or User-Agent has one, lower case; any if empty.
    pub agent: Vec<String>,
    /// When that software answers so: a part of a sentence.
    pub condition: String,
    /// What to look at: a sentence.
    pub check: String,
}

impl Signature {
    /// The first signature that fits a code, the name of the software, and what the response says, both lower case.
    pub fn of(code: u16, agent: &str, says: &str) -> Option<&'static Signature> {
        let has_one =
            |words: &[String], text: &str| words.is_empty() || words.iter().any(|word| text.contains(&**word));
        signatures().iter().find(|row| {
            (row.codes.is_empty() || row.codes.contains(&code))
                && has_one(&row.agent, agent)
                && has_one(&row.says, says)
        })
    }
}

/// The table.
pub fn signatures() -> &'static [Signature] {
    static TABLE: OnceLock<Vec<Signature>> = OnceLock::new();
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct File {
        signature: Vec<Signature>,
    }
    TABLE.get_or_init(|| {
        toml::from_str::<File>(include_str!("../../data/signatures.toml")).expect("a table of the package").signature
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_row_can_be_told_by_words_or_by_software() {
        for row in signatures() {
            assert!(!row.says.is_empty() || !row.agent.is_empty(), "{row:?}");
            let lower = row.says.iter().chain(&row.agent).all(|word| *word == word.to_lowercase());
            assert!(lower && row.check.ends_with('.') && !row.condition.ends_with('.'), "{row:?}");
        }
    }

    #[test]
    fn words_count_more_than_the_software_alone() {
        let of = |code, agent: &str, says: &str| Signature::of(code, agent, says).map(|row| row.software.as_str());
        assert_eq!(of(477, "", "477 unfortunately error on sending to next hop occurred (477/tm)"), Some("Kamailio"));
        assert_eq!(of(404, "asterisk pbx 20.5.0", "404 not found"), Some("Asterisk"));
        assert_eq!(of(404, "grandstream", "404 not found"), None);
    }
}
