use std::net::SocketAddr;

use crate::call::{Heard, Kind};
use crate::catalogue::Topic;
use crate::diagnosis::dialogs::{from_tag, to_tag};
use crate::diagnosis::rule::rule;
use crate::diagnosis::rules::dialog::cseq_regressed;
use crate::diagnosis::rules::reachability::flow_failed::LostConnection;
use crate::diagnosis::targets::RECORD_ROUTE;
use crate::diagnosis::{Asked, Case, Confidence, Finding, Role, Severity};
use crate::sip::{Method, StatusCode};

rule! {
    /// The BYE was refused, and the other side may not know that the call has ended.
    ///
    /// ## What it says
    /// One side hung up, and its BYE came back with a failure. No BYE of the call was accepted: to the other side it may
    /// still be up, and billed.
    ///
    /// ## Why it happens
    /// A proxy between the two does not know what to do with requests inside a dialog: it looks for the user of the
    /// Contact among its own instead of following the Route; or it did not put itself into the Record-Route, and the
    /// phone sends everything to it all the same; or the sender of the BYE left the Route out. Or the way on is gone,
    /// as where a phone's TCP connection has closed.
    ///
    /// ## Evidence
    /// A final response of 400 or more to the BYE, other than a challenge, and than 408, 481 and 504, which have rules of
    /// their own; and no other BYE of the call with a better end. A BYE without a Route in a dialog whose messages came
    /// to its sender with a Record-Route is the fault of that one.
    ///
    /// ## How to fix
    /// Let the proxy follow the Route of requests inside a dialog before it does anything else, and put itself into the
    /// Record-Route of each INVITE. Let session timers end calls whose BYE gets lost.
    ///
    /// ## When it would be wrong
    /// Many systems end their own leg whatever the answer to a BYE is, and one that refuses it may have done the same.
    ///
    /// ## References
    /// RFC 3261 §12.2.1.1, §15.1.1, §16.4, §16.6
    "C24" "bye-refused" needs [CALL BYE FAILURE], check
}

/// A challenge asks for another try; after the others the dialog is over (RFC 3261 §12.2.1.2, §15.1.1), and they have
/// rules of their own.
const OTHER_MATTERS: [u16; 6] = [401, 407, 408, 481, 491, 504];
/// Codes of a server that looked for the user of the Request-URI, as for a request that begins something.
const NOT_FOUND: [u16; 5] = [404, 410, 480, 484, 604];
/// Codes of one that knew where the request has to go, and could not send it there; 477 and 478 are Kamailio's.
const NOT_SENT: [u16; 5] = [430, 477, 478, 502, 503];

fn check(case: &Case<'_>) -> Option<Finding> {
    let refused = Refused::of(case)?;
    let (role, address) = refused.culprit(case);
    let finding = Finding::of(&RULE, Confidence::Likely);
    // Who is asked to end the call itself knows of that, whatever it answers.
    let finding = match refused.is_of_other_end(case) {
        true => finding.about(refused.status).severity(Severity::Warning).titled("The other side refused the BYE"),
        false => finding.explains(case.call.final_status).drops_the_call(),
    };
    let finding = finding.party(role, Some(address)).because(refused.explanation(case));
    let finding = refused.advised(case, finding);
    Some(
        refused
            .proved(case, finding)
            .refuted("bye-unanswered", "the BYE got a final response")
            .refuted("dialog-state-lost", "no 481: the one who answers did not say that it knows no such call"),
    )
}

/// A BYE that was refused, as was every other of the call.
struct Refused<'a> {
    /// The BYE as its sender sent it.
    bye: &'a Heard,
    /// The same on the hop on which it was refused.
    arrived: &'a Heard,
    /// The response, as it was made.
    answer: &'a Heard,
    status: StatusCode,
    /// What had come to the sender of the BYE with a Record-Route, if the BYE has no Route.
    recorded: Option<&'a Heard>,
    /// The connection of the other side that is gone.
    lost: Option<LostConnection<'a>>,
}

impl<'a> Refused<'a> {
    fn of(case: &Case<'a>) -> Option<Refused<'a>> {
        let is_of_dead_dialog = || case.call.unseen(&Method::Bye).next().is_some();
        if case.call.kind != Kind::Call || is_of_dead_dialog() || cseq_regressed::holds(case) {
            return None;
        }
        let is_refused = |asked: &Asked<'a>| {
            let status = case.finals(asked.transaction).last().and_then(|heard| heard.message.status());
            status.is_some_and(|status| status.get() >= 400 && !OTHER_MATTERS.contains(&status.get()))
        };
        if !case.asked(&Method::Bye).all(|asked| is_refused(&asked)) {
            return None;
        }
        let first = case.asked_first(&Method::Bye).last()?;
        let (bye, told) = (first.request, case.finals(first.transaction).last()?);
        let answer = case.as_made(told);
        let arrived = case.call.request_of(case.call.transaction(answer.transaction)).unwrap_or(bye);
        let status = answer.message.status()?;
        let lost = LostConnection::of(case, arrived, answer);
        Some(Refused { bye, arrived, answer, status, recorded: recorded(case, bye), lost })
    }

    fn is_of_other_end(&self, case: &Case<'a>) -> bool {
        is_of_other_end(case, self.bye, self.answer)
    }

    fn culprit(&self, case: &Case<'a>) -> (Role, SocketAddr) {
        let server = self.answer.path.source;
        match self.recorded {
            Some(_) => (case.side(self.bye).role(), self.bye.path.source),
            None if self.is_of_other_end(case) => (case.role_of_asked(self.bye), server),
            None => (Role::Proxy, server),
        }
    }

