//! One call in detail: what ended it and why, its picture, every message, a good one beside it, and the ticket.

use maud::{Markup, html};

use crate::catalogue::{Phrases, Word};
use crate::diagnosis::Severity;
use crate::report::decisive::decisive;
use crate::report::drawing::{self, Links};
use crate::report::html::comparison;
use crate::report::html::{Page, frame_link, shown, shown_with_code};
use crate::report::incidents::Group;
use crate::report::mark::Mark;
use crate::report::record::{CallRecord, FindingRecord, Rung};
use crate::report::text::ended::how_it_ended;
use crate::report::text::words::{absent, between, confidence, counted, title};
use crate::report::ticket::{self, Ticket};
use crate::report::transcript::Transcripts;
use crate::report::value::InputRecord;
use crate::report::view::{else_found, is_well, telling};
use crate::untrusted::Untrusted;

/// Legs whose Call-IDs are shown.
const MOST_LEGS: usize = 8;
/// Claims of a finding that are shown.
const MOST_CLAIMS: usize = 30;
/// Columns of a proof.
const CLAIM_COLUMNS: [Word; 4] = [Word::ColumnFrame, Word::ColumnField, Word::ColumnValue, Word::ColumnSays];
/// Columns of a ladder.
const LADDER_COLUMNS: [Word; 6] =
    [Word::ColumnFrame, Word::ColumnTime, Word::ColumnFrom, Word::ColumnTo, Word::ColumnMessage, Word::ColumnCitedBy];

/// Everything that is known for the article of a call.
pub(crate) struct Whole<'a> {
    pub(crate) record: &'a CallRecord,
    pub(crate) transcripts: &'a Transcripts,
    pub(crate) group: Option<&'a Group>,
    pub(crate) notes: &'a [FindingRecord],
    pub(crate) inputs: &'a [InputRecord],
    /// The language in which the catalogue speaks.
    pub(crate) language: &'a Phrases,
    pub(crate) page: &'a Page<'a>,
}

pub(crate) fn article(whole: &Whole<'_>) -> Markup {
    let Whole { record, page, .. } = whole;
    let words = &page.look.words;
    let worst = record.findings.iter().map(|finding| finding.severity).min();
    let class = if is_well(record) {
        match worst {
            Some(Severity::Error) => "bad",
            Some(Severity::Warning) => "calm",
            Some(Severity::Info) | None => "good",
        }
    } else if record.outcome.is_failed() {
        "bad"
    } else {
        "calm"
    };
    html! {
        article class=(format!("card {class}")) id=(format!("call-{}", record.id)) {
            h3 { (title(words, record)) " " span class=(format!("badge {class}")) { (how_it_ended(words, record).1) } }
            p class="faint" {
                (page.zone.day(record.started)) " " (page.zone.exact_time(record.started)) " " (page.zone.name())
                @if let Some(uri) = &record.request_uri { " · " (words.word(Word::ToUri)) " " span class="mono" { (shown(uri)) } }
            }
            @for (index, leg) in record.legs.iter().enumerate().take(MOST_LEGS) {
                p class="faint" {
                    (words.fill(Word::Leg, &[("number", &(index + 1))])) span class="mono" { (leg.shown_call_id(shown)) } " · "
                    (leg.from_addr) " → " (leg.to_addr) " · " (leg.transport)
                    @if let Some(by) = &leg.linked_by { " · " (words.fill(Word::SameCall, &[("by", &shown(by))])) }
                }
            }
            @if let Some(group) = whole.group.filter(|group| group.count > 1) {
                p {
                    (counted(words, Word::WentSameWay, group.count - 1))
                    @if group.is_incident() {
                        (words.word(Word::Colon))
                        a href=(format!("#{}", group.incident.id)) { (words.fill(Word::IncidentLink, &[("number", &group.number)])) }
                    }
                }
            }
            (causes(whole))
            figure {
                (drawing::ladder(record, page.look, Links::ToMessages))
                figcaption class="faint" { (words.word(Word::ArrowLeads)) }
            }
            (messages(whole))
            (comparison::of_call(whole))
            (ticket_of(whole))
        }
    }
}

