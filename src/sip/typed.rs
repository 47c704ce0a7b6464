//! The strict second reading, by the `rsip` crate: its only door.
//!
//! Is given a [`Message`] that the report is about; gives the typed values of its key headers, or what the strict
//! parser refused. Correlation never rests on it. It is not asked for every message: it costs several times what all
//! the rest costs.
//!
//! That `rsip` refuses a message says nothing of the sender by itself: it does not know folded headers, compact names
//! or bare LF, although RFC 3261 allows or forgives them. So a refusal names, where it is one of those, the gap.

use rsip::SipMessage;
use rsip::headers::ToTypedHeader;
use rsip::message::HeadersExt;
use serde::{Deserialize, Serialize};

use crate::oddity::Oddity;
use crate::sip::message::Message;
use crate::untrusted::Untrusted;

/// What the strict parser made of a message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Strict {
    /// It read the message: these are its typed values.
    Read(Typed),
    /// It refused.
    Refused(Refusal),
}

/// The typed values of a message that the strict parser read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Typed {
    /// The Call-ID.
    pub call_id: Untrusted,
    /// The number of CSeq.
    pub cseq: u32,
    /// The method of CSeq.
    pub method: Untrusted,
    /// The tag of From.
    pub from_tag: Option<Untrusted>,
    /// The tag of To.
    pub to_tag: Option<Untrusted>,
    /// The branch of the topmost Via.
    pub branch: Option<Untrusted>,
}

/// Why the strict parser refused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Refusal {
    /// Its own words, shortened.
    pub says: Untrusted,
    /// Whose fault it is, as far as our own reading tells.
    pub because: Because,
}

/// Whose fault a refusal is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Because {
    /// The message breaks RFC 3261: our own check says where.
    BrokenMessage(String),
    /// The message is sound, or only bent in a way that RFC 3261 forgives; the strict parser does not know that form.
    ParserGap(String),
    /// The capture does not hold the whole message.
    CutMessage,
}

/// Bytes of a message that the strict parser is given at most; its cost is not linear.
const LONGEST: usize = 16 << 10;

/// Letters of a refusal that are shown.
const LONGEST_WORDS: usize = 120;

/// Reads a message strictly.
pub fn read(message: &Message<'_>) -> Strict {
    if message.is_cut() {
        return refused(message, "not asked: the capture does not hold the whole message");
    }
    if message.bytes().len() > LONGEST {
        return refused(message, "not asked: the message is longer than 16 KiB");
    }
    match SipMessage::try_from(message.bytes()).map_err(|error| error.to_string()).and_then(|read| typed(&read)) {
        Ok(typed) => Strict::Read(typed),
        Err(words) => refused(message, &words),
    }
}

fn typed(read: &SipMessage) -> Result<Typed, String> {
    let words = |error: rsip::Error| error.to_string();
    let cseq = read.cseq_header().map_err(words)?.typed().map_err(words)?;
    let from = read.from_header().map_err(words)?.typed().map_err(words)?;
    let to = read.to_header().map_err(words)?.typed().map_err(words)?;
    let via = read.via_header().map_err(words)?.typed().map_err(words)?;
    Ok(Typed {
        call_id: read.call_id_header().map_err(words)?.to_string().trim_start_matches("Call-ID: ").into(),
        cseq: cseq.seq,
        method: cseq.method.to_string().into(),
        from_tag: from.tag().map(|tag| tag.value().into()),
        to_tag: to.tag().map(|tag| tag.value().into()),
        branch: via.branch().map(|branch| branch.value().into()),
    })
}

fn refused(message: &Message<'_>, words: &str) -> Strict {
    let mut says: String = words.chars().take(LONGEST_WORDS).collect();
    if says.len() < words.len() {
        says.push('…');
    }
    Strict::Refused(Refusal { says: says.into(), because: because(message) })
}

fn because(message: &Message<'_>) -> Because {
    if message.is_cut() {
        return Because::CutMessage;
    }
    let fault = message.oddities().iter().find(|oddity| breaks_the_grammar(oddity));
    match fault {
        Some(oddity) => Because::BrokenMessage(oddity.says()),
        None => bad_tag(message).map_or_else(|| Because::ParserGap(gap(message).to_owned()), Because::BrokenMessage),
    }
}

/// What RFC 3261 forbids, and a strict reader may refuse.
fn breaks_the_grammar(oddity: &Oddity) -> bool {
    matches!(
        oddity,
        Oddity::NulByte
            | Oddity::NoColon
            | Oddity::NotUtf8
            | Oddity::UnclosedQuote
            | Oddity::BadStatusCode
            | Oddity::BadCSeq
            | Oddity::BadStartLine
            | Oddity::BadHeader { .. }
            | Oddity::MissingHeader { .. }
            | Oddity::BytesBeforeMessage { .. }
            | Oddity::BareLineFeed
    )
}

