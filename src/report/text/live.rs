//! Lines for people who follow a run: one for each event, as it happens.
//!
//! Is given records and incidents; gives lines without their end, safe for a terminal. Deliberately does not know when
//! a line is due, nor where it goes.

use std::fmt::Display;
use std::time::Duration;

use crate::call::{Kind, Outcome};
use crate::capture::Notice;
use crate::catalogue::{Phrases, Word};
use crate::report::moment::Moment;
use crate::report::record::CallRecord;
use crate::report::text::ended::how_it_ended;
use crate::report::text::lines::{padded, value};
use crate::report::text::style::{Glyphs, Ink, Style};
use crate::report::text::words::{counted, grouped, kind_word, lasting, person};
use crate::report::value::Summary;
use crate::report::watch::{LiveIncident, Repeat, State};
use crate::untrusted::Untrusted;

/// Columns of the parties of a call, so that what follows stands beneath itself.
const PARTIES: usize = 40;

/// `08:14:02 ✔  #1  1001 → 1002   answered after 0.8 s`.
pub fn answered(record: &CallRecord, after: Duration, at: Moment, style: &Style) -> String {
    let words = &style.words;
    let answered = words.fill(Word::LiveAnswered, &[("duration", &lasting(after))]);
    line(style, at, (Ink::Good, '✔'), &format!("{}{answered}", parties(words, record)))
}

/// `08:14:02 ✖ #3 +4930555010 → +49170555123 503 Carrier A has no free channel`. A call that fails as others just did
/// is told in short.
pub fn ended(record: &CallRecord, repeat: Option<Repeat>, at: Moment, style: &Style) -> String {
    let words = &style.words;
    let (ink, ended) = how_it_ended(words, record);
    let mark = match ink {
        Ink::Bad => '✖',
        Ink::Good => '✔',
        _ => '·',
    };
    let status = record.final_status.filter(|status| *status >= 300).map(|status| format!("{status}  "));
    let cause = match (repeat.filter(|repeat| repeat.count > 1), record.cause_finding()) {
        (Some(repeat), _) => {
            let within = roughly(Duration::from_nanos(repeat.within.unsigned_abs()));
            words.fill(Word::LiveSame, &[("count", &grouped(repeat.count)), ("duration", &within)])
        }
        (None, Some(finding)) => value(&finding.title),
        (None, None) if record.unexplained => [&ended, words.word(Word::Unexplained)].join(words.word(Word::Comma)),
        (None, None) => ended,
    };
    let first_wrong = record.findings.iter().find(|finding| finding.severity != crate::diagnosis::Severity::Info);
    let beside = match (record.outcome, first_wrong) {
        // It was answered, and something was wrong all the same.
        (Outcome::Answered, Some(finding)) if record.cause_finding().is_none() => {
            format!("{}{}", words.word(Word::Colon), value(&finding.title))
        }
        _ => String::new(),
    };
    let parties = parties(words, record);
    line(style, at, (ink, mark), &format!("{parties}{}{cause}{beside}", status.unwrap_or_default()))
}

/// `08:14:31 ▲  INCIDENT 1  Carrier A has no free channel: 5 calls in 30 s`.
pub fn incident(incident: &LiveIncident, at: Moment, style: &Style) -> String {
    let words = &style.words;
    let span = Duration::from_nanos(incident.last.time.0.saturating_sub(incident.first.time.0).unsigned_abs());
    let what = match incident.kind {
        Kind::Call => Word::Calls,
        Kind::Registration => Word::RegistrationsCounted,
        _ => Word::RequestsCounted,
    };
    let (word, ink) = match incident.state {
        State::Opened => (Word::LiveOpened, Ink::Bad),
        State::Updated => (Word::LiveUpdated, Ink::Bad),
        State::Closed => (Word::LiveClosed, Ink::Doubtful),
    };
    let values: [(&str, &dyn Display); 6] = [
        ("incident", &words.fill(Word::IncidentHeading, &[("number", &incident.number)])),
        ("title", &value(&incident.title)),
        ("count", &counted(words, what, incident.count)),
        ("duration", &roughly(span)),
        ("recent", &grouped(incident.per_minute)),
        ("most", &grouped(incident.worst_minute)),
    ];
    line(style, at, (ink, '▲'), &words.fill(word, &values))
}

