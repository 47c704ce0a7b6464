//! The floors and the doors of the house, and the sizes of its rooms.
//!
//! A module names its own floor and those below it, never one above. Some crates have one door.
use std::fs;
use std::path::{Path, PathBuf};

/// The floors from the top to the bottom.
const FLOORS: [&str; 8] = ["cli", "report", "diagnosis", "analysis", "call", "sip", "net", "capture"];
/// Rooms that stand beside the floors, and the floors that may not be named in them.
const SIDE_ROOMS: [(&str, &[&str]); 4] = [
    ("catalogue", &FLOORS),
    ("untrusted", &FLOORS),
    ("oddity", &FLOORS),
    ("story", &["cli", "report", "diagnosis", "analysis", "call"]),
];
/// Crates with one door: the folder or file in which they may be named.
const DOORS: [(&str, &str); 21] = [
    ("pcap", "src/capture/"),
    ("pcap_parser", "src/capture/"),
    ("etherparse", "src/net/"),
    ("x509_parser", "src/net/tls/certificate.rs"),
    ("aes", "src/net/tls/opener.rs"),
    ("aes_gcm", "src/net/tls/opener.rs"),
    ("cbc", "src/net/tls/opener.rs"),
    ("chacha20poly1305", "src/net/tls/opener.rs"),
    ("hkdf", "src/net/tls/schedule.rs"),
    ("rsip", "src/sip/typed.rs"),
    ("clap", "src/cli/"),
    ("maud", "src/report/"),
    ("nix", "src/cli/service/"),
    ("caps", "src/cli/service/privilege.rs"),
    ("landlock", "src/cli/service/privilege.rs"),
    ("seccompiler", "src/cli/service/privilege.rs"),
    ("prometheus_client", "src/cli/service/metrics.rs"),
    ("tiny_http", "src/cli/service/metrics.rs"),
    ("ureq", "src/cli/service/webhook.rs"),
    ("rustls", "src/cli/service/webhook.rs"),
    ("rustls_native_certs", "src/cli/service/webhook.rs"),
];
/// Lines that a file may have.
const LONGEST_FILE: usize = 600;

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

/// Floors that a text names as `crate::floor` or `sipwhy::floor`.
fn floors_named(text: &str) -> Vec<&'static str> {
    let code = code(text);
    FLOORS.into_iter().filter(|floor| code.contains(&format!("crate::{floor}"))).collect()
}

#[test]
fn no_floor_names_one_above_it() {
    for (path, text) in sources() {
        let room = room(&path);
        let forbidden: &[&str] = match FLOORS.iter().position(|floor| *floor == room) {
            Some(own) => &FLOORS[..own],
            None => match SIDE_ROOMS.iter().find(|(name, _)| *name == room) {
                Some((_, forbidden)) => forbidden,
                None => continue,
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
            let is_named = code.contains(&format!("use {name}::")) || code.contains(&format!(" {name}::"));
            assert!(!is_named || path.starts_with(door), "{path} names the crate {name}, whose door is {door}");
        }
    }
}

#[test]
fn files_are_short() {
    for (path, text) in sources() {
        let lines = text.lines().count();
        assert!(lines <= LONGEST_FILE, "{path} has {lines} lines");
    }
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
