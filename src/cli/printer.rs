//! Prints a report in whatever format was asked for.

use std::io::{self, Write};

use crate::cli::args::{Format, Look, Run};
use crate::cli::output::Output;
use crate::error::Error;
use crate::report::text::{self, Scope, Style};
use crate::report::{Events, Gathered, Layout};
use crate::report::{
    write_csv, write_html, write_json, write_junit, write_markdown, write_mermaid, write_svg, write_ticket,
};

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

    /// Prints a report into a file.
    pub(crate) fn print_to(&self, mut output: Output, format: Format, gathered: &mut Gathered) -> Result<(), Error> {
        match self.print(&mut output, format, gathered) {
            Ok(()) => output.finish(),
            Err(error) => Err(output.failed(error)),
        }
    }
}
