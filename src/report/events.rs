//! Prints events, one JSON object per line (`sipwhy.event/1`), as they happen.

use std::io::{self, Write};

use serde::Serialize;

use crate::analysis::MessageRead;
use crate::call::{Call, Outcome};
use crate::capture::Behind;
use crate::catalogue::Phrases;
use crate::diagnosis::Diagnosis;
use crate::report::gatherer::Gathered;
use crate::report::json::to_bytes;
use crate::report::moment::Moment;
use crate::report::record::{CallRecord, FailureRecord, FindingRecord, Frame};
use crate::report::scene::Scene;
use crate::report::value::{Incident, InputRecord, OddityRecord, Summary};
use crate::report::view::privacy_words;
use crate::report::watch::LiveIncident;
use crate::sip::StatusCode;
use crate::untrusted::Untrusted;

/// The name of this form of event.
const SCHEMA: &str = "sipwhy.event/1";

/// What is common to all events.
#[derive(Serialize)]
struct Event<'a, T: Serialize> {
    schema: &'static str,
    #[serde(rename = "type")]
    kind: &'a str,
    #[serde(flatten)]
    what: T,
}

/// A message on the wire; copies and retransmissions too.
#[derive(Serialize)]
struct OneMessage<'a> {
    frame: Frame,
    time: Moment,
    from_addr: String,
    to_addr: String,
    transport: &'static str,
    method: Option<Untrusted>,
    status: Option<u16>,
    reason_phrase: Option<Untrusted>,
    call_id: &'a Untrusted,
    cseq: Option<Untrusted>,
}

#[derive(Serialize)]
struct Failure<'a> {
    call: u32,
    #[serde(flatten)]
    failure: &'a FailureRecord,
}

/// A failure that is told at once, with what is known of its cause.
#[derive(Serialize)]
struct FailedNow<'a> {
    call: u32,
    call_ids: &'a [Untrusted],
    outcome: Outcome,
    /// When it was known, where no response tells it.
    #[serde(rename = "time", skip_serializing_if = "Option::is_none")]
    ended: Option<Moment>,
    #[serde(flatten)]
    failure: Option<FailureRecord>,
    cause: Option<&'a str>,
    finding: Option<&'a FindingRecord>,
}

#[derive(Serialize)]
struct Oddity<'a> {
    file: usize,
    #[serde(flatten)]
    oddity: &'a OddityRecord,
}

#[derive(Serialize)]
struct Stats<'a> {
    inputs: &'a [InputRecord],
    summary: &'a Summary,
    /// What waits while the run goes on.
    #[serde(skip_serializing_if = "Option::is_none")]
    behind: Option<Behind>,
    #[serde(skip_serializing_if = "Option::is_none")]
    language: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    privacy: Option<String>,
}

/// Prints events to a writer, a line for each.
#[derive(Debug)]
pub struct Events<W> {
    out: W,
    line: Vec<u8>,
}

impl<W: Write> Events<W> {
    /// Events to this writer.
    pub fn new(out: W) -> Events<W> {
        Events { out, line: Vec::new() }
    }

    /// A message has been read.
    ///
    /// # Errors
    /// What the writer says.
    pub fn message(&mut self, scene: &Scene, message: &MessageRead) -> io::Result<()> {
        let cseq = message.cseq.as_ref().map(|cseq| format!("{} {}", cseq.number, cseq.method));
        let is_response = message.method.is_none();
        let secrets = scene.privacy().of_nobody();
        let what = OneMessage {
            frame: scene.frame(message.place),
            time: scene.moment(message.place),
            from_addr: secrets.socket(message.path.source),
            to_addr: secrets.socket(message.path.destination),
            transport: message.path.transport.name(),
            method: message.method.as_ref().map(|method| Untrusted::from(method.to_string())),
            status: message.status.map(StatusCode::get),
            reason_phrase: is_response.then(|| Untrusted::from(secrets.hide_blindly(&message.reason_phrase))),
            call_id: &Untrusted::from(secrets.call_id(&message.call_id)),
            cseq: cseq.map(Untrusted::from),
        };
        self.line("message", what)
    }

    /// A call has ended: its failures that are no normal steps, then the call itself.
    ///
    /// # Errors
    /// What the writer says.
    pub fn call(&mut self, scene: &Scene, call: &Call, diagnosis: &Diagnosis) -> io::Result<()> {
        self.record(&scene.record(call, diagnosis))
    }

