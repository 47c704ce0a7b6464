//! The whole catalogue as pages that need no network: what `sipwhy codes --site` writes.
//!
//! Is given the catalogue in a language, or a page; gives paths and texts, and deliberately writes nothing. Templates
//! escape whatever they are given. A policy in each page forbids everything but the one style and, where there is one,
//! the one script, by their hashes; without the script everything is there all the same.

mod page;

use base64::Engine as _;
use maud::{DOCTYPE, Markup, PreEscaped, html};
use sha2::{Digest as _, Sha256};

use crate::catalogue::{Catalogue, Comparison, Direction, Entry, Page, Phrases, Word};
use crate::report::pages;

const STYLE: &str = include_str!("style.css");
const SCRIPT: &str = include_str!("search.js");

/// A file of the site.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SiteFile {
    /// Its path from the root of the site, with `/`.
    pub path: String,
    /// What stands in it.
    pub text: String,
}

/// A page in English about anything but a status code, and the word that names it.
#[derive(Debug, Clone)]
pub struct Topic {
    /// What kind of thing it is: a heading of the first page.
    pub kind: &'static str,
    /// The word of the command line: `trunk-congested`, `q850-34`, `compare-202-503`.
    pub word: String,
    /// The page.
    pub page: Page,
    /// The same as JSON.
    pub json: String,
}

/// Which words have a page: what a link may lead to.
#[derive(Debug, Clone, Copy)]
pub struct Known<'a> {
    /// The status codes with their names, which no language translates.
    pub codes: &'a [(u16, String)],
    /// Everything else.
    pub topics: &'a [Topic],
}

impl Known<'_> {
    /// Where the page of a word is, seen from a folder beneath the root: `503`, `503 Service Unavailable` or a topic's.
    /// `503 in bursts` is no such word.
    fn link(&self, words: &str, language: &str) -> Option<String> {
        let first = words.split(' ').next().unwrap_or_default();
        if let Ok(code) = first.parse::<u16>() {
            let rest = words.get(first.len()..).unwrap_or_default().trim_start();
            let is_named = |(own, name): &&(u16, String)| *own == code && (rest.is_empty() || rest == name);
            return self.codes.iter().find(is_named).map(|_| format!("../{language}/{code}.html"));
        }
        let word = words.replace(' ', "-");
        self.topics.iter().any(|topic| topic.word == word).then(|| format!("../topic/{word}.html"))
    }
}

/// The files of one language: its list of codes, and each code as HTML and JSON.
pub fn of_language(catalogue: &Catalogue, known: &Known<'_>) -> Vec<SiteFile> {
    let phrases = catalogue.phrases();
    let tag = phrases.tag();
    let entries = catalogue.entries(None);
    let mut files = vec![SiteFile { path: format!("{tag}/index.html"), text: list(&entries, catalogue) }];
    for entry in &entries {
        let Some(subject) = catalogue.subject(&entry.code.to_string()) else { continue };
        let page = subject.page(catalogue);
        let others = html! { nav { a href="../index.html" { "sipwhy" } " · " a href="index.html" { (phrases.name()) } } (languages(tag, entry.code)) };
        let text = document(&page.title, tag, phrases.direction(), others, page::article(&page, known), None);
        files.push(SiteFile { path: format!("{tag}/{}.html", entry.code), text });
        files.push(SiteFile {
            path: format!("{tag}/{}.json", entry.code),
            text: pages::subject_json(&subject, catalogue.phrases()),
        });
    }
    files
}

/// The files of the topics.
pub fn of_topics(known: &Known<'_>) -> Vec<SiteFile> {
    let mut files = Vec::new();
    for topic in known.topics {
        let above = html! { nav { a href="../index.html" { "sipwhy" } " · " (topic.kind) } };
        let body = page::article(&topic.page, known);
        let text = document(&topic.page.title, "en", Direction::Ltr, above, body, None);
        files.push(SiteFile { path: format!("topic/{}.html", topic.word), text });
        files.push(SiteFile { path: format!("topic/{}.json", topic.word), text: topic.json.clone() });
    }
    files
}

/// The page of a comparison, as a topic.
pub fn of_comparison(comparison: &Comparison, phrases: &Phrases, codes: (u16, u16)) -> Topic {
    Topic {
        kind: "Comparisons",
        word: format!("compare-{}-{}", codes.0, codes.1),
        page: comparison.page(phrases),
        json: pages::comparison_json(comparison),
    }
}