fn causes(whole: &Whole<'_>) -> Markup {
    let record = whole.record;
    let told = telling(record);
    let words = &whole.page.look.words;
    let others = else_found(record);
    // The page may be written in the other direction.
    let direction = Some(whole.language.direction())
        .filter(|direction| *direction != words.direction())
        .map(|direction| direction.token());
    let meaning = decisive(record).and_then(|failure| failure.catalogue.as_ref());
    html! {
        @match told {
            Some(finding) => div class="cause" { (of_finding(whole, finding)) },
            None if record.unexplained => p class="cause" { (words.word(Word::NoRuleSentence)) },
            None => {}
        }
        @for (label, says) in beside(record) {
            p { strong { (words.word(label)) } " " (shown(&says)) }
        }
        @if let Some(entry) = meaning {
            details {
                summary { (words.fill(Word::WhatMeans, &[("code", &format!("{} {}", entry.code, entry.name))])) }
                div lang=(whole.language.tag()) dir=[direction] { p { (entry.description) } p { (entry.when) } p { (entry.fix) } }
                p class="faint" { (entry.reference) }
            }
        }
        @if !others.is_empty() {
            details open[others.iter().any(|finding| finding.severity != Severity::Info)] {
                summary { (words.fill(Word::ElseFound, &[("count", &others.len())])) }
                @for finding in others { div class="card" { (of_finding(whole, finding)) } }
            }
        }
    }
}

/// What stands beside the cause: where the response came from that failed the call, and the nearest call that went
/// well.
fn beside(record: &CallRecord) -> impl Iterator<Item = (Word, Untrusted)> {
    let origin = record.generated_by.as_ref().map(|origin| (Word::LabelFrom, origin.words().into()));
    let good = record.good_call.as_ref().map(|good| (Word::LabelGood, good.words().into()));
    origin.into_iter().chain(good)
}

fn of_finding(whole: &Whole<'_>, finding: &FindingRecord) -> Markup {
    let record = whole.record;
    let words = &whole.page.look.words;
    let sure = confidence(words, finding.confidence);
    html! {
        p { strong { (shown(&finding.title)) } " " span class="badge" { (sure) } " " code { (finding.rule) } }
        @if !finding.explanation.is_empty() { p { (shown_with_code(&finding.explanation)) } }
        @if !finding.claims.is_empty() {
            div class="scroll" {
                table class="claims" {
                    caption class="faint" { (words.word(Word::ProofCaption)) }
                    thead { tr { @for column in CLAIM_COLUMNS { th { (words.word(column)) } } } }
                    tbody {
                        @for claim in finding.claims.iter().take(MOST_CLAIMS) {
                            tr {
                                td class="num" { (frame_link(whole.page, record, claim.frame)) }
                                @if let Some(not_seen) = absent(words, claim) {
                                    td colspan="3" { (not_seen) }
                                } @else {
                                    td { code { (claim.field) } }
                                    td class="mono" { (shown(&claim.value)) }
                                    td { (shown(&claim.says)) }
                                }
                            }
                        }
                    }
                }
            }
        }
        @if !finding.refuted.is_empty() {
            h4 { (words.word(Word::WhatRuledOut)) }
            ul { @for refuted in &finding.refuted { li { code { (refuted.rule) } (words.word(Word::Colon)) (shown(&refuted.why)) } } }
        }
        @if !finding.fix.is_empty() {
            h4 { (words.word(Word::WhatToDo)) }
            ol { @for step in &finding.fix { li { (shown_with_code(step)) } } }
        }
        @if let Some(command) = &finding.next_capture { h4 { (words.word(Word::WhatSettles)) } pre { (shown(command)) } }
        @if !finding.rfc.is_empty() {
            p class="faint" {
                @for reference in &finding.rfc { (reference.doc) @if !reference.section.is_empty() { " §" (reference.section) } " " }
            }
        }
    }
}

fn messages(whole: &Whole<'_>) -> Markup {
    let Whole { record, page, .. } = whole;
    let texts = whole.transcripts.of(record.id).unwrap_or_default();
    let words = &page.look.words;
    let count = counted(words, Word::Messages, record.ladder.len() as u64);
    html! {
        details {
            summary { (words.fill(Word::LadderTable, &[("messages", &count)])) }
            div class="scroll" {
                table {
                    thead { tr { @for column in LADDER_COLUMNS { th { (words.word(column)) } } } }
                    tbody {
                        @for (index, rung) in record.ladder.iter().enumerate().take(texts.len()) {
                            tr {
                                td class="num" { a href=(format!("#{}", drawing::anchor(record.id, index))) { (rung.frame) } }
                                td class="num" { (format!("+{:.6}", between(record.started, rung.time).as_secs_f64())) }
                                td class="mono" { (rung.from_addr) } td class="mono" { (rung.to_addr) }
                                td { (shown(&rung.shown_label())) @if rung.repeats > 0 { " ×" (rung.repeats + 1) } }
                                td { (rung.findings.join(", ")) }
                            }
                        }
                    }
                }
            }
        }
        div class="messages" {
            @for (index, (rung, text)) in record.ladder.iter().zip(texts).enumerate() {
                details class="message" {
                    summary {
                        span class="num" { (words.fill(Word::FrameNumber, &[("frame", &rung.frame)])) " · " (page.zone.exact_time(rung.time)) }
                        " · "
                        span class=(badge(record, rung)) { (shown(&rung.shown_label())) } " · "
                        span class="mono faint" { (rung.from_addr) " → " (rung.to_addr) }
                    }
                    pre id=(drawing::anchor(record.id, index)) tabindex="-1" {
                        @match text {
                            Some(text) => (marked(record, rung, text)),
                            None => (words.fill(Word::IcmpQuotes, &[("label", &shown(&rung.label))])),
                        }
                    }
                }
            }
            @if texts.len() < record.ladder.len() {
                p class="faint" { (words.fill(Word::OnlyFirst, &[("shown", &texts.len()), ("all", &record.ladder.len())])) }
            }
        }
    }
}

