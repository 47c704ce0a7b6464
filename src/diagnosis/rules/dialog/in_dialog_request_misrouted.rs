use crate::call::{Heard, Transaction, timer};
use crate::diagnosis::dialogs::{from_tag, to_tag};
use crate::diagnosis::rule::rule;
use crate::diagnosis::targets::{Target, Unheard, address, names_source_of_private, same_target};
use crate::diagnosis::words::{destination_field, is_private, times};
use crate::diagnosis::{Case, Confidence, Finding, Role, Severity};
use crate::sip::{Method, NameAddr, StatusCode, Uri};

rule! {
    /// A request inside the dialog was sent to the wrong place.
    ///
    /// ## What it says
    /// The ACK, or a later request such as the BYE, did not go where the other side asks for: its Contact, by way of
    /// the Record-Routes. So the callee's side never got the ACK and gave the call up, or the request was refused.
    ///
    /// ## Why it happens
    /// The caller's software keeps the address of the INVITE, changes the route set, or something on the way rewrote
    /// the Contact in one direction only.
    ///
    /// ## Evidence
    /// A 2xx that is repeated twice or more after the ACK, and an ACK whose Request-URI is not the Contact, whose Route
    /// is not the reversed Record-Route, or that was sent to another address than both name. Or a later request that is
    /// refused as unknown, or never answered, and whose Request-URI the other side never named as Contact.
    ///
    /// ## How to fix
    /// Let the caller's side send in-dialog requests to the Contact of the 2xx, through the Record-Routes.
    ///
    /// ## When it would be wrong
    /// A strict router (a Record-Route without `lr`) rewrites the Request-URI, as it should; one that is the first hop
    /// has to stand in the Request-URI itself, and the Contact in the last Route. If the ACK arrived, the difference
    /// did no harm. Who was named a private address may send to where the message came from instead, across
    /// a NAT.
    ///
    /// ## References
    /// RFC 3261 §12.2.1.1, §13.2.2.4, §16.12.1.1
    "C2" "in-dialog-request-misrouted" needs [DIALOG], check
}

/// The requests that may change where a dialog's further requests go (RFC 3261 §12.2; RFC 3311 §5.2).
const REFRESHING: [Method; 2] = [Method::Invite, Method::Update];

fn check(case: &Case<'_>) -> Option<Finding> {
    of_ack(case).or_else(|| of_request(case))
}

/// A request after the ACK that failed, and whose Request-URI no Contact of the other side has named.
fn of_request(case: &Case<'_>) -> Option<Finding> {
    let inside = case.call.transactions.iter().filter(|known| known.in_dialog && known.upstream.is_none());
    let (transaction, request, contact) = inside.filter(|known| known.method != Method::Ack).find_map(|known| {
        let request = case.call.request_of(known)?;
        if !is_lost(case, known, request) {
            return None;
        }
        Some((known, request, named_elsewhere(case, request)?))
    })?;
    let failure = case.finals(transaction).next();
    let status = failure.and_then(|failure| failure.message.status());
    let sent = request.message.request_uri()?.into_owned();
    let expected = NameAddr::read(&contact.message.headers("Contact").into_iter().next()?).uri;
    let method = &transaction.method;
    let ends = *method == Method::Bye;
    // What named another target may be among what was dropped.
    let sure = if case.capture.drops > 0 { Confidence::Likely } else { Confidence::Proven };
    let finding = Finding::of(&RULE, sure);
    let finding = match (ends, status) {
        (true, _) => finding.explains(status).drops_the_call(),
        (false, Some(status)) => finding.about(status).severity(Severity::Warning),
        (false, None) => finding.severity(Severity::Warning),
    };
    let after = match status {
        Some(status) => format!("{} answered it with {status}", request.path.destination),
        None => "it got no answer".to_owned(),
    };
    let finding = finding
        .sender(Role::Uac, request)
        .because(format!(
            "{} sent its {method} wrongly: the Request-URI is {sent:?}, and the other side had named {expected:?} as \
             Contact; {after}.",
            request.path.source
        ))
        .fix(format!(
            "Let {} send requests inside the dialog to the Contact of the other side, through its Record-Routes.",
            request.path.source
        ))
        .fix("If it does, look for what rewrites Contact or the Request-URI on the way (an ALG, an SBC).")
        .claim(request, "sip.r-uri", sent, "what was sent")
        .claim_header(contact, "Contact", "where it has to go")
        .refuted("dialog-state-lost", "a request that goes to the wrong target says nothing of the dialog");
    Some(match failure {
        Some(failure) => finding.claim_status(failure, "it is refused there"),
        None => finding.claim_absent(request.place, format!("a response to this {method}"), "nothing came back"),
    })
}

