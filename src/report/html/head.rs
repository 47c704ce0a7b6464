//! The parts of the page around the calls: summary, incidents, capture quality, provenance.

use maud::{Markup, html};

use crate::catalogue::{Phrases, Word};
use crate::diagnosis::Severity;
use crate::report::gatherer::Gathered;
use crate::report::html::{Page, shown, shown_with_code};
use crate::report::incidents::Group;
use crate::report::text::words::{confidence, counted, frames, grouped, numbers_word};
use crate::report::value::{InputRecord, Tool};
use crate::untrusted::Untrusted;

/// Incidents that are shown.
const MOST_INCIDENTS: usize = 100;
/// Numbers of calls of one incident that are shown.
const MOST_NUMBERS: usize = 40;

/// Frames of an incident that are linked.
const MOST_FRAMES: usize = 12;
/// Frames of a note on the capture: there are many notes, and each is one line.
const MOST_FRAMES_OF_NOTE: usize = 8;

/// Columns of what was odd.
const ODD_COLUMNS: [Word; 4] = [Word::ColumnWhat, Word::ColumnTimes, Word::ColumnFirstFrames, Word::ColumnExample];

/// What the page is called.
pub(crate) fn title(words: &Phrases, gathered: &Gathered) -> String {
    let name = match gathered.inputs.as_slice() {
        [one] => shown(&one.file),
        several => counted(words, Word::Captures, several.len() as u64),
    };
    let name = if name == "-" { words.word(Word::StandardInput).to_owned() } else { name };
    let summary = &gathered.summary;
    let failed = summary.failed + summary.dropped + summary.registrations_failed + summary.other_failed;
    match failed {
        0 if gathered.inputs.iter().all(|input| input.sip_messages == 0) => {
            words.fill(Word::TitleNoSip, &[("name", &name)])
        }
        0 => match worst_of_all(gathered) {
            Some(title) => format!("{name}{}{}", words.word(Word::Colon), shown(title)),
            None => words.fill(Word::TitleWell, &[("name", &name)]),
        },
        failed => words.count(Word::TitleFailed, failed, &[("name", &name), ("count", &grouped(failed))]),
    }
}

/// What is worst of all that was found, if that is more than a fact.
fn worst_of_all(gathered: &Gathered) -> Option<&Untrusted> {
    let of_group =
        gathered.groups.iter().find(|group| group.incident.rule.is_some()).map(|group| &group.incident.title);
    let of_note =
        || gathered.notes.iter().filter(|note| note.severity != Severity::Info).min_by_key(|note| note.severity);
    of_group.or_else(|| of_note().map(|note| &note.title))
}

pub(crate) fn summary(gathered: &Gathered, page: &Page<'_>) -> Markup {
    let summary = &gathered.summary;
    let packets = gathered.inputs.iter().map(|input| input.packets).sum();
    let messages = gathered.inputs.iter().map(|input| input.sip_messages).sum();
    let tiles = [
        (summary.calls, Word::TileCalls, ""),
        (summary.answered, Word::TileAnswered, "good"),
        (summary.failed, Word::TileFailed, "bad"),
        (summary.dropped, Word::TileDropped, "bad"),
        (summary.told_busy(), Word::TileBusy, "calm"),
        (summary.rejected, Word::OutcomeRejected, "calm"),
        (summary.told_cancelled(), Word::TileCancelled, "calm"),
        (summary.ended_unseen, Word::OutcomeUnseen, "calm"),
        (summary.unfinished, Word::TileUnfinished, "calm"),
        (summary.registrations, Word::TileRegistrations, ""),
        (summary.registrations_failed, Word::TileRegistrationsFailed, "bad"),
        (summary.other_transactions, Word::TileOthers, ""),
        (summary.other_failed, Word::TileOthersFailed, "bad"),
        (summary.unexplained, Word::TileUnexplained, "calm"),
    ];
    let words = &page.look.words;
    html! {
        p {
            (times(gathered, page)) " · " (counted(words, Word::Packets, packets)) (words.word(Word::Comma))
            (counted(words, Word::SipMessages, messages))
        }
        ul class="tiles" {
            @for (count, word, class) in tiles.iter().filter(|(count, word, _)| *count > 0 || *word == Word::TileCalls) {
                li { strong class=(if class.is_empty() { "" } else { "num" }) { (grouped(*count)) } span class=(class) { (words.count(*word, *count, &[])) } }
            }
        }
    }
}

