//! Room for what lasts as long as a capture, taken in small steps.
//!
//! A vector that doubles holds half of its room empty, and copies of both sizes while it grows. That is the right price
//! for what is used and let go; not for rows of which there are thousands, and which stay.

/// Makes room for one more entry: where there is none, for a quarter more.
pub(crate) fn make_room<T>(row: &mut Vec<T>) {
    if row.len() == row.capacity() {
        row.reserve_exact(row.len() / 4 + 1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_grows_by_a_quarter() {
        let mut row = Vec::new();
        for entry in 0..1000 {
            make_room(&mut row);
            row.push(entry);
            assert!(row.capacity() <= row.len() + row.len() / 4 + 1, "{} of {}", row.len(), row.capacity());
        }
        assert_eq!(row.len(), 1000);
    }
}
