//! The block of text for a carrier's ticket desk: what happened, who said it, what was ruled out, and the question.
//!
//! Is given a record and, where they were kept, the texts of its messages; gives lines of plain text, at most 80 columns
//! wide where words allow. Says only what the capture shows.

use std::fmt::Display;
use std::io::{self, Write};

use unicode_width::UnicodeWidthStr;

use crate::catalogue::{Phrases, Word};
use crate::report::gatherer::Gathered;
use crate::report::incidents::Group;
use crate::report::record::{CallRecord, FailureRecord};
use crate::report::text::ended::ended_word;
use crate::report::text::lines::{padded, value, wrap};
use crate::report::text::words::{between, confidence, frame, frames, lasting, title};
use crate::report::text::{Scope, Zone};
use crate::report::value::InputRecord;
use crate::report::view::{drawn, privacy_words, telling};

/// Columns of a label.
const LABEL: usize = 16;
/// Columns of a ticket.
const WIDTH: usize = 80;
/// Calls of one cause whose numbers are named.
const MOST_OTHERS: usize = 20;
/// Tickets that are written at once.
const MOST_TICKETS: usize = 20;

/// What a ticket is about.
pub(crate) struct Ticket<'a> {
    pub(crate) record: &'a CallRecord,
    /// The text of its first request, if it was kept.
    pub(crate) request: Option<&'a str>,
    /// The text of the decisive response, if it was kept.
    pub(crate) response: Option<&'a str>,
    /// Calls that went wrong in the same way.
    pub(crate) group: Option<&'a Group>,
    pub(crate) inputs: &'a [InputRecord],
    /// The language.
    pub(crate) words: &'a Phrases,
}

/// Writes the tickets of the calls that were asked for, else one for each kind of trouble.
///
/// # Errors
/// What `out` says, or the temporary file of the records.
pub fn write(out: &mut dyn Write, gathered: &mut Gathered, scope: Scope) -> io::Result<()> {
    let wanted = drawn(gathered, scope, MOST_TICKETS);
    let words = &gathered.catalogue.phrases().for_reports();
    if let Some(marked) = privacy_words(words, &gathered.privacy) {
        writeln!(out, "{marked}\n")?;
    }
    let Gathered { spool, groups, transcripts, inputs, .. } = gathered;
    let mut count = 0;
    spool.each_record(
        |number| wanted.contains(&number),
        |record| {
            let texts = transcripts.of(record.id);
            let group = groups.iter().find(|group| group.incident.calls.binary_search(&record.id).is_ok());
            let ticket = Ticket {
                request: first_request(&record, texts),
                response: decisive_response(&record, texts),
                record: &record,
                group,
                inputs,
                words,
            };
            if count > 0 {
                writeln!(out, "\n{}\n", "-".repeat(WIDTH))?;
            }
            count += 1;
            out.write_all(text(&ticket).as_bytes())
        },
    )?;
    if count == 0 {
        writeln!(out, "{}", words.word(Word::TicketNone))?;
    }
    Ok(())
}

/// The text of the first request of a call.
pub(crate) fn first_request<'a>(record: &CallRecord, texts: Option<&'a [Option<String>]>) -> Option<&'a str> {
    let at = record.ladder.iter().position(|rung| rung.status.is_none())?;
    texts?.get(at)?.as_deref()
}

/// The text of the response that decided the call.
pub(crate) fn decisive_response<'a>(record: &CallRecord, texts: Option<&'a [Option<String>]>) -> Option<&'a str> {
    let failure = decisive(record)?;
    let at =
        record.ladder.iter().position(|rung| rung.frame == failure.frame && rung.status == Some(failure.status))?;
    texts?.get(at)?.as_deref()
}

/// The failure that the cause cites, else the last one that is no normal step.
pub(crate) fn decisive(record: &CallRecord) -> Option<&FailureRecord> {
    let judged = || record.failures.iter().filter(|failure| !failure.normal);
    let cited = telling(record)
        .and_then(|finding| judged().find(|failure| finding.claims.iter().any(|claim| claim.frame == failure.frame)));
    cited.or(judged().next_back())
}

/// A header's value in the text of a message.
pub(crate) fn header<'a>(text: Option<&'a str>, name: &str) -> Option<&'a str> {
    let lines = text?.lines().skip(1).take_while(|line| !line.is_empty());
    let mut found = lines.filter_map(|line| line.split_once(':'));
    found.find(|(known, _)| known.trim().eq_ignore_ascii_case(name)).map(|(_, value)| value.trim())
}

