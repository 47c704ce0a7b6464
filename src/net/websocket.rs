//! WebSocket (RFC 6455) as a transport of SIP (RFC 7118).
//!
//! Knows frames, masks, fragments and compression. Is given the bytes of a stream behind the upgrade, or from a frame
//! on whose upgrade was not seen; gives each message. Deliberately gives messages of any kind: SIP is told by content
//! above.

use crate::net::bytes::u8_at;
use crate::net::bytes::u16_at;
use crate::net::inflate::Inflater;

/// The longest message that is put together. SIP over WebSocket is far shorter.
const LONGEST: usize = 256 << 10;

/// One message.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Message<'a> {
    /// All of it.
    Whole(&'a [u8]),
    /// It is compressed (RFC 7692) and could not be read.
    Unreadable,
}

/// How the reading of some bytes went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    /// They were frames, or parts of such.
    Read,
    /// They cannot be WebSocket.
    NotWebSocket,
}

/// Cuts one direction into messages.
#[derive(Debug, Default)]
pub(super) struct Reader {
    /// A frame that is not whole yet.
    pending: Vec<u8>,
    /// The fragments of a message so far.
    message: Vec<u8>,
    /// What the message is that waits for its other fragments.
    waiting: Waiting,
    window: Window,
}

/// What compressed messages may refer to.
#[derive(Debug, Default)]
enum Window {
    /// Bytes before these were not seen, so nothing that is compressed can be read.
    #[default]
    Lost,
    /// No compressed message yet.
    Empty,
    /// What earlier compressed messages leave behind.
    Open(Box<Inflater>),
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Waiting {
    #[default]
    Nothing,
    Readable,
    Compressed,
}

/// The header of a frame (RFC 6455 §5.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Frame {
    is_last: bool,
    is_compressed: bool,
    opcode: u8,
    mask: Option<[u8; 4]>,
    /// Bytes of the header.
    header: usize,
    /// Bytes of the payload.
    length: usize,
}

/// What stands at the start of some bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Found {
    Frame(Frame),
    TooShort,
    NoFrame,
}

/// True where a frame begins that holds the start of a SIP message.
pub(super) fn begins_with_sip(bytes: &[u8]) -> bool {
    let Found::Frame(frame) = find(bytes) else { return false };
    if !matches!(frame.opcode, 1 | 2) || frame.is_compressed {
        return false;
    }
    let Some(payload) = bytes.get(frame.header..) else { return false };
    let first: Vec<u8> = unmasked(payload.get(..payload.len().min(24)).unwrap_or_default(), frame.mask).collect();
    // What keeps a connection alive may stand before the message (RFC 5626 §3.5.1).
    let first = first.trim_ascii_start();
    let method = first.iter().take_while(|byte| byte.is_ascii_alphanumeric() || **byte == b'-').count();
    let rest = first.get(method..).unwrap_or_default();
    let schemes = [&b" sip:"[..], b" sips:", b" tel:", b" urn:", b" im:", b" pres:"];
    first.starts_with(b"SIP/2.0 ") || method >= 3 && schemes.iter().any(|scheme| rest.starts_with(scheme))
}

impl Reader {
    /// A reader of what follows an upgrade. One that was not there from the start is the default.
    pub(super) fn behind_upgrade() -> Reader {
        Reader { window: Window::Empty, ..Reader::default() }
    }

    /// Bytes of memory held.
    pub(super) fn weight(&self) -> usize {
        let window = if matches!(self.window, Window::Open(_)) { Inflater::WEIGHT } else { 0 };
        self.pending.len().saturating_add(self.message.len()).saturating_add(window)
    }

    /// Forgets what was begun and not finished.
    pub(super) fn forget(&mut self) {
        *self = Reader::default();
    }

