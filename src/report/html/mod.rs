//! The report as one HTML file that needs nothing else: no network, no script to be read, no font to be fetched.
//!
//! Templates escape whatever they are given. A policy in the page itself forbids everything but the one style and the
//! one script that belong to it, by their hashes. The script only sorts, filters, copies and opens.

mod call;
mod comparison;
mod head;
mod table;

use std::collections::BTreeSet;
use std::io::{self, Write};

use base64::Engine as _;
use maud::{DOCTYPE, Markup, PreEscaped, html};
use sha2::{Digest as _, Sha256};

use crate::catalogue::{Direction, Phrases, Word};
use crate::report::drawing;
use crate::report::gatherer::Gathered;
use crate::report::record::{CallRecord, Frame};
use crate::report::text::{Style, Zone};
use crate::report::view::{Provenance, in_english, is_well, privacy_words};
use crate::untrusted::Untrusted;

const SCRIPT: &str = include_str!("script.js");
const STYLE: &str = include_str!("style.css");

/// What is the same everywhere on the page.
pub(crate) struct Page<'a> {
    pub(crate) zone: &'a Zone,
    pub(crate) look: &'a Style,
    pub(crate) provenance: &'a Provenance,
    /// Calls that are shown with all their messages.
    pub(crate) detailed: BTreeSet<u32>,
}

/// Writes the page.
///
/// # Errors
/// What `out` says, or the temporary file of the records.
pub fn write(out: &mut dyn Write, gathered: &mut Gathered, style: &Style, provenance: &Provenance) -> io::Result<()> {
    let numbers = gathered.spool.numbers();
    let detailed = numbers.into_iter().filter(|number| gathered.transcripts.of(*number).is_some()).collect();
    let page = Page { zone: &style.zone, look: style, provenance, detailed };
    let sheet = format!("{}{STYLE}", drawing::STYLE);
    let words = style.words;
    let title = head::title(&words, gathered);
    let opening = html! {
        (DOCTYPE)
        (PreEscaped(root(&words)))
        head {
            meta charset="utf-8";
            meta http-equiv="Content-Security-Policy" content=(policy(&sheet));
            meta name="viewport" content="width=device-width, initial-scale=1";
            meta name="referrer" content="no-referrer";
            meta name="color-scheme" content="light dark";
            title { (title) }
            style { (PreEscaped(&sheet)) }
        }
        (PreEscaped("<body>"))
        header {
            h1 { (title) }
            @if let Some(words) = privacy_words(&words, &gathered.privacy) { p class="banner" { (words) } }
            (head::summary(gathered, &page))
            @if let Some(text) = in_english(&words, gathered) { p class="faint" { (text) } }
            nav aria-label=(words.word(Word::PartsOfReport)) {
                a href="#incidents" { (words.word(Word::NavIncidents)) } a href="#calls" { (words.word(Word::NavCalls)) }
                a href="#details" { (words.word(Word::NavDetails)) }
                a href="#quality" { (words.word(Word::NavCapture)) } a href="#provenance" { (words.word(Word::NavProvenance)) }
            }
        }
        (PreEscaped("<main>"))
        (head::incidents(gathered, &page))
    };
    put(out, opening)?;
    table::write(out, gathered, &page)?;
    details(out, gathered, &page)?;
    let closing = html! {
        (head::quality(gathered, &page))
        (head::provenance(gathered, &page))
        (PreEscaped("</main>"))
        script { (PreEscaped(SCRIPT)) }
        (PreEscaped("</body></html>\n"))
    };
    put(out, closing)
}

/// The element around the whole page; one that is written from left to right need not say so.
fn root(words: &Phrases) -> String {
    match words.direction() {
        Direction::Ltr => format!("<html lang=\"{}\">", words.tag()),
        direction => format!("<html lang=\"{}\" dir=\"{}\">", words.tag(), direction.token()),
    }
}

/// Allows nothing but this style and this script.
fn policy(sheet: &str) -> String {
    let hash = |text: &str| base64::engine::general_purpose::STANDARD.encode(Sha256::digest(text.as_bytes()));
    format!(
        "default-src 'none'; style-src 'sha256-{}'; script-src 'sha256-{}'; base-uri 'none'; form-action 'none'",
        hash(sheet),
        hash(SCRIPT)
    )
}

fn put(out: &mut dyn Write, markup: Markup) -> io::Result<()> {
    out.write_all(markup.into_string().as_bytes())
}

/// The calls that are shown whole.
fn details(out: &mut dyn Write, gathered: &mut Gathered, page: &Page<'_>) -> io::Result<()> {
    let words = &page.look.words;
    let shown = page.detailed.len();
    let all = gathered.spool.len();
    let opening = html! {
        (PreEscaped("<section id=\"details\">"))
        h2 { (words.word(Word::NavDetails)) }
        @if shown < all {
            @let [before, behind] = words.around(Word::DetailLimited, "command", &[("shown", &shown), ("all", &all)]);
            p class="faint" { (before) code { "sipwhy FILE --call N -o call.html" } (behind) }
        }
        @if shown == 0 { p { (words.word(Word::NoDetail)) } }
    };
    put(out, opening)?;
    let Gathered { spool, transcripts, groups, inputs, notes, catalogue, .. } = gathered;
    let language = catalogue.phrases();
    let wanted = |number: u32| page.detailed.contains(&number);
    let mut write = |record: &CallRecord| {
        let group = groups.iter().find(|group| group.incident.calls.binary_search(&record.id).is_ok());
        let whole = call::Whole { record, transcripts, group, notes, inputs, language, page };
        put(out, call::article(&whole))
    };
    // What went wrong comes first.
    let mut well: BTreeSet<u32> = BTreeSet::new();
    spool.each_record(wanted, |record| match is_well(&record) {
        true => {
            well.insert(record.id);
            Ok(())
        }
        false => write(&record),
    })?;
    spool.each_record(|number| well.contains(&number), |record| write(&record))?;
    out.write_all(b"</section>")
}

/// Captured text as the page shows it: what would be invisible or turn the line around is spelled out.
pub(crate) fn shown(text: &Untrusted) -> String {
    text.for_terminal().into_owned()
}

/// The same, with what stands between backticks as code.
pub(crate) fn shown_with_code(text: &Untrusted) -> Markup {
    let text = shown(text);
    let parts: Vec<&str> = text.split('`').collect();
    // Backticks come in pairs: between them stands every second part.
    let is_paired = parts.len() % 2 == 1;
    html! {
        @if is_paired {
            @for (index, part) in parts.iter().enumerate() {
                @if index % 2 == 1 { code { (part) } } @else { (part) }
            }
        } @else { (text) }
    }
}

/// Frames, each with a link to its message where the page holds it.
pub(crate) fn frame_link(page: &Page<'_>, record: &CallRecord, of: Frame) -> Markup {
    let rung = record.ladder.iter().position(|rung| rung.frame == of);
    html! {
        @match rung.filter(|_| page.detailed.contains(&record.id)) {
            Some(rung) => a href=(format!("#{}", drawing::anchor(record.id, rung))) { (of.to_string()) },
            None => (of.to_string()),
        }
    }
}
