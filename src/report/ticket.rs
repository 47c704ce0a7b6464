//! The block of text for a carrier's ticket desk: what happened, who said it, what was ruled out, and the question.
//!
//! Is given a record and, where they were kept, the texts of its messages; gives lines of plain text, at most 80
//! columns wide where words allow. Says only what the capture shows.

use std::fmt::Display;
use std::io::{self, Write};
use std::time::Duration;

use unicode_width::UnicodeWidthStr;

use crate::call::Outcome;
use crate::catalogue::{Phrases, Word};
use crate::diagnosis::{Confidence, Role, Severity};
use crate::report::decisive::{decisive, harmless, is_in_answered_call, request_of, told_caller, went_on};
use crate::report::gatherer::Gathered;
use crate::report::incidents::{Group, is_unwanted};
use crate::report::moment::Moment;
use crate::report::record::{CallRecord, FailureRecord, FindingRecord, Frame, Rung, host};
use crate::report::text::ended::ended_word;
use crate::report::text::lines::{padded, value, wrap};
use crate::report::text::words::{absent, between, confidence, frames, lasting, title};
use crate::report::text::{Scope, Zone};
use crate::report::value::InputRecord;
use crate::report::view::{drawn, privacy_words, telling};
use crate::untrusted::Untrusted;

/// Columns of a label.
const LABEL: usize = 16;
/// Columns of a ticket.
const WIDTH: usize = 80;
/// Tickets that are written at once.
const MOST_TICKETS: usize = 20;
/// Hops of a call that a ticket names.
const MOST_LEGS: usize = 6;
/// Claims of a cause that it quotes, and rivals that it rules out: whoever gets it reads no more.
const MOST_PROOFS: usize = 8;
/// Frames that a line cites.
const MOST_FRAMES: usize = 6;
/// Inputs that it names.
const MOST_INPUTS: usize = 20;

/// What makes a capture poorer than the wire was: whoever reads its proof should know.
const SHORTCOMINGS: [&str; 5] =
    ["capture-drops", "capture-cut", "capture-truncated", "capture-one-sided", "clock-unsteady"];

/// What the sender of a request alone does wrong, whatever the settings of whoever refuses it: there is nothing to ask.
const OF_THE_ASKER: [&str; 13] = [
    "challenge-not-answered",
    "cseq-regressed",
    "dialog-identifiers-wrong",
    "glare-unresolved",
    "hop-limit-too-low",
    "nonce-count-replayed",
    "old-nonce-reused",
    "redirect-not-followed",
    "registration-interval-too-brief",
    "request-uri-without-user",
    "retry-not-renumbered",
    "sdp-malformed",
    "session-interval-too-small",
];

/// What a ticket is about.
pub(crate) struct Ticket<'a> {
    pub(crate) record: &'a CallRecord,
    /// The text of its first request, if it was kept.
    pub(crate) request: Option<&'a str>,
    /// The text of the decisive response, if it was kept.
    pub(crate) response: Option<&'a str>,
    /// The text of the request that it answers, if it was kept.
    pub(crate) asked: Option<&'a str>,
    /// Calls that went wrong in the same way.
    pub(crate) group: Option<&'a Group>,
    /// What was found of the capture as a whole.
    pub(crate) notes: &'a [FindingRecord],
    pub(crate) inputs: &'a [InputRecord],
    /// The language.
    pub(crate) words: &'a Phrases,
}

/// The failure that decided the call, with the request that it answers where that was seen.
struct Refusal<'a> {
    failure: &'a FailureRecord,
    request: Option<&'a Rung>,
}

