use std::time::Duration;

use crate::call::{Heard, Transaction};
use crate::diagnosis::offers::{Exchange, intersect, names};
use crate::diagnosis::rule::rule;
use crate::diagnosis::rules::dialog::bye_refused::found_no_way;
use crate::diagnosis::rules::dialog::session_refresh_failed::is_failed_refresh;
use crate::diagnosis::words::{length, list, sentence};
use crate::diagnosis::{Case, Confidence, Finding, Role, Severity};
use crate::sip::sdp::{Media, Sdp};
use crate::sip::{Method, Reason, StatusCode};

rule! {
    /// A change of a running call was refused, and the call went on.
    ///
    /// ## What it says
    /// One side asked for a change (hold, another codec, video, fax) inside the call and was refused. The call goes on
    /// as it was.
    ///
    /// ## Why it happens
    /// The other side does not support what was asked for, or not now.
    ///
    /// ## Evidence
    /// A final response of 400 or more to an INVITE inside the dialog, or to an UPDATE with an offer, other than those
    /// that end the dialog or ask to try again. A 500 or 503 counts where a BYE follows at once instead of another try.
    ///
    /// ## How to fix
    /// Switch the feature off for this peer, or enable it there; or offer a codec that the call had before. The call
    /// itself is not at fault.
    ///
    /// ## When it would be wrong
    /// If a BYE follows at once, the refusal may have ended the call; it has, where the Reason of the BYE names its
    /// code.
    ///
    /// ## References
    /// RFC 3261 §14.1, §14.2
    "D11" "reinvite-refused" needs [IN_DIALOG FAILURE], check
}

/// A BYE so soon after the refusal may be because of it.
const SOON: Duration = Duration::from_secs(5);
/// Codes that end the dialog, ask for credentials or another value, or ask to try again.
const OTHER_MATTERS: [u16; 9] = [401, 407, 408, 422, 481, 487, 491, 500, 503];
/// Those of them that say no more than another refusal where the call is ended at once instead of another try.
const PASSING: [u16; 2] = [500, 503];

fn check(case: &Case<'_>) -> Option<Finding> {
    let refusal = Refusal::of(case)?;
    let Refusal { request, response, status, .. } = refusal;
    let what = if *request.message.method()? == Method::Update { "an UPDATE" } else { "a re-INVITE" };
    let role = if found_no_way(case, request, response) { Role::Proxy } else { Role::Uas };
    let mut finding = refusal
        .judged(Finding::of(&RULE, Confidence::Proven))
        .sender(role, response)
        .because(format!(
            "{} refused {what} {} with {status}{}",
            response.path.source,
            what_was_wanted(case, request),
            refusal.aftermath(case)
        ))
        .fix(cure(case, request, response))
        .claim_method(request, "a change of the running call")
        .claim_status(response, "refused")
        .claim_header(response, "Warning", "why, as the responder says");
    if let Some(media) = Sdp::of(&request.message).and_then(|sdp| sdp.media.first()) {
        finding = finding.claim(request, "sdp.media", media.line.clone(), "what was asked for");
    }
    if let Some((bye, reason)) = refusal.bye.zip(refusal.stated) {
        let says = "why it ended the call, as its sender says";
        finding = finding.claim_header_with(bye, "Reason", &reason.protocol, says);
    }
    Some(finding.refuted("no-common-codec", "the call had been answered with a codec before"))
}

/// A change of a running call that was refused, and what came of the call.
struct Refusal<'a> {
    request: &'a Heard,
    response: &'a Heard,
    status: StatusCode,
    /// True if another change of the call was accepted after it.
    accepted_later: bool,
    /// The BYE that may be because of it.
    bye: Option<&'a Heard>,
    /// What it says of that, if it does.
    stated: Option<&'a Reason>,
}

