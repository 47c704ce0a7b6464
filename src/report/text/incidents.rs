//! Incidents: what failed several times in the same way.

use std::io;

use unicode_width::UnicodeWidthStr;

use crate::catalogue::{Phrases, Word};
use crate::report::gatherer::Gathered;
use crate::report::incidents::Group;
use crate::report::text::lines::{Line, Lines, padded, value};
use crate::report::text::style::Ink;
use crate::report::text::words::{confidence, counted, frames, numbers_word};
use crate::report::value::Incident;

/// Incidents that are printed; of more only the number is told.
const MOST_INCIDENTS: usize = 20;
/// Steps of a fix that are printed.
const MOST_STEPS: usize = 4;
/// Numbers of calls that are printed.
pub(crate) const MOST_NUMBERS: usize = 12;
/// Columns of a label, at least.
const LABEL: usize = 7;

pub(crate) fn write(lines: &mut Lines<'_>, gathered: &Gathered) -> io::Result<()> {
    let groups: Vec<&Group> =
        gathered.groups.iter().filter(|group| group.is_incident() && group.selected > 0).collect();
    for group in groups.iter().take(MOST_INCIDENTS) {
        lines.empty()?;
        of_group(lines, group)?;
    }
    let more = groups.len().saturating_sub(MOST_INCIDENTS);
    if more > 0 {
        let words = counted(&lines.style.words, Word::SmallerIncidents, more as u64);
        lines.line(Line::new().ink(Ink::Faint, words))?;
    }
    Ok(())
}

/// The name under which a group is printed, if it is.
pub(crate) fn printed_as(words: &Phrases, group: &Group) -> Option<String> {
    let name = || words.fill(Word::IncidentHeading, &[("number", &group.number)]);
    (1..=MOST_INCIDENTS).contains(&group.number).then(name)
}

fn of_group(lines: &mut Lines<'_>, group: &Group) -> io::Result<()> {
    let incident = &group.incident;
    let words = lines.style.words;
    let count = counted(&words, noun(incident), group.count);
    let heading = format!("✖ {}  ", words.fill(Word::IncidentHeading, &[("number", &group.number)]));
    let title = incident.title.for_terminal();
    let column = lines.width().saturating_sub(count.width());
    let line = Line::new().ink(Ink::Bad, heading.clone());
    if line.width() + title.width() + 2 <= column {
        lines.line(line.ink(Ink::Heading, &*title).filled_to(column).plain(count))?;
    } else {
        lines.line(line.filled_to(column).plain(count))?;
        lines.wrapped(Line::new().plain("  "), &Line::new().plain("  "), &title)?;
    }
    lines.wrapped(Line::new().plain("  "), &Line::new().plain("  "), &when(lines, group))?;
    if let Some(peer) = &incident.peer {
        let agent = incident.agent.as_ref().map(|agent| format!(", {}", value(agent))).unwrap_or_default();
        let peer = value(&lines.style.names.beside(peer).into());
        labelled(lines, words.word(Word::LabelAt), &format!("{peer}{agent}"))?;
    }
    for (index, says) in incident.says.iter().enumerate() {
        labelled(lines, if index == 0 { words.word(Word::LabelOver) } else { "" }, &says.for_terminal())?;
    }
    for (index, step) in incident.fix.iter().take(MOST_STEPS).enumerate() {
        let label = if index == 0 { words.word(Word::LabelFix) } else { "" };
        labelled(lines, label, &format!("{}. {}", index + 1, step.for_terminal()))?;
    }
    let rule = match (&incident.rule, incident.confidence) {
        (Some(rule), Some(sure)) => {
            let parts = [rule, confidence(&words, sure), &frames(&words, &incident.frames, MOST_NUMBERS)];
            parts.join(words.word(Word::Comma))
        }
        _ => words.word(Word::NoRule).into(),
    };
    labelled(lines, words.word(Word::LabelRule), &rule)?;
    labelled(lines, numbers_word(&words, incident.kind), &numbers(&incident.calls, group.count))
}

fn noun(incident: &Incident) -> Word {
    match incident.kind {
        crate::call::Kind::Call => Word::Calls,
        crate::call::Kind::Registration => Word::RegistrationsCounted,
        _ => Word::RequestsCounted,
    }
}

fn when(lines: &Lines<'_>, group: &Group) -> String {
    let incident = &group.incident;
    let zone = &lines.style.zone;
    let words = &lines.style.words;
    let status = incident.status.map_or(words.word(Word::NoFinal).to_owned(), |status| status.to_string());
    let comma = words.word(Word::Comma);
    let (first, last) = (zone.time(incident.first), zone.time(incident.last));
    let day = if zone.day(incident.first) == zone.day(incident.last) {
        String::new()
    } else {
        format!("{} ", zone.day(incident.last))
    };
    let more = if group.called_the_same { "" } else { "…" };
    let all_to = |start| words.fill(Word::AllTo, &[("called", &format!("{}{more}", value(start)))]);
    let called = incident.called.as_ref().map(all_to).unwrap_or_default();
    if day.is_empty() && first == last {
        return format!("{status}{comma}{first}{called}");
    }
    format!("{status}{comma}{first}–{day}{last}{called}")
}

pub(crate) fn numbers(numbers: &[u32], count: u64) -> String {
    let shown: Vec<String> = numbers.iter().take(MOST_NUMBERS).map(u32::to_string).collect();
    let more = if count > shown.len() as u64 { " …" } else { "" };
    format!("{}{more}", shown.join(" "))
}

/// A label, and text beside it.
pub(crate) fn labelled(lines: &mut Lines<'_>, label: &str, text: &str) -> io::Result<()> {
    const LABELS: [Word; 5] = [Word::LabelAt, Word::LabelOver, Word::LabelFix, Word::LabelRule, Word::LabelCalls];
    let width = LABELS.iter().map(|word| lines.style.words.word(*word).width()).fold(LABEL, usize::max);
    let first = Line::new().plain("  ").ink(Ink::Faint, padded(label, width)).plain("  ");
    lines.wrapped(first, &Line::new().plain(" ".repeat(width + 4)), text)
}