/// The ticket as text.
pub(crate) fn text(ticket: &Ticket<'_>) -> String {
    let Ticket { record, request, response, group, inputs, words } = ticket;
    let mut lines = Lines { text: String::new(), label: label_width(words) };
    let label = |word: Word| words.word(word);
    let failure = decisive(record);
    let finding = telling(record);
    let zone = Zone::default();
    lines.add(label(Word::TicketSummary), &summary(words, record, *group));
    let mut call_ids: Vec<String> = record.call_ids.iter().map(value).collect();
    call_ids.dedup();
    lines.add("Call-ID", &call_ids.join(", "));
    lines.maybe("Session-ID", header(*request, "Session-ID"));
    let method = record.ladder.iter().find(|rung| rung.status.is_none()).map(|rung| value(&rung.label));
    let method = method.unwrap_or_else(|| "request".into());
    let time = format!("{} {}", zone.day(record.started), zone.exact_time(record.started));
    lines.add(
        &words.fill(Word::TicketTimeOf, &[("method", &method)]),
        &words.fill(Word::TicketMoment, &[("time", &time), ("frame", &first_frame(record))]),
    );
    lines.maybe("From", record.from.as_ref().map(|uri| uri.raw()));
    lines.maybe("P-Asserted-Id", header(*request, "P-Asserted-Identity"));
    lines.maybe("To", record.to.as_ref().map(|uri| uri.raw()));
    lines.maybe("Request-URI", record.request_uri.as_ref().map(|uri| uri.raw()));
    for leg in record.legs.iter().take(6) {
        let values: [(&str, &dyn Display); 3] =
            [("from", &leg.from_addr), ("to", &leg.to_addr), ("transport", &leg.transport)];
        lines.add(label(Word::TicketPath), &words.fill(Word::TicketHop, &values));
    }
    match failure {
        Some(failure) => {
            let after = lasting(between(record.started, failure.time));
            let answer = format!("{} {}", failure.status, value(&failure.reason_phrase));
            let frame = frame(failure.frame);
            let values: [(&str, &dyn Display); 3] = [("response", &answer), ("duration", &after), ("frame", &frame)];
            lines.add(label(Word::TicketResponse), &words.fill(Word::TicketResponseIs, &values));
            for name in ["Reason", "Warning", "Retry-After", "Server"] {
                let told = failure.headers.iter().find(|header| header.name == name);
                lines.maybe(name, told.map(|header| header.value.raw()).or(header(*response, name)));
            }
            lines.add(label(Word::TicketSentBy), &sent_by(words, record, failure));
        }
        None => {
            let outcome = ended_word(words, record);
            lines.add(label(Word::TicketResponse), &words.fill(Word::TicketNoResponse, &[("outcome", &outcome)]));
        }
    }
    if let Some(finding) = finding {
        let says = if finding.explanation.is_empty() { &finding.title } else { &finding.explanation };
        let (comma, sure) = (words.word(Word::Comma), confidence(words, finding.confidence));
        lines.add(label(Word::TicketCause), &format!("{} ({}{comma}{sure})", says.for_terminal(), finding.rule));
        for claim in finding.claims.iter().take(8) {
            let (at, shown, says) = (frame(claim.frame), value(&claim.value), claim.says.for_terminal());
            let values: [(&str, &dyn Display); 4] =
                [("frame", &at), ("field", &claim.field), ("value", &shown), ("says", &says)];
            lines.add(label(Word::TicketProof), &words.fill(Word::TicketProofIs, &values));
        }
        for refuted in finding.refuted.iter().take(8) {
            let text = format!("{}{}{}", refuted.rule, words.word(Word::Colon), refuted.why.for_terminal());
            lines.add(label(Word::TicketRuledOut), &text);
        }
    } else {
        lines.add(label(Word::TicketCause), label(Word::TicketNoCause));
    }
    lines.add(label(Word::TicketSameCause), &others(words, record, *group));
    lines.add(label(Word::TicketQuestion), &question(words, record, failure));
    for input in inputs.iter().take(20) {
        let hash = input.sha256.as_deref().unwrap_or(label(Word::TicketNoHash));
        let text = format!("{}{}SHA-256 {hash}", value(&input.file), words.word(Word::Comma));
        lines.add(label(Word::TicketFile), &text);
    }
    lines.text
}

/// Labels, beside names of headers.
const LABELS: [Word; 10] = [
    Word::TicketSummary,
    Word::TicketPath,
    Word::TicketResponse,
    Word::TicketSentBy,
    Word::TicketCause,
    Word::TicketProof,
    Word::TicketRuledOut,
    Word::TicketSameCause,
    Word::TicketQuestion,
    Word::TicketFile,
];