    fn record(&mut self, record: &CallRecord) -> io::Result<()> {
        for failure in record.failures.iter().filter(|failure| !failure.normal) {
            self.line("failure", Failure { call: record.id, failure })?;
        }
        self.line("call", record)
    }

    /// A call has failed as it stands now: its failures that are no normal steps. When it ends they
    /// need not be told again ([`Events::call_alone`]).
    ///
    /// # Errors
    /// What the writer says.
    pub fn failures(&mut self, scene: &Scene, call: &Call, diagnosis: &Diagnosis) -> io::Result<()> {
        let record = scene.record(call, diagnosis);
        let own = |failure: Option<FailureRecord>| FailedNow {
            call: record.id,
            call_ids: &record.call_ids,
            outcome: record.outcome,
            ended: failure.is_none().then_some(record.ended),
            failure,
            cause: record.cause.as_deref(),
            finding: record.cause_finding(),
        };
        let mut failures = record.failures.iter().filter(|failure| !failure.normal).peekable();
        if failures.peek().is_none() {
            return self.line("failure", own(None));
        }
        for failure in failures {
            self.line("failure", own(Some(failure.clone())))?;
        }
        Ok(())
    }

    /// A call has ended whose failures were told.
    ///
    /// # Errors
    /// What the writer says.
    pub fn call_alone(&mut self, scene: &Scene, call: &Call, diagnosis: &Diagnosis) -> io::Result<()> {
        self.line("call", scene.record(call, diagnosis))
    }

    /// An incident begins, goes on or is over.
    ///
    /// # Errors
    /// What the writer says.
    pub fn incident(&mut self, incident: &LiveIncident) -> io::Result<()> {
        self.line("incident", incident)
    }

    /// The numbers so far, and what waits to be looked at.
    ///
    /// # Errors
    /// What the writer says.
    pub fn stats(&mut self, inputs: &[InputRecord], summary: &Summary, behind: Behind) -> io::Result<()> {
        self.line("stats", Stats { inputs, summary, behind: Some(behind), language: None, privacy: None })
    }

    /// Lines were left out because their reader is slow.
    ///
    /// # Errors
    /// What the writer says.
    pub fn lines_dropped(&mut self, count: u64) -> io::Result<()> {
        let says = format!("{count} lines were left out: the reader of standard output is slow").into();
        let oddity = OddityRecord { kind: "lines-dropped".into(), count, frames: Vec::new(), says };
        self.line("oddity", Oddity { file: 0, oddity: &oddity })
    }

    /// The writer beneath.
    pub fn out(&mut self) -> &mut W {
        &mut self.out
    }

    /// Every event of a run that is over, from the records that were kept.
    ///
    /// # Errors
    /// What the writer says, or the temporary file of the records.
    pub fn all(&mut self, gathered: &mut Gathered) -> io::Result<()> {
        gathered.spool.each_record(|_| true, |record| self.record(&record))?;
        self.end(gathered)
    }

    /// The input has ended: incidents, notes, oddities and the numbers.
    ///
    /// # Errors
    /// What the writer says.
    pub fn end(&mut self, gathered: &Gathered) -> io::Result<()> {
        for incident in &gathered.incidents {
            self.line::<&Incident>("incident", incident)?;
        }
        for note in &gathered.notes {
            self.line::<&FindingRecord>("note", note)?;
        }
        for (file, input) in gathered.inputs.iter().enumerate() {
            for oddity in &input.oddities {
                self.line("oddity", Oddity { file, oddity })?;
            }
        }
        let privacy = privacy_words(&Phrases::english(), &gathered.privacy);
        let language = gathered.catalogue.phrases().other_tag();
        let (inputs, summary) = (&*gathered.inputs, &gathered.summary);
        self.line("stats", Stats { inputs, summary, behind: None, language, privacy })?;
        self.out.flush()
    }

    /// Hands on what is held back.
    ///
    /// # Errors
    /// What the writer says.
    pub fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }

    fn line<T: Serialize>(&mut self, kind: &str, what: T) -> io::Result<()> {
        self.line.clear();
        to_bytes(&Event { schema: SCHEMA, kind, what }, &mut self.line)?;
        self.line.push(b'\n');
        self.out.write_all(&self.line)
    }
}
