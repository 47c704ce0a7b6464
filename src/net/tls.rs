//! TLS records (RFC 8446 §5.1) that are not decrypted.
//!
//! Knows record headers and alerts. Is given the bytes of a stream; gives the alerts that are not encrypted.
//! Deliberately does not decrypt.

/// Handshake, alert, change cipher spec and application data begin with these.
const ALERT: u8 = 21;
/// A record's greatest length (RFC 5246 §6.2.3, which allows more than RFC 8446).
const LONGEST: u16 = (1 << 14) + 2048;
/// Bytes of a record header.
const HEADER: usize = 5;

/// An alert that could be read (RFC 8446 §6).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Alert {
    /// 1 for a warning, 2 for a fatal alert.
    pub level: u8,
    /// What is wrong.
    pub description: u8,
}

/// Follows records through a stream.
#[derive(Debug, Default)]
pub(super) struct Records {
    /// The start of the record at hand: its header and, of an alert, its two bytes.
    start: Vec<u8>,
    /// Bytes of the record at hand that are still to come behind `start`.
    left: usize,
}

/// True where bytes begin with a record header.
pub(super) fn may_begin(bytes: &[u8]) -> bool {
    let Some([kind, 3, minor, high, low]) = bytes.first_chunk::<HEADER>() else { return false };
    let length = u16::from_be_bytes([*high, *low]);
    matches!(kind, 20..=23) && *minor <= 4 && length > 0 && length <= LONGEST
}

impl Records {
    /// Takes the next bytes, before which `gap` bytes are missing.
    pub(super) fn take(&mut self, gap: u32, mut bytes: &[u8], mut on_alert: impl FnMut(Alert)) {
        if gap > 0 {
            self.start.clear();
            self.left = 0;
            // Without the header, only the start of a segment can be the start of a record.
            if !may_begin(bytes) {
                return;
            }
        }
        while !bytes.is_empty() {
            if self.left > 0 {
                let skipped = self.left.min(bytes.len());
                self.left = self.left.saturating_sub(skipped);
                bytes = bytes.get(skipped..).unwrap_or_default();
                continue;
            }
            let wanted = self.wanted().saturating_sub(self.start.len());
            let (now, later) = bytes.split_at(wanted.min(bytes.len()));
            self.start.extend_from_slice(now);
            bytes = later;
            if self.start.len() < self.wanted() {
                continue;
            }
            match self.end_of_start() {
                Some(alert) => on_alert(alert),
                None if self.start.is_empty() => {}
                // No record: the stream is not what it seemed, or bytes are missing unnoticed.
                None => {
                    self.start.clear();
                    return;
                }
            }
        }
    }

    /// Bytes of a record's start that are needed: those of an alert's body too, if it can be in the clear.
    fn wanted(&self) -> usize {
        match self.start.first_chunk::<HEADER>() {
            Some([ALERT, 3, _, 0, 2]) => HEADER.saturating_add(2),
            _ => HEADER,
        }
    }

    /// Leaves the start behind. It stays as it is if it cannot be one.
    fn end_of_start(&mut self) -> Option<Alert> {
        if !may_begin(&self.start) {
            return None;
        }
        if let [ALERT, _, _, _, _, level, description] = *self.start.as_slice() {
            self.start.clear();
            return Some(Alert { level, description });
        }
        if let Some([_, _, _, high, low]) = self.start.first_chunk::<HEADER>() {
            self.left = usize::from(u16::from_be_bytes([*high, *low]));
        }
        self.start.clear();
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RECORDS: &[u8] = &[22, 3, 1, 0, 4, 1, 2, 3, 4, 20, 3, 3, 0, 1, 1, 21, 3, 3, 0, 2, 2, 40, 23, 3, 3, 0, 1, 9];

    #[test]
    fn an_alert_is_found_however_the_stream_is_cut() {
        for size in 1..RECORDS.len() {
            let mut records = Records::default();
            let mut alerts = Vec::new();
            for part in RECORDS.chunks(size) {
                records.take(0, part, |alert| alerts.push(alert));
            }
            assert_eq!(alerts, [Alert { level: 2, description: 40 }], "in parts of {size}");
            assert_eq!((records.start.len(), records.left), (0, 0));
        }
    }

    #[test]
    fn an_encrypted_alert_is_none() {
        let mut records = Records::default();
        let encrypted = [&[21, 3, 3, 0, 26][..], &[2; 26]].concat();
        records.take(0, &encrypted, |alert| panic!("{alert:?}"));
    }

    #[test]
    fn it_goes_on_after_a_gap() {
        let mut records = Records::default();
        let mut alerts = Vec::new();
        records.take(0, &[23, 3, 3, 1, 0, 9, 9], |alert| alerts.push(alert));
        records.take(100, &[9, 9, 9, 9, 9, 9], |alert| alerts.push(alert));
        records.take(100, &[21, 3, 3, 0, 2, 1, 0], |alert| alerts.push(alert));
        assert_eq!(alerts, [Alert { level: 1, description: 0 }]);
    }

    #[test]
    fn sip_is_no_record() {
        assert!(may_begin(&RECORDS[..9]));
        assert!(!may_begin(b"\r\n\r\nINVITE"));
        assert!(!may_begin(b"INVITE sip:"));
        assert!(!may_begin(&[22, 3, 1]));
    }
}
