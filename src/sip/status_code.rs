//! Status codes (RFC 3261 §7.2). Their classes are the catalogue's matter.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The code of a response (RFC 3261 §7.2). Any number from 100 to 699, registered or not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct StatusCode(u16);

impl StatusCode {
    /// `None` outside 100..=699, which is not SIP.
    pub const fn new(code: u16) -> Option<StatusCode> {
        match code {
            100..=699 => Some(StatusCode(code)),
            _ => None,
        }
    }

    /// Reads exactly three digits.
    pub fn read(digits: &[u8]) -> Option<StatusCode> {
        match digits {
            [hundreds @ b'1'..=b'6', tens @ b'0'..=b'9', ones @ b'0'..=b'9'] => {
                let [hundreds, tens, ones] = [hundreds, tens, ones].map(|digit| u16::from(digit.wrapping_sub(b'0')));
                StatusCode::new(hundreds.wrapping_mul(100).wrapping_add(tens.wrapping_mul(10)).wrapping_add(ones))
            }
            _ => None,
        }
    }

    /// The number.
    pub const fn get(self) -> u16 {
        self.0
    }

    /// True for 100–199: more will follow (RFC 3261 §17).
    pub const fn is_provisional(self) -> bool {
        self.0 < 200
    }

    /// True for 200–299.
    pub const fn is_success(self) -> bool {
        200 <= self.0 && self.0 < 300
    }

    /// True for 300–699: the request was not accepted as it was.
    pub const fn is_failure(self) -> bool {
        self.0 >= 300
    }

    /// True for 401 and 407, which ask for credentials (RFC 3261 §22).
    pub const fn is_challenge(self) -> bool {
        matches!(self.0, 401 | 407)
    }
}

impl fmt::Display for StatusCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_three_digits_from_100_to_699_are_a_code() {
        assert_eq!(StatusCode::read(b"699").map(StatusCode::get), Some(699));
        for text in ["099", "700", "60O", "4040", "-40", "", "4"] {
            assert_eq!(StatusCode::read(text.as_bytes()), None, "{text}");
        }
    }
}
