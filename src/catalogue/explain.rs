//! From a number or a name to the page that explains it.
//!
//! Knows what the pages of `explain` hold and in which order. Is given a word of the command line; gives a
//! [`Subject`], which serialises for programs and makes a [`Page`] for people. Deliberately does not know how a page
//! is printed, nor the rules of the diagnosis, which make pages of their own.

use serde::Serialize;

use super::citation::citations;
use super::entry::{Class, Entry};
use super::entry_words;
use super::language::{Phrase, Phrases};
use super::page::{Block, Fact, Item, Page, Section};
use super::tables::{self, FreeSwitchCause, Q850Cause, ReasonProtocol, TlsAlert, WarningCode};
use super::term::{self, Term};
use super::word::Word;
use super::{Catalogue, ReasonLocation};

/// What a page of `explain` is about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "subject", rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Subject {
    /// A status code.
    Status {
        /// Its class.
        class: Class,
        /// Its entry.
        #[serde(flatten)]
        entry: Box<Entry>,
    },
    /// A cause of Q.850.
    Q850(Q850Cause),
    /// A code of the Warning header.
    Warning(WarningCode),
    /// A protocol of the Reason header, with the locations of RFC 8606.
    Reason(ReasonProtocol),
    /// An alert of TLS.
    TlsAlert(TlsAlert),
    /// A private cause of FreeSWITCH.
    FreeSwitch(FreeSwitchCause),
    /// A word of SIP, or a vendor's code.
    Term(Term),
}

/// Finds what `word` names.
pub(super) fn subject(catalogue: &Catalogue, word: &str) -> Option<Subject> {
    if is_number(word) {
        let code = word.parse().ok()?;
        let entry = Box::new(catalogue.entry(code)?.into_owned());
        return Some(Subject::Status { class: entry.class(), entry });
    }
    if let Some(term) = term::term(word) {
        return Some(Subject::Term(term));
    }
    let (table, row) = word.split_once('-')?;
    let number = || row.parse::<u16>().ok().filter(|_| is_number(row));
    let byte = || row.parse::<u8>().ok().filter(|_| is_number(row));
    match table.to_ascii_lowercase().as_str() {
        "q850" | "q.850" => Some(Subject::Q850(tables::q850(byte()?)?.clone())),
        "warning" => Some(Subject::Warning(tables::warning(number()?)?.clone())),
        "reason" => Some(Subject::Reason(tables::reason_protocol(row)?.clone())),
        "tls" => Some(Subject::TlsAlert(tables::tls_alert(byte()?)?.clone())),
        "freeswitch" => Some(Subject::FreeSwitch(tables::freeswitch_cause(number()?)?.clone())),
        _ => None,
    }
}

/// True for digits alone, without a sign or a needless zero.
fn is_number(word: &str) -> bool {
    word.bytes().all(|byte| byte.is_ascii_digit()) && (word == "0" || !word.starts_with('0')) && !word.is_empty()
}

impl Subject {
    /// The page for a person, in the words of `catalogue`.
    pub fn page(&self, catalogue: &Catalogue) -> Page {
        let phrases = catalogue.phrases();
        let mut page = match self {
            Subject::Status { entry, .. } => status_page(entry, catalogue),
            Subject::Q850(cause) => q850_page(cause, catalogue),
            Subject::Warning(warning) => warning_page(warning, phrases),
            Subject::Reason(protocol) => reason_page(protocol, phrases),
            Subject::TlsAlert(alert) => tls_page(alert, phrases),
            Subject::FreeSwitch(cause) => freeswitch_page(cause, catalogue),
            Subject::Term(term) => term.page(catalogue),
        };
        page.language = phrases.tag().to_owned();
        page.direction = phrases.direction();
        if !phrases.is_english() && self.language(phrases).is_none() {
            let note = Section { heading: String::new(), blocks: vec![phrases.word(Word::EnglishHere).into()] };
            page.sections.insert(0, note);
        }
        page
    }

    /// The language of its texts if that is not English: only entries of status codes are translated.
    pub fn language(&self, phrases: &Phrases) -> Option<&'static str> {
        let Subject::Status { entry, .. } = self else { return None };
        let code = entry.treated_as.unwrap_or(entry.code);
        phrases.translation(code).and(phrases.other_tag())
    }
}

