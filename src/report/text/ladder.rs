//! Draws the ladder of a call: one column per address, arrows between them, time at the left, frame at the right.

use std::io;

use unicode_width::UnicodeWidthStr;

use crate::catalogue::{Phrases, Word};
use crate::report::lanes::Lanes;
use crate::report::mark::Mark;
use crate::report::moment::Moment;
use crate::report::names::Names;
use crate::report::record::{CallRecord, FailureRecord, Frame, Rung, host};
use crate::report::text::Scope;
use crate::report::text::lines::{Line, Lines, fitted, value};
use crate::report::text::style::{Glyphs, Ink};
use crate::report::text::words::{between, counted, lasting};

/// Columns of the time at the left.
const TIME: usize = 14;
/// Where the first lane stands.
pub(crate) const FIRST_LANE: usize = TIME + 3;
/// Columns of mark and frame at the right.
const FRAME: usize = 10;
/// Columns of the word above the frames, beside the last name.
const FRAME_WORD: usize = 8;
/// Columns between two lanes, at least.
const NARROWEST_LANE: usize = 17;
/// Columns between two lanes where not even two have that much room.
const TIGHTEST_LANE: usize = 8;
/// Columns between two lanes, at most.
const WIDEST_LANE: usize = 52;
/// Rungs of a ladder that is drawn whole.
const SHORT: usize = 14;
/// Rungs that matter, of a longer ladder; each is drawn between its neighbours.
const MOST_MATTERING: usize = 3 * SHORT;
/// Letters of a label.
const LONGEST_LABEL: usize = 100;

/// The lanes of a ladder as columns of text.
#[derive(Debug)]
pub(crate) struct Columns {
    lanes: Lanes,
    /// Columns from one lane to the next.
    step: usize,
}

impl Columns {
    /// As many lanes as fit, as wide as they may be.
    pub(crate) fn of(record: &CallRecord, width: usize) -> Columns {
        let room = width.saturating_sub(FIRST_LANE + FRAME + 1);
        let lanes = Lanes::at_most((room / NARROWEST_LANE + 1).max(2), record);
        Columns { step: (room / lanes.gaps()).clamp(TIGHTEST_LANE, WIDEST_LANE), lanes }
    }

    /// Lanes without an arrow, from one to another.
    fn bars(&self, from: usize, to: usize) -> String {
        let mut text = String::new();
        for lane in from..to {
            text.push('│');
            if lane + 1 < to || to <= self.lanes.last() {
                text.push_str(&" ".repeat(self.step - 1));
            }
        }
        text
    }

    /// The names above their lanes.
    fn heading(&self, width: usize, given: &Names) -> Line {
        let mut line = Line::new();
        for (lane, name) in self.lanes.names().iter().enumerate() {
            let name = given.with(name);
            let name = fitted(&name, self.step.saturating_sub(1));
            let middle = FIRST_LANE + lane * self.step;
            let latest = width.saturating_sub(name.width() + if lane == self.lanes.last() { FRAME_WORD } else { 0 });
            let start = middle.saturating_sub(name.width() / 2).min(latest);
            let start = start.max(if lane == 0 { TIME } else { line.width() + 1 });
            line = line.filled_to(start).ink(Ink::Heading, name);
        }
        line
    }

    /// An arrow with its label between two lanes.
    fn arrow(&self, from: usize, to: usize, labels: &[String], stroke: Stroke) -> String {
        let (left, right) = (from.min(to), from.max(to));
        let inner = (right - left) * self.step - 1;
        let dashes = |count: usize| std::iter::repeat_n(stroke.dash(), count).collect::<String>();
        // Beside the label stand two spaces, the head, and one dash at least.
        let room = inner.saturating_sub(4);
        let shortest = labels.last().map(|label| shortened_label(label, room)).unwrap_or_default();
        let label = labels.iter().find(|label| label.width() <= room).cloned().unwrap_or(shortest);
        let spare = inner.saturating_sub(label.width() + 3);
        let body = match from < to {
            true => {
                let tail = spare.saturating_sub(3).max(usize::from(spare > 1));
                format!("{} {label} {}►", dashes(spare - tail), dashes(tail))
            }
            false => {
                let head = spare.saturating_sub(1).min(2);
                format!("◄{} {label} {}", dashes(head), dashes(spare - head))
            }
        };
        format!("{}{body}{}", self.bars(0, left) + "│", self.rest(right))
    }

