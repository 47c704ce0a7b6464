//! Reading numbers out of bytes that may end anywhere.
//!
//! Knows byte order. Is given slices; gives numbers, or `None` where the slice ends. Deliberately does not know what
//! the numbers mean.

/// What is left of a frame at some layer: the bytes that were captured, and how many more there were on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Rest<'a> {
    /// The bytes that were captured.
    pub bytes: &'a [u8],
    /// Bytes right behind them that the capture cut off, as far as the lengths in the headers tell.
    pub missing: u32,
}

impl<'a> Rest<'a> {
    /// Bytes of which nothing was cut off.
    pub(super) fn whole(bytes: &'a [u8]) -> Rest<'a> {
        Rest { bytes, missing: 0 }
    }

    /// Without the first `count` bytes; `None` if the capture does not reach that far.
    pub(super) fn skip(self, count: usize) -> Option<Rest<'a>> {
        Some(Rest { bytes: self.bytes.get(count..)?, missing: self.missing })
    }

    /// What a header says to be `said` bytes long. What is behind (padding of short frames) falls away.
    pub(super) fn limit(self, said: usize) -> Rest<'a> {
        match self.bytes.get(..said) {
            Some(bytes) => Rest { bytes, missing: 0 },
            None => Rest { bytes: self.bytes, missing: to_u32(said.saturating_sub(self.bytes.len())) },
        }
    }

    /// Bytes that were on the wire.
    pub(super) fn on_wire(self) -> usize {
        self.bytes.len().saturating_add(self.missing as usize)
    }
}

/// A length as the deliveries carry it; lengths of packets always fit.
pub(super) fn to_u32(length: usize) -> u32 {
    u32::try_from(length).unwrap_or(u32::MAX)
}

/// One byte.
pub(super) fn u8_at(bytes: &[u8], at: usize) -> Option<u8> {
    bytes.get(at).copied()
}

/// Two bytes, network order.
pub(super) fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    bytes.get(at..)?.first_chunk().copied().map(u16::from_be_bytes)
}

/// Four bytes, network order.
pub(super) fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..)?.first_chunk().copied().map(u32::from_be_bytes)
}

/// Four bytes of an IPv4 address.
pub(super) fn ipv4_at(bytes: &[u8], at: usize) -> Option<std::net::IpAddr> {
    bytes.get(at..)?.first_chunk::<4>().map(|octets| std::net::IpAddr::from(*octets))
}

/// Sixteen bytes of an IPv6 address.
pub(super) fn ipv6_at(bytes: &[u8], at: usize) -> Option<std::net::IpAddr> {
    bytes.get(at..)?.first_chunk::<16>().map(|octets| std::net::IpAddr::from(*octets))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_end_where_the_bytes_end() {
        let bytes = [1, 2, 3, 4, 5];
        assert_eq!(u16_at(&bytes, 3), Some(0x0405));
        assert_eq!(u16_at(&bytes, 4), None);
        assert_eq!(u32_at(&bytes, 1), Some(0x0203_0405));
        assert_eq!(u32_at(&bytes, 2), None);
        assert_eq!(u8_at(&bytes, usize::MAX), None);
    }

    #[test]
    fn a_limit_tells_padding_from_what_was_cut() {
        let rest = Rest { bytes: &[1, 2, 3, 4], missing: 6 };
        assert_eq!(rest.limit(3), Rest::whole(&[1, 2, 3]));
        assert_eq!(rest.limit(9), Rest { bytes: &[1, 2, 3, 4], missing: 5 });
        assert_eq!(rest.on_wire(), 10);
        assert_eq!(rest.skip(5), None);
    }
}
