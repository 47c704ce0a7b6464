use std::net::IpAddr;

use crate::call::{Dialog, Made, NamedDialog};
use crate::diagnosis::rule::rule;
use crate::diagnosis::words::length;
use crate::diagnosis::{Case, Confidence, Finding};
use crate::sip::{Method, NameAddr, Parameters};

rule! {
    /// The call that was to be replaced is not known there.
    ///
    /// ## What it says
    /// An INVITE asked to take the place of a call (an attended transfer, or a pick-up), and its receiver has no such
    /// call.
    ///
    /// ## Why it happens
    /// The tags are exchanged or copied from the wrong side, the Call-ID was rewritten by a B2BUA on the way, the
    /// request reached another node, or the call had ended already. With `early-only`, an answered call does not count.
    ///
    /// ## Evidence
    /// An INVITE with Replaces, and 481 to it, or 486 if it says `early-only`; or 603, where the call that it names had
    /// ended in this capture before (likely). An INVITE with Join (RFC 3911), and 481. Where the call that is named is
    /// in the capture, its tags are compared.
    ///
    /// ## How to fix
    /// In Replaces, `to-tag` is the tag of the one who gets the INVITE, and `from-tag` that of the other side. Behind a
    /// B2BUA, let it translate Replaces. `early-only` asks for the 486 where the call is answered already: leave it out
    /// where the call is to be taken over all the same.
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
    let early_only = name == "Replaces" && failure.status.get() == 486 && parameters.has("early-only");
    let detail = match (failure.status.get(), ended) {
        (486, _) if early_only => "it says early-only, and the call that it names was answered already".to_owned(),
        (486, _) | (603, None) => return None,
        (_, Some(bye)) => {
            format!("that call had been ended with BYE {} before", length(request.place.time.since(bye.time)))
        }
        _ => compared(&known, tags, response.path.source.ip()),
    };
    let (verb, rfc) = if name == "Join" { ("join", "RFC 3911 §4") } else { ("replace", "RFC 3891 §3") };
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
    let order = order(&known, tags, server.ip());
    let finding = match ended {
        _ if early_only => finding.fix(format!(
            "Let {} leave out early-only if it is to take over answered calls too. If not, this 486 is the answer \
             that it asks for (RFC 3891 §3).",
            request.path.source
        )),
        Some(bye) => finding
            .fix(format!("Let {} look whether the call still exists before it asks to {verb} it.", request.path.source))
            .claim_at(bye, "sip.Method", "BYE", "the call that is named ends"),
        None if matches!(order, Some(Order::Exchanged(..))) => finding.fix(format!(
            "Let {} exchange the tags in {name}, or whoever gave it that {name} in a REFER: to-tag={} is right, the \
             tag of {server}, and from-tag={}, that of the other side ({rfc}).",
            request.path.source, tags.1, tags.0
        )),
        None if matches!(order, Some(Order::Early)) => finding.fix(format!(
            "Let {} wait until the call is answered, or send its INVITE to the side that began it ({rfc}).",
            request.path.source
        )),
        None if matches!(order, Some(Order::Right)) => finding.fix(format!(
            "Look why {server} does not know that call any more: it may have ended unseen, or {server} was restarted, \
             or is another node than the one that has the call."
        )),
        None => finding
            .fix(format!(
                "Compare {name} with the dialog as {server} knows it: to-tag must be the tag of {server}, from-tag \
                 that of the other side."
            ))
            .fix(format!("If a B2BUA stands between, let it translate {name}, or resolve the transfer itself.")),
    };
    let mut finding = finding.claim_method(request, "the request").claim_header(
        request,
        name,
        format!("the call that it wants to {verb}"),
    );
    if let (Some(Order::Exchanged(dialog, made)), None) = (order, ended) {
        let says = format!("in that call this is the tag of {}", made.callee);
        finding = finding.claim_at(made.place, "sip.to.tag", dialog.callee_tag.clone(), says);
    }
    Some(
        finding
            .claim_status(response, "refused")
            .refuted(
                "dialog-state-lost",
                format!("the INVITE is of no dialog: what is not known is the call in {name}"),
            )
            .refuted("callee-busy", format!("{name} asks for a call that exists, and not for a free line")),
    )
}

/// The dialogs with this Call-ID, as far as they were captured.
fn known(case: &Case<'_>, call_id: &str) -> Vec<NamedDialog> {
    let own = case.call.dialogs.iter().filter(|dialog| *dialog.call_id == *call_id.as_bytes());
    let own = own.map(|dialog| NamedDialog {
        caller_tag: dialog.caller_tag.clone(),
        callee_tag: dialog.callee_tag.clone(),
        made: made(case, dialog),
        ended: dialog.bye.map(|bye| case.call.message(bye).place),
    });
    own.chain(case.surroundings.neighbours().dialogs_to_replace(call_id).iter().cloned()).collect()
}

