use std::time::Duration;

use crate::call::{Heard, Stream};
use crate::diagnosis::media::{ENOUGH, Ear};
use crate::diagnosis::rule::rule;
use crate::diagnosis::words::length;
use crate::diagnosis::{Case, Confidence, Finding, Role, Severity};
use crate::sip::sdp::{Media, Sdp};
use crate::sip::{Method, StatusCode};

rule! {
    /// The call could not switch to fax (T.38).
    ///
    /// ## What it says
    /// One side heard a fax tone and asked to go over to T.38; the other side refused, and no way back to G.711 was
    /// tried.
    ///
    /// ## Why it happens
    /// T.38 is not enabled on the other side or on a trunk between.
    ///
    /// ## Evidence
    /// A re-INVITE with `m=image`, refused, or accepted with port 0 for every stream, so that the voice is gone too;
    /// and no later re-INVITE with audio that was accepted; then a BYE. Where RTP goes on in both directions over G.711
    /// for ten seconds and until a BYE that complains of nothing, the fax may have gone over that.
    ///
    /// ## How to fix
    /// Enable T.38 on the side that refused, or let the other fall back to G.711 (pass-through).
    ///
    /// ## When it would be wrong
    /// The call may have ended for another reason soon after. If fax goes on over G.711 after the refusal, nothing
    /// failed.
    ///
    /// ## References
    /// RFC 7345 §4.5; RFC 3264 §8; RFC 3261 §14.1
    "D12" "fax-switch-failed" needs [IN_DIALOG BODY], check
}

/// Media that go on for so long after a refusal carry something (T.30 needs about as long to agree on a speed).
const CARRIES: Duration = Duration::from_secs(10);
/// The last packet of media that went on until the BYE.
const TO_THE_END: Duration = Duration::from_secs(2);

/// A BYE so soon after the refusal is because of it.
const SOON: Duration = Duration::from_secs(30);

fn check(case: &Case<'_>) -> Option<Finding> {
    let switch = Switch::of(case)?;
    let Switch { request, response, status, .. } = switch;
    let finding = match (switch.soon, &switch.kept) {
        (Some(_), _) => Finding::of(&RULE, Confidence::Likely).explains(Some(status)).drops_the_call(),
        (None, None) => Finding::of(&RULE, Confidence::Likely).about(status).severity(Severity::Warning),
        (None, Some(_)) => Finding::of(&RULE, Confidence::Possible).about(status),
    };
    let finding = if switch.nothing_left() { finding.drops_the_call() } else { finding };
    let finding = finding
        .sender(Role::Uas, response)
        .because(switch.explanation(case))
        .fix(format!("Enable T.38 on {}.", response.path.source))
        .fix(match (&switch.kept, switch.way_back) {
            (Some(_), _) => "Or, if the fax went through over G.711, leave it as it is.".to_owned(),
            (None, Some(_)) => format!("Or let {} take audio again (G.711) after it.", response.path.source),
            (None, None) => format!("Or let {} fall back to G.711 when T.38 is refused.", request.path.source),
        });
    Some(switch.prove(finding).refuted("no-common-codec", "the call had been answered with a codec before"))
}

/// A switch to fax that was refused, and that no audio followed.
struct Switch<'a> {
    request: &'a Heard,
    /// The fax that it asks for.
    media: &'a Media,
    response: &'a Heard,
    status: StatusCode,
    /// The BYE that ended the call.
    bye: Option<&'a Heard>,
    /// The same, if it came because of the refusal.
    soon: Option<&'a Heard>,
    /// The voice that was left, where the call went on with it.
    kept: Option<Voice>,
    /// A later try with audio that was refused too, and its refusal.
    way_back: Option<(&'a Heard, &'a Heard)>,
}

