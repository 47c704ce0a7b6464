//! Session descriptions, as far as calls need them (RFC 8866, RFC 3264).

use memchr::memmem;

use crate::sip::message::Message;

/// A session description (RFC 8866 §5).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Sdp {
    /// The value of `o=`; empty if there is none.
    pub origin: String,
    /// The value of `c=` of the session; empty if there is none.
    pub connection: String,
    /// The media, in order.
    pub media: Vec<Media>,
    /// Attributes of the session, without `a=`.
    pub attributes: Vec<String>,
}

/// One `m=` and what belongs to it (RFC 8866 §5.14).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Media {
    /// The whole value of the `m=` line, as Wireshark shows it in `sdp.media`.
    pub line: String,
    /// `audio`, `video`, `image` …
    pub kind: String,
    /// The port; 0 refuses the stream (RFC 3264 §6).
    pub port: u16,
    /// The profile: `RTP/AVP`, `RTP/SAVP`, `UDP/TLS/RTP/SAVPF`, `udptl` …
    pub protocol: String,
    /// The formats as sent.
    pub formats: Vec<String>,
    /// The value of `c=` of this medium; empty if there is none.
    pub connection: String,
    /// Attributes without `a=`.
    pub attributes: Vec<String>,
}

/// A codec as two sides must agree on it: its name in upper case, clock rate and channels (RFC 3264 §6.1).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Codec {
    /// The encoding name, upper case.
    pub name: String,
    /// The clock rate in Hz.
    pub clock: u32,
    /// Channels.
    pub channels: u8,
}

/// Formats of the static table that name a codec without `a=rtpmap` (RFC 3551 §6).
const STATIC: &[(&str, &str, u32)] = &[
    ("0", "PCMU", 8000),
    ("3", "GSM", 8000),
    ("4", "G723", 8000),
    ("8", "PCMA", 8000),
    ("9", "G722", 8000),
    ("13", "CN", 8000),
    ("15", "G728", 8000),
    ("18", "G729", 8000),
    ("26", "JPEG", 90_000),
    ("31", "H261", 90_000),
    ("34", "H263", 90_000),
];

/// Names that software gives to G.729: its annexes A and B are the same format in RTP, and have no name of their own (RFC
/// 3551 §4.5.6).
const OF_G729: [&str; 5] = ["G729A", "G729B", "G729AB", "G729R8", "G729BR8"];

/// An encoding name in upper case, as RFC 3551 spells it where software spells it otherwise.
fn known_name(name: &str) -> String {
    let name = name.to_ascii_uppercase();
    let plain = name.replace('.', "");
    match plain.as_str() {
        plain if OF_G729.contains(&plain) || plain == "G729" => "G729".to_owned(),
        _ if name.starts_with("G.") => plain,
        _ => name,
    }
}

/// Media that are kept of one description.
const MOST_MEDIA: usize = 64;
/// Attributes that are kept of one medium.
const MOST_ATTRIBUTES: usize = 512;

impl Sdp {
    /// Reads a description; `None` if the text has no `v=` or `m=` line.
    pub fn read(text: &[u8]) -> Option<Sdp> {
        let mut sdp = Sdp::default();
        let mut is_sdp = false;
        for line in text.split(|byte| matches!(byte, b'\n' | b'\r')) {
            let [letter, b'=', sent @ ..] = line else { continue };
            let value = || crate::sip::text(sent.trim_ascii()).into_owned();
            match letter {
                b'v' => is_sdp = true,
                b'o' if sdp.origin.is_empty() => sdp.origin = value(),
                b'c' => match sdp.media.last_mut() {
                    Some(media) => media.connection = value(),
                    None => sdp.connection = value(),
                },
                b'm' if sdp.media.len() < MOST_MEDIA => {
                    is_sdp = true;
                    // The line stays as it was sent, with the blanks at its end: so it is shown by others.
                    let line = crate::sip::text(sent).into_owned();
                    sdp.media.push(Media { line, ..Media::read(&value()) });
                }
                b'a' => {
                    let attributes = match sdp.media.last_mut() {
                        Some(media) => &mut media.attributes,
                        None => &mut sdp.attributes,
                    };
                    if attributes.len() < MOST_ATTRIBUTES {
                        attributes.push(value());
                    }
                }
                _ => {}
            }
        }
        is_sdp.then_some(sdp)
    }

