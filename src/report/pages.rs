//! Prints the pages of the catalogue: text, Markdown, HTML and JSON.
//!
//! Is given a [`Page`], a [`Subject`], a [`Comparison`] or the list of codes; gives the bytes of one format, each
//! escaped for its own medium, because an overlay file may hold anything. Deliberately does not know where a page
//! comes from, nor which format was asked for.

use std::fmt::Write as _;

use serde::Serialize;
use unicode_width::UnicodeWidthStr;

use crate::catalogue::{
    Block, Catalogue, Class, Comparison, Entry, Fact, Item, Page, Phrase, Phrases, Registered, Subject, Word,
};
use crate::report::text::lines::{self, Room};
use crate::untrusted::{Untrusted, is_unsafe};

/// The narrowest page, in columns: below it no word would fit beside its label.
const NARROWEST: usize = 30;

/// The widest running text, in columns; a longer line is hard to read on any terminal.
const WIDEST: usize = 100;

/// The least room for text beside its label, in columns; a line is rather too wide than a letter wide.
const NARROWEST_TEXT: usize = 8;

/// The columns of the list of codes.
const CODE_COLUMNS: [Phrase; 4] = [Phrase::Code, Phrase::Name, Phrase::Reference, Phrase::Standing];

/// The page as plain text, wrapped to `width` columns.
pub fn text(page: &Page, width: usize) -> String {
    let width = width.clamp(NARROWEST, WIDEST);
    let mut out = String::new();
    title_line(&mut out, page, width);
    for section in &page.sections {
        out.push('\n');
        if !section.heading.is_empty() {
            wrap(&mut out, &section.heading, Indent { first: "", rest: "  " }, width);
        }
        for block in &section.blocks {
            text_block(&mut out, block, colon_of(page), width);
        }
    }
    out
}

/// What stands between a lead and its text in the language of the page.
pub(crate) fn colon_of(page: &Page) -> &'static str {
    Phrases::of(&page.language).unwrap_or_default().word(Word::Colon)
}

/// The page as Markdown (CommonMark), a line for each paragraph.
pub fn markdown(page: &Page) -> String {
    let mut out = format!("# {}\n", for_markdown(&page.title));
    if !page.subtitle.is_empty() {
        let _ = write!(out, "\n*{}*\n", for_markdown(&page.subtitle));
    }
    for section in &page.sections {
        if !section.heading.is_empty() {
            let _ = write!(out, "\n## {}\n", for_markdown(&section.heading));
        }
        for block in &section.blocks {
            out.push('\n');
            markdown_block(&mut out, block, colon_of(page));
        }
    }
    out
}

/// The page as a fragment of HTML: one `article`, without style or script.
pub fn html(page: &Page) -> String {
    let mut out = format!(
        "<article class=\"page\" lang=\"{}\" dir=\"{}\">\n<h1>{}</h1>\n",
        for_html(&page.language),
        page.direction.token(),
        for_html(&page.title)
    );
    if !page.subtitle.is_empty() {
        let _ = writeln!(out, "<p class=\"subtitle\">{}</p>", for_html(&page.subtitle));
    }
    for section in &page.sections {
        out.push_str("<section>\n");
        if !section.heading.is_empty() {
            let _ = writeln!(out, "<h2>{}</h2>", for_html(&section.heading));
        }
        for block in &section.blocks {
            html_block(&mut out, block, colon_of(page));
        }
        out.push_str("</section>\n");
    }
    out.push_str("</article>\n");
    out
}

/// What a page of `explain` is about, as one JSON object (`sipwhy.explain/1`), on several lines.
pub fn subject_json(subject: &Subject, phrases: &Phrases) -> String {
    json(&Marked { schema: "sipwhy.explain/1", language: subject.language(phrases), value: subject })
}

/// Any other page, such as that of a rule, as one JSON object (`sipwhy.page/1`), on several lines.
pub fn page_json(page: &Page) -> String {
    json(&Marked { schema: "sipwhy.page/1", language: None, value: page })
}

/// Any value as one JSON object that names its form and, if that is not English, its language, on several lines.
pub fn marked_json(schema: &'static str, language: Option<&str>, value: &impl Serialize) -> String {
    json(&Marked { schema, language, value })
}

