//! The parts of the page around the calls: summary, incidents, capture quality, provenance.

use maud::{Markup, html};

use crate::diagnosis::Severity;
use crate::report::gatherer::Gathered;
use crate::report::html::{Page, shown};
use crate::report::incidents::Group;
use crate::report::text::words::{counted, frames, grouped};
use crate::report::value::{InputRecord, Tool};

/// Incidents that are shown.
const MOST_INCIDENTS: usize = 100;
/// Numbers of calls of one incident that are shown.
const MOST_NUMBERS: usize = 40;

/// What the page is called.
pub(crate) fn title(gathered: &Gathered) -> String {
    let name = match gathered.inputs.as_slice() {
        [one] => shown(&one.file),
        several => counted(several.len() as u64, "capture"),
    };
    let name = if name == "-" { "standard input".to_owned() } else { name };
    let summary = &gathered.summary;
    let failed = summary.failed + summary.dropped + summary.registrations_failed + summary.other_failed;
    match failed {
        0 if gathered.inputs.iter().all(|input| input.sip_messages == 0) => format!("{name}: no SIP found"),
        0 => format!("{name}: nothing failed"),
        failed => format!("{name}: {} failed", grouped(failed)),
    }
}

pub(crate) fn summary(gathered: &Gathered, page: &Page<'_>) -> Markup {
    let summary = &gathered.summary;
    let packets = gathered.inputs.iter().map(|input| input.packets).sum();
    let messages = gathered.inputs.iter().map(|input| input.sip_messages).sum();
    let tiles = [
        (summary.calls, "calls", ""),
        (summary.answered, "answered", "good"),
        (summary.failed, "failed", "bad"),
        (summary.dropped, "dropped", "bad"),
        (summary.busy, "busy", "calm"),
        (summary.cancelled, "cancelled", "calm"),
        (summary.unfinished, "unfinished", "calm"),
        (summary.registrations, "registrations", ""),
        (summary.registrations_failed, "registrations failed", "bad"),
        (summary.other_transactions, "other requests", ""),
        (summary.other_failed, "other requests failed", "bad"),
        (summary.unexplained, "unexplained", "calm"),
    ];
    html! {
        p { (times(gathered, page)) " · " (counted(packets, "packet")) ", " (counted(messages, "SIP message")) }
        ul class="tiles" {
            @for (count, word, class) in tiles.iter().filter(|(count, word, _)| *count > 0 || *word == "calls") {
                li { strong class=(if class.is_empty() { "" } else { "num" }) { (grouped(*count)) } span class=(class) { (word) } }
            }
        }
    }
}

fn times(gathered: &Gathered, page: &Page<'_>) -> String {
    let first = gathered.inputs.iter().filter_map(|input| input.first).min_by_key(|moment| moment.time);
    let last = gathered.inputs.iter().filter_map(|input| input.last).max_by_key(|moment| moment.time);
    let (Some(first), Some(last)) = (first, last) else { return "no packet has a time".into() };
    let zone = page.zone;
    format!(
        "{} {} – {} {}, times in {}",
        zone.day(first),
        zone.time(first),
        zone.day(last),
        zone.time(last),
        zone.name()
    )
}

pub(crate) fn incidents(gathered: &Gathered, page: &Page<'_>) -> Markup {
    let groups: Vec<&Group> =
        gathered.groups.iter().filter(|group| group.is_incident() && group.selected > 0).collect();
    html! {
        section id="incidents" {
            h2 { "Incidents" }
            @if groups.is_empty() { p { "Nothing failed more than once in the same way." } }
            @for group in groups.iter().take(MOST_INCIDENTS) { (incident(group, page)) }
            @if groups.len() > MOST_INCIDENTS {
                p class="faint" { "And " (groups.len() - MOST_INCIDENTS) " smaller ones, which the JSON report lists." }
            }
        }
    }
}

