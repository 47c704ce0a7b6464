//! What is said of calls before they have ended, and what a clock that is set changes.

use std::time::Duration;

use sipwhy::analysis::{Analysis, Event};
use sipwhy::call::Outcome;
use sipwhy::capture::{Files, Input, Reading, Source, Timestamp};
use sipwhy::story::Story;

/// What was said: before the end or at it, the outcome and the code, and how long after the first packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Said {
    is_early: bool,
    outcome: Outcome,
    status: Option<u16>,
    after: Duration,
}

/// A run that is told early, and the time of its first packet.
struct Run {
    analysis: Analysis,
    begun: Timestamp,
    said: Vec<Said>,
}

impl Run {
    /// Feeds all packets of a story.
    fn of(story: &str) -> Run {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("story.pcap");
        std::fs::write(&path, Story::parse(story).unwrap().capture()).unwrap();
        let mut files = Files::open(&[path], Reading::default()).unwrap();
        let mut analysis = Analysis::default();
        analysis.tell_early();
        analysis.run_for_ever();
        let mut run = Run { analysis, begun: Timestamp::default(), said: Vec::new() };
        while let Some(Input::Packet(packet)) = files.next().unwrap() {
            if packet.number == 1 {
                run.begun = packet.time;
            }
            run.analysis.feed(&packet);
            run.listen();
        }
        run
    }

    fn listen(&mut self) {
        while let Some(event) = self.analysis.next_event() {
            let (is_early, call) = match event {
                Event::SoFar(call) => (true, call),
                Event::Call(call) => (false, call),
                _ => continue,
            };
            let after = self.analysis.now().since(self.begun);
            let status = call.final_status.map(|status| status.get());
            self.said.push(Said { is_early, outcome: call.outcome, status, after });
        }
    }

    /// So much time passes.
    fn wait(&mut self, milliseconds: u64) {
        let now = self.analysis.now().plus(Duration::from_millis(milliseconds));
        self.analysis.advance(now);
        self.listen();
    }

    fn early(&self) -> Vec<(Outcome, Option<u16>)> {
        self.said.iter().filter(|said| said.is_early).map(|said| (said.outcome, said.status)).collect()
    }
}

const PARTIES: &str = "# A call.\nalice 192.0.2.10:5060\nproxy 192.0.2.20:5060\n\n";

fn story(lines: &str) -> String {
    format!("{PARTIES}{lines}")
}

#[test]
fn a_failure_is_said_at_its_ack_and_once() {
    let mut run = Run::of(&story(
        "0.000  alice -> proxy  INVITE sip:bob@example.com\n0.030  proxy -> alice  503 Service Unavailable\n\
         0.040  alice -> proxy  ACK\n",
    ));
    let said = Said { is_early: true, outcome: Outcome::Failed, status: Some(503), after: Duration::from_millis(40) };
    assert_eq!(run.said, [said]);
    run.wait(6000);
    assert_eq!(run.said.len(), 2);
    assert!(!run.said[1].is_early && run.said[1].outcome == Outcome::Failed);
}

#[test]
fn a_failure_without_its_ack_is_said_soon_after() {
    let mut run = Run::of(&story(
        "0.000  alice -> proxy  INVITE sip:bob@example.com\n0.030  proxy -> alice  503 Service Unavailable\n",
    ));
    assert_eq!(run.early(), []);
    run.wait(400);
    assert_eq!(run.early(), []);
    run.wait(400);
    assert_eq!(run.early(), [(Outcome::Failed, Some(503))]);
}

#[test]
fn a_challenge_that_is_answered_is_no_failure_and_an_answer_is_said_once() {
    let mut run = Run::of(&story(
        "0.000  alice -> proxy  INVITE sip:bob@example.com\n0.010  proxy -> alice  407 Proxy Authentication Required\n\
         0.020  alice -> proxy  ACK\n0.030  alice -> proxy  INVITE sip:bob@example.com\n\
         0.900  proxy -> alice  200 OK\n0.910  alice -> proxy  ACK\n",
    ));
    assert_eq!(run.early(), [(Outcome::Answered, Some(200))]);
    run.wait(5000);
    assert_eq!(run.early().len(), 1);
}

#[test]
fn a_retry_that_is_open_keeps_a_failure_from_being_said() {
    let mut run = Run::of(&story(
        "0.000  alice -> proxy  INVITE sip:bob@example.com\n0.010  proxy -> alice  503 Service Unavailable\n\
         0.300  alice -> proxy  INVITE sip:bob@example.com\n0.310  proxy -> alice  100 Trying\n",
    ));
    run.wait(2000);
    assert_eq!(run.early(), []);
}

#[test]
fn silence_is_said_when_the_timer_has_run() {
    let mut run = Run::of(&story("0.000  alice -> proxy  INVITE sip:bob@example.com\n"));
    run.wait(31_000);
    assert_eq!(run.early(), []);
    run.wait(1000);
    assert_eq!(run.early(), [(Outcome::Unanswered, None)]);
}

#[test]
fn a_clock_that_is_set_makes_nobody_wait_longer_or_shorter() {
    for hours in [1, -1] {
        let mut run = Run::of(&story("0.000  alice -> proxy  INVITE sip:bob@example.com\n"));
        run.wait(10_000);
        run.analysis.clock_set(hours * 3_600_000_000_000);
        run.wait(20_000);
        assert_eq!(run.early(), [], "{hours}");
        run.wait(3000);
        assert_eq!(run.early(), [(Outcome::Unanswered, None)], "{hours}");
        run.analysis.finish();
        let oddities = run.analysis.counts(sipwhy::capture::SourceId::default()).oddities;
        assert_eq!(oddities.of("clock-set").map(|noted| noted.count), Some(1));
    }
}

#[test]
fn nothing_is_said_early_where_nobody_asked() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("story.pcap");
    let text = story(
        "0.000  alice -> proxy  INVITE sip:bob@example.com\n0.030  proxy -> alice  404 Not Found\n0.040  alice -> proxy  ACK\n",
    );
    std::fs::write(&path, Story::parse(&text).unwrap().capture()).unwrap();
    let mut count = 0;
    sipwhy::analysis::run(
        &mut Files::open(&[path], Reading::default()).unwrap(),
        &mut Analysis::default(),
        |_, event| {
            assert!(!matches!(event, Event::SoFar(_)));
            count += 1;
        },
    )
    .unwrap();
    assert_eq!(count, 1);
}

#[test]
fn a_call_goes_on_when_the_caller_has_released_the_device_that_answered_second() {
    let mut run = Run::of(include_str!("../fixtures/healthy-fork-two-answers/story.txt"));
    run.wait(10_000);
    let ended: Vec<_> = run.said.iter().filter(|said| !said.is_early).collect();
    assert!(matches!(ended[..], [Said { outcome: Outcome::Answered, .. }]), "{ended:?}");
    assert!(ended[0].after > Duration::from_secs(65), "it ended with the BYE of the one that talked");
}

#[test]
fn whoever_hangs_up_soon_after_a_fork_was_released_ends_the_call() {
    let fork = include_str!("../fixtures/healthy-fork-two-answers/story.txt").replace("65.0", "6.0");
    let mut run = Run::of(&fork);
    run.wait(1);
    let ended: Vec<_> = run.said.iter().filter(|said| !said.is_early).collect();
    assert!(matches!(ended[..], [Said { outcome: Outcome::Answered, .. }]), "{ended:?}");
}