fn times(gathered: &Gathered, page: &Page<'_>) -> String {
    let first = gathered.inputs.iter().filter_map(|input| input.first).min_by_key(|moment| moment.time);
    let last = gathered.inputs.iter().filter_map(|input| input.last).max_by_key(|moment| moment.time);
    let (Some(first), Some(last)) = (first, last) else { return page.look.words.word(Word::NoPacketTime).into() };
    let zone = page.zone;
    let [first, last] = [first, last].map(|moment| format!("{} {}", zone.day(moment), zone.time(moment)));
    page.look.words.fill(Word::TimesIn, &[("first", &first), ("last", &last), ("zone", &zone.name())])
}

pub(crate) fn incidents(gathered: &Gathered, page: &Page<'_>) -> Markup {
    let groups: Vec<&Group> =
        gathered.groups.iter().filter(|group| group.is_incident() && group.selected > 0).collect();
    let words = &page.look.words;
    html! {
        section id="incidents" {
            h2 { (words.word(Word::NavIncidents)) }
            @if groups.is_empty() { p { (words.word(Word::NothingTwice)) } }
            @for group in groups.iter().take(MOST_INCIDENTS) { (incident(group, page)) }
            @if groups.len() > MOST_INCIDENTS {
                p class="faint" { (counted(words, Word::AndSmaller, (groups.len() - MOST_INCIDENTS) as u64)) }
            }
        }
    }
}

fn incident(group: &Group, page: &Page<'_>) -> Markup {
    let incident = &group.incident;
    let zone = page.zone;
    let words = &page.look.words;
    let comma = words.word(Word::Comma);
    let title = words.fill(Word::IncidentTitle, &[("number", &group.number), ("title", &shown(&incident.title))]);
    html! {
        article class="card bad" id=(incident.id) {
            h3 { (title) " " span class="badge" { (counted(words, Word::Times, group.count)) } }
            p class="faint" {
                @match incident.status { Some(status) => (status), None => (words.word(Word::NoFinal)) }
                " · " (zone.day(incident.first)) " " (zone.time(incident.first)) " – "
                (zone.day(incident.last)) " " (zone.time(incident.last))
                @if let Some(called) = &incident.called {
                    @let more = if group.called_the_same { "" } else { "…" };
                    " · " (words.fill(Word::AllToMark, &[("called", &format!("{}{more}", shown(called)))]))
                }
                @if let Some(peer) = &incident.peer { " · " (words.word(Word::PeerAt)) " " span class="mono" { (page.look.names.beside(peer)) } }
                @if let Some(agent) = &incident.agent { " " (shown(agent)) }
            }
            @if !incident.says.is_empty() { ul { @for says in &incident.says { li { (shown(says)) } } } }
            @if !incident.fix.is_empty() {
                h4 { (words.word(Word::WhatToDo)) }
                ol { @for step in &incident.fix { li { (shown_with_code(step)) } } }
            }
            p {
                @match (&incident.rule, incident.confidence) {
                    (Some(rule), Some(sure)) => {
                        (words.word(Word::LabelRule)) " " code { (rule) } (comma) (confidence(words, sure)) (comma)
                        (frames(words, &incident.frames, MOST_FRAMES))
                    }
                    _ => (words.word(Word::NoRuleSentence)),
                }
            }
            p {
                (numbers_word(words, incident.kind)) " "
                @for number in incident.calls.iter().take(MOST_NUMBERS) {
                    @if page.detailed.contains(number) { a href=(format!("#call-{number}")) { (number) } } @else { (number) }
                    " "
                }
                @if group.count > MOST_NUMBERS as u64 { (counted(words, Word::InAll, group.count)) }
            }
        }
    }
}

