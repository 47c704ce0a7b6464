//! The figures of a capture as text and as a picture.

use std::fmt::Write as _;

use maud::html;

use crate::report::drawing;
use crate::report::stats::{Delay, Row, Stats};
use crate::report::text::words::grouped;
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

/// What is counted, and how often.
type Bars = Vec<(String, u64)>;

impl Stats {
    /// The figures as text.
    pub fn text(&self, style: &Style) -> String {
        let mark = if style.glyphs == Glyphs::Ascii { "#" } else { "█" };
        let none = if style.glyphs == Glyphs::Ascii { "-" } else { "—" };
        let mut out = String::new();
        let _ = writeln!(
            out,
            "{} session attempts, {} registration attempts, {} sessions not seen to the end\n",
            grouped(self.sessions.attempts),
            grouped(self.registrations.attempts),
            grouped(self.sessions.unfinished)
        );
        out.push_str("RFC 6076 ratios\n");
        for (name, value) in self.ratios() {
            let value = value.map_or_else(|| none.to_owned(), |value| format!("{value:.1} %"));
            let _ = writeln!(out, "  {name:<52} {value:>9}");
        }
        let heading = "RFC 6076 delays, in seconds";
        let _ = writeln!(out, "\n{heading:<44} {:>7} {:>8} {:>8} {:>8}", "count", "median", "95 %", "longest");
        let seconds = |value: Option<f64>| value.map_or_else(|| none.to_owned(), |value| format!("{value:.3}"));
        for (name, delay) in self.delays() {
            let [median, high, longest] = [50, 95, 100].map(|percent| seconds(delay.percentile(percent)));
            let _ = writeln!(out, "  {name:<42} {:>7} {median:>8} {high:>8} {longest:>8}", grouped(delay.count()));
        }
        for (heading, bars) in self.charts(style).into_iter().filter(|(_, bars)| !bars.is_empty()) {
            let _ = writeln!(out, "\n{heading}");
            let most = bars.iter().map(|(_, count)| *count).max().unwrap_or(1).max(1);
            for (name, count) in bars.iter().take(MOST_SHOWN) {
                let width = usize::try_from(count * BAR / most).unwrap_or(0).max(1);
                let _ = writeln!(out, "  {name:<44} {:>7} {}", grouped(*count), mark.repeat(width));
            }
            if bars.len() > MOST_SHOWN {
                let _ = writeln!(out, "  and {} more (--format json has them all)", bars.len() - MOST_SHOWN);
            }
        }
        out
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
            svg xmlns="http://www.w3.org/2000/svg" viewBox=(format!("0 0 920 {height}")) width="920" height=(height) {
                title { "sipwhy: calls by outcome, peer, code and cause" }
                style { (maud::PreEscaped(drawing::STYLE)) }
                rect class="paper" width="100%" height="100%" {}
                @if rows.is_empty() { text x="16" y="24" { "No call to count." } }
                @for (row, (name, count, width)) in rows.iter().enumerate() {
                    @let y = 24 + ROW * row;
                    @match count {
                        None => text class="heading" x="16" y=(y) { (name) },
                        Some(count) => {
                            text x="32" y=(y) { (name) }
                            rect class="bar" x="400" y=(y - 12) width=((*width).max(1)) height="14" {}
                            text x=(408 + width) y=(y) { (grouped(*count)) }
                        }
                    }
                }
            }
        };
        format!("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n{}\n", for_xml(&picture.into_string()))
    }

    fn ratios(&self) -> [(&'static str, Option<f64>); 5] {
        [
            ("SER   session establishment ratio (§4.6)", self.sessions.establishment_ratio()),
            ("SEER  session establishment effectiveness (§4.7)", self.sessions.establishment_effectiveness_ratio()),
            ("ISA   ineffective session attempts (§4.8)", self.sessions.ineffective_attempts()),
            ("SCR   session completion ratio (§4.9)", self.sessions.completion_ratio()),
            ("IRA   ineffective registration attempts (§4.2)", self.registrations.ineffective_attempts()),
        ]
    }

    fn delays(&self) -> [(&'static str, &Delay); 5] {
        let delays = &self.delays;
        [
            ("RRD  registration request delay (§4.1)", &delays.registration_request),
            ("SRD  post-dial delay, successful (§4.3.1)", &delays.successful_session_request),
            ("SRD  session request delay, failed (§4.3.2)", &delays.failed_session_request),
            ("SDD  session disconnect delay (§4.4)", &delays.session_disconnect),
            ("SDT  session duration time (§4.5)", &delays.session_duration),
        ]
    }

    fn charts(&self, style: &Style) -> [(&'static str, Bars); 4] {
        let peer = |(host, row): (&String, &Row)| {
            let host = Untrusted::from(style.names.with(host));
            (format!("{} ({} answered, {} failed)", host.for_terminal(), row.established, row.failed), row.attempts)
        };
        let sessions = &self.sessions;
        let rest = sessions
            .attempts
            .saturating_sub(sessions.established + sessions.redirected + sessions.refused + sessions.ineffective);
        let outcomes = [
            ("established", sessions.established),
            ("refused by the user's state (480 486 600 603)", sessions.refused),
            ("ineffective (408 500 503 504)", sessions.ineffective),
            ("redirected (3xx)", sessions.redirected),
            ("ended in another way", rest),
        ];
        let outcomes = outcomes.into_iter().filter(|(_, count)| *count > 0);
        [
            ("Session attempts by end", outcomes.map(|(name, count)| (name.to_owned(), count)).collect()),
            ("Session attempts by the host that was asked", most_first(self.peers.iter().map(peer))),
            ("Sessions by final code", most_first(self.codes.iter().map(|(code, count)| (code.to_string(), *count)))),
            ("Causes", most_first(self.causes.iter().map(|(rule, count)| (rule.clone(), *count)))),
        ]
    }
}

fn most_first(bars: impl Iterator<Item = (String, u64)>) -> Bars {
    let mut bars: Bars = bars.collect();
    bars.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    bars
}
