//! Prints the report as text for a terminal or a plain file.
//!
//! Incidents come first, then the calls that went wrong, each as a ladder with the failure explained in its place,
//! then notes on the capture. Everything that came from a packet passes [`Untrusted`](crate::untrusted::Untrusted).

pub(crate) mod calls;
mod calm;
pub(crate) mod ended;
pub(crate) mod explained;
mod head;
mod incidents;
pub(crate) mod ladder;
pub(crate) mod lines;
pub mod live;
mod no_sip;
mod notes;
mod style;
pub(crate) mod words;

use std::io::{self, Write};

use crate::report::gatherer::Gathered;
use crate::report::record::CallRecord;
use crate::report::text::lines::Lines;

pub use crate::report::text::style::{Glyphs, Ink, Style, Times, Zone};

/// What of the calls is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// What went wrong; of the same kind of trouble the first call.
    Trouble,
    /// Every call that was kept, whole.
    Everything,
}

/// Writes the report.
///
/// # Errors
/// What `out` says, or the temporary file of the records.
pub fn write(out: &mut dyn Write, gathered: &mut Gathered, style: &Style, scope: Scope) -> io::Result<()> {
    let mut lines = Lines::new(out, style);
    head::write(&mut lines, gathered)?;
    if gathered.inputs.iter().all(|input| input.sip_messages == 0) {
        no_sip::write(&mut lines, gathered)?;
    }
    calm::write(&mut lines, gathered, scope)?;
    incidents::write(&mut lines, gathered)?;
    calls::write(&mut lines, gathered, scope)?;
    notes::write(&mut lines, gathered)?;
    lines.flush()
}

/// The ladder of one call alone, shortened around what matters.
///
/// # Errors
/// Never: it is written to memory.
pub(crate) fn ladder_alone(record: &CallRecord, style: &Style) -> io::Result<String> {
    let mut text = Vec::new();
    let mut lines = Lines::new(&mut text, style);
    let columns = ladder::Columns::of(record, lines.width());
    ladder::heading(&mut lines, &columns)?;
    for piece in ladder::shortened(record, Scope::Trouble) {
        match piece {
            ladder::Piece::Rung(rung) => ladder::rung(&mut lines, &columns, record, rung)?,
            ladder::Piece::Skipped(count) => ladder::skipped(&mut lines, count)?,
        }
    }
    Ok(String::from_utf8_lossy(&text).into_owned())
}
