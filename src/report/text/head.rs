//! The first lines: which capture, and how its calls ended.

use std::io;

use unicode_width::UnicodeWidthStr;

use crate::report::gatherer::Gathered;
use crate::report::text::lines::{Line, Lines, value};
use crate::report::text::style::{Ink, Zone};
use crate::report::text::words::{counted, grouped};
use crate::report::value::InputRecord;
use crate::report::view::privacy_words;

/// Inputs that are listed; of more only the number is told.
const MOST_INPUTS: usize = 8;

pub(crate) fn write(lines: &mut Lines<'_>, gathered: &Gathered) -> io::Result<()> {
    if let Some(words) = privacy_words(&gathered.privacy) {
        lines.wrapped_in(Ink::Doubtful, &words)?;
    }
    for input in gathered.inputs.iter().take(MOST_INPUTS) {
        of_input(lines, input)?;
    }
    let more = gathered.inputs.len().saturating_sub(MOST_INPUTS);
    if more > 0 {
        lines.line(Line::new().ink(Ink::Faint, format!("and {}", counted(more as u64, "more input"))))?;
    }
    if gathered.inputs.len() > 1 {
        let packets: u64 = gathered.inputs.iter().map(|input| input.packets).sum();
        let messages: u64 = gathered.inputs.iter().map(|input| input.sip_messages).sum();
        let what = format!("{} inputs, {}", gathered.inputs.len(), packets_and_messages(packets, messages));
        lines.line(Line::new().plain(what))?;
    }
    of_calls(lines, gathered)
}

fn of_input(lines: &mut Lines<'_>, input: &InputRecord) -> io::Result<()> {
    let span = span(input, &lines.style.zone);
    let counts = packets_and_messages(input.packets, input.sip_messages);
    let name = match input.file.raw() {
        "-" => "standard input".to_owned(),
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

fn packets_and_messages(packets: u64, messages: u64) -> String {
    format!("{}, {}", counted(packets, "packet"), counted(messages, "SIP message"))
}

fn span(input: &InputRecord, zone: &Zone) -> String {
    let (Some(first), Some(last)) = (input.first, input.last) else { return "no time".into() };
    let day = zone.day(first);
    let last_day = zone.day(last);
    let until = if day == last_day { zone.time(last) } else { format!("{last_day} {}", zone.time(last)) };
    format!("{day} {}–{until} {}", zone.time(first), zone.name())
}

fn of_calls(lines: &mut Lines<'_>, gathered: &Gathered) -> io::Result<()> {
    let summary = &gathered.summary;
    let drops: u64 = gathered.inputs.iter().map(|input| input.drops).sum();
    let drops = match drops {
        0 => "no drops reported".to_owned(),
        drops => format!("{} packets dropped while capturing", grouped(drops)),
    };
    let parts = [
        (summary.answered, Ink::Good, "answered"),
        (summary.dropped, Ink::Bad, "DROPPED"),
        (summary.failed, Ink::Bad, "FAILED"),
        (summary.cancelled, Ink::Plain, "cancelled by the caller"),
        (summary.busy, Ink::Plain, "busy"),
        (summary.unfinished, Ink::Plain, "unfinished"),
    ];
    let mut line = Line::new().plain(counted(summary.calls, "call"));
    let mut separator = ": ";
    for (count, ink, word) in parts.into_iter().filter(|(count, _, _)| *count > 0) {
        let part = format!("{} {word}", grouped(count));
        if line.width() + separator.width() + part.width() > lines.width() {
            lines.line(std::mem::replace(&mut line, Line::new().plain("  ")).plain(","))?;
            separator = "";
        }
        line = line.plain(separator).ink(ink, part);
        separator = ", ";
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
    let mut line = Line::new();
    if summary.registrations > 0 {
        line = line.plain(counted(summary.registrations, "registration"));
        line = with_failed(line, summary.registrations_failed);
    }
    if summary.other_transactions > 0 {
        let separator = if summary.registrations > 0 { ", " } else { "" };
        line = line.plain(format!("{separator}{}", counted(summary.other_transactions, "other request")));
        line = with_failed(line, summary.other_failed);
    }
    if line.width() > 0 { lines.line(line) } else { Ok(()) }
}

fn with_failed(line: Line, failed: u64) -> Line {
    match failed {
        0 => line,
        failed => line.plain(" (").ink(Ink::Bad, format!("{} FAILED", grouped(failed))).plain(")"),
    }
}