/// True if a request inside a dialog was refused as such that concern nobody there are, or never answered.
fn is_lost<'a>(case: &Case<'a>, transaction: &'a Transaction, request: &Heard) -> bool {
    let status = case.finals(transaction).next().and_then(|heard| heard.message.status());
    match status.map(StatusCode::get) {
        Some(404 | 410 | 416 | 481 | 604) => true,
        Some(_) => false,
        None => !case.has_response(transaction) && request.repeated > 1 && case.tail(request.place) >= timer::OVERDUE,
    }
}

/// The newest message with which the other side of this request named its Contact, if that is not the Request-URI.
pub(super) fn named_elsewhere<'a>(case: &Case<'a>, request: &Heard) -> Option<&'a Heard> {
    let uri = Uri::read(&request.message.request_uri()?);
    let peer = to_tag(request)?;
    let of_peer = |heard: &&Heard| {
        let speaker = if heard.message.is_request() { from_tag(heard) } else { to_tag(heard) };
        heard.id < request.id
            && heard.message.call_id() == request.message.call_id()
            && heard.path.destination.ip() == request.path.source.ip()
            && heard.path.source.ip() == request.path.destination.ip()
            && speaker.as_deref() == Some(&*peer)
            && heard.message.header("Contact").is_some()
    };
    // A request changes the target when it is accepted (§12.2.1.2, §12.2.2); the one that opened the dialog was.
    let is_in_force = |heard: &&Heard| {
        let transaction = case.call.transaction(heard.transaction);
        let accepted = || case.call.final_status_of(transaction).is_some_and(StatusCode::is_success);
        match heard.message.status() {
            Some(status) => !status.is_failure(),
            None => !transaction.in_dialog || REFRESHING.contains(&transaction.method) && accepted(),
        }
    };
    let named: Vec<&'a Heard> = case.call.messages.iter().filter(of_peer).filter(is_in_force).collect();
    let strict = |heard: &&Heard| {
        heard
            .message
            .headers("Record-Route")
            .iter()
            .any(|hop| !Uri::read(&NameAddr::read(hop).uri).parameters.has("lr"))
    };
    let fits = |heard: &&Heard| {
        let contacts = heard.message.headers("Contact");
        let is_meant = |contact: &Uri| same_target(contact, &uri) || names_source_of_private(&uri, heard, contact);
        heard.message.is_cut() || contacts.iter().any(|contact| is_meant(&NameAddr::read(contact).parsed()))
    };
    let last = named.last().copied()?;
    if may_have_moved_unseen(case, request, last) {
        return None;
    }
    // What was named a moment ago may have crossed this request.
    let has_settled = request.place.time.since(last.place.time) >= timer::T1;
    let is_old = has_settled && !fits(&last);
    let was_never = !named.iter().copied().any(|heard| fits(&heard));
    ((is_old || was_never) && !named.iter().any(strict)).then_some(last)
}

