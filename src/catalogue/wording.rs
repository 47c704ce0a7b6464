//! How a fixed word becomes a text: a count chooses its form, and its places are filled.
//!
//! Is given a language, a [`Word`] and what fills its places; gives a text. Deliberately does not know any report, nor
//! how numbers are written: who prints gives them as text.

use std::fmt::Display;

use serde::Deserialize;

use super::language::Phrases;
use super::word::Word;

/// What stands in a language file beneath a key: one text, or one for each form of the count.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(untagged)]
pub(super) enum Text {
    /// The same for any number.
    Any(String),
    /// By number.
    Counted(Forms),
}

/// The forms of a text that a number is in.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Forms {
    one: String,
    other: String,
}

impl Text {
    /// The text for a number.
    fn of(&self, form: Form) -> &str {
        match (self, form) {
            (Text::Any(text), _) => text,
            (Text::Counted(forms), Form::One) => &forms.one,
            (Text::Counted(forms), Form::Other) => &forms.other,
        }
    }

    /// Every text.
    #[cfg(test)]
    pub(super) fn all(&self) -> Vec<&str> {
        match self {
            Text::Any(text) => vec![text],
            Text::Counted(forms) => vec![&forms.one, &forms.other],
        }
    }
}

/// A grammatical number, as far as the languages that have words here need it (CLDR: one, other).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    One,
    Other,
}

impl Form {
    /// The form that a language uses for a number.
    fn of(tag: &str, count: u64) -> Form {
        let is_one = match tag {
            "fr" | "pt" | "hi" => count <= 1,
            "id" | "ja" | "ko" | "th" | "vi" | "zh-Hans" => false,
            _ => count == 1,
        };
        if is_one { Form::One } else { Form::Other }
    }
}

impl Phrases {
    /// The text of a word that has no places, in English if this language lacks it.
    pub fn word(&self, word: Word) -> &'static str {
        self.text(word).of(Form::Other)
    }

    /// The text of a word with its places filled.
    pub fn fill(&self, word: Word, values: &[(&str, &dyn Display)]) -> String {
        filled(self.word(word), values)
    }

    /// The text of a word in the form that a number needs, with its places filled.
    pub fn count(&self, word: Word, count: u64, values: &[(&str, &dyn Display)]) -> String {
        let form = Form::of(self.tag_of(word), count);
        filled(self.text(word).of(form), values)
    }

    /// The text of a word with its places filled, before and behind the one place that is left to the caller: for
    /// markup.
    pub fn around(&self, word: Word, place: &str, values: &[(&str, &dyn Display)]) -> [String; 2] {
        let (before, behind) = self.word(word).split_once(&format!("{{{place}}}")).unwrap_or((self.word(word), ""));
        [filled(before, values), filled(behind, values)]
    }
}

/// The text with its places filled, in one pass: what is filled in is never read again.
pub(super) fn filled(text: &str, values: &[(&str, &dyn Display)]) -> String {
    let mut out = String::with_capacity(text.len() + 16);
    let mut rest = text;
    while let Some((before, behind)) = rest.split_once('{') {
        out.push_str(before);
        let place = behind.split_once('}').and_then(|(name, after)| {
            let (_, value) = values.iter().find(|(known, _)| *known == name)?;
            Some((value, after))
        });
        match place {
            Some((value, after)) => {
                out.push_str(&value.to_string());
                rest = after;
            }
            None => {
                debug_assert!(false, "nothing fills {{{behind} of {text:?}");
                out.push('{');
                rest = behind;
            }
        }
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_count_chooses_the_form() {
        let of = |tag: &str, count: u64| {
            Phrases::of(tag).unwrap_or_default().count(Word::Calls, count, &[("count", &count)])
        };
        assert_eq!([of("en", 0), of("en", 1), of("en", 2)], ["0 calls", "1 call", "2 calls"]);
        assert_eq!([of("fr", 0), of("fr", 1), of("fr", 2)], ["0 appel", "1 appel", "2 appels"]);
        assert_eq!([of("ja", 1), of("ja", 2)], ["呼 1 件", "呼 2 件"]);
        // Korean has no words of reports: English has, and English forms.
        assert_eq!(of("ko", 1), "1 call");
    }

    #[test]
    fn what_is_filled_in_is_not_read_again() {
        assert_eq!(filled("{a} and {b}", &[("a", &"{b}"), ("b", &"x")]), "{b} and x");
        let english = Phrases::english();
        assert_eq!(english.around(Word::DetailLimited, "command", &[("shown", &2), ("all", &3)])[1], "");
        assert_eq!(english.around(Word::TableHolds, "file", &[("shown", &2), ("all", &3)])[1], " holds them all.");
    }
}
