//! Lines of a text report: wrapped to the width, coloured, safe.
//!
//! Whatever is written passes here: control characters that came this far are shown as `\u{…}`, and in ASCII every
//! other character beyond is too.

use std::borrow::Cow;
use std::io::{self, Write};

use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

use crate::report::text::style::{Glyphs, Ink, Style};
use crate::untrusted::Untrusted;

/// Letters of one value that are shown.
const LONGEST_VALUE: usize = 160;

/// A line as pieces, each with its colour.
#[derive(Debug, Clone, Default)]
pub(crate) struct Line(Vec<(Ink, String)>);

impl Line {
    pub(crate) fn new() -> Line {
        Line::default()
    }

    /// With one more piece.
    pub(crate) fn ink(mut self, ink: Ink, text: impl Into<String>) -> Line {
        self.0.push((ink, text.into()));
        self
    }

    /// With one more piece of no colour.
    pub(crate) fn plain(self, text: impl Into<String>) -> Line {
        self.ink(Ink::Plain, text)
    }

    /// Filled up to a column.
    pub(crate) fn filled_to(self, column: usize) -> Line {
        let width = self.width();
        let gap = column.saturating_sub(width);
        self.plain(" ".repeat(gap))
    }

    /// Its text behind a column, without colours.
    pub(crate) fn text_from(&self, column: usize) -> String {
        let text: String = self.0.iter().map(|(_, text)| text.as_str()).collect();
        let mut used = 0;
        let skipped = |character: &char| {
            used += character.width().unwrap_or(0);
            used <= column
        };
        text.chars().skip_while(skipped).collect()
    }

    /// Columns.
    pub(crate) fn width(&self) -> usize {
        self.0.iter().map(|(_, text)| text.width()).sum()
    }
}

/// A text report on its way out.
pub(crate) struct Lines<'a> {
    out: &'a mut dyn Write,
    pub(crate) style: &'a Style,
}

impl<'a> Lines<'a> {
    pub(crate) fn new(out: &'a mut dyn Write, style: &'a Style) -> Lines<'a> {
        Lines { out, style }
    }

    pub(crate) fn width(&self) -> usize {
        self.style.width()
    }

    pub(crate) fn empty(&mut self) -> io::Result<()> {
        self.out.write_all(b"\n")
    }

    pub(crate) fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }

    /// Writes one line, cut at the width.
    pub(crate) fn line(&mut self, line: Line) -> io::Result<()> {
        let mut left = self.style.width();
        let count = line.0.len();
        for (index, (ink, text)) in line.0.into_iter().enumerate() {
            let text = self.safe(&text);
            let text = if index + 1 == count { text.trim_end().to_owned() } else { text };
            let text = self.in_glyphs(fitted(&text, left));
            left = left.saturating_sub(text.width());
            if text.is_empty() {
                continue;
            }
            let style = ink.style();
            write!(self.out, "{style}{text}{style:#}")?;
        }
        self.out.write_all(b"\n")
    }

    /// Writes running text, wrapped, with a prefix before the first line and one before the others.
    pub(crate) fn wrapped(&mut self, first: Line, rest: &Line, text: &str) -> io::Result<()> {
        let text = self.safe(text);
        let indent = first.width().max(rest.width());
        let width = self.style.width().saturating_sub(indent).max(16);
        let mut prefix = first;
        for part in wrap(&text, width) {
            self.line(prefix.plain(part))?;
            prefix = rest.clone();
        }
        Ok(())
    }

    /// Writes a name that may be longer than a line.
    pub(crate) fn wrapped_in(&mut self, ink: Ink, text: &str) -> io::Result<()> {
        for part in wrap(&self.safe(text), self.style.width()) {
            self.line(Line::new().ink(ink, part))?;
        }
        Ok(())
    }

    /// The text in the glyphs of this report, without what must not leave raw.
    fn safe(&self, text: &str) -> String {
        let text = Untrusted::from(text);
        self.in_glyphs(text.for_terminal().into_owned())
    }

    fn in_glyphs(&self, text: String) -> String {
        match self.style.glyphs {
            Glyphs::Unicode => text,
            Glyphs::Ascii if text.is_ascii() => text,
            Glyphs::Ascii => text.chars().map(ascii).collect(),
        }
    }
}

/// A text in ASCII alone; what colours it stays.
pub(crate) fn in_ascii(text: &str) -> String {
    text.chars().map(|character| if character == '\x1b' { character.into() } else { ascii(character) }).collect()
}

