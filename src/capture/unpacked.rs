//! The bytes of a capture behind its compression, if it has any.
//!
//! Is given stored bytes and recognises gzip, zstd and lz4 by their first ones. Gives what is in them, up to a limit:
//! a small file can unpack to any size.

use std::error;
use std::fmt;
use std::io;
use std::io::BufRead as _;
use std::io::BufReader;
use std::io::Read;
use std::panic;
use std::panic::AssertUnwindSafe;

use flate2::bufread::MultiGzDecoder;
use lz4_flex::frame::FrameDecoder as Lz4Decoder;
use ruzstd::decoding::BlockDecodingStrategy;
use ruzstd::decoding::FrameDecoder as ZstdDecoder;
use ruzstd::decoding::errors::FrameDecoderError;
use ruzstd::decoding::errors::ReadFrameHeaderError;

use crate::capture::files::Reading;
use crate::capture::stored::Stored;

/// Unpacked bytes from which on the ratio is looked at: below, a bomb does no harm. SIP and RTP unpack to 3 to 30 bytes
/// for each stored one; bombs to 1000 (gzip) up to 30 000 (zstd).
const RATIO_FROM: u64 = 256 << 20;

/// A last block of zstd that holds nothing, and room for a checksum behind it (RFC 8878 §3.1.1).
const LAST_BLOCK: &[u8] = &[1, 0, 0, 0, 0, 0, 0];

/// Stored bytes that are read at a time.
const PIECE: usize = 1 << 16;

/// How a file is compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Packing {
    Plain,
    Gzip,
    Zstd,
    Lz4,
}

impl Packing {
    /// What the first four bytes of a file tell.
    pub(super) fn of(head: &[u8]) -> Packing {
        match head {
            [0x1f, 0x8b, ..] => Packing::Gzip,
            [0x28, 0xb5, 0x2f, 0xfd, ..] => Packing::Zstd,
            [0x04, 0x22, 0x4d, 0x18, ..] | [0x02, 0x21, 0x4c, 0x18, ..] => Packing::Lz4,
            // Skippable frames are common to zstd and lz4; a file that begins with one comes from zstd's tools.
            [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..] => Packing::Zstd,
            _ => Packing::Plain,
        }
    }

    /// Its name; empty if it is none.
    pub(super) fn name(self) -> &'static str {
        match self {
            Packing::Plain => "",
            Packing::Gzip => "gzip",
            Packing::Zstd => "zstd",
            Packing::Lz4 => "lz4",
        }
    }
}

/// Unpacking stopped after so many bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct LimitReached(pub(super) u64);

impl fmt::Display for LimitReached {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "unpacking stopped after {} bytes", self.0)
    }
}

impl error::Error for LimitReached {}

/// A reader of what is in a file.
pub(super) struct Unpacked {
    packing: Packing,
    stream: Stream,
    bytes: u64,
    limits: Reading,
}

enum Stream {
    Plain(Box<Stored>),
    Gzip(Box<MultiGzDecoder<BufReader<Stored>>>),
    Zstd(Box<Zstd>),
    Lz4(Box<Lz4Decoder<BufReader<Stored>>>),
}

struct Zstd {
    decoder: ZstdDecoder,
    source: BufReader<Stored>,
    frames: u64,
    /// The stream ended within a frame.
    was_cut: bool,
}

impl Unpacked {
    /// Looks at the first bytes; `limits` bound what compressed bytes may unpack to.
    pub(super) fn new(mut stored: Stored, limits: Reading) -> io::Result<Unpacked> {
        let packing = Packing::of(stored.head(4)?);
        let stream = match packing {
            Packing::Plain => Stream::Plain(Box::new(stored)),
            Packing::Gzip => Stream::Gzip(Box::new(MultiGzDecoder::new(BufReader::with_capacity(PIECE, stored)))),
            Packing::Zstd => Stream::Zstd(Box::new(Zstd {
                decoder: ZstdDecoder::new(),
                source: BufReader::with_capacity(PIECE, stored),
                frames: 0,
                was_cut: false,
            })),
            Packing::Lz4 => Stream::Lz4(Box::new(Lz4Decoder::new(BufReader::with_capacity(PIECE, stored)))),
        };
        Ok(Unpacked { packing, stream, bytes: 0, limits })
    }

