//! Documents that are made from the program, and so cannot drift from it.
//!
//! `UPDATE_DOCS=1 cargo test --test docs` rewrites them.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use sipwhy::catalogue::{Catalogue, Class, Phrase, Phrases, Word, decisions};
use sipwhy::diagnosis::Rule;
use sipwhy::diagnosis::rules::ALL;

/// The families of rules by the letter of their ids, in the order of the documents.
const FAMILIES: [(char, &str); 10] = [
    ('A', "Authentication and registration"),
    ('B', "Reachability and transport"),
    ('C', "Dialogs and their end"),
    ('D', "Offer and answer, capabilities"),
    ('E', "Routing, policy, the telephone network"),
    ('F', "Identity and unwanted calls"),
    ('G', "Transfer and events"),
    ('H', "Media"),
    ('I', "Scanners and other noise"),
    ('J', "The capture itself"),
];

fn path(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}

fn is_update() -> bool {
    std::env::var_os("UPDATE_DOCS").is_some()
}

/// Compares a document with what it must be, or rewrites it if that was asked for.
fn check(name: &str, expected: &str) {
    let found = fs::read_to_string(path(name)).unwrap_or_default();
    if found == expected {
        return;
    }
    assert!(is_update(), "{name} is not what the program gives; UPDATE_DOCS=1 cargo test rewrites it");
    fs::write(path(name), expected).unwrap();
}

/// A document with the text between two marks replaced.
fn with_part(document: &str, mark: &str, part: &str) -> String {
    let begin = format!("<!-- {mark}: made by tests/docs.rs -->\n");
    let end = format!("<!-- end of {mark} -->");
    let (before, rest) = document.split_once(&begin).unwrap_or_else(|| panic!("no mark for {mark}"));
    let (_, after) = rest.split_once(&end).unwrap_or_else(|| panic!("no end of {mark}"));
    format!("{before}{begin}{part}{end}{after}")
}

/// Rules by family, each family in order of precedence.
fn families() -> Vec<(&'static str, Vec<&'static Rule>)> {
    let mut by_letter: BTreeMap<char, Vec<&Rule>> = BTreeMap::new();
    for rule in ALL {
        by_letter.entry(rule.id.chars().next().unwrap()).or_default().push(rule);
    }
    let named = FAMILIES.iter().filter_map(|(letter, name)| Some((*name, by_letter.remove(letter)?)));
    let families: Vec<_> = named.collect();
    assert!(by_letter.is_empty(), "a family has no name: {:?}", by_letter.keys());
    families
}

#[test]
fn what_each_language_has_is_counted() {
    let codes = Catalogue::new().codes();
    let paths = decisions().starts().len() + decisions().questions().len() + decisions().causes().len();
    let mut text = format!(
        "<!-- Made from data/languages, data/decisions and data/entries by tests/docs.rs: UPDATE_DOCS=1 cargo test rewrites it. -->\n\
         # Languages\n\n\
         What a language has of {} words of reports and questions, {} phrases of pages, {} names of classes, {} symptoms,\n\
         questions and causes of the decision paths, and, of {} codes, entries, causes and the texts of which comparisons are\n\
         composed. What it lacks is said in English, one by one.\n\n\
         | language | tag | words | phrases | classes | decisions | entries | causes | comparisons |\n\
         |---|---|--:|--:|--:|--:|--:|--:|--:|\n",
        Word::ALL.len(),
        Phrase::ALL.len(),
        Class::ALL.len(),
        paths,
        codes.len()
    );
    for tag in Phrases::tags() {
        let phrases = Phrases::of(tag).unwrap();
        let missing = phrases.missing(&codes);
        text.push_str(&format!(
            "| {} | `{tag}` | {} | {} | {} | {} | {} | {} | {} |\n",
            phrases.name(),
            Word::ALL.len() - missing.words,
            Phrase::ALL.len() - missing.phrases,
            Class::ALL.len() - missing.classes,
            paths - missing.decisions,
            codes.len() - missing.entries,
            codes.len() - missing.causes,
            codes.len() - missing.gists
        ));
    }
    text.push_str(
        "\n## In English in every language\n\n\
         - What a rule says: titles and explanations of findings and incidents, what proves them, what to do, the pages of the\n  \
           rules. The reports say so.\n\
         - Beside the entries: Q.850 causes, Warning codes, Reason protocols, TLS alerts, terms, and comparisons written by hand.\n  \
           The pages say so. Of an entry, headers to look at, codes it is taken for, settings, and notes on when a code is normal\n  \
           and on sending the request again are in English where its causes are.\n\
         - Codes, names of headers, rules and fields, and reason phrases. What a capture holds is shown as it was captured.\n\
         - What programs read: CSV, JUnit XML, names and tokens of JSON and NDJSON, comments of a capture, metrics, alerts.\n  \
           With `--lang` the texts of the catalogue in JSON are translated, and the field `language` says so.\n\
         - Messages on standard error, `--help` and the manual.\n",
    );
    check("docs/languages.md", &text);
}