pub(crate) fn quality(gathered: &Gathered, page: &Page<'_>) -> Markup {
    let words = &page.look.words;
    let comma = words.word(Word::Comma);
    html! {
        section id="quality" {
            h2 { (words.word(Word::CaptureQuality)) }
            @let is_clean = gathered.notes.is_empty() && gathered.inputs.iter().all(|input| input.oddities.is_empty());
            @if is_clean { p { (words.word(Word::CaptureClean)) } }
            @for note in &gathered.notes {
                article class=(if note.severity == Severity::Info { "card" } else { "card calm" }) {
                    h3 { (shown(&note.title)) }
                    @if !note.explanation.is_empty() { p { (shown_with_code(&note.explanation)) } }
                    p class="faint" {
                        (words.word(Word::LabelRule)) " " code { (note.rule) } (comma) (confidence(words, note.confidence))
                        @if !note.claims.is_empty() {
                            (comma) (frames(words, &note.claims.iter().map(|claim| claim.frame).collect::<Vec<_>>(), MOST_FRAMES_OF_NOTE))
                        }
                    }
                    @if !note.fix.is_empty() { ol { @for step in &note.fix { li { (shown_with_code(step)) } } } }
                    @if let Some(command) = &note.next_capture { pre { (shown(command)) } }
                }
            }
            @for input in gathered.inputs.iter().filter(|input| !input.oddities.is_empty()) { (oddities(words, input)) }
        }
    }
}

fn oddities(words: &Phrases, input: &InputRecord) -> Markup {
    html! {
        div class="scroll" {
            table {
                caption { (words.fill(Word::OddAbout, &[("file", &shown(&input.file))])) }
                thead { tr { @for column in ODD_COLUMNS { th { (words.word(column)) } } } }
                tbody {
                    @for oddity in &input.oddities {
                        tr {
                            td { code { (oddity.kind) } }
                            td class="num" { (grouped(oddity.count)) }
                            td class="num" {
                                @for frame in oddity.frames.iter().take(MOST_FRAMES_OF_NOTE) { (frame) " " }
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
    let words = &page.look.words;
    let tool = Tool::this();
    let tool = format!("{} {}", tool.name, tool.version);
    let limits: Vec<String> = gathered
        .inputs
        .iter()
        .flat_map(|input| input.oddities.iter().filter(|oddity| oddity.kind == "limit-hit"))
        .map(|oddity| format!("{}{}", shown(&oddity.says), counted(words, Word::OftenInParens, oddity.count)))
        .collect();
    html! {
        section id="provenance" {
            h2 { (words.word(Word::ProvenanceTitle)) }
            div class="scroll" {
                table {
                    thead {
                        tr {
                            th { (words.word(Word::ColumnInput)) } th { (words.word(Word::ColumnFormat)) }
                            th { (words.word(Word::ColumnPackets)) } th { (words.word(Word::ColumnSipMessages)) } th { "SHA-256" }
                        }
                    }
                    tbody {
                        @for input in &gathered.inputs {
                            tr {
                                td { (shown(&input.file)) }
                                td { (input.format) " " (input.link_types.join(" ")) }
                                td class="num" { (grouped(input.packets)) }
                                td class="num" { (grouped(input.sip_messages)) }
                                td class="mono" { (input.sha256.as_deref().unwrap_or(words.word(Word::HashUnknown))) }
                            }
                        }
                    }
                }
            }
            p { (words.fill(Word::MadeBy, &[("tool", &tool)])) }
            pre { (crate::untrusted::Untrusted::from(page.provenance.command_for(words, &gathered.privacy)).for_terminal()) }
            p {
                @if limits.is_empty() { (words.word(Word::NoLimit)) }
                @else { (words.fill(Word::LimitsHit, &[("limits", &limits.join("; "))])) }
            }
        }
    }
}
