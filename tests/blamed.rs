//! Whom a finding names: the side of the call that has to look, and not the one that suffers.

mod followed;

use std::fs;
use std::path::Path;

use followed::diagnosed;
use sipwhy::diagnosis::{Confidence, Finding, Role};
use sipwhy::story::Story;

/// What a rule says in a story of its own folder.
fn finding(story: &str) -> Finding {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures").join(story);
    let text = fs::read_to_string(&path).expect("a story");
    let story = Story::parse(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let folder = path.parent().and_then(Path::file_name).expect("a folder").to_string_lossy();
    let findings = diagnosed(&story).into_iter().flat_map(|(_, diagnosis)| diagnosis.findings);
    let mut of_rule = findings.filter(|finding| folder.starts_with(&*finding.rule));
    of_rule.next().unwrap_or_else(|| panic!("{} does not hold", path.display()))
}

#[test]
fn a_finding_names_the_side_whose_address_it_names() {
    let wanted = [
        ("media-late/story.txt", Role::Uas),
        ("media-stopped-early/story.txt", Role::Uas),
        ("payload-type-unexpected/story.txt", Role::Uas),
        ("dtmf-mismatch/story.txt", Role::Uac),
        ("dtmf-mismatch-info-refused/story.txt", Role::Uas),
        ("dtmf-mismatch-info-refused/story-events-agreed.txt", Role::Uac),
        ("one-way-media/story-old-port.txt", Role::Uac),
        ("private-media-address/story-re-invite.txt", Role::Uas),
        ("dns-failed/story-other-port.txt", Role::Uac),
        ("media-port-closed/story.txt", Role::Uas),
        ("media-port-closed-fax/story.txt", Role::Uac),
        ("connection-failed-reset/story.txt", Role::Uas),
        ("hold-stuck/story.txt", Role::Uac),
        ("hold-stuck/story-by-callee.txt", Role::Uas),
        ("hold-stuck/story-answered-on-hold.txt", Role::Uas),
        ("hold-stuck/story-resume-refused.txt", Role::Uas),
    ];
    let wrong: Vec<String> = wanted
        .into_iter()
        .map(|(story, role)| (story, role, finding(story)))
        .filter(|(_, role, finding)| finding.party.role != *role)
        .map(|(story, _, finding)| format!("{story}: {:?}", finding.party))
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn who_answers_a_resume_by_its_own_hold_is_right() {
    assert_eq!(finding("hold-stuck/story-answered-on-hold.txt").confidence, Confidence::Likely);
    assert_eq!(finding("hold-stuck/story-held-twice.txt").confidence, Confidence::Possible);
}

#[test]
fn what_the_capture_lacks_is_not_proven_to_be_missing() {
    assert_eq!(finding("timeout-behind-proxy/story.txt").confidence, Confidence::Proven);
    assert_eq!(finding("timeout-behind-proxy/story-one-copy.txt").confidence, Confidence::Possible);
    assert_eq!(finding("media-late/story.txt").confidence, Confidence::Likely);
}