impl Refusal<'_> {
    /// The method of the request; an INVITE within a dialog by the name that people use.
    fn method(&self, record: &CallRecord) -> String {
        let method = value(&self.failure.method);
        let is_within = self.request.is_some_and(|request| is_in_answered_call(record, request));
        if method == "INVITE" && is_within { "re-INVITE".into() } else { method }
    }
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
    let Gathered { spool, groups, transcripts, inputs, notes, .. } = gathered;
    let mut count = 0;
    spool.each_record(
        |number| wanted.contains(&number),
        |record| {
            let texts = transcripts.of(record.id);
            let group = groups.iter().find(|group| group.incident.calls.binary_search(&record.id).is_ok());
            let ticket = Ticket {
                request: first_request(&record, texts),
                response: decisive_response(&record, texts),
                asked: decisive_request(&record, texts),
                record: &record,
                group,
                notes,
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

/// The text of the request that this response answers.
pub(crate) fn decisive_request<'a>(record: &CallRecord, texts: Option<&'a [Option<String>]>) -> Option<&'a str> {
    let request = request_of(record, decisive(record)?)?;
    let at = record.ladder.iter().position(|rung| std::ptr::eq(rung, request))?;
    texts?.get(at)?.as_deref()
}

/// A header's value in the text of a message.
pub(crate) fn header<'a>(text: Option<&'a str>, name: &str) -> Option<&'a str> {
    let lines = text?.lines().skip(1).take_while(|line| !line.is_empty());
    let mut found = lines.filter_map(|line| line.split_once(':'));
    found.find(|(known, _)| known.trim().eq_ignore_ascii_case(name)).map(|(_, value)| value.trim())
}

/// The address of From or To, without its tag.
fn without_parameters(value: &str) -> &str {
    value.rsplit_once(";tag=").map_or(value, |(address, _)| address)
}

/// The ticket as text.
pub(crate) fn text(ticket: &Ticket<'_>) -> String {
    let Ticket { record, words, .. } = ticket;
    let method = record.ladder.iter().find(|rung| rung.status.is_none()).map(|rung| value(&rung.label));
    let method = method.unwrap_or_else(|| "request".into());
    let refusal = decisive(record).map(|failure| Refusal { failure, request: request_of(record, failure) });
    let finding = told(record, refusal.as_ref());
    let lines = Lines { text: String::new(), label: label_width(words, &method) };
    let mut sheet = Sheet { ticket, lines };
    sheet.call(&method);
    sheet.path();
    match &refusal {
        Some(refusal) => sheet.refusal(refusal),
        None => sheet.end_without_refusal(),
    }
    match finding {
        Some(finding) => sheet.cause(finding),
        None => sheet.line(Word::TicketCause, words.word(Word::TicketNoCause)),
    }
    sheet.line(Word::TicketSameCause, &same_cause(words, record, ticket.group));
    sheet.line(Word::TicketQuestion, &question(words, record, refusal.as_ref(), finding));
    sheet.capture();
    sheet.lines.text
}

/// A ticket that is being written, block by block.
struct Sheet<'a> {
    ticket: &'a Ticket<'a>,
    lines: Lines,
}