/// Where a dialog of this call was made.
fn made(case: &Case<'_>, dialog: &Dialog) -> Option<Made> {
    let tag = |name: Option<NameAddr>| name.and_then(|name| name.tag().map(str::to_owned)).unwrap_or_default();
    let mut makes = case.call.messages.iter().filter_map(|heard| {
        let status = heard.message.status().filter(|status| (101..300).contains(&status.get()))?;
        let is_of_it = heard.message.cseq().is_some_and(|cseq| cseq.method == Method::Invite)
            && heard.message.call_id() == &*dialog.call_id
            && tag(heard.message.from()) == dialog.caller_tag
            && tag(heard.message.to()) == dialog.callee_tag;
        is_of_it.then_some((heard, status))
    });
    let (first, status) = makes.next()?;
    let made = Made::by(first.place, first.path, status);
    Some(makes.fold(made, |made, (heard, status)| made.with(heard.path, status)))
}

/// True if a dialog has both tags, whichever side it calls which.
fn fits(dialog: &NamedDialog, (to_tag, from_tag): (&str, &str)) -> bool {
    let tags = (dialog.caller_tag.as_str(), dialog.callee_tag.as_str());
    tags == (to_tag, from_tag) || tags == (from_tag, to_tag)
}

/// What a Replaces that names both tags of a captured call has wrong.
#[derive(Clone, Copy)]
enum Order<'d> {
    /// Nothing: to-tag is the tag of the one who got the INVITE.
    Right,
    /// Nothing, but the call only rings at the one who got the INVITE: that is no call to be replaced there.
    Early,
    /// The tag of the one who got the INVITE stands in from-tag.
    Exchanged(&'d NamedDialog, Made),
    /// Whose tag is whose was not captured.
    Unknown,
}

/// Whether the tags of Replaces stand where they have to for this server (RFC 3891 §3); `None` if they are of no
/// captured call.
fn order<'d>(known: &'d [NamedDialog], (to_tag, from_tag): (&str, &str), server: IpAddr) -> Option<Order<'d>> {
    let dialog = known.iter().find(|dialog| fits(dialog, (to_tag, from_tag)))?;
    let own = dialog.made.filter(|made| made.caller != made.callee).and_then(|made| match server {
        server if server == made.callee => Some((&dialog.callee_tag, made)),
        server if server == made.caller => Some((&dialog.caller_tag, made)),
        _ => None,
    });
    Some(match own {
        Some((own, made)) if own == to_tag && server == made.callee && !made.confirmed => Order::Early,
        Some((own, _)) if own == to_tag => Order::Right,
        Some((_, made)) => Order::Exchanged(dialog, made),
        None => Order::Unknown,
    })
}

/// How the tags of Replaces differ from those of the dialog, as far as it was captured.
fn compared(known: &[NamedDialog], (to_tag, from_tag): (&str, &str), server: IpAddr) -> String {
    if known.is_empty() {
        return "no such call is known there, and none with this Call-ID is in the capture".to_owned();
    }
    let is_of = |tag: &str| known.iter().any(|dialog| dialog.caller_tag == tag || dialog.callee_tag == tag);
    match (order(known, (to_tag, from_tag), server), is_of(to_tag), is_of(from_tag)) {
        (Some(Order::Right), _, _) => {
            format!("both tags are right and stand where they have to, and {server} does not know that call any more")
        }
        (Some(Order::Early), _, _) => format!(
            "both tags are right, but that call only rings at {server}, as far as the capture shows, and what rings \
             can be taken over only at the side that began it"
        ),
        (Some(Order::Exchanged(_, made)), _, _) => {
            let other = if server == made.callee { made.caller } else { made.callee };
            format!(
                "the tags are exchanged: to-tag {to_tag:?} is the tag of {other}, and from-tag {from_tag:?} that of \
                 {server}"
            )
        }
        (Some(Order::Unknown), _, _) => "both tags are those of a call in the capture, which is not known there any \
                                         more, or has its tags exchanged"
            .to_owned(),
        (_, false, true) => format!("the call has no to-tag {to_tag:?}"),
        (_, true, false) => format!("the call has no from-tag {from_tag:?}"),
        _ => format!("the call has neither the to-tag {to_tag:?} nor the from-tag {from_tag:?}"),
    }
}
