//! Words of the text report: numbers, addresses, and the one line of a call.

use std::time::Duration;

use crate::call::Kind;
use crate::catalogue::{Phrases, Word};
use crate::diagnosis::Confidence;
use crate::report::moment::Moment;
use crate::report::record::{CallRecord, ClaimRecord, Frame};
use crate::report::text::lines::value;
use crate::sip::Uri;
use crate::untrusted::Untrusted;

/// Letters of a user or host that are shown of each party at the head of a call.
const LONGEST_PERSON: usize = 40;

/// `4 812`.
pub(crate) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(' ');
        }
        text.push(digit);
    }
    text
}

/// `1 call`, `2 calls`: a word whose one place is the count.
pub(crate) fn counted(words: &Phrases, word: Word, number: u64) -> String {
    words.count(word, number, &[("count", &grouped(number))])
}

/// `0.214 s`, `3 min 12 s`.
pub(crate) fn lasting(duration: Duration) -> String {
    let seconds = duration.as_secs_f64();
    match duration.as_secs() {
        0 if duration.as_millis() < 10 => format!("{:.1} ms", seconds * 1000.0),
        0..=9 => format!("{seconds:.3} s"),
        10..=119 => format!("{seconds:.1} s"),
        whole @ 120..=7199 if whole % 60 == 0 => format!("{} min", whole / 60),
        whole @ 120..=7199 => format!("{} min {} s", whole / 60, whole % 60),
        whole => format!("{} h {} min", whole / 3600, whole % 3600 / 60),
    }
}

/// How long after a moment another one is; none if it is earlier.
pub(crate) fn between(first: Moment, last: Moment) -> Duration {
    last.time.since(first.time)
}

/// A claim that something was not seen, in words: no field of Wireshark shows that.
pub(crate) fn absent(words: &Phrases, claim: &ClaimRecord) -> Option<String> {
    let (frame, what, says) = (claim.frame, value(&claim.value), claim.says.for_terminal());
    (claim.field == "absent")
        .then(|| words.fill(Word::NotSeenAfter, &[("frame", &frame), ("what", &what), ("says", &says)]))
}

/// The first frames of several, each once, in the order in which they were captured.
pub(crate) fn frames(words: &Phrases, frames: &[Frame], most: usize) -> String {
    let mut known: Vec<Frame> = Vec::new();
    for frame in frames {
        if !known.contains(frame) {
            known.push(*frame);
        }
    }
    let (count, more) = (known.len() as u64, if known.len() > most { " …" } else { "" });
    known.truncate(most);
    known.sort_unstable();
    let shown: Vec<String> = known.iter().map(Frame::to_string).collect();
    let shown = format!("{}{more}", shown.join(" "));
    words.count(Word::FramesList, count, &[("frames", &shown)])
}

/// The number or name of a URI; its host if it has none.
pub(crate) fn person(uri: Option<&Untrusted>) -> String {
    let Some(uri) = uri else { return "?".into() };
    let read = Uri::read(uri.raw());
    let shown = match read.bare_user() {
        "" if read.host.is_empty() => uri.raw(),
        "" => &read.host,
        user => user,
    };
    let shown = value(&shown.into());
    if shown.chars().count() > LONGEST_PERSON {
        shown.chars().take(LONGEST_PERSON - 1).chain(['…']).collect()
    } else {
        shown
    }
}

/// The word for what a record is about, as it stands at its head: `CALL`.
pub(crate) fn kind_word(words: &Phrases, kind: Kind) -> &'static str {
    words.word(match kind {
        Kind::Call => Word::KindCall,
        Kind::Registration => Word::KindRegistration,
        Kind::Subscription => Word::KindSubscription,
        Kind::Message => Word::KindMessage,
        Kind::Options => Word::KindOptions,
        Kind::Other => Word::KindOther,
    })
}

/// The word before numbers of several: `Calls`.
pub(crate) fn numbers_word(words: &Phrases, kind: Kind) -> &'static str {
    words.word(match kind {
        Kind::Call => Word::LabelCalls,
        Kind::Registration => Word::LabelRegistrations,
        Kind::Options => Word::KindOptions,
        Kind::Subscription | Kind::Message | Kind::Other => Word::LabelRequests,
    })
}

/// The same for a table: `call`.
pub(crate) fn type_word(words: &Phrases, kind: Kind) -> &'static str {
    words.word(match kind {
        Kind::Call => Word::TypeCall,
        Kind::Registration => Word::TypeRegistration,
        Kind::Subscription => Word::TypeSubscription,
        Kind::Message => Word::TypeMessage,
        Kind::Options => Word::TypeOptions,
        Kind::Other => Word::TypeOther,
    })
}

/// How sure a finding is.
pub(crate) fn confidence(words: &Phrases, confidence: Confidence) -> &'static str {
    words.word(match confidence {
        Confidence::Proven => Word::Proven,
        Confidence::Likely => Word::Likely,
        Confidence::Possible => Word::Possible,
        Confidence::Unseen => Word::Unseen,
    })
}

/// `CALL 3  +4930555010 → +49170555123`.
pub(crate) fn title(words: &Phrases, record: &CallRecord) -> String {
    let parties = match record.kind {
        Kind::Registration => person(record.to.as_ref()),
        _ => format!("{} → {}", person(record.from.as_ref()), person(record.to.as_ref())),
    };
    let opening = record.ladder.iter().find(|rung| rung.status.is_none()).map(|rung| rung.label.raw());
    let kind = match opening {
        // State is published beside subscriptions to it (RFC 3903), and a REFER brings one along (RFC 3515).
        Some(method @ ("PUBLISH" | "REFER")) if record.kind == Kind::Subscription => method,
        _ => kind_word(words, record.kind),
    };
    format!("{kind} {}  {parties}", record.id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_grouped_and_counted() {
        assert_eq!((grouped(4812), grouped(12), grouped(1_000_000)), ("4 812".into(), "12".into(), "1 000 000".into()));
        let calls = |number| counted(&Phrases::english(), Word::Calls, number);
        assert_eq!((calls(1), calls(0), calls(4812)), ("1 call".into(), "0 calls".into(), "4 812 calls".into()));
    }

    #[test]
    fn times_last_as_a_person_would_say() {
        assert_eq!(lasting(Duration::from_millis(214)), "0.214 s");
        assert_eq!(lasting(Duration::from_secs(192)), "3 min 12 s");
    }
}
