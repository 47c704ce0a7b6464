//! What holds for every page: its width, its escapes, its shape in each format.

use super::*;
use crate::catalogue::{Direction, Phrases};

/// A page in which every text is hostile.
fn hostile() -> Page {
    let text = "a<b> & \"c\" 'd' `e` *f* [g](h) \u{1b}[31m\u{202e}x|y";
    let item = Item::new(text, text).with(vec![Fact::new(text, text)]);
    Page::new(text, text).section(
        text,
        vec![
            Block::Paragraph(text.to_owned()),
            Block::Facts(vec![Fact::new(text, text)]),
            Block::Numbered(vec![item.clone()]),
            Block::Bullets(vec![item]),
        ],
    )
}

fn page_of(word: &str, language: &str) -> Page {
    let phrases = Phrases::of(language).expect("a language that is there");
    let catalogue = Catalogue::new().in_language(phrases);
    catalogue.subject(word).expect("a subject that is there").page(&catalogue)
}

#[test]
fn no_line_is_wider_than_asked() {
    for language in ["en", "ja"] {
        for word in ["415", "q850-34", "warning-399", "reason-q.850", "tls-46", "freeswitch-821"] {
            for width in [30, 47, 80] {
                for line in text(&page_of(word, language), width).lines() {
                    assert!(line.width() <= width, "{word} at {width}: {line}");
                    assert_eq!(line, line.trim_end(), "{word}: blanks at the end of a line");
                }
            }
        }
    }
}

#[test]
fn a_word_wider_than_the_line_is_broken_and_none_is_lost() {
    let long = "x".repeat(200);
    let page = Page::new("t", "").section("h", vec![format!("before {long} after").into()]);
    let printed = text(&page, 40);
    assert!(printed.lines().all(|line| line.width() <= 40), "{printed}");
    assert_eq!(printed.matches('x').count(), 200);
    assert!(printed.contains("before") && printed.contains("after"));
}

#[test]
fn text_without_spaces_is_wrapped_between_letters() {
    let japanese = "サーバーは現在この呼を受け付けられません。過負荷、保守、または容量不足が考えられます。".repeat(3);
    let page = Page::new("t", "").section("h", vec![japanese.clone().into()]);
    let printed = text(&page, 40);
    for line in printed.lines() {
        assert!(line.width() <= 40, "{line}");
        assert!(!line.trim_start().starts_with(['。', '、', 'ー']), "{line}");
    }
    let joined: String = printed.lines().skip(3).map(str::trim_start).collect();
    assert_eq!(joined, japanese);
}

#[test]
fn html_escapes_every_text_and_balances_its_tags() {
    for page in [hostile(), page_of("415", "en"), page_of("415", "ar")] {
        let printed = html(&page);
        assert!(!printed.contains("<b>") && !printed.contains('\u{1b}') && !printed.contains('\u{202e}'), "{printed}");
        for tag in ["article", "section", "p", "h1", "h2", "ol", "ul", "li", "dl", "dt", "dd", "strong"] {
            let opened = printed.matches(&format!("<{tag}>")).count() + printed.matches(&format!("<{tag} ")).count();
            assert_eq!(opened, printed.matches(&format!("</{tag}>")).count(), "{tag} in {printed}");
        }
    }
    assert!(html(&page_of("415", "ar")).starts_with("<article class=\"page\" lang=\"ar\" dir=\"rtl\">"));
}

#[test]
fn markdown_and_text_let_nothing_act() {
    let printed = markdown(&hostile());
    assert!(!printed.contains('\u{1b}') && !printed.contains('\u{202e}'));
    assert!(printed.contains("\\<b\\>") && printed.contains("\\*f\\*") && printed.contains("\\[g\\](h)"), "{printed}");
    let printed = text(&hostile(), 80);
    assert!(!printed.contains('\u{1b}') && !printed.contains('\u{202e}'), "{printed}");
}

#[test]
fn markdown_keeps_the_names_of_settings() {
    assert_eq!(for_markdown("rtp_symmetric=yes, max-forwards"), "rtp_symmetric=yes, max-forwards");
    assert_eq!(for_markdown("_x_ 1. y"), "\\_x\\_ 1. y");
    assert_eq!(for_markdown("1. y"), "1\\. y");
    assert_eq!(for_markdown("# x"), "\\# x");
}

#[test]
fn json_names_its_schema_and_can_be_read_back() {
    let catalogue = Catalogue::new();
    let subject = catalogue.subject("415").expect("415");
    let value: serde_json::Value = serde_json::from_str(&subject_json(&subject, catalogue.phrases())).expect("JSON");
    assert_eq!(value["schema"], "sipwhy.explain/1");
    assert_eq!((&value["code"], &value["class"]), (&415.into(), &"client-failure".into()));
    let comparison = catalogue.compare(488, 415).expect("two codes");
    let value: serde_json::Value = serde_json::from_str(&comparison_json(&comparison)).expect("JSON");
    assert_eq!((&value["schema"], &value["entries"][0]["code"]), (&"sipwhy.compare/1".into(), &415.into()));
    let value: serde_json::Value = serde_json::from_str(&page_json(&hostile())).expect("JSON");
    assert_eq!(value["title"], hostile().title.as_str());
    assert!(page_json(&hostile()).chars().all(|character| character == '\n' || !is_unsafe(character)));
}

#[test]
fn the_list_of_codes_has_every_code_in_every_format() {
    let catalogue = Catalogue::new();
    let entries = catalogue.entries(None);
    assert_eq!(entries.len(), 94);
    assert!(catalogue.entries(Some(Class::Success)).iter().all(|entry| entry.class() == Class::Success));
    let value: serde_json::Value = serde_json::from_str(&codes_json(&entries)).expect("JSON");
    assert_eq!(value["codes"].as_array().map(Vec::len), Some(entries.len()));
    for printed in [
        codes_text(&entries, &catalogue, 80),
        codes_markdown(&entries, catalogue.phrases()),
        codes_html(&entries, catalogue.phrases()),
    ] {
        for entry in &entries {
            assert!(printed.contains(&entry.code.to_string()), "{} is missing", entry.code);
        }
    }
    assert!(codes_text(&entries, &catalogue, 40).lines().all(|line| line.width() <= 40));
}

#[test]
fn the_direction_follows_the_language() {
    assert_eq!(page_of("415", "ar").direction, Direction::Rtl);
    assert_eq!(page_of("415", "en").direction, Direction::Ltr);
}

proptest::proptest! {
    #[test]
    fn any_text_fits_its_width_and_loses_no_letter(text in "\\PC{0,200}", width in 30usize..100) {
        let page = Page::new("t", "").section("", vec![text.clone().into()]);
        let printed = super::text(&page, width);
        let letters = |text: &str| text.chars().filter(|letter| !letter.is_whitespace()).collect::<String>();
        proptest::prop_assert!(printed.lines().all(|line| line.width() <= width));
        proptest::prop_assert_eq!(letters(printed.strip_prefix("t\n").unwrap_or_default()), letters(&for_text(&text)));
    }

    #[test]
    fn no_word_of_the_command_line_panics(word in "\\PC{0,20}|(q850|warning|tls|reason|freeswitch)-[0-9A-Z.]{0,6}|[0-9]{1,6}") {
        let catalogue = Catalogue::new();
        if let Some(subject) = catalogue.subject(&word) {
            proptest::prop_assert!(!super::text(&subject.page(&catalogue), 80).is_empty());
        }
    }
}
