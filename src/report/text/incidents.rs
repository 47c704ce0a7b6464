//! Incidents: what failed several times in the same way.

use std::io;

use unicode_width::UnicodeWidthStr;

use crate::report::gatherer::Gathered;
use crate::report::incidents::Group;
use crate::report::text::lines::{Line, Lines, value};
use crate::report::text::style::Ink;
use crate::report::text::words::{counted, frames};
use crate::report::value::Incident;

/// Incidents that are printed; of more only the number is told.
const MOST_INCIDENTS: usize = 20;
/// Steps of a fix that are printed.
const MOST_STEPS: usize = 4;
/// Numbers of calls that are printed.
pub(crate) const MOST_NUMBERS: usize = 12;

pub(crate) fn write(lines: &mut Lines<'_>, gathered: &Gathered) -> io::Result<()> {
    let groups: Vec<&Group> =
        gathered.groups.iter().filter(|group| group.is_incident() && group.selected > 0).collect();
    for group in groups.iter().take(MOST_INCIDENTS) {
        lines.empty()?;
        of_group(lines, group)?;
    }
    let more = groups.len().saturating_sub(MOST_INCIDENTS);
    if more > 0 {
        let words = format!("and {} (--format json lists them all)", counted(more as u64, "smaller incident"));
        lines.line(Line::new().ink(Ink::Faint, words))?;
    }
    Ok(())
}

/// The name under which a group is printed, if it is.
pub(crate) fn printed_as(group: &Group) -> Option<String> {
    (1..=MOST_INCIDENTS).contains(&group.number).then(|| format!("INCIDENT {}", group.number))
}

fn of_group(lines: &mut Lines<'_>, group: &Group) -> io::Result<()> {
    let incident = &group.incident;
    let count = counted(group.count, noun(incident));
    let heading = format!("✖ INCIDENT {}  ", group.number);
    let title = value(&incident.title);
    let column = lines.width().saturating_sub(count.width());
    let line = Line::new().ink(Ink::Bad, heading.clone());
    if line.width() + title.width() + 2 <= column {
        lines.line(line.ink(Ink::Heading, title).filled_to(column).plain(count))?;
    } else {
        lines.line(line.filled_to(column).plain(count))?;
        lines.wrapped(Line::new().plain("  "), &Line::new().plain("  "), &title)?;
    }
    lines.wrapped(Line::new().plain("  "), &Line::new().plain("  "), &when(lines, group))?;
    if let Some(peer) = &incident.peer {
        let agent = incident.agent.as_ref().map(|agent| format!(", {}", value(agent))).unwrap_or_default();
        let peer = value(&lines.style.names.beside(peer).into());
        labelled(lines, "At", &format!("{peer}{agent}"))?;
    }
    for (index, says) in incident.says.iter().enumerate() {
        labelled(lines, if index == 0 { "Over" } else { "" }, &value(says))?;
    }
    for (index, step) in incident.fix.iter().take(MOST_STEPS).enumerate() {
        let label = if index == 0 { "Fix" } else { "" };
        labelled(lines, label, &format!("{}. {}", index + 1, value(step)))?;
    }
    let rule = match (&incident.rule, incident.confidence) {
        (Some(rule), Some(confidence)) => {
            format!("{rule}, {}, {}", confidence.word(), frames(&incident.frames, MOST_NUMBERS))
        }
        _ => "unexplained: no rule fits what the capture shows".into(),
    };
    labelled(lines, "Rule", &rule)?;
    labelled(lines, "Calls", &numbers(&incident.calls, group.count))
}

fn noun(incident: &Incident) -> &'static str {
    match incident.kind {
        crate::call::Kind::Call => "call",
        crate::call::Kind::Registration => "registration",
        _ => "request",
    }
}

fn when(lines: &Lines<'_>, group: &Group) -> String {
    let incident = &group.incident;
    let zone = &lines.style.zone;
    let status = incident.status.map_or("no final response".to_owned(), |status| status.to_string());
    let (first, last) = (zone.time(incident.first), zone.time(incident.last));
    let day = if zone.day(incident.first) == zone.day(incident.last) {
        String::new()
    } else {
        format!("{} ", zone.day(incident.last))
    };
    let more = if group.called_the_same { "" } else { "…" };
    let called = incident.called.as_ref().map(|start| format!(", all to {}{more}", value(start))).unwrap_or_default();
    if day.is_empty() && first == last {
        return format!("{status}, {first}{called}");
    }
    format!("{status}, {first}–{day}{last}{called}")
}

pub(crate) fn numbers(numbers: &[u32], count: u64) -> String {
    let shown: Vec<String> = numbers.iter().take(MOST_NUMBERS).map(u32::to_string).collect();
    let more = if count > shown.len() as u64 { " …" } else { "" };
    format!("{}{more}", shown.join(" "))
}

/// A label, and text beside it.
pub(crate) fn labelled(lines: &mut Lines<'_>, label: &str, text: &str) -> io::Result<()> {
    let first = Line::new().plain("  ").ink(Ink::Faint, format!("{label:<7}")).plain("  ");
    lines.wrapped(first, &Line::new().plain(" ".repeat(11)), text)
}