/// A comparison as one JSON object (`sipwhy.compare/1`), on several lines.
pub fn comparison_json(comparison: &Comparison) -> String {
    json(&Marked { schema: "sipwhy.compare/1", language: None, value: comparison })
}

/// The list of codes as one JSON object (`sipwhy.codes/1`), on several lines.
pub fn codes_json(entries: &[Entry]) -> String {
    let codes = entries.iter().map(CodeRow::of).collect();
    json(&Marked { schema: "sipwhy.codes/1", language: None, value: &CodeList { codes } })
}

/// The list of codes as plain text, a line for each, cut to `width` columns; grouped by class.
pub fn codes_text(entries: &[Entry], catalogue: &Catalogue, width: usize) -> String {
    let width = width.max(NARROWEST);
    let mut out = String::new();
    let mut last: Option<Class> = None;
    for entry in entries {
        if last != Some(entry.class()) {
            let gap = if last.is_some() { "\n" } else { "" };
            let _ = writeln!(out, "{gap}{}  {}", entry.class().short(), catalogue.phrases().class(entry.class()));
            last = Some(entry.class());
        }
        let line = format!("  {:>4} {:<34} {}", entry.code, for_text(&entry.name), for_text(&entry.reference));
        let line = match standing(entry, catalogue.phrases()) {
            "" => line,
            standing => format!("{line} ({standing})"),
        };
        out.push_str(cut(&line, width).trim_end());
        out.push('\n');
    }
    out
}

/// The list of codes as a Markdown table.
pub fn codes_markdown(entries: &[Entry], phrases: &Phrases) -> String {
    let headings = CODE_COLUMNS.map(|phrase| for_markdown(phrases.say(phrase))).join(" | ");
    let mut out = format!("| {headings} |\n|---|---|---|---|\n");
    for entry in entries {
        let (name, reference) = (for_markdown(&entry.name), for_markdown(&entry.reference));
        let _ = writeln!(out, "| {} | {name} | {reference} | {} |", entry.code, standing(entry, phrases));
    }
    out
}

/// The list of codes as a fragment of HTML: one table.
pub fn codes_html(entries: &[Entry], phrases: &Phrases) -> String {
    let heading = |phrase| format!("<th scope=\"col\">{}</th>", for_html(phrases.say(phrase)));
    let mut out = format!(
        "<table class=\"codes\" lang=\"{}\" dir=\"{}\">\n<thead><tr>{}</tr></thead>\n<tbody>\n",
        for_html(phrases.tag()),
        phrases.direction().token(),
        CODE_COLUMNS.map(heading).concat()
    );
    for entry in entries {
        let _ = writeln!(
            out,
            "<tr><th scope=\"row\">{}</th><td>{}</td><td>{}</td><td>{}</td></tr>",
            entry.code,
            for_html(&entry.name),
            for_html(&entry.reference),
            standing(entry, phrases)
        );
    }
    out.push_str("</tbody>\n</table>\n");
    out
}

#[derive(Serialize)]
struct Marked<'a, T: Serialize> {
    schema: &'static str,
    /// The language of its texts; missing where it is English.
    #[serde(skip_serializing_if = "Option::is_none")]
    language: Option<&'a str>,
    #[serde(flatten)]
    value: &'a T,
}

#[derive(Serialize)]
struct CodeList<'a> {
    codes: Vec<CodeRow<'a>>,
}

#[derive(Serialize)]
struct CodeRow<'a> {
    code: u16,
    name: &'a str,
    class: Class,
    registered: Registered,
    reference: &'a str,
}

impl CodeRow<'_> {
    fn of(entry: &Entry) -> CodeRow<'_> {
        CodeRow {
            code: entry.code,
            name: &entry.name,
            class: entry.class(),
            registered: entry.registered,
            reference: &entry.reference,
        }
    }
}

fn json(value: &impl Serialize) -> String {
    let text = match serde_json::to_string_pretty(value) {
        Ok(text) => text,
        // Strings, numbers and lists under string keys cannot fail to serialise.
        Err(error) => unreachable!("a page cannot be serialised: {error}"),
    };
    let mut out = String::with_capacity(text.len() + 1);
    for character in text.chars() {
        match character {
            '\n' | ' '..='~' => out.push(character),
            character if is_unsafe(character) => {
                let mut units = [0; 2];
                for unit in character.encode_utf16(&mut units) {
                    let _ = write!(out, "\\u{unit:04x}");
                }
            }
            character => out.push(character),
        }
    }
    out.push('\n');
    out
}

