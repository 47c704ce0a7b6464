//! The floors and the doors of the house, and the sizes of its rooms.
//!
//! A module names its own floor and those below it, never one above. Some crates have one door.
use std::fs;
use std::path::{Path, PathBuf};

/// The floors from the top to the bottom.
const FLOORS: [&str; 8] = ["cli", "report", "diagnosis", "analysis", "call", "sip", "net", "capture"];
/// Rooms that stand beside the floors, and the floors that may not be named in them.
const SIDE_ROOMS: [(&str, &[&str]); 10] = [
    ("catalogue", &FLOORS),
    ("untrusted", &FLOORS),
    ("oddity", &FLOORS),
    ("keyed", &FLOORS),
    ("recent", &FLOORS),
    ("sparing", &FLOORS),
    ("story", &["cli", "report", "diagnosis", "analysis", "call"]),
    // What stops a run of the program keeps why a capture could not be read.
    ("error", &["cli", "report", "diagnosis", "analysis", "call", "sip", "net"]),
    ("lib", &[]),
    ("main", &[]),
];
/// Crates with one door: the folder or file in which they may be named.
const DOORS: [(&str, &str); 41] = [
    ("pcap", "src/capture/"),
    ("pcap_parser", "src/capture/"),
    ("lz4_flex", "src/capture/unpacked.rs"),
    ("twox_hash", "src/call/clocks/sampled.rs"),
    ("ruzstd", "src/capture/unpacked.rs"),
    ("etherparse", "src/net/"),
    ("x509_parser", "src/net/tls/certificate.rs"),
    ("aes", "src/net/tls/opener.rs"),
    ("aes_gcm", "src/net/tls/opener.rs"),
    ("cbc", "src/net/tls/opener.rs"),
    ("ccm", "src/net/tls/opener.rs"),
    ("chacha20poly1305", "src/net/tls/opener.rs"),
    ("hkdf", "src/net/tls/schedule.rs"),
    ("hmac", "src/net/tls/schedule.rs"),
    ("sha1", "src/net/tls/schedule.rs"),
    ("rsip", "src/sip/typed.rs"),
    ("wide", "src/sip/"),
    ("ahash", "src/keyed.rs"),
    ("hashbrown", "src/recent.rs"),
    ("base64", "src/report/"),
    ("maud", "src/report/"),
    ("anstyle", "src/report/text/style.rs"),
    ("unicode_width", "src/report/"),
    ("clap", "src/cli/"),
    ("clap_complete", "src/cli/"),
    ("clap_mangen", "src/cli/pages.rs"),
    ("anstream", "src/cli/terminal.rs"),
    ("getrandom", "src/cli/privacy.rs"),
    ("indicatif", "src/cli/follower.rs"),
    ("strsim", "src/cli/nearest.rs"),
    ("terminal_size", "src/cli/terminal.rs"),
    ("nix", "src/cli/service/"),
    ("caps", "src/cli/service/privilege.rs"),
    ("landlock", "src/cli/service/privilege.rs"),
    ("libc", "src/cli/service/privilege.rs"),
    ("seccompiler", "src/cli/service/privilege.rs"),
    ("prometheus_client", "src/cli/service/metrics.rs"),
    ("tiny_http", "src/cli/service/metrics.rs"),
    ("ureq", "src/cli/service/webhook.rs"),
    ("rustls", "src/cli/service/webhook.rs"),
    ("rustls_native_certs", "src/cli/service/webhook.rs"),
];
/// Crates that several rooms name: what they do has no place of its own.
const EVERYWHERE: [&str; 14] = [
    "flate2",
    "jiff",
    "libmimalloc_sys",
    "md5",
    "memchr",
    "mimalloc",
    "schemars",
    "serde",
    "serde_json",
    "sha2",
    "signal_hook",
    "tempfile",
    "thiserror",
    "toml",
];
/// Lines that a file may have.
const LONGEST_FILE: usize = 600;
/// Lines of the longest function.
const LONGEST_FUNCTION: usize = 60;
/// Functions that are a table, with a row for each of many kinds.
const TABLES: [(&str, &str); 1] = [("src/oddity.rs", "fn says(")];

