use std::net::SocketAddr;
use std::time::Duration;

use crate::call::{Heard, Transaction, timer};
use crate::diagnosis::case::ENOUGH_REPEATS;
use crate::diagnosis::dialogs::{from_tag, to_tag};
use crate::diagnosis::lost_between::LostBetween;
use crate::diagnosis::rule::rule;
use crate::diagnosis::rules::dialog::fork_not_released::{Left, left_standing};
use crate::diagnosis::rules::reachability::return_path_lost;
use crate::diagnosis::targets::{CONTACT, FirstHop, RECORD_ROUTE, address};
use crate::diagnosis::words::{capture_at, is_private, length, times};
use crate::diagnosis::{Asked, Case, Confidence, Finding, Role, Severity, Side};
use crate::sip::{Method, StatusCode};

rule! {
    /// The ACK never reached the one who answered.
    ///
    /// ## What it says
    /// The callee's side answered, repeated its 2xx again and again, and got no ACK. After 64·T1 (32 s) it gives the
    /// call up with a BYE.
    ///
    /// ## Why it happens
    /// The caller's side sends the ACK to the Contact of the 2xx, or by its Record-Route, and that address is wrong or
    /// cannot be reached from there; or a proxy that must stay in the path did not record-route, or does not pass the
    /// ACK on; or the 2xx does not reach the caller.
    ///
    /// ## Evidence
    /// A 2xx to INVITE that is repeated twice or more, and no ACK with its CSeq and tag to the sender. A BYE of that
    /// sender 28 to 40 s after its first 2xx (sooner or later if it repeats with another T1), or one whose Reason names
    /// the ACK, completes it. Over TCP, where some stacks send their 2xx once, such a BYE on the same hop is enough. A
    /// 481 to that BYE shows that the caller's side never got the 2xx. Where ACKs go to that sender and it repeats its
    /// 2xx until it gives up all the same, they get lost behind this point: that is possible, and no more. Where two
    /// inputs hold the same datagrams of this way, and only the one nearer to the caller (by the TTL) holds the ACKs,
    /// they were lost between the two: that is likely. A 2xx that comes after a refusal which the caller's side has
    /// acknowledged cannot get an ACK: then that is told, and the refusal is what ended the call.
    ///
    /// ## How to fix
    /// Look at the Contact of the 2xx, or its last Record-Route: the caller's side must be able to send there. Then
    /// look whether the caller's side got the 2xx, and where it sent the ACK.
    ///
    /// ## When it would be wrong
    /// If the ACK goes another way than past the capture: but then the 2xx would not be repeated for long, and where
    /// its copies cease when the next one is due, nothing is said. If the INVITE is repeated after the 2xx too, the
    /// responses do not arrive: `return-path-lost`.
    ///
    /// ## References
    /// RFC 3261 §13.2.2.4, §13.3.1.4, §12.1.2, §16.7, §17.1.1.2
    "C1" "ack-missing" needs [ANSWERED REPEATED] [ANSWERED BYE STREAM], check
}

/// A 2xx that is repeated for so long was not confirmed meanwhile: four repeats with the usual T1.
const LONG: Duration = Duration::from_secs(7);

fn check(case: &Case<'_>) -> Option<Finding> {
    if return_path_lost::holds(case) {
        return None; // Who has got no answer has nothing to confirm.
    }
    never_sent(case).or_else(|| lost_behind(case))
}

