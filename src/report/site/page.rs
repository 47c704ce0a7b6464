//! A page of the catalogue as HTML whose codes, rules and causes are links.

use maud::{Markup, html};

use crate::catalogue::{Block, Fact, Item, Page};
use crate::report::pages;
use crate::report::site::Known;
use crate::untrusted::Untrusted;

/// The page, with links to what has a page of its own.
pub(super) fn article(page: &Page, known: &Known<'_>) -> Markup {
    let of = Of { language: &page.language, colon: pages::colon_of(page), known };
    html! {
        article {
            h1 { bdi { (shown(&page.title)) } }
            @if !page.subtitle.is_empty() { p class="subtitle" { (shown(&page.subtitle)) } }
            @for section in &page.sections {
                section {
                    @if !section.heading.is_empty() { h2 { (shown(&section.heading)) } }
                    @for block in &section.blocks { (of.block(block)) }
                }
            }
        }
    }
}

struct Of<'a> {
    language: &'a str,
    colon: &'a str,
    known: &'a Known<'a>,
}

impl Of<'_> {
    fn block(&self, block: &Block) -> Markup {
        match block {
            Block::Paragraph(text) => html! { p dir="auto" { (shown(text)) } },
            Block::Facts(facts) => self.facts(facts),
            Block::Numbered(items) => html! { ol { @for item in items { (self.item(item)) } } },
            Block::Bullets(items) => html! { ul { @for item in items { (self.item(item)) } } },
        }
    }

    fn item(&self, item: &Item) -> Markup {
        html! {
            li dir="auto" {
                @if !item.lead.is_empty() { strong { (self.linked(&item.lead)) } }
                @if !item.lead.is_empty() && !item.text.is_empty() { (self.colon) }
                (shown(&item.text))
                (self.facts(&item.facts))
            }
        }
    }

    fn facts(&self, facts: &[Fact]) -> Markup {
        html! {
            @if !facts.is_empty() {
                dl {
                    @for fact in facts {
                        dt { (shown(&fact.label)) }
                        dd dir="auto" {
                            @if fact.label == "Q.850" {
                                @for (place, part) in fact.text.split("; ").enumerate() {
                                    @if place > 0 { "; " }
                                    (self.cause(part))
                                }
                            } @else {
                                @for (place, part) in fact.text.split(", ").enumerate() {
                                    @if place > 0 { ", " }
                                    (self.linked(part))
                                }
                            }
                        }
                    }
                }
            }
        }
    }

    /// A cause of Q.850 with its name, as a link to it.
    fn cause(&self, words: &str) -> Markup {
        let number = words.split(' ').next().unwrap_or_default();
        to(self.known.link(&format!("q850-{number}"), self.language), words)
    }

    /// Words that name a page, as a link to it.
    fn linked(&self, words: &str) -> Markup {
        to(self.known.link(words, self.language), words)
    }
}

fn to(href: Option<String>, words: &str) -> Markup {
    html! {
        @match href {
            Some(href) => a href=(href) { (shown(words)) },
            None => (shown(words)),
        }
    }
}

/// An overlay file may hold anything: what would be invisible is spelled out.
fn shown(text: &str) -> String {
    Untrusted::from(text).for_terminal().into_owned()
}
