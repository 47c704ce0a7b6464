use crate::call::Stream;
use crate::diagnosis::media::{Ear, Talk, ends};
use crate::diagnosis::rule::rule;
use crate::diagnosis::rules::media::one_way_media::claim_line;
use crate::diagnosis::words::{sentence, source_field};
use crate::diagnosis::{Case, Confidence, Finding, Role};
use crate::sip::sdp::Sdp;

rule! {
    /// The media come from another address than was agreed on.
    ///
    /// ## What it says
    /// One side sends its RTP from an address or port that its session description does not name.
    ///
    /// ## Why it happens
    /// A NAT translates its packets, or a relay on the way speaks for it. Where the other side sends its media back to
    /// where they come from (symmetric RTP), that does no harm.
    ///
    /// ## Evidence
    /// RTP to the address that one side named, from another address than the other side named; behind a B2BUA that
    /// relays the media, on any leg.
    ///
    /// ## How to fix
    /// Nothing if both hear each other. Otherwise set the external media address of the side behind the NAT.
    ///
    /// ## When it would be wrong
    /// Some devices send from another port than they listen on, and that is allowed. Of several devices that answered,
    /// each sends from where its own answer says.
    ///
    /// ## References
    /// RFC 4961 §3; RFC 3264 §5.1
    "H3" "media-address-differs" needs [ANSWERED BODY MEDIA], check
}

/// Packets that are wanted before it is said.
const ENOUGH: u64 = 10;

fn check(case: &Case<'_>) -> Option<Finding> {
    let talks = case.talks();
    let sides = talks.iter().flat_map(|talk| talk.ears().map(|(ear, other)| (talk, ear, other)));
    let (ear, other, stream) = sides.into_iter().find_map(|(talk, ear, other)| {
        let foreign = ear
            .streams
            .iter()
            .find(|stream| is_foreign(stream, ear, other, talk) && !is_of_another_answer(case, stream))?;
        Some((ear, other, *foreign))
    })?;
    let named = other.end()?;
    let source = stream.path.source;
    let what = if source.ip() == named.ip() { "port" } else { "address" };
    let finding = Finding::of(&RULE, Confidence::Proven).party(Role::Nobody, Some(source)).because(format!(
        "{} named {named} for its audio, and the RTP to {} comes from {source}: another {what}, by a NAT or a relay. \
         That does no harm as long as its own media are sent back there.",
        sentence(other.name()),
        ear.name()
    ));
    let field = source_field(source.ip());
    let finding = claim_line(finding, other).claim_at(
        stream.first,
        "udp.srcport",
        source.port().to_string(),
        "where the RTP comes from",
    );
    Some(finding.claim_at(stream.first, field, source.ip().to_string(), "where the RTP comes from"))
}

fn is_foreign(stream: &Stream, ear: &Ear<'_>, other: &Ear<'_>, talk: &Talk<'_>) -> bool {
    let is_named = other.ends.contains(&stream.path.source) || other.candidates.contains(&stream.path.source);
    !is_named
        && stream.packets >= ENOUGH
        && ear.ends.contains(&stream.path.destination)
        && stream.last.time > talk.began
        && !ear.ends.contains(&stream.path.source)
}

/// True if the stream comes from where another device asks for audio, which answered too.
fn is_of_another_answer(case: &Case<'_>, stream: &Stream) -> bool {
    let mut named = case.answers().filter_map(|(_, success)| Sdp::of(&success.message)).flat_map(ends);
    named.any(|end| end == stream.path.source)
}
