//! The ladder of a call as a picture in SVG: lanes, arrows, times, frames.
//!
//! Is given a record; gives markup without style attributes, script or outside reference, so that it may stand inside a
//! page with a strict policy as well as alone. Captured text passes the escaping of the templates.

use std::collections::BTreeMap;
use std::io::{self, Write};

use maud::{Markup, html};

use crate::catalogue::Word;
use crate::report::gatherer::Gathered;
use crate::report::lanes::Lanes;
use crate::report::mark::Mark;
use crate::report::record::{CallRecord, Rung};
use crate::report::text::ended::how_it_ended;
use crate::report::text::ladder::{Piece, before, shortened};
use crate::report::text::lines::{fitted, value};
use crate::report::text::words::{counted, title};
use crate::report::text::{Scope, Style};
use crate::report::view::{drawn, for_xml, privacy_words};
use crate::untrusted::Untrusted;

/// Units at the left for the time.
const LEFT: usize = 136;
/// Units at the right for the frame.
const RIGHT: usize = 70;
/// Units from one lane to the next.
const STEP: usize = 250;
/// Units above the first arrow.
const TOP: usize = 52;
/// Units from one arrow to the next.
const ROW: usize = 34;
/// Units below the last arrow.
const BOTTOM: usize = 12;
/// Units between a lane and the time or the frame beside it.
const BESIDE: usize = 24;
/// Units from the middle of a line of text down to its foot.
const FOOT: usize = 4;
/// Units of the head of an arrow: its length, and half its width.
const HEAD: (usize, usize) = (9, 4);
/// Units of the heading above a picture in a file.
const HEADING: usize = 40;
/// Units between a picture and the next heading.
const GAP: usize = 4;
/// Units of a file's margin above, and below where it says what is hidden.
const MARGIN: (usize, usize) = (20, 24);
/// Units that a file is wide at least, for its headings.
const NARROWEST: usize = 600;
/// Columns of a name above its lane.
const LANE_NAME: usize = 32;
/// Lanes that are drawn; what goes elsewhere ends at the last one.
const MOST_LANES: usize = 12;
/// Calls that one picture file shows.
const MOST_CALLS: usize = 50;
/// Letters of a label for each lane that its arrow spans.
const LABEL: usize = 30;

/// How a picture looks; also part of the page's style.
pub(crate) const STYLE: &str = include_str!("html/ladder.css");

/// Where the arrows of a picture lead.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Links {
    /// To the messages on the same page.
    ToMessages,
    /// Nowhere.
    None,
}

/// The anchor of a rung of a call on a page.
pub(crate) fn anchor(call: u32, rung: usize) -> String {
    format!("call-{call}-message-{}", rung + 1)
}

/// The class of a marked arrow in the style.
fn class(mark: Mark) -> &'static str {
    match mark {
        Mark::Failed => "arrow failed",
        Mark::Normal => "arrow step",
        Mark::Good => "arrow good",
        Mark::Plain => "arrow plain",
    }
}

/// The picture of a call.
pub(crate) fn ladder(record: &CallRecord, style: &Style, links: Links) -> Markup {
    let lanes = lanes(record);
    let pieces = shortened(record, Scope::Trouble);
    let width = width(&lanes);
    let height = height(pieces.len());
    let positions = positions(record);
    let words = &style.words;
    let name = words.fill(Word::LadderOf, &[("call", &title(words, record))]);
    html! {
        svg class="ladder" xmlns="http://www.w3.org/2000/svg" role="img" viewBox=(format!("0 0 {width} {height}"))
            width=(width) height=(height) aria-label=(name) {
            @for (lane, name) in lanes.names().iter().enumerate() {
                text class="lane" x=(x(lane)) y="20" text-anchor="middle" { (fitted(&style.names.with(name), LANE_NAME)) }
                line class="lane" x1=(x(lane)) y1="30" x2=(x(lane)) y2=(height - BOTTOM / 2) {}
            }
            @for (row, piece) in pieces.iter().enumerate() {
                @match piece {
                    Piece::Skipped(count) => {
                        text class="skipped" x=(x(0) + 10) y=(TOP + ROW * row + FOOT) {
                            (counted(words, Word::NotDrawn, *count as u64))
                        }
                    }
                    Piece::Rung(rung) => {
                        @let number = positions.get(&std::ptr::from_ref(*rung)).copied().unwrap_or_default();
                        (arrow(record, rung, &lanes, TOP + ROW * row, style, links, number))
                    }
                }
            }
        }
    }
}

/// Which rung of its call each is.
fn positions(record: &CallRecord) -> BTreeMap<*const Rung, usize> {
    record.ladder.iter().enumerate().map(|(index, rung)| (std::ptr::from_ref(rung), index)).collect()
}

/// The lanes of a picture.
fn lanes(record: &CallRecord) -> Lanes {
    Lanes::of(record).first(MOST_LANES)
}

/// How high a picture with so many rows is.
fn height(rows: usize) -> usize {
    TOP + ROW * rows + BOTTOM
}

