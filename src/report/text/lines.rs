//! Lines of a text report: wrapped to the width, coloured, safe.
//!
//! Whatever is written passes here: control characters that came this far are shown as `\u{…}`, and in ASCII every
//! other character beyond is too.

use std::borrow::Cow;
use std::io::{self, Write};

use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

use crate::report::text::style::{Glyphs, Ink, Style};
use crate::untrusted::{Untrusted, for_terminal};

/// Letters of one value that are shown.
const LONGEST_VALUE: usize = 160;
/// The least room for running text, in columns, however far it is indented.
const NARROWEST_TEXT: usize = 16;

/// A line as pieces, each with its colour.
#[derive(Debug, Clone, Default)]
pub(crate) struct Line {
    text: String,
    /// The colour of each piece, and where it ends in the text.
    pieces: Vec<(Ink, usize)>,
    /// Columns that they take together.
    width: usize,
}

impl Line {
    pub(crate) fn new() -> Line {
        Line::default()
    }

    /// With one more piece.
    pub(crate) fn ink(mut self, ink: Ink, text: impl AsRef<str>) -> Line {
        self.push(ink, text.as_ref());
        self
    }

    /// With one more piece of no colour.
    pub(crate) fn plain(self, text: impl AsRef<str>) -> Line {
        self.ink(Ink::Plain, text)
    }

    /// Filled up to a column.
    pub(crate) fn filled_to(mut self, column: usize) -> Line {
        let gap = column.saturating_sub(self.width);
        self.text.extend(std::iter::repeat_n(' ', gap));
        self.width += gap;
        self.pieces.push((Ink::Plain, self.text.len()));
        self
    }

    /// Its text behind a column, without colours.
    pub(crate) fn text_from(&self, column: usize) -> String {
        let mut used = 0;
        let skipped = |character: &char| {
            used += character.width().unwrap_or(0);
            used <= column
        };
        self.text.chars().skip_while(skipped).collect()
    }

    /// Columns.
    pub(crate) fn width(&self) -> usize {
        self.width
    }

    fn push(&mut self, ink: Ink, text: &str) {
        self.text.push_str(text);
        self.width += columns(text);
        self.pieces.push((ink, self.text.len()));
    }

    /// Becomes the same as another one, in the room that it has.
    fn become_like(&mut self, other: &Line) {
        self.text.clone_from(&other.text);
        self.pieces.clone_from(&other.pieces);
        self.width = other.width;
    }

    fn pieces(&self) -> impl Iterator<Item = (Ink, &str)> {
        let starts = std::iter::once(0).chain(self.pieces.iter().map(|(_, end)| *end));
        starts.zip(&self.pieces).map(|(start, (ink, end))| (*ink, &self.text[start..*end]))
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
        self.write(&line)
    }

    fn write(&mut self, line: &Line) -> io::Result<()> {
        let mut left = self.style.width();
        // Most lines fit, and nothing in them must be shown otherwise.
        let is_fit = line.width <= left && line.pieces().all(|(_, text)| matches!(self.safe(text), Cow::Borrowed(_)));
        let mut shown = String::with_capacity(line.text.len() + 1);
        let count = line.pieces.len();
        for (number, (ink, text)) in (1..).zip(line.pieces()) {
            let text = if is_fit { Cow::Borrowed(text) } else { self.safe(text) };
            let text = if number == count { text.trim_end() } else { &*text };
            if is_fit {
                self.style.paint(ink, text, &mut shown);
                continue;
            }
            let text = self.in_glyphs(fitted(text, left));
            left = left.saturating_sub(columns(&text));
            self.style.paint(ink, &text, &mut shown);
        }
        shown.push('\n');
        self.out.write_all(shown.as_bytes())
    }

    /// Writes running text, wrapped, with a prefix before the first line and one before the others.
    pub(crate) fn wrapped(&mut self, first: Line, rest: &Line, text: &str) -> io::Result<()> {
        let text = self.safe(text);
        let indent = first.width().max(rest.width());
        let width = self.style.width().saturating_sub(indent).max(NARROWEST_TEXT);
        let mut line = first;
        for part in wrap(&text, width) {
            line.push(Ink::Plain, &part);
            self.write(&line)?;
            line.become_like(rest);
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
    fn safe<'t>(&self, text: &'t str) -> Cow<'t, str> {
        self.in_glyphs(for_terminal(text))
    }

