//! Writes a capture anew as pcapng, packet by packet as it was, with comments on frames and on the section.
//!
//! Is given an input and what to remark on it. Blocks of a pcapng file are copied as they stand, known or not; only the
//! options of packets that get a comment grow, and section headers, whose length is then left open. Packets of other
//! formats become enhanced packet blocks. Deliberately does not know what a comment says.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use crate::capture::Error;
use crate::capture::Input;
use crate::capture::Packet;
use crate::capture::Source;
use crate::capture::blocks::Blocks;
use crate::capture::files::{Files, Reading};
use crate::capture::interface::options_are_sound;
use crate::capture::order::{Order, length};
use crate::capture::stored::{Between, Digest, Stored};
use crate::capture::unpacked::Unpacked;

const SECTION_HEADER: u32 = 0x0a0d_0d0a;
const INTERFACE_DESCRIPTION: u32 = 1;
const OLD_PACKET: u32 = 2;
const SIMPLE_PACKET: u32 = 3;
const ENHANCED_PACKET: u32 = 6;
/// Blocks that are numbered among the frames, as Wireshark does.
const NUMBERED: [u32; 6] = [OLD_PACKET, SIMPLE_PACKET, ENHANCED_PACKET, 9, 0xbad, 0x4000_0bad];
const BYTE_ORDER_MAGIC: u32 = 0x1a2b_3c4d;
/// The option that holds a comment.
const COMMENT: u16 = 1;
/// The option that names the program that wrote a section.
const APPLICATION: u16 = 4;
/// The option that tells the resolution of times.
const RESOLUTION: u16 = 9;
/// Bytes of a block, beyond which its length is taken for damage.
const BLOCK_LIMIT: u32 = 128 << 20;
/// Bytes of one comment: an option has no room for more.
const COMMENT_LIMIT: usize = 60_000;

/// What is written beside the packets of one input.
#[derive(Debug, Clone, Default)]
pub struct Remarks {
    /// The comment of the first section; empty for none.
    pub summary: String,
    /// Comments by the number of the frame.
    pub of_frames: BTreeMap<u64, Vec<String>>,
    /// The frames that are written; `None` for all.
    pub chosen: Option<BTreeSet<u64>>,
}

/// What came of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Copied {
    /// Packets written.
    pub packets: u64,
    /// Comments that found no place: the kind of block knows none, its options are broken, or it was not reached.
    pub homeless: u64,
    /// True if the input is damaged, so that what follows the damage is missing.
    pub is_cut: bool,
}

/// Writes one input as pcapng.
///
/// # Errors
/// The input cannot be read, or the output not be written.
pub fn annotate(path: &Path, reading: Reading, remarks: &Remarks, out: &mut dyn Write) -> io::Result<Copied> {
    let stored = Stored::open(path, Digest::Unasked, Between::Open)?;
    let mut input = Unpacked::new(stored, reading)?;
    let mut head = [0; 12];
    let had = read_up_to(&mut input, &mut head)?;
    let mut copy = Copy { out, remarks, copied: Copied::default(), placed: 0 };
    if Blocks::recognises(head.get(..had).unwrap_or_default()) {
        copy.blocks(&mut head.as_slice().chain(input))?;
    } else {
        drop(input);
        copy.packets(path.to_owned(), reading)?;
    }
    let comments = remarks.of_frames.values().map(|comments| comments.len() as u64).sum::<u64>();
    copy.copied.homeless = comments.saturating_sub(copy.placed);
    Ok(copy.copied)
}

/// A section that we write ourselves, with its interfaces by link type.
pub struct Made<'a> {
    copy: Copy<'a>,
    section: Section,
}

/// Packets without a remark.
static NOTHING: Remarks = Remarks { summary: String::new(), of_frames: BTreeMap::new(), chosen: None };

