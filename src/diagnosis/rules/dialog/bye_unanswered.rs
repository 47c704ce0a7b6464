use std::time::Duration;

use crate::call::{Heard, Stream};
use crate::capture::Timestamp;
use crate::diagnosis::media::{UNDERWAY, claim_packet};
use crate::diagnosis::rule::rule;
use crate::diagnosis::targets::{CONTACT, RECORD_ROUTE};
use crate::diagnosis::words::{capture_at, length};
use crate::diagnosis::{Asked, Case, Confidence, Finding, Role, Side};
use crate::sip::{Method, StatusCode};

rule! {
    /// The BYE was never answered, and the other side may not know that the call has ended.
    ///
    /// ## What it says
    /// One side hung up and repeated its BYE, and nothing came back. To the other side the call may still be up.
    ///
    /// ## Why it happens
    /// The other side is gone, or the address in its Contact cannot be reached any more (a NAT binding that has
    /// expired).
    ///
    /// ## Evidence
    /// Copies of one BYE, no final response, no BYE of the other side that was accepted, and a capture that goes on for
    /// 64·T1, or to the 408 of the proxy that sent them on. Or a 408 or 504 to the BYE, long after it, of a proxy
    /// behind which the capture shows nothing. Over TCP, TLS and WebSocket one BYE is enough, if the connection stood
    /// and the capture shows what comes back. Where two inputs hold the same datagrams of this way, and only the one
    /// nearer to its sender holds the BYE, it was lost between the two.
    ///
    /// ## How to fix
    /// Look whether the BYE reaches the other side. Session timers or the check of media activity end such calls;
    /// without them they may be billed on.
    ///
    /// ## When it would be wrong
    /// In a capture of one direction the answers exist and are not seen.
    ///
    /// ## References
    /// RFC 3261 §15.1, §17.1.2.2
    "C13" "bye-unanswered" needs [BYE UNANSWERED REPEATED] [BYE UNANSWERED STREAM] [BYE FAILURE], check
}

fn check(case: &Case<'_>) -> Option<Finding> {
    silent(case).or_else(|| timed_out(case))
}

/// Codes of a proxy that waited in vain for the one behind it.
const TIMEOUTS: [u16; 2] = [408, 504];

/// A proxy answered the BYE in place of the other side, which it did not reach.
fn timed_out(case: &Case<'_>) -> Option<Finding> {
    let status_of = |asked: &Asked<'_>| case.finals(asked.transaction).last()?.message.status();
    let is_over = case.asked(&Method::Bye).any(|bye| status_of(&bye).is_some_and(StatusCode::is_success));
    let is_timeout = |asked: &Asked<'_>| status_of(asked).is_some_and(|status| TIMEOUTS.contains(&status.get()));
    let first = case.asked_first(&Method::Bye).last().filter(|bye| !is_over && is_timeout(bye))?;
    let (bye, answer) = (first.request, case.finals(first.transaction).last()?);
    let waited = answer.place.time.since(bye.place.time);
    let is_sent_on = case.call.downstream_of(first.transaction.id).next().is_some();
    let is_of_dead_dialog = case.call.unseen(&Method::Bye).next().is_some();
    // Where the next hop is seen, what came of it there is told of that.
    if waited < SHORTEST_WAIT || is_sent_on || is_of_dead_dialog {
        return None;
    }
    let (from, server, status) = (bye.path.source, answer.path.source, answer.message.status()?);
    Some(
        Finding::of(&RULE, Confidence::Likely)
            .titled("The BYE did not reach the other side")
            .explains(case.call.final_status)
            .drops_the_call()
            .party(Role::Network, Some(server))
            .because(format!(
                "{from} hung up, and {} after its BYE {server} answered {status}: nothing had come back to it from \
                 behind. To the other side the call may still be up, and billed.",
                length(waited)
            ))
            .fix(format!(
                "Look on {server} where it sent the BYE: to the Contact of the other side, or to the next proxy of the \
                 Route."
            ))
            .fix("Let session timers (RFC 4028) or media inactivity end calls whose BYE gets lost.")
            .next_capture(capture_at(server.ip(), bye.path))
            .claim_method(bye, "one side hangs up")
            .claim_status(answer, "whoever is behind it did not answer")
            .refuted("dialog-state-lost", "no 481: the one who answers did not say that it knows no such call"),
    )
}