    fn in_glyphs<'t>(&self, text: Cow<'t, str>) -> Cow<'t, str> {
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
        '\u{a0}' => " ",
        '«' | '»' => "\"",
        'à' | 'á' | 'â' | 'ã' | 'ä' => "a",
        'ç' => "c",
        'è' | 'é' | 'ê' | 'ë' => "e",
        'ì' | 'í' | 'î' | 'ï' => "i",
        'ñ' => "n",
        'ò' | 'ó' | 'ô' | 'õ' | 'ö' => "o",
        'ù' | 'ú' | 'û' | 'ü' => "u",
        'œ' => "oe",
        'ß' => "ss",
        'À' | 'Á' | 'Â' | 'Ã' | 'Ä' => "A",
        'Ç' => "C",
        'È' | 'É' | 'Ê' | 'Ë' => "E",
        'Í' | 'Î' => "I",
        'Ó' | 'Ô' | 'Õ' | 'Ö' => "O",
        'Ú' | 'Û' | 'Ü' => "U",
        other => return "?".repeat(other.width().unwrap_or(1).max(1)),
    };
    near.to_owned()
}

/// A captured value for one line: long ones are shortened, and their length is told. Our own sentences are not.
pub(crate) fn value(text: &Untrusted) -> String {
    let shown = text.for_terminal();
    match shown.char_indices().nth(LONGEST_VALUE) {
        None => shown.into_owned(),
        Some((end, _)) => {
            format!("{}… ({} B)", shown.get(..end).unwrap_or_default(), text.raw().len())
        }
    }
}

/// The columns that a text takes on a terminal. Most text is ASCII, a column a letter; and nearly all of the rest has
/// letters and lines beside it that take one too, whatever they stand beside.
pub(crate) fn columns(text: &str) -> usize {
    if text.is_ascii() {
        return text.len();
    }
    let narrow = text.chars().try_fold(0, |columns, character| takes_one_column(character).then_some(columns + 1));
    narrow.unwrap_or_else(|| text.width())
}

fn takes_one_column(character: char) -> bool {
    let is_letter = matches!(character, ' '..='~' | 'À'..='ÿ' | '…' | '·' | '§' | '–' | '‘' | '’' | '“' | '”');
    let is_drawn = || matches!(character, '─'..='╿' | '►' | '◄' | '→' | '≥' | '≤' | '✖' | '✔' | '▲');
    is_letter || is_drawn()
}

/// A label filled up to so many columns.
pub(crate) fn padded(label: &str, columns: usize) -> String {
    format!("{label}{}", " ".repeat(columns.saturating_sub(self::columns(label))))
}

/// What fits into a number of columns; `…` where it is cut.
pub(crate) fn fitted(text: &str, width: usize) -> Cow<'_, str> {
    if columns(text) <= width {
        return text.into();
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
    shown.into()
}

/// Breaks text at spaces, but not between a number and its unit; a word that is longer than a line is broken where the
/// line ends.
pub(crate) fn wrap(text: &str, width: usize) -> Vec<String> {
    wrap_into(Room { first: width, rest: width }, text)
}

/// The columns that lines of wrapped text may take.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Room {
    /// The first line, which may stand further out or further in than the others.
    pub(crate) first: usize,
    pub(crate) rest: usize,
}

/// [`wrap`], where the first line has room of its own.
pub(crate) fn wrap_into(room: Room, text: &str) -> Vec<String> {
    let mut wrapped = Wrapped { lines: Vec::new(), line: String::new(), used: 0, room };
    // A space that must not be broken at stands before `:` in French.
    let is_gap = |character: char| character.is_whitespace() && character != '\u{a0}';
    match text.bytes().fold(true, |all, byte| all & matches!(byte, b' '..=b'~')) {
        true => wrapped.put_all(text.split_ascii_whitespace()),
        false => wrapped.put_all(text.split(is_gap).filter(|word| !word.is_empty())),
    }
    wrapped.finish()
}

/// Text that is being broken into lines.
struct Wrapped {
    lines: Vec<String>,
    /// The last line.
    line: String,
    /// Columns that it takes.
    used: usize,
    room: Room,
}