/// ACKs were sent as they must, and the 2xx was repeated after each of them until its sender gave up: they got lost
/// behind this point.
fn lost_behind(case: &Case<'_>) -> Option<Finding> {
    let (_, success) = case.answers().filter(|(_, success)| success.repeated >= ENOUGH_REPEATS).last()?;
    let bye = cut_off(case, success)?;
    let ack = case.acks_to(success).filter(|ack| ack.path.destination.ip() == success.path.source.ip()).last()?;
    let first = case.acks_to(success).map(|ack| ack.place).min()?;
    let after = success.repeats.iter().filter(|repeat| **repeat > first).count();
    let (server, client) = (success.path.source, success.path.destination);
    // A system that repeats its 2xx to the end has got no ACK; one copy more or less may have crossed it.
    let to_the_end = success.last_place().time.since(success.place.time) >= LONG;
    if after < ENOUGH_REPEATS as usize || !to_the_end || !case.is_visible(server.ip(), client.ip()) {
        return None;
    }
    let told = format!(
        "{server} repeated its {} {after} times although {} sent the ACK to it, and gave the call up with BYE {} after \
         its first answer: no ACK reached it.",
        success.message.status()?,
        ack.path.source,
        length(bye.place.time.since(success.place.time))
    );
    let to_server = || case.acks_to(success).filter(|ack| ack.path.destination == server);
    let between = case.lost_between(ack).filter(|_| to_server().all(|ack| case.lost_between(ack).is_some()));
    let finding = match between {
        Some(between) => {
            let finding = Finding::of(&RULE, between.confidence(case));
            between.told_in(finding, "the ACK").because(format!("{told} {}", between.says("each ACK")))
        }
        None => Finding::of(&RULE, Confidence::Possible)
            .party(Role::Network, Some(server))
            .because(format!("{told} It got lost behind this point, or {server} cannot match it."))
            .fix(format!("See at {server} whether the ACK arrives (command below)."))
            .fix(format!("If it does, compare its tags, CSeq and Request-URI with what {server} expects."))
            .next_capture(capture_at(server.ip(), ack.path)),
    };
    Some(
        finding
            .explains(success.message.status())
            .drops_the_call()
            .claim_status(success, "the answer")
            .claim_method(ack, "the ACK to it")
            .claim_at(
                success.last_place(),
                "sip.CSeq",
                success.message.header("CSeq").unwrap_or_default().into_owned(),
                "its last repetition",
            )
            .claim_method(bye, "the one who answered gives up"),
    )
}

/// No ACK came to the one who answered.
fn never_sent(case: &Case<'_>) -> Option<Finding> {
    let wait = Wait::of(case)?;
    if let Some(refusal) = case.call.refused_before(wait.invite, wait.success) {
        return Some(came_too_late(case, &wait, refusal));
    }
    let Wait { success, bye, .. } = wait;
    let finding = Finding::of(&RULE, wait.confidence);
    let finding = match bye.is_some() || ends_without_bye(case, success) {
        true => finding.explains(success.message.status()).drops_the_call(),
        false => finding.severity(Severity::Warning),
    };
    let finding = finding.because(wait.explanation(case));
    if let Some(between) = wait.between {
        return Some(wait.prove(case, between.told_in(finding, "the 2xx")));
    }
    let (role, culprit) = wait.culprit();
    let finding = wait.steps().into_iter().fold(finding.party(role, Some(culprit)), Finding::fix);
    let finding = finding.next_capture(capture_at(success.path.destination.ip(), success.path));
    Some(wait.prove(case, finding))
}

/// The INVITE was over for its client when the 2xx came: no ACK was to be expected.
fn came_too_late(case: &Case<'_>, wait: &Wait<'_>, refusal: &Heard) -> Finding {
    let Wait { success, bye, .. } = wait;
    let (made, proxy, client) = (case.as_made(success), refusal.path.source, refusal.path.destination);
    let callee = made.path.source;
    let code = refusal.message.status().map(|status| format!(" {status}")).unwrap_or_default();
    let end = match bye {
        Some(bye) => {
            format!(" {} after its answer it gave up with BYE.", length(bye.place.time.since(made.place.time)))
        }
        None => String::new(),
    };
    let finding = Finding::of(&RULE, wait.confidence)
        .severity(Severity::Warning)
        .titled("The answer came after the call had been refused")
        .party(Role::Proxy, Some(proxy))
        .because(format!(
            "{callee} answered with {} {} after {proxy} had told {client}{code}. {client} acknowledged that, and with \
             it the INVITE was over there: an answer that comes later finds nothing that it belongs to, so it gets no \
             ACK (RFC 3261 §17.1.1.2).{end} Meanwhile the call was up for {callee} alone.",
            wait.status,
            length(success.place.time.since(refusal.place.time)),
        ))
        .fix(format!("Let {proxy} wait for longer, or {callee} answer sooner: what ended the call is told beside."))
        .fix(format!("Let {proxy} cancel what it gives up, and see what {callee} makes of the CANCEL."));
    let finding = finding
        .claim_status(refusal, "the call is refused")
        .claim_status(success, "an answer comes after that")
        .claim_absent(success.place, "an ACK to it", "it belongs to nothing that is still open");
    match bye {
        Some(bye) => finding.claim_method(bye, "the one who answered gives up"),
        None => finding,
    }
}

