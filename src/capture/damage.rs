//! How damage of a file is told: one sentence with the offset, whatever the format.

use std::io::Read;

use crate::capture::ledger::Ledger;
use crate::capture::order::length;
use crate::capture::unpacked::LimitReached;
use crate::capture::window::Window;
use crate::oddity::Oddity;

/// Bytes that a packet may have. libpcap's largest snap length is a quarter of it; no IP packet comes near.
pub(super) const PACKET_LIMIT: u32 = 1 << 20;

/// Bytes to have in sight when looking for the next packet behind damage.
pub(super) const LOOKAHEAD: usize = (1 << 20) + (64 << 10);

/// How many of the bytes that are here can be searched: from each, all of a packet must be in sight.
pub(super) fn searchable<R: Read>(window: &Window<R>) -> usize {
    let here = window.bytes().len();
    if window.has_ended() { here } else { here.saturating_sub(length(PACKET_LIMIT)) }
}

/// The stream is over, or cannot be read further, where `wanted` bytes were needed.
pub(super) fn note_end<R: Read>(window: &mut Window<R>, ledger: &mut Ledger, wanted: u64) {
    let had = window.bytes().len() as u64;
    if note_failure(window, ledger) || had == 0 {
        return;
    }
    ledger.note(Oddity::CaptureCut { offset: window.offset(), wanted, had });
    window.consume(window.bytes().len());
}

/// Notes why the stream ended before its time; false if it did not.
pub(super) fn note_failure<R: Read>(window: &mut Window<R>, ledger: &mut Ledger) -> bool {
    let Some(error) = window.take_failure() else { return false };
    let limit = error.get_ref().and_then(|inner| inner.downcast_ref::<LimitReached>());
    match limit {
        Some(LimitReached(bytes)) => ledger.note(Oddity::DecompressionLimit { bytes: *bytes }),
        None => {
            let offset = window.offset().saturating_add(window.bytes().len() as u64);
            ledger.note(Oddity::CaptureDamaged { offset, found: error.to_string() });
        }
    }
    true
}

/// Something that cannot be right stands at `offset`; reading goes on where the window stands.
pub(super) fn note_gap<R: Read>(offset: u64, window: &Window<R>, found: Option<String>, ledger: &mut Ledger) {
    let skipped = window.offset().saturating_sub(offset);
    let found = found.unwrap_or_else(|| "bytes that make no sense".into());
    ledger.note(Oddity::CaptureDamaged { offset, found: format!("corrupt: {found}; {skipped} bytes were skipped") });
}

/// Something that cannot be right stands at `offset`, and nothing that could be read comes behind it.
pub(super) fn note_rest<R: Read>(offset: u64, window: &mut Window<R>, found: Option<String>, ledger: &mut Ledger) {
    let bytes = window.offset().saturating_sub(offset);
    note_failure(window, ledger);
    ledger.note(match found {
        None => Oddity::TrailingBytes { offset, bytes },
        Some(found) => Oddity::CaptureDamaged {
            offset,
            found: format!("corrupt: {found}; nothing readable in the {bytes} bytes from there to the end"),
        },
    });
}
