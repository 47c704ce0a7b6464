//! The forms that nearly all values of Via, From, To and Contact have, each told by one walk over the value that also
//! finds the parameter by which messages are matched.
//!
//! What has another form is not said to be wrong: it is read by [`super::value`] and judged by [`super::fault`], which
//! find the same of these forms.

use crate::sip::outline::Place;
use crate::sip::swift::{is, next_within, up_to};

/// What is known of an address in brackets, perhaps with a quoted name before it, which breaks no grammar.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Address {
    /// Its tag is here; it is empty and stands behind the address if there is none.
    Tagged(Place),
    /// Other parameters follow.
    WithParameters,
}

/// An address of the plain form; `None` for any other.
#[inline]
pub(super) fn address(bytes: &[u8], value: Place) -> Option<Address> {
    let (start, end) = (value.start(), value.end());
    let opening = match bytes.get(start..end)? {
        [b'<', ..] => start,
        [b'"', ..] => behind_quoted_name(bytes, start, end)?,
        _ => return None,
    };
    // Blanks and quotes are not plain. The few others that are told with them may be judged elsewhere.
    let closing = next_within(bytes, opening.wrapping_add(1), end, |block| up_to::<b'"'>(block) | is::<b'>'>(block))?;
    let (b'>', behind) = bytes.get(closing..end)?.split_first()? else { return None };
    match behind {
        [] => Some(Address::Tagged(Place::new(end..end))),
        [b';', b't', b'a', b'g', b'=', _, ..] if is_token(bytes, closing.wrapping_add(6), end) => {
            Some(Address::Tagged(Place::new(closing.wrapping_add(6)..end)))
        }
        _ => next_within(bytes, closing, end, is::<b'"'>).is_none().then_some(Address::WithParameters),
    }
}

/// Where the bracket stands behind a quoted name without escapes.
fn behind_quoted_name(bytes: &[u8], start: usize, end: usize) -> Option<usize> {
    // Nothing here can wrap: every place is one in `bytes`.
    let closing = next_within(bytes, start.wrapping_add(1), end, |block| is::<b'"'>(block) | is::<b'\\'>(block))?;
    match bytes.get(closing..end)? {
        [b'"', b'<', ..] => Some(closing.wrapping_add(1)),
        [b'"', b' ', b'<', ..] => Some(closing.wrapping_add(2)),
        _ => None,
    }
}

/// True only if nothing stands here that ends the value of a parameter, or is quoted.
#[inline]
fn is_token(bytes: &[u8], start: usize, end: usize) -> bool {
    next_within(bytes, start, end, |block| up_to::<b','>(block) | is::<b';'>(block) | is::<b'?'>(block)).is_none()
}

/// The branch of a Via with one value whose first parameter it is, and none of whose parameters is empty.
#[inline]
pub(super) fn branch(bytes: &[u8], via: Place) -> Option<Place> {
    const NAME: &[u8] = b";branch=";
    let end = via.end();
    let first = next_within(bytes, via.start(), end, |block| is::<b';'>(block) | is::<b','>(block))?;
    bytes.get(first..end)?.strip_prefix(NAME)?;
    let start = first.wrapping_add(NAME.len());
    let ends = |block| up_to::<b' '>(block) | is::<b';'>(block) | is::<b','>(block) | is::<b'?'>(block);
    let behind = next_within(bytes, start, end, ends).unwrap_or(end);
    (behind > start && has_whole_parameters(bytes, behind, end)).then(|| Place::new(start..behind))
}

/// True only if nothing but parameters that are not empty stand here, without blanks.
#[inline]
fn has_whole_parameters(bytes: &[u8], start: usize, end: usize) -> bool {
    let mut at = start;
    while at < end {
        if bytes.get(at) != Some(&b';') {
            return false;
        }
        let name = at.wrapping_add(1);
        let stops = |block| up_to::<b' '>(block) | is::<b';'>(block) | is::<b','>(block);
        at = next_within(bytes, name, end, stops).unwrap_or(end);
        if at == name {
            return false;
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::sip::fault;
    use crate::sip::header::HeaderName;
    use crate::sip::value::{tag, top_branch};

    /// Values of which some are plain and most nearly so, each with what stands before and behind it.
    fn around(pieces: &'static [&'static str]) -> impl Strategy<Value = (String, String, String)> {
        let piece = proptest::sample::select(pieces);
        let value = proptest::collection::vec(piece, 0..9).prop_map(|pieces| pieces.concat());
        (Just("From: ".to_owned()), value, "[a-z\r\n\";<> ]{0,40}")
    }

    fn placed((before, value, behind): &(String, String, String)) -> (String, Place) {
        let place = Place::new(before.len()..before.len() + value.len());
        (format!("{before}{value}{behind}"), place)
    }

    const OF_ADDRESSES: &[&str] = &[
        "<",
        ">",
        "<sip:a@example.com>",
        "<sip:a>;tag=b",
        ";tag=",
        ";tag=b-long-one-that-goes-on",
        "\"Anna\"",
        "\"",
        " ",
        ";x=y",
        ",",
        "?",
        "\\",
        "!",
        "\t",
        "\r\n ",
        "a",
    ];

    const OF_VIAS: &[&str] = &[
        "SIP/2.0/UDP 192.0.2.1",
        ";branch=",
        "z9hG4bKa",
        "z9hG4bK-long-one-that-goes-on",
        ";",
        ",",
        ";rport",
        " ",
        "?",
        "=",
        "\r\n ",
        ";branch=a;received=192.0.2.7",
    ];

    proptest! {
        #[test]
        fn an_address_is_read_as_any_is(text in around(OF_ADDRESSES)) {
            let (bytes, place) = placed(&text);
            if let Some(address) = address(bytes.as_bytes(), place) {
                prop_assert_eq!(fault::of_address(HeaderName::From, text.1.as_bytes()), None);
                if let Address::Tagged(found) = address {
                    prop_assert_eq!(found.of(bytes.as_bytes()), tag(text.1.as_bytes()));
                }
            }
        }

        #[test]
        fn a_via_is_read_as_any_is(text in around(OF_VIAS)) {
            let (bytes, place) = placed(&text);
            if let Some(branch) = branch(bytes.as_bytes(), place) {
                prop_assert!(!fault::of_list(text.1.as_bytes()));
                prop_assert_eq!(branch.of(bytes.as_bytes()), top_branch(text.1.as_bytes()));
            }
        }
    }

    #[test]
    fn what_nearly_all_send_is_plain() {
        for (value, tag) in [
            ("<sip:anna@example.com>", ""),
            ("<sip:+15550100@192.0.2.1:5060;user=phone>;tag=8b822f91a9", "8b822f91a9"),
            ("\"Dr. Anna Example\" <sip:anna@example.com>;tag=as-1.2~3", "as-1.2~3"),
        ] {
            let read = address(value.as_bytes(), Place::new(0..value.len()));
            assert!(
                matches!(read, Some(Address::Tagged(place)) if place.of(value.as_bytes()) == tag.as_bytes()),
                "{value}"
            );
        }
        let via = "SIP/2.0/UDP [2001:db8::1]:5060;branch=z9hG4bK1234567890;rport=5060;received=192.0.2.1";
        let branch = branch(via.as_bytes(), Place::new(0..via.len())).unwrap();
        assert_eq!(branch.of(via.as_bytes()), b"z9hG4bK1234567890");
    }
}
