//! The last lines: findings about the capture, and what was odd about the input.

use std::io;

use unicode_width::UnicodeWidthStr;

use crate::catalogue::{Phrases, Word};
use crate::diagnosis::Severity;
use crate::report::gatherer::Gathered;
use crate::report::record::FindingRecord;
use crate::report::text::lines::{Line, Lines, value};
use crate::report::text::no_sip;
use crate::report::text::style::Ink;
use crate::report::text::words::{counted, frames};
use crate::report::value::OddityRecord;

/// Frames of one oddity that are printed.
const MOST_FRAMES: usize = 6;

pub(crate) fn write(lines: &mut Lines<'_>, gathered: &Gathered) -> io::Result<()> {
    let words = lines.style.words;
    let colon = words.word(Word::Colon);
    let odd = gathered.inputs.iter().any(|input| !input.oddities.is_empty());
    if !gathered.notes.is_empty() || odd || gathered.not_kept > 0 {
        lines.empty()?;
    }
    for note in gathered.notes.iter().filter(|note| !no_sip::is_reason(gathered, note)) {
        let ink = if note.severity == Severity::Info { Ink::Faint } else { Ink::Doubtful };
        noted(lines, ink, &sentence(&words, note))?;
        if let Some(step) = note.fix.first() {
            beneath(lines, &format!("→ {}", step.for_terminal()))?;
        }
        if let Some(command) = &note.next_capture {
            beneath(lines, &command.for_terminal())?;
        }
    }
    // A finding of the same name says more than the count of the oddity.
    let is_told = |oddity: &OddityRecord| gathered.notes.iter().any(|note| note.rule == oddity.kind);
    let several = gathered.inputs.len() > 1;
    for input in &gathered.inputs {
        for oddity in input.oddities.iter().filter(|oddity| !is_told(oddity)) {
            let file = if several { format!("{}{colon}", value(&input.file)) } else { String::new() };
            noted(lines, Ink::Faint, &format!("{file}{}", of_oddity(&words, oddity)))?;
        }
    }
    if gathered.not_kept > 0 {
        let text = counted(&words, Word::MoreKinds, gathered.not_kept);
        noted(lines, Ink::Faint, &text)?;
    }
    Ok(())
}

/// What a finding about the capture says, with its frames.
pub(crate) fn sentence(words: &Phrases, note: &FindingRecord) -> String {
    let cited: Vec<_> = note.claims.iter().map(|claim| claim.frame).collect();
    let cited = if cited.is_empty() { String::new() } else { format!(" ({})", frames(words, &cited, MOST_FRAMES)) };
    match note.explanation.is_empty() {
        true => format!("{}{cited}", note.title.for_terminal()),
        // The explanation says what the title says, and more; the name is for `sipwhy explain`.
        false => format!("{}{}{}{cited}", note.rule, words.word(Word::Colon), note.explanation.for_terminal()),
    }
}

fn of_oddity(words: &Phrases, oddity: &OddityRecord) -> String {
    let count = if oddity.count > 1 { counted(words, Word::OftenInParens, oddity.count) } else { String::new() };
    let shown: Vec<String> = oddity.frames.iter().take(MOST_FRAMES).map(u64::to_string).collect();
    let more = if oddity.frames.len() > MOST_FRAMES { " …" } else { "" };
    let shown_frames = format!("{}{more}", shown.join(" "));
    let frames = words.count(Word::FramesList, oddity.frames.len() as u64, &[("frames", &shown_frames)]);
    let cited = if shown.is_empty() { String::new() } else { format!("{}{frames}", words.word(Word::Comma)) };
    format!("{}{}{}{count}{cited}", oddity.kind, words.word(Word::Colon), oddity.says.for_terminal())
}

fn noted(lines: &mut Lines<'_>, ink: Ink, text: &str) -> io::Result<()> {
    let first = Line::new().ink(ink, lines.style.words.word(Word::LabelNote)).plain("  ");
    let rest = Line::new().plain(" ".repeat(first.width()));
    lines.wrapped(first, &rest, text)
}

fn beneath(lines: &mut Lines<'_>, text: &str) -> io::Result<()> {
    let rest = Line::new().plain(" ".repeat(lines.style.words.word(Word::LabelNote).width() + 2));
    lines.wrapped(rest.clone(), &rest, text)
}
