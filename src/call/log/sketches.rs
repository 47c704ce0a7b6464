//! What the first reading of messages found, in few words, for the second.
//!
//! Is given messages that a call keeps; gives them back from their bytes without a walk over their headers. One row holds
//! the last sketches of all calls. What it does not hold any more is read anew: that takes longer and gives the same.

use crate::call::transaction::Keys;
use crate::sip::Message;

/// The last sketches, in rows of one size. When all of them are full, the first begins again.
#[derive(Debug, Default)]
pub(super) struct Sketches {
    rows: Vec<Vec<u32>>,
    /// Words that were passed over since the beginning: where the next sketch stands, and how often all rows were full.
    passed: u64,
}

/// Where a sketch stands: words before it since the beginning, in two halves, for it stands beside each message and is not
/// to be aligned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct SketchId([u32; 2]);

/// Words of a row.
const ROW: u64 = 1 << 14;
/// Rows that are kept: what two thousand calls that fail have to tell.
const ROWS: u64 = 16;

impl Sketches {
    /// Keeps what was found in a message; `None` if that is not worth it.
    pub(super) fn add(&mut self, message: &Message<'_>, keys: &Keys<'_>) -> Option<SketchId> {
        let mut sketch = [0; Keys::WORDS + Message::SKETCH];
        let (of_keys, words) = sketch.split_first_chunk_mut()?;
        *of_keys = keys.words(message)?;
        let length = Keys::WORDS + message.sketch(words.first_chunk_mut()?)?;
        let left = ROW - self.passed % ROW;
        if left < length as u64 {
            self.passed += left;
        }
        self.row_at(self.passed).extend_from_slice(&sketch[..length]);
        let id = SketchId([(self.passed >> 32) as u32, self.passed as u32]);
        self.passed += length as u64;
        Some(id)
    }

    /// The row in which a sketch is to stand.
    fn row_at(&mut self, start: u64) -> &mut Vec<u32> {
        let row = (start / ROW % ROWS) as usize;
        if row == self.rows.len() {
            self.rows.push(Vec::with_capacity(ROW as usize));
        }
        if start.is_multiple_of(ROW) {
            self.rows[row].clear();
        }
        &mut self.rows[row]
    }

    /// A sketch: what [`Keys::of_words`] reads, and what [`Message::of_sketch`] reads. `None` if it is not kept any
    /// more.
    pub(super) fn get(&self, id: SketchId) -> Option<(&[u32; Keys::WORDS], &[u32])> {
        let SketchId([high, low]) = id;
        let start = u64::from(high) << 32 | u64::from(low);
        // A row that is begun again is given up as a whole.
        let is_kept = self.passed / ROW - start / ROW < ROWS;
        let row = self.rows.get((start / ROW % ROWS) as usize).filter(|_| is_kept)?;
        row.get((start % ROW) as usize..)?.split_first_chunk()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sip::Cut;

    #[test]
    fn the_last_sketches_are_kept_and_no_others() {
        let texts: Vec<String> = (0..100_000)
            .map(|call| {
                format!(
                    "INVITE sip:{call}@example.com SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK{call}\r\n\
                     From: <sip:a@example.com>;tag={call}\r\nTo: <sip:b@example.com>\r\nCall-ID: {call}\r\nCSeq: 1 INVITE\r\n\r\n"
                )
            })
            .collect();
        let mut sketches = Sketches::default();
        let messages = texts.iter().map(|text| Message::read(text.as_bytes(), Cut::Whole).unwrap());
        let ids: Vec<SketchId> =
            messages.map(|message| sketches.add(&message, &Keys::read(&message)).unwrap()).collect();
        let is_right = |(id, text): (&SketchId, &String)| {
            let (of_keys, sketch) = sketches.get(*id)?;
            let message = Message::of_sketch(text.as_bytes().into(), sketch).unwrap();
            let keys = Keys::of_words(&message, of_keys);
            let read = Message::read(text.as_bytes(), Cut::Whole).unwrap();
            let expected = Keys::read(&read);
            Some(
                (keys.branch, keys.from_tag, keys.to_tag, keys.call_id)
                    == (expected.branch, expected.from_tag, expected.to_tag, expected.call_id),
            )
        };
        let known: Vec<Option<bool>> = ids.iter().zip(&texts).map(is_right).collect();
        let forgotten = known.iter().take_while(|right| right.is_none()).count();
        assert!((50_000..90_000).contains(&forgotten), "{forgotten}");
        assert!(known[forgotten..].iter().all(|right| *right == Some(true)));
    }
}
