//! What is said where no call is shown: that nothing failed, or that nothing fits what was asked for.

use std::io;

use unicode_width::UnicodeWidthStr;

use crate::catalogue::Word;
use crate::diagnosis::Severity;
use crate::report::gatherer::Gathered;
use crate::report::text::Scope;
use crate::report::text::lines::{Line, Lines};
use crate::report::text::style::Ink;
use crate::report::text::words::counted;

pub(crate) fn write(lines: &mut Lines<'_>, gathered: &Gathered, scope: Scope) -> io::Result<()> {
    if gathered.selected == 0 && gathered.left_out > 0 {
        lines.empty()?;
        let text = counted(&lines.style.words, Word::NothingFits, gathered.left_out);
        return lines.wrapped(Line::new(), &Line::new(), &text);
    }
    let holds_sip = gathered.inputs.iter().any(|input| input.sip_messages > 0);
    if scope == Scope::Everything
        || !holds_sip
        || !gathered.groups.iter().all(|group| group.is_told_by(&gathered.notes))
    {
        return Ok(());
    }
    lines.empty()?;
    let words = lines.style.words;
    let hint = words.word(Word::HintAll);
    // Who reads that nothing failed may read no further.
    let is_warned = gathered.notes.iter().any(|note| note.severity != Severity::Info);
    let says = if is_warned { Word::NothingFailedBut } else { Word::NothingFailed };
    let line = Line::new().plain(words.word(says));
    let column = lines.width().saturating_sub(hint.width());
    if line.width() + 2 > column {
        lines.line(line)?;
        return lines.line(Line::new().ink(Ink::Faint, hint));
    }
    lines.line(line.filled_to(column).ink(Ink::Faint, hint))
}
