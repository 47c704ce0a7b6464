//! The messages of a capture in a new one, with pseudonyms in the place of persons and of secrets.
//!
//! Nothing is copied but what was read and understood: each message stands alone in a frame that is made for it, so
//! that no hardware address, no trailing byte and no voice can slip through. Session descriptions stay, other bodies
//! are struck out letter by letter. Lengths and checksums are right, times and order as they were.

use std::collections::BTreeMap;
use std::io::{self, Read, Seek, Write};

use crate::capture::{Error, LinkType, Made, Packet, Reading, Remarks, SourceId, Timestamp, annotate};
use crate::net::{Maker, Path};
use crate::report::reread::{self, Again, Seen};
use crate::report::secrets::Privacy;
use crate::sip::Message;

/// What stands in the place of bodies that are not understood.
const STRUCK: u8 = b'x';

/// How many packets a new capture has, and how many messages could not be put into one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Rewritten {
    /// Packets written.
    pub packets: u64,
    /// Messages left out.
    pub left_out: u64,
}

/// Writes the messages of the inputs, or those of the chosen calls, as pcapng. `remarks` are those on the true
/// frames; their texts must be fit to be shown.
///
/// # Errors
/// What stops the reading, the temporary file, or the output.
pub fn write(
    out: &mut dyn Write,
    again: &Again<'_>,
    privacy: &Privacy,
    remarks: &[Remarks],
) -> Result<Rewritten, Failed> {
    let mut sorter = Sorter::default();
    let mut maker = Maker::default();
    let mut left_out = 0;
    let mut failure = None;
    reread::messages(again, |seen| match frame(&mut maker, seen, privacy) {
        Some(bytes) => {
            let key = (seen.place.time, seen.place.source.0, seen.place.frame);
            if let Err(error) = sorter.put(key, &bytes) {
                failure.get_or_insert(error);
            }
        }
        None => left_out += 1,
    })?;
    if let Some(error) = failure {
        return Err(Failed::Write(error));
    }
    let made = sorter.sorted(remarks)?;
    let copied = annotate(made.file.path(), Reading::default(), &made.remarks, out)?;
    Ok(Rewritten { packets: copied.packets, left_out })
}