/// True if the other side may have named another Contact than the last one that the capture holds, in what it lacks.
fn may_have_moved_unseen(case: &Case<'_>, request: &Heard, last: &Heard) -> bool {
    // In a request whose response or ACK is there (§12.2), or one that is missing by the numbers of that side.
    let is_of_peer = |unseen: &Transaction| unseen.path.source.ip() == request.path.destination.ip();
    let is_unseen = REFRESHING.iter().any(|method| case.unseen_of_dialog(method, request).any(is_of_peer));
    let is_of_other_side = |heard: &&Heard| {
        heard.message.is_request()
            && heard.message.call_id() == request.message.call_id()
            && from_tag(heard) == to_tag(request)
    };
    let theirs = case.call.messages.iter().find(is_of_other_side);
    // The answer may have named another one than the provisional response before it (§12.1.2).
    let is_early = last.message.status().is_some_and(StatusCode::is_provisional);
    let is_answered = || {
        let transaction = case.call.transaction(last.transaction);
        case.call.final_status_of(transaction).is_some_and(StatusCode::is_success)
    };
    is_unseen
        || theirs.is_some_and(|theirs| case.lacks_requests_anywhere_after(theirs, last.place))
        // The 2xx to a request of its own sender may bring another one (§12.2.1.2).
        || case.lacks_requests_before(request)
        || is_early && !is_answered()
}

fn of_ack(case: &Case<'_>) -> Option<Finding> {
    let unheard = case.unheard_ack()?;
    let Unheard { success, ack, .. } = unheard;
    let target = case.remote_target(success)?;
    let fault = match target.route.iter().any(|hop| is_strict(hop)) {
        true => past_strict_router(&target, &unheard),
        false => fault(&target, &unheard),
    }?;
    let (expected, sent) = (&fault.expected, &fault.sent);
    let behind = unheard.waits_behind(case);
    let finding = case.of_unheard_ack(&RULE, fault.confidence(), success).sender(Role::Uac, ack).because(format!(
        "{} sent its ACK wrongly: {} {sent:?} where the 2xx asks for {expected:?}{}. {}",
        ack.path.source,
        fault.what,
        fault.why(),
        who_waits(case, &unheard, behind)
    ));
    let mut finding = fault
        .advised(finding, &unheard)
        .claim(ack, fault.field, sent.clone(), "what was sent")
        .claim_header(success, "Contact", fault.of_contact());
    if !target.route.is_empty() {
        finding = finding.claim_header(success, "Record-Route", "and by which way");
    }
    if let Some(behind) = behind {
        finding = unheard.claim_not_sent_on(finding, behind);
    }
    Some(
        unheard
            .claim_repeats(finding)
            .refuted("ack-missing", "an ACK was sent")
            .refuted("ack-malformed", "its CSeq and tags are those of the dialog"),
    )
}

/// Who went on repeating its 2xx, and how far the ACK came.
fn who_waits(case: &Case<'_>, unheard: &Unheard<'_>, behind: Option<&Heard>) -> String {
    let Unheard { success, ack, .. } = unheard;
    let repeats =
        |success: &Heard| format!("{} went on repeating its 2xx ({})", success.path.source, times(success.repeated));
    // Each copy of the 2xx gets an ACK of its own (RFC 3261 §13.2.2.4).
    let is_such = |other: &&Heard| {
        other.message.method() == Some(&Method::Ack)
            && other.path == ack.path
            && other.message.call_id() == ack.message.call_id()
            && other.message.cseq() == ack.message.cseq()
    };
    let acks: u32 = case.call.messages.iter().filter(is_such).map(|other| other.repeated + 1).sum();
    let (hop, copies) = (ack.path.destination, times(acks));
    match behind {
        Some(behind) => {
            format!("{} and never got the ACK: it went to {hop}, {copies}, and {hop} sent none on.", repeats(behind))
        }
        None if hop.ip() == success.path.source.ip() => {
            format!("{}: the ACK went there, {copies}, and did not end that.", repeats(success))
        }
        None => format!("{} and never got the ACK: it went to {hop}.", repeats(success)),
    }
}

struct Fault {
    what: &'static str,
    field: &'static str,
    expected: String,
    sent: String,
    /// True if the first hop is a strict router, and the ACK was sent as to a loose one.
    past_strict: bool,
}

