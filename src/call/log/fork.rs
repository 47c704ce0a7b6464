//! A fork that two devices answered.
//!
//! The caller keeps one dialog and ends the other at once with a BYE (RFC 3261 §13.2.2.4), after which the call goes
//! on.

use std::time::Duration;

use crate::call::transaction::Keys;
use crate::capture::Timestamp;
use crate::keyed::hash_of;

/// A caller that does not want an answer ends its dialog as soon as it has it: a program does so, and no person.
const AT_ONCE: Duration = Duration::from_secs(3);

/// What is known of it. Small, for every open call has one.
#[derive(Debug, Clone, Default)]
pub(super) struct Fork {
    /// The tag of the device that answered first.
    answered_by: Option<u32>,
    again: Option<Box<AnsweredAgain>>,
}

/// Another device answered too.
#[derive(Debug, Clone, Copy)]
struct AnsweredAgain {
    at: Timestamp,
    /// The dialog that was ended because of it, by its tags.
    released: Option<u64>,
}

impl Fork {
    /// Notes the first 2xx to an INVITE.
    pub(super) fn note_answer(&mut self, answer: &Keys<'_>) {
        self.answered_by.get_or_insert(device(answer));
    }

    /// Notes a 2xx to an INVITE that had one before: a copy, or that of another device.
    pub(super) fn note_further_answer(&mut self, answer: &Keys<'_>, now: Timestamp) {
        let device = device(answer);
        if *self.answered_by.get_or_insert(device) != device {
            let released = self.again.as_ref().and_then(|again| again.released);
            self.again = Some(Box::new(AnsweredAgain { at: now, released }));
        }
    }

    /// True if a BYE ends the one dialog too many, on whatever hop, so that the call goes on.
    pub(super) fn is_released_by(&mut self, bye: &Keys<'_>, now: Timestamp) -> bool {
        let Some(again) = &mut self.again else { return false };
        let dialog = hash_of(bye.from_tag) ^ hash_of(bye.to_tag);
        let released = again.released.get_or_insert(dialog);
        *released == dialog && now.since(again.at) <= AT_ONCE
    }

    /// The clock was set by so many nanoseconds.
    pub(super) fn clock_set(&mut self, nanoseconds: i64) {
        if let Some(again) = &mut self.again {
            again.at.0 = again.at.0.saturating_add(nanoseconds);
        }
    }
}

/// Which device answered.
fn device(answer: &Keys<'_>) -> u32 {
    hash_of(answer.to_tag) as u32
}
