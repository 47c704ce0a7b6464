//! Numbers and names of callers and callees, by which calls are guessed to belong together.
//!
//! Is given URIs; gives the number or name in each, and whether two of them are of one party. Deliberately does not
//! know in which message they stand.

use std::borrow::Cow;

use crate::call::key::call_key;
use crate::sip::unescaped;

/// Digits that must agree at the end of two numbers.
const GUESS_DIGITS: usize = 5;
/// Digits of the shortest number that tells a caller from others.
const CALLER_DIGITS: usize = 3;
/// Digits of the shortest number that has its area code, and is no extension.
const WHOLE_DIGITS: usize = 7;
/// Digits at the end of two numbers that agree by no chance, whatever stands before them.
const SURE_DIGITS: usize = 9;

/// The number or name in a URI. Of most numbers all is taken as it stands.
pub(super) fn number_or_name(uri: &str) -> Cow<'_, str> {
    if let Some(digits) = plain_number(uri) {
        return Cow::Borrowed(digits);
    }
    // What is looked for stands within a few bytes: to begin with `memchr` would take longer than to look.
    let rest = uri.bytes().position(|byte| byte == b':').and_then(|colon| uri.get(colon + 1..)).unwrap_or(uri);
    let user = match rest.bytes().rposition(|byte| byte == b'@').and_then(|at| rest.get(..at)) {
        Some(user) => user,
        None if uri.starts_with("tel:") => rest,
        None => return Cow::Borrowed(""),
    };
    match user.contains('%') {
        // Whose it is hangs on no escape (RFC 3261 §10.3); what separates its parts is none.
        true => Cow::Owned(of_user(&unescaped(bare(user))).into_owned()),
        false => of_user(user),
    }
}

fn of_user(user: &str) -> Cow<'_, str> {
    let digits = user.strip_prefix('+').unwrap_or(user);
    if digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Cow::Borrowed(digits);
    }
    let user = bare(user);
    let is_number = user.bytes().all(|byte| byte.is_ascii_digit() || b"+-.()*#".contains(&byte));
    Cow::Owned(match is_number {
        true => user.chars().filter(char::is_ascii_digit).collect(),
        false => user.to_ascii_lowercase(),
    })
}

/// A user part without its parameters and its password.
fn bare(user: &str) -> &str {
    user.bytes().position(|byte| matches!(byte, b';' | b':')).and_then(|end| user.get(..end)).unwrap_or(user)
}

/// The digits of what nearly all calls are for and from: `sip:+15550100@…`, with or without the plus.
fn plain_number(uri: &str) -> Option<&str> {
    let user = uri.strip_prefix("sip:")?;
    let user = user.strip_prefix('+').unwrap_or(user);
    let (digits, host) = user.split_at_checked(user.bytes().position(|byte| !byte.is_ascii_digit())?)?;
    let is_only = host.starts_with('@') && memchr::memchr(b'@', host.get(1..)?.as_bytes()).is_none();
    is_only.then_some(digits)
}

/// True if two URIs name one user, or one telephone number in two formats, at whatever host.
pub fn is_same_callee(one: &str, other: &str) -> bool {
    same_number(&number_or_name(one), &number_or_name(other))
}

/// The number in a URI, digits alone, unless it is an extension.
pub(crate) fn whole_number(uri: &str) -> Option<Box<str>> {
    let number = number_or_name(uri);
    is_whole_number(&number).then(|| number.into())
}

/// The digits at the end of the number in a URI that agree with those of another by no chance, as a hash.
pub(crate) fn sure_end(uri: &str) -> Option<u64> {
    let number = whole_number(uri)?;
    let end = number.len().checked_sub(SURE_DIGITS)?;
    number.get(end..).map(|end| call_key(end.as_bytes()))
}

/// The form in which a number is written, without the number: `+ and 11 digits`; what is no number is a name.
pub(crate) fn form(user: &str) -> String {
    let is_number = user.bytes().any(|byte| byte.is_ascii_digit())
        && user.bytes().all(|byte| byte.is_ascii_digit() || b"+-.()*#".contains(&byte));
    if user.is_empty() {
        return "none".into();
    }
    if !is_number {
        return "a name".into();
    }
    let digits = user.bytes().filter(u8::is_ascii_digit).count();
    let (start, rest) = match user {
        _ if user.starts_with('+') => ("+ and ", digits),
        _ if user.starts_with("00") => ("00 and ", digits.saturating_sub(2)),
        _ if user.starts_with('0') => ("0 and ", digits.saturating_sub(1)),
        _ => ("", digits),
    };
    format!("{start}{rest} digits")
}

/// True if two numbers, or names, are the same, whatever prefix stands before the one or the other.
pub(crate) fn same_number(one: &str, other: &str) -> bool {
    if one.is_empty() || other.is_empty() {
        return false;
    }
    if one == other {
        return true;
    }
    let (short, long) = if one.len() < other.len() { (one, other) } else { (other, one) };
    is_number(one) && is_number(other) && short.len() >= GUESS_DIGITS && {
        // A trunk prefix or country code may be put before: the last digits count.
        let tail = short.trim_start_matches('0');
        // Or one in place of another: a code for an outside line and the trunk prefix become a country code.
        let in_common = one.bytes().rev().zip(other.bytes().rev()).take_while(|(one, other)| one == other).count();
        tail.len() >= GUESS_DIGITS && long.ends_with(tail) || in_common >= SURE_DIGITS
    }
}

/// True for a number by which a caller is told from others.
pub(super) fn tells_caller(calling: &str) -> bool {
    calling.len() >= CALLER_DIGITS && is_number(calling)
}

/// True for the number of one caller in two formats, and for an extension of which a whole number was made.
pub(super) fn same_caller(before: &str, after: &str) -> bool {
    tells_caller(before) && is_number(after) && (same_number(before, after) || after.ends_with(before))
}

/// True for a number that is no extension.
pub(super) fn is_whole_number(number: &str) -> bool {
    number.len() >= WHOLE_DIGITS && is_number(number)
}

/// True if one caller may be told by these two: an extension or a name may stand for any number, and only two numbers
/// that are none of these are of two callers.
pub(super) fn may_be_one_caller(before: &str, after: &str) -> bool {
    !is_whole_number(before) || !is_whole_number(after) || same_number(before, after)
}

/// True for digits alone.
#[inline]
pub(super) fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// The end of a number by which others are looked up that may be the same: its last digits, or a whole name.
#[inline]
pub(crate) fn tail(number: &str) -> &str {
    if !is_number(number) {
        return number;
    }
    number.get(number.len().saturating_sub(GUESS_DIGITS)..).unwrap_or(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_in_other_formats_agree() {
        assert!(same_number("4930123456", "030123456"));
        assert!(same_number("bob", "bob"));
        assert!(!same_number("4930123456", "4930123457"));
        assert!(!same_number("1001", "91001"));
        assert!(same_number("90301234567", "49301234567"), "9 for an outside line, 0 for another town");
        assert!(!same_number("90301234567", "49401234567"), "another town");
    }

    #[test]
    fn a_plain_number_is_found_alike_in_other_forms() {
        for uri in ["sip:+15550100@example.com", "sip:100@192.0.2.1:5060;user=phone", "sip:@example.com"] {
            let other = number_or_name(&uri.replace("sip:", "sips:")).into_owned();
            assert_eq!(plain_number(uri), Some(other.as_str()), "{uri}");
        }
        for uri in ["sip:100", "sip:+1-555@example.com", "sip:100;a=b@c", "sip:1@2@example.com", "tel:+15550100"] {
            assert_eq!(plain_number(uri), None, "{uri}");
        }
    }
}
