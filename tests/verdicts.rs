//! What a diagnosis leaves undone changes nothing of what it gives: rules that are not asked would have found nothing,
//! and a verdict is the diagnosis but for its words.

mod analysed;

use analysed::{Fixture, fixtures, root};
use sipwhy::analysis::{Analysis, Event, Limits, run};
use sipwhy::call::{Call, Wanted};
use sipwhy::capture::{Files, Reading};
use sipwhy::diagnosis::rules::ALL;
use sipwhy::diagnosis::{CaptureSeen, Case, Diagnosis, Facts, Finding, Verdict, diagnose};

/// Hands on every call of every fixture as a case.
fn each_case(mut judge: impl FnMut(&str, &Case<'_>)) {
    for Fixture { name, capture } in fixtures() {
        let mut files = Files::open(&[root().join(capture)], Reading::default()).expect("a capture");
        let mut analysis = Analysis::new(Limits::default(), Wanted::EveryCall);
        let mut calls: Vec<Call> = Vec::new();
        let keep = |_: &Analysis, event| {
            if let Event::Call(call) = event {
                calls.push(*call);
            }
        };
        run(&mut files, &mut analysis, keep).expect("a capture that can be read");
        let seen = CaptureSeen { drops: 0, until: analysis.now() };
        for call in &calls {
            judge(&name, &Case::new(call, analysis.surroundings(), seen));
        }
    }
}

/// A finding without what a verdict may leave out.
fn bare(finding: &Finding) -> Finding {
    let mut bare = finding.clone();
    bare.title = "".into();
    bare.explanation = "".into();
    bare.fix.clear();
    bare.claims.clear();
    bare.refuted.clear();
    bare.next_capture = None;
    bare
}

fn bare_of(diagnosis: &Diagnosis) -> Vec<Finding> {
    diagnosis.findings.iter().map(bare).collect()
}

#[test]
fn a_rule_that_is_not_asked_would_have_found_nothing() {
    let (mut asked, mut not_asked) = (0, 0);
    each_case(|name, case| {
        let facts = Facts::of(case);
        for rule in ALL.iter().filter(|rule| rule.check.of_call().is_some()) {
            let is_asked = facts.meet(rule.needs);
            *(if is_asked { &mut asked } else { &mut not_asked }) += 1;
            assert!(is_asked || !rule.holds(case), "{name}: {} holds without {:?}", rule.name, rule.needs);
        }
    });
    assert!(not_asked > asked, "{asked} are asked, {not_asked} are not: it is not worth the words");
}

#[test]
fn a_verdict_is_the_diagnosis_but_for_its_words() {
    let mut shorter = 0;
    each_case(|name, case| {
        let (verdict, diagnosis) = (Verdict::of(case), diagnose(case));
        assert_eq!(verdict.diagnosis().outcome, diagnosis.outcome, "{name}");
        assert_eq!(bare_of(verdict.diagnosis()), bare_of(&diagnosis), "{name}");
        shorter += usize::from(verdict.diagnosis().findings != diagnosis.findings);
        assert_eq!(verdict.told(case), diagnosis, "{name}");
    });
    assert!(shorter > 50, "verdicts leave nothing out");
}
