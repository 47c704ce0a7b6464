//! The figures of a capture as text and as a picture.

use std::fmt::{Display, Write as _};

use maud::html;
use unicode_width::UnicodeWidthStr;

use crate::catalogue::{Phrases, Word};
use crate::report::drawing;
use crate::report::stats::{Delay, Row, Stats};
use crate::report::text::lines::{in_ascii, padded};
use crate::report::text::words::{counted, grouped};
use crate::report::text::{Glyphs, Style};
use crate::report::view::for_xml;
use crate::untrusted::Untrusted;

/// Rows of one table.
const MOST_SHOWN: usize = 15;
/// Columns of a bar of text.
const BAR: u64 = 24;
/// Units of the longest bar of a picture.
const WIDEST: u64 = 420;
/// Units from one bar to the next.
const ROW: usize = 22;
/// Units of the width of a picture.
const PICTURE: u64 = 920;
/// Where bars begin, behind their names.
const BARS_AT: u64 = 400;
/// Units down to the foot of the first line of a picture.
const TOP: usize = 24;
/// Columns of the name of a ratio.
const RATIO_NAME: usize = 52;
/// Columns of the name of a delay: fewer, for it has four figures beside it.
const DELAY_NAME: usize = 43;
/// Columns of the name of what has a bar.
const BAR_NAME: usize = 44;

/// What is counted, and how often.
type Bars = Vec<(String, u64)>;

impl Stats {
    /// The figures as text.
    pub fn text(&self, style: &Style) -> String {
        let words = &style.words;
        let mut out = self.seen(words);
        out.push_str(words.word(Word::StatsRatios));
        out.push('\n');
        let is_ascii = style.glyphs == Glyphs::Ascii;
        let none = if is_ascii { "-" } else { "—" };
        // The columns have no room for what stands for the sign elsewhere.
        let named = |name: &str, columns| padded(&if is_ascii { name.replace('§', "") } else { name.into() }, columns);
        for (name, value) in self.ratios(words) {
            let value = value.map_or_else(|| none.to_owned(), |value| format!("{value:.1} %"));
            let _ = writeln!(out, "  {} {value:>9}", named(&name, RATIO_NAME));
        }
        let [count, median, longest] = [(Word::StatsCount, 7), (Word::StatsMedian, 8), (Word::StatsLongest, 8)]
            .map(|(word, columns)| aligned(words.word(word), columns));
        let heading = padded(words.word(Word::StatsDelays), 2 + DELAY_NAME);
        let _ = writeln!(out, "\n{heading} {count} {median} {:>8} {longest}", "95 %");
        let seconds = |value: Option<f64>| value.map_or_else(|| none.to_owned(), |value| format!("{value:.3}"));
        for (name, delay) in self.delays(words) {
            let [median, high, longest] = [50, 95, 100].map(|percent| seconds(delay.percentile(percent)));
            let (name, count) = (named(&name, DELAY_NAME), grouped(delay.count()));
            let _ = writeln!(out, "  {name} {count:>7} {median:>8} {high:>8} {longest:>8}");
        }
        if self.delays_across_leaps > 0 {
            let _ = writeln!(out, "  {}", counted(words, Word::StatsAcrossLeaps, self.delays_across_leaps));
        }
        for (heading, bars) in self.charts(style).into_iter().filter(|(_, bars)| !bars.is_empty()) {
            chart(&mut out, heading, &bars, style);
        }
        match style.glyphs {
            Glyphs::Unicode => out,
            Glyphs::Ascii => in_ascii(&out),
        }
    }

    /// The line above everything else: how much was seen.
    fn seen(&self, words: &Phrases) -> String {
        let seen = [
            counted(words, Word::StatsAttempts, self.sessions.attempts),
            counted(words, Word::StatsRegistrations, self.registrations.attempts),
            counted(words, Word::StatsUnfinished, self.sessions.unfinished + self.sessions.open),
        ];
        seen.join(words.word(Word::Comma)) + "\n\n"
    }

    /// The figures as one SVG picture: bars.
    pub fn svg(&self, style: &Style) -> String {
        let mut rows: Vec<(String, Option<u64>, u64)> = Vec::new();
        for (heading, bars) in self.charts(style).into_iter().filter(|(_, bars)| !bars.is_empty()) {
            rows.push((heading.to_owned(), None, 0));
            let most = bars.iter().map(|(_, count)| *count).max().unwrap_or(1).max(1);
            rows.extend(
                bars.into_iter().take(MOST_SHOWN).map(|(name, count)| (name, Some(count), count * WIDEST / most)),
            );
        }
        let height = 20 + ROW * rows.len().max(1);
        let picture = html! {
            svg xmlns="http://www.w3.org/2000/svg" viewBox=(format!("0 0 {PICTURE} {height}")) width=(PICTURE) height=(height) {
                title { (style.words.word(Word::StatsTitle)) }
                style { (maud::PreEscaped(drawing::STYLE)) }
                rect class="paper" width="100%" height="100%" {}
                @if rows.is_empty() { text x="16" y="24" { (style.words.word(Word::StatsNone)) } }
                @for (row, (name, count, width)) in rows.iter().enumerate() {
                    @let y = TOP + ROW * row;
                    @match count {
                        None => text class="heading" x="16" y=(y) { (name) },
                        Some(count) => {
                            text x="32" y=(y) { (name) }
                            rect class="bar" x=(BARS_AT) y=(y - 12) width=((*width).max(1)) height="14" {}
                            text x=(BARS_AT + 8 + width) y=(y) { (grouped(*count)) }
                        }
                    }
                }
            }
        };
        format!("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n{}\n", for_xml(&picture.into_string()))
    }