#[test]
fn the_page_of_every_rule_is_in_the_manual() {
    let mut text = String::from(
        "<!-- Made from the comments of src/diagnosis/rules by tests/docs.rs: UPDATE_DOCS=1 cargo test rewrites it. -->\n\
         # The rules\n\n\
         Every cause that sipwhy can find. `sipwhy explain NAME` prints the same page. A finding is *proven* where a packet\n\
         states it, *likely* where one signature fits and the rivals were checked, *possible* where others fit too; *unseen*\n\
         says that the capture cannot tell. Where several rules explain one failure, the more special one wins.\n",
    );
    for (family, rules) in families() {
        text.push_str(&format!("\n**{family}**\n\n"));
        for rule in rules {
            text.push_str(&format!("- [{name}](#{name}): {}\n", rule.title(), name = rule.name));
        }
    }
    for (family, rules) in families() {
        text.push_str(&format!("\n# {family}\n"));
        for rule in rules {
            text.push_str(&format!("\n## {}\n\n**{}** · {}\n", rule.name, rule.title(), rule.id));
            for heading in Rule::HEADINGS.into_iter().filter(|heading| *heading != "References") {
                text.push_str(&format!("\n### {heading}\n\n{}\n", rule.section(heading).unwrap()));
            }
            text.push_str("\n### References\n\n");
            for cited in rule.references().iter() {
                let title = cited.title().map(|title| format!(": {title}")).unwrap_or_default();
                text.push_str(&format!("- {cited}{title}\n"));
            }
        }
    }
    check("docs/rules.md", &text);
}

fn table_of_rules() -> String {
    let mut table = String::from("| family | rules |\n|---|---|\n");
    for (family, rules) in families() {
        let names: Vec<String> = rules.iter().map(|rule| format!("`{}`", rule.name)).collect();
        let anchor = family.to_lowercase().replace(',', "").replace(' ', "-");
        table.push_str(&format!("| [{family}](docs/rules.md#{anchor}) | {} |\n", names.join(" ")));
    }
    table
}

/// Name, default and meaning of each limit, as `--help` says.
fn limits() -> Vec<(String, u64, String)> {
    let help = Command::new(env!("CARGO_BIN_EXE_sipwhy")).arg("--help").output().unwrap();
    let help = String::from_utf8(help.stdout).unwrap();
    let (_, rest) = help.rsplit_once("defaults:").unwrap();
    let (section, _) = rest.split_once("\n\n").unwrap();
    let mut limits: Vec<(String, u64, String)> = Vec::new();
    for word in section.split_whitespace() {
        let setting = word.split_once('=').and_then(|(name, value)| Some((name, value.parse().ok()?)));
        match (setting, limits.last_mut()) {
            (Some((name, value)), _) => limits.push((name.to_owned(), value, String::new())),
            (None, Some((_, _, meaning))) => {
                meaning.push_str(if meaning.is_empty() { "" } else { " " });
                meaning.push_str(word);
            }
            (None, None) => panic!("{word} stands before the first limit"),
        }
    }
    limits
}

/// 33554432 as 32M, as `--limits` takes it.
fn short(value: u64) -> String {
    for (shift, unit) in [(30, "G"), (20, "M"), (10, "K")] {
        if value >= 1 << shift && value.is_multiple_of(1 << shift) {
            return format!("{}{unit}", value >> shift);
        }
    }
    value.to_string()
}

fn table_of_limits() -> String {
    let limits = limits();
    assert!(limits.len() > 5, "{limits:?}");
    let mut table = String::from("| limit | by default | what it bounds |\n|---|---:|---|\n");
    for (name, value, meaning) in limits {
        table.push_str(&format!("| `{name}` | {} | {meaning} |\n", short(value)));
    }
    table
}

#[test]
fn the_tables_in_the_readme_are_those_of_the_program() {
    let readme = fs::read_to_string(path("README.md")).unwrap();
    let readme = with_part(&readme, "rules", &table_of_rules());
    check("README.md", &with_part(&readme, "limits", &table_of_limits()));
    let security = fs::read_to_string(path("SECURITY.md")).unwrap();
    check("SECURITY.md", &with_part(&security, "limits", &table_of_limits()));
}

