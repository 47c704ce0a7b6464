use std::net::SocketAddr;
use std::time::Duration;

use crate::call::{Heard, Transaction};
use crate::diagnosis::answered_legs::AnsweredLeg;
use crate::diagnosis::offers::{Exchange, intersect, names};
use crate::diagnosis::rule::rule;
use crate::diagnosis::words::{length, list};
use crate::diagnosis::{Case, Confidence, Finding, Role, Side};
use crate::sip::Method;
use crate::sip::sdp::{Media, Sdp};

rule! {
    /// The answer does not fit the offer.
    ///
    /// ## What it says
    /// The call was answered with a session description that RFC 3264 forbids as an answer to this offer, and the
    /// caller's side ended the call at once.
    ///
    /// ## Why it happens
    /// The answering side, or something between, leaves out or reorders media, or answers with codecs that were not
    /// offered.
    ///
    /// ## Evidence
    /// No answer at all to the offer of the INVITE, or one with another number or order of `m=` lines, or an accepted
    /// stream without any offered codec, or one with SRTP where RTP was offered or the reverse; and a BYE of the
    /// caller's side within two seconds, without a Reason or with one that speaks of media (Q.850 65, 79 or 88, SIP
    /// 415, 488 or 606). The same for an answer to a re-INVITE or UPDATE, or in an ACK: a BYE of the side that offered,
    /// within ten seconds if it speaks of media, within two (and then possible only) if it says nothing.
    ///
    /// ## How to fix
    /// Let the answering side keep one `m=` line for each in the offer, in order, with port 0 for what it refuses.
    ///
    /// ## When it would be wrong
    /// The caller may have hung up at once by chance. Behind a B2BUA each leg has an offer and an answer of its own:
    /// the innermost on which this holds is told, for a B2BUA may pass on what it was answered there.
    ///
    /// ## References
    /// RFC 3264 §6, §6.1; RFC 3261 §13.2.2.4
    "D7" "answer-malformed" needs [ANSWERED BYE BODY], check
}

/// A BYE so soon after the answer is because of it.
const SOON: Duration = Duration::from_secs(2);
/// The same, if it says so.
const SOON_ENOUGH: Duration = Duration::from_secs(10);

fn check(case: &Case<'_>) -> Option<Finding> {
    let opened = case.answered_legs().into_iter().rev().find_map(|leg| opened(case, &leg));
    opened.or_else(|| changed(case))
}

/// The offer of the INVITE that opens a leg, and the answer in the 2xx to it.
fn opened(case: &Case<'_>, leg: &AnsweredLeg<'_>) -> Option<Finding> {
    let success = leg.success;
    let request = case.call.request_of(leg.invite)?;
    if request.message.is_cut() || success.message.is_cut() {
        return None;
    }
    let bye = case.bye_on(leg)?;
    let after = bye.place.time.since(success.place.time);
    if after > SOON {
        return None; // So are most calls, and their descriptions need not be read.
    }
    if case.side(bye) != Side::Caller || !bye.message.headers("Reason").is_empty() && !names_media(case, bye) {
        return None;
    }
    let offer = Sdp::of(&request.message)?;
    let answer = Sdp::of(&success.message);
    let (wrong, fault) = match answer {
        Some(answer) if lacks_address(answer) => (Wrong::NoAddress, breaks_rfc_3264(offer, answer)?),
        Some(answer) => (Wrong::Misfit, breaks_rfc_3264(offer, answer)?),
        None if is_missing(case, request, success) => {
            (Wrong::Missing, "there is none, in this 2xx or before it".to_owned())
        }
        None => return None,
    };
    let offered = offer.media.first()?;
    let author = case.as_written(success);
    let who = author.path.source;
    let finding = Finding::of(&RULE, Confidence::Likely)
        .explains(success.message.status())
        .drops_the_call()
        .sender(Role::Uas, author)
        .because(format!(
            "{who} answered {}: {fault}. {} ended the call {} after the answer.",
            wrong.how(),
            bye.path.source,
            length(after)
        ))
        .fix(wrong.cure(who))
        .claim(request, "sdp.media", offered.line.clone(), "the offer");
    let finding = match wrong {
        Wrong::NoAddress => finding.titled("The answer names no address for its media."),
        _ => finding,
    };
    let finding = match answer {
        Some(answer) => claim_lines(finding, success, answer, "the answer"),
        None => finding.claim_absent(success.place, "a session description in this answer", "its body is empty"),
    };
    Some(
        finding
            .claim_method(bye, "the caller's side ends the call at once")
            .claim_header(bye, "Reason", "why, as its sender says")
            .refuted("no-common-codec", "the call was answered, not refused")
            .refuted("stream-refused", "the answer does not refuse the stream with port 0"),
    )
}

