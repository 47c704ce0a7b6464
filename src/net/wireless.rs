//! Data frames of IEEE 802.11, as monitor mode captures them.
//!
//! Knows the header of such frames and radiotap (<https://www.radiotap.org>) before it. Is given a frame; says where
//! its LLC header begins. Deliberately does not decrypt: a protected frame carries nothing that could be read.

use crate::net::bytes::Rest;
use crate::net::bytes::u8_at;
use crate::net::bytes::u16_at;
use crate::net::bytes::u32_at;
use crate::net::link::Layer;

/// Whether zeros fill the header up to a multiple of four bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Padding {
    None,
    ToFour,
}

/// A frame from its frame control on.
pub(super) fn frame(rest: Rest<'_>) -> Option<(Layer, Rest<'_>)> {
    data(rest, Padding::None)
}

/// A frame as access points tunnel it: Cisco's have the two bytes of frame control in the other order.
pub(super) fn tunnelled(rest: Rest<'_>) -> Option<(Layer, Rest<'_>)> {
    let [first, second] = *rest.bytes.first_chunk()?;
    // Versions other than 0 do not occur.
    let control = if first & 0x03 == 0 && first & 0x0F != 0 { [first, second] } else { [second, first] };
    data_of(control, rest, Padding::None)
}

/// The same behind a radiotap header.
pub(super) fn radiotap(rest: Rest<'_>) -> Option<(Layer, Rest<'_>)> {
    const PADDED: u8 = 0x20;
    let [0, _, low, high] = *rest.bytes.first_chunk()? else { return None };
    let length = usize::from(u16::from_le_bytes([low, high]));
    let header = rest.bytes.get(..length)?;
    let padding = if flags(header).unwrap_or(0) & PADDED != 0 { Padding::ToFour } else { Padding::None };
    data(rest.skip(length)?, padding)
}

/// The flags of a radiotap header: field 1, behind the clock of eight bytes, which is aligned to eight.
fn flags(header: &[u8]) -> Option<u8> {
    const MORE: u32 = 1 << 31;
    let word = |at: usize| header.get(at..)?.first_chunk().copied().map(u32::from_le_bytes);
    let first = word(4)?;
    let mut end: usize = 8;
    let mut last = first;
    while last & MORE != 0 {
        last = word(end)?;
        end = end.checked_add(4)?;
    }
    if first & 2 == 0 {
        return None;
    }
    if first & 1 != 0 {
        end = end.checked_next_multiple_of(8)?.checked_add(8)?;
    }
    u8_at(header, end)
}

/// IEEE 802.11-2020 §9.2, §9.3.2.
fn data(rest: Rest<'_>, padding: Padding) -> Option<(Layer, Rest<'_>)> {
    data_of(*rest.bytes.first_chunk()?, rest, padding)
}

/// The same with the two bytes of its frame control.
fn data_of([control, flags]: [u8; 2], rest: Rest<'_>, padding: Padding) -> Option<(Layer, Rest<'_>)> {
    const TO_AND_FROM: u8 = 0x03;
    const PROTECTED: u8 = 0x40;
    const HIGH_THROUGHPUT: u8 = 0x80;
    const QOS: u8 = 0x80;
    const WITHOUT_DATA: u8 = 0x40;
    const AGGREGATE: u8 = 0x80;
    let is_data = control & 0x0F == 0x08 && control & WITHOUT_DATA == 0;
    if !is_data || flags & PROTECTED != 0 {
        return None;
    }
    let mut length: usize = if flags & TO_AND_FROM == TO_AND_FROM { 30 } else { 24 };
    let mut is_aggregate = false;
    if control & QOS != 0 {
        is_aggregate = u8_at(rest.bytes, length)? & AGGREGATE != 0;
        length = length.checked_add(if flags & HIGH_THROUGHPUT != 0 { 6 } else { 2 })?;
    }
    if padding == Padding::ToFour {
        length = length.checked_next_multiple_of(4)?;
    }
    let behind = rest.skip(length)?;
    if is_aggregate { Some((Layer::Aggregate, behind)) } else { Some((Layer::Llc, behind)) }
}