/// A 2xx that waits for its ACK in vain.
struct Wait<'a> {
    invite: &'a Transaction,
    success: &'a Heard,
    status: StatusCode,
    /// The BYE with which its sender gives up.
    bye: Option<&'a Heard>,
    confidence: Confidence,
    /// What is wrong with where it asks the ACK to go.
    hop_fault: Option<HopFault>,
    /// The same 2xx as a proxy passed it on that does not stay in the path.
    past: Option<&'a Heard>,
    /// The INVITE as it had come to the proxy which passed it on, where this 2xx is not seen to go back from there.
    before: Option<&'a Heard>,
    /// How often the ACK came to a proxy that sent none on.
    held_back: u32,
    /// The 481 that the BYE got.
    unknown: Option<&'a Heard>,
    /// The points of capture between which the 2xx was lost.
    between: Option<LostBetween<'a>>,
}

/// A message over UDP that is larger goes in fragments sooner or later (RFC 3261 §18.1.1).
const LARGE: usize = 1300;

impl<'a> Wait<'a> {
    fn of(case: &Case<'a>) -> Option<Wait<'a>> {
        let (invite, success) = unacknowledged(case)?;
        let past = passed_on(case, success);
        let success = if past.is_some() { case.as_made(success) } else { success };
        // Where its CSeq is cut off, nobody can tell which ACK is for it (RFC 3261 §13.2.2.4).
        success.message.cseq()?;
        let bye = cut_off(case, success);
        if bye.is_none() && has_ceased(case, success) {
            return None;
        }
        let (server, client) = (success.path.source.ip(), success.path.destination.ip());
        let confidence = match bye {
            // Not even the INVITE came from there in this capture: it shows one direction only (J2).
            _ if case.surroundings.hop(client, server).is_none() => Confidence::Unseen,
            Some(bye) if had_begun(case, success, bye) => Confidence::Possible,
            Some(_) if case.absence(success, Duration::ZERO) == Confidence::Likely => Confidence::Likely,
            _ => case.absence_of_answer(success),
        };
        let is_481 = |heard: &&Heard| heard.message.status().map(StatusCode::get) == Some(481);
        let answered = bye.and_then(|bye| case.finals(case.call.transaction(bye.transaction)).find(is_481));
        let held_back = held_back(case, success);
        // Over TCP its arrival is acknowledged; who did send an ACK somewhere had got it; and what had to go elsewhere,
        // ACK and BYE, is not seen here.
        let hop = FirstHop::after(success, case.call.request_of(invite));
        let named = hop.as_ref().and_then(|hop| address(&hop.uri));
        let comes_here = named == Some(success.path.source.ip());
        let is_open = comes_here && !case.was_received(success) && case.acks_to(success).next().is_none();
        let unknown = answered.filter(|answer| is_open && answer.path.source.ip() == client);
        Some(Wait {
            invite,
            success,
            status: success.message.status()?,
            bye,
            confidence,
            hop_fault: hop_fault(success, hop),
            past,
            before: carried_on(case, invite, success),
            held_back,
            unknown,
            between: case.lost_between(success).filter(|_| confidence != Confidence::Unseen),
        })
    }

    fn culprit(&self) -> (Role, SocketAddr) {
        let (server, client) = (self.success.path.source, self.success.path.destination);
        match () {
            () if self.unknown.is_some() => (Role::Network, client),
            () if self.past.is_some() => (Role::Network, server),
            () if self.hop_fault.as_ref().is_some_and(|fault| fault.header == RECORD_ROUTE) => (Role::Proxy, server),
            () if self.hop_fault.is_some() => (Role::Uas, server),
            () if self.held_back > 0 || self.before.is_some() => (Role::Proxy, client),
            () => (Role::Uac, client),
        }
    }

    fn explanation(&self, case: &Case<'_>) -> String {
        let Wait { success, status, .. } = self;
        let server = success.path.source;
        let answered = match success.repeated {
            0 => format!("{server} answered with {status}, sent once over {}, and got no ACK", success.path.transport),
            _ => format!(
                "{server} answered with {status}, repeated it {} times within {}, and got no ACK",
                success.repeated,
                length(success.last_place().time.since(success.place.time))
            ),
        };
        let end = match self.bye {
            Some(bye) => format!(
                ". {} after {} it gave the call up with BYE.",
                length(bye.place.time.since(success.place.time)),
                match had_begun(case, success, bye) {
                    true => "the first copy in this capture, which others must have come before,",
                    false => "its first answer",
                }
            ),
            None if self.confidence == Confidence::Unseen => " before the capture ended.".to_owned(),
            None => ".".to_owned(),
        };
        format!("{answered}{end} {}", self.why(case))
    }

    /// What is known of the ACK.
    fn why(&self, case: &Case<'_>) -> String {
        if let Some(between) = self.between {
            return between.says("the 2xx");
        }
        let (server, client) = (self.success.path.source, self.success.path.destination);
        let often = if self.held_back > 1 { format!(" ({})", times(self.held_back)) } else { String::new() };
        if let Some(unknown) = self.unknown {
            let size = self.size().map(|bytes| format!(" It has {bytes} bytes, which UDP sends in fragments."));
            return format!(
                "{} answered the BYE with 481: it knows no such dialog, so the 2xx most likely never reached it.{}",
                unknown.path.source,
                size.unwrap_or_default()
            );
        }
        if let Some(past) = self.past {
            return format!(
                "The 2xx came to {} from {}, a proxy that adds no Record-Route: so the ACK goes past that one, straight \
                 to {server}, and does not arrive there.",
                past.path.destination, past.path.source
            );
        }
        match (case.acks_to(self.success).next(), &self.hop_fault) {
            (Some(ack), _) => format!(
                "{} did send it to {}{often}; from there it does not go on to {server} in this capture.",
                ack.path.source, ack.path.destination
            ),
            (None, Some(fault)) => fault.says.clone(),
            (None, None) if let Some(before) = self.before => format!(
                "{client} had sent the INVITE of {} on, and the capture does not show that the 2xx goes back there from \
                 it.",
                before.path.source
            ),
            (None, None) if case.was_received(self.success) => format!(
                "TCP of {client} acknowledged the 2xx: it sent no ACK, or sent it another way than past this capture."
            ),
            (None, None) => {
                format!("Either the 2xx did not reach {client}, or it sent no ACK, or its ACK got lost on the way.")
            }
        }
    }

    /// The bytes of the 2xx, if they are too many for one datagram.
    fn size(&self) -> Option<usize> {
        let bytes = self.success.message.bytes().len();
        (bytes > LARGE && !self.success.path.transport.is_reliable() && !self.success.message.is_cut()).then_some(bytes)
    }

    /// What to do, most likely first.
    fn steps(&self) -> Vec<String> {
        let (server, client) = (self.success.path.source, self.success.path.destination);
        let mut steps = Vec::new();
        if self.unknown.is_some() && self.size().is_some() {
            steps.push(format!(
                "Let IP fragments pass between {server} and {client}, or let both use TCP for large messages (RFC 3261 \
                 §18.1.1)."
            ));
        }
        if self.unknown.is_some() {
            steps.push(format!("See at {client} whether the 2xx arrives there, and what filters before it."));
            return steps;
        }
        if let Some(past) = self.past {
            let (proxy, caller) = (past.path.source, past.path.destination);
            steps.push(format!("Let {proxy} add Record-Route to INVITEs, so that ACK and BYE pass it too."));
            steps.push(format!("Or let {caller} reach {server} itself: see there whether it sends the ACK."));
            return steps;
        }
        if let Some(fault) = &self.hop_fault {
            steps.push(format!(
                "Let {server} put an address into {} that {client} can reach (its external address).",
                fault.header
            ));
        }
        if self.held_back > 0 {
            steps.push(format!(
                "Look at {client} for what became of the ACK: whether it took it for one of this dialog, and where it \
                 sent it (by the Route and Request-URI of the ACK)."
            ));
        } else if let Some(before) = self.before {
            let caller = before.path.source;
            steps.push(format!("Look at {client} for what became of the 2xx, and whether it still reaches {caller}."));
        } else {
            steps.push(format!("See at {client} whether the 2xx arrived, and to which address it sent the ACK."));
            if self.success.message.header(RECORD_ROUTE).is_none() {
                steps.push("If a proxy between them must see the ACK, let it add Record-Route.".to_owned());
            }
        }
        steps
    }

    fn prove(&self, case: &Case<'_>, finding: Finding) -> Finding {
        let Wait { invite, success, bye, .. } = self;
        let cseq = success.message.header("CSeq").unwrap_or_default().into_owned();
        let mut finding = finding.claim_status(success, "the answer");
        if let Some(last) = success.repeats.last() {
            finding = finding.claim_at(*last, "sip.CSeq", cseq, "its last repetition");
        }
        if let Some(fault) = &self.hop_fault {
            finding = finding.claim_header_with(success, fault.header, &fault.text, "where the ACK has to go");
        }
        if let Some(past) = self.past {
            finding = finding.claim_header(past, CONTACT, "where the ACK has to go, with no Record-Route before it");
        }
        finding = finding.claim_absent(
            success.place,
            format!("ACK with CSeq {} to {}", invite.cseq, success.path.source),
            format!("none in the {} that the capture goes on", length(case.tail(success.place))),
        );
        if let Some(bye) = bye {
            finding = finding.claim_method(bye, "the one who answered gives up");
        }
        if let Some(unknown) = self.unknown {
            finding = finding.claim_status(unknown, "the caller's side knows no dialog");
        }
        let finding = finding.refuted(
            "media-inactivity-teardown",
            match success.repeated {
                0 => "the call was ended just when who gets no ACK gives up, 64·T1 after the 2xx",
                _ => "the 2xx was repeated until the end, as only a missing ACK explains",
            },
        );
        match case.acks_to(success).next() {
            Some(ack) => finding.claim_method(ack, "the ACK on an earlier hop"),
            None => finding
                .refuted("in-dialog-request-misrouted", "no ACK with the tags of this answer is in the capture at all")
                .refuted("ack-malformed", "no ACK with another number or other tags stands in its place"),
        }
    }
}

/// The 2xx of a proxy that passed it on and does not stay in the path, where it was seen to come from the very Contact
/// that it names (RFC 3261 §12.2.1.1, §16.6 item 4).
fn passed_on<'a>(case: &Case<'a>, success: &'a Heard) -> Option<&'a Heard> {
    let made = case.as_made(success);
    let told = case.as_told(success);
    let hop = FirstHop::named_in(told).filter(|hop| !hop.is_of_proxy())?;
    let is_of_maker =
        address(&hop.uri) == Some(made.path.source.ip()) && made.path.source.ip() != told.path.source.ip();
    (is_of_maker && case.acks_to(success).next().is_none()).then_some(told)
}

/// The INVITE before the hop of this 2xx, if a proxy carried it on and the 2xx is not seen to go back from there.
fn carried_on<'a>(case: &Case<'a>, invite: &Transaction, success: &'a Heard) -> Option<&'a Heard> {
    let request = case.call.request_of(invite)?;
    let before = case.as_sent(request);
    (before.id != request.id && case.as_told(success).id == success.id).then_some(before)
}

/// How often the ACK came to the host that this 2xx was sent to, and that sent none on: a proxy in its path.
fn held_back(case: &Case<'_>, success: &Heard) -> u32 {
    let proxy = success.path.destination.ip();
    let came = case.acks_to(success).filter(|ack| ack.path.destination.ip() == proxy);
    came.map(|ack| ack.repeated.saturating_add(1)).fold(0, u32::saturating_add)
}

/// The 2xx nearest to the caller that was repeated, or given up over TCP, and got no ACK on its hop: what lies behind
/// waits for that one. The second answer of a fork, whose first one was confirmed, is `fork-not-released`.
fn unacknowledged<'a>(case: &Case<'a>) -> Option<(&'a Transaction, &'a Heard)> {
    let left = left_standing(case).filter(|Left { kept, .. }| case.acks_to(kept).next().is_some());
    let is_left = |success: &Heard| left.as_ref().is_some_and(|Left { left, .. }| to_tag(left) == to_tag(success));
    case.answers()
        .filter(|(_, success)| !is_left(success))
        .filter(|(_, success)| case.waits_for_ack(success))
        .find(|(_, success)| !case.acks_to(success).any(|ack| ack.path.destination.ip() == success.path.source.ip()))
}

