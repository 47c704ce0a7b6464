//! What has arrived and was not taken yet: in memory, and in a temporary file when that is full.
//!
//! Is given batches by one side and gives them to the other, in the same order. Neither side waits for the other's
//! disk: the lock is held only to say where a batch stands. The file has slots of equal size, which are used again as
//! soon as they were read, and it is emptied whenever nothing waits. Deliberately does not know what stands in a batch.

use std::collections::VecDeque;
use std::fs::File;
use std::io;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::Duration;

use crate::capture::Behind;
use crate::capture::Notice;
use crate::capture::batch::Batch;
use crate::capture::batch::Known;

/// How long who finds no room looks away.
const PAUSE: Duration = Duration::from_millis(5);

/// Empty batches that are kept for those that come, when nothing waits.
const SPARE: usize = 4;

/// Bytes of a slot in the file.
const SLOT: u64 = Batch::MOST as u64;

/// Where what has arrived may wait.
#[derive(Debug)]
pub struct Room {
    memory: usize,
    file: Option<File>,
    /// Slots that the file may have.
    slots: u64,
}

impl Room {
    /// So many bytes of memory.
    pub fn in_memory(bytes: usize) -> Room {
        Room { memory: bytes, file: None, slots: 0 }
    }

    /// And so many bytes of a temporary file without a name, which is made now: whoever gives up privileges does so
    /// afterwards. With less than 320 kB there is no file.
    ///
    /// # Errors
    /// The file cannot be made.
    pub fn and_on_disk(mut self, bytes: u64) -> io::Result<Room> {
        self.slots = bytes.checked_div(SLOT).unwrap_or_default();
        if self.slots > 0 {
            self.file = Some(at_offset::temporary()?);
        }
        Ok(self)
    }
}

/// What waits between two threads.
pub(super) struct Backlog {
    state: Mutex<State>,
    memory: usize,
    file: Option<File>,
    /// Whoever takes has found nothing.
    is_awaited: AtomicBool,
}

#[derive(Default)]
struct State {
    waiting: VecDeque<Waiting>,
    behind: Behind,
    /// Bytes of what waits in memory.
    bytes: usize,
    spare: Vec<Batch>,
    slots: Slots,
    /// The file cannot be written, and whether that was told.
    fault: Option<Notice>,
    is_fault_told: bool,
    /// Nothing is kept any more but what is known in the end.
    is_closed: bool,
    last_known: Option<Box<Known>>,
}

/// A batch that waits.
struct Waiting {
    batch: Batch,
    /// Where its bytes stand, if not in memory.
    slot: Option<Slot>,
}

/// A slot in the file, and the bytes in it.
#[derive(Clone, Copy)]
struct Slot {
    number: u64,
    length: usize,
}

/// Slots in the file.
#[derive(Default)]
struct Slots {
    most: u64,
    /// Those that were used since the file was empty.
    used: u64,
    /// Of these, those that may be used again.
    free: Vec<u64>,
    /// None is given now: the file is being emptied, or could not be written.
    are_withheld: bool,
}

impl Backlog {
    pub(super) fn new(room: Room) -> Backlog {
        let Room { memory, file, slots } = room;
        let slots = Slots { most: slots, ..Slots::default() };
        let state = Mutex::new(State { slots, ..State::default() });
        Backlog { state, memory, file, is_awaited: AtomicBool::new(false) }
    }

    /// True if whoever takes has found nothing: a batch that is not full is welcome too.
    #[inline]
    pub(super) fn is_awaited(&self) -> bool {
        self.is_awaited.load(Ordering::Relaxed)
    }

