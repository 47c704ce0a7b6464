//! What the walk over a message found in it, in few bytes: with them beside its own, a message that is read again need
//! not be walked over again.
//!
//! Is given a message that was read; gives its shorthand, and what it stands for. Deliberately knows only messages
//! about which nothing is odd, and which are no longer than a datagram: that nothing was odd need not be written down.

use crate::sip::method::Method;
use crate::sip::outline::{Outline, Place};
use crate::sip::start_line::StartLine;
use crate::sip::status_code::StatusCode;
use crate::sip::value::CSeq;

/// The words of a shorthand, little-endian: which places are set; the start line; the number in CSeq; the body; which
/// other headers may be there, two words, if any may; the places that are set; names and values that refer to calls.
pub(crate) struct Shorthand {
    bytes: [u8; 4 * MOST_WORDS],
    /// Bytes in use.
    length: usize,
}

/// One for each place of an outline, and those before them.
const MOST_WORDS: usize = 6 + 31;
/// Bit of the first word: there may be other headers than those with a place. The bits before it are of the places.
const WITH_OTHERS: u32 = 1 << 31;
/// Bit of the start line: it is a request line.
const REQUEST: u32 = 1 << 15;
/// Bits of the number of a method. Between them and that bit stands where the Request-URI begins, or the status code.
const METHOD_BITS: u32 = 4;

impl Shorthand {
    /// That of a message without oddities; `None` if it is too long, or not of the form that nearly all have.
    #[inline]
    pub(super) fn of(start: &StartLine, cseq: &CSeq, outline: &Outline) -> Option<Shorthand> {
        let start = word_of_start(start, &cseq.method)?;
        // Of the headers that may be repeated, only Via has a place for the second one. All other places stand before
        // the body.
        let is_near = outline.body.end <= u32::from(u16::MAX);
        if !is_near || outline.repeated != u32::from(outline.second_via.is_set()) {
            return None;
        }
        let mut shorthand = Shorthand { bytes: [0; 4 * MOST_WORDS], length: 4 };
        shorthand.add(start);
        shorthand.add(cseq.number);
        shorthand.add(word_of(outline.body));
        let mut set = 0;
        if outline.others != 0 {
            shorthand.add(outline.others as u32);
            shorthand.add((outline.others >> 32) as u32);
            set = WITH_OTHERS;
        }
        let mut bit = 1u32;
        outline.each_place(|place| {
            if place.is_set() {
                set |= bit;
                shorthand.add(word_of(place));
            }
            bit = bit.wrapping_shl(1);
        });
        for (name, value) in outline.references.iter().take_while(|(_, value)| value.is_set()) {
            shorthand.add(word_of(*name));
            shorthand.add(word_of(*value));
        }
        *shorthand.bytes.first_chunk_mut()? = set.to_le_bytes();
        Some(shorthand)
    }

    /// Its bytes.
    pub(crate) fn bytes(&self) -> &[u8] {
        self.bytes.get(..self.length).unwrap_or_default()
    }

    #[inline]
    fn add(&mut self, word: u32) {
        if let Some(free) = self.bytes.get_mut(self.length..).and_then(|free| free.first_chunk_mut()) {
            *free = word.to_le_bytes();
            self.length = self.length.wrapping_add(4);
        }
    }
}

/// What a shorthand stands for: the start line and the CSeq; what has a place is entered in the outline. `None` if
/// these bytes are none.
#[inline]
pub(super) fn read(bytes: &[u8], outline: &mut Outline) -> Option<(StartLine, CSeq)> {
    let (words, _) = bytes.as_chunks::<4>();
    let mut words = words.iter().map(|word| u32::from_le_bytes(*word));
    let set = words.next()?;
    let (start, method) = start_of(words.next()?)?;
    let number = words.next()?;
    outline.body = place_of(words.next()?);
    if set & WITH_OTHERS != 0 {
        outline.others = u64::from(words.next()?) | u64::from(words.next()?) << 32;
    }
    let mut bit = 1u32;
    outline.each_place_mut(|place| {
        if set & bit != 0 {
            *place = words.next().map_or(Place::UNSET, place_of);
        }
        bit = bit.wrapping_shl(1);
    });
    for reference in &mut outline.references {
        let Some((name, value)) = words.next().zip(words.next()) else { break };
        *reference = (place_of(name), place_of(value));
    }
    outline.repeated = u32::from(outline.second_via.is_set());
    Some((start, CSeq { number, method }))
}

/// A place in the first 64 KB.
#[inline]
fn word_of(place: Place) -> u32 {
    place.start | place.end << 16
}

#[inline]
fn place_of(word: u32) -> Place {
    Place { start: word & u32::from(u16::MAX), end: word >> 16 }
}