impl<'a> Made<'a> {
    /// Begins a capture of packets that were made, with times in nanoseconds.
    ///
    /// # Errors
    /// What the output says.
    pub fn begin(out: &'a mut dyn Write) -> io::Result<Made<'a>> {
        let mut copy = Copy { out, remarks: &NOTHING, copied: Copied::default(), placed: 0 };
        copy.begin_section()?;
        Ok(Made { copy, section: Section { links: Vec::new(), nanoseconds: true } })
    }

    /// Writes one packet.
    ///
    /// # Errors
    /// What the output says.
    pub fn packet(&mut self, packet: &Packet<'_>) -> io::Result<()> {
        self.copy.packet(packet, &mut self.section)
    }
}

struct Section {
    links: Vec<u32>,
    nanoseconds: bool,
}

struct Copy<'a> {
    out: &'a mut dyn Write,
    remarks: &'a Remarks,
    copied: Copied,
    placed: u64,
}

impl Copy<'_> {
    /// Copies the blocks of a pcapng file.
    fn blocks(&mut self, input: &mut dyn Read) -> io::Result<()> {
        let mut order = Order::Little;
        let mut number = 0_u64;
        let mut is_first = true;
        loop {
            let mut block = vec![0; 12];
            let had = read_up_to(input, &mut block)?;
            if had == 0 {
                return Ok(());
            }
            let Some((kind, len)) = head(&block, had, &mut order) else { return self.cut() };
            block.resize(length(len), 0);
            let rest = block.get_mut(12..).unwrap_or_default();
            let wanted = rest.len();
            if read_up_to(input, rest)? < wanted {
                return self.cut();
            }
            if kind == SECTION_HEADER {
                let summary = if std::mem::replace(&mut is_first, false) { self.remarks.summary.as_str() } else { "" };
                let block = section(&block, order, summary);
                self.out.write_all(&block)?;
                continue;
            }
            if !NUMBERED.contains(&kind) {
                self.out.write_all(&block)?;
                continue;
            }
            number = number.saturating_add(1);
            if self.remarks.chosen.as_ref().is_some_and(|chosen| !chosen.contains(&number)) {
                continue;
            }
            self.copied.packets = self.copied.packets.saturating_add(1);
            let commented = match (kind, self.remarks.of_frames.get(&number)) {
                (ENHANCED_PACKET | OLD_PACKET, Some(comments)) => with_comments(&block, order, comments)
                    .inspect(|_| self.placed = self.placed.saturating_add(comments.len() as u64)),
                _ => None,
            };
            self.out.write_all(commented.as_deref().unwrap_or(&block))?;
        }
    }

    fn cut(&mut self) -> io::Result<()> {
        self.copied.is_cut = true;
        Ok(())
    }

    /// Writes the packets of a file of another format.
    fn packets(&mut self, path: PathBuf, reading: Reading) -> io::Result<()> {
        let reading = Reading { digest: Digest::Unasked, ..reading };
        let mut files = Files::open(&[path], reading).map_err(io::Error::other)?;
        let nanoseconds = files.inputs().iter().any(|input| input.nanoseconds);
        let mut section = Section { links: Vec::new(), nanoseconds };
        self.begin_section()?;
        while let Some(input) = files.next().map_err(|error: Error| io::Error::other(error))? {
            let Input::Packet(packet) = input else { continue };
            let is_chosen = self.remarks.chosen.as_ref().is_none_or(|chosen| chosen.contains(&packet.number));
            if is_chosen {
                self.packet(&packet, &mut section)?;
            }
        }
        Ok(())
    }

    fn begin_section(&mut self) -> io::Result<()> {
        let mut body = Vec::new();
        body.extend_from_slice(&BYTE_ORDER_MAGIC.to_le_bytes());
        body.extend_from_slice(&[1, 0, 0, 0]);
        body.extend_from_slice(&u64::MAX.to_le_bytes());
        let program = concat!(env!("CARGO_PKG_NAME"), " ", env!("CARGO_PKG_VERSION"));
        put_option(&mut body, Order::Little, APPLICATION, program.as_bytes());
        if !self.remarks.summary.is_empty() {
            put_option(&mut body, Order::Little, COMMENT, fitting(&self.remarks.summary).as_bytes());
        }
        put_option(&mut body, Order::Little, 0, &[]);
        self.block(SECTION_HEADER, &body)
    }

    fn packet(&mut self, packet: &Packet<'_>, section: &mut Section) -> io::Result<()> {
        let interface = match section.links.iter().position(|link| *link == packet.link.0) {
            Some(known) => known,
            None => {
                self.describe(packet.link.0, if section.nanoseconds { 9 } else { 6 })?;
                section.links.push(packet.link.0);
                section.links.len().saturating_sub(1)
            }
        };
        let units = if section.nanoseconds { 1 } else { 1000 };
        // Times before 1970 do not exist in a capture; what claims one is written as 0.
        let ticks = u64::try_from(packet.time.0.div_euclid(units)).unwrap_or(0);
        let kept = u32::try_from(packet.bytes.len()).unwrap_or(u32::MAX);
        let mut body = Vec::with_capacity(packet.bytes.len().saturating_add(64));
        let fields = [
            u32::try_from(interface).unwrap_or(u32::MAX),
            u32::try_from(ticks >> 32).unwrap_or(0),
            u32::try_from(ticks & 0xffff_ffff).unwrap_or(0),
            kept,
            packet.original_len,
        ];
        for field in fields {
            body.extend_from_slice(&field.to_le_bytes());
        }
        body.extend_from_slice(packet.bytes);
        body.resize(body.len().next_multiple_of(4), 0);
        if let Some(comments) = self.remarks.of_frames.get(&packet.number) {
            for comment in comments {
                put_option(&mut body, Order::Little, COMMENT, fitting(comment).as_bytes());
                self.placed = self.placed.saturating_add(1);
            }
            put_option(&mut body, Order::Little, 0, &[]);
        }
        self.copied.packets = self.copied.packets.saturating_add(1);
        self.block(ENHANCED_PACKET, &body)
    }

    fn describe(&mut self, link: u32, digits: u8) -> io::Result<()> {
        let mut body = Vec::new();
        body.extend_from_slice(&u16::try_from(link).unwrap_or(u16::MAX).to_le_bytes());
        body.extend_from_slice(&[0; 6]);
        put_option(&mut body, Order::Little, RESOLUTION, &[digits]);
        put_option(&mut body, Order::Little, 0, &[]);
        self.block(INTERFACE_DESCRIPTION, &body)
    }

    fn block(&mut self, kind: u32, body: &[u8]) -> io::Result<()> {
        let len = u32::try_from(body.len().saturating_add(12)).map_err(|_| io::ErrorKind::FileTooLarge)?;
        self.out.write_all(&kind.to_le_bytes())?;
        self.out.write_all(&len.to_le_bytes())?;
        self.out.write_all(body)?;
        self.out.write_all(&len.to_le_bytes())
    }
}

