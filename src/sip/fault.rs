//! What breaks the grammar of header values that most messages carry. Addresses and Vias of the plain form
//! ([`super::plain`]) are told apart before.

use memchr::memchr;

use crate::oddity::Oddity;
use crate::sip::header::HeaderName;
use crate::sip::swift::{first_of_any, first_of_two, next_of, next_of_two};

/// What breaks the grammar of `name-addr / addr-spec` (RFC 3261 §25.1) in a way that mistakes addresses.
pub(super) fn of_address(name: HeaderName, value: &[u8]) -> Option<Oddity> {
    if is_plain_address(value) {
        return None;
    }
    if memchr(b'"', value).is_some() && has_unclosed_quote(value) {
        return Some(Oddity::UnclosedQuote);
    }
    let bad = Some(Oddity::BadHeader { header: name.long() });
    let Some(opening) = memchr(b'<', value) else {
        // Without <> a URI must not hold '?' of its own (RFC 3261 §20).
        return bad.filter(|_| memchr(b'?', value).is_some());
    };
    let after = value.get(opening.saturating_add(1)..).unwrap_or_default();
    let Some(closing) = memchr(b'>', after) else { return bad };
    let inside = after.get(..closing).unwrap_or_default();
    let display = value.get(..opening).unwrap_or_default().trim_ascii();
    let is_display = |byte: &u8| byte.is_ascii_alphanumeric() || b"-.!%*_+`'~ \t\r\n".contains(byte) || *byte >= 0x80;
    let display_is_odd = !display.starts_with(b"\"") && !display.iter().all(is_display);
    let is_odd = display_is_odd || memchr::memchr2(b' ', b'\t', inside).is_some() || inside.starts_with(b"\"");
    bad.filter(|_| is_odd)
}

/// The form that most have: a URI in brackets, perhaps a quoted name without escapes before it.
fn is_plain_address(value: &[u8]) -> bool {
    let inside = match value {
        [b'<', inside @ ..] => inside,
        [b'"', name @ ..] => {
            let end = first_of_two::<b'"', b'\\'>(name).unwrap_or(name.len());
            match name.get(end..) {
                Some([b'"', b' ', b'<', inside @ ..] | [b'"', b'<', inside @ ..]) => inside,
                _ => return false,
            }
        }
        _ => return false,
    };
    let Some(end) = first_of_any(inside, b"> \t\"") else { return false };
    inside.get(end) == Some(&b'>') && next_of::<b'"'>(inside, end).is_none()
}

fn has_unclosed_quote(value: &[u8]) -> bool {
    if memchr(b'\\', value).is_none() {
        return memchr::memchr_iter(b'"', value).count() % 2 == 1;
    }
    let mut open = false;
    let mut escaped = false;
    for byte in value {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if open => escaped = true,
            b'"' => open = !open,
            _ => {}
        }
    }
    open
}

/// True if a Date is not in GMT (RFC 3261 §20.17).
pub(super) fn of_date(value: &[u8]) -> bool {
    !value.trim_ascii_end().ends_with(b"GMT")
}

/// True if a Max-Forwards is no number from 0 to 255 (RFC 3261 §20.22).
pub(super) fn of_max_forwards(value: &[u8]) -> bool {
    match value {
        [first, rest @ ..] if first.is_ascii_digit() && rest.len() < 2 => !rest.iter().all(u8::is_ascii_digit),
        _ => !matches!(std::str::from_utf8(value).ok().and_then(|text| text.trim().parse::<u32>().ok()), Some(0..=255)),
    }
}

/// True if what should be seconds is no number of 32 bits (RFC 3261 §20.19).
pub(super) fn of_seconds(value: &[u8]) -> bool {
    std::str::from_utf8(value).ok().and_then(|text| text.trim().parse::<u32>().ok()).is_none()
}

/// Empty values in a list: `;;`, `,;`, `;,` or `, ,`, or one that ends in a separator (RFC 4475 §3.1.2.1).
pub(super) fn of_list(value: &[u8]) -> bool {
    let mut from = 0;
    while let Some(at) = next_of_two::<b';', b','>(value, from) {
        from = at.saturating_add(1);
        let behind = value.get(from..).unwrap_or_default();
        if matches!(behind.trim_ascii_start().first(), None | Some(b';' | b',')) {
            return true;
        }
    }
    false
}
