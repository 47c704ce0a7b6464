//! What two inputs show of each other's clocks: pairs of frames of which the order, or the distance, is known.

use std::net::SocketAddr;

use crate::call::clocks::{Exchange, Ground, Legs, Numbering, Part, SameDatagram, Times};
use crate::call::points::AtPoint;
use crate::capture::Place;

/// What two inputs show of each other's clocks.
#[derive(Debug, Clone, Copy)]
pub(super) enum Evidence {
    /// Both hold the same datagram.
    Same(Same),
    /// One holds a request and its answer, the other what was sent on of it and how that was answered.
    SentOn(SentOn),
}

/// A datagram in two inputs.
#[derive(Debug, Clone, Copy)]
pub(super) struct Same {
    pub(super) from: SocketAddr,
    pub(super) to: SocketAddr,
    pub(super) numbering: Numbering,
    pub(super) one: Place,
    pub(super) other: Place,
}

/// A request and what was sent on of it.
#[derive(Debug, Clone, Copy)]
pub(super) struct SentOn {
    pub(super) ground: Ground,
    pub(super) cause: Span,
    pub(super) effect: Span,
}

/// A request and its final response in one input.
#[derive(Debug, Clone, Copy)]
pub(super) struct Span {
    pub(super) asked: Place,
    pub(super) answered: Place,
}

impl Span {
    fn of(exchange: &Exchange) -> Option<Span> {
        let (answered, _) = exchange.answered?;
        Some(Span { asked: exchange.asked?, answered })
    }

    /// How long it took, in nanoseconds.
    fn length(&self) -> i64 {
        apart(self.asked, self.answered)
    }
}

/// By how much the second stands behind the first, in nanoseconds.
pub(super) fn apart(first: Place, second: Place) -> i64 {
    second.time.0.saturating_sub(first.time.0)
}

/// What a datagram shows: each two of the inputs that hold it once.
pub(super) fn of_datagram(datagram: &SameDatagram) -> Vec<Evidence> {
    let SameDatagram { from, to, numbering, .. } = *datagram;
    // What is numbered and stands there twice was seen twice by a tap; other bytes may have been sent again.
    let is_sure = |(seen, times): &(AtPoint, Times)| {
        (numbering == Numbering::Numbered || *times == Times::Once).then_some(seen.place)
    };
    let places: Vec<Place> = datagram.seen.iter().filter_map(is_sure).collect();
    if places.len() < datagram.seen.len() {
        return Vec::new();
    }
    each_two(&places, |one, other| Some(Evidence::Same(Same { from, to, numbering, one: *one, other: *other })))
}

/// What a request shows that a proxy sent on: it adds its Via (RFC 3261 §16.6).
pub(super) fn of_forwarding(exchanges: &[Exchange]) -> Vec<Evidence> {
    if !is_told_apart(exchanges) {
        return Vec::new();
    }
    let causes = exchanges.iter().filter(|exchange| exchange.part == Part::Cause);
    let effects = || exchanges.iter().filter(|exchange| exchange.part == Part::Effect);
    let pairs = causes.flat_map(|cause| effects().map(move |effect| (cause, effect)));
    let apart = pairs.filter(|(cause, effect)| !is_in_one(exchanges, cause, effect));
    apart.filter_map(|(cause, effect)| sent_on(Ground::Standard, cause, effect)).collect()
}

/// True if one input holds both: then they say nothing of another one in which one of them stands again.
fn is_in_one(exchanges: &[Exchange], cause: &Exchange, effect: &Exchange) -> bool {
    let holds = |wanted: &Exchange, by: &Exchange| {
        exchanges.iter().any(|known| (known.id, known.part, known.source) == (wanted.id, wanted.part, by.source))
    };
    holds(effect, cause) || holds(cause, effect)
}

