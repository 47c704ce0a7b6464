//! What was odd in one input, each kind once: how often, an example, the first frames.
//!
//! Is given oddities one by one; gives them by kind. Deliberately does not know what any of them means.

use super::Oddity;

/// What was odd in one input: each kind with its count, its first example and its first frames.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OddityLog {
    /// In the order of their names, and limits in that of theirs: each that was hit is told.
    kinds: Vec<Noted>,
    /// The time of the frames that are noted now, in nanoseconds.
    now: i64,
}

/// One kind of oddity in one input.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Noted {
    /// How often.
    pub count: u64,
    /// The frames of the first [`OddityLog::FRAMES_KEPT`].
    pub frames: Vec<u64>,
    /// Their times in nanoseconds, as far as they were said ([`OddityLog::at`]).
    pub times: Vec<i64>,
    /// The first of its kind.
    pub example: Oddity,
    /// True if another one of its kind has other numbers.
    pub differs: bool,
}

impl Noted {
    /// Nothing yet of the kind of this example.
    fn none_of(example: Oddity) -> Noted {
        Noted { count: 0, frames: Vec::new(), times: Vec::new(), example, differs: false }
    }

    /// In a sentence. Bytes that are missing are those of the first, where others lack more or fewer.
    pub fn says(&self) -> String {
        let says = self.example.says();
        let is_of_bytes = matches!(self.example, Oddity::CutBySnapLength { .. } | Oddity::MessageCut { bytes: 1.. });
        match is_of_bytes && self.differs {
            true => says.replacen(" missing", " missing in the first", 1).replacen(" kept", " kept of the first", 1),
            false => says,
        }
    }

    /// Its frames with their times, in order of frames.
    pub fn frames_and_times(&self) -> impl Iterator<Item = (u64, i64)> {
        self.frames.iter().copied().zip(self.times.iter().copied())
    }

    fn merge_frames(&mut self, other: &Noted) {
        let mut all: Vec<(u64, i64)> = self.frames_and_times().chain(other.frames_and_times()).collect();
        all.sort_unstable();
        all.dedup_by_key(|(frame, _)| *frame);
        all.truncate(OddityLog::FRAMES_KEPT);
        (self.frames, self.times) = all.into_iter().unzip();
    }
}

impl OddityLog {
    /// Frames kept for each kind.
    pub const FRAMES_KEPT: usize = 20;

    /// Says of which time the frames are that are noted from now on, in nanoseconds: what several inputs hold is told
    /// in order of time.
    #[inline]
    pub fn at(&mut self, now: i64) -> &mut OddityLog {
        self.now = now;
        self
    }

    /// Counts one oddity, of a frame if it belongs to one.
    pub fn note(&mut self, oddity: Oddity, frame: Option<u64>) {
        let at = self.place(&oddity).unwrap_or_else(|| self.insert(Noted::none_of(oddity.clone())));
        let Some(noted) = self.kinds.get_mut(at) else { return };
        // Of steps back in time the longest is the example: short ones are harmless.
        if let (Oddity::TimeWentBack { nanoseconds }, Oddity::TimeWentBack { nanoseconds: known }) =
            (&oddity, &mut noted.example)
        {
            *known = (*nanoseconds).max(*known);
        }
        noted.differs |= noted.example != oddity;
        noted.count += match oddity {
            Oddity::Drops { packets } | Oddity::Unread { packets } => packets,
            _ => 1,
        };
        if let Some(frame) = frame
            && noted.frames.len() < OddityLog::FRAMES_KEPT
            && noted.frames.last() != Some(&frame)
        {
            noted.frames.push(frame);
            noted.times.push(self.now);
        }
    }

    /// Counts one oddity of a frame that was captured at a time in nanoseconds, which is not that of the frame at hand.
    pub fn note_at(&mut self, oddity: Oddity, frame: u64, time: i64) {
        let now = std::mem::replace(&mut self.now, time);
        self.note(oddity, Some(frame));
        self.now = now;
    }

    /// Adds what another log of the same input has noted.
    pub fn merge(&mut self, other: &OddityLog) {
        for noted in &other.kinds {
            match self.place(&noted.example).and_then(|at| self.kinds.get_mut(at)) {
                None => {
                    self.insert(noted.clone());
                }
                Some(known) => {
                    known.count += noted.count;
                    known.differs |= noted.differs || noted.example != known.example;
                    known.merge_frames(noted);
                }
            }
        }
    }

    /// Where the kind of an oddity stands. There are few, and some are noted of each packet: names are only compared
    /// where it may be one of several that share a name.
    fn place(&self, oddity: &Oddity) -> Option<usize> {
        let variant = std::mem::discriminant(oddity);
        // Empty names are not compared: for bytes of which there are none, some processors take longer than for all
        // else here.
        let has_limit = !oddity.limit().is_empty();
        let is_same = |known: &Noted| {
            std::mem::discriminant(&known.example) == variant && (!has_limit || known.example.limit() == oddity.limit())
        };
        let is_alike = |known: &Noted| known.example.kind() == oddity.kind() && known.example.limit() == oddity.limit();
        let known = &self.kinds;
        known.iter().position(is_same).or_else(|| known.iter().position(is_alike))
    }

    /// Puts a kind that was not there into its place, and gives the place.
    fn insert(&mut self, noted: Noted) -> usize {
        let key = |noted: &Noted| (noted.example.kind(), noted.example.limit());
        let at = self.kinds.partition_point(|known| key(known) < key(&noted));
        self.kinds.insert(at, noted);
        at
    }

    /// Each kind in the order of its name; of limits each that was hit, in the order of theirs.
    pub fn iter(&self) -> impl Iterator<Item = (&'static str, &Noted)> {
        self.kinds.iter().map(|noted| (noted.example.kind(), noted))
    }

    /// What is noted of one kind; of limits, of the first of those that were hit.
    pub fn of(&self, kind: &str) -> Option<&Noted> {
        self.iter().find(|(known, _)| *known == kind).map(|(_, noted)| noted)
    }

    /// True if nothing was odd.
    pub fn is_empty(&self) -> bool {
        self.kinds.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_limit_that_was_hit_is_told() {
        let (mut log, mut other) = (OddityLog::default(), OddityLog::default());
        let hit = |limit| Oddity::LimitHit { limit, value: 8 };
        log.note(hit("streams"), Some(7));
        for frame in [3, 9] {
            other.note(hit("call-bytes"), Some(frame));
            other.note(hit("streams"), Some(frame));
        }
        log.merge(&other);
        let told: Vec<(&str, &str, u64)> =
            log.iter().map(|(kind, noted)| (kind, noted.example.limit(), noted.count)).collect();
        assert_eq!(told, [("limit-hit", "call-bytes", 2), ("limit-hit", "streams", 3)]);
        assert_eq!(log.of("limit-hit").map(|noted| noted.count), Some(2));
    }

    #[test]
    fn what_differs_is_said_of_the_first() {
        let mut log = OddityLog::default();
        log.note(Oddity::MessageCut { bytes: 465 }, Some(1));
        assert!(log.of("message-cut").unwrap().says().ends_with("465 bytes are missing"));
        log.note(Oddity::MessageCut { bytes: 80 }, Some(2));
        assert!(log.of("message-cut").unwrap().says().ends_with("465 bytes are missing in the first"));
    }
}
