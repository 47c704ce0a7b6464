use crate::call::Heard;
use crate::diagnosis::dialogs::from_tag;
use crate::diagnosis::media::{Ear, Talk, audio};
use crate::diagnosis::offers::Exchange;
use crate::diagnosis::rule::rule;
use crate::diagnosis::rules::media::dtmf_event_malformed::{event_types, events_of};
use crate::diagnosis::rules::media::one_way_media::claim_line;
use crate::diagnosis::{Case, Confidence, Finding, Severity};
use crate::sip::sdp::Sdp;
use crate::sip::{Method, StatusCode};

rule! {
    /// The keys that are pressed do not reach the other side.
    ///
    /// ## What it says
    /// One side sends digits in a way that the other did not agree to, so menus and voice mail do not react.
    ///
    /// ## Why it happens
    /// Telephone events were not agreed on, or with another number or clock; or one side sends INFO and the other wants
    /// RTP.
    ///
    /// ## Evidence
    /// Telephone events in RTP with a payload type that the receiver's description does not give to telephone-event; or
    /// an INFO with digits that is refused, or sent although telephone-event was agreed on.
    ///
    /// ## How to fix
    /// Set the same way of sending digits on both sides (RFC 4733 as a rule), and let the answer keep telephone-event.
    ///
    /// ## When it would be wrong
    /// If no digits are sent, nothing is lost; then nothing is said. A 500 to the copy of an INFO that another one has
    /// overtaken is for its number; and a digit that is sent again and accepted is not lost.
    ///
    /// ## References
    /// RFC 4733 §2.4, §2.5.1; RFC 3264 §6.1; RFC 6086 §4
    "D18" "dtmf-mismatch" needs [INFO] [ANSWERED BODY MEDIA], check
}

fn check(case: &Case<'_>) -> Option<Finding> {
    refused(case).or_else(|| in_media(case)).or_else(|| mixed(case))
}

/// INFO with digits that is refused.
fn refused(case: &Case<'_>) -> Option<Finding> {
    let (info, refusal) = case.asked_first(&Method::Info).find_map(|asked| {
        let refusal =
            case.finals(asked.transaction).find(|heard| heard.message.status().is_some_and(StatusCode::is_failure))?;
        let is_gone = refusal.message.status().map(StatusCode::get) == Some(481);
        (is_digits(asked.request) && !is_gone && !was_sent_again(case, asked.request, refusal))
            .then_some((asked.request, refusal))
    })?;
    let (client, server) = (info.path.source, refusal.path.source);
    let status = refusal.message.status()?;
    let finding = Finding::of(&RULE, Confidence::Proven).about(status).severity(Severity::Warning);
    // Where events in RTP are agreed on, who sends INFO all the same does otherwise than it said.
    let (finding, although) = match case.exchanges().first().is_some_and(agrees_on_events) {
        true => (
            finding.sender(case.side(info).role(), info),
            ", although both sides had agreed on telephone events in RTP",
        ),
        false => (finding.sender(case.role_of_asked(info), refusal), ""),
    };
    // RFC 3261 §21.4.13: a 415 lists what is accepted.
    let accepts = refusal.message.header("Accept").filter(|_| status.get() == 415).map(|value| value.into_owned());
    let is_other_form = accepts.as_ref().filter(|accepts| accepts.to_ascii_lowercase().contains("application/dtmf"));
    let named = accepts.as_ref().map(|accepts| format!(" It accepts {accepts:?}.")).unwrap_or_default();
    let fix = match is_other_form {
        Some(accepts) => format!("Let {client} send the digit as {accepts}, or in RTP (RFC 4733)."),
        None => format!("Let {client} send digits in RTP (RFC 4733), as {server} wants them."),
    };
    Some(
        finding
            .because(format!(
                "{client} sent a digit by INFO{although}, and {server} refused it with {status}: the digit is \
                 lost.{named}"
            ))
            .fix(fix)
            .claim_method(info, "a digit")
            .claim_header(info, "Content-Type", "a digit")
            .claim_status(refusal, "refused")
            .claim_header(refusal, "Accept", "what it accepts"),
    )
}