fn badge(record: &CallRecord, rung: &Rung) -> &'static str {
    match Mark::of(record, rung) {
        Mark::Failed => "badge bad",
        Mark::Good => "badge good",
        Mark::Normal => "badge calm",
        Mark::Plain => "badge",
    }
}

/// A message, the lines marked that the findings cite.
fn marked(record: &CallRecord, rung: &Rung, text: &str) -> Markup {
    let claims = record.findings.iter().flat_map(|finding| &finding.claims);
    let cited: Vec<(&str, &str)> = claims
        .filter(|claim| claim.frame == rung.frame)
        .map(|claim| (claim.field.as_str(), claim.value.raw()))
        .collect();
    html! {
        @for (index, line) in text.lines().enumerate() {
            @let line_shown = crate::untrusted::Untrusted::from(line.trim_end_matches('\r'));
            @if cited.iter().any(|(field, value)| proves(field, value, index, line)) {
                mark { (line_shown.for_terminal()) }
            } @else {
                (line_shown.for_terminal())
            }
            "\n"
        }
    }
}

/// True if a line of a message holds what a Wireshark field shows.
pub(crate) fn proves(field: &str, value: &str, index: usize, line: &str) -> bool {
    let lower = field.to_ascii_lowercase();
    if index == 0 {
        return ["sip.status-code", "sip.method", "sip.request-line", "sip.status-line"].contains(&lower.as_str())
            || lower.starts_with("sip.r-uri");
    }
    if lower.starts_with("sdp.") {
        return line.get(1..2) == Some("=") && !value.is_empty() && line.contains(value);
    }
    let Some(rest) = lower.strip_prefix("sip.") else { return false };
    let Some((name, held)) = line.split_once(':') else { return false };
    let name = long_name(name.trim()).to_ascii_lowercase();
    let named = rest.split('.').next().unwrap_or_default();
    match named {
        "auth" => name.contains("auth") && held.contains(value),
        _ => name == named || (name == rest),
    }
}

/// The long form of a compact name (RFC 3261 §7.3.3).
fn long_name(name: &str) -> &str {
    match name {
        "v" => "Via",
        "f" => "From",
        "t" => "To",
        "m" => "Contact",
        "i" => "Call-ID",
        "l" => "Content-Length",
        "c" => "Content-Type",
        "k" => "Supported",
        "s" => "Subject",
        other => other,
    }
}

fn ticket_of(whole: &Whole<'_>) -> Markup {
    let record = whole.record;
    if is_well(record) {
        return html! {};
    }
    let words = &whole.page.look.words;
    let texts = whole.transcripts.of(record.id);
    let text = ticket::text(&Ticket {
        record,
        request: ticket::first_request(record, texts),
        response: ticket::decisive_response(record, texts),
        asked: ticket::decisive_request(record, texts),
        group: whole.group,
        notes: whole.notes,
        inputs: whole.inputs,
        words,
    });
    let id = format!("ticket-{}", record.id);
    html! {
        details {
            summary { (words.word(Word::TicketTitle)) }
            button class="copy" type="button" data-copy=(id) data-done=(words.word(Word::Copied)) hidden { (words.word(Word::Copy)) }
            pre id=(id) { (text) }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_that_proves_a_claim_is_found() {
        assert!(proves("sip.Status-Code", "503", 0, "SIP/2.0 503 Service Unavailable"));
        assert!(proves("sip.Reason", "Q.850;cause=34", 5, "Reason: Q.850;cause=34"));
        assert!(proves("sip.from.tag", "x", 3, "f: <sip:a@b>;tag=x"));
        assert!(proves("sip.auth.nonce", "abc", 4, "WWW-Authenticate: Digest nonce=\"abc\""));
        assert!(proves("sdp.media", "audio 0 RTP/AVP 8", 9, "m=audio 0 RTP/AVP 8"));
        assert!(!proves("sip.Reason", "Q.850;cause=34", 5, "Retry-After: 3"));
        assert!(!proves("absent", "ACK", 0, "SIP/2.0 200 OK"));
    }
}