/// What is wrong with the answer to the INVITE.
#[derive(Clone, Copy)]
enum Wrong {
    /// There is none.
    Missing,
    /// It names no address for its media.
    NoAddress,
    /// It does not fit the offer.
    Misfit,
}

impl Wrong {
    /// The end of a sentence that begins with who answered.
    fn how(self) -> &'static str {
        match self {
            Wrong::NoAddress => "with a session description that nobody can send media by",
            Wrong::Misfit => "with a session description that does not fit the offer",
            Wrong::Missing => "without the session description that the offer asks for",
        }
    }

    fn cure(self, who: SocketAddr) -> String {
        match self {
            Wrong::NoAddress => format!("Let {who} name the address of its media (c=) in its answer."),
            Wrong::Misfit | Wrong::Missing => answer_in_order(who),
        }
    }
}

/// What to do where an answer does not fit its offer.
fn answer_in_order(who: SocketAddr) -> String {
    format!("Let {who} answer each m= line of the offer in order, with codecs that were offered.")
}

/// The first streams of a description.
fn claim_lines(finding: Finding, heard: &Heard, sdp: &Sdp, says: &str) -> Finding {
    sdp.media.iter().take(2).fold(finding, |finding, media| finding.claim(heard, "sdp.media", media.line.clone(), says))
}

/// The last offer before the end that is not that of the INVITE which opens the call.
fn changed(case: &Case<'_>) -> Option<Finding> {
    let bye = case.first_bye()?.request;
    let says = names_media(case, bye);
    if !says && !case.reasons(bye).is_empty() {
        return None;
    }
    let Exchange { offer, offer_sdp, answer, answer_sdp } = last_change(case, bye)?;
    let after = bye.place.time.since(answer.place.time);
    if after > if says { SOON_ENOUGH } else { SOON } {
        return None;
    }
    let answerer = if answer.message.is_request() { case.side(answer) } else { case.side(offer).other() };
    if case.side(bye) != answerer.other() || answerer == Side::Unknown {
        return None;
    }
    // A call that is put on hold, and perhaps transferred, often ends soon after: a wrong direction alone ends none.
    let fault = match says {
        true => breaks_rfc_3264(offer_sdp, answer_sdp)?,
        false => misfits(offer_sdp, answer_sdp).filter(|_| case.asked(&Method::Refer).next().is_none())?,
    };
    let author = if answer.message.is_request() { answer } else { case.as_written(answer) };
    let who = author.path.source;
    let what = match (answer.message.is_request(), case.call.transaction(offer.transaction).method == Method::Update) {
        (true, _) => "the offer in the 2xx with an ACK whose session description does not fit it",
        (false, true) => "the offer of an UPDATE with a session description that does not fit it",
        (false, false) => "the offer of a re-INVITE with a session description that does not fit it",
    };
    let finding = Finding::of(&RULE, if says { Confidence::Likely } else { Confidence::Possible })
        .explains(case.call.final_status)
        .drops_the_call()
        .sender(answerer.role(), author)
        .because(format!(
            "{who} answered {what}: {fault}. {} ended the call {} after that.",
            bye.path.source,
            length(after)
        ))
        .fix(answer_in_order(who));
    let finding = claim_lines(finding, offer, offer_sdp, "the offer");
    Some(
        claim_lines(finding, answer, answer_sdp, "the answer")
            .claim_method(bye, "the side that offered ends the call")
            .claim_header(bye, "Reason", "why, as its sender says")
            .refuted("no-common-codec", "the offer was answered, not refused"),
    )
}

/// The last offer and answer before a BYE, if they are none of those that open the call, but of a re-INVITE or UPDATE,
/// or of a 2xx, to which the ACK is the answer (RFC 3261 §13.2.1, RFC 3311 §5.2).
fn last_change<'a>(case: &Case<'a>, bye: &Heard) -> Option<Exchange<'a>> {
    let is_later = |known: &Transaction| {
        known.in_dialog || case.call.request_of(known).is_some_and(|one| one.message.body().is_empty())
    };
    if !case.that_may_offer().any(is_later) {
        return None; // So are most calls, and their descriptions need not be read.
    }
    let last = case.exchanges().into_iter().rfind(|one| one.answer.place < bye.place)?;
    let Exchange { offer, answer, .. } = last;
    let transaction = case.call.transaction(offer.transaction);
    // An offer in a PRACK is one of the time before the answer.
    let opens = offer.message.is_request() && (transaction.is_initial_invite() || transaction.method == Method::Prack);
    let is_cut = offer.message.is_cut() || answer.message.is_cut();
    (!opens && !is_cut && offer.message.call_id() == bye.message.call_id()).then_some(last)
}

