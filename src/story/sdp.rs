//! `sdp offer PCMA PCMU port 40000`: a session description in one line (RFC 8866).

use std::net::IpAddr;

use crate::story::Error;
use crate::story::words::Words;

/// What a story says of an offer or an answer.
#[derive(Debug, Clone)]
pub(super) struct SdpLine {
    codecs: Vec<Codec>,
    port: Option<u16>,
    profile: String,
    direction: String,
    address: Option<IpAddr>,
    crypto: Option<String>,
}

#[derive(Debug, Clone)]
struct Codec {
    payload_type: u8,
    encoding: String,
}

/// Master key and salt of RFC 4568's own examples (§9.1).
const KEY: &str = "d0RmdmcmVCspeEc3QGZiNWpVLFJhQX1cfHAwJSoj";

impl SdpLine {
    /// Reads what follows `sdp`.
    pub fn read(mut words: Words) -> Result<SdpLine, Error> {
        let role = words.next("`offer`, `answer` or `none`")?;
        if role == "none" {
            words.end()?;
            return Ok(SdpLine { codecs: Vec::new(), ..SdpLine::offer() });
        }
        if role != "offer" && role != "answer" {
            return Err(Error::new(words.line, format!("expected `offer`, `answer` or `none`, found `{role}`")));
        }
        let mut line = SdpLine {
            codecs: Vec::new(),
            port: None,
            profile: "RTP/AVP".to_owned(),
            direction: "sendrecv".to_owned(),
            address: None,
            crypto: None,
        };
        while let Some(word) = words.maybe() {
            match word.as_str() {
                "port" => line.port = Some(words.number("a port")?),
                "profile" => line.profile = words.next("a profile, as RTP/SAVP")?,
                "address" => line.address = Some(words.number("an address")?),
                "crypto" => line.crypto = Some(words.next("a suite, as AES_CM_128_HMAC_SHA1_80")?),
                "sendrecv" | "sendonly" | "recvonly" | "inactive" => line.direction = word,
                _ => line.codecs.push(Codec::read(words.line, &word)?),
            }
        }
        if line.codecs.is_empty() {
            return Err(Error::new(words.line, "expected at least one codec, as PCMA"));
        }
        if line.profile.contains("SAVP") && line.crypto.is_none() {
            line.crypto = Some("AES_CM_128_HMAC_SHA1_80".to_owned());
        }
        Ok(line)
    }

    /// What an actor offers if the story does not say: G.711 and telephone events, on a port of its own.
    pub fn offer() -> SdpLine {
        let codec = |payload_type, encoding: &str| Codec { payload_type, encoding: encoding.to_owned() };
        SdpLine {
            codecs: vec![codec(8, "PCMA/8000"), codec(0, "PCMU/8000"), codec(101, "telephone-event/8000")],
            port: None,
            profile: "RTP/AVP".to_owned(),
            direction: "sendrecv".to_owned(),
            address: None,
            crypto: None,
        }
    }

    /// What an actor answers if the story does not say: the first codec, telephone events if they are offered, and
    /// the direction that fits (RFC 3264 §6.1).
    pub fn answered(&self) -> SdpLine {
        let is_event = |codec: &&Codec| codec.encoding.starts_with("telephone-event");
        let chosen = self.codecs.iter().find(|codec| !is_event(codec));
        let events = self.codecs.iter().find(is_event);
        let direction = match self.direction.as_str() {
            "sendonly" => "recvonly",
            "recvonly" => "sendonly",
            other => other,
        };
        SdpLine {
            codecs: chosen.into_iter().chain(events).cloned().collect(),
            port: None,
            direction: direction.to_owned(),
            address: None,
            ..self.clone()
        }
    }

    /// True for `sdp none`: no description, where one would be completed.
    pub fn is_none(&self) -> bool {
        self.codecs.is_empty()
    }

    /// The description that the actor of this rank and address sends; `version` stands in its origin.
    pub fn body(&self, speaker: usize, address: IpAddr, version: u32) -> Vec<u8> {
        let address = self.address.unwrap_or(address);
        let number = 1_000 + speaker;
        let port = self.port.unwrap_or(port_of(speaker));
        let family = if address.is_ipv4() { "IP4" } else { "IP6" };
        let types: Vec<String> = self.codecs.iter().map(|codec| codec.payload_type.to_string()).collect();
        let mut lines = vec![
            "v=0".to_owned(),
            format!("o=- {number} {version} IN {family} {address}"),
            "s=-".to_owned(),
            format!("c=IN {family} {address}"),
            "t=0 0".to_owned(),
            format!("m=audio {port} {} {}", self.profile, types.join(" ")),
        ];
        for codec in &self.codecs {
            lines.push(format!("a=rtpmap:{} {}", codec.payload_type, codec.encoding));
            if codec.encoding.starts_with("telephone-event") {
                lines.push(format!("a=fmtp:{} 0-16", codec.payload_type));
            }
        }
        if let Some(suite) = &self.crypto {
            lines.push(format!("a=crypto:1 {suite} inline:{KEY}"));
        }
        lines.push("a=ptime:20".to_owned());
        lines.push(format!("a={}", self.direction));
        (lines.join("\r\n") + "\r\n").into_bytes()
    }
}

fn port_of(speaker: usize) -> u16 {
    40_000 + 2 * u16::try_from(speaker % 1_000).unwrap_or(0)
}

impl Codec {
    /// A name of RFC 3551 or a common one, or `name/clock=type` for any other.
    fn read(line: usize, word: &str) -> Result<Codec, Error> {
        if let Some((encoding, number)) = word.split_once('=') {
            let payload_type = number
                .parse()
                .ok()
                .filter(|number| *number < 128)
                .ok_or_else(|| Error::new(line, format!("expected a payload type below 128, found `{number}`")))?;
            return Ok(Codec { payload_type, encoding: encoding.to_owned() });
        }
        let (payload_type, clock) = match word {
            "PCMU" => (0, "8000"),
            "GSM" => (3, "8000"),
            "PCMA" => (8, "8000"),
            "G722" => (9, "8000"),
            "CN" => (13, "8000"),
            "G729" => (18, "8000"),
            "AMR" => (96, "8000"),
            "AMR-WB" => (97, "16000"),
            "iLBC" => (98, "8000"),
            "telephone-event" => (101, "8000"),
            "opus" => (111, "48000/2"),
            _ => {
                let says = "expected a codec (PCMU GSM PCMA G722 CN G729 AMR AMR-WB iLBC telephone-event opus, or \
                            name/clock=type) or `port`, `profile`, `address`, `crypto` or a direction";
                return Err(Error::new(line, format!("{says}, found `{word}`")));
            }
        };
        Ok(Codec { payload_type, encoding: format!("{word}/{clock}") })
    }
}
