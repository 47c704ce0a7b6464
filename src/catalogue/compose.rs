//! Composes what tells two status codes apart from what is known of each.
//!
//! Knows `data/gists.toml`, where each code has a few words for every place in a sentence. Is given two entries; gives
//! whole sentences. Deliberately never repeats a description: the page shows the two entries themselves.

use std::sync::OnceLock;

use serde::Deserialize;

use super::comparison::{Comparison, Difference, Point};
use super::entry::{Class, ConfusedWith, Entry, Kind, Registered, Retry};
use super::slices::Table;
use super::{is_built_in, lower_first};

/// A few words for each place in a sentence; `data/gists.toml` says which.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct Gist {
    code: u16,
    says: String,
    asks: String,
    decided_by: String,
    shown_by: String,
    #[serde(default)]
    used_where: String,
    #[serde(default)]
    never: String,
}

/// The fewest differences that a page has.
const FEWEST: usize = 3;

/// The fewest characters of a text that is a sentence and not a note.
const SHORTEST_SENTENCE: usize = 40;

/// What tells `a` and `b` apart, `a` having the lower code.
pub(super) fn compose(a: &Entry, b: &Entry) -> Comparison {
    let (of_a, of_b) = (gist_of(a), gist_of(b));
    if let (Some(meaning), Some(same)) = (of_a, of_b)
        && meaning.code == same.code
    {
        return alike(a, b, meaning);
    }
    let gists = of_a.zip(of_b);
    let confusion = confusion(a, b);
    let mut differences: Vec<Difference> = [
        (Point::Decisive, confusion.map(|confusion| sentence(&confusion.difference))),
        (Point::Asked, asked(a, b, gists)),
        (Point::Decided, decided(a, b, gists)),
        (Point::Sender, sender(a, b)),
        (Point::Fault, fault(a, b)),
        (Point::Scope, scope(a, b)),
        (Point::Action, action(a, b)),
        (Point::Capture, capture(a, b, gists, confusion)),
        (Point::Standing, standing(a, b)),
    ]
    .into_iter()
    .filter_map(|(point, says)| Some(Difference { point, says: says? }))
    .collect();
    if differences.len() < FEWEST {
        let says = format!("{} is defined in {}; {} in {}.", a.code, a.reference, b.code, b.reference);
        differences.push(Difference { point: Point::Defined, says });
    }
    Comparison {
        summary: summary(a, b, gists),
        differences,
        which_when: [which_when(a, of_a), which_when(b, of_b)],
        entries: [a.clone(), b.clone()],
    }
}

/// Two codes of which at least one is unknown and has the meaning of the other, or of the same third one.
fn alike(a: &Entry, b: &Entry, meaning: &Gist) -> Comparison {
    let same = meaning.code;
    let unknown: Vec<String> =
        [a, b].iter().filter(|entry| entry.treated_as.is_some()).map(|entry| entry.code.to_string()).collect();
    let summary = match unknown.as_slice() {
        [only] => format!("{only} is not registered, and a client treats it as {same} (RFC 3261 §8.1.3.2)."),
        _ => format!(
            "Neither {} nor {} is registered, and a client treats both as {same} (RFC 3261 §8.1.3.2).",
            a.code, b.code
        ),
    };
    let capture = format!(
        "Only the software that sends {} knows what it means by it: the Server or User-Agent header names that software, and the reason phrase gives its words.",
        list(&unknown, "or")
    );
    let which_when = [a, b].map(|entry| match entry.treated_as {
        Some(_) => format!(
            "{} belongs nowhere: software that makes up a code should use {same} with a phrase of its own.",
            titled(entry)
        ),
        None => which_when(entry, Some(meaning)),
    });
    let mut differences = vec![Difference { point: Point::Capture, says: capture }];
    differences.extend(standing(a, b).map(|says| Difference { point: Point::Standing, says }));
    Comparison { entries: [a.clone(), b.clone()], summary, differences, which_when }
}

/// The words for an entry: those of the code as which it is treated, and none for one that a user has redefined.
fn gist_of(entry: &Entry) -> Option<&'static Gist> {
    let code = entry.treated_as.unwrap_or(entry.code);
    let ours = entry.treated_as.is_some() || is_built_in(entry);
    gist(code).filter(|_| ours)
}

