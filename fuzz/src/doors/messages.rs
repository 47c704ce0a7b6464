//! Messages alone and in streams.

use sipwhy::capture::Place;
use sipwhy::oddity::OddityLog;
use sipwhy::sip::sdp::Sdp;
use sipwhy::sip::{Cut, Framer, Message, typed};

use super::frames::HEADERS;

/// A message: whatever is asked of it, nothing fails, and written anew it is read as the same.
pub fn message(bytes: &[u8]) {
    for cut in [Cut::Whole, Cut::Missing(1)] {
        if let Some(message) = Message::read(bytes, cut) {
            ask(&message);
        }
    }
    let Some(message) = Message::read(bytes, Cut::Whole) else { return };
    let stored = message.clone().into_stored();
    assert_eq!(facts(&stored), facts(&message));
    let _ = typed::read(&message);
    read_again(&message);
}

/// Headers of one message that are found one by one.
const MOST_HEADERS: usize = 4096;

fn ask(message: &Message<'_>) {
    if message.all_headers().count() >= MOST_HEADERS {
        return;
    }
    for name in HEADERS {
        let first = message.header(name);
        let all = message.headers(name);
        assert!(first.is_some() || all.is_empty(), "{name} has values and is not there");
        assert_eq!(message.header_line(name).is_some(), first.is_some(), "{name}");
    }
    let _ = (message.contact(), message.vias(), message.first_line(), message.status_text(), message.reason_phrase());
    if let Some(sdp) = Sdp::of(message) {
        sdp.origin_key();
    }
    for oddity in message.oddities() {
        assert!(!oddity.says().is_empty());
    }
}

/// What identifies a message.
fn facts(message: &Message<'_>) -> (bool, String, Vec<u8>, Option<String>, usize) {
    let cseq = message.cseq().map(|cseq| format!("{} {}", cseq.number, cseq.method));
    let headers = message.all_headers().count();
    // A fold in a Call-ID, which no Call-ID may have, is kept as it was sent.
    let call_id = message.call_id().split(u8::is_ascii_whitespace).filter(|word| !word.is_empty()).collect::<Vec<_>>();
    (message.is_request(), message.first_line().into_owned(), call_id.join(&b' '), cseq, headers)
}

/// Writes a message anew, each header on one line, and reads that.
fn read_again(message: &Message<'_>) {
    // What stands in a line beside text is shown in another form than it has.
    let is_plain = |text: &str| {
        let text = text.replace("\r\n", "\n");
        !text.chars().any(|character| character.is_control() && !matches!(character, '\n' | '\t'))
    };
    if !message.oddities().is_empty() || !std::str::from_utf8(message.bytes()).is_ok_and(is_plain) {
        return;
    }
    let mut text = format!("{}\r\n", message.first_line());
    for (name, value) in message.all_headers() {
        text.push_str(&format!("{name}: {value}\r\n"));
    }
    text.push_str("\r\n");
    let bytes = [text.as_bytes(), message.body()].concat();
    let again = Message::read(&bytes, Cut::Whole).expect("a message that was written anew");
    assert_eq!(facts(&again), facts(message), "{text}");
    assert_eq!(again.body(), message.body(), "{text}");
    let headers = |message: &Message<'_>| -> Vec<(String, String)> {
        message.all_headers().map(|(name, value)| (name.into_owned(), value.into_owned())).collect()
    };
    assert_eq!(headers(&again), headers(message), "{text}");
}

/// A stream: the first byte says how it is cut. However it is cut, the same messages are in it.
pub fn stream(bytes: &[u8]) {
    let Some((how, bytes)) = bytes.split_first() else { return };
    let whole = framed(std::iter::once(bytes));
    let size = usize::from(*how).max(1);
    let cut = framed(bytes.chunks(size));
    assert_eq!(whole.len(), cut.len(), "messages, whole and in pieces of {size}");
    for (number, (whole, cut)) in whole.iter().zip(&cut).enumerate() {
        assert_eq!(String::from_utf8_lossy(whole), String::from_utf8_lossy(cut), "message {number}, pieces of {size}");
    }
}

fn framed<'a>(pieces: impl Iterator<Item = &'a [u8]>) -> Vec<Vec<u8>> {
    let (mut framer, mut oddities, mut messages) = (Framer::default(), OddityLog::default(), Vec::new());
    let mut give = |framed: sipwhy::sip::frame::Framed<'_>| messages.push(framed.bytes.to_vec());
    for piece in pieces {
        framer.push(piece, Place::default(), &mut oddities, &mut give);
    }
    framer.finish(Place::default(), &mut give);
    for message in &messages {
        assert!(Message::read(message, Cut::Whole).is_some(), "{:?}", String::from_utf8_lossy(message));
    }
    messages
}
