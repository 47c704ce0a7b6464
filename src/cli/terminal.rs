//! What is known of the terminal: its width, and whether it takes colours.

use std::io::{self, IsTerminal};

use anstream::{AutoStream, ColorChoice};

use crate::catalogue::{Catalogue, Phrases};
use crate::cli::args::{Look, When};
use crate::error::Error;
use crate::report::text::{Glyphs, Style, Zone};

/// Columns where there is no terminal.
pub(crate) const PIPED: usize = 80;

/// Whether standard output has colours. `NO_COLOR`, `CLICOLOR`, `CLICOLOR_FORCE` and `TERM=dumb` are honoured.
fn has_colours(look: &Look) -> bool {
    match look.color {
        // `CLICOLOR_FORCE=0` forces nothing (bixense.com/clicolors), and what stands behind the choice takes it for a
        // wish.
        When::Auto if std::env::var_os("CLICOLOR_FORCE").is_some_and(|force| force == "0") => {
            is_terminal() && AutoStream::choice(&io::stdout()) != ColorChoice::Never
        }
        When::Auto => AutoStream::choice(&io::stdout()) != ColorChoice::Never,
        When::Always => true,
        When::Never => false,
    }
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

/// The style of a text report on standard output.
pub(crate) fn style(look: &Look, zone: Option<&str>, width: usize) -> Result<Style, Error> {
    let zone = zone.unwrap_or("UTC");
    let glyphs = if look.ascii { Glyphs::Ascii } else { Glyphs::Unicode };
    let zone = Zone::named(zone).ok_or_else(|| {
        Error::Usage(format!("--tz {zone}: no such time zone; UTC, local, or a name such as Europe/Berlin"))
    })?;
    let mut style = Style::new(width, glyphs, zone);
    style.colours = has_colours(look);
    Ok(style)
}

/// The catalogue in the language that was asked for, else in that of the locale. Where only ASCII may be written, that
/// is English: few languages are readable in it.
pub(crate) fn catalogue(look: &Look) -> Result<Catalogue, Error> {
    if look.lang.is_some() {
        return catalogue_for_programs(look);
    }
    if look.ascii {
        return with_overlay(Catalogue::new(), look);
    }
    let phrases = of_locale(|name| std::env::var(name).ok());
    with_overlay(phrases.map_or_else(Catalogue::new, |phrases| Catalogue::new().in_language(phrases)), look)
}

/// The language of the locale, as GNU gettext finds it: the list in `LANGUAGE`, unless the locale is that of C, else
/// the first of `LC_ALL`, `LC_MESSAGES` and `LANG` that is set. `None` if we do not have it.
fn of_locale(variable: impl Fn(&str) -> Option<String>) -> Option<Phrases> {
    let set = |name: &&str| variable(name).filter(|value| !value.is_empty());
    let locale = ["LC_ALL", "LC_MESSAGES", "LANG"].iter().find_map(set)?;
    let name = locale.split(['.', '@']).next().unwrap_or_default();
    if matches!(name, "C" | "POSIX") {
        return None;
    }
    let wanted = set(&"LANGUAGE").unwrap_or_default();
    wanted.split(':').filter(|tag| !tag.is_empty()).find_map(Phrases::of).or_else(|| Phrases::of(name))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_locale_is_found_in_the_order_of_gettext() {
        let tag = |variables: &[(&str, &str)]| {
            let value = |name: &str| variables.iter().find(|(known, _)| *known == name).map(|(_, v)| (*v).to_owned());
            of_locale(value).map(|phrases| phrases.tag())
        };
        assert_eq!(tag(&[("LANG", "fr_FR.UTF-8")]), Some("fr"));
        assert_eq!(tag(&[("LC_MESSAGES", "ja_JP.UTF-8"), ("LANG", "fr_FR.UTF-8")]), Some("ja"));
        assert_eq!(tag(&[("LC_ALL", "de_DE"), ("LC_MESSAGES", "ja_JP"), ("LANG", "fr_FR")]), Some("de"));
        assert_eq!(tag(&[("LC_ALL", ""), ("LANG", "fr_FR")]), Some("fr"));
        assert_eq!(tag(&[("LANGUAGE", "xx:ja:fr"), ("LANG", "de_DE")]), Some("ja"));
        assert_eq!(tag(&[("LANGUAGE", "xx"), ("LANG", "de_DE")]), Some("de"));
        assert_eq!(tag(&[("LANGUAGE", "fr"), ("LANG", "C.UTF-8")]), None);
        assert_eq!(tag(&[("LANGUAGE", "fr")]), None);
        assert_eq!(tag(&[]), None);
    }
}