/// The words of a code that `data/gists.toml` has.
fn gist(code: u16) -> Option<&'static Gist> {
    gists().get(code)
}

fn gists() -> &'static Table<Gist> {
    static TABLE: OnceLock<Table<Gist>> = OnceLock::new();
    TABLE.get_or_init(|| Table::cut(&[include_str!("../../data/gists.toml")], "code", "code"))
}

/// What the entries themselves say of each other.
fn confusion<'a>(a: &'a Entry, b: &'a Entry) -> Option<&'a ConfusedWith> {
    let of_a = a.confused_with.iter().find(|confused| confused.code == b.code);
    of_a.or_else(|| b.confused_with.iter().find(|confused| confused.code == a.code))
}

fn summary(a: &Entry, b: &Entry, gists: Option<(&Gist, &Gist)>) -> String {
    match gists {
        Some((of_a, of_b)) => {
            format!("{} says that {}, while {} says that {}.", titled(a), of_a.says, titled(b), of_b.says)
        }
        None => format!("{} {}, while {} {}.", titled(a), kind(a), titled(b), kind(b)),
    }
}

fn asked(a: &Entry, b: &Entry, gists: Option<(&Gist, &Gist)>) -> Option<String> {
    let (of_a, of_b) = gists?;
    Some(format!("{} answers the question \"{}\", {} the question \"{}\".", a.code, of_a.asks, b.code, of_b.asks))
}

fn decided(a: &Entry, b: &Entry, gists: Option<(&Gist, &Gist)>) -> Option<String> {
    let (of_a, of_b) = gists.filter(|(of_a, of_b)| of_a.decided_by != of_b.decided_by)?;
    Some(format!("{} is decided by {}; {} by {}.", a.code, of_a.decided_by, b.code, of_b.decided_by))
}

fn sender(a: &Entry, b: &Entry) -> Option<String> {
    let (mut of_a, mut of_b) = (a.sent_by.clone(), b.sent_by.clone());
    of_a.sort_unstable();
    of_b.sort_unstable();
    if of_a == of_b {
        return None;
    }
    Some(format!("{} comes from {}; {} from {}.", a.code, senders(a), b.code, senders(b)))
}

fn senders(entry: &Entry) -> String {
    let named: Vec<String> = entry.sent_by.iter().map(|sender| with_article(sender)).collect();
    list(&named, "or")
}

/// `an SBC`, `a UAS`, `a proxy`; a proper name keeps none.
fn with_article(noun: &str) -> String {
    const NAMES: [&str; 9] =
        ["Asterisk", "FreeSWITCH", "Kamailio", "OpenSIPS", "PJSIP", "sofia-sip", "AudioCodes", "3CX", "Microsoft"];
    if NAMES.iter().any(|name| noun.starts_with(name)) {
        return noun.to_owned();
    }
    let first_word = noun.split([' ', '-', '/']).next().unwrap_or_default();
    let spelled_out = first_word.len() > 1 && first_word.chars().all(|letter| letter.is_ascii_uppercase());
    let vowels = if spelled_out { "AEFHILMNORSX" } else { "aeioAEIO" };
    // PBX, UAS, STIR and URI begin with a consonant when they are spoken.
    let an = first_word != "STIR" && noun.starts_with(|letter| vowels.contains(letter));
    format!("{} {noun}", if an { "an" } else { "a" })
}

/// `x`, `x or y`, `x, y or z`.
fn list(items: &[String], last: &str) -> String {
    match items {
        [] => String::new(),
        [only] => only.clone(),
        [first @ .., end] => format!("{} {last} {end}", first.join(", ")),
    }
}

fn fault(a: &Entry, b: &Entry) -> Option<String> {
    if a.kind == b.kind {
        return None;
    }
    Some(format!("{} {}; {} {}.", a.code, kind(a), b.code, kind(b)))
}

/// What sort of outcome a code is, after its number.
fn kind(entry: &Entry) -> &'static str {
    match entry.kind {
        Kind::Progress => "is no fault but a sign of life",
        Kind::Success => "is a success",
        Kind::Redirect => "is no fault by itself and becomes one only if the way it shows is not taken",
        Kind::Challenge => "is a normal first answer and a fault only when it repeats",
        Kind::Negotiation => "is no fault as long as the request comes again on other terms",
        Kind::CallerCancel => "is the ordinary end of a call that its own caller gave up",
        Kind::CalleeDecline => "is a decision of the called side and no technical fault",
        Kind::PolicyReject => "is a block that somebody put there on purpose",
        Kind::Failure => "is a failed request",
    }
}