/// True if the refusal of an INFO did no harm: a later one of the same side with the same digit was accepted, after a
/// challenge for instance, or the capture lacks the next one. Or it is a 500 for a number that another INFO had
/// overtaken (RFC 3261 §12.2.2): this one was lost, and its copy came too late.
fn was_sent_again(case: &Case<'_>, info: &Heard, refusal: &Heard) -> bool {
    let number = |heard: &Heard| heard.message.cseq().map(|cseq| cseq.number);
    let is_accepted = |heard: &&Heard| heard.message.status().is_some_and(StatusCode::is_success);
    let is_for_number = refusal.message.status().map(StatusCode::get) == Some(500);
    let was_asked_again = || {
        refusal.message.status().is_some_and(StatusCode::is_challenge) && case.lacks_requests_after(info, refusal.place)
    };
    was_asked_again()
        || case.asked(&Method::Info).any(|other| {
            let is_later = number(other.request) > number(info)
                && from_tag(other.request) == from_tag(info)
                && other.request.message.call_id() == info.message.call_id();
            let mut accepted = case.finals(other.transaction).filter(is_accepted);
            let is_same = other.request.message.body() == info.message.body();
            is_later && accepted.any(|heard| is_same || is_for_number && heard.place < refusal.place)
        })
}

/// Events in RTP that the receiver did not agree to, or with another clock than the speech.
fn in_media(case: &Case<'_>) -> Option<Finding> {
    let talk = case.talk()?;
    let offered: Vec<u8> = event_types(&talk);
    let (ear, stream, key) = talk.ears().into_iter().find_map(|(ear, _)| {
        ear.streams.iter().find_map(|stream| {
            let keys = stream.keys.iter().filter(|key| offered.contains(&key.kind) && key.packets > 1);
            let wrong = keys.into_iter().find(|key| !wanted(ear, &talk).contains(&key.kind))?;
            Some((ear, *stream, *wrong))
        })
    })?;
    let wanted = wanted(ear, &talk);
    let says = match wanted.first() {
        None => "has no telephone-event in its description".to_owned(),
        Some(kind) => format!("has telephone-event as payload type {kind}"),
    };
    let source = stream.path.source;
    let finding = Finding::of(&RULE, Confidence::Proven)
        .severity(Severity::Warning)
        .party(ear.speaker(), Some(source))
        .because(format!(
            "{source} sends digits as telephone events with payload type {}, and {} {says}: the digits are lost.",
            key.kind,
            ear.name()
        ))
        .fix("Let both descriptions keep telephone-event, and each side send with the number that the other names.");
    Some(claim_line(finding, ear).claim_at(key.first, "rtp.p_type", key.kind.to_string(), "a telephone event"))
}

/// The payload types that the descriptions of a side give to telephone-event.
fn wanted(ear: &Ear<'_>, talk: &Talk<'_>) -> Vec<u8> {
    let mut kinds = Vec::new();
    for one in &talk.exchanges {
        let by_ear = one.offer.path.source.ip() == ear.owner.path.source.ip();
        let sdp: &Sdp = if by_ear { one.offer_sdp } else { one.answer_sdp };
        kinds.extend(audio(sdp).map(events_of).unwrap_or_default());
    }
    kinds
}

/// INFO with digits although both sides agreed on telephone-event: they may come twice, or not at all.
fn mixed(case: &Case<'_>) -> Option<Finding> {
    let info = case.asked_first(&Method::Info).find(|asked| is_digits(asked.request))?.request;
    let first = case.exchanges().into_iter().next()?;
    let agreed = agrees_on_events(&first);
    let in_offer_only = audio(first.offer_sdp).is_some_and(|media| !events_of(media).is_empty()) && !agreed;
    if !agreed && !in_offer_only {
        return None;
    }
    let because = match agreed {
        true => {
            "both sides agreed on telephone events in RTP, and digits are sent by INFO: they are lost, or come twice, \
             if the other side listens in RTP only"
        }
        false => "telephone events were offered and not taken, and digits are sent by INFO",
    };
    Some(
        Finding::of(&RULE, Confidence::Possible)
            .sender(case.side(info).role(), info)
            .because(format!("{} sends digits by INFO: {because}.", info.path.source))
            .fix("Set the same way of sending digits on both sides (RFC 4733 as a rule).")
            .claim_method(info, "a digit")
            .claim_header(info, "Content-Type", "a digit"),
    )
}

/// True if an offer and its answer both have telephone-event.
fn agrees_on_events(one: &Exchange<'_>) -> bool {
    [one.offer_sdp, one.answer_sdp].into_iter().all(|sdp| audio(sdp).is_some_and(|media| !events_of(media).is_empty()))
}

fn is_digits(info: &Heard) -> bool {
    let kind = info.message.header("Content-Type").unwrap_or_default().to_ascii_lowercase();
    kind.starts_with("application/dtmf")
}
