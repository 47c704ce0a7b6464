//! The first lines: which capture, and how its calls ended.

use std::io;

use unicode_width::UnicodeWidthStr;

use crate::catalogue::{Phrases, Word};
use crate::report::gatherer::Gathered;
use crate::report::text::lines::{Line, Lines, value};
use crate::report::text::style::{Ink, Zone};
use crate::report::text::words::counted;
use crate::report::value::InputRecord;
use crate::report::view::{in_english, privacy_words};

/// Inputs that are listed; of more only the number is told.
const MOST_INPUTS: usize = 8;

pub(crate) fn write(lines: &mut Lines<'_>, gathered: &Gathered) -> io::Result<()> {
    if let Some(words) = privacy_words(&lines.style.words, &gathered.privacy) {
        lines.wrapped_in(Ink::Doubtful, &words)?;
    }
    for input in gathered.inputs.iter().take(MOST_INPUTS) {
        of_input(lines, input)?;
    }
    let more = gathered.inputs.len().saturating_sub(MOST_INPUTS);
    if more > 0 {
        lines.line(Line::new().ink(Ink::Faint, counted(&lines.style.words, Word::MoreInputs, more as u64)))?;
    }
    if gathered.inputs.len() > 1 {
        let packets: u64 = gathered.inputs.iter().map(|input| input.packets).sum();
        let messages: u64 = gathered.inputs.iter().map(|input| input.sip_messages).sum();
        let words = lines.style.words;
        let inputs = counted(&words, Word::Inputs, gathered.inputs.len() as u64);
        let comma = words.word(Word::Comma);
        let what = format!("{inputs}{comma}{}", packets_and_messages(&words, packets, messages));
        lines.line(Line::new().plain(what))?;
    }
    of_calls(lines, gathered)?;
    match in_english(&lines.style.words, gathered) {
        Some(text) => lines.line(Line::new().ink(Ink::Faint, text)),
        None => Ok(()),
    }
}

fn of_input(lines: &mut Lines<'_>, input: &InputRecord) -> io::Result<()> {
    let words = &lines.style.words;
    let span = span(words, input, &lines.style.zone);
    let counts = packets_and_messages(words, input.packets, input.sip_messages);
    let name = match input.file.raw() {
        "-" => words.word(Word::StandardInput).to_owned(),
        _ => value(&input.file),
    };
    let room = lines.width().saturating_sub(span.width() + counts.width() + 4);
    if name.width() <= room {
        return lines.line(Line::new().ink(Ink::Heading, name).plain(format!("  {span}  {counts}")));
    }
    lines.wrapped_in(Ink::Heading, &name)?;
    let both = format!("{span}  {counts}");
    if both.width() <= lines.width() {
        return lines.line(Line::new().plain(both));
    }
    lines.line(Line::new().plain(span))?;
    lines.line(Line::new().plain(counts))
}

fn packets_and_messages(words: &Phrases, packets: u64, messages: u64) -> String {
    let (packets, messages) = (counted(words, Word::Packets, packets), counted(words, Word::SipMessages, messages));
    format!("{packets}{}{messages}", words.word(Word::Comma))
}

fn span(words: &Phrases, input: &InputRecord, zone: &Zone) -> String {
    let (Some(first), Some(last)) = (input.first, input.last) else { return words.word(Word::NoTime).into() };
    let day = zone.day(first);
    let last_day = zone.day(last);
    let until = if day == last_day { zone.time(last) } else { format!("{last_day} {}", zone.time(last)) };
    format!("{day} {}–{until} {}", zone.time(first), zone.name())
}

fn of_calls(lines: &mut Lines<'_>, gathered: &Gathered) -> io::Result<()> {
    let summary = &gathered.summary;
    let drops = gathered.inputs.iter().map(|input| input.drops).fold(0, u64::saturating_add);
    let words = lines.style.words;
    let drops = match drops {
        0 => words.word(Word::NoDrops).to_owned(),
        drops => counted(&words, Word::Drops, drops),
    };
    let parts = [
        (summary.answered, Ink::Good, Word::SumAnswered),
        (summary.dropped, Ink::Bad, Word::SumDropped),
        (summary.failed, Ink::Bad, Word::SumFailed),
        (summary.told_cancelled(), Ink::Plain, Word::SumCancelled),
        (summary.ended_unseen, Ink::Plain, Word::SumUnseen),
        (summary.told_busy(), Ink::Plain, Word::SumBusy),
        (summary.rejected, Ink::Plain, Word::SumRejected),
        (summary.unfinished, Ink::Plain, Word::SumUnfinished),
    ];
    let mut line = Line::new().plain(counted(&words, Word::Calls, summary.calls));
    let comma = words.word(Word::Comma);
    let mut separator = words.word(Word::Colon);
    for (count, ink, word) in parts.into_iter().filter(|(count, _, _)| *count > 0) {
        let part = counted(&words, word, count);
        if line.width() + separator.width() + part.width() > lines.width() {
            lines.line(std::mem::replace(&mut line, Line::new().plain("  ")).plain(comma.trim_end()))?;
            separator = "";
        }
        line = line.plain(separator).ink(ink, part);
        separator = comma;
    }
    let column = lines.width().saturating_sub(drops.width());
    if line.width() + 2 <= column {
        lines.line(line.filled_to(column).ink(Ink::Faint, drops))?;
    } else {
        lines.line(line)?;
        lines.line(Line::new().ink(Ink::Faint, drops))?;
    }
    of_others(lines, gathered)
}

fn of_others(lines: &mut Lines<'_>, gathered: &Gathered) -> io::Result<()> {
    let summary = &gathered.summary;
    let words = &lines.style.words;
    let mut line = Line::new();
    if summary.registrations > 0 {
        line = line.plain(counted(words, Word::RegistrationsCounted, summary.registrations));
        line = with_failed(words, line, summary.registrations_failed);
    }
    if summary.other_transactions > 0 {
        let separator = if summary.registrations > 0 { words.word(Word::Comma) } else { "" };
        line = line.plain(format!("{separator}{}", counted(words, Word::OtherRequests, summary.other_transactions)));
        line = with_failed(words, line, summary.other_failed);
    }
    if line.width() > 0 { lines.line(line) } else { Ok(()) }
}

fn with_failed(words: &Phrases, line: Line, failed: u64) -> Line {
    match failed {
        0 => line,
        failed => line.plain(" (").ink(Ink::Bad, counted(words, Word::SumFailed, failed)).plain(")"),
    }
}
