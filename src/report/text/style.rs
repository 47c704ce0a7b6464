//! How a text report looks: width, glyphs, colours, time zone.

use std::fmt::Write;

use anstyle::{AnsiColor, Effects};

use crate::catalogue::Phrases;
use crate::report::moment::Moment;
use crate::report::names::Names;

/// The narrowest report, in columns.
const NARROWEST: usize = 40;
/// The widest report, in columns: a longer line is hard to read.
const WIDEST: usize = 200;

/// How a text report looks.
#[derive(Debug, Clone)]
pub struct Style {
    /// Columns.
    width: usize,
    /// With which characters lines are drawn.
    pub glyphs: Glyphs,
    /// Whether escape sequences colour it; not, unless this is set.
    pub colours: bool,
    /// In which zone times are told.
    pub zone: Zone,
    /// How ladders tell times.
    pub times: Times,
    /// Names of addresses.
    pub names: Names,
    /// The language of the fixed words.
    pub words: Phrases,
}

/// How ladders tell times.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Times {
    /// Since the call began; of its first message the time of day.
    #[default]
    SinceBeginning,
    /// The time of day.
    OfDay,
    /// Since the message before.
    SinceLast,
    /// Seconds since 1970.
    Epoch,
}

/// With which characters lines are drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Glyphs {
    /// Arrows and box drawing.
    Unicode,
    /// ASCII alone.
    Ascii,
}

/// In which zone times are told.
#[derive(Debug, Clone)]
pub struct Zone(jiff::tz::TimeZone, String);

impl Default for Zone {
    fn default() -> Zone {
        Zone(jiff::tz::TimeZone::UTC, "UTC".into())
    }
}

impl Zone {
    /// A zone by name: `UTC`, `local`, or a name of the IANA database.
    pub fn named(name: &str) -> Option<Zone> {
        if name.eq_ignore_ascii_case("utc") {
            return Some(Zone::default());
        }
        if name.eq_ignore_ascii_case("local") {
            let zone = jiff::tz::TimeZone::system();
            let name = zone.iana_name().unwrap_or("local").to_owned();
            return Some(Zone(zone, name));
        }
        let zone = jiff::tz::TimeZone::get(name).ok()?;
        let name = zone.iana_name().unwrap_or(name).to_owned();
        Some(Zone(zone, name))
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.1
    }

    /// The zone itself.
    pub fn time_zone(&self) -> &jiff::tz::TimeZone {
        &self.0
    }

    /// The day of a moment: `2026-11-20`.
    pub(crate) fn day(&self, moment: Moment) -> String {
        self.zoned(moment).map_or_else(String::new, |zoned| zoned.strftime("%Y-%m-%d").to_string())
    }

    /// The time of a moment: `08:14:02`.
    pub(crate) fn time(&self, moment: Moment) -> String {
        self.zoned(moment).map_or_else(String::new, |zoned| zoned.strftime("%H:%M:%S").to_string())
    }

    /// The time of a moment with milliseconds: `08:14:02.118`.
    pub(crate) fn exact_time(&self, moment: Moment) -> String {
        let milliseconds = moment.time.0.rem_euclid(1_000_000_000) / 1_000_000;
        format!("{}.{milliseconds:03}", self.time(moment))
    }

    fn zoned(&self, moment: Moment) -> Option<jiff::Zoned> {
        let timestamp = jiff::Timestamp::from_nanosecond(i128::from(moment.time.0)).ok()?;
        Some(timestamp.to_zoned(self.0.clone()))
    }
}

impl Style {
    /// A style of this width, as far as a report can have it.
    pub fn new(width: usize, glyphs: Glyphs, zone: Zone) -> Style {
        let width = width.clamp(NARROWEST, WIDEST);
        let (times, names, words) = (Times::default(), Names::default(), Phrases::english());
        Style { width, glyphs, colours: false, zone, times, names, words }
    }

    /// The same for a file, which has no colours, and whose width depends on no terminal.
    pub fn for_files(self, width: usize) -> Style {
        Style { width: width.clamp(NARROWEST, WIDEST), colours: false, ..self }
    }

    /// Adds text in a colour, if there are colours.
    pub(crate) fn paint(&self, ink: Ink, text: &str, out: &mut String) {
        let style = if self.colours { ink.style() } else { anstyle::Style::new() };
        if text.is_empty() || style.is_plain() {
            return out.push_str(text);
        }
        // Writing to a String cannot fail.
        let _ = write!(out, "{style}{text}{style:#}");
    }

    /// How the ladder of a call tells the time of a message: its beginning, the message before, the message.
    pub(crate) fn ladder_time(&self, began: Moment, before: Option<Moment>, moment: Moment) -> String {
        let since = |first: Moment| format!("+{:.3}", moment.time.since(first.time).as_secs_f64());
        match (self.times, before) {
            (Times::OfDay, _) | (Times::SinceBeginning | Times::SinceLast, None) => self.zone.exact_time(moment),
            (Times::SinceBeginning, Some(_)) => since(began),
            (Times::SinceLast, Some(before)) => since(before),
            (Times::Epoch, _) => {
                let (seconds, rest) =
                    (moment.time.0.div_euclid(1_000_000_000), moment.time.0.rem_euclid(1_000_000_000));
                format!("{seconds}.{:03}", rest / 1_000_000)
            }
        }
    }

    /// Columns.
    pub fn width(&self) -> usize {
        self.width
    }
}

/// What a colour says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ink {
    /// Something failed.
    Bad,
    /// Something is not quite right.
    Doubtful,
    /// Something went well.
    Good,
    /// A heading.
    Heading,
    /// What matters less.
    Faint,
    /// Nothing in particular.
    Plain,
}

impl Ink {
    fn style(self) -> anstyle::Style {
        let style = anstyle::Style::new();
        match self {
            Ink::Bad => style.fg_color(Some(AnsiColor::Red.into())).effects(Effects::BOLD),
            Ink::Doubtful => style.fg_color(Some(AnsiColor::Yellow.into())),
            Ink::Good => style.fg_color(Some(AnsiColor::Green.into())),
            Ink::Heading => style.effects(Effects::BOLD),
            Ink::Faint => style.effects(Effects::DIMMED),
            Ink::Plain => style,
        }
    }
}
