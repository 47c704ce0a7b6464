//! Analyses captures, and writes the reports that were asked for.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use crate::capture::{Digest, Files, Filtered, InputFacts, Skipped, Source, SourceId};
use crate::cli::args::{FailOn, Format, Look, Options, Run, Watching};
use crate::cli::follower::{Bar, First, Follow, Running};
use crate::cli::keylog;
use crate::cli::limits::{self, AllLimits};
use crate::cli::live::{self, Asked};
use crate::cli::output::{self, Output};
use crate::cli::packets::Packets;
use crate::cli::plan::{self, Plan};
use crate::cli::printer::Printer;
use crate::cli::readings::Readings;
use crate::cli::service::{Pace, Sockets, Told};
use crate::cli::{INTERNAL_ERROR, privacy, say, settings};
use crate::diagnosis::{Engine, Severity};
use crate::error::Error;
use crate::oddity::Oddity;
use crate::report::{Events, Gathered, Names, Privacy, Scene, follow};

/// Warnings on standard error; the report has them all.
const MOST_WARNINGS: usize = 20;

/// `sipwhy FILE…` and `sipwhy -i IF`.
pub(crate) fn report(options: &Options, look: &Look) -> Result<u8, Error> {
    let (run, look, names) = &settings::apply(&options.run, look)?;
    let is_live = !options.interface.is_empty() || options.watching.follow.is_some();
    if is_live || run.service.hep_listen.is_some() {
        let words: Vec<String> = options.files.iter().map(|word| word.to_string_lossy().into_owned()).collect();
        let (interfaces, watching) = (&options.interface[..], &options.watching);
        return live::watch(&Asked { interfaces, words: &words, watching, run, look, names });
    }
    refuse_watching(&options.watching)?;
    run.service.refuse_user()?;
    let paths: Vec<PathBuf> = options.read.iter().chain(&options.files).cloned().collect();
    if paths.is_empty() {
        return Err(Error::Usage(
            "name a capture file, a folder, or - for standard input; sipwhy --help says more".into(),
        ));
    }
    output::refuse_inputs(&run.output, &paths)?;
    let limits = limits::read(&run.limits)?;
    let wants_digest = run.ticket || plan::formats(run)?.iter().any(|format| *format != Format::Text);
    let digest = if wants_digest { Digest::Sha256 } else { Digest::Unasked };
    let reading = limits.reading(digest);
    let files = Files::open(&paths, reading)?;
    if !run.quiet {
        tell_skipped(files.skipped(), run);
    }
    let inputs: Vec<PathBuf> = files.inputs().into_iter().map(|input| input.name.into()).collect();
    // A folder was named, and the output may be one of the files in it.
    output::refuse_inputs(&run.output, &inputs)?;
    let privacy = privacy::of(run, &inputs)?;
    let again = |ahead: &[(SourceId, i64)]| {
        let mut files = Files::open(&paths, reading)?;
        files.put_clocks_right(ahead);
        wanted_of(files, run)
    };
    // A pipe can be read only once.
    let again: Option<Again<'_>> = if paths.iter().all(|path| can_be_read_again(path)) { Some(&again) } else { None };
    let sockets = Sockets::open(&run.service)?;
    let setting = Setting { again, limits, privacy, names, sockets };
    analyse(wanted_of(files, run)?, setting, run, look)
}

/// What is set of a run without end has no meaning for files.
pub(crate) fn refuse_watching(watching: &Watching) -> Result<(), Error> {
    match watching.set() {
        Some(option) => Err(Error::Usage(format!("{option} is for live runs: add -i IF or --follow FILE"))),
        None => Ok(()),
    }
}

/// Opens the same files another time, and takes off the times of these by how many nanoseconds each is ahead.
type Again<'a> = &'a dyn Fn(&[(SourceId, i64)]) -> Result<Box<dyn Source>, Error>;

fn can_be_read_again(path: &Path) -> bool {
    path.is_file() || path.is_dir()
}

/// What the user wants of files.
pub(crate) fn wanted_of(files: Files, run: &Run) -> Result<Box<dyn Source>, Error> {
    let source: Box<dyn Source> = match &run.filter {
        Some(filter) => Box::new(Filtered::new(files, filter)?),
        None => Box::new(files),
    };
    Ok(First::of(source, run.count))
}

