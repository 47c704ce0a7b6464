//! Reads one table of a large TOML file without parsing the rest of it.
//!
//! The catalogue has some hundred kilobytes of text, of which `sipwhy 503` needs one entry; parsing all of it would
//! cost more time than the answer. A file is cut at its `[[name]]` lines, and a piece is parsed when it is asked for.
//! Our files hold no such line inside a string; a test compares the pieces with the parse of the whole.

use std::collections::BTreeMap;
use std::sync::OnceLock;

use memchr::{memchr_iter, memmem};
use serde::de::DeserializeOwned;

use super::tables;

/// A piece of a file: one `[[name]]` table with the tables beneath it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Slice<'a> {
    /// The text, from its `[[name]]` line to the next.
    pub text: &'a str,
    /// The line in the file on which it begins, from 1.
    pub line: usize,
}

/// Cuts `text` at its lines that read `[[name]]`. What stands before the first is not in any piece.
pub(super) fn cut<'a>(text: &'a str, name: &str) -> Vec<Slice<'a>> {
    cut_before(text, &format!("[[{name}]]"))
}

/// Cuts `text` at each line that reads `[[…]]`, whatever name stands there.
pub(super) fn cut_all(text: &str) -> Vec<Slice<'_>> {
    cut_before(text, "[[")
}

/// Cuts `text` at each line that begins so. Looks for no other lines: the files are large.
fn cut_before<'a>(text: &'a str, beginning: &str) -> Vec<Slice<'a>> {
    let at_end_of_line = |at: &usize| *at == 0 || text.as_bytes()[at - 1] == b'\n';
    let starts: Vec<usize> = memmem::find_iter(text.as_bytes(), beginning.as_bytes()).filter(at_end_of_line).collect();
    let ends = starts.iter().skip(1).copied().chain([text.len()]);
    let (mut line, mut counted) = (1, 0);
    let pieces = starts.iter().zip(ends).map(|(&start, end)| {
        line += memchr_iter(b'\n', &text.as_bytes()[counted..start]).count();
        counted = start;
        Slice { text: &text[start..end], line }
    });
    pieces.collect()
}

/// The rows of one or several files, each parsed when it is first asked for.
pub(super) struct Table<T> {
    rows: Vec<Row<u16, T>>,
}

/// One `[[name]]` table, parsed when it is first asked for, and what it is looked up by.
pub(super) struct Row<K, T> {
    pub(super) key: K,
    text: &'static str,
    value: OnceLock<T>,
}

impl<T: DeserializeOwned> Table<T> {
    /// The `[[name]]` tables of `files`, in the order of their number `key`. That our files can be read is tested, so
    /// a row without its number is a fault of the build.
    pub fn cut(files: &[&'static str], name: &str, key: &str) -> Table<T> {
        let row = |slice: Slice<'static>| match number(slice.text, key) {
            Some(key) => Row::new(key, slice.text),
            None => panic!("a table of data/ has no {key}: {}", slice.text),
        };
        let mut rows: Vec<Row<u16, T>> = files.iter().flat_map(|file| cut(file, name)).map(row).collect();
        rows.sort_by_key(|row| row.key);
        Table { rows }
    }

    /// The row with this number.
    pub fn get(&self, key: u16) -> Option<&T> {
        let place = self.rows.binary_search_by_key(&key, |row| row.key).ok()?;
        Some(self.rows[place].read())
    }

    /// Every number, sorted.
    pub fn keys(&self) -> impl Iterator<Item = u16> + '_ {
        self.rows.iter().map(|row| row.key)
    }

    /// Every row, in the order of its number.
    pub fn iter(&self) -> impl Iterator<Item = &T> + '_ {
        self.rows.iter().map(Row::read)
    }
}

impl<K, T: DeserializeOwned> Row<K, T> {
    pub(super) fn new(key: K, text: &'static str) -> Row<K, T> {
        Row { key, text, value: OnceLock::new() }
    }

    /// The row, parsed.
    pub(super) fn read(&self) -> &T {
        self.value.get_or_init(|| {
            let mut tables: BTreeMap<String, Vec<T>> = tables::read(self.text);
            match tables.pop_first().and_then(|(_, mut rows)| rows.pop()) {
                Some(value) => value,
                None => panic!("a table of data/ is empty: {}", self.text),
            }
        })
    }
}

/// What stands after `key = ` at the start of a line, the first there is.
pub(super) fn value_of<'a>(text: &'a str, key: &str) -> Option<&'a str> {
    text.lines().find_map(|line| Some(line.strip_prefix(key)?.trim_start().strip_prefix('=')?.trim()))
}

/// The number after `key = ` at the start of a line, the first there is.
fn number(text: &str, key: &str) -> Option<u16> {
    value_of(text, key)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_cut_at_its_tables() {
        let text = "# head\n[[status]]\ncode = 100\n[[status.cause]]\nx = 1\n\n[[status]]\ncode=101\n";
        let pieces = cut(text, "status");
        assert_eq!(pieces.iter().map(|piece| piece.line).collect::<Vec<_>>(), [2, 7]);
        assert_eq!(pieces.iter().map(|piece| number(piece.text, "code")).collect::<Vec<_>>(), [Some(100), Some(101)]);
        assert!(pieces[0].text.ends_with("x = 1\n\n"));
        assert!(cut("", "status").is_empty());
    }
}
