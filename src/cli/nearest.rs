//! The name that somebody meant who mistyped it.

/// Whoever types so many letters mistypes one of them at most.
const LETTERS_FOR_A_MISTAKE: usize = 3;

/// Of some names the one that is nearest to a word: one that begins with it, else the one with the fewest letters to
/// change. None if it would take more than a third of them: nobody meant that.
pub(crate) fn nearest<'a>(word: &str, names: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let word = word.to_lowercase();
    let measured = names.into_iter().map(|name| {
        let lower = name.to_lowercase();
        (!lower.starts_with(&word), strsim::damerau_levenshtein(&lower, &word), name)
    });
    let (is_other, changes, name) = measured.min()?;
    (!is_other && !word.is_empty() || changes <= word.chars().count() / LETTERS_FOR_A_MISTAKE).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_begins_so_is_nearer_than_what_looks_alike() {
        let names = ["sip.To", "sip.Status-Code", "sip.From"];
        assert_eq!(nearest("sip.stat", names), Some("sip.Status-Code"));
        assert_eq!(nearest("sip.form", names), Some("sip.From"));
        assert_eq!(nearest("x", []), None);
        assert_eq!(nearest("foo", ["scanner", "foobar-failed"]), Some("foobar-failed"));
        assert_eq!(nearest("foo", ["scanner"]), None);
        assert_eq!(nearest("q850-999", ["ring-timeout", "scanner"]), None);
    }
}