/// The nearest ASCII for what the report draws; `?` for the rest, of the same width.
fn ascii(character: char) -> String {
    let near = match character {
        ' '..='~' => return character.into(),
        '─' | '–' => "-",
        '═' => "=",
        '│' | '┆' => "|",
        '►' => ">",
        '◄' => "<",
        '✖' => "X",
        '✔' => "v",
        '▲' => "!",
        '·' => ".",
        '×' => "x",
        '→' => "->",
        '…' => "~",
        '≥' => ">=",
        '≤' => "<=",
        '’' | '‘' => "'",
        '“' | '”' => "\"",
        '§' => "section ",
        other => return "?".repeat(other.width().unwrap_or(1).max(1)),
    };
    near.to_owned()
}

/// A value for one line: long ones are shortened, and their length is told.
pub(crate) fn value(text: &Untrusted) -> String {
    let shown = text.for_terminal();
    match shown.char_indices().nth(LONGEST_VALUE) {
        None => shown.into_owned(),
        Some((end, _)) => {
            format!("{}… ({} bytes)", shown.get(..end).unwrap_or_default(), text.raw().len())
        }
    }
}

/// What fits into a number of columns; `…` where it is cut.
pub(crate) fn fitted(text: &str, width: usize) -> String {
    if text.width() <= width {
        return text.to_owned();
    }
    let mut shown = String::new();
    let mut used = 0;
    for character in text.chars() {
        let columns = character.width().unwrap_or(0);
        if used + columns + 1 > width {
            break;
        }
        used += columns;
        shown.push(character);
    }
    if width > 0 {
        shown.push('…');
    }
    shown
}

/// Breaks text at spaces, but not between a number and its unit; a word that is longer than a line is broken where the
/// line ends.
pub(crate) fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut lines = Vec::new();
    let mut line = String::new();
    let mut words = text.split_whitespace().peekable();
    while let Some(first) = words.next() {
        let unit = words.next_if(|next| is_number(first) && is_unit(next));
        let joined = unit.map_or_else(|| Cow::from(first), |unit| Cow::from(format!("{first} {unit}")));
        let mut word = joined.as_ref();
        loop {
            let gap = usize::from(!line.is_empty());
            if line.width() + gap + word.width() <= width {
                if gap == 1 {
                    line.push(' ');
                }
                line.push_str(word);
                break;
            }
            if line.is_empty() {
                let end = end_within(word, width);
                lines.push(word[..end].to_owned());
                word = &word[end..];
                continue;
            }
            lines.push(std::mem::take(&mut line));
        }
    }
    if !line.is_empty() {
        lines.push(line);
    }
    lines
}

fn is_number(word: &str) -> bool {
    word.ends_with(|character: char| character.is_ascii_digit())
}

/// A unit of time, with or without what ends a clause.
fn is_unit(word: &str) -> bool {
    matches!(word.trim_end_matches(['.', ',', ':', ';', ')']), "s" | "ms" | "min" | "h")
}

/// The place in a word up to which it fits, at least one character.
fn end_within(word: &str, width: usize) -> usize {
    let mut used = 0;
    for (at, character) in word.char_indices() {
        used += character.width().unwrap_or(0);
        if used > width && at > 0 {
            return at;
        }
    }
    word.len()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::text::style::Zone;

    fn printed(glyphs: Glyphs, text: &str) -> String {
        let style = Style::new(40, glyphs, Zone::default());
        let mut out = Vec::new();
        let mut lines = Lines::new(&mut out, &style);
        lines.wrapped(Line::new().plain("  a  "), &Line::new().plain("     "), text).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn text_is_wrapped_beneath_itself() {
        let text = printed(Glyphs::Unicode, "the server cannot take the call now: it is overloaded");
        assert_eq!(text, "  a  the server cannot take the call\n     now: it is overloaded\n");
    }

    #[test]
    fn control_characters_never_leave_raw() {
        let text = printed(Glyphs::Unicode, "a\x1b[31m\u{202e}b");
        assert!(text.contains("\\u{001B}[31m\\u{202E}b"), "{text}");
    }

    #[test]
    fn ascii_is_ascii() {
        assert!(printed(Glyphs::Ascii, "→ … × 世界 ü").is_ascii());
    }

    #[test]
    fn a_number_stays_with_its_unit() {
        assert_eq!(wrap("it rang for 1.0 s, twice", 15), ["it rang for", "1.0 s, twice"]);
        assert_eq!(wrap("it rang for 2 calls", 13), ["it rang for 2", "calls"]);
    }

    #[test]
    fn a_word_longer_than_a_line_is_broken() {
        assert_eq!(wrap("abcdefgh ij", 3), ["abc", "def", "gh", "ij"]);
    }
}
