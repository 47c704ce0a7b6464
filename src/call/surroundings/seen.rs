//! When something was seen, in little room.
//!
//! Knows moments. Is given them one by one; gives whether there was one in a span of time: surely, or perhaps where it
//! was kept coarsely. Deliberately does not know what was seen.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::capture::Timestamp;

/// When something was seen, as spans: moments closer than [`Seen::CLOSE`] are one span.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(from = "Spans", into = "Spans")]
pub struct Seen {
    /// The last span, apart from the others: nearly every message lengthens it, and is one of very many hops.
    last: Option<Span>,
    /// How many messages.
    pub count: u64,
    /// What was before it, if there was anything: apart, so that many hops stay in the processor's cache.
    past: Option<Box<Past>>,
}

/// The spans before the last one.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
struct Past {
    /// In order.
    spans: Vec<Span>,
    /// Up to here spans may have been joined over silence: of what lies within one of them nothing is certain.
    blurred_until: Option<Timestamp>,
}

/// [`Seen::CLOSE`] in nanoseconds: nearly every message asks for it.
const CLOSE_NS: i64 = Seen::CLOSE.as_nanos() as i64;

/// When it began, and when it ended.
type Span = (Timestamp, Timestamp);

/// The form in which it is written.
#[derive(Serialize, Deserialize)]
struct Spans {
    spans: Vec<Span>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    blurred_until: Option<Timestamp>,
    count: u64,
}

impl From<Spans> for Seen {
    fn from(Spans { spans: mut earlier, blurred_until, count }: Spans) -> Seen {
        let last = earlier.pop();
        Seen { last, count, past: Past { spans: earlier, blurred_until }.kept() }
    }
}

impl From<Seen> for Spans {
    fn from(Seen { last, count, past }: Seen) -> Spans {
        let Past { mut spans, blurred_until } = past.map(|past| *past).unwrap_or_default();
        spans.extend(last);
        Spans { spans, blurred_until, count }
    }
}

impl Past {
    /// Nothing if nothing was.
    fn kept(self) -> Option<Box<Past>> {
        (self != Past::default()).then(|| Box::new(self))
    }
}

impl Seen {
    /// Moments no further apart than this are one span: visibility looks 60 s around.
    pub const CLOSE: Duration = Duration::from_secs(30);
    /// Spans that are kept. Mergeable in any order as long as there are no more.
    const MOST: usize = 64;
    /// Spans for which there is room at first.
    const FEW: usize = 4;
    /// A silence that no span that is asked for fits into: visibility looks 60 s around.
    const BRIDGED: Duration = Duration::from_secs(120);

    /// Notes one message.
    pub fn note(&mut self, time: Timestamp) {
        self.count = self.count.saturating_add(1);
        self.note_alive(time);
    }

    /// Notes something that is no message.
    pub(crate) fn note_alive(&mut self, time: Timestamp) {
        match &mut self.last {
            Some((_, last)) if *last <= time && time.0.saturating_sub(last.0) <= CLOSE_NS => *last = time,
            Some((first, last)) if *first <= time && time <= *last => {}
            None => self.last = Some((time, time)),
            Some(_) => self.begin_span(time),
        }
    }

    /// Begins another span, or joins some where there is no room for it.
    #[inline(never)]
    fn begin_span(&mut self, time: Timestamp) {
        let has_room = self.earlier().len() + 1 < Seen::MOST;
        match &mut self.last {
            Some(span) if span.1 < time && has_room => {
                self.past.get_or_insert_default().spans.push(std::mem::replace(span, (time, time)));
            }
            _ => self.join((time, time)),
        }
    }

    /// The spans before the last one, in order.
    fn earlier(&self) -> &[Span] {
        self.past.as_ref().map_or(&[], |past| &past.spans)
    }

    /// All of them, in order.
    fn spans(&self) -> impl Iterator<Item = &Span> {
        self.earlier().iter().chain(&self.last)
    }