/// The frames of an aggregate: each has two addresses and a length before it, as in IEEE 802.3, and all but the last
/// are filled up to a multiple of four bytes (IEEE 802.11-2020 §9.3.2.2).
pub(super) fn parts(mut rest: Rest<'_>) -> impl Iterator<Item = Rest<'_>> {
    const HEADER: usize = 14;
    std::iter::from_fn(move || {
        let length = usize::from(u16_at(rest.bytes, HEADER.checked_sub(2)?)?).checked_add(HEADER)?;
        let part = rest.limit(length);
        rest = rest.skip(length.checked_next_multiple_of(4)?).unwrap_or(Rest::whole(&[]));
        Some(part)
    })
}

/// The two radio headers that were in use before radiotap: Prism's, whose length is in the order of the host, and AVS.
pub(super) fn older_radio(rest: Rest<'_>) -> Option<(Layer, Rest<'_>)> {
    const AVS: u32 = 0x8021_1001;
    let said = u32_at(rest.bytes, 4)?;
    let length = if u32_at(rest.bytes, 0)? == AVS { said } else { said.min(said.swap_bytes()) };
    frame(rest.skip(usize::try_from(length).ok()?)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SNAP: [u8; 9] = [0xAA, 0xAA, 3, 0, 0, 0, 8, 0, 0x45];

    fn found(bytes: &[u8]) -> Option<(Layer, Vec<u8>)> {
        frame(Rest::whole(bytes)).map(|(layer, rest)| (layer, rest.bytes.to_vec()))
    }

    #[test]
    fn headers_of_every_length() {
        for (control, flags, length) in [(0x08, 1, 24), (0x08, 2, 24), (0x08, 3, 30), (0x88, 1, 26), (0x88, 0x83, 36)] {
            let head = [&[control, flags][..], &vec![0; length - 2], &SNAP].concat();
            assert_eq!(found(&head), Some((Layer::Llc, SNAP.to_vec())), "{control:x} {flags:x}");
        }
    }

    #[test]
    fn a_tunnelled_frame_may_have_its_frame_control_in_the_other_order() {
        for control in [[0x08, 1], [1, 0x08], [0x88, 2], [2, 0x88], [0, 0x08]] {
            let length = if control.contains(&0x88) { 24 } else { 22 };
            let bytes = [&control[..], &vec![0; length], &SNAP].concat();
            let found = tunnelled(Rest::whole(&bytes)).map(|(layer, rest)| (layer, rest.bytes.to_vec()));
            assert_eq!(found, Some((Layer::Llc, SNAP.to_vec())), "{control:x?}");
        }
    }

    #[test]
    fn what_carries_no_data_or_is_protected_is_passed_over() {
        for (control, flags) in [(0x80, 0), (0x48, 1), (0xC8, 1), (0xB4, 0), (0x08, 0x41)] {
            assert_eq!(found(&[&[control, flags][..], &[0; 40]].concat()), None, "{control:x} {flags:x}");
        }
    }

    #[test]
    fn radiotap_says_whether_the_header_is_padded() {
        // The clock and the flags are there, and two words say what is.
        let head = [&[0, 0, 25, 0][..], &[3, 0, 0, 0x80], &[0; 4], &[0; 4], &[7; 8], &[0x20]].concat();
        assert_eq!(head.len(), 25);
        let frame = [&head[..], &[0x88, 1], &[0; 24], &[0; 2], &SNAP].concat();
        let (layer, rest) = radiotap(Rest::whole(&frame)).unwrap();
        assert_eq!((layer, rest.bytes), (Layer::Llc, &SNAP[..]));
        assert_eq!(radiotap(Rest::whole(&[1, 0, 8, 0, 0, 0, 0, 0])), None);
    }
}
