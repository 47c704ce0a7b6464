use crate::call::Heard;
use crate::diagnosis::rule::rule;
use crate::diagnosis::{Case, Confidence, Finding};
use crate::sip::Parameters;

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
    /// An INVITE with Replaces, and 481 to it, or 486 if it says `early-only`. Where the call that it names is in the
    /// capture, its tags are compared.
    ///
    /// ## How to fix
    /// In Replaces, `to-tag` is the tag of the one who gets the INVITE, and `from-tag` that of the other side. Behind a
    /// B2BUA, let it translate Replaces.
    ///
    /// ## When it would be wrong
    /// The call may have ended in the same moment.
    ///
    /// ## References
    /// RFC 3891 §3, §6.1; RFC 5589 §7
    "G3" "replaces-unmatched" needs [481 486 REPLACES], check
}

fn check(case: &Case<'_>) -> Option<Finding> {
    let failure = case.failure_with(&[481, 486])?;
    let (request, response) = (case.request(failure)?, case.response(failure));
    let replaces = request.message.header("Replaces")?.into_owned();
    let (call_id, rest) = replaces.split_once(';').unwrap_or((&replaces, ""));
    let parameters = Parameters::read(rest, b';');
    let is_early_only = parameters.has("early-only");
    if failure.status.get() == 486 && !is_early_only {
        return None;
    }
    let tags = (parameters.get("to-tag").unwrap_or_default(), parameters.get("from-tag").unwrap_or_default());
    let detail = match failure.status.get() {
        486 => "it says early-only, and the call that it names was answered already".to_owned(),
        _ => compared(case, call_id.trim(), tags),
    };
    let server = response.path.source;
    let request = case.first_with(request, |before| before.message.header("Replaces").as_deref() == Some(&*replaces));
    Some(
        Finding::of(&RULE, Confidence::Proven)
            .explains(Some(failure.status))
            .sender(case.role_of_sender(request), request)
            .because(format!(
                "{} asked {server} to replace the call {:?}, and {server} answered {}: {detail}.",
                request.path.source,
                call_id.trim(),
                failure.status
            ))
            .fix(format!(
                "Compare Replaces with the dialog as {server} knows it: to-tag must be the tag of {server}, from-tag that of \
                 the other side."
            ))
            .fix("If a B2BUA stands between, let it translate Replaces, or resolve the transfer itself.")
            .claim_method(request, "the request")
            .claim_header(request, "Replaces", "the call that it wants to replace")
            .claim_status(response, "refused")
            .refuted("dialog-state-lost", "the INVITE is of no dialog: what is not known is the call in Replaces")
            .refuted("callee-busy", "Replaces asks for a call that exists, and not for a free line"),
    )
}

/// How the tags of Replaces differ from those of the dialog, as far as it was captured.
fn compared(case: &Case<'_>, call_id: &str, (to_tag, from_tag): (&str, &str)) -> String {
    let own = case.call.dialogs.iter().filter(|dialog| *dialog.call_id == *call_id.as_bytes());
    let own = own.map(|dialog| (dialog.caller_tag.clone(), dialog.callee_tag.clone()));
    let known: Vec<(String, String)> =
        own.chain(case.surroundings.neighbours().dialogs_to_replace(call_id).iter().cloned()).collect();
    if known.is_empty() {
        return "no such call is known there, and none with this Call-ID is in the capture".to_owned();
    }
    let is_of = |tag: &str| known.iter().any(|(caller, callee)| caller == tag || callee == tag);
    let fits = |(caller, callee): &(String, String)| {
        (caller == to_tag && callee == from_tag) || (caller == from_tag && callee == to_tag)
    };
    match (known.iter().any(fits), is_of(to_tag), is_of(from_tag)) {
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
    let parameters = request.and_then(|request: &Heard| request.message.header("Replaces").map(|value| value.into_owned()));
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