    /// How it is compressed.
    pub(super) fn packing(&self) -> Packing {
        self.packing
    }

    /// The stored bytes beneath.
    pub(super) fn stored(&self) -> &Stored {
        match &self.stream {
            Stream::Plain(stored) => stored,
            Stream::Gzip(decoder) => decoder.get_ref().get_ref(),
            Stream::Zstd(zstd) => zstd.source.get_ref(),
            Stream::Lz4(decoder) => decoder.get_ref().get_ref(),
        }
    }

    /// The stored bytes beneath. Reading them here ends the unpacking.
    pub(super) fn stored_mut(&mut self) -> &mut Stored {
        match &mut self.stream {
            Stream::Plain(stored) => stored,
            Stream::Gzip(decoder) => decoder.get_mut().get_mut(),
            Stream::Zstd(zstd) => zstd.source.get_mut(),
            Stream::Lz4(decoder) => decoder.get_mut().get_mut(),
        }
    }

    /// Bytes that may still be unpacked; none if a bomb is at work.
    fn room(&self) -> u64 {
        if is_bomb(self.bytes, self.stored().bytes_read(), self.limits.unpacked_ratio) {
            return 0;
        }
        self.limits.unpacked_limit.saturating_sub(self.bytes)
    }

    fn unpack(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let stream = &mut self.stream;
        let count = outliving_faults(|| match stream {
            Stream::Plain(stored) => stored.read(buffer),
            Stream::Gzip(decoder) => decoder.read(buffer),
            Stream::Zstd(zstd) => zstd.read(buffer),
            Stream::Lz4(decoder) => read_lz4(decoder, buffer),
        });
        count.map_err(|error| self.say_what(error))
    }
}

/// Reads with a library that may have a fault of its own: what a damaged stream does to it costs the rest of that
/// stream, and not the report of what was read before.
fn outliving_faults(read: impl FnOnce() -> io::Result<usize>) -> io::Result<usize> {
    panic::catch_unwind(AssertUnwindSafe(read))
        .unwrap_or_else(|_| Err(io::Error::other("the program failed to unpack it")))
}

/// True if so few stored bytes cannot hold so many honest ones.
fn is_bomb(unpacked: u64, stored: u64, ratio: u64) -> bool {
    unpacked > RATIO_FROM && unpacked > stored.saturating_mul(ratio)
}

impl Read for Unpacked {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if let Stream::Plain(stored) = &mut self.stream {
            return stored.read(buffer);
        }
        let room = usize::try_from(self.room()).unwrap_or(usize::MAX);
        if room == 0 {
            // The stream may end just here.
            return match self.unpack(&mut [0])? {
                0 => Ok(0),
                _ => Err(io::Error::other(LimitReached(self.bytes))),
            };
        }
        let wanted = buffer.len().min(room);
        let count = self.unpack(buffer.get_mut(..wanted).unwrap_or_default())?;
        self.bytes = self.bytes.saturating_add(count as u64);
        Ok(count)
    }
}

impl Unpacked {
    fn say_what(&self, error: io::Error) -> io::Error {
        let name = self.packing.name();
        match error.kind() {
            io::ErrorKind::Interrupted => error,
            io::ErrorKind::UnexpectedEof => io::Error::other(format!("the {name} stream is cut short (truncated)")),
            _ => io::Error::other(format!("the {name} stream is corrupt: {error}")),
        }
    }
}

/// Reads on over the end of a frame: concatenated frames are one stream.
fn read_lz4(decoder: &mut Lz4Decoder<BufReader<Stored>>, buffer: &mut [u8]) -> io::Result<usize> {
    loop {
        let count = decoder.read(buffer)?;
        if count > 0 || decoder.get_mut().fill_buf()?.is_empty() {
            return Ok(count);
        }
    }
}

impl Read for Zstd {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            if self.decoder.can_collect() > 0 {
                return self.decoder.read(buffer);
            }
            if self.was_cut {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            if !self.decoder.is_finished() {
                self.unpack_block()?;
                continue;
            }
            self.check_frame()?;
            if self.source.fill_buf()?.is_empty() {
                return Ok(0);
            }
            self.start_frame()?;
        }
    }
}

