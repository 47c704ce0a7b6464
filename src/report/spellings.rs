//! How URIs, numbers and addresses are written in a text, and which words of it are our own.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;
use std::sync::LazyLock;

use crate::diagnosis::rules;

/// A URI in a text.
#[derive(Debug, Clone, Copy)]
pub(crate) struct UriSeen<'a> {
    pub(crate) user: &'a str,
    pub(crate) user_at: usize,
    pub(crate) host: &'a str,
    pub(crate) host_at: usize,
}

/// The URIs of a text: `sip:`, `sips:` and `tel:`.
pub(crate) fn uris(text: &str) -> Vec<UriSeen<'_>> {
    let mut seen = Vec::new();
    for (at, scheme) in text.match_indices(':') {
        let before = text.get(..at).unwrap_or_default();
        let word = before.rsplit(|letter: char| !letter.is_ascii_alphanumeric()).next().unwrap_or_default();
        let is_tel = word.eq_ignore_ascii_case("tel");
        if !is_tel && !word.eq_ignore_ascii_case("sip") && !word.eq_ignore_ascii_case("sips") {
            continue;
        }
        let start = at + scheme.len();
        let rest = text.get(start..).unwrap_or_default();
        let end = rest.find(|letter: char| "<>\"' \t\r\n?,".contains(letter)).unwrap_or(rest.len());
        let rest = rest.get(..end).unwrap_or_default();
        let (user, authority) = match rest.rsplit_once('@') {
            Some((user, host)) => (user, host),
            None if is_tel => (rest, ""),
            None => ("", rest),
        };
        let user = user.split([':', ';']).next().unwrap_or_default();
        let host = authority.split(';').next().unwrap_or_default();
        let host = match host.split_once(']') {
            Some((inside, _)) => inside.trim_start_matches('['),
            None => host.split(':').next().unwrap_or_default(),
        };
        let bracket = usize::from(authority.starts_with('['));
        let host_at = start + rest.len() - authority.len() + bracket;
        seen.push(UriSeen { user, user_at: start, host, host_at });
    }
    seen
}

/// The numbers that a text writes with a `+` (E.164), in no URI perhaps: `tel=+12025550199`.
pub(crate) fn international(text: &str) -> impl Iterator<Item = &str> {
    text.match_indices('+').filter_map(|(at, _)| {
        let digits = text.get(at + 1..)?;
        let end = digits.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(digits.len());
        digits.get(..end).filter(|digits| (7..=15).contains(&digits.len()))
    })
}

/// An IPv4 address that begins a text, its bytes parted by full stops, hyphens or underscores.
pub(crate) fn dotted(text: &str) -> Option<(usize, &'static str, Ipv4Addr)> {
    let separator = [".", "-", "_"]
        .into_iter()
        .find(|separator| text.trim_start_matches(|letter: char| letter.is_ascii_digit()).starts_with(separator))?;
    let mut octets = [0_u8; 4];
    let mut at = 0;
    for (index, octet) in octets.iter_mut().enumerate() {
        let rest = text.get(at..)?;
        let rest = if index == 0 { rest } else { rest.strip_prefix(separator)? };
        let digits = rest.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(rest.len());
        *octet = rest.get(..digits).filter(|digits| !digits.is_empty() && digits.len() <= 3)?.parse().ok()?;
        at += digits + usize::from(index > 0);
    }
    // Of hyphens and underscores there are more in dates and numbers; behind a full stop a port may stand.
    let after = text.get(at..)?;
    let goes_on = after.starts_with(separator) && after.get(1..)?.starts_with(|letter: char| letter.is_ascii_digit());
    (!goes_on || separator == ".").then(|| (at, separator, Ipv4Addr::from(octets)))
}

/// True for a telephone number or an extension: digits, and signs that structure them.
pub(crate) fn is_number(user: &str) -> bool {
    user.bytes().any(|byte| byte.is_ascii_digit())
        && user.bytes().all(|byte| byte.is_ascii_digit() || b"+-.()*# ".contains(&byte))
        && user.parse::<std::net::IpAddr>().is_err()
}

/// A pseudonym in upper case where the true value is.
pub(crate) fn in_the_case_of(own: &str, other: &str) -> String {
    let mut own = own.chars();
    other
        .chars()
        .map(|letter| match own.next() {
            Some(own) if own.is_ascii_uppercase() => letter.to_ascii_uppercase(),
            _ => letter,
        })
        .collect()
}

/// The words of the pages of the rules, in lower case. Somebody may bear such a name too: outside of quotation marks a
/// sentence of ours means the word, within them the name.
static OUR_WORDS: LazyLock<BTreeSet<String>> = LazyLock::new(|| {
    let pages = rules::ALL.iter().flat_map(|rule| [rule.name, rule.page]);
    let words = pages.flat_map(|text| text.split(|letter: char| !letter.is_ascii_alphabetic()));
    words.filter(|word| !word.is_empty()).map(str::to_ascii_lowercase).collect()
});

/// True for a word that sentences of ours use.
pub(crate) fn is_our_word(word: &str) -> bool {
    OUR_WORDS.contains(word)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_words_are_no_names_of_people() {
        for word in ["scanner", "test", "busy", "device", "call"] {
            assert!(is_our_word(word), "{word}");
        }
        for name in ["alice", "bob", "carol", "dave", "15550100200", ""] {
            assert!(!is_our_word(name), "{name}");
        }
    }

    #[test]
    fn numbers_with_a_plus_are_found_without_a_uri() {
        let text = "v=analytics1;tel=+12025550199, +1 and +123456789012345678";
        assert_eq!(international(text).collect::<Vec<_>>(), ["12025550199"]);
    }
}
