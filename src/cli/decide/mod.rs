//! `sipwhy decide`: from a symptom to its cause. A person answers, or the packets do.

mod ask;
mod shown;
mod walk;

use std::io::{self, IsTerminal, Write};
use std::ops::ControlFlow;
use std::path::PathBuf;

use serde::Serialize;

use crate::analysis::Analysis;
use crate::call::{Call, GoodCall, Wanted};
use crate::capture::{Digest, Files, Progress, Source};
use crate::catalogue::{
    Catalogue, Decisions, Start, decisions, decisions_in, language_of_decisions, start_page, starts_page,
};
use crate::cli::analyse::refuse_watching;
use crate::cli::analyse::wanted_of;
use crate::cli::args::{Look, Options, PageFormat};
use crate::cli::decide::ask::Asker;
use crate::cli::decide::shown::OpenQuestions;
use crate::cli::decide::walk::Walks;
use crate::cli::nearest::nearest;
use crate::cli::select::Selection;
use crate::cli::{keylog, limits, pages as cli_pages, privacy, settings, terminal};
use crate::diagnosis::{Diagnosis, Engine};
use crate::error::Error;
use crate::report::pages;
use crate::report::{Ending, Follower, Gatherer, Keep, Scene, Selected, follow};

/// The form of the JSON.
const SCHEMA: &str = "sipwhy.decide/1";

/// `sipwhy decide`, `sipwhy decide SYMPTOM`, `sipwhy decide FILE…`, `sipwhy decide SYMPTOM FILE…`.
pub(crate) fn decide(options: &Options, look: &Look) -> Result<u8, Error> {
    let (run, look, _) = &settings::apply(&options.run, look)?;
    let format = cli_pages::page_format(run.format)?;
    refuse_watching(&options.watching)?;
    options.run.service.refuse_all("decisions")?;
    if !options.interface.is_empty() || !run.output.is_empty() {
        return Err(Error::Usage("decide reads files and writes to standard output".into()));
    }
    let mut paths: Vec<PathBuf> = options.read.iter().chain(&options.files).cloned().collect();
    // A file of that name goes before a symptom, as it does with codes.
    let catalogue = catalogue_for(format, look)?;
    let tree = decisions_in(catalogue.phrases());
    let named = options.files.first().filter(|path| !path.exists()).and_then(|path| tree.start(path.to_str()?));
    if named.is_some() {
        paths.remove(options.read.len());
    }
    match (named, paths.as_slice()) {
        (None, []) => symptoms(&catalogue, format, look),
        (Some(start), []) => symptom(start, &catalogue, format, look),
        (None, [path]) if !path.exists() && path.to_str() != Some("-") => Err(no_such(path)),
        (start, _) => captures(&paths, start, options, look),
    }
}

/// The catalogue in the language of the locale, or in that which was asked for alone where programs read.
fn catalogue_for(format: PageFormat, look: &Look) -> Result<Catalogue, Error> {
    match format {
        PageFormat::Json => terminal::catalogue_for_programs(look),
        _ => terminal::catalogue(look),
    }
}

fn no_such(path: &std::path::Path) -> Error {
    let symptoms: Vec<&str> = decisions().starts().iter().map(|start| start.key.as_str()).collect();
    let nearest = nearest(&path.to_string_lossy(), symptoms.iter().copied());
    let nearest = nearest.map(|nearest| format!("; the nearest is {nearest}")).unwrap_or_default();
    let path = path.display();
    Error::Usage(format!("{path} is neither a file nor a symptom{nearest}. Symptoms are {}", symptoms.join(", ")))
}

/// The list of symptoms, among which a person at a terminal chooses.
fn symptoms(catalogue: &Catalogue, format: PageFormat, look: &Look) -> Result<u8, Error> {
    let tree = decisions_in(catalogue.phrases());
    if !is_asked(format) {
        let text = match format {
            PageFormat::Json => json(&shown::whole(tree, tree.starts()), catalogue),
            _ => cli_pages::page_in(&starts_page(tree, catalogue.phrases()), format, look),
        };
        return cli_pages::print(&text);
    }
    let (input, out) = (io::stdin().lock(), io::stdout());
    Asker::new(input, out, terminal::width(look), catalogue).ask_for_symptom(tree)?;
    Ok(0)
}