/// Who waits for a BYE that gets no answer waits for 64·T1: half of it is long.
const SHORTEST_WAIT: Duration = Duration::from_secs(16);

/// A BYE that got no answer at all.
fn silent(case: &Case<'_>) -> Option<Finding> {
    let Asked { request: bye, transaction } = silent_bye(case)?;
    let acknowledged = case.answer().is_none_or(|(_, success)| case.acks_to(success).next().is_some());
    let quoted = case.call.icmp.iter().any(|icmp| icmp.message == bye.id);
    if !acknowledged || quoted {
        return None;
    }
    let (from, to) = (bye.path.source, bye.path.destination);
    let own_bye = case.asked(&Method::Bye).map(|own| own.request).find(|own| {
        own.path.source.ip() == to.ip() && own.place > bye.place && own.message.call_id() == bye.message.call_id()
    });
    let passed = transaction.upstream.and_then(|id| case.call.request_of(case.call.transaction(id)));
    let (told, sure) = (case.given_up_by_proxy(bye), case.absence_until_given_up(bye));
    let silence = Silence { bye, passed, told, own_bye, sound: sound_after(case, bye), sure };
    let finding = Finding::of(&RULE, silence.sure).explains(case.call.final_status).drops_the_call();
    let between = case.lost_between(bye).filter(|_| silence.sure != Confidence::Unseen);
    let because = silence.explanation(case);
    let finding = match case.private_contact(bye).filter(|_| between.is_none()) {
        _ if bye.path.transport.is_reliable() => finding
            .party(case.role_of_asked(bye), Some(to))
            .because(because)
            .fix(format!("Look in the log of {} for this BYE: TCP brought it there, and nothing answers it.", to.ip())),
        Some(contact) => contact.told_in(finding, &because, (Role::Proxy, from)),
        None if let Some(between) = between => {
            between.told_in(finding, "the BYE").because(format!("{because} {}", between.says("the BYE")))
        }
        None => finding.party(Role::Network, Some(to)).because(because).fix(format!(
            "See at {} whether the BYE arrives. If not, its {} or the NAT before it is out of date.",
            to.ip(),
            if bye.message.header("Route").is_some() { RECORD_ROUTE } else { CONTACT }
        )),
    };
    let finding = match between {
        Some(_) => finding,
        None => finding.next_capture(capture_at(to.ip(), bye.path)),
    };
    let finding = finding
        .fix("Let session timers (RFC 4028) or media inactivity end calls whose BYE gets lost.")
        .refuted("destination-unreachable", "no ICMP error quotes the BYE")
        .refuted("dialog-state-lost", "the BYE got no answer at all, and no 481");
    Some(silence.prove(case, finding))
}

/// A BYE that got no answer, and what else is known of the other side.
struct Silence<'a> {
    bye: &'a Heard,
    /// The same on the hop before, if its sender passed it on.
    passed: Option<&'a Heard>,
    /// What that one was told when the wait was over.
    told: Option<&'a Heard>,
    /// A BYE of the other side.
    own_bye: Option<&'a Heard>,
    /// What it went on sending.
    sound: Option<&'a Stream>,
    sure: Confidence,
}