/// Why a capture could not be rewritten.
#[derive(Debug, thiserror::Error)]
pub enum Failed {
    /// An input cannot be read again.
    #[error(transparent)]
    Read(#[from] Error),
    /// The new capture cannot be written.
    #[error(transparent)]
    Write(#[from] io::Error),
}

/// The new frame of a message, or of the ICMP error that quotes it.
fn frame(maker: &mut Maker, seen: &Seen<'_>, privacy: &Privacy) -> Option<Vec<u8>> {
    let pseudonyms = privacy.pseudonyms.as_ref()?;
    let path = Path {
        source: pseudonyms.socket(seen.path.source),
        destination: pseudonyms.socket(seen.path.destination),
        transport: seen.path.transport,
    };
    let payload = rewritten(seen.message, privacy);
    match seen.icmp {
        Some(error) => Maker::icmp(error, pseudonyms.address(error.reporter), path, &payload),
        None => {
            let frame = maker.frame(path, &payload);
            if let Some(missing) = seen.message.missing() {
                maker.lose(path, missing.max(1));
            }
            frame
        }
    }
}

/// A message with pseudonyms, its Content-Length right.
fn rewritten(message: &Message<'_>, privacy: &Privacy) -> Vec<u8> {
    let secrets = privacy.of_message(message);
    let body = message.body();
    // What stands before the start line or behind the body is of nobody knows whom.
    let head = message.head();
    let content = message.header("Content-Type").unwrap_or_default().to_ascii_lowercase();
    let new_body = if content.starts_with("application/sdp") {
        secrets.replace_all(&String::from_utf8_lossy(body)).into_bytes()
    } else {
        body.iter().map(|byte| if byte.is_ascii_control() { *byte } else { STRUCK }).collect()
    };
    let new_head = secrets.replace_all(&String::from_utf8_lossy(head));
    let grown = new_body.len().cast_signed() - body.len().cast_signed();
    let mut bytes = if grown == 0 { new_head.into_bytes() } else { with_length(&new_head, grown).into_bytes() };
    bytes.extend_from_slice(&new_body);
    bytes
}

/// The head with its Content-Length (RFC 3261 §20.14) changed by so many bytes.
fn with_length(head: &str, grown: isize) -> String {
    let mut new = String::with_capacity(head.len() + 4);
    for line in head.split_inclusive('\n') {
        let length = line.split_once(':').filter(|(name, _)| {
            let name = name.trim();
            name.eq_ignore_ascii_case("Content-Length") || name.eq_ignore_ascii_case("l")
        });
        match length.and_then(|(name, value)| Some((name, value.trim().parse::<isize>().ok()?))) {
            Some((name, value)) => {
                let ending = if line.ends_with("\r\n") { "\r\n" } else { "\n" };
                new.push_str(&format!("{name}: {}{ending}", value.saturating_add(grown).max(0)));
            }
            None => new.push_str(line),
        }
    }
    new
}

/// Time, input and frame: the order in which messages stood. Those of one frame stay in the order in which they came.
type Key = (Timestamp, u32, u64);

/// New frames in a temporary file, and where each stands in it: streams may give messages late.
#[derive(Default)]
struct Sorter {
    file: Option<std::fs::File>,
    length: u64,
    places: Vec<(Key, u64, u32)>,
}

struct Sorted {
    file: tempfile::NamedTempFile,
    remarks: Remarks,
}

impl Sorter {
    fn put(&mut self, key: Key, bytes: &[u8]) -> io::Result<()> {
        let file = match &mut self.file {
            Some(file) => file,
            None => self.file.insert(tempfile::tempfile()?),
        };
        file.write_all(bytes)?;
        let len = u32::try_from(bytes.len()).map_err(|_| io::ErrorKind::FileTooLarge)?;
        self.places.push((key, self.length, len));
        self.length += u64::from(len);
        Ok(())
    }

    /// The frames in order, as a capture of its own, and the remarks on its frames.
    fn sorted(mut self, remarks: &[Remarks]) -> io::Result<Sorted> {
        self.places.sort_unstable();
        let mut made = tempfile::NamedTempFile::new()?;
        let mut numbers: BTreeMap<(u32, u64), u64> = BTreeMap::new();
        {
            let mut out = io::BufWriter::new(&mut made);
            let mut section = Made::begin(&mut out)?;
            for (number, ((time, source, frame), at, len)) in (1..).zip(&self.places) {
                let Some(file) = &mut self.file else { break };
                let mut bytes = vec![0; *len as usize];
                file.seek(io::SeekFrom::Start(*at))?;
                file.read_exact(&mut bytes)?;
                numbers.entry((*source, *frame)).or_insert(number);
                let packet = Packet {
                    time: *time,
                    source: SourceId(0),
                    number,
                    link: LinkType(1),
                    bytes: &bytes,
                    original_len: *len,
                };
                section.packet(&packet)?;
            }
            drop(section);
            out.flush()?;
        }
        let mut own = Remarks::default();
        for (source, of_input) in (0..).zip(remarks) {
            if source == 0 {
                own.summary.clone_from(&of_input.summary);
            }
            for (frame, comments) in &of_input.of_frames {
                if let Some(number) = numbers.get(&(source, *frame)) {
                    own.of_frames.entry(*number).or_default().extend(comments.iter().cloned());
                }
            }
        }
        Ok(Sorted { file: made, remarks: own })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::pseudonyms::{Pseudonyms, Replaced};
    use crate::report::secrets::SecretsAre;
    use crate::sip::Cut;
    use std::sync::Arc;

    const MESSAGE: &str = "INVITE sip:+15555550123@192.0.2.20 SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.10:5060;branch=z9hG4bKx\r\nFrom: \
         <sip:alice@192.0.2.10>;tag=1\r\nTo: <sip:+15555550123@192.0.2.20>\r\nCall-ID: a@192.0.2.10\r\nCSeq: 2 \
         INVITE\r\nAuthorization: Digest username=\"alice\", realm=\"x.example\", nonce=\"deadbeef01\", \
         response=\"0123456789abcdef\"\r\nContent-Type: application/sdp\r\nContent-Length: 88\r\n\r\nv=0\r\no=- 1 1 \
         IN IP4 192.0.2.10\r\ns=-\r\nc=IN IP4 192.0.2.10\r\na=crypto:1 A inline:U0VDUkVU\r\n";

    fn privacy() -> Privacy {
        let kinds = [Replaced::Numbers, Replaced::Addresses, Replaced::Names];
        Privacy { secrets: SecretsAre::Hidden, pseudonyms: Some(Arc::new(Pseudonyms::new([5; 32], &kinds))) }
    }

    #[test]
    fn a_message_loses_its_persons_and_secrets_and_stays_one() {
        let message = Message::read(MESSAGE.as_bytes(), Cut::Whole).unwrap();
        let new = rewritten(&message, &privacy());
        let text = String::from_utf8(new.clone()).unwrap();
        for own in ["5555550123", "192.0.2.10", "192.0.2.20", "alice", "deadbeef01", "0123456789abcdef", "U0VDUkVU"] {
            assert!(!text.contains(own), "{own} in {text}");
        }
        let read = Message::read(&new, Cut::Whole).unwrap();
        assert_eq!(read.method(), message.method());
        assert_eq!(new.len(), MESSAGE.len());
        assert_eq!(rewritten(&message, &privacy()), new);
    }

    #[test]
    fn a_body_that_is_no_session_description_is_struck_out() {
        let text =
            "MESSAGE sip:b@h SIP/2.0\r\nCall-ID: 1\r\nContent-Type: text/plain\r\nContent-Length: 9\r\n\r\nmy secret";
        let new = rewritten(&Message::read(text.as_bytes(), Cut::Whole).unwrap(), &privacy());
        assert!(new.ends_with(b"\r\n\r\nxxxxxxxxx"));
    }

    #[test]
    fn what_stands_around_a_message_is_left_out() {
        let text = "MESSAGE sip:b@h SIP/2.0\r\nCall-ID: 1\r\nContent-Length: 9\r\n\r\nmy secret";
        let around = format!("hunter0\r\n{text}hunter2\r\nINVITE sip:c@h SIP/2.0\r\n\r\n");
        let message = Message::read(around.as_bytes(), Cut::Whole).unwrap();
        let new = rewritten(&message, &privacy());
        assert_eq!(new, rewritten(&Message::read(text.as_bytes(), Cut::Whole).unwrap(), &privacy()));
        assert!(new.starts_with(b"MESSAGE sip:") && new.ends_with(b"\r\n\r\nxxxxxxxxx"));
    }

    #[test]
    fn the_length_of_a_body_is_told_anew() {
        assert_eq!(with_length("A: 1\r\nContent-Length: 66\r\n\r\n", 2), "A: 1\r\nContent-Length: 68\r\n\r\n");
        assert_eq!(with_length("l : 6\n\n", -1), "l : 5\n\n");
    }
}
