use std::time::Duration;

use crate::call::{Heard, Kind, Transaction, timer};
use crate::diagnosis::case::ENOUGH_REPEATS;
use crate::diagnosis::media::ENOUGH;
use crate::diagnosis::rule::rule;
use crate::diagnosis::rules::dialog::in_dialog_request_misrouted::named_elsewhere;
use crate::diagnosis::rules::dialog::session_refresh_failed::is_failed_refresh;
use crate::diagnosis::words::{capture_at, length};
use crate::diagnosis::{Asked, Case, Confidence, Finding, Role, Severity, Side};
use crate::sip::Method;
use crate::sip::sdp::Sdp;

rule! {
    /// A request inside the call was never answered.
    ///
    /// ## What it says
    /// A re-INVITE, UPDATE, INFO, REFER or OPTIONS went into a running call again and again, as its timers want, and
    /// nothing came back; or a NOTIFY or SUBSCRIBE into a subscription. Who gets no answer for 64·T1 (32 s) ends the
    /// call.
    ///
    /// ## Why it happens
    /// The other side is gone; the way to its Contact has closed meanwhile (a NAT binding, an entry of a firewall); or
    /// it drops the request without a word, because it is too large for the way or of a kind that it does not know.
    ///
    /// ## Evidence
    /// Three or more copies of one request with a To tag, no response, no ACK for it, no ICMP error. That nothing ever
    /// came is likely only where the capture goes on for 64·T1 after the first copy; where it ends sooner, no more is
    /// said than what was seen until then. Over TCP, TLS and WebSocket one copy is enough, if the connection stood, the
    /// call went on for 64·T1 after it, and the capture shows what comes back. A BYE of the same side just when that
    /// time is over completes it. Or a re-INVITE that got 100 and nothing else for as long, while the call was up.
    ///
    /// ## How to fix
    /// See at the other side whether the request arrives. If it does not, compare where it went with the Contact of
    /// that side; if it does, look why nothing answers it.
    ///
    /// ## When it would be wrong
    /// In a capture of one direction the answers exist and are not seen. A refresh of the session timer that failed is
    /// `session-refresh-failed`, a BYE `bye-unanswered`, a request to a wrong target `in-dialog-request-misrouted`.
    ///
    /// ## References
    /// RFC 3261 §12.2.1.2, §14.1, §17.1.1.2, §17.1.2.2
    "C21" "dialog-request-unanswered" needs [IN_DIALOG UNANSWERED REPEATED] [IN_DIALOG UNANSWERED STREAM] [IN_DIALOG PROVISIONAL], check
}

/// What is asked inside a call; BYE and PRACK have rules of their own.
const ASKED: [Method; 7] =
    [Method::Invite, Method::Update, Method::Info, Method::Refer, Method::Options, Method::Notify, Method::Subscribe];

/// A B2BUA sends a request on this soon.
const SENT_ON: Duration = Duration::from_secs(1);

/// Who gives up sends BYE at once: this much later or sooner than 64·T1 is still at that time.
const TOLERANCE: f64 = 0.15;

fn check(case: &Case<'_>) -> Option<Finding> {
    never_answered(case).or_else(|| taken_over(case))
}

/// A re-INVITE that was confirmed with 100, and got nothing final for longer than any request may wait for its first
/// response: there timer B has stopped, and nothing ends the wait (RFC 3261 §17.1.1.2).
fn taken_over(case: &Case<'_>) -> Option<Finding> {
    let is_trying = |heard: &Heard| heard.message.status().is_some_and(|status| status.get() == 100);
    let end_of = |asked: &Asked<'_>| {
        let response = case.finals(asked.transaction).map(|heard| heard.place).next();
        let bye = case.first_bye().map(|bye| bye.request.place).filter(|bye| *bye > asked.request.place);
        response.into_iter().chain(bye).map(|place| place.time).min().unwrap_or(case.call.until)
    };
    let (asked, trying, waited) = case.asked(&Method::Invite).find_map(|asked| {
        let trying = case.provisionals(asked.transaction).next().filter(|heard| is_trying(heard))?;
        let waited = end_of(&asked).since(asked.request.place.time);
        let is_inside = asked.transaction.in_dialog && asked.transaction.cancelled_by.is_none();
        let is_last = case.call.downstream_of(asked.transaction.id).next().is_none();
        let is_alone = case.provisionals(asked.transaction).all(is_trying);
        (is_inside && is_last && is_alone && waited >= timer::GIVE_UP).then_some((asked, trying, waited))
    })?;
    let request = asked.request;
    let confidence = Some(case.absence(request, timer::GIVE_UP)).filter(|sure| *sure != Confidence::Unseen)?;
    let (from, to) = (request.path.source, request.path.destination);
    Some(
        Finding::of(&RULE, confidence)
            .titled("A change of the call was taken over, and never answered")
            .severity(Severity::Warning)
            .sender(Role::Uas, trying)
            .because(format!(
                "{to} confirmed {} of {from} with 100, and gave no final answer for {}: whether the change was made, \
                 {from} does not know, and it may not ask for another one meanwhile (RFC 3261 §14.1).",
                what(request, &Method::Invite),
                length(waited)
            ))
            .fix(format!("Look at {to}: where did it send this re-INVITE, and what did it get?"))
            .fix(format!("Let {to} refuse a change that it cannot make (488, or 491 while another one goes on)."))
            .claim_method(request, "a change of the running call")
            .claim_status(trying, "it is taken over")
            .claim_absent(
                trying.place,
                "a final response to this re-INVITE",
                format!("none came for {}", length(waited)),
            )
            .refuted("reinvite-refused", "no final response came while the call was up"),
    )
}