impl Silence<'_> {
    fn explanation(&self, case: &Case<'_>) -> String {
        let bye = self.bye;
        let (from, to) = (bye.path.source, bye.path.destination);
        let who = match self.passed {
            Some(before) => format!("{from} passed on the BYE of {}", before.path.source),
            None => format!("{from} hung up and sent its BYE"),
        };
        let copies = bye.repeated + 1;
        let span = length(bye.last_place().time.since(bye.place.time));
        let received = if case.was_received(bye) { format!(", TCP of {to} acknowledged it") } else { String::new() };
        match self.sure {
            Confidence::Unseen => format!(
                "{from} sent its BYE {copies} times within {span}, and the capture ends before it can be said that \
                 {to} never answered."
            ),
            _ if bye.path.transport.is_reliable() => format!(
                "{who} over {}{received}, and {to} never answered. {}",
                bye.path.transport,
                self.of_other_side()
            ),
            _ if case.is_hop_one_way(bye) => format!(
                "{who} {copies} times within {span}, so it took no answer to it. What comes back on this hop is not in \
                 the capture. {}",
                self.of_other_side()
            ),
            _ => format!(
                "{who} {copies} times within {span}; {to} never answered{}. {}",
                self.given_up(),
                self.of_other_side()
            ),
        }
    }

    /// That the proxy between them gave up, in the middle of a sentence.
    fn given_up(&self) -> String {
        let Some((told, status)) = self.told.and_then(|told| Some((told, told.message.status()?))) else {
            return String::new();
        };
        let after = length(told.place.time.since(self.bye.place.time));
        format!(", and {after} after it {} told {} {status}", told.path.source, told.path.destination)
    }

    /// What is known of how long the other side kept the call.
    fn of_other_side(&self) -> String {
        let after = |time: Timestamp| length(time.since(self.bye.place.time));
        match (self.own_bye, self.sound) {
            (Some(own), _) => format!(
                "That side kept the call until its own BYE {} later: what the two sides bill may differ by that.",
                after(own.place.time)
            ),
            (None, Some(stream)) => format!(
                "Sound from {} still came {} after the first of them: to that side the call was up, and may be billed \
                 on.",
                stream.path.source,
                after(stream.last.time)
            ),
            (None, None) => "To that side the call may still be up, and billed.".to_owned(),
        }
    }

    fn prove(&self, case: &Case<'_>, finding: Finding) -> Finding {
        let goes_on = format!("the capture goes on for {}", length(case.tail(self.bye.place)));
        let mut finding = finding.claim_method(self.bye, "one side hangs up").claim_absent(
            self.bye.place,
            "a response to the BYE",
            goes_on,
        );
        if let Some(told) = self.told {
            finding = finding.claim_status(told, "the proxy between them gives up");
        }
        if let Some(stream) = self.sound {
            finding = claim_packet(finding, stream.last, stream, "the other side still sends sound");
        }
        match self.own_bye {
            Some(own) => finding.claim_method(own, "the other side ends the call as well"),
            None => finding,
        }
    }
}

/// The sound that the other side went on sending after a BYE, for longer than what was under way then.
fn sound_after<'a>(case: &Case<'a>, bye: &Heard) -> Option<&'a Stream> {
    let talk = case.talk()?;
    let ear = match case.side(bye) {
        Side::Caller => talk.caller,
        Side::Callee => talk.callee,
        Side::Unknown => return None,
    };
    let last = ear.streams.into_iter().max_by_key(|stream| stream.last)?;
    (last.last.time > bye.place.time.plus(UNDERWAY)).then_some(last)
}

/// The last BYE that was repeated and got no answer, if its sender got none to any BYE and none of the call succeeded.
pub(in crate::diagnosis::rules) fn silent_bye<'a>(case: &Case<'a>) -> Option<Asked<'a>> {
    let bye = case.asked(&Method::Bye).filter(|bye| bye.transaction.finals.is_empty()).last()?;
    let is_heard = |other: Asked<'_>| {
        let answered = !other.transaction.finals.is_empty();
        let succeeded =
            case.finals(other.transaction).any(|heard| heard.message.status().is_some_and(StatusCode::is_success));
        succeeded || answered && other.request.path.source == bye.request.path.source
    };
    // The capture may hold the answer to another BYE, and not that BYE.
    let is_over = case.unseen_of_dialog(&Method::Bye, bye.request).next().is_some();
    if is_over || case.asked(&Method::Bye).any(is_heard) {
        return None;
    }
    let is_repeated = bye.request.repeated > 1 && !bye.request.path.transport.is_reliable();
    (is_repeated || case.silence_over_stream(bye.request).is_some()).then_some(bye)
}