/// Every source file: its path from the root of the package, and its text.
fn sources() -> Vec<(String, String)> {
    fn walk(folder: &Path, files: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                walk(&path, files);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                files.push(path);
            }
        }
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut files = Vec::new();
    walk(&root.join("src"), &mut files);
    files.sort();
    assert!(files.len() > 30, "the sources are not where they are looked for");
    let name = |path: &Path| path.strip_prefix(root).unwrap().to_string_lossy().replace('\\', "/");
    files.iter().map(|path| (name(path), fs::read_to_string(path).unwrap())).collect()
}

/// The floor or room that a file belongs to.
fn room(path: &str) -> &str {
    let inside = path.strip_prefix("src/").unwrap();
    let first = inside.split('/').next().unwrap();
    first.strip_suffix(".rs").unwrap_or(first)
}

/// Code without comments, so that a comment may speak of any floor.
fn code(text: &str) -> String {
    text.lines().map(|line| line.split("//").next().unwrap_or_default()).collect::<Vec<_>>().join("\n")
}

/// True if a path stands in the code, and not as a part of a longer name. One that ends in `::` may go on.
fn names(code: &str, path: &str) -> bool {
    let is_part = |letter: char| letter.is_alphanumeric() || letter == '_';
    code.match_indices(path).any(|(at, found)| {
        let (before, behind) = (code[..at].chars().next_back(), code[at + found.len()..].chars().next());
        let begins = !before.is_some_and(|letter| is_part(letter) || letter == ':');
        begins && (path.ends_with("::") || !behind.is_some_and(is_part))
    })
}

/// Floors that a text names as `crate::floor` or `sipwhy::floor`.
fn floors_named(text: &str) -> Vec<&'static str> {
    let code = code(text);
    FLOORS.into_iter().filter(|floor| names(&code, &format!("crate::{floor}"))).collect()
}

#[test]
fn no_floor_names_one_above_it() {
    for (path, text) in sources() {
        let room = room(&path);
        let forbidden: &[&str] = match FLOORS.iter().position(|floor| *floor == room) {
            Some(own) => &FLOORS[..own],
            None => match SIDE_ROOMS.iter().find(|(name, _)| *name == room) {
                Some((_, forbidden)) => forbidden,
                None => panic!("{path} is on no floor, and in none of the rooms beside them"),
            },
        };
        for named in floors_named(&text) {
            assert!(!forbidden.contains(&named), "{path} is of the floor {room} and names {named}");
        }
    }
}

#[test]
fn each_crate_has_its_door() {
    for (path, text) in sources() {
        let code = code(&text);
        for (name, door) in DOORS {
            let is_named = names(&code, &format!("{name}::"));
            assert!(!is_named || path.starts_with(door), "{path} names the crate {name}, whose door is {door}");
        }
    }
}

#[test]
fn every_crate_has_a_door_or_is_known_to_need_none() {
    let manifest: toml::Table = include_str!("../Cargo.toml").parse().unwrap();
    let of_targets = manifest["target"].as_table().unwrap().values();
    let tables = of_targets.map(|target| &target["dependencies"]).chain([&manifest["dependencies"]]);
    let mut without: Vec<String> = tables
        .flat_map(|table| table.as_table().unwrap().keys())
        .map(|name| if name == "md-5" { "md5".to_owned() } else { name.replace('-', "_") })
        .collect();
    without.retain(|name| !EVERYWHERE.contains(&name.as_str()) && DOORS.iter().all(|(known, _)| known != name));
    assert_eq!(without, [""; 0]);
}

#[test]
fn files_are_short() {
    for (path, text) in sources() {
        let lines = text.lines().count();
        assert!(lines <= LONGEST_FILE, "{path} has {lines} lines, more than {LONGEST_FILE}");
    }
}

