use std::time::Duration;

use crate::diagnosis::media::claim_packet;
use crate::diagnosis::rule::rule;
use crate::diagnosis::rules::media::one_way_media::claim_line;
use crate::diagnosis::words::length;
use crate::diagnosis::{Case, Confidence, Finding, Role};

rule! {
    /// No media flowed at all.
    ///
    /// ## What it says
    /// The call was answered and lasted, and no RTP was sent in either direction, although other calls of these hosts
    /// have theirs in the capture.
    ///
    /// ## Why it happens
    /// The media relay did not start, both sides send elsewhere than was agreed on, or a firewall holds the media back.
    ///
    /// ## Evidence
    /// No RTP to or from any address that a description of the call names, in a conversation of more than five seconds;
    /// and RTP of the same hosts in other calls.
    ///
    /// ## How to fix
    /// Look at the media relay and at the firewall between the two media addresses for this call.
    ///
    /// ## When it would be wrong
    /// In a capture of signalling only; there nothing is said. Media that take another way than the other calls are not
    /// seen either.
    ///
    /// ## References
    /// RFC 3550 §5.1; RFC 3264 §5.1
    "H4" "media-missing" needs [ANSWERED BODY MEDIA], check
}

/// A conversation that lasts longer than this would have sound.
const SHORT: Duration = Duration::from_secs(5);

fn check(case: &Case<'_>) -> Option<Finding> {
    let talk = case.talk()?;
    if !talk.is_open() || talk.length() <= SHORT || case.has_any_media() {
        return None;
    }
    let (caller, callee) = (talk.caller.end()?, talk.callee.end()?);
    let media = case.surroundings.media();
    let (one, other) = (caller.ip(), callee.ip());
    if !media.has_between(one, other) && !media.has_between(other, one) {
        return None;
    }
    let confidence = if case.capture.drops == 0 { Confidence::Likely } else { Confidence::Possible };
    let finding = Finding::of(&RULE, confidence)
        .explains(talk.success.message.status())
        .party(Role::Network, Some(callee))
        .because(format!(
            "The call was up for {}, and no RTP went to {caller} or to {callee}. Other calls between these hosts have \
             their media in this capture.",
            length(talk.length())
        ))
        .fix(format!(
            "Look whether {} and {} sent media for this call, and where: relay, firewall, ports.",
            caller.ip(),
            callee.ip()
        ));
    let mut finding = claim_line(claim_line(finding, &talk.caller), &talk.callee);
    if let Some(stream) = media.between(one, other).chain(media.between(other, one)).next() {
        finding = claim_packet(finding, stream.first, stream, "RTP between these hosts, in another call");
    }
    Some(
        finding
            .claim_absent(
                talk.success.place,
                "any RTP of this call",
                format!("until its end, {}", length(talk.length())),
            )
            .refuted("one-way-media", "there is no RTP in either direction"),
    )
}