impl Wrapped {
    fn put_all<'t>(&mut self, words: impl Iterator<Item = &'t str>) {
        let mut words = words.peekable();
        while let Some(first) = words.next() {
            let unit = words.next_if(|next| is_number(first) && is_unit(next));
            let joined = unit.map_or_else(|| Cow::from(first), |unit| Cow::from(format!("{first} {unit}")));
            if joined.is_ascii() {
                self.put(&joined, " ");
                continue;
            }
            for (index, piece) in pieces(&joined).into_iter().enumerate() {
                self.put(piece, if index == 0 { " " } else { "" });
            }
        }
    }

    /// Puts a piece on the line behind a gap, or on the next ones.
    fn put(&mut self, piece: &str, gap: &str) {
        let mut word = piece;
        loop {
            let gap = if self.line.is_empty() { "" } else { gap };
            let columns_of_word = columns(word);
            if self.used + gap.len() + columns_of_word <= self.width() {
                if self.line.is_empty() {
                    self.line.reserve(self.width());
                }
                self.line.push_str(gap);
                self.line.push_str(word);
                // Letters beyond ASCII may take another width beside each other than alone.
                let is_sum = word.is_ascii();
                self.used = if is_sum { self.used + gap.len() + columns_of_word } else { columns(&self.line) };
                return;
            }
            if self.line.is_empty() {
                let end = end_within(word, self.width());
                self.lines.push(word[..end].to_owned());
                word = &word[end..];
                continue;
            }
            self.end_line();
        }
    }

    /// Columns that the last line may take.
    fn width(&self) -> usize {
        if self.lines.is_empty() { self.room.first } else { self.room.rest }
    }

    fn end_line(&mut self) {
        self.lines.push(std::mem::take(&mut self.line));
        self.used = 0;
    }

    fn finish(mut self) -> Vec<String> {
        if !self.line.is_empty() {
            self.end_line();
        }
        self.lines
    }
}

/// The pieces of a word between which a line may end: Chinese and Japanese are written without spaces.
fn pieces(word: &str) -> Vec<&str> {
    if word.is_ascii() {
        return vec![word];
    }
    let mut pieces = Vec::new();
    let mut start = 0;
    let mut previous: Option<char> = None;
    for (offset, character) in word.char_indices() {
        if previous.is_some_and(|previous| breaks_between(previous, character)) {
            pieces.push(&word[start..offset]);
            start = offset;
        }
        previous = Some(character);
    }
    pieces.push(&word[start..]);
    pieces
}

/// True where a line may end between two characters of one word: in Chinese and Japanese text, but not before what
/// closes and not after what opens.
fn breaks_between(before: char, after: char) -> bool {
    let wide = |character: char| character.width().unwrap_or(0) == 2;
    let closes = "、。，．：；？！）」』】〉》ーぁぃぅぇぉっゃゅょァィゥェォッャュョ・…";
    let opens = "（「『【〈《";
    (wide(before) || wide(after)) && !closes.contains(after) && !opens.contains(before)
}

fn is_number(word: &str) -> bool {
    word.as_bytes().last().is_some_and(u8::is_ascii_digit)
}

/// A unit of time, with or without what ends a clause.
fn is_unit(word: &str) -> bool {
    matches!(word.trim_end_matches(['.', ',', ':', ';', ')']), "s" | "ms" | "min" | "h")
}

/// The place in a word up to which it fits, at least one character.
pub(crate) fn end_within(word: &str, width: usize) -> usize {
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
    fn japanese_is_broken_where_it_may_be_and_french_not_before_a_colon() {
        assert_eq!(wrap("応答を送信したサーバー（例）です。", 10), ["応答を送信", "したサー", "バー（例）", "です。"]);
        assert_eq!(wrap("la raison\u{a0}: voici", 10), ["la", "raison\u{a0}:", "voici"]);
    }

    #[test]
    fn what_takes_one_column_does_so_beside_anything() {
        let narrow =
            ['a', '~', 'À', 'ÿ', '─', '╿', '►', '◄', '→', '…', '·', '×', '§', '–', '‘', '’', '“', '”', '≥', '≤'];
        for one in narrow.into_iter().chain(['✖', '✔', '▲']) {
            for other in narrow {
                let text = format!("{one}{other}{one}");
                assert_eq!(columns(&text), text.width(), "{text}");
            }
        }
    }

    #[test]
    fn a_word_longer_than_a_line_is_broken() {
        assert_eq!(wrap("abcdefgh ij", 3), ["abc", "def", "gh", "ij"]);
    }
}
