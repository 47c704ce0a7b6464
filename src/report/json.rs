//! Prints the report as JSON (`sipwhy.report/1`).
//!
//! Every character that must not leave raw is escaped, not only those that JSON demands: the report may end on a
//! terminal.

use std::borrow::Cow;
use std::io::{self, Write};

use serde::Serialize;
use serde_json::ser::{CharEscape, CompactFormatter, Formatter, PrettyFormatter};

use crate::catalogue::Phrases;
use crate::report::gatherer::Gathered;
use crate::report::record::CallRecord;
use crate::report::value::{Report, SCHEMA, Tool};
use crate::report::view::privacy_words;
use crate::untrusted::is_unsafe;

/// How the text is laid out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Layout {
    /// Without a space, for programs.
    Compact,
    /// Indented, for people.
    Pretty,
}

/// Writes the report.
///
/// # Errors
/// What `out` says, or the temporary file of the records.
pub fn write(out: &mut dyn Write, gathered: &mut Gathered, layout: Layout) -> io::Result<()> {
    match layout {
        Layout::Compact => write_compact(out, gathered),
        Layout::Pretty => {
            let report = gathered.report()?;
            let mut formatter = serde_json::Serializer::with_formatter(&mut *out, Safe(PrettyFormatter::new()));
            report.serialize(&mut formatter)?;
            out.write_all(b"\n")
        }
    }
}

/// The keys of [`Report`], in order; the records are copied as they were put away.
fn write_compact(out: &mut dyn Write, gathered: &mut Gathered) -> io::Result<()> {
    let mut head = Vec::new();
    head.extend_from_slice(b"{\"schema\":");
    to_bytes(SCHEMA, &mut head)?;
    head.extend_from_slice(b",\"tool\":");
    to_bytes(&Tool::this(), &mut head)?;
    if let Some(language) = gathered.catalogue.phrases().other_tag() {
        head.extend_from_slice(b",\"language\":");
        to_bytes(language, &mut head)?;
    }
    head.extend_from_slice(b",\"inputs\":");
    to_bytes(&gathered.inputs, &mut head)?;
    head.extend_from_slice(b",\"summary\":");
    to_bytes(&gathered.summary, &mut head)?;
    head.extend_from_slice(b",\"incidents\":");
    to_bytes(&gathered.incidents, &mut head)?;
    head.extend_from_slice(b",\"calls\":[");
    out.write_all(&head)?;
    let mut is_first = true;
    gathered.spool.each(|record| {
        if !std::mem::replace(&mut is_first, false) {
            out.write_all(b",")?;
        }
        out.write_all(record)
    })?;
    let mut tail = b"],\"notes\":".to_vec();
    to_bytes(&gathered.notes, &mut tail)?;
    if let Some(words) = privacy_words(&Phrases::english(), &gathered.privacy) {
        tail.extend_from_slice(b",\"privacy\":");
        to_bytes(&words, &mut tail)?;
    }
    tail.extend_from_slice(b"}\n");
    out.write_all(&tail)
}

impl Gathered {
    /// The whole report as one value, in memory.
    ///
    /// # Errors
    /// The temporary file of the records cannot be read.
    pub fn report(&mut self) -> io::Result<Report> {
        let mut calls = Vec::with_capacity(self.spool.len());
        let push = |record: Cow<'_, CallRecord>| {
            calls.push(record.into_owned());
            Ok(())
        };
        self.spool.each_record(|_| true, push)?;
        Ok(Report {
            schema: SCHEMA.into(),
            tool: Tool::this(),
            language: self.catalogue.phrases().other_tag().map(str::to_owned),
            inputs: self.inputs.clone(),
            summary: self.summary,
            incidents: self.incidents.clone(),
            calls,
            notes: self.notes.clone(),
            privacy: privacy_words(&Phrases::english(), &self.privacy),
        })
    }
}

/// Appends a value on one line.
pub(crate) fn to_bytes<T: Serialize + ?Sized>(value: &T, out: &mut Vec<u8>) -> io::Result<()> {
    value.serialize(&mut serde_json::Serializer::with_formatter(out, Safe(CompactFormatter)))?;
    Ok(())
}

/// Escapes what [`is_unsafe`] names, beside what JSON demands.
struct Safe<F>(F);

/// True for what nearly every string of a report is made of. All bytes of a block are asked at once: a report is long.
fn is_printable_ascii(bytes: &[u8]) -> bool {
    let is_printable = |block: &[u8]| block.iter().fold(true, |all, byte| all & (b' '..=b'~').contains(byte));
    let (blocks, rest) = bytes.as_chunks::<32>();
    blocks.iter().all(|block| is_printable(block)) && is_printable(rest)
}

impl<F: Formatter> Formatter for Safe<F> {
    fn write_string_fragment<W: ?Sized + Write>(&mut self, writer: &mut W, fragment: &str) -> io::Result<()> {
        if is_printable_ascii(fragment.as_bytes()) {
            return writer.write_all(fragment.as_bytes());
        }
        let mut written = 0;
        for (at, character) in fragment.char_indices().filter(|(_, character)| is_unsafe(*character)) {
            writer.write_all(&fragment.as_bytes()[written..at])?;
            let mut units = [0; 2];
            for unit in character.encode_utf16(&mut units) {
                write!(writer, "\\u{unit:04x}")?;
            }
            written = at + character.len_utf8();
        }
        writer.write_all(&fragment.as_bytes()[written..])
    }

    fn write_char_escape<W: ?Sized + Write>(&mut self, writer: &mut W, escape: CharEscape) -> io::Result<()> {
        self.0.write_char_escape(writer, escape)
    }

    fn begin_array<W: ?Sized + Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.0.begin_array(writer)
    }

    fn end_array<W: ?Sized + Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.0.end_array(writer)
    }

    fn begin_array_value<W: ?Sized + Write>(&mut self, writer: &mut W, first: bool) -> io::Result<()> {
        self.0.begin_array_value(writer, first)
    }

    fn end_array_value<W: ?Sized + Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.0.end_array_value(writer)
    }

    fn begin_object<W: ?Sized + Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.0.begin_object(writer)
    }

    fn end_object<W: ?Sized + Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.0.end_object(writer)
    }

    fn begin_object_key<W: ?Sized + Write>(&mut self, writer: &mut W, first: bool) -> io::Result<()> {
        self.0.begin_object_key(writer, first)
    }

    fn begin_object_value<W: ?Sized + Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.0.begin_object_value(writer)
    }

    fn end_object_value<W: ?Sized + Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.0.end_object_value(writer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unsafe_characters_are_escaped_and_read_back() {
        let text = "a\u{9b}\u{202e}\u{e0041}\u{7f}\nü";
        let mut bytes = Vec::new();
        to_bytes(text, &mut bytes).unwrap();
        assert_eq!(String::from_utf8(bytes.clone()).unwrap(), "\"a\\u009b\\u202e\\udb40\\udc41\\u007f\\nü\"");
        assert_eq!(serde_json::from_slice::<String>(&bytes).unwrap(), text);
    }
}
