use std::net::IpAddr;

use crate::call::{Dialog, Heard, Made, NamedDialog};
use crate::capture::Place;
use crate::diagnosis::rule::rule;
use crate::diagnosis::words::length;
use crate::diagnosis::{Case, Confidence, Finding};
use crate::sip::{Method, NameAddr, Parameters, StatusCode};

rule! {
    /// The call that was to be replaced is not known there.
    ///
    /// ## What it says
    /// An INVITE asked to take the place of a call (an attended transfer, or a pick-up), and its receiver has no such
    /// call.
    ///
    /// ## Why it happens
    /// The tags are exchanged or copied from the wrong side, the Call-ID was rewritten by a B2BUA on the way, the
    /// request reached another node, or the call had ended already. Where tags and sides are right and the call was not
    /// ended before, it lies with its receiver (likely). With `early-only`, an answered call does not count.
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
    let seen = Unmatched::of(case)?;
    let (name, server) = (seen.name, seen.response.path.source);
    // Who declines may have a reason of his own; and the call that is named may have ended unseen.
    let is_named_rightly = seen.is_named_rightly();
    // Of a call that the capture does not hold nobody can tell whether it was named rightly, and was lost.
    let is_unseen = seen.known.is_empty() && !seen.is_early_only;
    let is_likely = seen.status.get() == 603 || is_named_rightly || is_unseen;
    let sure = if is_likely { Confidence::Likely } else { Confidence::Proven };
    let finding = Finding::of(&RULE, sure).explains(Some(seen.status));
    let finding = match is_named_rightly {
        true => finding.sender(case.role_of_responder(seen.response), seen.response),
        false => finding.sender(case.role_of_sender(seen.request), seen.request),
    };
    let finding = match name {
        "Join" => finding.titled("The call that was to be joined is not known there."),
        _ => finding,
    };
    let finding = finding.because(format!(
        "{} asked {server} to {} the call {:?}, and {server} answered {}: {}.",
        seen.request.path.source,
        seen.verb(),
        seen.call_id,
        seen.status,
        seen.why()
    ));
    let finding = seen.steps().into_iter().fold(finding, Finding::fix);
    Some(
        seen.prove(finding)
            .refuted(
                "dialog-state-lost",
                format!("the INVITE is of no dialog: what is not known is the call in {name}"),
            )
            .refuted("callee-busy", format!("{name} asks for a call that exists, and not for a free line")),
    )
}

/// An INVITE that names a call to be replaced or joined, and the refusal that does not know it.
struct Unmatched<'a> {
    /// `Replaces` or `Join`.
    name: &'static str,
    /// The INVITE as the first to name that call sent it.
    request: &'a Heard,
    /// The same as it was refused.
    refused: &'a Heard,
    response: &'a Heard,
    status: StatusCode,
    /// The Call-ID that it names, and the tags.
    call_id: String,
    to_tag: String,
    from_tag: String,
    /// The dialogs with that Call-ID.
    known: Vec<NamedDialog>,
    /// The BYE that had ended the one it names.
    ended: Option<Place>,
    /// True if it was refused because it asked for a call that is not answered yet.
    is_early_only: bool,
}

impl<'a> Unmatched<'a> {
    fn of(case: &Case<'a>) -> Option<Unmatched<'a>> {
        let failure = case.failure_with(&[481, 486, 603])?;
        let (refused, response) = (case.request(failure)?, case.response(failure));
        let name = ["Replaces", "Join"].into_iter().find(|name| refused.message.header(name).is_some())?;
        if refused.message.method() != Some(&Method::Invite) {
            return None;
        }
        let named = refused.message.header(name)?.into_owned();
        let (call_id, rest) = named.split_once(';').unwrap_or((&named, ""));
        let call_id = call_id.trim();
        let parameters = Parameters::read(rest, b';');
        let (to_tag, from_tag) =
            (parameters.get("to-tag").unwrap_or_default(), parameters.get("from-tag").unwrap_or_default());
        let known = known(case, call_id);
        let ended = known.iter().filter(|dialog| fits(dialog, (to_tag, from_tag))).find_map(|dialog| dialog.ended);
        let ended = ended.filter(|bye| *bye < refused.place);
        let is_early_only = name == "Replaces" && failure.status.get() == 486 && parameters.has("early-only");
        let is_of_rule = match failure.status.get() {
            486 => is_early_only,
            603 => ended.is_some(),
            _ => true,
        };
        is_of_rule.then(|| Unmatched {
            name,
            request: case.first_with(refused, |before| before.message.header(name).as_deref() == Some(&*named)),
            refused,
            response,
            status: failure.status,
            call_id: call_id.to_owned(),
            to_tag: to_tag.to_owned(),
            from_tag: from_tag.to_owned(),
            known,
            ended,
            is_early_only,
        })
    }

    fn tags(&self) -> (&str, &str) {
        (&self.to_tag, &self.from_tag)
    }

    fn order(&self) -> Option<Order<'_>> {
        order(&self.known, self.tags(), self.response.path.source.ip())
    }