    /// True if anything may have been seen in this span. False only where nothing was.
    pub fn within(&self, from: Timestamp, to: Timestamp) -> bool {
        self.spans().any(|(first, last)| *first <= to && from <= *last)
    }

    /// True if something was seen in this span. What was kept coarsely proves nothing but at its ends; and within one
    /// of its spans nothing may have been seen for as long as [`Seen::CLOSE`].
    pub fn surely_within(&self, from: Timestamp, to: Timestamp) -> bool {
        let blurred_until = self.past.as_ref().and_then(|past| past.blurred_until);
        let sure = blurred_until.map_or(from, |until| from.max(until));
        let is_long = sure <= to && to.since(sure) >= Seen::CLOSE;
        self.spans().any(|(first, last)| {
            let has_end = [first, last].into_iter().any(|end| from <= *end && *end <= to);
            has_end || is_long && *first <= sure && to <= *last
        })
    }

    /// When something was seen first and last.
    pub fn first_and_last(&self) -> Option<(Timestamp, Timestamp)> {
        Some((self.spans().next()?.0, self.last?.1))
    }

    fn join(&mut self, span: Span) {
        let Past { mut spans, mut blurred_until } = self.past.take().map(|past| *past).unwrap_or_default();
        spans.extend(self.last.into_iter().chain([span]));
        spans.sort_unstable();
        let mut joined: Vec<Span> = Vec::with_capacity(spans.len());
        for (first, last) in spans {
            match joined.last_mut() {
                Some((_, end)) if first <= *end || first.since(*end) <= Seen::CLOSE => *end = (*end).max(last),
                _ => joined.push((first, last)),
            }
        }
        // Where there are too many, the two that are closest to each other become one.
        while joined.len() > Seen::MOST
            && let Some(at) = (1..joined.len()).min_by_key(|at| joined[*at].0.since(joined[*at - 1].1))
        {
            let (silence, end) = (joined[at].0.since(joined[at - 1].1), joined[at].1);
            joined[at - 1].1 = end;
            joined.remove(at);
            if silence > Seen::BRIDGED {
                blurred_until = blurred_until.max(Some(end));
            }
        }
        self.last = joined.pop();
        self.past = Past { spans: joined, blurred_until }.kept();
    }

    pub(crate) fn merge(&mut self, other: &Seen) {
        self.count = self.count.saturating_add(other.count);
        for span in other.spans() {
            self.join(*span);
        }
        if let Some(blurred_until) = other.past.as_ref().and_then(|past| past.blurred_until) {
            let past = self.past.get_or_insert_default();
            past.blurred_until = past.blurred_until.max(Some(blurred_until));
        }
    }

    /// Forgets spans that ended before this moment; the last one stays.
    pub(crate) fn forget(&mut self, before: Timestamp) {
        let old = self.earlier().partition_point(|(_, last)| *last < before);
        self.give_up(old);
    }

    /// Joins the spans that ended before this moment, over the silence between them.
    pub(crate) fn blur(&mut self, before: Timestamp) {
        let old = self.spans().take_while(|(_, last)| *last < before).count();
        let (Some(past), Some(at)) = (&mut self.past, old.checked_sub(1)) else { return };
        let Some((first, _)) = past.spans.first().copied().filter(|_| at > 0) else { return };
        if let Some((begin, end)) = past.spans.get_mut(at).or(self.last.as_mut()) {
            *begin = first;
            past.blurred_until = past.blurred_until.max(Some(*end));
        }
        self.give_up(at);
    }