/// Columns of the labels of a language.
fn label_width(words: &Phrases) -> usize {
    LABELS.iter().map(|word| words.word(*word).width() + 1).fold(LABEL, usize::max)
}

struct Lines {
    text: String,
    label: usize,
}

impl Lines {
    fn add(&mut self, label: &str, text: &str) {
        let text = crate::untrusted::Untrusted::from(text);
        for (index, line) in wrap(&text.for_terminal(), WIDTH - self.label).iter().enumerate() {
            let label = padded(if index == 0 { label } else { "" }, self.label);
            self.text.push_str(format!("{label}{line}").trim_end());
            self.text.push('\n');
        }
    }

    fn maybe(&mut self, label: &str, text: Option<&str>) {
        if let Some(text) = text {
            self.add(label, text);
        }
    }
}

fn summary(words: &Phrases, record: &CallRecord, group: Option<&Group>) -> String {
    let count = group.map_or(1, |group| group.count);
    let what = match telling(record) {
        Some(finding) => finding.title.for_terminal().into_owned(),
        None => match decisive(record) {
            Some(failure) => {
                let (phrase, method) = (value(&failure.reason_phrase), value(&failure.method));
                words.fill(Word::TicketTo, &[("status", &failure.status), ("phrase", &phrase), ("method", &method)])
            }
            None => ended_word(words, record).to_owned(),
        },
    };
    let more = if count > 1 { words.fill(Word::TicketTimes, &[("count", &count)]) } else { String::new() };
    format!("{}{}{what}{more}", title(words, record), words.word(Word::Colon))
}

fn first_frame(record: &CallRecord) -> String {
    record.ladder.first().map_or_else(|| "?".into(), |rung| frame(rung.frame))
}

fn sent_by(words: &Phrases, record: &CallRecord, failure: &FailureRecord) -> String {
    let hop = words.fill(Word::TicketBetween, &[("from", &failure.from_addr), ("to", &failure.to_addr)]);
    if let Some(made) = &record.generated_by {
        return format!("{hop}; {}", made.words());
    }
    if record.is_passed_on(failure) {
        return words.fill(Word::TicketPassedOn, &[("hop", &hop)]);
    }
    let further = record.ladder.iter().any(|rung| {
        rung.status.is_none()
            && rung.label == failure.method
            && crate::report::record::host(&rung.from_addr) == crate::report::record::host(&failure.from_addr)
    });
    if further {
        return words.fill(Word::TicketSentFurther, &[("hop", &hop)]);
    }
    words.fill(Word::TicketNoHop, &[("hop", &hop)])
}

fn others(words: &Phrases, record: &CallRecord, group: Option<&Group>) -> String {
    let Some(group) = group.filter(|group| group.count > 1) else { return words.word(Word::TicketNoOther).into() };
    let zone = Zone::default();
    let numbers = group.incident.calls.iter().filter(|number| **number != record.id).take(MOST_OTHERS);
    let numbers: Vec<String> = numbers.map(u32::to_string).collect();
    let more = if group.count > numbers.len() as u64 + 1 { words.word(Word::TicketAndMore) } else { "" };
    let (first, last) = (group.incident.first, group.incident.last);
    let (first, last) = (format!("{} {}", zone.day(first), zone.time(first)), zone.time(last));
    let calls = format!("{}{more}", numbers.join(" "));
    let values: [(&str, &dyn Display); 4] =
        [("count", &group.count), ("first", &first), ("last", &last), ("calls", &calls)];
    words.count(Word::TicketOthers, group.count - 1, &values)
}

fn question(words: &Phrases, record: &CallRecord, failure: Option<&FailureRecord>) -> String {
    let Some(failure) = failure else {
        let to = record.legs.last().map_or(words.word(Word::TicketYourSide), |leg| leg.to_addr.as_str());
        return words.fill(Word::TicketAskReach, &[("to", &to)]);
    };
    let cited: Vec<_> =
        telling(record).map(|finding| finding.claims.iter().map(|claim| claim.frame).collect()).unwrap_or_default();
    let see = || words.fill(Word::TicketSee, &[("frames", &frames(words, &cited, 6))]);
    let proof = if cited.is_empty() { String::new() } else { see() };
    let answer = format!("{} {}", failure.status, value(&failure.reason_phrase));
    let method = value(&failure.method);
    let values: [(&str, &dyn Display); 4] =
        [("who", &failure.from_addr), ("response", &answer), ("method", &method), ("proof", &proof)];
    words.fill(Word::TicketAskWhy, &values)
}