impl Zstd {
    fn unpack_block(&mut self) -> io::Result<()> {
        let unpacked = self.decoder.decode_blocks(&mut self.source, BlockDecodingStrategy::UptoBlocks(1));
        let Err(error) = unpacked.map_err(zstd_error) else { return Ok(()) };
        if error.kind() != io::ErrorKind::UnexpectedEof {
            return Err(error);
        }
        // What was unpacked last is held back for blocks that do not come any more: an empty last one lets go of it.
        self.was_cut = true;
        let end = self.decoder.decode_blocks(LAST_BLOCK, BlockDecodingStrategy::UptoBlocks(1));
        end.map(|_| ()).map_err(zstd_error)
    }

    fn start_frame(&mut self) -> io::Result<()> {
        match self.decoder.reset(&mut self.source) {
            Ok(()) => {
                self.frames = self.frames.saturating_add(1);
                Ok(())
            }
            Err(FrameDecoderError::ReadFrameHeaderError(ReadFrameHeaderError::SkipFrame { length, .. })) => {
                io::copy(&mut (&mut self.source).take(u64::from(length)), &mut io::sink()).map(|_| ())
            }
            Err(error) => Err(zstd_error(error)),
        }
    }

    fn check_frame(&self) -> io::Result<()> {
        match (self.decoder.get_checksum_from_data(), self.decoder.get_calculated_checksum()) {
            (Some(said), Some(found)) if self.frames > 0 && said != found => {
                Err(io::Error::new(io::ErrorKind::InvalidData, "the checksum is wrong"))
            }
            _ => Ok(()),
        }
    }
}

