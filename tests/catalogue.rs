//! The catalogue as a person meets it: the static site, a carrier's own meanings, what `explain` knows.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Component, Path, PathBuf};

use assert_cmd::Command;
use sipwhy::catalogue::{Catalogue, Phrases};
use sipwhy::diagnosis::rules;
use tempfile::TempDir;

/// What a run said: standard output, standard error, exit status.
fn sipwhy(args: &[&str], config: &str) -> (String, String, i32) {
    let mut command = Command::cargo_bin("sipwhy").unwrap();
    let output = command.env("SIPWHY_CONFIG", config).env("LC_ALL", "C").args(args).output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (text(output.stdout), text(output.stderr), output.status.code().unwrap())
}

/// The files of a folder by their paths from it.
fn files(root: &Path) -> BTreeMap<PathBuf, String> {
    let mut found = BTreeMap::new();
    let mut open = vec![root.to_owned()];
    while let Some(folder) = open.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                open.push(path);
            } else {
                found.insert(path.strip_prefix(root).unwrap().to_owned(), fs::read_to_string(&path).unwrap());
            }
        }
    }
    found
}

/// The values of an attribute.
fn values<'a>(text: &'a str, attribute: &str) -> Vec<&'a str> {
    let begin = format!(" {attribute}=\"");
    text.split(begin.as_str()).skip(1).filter_map(|rest| rest.split('"').next()).collect()
}

/// A relative link as a path from the root.
fn target(page: &Path, link: &str) -> PathBuf {
    let mut path = page.parent().unwrap().to_owned();
    for part in Path::new(link).components() {
        match part {
            Component::ParentDir => assert!(path.pop(), "{link} in {} leaves the site", page.display()),
            part => path.push(part),
        }
    }
    path
}

#[test]
fn every_rule_that_an_entry_names_is_there() {
    for entry in Catalogue::new().entries(None) {
        for named in entry.rules() {
            assert!(rules::ALL.iter().any(|rule| rule.name == named), "{}: there is no rule {named}", entry.code);
        }
    }
}

#[test]
fn the_site_is_whole_and_every_link_leads_somewhere() {
    let folder = TempDir::new().unwrap();
    let root = folder.path().join("site");
    let write = || sipwhy(&["codes", "--site", root.to_str().unwrap()], "");
    assert_eq!(write(), (String::new(), String::new(), 0));
    let files = files(&root);
    let mut reached: BTreeSet<PathBuf> = BTreeSet::from([PathBuf::from("index.html")]);
    let mut links = 0;
    for (path, text) in files.iter().filter(|(path, _)| path.extension().is_some_and(|end| end == "html")) {
        for link in values(text, "href") {
            let target = target(path, link);
            assert!(files.contains_key(&target), "{link} in {} leads nowhere", path.display());
            reached.insert(target);
            links += 1;
        }
        assert!(!text.contains("http://") && !text.contains(" src=") && !text.contains("<link"), "{}", path.display());
        assert!(text.contains("default-src 'none'"), "{}", path.display());
    }
    assert!(links > 20_000, "{links}");
    for path in files.keys().filter(|path| path.extension().is_some_and(|end| end == "html")) {
        assert!(reached.contains(path), "nothing leads to {}", path.display());
    }
    for (path, text) in files.iter().filter(|(path, _)| path.extension().is_some_and(|end| end == "json")) {
        let value: serde_json::Value = serde_json::from_str(text).unwrap();
        assert!(value["schema"].as_str().is_some_and(|name| name.starts_with("sipwhy.")), "{}", path.display());
    }
    let has = |path: String| assert!(files.contains_key(Path::new(&path)), "{path}");
    for tag in Phrases::tags() {
        Catalogue::new().codes().iter().for_each(|code| has(format!("{tag}/{code}.html")));
    }
    rules::ALL.iter().for_each(|rule| has(format!("topic/{}.html", rule.name)));
    Catalogue::compared_by_hand().iter().for_each(|(one, other)| has(format!("topic/compare-{one}-{other}.html")));
    assert!(files[Path::new("ar/503.html")].contains("<html lang=\"ar\" dir=\"rtl\">"));
    assert!(files[Path::new("fr/503.html")].contains("<html lang=\"fr\" dir=\"ltr\">"));
    assert!(files[Path::new("en/503.html")].contains("<a href=\"../topic/trunk-congested.html\">"));
    assert!(files[Path::new("en/503.html")].contains("<a href=\"../topic/q850-34.html\">"));
    assert!(!files[Path::new("en/503.html")].contains(">503 in bursts at busy times</a>"));
    assert!(files[Path::new("topic/trunk-congested.html")].contains("<a href=\"../en/503.html\">"));
    // It can be written again, with the same bytes, and nothing else is overwritten.
    assert_eq!(write().2, 0);
    assert_eq!(self::files(&root), files);
    let (_, error, status) = sipwhy(&["codes", "--site", env!("CARGO_MANIFEST_DIR")], "");
    assert!(status == 2 && error.contains("holds other things"), "{error}");
}

