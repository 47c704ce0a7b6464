//! What is said where no call is shown: that nothing failed, or that nothing fits what was asked for.

use std::io;

use unicode_width::UnicodeWidthStr;

use crate::report::gatherer::Gathered;
use crate::report::text::Scope;
use crate::report::text::lines::{Line, Lines};
use crate::report::text::style::Ink;
use crate::report::text::words::grouped;

pub(crate) fn write(lines: &mut Lines<'_>, gathered: &Gathered, scope: Scope) -> io::Result<()> {
    if gathered.selected == 0 && gathered.left_out > 0 {
        lines.empty()?;
        let text = format!(
            "No call fits what was asked for: none of {} in the capture, registrations and other requests included.",
            grouped(gathered.left_out)
        );
        return lines.wrapped(Line::new(), &Line::new(), &text);
    }
    let holds_sip = gathered.inputs.iter().any(|input| input.sip_messages > 0);
    if scope == Scope::Everything || !holds_sip || !gathered.groups.is_empty() {
        return Ok(());
    }
    lines.empty()?;
    let hint = "(--all shows every call)";
    let line = Line::new().plain("No call, registration or other request failed.");
    let column = lines.width().saturating_sub(hint.width());
    if line.width() + 2 > column {
        lines.line(line)?;
        return lines.line(Line::new().ink(Ink::Faint, hint));
    }
    lines.line(line.filled_to(column).ink(Ink::Faint, hint))
}
