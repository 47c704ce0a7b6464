use crate::diagnosis::offers::{audio, intersect};
use crate::diagnosis::rule::rule;
use crate::diagnosis::{Case, Confidence, Finding};
use crate::sip::Message;
use crate::sip::sdp::Sdp;
use crate::sip::sdp_grammar::{Fault, first_fault};

rule! {
    /// The session description is malformed.
    ///
    /// ## What it says
    /// The offer breaks the grammar of session descriptions, and the callee's side refused it.
    ///
    /// ## Why it happens
    /// A fault of the sender, or a box on the way that rewrites addresses and ports.
    ///
    /// ## Evidence
    /// A line of the description that breaks RFC 8866, and a 400, 488 or 606.
    ///
    /// ## How to fix
    /// Correct the line that is named, at the sender or at the box that rewrote it.
    ///
    /// ## When it would be wrong
    /// Some systems forgive the fault and refuse for another reason: then a Warning usually names it, or the refusal
    /// lists codecs of which the offer has none.
    ///
    /// ## References
    /// RFC 8866 §5, §9; RFC 3261 §21.4.26, §21.4.1
    "D10" "sdp-malformed" needs [400 488 606 BODY], check
}

fn check(case: &Case<'_>) -> Option<Finding> {
    let failure = case.failure_with(&[400, 488, 606])?;
    let (request, response) = (case.request(failure)?, case.response(failure));
    let kind = request.message.header("Content-Type")?.to_ascii_lowercase();
    let names_other = case.warned(response, &[300, 301, 302, 303, 304, 305, 370]).is_some();
    // A type that stands over an empty body names no description: it is a late offer.
    let is_empty = request.message.body().is_empty();
    if is_empty || request.message.is_cut() || !kind.starts_with("application/sdp") || names_other {
        return None;
    }
    let Fault { line, text, why, is_missing } = first_fault(request.message.body())?;
    let request = case.first_with(request, |before| {
        let same = |fault: Fault| fault.text == text && fault.why == why;
        !before.message.is_cut() && first_fault(before.message.body()).is_some_and(same)
    });
    let says_so = case.says_any(response, &["sdp", "session description", "parse"]);
    if !says_so && lacks_codec(&request.message, &response.message) {
        return None; // `no-common-codec`: to mend the line alone would not help.
    }
    let (client, server) = (request.path.source, response.path.source);
    let finding = Finding::of(&RULE, if says_so { Confidence::Proven } else { Confidence::Likely })
        .explains(Some(failure.status))
        .sender(case.role_of_sender(request), request)
        .because(match is_missing {
            true => format!(
                "The session description of {client} lacks a line: {why}. {server} refused it with {}.",
                failure.status
            ),
            false => format!(
                "The session description of {client} breaks the grammar at line {line} ({text:?}): {why}. {server} \
                 refused it with {}.",
                failure.status
            ),
        })
        .fix(match is_missing {
            true => format!("Let {client} write what its description lacks: {why}."),
            false => format!("Correct line {line} of what {client} writes: {why}."),
        })
        .fix("If it did not write it so, look for a box on the way that rewrites session descriptions (ALG, SBC).");
    let finding = match field(&text) {
        Some((field, value)) => finding.claim(request, field, value, "the line that breaks the grammar"),
        None => finding.claim_header(request, "Content-Type", "a session description"),
    };
    Some(
        finding
            .claim_status(response, "refused")
            .claim_own_words(case, response)
            .refuted("no-common-codec", "the description cannot be read as it stands")
            .refuted("syntax-rejected", "what is broken is the session description"),
    )
}

/// True if the refusal lists what its sender can do, and no codec of the offer is in it.
fn lacks_codec(request: &Message<'_>, response: &Message<'_>) -> bool {
    let Some((offered, theirs)) = Sdp::of(request).and_then(audio).zip(Sdp::of(response).and_then(audio)) else {
        return false;
    };
    let (mine, theirs) = (offered.main_codecs(), theirs.main_codecs());
    !mine.is_empty() && !theirs.is_empty() && !intersect(&mine, &theirs)
}

/// The field in which Wireshark shows a line, with its value; `None` if it shows none.
fn field(line: &str) -> Option<(&'static str, &str)> {
    let (letter, value) = line.split_once('=')?;
    let field = match letter {
        "v" => "sdp.version",
        "o" => "sdp.owner",
        "s" => "sdp.session_name",
        "c" => "sdp.connection_info",
        "t" => "sdp.time",
        "m" => "sdp.media",
        "b" => "sdp.bandwidth",
        _ => return None,
    };
    // At a blank with no word behind it Wireshark gives up the whole description.
    (!value.is_empty() && !value.ends_with(' ')).then_some((field, value))
}

#[cfg(test)]
mod tests {
    use super::field;

    #[test]
    fn a_line_is_claimed_where_wireshark_shows_it() {
        assert_eq!(field("c=IN IP4"), Some(("sdp.connection_info", "IN IP4")));
        assert_eq!(field("c=IN IP4 "), None);
        assert_eq!(field("s="), None);
    }
}
