//! The order of a number's bytes in a file, and reading numbers out of bytes that may be too few.

/// Byte order of a file or of a section of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Order {
    Little,
    Big,
}

impl Order {
    /// The 16-bit number at a place; `None` if it does not fit into `bytes`.
    pub(super) fn u16(self, bytes: &[u8], at: usize) -> Option<u16> {
        let raw = *bytes.get(at..)?.first_chunk()?;
        Some(match self {
            Order::Little => u16::from_le_bytes(raw),
            Order::Big => u16::from_be_bytes(raw),
        })
    }

    /// The 32-bit number at a place; `None` if it does not fit into `bytes`.
    pub(super) fn u32(self, bytes: &[u8], at: usize) -> Option<u32> {
        bytes.get(at..)?.first_chunk().map(|raw| self.number(*raw))
    }

    /// The 32-bit number that these bytes are.
    #[inline]
    pub(super) fn number(self, raw: [u8; 4]) -> u32 {
        match self {
            Order::Little => u32::from_le_bytes(raw),
            Order::Big => u32::from_be_bytes(raw),
        }
    }

    /// The 64-bit number at a place; `None` if it does not fit into `bytes`.
    pub(super) fn u64(self, bytes: &[u8], at: usize) -> Option<u64> {
        let raw = *bytes.get(at..)?.first_chunk()?;
        Some(match self {
            Order::Little => u64::from_le_bytes(raw),
            Order::Big => u64::from_be_bytes(raw),
        })
    }
}

/// A length found in a file, as a number of bytes in memory; too large a one becomes the largest there is, which no
/// buffer can satisfy.
pub(super) fn length(number: u32) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}