    /// The lanes from one on.
    fn rest(&self, from: usize) -> String {
        self.bars(from, self.lanes.names().len())
    }
}

/// With what an arrow is drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stroke {
    Single,
    /// For a final response that is no success, a normal step too: it is what an eye looks for first.
    Double,
}

impl Stroke {
    fn of(rung: &Rung) -> Stroke {
        if rung.status.is_some_and(|status| status >= 300) { Stroke::Double } else { Stroke::Single }
    }

    fn dash(self) -> char {
        match self {
            Stroke::Single => '─',
            Stroke::Double => '═',
        }
    }
}

/// The line above a ladder.
pub(crate) fn heading(lines: &mut Lines<'_>, columns: &Columns) -> io::Result<()> {
    let zone = lines.style.zone.name();
    let zone = zone.rsplit('/').next().unwrap_or(zone);
    let words = lines.style.words;
    let word = words.word(Word::ColumnTime);
    let full = format!("  {word} ({zone})");
    // The first lines of the report name the zone too.
    let time = if full.width() < TIME { full } else { format!("  {word}") };
    let width = lines.width();
    let names = columns.heading(width, &lines.style.names);
    let skip = time.width();
    let mut line = Line::new().ink(Ink::Faint, time);
    // The names are placed as if nothing stood before them.
    line = line.plain(names.text_from(skip));
    let frame = words.word(Word::ColumnFrame);
    lines.line(line.filled_to(width.saturating_sub(frame.width() + 1)).ink(Ink::Faint, format!(" {frame}")))
}

/// Draws one rung of a call.
pub(crate) fn rung(lines: &mut Lines<'_>, columns: &Columns, record: &CallRecord, rung: &Rung) -> io::Result<()> {
    let time = lines.style.ladder_time(record.started, before(record, rung), rung.time);
    let labels = labels(&lines.style.words, rung);
    let label = labels.first().map(String::as_str).unwrap_or_default();
    let stroke = Stroke::of(rung);
    // Of two columns in ASCII, which must be known before the line is fitted.
    let to = if lines.style.glyphs == Glyphs::Ascii { "->" } else { "→" };
    let drawing = match (columns.lanes.position(&rung.from_addr), columns.lanes.position(&rung.to_addr)) {
        (Some(from), Some(to)) if from != to => columns.arrow(from, to, &labels, stroke),
        (Some(_), Some(_)) => format!("│ {} {to} {}  {label}", rung.from_addr, rung.to_addr),
        _ => format!("┆ {} {to} {}  {label}", host(&rung.from_addr), host(&rung.to_addr)),
    };
    let width = lines.width();
    let drawing = fitted(&drawing, width.saturating_sub(FIRST_LANE + FRAME));
    let (glyph, ink) = marking(Mark::of(record, rung));
    let frame = rung.frame.to_string();
    let line = Line::new().plain(format!("{time:>TIME$}   ")).ink(ink, drawing);
    let line = line.filled_to(width.saturating_sub(FRAME - 1)).ink(ink, glyph);
    let column = width.saturating_sub(frame.width()).max(line.width() + 1);
    lines.line(line.filled_to(column).plain(frame))
}

/// The day on which a call began, above its first message.
pub(crate) fn day(lines: &mut Lines<'_>, columns: &Columns, began: Moment) -> io::Result<()> {
    let day = lines.style.zone.day(began);
    let line = Line::new().plain(format!("{day:>TIME$}   "));
    lines.line(line.ink(Ink::Plain, columns.rest(0)))
}