    /// Gives up the first spans of those before the last one, and room that was needed once. Some is left for the next
    /// spans: tens of thousands of rows that each grow and shrink by turns leave holes in the heap.
    fn give_up(&mut self, count: usize) {
        let Some(past) = self.past.as_mut().filter(|_| count > 0) else { return };
        past.spans.drain(..count);
        past.spans.shrink_to((2 * past.spans.len()).max(Seen::FEW));
        if **past == Past::default() {
            self.past = None;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn months_of_moments_take_no_more_room_than_hours() {
        let mut seen = Seen::default();
        let minute = |number: i64| Timestamp(number * 60_000_000_000);
        for number in 0..50_000 {
            // A gap of a day in the middle.
            seen.note(minute(number + if number < 25_000 { 0 } else { 1440 }));
        }
        assert_eq!((seen.count, seen.spans().count()), (50_000, Seen::MOST));
        assert_eq!(seen.first_and_last(), Some((minute(0), minute(51_439))));
        assert!(seen.within(minute(51_439), minute(51_440)) && seen.within(minute(0), minute(0)));
        assert!(!seen.within(minute(25_010), minute(26_000)), "nothing was seen in the gap");
    }

    #[test]
    fn a_short_silence_within_a_span_is_not_taken_for_a_sight() {
        let mut seen = Seen::default();
        let second = |number: i64| Timestamp(number * 1_000_000_000);
        [0, 10, 30, 60].into_iter().for_each(|number| seen.note(second(number)));
        let within = |from: i64, to: i64| seen.surely_within(second(from), second(to));
        assert!(!within(12, 28) && !within(31, 59), "nothing was seen there");
        assert!(within(11, 41) && within(50, 60) && within(0, 0));
    }

    #[test]
    fn what_was_joined_over_silence_is_certain_at_its_ends_alone() {
        let mut seen = Seen::default();
        let minute = |number: i64| Timestamp(number * 60_000_000_000);
        // An hour apart, one pair of them nearer, and later without a pause.
        let hours = (0..=Seen::MOST as i64).map(|hour| hour * 60);
        hours.chain([30 * 60 + 20]).for_each(|number| seen.note(minute(number)));
        let last = Seen::MOST as i64 * 60;
        (0..20).for_each(|turn| seen.note(Timestamp(minute(last).0 + turn * 20_000_000_000)));
        assert_eq!(seen.spans().count(), Seen::MOST);
        let within =
            |from: i64, to: i64| (seen.within(minute(from), minute(to)), seen.surely_within(minute(from), minute(to)));
        let joined = 30 * 60;
        assert_eq!(
            within(joined + 5, joined + 15),
            (true, false),
            "what lies between was not seen to be silent, nor not"
        );
        assert_eq!(within(joined + 5, joined + 25), (true, true));
        assert_eq!(within(joined - 5, joined + 5), (true, true));
        assert_eq!(within(joined - 50, joined - 10), (false, false));
        assert_eq!(within(last + 2, last + 3), (true, true), "what came later is as clear as ever");
    }

    #[test]
    fn old_spans_are_forgotten_and_the_last_one_stays() {
        let minutes = |count: i64| Timestamp(count * 60_000_000_000);
        let mut seen = Seen::default();
        (0..10).for_each(|minute| seen.note(minutes(minute)));
        seen.forget(minutes(4));
        assert_eq!((seen.first_and_last(), seen.count), (Some((minutes(4), minutes(9))), 10));
        seen.forget(minutes(100));
        assert_eq!(seen.first_and_last(), Some((minutes(9), minutes(9))));
    }

    #[test]
    fn what_is_long_ago_is_one_span_of_which_the_ends_are_certain() {
        let minutes = |count: i64| Timestamp(count * 60_000_000_000);
        let mut seen = Seen::default();
        (0..10).for_each(|turn| seen.note(minutes(10 * turn)));
        seen.blur(minutes(65));
        assert_eq!((seen.spans().count(), seen.count), (4, 10));
        let within = |from: i64, to: i64| {
            (seen.within(minutes(from), minutes(to)), seen.surely_within(minutes(from), minutes(to)))
        };
        assert_eq!(within(22, 28), (true, false), "it is not known any more");
        assert_eq!(within(58, 62), (true, true));
        assert_eq!(within(62, 68), (false, false), "of this it is");
        assert_eq!(within(69, 71), (true, true));
    }
}
