//! What a rule about the whole capture sees.

use crate::call::{Call, Outcome, Surroundings};
use crate::capture::{Place, SourceId, Timestamp};
use crate::oddity::{Noted, OddityLog};

/// One input, as far as rules need it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InputSeen {
    /// Which.
    pub source: SourceId,
    /// Packets read.
    pub packets: u64,
    /// Messages found.
    pub sip_messages: u64,
    /// Time of the earliest and of the latest packet.
    pub first_and_last: Option<(Timestamp, Timestamp)>,
    /// What was odd.
    pub oddities: OddityLog,
}

/// What was counted over all calls.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tally {
    /// Calls.
    pub calls: u64,
    /// The first message of calls whose beginning is not in the capture: it carries a To tag, or answers a request
    /// that was not captured. At most [`Tally::MOST`].
    pub without_start: Vec<Place>,
    /// How many such calls there are.
    pub without_start_count: u64,
    /// The last message of calls whose end is not in the capture. At most [`Tally::MOST`].
    pub without_end: Vec<Place>,
    /// How many such calls there are.
    pub without_end_count: u64,
}

impl Tally {
    /// Places that are kept.
    pub const MOST: usize = 20;

    /// Counts a call that has ended.
    pub fn add(&mut self, call: &Call) {
        self.calls += 1;
        let Some(first) = call.messages.first() else { return };
        let opens = match first.message.method() {
            Some(_) => first.message.to().and_then(|to| to.tag().map(str::to_owned)).is_none(),
            None => false,
        };
        if !opens {
            self.without_start_count += 1;
            if self.without_start.len() < Tally::MOST {
                self.without_start.push(first.place);
            }
        }
        if call.outcome == Outcome::Unfinished || has_open_end(call) {
            self.without_end_count += 1;
            if self.without_end.len() < Tally::MOST {
                let last = call.messages.last().unwrap_or(first);
                self.without_end.push(last.place);
            }
        }
    }
}

/// True if a dialog of the call was confirmed and its BYE was not captured.
fn has_open_end(call: &Call) -> bool {
    call.dialogs.iter().any(|dialog| dialog.confirmed.is_some() && dialog.bye.is_none())
}

/// The capture as a whole.
#[derive(Debug, Clone, Copy)]
pub struct CaptureCase<'a> {
    /// Its inputs.
    pub inputs: &'a [InputSeen],
    /// What is known of the surroundings.
    pub surroundings: &'a Surroundings,
    /// What was counted over all calls.
    pub tally: &'a Tally,
}

impl<'a> CaptureCase<'a> {
    /// What was noted of one kind of oddity: the inputs that have it.
    pub fn noted(&self, kind: &'a str) -> impl Iterator<Item = (&'a InputSeen, &'a Noted)> {
        self.inputs.iter().filter_map(move |input| Some((input, input.oddities.of(kind)?)))
    }

    /// How often one kind of oddity was noted in all inputs.
    pub fn count(&self, kind: &'a str) -> u64 {
        self.noted(kind).map(|(_, noted)| noted.count).sum()
    }

    /// The place of a frame of an input, for a claim.
    pub fn place(&self, input: &InputSeen, frame: u64) -> Place {
        Place { source: input.source, frame, ..Place::default() }
    }
}