/// True if no answer to the offer in the INVITE came: a reliable provisional response, or any before the 2xx as some
/// send it, may have carried it (RFC 3261 §13.2.1, RFC 3262 §5).
fn is_missing(case: &Case<'_>, request: &Heard, success: &Heard) -> bool {
    let caller = request.path.source.ip();
    let call_id = &case.call.leg(success.leg).call_id;
    let is_on_leg = |heard: &Heard| case.call.leg(heard.leg).call_id == *call_id;
    let describes =
        |heard: &Heard| heard.path.source.ip() != caller && is_on_leg(heard) && Sdp::of(&heard.message).is_some();
    let is_response = |heard: &&Heard| !heard.message.is_request();
    success.message.body().is_empty() && !case.call.messages.iter().filter(is_response).any(describes)
}

/// Where an answer breaks RFC 3264 §6.
pub(super) fn breaks_rfc_3264(offer: &Sdp, answer: &Sdp) -> Option<String> {
    misfits(offer, answer).or_else(|| turns_direction(offer, answer))
}

/// The same but for its direction.
fn misfits(offer: &Sdp, answer: &Sdp) -> Option<String> {
    let (offered, answered) = (offer.media.len(), answer.media.len());
    if offered != answered {
        return Some(format!("the offer has {offered} m= lines and the answer has {answered}"));
    }
    let mut pairs = offer.media.iter().zip(&answer.media).filter(|(_, answered)| answered.port != 0);
    pairs.find_map(|(offered, answered)| {
        if lacks_address(answer) {
            return Some("it names no address for its media: there is no c= line (RFC 8866 §5.7)".to_owned());
        }
        if offered.kind != answered.kind {
            return Some(format!("the offer has {} where the answer has {}", offered.kind, answered.kind));
        }
        if is_secure(offered) != is_secure(answered) {
            return Some(format!("the offer wants {}, and the answer says {}", offered.protocol, answered.protocol));
        }
        let (mine, theirs) = (offered.main_codecs(), answered.main_codecs());
        if offered.kind == "audio" && !mine.is_empty() && theirs.is_empty() && !answered.codecs().is_empty() {
            return Some(format!("offered are {}, and the answer takes no codec for speech", list(&names(&mine))));
        }
        let foreign = offered.kind == "audio" && !mine.is_empty() && !theirs.is_empty() && !intersect(&mine, &theirs);
        if foreign {
            return Some(format!(
                "offered are {}, and the answer takes {}",
                list(&names(&mine)),
                list(&names(&theirs))
            ));
        }
        None
    })
}

/// Where the direction of an answer breaks RFC 3264 §6.1.
fn turns_direction(offer: &Sdp, answer: &Sdp) -> Option<String> {
    let mut pairs = offer.media.iter().zip(&answer.media).filter(|(_, answered)| answered.port != 0);
    pairs.find_map(|(offered, answered)| {
        let (mine, theirs) = (offer.direction_of(offered), answer.direction_of(answered));
        let fits = match mine {
            "sendonly" => matches!(theirs, "recvonly" | "inactive"),
            "recvonly" => matches!(theirs, "sendonly" | "inactive"),
            "inactive" => theirs == "inactive",
            _ => true,
        };
        (!fits).then(|| format!("the offer is {mine}, and the answer to it {theirs} (RFC 3264 §6.1)"))
    })
}

/// True if a description has a stream that is not refused and no address for it.
fn lacks_address(sdp: &Sdp) -> bool {
    sdp.connection.is_empty() && sdp.media.iter().any(|media| media.port != 0 && media.connection.is_empty())
}

/// True if a stream is one of SRTP by its profile.
fn is_secure(media: &Media) -> bool {
    media.protocol.to_ascii_uppercase().contains("SAVP")
}

/// Causes of Q.850 with which a gateway says that it cannot use a description: bearer capability or service not
/// implemented, incompatible destination (RFC 3398 §7.2.4.1 maps 488 and 606 to them).
const OF_BEARER: [u32; 3] = [65, 79, 88];
/// Responses that refuse a description.
const OF_MEDIA: [u32; 3] = [415, 488, 606];

/// True if the Reason of a BYE speaks of media.
pub(super) fn names_media(case: &Case<'_>, bye: &Heard) -> bool {
    case.reasons(bye).iter().any(|reason| {
        let text = reason.text.as_deref().unwrap_or_default().to_ascii_lowercase();
        reason.q850().is_some_and(|cause| OF_BEARER.contains(&cause))
            || reason.sip().is_some_and(|code| OF_MEDIA.contains(&code))
            || ["media", "sdp", "codec", "incompatible", "fingerprint"].iter().any(|word| text.contains(word))
    })
}
