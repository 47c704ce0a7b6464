//! Reports and pages in other languages than English, as a user gets them.

use std::process::{Command, Output};

use sipwhy::catalogue::{Phrases, Word};
use unicode_width::UnicodeWidthStr;

const TRUNK: &str = "fixtures/trunk-congested-from-a-moment-on/capture.pcap";
const HEALTHY: &str = "fixtures/healthy-trunk-call/capture.pcap";

fn run(arguments: &[&str], locale: &[(&str, &str)]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sipwhy"));
    command.current_dir(env!("CARGO_MANIFEST_DIR")).args(arguments).env("SIPWHY_CONFIG", "");
    for name in ["LANGUAGE", "LC_ALL", "LC_MESSAGES", "LANG"] {
        command.env_remove(name);
    }
    command.envs(locale.iter().copied()).output().unwrap()
}

fn said(arguments: &[&str]) -> String {
    let output = run(arguments, &[]);
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn the_text_report_speaks_french_and_japanese_and_keeps_its_columns() {
    for (tag, words) in [
        ("fr", ["8 appels", "INCIDENT 1", "Remède", "prouvé", "trame 31", "aucune perte signalée", "en anglais"]),
        ("ja", ["呼 8 件", "障害 1", "対処", "確定", "フレーム 31", "取りこぼしの報告なし", "英語"]),
    ] {
        let text = said(&["--lang", tag, TRUNK]);
        for word in words {
            assert!(text.contains(word), "{tag}: {word} is missing in {text}");
        }
        for english in ["calls:", "FAILED", "proven", "no drops", "not seen", "more with"] {
            assert!(!text.contains(english), "{tag}: {english} in {text}");
        }
        for line in text.lines() {
            assert!(line.width() <= 80, "{tag}: {line}");
        }
        // The frames of a ladder stand at the right edge, and so does their heading.
        let rungs: Vec<&str> = text.lines().filter(|line| line.contains("►│")).collect();
        assert!(!rungs.is_empty() && rungs.iter().all(|line| line.width() == 80), "{tag}: {rungs:?}");
    }
}

#[test]
fn a_comparison_in_english_has_no_sentence_of_two_languages() {
    for tag in ["de", "es", "it", "pt", "zh-Hans"] {
        let text = said(&["compare", "404", "487", "--lang", tag]).split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(
            text.contains("with the right number or domain") || text.contains("the caller's side ended"),
            "{tag}: {text}"
        );
        assert!(!text.contains("。.") && !text.contains(".. "), "{tag}: {text}");
        let advice = text.split("After 404").nth(1).and_then(|rest| rest.split("404 shows").next()).unwrap_or_default();
        assert!(advice.contains("a new decision, not a retry"), "{tag}: {advice}");
    }
}

#[test]
fn the_locale_chooses_for_people_and_not_for_programs() {
    let french = [("LANG", "fr_FR.UTF-8")];
    let text = String::from_utf8(run(&[TRUNK], &french).stdout).unwrap();
    assert!(text.contains("8 appels"), "{text}");
    let json = String::from_utf8(run(&[TRUNK, "--format", "json"], &french).stdout).unwrap();
    assert!(!json.contains("\"language\"") && !json.contains("Le serveur"), "{json}");
    // What can only be written in ASCII is in English.
    let ascii = String::from_utf8(run(&["--ascii", TRUNK], &french).stdout).unwrap();
    assert!(ascii.contains("8 calls") && ascii.is_ascii(), "{ascii}");
}

#[test]
fn json_names_the_language_of_its_texts() {
    let json: serde_json::Value = serde_json::from_str(&said(&["--lang", "fr", TRUNK, "--format", "json"])).unwrap();
    assert_eq!(json["language"], "fr");
    let failure = &json["calls"][4]["failures"][0];
    assert!(failure["catalogue"]["description"].as_str().unwrap().starts_with("Le serveur"), "{failure}");
    let english: serde_json::Value = serde_json::from_str(&said(&[TRUNK, "--format", "json"])).unwrap();
    assert_eq!(english["language"], serde_json::Value::Null);
    for arguments in [
        ["explain", "503", "--format", "json", "--lang", "ja"].as_slice(),
        ["compare", "404", "503", "--format", "json", "--lang", "ja"].as_slice(),
    ] {
        let page: serde_json::Value = serde_json::from_str(&said(arguments)).unwrap();
        assert_eq!(page["language"], "ja", "{arguments:?}");
    }
    let stats = said(&["--lang", "fr", TRUNK, "--format", "ndjson"]);
    assert!(stats.lines().last().unwrap().contains("\"language\":\"fr\""), "{stats}");
}

#[test]
fn how_it_looks_may_stand_before_the_command_too() {
    let page = said(&["explain", "503", "--lang", "fr", "--width", "60"]);
    assert!(page.contains("Comment"), "{page}");
    assert_eq!(said(&["--lang", "fr", "--width=60", "explain", "503"]), page);
    // What follows is a file all the same where it is no command, and so it is behind `--`.
    for files in [["--lang", "fr", "explains"].as_slice(), &["--lang", "fr", "--", "explain"]] {
        assert_eq!(run(files, &[]).status.code(), Some(3), "{files:?}");
    }
}

#[test]
fn an_unknown_language_is_told_with_those_there_are() {
    let output = run(&["--lang", "tlh", TRUNK], &[]);
    let error = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{error}");
    assert!(error.contains("tlh") && error.contains("fr, hi, id, it, ja") && error.contains("zh-Hans"), "{error}");
}

#[test]
fn the_page_the_ticket_and_markdown_speak_it_too() {
    let html = said(&["--lang", "ja", TRUNK, "--format", "html"]);
    assert!(
        html.contains("<html lang=\"ja\">") && html.contains("キャプチャの品質") && html.contains("結果"),
        "{html}"
    );
    for english in ["How good", "What to do", "Nothing failed", ">outcome<", "Where this comes from"] {
        assert!(!html.contains(english), "{english}");
    }
    let ticket = said(&["--lang", "fr", "--ticket", TRUNK]);
    assert!(ticket.contains("Résumé") && ticket.contains("Pourquoi 198.51.100.10:5060 a-t-il"), "{ticket}");
    let markdown = said(&["--lang", "fr", TRUNK, "--format", "md"]);
    assert!(markdown.contains("| appels | aboutis |") && markdown.contains("règle `trunk-congested`"), "{markdown}");
    let calm = said(&["--lang", "ja", HEALTHY]);
    assert!(calm.contains("失敗した呼、登録、その他のリクエストはありません。"), "{calm}");
}

#[test]
fn a_language_that_has_no_words_of_reports_leaves_the_page_in_english() {
    let html = said(&["--lang", "ar", TRUNK, "--format", "html"]);
    assert!(html.contains("<html lang=\"en\">") && html.contains("Incidents"), "the page has one direction");
    let page = said(&["explain", "503", "--format", "html", "--lang", "ar"]);
    assert!(page.contains("lang=\"ar\" dir=\"rtl\"") && page.contains("الوصف"), "{page}");
}

/// What stands between the places of a fixed word in English, as far as it is more than a sign, and is not said so in
/// this language too.
fn english_of(prefixes: &[&str], tag: &str) -> Vec<&'static str> {
    let (english, own) = (Phrases::english(), Phrases::of(tag).unwrap());
    let words = Word::ALL.iter().filter(|word| prefixes.iter().any(|prefix| word.key().starts_with(prefix)));
    let texts = words.map(|word| (english.word(*word), own.word(*word))).filter(|(english, own)| english != own);
    let pieces = texts
        .flat_map(|(text, _)| text.split('{').map(|piece| piece.split_once('}').map_or(piece, |(_, after)| after)));
    pieces.map(str::trim).filter(|piece| piece.chars().filter(|letter| letter.is_alphabetic()).count() > 3).collect()
}

