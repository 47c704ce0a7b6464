//! The block of text for a carrier's ticket desk: what happened, who said it, what was ruled out, and the question.
//!
//! Is given a record and, where they were kept, the texts of its messages; gives lines of plain text, at most 80 columns
//! wide where words allow. Says only what the capture shows.

use std::io::{self, Write};

use crate::report::gatherer::Gathered;
use crate::report::incidents::Group;
use crate::report::record::{CallRecord, FailureRecord};
use crate::report::text::lines::{value, wrap};
use crate::report::text::words::{between, frame, frames, lasting, title};
use crate::report::text::{Scope, Zone};
use crate::report::value::InputRecord;
use crate::report::view::{drawn, outcome_word, privacy_words, telling};

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
}

/// Writes the tickets of the calls that were asked for, else one for each kind of trouble.
///
/// # Errors
/// What `out` says, or the temporary file of the records.
pub fn write(out: &mut dyn Write, gathered: &mut Gathered, scope: Scope) -> io::Result<()> {
    let wanted = drawn(gathered, scope, MOST_TICKETS);
    if let Some(words) = privacy_words(&gathered.privacy) {
        writeln!(out, "{words}\n")?;
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
            };
            if count > 0 {
                writeln!(out, "\n{}\n", "-".repeat(WIDTH))?;
            }
            count += 1;
            out.write_all(text(&ticket).as_bytes())
        },
    )?;
    if count == 0 {
        writeln!(out, "No call went wrong, so there is nothing to write a ticket about (--all, --call N).")?;
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
    let Ticket { record, request, response, group, inputs } = ticket;
    let mut lines = Lines(String::new());
    let failure = decisive(record);
    let finding = telling(record);
    let zone = Zone::default();
    lines.add("Summary", &summary(record, *group));
    let mut call_ids: Vec<String> = record.call_ids.iter().map(value).collect();
    call_ids.dedup();
    lines.add("Call-ID", &call_ids.join(", "));
    lines.maybe("Session-ID", header(*request, "Session-ID"));
    let method = record.ladder.iter().find(|rung| rung.status.is_none()).map(|rung| value(&rung.label));
    let method = method.unwrap_or_else(|| "request".into());
    lines.add(
        &format!("Time of {method}"),
        &format!("{} {} UTC, frame {}", zone.day(record.started), zone.exact_time(record.started), first_frame(record)),
    );
    lines.maybe("From", record.from.as_ref().map(|uri| uri.raw()));
    lines.maybe("P-Asserted-Id", header(*request, "P-Asserted-Identity"));
    lines.maybe("To", record.to.as_ref().map(|uri| uri.raw()));
    lines.maybe("Request-URI", record.request_uri.as_ref().map(|uri| uri.raw()));
    for leg in record.legs.iter().take(6) {
        lines.add("Path", &format!("{} -> {} by {}", leg.from_addr, leg.to_addr, leg.transport));
    }
    match failure {
        Some(failure) => {
            let after = lasting(between(record.started, failure.time));
            let phrase = value(&failure.reason_phrase);
            lines
                .add("Response", &format!("{} {phrase} after {after}, frame {}", failure.status, frame(failure.frame)));
            for name in ["Reason", "Warning", "Retry-After", "Server"] {
                let told = failure.headers.iter().find(|header| header.name == name);
                lines.maybe(name, told.map(|header| header.value.raw()).or(header(*response, name)));
            }
            lines.add("Sent by", &sent_by(record, failure));
        }
        None => lines.add("Response", &format!("none that is final ({})", outcome_word(record.outcome))),
    }
    if let Some(finding) = finding {
        let says = if finding.explanation.is_empty() { &finding.title } else { &finding.explanation };
        lines.add("Cause", &format!("{} ({}, {})", says.for_terminal(), finding.rule, finding.confidence.word()));
        for claim in finding.claims.iter().take(8) {
            let proof = format!("frame {}: {} = {}", frame(claim.frame), claim.field, value(&claim.value));
            lines.add("Proof", &format!("{proof}; {}", value(&claim.says)));
        }
        for refuted in finding.refuted.iter().take(8) {
            lines.add("Ruled out", &format!("{}: {}", refuted.rule, value(&refuted.why)));
        }
    } else {
        lines.add("Cause", "not known: no rule fits what the capture shows");
    }
    lines.add("Same cause", &others(record, *group));
    lines.add("Question", &question(record, failure));
    for input in inputs.iter().take(20) {
        let hash = input.sha256.as_deref().unwrap_or("not known (standard input or an interface)");
        lines.add("File", &format!("{}, SHA-256 {hash}", value(&input.file)));
    }
    lines.0
}

