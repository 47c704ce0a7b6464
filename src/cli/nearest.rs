//! The name that somebody meant who mistyped it.

/// Of some names the one that is nearest to a word: one that begins with it, else the one with the fewest letters to change.
pub(crate) fn nearest<'a>(word: &str, names: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let word = word.to_lowercase();
    names.into_iter().min_by_key(|name| {
        let lower = name.to_lowercase();
        (!lower.starts_with(&word), strsim::damerau_levenshtein(&lower, &word), *name)
    })
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
    }
}
