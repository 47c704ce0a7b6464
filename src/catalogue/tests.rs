//! What the catalogue has to keep: complete, sorted, nothing empty, every reference good, every pair comparable.

use std::collections::{BTreeMap, BTreeSet};

use super::citation::citations;
use super::comparison::{by_hand, pairs};
use super::*;

/// The codes registered with IANA (SIP Response Codes, 2026-07).
const REGISTERED: [u16; 75] = [
    100, 180, 181, 182, 183, 199, 200, 202, 204, 300, 301, 302, 305, 380, 400, 401, 402, 403, 404, 405, 406, 407, 408,
    410, 412, 413, 414, 415, 416, 417, 420, 421, 422, 423, 424, 425, 428, 429, 430, 433, 436, 437, 438, 439, 440, 469,
    470, 480, 481, 482, 483, 484, 485, 486, 487, 488, 489, 491, 493, 494, 500, 501, 502, 503, 504, 505, 513, 555, 580,
    600, 603, 604, 606, 607, 608,
];

/// The codes that are in no registry and are met all the same.
const OTHERS: [u16; 19] =
    [409, 411, 473, 474, 475, 476, 477, 478, 479, 490, 510, 514, 520, 687, 701, 702, 703, 900, 1408];

fn entries() -> Vec<Entry> {
    Catalogue::new().entries(None)
}

/// Every text of an entry that a person reads, with the name of its field.
fn texts(entry: &Entry) -> Vec<(&'static str, &str)> {
    let mut texts = vec![
        ("name", entry.name.as_str()),
        ("reference", &entry.reference),
        ("description", &entry.description),
        ("when", &entry.when),
        ("fix", &entry.fix),
    ];
    texts.extend(entry.also.iter().map(|text| ("also", text.as_str())));
    texts.extend(entry.sent_by.iter().map(|text| ("sent_by", text.as_str())));
    for cause in &entry.causes {
        texts.extend(cause.places.iter().map(|text| ("where", text.as_str())));
        texts.extend([("cause", &*cause.cause), ("evidence", &cause.evidence), ("check", &cause.check)]);
    }
    for look_at in &entry.look_at {
        texts.extend([("header", &*look_at.header), ("why", &look_at.why)]);
    }
    for confused in &entry.confused_with {
        texts.extend([("difference", &*confused.difference), ("capture", &confused.capture)]);
    }
    texts
}

#[test]
fn every_code_is_there_and_no_other() {
    let expected: BTreeSet<u16> = REGISTERED.into_iter().chain(OTHERS).collect();
    let codes = Catalogue::new().codes();
    let listed: BTreeSet<u16> = codes.iter().copied().collect();
    assert_eq!(expected.difference(&listed).collect::<Vec<_>>(), Vec::<&u16>::new(), "missing");
    assert_eq!(listed.difference(&expected).collect::<Vec<_>>(), Vec::<&u16>::new(), "not expected");
    for entry in entries() {
        let registered = matches!(entry.registered, Registered::Yes | Registered::Deprecated);
        assert_eq!(registered, REGISTERED.contains(&entry.code), "{}", entry.code);
    }
}

#[test]
fn files_are_sorted_and_hold_their_class() {
    for (file, class) in STATUS_CODES.iter().zip(Class::ALL.into_iter().chain([Class::Local])) {
        let codes: Vec<u16> = whole(file).iter().map(|entry| entry.code).collect();
        assert!(codes.windows(2).all(|pair| pair[0] < pair[1]), "{codes:?}");
        assert!(codes.iter().all(|code| Class::of(*code) == class), "{codes:?}");
    }
}

#[test]
fn a_piece_of_a_file_says_the_same_as_the_whole() {
    for entry in STATUS_CODES.iter().flat_map(|file| whole(file)) {
        assert_eq!(Some(&entry), built_in(entry.code), "{}", entry.code);
    }
    assert_eq!(STATUS_CODES.iter().map(|file| whole(file).len()).sum::<usize>(), status_codes().keys().count());
}

/// The entries of a file, parsed in one go.
fn whole(file: &str) -> Vec<Entry> {
    let mut tables: BTreeMap<String, Vec<Entry>> = toml::from_str(file).expect("a file of the catalogue");
    assert_eq!(tables.len(), 1);
    tables.remove("status").expect("a list of status codes")
}

