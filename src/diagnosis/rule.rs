//! What a rule is: a name, a page, and a pure function of a case.

use std::sync::{Arc, OnceLock};

use crate::diagnosis::capture_case::CaptureCase;
use crate::diagnosis::case::Case;
use crate::diagnosis::facts::Facts;
use crate::diagnosis::finding::{Finding, Reference};

/// A rule of the diagnosis. Made by the macro `rule!`.
#[derive(Debug, Clone)]
pub struct Rule {
    /// Its place in the specification: family and number.
    pub id: &'static str,
    /// Its name, in kebab-case: for the fault, not for the cure.
    pub name: &'static str,
    /// Its page, in Markdown: the title and the six headings.
    pub page: &'static str,
    /// What a call has to show for the rule to be asked about it: all of one of these; nothing if there is none.
    pub needs: &'static [Facts],
    /// What it looks at.
    pub check: Check,
    /// What every finding of it takes from its page, read when it is first asked for.
    #[doc(hidden)]
    pub read: OnceLock<ReadPage>,
}

/// What every finding of a rule takes from the rule's page.
#[derive(Debug, Clone)]
pub struct ReadPage {
    title: &'static str,
    references: Arc<[Reference]>,
}

/// What a rule looks at.
#[derive(Debug, Clone, Copy)]
pub enum Check {
    /// One call.
    Call(fn(&Case<'_>) -> Option<Finding>),
    /// The capture as a whole.
    Capture(fn(&CaptureCase<'_>) -> Option<Finding>),
    /// Each call, and the capture as a whole.
    Both(fn(&Case<'_>) -> Option<Finding>, fn(&CaptureCase<'_>) -> Option<Finding>),
    /// The capture as a whole, which may hold the fault several times, each with its own parties.
    CaptureEach(fn(&CaptureCase<'_>) -> Vec<Finding>),
    /// The same, and each call.
    BothEach(fn(&Case<'_>) -> Option<Finding>, fn(&CaptureCase<'_>) -> Vec<Finding>),
}

impl Check {
    /// The check of one call, if there is one.
    pub fn of_call(self) -> Option<fn(&Case<'_>) -> Option<Finding>> {
        match self {
            Check::Call(check) | Check::Both(check, _) | Check::BothEach(check, _) => Some(check),
            Check::Capture(_) | Check::CaptureEach(_) => None,
        }
    }

    /// What it finds of the capture as a whole.
    pub fn of_capture(self, case: &CaptureCase<'_>) -> Vec<Finding> {
        match self {
            Check::Capture(check) | Check::Both(_, check) => check(case).into_iter().collect(),
            Check::CaptureEach(check) | Check::BothEach(_, check) => check(case),
            Check::Call(_) => Vec::new(),
        }
    }
}

impl Rule {
    /// True if it finds anything in a case, whatever the case shows.
    pub fn holds(&self, case: &Case<'_>) -> bool {
        self.check.of_call().is_some_and(|check| check(case).is_some())
    }

    /// The first line of its page, without the full stop.
    pub fn title(&self) -> &'static str {
        self.read_page().title
    }

    /// A section of its page by its heading, unwrapped into one paragraph per blank line.
    pub fn section(&self, heading: &str) -> Option<String> {
        let mut lines = self.page.lines().map(str::trim).skip_while(|line| line.strip_prefix("## ") != Some(heading));
        lines.next()?;
        let body: Vec<&str> = lines.take_while(|line| !line.starts_with("## ")).collect();
        Some(body.join("\n").trim().to_owned())
    }

    /// The headings of every page, in order.
    pub const HEADINGS: [&'static str; 6] =
        ["What it says", "Why it happens", "Evidence", "How to fix", "When it would be wrong", "References"];

    /// What stands under *References*, read.
    pub fn references(&self) -> Arc<[Reference]> {
        Arc::clone(&self.read_page().references)
    }

    fn read_page(&self) -> &ReadPage {
        self.read.get_or_init(|| {
            let line =
                self.page.trim_ascii_start().split_once('\n').map_or(self.page, |(line, _)| line).trim_ascii_end();
            let title = line.strip_suffix('.').unwrap_or(line);
            ReadPage { title, references: self.parse_references().into() }
        })
    }

    fn parse_references(&self) -> Vec<Reference> {
        let text = self.section("References").unwrap_or_default();
        let mut references = Vec::new();
        let mut doc = String::new();
        for part in text.split([',', ';', '\n']) {
            let part = part.trim().trim_end_matches('.');
            let (name, section) = part.split_once('§').unwrap_or((part, ""));
            if !name.trim().is_empty() {
                doc = name.trim().to_owned();
            }
            if !doc.is_empty() {
                references.push(Reference { doc: doc.clone(), section: section.trim().to_owned() });
            }
        }
        references
    }
}

/// Makes a rule of its page, its place in the specification, its name, what a call needs to show for it, and its check.
///
/// The comment is at once the rustdoc, what `explain` prints, and a chapter of the manual.
macro_rules! rule {
    ($(#[doc = $line:literal])+ $id:literal $name:literal $(needs $([$($fact:tt)+])+)?, $check:ident) => {
        crate::diagnosis::rule::rule!(@ [$($line)+] $id $name [$($([$($fact)+])+)?] Call $check);
    };
    ($(#[doc = $line:literal])+ $id:literal $name:literal $(needs $([$($fact:tt)+])+)?, $check:ident, capture $of_capture:ident) => {
        crate::diagnosis::rule::rule!(@ [$($line)+] $id $name [$($([$($fact)+])+)?] Both $check, $of_capture);
    };
    ($(#[doc = $line:literal])+ $id:literal $name:literal $(needs $([$($fact:tt)+])+)?, $check:ident, each of capture $of_capture:ident) => {
        crate::diagnosis::rule::rule!(@ [$($line)+] $id $name [$($([$($fact)+])+)?] BothEach $check, $of_capture);
    };
    ($(#[doc = $line:literal])+ $id:literal $name:literal, each of capture $check:ident) => {
        crate::diagnosis::rule::rule!(@ [$($line)+] $id $name [] CaptureEach $check);
    };
    ($(#[doc = $line:literal])+ $id:literal $name:literal, capture $check:ident) => {
        crate::diagnosis::rule::rule!(@ [$($line)+] $id $name [] Capture $check);
    };
    (@ [$($line:literal)+] $id:literal $name:literal [$([$($fact:tt)+])*] $kind:ident $($check:ident),+) => {
        $(#[doc = $line])+
        pub static RULE: crate::diagnosis::rule::Rule = crate::diagnosis::rule::Rule {
            id: $id,
            name: $name,
            page: concat!($($line, "\n"),+),
            needs: &[$(crate::diagnosis::Facts::NONE$(.and(crate::diagnosis::rule::fact!($fact)))+),*],
            check: crate::diagnosis::rule::Check::$kind($($check),+),
            read: std::sync::OnceLock::new(),
        };
    };
}
pub(crate) use rule;

/// What a rule needs: a fact by its name, or the code of a response.
macro_rules! fact {
    ($code:literal) => {
        crate::diagnosis::Facts::code($code)
    };
    ($fact:ident) => {
        crate::diagnosis::Facts::$fact
    };
}
pub(crate) use fact;
