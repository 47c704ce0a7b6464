//! The torture messages of RFC 4475 and RFC 5118, and ordinary messages that strict parsers refuse: each is read with
//! the method or code, Call-ID and CSeq that the tables beside them say.
use std::fs;
use std::path::Path;

use sipwhy::oddity::Oddity;
use sipwhy::sip::{Cut, Message, typed};

const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/messages");

/// The rows of a table, cut at tabs; lines that begin with `#` are headings.
fn rows(table: &str) -> Vec<Vec<String>> {
    let text = fs::read_to_string(Path::new(FOLDER).join(table)).unwrap();
    text.lines()
        .filter(|line| !line.starts_with('#') && !line.trim().is_empty())
        .map(|line| line.split('\t').map(str::to_owned).collect())
        .collect()
}

fn method_or_code(message: &Message<'_>) -> String {
    match message.method() {
        Some(method) => method.name().to_owned(),
        None => message.status_text().unwrap().into_owned(),
    }
}

#[test]
fn every_message_of_rfc_4475_and_5118_is_read() {
    let rows = rows("messages.tsv");
    assert_eq!(rows.len(), 61);
    for row in rows {
        let [file, _, _, exit, kind, expected, call_id, cseq, ..] = row.as_slice() else { panic!("{row:?}") };
        let bytes = fs::read(Path::new(FOLDER).join(file)).unwrap();
        let message = Message::read(&bytes, Cut::Whole).unwrap_or_else(|| panic!("{file} is not read"));
        assert_eq!(message.is_request(), kind == "request", "{file}");
        assert_eq!(method_or_code(&message), *expected, "{file}");
        let found = message.header("Call-ID").unwrap_or("-".into());
        assert_eq!(found, *call_id, "{file}");
        let words = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
        let sent = message.header("CSeq").unwrap_or("-".into());
        let [number, method] = [&words(&sent), &words(cseq)].map(|text| {
            let (number, method) = text.split_once(' ').unwrap_or((text, ""));
            (number.trim_start_matches('0').to_owned(), method.to_owned())
        });
        assert_eq!(number, method, "{file}: CSeq");
        if exit == "warn" {
            assert!(!message.oddities().is_empty(), "{file} is broken, and nothing is said of it");
        }
        // The strict reading may refuse, but never fails.
        let _ = typed::read(&message);
    }
}

#[test]
fn every_ordinary_message_is_read_with_all_its_headers() {
    let rows = rows("everyday.tsv");
    assert_eq!(rows.len(), 35);
    for row in rows {
        let [file, expected, call_id, headers, remark] = row.as_slice() else { panic!("{row:?}") };
        let bytes = fs::read(Path::new(FOLDER).join(file)).unwrap();
        let message = Message::read(&bytes, Cut::Whole).unwrap_or_else(|| panic!("{file} is not read"));
        assert_eq!(method_or_code(&message), *expected, "{file}");
        assert_eq!(message.header("Call-ID").as_deref(), Some(call_id.as_str()), "{file}");
        assert!(message.cseq().is_some(), "{file}: CSeq");
        let found = message.all_headers().count();
        assert!(found >= headers.parse().unwrap(), "{file}: {found} headers, {headers} expected");
        if remark.is_empty() {
            let odd: Vec<&Oddity> = message.oddities().iter().collect();
            assert!(odd.is_empty(), "{file} is sound, and {odd:?} is said of it");
        }
    }
}

#[test]
fn a_value_may_begin_on_the_line_below_its_name() {
    for fold in ["\r\n ", "\n\t", " \r\n \r\n  "] {
        let text = format!(
            "BYE sip:a@b SIP/2.0\r\nCall-ID:{fold}one@host\r\nCSeq:{fold}7\r\n BYE\r\nVia: SIP/2.0/UDP h\r\n\r\n"
        );
        let message = Message::read(text.as_bytes(), Cut::Whole).unwrap();
        assert_eq!(message.call_id(), b"one@host", "{fold:?}");
        assert_eq!(message.cseq().map(|cseq| cseq.number), Some(7), "{fold:?}");
    }
}

#[test]
fn a_code_ends_at_the_first_blank() {
    for line in ["SIP/2.0 486 Busy Here", "SIP/2.0 486\tBusy", "SIP/2.0  486", "sip/2.0 486 Busy Here"] {
        let text = format!("{line}\r\nCall-ID: a\r\nCSeq: 1 INVITE\r\n\r\n");
        let message = Message::read(text.as_bytes(), Cut::Whole).unwrap();
        assert_eq!(method_or_code(&message), "486", "{line:?}");
    }
}