fn status_page(entry: &Entry, catalogue: &Catalogue) -> Page {
    let phrases = catalogue.phrases();
    let subtitle = format!("{} · {}", phrases.class(entry.class()), entry.reference);
    Page::new(format!("{} {}", entry.code, entry.name), subtitle)
        .section("", vec![Block::Facts(at_a_glance(entry, phrases))])
        .section(phrases.say(Phrase::Description), vec![entry.description.as_str().into()])
        .section(phrases.say(Phrase::When), vec![entry.when.as_str().into()])
        .section(phrases.say(Phrase::Fix), vec![entry.fix.as_str().into()])
        .section(phrases.say(Phrase::Causes), in_words(Block::Numbered(causes(entry, phrases)), entry, phrases))
        .section(phrases.say(Phrase::LookAt), in_words(Block::Bullets(look_at(entry)), entry, phrases))
        .section(
            phrases.say(Phrase::ConfusedWith),
            in_words(Block::Bullets(confused_with(entry, catalogue)), entry, phrases),
        )
        .section(phrases.say(Phrase::Rules), vec![Block::Bullets(rules(entry))])
        .section(phrases.say(Phrase::LearnMore), vec![Block::Bullets(learn_more(entry))])
}

/// Causes, headers and codes it is taken for, which some languages have. Where one has only the rest of the entry, a
/// note says that these are in English.
fn in_words(block: Block, entry: &Entry, phrases: &Phrases) -> Vec<Block> {
    let is_foreign = phrases.translation(entry.code).is_some() && !entry_words::has(phrases, entry.code);
    match is_foreign && !block.is_empty() {
        true => vec![phrases.word(Word::EnglishHere).into(), block],
        false => vec![block],
    }
}

/// Whether it is a fault, and whose, before anything else.
fn at_a_glance(entry: &Entry, phrases: &Phrases) -> Vec<Fact> {
    let mut facts = vec![Fact::new(phrases.say(Phrase::Fault), phrases.kind(entry.kind))];
    if !entry.normal_when.is_empty() {
        facts.push(Fact::new(phrases.say(Phrase::Normal), &entry.normal_when));
    }
    if let Some(retry) = phrases.retry(entry.retry) {
        let note = entry.retry_note.as_str();
        // Nothing stands between two sentences in Japanese.
        let gap = if note.is_empty() || retry.ends_with('。') { "" } else { " " };
        let text = format!("{retry}{gap}{note}");
        facts.push(Fact::new(phrases.say(Phrase::Retry), text));
    }
    facts.push(Fact::new(phrases.say(Phrase::SentBy), phrases.senders(entry)));
    if let Some(standing) = phrases.standing(entry.registered) {
        facts.push(Fact::new(phrases.say(Phrase::Standing), standing));
    }
    let causes: Vec<String> = entry
        .q850
        .iter()
        .filter_map(|cause| tables::q850(*cause))
        .map(|cause| format!("{} {}", cause.cause, cause.name))
        .collect();
    if !causes.is_empty() {
        facts.push(Fact::new(phrases.say(Phrase::BesideIt), causes.join("; ")));
    }
    facts
}

fn causes(entry: &Entry, phrases: &Phrases) -> Vec<Item> {
    let item = |cause: &super::Cause| {
        let places: Vec<&str> =
            cause.places.iter().map(|place| place_name(place, phrases)).filter(|place| !place.is_empty()).collect();
        let mut facts = vec![
            Fact::new(phrases.say(Phrase::Shown), &cause.evidence),
            Fact::new(phrases.say(Phrase::Check), &cause.check),
        ];
        facts.extend(platforms(&cause.platform, phrases.word(Word::Platforms)));
        facts.push(Fact::new(phrases.say(Phrase::Rule), &cause.rule));
        Item::new(places.join(phrases.word(Word::Comma)), &cause.cause).with(facts)
    };
    entry.causes.iter().map(item).collect()
}

/// The name of a place as people write it; `any` says nothing and is left out.
fn place_name<'a>(place: &'a str, phrases: &Phrases) -> &'a str {
    match place {
        "any" => "",
        "pbx" => "PBX",
        "sbc" => "SBC",
        "webrtc" => "WebRTC",
        "ims" => "IMS",
        "trunk" => phrases.word(Word::PlaceTrunk),
        other => phrases.sender(other).unwrap_or(other),
    }
}

/// The most letters in the name of a platform; a colon further on belongs to the sentence.
const LONGEST_NAME: usize = 40;

/// Cuts `Asterisk: …; Kamailio and OpenSIPS: …` into one fact for each platform.
fn platforms(text: &str, unnamed: &str) -> Vec<Fact> {
    let mut facts: Vec<Fact> = Vec::new();
    for piece in text.trim_end_matches('.').split("; ").filter(|piece| !piece.is_empty()) {
        let named = piece
            .split_once(": ")
            .filter(|(name, _)| name.chars().count() <= LONGEST_NAME && !name.contains([',', '"', '(']));
        match (named, facts.last_mut()) {
            (Some((name, text)), _) => facts.push(Fact::new(name, text)),
            (None, Some(last)) => last.text.extend(["; ", piece]),
            (None, None) => facts.push(Fact::new(unnamed, piece)),
        }
    }
    facts
}