fn standing(entry: &Entry, phrases: &Phrases) -> &'static str {
    phrases.word(match entry.registered {
        Registered::Yes => return "",
        Registered::Deprecated => Word::CodeDeprecated,
        Registered::Obsolete => Word::CodeObsolete,
        Registered::Vendor => Word::CodeVendor,
        Registered::Local => Word::CodeLocal,
        _ => Word::CodeUnknown,
    })
}

/// The title, with the subtitle at the right edge if there is room.
fn title_line(out: &mut String, page: &Page, width: usize) {
    let (title, subtitle) = (for_text(&page.title), for_text(&page.subtitle));
    let taken = title.width() + subtitle.width();
    if subtitle.is_empty() || taken + 2 > width {
        wrap(out, &page.title, Indent { first: "", rest: "  " }, width);
        if !subtitle.is_empty() {
            wrap(out, &page.subtitle, Indent { first: "  ", rest: "  " }, width);
        }
        return;
    }
    let _ = writeln!(out, "{title}{}{subtitle}", " ".repeat(width - taken));
}

fn text_block(out: &mut String, block: &Block, colon: &str, width: usize) {
    match block {
        Block::Paragraph(text) => wrap(out, text, Indent { first: "  ", rest: "  " }, width),
        Block::Facts(facts) => text_facts(out, facts, "  ", width),
        Block::Numbered(items) => {
            for (place, item) in items.iter().enumerate() {
                text_item(out, &format!("{}.", place + 1), item, colon, width);
            }
        }
        Block::Bullets(items) => {
            for item in items {
                text_item(out, "-", item, colon, width);
            }
        }
    }
}

fn text_item(out: &mut String, mark: &str, item: &Item, colon: &str, width: usize) {
    let indent = " ".repeat(mark.width() + 3);
    wrap(out, &sentence_of(item, colon), Indent { first: &format!("  {mark} "), rest: &indent }, width);
    text_facts(out, &item.facts, &indent, width);
}

/// Facts under one another, the texts aligned behind the longest label.
fn text_facts(out: &mut String, facts: &[Fact], indent: &str, width: usize) {
    let column = facts.iter().map(|fact| for_text(&fact.label).width()).max().unwrap_or(0) + 2;
    let rest = format!("{indent}{}", " ".repeat(column));
    for fact in facts {
        let label = for_text(&fact.label);
        let first = format!("{indent}{label}{}", " ".repeat(column - label.width()));
        wrap(out, &fact.text, Indent { first: &first, rest: &rest }, width);
    }
}

/// `lead: text`, or the one of them that is there.
fn sentence_of(item: &Item, colon: &str) -> String {
    match (item.lead.is_empty(), item.text.is_empty()) {
        (true, _) => item.text.clone(),
        (false, true) => item.lead.clone(),
        (false, false) => format!("{}{colon}{}", item.lead, item.text),
    }
}

fn markdown_block(out: &mut String, block: &Block, colon: &str) {
    match block {
        Block::Paragraph(text) => {
            let _ = writeln!(out, "{}", for_markdown(text));
        }
        Block::Facts(facts) => markdown_facts(out, facts, "", colon),
        Block::Numbered(items) => {
            for (place, item) in items.iter().enumerate() {
                markdown_item(out, &format!("{}. ", place + 1), item, colon);
            }
        }
        Block::Bullets(items) => {
            for item in items {
                markdown_item(out, "- ", item, colon);
            }
        }
    }
}

fn markdown_item(out: &mut String, mark: &str, item: &Item, colon: &str) {
    let (lead, text) = (for_markdown(&item.lead), for_markdown(&item.text));
    let _ = match (lead.is_empty(), text.is_empty()) {
        (true, _) => writeln!(out, "{mark}{text}"),
        (false, true) => writeln!(out, "{mark}**{lead}**"),
        (false, false) => writeln!(out, "{mark}**{lead}**{colon}{text}"),
    };
    markdown_facts(out, &item.facts, &" ".repeat(mark.len()), colon);
}