    /// Puts a batch behind all others and gives an empty one. Waits as long as there is no room anywhere.
    pub(super) fn put(&self, mut batch: Batch) -> Batch {
        loop {
            let mut state = self.lock();
            if state.is_closed {
                state.last_known = batch.known.take();
                batch.clear();
                return batch;
            }
            if state.bytes == 0 || state.bytes.saturating_add(batch.bytes.len()) <= self.memory {
                return self.put_into_memory(state, batch);
            }
            let free = if batch.bytes.len() <= Batch::MOST { state.slots.take() } else { None };
            drop(state);
            match (free, &self.file) {
                (Some(number), Some(file)) => match at_offset::write(file, &batch.bytes, offset(number)) {
                    Ok(()) => return self.put_onto_disk(number, batch),
                    Err(error) => self.cannot_write(number, &error),
                },
                _ => thread::sleep(PAUSE),
            }
        }
    }

    fn put_into_memory(&self, mut state: MutexGuard<'_, State>, batch: Batch) -> Batch {
        let spare = state.spare.len();
        let kept = if state.waiting.is_empty() { spare.min(SPARE) } else { spare };
        let surplus = state.spare.split_off(kept);
        let empty = state.spare.pop().unwrap_or_default();
        state.bytes = state.bytes.saturating_add(batch.bytes.len());
        state.push(batch, None);
        self.is_awaited.store(false, Ordering::Relaxed);
        drop(state);
        // Given back by the thread that took it: an allocator that keeps memory for each thread else holds on to it.
        drop(surplus);
        empty
    }

    /// The batch waits without its bytes; their room is used again.
    fn put_onto_disk(&self, number: u64, mut batch: Batch) -> Batch {
        let bytes = std::mem::take(&mut batch.bytes);
        self.lock().push(batch, Some(Slot { number, length: bytes.len() }));
        Batch::empty(bytes)
    }

    /// No slot is given any more until the file was emptied; told once, with the batch that is taken next.
    fn cannot_write(&self, number: u64, error: &io::Error) {
        let mut state = self.lock();
        state.slots.give_back(number);
        state.slots.are_withheld = true;
        if !std::mem::replace(&mut state.is_fault_told, true) {
            state.fault = Some(Notice::NotPutAside { why: error.to_string() });
        }
    }

    /// Takes the first batch in exchange for one that was read; false if none waits.
    pub(super) fn take(&self, read: &mut Batch) -> bool {
        let mut state = self.lock();
        let Some(Waiting { batch: next, slot }) = state.pop() else {
            self.is_awaited.store(true, Ordering::Relaxed);
            self.empty_file(state);
            return false;
        };
        let mut read_before = std::mem::replace(read, next);
        read_before.clear();
        read.notices.extend(state.fault.take());
        let Some(slot) = slot else {
            state.bytes = state.bytes.saturating_sub(read.bytes.len());
            state.spare.push(read_before);
            return true;
        };
        drop(state);
        read.bytes = read_before.bytes;
        self.read_back(read, slot);
        self.lock().slots.give_back(slot.number);
        true
    }

    /// Fills a batch with its bytes. If they cannot be read it has none, and says so.
    fn read_back(&self, batch: &mut Batch, slot: Slot) {
        let Some(file) = &self.file else { return };
        batch.bytes.resize(slot.length, 0);
        if let Err(error) = at_offset::read(file, &mut batch.bytes, offset(slot.number)) {
            batch.bytes.clear();
            batch.notices.push(Notice::NotReadBack { packets: batch.packets, why: error.to_string() });
        }
    }

    /// Gives the disk back what nothing waits in any more.
    fn empty_file(&self, mut state: MutexGuard<'_, State>) {
        let Some(file) = &self.file else { return };
        if !state.slots.begin_anew() {
            return;
        }
        drop(state);
        // If it fails, the file is written over all the same.
        let _ = file.set_len(0);
        self.lock().slots.are_withheld = false;
    }

    /// How much waits.
    pub(super) fn behind(&self) -> Behind {
        self.lock().behind
    }

    /// Forgets what waits, and from now on all that is put.
    pub(super) fn close(&self) {
        let mut state = self.lock();
        state.is_closed = true;
        state.behind = Behind::default();
        let mut forgotten = std::mem::take(&mut state.waiting);
        state.last_known = forgotten.pop_back().and_then(|last| last.batch.known);
    }