/// When the message before a rung was captured; none before the first.
pub(crate) fn before(record: &CallRecord, rung: &Rung) -> Option<Moment> {
    let at = record.ladder.iter().position(|known| std::ptr::eq(known, rung))?;
    record.ladder.get(at.checked_sub(1)?).map(|before| before.time)
}

/// Says how many messages are not drawn here.
pub(crate) fn skipped(lines: &mut Lines<'_>, count: usize) -> io::Result<()> {
    let words = &lines.style.words;
    let messages = counted(words, Word::Messages, count as u64);
    let words = format!("┆ {}", words.fill(Word::Skipped, &[("messages", &messages)]));
    lines.line(Line::new().plain(" ".repeat(FIRST_LANE)).ink(Ink::Faint, words))
}

/// What stands beside a rung, and the colour of both.
fn marking(mark: Mark) -> (&'static str, Ink) {
    match mark {
        Mark::Failed => ("✖", Ink::Bad),
        Mark::Normal => ("·", Ink::Faint),
        Mark::Good | Mark::Plain => (" ", Ink::Plain),
    }
}

/// What stands on an arrow, the fullest form first.
fn labels(words: &Phrases, rung: &Rung) -> Vec<String> {
    let label = value(&rung.shown_label());
    let name = fitted(&label, LONGEST_LABEL);
    let codecs: Vec<String> = rung.codecs.iter().map(value).collect();
    let codecs = codecs.join(" ");
    let again = rung.repeated_until.map(|until| {
        let values = (rung.repeats + 1, lasting(between(rung.time, until)));
        let full = words.fill(Word::RepeatedIn, &[("count", &values.0), ("duration", &values.1)]);
        (full, format!(" ×{}", rung.repeats + 1))
    });
    let (full, short) = again.unwrap_or_default();
    let mut labels = Vec::new();
    if rung.status.is_none() && !codecs.is_empty() {
        labels.push(format!("{name}  {codecs}{full}"));
    }
    labels.push(format!("{name}{full}"));
    labels.push(format!("{name}{short}"));
    // `100 trying -- your call is important to us`
    if let Some((head, _)) = name.split_once(" -- ") {
        labels.push(format!("{head}…{short}"));
    }
    labels
}

/// A label that is too long, cut between words where one fits.
fn shortened_label(label: &str, room: usize) -> String {
    if label.width() <= room {
        return label.to_owned();
    }
    let cut = fitted(label, room);
    let whole_words = cut.rfind(' ').and_then(|end| cut.get(..end)).unwrap_or_default();
    let whole_words = whole_words.trim_end_matches(|character: char| !character.is_alphanumeric());
    // A code without its phrase says less than a phrase that is cut.
    if whole_words.contains(' ') || whole_words.parse::<u16>().is_err() && !whole_words.is_empty() {
        return format!("{whole_words}…");
    }
    cut.into_owned()
}

/// The rungs that are drawn: all of a short ladder, else those around what matters. Others are counted.
pub(crate) fn shortened(record: &CallRecord, scope: Scope) -> Vec<Piece<'_>> {
    let rungs = &record.ladder;
    if scope == Scope::Everything || rungs.len() <= SHORT {
        return rungs.iter().map(Piece::Rung).collect();
    }
    let mut wanted = vec![false; rungs.len()];
    let cause = record.cause.as_deref();
    let mut budget = MOST_MATTERING;
    // Where a failure arose matters, and what the caller got; hops between, through which it passed, do not.
    let judged: Vec<_> = record.failures.iter().filter(|failure| !failure.normal).collect();
    let arose = judged.iter().filter(|failure| !record.is_passed_on(failure)).chain(judged.last());
    let arose: Vec<&FailureRecord> = arose.copied().collect();
    let matters: Vec<Frame> = first_and_last_of_each(&arose);
    for (at, rung) in rungs.iter().enumerate() {
        let fails = matters.contains(&rung.frame);
        let proves = cause.is_some_and(|cause| rung.findings.iter().any(|rule| rule == cause));
        if (fails || proves) && budget > 0 {
            budget -= 1;
            wanted[at.saturating_sub(1)..(at + 2).min(rungs.len())].fill(true);
        }
    }
    for at in [0, 1, rungs.len() - 1] {
        wanted[at] = true;
    }
    let mut pieces = Vec::new();
    let mut skipped = 0;
    for (rung, wanted) in rungs.iter().zip(wanted) {
        if !wanted {
            skipped += 1;
            continue;
        }
        if skipped > 0 {
            pieces.push(Piece::Skipped(skipped));
            skipped = 0;
        }
        pieces.push(Piece::Rung(rung));
    }
    pieces
}