#[test]
fn french_and_japanese_lack_no_word_and_the_large_languages_no_word_of_reports() {
    let codes = sipwhy::catalogue::Catalogue::new().codes();
    for tag in ["fr", "ja"] {
        let missing = Phrases::of(tag).unwrap().missing(&codes);
        let lacks = [missing.words, missing.phrases, missing.classes, missing.senders, missing.entries, missing.gists];
        assert_eq!((lacks, missing.decisions, missing.causes), ([0; 6], 0, 0), "{tag}");
    }
    for tag in ["de", "es", "it", "pt", "zh-Hans"] {
        let missing = Phrases::of(tag).unwrap().missing(&[]);
        assert_eq!((missing.words, missing.phrases, missing.classes), (0, 0, 0), "{tag}");
    }
    for tag in Phrases::tags() {
        assert_eq!(Phrases::of(tag).unwrap().missing(&[]).classes, 0, "{tag}");
    }
}

#[test]
fn figures_speak_it_and_keep_their_columns() {
    for (tag, heading, end) in [("fr", "Taux selon la RFC 6076", "établies"), ("ja", "RFC 6076 の比率", "確立")] {
        let text = said(&["stats", "--lang", tag, TRUNK]);
        assert!(text.contains(heading) && text.contains(end), "{tag}: {text}");
        let svg = said(&["stats", "--lang", tag, TRUNK, "--format", "svg"]);
        for english in english_of(&["stats-"], tag) {
            assert!(!text.contains(english) && !svg.contains(english), "{tag}: {english} in {text} or {svg}");
        }
        for line in text.lines().skip(1) {
            assert!(line.width() <= 80, "{tag}: {line}");
        }
        // Bars begin beneath one another, however wide the letters are.
        let bars: Vec<usize> = text.lines().filter_map(|line| Some(line.split_once('█')?.0.width())).collect();
        assert!(bars.len() >= 4 && bars.iter().all(|column| *column == bars[0]), "{tag}: {bars:?}");
    }
    let french = String::from_utf8(run(&["stats", TRUNK], &[("LANG", "fr_FR.UTF-8")]).stdout).unwrap();
    assert!(french.contains("Taux selon la RFC 6076"), "{french}");
    let json = said(&["stats", TRUNK, "--lang", "fr", "--format", "json"]);
    assert_eq!(json, said(&["stats", TRUNK, "--format", "json"]), "figures for programs hold no words");
}

