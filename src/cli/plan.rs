//! What a run is to give, as it was asked for: the same for captures and for runs without end.
//!
//! Is given the arguments; gives what a run is made of, so that both kinds keep, count and hand on the same.
//! Deliberately does not know where the packets come from, nor when anything is printed.

use std::path::Path;

use crate::analysis::{Analysis, Limits};
use crate::call::Wanted;
use crate::catalogue::Catalogue;
use crate::cli::args::{Format, LadderTimes, Look, Run};
use crate::cli::limits::AllLimits;
use crate::cli::output;
use crate::cli::printer::Printer;
use crate::cli::select::Selection;
use crate::cli::service::{Forwarded, Pace, Service, Sockets};
use crate::cli::terminal;
use crate::error::Error;
use crate::net::KeyLog;
use crate::report::text::{Scope, Style, Times};
use crate::report::{Gatherer, Keep, Layout, Names};
use crate::sip::digest::Secrets;

/// What a run is to give.
pub(crate) struct Plan<'a> {
    run: &'a Run,
    look: &'a Look,
    names: &'a Names,
    /// Every format that is written anywhere, that of standard output first.
    pub(crate) formats: Vec<Format>,
    /// How a report on standard output looks.
    pub(crate) style: Style,
    pub(crate) selection: Selection,
    pub(crate) catalogue: Catalogue,
    scope: Scope,
    keep: Keep,
}

impl<'a> Plan<'a> {
    /// Reads what was asked for.
    pub(crate) fn of(run: &'a Run, look: &'a Look, names: &'a Names) -> Result<Plan<'a>, Error> {
        let mut style = style_of(run, look, names)?;
        let selection = Selection::read(run, &style.zone)?;
        let scope = if run.all || !selection.is_everything() { Scope::Everything } else { Scope::Trouble };
        let formats = formats(run)?;
        let keep = keep(&formats, scope);
        let catalogue = catalogue_of(&formats, look)?;
        style.words = catalogue.phrases().for_reports();
        Ok(Plan { run, look, names, formats, style, selection, catalogue, scope, keep })
    }

    /// What tells other programs.
    pub(crate) fn service(&self, sockets: Sockets, pace: Pace) -> Result<Service, Error> {
        Service::start(self.run, sockets, self.names, Forwarded::of(&self.selection), pace)
    }

    /// An analysis that hands on what this run and its service read.
    pub(crate) fn analysis(&self, limits: Limits, keys: KeyLog, service: &Service) -> Result<Analysis, Error> {
        let mut analysis = Analysis::new(limits, self.wanted(service));
        *analysis.keys() = keys;
        // Which call a message belongs to is not known when it is read: it cannot be selected.
        if self.run.format == Format::Ndjson && self.selection.is_everything() {
            analysis.hand_on_messages();
        }
        service.ask(&mut analysis);
        if let Some(path) = &self.run.secrets {
            analysis.use_secrets(secrets(path)?);
        }
        Ok(analysis)
    }

    /// The calls that are wanted whole: plain good ones are only counted where nobody asks for more.
    fn wanted(&self, service: &Service) -> Wanted {
        let counts_good_ones = self.keep == Keep::Trouble
            && self.run.format == Format::Text
            && self.selection.is_everything()
            && self.run.fail_on.is_none()
            && !service.wants_every_call();
        if counts_good_ones { Wanted::Troubled } else { Wanted::EveryCall }
    }

    /// What gathers that which the formats need.
    pub(crate) fn gatherer(&self, limits: &AllLimits) -> Gatherer {
        let mut gatherer = Gatherer::new(self.keep).with_room_for(limits.kept);
        if self.run.ticket || self.formats.contains(&Format::Html) {
            gatherer = gatherer.with_messages();
        }
        if self.formats.contains(&Format::Pcapng) {
            gatherer = gatherer.with_call_ids();
        }
        gatherer
    }

    /// What prints on standard output: for people at a terminal over several lines.
    pub(crate) fn printer(&self) -> Printer<'_> {
        let layout = if terminal::is_terminal() { Layout::Pretty } else { Layout::Compact };
        Printer { run: self.run, look: self.look, style: &self.style, scope: self.scope, layout }
    }

    /// What prints into files, in the style of [`Plan::style_of_files`].
    pub(crate) fn printer_of_files<'b>(&'b self, style: &'b Style) -> Printer<'b> {
        Printer { style, layout: Layout::Compact, ..self.printer() }
    }

    /// How reports in files look. They are as wide as was asked for, whatever the terminal.
    pub(crate) fn style_of_files(&self) -> Style {
        self.style.clone().for_files(self.look.width.map_or(terminal::PIPED, usize::from))
    }
}

/// Every format that is written anywhere, that of standard output first.
pub(crate) fn formats(run: &Run) -> Result<Vec<Format>, Error> {
    let of_files = run.output.iter().map(|path| output::format_of(path));
    std::iter::once(Ok(run.format)).chain(of_files).collect()
}

/// The catalogue: in the language of the locale, unless programs read what is written.
pub(crate) fn catalogue_of(formats: &[Format], look: &Look) -> Result<Catalogue, Error> {
    let is_for_people = formats.iter().all(|format| !is_for_programs(*format));
    if is_for_people { terminal::catalogue(look) } else { terminal::catalogue_for_programs(look) }
}

/// True for formats whose bytes must not depend on the locale.
fn is_for_programs(format: Format) -> bool {
    matches!(format, Format::Json | Format::Ndjson | Format::Csv | Format::Junit)
}

/// How a report looks.
fn style_of(run: &Run, look: &Look, names: &Names) -> Result<Style, Error> {
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

/// The records that the formats need.
fn keep(formats: &[Format], scope: Scope) -> Keep {
    let needs_all = |at: usize, format: Format| match format {
        Format::Json | Format::Csv | Format::Junit | Format::Html | Format::Pcapng => true,
        // On standard output events are written as they happen.
        Format::Ndjson => at > 0,
        Format::Text | Format::Md | Format::Svg | Format::Mermaid => scope == Scope::Everything,
    };
    let mut formats = formats.iter().enumerate();
    if formats.any(|(at, format)| needs_all(at, *format)) { Keep::All } else { Keep::Trouble }
}

/// The secrets of a file. What it says is never told, only which line is wrong.
fn secrets(path: &Path) -> Result<Secrets, Error> {
    let text = std::fs::read_to_string(path).map_err(|source| Error::Read {
        option: "--secrets",
        path: path.to_owned(),
        source,
    })?;
    Secrets::read(&text)
        .map_err(|line| Error::Usage(format!("{}: line {line} needs a user, a realm and a password", path.display())))
}