impl<'a> Switch<'a> {
    fn of(case: &Case<'a>) -> Option<Switch<'a>> {
        let (request, response, media) = refused_image(case)?;
        let status = response.message.status()?;
        if falls_back(case, response) {
            return None;
        }
        let bye = case.first_bye().map(|bye| bye.request).filter(|bye| bye.place > response.place);
        if bye.is_none() && case.tail(response.place) < SOON {
            return None; // The capture ends before a fall-back could come.
        }
        let voice = Voice::before(case, request).filter(|_| !status.is_success());
        let soon = bye
            .filter(|bye| bye.place.time.since(response.place.time) <= SOON)
            .filter(|bye| !voice.as_ref().is_some_and(|voice| voice.goes_on(case, response, bye)));
        let kept = voice.filter(|_| soon.is_none());
        Some(Switch { request, media, response, status, bye, soon, kept, way_back: refused_way_back(case, response) })
    }

    /// True if it was answered so that the voice is gone, too.
    fn nothing_left(&self) -> bool {
        self.status.is_success()
    }

    fn explanation(&self, case: &Case<'_>) -> String {
        let (status, server) = (self.status, self.response.path.source);
        let how = match self.nothing_left() {
            true => format!(
                "answered the switch to T.38 fax with {status} and port 0 for every stream: neither fax nor voice is \
                 left"
            ),
            false => format!("refused to switch to T.38 fax with {status}"),
        };
        let before = match has_beginning(case, self.request) {
            true => "The voice call before that was in order",
            false => "What the call was before that is not in the capture",
        };
        format!("{server} {how}. {}. {before}.", self.after(case))
    }

    /// How the call went on.
    fn after(&self, case: &Case<'_>) -> String {
        match (&self.kept, self.bye) {
            (Some(voice), _) => {
                let with = voice.codec().map(|codec| format!(", with {codec}")).unwrap_or_default();
                format!(
                    "The call stayed as it was{with}: fax may have gone over that, and the signalling does not tell \
                     whether it did"
                )
            }
            (None, Some(bye)) => format!(
                "{}, and {} ended the call {} later",
                instead(self.way_back),
                case.side(bye).named(bye),
                length(bye.place.time.since(self.response.place.time))
            ),
            (None, None) => instead(self.way_back),
        }
    }

    fn prove(&self, finding: Finding) -> Finding {
        let response = self.response;
        let mut finding = finding
            .claim(self.request, "sdp.media", self.media.line.clone(), "the switch to fax")
            .claim_status(response, if self.nothing_left() { "answered" } else { "refused" });
        if self.nothing_left() {
            let streams = Sdp::of(&response.message).into_iter().flat_map(|sdp| &sdp.media).take(2);
            finding = streams.fold(finding, |finding, media| {
                finding.claim(response, "sdp.media", media.line.clone(), "refused with port 0")
            });
        }
        finding = match self.way_back {
            _ if self.kept.is_some() => finding,
            Some((audio, refusal)) => finding
                .claim(audio, "sdp.media", first_line(audio), "the way back to audio")
                .claim_status(refusal, "refused too"),
            None => {
                finding.claim_absent(response.place, "a re-INVITE with audio that is accepted", "no fall-back to G.711")
            }
        };
        match self.soon {
            Some(bye) => finding.claim_method(bye, "the end of the call"),
            None => finding,
        }
    }
}

/// True if a re-INVITE after the refusal was accepted.
fn falls_back(case: &Case<'_>, response: &Heard) -> bool {
    case.call.transactions.iter().any(|later| {
        later.method == Method::Invite
            && later.in_dialog
            && later.request.is_some_and(|id| id > response.id)
            && case.call.final_status_of(later).is_some_and(StatusCode::is_success)
    })
}

/// What is said of a way back to audio.
fn instead(way_back: Option<(&Heard, &Heard)>) -> String {
    let status = way_back.and_then(|(_, refusal)| refusal.message.status());
    match status {
        Some(status) => format!("Audio was tried again after it and refused too, with {status}"),
        None => "No G.711 was tried instead".to_owned(),
    }
}

/// A re-INVITE with audio alone after the refusal that was refused too, with its refusal.
fn refused_way_back<'a>(case: &Case<'a>, response: &Heard) -> Option<(&'a Heard, &'a Heard)> {
    case.call.transactions.iter().filter(|later| later.method == Method::Invite && later.in_dialog).find_map(|later| {
        let request = case.call.request_of(later).filter(|request| request.place > response.place)?;
        let is_audio = Sdp::of(&request.message)?.media.iter().all(|media| media.kind == "audio" || media.port == 0);
        let refusal = case.finals(later).last().filter(|_| is_audio)?;
        refusal.message.status().is_some_and(|status| status.get() >= 400).then_some((request, refusal))
    })
}