/// Files of a folder that are not read.
fn tell_skipped(skipped: &[Skipped], run: &Run) {
    if run.verbose {
        for one in skipped {
            say(&format!("sipwhy: {} was skipped: {}", one.path.display(), one.why));
        }
    } else if !skipped.is_empty() {
        let were = if skipped.len() == 1 { "file was" } else { "files were" };
        say(&format!("sipwhy: {} {were} skipped (-v says which and why)", skipped.len()));
    }
}

/// What a run is set to, beside what was typed.
struct Setting<'a> {
    /// Opens the input another time; `None` if it can be read only once.
    again: Option<Again<'a>>,
    limits: AllLimits,
    privacy: Privacy,
    names: &'a Names,
    sockets: Sockets,
}

fn analyse(mut source: Box<dyn Source>, setting: Setting<'_>, run: &Run, look: &Look) -> Result<u8, Error> {
    let Setting { again, limits, privacy, names, sockets } = setting;
    let mut keys = keylog::read(run)?;
    let plan = Plan::of(run, look, names)?;
    let mut files: Vec<(Format, Output)> = Vec::new();
    for path in &run.output {
        files.push((output::format_of(path)?, Output::create(path)?));
    }
    let bar = if run.quiet { Bar::none() } else { Bar::on_stderr() };
    let service = plan.service(sockets, Pace::Waits)?;
    let packets = Packets::of(&source.inputs(), &limits, &plan.selection);
    if plan.formats.contains(&Format::Pcapng) {
        packets.refuse_unreadable()?;
    }
    let mut follower = Follow::new(plan.gatherer(&limits), plan.selection.clone(), running(run), bar, service);
    let mut readings = Readings::default();
    let (mut analysis, engine, scene, inputs) = loop {
        let mut analysis = plan.analysis(limits.analysis, keys, &follower.service)?;
        if source.inputs().len() > 1 {
            analysis.compare_inputs();
        }
        let mut engine = Engine::new(limits.held_back);
        let mut scene = Scene::new(&source.inputs(), plan.catalogue.clone()).with_privacy(privacy.clone());
        let inputs = follow(source.as_mut(), &mut analysis, &mut engine, &mut scene, &mut follower)?;
        let another = readings.another(&mut analysis, &inputs).zip(again);
        let Some((another, open)) = another.filter(|_| follower.can_begin_anew()) else {
            break (analysis, engine, scene, inputs);
        };
        readings.begin(another);
        source = open(&readings.ahead())?;
        keys = std::mem::take(analysis.keys()).for_another_reading();
        follower.gatherer = plan.gatherer(&limits);
    };
    readings.tell_clocks(&mut analysis);
    drop(source);
    follower.bar.clear();
    if follower.was_interrupted() && !run.quiet {
        say("sipwhy: interrupted: the report covers what was read until then");
    }
    let Follow { gatherer, running, bar, service, .. } = follower;
    let mut gathered = gatherer.finish(&scene, &inputs, &analysis, &engine);
    service.incidents(&gathered);
    let told = service.finish();
    let packets = packets.with_keys(std::mem::take(analysis.keys()).for_another_reading());
    refuse_unreadable(&gathered)?;
    warn(&gathered, run);
    if run.verbose {
        let packets: u64 = inputs.iter().map(|input: &InputFacts| input.packets).sum();
        say(&format!("sipwhy: {packets} packets in {:.3} s", bar.age().as_secs_f64()));
    }
    on_stdout(running, &mut gathered, run.format, &plan.printer())?;
    let style = plan.style_of_files();
    for (format, output) in files {
        match format {
            Format::Pcapng => packets.write(output, &mut gathered, run)?,
            _ => plan.printer_of_files(&style).print_to(output, format, &mut gathered)?,
        }
    }
    Ok(if told == Told::InPart { Error::OUTPUT_FAILED } else { status(&gathered, run) })
}