/// The questions beneath one symptom: asked, or printed.
fn symptom(start: &Start, catalogue: &Catalogue, format: PageFormat, look: &Look) -> Result<u8, Error> {
    let tree = decisions_in(catalogue.phrases());
    if !is_asked(format) {
        let text = match format {
            PageFormat::Json => json(&shown::whole(tree, std::slice::from_ref(start)), catalogue),
            _ => cli_pages::page_in(&start_page(tree, start, catalogue), format, look),
        };
        return cli_pages::print(&text);
    }
    let (input, out) = (io::stdin().lock(), io::stdout());
    Asker::new(input, out, terminal::width(look), catalogue).ask_about(tree, start)?;
    Ok(0)
}

/// As JSON, which names the language of its texts.
fn json(value: &impl Serialize, catalogue: &Catalogue) -> String {
    pages::marked_json(SCHEMA, language_of_decisions(catalogue.phrases()), value)
}

/// True if a person can answer.
fn is_asked(format: PageFormat) -> bool {
    format == PageFormat::Text && io::stdin().is_terminal() && terminal::is_terminal()
}

/// Leads each call through the questions.
struct Leading<'a> {
    tree: &'static Decisions,
    walks: Walks,
    start: Option<&'a Start>,
    selection: Selection,
    calls: u64,
}

impl Follower for Leading<'_> {
    type Error = Error;

    fn call(&mut self, scene: &Scene, call: &Call, diagnosis: &Diagnosis) -> Result<(), Error> {
        if self.selection.takes(call, diagnosis.outcome) != Selected::Yes {
            return Ok(());
        }
        self.calls += 1;
        self.walks.add(self.tree, self.start, call, &scene.record(call, diagnosis));
        Ok(())
    }

    fn good(&mut self, _: GoodCall) {}

    fn go_on(&mut self, _: Progress) -> Result<ControlFlow<Ending>, Error> {
        Ok(ControlFlow::Continue(()))
    }
}

/// The ways of the calls of captures.
fn captures(paths: &[PathBuf], start: Option<&Start>, options: &Options, look: &Look) -> Result<u8, Error> {
    let (run, look, _) = &settings::apply(&options.run, look)?;
    let format = cli_pages::page_format(run.format)?;
    let style = terminal::style(look, run.tz.as_deref(), terminal::width(look))?;
    let limits = limits::read(&run.limits)?;
    let files = Files::open(paths, limits.reading(Digest::Unasked))?;
    let inputs: Vec<PathBuf> = files.inputs().into_iter().map(|input| input.name.into()).collect();
    let privacy = privacy::of(run, &inputs)?;
    let mut source = wanted_of(files, run)?;
    let selection = Selection::read(run, &style.zone)?;
    let catalogue = catalogue_for(format, look)?;
    let tree = decisions_in(catalogue.phrases());
    let mut leading = Leading { tree, walks: Walks::default(), start, selection, calls: 0 };
    let mut analysis = Analysis::new(limits.analysis, Wanted::EveryCall);
    *analysis.keys() = keylog::read(run)?;
    let mut engine = Engine::new(limits.held_back);
    let mut scene = Scene::new(&source.inputs(), catalogue.clone()).with_privacy(privacy);
    let inputs = follow(source.as_mut(), &mut analysis, &mut engine, &mut scene, &mut leading)?;
    let gathered = Gatherer::new(Keep::Nothing).finish(&scene, &inputs, &analysis, &engine);
    leading.walks.add_capture(tree, start, &gathered.notes);
    let seen = shown::Seen { calls: leading.calls, without_symptom: leading.walks.without_symptom };
    let walks = leading.walks.into_sorted();
    // Standard input may be the capture.
    let can_ask = is_asked(format) && paths.iter().all(|path| path.to_str() != Some("-"));
    let open = if can_ask { OpenQuestions::Asked } else { OpenQuestions::Printed };
    let text = match format {
        PageFormat::Json => json(&shown::walks(&seen, &walks), &catalogue),
        _ => cli_pages::page_in(&shown::page(tree, &seen, &walks, open, &catalogue), format, look),
    };
    cli_pages::print(&text)?;
    if open == OpenQuestions::Asked {
        let mut asker = Asker::new(io::stdin().lock(), io::stdout(), terminal::width(look), &catalogue);
        for walk in &walks {
            if let Some(question) = &walk.open
                && asker.about(tree, question, &shown::which_calls(walk, catalogue.phrases()))?.is_break()
            {
                break;
            }
        }
    }
    io::stdout().flush()?;
    Ok(0)
}
