//! Finds citations of RFCs in text: `RFC 3261 §8.1.3.2`, `RFC 5626 §11.5, §5.3.1`.

/// A document and, unless the whole of it is meant, a section.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Citation {
    /// `RFC 3261`.
    pub doc: String,
    /// `8.1.3.2`; empty for the whole document.
    pub section: String,
}

/// Every citation of an RFC in `text`, in order. A range gives both its ends.
pub(super) fn citations(text: &str) -> Vec<Citation> {
    let mut found = Vec::new();
    for (start, _) in text.match_indices("RFC ") {
        let mut rest = &text[start + 4..];
        let Some((number, after)) = leading(rest, |letter| letter.is_ascii_digit()) else { continue };
        let doc = format!("RFC {number}");
        rest = after;
        let first = found.len();
        while let Some(section_sign) = next_section(rest) {
            let Some((section, after)) =
                leading(section_sign, |letter| letter.is_ascii_alphanumeric() || letter == '.')
            else {
                break;
            };
            // A full stop may end the sentence and not the number.
            let section = section.trim_end_matches('.');
            rest = after;
            found.push(Citation { doc: doc.clone(), section: section.to_owned() });
        }
        if found.len() == first {
            found.push(Citation { doc, section: String::new() });
        }
    }
    found
}

/// What follows the next section sign, if nothing but a list stands before it.
fn next_section(text: &str) -> Option<&str> {
    let (between, after) = text.split_once('§')?;
    let listing = [" ", "", ", ", " and ", " or ", "; ", "–", "-", ","].contains(&between);
    listing.then(|| after.trim_start_matches('§'))
}

/// The longest start of `text` that holds nothing but `wanted`, and the rest; `None` if it is empty.
fn leading(text: &str, wanted: impl Fn(char) -> bool) -> Option<(&str, &str)> {
    let end = text.find(|letter| !wanted(letter)).unwrap_or(text.len());
    (end > 0).then(|| text.split_at(end))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn citations_are_found_with_their_sections() {
        let found = |text: &str| -> Vec<String> {
            citations(text).iter().map(|citation| format!("{}§{}", citation.doc, citation.section)).collect()
        };
        assert_eq!(found("see RFC 3261 §8.1.3.2."), ["RFC 3261§8.1.3.2"]);
        assert_eq!(
            found("RFC 5626 §11.5, §5.3.1 and §6; RFC 3262"),
            ["RFC 5626§11.5", "RFC 5626§5.3.1", "RFC 5626§6", "RFC 3262§"]
        );
        assert_eq!(found("RFC 3261 §14.1–§14.2"), ["RFC 3261§14.1", "RFC 3261§14.2"]);
        assert_eq!(found("RFC 3326 defines it, and §2 of it says"), ["RFC 3326§"]);
        assert_eq!(found("an RFC, 3GPP TS 24.229 §5.2.10"), Vec::<String>::new());
    }
}