/// Where the Request-URI begins, or the status code; the method in CSeq; and where the line ends. What else there is to
/// say is the same of every start line with one space between its parts.
#[inline]
fn word_of_start(start: &StartLine, method: &Method) -> Option<u32> {
    let number = METHODS.iter().position(|known| known == method)? as u32;
    let (first, end, kind) = match start {
        StartLine::Request { method: of_request, uri } => {
            let is_plain = of_request == method && uri.start < REQUEST >> METHOD_BITS;
            (is_plain.then_some(uri.start)?, uri.end, REQUEST)
        }
        StartLine::Response { status, code, reason_phrase } => {
            let is_plain = (code.start, code.end, reason_phrase.start) == (8, 11, 12);
            (u32::from(status.filter(|_| is_plain)?.get()), reason_phrase.end, 0)
        }
    };
    Some(kind | first << METHOD_BITS | number | end << 16)
}

/// The start line of a word, and the method in CSeq.
#[inline]
fn start_of(word: u32) -> Option<(StartLine, Method)> {
    let (first, end) = ((word & (REQUEST - 1)) >> METHOD_BITS, word >> 16);
    let method = METHODS.get((word & ((1 << METHOD_BITS) - 1)) as usize)?.clone();
    let start = if word & REQUEST != 0 {
        StartLine::Request { method: method.clone(), uri: first..end }
    } else {
        StartLine::Response { status: StatusCode::new(first as u16), code: 8..11, reason_phrase: 12..end }
    };
    Some((start, method))
}

/// The methods that have a number: those that have a name.
static METHODS: [Method; Method::NAMES.len()] = [
    Method::Invite,
    Method::Ack,
    Method::Bye,
    Method::Cancel,
    Method::Register,
    Method::Options,
    Method::Prack,
    Method::Update,
    Method::Info,
    Method::Refer,
    Method::Subscribe,
    Method::Notify,
    Method::Publish,
    Method::Message,
];

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use crate::sip::{Cut, Message};

    const STARTS: &[&str] = &[
        "INVITE sip:a@b SIP/2.0\r\n",
        "MESSAGE sip:a@b SIP/2.0\r\n",
        "\r\nINVITE sip:a@b SIP/2.0\r\n",
        "PING sip:a@b SIP/2.0\r\n",
        "SIP/2.0 486 Busy Here\r\n",
        "SIP/2.0  200 OK\r\n",
        "SIP/2.0 699 \r\n",
    ];

    const LINES: &[&str] = &[
        "Via: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bKa;rport\r\n",
        "v: SIP/2.0/UDP 192.0.2.2;branch=z9hG4bKb\r\n",
        "Via: a;b , c\r\n",
        "From: <sip:a@b>;tag=c\r\n",
        "From: \"A\" <sip:a@b>\r\n",
        "To: <sip:a@b>\r\n",
        "To: <sip:a@b>;x=y;tag=d\r\n",
        "Call-ID: a@b\r\n",
        "CSeq: 1 INVITE\r\n",
        "CSeq: 2147483647 MESSAGE\r\n",
        "Contact: <sip:a@b>\r\n",
        "Contact: <sip:c@d>\r\n",
        "Subject: a\r\n\tfolded\r\n",
        "User-Agent: a\r\n",
        "X-Call-ID: a\r\n",
        "Session-ID: a\r\n",
        "Content-Length: 0\r\n",
    ];

    proptest! {
        #[test]
        fn a_message_is_known_again_by_its_shorthand(
            start in proptest::sample::select(STARTS),
            lines in proptest::collection::vec(proptest::sample::select(LINES), 0..14),
            body in "\r\n[a-z:\r\n ]{0,30}",
        ) {
            let text = format!("{start}{}{body}", lines.concat());
            let message = Message::read(text.as_bytes(), Cut::Whole).unwrap();
            if let Some(shorthand) = message.shorthand() {
                let mut again = Message::unread(Message::readable(text.as_bytes()));
                prop_assert!(again.take_over(shorthand.bytes()));
                prop_assert_eq!(format!("{again:?}"), format!("{message:?}"));
            }
        }
    }

    #[test]
    fn nearly_all_messages_have_one() {
        let text = |start: &str, via: &str| {
            format!(
                "{start}\r\nVia: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bKa\r\n{via}From: <sip:a@b>;tag=c\r\nTo: <sip:a@b>\r\n\
                 Call-ID: a@b\r\nCSeq: 1 INVITE\r\nContent-Length: 0\r\n\r\n"
            )
        };
        let is_short = |text: String| Message::read(text.as_bytes(), Cut::Whole).unwrap().shorthand().is_some();
        assert!(is_short(text("INVITE sip:a@b SIP/2.0", "")));
        assert!(is_short(text("SIP/2.0 486 Busy Here", "Via: SIP/2.0/UDP 192.0.2.2;branch=z9hG4bKb\r\n")));
        assert!(!is_short(text("BYE sip:a@b SIP/2.0", "")), "its CSeq names another method");
        assert!(!is_short(text("SIP/2.0 486 Busy Here", &"X: y\r\n".repeat(11_000))), "it is too long");
    }
}
