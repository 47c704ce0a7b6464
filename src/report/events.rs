//! Prints events, one JSON object per line (`sipwhy.event/1`), as they happen.

use std::io::{self, Write};

use serde::Serialize;

use crate::analysis::MessageRead;
use crate::call::Call;
use crate::catalogue::Phrases;
use crate::diagnosis::Diagnosis;
use crate::report::gatherer::Gathered;
use crate::report::json::to_bytes;
use crate::report::moment::Moment;
use crate::report::record::{CallRecord, FailureRecord, FindingRecord, Frame};
use crate::report::scene::Scene;
use crate::report::value::{Incident, InputRecord, OddityRecord, Summary};
use crate::report::view::privacy_words;
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
        self.line("stats", Stats { inputs: &gathered.inputs, summary: &gathered.summary, language, privacy })?;
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