    /// Takes the next bytes.
    pub(super) fn take(&mut self, bytes: &[u8], mut on_message: impl FnMut(Message<'_>)) -> Outcome {
        if self.pending.is_empty() {
            return match self.frames(bytes, &mut on_message) {
                Some(rest) => {
                    self.pending.extend_from_slice(rest);
                    Outcome::Read
                }
                None => self.give_up(),
            };
        }
        let mut pending = std::mem::take(&mut self.pending);
        pending.extend_from_slice(bytes);
        let Some(rest) = self.frames(&pending, &mut on_message) else { return self.give_up() };
        let read = pending.len().saturating_sub(rest.len());
        pending.drain(..read);
        self.pending = if pending.is_empty() { Vec::new() } else { pending };
        Outcome::Read
    }

    /// The message, if it can be read. One that cannot takes the window with it.
    fn inflated(&mut self) -> Option<Vec<u8>> {
        let mut inflater = match std::mem::take(&mut self.window) {
            Window::Lost => return None,
            Window::Empty => Box::default(),
            Window::Open(inflater) => inflater,
        };
        let message = inflater.message(&self.message, LONGEST)?;
        self.window = Window::Open(inflater);
        Some(message)
    }

    fn give_up(&mut self) -> Outcome {
        self.forget();
        Outcome::NotWebSocket
    }

    /// Reads whole frames and gives what is left; `None` if it is no frame.
    fn frames<'a>(&mut self, mut bytes: &'a [u8], on_message: &mut impl FnMut(Message<'_>)) -> Option<&'a [u8]> {
        loop {
            let frame = match find(bytes) {
                Found::Frame(frame) => frame,
                Found::TooShort => return Some(bytes),
                Found::NoFrame => return None,
            };
            let end = frame.header.checked_add(frame.length)?;
            let Some(payload) = bytes.get(frame.header..end) else { return Some(bytes) };
            self.frame(frame, payload, on_message)?;
            bytes = bytes.get(end..)?;
        }
    }

    fn frame(&mut self, frame: Frame, payload: &[u8], on_message: &mut impl FnMut(Message<'_>)) -> Option<()> {
        const CONTINUATION: u8 = 0;
        const FIRST_CONTROL: u8 = 8;
        if frame.opcode >= FIRST_CONTROL {
            return Some(());
        }
        if frame.opcode != CONTINUATION {
            self.message.clear();
            self.waiting = if frame.is_compressed { Waiting::Compressed } else { Waiting::Readable };
            if frame.is_last && frame.mask.is_none() && !frame.is_compressed {
                self.waiting = Waiting::Nothing;
                on_message(Message::Whole(payload));
                return Some(());
            }
        }
        if self.message.len().checked_add(payload.len())? > LONGEST {
            return None;
        }
        if self.waiting != Waiting::Nothing {
            self.message.extend(unmasked(payload, frame.mask));
        }
        if frame.is_last {
            match std::mem::take(&mut self.waiting) {
                Waiting::Readable => on_message(Message::Whole(&self.message)),
                Waiting::Compressed => match self.inflated() {
                    Some(message) => on_message(Message::Whole(&message)),
                    None => on_message(Message::Unreadable),
                },
                // The rest of a message whose start was not captured.
                Waiting::Nothing => {}
            }
            self.message = Vec::new();
        }
        Some(())
    }
}

fn find(bytes: &[u8]) -> Found {
    match header(bytes) {
        None => Found::TooShort,
        Some(frame) if is_possible(frame, bytes) => Found::Frame(frame),
        Some(_) => Found::NoFrame,
    }
}

fn header(bytes: &[u8]) -> Option<Frame> {
    let [first, second] = *bytes.first_chunk::<2>()?;
    let (length, mut header) = match second & 0x7F {
        126 => (usize::from(u16_at(bytes, 2)?), 4_usize),
        127 => (usize::try_from(u64::from_be_bytes(*bytes.get(2..)?.first_chunk()?)).ok()?, 10),
        short => (usize::from(short), 2),
    };
    let mut mask = None;
    if second & 0x80 != 0 {
        mask = Some(*bytes.get(header..)?.first_chunk()?);
        header = header.checked_add(4)?;
    }
    let (is_last, is_compressed) = (first & 0x80 != 0, first & 0x40 != 0);
    Some(Frame { is_last, is_compressed, opcode: first & 0x0F, mask, header, length })
}

/// Reserved bits and opcodes are not used, control frames are short and whole (RFC 6455 §5.2, §5.5).
fn is_possible(frame: Frame, bytes: &[u8]) -> bool {
    let reserved = u8_at(bytes, 0).unwrap_or(0xFF) & 0x30;
    let fits = match frame.opcode {
        0..=2 => frame.length <= LONGEST,
        8..=10 => frame.length < 126 && frame.is_last && !frame.is_compressed,
        _ => false,
    };
    reserved == 0 && fits
}

fn unmasked(payload: &[u8], mask: Option<[u8; 4]>) -> impl Iterator<Item = u8> + '_ {
    let mask = mask.unwrap_or_default();
    payload.iter().zip(mask.into_iter().cycle()).map(|(byte, mask)| byte ^ mask)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::inflate::tests::compressed;

    fn frame(first: u8, payload: &[u8], mask: Option<[u8; 4]>) -> Vec<u8> {
        let bit = if mask.is_some() { 0x80 } else { 0 };
        let mut frame = match payload.len() {
            0..=125 => vec![first, bit | payload.len() as u8],
            length => [&[first, bit | 126][..], &(length as u16).to_be_bytes()].concat(),
        };
        frame.extend(mask.iter().flatten());
        frame.extend(unmasked(payload, mask));
        frame
    }

    fn messages(stream: &[u8], size: usize) -> Vec<Vec<u8>> {
        let mut reader = Reader::behind_upgrade();
        let mut messages = Vec::new();
        for part in stream.chunks(size) {
            let outcome = reader.take(part, |message| match message {
                Message::Whole(bytes) => messages.push(bytes.to_vec()),
                Message::Unreadable => messages.push(b"unreadable".to_vec()),
            });
            assert_eq!(outcome, Outcome::Read);
        }
        assert_eq!(reader.pending.len() + reader.message.len(), 0);
        messages
    }

    #[test]
    fn masked_fragmented_and_long_however_cut() {
        let long = [b"SIP/2.0 200 OK\r\n".as_slice(), &[b'x'; 300]].concat();
        let stream = [
            frame(0x81, b"OPTIONS sip:a@b SIP/2.0", Some([1, 2, 3, 4])),
            frame(0x01, b"BYE sip:", Some([9, 8, 7, 6])),
            frame(0x89, b"ping", Some([5, 5, 5, 5])),
            frame(0x80, b"a@b", None),
            frame(0x82, &long, None),
            frame(0xC1, b"\x07queezed", None),
            frame(0x88, b"", None),
        ]
        .concat();
        for size in 1..stream.len() {
            let wanted = [&b"OPTIONS sip:a@b SIP/2.0"[..], b"BYE sip:a@b", &long, b"unreadable"];
            assert_eq!(messages(&stream, size), wanted, "in parts of {size}");
        }
    }

    #[test]
    fn compressed_messages_whole_and_in_fragments() {
        let text = b"BYE sip:a@b SIP/2.0";
        let parts = compressed(&[text, text]);
        let (one, two) = parts[1].split_at(2);
        let stream =
            [frame(0xC1, &parts[0], Some([1, 2, 3, 4])), frame(0x41, one, None), frame(0x80, two, None)].concat();
        for size in 1..stream.len() {
            assert_eq!(messages(&stream, size), [text, text], "in parts of {size}");
        }
        let mut late = Reader::default();
        late.take(&stream, |message| assert_eq!(message, Message::Unreadable));
    }

    #[test]
    fn http_is_no_frame() {
        assert_eq!(Reader::default().take(b"HTTP/1.1 403", |_| ()), Outcome::NotWebSocket);
        assert_eq!(Reader::default().take(b"GET / HTTP/1.1", |_| ()), Outcome::NotWebSocket);
    }

    #[test]
    fn a_frame_without_upgrade_is_known_by_its_message() {
        assert!(begins_with_sip(&frame(0x81, b"REGISTER sip:example.com SIP/2.0", Some([7, 7, 7, 7]))));
        assert!(begins_with_sip(&frame(0x81, b"SIP/2.0 180 Ringing", None)));
        for text in ["\r\n\r\nBYE sip:a@b", "X-Foo sips:a@b", "MESSAGE im:a@b", "SUBSCRIBE pres:a@b"] {
            assert!(begins_with_sip(&frame(0x81, text.as_bytes(), Some([7, 7, 7, 7]))), "{text}");
        }
        assert!(!begins_with_sip(&frame(0x81, b"{\"hello\": 1}", None)));
        assert!(!begins_with_sip(b"SIP/2.0 180 Ringing"));
    }
}
