//! From frames to a capture file: pcap, or pcapng where the story needs what only that can say.

use crate::capture::Timestamp;
use crate::story::script::Recording;
use crate::story::wire::Frame;

/// Ethernet, as <https://www.tcpdump.org/linktypes.html> numbers it.
const ETHERNET: u32 = 1;

/// What tcpdump writes if nothing is cut.
const WHOLE: u32 = 262_144;

/// The bytes of a capture file.
pub(super) fn write(frames: &[Frame], start: Timestamp, recording: &Recording) -> Vec<u8> {
    match recording.drops {
        None => pcap(frames, start, recording.snaplen.unwrap_or(WHOLE)),
        Some(drops) => pcapng(frames, start, recording.snaplen.unwrap_or(WHOLE), drops),
    }
}

fn pcap(frames: &[Frame], start: Timestamp, snaplen: u32) -> Vec<u8> {
    let mut file = Vec::new();
    file.extend_from_slice(&0xa1b2_c3d4_u32.to_le_bytes());
    file.extend_from_slice(&2_u16.to_le_bytes());
    file.extend_from_slice(&4_u16.to_le_bytes());
    file.extend_from_slice(&[0; 8]);
    file.extend_from_slice(&snaplen.to_le_bytes());
    file.extend_from_slice(&ETHERNET.to_le_bytes());
    for frame in frames {
        let micros = absolute(frame, start);
        let kept = kept(frame, snaplen);
        file.extend_from_slice(&low32(micros / 1_000_000).to_le_bytes());
        file.extend_from_slice(&low32(micros % 1_000_000).to_le_bytes());
        file.extend_from_slice(&low32(kept.len() as u64).to_le_bytes());
        file.extend_from_slice(&low32(frame.bytes.len() as u64).to_le_bytes());
        file.extend_from_slice(kept);
    }
    file
}

/// A section header, one interface, packets, and the interface's statistics with what it dropped.
fn pcapng(frames: &[Frame], start: Timestamp, snaplen: u32, drops: u64) -> Vec<u8> {
    let mut file = Vec::new();
    let mut section = Vec::new();
    section.extend_from_slice(&0x1a2b_3c4d_u32.to_le_bytes());
    section.extend_from_slice(&[1, 0, 0, 0]);
    section.extend_from_slice(&u64::MAX.to_le_bytes());
    block(&mut file, 0x0a0d_0d0a, &section);
    let mut interface = Vec::new();
    interface.extend_from_slice(&ETHERNET.to_le_bytes());
    interface.extend_from_slice(&snaplen.to_le_bytes());
    block(&mut file, 1, &interface);
    for frame in frames {
        let kept = kept(frame, snaplen);
        let mut packet = vec![0; 4];
        stamp(&mut packet, absolute(frame, start));
        packet.extend_from_slice(&low32(kept.len() as u64).to_le_bytes());
        packet.extend_from_slice(&low32(frame.bytes.len() as u64).to_le_bytes());
        packet.extend_from_slice(kept);
        block(&mut file, 6, &packet);
    }
    let mut statistics = vec![0; 4];
    stamp(&mut statistics, frames.last().map_or(0, |frame| absolute(frame, start)));
    // isb_ifrecv and isb_ifdrop, then the end of options.
    for (code, value) in [(4_u16, (frames.len() as u64).saturating_add(drops)), (5, drops)] {
        statistics.extend_from_slice(&code.to_le_bytes());
        statistics.extend_from_slice(&8_u16.to_le_bytes());
        statistics.extend_from_slice(&value.to_le_bytes());
    }
    statistics.extend_from_slice(&[0; 4]);
    block(&mut file, 5, &statistics);
    file
}

/// A block: type, length, body padded to four bytes, length again.
fn block(file: &mut Vec<u8>, kind: u32, body: &[u8]) {
    let padding = body.len().next_multiple_of(4) - body.len();
    let length = low32((12 + body.len() + padding) as u64).to_le_bytes();
    file.extend_from_slice(&kind.to_le_bytes());
    file.extend_from_slice(&length);
    file.extend_from_slice(body);
    file.extend(std::iter::repeat_n(0, padding));
    file.extend_from_slice(&length);
}

/// High half first, as pcapng has it.
fn stamp(block: &mut Vec<u8>, micros: u64) {
    block.extend_from_slice(&low32(micros >> 32).to_le_bytes());
    block.extend_from_slice(&low32(micros).to_le_bytes());
}

fn absolute(frame: &Frame, start: Timestamp) -> u64 {
    u64::try_from(start.0 / 1_000 + frame.time).unwrap_or(0)
}

fn kept(frame: &Frame, snaplen: u32) -> &[u8] {
    &frame.bytes[..frame.bytes.len().min(snaplen as usize)]
}

fn low32(number: u64) -> u32 {
    u32::try_from(number & 0xffff_ffff).unwrap_or(0)
}