#[test]
fn no_field_is_empty_and_texts_have_a_sensible_length() {
    for entry in entries() {
        let code = entry.code;
        for (field, text) in texts(&entry) {
            assert!(!text.trim().is_empty() && text.trim() == text, "{code}: {field} is empty or has blanks: {text:?}");
            assert!(!text.contains("  ") && !text.contains('\n'), "{code}: {field}: {text:?}");
            assert_eq!(doubled_word(text), None, "{code}: {field}: {text}");
        }
        for (field, text, range) in [
            ("description", &entry.description, 60..=600),
            ("when", &entry.when, 60..=700),
            ("fix", &entry.fix, 40..=900),
        ] {
            let length = text.chars().count();
            assert!(range.contains(&length), "{code}: {field} has {length} characters");
            assert!(text.ends_with('.'), "{code}: {field} is no sentence: {text}");
        }
        assert!(!entry.sent_by.is_empty(), "{code}: sent_by");
        assert!(!entry.causes.is_empty() && entry.causes.len() <= 8, "{code}: {} causes", entry.causes.len());
        assert!(entry.q850.iter().all(|cause| q850(*cause).is_some()), "{code}: {:?}", entry.q850);
        for place in entry.causes.iter().flat_map(|cause| &cause.places) {
            let known = ["any", "pbx", "trunk", "registrar", "sbc", "proxy", "gateway", "webrtc", "ims"];
            assert!(known.contains(&place.as_str()), "{code}: unknown place {place}");
        }
    }
}

#[test]
fn every_confused_code_resolves() {
    let catalogue = Catalogue::new();
    for entry in entries() {
        for confused in &entry.confused_with {
            assert!(catalogue.listed(confused.code).is_some(), "{}: there is no {}", entry.code, confused.code);
            assert_ne!(confused.code, entry.code);
        }
    }
}

#[test]
fn every_rfc_section_that_is_cited_exists() {
    let table: BTreeSet<(&str, &str)> =
        rfc_sections().iter().map(|row| (row.doc.as_str(), row.section.as_str())).collect();
    assert_eq!(table.len(), rfc_sections().len(), "a section stands in the table twice");
    let mut missing = BTreeMap::new();
    for (file, text) in DATA {
        for citation in citations(text) {
            if !citation.section.is_empty() && !table.contains(&(citation.doc.as_str(), citation.section.as_str())) {
                missing.insert((citation.doc, citation.section), file);
            }
        }
    }
    assert_eq!(missing, BTreeMap::new());
}

#[test]
fn the_table_of_sections_is_sorted() {
    let key = |row: &RfcSection| -> (u32, Vec<u32>) {
        let number = |text: &str| text.parse().unwrap_or(u32::MAX);
        (number(&row.doc[4..]), row.section.split('.').map(number).collect())
    };
    assert!(rfc_sections().is_sorted_by_key(key));
    assert!(rfc_sections().iter().all(|row| row.doc.starts_with("RFC ") && !row.title.is_empty()));
}

/// Every file of `data/` that cites RFCs.
const DATA: [(&str, &str); 12] = [
    ("1xx", STATUS_CODES[0]),
    ("2xx", STATUS_CODES[1]),
    ("3xx", STATUS_CODES[2]),
    ("4xx", STATUS_CODES[3]),
    ("5xx", STATUS_CODES[4]),
    ("6xx", STATUS_CODES[5]),
    ("local", STATUS_CODES[6]),
    ("q850-causes", include_str!("../../data/q850-causes.toml")),
    ("warning-codes", include_str!("../../data/warning-codes.toml")),
    ("reason-protocols", include_str!("../../data/reason-protocols.toml")),
    ("tls-alerts", include_str!("../../data/tls-alerts.toml")),
    ("comparisons", include_str!("../../data/comparisons.toml")),
];

#[test]
fn an_unknown_code_falls_back_to_its_class() {
    let catalogue = Catalogue::new();
    for (code, treated_as) in [(150, 183), (299, 200), (399, 300), (499, 400), (550, 500), (699, 600)] {
        let entry = catalogue.entry(code).expect("every code from 100 to 699 has an entry");
        assert_eq!((entry.code, entry.treated_as), (code, Some(treated_as)));
        assert_eq!(entry.registered, Registered::Unknown);
        assert!(entry.description.contains("not registered"), "{}", entry.description);
        assert_eq!(catalogue.listed(code), None);
    }
    for code in [0, 99, 700, 999, u16::MAX] {
        assert_eq!(catalogue.entry(code), None, "{code}");
    }
}