fn look_at(entry: &Entry) -> Vec<Item> {
    entry.look_at.iter().map(|look_at| Item::new(&look_at.header, &look_at.why)).collect()
}

fn confused_with(entry: &Entry, catalogue: &Catalogue) -> Vec<Item> {
    let item = |confused: &super::ConfusedWith| {
        let name = catalogue.entry(confused.code).map(|other| other.name.clone()).unwrap_or_default();
        let facts = vec![Fact::new(catalogue.phrases().say(Phrase::InCapture), &confused.capture)];
        Item::new(format!("{} {name}", confused.code), &confused.difference).with(facts)
    };
    entry.confused_with.iter().map(item).collect()
}

fn rules(entry: &Entry) -> Vec<Item> {
    entry.rules().into_iter().map(|rule| Item::new(rule, "")).collect()
}

/// Documents, and what else the catalogue says of the code.
fn learn_more(entry: &Entry) -> Vec<Item> {
    let mut items = references(entry);
    items.extend(term::with_code(entry.code).map(|term| Item::new(&term.key, &term.name)));
    items
}

fn references(entry: &Entry) -> Vec<Item> {
    let texts = std::iter::once(entry.reference.as_str()).chain(entry.also.iter().map(String::as_str));
    let mut items: Vec<Item> = Vec::new();
    for text in texts {
        let cited = citations(text);
        if cited.is_empty() {
            items.push(Item::new("", text));
        }
        for citation in cited {
            let item = match citation.section.as_str() {
                "" => Item::new(citation.doc, ""),
                section => {
                    let title = tables::rfc_title(&citation.doc, section).unwrap_or_default();
                    Item::new(format!("{} §{section}", citation.doc), title)
                }
            };
            if !items.contains(&item) {
                items.push(item);
            }
        }
    }
    items
}

fn q850_page(cause: &Q850Cause, catalogue: &Catalogue) -> Page {
    let phrases = catalogue.phrases();
    let names = cause.names.join(", ");
    let subtitle = format!("Q.850 · {}", cause.group);
    let mut facts = vec![Fact::new("Reason", format!("Q.850;cause={}", cause.cause))];
    if !names.is_empty() {
        facts.push(Fact::new(phrases.word(Word::InLogs), names));
    }
    let mapped = [
        ("RFC 3398 §7.2.4.1", &cause.rfc3398),
        ("Asterisk", &cause.asterisk),
        ("FreeSWITCH", &cause.freeswitch),
        ("AudioCodes", &cause.audiocodes),
        ("Ribbon", &cause.ribbon),
    ];
    let mapped = mapped.into_iter().filter(|(_, codes)| !codes.is_empty());
    let codes = mapped.map(|(who, codes)| Fact::new(who, named(codes, catalogue))).collect();
    let title = phrases.fill(Word::Q850Title, &[("cause", &cause.cause), ("name", &cause.name)]);
    Page::new(title, subtitle)
        .section("", vec![Block::Facts(facts)])
        .section(phrases.say(Phrase::Description), vec![cause.meaning.as_str().into()])
        .section(phrases.say(Phrase::Fix), vec![cause.fix.as_str().into()])
        .section(phrases.say(Phrase::StatusCodes), vec![Block::Facts(codes)])
        .section(phrases.say(Phrase::LearnMore), vec![Block::Bullets(beside(cause.cause, catalogue))])
}

/// Codes whose entries name the cause, and terms.
fn beside(cause: u8, catalogue: &Catalogue) -> Vec<Item> {
    let codes = catalogue.entries(None).into_iter().filter(|entry| entry.q850.contains(&cause));
    let codes = codes.map(|entry| Item::new(entry.code.to_string(), entry.name));
    let terms = term::terms().iter().filter(|term| term.q850.contains(&cause));
    codes.chain(terms.map(|term| Item::new(&term.key, &term.name))).collect()
}

/// `503 Service Unavailable or 480 Temporarily Unavailable`.
fn named(codes: &[u16], catalogue: &Catalogue) -> String {
    let name = |code: &u16| match catalogue.entry(*code) {
        Some(entry) => format!("{code} {}", entry.name),
        None => code.to_string(),
    };
    codes.iter().map(name).collect::<Vec<_>>().join(catalogue.phrases().word(Word::Or))
}

fn warning_page(warning: &WarningCode, phrases: &Phrases) -> Page {
    Page::new(format!("Warning {} {}", warning.code, warning.name), format!("Warning · {}", warning.reference))
        .section(phrases.say(Phrase::Description), vec![warning.meaning.as_str().into()])
        .section(
            phrases.say(Phrase::InCapture),
            vec![phrases.fill(Word::LookAtSentence, &[("what", &warning.look_at)]).into()],
        )
        .section(phrases.say(Phrase::Fix), vec![warning.fix.as_str().into()])
        .section(phrases.say(Phrase::Rules), vec![Block::Bullets(bare(&warning.rules))])
}