fn markdown_facts(out: &mut String, facts: &[Fact], indent: &str, colon: &str) {
    for fact in facts {
        let _ = writeln!(out, "{indent}- **{}**{colon}{}", for_markdown(&fact.label), for_markdown(&fact.text));
    }
}

fn html_block(out: &mut String, block: &Block, colon: &str) {
    match block {
        Block::Paragraph(text) => {
            let _ = writeln!(out, "<p>{}</p>", for_html(text));
        }
        Block::Facts(facts) => html_facts(out, facts),
        Block::Numbered(items) => html_list(out, "ol", items, colon),
        Block::Bullets(items) => html_list(out, "ul", items, colon),
    }
}

fn html_list(out: &mut String, tag: &str, items: &[Item], colon: &str) {
    let _ = writeln!(out, "<{tag}>");
    for item in items {
        let (lead, text) = (for_html(&item.lead), for_html(&item.text));
        let _ = match (lead.is_empty(), text.is_empty()) {
            (true, _) => write!(out, "<li>{text}"),
            (false, true) => write!(out, "<li><strong>{lead}</strong>"),
            (false, false) => write!(out, "<li><strong>{lead}</strong>{colon}{text}"),
        };
        html_facts(out, &item.facts);
        out.push_str("</li>\n");
    }
    let _ = writeln!(out, "</{tag}>");
}

fn html_facts(out: &mut String, facts: &[Fact]) {
    if facts.is_empty() {
        return;
    }
    out.push_str("<dl>\n");
    for fact in facts {
        let _ = writeln!(out, "<dt>{}</dt><dd>{}</dd>", for_html(&fact.label), for_html(&fact.text));
    }
    out.push_str("</dl>\n");
}

/// The text without a character that could act on a terminal.
fn for_text(text: &str) -> String {
    Untrusted::from(text).for_terminal().into_owned()
}

fn for_html(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in for_text(text).chars() {
        match character {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            character => out.push(character),
        }
    }
    out
}

/// Escapes what Markdown would read as markup. An underscore inside a word and a hyphen are left alone: they mean
/// nothing there, and settings and header names are full of them.
pub(crate) fn for_markdown(text: &str) -> String {
    let text = for_text(text);
    let mut out = String::with_capacity(text.len());
    let mut previous = ' ';
    let mut characters = text.chars().peekable();
    while let Some(character) = characters.next() {
        let inside_word = previous.is_alphanumeric() && characters.peek().is_some_and(|next| next.is_alphanumeric());
        let first = out.is_empty();
        let escaped = match character {
            '\\' | '`' | '*' | '[' | ']' | '<' | '>' | '|' | '&' => true,
            '_' => !inside_word,
            '#' | '+' | '-' | '=' | '~' => first,
            '.' | ')' => out.chars().all(|digit| digit.is_ascii_digit()) && !first,
            _ => false,
        };
        if escaped {
            out.push('\\');
        }
        out.push(character);
        previous = character;
    }
    out
}

/// What stands before the first line of a wrapped text, and before the others.
#[derive(Clone, Copy)]
struct Indent<'a> {
    first: &'a str,
    rest: &'a str,
}

/// Appends `text` in lines of at most `width` columns; a line with the indent alone where there is no text.
fn wrap(out: &mut String, text: &str, indent: Indent<'_>, width: usize) {
    let room = |indent: &str| width.saturating_sub(indent.width()).max(NARROWEST_TEXT);
    let room = Room { first: room(indent.first), rest: room(indent.rest) };
    let lines = lines::wrap_into(room, &for_text(text));
    let (first, others) = lines.split_first().map_or(("", &[][..]), |(first, others)| (first, others));
    put_line(out, indent.first, first);
    for line in others {
        put_line(out, indent.rest, line);
    }
}

fn put_line(out: &mut String, indent: &str, text: &str) {
    out.push_str(format!("{indent}{text}").trim_end());
    out.push('\n');
}

/// The start of a line that fits into `width` columns.
fn cut(line: &str, width: usize) -> &str {
    &line[..lines::end_within(line, width)]
}

#[cfg(test)]
mod tests;
