//! A whole run of the program within a test: from captures to a report, through the library alone.
#![allow(dead_code, reason = "each test uses its own part")]

use std::fs;
use std::path::{Path, PathBuf};

use sipwhy::analysis::{Analysis, Limits};
use sipwhy::call::Wanted;
use sipwhy::capture::{Digest, Files, Reading, Source};
use sipwhy::catalogue::Catalogue;
use sipwhy::diagnosis::Engine;
use sipwhy::report::text::{self, Glyphs, Scope, Style, Zone};
use sipwhy::report::{Gathered, Gatherer, Keep, Layout, Report, Scene, follow, write_json};

/// Why no report came of a capture.
pub type Stopped = Box<dyn std::error::Error>;

/// Where the tests run: paths beneath it are told from there, so that no report depends on where the sources lie.
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Reads captures to their end.
pub fn gathered(paths: &[PathBuf], keep: Keep) -> Result<Gathered, Stopped> {
    let files = Files::open(paths, Reading { digest: Digest::Sha256, ..Reading::default() })?;
    let wanted = if keep == Keep::All { Wanted::EveryCall } else { Wanted::Troubled };
    of_source(files, keep, wanted)
}

/// The report on those calls alone that are worked out where good ones are only counted.
pub fn report_on_trouble(paths: &[PathBuf]) -> Result<Report, Stopped> {
    Ok(of_source(Files::open(paths, Reading::default())?, Keep::All, Wanted::Troubled)?.report()?)
}

/// Reads a source to its end.
pub fn of_source(mut source: impl Source, keep: Keep, wanted: Wanted) -> Result<Gathered, Stopped> {
    let mut analysis = Analysis::new(Limits::default(), wanted);
    let mut engine = Engine::new(Engine::HELD_BACK);
    let mut scene = Scene::new(&source.inputs(), Catalogue::new());
    let mut gatherer = Gatherer::new(keep);
    if source.inputs().len() > 1 {
        analysis.compare_inputs();
    }
    let inputs = follow(&mut source, &mut analysis, &mut engine, &mut scene, &mut gatherer)?;
    let clocks = analysis.clocks_apart(&inputs);
    analysis.tell_clocks(clocks);
    Ok(gatherer.finish(&scene, &inputs, &analysis, &engine))
}

/// The whole report.
pub fn report(paths: &[PathBuf]) -> Result<Report, Stopped> {
    Ok(gathered(paths, Keep::All)?.report()?)
}

/// What `sipwhy PATH` prints where there is no terminal.
pub fn as_text(gathered: &mut Gathered) -> Vec<u8> {
    as_text_of(gathered, Scope::Trouble, 80)
}

/// The same with all calls, or with so many columns.
pub fn as_text_of(gathered: &mut Gathered, scope: Scope, width: usize) -> Vec<u8> {
    let style = Style::new(width, Glyphs::Unicode, Zone::default());
    let mut bytes = Vec::new();
    text::write(&mut bytes, gathered, &style, scope).expect("a text report");
    bytes
}

/// What `sipwhy PATH --format json` prints, laid out for people.
pub fn as_json(gathered: &mut Gathered) -> Vec<u8> {
    let mut bytes = Vec::new();
    write_json(&mut bytes, gathered, Layout::Pretty).expect("a JSON report");
    bytes
}

/// A folder of `fixtures/`: its name, and its capture as a path from [`root`].
pub struct Fixture {
    pub name: String,
    pub capture: PathBuf,
}

/// Every folder of `fixtures/` that holds a capture, in order of names.
pub fn fixtures() -> Vec<Fixture> {
    let in_folder = |folder: &Path| -> Vec<PathBuf> {
        let entries = fs::read_dir(folder).expect("a folder");
        let mut paths: Vec<PathBuf> = entries.map(|entry| entry.expect("an entry").path()).collect();
        paths.sort();
        paths
    };
    let mut fixtures = Vec::new();
    for folder in in_folder(&root().join("fixtures")).iter().filter(|path| path.is_dir()) {
        let stem = |path: &Path| path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if let Some(capture) = in_folder(folder).iter().find(|path| stem(path).starts_with("capture.")) {
            let capture = capture.strip_prefix(root()).expect("a path beneath the root").to_owned();
            fixtures.push(Fixture { name: stem(folder), capture });
        }
    }
    assert!(fixtures.len() > 100, "the fixtures are not where they are looked for");
    fixtures
}
