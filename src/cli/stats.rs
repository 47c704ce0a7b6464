//! `sipwhy stats`: figures of captures in place of a report on each call.

use std::io::{self, Write};
use std::ops::ControlFlow;
use std::path::PathBuf;

use crate::analysis::Analysis;
use crate::call::{Call, GoodCall, Wanted};
use crate::capture::{Digest, Files, Progress, Source};
use crate::cli::analyse::{refuse_watching, wanted_of};
use crate::cli::args::{Format, Look, Options};
use crate::cli::output::{self, Output};
use crate::cli::plan;
use crate::cli::select::Selection;
use crate::cli::{keylog, limits, privacy, settings, terminal};
use crate::diagnosis::{Diagnosis, Engine};
use crate::error::Error;
use crate::report::text::Style;
use crate::report::{Ending, Follower, Scene, Stats, follow};

/// Counts every call.
struct Counting {
    stats: Stats,
    selection: Selection,
}

impl Follower for Counting {
    type Error = Error;

    fn reads_words(&self, _: &Call, _: &Diagnosis) -> bool {
        false
    }

    fn call(&mut self, scene: &Scene, call: &Call, diagnosis: &Diagnosis) -> Result<(), Error> {
        let selected = self.selection.takes(call, diagnosis.outcome);
        self.stats.add(scene, call, diagnosis, selected);
        Ok(())
    }

    fn good(&mut self, _: GoodCall) {}

    fn go_on(&mut self, _: Progress) -> Result<ControlFlow<Ending>, Error> {
        Ok(ControlFlow::Continue(()))
    }
}

/// `sipwhy stats FILE…`.
pub(crate) fn stats(options: &Options, look: &Look) -> Result<u8, Error> {
    let (run, look, names) = &settings::apply(&options.run, look)?;
    let paths: Vec<PathBuf> = options.read.iter().chain(&options.files).cloned().collect();
    refuse_watching(&options.watching)?;
    run.service.refuse_all("figures")?;
    if paths.is_empty() || !options.interface.is_empty() {
        return Err(Error::Usage("name the captures to count: sipwhy stats call.pcap".into()));
    }
    output::refuse_inputs(&run.output, &paths)?;
    let mut outputs = Vec::new();
    for path in &run.output {
        let format = output::format_of(path)?;
        check(format)?;
        outputs.push((format, Output::create(path)?));
    }
    check(run.format)?;
    let mut style = terminal::style(look, run.tz.as_deref(), terminal::width(look))?;
    style.names = names.clone();
    let formats: Vec<Format> = std::iter::once(run.format).chain(outputs.iter().map(|(format, _)| *format)).collect();
    let catalogue = plan::catalogue_of(&formats, look)?;
    style.words = catalogue.phrases().for_reports();
    let limits = limits::read(&run.limits)?;
    let files = Files::open(&paths, limits.reading(Digest::Unasked))?;
    let inputs: Vec<PathBuf> = files.inputs().into_iter().map(|input| input.name.into()).collect();
    // A folder was named, and the output may be one of the files in it.
    output::refuse_inputs(&run.output, &inputs)?;
    let privacy = privacy::of(run, &inputs)?;
    let mut source = wanted_of(files, run)?;
    let mut counting = Counting { stats: Stats::new(), selection: Selection::read(run, &style.zone)? };
    let mut analysis = Analysis::new(limits.analysis, Wanted::EveryCall);
    *analysis.keys() = keylog::read(run)?;
    let mut engine = Engine::new(limits.held_back);
    let mut scene = Scene::new(&source.inputs(), catalogue).with_privacy(privacy);
    follow(source.as_mut(), &mut analysis, &mut engine, &mut scene, &mut counting)?;
    let mut stats = counting.stats;
    stats.finish(analysis.surroundings().neighbours().leaps());
    let mut out = output::buffered(io::stdout());
    out.write_all(shown(&stats, run.format, &style)?.as_bytes())?;
    out.flush()?;
    for (format, mut output) in outputs {
        match output.write_all(shown(&stats, format, &style)?.as_bytes()) {
            Ok(()) => output.finish()?,
            Err(error) => return Err(output.failed(error)),
        }
    }
    Ok(0)
}

fn check(format: Format) -> Result<(), Error> {
    match format {
        Format::Text | Format::Json | Format::Svg => Ok(()),
        _ => Err(Error::Usage("figures are written as text, json or svg".into())),
    }
}

fn shown(stats: &Stats, format: Format, style: &Style) -> io::Result<String> {
    match format {
        Format::Json => Ok(serde_json::to_string_pretty(stats)? + "\n"),
        Format::Svg => Ok(stats.svg(style)),
        _ => Ok(stats.text(style)),
    }
}