fn first_line(heard: &Heard) -> String {
    Sdp::of(&heard.message).and_then(|sdp| sdp.media.first()).map(|media| media.line.clone()).unwrap_or_default()
}

/// The voice that a refusal leaves as it was (RFC 3264 §8), where fax can go over it.
enum Voice {
    /// Over this codec, which is G.711.
    Plain(String),
    /// Nobody knows over what: the call had begun before the capture.
    Unseen,
}

impl Voice {
    /// The voice before a re-INVITE; `None` if fax cannot go over it.
    fn before(case: &Case<'_>, request: &Heard) -> Option<Voice> {
        if !has_beginning(case, request) {
            return Some(Voice::Unseen);
        }
        let exchange = case.exchanges().into_iter().rfind(|one| one.answer.place < request.place)?;
        let media = exchange.answer_sdp.media.iter().find(|media| media.kind == "audio" && media.port != 0)?;
        let codec = media.main_codecs().into_iter().next()?;
        matches!(codec.name.as_str(), "PCMA" | "PCMU").then_some(Voice::Plain(codec.name))
    }

    fn codec(&self) -> Option<&str> {
        match self {
            Voice::Plain(codec) => Some(codec),
            Voice::Unseen => None,
        }
    }

    /// True if media went on after the refusal, or may have, until a BYE that complains of nothing: in both directions,
    /// where the capture tells what ports they had.
    fn goes_on(&self, case: &Case<'_>, response: &Heard, bye: &Heard) -> bool {
        let is_plain = case.reasons(bye).iter().all(|reason| matches!(reason.q850(), Some(16 | 31)));
        if !is_plain || bye.place.time.since(response.place.time) < CARRIES {
            return false;
        }
        let lasts = |ear: &Ear<'_>| {
            let reaches = |stream: &Stream| bye.place.time.since(stream.last.time) <= TO_THE_END;
            ear.packets() >= ENOUGH && ear.last().is_some_and(reaches)
        };
        match case.talk() {
            Some(talk) => talk.ears().into_iter().all(|(ear, _)| lasts(ear)),
            None => matches!(self, Voice::Unseen),
        }
    }
}

/// True if the capture shows what was agreed before a request.
fn has_beginning(case: &Case<'_>, request: &Heard) -> bool {
    case.exchanges().into_iter().any(|one| one.answer.place < request.place)
        || case.call.attempts().any(|attempt| attempt.request.is_some())
}

fn refused_image<'a>(case: &Case<'a>) -> Option<(&'a Heard, &'a Heard, &'a Media)> {
    case.call.transactions.iter().filter(|transaction| transaction.in_dialog).find_map(|transaction| {
        let request = case.call.request_of(transaction)?;
        let image = Sdp::of(&request.message)?.media.iter().find(|media| media.kind == "image" && media.port != 0)?;
        let response = case.finals(transaction).find(|response| {
            let refuses = |status: StatusCode| status.get() >= 400 && !matches!(status.get(), 401 | 407 | 491);
            response.message.status().is_some_and(refuses) || leaves_nothing(response)
        })?;
        Some((request, response, image))
    })
}

/// True if a 2xx refuses every stream with port 0 (RFC 3264 §6).
fn leaves_nothing(response: &Heard) -> bool {
    let answer = Sdp::of(&response.message).filter(|_| response.message.status().is_some_and(StatusCode::is_success));
    answer.is_some_and(|answer| !answer.media.is_empty() && answer.media.iter().all(|media| media.port == 0))
}