/// What a while brought.
#[derive(Debug, Clone, Copy, Default)]
pub struct While {
    /// How long it was.
    pub lasted: Duration,
    /// Calls that ended in it.
    pub calls: u64,
    /// Those that were answered.
    pub answered: u64,
    /// Those that failed.
    pub failed: u64,
    /// Packets.
    pub packets: u64,
    /// Packets that the kernel dropped.
    pub kernel_drops: u64,
    /// Packets that the interfaces dropped.
    pub interface_drops: u64,
    /// Packets that wait at its end, if they are many.
    pub waiting: u64,
    /// Lines that were left out because their reader was slow.
    pub lines_dropped: u64,
}

impl While {
    /// The calls of a summary that were not there in an earlier one.
    pub fn between(before: &Summary, now: &Summary) -> While {
        let failed = |summary: &Summary| summary.failed + summary.dropped;
        While {
            calls: now.calls.saturating_sub(before.calls),
            answered: now.answered.saturating_sub(before.answered),
            failed: failed(now).saturating_sub(failed(before)),
            ..While::default()
        }
    }
}

/// `08:16:00 ·  1 min: 12 calls, 7 answered, 5 failed, kernel drops 0`.
pub fn summary(of: &While, at: Moment, style: &Style) -> String {
    let words = &style.words;
    let mut counts = vec![
        counted(words, Word::Calls, of.calls),
        counted(words, Word::SumAnswered, of.answered),
        counted(words, Word::LiveFailed, of.failed),
        counted(words, Word::Packets, of.packets),
        counted(words, Word::LiveKernelDrops, of.kernel_drops),
    ];
    let seldom = [
        (Word::LiveInterfaceDrops, of.interface_drops),
        (Word::LiveWaiting, of.waiting),
        (Word::LiveLinesDropped, of.lines_dropped),
    ];
    counts.extend(seldom.into_iter().filter(|(_, count)| *count > 0).map(|(word, count)| counted(words, word, count)));
    let counts = counts.join(words.word(Word::Comma));
    line(style, at, (Ink::Plain, '·'), &format!("{}{}{counts}", roughly(of.lasted), words.word(Word::Colon)))
}

/// What became of an interface, in a sentence for standard error: in English, as every message there is.
pub fn notice(notice: &Notice) -> String {
    match notice {
        Notice::Away { name, why } => format!("{name} is away ({why}); waiting for it"),
        Notice::Back { name, after } => format!("{name} is back after {}", lasting(*after)),
        Notice::GivenUp { name, why } => format!("{name} stays away ({why}); it is no longer waited for"),
        Notice::ClockSet { nanoseconds } => {
            format!(
                "the clock of this machine was set by {:+.3} s; calls go on waiting as before",
                *nanoseconds as f64 / 1e9
            )
        }
        Notice::AgentsClockSet { nanoseconds } => format!(
            "the clock of a capture agent was set by {:+.3} s, or another time is replayed; calls go on waiting as \
             before",
            *nanoseconds as f64 / 1e9
        ),
        Notice::NotPutAside { why } => {
            format!("packets that wait cannot be written to a temporary file ({why}); they wait in memory alone")
        }
        Notice::NotReadBack { packets, why } => {
            format!("{packets} packets that waited in a temporary file are lost ({why})")
        }
    }
}

/// `#3  +4930555010 → +49170555123`, filled up.
fn parties(words: &Phrases, record: &CallRecord) -> String {
    let parties = match record.kind {
        Kind::Call => format!("#{}  {} → {}", record.id, person(record.from.as_ref()), person(record.to.as_ref())),
        Kind::Registration => format!("#{}  REGISTER {}", record.id, person(record.to.as_ref())),
        kind => {
            format!(
                "#{}  {} {} → {}",
                record.id,
                kind_word(words, kind),
                person(record.from.as_ref()),
                person(record.to.as_ref())
            )
        }
    };
    format!("{}  ", padded(&parties, PARTIES))
}

/// A while in the largest unit that tells enough of it: `30 s`, `7 min`, `3 h`.
fn roughly(lasted: Duration) -> String {
    match lasted.as_secs() {
        0 => lasting(lasted),
        seconds @ 1..60 => format!("{seconds} s"),
        seconds @ 60..7200 => format!("{} min", seconds / 60),
        seconds => format!("{} h", seconds / 3600),
    }
}

