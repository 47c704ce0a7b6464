//! What only shows over several calls: how many of how many, since when, up to how many at once, and what was lost
//! together.
//!
//! Is given a group of calls and what is known of its surroundings; gives sentences. What they tell is arithmetic on
//! what was seen; why it is so they do not say.

use std::net::IpAddr;
use std::time::Duration;

use crate::call::{Decided, End, Kind, Occupancy, Outcome, RefusedAt, Surroundings};
use crate::capture::Timestamp;
use crate::report::incidents::Group;

/// Calls before the first failure that make "none before" worth telling.
const ENOUGH_BEFORE: u64 = 3;
/// Registrations that are lost together, and within how long.
const ENOUGH_TOGETHER: u64 = 3;
const TOGETHER: Duration = Duration::from_secs(60);
/// Refusals that show a ceiling.
const ENOUGH_REFUSED: u64 = 3;

/// The moments and the party of a group, as they stand in the capture.
#[derive(Debug, Clone)]
pub(crate) struct Over {
    /// Whose calls they are.
    pub(crate) peer: Option<IpAddr>,
    /// As what it took part.
    pub(crate) end: End,
    /// When the first of them began.
    pub(crate) first: Timestamp,
    /// When each ended: the first and the last of these moments.
    pub(crate) ended: (Timestamp, Timestamp),
}

/// How many calls of the peer there were, as far as the capture shows how they were decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Share {
    /// All of them, the group's own included.
    pub(crate) of: u64,
    /// Calls of it that were accepted before the first of the group began; and from then on.
    pub(crate) before: u64,
    pub(crate) since: u64,
    /// Calls of it that were decided from then on, the group's own included.
    pub(crate) of_since: u64,
    /// True if spans of time are known to the second.
    is_exact: bool,
}

/// How many calls the peer of a group had. `None` for anything but calls, and where nothing else is known of the peer.
pub(crate) fn share(group: &Group, surroundings: &Surroundings) -> Option<Share> {
    let over = &group.over;
    // Calls that were answered are among the accepted ones: of how many something was wrong, those do not tell.
    if group.incident.kind != Kind::Call || group.outcome == Outcome::Answered {
        return None;
    }
    let Decided { accepted, refused } = surroundings.neighbours().decisions().of(over.peer?, over.end)?;
    let before = accepted.before(over.first);
    let refused_before = refused.before(over.first);
    // What was answered and dropped, or refused, is among those that were decided; what nobody answered is not.
    let is_counted = group.outcome == Outcome::Dropped || is_refused(group);
    let own = if is_counted { 0 } else { group.count };
    let of = (accepted.total() + refused.total() + own).max(group.count);
    let of_since = of.saturating_sub(before + refused_before).max(group.count);
    let is_exact = accepted.is_exact() && refused.is_exact();
    Some(Share { of, before, since: accepted.total() - before, of_since, is_exact })
}

fn is_refused(group: &Group) -> bool {
    let counts = |status: u16| status >= 400 && !matches!(status, 401 | 407 | 487);
    group.incident.status.is_some_and(counts) && group.outcome != Outcome::Unanswered
}

/// What shows over the calls of a group. `others` are all groups.
pub(crate) fn says(group: &Group, others: &[Group], surroundings: &Surroundings) -> Vec<String> {
    let mut says = Vec::new();
    if let Some(share) = share(group, surroundings) {
        says.extend(how_many(group.count, share, Onset::of(group)));
    }
    says.extend(ceiling(group, surroundings));
    says.extend(ignored_back_off(group, others));
    says.extend(lost_together(group));
    says
}

/// Whether other calls can tell when it began.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Onset {
    MayShow,
    /// All of the calls went to one callee and were refused with a code that is about the callee: what became of calls
    /// to others tells nothing.
    Unknown,
}

impl Onset {
    fn of(group: &Group) -> Onset {
        let is_about_callee = |status| matches!(status, 404 | 410 | 480 | 486 | 600 | 603 | 604);
        let goes_to_one = group.called_the_same && group.incident.called.is_some();
        match goes_to_one && group.incident.status.is_some_and(is_about_callee) {
            true => Onset::Unknown,
            false => Onset::MayShow,
        }
    }
}