#[test]
fn links_lead_to_what_is_there() {
    if is_update() {
        return; // What they lead to is being rewritten.
    }
    for document in
        ["README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "CHANGELOG.md", "SECURITY.md", "tests/messages/README.md"]
    {
        let text = fs::read_to_string(path(document)).unwrap();
        let folder = path(document).parent().unwrap().to_path_buf();
        let targets = text.split("](").skip(1).filter_map(|rest| rest.split(')').next());
        for target in targets.filter(|target| !target.starts_with("http")) {
            let (file, anchor) = target.split_once('#').unwrap_or((target, ""));
            let file = if file.is_empty() { path(document) } else { folder.join(file) };
            assert!(file.exists(), "{document} links to {target}");
            let heading = |line: &str| {
                let title = line.trim_start_matches('#').trim().to_lowercase();
                let kept = title.chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-'));
                line.starts_with('#') && kept.collect::<String>().replace(' ', "-") == anchor
            };
            let is_there = anchor.is_empty() || fs::read_to_string(&file).unwrap().lines().any(heading);
            assert!(is_there, "{document} links to {target}, and there is no such heading");
        }
    }
}

#[test]
fn files_that_documents_name_are_there() {
    let mut named = 0;
    for document in ["README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "CHANGELOG.md", "SECURITY.md"] {
        let text = fs::read_to_string(path(document)).unwrap();
        for word in text.split('`').skip(1).step_by(2) {
            let is_path = word.contains('/') && !word.contains([' ', ':', '<']);
            let is_pattern = word.starts_with("sipwhy.") || word.chars().any(char::is_uppercase);
            if is_path && !is_pattern {
                named += 1;
                assert!(path(word).exists() || path("src").join(word).exists(), "{document} names {word}");
            }
        }
    }
    assert!(named > 20, "the names of files were not found");
}

#[test]
fn tests_that_hold_the_promises_are_there() {
    let security = fs::read_to_string(path("SECURITY.md")).unwrap();
    let mut named = 0;
    for row in security.lines().filter(|line| line.starts_with("| ")) {
        let held_by = row.rsplit('|').nth(1).unwrap_or_default();
        let mut code = String::new();
        for word in held_by.split('`').skip(1).step_by(2) {
            if word.ends_with(".rs") {
                code = fs::read_to_string(path(word)).unwrap();
            } else if !word.contains('/') {
                named += 1;
                assert!(code.contains(&format!("fn {word}(")), "SECURITY.md names {word}, which is not there");
            }
        }
    }
    assert!(named > 20, "only {named} tests are named");
}

/// The capture of the examples.
const EXAMPLE: &str = "fixtures/trunk-congested-behind-proxy/capture.pcap";

/// What the program prints for the example.
fn printed(arguments: &[&str]) -> String {
    let mut program = Command::new(env!("CARGO_BIN_EXE_sipwhy"));
    program.current_dir(env!("CARGO_MANIFEST_DIR")).env("SIPWHY_CONFIG", "").env("LC_ALL", "C").args(arguments);
    let output = program.output().unwrap();
    assert!(output.status.success(), "{arguments:?}");
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn the_pages_of_the_formats_show_what_the_program_writes() {
    let examples: [(&str, &[&str], &str); 7] = [
        ("markdown", &[EXAMPLE, "--format", "md"], "markdown"),
        ("ticket", &[EXAMPLE, "--ticket"], "text"),
        ("csv", &[EXAMPLE, "--format", "csv"], "text"),
        ("junit", &[EXAMPLE, "--format", "junit"], "xml"),
        ("mermaid", &[EXAMPLE, "--format", "mermaid"], "mermaid"),
        ("redaction", &[EXAMPLE, "--redact", "--ticket"], "text"),
        ("statistics", &["stats", EXAMPLE], "text"),
    ];
    for (page, arguments, language) in examples {
        let name = format!("docs/formats/{page}.md");
        let document = fs::read_to_string(path(&name)).unwrap();
        // Markdown inside Markdown holds fences itself.
        let fence = if page == "markdown" { "~~~~~" } else { "```" };
        let command = arguments.join(" ");
        let part =
            format!("`sipwhy {command}` gives\n\n{fence}{language}\n{}\n{fence}\n", printed(arguments).trim_end());
        check(&name, &with_part(&document, "example", &part));
    }
    check("docs/pictures/ladder.svg", &printed(&[EXAMPLE, "--format", "svg"]));
}

#[test]
fn every_format_has_its_page() {
    let readme = fs::read_to_string(path("README.md")).unwrap();
    for page in fs::read_dir(path("docs/formats")).unwrap() {
        let name = page.unwrap().file_name().into_string().unwrap();
        assert!(readme.contains(&format!("docs/formats/{name}")), "README.md does not lead to docs/formats/{name}");
    }
}

#[test]
fn the_page_on_choosing_names_every_field() {
    let document = fs::read_to_string(path("docs/formats/choosing.md")).unwrap();
    let table = fs::read_to_string(path("src/cli/display_filter/fields.rs")).unwrap();
    let mut fields = 0;
    for line in table.lines().map(str::trim) {
        let row = ["by(\"", "header(\"", "number(\""].iter().find_map(|start| line.strip_prefix(start));
        let Some(field) = row.and_then(|row| row.split('"').next()) else { continue };
        fields += 1;
        assert!(document.contains(&format!("`{field}`")), "docs/formats/choosing.md does not name {field}");
    }
    assert!(fields > 60, "only {fields} fields were found");
}
