//! Records that may not fit into memory: as they are while they are few, then serialised, first in memory and then in a
//! temporary file without a name.

use std::borrow::Cow;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};

use crate::report::record::CallRecord;

/// Bytes that stay in memory before a file is used, and that are written at a time.
const IN_MEMORY: usize = 1 << 20;

/// Records that are kept as they are, and what may stand in them: messages, failures and findings.
const MOST_WHOLE: usize = 256;
const MOST_IN_WHOLE: usize = 1 << 14;

/// Records in the order in which they came, read back in order of their numbers.
#[derive(Debug, Default)]
pub struct Spool {
    /// While they are few, and nobody wants their bytes. Then none is serialised yet.
    whole: Vec<CallRecord>,
    in_whole: usize,
    memory: Vec<u8>,
    file: Option<File>,
    in_file: u64,
    index: Vec<Slot>,
    /// Bytes of the last records, if only these are kept: always in memory.
    most: Option<usize>,
    dropped: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Slot {
    number: u32,
    length: u32,
    offset: u64,
}

impl Spool {
    /// A spool that keeps the last records as far as so many bytes hold them, and writes no file.
    pub fn of_the_last(bytes: usize) -> Spool {
        Spool { most: Some(bytes), ..Spool::default() }
    }

    /// Bytes of records that are kept at most; `None` where all are.
    pub fn most(&self) -> Option<usize> {
        self.most
    }

    /// Records that were dropped for later ones.
    pub fn dropped(&self) -> u64 {
        self.dropped
    }

    /// Bytes of the records that it holds.
    pub fn bytes(&self) -> u64 {
        self.in_file + self.memory.len() as u64
    }

    /// Drops the older half of the records if later ones may take their place; false if they may not.
    pub fn make_room(&mut self) -> bool {
        if self.most.is_none() {
            return false;
        }
        self.index.sort_unstable_by_key(|slot| slot.offset);
        let gone = self.index.len().div_ceil(2);
        self.dropped += gone as u64;
        self.index.drain(..gone);
        let start = self.index.first().map_or(self.memory.len() as u64, |slot| slot.offset);
        self.memory.drain(..start as usize);
        for slot in &mut self.index {
            slot.offset -= start;
        }
        true
    }

    /// Puts a record in.
    ///
    /// # Errors
    /// The temporary file cannot be made or written.
    pub fn put(&mut self, record: CallRecord) -> io::Result<()> {
        self.in_whole += record.ladder.len() + record.failures.len() + record.findings.len();
        let are_few = self.whole.len() < MOST_WHOLE && self.in_whole <= MOST_IN_WHOLE;
        if self.most.is_none() && self.index.is_empty() && are_few {
            self.whole.push(record);
            return Ok(());
        }
        self.serialise_all()?;
        self.serialise(&record)
    }

    /// Serialises the records that are kept as they are.
    fn serialise_all(&mut self) -> io::Result<()> {
        for record in std::mem::take(&mut self.whole) {
            self.serialise(&record)?;
        }
        Ok(())
    }

    fn serialise(&mut self, record: &CallRecord) -> io::Result<()> {
        let start = self.memory.len();
        crate::report::json::to_bytes(record, &mut self.memory)?;
        let length = u32::try_from(self.memory.len() - start).map_err(|_| io::ErrorKind::FileTooLarge)?;
        self.index.push(Slot { number: record.id, length, offset: self.in_file + start as u64 });
        match self.most {
            Some(most) if self.memory.len() > most => {
                self.make_room();
            }
            Some(_) => {}
            None if self.memory.len() >= IN_MEMORY => self.spill()?,
            None => {}
        }
        Ok(())
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.whole.len() + self.index.len()
    }

    /// True if there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The numbers of the records, in order.
    pub(crate) fn numbers(&self) -> Vec<u32> {
        let whole = self.whole.iter().map(|record| record.id);
        let mut numbers: Vec<u32> = whole.chain(self.index.iter().map(|slot| slot.number)).collect();
        numbers.sort_unstable();
        numbers
    }

    /// Hands on the bytes of each record in order of its number.
    ///
    /// # Errors
    /// The temporary file cannot be read, or what `each` says.
    pub fn each(&mut self, each: impl FnMut(&[u8]) -> io::Result<()>) -> io::Result<()> {
        self.serialise_all()?;
        self.each_where(|_| true, each)
    }

