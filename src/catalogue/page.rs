//! A page of the catalogue, before it is printed.
//!
//! Gives the plain value that `report::pages` prints as text, Markdown or HTML. Rules of the diagnosis make such pages
//! from their comments, so that `explain 503` and `explain trunk-congested` look alike.

use serde::{Deserialize, Serialize};

use super::language::Direction;

/// A page: a title, a line beneath it, and sections.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Page {
    /// The language of its words (BCP 47).
    pub language: String,
    /// How that language is written.
    pub direction: Direction,
    /// The title: `503 Service Unavailable`.
    pub title: String,
    /// The line beneath it; may be empty.
    pub subtitle: String,
    /// The sections.
    pub sections: Vec<Section>,
}

/// A part of a page.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Section {
    /// Its heading; empty for the part that stands right beneath the title.
    pub heading: String,
    /// What stands in it.
    pub blocks: Vec<Block>,
}

/// A piece of a section.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Block {
    /// Running text.
    Paragraph(String),
    /// Short facts, one for each line.
    Facts(Vec<Fact>),
    /// A numbered list.
    Numbered(Vec<Item>),
    /// A list.
    Bullets(Vec<Item>),
}

/// A label and what it says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fact {
    /// The label: `Retry`.
    pub label: String,
    /// What it says.
    pub text: String,
}

/// An entry of a list, with facts beneath it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Item {
    /// What is said first, set off; may be empty.
    pub lead: String,
    /// What is said.
    pub text: String,
    /// Facts beneath it; may be empty.
    pub facts: Vec<Fact>,
}

impl Page {
    /// A page in English without sections.
    pub fn new(title: impl Into<String>, subtitle: impl Into<String>) -> Page {
        Page {
            language: "en".to_owned(),
            direction: Direction::Ltr,
            title: title.into(),
            subtitle: subtitle.into(),
            sections: Vec::new(),
        }
    }

    /// With one more section; a section without anything in it is left out.
    pub fn section(mut self, heading: impl Into<String>, blocks: Vec<Block>) -> Page {
        let blocks: Vec<Block> = blocks.into_iter().filter(|block| !block.is_empty()).collect();
        if !blocks.is_empty() {
            self.sections.push(Section { heading: heading.into(), blocks });
        }
        self
    }
}

impl Block {
    /// True if there is nothing to print.
    pub fn is_empty(&self) -> bool {
        match self {
            Block::Paragraph(text) => text.is_empty(),
            Block::Facts(facts) => facts.is_empty(),
            Block::Numbered(items) | Block::Bullets(items) => items.is_empty(),
        }
    }
}

impl Fact {
    /// A label and what it says.
    pub fn new(label: impl Into<String>, text: impl Into<String>) -> Fact {
        Fact { label: label.into(), text: text.into() }
    }
}

impl Item {
    /// An entry of a list.
    pub fn new(lead: impl Into<String>, text: impl Into<String>) -> Item {
        Item { lead: lead.into(), text: text.into(), facts: Vec::new() }
    }

    /// With facts beneath it, those without text left out.
    pub fn with(mut self, facts: Vec<Fact>) -> Item {
        self.facts = facts.into_iter().filter(|fact| !fact.text.is_empty()).collect();
        self
    }
}

impl From<&str> for Block {
    fn from(text: &str) -> Block {
        Block::Paragraph(text.to_owned())
    }
}

impl From<String> for Block {
    fn from(text: String) -> Block {
        Block::Paragraph(text)
    }
}