/// ruzstd hides the end of its input in errors of its own; an end is told apart from corruption all the same.
fn zstd_error(error: FrameDecoderError) -> io::Error {
    let mut cause: Option<&(dyn error::Error + 'static)> = Some(&error);
    while let Some(step) = cause {
        if let Some(io) = step.downcast_ref::<io::Error>()
            && io.kind() == io::ErrorKind::UnexpectedEof
        {
            return io::ErrorKind::UnexpectedEof.into();
        }
        cause = step.source();
    }
    io::Error::new(io::ErrorKind::InvalidData, error.to_string())
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io::Write as _;

    use flate2::Compression;
    use flate2::write::GzEncoder;
    use lz4_flex::frame::BlockMode;
    use lz4_flex::frame::BlockSize;
    use lz4_flex::frame::FrameEncoder;
    use lz4_flex::frame::FrameInfo;
    use proptest::prelude::*;
    use ruzstd::encoding::CompressionLevel;
    use ruzstd::encoding::compress_to_vec;

    use super::*;
    use crate::capture::InputFacts;
    use crate::capture::Reading;
    use crate::capture::written::Pcap;
    use crate::capture::written::Seen;
    use crate::capture::written::T0;
    use crate::capture::written::read_files;

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    fn zstd(bytes: &[u8]) -> Vec<u8> {
        compress_to_vec(bytes, CompressionLevel::Fastest)
    }

    fn lz4(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = FrameEncoder::new(Vec::new());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    fn capture() -> Vec<u8> {
        capture_of(200)
    }

    fn capture_of(packets: u32) -> Vec<u8> {
        let packet = |number: u32| number.wrapping_mul(2_654_435_761).to_le_bytes().repeat(25);
        (0..packets).fold(Pcap::new(), |pcap, number| pcap.packet(T0, number, &packet(number))).bytes
    }

    fn read(stored: &[u8], reading: Reading) -> (Vec<Seen>, InputFacts) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("it");
        fs::write(&path, stored).unwrap();
        let (seen, mut facts) = read_files(&[path], reading);
        (seen, facts.remove(0))
    }

    #[test]
    fn each_packing_is_recognised_and_concatenated_streams_are_one() {
        let plain = capture();
        let (wanted, _) = read(&plain, Reading::default());
        let (one, two) = plain.split_at(9_001);
        let skippable = b"\x53\x2a\x4d\x18\x05\0\0\0hello";
        for (format, stored) in [
            ("pcap+gzip", [gzip(one), gzip(two)].concat()),
            ("pcap+zstd", [&skippable[..], &zstd(one), skippable, &zstd(two)].concat()),
            ("pcap+lz4", [lz4(one), lz4(two)].concat()),
        ] {
            let (seen, facts) = read(&stored, Reading::default());
            assert_eq!(facts.format, format);
            assert!(seen == wanted, "{format}");
            assert!(facts.oddities.is_empty(), "{format}: {:?}", facts.oddities);
        }
    }

    #[test]
    fn frames_of_different_block_sizes_are_one_stream() {
        let plain = capture();
        let (wanted, _) = read(&plain, Reading::default());
        for mode in [BlockMode::Independent, BlockMode::Linked] {
            let frame = |bytes: &[u8], size| {
                let form = FrameInfo::new().block_mode(mode).block_size(size);
                let mut encoder = FrameEncoder::with_frame_info(form, Vec::new());
                encoder.write_all(bytes).unwrap();
                encoder.finish().unwrap()
            };
            let sizes = [BlockSize::Max64KB, BlockSize::Max4MB, BlockSize::Max64KB, BlockSize::Max256KB];
            let stored: Vec<u8> =
                plain.chunks(plain.len() / 3).zip(sizes).flat_map(|(piece, size)| frame(piece, size)).collect();
            let (seen, facts) = read(&stored, Reading::default());
            assert!(seen == wanted, "{mode:?}");
            assert!(facts.oddities.is_empty(), "{mode:?}: {:?}", facts.oddities);
        }
    }

    #[test]
    fn of_a_frame_that_is_cut_all_blocks_before_the_cut_are_read() {
        // Nothing of a window that is larger than the file is let go before the last block.
        let stored = zstd(&capture_of(8000));
        let (seen, facts) = read(&stored[..stored.len() * 9 / 10], Reading::default());
        assert!(seen.len() > 6000, "{}", seen.len());
        assert!(facts.oddities.of("capture-cut").is_some());
    }

    #[test]
    fn unpacking_stops_at_its_limit_and_says_so() {
        let reading = Reading { unpacked_limit: 10_000, ..Reading::default() };
        for stored in [gzip(&capture()), zstd(&capture()), lz4(&capture())] {
            let (seen, facts) = read(&stored, reading);
            assert!(seen.len() < 200, "{}", seen.len());
            assert!(facts.oddities.of("decompression-limit").is_some());
        }
    }

    #[test]
    fn a_fault_of_an_unpacker_is_an_error_of_its_stream() {
        assert_eq!(outliving_faults(|| Ok(7)).unwrap(), 7);
        let error = outliving_faults(|| panic!("a fault")).unwrap_err();
        assert!(error.to_string().contains("failed to unpack"), "{error}");
    }

    #[test]
    fn what_unpacks_to_more_than_it_can_hold_is_a_bomb() {
        assert!(!is_bomb(64 << 20, 70_000, 250), "too small to do harm");
        assert!(!is_bomb(10 << 30, 500 << 20, 250), "a large capture that is packed well");
        assert!(is_bomb(300 << 20, 300_000, 250));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]
        #[test]
        fn a_stream_cut_at_any_byte_gives_a_prefix_and_says_so(cut in any::<prop::sample::Index>()) {
            let plain = capture();
            let (all, _) = read(&plain, Reading::default());
            for stored in [gzip(&plain), zstd(&plain), lz4(&plain)] {
                let cut = 200 + cut.index(stored.len() - 200);
                let path = tempfile::NamedTempFile::new().unwrap();
                fs::write(path.path(), &stored[..cut]).unwrap();
                let paths = [path.path().to_owned()];
                let Ok(_) = crate::capture::Files::open(&paths, Reading::default()) else { continue };
                let (some, facts) = read_files(&paths, Reading::default());
                prop_assert!(some[..] == all[..some.len()]);
                prop_assert!(some.len() == all.len() || facts[0].oddities.of("capture-cut").is_some());
            }
        }

        #[test]
        fn a_damaged_stream_never_panics(
            damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
        ) {
            let plain = capture();
            for mut stored in [gzip(&plain), zstd(&plain), lz4(&plain)] {
                for (place, byte) in &damage {
                    let place = place.index(stored.len());
                    stored[place] = *byte;
                }
                let path = tempfile::NamedTempFile::new().unwrap();
                fs::write(path.path(), &stored).unwrap();
                let paths = [path.path().to_owned()];
                if crate::capture::Files::open(&paths, Reading::default()).is_ok() {
                    read_files(&paths, Reading::default());
                }
            }
        }
    }
}
