//! User parts of URIs in which letters are escaped.
//!
//! Is given a user part as it was sent; gives what it stands for, for what compares users. Deliberately does not show
//! it to anybody: reports and claims have it as it was sent.

use std::borrow::Cow;

/// Letters that mean the same escaped and not: the unreserved ones (RFC 3261 §19.1.4, §25.1).
const MARKS: &str = "-_.!~*'()";

/// True if two user parts name one user. The letters that are reserved differ from their escapes (RFC 3261 §19.1.4),
/// but not in the number of a telephone, where they can mean nothing else (§19.1.6).
pub(crate) fn is_same_user(one: &str, other: &str) -> bool {
    if one == other {
        return true;
    }
    if !one.contains('%') && !other.contains('%') {
        return false;
    }
    let is_of_number = |user: &str| is_number(user.split(';').next().unwrap_or_default());
    let (plain_one, plain_other) = (unescaped(one), unescaped(other));
    canonical(one) == canonical(other) || is_of_number(&plain_one) && plain_one == plain_other
}

/// A user part in which no letter is escaped that need not be.
fn canonical(user: &str) -> Cow<'_, str> {
    without_escapes(user, |letter| letter.is_ascii_alphanumeric() || MARKS.contains(letter))
}

/// A user part without any escapes, as a registrar keeps it (RFC 3261 §10.3).
pub(crate) fn unescaped(user: &str) -> Cow<'_, str> {
    without_escapes(user, |letter| letter.is_ascii_graphic())
}

/// True for digits, visual separators and an optional `+`, `*`, `#` (RFC 3966).
pub(crate) fn is_number(user: &str) -> bool {
    let digits = user.strip_prefix('+').unwrap_or(user);
    digits.bytes().any(|byte| byte.is_ascii_digit())
        && digits.bytes().all(|byte| byte.is_ascii_digit() || b"-.()*#".contains(&byte))
}

fn without_escapes(user: &str, is_meant: impl Fn(char) -> bool) -> Cow<'_, str> {
    let mut parts = user.split('%');
    let first = parts.next().unwrap_or_default();
    if first.len() == user.len() {
        return Cow::Borrowed(user);
    }
    let mut meant = first.to_owned();
    for part in parts {
        let letter = part.get(..2).and_then(|digits| u8::from_str_radix(digits, 16).ok()).map(char::from);
        match letter.filter(|letter| is_meant(*letter)) {
            Some(letter) => {
                meant.push(letter);
                meant.push_str(part.get(2..).unwrap_or_default());
            }
            None => {
                meant.push('%');
                meant.push_str(part);
            }
        }
    }
    Cow::Owned(meant)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_escaped_without_need_is_the_same() {
        assert!(is_same_user("%61lice", "alice") && is_same_user("a%2eb", "a.b"));
        assert!(!is_same_user("a%40b", "a@b") && !is_same_user("a%3Bb", "a;b") && !is_same_user("%6", "l"));
    }

    #[test]
    fn a_number_is_the_same_however_it_is_written() {
        assert!(is_same_user("%2B493055501", "+493055501") && is_same_user("*21%23", "%2A21%23"));
        assert!(is_same_user("%2B1;ext=2", "+1;ext=2") && !is_same_user("%2B1;ext=2", "+1;ext=3"));
        assert!(!is_same_user("%2B493055501", "493055501"));
    }

    #[test]
    fn a_registrar_keeps_no_escapes() {
        assert_eq!(
            ["%2B49%2a", "a%40b", "20%", "%+1"].map(|user| unescaped(user).into_owned()),
            ["+49*", "a@b", "20%", "%+1"]
        );
    }
}