    fn each_where(
        &mut self,
        wanted: impl Fn(u32) -> bool,
        mut each: impl FnMut(&[u8]) -> io::Result<()>,
    ) -> io::Result<()> {
        self.index.sort_unstable();
        let slots = self.index.iter().filter(|slot| wanted(slot.number));
        let Some(file) = &mut self.file else {
            for slot in slots {
                let start = slot.offset as usize;
                each(&self.memory[start..start + slot.length as usize])?;
            }
            return Ok(());
        };
        if !self.memory.is_empty() {
            file.seek(SeekFrom::Start(self.in_file))?;
            file.write_all(&self.memory)?;
            self.in_file += self.memory.len() as u64;
            self.memory.clear();
        }
        // Each by itself: calls end in another order than that of their numbers, and what stands beside a record in the
        // file is mostly of no use for the next one.
        let mut bytes = Vec::new();
        for slot in slots {
            bytes.resize(slot.length as usize, 0);
            file.seek(SeekFrom::Start(slot.offset))?;
            file.read_exact(&mut bytes)?;
            each(&bytes)?;
        }
        Ok(())
    }

    /// Hands on each record that is wanted by its number, as it is or read back, in order of numbers.
    ///
    /// # Errors
    /// As [`Spool::each`].
    pub fn each_record(
        &mut self,
        wanted: impl Fn(u32) -> bool,
        mut each: impl FnMut(Cow<'_, CallRecord>) -> io::Result<()>,
    ) -> io::Result<()> {
        self.whole.sort_by_key(|record| record.id);
        for record in self.whole.iter().filter(|record| wanted(record.id)) {
            each(Cow::Borrowed(record))?;
        }
        self.each_where(wanted, |bytes| each(Cow::Owned(serde_json::from_slice(bytes)?)))
    }

    fn spill(&mut self) -> io::Result<()> {
        let file = match &mut self.file {
            Some(file) => file,
            None => self.file.insert(tempfile::tempfile()?),
        };
        file.write_all(&self.memory)?;
        self.in_file += self.memory.len() as u64;
        self.memory.clear();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(number: u32, size: usize) -> CallRecord {
        let text = format!(
            r#"{{"id":{number},"kind":"call","call_ids":["{}"],"from":null,"to":null,"request_uri":null,
            "started":"2026-11-20T08:14:02.000000Z","ended":"2026-11-20T08:14:02.000000Z","outcome":"failed",
            "final_status":null,"cause":null,"legs":[],"failures":[],"findings":[],"ladder":[],"unexplained":true,
            "messages_not_kept":0}}"#,
            "x".repeat(size)
        );
        serde_json::from_str(&text).unwrap()
    }

    #[test]
    fn of_the_last_records_those_are_kept_for_which_there_is_room() {
        let mut spool = Spool::of_the_last(20_000);
        for number in 1..=500 {
            spool.put(record(number, 600)).unwrap();
            assert!(spool.bytes() <= 20_000 && spool.file.is_none());
        }
        assert!(spool.len() >= 10 && spool.len() as u64 + spool.dropped() == 500);
        let mut read = Vec::new();
        let each = |one: Cow<'_, CallRecord>| {
            assert_eq!(*one, record(one.id, 600));
            read.push(one.id);
            Ok(())
        };
        spool.each_record(|_| true, each).unwrap();
        assert_eq!(read, (501 - read.len() as u32..=500).collect::<Vec<_>>());
    }

    #[test]
    fn records_come_back_in_order_of_their_numbers_as_they_are_from_memory_and_from_the_file() {
        for (size, is_whole, is_in_file) in [(10, true, false), (10, false, false), (IN_MEMORY / 3, false, true)] {
            let mut spool = Spool::default();
            let numbers = [5, 1, 9, 4, 7, 2, 8];
            for number in numbers {
                spool.put(record(number, size + number as usize)).unwrap();
                if !is_whole {
                    spool.serialise_all().unwrap();
                }
            }
            assert_eq!((!spool.whole.is_empty(), spool.file.is_some()), (is_whole, is_in_file));
            assert_eq!(spool.numbers(), [1, 2, 4, 5, 7, 8, 9]);
            let mut read = Vec::new();
            let each = |one: Cow<'_, CallRecord>| {
                assert_eq!(*one, record(one.id, size + one.id as usize));
                read.push(one.id);
                Ok(())
            };
            spool.each_record(|number| number != 4, each).unwrap();
            assert_eq!(read, [1, 2, 5, 7, 8, 9]);
            assert_eq!(spool.len(), numbers.len());
        }
    }

    #[test]
    fn of_many_records_none_is_kept_as_it_is() {
        let mut spool = Spool::default();
        for number in 0..2 * MOST_WHOLE as u32 {
            spool.put(record(number, 10)).unwrap();
            assert!(spool.whole.len() <= MOST_WHOLE && spool.len() == number as usize + 1);
        }
        assert!(spool.whole.is_empty());
        let mut read = Vec::new();
        let each = |one: Cow<'_, CallRecord>| {
            read.push(one.id);
            Ok(())
        };
        spool.each_record(|_| true, each).unwrap();
        assert_eq!(read, spool.numbers());
    }
}