/// Of failures that come again and again, the first and the last: those between say nothing new.
fn first_and_last_of_each(failures: &[&FailureRecord]) -> Vec<Frame> {
    let is_same = |one: &FailureRecord, other: &FailureRecord| {
        one.status == other.status && one.from_addr == other.from_addr && one.method == other.method
    };
    let is_between = |at: usize| {
        let (before, after) = (&failures[..at], &failures[at + 1..]);
        [before, after].iter().all(|side| side.iter().any(|other| is_same(other, failures[at])))
    };
    let kept = (0..failures.len()).filter(|at| !is_between(*at));
    kept.map(|at| failures[at].frame).collect()
}

/// A piece of a ladder.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Piece<'a> {
    /// A message.
    Rung(&'a Rung),
    /// So many messages that are not drawn.
    Skipped(usize),
}

#[cfg(test)]
mod tests {
    use super::*;

    fn columns(names: &[&str], step: usize) -> Columns {
        Columns { lanes: Lanes::named(names), step }
    }

    #[test]
    fn arrows_of_both_directions_are_as_wide_as_their_lanes() {
        let columns = columns(&["a", "b", "c"], 20);
        for (from, to) in [(0, 1), (1, 0), (1, 2), (2, 1), (0, 2), (2, 0)] {
            let drawn = columns.arrow(from, to, &["486 Busy Here".into()], Stroke::Double);
            assert_eq!(drawn.width(), 41, "{drawn}");
        }
        assert_eq!(
            columns.arrow(0, 1, &["INVITE".into()], Stroke::Single),
            "│─── INVITE ───────►│                   │"
        );
        assert_eq!(
            columns.arrow(2, 1, &["200 OK".into()], Stroke::Single),
            "│                   │◄── 200 OK ────────│"
        );
    }

    #[test]
    fn a_long_label_is_cut() {
        let drawn = columns(&["a", "b"], 20).arrow(0, 1, &["SUBSCRIBE and much more".into()], Stroke::Single);
        assert_eq!(drawn, "│─ SUBSCRIBE and… ─►│");
    }

    #[test]
    fn an_arrow_is_shortened_before_its_label() {
        let columns = columns(&["a", "b"], 25);
        assert_eq!(columns.arrow(1, 0, &["408 Request Timeout".into()], Stroke::Double), "│◄═ 408 Request Timeout ═│");
        assert_eq!(columns.arrow(0, 1, &["183 Session Progress".into()], Stroke::Single), "│─ 183 Session Progress ►│");
        assert_eq!(
            columns.arrow(1, 0, &["488 Not Acceptable Here".into()], Stroke::Double),
            "│◄═ 488 Not Acceptable… ═│"
        );
    }

    #[test]
    fn a_shorter_form_is_better_than_a_cut_one() {
        let drawn = columns(&["a", "b"], 20).arrow(
            0,
            1,
            &["INVITE  PCMU PCMA G722".into(), "INVITE ×4".into()],
            Stroke::Single,
        );
        assert_eq!(drawn, "│─── INVITE ×4 ────►│");
    }
}