    /// The description in a message's body: the whole body, or its part in a multipart one (RFC 5621). Read once,
    /// however often it is asked for. `None` too if the capture cut the message off: what the description lacks may
    /// stand in what was not captured.
    pub fn of<'a>(message: &'a Message<'_>) -> Option<&'a Sdp> {
        if message.body().is_empty() || message.is_cut() {
            return None;
        }
        message.answers().description.get_or_init(|| Sdp::in_body_of(message)).as_ref()
    }

    fn in_body_of(message: &Message<'_>) -> Option<Sdp> {
        let body = message.body();
        let kind = message.header("Content-Type").unwrap_or_default().to_ascii_lowercase();
        if kind.contains("application/sdp") || kind.is_empty() {
            return Sdp::read(body);
        }
        if kind.contains("multipart/") {
            return Sdp::read(part(body)?);
        }
        None
    }

    /// The address that media of this medium go to: its own `c=`, else that of the session; empty if there is none.
    pub fn address_of<'a>(&'a self, media: &'a Media) -> &'a str {
        let connection = if media.connection.is_empty() { &self.connection } else { &media.connection };
        connection.split_ascii_whitespace().nth(2).map_or("", |host| host.split('/').next().unwrap_or(host))
    }

    /// The direction of a medium: its own attribute, else the session's, else `sendrecv` (RFC 8866 §6.7).
    pub fn direction_of<'a>(&'a self, media: &'a Media) -> &'a str {
        let directions = ["sendrecv", "sendonly", "recvonly", "inactive"];
        let is_direction = |attribute: &&String| directions.contains(&attribute.as_str());
        media
            .attributes
            .iter()
            .find(is_direction)
            .or(self.attributes.iter().find(is_direction))
            .map_or("sendrecv", |a| a)
    }

    /// True if media of this medium have no address to go to: the older form of a hold (RFC 3264 §8.4).
    pub fn is_without_address(&self, media: &Media) -> bool {
        matches!(self.address_of(media), "0.0.0.0" | "::")
    }

    /// The direction in which media of this medium flow: none without an address, whatever the attribute says.
    pub fn flow_of<'a>(&'a self, media: &'a Media) -> &'a str {
        if self.is_without_address(media) { "inactive" } else { self.direction_of(media) }
    }

    /// The parts of `o=` that stay the same as long as the description is of the same origin: user name, session
    /// identifier and address (RFC 8866 §5.2), without the version.
    pub fn origin_key(&self) -> Option<String> {
        let words: Vec<&str> = self.origin.split_ascii_whitespace().collect();
        let [user, id, _version, _net, _kind, address] = words.as_slice() else { return None };
        (id.len() > 3).then(|| format!("{user} {id} {address}"))
    }
}

/// The SDP part of a multipart body: what follows the empty line behind its Content-Type.
fn part(body: &[u8]) -> Option<&[u8]> {
    let at = memmem::find(body, b"application/sdp")?;
    let rest = body.get(at..)?;
    let start = memmem::find(rest, b"\nv=")?.checked_add(1)?;
    let rest = rest.get(start..)?;
    let end = memmem::find(rest, b"\n--").unwrap_or(rest.len());
    rest.get(..end)
}

impl Media {
    fn read(line: &str) -> Media {
        let mut words = line.split_ascii_whitespace();
        let kind = words.next().unwrap_or_default().to_owned();
        let port = words.next().unwrap_or_default();
        let port = port.split('/').next().unwrap_or_default().parse().unwrap_or(0);
        let protocol = words.next().unwrap_or_default().to_owned();
        let formats = words.take(MOST_ATTRIBUTES).map(str::to_owned).collect();
        Media { line: line.to_owned(), kind, port, protocol, formats, ..Media::default() }
    }