/// The BYE with which the sender of a 2xx gives up.
fn cut_off<'a>(case: &Case<'a>, success: &'a Heard) -> Option<&'a Heard> {
    let of_dialog = case.asked(&Method::Bye).filter(|bye| case.call_id(bye.request) == case.call_id(success));
    // A re-INVITE is answered by either side: there the tag tells whose BYE it is.
    let is_of_answerer = |bye: &Heard| match case.call.transaction(success.transaction).in_dialog {
        true => from_tag(bye) == to_tag(success),
        false => case.side(bye) != Side::Caller,
    };
    // What the other side sent before may have got lost like its ACK.
    let unanswered_before = |bye: &Asked<'a>| bye.transaction.finals.is_empty() && !is_of_answerer(bye.request);
    let bye = of_dialog.into_iter().find(|bye| !unanswered_before(bye))?.request;
    (is_of_answerer(bye) && (case.gives_up(success, bye) || had_begun(case, success, bye))).then_some(bye)
}

/// T2, less a little: from then on the copies of a 2xx come as far apart (RFC 3261 §13.3.1.4).
const ABOUT_T2: Duration = Duration::from_millis(3600);

/// True if the capture begins with the copies of a 2xx, which come T2 apart until the BYE: seconds of them lie before
/// it, and that BYE comes as after 64·T1.
fn had_begun(case: &Case<'_>, success: &Heard, bye: &Heard) -> bool {
    let invite = case.call.transaction(success.transaction);
    let is_first = invite.request.is_none() && invite.provisionals.is_empty();
    let second = success.repeats.first().map(|second| second.time.since(success.place.time));
    let after = bye.place.time.since(success.place.time);
    is_first
        && second.is_some_and(|gap| gap >= ABOUT_T2)
        && (2 * ABOUT_T2..=timer::GIVE_UP).contains(&after)
        && bye.place.time.since(success.last_place().time) <= 2 * ABOUT_T2
}