impl<'a> Refusal<'a> {
    fn of(case: &Case<'a>) -> Option<Refusal<'a>> {
        let (transaction, request, response) = refused(case)?;
        let status = response.message.status()?;
        let accepted_later = case.call.transactions.iter().any(|later| {
            later.id > transaction.id
                && matches!(later.method, Method::Invite | Method::Update)
                && later.in_dialog
                && case.call.final_status_of(later).is_some_and(StatusCode::is_success)
        });
        let fax = Sdp::of(&request.message)
            .is_some_and(|sdp| sdp.media.iter().any(|media| media.kind == "image" && media.port != 0));
        if fax && !accepted_later {
            return None; // fax-switch-failed tells more.
        }
        let bye = bye_soon_after(case, response);
        if bye.is_some() && is_failed_refresh(case, request) {
            return None; // session-refresh-failed: it ended the call.
        }
        let names_it = |reason: &&Reason| reason.sip() == Some(status.get().into());
        let stated = bye.and_then(|bye| case.reasons(bye).iter().find(names_it));
        Some(Refusal { request, response, status, accepted_later, bye, stated })
    }

    /// What it did to the call: ended it, where the BYE says so (RFC 3326 §2).
    fn judged(&self, finding: Finding) -> Finding {
        let title = "A change of a running call was refused, and the call was ended soon after.";
        match self.bye {
            _ if self.accepted_later => finding.about(self.status),
            Some(_) if self.stated.is_some() => finding
                .explains(Some(self.status))
                .drops_the_call()
                .titled("A change of a running call was refused, and the call was ended for that."),
            Some(_) => finding.about(self.status).severity(Severity::Warning).titled(title),
            None => finding.about(self.status),
        }
    }

    fn aftermath(&self, case: &Case<'_>) -> String {
        let Some(bye) = self.bye.filter(|_| !self.accepted_later) else {
            return match self.accepted_later {
                true => ": the change failed, not the call. A later change was accepted, and the call went on.".into(),
                false => {
                    ": the change failed, not the call. The call itself goes on as it was (RFC 3261 §14.1).".into()
                }
            };
        };
        let why = match self.stated.is_some() {
            true => "and its BYE names the refusal as the reason",
            false => "so the refusal may be the reason",
        };
        format!(
            ". {} ended the call {} later, {why}.",
            sentence(&case.side(bye).named(bye)),
            length(bye.place.time.since(self.response.place.time))
        )
    }
}

/// True if another change follows, by whichever side.
fn is_tried_again(case: &Case<'_>, refused: &Transaction) -> bool {
    let mut later = case.call.transactions.iter().filter(|later| later.id > refused.id && later.in_dialog);
    later.any(|later| matches!(later.method, Method::Invite | Method::Update))
}

/// The BYE that may be because of a refusal.
fn bye_soon_after<'a>(case: &Case<'a>, response: &Heard) -> Option<&'a Heard> {
    let bye = case.first_bye()?.request;
    (bye.place > response.place && bye.place.time.since(response.place.time) <= SOON).then_some(bye)
}

/// A change that was refused: its transaction, its request, and the refusal.
type Refused<'a> = (&'a Transaction, &'a Heard, &'a Heard);

/// The first INVITE inside a dialog, or UPDATE with an offer, that was refused where it arose.
fn refused<'a>(case: &Case<'a>) -> Option<Refused<'a>> {
    case.call
        .transactions
        .iter()
        .filter(|transaction| {
            matches!(transaction.method, Method::Invite | Method::Update)
                && transaction.in_dialog
                && case.call.downstream_of(transaction.id).next().is_none()
        })
        .find_map(|transaction| {
            let request = case.call.request_of(transaction)?;
            if transaction.method == Method::Update && !changes_a_call(case, request) {
                return None; // A refresh, or one of the time before the answer.
            }
            let knows_it = |code: u16| transaction.method == Method::Invite || !matches!(code, 405 | 501);
            let response = case.finals(transaction).find(|response| {
                let code = response.message.status().map_or(0, StatusCode::get);
                let is_last_word = PASSING.contains(&code)
                    && !is_tried_again(case, transaction)
                    && bye_soon_after(case, response).is_some();
                code >= 400 && knows_it(code) && (!OTHER_MATTERS.contains(&code) || is_last_word)
            })?;
            Some(refused_behind(case, transaction, response).unwrap_or((transaction, request, response)))
        })
}

