//! Analyses captures, and writes the reports that were asked for.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use crate::analysis::Analysis;
use crate::call::Wanted;
use crate::capture::{Digest, Files, Filtered, InputFacts, Skipped, Source};
use crate::catalogue::Catalogue;
use crate::cli::args::{FailOn, Format, LadderTimes, Look, Options, Run, Watching};
use crate::cli::follower::{Bar, First, Follow, Running};
use crate::cli::keylog;
use crate::cli::limits::{self, AllLimits};
use crate::cli::live::{self, Asked};
use crate::cli::output::{self, Output};
use crate::cli::packets::Packets;
use crate::cli::select::Selection;
use crate::cli::service::{Forwarded, Pace, Service, Sockets, Told};
use crate::cli::{INTERNAL_ERROR, privacy, say, settings, terminal};
use crate::diagnosis::{Engine, Severity};
use crate::error::Error;
use crate::oddity::Oddity;
use crate::report::text::{self, Scope, Style, Times};
use crate::report::{Events, Gathered, Gatherer, Keep, Layout, Names, Privacy, Scene, follow};
use crate::report::{
    write_csv, write_html, write_json, write_junit, write_markdown, write_mermaid, write_svg, write_ticket,
};
use crate::sip::digest::Secrets;

/// The exit status where something could not be sent or written.
const OUTPUT_FAILED: u8 = 4;
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
    let wants_digest = run.ticket || formats(run)?.iter().any(|format| *format != Format::Text);
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
    let again = || wanted_of(Files::open(&paths, reading)?, run);
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

/// Opens the same files another time.
type Again<'a> = &'a dyn Fn() -> Result<Box<dyn Source>, Error>;

fn can_be_read_again(path: &Path) -> bool {
    path.is_file() || path.is_dir()
}