fn never_answered(case: &Case<'_>) -> Option<Finding> {
    let seen = NeverAnswered::of(case)?;
    let request = seen.request;
    let finding = Finding::of(&RULE, seen.confidence);
    let finding = match seen.bye {
        Some(_) if case.call.is_answered() => finding.explains(None).drops_the_call(),
        _ => finding.severity(Severity::Warning),
    };
    let finding = seen.told_in(case, finding);
    let finding = match seen.confidence {
        Confidence::Unseen => finding.titled("A request inside the call had got no answer when the capture ended"),
        _ => finding,
    };
    let finding = seen.steps().into_iter().fold(finding, Finding::fix);
    Some(
        seen.prove(case, finding)
            .next_capture(capture_at(request.path.destination.ip(), request.path))
            .refuted("destination-unreachable", "no ICMP error quotes this request")
            .refuted("reinvite-refused", "it was not refused: it got no response at all")
            .refuted("dialog-state-lost", "it got no answer at all, and no 481"),
    )
}

/// A request inside the call that got nothing at all.
struct NeverAnswered<'a> {
    transaction: &'a Transaction,
    request: &'a Heard,
    /// What the proxy that sent it on made of the silence.
    told: Option<&'a Heard>,
    confidence: Confidence,
    /// The BYE with which its sender gave up.
    bye: Option<&'a Heard>,
    life: Option<Life<'a>>,
}