/// How wide a picture with these lanes is.
fn width(lanes: &Lanes) -> usize {
    LEFT + STEP * lanes.gaps() + RIGHT
}

/// Where a lane stands.
fn x(lane: usize) -> usize {
    LEFT + STEP * lane
}

fn arrow(
    record: &CallRecord,
    rung: &Rung,
    lanes: &Lanes,
    y: usize,
    style: &Style,
    links: Links,
    number: usize,
) -> Markup {
    let lane = |address: &str| lanes.position(address).unwrap_or(lanes.last());
    let (from, to) = (lane(&rung.from_addr), lane(&rung.to_addr));
    let (start, end) = (x(from), x(to));
    let label = label(rung, LABEL * from.abs_diff(to).max(1));
    let time = style.ladder_time(record.started, before(record, rung), rung.time);
    let drawing = html! {
        text class="time" x=(LEFT - BESIDE) y=(y + FOOT) text-anchor="end" { (time) }
        @if from == to {
            // Out of the lane, down, and back to it.
            path d=(format!("M{start} {} h46 v12 h-40", y - 6)) {}
            path class="head" d=(head(start, y + 6, start + HEAD.0)) {}
            text class="label" x=(start + 54) y=(y + FOOT) { (label) }
        } @else {
            line x1=(start) y1=(y) x2=(end) y2=(y) {}
            path class="head" d=(head(end, y, if end > start { end - HEAD.0 } else { end + HEAD.0 })) {}
            text class="label" x=(usize::midpoint(start, end)) y=(y - 6) text-anchor="middle" { (label) }
        }
        text class="frame" x=(x(lanes.gaps()) + BESIDE) y=(y + FOOT) { (rung.frame) }
    };
    let class = class(Mark::of(record, rung));
    html! {
        @if links == Links::ToMessages {
            a class=(class) href=(format!("#{}", anchor(record.id, number))) {
                title { (value(&rung.shown_label())) (style.words.fill(Word::AtFrame, &[("frame", &rung.frame)])) }
                (drawing)
            }
        } @else {
            g class=(class) { (drawing) }
        }
    }
}

/// The head of an arrow that ends at `x`; its back is at `back`.
fn head(x: usize, y: usize, back: usize) -> String {
    format!("M{x} {y} L{back} {} L{back} {} Z", y - HEAD.1, y + HEAD.1)
}

fn label(rung: &Rung, room: usize) -> String {
    let codecs: Vec<String> = rung.codecs.iter().map(value).collect();
    let again = if rung.repeats > 0 { format!(" ×{}", rung.repeats + 1) } else { String::new() };
    let name = value(&rung.shown_label());
    let name = match rung.status.is_none() && !codecs.is_empty() {
        true => format!("{name} {}", codecs.join(" ")),
        false => name,
    };
    format!("{}{again}", fitted(&name, room.saturating_sub(again.len())))
}

/// Writes the ladders of calls, one beneath the other, as one SVG file: those that did not go well, or all that were
/// asked for.
///
/// # Errors
/// What `out` says, or the temporary file of the records.
pub fn write(out: &mut dyn Write, gathered: &mut Gathered, style: &Style, scope: Scope) -> io::Result<()> {
    let wanted = drawn(gathered, scope, MOST_CALLS);
    let mut pictures: Vec<(String, Markup, usize)> = Vec::new();
    let (mut widest, mut bottom) = (NARROWEST, MARGIN.0);
    gathered.spool.each_record(
        |number| wanted.contains(&number),
        |record| {
            let rows = shortened(&record, Scope::Trouble).len();
            let heading = format!("{}  {}", title(&style.words, &record), how_it_ended(&style.words, &record).1);
            pictures.push((heading, ladder(&record, style, Links::None), bottom));
            widest = widest.max(width(&lanes(&record)));
            bottom += HEADING + height(rows) + GAP;
            Ok(())
        },
    )?;
    bottom += MARGIN.1;
    let mark = privacy_words(&style.words, &gathered.privacy);
    let image = html! {
        svg xmlns="http://www.w3.org/2000/svg" viewBox=(format!("0 0 {widest} {bottom}")) width=(widest) height=(bottom) {
            title { (style.words.word(Word::LaddersTitle)) }
            style { (maud::PreEscaped(STYLE)) }
            rect class="paper" width="100%" height="100%" {}
            @if pictures.is_empty() {
                text class="lane" x="20" y="16" { (style.words.word(Word::NoCallToDraw)) }
            }
            @for (heading, picture, y) in &pictures {
                g transform=(format!("translate(0 {y})")) {
                    text class="heading" x="16" y="26" { (Untrusted::from(heading.as_str()).for_terminal()) }
                    g transform=(format!("translate(0 {HEADING})")) { (picture) }
                }
            }
            @if let Some(mark) = mark {
                text class="skipped" x="16" y=(bottom - BOTTOM / 2) { (mark) }
            }
        }
    };
    out.write_all(b"<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n")?;
    out.write_all(for_xml(&image.into_string()).as_bytes())?;
    out.write_all(b"\n")
}
