//! Prints the report as text for a terminal or a plain file.
//!
//! Incidents come first, then the calls that went wrong, each as a ladder with the failure explained in its place,
//! then notes on the capture. Everything that came from a packet passes [`Untrusted`](crate::untrusted::Untrusted).

mod calls;
mod calm;
mod explained;
mod head;
mod incidents;
mod ladder;
mod lines;
mod no_sip;
mod notes;
mod style;
mod words;

use std::io::{self, Write};

use crate::report::gatherer::Gathered;
use crate::report::text::lines::Lines;

pub use crate::report::text::style::{Glyphs, Ink, Style, Zone};
pub use crate::report::text::words::event_line;

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
