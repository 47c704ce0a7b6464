//! The outline of a message in few words.
//!
//! Is given a message in which nothing was odd; gives what its walk found as a row of words, a third of what the outline
//! itself takes, and gives start line and outline back from that row. A message that is kept and may be looked at again is
//! then not walked over a second time. Deliberately does not know who keeps it.

use std::ops::Range;

use crate::sip::method::Method;
use crate::sip::outline::{KEY_HEADERS, Outline, Place};
use crate::sip::start_line::StartLine;
use crate::sip::status_code::StatusCode;
use crate::sip::value::CSeq;

/// Bytes of a message up to which a word tells where something begins in it, and where it ends.
pub(in crate::sip) const LONGEST: usize = u16::MAX as usize;

/// The methods that a number stands for, those that are sent most first. The numbers are below 100, where status codes
/// begin.
const METHODS: [Method; 14] = [
    Method::Invite,
    Method::Ack,
    Method::Bye,
    Method::Register,
    Method::Options,
    Method::Cancel,
    Method::Subscribe,
    Method::Notify,
    Method::Prack,
    Method::Update,
    Method::Info,
    Method::Message,
    Method::Refer,
    Method::Publish,
];

/// Words that stand at the front of every sketch.
const HEAD: usize = 9;
/// Among the bits for what has a place, that of the second Via; those of the key headers stand below it.
const SECOND_VIA: usize = KEY_HEADERS.len();
/// Where the number of references stands in the same word.
const REFERENCES: usize = SECOND_VIA + 1;

impl Outline {
    /// The most words that a sketch takes.
    pub(in crate::sip) const MOST_WORDS: usize = HEAD + SECOND_VIA + 1 + 2 * super::REFERENCES;

    /// Sketches a message of at most [`LONGEST`] bytes, and gives how many words that took. `None` where its method or its
    /// status code is none that a number stands for.
    pub(in crate::sip) fn sketch(&self, start: &StartLine, words: &mut [u32; Outline::MOST_WORDS]) -> Option<usize> {
        let (what, [first, second]) = numbered(start)?;
        let cseq = self.cseq.as_ref()?;
        let (head, places) = words.split_first_chunk_mut::<HEAD>()?;
        let (mut places, mut placed, mut bit) = (places.iter_mut(), 0u32, 1u32);
        for place in &self.values {
            if place.is_set() {
                placed |= bit;
                *places.next()? = place.word();
            }
            bit = bit.wrapping_shl(1);
        }
        if self.second_via.is_set() {
            placed |= bit;
            *places.next()? = self.second_via.word();
        }
        for (name, value) in self.references.iter().take_while(|(_, value)| value.is_set()) {
            placed = placed.wrapping_add(1 << REFERENCES);
            *places.next()? = name.word();
            *places.next()? = value.word();
        }
        *head = [
            u32::from(what) << 16 | u32::from(number_of(&cseq.method)?),
            cseq.number,
            first.word(),
            second.word(),
            (self.others >> 32) as u32,
            self.others as u32,
            placed,
            self.repeated,
            self.body.word(),
        ];
        Outline::MOST_WORDS.checked_sub(places.len())
    }

    /// Takes what stands in a sketch into an outline that is empty so far, and gives the start line. `None` for what is no
    /// sketch.
    pub(in crate::sip) fn read_sketch(&mut self, words: &[u32]) -> Option<StartLine> {
        let (head, places) = words.split_first_chunk::<HEAD>()?;
        let [methods, cseq, first, second, others_high, others_low, placed, repeated, body] = *head;
        let mut places = places.iter().map(|word| Place::of_word(*word));
        let mut slots = placed & !(u32::MAX << SECOND_VIA);
        while let Some(place) = self.values.get_mut(slots.trailing_zeros() as usize) {
            *place = places.next()?;
            slots &= slots.wrapping_sub(1);
        }
        if placed >> SECOND_VIA & 1 == 1 {
            self.second_via = places.next()?;
        }
        for (name, value) in self.references.iter_mut().take((placed >> REFERENCES) as usize) {
            *name = places.next()?;
            *value = places.next()?;
        }
        self.repeated = repeated;
        self.others = u64::from(others_high) << 32 | u64::from(others_low);
        self.cseq = Some(CSeq { number: cseq, method: METHODS.get(methods as u16 as usize)?.clone() });
        self.body = Place::of_word(body);
        of_number((methods >> 16) as u16, Place::of_word(first), Place::of_word(second))
    }
}

