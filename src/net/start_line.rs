//! Start lines of SIP in the bytes of a stream.
//!
//! Is given bytes; tells whether a start line is among them. Deliberately does not know where messages end.

use std::sync::LazyLock;

use memchr::memmem::Finder;

/// Whether a line of these is a start line of SIP (RFC 3261 §7): the version at its start, or at its end behind two
/// other words. The version alone does not do: a Via has it too, and logs that travel over TCP.
pub(super) fn is_in(bytes: &[u8]) -> bool {
    const NUMBER: &[u8] = b"/2.0";
    static NUMBERS: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(NUMBER));
    NUMBERS.find_iter(bytes).any(|at| {
        let (before, behind) = bytes.split_at_checked(at).unwrap_or_default();
        // The name before it in capitals or not (RFC 3261 §7.1).
        let Some((before, name)) = before.split_last_chunk::<3>() else { return false };
        if !name.eq_ignore_ascii_case(b"SIP") {
            return false;
        }
        let line = memchr::memrchr(b'\n', before).and_then(|end| before.get(end.saturating_add(1)..)).unwrap_or(before);
        match behind.get(NUMBER.len()) {
            Some(b' ') => line.is_empty(),
            None | Some(b'\r' | b'\n') => {
                line.first().is_some_and(u8::is_ascii_alphabetic)
                    && line.ends_with(b" ")
                    && line.iter().filter(|byte| **byte == b' ').count() >= 2
            }
            Some(_) => false,
        }
    })
}

/// Whether these bytes begin with a whole start line, but for line ends before it.
pub(super) fn begins(bytes: &[u8]) -> bool {
    let bytes = bytes.trim_ascii_start();
    let first = memchr::memchr(b'\n', bytes).and_then(|end| bytes.get(..end));
    first.is_some_and(is_in)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_start_line_is_one_line() {
        for text in ["SIP/2.0 200 OK", "x\r\nSIP/2.0 200 OK", "\r\n\r\nBYE sip:a@b SIP/2.0\r\n", "BYE sip:a@b SIP/2.0"]
        {
            assert!(is_in(text.as_bytes()), "{text}");
        }
        for text in
            ["Via: SIP/2.0/TCP a", "got: SIP/2.0 200 OK", "BYE SIP/2.0\r\n", " a b SIP/2.0", "SIP/2.0", "SIP/2.01"]
        {
            assert!(!is_in(text.as_bytes()), "{text}");
        }
    }

    #[test]
    fn a_start_line_begins_where_nothing_stands_before_it() {
        assert!(begins(b"\r\nBYE sip:a@b SIP/2.0\r\n"));
        for text in [&b"BYE sip:a@b SIP/2.0"[..], b"x\r\nSIP/2.0 200 OK\r\n", b"\x81\x15SIP/2.0 200 OK\r\n"] {
            assert!(!begins(text), "{text:?}");
        }
    }
}