#[test]
fn a_run_that_is_followed_speaks_it() {
    for (tag, answered, again) in [
        ("fr", "abouti après 2.000 s", "idem (4 en 15 s)"),
        ("ja", "応答あり（2.000 s 後）", "同じ原因（15 s で 4 件）"),
    ] {
        let text = said(&["--follow", TRUNK, "-c", "45", "--lang", tag]);
        assert!(text.contains(answered) && text.contains(again), "{tag}: {text}");
        let lines: String = text.lines().take_while(|line| !line.starts_with("fixtures/")).collect();
        assert!(lines.contains('✖') && lines.contains('✔'), "{tag}: {lines}");
        for english in english_of(&["live-", "ended-", "outcome-", "sum-"], tag) {
            assert!(!lines.contains(english), "{tag}: {english} in {lines}");
        }
    }
}

#[test]
fn lists_of_codes_and_pages_have_their_headings_in_it() {
    let markdown = said(&["codes", "--lang", "fr", "--format", "md", "--class", "4xx"]);
    assert!(markdown.starts_with("| Code | Nom | Référence | Statut |\n"), "{markdown}");
    assert!(markdown.contains("abandonné") && !markdown.contains("obsolete"), "{markdown}");
    let html = said(&["codes", "--lang", "ja", "--format", "html", "--class", "4xx"]);
    assert!(html.contains("<th scope=\"col\">名称</th>") && html.contains("廃止"), "{html}");
    let arabic = said(&["codes", "--lang", "ar", "--format", "html", "--class", "4xx"]);
    assert!(arabic.contains("lang=\"ar\" dir=\"rtl\"") && arabic.contains("المرجع"), "{arabic}");
    let text = said(&["codes", "--lang", "ja", "--class", "4xx"]);
    assert!(text.contains("（廃止）") || text.contains("(廃止)"), "{text}");
    for (subject, title) in [
        ("q850-34", "Cause Q.850 34"),
        ("tls-48", "Alerte TLS 48"),
        ("freeswitch-806", "pas un code de réponse SIP"),
        ("trunk-congested", "Voir aussi"),
    ] {
        let page = said(&["explain", subject, "--lang", "fr"]);
        assert!(page.contains(title) && page.contains("Cette partie est en anglais."), "{subject}: {page}");
    }
    let rule = said(&["explain", "trunk-congested", "--lang", "ja"]);
    for english in english_of(&["rule-", "see-also"], "ja") {
        assert!(!rule.contains(english), "{english} in {rule}");
    }
}

#[test]
fn questions_and_their_causes_speak_it() {
    let french = said(&["decide", TRUNK, "--lang", "fr"]);
    for word in ["Un appel échoue avant toute sonnerie", "Quelle est la réponse finale à l'INVITE", "plus de canal"]
    {
        assert!(french.contains(word), "{word}: {french}");
    }
    let japanese = said(&["decide", "one-way-audio", "--lang", "ja"]);
    for english in ["Which RTP", "Why does", "One direction", "Capture at"] {
        assert!(!japanese.contains(english), "{english}: {japanese}");
    }
    let json: serde_json::Value =
        serde_json::from_str(&said(&["decide", TRUNK, "--lang", "fr", "--format", "json"])).unwrap();
    assert_eq!(json["language"], "fr");
    // The locale does not reach what programs read.
    let locale = [("LANG", "fr_FR.UTF-8")];
    let json = String::from_utf8(run(&["decide", TRUNK, "--format", "json"], &locale).stdout).unwrap();
    assert!(!json.contains("\"language\"") && json.contains("What is the final answer to the INVITE?"), "{json}");
    // Who has no questions of his own is told that they are in English.
    let german = said(&["decide", "one-way-audio", "--lang", "de"]);
    assert!(german.contains("Dieser Teil ist auf Englisch.") && german.contains("Which RTP"), "{german}");
}

#[test]
fn causes_of_a_code_speak_it() {
    let french = said(&["explain", "503", "--lang", "fr"]);
    assert!(
        french.contains("Le trunk n'a plus de canal libre") && !french.contains("The trunk has no free"),
        "{french}"
    );
    let japanese = said(&["explain", "503", "--lang", "ja"]);
    assert!(japanese.contains("トランクに空きチャネルがない") && japanese.contains("max_sessions"), "{japanese}");
    let german = said(&["explain", "503", "--lang", "de"]);
    assert!(german.contains("The trunk has no free channel") && german.contains("auf Englisch"), "{german}");
}

#[test]
fn what_programs_read_stays_in_english() {
    for format in ["csv", "junit"] {
        let english = said(&[TRUNK, "--format", format]);
        assert_eq!(said(&[TRUNK, "--format", format, "--lang", "ja"]), english, "{format}");
    }
}