/// Type and length of a block from its first 12 bytes; `None` if they cannot be right.
fn head(bytes: &[u8], had: usize, order: &mut Order) -> Option<(u32, u32)> {
    if had < 12 {
        return None;
    }
    let kind = order.u32(bytes, 0)?;
    if kind == SECTION_HEADER {
        *order = match Order::Little.u32(bytes, 8) {
            Some(BYTE_ORDER_MAGIC) => Order::Little,
            _ if Order::Big.u32(bytes, 8) == Some(BYTE_ORDER_MAGIC) => Order::Big,
            _ => return None,
        };
    }
    let len = order.u32(bytes, 4)?;
    (len >= 12 && len % 4 == 0 && len <= BLOCK_LIMIT).then_some((kind, len))
}

/// A section header with a comment more, and without a length: what follows may have grown.
fn section(block: &[u8], order: Order, summary: &str) -> Vec<u8> {
    const FIXED: usize = 24;
    let end = block.len().saturating_sub(4);
    let options = block.get(FIXED..end).unwrap_or_default();
    if block.len() < FIXED + 4 || !options_are_sound(options, order) {
        return block.to_vec();
    }
    let mut body = block.get(..16).unwrap_or_default().to_vec();
    body.extend_from_slice(&[0xff; 8]);
    body.extend_from_slice(without_end(options, order));
    if !summary.is_empty() {
        put_option(&mut body, order, COMMENT, fitting(summary).as_bytes());
    }
    put_option(&mut body, order, 0, &[]);
    closed(body, order)
}