    /// What was known of the inputs by the last batch that was put, once it is closed.
    pub(super) fn take_last_known(&self) -> Option<Box<Known>> {
        self.lock().last_known.take()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn push(&mut self, batch: Batch, slot: Option<Slot>) {
        let waiting = Waiting { batch, slot };
        let Behind { packets, bytes } = waiting.size();
        self.behind.packets = self.behind.packets.saturating_add(packets);
        self.behind.bytes = self.behind.bytes.saturating_add(bytes);
        self.waiting.push_back(waiting);
    }

    fn pop(&mut self) -> Option<Waiting> {
        let waiting = self.waiting.pop_front()?;
        let Behind { packets, bytes } = waiting.size();
        self.behind.packets = self.behind.packets.saturating_sub(packets);
        self.behind.bytes = self.behind.bytes.saturating_sub(bytes);
        Some(waiting)
    }
}

impl Waiting {
    fn size(&self) -> Behind {
        let length = self.slot.map_or(self.batch.bytes.len(), |slot| slot.length);
        Behind { packets: self.batch.packets, bytes: length as u64 }
    }
}

impl Slots {
    fn take(&mut self) -> Option<u64> {
        if self.are_withheld {
            return None;
        }
        let used_before = self.free.pop();
        used_before.or_else(|| {
            let next = self.used;
            self.used = next.checked_add(1).filter(|used| *used <= self.most)?;
            Some(next)
        })
    }

    fn give_back(&mut self, number: u64) {
        self.free.push(number);
    }

    /// Forgets all slots and withholds them, if some were used and none is in use; false otherwise.
    fn begin_anew(&mut self) -> bool {
        if self.used == 0 || (self.free.len() as u64) < self.used {
            return false;
        }
        self.free = Vec::new();
        self.used = 0;
        self.are_withheld = true;
        true
    }
}

fn offset(number: u64) -> u64 {
    number.saturating_mul(SLOT)
}

/// A file that two threads use at once, each with its own offset.
#[cfg(unix)]
mod at_offset {
    use std::fs::File;
    use std::io;
    use std::os::unix::fs::FileExt;

    pub(super) fn temporary() -> io::Result<File> {
        tempfile::tempfile()
    }

    pub(super) fn write(file: &File, bytes: &[u8], offset: u64) -> io::Result<()> {
        file.write_all_at(bytes, offset)
    }

    pub(super) fn read(file: &File, bytes: &mut [u8], offset: u64) -> io::Result<()> {
        file.read_exact_at(bytes, offset)
    }
}

/// Elsewhere a file is read and written at one offset, and is not used.
#[cfg(not(unix))]
mod at_offset {
    use std::fs::File;
    use std::io;

    pub(super) fn temporary() -> io::Result<File> {
        Err(io::ErrorKind::Unsupported.into())
    }

    pub(super) fn write(_: &File, _: &[u8], _: u64) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }

    pub(super) fn read(_: &File, _: &mut [u8], _: u64) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::sync::Arc;

    use super::*;
    use crate::capture::Input;
    use crate::capture::LinkType;
    use crate::capture::Packet;
    use crate::capture::place::SourceId;
    use crate::capture::place::Timestamp;

    /// Room for two batches in memory.
    fn memory() -> Room {
        Room::in_memory(2 * Batch::MOST)
    }

    /// A full batch of packets with this number.
    fn full(number: u64) -> Batch {
        let mut batch = Batch::default();
        let bytes = &[number as u8; 1000];
        let (time, source, link) = (Timestamp(0), SourceId(0), LinkType(1));
        while !batch.is_full() {
            batch.put_packet(&Packet { time, source, number, link, bytes, original_len: 1000 });
        }
        batch
    }