fn line(style: &Style, at: Moment, (ink, mark): (Ink, char), words: &str) -> String {
    let words = Untrusted::from(words.trim_end());
    let mut text = format!("{} ", style.zone.time(at));
    style.paint(ink, mark.encode_utf8(&mut [0; 4]), &mut text);
    text.push_str("  ");
    text.push_str(&words.for_terminal());
    match style.glyphs {
        Glyphs::Unicode => text,
        Glyphs::Ascii => crate::report::text::lines::in_ascii(&text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::capture::{Digits, Timestamp};

    #[test]
    fn whiles_are_told_roughly() {
        let told = |milliseconds| roughly(Duration::from_millis(milliseconds));
        assert_eq!((told(214), told(30_900), told(60_000)), ("0.214 s".into(), "30 s".into(), "1 min".into()));
        assert_eq!((told(3_600_000), told(7_200_000)), ("60 min".into(), "2 h".into()));
    }

    #[test]
    fn what_an_interface_says_is_a_sentence() {
        let away = Notice::Away { name: "eth0".into(), why: "The interface disappeared".into() };
        assert_eq!(notice(&away), "eth0 is away (The interface disappeared); waiting for it");
        let set = Notice::ClockSet { nanoseconds: -3_600_000_000_000 };
        assert!(notice(&set).starts_with("the clock of this machine was set by -3600.000 s"));
    }

    const MOMENT: Moment = Moment { time: Timestamp(0), digits: Digits::Micro };

    fn style(tag: &str) -> Style {
        let mut style = Style::new(80, Glyphs::Unicode, crate::report::text::Zone::default());
        style.words = Phrases::of(tag).unwrap_or_default();
        style
    }

    #[test]
    fn a_summing_up_speaks_the_language_of_the_report() {
        let of = While {
            lasted: Duration::from_secs(60),
            calls: 12,
            answered: 7,
            failed: 5,
            packets: 4812,
            interface_drops: 3,
            waiting: 25_000,
            lines_dropped: 1,
            ..While::default()
        };
        let told = |tag: &str| {
            let line = summary(&of, MOMENT, &style(tag));
            line.split_once("·\u{1b}[0m  ").or_else(|| line.split_once("·  ")).map(|(_, rest)| rest.to_owned())
        };
        let english = "1 min: 12 calls, 7 answered, 5 failed, 4 812 packets, kernel drops 0, interface drops 3, 25 \
                       000 packets wait, 1 line left out here: their reader is slow";
        assert_eq!(told("en").as_deref(), Some(english));
        let french = "1 min\u{a0}: 12 appels, 7 aboutis, 5 en échec, 4 812 paquets, pertes noyau 0, pertes interface \
                      3, 25 000 paquets en attente, 1 ligne omise ici\u{a0}: son lecteur est lent";
        assert_eq!(told("fr").as_deref(), Some(french));
        let japanese = "1 min：呼 12 件、応答あり 7、失敗 5、パケット 4 812 個、カーネルの取りこぼし \
                        0、インターフェースの取りこぼし 3、処理待ちのパケット 25 000 個、ここで 1 \
                        行を省略（読み手が遅いため）";
        assert_eq!(told("ja").as_deref(), Some(japanese));
    }

    #[test]
    fn an_incident_speaks_the_language_of_the_report() {
        let told = |tag: &str, state: State| {
            let of = LiveIncident {
                id: "incident-1".into(),
                number: 1,
                state,
                rule: None,
                title: "no channel {count}".into(),
                peer: None,
                status: Some(503),
                kind: Kind::Call,
                count: 5,
                per_minute: 4,
                worst_minute: 3,
                first: MOMENT,
                last: MOMENT,
                fix: Vec::new(),
            };
            incident(&of, MOMENT, &style(tag))
        };
        // What was captured is never read as a place of the text.
        assert!(told("en", State::Opened).ends_with("INCIDENT 1  no channel {count}: 5 calls in 0.0 ms"));
        assert!(
            told("fr", State::Updated)
                .ends_with("INCIDENT 1  no channel {count}\u{a0}: 5 appels en 0.0 ms, 4 la dernière minute")
        );
        assert!(told("ja", State::Closed).ends_with("障害 1 終息  no channel {count}：0.0 ms で呼 5 件、最大 3 件/分"));
    }
}