impl<'a> NeverAnswered<'a> {
    fn of(case: &Case<'a>) -> Option<NeverAnswered<'a>> {
        let Asked { transaction, request } = unanswered(case)?;
        let (told, confidence) = (case.given_up_by_proxy(request), case.absence_until_given_up(request));
        let (bye, life) = (given_up(case, request), Life::of(case, request));
        Some(NeverAnswered { transaction, request, told, confidence, bye, life })
    }

    fn is_over_stream(&self) -> bool {
        self.request.path.transport.is_reliable()
    }

    /// The finding with what happened, and with who is responsible for it.
    fn told_in(&self, case: &Case<'_>, finding: Finding) -> Finding {
        let (request, because) = (self.request, self.explanation(case));
        let (from, to) = (request.path.source, request.path.destination);
        match case.private_contact(request) {
            _ if self.is_over_stream() => finding.party(case.role_of_asked(request), Some(to)).because(because),
            Some(contact) => {
                // A server that reports to its subscriber passes nothing on.
                let is_author = case.call.kind == Kind::Subscription && self.transaction.upstream.is_none();
                let role = if is_author { case.role_of_author(request) } else { Role::Proxy };
                contact.told_in(finding, &because, (role, from))
            }
            None => finding.party(Role::Network, Some(to)).because(because),
        }
    }

    fn explanation(&self, case: &Case<'_>) -> String {
        let request = self.request;
        let (from, to) = (request.path.source, request.path.destination);
        let sent = self.sent(case);
        let because = match self.confidence {
            Confidence::Unseen => format!(
                "{sent}, and no response had come when the capture ended, {} after the first copy. That is too early \
                 to say that {to} never answered.",
                length(case.tail(request.place))
            ),
            _ if case.was_received(request) => {
                format!("{sent}; TCP of {to} acknowledged it, and no response ever came.")
            }
            _ if case.is_visible(to.ip(), from.ip()) => format!("{sent}, and {to} never answered."),
            _ => format!(
                "{sent}, and no answer of {to} is in the capture, which shows nothing else of it at that time either."
            ),
        };
        let end = match self.bye {
            Some(bye) => format!(
                " {} after {} {from} gave up and ended the call with BYE, as RFC 3261 asks of who gets no answer.",
                length(bye.place.time.since(request.place.time)),
                first(request)
            ),
            None => self.given_up(),
        };
        format!("{because}{end}{}", self.life.as_ref().map(|life| life.told(request)).unwrap_or_default())
    }

    /// That the proxy between gave up, as a sentence of its own.
    fn given_up(&self) -> String {
        let Some((told, status)) = self.told.and_then(|told| Some((told, told.message.status()?))) else {
            return String::new();
        };
        format!(
            " {} after {} {} gave up and told {} {status}.",
            length(told.place.time.since(self.request.place.time)),
            first(self.request),
            told.path.source,
            told.path.destination
        )
    }

    /// Who sent what, how often.
    fn sent(&self, case: &Case<'_>) -> String {
        let request = self.request;
        let (from, what) = (request.path.source, what(request, &self.transaction.method));
        let noun = if case.call.kind == Kind::Call { "call" } else { "subscription" };
        match self.is_over_stream() {
            true => format!("{from} sent {what} inside the {noun} over {}", request.path.transport),
            false => format!(
                "{from} sent {what} inside the {noun} {} times within {}",
                request.repeated + 1,
                length(request.last_place().time.since(request.place.time))
            ),
        }
    }

    /// What to do, most likely first.
    fn steps(&self) -> Vec<String> {
        let (method, host) = (&self.transaction.method, self.request.path.destination.ip());
        if self.is_over_stream() {
            return vec![
                format!(
                    "Look in the log of {host} for this {method}: TCP brought it there, and even what is not wanted \
                     gets a response."
                ),
                "If it is not there, look at what ends TCP before it (a load balancer, an ALG).".to_owned(),
            ];
        }
        let others_arrive = match self.life {
            Some(Life::Answered(_)) => Some(format!(
                "Other requests reach that side: compare them with this {method} of {} bytes. What is too large for \
                 the way, or of a kind that something on it does not know, is lost without a word.",
                self.request.message.bytes().len()
            )),
            _ => None,
        };
        let look_there = [
            format!(
                "See at {host} whether the {method} arrives. If not, its Contact, or what NAT and firewalls before it \
                 remember, is out of date."
            ),
            format!(
                "If it arrives, look at {host} for why nothing answers it: even what is not wanted gets a response."
            ),
        ];
        others_arrive.into_iter().chain(look_there).collect()
    }

    fn prove(&self, case: &Case<'_>, finding: Finding) -> Finding {
        let request = self.request;
        let mut finding = finding.claim_method(request, "a request inside the call");
        if let Some(last) = request.repeats.last() {
            let cseq = request.message.header("CSeq").unwrap_or_default().into_owned();
            finding = finding.claim_at(*last, "sip.CSeq", cseq, "its last copy");
        }
        finding = finding.claim_absent(
            request.place,
            format!("any response to this {}", self.transaction.method),
            format!("the capture goes on for {} after {}", length(case.tail(request.place)), first(request)),
        );
        if let Some(told) = self.told {
            finding = finding.claim_status(told, "the proxy that sent it on gives up");
        }
        match self.bye {
            Some(bye) => finding.claim_method(bye, "its sender gives the call up"),
            None => finding,
        }
    }
}

/// The first request inside the call that was repeated and got nothing at all on the last hop on which it is seen.
fn unanswered<'a>(case: &Case<'a>) -> Option<Asked<'a>> {
    if !matches!(case.call.kind, Kind::Call | Kind::Subscription) {
        return None;
    }
    let ended = case.asked(&Method::Bye).map(|bye| bye.request.place).min();
    let is_repeated = |request: &Heard| request.repeated >= ENOUGH_REPEATS && !request.path.transport.is_reliable();
    // Who has hung up meanwhile may have taken the answer with it.
    let is_left_on_stream = |request: &Heard| {
        let has_waited = ended.is_none_or(|bye| bye.time.since(request.place.time) >= timer::OVERDUE);
        has_waited && case.silence_over_stream(request).is_some()
    };
    let is_lost = |asked: &Asked<'a>| {
        let Asked { transaction, request } = *asked;
        let is_alone = !case.has_response(transaction) && transaction.acks.is_empty();
        let is_last = case.call.downstream_of(transaction.id).next().is_none();
        let is_told = case.call.icmp.iter().any(|icmp| icmp.message == request.id);
        transaction.in_dialog
            && is_alone
            && is_last
            && !is_told
            && (is_repeated(request) || is_left_on_stream(request))
            && ended.is_none_or(|bye| request.place < bye)
    };
    let mut all: Vec<Asked<'a>> = ASKED.iter().flat_map(|method| case.asked(method)).filter(is_lost).collect();
    all.sort_by_key(|asked| asked.request.place);
    let mut lost = *all.first()?;
    // A B2BUA asks on its other leg in words of its own, and waits for that answer.
    for next in &all {
        let (before, after) = (lost.request, next.request);
        let goes_on = lost.transaction.method == next.transaction.method
            && before.path.destination.ip() == after.path.source.ip()
            && after.place > before.place
            && after.place.time.since(before.place.time) <= SENT_ON;
        if goes_on {
            lost = *next;
        }
    }
    let is_confirmed = case.answer().is_none_or(|(_, success)| case.acks_to(success).next().is_some());
    let is_told_elsewhere = || named_elsewhere(case, lost.request).is_some() || is_failed_refresh(case, lost.request);
    (is_confirmed && !is_told_elsewhere()).then_some(lost)
}