/// The first page: everything there is, with a search that narrows it, and the list of codes as JSON.
pub fn first(catalogue: &Catalogue, known: &Known<'_>) -> Vec<SiteFile> {
    let entries = catalogue.entries(None);
    let mut kinds: Vec<&str> = Vec::new();
    for topic in known.topics {
        if !kinds.contains(&topic.kind) {
            kinds.push(topic.kind);
        }
    }
    // The first page is in English, as most of what it leads to is.
    let words = catalogue.phrases();
    let tag = words.tag();
    let body = html! {
        h1 { (words.word(Word::SiteTitle)) }
        p hidden id="search" {
            label { (words.word(Word::SiteSearch)) " " input type="search" autocomplete="off"; }
            " " span id="found" role="status" {}
        }
        p lang="mul" { @for tag in Phrases::tags() { a href=(format!("{tag}/index.html")) { (name_of(tag)) } " " } }
        section {
            h2 { "Status codes" }
            ul class="list" {
                @for entry in &entries {
                    li title=(entry.description) { a href=(format!("{tag}/{}.html", entry.code)) { (entry.code) " " (entry.name) } }
                }
            }
        }
        @for kind in kinds {
            section {
                h2 { (kind) }
                ul class="list" {
                    @for topic in known.topics.iter().filter(|topic| topic.kind == kind) {
                        li { a href=(format!("topic/{}.html", topic.word)) { (topic.word) } " " (topic.page.title) }
                    }
                }
            }
        }
        footer { p { a href="codes.json" { "codes.json" } " · sipwhy " (env!("CARGO_PKG_VERSION")) } }
    };
    let text = document(words.word(Word::SiteTitle), "en", Direction::Ltr, html! {}, body, Some(SCRIPT));
    let json = SiteFile { path: "codes.json".to_owned(), text: pages::codes_json(&entries) };
    vec![SiteFile { path: "index.html".to_owned(), text }, json]
}

/// The list of codes of one language.
fn list(entries: &[Entry], catalogue: &Catalogue) -> String {
    let phrases = catalogue.phrases();
    let mut classes = Vec::new();
    for entry in entries {
        if classes.last() != Some(&entry.class()) {
            classes.push(entry.class());
        }
    }
    let body = html! {
        h1 { (phrases.say(crate::catalogue::Phrase::StatusCodes)) }
        @for class in classes {
            section {
                h2 { (class.short()) " " (phrases.class(class)) }
                ul class="list" {
                    @for entry in entries.iter().filter(|entry| entry.class() == class) {
                        li { a href=(format!("{}.html", entry.code)) { bdi { (entry.code) " " (entry.name) } } }
                    }
                }
            }
        }
    };
    let above = html! { nav { a href="../index.html" { "sipwhy" } " · " (phrases.name()) } };
    document(phrases.name(), phrases.tag(), phrases.direction(), above, body, None)
}

/// The same code in the other languages.
fn languages(own: &str, code: u16) -> Markup {
    html! {
        p class="languages" lang="mul" {
            @for tag in Phrases::tags().filter(|tag| *tag != own) {
                a href=(format!("../{tag}/{code}.html")) hreflang=(tag) lang=(tag) { (name_of(tag)) } " "
            }
        }
    }
}

fn name_of(tag: &str) -> &'static str {
    Phrases::of(tag).map_or("English", |phrases| phrases.name())
}

/// A page that stands for itself, around a fragment of HTML from [`pages`]: in the same style, without a script.
pub fn alone(title: &str, tag: &str, direction: Direction, fragment: &str) -> String {
    document(title, tag, direction, Markup::default(), PreEscaped(fragment.to_owned()), None)
}

fn document(title: &str, tag: &str, direction: Direction, above: Markup, body: Markup, script: Option<&str>) -> String {
    let page = html! {
        (DOCTYPE)
        html lang=(tag) dir=(direction.token()) {
            head {
                meta charset="utf-8";
                meta http-equiv="Content-Security-Policy" content=(policy(script));
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="generator" content="sipwhy";
                meta name="color-scheme" content="light dark";
                title { (title) }
                style { (PreEscaped(STYLE)) }
            }
            body {
                @if !above.0.is_empty() { header { (above) } }
                main { (body) }
                @if let Some(script) = script { script { (PreEscaped(script)) } }
            }
        }
    };
    page.into_string() + "\n"
}

/// Allows nothing but this style and this script.
fn policy(script: Option<&str>) -> String {
    let hash = |text: &str| base64::engine::general_purpose::STANDARD.encode(Sha256::digest(text.as_bytes()));
    let scripts = script.map_or("'none'".to_owned(), |script| format!("'sha256-{}'", hash(script)));
    format!(
        "default-src 'none'; style-src 'sha256-{}'; script-src {scripts}; base-uri 'none'; form-action 'none'",
        hash(STYLE)
    )
}