    /// Each ratio with its abbreviation and section.
    fn ratios(&self, words: &Phrases) -> [(String, Option<f64>); 5] {
        let sessions = &self.sessions;
        [
            ("SER   ", Word::StatsSer, " (§4.6)", sessions.establishment_ratio()),
            ("SEER  ", Word::StatsSeer, " (§4.7)", sessions.establishment_effectiveness_ratio()),
            ("ISA   ", Word::StatsIsa, " (§4.8)", sessions.ineffective_attempts()),
            ("SCR   ", Word::StatsScr, " (§4.9)", sessions.completion_ratio()),
            ("IRA   ", Word::StatsIra, " (§4.2)", self.registrations.ineffective_attempts()),
        ]
        .map(|(short, word, section, value)| (format!("{short}{}{section}", words.word(word)), value))
    }

    /// Each delay with its abbreviation and section.
    fn delays(&self, words: &Phrases) -> [(String, &Delay); 5] {
        let delays = &self.delays;
        [
            ("RRD  ", Word::StatsRrd, " (§4.1)", &delays.registration_request),
            ("SRD  ", Word::StatsSrd, " (§4.3.1)", &delays.successful_session_request),
            ("SRD  ", Word::StatsSrdFailed, " (§4.3.2)", &delays.failed_session_request),
            ("SDD  ", Word::StatsSdd, " (§4.4)", &delays.session_disconnect),
            ("SDT  ", Word::StatsSdt, " (§4.5)", &delays.session_duration),
        ]
        .map(|(short, word, section, delay)| (format!("{short}{}{section}", words.word(word)), delay))
    }

    fn charts(&self, style: &Style) -> [(&'static str, Bars); 4] {
        let words = &style.words;
        let peer = |(host, row): (&String, &Row)| {
            let host = Untrusted::from(style.names.with(host));
            let values: [(&str, &dyn Display); 3] =
                [("host", &host.for_terminal()), ("answered", &row.established), ("failed", &row.failed)];
            (words.fill(Word::StatsPeer, &values), row.attempts)
        };
        let by_code = self.codes.iter().map(|(code, count)| (code.to_string(), *count));
        let by_cause = self.causes.iter().map(|(rule, count)| (rule.clone(), *count));
        [
            (words.word(Word::StatsByEnd), self.ends(words)),
            (words.word(Word::StatsByHost), most_first(self.peers.iter().map(peer))),
            (words.word(Word::StatsByCode), most_first(by_code)),
            (words.word(Word::StatsByCause), most_first(by_cause)),
        ]
    }

    /// How attempts ended, those that there were.
    fn ends(&self, words: &Phrases) -> Bars {
        let sessions = &self.sessions;
        let rest = sessions
            .attempts
            .saturating_sub(sessions.established + sessions.redirected + sessions.refused + sessions.ineffective);
        let ends = [
            (Word::StatsEstablished, "", sessions.established),
            (Word::StatsRefused, " (480 486 600 603)", sessions.refused),
            (Word::StatsIneffective, " (408 500 503 504)", sessions.ineffective),
            (Word::StatsRedirected, " (3xx)", sessions.redirected),
            (Word::StatsOtherEnd, "", rest),
        ];
        let ends = ends.into_iter().filter(|(_, _, count)| *count > 0);
        ends.map(|(word, codes, count)| (format!("{}{codes}", words.word(word)), count)).collect()
    }
}

/// A heading, and a bar of text for each of what is counted.
fn chart(out: &mut String, heading: &str, bars: &Bars, style: &Style) {
    let mark = if style.glyphs == Glyphs::Ascii { "#" } else { "█" };
    let _ = writeln!(out, "\n{heading}");
    let most = bars.iter().map(|(_, count)| *count).max().unwrap_or(1).max(1);
    for (name, count) in bars.iter().take(MOST_SHOWN) {
        let width = usize::try_from(count * BAR / most).unwrap_or(0).max(1);
        let _ = writeln!(out, "  {} {:>7} {}", padded(name, BAR_NAME), grouped(*count), mark.repeat(width));
    }
    if bars.len() > MOST_SHOWN {
        let more = counted(&style.words, Word::StatsMore, (bars.len() - MOST_SHOWN) as u64);
        let _ = writeln!(out, "  {more}");
    }
}

/// A word at the right of so many columns.
fn aligned(word: &str, columns: usize) -> String {
    format!("{}{word}", " ".repeat(columns.saturating_sub(word.width())))
}

fn most_first(bars: impl Iterator<Item = (String, u64)>) -> Bars {
    let mut bars: Bars = bars.collect();
    bars.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    bars
}