#[test]
fn what_other_references_get_wrong_is_right_here() {
    // Each of these decides whether a reader goes the right way.
    let catalogue = Catalogue::new();
    let entry = |code: u16| catalogue.listed(code).expect("a listed code").into_owned();
    let all = |code: u16| format!("{:?}", entry(code));
    assert_eq!(entry(202).registered, Registered::Deprecated);
    assert!(entry(202).description.contains("deprecate") && all(202).contains("NOTIFY"));
    assert!(entry(405).look_at.iter().any(|look_at| look_at.header == "Allow"));
    assert!(entry(501).description.contains("not recogni") || entry(501).description.contains("not know"));
    assert_eq!(entry(503).retry, Retry::Elsewhere);
    assert!(entry(503).fix.contains("second server") && all(503).contains("Without Retry-After"));
    assert!(all(500).contains("CSeq") && all(500).contains("503 of the next hop"));
    assert!(all(603).contains("Asterisk") && all(603).contains("Network Blocked"));
    assert!(all(480).contains("FreeSWITCH"));
    assert!(all(403).contains("wrong password"));
    assert!(all(380).contains("VoLTE"));
    assert!(all(415).contains("488"));
    assert!(all(404).contains("domain"));
    assert_eq!(entry(487).kind, Kind::CallerCancel);
    assert_eq!(entry(608).kind, Kind::PolicyReject);
    assert_eq!(entry(401).kind, Kind::Challenge);
}

#[test]
fn an_overlay_adds_and_replaces() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("carrier.toml");
    let own = |code: u16, name: &str| {
        format!(
            "[[status]]\ncode = {code}\nname = \"{name}\"\nregistered = \"vendor\"\nreference = \"manual\"\nkind = \
             \"failure\"\nretry = \"no\"\nsent_by = [\"carrier\"]\ndescription = \"The carrier says no.\"\nwhen = \
             \"w\"\nfix = \"f\"\n"
        )
    };
    std::fs::write(&path, own(503, "No channel") + &own(499, "Own code")).expect("the file is written");
    let catalogue = Catalogue::new().with_overlay(&path).expect("a good file");
    assert_eq!(catalogue.entry(503).expect("503").name, "No channel");
    assert_eq!(catalogue.listed(499).expect("499").name, "Own code");
    assert!(catalogue.codes().contains(&499) && catalogue.codes().is_sorted());
    // What we say of our 503 does not hold for another meaning of it.
    assert!(
        compose::compose(&catalogue.entry(503).expect("503"), &catalogue.entry(200).expect("200"), &Phrases::english())
            .summary
            .len()
            > 20
    );
    let comparison = catalogue.compare(202, 503).expect("a comparison");
    assert!(!format!("{:?}", comparison.differences).contains("free channel"), "{:?}", comparison.differences);
    assert_compares_well(&comparison, 3);
}

/// The first word that stands twice in a row within a sentence, if any.
pub(super) fn doubled_word(text: &str) -> Option<String> {
    let bare = |word: &str| word.trim_matches(|letter: char| !letter.is_alphanumeric()).to_lowercase();
    let words: Vec<&str> = text.split_whitespace().collect();
    let doubled = |pair: &&[&str]| {
        !bare(pair[0]).is_empty() && !pair[0].ends_with(['.', '?', ':', ',']) && bare(pair[0]) == bare(pair[1])
    };
    words.windows(2).find(doubled).map(|pair| bare(pair[0]))
}

#[test]
fn a_doubled_word_is_found_and_a_new_sentence_is_none() {
    assert_eq!(doubled_word("You meet it when when it rains.").as_deref(), Some("when"));
    assert_eq!(doubled_word("They know it. It is forwarded."), None);
}

