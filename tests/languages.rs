//! Reports and pages in other languages than English, as a user gets them.

use std::process::{Command, Output};

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