/// A packet with comments more; `None` where its options cannot be read.
fn with_comments(block: &[u8], order: Order, comments: &[String]) -> Option<Vec<u8>> {
    const FIXED: usize = 28;
    let kept = length(order.u32(block, 20)?);
    let start = FIXED.checked_add(kept.checked_next_multiple_of(4)?)?;
    let options = block.get(start..block.len().checked_sub(4)?)?;
    if !options_are_sound(options, order) {
        return None;
    }
    let mut body = block.get(..start)?.to_vec();
    body.extend_from_slice(without_end(options, order));
    for comment in comments {
        put_option(&mut body, order, COMMENT, fitting(comment).as_bytes());
    }
    put_option(&mut body, order, 0, &[]);
    Some(closed(body, order))
}

/// Options up to the one that ends them.
fn without_end(options: &[u8], order: Order) -> &[u8] {
    let mut at = 0_usize;
    while let (Some(code), Some(len)) = (order.u16(options, at), order.u16(options, at.saturating_add(2))) {
        if code == 0 {
            break;
        }
        at = at.saturating_add(4).saturating_add(usize::from(len).next_multiple_of(4));
    }
    options.get(..at.min(options.len())).unwrap_or_default()
}

/// The block with its length behind it, and before.
fn closed(mut body: Vec<u8>, order: Order) -> Vec<u8> {
    let len = u32::try_from(body.len().saturating_add(4)).unwrap_or(u32::MAX);
    let len = match order {
        Order::Little => len.to_le_bytes(),
        Order::Big => len.to_be_bytes(),
    };
    body.extend_from_slice(&len);
    if let Some(place) = body.get_mut(4..8) {
        place.copy_from_slice(&len);
    }
    body
}

fn put_option(body: &mut Vec<u8>, order: Order, code: u16, value: &[u8]) {
    let len = u16::try_from(value.len()).unwrap_or(u16::MAX);
    for number in [code, len] {
        body.extend_from_slice(&match order {
            Order::Little => number.to_le_bytes(),
            Order::Big => number.to_be_bytes(),
        });
    }
    body.extend_from_slice(value.get(..usize::from(len)).unwrap_or_default());
    body.resize(body.len().next_multiple_of(4), 0);
}

/// A comment that an option has room for.
fn fitting(comment: &str) -> &str {
    let mut end = comment.len().min(COMMENT_LIMIT);
    while !comment.is_char_boundary(end) {
        end = end.saturating_sub(1);
    }
    comment.get(..end).unwrap_or_default()
}