impl Sheet<'_> {
    fn line(&mut self, label: Word, text: &str) {
        self.lines.add(self.ticket.words.word(label), text);
    }

    /// Which call it was, and by which names the carrier finds it in his own logs.
    fn call(&mut self, method: &str) {
        let Ticket { record, request, group, words, .. } = *self.ticket;
        self.line(Word::TicketSummary, &summary(words, record, group));
        let mut call_ids: Vec<String> = record.legs.iter().map(|leg| leg.shown_call_id(value)).collect();
        call_ids.dedup();
        let lines = &mut self.lines;
        lines.add("Call-ID", &call_ids.join(", "));
        lines.maybe("Session-ID", header(request, "Session-ID"));
        lines.add(
            &words.fill(Word::TicketTimeOf, &[("method", &method)]),
            &words.fill(Word::TicketMoment, &[("time", &exact(record.started)), ("frame", &first_frame(record))]),
        );
        lines.maybe("From", record.from.as_ref().map(|uri| uri.raw()));
        lines.maybe("P-Asserted-Id", header(request, "P-Asserted-Identity"));
        lines.maybe("To", record.to.as_ref().map(|uri| uri.raw()));
        lines.maybe("Request-URI", record.request_uri.as_ref().map(|uri| uri.raw()));
    }

    /// The hops that it took.
    fn path(&mut self) {
        let Ticket { record, words, .. } = *self.ticket;
        for leg in record.legs.iter().take(MOST_LEGS) {
            let values: [(&str, &dyn Display); 3] =
                [("from", &leg.from_addr), ("to", &leg.to_addr), ("transport", &leg.transport)];
            let hop = words.fill(Word::TicketHop, &values);
            let linked = leg.linked_by.as_ref().map(|by| words.fill(Word::SameCall, &[("by", &value(by))]));
            let linked = linked.map(|same_call| format!(", {same_call}")).unwrap_or_default();
            self.line(Word::TicketPath, &format!("{hop}{linked}"));
        }
    }

    /// The failure that decided the call, the request that it answers, and who sent it.
    fn refusal(&mut self, refusal: &Refusal<'_>) {
        let Ticket { record, response, words, .. } = *self.ticket;
        let Refusal { failure, request } = *refusal;
        if let Some(request) = request.filter(|request| !is_first(record, request)) {
            let (moment, of) = (exact(request.time), request.frame);
            let values: [(&str, &dyn Display); 5] = [
                ("method", &refusal.method(record)),
                ("time", &moment),
                ("frame", &of),
                ("from", &request.from_addr),
                ("to", &request.to_addr),
            ];
            self.line(Word::TicketRequest, &words.fill(Word::TicketRequestIs, &values));
            self.numbers_of_leg();
        }
        let answer = format!("{} {}", failure.status, failure.reason_phrase.raw()).into();
        let asked = request.map_or(record.started, |request| request.time);
        self.line(Word::TicketResponse, &answered(words, &answer, between(asked, failure.time), failure.frame));
        for name in ["Reason", "Warning", "Retry-After", "Server"] {
            let told = failure.headers.iter().find(|header| header.name == name);
            self.lines.maybe(name, told.map(|header| header.value.raw()).or(header(response, name)));
        }
        self.line(Word::TicketSentBy, &sent_by(words, record, refusal));
    }

    /// By which numbers whoever refused it finds the request, where they are others than those of the first one.
    fn numbers_of_leg(&mut self) {
        let Ticket { request: first, asked, .. } = *self.ticket;
        let uri_of = |text: Option<&'_ str>| text.and_then(|text| Some(text.split(' ').nth(1)?.to_owned()));
        if asked.is_none() || uri_of(first) == uri_of(asked) {
            return;
        }
        for name in ["From", "P-Asserted-Identity", "To"] {
            let label = if name == "P-Asserted-Identity" { "P-Asserted-Id" } else { name };
            self.lines.maybe(label, header(asked, name).map(without_parameters));
        }
        self.lines.maybe("Request-URI", uri_of(asked).as_deref());
    }

    /// The last that the caller was told, or what became of the call without a word.
    fn end_without_refusal(&mut self) {
        let Ticket { record, words, .. } = *self.ticket;
        let text = match told_caller(record) {
            Some(rung) => answered(words, &rung.label, between(record.started, rung.time), rung.frame),
            None => words.fill(Word::TicketNoResponse, &[("outcome", &ended_word(words, record))]),
        };
        self.line(Word::TicketResponse, &text);
    }

    /// The cause, its proof, and what was ruled out.
    fn cause(&mut self, finding: &FindingRecord) {
        let words = self.ticket.words;
        let (comma, sure) = (words.word(Word::Comma), confidence(words, finding.confidence));
        let says = finding.says();
        self.line(Word::TicketCause, &format!("{} ({}{comma}{sure})", says.for_terminal(), finding.rule));
        for claim in finding.claims.iter().take(MOST_PROOFS) {
            let (at, shown, says) = (claim.frame, value(&claim.value), claim.says.for_terminal());
            let values: [(&str, &dyn Display); 4] =
                [("frame", &at), ("field", &claim.field), ("value", &shown), ("says", &says)];
            let proof = absent(words, claim).unwrap_or_else(|| words.fill(Word::TicketProofIs, &values));
            self.line(Word::TicketProof, &proof);
        }
        for refuted in finding.refuted.iter().take(MOST_PROOFS) {
            let text = format!("{}{}{}", refuted.rule, words.word(Word::Colon), refuted.why.for_terminal());
            self.line(Word::TicketRuledOut, &text);
        }
    }

    /// What the capture lacks, and which files it is.
    fn capture(&mut self) {
        let Ticket { notes, inputs, words, .. } = *self.ticket;
        for note in notes.iter().filter(|note| SHORTCOMINGS.contains(&note.rule.as_str())) {
            let text = format!("{}{}{}", note.rule, words.word(Word::Colon), note.explanation.for_terminal());
            self.line(Word::TicketCapture, &text);
        }
        for input in inputs.iter().take(MOST_INPUTS) {
            let text = format!("{}{}SHA-256", value(&input.file), words.word(Word::Comma));
            match &input.sha256 {
                Some(hash) => {
                    self.line(Word::TicketFile, &text);
                    self.lines.whole(hash);
                }
                None => self.line(Word::TicketFile, &format!("{text} {}", words.word(Word::TicketNoHash))),
            }
        }
    }
}