/// What is wrong with the form of `text`.
fn faults_of(text: &str) -> Vec<String> {
    let mut faults: Vec<String> = Vec::new();
    if !text.ends_with(['.', '?']) {
        faults.push("it is cut".to_owned());
    }
    if !text.starts_with(|first: char| first.is_uppercase() || first.is_ascii_digit()) {
        faults.push("it begins with a small letter".to_owned());
    }
    faults.extend(doubled_word(text).map(|word| format!("{word} stands twice")));
    for wrong in ["  ", "..", " .", " ,", ",,", ";.", ":.", ": .", "()", "; ;", "….", " :"] {
        if text.contains(wrong) {
            faults.push(format!("{wrong:?}"));
        }
    }
    if text.matches('(').count() != text.matches(')').count() || !text.matches('"').count().is_multiple_of(2) {
        faults.push("a bracket or quote is open".to_owned());
    }
    faults.into_iter().map(|fault| format!("{fault}: {text}")).collect()
}

/// What is wrong with a comparison, which has to name `fewest` differences.
fn faults_of_comparison(comparison: &Comparison, fewest: usize) -> Vec<String> {
    let [a, b] = &comparison.entries;
    let mut faults = Vec::new();
    if a.code >= b.code {
        faults.push("the order is wrong".to_owned());
    }
    if comparison.differences.len() < fewest {
        faults.push(format!("{} differences", comparison.differences.len()));
    }
    let mut texts = vec![&comparison.summary];
    texts.extend(comparison.differences.iter().map(|difference| &difference.says));
    texts.extend(&comparison.which_when);
    let mut seen = BTreeSet::new();
    for text in &texts {
        faults.extend(faults_of(text));
        let length = text.chars().count();
        if !(25..=900).contains(&length) {
            faults.push(format!("{length} characters: {text}"));
        }
        if !seen.insert(*text) {
            faults.push(format!("said twice: {text}"));
        }
        if text.contains(&a.description) || text.contains(&b.description) {
            faults.push(format!("repeats a description: {text}"));
        }
    }
    if comparison.summary.chars().count() > 330 {
        faults.push(format!("a long summary: {}", comparison.summary));
    }
    for (says, entry) in comparison.which_when.iter().zip([a, b]) {
        if !says.contains(&entry.code.to_string()) {
            faults.push(format!("does not name {}: {says}", entry.code));
        }
    }
    faults.into_iter().map(|fault| format!("{} and {}: {fault}", a.code, b.code)).collect()
}

fn assert_compares_well(comparison: &Comparison, fewest: usize) {
    assert_eq!(faults_of_comparison(comparison, fewest), Vec::<String>::new());
}

#[test]
fn every_pair_of_codes_compares_well() {
    let entries = entries();
    let mut pairs = 0;
    let mut faults = Vec::new();
    for (place, lower) in entries.iter().enumerate() {
        for higher in &entries[place + 1..] {
            faults.extend(faults_of_comparison(&comparison::compare(lower, higher, &Phrases::english()), 3));
            // What the entries alone give has to hold too, since it fills what a hand left out.
            faults.extend(faults_of_comparison(&compose::compose(lower, higher, &Phrases::english()), 3));
            pairs += 1;
        }
    }
    assert_eq!(pairs, 94 * 93 / 2);
    assert!(
        faults.is_empty(),
        "{} faults:
{}",
        faults.len(),
        faults[..faults.len().min(40)].join(
            "
"
        )
    );
}

#[test]
fn unknown_codes_compare_too() {
    let catalogue = Catalogue::new();
    for (one, other) in [(499, 503), (202, 299), (150, 180), (480, 699), (299, 605)] {
        let comparison = catalogue.compare(one, other).expect("two status codes");
        assert_compares_well(&comparison, 2);
        assert!(comparison.summary.contains("a client treats it as"), "{}", comparison.summary);
    }
    // Nobody can say more of these than that they are alike.
    for (one, other) in [(498, 499), (150, 151), (698, 699), (400, 499), (183, 198)] {
        assert_compares_well(&catalogue.compare(one, other).expect("two status codes"), 1);
    }
    assert_eq!(catalogue.compare(503, 503), None);
    assert_eq!(catalogue.compare(503, 777), None);
}

#[test]
fn either_order_gives_the_same_comparison() {
    let catalogue = Catalogue::new();
    for (one, other) in [(202, 503), (404, 480), (100, 699), (401, 407)] {
        assert_eq!(catalogue.compare(one, other), catalogue.compare(other, one));
    }
}

