use crate::diagnosis::options::names_option;
use crate::diagnosis::rule::rule;
use crate::diagnosis::rules::offer_answer::answer_unusable;
use crate::diagnosis::{Case, Confidence, Finding, Role, Severity};
use crate::sip::sdp::Sdp;

rule! {
    /// The answer refuses the audio stream.
    ///
    /// ## What it says
    /// The call was answered, and its answer sets the port of the audio stream to 0, which refuses that stream.
    ///
    /// ## Why it happens
    /// The answering side has no codec of the offer and accepts the call all the same, or hides media on purpose.
    ///
    /// ## Evidence
    /// An `m=audio` with a port in the offer, and port 0 at the same place in the answer of the 2xx; in a recording
    /// session (`Require: siprec`) of any of its streams, elsewhere if no other audio is accepted.
    ///
    /// ## How to fix
    /// Compare the codecs and the profile of the offer with what the answering side allows.
    ///
    /// ## When it would be wrong
    /// Very old systems put a call on hold in this way (RFC 2543); a later change takes it back.
    ///
    /// ## References
    /// RFC 3264 §6, §8.2; RFC 7866 §7.1
    "D6" "stream-refused" needs [ANSWERED BODY], check
}

fn check(case: &Case<'_>) -> Option<Finding> {
    let (transaction, success) = case.answer()?;
    let request = case.call.request_of(transaction)?;
    let (offer, answer) = (Sdp::of(&request.message)?, Sdp::of(&success.message)?);
    let (offered, refused) = offer.media.iter().zip(&answer.media).find(|(offered, answered)| {
        offered.kind == "audio" && offered.port != 0 && answered.kind == "audio" && answered.port == 0
    })?;
    // A recording has a stream for each party (RFC 7866 §7.1); elsewhere a second one is there to choose from.
    let is_recording = names_option(request, "Require", "siprec");
    let has_other = answer.media.iter().any(|media| media.kind == "audio" && media.port != 0);
    if has_other && !is_recording {
        return None;
    }
    let author = case.as_written(success);
    // Where the call did not go on without audio, but was ended for it, answer-unusable says that.
    let is_over = answer_unusable::holds(case);
    let went_on = match (is_over, has_other) {
        (true, _) => "",
        (false, true) => " The recording goes on without what this stream carries.",
        (false, false) => " The call is up without an audio stream.",
    };
    Some(
        Finding::of(&RULE, Confidence::Proven)
            .severity(if is_over { Severity::Info } else { Severity::Warning })
            .sender(Role::Uas, author)
            .because(format!(
                "{} answered the call and refused {} audio: the answer has {:?} where the offer has {:?}.{went_on}",
                author.path.source,
                if has_other { "one stream of its" } else { "its" },
                refused.line,
                offered.line
            ))
            .fix(answer_unusable::compare_abilities(author.path.source))
            .claim(request, "sdp.media", offered.line.clone(), "the audio that is offered")
            .claim(success, "sdp.media", refused.line.clone(), "refused with port 0")
            .refuted("no-common-codec", "the call was answered, not refused"),
    )
}
