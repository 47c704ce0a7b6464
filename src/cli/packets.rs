//! Captures as output: annotated, of chosen calls, redacted.

use std::cell::RefCell;
use std::path::PathBuf;

use crate::capture::{Digest, InputFacts, Reading, Remarks, annotate};
use crate::cli::args::Run;
use crate::cli::limits::AllLimits;
use crate::cli::output::Output;
use crate::cli::say;
use crate::cli::select::Selection;
use crate::error::Error;
use crate::net::{self, KeyLog};
use crate::report::{Again, Failed, Gathered, Media, frames_of, remarks, write_redacted};

/// What must be known to read the inputs a second time.
pub(crate) struct Packets {
    paths: Vec<PathBuf>,
    reading: Reading,
    limits: net::Limits,
    wanted: Wanted,
    keys: RefCell<KeyLog>,
}

/// Behind the summary of a capture that holds some frames of another.
const OTHER_NUMBERS: &str = "\nonly the calls that were asked for: the frames that comments name are counted in the \
                             capture they were taken from";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wanted {
    All,
    OfChosenCalls,
}

impl Packets {
    pub(crate) fn of(inputs: &[InputFacts], limits: &AllLimits, selection: &Selection) -> Packets {
        Packets {
            paths: inputs.iter().map(|input| input.name.clone().into()).collect(),
            reading: limits.reading(Digest::Unasked),
            limits: limits.analysis.net,
            wanted: if selection.is_everything() { Wanted::All } else { Wanted::OfChosenCalls },
            keys: RefCell::default(),
        }
    }

    /// With the secrets of TLS that the first reading knew in the end.
    pub(crate) fn with_keys(self, keys: KeyLog) -> Packets {
        Packets { keys: RefCell::new(keys), ..self }
    }

    /// Refuses what cannot be read twice.
    pub(crate) fn refuse_unreadable(&self) -> Result<(), Error> {
        if !self.paths.iter().all(|path| path.is_file()) {
            return Err(Error::Usage(
                "-o FILE.pcapng reads the capture a second time, so it needs files: save what comes through a pipe \
                 first (tcpdump -w call.pcap)"
                    .into(),
            ));
        }
        Ok(())
    }

    /// Writes the capture.
    pub(crate) fn write(&self, mut output: Output, gathered: &mut Gathered, run: &Run) -> Result<(), Error> {
        match self.written(&mut output, gathered, run) {
            Ok(()) => output.finish(),
            Err(Failed::Read(error)) => Err(Error::Capture(error)),
            Err(Failed::Write(error)) => Err(output.failed(error)),
        }
    }

    fn written(&self, output: &mut Output, gathered: &mut Gathered, run: &Run) -> Result<(), Failed> {
        let (mut remarks, mut left_out) = remarks(gathered)?;
        if gathered.privacy().pseudonyms.is_some() {
            return self.redacted(output, gathered, &remarks);
        }
        if self.wanted == Wanted::OfChosenCalls {
            if let Some(first) = remarks.first_mut() {
                first.summary.push_str(OTHER_NUMBERS);
            }
            let media = if run.with_media { Media::Taken } else { Media::Left };
            let chosen = Some(gathered.call_ids());
            let again =
                Again { paths: &self.paths, reading: self.reading, limits: self.limits, keys: &self.keys, chosen };
            let chosen = frames_of(&again, media)?;
            for (source, remarks) in (0..).zip(&mut remarks) {
                let own = chosen.iter().filter(|(of, _)| *of == source).map(|(_, frame)| *frame);
                remarks.chosen = Some(own.collect());
            }
        }
        let mut is_cut = false;
        for (path, remarks) in self.paths.iter().zip(&remarks) {
            let copied = annotate(path, self.reading, remarks, output)?;
            left_out += copied.homeless;
            is_cut |= copied.is_cut;
        }
        if is_cut {
            say("sipwhy: the capture is damaged: the annotated one ends where the damage begins");
        }
        if left_out > 0 && !run.quiet {
            say(&format!("sipwhy: {left_out} comments found no place at their frames; the report has them"));
        }
        Ok(())
    }

    fn redacted(&self, output: &mut Output, gathered: &Gathered, remarks: &[Remarks]) -> Result<(), Failed> {
        let chosen = (self.wanted == Wanted::OfChosenCalls).then(|| gathered.call_ids());
        let again = Again { paths: &self.paths, reading: self.reading, limits: self.limits, keys: &self.keys, chosen };
        let rewritten = write_redacted(output, &again, gathered.privacy(), remarks)?;
        if rewritten.left_out > 0 {
            say(&format!("sipwhy: {} messages could not be written anew and are left out", rewritten.left_out));
        }
        Ok(())
    }
}