/// The BYE with which the sender of a request gave up after 64·T1, by the T1 that its own copies show (RFC 3261
/// §12.2.1.2).
fn given_up<'a>(case: &Case<'a>, request: &Heard) -> Option<&'a Heard> {
    let t1 = match request.repeats.first() {
        Some(first) => first.time.since(request.place.time),
        None => timer::T1,
    };
    let patience = t1 * 64;
    let bye = case.asked_first(&Method::Bye).map(|bye| bye.request).find(|bye| {
        bye.message.call_id() == request.message.call_id() && bye.path.source.ip() == request.path.source.ip()
    })?;
    let waited = bye.place.time.since(request.place.time);
    let is_in_time = waited >= patience.mul_f64(1.0 - TOLERANCE) && waited <= patience.mul_f64(1.0 + TOLERANCE);
    is_in_time.then_some(bye)
}

/// `a re-INVITE (hold)`, `an UPDATE`: what was asked for.
fn what(request: &Heard, method: &Method) -> String {
    if *method != Method::Invite {
        return format!("{} {method}", if method.name().starts_with(['A', 'E', 'I', 'O', 'U']) { "an" } else { "a" });
    }
    let media = Sdp::of(&request.message)
        .and_then(|sdp| Some((sdp.media.first()?.kind.clone(), sdp.direction_of(sdp.media.first()?))));
    match media {
        Some((kind, _)) if kind == "image" => "a re-INVITE to T.38 fax".into(),
        Some((_, direction)) if direction != "sendrecv" => {
            format!("a re-INVITE that makes the media {direction} (hold)")
        }
        _ => "a re-INVITE".into(),
    }
}

/// What a time is counted from.
fn first(request: &Heard) -> &'static str {
    if request.path.transport.is_reliable() { "that" } else { "the first copy" }
}

/// What shows that the other side was there while the request waited, or after that.
enum Life<'a> {
    /// A request of its own.
    Asked(&'a Heard),
    /// Its response to another request.
    Answered(&'a Heard),
    /// Its media.
    Media,
}

impl<'a> Life<'a> {
    fn of(case: &Case<'a>, request: &Heard) -> Option<Life<'a>> {
        let (from, to) = (request.path.source.ip(), request.path.destination.ip());
        let spoke = case.call.messages.iter().find(|heard| {
            heard.place > request.place && heard.path.source.ip() == to && heard.path.destination.ip() == from
        });
        if let Some(heard) = spoke {
            return Some(if heard.message.is_request() { Life::Asked(heard) } else { Life::Answered(heard) });
        }
        let last = request.last_place().time;
        let talk = case.talk()?;
        let streams = if case.side(request) == Side::Caller { talk.caller.streams } else { talk.callee.streams };
        streams.iter().any(|stream| stream.packets >= ENOUGH && stream.last.time > last).then_some(Life::Media)
    }

    fn told(&self, request: &Heard) -> String {
        let after = |heard: &Heard| length(heard.place.time.since(request.place.time));
        match self {
            Life::Asked(heard) => match heard.message.method() {
                Some(method) => format!(
                    " The other side is there: it sent its own {method} {} after {}.",
                    after(heard),
                    first(request)
                ),
                None => String::new(),
            },
            Life::Answered(heard) => match heard.message.status() {
                Some(status) => {
                    format!(
                        " The other side is there: it answered another request with {status} {} after {}.",
                        after(heard),
                        first(request)
                    )
                }
                None => String::new(),
            },
            Life::Media => {
                " The media of the other side went on: it is there, and only its signalling is silent.".into()
            }
        }
    }
}