/// `12 of 15 calls`, and whether it began at a moment, where other calls can tell that.
fn how_many(count: u64, share: Share, onset: Onset) -> Option<String> {
    let Share { of, before, since, of_since, is_exact } = share;
    if of == count {
        return (count > 1).then(|| format!("all {count} calls that were decided there went this way"));
    }
    let whole = format!("{count} of {of} calls that were decided there went this way");
    if onset == Onset::Unknown {
        return Some(whole);
    }
    let about = if is_exact { "" } else { "about " };
    let is_onset = before >= ENOUGH_BEFORE && 2 * count >= of_since;
    Some(match is_onset {
        true => format!(
            "{whole}: none of {about}{} before the first of them, {count} of {about}{of_since} from then on",
            of.saturating_sub(of_since)
        ),
        false if before + since == 0 => format!("{whole}, and none was accepted"),
        false => {
            let were = if before == 1 { "was" } else { "were" };
            format!("{whole}; {about}{before} {were} accepted before the first of them, {about}{since} after it")
        }
    })
}

/// A ceiling of concurrent calls.
fn ceiling(group: &Group, surroundings: &Surroundings) -> Option<String> {
    let (server, status) = (group.over.peer?, group.incident.status?);
    let is_ceiling = |refused: &RefusedAt, known: &Occupancy| {
        let is_above = refused.fewest > known.most_when_accepted;
        refused.count >= ENOUGH_REFUSED && known.accepted > 0 && is_above && !known.is_of_one_callee(refused)
    };
    let of_clients = surroundings.neighbours().occupancies_at(server).filter_map(|(client, known)| {
        let refused = known.refused.get(&status)?;
        is_ceiling(refused, known).then_some((client, refused))
    });
    let (client, RefusedAt { count, fewest, .. }) = of_clients.min_by_key(|(client, _)| *client)?;
    Some(format!(
        "{count} calls from {client} were refused with {status} while {fewest} or more others were up, and none was \
         accepted then: a ceiling of {fewest} calls at once"
    ))
}

/// Calls that came although the peer had asked to be left alone.
fn ignored_back_off(group: &Group, others: &[Group]) -> Option<String> {
    const IGNORED: &str = "overload-backoff-ignored";
    let is_503 = group.incident.status == Some(503) && group.incident.rule.as_deref() != Some(IGNORED);
    let same_peer = |other: &&Group| other.over.peer.is_some() && other.over.peer == group.over.peer;
    let ignored = others.iter().filter(|_| is_503).filter(same_peer);
    let count: u64 =
        ignored.filter(|other| other.incident.rule.as_deref() == Some(IGNORED)).map(|other| other.count).sum();
    (count > 0).then(|| format!("{count} further calls came before its Retry-After had passed ({IGNORED})"))
}

/// Registrations that were lost, or refused, within a short while.
fn lost_together(group: &Group) -> Option<String> {
    let (first, last) = group.over.ended;
    let within = last.since(first);
    let is_together = group.incident.kind == Kind::Registration && group.count >= ENOUGH_TOGETHER && within <= TOGETHER;
    // A scanner's tries always come together, and nobody lost anything.
    (is_together && !group.is_of_probes()).then(|| {
        let seconds = within.as_secs() + u64::from(within.subsec_nanos() > 0);
        let end = if group.incident.status.is_some() { "refused" } else { "lost" };
        format!(
            "{} registrations failed within {} s of each other: they were {end} together",
            group.count,
            seconds.max(1)
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn those_before_and_those_from_then_on_are_all() {
        let share = Share { of: 8, before: 3, since: 0, of_since: 3, is_exact: true };
        let says = how_many(2, share, Onset::MayShow).unwrap();
        assert!(says.ends_with("none of 5 before the first of them, 2 of 3 from then on"), "{says}");
        assert_eq!(how_many(2, share, Onset::Unknown).unwrap(), "2 of 8 calls that were decided there went this way");
    }
}