    /// True if it names a call as it must that is up at the one who does not know it, as far as the capture shows.
    fn is_named_rightly(&self) -> bool {
        self.ended.is_none() && !self.is_early_only && matches!(self.order(), Some(Order::Right))
    }

    /// What it wants to do with the call.
    fn verb(&self) -> &'static str {
        if self.name == "Join" { "join" } else { "replace" }
    }

    fn why(&self) -> String {
        match self.ended {
            _ if self.is_early_only => "it says early-only, and the call that it names was answered already".to_owned(),
            Some(bye) => {
                format!("that call had been ended with BYE {} before", length(self.refused.place.time.since(bye.time)))
            }
            None => compared(&self.known, self.tags(), self.response.path.source.ip()),
        }
    }

    /// What to do, most likely first.
    fn steps(&self) -> Vec<String> {
        let Unmatched { name, to_tag, from_tag, .. } = self;
        let (client, server) = (self.request.path.source, self.response.path.source);
        let rfc = if *name == "Join" { "RFC 3911 §4" } else { "RFC 3891 §3" };
        let step = match (self.ended, self.order()) {
            _ if self.is_early_only => format!(
                "Let {client} leave out early-only if it is to take over answered calls too. If not, this 486 is the \
                 answer that it asks for (RFC 3891 §3)."
            ),
            (Some(_), _) => {
                format!("Let {client} look whether the call still exists before it asks to {} it.", self.verb())
            }
            (None, Some(Order::Exchanged(..))) => format!(
                "Let {client} exchange the tags in {name}, or whoever gave it that {name} in a REFER: \
                 to-tag={from_tag} is right, the tag of {server}, and from-tag={to_tag}, that of the other side \
                 ({rfc})."
            ),
            (None, Some(Order::Early)) => format!(
                "Let {client} wait until the call is answered, or send its INVITE to the side that began it ({rfc})."
            ),
            (None, Some(Order::Right)) => format!(
                "Look why {server} does not find that call: it may be another node than the one that has the call, \
                 not support {name} for it, or have been restarted; or the call had ended unseen."
            ),
            (None, Some(Order::Unknown) | None) => {
                return vec![
                    format!(
                        "Compare {name} with the dialog as {server} knows it: to-tag must be the tag of {server}, \
                         from-tag that of the other side."
                    ),
                    format!("If a B2BUA stands between, let it translate {name}, or resolve the transfer itself."),
                ];
            }
        };
        vec![step]
    }

    fn prove(&self, finding: Finding) -> Finding {
        let finding = match self.ended.filter(|_| !self.is_early_only) {
            Some(bye) => finding.claim_at(bye, "sip.Method", "BYE", "the call that is named ends"),
            None => finding,
        };
        let wants = format!("the call that it wants to {}", self.verb());
        let finding = finding.claim_method(self.request, "the request").claim_header(self.request, self.name, wants);
        let finding = match (self.order(), self.ended) {
            (Some(Order::Exchanged(dialog, made)), None) => {
                let says = format!("in that call this is the tag of {}", made.callee);
                finding.claim_at(made.place, "sip.to.tag", dialog.callee_tag.clone(), says)
            }
            _ => finding,
        };
        finding.claim_status(self.response, "refused")
    }
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
            format!(
                "both tags are right and stand where they have to, and no BYE of that call had come before, but \
                 {server} does not find it"
            )
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
