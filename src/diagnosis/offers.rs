//! What a rule asks of offers and answers (RFC 3264): descriptions, warnings, the refusals of the opening INVITE.

use crate::call::{Failure, Heard};
use crate::diagnosis::case::Case;
use crate::sip::Warning;
use crate::sip::sdp::{Codec, Media, Sdp};

impl<'a> Case<'a> {
    /// The failure that decided the outcome, if it refused the INVITE that opens the call with one of these codes.
    pub fn refused_opening(&self, codes: &[u16]) -> Option<&'a Failure> {
        let failure = self.failure_with(codes)?;
        self.call.transaction(failure.transaction).is_initial_invite().then_some(failure)
    }

    /// The first of these warning codes that a message carries.
    pub fn warned(&self, heard: &Heard, codes: &[u16]) -> Option<Warning> {
        self.warnings(heard).into_iter().find(|warning| codes.contains(&warning.code))
    }

    /// What the one who refused can do, as far as the call shows: the description in its response, or in any other
    /// message of it in this call.
    pub fn abilities(&self, response: &'a Heard) -> Option<(&'a Heard, Sdp)> {
        let own = Sdp::of(&response.message).map(|sdp| (response, sdp));
        own.or_else(|| {
            let address = response.path.source;
            self.call
                .messages
                .iter()
                .filter(|heard| heard.path.source == address && heard.message.vias().len() <= 1)
                .find_map(|heard| Sdp::of(&heard.message).map(|sdp| (heard, sdp)))
        })
    }
}

/// The audio medium of a description that is not refused, or the first one.
pub(crate) fn audio(sdp: &Sdp) -> Option<&Media> {
    sdp.media.iter().find(|media| media.kind == "audio" && media.port != 0).or(sdp.media.first())
}

/// Codecs as people name them: `PCMA`, `AMR-WB/16000`, `opus/48000/2`.
pub(crate) fn names(codecs: &[Codec]) -> Vec<String> {
    codecs
        .iter()
        .map(|codec| match (codec.clock, codec.channels) {
            (0, _) => format!("format {}", codec.name),
            (8000, 1) => codec.name.clone(),
            (clock, 1) => format!("{}/{clock}", codec.name),
            (clock, channels) => format!("{}/{clock}/{channels}", codec.name),
        })
        .collect()
}

/// True if both lists hold a codec in common.
pub(crate) fn intersect(one: &[Codec], other: &[Codec]) -> bool {
    one.iter().any(|codec| other.contains(codec))
}