/// A response, how long after its request it came, and its frame.
fn answered(words: &Phrases, shown: &Untrusted, after: Duration, frame: Frame) -> String {
    let (shown, after) = (value(shown), lasting(after));
    words.fill(Word::TicketResponseIs, &[("response", &shown), ("duration", &after), ("frame", &frame)])
}

/// Labels, beside names of headers.
const LABELS: [Word; 12] = [
    Word::TicketSummary,
    Word::TicketPath,
    Word::TicketRequest,
    Word::TicketResponse,
    Word::TicketSentBy,
    Word::TicketCause,
    Word::TicketProof,
    Word::TicketRuledOut,
    Word::TicketSameCause,
    Word::TicketQuestion,
    Word::TicketCapture,
    Word::TicketFile,
];

/// Columns of the labels of a language, where a request of this method is told of.
fn label_width(words: &Phrases, method: &str) -> usize {
    let time_of = words.fill(Word::TicketTimeOf, &[("method", &method)]);
    LABELS
        .iter()
        .map(|word| words.word(*word).width())
        .chain([time_of.width()])
        .map(|width| width + 1)
        .fold(LABEL, usize::max)
}

struct Lines {
    text: String,
    label: usize,
}

impl Lines {
    fn add(&mut self, label: &str, text: &str) {
        let text = Untrusted::from(text);
        for (index, line) in wrap(&text.for_terminal(), WIDTH - self.label).iter().enumerate() {
            let label = padded(if index == 0 { label } else { "" }, self.label);
            self.text.push_str(format!("{label}{line}").trim_end());
            self.text.push('\n');
        }
    }