impl Place {
    /// One word for it, if it ends within [`LONGEST`].
    pub(in crate::sip) fn word(self) -> u32 {
        self.start << 16 | self.end
    }

    /// The place that a word stands for.
    pub(in crate::sip) fn of_word(word: u32) -> Place {
        Place { start: word >> 16, end: u32::from(word as u16) }
    }
}

/// The number of the method, or the status code, and where the rest of the start line stands.
fn numbered(start: &StartLine) -> Option<(u16, [Place; 2])> {
    let place = |range: &Range<u32>| Place { start: range.start, end: range.end };
    Some(match start {
        StartLine::Request { method, uri } => (number_of(method)?, [place(uri), Place::default()]),
        StartLine::Response { status, code, reason_phrase } => ((*status)?.get(), [place(code), place(reason_phrase)]),
    })
}

fn of_number(number: u16, first: Place, second: Place) -> Option<StartLine> {
    let range = |place: Place| place.start..place.end;
    Some(match METHODS.get(usize::from(number)) {
        Some(method) => StartLine::Request { method: method.clone(), uri: range(first) },
        None => {
            let status = Some(StatusCode::new(number)?);
            StartLine::Response { status, code: range(first), reason_phrase: range(second) }
        }
    })
}

fn number_of(method: &Method) -> Option<u16> {
    METHODS.iter().position(|known| known == method).map(|at| at as u16)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use crate::sip::message::{Cut, Message};

    const START: [&str; 6] = [
        "INVITE sip:b@example.com SIP/2.0",
        "ACK sip:b@example.com SIP/2.0",
        "REGISTER sip:example.com SIP/2.0",
        "SIP/2.0 486 Busy Here",
        "SIP/2.0 200 ",
        "\r\n\r\nBYE tel:+15550100 SIP/2.0",
    ];
    const HEADERS: [&str; 16] = [
        "Via: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK1",
        "v: SIP/2.0/UDP 192.0.2.2;branch=z9hG4bK2, SIP/2.0/TCP 192.0.2.3;branch=z9hG4bK3",
        "From: \"A\" <sip:a@example.com>;tag=1",
        "t: <sip:b@example.com>",
        "Call-ID: 1@192.0.2.1",
        "Contact: <sip:a@192.0.2.1>,\r\n <sip:c@192.0.2.1>",
        "m: <sip:d@192.0.2.1>",
        "Max-Forwards: 70",
        "User-Agent: x",
        "Diversion: <sip:e@example.com>",
        "X-Call-Ref: 17",
        "Session-ID: 18",
        "X-Other: 19",
        "Reason: Q.850;cause=16",
        "k: timer",
        "Allow:INVITE",
    ];

    proptest! {
        #[test]
        fn a_sketch_tells_what_the_walk_found(
            start in 0..START.len(),
            headers in prop::collection::vec(0..HEADERS.len(), 0..24),
            body in 0usize..20,
        ) {
            let method = ["INVITE", "ACK", "REGISTER", "INVITE", "BYE", "BYE"][start];
            let headers: Vec<&str> = headers.into_iter().map(|at| HEADERS[at]).collect();
            let text = format!("{}\r\n{}\r\nCSeq: 4711 {method}\r\n\r\n{}", START[start], headers.join("\r\n"), "v".repeat(body));
            let read = Message::read(text.as_bytes(), Cut::Whole).unwrap();
            let mut words = [0; Message::SKETCH];
            let length = read.sketch(&mut words);
            prop_assert_eq!(length.is_some(), read.oddities().is_empty());
            if let Some(length) = length {
                let again = Message::of_sketch(text.as_bytes().into(), &words[..length]).unwrap();
                prop_assert_eq!(format!("{read:?}"), format!("{again:?}"));
            }
        }
    }

    #[test]
    fn what_no_word_stands_for_has_no_sketch() {
        for (method, body) in [("FOO", 1), ("BYE", 1 << 16)] {
            let text = format!(
                "{method} sip:b@example.com SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK1\r\n\
                 From: <sip:a@example.com>;tag=1\r\nTo: <sip:b@example.com>\r\nCall-ID: 1\r\nCSeq: 1 {method}\r\n\r\n{}",
                "b".repeat(body)
            );
            let message = Message::read(text.as_bytes(), Cut::Whole).unwrap();
            assert_eq!((message.oddities(), message.sketch(&mut [0; Message::SKETCH])), (&[][..], None));
        }
    }
}
