//! What `--secrets` tells of credentials that were refused, by 401 as by 403.

use std::fs;
use std::path::Path;

use assert_cmd::Command;
use serde_json::Value;

/// The cause of the only call or registration of a fixture, with one line of secrets.
fn cause(fixture: &str, secret: &str) -> (String, String) {
    let folder = tempfile::tempdir().expect("a folder");
    let secrets = folder.path().join("secrets.txt");
    fs::write(&secrets, secret).expect("a file");
    let capture = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures").join(fixture).join("capture.pcap");
    let mut command = Command::cargo_bin("sipwhy").expect("the program");
    let output = command.args(["-q", "--all", "--format", "json", "--secrets"]).arg(&secrets).arg(capture).output();
    let report: Value = serde_json::from_slice(&output.expect("a run").stdout).expect("a report");
    let first = &report["calls"][0]["findings"][0];
    let text = |key: &str| first[key].as_str().unwrap_or_default().to_owned();
    assert_eq!(text("rule"), fixture, "{report}");
    (text("confidence"), text("explanation"))
}

#[test]
fn a_secret_settles_whether_the_client_has_another_one() {
    for (fixture, sure) in [("credentials-rejected", "proven"), ("forbidden-after-credentials", "likely")] {
        let (confidence, explanation) = cause(fixture, "alice * secret\n");
        assert_eq!(confidence, sure, "{fixture}");
        assert!(explanation.contains("is not the one that the secret given for \"alice\" makes"), "{explanation}");
        let (confidence, explanation) = cause(fixture, "alice * wrong\n");
        assert_ne!(confidence, "proven", "{fixture}");
        assert!(explanation.contains("is the one that the secret given for \"alice\" makes"), "{explanation}");
        let (_, explanation) = cause(fixture, "bob * wrong\n");
        assert!(!explanation.contains("secret given"), "{explanation}");
    }
}