/// Reads until the buffer is full or the input ends.
fn read_up_to(input: &mut (impl Read + ?Sized), buffer: &mut [u8]) -> io::Result<usize> {
    let mut had = 0;
    while let Some(rest) = buffer.get_mut(had..).filter(|rest| !rest.is_empty()) {
        match input.read(rest) {
            Ok(0) => break,
            Ok(count) => had = had.saturating_add(count),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            // A packed file that is cut short ends here; its reader has told so in the report.
            Err(_) if had > 0 => break,
            Err(error) => return Err(error),
        }
    }
    Ok(had)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn block(order: Order, kind: u32, body: &[u8]) -> Vec<u8> {
        let number = |number: u32| match order {
            Order::Little => number.to_le_bytes(),
            Order::Big => number.to_be_bytes(),
        };
        let len = number(u32::try_from(body.len() + 12).unwrap());
        [&number(kind)[..], &len, body, &len].concat()
    }

    fn header(order: Order) -> Vec<u8> {
        let (magic, version) = match order {
            Order::Little => (BYTE_ORDER_MAGIC.to_le_bytes(), [1, 0, 0, 0]),
            Order::Big => (BYTE_ORDER_MAGIC.to_be_bytes(), [0, 1, 0, 0]),
        };
        block(order, SECTION_HEADER, &[&magic[..], &version, &[0xff; 8]].concat())
    }

    fn enhanced(order: Order, payload: &[u8], options: &[u8]) -> Vec<u8> {
        let number = |number: u32| match order {
            Order::Little => number.to_le_bytes(),
            Order::Big => number.to_be_bytes(),
        };
        let len = number(u32::try_from(payload.len()).unwrap());
        let mut body = [&number(0)[..], &number(1), &number(2), &len, &len, payload].concat();
        body.resize(body.len().next_multiple_of(4), 0);
        body.extend_from_slice(options);
        block(order, ENHANCED_PACKET, &body)
    }

    fn copied(input: &[u8], remarks: &Remarks) -> (Vec<u8>, Copied) {
        let mut out = Vec::new();
        let mut copy = Copy { out: &mut out, remarks, copied: Copied::default(), placed: 0 };
        copy.blocks(&mut &*input).unwrap();
        let copied = copy.copied;
        (out, copied)
    }

    fn remarks(frame: u64) -> Remarks {
        let of_frames = BTreeMap::from([(frame, vec!["sipwhy [x] y".to_owned()])]);
        Remarks { of_frames, ..Remarks::default() }
    }

    #[test]
    fn what_needs_no_comment_is_copied_byte_for_byte_in_both_orders() {
        for order in [Order::Little, Order::Big] {
            let unknown = block(order, 0x7777, &[1, 2, 3, 4]);
            let rest = [unknown, enhanced(order, b"abcde", &[]), block(order, 0xbad, &[0; 8])].concat();
            let (out, copied) = copied(&[header(order), rest.clone()].concat(), &Remarks::default());
            assert!(out.ends_with(&rest));
            assert_eq!((copied.packets, copied.is_cut), (2, false));
        }
    }

    #[test]
    fn a_comment_is_added_behind_the_options_that_are_there() {
        for order in [Order::Little, Order::Big] {
            let mut options = Vec::new();
            put_option(&mut options, order, 0x8123, b"unknown");
            put_option(&mut options, order, 0, &[]);
            let first = enhanced(order, b"abc", &options);
            let input = [header(order), first.clone(), enhanced(order, b"xyz", &[])].concat();
            let (out, _) = copied(&input, &remarks(1));
            let at = header(order).len() + 4;
            let changed = &out[at..];
            let len = length(order.u32(changed, 4).unwrap());
            assert_eq!(&changed[8..first.len() - 8], &first[8..first.len() - 8]);
            assert!(changed[..len].windows(12).any(|bytes| bytes == b"sipwhy [x] y"));
            assert_eq!(order.u32(changed, len - 4), order.u32(changed, 4));
            assert!(out.ends_with(&enhanced(order, b"xyz", &[])));
        }
    }

    #[test]
    fn a_block_with_broken_options_stays_as_it_is() {
        let broken = enhanced(Order::Little, b"abcd", &[1, 0, 0xff, 0xff]);
        let (out, _) = copied(&[header(Order::Little), broken.clone()].concat(), &remarks(1));
        assert!(out.ends_with(&broken));
    }

    #[test]
    fn damage_ends_the_copy_and_is_told() {
        let whole = [header(Order::Little), enhanced(Order::Little, b"abcd", &[])].concat();
        let (out, copied) = copied(&[whole.clone(), vec![6, 0, 0, 0, 9]].concat(), &Remarks::default());
        assert_eq!((copied.packets, copied.is_cut), (1, true));
        assert_eq!(out.len(), whole.len() + 4);
    }

    #[test]
    fn only_chosen_frames_are_written() {
        let frames = [b"aaaa", b"bbbb", b"cccc"].map(|bytes| enhanced(Order::Little, bytes, &[]));
        let remarks = Remarks { chosen: Some(BTreeSet::from([2])), ..Remarks::default() };
        let (out, copied) = copied(&[header(Order::Little), frames.concat()].concat(), &remarks);
        assert!(out.ends_with(&frames[1]) && !out.windows(4).any(|bytes| bytes == b"aaaa" || bytes == b"cccc"));
        assert_eq!(copied.packets, 1);
    }
}