struct Lines(String);

impl Lines {
    fn add(&mut self, label: &str, text: &str) {
        let text = crate::untrusted::Untrusted::from(text);
        for (index, line) in wrap(&text.for_terminal(), WIDTH - LABEL).iter().enumerate() {
            let label = if index == 0 { label } else { "" };
            self.0.push_str(format!("{label:<LABEL$}{line}").trim_end());
            self.0.push('\n');
        }
    }

    fn maybe(&mut self, label: &str, text: Option<&str>) {
        if let Some(text) = text {
            self.add(label, text);
        }
    }
}

fn summary(record: &CallRecord, group: Option<&Group>) -> String {
    let count = group.map_or(1, |group| group.count);
    let what = match telling(record) {
        Some(finding) => value(&finding.title),
        None => match decisive(record) {
            Some(failure) => {
                format!("{} {} to {}", failure.status, value(&failure.reason_phrase), value(&failure.method))
            }
            None => outcome_word(record.outcome).to_owned(),
        },
    };
    let more = if count > 1 { format!(" ({count} times in this capture)") } else { String::new() };
    format!("{}: {what}{more}", title(record))
}

fn first_frame(record: &CallRecord) -> String {
    record.ladder.first().map_or_else(|| "?".into(), |rung| frame(rung.frame))
}

fn sent_by(record: &CallRecord, failure: &FailureRecord) -> String {
    let hop = format!("{} to {}", failure.from_addr, failure.to_addr);
    if record.is_passed_on(failure) {
        return format!("{hop}; it passed on what it had got itself");
    }
    let further = record.ladder.iter().any(|rung| {
        rung.status.is_none()
            && rung.label == failure.method
            && crate::report::record::host(&rung.from_addr) == crate::report::record::host(&failure.from_addr)
    });
    if further {
        return format!("{hop}; it had sent the request on before, as the capture shows");
    }
    format!("{hop}; the capture shows no hop behind it: whether it or somebody further on decided, it cannot tell")
}

fn others(record: &CallRecord, group: Option<&Group>) -> String {
    let Some(group) = group.filter(|group| group.count > 1) else { return "no other call of this capture".into() };
    let zone = Zone::default();
    let numbers = group.incident.calls.iter().filter(|number| **number != record.id).take(MOST_OTHERS);
    let numbers: Vec<String> = numbers.map(u32::to_string).collect();
    let more = if group.count > numbers.len() as u64 + 1 { " and more" } else { "" };
    let (first, last) = (group.incident.first, group.incident.last);
    format!(
        "{} calls in all, {} {} to {} UTC; beside this one the calls {}{more}",
        group.count,
        zone.day(first),
        zone.time(first),
        zone.time(last),
        numbers.join(" ")
    )
}

fn question(record: &CallRecord, failure: Option<&FailureRecord>) -> String {
    let Some(failure) = failure else {
        let to = record.legs.last().map_or("your side", |leg| leg.to_addr.as_str());
        return format!(
            "Did the request with this Call-ID reach {to}, and if so, what was answered and to which address?"
        );
    };
    let cited: Vec<_> =
        telling(record).map(|finding| finding.claims.iter().map(|claim| claim.frame).collect()).unwrap_or_default();
    let proof = if cited.is_empty() { String::new() } else { format!(" (see {})", frames(&cited, 6)) };
    format!(
        "Why did {} answer {} {} to this {}{proof}, and what has to change, on your side or on ours, for it to be accepted?",
        failure.from_addr,
        failure.status,
        value(&failure.reason_phrase),
        value(&failure.method)
    )
}