    fn explanation(&self, case: &Case<'a>) -> String {
        let (from, server) = (self.bye.path.source, self.answer.path.source);
        let refused = format!(
            "{from} hung up, and {server} answered its BYE with {}{}.",
            self.status,
            case.said_beside_code(self.answer)
        );
        let kept = "To the other side the call may still be up, and billed.";
        if self.is_of_other_end(case) {
            return format!(
                "{refused} No BYE of the call was accepted: whether {server}, or what is behind it, has ended the call \
                 cannot be told."
            );
        }
        let why = match self.recorded {
            _ if let Some(lost) = &self.lost => lost.words(),
            Some(heard) => format!(
                "What had come to {from} from {} has a Record-Route, and the BYE has no Route: so {server} cannot know \
                 where it has to go, and sent it no further.",
                heard.path.source
            ),
            None if self.arrived.message.header("Route").is_some() => {
                format!("The BYE has a Route, by which {server} has to send it on; it was not seen to do so.")
            }
            None => format!(
                "It was not seen to go on from there. The BYE has no Route, and {server} had asked for none: all that \
                 tells it where the BYE has to go is the Request-URI."
            ),
        };
        format!("{refused} {why} {kept}")
    }

    fn advised(&self, case: &Case<'a>, finding: Finding) -> Finding {
        let (from, server, code) = (self.bye.path.source, self.answer.path.source, self.status.get());
        let uri = self.arrived.message.request_uri().unwrap_or_default();
        let setting = case.settings(Topic::DialogRouting, self.answer);
        let finding = match self.recorded {
            _ if let Some(lost) = &self.lost => lost.told(case, finding, self.answer),
            _ if self.is_of_other_end(case) => {
                finding.fix(format!("Look in the log of {server} for this BYE, and whether the call had ended there."))
            }
            Some(_) => finding.fix(format!(
                "Let {from} put the Record-Route of the dialog into the Route of its BYE and of every other request \
                 inside the call."
            )),
            None if NOT_SENT.contains(&code) => finding.fix(format!(
                "Look on {server} why it cannot send to {uri}: over TCP and TLS the connection of that side may be \
                 gone, and no new one be possible to it."
            )),
            None => finding.fix(format!(
                "Let {server} put itself into the Record-Route of INVITEs, and follow the Route of requests inside a \
                 call before it looks for users{setting}."
            )),
        };
        let finding = match NOT_FOUND.contains(&code) && self.recorded.is_none() && !self.is_of_other_end(case) {
            true => finding.fix(format!(
                "{server} may have looked for {uri} as for a new call: a request with a To tag belongs to one that \
                 stands, and its Request-URI is the other side's own address."
            )),
            false => finding,
        };
        finding.fix("Let session timers (RFC 4028) or media inactivity end calls whose BYE gets lost.")
    }

    fn proved(&self, case: &Case<'a>, finding: Finding) -> Finding {
        let finding = finding
            .claim_method(self.bye, "one side hangs up")
            .claim_request_uri(self.arrived, "where it has to go")
            .claim_status(self.answer, "and is refused")
            .claim_own_words(case, self.answer);
        match self.recorded {
            Some(heard) => finding.claim_header(heard, RECORD_ROUTE, "what the Route of the BYE has to be made of"),
            None => finding.claim_header(self.arrived, "Route", "by which way"),
        }
    }
}

/// True if somebody between the two ends refused a request inside a dialog, because it knew no way for it.
pub(in crate::diagnosis::rules) fn found_no_way(case: &Case<'_>, request: &Heard, answer: &Heard) -> bool {
    let code = answer.message.status().map(StatusCode::get);
    let is_of_routing = code.is_some_and(|code| NOT_FOUND.contains(&code) || NOT_SENT.contains(&code));
    is_of_routing && !is_of_other_end(case, request, answer)
}

/// True if the other end of a dialog made a response to a request inside it, as far as the capture shows where that end
/// is: nobody between the two kept the request.
fn is_of_other_end(case: &Case<'_>, request: &Heard, answer: &Heard) -> bool {
    let of_peer = |heard: &&Heard| {
        let (speaker, is_taken) = match heard.message.status() {
            Some(status) => (to_tag(heard), !status.is_failure()),
            None => (from_tag(heard), true),
        };
        let is_of_dialog = heard.message.call_id() == request.message.call_id() && heard.place < request.place;
        is_of_dialog && is_taken && speaker.is_some() && speaker == to_tag(request)
    };
    case.call.messages.iter().filter(of_peer).any(|heard| {
        let author = if heard.message.is_request() { case.as_sent(heard) } else { case.as_made(heard) };
        author.path.source.ip() == answer.path.source.ip()
    })
}

/// The message that told the sender of a BYE without a Route that requests inside the dialog need one: the answer that
/// it got, or the INVITE that came to it (RFC 3261 §12.1.1, §12.1.2).
fn recorded<'a>(case: &Case<'a>, bye: &'a Heard) -> Option<&'a Heard> {
    if bye.message.header("Route").is_some() || bye.message.is_cut() {
        return None;
    }
    let makes_dialog = |heard: &&Heard| {
        let transaction = case.call.transaction(heard.transaction);
        transaction.is_initial_invite() && heard.message.call_id() == bye.message.call_id()
    };
    let came = |heard: &&Heard| {
        heard.place < bye.place
            && (heard.path.destination, heard.path.source) == (bye.path.source, bye.path.destination)
    };
    let is_success = |heard: &Heard| heard.message.status().is_some_and(StatusCode::is_success);
    let mut spoken = case.call.messages.iter().filter(makes_dialog).filter(came);
    spoken.find(|heard| {
        let counts = match heard.message.is_request() {
            true => from_tag(heard) == to_tag(bye),
            false => is_success(heard) && to_tag(heard) == to_tag(bye),
        };
        counts && heard.message.header(RECORD_ROUTE).is_some()
    })
}
