//! What printers have in common: which calls are shown, how they are read out, what marks a report.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use crate::call::Outcome;
use crate::catalogue::{Phrases, Word};
use crate::report::gatherer::Gathered;
use crate::report::pseudonyms::Replaced;
use crate::report::record::{CallRecord, FindingRecord};
use crate::report::secrets::{Privacy, SecretsAre};
use crate::report::text::Scope;

/// How a report came to be, for its reader.
#[derive(Debug, Clone, Default)]
pub struct Provenance {
    /// The command line, quoted as a shell would need it.
    pub command: String,
}

impl Provenance {
    /// Of these arguments, the first being the program.
    pub fn of(arguments: impl Iterator<Item = String>) -> Provenance {
        let mut command = String::new();
        for (index, argument) in arguments.enumerate() {
            let argument = match index {
                0 => "sipwhy".to_owned(),
                _ => argument,
            };
            let is_plain = |letter: char| letter.is_alphanumeric() || "-_./=:,+@%".contains(letter);
            if index > 0 {
                command.push(' ');
            }
            if !argument.is_empty() && argument.chars().all(is_plain) {
                command.push_str(&argument);
            } else {
                let _ = write!(command, "'{}'", argument.replace('\'', "'\\''"));
            }
        }
        Provenance { command }
    }

    /// The command line as it may be shown.
    pub(crate) fn command_for(&self, words: &Phrases, privacy: &Privacy) -> String {
        match privacy.pseudonyms {
            // What was asked for may be a number or a name that nobody shall see.
            Some(_) => words.word(Word::ArgumentsHidden).into(),
            None => self.command.clone(),
        }
    }
}

/// The calls of which something is drawn or written whole: all that were asked for, else the first of each kind of
/// trouble.
pub(crate) fn drawn(gathered: &mut Gathered, scope: Scope, most: usize) -> BTreeSet<u32> {
    if scope == Scope::Everything {
        return gathered.spool.numbers().into_iter().take(most).collect();
    }
    let mut kept: Vec<u32> =
        gathered.groups.iter().filter(|group| group.selected > 0).map(|group| group.kept).collect();
    kept.truncate(most);
    kept.into_iter().collect()
}

/// True if a call ended as it should.
pub(crate) fn is_well(record: &CallRecord) -> bool {
    matches!(record.outcome, Outcome::Answered | Outcome::Registered | Outcome::Accepted)
        && !record.failures.iter().any(|failure| !failure.normal)
}

/// The finding that tells most of a call: its cause, else the first that is no mere fact.
pub(crate) fn telling(record: &CallRecord) -> Option<&FindingRecord> {
    let is_wrong = |finding: &&FindingRecord| finding.severity != crate::diagnosis::Severity::Info;
    record.cause_finding().or_else(|| record.findings.iter().find(is_wrong))
}

/// The findings of a call beside the one that tells most of it.
pub(crate) fn else_found(record: &CallRecord) -> Vec<&FindingRecord> {
    let told = telling(record);
    let is_told = |finding: &&FindingRecord| told.is_some_and(|told| std::ptr::eq(told, *finding));
    record.findings.iter().filter(|finding| !is_told(finding)).collect()
}

/// What a report must say of itself: that it shows secrets, or pseudonyms.
pub(crate) fn privacy_words(words: &Phrases, privacy: &Privacy) -> Option<String> {
    let shown = (privacy.secrets == SecretsAre::Shown).then(|| words.word(Word::Confidential).to_owned());
    let replaced = privacy.pseudonyms.as_ref().map(|pseudonyms| {
        let kinds = [
            (Replaced::Numbers, Word::RedactedNumbers),
            (Replaced::Addresses, Word::RedactedAddresses),
            (Replaced::Names, Word::RedactedNames),
        ];
        let replaced = kinds.iter().filter(|(kind, _)| pseudonyms.replaces(*kind));
        let kinds: Vec<&str> = replaced.map(|(_, word)| words.word(*word)).collect();
        words.fill(Word::Redacted, &[("kinds", &kinds.join(words.word(Word::Comma)))])
    });
    match (shown, replaced) {
        (Some(shown), Some(replaced)) => Some(format!("{shown}; {replaced}")),
        (shown, replaced) => shown.or(replaced),
    }
}

/// What a report in another language says of the explanations in it, if there are any: they are in English.
pub(crate) fn in_english(words: &Phrases, gathered: &Gathered) -> Option<&'static str> {
    let has_findings = gathered.worst.is_some() || !gathered.notes.is_empty();
    (has_findings && !words.is_english()).then(|| words.word(Word::InEnglish))
}

/// Text without the two characters that XML 1.0 does not know and that nothing else takes out.
pub(crate) fn for_xml(text: &str) -> String {
    text.replace(['\u{fffe}', '\u{ffff}'], "\u{fffd}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_can_be_typed_again() {
        let words = ["/usr/bin/sipwhy", "a b.pcap", "-Y", "sip.Status-Code == 503", "-o", "x.html", "it's"];
        let provenance = Provenance::of(words.into_iter().map(str::to_owned));
        assert_eq!(provenance.command, r"sipwhy 'a b.pcap' -Y 'sip.Status-Code == 503' -o x.html 'it'\''s'");
    }
}
