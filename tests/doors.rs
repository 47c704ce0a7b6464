//! The lower doors give what the front door gives.
//!
//! - What a [`Decoder`] of one's own gives, fed through [`Analysis::deliver`], makes the same report as the packets.
//! - Single messages, fed through [`Analysis::message`], make the same calls, where nothing but whole datagrams was
//!   there.

mod analysed;

use std::path::Path;

use analysed::{fixtures, root};
use sipwhy::analysis::{Analysis, Event};
use sipwhy::capture::{Files, Input, InputFacts, Place, Reading, Source, SourceId, Timestamp};
use sipwhy::catalogue::Catalogue;
use sipwhy::diagnosis::{CaptureSeen, Engine};
use sipwhy::net::{self, Decoder, Delivery, Mirror};
use sipwhy::oddity::OddityLog;
use sipwhy::report::{Gatherer, Keep, Report, Scene, Selected};

/// A datagram that was delivered.
struct Message {
    bytes: Vec<u8>,
    path: net::Path,
    place: Place,
}

/// What a decoder gave for a capture: only whole datagrams, or something else too.
enum Decoded {
    Datagrams(Vec<Message>),
    MoreThanDatagrams,
}

/// Feeds every packet of a capture to `feed`; gives what is known of the capture.
fn each_packet(capture: &Path, mut feed: impl FnMut(&sipwhy::capture::Packet<'_>)) -> Vec<InputFacts> {
    let mut files = Files::open(&[root().join(capture)], Reading::default()).expect("a capture");
    while let Some(Input::Packet(packet)) = files.next().expect("a packet") {
        feed(&packet);
    }
    files.inputs()
}

/// The report of an analysis that has been fed.
fn report(mut analysis: Analysis, inputs: &[InputFacts]) -> Report {
    analysis.finish();
    let scene = Scene::new(inputs, Catalogue::new());
    let mut engine = Engine::new(Engine::HELD_BACK);
    while let Some(event) = analysis.next_event() {
        match event {
            Event::Call(call) => engine.add(*call),
            other => panic!("{other:?} was not asked for"),
        }
    }
    let drops = inputs.iter().map(|input| input.drops).sum();
    let capture = CaptureSeen { drops, until: analysis.now() };
    let mut gatherer = Gatherer::new(Keep::All);
    while let Some((call, diagnosis)) = engine.next_at_end(analysis.surroundings(), capture) {
        gatherer.add(&scene, &call, &diagnosis, Selected::Yes).expect("a record");
    }
    gatherer.finish(&scene, inputs, &analysis, &engine).report().expect("a report")
}

/// The time until which a capture would have shown what is missing.
fn last_of(inputs: &[InputFacts]) -> Timestamp {
    inputs.iter().filter_map(|input| input.first_and_last).map(|(_, last)| last).max().unwrap_or(Timestamp(i64::MIN))
}

fn through_packets(capture: &Path) -> Report {
    let mut analysis = Analysis::default();
    let inputs = each_packet(capture, |packet| analysis.feed(packet));
    report(analysis, &inputs)
}

fn through_deliveries(capture: &Path) -> Report {
    let mut decoder = Decoder::new(net::Limits::default());
    let mut oddities = OddityLog::default();
    let mut analysis = Analysis::default();
    let inputs = each_packet(capture, |packet| decoder.feed(packet, &mut oddities, |it| analysis.deliver(&it)));
    decoder.finish(&mut oddities, |delivery| analysis.deliver(&delivery));
    analysis.advance(last_of(&inputs));
    analysis.note_oddities(SourceId::default(), &oddities);
    report(analysis, &inputs)
}

/// True if a datagram is the whole truth about itself: nothing but its bytes, path and place tells anything.
fn is_plain(delivery: &Delivery<'_>, seen: &mut Vec<(net::Path, u16)>) -> bool {
    let Delivery::Datagram(datagram) = delivery else { return false };
    let is_copy = datagram.ip_id.is_some_and(|id| seen.contains(&(datagram.path, id)));
    seen.extend(datagram.ip_id.map(|id| (datagram.path, id)));
    datagram.cut == 0 && datagram.mirrored == Mirror::Wire && !is_copy
}

fn decoded(capture: &Path) -> (Decoded, Vec<InputFacts>) {
    let mut decoder = Decoder::new(net::Limits::default());
    let mut oddities = OddityLog::default();
    let (mut messages, mut seen, mut all_plain) = (Vec::new(), Vec::new(), true);
    let inputs = each_packet(capture, |packet| {
        decoder.feed(packet, &mut oddities, |delivery| {
            all_plain &= is_plain(&delivery, &mut seen);
            if let Delivery::Datagram(datagram) = delivery {
                messages.push(Message { bytes: datagram.bytes.to_vec(), path: datagram.path, place: datagram.place });
            }
        });
    });
    let is_plain = all_plain && oddities.is_empty();
    (if is_plain { Decoded::Datagrams(messages) } else { Decoded::MoreThanDatagrams }, inputs)
}

#[test]
fn deliveries_of_a_decoder_make_the_same_report() {
    for fixture in fixtures() {
        let (packets, deliveries) = (through_packets(&fixture.capture), through_deliveries(&fixture.capture));
        let text = |report: &Report| serde_json::to_string_pretty(report).expect("a report");
        assert!(packets == deliveries, "{}:\n{}\n{}", fixture.name, text(&packets), text(&deliveries));
    }
}

#[test]
fn single_messages_make_the_same_calls() {
    let mut compared = 0;
    for fixture in fixtures() {
        let (Decoded::Datagrams(messages), inputs) = decoded(&fixture.capture) else { continue };
        let mut analysis = Analysis::default();
        for message in &messages {
            analysis.message(&message.bytes, message.path, message.place);
        }
        analysis.advance(last_of(&inputs));
        let (ours, theirs) = (report(analysis, &inputs), through_packets(&fixture.capture));
        assert_eq!(ours.summary, theirs.summary, "{}", fixture.name);
        assert_eq!(ours.calls, theirs.calls, "{}", fixture.name);
        assert_eq!(ours.notes, theirs.notes, "{}", fixture.name);
        compared += 1;
    }
    assert!(compared > 50, "only {compared} fixtures hold nothing but datagrams");
}