    /// The number that all packets of a batch have, and how many there are.
    fn numbers_of(batch: &Batch) -> (u64, u64) {
        let (mut at, mut seen, mut count) = (0, None, 0);
        while let Some(Input::Packet(packet)) = batch.read(&mut at) {
            assert_eq!(*seen.get_or_insert(packet.number), packet.number);
            assert_eq!(packet.bytes, [packet.number as u8; 1000]);
            count += 1;
        }
        (seen.unwrap_or_default(), count)
    }

    fn take(backlog: &Backlog, batch: &mut Batch, numbers: impl IntoIterator<Item = u64>) {
        for number in numbers {
            assert!(backlog.take(batch), "batch {number}");
            assert_eq!(numbers_of(batch), (number, batch.packets));
        }
    }

    fn length(backlog: &Backlog) -> u64 {
        backlog.file.as_ref().map_or(0, |file| file.metadata().unwrap().len())
    }

    #[test]
    #[cfg(unix)]
    fn what_finds_no_room_in_memory_waits_on_disk_in_order_and_slots_are_used_again() {
        let backlog = Backlog::new(memory().and_on_disk(4 * SLOT).unwrap());
        let mut batch = Batch::default();
        for _ in 0..3 {
            (0..6).for_each(|number| drop(backlog.put(full(number))));
            let in_memory = backlog.lock().bytes;
            assert!(in_memory > Batch::MOST && in_memory <= 2 * Batch::MOST, "{in_memory} bytes are in memory");
            assert!(length(&backlog) > 3 * SLOT);
            take(&backlog, &mut batch, 0..4);
            (6..10).for_each(|number| drop(backlog.put(full(number))));
            take(&backlog, &mut batch, 4..10);
            assert!(length(&backlog) <= 4 * SLOT, "{} bytes", length(&backlog));
            assert!(!backlog.take(&mut batch) && backlog.is_awaited());
            assert_eq!((length(&backlog), backlog.lock().bytes), (0, 0), "nothing waits");
        }
    }

    /// Puts five batches and takes them all, while one side waits for the other; what was told.
    fn through(room: Room) -> (Vec<u64>, Vec<Notice>) {
        let backlog = Arc::new(Backlog::new(room));
        let of_thread = Arc::clone(&backlog);
        let putting = thread::spawn(move || (1..=5).for_each(|number| drop(of_thread.put(full(number)))));
        let (mut batch, mut numbers, mut told) = (Batch::default(), Vec::new(), Vec::new());
        while numbers.len() < 5 {
            if backlog.lock().waiting.len() < 2 && !putting.is_finished() {
                thread::sleep(PAUSE);
                continue;
            }
            assert!(backlog.take(&mut batch));
            numbers.push(numbers_of(&batch).0);
            told.append(&mut batch.notices);
        }
        putting.join().unwrap();
        (numbers, told)
    }

    fn opened(path: &Path, how: &mut std::fs::OpenOptions) -> Room {
        Room { file: Some(how.open(path).unwrap()), slots: 8, ..memory() }
    }

    #[test]
    fn a_file_that_cannot_be_written_is_told_once_and_all_waits_in_memory() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let (numbers, told) = through(opened(file.path(), File::options().read(true)));
        assert_eq!(numbers, [1, 2, 3, 4, 5]);
        assert!(matches!(told[..], [Notice::NotPutAside { .. }]), "{told:?}");
    }

    #[test]
    #[cfg(unix)]
    fn a_file_that_cannot_be_read_costs_what_is_in_it_and_says_so() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let backlog = Backlog::new(opened(file.path(), File::options().write(true)));
        (1..=4).for_each(|number| drop(backlog.put(full(number))));
        let mut batch = Batch::default();
        take(&backlog, &mut batch, 1..=2);
        for _ in 3..=4 {
            assert!(backlog.take(&mut batch) && batch.bytes.is_empty());
            assert!(matches!(&batch.notices[..], [Notice::NotReadBack { packets, .. }] if *packets == batch.packets));
        }
        drop(backlog.put(full(5)));
        take(&backlog, &mut batch, [5]);
    }
}