fn scope(a: &Entry, b: &Entry) -> Option<String> {
    use Class::{ClientFailure, GlobalFailure, Local, Provisional, Redirection, ServerFailure, Success};
    let (x, y) = (a.code, b.code);
    let registered = |entry: &Entry| matches!(entry.registered, Registered::Yes | Registered::Deprecated);
    // A challenge, a cancelled call or a vendor's own number says nothing on whose side the fault lies.
    let plain = a.kind == Kind::Failure && b.kind == Kind::Failure && registered(a) && registered(b);
    let refusal = matches!(a.kind, Kind::Failure | Kind::CalleeDecline | Kind::PolicyReject);
    Some(match (a.class(), b.class()) {
        (Local, Local) => return None,
        (_, Local) => format!("{x} is sent on the wire and {y} is not: no capture can show it."),
        (Provisional, Provisional) => return None,
        (Provisional, _) => {
            format!("{x} is provisional and leaves the transaction open; {y} is final and ends it.")
        }
        (Success, Redirection) => format!("{x} closes the matter here; {y} hands it on to another address."),
        (Success, GlobalFailure) => {
            format!(
                "Both end a forked call for all branches, {x} because one accepted and {y} because one spoke for all."
            )
        }
        (Redirection, GlobalFailure) => {
            format!("{x} opens a further address; {y} closes every one and ends the search (RFC 3261 §16.7).")
        }
        (Redirection, ClientFailure | ServerFailure) => {
            format!("{x} opens a way to go on; {y} ends this branch without one.")
        }
        (ClientFailure, ServerFailure) if plain => {
            format!(
                "{x} lies with the request or its target; {y} lies with the server, so that another server may succeed."
            )
        }
        (ClientFailure | ServerFailure, GlobalFailure) if refusal => format!(
            "After {x} a proxy goes on with its other targets; {y} speaks for all of them and ends the search (RFC 3261 §16.7)."
        ),
        _ => return None,
    })
}

fn action(a: &Entry, b: &Entry) -> Option<String> {
    if a.retry == b.retry && (a.retry_note == b.retry_note || a.retry_note.is_empty() || b.retry_note.is_empty()) {
        return None;
    }
    if a.retry == b.retry {
        let either = match a.retry {
            Retry::Yes => "the same request may be sent again",
            Retry::Change => "the request has to be changed before it is sent again",
            Retry::Elsewhere => "the request has to take another way",
            Retry::Follow => "the caller goes on at an address of the response",
            Retry::No => "it is no use to send the request again",
            Retry::NotApplicable => "there is nothing to send again",
        };
        return Some(format!("Either way {either}. After {}: {}. After {}: {}.", a.code, note(a), b.code, note(b)));
    }
    Some(format!("{} {}", retry(a), retry(b)))
}

/// The note on sending again, for the middle of a sentence.
fn note(entry: &Entry) -> String {
    lower_first(entry.retry_note.trim().trim_end_matches('.'))
}

fn retry(entry: &Entry) -> String {
    let code = entry.code;
    let advice = match entry.retry {
        Retry::Yes => format!("After {code} the same request may be sent again"),
        Retry::Change => format!("After {code} the request has to be changed before it is sent again"),
        Retry::Elsewhere => format!("After {code} the request has to take another way"),
        Retry::Follow => format!("After {code} the caller goes on at the address in the response"),
        Retry::No => format!("After {code} it is no use to send the request again"),
        Retry::NotApplicable => format!("{code} leaves nothing to send again"),
    };
    match note(entry).as_str() {
        "" => format!("{advice}."),
        note => format!("{advice}: {note}."),
    }
}

