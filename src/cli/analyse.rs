//! Analyses captures or an interface, and writes the reports that were asked for.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use crate::analysis::Analysis;
use crate::call::Wanted;
use crate::capture::{Digest, Files, Filtered, InputFacts, Live as Interface, Reading, Skipped, Source};
use crate::cli::args::{FailOn, Format, Live, Look, Options, Run};
use crate::cli::follower::{Bar, First, Follow, Running, Which};
use crate::cli::limits::{self, AllLimits};
use crate::cli::output::{self, Output};
use crate::cli::select::Selection;
use crate::cli::{say, terminal};
use crate::diagnosis::{Engine, Severity};
use crate::error::Error;
use crate::report::text::{self, Scope, Style};
use crate::report::{Events, Gathered, Gatherer, Keep, Layout, Scene, follow, write_json};
use crate::sip::digest::Secrets;

/// Warnings on standard error; the report has them all.
const MOST_WARNINGS: usize = 20;

/// Where packets come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum From {
    Files,
    Interface,
}

/// `sipwhy FILE…` and `sipwhy -i IF`.
pub(crate) fn report(options: &Options, look: &Look) -> Result<u8, Error> {
    let run = &options.run;
    if let Some(interface) = &options.interface {
        return on_interface(interface, run.filter.as_deref(), run, look);
    }
    let paths: Vec<PathBuf> = options.read.iter().chain(&options.files).cloned().collect();
    if paths.is_empty() {
        return Err(Error::Usage(
            "name a capture file, a folder, or - for standard input; sipwhy --help says more".into(),
        ));
    }
    output::refuse_inputs(&run.output, &paths)?;
    let limits = limits::read(&run.limits)?;
    let wants_digest = formats(run)?.iter().any(|format| *format != Format::Text);
    let digest = if wants_digest { Digest::Sha256 } else { Digest::Unasked };
    let files = Files::open(&paths, Reading { digest, unpacked_limit: limits.decompressed })?;
    if !run.quiet {
        tell_skipped(files.skipped(), run);
    }
    let mut source: Box<dyn Source> = match &run.filter {
        Some(filter) => Box::new(Filtered::new(files, filter)?),
        None => Box::new(files),
    };
    if let Some(count) = run.count {
        source = Box::new(First::new(source, count));
    }
    analyse(source, From::Files, limits, run, look)
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

/// `sipwhy live`.
pub(crate) fn live(live: &Live, look: &Look) -> Result<u8, Error> {
    let words = live.words.join(" ");
    let filter = live.run.filter.as_deref().or((!words.is_empty()).then_some(words.as_str()));
    on_interface(&live.interface, filter, &live.run, look)
}

fn on_interface(interface: &str, filter: Option<&str>, run: &Run, look: &Look) -> Result<u8, Error> {
    let limits = AllLimits { held_back: 0, ..limits::read(&run.limits)? };
    let mut source: Box<dyn Source> = Box::new(Interface::open(interface, filter)?);
    if !run.quiet {
        say(&format!("sipwhy: live on {interface}, SIP on any port; Ctrl-C ends with the summary"));
    }
    if let Some(count) = run.count {
        source = Box::new(First::new(source, count));
    }
    analyse(source, From::Interface, limits, run, look)
}

/// Every format that is written anywhere.
fn formats(run: &Run) -> Result<Vec<Format>, Error> {
    let mut formats = vec![run.format];
    for path in &run.output {
        formats.push(output::format_of(path)?);
    }
    Ok(formats)
}

/// The secrets of a file. What it says is never told, only which line is wrong.
fn secrets(path: &Path) -> Result<Secrets, Error> {
    let text = std::fs::read_to_string(path)
        .map_err(|error| Error::Usage(format!("cannot read the secrets in {}: {error}", path.display())))?;
    Secrets::read(&text)
        .map_err(|line| Error::Usage(format!("{}: line {line} needs a user, a realm and a password", path.display())))
}

fn analyse(mut source: Box<dyn Source>, from: From, limits: AllLimits, run: &Run, look: &Look) -> Result<u8, Error> {
    let style = terminal::style(look, &run.tz, terminal::width(look))?;
    let selection = Selection::read(run, &style.zone)?;
    let scope = if run.all || !selection.is_everything() { Scope::Everything } else { Scope::Trouble };
    let formats = formats(run)?;
    let is_for_file = |format: Format| formats.iter().skip(1).any(|known| *known == format);
    let keeps_all = formats.contains(&Format::Json)
        || is_for_file(Format::Ndjson)
        || (scope == Scope::Everything && formats.contains(&Format::Text));
    let keep = if keeps_all { Keep::All } else { Keep::Trouble };
    let mut files: Vec<(Format, Output)> = Vec::new();
    for path in run.output.iter() {
        files.push((output::format_of(path)?, Output::create(path)?));
    }
    let running = running(run, look, &style, from);
    let bar = if run.quiet || from == From::Interface { Bar::none() } else { Bar::on_stderr() };
    let counts_good_ones = keep == Keep::Trouble
        && run.format == Format::Text
        && selection.is_everything()
        && run.fail_on.is_none()
        && from != From::Interface;
    let wanted = if counts_good_ones { Wanted::Troubled } else { Wanted::EveryCall };
    let is_for_people = formats.iter().all(|format| *format == Format::Text);
    let catalogue = if is_for_people { terminal::catalogue(look)? } else { terminal::catalogue_for_programs(look)? };
    // Which call a message belongs to is not known when it is read: it cannot be selected.
    let wants_messages = run.format == Format::Ndjson && selection.is_everything();
    let mut follower = Follow::new(Gatherer::new(keep), selection, running, bar);
    let mut analysis = Analysis::new(limits.analysis, wanted);
    if wants_messages {
        analysis.hand_on_messages();
    }
    if let Some(path) = &run.secrets {
        analysis.use_secrets(secrets(path)?);
    }
    let mut engine = Engine::new(limits.held_back);
    let mut scene = Scene::new(&source.inputs(), catalogue);
    let inputs = follow(source.as_mut(), &mut analysis, &mut engine, &mut scene, &mut follower)?;
    drop(source);
    follower.bar.clear();
    if follower.was_interrupted() && from == From::Files && !run.quiet {
        say("sipwhy: interrupted: the report covers what was read until then");
    }
    let Follow { gatherer, running, bar, .. } = follower;
    let mut gathered = gatherer.finish(&scene, &inputs, &analysis, &engine);
    refuse_unreadable(&gathered)?;
    warn(&gathered, run);
    if run.verbose {
        let packets: u64 = inputs.iter().map(|input: &InputFacts| input.packets).sum();
        say(&format!("sipwhy: {packets} packets in {:.3} s", bar.age().as_secs_f64()));
    }
    on_stdout(running, &mut gathered, run, look, &style, scope)?;
    for (format, output) in files {
        to_file(output, format, &mut gathered, &style, look, scope)?;
    }
    Ok(status(&gathered, run))
}

/// What is printed while packets are read.
fn running(run: &Run, look: &Look, style: &Style, from: From) -> Running {
    match (run.format, from) {
        (Format::Ndjson, _) => Running::Events(Events::new(output::buffered(io::stdout()))),
        (Format::Text, From::Interface) => {
            let which = if run.all { Which::All } else { Which::Trouble };
            Running::Lines(Box::new(terminal::stdout(look)), style.clone(), which)
        }
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
    match (run.format, running) {
        (_, Running::Events(mut events)) => events.end(gathered)?,
        (Format::Json, _) => {
            let layout = if terminal::is_terminal() { Layout::Pretty } else { Layout::Compact };
            let mut out = output::buffered(io::stdout());
            write_json(&mut out, gathered, layout)?;
            out.flush()?;
        }
        _ => {
            let mut out = output::buffered(terminal::stdout(look));
            text::write(&mut out, gathered, style, scope)?;
            out.flush()?;
        }
    }
    Ok(())
}

fn to_file(
    mut output: Output,
    format: Format,
    gathered: &mut Gathered,
    style: &Style,
    look: &Look,
    scope: Scope,
) -> Result<(), Error> {
    let written = match format {
        Format::Json => write_json(&mut output, gathered, Layout::Compact),
        Format::Ndjson => Events::new(&mut output).all(gathered),
        Format::Text => {
            // A file has no colours, and its width does not depend on the terminal.
            let width = usize::from(look.width.unwrap_or(80));
            let style = Style::new(width, style.glyphs, style.zone.clone());
            text::write(&mut anstream::StripStream::new(&mut output as &mut dyn Write), gathered, &style, scope)
        }
    };
    match written {
        Ok(()) => output.finish(),
        Err(error) => Err(output.failed(error)),
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
fn warn(gathered: &Gathered, run: &Run) {
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

fn status(gathered: &Gathered, run: &Run) -> u8 {
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
