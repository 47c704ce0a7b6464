use crate::call::{Heard, NamedDialog};
use crate::diagnosis::rule::rule;
use crate::diagnosis::words::length;
use crate::diagnosis::{Case, Confidence, Finding};
use crate::sip::{Method, Parameters};

rule! {
    /// The call that was to be replaced is not known there.
    ///
    /// ## What it says
    /// An INVITE asked to take the place of a call (an attended transfer, or a pick-up), and its receiver has no such call.
    ///
    /// ## Why it happens
    /// The tags are exchanged or copied from the wrong side, the Call-ID was rewritten by a B2BUA on the way, the request
    /// reached another node, or the call had ended already. With `early-only`, an answered call does not count.
    ///
    /// ## Evidence
    /// An INVITE with Replaces, and 481 to it, or 486 if it says `early-only`; or 603, where the call that it names had ended in
    /// this capture before (likely). An INVITE with Join (RFC 3911), and 481. Where the call that is named is in the capture,
    /// its tags are compared.
    ///
    /// ## How to fix
    /// In Replaces, `to-tag` is the tag of the one who gets the INVITE, and `from-tag` that of the other side. Behind a
    /// B2BUA, let it translate Replaces.
    ///
    /// ## When it would be wrong
    /// The call may have ended in the same moment.
    ///
    /// ## References
    /// RFC 3891 §3, §6.1; RFC 3911 §4; RFC 5589 §7
    "G3" "replaces-unmatched" needs [481] [486 603 REPLACES], check
}

fn check(case: &Case<'_>) -> Option<Finding> {
    let failure = case.failure_with(&[481, 486, 603])?;
    let (request, response) = (case.request(failure)?, case.response(failure));
    let name = ["Replaces", "Join"].into_iter().find(|name| request.message.header(name).is_some())?;
    if request.message.method() != Some(&Method::Invite) {
        return None;
    }
    let named = request.message.header(name)?.into_owned();
    let (call_id, rest) = named.split_once(';').unwrap_or((&named, ""));
    let call_id = call_id.trim();
    let parameters = Parameters::read(rest, b';');
    let tags = (parameters.get("to-tag").unwrap_or_default(), parameters.get("from-tag").unwrap_or_default());
    let known = known(case, call_id);
    let ended = known.iter().filter(|dialog| fits(dialog, tags)).find_map(|dialog| dialog.ended);
    let ended = ended.filter(|bye| *bye < request.place);
    let detail = match (failure.status.get(), ended) {
        (486, _) if name == "Replaces" && parameters.has("early-only") => {
            "it says early-only, and the call that it names was answered already".to_owned()
        }
        (486, _) | (603, None) => return None,
        (_, Some(bye)) => format!("that call had been ended with BYE {} before", length(request.place.time.since(bye.time))),
        _ => compared(case, &known, tags),
    };
    let verb = if name == "Join" { "join" } else { "replace" };
    let server = response.path.source;
    let request = case.first_with(request, |before| before.message.header(name).as_deref() == Some(&*named));
    // Who declines may have a reason of his own.
    let sure = if failure.status.get() == 603 { Confidence::Likely } else { Confidence::Proven };
    let finding = Finding::of(&RULE, sure).explains(Some(failure.status)).sender(case.role_of_sender(request), request);
    let finding = match name {
        "Join" => finding.titled("The call that was to be joined is not known there."),
        _ => finding,
    };
    let finding = finding.because(format!(
        "{} asked {server} to {verb} the call {call_id:?}, and {server} answered {}: {detail}.",
        request.path.source, failure.status
    ));
    let finding = match ended {
        Some(bye) => finding
            .fix(format!("Let {} look whether the call still exists before it asks to {verb} it.", request.path.source))
            .claim_at(bye, "sip.Method", "BYE", "the call that is named ends"),
        None => finding
            .fix(format!(
                "Compare {name} with the dialog as {server} knows it: to-tag must be the tag of {server}, from-tag that of \
                 the other side."
            ))
            .fix(format!("If a B2BUA stands between, let it translate {name}, or resolve the transfer itself.")),
    };
    Some(
        finding
            .claim_method(request, "the request")
            .claim_header(request, name, format!("the call that it wants to {verb}"))
            .claim_status(response, "refused")
            .refuted("dialog-state-lost", format!("the INVITE is of no dialog: what is not known is the call in {name}"))
            .refuted("callee-busy", format!("{name} asks for a call that exists, and not for a free line")),
    )
}

/// The dialogs with this Call-ID, as far as they were captured.
fn known(case: &Case<'_>, call_id: &str) -> Vec<NamedDialog> {
    let own = case.call.dialogs.iter().filter(|dialog| *dialog.call_id == *call_id.as_bytes());
    let own = own.map(|dialog| NamedDialog {
        caller_tag: dialog.caller_tag.clone(),
        callee_tag: dialog.callee_tag.clone(),
        ended: dialog.bye.map(|bye| case.call.message(bye).place),
    });
    own.chain(case.surroundings.neighbours().dialogs_to_replace(call_id).iter().cloned()).collect()
}

/// True if a dialog has both tags, whichever side it calls which.
fn fits(dialog: &NamedDialog, (to_tag, from_tag): (&str, &str)) -> bool {
    let tags = (dialog.caller_tag.as_str(), dialog.callee_tag.as_str());
    tags == (to_tag, from_tag) || tags == (from_tag, to_tag)
}

/// How the tags of Replaces differ from those of the dialog, as far as it was captured.
fn compared(case: &Case<'_>, known: &[NamedDialog], (to_tag, from_tag): (&str, &str)) -> String {
    if known.is_empty() {
        return "no such call is known there, and none with this Call-ID is in the capture".to_owned();
    }
    let is_of = |tag: &str| known.iter().any(|dialog| dialog.caller_tag == tag || dialog.callee_tag == tag);
    match (known.iter().any(|dialog| fits(dialog, (to_tag, from_tag))), is_of(to_tag), is_of(from_tag)) {
        (true, _, _) if was_asked_the_other_way(case) => "both tags are those of the call, but exchanged".to_owned(),
        (true, _, _) => "both tags are those of a call in the capture, which is not known there any more, or has its tags \
            exchanged"
            .to_owned(),
        (_, false, true) => format!("the call has no to-tag {to_tag:?}"),
        (_, true, false) => format!("the call has no from-tag {from_tag:?}"),
        _ => format!("the call has neither the to-tag {to_tag:?} nor the from-tag {from_tag:?}"),
    }
}

/// True if the receiver of the INVITE sent a message whose From tag is the from-tag of Replaces.
fn was_asked_the_other_way(case: &Case<'_>) -> bool {
    let request = case.failure().and_then(|failure| case.request(failure));
    let parameters = request.and_then(|request: &Heard| {
        let named = request.message.header("Replaces").or_else(|| request.message.header("Join"));
        named.map(|value| value.into_owned())
    });
    let Some(parameters) = parameters else { return false };
    let Some((_, rest)) = parameters.split_once(';') else { return false };
    let parameters = Parameters::read(rest, b';');
    let from_tag = parameters.get("from-tag");
    let server = request.map(|request| request.path.destination.ip());
    case.call.messages.iter().any(|heard| {
        let is_request = heard.message.is_request();
        let own = if is_request { heard.message.from() } else { heard.message.to() };
        Some(heard.path.source.ip()) == server && own.and_then(|own| own.tag().map(str::to_owned)).as_deref() == from_tag
    })
}