fn capture(a: &Entry, b: &Entry, gists: Option<(&Gist, &Gist)>, confusion: Option<&ConfusedWith>) -> Option<String> {
    let mut says: Vec<String> = Vec::new();
    if let Some((of_a, of_b)) = gists {
        says.push(format!("{} shows itself by {}; {} by {}.", a.code, of_a.shown_by, b.code, of_b.shown_by));
    }
    // On the page of a code a few words suffice beneath the code they belong to; here they would be a cut sentence.
    let whole = |confusion: &&ConfusedWith| confusion.capture.chars().count() >= SHORTEST_SENTENCE;
    says.extend(confusion.filter(whole).map(|confusion| sentence(&confusion.capture)));
    if says.is_empty()
        && let (Some(of_a), Some(of_b)) = (a.look_at.first(), b.look_at.first())
        && of_a.header != of_b.header
    {
        says.push(format!("For {} look at {}; for {} at {}.", a.code, of_a.header, b.code, of_b.header));
    }
    let disjoint = !a.q850.iter().any(|cause| b.q850.contains(cause));
    if confusion.is_none() && disjoint && !a.q850.is_empty() && !b.q850.is_empty() {
        let of = |entry: &Entry| list(&entry.q850.iter().map(u8::to_string).collect::<Vec<_>>(), "or");
        says.push(format!("A Q.850 cause beside {} is mostly {}, beside {} {}.", a.code, of(a), b.code, of(b)));
    }
    (!says.is_empty()).then(|| says.join(" "))
}

fn standing(a: &Entry, b: &Entry) -> Option<String> {
    if a.registered == b.registered {
        return None;
    }
    let of = |entry: &Entry| match entry.registered {
        Registered::Yes => "is registered with IANA",
        Registered::Deprecated => "is registered and marked as deprecated",
        Registered::Obsolete => "is in no registry: it is left from an older RFC or a draft",
        Registered::Vendor => "is one vendor's own and in no registry",
        Registered::Local => "is local and in no registry",
        Registered::Unknown => "is in no registry and not known here",
    };
    Some(format!("{} {}; {} {}.", a.code, of(a), b.code, of(b)))
}

fn which_when(entry: &Entry, gist: Option<&Gist>) -> String {
    match gist {
        _ if entry.treated_as.is_some() => {
            format!("{} belongs nowhere: a registered code with a phrase of its own says more.", entry.code)
        }
        Some(gist) if gist.used_where.is_empty() => format!("{} is never chosen: {}.", titled(entry), gist.never),
        Some(gist) => format!("{} belongs where {}.", titled(entry), gist.used_where),
        None => format!("For {} see {}.", titled(entry), entry.reference),
    }
}

fn titled(entry: &Entry) -> String {
    match entry.treated_as {
        Some(code) => format!("{} (not registered, treated as {code})", entry.code),
        None => format!("{} {}", entry.code, entry.name),
    }
}

/// The text as a sentence: a capital first and a full stop last.
fn sentence(text: &str) -> String {
    let text = text.trim();
    let mut characters = text.chars();
    let capital: String = match characters.next() {
        Some(first) if !text.starts_with("sip:") => first.to_uppercase().chain(characters).collect(),
        _ => text.to_owned(),
    };
    if capital.ends_with(['.', '?', '!']) { capital } else { format!("{capital}.") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_article_follows_how_a_word_is_spoken() {
        for (noun, phrase) in [
            ("UAS", "a UAS"),
            ("SBC", "an SBC"),
            ("proxy", "a proxy"),
            ("edge proxy", "an edge proxy"),
            ("PBX", "a PBX"),
            ("AS", "an AS"),
            ("MGCF", "an MGCF"),
            ("IMS core", "an IMS core"),
            ("STIR verifier", "a STIR verifier"),
            ("Kamailio", "Kamailio"),
            ("user agent", "a user agent"),
        ] {
            assert_eq!(with_article(noun), phrase);
        }
    }

    #[test]
    fn every_gist_completes_its_sentences() {
        for gist in gists().iter() {
            let code = gist.code;
            assert!(gist.asks.ends_with('?') && gist.asks.starts_with(char::is_uppercase), "{code}: {}", gist.asks);
            assert_ne!(gist.used_where.is_empty(), gist.never.is_empty(), "{code}: one of used_where and never");
            for text in [&gist.says, &gist.decided_by, &gist.shown_by, &gist.used_where, &gist.never] {
                assert!(!text.ends_with('.') && !text.contains("  "), "{code}: {text}");
            }
        }
        assert_eq!(gists().keys().count(), 94);
    }
}