#[test]
fn functions_fit_on_a_screen() {
    for (path, text) in sources() {
        let code = text.split("#[cfg(test)]\nmod ").next().unwrap_or_default();
        let lines: Vec<&str> = code.lines().collect();
        for (at, line) in lines.iter().enumerate().filter(|(_, line)| begins_function(line)) {
            let end = format!("{}}}", &line[..line.len() - line.trim_start().len()]);
            let length = lines[at..].iter().position(|line| *line == end).map_or(0, |length| length + 1);
            let is_table = TABLES.iter().any(|(file, name)| path == *file && line.contains(name));
            assert!(
                length <= LONGEST_FUNCTION || is_table,
                "{path}:{}: {length} lines, more than {LONGEST_FUNCTION}",
                at + 1
            );
        }
    }
}

fn begins_function(line: &str) -> bool {
    let words = line.trim_start().trim_start_matches("pub").trim_start_matches("(crate)").trim_start_matches("(super)");
    words.trim_start().trim_start_matches("const ").starts_with("fn ")
}

#[test]
fn every_file_says_what_it_is() {
    for (path, text) in sources() {
        let is_rule = path.starts_with("src/diagnosis/rules/") && !path.ends_with("mod.rs");
        let begins = text.trim_start();
        assert!(is_rule || begins.starts_with("//!"), "{path} does not begin with a module comment");
    }
}

#[test]
fn words_that_name_nothing_are_not_used() {
    const EMPTY: [&str; 6] = ["Manager", "Handler", "Helper", "Util", "Conversation", "Flow"];
    for (path, text) in sources() {
        for line in code(&text).lines() {
            let defines = ["struct ", "enum ", "trait ", "mod "].iter().find_map(|word| line.trim().split_once(word));
            let Some((before, name)) = defines else { continue };
            let is_definition = before.is_empty() || before.trim_start().starts_with("pub");
            let name: String = name.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
            let empty = EMPTY.iter().find(|word| name.contains(**word));
            assert!(!is_definition || empty.is_none(), "{path}: {name} says nothing ({empty:?})");
        }
    }
}

#[test]
fn every_fixed_word_is_said_somewhere() {
    let all: String =
        sources().into_iter().filter(|(path, _)| path != "src/catalogue/word.rs").map(|(_, text)| text).collect();
    let (_, list) = include_str!("../src/catalogue/word.rs").split_once("words! {\n").unwrap();
    let names: Vec<&str> = list.lines().filter_map(|line| Some(line.split_once(" = \"")?.0.trim())).collect();
    assert!(names.len() > 300, "the list is not where it is looked for");
    for name in names {
        let is_said = all.match_indices(&format!("Word::{name}")).any(|(at, found)| {
            let next = all[at + found.len()..].chars().next();
            !next.is_some_and(|next| next.is_alphanumeric())
        });
        assert!(is_said, "nothing says Word::{name}");
    }
}

#[test]
fn unsafe_code_is_forbidden() {
    let manifest = include_str!("../Cargo.toml");
    assert!(manifest.contains("unsafe_code = \"forbid\""));
    for (path, text) in sources() {
        let allows = code(&text).contains("allow(unsafe_code)");
        assert!(!allows && !code(&text).contains("unsafe {"), "{path} is not safe");
    }
}

#[test]
fn what_could_panic_is_denied_where_strangers_bytes_are_read() {
    const DENIED: [&str; 6] =
        ["unwrap_used", "expect_used", "indexing_slicing", "string_slice", "panic", "arithmetic_side_effects"];
    let sources = sources();
    for floor in ["capture", "net", "sip"] {
        let (_, text) = sources.iter().find(|(path, _)| *path == format!("src/{floor}/mod.rs")).unwrap();
        let denied = text.split("deny(").nth(1).and_then(|rest| rest.split(')').next()).unwrap_or_default();
        for lint in DENIED {
            assert!(denied.contains(&format!("clippy::{lint}")), "src/{floor} does not deny {lint}");
        }
    }
    let manifest = include_str!("../Cargo.toml");
    let release = manifest.split("[profile.release]").nth(1).unwrap();
    assert!(release.contains("overflow-checks = true") && release.contains("panic = \"unwind\""));
}