/// True if a 2xx was not repeated any more when its next copy was long due, and that before 64·T1 were over: only an
/// ACK ends the repetition (RFC 3261 §13.3.1.4), so one came past this capture.
fn has_ceased(case: &Case<'_>, success: &Heard) -> bool {
    let copies = &success.repeats;
    let Some(last) = copies.last().map(|last| last.time) else { return false };
    let before_last = copies.iter().rev().nth(1).copied().unwrap_or(success.place);
    let gap = last.since(before_last.time);
    let next = if gap < ABOUT_T2 { (gap * 2).min(timer::T2) } else { gap };
    let until = case.first_bye().map_or(case.capture.until, |bye| bye.request.place.time);
    until.since(last) > next * 3 / 2 && last.since(success.place.time) + next < LAST_COPY
}

/// The copies of a 2xx come until about then (RFC 3261 §13.3.1.4).
const LAST_COPY: Duration = Duration::from_secs(28);

/// No BYE at all, and time enough for the sender to have given up.
fn ends_without_bye(case: &Case<'_>, success: &Heard) -> bool {
    // Who stops repeating its answer soon got its ACK after all, past the capture.
    let repeated_on = success.last_place().time.since(success.place.time) >= LONG;
    let is_released = case.first_bye().is_some() || case.call.unseen(&Method::Bye).next().is_some();
    !is_released && repeated_on && case.absence_of_answer(success) != Confidence::Unseen
}

/// What is wrong with where a 2xx asks the ACK to go.
struct HopFault {
    /// The header that has to be mended.
    header: &'static str,
    /// What stands there.
    text: String,
    /// What is wrong, in a sentence.
    says: String,
}

/// What is wrong with the Contact of a 2xx, or the Record-Route that stands before it: that there is none, or an
/// address for private networks, other than the one it came from.
fn hop_fault(success: &Heard, hop: Option<FirstHop>) -> Option<HopFault> {
    if success.message.header(CONTACT).is_none() && !success.message.is_cut() {
        let says =
            "The 2xx lacks the Contact that it must have (RFC 3261 §12.1.1): nothing says where the ACK has to go.";
        return Some(HopFault { header: CONTACT, text: String::new(), says: says.to_owned() });
    }
    let FirstHop { header, text, uri } = hop?;
    let named = address(&uri)?;
    let source = success.path.source;
    (named != source.ip() && is_private(named)).then(|| HopFault {
        header,
        text,
        says: format!(
            "The ACK has to go to the {header} of the 2xx, and that is the private address {named}, while the 2xx came \
             from {}.",
            source.ip()
        ),
    })
}