/// A tag of From or To that is no token (RFC 3261 §19.3, §25.1). Dialogs are told apart by it all the same, so it is no
/// reason to call the message malformed.
fn bad_tag(message: &Message<'_>) -> Option<String> {
    let is_of_token = |letter: char| letter.is_ascii_alphanumeric() || "-.!%*_+`'~".contains(letter);
    [("From", message.from()), ("To", message.to())].into_iter().find_map(|(header, address)| {
        let address = address?;
        let tag = address.tag()?;
        let letter = tag.chars().find(|letter| !is_of_token(*letter))?;
        Some(format!("the {header} tag '{tag}' holds '{letter}', which RFC 3261 §25.1 does not allow"))
    })
}

/// The form that this message has and the strict parser does not know.
fn gap(message: &Message<'_>) -> &'static str {
    let uri = message.request_uri().unwrap_or_default().to_ascii_lowercase();
    let is_folded = message.bytes().windows(3).any(|three| matches!(three, [b'\n', b' ' | b'\t', _]));
    let is_compact = message.all_headers().any(|(name, _)| name.len() == 1);
    match () {
        () if is_folded => "a folded header (RFC 3261 §7.3.1 allows it)",
        () if is_compact => "compact header names (RFC 3261 §7.3.3 allows them)",
        () if uri.contains('[') => "an IPv6 address in the Request-URI (RFC 3261 §19.1.1 allows it)",
        () if !uri.is_empty() && !uri.starts_with("sip") => {
            "a Request-URI that is not sip: (RFC 3261 §8.1.1.1 allows it)"
        }
        () if names_ipv6(message) => "an IPv6 address in Via, From or To (RFC 3261 §25.1 allows it)",
        () if message.status().is_some() && message.reason_phrase().is_empty() => {
            "an empty reason phrase (RFC 3261 §25.1 allows it)"
        }
        () => "a gap of the parser, or a rule that is not checked here",
    }
}

/// True if a header that the strict parser reads holds an IPv6 address.
fn names_ipv6(message: &Message<'_>) -> bool {
    ["Via", "From", "To"].iter().any(|name| message.header(name).is_some_and(|value| value.contains("[")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sip::message::Cut;

    const BUSY: &str = "SIP/2.0 486 Busy Here\r\nVia: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bKa\r\nFrom: \
                        <sip:a@example.com>;tag=f\r\nTo: <sip:b@example.com>;tag=t\r\nCall-ID: x@example.com\r\nCSeq: \
                        7 INVITE\r\nContent-Length: 0\r\n\r\n";

    fn strict(text: &str) -> Strict {
        read(&Message::read(text.as_bytes(), Cut::Whole).unwrap())
    }

    #[test]
    fn typed_values_of_a_sound_message() {
        let Strict::Read(typed) = strict(BUSY) else { panic!("refused") };
        assert_eq!((typed.call_id.raw(), typed.cseq, typed.method.raw()), ("x@example.com", 7, "INVITE"));
        let raw = |text: &Option<Untrusted>| text.as_ref().map(|text| text.raw().to_owned());
        assert_eq!((raw(&typed.to_tag), raw(&typed.branch)), (Some("t".into()), Some("z9hG4bKa".into())));
    }

    #[test]
    fn a_gap_of_the_parser_is_not_the_senders_fault() {
        let folded = BUSY.replace("Content-Length: 0", "Subject: one\r\n two\r\nContent-Length: 0");
        let Strict::Refused(refusal) = strict(&folded) else { panic!("read") };
        assert!(matches!(refusal.because, Because::ParserGap(gap) if gap.contains("folded")));
    }

    #[test]
    fn an_ipv6_address_is_a_gap_with_a_name() {
        let Strict::Refused(refusal) = strict(&BUSY.replace("b@example.com", "b@[2001:db8::10]")) else {
            panic!("read")
        };
        assert!(matches!(refusal.because, Because::ParserGap(gap) if gap.contains("IPv6 address in Via, From or To")));
    }

    #[test]
    fn a_tag_that_is_no_token_is_the_senders() {
        let Strict::Refused(refusal) = strict(&BUSY.replace("tag=f", "tag=f@")) else { panic!("read") };
        let wanted = "the From tag 'f@' holds '@', which RFC 3261 §25.1 does not allow";
        assert!(matches!(refusal.because, Because::BrokenMessage(fault) if fault == wanted));
    }

    #[test]
    fn a_broken_message_is() {
        let broken = BUSY.replace("CSeq: 7 INVITE", "CSeq: seven INVITE");
        let Strict::Refused(refusal) = strict(&broken) else { panic!("read") };
        assert!(matches!(refusal.because, Because::BrokenMessage(fault) if fault.contains("CSeq")));
    }
}