fn reason_page(protocol: &ReasonProtocol, phrases: &Phrases) -> Page {
    let standing = match protocol.registered.as_str() {
        "yes" => phrases.word(Word::RegisteredWithIana),
        _ => phrases.say(Phrase::StandingVendor),
    };
    let facts = vec![Fact::new("cause=", &protocol.causes), Fact::new(phrases.say(Phrase::Standing), standing)];
    let location = |row: &ReasonLocation| Item::new(&row.location, format!("{}. {}", row.name, row.meaning));
    let locations = match protocol.protocol.as_str() {
        "Q.850" => tables::reason_locations().iter().map(location).collect(),
        _ => Vec::new(),
    };
    Page::new(format!("Reason: {}", protocol.protocol), format!("Reason · {}", protocol.reference))
        .section("", vec![Block::Facts(facts)])
        .section(phrases.say(Phrase::Description), vec![protocol.meaning.as_str().into()])
        .section(phrases.say(Phrase::Fix), vec![protocol.fix.as_str().into()])
        .section("location= (RFC 8606)", vec![Block::Bullets(locations)])
        .section(phrases.say(Phrase::Rules), vec![Block::Bullets(bare(&protocol.rules))])
}

/// Names, a line for each.
fn bare(names: &[String]) -> Vec<Item> {
    names.iter().map(|name| Item::new(name, "")).collect()
}

fn tls_page(alert: &TlsAlert, phrases: &Phrases) -> Page {
    let title = phrases.fill(Word::TlsTitle, &[("number", &alert.number), ("name", &alert.name)]);
    Page::new(title, format!("TLS · {}", alert.reference))
        .section(phrases.say(Phrase::Description), vec![alert.meaning.as_str().into()])
        .section(phrases.say(Phrase::Fix), vec![alert.fix.as_str().into()])
        .section(phrases.say(Phrase::Rules), vec![Block::Bullets(vec![Item::new(term::TLS_RULE, "")])])
}

fn freeswitch_page(cause: &FreeSwitchCause, catalogue: &Catalogue) -> Page {
    let phrases = catalogue.phrases();
    let mut facts = vec![Fact::new("Reason", format!("SIP;cause={};text=\"{}\"", cause.cause, cause.name))];
    if let Some(code) = cause.sip {
        facts.push(Fact::new(phrases.say(Phrase::StatusCodes), named(&[code], catalogue)));
    }
    let title = phrases.fill(Word::FreeSwitchTitle, &[("cause", &cause.cause), ("name", &cause.name)]);
    Page::new(title, format!("FreeSWITCH · {}", phrases.word(Word::NoStatusCode)))
        .section("", vec![Block::Facts(facts)])
        .section(phrases.say(Phrase::Description), vec![cause.meaning.as_str().into()])
        .section(phrases.say(Phrase::Fix), vec![cause.fix.as_str().into()])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn platform_words_are_cut_at_their_names() {
        let pairs = |text: &str| -> Vec<(String, String)> {
            platforms(text, "Platforms").into_iter().map(|fact| (fact.label, fact.text)).collect()
        };
        let expected = |pairs: &[(&str, &str)]| -> Vec<(String, String)> {
            pairs.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect()
        };
        assert_eq!(
            pairs("Asterisk: max_contacts=1; qualify; Kamailio and OpenSIPS: t_check. x; FreeSWITCH: \"a: b\"."),
            expected(&[
                ("Asterisk", "max_contacts=1; qualify"),
                ("Kamailio and OpenSIPS", "t_check. x"),
                ("FreeSWITCH", "\"a: b\"")
            ])
        );
        assert_eq!(pairs("set x in Asterisk"), expected(&[("Platforms", "set x in Asterisk")]));
        assert_eq!(pairs(""), expected(&[]));
    }

    #[test]
    fn a_word_names_its_subject() {
        let catalogue = Catalogue::new();
        for word in [
            "503",
            "1408",
            "q850-0",
            "q850-34",
            "Q.850-34",
            "warning-304",
            "reason-stir",
            "tls-48",
            "freeswitch-806",
            "teams-560403",
            "telnyx-d1",
            "early-media",
        ] {
            let subject = catalogue.subject(word).unwrap_or_else(|| panic!("{word} names nothing"));
            let page = subject.page(&catalogue);
            assert!(page.sections.len() >= 2 && !page.title.is_empty(), "{word}: {page:?}");
        }
        for word in [
            "",
            "-",
            "q850-",
            "q850-200",
            "q850-300",
            "warning-1",
            "reason-x",
            "099",
            "1",
            "700",
            "tls-1",
            "teams-560099",
            "teams-560",
            "0503",
            "+503",
            "q850-034",
        ] {
            assert_eq!(catalogue.subject(word), None, "{word}");
        }
    }
}