fn incident(group: &Group, page: &Page<'_>) -> Markup {
    let incident = &group.incident;
    let zone = page.zone;
    html! {
        article class="card bad" id=(incident.id) {
            h3 { "Incident " (group.number) ": " (shown(&incident.title)) " " span class="badge" { (counted(group.count, "time")) } }
            p class="faint" {
                @match incident.status { Some(status) => (status), None => "no final response" }
                " · " (zone.day(incident.first)) " " (zone.time(incident.first)) " – "
                (zone.day(incident.last)) " " (zone.time(incident.last))
                @if let Some(called) = &incident.called {
                    " · all to " (shown(called)) @if !group.called_the_same { "…" }
                }
                @if let Some(peer) = &incident.peer { " · at " span class="mono" { (page.look.names.beside(peer)) } }
                @if let Some(agent) = &incident.agent { " " (shown(agent)) }
            }
            @if !incident.says.is_empty() { ul { @for says in &incident.says { li { (shown(says)) } } } }
            @if !incident.fix.is_empty() {
                h4 { "What to do" }
                ol { @for step in &incident.fix { li { (shown(step)) } } }
            }
            p {
                @match (&incident.rule, incident.confidence) {
                    (Some(rule), Some(confidence)) => {
                        "Rule " code { (rule) } ", " (confidence.word()) ", " (frames(&incident.frames, 12))
                    }
                    _ => "Unexplained: no rule fits what the capture shows.",
                }
            }
            p {
                "Calls "
                @for number in incident.calls.iter().take(MOST_NUMBERS) {
                    @if page.detailed.contains(number) { a href=(format!("#call-{number}")) { (number) } } @else { (number) }
                    " "
                }
                @if group.count > MOST_NUMBERS as u64 { "… (" (grouped(group.count)) " in all)" }
            }
        }
    }
}

pub(crate) fn quality(gathered: &Gathered) -> Markup {
    html! {
        section id="quality" {
            h2 { "How good the capture is" }
            @let is_clean = gathered.notes.is_empty() && gathered.inputs.iter().all(|input| input.oddities.is_empty());
            @if is_clean { p { "Nothing about the capture limits what can be said." } }
            @for note in &gathered.notes {
                article class=(if note.severity == Severity::Info { "card" } else { "card calm" }) {
                    h3 { (shown(&note.title)) }
                    @if !note.explanation.is_empty() { p { (shown(&note.explanation)) } }
                    p class="faint" {
                        "Rule " code { (note.rule) } ", " (note.confidence.word())
                        @if !note.claims.is_empty() {
                            ", " (frames(&note.claims.iter().map(|claim| claim.frame).collect::<Vec<_>>(), 8))
                        }
                    }
                    @if !note.fix.is_empty() { ol { @for step in &note.fix { li { (shown(step)) } } } }
                    @if let Some(command) = &note.next_capture { pre { (shown(command)) } }
                }
            }
            @for input in gathered.inputs.iter().filter(|input| !input.oddities.is_empty()) { (oddities(input)) }
        }
    }
}

fn oddities(input: &InputRecord) -> Markup {
    html! {
        div class="scroll" {
            table {
                caption { "What was odd about " (shown(&input.file)) }
                thead { tr { th { "what" } th { "times" } th { "first frames" } th { "for example" } } }
                tbody {
                    @for oddity in &input.oddities {
                        tr {
                            td { code { (oddity.kind) } }
                            td class="num" { (grouped(oddity.count)) }
                            td class="num" {
                                @for frame in oddity.frames.iter().take(8) { (frame) " " }
                            }
                            td { (shown(&oddity.says)) }
                        }
                    }
                }
            }
        }
    }
}

pub(crate) fn provenance(gathered: &Gathered, page: &Page<'_>) -> Markup {
    let tool = Tool::this();
    let limits: Vec<String> = gathered
        .inputs
        .iter()
        .flat_map(|input| input.oddities.iter().filter(|oddity| oddity.kind == "limit-hit"))
        .map(|oddity| format!("{} ({} times)", shown(&oddity.says), grouped(oddity.count)))
        .collect();
    html! {
        section id="provenance" {
            h2 { "Where this comes from" }
            div class="scroll" {
                table {
                    thead { tr { th { "input" } th { "format" } th { "packets" } th { "SIP messages" } th { "SHA-256" } } }
                    tbody {
                        @for input in &gathered.inputs {
                            tr {
                                td { (shown(&input.file)) }
                                td { (input.format) " " (input.link_types.join(" ")) }
                                td class="num" { (grouped(input.packets)) }
                                td class="num" { (grouped(input.sip_messages)) }
                                td class="mono" { (input.sha256.as_deref().unwrap_or("not known: the input was no file")) }
                            }
                        }
                    }
                }
            }
            p { "Made by " (tool.name) " " (tool.version) " with" }
            pre { (crate::untrusted::Untrusted::from(page.provenance.command_for(&gathered.privacy)).for_terminal()) }
            p {
                @if limits.is_empty() { "No limit was hit: nothing of the input was left out for want of room." }
                @else { "Limits that were hit: " (limits.join("; ")) }
            }
        }
    }
}