    /// One word on a line of its own, which somebody may copy: never on two, however wide the labels of a language are.
    fn whole(&mut self, word: &str) {
        let before = self.label.min(WIDTH.saturating_sub(word.width()));
        self.text.push_str(&format!("{}{word}\n", padded("", before)));
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
    record.ladder.first().map_or_else(|| "?".into(), |rung| rung.frame.to_string())
}

fn sent_by(words: &Phrases, record: &CallRecord, refusal: &Refusal<'_>) -> String {
    let Refusal { failure, request } = *refusal;
    let hop = words.fill(Word::TicketBetween, &[("from", &failure.from_addr), ("to", &failure.to_addr)]);
    if let Some(made) = &record.generated_by {
        return format!("{hop}; {}", made.words());
    }
    if record.is_passed_on(failure) {
        return words.fill(Word::TicketPassedOn, &[("hop", &hop)]);
    }
    let further = request.is_some_and(|request| went_on(record, request, failure));
    words.fill(if further { Word::TicketSentFurther } else { Word::TicketNoHop }, &[("hop", &hop)])
}

fn same_cause(words: &Phrases, record: &CallRecord, group: Option<&Group>) -> String {
    let Some(group) = group.filter(|group| group.count > 1) else { return words.word(Word::TicketNoOther).into() };
    let zone = Zone::default();
    let others = group.named.iter().filter(|call| call.number != record.id);
    let named: Vec<String> =
        others.map(|call| format!("{} {}", zone.exact_time(call.began), call.call_id.for_terminal())).collect();
    let more = if group.count > named.len() as u64 + 1 { words.word(Word::TicketAndMore) } else { "" };
    let (first, last) = (group.incident.first, group.incident.last);
    let (first, last) = (format!("{} {}", zone.day(first), zone.time(first)), zone.time(last));
    let calls = format!("{}{more}", named.join(words.word(Word::Comma)));
    let values: [(&str, &dyn Display); 4] =
        [("count", &group.count), ("first", &first), ("last", &last), ("calls", &calls)];
    words.fill(Word::TicketOthers, &values)
}

fn question(
    words: &Phrases,
    record: &CallRecord,
    refusal: Option<&Refusal<'_>>,
    finding: Option<&FindingRecord>,
) -> String {
    let cited: Vec<Frame> =
        finding.map(|finding| finding.claims.iter().map(|claim| claim.frame).collect()).unwrap_or_default();
    let see = || words.fill(Word::TicketSee, &[("frames", &frames(words, &cited, MOST_FRAMES))]);
    let proof = if cited.is_empty() { String::new() } else { see() };
    let party = finding.and_then(|finding| finding.party.addr.as_deref());
    if finding.is_some_and(|finding| is_unwanted(&finding.rule)) {
        let who = party.unwrap_or(words.word(Word::TicketYourSide));
        return words.fill(Word::TicketAskStop, &[("who", &who), ("proof", &proof)]);
    }
    if let Some(refusal) = refusal {
        let failure = refusal.failure;
        if finding.is_some_and(|finding| finding.rule == "callee-busy" && is_sure(finding)) {
            return words.word(Word::TicketAskNothing).into();
        }
        if let Some(who) = finding.and_then(|finding| asker(finding, failure)) {
            return words.fill(Word::TicketAskOurs, &[("who", &who), ("proof", &proof)]);
        }
        let answer = format!("{} {}", failure.status, value(&failure.reason_phrase));
        let method = refusal.method(record);
        let values: [(&str, &dyn Display); 4] =
            [("who", &failure.from_addr), ("response", &answer), ("method", &method), ("proof", &proof)];
        return words.fill(Word::TicketAskWhy, &values);
    }
    let is_silent = matches!(record.outcome, Outcome::Unanswered | Outcome::Unfinished);
    let says_why = finding.is_some_and(|finding| finding.rule == "destination-unreachable");
    if is_silent && !says_why {
        let last = record.legs.last().map(|leg| leg.to_addr.as_str());
        let to = party.or(last).unwrap_or(words.word(Word::TicketYourSide));
        return words.fill(Word::TicketAskReach, &[("to", &to)]);
    }
    match finding.is_some_and(|finding| finding.severity == Severity::Info) {
        true => words.word(Word::TicketAskNothing).into(),
        false => {
            let who = party.unwrap_or(words.word(Word::TicketYourSide));
            words.fill(Word::TicketAskConfirm, &[("who", &who), ("proof", &proof)])
        }
    }
}

/// The finding that a ticket tells of: a mere fact only if it is about the failure, or if it is why there is none.
fn told<'a>(record: &'a CallRecord, refusal: Option<&Refusal<'_>>) -> Option<&'a FindingRecord> {
    let of_harmless = || record.failures.iter().rev().find_map(|failure| harmless(record, failure));
    telling(record).or_else(|| match refusal {
        Some(refusal) => record.finding_about(refusal.failure),
        None => of_harmless(),
    })
}

/// Who sent the request that was refused, where the fault is on that side alone: whoever refused it can only agree.
fn asker<'a>(finding: &'a FindingRecord, failure: &FailureRecord) -> Option<&'a str> {
    let address = finding.party.addr.as_deref()?;
    let is_asker = finding.party.role == Role::Uac && host(address) != host(&failure.from_addr);
    (is_asker && is_sure(finding) && OF_THE_ASKER.contains(&finding.rule.as_str())).then_some(address)
}

fn is_sure(finding: &FindingRecord) -> bool {
    matches!(finding.confidence, Confidence::Proven | Confidence::Likely)
}

fn is_first(record: &CallRecord, rung: &Rung) -> bool {
    record.ladder.first().is_some_and(|first| std::ptr::eq(first, rung))
}

fn exact(moment: Moment) -> String {
    let zone = Zone::default();
    format!("{} {}", zone.day(moment), zone.exact_time(moment))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnosis::rules;

    #[test]
    fn the_rules_that_tickets_know_exist() {
        for name in OF_THE_ASKER.iter().chain(&SHORTCOMINGS) {
            assert!(rules::named(name).is_some(), "there is no rule {name}");
        }
    }
}