    /// The values of an attribute: `a=name:value`.
    pub fn attribute<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.attributes.iter().filter_map(move |attribute| attribute.strip_prefix(name)?.strip_prefix(':'))
    }

    /// The codecs of this medium in order of preference; formats of no known meaning keep their number as name.
    pub fn codecs(&self) -> Vec<Codec> {
        self.formats.iter().map(|format| self.codec(format)).collect()
    }

    /// The codecs that carry speech or pictures: without telephone-event, comfort noise and redundancy.
    pub fn main_codecs(&self) -> Vec<Codec> {
        let aside = ["TELEPHONE-EVENT", "CN", "RED", "ULPFEC", "RTX", "FLEXFEC-03"];
        self.codecs().into_iter().filter(|codec| !aside.contains(&codec.name.as_str())).collect()
    }

    fn codec(&self, format: &str) -> Codec {
        let mapped = self.attribute("rtpmap").find_map(|value| {
            let (number, encoding) = value.split_once(' ')?;
            (number == format).then_some(encoding.trim())
        });
        if let Some(encoding) = mapped {
            let mut parts = encoding.split('/');
            return Codec {
                name: known_name(parts.next().unwrap_or_default()),
                clock: parts.next().and_then(|clock| clock.parse().ok()).unwrap_or(0),
                channels: parts.next().and_then(|channels| channels.parse().ok()).unwrap_or(1),
            };
        }
        match STATIC.iter().find(|(number, _, _)| *number == format) {
            Some((_, name, clock)) => Codec { name: (*name).to_owned(), clock: *clock, channels: 1 },
            None => Codec { name: format.to_ascii_uppercase(), clock: 0, channels: 1 },
        }
    }

    /// True for profiles that encrypt media: SAVP and SAVPF, with SDES or DTLS (RFC 3711, RFC 5764).
    pub fn is_secure(&self) -> bool {
        self.protocol.to_ascii_uppercase().contains("SAVP")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &[u8] = b"v=0\r\no=- 1234 5 IN IP4 192.0.2.1\r\nc=IN IP4 192.0.2.1\r\na=sendonly\r\nm=audio 40000/2 RTP/SAVP 0 101 96\r\na=rtpmap:101 telephone-event/8000\r\na=rtpmap:96 opus/48000/2\r\nm=video 0 RTP/AVP 31\r\nc=IN IP6 2001:db8::1\r\na=inactive\r\n";

    #[test]
    fn media_codecs_and_directions() {
        let sdp = Sdp::read(TEXT).unwrap();
        let [audio, video] = sdp.media.as_slice() else { panic!("two media") };
        assert_eq!((audio.port, audio.is_secure(), sdp.direction_of(audio)), (40000, true, "sendonly"));
        assert_eq!(audio.main_codecs().iter().map(|c| c.name.as_str()).collect::<Vec<_>>(), ["PCMU", "OPUS"]);
        assert_eq!((sdp.address_of(video), sdp.direction_of(video)), ("2001:db8::1", "inactive"));
        assert_eq!(sdp.origin_key().as_deref(), Some("- 1234 192.0.2.1"));
    }

    #[test]
    fn annexes_of_g729_are_one_codec() {
        let codecs = |name: &str| {
            let sdp = Sdp::read(format!("v=0\r\nm=audio 8 RTP/AVP 18\r\na=rtpmap:18 {name}/8000/1\r\n").as_bytes());
            sdp.map(|sdp| sdp.media[0].codecs())
        };
        for name in ["G729A", "g729b", "G.729", "G.729AB", "G729"] {
            assert_eq!(codecs(name), codecs("G729"), "{name}");
        }
        for name in ["G729D", "G729E", "G7291", "PCMU"] {
            assert_ne!(codecs(name), codecs("G729"), "{name}");
        }
    }

    #[test]
    fn garbage_is_none() {
        assert_eq!(Sdp::read(b"\x00\xff=\r\n==="), None);
    }
}
