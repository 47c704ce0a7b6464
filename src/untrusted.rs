//! The one type that stands between captured bytes and any output.
//!
//! Whatever comes from a packet or a file name is [`Untrusted`] from the moment it leaves the message it stood in.
//! It has no `Display`: a printer asks for the form its medium needs, and there is no way to write it raw.

use std::borrow::Cow;
use std::fmt::Write as _;

use serde::{Deserialize, Serialize};

/// Text that an attacker may have chosen, or a sentence that quotes such text.
///
/// Bytes that are not UTF-8 have become U+FFFD. Serialising gives the text as it is: the JSON printer escapes what
/// must not leave raw (`report::json`).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Untrusted(Cow<'static, str>);

impl schemars::JsonSchema for Untrusted {
    fn schema_name() -> Cow<'static, str> {
        "string".into()
    }
    fn inline_schema() -> bool {
        true
    }
    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({"type": "string"})
    }
}

impl Untrusted {
    /// Reads bytes as UTF-8; what is not becomes U+FFFD.
    pub fn from_bytes(bytes: &[u8]) -> Untrusted {
        Untrusted(String::from_utf8_lossy(bytes).into_owned().into())
    }

    /// Words of our own, which quote nothing: they need no room.
    pub(crate) const fn fixed(text: &'static str) -> Untrusted {
        Untrusted(Cow::Borrowed(text))
    }

    /// True if there is no text.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The text for comparing and searching. Not for output: use one of the `for_…` forms there.
    pub fn raw(&self) -> &str {
        &self.0
    }

    /// For a terminal or a plain-text file: one line, no control, bidirectional, invisible or tag character; such
    /// characters are shown as `\u{202E}`, a line feed as `\n`.
    pub fn for_terminal(&self) -> Cow<'_, str> {
        for_terminal(&self.0)
    }
}

impl From<&str> for Untrusted {
    fn from(text: &str) -> Untrusted {
        Untrusted(text.to_owned().into())
    }
}

impl From<Cow<'_, str>> for Untrusted {
    fn from(text: Cow<'_, str>) -> Untrusted {
        Untrusted(text.into_owned().into())
    }
}

impl From<String> for Untrusted {
    fn from(text: String) -> Untrusted {
        Untrusted(text.into())
    }
}

/// True for characters that must not reach any output raw: controls (C0, DEL, C1), bidirectional controls,
/// zero-width and other invisible characters, line and paragraph separators, tag characters.
pub fn is_unsafe(character: char) -> bool {
    match character {
        '\u{0}'..='\u{1f}' | '\u{7f}'..='\u{9f}' => true,
        ' '..='~' => false,
        '\u{ad}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' | '\u{180b}'..='\u{180f}' => true,
        '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{3164}' => true,
        '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}' => true,
        '\u{e0000}'..='\u{e0fff}' => true,
        _ => false,
    }
}

/// The same of a text that may hold what was captured.
pub(crate) fn for_terminal(text: &str) -> Cow<'_, str> {
    // Most text is printable ASCII, which shows in its bytes, many at once.
    let is_printable = text.bytes().fold(true, |all, byte| all & matches!(byte, b' '..=b'~'));
    if is_printable || !text.chars().any(is_unsafe) {
        return Cow::Borrowed(text);
    }
    let mut escaped = String::with_capacity(text.len() + 16);
    for character in text.chars() {
        match character {
            '\n' => escaped.push_str("\\n"),
            '\r' => escaped.push_str("\\r"),
            '\t' => escaped.push_str("\\t"),
            character if is_unsafe(character) => {
                // Writing to a String cannot fail.
                let _ = write!(escaped, "\\u{{{:04X}}}", u32::from(character));
            }
            character => escaped.push(character),
        }
    }
    Cow::Owned(escaped)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn terminal_form_holds_no_control_or_bidirectional_character() {
        let text = Untrusted::from("a\x1b[31m\u{202e}b\u{9b}\nc\u{e0041}");
        assert_eq!(text.for_terminal(), "a\\u{001B}[31m\\u{202E}b\\u{009B}\\nc\\u{E0041}");
    }

    #[test]
    fn ordinary_text_is_not_copied() {
        let text = Untrusted::from("Grüße, 世界 🙂");
        assert!(matches!(text.for_terminal(), Cow::Borrowed(_)));
    }
}
