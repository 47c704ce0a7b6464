//! Calls as test cases in JUnit's XML, for programs that run tests and count what failed.

use std::io::{self, Write};

use maud::html;

use crate::catalogue::Phrases;
use crate::report::decisive::decisive;
use crate::report::gatherer::Gathered;
use crate::report::record::CallRecord;
use crate::report::text::ended::outcome_word;
use crate::report::text::words::{absent, between, confidence, kind_word, title};
use crate::report::view::{for_xml, privacy_words, telling};
use crate::untrusted::Untrusted;

/// Inputs that the suite is named after.
const MOST_INPUTS: usize = 20;
/// Claims of a finding that a failure quotes.
const MOST_CLAIMS: usize = 12;

/// Writes one test suite with a test case for each call.
///
/// # Errors
/// What `out` says, or the temporary file of the records.
pub fn write(out: &mut dyn Write, gathered: &mut Gathered) -> io::Result<()> {
    let (mut count, mut failed, mut skipped, mut seconds) = (0, 0, 0, 0.0);
    gathered.spool.each_record(
        |_| true,
        |record| {
            count += 1;
            failed += usize::from(is_failure(&record));
            skipped += usize::from(is_skipped(&record));
            seconds += between(record.started, record.ended).as_secs_f64();
            Ok(())
        },
    )?;
    let names: Vec<String> = gathered.inputs.iter().take(MOST_INPUTS).map(|input| shown(&input.file)).collect();
    let suite = Untrusted::from(names.join(" "));
    let attributes = html! { (suite.for_terminal()) }.into_string();
    let attributes = for_xml(&attributes);
    writeln!(out, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>")?;
    if let Some(words) = privacy_words(&Phrases::english(), &gathered.privacy) {
        // The words are our own, and hold no two hyphens but in the name of an option.
        writeln!(out, "<!-- {} -->", words.replace("--", "- "))?;
    }
    writeln!(out, "<testsuites tests=\"{count}\" failures=\"{failed}\" skipped=\"{skipped}\" time=\"{seconds:.3}\">")?;
    writeln!(
        out,
        "<testsuite name=\"{attributes}\" tests=\"{count}\" failures=\"{failed}\" skipped=\"{skipped}\" \
         time=\"{seconds:.3}\">"
    )?;
    gathered.spool.each_record(|_| true, |record| out.write_all(case(&record).as_bytes()))?;
    writeln!(out, "</testsuite>\n</testsuites>")
}

fn is_failure(record: &CallRecord) -> bool {
    record.outcome.went_wrong()
}

/// A call that the capture does not show to its end proves nothing.
fn is_skipped(record: &CallRecord) -> bool {
    record.outcome == crate::call::Outcome::Unfinished
}

fn case(record: &CallRecord) -> String {
    let seconds = format!("{:.3}", between(record.started, record.ended).as_secs_f64());
    let class = format!("sipwhy.{}", kind_word(&Phrases::english(), record.kind).to_lowercase());
    let name = Untrusted::from(title(&Phrases::english(), record));
    let kind = record.cause.as_deref().unwrap_or("unexplained");
    let markup = html! {
        testcase classname=(class) name=(name.for_terminal()) time=(seconds) {
            @if is_failure(record) {
                failure type=(kind) message=(message(record)) { (words(record)) }
            } @else if is_skipped(record) {
                skipped message="the capture ends before the call does" {}
            }
        }
    };
    for_xml(&markup.into_string()) + "\n"
}

fn message(record: &CallRecord) -> String {
    match (telling(record), decisive(record)) {
        (Some(finding), _) => {
            format!("{} ({})", shown(&finding.title), confidence(&Phrases::english(), finding.confidence))
        }
        (None, Some(failure)) => format!("{} {}", failure.status, shown(&failure.reason_phrase)),
        (None, None) => outcome_word(&Phrases::english(), record.outcome).to_owned(),
    }
}

fn words(record: &CallRecord) -> String {
    let mut lines = Vec::new();
    let call_id = record.call_ids.first().map(shown).unwrap_or_default();
    lines.push(format!("Call-ID {call_id}"));
    if let Some(finding) = telling(record) {
        let sure = confidence(&Phrases::english(), finding.confidence);
        lines.push(format!("{}, {sure}: {}", finding.rule, shown(&finding.explanation)));
        for claim in finding.claims.iter().take(MOST_CLAIMS) {
            let shows = || {
                let (value, says) = (shown(&claim.value), shown(&claim.says));
                format!("frame {}: {} = {value} ({says})", claim.frame, claim.field)
            };
            lines.push(absent(&Phrases::english(), claim).unwrap_or_else(shows));
        }
        lines.extend(finding.fix.iter().enumerate().map(|(index, step)| format!("{}. {}", index + 1, shown(step))));
        lines.extend(finding.next_capture.as_ref().map(|command| format!("To be sure: {}", shown(command))));
    }
    lines.join("\n")
}

fn shown(text: &Untrusted) -> String {
    text.for_terminal().into_owned()
}