/// What is printed while packets are read.
fn running(run: &Run) -> Running {
    match run.format {
        Format::Ndjson => Running::Events(Events::new(output::buffered(io::stdout()))),
        _ => Running::Nothing,
    }
}

fn on_stdout(running: Running, gathered: &mut Gathered, format: Format, printer: &Printer<'_>) -> Result<(), Error> {
    if let Running::Events(mut events) = running {
        return Ok(events.end(gathered)?);
    }
    let mut out = output::buffered(io::stdout());
    printer.print(&mut out, format, gathered)?;
    Ok(out.flush()?)
}

/// A capture of which nothing at all could be decoded is no input.
fn refuse_unreadable(gathered: &Gathered) -> Result<(), Error> {
    let Some(first) = gathered.inputs.first() else { return Ok(()) };
    let is_unreadable = |input: &crate::report::InputRecord| {
        let unsupported = input.oddities.iter().find(|oddity| oddity.kind == "unsupported-link-type");
        input.packets > 0 && unsupported.is_some_and(|oddity| oddity.count >= input.packets)
    };
    if !gathered.inputs.iter().all(is_unreadable) {
        return Ok(());
    }
    let unsupported = first.oddities.iter().find(|oddity| oddity.kind == "unsupported-link-type");
    let why = unsupported.map(|oddity| oddity.says.raw().to_owned()).unwrap_or_default();
    Err(Error::Unusable { file: first.file.raw().to_owned(), why })
}

/// Problems of the input, for those who do not read the report at once.
pub(crate) fn warn(gathered: &Gathered, run: &Run) {
    if run.quiet || run.format == Format::Text {
        return;
    }
    let mut told = 0;
    for input in &gathered.inputs {
        for oddity in &input.oddities {
            told += 1;
            if told > MOST_WARNINGS {
                return say("sipwhy: the report names more problems of the input");
            }
            say(&format!("sipwhy: {}: {} ({})", input.file.raw(), oddity.says.raw(), oddity.count));
        }
    }
}

pub(crate) fn status(gathered: &Gathered, run: &Run) -> u8 {
    let oddities = gathered.inputs.iter().flat_map(|input| &input.oddities);
    let faults: u64 = oddities.filter(|oddity| oddity.kind == Oddity::INTERNAL_FAULT).map(|oddity| oddity.count).sum();
    if faults > 0 {
        say(&format!("sipwhy: internal errors: {faults}; the report covers everything else"));
        return INTERNAL_ERROR;
    }
    if run.strict && gathered.inputs.iter().any(|input| !input.oddities.is_empty()) {
        say("sipwhy: something was wrong with the input (--strict); the report names it");
        return Error::INPUT_UNUSABLE;
    }
    let worst = match run.fail_on {
        None => return 0,
        Some(FailOn::Error) => Severity::Error,
        Some(FailOn::Warning) => Severity::Warning,
    };
    u8::from(gathered.worst.is_some_and(|found| found <= worst))
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::analysis::Analysis;
    use crate::capture::Place;
    use crate::catalogue::Catalogue;
    use crate::cli::args::Cli;
    use crate::oddity::OddityLog;
    use crate::report::{Gatherer, Keep};

    /// The exit status after a run over one packet.
    fn status_after(analysis: &Analysis) -> u8 {
        let facts = InputFacts {
            name: "call.pcap".into(),
            sha256: None,
            format: "pcap".into(),
            link_types: Vec::new(),
            packets: 1,
            first_and_last: None,
            nanoseconds: false,
            drops: 0,
            drops_of_interface: 0,
            filtered_out: 0,
            oddities: OddityLog::default(),
        };
        let inputs = [facts];
        let scene = Scene::new(&inputs, Catalogue::new());
        let gathered = Gatherer::new(Keep::All).finish(&scene, &inputs, analysis, &Engine::new(0));
        status(&gathered, &Cli::parse_from(["sipwhy", "call.pcap"]).options.run)
    }

    #[test]
    fn a_fault_of_the_program_has_a_status_of_its_own() {
        let mut analysis = Analysis::default();
        assert_eq!(status_after(&analysis), 0);
        analysis.note_fault(Place::default());
        assert_eq!(status_after(&analysis), INTERNAL_ERROR);
    }
}