/// What the legs show that share a key: one caused the other if the host that the one went to sent the other, or if
/// between hosts that have nothing in common one took place within the other.
pub(super) fn of_legs(Legs { ground, legs }: &Legs) -> Vec<Evidence> {
    let is_single = |leg: &Exchange| {
        let is_another = |other: &&Exchange| {
            (other.source, other.client, other.server) == (leg.source, leg.client, leg.server) && other.id != leg.id
        };
        !legs.iter().any(|other| is_another(&other))
    };
    if !is_told_apart(legs) || !legs.iter().all(is_single) {
        return Vec::new();
    }
    each_two(legs, |one, other| {
        let goes_on =
            |cause: &Exchange, effect: &Exchange| cause.server == effect.client && cause.client != effect.server;
        let found = match (goes_on(one, other), goes_on(other, one)) {
            _ if one.id == other.id || is_in_one(legs, one, other) => None,
            (true, false) => sent_on(*ground, one, other),
            (false, true) => sent_on(*ground, other, one),
            (false, false) if *ground == Ground::Standard && have_no_host_in_common(one, other) => {
                sent_on(*ground, one, other).or_else(|| sent_on(*ground, other, one))
            }
            _ => None,
        };
        found.filter(is_borne_out_by_bye(one, other))
    })
}

fn have_no_host_in_common(one: &Exchange, other: &Exchange) -> bool {
    let hosts = [other.client, other.server];
    !hosts.contains(&one.client) && !hosts.contains(&one.server)
}

/// True unless several of them were answered with success: a fork with several answers has one that comes late.
fn is_told_apart(exchanges: &[Exchange]) -> bool {
    let is_success = |exchange: &&Exchange| exchange.answered.is_some_and(|(_, status)| status.is_success());
    let effects = exchanges.iter().filter(|exchange| exchange.part == Part::Effect).filter(is_success);
    let mut sources: Vec<_> = effects.map(|effect| effect.source).collect();
    sources.sort_unstable();
    sources.windows(2).all(|pair| pair[0] != pair[1])
}

/// Both with their answers, if who waited had to wait for the answer to what was sent on.
fn sent_on(ground: Ground, cause: &Exchange, effect: &Exchange) -> Option<Evidence> {
    let ((_, told), (_, said)) = cause.answered.zip(effect.answered)?;
    // Who was asked to cancel, or has waited for long enough, answers by itself.
    let ends_itself = |code: u16| matches!(code, 408 | 487);
    let waited = !cause.is_cancelled && !effect.is_cancelled && !ends_itself(told.get()) && !ends_itself(said.get());
    if cause.source == effect.source || !waited || told.is_success() != said.is_success() {
        return None;
    }
    let (cause, effect) = (Span::of(cause)?, Span::of(effect)?);
    // What takes longer than what waits for it was not waited for.
    (0..=cause.length()).contains(&effect.length()).then_some(Evidence::SentOn(SentOn { ground, cause, effect }))
}

/// Where a system answers a call itself and goes on with it later, the answer to what it sent on comes after its own:
/// of a call that was answered a clock is only said to be late if the ends of both legs are as far apart as that.
fn is_borne_out_by_bye(one: &Exchange, other: &Exchange) -> impl Fn(&Evidence) -> bool {
    let byes = one.bye.zip(other.bye);
    let is_answered = one.answered.is_some_and(|(_, status)| status.is_success());
    move |evidence| {
        let Evidence::SentOn(SentOn { cause, effect, .. }) = evidence else { return true };
        let (most, least) = (apart(cause.asked, effect.asked), apart(cause.answered, effect.answered));
        if !is_answered || least <= 0 {
            return true;
        }
        byes.is_some_and(|(one, other)| {
            let ends = if one.source == cause.asked.source { apart(one, other) } else { apart(other, one) };
            let supposed = least.midpoint(most);
            ends.saturating_sub(supposed).saturating_abs() < ends.saturating_abs()
        })
    }
}

/// What each two of them give.
fn each_two<T>(all: &[T], mut give: impl FnMut(&T, &T) -> Option<Evidence>) -> Vec<Evidence> {
    let mut given = Vec::new();
    for (at, one) in all.iter().enumerate() {
        given.extend(all.iter().skip(at + 1).filter_map(|other| give(one, other)));
    }
    given
}