impl Fault {
    /// A server that writes no `lr` and takes both would have got it too.
    fn confidence(&self) -> Confidence {
        if self.past_strict { Confidence::Likely } else { Confidence::Proven }
    }

    fn why(&self) -> &'static str {
        match self.past_strict {
            true => {
                ": that Record-Route has no lr, so it is of a strict router, whose URI goes into the Request-URI, and \
                 the Contact goes last into Route (RFC 3261 §12.2.1.1)"
            }
            false => "",
        }
    }

    fn of_contact(&self) -> &'static str {
        if self.past_strict { "what has to stand last in Route" } else { "where the ACK has to go" }
    }

    fn advised(&self, finding: Finding, unheard: &Unheard<'_>) -> Finding {
        let (client, server) = (unheard.ack.path.source, unheard.success.path.source);
        match self.past_strict {
            true => finding
                .fix(format!(
                    "Let {client} write the first Record-Route into the Request-URI of ACK and BYE where it has no lr, \
                     and the Contact of the 2xx into the last Route."
                ))
                .fix(format!(
                    "Or let {server} write its Record-Route with lr, if it is a loose router (RFC 3261 §16.6)."
                )),
            false => finding
                .fix(format!("Let {client} send ACK and BYE to the Contact of the 2xx, through its Record-Routes."))
                .fix("If it does, look for what rewrites Contact or Record-Route on the way to it (an ALG, an SBC)."),
        }
    }
}

/// True if a Record-Route is of a strict router (RFC 3261 §12.2.1.1).
fn is_strict(hop: &str) -> bool {
    !Uri::read(hop).parameters.has("lr")
}

/// The ACK whose first hop is a strict router, and whose Request-URI is still that of the callee's side.
fn past_strict_router(target: &Target, unheard: &Unheard<'_>) -> Option<Fault> {
    let first = target.route.first().filter(|hop| is_strict(hop))?;
    let sent = unheard.ack.message.request_uri()?.into_owned();
    let is_unchanged = same_target(&Uri::read(&sent), &target.uri) && !same_target(&target.uri, &Uri::read(first));
    (is_unchanged && !target.has_been_passed(unheard.ack)).then(|| Fault {
        what: "the Request-URI is",
        field: "sip.r-uri",
        expected: first.clone(),
        sent,
        past_strict: true,
    })
}

fn fault(target: &Target, unheard: &Unheard<'_>) -> Option<Fault> {
    let ack = unheard.ack;
    let sent = ack.message.request_uri()?.into_owned();
    if names_source_of_private(&Uri::read(&sent), unheard.success, &target.uri) {
        return None;
    }
    if !same_target(&Uri::read(&sent), &target.uri) {
        let expected = NameAddr::read(&target.contact).uri;
        return Some(Fault { what: "the Request-URI is", field: "sip.r-uri", expected, sent, past_strict: false });
    }
    let routes: Vec<String> = ack.message.headers("Route").iter().map(|value| NameAddr::read(value).uri).collect();
    if !routes.is_empty() && routes != target.route && !target.has_been_passed(ack) {
        let sent = ack.message.header("Route")?.into_owned();
        let expected = target.route.join(", ");
        return Some(Fault { what: "the Route is", field: "sip.Route", expected, sent, past_strict: false });
    }
    let next = routes.first().map_or_else(|| target.uri.clone(), |hop| Uri::read(hop));
    let wanted = address(&next)?;
    let went = ack.path.destination.ip();
    // To a private address across a NAT there is no way but back to where the 2xx came from.
    let goes_back = is_private(wanted) && went == unheard.success.path.source.ip();
    (wanted != went && !goes_back && routes.len() == target.route.len()).then(|| Fault {
        what: "it went to",
        field: destination_field(went),
        expected: wanted.to_string(),
        sent: went.to_string(),
        past_strict: false,
    })
}