/// The same change on another leg of the B2BUA that refused it, where that one sent it on and was refused with the same
/// code: there it arose.
fn refused_behind<'a>(case: &Case<'a>, outer: &Transaction, response: &Heard) -> Option<Refused<'a>> {
    let asked = case.call.request_of(outer)?;
    let hop = response.path.source.ip();
    let is_meanwhile = |inner: &&Transaction| inner.in_dialog && inner.method == outer.method && inner.leg != outer.leg;
    case.call.transactions.iter().filter(is_meanwhile).find_map(|inner| {
        let request = case.call.request_of(inner)?;
        let refusal = case.finals(inner).find(|refusal| refusal.message.status() == response.message.status())?;
        let is_sent_on = request.path.source.ip() == hop && request.path.destination.ip() != asked.path.source.ip();
        let is_in_order = asked.place < request.place && refusal.place < response.place;
        (is_sent_on && is_in_order).then_some((inner, request, refusal))
    })
}

/// True if an UPDATE has an offer, and comes after the answer.
fn changes_a_call(case: &Case<'_>, update: &Heard) -> bool {
    Sdp::of(&update.message).is_some() && case.answer().is_some_and(|(_, success)| success.place < update.place)
}

/// What was agreed on before a request, on its leg.
fn in_force_before<'a>(case: &Case<'a>, request: &Heard) -> Option<Exchange<'a>> {
    let on_leg = case.exchanges_on(request.message.call_id());
    on_leg.into_iter().rfind(|one| one.answer.place < request.place)
}

/// What to do: the media that the call has are no feature to be switched off. Where their codec is not offered again,
/// that is what to mend, and a resume has to be taken.
fn cure<'a>(case: &Case<'a>, request: &'a Heard, response: &'a Heard) -> String {
    let (client, server) = (case.as_sent(request).path.source, response.path.source);
    if found_no_way(case, request, response) {
        return format!(
            "Look on {server} how it sends requests inside a call on: it knew no way for this one, and the feature was \
             never asked of {}.",
            request.message.request_uri().unwrap_or_default()
        );
    }
    let feature = format!("Switch the feature off towards {server}, or enable it there.");
    let offer = Sdp::of(&request.message);
    let Some((offer, before)) = offer.zip(in_force_before(case, request)) else { return feature };
    let (Some(wanted), Some(agreed)) = (sole_audio(offer), sole_audio(before.answer_sdp)) else { return feature };
    let (wants, had) = (wanted.main_codecs(), agreed.main_codecs());
    if wanted.protocol == agreed.protocol && !had.is_empty() && !intersect(&wants, &had) {
        return format!(
            "Let {client} offer {} again, which the call had before: it offers {} now. Or allow that on {server}.",
            list(&names(&had)),
            list(&names(&wants))
        );
    }
    let was_held = before.answer_sdp.flow_of(agreed) != "sendrecv";
    match was_held && offer.flow_of(wanted) == "sendrecv" {
        true => format!(
            "Compare the offer with the one that opened the call, line by line, and look at {server} for why it \
             refuses to end the hold."
        ),
        false => feature,
    }
}

/// The audio of a description that has no other media.
fn sole_audio(sdp: &Sdp) -> Option<&Media> {
    let mut wanted = sdp.media.iter().filter(|media| media.port != 0);
    wanted.next().filter(|media| media.kind == "audio" && wanted.next().is_none())
}

fn what_was_wanted(case: &Case<'_>, request: &Heard) -> String {
    let Some(sdp) = Sdp::of(&request.message) else {
        let is_cut = request.message.is_cut();
        return if is_cut { "whose offer is behind the cut" } else { "without an offer" }.into();
    };
    let Some(media) = sdp.media.first() else { return "with an empty offer".into() };
    // A stream that is added stands behind those that are there (RFC 3264 §8.1).
    let known = in_force_before(case, request).map_or(usize::MAX, |one| one.answer_sdp.media.len());
    if let Some(added) = sdp.media.get(known..).and_then(|rest| rest.iter().find(|media| media.port != 0)) {
        return format!("that adds {} over {}", added.kind, added.protocol);
    }
    match (media.kind.as_str(), sdp.direction_of(media)) {
        ("image", _) => "to T.38 fax".into(),
        (kind, "sendrecv") => format!("for {kind} over {}", media.protocol),
        (kind, direction) => format!("for {kind} that is {direction} (hold)"),
    }
}
