//! What is remarked on the frames of a capture: each finding on the frames that prove it, and a summary.

use std::collections::BTreeMap;
use std::io;

use crate::capture::Remarks;
use crate::catalogue::{Phrases, Word};
use crate::diagnosis::Severity;
use crate::report::gatherer::Gathered;
use crate::report::record::{CallRecord, FindingRecord, Frame};
use crate::report::text::ended::ended_word;
use crate::report::text::words::{absent, counted, frames, title};
use crate::report::value::Tool;
use crate::report::view::privacy_words;

/// Letters of one comment.
const LONGEST: usize = 500;
/// Frames that a line cites.
const MOST_FRAMES: usize = 6;
/// Comments of a run.
const MOST_COMMENTS: usize = 1_000_000;
/// Comments of one frame.
const MOST_OF_FRAME: usize = 16;
/// Lines of the summary.
const MOST_LINES: usize = 200;

/// The remarks on each input, in the order of the inputs, and how many found no room.
///
/// # Errors
/// The temporary file of the records cannot be read.
pub fn remarks(gathered: &mut Gathered) -> io::Result<(Vec<Remarks>, u64)> {
    let mut all = All {
        of_inputs: vec![BTreeMap::new(); gathered.inputs.len().max(1)],
        lines: Vec::new(),
        count: 0,
        left_out: 0,
    };
    gathered.spool.each_record(
        |_| true,
        |record| {
            all.call(&record);
            Ok(())
        },
    )?;
    for note in &gathered.notes {
        all.finding(note, "");
    }
    let summary = summary(gathered, &all.lines);
    let of_inputs = all.of_inputs.into_iter().enumerate().map(|(index, of_frames)| Remarks {
        summary: if index == 0 { summary.clone() } else { String::new() },
        of_frames,
        chosen: None,
    });
    Ok((of_inputs.collect(), all.left_out))
}

struct All {
    of_inputs: Vec<BTreeMap<u64, Vec<String>>>,
    lines: Vec<String>,
    count: usize,
    left_out: u64,
}

impl All {
    fn call(&mut self, record: &CallRecord) {
        let of_call = format!(" ({})", title(&Phrases::english(), record));
        let is_told = |finding: &&FindingRecord| {
            finding.severity != Severity::Info || record.cause.as_deref() == Some(&finding.rule)
        };
        let mut has_any = false;
        for finding in record.findings.iter().filter(is_told) {
            has_any = true;
            self.finding(finding, &of_call);
            self.line(
                &format!(
                    "{}: {}, {}",
                    title(&Phrases::english(), record),
                    ended_word(&Phrases::english(), record),
                    sentence(finding)
                ),
                finding,
            );
        }
        if !has_any && record.unexplained {
            let cited = record.failures.iter().rev().find(|failure| !failure.normal);
            if let Some(failure) = cited {
                let says = format!(
                    "sipwhy unexplained: no rule fits {} to this {}{of_call}",
                    failure.status,
                    failure.method.for_terminal()
                );
                self.put(failure.frame, &says);
            }
        }
    }

    fn finding(&mut self, finding: &FindingRecord, of_call: &str) {
        let mut told: Vec<Frame> = Vec::new();
        for claim in &finding.claims {
            if told.contains(&claim.frame) {
                continue;
            }
            told.push(claim.frame);
            let of_frame: Vec<String> = finding
                .claims
                .iter()
                .filter(|other| other.frame == claim.frame)
                .map(|other| {
                    let shows = || format!("{}: {}", other.field, other.says.for_terminal());
                    absent(&Phrases::english(), other).unwrap_or_else(shows)
                })
                .collect();
            let says = format!("sipwhy {}{of_call}; here {}", sentence(finding), of_frame.join("; "));
            self.put(claim.frame, &says);
        }
    }

    fn line(&mut self, text: &str, finding: &FindingRecord) {
        if self.lines.len() < MOST_LINES {
            let cited: Vec<Frame> = finding.claims.iter().map(|claim| claim.frame).collect();
            let cited = if cited.is_empty() {
                String::new()
            } else {
                format!(", {}", frames(&Phrases::english(), &cited, MOST_FRAMES))
            };
            self.lines.push(format!("{}{cited}", shortened(text)));
        }
    }

    fn put(&mut self, frame: Frame, says: &str) {
        let (input, number) = match frame {
            Frame::Number(number) => (0, number),
            Frame::InFile { file, frame } => (file as usize, frame),
        };
        let Some(of_frames) = self.of_inputs.get_mut(input) else { return };
        let comments = of_frames.entry(number).or_default();
        if self.count >= MOST_COMMENTS || comments.len() >= MOST_OF_FRAME {
            self.left_out += 1;
            return;
        }
        self.count += 1;
        comments.push(shortened(says));
    }
}

/// `[trunk-congested] proven: …`
fn sentence(finding: &FindingRecord) -> String {
    let says = finding.says();
    format!("[{}] {}: {}", finding.rule, finding.confidence.word(), says.for_terminal())
}

fn shortened(text: &str) -> String {
    match text.char_indices().nth(LONGEST) {
        None => text.to_owned(),
        Some((end, _)) => {
            let end = text.get(..end).and_then(|cut| cut.char_indices().next_back()).map_or(0, |(at, _)| at);
            format!("{}…", text.get(..end).unwrap_or_default())
        }
    }
}

fn summary(gathered: &Gathered, lines: &[String]) -> String {
    let summary = &gathered.summary;
    // Comments are in English, as the findings are that stand in them.
    let words = Phrases::english();
    let tool = Tool::this();
    let mut text = format!(
        "{} {}: {} ({} answered, {} failed, {} dropped, {} busy, {} cancelled, {} unfinished), {}, {}",
        tool.name,
        tool.version,
        counted(&words, Word::Calls, summary.calls),
        summary.answered,
        summary.failed,
        summary.dropped,
        summary.busy,
        summary.cancelled,
        summary.unfinished,
        counted(&words, Word::RegistrationsCounted, summary.registrations),
        counted(&words, Word::OtherRequests, summary.other_transactions),
    );
    if let Some(marked) = privacy_words(&words, &gathered.privacy) {
        text.push('\n');
        text.push_str(&marked);
    }
    for group in gathered.groups.iter().filter(|group| group.is_incident()).take(MOST_LINES) {
        let incident = &group.incident;
        text.push_str(&format!(
            "\nIncident {}, {}: {}",
            group.number,
            counted(&words, Word::Times, group.count),
            incident.title.for_terminal()
        ));
    }
    for line in lines {
        text.push('\n');
        text.push_str(line);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_have_at_most_so_many_letters() {
        let long = "ü".repeat(LONGEST + 7);
        assert_eq!(shortened(&long).chars().count(), LONGEST);
        assert_eq!(shortened("short"), "short");
    }
}
