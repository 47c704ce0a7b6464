//! Every library that the program is built with may be used under a licence of the list in `deny.toml`, and comes from
//! the registry.

use std::process::Command;

use serde_json::Value;

/// What `deny.toml` says.
fn rules() -> toml::Table {
    include_str!("../deny.toml").parse().expect("deny.toml")
}

fn allowed(rules: &toml::Table) -> Vec<String> {
    let allowed = rules["licenses"]["allow"].as_array().expect("a list");
    allowed.iter().map(|licence| licence.as_str().expect("a licence").to_owned()).collect()
}

/// The licence of a package that names none, as was looked up.
fn clarified(rules: &toml::Table, name: &str) -> Option<String> {
    let known = rules["licenses"]["clarify"].as_array()?;
    let it = known.iter().find(|it| it["crate"].as_str() == Some(name))?;
    it["expression"].as_str().map(str::to_owned)
}

/// Every package of the lock file, as cargo knows it.
fn packages() -> Vec<Value> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo)
        .args(["metadata", "--format-version", "1", "--locked", "--manifest-path"])
        .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml"))
        .output()
        .expect("cargo metadata");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let mut metadata: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let Value::Array(packages) = metadata["packages"].take() else { panic!("no packages") };
    packages
}

/// True if an SPDX expression can be met with these licences. `/` is the old form of `OR`.
fn is_met(expression: &str, allowed: &[String]) -> bool {
    let spaced = expression.replace('/', " OR ").replace('(', " ( ").replace(')', " ) ");
    let words: Vec<&str> = spaced.split_whitespace().collect();
    let mut at = 0;
    let met = any(&words, &mut at, allowed);
    assert_eq!(at, words.len(), "{expression} is no expression");
    met
}

fn any(words: &[&str], at: &mut usize, allowed: &[String]) -> bool {
    let mut met = all(words, at, allowed);
    while words.get(*at) == Some(&"OR") {
        *at += 1;
        met |= all(words, at, allowed);
    }
    met
}

fn all(words: &[&str], at: &mut usize, allowed: &[String]) -> bool {
    let mut met = one(words, at, allowed);
    while words.get(*at) == Some(&"AND") {
        *at += 1;
        met &= one(words, at, allowed);
    }
    met
}

fn one(words: &[&str], at: &mut usize, allowed: &[String]) -> bool {
    let word = words[*at];
    *at += 1;
    if word == "(" {
        let met = any(words, at, allowed);
        *at += 1;
        return met;
    }
    let mut licence = word.to_owned();
    if words.get(*at) == Some(&"WITH") {
        licence = format!("{word} WITH {}", words[*at + 1]);
        *at += 2;
    }
    allowed.contains(&licence)
}

#[test]
fn every_library_may_be_used() {
    let rules = rules();
    let allowed = allowed(&rules);
    let packages = packages();
    assert!(packages.len() > 50, "only {} packages", packages.len());
    for package in packages {
        let name = package["name"].as_str().expect("a name");
        let licence = package["license"].as_str().map(str::to_owned).or_else(|| clarified(&rules, name));
        let licence = licence.unwrap_or_else(|| panic!("{name} names no licence"));
        assert!(is_met(&licence, &allowed), "{name} is under {licence}, which deny.toml does not allow");
        let registry = "registry+https://github.com/rust-lang/crates.io-index";
        assert!(name == "sipwhy" || package["source"] == registry, "{name} comes from {}", package["source"]);
    }
}

#[test]
fn expressions_are_read_as_they_are_meant() {
    let allowed = ["MIT".to_owned(), "Apache-2.0 WITH LLVM-exception".to_owned()];
    for met in ["MIT", "GPL-3.0 OR MIT", "GPL-3.0/MIT", "(GPL-3.0 OR MIT) AND MIT", "Apache-2.0 WITH LLVM-exception"] {
        assert!(is_met(met, &allowed), "{met}");
    }
    for unmet in ["GPL-3.0", "GPL-3.0 AND MIT", "Apache-2.0", "(GPL-3.0 OR BSL) AND MIT"] {
        assert!(!is_met(unmet, &allowed), "{unmet}");
    }
}