const CARRIER: &str = r#"
[[status]]
code = 503
name = "No channel <b>"
registered = "vendor"
reference = "Carrier manual, page 3"
kind = "failure"
retry = "elsewhere"
sent_by = ["carrier"]
description = "The channels booked with the carrier are in use."
when = "In the busy hour."
fix = "Book more channels."
"#;

#[test]
fn a_carriers_meanings_are_added_by_option_and_by_configuration() {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("carrier.toml");
    let config = folder.path().join("config.toml");
    fs::write(&file, CARRIER).unwrap();
    fs::write(&config, "catalogue = \"carrier.toml\"\n").unwrap();
    let typed = sipwhy(&["503", "--catalogue", file.to_str().unwrap()], "");
    assert!(typed.2 == 0 && typed.0.contains("The channels booked with the carrier"), "{typed:?}");
    let set = sipwhy(&["503"], config.to_str().unwrap());
    assert_eq!(set, typed);
    let capture = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/trunk-congested/capture.pcap");
    let report = sipwhy(&["--format", "json", "--catalogue", file.to_str().unwrap(), capture.to_str().unwrap()], "");
    assert!(report.2 == 0 && report.0.contains("The channels booked with the carrier"), "{report:?}");
    let html = sipwhy(&["explain", "503", "--format", "html", "--catalogue", file.to_str().unwrap()], "");
    assert!(html.0.contains("No channel &lt;b&gt;") && !html.0.contains("<b>"), "{html:?}");
}

#[test]
fn pages_and_lists_in_html_stand_for_themselves() {
    for arguments in [&["explain", "503"][..], &["explain", "trunk-congested"], &["compare", "202", "503"], &["codes"]]
    {
        let (page, complaint, status) = sipwhy(&[arguments, &["--format", "html"]].concat(), "");
        assert!(status == 0 && complaint.is_empty(), "{complaint}");
        assert!(page.starts_with("<!DOCTYPE html><html lang=\"en\"") && page.ends_with("</html>\n"), "{page}");
        assert!(page.contains("<style>:root") && page.contains("default-src 'none'"), "{page}");
        assert!(!page.contains("<script") && page.matches("<title>").count() == 1, "{page}");
    }
}

#[test]
fn an_error_in_a_carriers_file_is_told_with_line_and_field() {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("carrier.toml");
    fs::write(&file, CARRIER.replace("fix =", "cure =")).unwrap();
    let (out, error, status) = sipwhy(&["503", "--catalogue", file.to_str().unwrap()], "");
    assert!(out.is_empty() && status == 2, "{out}");
    assert!(error.contains("carrier.toml, line 12, field cure"), "{error}");
}

#[test]
fn vendors_codes_and_terms_are_explained() {
    for (word, words) in [
        ("teams-560403", "403 Forbidden"),
        ("telnyx-d1", "channel-limit-reached"),
        ("early-media", "ringback-missing"),
        ("tls-48", "tls-handshake-failed"),
        ("warning-305", "no-common-codec"),
        ("no-common-codec", "warning-305"),
        ("403", "telnyx-d1"),
    ] {
        let (text, error, status) = sipwhy(&["explain", word], "");
        assert!(status == 0 && text.contains(words), "{word}: {text}{error}");
    }
}

#[test]
fn pages_say_what_the_rfcs_say() {
    let page = |args: &[&str]| sipwhy(args, "").0.split_whitespace().collect::<Vec<_>>().join(" ");
    for (args, says) in [
        (&["explain", "480"][..], "480 with Warning 381."),
        (&["explain", "487"], "or its Expires ran out"),
        (&["explain", "408"], "an INVITE whose Expires ran out"),
        (&["explain", "100"], "No 100 is needed where another response comes within 200 ms"),
        (&["explain", "q850-53"], "no calls within the group"),
        (&["explain", "302"], "Rule redirect-loop"),
        (&["explain", "200"], "The 200 confirms the dialog"),
        (&["compare", "486", "487"], "an Expires that ran out"),
        (&["compare", "401", "403"], "look first for stale=true, another realm or another algorithm"),
    ] {
        let page = page(args);
        assert!(page.contains(says), "{args:?}: {says} in {page}");
    }
}