#[test]
fn pairs_treated_by_hand_are_sorted_and_compare_listed_codes() {
    let codes: Vec<[u16; 2]> = pairs().iter().map(|(codes, _)| *codes).collect();
    assert!(codes.windows(2).all(|pair| pair[0] < pair[1]), "{codes:?}");
    let catalogue = Catalogue::new();
    for pair in &codes {
        assert!(pair[0] < pair[1] && pair.iter().all(|code| catalogue.listed(*code).is_some()), "{pair:?}");
        let pair_read = by_hand(pair[0], pair[1]).expect("a pair that is listed");
        assert_eq!(pair_read.codes, *pair);
    }
    for pair in [[202, 380], [202, 500], [202, 501], [202, 503], [202, 603]] {
        let comparison = catalogue.compare(pair[0], pair[1]).expect("two status codes");
        assert!(codes.contains(&pair) && comparison.differences.len() >= 4, "{pair:?}");
    }
}

#[test]
fn the_page_of_a_comparison_says_nothing_twice() {
    let catalogue = Catalogue::new();
    for (one, other) in [(202, 503), (404, 480), (100, 182), (484, 604)] {
        let comparison = catalogue.compare(one, other).expect("two status codes");
        let page = format!("{:?}", comparison.page(catalogue.phrases()));
        for entry in &comparison.entries {
            assert_eq!(page.matches(entry.description.as_str()).count(), 1, "{}", entry.code);
        }
    }
}

#[test]
fn every_entry_has_a_page() {
    let catalogue = Catalogue::new();
    for entry in entries() {
        let page = catalogue.subject(&entry.code.to_string()).expect("a listed code").page(&catalogue);
        let headings: Vec<&str> = page.sections.iter().map(|section| section.heading.as_str()).collect();
        assert_eq!(headings[..5], ["", "Description", "When You See It", "How to Fix", "Causes"], "{}", entry.code);
    }
}

/// The failure codes that are seen most: seven languages and English have their entries.
const COMMONEST: [u16; 44] = [
    400, 401, 403, 404, 405, 406, 407, 408, 410, 413, 415, 416, 420, 421, 422, 423, 433, 480, 481, 482, 483, 484, 485,
    486, 487, 488, 489, 491, 493, 494, 500, 501, 502, 503, 504, 505, 513, 580, 600, 603, 604, 606, 607, 608,
];

#[test]
fn french_and_japanese_are_complete_and_the_others_count_what_they_lack() {
    let listed = REGISTERED.into_iter().chain(OTHERS).filter(|code| *code < 700).collect::<Vec<_>>();
    for tag in Phrases::tags() {
        let language = Phrases::of(tag).expect("a language that is there");
        let (missing, commonest) = (language.missing(&listed), language.missing(&COMMONEST).entries);
        let (expected, commonest_expected) = match tag {
            "en" | "fr" | "ja" => (0, 0),
            "de" | "es" | "it" | "pt" | "zh-Hans" => (listed.len() - COMMONEST.len(), 0),
            _ => (listed.len(), COMMONEST.len()),
        };
        assert_eq!((missing.entries, commonest, missing.classes), (expected, commonest_expected, 0), "{tag}");
        let whole = ["de", "en", "es", "fr", "it", "ja", "pt", "zh-Hans"].contains(&tag);
        assert_eq!(missing.phrases, if whole { 0 } else { 19 }, "{tag}");
    }
}

#[test]
fn a_missing_translation_falls_back_to_english() {
    let phrases = Phrases::of("th").expect("Thai is there");
    let catalogue = Catalogue::new().in_language(phrases);
    assert_eq!(catalogue.entry(503).map(|entry| entry.code), Some(503));
    let page = catalogue.subject("503").expect("503").page(&catalogue);
    assert_eq!(page.language, "th");
    assert!(page.sections.iter().any(|section| section.heading == phrases.say(Phrase::Description)));
    let english = Phrases::english().kind(Kind::Failure);
    assert!(format!("{page:?}").contains(english) && phrases.kind(Kind::Failure) == english);
    assert!(format!("{page:?}").contains(&Catalogue::new().entry(503).expect("503").description));
}
