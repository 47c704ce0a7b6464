//! What is known of the terminal: its width, and whether it takes colours.

use std::io::{self, IsTerminal};

use anstream::{AutoStream, ColorChoice};

use crate::catalogue::{Catalogue, Phrases};
use crate::cli::args::{Look, When};
use crate::error::Error;
use crate::report::text::{Glyphs, Style, Zone};

/// Columns where there is no terminal.
const PIPED: usize = 80;

/// Standard output, with colours or without. `NO_COLOR`, `CLICOLOR`, `CLICOLOR_FORCE` and `TERM=dumb` are honoured.
pub(crate) fn stdout(look: &Look) -> AutoStream<io::Stdout> {
    let choice = match look.color {
        When::Auto => ColorChoice::Auto,
        When::Always => ColorChoice::Always,
        When::Never => ColorChoice::Never,
    };
    AutoStream::new(io::stdout(), choice)
}

/// True if standard output is a terminal.
pub(crate) fn is_terminal() -> bool {
    io::stdout().is_terminal()
}

/// Columns of standard output.
pub(crate) fn width(look: &Look) -> usize {
    match look.width {
        Some(width) => usize::from(width),
        None if is_terminal() => terminal_size::terminal_size().map_or(PIPED, |(width, _)| usize::from(width.0)),
        None => PIPED,
    }
}

/// The style of a text report.
pub(crate) fn style(look: &Look, zone: Option<&str>, width: usize) -> Result<Style, Error> {
    let zone = zone.unwrap_or("UTC");
    let glyphs = if look.ascii { Glyphs::Ascii } else { Glyphs::Unicode };
    let zone = Zone::named(zone).ok_or_else(|| {
        Error::Usage(format!("--tz {zone}: no such time zone; UTC, local, or a name such as Europe/Berlin"))
    })?;
    Ok(Style::new(width, glyphs, zone))
}

/// The catalogue in the language that was asked for, else in that of the locale.
pub(crate) fn catalogue(look: &Look) -> Result<Catalogue, Error> {
    if look.lang.is_some() {
        return catalogue_for_programs(look);
    }
    let locale = ["LC_ALL", "LC_MESSAGES", "LANG"]
        .iter()
        .find_map(|name| std::env::var(name).ok().filter(|value| !value.is_empty()));
    let phrases = locale.as_deref().and_then(|locale| Phrases::of(locale.split('.').next().unwrap_or(locale)));
    with_overlay(phrases.map_or_else(Catalogue::new, |phrases| Catalogue::new().in_language(phrases)), look)
}

/// The catalogue in the language that was asked for, else in English: what programs read must not depend on the
/// locale.
pub(crate) fn catalogue_for_programs(look: &Look) -> Result<Catalogue, Error> {
    if let Some(tag) = &look.lang {
        let phrases = Phrases::of(tag).ok_or_else(|| {
            let tags: Vec<&str> = Phrases::tags().collect();
            Error::Usage(format!("--lang {tag}: there is {}", tags.join(", ")))
        })?;
        return with_overlay(Catalogue::new().in_language(phrases), look);
    }
    with_overlay(Catalogue::new(), look)
}

/// The catalogue with the user's own meanings.
fn with_overlay(catalogue: Catalogue, look: &Look) -> Result<Catalogue, Error> {
    match &look.catalogue {
        Some(path) => catalogue.with_overlay(path).map_err(|error| Error::Usage(error.to_string())),
        None => Ok(catalogue),
    }
}
