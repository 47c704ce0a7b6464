//! What is forgotten of the surroundings in a run that may last for months: what is too old to explain a call of now.

use crate::call::surroundings::{Registering, Surroundings};
use crate::capture::Timestamp;

/// Rows of REGISTERs that stay, of all addresses: some megabytes.
const MOST_ROWS: usize = 20_000;

impl Surroundings {
    /// Forgets what is older than this moment, and of registrations all but the last ones. Counts stay, as do addresses
    /// and what they were seen to do. When a hop or credentials were seen before `clear` is kept coarsely: one span for
    /// all of it.
    pub fn forget(&mut self, before: Timestamp, clear: Timestamp) {
        self.hops.seen.iter_mut().chain(&mut self.received.seen).for_each(|seen| {
            seen.forget(before);
            seen.blur(clear);
        });
        self.back_offs.retain(|_, asked| {
            asked.retain(|back_off| back_off.until >= before);
            !asked.is_empty()
        });
        self.dead_ports.retain(|_, closed| {
            closed.retain(|closed| closed.place.time >= before);
            !closed.is_empty()
        });
        self.forget_registering(before, clear);
        self.accepted.forget(before, clear);
        self.registrations.forget(before);
        self.soft_states.forget(before);
        self.failed_connections.forget(before);
        self.cut_short.forget(before);
        self.neighbours.forget(before);
    }

    /// Thins out the rows of REGISTERs, and forgets the oldest where many users register with new Call-IDs all the
    /// time.
    fn forget_registering(&mut self, before: Timestamp, clear: Timestamp) {
        self.registering.retain(|_, rows| {
            thin_out(rows, before, clear);
            !rows.is_empty()
        });
        let mut times: Vec<Timestamp> = self.registering.values().flatten().map(|row| row.place.time).collect();
        let Some(too_many) = times.len().checked_sub(MOST_ROWS).filter(|too_many| *too_many > 0) else { return };
        let (_, since, _) = times.select_nth_unstable(too_many);
        self.registering.retain(|_, rows| {
            rows.retain(|row| row.place.time >= *since);
            !rows.is_empty()
        });
    }
}

/// Of the rows of one address, forgets those of users that did not begin anew since `before`, and keeps of those before
/// `clear` the first and the last of each user. That a device began anew during a call shows in them as well as in all:
/// one was before the call, and one in it.
fn thin_out(rows: &mut Vec<Registering>, before: Timestamp, clear: Timestamp) {
    let is_old = |row: &&Registering| row.place.time < clear;
    if !rows.iter().any(|row| is_old(&row)) {
        return;
    }
    // Rows stand in order of their users.
    let of_users = rows.chunk_by(|one, next| one.address_of_record == next.address_of_record);
    let mut stays = Vec::with_capacity(rows.len());
    for rows in of_users {
        let is_known = rows.iter().any(|row| row.place.time >= before);
        let old = || rows.iter().filter(is_old).map(|row| row.place);
        let ends = [old().min(), old().max()];
        stays.extend(rows.iter().map(|row| is_known && (!is_old(&row) || ends.contains(&Some(row.place)))));
    }
    let mut stays = stays.into_iter();
    rows.retain(|_| stays.next().unwrap_or(true));
    rows.shrink_to(2 * rows.len());
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use super::*;
    use crate::capture::Place;

    fn minute(count: u64) -> Timestamp {
        Timestamp(count as i64 * 60_000_000_000)
    }

    fn register(surroundings: &mut Surroundings, phone: u8, user: &str, call_key: u64, at: u64) {
        let place = Place { time: minute(at), frame: call_key, ..Place::default() };
        let row = Registering { address_of_record: user.into(), call_key, place };
        surroundings.note_registering(IpAddr::from([192, 0, 2, phone]), row);
    }

    fn rows(surroundings: &Surroundings) -> usize {
        surroundings.registering.values().map(Vec::len).sum()
    }

    #[test]
    fn what_is_left_of_a_row_of_registers_tells_of_restarts_as_all_of_it_did() {
        let mut all = Surroundings::default();
        for turn in 0..20 {
            register(&mut all, 1, "sip:alice@example.com", 1 + turn, 3 * turn);
            register(&mut all, 1, "sip:bob@example.com", 100 + turn, 3 * turn + 1);
        }
        let mut thin = all.clone();
        thin.forget(minute(0), minute(50));
        assert_eq!((rows(&all), rows(&thin)), (40, 2 * 2 + 6));
        let phone = IpAddr::from([192, 0, 2, 1]);
        let says = |known: &Surroundings, from, to| known.registered_anew(phone, minute(from), minute(to)).is_some();
        for from in 0..60 {
            // A call that is judged now has ended a moment ago.
            for to in 50..60 {
                assert_eq!(says(&thin, from, to), says(&all, from, to), "from {from} to {to}");
            }
        }
        thin.forget(minute(56), minute(60));
        assert_eq!(rows(&thin), 2 * 2, "who began anew since keeps the first row, however old it is");
        assert!(says(&thin, 10, 60));
        thin.forget(minute(58), minute(60));
        assert_eq!(rows(&thin), 2, "who did not is forgotten");
    }

    #[test]
    fn of_very_many_users_the_last_rows_stay() {
        let mut surroundings = Surroundings::default();
        let count = MOST_ROWS as u64 + 50;
        for number in 0..count {
            // No more of one phone than are kept of it.
            let phone = IpAddr::from([10, 0, (number / 50 / 256) as u8, (number / 50) as u8]);
            let place = Place { time: minute(number), frame: number, ..Place::default() };
            let row = Registering { address_of_record: format!("sip:{number}@example.com"), call_key: number, place };
            surroundings.note_registering(phone, row);
        }
        surroundings.forget(minute(0), minute(count));
        assert_eq!(rows(&surroundings), MOST_ROWS);
        let oldest = surroundings.registering.values().flatten().map(|row| row.place.time).min();
        assert_eq!(oldest, Some(minute(50)));
    }
}