/// What the user wants of files.
pub(crate) fn wanted_of(files: Files, run: &Run) -> Result<Box<dyn Source>, Error> {
    let source: Box<dyn Source> = match &run.filter {
        Some(filter) => Box::new(Filtered::new(files, filter)?),
        None => Box::new(files),
    };
    Ok(match run.count {
        Some(count) => Box::new(First::new(source, count)),
        None => source,
    })
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

/// Every format that is written anywhere.
pub(crate) fn formats(run: &Run) -> Result<Vec<Format>, Error> {
    let mut formats = vec![run.format];
    for path in &run.output {
        formats.push(output::format_of(path)?);
    }
    Ok(formats)
}

/// The secrets of a file. What it says is never told, only which line is wrong.
pub(crate) fn secrets(path: &Path) -> Result<Secrets, Error> {
    let text = std::fs::read_to_string(path).map_err(|source| Error::Read {
        option: "--secrets",
        path: path.to_owned(),
        source,
    })?;
    Secrets::read(&text)
        .map_err(|line| Error::Usage(format!("{}: line {line} needs a user, a realm and a password", path.display())))
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
    let Setting { mut again, limits, privacy, names, sockets } = setting;
    let mut keys = keylog::read(run)?;
    let mut style = style_of(run, look, names)?;
    let selection = Selection::read(run, &style.zone)?;
    let scope = if run.all || !selection.is_everything() { Scope::Everything } else { Scope::Trouble };
    let formats = formats(run)?;
    let keep = keep(&formats, scope);
    let mut files: Vec<(Format, Output)> = Vec::new();
    for path in run.output.iter() {
        files.push((output::format_of(path)?, Output::create(path)?));
    }
    let running = running(run);
    let bar = if run.quiet { Bar::none() } else { Bar::on_stderr() };
    let counts_good_ones =
        keep == Keep::Trouble && run.format == Format::Text && selection.is_everything() && run.fail_on.is_none();
    let service = Service::start(run, sockets, names, Forwarded::of(&selection), Pace::Waits)?;
    let counts_good_ones = counts_good_ones && !service.wants_every_call();
    let wanted = if counts_good_ones { Wanted::Troubled } else { Wanted::EveryCall };
    let catalogue = catalogue_of(&formats, look)?;
    style.words = catalogue.phrases().for_reports();
    // Which call a message belongs to is not known when it is read: it cannot be selected.
    let wants_messages = run.format == Format::Ndjson && selection.is_everything();
    let packets = Packets::of(&source.inputs(), &limits, &selection);
    if formats.contains(&Format::Pcapng) {
        packets.refuse_unreadable()?;
    }
    let gatherer = || gatherer(keep, &formats, &limits, run);
    let mut follower = Follow::new(gatherer(), selection, running, bar, service);
    let (mut analysis, engine, scene, inputs) = loop {
        let mut analysis = Analysis::new(limits.analysis, wanted);
        *analysis.keys() = keys;
        if wants_messages {
            analysis.hand_on_messages();
        }
        follower.service.ask(&mut analysis);
        if let Some(path) = &run.secrets {
            analysis.use_secrets(secrets(path)?);
        }
        let mut engine = Engine::new(limits.held_back);
        let mut scene = Scene::new(&source.inputs(), catalogue.clone()).with_privacy(privacy.clone());
        let inputs = follow(source.as_mut(), &mut analysis, &mut engine, &mut scene, &mut follower)?;
        // Secrets that stood behind the records that need them: with them all, everything is read once more.
        // What was told already cannot be told anew.
        let may = matches!(follower.running, Running::Nothing) && !follower.was_interrupted();
        let may = may && !follower.service.tells_anything();
        match again.take().filter(|_| may && analysis.keys().came_late()) {
            Some(open) => source = open()?,
            None => break (analysis, engine, scene, inputs),
        }
        keys = std::mem::take(analysis.keys()).for_another_reading();
        (follower.gatherer, follower.selection) = (gatherer(), Selection::read(run, &style.zone)?);
    };
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
    on_stdout(running, &mut gathered, run, look, &style, scope)?;
    let style = style.for_files(usize::from(look.width.unwrap_or(80)));
    let printer = Printer { run, look, style: &style, scope, layout: Layout::Compact };
    for (format, output) in files {
        to_file(output, format, &mut gathered, &packets, &printer)?;
    }
    Ok(if told == Told::InPart { OUTPUT_FAILED } else { status(&gathered, run) })
}

/// How a report looks.
pub(crate) fn style_of(run: &Run, look: &Look, names: &Names) -> Result<Style, Error> {
    let mut style = terminal::style(look, run.tz.as_deref(), terminal::width(look))?;
    style.names = names.clone();
    style.times = match run.times {
        LadderTimes::R => Times::SinceBeginning,
        LadderTimes::A => Times::OfDay,
        LadderTimes::D => Times::SinceLast,
        LadderTimes::E => Times::Epoch,
    };
    Ok(style)
}

/// The catalogue: in the language of the locale, unless programs read what is written.
pub(crate) fn catalogue_of(formats: &[Format], look: &Look) -> Result<Catalogue, Error> {
    let is_for_people = formats.iter().all(|format| !is_for_programs(*format));
    if is_for_people { terminal::catalogue(look) } else { terminal::catalogue_for_programs(look) }
}

/// What gathers that which the formats need.
pub(crate) fn gatherer(keep: Keep, formats: &[Format], limits: &AllLimits, run: &Run) -> Gatherer {
    let mut gatherer = Gatherer::new(keep).with_room_for(limits.kept);
    if run.ticket || formats.contains(&Format::Html) {
        gatherer = gatherer.with_messages();
    }
    if formats.contains(&Format::Pcapng) {
        gatherer = gatherer.with_call_ids();
    }
    gatherer
}

/// The records that the formats need.
pub(crate) fn keep(formats: &[Format], scope: Scope) -> Keep {
    let needs_all = |at: usize, format: Format| match format {
        Format::Json | Format::Csv | Format::Junit | Format::Html | Format::Pcapng => true,
        // On standard output events are written as they happen.
        Format::Ndjson => at > 0,
        Format::Text | Format::Md | Format::Svg | Format::Mermaid => scope == Scope::Everything,
    };
    let mut formats = formats.iter().enumerate();
    if formats.any(|(at, format)| needs_all(at, *format)) { Keep::All } else { Keep::Trouble }
}

/// True for formats whose bytes must not depend on the locale.
fn is_for_programs(format: Format) -> bool {
    matches!(format, Format::Json | Format::Ndjson | Format::Csv | Format::Junit)
}

/// What is printed while packets are read.
fn running(run: &Run) -> Running {
    match run.format {
        Format::Ndjson => Running::Events(Events::new(output::buffered(io::stdout()))),
        _ => Running::Nothing,
    }
}

fn on_stdout(
    running: Running,
    gathered: &mut Gathered,
    run: &Run,
    look: &Look,
    style: &Style,
    scope: Scope,
) -> Result<(), Error> {
    if let Running::Events(mut events) = running {
        return Ok(events.end(gathered)?);
    }
    let layout = if terminal::is_terminal() { Layout::Pretty } else { Layout::Compact };
    let mut out = output::buffered(io::stdout());
    let printer = Printer { run, look, style, scope, layout };
    printer.print(&mut out, run.format, gathered)?;
    out.flush()?;
    Ok(())
}

fn to_file(
    output: Output,
    format: Format,
    gathered: &mut Gathered,
    packets: &Packets,
    printer: &Printer<'_>,
) -> Result<(), Error> {
    match format {
        Format::Pcapng => packets.write(output, gathered, printer.run),
        _ => print_to(output, format, gathered, printer),
    }
}

/// Prints a report into a file.
pub(crate) fn print_to(
    mut output: Output,
    format: Format,
    gathered: &mut Gathered,
    printer: &Printer<'_>,
) -> Result<(), Error> {
    match printer.print(&mut output, format, gathered) {
        Ok(()) => output.finish(),
        Err(error) => Err(output.failed(error)),
    }
}

/// What every printer may need to know.
#[derive(Clone, Copy)]
pub(crate) struct Printer<'a> {
    pub(crate) run: &'a Run,
    pub(crate) look: &'a Look,
    pub(crate) style: &'a Style,
    pub(crate) scope: Scope,
    pub(crate) layout: Layout,
}

impl Printer<'_> {
    /// Prints a report.
    pub(crate) fn print(&self, out: &mut dyn Write, format: Format, gathered: &mut Gathered) -> io::Result<()> {
        let Printer { run, look, style, scope, layout } = *self;
        match format {
            Format::Text if run.ticket => write_ticket(out, gathered, scope),
            Format::Text => text::write(out, gathered, style, scope),
            Format::Md => write_markdown(out, gathered, style, scope, &look.provenance),
            Format::Html => write_html(out, gathered, style, &look.provenance),
            Format::Json => write_json(out, gathered, layout),
            Format::Ndjson => Events::new(out).all(gathered),
            Format::Csv => write_csv(out, gathered),
            Format::Svg => write_svg(out, gathered, style, scope),
            Format::Mermaid => write_mermaid(out, gathered, style, scope),
            Format::Junit => write_junit(out, gathered),
            // A capture is no stream of text, and is written by `packets`.
            Format::Pcapng => Ok(()),
        }
    }
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
        return 3;
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
    use crate::capture::Place;
    use crate::cli::args::Cli;
    use crate::oddity::OddityLog;

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
